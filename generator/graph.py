"""The garden as a graph of notes: for `graph.json`, for related notes, and for what is wrong with it.

The only file that knows networkx, which is imported when first needed: a build that asks for none of it does
not wait for it. Everything that goes in or comes out is a plain value.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from generator.model import LinkKind, Note, Slug

if TYPE_CHECKING:
    from networkx import MultiDiGraph

# A note that nearly everything links to (an index, a daily log) says little about what belongs together, and
# the pairs around it grow with the square of its links.
_HUB = 100


@dataclass(frozen=True, slots=True)
class Edge:
    """A link from one note to another: where it is in the source, and its words."""

    source: Slug
    target: Slug
    kind: LinkKind
    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """A link to a note that is not written: where it is, what it names, and what is spelled alike."""

    source: Slug
    line: int
    target: str
    near: tuple[str, ...] = ()


def document(
    notes: Iterable[Note], grades: Mapping[Slug, str], edges: Iterable[Edge], missing: Iterable[Wanted]
) -> dict[str, list[object]]:
    """`graph.json`, as data. `notes`, `edges` and `missing` stay in the order given; a note without a grade
    has `""`. `href` is relative to the root of the site."""
    graph = _document_graph(notes, grades, edges)
    in_order = sorted(graph.edges(data=True, keys=True), key=lambda edge: edge[2])
    return {
        "nodes": [data for _, data in graph.nodes(data=True)],
        "edges": [{"source": source, "target": target, **data} for source, target, _, data in in_order],
        "missing": [
            {"source": link.source, "line": link.line, "target": link.target, "near": list(link.near)}
            for link in missing
        ],
    }


def _document_graph(notes: Iterable[Note], grades: Mapping[Slug, str], edges: Iterable[Edge]) -> MultiDiGraph:
    """The garden as networkx sees it: everything that the document says of a note or a link is data of its
    node or edge, and an edge's key is its number."""
    import networkx as nx

    graph = nx.MultiDiGraph()
    for note in notes:
        graph.add_node(
            note.slug,
            path=note.path,
            slug=note.slug,
            href=quote(note.slug, safe="/-._~!$'()*+,;=@") + ".html",
            title=note.title,
            tags=list(note.tags),
            grade=grades.get(note.slug, ""),
        )
    for number, edge in enumerate(edges):
        graph.add_edge(edge.source, edge.target, number, kind=edge.kind, line=edge.line, text=edge.text)
    return graph


def orphans(slugs: Iterable[Slug], edges: Iterable[Edge]) -> tuple[Slug, ...]:
    """The notes that no other note links to, in the order given."""
    linked = {edge.target for edge in edges if edge.source != edge.target}
    return tuple(slug for slug in slugs if slug not in linked)


def wanted(missing: Iterable[Wanted]) -> tuple[tuple[str, tuple[Slug, ...]], ...]:
    """Notes to be written, the most wanted first: what they are called, and the notes that link to them.

    Spellings that differ in case or white space are one note, called as it is called first.
    """
    names: dict[str, str] = {}
    sources: dict[str, dict[Slug, None]] = {}
    for link in missing:
        key = " ".join(link.target.casefold().split())
        names.setdefault(key, link.target)
        sources.setdefault(key, {})[link.source] = None
    ordered = sorted(sources, key=lambda key: (-len(sources[key]), key))
    return tuple((names[key], tuple(sources[key])) for key in ordered)


def linked(edges: Iterable[Edge]) -> tuple[tuple[Slug, Slug], ...]:
    """Which notes link to which, each pair once, in the order given."""
    return tuple(dict.fromkeys((edge.source, edge.target) for edge in edges))


def related(
    slugs: Iterable[Slug], links: Iterable[tuple[Slug, Slug]], k: int
) -> dict[Slug, tuple[Slug, ...]]:
    """For each note, up to `k` notes that it is not linked with but shares neighbours with, closest first.
    `links` are pairs of notes.

    Closeness is Adamic and Adar's: every shared neighbour counts, one with few links of its own counts more.
    A note without such notes is left out.
    """
    neighbours = _neighbours(slugs, links)
    weights = {slug: 1 / math.log(len(near)) for slug, near in neighbours.items() if 2 <= len(near) <= _HUB}
    found: dict[Slug, tuple[Slug, ...]] = {}
    for slug, near in neighbours.items():
        scores: dict[Slug, float] = {}
        for between in near:
            weight = weights.get(between, 0.0)
            for other in neighbours[between] if weight else ():
                scores[other] = scores.get(other, 0.0) + weight
        for other in (slug, *near):
            scores.pop(other, None)
        # Only what may be among the closest is rounded and put in order.
        least = sorted(scores.values())[-k:][0] - 2e-9 if scores else 0.0
        ranked = sorted((-round(score, 9), other) for other, score in scores.items() if score >= least)
        closest = [other for _, other in ranked[:k]]
        if closest:
            found[slug] = tuple(closest)
    return found


def cycles(edges: Iterable[Edge], kind: LinkKind = "uses") -> tuple[tuple[Slug, ...], ...]:
    """Groups of notes that lead back to themselves by links of one kind: cells that use each other have no
    order to run in. Of each group one cycle, in the order of its links, from its first note by name."""
    chosen = [edge for edge in edges if edge.kind == kind]
    if not chosen:
        return ()
    import networkx as nx

    graph = _build((), chosen)
    found = []
    for group in nx.strongly_connected_components(graph):
        start = min(group)
        if len(group) > 1 or graph.has_edge(start, start):
            inner = graph.subgraph(group)
            nodes = [source for source, *_ in nx.find_cycle(inner, start)]
            first = nodes.index(min(nodes))
            found.append((*nodes[first:], *nodes[:first]))
    return tuple(sorted(found))


def _neighbours(slugs: Iterable[Slug], linked: Iterable[tuple[Slug, Slug]]) -> dict[Slug, dict[Slug, None]]:
    """Who is linked with whom, either way; sorted, so that sums of floats are the same in every run."""
    around: dict[Slug, set[Slug]] = {slug: set() for slug in slugs}
    for source, target in linked:
        if source != target:
            around.setdefault(source, set()).add(target)
            around.setdefault(target, set()).add(source)
    return {slug: dict.fromkeys(sorted(around[slug])) for slug in sorted(around)}


def _build(slugs: Iterable[Slug], edges: Iterable[Edge]) -> MultiDiGraph:
    """Nodes and edges are added in the order given, so what networkx finds does not depend on hashes."""
    import networkx as nx

    graph = nx.MultiDiGraph()
    graph.add_nodes_from(slugs)
    graph.add_edges_from((edge.source, edge.target) for edge in edges)
    return graph

"""What a gardener looks after: not what is wrong in a note, but what the garden as a whole shows.

Notes that nothing leads to, pictures that nothing shows, titles that two notes share, and what was not meant
to be seen: a published note that names a draft, or a folder of somebody's machine.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import unescape

from generator import graph, links
from generator.model import Ambiguous, Asset, Found, FoundAsset, Missing, Note, Parsed, Problem, Span
from generator.pages import assemble
from generator.pages.garden import Garden, settled

_HOMES = ("index", "readme")
_PRIVATE = re.compile(r"(?:/home/|/Users/|\b[A-Za-z]:\\Users\\|file:///)([\w.~-]+)")
_NOBODY = frozenset({"user", "username", "you", "me", "name", "your-name", "yourname", "runner"})


@dataclass(frozen=True, slots=True)
class Demand:
    """A note to be written: what it is called, and each place that asks for it, path and line."""

    target: str
    places: tuple[tuple[str, int], ...]


def demand(garden: Garden, missing: Iterable[graph.Wanted]) -> tuple[Demand, ...]:
    """Notes to be written, those first that most notes ask for."""
    places: dict[str, list[tuple[str, int]]] = {}
    missing = [one for one in missing if one.target]
    for link in missing:
        key = " ".join(link.target.casefold().split())
        places.setdefault(key, []).append((garden.notes[link.source].path, link.line))
    return tuple(
        Demand(name, tuple(places[" ".join(name.casefold().split())])) for name, _ in graph.wanted(missing)
    )


def problems(
    garden: Garden, everything: Sequence[Parsed], edges: Iterable[graph.Edge], texts: Mapping[str, str]
) -> tuple[Problem, ...]:
    """What the garden as a whole shows. `everything` are all notes, drafts among them; `texts` the sources
    by path."""
    drafts = [one for one in everything if not one.note.published]
    found = [
        *_orphans(garden, edges),
        *_twins(garden),
        *_unused(garden, drafts),
        *_drafts_named(garden, drafts),
        *_private_paths(garden, texts),
    ]
    return tuple(sorted(found, key=lambda one: (one.path, one.span.line, one.span.col, one.code)))


def _orphans(garden: Garden, edges: Iterable[graph.Edge]) -> Iterator[Problem]:
    for slug in graph.orphans(garden.notes, edges):
        note = garden.notes[slug]
        if slug.rpartition("/")[2] not in _HOMES:
            yield Problem(
                "note-orphan", "info", note.path, Span(0), "no other note links to this one",
                "link to it where a reader should come from",
            )  # fmt: skip


def _twins(garden: Garden) -> Iterator[Problem]:
    """Notes that cannot be told apart by their titles."""
    named: dict[str, list[Note]] = {}
    for note in garden.notes.values():
        named.setdefault(" ".join(note.title.casefold().split()), []).append(note)
    for notes in named.values():
        for note in notes[1:]:
            yield Problem(
                "title-duplicate", "warning", note.path, Span(0),
                f"{notes[0].path} is called “{note.title}” as well: a reader cannot tell them apart",
                "give one of the two a title of its own",
            )  # fmt: skip


def _unused(garden: Garden, drafts: Sequence[Parsed]) -> Iterator[Problem]:
    used = set(assemble.asset_copies(garden).values())
    code = [cell.code for note in _notes(garden, drafts) for cell in note.cells]
    named = {dep.rpartition("/")[2] for note in _notes(garden, drafts) for dep in note.deps}
    named |= {link.target.rpartition("/")[2] for one in drafts for link in one.note.links}
    for path in garden.assets:
        name = path.rpartition("/")[2]
        if path in used or name in named or any(name in text for text in code):
            continue
        yield Problem(
            "asset-unused", "info", path, Span(0),
            "no note shows or links to this file, so it is not published", "link to it, or delete it",
        )  # fmt: skip


def _notes(garden: Garden, drafts: Sequence[Parsed]) -> Iterator[Note]:
    yield from garden.notes.values()
    yield from (one.note for one in drafts)


def _drafts_named(garden: Garden, drafts: Sequence[Parsed]) -> Iterator[Problem]:
    """Links of published notes that lead nowhere on the site because their target is a draft."""
    if not drafts:
        return
    index = links.index([one.note for one in drafts], ())
    paths = {one.note.slug: one.note.path for one in drafts}
    for slug, note in garden.notes.items():
        rows = zip(note.links, garden.resolutions[slug], garden.spans[slug].links, strict=True)
        for link, resolution, span in rows:
            found = (
                _draft(links.resolve(link, note.path, index, suggest=False)) if _dangles(resolution) else None
            )
            if found is not None and link.target:
                yield Problem(
                    "draft-linked", "warning", note.path, span,
                    f"this names {paths[found.slug]}, which is not published: the words of the link are",
                    "publish that note, or take the link out",
                )  # fmt: skip


def _dangles(resolution: object) -> bool:
    return isinstance(resolution, Missing)


def _draft(resolution: Found | FoundAsset | Missing | Ambiguous) -> Found | None:
    found = settled(resolution)
    return found if isinstance(found, Found) else None


def _private_paths(garden: Garden, texts: Mapping[str, str]) -> Iterator[Problem]:
    """What a published note says of folders on its author's machine."""
    for note in garden.notes.values():
        shown = [part for part in note.body if isinstance(part, str)]
        shown += [cell.code for cell in note.cells] + [value for _, value in note.properties]
        seen = set()
        for part in shown:
            for match in _PRIVATE.finditer(unescape(part)):
                if match[0] not in seen and match[1].lower() not in _NOBODY:
                    seen.add(match[0])
                    yield Problem(
                        "path-private", "warning", note.path, _place(texts.get(note.path, ""), match[0]),
                        f"{match[0]} is a folder of somebody's machine, and is published",
                        "write a path that does not name anybody",
                    )  # fmt: skip


def _place(text: str, words: str) -> Span:
    at = text.find(words)
    return Span(0) if at < 0 else Span(text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at))


def as_data(
    wanted: Sequence[Demand], found: Sequence[Problem], assets: Mapping[str, Asset]
) -> dict[str, object]:
    """What `check` adds to the JSON report."""
    paths = {
        code: [one.path for one in found if one.code == code] for code in ("note-orphan", "asset-unused")
    }
    return {
        "wanted": [
            {
                "target": one.target,
                "count": len(one.places),
                "places": [{"path": path, "line": line} for path, line in one.places],
            }
            for one in wanted
        ],
        "orphans": paths["note-orphan"],
        "unused_assets": [{"path": path, "size": assets[path].size} for path in paths["asset-unused"]],
        "duplicate_titles": [one.path for one in found if one.code == "title-duplicate"],
        "leaks": [
            {"path": one.path, "line": one.span.line, "message": one.message}
            for one in found
            if one.code in ("draft-linked", "path-private")
        ],
    }

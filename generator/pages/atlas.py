"""The garden as a map: the file that its script draws, and the page that says the same in words."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise

from generator.layout import layout
from generator.memo import Caller
from generator.model import GRADES, Found, GraphPage, GraphRow, OutPath, Page, Ref, Slug
from generator.pages.garden import Garden, href, out_of, root_of, settled

OUT = OutPath("graph.html")
MAP = OutPath("graph/map.json")
_ROWS = 300
_LINKS = 12

Pairs = tuple[tuple[int, int], ...]


def pairs(garden: Garden) -> Pairs:
    """Which notes are linked, by their places in the garden's order: each pair once, the smaller first."""
    number = {slug: i for i, slug in enumerate(garden.notes)}
    found = {
        (min(here, there), max(here, there))
        for slug, here in number.items()
        for one in map(settled, garden.resolutions[slug])
        if isinstance(one, Found) and (there := number[one.slug]) != here
    }
    return tuple(sorted(found))


def document(garden: Garden, linked: Pairs, call: Caller) -> str:
    """`graph/map.json`: one list a field, parallel to each other, because names of fields repeated for ten
    thousand notes are most of a file. `links` has for each note the later notes that it is linked with, each
    as the distance from the one before (from the note itself, for the first)."""
    notes = list(garden.notes.values())
    places = call.call(layout, tuple(garden.notes), linked)
    tags = {tag: i for i, tag in enumerate(sorted({tag for note in notes for tag in note.tags}))}
    grades = ("", *GRADES)
    data = {
        "slugs": list(garden.notes),
        "titles": [note.title for note in notes],
        "dates": [(note.modified or note.created or "")[:10] for note in notes],
        "grades": list(grades),
        "grade": [grades.index(garden.grades.get(slug, "")) for slug in garden.notes],
        "tags": list(tags),
        "tagged": [[tags[tag] for tag in note.tags] for note in notes],
        "x": [x for x, _ in places],
        "y": [y for _, y in places],
        "links": _distances(len(notes), linked),
    }
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def _distances(count: int, linked: Pairs) -> list[list[int]]:
    later: list[list[int]] = [[] for _ in range(count)]
    for here, there in linked:
        later[here].append(there)
    return [[b - a for a, b in pairwise((here, *others))] for here, others in enumerate(later)]


def page(garden: Garden, linked: Pairs) -> Page:
    """The page of the map. Its list is what a reader has who cannot see the map: the notes with the most
    links first, each with the notes it is linked with; bounded, as all notes have a page of their own."""
    slugs = list(garden.notes)
    around: dict[int, list[int]] = defaultdict(list)
    for here, there in linked:
        around[here].append(there)
        around[there].append(here)
    ordered = sorted(
        range(len(slugs)), key=lambda i: (-len(around[i]), garden.notes[slugs[i]].title.casefold(), i)
    )
    root = root_of(OUT)
    rows = tuple(_row(garden, slugs[i], (slugs[j] for j in around[i]), root) for i in ordered[:_ROWS])
    intro = f"{_counted(len(slugs), 'note')}, {_counted(len(linked), 'link')}."
    return Page(OUT, "graph", root, GraphPage("Map", intro, rows, max(0, len(slugs) - _ROWS)))


def _row(garden: Garden, slug: Slug, near: Iterable[Slug], root: str) -> GraphRow:
    refs: Sequence[Ref] = sorted(
        (_ref(garden, one, root) for one in near), key=lambda r: (r.title.casefold(), r.slug)
    )
    return GraphRow(_ref(garden, slug, root), tuple(refs[:_LINKS]), max(0, len(refs) - _LINKS))


def _ref(garden: Garden, slug: Slug, root: str) -> Ref:
    return Ref(garden.notes[slug].title, href(root, out_of(slug)), slug, garden.grades.get(slug, ""))


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "s")

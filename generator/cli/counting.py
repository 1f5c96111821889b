"""`stats`: how large the garden is, how sure, and how it has grown. No cell is run for it."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace

from generator import checks, config, graph, memo, pipeline
from generator.cli import building
from generator.cli.progress import Progress
from generator.model import GRADES, Note
from generator.pages.garden import Garden


def run(loaded: config.Loaded, progress: Progress) -> int:
    """Print the numbers; gives the exit code."""
    quiet = replace(loaded, options=replace(loaded.options, frozen=not loaded.options.no_exec, fresh=False))
    with building.opened(loaded) as store:
        progress.show("notes")
        garden = _judged(quiet, store, building.garden(loaded, store, building.scanned(loaded, store)))
    progress.clear()
    data = _data(garden)
    text = checks.as_json(data) + "\n" if loaded.options.format == "json" else "".join(_lines(data))
    sys.stdout.write(text)
    return 0


def _judged(loaded: config.Loaded, store: memo.SqliteStore, garden: Garden) -> Garden:
    """With the grades that its cells have, as far as they are known."""
    from generator.cli import cells

    if not pipeline.programs_of(garden):
        return garden
    with cells.executor(loaded, store, 1) as executor:
        return pipeline.run(garden, executor)


def _data(garden: Garden) -> dict[str, object]:
    notes = list(garden.notes.values())
    edges, missing = pipeline.connections(garden)
    counts = pipeline.summary(garden)["links"]
    grades = Counter(verdict.grade for verdicts in garden.verdicts.values() for verdict in verdicts)
    linked = Counter(edge.target for edge in edges if edge.source != edge.target)
    return {
        "schema_version": 1,
        "notes": len(notes),
        "words": sum(note.words for note in notes),
        "links": counts,
        "tags": len({tag.casefold() for note in notes for tag in note.tags}),
        "files": len(garden.assets),
        "cells": {grade: grades[grade] for grade in reversed(GRADES) if grades[grade]},
        "orphans": len(graph.orphans(garden.notes, edges)),
        "wanted": len(graph.wanted(missing)),
        "most_linked": [
            {"path": garden.notes[slug].path, "links": n}
            for slug, n in sorted(linked.items(), key=lambda item: (-item[1], item[0]))[:5]
        ],
        "growth": list(_growth(notes)),
    }


def _growth(notes: list[Note]) -> Iterator[dict[str, object]]:
    """Of each month in which notes were begun: how many, their words, and how many there were then."""
    months: dict[str, list[Note]] = {}
    for note in notes:
        months.setdefault((note.created or "")[:7], []).append(note)
    total = 0
    for month in sorted(months):
        total += len(months[month])
        yield {
            "month": month or None,
            "notes": len(months[month]),
            "words": sum(note.words for note in months[month]),
            "total": total,
        }


_BAR = 30


def _lines(data: Mapping[str, object]) -> Iterator[str]:
    links, cells, growth = data["links"], data["cells"], data["growth"]
    assert isinstance(links, Mapping) and isinstance(cells, Mapping) and isinstance(growth, list)
    kinds = ", ".join(f"{n} {kind}" for kind, n in links.items() if kind != "total" and n)
    yield _row("notes", data["notes"], f"{data['orphans']} that no other links to")
    yield _row("words", data["words"])
    yield _row("links", links["total"], kinds)
    yield _row("to be written", data["wanted"])
    yield _row("tags", data["tags"])
    yield _row("other files", data["files"])
    grades = ", ".join(f"{n} {str(grade).replace('-', ' ')}" for grade, n in cells.items())
    yield _row("cells", sum(cells.values()), grades)
    most = max((row["notes"] for row in growth), default=1)
    for row in growth:
        bar = "#" * max(1, round(_BAR * row["notes"] / most))
        yield f"{row['month'] or 'no date':>13}  {row['notes']:7,}  {bar} {row['total']:,}\n"


def _row(name: str, number: object, more: str = "") -> str:
    return f"{name:>13}  {number:7,}{'  ' + more if more else ''}\n"

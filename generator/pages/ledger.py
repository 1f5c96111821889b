"""The ledger: every cell of the garden, what may be said of it, its last real run, and what nobody checked.

The page lists the weakest first; a script sorts and filters it. `ledger.json` says the same to programs.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator

from generator.model import GRADES, LedgerPage, LedgerRow, OutPath, Page, Ref, Slug
from generator.pages.cell import again, has_run, moment
from generator.pages.garden import Garden, href, out_of, root_of
from generator.pages.lists import LEDGER

DATA = OutPath("ledger.json")
_ROWS = 2000
"""More rows than anybody reads; the page says where the others are."""


def page(garden: Garden) -> Page:
    """The page. Of equal grades the cells at risk come first, then as they stand in the garden."""
    found = (row for _, _, row in _rows(garden))
    rows = sorted(found, key=lambda row: (GRADES.index(row.grade), not row.note.risk))
    counted = Counter(row.grade for row in rows)
    counts = tuple((grade, counted[grade]) for grade in GRADES if counted[grade])
    data = LedgerPage("Ledger", _intro(rows), counts, tuple(rows[:_ROWS]), max(0, len(rows) - _ROWS))
    return Page(LEDGER, "ledger", root_of(LEDGER), data)


def _intro(rows: list[LedgerRow]) -> str:
    if not rows:
        return "No note of this garden has a cell."
    notes = len({row.note.slug for row in rows})
    cells = f"{len(rows)} cell{'s' * (len(rows) != 1)} in {notes} note{'s' * (notes != 1)}"
    return f"{cells}, the weakest grade first. What is not checked is said of each."


def _rows(garden: Garden) -> Iterator[tuple[Slug, int, LedgerRow]]:
    """Each cell: its note, its number there, and what is said of it."""
    root = root_of(LEDGER)
    for slug, verdicts in garden.verdicts.items():
        note, result = garden.notes[slug], garden.results[slug]
        log = result.log
        ref = Ref(note.title, href(root, out_of(slug)), slug, risk=slug in garden.risks)
        for i, (cell, verdict) in enumerate(zip(note.cells, verdicts, strict=True)):
            outcome = result.results[i]
            ran = has_run(outcome, log)
            row = LedgerRow(
                note=ref,
                label=cell.label,
                href=href(root, out_of(slug), "^" + cell.label),
                grade=verdict.grade,
                message=verdict.message or outcome.message,
                when=log.when if ran else "",
                shown_when=moment(log.when) if ran else "",
                seconds=log.seconds[i] if ran and i < len(log.seconds) else None,
                executor=log.executor if ran else "",
                device=log.device if ran else "",
                isolation=log.isolation if ran else "",
                compared=len(verdict.comparisons) + len(verdict.checks),
                unchecked=verdict.unchecked,
                again=again(note.path, cell.label),
            )
            yield slug, i, row


def document(garden: Garden) -> bytes:
    """`ledger.json`: cells and values in the order of the garden."""
    cells = [_cell(garden, slug, i, row) for slug, i, row in _rows(garden)]
    found = [one for slug in garden.values for one in values(garden, slug)]
    data = {"cells": cells, "values": found}
    return (json.dumps(data, ensure_ascii=False, indent=1) + "\n").encode()


def _cell(garden: Garden, slug: Slug, i: int, row: LedgerRow) -> dict[str, object]:
    note, log = garden.notes[slug], garden.results[slug].log
    return {
        "note": note.path,
        "slug": slug,
        "title": note.title,
        "href": row.href,
        "label": row.label,
        "line": garden.spans[slug].cells[i].line,
        "grade": row.grade,
        "message": row.message,
        "at_risk": at_risk(garden, slug),
        "last_run": row.when,
        "seconds": row.seconds,
        "executor": row.executor,
        "device": row.device,
        "isolation": row.isolation,
        "commit": log.commit if row.when else "",
        "key": log.key if row.when else "",
        "checks": [
            {"kind": check.kind, "what": check.what, "outcome": check.outcome}
            for check in garden.verdicts[slug][i].checks
        ],
        "comparisons": len(garden.verdicts[slug][i].comparisons),
        "not_checked": list(row.unchecked),
        "verify": row.again,
    }


def at_risk(garden: Garden, slug: Slug) -> list[dict[str, object]]:
    """The failed cells that a note stands on, as data."""
    return [
        {"note": garden.notes[risk.slug].path, "label": risk.label} for risk in garden.risks.get(slug, ())
    ]


def values(garden: Garden, slug: Slug) -> Iterator[dict[str, object]]:
    """The values in the sentences of a note, as data."""
    note, spans = garden.notes[slug], garden.spans[slug].values
    for one, span in zip(garden.values[slug], spans, strict=True):
        source = one.source
        yield {
            "note": note.path,
            "line": span.line,
            "code": one.code,
            "text": one.value.text,
            "grade": one.grade,
            "message": one.value.message,
            "from": source
            and {
                "note": garden.notes[source.slug].path,
                "label": garden.notes[source.slug].cells[source.cell].label,
            },
        }

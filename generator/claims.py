"""The graph of claims: which notes stand on the cells of which, and what follows where one of those fails.

A note that `uses` another runs its exported cells first, and those of the notes that it uses in turn. If one
of them fails, or a check of it does, everything that stands on it is at risk: what it says may be wrong
although its own cells agree with it.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache

from generator import graph
from generator.execution.expectations import parse
from generator.memo import digest
from generator.model import (
    GRADES,
    Borrowed,
    Cell,
    CellResult,
    Found,
    FoundAsset,
    Grade,
    Note,
    Output,
    Problem,
    Program,
    ProgramResult,
    Resolution,
    Shown,
    Slug,
    Span,
    Value,
)
from generator.pages.garden import Derived, Garden, Place, Risk, settled

_LONGEST = 2000
"""So much of an output is compared with the one before."""

_HINT = "write “#| export: true” at the top of each cell that other notes may use"


def uses(
    notes: Mapping[Slug, Note], resolutions: Mapping[Slug, tuple[Resolution, ...]]
) -> dict[Slug, tuple[Place, ...]]:
    """For each note that uses others, the exported cells that run before its own: those of a note after those
    that it uses itself, each once, in the order in which the notes are named. A circle is cut where it
    closes; `problems` says so."""
    direct = {slug: _direct(note, resolutions[slug]) for slug, note in notes.items() if _names_uses(note)}
    found = {}
    for slug in direct:
        borrowed = tuple(
            Place(used, i)
            for used in _before(slug, direct)
            for i, cell in enumerate(notes[used].cells)
            if cell.options.export
        )
        if borrowed:
            found[slug] = borrowed
    return found


def program(garden: Garden, slug: Slug) -> Program:
    """The cells of a note, with what runs before and between them."""
    note, spans = garden.notes[slug], garden.spans[slug]
    prelude = tuple(
        Borrowed(garden.notes[at.slug].path, _line(garden, at), garden.notes[at.slug].cells[at.cell])
        for at in garden.uses.get(slug, ())
    )
    lines = tuple(span.line for span in spans.cells)
    return Program(slug, note.path, note.cells, lines, note.kernel, prelude, note.values, note.deps)


def settle(garden: Garden) -> Garden:
    """The garden, whose cells have run and are judged, with the values in its sentences, what is at risk, and
    the grade of each note: the weakest of its cells and values."""
    values = {
        slug: _values(garden, slug, result)
        for slug, result in garden.results.items()
        if garden.notes[slug].values
    }
    grades = {}
    for slug in garden.results:
        found = [verdict.grade for verdict in garden.verdicts[slug]]
        found += [value.grade for value in values.get(slug, ())]
        if found:
            grades[slug] = _weakest(found)
    garden = replace(garden, values=values, grades=grades)
    risks = {slug: risks for slug in garden.uses if (risks := tuple(dict.fromkeys(_risks(garden, slug))))}
    told = {slug: _told(garden.notes[slug], found) for slug, found in values.items()}
    return replace(garden, risks=risks, notes={**garden.notes, **told})


# ---------------------------------------------------------------- who uses whom


def _names_uses(note: Note) -> bool:
    """Asked of every note in each build, so only its last links are looked at: those of its properties."""
    for link in reversed(note.links):
        if link.kind in ("link", "embed"):
            return False
        if link.kind == "uses":
            return True
    return False


def _direct(note: Note, resolutions: tuple[Resolution, ...]) -> tuple[Slug, ...]:
    """The notes that a note names, in order."""
    targets = (
        settled(resolution)
        for link, resolution in zip(note.links, resolutions, strict=True)
        if link.kind == "uses"
    )
    return tuple(dict.fromkeys(target.slug for target in targets if isinstance(target, Found)))


def _before(slug: Slug, direct: Mapping[Slug, tuple[Slug, ...]]) -> list[Slug]:
    """All notes that a note stands on, each after those that it stands on itself."""
    order: list[Slug] = []
    seen = {slug}
    stack = [iter(direct[slug])]
    names = [slug]
    while stack:
        after = next((one for one in stack[-1] if one not in seen), None)
        if after is None:
            stack.pop()
            order.append(names.pop())
        else:
            seen.add(after)
            names.append(after)
            stack.append(iter(direct.get(after, ())))
    return order[:-1]


def _line(garden: Garden, at: Place) -> int:
    return garden.spans[at.slug].cells[at.cell].line


# ---------------------------------------------------------------- what is at risk


def _risks(garden: Garden, slug: Slug) -> Iterator[Risk]:
    """The broken cells that a note stands on: exported ones, and checks in the notes that export them."""
    borrowed = garden.uses[slug]
    for used in dict.fromkeys(at.slug for at in borrowed):
        for i, cell in enumerate(garden.notes[used].cells):
            if _is_broken(garden, Place(used, i), cell):
                yield Risk(used, cell.label)
    result = garden.results.get(slug)
    for at, outcome in zip(borrowed, result.prelude if result else (), strict=False):
        if outcome.status not in ("ok", "skipped", "blocked"):
            yield Risk(at.slug, garden.notes[at.slug].cells[at.cell].label)


def _is_broken(garden: Garden, at: Place, cell: Cell) -> bool:
    """An exported cell must have come to its end; a check of one must not have failed."""
    verdicts, result = garden.verdicts.get(at.slug), garden.results.get(at.slug)
    if not verdicts or not result:
        return False
    if verdicts[at.cell].grade == "failed":
        return cell.options.export or cell.options.check
    return cell.options.export and result.results[at.cell].status == "blocked"


# ---------------------------------------------------------------- values in sentences


def _values(garden: Garden, slug: Slug, result: ProgramResult) -> tuple[Derived, ...]:
    note = garden.notes[slug]
    given = result.values or (Value(),) * len(note.values)
    found = []
    for inline, value in zip(note.values, given, strict=True):
        sources = tuple(_sources(garden, slug, inline.code, inline.after))
        grade = _grade(garden, value, sources)
        found.append(Derived(inline.code, value, grade, sources[-1] if sources else None))
    return tuple(found)


def _grade(garden: Garden, value: Value, sources: Iterable[Place]) -> Grade:
    """A value deserves as much trust as the weakest cell that it comes from."""
    if value.status != "ok":
        return "failed" if value.status == "error" else "not-run"
    return _weakest([garden.verdicts[at.slug][at.cell].grade for at in sources if at.slug in garden.verdicts])


def _weakest(grades: list[Grade]) -> Grade:
    return min(grades, key=GRADES.index, default="ran")


def _sources(garden: Garden, slug: Slug, code: str, after: int) -> list[Place]:
    """The cells that a value comes from, the last one last: of each name in the expression, the last cell
    before it that says what the name means. Without one, the cell that goes before."""
    before = [*garden.uses.get(slug, ()), *(Place(slug, i) for i in range(after))]
    found = set()
    for name in _names(code):
        for n in range(len(before) - 1, -1, -1):
            at = before[n]
            if name in _bound(garden.notes[at.slug].cells[at.cell].code):
                found.add(n)
                break
    return [before[n] for n in sorted(found)] or before[-1:]


@lru_cache(maxsize=4096)
def _names(code: str) -> tuple[str, ...]:
    tree = parse(code)
    return tuple(sorted({node.id for node in ast.walk(tree) if isinstance(node, ast.Name)})) if tree else ()


@lru_cache(maxsize=4096)
def _bound(code: str) -> frozenset[str]:
    """The names that a cell gives a meaning to. An import says where a name comes from, and no more."""
    tree = parse(code)
    return frozenset(_bound_in(tree.body) if tree else ())


def _bound_in(nodes: Iterable[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif not isinstance(node, ast.Lambda):
            yield from _bound_in(ast.iter_child_nodes(node))


def _told(note: Note, values: tuple[Derived, ...]) -> Note:
    """The note with values where its description and the names of its headings had code."""
    texts = {f"{{python}} {one.code}": one.value.text for one in values if one.value.status == "ok"}

    def told(text: str) -> str:
        for written, value in texts.items() if "{python} " in text else ():
            text = text.replace(written, value)
        return text

    headings = tuple(replace(heading, text=told(heading.text)) for heading in note.headings)
    return replace(note, summary=told(note.summary), headings=headings)


# ---------------------------------------------------------------- what is shown


def shown(garden: Garden) -> Iterator[Shown]:
    """Everything computed that pages show, as text, and the code that other notes run."""
    for slug, result in garden.results.items():
        note, spans = garden.notes[slug], garden.spans[slug]
        used = tuple(dict.fromkeys(garden.notes[at.slug].path for at in garden.uses.get(slug, ())))
        for cell, outcome, span in zip(note.cells, result.results, spans.cells, strict=True):
            if outcome.status == "ok":
                yield Shown(note.path, span.line, "output", cell.label, _output(outcome), used)
            if cell.options.export:
                yield Shown(note.path, span.line, "code", cell.label, digest(cell.code))
        counted: Counter[str] = Counter()
        for value, span in zip(garden.values.get(slug, ()), spans.values, strict=False):
            counted[value.code] += 1
            name = value.code + (f" ({counted[value.code]})" if counted[value.code] > 1 else "")
            if value.value.status == "ok":
                yield Shown(note.path, span.line, "value", name, value.value.text, used)


def _output(outcome: CellResult) -> str:
    return "\n".join(filter(None, map(_as_text, outcome.outputs)))[:_LONGEST]


def _as_text(output: Output) -> str:
    """What an output says, or for a picture what tells it from others. Warnings are no values."""
    if output.kind == "stream":
        return output.text.rstrip("\n") if output.name == "stdout" else ""
    if output.kind == "error":
        return f"{output.name}: {output.text}"
    picture = next((text for mime, text in output.data if mime.startswith("image/")), None)
    if picture is not None:
        return f"picture {digest(picture)[:8]}"
    return dict(output.data).get("text/plain", "")


# ---------------------------------------------------------------- what is wrong


def problems(garden: Garden, edges: Iterable[graph.Edge]) -> Iterator[Problem]:
    """Circles, notes that are used and export nothing, borrowed cells that fail here, values that cannot be
    had, and notes at risk."""
    using = [slug for slug, note in garden.notes.items() if _names_uses(note)]
    for circle in graph.cycles(edges) if using else ():
        yield _circle(garden, circle)
    for slug in using:
        yield from _of_uses(garden, slug, garden.notes[slug])
    for slug, values in garden.values.items():
        for i, value in enumerate(values):
            if value.value.status == "error":
                yield Problem(
                    "value-failed", "error", garden.notes[slug].path, garden.spans[slug].values[i],
                    f"the value `{value.code}` could not be had: {value.value.message}",
                    "it is evaluated after the cells above it; correct it, or the cell that it needs",
                )  # fmt: skip


def _circle(garden: Garden, circle: tuple[Slug, ...]) -> Problem:
    first, second = circle[0], circle[1] if len(circle) > 1 else circle[0]
    names = " → ".join(garden.notes[slug].path for slug in (*circle, first))
    return Problem(
        "uses-cycle", "error", garden.notes[first].path, _where(garden, first, second),
        f"these notes use each other in a circle, so that their cells have no order: {names}",
        "move what they share into a note of its own, which they all use",
    )  # fmt: skip


def _where(garden: Garden, slug: Slug, used: Slug) -> Span:
    """Where a note says that it uses another; where it does so only through others, its first."""
    spans, first = garden.spans[slug].links, Span(1)
    for i in reversed(range(len(spans))):
        if garden.notes[slug].links[i].kind == "uses":
            first = spans[i]
            found = settled(garden.resolutions[slug][i])
            if isinstance(found, Found) and found.slug == used:
                return first
    return first


def _of_uses(garden: Garden, slug: Slug, note: Note) -> Iterator[Problem]:
    for i, link in enumerate(note.links):
        if link.kind == "uses":
            yield from _empty(garden, slug, note, i)
    yield from _failed_here(garden, slug, note)
    if slug in garden.risks:
        yield _at_risk(garden, slug, note)


def _empty(garden: Garden, slug: Slug, note: Note, i: int) -> Iterator[Problem]:
    """A note that is used and has nothing to use, not even from the notes that it uses itself."""
    found = settled(garden.resolutions[slug][i])
    if isinstance(found, FoundAsset):
        message, hint = f"{found.path} is no note, and has no cells to use", "name a note"
    elif isinstance(found, Found) and found.slug != slug and not _exports(garden, found.slug):
        message, hint = f"{garden.notes[found.slug].path} has no cell that other notes may use", _HINT
    else:
        return
    yield Problem("uses-empty", "error", note.path, garden.spans[slug].links[i], message, hint)


def _exports(garden: Garden, slug: Slug) -> bool:
    return slug in garden.uses or any(cell.options.export for cell in garden.notes[slug].cells)


def _failed_here(garden: Garden, slug: Slug, note: Note) -> Iterator[Problem]:
    """Borrowed cells that failed before this note's own."""
    result = garden.results.get(slug)
    for at, outcome in zip(garden.uses.get(slug, ()), result.prelude if result else (), strict=False):
        if outcome.status not in ("ok", "skipped", "blocked", "not-run", "stale"):
            place = f"{garden.notes[at.slug].path}:{_line(garden, at) + max(outcome.line, 1) - 1}"
            label = garden.notes[at.slug].cells[at.cell].label
            yield Problem(
                "uses-failed", "error", note.path, _where(garden, slug, at.slug),
                f"cell {label}, at {place}, fails when it runs before this note: {outcome.message}",
                "correct it there; if it runs there, it needs a cell that is not exported",
            )  # fmt: skip


def _at_risk(garden: Garden, slug: Slug, note: Note) -> Problem:
    risks = garden.risks[slug]
    names = ", ".join(f"cell {risk.label} of {garden.notes[risk.slug].path}" for risk in risks[:5])
    more = f" and {len(risks) - 5} more" if len(risks) > 5 else ""
    return Problem(
        "note-at-risk", "error", note.path, _where(garden, slug, risks[0].slug),
        f"what this note says is at risk: it stands on {names}{more}, which failed",
        "correct what failed; this note is judged anew then",
    )  # fmt: skip

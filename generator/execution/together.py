"""Borrowed cells and inline values on their way through an executor, which knows only cells.

Before: the exported cells of the notes that are used, then the note's own, and with each the expressions
that are to be evaluated once it has run. After: the results of the note's own cells, and the others beside.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from generator.execution.protocol import Run, skipped
from generator.model import Borrowed, Cell, CellResult, Frame, Output, Program, ProgramResult, Value

_START = Cell("pass", "", language="python")
"""Runs where an inline value stands before every cell of its note."""

Record = Callable[[Sequence[Program], Callable[[Run], None] | None], tuple[Run, ...]]


def plain(program: Program) -> bool:
    """Whether a program has no more than cells."""
    return not program.prelude and not program.values


def recorded(
    record: Record, programs: Sequence[Program], report: Callable[[Run], None] | None
) -> tuple[Run, ...]:
    """What `record` gives for these programs, when it is given them as nothing but cells."""
    by_slug = {program.slug: program for program in programs}

    def told(run: Run) -> None:
        if report:
            report(apart(by_slug[run.result.slug], run))

    runs = record(tuple(map(joined, programs)), told)
    return tuple(apart(program, run) for program, run in zip(programs, runs, strict=True))


def joined(program: Program) -> Program:
    """A program as nothing but cells."""
    plan = _plan(program)
    cells = [*map(_borrowed, program.prelude), *([_START] if plan.starts else []), *program.cells]
    after: dict[int, list[str]] = {}
    for inline, at in zip(program.values, plan.places, strict=True):
        after.setdefault(at, []).append(inline.code)
    lines = (*(one.line for one in program.prelude), *([1] if plan.starts else []), *program.lines)
    valued = tuple(replace(cell, values=tuple(after.get(i, ()))) for i, cell in enumerate(cells))
    return Program(program.slug, program.path, valued, lines, program.kernel)


def apart(program: Program, run: Run) -> Run:
    """The run of a joined program as one of the program itself."""
    plan, borrowed = _plan(program), len(program.prelude)
    results = [_renumbered(result, borrowed, plan.first) for result in run.result.results]
    own = tuple(replace(result, values=()) for result in results[plan.first :])
    log = replace(run.result.log, seconds=run.result.log.seconds[plan.first :])
    values = tuple(_values(results, plan.places))
    prelude = tuple(map(_errors_only, results[:borrowed]))
    return replace(run, result=ProgramResult(program.slug, own, log, prelude, values))


def _borrowed(one: Borrowed) -> Cell:
    """A cell as another note runs it. Its own note holds it to what its author wrote, and checks it."""
    options = replace(one.cell.options, gradcheck="off (checked in its own note)")
    return replace(one.cell, source=one.path, expected=None, options=options)


# ---------------------------------------------------------------- which cell is where


@dataclass(frozen=True, slots=True)
class _Plan:
    """`first` is the place of the program's first own cell, `starts` whether an empty one goes before it;
    `places` are those of the cells after which the values are evaluated."""

    first: int
    starts: bool
    places: tuple[int, ...]


def _plan(program: Program) -> _Plan:
    before = [_last_that_runs(program, inline.after) for inline in program.values]
    starts = -1 in before
    first = len(program.prelude) + starts
    return _Plan(first, starts, tuple(first + i for i in before))


def _last_that_runs(program: Program, after: int) -> int:
    """The last of the first `after` cells that its author wants run; -1 if there is none."""
    return next((i for i in range(after - 1, -1, -1) if skipped(program.cells[i]) is None), -1)


def _values(results: Sequence[CellResult], places: Sequence[int]) -> list[Value]:
    taken: dict[int, int] = {}
    found = []
    for at in places:
        n = taken[at] = taken.get(at, -1) + 1
        given = results[at].values if at < len(results) and results[at].status == "ok" else ()
        found.append(given[n] if n < len(given) else Value())
    return found


def _renumbered(result: CellResult, borrowed: int, first: int) -> CellResult:
    outputs = tuple(_with_frames(output, borrowed, first) for output in result.outputs)
    return replace(result, outputs=outputs)


def _with_frames(output: Output, borrowed: int, first: int) -> Output:
    return replace(output, frames=tuple(_frame(frame, borrowed, first) for frame in output.frames))


def _frame(frame: Frame, borrowed: int, first: int) -> Frame:
    if frame.cell is None:
        return frame
    return replace(frame, cell=-1 - frame.cell if frame.cell < borrowed else frame.cell - first)


def _errors_only(result: CellResult) -> CellResult:
    errors = tuple(output for output in result.outputs if output.kind == "error")
    return CellResult(result.status, errors, message=result.message, line=result.line)

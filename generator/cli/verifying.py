"""`verify NOTE` and `verify NOTE#label`: run cells again, whatever is remembered, and say what came of each.

A whole note that holds is remembered, so that the next build shows this run; a part of one is not.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace

from generator import checks, config, disk, memo
from generator.cli import building
from generator.cli.progress import Progress
from generator.execution import verify
from generator.model import Program, ProgramResult, Verdict


class _Forgetful:
    """A store of nothing."""

    def get(self, key: str) -> bytes | None:
        return None

    def put(self, key: str, value: bytes) -> None:
        pass


@dataclass(frozen=True, slots=True)
class _Verified:
    """A program that was run, and the numbers of the cells that were asked for."""

    program: Program
    asked: tuple[int, ...]
    result: ProgramResult
    verdicts: tuple[Verdict, ...]


def run(loaded: config.Loaded, names: tuple[str, ...], progress: Progress) -> int:
    """Verify the cells that are named; gives the exit code."""
    done = _verified(loaded, names, progress)
    progress.clear()
    if loaded.options.format == "json":
        sys.stdout.write(checks.as_json([line for one in done for line in _data(one)]) + "\n")
    else:
        sys.stdout.write("".join(line + "\n" for one in done for line in _lines(one)))
    bad = any(one.verdicts[i].grade in ("failed", "not-run") for one in done for i in one.asked)
    return checks.CELL_FAILED if bad else 0


def _verified(loaded: config.Loaded, names: tuple[str, ...], progress: Progress) -> list[_Verified]:
    from generator import pipeline
    from generator.cli import cells

    fresh = replace(loaded, options=replace(loaded.options, fresh=True, frozen=False, no_exec=False))
    with disk.lock(loaded.cache_dir):
        store = memo.SqliteStore(loaded.cache_dir / "memo.sqlite")
        try:
            vault = building.scanned(loaded, store)
            parsed, _ = pipeline.read(vault, loaded.config, memo.Memo(store))
            programs = pipeline.programs_of(pipeline.resolved(parsed, vault))
            done = []
            for name in names:
                for program, asked in _meant(programs, name):
                    whole = len(asked) == len(program.cells)
                    with cells.executor(fresh, store if whole else _Forgetful(), 1) as executor:
                        result = executor.run([program], progress.ran)[0]
                    verdicts = tuple(map(verify.judge, program.cells, result.results))
                    done.append(_Verified(program, asked, result, verdicts))
            return done
        finally:
            store.close()


def _meant(programs: tuple[Program, ...], name: str) -> list[tuple[Program, tuple[int, ...]]]:
    """The programs that a name means, as far as they are to be run, and the cells that are asked for."""
    path, _, label = name.partition("#")
    exact = [one for one in programs if one.path == path]
    chosen = exact or [one for one in programs if building.is_meant(one.path, (path,))]
    if not label:
        found = [(one, tuple(range(len(one.cells)))) for one in chosen]
    else:
        label = label.removeprefix("^")
        found = [
            (_up_to(one, i), (i,))
            for one in chosen
            for i, cell in enumerate(one.cells)
            if cell.label == label
        ]
    if not found:
        raise config.ConfigError(f"no note has a cell called “{name}”; write NOTE.md or NOTE.md#label")
    return found


def _up_to(program: Program, last: int) -> Program:
    """A program without the cells behind one of them."""
    values = tuple(one for one in program.values if one.after <= last + 1)
    return replace(program, cells=program.cells[: last + 1], lines=program.lines[: last + 1], values=values)


# ---------------------------------------------------------------- words


def _lines(one: _Verified) -> Iterator[str]:
    for i in one.asked:
        verdict, outcome, cell = one.verdicts[i], one.result.results[i], one.program.cells[i]
        line = one.program.lines[i] + max(verdict.line or outcome.line, 1) - 1
        said = f": {verdict.message}" if verdict.message else ""
        yield f"{one.program.path}:{line}: cell {cell.label}: {verdict.grade.replace('-', ' ')}{said}"
        for comparison in verdict.comparisons:
            yield f"    {comparison.what} {comparison.expected}: {_held(comparison.held)} {comparison.actual}"
        for check in verdict.checks:
            yield f"    {check.kind} check of {check.what}: {check.outcome}"
        yield from (f"    not checked: {sentence}" for sentence in verdict.unchecked)


def _held(held: bool) -> str:
    return "held, found" if held else "did not hold, found"


def _data(one: _Verified) -> Iterator[dict[str, object]]:
    for i in one.asked:
        verdict, log = one.verdicts[i], one.result.log
        yield {
            "note": one.program.path,
            "label": one.program.cells[i].label,
            "line": one.program.lines[i],
            "grade": verdict.grade,
            "message": verdict.message or one.result.results[i].message,
            "seconds": log.seconds[i] if i < len(log.seconds) else 0.0,
            "not_checked": list(verdict.unchecked),
        }

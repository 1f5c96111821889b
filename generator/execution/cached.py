"""Remembering runs: an executor in front of another, that runs only what may come out differently.

What a run depends on is known in two steps. First what can be said without running: the syntax of
the cells (so comments and layout are free), the options that matter, the kernel, Python, the settings. Their
digest is the *key*. Under it lies the last run together with its manifest: the packages that were imported
and the files that were read. It is good as long as all of them are still the same.

Expectations are no part of the key: they are judged anew in every build. Only a *new* `# =>` needs a
run, because only statements that had one were observed.
"""

from __future__ import annotations

import ast
import importlib.metadata
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from generator.execution import surroundings
from generator.execution.expectations import observed, parse
from generator.execution.manifest import changed
from generator.execution.protocol import (
    SEMANTICS,
    Environment,
    Recorder,
    Report,
    Run,
    same_for_all,
)
from generator.memo import Store, decode, digest, encode
from generator.model import Cell, CellResult, Observation, Program, ProgramResult

Mode = Literal["normal", "fresh", "frozen", "no-exec"]
"""`fresh` runs everything and remembers it; `frozen` runs nothing and calls stale what is not valid;
`no-exec` runs nothing and shows nothing."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Where the statements of a cell started when it ran, and which of them were observed."""

    lines: tuple[int, ...]
    observed: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """A run as it is stored. `text` is a digest of the cells' very text; where an output speaks of lines the
    run is `bound` to it."""

    run: Run
    shapes: tuple[Shape, ...]
    text: str
    bound: bool


@dataclass(frozen=True, slots=True)
class Parts:
    """What a key is made of, each part by its digest: enough to say what changed. `used` are the cells that
    are borrowed, each with its name; `values` the expressions between the cells."""

    cells: tuple[str, ...]
    options: tuple[str, ...]
    used: tuple[tuple[str, str], ...]
    values: tuple[str, ...]
    kernel: str
    python: str
    settings: str
    engine: str


_WORDS = (
    ("kernel", "the kernel"),
    ("python", "the version of Python"),
    ("settings", "the settings of JAX or of the environment"),
    ("engine", "the way cells are run"),
)


class Cached:
    """An executor that looks results up in `store` before it asks `inner`."""

    def __init__(
        self, inner: Recorder, store: Store, environment: Environment, mode: Mode = "normal"
    ) -> None:
        self._inner = inner
        self._store = store
        self._environment = environment
        self._mode = mode
        self._surroundings = (
            digest(sys.version),
            digest(surroundings.configuration(environment)),
            digest((SEMANTICS, importlib.metadata.version("ipython"))),
        )

    def run(self, programs: Sequence[Program], report: Report | None = None) -> tuple[ProgramResult, ...]:
        """See `Executor`."""
        results: dict[int, ProgramResult] = {}

        def done(index: int, result: ProgramResult) -> None:
            results[index] = result
            if report:
                report(result)

        waiting = []
        for index, program in enumerate(programs):
            known = self._without_running(program)
            done(index, known) if known else waiting.append(index)
        if waiting:
            places = {programs[index].slug: index for index in waiting}

            def ran(run: Run) -> None:
                index = places[run.result.slug]
                done(index, self._remember(programs[index], run))

            self._inner.record([programs[index] for index in waiting], ran)
        return tuple(results[index] for index in range(len(programs)))

    def explain(self, program: Program) -> str:
        """Why a program would have to run, as the end of a sentence; "" if its result is valid."""
        found = self._look_up(program)
        return found if isinstance(found, str) else ""

    # ------------------------------------------------------------ looking up

    def _without_running(self, program: Program) -> ProgramResult | None:
        if self._mode == "no-exec":
            return same_for_all(program, "not-run", "Not run: this build was told to run no cells.")
        if self._mode == "fresh":
            return None
        found = self._look_up(program)
        if isinstance(found, ProgramResult):
            return found
        if self._mode == "normal":
            return None
        message = f"Stale: {found}. A build without --frozen brings it up to date."
        return same_for_all(program, "stale", message)

    def _look_up(self, program: Program) -> ProgramResult | str:
        """The valid result of a program, or why there is none."""
        parts = self._parts(program)
        entry = self._entry(digest(parts))
        if entry is None or len(entry.shapes) != len(program.cells):
            return self._difference(program, parts)
        same = entry.text == _text(program)
        if entry.bound and not same:
            return "the layout of its code has changed, and an output speaks of lines"
        shapes = entry.shapes if same else _shapes(program)
        for i, (then, now) in enumerate(zip(entry.shapes, shapes, strict=True)):
            if not set(_ordinals(now)) <= set(_ordinals(then)):
                return f"cell {program.cells[i].label} has a new expectation, and its value was not observed"
        folder = surroundings.folder_of(program.path, self._environment)
        vault = os.path.realpath(self._environment.vault) if self._environment.vault else ""
        return changed(entry.run.manifest, vault, folder) or _as_of(program, entry, shapes)

    def _entry(self, key: str) -> Entry | None:
        data = self._store.get(f"run-{key}")
        if data is None:
            return None
        try:
            entry: Entry = decode(data, Entry)
        except ValueError:
            return None
        return entry

    def _difference(self, program: Program, parts: Parts) -> str:
        """Which part of the key differs from the last run of this note."""
        data = self._store.get(_last_key(program))
        try:
            last: Parts | None = decode(data, Parts) if data else None
        except ValueError:
            last = None
        if last is None:
            return "it has never run here without a failure"
        if len(last.cells) != len(parts.cells):
            return "cells were added or removed"
        for i, cell in enumerate(program.cells):
            if last.cells[i] != parts.cells[i]:
                return f"the code of cell {cell.label} has changed"
            if last.options[i] != parts.options[i]:
                return f"the options of cell {cell.label} have changed"
        if last.used != parts.used:
            return _borrowing(dict(last.used), dict(parts.used))
        if last.values != parts.values:
            return "the values in its sentences have changed"
        words = [words for name, words in _WORDS if getattr(last, name) != getattr(parts, name)]
        return f"{words[0]} changed" if words else "its stored result is gone"

    # ------------------------------------------------------------ remembering

    def _remember(self, program: Program, run: Run) -> ProgramResult:
        parts = self._parts(program)
        key = digest(parts)
        run = replace(run, result=replace(run.result, log=replace(run.result.log, key=key)))
        fine = all(
            result.status in ("ok", "skipped") for result in (*run.result.results, *run.result.prelude)
        ) and all(value.status == "ok" for value in run.result.values)
        if fine and run.manifest.complete and not run.manifest.network:
            bound = any(map(_speaks_of_lines, run.result.results))
            entry = Entry(run, _shapes(program), _text(program), bound)
            self._store.put(f"run-{key}", encode(entry))
            self._store.put(_last_key(program), encode(parts))
        return run.result

    # ------------------------------------------------------------ keys

    def _parts(self, program: Program) -> Parts:
        own, borrowed, values = self._syntax(program)
        used = (
            (f"{one.cell.label} of {one.path}", digest((syntax, _options(one.cell))))
            for one, syntax in zip(program.prelude, borrowed, strict=True)
        )
        after = (inline.after for inline in program.values)
        python, settings, engine = self._surroundings
        return Parts(
            own,
            tuple(digest(_options(cell)) for cell in program.cells),
            tuple(used),
            tuple(map(digest, zip(values, after, strict=True))),
            program.kernel,
            python,
            settings,
            engine,
        )

    def _syntax(self, program: Program) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
        """A digest of the syntax of each cell, borrowed cell and value. Taking one is slow, so they are
        remembered by the text."""
        key = f"syntax-{_text(program)}"
        data = self._store.get(key)
        known: list[str] = data.decode().split() if data else []
        codes = _codes(program)
        if len(known) != len(codes):
            known = list(map(_syntax, codes))
            self._store.put(key, " ".join(known).encode())
        own, borrowed = len(program.cells), len(program.prelude)
        return tuple(known[:own]), tuple(known[own : own + borrowed]), tuple(known[own + borrowed :])


def _syntax(code: str) -> str:
    try:
        return digest(ast.dump(ast.parse(code)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return digest(("text", code))  # A magic, or a mistake.


def _options(cell: Cell) -> tuple[str, ...]:
    return cell.options.raises, cell.options.skip, cell.options.needs, cell.language


def _codes(program: Program) -> tuple[str, ...]:
    borrowed = (one.cell.code for one in program.prelude)
    values = (inline.code.strip() for inline in program.values)
    return *(cell.code for cell in program.cells), *borrowed, *values


def _text(program: Program) -> str:
    return digest((sys.version_info[:2], _codes(program)))


def _borrowing(last: dict[str, str], now: dict[str, str]) -> str:
    """What is different about the cells that are borrowed, as the end of a sentence."""
    for name in now:
        if name not in last:
            return f"it uses cell {name} as well"
        if last[name] != now[name]:
            return f"cell {name}, which it uses, has changed"
    gone = next((name for name in last if name not in now), "")
    return f"it no longer uses cell {gone}" if gone else "the cells that it uses come in another order"


def _last_key(program: Program) -> str:
    return f"last-{digest(program.path)}"


# ---------------------------------------------------------------- statements then and now


def _shapes(program: Program) -> tuple[Shape, ...]:
    return tuple(_shape(cell.code) for cell in program.cells)


def _shape(code: str) -> Shape:
    marked = observed(code)
    if not marked:
        return Shape((), ())
    tree = parse(code)
    return Shape(tuple(s.lineno for s in tree.body) if tree else (), tuple(sorted(marked)))


def _ordinals(shape: Shape) -> Iterable[int]:
    """Which statements were observed, by their number in the cell: lines move, this does not. Of several
    on a line the last is meant."""
    return [len(shape.lines) - 1 - shape.lines[::-1].index(line) for line in shape.observed]


def _as_of(program: Program, entry: Entry, shapes: Sequence[Shape]) -> ProgramResult:
    """A stored result as if it had just been made for the text as it is now."""
    old = entry.run.result
    results = map(_moved, old.results, entry.shapes, shapes)
    return replace(old, slug=program.slug, results=tuple(results), log=replace(old.log, cached=True))


def _moved(result: CellResult, then: Shape, now: Shape) -> CellResult:
    lines = {line: now.lines[n] for line, n in zip(then.observed, _ordinals(then), strict=True) if now.lines}
    seen: Callable[[Observation], Observation] = lambda o: replace(o, line=lines.get(o.line, o.line))  # noqa: E731
    return replace(result, observations=tuple(map(seen, result.observations)))


def _speaks_of_lines(result: CellResult) -> bool:
    in_frames = any(frame.cell is not None for output in result.outputs for frame in output.frames)
    return in_frames or any("<cell " in output.text for output in result.outputs)

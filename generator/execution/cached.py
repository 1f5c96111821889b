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
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Literal

from generator.execution import surroundings
from generator.execution.entry import Entry, Last, Parts, Shape, difference
from generator.execution.evidence import OUTSIDE, Lookup, beside, portable
from generator.execution.expectations import observed, parse
from generator.execution.manifest import changed, fingerprint, location, look_again, version_of
from generator.execution.protocol import (
    SEMANTICS,
    Environment,
    Manifest,
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


class Cached:
    """An executor that looks results up in `store` before it asks `inner`."""

    def __init__(
        self,
        inner: Recorder,
        store: Store,
        environment: Environment,
        mode: Mode = "normal",
        evidence: Lookup = lambda path: None,
        reverify: float = 0.0,
        elsewhere: bool = False,
    ) -> None:
        """`evidence` is what is kept beside the notes. Where something has to run anyway, up to `reverify`
        seconds are spent on running the oldest results again. `elsewhere`: cells may find there what they
        need and did not find here."""
        self._inner = inner
        self._store = store
        self._environment = environment
        self._mode = mode
        self._evidence = evidence
        self._reverify = reverify
        self._elsewhere = elsewhere
        self._settings = surroundings.configuration(environment)
        look_again()

    def run(self, programs: Sequence[Program], report: Report | None = None) -> tuple[ProgramResult, ...]:
        """See `Executor`."""
        results: dict[int, ProgramResult] = {}

        def done(index: int, result: ProgramResult) -> None:
            results[index] = result
            if report:
                report(result)

        known = {i: found for i, one in enumerate(programs) if (found := self._without_running(one))}
        waiting = [index for index in range(len(programs)) if index not in known]
        again = self._oldest(known) if waiting and self._mode == "normal" else set()
        waiting += sorted(again)
        for index in known.keys() - again:
            done(index, known[index])
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
        if isinstance(found, str) and self._mode == "frozen":
            recorded = self._recorded(program)
            return recorded if isinstance(recorded, str) else ""
        return found if isinstance(found, str) else ""

    @cached_property
    def _commit(self) -> str:
        """Asked for only where something runs, and once."""
        return surroundings.commit(self._environment.vault)

    def kept(self, program: Program) -> tuple[Parts, Entry] | None:
        """The valid run of a program, if there is one in the store, and what it was a run of."""
        parts = self._parts(program)
        return (parts, entry) if (entry := self._entry(digest(parts))) and not self.explain(program) else None

    # ------------------------------------------------------------ looking up

    def _without_running(self, program: Program) -> ProgramResult | None:
        if self._mode == "no-exec":
            return same_for_all(program, "not-run", "Not run: this build was told to run no cells.")
        if self._mode == "fresh":
            return None
        found = self._look_up(program)
        if not isinstance(found, str):
            return self._beside(program, found[1], found[0])
        if self._mode == "normal":
            return None
        recorded = self._recorded(program)
        if isinstance(recorded, ProgramResult):
            return recorded
        mended = f"“build.py accept --evidence '{program.path}'” where its cells can run mends that"
        return same_for_all(program, "stale", f"Stale: {found}; {recorded}. {mended}.")

    def _oldest(self, known: Mapping[int, ProgramResult]) -> set[int]:
        """The results that are to be had again, oldest first, as far as there is time: none of the last
        day."""
        chosen: set[int] = set()
        left = self._reverify
        for index in sorted(known, key=lambda index: known[index].log.when):
            log, seconds = known[index].log, sum(known[index].log.seconds)
            due = bool(log.when) and log.when < _days_ago(1)
            late = (
                not chosen and self._reverify > 0 and log.when < _days_ago(30)
            )  # too slow for its turn till now
            if due and (seconds <= left or late):
                chosen.add(index)
                left -= seconds
        return chosen

    def _recorded(self, program: Program) -> ProgramResult | str:
        """The result of a program in the evidence beside the notes, or why it does not hold. What is not here
        to be asked, a package or a setting of another machine, is taken as the evidence has it."""
        evidence = self._evidence(program.path)
        if evidence is None:
            return "no evidence of it is kept beside the notes"
        parts, entry = self._parts(program), evidence.entry
        theirs = replace(
            evidence.parts, settings=parts.settings, python=_near(evidence.parts.python, parts.python)
        )
        different = difference(theirs, parts, _labels(program), ((), ()))
        found = different or self._fit(program, _here(entry))
        if isinstance(found, str):
            return f"since the evidence beside the notes was made, {found}"
        results = tuple(replace(result, recorded=True) for result in found.results)
        return beside(replace(found, results=results), evidence, parts, same=True)

    def _look_up(self, program: Program) -> tuple[ProgramResult, Manifest] | str:
        """The valid result of a program and what it depended on, or why there is none."""
        parts = self._parts(program)
        entry = self._entry(digest(parts))
        if entry is None or len(entry.shapes) != len(program.cells):
            return self._difference(program, parts)
        for cell, result in zip(program.cells, entry.run.result.results, strict=True):
            if (
                self._elsewhere
                and cell.options.needs
                and not cell.options.skip
                and result.status == "skipped"
            ):
                return f"cell {cell.label} needs {cell.options.needs}, and there may be one now"
        found = self._fit(program, entry)
        return found if isinstance(found, str) else (found, entry.run.manifest)

    def _fit(self, program: Program, entry: Entry) -> ProgramResult | str:
        """The result of an entry for a program with the same key, or why it does not hold."""
        same = entry.text == _text(program)
        if entry.bound and not same:
            return "the layout of its code has changed, and an output speaks of lines"
        shapes = entry.shapes if same else _shapes(program)
        for i, (then, now) in enumerate(zip(entry.shapes, shapes, strict=True)):
            if not set(_ordinals(now)) <= set(_ordinals(then)):
                return f"cell {program.cells[i].label} has a new expectation, and its value was not observed"
        return changed(entry.run.manifest, *self._folders(program)) or _as_of(program, entry, shapes)

    def _folders(self, program: Program) -> tuple[str, str]:
        vault = os.path.realpath(self._environment.vault) if self._environment.vault else ""
        return vault, surroundings.folder_of(program.path, self._environment)

    def _beside(self, program: Program, manifest: Manifest, result: ProgramResult) -> ProgramResult:
        """A result that was made here, with what the evidence adds to it: also the results of cells that need
        what this machine does not have."""
        evidence = self._evidence(program.path)
        if evidence is None:
            return result
        parts = self._parts(program)
        lacking = [i for i, cell in enumerate(program.cells) if _is_lacking(cell, result.results[i])]
        recorded = self._recorded(program) if lacking else ""
        if isinstance(recorded, ProgramResult):
            filled = {i: recorded.results[i] for i in lacking if recorded.results[i].status == "ok"}
            result = replace(
                result, results=tuple(filled.get(i, one) for i, one in enumerate(result.results))
            )
        theirs = replace(evidence.parts, python=_near(evidence.parts.python, parts.python, 3))
        same = theirs == parts and portable(manifest) == evidence.entry.run.manifest
        return beside(result, evidence, parts, same)

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
        data = self._store.get(self._last_key(program))
        try:
            last: Last | None = decode(data, Last) if data else None
        except ValueError:
            last = None
        if last is None:
            return "it has never run here without a failure"
        codes = tuple(cell.code for cell in program.cells)
        different = difference(last.parts, parts, _labels(program), (last.codes, codes))
        return different or "its stored result is gone"

    def _last_key(self, program: Program) -> str:
        return f"last-{digest((program.path, self._environment.variables))}"

    # ------------------------------------------------------------ remembering

    def _remember(self, program: Program, run: Run) -> ProgramResult:
        parts = self._parts(program)
        key = digest(parts)
        run = replace(run, manifest=self._with_deps(program, run.manifest))
        log = replace(run.result.log, key=key, commit=self._commit)
        run = replace(run, result=replace(run.result, log=log))
        fine = all(
            result.status in ("ok", "skipped") for result in (*run.result.results, *run.result.prelude)
        ) and all(value.status == "ok" for value in run.result.values)
        if fine and run.manifest.complete and not run.manifest.network:
            bound = any(map(_speaks_of_lines, run.result.results))
            entry = Entry(run, _shapes(program), _text(program), bound)
            self._store.put(f"run-{key}", encode(entry))
            last = Last(parts, tuple(cell.code for cell in program.cells))
            self._store.put(self._last_key(program), encode(last))
        return self._beside(program, run.manifest, run.result)

    def _with_deps(self, program: Program, manifest: Manifest) -> Manifest:
        """A manifest with the inputs that the note itself declares, which nothing could see being opened."""
        inputs = dict(manifest.inputs)
        vault, folder = self._folders(program)
        for name in _deps(program):
            path = os.path.normpath(f"{vault}{name}" if name.startswith("/") else f"{folder}/{name}")
            inputs[location(path, vault, folder)] = fingerprint(path)
        return replace(manifest, inputs=tuple(sorted(inputs.items())))

    # ------------------------------------------------------------ keys

    def _parts(self, program: Program) -> Parts:
        own, borrowed, values = self._syntax(program)
        used = (
            (f"{one.cell.label} of {one.path}", digest((syntax, _options(one.cell))))
            for one, syntax in zip(program.prelude, borrowed, strict=True)
        )
        after = (inline.after for inline in program.values)
        return Parts(
            own,
            tuple(", ".join(filter(None, _options(cell))) for cell in program.cells),
            tuple(used),
            tuple(map(digest, zip(values, after, strict=True))),
            _deps(program),
            program.kernel,
            sys.version,
            self._settings,
            f"{SEMANTICS} on IPython {importlib.metadata.version('ipython')}, "
            f"derivatives {self._environment.gradcheck}",
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
    options = cell.options
    return tuple(
        f"{name}: {value}"
        for name, value in (
            ("raises", options.raises),
            ("skip", options.skip),
            ("needs", options.needs),
            ("language", cell.language),
            ("gradcheck", "off" * options.gradcheck.startswith("off")),
        )
        if value
    )


def _deps(program: Program) -> tuple[str, ...]:
    """The inputs that a note and its cells declare; those of borrowed cells are named from the vault's
    folder."""
    named = {*program.deps, *(name for cell in program.cells for name in _split(cell))}
    for one in program.prelude:
        base = "/" + one.path.rpartition("/")[0]
        named.update(name if name.startswith("/") else f"{base}/{name}" for name in _split(one.cell))
    return tuple(sorted(named))


def _split(cell: Cell) -> list[str]:
    return [name.strip() for name in cell.options.deps.split(",") if name.strip()]


def _labels(program: Program) -> tuple[str, ...]:
    return tuple(cell.label for cell in program.cells)


def _is_lacking(cell: Cell, result: CellResult) -> bool:
    """Whether a cell was left out for want of a device, and not because its author wants it left out."""
    return result.status == "skipped" and bool(cell.options.needs) and not cell.options.skip


def _days_ago(days: int) -> str:
    return (datetime.now(UTC) - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _near(theirs: str, ours: str, parts: int = 2) -> str:
    """Our version of Python in place of theirs, if so many of its parts are the same."""
    alike = theirs.split()[0].split(".")[:parts] == ours.split()[0].split(".")[:parts]
    return ours if alike else theirs


def _here(entry: Entry) -> Entry:
    """An entry of another machine with those of its conditions that can be looked at on this one."""
    manifest = entry.run.manifest
    packages = tuple((name, version) for name, version in manifest.packages if version_of(name))
    inputs = tuple((where, seen) for where, seen in manifest.inputs if not where.startswith(OUTSIDE))
    return replace(
        entry, run=replace(entry.run, manifest=replace(manifest, packages=packages, inputs=inputs))
    )


def _codes(program: Program) -> tuple[str, ...]:
    borrowed = (one.cell.code for one in program.prelude)
    values = (inline.code.strip() for inline in program.values)
    return *(cell.code for cell in program.cells), *borrowed, *values


def _text(program: Program) -> str:
    return digest((sys.version_info[:2], _codes(program)))


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
    if then is not now:  # Where a check was made is known only for the text that ran.
        result = replace(result, checks=tuple(replace(check, line=0) for check in result.checks))
    return replace(result, observations=tuple(map(seen, result.observations)))


def _speaks_of_lines(result: CellResult) -> bool:
    in_frames = any(frame.cell is not None for output in result.outputs for frame in output.frames)
    refuted = any(check.outcome == "failed" and check.line for check in result.checks)
    return in_frames or refuted or any("<cell " in output.text for output in result.outputs)

"""What every executor is: programs in, results out, under stated limits.

An executor runs the cells of notes and never raises because of what a note does; `Unavailable` says that
it cannot run any as it was asked to. Whoever wants to know
what a run depended on asks a `Recorder`, which hands back the same results with a manifest each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from generator.model import Cell, CellResult, CellStatus, Program, ProgramResult, RunLog

SEMANTICS = "2"
"""Version of what running a cell means here: raised whenever equal code may give other outputs."""

Report = Callable[[ProgramResult], None]


@dataclass(frozen=True, slots=True)
class Limits:
    """What one note may use. `grace_seconds` pass between asking a cell to stop and killing its process;
    `output_bytes` holds for each cell, `processes` for a note and everything it started."""

    cell_seconds: float = 60.0
    note_seconds: float = 600.0
    grace_seconds: float = 2.0
    memory_bytes: int = 4 << 30
    output_bytes: int = 5_000_000
    file_bytes: int = 1 << 30
    open_files: int = 1024
    processes: int = 128


@dataclass(frozen=True, slots=True)
class Environment:
    """Where programs run.

    `vault` is the absolute folder of the notes ("" if there is none): a cell finds its note's folder in
    the variable `NOTE_DIR` and may import modules from it. `cache` is a folder private to the
    garden (compiled programs, font lists), "" for none. `variables` are set for every cell, over the ones
    that are let through from outside. `sandbox`: `auto` fences cells in as far as the machine allows,
    `require` all or nothing, `off` not at all. `gradcheck`: whether derivatives that cells take are repeated
    in double precision, and what a refuted one is.
    """

    vault: str = ""
    cache: str = ""
    jobs: int = 1
    limits: Limits = Limits()
    variables: tuple[tuple[str, str], ...] = ()
    sandbox: Literal["auto", "require", "off"] = "auto"
    gradcheck: Literal["fail", "report", "off"] = "off"


class Unavailable(Exception):
    """Something that was asked for is not to be had here, so that no cell may run."""


class Executor(Protocol):
    """Runs programs; `report` hears of each as it is done, in any order; the answer is in order."""

    def run(self, programs: Sequence[Program], report: Report | None = None) -> tuple[ProgramResult, ...]: ...


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a run turned out to depend on.

    `packages` are distributions and versions, `inputs` locations and fingerprints (see `manifest`),
    `network` the addresses it talked to. `complete` is False where the run could not be watched.
    """

    packages: tuple[tuple[str, str], ...] = ()
    inputs: tuple[tuple[str, str], ...] = ()
    network: tuple[str, ...] = ()
    complete: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """A program's result and what it depended on."""

    result: ProgramResult
    manifest: Manifest = Manifest()


class Recorder(Executor, Protocol):
    """An executor that also says what each run depended on."""

    def record(
        self, programs: Sequence[Program], report: Callable[[Run], None] | None = None
    ) -> tuple[Run, ...]: ...


def results_only(
    recorder: Recorder, programs: Sequence[Program], report: Report | None
) -> tuple[ProgramResult, ...]:
    """What `Executor.run` is for a `Recorder`: its runs without what they depended on."""
    runs = recorder.record(programs, (lambda run: report(run.result)) if report else None)
    return tuple(run.result for run in runs)


def same_for_all(
    program: Program, status: CellStatus, message: str, log: RunLog | None = None
) -> ProgramResult:
    """A result that says the same of every cell, for a program that could not be run."""
    result = CellResult(status, message=message)
    return ProgramResult(program.slug, (result,) * len(program.cells), log or RunLog())


def skipped(cell: Cell, has: Sequence[str] = ()) -> CellResult | None:
    """The result of a cell that its author does not want run here, or None. `has` lists what there is
    (`gpu`)."""
    if cell.options.skip:
        return CellResult("skipped", message=f"Not run: {cell.options.skip}.".replace("..", "."))
    if cell.options.needs and cell.options.needs not in has:
        return CellResult("skipped", message=f"Not run: needs {cell.options.needs}, and there is none here.")
    return None


def blocked(by: int, program: Program) -> CellResult:
    """The result of a cell after the failed cell `by`."""
    cell = program.cells[by]
    which = (
        f"{cell.label} of {cell.source}, which this note uses," if cell.source else f"{cell.label} before it"
    )
    return CellResult("blocked", message=f"Not run, because cell {which} failed.")

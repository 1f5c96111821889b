"""Runs each program where it can run on this machine: in the zygote, or in a Jupyter kernel."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from generator.execution.jupyter import Jupyter
from generator.execution.protocol import Environment, Recorder, Report, Run, results_only
from generator.execution.zygote import Zygote, unavailable
from generator.model import Program, ProgramResult


class Local:
    """A `Recorder` that asks the zygote for Python and a kernel for everything else. With `wanted`
    `jupyter`, or where there is no fork, kernels run everything."""

    def __init__(self, environment: Environment, wanted: str = "zygote") -> None:
        self._jupyter = Jupyter(environment)
        self._zygote = Zygote(environment) if wanted == "zygote" and not unavailable() else None

    def run(self, programs: Sequence[Program], report: Report | None = None) -> tuple[ProgramResult, ...]:
        """See `Executor`."""
        return results_only(self, programs, report)

    def record(
        self, programs: Sequence[Program], report: Callable[[Run], None] | None = None
    ) -> tuple[Run, ...]:
        """See `Recorder`."""
        runs: dict[int, Run] = {}
        for wanted in (True, False):
            executor: Recorder = self._zygote if wanted and self._zygote else self._jupyter
            part = [i for i, program in enumerate(programs) if self._in_zygote(program) == wanted]
            if part:
                done = executor.record([programs[i] for i in part], report)
                runs.update(zip(part, done, strict=True))
        return tuple(runs[i] for i in range(len(programs)))

    def hurry(self, codes: Iterable[str]) -> None:
        """See `Zygote.hurry`."""
        if self._zygote:
            self._zygote.hurry(codes)

    def close(self) -> None:
        """End what was started."""
        if self._zygote:
            self._zygote.close()

    def _in_zygote(self, program: Program) -> bool:
        plain = program.kernel == "python3" and all(cell.language == "python" for cell in program.cells)
        return self._zygote is not None and plain

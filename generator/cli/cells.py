"""Which executor runs the cells of this build."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from generator import config, memo
from generator.execution.protocol import Environment, Executor, Limits, Report, same_for_all
from generator.model import Program, ProgramResult


class NotRun:
    def run(self, programs, report=None):
        return tuple(same_for_all(p, "not-run", "Cells were not run in this build.") for p in programs)


@contextmanager
def executor(loaded: config.Loaded, store: memo.Store, jobs: int) -> Iterator[Executor]:
    from generator.execution.zygote import Zygote

    if loaded.options.no_exec:
        yield NotRun()
        return
    cells = loaded.config.cells
    limits = Limits(cell_seconds=cells.timeout, note_seconds=cells.note_timeout, memory_bytes=cells.memory_mb << 20)
    z = Zygote(Environment(str(loaded.notes_dir), str(loaded.cache_dir), jobs, limits))
    try:
        yield z
    finally:
        z.close()

"""Running the cells of notes, and judging what came out. Imports only `model` and `memo` of the garden."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from generator.execution.protocol import Executor


def choose(loaded: Any, jobs: int) -> Executor:
    """The executor that settings ask for, with the cache in front of it.

    `loaded` is a `config.Loaded`: its options say which executor and whether anything may run, its config
    the limits, its folders where things are. No process is started and no library loaded before a program
    has to be run.
    """
    from generator.execution.cached import Cached, Mode
    from generator.execution.local import Local
    from generator.execution.protocol import Environment, Limits
    from generator.memo import SqliteStore

    cells, options = loaded.config.cells, loaded.options
    limits = Limits(cells.timeout, cells.note_timeout, memory_bytes=cells.memory_mb << 20)
    cache = Path(loaded.cache_dir).absolute()
    environment = Environment(str(Path(loaded.notes_dir).absolute()), str(cache), jobs, limits)
    mode: Mode = "normal"
    if options.no_exec:
        mode = "no-exec"
    elif options.frozen:
        mode = "frozen"
    elif options.fresh:
        mode = "fresh"
    store = SqliteStore(cache / "cells.sqlite")
    return Cached(Local(environment, options.executor), store, environment, mode, store.prune)

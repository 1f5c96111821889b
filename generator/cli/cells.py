"""Which executor runs the cells of this build, and whether results of an earlier one still hold."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

from generator import config, disk, memo
from generator.execution.cached import Cached, Mode
from generator.execution.entry import Entry, Parts
from generator.execution.evidence import FOLDER, Lookup, from_files
from generator.execution.local import Local
from generator.execution.protocol import Environment, Executor, Limits, Recorder, Report, Unavailable
from generator.model import Program, ProgramResult, Vault

if TYPE_CHECKING:
    from generator.execution.dask import Dask


class Kept:
    """What runs cells, kept open from build to build by a process that makes many:

        with Kept() as kept:
            while ...:
                building.outcome(loaded, progress, write=True, kept=kept)

    No process is started before a cell has to run. The one that there is then (see `Zygote`) is replaced when
    it has died, and when a new one would be another: with other options, limits or folders, after something
    was installed. Modules beside the notes are imported anew for each run. A cluster is not kept: it has its
    own copies of the notes. Whoever wants to give memory back calls `close`; the next build opens it again.
    """

    def __init__(self) -> None:
        self._inner: Local | None = None
        self._made_for: tuple[str, Environment] | None = None

    def inner(self, where: str, surroundings: Environment) -> Local:
        """What runs cells on this machine, in these surroundings."""
        if self._inner is None or self._made_for != (where, surroundings):
            self.close()
            self._inner, self._made_for = Local(surroundings, where), (where, surroundings)
        return self._inner

    def hurry(self, loaded: config.Loaded, jobs: int, texts: Sequence[str]) -> None:
        """Have what runs cells begin to import what these texts name, without waiting for it."""
        where = loaded.options.executor
        if not _is_cluster(where):
            self.inner(where, environment(loaded, jobs)).hurry(texts)

    def close(self) -> None:
        """End what was started."""
        if self._inner:
            self._inner.close()
        self._inner = None

    def __enter__(self) -> Kept:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


@contextmanager
def executor(
    loaded: config.Loaded,
    store: memo.Store,
    jobs: int,
    kept: Kept | None = None,
    around: Callable[[Recorder], Recorder] = lambda inner: inner,
) -> Iterator[Executor]:
    """The executor for this build. What it has started is ended when the context is left, unless it is `kept`
    open by somebody else. `around` may stand between what is remembered and what runs cells."""
    where, surroundings = loaded.options.executor, environment(loaded, jobs)
    lasting = kept if not _is_cluster(where) else None
    inner = lasting.inner(where, surroundings) if lasting else _inner(where, surroundings)
    try:
        yield Cached(
            around(inner),
            store,
            surroundings,
            _mode(loaded.options),
            evidence(loaded),
            loaded.options.reverify,
            _is_cluster(where),
        )
    finally:
        if not lasting:
            inner.close()


def likely_to_run(loaded: config.Loaded, vault: Vault, last: Sequence[Program] | None) -> list[str]:
    """The texts of notes whose cells will have to run, as far as a look at them tells before they are parsed:
    all that have cells, where nothing is known of a `last` build, and otherwise those in which lines of
    code of that build are missing. A wrong guess costs time, or saves none; it changes no result."""
    options = loaded.options
    if options.no_exec or options.frozen:
        return []
    if last is None:
        fence = _FENCE if loaded.config.cells.plain == "run" else _BRACED
        return [one.text for one in vault.sources if one.path.endswith(".ipynb") or fence.search(one.text)]
    texts = {source.path: source.text for source in vault.sources}
    known = [one for one in last if one.path in texts and not one.path.endswith(".ipynb")]
    return [texts[one.path] for one in known if not _has_code(texts[one.path], one)]


_BRACED = re.compile(r"^[ \t>]*(?:`{3,}|~{3,}) *\{(?:python|code-cell)\b", re.MULTILINE)
_FENCE = re.compile(r"^[ \t>]*(?:`{3,}|~{3,}) *(?:\{code-cell\b|\{?python\b)", re.MULTILINE)


def _has_code(text: str, program: Program) -> bool:
    """Whether the lines of a program are all in a text, however they are indented or quoted there."""
    lines = {line.lstrip(" \t>").rstrip() for line in text.split("\n")}
    return all(
        line.lstrip(" \t>").rstrip() in lines for cell in program.cells for line in cell.code.split("\n")
    )


def _is_cluster(where: str) -> bool:
    return where.startswith("tcp:")


def _inner(where: str, surroundings: Environment) -> Local | Dask:
    if not _is_cluster(where):
        return Local(surroundings, where)
    try:
        from generator.execution.dask import Dask  # here: it brings a lot along
    except ImportError as error:
        raise Unavailable(
            f"cells cannot be sent to {where} without distributed ({error}): pip install distributed, here "
            "and on the workers"
        ) from error
    return Dask(where, surroundings)


def still_valid(loaded: config.Loaded, store: memo.Store, programs: Sequence[Program]) -> bool:
    """Whether every program would give what it gave last time: packages and files it read are unchanged."""
    return loaded.options.no_exec or not any(reasons(loaded, store, programs))


def reasons(loaded: config.Loaded, store: memo.Store, programs: Sequence[Program]) -> Iterator[str]:
    """Why each program would have to run; `""` where its stored result is valid."""
    surroundings = environment(loaded, 1)
    cluster = _is_cluster(loaded.options.executor)
    cached = Cached(
        Local(surroundings), store, surroundings, _mode(loaded.options), evidence(loaded), elsewhere=cluster
    )
    return map(cached.explain, programs)


def evidence(loaded: config.Loaded) -> Lookup:
    """What is kept beside the notes, read when it is asked for, each file once."""
    read = disk.reader(loaded.notes_dir / FOLDER)
    return cache(lambda path: from_files(path, read))


def run(
    loaded: config.Loaded,
    store: memo.Store,
    programs: Sequence[Program],
    surroundings: Environment,
    mode: Mode,
    report: Report,
) -> tuple[tuple[ProgramResult, ...], tuple[tuple[Parts, Entry] | None, ...]]:
    """The results of programs in given surroundings, and what can be kept of each as evidence."""
    inner = _inner(loaded.options.executor, surroundings)
    try:
        cached = Cached(inner, store, surroundings, mode, evidence(loaded))
        return cached.run(programs, report), tuple(map(cached.kept, programs))
    finally:
        inner.close()


def environment(loaded: config.Loaded, jobs: int) -> Environment:
    cells = loaded.config.cells
    limits = Limits(
        cell_seconds=cells.timeout, note_seconds=cells.note_timeout, memory_bytes=cells.memory_mb << 20
    )
    return Environment(
        str(loaded.notes_dir),
        str(loaded.cache_dir),
        jobs,
        limits,
        sandbox=loaded.options.sandbox,
        gradcheck=cells.gradcheck,
    )


def _mode(options: config.Options) -> Mode:
    if options.no_exec:
        return "no-exec"
    if options.frozen:
        return "frozen"
    return "fresh" if options.fresh else "normal"

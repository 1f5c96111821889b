"""The process that builds for `serve`, again and again, and keeps in memory what it has computed.

It has one thread, so that it can share its work among forked processes, and is told what to do by requests:

* `show`: read the notes and publish, taking results of cells that are valid; a note whose cells would have to
  run first is shown without results.
* `run`: the same, and cells run. It may be interrupted (SIGINT).
* `check`: if anything is other than at the last request, `show`.

An answer says `kind`: `built`, with `written` and `removed` paths of the site and the number of notes that
are `waiting` for their cells; `same`; `locked`; `failed`, with a `message` and an exit `code`; `interrupted`.
After one that is `built` there may come `said`: `out` and `err` are what a person in front of the terminal
should read, which open pages do not wait for.
"""

from __future__ import annotations

import io
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from generator import checks, config, disk, graph, layout, memo
from generator.cli import EXIT_BUG, EXIT_ENVIRONMENT, EXIT_USAGE, building, cells, changes, reports
from generator.cli.arguments import read
from generator.cli.progress import Progress
from generator.execution.protocol import (
    Recorder,
    Report,
    Run,
    Unavailable,
    results_only,
    same_for_all,
    skipped,
)
from generator.model import Program, ProgramResult, Vault
from generator.serve import stay_with

Message = dict[str, Any]

RUNNING = "Running…"
"""What stands in the place of outputs that are on their way."""


class Interrupted(BaseException):
    """The build that is under way is not wanted any more."""


class Ended(BaseException):
    """The process is to end."""


def main() -> None:
    """Answer requests until there are no more. The first line says who asks: the arguments of the command
    line, the folder that is home, those of the notes and of the site, the process to stay with, and whether
    outputs go to a terminal."""
    requests, answers = sys.stdin, sys.stdout
    sys.stdout = sys.stderr  # Nothing but answers may get between answers.
    signal.signal(signal.SIGINT, _go_on)
    signal.signal(signal.SIGTERM, _end)
    try:
        told = json.loads(requests.readline())
        stay_with(told["parent"])
        folders = tuple(map(Path, told["folders"]))
        with Builder(told["arguments"], Path(told["home"]), folders, told["terminal"]) as builder:
            for number, line in enumerate(requests):
                for answer in builder.answers(json.loads(line)):
                    answers.write(json.dumps(answer) + "\n")
                    answers.flush()
                if number == 0:
                    _import_ahead()
    except (Ended, BrokenPipeError):
        # Nobody reads any more; Python would complain of that once more when it closes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), answers.fileno())


def _import_ahead() -> None:
    """Have here what a build imports in a process that it forks, which would import it anew each time."""
    graph.document((), {}, (), ())
    layout.layout(("one", "other"), ((0, 1),))


def _end(*_: object) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Ended


class Builder:
    """Builds a garden as it is at each request, by the settings as they are then."""

    def __init__(
        self, arguments: Sequence[str], home: Path, folders: tuple[Path, ...], terminal: bool
    ) -> None:
        asked = read(list(arguments))
        self._folders = folders
        self._load = partial(config.load, asked.config, asked.notes, asked.flags, os.environ, home)
        self._terminal = terminal
        self._kept = cells.Kept()
        self._session = Session()
        self._memory: _Memory | None = None
        self._last: tuple[config.Loaded, Vault] | None = None
        self._programs: tuple[Program, ...] = ()
        self._is_first = True
        self._unsaid: Callable[[], Message] | None = None

    def __enter__(self) -> Builder:
        return self

    def __exit__(self, *_: object) -> None:
        self._kept.close()
        if self._memory:
            self._memory.store.close()

    def answers(self, request: Message) -> Iterator[Message]:
        """Do what is asked, and then what can wait until that is told."""
        yield self.answer(request)
        if self._unsaid:
            unsaid, self._unsaid = self._unsaid, None
            try:
                yield unsaid()
            except Exception:
                traceback.print_exc()

    def answer(self, request: Message) -> Message:
        """Do what is asked. Never raises for what may go wrong: that is an answer, too."""
        try:
            return self._answer(request)
        except Interrupted:
            return {"kind": "interrupted"}
        except disk.Locked as error:
            return {"kind": "locked", "message": str(error)}
        except config.ConfigError as error:
            return _failure(error, EXIT_USAGE)
        except (disk.PublishError, Unavailable) as error:
            return _failure(error, EXIT_ENVIRONMENT)
        except Exception:
            self._memory = self._last = None
            traceback.print_exc()
            return _failure("this is a bug of the generator, not of your notes", EXIT_BUG)

    def _answer(self, request: Message) -> Message:
        kind, changed = request["kind"], request.get("changed")
        loaded = self._load()
        if (loaded.notes_dir, loaded.out_dir) != self._folders:
            raise config.ConfigError("the settings name other folders now; end serve and start it again")
        self._session.forget(changed)
        with disk.lock(loaded.cache_dir):
            memory = self._memory_for(loaded)
            if kind == "check" and self._is_same(loaded, memory):
                return {"kind": "same"}
            self._last = None
            if kind == "run":
                with _interruptible():
                    return self._build(loaded, memory, self._session.running)
            waiting: list[Program] = []
            programs = [one for one in self._programs if one.path in (changed or ())]
            early = partial(self._hurry, loaded, memory.jobs, programs)
            return self._build(loaded, memory, lambda inner: self._session.waiting(waiting), waiting, early)

    def _hurry(self, loaded: config.Loaded, jobs: int, programs: Sequence[Program], vault: Vault) -> None:
        """Have imported what the cells of notes that were saved need, while their pages are made."""
        texts = cells.likely_to_run(loaded, vault, programs)
        if texts:
            self._kept.hurry(loaded, jobs, texts)

    def _memory_for(self, loaded: config.Loaded) -> _Memory:
        jobs = loaded.options.jobs or memo.available_jobs()
        if self._memory is None or (self._memory.folder, self._memory.jobs) != (loaded.cache_dir, jobs):
            store = memo.SqliteStore(loaded.cache_dir / "memo.sqlite")
            self._memory = _Memory(loaded.cache_dir, jobs, store, memo.Memo(store, jobs=jobs, remember=True))
        return self._memory

    def _is_same(self, loaded: config.Loaded, memory: _Memory) -> bool:
        return self._last == (loaded, building.scanned(loaded, memory.store))

    def _build(
        self,
        loaded: config.Loaded,
        memory: _Memory,
        around: Callable[[Recorder], Recorder],
        waiting: Sequence[Program] = (),
        early: Callable[[Vault], None] = lambda vault: None,
    ) -> Message:
        options = loaded.options  # An author does not wait for old results, nor twice for all of them.
        quick = replace(
            loaded, options=replace(options, reverify=0.0, fresh=options.fresh and self._is_first)
        )
        call: memo.Caller = memo.Plain(memory.jobs) if quick.options.fresh else memory.call
        progress = Progress(sys.stderr)
        try:
            with cells.executor(quick, memory.store, memory.jobs, self._kept, around) as executor:
                built = building.made(
                    quick,
                    progress,
                    memory.store,
                    call,
                    executor,
                    write=True,
                    durable=False,
                    early=early,
                )
        finally:
            progress.clear()
        self._last, self._programs = (loaded, built.vault), built.site.programs
        self._is_first = self._is_first and bool(waiting)
        self._unsaid = lambda: self._said(loaded, built, memory.store, progress, len(waiting))
        published = built.published
        return {
            "kind": "built",
            "written": list(published.written) if published else [],
            "removed": list(published.removed) if published else [],
            "waiting": len(waiting),
        }

    def _said(
        self,
        loaded: config.Loaded,
        built: building.Built,
        store: memo.SqliteStore,
        progress: Progress,
        waiting: int,
    ) -> Message:
        """What to say of a build on standard output and error; next to nothing while cells are waiting."""
        if waiting:
            notes = "1 note" if waiting == 1 else f"{waiting} notes"
            shown = f"build.py: shown in {progress.total():.2f} s; the cells of {notes} run now\n"
            return {"kind": "said", "out": "", "err": shown}
        changed: tuple[changes.Change, ...] = ()
        if not loaded.options.no_exec:
            changed = changes.found(store, built.site.shown)
            if checks.exit_code(built.site.problems, strict=False) != checks.CELL_FAILED:
                changes.remember(store, built.site.shown)
        out, err = _Stream(self._terminal), _Stream(self._terminal)
        with redirect_stdout(out), redirect_stderr(err):
            reports.report(loaded, building.said(built, changed), progress)
        return {"kind": "said", "out": out.getvalue(), "err": err.getvalue()}


@dataclass(frozen=True, slots=True)
class _Memory:
    """What is kept from build to build, and what it is good for."""

    folder: Path
    jobs: int
    store: memo.SqliteStore
    call: memo.Memo


class _Stream(io.StringIO):
    """Text for a stream that is elsewhere."""

    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


def _failure(error: Exception | str, code: int) -> Message:
    return {"kind": "failed", "message": str(error), "code": code, "err": f"build.py: error: {error}\n"}


def _go_on(*_: object) -> None:
    """An interrupt that comes too late. It is not ignored as the system does it: what is started would
    inherit that, and cells are asked to stop by such a signal."""


def _interrupt(*_: object) -> NoReturn:
    signal.signal(signal.SIGINT, _go_on)
    raise Interrupted


@contextmanager
def _interruptible() -> Iterator[None]:
    signal.signal(signal.SIGINT, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, _go_on)


# ---------------------------------------------------------------- cells


class Session:
    """What cells gave that is remembered nowhere else: runs that failed, or that could not be watched.

    An ordinary build tries them again each time. Here that would be at each save of any note, so they are
    tried again when something has changed that they may depend on: their own note, or a file that is none.
    """

    def __init__(self) -> None:
        self._runs: dict[str, tuple[str, Run]] = {}

    def forget(self, changed: Sequence[str] | None) -> None:
        """Forget what may come out differently after these files were changed (None: nobody knows which)."""
        if changed is None or not all(path.endswith(disk.NOTE_SUFFIXES) for path in changed):
            self._runs.clear()
            return
        self._runs = {key: (path, run) for key, (path, run) in self._runs.items() if path not in changed}

    def waiting(self, missing: list[Program]) -> Recorder:
        """Runs nothing: a program that would have to run is added to `missing`, and shown as running."""
        return _Known(self._known, lambda programs, report: _not_yet(programs, missing, report))

    def running(self, inner: Recorder) -> Recorder:
        """Runs in `inner` what is not known."""
        return _Known(self._known, lambda programs, report: self._noted(inner, programs, report))

    def _known(self, program: Program) -> Run | None:
        left_out = [skipped(cell) for cell in program.cells]
        if left_out and all(left_out) and not program.prelude and not program.values:
            return Run(ProgramResult(program.slug, tuple(one for one in left_out if one)))
        found = self._runs.get(_name(program))
        return found[1] if found else None

    def _noted(self, inner: Recorder, programs: Sequence[Program], report: _Told) -> tuple[Run, ...]:
        runs = inner.record(programs, report)
        for program, run in zip(programs, runs, strict=True):
            if not _is_lasting(run):
                self._runs[_name(program)] = (program.path, run)
        return runs


_Told = Callable[[Run], None] | None


class _Known:
    """A recorder that asks another only for what is not known."""

    def __init__(
        self,
        known: Callable[[Program], Run | None],
        others: Callable[[Sequence[Program], _Told], Sequence[Run]],
    ) -> None:
        self._known, self._others = known, others

    def run(self, programs: Sequence[Program], report: Report | None = None) -> tuple[ProgramResult, ...]:
        """See `Executor`."""
        return results_only(self, programs, report)

    def record(self, programs: Sequence[Program], report: _Told = None) -> tuple[Run, ...]:
        """See `Recorder`."""
        found = {i: run for i, program in enumerate(programs) if (run := self._known(program))}
        rest = [i for i in range(len(programs)) if i not in found]
        if report:
            for run in found.values():
                report(run)
        found.update(zip(rest, self._others([programs[i] for i in rest], report), strict=True))
        return tuple(found[i] for i in range(len(programs)))


def _not_yet(programs: Sequence[Program], missing: list[Program], report: _Told) -> list[Run]:
    missing.extend(programs)
    runs = [Run(same_for_all(program, "not-run", RUNNING)) for program in programs]
    if report:
        for run in runs:
            report(run)
    return runs


def _name(program: Program) -> str:
    return memo.digest(replace(program, lines=()))


def _is_lasting(run: Run) -> bool:
    """Whether a run is remembered by `Cached`."""
    result = run.result
    fine = all(one.status in ("ok", "skipped") for one in (*result.results, *result.prelude))
    fine = fine and all(value.status == "ok" for value in result.values)
    return fine and run.manifest.complete and not run.manifest.network

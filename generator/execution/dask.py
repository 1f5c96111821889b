"""The executor for a cluster: each note is a task for a worker of a Dask scheduler.

On the worker the note runs as it would here, in the zygote or in a kernel; its result travels back as JSON. A
worker gets a copy of the folder of notes, so that nothing need be shared; it must run the same version
of this program and of Python, which is asked before anything is sent. A worker that dies costs time and no
result: its notes run on another. Whoever reaches the scheduler can run anything on its workers, so it belongs
into a network that is trusted.
"""

from __future__ import annotations

import hashlib
import io
import logging
import os
import platform
import socket
import threading
import uuid
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import distributed

from generator import memo
from generator.execution import surroundings, together
from generator.execution.local import Local
from generator.execution.protocol import (
    Environment,
    Report,
    Run,
    Unavailable,
    results_only,
    same_for_all,
    skipped,
)
from generator.model import Program, ProgramResult

_LARGEST = 256 << 20
_PATIENCE = 10
_ALONE = 30
"""Seconds to wait for a worker where there is none left."""
_TRIES = 3
_SPACIOUS = 1 << 45
"""An accelerator's memory is mapped into the address space many times over."""


@dataclass(frozen=True, slots=True)
class Task:
    """One note for one worker. `vault` is the digest of the archive of the notes, `room` where the worker
    keeps what it needs; `has` is what its cells may need and will find."""

    program: Program
    environment: Environment
    vault: str
    room: str
    has: tuple[str, ...] = ()


# ---------------------------------------------------------------- on a worker


class Room(distributed.WorkerPlugin):  # type: ignore[misc]
    """What a worker keeps from note to note, until the build that brought it is over."""

    def __init__(self, name: str) -> None:
        self.name = name

    def setup(self, worker: Any) -> None:
        self.folder = Path(worker.local_directory, self.name)
        self.lock = threading.Lock()
        self.idle: list[tuple[Environment, Local]] = []
        self.all: list[Local] = []

    def teardown(self, worker: Any) -> None:
        """End all notes that still run."""
        for executor in self.all:
            executor.close()

    def run(self, task: Task, archive: bytes) -> Run:
        vault = str(self._vault(task.vault, archive)) if task.vault else ""
        environment = replace(task.environment, vault=vault, cache=str(self.folder / "cache"), jobs=1)
        with self.lock:
            known = next((pair for pair in self.idle if pair[0] == environment), None)
            if known:
                self.idle.remove(known)
            else:
                known = environment, Local(environment)
                self.all.append(known[1])
        try:
            return known[1].record([_provided(task.program, task.has)])[0]
        finally:
            with self.lock:
                self.idle.append(known)

    def _vault(self, digest: str, archive: bytes) -> Path:
        folder = self.folder / digest
        with self.lock:
            if not folder.exists():
                beside = folder.with_suffix(".new")
                with zipfile.ZipFile(io.BytesIO(archive)) as files:
                    files.extractall(beside)
                beside.mkdir(parents=True, exist_ok=True)
                beside.rename(folder)
        return folder


def _provided(program: Program, has: tuple[str, ...]) -> Program:
    """A program whose cells find what they need."""
    cells = tuple(
        replace(cell, options=replace(cell.options, needs="")) if cell.options.needs in has else cell
        for cell in program.cells
    )
    return replace(program, cells=cells)


def run_note(task: bytes, archive: bytes) -> bytes:
    """What a worker is asked to do."""
    given = memo.decode(task, Task)
    room: Room = distributed.get_worker().plugins[given.room]
    run = room.run(given, archive)
    log = replace(run.result.log, executor=f"{run.result.log.executor} of a dask worker")
    return memo.encode(replace(run, result=replace(run.result, log=log)))


def identity(dask_worker: Any) -> tuple[str, str, tuple[str, ...]]:
    """What must be the same everywhere, and what a worker has. (The argument's name is Dask's.)"""
    return platform.python_version(), memo.code_version(), tuple(dask_worker.state.total_resources)


# ---------------------------------------------------------------- here


class Dask:
    """Runs programs on the workers of a scheduler. A `Recorder`; raises Unavailable where it cannot."""

    def __init__(self, address: str, environment: Environment) -> None:
        self._address = address
        self._environment = environment
        self._client: Any = None
        self._room = f"garden-{uuid.uuid4().hex[:12]}"
        self._has: tuple[str, ...] = ()
        self._archive, self._vault = b"", ""
        self._sent: Any = None
        self._alone = 0

    def run(self, programs: Sequence[Program], report: Report | None = None) -> tuple[ProgramResult, ...]:
        """See `Executor`."""
        return results_only(self, programs, report)

    def record(
        self, programs: Sequence[Program], report: Callable[[Run], None] | None = None
    ) -> tuple[Run, ...]:
        """See `Recorder`."""
        if not all(map(together.plain, programs)):
            return together.recorded(self.record, programs, report)
        runs: dict[int, Run] = {}
        try:
            for index, run in self._runs(programs):
                runs[index] = run
                if report:
                    report(run)
        except BaseException:
            self.close()
            raise
        return tuple(runs[index] for index in range(len(programs)))

    def close(self) -> None:
        """End what still runs on the workers, and leave them."""
        client, self._client = self._client, None
        if client is not None:
            with suppress(Exception):  # The scheduler may be gone.
                client.unregister_worker_plugin(self._room)
            with suppress(Exception):
                client.close()

    # ------------------------------------------------------------ the cluster

    def _connect(self) -> None:
        if self._client is not None:
            return
        logging.getLogger("distributed").setLevel(logging.CRITICAL)  # What goes wrong we say ourselves.
        try:
            _knock(self._address)
            self._client = distributed.Client(self._address, timeout=_PATIENCE, set_as_default=False)
        except (OSError, ValueError) as error:
            raise Unavailable(
                f"no Dask scheduler answers at {self._address}: start one with “dask scheduler”, or leave "
                "--executor out"
            ) from error
        try:
            self._client.wait_for_workers(1, timeout=_PATIENCE)
        except TimeoutError as error:
            self.close()
            raise Unavailable(
                f"the scheduler at {self._address} has no workers: start some with “dask worker "
                f"{self._address}”"
            ) from error
        self._furnish()

    def _furnish(self) -> None:
        """Ask the workers who they are, and give them what they need."""
        mine = platform.python_version(), memo.code_version()
        try:
            workers = self._client.run(identity)
        except Exception as error:
            self.close()
            raise Unavailable(
                f"a worker of {self._address} does not know this program ({type(error).__name__}): install "
                "it there, in the same version"
            ) from error
        other = next((address for address, who in workers.items() if tuple(who[:2]) != mine), "")
        if other:
            self.close()
            raise Unavailable(
                f"the worker {other} runs another version of this program, of its libraries or of Python: "
                "install the same there"
            )
        self._has = tuple(sorted({name for who in workers.values() for name in who[2]}))
        self._archive, self._vault = _packed(self._environment.vault)
        self._client.register_plugin(Room(self._room))

    # ------------------------------------------------------------ tasks

    def _runs(self, programs: Sequence[Program]) -> Iterator[tuple[int, Run]]:
        if not all(cell.options.skip for program in programs for cell in program.cells):
            self._connect()
        tried: dict[int, int] = {}
        for index, program in enumerate(programs):
            known = [skipped(cell, self._has) for cell in program.cells]
            if all(known):
                yield index, Run(ProgramResult(program.slug, tuple(result for result in known if result)))
            else:
                tried[index] = 0
        pending: dict[Any, int] = {}
        try:
            while tried:
                for index in tried.keys() - set(pending.values()):
                    pending[self._submit(programs[index])] = index
                for future in self._done(list(pending)):
                    index = pending.pop(future)
                    tried[index] += 1
                    run = _run_of(future, programs[index], last=tried[index] == _TRIES)
                    if run:
                        del tried[index]
                        yield index, run
        finally:
            if pending and self._client is not None:
                self._client.cancel(list(pending), force=True)

    def _submit(self, program: Program) -> Any:
        needed = sorted({cell.options.needs for cell in program.cells if not skipped(cell, self._has)} - {""})
        variables = dict(surroundings.configuration(self._environment))
        limits = self._environment.limits
        if needed:  # The worker knows best how its accelerator is reached.
            variables.pop("JAX_PLATFORMS", None)
            limits = replace(limits, memory_bytes=_SPACIOUS)
        environment = replace(
            self._environment, vault="", cache="", variables=tuple(sorted(variables.items())), limits=limits
        )
        task = Task(program, environment, self._vault, self._room, tuple(needed))
        if self._archive and (self._sent is None or self._sent.status != "finished"):
            self._sent = self._client.scatter(self._archive, broadcast=True)
        return self._client.submit(
            run_note,
            memo.encode(task),
            self._sent or b"",
            key=f"{program.slug}-{uuid.uuid4().hex[:8]}",
            resources=dict.fromkeys(needed, 1) or None,
            pure=False,
        )

    def _done(self, pending: list[Any]) -> list[Any]:
        """The tasks that have ended within the next moment."""
        try:
            with self._client.as_current():
                return list(distributed.wait(pending, timeout=1, return_when="FIRST_COMPLETED").done)
        except TimeoutError:
            self._watch(bool(self._client.nthreads()))
            return []
        except CancelledError:
            self._watch(True)
            return [future for future in pending if future.status != "pending"]

    def _watch(self, workers: bool) -> None:
        if self._client.status != "running":
            raise Unavailable(f"the scheduler at {self._address} went away before all cells were done")
        self._alone = 0 if workers else self._alone + 1
        if self._alone > _ALONE:
            raise Unavailable(f"the last worker of {self._address} went away before all cells were done")


def _knock(address: str) -> None:
    """Raise OSError if nobody is there: the client would try again and again."""
    host, _, port = address.partition("://")[2].rpartition(":")
    socket.create_connection((host, int(port)), _PATIENCE).close()


def _run_of(future: Any, program: Program, last: bool) -> Run | None:
    """What became of a task; None if it is to be tried again."""
    if future.status == "finished":
        run: Run = memo.decode(future.result(), Run)
        return run
    error = future.exception() if future.status == "error" else None
    if isinstance(error, Unavailable):
        raise error
    killed = isinstance(error, distributed.KilledWorker)
    if not (killed or last):
        return None
    why = "each worker that ran it ended" if killed or error is None else f"{type(error).__name__}: {error}"
    return Run(same_for_all(program, "killed", f"This note was not done on the cluster: {why}."))


def _packed(vault: str) -> tuple[bytes, str]:
    """The folder of notes as an archive, the same for the same files, and its digest."""
    if not vault:
        return b"", ""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in _files(vault):
            entry = zipfile.ZipInfo(path.relative_to(vault).as_posix())
            archive.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED)
            if data.tell() > _LARGEST:
                raise Unavailable(
                    f"the folder of notes is too large for workers (more than {_LARGEST >> 20} MB): keep "
                    "large files elsewhere, at a path that workers see too"
                )
    return data.getvalue(), hashlib.sha256(data.getvalue()).hexdigest()[:16]


def _files(vault: str) -> Iterator[Path]:
    for folder, names, files in os.walk(vault):
        names[:] = sorted(name for name in names if not name.startswith((".", "_site")))
        yield from (Path(folder, name) for name in sorted(files) if Path(folder, name).is_file())

"""Calling a function on many items, with several processes where that pays."""

from __future__ import annotations

import contextlib
import gc
import marshal
import mmap
import os
import select
import signal
import struct
import typing
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

from generator.memo.beside import can_fork
from generator.memo.encoding import flatten, unflatten

R = TypeVar("R")


FEW = 24
"""Fewer items than this are not worth starting processes for."""


class WorkerCrash(Exception):
    """A process that shared the work went away: not an exception in a function, but a signal or an exit."""


def compute(
    function: Callable[..., R],
    items: Sequence[Any],
    shared: tuple[object, ...],
    jobs: int,
    *,
    flat: bool = False,
) -> list[tuple[R, bytes | None]]:
    """`function(item, *shared)` of each item, in order; with `flat`, each with what `flatten` made of it,
    where another process did.

    This process works too. Others are forked from it where that is possible and safe (not beside
    threads, whose locks would stay locked in the child), and inherit everything without a copy. An
    exception in one of them is raised again here, by calling the function here. WorkerCrash names the
    item at which a process died.
    """
    if jobs < 2 or len(items) < FEW or not can_fork():
        return [(function(item, *shared), None) for item in items]
    with undisturbed():
        return _Team(function, items, shared, jobs, flat).run()


@dataclass(slots=True)
class _Worker:
    pid: int
    pipe: int
    slot: int
    buffer: bytearray


class _Team:
    """This process and its forked workers, sharing the items of one `compute`.

    Numbers of chunks lie in a pipe from which all of them take the next (a read of four bytes is
    atomic), so nobody waits for anybody. A shared page says which item each worker is at.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        items: Sequence[Any],
        shared: tuple[object, ...],
        jobs: int,
        flat: bool,
    ) -> None:
        self._flat = flat
        self._function, self._items, self._shared = function, items, shared
        self._kind = returns(function)
        self._size = max(1, min(16, len(items) // (jobs * 8)), -(-len(items) // 8000))
        self._board = mmap.mmap(-1, 8 * jobs)
        self._tasks = self._fill()
        self._results: list[Any] = [None] * len(items)
        self._workers: list[_Worker] = []
        self._others = jobs - 1

    def run(self) -> list[tuple[Any, bytes | None]]:
        try:
            gc.freeze()  # What is alive now must not be looked at, and so copied, in every child.
            self._workers = [self._fork(slot) for slot in range(self._others)]
            gc.unfreeze()
            while (chunk := self._take()) is not None:
                for i in chunk:
                    self._results[i] = (self._call(i), None)
                self._drain(block=False)
            while self._workers:
                self._drain(block=True)
            return self._results
        finally:
            self._end()

    def _fill(self) -> int:
        reader, writer = os.pipe()
        count = -(-len(self._items) // self._size)
        os.write(writer, b"".join(struct.pack("<I", number) for number in range(count)))
        os.close(writer)
        return reader

    def _take(self) -> range | None:
        data = os.read(self._tasks, 4)
        if not data:
            return None
        start = struct.unpack("<I", data)[0] * self._size
        return range(start, min(start + self._size, len(self._items)))

    def _call(self, i: int) -> Any:
        return self._function(self._items[i], *self._shared)

    def _fork(self, slot: int) -> _Worker:
        reader, writer = os.pipe()
        _widen(writer)
        pid = os.fork()
        if pid == 0:
            self._work(slot, writer)
        os.close(writer)
        return _Worker(pid, reader, slot, bytearray())

    def _work(self, slot: int, writer: int) -> typing.NoReturn:
        """The life of a child. It never returns into the code that forked it."""
        status = 1
        try:
            while (chunk := self._take()) is not None:
                answer = [(i, self._attempt(slot, i)) for i in chunk]
                data = marshal.dumps(answer)
                _write_all(writer, struct.pack("<Q", len(data)) + data)
            status = 0
        finally:
            os._exit(status)

    def _attempt(self, slot: int, i: int) -> bytes | None:
        """The flattened result, or None for an exception, which the parent will meet itself."""
        struct.pack_into("<Q", self._board, 8 * slot, i + 1)
        try:
            return flatten(self._call(i), self._kind)
        except Exception:
            return None

    def _drain(self, *, block: bool) -> None:
        pipes = {worker.pipe: worker for worker in self._workers}
        ready = select.select(list(pipes), [], [], None if block else 0)[0] if pipes else []
        for pipe in ready:
            worker = pipes[pipe]
            data = os.read(pipe, 1 << 20)
            worker.buffer += data
            self._collect(worker)
            if not data:
                self._dismiss(worker)

    def _collect(self, worker: _Worker) -> None:
        buffer = worker.buffer
        while len(buffer) >= 8 and len(buffer) >= (end := 8 + struct.unpack_from("<Q", buffer)[0]):
            for i, data in marshal.loads(buffer[8:end]):
                result = self._call(i) if data is None else unflatten(data, self._kind)
                self._results[i] = (result, data if self._flat else None)
            del buffer[:end]

    def _dismiss(self, worker: _Worker) -> None:
        self._workers.remove(worker)
        os.close(worker.pipe)
        _, status = os.waitpid(worker.pid, 0)
        if status or worker.buffer:
            raise WorkerCrash(self._obituary(worker, os.waitstatus_to_exitcode(status)))

    def _obituary(self, worker: _Worker, code: int) -> str:
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with status {code}"
        why = " (it may have run out of memory)" if code == -getattr(signal, "SIGKILL", 9) else ""
        i = struct.unpack_from("<Q", self._board, 8 * worker.slot)[0] - 1
        item = self._items[i] if i >= 0 else ""
        at = getattr(item, "path", None) or repr(item)[:80]
        return f"a process that ran {name_of(self._function)} {how}{why}; it was at {at}"

    def _end(self) -> None:
        for worker in self._workers:
            with contextlib.suppress(OSError):
                os.kill(worker.pid, signal.SIGKILL)
            os.waitpid(worker.pid, 0)
            os.close(worker.pipe)
        self._workers = []
        os.close(self._tasks)
        self._board.close()


def _widen(pipe: int) -> None:
    """A pipe that takes a whole chunk lets a worker go on while this process is busy with its own."""
    with contextlib.suppress(ImportError, AttributeError, OSError):
        import fcntl

        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, 1 << 20)


def _write_all(pipe: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(pipe, view) :]


def available_jobs() -> int:
    """How many processes can run at once here."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@cache
def name_of(function: Callable[..., Any]) -> str:
    name = getattr(function, "__qualname__", "<")
    if "<" in name:
        raise TypeError(f"{function!r} has no name of its own: only functions of a module are remembered")
    return f"{function.__module__}.{name}"


@cache
def returns(function: Callable[..., Any]) -> Any:
    """The return type of a function. Only this annotation is evaluated: others may name what is not
    imported at run time."""
    hint = function.__annotations__.get("return")
    if hint is None:
        raise TypeError(f"{name_of(function)} does not say its return type")
    return eval(hint, function.__globals__) if isinstance(hint, str) else hint


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Less garbage collection meanwhile: it would look at thousands of new, lasting values again and again.
    Some there must be, for parsers leave cycles behind."""
    usual = gc.get_threshold()
    gc.set_threshold(100_000, 20, 100)
    try:
        yield
    finally:
        gc.set_threshold(*usual)

"""One function in a process of its own, beside what this one goes on with."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import typing
import weakref
from collections.abc import Callable
from typing import IO, Any, TypeVar

from generator.memo.encoding import flatten, unflatten

R = TypeVar("R")


def can_fork() -> bool:
    """Whether this process may be forked: not beside threads, whose locks would stay locked in the child."""
    return hasattr(os, "fork") and threading.active_count() == 1


def begin(function: Callable[..., R], args: tuple[object, ...], kind: Any) -> Callable[[], R]:
    """Begin `function(*args)`, of type `kind`, in a child. What is returned waits for the result and gives
    it; where no child can be had, or the child could not give it, the function is called there and then.
    """
    if not can_fork():
        return lambda: function(*args)
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        _work(writer, function, args, kind)
    os.close(writer)
    return _Child(pid, os.fdopen(reader, "rb"), function, args, kind).result


def _work(writer: int, function: Callable[..., Any], args: tuple[object, ...], kind: Any) -> typing.NoReturn:
    """The life of the child. It never returns into the code that forked it."""
    status = 1
    try:
        with os.fdopen(writer, "wb") as file:
            file.write(flatten(function(*args), kind))
        status = 0
    finally:
        os._exit(status)


class _Child:
    """A child at work. One whose result nobody asks for ends with this object."""

    def __init__(
        self, pid: int, file: IO[bytes], function: Callable[..., Any], args: tuple[object, ...], kind: Any
    ) -> None:
        self._pid, self._file = pid, file
        self._function, self._args, self._kind = function, args, kind
        self._end = weakref.finalize(self, _end, pid, file)

    def result(self) -> Any:
        with self._file:
            data = self._file.read()
        self._end.detach()
        _, status = os.waitpid(self._pid, 0)
        # An exception, too, is met by calling the function here.
        return unflatten(data, self._kind) if status == 0 else self._function(*self._args)


def _end(pid: int, file: IO[bytes]) -> None:
    file.close()
    with contextlib.suppress(OSError):
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)

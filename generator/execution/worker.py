"""The zygote: a process that has imported what notes need and forks a child for each.

    python -m generator.execution.worker REQUESTS ANSWERS ROOT SANDBOX [VAULT]

The first two are descriptors, ROOT is a folder for what is written meanwhile, SANDBOX a `sandbox.Mode`.

Its first answer is the level of isolation that notes have here; see `sandbox`.

It must never initialise a JAX backend and never start a thread: a fork copies only one thread, and locks that
others held stay locked for ever. This is the only file that imports jax.
"""

from __future__ import annotations

import gc
import importlib
import os
import select
import shutil
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from typing import Any, NoReturn, cast

from generator.execution import child, processes, sandbox, wire
from generator.execution.keeper import keep, reason

Json = dict[str, Any]
_TICK = 1.0


class Zygote:
    """Serves requests until whoever sends them is gone."""

    def __init__(self, requests: int, answers: int, fence: sandbox.Fence) -> None:
        self.requests, self.answers, self.fence = requests, answers, fence
        self.parent = os.getppid()
        self.waiting: list[Json] = []
        self.keepers: dict[int, tuple[int, Json, wire.Frames]] = {}
        self.jobs = 1

    def serve(self) -> None:
        while os.getppid() == self.parent:
            self._start()
            ready = select.select([self.requests, *self.keepers], [], [], _TICK)[0]
            for fd in set(ready) & set(self.keepers):
                self._hear(fd)
            if self.requests in ready:
                request = wire.receive(self.requests)
                if request is None:
                    return
                self._take(request)

    def _take(self, request: Json) -> None:
        wire.send(self.answers, {"heard": True})
        self.jobs = request["jobs"]
        self.waiting += request["programs"]
        for name in request["preload"]:
            with suppress(Exception):  # The note that imports it will say what is wrong.
                importlib.import_module(name)
        gc.freeze()  # What is here now stays: notes need not look through it, nor copy it by looking.

    def _start(self) -> None:
        # One that has given its result is only on its way out.
        while self.waiting and sum(not job.get("done") for _, job, _ in self.keepers.values()) < self.jobs:
            job = self.waiting.pop(0)
            if processes.threads() != 1:
                raise RuntimeError(f"{processes.threads()} threads before a fork")
            job |= {"fence": asdict(self.fence), "isolation": self.fence.level}
            read, write = os.pipe()
            me = os.pidfd_open(os.getpid())
            try:
                pid = sandbox.fork(self.fence)
            except OSError as error:  # No more processes or namespaces: that is this note's bad luck alone.
                os.close(read)
                self._lose(job, reason(error))
            else:
                if pid == 0:
                    self._become_keeper(me, job, write, read)
                self.keepers[read] = (pid, job, wire.Frames())
            os.close(write)
            os.close(me)

    def _become_keeper(self, parent: int, job: Json, write: int, read: int) -> NoReturn:
        try:
            gc.enable()
            processes.die_with_parent(parent, signal.SIGTERM)
            os.setsid()
            job["close"] = [self.requests, self.answers, read, *self.keepers]
            keep(job, write, _start(job))
        finally:
            os._exit(1)

    def _hear(self, fd: int) -> None:
        _, job, frames = self.keepers[fd]
        data = os.read(fd, 1 << 20)
        for run in frames.feed(data):
            job["done"] = True
            if "failed" in run:
                self._lose(job, run["failed"])
            elif run.pop("crashed") and job["settings"]["compiled"]:
                # Perhaps what JAX had kept is bad: once more without, before the note is blamed.
                again = {**job, "settings": {**job["settings"], "compiled": ""}, "done": False}
                self.waiting.insert(0, again)
            else:
                wire.send(self.answers, {"index": job["index"], "run": run})
        if not data:
            os.close(fd)
            del self.keepers[fd]
            if not job.get("done"):
                self._lose(job, "")
            self._bury()

    def _lose(self, job: Json, why: str) -> None:
        """Say that there is no run of a note, and why; "" where its keeper did not get to say."""
        wire.send(self.answers, {"index": job["index"], "run": None, "why": why})

    def _bury(self) -> None:
        """Reap keepers that have ended, and end what one that was killed has left to us."""
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        known = {pid for pid, _, _ in self.keepers.values()}
        for pid in processes.children(os.getpid()):
            if pid not in known:
                processes.kill_tree(pid)


def _start(job: Json) -> Callable[[socket.socket, Callable[[int], None]], None]:
    def start(connection: socket.socket, progress: Callable[[int], None]) -> None:
        _configure(job["settings"]["compiled"])
        child.run_cells(connection, job["program"], job["settings"], progress)

    return start


def _configure(compiled: str) -> None:
    """Have JAX keep compiled programs in the folder `compiled`, or not at all."""
    if compiled:
        os.environ["JAX_COMPILATION_CACHE_DIR"] = compiled
    else:
        os.environ.pop("JAX_COMPILATION_CACHE_DIR", None)
    if "jax" in sys.modules:
        import jax

        jax.config.update("jax_compilation_cache_dir", compiled or None)  # type: ignore[no-untyped-call]


def main(arguments: list[str]) -> None:
    gc.disable()  # Imports make no garbage that is worth a tenth of their time. A keeper enables it again.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))
    requests, answers, root, mode = int(arguments[0]), int(arguments[1]), *arguments[2:4]
    fence = _fence(mode, arguments)
    sandbox.house(fence)
    processes.adopt_orphans()
    try:
        wire.send(answers, {"level": fence.level, "missing": "" if fence.whole else fence.why})
        if fence.whole or mode != "require":
            Zygote(requests, answers, fence).serve()
    except BrokenPipeError:
        pass
    finally:
        processes.kill_descendants(os.getpid())
        shutil.rmtree(root, ignore_errors=True)


def _fence(mode: str, arguments: list[str]) -> sandbox.Fence:
    """The best fence there is. Where it takes bubblewrap to make one, this program begins again inside."""
    fence = sandbox.find(cast(sandbox.Mode, mode))
    if mode != "off" and not fence.whole:
        bubble = sandbox.bubble(arguments[2], [*sandbox.everything_visible(), *arguments[4:]])
        if bubble:
            os.execv(bubble[0], [*bubble, sys.executable, "-m", "generator.execution.worker", *arguments])
    return fence


def _live(arguments: list[str]) -> NoReturn:
    """Run as a program, and end at once when there is nothing left to do: taking JAX apart takes time."""
    status: object = 1
    try:
        main(arguments)
        status = 0
    except SystemExit as end:
        status = end.code
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stderr.flush()
        os._exit(status if isinstance(status, int) else 1)


if __name__ == "__main__":
    _live(sys.argv[1:])

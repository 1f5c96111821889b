"""A Dask cluster on this machine: a real scheduler and real workers, each a process of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import distributed

from generator.execution import processes
from generator.execution.manifest import ROOT


class Cluster:
    """A scheduler and its workers, each a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: list[subprocess.Popen[bytes]] = []
        self.tests = os.pidfd_open(os.getpid())
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
        self.start("scheduler", "--host", "127.0.0.1", "--port", self.address.rpartition(":")[2])

    def worker(self, *arguments: str) -> subprocess.Popen[bytes]:
        where = ("--local-directory", str(self.folder), "--host", "127.0.0.1", "--nthreads", "1")
        return self.start("worker", self.address, *where, "--no-nanny", *arguments)

    def start(self, what: str, *arguments: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{what}-{len(self.processes)}.log").open("wb") as log:
            command = [sys.executable, "-m", f"distributed.cli.dask_{what}", "--no-dashboard", *arguments]
            process = subprocess.Popen(
                command, cwd=ROOT, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True,
                preexec_fn=self._end_with_the_tests,
            )  # fmt: skip
        self.processes.append(process)
        return process

    def _end_with_the_tests(self) -> None:
        processes.die_with_parent(self.tests, signal.SIGKILL)

    def wait(self, workers: int) -> None:
        """Until the scheduler answers and has so many workers."""
        until(self._answers)
        with distributed.Client(self.address, set_as_default=False) as client:
            client.wait_for_workers(workers, timeout=60)

    def _answers(self) -> bool:
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", int(self.address.rpartition(":")[2]))).close()
            return True
        return False

    def stop(self) -> None:
        for process in reversed(self.processes):
            process.kill()
            process.wait()
        os.close(self.tests)


def marked(mark: str) -> list[int]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if mark.encode() in (process / "environ").read_bytes():
                found.append(int(process.name))
    return found


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)

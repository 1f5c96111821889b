"""A process, run to its end and measured with everything that it starts: its time and its memory."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

EVERY = 0.1
"""Seconds between two looks at the memory: seldom enough to cost no run a hundredth of its time."""


LAUNCHER = """
import json, os, sys, time
report = os.open(sys.argv[1], os.O_WRONLY | os.O_TRUNC)
start = time.perf_counter()
pid = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(pid, 0)
wall = time.perf_counter() - start
code = os.waitstatus_to_exitcode(status)
os.write(report, json.dumps([wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss, code]).encode())
"""
"""Starts the process and waits for it. The system counts, as memory of a new process, that of the one which
started it; so a small one has to."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One process: seconds of wall clock and of all its processors, megabytes of its largest process
    (itself or one that it started and waited for), megabytes of all together (memory that several share
    counted once; 0 where the system does not tell), its exit code, and what it printed."""

    wall: float
    cpu: float
    largest: float
    together: float
    code: int
    output: str
    errors: str


def measured(
    command: Sequence[str], cwd: Path, environ: dict[str, str] | None = None, limit: float | None = None
) -> Measured:
    """Run `command` in `cwd` to its end; after `limit` seconds it is ended, with exit code -9."""
    with (
        tempfile.TemporaryFile() as output,
        tempfile.TemporaryFile() as errors,
        tempfile.NamedTemporaryFile() as report,
    ):
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", LAUNCHER, report.name, *command],
            cwd=cwd,
            env={name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
            | (environ or {}),  # Nobody who builds a garden compiles the generator each time.
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            start_new_session=True,
        )
        watch = _Memory(process.pid, limit)
        watch.start()
        try:
            process.wait()
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        finally:
            watch.ended.set()
            watch.join()
        wall, cpu, largest, code = json.loads(report.read() or b"[0, 0, 0, -9]")
        texts = []
        for file in (output, errors):
            file.seek(0)
            texts.append(file.read().decode("utf-8", "replace"))
        # Linux counts kilobytes.
        return Measured(wall, cpu, largest / 1024, watch.peak / 1024, code, *texts)


class _Memory(threading.Thread):
    """Looks at a tree of processes again and again until `ended` is set; `peak` in kilobytes."""

    def __init__(self, pid: int, limit: float | None) -> None:
        super().__init__(daemon=True)
        self.ended = threading.Event()
        self.peak = 0
        self._pid = pid
        self._limit = limit

    def run(self) -> None:
        start = time.monotonic()
        while not self.ended.wait(EVERY):
            # The first is the launcher.
            tree = list(_tree(self._pid))[1:]
            self.peak = max(self.peak, sum(map(_proportional, tree)))
            if self._limit and time.monotonic() - start > self._limit and not self.ended.is_set():
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self._pid, signal.SIGKILL)
                return


def _tree(pid: int) -> Iterator[int]:
    """A process and those that came of it. Any thread may have started one."""
    yield pid
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in _text(task).split():
            yield from _tree(int(child))


def _proportional(pid: int) -> int:
    """Kilobytes, a page that n processes share counted as 1/n in each."""
    lines = _text(Path(f"/proc/{pid}/smaps_rollup")).splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except OSError:  # It has ended.
        return ""

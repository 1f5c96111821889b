"""`build.py serve` in a process of its own, and somebody who listens to it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from generator.execution.processes import descendants
from tests.support import BUILD, Garden, hear_interrupts


class Preview:
    """`build.py serve` on a garden, and what a page that listens to it hears."""

    def __init__(self, made: Garden, process: subprocess.Popen[str]) -> None:
        self.garden, self.process = made, process
        self.lines: list[str] = []
        assert process.stderr is not None
        for line in iter(process.stderr.readline, ""):
            self.lines.append(line)
            if "shows the garden" in line:
                break
        self.url = next((word for line in self.lines for word in line.split() if word.startswith("http")), "")
        assert self.url, "".join(self.lines)
        self.heard: list[dict[str, Any]] = []
        threading.Thread(target=self.read, daemon=True).start()
        threading.Thread(target=self.listen, daemon=True).start()
        self.until(lambda: self.heard)

    def read(self) -> None:
        assert self.process.stderr is not None
        self.lines.extend(self.process.stderr)

    def listen(self) -> None:
        with suppress(OSError), urllib.request.urlopen(f"{self.url}_garden/events") as stream:
            self.heard.extend(json.loads(line[6:]) for line in stream if line.startswith(b"data: "))

    def until(self, holds: Callable[[], object]) -> None:
        deadline = time.monotonic() + 60
        while not holds():
            assert time.monotonic() < deadline, f"{self.heard}\n{''.join(self.lines)}"
            assert self.process.poll() is None, "".join(self.lines)
            time.sleep(0.02)

    def page(self, out: str = "index.html") -> str:
        with urllib.request.urlopen(self.url + out) as answer:
            text: str = answer.read().decode()
            return text

    def save(self, text: str, path: str = "notes/index.md") -> None:
        self.garden.write({path: text})

    def shows(self, text: str, out: str = "index.html") -> None:
        self.until(lambda: text in self.page(out))


@contextmanager
def serving(made: Garden, *options: str, build: Path = BUILD) -> Iterator[Preview]:
    command = [sys.executable, str(build), "serve", "--port", "0", "--notes", str(made.notes), *options]
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=hear_interrupts,
    )
    try:
        yield Preview(made, process)
    finally:
        below = descendants(process.pid)
        for pid in [process.pid, *below]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait(30)

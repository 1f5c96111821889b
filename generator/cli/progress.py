"""What is happening: seconds of each room, and one changing line for a person at a terminal."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TextIO

from generator.model import ProgramResult

_PATIENCE = 0.3  # seconds before a line appears: most builds are over by then


@dataclass(slots=True)
class Progress:
    """Keeps time; writes to `stream` only where that is a terminal."""

    stream: TextIO
    seconds: dict[str, float] = field(default_factory=dict)
    began: float = field(default_factory=time.perf_counter)
    shown: bool = False
    cells: int = 0

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time spent in a room; rooms may be entered more than once."""
        self.show(name)
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start

    def ran(self, result: ProgramResult) -> None:
        """Told of each note whose cells are done."""
        self.cells += len(result.results)
        self.show(f"cells: {self.cells} done, last those of {result.slug}")

    def show(self, text: str) -> None:
        waited = self.total() > _PATIENCE
        if waited and self.stream.isatty() and os.environ.get("TERM") != "dumb":
            self.stream.write(f"\r\x1b[K{text[:100]}")
            self.stream.flush()
            self.shown = True

    def clear(self) -> None:
        """Take the line away again."""
        if self.shown:
            self.stream.write("\r\x1b[K")
            self.shown = False

    def total(self) -> float:
        return time.perf_counter() - self.began

"""Pages on their way into a site, in a file rather than in memory."""

from __future__ import annotations

import contextlib
import os
import tempfile
import weakref
from collections.abc import Iterator, MutableMapping
from pathlib import Path

from generator.model import OutPath


class Spool(MutableMapping[OutPath, bytes]):
    """Files by their place in the site, kept in one temporary file without a name: it is gone when the
    process is, however that ends. What cannot be written there (a full disk) stays in memory.

    A garden of ten thousand notes has 200 MB of pages, and each is needed only for the moment in which it is
    written into the site.
    """

    def __init__(self, folder: Path) -> None:
        self._places: dict[OutPath, tuple[int, int]] = {}
        self._held: dict[OutPath, bytes] = {}
        self._end = 0
        self._file: int | None = None
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
                self._file = os.dup(file.fileno())
                weakref.finalize(self, os.close, self._file)

    def __setitem__(self, out: OutPath, data: bytes) -> None:
        self._held.pop(out, None)
        if self._file is not None and self._written(data):
            self._places[out] = (self._end, len(data))
            self._end += len(data)
        else:
            self._places[out] = (0, 0)  # Files come out in the order in which they came.
            self._held[out] = data

    def _written(self, data: bytes) -> bool:
        try:
            return os.pwrite(self._file or 0, data, self._end) == len(data)
        except OSError:
            return False

    def __getitem__(self, out: OutPath) -> bytes:
        start, length = self._places[out]
        if out in self._held:
            return self._held[out]
        data = os.pread(self._file or 0, length, start)
        if len(data) != length:
            raise OSError(f"what was put aside for {out} could not be read back")
        return data

    def __delitem__(self, out: OutPath) -> None:
        del self._places[out]
        self._held.pop(out, None)

    def __iter__(self) -> Iterator[OutPath]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

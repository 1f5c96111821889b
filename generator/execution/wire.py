"""Results as JSON, and JSON in frames: four bytes of length, then the text.

A dedicated pipe carries these; what cells print never travels on it. JSON and not pickle, because the
other end runs the code of notes.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Mapping
from typing import Any

from generator.execution.protocol import Manifest, Run
from generator.model import (
    CellResult,
    Check,
    Frame,
    Observation,
    Output,
    ProgramResult,
    RunLog,
    Slug,
    Value,
)

Json = dict[str, Any]
_HEAD = struct.Struct(">I")


def frame(message: object) -> bytes:
    """A message as bytes. Lone surrogates are escaped by JSON, so any text travels."""
    body = json.dumps(message).encode()
    return _HEAD.pack(len(body)) + body


def send(fd: int, message: object) -> None:
    """Write one message whole. Raises OSError if nobody reads any more."""
    view = memoryview(frame(message))
    while view:
        view = view[os.write(fd, view) :]


def receive(fd: int) -> Json | None:
    """Read one message, waiting for it; None at the end of the stream."""
    head = _read(fd, _HEAD.size)
    body = _read(fd, _HEAD.unpack(head)[0]) if head else None
    return None if body is None else json.loads(body)


def _read(fd: int, size: int) -> bytes | None:
    parts = bytearray()
    while len(parts) < size:
        part = os.read(fd, min(size - len(parts), 1 << 20))
        if not part:
            return None
        parts += part
    return bytes(parts)


class Frames:
    """Cuts a stream of bytes that arrives in pieces into messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Json]:
        """The messages that `data` completes."""
        self._buffer += data
        messages = []
        while len(self._buffer) >= _HEAD.size:
            end = _HEAD.size + _HEAD.unpack_from(self._buffer)[0]
            if len(self._buffer) < end:
                break
            messages.append(json.loads(self._buffer[_HEAD.size : end]))
            del self._buffer[:end]
        return messages


# ---------------------------------------------------------------- values


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def run_from(data: Mapping[str, Any]) -> Run:
    manifest = Manifest(**{name: _tuples(value) for name, value in data["manifest"].items()})
    return Run(program_result_from(data["result"]), manifest)


def program_result_from(data: Mapping[str, Any]) -> ProgramResult:
    log = RunLog(**{name: _tuples(value) for name, value in data["log"].items()})
    return ProgramResult(Slug(data["slug"]), tuple(cell_result_from(r) for r in data["results"]), log)


def cell_result_from(data: Mapping[str, Any]) -> CellResult:
    return CellResult(
        data["status"],
        tuple(output_from(output) for output in data["outputs"]),
        tuple(Observation(**observation) for observation in data["observations"]),
        data["message"],
        data["line"],
        tuple(Check(**check) for check in data["checks"]),
        values=tuple(Value(**value) for value in data["values"]),
    )


def output_from(data: Mapping[str, Any]) -> Output:
    frames = tuple(Frame(**frame) for frame in data.get("frames", ()))
    return Output(
        data["kind"], data.get("name", ""), data.get("text", ""), _tuples(data.get("data", [])), frames
    )

"""What open pages are told: one message at a time, to all of them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from queue import Empty, SimpleQueue
from typing import Any

Message = dict[str, Any]

_PATIENCE = 15.0  # seconds of silence after which a connection is tried, so that one that is gone is let go


class Events:
    """The state of the preview, and the pages that listen to it.

    A message says what the state now is, and what has just happened. A page that comes is told the state.
    """

    def __init__(self, **state: object) -> None:
        self._state: Message = dict(state)
        self._listeners: set[SimpleQueue[Message | None]] = set()
        self._lock = threading.Lock()

    @property
    def state(self) -> Message:
        """The state as it is now."""
        with self._lock:
            return dict(self._state)

    def say(self, happened: Message | None = None, **state: object) -> None:
        """Tell every page the new state and what has `happened`."""
        with self._lock:
            self._state |= state
            message = {**self._state, **(happened or {})}
            for listener in self._listeners:
                listener.put(message)

    def heard(self) -> Iterator[bytes]:
        """What one page is sent from now on, as an event stream; comments now and then, so that the
        connection is tried. Ends when the preview does."""
        mine: SimpleQueue[Message | None] = SimpleQueue()
        with self._lock:
            self._listeners.add(mine)
            mine.put(dict(self._state))
        try:
            while True:
                try:
                    message = mine.get(timeout=_PATIENCE)
                except Empty:
                    yield b": still here\n\n"
                    continue
                if message is None:
                    return
                yield f"data: {json.dumps(message)}\n\n".encode()
        finally:
            with self._lock:
                self._listeners.discard(mine)

    def end(self) -> None:
        """Let every page go."""
        with self._lock:
            for listener in self._listeners:
                listener.put(None)

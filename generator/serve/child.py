"""Another process that works for this one: it is told what to do by lines of JSON, and answers with such."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

Message = dict[str, Any]

_ROOT = Path(__file__).resolve().parent.parent.parent
_PATIENCE = 15.0  # seconds to end what it has started, before it is ended by force


class Child:
    """A process that runs `main` of a module of ours in a session of its own: Ctrl-C in the terminal does not
    reach it, so that it is ended in order.

    `answered` is given each of its answers, and None when it has ended, from a thread.
    """

    def __init__(self, module: str, answered: Callable[[Child, Message | None], object]) -> None:
        code = f"import sys; sys.path.insert(0, {str(_ROOT)!r}); from {module} import main; main()"
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", code],  # -P: what lies in the current folder is not imported
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._answered = answered
        threading.Thread(target=self._listen, daemon=True).start()

    def ask(self, message: Message) -> None:
        """Send a request. One that has ended says so by its last answer, not here."""
        assert self._process.stdin
        with suppress(OSError):
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()

    def interrupt(self) -> None:
        """Ask it to leave off what it is doing."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)

    def end(self) -> int:
        """End it and what it has started; gives its exit status."""
        with suppress(OSError):
            self._process.stdin.close()  # type: ignore[union-attr]
        if self._process.poll() is None:
            self._process.terminate()
        try:
            return self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def _listen(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            self._answered(self, json.loads(line))
        self._process.wait()
        self._answered(self, None)


def stay_with(parent: int) -> None:
    """In the child: ask to be told to end (SIGTERM) when `parent`, the process that started this one, is
    killed. Where the system has no such thing, it is noticed when the next request does not come."""
    if sys.platform.startswith("linux"):
        from generator.execution import processes  # here: other systems do not have what it needs

        with suppress(OSError):
            processes.die_with_parent(os.pidfd_open(parent), signal.SIGTERM)

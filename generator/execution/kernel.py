"""The first cell of every kernel: puts an observer into the kernel's shell.

What the observer has to say travels as display data of a private type, which the executor takes out of
the outputs again.
"""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from IPython.core.getipython import get_ipython

from generator.execution.observer import Observer

REPORT = "application/vnd.notes-garden.report+json"


def attach(settings: str) -> None:
    """Prepare the running kernel; `settings` are JSON, as for `Observer`, with a note's limits."""
    given = json.loads(settings)
    _confine(given["limits"])
    shell: Any = get_ipython()
    # After this cell: at its end IPython puts back the streams' methods that it found at its beginning.
    asyncio.get_running_loop().call_soon(_keep_order)
    shell.garden_observer = Observer(shell, given, _publish)


def _confine(limits: dict[str, Any]) -> None:
    with suppress(ImportError, OSError, ValueError):  # Not every system has such limits.
        from generator.execution import processes

        processes.confine(limits["memory_bytes"], limits["file_bytes"], limits["open_files"])


def _keep_order() -> None:
    """A kernel sends each stream when it likes: let the one written to before go first."""
    last: list[Any] = [None]

    def ordered(stream: Any) -> Any:
        write = stream.write

        def write_in_turn(text: str) -> Any:
            before, last[0] = last[0], stream
            if before is not stream and before is not None:
                before.flush()
            return write(text)

        return write_in_turn

    for stream in (sys.stdout, sys.stderr):
        setattr(stream, "write", ordered(stream))  # noqa: B010 - mypy knows that methods are not assigned


def finish() -> None:
    """Say what the run depended on."""
    shell: Any = get_ipython()
    observer: Observer = shell.garden_observer
    _publish({"manifest": asdict(observer.manifest()), "pending": observer.pending()})


def derivatives() -> None:
    """Say what became of the derivatives that the cells took."""
    shell: Any = get_ipython()
    checks = list(shell.garden_observer.derivatives())  # Only then may anything be published again.
    _publish({"checks": checks})


def _publish(report: dict[str, Any]) -> None:
    shell: Any = get_ipython()
    shell.display_pub.publish({REPORT: report})

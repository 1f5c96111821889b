"""A folder served on this machine, and a page opened from it."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

from playwright.sync_api import Page


@dataclass(frozen=True, slots=True)
class Served:
    """A site: its folder, and its address, which ends in a slash."""

    folder: Path
    url: str


@dataclass(frozen=True, slots=True)
class Visit:
    """An open page, what its console complained about, and the addresses it asked for."""

    page: Page
    complaints: list[str]
    requests: list[str]


class _Quiet(SimpleHTTPRequestHandler):
    # The machine's own table may lack these.
    extensions_map: ClassVar[dict[str, str]] = {
        **SimpleHTTPRequestHandler.extensions_map,
        ".js": "text/javascript",
        ".woff2": "font/woff2",
        ".svg": "image/svg+xml",
    }

    def log_message(self, *_: Any) -> None:
        """Nothing: a test that fails shows what the page said."""


class _Server(ThreadingHTTPServer):
    # A page asks for many small files at once; those that find the queue full come back a second later.
    request_queue_size = 64


@contextmanager
def serve(folder: Path) -> Iterator[str]:
    """Serve a folder on a free port of the loopback address, for as long as the block runs."""
    server = _Server(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

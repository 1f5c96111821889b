"""A local preview: the site on a loopback address, built again when something is saved.

Only this machine can reach it, and only under a loopback name: a page elsewhere that resolves its own name
to this machine (DNS rebinding) gets nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

_NAMES = ("localhost", "127.0.0.1", "[::1]")


class _Handler(SimpleHTTPRequestHandler):
    """Files of one folder, never a listing of it, with the garden's own page for what is not there."""

    server_version = "garden"
    sys_version = ""

    def __init__(self, *arguments: Any, folder: Path, quiet: bool = True, **more: Any) -> None:
        self.folder, self.quiet = folder, quiet
        super().__init__(*arguments, directory=str(folder), **more)

    def do_GET(self) -> None:
        if self._is_local():
            super().do_GET()

    def do_HEAD(self) -> None:
        if self._is_local():
            super().do_HEAD()

    def _is_local(self) -> bool:
        host = self.headers.get("Host", "")
        name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
        if name in _NAMES:
            return True
        self.send_error(HTTPStatus.FORBIDDEN, "this preview answers to localhost only")
        return False

    def list_directory(self, path: Any) -> None:
        self.send_error(HTTPStatus.NOT_FOUND, "not found")

    def translate_path(self, path: str) -> str:
        """A file inside the folder, links resolved; anything else is a path that does not exist."""
        wanted = Path(super().translate_path(path))
        if not wanted.resolve().is_relative_to(self.folder.resolve()):
            return str(self.folder / "404" / "outside")
        return str(wanted)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        page = self.folder / "404.html"
        if code != HTTPStatus.NOT_FOUND or not page.is_file():
            super().send_error(code, message, explain)
            return
        body = page.read_bytes()
        self.send_response(code)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def end_headers(self) -> None:
        self.send_header("Cache-Control", "no-store")  # the next save must show at once
        self.send_header("X-Content-Type-Options", "nosniff")
        super().end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        if not self.quiet:
            super().log_message(format, *arguments)


def server(folder: Path, port: int) -> ThreadingHTTPServer:
    """A server for `folder` on 127.0.0.1; port 0 is any free one. Raises OSError where the port is taken."""
    return ThreadingHTTPServer(("127.0.0.1", port), partial(_Handler, folder=folder))


def serve(
    folder: Path, port: int, watched: Sequence[Path], ignored: Sequence[Path], rebuild: Callable[[], object]
) -> None:
    """Serve `folder` and call `rebuild` after each burst of changes in `watched`, until interrupted."""
    from watchfiles import DefaultFilter, watch  # on first use: only this command watches

    class Filter(DefaultFilter):
        """Also leaves out what the build itself writes."""

        def __call__(self, change: Any, path: str) -> bool:
            inside = any(Path(path).is_relative_to(one) for one in ignored)
            return not inside and super().__call__(change, path)

    with server(folder, port) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        try:
            for _ in watch(*watched, watch_filter=Filter(), raise_interrupt=True):
                rebuild()
        finally:
            http.shutdown()

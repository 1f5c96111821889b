"""A local preview: the site on a loopback address.

Only this machine can reach it, and only under a loopback name: a page elsewhere that resolves its own name
to this machine (DNS rebinding) gets nothing.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from generator.serve.events import Events

_NAMES = ("localhost", "127.0.0.1", "[::1]")

_OURS = "/_garden/"
"""What the preview itself answers lies here: `events` and `live.js`, and pages of notes end in `.html`."""

_SCRIPT = Path(__file__).parent / "live.js"


_TYPES = {".js": "text/javascript", ".woff2": "font/woff2", ".svg": "image/svg+xml"}
"""What the machine's own table may lack."""


class _Handler(SimpleHTTPRequestHandler):
    """Files of one folder, never a listing of it, with the garden's own page for what is not there.

    A page that is opened is given one script more, which listens to `events`. The files themselves have none.
    """

    server_version = "garden"
    sys_version = ""

    def __init__(
        self, *arguments: Any, folder: Path, events: Events | None, quiet: bool = True, **more: Any
    ) -> None:
        self.folder, self.events, self.quiet = folder, events, quiet
        self.extensions_map = SimpleHTTPRequestHandler.extensions_map | _TYPES
        super().__init__(*arguments, directory=str(folder), **more)

    def do_GET(self) -> None:
        if self._is_local() and not self._answer_ourselves():
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

    # ------------------------------------------------------------ what is not in the folder

    def _answer_ourselves(self) -> bool:
        """Whether the request was for the preview itself, or for a page to be opened, and is answered."""
        if self.events is None:
            return False
        path = self.path.partition("?")[0]
        if path == f"{_OURS}events":
            self._stream(self.events)
        elif path == f"{_OURS}live.js":
            self._send(_SCRIPT.read_bytes(), "text/javascript; charset=utf-8")
        elif self._is_opened():
            script = self._script(self.events)  # Before the page is read: it may only be newer than it says.
            page = self._page()
            if page is None:
                return False
            self._send(page.replace(b"<head>", script, 1), "text/html; charset=utf-8")
        else:
            return False
        return True

    def _is_opened(self) -> bool:
        """Whether a page is to be shown by itself, and not fetched by another one."""
        return self.headers.get("Sec-Fetch-Dest", "document") == "document"

    def _page(self) -> bytes | None:
        file = Path(self.translate_path(self.path))
        if file.is_dir() and self.path.partition("?")[0].endswith("/"):
            file /= "index.html"
        try:
            return file.read_bytes() if file.suffix == ".html" else None
        except OSError:
            return None

    def _script(self, events: Events) -> bytes:
        """The script that a page is given, before all others: it looks at the page before they change it."""
        state = events.state
        build = f"{state['session']}-{state['build']}"
        return f'<head><script type="module" src="{_OURS}live.js?{build}"></script>'.encode()

    def _stream(self, events: Events) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        with suppress(OSError):  # The page is gone.
            for part in events.heard():
                self.wfile.write(part)

    def _send(self, body: bytes, kind: str, status: int = HTTPStatus.OK) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    # ------------------------------------------------------------ what is in the folder

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
        if self.events and self._is_opened():  # Whoever waits for a note sees it come.
            body = body.replace(b"<head>", self._script(self.events), 1)
        self._send(body, "text/html; charset=utf-8", code)

    def end_headers(self) -> None:
        self.send_header("Cache-Control", "no-store")  # the next save must show at once
        self.send_header("X-Content-Type-Options", "nosniff")
        super().end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        if not self.quiet:
            super().log_message(format, *arguments)


class _Server(ThreadingHTTPServer):
    # A page asks for many small files at once; those that find the queue full come back a second later.
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A page that leaves while it is answered is nothing to speak of."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


def server(folder: Path, port: int, events: Events | None = None) -> ThreadingHTTPServer:
    """A server for `folder` on 127.0.0.1; port 0 is any free one. With `events`, pages that are opened are
    told of them. Raises OSError where the port is taken."""
    return _Server(("127.0.0.1", port), partial(_Handler, folder=folder, events=events))

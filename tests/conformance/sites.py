"""The two gardens that are judged, built as a reader gets them, and a server that sends what a host does."""

from __future__ import annotations

import functools
import gzip
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
EXHIBITS = Path(__file__).parent / "garden"
CROWD = 60  # a note shows fewer than this of those that link to it, and has a page for all of them
ADDRESS = "https://example.org/garden/"  # with an address a page has all the parts that it can have

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".xml": "application/xml",
    ".txt": "text/plain; charset=utf-8",
    ".md": "text/markdown; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".woff2": "font/woff2",
    ".pdf": "application/pdf",
}
COMPRESSED = (".html", ".css", ".js", ".json", ".xml", ".txt", ".md", ".svg")


@dataclass(frozen=True, slots=True)
class Site:
    """A built garden: what it is called here, its folder, and its address, which ends in a slash."""

    name: str
    folder: Path
    url: str

    def pages(self) -> list[str]:
        """Every document of the site by its address in it, in order; previews are only fragments."""
        found = (path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*.html"))
        return sorted(page for page in found if not page.startswith("previews/"))

    def previews(self) -> list[str]:
        """Every preview: a fragment that a script puts into a page. A note may have an empty one."""
        return sorted(
            path.relative_to(self.folder).as_posix()
            for path in (self.folder / "previews").rglob("*.html")
            if path.stat().st_size
        )


@contextmanager
def sites(temporary: Path) -> Iterator[tuple[Site, Site]]:
    """This garden, and one of exhibits: everything that a page may have and this garden's pages have not."""
    garden, exhibits = temporary / "garden", temporary / "exhibits"
    _build(ROOT / "notes", garden, ())
    _build(_crowded(temporary), exhibits, ("--cache", str(temporary / "cache"), "--no-strict"))
    with serve(garden) as first, serve(exhibits) as second:
        yield Site("garden", garden, first), Site("exhibits", exhibits, second)


def _crowded(temporary: Path) -> Path:
    """The exhibits, and more notes that link to one of them than its page can show."""
    notes = temporary / "notes"
    shutil.copytree(EXHIBITS, notes)
    for number in range(CROWD):
        (notes / "crowd").mkdir(exist_ok=True)
        text = f"---\ncreated: 2026-09-01\n---\nNumber {number} in a crowd, all of whom link to [[Prose]].\n"
        (notes / "crowd" / f"One of many {number}.md").write_text(text, "utf-8")
    return notes


class NotBuilt(Exception):
    """A garden could not be built; the build has said why."""


def _build(notes: Path, out: Path, options: tuple[str, ...]) -> None:
    command = [sys.executable, str(ROOT / "build.py"), "--notes", str(notes), "--out", str(out)]
    done = subprocess.run(
        [*command, "--base-url", ADDRESS, *options], stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode not in (0, 1, 3) or not (out / "index.html").is_file():
        raise NotBuilt(f"The garden in {notes.name}/ could not be built:\n{done.stdout}")


class _Handler(SimpleHTTPRequestHandler):
    """A static host: right types, text compressed where the browser takes it, the garden's own 404."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        found = Path(self.translate_path(self.path))
        if found.is_dir():
            found = found / "index.html"
        if found.is_file():
            self._send(HTTPStatus.OK, found)
        else:
            self._send(HTTPStatus.NOT_FOUND, Path(self.directory) / "404.html")

    def _send(self, status: HTTPStatus, path: Path) -> None:
        body = path.read_bytes()
        self.send_response(status)
        self.send_header("Content-Type", TYPES.get(path.suffix, "application/octet-stream"))
        self.send_header("Cache-Control", "max-age=3600")
        if path.suffix in COMPRESSED and "gzip" in self.headers.get("Accept-Encoding", ""):
            body = _compressed(body)
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing: what matters is in the judges' words."""


@functools.lru_cache(maxsize=256)
def _compressed(body: bytes) -> bytes:
    return gzip.compress(body, 6, mtime=0)


class _Server(ThreadingHTTPServer):
    # A page asks for many small files at once; those that find the queue full come back a second later.
    request_queue_size = 64


@contextmanager
def serve(folder: Path) -> Iterator[str]:
    """Serve a folder on a free port of the loopback address, for as long as the block runs."""
    server = _Server(("127.0.0.1", 0), functools.partial(_Handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

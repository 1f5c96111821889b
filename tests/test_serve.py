"""The preview: this machine only, this folder only, and whatever happens meanwhile."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest

from generator import disk
from generator.execution.processes import descendants
from generator.serve import Events, Places, server
from tests.previewed import serving
from tests.support import BUILD, Garden, garden


@pytest.fixture
def preview(tmp_path: Path) -> Iterator[ThreadingHTTPServer]:
    site = tmp_path / "site"
    (site / "folder").mkdir(parents=True)
    (site / "index.html").write_text("home")
    (site / "404.html").write_text("nothing here")
    (tmp_path / "secret.txt").write_text("canary")
    (site / "link.txt").symlink_to(tmp_path / "secret.txt")
    (site / "note.html").write_text("<!doctype html><head><title>x</title></head>")
    http = server(site, 0, Events(session="x", build=7))
    threading.Thread(target=http.serve_forever, daemon=True).start()
    yield http
    http.shutdown()
    http.server_close()


def ask(
    http: ThreadingHTTPServer, path: str, host: str = "localhost", method: str = "GET", more: str = ""
) -> tuple[int, str]:
    """A raw request, which no client has tidied up; gives status and body."""
    with socket.create_connection(http.server_address[:2], timeout=10) as connection:
        connection.sendall(f"{method} {path} HTTP/1.0\r\nHost: {host}\r\n{more}\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
    head, _, body = answer.partition("\r\n\r\n")
    return int(head.split()[1]), body


def test_it_listens_on_loopback_only(preview: ThreadingHTTPServer) -> None:
    assert preview.server_address[0] == "127.0.0.1"


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "127.0.0.1", "127.0.0.1:8000", "[::1]:8000"])
def test_it_answers_to_local_names(preview: ThreadingHTTPServer, host: str) -> None:
    assert ask(preview, "/", host) == (200, "home")


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "localhost.evil.example", "", "127.0.0.1.evil"]
)
def test_it_answers_to_no_other_name(preview: ThreadingHTTPServer, host: str) -> None:
    status, body = ask(preview, "/", host)
    assert status == 403
    assert "home" not in body


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/../secret.txt",
            "/%2e%2e/secret.txt",
            "/..%2fsecret.txt",
            "/folder/../../secret.txt",
            "//secret.txt",
        ),
        *("/..\\secret.txt", "/link.txt", "/./.././secret.txt", "/%2e%2e%5csecret.txt", "/none.html"),
    ],
)
def test_nothing_outside_the_site_is_served(preview: ThreadingHTTPServer, path: str) -> None:
    status, body = ask(preview, path)
    assert status == 404
    assert body == "nothing here"


def test_folders_are_not_listed(preview: ThreadingHTTPServer) -> None:
    assert ask(preview, "/folder/") == (404, "nothing here")


def test_a_page_that_is_opened_listens_and_one_that_is_fetched_is_as_it_lies_there(
    preview: ThreadingHTTPServer,
) -> None:
    script = '<script type="module" src="/_garden/live.js?x-7"></script>'
    assert script in ask(preview, "/note.html")[1]
    assert script not in ask(preview, "/note.html", more="Sec-Fetch-Dest: empty\r\n")[1]
    assert ask(preview, "/_garden/live.js")[0] == 200


def test_whoever_listens_is_told_the_state_and_a_foreign_name_nothing(preview: ThreadingHTTPServer) -> None:
    with socket.create_connection(preview.server_address[:2], timeout=10) as connection:
        connection.sendall(b"GET /_garden/events HTTP/1.0\r\nHost: localhost\r\n\r\n")
        heard = b""
        while b'data: {"session": "x", "build": 7}\n\n' not in heard:
            heard += (part := connection.recv(65536))
            assert part, heard
    assert ask(preview, "/_garden/events", "evil.example")[0] == 403


# ---------------------------------------------------------------- what is watched


PLACES = Places(
    Path("/g/notes"),
    ".evidence",
    (Path("/g/notes/out"),),
    (Path("/g/garden.toml"),),
    (Path("/p/generator"), Path("/p/templates")),
    (Path("/p/static"),),
)


@pytest.mark.parametrize(
    "path",
    [
        *("/g/notes/a.md", "/g/notes/sub/a b.png", "/g/notes/a.py", "/g/notes/.evidence/a.json", "/g/notes"),
        *("/g/garden.toml", "/p/generator/links.py", "/p/templates/note.html", "/p/static/css/page.css"),
    ],
)
def test_what_the_site_depends_on_is_watched(path: str) -> None:
    assert PLACES.matters(Path(path))


@pytest.mark.parametrize(
    "path",
    [
        *("/g/notes/4913", "/g/notes/.a.md.swp", "/g/notes/a.md~", "/g/notes/.#a.md", "/g/notes/#a.md#"),
        *("/g/notes/.git/index", "/g/notes/.obsidian/workspace.json", "/g/notes/out/index.html", "/g/other"),
        *("/g/notes/node_modules/a.md", "/g/notes/a.md___jb_tmp___", "/p/generator/__pycache__/a.pyc"),
    ],
)
def test_what_editors_leave_about_is_not(path: str) -> None:
    assert not PLACES.matters(Path(path))


# ---------------------------------------------------------------- a preview that runs


@contextmanager
def locked(made: Garden) -> Iterator[None]:
    """The garden as another build has it: as soon as nobody else has."""
    deadline = time.monotonic() + 60
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(disk.lock(made.root / ".cache" / "garden"))
                break
            except disk.Locked:
                assert time.monotonic() < deadline
                time.sleep(0.02)
        yield


def test_what_is_saved_shows_whatever_happened_before(tmp_path: Path) -> None:
    made = garden(tmp_path, {"index.md": "before", "other.md": "Other."}, 'title = "Named"\n')
    with serving(made, "--no-exec") as preview:
        preview.save("after [[nowhere]]")
        preview.shows("after")
        preview.until(lambda: "index.html" in preview.heard[-1].get("changed", ()))

        made.write({"garden.toml": 'title = "Renamed"\n'})
        preview.shows("Renamed")

        made.write({"garden.toml": "title = 7\n"})
        preview.until(lambda: "title must be" in preview.heard[-1]["failed"])
        preview.shows("Renamed")
        made.write({"garden.toml": 'title = "Mended"\n'})
        preview.shows("Mended")
        preview.until(lambda: not preview.heard[-1]["failed"])

        for n in range(40):
            preview.save(f"burst {n}")
        preview.shows("burst 39")

        for pid in descendants(preview.process.pid):
            os.kill(pid, signal.SIGKILL)
        preview.save("after a death")
        preview.shows("after a death")

        with locked(made):
            preview.save("while locked")
            preview.until(lambda: any("another build is at work" in line for line in preview.lines))
        preview.shows("while locked")

        made.notes.rename(tmp_path / "aside")
        preview.until(lambda: "does not exist" in preview.heard[-1]["failed"])
        assert "while locked" in preview.page() and "Other." in preview.page("other.html")
        (tmp_path / "aside").rename(made.notes)
        preview.until(lambda: not preview.heard[-1]["failed"])
        preview.save("after all")
        preview.shows("after all")


def test_what_pages_are_made_with_may_change_meanwhile(tmp_path: Path) -> None:
    for name in ("generator", "templates", "static"):
        shutil.copytree(BUILD.parent / name, tmp_path / name, ignore=shutil.ignore_patterns("vendor"))
    shutil.copy(BUILD, tmp_path)
    made = garden(tmp_path, {"index.md": "Text."})
    with serving(made, "--no-exec", build=tmp_path / "build.py") as preview:

        def change(path: str, old: str, new: str) -> None:
            text = (tmp_path / path).read_text("utf-8")
            assert old in text
            made.write({path: text.replace(old, new)})

        change("static/css/page.css", "box-sizing: border-box", "box-sizing: content-box")
        preview.shows("box-sizing: content-box", "static/garden.css")
        preview.until(lambda: preview.heard[-1].get("changed") == ["static/garden.css"])

        change("templates/footer.html", "Recent changes", "{% nonsense %}")
        preview.until(lambda: "bug" in preview.heard[-1]["failed"])
        assert "Recent changes" in preview.page()
        change("templates/footer.html", "{% nonsense %}", "What is new")
        preview.shows("What is new")


def test_an_interrupt_ends_it_and_all_that_it_started(tmp_path: Path) -> None:
    note = "```{python}\nimport time\ntime.sleep(600)\n```"
    made = garden(tmp_path, {"index.md": note}, "[cells]\ntimeout = 600\nsandbox = 'off'\n")
    with serving(made) as preview:
        preview.until(lambda: preview.heard[-1]["running"])
        preview.until(
            lambda: len(descendants(preview.process.pid)) > 2
        )  # the cell's own, below the builder's
        started = descendants(preview.process.pid)
        os.killpg(preview.process.pid, signal.SIGINT)
        assert preview.process.wait(30) == 0
        assert not [pid for pid in started if Path(f"/proc/{pid}/exe").exists()]

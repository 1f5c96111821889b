"""The preview server: this machine only, this folder only."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest

from generator.serve import server
from tests.support import BUILD, garden, hear_interrupts


@pytest.fixture
def preview(tmp_path: Path) -> Iterator[ThreadingHTTPServer]:
    site = tmp_path / "site"
    (site / "folder").mkdir(parents=True)
    (site / "index.html").write_text("home")
    (site / "404.html").write_text("nothing here")
    (tmp_path / "secret.txt").write_text("canary")
    (site / "link.txt").symlink_to(tmp_path / "secret.txt")
    http = server(site, 0)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    yield http
    http.shutdown()
    http.server_close()


def ask(
    http: ThreadingHTTPServer, path: str, host: str = "localhost", method: str = "GET"
) -> tuple[int, str]:
    """A raw request, which no client has tidied up; gives status and body."""
    with socket.create_connection(http.server_address[:2], timeout=10) as connection:
        connection.sendall(f"{method} {path} HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
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


def test_a_save_shows_in_the_served_site_and_so_does_a_setting(tmp_path: Path) -> None:
    made = garden(tmp_path, {"index.md": "before"}, 'title = "Named"\n')
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, str(BUILD), "serve", "--port", str(port), "--notes", str(made.notes)]
    serving = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=hear_interrupts,
    )
    page = made.site / "index.html"
    try:
        assert serving.stderr is not None
        assert any("shows the garden" in line for line in iter(serving.stderr.readline, ""))
        time.sleep(1)  # the watcher begins after the line is written; an earlier save would go unseen
        made.write({"notes/index.md": "after [[nowhere]]"})
        deadline = time.monotonic() + 60
        while "after" not in page.read_text():
            assert time.monotonic() < deadline, "the save never showed"
            time.sleep(0.1)
        made.write({"garden.toml": 'title = "Renamed"\n'})
        while "Renamed" not in page.read_text():
            assert time.monotonic() < deadline, "the new setting never showed"
            time.sleep(0.1)
        os.killpg(serving.pid, signal.SIGINT)
        assert serving.wait(30) == 0
    finally:
        if serving.poll() is None:
            os.killpg(serving.pid, signal.SIGKILL)

"""A Chromium for the browser tests: found on this machine, or obtained.

Run as a program, it says on one line which browser the tests will use, and exits with 1 if there is none and
none could be had. Tests call `find`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
"""How tests start it: without a window, and silent towards other hosts."""

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
MAC = "/Applications/{0}.app/Contents/MacOS/{0}"


def find() -> str | None:
    """Path of the first browser that starts: CHROMIUM's, the system's, then Playwright's own."""
    return next((path for path in candidates() if starts(path)), None)


def candidates() -> Iterator[str]:
    named = os.environ.get("CHROMIUM")
    if named:
        yield named
        return  # who names a browser means that one, not the next best
    yield from filter(None, map(shutil.which, NAMES))
    yield from (MAC.format(name) for name in ("Chromium", "Google Chrome"))
    yield from playwright_own()


def playwright_own() -> Iterator[str]:
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return
    with sync_playwright() as playwright:
        yield playwright.chromium.executable_path


def starts(path: str) -> bool:
    """Whether it tells its version; some distributions' `chromium` only says where to get one."""
    if not Path(path).is_file():
        return False
    try:
        run = subprocess.run([path, "--version"], capture_output=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return run.returncode == 0


def obtain() -> Iterator[str]:
    """Try each way of installing one, the distribution's first; yields what was done."""
    root = as_root()
    if root is not None and shutil.which("apt-get"):
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        apt = [*root, "apt-get", "-qq"]
        run([*apt, "update"], environment)
        if run([*apt, "install", "-y", "--no-install-recommends", "chromium"], environment):
            yield "installed Debian's package `chromium`"
    if run([sys.executable, "-m", "playwright", "install", "chromium"]):
        yield "installed Playwright's own"


def as_root() -> list[str] | None:
    """What to put before a command to run it as root; None where that is not allowed without a password."""
    if os.geteuid() == 0:
        return []
    sudo = ["sudo", "-n"]
    return sudo if shutil.which("sudo") and run([*sudo, "true"]) else None


def run(command: list[str], environment: dict[str, str] | None = None) -> bool:
    """Whether the command succeeded; its output goes to stderr, where it belongs while installing."""
    return subprocess.run(command, env=environment, stdout=sys.stderr, check=False).returncode == 0


def main() -> int:
    browser, how = find(), "found"
    named = os.environ.get("CHROMIUM")
    if browser is None and named:
        print(f"CHROMIUM is {named}, which is no browser that starts.", file=sys.stderr)
        return 1
    if browser is None:
        print("No Chromium found; obtaining one for the browser tests", flush=True)
        how = next((done for done in obtain() if find()), "")
        browser = find() if how else None
    if browser is None:
        print(
            "The browser tests need Chromium, and none could be installed. Install `chromium` or "
            "Google Chrome, or set CHROMIUM to the path of one that starts.",
            file=sys.stderr,
        )
        return 1
    print(f"Chromium: {browser} ({how})")
    return 0


if __name__ == "__main__":
    sys.exit(main())

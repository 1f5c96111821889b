"""A real Chromium, a folder served on this machine, and pages that remember what went wrong on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import obtain_chromium
import pytest
import sample
from playwright.sync_api import Browser, sync_playwright
from served import Served, Visit, serve

from generator.config import Config

NO_BROWSER = (
    "The browser tests need Chromium and found none. `make chromium` gets one; "
    "or set CHROMIUM to the path of one that starts."
)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for a test process; there is none → the test fails, with what to do about it."""
    path = obtain_chromium.find()
    if path is None:
        pytest.fail(NO_BROWSER, pytrace=False)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=list(obtain_chromium.ARGUMENTS))
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def garden(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The garden of `sample`, rendered by the theme and served."""
    folder = tmp_path_factory.mktemp("garden")
    for out, data in sample.site(Config(title="A small garden")).items():
        file = folder / out
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    with serve(folder) as url:
        yield Served(folder, url)


Visitor = Callable[..., Visit]


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visitor]:
    """`visit(url, **options)` opens an address in a fresh context made with Playwright's `options`."""
    contexts = []

    def open_page(url: str, **options: Any) -> Visit:
        context = browser.new_context(**{"viewport": {"width": 1440, "height": 900}, **options})
        contexts.append(context)
        page = context.new_page()
        seen = Visit(page, [], [])
        page.on("console", lambda message: _note(seen, message))
        page.on("pageerror", lambda error: seen.complaints.append(str(error)))
        page.on("request", lambda request: seen.requests.append(request.url))
        page.goto(url)
        return seen

    yield open_page
    for context in contexts:
        context.close()


def _note(seen: Visit, message: Any) -> None:
    if message.type in ("error", "warning"):
        seen.complaints.append(message.text)

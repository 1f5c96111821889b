"""What axe-core says about every kind of page and every state of it, and then about every page.

Pages are judged as a reader gets them: with their content security policy, their scripts and their fonts.
All of axe-core's default rules are asked, those about good practice too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from playwright.sync_api import Browser, BrowserContext, Page, Route, sync_playwright

from tests.browser.obtain_chromium import ARGUMENTS
from tests.conformance.report import Finding, Judged
from tests.conformance.sites import ADDRESS, ROOT, TYPES, Site
from tests.conformance.tools import Tools

SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
DESKTOP, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
BOTH = (DESKTOP, PHONE)

LONG = "fitting-a-multivariate-gaussian-by-gradient-descent"
STACK = f"index.html?stackedNotes={LONG}&stackedNotes=cholesky-factor"


# ---------------------------------------------------------------- what a reader does

Act = Callable[[Page], None]


def nothing(page: Page) -> None:
    """Reads."""


def unfold(page: Page) -> None:
    """Opens everything that is folded: evidence, callouts, problems, mentions, lists."""
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")


def search(words: str) -> Act:
    """Opens the search and types; waits for the answer."""

    def act(page: Page) -> None:
        page.locator(".search-open").click()
        page.locator("dialog.search input").fill(words)
        _until(page, "/note|Nothing/.test(document.querySelector('.search-status').textContent)")
        page.wait_for_load_state("networkidle")

    return act


def hover(selector: str, depth: int = 1) -> Act:
    """Rests on a link until its preview shows, then on a link in that, and so on."""

    def act(page: Page) -> None:
        page.locator(selector).first.hover()
        for level in range(depth):
            card = page.locator(".preview-card:not([data-waiting])").nth(level)
            card.locator(".preview-body").wait_for()
            if level + 1 < depth:
                card.locator("a[data-preview]:visible").first.hover()

    return act


def panes(then: Act = nothing) -> Act:
    """Waits until three panes stand side by side, then goes on."""

    def act(page: Page) -> None:
        _until(page, "document.querySelectorAll('.pane > .spine').length === 3")
        page.wait_for_load_state("networkidle")
        then(page)

    return act


def _until(page: Page, condition: str) -> None:
    """Waits for a condition. Playwright's own way to wait needs `eval`, which the policy forbids."""
    for _ in range(200):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    raise RuntimeError(f"{page.url}: it never came to {condition}")


# ---------------------------------------------------------------- what is looked at


@dataclass(frozen=True, slots=True)
class Scene:
    """A page in a state: the template that it is of, which site, where, what is done, and on what screens."""

    name: str
    template: str
    site: str
    path: str
    act: Act = nothing
    screens: Sequence[dict[str, int]] = BOTH


SCENES = (
    Scene("first page", "note", "garden", "index.html"),
    Scene("note with cells, figures and formulas", "note", "garden", f"{LONG}.html", unfold),
    Scene("note that shows the dialect", "note", "garden", "writing-notes.html", unfold),
    Scene("prose: callouts, tables, footnotes, a diagram", "note", "exhibits", "prose.html", unfold),
    Scene("formulas of every kind", "note", "exhibits", "formulas.html"),
    Scene("cells of every grade", "note", "exhibits", "cells.html", unfold),
    Scene("cells with every kind of output", "note", "exhibits", "results.html", unfold),
    Scene("pictures, sound, film, PDF", "note", "exhibits", "media.html"),
    Scene("note with problems", "note", "exhibits", "mistakes.html", unfold),
    Scene("note in another language", "note", "exhibits", "other-tongues.html"),
    Scene("note with nothing in it", "note", "exhibits", "folder/empty.html"),
    Scene("all notes", "list", "garden", "all.html"),
    Scene("tags", "list", "garden", "tags/index.html"),
    Scene("one tag, with tags below it", "list", "exhibits", "tags/exhibit.html"),
    Scene("recent changes", "list", "garden", "recent.html"),
    Scene("daily notes", "list", "exhibits", "daily.html"),
    Scene("what to tend: wanted notes, orphans", "list", "exhibits", "tend.html"),
    Scene("map", "graph", "garden", "graph.html"),
    Scene("map, with its list", "graph", "exhibits", "graph.html", unfold),
    Scene("ledger", "ledger", "garden", "ledger.html"),
    Scene("ledger, with cells that failed", "ledger", "exhibits", "ledger.html", unfold),
    Scene("all that link to a note", "linked", "exhibits", "backlinks/prose.html"),
    Scene("not found", "message", "garden", "404.html"),
    Scene("moved", "redirect", "garden", "syntax.html"),
    Scene("search, with hits", "note", "garden", "index.html", search("gradient")),
    Scene("search, with none", "note", "garden", "index.html", search("xyzzyx")),
    Scene("preview", "preview", "garden", "index.html", hover(".note-body a[data-preview]"), (DESKTOP,)),
    Scene(
        "preview in a preview", "preview", "garden", "index.html",
        hover(".note-body a[data-preview]", 2), (DESKTOP,),
    ),
    Scene("three panes", "note", "garden", STACK, panes(), (DESKTOP,)),
    Scene("three panes, unfolded", "note", "garden", STACK, panes(unfold), (DESKTOP,)),
    Scene(
        "three panes and a preview", "preview", "garden", STACK,
        panes(hover(".pane:last-child .note-body a[data-preview]:visible")), (DESKTOP,),
    ),
    Scene("three panes that overlap", "note", "garden", STACK, panes(), ({"width": 1000, "height": 800},)),
)  # fmt: skip


def templates() -> set[str]:
    """The templates of pages, as opposed to parts of pages."""
    pages = {"preview"}
    for path in (ROOT / "templates").glob("*.html"):
        text = path.read_text("utf-8").lstrip()
        if path.stem != "base" and text.startswith(('{% extends "base.html" %}', "<!doctype")):
            pages.add(path.stem)
    return pages


# ---------------------------------------------------------------- judging


def judge(tools: Tools, sites: Sequence[Site]) -> list[Judged]:
    """Every scene in both schemes on its screens; then every page, unfolded, in both schemes."""
    with _browser(tools) as browser:
        scenes = _summed("every template and state", list(_scenes(browser, tools, sites)))
        pages = _summed("every page", list(_pages(browser, tools, sites[0])))
    return [scenes, pages]


Result = tuple[str, Any]


def _scenes(browser: Browser, tools: Tools, sites: Sequence[Site]) -> Iterator[Result]:
    named = {site.name: site for site in sites}
    for scene in SCENES:
        for screen in scene.screens:
            with _context(browser, screen, named[scene.site]) as context:
                where = f"{scene.name}, {screen['width']} px"
                yield from _judged(context, where, scene.path, scene.act, tools)


def _pages(browser: Browser, tools: Tools, site: Site) -> Iterator[Result]:
    with _context(browser, DESKTOP, site) as context:
        for page in site.pages():
            moved = b'http-equiv="refresh"' in (site.folder / page).read_bytes()
            if not moved and not page.startswith("static/"):  # addresses that lead on are all alike
                yield from _judged(context, page, page, unfold, tools)


def _judged(context: BrowserContext, where: str, path: str, act: Act, tools: Tools) -> Iterator[Result]:
    """A page in a state, in light and then in dark."""
    page = context.new_page()
    page.emulate_media(color_scheme=SCHEMES[0])
    page.goto(ADDRESS + path, wait_until="networkidle")
    act(page)
    page.evaluate("document.fonts.ready")
    for frame in page.frames:
        frame.evaluate(tools.axe)  # through the debugger: the page's policy stays as it is
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        _until(page, "document.getAnimations().every((one) => one.playState !== 'running')")
        result = page.evaluate("axe.run(document, { resultTypes: ['violations', 'incomplete'] })")
        yield f"{where}, {scheme}", result
    page.close()


@contextmanager
def _browser(tools: Tools) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=tools.chromium, args=list(ARGUMENTS))
        yield browser
        browser.close()


@contextmanager
def _context(browser: Browser, screen: Any, site: Site) -> Iterator[BrowserContext]:
    """A reader's window, for which the site is at the address that it was built for."""
    context = browser.new_context(viewport=screen)
    context.route(f"{ADDRESS}**", lambda route: _answer(route, site.folder))
    yield context
    context.close()


def _answer(route: Route, folder: Path) -> None:
    path = unquote(urlsplit(route.request.url).path)
    file = folder / path.removeprefix(urlsplit(ADDRESS).path)
    if not file.is_file():
        route.fulfill(status=404, content_type=TYPES[".html"], body=(folder / "404.html").read_bytes())
        return
    # A page that has moved would lead on before it is judged.
    body = file.read_bytes().replace(b'http-equiv="refresh"', b'name="moved"')
    route.fulfill(content_type=TYPES.get(file.suffix, "application/octet-stream"), body=body)


def _summed(what: str, results: Sequence[Result]) -> Judged:
    broken = [one for where, result in results for one in _findings(where, result["violations"])]
    noted = [one for where, result in results for one in _findings(where, result["incomplete"])]
    return Judged("axe-core", what, len(results), tuple(broken), tuple(noted))


def _findings(where: str, rules: Any) -> Iterator[Finding]:
    for rule in rules:
        for node in rule["nodes"]:
            yield Finding(where, f"{rule['id']}: {rule['help']}", " ".join(node["html"].split()))

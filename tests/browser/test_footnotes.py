"""Footnotes: beside the text where there is room, in a card where there is none, a list without either."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import sample
from playwright.sync_api import Page, expect
from served import Served, serve

from generator import theme
from generator.config import Config
from generator.model import FootnoteView, Html, OutPath

pytestmark = pytest.mark.browser

NARROW = {"width": 900, "height": 900}
LONG = "It goes on, as footnotes do, with a second thought and a third, and takes several lines of room. " * 2


@pytest.fixture(scope="module")
def annotated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The small garden, with a note of five footnotes, three of them in one line, and one of a hundred."""
    folder = tmp_path_factory.mktemp("annotated")
    files = sample.site(Config(title="A small garden"))
    for count in (5, 100):
        files[OutPath(f"notes-{count}.html")] = note(count)
    for out, data in files.items():
        file = folder / out
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    with serve(folder) as url:
        yield Served(folder, url)


def note(count: int) -> bytes:
    page = sample.note("reverse")
    footnotes = tuple(
        FootnoteView(n, f"fn-{n}", Html(f"<p>Remark {n}. {LONG}</p>"), (f"#fnref-{n}",))
        for n in range(1, count + 1)
    )
    refs = [
        f'<sup class="footnote-ref"><a href="#fn-{n}" id="fnref-{n}">{n}</a></sup>'
        for n in range(1, count + 1)
    ]
    body = f"<p>One line.{''.join(refs[:3])}</p>" + "<p>Text between.</p>" * 12
    body += "".join(f"<p>A line.{ref} {sample.link('', 'cholesky', 'Cholesky')}</p>" for ref in refs[3:])
    data = replace(page.data, body=Html(body + sample.TABLE), footnotes=footnotes)  # type: ignore[type-var]
    return theme.render(replace(page, data=data), Config(title="A small garden"))


def boxes(page: Page, selector: str) -> list[dict[str, Any]]:
    return [box for item in page.locator(selector).all() if (box := item.bounding_box())]


def is_list_at_the_end(page: Page) -> bool:
    last = boxes(page, ".note-body > *")[-1]
    notes = boxes(page, ".footnotes li")
    return all(box["y"] >= last["y"] + last["height"] for box in notes) and notes[0]["x"] < last["x"] + 60


def test_a_footnote_stands_level_with_its_number_unless_the_one_before_it_is_in_the_way(
    visit, annotated
) -> None:
    page = visit(annotated.url + "notes-5.html").page
    notes, numbers = boxes(page, ".footnotes li"), boxes(page, ".footnote-ref a")
    text = page.locator(".note-body").bounding_box()
    for n in (0, 3):
        middle = numbers[n]["y"] + numbers[n]["height"] / 2
        assert notes[n]["y"] - 12 < middle < notes[n]["y"] + 24
    for above, below in pairwise(notes):
        assert below["y"] >= above["y"] + above["height"] + 10
    for box in notes:
        assert box["x"] > text["x"] + text["width"] + 20
        assert box["x"] + box["width"] <= 1440
    assert page.evaluate("document.documentElement.scrollWidth") == 1440


def test_a_footnote_is_in_the_document_once_whatever_stands_beside_the_text(visit, annotated) -> None:
    page = visit(annotated.url + "notes-5.html").page
    assert page.get_by_text("Remark 4.").count() == 1
    items = page.get_by_role("region", name="Footnotes").get_by_role("list").get_by_role("listitem")
    expect(items).to_have_count(5)
    assert (
        page.evaluate("document.querySelector('.footnotes').previousElementSibling.className") == "note-body"
    )


@pytest.mark.parametrize("options", [{"viewport": NARROW}, {"viewport": {"width": 390, "height": 844}}])
def test_without_room_footnotes_are_a_list_at_the_end(visit, annotated, options) -> None:
    page = visit(annotated.url + "notes-5.html", **options).page
    assert is_list_at_the_end(page)
    assert page.evaluate("document.documentElement.scrollWidth") == options["viewport"]["width"]


def test_a_pane_has_its_footnotes_at_the_end(visit, annotated) -> None:
    page = visit(annotated.url + "notes-5.html").page
    page.locator(".note-body a[data-slug='cholesky']").first.click()
    expect(page.locator(".pane")).to_have_count(2)
    expect(page.locator(".pane .footnotes li").first).to_have_css("position", "static")


def test_paper_has_its_footnotes_at_the_end(visit, annotated) -> None:
    page = visit(annotated.url + "notes-5.html").page
    page.emulate_media(media="print")
    expect(page.locator(".footnotes li").first).to_have_css("position", "static")


def test_sidenotes_need_no_script(visit, annotated) -> None:
    page = visit(annotated.url + "notes-5.html", java_script_enabled=False).page
    expect(page.locator(".footnotes li").first).to_have_css("position", "absolute")


def test_a_note_with_more_footnotes_than_there_are_names_keeps_its_list(visit, annotated) -> None:
    page = visit(annotated.url + "notes-100.html").page
    assert theme.SIDENOTES == 99
    expect(page.locator(".footnotes li").first).to_have_css("position", "static")


def test_pointing_at_a_number_lights_its_sidenote_and_opens_no_card(visit, annotated) -> None:
    page = visit(annotated.url + "notes-5.html").page
    page.locator("#fnref-2").hover()
    expect(page.locator("#fn-2")).to_have_attribute("data-pointed", "")
    page.wait_for_timeout(500)
    expect(page.locator(".preview-card:not([data-waiting])")).to_have_count(0)
    page.locator("#fnref-2").click()
    assert page.evaluate("[scrollY, location.hash]") == [0, ""]
    page.locator("h1").hover()
    expect(page.locator("[data-pointed]")).to_have_count(0)


def test_a_tap_on_a_number_opens_its_footnote_in_place(visit, annotated) -> None:
    page = visit(annotated.url + "notes-5.html", viewport={"width": 390, "height": 844}, has_touch=True).page
    page.locator("#fnref-1").tap()
    expect(page.locator(".preview-card:not([data-waiting])")).to_contain_text("Remark 1.")
    assert page.evaluate("[scrollY, location.hash]") == [0, ""]
    page.locator("h1").tap()
    expect(page.locator(".preview-card:not([data-waiting])")).to_have_count(0)
    page.locator(".note-body a[data-slug='cholesky']").first.tap()
    expect(page.locator("h1")).to_have_text("Cholesky factor")


def test_the_keyboard_opens_a_footnote_and_enter_goes_to_it(visit, annotated) -> None:
    page = visit(annotated.url + "notes-5.html", viewport=NARROW).page
    page.locator(".note-meta a").last.focus()
    page.keyboard.press("Tab")
    expect(page.locator("#fnref-1")).to_be_focused()
    expect(page.locator(".preview-card:not([data-waiting])")).to_contain_text("Remark 1.")
    page.keyboard.press("Escape")
    expect(page.locator(".preview-card:not([data-waiting])")).to_have_count(0)
    page.keyboard.press("Enter")
    page.wait_for_function("location.hash === '#fn-1'")
    page.keyboard.press("Tab")
    expect(page.locator("#fn-1 .backref")).to_be_focused()

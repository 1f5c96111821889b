"""Search, in a real browser, on a garden that was really built."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from random import Random

import pytest
from playwright.sync_api import Page, Route, expect
from served import Served, serve

from generator import pipeline
from generator.config import Cells, Config
from generator.execution.protocol import Report
from generator.memo import Plain
from generator.model import CellResult, Observation, Output, Program, ProgramResult, RunLog, Source, Vault
from generator.search.words import fold, words

pytestmark = pytest.mark.browser

NOTES = {
    "index.md": "# Home\n\nSee [[folder/Tending]].\n",
    "Kernel trick.md": """\
---
aliases: [Feature-space shortcut]
tags: [learning/methods]
---
A product in a larger space without going there.

## Reproducing property

Evaluation is a product. The **gaussian** kernel is one of many.

```python
#| label: answer
6 * 7  # => 42
```
""",
    "Gaussian process.md": "# Gaussian process\n\nEvery finite part is normal; a *kernel* says how.\n",
    "folder/Tending.md": "# Tending\n\n" + "Words to scroll past.\n\n" * 60 + "A rare word: quincunx.\n",
    "Crème brûlée.md": "# Crème brûlée\n\nSugar, burnt.\n",
    "共分散.md": "# 共分散行列\n\n多変量の確率変数の散らばりを表す。\n",
    "Markup.md": "# Quirk of `<b onclick=x>`\n",
    "five/a.md": "---\ntags: [quasar]\n---\n# Of the tag\n",
    "five/b.md": "# Of the text\n\nA quasar, a quasar, and another quasar: four quasars with this quasar.\n",
    "five/c.md": "# A quasar\n",
    "five/d.md": "# Of the heading\n\n## On the quasar\n",
    "five/e.md": "---\naliases: [Quasar]\n---\n# Of the alias\n",
    "Secret.md": "---\ndraft: true\n---\n# Secret quincunx\n",
}


class Answering:
    """An executor for one cell that everybody can compute, and that says a word besides."""

    def run(self, programs: tuple[Program, ...], report: Report | None = None) -> tuple[ProgramResult, ...]:
        outputs = (
            Output("stream", "stdout", "zyzzyva\n"),
            Output("result", data=(("text/plain", "42"),)),
        )
        answer = CellResult("ok", outputs, (Observation(1, "", "42"),))
        return tuple(ProgramResult(one.slug, (answer,), RunLog(executor="by hand")) for one in programs)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("searched")
    sources = tuple(Source(path, text) for path, text in sorted(NOTES.items()))
    site = pipeline.build(Vault(sources, ()), Config(cells=Cells("run")), Plain(), Plain(), Answering())
    for out, data in site.files.items():
        (folder / out).parent.mkdir(parents=True, exist_ok=True)
        (folder / out).write_bytes(data)
    with serve(folder) as url:
        yield Served(folder, url)


def opened(page: Page, query: str = "", key: str = "/") -> Page:
    expect(page.locator(".search-open")).to_be_visible()
    page.keyboard.press(key)
    expect(page.locator("dialog.search input")).to_be_focused()
    page.keyboard.type(query)
    return page


def titles(page: Page):
    return page.locator(".hit .hit-title")


@pytest.mark.parametrize("key", ["/", "Control+k", "Meta+k"])
def test_a_key_opens_the_dialog_and_escape_closes_it(visit, built, key: str) -> None:
    page = opened(visit(built.url).page, key=key)
    page.keyboard.press("Escape")
    expect(page.locator("dialog.search")).to_be_hidden()


def test_a_button_opens_the_dialog_and_gets_the_focus_back(visit, built) -> None:
    page = visit(built.url).page
    page.locator(".search-open").click()
    expect(page.locator("dialog.search input")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator(".search-open")).to_be_focused()


def test_a_slash_that_is_typed_into_a_field_is_a_slash(visit, built) -> None:
    page = opened(visit(built.url).page, "a/b")
    expect(page.locator("dialog.search input")).to_have_value("a/b")


@pytest.mark.parametrize(
    ("query", "title"),
    [
        ("kernel trick", "Kernel trick"),
        ("shortcut", "Kernel trick"),
        ("reproducing", "Kernel trick"),
        ("methods", "Kernel trick"),
        ("evaluation", "Kernel trick"),
        ("zyzzyva", "Kernel trick"),
        ("gauss", "Gaussian process"),
        ("gausian", "Gaussian process"),
        ("guassian", "Gaussian process"),
        ("haussian", "Gaussian process"),
        ("processs", "Gaussian process"),
        ("creme BRULEE", "Crème brûlée"),
        ("共分散", "共分散行列"),
        ("行", "共分散行列"),
        ("変量", "共分散行列"),
        ("quincunx", "Tending"),
    ],
)
def test_a_note_is_found_by(visit, built, query: str, title: str) -> None:
    page = opened(visit(built.url).page, query)
    expect(titles(page).first).to_have_text(title)


def test_what_stands_in_a_title_comes_before_what_stands_in_the_text(visit, built) -> None:
    page = opened(visit(built.url).page, "gaussian")
    expect(titles(page)).to_have_text(["Gaussian process", "Kernel trick"])
    page.locator("dialog.search input").fill("kernel")
    expect(titles(page)).to_have_text(["Kernel trick", "Gaussian process"])


def test_title_alias_heading_tag_and_text_count_in_this_order(visit, built) -> None:
    page = opened(visit(built.url).page, "quasar")
    order = ["A quasar", *(f"Of the {place}" for place in ("alias", "heading", "tag", "text"))]
    expect(titles(page)).to_have_text(order)


def test_a_title_is_text(visit, built) -> None:
    page = opened(visit(built.url).page, "quirk")
    expect(titles(page)).to_have_text("Quirk of <b onclick=x>")
    assert page.locator(".hit b").count() == 0


def test_a_draft_is_not_found(visit, built) -> None:
    page = opened(visit(built.url).page, "secret")
    expect(page.locator(".search-status")).to_have_text("Nothing found for “secret”.")
    expect(page.locator(".hit")).to_have_count(0)


def test_the_grade_of_a_hit_is_shown(visit, built) -> None:
    page = opened(visit(built.url).page, "shortcut")
    expect(page.locator(".hit .grade[data-grade='matches']")).to_have_text("matches")


def test_the_keyboard_alone_chooses_and_opens(visit, built) -> None:
    page = opened(visit(built.url).page, "kernel")
    field, hits = page.locator("dialog.search input"), page.locator(".hit")
    expect(hits).to_have_count(2)
    for number, key in ((1, "ArrowDown"), (0, "ArrowDown"), (1, "ArrowUp")):
        page.keyboard.press(key)
        expect(hits.nth(number)).to_have_attribute("aria-selected", "true")
        expect(field).to_have_attribute("aria-activedescendant", hits.nth(number).get_attribute("id") or "")
        expect(page.locator(".hit[aria-selected='true']")).to_have_count(1)
    page.keyboard.press("Enter")
    page.wait_for_url("**/gaussian-process.html")


def test_enter_does_not_wait_for_the_hits_to_be_drawn(visit, built) -> None:
    page = opened(visit(built.url).page, "tending")
    page.keyboard.press("Enter")
    page.wait_for_url("**/folder/tending.html")


def test_the_chosen_hit_is_previewed_beside_the_list(visit, built) -> None:
    page = opened(visit(built.url).page, "kernel")
    preview = page.locator(".search-preview .preview")
    expect(preview).to_have_attribute("data-slug", "kernel-trick")
    page.keyboard.press("ArrowDown")
    expect(preview).to_have_attribute("data-slug", "gaussian-process")
    expect(preview.locator("mark.found")).to_have_text(["kernel"])
    assert preview.locator("a[href]").count() == 0


def test_what_was_sought_is_marked_on_the_page_and_scrolled_to(visit, built) -> None:
    seen = visit(built.url)
    page = opened(seen.page, "quincunx")
    expect(titles(page)).to_have_count(1)
    page.keyboard.press("Enter")
    page.wait_for_url("**/folder/tending.html")
    expect(page.locator("article mark.found")).to_have_text(["quincunx"])
    expect(page.locator("article mark.found")).to_be_in_viewport()
    assert page.url == built.url + "folder/tending.html"
    page.keyboard.press("Escape")
    expect(page.locator("mark.found")).to_have_count(0)
    page.reload()
    expect(page.locator(".search-open")).to_be_visible()
    expect(page.locator("mark.found")).to_have_count(0)
    assert seen.complaints == []


@pytest.mark.parametrize(
    ("query", "marks"),
    [
        ("creme brul", ["Crème", "brûlée"]),
        ("散らばり", ["散らばり"]),
        ("evaluaton zyzzyva", ["Evaluation", "zyzzyva"]),
    ],
)
def test_marks_are_words_as_the_page_writes_them(visit, built, query: str, marks: list[str]) -> None:
    page = opened(visit(built.url).page, query)
    expect(titles(page)).to_have_count(1)
    page.keyboard.press("Enter")
    expect(page.locator("article mark.found")).to_have_text(marks)


def test_what_was_sought_is_marked_on_the_page_that_is_already_open(visit, built) -> None:
    page = visit(built.url + "folder/tending.html").page
    page.evaluate("window.same = true")
    opened(page, "quincunx")
    expect(titles(page)).to_have_count(1)
    page.keyboard.press("Enter")
    expect(page.locator("article mark.found")).to_be_in_viewport()
    assert page.evaluate("window.same")


def test_a_hit_in_a_heading_leads_to_the_heading(visit, built) -> None:
    page = opened(visit(built.url).page, "reproducing")
    expect(page.locator(".hit .hit-where")).to_have_text("› Reproducing property")
    page.keyboard.press("Enter")
    page.wait_for_url("**/kernel-trick.html#reproducing-property")


def test_nothing_of_the_index_is_fetched_before_its_first_use(visit, built) -> None:
    seen = visit(built.url)
    seen.page.wait_for_load_state("networkidle")
    assert not [url for url in seen.requests if "/search/" in url]
    opened(seen.page, "kernel")
    expect(titles(seen.page)).to_have_count(2)
    assert [url for url in seen.requests if "/search/index.json" in url]
    assert [url for url in seen.requests if not url.startswith((built.url, "data:"))] == []
    assert seen.complaints == []


def test_markup_in_a_query_is_text(visit, built) -> None:
    seen = visit(built.url)
    page = opened(seen.page, "<img src=zq onerror=zq>")
    expect(page.locator(".search-status")).to_contain_text("<img src=zq onerror=zq>")
    assert page.locator("dialog.search img").count() == 0
    assert seen.complaints == []


def test_a_pasted_page_is_not_asked_for_word_by_word(visit, built) -> None:
    seen = visit(built.url)
    page = opened(seen.page)
    page.locator("dialog.search input").fill("kernel trick " + " ".join(f"w{i}" for i in range(2000)))
    expect(titles(page).first).to_have_text("Kernel trick")
    assert len(seen.requests) < 60


def test_a_lost_index_is_said_and_tried_again(visit, built) -> None:
    page = visit(built.url).page
    page.route("**/search/index.json", lambda route: route.abort())
    opened(page, "kernel")
    expect(page.locator(".search-status")).to_contain_text("cannot be reached")
    page.unroute("**/search/index.json")
    page.keyboard.type(" ")
    expect(titles(page)).to_have_count(2)


def test_where_the_dialog_cannot_be_fetched_the_list_of_all_notes_opens(visit, built) -> None:
    page = visit(built.url + "folder/tending.html").page
    page.route("**/search/dialog.js", lambda route: route.abort())
    page.locator(".search-open").click()
    page.wait_for_url(built.url + "all.html")


def test_what_is_typed_before_the_dialog_is_there_is_asked(visit, built) -> None:
    page = visit(built.url).page
    held: list[Route] = []
    page.route("**/search/dialog.js", lambda route: held.append(route))
    expect(page.locator(".search-open")).to_be_visible()
    with page.expect_request("**/search/dialog.js"):
        page.keyboard.press("/")
    page.keyboard.type("kernelx")
    page.keyboard.press("Backspace")
    page.keyboard.type(" tri")
    held[0].continue_()
    expect(titles(page).first).to_have_text("Kernel trick")
    expect(page.locator("dialog.search input")).to_have_value("kernel tri")


def test_an_enter_before_the_dialog_is_there_opens_what_was_typed_before_it(visit, built) -> None:
    page = visit(built.url).page
    held: list[Route] = []
    page.route("**/search/dialog.js", lambda route: held.append(route))
    expect(page.locator(".search-open")).to_be_visible()
    with page.expect_request("**/search/dialog.js"):
        page.keyboard.press("/")
    for key in ("Enter", *"quincunx", "Enter", "x"):  # the first asks nothing, so it is none
        page.keyboard.press(key)
    held[0].continue_()
    page.wait_for_url("**/folder/tending.html")


@pytest.mark.parametrize("place", ["", "folder/tending.html", "tags/learning/methods.html", "all.html"])
def test_search_works_from_every_depth(visit, built, place: str) -> None:
    page = opened(visit(built.url + place).page, "brûlée")
    expect(titles(page)).to_have_text(["Crème brûlée"])


def test_without_script_there_is_no_button_that_does_nothing(visit, built) -> None:
    page = visit(built.url, java_script_enabled=False).page
    expect(page.locator(".search-open")).to_be_hidden()
    expect(page.locator("a[href$='all.html']")).to_be_visible()


# ---------------------------------------------------------------- both sides agree

BLOCKS = (
    (0x20, 0x17F), (0x370, 0x52F), (0x590, 0x6FF), (0x900, 0x97F), (0xE00, 0xE7F), (0x1E00, 0x1FFF),
    (0x2010, 0x218F), (0x3040, 0x30FF), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3), (0xFF00, 0xFF9F),
    (0x1D400, 0x1D7FF), (0x20000, 0x200FF),
)  # fmt: skip


def gibberish(seed: int) -> str:
    """Text of characters that were in Unicode before any browser or Python of today."""
    chance = Random(seed)
    drawn: list[str] = []
    while len(drawn) < 120:
        low, high = chance.choice(BLOCKS)
        characters = (chr(chance.randint(low, high)) for _ in range(chance.randint(1, 6)))
        drawn += [c for c in characters if unicodedata.category(c) != "Cn"]
        drawn += chance.choice(["", " ", "-", "_", "\u0301"])
    return "".join(drawn)


def test_the_browser_cuts_a_query_into_the_words_that_the_index_has(visit, built) -> None:
    page = visit(built.url).page
    texts = [gibberish(seed) for seed in range(150)]
    folded, parts = page.evaluate(
        """async ([address, texts]) => {
            const { fold, wanted } = await import(address);
            return [texts.map(fold), texts.map((text) => wanted(text).flatMap((one) => one.parts))];
        }""",
        [built.url + "static/search/words.js", texts],
    )
    assert folded == [fold(text) for text in texts]
    for text, asked in zip(texts, parts, strict=True):
        assert set(asked) <= set(words(text))
        assert len(asked) > 5


@pytest.mark.parametrize(
    ("word", "other", "most", "prefix", "far"),
    [
        ("kernel", "kernel", 1, False, 0),
        ("kernle", "kernel", 1, False, 1),
        ("krnel", "kernel", 1, False, 1),
        ("kernell", "kernel", 1, False, 1),
        ("karnel", "kernel", 1, False, 1),
        ("karnal", "kernel", 1, False, 2),
        ("guassi", "gaussian", 1, False, 2),
        ("guassi", "gaussian", 1, True, 1),
        ("covarience", "covariance", 2, False, 1),
        ("coveriense", "covariance", 2, False, 3),
    ],
)
def test_slips_are_counted(visit, built, word: str, other: str, most: int, prefix: bool, far: int) -> None:
    found = visit(built.url).page.evaluate(
        "async ([address, ...rest]) => (await import(address)).distance(...rest)",
        [built.url + "static/search/near.js", word, other, most, prefix],
    )
    assert found == far

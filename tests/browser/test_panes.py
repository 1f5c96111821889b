"""Notes side by side, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from playwright.sync_api import Page, expect
from served import Served, serve

from generator import pipeline
from generator.config import Cells, Config
from generator.execution.protocol import Report
from generator.memo import Plain
from generator.model import CellResult, Observation, Output, Program, ProgramResult, RunLog, Source, Vault

pytestmark = pytest.mark.browser

LONG = "\n\n".join(
    f"Paragraph {i} of a text that goes on for a while, so that there is something to scroll."
    for i in range(40)
)


def chapter(name: str, after: str) -> str:
    return f"""\
This is {name}. It leads to [[{after}]], and back to [[Alpha]].[^1]

```python
1 + 1  # => 2
```

{LONG}

## Cost of it

What {name} costs. See [[#Cost of it|here]] and [[{after}#Cost of it|there]].

The claim of {name}. ^claim

[^1]: A footnote of {name}.
"""


NOTES = {
    "Alpha.md": chapter("Alpha", "Beta")
    + "\n[[Beta#^claim|the claim]], [[Beta#^cell-1|the result]], [[Nobody]].\n",
    "Beta.md": chapter("Beta", "Gamma"),
    "Gamma.md": chapter("Gamma", "Delta") + "\n[[Beta]] once more.\n",
    "deep/Delta.md": chapter("Delta", "Epsilon"),
    "Epsilon.md": chapter("Epsilon", "Alpha"),
}


class Adding:
    """An executor for cells that everybody can compute."""

    def run(self, programs: Sequence[Program], report: Report | None = None) -> tuple[ProgramResult, ...]:
        two = CellResult("ok", (Output("result", data=(("text/plain", "2"),)),), (Observation(1, "", "2"),))
        log = RunLog(when="2026-11-24T20:00:00Z", seconds=(0.1,), executor="by hand")
        return tuple(ProgramResult(one.slug, tuple(two for _ in one.cells), log) for one in programs)


@pytest.fixture(scope="module")
def notes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("panes")
    sources = tuple(Source(path, text) for path, text in sorted(NOTES.items()))
    site = pipeline.build(
        Vault(sources, ()), Config(title="Panes", cells=Cells("run")), Plain(), Plain(), Adding()
    )
    for out, data in site.files.items():
        (folder / out).parent.mkdir(parents=True, exist_ok=True)
        (folder / out).write_bytes(data)
    with serve(folder) as url:
        yield Served(folder, url)


def pane(page: Page, slug: str):
    return page.locator(f".pane[data-slug='{slug}']")


def opened(page: Page, *slugs: str) -> None:
    """The panes are those of `slugs`, in this order."""
    expect(page.locator(".pane")).to_have_count(len(slugs))
    assert page.locator(".pane").evaluate_all("(all) => all.map((one) => one.dataset.slug)") == list(slugs)


def go(page: Page, source: str, target: str) -> None:
    """Click on the first link to `target` in the text of `source`."""
    pane(page, source).locator(f".note-body a[data-slug='{target}']").first.click()
    expect(pane(page, target)).to_have_count(1)


def seen(page: Page, slug: str) -> int:
    """How many pixels of a pane's width lie inside the window and below no other pane."""
    return page.evaluate(
        """(slug) => {
          const all = [...document.querySelectorAll('.pane')];
          const i = all.findIndex((p) => p.dataset.slug === slug);
          for (const animation of document.getAnimations()) animation.finish();
          const left = (p) => p?.getBoundingClientRect().left ?? innerWidth;
          const edge = Math.min(left(all[i + 1]), innerWidth, all[i].getBoundingClientRect().right);
          return Math.round(edge - left(all[i]));
        }""",
        slug,
    )


STACK = "alpha.html?stackedNotes=beta&stackedNotes=gamma&stackedNotes=deep%2Fdelta"


def test_a_link_opens_its_note_beside_and_the_address_says_so(visit, notes) -> None:
    there = visit(notes.url + "alpha.html")
    page = there.page
    page.evaluate("window.same = true")
    go(page, "alpha", "beta")
    go(page, "beta", "gamma")
    go(page, "gamma", "deep/delta")
    opened(page, "alpha", "beta", "gamma", "deep/delta")
    assert page.url == notes.url + STACK
    assert page.evaluate("window.same")
    expect(page).to_have_title("Delta · Panes")
    assert there.complaints == []


def test_a_link_further_left_replaces_what_was_right_of_it(visit, notes) -> None:
    page = visit(notes.url + "beta.html?stackedNotes=gamma&stackedNotes=deep%2Fdelta").page
    opened(page, "beta", "gamma", "deep/delta")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    go(page, "beta", "alpha")
    opened(page, "beta", "alpha")
    assert page.url == notes.url + "beta.html?stackedNotes=alpha"


def test_an_address_restores_its_stack_and_drops_what_is_gone(visit, notes) -> None:
    wanted = "&stackedNotes=".join(("alpha.html?", "beta", "..%2Falpha", "never", "beta", "gamma"))
    page = visit(notes.url + wanted.replace("?&", "?")).page
    opened(page, "alpha", "beta", "gamma")
    assert page.url == notes.url + "alpha.html?stackedNotes=beta&stackedNotes=gamma"
    expect(page).to_have_title("Gamma · Panes")
    assert seen(page, "gamma") == 625


def test_back_pops_and_forward_pushes_without_a_reload(visit, notes) -> None:
    page = visit(notes.url + "alpha.html").page
    page.evaluate("window.same = true")
    go(page, "alpha", "beta")
    go(page, "beta", "gamma")
    page.go_back()
    opened(page, "alpha", "beta")
    expect(page).to_have_title("Beta · Panes")
    page.go_back()
    opened(page, "alpha")
    expect(page).to_have_title("Alpha · Panes")
    assert page.evaluate("getComputedStyle(document.querySelector('.pane')).position") == "static"
    page.go_forward()
    page.go_forward()
    opened(page, "alpha", "beta", "gamma")
    assert page.evaluate("window.same")


def test_panes_fan_out_as_spines_on_both_sides(visit, notes) -> None:
    page = visit(notes.url + STACK + "&stackedNotes=epsilon").page
    opened(page, "alpha", "beta", "gamma", "deep/delta", "epsilon")
    assert [seen(page, slug) for slug in ("alpha", "beta")] == [40, 40]
    assert seen(page, "epsilon") == 625
    for slug in ("alpha", "beta"):
        expect(pane(page, slug).locator(".spine")).to_be_visible()
        expect(pane(page, slug).locator(".pane-scroll")).to_have_css("opacity", "0")
    expect(pane(page, "epsilon").locator(".spine")).to_be_hidden()
    pane(page, "alpha").locator(".spine").click()
    assert seen(page, "alpha") == 625
    assert [seen(page, slug) for slug in ("deep/delta", "epsilon")] == [40, 40]
    expect(pane(page, "alpha").locator(".pane-scroll")).to_be_focused()


def test_a_pane_that_lies_over_another_casts_a_shadow(visit, notes) -> None:
    page = visit(notes.url + STACK).page
    opened(page, "alpha", "beta", "gamma", "deep/delta")
    expect(pane(page, "gamma")).to_have_attribute("data-over", "")
    expect(pane(page, "gamma")).not_to_have_css("box-shadow", "none")
    expect(pane(page, "alpha")).to_have_css("box-shadow", "none")


def test_a_link_to_an_open_note_leads_there_flashes_it_and_is_tinted(visit, notes) -> None:
    page = visit(notes.url + "alpha.html?stackedNotes=beta&stackedNotes=gamma").page
    opened(page, "alpha", "beta", "gamma")
    link = pane(page, "gamma").locator(".note-body a[data-slug='alpha']").first
    expect(link).to_have_attribute("data-open", "")
    link.hover()
    expect(pane(page, "alpha")).to_have_attribute("data-pointed", "")
    link.click()
    expect(pane(page, "alpha")).to_have_class("pane flash")
    opened(page, "alpha", "beta", "gamma")
    assert seen(page, "alpha") == 625
    page.mouse.move(5, 5)
    expect(pane(page, "alpha")).not_to_have_attribute("data-pointed", "")
    expect(page.locator(".preview-card:not([data-waiting])")).to_have_count(0)


@pytest.mark.parametrize(
    ("words", "place"), [("there", "#cost-of-it"), ("the claim", "#^claim"), ("the result", "#^cell-1")]
)
def test_a_link_to_a_place_scrolls_its_pane_there(visit, notes, words: str, place: str) -> None:
    page = visit(notes.url + "alpha.html").page
    pane(page, "alpha").get_by_role("link", name=words, exact=True).first.click()
    opened(page, "alpha", "beta")
    target = pane(page, "beta").locator(".target")
    expect(target).to_be_in_viewport()
    assert page.url == notes.url + f"alpha.html?stackedNotes=beta{place.replace('^', '%5E')}"
    page.reload()
    expect(target).to_be_in_viewport()


def test_links_to_places_in_a_later_pane_stay_in_it(visit, notes) -> None:
    page = visit(notes.url + "alpha.html?stackedNotes=beta").page
    opened(page, "alpha", "beta")
    pane(page, "beta").locator(".footnote-ref a").click()
    expect(pane(page, "beta").locator(".footnotes li")).to_be_in_viewport()
    expect(pane(page, "alpha").locator(".footnotes li")).not_to_be_in_viewport()
    opened(page, "alpha", "beta")
    assert page.url == notes.url + "alpha.html?stackedNotes=beta#fn-1"


def test_no_two_elements_of_a_stack_share_an_id(visit, notes) -> None:
    page = visit(notes.url + STACK).page
    opened(page, "alpha", "beta", "gamma", "deep/delta")
    found = page.evaluate(
        """() => {
          const ids = [...document.querySelectorAll('[id]')].map((e) => e.id);
          const dangling = [...document.querySelectorAll('[aria-labelledby]')]
            .flatMap((e) => e.getAttribute('aria-labelledby').split(' '))
            .filter((id) => !document.getElementById(id));
          return [ids.length, ids.filter((id, i) => ids.indexOf(id) !== i), dangling];
        }"""
    )
    assert found[0] > 12
    assert found[1:] == [[], []]


def test_scripts_work_in_panes_opened_later(visit, notes) -> None:
    page = visit(notes.url + "alpha.html").page
    go(page, "alpha", "beta")
    later = pane(page, "beta")
    later.locator(".cell-code").hover()
    expect(later.locator(".cell-code .copy")).to_have_count(1)
    expect(later.locator("h2 .anchor")).to_have_attribute("href", notes.url + "beta.html#cost-of-it")
    later.locator(".note-body a[data-slug='gamma']").first.hover()
    expect(page.locator(".preview-card:not([data-waiting]) .preview[data-slug='gamma']")).to_be_visible()
    page.keyboard.press("Escape")
    later.locator(".footnote-ref a").hover()
    expect(page.locator(".preview-card:not([data-waiting])")).to_contain_text("A footnote of Beta.")


def test_a_link_that_goes_away_when_clicked_opens_its_note_too(visit, notes) -> None:
    there = visit(notes.url + "alpha.html")
    there.page.evaluate(
        """() => {
          const link = document.querySelector(".note-body a[data-slug='beta']").cloneNode(true);
          document.querySelector('.note-body').append(link);
          link.click();
          link.remove();
        }"""
    )
    expect(pane(there.page, "beta")).to_have_count(1)
    assert there.complaints == []


def test_arrows_move_between_panes_and_x_closes_one_and_both_are_announced(visit, notes) -> None:
    page = visit(notes.url + "alpha.html?stackedNotes=beta&stackedNotes=gamma").page
    opened(page, "alpha", "beta", "gamma")
    voice = page.locator(".announcer")
    page.keyboard.press("ArrowLeft")
    expect(pane(page, "beta").locator(".pane-scroll")).to_be_focused()
    expect(voice).to_have_text("Beta, pane 2 of 3")
    page.keyboard.press("x")
    opened(page, "alpha", "gamma")
    expect(pane(page, "alpha").locator(".pane-scroll")).to_be_focused()
    expect(voice).to_have_text("Closed Beta. Alpha, pane 1 of 2")
    page.keyboard.press("x")
    opened(page, "gamma")
    assert page.url == notes.url + "gamma.html"
    page.keyboard.press("x")
    opened(page, "gamma")
    page.go_back()
    opened(page, "alpha", "gamma")


def test_the_focus_is_led_into_a_pane_that_is_opened_by_keyboard(visit, notes) -> None:
    page = visit(notes.url + "alpha.html").page
    pane(page, "alpha").locator(".note-body a[data-slug='beta']").first.focus()
    page.keyboard.press("Enter")
    expect(pane(page, "beta").locator(".pane-scroll")).to_be_focused()
    expect(page.locator(".announcer")).to_have_text("Opened Beta, pane 2 of 2")


def test_tabbing_into_a_pane_that_is_covered_uncovers_it(visit, notes) -> None:
    page = visit(notes.url + STACK).page
    opened(page, "alpha", "beta", "gamma", "deep/delta")
    page.locator(".theme-toggle").focus()
    while page.evaluate("document.activeElement.closest('.pane .note')?.dataset.slug") != "alpha":
        page.keyboard.press("Tab")
    assert seen(page, "alpha") == 625


def test_handles_close_a_pane_and_make_one_the_base(visit, notes) -> None:
    page = visit(notes.url + "alpha.html?stackedNotes=deep%2Fdelta&stackedNotes=gamma").page
    opened(page, "alpha", "deep/delta", "gamma")
    page.get_by_role("button", name="Close “Gamma”").click()
    opened(page, "alpha", "deep/delta")
    page.get_by_role("link", name="Open “Delta” as base").click()
    opened(page, "deep/delta")
    assert page.url == notes.url + "deep/delta.html"
    page.get_by_role("link", name="All notes").click()
    expect(page.locator("h1")).to_have_text("All notes")
    page.go_back()
    opened(page, "deep/delta")


def test_the_link_to_a_stack_can_be_copied(visit, notes) -> None:
    page = visit(notes.url + "alpha.html", permissions=["clipboard-read", "clipboard-write"]).page
    expect(page.locator(".stack-copy")).to_be_hidden()
    go(page, "alpha", "beta")
    page.locator(".stack-copy").click()
    expect(page.locator(".stack-copy")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == notes.url + "alpha.html?stackedNotes=beta"


def test_panes_can_be_switched_off_and_it_is_remembered(visit, notes) -> None:
    page = visit(notes.url + "alpha.html").page
    go(page, "alpha", "beta")
    switch = page.get_by_role("button", name="Open notes side by side")
    expect(switch).to_have_attribute("aria-pressed", "true")
    switch.click()
    opened(page, "beta")
    pane(page, "beta").locator(".note-body a[data-slug='gamma']").first.click()
    page.wait_for_url(notes.url + "gamma.html")
    page.goto(notes.url + STACK)
    expect(switch).to_have_attribute("aria-pressed", "false")
    opened(page, "alpha")
    switch.click()
    go(page, "alpha", "beta")


@pytest.mark.parametrize("modifier", ["Control", "Shift", "Meta"])
def test_a_click_with_a_modifier_is_the_browsers(visit, notes, modifier: str) -> None:
    page = visit(notes.url + "alpha.html").page
    page.evaluate(
        "addEventListener('click', (e) => { window.stopped = e.defaultPrevented; e.preventDefault(); })"
    )
    pane(page, "alpha").locator(".note-body a[data-slug='beta']").first.click(modifiers=[modifier])
    assert page.evaluate("window.stopped") is False
    opened(page, "alpha")


def test_a_narrow_window_shows_one_note_and_links_are_links(visit, notes) -> None:
    page = visit(notes.url + STACK, viewport={"width": 780, "height": 900}).page
    opened(page, "alpha")
    expect(page.locator(".panes-toggle")).to_be_hidden()
    pane(page, "alpha").locator(".note-body a[data-slug='beta']").first.click()
    page.wait_for_url(notes.url + "beta.html")


def test_a_stack_in_a_window_made_narrow_shows_the_pane_that_was_read(visit, notes) -> None:
    page = visit(notes.url + "alpha.html?stackedNotes=beta").page
    opened(page, "alpha", "beta")
    page.set_viewport_size({"width": 390, "height": 844})
    expect(pane(page, "alpha")).to_be_hidden()
    expect(pane(page, "beta").locator("h1")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_a_page_becomes_a_stack_without_the_link_moving_up_or_down(visit, notes) -> None:
    page = visit(notes.url + "alpha.html", reduced_motion="reduce").page
    link = pane(page, "alpha").get_by_role("link", name="there", exact=True).first
    link.scroll_into_view_if_needed()
    before = link.bounding_box()["y"]
    link.click()
    opened(page, "alpha", "beta")
    assert abs(link.bounding_box()["y"] - before) <= 1
    page.go_back()
    opened(page, "alpha")
    assert abs(link.bounding_box()["y"] - before) <= 1


def test_nothing_glides_for_a_reader_who_wants_no_motion(visit, notes) -> None:
    page = visit(notes.url + "alpha.html", reduced_motion="reduce").page
    page.evaluate(
        "() => { const real = Element.prototype.animate; window.moves = 0;"
        " Element.prototype.animate = function (...a) { window.moves += 1; return real.apply(this, a); }; }"
    )
    go(page, "alpha", "beta")
    go(page, "beta", "gamma")
    assert page.evaluate("window.moves") == 0
    page.emulate_media(reduced_motion="no-preference")
    go(page, "gamma", "deep/delta")
    assert page.evaluate("window.moves") > 0


def test_a_note_is_fetched_once_when_the_pointer_rests_on_its_link_and_not_when_it_passes(
    visit, notes
) -> None:
    there = visit(notes.url + "alpha.html")
    page = there.page
    fetched = lambda: there.requests.count(notes.url + "beta.html")  # noqa: E731
    link = pane(page, "alpha").locator(".note-body a[data-slug='beta']").first
    link.evaluate(
        """(link) => {
          for (const one of [link, document.body]) {
            one.dispatchEvent(new PointerEvent('pointerover', { bubbles: true, pointerType: 'mouse' }));
          }
        }"""
    )
    page.wait_for_timeout(300)
    passed = fetched()
    with page.expect_request(notes.url + "beta.html"):
        link.hover()
    link.click()
    opened(page, "alpha", "beta")
    assert (passed, fetched()) == (0, 1)


def test_a_pane_that_opens_asks_no_other_to_be_styled_anew(visit, notes) -> None:
    """Where a pane is in the stack is said in properties that what is in it does not inherit."""
    page = visit(notes.url + STACK).page
    opened(page, "alpha", "beta", "gamma", "deep/delta")
    styles = pane(page, "gamma").evaluate(
        """(pane) => [pane, pane.querySelector('p')].map((one) =>
             ['--i', '--n'].map((name) => getComputedStyle(one).getPropertyValue(name)))"""
    )
    assert styles == [["2", "4"], ["0", "1"]]


def test_nothing_shifts_while_one_note_loads(visit, notes) -> None:
    page = visit(notes.url + "alpha.html").page
    page.wait_for_load_state("networkidle")
    shift = page.evaluate(
        """() => new Promise((done) => {
          let sum = 0;
          new PerformanceObserver((list) => { for (const one of list.getEntries()) sum += one.value; })
            .observe({ type: 'layout-shift', buffered: true });
          requestAnimationFrame(() => setTimeout(() => done(sum), 100));
        })"""
    )
    assert shift == 0


def test_paper_shows_every_open_note_one_below_the_other(visit, notes) -> None:
    page = visit(notes.url + "alpha.html?stackedNotes=beta").page
    opened(page, "alpha", "beta")
    page.emulate_media(media="print")
    first, second = (pane(page, slug).bounding_box() for slug in ("alpha", "beta"))
    assert second["y"] >= first["y"] + first["height"]
    assert first["height"] > 1500
    for screen in (".spine", ".pane-tools", ".stack-copy"):
        expect(page.locator(screen).first).to_be_hidden()

"""What a reader sees and a page does, in a real browser."""

from __future__ import annotations

import base64
import io

import pytest
from measures import CONTRAST, LINE_LENGTHS
from PIL import Image
from playwright.sync_api import Route, expect
from served import Visit

from generator import theme
from generator.config import Config
from generator.model import ListGroup, ListPage, OutPath, Page, Ref
from generator.pages.figures import adapted

pytestmark = pytest.mark.browser

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
PAGES = ("gaussian.html", "cholesky.html", "all.html", "404.html")


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_loads_without_a_complaint_or_a_request_to_another_host(visit, garden, name, scheme) -> None:
    seen = visit(garden.url + name, color_scheme=scheme)
    seen.page.wait_for_load_state("networkidle")
    assert seen.complaints == []
    assert [url for url in seen.requests if not url.startswith((garden.url, "data:"))] == []


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_enough_contrast(visit, garden, name, scheme) -> None:
    page = visit(garden.url + name, color_scheme=scheme).page
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    measured = page.evaluate(CONTRAST)
    assert len(measured) > 3
    assert [one for one in measured if one[0] < 4.5] == []


def test_dark_is_dark(visit, garden) -> None:
    page = visit(garden.url + "gaussian.html", color_scheme="dark").page
    assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == "rgb(22, 24, 26)"


def test_the_reader_may_choose_light_or_dark_and_it_is_remembered(visit, garden) -> None:
    page = visit(garden.url + "gaussian.html").page
    background = "getComputedStyle(document.documentElement).backgroundColor"
    light = page.evaluate(background)
    page.get_by_role("button", name="Switch to dark").click()
    dark = page.evaluate(background)
    assert dark != light
    page.goto(garden.url + "cholesky.html")
    assert page.evaluate(background) == dark
    page.get_by_role("button", name="Switch to light").click()
    assert page.evaluate(background) == light
    assert page.evaluate("localStorage.length") == 0


@pytest.mark.parametrize("name", PAGES)
def test_nothing_overflows_a_phone(visit, garden, name) -> None:
    page = visit(garden.url + name, viewport={"width": 390, "height": 844}).page
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_everything_is_there_without_script(visit, garden) -> None:
    page = visit(garden.url + "gaussian.html", java_script_enabled=False).page
    expect(page.locator("h1")).to_have_text("Fitting a Gaussian by gradient descent")
    expect(page.locator(".cell[data-label='gradient'] .cell-output")).to_contain_text("0.5111")
    expect(page.locator("nav.toc a")).to_have_count(4)
    expect(page.locator(".backlink .context")).to_have_count(3)
    expect(page.locator(".theme-toggle")).to_be_hidden()
    page.locator(".cell[data-label='gradient'] .cell-badge").click()
    expect(page.locator(".cell[data-label='gradient'] .comparisons")).to_be_visible()
    page.locator(".note-body a[data-slug='cholesky']").first.click()
    expect(page.locator("h1")).to_have_text("Cholesky factor")


def test_a_file_on_disk_is_styled_like_a_served_page(visit, garden) -> None:
    page = visit((garden.folder / "gaussian.html").as_uri()).page
    page.evaluate("document.fonts.ready")
    assert page.evaluate("getComputedStyle(document.querySelector('.note')).display") == "grid"
    assert page.evaluate("document.fonts.check('18px \"Garden Text\"')")
    loaded = page.evaluate("[...document.fonts].filter((f) => f.status === 'loaded').map((f) => f.family)")
    assert {"Garden Text", "Garden Math", "Source Code Pro"} <= {name.strip('"') for name in loaded}
    page.get_by_role("button", name="Switch to dark").click()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_paper_shows_the_note_and_not_the_screen(visit, garden) -> None:
    page = visit(garden.url + "gaussian.html", color_scheme="dark").page
    page.emulate_media(media="print", color_scheme="dark")
    for chrome in (".site", ".toc", ".theme-toggle"):
        expect(page.locator(chrome).first).to_be_hidden()
    for kept in (".cell-code", ".cell-output", ".cell-badge .grade", ".backlinks", ".footnotes"):
        expect(page.locator(kept).first).to_be_visible()
    colour = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    assert colour == "rgb(255, 255, 255)"
    expect(page.locator("details.callout .callout-body")).to_be_visible()
    link = page.locator("a[data-link='external']").first
    assert "docs.jax.dev" in link.evaluate("(a) => getComputedStyle(a, '::after').content")


def test_a_line_holds_about_sixty_six_characters(visit, garden) -> None:
    page = visit(garden.url + "gaussian.html").page
    page.evaluate("document.fonts.ready")
    lengths = page.evaluate(LINE_LENGTHS)
    assert len(lengths) >= 4
    assert 60 <= sum(lengths) / len(lengths) <= 72


def test_the_contents_stand_beside_the_text_where_there_is_room_and_above_it_where_there_is_none(
    visit, garden
) -> None:
    page = visit(garden.url + "gaussian.html").page
    body, toc = (page.locator(name).bounding_box() for name in (".note-body", "nav.toc"))
    assert toc["x"] + toc["width"] < body["x"]
    page.set_viewport_size({"width": 800, "height": 900})
    body, toc = (page.locator(name).bounding_box() for name in (".note-body", "nav.toc"))
    assert toc["y"] + toc["height"] <= body["y"]


def test_the_contents_say_which_section_is_being_read(visit, garden) -> None:
    page = visit(garden.url + "gaussian.html").page
    page.locator("#when-it-fails").evaluate(
        "(h) => h.scrollIntoView({ block: 'start', behavior: 'instant' })"
    )
    expect(page.locator("nav.toc a[aria-current]")).to_have_text("When it fails")


def test_a_page_asks_at_once_for_the_faces_that_it_needs_and_for_no_others(visit, garden) -> None:
    faces = {
        "gaussian.html": {"text-regular", "text-italic", "text-bold", "source-code-pro", "math"},
        "reverse.html": {"text-regular", "text-italic"},
        "all.html": {"text-regular", "text-italic"},
    }
    for name, wanted in faces.items():
        page = visit(garden.url + name, java_script_enabled=False).page
        asked = page.locator("link[rel=preload]").evaluate_all(
            "(all) => all.map((one) => one.getAttribute('href').split('/').pop())"
        )
        assert {one.removesuffix(".woff2").removeprefix("garden-") for one in asked} == wanted


SHIFT = """() => new Promise((resolve) => {
  const observer = new PerformanceObserver(() => {});
  observer.observe({ type: 'layout-shift', buffered: true });
  setTimeout(() => resolve(observer.takeRecords().reduce((sum, e) => sum + e.value, 0)), 200);
})"""


def test_a_first_visit_shows_its_own_faces_from_the_first_picture_on_and_nothing_moves(visit, garden) -> None:
    seen, held = arriving(visit, garden.url + "gaussian.html")
    page = seen.page
    expect(page.locator("h1")).to_be_hidden()
    for route in held:
        route.continue_()
    expect(page.locator("h1")).to_be_visible()
    missing = "(all) => all.map((one) => one.dataset.face).filter((face) => !document.fonts.check(face))"
    assert page.locator("link[data-face]").evaluate_all(missing) == []
    assert page.evaluate("document.documentElement.dataset.faces") is None
    page.wait_for_load_state("networkidle")
    assert page.evaluate(SHIFT) == 0
    assert not seen.complaints


def test_formulas_whose_face_is_too_late_stay_as_they_are_and_those_of_a_later_pane_have_it(
    visit, garden
) -> None:
    seen, held = arriving(visit, garden.url + "gaussian.html", clock=True)
    page = seen.page
    for route in held:
        if "math" not in route.request.url:
            route.continue_()
    page.clock.run_for(1900)
    expect(page.locator("h1")).to_be_hidden()
    page.clock.run_for(200)
    expect(page.locator("h1")).to_be_visible()
    next(route for route in held if "math" in route.request.url).continue_()
    page.wait_for_function("document.fonts.check('1em Garden Math')")
    family = "(f) => getComputedStyle(f).fontFamily"
    assert "Garden Math" not in page.locator("math").first.evaluate(family)
    page.clock.resume()
    page.locator(".note-body a[data-slug='cholesky']").first.evaluate("(a) => a.click()")
    page.locator(".pane[data-ids] math").first.wait_for(state="attached")
    assert "Garden Math" in page.locator(".pane[data-ids] math").first.evaluate(family)


def arriving(visit, url: str, clock: bool = False) -> tuple[Visit, list[Route]]:
    """A page whose faces are on their way, and the requests for them, to be continued."""
    seen = visit("about:blank")
    held: list[Route] = []
    seen.page.route("**/*.woff2", lambda route: held.append(route))
    if clock:
        seen.page.clock.install(time=0)
        seen.page.clock.pause_at(1)
    seen.page.goto(url, wait_until="commit")
    seen.page.locator("html[data-faces='awaited'] footer").wait_for(state="attached")
    while not any("math" in route.request.url for route in held):
        seen.page.wait_for_timeout(20)
    return seen, held


def test_code_is_copied_as_it_is_written(visit, garden) -> None:
    page = visit(garden.url + "gaussian.html", permissions=["clipboard-read", "clipboard-write"]).page
    page.locator(".cell[data-label='overshoot'] .cell-code").hover()
    page.locator(".cell[data-label='overshoot'] .copy").click()
    expect(page.locator(".cell[data-label='overshoot'] .copy")).to_have_text("copied")
    assert page.evaluate("navigator.clipboard.readText()") == "fit(start=1e9)"


def test_of_a_long_list_what_is_far_away_is_not_laid_out_and_can_be_reached(visit, garden) -> None:
    refs = tuple(Ref(f"Note {i:03}", "reverse.html", "reverse") for i in range(500))
    page = Page(OutPath("many.html"), "list", "", ListPage("Many", "500 notes.", (ListGroup("N", refs),)))
    (garden.folder / "many.html").write_bytes(theme.render(page, Config()))
    here = visit(garden.url + "many.html").page
    expect(here.locator(".refs > li")).to_have_count(500)
    laid_out = "(one) => one.checkVisibility({ contentVisibilityAuto: true })"
    last = here.locator(".refs > li").last
    assert here.locator(".refs > li").first.evaluate(laid_out)
    assert not last.evaluate(laid_out)
    here.keyboard.press("End")
    expect(last).to_be_in_viewport()
    assert last.evaluate(laid_out)


def test_nothing_moves_for_a_reader_who_wants_less_motion(visit, garden) -> None:
    page = visit(garden.url + "gaussian.html", reduced_motion="reduce").page
    assert page.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "auto"
    page.locator(".note-body a[data-preview]").first.hover()
    expect(page.locator(".preview-card:not([data-waiting])")).to_have_count(1)
    duration = page.locator(".preview-card:not([data-waiting])").evaluate(
        "(e) => getComputedStyle(e).transitionDuration"
    )
    assert duration == "0s"


def test_an_old_address_leads_to_the_note(visit, garden) -> None:
    page = visit(garden.url + "old/name.html").page
    page.wait_for_url(garden.url + "reverse.html")


def test_script_that_slipped_into_a_page_does_not_run(visit, garden) -> None:
    page = visit(garden.url + "gaussian.html").page
    page.evaluate(
        """() => { try { document.body.innerHTML = '<img src=x onerror="window.fired = 1">'; }
        catch { window.refused = true; } }"""
    )
    page.wait_for_timeout(100)
    assert page.evaluate("[window.refused, window.fired]") == [True, None]


def test_a_figure_is_drawn_in_the_colours_of_the_scheme_that_the_reader_chose(visit, garden) -> None:
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="40"><defs>'
        '<style type="text/css">*{stroke-linejoin: round; stroke-linecap: butt}</style></defs>'
        '<rect width="40" height="40" style="fill: #7a7a7a"/></svg>'
    )
    source = f"data:image/svg+xml;base64,{base64.b64encode(adapted(svg).encode()).decode()}"
    page = visit(garden.url + "gaussian.html", color_scheme="light").page
    figure = page.locator(".cell-output .figure")
    figure.evaluate(
        "(img, source) => { img.src = source; img.className = 'figure adapted'; return img.decode(); }",
        source,
    )

    def colour() -> tuple[int, ...]:
        shot = Image.open(io.BytesIO(figure.screenshot()))
        return shot.convert("RGB").getpixel((shot.width // 2, shot.height // 2))

    assert colour() == (0x5C, 0x5A, 0x52)
    page.get_by_role("button", name="Switch to dark").click()
    assert colour() == (0xAE, 0xAC, 0xA2)
    page.emulate_media(media="print")
    assert colour() == (0x5C, 0x5A, 0x52)


def test_a_formula_stops_the_tab_key_only_where_it_scrolls(visit, garden) -> None:
    page = visit(garden.url + "gaussian.html").page
    formula = page.locator(".note-body .math").first
    expect(formula).not_to_have_attribute("tabindex", "0")
    page.set_viewport_size({"width": 320, "height": 700})
    expect(formula).to_have_attribute("tabindex", "0")
    expect(formula).to_have_accessible_name("Formula")
    page.set_viewport_size({"width": 1200, "height": 700})
    expect(formula).not_to_have_attribute("tabindex", "0")


def test_code_can_be_copied_by_touch(visit, garden) -> None:
    page = visit(
        garden.url + "gaussian.html", **PHONE, permissions=["clipboard-read", "clipboard-write"]
    ).page
    button = page.locator(".cell[data-label='overshoot'] .copy")
    expect(button).to_have_css("opacity", "1")
    assert button.bounding_box()["height"] >= 24
    button.tap()
    assert page.evaluate("navigator.clipboard.readText()") == "fit(start=1e9)"


def test_nothing_is_faded_or_glided_for_a_reader_who_wants_it_calm(visit, garden) -> None:
    page = visit(garden.url + "gaussian.html", reduced_motion="reduce").page
    moving = page.evaluate(
        "[...document.querySelectorAll('.note, .note *')].filter((e) =>"
        " getComputedStyle(e).transitionDuration.split(', ').some((t) => parseFloat(t) > 0)"
        " || getComputedStyle(e).animationName !== 'none').map((e) => e.className)"
    )
    assert moving == []
    assert page.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "auto"

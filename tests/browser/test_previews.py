"""Hover previews, in a real browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect
from sample import SVG

pytestmark = pytest.mark.browser

LINK = ".note-body a[data-slug='cholesky']"
CARD = ".preview-card:not([data-waiting])"


def card(page: Page, number: int = 0):
    return page.locator(CARD).nth(number)


def test_hovering_a_link_shows_the_note_behind_it(visit, garden) -> None:
    page = visit(garden.url + "gaussian.html").page
    page.locator(LINK).first.hover()
    expect(card(page).locator(".preview[data-slug='cholesky'] .preview-title")).to_have_text(
        "Cholesky factor"
    )
    expect(card(page)).to_contain_text("what the square root is to numbers")


def test_previews_nest_and_close_from_the_top(visit, garden) -> None:
    page = visit(garden.url + "gaussian.html").page
    page.locator(LINK).first.hover()
    card(page).locator("a[data-slug='reverse']").hover()
    expect(page.locator(CARD)).to_have_count(2)
    card(page, 1).locator("a[data-slug='cholesky']").first.hover()
    expect(page.locator(CARD)).to_have_count(3)
    for left in (2, 1, 0):
        page.keyboard.press("Escape")
        expect(page.locator(CARD)).to_have_count(left)


def test_a_card_stays_while_the_pointer_is_in_it_and_goes_when_it_leaves(visit, garden) -> None:
    page = visit(garden.url + "gaussian.html").page
    page.locator(LINK).first.hover()
    card(page).locator(".preview-title").hover()
    page.wait_for_timeout(600)
    expect(page.locator(CARD)).to_have_count(1)
    page.mouse.move(5, 890)
    expect(page.locator(CARD)).to_have_count(0)


def test_a_pointer_that_passes_by_opens_nothing(visit, garden) -> None:
    page = visit(garden.url + "gaussian.html").page
    page.locator(LINK).first.hover()
    page.mouse.move(5, 5)
    page.wait_for_timeout(600)
    expect(page.locator(CARD)).to_have_count(0)


def test_a_card_is_made_unseen_and_unheard_and_goes_with_a_pointer_that_does_not_stay(visit, garden) -> None:
    page = visit(garden.url + "gaussian.html").page
    page.clock.install(time=0)
    page.clock.pause_at(1)  # it stands between the steps, however long they take
    link, waiting = page.locator(LINK).first, page.locator(".preview-card[data-waiting]")
    link.hover()
    page.clock.run_for(100)
    expect(waiting).to_contain_text("what the square root is to numbers")
    assert waiting.evaluate("(e) => e.offsetHeight > 50 && e.style.top !== ''"), "not laid out"
    expect(waiting).to_be_hidden()
    tree = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")
    heard = [one["name"]["value"] for one in tree["nodes"] if one.get("name", {}).get("value")]
    assert any("Cholesky" in name for name in heard)  # the link itself
    assert not [name for name in heard if name.startswith("Preview:") or "square root is to" in name]
    page.mouse.move(5, 5)
    expect(waiting).to_have_count(0)
    page.clock.run_for(1000)
    expect(page.locator(".preview-card")).to_have_count(0)


def test_a_link_to_a_section_previews_that_section_only(visit, garden) -> None:
    page = visit(garden.url + "gaussian.html").page
    page.locator(".note-body a[href='reverse.html#cost']").hover()
    body = card(page).locator(".preview-body")
    expect(body).to_contain_text("About four times the program")
    expect(body).to_contain_text("The tape is as long as the run")
    expect(body).not_to_contain_text("goes back through it")
    expect(body).not_to_contain_text("each time forgotten")


def test_a_link_to_a_block_previews_that_block_only(visit, garden) -> None:
    page = visit(garden.url + "gaussian.html").page
    page.locator(".note-body a[href='cholesky.html#^one-way']").hover()
    expect(card(page).locator(".preview-body")).to_have_text(
        "Every positive definite matrix is the square of a triangular one, in exactly one way."
    )


def test_a_footnote_opens_beside_its_number(visit, garden) -> None:
    page = visit(garden.url + "gaussian.html", viewport={"width": 1000, "height": 900}).page
    page.locator(".footnote-ref a").hover()
    expect(card(page)).to_contain_text("As long as the diagonal stays away from zero.")
    expect(card(page).locator(".backref")).to_have_count(0)


def test_keyboard_focus_opens_a_preview_and_the_arrow_leads_into_it(visit, garden) -> None:
    page = visit(garden.url + "gaussian.html").page
    page.locator(".note-meta a").last.focus()
    while page.evaluate("document.activeElement.dataset.slug") != "cholesky":
        page.keyboard.press("Tab")
    expect(card(page)).to_contain_text("what the square root is to numbers")
    page.keyboard.press("ArrowDown")
    expect(card(page).locator("a[data-slug='gaussian']")).to_be_focused()
    expect(page.locator(CARD)).to_have_count(2)
    page.keyboard.press("Escape")
    expect(page.locator(CARD)).to_have_count(1)
    page.keyboard.press("Escape")
    expect(page.locator(LINK).first).to_be_focused()
    page.wait_for_timeout(600)
    expect(page.locator(CARD)).to_have_count(0)


def test_a_backlink_is_previewed_too(visit, garden) -> None:
    page = visit(garden.url + "gaussian.html").page
    page.locator(".backlink[data-source='reverse'] .backlink-title a").hover()
    expect(card(page)).to_contain_text("Reverse mode runs the program once")


@pytest.mark.parametrize("slug", ["cholesky", "gaussian"])
def test_ids_in_previews_never_collide_with_the_page(visit, garden, slug: str) -> None:
    page = visit(garden.url + f"{slug}.html").page
    page.locator(".note-body a[data-preview]").first.hover()
    expect(page.locator(CARD)).to_have_count(1)
    twice = page.evaluate(
        "() => { const ids = [...document.querySelectorAll('[id]')].map((e) => e.id);"
        " return ids.filter((id, i) => ids.indexOf(id) !== i); }"
    )
    assert twice == []


def test_links_in_a_preview_lead_where_they_lead_on_their_own_page(visit, garden) -> None:
    page = visit(garden.url + "all.html").page
    page.locator("a[data-slug='cholesky']").hover()
    card(page).locator("a[data-slug='reverse']").click()
    page.wait_for_url(garden.url + "reverse.html")


def test_a_link_in_a_preview_opens_beside_the_note_that_the_preview_came_from(visit, garden) -> None:
    page = visit(garden.url + "gaussian.html").page
    page.locator(LINK).first.hover()
    card(page).locator("a[data-slug='reverse']").click()
    expect(page.locator(".pane")).to_have_count(2)
    expect(page.locator(CARD)).to_have_count(0)
    assert page.url == garden.url + "gaussian.html?stackedNotes=reverse"


@pytest.mark.parametrize("place", ["top", "bottom"])
def test_a_card_stays_inside_the_window(visit, garden, place: str) -> None:
    page = visit(garden.url + "gaussian.html", viewport={"width": 760, "height": 500}).page
    link = page.locator(".note-body a[data-preview]").first
    link.evaluate(
        f"(a) => a.scrollIntoView({{ block: '{'start' if place == 'top' else 'end'}', behavior: 'instant' }})"
    )
    link.hover()
    expect(page.locator(CARD)).to_have_count(1)
    box = card(page).bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= 760
    assert box["y"] >= 0 and box["y"] + box["height"] <= 500


def test_touch_opens_nothing(visit, garden) -> None:
    page = visit(garden.url + "gaussian.html", has_touch=True).page
    page.evaluate("document.addEventListener('click', (event) => event.preventDefault(), true)")
    page.locator(LINK).first.tap()
    page.wait_for_timeout(600)
    expect(page.locator(CARD)).to_have_count(0)


def test_only_a_hovered_link_is_fetched(visit, garden) -> None:
    seen = visit(garden.url + "gaussian.html")
    seen.page.wait_for_load_state("networkidle")
    assert not [url for url in seen.requests if "/previews/" in url]
    seen.page.locator(LINK).first.hover()
    expect(seen.page.locator(CARD)).to_have_count(1)
    assert [url for url in seen.requests if "/previews/" in url] == [garden.url + "previews/cholesky.html"]


def test_a_link_to_a_result_previews_that_cell_only(visit, garden) -> None:
    page = visit(garden.url + "reverse.html").page
    lead(page, "gaussian.html#gradient")
    body = card(page).locator(".preview-body")
    expect(body.locator(".cell[data-label='gradient'] .cell-output")).to_contain_text("0.5111")
    expect(body.locator("> *")).to_have_count(1)


@pytest.mark.parametrize(("name", "shown"), [("figure.svg", "img"), ("paper.pdf", "iframe")])
def test_a_figure_and_a_paper_show_themselves(visit, garden, name: str, shown: str) -> None:
    (garden.folder / name).write_text(SVG)
    page = visit(garden.url + "reverse.html").page
    lead(page, name)
    expect(card(page).locator(f"> {shown}")).to_have_attribute("src", garden.url + name)


def test_a_note_may_keep_its_text_out_of_previews(visit, garden) -> None:
    seen = visit(garden.url + "reverse.html")
    (garden.folder / "previews/shy.html").write_text("")
    lead(seen.page, "shy.html", "previews/shy.html")
    seen.page.wait_for_timeout(600)
    assert garden.url + "previews/shy.html" in seen.requests
    expect(seen.page.locator(CARD)).to_have_count(0)


def test_an_external_link_shows_nothing(visit, garden) -> None:
    page = visit(garden.url + "gaussian.html").page
    page.locator("a[data-link='external']").first.hover()
    page.wait_for_timeout(600)
    expect(page.locator(CARD)).to_have_count(0)


def lead(page: Page, address: str, preview: str = "") -> None:
    """Add a link to the page, as the build would write it, and hover it."""
    page.evaluate(
        """([href, preview]) => {
          const link = document.querySelector('.note-body p').appendChild(document.createElement('a'));
          link.textContent = 'there';
          link.href = href;
          link.dataset.link = 'found';
          link.dataset.preview = preview || `previews/${href.split('#')[0]}`;
          if (/(svg|pdf)$/.test(href)) delete link.dataset.preview;
        }""",
        [address, preview],
    )
    page.get_by_role("link", name="there", exact=True).last.hover()


def test_the_keyboard_reaches_a_formula_that_scrolls_in_a_preview(visit, garden) -> None:
    page = visit(garden.url + "cholesky.html", viewport={"width": 420, "height": 900}).page
    page.locator("a[data-slug='gaussian'][data-preview]").first.hover()
    formula = card(page).locator(".math").first
    expect(formula).to_have_attribute("tabindex", "0")
    assert formula.evaluate("(f) => f.scrollWidth > f.clientWidth")

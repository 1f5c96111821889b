"""Maps in a browser: they show, move, light up, filter, lead to notes; and nothing is lost without them."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from served import Served, Visit, serve

from generator import pipeline
from generator.config import Config
from generator.execution.protocol import Report
from generator.memo import Plain
from generator.model import Program, ProgramResult, Source, Vault

pytestmark = pytest.mark.browser

NOTES = {
    "index.md": "---\ntags: [home]\n---\n# Index\n\n[[Alpha]], [[Beta]], [[deep/Gamma|Gamma]].\n",
    "Alpha.md": "---\ntags: [greek/first]\n---\nSee [[Beta]].\n",
    "Beta.md": "---\ntags: [greek]\n---\nNothing more.\n",
    "deep/Gamma.md": "---\ntags: [other]\n---\nSee [[Delta]].\n",
    "Delta.md": "The end.\n",
    "Alone.md": "Nobody comes here.\n",
}


class Idle:
    """An executor for notes without cells."""

    def run(self, programs: Any, report: Report | None = None) -> tuple[ProgramResult, ...]:
        asked: tuple[Program, ...] = tuple(programs)
        assert not asked
        return ()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("mapped")
    sources = tuple(Source(path, text) for path, text in sorted(NOTES.items()))
    site = pipeline.build(Vault(sources, ()), Config(title="Mapped"), Plain(), Plain(), Idle())
    for out, data in site.files.items():
        (folder / out).parent.mkdir(parents=True, exist_ok=True)
        (folder / out).write_bytes(data)
    with serve(folder) as url:
        yield Served(folder, url)


Visitor = Callable[..., Visit]

CANVAS = ".graph canvas[role='img']"

INKED = """(canvas) => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let count = 0;
  for (let i = 3; i < data.length; i += 4) if (data[i]) count += 1;
  return count;
}"""
"""How many pixels of the map are drawn on."""

COLOURED = """(canvas) => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let found = null;
  for (let i = 0; i < data.length; i += 4) {
    const spread = Math.max(data[i], data[i + 1], data[i + 2]) - Math.min(data[i], data[i + 1], data[i + 2]);
    if (data[i + 3] > 250 && spread > 60) {
      const at = { x: (i / 4) % canvas.width, y: Math.floor(i / 4 / canvas.width) };
      found ??= at;
    }
  }
  return found;
}"""
"""Where the topmost pixel in colour is: the edge of a note."""


def opened(visit: Visitor, url: str, **options: Any) -> Visit:
    """A page whose map is drawn."""
    seen = visit(url, **{"reduced_motion": "reduce", **options})
    page = seen.page
    page.locator("section.graph").evaluate(
        "(s) => s.scrollIntoView({ block: 'center', behavior: 'instant' })"
    )
    expect(page.locator(CANVAS)).to_be_visible()
    page.wait_for_function(f"() => ({INKED})(document.querySelector('.graph canvas')) > 200")
    return seen


def note_in_colour(page: Page) -> tuple[float, float]:
    """A place in the window where a note lies on the map."""
    canvas = page.locator(CANVAS)
    box, place = canvas.bounding_box(), canvas.evaluate(COLOURED)
    assert box and place
    return box["x"] + place["x"], box["y"] + place["y"] + 3


def drawn(page: Page) -> str:
    data: str = page.locator(CANVAS).evaluate("(canvas) => canvas.toDataURL()")
    return data


def changes(page: Page, before: str) -> None:
    page.wait_for_function(
        "(before) => document.querySelector('.graph canvas').toDataURL() !== before", arg=before
    )


def test_the_map_is_reached_from_every_page_and_nothing_complains(built: Served, visit: Visitor) -> None:
    seen = visit(built.url + "deep/gamma.html")
    seen.page.get_by_role("link", name="Map", exact=True).click()
    expect(seen.page.locator(CANVAS)).to_be_visible()
    assert seen.page.url == built.url + "graph.html"
    assert not seen.complaints
    assert all(address.startswith(built.url) for address in seen.requests)


def test_without_script_the_page_of_the_map_says_it_in_words(built: Served, visit: Visitor) -> None:
    page = visit(built.url + "graph.html", java_script_enabled=False).page
    beta = page.locator(".graph-list dt", has_text="Beta").locator("+ dd a")
    assert beta.all_text_contents() == ["Alpha", "Index"]
    expect(page.locator(".graph-list dt a")).to_have_count(len(NOTES))


def test_without_script_a_note_has_no_empty_map(built: Served, visit: Visitor) -> None:
    page = visit(built.url + "beta.html", java_script_enabled=False).page
    expect(page.locator("section.graph")).to_be_hidden()


def test_the_map_is_fetched_only_when_it_is_about_to_be_seen(built: Served, visit: Visitor) -> None:
    (built.folder / "long.html").write_text(
        (built.folder / "beta.html").read_text("utf-8").replace("Nothing more.", "Nothing more.<br>" * 400),
        "utf-8",
    )
    seen = visit(built.url + "long.html")
    seen.page.wait_for_load_state("networkidle")
    assert not [address for address in seen.requests if "map.json" in address]
    seen.page.locator("section.graph").scroll_into_view_if_needed()
    expect(seen.page.locator(CANVAS)).to_be_visible()
    assert len([address for address in seen.requests if "map.json" in address]) == 1


def test_a_note_without_links_has_no_map(built: Served, visit: Visitor) -> None:
    page = visit(built.url + "alone.html").page
    expect(page.locator("section.graph")).to_be_hidden()


def test_wheel_buttons_and_keys_move_the_map(built: Served, visit: Visitor) -> None:
    page = opened(visit, built.url + "graph.html").page
    canvas = page.locator(CANVAS)
    steps: list[Callable[[], Any]] = [
        lambda: (canvas.hover(position={"x": 20, "y": 20}), page.mouse.wheel(0, -200)),
        lambda: page.get_by_role("button", name="Closer").click(),
        lambda: page.get_by_role("button", name="All of it").click(),
        lambda: canvas.press("ArrowLeft"),
        lambda: canvas.press("+"),
    ]
    for step in steps:
        before = drawn(page)
        step()
        changes(page, before)


def test_dragging_moves_the_view_and_dragging_a_note_moves_the_note(built: Served, visit: Visitor) -> None:
    page = opened(visit, built.url + "graph.html").page
    box = page.locator(CANVAS).bounding_box()
    assert box
    x, y = note_in_colour(page)
    for start, to in (((box["x"] + 15, box["y"] + 15), (60, 40)), ((x + 60, y + 40), (-90, 70))):
        before = drawn(page)
        page.mouse.move(*start)
        page.mouse.down()
        page.mouse.move(start[0] + to[0] / 2, start[1] + to[1] / 2)
        page.mouse.move(start[0] + to[0], start[1] + to[1])
        page.mouse.up()
        changes(page, before)
    assert page.url == built.url + "graph.html"  # a drag is no click


def test_a_click_on_a_note_is_a_click_on_a_link_to_it(built: Served, visit: Visitor) -> None:
    page = opened(visit, built.url + "graph.html").page
    page.evaluate("""() => document.addEventListener("click", (event) => {
        window.clicked = event.target.closest?.("a")?.dataset.slug ?? window.clicked;
        window.modified = event.ctrlKey;
        event.preventDefault();
    }, true)""")
    place = note_in_colour(page)
    page.mouse.move(*place)
    expect(page.locator(".graph canvas.pointing")).to_be_visible()
    page.keyboard.down("Control")
    page.mouse.click(*place)
    page.keyboard.up("Control")
    assert page.evaluate("() => window.clicked") in {"index", "alpha", "beta", "deep/gamma"}
    assert page.evaluate("() => window.modified")


def test_a_click_opens_the_note(built: Served, visit: Visitor) -> None:
    page = opened(visit, built.url + "graph.html").page
    page.mouse.click(*note_in_colour(page))
    page.wait_for_url(lambda url: "graph.html" not in url)
    expect(page.locator("article.note").first).to_be_visible()


def test_hovering_lights_up_neighbours_and_dims_the_rest(built: Served, visit: Visitor) -> None:
    page = opened(visit, built.url + "graph.html").page
    canvas, above = page.locator(CANVAS), page.locator(".graph-top")
    before = drawn(page)
    expect(above).to_be_hidden()
    page.mouse.move(*note_in_colour(page))
    expect(canvas).to_have_css("opacity", "0.2")
    assert above.evaluate(INKED) > 200
    assert drawn(page) == before, "a map is not drawn anew for what lies above it"
    page.mouse.move(5, 5)
    expect(above).to_be_hidden()
    expect(canvas).to_have_css("opacity", "1")


def test_filters_by_tag_and_text_say_what_is_left(built: Served, visit: Visitor) -> None:
    page = opened(visit, built.url + "graph.html").page
    page.get_by_label("tag", exact=True).select_option("greek")
    expect(page.locator(".graph-said")).to_have_text("2 of 6 notes")
    page.get_by_label("Show notes whose title holds").fill("alp")
    expect(page.locator(".graph-said")).to_have_text("1 of 6 notes")


def test_colours_have_a_legend_and_the_choice_is_remembered(built: Served, visit: Visitor) -> None:
    page = opened(visit, built.url + "graph.html").page
    expect(page.locator(".graph-legend li").first).to_contain_text("#greek")
    before = drawn(page)
    page.get_by_label("coloured by").select_option("grade")
    expect(page.locator(".graph-legend li")).to_have_text(["no cells 6"])
    changes(page, before)
    page.get_by_label("coloured by").select_option("age")
    expect(page.locator(".graph-legend li")).to_have_text(["undated 6"])
    page.reload()
    expect(page.get_by_label("coloured by")).to_have_value("age")


def test_light_and_dark_have_their_own_colours(built: Served, visit: Visitor) -> None:
    page = opened(visit, built.url + "graph.html").page
    before = drawn(page)
    page.locator(".theme-toggle").click()
    changes(page, before)


def test_the_map_is_crisp_on_a_dense_screen(built: Served, visit: Visitor) -> None:
    page = opened(visit, built.url + "graph.html", device_scale_factor=2).page
    canvas = page.locator(CANVAS)
    assert canvas.evaluate("(canvas) => canvas.width / canvas.clientWidth") == pytest.approx(2, abs=0.01)


def test_a_large_map_is_coarse_while_it_moves_and_crisp_at_rest(built: Served, visit: Visitor) -> None:
    count = 3200
    spiral = [(math.sqrt(i) * math.cos(i) * 9, math.sqrt(i) * math.sin(i) * 9) for i in range(count)]
    large = {
        "slugs": [f"n{i}" for i in range(count)],
        "titles": [f"Note {i}" for i in range(count)],
        "dates": [""] * count,
        "grades": [""],
        "grade": [0] * count,
        "tags": [],
        "tagged": [[] for _ in range(count)],
        "x": [round(x) for x, _ in spiral],
        "y": [round(y) for _, y in spiral],
        "links": [[1] if i + 1 < count else [] for i in range(count)],
    }
    folder = built.folder / "large"
    shutil.copytree(built.folder, folder, ignore=shutil.ignore_patterns("large"))
    (folder / "graph/map.json").write_text(json.dumps(large), "utf-8")
    page = opened(visit, built.url + "large/graph.html", device_scale_factor=2).page
    canvas = page.locator(CANVAS)
    grain = "(canvas) => canvas.width / canvas.clientWidth"
    assert canvas.evaluate(grain) == pytest.approx(2, abs=0.01)
    page.evaluate(
        """() => {
          const canvas = document.querySelector('.graph canvas');
          window.grains = [];
          const note = () => {
            window.grains.push(Math.round(canvas.width / canvas.clientWidth));
            requestAnimationFrame(note);
          };
          note();
        }"""
    )
    canvas.press("+")
    page.wait_for_function("() => window.grains.includes(1) && window.grains.at(-1) === 2")


def test_the_links_of_a_large_map_are_drawn_where_they_lie_and_no_further_than_the_canvas(
    built: Served, visit: Visitor
) -> None:
    page = visit(built.url + "all.html").page
    rows = page.evaluate(
        """async () => {
          const { weaver } = await import("/static/graph/web.js");
          const pen = new OffscreenCanvas(40, 90).getContext("2d");
          const [x, y] = [[5, 30, -60, 100, 50, 60], [70, 70, -60, 100, 0, 90]];
          const graph = { x, y, from: [0, 2, 4], to: [1, 3, 5] };
          const ink = { dense: 2, colour: "rgb(200 0 0)", alpha: 0.5, thick: 0.25 };
          const links = weaver();
          for (const step of links(pen, graph, { k: 0.5, x: 0, y: 0 }, ink)); // as large as the graph
          for (const step of links(pen, graph, { k: 0.5, x: 0, y: 0 }, ink)); // nothing of the first is left
          const { data } = pen.getImageData(0, 0, 40, 90);
          const alphas = [...data].filter((_, i) => i % 4 === 3);
          return Array.from({ length: 90 }, (_, row) => alphas.slice(40 * row, 40 * (row + 1)));
        }"""
    )
    level = {(x, 70) for x in range(5, 30)}
    slanting = {(x, x) for x in range(38)}
    inked = {(x, y) for y, row in enumerate(rows) for x, alpha in enumerate(row) if alpha}
    assert inked == level | slanting
    assert {rows[y][x] for x, y in level} == {
        64
    }  # a quarter: half the colour, half a pixel thick on the screen
    assert all(rows[y][x] > 64 for x, y in slanting)


def test_around_a_note_lies_what_is_one_two_or_three_links_away(built: Served, visit: Visitor) -> None:
    page = opened(visit, built.url + "beta.html").page
    page.locator(".graph-list summary").click()
    names = page.locator(".graph-list li a")
    expect(names).to_have_text(["Index", "Alpha"])
    for depth, found in ((2, ["Index", "Alpha", "Gamma"]), (3, ["Index", "Alpha", "Gamma", "Delta"])):
        page.get_by_role("button", name=f"Up to {depth} links away").click()
        expect(names).to_have_text(found)
    names.nth(2).click()
    expect(page.locator("article.note[data-slug='deep/gamma']")).to_be_visible()


def test_a_map_in_a_note_does_not_catch_the_wheel(built: Served, visit: Visitor) -> None:
    page = opened(visit, built.url + "beta.html", viewport={"width": 1200, "height": 500}).page
    page.locator(CANVAS).hover()
    before = page.evaluate("() => scrollY")
    page.mouse.wheel(0, -150)
    page.wait_for_function("(before) => scrollY < before", arg=before)


def test_a_note_that_joins_the_page_later_has_its_map(built: Served, visit: Visitor) -> None:
    page = visit(built.url + "alone.html").page
    page.evaluate("""() => {
      const article = document.createElement("article");
      const section = Object.assign(document.createElement("section"), { className: "graph", hidden: true });
      Object.assign(section.dataset, { graph: "local", slug: "beta" });
      article.append(section);
      document.querySelector("main").prepend(article);
      article.dispatchEvent(new CustomEvent("note-added", { bubbles: true }));
    }""")
    expect(page.locator(CANVAS)).to_be_visible()

"""Diagrams: drawn in a frame without rights, or shown as the source that they are."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from playwright.sync_api import FrameLocator, Locator, expect
from served import Served, Visit, serve

from generator import pipeline
from generator.config import Config
from generator.execution.protocol import Report
from generator.memo import Plain
from generator.model import Program, ProgramResult, Source, Vault

pytestmark = pytest.mark.browser

FLOW = """\
```mermaid
flowchart TD
  sow[Sow a seed] -->|wait| reap{Reap?}
```
"""
HOSTILE = """\
%%{init: {"securityLevel": "loose", "themeCSS": "* { background: url(https://evil.example/css) }"}}%%
flowchart TD
  A["<img src=x onerror='parent.postMessage({error: 1}, `*`); top.stolen = 1'>words"]
  A --> B["<iframe src='https://evil.example/frame'></iframe><script>top.stolen = 1</script>more"]
  click A href "javascript:top.stolen=1" _top
  click B call alert()
"""
NOTES = {
    "index.md": f"# Index\n\n{FLOW}\n[[broken]], [[hostile]], [[far]], [[titled]]",
    "broken.md": "# Broken\n\n```mermaid\nflowchart TD\n  a[[[ never closed\n```\n\nThe end.",
    "hostile.md": f"# Hostile\n\n```mermaid\n{HOSTILE}```\n",
    "far.md": "# Far\n\n" + "Word by word.\n\n" * 100 + FLOW,
    "titled.md": '# Titled\n\n```mermaid\npie\n  accTitle: What grows\n  "moss" : 2\n  "fern" : 1\n```\n',
    "two.md": f"# Two\n\n{FLOW}\n{FLOW}",
    "wide.md": "# Wide\n\n```mermaid\nflowchart LR\n"
    + "".join(f"s{n} --> s{n + 1}\n" for n in range(12))
    + "```\n",
    "plain.md": "# Plain\n\nSee [[index]].",
}


class Nothing:
    """An executor for notes without cells."""

    def run(self, programs: Sequence[Program], report: Report | None = None) -> tuple[ProgramResult, ...]:
        return ()


def write(folder: Path, notes: dict[str, str]) -> None:
    sources = tuple(Source(path, text) for path, text in sorted(notes.items()))
    site = pipeline.build(Vault(sources, ()), Config(), Plain(), Plain(), Nothing())
    for out, data in site.files.items():
        (folder / out).parent.mkdir(parents=True, exist_ok=True)
        (folder / out).write_bytes(data)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("diagrams")
    write(folder, NOTES)
    with serve(folder) as url:
        yield Served(folder, url)


def figure(seen: Visit) -> Locator:
    return seen.page.locator("figure.mermaid")


def frame(seen: Visit) -> FrameLocator:
    return seen.page.frame_locator("figure.mermaid > iframe")


def wait_for_drawing(seen: Visit) -> None:
    """A library of megabytes is read on a machine that may be busy."""
    expect(figure(seen)).to_have_attribute("data-drawn", "", timeout=60_000)


def elsewhere(seen: Visit, site: Served) -> list[str]:
    return [url for url in seen.requests if not url.startswith((site.url, "data:", "blob:"))]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_flow_chart_becomes_a_drawing_with_its_words(visit, drawn, scheme) -> None:
    seen = visit(drawn.url + "index.html", color_scheme=scheme)
    wait_for_drawing(seen)
    words = frame(seen).locator("svg")
    for word in ("Sow a seed", "wait", "Reap?"):
        expect(words).to_contain_text(word)
    expect(figure(seen).locator("pre")).to_be_hidden()
    box = figure(seen).locator("iframe").bounding_box()
    assert box and box["height"] == pytest.approx(words.bounding_box()["height"], abs=2)
    assert seen.complaints == []
    assert elsewhere(seen, drawn) == []


def test_a_drawing_follows_the_reader_s_choice_of_light_or_dark(visit, drawn) -> None:
    seen = visit(drawn.url + "index.html", color_scheme="light")
    wait_for_drawing(seen)
    label = frame(seen).locator(".nodeLabel").first
    expect(label).to_have_css("color", "rgb(34, 33, 29)")
    seen.page.get_by_role("button", name="Switch to dark").click()
    expect(label).to_have_css("color", "rgb(216, 213, 204)")
    assert seen.complaints == []


def test_a_drawing_is_named_by_its_own_title_or_else_by_its_number(visit, drawn) -> None:
    seen = visit(drawn.url + "titled.html")
    wait_for_drawing(seen)
    expect(figure(seen).locator("iframe")).to_have_attribute("title", "What grows")
    seen = visit(drawn.url + "index.html")
    wait_for_drawing(seen)
    expect(frame(seen).locator("svg[aria-label='Diagram 1']")).to_be_visible()
    expect(figure(seen).locator("iframe")).to_have_attribute("title", "Diagram 1")


def test_a_broken_diagram_shows_its_source_and_a_sentence(visit, drawn) -> None:
    seen = visit(drawn.url + "broken.html")
    expect(figure(seen).locator("figcaption")).to_contain_text("line 2", timeout=60_000)
    expect(figure(seen).locator("pre")).to_be_visible()
    expect(figure(seen).locator("pre")).to_contain_text("never closed")
    expect(figure(seen).locator("iframe")).to_have_count(0)
    assert seen.complaints == []


def test_a_hostile_diagram_runs_nothing_and_reaches_no_other_host(visit, drawn) -> None:
    seen = visit(drawn.url + "plain.html")
    reached: list[str] = []  # what the policy of the frame blocks never gets to a route
    seen.page.route(
        "https://evil.example/**", lambda route: (reached.append(route.request.url), route.abort())
    )
    seen.page.goto(drawn.url + "hostile.html")
    wait_for_drawing(seen)
    inside = frame(seen).locator("svg")
    for way_out in ("script", "iframe", "[onerror]", "[onclick]", "a"):
        expect(inside.locator(way_out)).to_have_count(0)
    inside.get_by_text("words").click()
    inside.get_by_text("more").click()
    assert seen.page.url == drawn.url + "hostile.html"
    assert seen.page.evaluate("'stolen' in window") is False
    assert reached == []
    assert any("evil.example/css" in complaint for complaint in seen.complaints)  # it was tried, and refused


def test_the_frames_of_a_diagram_have_no_rights(visit, drawn) -> None:
    seen = visit(drawn.url + "index.html")
    wait_for_drawing(seen)
    rights = seen.page.locator("iframe").evaluate_all(
        "(frames) => frames.map((one) => one.getAttribute('sandbox'))"
    )
    assert rights == ["allow-scripts"] * 2
    inner = [one for one in seen.page.frames if "vendor/mermaid" in one.url]
    assert sorted(Path(one.url).name for one in inner) == ["engine.html", "frame.html"]
    tries = {
        "a request": "fetch('mermaid.min.js').then(() => 'done', () => 'refused')",
        "storage": "(() => { try { return localStorage.length, 'done'; } catch { return 'refused'; } })()",
        "the page": "(() => { try { return parent.document.title, 'done'; } catch { return 'refused'; } })()",
    }
    for one in inner:
        assert one.evaluate("origin") == "null"
        assert {name: one.evaluate(code) for name, code in tries.items()} == dict.fromkeys(tries, "refused")


def test_the_library_is_loaded_once_for_all_diagrams_of_a_page(visit, drawn) -> None:
    seen = visit(drawn.url + "two.html")
    expect(seen.page.locator("figure.mermaid[data-drawn]")).to_have_count(2, timeout=60_000)
    assert len([url for url in seen.requests if "mermaid.min.js" in url]) == 1
    titles = seen.page.locator("figure.mermaid > iframe").evaluate_all("(all) => all.map((one) => one.title)")
    assert titles == ["Diagram 1", "Diagram 2"]


def test_the_library_is_fetched_when_a_diagram_comes_near_and_not_before(visit, drawn) -> None:
    seen = visit(drawn.url + "far.html")
    seen.page.wait_for_load_state("networkidle")
    assert not [url for url in seen.requests if "mermaid.min.js" in url]
    figure(seen).scroll_into_view_if_needed()
    wait_for_drawing(seen)
    expect(frame(seen).locator("svg")).to_contain_text("Sow a seed")


def test_a_page_without_diagrams_loads_nothing_for_them(visit, drawn) -> None:
    seen = visit(drawn.url + "plain.html")
    seen.page.wait_for_load_state("networkidle")
    assert not [url for url in seen.requests if "vendor" in url]


def test_a_diagram_in_a_preview_is_its_source(visit, drawn) -> None:
    seen = visit(drawn.url + "plain.html")
    seen.page.locator(".note-body a[data-slug='index']").hover()
    card = seen.page.locator(".preview-card:not([data-waiting])")
    expect(card.locator("figure.mermaid pre")).to_contain_text("Sow a seed")
    assert not [url for url in seen.requests if "vendor" in url]


def test_a_diagram_in_a_note_that_joins_the_page_is_drawn(visit, drawn) -> None:
    seen = visit(drawn.url + "plain.html")
    seen.page.evaluate("""async () => {
        const html = await (await fetch("index.html")).text();
        const { parse } = await import("./static/trust.js");
        const note = document.importNode(parse(html).querySelector("article.note"), true);
        document.querySelector("main").append(note);
        note.dispatchEvent(new CustomEvent("note-added", { bubbles: true }));
    }""")
    wait_for_drawing(seen)
    expect(frame(seen).locator("svg")).to_contain_text("Sow a seed")
    assert seen.complaints == []


@pytest.mark.parametrize("how", ["without script", "from a file"])
def test_the_source_is_readable(visit, drawn, how) -> None:
    if how == "from a file":
        seen = visit((drawn.folder / "index.html").as_uri())
    else:
        seen = visit(drawn.url + "index.html", java_script_enabled=False)
    expect(figure(seen).locator("pre")).to_be_visible()
    expect(figure(seen).locator("pre")).to_contain_text("sow[Sow a seed] -->|wait| reap{Reap?}")


def test_a_garden_without_diagrams_has_no_library(tmp_path) -> None:
    write(tmp_path, {"index.md": "# Index\n", "draft.md": f"---\ndraft: true\n---\n{FLOW}"})
    assert (tmp_path / "static/garden.css").is_file()
    assert not (tmp_path / "static/vendor").exists()


def test_the_library_comes_with_its_licence_and_its_version(drawn) -> None:
    vendor = drawn.folder / "static/vendor/mermaid"
    version = re.search(r"Mermaid (\d+\.\d+\.\d+)", (vendor / "README.txt").read_text("utf-8"))
    assert version and f'"{version[1]}"' in (vendor / "mermaid.min.js").read_text("utf-8")
    assert "MIT License" in (vendor / "LICENSE").read_text("utf-8")


def test_a_wide_drawing_stays_legible_and_scrolls_by_keyboard(visit, drawn) -> None:
    seen = visit(drawn.url + "wide.html", viewport={"width": 390, "height": 844})
    wait_for_drawing(seen)
    drawing = frame(seen).locator("#drawing")
    assert drawing.evaluate("(it) => it.scrollWidth > it.clientWidth")
    drawing.focus()
    seen.page.keyboard.press("ArrowRight")
    drawing.evaluate("(it) => new Promise((done) => { if (it.scrollLeft) done(); else it.onscroll = done; })")
    assert seen.page.evaluate("document.documentElement.scrollWidth") == 390

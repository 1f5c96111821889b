"""The whole way: notes are written, the site is built, and a reader opens it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from measures import CONTRAST
from playwright.sync_api import expect
from served import Served, serve

from generator import pipeline
from generator.config import Cells, Config
from generator.execution.protocol import Report
from generator.memo import Plain
from generator.model import CellResult, Observation, Output, Program, ProgramResult, RunLog, Source, Vault

pytestmark = pytest.mark.browser

NOTES = {
    "index.md": """\
# Index

See [[Deep note]], [[Deep note#Second part]], [[Deep note#^claim|the claim]] and [[Nobody wrote this]].

![[Deep note#Second part]]

```python
#| label: sum
1 + 1  # => 2
```

| a | b |
| - | -: |
| 1 | $x^2$ |
""",
    "folder/Deep note.md": """\
---
tags: [one/two]
---
The first part leads [[index|home]], and says something.[^1]

A claim that can be named. ^claim

## Second part

> [!warning]- Folded
> Here is $\\int_0^1 f'(x)\\,dx$, and [[index#^sum|a result]].

- [x] done

## Third part

The end.

[^1]: In a footnote.
""",
}


class Adding:
    """An executor for one cell that everybody can compute."""

    def run(self, programs: Sequence[Program], report: Report | None = None) -> tuple[ProgramResult, ...]:
        seen = (Observation(1, "", "2"),)
        two = CellResult("ok", (Output("result", data=(("text/plain", "2"),)),), seen)
        log = RunLog(when="2026-11-24T20:00:00Z", seconds=(0.1,), executor="by hand")
        return tuple(ProgramResult(one.slug, tuple(two for _ in one.cells), log) for one in programs)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("built")
    sources = tuple(Source(path, text) for path, text in sorted(NOTES.items()))
    config = Config(title="Built", cells=Cells("run"))
    site = pipeline.build(Vault(sources, ()), config, Plain(), Plain(), Adding())
    for out, data in site.files.items():
        (folder / out).parent.mkdir(parents=True, exist_ok=True)
        (folder / out).write_bytes(data)
    with serve(folder) as url:
        yield Served(folder, url)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["index.html", "folder/deep-note.html", "all.html", "tags/one/two.html"])
def test_a_built_page_is_quiet_legible_and_fits_a_phone(visit, built, name, scheme) -> None:
    seen = visit(built.url + name, color_scheme=scheme)
    page = seen.page
    page.wait_for_load_state("networkidle")
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    assert [one for one in page.evaluate(CONTRAST) if one[0] < 4.5] == []
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert seen.complaints == []
    assert [url for url in seen.requests if not url.startswith((built.url, "data:"))] == []


def test_previews_cross_folders_and_nest(visit, built) -> None:
    seen = visit(built.url + "index.html")
    page = seen.page
    page.locator(".note-body > p a[data-slug='folder/deep-note']").first.hover()
    card = page.locator(".preview-card:not([data-waiting])").nth(0)
    expect(card).to_contain_text("The first part leads")
    card.locator("a[data-slug='index']").first.hover()
    expect(page.locator(".preview-card:not([data-waiting])").nth(1).locator(".preview-title")).to_have_text(
        "Index matches"
    )
    assert seen.complaints == []


def test_a_preview_shows_the_section_block_or_result_that_is_named(visit, built) -> None:
    page = visit(built.url + "index.html").page
    body = page.locator(".preview-card:not([data-waiting]) .preview-body")
    page.locator(".note-body > p a[href$='#second-part']").hover()
    expect(body).to_contain_text("Folded")
    expect(body).not_to_contain_text("Third part")
    page.goto(built.url + "index.html")
    page.get_by_role("link", name="the claim").hover()
    expect(body).to_have_text("A claim that can be named.")
    page.goto(built.url + "folder/deep-note.html")
    page.locator(".callout-title").click()
    page.get_by_role("link", name="a result").hover()
    expect(body.locator(".cell[data-label='sum'] .cell-output")).to_contain_text("2")


def test_a_cell_shows_its_badge_and_opens_its_evidence(visit, built) -> None:
    page = visit(built.url + "index.html").page
    cell = page.locator(".note-body > .cell")
    expect(cell.locator(".grade")).to_have_text("matches")
    expect(cell.locator(".comparisons")).to_be_hidden()
    cell.locator(".cell-badge").click()
    expect(cell.locator(".comparisons")).to_be_visible()


def test_the_columns_of_a_table_are_aligned_as_written(visit, built) -> None:
    page = visit(built.url + "index.html").page
    last = page.locator(".note-body > .table td").last
    assert last.evaluate("(cell) => getComputedStyle(cell).textAlign") == "right"


def test_every_page_leads_home_and_to_the_lists(visit, built) -> None:
    page = visit(built.url + "folder/deep-note.html").page
    page.get_by_role("link", name="Tags", exact=True).click()
    expect(page.locator("h1")).to_have_text("Tags")
    page.get_by_role("navigation").get_by_role("link", name="All notes").click()
    expect(page.locator("h1")).to_have_text("All notes")
    page.get_by_role("link", name="Built").click()
    expect(page.locator("h1")).to_have_text("Index")

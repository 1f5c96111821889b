"""The ledger, in a real browser: whole without a script, sorted and filtered with one."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect
from served import Served, Visit, serve

from generator import theme
from generator.config import Config
from generator.model import GRADES, Grade, LedgerPage, LedgerRow, OutPath, Ref
from generator.model import Page as GardenPage

pytestmark = pytest.mark.browser

Visitor = Callable[..., Visit]


def row(label: str, grade: Grade, when: str, seconds: float | None, risk: bool = False) -> LedgerRow:
    note = Ref("A note", "a.html", "a", risk=risk)
    return LedgerRow(
        note, label, f"a.html#%5E{label}", grade, "", when, when.replace("T", " "), seconds,
        "zygote", "cpu", "process", 0, ("Nothing compares it.",), f"python build.py verify 'a.md#{label}'",
    )  # fmt: skip


ROWS = (
    row("broken", "failed", "2026-01-02T00:00:00Z", 10.0, risk=True),
    row("left", "not-run", "", None),
    row("quick", "ran", "2026-01-03T00:00:00Z", 0.5),
    row("slow", "matches", "2026-01-01T00:00:00Z", 9.0),
)


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("ledger")
    counts = tuple((grade, 1) for grade in GRADES if any(one.grade == grade for one in ROWS))
    page = GardenPage(OutPath("ledger.html"), "ledger", "", LedgerPage("Ledger", "4 cells.", counts, ROWS))
    files = theme.static_files() | {page.out: theme.render(page, Config(title="T"))}
    for out, data in files.items():
        (folder / out).parent.mkdir(parents=True, exist_ok=True)
        (folder / out).write_bytes(data)
    with serve(folder) as url:
        yield Served(folder, url)


def labels(page: Page) -> list[str]:
    links = page.locator("table.ledger tbody tr:not([hidden]) td[data-column=cell] a").all_inner_texts()
    return [text.rpartition("› ")[2] for text in links]


def test_without_a_script_the_weakest_come_first_and_each_grade_leads_to_its_first(
    visit: Visitor, ledger: Served
) -> None:
    page = visit(f"{ledger.url}ledger.html", java_script_enabled=False).page
    assert labels(page) == ["broken", "left", "quick", "slow"]
    page.get_by_role("link", name="matches").click()
    expect(page).to_have_url(f"{ledger.url}ledger.html#grade-matches")
    assert page.locator("#grade-matches").count() == 1
    assert page.locator("table.ledger button").count() == 0


def test_a_column_is_sorted_by_click_and_by_key_and_says_so(visit: Visitor, ledger: Served) -> None:
    seen = visit(f"{ledger.url}ledger.html")
    page = seen.page
    took = page.get_by_role("columnheader", name="Took")
    took.get_by_role("button").click()
    assert labels(page) == ["quick", "slow", "broken", "left"]
    expect(took).to_have_attribute("aria-sort", "ascending")
    assert page.locator("th[aria-sort]").count() == 1
    page.keyboard.press("Enter")
    assert labels(page) == ["broken", "slow", "quick", "left"]
    expect(took).to_have_attribute("aria-sort", "descending")
    page.get_by_role("columnheader", name="Last run").get_by_role("button").click()
    assert labels(page) == ["slow", "broken", "quick", "left"]
    assert seen.complaints == []


def test_grades_are_switches_and_the_count_is_said(visit: Visitor, ledger: Served) -> None:
    page = visit(f"{ledger.url}ledger.html").page
    ran = page.get_by_role("button", name="ran", exact=True)
    ran.click()
    expect(ran).to_have_attribute("aria-pressed", "true")
    assert labels(page) == ["quick"]
    expect(page.locator(".ledger-said")).to_have_text("1 of 4 cells")
    page.get_by_role("button", name="failed").click()
    assert labels(page) == ["broken", "quick"]
    ran.click()
    page.get_by_role("button", name="failed").click()
    assert len(labels(page)) == 4


def test_the_age_of_a_run_is_said_beside_its_date(visit: Visitor, ledger: Served) -> None:
    page = visit(f"{ledger.url}ledger.html").page
    assert page.locator("time[data-age] + .age").count() == 3

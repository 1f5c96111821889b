"""What the preview does to an open page: what has changed shows, and nothing else moves."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Visitor
from playwright.sync_api import expect

from tests.previewed import serving
from tests.support import garden

pytestmark = pytest.mark.browser

LONG = "\n\n".join(f"## Part {n}\n\n" + "Words that fill a line. " * 40 for n in range(12))

NOTES = {
    "index.md": f"# Index\n\nSee [[Second]] and [[Third]].\n\nFirst words.\n\n{LONG}\n",
    "Second.md": f"# Second\n\nIt leads to [[Third]].\n\n```js\nlet code = 1;\n```\n\n{LONG}\n\nIts end.\n",
    "Third.md": "# Third\n\nThis one is short.\n",
}


def test_a_save_changes_a_page_and_leaves_scroll_panes_and_focus_alone(
    tmp_path: Path, visit: Visitor
) -> None:
    made = garden(tmp_path, NOTES)
    with serving(made, "--no-exec") as preview:
        seen = visit(f"{preview.url}index.html")
        page = seen.page
        page.click("article a[data-slug=second]")
        second = page.locator(".pane[data-slug=second]")
        expect(second.locator("h1")).to_have_text("Second")
        page.evaluate("window.kept = true")

        # Of the note beside, scrolled to where its reader is, what stands above changes, and below.
        heading = second.locator("[id$=part-6]")
        heading.evaluate("heading => heading.scrollIntoView({ behavior: 'instant' })")
        top = heading.evaluate("heading => heading.getBoundingClientRect().top")
        second.locator(".copy").evaluate("button => button.focus({ preventScroll: true })")
        text = NOTES["Second.md"].replace("It leads to", "More lines\n\n- of\n- a\n- list\n\nand it leads to")
        made.write({"notes/Second.md": text.replace("Its end.", "Its new end.")})
        expect(second).to_contain_text("Its new end.")
        expect(second).to_contain_text("and it leads to")
        expect(page.locator(".pane")).to_have_count(2)
        assert abs(heading.evaluate("heading => heading.getBoundingClientRect().top") - top) < 2
        assert page.evaluate("document.activeElement.matches('.copy')")
        assert second.locator(".copy").count() == 1

        # Of the page itself, the paragraph in which the focus is.
        page.locator("article a", has_text="Third").first.focus()
        made.write({"notes/index.md": NOTES["index.md"].replace("See ", "You may see ")})
        expect(page.locator(".pane[data-slug=index]")).to_contain_text("You may see")
        assert page.evaluate("document.activeElement.textContent") == "Third"

        # A note that is opened from now on is what it is now, and so is its title.
        made.write({"notes/Third.md": "# Third, renewed\n\nNow longer.\n"})
        preview.shows("Now longer", "third.html")
        preview.until(lambda: "third.html" in preview.heard[-1].get("changed", ()))
        page.locator(".pane[data-slug=index] article a[data-slug=third]").first.click()
        expect(page.locator(".pane[data-slug=third] h1")).to_have_text("Third, renewed")

        made.write({"garden.toml": "title = 1\n"})
        expect(page.locator("#garden-preview")).to_contain_text("title must be")
        made.write({"garden.toml": 'title = "A new name"\n'})  # which stands on every page, around its text
        expect(page.locator(".site-title")).to_have_text("A new name")
        expect(page.locator("#garden-preview")).to_have_count(0)
        assert not page.evaluate("window.kept")
        page.goto(f"{preview.url}third.html")
        made.write({"notes/Third.md": b"\xff"})  # no text, and so no note
        expect(page.locator("#garden-preview")).to_contain_text("not in the site any more")
        expect(page.locator("article")).to_contain_text("Now longer.")
        made.write({"notes/Third.md": "# Third\n\nMended.\n"})
        expect(page.locator("article")).to_contain_text("Mended.")
        expect(page.locator("#garden-preview")).to_have_count(0)

        # After all these changes the page is what it would be if it were loaded anew.
        text = "# Third\n\n## One\n\nMended.\n\n## Two\n\n```js\n1\n```\n\n> [!note]- Folded\n> $x$\n"
        made.write({"notes/Third.md": text})
        expect(page.locator("#two")).to_be_visible()
        made.write({"notes/Third.md": text.replace("Two", "Second").replace("Mended", "Really mended")})
        expect(page.locator("#second .anchor")).to_have_count(1)
        changed = page.locator("article .note-body").inner_html()
        page.reload()
        expect(page.locator("article .note-body")).to_have_js_property("innerHTML", changed)
        assert [text for text in seen.complaints if "404" not in text] == []


def test_a_page_is_shown_before_its_cells_have_run_and_their_outputs_come_by_themselves(
    tmp_path: Path, visit: Visitor
) -> None:
    made = garden(tmp_path, {"index.md": "# Index\n\nNothing runs.\n", "other.md": "# Other\n\nIs there.\n"})
    with serving(made) as preview:
        seen = visit(f"{preview.url}index.html")
        cell = seen.page.locator(".cell-output")
        endless = "# Index\n\n```python\nimport time\ntime.sleep(600)\n```\n"
        made.write({"garden.toml": '[cells]\nplain = "run"\ntimeout = 600\n', "notes/index.md": endless})
        expect(cell).to_have_text("Running…")
        expect(seen.page.locator("#garden-preview")).to_contain_text("running")
        made.write(
            {"notes/index.md": "# Index\n\n```python\nprint(6 * 7)\n```\n"}
        )  # which ends the endless one
        expect(cell).to_have_text("42", timeout=60_000)
        expect(seen.page.locator("#garden-preview")).to_have_count(0)
        assert not seen.complaints

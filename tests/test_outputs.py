"""What a page shows of the outputs of a cell, and what it says of those that it does not show."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import pytest

from generator import memo, pipeline
from generator.config import Config
from generator.model import CellResult, OutPath, Output, Program, ProgramResult, Source, Vault

SCRIPT = "application/javascript"
NAMELESS = "<IPython.core.display.Javascript object>"
PLAIN = '<pre class="result" tabindex="0">{}</pre>'


class Gives:
    """An executor whose cells all give one output."""

    def __init__(self, *data: tuple[str, str]) -> None:
        self.result = CellResult("ok", (Output("display", data=data),))

    def run(
        self, programs: Sequence[Program], report: Callable[[ProgramResult], None] | None = None
    ) -> tuple[ProgramResult, ...]:
        return tuple(ProgramResult(p.slug, (self.result,) * len(p.cells)) for p in programs)


def shown(*data: tuple[str, str]) -> str:
    """The output of a cell on its page."""
    source = Source("a.md", "```{python}\nx\n```\n")
    call = memo.Plain()
    site = pipeline.build(Vault((source,), ()), Config(dates="none"), call, call, Gives(*data))
    found = re.search(r'<div class="cell-output">(.*?)</div><details', site.files[OutPath("a.html")].decode())
    return found[1] if found else ""


@pytest.mark.parametrize("mime", [SCRIPT, "application/vnd.jupyter.widget-view+json"])
def test_an_output_that_is_not_shown_is_named_in_one_line(mime: str) -> None:
    line = f'<p class="cell-notice">An output of type {mime} is not shown.</p>'
    assert shown((mime, "")) == line
    assert shown((mime, "{}"), ("text/plain", NAMELESS)) == line
    assert shown((mime, "{}"), ("text/plain", "a slider")) == f"{PLAIN.format('a slider')}{line}"


def test_nothing_is_said_where_another_form_of_the_output_is_shown_whole() -> None:
    for data in ((("text/html", "<b>x</b>"),), (("text/latex", "$x$"), ("text/plain", "x"))):
        assert "cell-notice" not in shown((SCRIPT, ""), *data)
    assert shown(("text/plain", NAMELESS)) == PLAIN.format(NAMELESS.replace("<", "&lt;").replace(">", "&gt;"))


def test_a_script_within_html_is_left_out_and_that_is_said() -> None:
    html = shown(("text/html", "<b>x</b><SCRIPT>alert(1)</SCRIPT>"))
    assert "<b>x</b>" in html and "alert" not in html
    assert html.endswith('<p class="cell-notice">A script in this output is left out.</p>')


def test_words_in_markdown_come_before_the_name_of_the_object() -> None:
    assert shown(("text/markdown", "*m*"), ("text/plain", "<Markdown object>")) == PLAIN.format("*m*")

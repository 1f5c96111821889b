"""Notes as notebooks, as readers find them."""

from __future__ import annotations

import json

from generator.config import Cells, Config
from tests.support import made

RUN = Config(cells=Cells(plain="run"))
NOTES = {
    "sub/with cells.md": "---\ntitle: With cells\n---\nProse. %% hidden canary %%\n\n```python\n1 + 1\n```\n",
    "without.md": "Only prose.",
    "draft.md": "---\npublish: false\n---\n```python\n'hidden canary'\n```\n",
}


def test_a_note_with_cells_leads_to_its_notebook_and_no_other_does() -> None:
    site = made(NOTES, RUN)
    link = site.page("sub/with-cells.html").css_first("a.note-notebook")
    assert link is not None
    assert (link.attributes["href"], link.text()) == ("../sub/with-cells.ipynb", "Download as notebook")
    assert site.page("without.html").css_first("a.note-notebook") is None
    assert [path for path in site.files if path.endswith(".ipynb")] == ["sub/with-cells.ipynb"]


def test_a_notebook_holds_the_note_and_nothing_that_is_not_published() -> None:
    site = made(NOTES, RUN)
    cells = json.loads(site.text("sub/with-cells.ipynb"))["cells"]
    assert [cell["source"] for cell in cells] == ["# With cells\n\nProse.", "#| label: cell-1\n1 + 1"]
    assert not any("canary" in text.decode("utf-8", "replace") for text in site.files.values())


def test_a_notebook_that_is_a_note_keeps_its_prose() -> None:
    source = json.dumps(
        {
            "cells": [
                {"cell_type": "markdown", "id": "a", "metadata": {}, "source": "# Title\n\nwords"},
                {"cell_type": "code", "id": "b", "metadata": {}, "source": "2", "outputs": [],
                 "execution_count": None},
            ],
            "metadata": {}, "nbformat": 4, "nbformat_minor": 5,
        }
    )  # fmt: skip
    cells = json.loads(made({"n.ipynb": source}, RUN).text("n.ipynb"))["cells"]
    assert [cell["cell_type"] for cell in cells] == ["markdown", "code"]
    assert cells[0]["source"] == "# Title\n\nwords"

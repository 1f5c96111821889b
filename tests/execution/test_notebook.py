"""Notebooks, out and in."""

from __future__ import annotations

import json

import nbformat
import pytest

from generator.execution.notebook import cells_of, to_markdown, to_notebook
from generator.model import Cell, CellOptions, CellResult, Frame, Output, ProgramResult, Slug
from tests.execution.conftest import program

OUTPUTS = (
    Output("stream", "stdout", "hi\n"),
    Output("display", data=(("application/json", '{"a": 1}'), ("image/png", "iVBOR"), ("text/plain", "x"))),
    Output("result", data=(("text/html", "<b>"), ("text/plain", "3"))),
    Output("error", "ValueError", "no", frames=(Frame(0, 1, "", "<module>", "f()"),)),
)


def test_a_program_with_its_results_is_a_valid_notebook_and_reads_back() -> None:
    cell = Cell("f()", "first", CellOptions(raises="ValueError", check=True))
    text = to_notebook(program(cell), ProgramResult(Slug("n"), (CellResult("ok", OUTPUTS),)))
    notebook = nbformat.reads(text, as_version=4)
    nbformat.validate(notebook)
    assert [o["output_type"] for o in notebook.cells[0].outputs] == [
        "stream",
        "display_data",
        "execute_result",
        "error",
    ]
    assert cells_of(text) == (("code", "#| label: first\n#| raises: ValueError\n#| check: true\nf()"),)


def notebook(*cells: dict[str, object], **metadata: object) -> str:
    filled = [{"metadata": {}, "outputs": [], "execution_count": None, **cell} for cell in cells]
    return json.dumps({"cells": filled, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5})


def test_a_notebook_becomes_a_note() -> None:
    text = notebook(
        {"cell_type": "markdown", "source": ["# Title\n", "words"]},
        {
            "cell_type": "code",
            "source": "x = 1\n",
            "metadata": {"tags": ["hide-input", "raises-exception", "mine"]},
        },
        {"cell_type": "code", "source": "s = '''\n```\n'''"},
        {"cell_type": "raw", "source": "ignored"},
        {"cell_type": "code", "source": ""},
    )
    assert to_markdown(text) == (
        "# Title\nwords\n\n```{python}\n#| hide: input\n#| raises: Exception\nx = 1\n```\n\n"
        "````{python}\ns = '''\n```\n'''\n````\n"
    )


def test_another_kernel_is_named_in_the_front_matter() -> None:
    text = notebook({"cell_type": "code", "source": "1"}, kernelspec={"name": "ir", "language": "R"})
    assert to_markdown(text) == '---\nkernel: "ir"\n---\n\n```{R}\n1\n```\n'


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "3", '{"nbformat": 3}', '{"nbformat": 4}', '{"nbformat": 4, "cells": [1]}', "[" * 100_000,
     '{"nbformat": 4, "cells": [{"cell_type": "code", "source": 1}]}',
     '{"nbformat": 4, "cells": [], "metadata": 1}'],
)  # fmt: skip
def test_what_is_no_notebook_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        to_markdown(text)

"""Notebooks, out and in."""

from __future__ import annotations

import json
from dataclasses import replace

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st

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
        "# Title\nwords\n\n```{python}\n#| hide: input\n#| raises: Exception?\nx = 1\n```\n\n"
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


NOTE = """---
tags: [x]
---
Before, with `%% code %%`. %% a secret %%

```{python}
#| label: first
1 + 1
```

```output
2
```

Between.

```text
%% is shown %%
```

<!-- a secret
```{python}
hidden
``` -->
> ~~~python
> 2
> ~~~

After.

%%
a secret to the end
"""


def executed(text: str = NOTE) -> str:
    one = program("1 + 1", "2")
    one = replace(one, lines=(8, 26))
    outcome = CellResult("ok", (Output("result", data=(("text/plain", "2"),)),))
    return to_notebook(one, ProgramResult(Slug("n"), (outcome, outcome)), "A title", text)


def test_prose_stands_between_the_cells_as_written_and_without_comments() -> None:
    text = executed()
    cells = nbformat.reads(text, as_version=4).cells
    assert [(cell.cell_type, cell.source) for cell in cells if cell.cell_type == "markdown"] == [
        ("markdown", "# A title\n\nBefore, with `%% code %%`."),
        ("markdown", "Between.\n\n```text\n%% is shown %%\n```"),
        ("markdown", "After."),
    ]
    assert [cell.id for cell in cells] == ["text-0", "cell-1", "text-1", "cell-2", "text-2"]
    assert "secret" not in text
    assert executed() == text


def test_nbconvert_reads_an_executed_notebook() -> None:
    from nbconvert import HTMLExporter, PythonExporter

    notebook = nbformat.reads(executed(), as_version=4)
    nbformat.validate(notebook)
    page, _ = HTMLExporter().from_notebook_node(notebook)
    script, _ = PythonExporter().from_notebook_node(notebook)
    assert "<h1" in page
    assert "1 + 1" in script
    assert "# Between." in script


WORDS = st.sampled_from(
    ["```", "~~~", "%%", "<!--", "-->", "`", "word", "\n", "\n\n", "---", "> ", "```output"]
)


@given(st.lists(WORDS, max_size=40).map("".join))
def test_any_source_makes_a_valid_notebook(text: str) -> None:
    nbformat.validate(nbformat.reads(executed(text), as_version=4))

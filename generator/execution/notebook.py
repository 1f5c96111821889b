"""Notebooks, out and in: a note's cells with their outputs as `.ipynb`, and an `.ipynb` as Markdown."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from generator.model import Borrowed, Cell, CellResult, Frame, Output, Program, ProgramResult

Json = dict[str, Any]
_OPTIONS = (
    "hide",
    "raises",
    "skip",
    "timeout",
    "check",
    "rtol",
    "atol",
    "export",
    "needs",
    "gradcheck",
    "deps",
)
_TAGS = {
    "hide-input": "hide: input",
    "hide-cell": "hide: both",
    "hide-output": "hide: output",
    "remove-input": "hide: input",
    "remove-output": "hide: output",
    "remove-cell": "hide: both",
    "raises-exception": "raises: Exception?",
    "skip-execution": "skip: its author says so",
}


def to_notebook(program: Program, result: ProgramResult, title: str = "", text: str = "") -> str:
    """A note and what came out of its cells as the text of a valid `.ipynb` file: the same every time.

    `text` is the note's source; what it says between the cells becomes the prose between them, as written,
    but without comments, and with values for the expressions in sentences. The cells of other notes that it
    uses come first.
    """
    prose = [_valued(part, i, program, result) for i, part in enumerate(_prose(program, text))]
    if title and not prose[0].startswith("# "):
        prose[0] = f"# {title}\n\n{prose[0]}".rstrip()
    cells = list(_borrowed(program.prelude))
    for i, (cell, outcome) in enumerate(zip(program.cells, result.results, strict=True)):
        cells += [*_markdown(i, prose[i]), _cell(i, cell, outcome)]
    cells += _markdown(len(program.cells), prose[-1])
    language = program.cells[0].language if program.cells else "python"
    metadata = {
        "kernelspec": {"display_name": program.kernel, "language": language, "name": program.kernel},
        "language_info": {"name": language},
    }
    notebook = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(notebook, ensure_ascii=False, indent=1) + "\n"


def _markdown(number: int, text: str) -> list[Json]:
    return [{"cell_type": "markdown", "id": f"text-{number}", "metadata": {}, "source": text}] if text else []


def _borrowed(prelude: Sequence[Borrowed]) -> Iterator[Json]:
    path = ""
    for i, one in enumerate(prelude):
        if one.path != path:
            path = one.path
            yield from _markdown(-1 - i, f"From {path}, which this note uses:")
        cell = _cell(i, one.cell, CellResult("ok"))
        yield {**cell, "execution_count": None, "id": f"used-{i + 1}"}


def _valued(prose: str, after: int, program: Program, result: ProgramResult) -> str:
    """The prose behind so many cells, with the values that are known instead of their expressions."""
    for inline, value in zip(program.values, result.values, strict=False):
        if inline.after == after and value.status == "ok":
            expression = rf"`\{{python\}} +{re.escape(inline.code)} *`"
            prose = value.text.join(re.split(expression, prose, maxsplit=1))
    return prose


_FENCE = re.compile(r"[ \t>]*(`{3,}|~{3,})")
_CODE_OR_COMMENT = re.compile(
    r"(?P<code>^[ \t>]*(?P<fence>`{3,}|~{3,}).*?(?:^[ \t>]*(?P=fence)|\Z)"
    r"|(?P<ticks>`+)(?!`)(?:(?!\n[ \t]*\n).)*?(?<!`)(?P=ticks)(?!`))"
    r"|%%.*?(?:%%|\Z)|<!--.*?(?:-->|\Z)",
    re.DOTALL | re.MULTILINE,
)
"""What is not published must not be in the notebook either; what is code is no comment."""
_OUTPUT = re.compile(r"\s*(`{3,}|~{3,})[ {]*output\b")


def _prose(program: Program, text: str) -> list[str]:
    """What stands before each cell, and after the last. A fence that cannot be found ends what is said."""
    rows = _CODE_OR_COMMENT.sub(lambda found: found["code"] or "\n" * found[0].count("\n"), text).split("\n")
    start = _body(rows)
    found = []
    for first, cell in zip(program.lines, program.cells, strict=True):
        opening = next(
            (i for i in range(min(first, len(rows)) - 1, start - 1, -1) if _FENCE.match(rows[i])), None
        )
        if opening is None:
            found.append("")
            continue
        found.append(_without_output(rows[start:opening]))
        start = _behind(rows, first - 1 + cell.code.count("\n"), rows[opening])
    return [*found, _without_output(rows[start:])]


def _body(rows: list[str]) -> int:
    """Where the note begins, behind its properties."""
    if rows[0].rstrip() != "---":
        return 0
    return next((i + 1 for i, row in enumerate(rows) if i and row.rstrip() in ("---", "...")), 0)


def _behind(rows: list[str], start: int, opening: str) -> int:
    """The row behind the fence that closes what `opening` opened."""
    mark = _FENCE.match(opening)
    ends = (i + 1 for i in range(start, len(rows)) if mark and _closes(rows[i], mark[1]))
    return next(ends, len(rows))


def _closes(row: str, mark: str) -> bool:
    bare = row.strip(" \t>")
    return bare.startswith(mark) and not bare.strip(mark[0])


def _without_output(rows: list[str]) -> str:
    """Prose without the fence for what the cell before it should give: the notebook has what it gave."""
    first = next((i for i, row in enumerate(rows) if row.strip()), None)
    if first is not None and _OUTPUT.match(rows[first]):
        rows = rows[_behind(rows, first + 1, rows[first]) :]
    return "\n".join(rows).strip("\n")


def _cell(number: int, cell: Cell, result: CellResult) -> Json:
    return {
        "cell_type": "code",
        "execution_count": number + 1 if result.status == "ok" else None,
        "id": f"cell-{number + 1}",
        "metadata": {},
        "outputs": [_output(output, number) for output in result.outputs],
        "source": _source(cell),
    }


def _source(cell: Cell) -> str:
    lines = [f"#| label: {cell.label}"]
    for name in _OPTIONS:
        value = getattr(cell.options, name)
        if value not in ("", None, False):
            lines.append(f"#| {name}: {str(value).lower() if value is True else value}")
    return "\n".join([*lines, cell.code])


def _output(output: Output, number: int) -> Json:
    if output.kind == "stream":
        return {"output_type": "stream", "name": output.name, "text": output.text}
    if output.kind == "error":
        lines = [f"{_place(f)}:{f.line}: {f.code}" for f in output.frames]
        last = f"{output.name}: {output.text}"
        return {
            "output_type": "error",
            "ename": output.name,
            "evalue": output.text,
            "traceback": [*lines, last],
        }
    data = {mime: json.loads(text) if _is_json(mime) else text for mime, text in output.data if text}
    if output.kind == "display":
        return {"output_type": "display_data", "data": data, "metadata": {}}
    return {"output_type": "execute_result", "execution_count": number + 1, "data": data, "metadata": {}}


def _place(frame: Frame) -> str:
    if frame.cell is None:
        return frame.file
    return f"cell {frame.cell + 1}" if frame.cell >= 0 else f"used cell {-frame.cell}"


def _is_json(mime: str) -> bool:
    return mime == "application/json" or mime.endswith("+json")


# ---------------------------------------------------------------- reading


def cells_of(text: str) -> tuple[tuple[str, str], ...]:
    """The cells of a notebook as pairs of kind (`markdown`, `code`, `raw`) and source, options of code cells
    as `#|` lines. ValueError, with a reason, if the text is no notebook of version 4."""
    notebook = _load(text)
    return tuple((cell["cell_type"], _with_tags(cell)) for cell in notebook["cells"])


def to_markdown(text: str) -> str:
    """A notebook as a note: prose as it is, code cells as cells that run, attachments and outputs left out.
    ValueError, with a reason, if the text is no notebook of version 4."""
    notebook = _load(text)
    language = notebook.get("metadata", {}).get("kernelspec", {}).get("language") or "python"
    parts = [_block(kind, source, language) for kind, source in cells_of(text)]
    head = _front_matter(notebook)
    return head + "\n\n".join(part for part in parts if part) + "\n"


def _load(text: str) -> Json:
    try:
        notebook = json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(notebook, dict) or notebook.get("nbformat") != 4:
        raise ValueError("it is not of format version 4")
    cells = notebook.get("cells")
    if not isinstance(cells, list) or not all(map(_is_cell, cells)):
        raise ValueError("its cells cannot be read")
    if not isinstance(notebook.get("metadata", {}), dict):
        raise ValueError("its metadata cannot be read")
    return notebook


def _is_cell(cell: Any) -> bool:
    if not isinstance(cell, dict) or cell.get("cell_type") not in ("markdown", "code", "raw"):
        return False
    source = cell.get("source")
    lines = source if isinstance(source, list) else [source]
    return all(isinstance(line, str) for line in lines)


def _with_tags(cell: Json) -> str:
    source = cell["source"]
    text = "".join(source) if isinstance(source, list) else source
    tags = cell.get("metadata", {}).get("tags", []) if cell["cell_type"] == "code" else []
    options = [f"#| {_TAGS[tag]}" for tag in tags if isinstance(tag, str) and tag in _TAGS]
    return "\n".join([*options, text])


def _block(kind: str, source: str, language: str) -> str:
    if kind == "markdown":
        return source.strip("\n")
    if kind == "raw" or not source.strip():
        return ""
    fence = "`" * max(3, *(run + 1 for run in _fences(source.split("\n"))))
    return f"{fence}{{{'python' if language == 'python' else language}}}\n{source.rstrip()}\n{fence}"


def _fences(lines: Sequence[str]) -> Iterator[int]:
    yield 0
    for line in lines:
        bare = line.lstrip()
        yield len(bare) - len(bare.lstrip("`"))


def _front_matter(notebook: Json) -> str:
    """A notebook for another kernel than the usual one says so in its note."""
    kernel = notebook.get("metadata", {}).get("kernelspec", {})
    name = kernel.get("name", "python3") if isinstance(kernel, dict) else "python3"
    return "" if name == "python3" else f"---\nkernel: {json.dumps(name)}\n---\n\n"

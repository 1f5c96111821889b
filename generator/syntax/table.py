"""GFM tables, with the place of each cell, what a row has too much, and the wikilinks that it cuts in two."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock, table
from markdown_it.token import Token


def table_plugin(md: MarkdownIt) -> None:
    """Cells get their column in the file in `meta["col"]` (from 0), rows with more cells than the table has
    columns in `meta["lost"]` what would be dropped, and in `meta["cut"]` the column and the text of the first
    wikilink whose pipe, written without a backslash, ends a cell."""
    md.block.ruler.at("table", _table, {"alt": ["paragraph", "reference"]})


def _table(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    count = len(state.tokens)
    if not table(state, start, end, silent):
        return False
    if not silent:
        _note_places(state, count)
        _free_corners(state.tokens[count:])
    return True


def _note_places(state: StateBlock, first: int) -> None:
    tokens = state.tokens[first:]
    columns = sum(token.type == "th_open" for token in tokens)
    cells: list[tuple[int, str]] = []
    number = 0
    for token in tokens:
        if token.type == "tr_open" and token.map:
            cells, number = _cells(state, token.map[0]), 0
            token.meta = {**_lost(cells, columns), **_cut(cells)}
        elif token.type == "inline":
            if number < len(cells):
                token.meta = {"col": cells[number][0]}
            number += 1


def _free_corners(tokens: list[Token]) -> None:
    """A cell of the first row with nothing in it heads nothing; a heading would be read out as one."""
    for opening, content, closing in zip(tokens, tokens[1:], tokens[2:], strict=False):
        if opening.type == "th_open" and not content.content.strip():
            opening.tag = closing.tag = "td"


def _lost(cells: list[tuple[int, str]], columns: int) -> dict[str, Any]:
    lost = " | ".join(text for _, text in cells[columns:] if text)
    return {"lost": lost, "col": cells[columns][0]} if lost else {}


def _cut(cells: list[tuple[int, str]]) -> dict[str, Any]:
    for (column, text), (_, following) in pairwise(cells):
        start, end = text.rfind("[["), following.find("]]")
        if start >= 0 and end >= 0 and "]]" not in text[start:] and "[[" not in following[:end]:
            start -= text[start - 1 : start] == "!"
            return {"cut": (column + start, f"{text[start:]}\\|{following[: end + 2]}")}
    return {}


def _cells(state: StateBlock, line: int) -> list[tuple[int, str]]:
    """The cells of a row: the column at which the text of each begins, and that text."""
    begin, end = state.bMarks[line] + state.tShift[line], state.eMarks[line]
    first_column = begin - (state.src.rfind("\n", 0, begin) + 1)
    text = state.src[begin:end].rstrip()
    bars = [i for i, c in enumerate(text) if c == "|" and (i == 0 or text[i - 1] != "\\")]
    edges = [-1, *bars, len(text)]
    parts = [(a + 1, text[a + 1 : b]) for a, b in pairwise(edges)]
    if parts and not parts[0][1]:
        del parts[0]
    if parts and not parts[-1][1]:
        del parts[-1]
    return [(first_column + at + len(part) - len(part.lstrip()), part.strip()) for at, part in parts]

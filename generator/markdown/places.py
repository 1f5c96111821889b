"""Places: a position in a token's text becomes a line and a column of the file.

markdown-it keeps the lines of a block, not its columns. A line of a block's text is what is left of a line of
the file without indentation and markers, so its end is the end of that line.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field

from markdown_it.token import Token

from generator.model import Span


def line_of(token: Token) -> Span:
    return Span(token.map[0] + 1 if token.map else 0)


@dataclass(slots=True)
class _Rows:
    """The rows of one inline text: where each starts in it, and at which column of the file (from 0)."""

    inline: Token | None
    starts: list[int]
    columns: dict[int, int] = field(default_factory=dict)


@dataclass(slots=True)
class Places:
    """The lines of a file, counted from 0; spans are counted from 1."""

    lines: list[str]
    rows: _Rows = field(default_factory=lambda: _Rows(None, [0]))

    def line(self, number: int) -> str:
        return self.lines[number] if number < len(self.lines) else ""

    def find(self, text: str, first: int, last: int) -> Span:
        """Where in these lines the text stands first; if it is in none of them, the first line."""
        for number in range(first, min(last + 1, len(self.lines))):
            column = self.lines[number].find(text)
            if column >= 0:
                return Span(number + 1, column + 1)
        return Span(first + 1)

    def within(self, content: str, first: int, position: int) -> Span:
        """The place of a position in the text of a block that begins in line `first`."""
        start = content.rfind("\n", 0, position) + 1
        number = first + content.count("\n", 0, position)
        column = self._column(content[start:].partition("\n")[0], number)
        return Span(number + 1, max(column + position - start, 0) + 1)

    def property(self, target: str, line: int) -> Span:
        """Where the wikilink with this target begins in a line of front matter, or the bare target."""
        place = self.find(target, line, line)
        before = self.line(line)[: place.col - 1].rstrip()
        return Span(place.line, len(before) - 1) if before.endswith("[[") else place

    def of(self, inline: Token, position: int) -> Span:
        """The place of a position in an inline token's text."""
        first = inline.map[0] if inline.map else 0
        if "col" in inline.meta:
            return Span(first + 1, _beyond_pipes(self.line(first), inline.meta["col"], position) + 1)
        if self.rows.inline is not inline:  # worked out once for a text, which may hold thousands of links
            self.rows = _Rows(inline, [0, *(m.end() for m in re.finditer("\n", inline.content))])
        row = bisect_right(self.rows.starts, position) - 1
        start = self.rows.starts[row]
        if row not in self.rows.columns:
            self.rows.columns[row] = self._column(inline.content[start:].partition("\n")[0], first + row)
        return Span(first + row + 1, max(self.rows.columns[row] + position - start, 0) + 1)

    def _column(self, text: str, line: int) -> int:
        """The column at which a row of text begins in its line; less than 0 where indentation is lost."""
        indent = len(text) - len(text.lstrip())
        return max(self.line(line).rfind(text.strip()), 0) - indent


def _beyond_pipes(source: str, start: int, distance: int) -> int:
    """The column that is `distance` characters of a table cell's text after `start`: there, `\\|` is one."""
    end = start + distance
    while (start := source.find("\\|", start, end + 1)) >= 0:
        start, end = start + 2, end + 1
    return end

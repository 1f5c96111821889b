"""Marks: HTML with marks becomes a body, which is text with holes.

While rendering, holes and the ends of ranges travel inside the text: a letter and a payload between two
noncharacters. No source text can contain those, since parsing replaces them before anything else looks at it.

* Holes: `I` an id, `L` and `l` the ends of a link, `U` a URL in raw HTML, `M` an embed, `K` a cell, `F` a
  reference to a footnote, `T` a tag, `V` an inline value and `W` one within a link.
* Ranges, a capital where one starts and a small letter where it ends: `H` a heading, `B` a block with an id,
  `X` the context of links; and `S`, where a section starts.
* `R`, which only `raw` sees: what stands by while the HTML around it is cleaned.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from generator.model import (
    CellHole,
    EmbedHole,
    FootnoteHole,
    Hole,
    IdHole,
    LinkEnd,
    LinkHole,
    Range,
    TagHole,
    UrlHole,
    ValueHole,
)

_OPEN, _CLOSE = "\ufdd0", "\ufdd1"
MARK = re.compile(f"{_OPEN}([A-Za-z])([^{_CLOSE}]*){_CLOSE}")
"""Its groups are the letter and the payload."""

RESERVED = re.compile("[\ufdd0-\ufdef]")
"""What no source text may contain."""

_HOLES: dict[str, Callable[[str], Hole]] = {
    "I": IdHole,
    "L": lambda payload: LinkHole(int(payload)),
    "l": lambda payload: LinkEnd(int(payload)),
    "U": lambda payload: UrlHole(int(payload)),
    "M": lambda payload: EmbedHole(int(payload)),
    "K": lambda payload: CellHole(int(payload)),
    "F": lambda payload: FootnoteHole(*map(int, payload.split(","))),
    "T": TagHole,
    "V": lambda payload: ValueHole(int(payload)),
    "W": lambda payload: ValueHole(int(payload), bare=True),
}


def mark(letter: str, payload: object) -> str:
    return f"{_OPEN}{letter}{payload}{_CLOSE}"


@dataclass(slots=True)
class Pieces:
    """A body being put together; `starts` and `ranges` are by letter and number."""

    body: list[str | Hole] = field(default_factory=list)
    starts: dict[tuple[str, int], int] = field(default_factory=dict)
    ranges: dict[tuple[str, int], Range] = field(default_factory=dict)

    def add(self, html: str) -> Range:
        """Add HTML with marks; says where in the body it is."""
        first, done = len(self.body), 0
        for found in MARK.finditer(html):
            if found.start() > done:
                self.body.append(html[done : found.start()])
            done = found.end()
            self._mark(found[1], found[2])
        if done < len(html):
            self.body.append(html[done:])
        return Range(first, len(self.body))

    def _mark(self, letter: str, payload: str) -> None:
        if letter in _HOLES:
            self.body.append(_HOLES[letter](payload))
        elif letter.isupper():
            self.starts[letter, int(payload)] = len(self.body)
        else:
            key = (letter.upper(), int(payload))
            self.ranges[key] = Range(self.starts[key], len(self.body))

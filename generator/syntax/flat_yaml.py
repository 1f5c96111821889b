"""The YAML that nearly every note's head is made of, read without a YAML parser.

`read` knows `key: value`, `key: [a, b]` and `key:` with `- item` lines, with unambiguous scalars; of anything
else it says so (None), and `strict_yaml` reads it. What it does read, it reads as YAML does: a test holds the
two against each other. It is there because a YAML parser in Python takes longer than
parsing the rest of a short note.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scalar:
    """`plain`: written without quotes. `line` and `col` count from 0 and are within the head."""

    text: str
    line: int
    col: int
    plain: bool = True

    @property
    def empty(self) -> bool:
        """Is it YAML's null?"""
        return self.plain and self.text in ("", "~", "null", "Null", "NULL")


@dataclass(frozen=True, slots=True)
class Sequence:
    """`flow`: written in brackets."""

    items: tuple[Value, ...]
    line: int
    col: int
    flow: bool = False


@dataclass(frozen=True, slots=True)
class Mapping:
    items: tuple[tuple[Scalar, Value], ...]
    line: int
    col: int


Value = Scalar | Sequence | Mapping

UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff]")
"""Characters that no text of a note holds: controls, and noncharacters that mark trusted markup."""

# No indicator first; a colon only before, and a hash only after, something that is not a space; no tabs.
_PLAIN = r"[\w/+$](?:[\w./()+;=&*!?'%$@^~\[\]{},<>|\\`\"-]|:(?=[\w/.])|(?<=[\w/.])\#| (?![ \#]|$))*"
_QUOTED = r"\"[\w ./()+;:=&*!?'%$@^~\[\]{},<>|`#-]*\"|'[\w ./()+;:=&*!?\"%$@^~\[\]{},<>|\\`#-]*'"
_WORD = r"[\w/](?:[\w./-]| (?=[\w/.]))*"
_ENTRY = re.compile(
    rf"(?P<key>[A-Za-z_][\w-]{{0,99}}):(?:[ ]+(?:(?P<plain>{_PLAIN})|(?P<quoted>{_QUOTED})"
    rf"|(?P<flow>\[[ ]*(?:{_WORD}(?:[ ]*,[ ]*{_WORD})*)?[ ]*\])))?[ ]*"
)
_ITEM = re.compile(rf"(?P<indent>[ ]*)-[ ]+(?:(?P<plain>{_PLAIN})|(?P<quoted>{_QUOTED}))[ ]*")
_FLOW_WORD = re.compile(_WORD)


def read(head: str) -> Mapping | None:
    """The head as a mapping, or None where it is not plain enough to be sure."""
    if "\u0085" in head:
        return None
    entries: list[tuple[Scalar, Value]] = []
    lines = head.split("\n")
    number = 0
    while number < len(lines):
        line = lines[number]
        if not line:
            number += 1
            continue
        entry = _ENTRY.fullmatch(line)
        if entry is None:
            return None
        key = Scalar(entry["key"], number, 0)
        value = _value(entry, number)
        number += 1
        if value is None:
            value, number = _items(lines, number, key)
        if value is None:
            return None
        entries.append((key, value))
    if not entries or len({key.text for key, _ in entries}) < len(entries):
        return None
    return Mapping(tuple(entries), entries[0][0].line, 0)


def _value(match: re.Match[str], number: int) -> Value | None:
    if match["plain"] is not None:
        return Scalar(match["plain"], number, match.start("plain"))
    if match["quoted"] is not None:
        return Scalar(match["quoted"][1:-1], number, match.start("quoted"), plain=False)
    if match["flow"] is not None:
        start = match.start("flow")
        words = _FLOW_WORD.finditer(match["flow"])
        items = tuple(Scalar(word[0], number, start + word.start()) for word in words)
        return Sequence(items, number, start, flow=True)
    return None


def _items(lines: list[str], number: int, key: Scalar) -> tuple[Value | None, int]:
    """The `- item` lines that follow a key without a value, and the number of the line after them."""
    items: list[Scalar] = []
    start, indent = number, 0
    while number < len(lines) and (match := _ITEM.fullmatch(lines[number])):
        if number > start and len(match["indent"]) != indent:
            return None, number
        indent = len(match["indent"])
        group = "plain" if match["plain"] is not None else "quoted"
        text = match[group] if group == "plain" else match[group][1:-1]
        items.append(Scalar(text, number, match.start(group), plain=group == "plain"))
        number += 1
    if items:
        return Sequence(tuple(items), start, indent), number
    if number < len(lines) and lines[number].startswith((" ", "-")):
        return None, number
    return Scalar("", key.line, key.col + len(key.text) + 1), number

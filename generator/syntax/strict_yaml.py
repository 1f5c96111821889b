"""YAML as a note's head may use it: strings, lists and mappings, each with its place.

Read from the events of PyYAML's pure-Python parser (its C twin crashes on deep nesting), and without what
makes YAML dangerous or surprising: no anchors and aliases, so that no small text unfolds into a large
one, no merge keys, no tags, no doubled keys, no guessing of types.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)
from yaml.reader import ReaderError

from generator.syntax.flat_yaml import UNPRINTABLE, Mapping, Scalar, Sequence, Value

_MAX_DEPTH = 20
_QUOTE = "put the value in quotes"


@dataclass(frozen=True, slots=True)
class Flaw:
    """Something wrong with the YAML, at a line and column of the head that count from 0.

    After a `fatal` one there is no mapping.
    """

    message: str
    line: int
    col: int = 0
    hint: str = ""
    fatal: bool = True


class _Refused(Exception):
    """Leaves the recursion; never leaves this file."""

    def __init__(self, message: str, event: Event, hint: str = "") -> None:
        super().__init__(message)
        self.flaw = Flaw(message, *_place(event), hint)


def read(head: str) -> tuple[Mapping | None, tuple[Flaw, ...]]:
    """The head as a mapping (None where it is none), and what is wrong with it."""
    flaws: list[Flaw] = []
    try:
        return _document(yaml.parse(head, Loader=yaml.SafeLoader), flaws), tuple(flaws)
    except _Refused as refused:
        return None, (*flaws, refused.flaw)
    except ReaderError as error:
        line = head.count("\n", 0, error.position)
        return None, (*flaws, Flaw("a character that YAML does not allow", line, hint="remove it"))
    except yaml.MarkedYAMLError as error:
        return None, (*flaws, _syntax_flaw(error))


def _document(events: Iterator[Event], flaws: list[Flaw]) -> Mapping:
    next(events)  # the stream's start
    start = next(events)
    if isinstance(start, StreamEndEvent):
        return Mapping((), 0, 0)
    value = _value(next(events), events, flaws, 0)
    next(events)  # the document's end
    after = next(events)
    if isinstance(after, DocumentStartEvent):
        raise _Refused("a second YAML document", after, "keep one list of properties between the fences")
    if isinstance(value, Mapping):
        return value
    if isinstance(value, Scalar) and value.empty:
        return Mapping((), 0, 0)
    raise _Refused("not a list of `key: value` properties", start, "write `key: value` lines")


def _value(event: Event, events: Iterator[Event], flaws: list[Flaw], depth: int) -> Value:
    if isinstance(event, AliasEvent) or (isinstance(event, NodeEvent) and event.anchor):
        raise _Refused("anchors and aliases (`&`, `*`) are not supported", event, _QUOTE)
    if depth > _MAX_DEPTH:
        raise _Refused("nested too deeply", event)
    if getattr(event, "tag", None):
        raise _Refused("tags (`!`) are not supported", event, _QUOTE)
    line, col = _place(event)
    if isinstance(event, SequenceStartEvent):
        items = tuple(_items(events, flaws, depth))
        return Sequence(items, line, col, bool(event.flow_style))
    if isinstance(event, MappingStartEvent):
        return Mapping(_entries(events, flaws, depth), line, col)
    assert isinstance(event, ScalarEvent)  # the grammar of YAML events leaves nothing else
    # A quoted scalar may hold what the source may not, as an escape.
    return Scalar(UNPRINTABLE.sub("", event.value), line, col, plain=event.style is None)


def _place(event: Event) -> tuple[int, int]:
    mark = event.start_mark
    return (mark.line, mark.column) if mark else (0, 0)


def _items(events: Iterator[Event], flaws: list[Flaw], depth: int) -> Iterator[Value]:
    while not isinstance(event := next(events), SequenceEndEvent):
        yield _value(event, events, flaws, depth + 1)


def _entries(events: Iterator[Event], flaws: list[Flaw], depth: int) -> tuple[tuple[Scalar, Value], ...]:
    entries: dict[str, tuple[Scalar, Value]] = {}
    while not isinstance(event := next(events), MappingEndEvent):
        key = _value(event, events, flaws, depth + 1)
        value = _value(next(events), events, flaws, depth + 1)
        if not isinstance(key, Scalar):
            raise _Refused("a key must be one word or phrase", event, _QUOTE)
        if key.plain and key.text == "<<":
            flaws.append(Flaw("merge keys (`<<`) are not supported", key.line, key.col, fatal=False))
        elif key.text in entries:
            flaws.append(_doubled(key))
        else:
            entries[key.text] = key, value
    return tuple(entries.values())


def _doubled(key: Scalar) -> Flaw:
    message = f"the property `{key.text}` is given twice; the first counts"
    return Flaw(message, key.line, key.col, "remove one of the two", fatal=False)


def _syntax_flaw(error: yaml.MarkedYAMLError) -> Flaw:
    mark = error.problem_mark or error.context_mark
    message = error.problem or error.context or "not valid YAML"
    if "\\t" in message or "'\t'" in message:
        hint = "indent with spaces, not tabs"
    elif "mapping values are not allowed" in message or "cannot start any token" in message:
        hint = _QUOTE
    else:
        hint = "check the indentation, and quotes around values with special characters"
    return Flaw(message, mark.line if mark else 0, mark.column if mark else 0, hint)

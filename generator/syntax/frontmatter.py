"""Properties: the YAML head of a note.

Three steps: the head is cut off (`split`), read as YAML, and held against the keys that the generator knows
(`read`). Whatever goes wrong on the way is a problem with its place, and costs only the value it is
about: a head that is no YAML at all is read once more, line by line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from generator.model import Problem, Severity, Span
from generator.syntax import flat_yaml
from generator.syntax.flat_yaml import UNPRINTABLE, Mapping, Scalar, Sequence, Value
from generator.syntax.tag import is_tag

MAX_SIZE = 64 * 1024

_HEAD = re.compile(r"\A---[ \t]*\n((?:.*\n)*?)(?:---|\.\.\.)[ \t]*(?:\n|\Z)")
_WIKILINK = re.compile(r"\[\[([^\[\]\n]+)\]\]")
_DATE = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?: ?(?:Z|[+-]\d\d:?\d\d))?)?")
_LANG = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8})*")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:|//")
_TRUE = frozenset({"true", "yes", "on"})
_FALSE = frozenset({"false", "no", "off"})

_NAMES = {
    "title": ("title",),
    "aliases": ("aliases", "alias"),
    "tags": ("tags", "tag"),
    "description": ("description",),
    "permalink": ("permalink",),
    "redirects": ("redirects",),
    "draft": ("draft",),
    "publish": ("publish",),
    "created": ("created", "date"),
    "modified": ("modified", "updated", "lastmod"),
    "lang": ("lang",),
    "image": ("image", "cover"),
    "cssclasses": ("cssclasses", "cssclass"),
    "uses": ("uses",),
    "cells": ("cells",),
    "deps": ("deps",),
}
_FIELD_OF = {name: known for known, names in _NAMES.items() for name in names}
_NOTEBOOK = frozenset({"jupytext", "kernelspec", "jupyter"})


@dataclass(frozen=True, slots=True)
class Properties:
    """What the head of a note says. An absent property has the default shown here.

    `created`, `modified`: ISO 8601. `uses`: the targets of its links. `deps`: files. `kernel`: of a
    notebook's head (jupytext, Quarto). `extra`: properties that the generator does not interpret, sorted, as
    text. `links`: wikilinks in values, in source order: the key (a known one by its first name), what is
    between the brackets, and the line of the file. What `uses` and `image` name is among them, brackets or
    not, unless it is an address in the web.
    """

    title: str | None = None
    aliases: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    description: str = ""
    permalink: str = ""
    redirects: tuple[str, ...] = ()
    draft: bool = False
    publish: bool | None = None
    created: str | None = None
    modified: str | None = None
    lang: str | None = None
    image: str | None = None
    cssclasses: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()
    cells: Literal["", "run", "show"] = ""
    deps: tuple[str, ...] = ()
    kernel: str = ""
    extra: tuple[tuple[str, str], ...] = ()
    links: tuple[tuple[str, str, int], ...] = ()

    @property
    def published(self) -> bool:
        return not self.draft and self.publish is not False


def split(text: str) -> tuple[str | None, int]:
    """The head of a note (None where it has none) and how many lines it takes up, fences included.

    It begins with `---` as the very first line and ends with a line `---` or `...`.
    """
    match = _HEAD.match(text)
    if not match:
        return None, 0
    whole = match[0]
    return match[1], whole.count("\n") + (not whole.endswith("\n"))


def read(head: str, path: str) -> tuple[Properties, tuple[Problem, ...]]:
    """Read a head that `split` gave; `path` is the note's, for problems.

    Problems: `yaml-invalid` (not YAML, or more of YAML than is allowed), `yaml-too-large`, `property-invalid`
    (a value that its key does not allow), `date-invalid`. Where it cannot be made out whether the note
    is to be published, it is not.
    """
    if not head.strip():
        return Properties(), ()
    reader = _Reader(path)
    return reader.properties(_mapping(head, reader)), tuple(reader.problems)


def _mapping(head: str, reader: _Reader) -> Mapping:
    if len(head.encode("utf-8", "replace")) > MAX_SIZE:
        reader.problem(
            "yaml-too-large", Span(1), "the properties take more than 64 kB", "move text into the note"
        )
        return _line_by_line(head)
    return flat_yaml.read(head) or _strict(head, reader)


def _strict(head: str, reader: _Reader) -> Mapping:
    from generator.syntax import strict_yaml  # PyYAML: only for heads that are not plain

    mapping, flaws = strict_yaml.read(head)
    for flaw in flaws:
        reader.problem("yaml-invalid", Span(flaw.line + 2, flaw.col + 1), flaw.message, flaw.hint)
    return _line_by_line(head) if mapping is None else _with_hash_tags(mapping, head, reader)


def _with_hash_tags(mapping: Mapping, head: str, reader: _Reader) -> Mapping:
    """`tags: #a #b` is, to YAML, no value and a comment: read what was meant, and say so."""
    lines = head.split("\n")
    items = []
    for key, value in mapping.items:
        rest = lines[key.line].partition(":")[2].strip() if key.line < len(lines) else ""
        if key.text.lower() in _NAMES["tags"] and isinstance(value, Scalar) and rest.startswith("#"):
            value = Scalar(rest, key.line, lines[key.line].index("#"), plain=False)
            place = Span(value.line + 2, value.col + 1)
            hint = f'write `{key.text}: "{rest}"`, or leave the # out'
            reader.problem("property-invalid", place, "to YAML, # begins a comment", hint, "warning")
        items.append((key, value))
    return Mapping(tuple(items), mapping.line, mapping.col)


# ---------------------------------------------------------------- a head that is no YAML

_KEY_LINE = re.compile(r"([A-Za-z_][\w-]*)[ \t]*:(?:[ \t]+(.*))?")
_ITEM_LINE = re.compile(r"[ \t]*-[ \t]+(.*)")


def _line_by_line(head: str) -> Mapping:
    """Every `key: value` and `- item` line for itself; what is neither is passed over."""
    entries: dict[str, tuple[Scalar, Value]] = {}
    last = ""
    for number, line in enumerate(head.split("\n")):
        if match := _KEY_LINE.fullmatch(line):
            last = match[1]
            value = _loose_value(match[2] or "", number)
            if last in entries:
                value = _stricter(last, entries[last][1], value)
            entries[last] = Scalar(last, number, 0), value
        elif (match := _ITEM_LINE.fullmatch(line)) and last:
            entries[last] = entries[last][0], _appended(entries[last][1], _loose_scalar(match[1], number))
    return Mapping(tuple(entries.values()), 0, 0)


def _stricter(key: str, first: Value, second: Value) -> Value:
    """Of a doubled key the first counts, unless that would publish what the second keeps private."""
    private = {"draft": _FALSE, "publish": _TRUE}.get(key.lower())
    open_ = private is not None and isinstance(first, Scalar) and first.text.lower() in private
    return second if open_ else first


def _appended(value: Value, item: Scalar) -> Value:
    if isinstance(value, Scalar) and value.empty:
        return Sequence((item,), item.line, item.col)
    if isinstance(value, Sequence) and not value.flow:
        return Sequence((*value.items, item), value.line, value.col)
    return value


def _loose_value(text: str, number: int) -> Value:
    text = text.strip()
    if text.startswith("[") and text.endswith("]") and not text.startswith("[["):
        items = tuple(_loose_scalar(part, number) for part in text[1:-1].split(",") if part.strip())
        return Sequence(items, number, 0, flow=True)
    return _loose_scalar(text, number)


def _loose_scalar(text: str, number: int) -> Scalar:
    text = UNPRINTABLE.sub("", text).strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        return Scalar(text[1:-1], number, 0, plain=False)
    return Scalar(re.split(r"\s#", text, maxsplit=1)[0].strip(), number, 0)


# ---------------------------------------------------------------- what the keys mean


@dataclass(slots=True)
class _Reader:
    """One reading of one head: gathers its problems."""

    path: str
    problems: list[Problem] = field(default_factory=list)

    def problem(
        self, code: str, span: Span, message: str, hint: str = "", severity: Severity = "error"
    ) -> None:
        self.problems.append(Problem(code, severity, self.path, span, message, hint))

    def properties(self, mapping: Mapping) -> Properties:
        found: dict[str, tuple[str, Value]] = {}
        extra: list[tuple[str, str]] = []
        links: list[tuple[str, str, int]] = []
        for key, raw in mapping.items:
            value = _unbracketed(raw)
            known = _FIELD_OF.get(key.text.lower())
            if known is None:
                if key.text not in _NOTEBOOK:
                    extra.append((key.text, _text(value)))
            elif known not in found or _NAMES[known].index(key.text.lower()) == 0:
                found[known] = key.text, value
            links += _links(known or key.text, value)
        return self._checked(found, tuple(sorted(extra)), tuple(links), _kernel(mapping))

    def _checked(
        self,
        found: dict[str, tuple[str, Value]],
        extra: tuple[tuple[str, str], ...],
        links: tuple[tuple[str, str, int], ...],
        kernel: str,
    ) -> Properties:
        def values(name: str) -> tuple[Scalar, ...]:
            return _scalars(found[name][1]) if name in found else ()

        def text(name: str) -> str:
            return self._text(*found[name]) if name in found else ""

        return Properties(
            title=text("title") or None,
            aliases=_distinct(alias for value in values("aliases") for alias in _parts(value, r",")),
            tags=_distinct(tag for value in values("tags") for tag in self._tags(value)),
            description=text("description"),
            permalink=text("permalink").strip("/"),
            redirects=_distinct(value.text.strip().strip("/") for value in values("redirects")),
            draft=self._flag(found, "draft", otherwise=True) is True,
            publish=self._flag(found, "publish", otherwise=False),
            created=self._date(found, "created"),
            modified=self._date(found, "modified"),
            lang=self._lang(found),
            image=_target(next(iter(values("image")), None)) or None,
            cssclasses=_distinct(name for value in values("cssclasses") for name in _parts(value, r"[\s,]+")),
            uses=_distinct(map(_target, values("uses"))),
            cells=self._cells(found),
            deps=_distinct(value.text.strip() for value in values("deps")),
            kernel=kernel,
            extra=extra,
            links=links,
        )

    def _invalid(self, key: str, value: Value, wanted: str, severity: Severity = "warning") -> None:
        span = Span(value.line + 2, value.col + 1)
        shown = _text(value)[:60]
        self.problem("property-invalid", span, f"`{key}` is {wanted}, not `{shown}`", severity=severity)

    def _text(self, key: str, value: Value) -> str:
        if isinstance(value, Scalar):
            return "" if value.empty else _plain(value.text).strip()
        self._invalid(key, value, "one text")
        return ""

    def _flag(self, found: dict[str, tuple[str, Value]], name: str, otherwise: bool) -> bool | None:
        """Yes or no; `otherwise` (the choice that does not publish) where it is neither."""
        if name not in found:
            return None
        key, value = found[name]
        if isinstance(value, Scalar) and value.empty:
            return None
        word = value.text.strip().lower() if isinstance(value, Scalar) else ""
        if word in _TRUE or word in _FALSE:
            return word in _TRUE
        self._invalid(key, value, "`true` or `false` (the note is left out until it is one of them)", "error")
        return otherwise

    def _tags(self, value: Scalar) -> Iterator[str]:
        for part in _parts(value, r"[\s,]+"):
            tag = part.removeprefix("#").rstrip("/")
            if is_tag(tag):
                yield tag
            else:
                self._invalid("tags", value, "letters, digits, `-`, `_`, `/`, and at least one non-digit")

    def _date(self, found: dict[str, tuple[str, Value]], name: str) -> str | None:
        key, value = found.get(name, (name, Scalar("", 0, 0)))
        if isinstance(value, Scalar):
            if value.empty or not value.text.strip():
                return None
            date = _iso(_plain(value.text).strip())
            if date:
                return date
        span = Span(value.line + 2, value.col + 1)
        message = f"`{key}` is not a date: `{_text(value)[:60]}`"
        self.problem("date-invalid", span, message, "write it as 2024-12-31 or 2024-12-31T18:30", "warning")
        return None

    def _lang(self, found: dict[str, tuple[str, Value]]) -> str | None:
        if "lang" not in found:
            return None
        key, value = found["lang"]
        text = self._text(key, value)
        if text and not _LANG.fullmatch(text):
            self._invalid(key, value, "a language tag such as `en` or `pt-BR`")
            return None
        return text or None

    def _cells(self, found: dict[str, tuple[str, Value]]) -> Literal["", "run", "show"]:
        if "cells" not in found:
            return ""
        key, value = found["cells"]
        text = self._text(key, value)
        match text:
            case "" | "run" | "show":
                return text
        self._invalid(key, value, "`run` or `show`")
        return ""


def _unbracketed(value: Value) -> Value:
    """`[[Note]]` without quotes is, to YAML, a list in a list; to an author it is a link."""
    if isinstance(value, Mapping):
        return Mapping(tuple((key, _unbracketed(inner)) for key, inner in value.items), value.line, value.col)
    if isinstance(value, Scalar):
        return value
    inner = value.items[0] if value.flow and len(value.items) == 1 else None
    if isinstance(inner, Sequence) and inner.flow and all(isinstance(item, Scalar) for item in inner.items):
        return Scalar(f"[[{_text(inner)}]]", value.line, value.col, plain=False)
    return Sequence(tuple(map(_unbracketed, value.items)), value.line, value.col, value.flow)


def _scalars(value: Value) -> tuple[Scalar, ...]:
    """Every text in a value, in source order, nulls left out."""
    if isinstance(value, Scalar):
        return () if value.empty else (value,)
    items = value.items if isinstance(value, Sequence) else tuple(inner for _, inner in value.items)
    return tuple(scalar for item in items for scalar in _scalars(item))


def _text(value: Value) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key.text}: {_text(inner)}" for key, inner in value.items)
    if isinstance(value, Sequence):
        return ", ".join(map(_text, value.items))
    return "" if value.empty else value.text


def _links(key: str, value: Value) -> list[tuple[str, str, int]]:
    links = []
    for scalar in _scalars(value):
        found = [(key, inner.strip(), scalar.line + 2) for inner in _WIKILINK.findall(scalar.text)]
        names_a_file = key in ("uses", "image") and not _SCHEME.match(scalar.text.strip())
        if not found and names_a_file and scalar.text.strip():
            found = [(key, scalar.text.strip(), scalar.line + 2)]
        links += found
    return links


def _plain(text: str) -> str:
    """A text without the brackets of wikilinks: their words, else their target."""
    if "[[" not in text:
        return text
    return _WIKILINK.sub(lambda link: link[1].replace("\\|", "|").split("|")[-1].strip(), text)


def _target(value: Scalar | None) -> str:
    """What a text names: the target of its wikilink, or all of it."""
    text = value.text if value else ""
    link = _WIKILINK.search(text)
    return (re.split(r"\\?\||#", link[1], maxsplit=1)[0] if link else text).strip()


def _parts(value: Scalar, separator: str) -> Iterator[str]:
    """The words of a list that was written as one text, quotes or not."""
    return (part.strip() for part in re.split(separator, _plain(value.text)) if part.strip())


def _distinct(texts: Iterator[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for text in texts if text))


def _iso(text: str) -> str | None:
    if not _DATE.fullmatch(text):
        return None
    try:
        moment = datetime.fromisoformat(text.replace(" +", "+").replace(" -", "-").replace(" Z", "Z"))
    except ValueError:
        return None
    return text if len(text) == 10 else moment.isoformat()


def _kernel(mapping: Mapping) -> str:
    """`kernelspec: {name: …}` (jupytext, MyST), the same under `jupyter:`, or `jupyter: name` (Quarto)."""
    top = _lookup(mapping, "jupyter")
    if isinstance(top, Scalar):
        return "" if top.empty else top.text
    for place in (mapping, top):
        spec = _lookup(place, "kernelspec")
        name = _lookup(spec, "name")
        if isinstance(name, Scalar) and not name.empty:
            return name.text
    return ""


def _lookup(value: Value | None, key: str) -> Value | None:
    if not isinstance(value, Mapping):
        return None
    return next((inner for name, inner in value.items if name.text == key), None)

"""Authors' raw HTML becomes HTML that is safe to publish; what is taken out of it is said.

It is cleaned container by container (a `Frame`), so that what an author leaves open is closed where its
container ends. It does not know which elements and attributes are allowed: that is `syntax.sanitize`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from html import escape

from markdown_it.token import Token

from generator.markdown.gathered import Gathered
from generator.markdown.marks import MARK, mark
from generator.markdown.places import Places
from generator.markdown.tokens import shortened, url_parts
from generator.model import Link, Span
from generator.syntax import sanitize

_COMMENT = r"<!--.*?(?:-->|\Z)"
_COMMENTS = re.compile(_COMMENT, re.DOTALL)
_TAG = re.compile(rf"{_COMMENT}|<(/?)([a-zA-Z][a-zA-Z0-9-]*)|<[?!]", re.DOTALL)
"""The beginning of a tag: its groups are the slash of a closing one and the element's name."""


def is_comment(token: Token) -> bool:
    """Whether a token is a block of HTML with nothing but comments in it."""
    return token.type == "html_block" and not _COMMENTS.sub("", token.content).strip()


@dataclass(slots=True)
class Frame:
    """The parts of one container while it is rendered, as `(is raw HTML, text)`, and what ends it. `raw` are
    the first and the last line that hold raw HTML."""

    close: str = ""
    parts: list[tuple[bool, str]] = field(default_factory=list)
    raw: tuple[int, int] | None = None

    def add(self, html: str) -> None:
        self.parts.append((False, html))

    def add_raw(self, html: str, line: int) -> None:
        self.parts.append((True, html))
        self.raw = (self.raw[0] if self.raw else line, line + html.count("\n"))


@dataclass(slots=True)
class Raw:
    """Fills frames and closes them.

    `trusted`: whether raw HTML stays as it is. `lines`: those of the frame that is being cleaned.
    """

    gathered: Gathered
    places: Places
    trusted: bool
    lines: tuple[int, int] = (0, 0)

    # ------------------------------------------------ a frame

    def closed(self, frame: Frame) -> str:
        """The HTML of a frame that is complete."""
        if frame.raw is None:
            return "".join(text for _, text in frame.parts)
        if self.trusted:
            sanitize.clean("".join(text for raw, text in frame.parts if raw), self._trusted_attribute)
            return "".join(text for _, text in frame.parts)
        self.lines = frame.raw
        mixed, kept = _set_aside(frame.parts)
        return _restored(sanitize.clean(mixed, self._attribute), kept)

    def _trusted_attribute(self, tag: str, attribute: str, value: str) -> str | None:
        """Called for what stays as it is, so that links lead to its ids."""
        if attribute in ("id", "name"):
            self.gathered.ids[value.removeprefix(sanitize.ID_PREFIX)] = None
        return value

    def _attribute(self, tag: str, attribute: str, value: str) -> str | None:
        """Called for each URL, id and name in raw HTML that survived."""
        if tag in sanitize.DROPPED_WITH_CONTENT:
            return None
        if attribute in ("id", "name"):
            self.gathered.ids[value] = None
            return value
        return self._url(tag, value)

    def _url(self, tag: str, url: str) -> str | None:
        """A URL inside the vault becomes a hole, and one that the page would load from another host is
        dropped."""
        parts = url_parts(url)
        if parts is None:
            return self._outer_url(tag, url)
        path, fragment = parts
        link = Link("link" if tag == "a" else "embed", path, (fragment,) if fragment else (), style="html")
        return mark("U", self.gathered.link_without_context(link, self.places.find(url, *self.lines)))

    def _outer_url(self, tag: str, url: str) -> str | None:
        if tag == "a":
            self.gathered.external.append(url)
            return url
        if url.startswith("data:"):
            return url
        self.gathered.problem_remote(shortened(url, 80), self.places.find(url, *self.lines))
        return None

    # ------------------------------------------------ what is added to it

    def block(self, token: Token, frame: Frame) -> None:
        """Add a block of HTML, its unknown tags made text."""
        first = token.map[0] if token.map else 0
        frame.add_raw(token.content if self.trusted else self._judged_block(token.content, first), first)

    def _judged_block(self, content: str, first: int) -> str:
        end = content.rfind(">")  # a tag that begins behind it is never closed

        def judged(tag: re.Match[str]) -> str:
            if tag[0].startswith("<!--"):
                return tag[0]

            def place() -> Span:
                return self.places.within(content, first, tag.start())

            return self._judged(tag, place, "it is left out with its content", tag.start() < end)

        return _TAG.sub(judged, content)

    def tag(self, content: str, place: Span, frame: Frame) -> None:
        """Add a tag within text. The tags of elements that would be taken out with their content are left out
        here, so that the text between them stays where it is."""
        tag = _TAG.match(content)
        if tag is None or self.trusted or content.startswith("<!--"):
            frame.add_raw(content, place.line - 1)
            return
        start = self._judged(tag, lambda: place, "its tags are left out")
        if start.startswith("&"):
            frame.add(escape(content, quote=False))
        elif (tag[2] or "").lower() not in sanitize.DROPPED_WITH_CONTENT:
            frame.add_raw(content, place.line - 1)

    # ------------------------------------------------ a tag

    def _judged(self, tag: re.Match[str], place: Callable[[], Span], what: str, closed: bool = True) -> str:
        """The beginning of a tag, as text where it is none; says what is wrong with it."""
        name = (tag[2] or "").lower()
        if name not in sanitize.ELEMENTS or not closed:
            if not tag[1]:
                self._report_unknown(f"<{tag[2]}>" if tag[2] and closed else tag[0], place())
            return "&lt;" + tag[0][1:]
        if name in sanitize.DROPPED_WITH_CONTENT and not tag[1]:
            self._report_removed(name, what, place())
        return tag[0]

    def _report_unknown(self, shown: str, span: Span) -> None:
        self.gathered.problem(
            "html-unknown", "warning", span, f"{shown} is no tag of HTML; it is shown as text",
            f"write \\{shown} or put it between backticks if that is what you mean",
        )  # fmt: skip

    def _report_removed(self, name: str, what: str, span: Span) -> None:
        self.gathered.problem(
            "html-removed", "warning", span, f"the element <{name}> is not allowed in a note; {what}",
            'delete it; or, if all authors are trusted, set html = "trusted" in garden.toml',
        )  # fmt: skip


def _set_aside(parts: list[tuple[bool, str]]) -> tuple[str, list[str]]:
    """The raw parts joined, with a mark for each that we rendered ourselves, and those."""
    kept: list[str] = []
    mixed = []
    for raw, text in parts:
        if raw:
            mixed.append(text)
        else:
            mixed.append(mark("R", len(kept)))
            kept.append(text)
    return "".join(mixed), kept


def _restored(cleaned: str, kept: list[str]) -> str:
    found: set[int] = set()

    def restored(one: re.Match[str]) -> str:
        if one[1] != "R":
            return one[0]
        found.add(int(one[2]))
        return kept[int(one[2])]

    html = MARK.sub(restored, cleaned)
    # What an element took with it that is not allowed: keep the text all the same.
    return html + "".join(text for n, text in enumerate(kept) if n not in found)

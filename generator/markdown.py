"""`parse`: one source becomes one `Parsed` note. The only room where markdown-it's tokens are seen.

A note is parsed without knowing any other note. What depends on others (where a link leads, what an
embed shows, what a cell printed) is left as a hole in its HTML. While rendering, holes travel inside
the text as marks built from two noncharacters, which no source text can contain: `parse` replaces
them before anything else looks at the text.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from html import escape
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from markdown_it.token import Token

from generator.model import (
    Block,
    Cell,
    CellHole,
    EmbedHole,
    Footnote,
    FootnoteHole,
    Heading,
    Hole,
    IdHole,
    Link,
    LinkEnd,
    LinkHole,
    Note,
    Parsed,
    Problem,
    Range,
    Severity,
    Slug,
    Source,
    Span,
    Spans,
    TagHole,
    UrlHole,
    anchor_of,
    media_kind,
    slug_of,
    slugify,
)
from generator.syntax import frontmatter, math, sanitize
from generator.syntax.highlight import highlight
from generator.syntax.parser import parser
from generator.syntax.wikilink import size_options, split

_OPEN, _CLOSE = "\ufdd0", "\ufdd1"
_MARK = re.compile(f"{_OPEN}([A-Za-z])([^{_CLOSE}]*){_CLOSE}")
_RESERVED = re.compile("[\ufdd0-\ufdef]")


@dataclass(frozen=True, slots=True)
class Dialect:
    """What of the configuration changes how a note is parsed.

    `plain`: whether plain `python` fences are cells (`run`) or only code (`show`); a note's `cells:`
    property overrides. `html`: `sanitize` or `trusted`. `nesting`: how deep blocks may nest.
    """

    plain: Literal["run", "show"] = "show"
    html: Literal["sanitize", "trusted"] = "sanitize"
    nesting: int = 200


def parse(source: Source, dialect: Dialect = Dialect()) -> Parsed:
    """Parse one note. Never raises for what a note may contain: what is bad becomes a `Problem`."""
    text, problems = _without_marks(source)
    head, head_lines = frontmatter.split(text)
    properties, head_problems = frontmatter.read(head or "", source.path)
    body_text = "\n" * head_lines + "\n".join(text.split("\n")[head_lines:])
    env: dict[str, Any] = {
        "plain": properties.cells or dialect.plain,
        "notebook": bool(properties.kernel),
    }
    tokens = parser(dialect.nesting).parse(body_text, env)
    rendering = _Rendering(source.path, body_text.split("\n"), trusted=dialect.html == "trusted")
    note, spans = rendering.note(tokens, env, properties)
    dated = replace(
        note,
        created=properties.created or source.created,
        modified=properties.modified or source.modified,
    )
    return Parsed(dated, spans, (*problems, *head_problems, *rendering.problems))


def _without_marks(source: Source) -> tuple[str, list[Problem]]:
    """The text without NUL and the noncharacters that marks are made of."""
    text = source.text
    bad = _RESERVED.search(text) or re.search("\0", text)
    if not bad:
        return text, []
    line = text.count("\n", 0, bad.start()) + 1
    column = bad.start() - text.rfind("\n", 0, bad.start())
    problem = Problem(
        "character-invalid",
        "warning",
        source.path,
        Span(line, column),
        f"the character U+{ord(bad[0]):04X} has no meaning in text; it is shown as �",
        "delete it; it is invisible in most editors",
    )
    return _RESERVED.sub("\ufffd", text).replace("\0", "\ufffd"), [problem]


# ---------------------------------------------------------------- rendering


def _mark(kind: str, payload: object) -> str:
    return f"{_OPEN}{kind}{payload}{_CLOSE}"


@dataclass(slots=True)
class _Frame:
    """The parts of one container while it is rendered, as `(is raw HTML, text)`, and what ends it. `raw` are
    the first and the last line that hold raw HTML."""

    close: str = ""
    parts: list[tuple[bool, str]] = field(default_factory=list)
    raw: tuple[int, int] | None = None

    def add_raw(self, html: str, line: int) -> None:
        self.parts.append((True, html))
        self.raw = (self.raw[0] if self.raw else line, line + html.count("\n"))


@dataclass(slots=True)
class _Rows:
    """The rows of one inline text: where each starts in it, and at which column of the file (from 0)."""

    inline: Token | None
    starts: list[int]
    columns: dict[int, int] = field(default_factory=dict)


@dataclass(slots=True)
class _Rendering:
    """Turns tokens into HTML with marks, and collects on the way what the note says."""

    path: str
    lines: list[str]
    trusted: bool
    problems: list[Problem] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    link_spans: list[Span] = field(default_factory=list)
    link_contexts: list[int] = field(default_factory=list)
    cells: list[Cell] = field(default_factory=list)
    cell_spans: list[Span] = field(default_factory=list)
    headings: list[tuple[int, str, str]] = field(default_factory=list)
    heading_spans: list[Span] = field(default_factory=list)
    nested_headings: set[int] = field(default_factory=set)
    blocks: dict[str, int] = field(default_factory=dict)
    block_spans: list[Span] = field(default_factory=list)
    external: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    anchors: dict[str, int] = field(default_factory=dict)
    foreign: set[str] = field(default_factory=set)
    words: int = 0
    diagrams: bool = False
    summary: str = ""
    contexts: int = 0
    no_embeds: bool = False
    raw_lines: tuple[int, int] = (0, 0)
    rows: _Rows = field(default_factory=lambda: _Rows(None, [0]))

    # ------------------------------------------------ the note

    def note(
        self, tokens: list[Token], env: dict[str, Any], properties: frontmatter.Properties
    ) -> tuple[Note, Spans]:
        tokens = [token for token in tokens if not _is_comment(token)]
        title, tokens = self._title(tokens, properties)
        main_tokens, footnote_tokens = _split_footnotes(tokens)
        html = self._title_anchor() + self.render(main_tokens)
        footnotes = [(meta, self._footnote(meta, inner, env)) for meta, inner in footnote_tokens]
        self._report(env)
        pieces = _Pieces()
        pieces.add(html)
        main = len(pieces.body)
        notes = []
        for meta, text in footnotes:
            start = len(pieces.body)
            pieces.add(text)
            refs = env["footnotes"]["list"][meta["id"]].get("count", 1)
            place = Range(start, len(pieces.body))
            notes.append(Footnote(meta.get("label") or "", meta["id"] + 1, max(refs, 1), place))
        self._property_links(properties)
        return self._assembled(title, pieces, main, tuple(notes), properties), self._spans()

    def _footnote(self, meta: dict[str, Any], tokens: list[Token], env: dict[str, Any]) -> str:
        line = env["footnotes"]["list"][meta["id"]].get("line")
        if line is not None:  # an inline one: markdown-it gives its text no place
            tokens[1].map = [line, line + 1]
        return self.render(tokens)

    def _assembled(
        self,
        title: str,
        pieces: _Pieces,
        main: int,
        footnotes: tuple[Footnote, ...],
        properties: frontmatter.Properties,
    ) -> Note:
        permalink = "/".join(slugify(part) for part in properties.permalink.split("/") if part)
        links = tuple(
            replace(link, context=pieces.ranges.get(("X", context)))
            for link, context in zip(self.links, self.link_contexts, strict=True)
        )
        return Note(
            path=self.path,
            slug=Slug(permalink) if permalink else slug_of(self.path),
            title=title,
            body=tuple(pieces.body),
            main=main,
            aliases=properties.aliases,
            tags=_distinct((*properties.tags, *self.tags)),
            summary=properties.description or self.summary,
            lang=properties.lang,
            image=properties.image,
            cssclasses=properties.cssclasses,
            redirects=properties.redirects,
            properties=properties.extra,
            published=not properties.draft and properties.publish is not False,
            headings=self._sections(pieces, main),
            blocks=tuple(Block(name, pieces.ranges[("B", i)]) for i, name in enumerate(self.blocks)),
            footnotes=footnotes,
            links=links,
            cells=tuple(self.cells),
            kernel=properties.kernel or "python3",
            external=tuple(self.external),
            words=self.words,
            diagrams=self.diagrams,
        )

    def _spans(self) -> Spans:
        return Spans(
            tuple(self.link_spans), tuple(self.cell_spans), tuple(self.heading_spans), tuple(self.block_spans)
        )

    def _sections(self, pieces: _Pieces, main: int) -> tuple[Heading, ...]:
        """Headings with their sections: up to the next heading of the same or a higher level.

        A heading inside a quote or list has only itself for a section: what follows may be outside.
        """
        starts = [pieces.starts[("S", i)] for i in range(len(self.headings))]
        found = []
        for i, (level, text, anchor) in enumerate(self.headings):
            if i in self.nested_headings:
                found.append(Heading(level, text, anchor, pieces.ranges[("H", i)]))
                continue
            later = (
                starts[j]
                for j in range(i + 1, len(self.headings))
                if j not in self.nested_headings and self.headings[j][0] <= level
            )
            found.append(Heading(level, text, anchor, Range(starts[i], next(later, main))))
        return tuple(found)

    def _title(self, tokens: list[Token], properties: frontmatter.Properties) -> tuple[str, list[Token]]:
        """The note's title, and its tokens without the heading that only repeats it.

        The property; else a level-1 heading that opens the note; else the file's name.
        """
        opens = len(tokens) > 2 and tokens[0].type == "heading_open" and tokens[0].tag == "h1"
        text = _plain(tokens[1].children or []) if opens else ""
        if opens and text and properties.title in (None, "", text):
            if not any(child.type == "footnote_ref" for child in tokens[1].children or []):
                self._heading_of_title(tokens[0], tokens[1], text)
                tokens = tokens[3:]
            return text, tokens
        name = self.path.rpartition("/")[2].removesuffix(".md").removesuffix(".ipynb")
        folder = self.path.rpartition("/")[0].rpartition("/")[2]
        if folder and name.lower() in ("index", "readme"):
            name = folder
        return properties.title or name, tokens

    def _heading_of_title(self, opening: Token, inline: Token, text: str) -> None:
        self.headings.append((1, text, self._anchor(text)))
        self.heading_spans.append(_line_of(opening))
        self.no_embeds = True
        self.inline(inline)  # for what it says: its links and tags count, though the title is plain text
        self.no_embeds = False
        if opening.meta.get("block_id"):
            self._block(opening)

    def _title_anchor(self) -> str:
        """Targets for links to the heading that became the title, whose element is the page's own."""
        anchors = "".join(f"<span{_mark('I', anchor)}></span>" for _, _, anchor in self.headings)
        blocks = "".join(
            f"{_mark('B', i)}<span{_mark('I', '^' + name)}></span>{_mark('b', i)}"
            for name, i in self.blocks.items()
        )
        return f"{_mark('S', 0)}{anchors}{blocks}" if anchors else ""

    def _property_links(self, properties: frontmatter.Properties) -> None:
        for key, raw, line in properties.links:
            target, anchor, text = split(raw)
            kind: Literal["uses", "property"] = "uses" if key == "uses" else "property"
            self._link(Link(kind, target, anchor, text, options=(("key", key),)), Span(line), -1)

    def _report(self, env: dict[str, Any]) -> None:
        for line in env.get("too_deep", ()):
            self.problem(
                "nesting-too-deep", "warning", Span(line + 1),
                "this is nested deeper than the limit; it is shown as plain text",
                "flatten the list or quote, or raise [limits] nesting in garden.toml",
            )  # fmt: skip
        for line in env.get("comment_unclosed", ()):
            self.problem(
                "comment-unclosed", "warning", Span(line + 1),
                "this %% comment is never closed, so everything after it is left out",
                "end it with a line that holds %%",
            )  # fmt: skip
        for name, line in env.get("foreign", ()):
            self._report_foreign(f"the {name} block", Span(line + 1))
        known = env.get("footnotes", {}).get("refs", {})
        for label, lines in env.get("footnote_lines", {}).items():
            for line in lines[:-1]:
                self.problem(
                    "footnote-duplicate", "warning", Span(line + 1),
                    f"the footnote [^{label}] is defined again later; this definition is not shown",
                    "give one of the two another label",
                )  # fmt: skip
            if known.get(":" + label, 0) < 0:
                self.problem(
                    "footnote-unused", "warning", Span(lines[-1] + 1),
                    f"nothing refers to the footnote [^{label}], so it is not shown",
                    f"write [^{label}] where it belongs, or delete it",
                )  # fmt: skip

    def problem(self, code: str, severity: Severity, span: Span, message: str, hint: str = "") -> None:
        self.problems.append(Problem(code, severity, self.path, span, message, hint))

    # ------------------------------------------------ blocks

    def render(self, tokens: list[Token]) -> str:
        """Block tokens to HTML with marks. Raw HTML is sanitised container by container, so that what
        an author leaves open is closed where its container ends."""
        frames = [_Frame()]
        i = 0
        while i < len(tokens):
            token = tokens[i]
            if token.type == "html_block":
                frames[-1].add_raw(self._raw_block(token), token.map[0] if token.map else 0)
            elif token.type in ("paragraph_open", "heading_open"):
                frames[-1].parts.append((False, self._textual(token, tokens[i + 1], len(frames) > 1)))
                i += 2
            elif token.type == "inline":
                frames[-1].parts.append((False, self._in_context(self.inline(token))))
            elif token.nesting == 1:
                opening, closing = self._container(token)
                frames[-1].parts.append((False, opening))
                frames.append(_Frame(closing))
                self.no_embeds = token.type in _PHRASING_ONLY
            elif token.nesting == -1:
                frame = frames.pop()
                self.no_embeds = False
                frames[-1].parts.append((False, self._closed(frame) + frame.close))
            else:
                frames[-1].parts.append((False, self._leaf(token)))
            i += 1
        return self._closed(frames[0])

    def _closed(self, frame: _Frame) -> str:
        if frame.raw is None or self.trusted:
            return "".join(text for _, text in frame.parts)
        self.raw_lines = frame.raw
        return self._sanitized(frame.parts)

    def _sanitized(self, parts: list[tuple[bool, str]]) -> str:
        """Raw parts cleaned together, with what we rendered ourselves standing by as marks."""
        kept: list[str] = []
        mixed = []
        for raw, text in parts:
            if raw:
                mixed.append(text)
            else:
                mixed.append(_mark("R", len(kept)))
                kept.append(text)
        cleaned = sanitize.clean("".join(mixed), self._raw_url)
        found: set[int] = set()

        def restored(mark: re.Match[str]) -> str:
            if mark[1] != "R":
                return mark[0]
            found.add(int(mark[2]))
            return kept[int(mark[2])]

        html = _MARK.sub(restored, cleaned)
        # What an element took with it that is not allowed: keep the text all the same.
        return html + "".join(text for n, text in enumerate(kept) if n not in found)

    def _raw_url(self, tag: str, attribute: str, url: str) -> str | None:
        """Called for each URL in raw HTML that survived: one inside the vault becomes a hole, and one that
        the page would load from another host is dropped."""
        if tag in sanitize.DROPPED_WITH_CONTENT:
            return None
        parts = _url_parts(url)
        if parts is None:
            if tag == "a":
                self.external.append(url)
                return url
            if url.startswith("data:"):
                return url
            self._report_remote(url, self._raw_place(url))
            return None
        path, fragment = parts
        link = Link("link" if tag == "a" else "embed", path, (fragment,) if fragment else (), style="html")
        return _mark("U", self._link(link, self._raw_place(url), -1))

    def _raw_place(self, url: str) -> Span:
        first, last = self.raw_lines
        for number in range(first, min(last + 1, len(self.lines))):
            column = self.lines[number].find(url)
            if column >= 0:
                return Span(number + 1, column + 1)
        return Span(first + 1)

    def _raw_block(self, token: Token) -> str:
        """An HTML block, its unknown tags made text; says what will be taken out of it."""
        if self.trusted:
            return token.content
        first = token.map[0] if token.map else 0
        end = token.content.rfind(">")  # a tag that begins behind it is never closed

        def judged(tag: re.Match[str]) -> str:
            if tag[0].startswith("<!--"):
                return tag[0]

            def place() -> Span:
                line = first + token.content.count("\n", 0, tag.start())
                return Span(line + 1, max(self._line(line).find(tag[0]), 0) + 1)

            return self._judged(tag, place, "it is left out with its content", tag.start() < end)

        return _TAG.sub(judged, token.content)

    def _judged(self, tag: re.Match[str], place: Callable[[], Span], what: str, closed: bool = True) -> str:
        """The beginning of a tag, as text where it is none; says what is wrong with it."""
        name = (tag[2] or "").lower()
        if name not in sanitize.ELEMENTS or not closed:
            if not tag[1]:
                shown = f"<{tag[2]}>" if tag[2] and closed else tag[0]
                self.problem(
                    "html-unknown", "warning", place(), f"{shown} is no tag of HTML; it is shown as text",
                    f"write \\{shown} or put it between backticks if that is what you mean",
                )  # fmt: skip
            return "&lt;" + tag[0][1:]
        if name in sanitize.DROPPED_WITH_CONTENT and not tag[1]:
            self.problem(
                "html-removed", "warning", place(), f"the element <{name}> is not allowed in a note; {what}",
                'delete it; or, if all authors are trusted, set html = "trusted" in garden.toml',
            )  # fmt: skip
        return tag[0]

    def _textual(self, opening: Token, inline: Token, nested: bool) -> str:
        if opening.type == "heading_open":
            return self._heading(opening, inline, nested)
        pieces = self.inline(inline)
        start, attribute, end = self._block(opening)
        if opening.hidden:
            anchor = f"<span{attribute}></span>" if attribute else ""
            return start + anchor + self._in_context(pieces) + end
        if not self.summary and not nested:
            self.summary = _shortened(_plain(inline.children or []))
        if len(pieces) == 1 and not pieces[0][0]:
            text = self._in_context(pieces)
            return f"{start}<p{attribute}>{_trimmed(text)}</p>\n{end}" if _trimmed(text) else start + end
        html = []
        for is_block, text in pieces:
            if not is_block and _trimmed(text):
                html.append(f"<p{attribute}>{_trimmed(text)}</p>\n")
                attribute = ""
            elif is_block:
                html.append(f"<div{attribute}>{text}</div>\n" if attribute else text)
                attribute = ""
        return start + self._in_context([(False, part) for part in html]) + end

    def _in_context(self, pieces: list[tuple[bool, str]]) -> str:
        """The pieces of one inline token joined, marked as the context of the links that are in them."""
        html = "".join(text for _, text in pieces)
        if self.link_contexts and self.link_contexts[-1] == self.contexts:
            return _mark("X", self.contexts) + html + _mark("x", self.contexts)
        return html

    def _heading(self, opening: Token, inline: Token, nested: bool) -> str:
        text = _plain(inline.children or [])
        anchor = self._anchor(text)
        number = len(self.headings)
        self.headings.append((int(opening.tag[1]), text, anchor))
        self.heading_spans.append(_line_of(opening))
        if nested:
            self.nested_headings.add(number)
        self.no_embeds = True
        html = self._in_context(self.inline(inline))
        self.no_embeds = False
        start, attribute, end = self._block(opening)
        if attribute:  # a heading has one id: its block id gets an element of its own
            html = f"<span{attribute}></span>{html}"
        element = f"<{opening.tag}{_mark('I', anchor)}>{html}</{opening.tag}>\n"
        return f"{_mark('S', number)}{start}{_mark('H', number)}{element}{_mark('h', number)}{end}"

    def _anchor(self, text: str) -> str:
        base = anchor_of(text)
        anchor, n = base, self.anchors.get(base, 0)
        while anchor in self.anchors:
            n += 1
            anchor = f"{base}-{n}"
        self.anchors[base] = n  # where to go on, so that a thousand equal headings stay cheap
        self.anchors.setdefault(anchor, 0)
        return anchor

    def _block(self, token: Token) -> tuple[str, str, str]:
        """Start mark, id attribute and end mark of a block that has a block id; else nothing."""
        name = token.meta.get("block_id", "")
        if not name:
            return "", "", ""
        span = Span((token.meta.get("block_id_line") or (token.map[0] if token.map else 0)) + 1)
        number = self._register_block(name, span)
        if number is None:
            return "", "", ""
        return _mark("B", number), _mark("I", "^" + name), _mark("b", number)

    def _register_block(self, name: str, span: Span) -> int | None:
        if name in self.blocks:
            first = self.block_spans[self.blocks[name]].line
            self.problem(
                "block-duplicate", "warning", span,
                f"the block id ^{name} is already taken on line {first}; links lead to that one",
                "rename one of the two",
            )  # fmt: skip
            return None
        self.blocks[name] = len(self.blocks)
        self.block_spans.append(span)
        return self.blocks[name]

    def _container(self, token: Token) -> tuple[str, str]:
        """What opens and what closes a block that holds other blocks."""
        start, attribute, end = self._block(token)
        if token.type == "table_open":
            wrapper = f'<div class="table" tabindex="0" role="group" aria-label="Table"{attribute}>'
            return f"{start}{wrapper}<table>\n", f"</table></div>\n{end}"
        if token.type.startswith("callout"):
            opening, closing = _callout(token, attribute)
            return start + opening, closing + end
        attributes = "".join(f' {key}="{escape(value)}"' for key, value in _attributes(token))
        if token.type == "tr_open" and "lost" in token.meta:
            self._report_lost_cells(token)
        opening = f"{start}<{token.tag}{attributes}{attribute}>"
        if token.type == "list_item_open" and "checked" in token.meta:
            checked, label = (" checked", "done") if token.meta["checked"] else ("", "to do")
            opening += f'<input type="checkbox" disabled{checked} aria-label="{label}"> '
        return opening, f"</{token.tag}>\n{end}"

    def _report_lost_cells(self, token: Token) -> None:
        self.problem(
            "table-row-long", "warning", _line_of(token),
            f"this row has more cells than the table has columns; what is left out: {token.meta['lost']}",
            "add columns to the first row, or write a pipe within a cell as \\|",
        )  # fmt: skip

    def _leaf(self, token: Token) -> str:
        start, attribute, end = self._block(token)
        if token.type == "cell":
            anchor = f"<span{attribute}></span>" if attribute else ""  # it has an id already, its label
            return start + anchor + self._cell(token) + end
        if token.type in ("fence", "code_block", "too_deep", "colon_fence"):
            html = self._code(token, attribute)
        elif token.type.startswith("math_block"):
            html = f'<div class="math"{attribute}>{self._math(token, True, _line_of(token))}</div>\n'
        elif token.type == "hr":
            html = "<hr>\n"
        else:
            html = f"<p>{escape(token.content, quote=False)}</p>\n" if token.content else ""
        return start + html + end

    def _code(self, token: Token, attribute: str) -> str:
        words = token.info.split()
        language = words[0].strip("{}.").lower() if words else ""
        name = token.meta.get("foreign") or (language if language in _FOREIGN_FENCES else "")
        if name:
            self._report_foreign(f"the {name} block", _line_of(token))
        shown = highlight(token.content.rstrip("\n"), language)
        attributes = f' data-language="{escape(language)}"' if language else ""
        if language == _DIAGRAM:
            self.diagrams = True
            return f'<figure class="mermaid"{attribute}>{_listing(attributes, shown)}</figure>\n'
        return _listing(attributes + attribute, shown) + "\n"

    def _report_foreign(self, what: str, span: Span) -> None:
        if what not in self.foreign:
            self.foreign.add(what)
            self.problem(
                "syntax-foreign", "warning", span,
                f"{what} belongs to another dialect; it is shown as plain text",
                "write it in this garden's dialect, or leave it as it is",
            )  # fmt: skip

    def _cell(self, token: Token) -> str:
        meta = token.meta
        span = Span(meta["code_line"] + 1)
        if meta["language"] != "python":
            self.problem(
                "cell-language", "warning", _line_of(token),
                f"a cell in “{meta['language']}” does not run here; it is shown as code",
                "only Python cells run",
            )  # fmt: skip
            token.content, token.info = meta["code"], meta["language"]
            return self._code(token, "")
        for line, sentence in meta["faults"]:
            self.problem("cell-option", "error", Span(line + 1), sentence, "see the note on writing cells")
        label = self._label(meta["label"], span)
        options, expected = meta["options"], meta["expected"]
        number = len(self.cells)
        self.cells.append(Cell(meta["code"], label, options, expected))
        self.cell_spans.append(span)
        block = self._register_block(label, span)
        return f"{_mark('B', block)}{_mark('K', number)}\n{_mark('b', block)}"

    def _label(self, given: str, span: Span) -> str:
        """The cell's label; one that is taken or unusable as a block id is replaced by its number."""
        usable = given and given.isascii() and given.replace("-", "").replace("_", "").isalnum()
        if usable and given not in self.blocks:
            return given
        if given:
            self.problem(
                "block-duplicate" if usable else "cell-option", "warning" if usable else "error", span,
                f"the label “{given}” is already taken in this note" if usable
                else f"the label “{given}” holds other characters than letters, digits and hyphens",
                "give the cell another label",
            )  # fmt: skip
        n = len(self.cells) + 1
        while f"cell-{n}" in self.blocks:
            n += 1
        return f"cell-{n}"

    def _math(self, token: Token, display: bool, span: Span) -> str:
        mathml, why = math.render(token.content.strip(), display)
        if mathml:
            return mathml
        self.problem(
            "math-unsupported", "warning", span, f"this formula cannot be shown: {why}",
            "its source is shown instead; rewrite it with the commands that MathML knows",
        )  # fmt: skip
        return f'<code class="problem" data-code="math-unsupported">{escape(token.content.strip())}</code>'

    # ------------------------------------------------ text

    def inline(self, token: Token) -> list[tuple[bool, str]]:
        """The content of one inline token as pieces: `(is an embed of its own, HTML with marks)`."""
        self.contexts += 1
        self.words += len(token.content.split())
        children = token.children or []
        pieces: list[tuple[bool, str]] = []
        frame = _Frame()
        closers: list[str] = []
        links = 0  # within how many links: there is no link in a link
        for i, child in enumerate(children):
            kind = child.type
            if kind == "text":
                frame.parts.append((False, escape(child.content, quote=False)))
            elif kind == "html_inline":
                self._raw_tag(child, token, frame)
            elif child.nesting == 1:
                is_link = kind in ("link_open", "wikilink_open")
                opening, closing = ("", "")
                if not (is_link and links):
                    opening, closing = self._span(children, i, token)
                links += is_link
                closers.append(closing)
                frame.parts.append((False, opening))
            elif child.nesting == -1:
                links -= kind in ("link_close", "wikilink_close")
                frame.parts.append((False, closers.pop() if closers else ""))
            elif _is_transclusion(child):
                if closers or self.no_embeds:
                    frame.parts.append((False, self._embed_as_link(child, token, within_link=links > 0)))
                else:
                    pieces.append((False, self._closed(frame)))
                    pieces.append((True, self._atom(child, token)))
                    frame = _Frame()
            else:
                frame.parts.append((False, self._atom(child, token)))
        pieces.append((False, self._closed(frame)))
        return [piece for piece in pieces if piece[0] or _trimmed(piece[1])] or [(False, "")]

    def _raw_tag(self, child: Token, inline: Token, frame: _Frame) -> None:
        """A tag within text. The tags of elements that would be taken out with their content are left out
        here, so that the text between them stays where it is."""
        place = self._place(inline, child.meta.get("pos", 0))
        tag = _TAG.match(child.content)
        if tag is None or self.trusted or child.content.startswith("<!--"):
            frame.add_raw(child.content, place.line - 1)
            return
        start = self._judged(tag, lambda: place, "its tags are left out")
        if start.startswith("&"):
            frame.parts.append((False, escape(child.content, quote=False)))
        elif (tag[2] or "").lower() not in sanitize.DROPPED_WITH_CONTENT:
            frame.add_raw(child.content, place.line - 1)

    def _span(self, children: list[Token], i: int, inline: Token) -> tuple[str, str]:
        """What opens and what closes the inline element `children[i]`, which holds those that follow."""
        child = children[i]
        if child.type == "wikilink_open":
            return self._wikilink(child, _until_close(children, i, "wikilink"), inline)
        if child.type == "link_open":
            return self._markdown_link(child, _until_close(children, i, "link"), inline)
        return f"<{child.tag}>", f"</{child.tag}>"

    def _wikilink(self, child: Token, words: list[Token], inline: Token) -> tuple[str, str]:
        meta = child.meta
        text = None if meta["text"] is None else _plain(words)
        if meta["target"].startswith(("http://", "https://")):
            opening, closing = self._external(meta["target"], "")
            return opening + ("" if text else escape(meta["target"])), closing
        link = Link("link", meta["target"], meta["anchor"], text or None)
        number = self._link(link, self._place(inline, meta["pos"]), self.contexts)
        return _mark("L", number), _mark("l", number)

    def _markdown_link(self, child: Token, words: list[Token], inline: Token) -> tuple[str, str]:
        href, title = str(child.attrs.get("href", "")), str(child.attrs.get("title", ""))
        span = self._place(inline, child.meta.get("pos", 0))
        if not sanitize.safe_url(href):
            self.problem(
                "url-unsafe", "error", span, f"a link to “{_shortened(href, 60)}” is not allowed",
                "link to http, https, mailto or a path in the garden",
            )  # fmt: skip
            return "", ""
        parts = _url_parts(href)
        if parts is None:
            return self._external(href, title)
        path, fragment = parts
        options = (("title", title),) if title else ()
        anchor = (fragment,) if fragment else ()
        link = Link("link", path, anchor, _plain(words) if words else None, style="markdown", options=options)
        number = self._link(link, span, self.contexts)
        return _mark("L", number), _mark("l", number)

    def _external(self, href: str, title: str) -> tuple[str, str]:
        self.external.append(href)
        hint = f' title="{escape(title)}"' if title else ""
        return f'<a href="{escape(href)}" data-link="external" rel="noopener"{hint}>', "</a>"

    def _atom(self, child: Token, inline: Token) -> str:
        """An inline token that holds no others."""
        kind = child.type
        if kind == "softbreak":
            return "\n"
        if kind == "hardbreak":
            return "<br>\n"
        if kind == "code_inline":
            return f"<code>{escape(child.content, quote=False)}</code>"
        if kind == "math_inline":
            return self._math(child, False, self._place(inline, child.meta["pos"]))
        if kind == "math_inline_double":
            place = self._place(inline, child.meta["pos"])
            return f'<span class="math">{self._math(child, True, place)}</span>'
        if kind == "image":
            return self._image(child, inline)
        if kind == "embed":
            return self._embed(child, inline)
        if kind == "tag":
            self.tags.append(child.content)
            return _mark("T", child.content)
        if kind == "footnote_ref":
            return _mark("F", f"{child.meta['id']},{child.meta.get('subId', 0)}")
        if kind in ("role_text", "role_code"):
            self._report_foreign(f"the role {{{child.meta['role']}}}", self._place(inline, child.meta["pos"]))
            text = escape(child.content, quote=False)
            return text if kind == "role_text" else f"<code>{text}</code>"
        return escape(child.content, quote=False)

    def _image(self, child: Token, inline: Token) -> str:
        src, alt = str(child.attrs.get("src", "")), _plain(child.children or [])
        span = self._place(inline, child.meta.get("pos", 0))
        options = size_options(alt)
        if sanitize.safe_image_url(src) and src.startswith("data:"):
            return f'<img src="{escape(src)}" alt="{escape(options.get("alt", ""))}">'
        if not sanitize.safe_url(src):
            self.problem("url-unsafe", "error", span, f"an image from “{_shortened(src, 60)}” is not allowed",
                         "put the picture into the garden")  # fmt: skip
            return escape(alt)
        parts = _url_parts(src)
        if parts is None:
            return self._remote_image(src, options.get("alt", ""), span)
        if title := str(child.attrs.get("title", "")):
            options["title"] = title
        path, fragment = parts
        link = Link("embed", path, (fragment,) if fragment else (), style="markdown",
                    options=tuple(sorted(options.items())))  # fmt: skip
        return _mark("M", self._link(link, span, self.contexts))

    def _remote_image(self, src: str, alt: str, span: Span) -> str:
        """A page makes no request to another host, so a picture from elsewhere is shown as a link."""
        self._report_remote(src, span)
        opening, closing = self._external(src, "")
        return f"{opening}{escape(alt or 'image')}{closing}"

    def _report_remote(self, src: str, span: Span) -> None:
        self.problem(
            "image-remote", "warning", span, f"the image {_shortened(src, 80)} is on another host",
            "copy it into the garden; a page of the garden loads nothing from elsewhere",
        )  # fmt: skip

    def _embed(self, child: Token, inline: Token) -> str:
        meta = child.meta
        span = self._place(inline, meta["pos"])
        if meta["target"].startswith(("http://", "https://")):
            return self._remote_image(meta["target"], dict(meta["options"]).get("alt", ""), span)
        link = Link("embed", meta["target"], meta["anchor"], options=meta["options"])
        return _mark("M", self._link(link, span, self.contexts))

    def _embed_as_link(self, child: Token, inline: Token, within_link: bool) -> str:
        """An embed of a note where no block can stand: a link to the note, or only its name."""
        if child.type == "image":
            path, fragment = _url_parts(str(child.attrs["src"])) or ("", "")
            words = _plain(child.children or []) or None
            link = Link("link", path, (fragment,) if fragment else (), words, style="markdown")
        else:
            link = Link("link", child.meta["target"], child.meta["anchor"])
        words = link.text
        if within_link:
            return escape(words or _name(link.target, link.anchor), quote=False)
        number = self._link(link, self._place(inline, child.meta.get("pos", 0)), self.contexts)
        return _mark("L", number) + escape(words or "", quote=False) + _mark("l", number)

    def _link(self, link: Link, span: Span, context: int) -> int:
        self.links.append(link)
        self.link_spans.append(span)
        self.link_contexts.append(context)
        return len(self.links) - 1

    def _place(self, inline: Token, position: int) -> Span:
        """Line and column of a position in an inline token's text.

        markdown-it keeps the lines of a block, not its columns. A line of the text is what is left of a line
        of the file without indentation and markers, so its end is the end of that line.
        """
        first = inline.map[0] if inline.map else 0
        if "col" in inline.meta:
            return Span(first + 1, _beyond_pipes(self._line(first), inline.meta["col"], position) + 1)
        if self.rows.inline is not inline:  # worked out once for a text, which may hold thousands of links
            self.rows = _Rows(inline, [0, *(m.end() for m in re.finditer("\n", inline.content))])
        row = bisect_right(self.rows.starts, position) - 1
        start = self.rows.starts[row]
        if row not in self.rows.columns:
            text = inline.content[start:].partition("\n")[0]
            indent = len(text) - len(text.lstrip())
            self.rows.columns[row] = max(self._line(first + row).rfind(text.strip()), 0) - indent
        return Span(first + row + 1, max(self.rows.columns[row] + position - start, 0) + 1)

    def _line(self, number: int) -> str:
        return self.lines[number] if number < len(self.lines) else ""


@dataclass(slots=True)
class _Pieces:
    """A body being assembled: marks become holes or the ends of ranges."""

    body: list[str | Hole] = field(default_factory=list)
    starts: dict[tuple[str, int], int] = field(default_factory=dict)
    ranges: dict[tuple[str, int], Range] = field(default_factory=dict)

    def add(self, html: str) -> None:
        done = 0
        for mark in _MARK.finditer(html):
            if mark.start() > done:
                self.body.append(html[done : mark.start()])
            done = mark.end()
            kind, payload = mark[1], mark[2]
            if kind in _HOLES:
                self.body.append(_HOLES[kind](payload))
            elif kind.isupper():
                self.starts[kind, int(payload)] = len(self.body)
            else:
                key = (kind.upper(), int(payload))
                self.ranges[key] = Range(self.starts[key], len(self.body))
        if done < len(html):
            self.body.append(html[done:])


_HOLES: dict[str, Callable[[str], Hole]] = {
    "I": IdHole,
    "L": lambda payload: LinkHole(int(payload)),
    "l": lambda payload: LinkEnd(int(payload)),
    "U": lambda payload: UrlHole(int(payload)),
    "M": lambda payload: EmbedHole(int(payload)),
    "K": lambda payload: CellHole(int(payload)),
    "F": lambda payload: FootnoteHole(*map(int, payload.split(","))),
    "T": TagHole,
}
_DIAGRAM = "mermaid"  # the language of a fence that the reader's browser draws
_FOREIGN_FENCES = frozenset({"dataview", "dataviewjs", "tasks", "query", "button", "excalidraw"})


_PHRASING_ONLY = frozenset({"dt_open", "th_open", "callout_title_open"})
_COMMENT = r"<!--.*?(?:-->|\Z)"
_TAG = re.compile(rf"{_COMMENT}|<(/?)([a-zA-Z][a-zA-Z0-9-]*)|<[?!]", re.DOTALL)
_COMMENTS = re.compile(_COMMENT, re.DOTALL)


# ---------------------------------------------------------------- small things


def _listing(attributes: str, shown: str) -> str:
    return f'<pre class="highlight" tabindex="0"{attributes}><code>{shown}</code></pre>'


def _is_comment(token: Token) -> bool:
    return token.type == "html_block" and not _COMMENTS.sub("", token.content).strip()


def _trimmed(html: str) -> str:
    """Without the white space that HTML ignores at the edges; a no-break space is the author's own."""
    return html.strip(" \t\n")


def _is_transclusion(child: Token) -> bool:
    """Whether a token shows (a part of) another note, which is a block wherever it is written."""
    if child.type == "embed":
        return not child.meta["media"] and not child.meta["target"].startswith(("http://", "https://"))
    if child.type != "image":
        return False
    source = str(child.attrs.get("src", ""))
    parts = _url_parts(source) if sanitize.safe_url(source) else None
    return parts is not None and not media_kind(parts[0])


def _beyond_pipes(source: str, start: int, distance: int) -> int:
    """The column that is `distance` characters of a table cell's text after `start`: there, `\\|` is one."""
    end = start + distance
    while (start := source.find("\\|", start, end + 1)) >= 0:
        start, end = start + 2, end + 1
    return end


def _split_footnotes(tokens: list[Token]) -> tuple[list[Token], list[tuple[dict[str, Any], list[Token]]]]:
    """The main tokens, and of each footnote its `meta` and tokens."""
    start = next((i for i, token in enumerate(tokens) if token.type == "footnote_block_open"), len(tokens))
    footnotes: list[tuple[dict[str, Any], list[Token]]] = []
    for token in tokens[start + 1 : -1]:
        if token.type == "footnote_open":
            footnotes.append((token.meta, []))
        elif token.type not in ("footnote_close", "footnote_anchor"):
            footnotes[-1][1].append(token)
    return tokens[:start], footnotes


def _callout(token: Token, attribute: str) -> tuple[str, str]:
    fold, bare = token.meta["fold"], token.meta["bare"]
    if token.type == "callout_title_open":
        tag = "summary" if fold else "p"
        return f'<{tag} class="callout-title">', f"</{tag}>\n" + (
            "" if bare else '<div class="callout-body">\n'
        )
    tag = "details" if fold else "div"
    opened = " open" if fold == "+" else ""
    name = f' data-name="{escape(token.meta["name"])}"' if token.meta["name"] else ""
    opening = f'<{tag} class="callout" data-type="{token.meta["type"]}"{name}{attribute}{opened}>\n'
    return opening, ("" if bare else "</div>") + f"</{tag}>\n"


def _attributes(token: Token) -> list[tuple[str, str]]:
    """A token's attributes, with classes for what markdown-it would write as inline style."""
    pairs = []
    for key, value in token.attrItems():
        if key == "style":
            pairs.append(("class", "align-" + str(value).rpartition(":")[2].strip()))
        elif key == "class":
            names = {"task-list-item": "task", "contains-task-list": "tasks"}
            pairs.append((key, " ".join(names.get(name, name) for name in str(value).split())))
        else:
            pairs.append((key, str(value)))
    return pairs


def _plain(tokens: list[Token]) -> str:
    """The words of inline tokens, without markup."""
    words = []
    for token in tokens:
        if token.type in ("softbreak", "hardbreak"):
            words.append(" ")
        elif token.type == "image":
            words.append(_plain(token.children or []))
        elif token.type == "tag":
            words.append("#" + token.content)
        elif token.type == "wikilink_open" and token.meta["text"] is None:
            words.append(_name(token.meta["target"], token.meta["anchor"]))
        elif token.type not in ("html_inline", "embed", "footnote_ref"):
            words.append(token.content)
    return "".join(words).strip()


def _name(target: str, anchor: tuple[str, ...]) -> str:
    """What a link without words is called before anybody knows its target's title."""
    name = target.rpartition("/")[2].removesuffix(".md")
    return " › ".join(part for part in (name, *(part.removeprefix("^") for part in anchor)) if part)


def _until_close(tokens: list[Token], opening: int, kind: str) -> list[Token]:
    """The tokens between a link's opening one and the one that closes it."""
    end = opening + 1
    while end < len(tokens) and tokens[end].type != f"{kind}_close":
        end += 1
    return tokens[opening + 1 : end]


def _url_parts(href: str) -> tuple[str, str] | None:
    """Path and fragment of a URL inside the garden, decoded; None for an address outside."""
    try:
        parts = urlsplit(href)
    except ValueError:
        return None
    if parts.scheme or parts.netloc:
        return None
    return unquote(parts.path), unquote(parts.fragment)


def _shortened(text: str, longest: int = 200) -> str:
    text = " ".join(text.split())
    if len(text) <= longest:
        return text
    return (
        text[:longest].rpartition(" ")[0].rstrip(",;:–") + " …"
        if " " in text[:longest]
        else text[:longest] + "…"
    )


def _distinct(tags: tuple[str, ...]) -> tuple[str, ...]:
    """Tags without repetitions that differ only in case; the first spelling stays."""
    seen: dict[str, str] = {}
    for tag in tags:
        seen.setdefault(tag.casefold(), tag)
    return tuple(seen.values())


def _line_of(token: Token) -> Span:
    return Span(token.map[0] + 1 if token.map else 0)

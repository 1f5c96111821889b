"""`parse`: one source becomes one `Parsed` note. The only room where markdown-it's tokens are seen.

A note is parsed without knowing any other note. What depends on others (where a link leads, what an
embed shows, what a cell printed) is left as a hole in its HTML. While rendering, holes travel inside
the text as marks built from two noncharacters, which no source text can contain: `parse` replaces
them before anything else looks at the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from html import escape
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from mdit_py_plugins.deflist import deflist_plugin
from mdit_py_plugins.dollarmath import dollarmath_plugin
from mdit_py_plugins.footnote import footnote_plugin
from mdit_py_plugins.gfm_autolink import gfm_autolink_plugin

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
    slug_of,
    slugify,
)
from generator.syntax import frontmatter, math, sanitize
from generator.syntax.block_id import block_id_plugin
from generator.syntax.callout import callout_plugin
from generator.syntax.cells import cell_plugin
from generator.syntax.foreign import foreign_plugin
from generator.syntax.highlight import highlight
from generator.syntax.spans import comment_plugin, highlight_plugin
from generator.syntax.tag import tag_plugin
from generator.syntax.wikilink import size_options, split, wikilink_plugin

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
    tokens = _parser(dialect.nesting).parse(body_text, env)
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


# ---------------------------------------------------------------- the parser


@lru_cache(maxsize=4)
def _parser(nesting: int) -> MarkdownIt:
    md = MarkdownIt("commonmark", {"maxNesting": nesting, "tasklists": True, "html": True})
    md.enable(["table", "strikethrough"])
    md.use(gfm_autolink_plugin)
    md.use(footnote_plugin)
    md.use(deflist_plugin)
    md.use(dollarmath_plugin, allow_labels=False, allow_space=False, allow_digits=False, double_inline=True)
    for plugin in (wikilink_plugin, tag_plugin, highlight_plugin, comment_plugin):
        md.use(plugin)
    md.use(cell_plugin)
    md.use(foreign_plugin)  # its core rule goes before the cells': directives may hold cells
    md.use(callout_plugin)
    md.use(block_id_plugin)
    md.core.ruler.before("footnote_tail", "footnote_lines", _footnote_lines)
    md.block.tokenize = partial(_tokenize, md.block.tokenize)  # type: ignore[method-assign]
    for rule in ("link", "image", "html_inline", "autolink"):
        md.inline.ruler.at(rule, _located(_rule(md, rule)))
    md.validateLink = lambda url: True  # type: ignore[method-assign]  # schemes are judged when rendering
    return md


def _rule(md: MarkdownIt, name: str) -> Callable[..., bool]:
    return next(rule.fn for rule in md.inline.ruler.__rules__ if rule.name == name)


def _located(rule: Callable[..., bool]) -> Callable[..., bool]:
    """The inline `rule`, made to note in its first token where in the inline text it began."""

    def located(state: Any, silent: bool) -> bool:
        start, count = state.pos, len(state.tokens)
        if not rule(state, silent):
            return False
        if not silent:
            for token in state.tokens[count:]:
                if token.type != "text":
                    token.meta = {**token.meta, "pos": start}
                    break
        return True

    return located


def _tokenize(original: Callable[..., None], state: StateBlock, start: int, end: int) -> None:
    """Block parsing that keeps, as plain text, what lies deeper than the limit.

    markdown-it stops there without a word, and the text would be gone.
    """
    if state.level < state.md.options.maxNesting:
        original(state, start, end)
        return
    token = state.push("too_deep", "pre", 0)
    token.content = state.getLines(start, end, state.blkIndent, False)
    token.map = [start, end]
    state.env.setdefault("too_deep", []).append(start)
    state.line = end


def _footnote_lines(state: StateCore) -> None:
    """Remember where footnotes are defined: markdown-it drops unused and repeated ones without a word."""
    lines: dict[str, list[int]] = {}
    for token in state.tokens:
        if token.type == "footnote_reference_open":
            lines.setdefault(token.meta["label"], []).append(token.map[0] if token.map else 0)
    state.env["footnote_lines"] = lines


# ---------------------------------------------------------------- rendering


def _mark(kind: str, payload: object) -> str:
    return f"{_OPEN}{kind}{payload}{_CLOSE}"


@dataclass(slots=True)
class _Frame:
    """The parts of one container while it is rendered, as `(is raw HTML, text)`, and what ends it."""

    close: str = ""
    parts: list[tuple[bool, str]] = field(default_factory=list)
    raw: bool = False


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
    blocks: list[str] = field(default_factory=list)
    block_spans: list[Span] = field(default_factory=list)
    external: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)
    foreign: set[str] = field(default_factory=set)
    words: int = 0
    summary: str = ""
    contexts: int = 0
    no_embeds: bool = False

    # ------------------------------------------------ the note

    def note(
        self, tokens: list[Token], env: dict[str, Any], properties: frontmatter.Properties
    ) -> tuple[Note, Spans]:
        title, tokens = self._title(tokens, properties)
        main_tokens, footnote_tokens = _split_footnotes(tokens)
        html = self._title_anchor() + self.render(main_tokens)
        footnotes = [(meta, self.render(inner)) for meta, inner in footnote_tokens]
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

    def _assembled(
        self,
        title: str,
        pieces: _Pieces,
        main: int,
        footnotes: tuple[Footnote, ...],
        properties: frontmatter.Properties,
    ) -> Note:
        slug = (
            Slug("/".join(slugify(p) for p in properties.permalink.split("/") if p))
            if (properties.permalink)
            else Slug("")
        )
        links = tuple(
            replace(link, context=pieces.ranges.get(("X", context)))
            for link, context in zip(self.links, self.link_contexts, strict=True)
        )
        return Note(
            path=self.path,
            slug=slug or slug_of(self.path),
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
            self._heading_of_title(tokens[0], text)
            return text, tokens[3:]
        name = self.path.rpartition("/")[2].removesuffix(".md").removesuffix(".ipynb")
        folder = self.path.rpartition("/")[0].rpartition("/")[2]
        if folder and name.lower() in ("index", "readme"):
            name = folder
        return properties.title or name, tokens

    def _heading_of_title(self, token: Token, text: str) -> None:
        self.headings.append((1, text, self._anchor(text)))
        self.heading_spans.append(_line_of(token))

    def _title_anchor(self) -> str:
        """A target for links to the heading that became the title, whose element is the page's own."""
        if not self.headings:
            return ""
        anchor = self.headings[0][2]
        return f"{_mark('S', 0)}<span{_mark('I', anchor)}></span>"

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
        if "comment_unclosed" in env:
            self.problem(
                "comment-unclosed", "warning", Span(env["comment_unclosed"] + 1),
                "this %% comment is never closed, so everything after it is left out",
                "end it with a line that holds %%",
            )  # fmt: skip
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
                frames[-1].raw = True
                frames[-1].parts.append((True, token.content))
            elif token.type in ("paragraph_open", "heading_open"):
                frames[-1].parts.append((False, self._textual(token, tokens[i + 1], len(frames) > 1)))
                i += 2
            elif token.type == "inline":
                frames[-1].parts.append((False, self._in_context(self.inline(token))))
            elif token.nesting == 1:
                opening, closing = self._container(token)
                frames[-1].parts.append((False, opening))
                frames.append(_Frame(closing))
            elif token.nesting == -1:
                frame = frames.pop()
                frames[-1].parts.append((False, self._closed(frame) + frame.close))
            else:
                frames[-1].parts.append((False, self._leaf(token)))
            i += 1
        return self._closed(frames[0])

    def _closed(self, frame: _Frame) -> str:
        return self._sanitized(frame.parts) if frame.raw else "".join(text for _, text in frame.parts)

    def _sanitized(self, parts: list[tuple[bool, str]]) -> str:
        """Raw parts cleaned together, with what we rendered ourselves standing by as marks."""
        if self.trusted:
            return "".join(text for _, text in parts)
        kept: list[str] = []
        mixed = []
        for raw, text in parts:
            if raw:
                mixed.append(text)
            else:
                mixed.append(_mark("R", len(kept)))
                kept.append(text)
        cleaned = sanitize.clean("".join(mixed), self._raw_url)
        restored = _MARK.sub(lambda m: kept[int(m[2])] if m[1] == "R" else m[0], cleaned)
        lost = [text for n, text in enumerate(kept) if _mark("R", n) not in cleaned]
        return restored + "".join(lost)  # an author's tag swallowed them: keep the text all the same

    def _raw_url(self, tag: str, attribute: str, url: str) -> str | None:
        """Called for each URL in raw HTML that survived: one inside the vault becomes a hole, and one that
        the page would load from another host is dropped."""
        parts = _url_parts(url)
        if parts is None:
            if tag == "a":
                self.external.append(url)
                return url
            if url.startswith("data:"):
                return url
            self._report_remote(url, Span(0))
            return None
        path, fragment = parts
        link = Link("link" if tag == "a" else "embed", path, (fragment,) if fragment else (), style="html")
        return _mark("U", self._link(link, Span(0), -1))

    def _textual(self, opening: Token, inline: Token, nested: bool) -> str:
        if opening.type == "heading_open":
            return self._heading(opening, inline, nested)
        pieces = self.inline(inline)
        if opening.hidden:
            return self._in_context(pieces)
        if not self.summary and not nested:
            self.summary = _shortened(_plain(inline.children or []))
        start, attribute, end = self._block(opening)
        if len(pieces) == 1 and not pieces[0][0]:
            text = self._in_context(pieces)
            return f"{start}<p{attribute}>{text.strip()}</p>\n{end}" if text.strip() else start + end
        html = []
        for is_block, text in pieces:
            if not is_block and text.strip():
                html.append(f"<p{attribute}>{text.strip()}</p>\n")
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
        anchor, n = base, 0
        while anchor in self.anchors:
            n += 1
            anchor = f"{base}-{n}"
        self.anchors.add(anchor)
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
            first = self.block_spans[self.blocks.index(name)].line
            self.problem(
                "block-duplicate", "warning", span,
                f"the block id ^{name} is already taken on line {first}; links lead to that one",
                "rename one of the two",
            )  # fmt: skip
            return None
        self.blocks.append(name)
        self.block_spans.append(span)
        return len(self.blocks) - 1

    def _container(self, token: Token) -> tuple[str, str]:
        """What opens and what closes a block that holds other blocks."""
        start, attribute, end = self._block(token)
        if token.type == "table_open":
            wrapper = f'<div class="table" tabindex="0" role="region" aria-label="Table"{attribute}>'
            return f"{start}{wrapper}<table>\n", f"</table></div>\n{end}"
        if token.type.startswith("callout"):
            opening, closing = _callout(token, attribute)
            return start + opening, closing + end
        attributes = "".join(f' {key}="{escape(value)}"' for key, value in _attributes(token))
        opening = f"{start}<{token.tag}{attributes}{attribute}>"
        if token.type == "list_item_open" and "checked" in token.meta:
            checked, label = (" checked", "done") if token.meta["checked"] else ("", "to do")
            opening += f'<input type="checkbox" disabled{checked} aria-label="{label}"> '
        return opening, f"</{token.tag}>\n{end}"

    def _leaf(self, token: Token) -> str:
        start, attribute, end = self._block(token)
        if token.type == "cell":
            return start + self._cell(token) + end
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
        return f'<pre class="highlight" tabindex="0"{attributes}{attribute}><code>{shown}</code></pre>\n'

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
        for i, child in enumerate(children):
            if child.type == "html_inline":
                frame.raw = True
                frame.parts.append((True, child.content))
            elif child.type == "embed" and not child.meta["media"] and not closers and not self.no_embeds:
                pieces.append((False, self._closed(frame)))
                pieces.append((True, self._embed(child, token)))
                frame = _Frame()
            elif child.nesting == 1:
                opening, closing = self._span(child, children[i + 1 :], token)
                closers.append(closing)
                frame.parts.append((False, opening))
            elif child.nesting == -1:
                frame.parts.append((False, closers.pop() if closers else ""))
            else:
                frame.parts.append((False, self._atom(child, token)))
        pieces.append((False, self._closed(frame)))
        return [piece for piece in pieces if piece[0] or piece[1].strip()] or [(False, "")]

    def _span(self, child: Token, following: list[Token], inline: Token) -> tuple[str, str]:
        """What opens and what closes an inline element that holds others."""
        if child.type == "wikilink_open":
            return self._wikilink(child, following, inline)
        if child.type == "link_open":
            return self._markdown_link(child, following, inline)
        return f"<{child.tag}>", f"</{child.tag}>"

    def _wikilink(self, child: Token, following: list[Token], inline: Token) -> tuple[str, str]:
        meta = child.meta
        text = None if meta["text"] is None else _plain(_until_close(following, "wikilink"))
        if meta["target"].startswith(("http://", "https://")):
            opening, closing = self._external(meta["target"], "")
            return opening + ("" if text else escape(meta["target"])), closing
        link = Link("link", meta["target"], meta["anchor"], text or None)
        number = self._link(link, self._place(inline, meta["pos"]), self.contexts)
        return _mark("L", number), _mark("l", number)

    def _markdown_link(self, child: Token, following: list[Token], inline: Token) -> tuple[str, str]:
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
        text = _plain(_until_close(following, "link"))
        options = (("title", title),) if title else ()
        anchor = (fragment,) if fragment else ()
        link = Link("link", path, anchor, text or None, style="markdown", options=options)
        number = self._link(link, span, self.contexts)
        return _mark("L", number), _mark("l", number)

    def _external(self, href: str, title: str) -> tuple[str, str]:
        self.external.append(href)
        hint = f' title="{escape(title)}"' if title else ""
        return f'<a href="{escape(href)}" data-link="external" rel="noopener"{hint}>', "</a>"

    def _atom(self, child: Token, inline: Token) -> str:
        """An inline token that holds no others."""
        kind = child.type
        if kind == "text":
            return escape(child.content, quote=False)
        if kind == "softbreak":
            return "\n"
        if kind == "hardbreak":
            return "<br>\n"
        if kind == "code_inline":
            return f"<code>{escape(child.content, quote=False)}</code>"
        if kind == "math_inline":
            return self._math(child, False, self._place(inline, inline.content.find(child.content)))
        if kind == "math_inline_double":
            span = self._place(inline, inline.content.find(child.content))
            return f'<span class="math">{self._math(child, True, span)}</span>'
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
        in_heading = self.no_embeds and not meta["media"]
        link = Link(
            "link" if in_heading else "embed", meta["target"], meta["anchor"], options=meta["options"]
        )
        number = self._link(link, span, self.contexts)
        return _mark("L", number) + _mark("l", number) if in_heading else _mark("M", number)

    def _link(self, link: Link, span: Span, context: int) -> int:
        self.links.append(link)
        self.link_spans.append(span)
        self.link_contexts.append(context)
        return len(self.links) - 1

    def _place(self, inline: Token, position: int) -> Span:
        """Line and column of a position in an inline token's text.

        markdown-it keeps the lines of a block, not its columns: the column is found by looking for the
        line's text, which has lost only its indentation and markers, in the line of the file.
        """
        position = max(position, 0)
        before = inline.content[:position]
        row = before.count("\n")
        line = (inline.map[0] if inline.map else 0) + row
        offset = position - (before.rfind("\n") + 1)
        text = inline.content.split("\n")[row] if inline.content else ""
        source = self.lines[line] if line < len(self.lines) else ""
        start = source.find(text.strip())
        if start < 0:  # a table cell in which \\| was written: look for what follows the position instead
            start, offset = max(source.find(text[offset : offset + 12]), 0), 0
        return Span(line + 1, start + offset + 1)


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
_FOREIGN_FENCES = frozenset({"dataview", "dataviewjs", "tasks", "query", "button", "excalidraw"})


# ---------------------------------------------------------------- small things


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
    opening = f'<{tag} class="callout" data-type="{token.meta["type"]}"{attribute}{opened}>\n'
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
            anchors = " › ".join(anchor.removeprefix("^") for anchor in token.meta["anchor"])
            name = token.meta["target"].rpartition("/")[2].removesuffix(".md")
            words.append(" › ".join(part for part in (name, anchors) if part))
        elif token.type not in ("html_inline", "embed", "footnote_ref"):
            words.append(token.content)
    return "".join(words).strip()


def _until_close(tokens: list[Token], kind: str) -> list[Token]:
    """The tokens before the one that closes the link just opened; links never nest."""
    end = next((i for i, token in enumerate(tokens) if token.type == f"{kind}_close"), len(tokens))
    return tokens[:end]


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

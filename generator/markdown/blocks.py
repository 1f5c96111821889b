"""Blocks: tokens become HTML with marks.

It does not know whether it renders a note or a footnote, nor what the text within a block looks like.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

from markdown_it.token import Token

from generator.markdown.gathered import Gathered
from generator.markdown.leaves import Leaves
from generator.markdown.marks import mark
from generator.markdown.places import line_of
from generator.markdown.raw import Frame, Raw
from generator.markdown.text import Text
from generator.markdown.tokens import attributes, plain, shortened, trimmed
from generator.model import Span

_PHRASING_ONLY = frozenset({"dt_open", "th_open", "callout_title_open"})
"""Blocks of one line of text, in which no block may stand."""


@dataclass(slots=True)
class Blocks:
    """Renders the blocks of a note; `html` may be called for several parts of it, in their order."""

    gathered: Gathered
    raw: Raw
    text: Text
    leaves: Leaves

    def html(self, tokens: list[Token]) -> str:
        frames = [Frame()]
        embeds = True  # whether an embed of a note may stand here
        rest = iter(tokens)
        for token in rest:
            if token.type == "html_block":
                self.raw.block(token, frames[-1])
            elif token.type == "paragraph_open":
                frames[-1].add(self._paragraph(token, _content(rest), len(frames) > 1, embeds))
            elif token.type == "heading_open":
                frames[-1].add(self._heading(token, _content(rest), len(frames) > 1))
            elif token.type == "inline":
                frames[-1].add(self.text.html(token, embeds))
            elif token.nesting == 1:
                opening, closing = self._container(token)
                frames[-1].add(opening)
                frames.append(Frame(closing))
                embeds = token.type not in _PHRASING_ONLY
            elif token.nesting == -1:
                frame = frames.pop()
                frames[-1].add(self.raw.closed(frame) + frame.close)
                embeds = True
            else:
                frames[-1].add(self._leaf(token))
        return self.raw.closed(frames[0])

    def identity(self, token: Token) -> tuple[str, str, str]:
        """Start marks, id attribute and end marks of a block that has block ids; else nothing. An element has
        one id: every other gets an element of its own before it."""
        start = attribute = end = ""
        for name, line in _names(token):
            number = self.gathered.block(name, Span(line + 1))
            if number is None:
                continue
            anchor = mark("I", "^" + name)
            start += mark("B", number) + (f"<span{anchor}></span>" if attribute else "")
            attribute = attribute or anchor
            end = mark("b", number) + end
        return start, attribute, end

    # ------------------------------------------------ blocks of text

    def _paragraph(self, opening: Token, inline: Token, nested: bool, embeds: bool) -> str:
        pieces = self.text.pieces(inline, embeds)
        start, attribute, end = self.identity(opening)
        if opening.hidden:  # in a list without blank lines
            anchor = f"<span{attribute}></span>" if attribute else ""
            return start + anchor + self.text.in_context("".join(text for _, text in pieces)) + end
        if not self.gathered.summary and not nested:
            self.gathered.summary = shortened(plain(inline.children or []))
        if len(pieces) == 1 and not pieces[0][0]:
            text = trimmed(self.text.in_context(pieces[0][1]))
            return f"{start}<p{attribute}>{text}</p>\n{end}" if text else start + end
        return start + self.text.in_context(_paragraphs(pieces, attribute)) + end

    def _heading(self, opening: Token, inline: Token, nested: bool) -> str:
        number = len(self.gathered.headings)
        text = plain(inline.children or [])
        anchor = self.gathered.heading(int(opening.tag[1]), text, line_of(opening))
        if nested:
            self.gathered.nested_headings.add(number)
        html = self.text.html(inline, embeds=False)
        start, attribute, end = self.identity(opening)
        if attribute:  # a heading has one id: its block id gets an element of its own
            html = f"<span{attribute}></span>{html}"
        element = f"<{opening.tag}{mark('I', anchor)}>{html}</{opening.tag}>\n"
        return f"{mark('S', number)}{start}{mark('H', number)}{element}{mark('h', number)}{end}"

    # ------------------------------------------------ other blocks

    def _container(self, token: Token) -> tuple[str, str]:
        """What opens and what closes a block that holds other blocks."""
        start, attribute, end = self.identity(token)
        if token.type == "table_open":
            wrapper = f'<div class="table" tabindex="0" role="group" aria-label="Table"{attribute}>'
            return f"{start}{wrapper}<table>\n", f"</table></div>\n{end}"
        if token.type.startswith("callout"):
            opening, closing = _callout(token, attribute)
            return start + opening, closing + end
        if token.type == "tr_open":
            self._report_row(token)
        written = "".join(f' {key}="{escape(value)}"' for key, value in attributes(token))
        return f"{start}<{token.tag}{written}{attribute}>{_checkbox(token)}", f"</{token.tag}>\n{end}"

    def _report_row(self, token: Token) -> None:
        line = line_of(token).line
        lost = f"; what is left out: {token.meta['lost']}" if "lost" in token.meta else ""
        if "cut" in token.meta:
            column, written = token.meta["cut"]
            self.gathered.problem(
                "table-link-cut", "warning", Span(line, column + 1),
                f"in a table the pipe of a wikilink ends the cell, so this is no link{lost}",
                f"write it with a backslash: {written}",
            )  # fmt: skip
        elif lost:
            self.gathered.problem(
                "table-row-long", "warning", Span(line, token.meta["col"] + 1),
                f"this row has more cells than the table has columns{lost}",
                "add columns to the first row, or write a pipe within a cell as \\|",
            )  # fmt: skip

    def _leaf(self, token: Token) -> str:
        start, attribute, end = self.identity(token)
        return start + self.leaves.html(token, attribute) + end


def _names(token: Token) -> list[tuple[str, int]]:
    """The block ids of a block and their lines: its own first, then the targets before it."""
    targets = list(token.meta.get("targets", ()))
    if "block_id" not in token.meta:
        return targets
    line = token.meta["block_id_line"] or (token.map[0] if token.map else 0)
    return [(token.meta["block_id"], line), *targets]


def _content(rest: Iterator[Token]) -> Token:
    """The text of the block that was just opened, which is closed right behind it."""
    inline = next(rest)
    next(rest)
    return inline


def _paragraphs(pieces: list[tuple[bool, str]], attribute: str) -> str:
    """The pieces of a paragraph with embeds in it, of which the first gets the id."""
    html = []
    for is_block, text in pieces:
        if not is_block and trimmed(text):
            html.append(f"<p{attribute}>{trimmed(text)}</p>\n")
            attribute = ""
        elif is_block:
            html.append(f"<div{attribute}>{text}</div>\n" if attribute else text)
            attribute = ""
    return "".join(html)


def _callout(token: Token, attribute: str) -> tuple[str, str]:
    fold, bare = token.meta["fold"], token.meta["bare"]
    if token.type == "callout_title_open":
        tag = "summary" if fold else "p"
        body = "" if bare else '<div class="callout-body">\n'
        return f'<{tag} class="callout-title">', f"</{tag}>\n{body}"
    tag = "details" if fold else "div"
    opened = " open" if fold == "+" else ""
    name = f' data-name="{escape(token.meta["name"])}"' if token.meta["name"] else ""
    opening = f'<{tag} class="callout" data-type="{token.meta["type"]}"{name}{attribute}{opened}>\n'
    return opening, ("" if bare else "</div>") + f"</{tag}>\n"


def _checkbox(token: Token) -> str:
    if token.type != "list_item_open" or "checked" not in token.meta:
        return ""
    checked, label = (" checked", "done") if token.meta["checked"] else ("", "to do")
    return f'<input type="checkbox" disabled{checked} aria-label="{label}"> '

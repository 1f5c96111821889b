"""Text: the token of an inline text becomes HTML with marks. It does not know which block it stands in."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape

from markdown_it.token import Token

from generator.markdown.formulas import formula
from generator.markdown.gathered import Gathered
from generator.markdown.marks import mark
from generator.markdown.places import Places
from generator.markdown.raw import Frame, Raw
from generator.markdown.references import References
from generator.markdown.tokens import is_transclusion, trimmed, until_close
from generator.model import Span

VALUE = "{python} "
"""What a code span begins with that is an expression to be evaluated."""

_LINKS = frozenset({"link_open", "wikilink_open", "link_close", "wikilink_close"})


@dataclass(slots=True)
class _Run:
    """One text while it is rendered: the pieces that are complete, the one that is not, what closes the
    elements that are open, and how many of these are links."""

    inline: Token
    pieces: list[tuple[bool, str]] = field(default_factory=list)
    frame: Frame = field(default_factory=Frame)
    closers: list[str] = field(default_factory=list)
    links: int = 0


@dataclass(slots=True)
class Text:
    """Renders inline texts, one after the other, as they stand in the note."""

    gathered: Gathered
    places: Places
    raw: Raw
    references: References

    def html(self, inline: Token, embeds: bool) -> str:
        """One text whole. `embeds`: whether an embed of a note may stand in it, which is a block."""
        return self.in_context("".join(text for _, text in self.pieces(inline, embeds)))

    def in_context(self, html: str) -> str:
        """The HTML of the last text, marked as the context of the links that are in it."""
        if self.gathered.text_has_links():
            return mark("X", self.gathered.texts) + html + mark("x", self.gathered.texts)
        return html

    def pieces(self, inline: Token, embeds: bool) -> list[tuple[bool, str]]:
        """One text as pieces: `(is an embed of its own, HTML with marks)`. There is at least one."""
        self.gathered.begin_text(len(inline.content.split()))
        run = _Run(inline)
        children = inline.children or []
        for i, child in enumerate(children):
            if child.type == "text":
                run.frame.add(escape(child.content, quote=False))
            elif child.type == "html_inline":
                self.raw.tag(child.content, self._place(child, inline), run.frame)
            elif child.nesting == 1:
                self._open(run, children, i)
            elif child.nesting == -1:
                run.links -= child.type in _LINKS
                run.frame.add(run.closers.pop() if run.closers else "")
            elif is_transclusion(child):
                self._transclude(run, child, embeds)
            elif child.type == "code_inline" and self._is_value(child):
                run.frame.add(self._value(run, child))
            else:
                run.frame.add(self._atom(child, inline))
        run.pieces.append((False, self.raw.closed(run.frame)))
        return [piece for piece in run.pieces if piece[0] or trimmed(piece[1])] or [(False, "")]

    def _open(self, run: _Run, children: list[Token], i: int) -> None:
        """Open the element `children[i]`, which holds those that follow. There is no link in a link."""
        is_link = children[i].type in _LINKS
        opening, closing = "", ""
        if not (is_link and run.links):
            opening, closing = self._element(children, i, run.inline)
        run.links += is_link
        run.closers.append(closing)
        run.frame.add(opening)

    def _element(self, children: list[Token], i: int, inline: Token) -> tuple[str, str]:
        child = children[i]
        if child.type == "wikilink_open":
            return self.references.wikilink(child, until_close(children, i, "wikilink"), inline)
        if child.type == "link_open":
            return self.references.markdown_link(child, until_close(children, i, "link"), inline)
        return f"<{child.tag}>", f"</{child.tag}>"

    def _transclude(self, run: _Run, child: Token, embeds: bool) -> None:
        """Put an embed of a note between two pieces of text, or a link to the note where it cannot stand."""
        if run.closers or not embeds:
            run.frame.add(self.references.embed_as_link(child, run.inline, within_link=run.links > 0))
            return
        run.pieces.append((False, self.raw.closed(run.frame)))
        run.pieces.append((True, self._atom(child, run.inline)))
        run.frame = Frame()

    def _is_value(self, child: Token) -> bool:
        return self.gathered.evaluates and child.content.startswith(VALUE) and child.content != VALUE

    def _value(self, run: _Run, child: Token) -> str:
        """The place of a value that is computed. Quarto's form, and its order: after the cells above."""
        first, last = run.inline.map or (0, 0)
        span = self.places.find(child.content, first, last)
        number = self.gathered.value(child.content.removeprefix(VALUE).strip(), span)
        return mark("W" if run.links else "V", number)

    def _atom(self, child: Token, inline: Token) -> str:
        """An inline token that holds no others."""
        match child.type:
            case "softbreak":
                return "\n"
            case "hardbreak":
                return "<br>\n"
            case "code_inline":
                return f"<code>{escape(child.content, quote=False)}</code>"
            case "math_inline" | "math_inline_double":
                return self._formula(child, inline)
            case "image":
                return self.references.image(child, inline)
            case "embed":
                return self.references.embed(child, inline)
            case "tag":
                self.gathered.tags.append(child.content)
                return mark("T", child.content)
            case "footnote_ref":
                return mark("F", f"{child.meta['id']},{child.meta.get('subId', 0)}")
            case "role_text" | "role_code":
                return self._role(child, inline)
        return escape(child.content, quote=False)

    def _formula(self, child: Token, inline: Token) -> str:
        display = child.type == "math_inline_double"
        html = formula(child, display, self._place(child, inline), self.gathered)
        return f'<span class="math">{html}</span>' if display else html

    def _role(self, child: Token, inline: Token) -> str:
        """Another dialect's `{name}` before code, with the code as its text."""
        self.gathered.problem_foreign(f"the role {{{child.meta['role']}}}", self._place(child, inline))
        text = escape(child.content, quote=False)
        return text if child.type == "role_text" else f"<code>{text}</code>"

    def _place(self, child: Token, inline: Token) -> Span:
        return self.places.of(inline, child.meta.get("pos", 0))

"""References: links, images and embeds within text become links of the note, and marks where they stand.

Where they lead is not known here; only what is outside the garden is told apart, by its address.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from html import escape

from markdown_it.token import Token

from generator.markdown.gathered import Gathered
from generator.markdown.marks import mark
from generator.markdown.places import Places
from generator.markdown.tokens import is_web, name_of, plain, shortened, url_parts
from generator.model import Link, Span
from generator.syntax import sanitize
from generator.syntax.wikilink import size_options


@dataclass(slots=True)
class References:
    """A link is given as what opens and what closes it, anything else as one piece of HTML with marks.
    `inline` is always the token whose text the reference stands in."""

    gathered: Gathered
    places: Places

    # ------------------------------------------------ links

    def wikilink(self, token: Token, words: list[Token], inline: Token) -> tuple[str, str]:
        meta = token.meta
        text = None if meta["text"] is None else plain(words)
        if is_web(meta["target"]):
            opening, closing = self._external(meta["target"], "")
            return opening + ("" if text else escape(meta["target"])), closing
        link = Link("link", meta["target"], meta["anchor"], text or None)
        if "role" in meta:  # of MyST, where `doc` is a path and `ref` a label
            link = replace(link, style="markdown", options=(("role", meta["role"]),))
        return self._link(link, self._place(token, inline))

    def markdown_link(self, token: Token, words: list[Token], inline: Token) -> tuple[str, str]:
        href, title = str(token.attrs.get("href", "")), str(token.attrs.get("title", ""))
        span = self._place(token, inline)
        if not sanitize.safe_url(href):
            self.gathered.problem(
                "url-unsafe", "error", span, f"a link to “{shortened(href, 60)}” is not allowed",
                "link to http, https, mailto or a path in the garden",
            )  # fmt: skip
            return "", ""
        parts = url_parts(href)
        if parts is None:
            return self._external(href, title)
        path, fragment = parts
        options = (("title", title),) if title else ()
        anchor = (fragment,) if fragment else ()
        link = Link("link", path, anchor, plain(words) if words else None, style="markdown", options=options)
        return self._link(link, span)

    def _link(self, link: Link, span: Span) -> tuple[str, str]:
        number = self.gathered.link(link, span)
        return mark("L", number), mark("l", number)

    def _external(self, href: str, title: str) -> tuple[str, str]:
        self.gathered.external.append(href)
        hint = f' title="{escape(title)}"' if title else ""
        return f'<a href="{escape(href)}" data-link="external" rel="noopener"{hint}>', "</a>"

    # ------------------------------------------------ images and embeds

    def image(self, token: Token, inline: Token) -> str:
        src, alt = str(token.attrs.get("src", "")), plain(token.children or [])
        span = self._place(token, inline)
        options = size_options(alt)
        if sanitize.safe_image_url(src) and src.startswith("data:"):
            return f'<img src="{escape(src)}" alt="{escape(options.get("alt", ""))}">'
        if not sanitize.safe_url(src):
            self.gathered.problem(
                "url-unsafe", "error", span, f"an image from “{shortened(src, 60)}” is not allowed",
                "put the picture into the garden",
            )  # fmt: skip
            return escape(alt)
        parts = url_parts(src)
        if parts is None:
            return self._remote_image(src, options.get("alt", ""), span)
        if title := str(token.attrs.get("title", "")):
            options["title"] = title
        path, fragment = parts
        anchor = (fragment,) if fragment else ()
        link = Link("embed", path, anchor, style="markdown", options=tuple(sorted(options.items())))
        return mark("M", self.gathered.link(link, span))

    def _remote_image(self, src: str, alt: str, span: Span) -> str:
        """A page makes no request to another host, so a picture from elsewhere is shown as a link."""
        self.gathered.problem_remote(shortened(src, 80), span)
        opening, closing = self._external(src, "")
        return f"{opening}{escape(alt or 'image')}{closing}"

    def embed(self, token: Token, inline: Token) -> str:
        meta = token.meta
        span = self._place(token, inline)
        if is_web(meta["target"]):
            return self._remote_image(meta["target"], dict(meta["options"]).get("alt", ""), span)
        link = Link("embed", meta["target"], meta["anchor"], options=meta["options"])
        return mark("M", self.gathered.link(link, span))

    def embed_as_link(self, token: Token, inline: Token, within_link: bool) -> str:
        """An embed of a note where no block can stand: a link to the note, or only its name."""
        if token.type == "image":
            path, fragment = url_parts(str(token.attrs["src"])) or ("", "")
            words = plain(token.children or []) or None
            link = Link("link", path, (fragment,) if fragment else (), words, style="markdown")
        else:
            link = Link("link", token.meta["target"], token.meta["anchor"])
        if within_link:
            return escape(link.text or name_of(link.target, link.anchor), quote=False)
        opening, closing = self._link(link, self._place(token, inline))
        return opening + escape(link.text or "", quote=False) + closing

    def _place(self, token: Token, inline: Token) -> Span:
        return self.places.of(inline, token.meta.get("pos", 0))

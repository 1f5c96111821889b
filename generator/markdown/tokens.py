"""Reading tokens and addresses: pure functions, which know nothing of the note that they come from."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote, urlsplit

from markdown_it.token import Token

from generator.model import media_kind
from generator.syntax import sanitize


def plain(tokens: list[Token]) -> str:
    """The words of inline tokens, without markup."""
    words = []
    for token in tokens:
        if token.type in ("softbreak", "hardbreak"):
            words.append(" ")
        elif token.type == "image":
            words.append(plain(token.children or []))
        elif token.type == "tag":
            words.append("#" + token.content)
        elif token.type == "wikilink_open" and token.meta["text"] is None:
            words.append(name_of(token.meta["target"], token.meta["anchor"]))
        elif token.type not in ("html_inline", "embed", "footnote_ref"):
            words.append(token.content)
    return "".join(words).strip()


def name_of(target: str, anchor: tuple[str, ...]) -> str:
    """What a link without words is called before anybody knows its target's title."""
    name = target.rpartition("/")[2].removesuffix(".md")
    return " › ".join(part for part in (name, *(part.removeprefix("^") for part in anchor)) if part)


def shortened(text: str, longest: int = 200) -> str:
    text = " ".join(text.split())
    if len(text) <= longest:
        return text
    if " " not in text[:longest]:
        return text[:longest] + "…"
    return text[:longest].rpartition(" ")[0].rstrip(",;:–") + " …"


def trimmed(html: str) -> str:
    """Without the white space that HTML ignores at the edges; a no-break space is the author's own."""
    return html.strip(" \t\n")


def is_web(target: str) -> bool:
    """Whether the target of a wikilink is an address in the web."""
    return target.startswith(("http://", "https://"))


def url_parts(href: str) -> tuple[str, str] | None:
    """Path and fragment of a URL inside the garden, decoded; None for an address outside."""
    try:
        parts = urlsplit(href)
    except ValueError:
        return None
    if parts.scheme or parts.netloc:
        return None
    return unquote(parts.path), unquote(parts.fragment)


def is_transclusion(child: Token) -> bool:
    """Whether a token shows (a part of) another note, which is a block wherever it is written."""
    if child.type == "embed":
        return not child.meta["media"] and not is_web(child.meta["target"])
    if child.type != "image":
        return False
    source = str(child.attrs.get("src", ""))
    parts = url_parts(source) if sanitize.safe_url(source) else None
    return parts is not None and not media_kind(parts[0])


def until_close(tokens: list[Token], opening: int, kind: str) -> list[Token]:
    """The tokens between a link's opening one and the one that closes it."""
    end = opening + 1
    while end < len(tokens) and tokens[end].type != f"{kind}_close":
        end += 1
    return tokens[opening + 1 : end]


def split_footnotes(tokens: list[Token]) -> tuple[list[Token], list[tuple[dict[str, Any], list[Token]]]]:
    """The main tokens, and of each footnote its `meta` and tokens."""
    start = next((i for i, token in enumerate(tokens) if token.type == "footnote_block_open"), len(tokens))
    footnotes: list[tuple[dict[str, Any], list[Token]]] = []
    for token in tokens[start + 1 : -1]:
        if token.type == "footnote_open":
            footnotes.append((token.meta, []))
        elif token.type not in ("footnote_close", "footnote_anchor"):
            footnotes[-1][1].append(token)
    return tokens[:start], footnotes


def attributes(token: Token) -> list[tuple[str, str]]:
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

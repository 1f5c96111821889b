"""`#tag` as an inline rule: Unicode letters, digits, `_`, `-` and `/` (nesting), at least one non-digit."""

from __future__ import annotations

from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline

_BEFORE = frozenset(" \t\n([{,;:>\"'“‘*_~=|")

_PUNCTUATION = frozenset("“”‘’…–—·«»、。，；：！？（）")


def tag_plugin(md: MarkdownIt) -> None:
    """Teach `md` inline tags; none are read inside a link."""
    md.inline.ruler.before("link", "tag", _tag)


def is_tag(text: str) -> bool:
    """Whether `text` (without `#`) is a well-formed tag."""
    return (
        bool(text)
        and all(_is_tag_character(c) for c in text)
        and not text.replace("/", "").isdigit()
        and bool(text.strip("/"))
        and "//" not in text
    )


def _is_tag_character(c: str) -> bool:
    # Not only isalnum(): combining marks and emoji are part of a word to the people who write them.
    return c.isalnum() or c in "_-/" or (ord(c) > 0x7F and not c.isspace() and c not in _PUNCTUATION)


def _tag(state: StateInline, silent: bool) -> bool:
    start = state.pos
    if state.src[start] != "#" or state.linkLevel:
        return False
    if start and state.src[start - 1] not in _BEFORE:
        return False
    end = start + 1
    while end < state.posMax and _is_tag_character(state.src[end]):
        end += 1
    text = state.src[start + 1 : end].rstrip("/")
    if not is_tag(text):
        return False
    if not silent:
        token = state.push("tag", "", 0)
        token.content = text
    state.pos = start + 1 + len(text)
    return True

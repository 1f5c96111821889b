"""`[[target#heading|text]]` and `![[target|options]]` as inline rules.

Only the shape is read here: what a target means is decided once the whole garden is known.
"""

from __future__ import annotations

from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline

from generator.model import media_kind

_LONGEST = 1000  # characters between the brackets: keeps an unclosed `[[` from scanning a whole note


def wikilink_plugin(md: MarkdownIt) -> None:
    """Teach `md` wikilinks and embeds; they come before ordinary links and images."""
    md.inline.ruler.before("link", "wikilink", _wikilink)
    md.inline.ruler.before("image", "embed", _embed)


def split(content: str) -> tuple[str, tuple[str, ...], str | None]:
    """Split `target#h1#h2|text` into target, anchors and text (None without a pipe).

    `\\|` is a pipe as well: that is how one is written inside a table. `#^id` is a block.
    """
    head, pipe, text = content.replace("\\|", "|").partition("|")
    target, *anchors = (part.strip() for part in head.split("#"))
    return target, tuple(anchor for anchor in anchors if anchor), text.strip() if pipe else None


def embed_options(
    anchors: tuple[str, ...], text: str | None
) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """Read sizes, alternative text and PDF parameters of an embed.

    Returns the anchors that are left (headings, blocks) and sorted option pairs.
    """
    options: dict[str, str] = {}
    left: list[str] = []
    for anchor in anchors:
        parameters = [part.partition("=") for part in anchor.split("&")]
        if all(key in ("page", "height", "width") and value.isdigit() for key, _, value in parameters):
            options.update({key: value for key, _, value in parameters})
        else:
            left.append(anchor)
    options.update(size_options(text or ""))
    return tuple(left), tuple(sorted(options.items()))


def size_options(text: str) -> dict[str, str]:
    """Read `alt|W`, `W`, `WxH` or `alt` (as after the pipe of an image) into width, height and alt."""
    options: dict[str, str] = {}
    words = []
    for part in (piece.strip() for piece in text.split("|")):
        width, x, height = part.lower().partition("x")
        if width.isdigit() and (height.isdigit() if x else True):
            options["width"] = width
            if x:
                options["height"] = height
        elif part:
            words.append(part)
    if words:
        options["alt"] = " ".join(words)
    return options


def _content(state: StateInline, start: int) -> str | None:
    """The text between `[[` at `start` and its `]]`, or None where this is no wikilink."""
    if not state.src.startswith("[[", start):
        return None
    end = state.src.find("]]", start + 2, min(state.posMax, start + _LONGEST))
    if end < 0:
        return None
    content = state.src[start + 2 : end]
    if not content.strip() or "\n" in content or "[[" in content or content.startswith("["):
        return None
    return content


def _wikilink(state: StateInline, silent: bool) -> bool:
    content = _content(state, state.pos)
    if content is None or state.linkLevel:
        return False
    start, end = state.pos, state.pos + len(content) + 4
    target, anchors, text = split(content)
    if not target and not anchors:
        return False
    if not silent:
        token = state.push("wikilink_open", "a", 1)
        token.meta = {"target": target, "anchor": anchors, "text": text, "pos": start}
        if text:
            words = content[content.index("|") + 1 :]
            _tokenize_text(state, end - 2 - len(words.lstrip()), end - 2)
        state.push("wikilink_close", "a", -1)
    state.pos = end
    return True


def _tokenize_text(state: StateInline, start: int, stop: int) -> None:
    """Parse `state.src[start:stop]`, the words of the link, as inline Markdown."""
    maximum = state.posMax
    state.pos, state.posMax = start, stop
    state.linkLevel += 1
    state.md.inline.tokenize(state)
    state.linkLevel -= 1
    state.posMax = maximum
    if state.tokens[-1].type == "text":
        state.tokens[-1].content = state.tokens[-1].content.rstrip()


def _embed(state: StateInline, silent: bool) -> bool:
    if state.src[state.pos] != "!":
        return False
    content = _content(state, state.pos + 1)
    if content is None:
        return False
    target, anchors, text = split(content)
    if not target and not anchors:
        return False
    if not silent:
        left, options = embed_options(anchors, text)
        token = state.push("embed", "", 0)
        token.meta = {
            "target": target,
            "anchor": left,
            "options": options,
            "pos": state.pos,
            "media": media_kind(target),
        }
    state.pos += len(content) + 5
    return True

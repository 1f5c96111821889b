"""`^id` at the end of a paragraph or list item, or alone after a block, as a core rule."""

from __future__ import annotations

from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.token import Token

_CONTAINERS = {
    "bullet_list_close": "bullet_list_open",
    "ordered_list_close": "ordered_list_open",
    "blockquote_close": "blockquote_open",
    "table_close": "table_open",
    "callout_close": "callout_open",
    "dl_close": "dl_open",
    "paragraph_close": "paragraph_open",
}
_SINGLE = ("fence", "code_block", "math_block", "math_block_label", "cell")


def block_id_plugin(md: MarkdownIt) -> None:
    """Runs after inline parsing: an id inside code or math is never seen as one."""
    md.core.ruler.push("block_id", _block_ids)


def trailing_id(text: str) -> tuple[str, str]:
    """Split `some words ^id` into the words and the id; the id is `""` where there is none."""
    head, caret, name = text.rstrip().rpartition("^")
    ok = caret and name and all(c.isascii() and (c.isalnum() or c == "-") for c in name)
    if not ok or (head and not head[-1].isspace()):
        return text, ""
    return head.rstrip(), name


def _block_ids(state: StateCore) -> None:
    tokens = state.tokens
    drop: set[int] = set()
    for i, token in enumerate(tokens):
        if token.type != "inline" or not token.children or "^" not in token.content:
            continue
        last = token.children[-1]
        if last.type != "text":
            continue
        words, name = trailing_id(last.content)
        if not name:
            continue
        owner = _owner(tokens, i, alone=len(token.children) == 1 and not words)
        if owner is None:
            continue
        owner.meta = {**owner.meta, "block_id": name, "block_id_line": token.map[1] - 1 if token.map else 0}
        if len(token.children) == 1 and not words:
            drop.update((i - 1, i, i + 1))
        else:
            last.content = words
            if not words:
                del token.children[-1]
                if token.children[-1].type in ("softbreak", "hardbreak"):
                    del token.children[-1]
    if drop:
        state.tokens = [token for i, token in enumerate(tokens) if i not in drop]


def _owner(tokens: list[Token], i: int, alone: bool) -> Token | None:
    """The token of the block that an id in the inline token `i` names."""
    opening = tokens[i - 1]
    if opening.type != "paragraph_open":
        return opening if opening.type == "heading_open" else None
    if not alone:
        item = tokens[i - 2] if i >= 2 else None
        return item if item is not None and item.type == "list_item_open" else opening
    return _previous_block(tokens, i - 2)


def _previous_block(tokens: list[Token], i: int) -> Token | None:
    """The opening token of the block that ends at `tokens[i]`."""
    if i < 0:
        return None
    closing = tokens[i]
    if closing.type in _SINGLE:
        return closing
    wanted = _CONTAINERS.get(closing.type)
    while wanted and i >= 0:
        if tokens[i].type == wanted and tokens[i].level == closing.level:
            return tokens[i]
        i -= 1
    return None

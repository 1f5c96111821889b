"""Inline syntax that opens and closes with the same two characters: `==highlight==` and `%%comment%%`."""

from __future__ import annotations

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline


def highlight_plugin(md: MarkdownIt) -> None:
    """`==text==` becomes `mark`; like emphasis, it may not begin or end with a space."""
    md.inline.ruler.before("emphasis", "highlight", _highlight)


def comment_plugin(md: MarkdownIt) -> None:
    """`%%…%%` within a paragraph, and blocks from a line that begins with `%%` to the next `%%`."""
    md.inline.ruler.before("backticks", "comment", _comment)
    md.block.ruler.before(
        "fence", "comment_block", _comment_block, {"alt": ["paragraph", "reference", "blockquote", "list"]}
    )


def _closer(state: StateInline, marker: str, start: int) -> int:
    """Position of the next `marker` that is no part of a longer run, nor inside code, math or another
    token; -1 without one.

    A failed search is remembered, so that a paragraph full of openers is still read in linear time.
    """
    dead = state.env.setdefault("no_closer", set())
    key = (marker, len(state.src), state.posMax, id(state.tokens))
    if key in dead:
        return -1
    before = state.pos
    state.pos = start
    while state.pos < state.posMax:
        run = _run(state, marker[0])
        if run == len(marker) and not state.src[state.pos - 1].isspace():
            found, state.pos = state.pos, before
            return found
        if run:
            state.pos += run
        else:
            state.md.inline.skipToken(state)
    state.pos = before
    dead.add(key)
    return -1


def _run(state: StateInline, character: str) -> int:
    """How often `character` stands at the current position, in a row."""
    end = state.pos
    while end < state.posMax and state.src[end] == character:
        end += 1
    return end - state.pos


def _highlight(state: StateInline, silent: bool) -> bool:
    start = state.pos
    if state.src[start] != "=" or (start and state.src[start - 1] == "=") or _run(state, "=") != 2:
        return False
    if start + 2 >= state.posMax or state.src[start + 2].isspace() or silent:
        return False
    end = _closer(state, "==", start + 2)
    if end <= start + 2 or end + 2 > state.posMax:
        return False
    maximum = state.posMax
    state.push("mark_open", "mark", 1)
    state.pos, state.posMax = start + 2, end
    state.md.inline.tokenize(state)
    state.push("mark_close", "mark", -1)
    state.pos, state.posMax = end + 2, maximum
    return True


def _comment(state: StateInline, silent: bool) -> bool:
    if not state.src.startswith("%%", state.pos):
        return False
    end = state.src.find("%%", state.pos + 2, state.posMax)
    if end < 0:
        return False
    state.pos = end + 2
    return True


def _comment_block(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    """A comment that begins a line. One that is never closed hides the rest of its container, as in
    Obsidian: publishing a half-written comment is the worse surprise. It is reported."""
    start = state.bMarks[start_line] + state.tShift[start_line]
    if not state.src.startswith("%%", start) or state.is_code_block(start_line):
        return False
    same_line = state.src.find("%%", start + 2, state.eMarks[start_line])
    if same_line >= 0:
        if state.src[same_line + 2 : state.eMarks[start_line]].strip():
            return False  # text follows on the line: an inline comment at the start of a paragraph
        if not silent:
            state.line = start_line + 1
        return True
    if silent:
        return True
    line = start_line + 1
    while line < end_line and not _ends_container(state, line):
        close = state.src.find("%%", state.bMarks[line], state.eMarks[line])
        if close >= 0:
            state.line = _after(state, line, close + 2)
            return True
        line += 1
    state.env.setdefault("comment_unclosed", []).append(start_line)
    state.line = line
    return True


def _ends_container(state: StateBlock, line: int) -> bool:
    return state.sCount[line] < state.blkIndent and not state.isEmpty(line)


def _after(state: StateBlock, line: int, position: int) -> int:
    """Go on behind a comment that ends within a line: what follows on it is shown."""
    rest = state.src[position : state.eMarks[line]]
    if not rest.strip():
        return line + 1
    state.bMarks[line] = position
    state.tShift[line] = len(rest) - len(rest.lstrip())
    state.sCount[line] = state.blkIndent
    return line

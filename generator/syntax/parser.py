"""The Markdown parser: CommonMark, GFM and the dialect's own rules, put together.

markdown-it is a library for one page at a time and trusts its author a little more than we do. Where it would
drop text without a word, lose a place or recurse too deep, its rules are wrapped here.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from mdit_py_plugins.deflist import deflist_plugin
from mdit_py_plugins.dollarmath import dollarmath_plugin
from mdit_py_plugins.footnote import footnote_plugin
from mdit_py_plugins.gfm_autolink import gfm_autolink_plugin

from generator.syntax.block_id import block_id_plugin
from generator.syntax.callout import callout_plugin
from generator.syntax.cells import cell_plugin
from generator.syntax.foreign import foreign_plugin
from generator.syntax.inline import ask_few
from generator.syntax.spans import comment_plugin, highlight_plugin
from generator.syntax.table import table_plugin
from generator.syntax.tag import tag_plugin
from generator.syntax.wikilink import wikilink_plugin

# How deep brackets are looked at within brackets. Each level is four Python frames, and an unclosed bracket
# is looked at once for each level, so this is far less than for blocks (markdown-it has one limit for both).
_INLINE_NESTING = 20

# The rules that are wrapped, and the character that each begins with.
_LOCATED = {
    "link": "[",
    "image": "!",
    "html_inline": "<",
    "autolink": "<",
    "math_inline": "$",
    "footnote_inline": "^",
}
_NESTED = ("image", "footnote_inline")  # these parse their content as a text of its own


@lru_cache(maxsize=4)
def parser(nesting: int) -> MarkdownIt:
    """The parser. Blocks deeper than `nesting` become `too_deep` tokens with their text.

    It leaves in `env`: `too_deep` (lines), `comment_unclosed` (lines), `footnote_lines` (of each label, the
    lines of its definitions) and the footnotes themselves. Inline tokens have their place in the text of
    their block in `meta["pos"]`.
    """
    md = MarkdownIt("commonmark", {"maxNesting": nesting, "tasklists": True, "html": True})
    md.enable(["table", "strikethrough"])
    md.use(gfm_autolink_plugin)
    md.use(footnote_plugin)
    md.use(deflist_plugin)
    md.use(dollarmath_plugin, allow_labels=False, allow_space=False, allow_digits=False, double_inline=True)
    for plugin in (wikilink_plugin, tag_plugin, highlight_plugin, comment_plugin, cell_plugin):
        md.use(plugin)
    md.use(foreign_plugin)  # its core rule goes before the cells': directives may hold cells
    md.use(callout_plugin)
    md.use(block_id_plugin)
    md.use(table_plugin)
    md.core.ruler.before("footnote_tail", "footnote_places", _footnote_places)
    md.block.tokenize = partial(_tokenize, md.block.tokenize)  # type: ignore[method-assign]
    _let_math_interrupt(md)
    for name, first in _LOCATED.items():
        md.inline.ruler.at(name, _located(_rule(md.inline.ruler, name).fn, first, name in _NESTED))
    ask_few(md)
    md.inline.skipToken = partial(_skip_token, md.inline.skipToken)  # type: ignore[method-assign]
    md.validateLink = lambda url: True  # type: ignore[method-assign]  # schemes are judged when rendering
    return md


def _rule(ruler: Any, name: str) -> Any:
    return next(rule for rule in ruler.__rules__ if rule.name == name)


def _located(rule: Callable[..., bool], first: str, nested: bool) -> Callable[[StateInline, bool], bool]:
    """The inline `rule`, made to note in its first token where in the text it began, to stay within the part
    of the text that is being parsed, and to give up where it would recurse too deep."""

    def located(state: StateInline, silent: bool) -> bool:
        if state.src[state.pos] != first:
            return False
        start, count, depth = state.pos, len(state.tokens), state.env.get("depth", 0)
        if depth >= _INLINE_NESTING:
            return False
        if state.posMax < len(state.src) and not _stays_within(rule, state):
            return False
        state.env["depth"] = depth + (nested and not silent)
        matched = rule(state, silent)
        state.env["depth"] = depth
        if matched and not silent:
            token = next((one for one in state.tokens[count:] if one.type != "text"), None)
            if token is not None:
                token.meta = {**token.meta, "pos": start}
        return matched

    return located


def _stays_within(rule: Callable[..., bool], state: StateInline) -> bool:
    """Whether the rule matches here without reading past the end of the part that is parsed."""
    start = state.pos
    within = rule(state, True) and state.pos <= state.posMax
    state.pos = start
    return within


def _skip_token(original: Callable[[StateInline], None], state: StateInline) -> None:
    """As markdown-it does at its own limit: what is nested deeper is skipped whole. That is what keeps
    a thousand unclosed brackets from being looked at a million times."""
    if state.level < _INLINE_NESTING or state.pos in state.cache:
        original(state)
    else:
        state.cache[state.pos] = state.pos = state.posMax


def _let_math_interrupt(md: MarkdownIt) -> None:
    """A line `$$` ends a paragraph, as in Obsidian, if the formula that it begins has an end, and unless it
    is itself the end of one that began in the paragraph."""
    math = _rule(md.block.ruler, "math_block")

    def rule(state: StateBlock, start: int, end: int, silent: bool) -> bool:
        begin = state.bMarks[start] + state.tShift[start]
        if not state.src.startswith("$$", begin) or not _may_end(state, start, begin, end):
            return False
        if not silent:
            return bool(math_block(state, start, end, silent))
        if state.parentType == "paragraph" and _is_open(state, start):
            return False
        count, line = len(state.tokens), state.line
        found = bool(math_block(state, start, end, False))
        del state.tokens[count:]
        state.line = line
        return found

    math_block = math.fn
    md.block.ruler.at("math_block", rule, {"alt": ["paragraph", "reference", "blockquote", "list"]})


def _is_open(state: StateBlock, start: int) -> bool:
    """Whether a `$$` within the paragraph that is being read, up to the line `start`, has no partner yet."""
    return state.src.count("$$", state.bMarks[state.line], state.bMarks[start]) % 2 == 1


def _may_end(state: StateBlock, start: int, begin: int, end: int) -> bool:
    """Whether a line ends in `$$` from here on. The lines that do are found once for a text: a thousand
    formulas that nobody closes are not each looked for to the end."""
    if state.src[begin + 2 : state.eMarks[start]].rstrip().endswith("$$"):
        return True
    ends = state.env.setdefault("math_ends", {})
    if state.src not in ends:
        rows = zip(state.bMarks, state.eMarks, strict=True)
        ends[state.src] = [n for n, (a, b) in enumerate(rows) if state.src[a:b].rstrip().endswith("$$")]
    found = bisect_right(ends[state.src], start)
    return found < len(ends[state.src]) and ends[state.src][found] < end


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


# ---------------------------------------------------------------- footnotes


def _footnote_places(state: StateCore) -> None:
    """Remember where footnotes are: markdown-it drops unused and repeated ones without a word, and mixes up
    a footnote that is defined within another."""
    lines: dict[str, list[int]] = {}
    for token in state.tokens:
        if token.type == "footnote_reference_open":
            lines.setdefault(token.meta["label"], []).append(token.map[0] if token.map else 0)
    state.env["footnote_lines"] = lines
    if lines:
        state.tokens = _apart(state.tokens)
    if any("tokens" in note for note in state.env.get("footnotes", {}).get("list", {}).values()):
        _place_inline_footnotes(state)


def _apart(tokens: list[Token]) -> list[Token]:
    """The tokens with footnotes that are defined within another footnote moved behind it."""
    done: list[Token] = []
    open_: list[list[Token]] = [done]
    closed: list[list[Token]] = []
    for token in tokens:
        if token.type == "footnote_reference_open":
            open_.append([])
        open_[-1].append(token)
        if token.type == "footnote_reference_close":
            closed.append(open_.pop())
            if len(open_) == 1:
                done.extend(one for footnote in reversed(closed) for one in footnote)
                closed = []
    return done


def _place_inline_footnotes(state: StateCore) -> None:
    """Give each `^[…]` the line at which its text begins."""
    notes = state.env["footnotes"]["list"]
    for token in state.tokens:
        if token.type == "inline" and "^[" in token.content and token.map:
            _place_within(token.children or [], token.content, token.map[0], notes)
    for note in notes.values():  # an outer one comes before the ones within it
        if "tokens" in note and "line" in note:
            _place_within(note["tokens"], note["content"], note["line"], notes)


def _place_within(children: list[Token], content: str, line: int, notes: dict[int, Any]) -> None:
    for child in children:
        if child.type == "footnote_ref" and "pos" in child.meta:
            notes[child.meta["id"]]["line"] = line + content.count("\n", 0, child.meta["pos"])

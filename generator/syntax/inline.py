"""The loop over a text's inline rules: at each character only those are asked that can begin with it.

markdown-it asks all of its rules, two dozen with ours, at each character that may begin something. The rules
and their order stay as they are; what changes is only that a rule is not asked where it would say no.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline

Rule = Callable[[StateInline, bool], bool]

BEGINS = {
    "newline": "\n",
    "math_inline": "$",
    "escape": "\\",
    "comment": "%",
    "role": "{",
    "backticks": "`",
    "strikethrough": "~",
    "highlight": "=",
    "emphasis": "*_",
    "wikilink": "[",
    "tag": "#",
    "link": "[",
    "embed": "!",
    "image": "!",
    "footnote_inline": "^",
    "footnote_ref": "[",
    "autolink": "<",
    "html_inline": "<",
    "entity": "&",
    "gfm_autolink_www": "w",
    "gfm_autolink_protocol": ":",
    "gfm_autolink_email": "@",
}
"""The characters that each rule can begin with. `text` is everything else."""


def ask_few(md: MarkdownIt) -> None:
    """Make a parser whose rules are complete ask only those that `BEGINS` with a character.

    Raises KeyError for a rule that is not in the table.
    """
    rules: dict[str, list[Rule]] = {}
    for name, rule in zip(md.inline.ruler.get_active_rules(), md.inline.ruler.getRules(""), strict=True):
        for character in "" if name == "text" else BEGINS[name]:
            rules.setdefault(character, []).append(rule)
    begins = {character: tuple(those) for character, those in rules.items()}
    stop = md.inline.terminator_re.pattern
    assert stop.count("w") == 1, "not each w is worth a stop"
    begin = re.compile(stop.replace("w", "") + r"|w(?=ww\.)").search
    md.inline.tokenize = partial(_tokenize, begins, begin)  # type: ignore[method-assign]
    md.inline.skipToken = partial(_skip_token, begins, begin)  # type: ignore[method-assign]


Begins = dict[str, tuple[Rule, ...]]
Search = Callable[[str, int], re.Match[str] | None]


def _tokenize(begins: Begins, begin: Search, state: StateInline) -> None:
    """`ParserInline.tokenize`: tokens for the text from `state.pos` to `state.posMax`."""
    source, end = state.src, state.posMax
    limit = state.md.options["maxNesting"]
    while (position := state.pos) < end:
        rules = begins.get(source[position])
        if state.level >= limit:
            stop = position + 1
        elif rules and _matches(rules, state, False):
            continue
        else:
            stop = _end_of_text(begin, state, position)
        state.append_pending(source[position:stop])
        state.pos = stop
    if state.pending:
        state.pushPending()


def _skip_token(begins: Begins, begin: Search, state: StateInline) -> None:
    """`ParserInline.skipToken`: past one token, without making it."""
    position, cache = state.pos, state.cache
    if position in cache:
        state.pos = cache[position]
        return
    if state.level >= state.md.options["maxNesting"]:
        state.pos = state.posMax + 1
    else:
        rules = begins.get(state.src[position])
        state.level += 1
        matched = rules and _matches(rules, state, True)
        state.level -= 1
        if not matched:
            state.pos = _end_of_text(begin, state, position)
    cache[position] = state.pos


def _matches(rules: tuple[Rule, ...], state: StateInline, silent: bool) -> bool:
    return any(rule(state, silent) for rule in rules)


def _end_of_text(begin: Search, state: StateInline, position: int) -> int:
    """Where text at `position` meets a character that may begin or end something; one that is left as text
    stands alone, for brackets are counted by it."""
    found = begin(state.src, position)
    return min(max(found.start(), position + 1), state.posMax) if found else state.posMax

"""Syntax of MyST and Quarto that notes bring along: directives, colon fences, roles, targets, block breaks.

What has a counterpart in the dialect becomes it (admonitions are callouts, figures are images); what has
none stays readable as text and is reported once for each name.
"""

from __future__ import annotations

from functools import partial
from itertools import takewhile

from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from mdit_py_plugins.colon_fence import colon_fence_plugin

from generator.model import block_id_of
from generator.syntax.callout import TYPES, callout_tokens, default_title
from generator.syntax.cells import language

_ADMONITIONS = frozenset(TYPES) | {
    *("admonition", "seealso", "dropdown", "versionadded", "versionchanged", "deprecated", "topic")
}
_TEXT_ROLES = frozenset({"numref", "eq", "term", "abbr", "any", "download", "sub", "sup"})
_Named = tuple[str, int]
_LINK_ROLES = frozenset({"doc", "ref", "std:doc", "std:ref"})


def foreign_plugin(md: MarkdownIt) -> None:
    """Directives are unfolded right after block parsing; roles are an inline rule."""
    md.use(colon_fence_plugin)
    md.core.ruler.after("block", "foreign", _unfold)
    md.inline.ruler.before("backticks", "role", _role)


def _unfold(state: StateCore) -> None:
    state.tokens = _unfolded(state.tokens, state, depth=0)


def _unfolded(tokens: list[Token], state: StateCore, depth: int) -> list[Token]:
    out: list[Token] = []
    named: list[_Named] = []  # the targets that wait for their block
    i = 0
    while i < len(tokens):
        token = tokens[i]
        if token.type == "paragraph_open" and (found := _targets(token, *tokens[i + 1 : i + 4])):
            named += found
            if not tokens[i + 1].content:
                i += 3
                continue
        if token.type == "paragraph_open" and state.env.get("notebook") and _is_break(tokens[i + 1]):
            i += 2
        else:
            directive = token.type in ("fence", "colon_fence") and depth < 20 and _is_directive(token)
            blocks = _directive(token, state, depth) if directive else [token]
            if named and blocks:
                blocks[0].meta = {**blocks[0].meta, "targets": tuple(named)}
                named = []
            out += blocks
        i += 1
    return out


def _targets(opening: Token, inline: Token, closing: Token, following: Token | None = None) -> list[_Named]:
    """The names and lines of the MyST targets, `(name)=`, that a paragraph begins with; they are taken out of
    it. There are none where no block follows that they could name."""
    if not inline.content.startswith("("):
        return []
    line = inline.map[0] if inline.map else 0
    rows = inline.content.split("\n")
    names = list(takewhile(bool, map(_target, rows)))
    if not names or (len(names) == len(rows) and (following is None or following.nesting < 0)):
        return []
    inline.content = "\n".join(rows[len(names) :])
    inline.map = opening.map = [line + len(names), inline.map[1] if inline.map else 0]
    return [(name, line + n) for n, name in enumerate(names)]


def _target(text: str) -> str:
    text = text.strip()
    whole = text.startswith("(") and text.endswith(")=") and not any(c in "()" for c in text[1:-2])
    return block_id_of(text[1:-2]) if whole else ""


def _is_break(inline: Token) -> bool:
    """In a notebook, `+++` between two cells of text."""
    text = inline.content.strip()
    return text.startswith("+++") and "\n" not in text


def _is_directive(token: Token) -> bool:
    if token.type == "colon_fence":
        return True
    info = token.info.strip()
    return info.startswith("{") and "}" in info and language(info)[0] != "cell"


def _directive(token: Token, state: StateCore, depth: int) -> list[Token]:
    name, argument = _name(token.info)
    body, skipped = _without_options(token.content)
    line_of = token.map[0] if token.map else 0
    line = line_of + 1 + skipped
    heading = partial(_blocks, state=state, line=line_of, depth=depth, level=token.level)
    if name in _ADMONITIONS or name.startswith("callout-"):
        kind = name.removeprefix("callout-")
        title = argument or default_title("note" if kind in ("admonition", "topic") else kind)
        fold = "-" if kind == "dropdown" else ""
        inner = _blocks(body, state, line, depth, token.level + 1)
        return callout_tokens(kind, title, fold, line - 1, inner, token.level)
    if name in ("figure", "image"):
        options = [argument, *(_option(token.content, key) for key in ("alt", "width"))]
        picture = "|".join(option for option in options if option)
        shown = heading(f"![[{picture}]]" if picture else "")
        return [*shown, *_blocks(body, state, line, depth, token.level)]
    if name == "math":
        return [Token("math_block", "math", 0, content=body, map=token.map, block=True, level=token.level)]
    if name == "toctree":
        return _contents(body, state, line, depth, token.level)
    if token.type == "colon_fence":
        state.env.setdefault("foreign", []).append((name, line_of))
        title = f"**{argument}**" if argument else ""
        return [*heading(title), *_blocks(body, state, line, depth, token.level)]
    token.type = "fence"
    token.content = f"{argument}\n{token.content}" if argument else token.content
    token.meta = {**token.meta, "foreign": name}
    return [token]


def _name(info: str) -> tuple[str, str]:
    """Name and argument of `{note} Title`, `note Title` or Quarto's `{.callout-note title="…"}`."""
    text = info.strip()
    if not text.startswith("{"):
        name, _, argument = text.partition(" ")
        return name.lower(), argument.strip()
    inside, _, argument = text[1:].partition("}")
    if inside.startswith("."):
        name, _, attributes = inside[1:].partition(" ")
        _, _, title = attributes.partition('title="')
        return name.lower(), title.partition('"')[0]
    return inside.strip().lower(), argument.strip()


def _without_options(content: str) -> tuple[str, int]:
    """The content of a directive without its `:option: value` lines, and how many those were."""
    lines = content.split("\n")
    n = 0
    while (
        n < len(lines) and lines[n].startswith(":") and ":" in lines[n][1:] and not lines[n].startswith(":::")
    ):
        n += 1
    return "\n".join(lines[n:]), n


def _option(content: str, key: str) -> str:
    """The value of the `:key: value` line of a directive; of a width, its pixels."""
    for line in content.split("\n"):
        if line.startswith(f":{key}:"):
            value = line.removeprefix(f":{key}:").strip()
            return value.removesuffix("px") if key == "alt" or value.removesuffix("px").isdigit() else ""
    return ""


def _contents(body: str, state: StateCore, line: int, depth: int, level: int) -> list[Token]:
    """A toctree as a list of links."""
    rows = [(n, text.strip()) for n, text in enumerate(body.split("\n"), line) if text.strip()]
    tokens = _blocks("\n".join(f"- {_entry(text)}" for _, text in rows), state, 0, depth, level)
    for token in tokens:
        if token.map:  # an entry for each line that is not blank
            first = rows[min(token.map[0], len(rows) - 1)][0]
            token.map = [first, first + 1]
    return tokens


def _entry(text: str) -> str:
    """`title <target>` or `target`; anything else is text."""
    if any(c in text for c in "[]|`\\"):
        return text
    title, angle, target = text.removesuffix(">").rpartition("<")
    return f"[{title.strip()}](<{target}>)" if angle and text.endswith(">") else f"[](<{text}>)"


def _blocks(text: str, state: StateCore, line: int, depth: int, level: int) -> list[Token]:
    """Parse `text`, which stands at `line` of the note, as blocks."""
    tokens: list[Token] = []
    state.md.block.parse(text, state.md, state.env, tokens)
    for token in tokens:
        token.level += level
        if token.map:
            token.map = [token.map[0] + line, token.map[1] + line]
    return _unfolded(tokens, state, depth + 1)


def _role(state: StateInline, silent: bool) -> bool:
    """`{name}`text``: the role's text, as code or as words."""
    start = state.pos
    if state.src[start] != "{":
        return False
    brace = state.src.find("}", start, min(state.posMax, start + 60))
    if brace < 0 or not state.src.startswith("`", brace + 1):
        return False
    name = state.src[start + 1 : brace]
    if not name or not all(c.isalnum() or c in "_-+:." for c in name):
        return False
    ticks = brace + 1
    while ticks < state.posMax and state.src[ticks] == "`":
        ticks += 1
    fence = state.src[brace + 1 : ticks]
    end = state.src.find(fence, ticks, state.posMax)
    if end < 0 or state.src.startswith("`", end + len(fence)):
        return False
    if not silent:
        _push_role(state, name, state.src[ticks:end].replace("\n", " ").strip(), start)
    state.pos = end + len(fence)
    return True


def _push_role(state: StateInline, name: str, content: str, start: int) -> None:
    text, angle, target = content.partition("<")
    words, target = (text.strip(), target.rstrip(">")) if angle else (content, content)
    if name in ("math", "eval:math"):
        token = state.push("math_inline", "math", 0)
        token.content, token.meta = content, {"pos": start}
        return
    if name in _LINK_ROLES:
        token = state.push("wikilink_open", "a", 1)
        shown = words if angle else None
        role = name.removeprefix("std:")
        token.meta = {"target": target, "anchor": (), "text": shown, "pos": start, "role": role}
        if angle:
            state.push("text", "", 0).content = words
        state.push("wikilink_close", "a", -1)
        return
    token = state.push("role_text" if name in _TEXT_ROLES else "role_code", "", 0)
    token.content = words.rpartition(".")[2] if content.startswith("~") else words
    token.meta = {"role": name, "pos": start}

"""`> [!type|meta]± Title` as a core rule: block quotes that begin so become callouts."""

from __future__ import annotations

from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.token import Token

TYPES = {
    "note": "note",
    **dict.fromkeys(("abstract", "summary", "tldr"), "abstract"),
    "info": "info",
    "todo": "todo",
    **dict.fromkeys(("tip", "hint", "important"), "tip"),
    **dict.fromkeys(("success", "check", "done"), "success"),
    **dict.fromkeys(("question", "help", "faq"), "question"),
    **dict.fromkeys(("warning", "caution", "attention"), "warning"),
    **dict.fromkeys(("failure", "fail", "missing"), "failure"),
    **dict.fromkeys(("danger", "error"), "danger"),
    "bug": "bug",
    "example": "example",
    **dict.fromkeys(("quote", "cite"), "quote"),
}
"""Every name an author may write, and the type it is shown as; any other name is shown as a note."""


def callout_plugin(md: MarkdownIt) -> None:
    """Runs before inline parsing, so that the title is parsed as inline text of its own."""
    md.core.ruler.before("inline", "callout", _callouts)


def callout_tokens(kind: str, title: str, fold: str, line: int, body: list[Token], level: int) -> list[Token]:
    """The tokens of a callout around `body`; used for MyST and Quarto admonitions as well."""
    opening = Token("callout_open", "div", 1, level=level, block=True, map=[line, line + 1])
    known = kind.lower() in TYPES
    name = "" if known else kind.lower()  # a type of the author's own, for a theme of the author's own
    opening.meta = {"type": TYPES[kind.lower()] if known else "note", "name": name}
    opening.meta |= {"fold": fold, "bare": not body}
    inline = Token(
        "inline", "", 0, level=level + 1, content=title, map=[line, line + 1], children=[], block=True
    )
    return [
        opening,
        Token("callout_title_open", "", 1, level=level, block=True, meta=opening.meta),
        inline,
        Token("callout_title_close", "", -1, level=level, block=True, meta=opening.meta),
        *body,
        Token("callout_close", "div", -1, level=level, block=True, meta=opening.meta),
    ]


def default_title(kind: str) -> str:
    """The type as written, with a capital: `faq` is shown as `Faq`, GitHub's `NOTE` as `Note`."""
    return kind.capitalize() if kind.islower() or kind.isupper() else kind


def _head(content: str) -> tuple[str, str, str, str] | None:
    """Read `[!type|meta]± Title⏎rest` into type, fold, title, rest; None where it is an ordinary quote."""
    first, _, rest = content.partition("\n")
    end = first.find("]")
    if not first.startswith("[!") or end < 0:
        return None
    kind = first[2:end].partition("|")[0].strip()
    if not kind or not all(c.isalnum() or c in "-_ " for c in kind):
        return None
    title = first[end + 1 :]
    fold = title[:1] if title[:1] in ("+", "-") else ""
    title = title[len(fold) :].strip()
    return kind, fold, title or default_title(kind), rest


def _callouts(state: StateCore) -> None:
    tokens = state.tokens
    if not any(token.type == "blockquote_open" for token in tokens):
        return
    out: list[Token] = []
    closers: list[tuple[Token, int]] = []  # callouts still open: their opening token, its quote's level
    i = 0
    while i < len(tokens):
        token = tokens[i]
        head = _quote_head(tokens, i)
        if head:
            line = token.map[0] if token.map else 0
            made = callout_tokens(head[0], head[2], head[1], line, [], token.level)
            out.extend(made[:-1])
            closers.append((made[0], token.level))
            i += _without_head(tokens, i, head[3])
            made[0].meta["bare"] = tokens[i].type == "blockquote_close"
            continue
        if token.type == "blockquote_close" and closers and closers[-1][1] == token.level:
            opening, _ = closers.pop()
            out.append(Token("callout_close", "div", -1, level=token.level, block=True, meta=opening.meta))
        else:
            if token.type == "blockquote_open":
                closers.append((token, -1 - token.level))  # an ordinary quote: its close is kept
            elif token.type == "blockquote_close":
                closers.pop()
            out.append(token)
        i += 1
    state.tokens = out


def _quote_head(tokens: list[Token], i: int) -> tuple[str, str, str, str] | None:
    """The callout head that the quote at `tokens[i]` begins with, or None."""
    if tokens[i].type != "blockquote_open" or not _is_text(tokens[i + 1]):
        return None
    return _head(tokens[i + 2].content)


def _is_text(token: Token) -> bool:
    """A paragraph, or one with a line of hyphens below it, which Markdown takes for a heading."""
    return token.type == "paragraph_open" or (token.type == "heading_open" and token.markup in ("-", "="))


def _without_head(tokens: list[Token], i: int, rest: str) -> int:
    """Take the head out of the text that begins the quote at `tokens[i]`. Gives the number of tokens that
    are done with."""
    opening, inline, closing = tokens[i + 1 : i + 4]
    if rest:
        inline.content = rest
        inline.map = [inline.map[0] + 1, inline.map[1]] if inline.map else None
        opening.map = inline.map
        return 1
    if opening.type == "heading_open":
        closing.type, closing.tag, closing.nesting, closing.map = "hr", "hr", 0, inline.map
        return 3
    return 4

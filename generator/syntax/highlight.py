"""Code as markup with Pygments' classes."""

from __future__ import annotations

from functools import lru_cache
from html import escape
from typing import Any

_LONGEST = 50_000  # characters; a longer listing is shown plainly: colouring it would take seconds


@lru_cache(maxsize=128)  # the same cell is shown on its page, in its preview and wherever it is embedded
def highlight(code: str, language: str) -> str:
    """`code` as the inside of a `code` element: tokens in `span`s with Pygments' short class names.

    An unknown language, a very long listing, or one that its lexer does not give back whole, gives the
    escaped text alone.
    """
    lexer = _lexer(language.strip().lower()) if len(code) <= _LONGEST else None
    if lexer is None:
        return escape(code, quote=False)
    from pygments import format  # on first use: it costs 30 ms to import, and many notes hold no code

    tokens = list(lexer.get_tokens(code))
    if "".join(text for _, text in tokens) != code + "\n":
        return escape(code, quote=False)
    kind, last = tokens[-1]
    marked: str = format([*tokens[:-1], (kind, last[:-1])], _formatter())
    return marked.rstrip("\n")


@lru_cache(maxsize=64)
def _lexer(language: str) -> Any:
    if not language:
        return None
    from pygments.lexers import get_lexer_by_name
    from pygments.util import ClassNotFound

    try:
        # With a newline at the end, which lexers that read line by line need to see the last one.
        return get_lexer_by_name(language, stripnl=False, ensurenl=True)
    except ClassNotFound:
        return None


@lru_cache(maxsize=1)
def _formatter() -> Any:
    from pygments.formatters import HtmlFormatter

    return HtmlFormatter(nowrap=True)

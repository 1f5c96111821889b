"""Pages to bytes: the only room that sees a template, a style sheet or a highlighter.

Jinja2 and Pygments are imported on first use, so that a build in which every page is remembered
pays for neither. Nothing here decides what a page says: that is all in `Page`.
"""

from __future__ import annotations

from functools import lru_cache
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .model import Html, OutPath, Page
from .syntax import math

if TYPE_CHECKING:
    from .config import Config

CSP = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "media-src 'self'",
        "connect-src 'self'",
        "frame-src 'self'",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types garden",
    )
)
"""The content security policy of every page; `frame-ancestors` is missing because `<meta>` cannot set it."""

SHEETS = ("tokens", "page", "prose", "parts", "code", "print")
"""The style sheets in cascade order: one file for the reader, six for whoever changes them."""

NO_COLOURS = frozenset({"", "text", "plain", "plaintext", "txt", "output", "none"})


def render(page: Page, config: Config) -> bytes:
    """The bytes of a page, UTF-8. A field that a template asks for and `page` lacks raises: that is our bug."""
    html: str = _template(page.template).render(page=page, data=page.data, config=config)
    return html.encode()


def static_files() -> dict[OutPath, bytes]:
    """Everything a page loads, by its place in the site: one style sheet, scripts, fonts, icons, licences."""
    folder = _folder("static")
    sheets = [(folder / "css" / f"{name}.css").read_text("utf-8") for name in SHEETS]
    files = {OutPath("static/garden.css"): "\n".join((*sheets, math.stylesheet())).encode()}
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if path.is_file() and relative.parts[0] != "css":
            files[OutPath(f"static/{relative.as_posix()}")] = path.read_bytes()
    return files


def highlight(code: str, language: str) -> Html:
    """`code` as markup with Pygments' short classes, without a surrounding element; every character of it
    is kept. A language that Pygments does not know gives plain escaped text."""
    lexer = _lexer(language.strip().lower())
    if lexer is None:
        return Html(escape(code, quote=False))
    from pygments import highlight as colour

    marked: str = colour(code, lexer, _formatter())
    return Html(marked if code.endswith("\n") else marked.removesuffix("\n"))


@lru_cache(maxsize=1)
def _environment() -> Any:
    """One environment a process: templates are compiled once, on their first page."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_folder("templates")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        cache_size=-1,
    )
    environment.globals["csp"] = Html(CSP)
    return environment


@lru_cache
def _template(name: str) -> Any:
    return _environment().get_template(f"{name}.html")


@lru_cache
def _lexer(language: str) -> Any:
    if language in NO_COLOURS:
        return None
    from pygments.lexers import get_lexer_by_name
    from pygments.util import ClassNotFound

    try:
        return get_lexer_by_name(language, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return None


@lru_cache(maxsize=1)
def _formatter() -> Any:
    from pygments.formatters import HtmlFormatter

    return HtmlFormatter(nowrap=True)


def _folder(name: str) -> Path:
    """`templates` and `static` lie beside the package in a checkout and inside it when installed."""
    package = Path(__file__).parent
    inside = package / f"_{name}"
    return inside if inside.is_dir() else package.parent / name

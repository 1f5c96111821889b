"""Pages to bytes: the only room that sees a template or a style sheet.

Jinja2 is imported on first use, so that a build in which every page is remembered does not pay for it.
Nothing here decides what a page says: that is all in `Page`.
"""

from __future__ import annotations

import marshal
import re
from collections.abc import Mapping, MutableMapping
from functools import lru_cache
from pathlib import Path
from types import CodeType, MappingProxyType
from typing import TYPE_CHECKING, Any

from generator.model import GRADES, Html, OutPath, Page
from generator.pages.garden import address
from generator.syntax import math

if TYPE_CHECKING:
    from generator.config import Config
    from generator.memo import Caller

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

SHEETS = (
    *("tokens", "page", "prose", "sidenotes", "parts", "panes"),
    *("search", "graph", "claims", "code", "print"),
)
"""The style sheets in cascade order: one file for the reader, eleven for whoever changes them."""

SIDENOTES = 99
"""So many footnotes of a note can stand beside its text; `sidenotes.css` says what becomes of more."""


# A fifth of what a style sheet weighs is for those who change it, and they have the files that it is made of.
_COMMENT = re.compile(r"/\*.*?\*/\n*", re.DOTALL)


def render(page: Page, config: Config) -> bytes:
    """The bytes of a page, UTF-8. Data without a field that the template asks for raises: a bug of ours."""
    html: str = _template(page.template).render(
        page=page,
        data=page.data,
        config=config,
        address=address(config.base_url, page.out),
        assets=_part("assets", page.root, config),
        scripts=_part("scripts", page.root, config),
        masthead=_part("masthead", page.root, config),
        footer=_part("footer", page.root, config),
    )
    return html.encode()


def static_files(diagrams: bool = False) -> dict[OutPath, bytes]:
    """Everything a page loads, by its place in the site: one style sheet, scripts, fonts, icons, licences.

    `diagrams`: whether there are any to draw, which takes a library larger than all the rest."""
    static = folder("static")
    sheets = [(static / "css" / f"{name}.css").read_text("utf-8") for name in SHEETS]
    style = _COMMENT.sub("", "\n".join((*sheets, math.stylesheet(), _citations())))
    files = {OutPath("static/garden.css"): style.encode()}
    for path in sorted(static.rglob("*")):
        relative = path.relative_to(static)
        if relative.parts[0] == "css" or (relative.parts[0] == "vendor" and not diagrams):
            continue
        if path.is_file() and not path.name.startswith("."):
            files[OutPath(f"static/{relative.as_posix()}")] = path.read_bytes()
    return files


def _citations() -> str:
    """The name of each citation of a footnote, which places the footnote: a style sheet cannot count."""
    return "\n".join(f"#fnref-{n}, #fn-{n} {{ --cited: --cited-{n}; }}" for n in range(1, SIDENOTES + 1))


@lru_cache(maxsize=1)
def _environment() -> Any:
    """One environment a process: templates are compiled once, on their first page."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

    class Prepared(FileSystemLoader):
        """Takes what is compiled already, and compiles the rest."""

        codes: Mapping[str, CodeType] = MappingProxyType({})

        def load(
            self, environment: Environment, name: str, globals: MutableMapping[str, Any] | None = None
        ) -> Template:
            if name not in self.codes:
                return super().load(environment, name, globals)
            return Template.from_code(environment, self.codes[name], globals or {})

    environment = Environment(
        loader=Prepared(folder("templates")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        cache_size=-1,
    )
    environment.globals["csp"] = Html(CSP)
    environment.globals["grades"] = GRADES
    return environment


def prepare(call: Caller) -> None:
    """Have the templates compiled: `call` may remember what they became, and processes that are forked later
    find them ready."""
    environment = _environment()
    names = environment.list_templates()
    environment.loader.codes = dict(zip(names, map(marshal.loads, call.map(compiled, names)), strict=True))


def compiled(name: str) -> bytes:
    """The code of a template, as marshal writes it. What is in the template's file is a part of the version
    of the generator's code, and so of every key."""
    environment = _environment()
    source, filename, _ = environment.loader.get_source(environment, name)
    return marshal.dumps(environment.compile(source, name, filename))


@lru_cache
def _template(name: str) -> Any:
    return _environment().get_template(f"{name}.html")


@lru_cache
def _part(name: str, root: str, config: Config) -> Html:
    """What all pages of one depth have in common, rendered once: a third of the work for a short note."""
    return Html(_template(name).render(root=root, config=config))


def folder(name: str) -> Path:
    """Where `templates` or `static` are: beside the package in a checkout, inside it when installed."""
    package = Path(__file__).parent
    inside = package / f"_{name}"
    return inside if inside.is_dir() else package.parent / name

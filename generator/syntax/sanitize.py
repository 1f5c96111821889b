"""Markup that is not ours, made safe: authors' raw HTML and what cells output.

An allow-list throughout (elements, attributes, URL schemes), applied by `nh3` on the parsed document,
never by patterns over its text. Author ids get a prefix, so that no name of the page's own elements or of the
browser's global objects can be taken by a note. There are no `style` attributes: the page's
content security policy would ignore them anyway.

Text between U+FDD0 and U+FDD1 (noncharacters, which no source contains once it is scanned) passes
through unharmed in text, `href`, `src`, `poster` and `cite`; markup that is trusted travels so.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from html import escape, unescape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nh3 import Cleaner

ID_PREFIX = "user-"

_SCHEMES = frozenset({"http", "https", "mailto"})
_SCHEME = re.compile(r"([a-z][a-z0-9+.\-]*):")
# More than a browser skips: whatever could hide a scheme from a reader's eye is no reason to allow it.
_SKIPPED = re.compile(r"[\x00-\x20\x7f-\xa0\xad\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff]+")
_IMAGE_DATA = re.compile(r"data:image/(?:png|gif|jpeg|webp);base64,[A-Za-z0-9+/\s]*={0,2}", re.IGNORECASE)
_IMAGE_SOURCES = frozenset({("img", "src"), ("video", "poster")})
_ATTRIBUTE = re.compile(r' ([a-z-]+)="([^"]*)"')
_IMAGE = re.compile(r'<img((?: [a-z-]+="[^"]*")*)>')  # as the cleaner writes it
_URL_ATTRIBUTES = frozenset({"href", "src", "poster", "cite"})
_REWRITTEN = _URL_ATTRIBUTES | {"id", "name"}
_NAMES = frozenset({"id", "name", "headers", "aria-labelledby", "aria-describedby"})
# The page's own parts are known by these; a note must not dress its text as a verified result.
_OUR_CLASS = re.compile(r"(?:cell|badge|evidence|pane|spine|preview|backlink|problem)(?![a-z])")

_MATHML = frozenset(
    {
        *(
            "math",
            "mrow",
            "mi",
            "mn",
            "mo",
            "ms",
            "mtext",
            "mspace",
            "mfrac",
            "msqrt",
            "mroot",
            "msub",
            "msup",
        ),
        *("msubsup", "munder", "mover", "munderover", "mmultiscripts", "mprescripts", "mtable", "mtr", "mtd"),
        *("mphantom", "mpadded", "mstyle", "merror"),
    }
)

_TABLE = frozenset({"table", "caption", "colgroup", "col", "thead", "tbody", "tfoot", "tr", "th", "td"})

_PHRASING = frozenset(
    {
        *(
            "a",
            "abbr",
            "b",
            "bdi",
            "bdo",
            "br",
            "cite",
            "code",
            "data",
            "del",
            "dfn",
            "em",
            "i",
            "ins",
            "kbd",
        ),
        *("mark", "q", "rp", "rt", "ruby", "s", "samp", "small", "span", "strike", "strong", "sub", "sup"),
        *("time", "tt", "u", "var", "wbr", "img", "picture", "source", "audio", "video", "track", "progress"),
        *("meter", "label"),
    }
)

_MEDIA = frozenset({"picture", "source", "audio", "video", "track", "label", "meter", "progress"})

_FLOW = frozenset(
    {
        *("address", "article", "aside", "blockquote", "center", "dd", "details", "div", "dl", "dt"),
        *("figcaption", "figure", "footer", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hgroup", "hr"),
        *("li", "ol", "p", "pre", "section", "summary", "ul"),
    }
)

# Elements whose content is no text for a reader. Of others that are not allowed, the content stays.
DROPPED_WITH_CONTENT = frozenset(
    {
        *(
            "script",
            "style",
            "iframe",
            "template",
            "noembed",
            "noframes",
            "xmp",
            "title",
            "textarea",
            "select",
        ),
        *("svg", "annotation", "annotation-xml"),
    }
)

# Elements of HTML and SVG that are not allowed, while their content is.
_UNWRAPPED = frozenset(
    {
        *("html", "head", "body", "base", "basefont", "link", "meta", "noscript", "form", "input", "dir"),
        *("fieldset", "legend", "option", "optgroup", "datalist", "output", "object", "embed", "param"),
        *("area", "canvas", "dialog", "menu", "nav", "main", "search", "slot", "font", "big", "nobr", "map"),
        *("applet", "frame", "frameset", "marquee", "blink", "image", "acronym", "button", "tspan", "use"),
        *("rect", "line", "polyline", "polygon", "text", "defs", "g", "path", "circle", "ellipse"),
    }
)

ELEMENTS = _PHRASING | _FLOW | _TABLE | _MATHML | DROPPED_WITH_CONTENT | _UNWRAPPED
"""Every name that makes a tag a tag. Any other `<name>` is a word in angle brackets to its author."""

_ATTRIBUTES: dict[str, set[str]] = {
    "*": {"id", "class", "title", "lang", "dir", "role", "align", "valign", "width", "height", "translate"}
    | {"aria-label", "aria-hidden", "aria-labelledby", "aria-describedby"},
    "a": {"href", "hreflang", "name"},
    "abbr": {"title"},
    "audio": {"src", "controls", "loop", "muted", "preload"},
    "blockquote": {"cite"},
    "col": {"span"},
    "colgroup": {"span"},
    "data": {"value"},
    "del": {"cite", "datetime"},
    "details": {"open"},
    "img": {"src", "alt", "loading", "decoding"},
    "ins": {"cite", "datetime"},
    "li": {"value"},
    "meter": {"value", "min", "max", "low", "high", "optimum"},
    "ol": {"start", "reversed", "type"},
    "progress": {"value", "max"},
    "q": {"cite"},
    "source": {"src", "type", "media"},
    "table": {"border", "summary"},
    "td": {"colspan", "rowspan", "headers"},
    "th": {"colspan", "rowspan", "headers", "scope", "abbr"},
    "time": {"datetime"},
    "track": {"src", "kind", "srclang", "label", "default"},
    "video": {"src", "poster", "controls", "loop", "muted", "preload", "playsinline"},
    "math": {"display"},
    "mfrac": {"linethickness"},
    "mo": {"stretchy", "form", "fence", "separator", "lspace", "rspace", "minsize", "maxsize", "symmetric"}
    | {"movablelimits", "largeop", "accent"},
    "mi": {"mathvariant"},
    "mover": {"accent"},
    "munder": {"accentunder"},
    "munderover": {"accent", "accentunder"},
    "mstyle": {"displaystyle", "scriptlevel"},
    "mtable": {"displaystyle", "scriptlevel", "columnalign"},
    "mtd": {"columnspan", "rowspan"},
}


def clean(html: str, rewrite: Callable[[str, str, str], str | None] | None = None) -> str:
    """Authors' raw HTML with only what is allowed left in it.

    Pass a whole fragment: an unclosed element comes back closed, and a lone closing tag not at all. A
    placeholder inside a dropped element (`<svg>`, `<style>`, …) is dropped with it. `rewrite` is given the
    element, the attribute and the value of each URL, id and name that is left, and gives the value to write,
    or None.
    """
    if rewrite is None:
        return _shown(_author_cleaner().clean(html))

    def attribute(tag: str, name: str, value: str) -> str | None:
        kept = _author_attribute(tag, name, value)
        return rewrite(tag, name, kept) if kept is not None and name in _REWRITTEN else kept

    return _shown(_cleaner(_PHRASING | _FLOW | _TABLE | _MATHML, attribute).clean(html))


def clean_output(html: str) -> str:
    """The `text/html` output of a cell, made safe.

    Stricter than for authors: no ids, no media, no images but embedded ones (a page makes no request
    to another host for what a cell printed), and no classes but those of a table of data.
    """
    # The corner of a table of data heads nothing; an empty heading would be read out as one.
    return _shown(_output_cleaner().clean(html)).replace("<th></th>", "<td></td>")


def _shown(html: str) -> str:
    """Without images that have lost their source: what stands for such an image is its text."""
    return _IMAGE.sub(_image_or_text, html) if "<img" in html else html


def _image_or_text(image: re.Match[str]) -> str:
    attributes = dict(_ATTRIBUTE.findall(image[1]))
    if "src" in attributes:
        return image[0]
    return escape(unescape(attributes.get("alt", "")), quote=False)


def safe_url(url: str) -> bool:
    """May a link of a note lead there? True for relative URLs, `http:`, `https:` and `mailto:`.

    Read as a browser reads it, and more suspiciously: neither white space nor control characters nor
    HTML entities hide a scheme. `data:` is refused; see `safe_image_url`.
    """
    return _allowed(url) and _allowed(unescape(url))


def safe_image_url(url: str) -> bool:
    """As `safe_url`, and PNG, GIF, JPEG and WebP data in base64. Never SVG, which can hold script."""
    return safe_url(url) or _IMAGE_DATA.fullmatch(url.strip()) is not None


def _allowed(url: str) -> bool:
    plain = _SKIPPED.sub("", url).lower()
    scheme = _SCHEME.match(plain)
    if scheme:
        return scheme[1] in _SCHEMES
    return ":" not in re.split(r"[/?#]", plain, maxsplit=1)[0]


def _author_attribute(tag: str, name: str, value: str) -> str | None:
    if name in _URL_ATTRIBUTES:
        safe = safe_image_url(value) if (tag, name) in _IMAGE_SOURCES else safe_url(value)
        return value if safe else None
    if name in _NAMES:
        return " ".join(map(_prefixed, value.split())) or None
    if name == "class":
        return " ".join(word for word in value.split() if not _OUR_CLASS.match(word)) or None
    return value


def _output_attribute(tag: str, name: str, value: str) -> str | None:
    if name in _NAMES:
        return None
    if name == "class":
        return "dataframe" if "dataframe" in value.split() else None
    if tag == "img" and name == "src":
        return value if _IMAGE_DATA.fullmatch(value.strip()) else None
    return _author_attribute(tag, name, value)


def _prefixed(name: str) -> str:
    return name if name.startswith(ID_PREFIX) else ID_PREFIX + name


@lru_cache(maxsize=1)
def _author_cleaner() -> Cleaner:
    return _cleaner(_PHRASING | _FLOW | _TABLE | _MATHML, _author_attribute)


@lru_cache(maxsize=1)
def _output_cleaner() -> Cleaner:
    return _cleaner((_PHRASING - _MEDIA) | _FLOW | _TABLE | _MATHML, _output_attribute)


def _cleaner(tags: frozenset[str], attribute: Callable[[str, str, str], str | None]) -> Cleaner:
    from nh3 import Cleaner  # on first use: most notes have no raw HTML

    return Cleaner(
        tags=set(tags),
        clean_content_tags=set(DROPPED_WITH_CONTENT),
        attributes={tag: names for tag, names in _ATTRIBUTES.items() if tag in tags or tag == "*"},
        attribute_filter=attribute,
        url_schemes={*_SCHEMES, "data"},  # data: only for some images, by the attribute filters
        strip_comments=True,
        link_rel=None,  # `target` is not allowed, so there is no opener to protect
    )

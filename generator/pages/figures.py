"""Figures that suit the page around them, light or dark.

A picture that a page shows as a file cannot see the page's colours, but it knows whether it is shown on
light or on dark. So the colours of our own `matplotlibrc`, which are legible on both, are given names here,
and the names a pair of values each. What an author coloured keeps its colour, but for black lines and words,
which are ink. A figure on a ground of its own is left alone, and so is every other picture.
"""

from __future__ import annotations

import re

_SIGNATURE = '<style type="text/css">*{stroke-linejoin: round; stroke-linecap: butt}</style>'
_GROUND = re.compile(
    r'<g id="(?:figure|axes)_\d+">\s*<g id="patch_\d+">\s*<path d="[^"]*"(?: style="([^"]*)")?'
)
_CLEAR = re.compile(r"(?:fill: none|fill: #ffffff|opacity: 0)(?:;|$)")

# The colours of `matplotlibrc`: a name, and its values on light and on dark.
_PAIRS = {
    "#7a7a7a": ("words", "#5c5a52", "#aeaca2"),
    "#808080": ("lines", "#86847b", "#85837a"),
    "#2f86c9": ("c0", "#2678b8", "#62aee6"),
    "#d9822b": ("c1", "#cc7219", "#e8a25c"),
    "#2e9d6a": ("c2", "#258a5b", "#5cc492"),
    "#c9505a": ("c3", "#bf434e", "#e8818a"),
    "#8a6fc4": ("c4", "#7a5cba", "#b39ce4"),
    "#3fa3a8": ("c5", "#2c8f95", "#6fc7cc"),
    "#b58a1c": ("c6", "#a0780f", "#d6b048"),
    "#c06aa8": ("c7", "#b05798", "#dd97c9"),
}
_INK = ("ink", "#22211d", "#d8d5cc")
_GROUNDS = ("ground", "#ffffff", "#1e2124")
_NAMED = re.compile(r"((?:fill|stroke): )(" + "|".join(_PAIRS) + r")\b")


def _values(which: int) -> str:
    return "".join(f"--{pair[0]}:{pair[which]};" for pair in (*_PAIRS.values(), _INK, _GROUNDS))


_RULES = f"""
svg{{color-scheme:light dark;{_values(1)}}}
@media (prefers-color-scheme:dark){{svg{{{_values(2)}}}}}
[id^="text_"]{{fill:var(--ink)}}
:is([id^="line2d_"],[id^="patch_"],[id^="text_"]) [style*="stroke: #000000"]{{stroke:var(--ink)!important}}
:is([id^="line2d_"],[id^="text_"]) [style*="fill: #000000"]{{fill:var(--ink)!important}}
:is([id^="figure_"],[id^="axes_"])>[id^="patch_"]:first-child>[style*="fill: #ffffff"]{{fill:none!important}}
[id^="legend_"]>[id^="patch_"]>[style*="fill: #ffffff"]{{fill:var(--ground)!important}}
"""


def adapted(svg: str) -> str:
    """The figure with colours for light and for dark pages; `svg` itself where it isn't matplotlib's, or
    has a ground of its own."""
    head, signature, body = svg.partition(_SIGNATURE)
    if not signature or not all(_CLEAR.search(ground or "") for ground in _GROUND.findall(body)):
        return svg
    style = signature.replace("</style>", _RULES + "</style>")
    return head + style + _NAMED.sub(_name, body)


def _name(colour: re.Match[str]) -> str:
    return f"{colour[1]}var(--{_PAIRS[colour[2]][0]})"


def is_adapted(svg: str) -> bool:
    return "prefers-color-scheme" in svg[:4000]

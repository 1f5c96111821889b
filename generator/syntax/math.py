"""TeX to MathML, at build time.

The conversion is `math_core`'s. This file makes it safe and fit for a page: it bounds the nesting (the
converter recurses in native code, where too deep a formula would take the whole process down),
turns inline styles into classes (a strict content security policy ignores `style` attributes), and
gives up, with the reason, on what cannot be shown rightly. A formula is never shown as other mathematics.

`stylesheet` is the CSS that the classes need; a page without it shows its aligned equations unaligned.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from html import escape
from typing import Any

# The converter overflows the stack at about 4,000 levels of nesting (8 MB of stack), and each level takes
# at least one of these characters. The longest of 4,000 formulas in two public gardens has 171 of them.
_NESTING = re.compile(r"[\\{^_]")
_MAX_NESTING = 1000
_DEFINITION = re.compile(r"\\(?:def|gdef|edef|xdef|let|(?:re|provide)?newcommand|providecommand)(?![a-zA-Z])")
_MAX_EXPANSIONS = 20  # of commands that a formula defines itself: they multiply its nesting

# Control characters, and the noncharacters that mark trusted markup elsewhere in a note's HTML.
_FORBIDDEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ufdd0-\ufdef]")

# Numbers would start again at (1) in every formula, so only an explicit \tag numbers an equation,
# as in MathJax and Obsidian.
_NUMBERED = re.compile(r"\\(begin|end)\s*\{(equation|align|gather|multline)\}")
_LABEL = re.compile(r"\\label\s*\{[^{}]*\}")
_SMALLMATRIX = re.compile(r"\\(begin|end)\s*\{smallmatrix\}")
_SPLIT = re.compile(r"\\(begin|end)\s*\{split\}")
_CONTROL_NEWLINE = re.compile(r"((?:^|[^\\])(?:\\\\)*)\\\n")  # a backslash that ends a line is a space in TeX
_TEXT = re.compile(r"\\(?:text|mbox)\s*\{")
_TOKEN = re.compile(r"\\(?:begin|end|tag)\b|\\.|[{}]", re.DOTALL)

_MACROS = {
    "mathds": r"\mathbb{#1}",
    "pmb": r"\bm{#1}",
    "substack": r"\begin{subarray}{c}#1\end{subarray}",
    "thicksim": r"\sim",
}

_STYLED = re.compile(r'<(\w+)([^<>]*?) style="([^"<>]*)"([^<>]*)>')
_ID = re.compile(r'(<\w+[^<>]*?) id="[^"<>]*"')
# What browsers draw better when it is said in another way: the tilde of the keyboard has no wide forms, and
# the top of an f reaches over its superscript, which they make room for after large operators alone.
_BETTER = (
    ('<mo stretchy="true">~</mo>', '<mo stretchy="true">\u02dc</mo>'),
    ("<msup><mi>f</mi>", '<msup><mrow><mi>f</mi><mspace width="0.15em"/></mrow>'),
    ("&ApplyFunction;", "\u2061"),
)
_ANNOTATION = '<annotation encoding="application/x-tex">'
_MAX_NEGATIVE = 36

_TAG = re.compile(r"<(/?)(\w+)([^<>]*?)(/?)>")
_STYLE = re.compile(r' (displaystyle|scriptlevel)="([^"]*)"')
# Within these alone, scripts are as large as at the start of a formula.
_LEVEL = re.compile(r"math|semantics|mrow|mstyle|mpadded|mphantom|menclose|msqrt|mtable|mtr|mtd")

_CLASSES = {
    "width:100%": "math-full",
    "width:50%": "math-half",
    "width:7.5%": "math-edge",
    "text-align:left": "math-left",
    "text-align:right": "math-right",
    "justify-items:start": "",
    "justify-items:end": "",
    "padding-left:0": "math-pl0",
    "padding-left:0.1em": "math-pl1",
    "padding-left:0.1667em": "math-pl2",
    "padding-left:1em": "math-pl9",
    "padding-right:0": "math-pr0",
    "padding-right:0.1em": "math-pr1",
    "padding-right:0.1667em": "math-pr2",
    "padding-right:1em": "math-pr9",
    "padding-top:0": "math-pt0",
    "padding-top:0.1667em": "math-pt2",
    "padding-bottom:0": "math-pb0",
    "border-top:0.05em solid currentcolor": "math-bt",
    "border-left:0.05em solid currentcolor": "math-bl",
    "border-right:0.05em solid currentcolor": "math-br",
    "border-bottom:0.05em solid currentcolor": "math-bb",
    "border-top:0.05em dashed currentcolor": "math-bt-dashed",
    "border-left:0.05em dashed currentcolor": "math-bl-dashed",
    "border-right:0.05em dashed currentcolor": "math-br-dashed",
    "border-bottom:0.05em dashed currentcolor": "math-bb-dashed",
    "math-shift:compact": "math-cramped",
    "font-variant-caps:small-caps": "math-smallcaps",
}

_FIXED_RULES = """\
.math-left { text-align: left; justify-items: start; }
.math-right { text-align: right; justify-items: end; }
menclose { position: relative; display: inline math; }
menclose[notation="box"] { padding: 0.25em; border: 0.05em solid currentcolor; }
.menclose-updiagonalstrike, .menclose-downdiagonalstrike { position: absolute; inset: 0; }
.menclose-updiagonalstrike { background: linear-gradient(to bottom right, transparent calc(50% - 0.03em), \
currentcolor calc(50% - 0.03em), currentcolor calc(50% + 0.03em), transparent calc(50% + 0.03em)); }
.menclose-downdiagonalstrike { background: linear-gradient(to bottom left, transparent calc(50% - 0.03em), \
currentcolor calc(50% - 0.03em), currentcolor calc(50% + 0.03em), transparent calc(50% + 0.03em)); }
"""


def render(tex: str, display: bool) -> tuple[str, str]:
    """Convert a formula.

    Gives `(MathML, "")`, or `("", why)` where the formula is malformed or not supported; `why` is one
    sentence. The MathML is inert (no links, ids, styles or scripts) and carries the TeX as
    an annotation, so that it can be copied.
    """
    why = _unsafe(tex)
    if why:
        return "", why
    macros = _DEFINITION.search(tex) is None
    error, convert = _converter(macros)
    try:
        mathml = convert(_prepared(tex, display), displaystyle=display)
    except error as problem:
        return "", _reason(str(problem))
    if "<a " in mathml:
        return "", "references between formulas (\\ref, \\eqref) are not supported"
    return _fit(mathml, tex), ""


def stylesheet() -> str:
    """The CSS rules for the classes in the MathML of `render`."""
    rules = [
        f".{name} {{ {declaration.replace(':', ': ')}; }}"
        for declaration, name in _CLASSES.items()
        if name and name not in ("math-left", "math-right")
    ]
    rules += [f".math-neg{n} {{ margin-left: {-n / 18:.4f}em; }}" for n in range(1, _MAX_NEGATIVE + 1)]
    return "\n".join(rules) + "\n" + _FIXED_RULES


@lru_cache(maxsize=2)
def _converter(macros: bool) -> tuple[type[Exception], Any]:
    from math_core import LatexError, LatexToMathML  # on first use: many gardens have no formula

    converter = LatexToMathML(
        annotation=True,
        fancy_error=False,
        allow_unreliable_rendering=True,  # \widetilde: see `_BETTER`
        macros=_MACROS if macros else None,
        max_expansions=_MAX_NESTING if macros else _MAX_EXPANSIONS,
    )
    return LatexError, converter.convert_with_local_state


def _unsafe(tex: str) -> str:
    limit = _MAX_NESTING
    if _DEFINITION.search(tex):
        limit //= _MAX_EXPANSIONS
    if len(tex) > 20 * _MAX_NESTING or len(_NESTING.findall(tex)) > limit:
        if limit < _MAX_NESTING:
            return "a formula that defines commands of its own is converted only if it is short"
        return "the formula is too long to be converted safely"
    if _FORBIDDEN.search(tex):
        return "the formula contains a control character"
    return ""


def _prepared(tex: str, display: bool) -> str:
    """What authors write for MathJax or KaTeX, in the words that the converter knows."""
    if "\\begin" in tex:
        tex = _NUMBERED.sub(r"\\\1{\2*}", _LABEL.sub("", tex))
        tex = _SPLIT.sub(r"\\\1{aligned}", tex)
        tex = _SMALLMATRIX.sub(
            lambda m: r"\begin{subarray}{c}" if m[1] == "begin" else r"\end{subarray}", tex
        )
    tex = _math_in_text(_CONTROL_NEWLINE.sub(r"\1\\ ", tex))
    if not display:
        return tex
    if _breaks_lines(tex):
        tex = rf"\begin{{gathered}}{tex}\end{{gathered}}"
    if "\\tag" in tex and any(word == "\\tag" for word, _ in _outside(tex)):
        tex = rf"\begin{{equation*}}{tex}\end{{equation*}}"
    return tex


def _breaks_lines(tex: str) -> bool:
    """Is there a line break outside every group and environment? (The converter would just drop it.)"""
    if "\\\\" not in tex:
        return False
    return any(word == "\\\\" and tex[end:].strip() for word, end in _outside(tex))


def _outside(tex: str) -> Iterator[tuple[str, int]]:
    """The commands that are in no group and no environment, each with the place where it ends."""
    depth = 0
    for token in _TOKEN.finditer(tex):
        word = token[0]
        depth += (word in ("{", "\\begin")) - (word in ("}", "\\end"))
        if depth == 0:
            yield word, token.end()


def _math_in_text(tex: str) -> str:
    r"""`\text{if $x$}` as `{\text{if }x}`, and `\mbox` as `\text`."""
    parts: list[str] = []
    done = 0
    while start := _TEXT.search(tex, done):
        end = _closing(tex, start.end())
        if end < 0:
            break
        parts += [tex[done : start.start()], _text_group(tex[start.end() : end])]
        done = end + 1
    return "".join(parts) + tex[done:]


def _text_group(content: str) -> str:
    pieces = re.split(r"(?<!\\)\$", content)
    if len(pieces) == 1 or len(pieces) % 2 == 0:
        return f"\\text{{{content}}}"
    words = [(f"{{{piece}}}" if i % 2 else f"\\text{{{piece}}}") for i, piece in enumerate(pieces) if piece]
    return "{" + "".join(words) + "}"


def _closing(tex: str, start: int) -> int:
    """Index of the brace that closes the group whose content begins at `start`, or -1."""
    depth = 1
    for token in _TOKEN.finditer(tex, start):
        depth += (token[0] == "{") - (token[0] == "}")
        if depth == 0:
            return token.start()
    return -1


def _fit(mathml: str, tex: str) -> str:
    head, mark, _ = mathml.rpartition(_ANNOTATION)
    if " style=" in head or " id=" in head:
        head = _STYLED.sub(_classed, _ID.sub(r"\1", head))
    if " displaystyle=" in head or " scriptlevel=" in head:
        head = _restyled(head)
    for said, better in _BETTER:
        head = head.replace(said, better)
    return f"{head}{mark}{escape(tex, quote=False)}</annotation></semantics></math>"


def _classed(tag: re.Match[str]) -> str:
    name, before, style, after = tag.groups()
    classes: list[str] = []
    attributes = before + after
    for declaration in re.sub(r"\s*:\s*", ":", style).split(";"):
        if declaration.startswith("color:"):
            attributes += f' mathcolor="{declaration[6:].strip()}"'
        elif declaration.startswith("margin-left:-"):
            classes.append(_negative_space(declaration[13:]))
        else:
            classes.append(_CLASSES.get(declaration.strip(), ""))
    kept = " ".join(dict.fromkeys(filter(None, classes)))
    closing = "/" if attributes.endswith("/") else ""
    attributes = attributes.removesuffix("/")
    return f"<{name}{attributes}" + (f' class="{kept}"' if kept else "") + f"{closing}>"


def _restyled(mathml: str) -> str:
    """The styles of formulas on `mstyle`. MathML Core allows them everywhere and MathML 3, which checkers of
    HTML go by, there alone."""
    parts: list[str] = []
    opened = [("", True)]  # what closes each element that is open, and whether the level there is still zero
    done = 0
    for tag in _TAG.finditer(mathml):
        closes, name, attributes, alone = tag.groups()
        parts.append(mathml[done : tag.start()])
        done = tag.end()
        if closes:
            parts.append(opened.pop()[0])
            continue
        level = opened[-1][1]
        start, end, level = _styled_start(name, attributes, level)
        parts.append(tag[0] if alone else start)
        if not alone:
            opened.append((end, level))
    return "".join(parts) + mathml[done:]


def _styled_start(name: str, attributes: str, zero: bool) -> tuple[str, str, bool]:
    """How an element begins, how it ends, and whether the script level in it is zero."""
    styles = dict(_STYLE.findall(attributes)) if name in ("mrow", "mfrac", "mtable") else {}
    level = styles.get("scriptlevel", "0" if zero else "")
    inside = level == "0" and _LEVEL.fullmatch(name) is not None
    if not styles:
        return f"<{name}{attributes}>", f"</{name}>", inside
    rest = _STYLE.sub("", attributes)
    if zero and level == "0":
        styles.pop("scriptlevel", None)
    if name == "mtable" and "displaystyle" in styles:  # allowed there; and a table resets what is around it
        rest = f' displaystyle="{styles.pop("displaystyle")}"{rest}'
    moved = "".join(f' {key}="{value}"' for key, value in styles.items())
    if not moved:
        return f"<{name}{rest}>", f"</{name}>", inside
    if name == "mrow":
        return f"<mstyle{moved}{rest}>", "</mstyle>", inside
    return f"<mstyle{moved}><{name}{rest}>", f"</{name}></mstyle>", inside


def _negative_space(length: str) -> str:
    """MathML knows no negative width: a class for the nearest number of math units (1/18 em)."""
    number = re.match(r"[0-9.]+(?=em$)", length)
    units = round(float(number[0]) * 18) if number else 0
    return f"math-neg{min(units, _MAX_NEGATIVE)}" if units else ""


def _reason(message: str) -> str:
    text = message.partition(": ")[2] or message
    return text[:1].lower() + text[1:].rstrip(".")

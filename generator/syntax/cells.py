"""Fences that are cells: plain `python`, Quarto `{python}`, MyST `{code-cell}`, and `output` fences.

A core rule turns them into `cell` tokens whose `meta` holds everything that the model's `Cell` needs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, cast

from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.token import Token

from generator.model import CellOptions

PLAIN = ("python", "py", "python3", "ipython", "ipython3")
_TAGS = {
    "hide-input": ("hide", "input"),
    "remove-input": ("hide", "input"),
    "hide-output": ("hide", "output"),
    "remove-output": ("hide", "output"),
    "hide-cell": ("hide", "both"),
    "remove-cell": ("hide", "both"),
    "raises-exception": ("raises", "Exception?"),
    "skip-execution": ("skip", "its author tagged it skip-execution"),
}
_QUARTO = {"echo": ("hide", "input"), "output": ("hide", "output"), "include": ("hide", "both")}
_FOREIGN_KEYS = frozenset(
    {
        *(
            "warning",
            "message",
            "fig-cap",
            "code-fold",
            "code-summary",
            "code-line-numbers",
            "column",
            "cache",
        ),
        *("freeze", "eval", "id", "lst-label", "lst-cap", "name", "caption", "lineno-start", "number-lines"),
        *(
            "emphasize-lines",
            "slideshow",
            "editable",
            "error",
            "outputId",
            "colab",
            "cellView",
            "executionInfo",
        ),
    }
)
"""Options of Quarto, MyST and Jupyter that change how a cell looks elsewhere and mean nothing here."""


@dataclass(frozen=True, slots=True)
class Head:
    """The options at the top of a cell: how many lines they take, and what was wrong, as (line, sentence)."""

    options: CellOptions
    label: str
    lines: int
    faults: tuple[tuple[int, str], ...]


def cell_plugin(md: MarkdownIt) -> None:
    """Which plain fences run is decided in `env["plain"]`: `run` or `show`."""
    md.core.ruler.after("block", "cell", _cells)


def language(info: str) -> tuple[str, str]:
    """What a fence is: (form, language) with form `plain`, `cell` or `other`."""
    words = info.strip().split()
    first = words[0] if words else ""
    if first == "{code-cell}":
        return "cell", words[1] if len(words) > 1 else "python"
    if first.startswith("{") and info.find("}") > 0:
        name = info[1 : info.index("}")].replace(",", " ").split()
        word = name[0] if name else ""
        return ("cell", word) if word in PLAIN or word in ("r", "julia", "bash", "R") else ("other", "")
    name_only = first.split("{")[0]
    return ("plain", name_only) if name_only.lower() in PLAIN else ("other", name_only)


def read_head(lines: list[str], myst: bool) -> Head:
    """Read `#| key: value` lines, and for MyST `:key: value` lines or a YAML head, from the top of a cell."""
    options, label, faults = CellOptions(), "", []
    count = 0
    for n, key, value in _pairs(lines, myst):
        count = n + 1
        if key == "label":
            label = value.removeprefix("#")
        elif key:
            try:
                options = _apply(options, key, value)
            except ValueError as fault:
                # Notebooks keep all sorts of things about a cell there; only `#|` is written for us.
                if key in _READERS or lines[n].strip().startswith("#|"):
                    faults.append((n, str(fault)))
    return Head(options, label, count, tuple(faults))


def _pairs(lines: list[str], myst: bool) -> list[tuple[int, str, str]]:
    """Option lines as (line, key, value); an empty key is a line that only belongs to the head."""
    pairs = []
    n = 0
    if myst and lines and lines[0].strip() == "---":
        while (n := n + 1) < len(lines) and lines[n].strip() != "---":
            key, colon, value = lines[n].partition(":")
            pairs.append((n, key.strip() if colon and not key.startswith((" ", "-")) else "", value.strip()))
            if lines[n].strip().startswith("- ") and pairs:
                pairs[-1] = (n, "tags", lines[n].strip()[2:])
        return [(0, "", ""), *pairs, (min(n, len(lines) - 1), "", "")]
    for n, line in enumerate(lines):
        text = line.strip()
        if text.startswith("#|"):
            key, _, value = text[2:].partition(":")
            if text[2:].strip().startswith("- "):
                key, value = "tags", text[2:].strip()[2:]
        elif myst and text.startswith(":") and ":" in text[1:]:
            key, _, value = text[1:].partition(":")
        else:
            break
        pairs.append((n, key.strip(), value.strip()))
    return pairs


def _with(options: CellOptions, name: str, value: object) -> CellOptions:
    changes: dict[str, Any] = {name: value}
    return replace(options, **changes)


def _apply(options: CellOptions, key: str, value: str) -> CellOptions:
    """One option set; raises ValueError with a sentence for one that cannot be."""
    text = value.strip("\"'")
    key = key.replace("-", "_") if key.replace("-", "_") in _READERS else key
    if key == "tags":
        for tag in text.strip("[]").replace(",", " ").split():
            if tag.strip("\"'") in _TAGS:
                name, meaning = _TAGS[tag.strip("\"'")]
                options = _with(options, name, meaning)
        return options
    if key in _QUARTO and key != "output" and text.lower() in ("true", "false"):
        return _with(options, *_QUARTO[key]) if text.lower() == "false" else options
    if key == "output" and text.lower() in ("true", "false", "asis"):
        return replace(options, hide="output") if text.lower() == "false" else options
    if key == "eval" and text.lower() == "false":
        return replace(options, skip="its author switched it off (eval: false)")
    if key == "error" and text.lower() == "true":
        return replace(options, raises="Exception?")
    if key in _FOREIGN_KEYS or key.startswith(("fig-", "tbl-", "mystnb", "layout")):
        return options
    if key not in _READERS:
        raise ValueError(f"there is no cell option “{key}”; options are label, {', '.join(sorted(_READERS))}")
    return _with(options, key, _READERS[key](key, text))


def _word(key: str, text: str) -> str:
    return text


def _reason(key: str, text: str) -> str:
    if not text:
        raise ValueError(f"the option “{key}” wants its reason, as in “#| {key}: needs torch”")
    return text


def _number(key: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise ValueError(f"the option “{key}” wants a number, not “{text}”") from None
    if not 0 <= number < float("inf"):
        raise ValueError(f"the option “{key}” wants a number that is not negative, not “{text}”")
    return number


def _flag(key: str, text: str) -> bool:
    if text.lower() not in ("true", "false", "yes", "no"):
        raise ValueError(f"the option “{key}” wants true or false, not “{text}”")
    return text.lower() in ("true", "yes")


def _hide(key: str, text: str) -> str:
    if text not in ("input", "output", "both"):
        raise ValueError(f"the option “hide” wants input, output or both, not “{text}”")
    return text


_READERS: dict[str, Callable[[str, str], object]] = {
    "hide": _hide,
    "raises": _reason,
    "skip": _reason,
    "timeout": _number,
    "check": _flag,
    "rtol": _number,
    "atol": _number,
    "export": _flag,
    "needs": _word,
    "gradcheck": _word,
    "deps": _reason,
}
assert set(_READERS) == {field.name for field in fields(CellOptions)}


def _cells(state: StateCore) -> None:
    plain_runs = state.env.get("plain") == "run"
    out: list[Token] = []
    for token in state.tokens:
        if token.type == "fence" and _is_output(token) and out and out[-1].type == "cell":
            out[-1].meta["expected"] = token.content
            continue
        if token.type == "fence":
            form, name = language(token.info)
            if form == "cell" or (form == "plain" and plain_runs):
                token = _cell(token, name)
        out.append(token)
    state.tokens = out


def _is_output(token: Token) -> bool:
    return token.info.strip() in ("output", "{output}")


def _cell(token: Token, name: str) -> Token:
    lines = token.content.split("\n")
    head = read_head(lines, myst=token.info.startswith("{code-cell}"))
    first = head.lines
    while first < len(lines) - 1 and not lines[first].strip():
        first += 1
    line = cast("list[int]", token.map)[0]
    token.type = "cell"
    token.meta = {
        "code": "\n".join(lines[first:]).rstrip("\n"),
        "label": head.label,
        "options": head.options,
        "language": "python" if name.lower() in PLAIN else name,
        "code_line": line + 1 + first,
        "faults": tuple((line + 1 + n, sentence) for n, sentence in head.faults),
        "expected": None,
    }
    return token

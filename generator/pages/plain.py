"""A note's page as plain text in Markdown's manner, for programs that read and do not look.

Made from what the page shows, and so free of comments, drafts and anything else that is not published.
Formulas are TeX, cells are fences with what they printed below, links keep their addresses.
"""

from __future__ import annotations

import re
from html import unescape
from itertools import groupby

_WHOLE = re.compile(
    r"<math\b(?P<math>[^>]*)>(?:(?!</math>).)*?"
    r"<annotation encoding=\"application/x-tex\">(?P<tex>.*?)</annotation></semantics></math>"
    r"|<pre\b(?P<pre>[^>]*)>(?P<code>.*?)</pre>"
    r"|<details class=\"cell-evidence\">.*?</details>|<summary>(?:Code|Output)</summary>"
    r"|<(?P<dropped>script|style|svg|math)\b[^>]*>.*?</(?P=dropped)>|<!--.*?-->"
    r"|<(?P<end>/?)(?P<name>[a-zA-Z][a-zA-Z0-9-]*)(?P<rest>(?:[^<>\"']|\"[^\"]*\"|'[^']*')*+)>",
    re.DOTALL,
)
_ATTRIBUTE = re.compile(r"([\w-]+)=\"([^\"]*)\"")
_TAG = re.compile(r"<[^>]*>")
_AROUND = {"em": "*", "i": "*", "strong": "**", "b": "**", "code": "`", "del": "~~", "s": "~~", "mark": "=="}
_RUNNING = frozenset({"a", "abbr", "span", "sup", "sub", "small", "q", "cite", "u", "var", "time", "ins"})

_TIGHT = (re.compile(r"\s*- "), re.compile(r".*\| *\Z"))
"""Items of a list, and rows of a table: no empty line stands between two of them."""


def plain(html: str) -> str:
    """The text of a fragment of a page."""
    text = _Text()
    done = 0
    for tag in _WHOLE.finditer(html):
        text.words(html[done : tag.start()])
        done = tag.end()
        if tag["tex"] is not None:
            text.formula(unescape(tag["tex"]).strip(), "block" in tag["math"])
        elif tag["code"] is not None:
            text.code(tag["pre"], unescape(_TAG.sub("", tag["code"])))
        elif tag["name"]:
            text.tag(tag["name"].lower(), bool(tag["end"]), tag["rest"])
    text.words(html[done:])
    return text.finished()


class _Text:
    """Lines being put together: each with the prefix of the lists and quotes around it."""

    def __init__(self) -> None:
        self._blocks: list[str] = []
        self._line = ""
        self._around: list[str] = []
        self._links: list[str] = []
        self._item = ""

    def words(self, html: str) -> None:
        if html:
            text = unescape(html).replace("\n", " ")
            self._line += text if self._line else text.lstrip()

    def formula(self, tex: str, display: bool) -> None:
        self._line += f"$${tex}$$" if display else f"${tex}$"

    def code(self, attributes: str, code: str) -> None:
        self._break()
        given = dict(_ATTRIBUTE.findall(attributes))
        is_cell = given.get("class") == "highlight" and "data-language" not in given
        language = given.get("data-language", "python" if is_cell else "text")
        longest = max((len(list(ticks)) for tick, ticks in groupby(code) if tick == "`"), default=0)
        fence = "`" * max(3, longest + 1)
        self._add(f"{fence}{language}\n{code.rstrip()}\n{fence}")

    def tag(self, name: str, ends: bool, rest: str) -> None:
        if name in _AROUND:
            self._line += _AROUND[name]
        elif name == "a":
            self._link(ends, rest)
        elif name == "img" and not ends:
            given = dict(_ATTRIBUTE.findall(rest))
            self._line += f"![{unescape(given.get('alt', ''))}]({unescape(given.get('src', ''))})"
        elif name == "input":
            self._line += "[x] " if re.search(r"\bchecked\b", rest) else "[ ] "
        elif name in ("td", "th"):
            self._line += " | " if ends else ""
        elif name not in _RUNNING:
            self._block(name, ends)

    def _link(self, ends: bool, rest: str) -> None:
        if not ends:
            given = dict(_ATTRIBUTE.findall(rest))
            address = unescape(given.get("href", ""))
            is_value = given.get("class") == "value"  # of which the text itself is all that is said
            self._links.append("" if is_value or address.startswith("#") else address)
            self._line += "[" if self._links[-1] else ""
        elif self._links:
            address = self._links.pop()
            self._line += f"]({address})" if address else ""

    def _block(self, name: str, ends: bool) -> None:
        self._break()
        if name in ("li", "blockquote", "dd"):
            if ends:
                self._around = self._around[:-1]
            else:
                self._item = "- " if name == "li" else self._item
                self._around = [*self._around, "> " if name == "blockquote" else "  "]
        elif name == "hr":
            self._add("---")
        elif not ends and re.fullmatch("h[1-6]", name):
            self._line = "#" * int(name[1]) + " "

    def _break(self) -> None:
        if self._line.strip():
            self._add(self._line.rstrip())
        self._line = ""

    def _add(self, text: str) -> None:
        prefix = "".join(self._around)
        first = prefix.removesuffix("  ") + self._item if self._item else prefix
        self._item = ""
        lines = text.split("\n")
        self._blocks.append("\n".join([first + lines[0], *(prefix + line for line in lines[1:])]))

    def finished(self) -> str:
        self._break()
        joined: list[str] = []
        before = ""
        for block in self._blocks:
            kind = next((pattern for pattern in _TIGHT if pattern.match(block)), None)
            tight = kind is not None and kind.match(before)
            joined += ["\n" if tight else "\n\n" if joined else "", block]
            before = block.rpartition("\n")[2]
        return "".join(joined)

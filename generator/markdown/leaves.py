"""Leaves: blocks that hold no others (code, cells, formulas, rules) become HTML with marks.

What a cell prints is not known here: its place is a hole.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from markdown_it.token import Token

from generator.markdown.formulas import formula
from generator.markdown.gathered import Gathered
from generator.markdown.marks import mark
from generator.markdown.places import Places, line_of
from generator.model import Cell, Span
from generator.syntax.highlight import highlight

_CODE = frozenset({"fence", "code_block", "too_deep", "colon_fence"})
_DIAGRAM = "mermaid"  # the language of a fence that the reader's browser draws
_FOREIGN_FENCES = frozenset({"dataview", "dataviewjs", "tasks", "query", "button", "excalidraw"})


@dataclass(slots=True)
class Leaves:
    """Renders leaves, and gathers the cells among them."""

    gathered: Gathered
    places: Places

    def html(self, token: Token, attribute: str) -> str:
        """One leaf. `attribute` is its id, if it has one."""
        if token.type == "cell":
            anchor = f"<span{attribute}></span>" if attribute else ""  # it has an id already, its label
            return anchor + self._cell(token)
        if token.type in _CODE:
            return self._code(token, attribute)
        if token.type.startswith("math_block"):
            line = line_of(token).line - 1
            shown = formula(token, True, self.places.find("$$", line, line), self.gathered)
            return f'<div class="math"{attribute}>{shown}</div>\n'
        if token.type == "hr":
            return "<hr>\n"
        return f"<p>{escape(token.content, quote=False)}</p>\n" if token.content else ""

    def _code(self, token: Token, attribute: str) -> str:
        words = token.info.split()
        language = words[0].strip("{}.").lower() if words else ""
        name = token.meta.get("foreign") or (language if language in _FOREIGN_FENCES else "")
        if name:
            self.gathered.problem_foreign(f"the {name} block", line_of(token))
        shown = highlight(token.content.rstrip("\n"), language)
        attributes = f' data-language="{escape(language)}"' if language else ""
        if language == _DIAGRAM:
            self.gathered.diagrams = True
            return f'<figure class="mermaid"{attribute}>{_listing(attributes, shown)}</figure>\n'
        return _listing(attributes + attribute, shown) + "\n"

    # ------------------------------------------------ cells

    def _cell(self, token: Token) -> str:
        meta = token.meta
        span = Span(meta["code_line"] + 1)
        if meta["language"] != "python":
            return self._cell_as_code(token)
        for line, sentence in meta["faults"]:
            self.gathered.problem(
                "cell-option", "error", Span(line + 1), sentence, "see the note on writing cells"
            )
        label = self._label(meta["label"], span)
        number = self.gathered.cell(Cell(meta["code"], label, meta["options"], meta["expected"]), span)
        block = self.gathered.block(label, span)
        return f"{mark('B', block)}{mark('K', number)}\n{mark('b', block)}"

    def _cell_as_code(self, token: Token) -> str:
        self.gathered.problem(
            "cell-language", "warning", line_of(token),
            f"a cell in “{token.meta['language']}” does not run here; it is shown as code",
            "only Python cells run",
        )  # fmt: skip
        token.content, token.info = token.meta["code"], token.meta["language"]
        return self._code(token, "")

    def _label(self, given: str, span: Span) -> str:
        """The cell's label; one that is taken or unusable as a block id is replaced by its number."""
        usable = given and given.isascii() and given.replace("-", "").replace("_", "").isalnum()
        if usable and given not in self.gathered.blocks:
            return given
        if given:
            self.gathered.problem(
                "block-duplicate" if usable else "cell-option", "warning" if usable else "error", span,
                f"the label “{given}” is already taken in this note" if usable
                else f"the label “{given}” holds other characters than letters, digits and hyphens",
                "give the cell another label",
            )  # fmt: skip
        n = len(self.gathered.cells) + 1
        while f"cell-{n}" in self.gathered.blocks:
            n += 1
        return f"cell-{n}"


def _listing(attributes: str, shown: str) -> str:
    return f'<pre class="highlight" tabindex="0"{attributes}><code>{shown}</code></pre>'

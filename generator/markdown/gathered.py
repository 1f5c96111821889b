"""What a note says, collected while it is rendered: values come in, their numbers go out for the marks.

It knows nothing of tokens and HTML. Lists that go together (`links` and `link_spans`, …) have equal length.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from generator.model import Cell, Inline, Link, Problem, Severity, Span, Spans, anchor_of

_NO_TEXT = -1


@dataclass(slots=True)
class Gathered:
    """Of one note: `headings` are level, text and anchor; `blocks` number the block ids; `texts` counts the
    inline texts, whose numbers are the contexts of the links in them; `evaluates`: whether a code span that
    begins with `{python}` is an inline value."""

    path: str
    problems: list[Problem] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    link_spans: list[Span] = field(default_factory=list)
    link_contexts: list[int] = field(default_factory=list)
    cells: list[Cell] = field(default_factory=list)
    cell_spans: list[Span] = field(default_factory=list)
    values: list[Inline] = field(default_factory=list)
    value_spans: list[Span] = field(default_factory=list)
    headings: list[tuple[int, str, str]] = field(default_factory=list)
    heading_spans: list[Span] = field(default_factory=list)
    nested_headings: set[int] = field(default_factory=set)
    blocks: dict[str, int] = field(default_factory=dict)
    block_spans: list[Span] = field(default_factory=list)
    external: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    anchors: dict[str, int] = field(default_factory=dict)
    foreign: set[str] = field(default_factory=set)
    texts: int = 0
    words: int = 0
    diagrams: bool = False
    ids: dict[str, None] = field(default_factory=dict)
    summary: str = ""
    evaluates: bool = True

    def spans(self) -> Spans:
        return Spans(
            tuple(self.link_spans),
            tuple(self.cell_spans),
            tuple(self.heading_spans),
            tuple(self.block_spans),
            tuple(self.value_spans),
        )

    # ------------------------------------------------ what the note says

    def begin_text(self, words: int) -> None:
        self.texts += 1
        self.words += words

    def text_has_links(self) -> bool:
        return bool(self.link_contexts) and self.link_contexts[-1] == self.texts

    def link(self, link: Link, span: Span) -> int:
        """The number of a link, whose context is the text that was begun last."""
        return self._link(link, span, self.texts)

    def link_without_context(self, link: Link, span: Span) -> int:
        return self._link(link, span, _NO_TEXT)

    def _link(self, link: Link, span: Span, context: int) -> int:
        self.links.append(link)
        self.link_spans.append(span)
        self.link_contexts.append(context)
        return len(self.links) - 1

    def heading(self, level: int, text: str, span: Span) -> str:
        """The anchor of a new heading, which no other heading of the note has."""
        anchor = self._anchor(text)
        self.headings.append((level, text, anchor))
        self.heading_spans.append(span)
        return anchor

    def _anchor(self, text: str) -> str:
        base = anchor_of(text)
        anchor, n = base, self.anchors.get(base, 0)
        while anchor in self.anchors:
            n += 1
            anchor = f"{base}-{n}"
        self.anchors[base] = n  # where to go on, so that a thousand equal headings stay cheap
        self.anchors.setdefault(anchor, 0)
        return anchor

    def block(self, name: str, span: Span) -> int | None:
        """The number of a block id; None, and a problem, where another block has it."""
        if name in self.blocks:
            first = self.block_spans[self.blocks[name]].line
            self.problem(
                "block-duplicate", "warning", span,
                f"the block id ^{name} is already taken on line {first}; links lead to that one",
                "rename one of the two",
            )  # fmt: skip
            return None
        self.blocks[name] = len(self.blocks)
        self.block_spans.append(span)
        return self.blocks[name]

    def cell(self, cell: Cell, span: Span) -> int:
        self.cells.append(cell)
        self.cell_spans.append(span)
        return len(self.cells) - 1

    def value(self, code: str, span: Span) -> int:
        """The number of an inline value, which is evaluated after the cells gathered so far."""
        self.values.append(Inline(code, len(self.cells)))
        self.value_spans.append(span)
        return len(self.values) - 1

    # ------------------------------------------------ what is wrong with it

    def problem(self, code: str, severity: Severity, span: Span, message: str, hint: str = "") -> None:
        self.problems.append(Problem(code, severity, self.path, span, message, hint))

    def problem_foreign(self, what: str, span: Span) -> None:
        """Said once for each kind of thing."""
        if what not in self.foreign:
            self.foreign.add(what)
            self.problem(
                "syntax-foreign", "warning", span,
                f"{what} belongs to another dialect; it is shown as plain text",
                "write it in this garden's dialect, or leave it as it is",
            )  # fmt: skip

    def problem_remote(self, shown: str, span: Span) -> None:
        self.problem(
            "image-remote", "warning", span, f"the image {shown} is on another host",
            "copy it into the garden; a page of the garden loads nothing from elsewhere",
        )  # fmt: skip

"""Parsing: a source becomes a `Parsed`, the note with its places and problems.

Here the parts of the room are put together, and said what the parser found out about the note as a whole.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any, Literal

from generator.markdown.blocks import Blocks
from generator.markdown.gathered import Gathered
from generator.markdown.leaves import Leaves
from generator.markdown.marks import RESERVED
from generator.markdown.note import note_of
from generator.markdown.places import Places
from generator.markdown.raw import Raw
from generator.markdown.references import References
from generator.markdown.text import Text
from generator.memo import digest
from generator.model import Parsed, Problem, Source, Span
from generator.syntax import frontmatter
from generator.syntax.parser import parser


@dataclass(frozen=True, slots=True)
class Dialect:
    """What of the configuration changes how a note is parsed.

    `plain`: whether plain `python` fences are cells (`run`) or only code (`show`); a note's `cells:`
    property overrides. `html`: `sanitize` or `trusted`. `nesting`: how deep blocks may nest.
    """

    plain: Literal["run", "show"] = "show"
    html: Literal["sanitize", "trusted"] = "sanitize"
    nesting: int = 200


def parse(source: Source, dialect: Dialect = Dialect()) -> Parsed:
    """Parse one note. Never raises for what a note may contain: what is bad becomes a `Problem`."""
    text, problems = _without_marks(source)
    head, head_lines = frontmatter.split(text)
    properties, head_problems = frontmatter.read(head or "", source.path)
    body_text = "\n" * head_lines + "\n".join(text.split("\n")[head_lines:])
    env: dict[str, Any] = {
        "plain": properties.cells or dialect.plain,
        "notebook": bool(properties.kernel),
    }
    tokens = parser(dialect.nesting).parse(body_text, env)
    gathered = Gathered(source.path, evaluates=properties.cells != "show")
    blocks = _renderer(gathered, Places(text.split("\n")), trusted=dialect.html == "trusted")
    note = note_of(tokens, env.get("footnotes", {}).get("list", {}), properties, blocks)
    _report(env, gathered)
    dated = replace(
        note,
        created=properties.created or source.created,
        modified=properties.modified or source.modified,
    )
    found = (*problems, *head_problems, *gathered.problems)
    return Parsed(dated, gathered.spans(), found, digest((source, dialect)))


def _without_marks(source: Source) -> tuple[str, list[Problem]]:
    """The text without NUL and the noncharacters that marks are made of."""
    text = source.text
    bad = RESERVED.search(text) or re.search("\0", text)
    if not bad:
        return text, []
    line = text.count("\n", 0, bad.start()) + 1
    column = bad.start() - text.rfind("\n", 0, bad.start())
    problem = Problem(
        "character-invalid",
        "warning",
        source.path,
        Span(line, column),
        f"the character U+{ord(bad[0]):04X} has no meaning in text; it is shown as �",
        "delete it; it is invisible in most editors",
    )
    return RESERVED.sub("\ufffd", text).replace("\0", "\ufffd"), [problem]


def _renderer(gathered: Gathered, places: Places, trusted: bool) -> Blocks:
    raw = Raw(gathered, places, trusted)
    text = Text(gathered, places, raw, References(gathered, places))
    return Blocks(gathered, raw, text, Leaves(gathered, places))


# ---------------------------------------------------------------- what is said once for a note


def _report(env: dict[str, Any], gathered: Gathered) -> None:
    for line in env.get("too_deep", ()):
        gathered.problem(
            "nesting-too-deep", "warning", Span(line + 1),
            "this is nested deeper than the limit; it is shown as plain text",
            "flatten the list or quote, or raise [limits] nesting in garden.toml",
        )  # fmt: skip
    for line in env.get("comment_unclosed", ()):
        gathered.problem(
            "comment-unclosed", "warning", Span(line + 1),
            "this %% comment is never closed, so everything after it is left out",
            "end it with a line that holds %%",
        )  # fmt: skip
    for name, line in env.get("foreign", ()):
        gathered.problem_foreign(f"the {name} block", Span(line + 1))
    references = env.get("footnotes", {}).get("refs", {})
    for label, lines in env.get("footnote_lines", {}).items():
        _report_footnote(label, lines, references.get(":" + label, 0) >= 0, gathered)


def _report_footnote(label: str, lines: list[int], used: bool, gathered: Gathered) -> None:
    """`lines`: where a footnote of this label is defined."""
    for line in lines[:-1]:
        gathered.problem(
            "footnote-duplicate", "warning", Span(line + 1),
            f"the footnote [^{label}] is defined again later; this definition is not shown",
            "give one of the two another label",
        )  # fmt: skip
    if not used:
        gathered.problem(
            "footnote-unused", "warning", Span(lines[-1] + 1),
            f"nothing refers to the footnote [^{label}], so it is not shown",
            f"write [^{label}] where it belongs, or delete it",
        )  # fmt: skip

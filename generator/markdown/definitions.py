"""Where a note defines the links that it writes as `[text][name]`: their addresses stand away from them."""

from __future__ import annotations

from typing import Any

from generator.model import Source
from generator.syntax import frontmatter
from generator.syntax.parser import parser


def definitions(source: Source, nesting: int = 200) -> tuple[tuple[int, int], ...]:
    """The first and the last line (from 1) of each definition `[name]: address` of a note, in order."""
    _, head_lines = frontmatter.split(source.text)
    body = "\n" * head_lines + "\n".join(source.text.split("\n")[head_lines:])
    env: dict[str, Any] = {}
    parser(nesting).parse(body, env)
    places = (one["map"] for one in env.get("references", {}).values() if one.get("map"))
    return tuple(sorted((first + 1, last) for first, last in places))

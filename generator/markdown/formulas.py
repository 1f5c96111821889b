"""A formula's token becomes MathML, or its source where that cannot be."""

from __future__ import annotations

from html import escape

from markdown_it.token import Token

from generator.markdown.gathered import Gathered
from generator.model import Span
from generator.syntax import math


def formula(token: Token, display: bool, span: Span, gathered: Gathered) -> str:
    """`display`: set apart, not within a line. What is wrong with the formula is reported at `span`."""
    mathml, why = math.render(token.content.strip(), display)
    if mathml:
        return mathml
    gathered.problem(
        "math-unsupported", "warning", span, f"this formula cannot be shown: {why}",
        "its source is shown instead; write it with other commands, or in shorter parts",
    )  # fmt: skip
    return f'<code class="problem" data-code="math-unsupported">{escape(token.content.strip())}</code>'

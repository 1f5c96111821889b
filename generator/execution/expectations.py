"""Where a cell says what should come out: `# =>` comments, found with the tokenizer.

An expectation belongs to a statement at the top level of its cell. It is the comment at the end of the
statement's last line, or comment lines directly below it at the left margin, or both:

    nll(theta)   # => 1.4227
    for n in range(2):
        print(n)
    # => 0
    # => 1
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache


@dataclass(frozen=True, slots=True)
class Expectation:
    """`text` is what should come out of the statement that starts at `line`, or `line` is 0 where no
    statement is there to be held to it. Its comments stand on lines `first` to `last`, the first of them at
    `column`."""

    line: int
    first: int
    last: int
    text: str
    column: int = 0


@dataclass(frozen=True, slots=True)
class _Mark:
    line: int
    column: int
    alone: bool
    text: str


def parse(code: str) -> ast.Module | None:
    """The syntax tree of a cell, reading line magics as nothing; None if it is no Python."""
    for text in (code, re.sub(r"^[%!].*", "pass", code, flags=re.MULTILINE)):
        try:
            return ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
    return None


@lru_cache(maxsize=4096)
def expectations(code: str) -> tuple[Expectation, ...]:
    """The expectations of a cell in source order."""
    marks = list(_marks(code)) if "=>" in code else []
    if not marks:
        return ()
    tree = parse(code)
    return tuple(_attach(marks, tree.body if tree else []))


def observed(code: str) -> frozenset[int]:
    """The lines at which statements with an expectation start."""
    return frozenset(e.line for e in expectations(code) if e.line)


def claims(body: list[ast.stmt], certain: bool = True, line: int = 0) -> Iterator[tuple[ast.stmt, bool]]:
    """The statements that fail where what they claim is false, `assert` and calls of `assert_…`, and whether
    each was reached for certain in a cell that came to its end. Of those within loops and branches the
    observer says so, but for those on the `line` of the loop itself. A `try` may hide that they failed."""
    for statement in body:
        if is_claim(statement):
            if certain or statement.lineno != line:
                yield statement, certain
        elif isinstance(statement, ast.With):
            yield from claims(statement.body, certain, line)
        else:
            for inner in branches(statement):
                yield from claims(inner, certain=False, line=line or statement.lineno)


def branches(statement: ast.stmt) -> tuple[list[ast.stmt], ...]:
    """The blocks of a loop or a branch."""
    if isinstance(statement, ast.For | ast.While | ast.If):
        return statement.body, statement.orelse
    return ()


def is_claim(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Assert):
        return True
    if not isinstance(statement, ast.Expr) or not isinstance(statement.value, ast.Call):
        return False
    function = statement.value.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    return bool(name.startswith("assert_") or name == "check_grads")


def _marks(code: str) -> Iterator[_Mark]:
    lines = code.split("\n")
    for token in _tokens(code):
        if token.type != tokenize.COMMENT:
            continue
        found = re.match(r"#\s*=>[ ]?(.*)", token.string)
        if found:
            line, column = token.start
            yield _Mark(line, column, not lines[line - 1][:column].strip(), found[1].rstrip())


def _tokens(code: str) -> Iterator[tokenize.TokenInfo]:
    # A cell that is broken further down still has the comments above.
    try:
        yield from tokenize.generate_tokens(io.StringIO(code).readline)
    except (tokenize.TokenError, SyntaxError, IndentationError):
        return


def _attach(marks: list[_Mark], body: list[ast.stmt]) -> Iterator[Expectation]:
    ends = {statement.end_lineno: statement for statement in body}
    current: Expectation | None = None
    for mark in marks:
        if current and current.line and mark.alone and mark.column == 0 and mark.line == current.last + 1:
            current = replace(current, last=mark.line, text=f"{current.text}\n{mark.text}")
            continue
        if current:
            yield current
        statement = ends.get(mark.line - 1 if mark.alone else mark.line)
        line = statement.lineno if statement and _belongs(mark, statement) else 0
        current = Expectation(line, mark.line, mark.line, mark.text, mark.column)
    if current:
        yield current


def _belongs(mark: _Mark, statement: ast.stmt) -> bool:
    if mark.alone:
        return mark.column == 0
    # At the end of a loop's last line a comment would speak of a statement inside the loop.
    return statement.lineno == statement.end_lineno or not hasattr(statement, "body")

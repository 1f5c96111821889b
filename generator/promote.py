"""Promoting what came out to what is expected: which lines of a note change, and into what. Pure.

An expectation that no longer holds is written anew from the run, a new one put where there is none. Never
with fewer digits than before: a tolerance may shrink here, and only its author widens it. And only with
digits that came out the same in other surroundings.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_EVEN, Decimal, localcontext

from generator.execution.audit import Elsewhere, common_unit, unit_of
from generator.execution.compare import Number, Pair, aligned, compare, near, relative_error
from generator.execution.expectations import Expectation, expectations, parse
from generator.model import Cell, CellResult, ProgramResult

NEW_DIGITS = 6
"""How many significant digits a new expectation has at most: more than a reader wants, fewer than float32
has."""

_WIDTH = 88
_LINES = 20
_ADDRESS = re.compile(r"\b0x[0-9a-f]{6,}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Edit:
    """Lines `first` to `last` of a note (from 1; `last` is before `first` where nothing is taken away) become
    `lines`."""

    first: int
    last: int
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Proposal:
    """A new expectation of the cell `cell`: its `text`, and what it takes to have it in the note. `error` is
    the relative error of the old one, `ulps` how many floating-point numbers lie between, as text."""

    cell: int
    line: int
    old: str | None
    text: str
    edit: Edit
    error: str = ""
    ulps: str = ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An expectation of the cell `cell` that stays as it is, or a `new` one that is not to be had; and why,
    in one sentence."""

    cell: int
    line: int
    why: str
    new: bool = False


Decision = Proposal | Refusal


def wanted(cells: Sequence[Cell]) -> tuple[Cell, ...]:
    """The cells with a mark at each last expression that has no expectation, so that a run observes it."""
    return tuple(map(_marked, cells))


def decisions(
    text: str, cells: Sequence[Cell], lines: Sequence[int], base: ProgramResult, others: Sequence[Elsewhere]
) -> tuple[Decision, ...]:
    """What is to become of a note. `lines` are those at which the code of its cells starts; `base` and
    `others` are results of the cells or, where new expectations are asked for, of those that `wanted`
    gives."""
    note = text.split("\n")
    found: list[Decision] = []
    for i, (cell, first) in enumerate(zip(cells, lines, strict=True)):
        if base.results[i].status != "ok":
            continue
        runs = [(name, other.results[i]) for name, other in others]
        found += _Cell(note, i, cell, first, base.results[i], runs).decisions()
    return tuple(found)


def applied(text: str, edits: Iterable[Edit]) -> str:
    """A text with edits, each line ending as it did and new ones as their neighbours do. Everything else
    stays, byte for byte."""
    rows = re.findall(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+\Z", text)
    for edit in sorted(edits, key=lambda one: (one.first, one.last), reverse=True):
        before = rows[edit.first - 1 : edit.last]
        near = before[0] if before else rows[max(edit.first - 2, 0)]
        end = near[len(near.rstrip("\r\n")) :] or "\n"
        if not before and edit.first > 1 and not rows[edit.first - 2].endswith(("\r", "\n")):
            rows[edit.first - 2] += end
        rows[edit.first - 1 : edit.last] = [line + end for line in edit.lines]
    return "".join(rows)


# ---------------------------------------------------------------- one cell


class _No(Exception):
    """Why an expectation stays as it is. Never leaves this module."""


@dataclass(frozen=True, slots=True)
class _Cell:
    """A cell, where it stands in its note, and what came out of it here and elsewhere."""

    note: Sequence[str]
    i: int
    cell: Cell
    first: int
    result: CellResult
    others: Sequence[tuple[str, CellResult]]

    def decisions(self) -> Iterator[Decision]:
        for expectation in expectations(self.cell.code):
            yield from self._try(self.first + expectation.first - 1, lambda e=expectation: self._held(e))  # type: ignore[misc]
        if self.cell.expected is not None:
            yield from self._try(self.first + self.cell.code.count("\n") + 1, self._fence)
        marked = _marked(self.cell)
        if marked != self.cell:
            new = expectations(marked.code)[-1]
            yield from self._try(self.first + new.first - 2, lambda: self._new(new), new=True)

    def _try(self, line: int, decide: Callable[[], Proposal | None], new: bool = False) -> Iterator[Decision]:
        try:
            decided = decide()
        except _No as no:
            yield Refusal(self.i, line, str(no), new)
        else:
            yield from [decided] if decided else []

    def _holds(self, expected: str, actual: str) -> bool:
        return compare(expected, actual, self.cell.options.rtol, self.cell.options.atol).held

    def _held(self, expectation: Expectation) -> Proposal | None:
        """An expectation written anew, None if it holds."""
        actual = _seen(self.result, expectation.line)
        if actual is None or self._holds(expectation.text, actual):
            return None
        others = [(name, _seen(other, expectation.line)) for name, other in self.others]
        text = self._rewritten(expectation.text, actual, others)
        edit = self._edit(expectation.first, expectation.last, _in_place(self._code(), expectation, text))
        return self._proposal(self.first + expectation.first - 1, expectation.text, text, actual, edit)

    def _fence(self) -> Proposal | None:
        """The `output` fence written anew, None if it holds."""
        expected = self.cell.expected or ""
        actual = _shown(self.result, "stdout")
        if self._holds(expected, actual) or self._holds(expected, _shown(self.result, "stdout", "stderr")):
            return None
        place = _find_fence(self.note, self.first + self.cell.code.count("\n"), expected)
        others = [(name, _shown(other, "stdout")) for name, other in self.others]
        text = self._rewritten(expected.rstrip("\n"), actual.rstrip("\n"), others)
        lines = tuple(f"{place.prefix}{line}".rstrip() for line in text.split("\n"))
        if any(line.lstrip("> \t").startswith(("```", "~~~")) for line in lines):
            raise _No("what the cell prints has a fence in it; write the output by hand")
        return self._proposal(place.first, expected, text, actual, Edit(place.first, place.last, lines))

    def _new(self, expectation: Expectation) -> Proposal | None:
        """An expectation where there was none; None if nothing is there to be expected."""
        actual = _seen(self.result, expectation.line)
        if not actual or not actual.strip() or actual == "None":
            return None
        others = [(name, _seen(other, expectation.line)) for name, other in self.others]
        text = _shortened(_clean(actual), others)
        self._stable(text, actual, others)
        last = expectation.first - 1  # of the statement: the mark stands below it
        edit = self._edit(last, last, _behind(self._code()[last - 1], text))
        return self._proposal(self.first + last - 1, None, text, actual, edit)

    def _code(self) -> list[str]:
        return self.cell.code.split("\n")

    def _rewritten(self, old: str, actual: str, others: Sequence[tuple[str, str | None]]) -> str:
        """The text that takes the place of `old`: only numbers that are off are replaced, if they are all
        that is different, and get no fewer digits than they had."""
        pairs = aligned(old, actual)
        rtol, atol = self.cell.options.rtol, self.cell.options.atol
        if pairs is None:
            text = _clean(actual)
        else:
            text = _replaced(
                old,
                pairs,
                lambda p: p.expected.text if near(p.expected, p.actual, rtol, atol) else _digits(p),
            )
        self._stable(text, actual, others)
        return text

    def _stable(self, text: str, actual: str, others: Sequence[tuple[str, str | None]]) -> None:
        if not self._holds(text, actual):
            raise _No("what came out cannot be written down so that it would hold")
        for name, other in others:
            if other is None or not self._holds(text, other):
                raise _No(
                    f"its digits are not stable: {_short(actual)} here, {_short(other or 'nothing')} under "
                    f"{name}; round it in the code, or delete the expectation and let --new write another"
                )

    def _edit(self, first: int, last: int, lines: Sequence[str]) -> Edit:
        """An edit of lines of the cell as one of the note. It must read back as it was meant."""
        code, at = self._code(), self.first - 1
        old = code[first - 1 : last]
        rows = self.note[at + first - 1 : at + last]
        if len(rows) != len(old) or not all(r.endswith(c) for r, c in zip(rows, old, strict=True)):
            raise _No("its cell is indented in a way that cannot be rewritten here; write it by hand")
        prefix = rows[0][: len(rows[0]) - len(old[0])]
        edited = "\n".join([*code[: first - 1], *lines, *code[last:]])
        before = len(expectations(self.cell.code))
        if not before <= len(expectations(edited)) <= before + 1 or parse(edited) is None:
            raise _No("it cannot be written down as a comment; write it by hand")
        return Edit(at + first, at + last, tuple(f"{prefix}{line}".rstrip() for line in lines))

    def _proposal(self, line: int, old: str | None, text: str, actual: str, edit: Edit) -> Proposal:
        pairs = aligned(old, actual) if old is not None else None
        errors = [relative_error(pair.expected, pair.actual) for pair in pairs or ()]
        error = f"{max(errors):.1e}" if errors else ""
        return Proposal(self.i, line, old, text, edit, error, _ulps(pairs or ()))


# ---------------------------------------------------------------- what came out


def _seen(result: CellResult, line: int) -> str | None:
    """What the statement that starts at `line` printed, or its value."""
    seen = next((one for one in result.observations if one.line == line), None)
    if seen is None:
        return None
    return seen.printed if seen.printed or seen.value is None else seen.value


def _shown(result: CellResult, *streams: str) -> str:
    parts = [one.text for one in result.outputs if one.kind == "stream" and one.name in streams]
    parts += [dict(one.data).get("text/plain", "") for one in result.outputs if one.kind == "result"]
    return "".join(part if part.endswith("\n") else part + "\n" for part in parts if part)


def _clean(actual: str) -> str:
    """A text as an expectation can hold it. What nobody would want to read, or is new each time, it
    cannot."""
    lines = [line.rstrip() for line in actual.strip("\n").split("\n")]
    if len(lines) > _LINES or any(len(line) > 200 for line in lines):
        raise _No(f"it is too long to be written down ({len(lines)} lines); print less of it")
    if _ADDRESS.search(actual):
        raise _No("it speaks of an address in memory, which is another each time")
    return "\n".join(lines)


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 60 else text[:59] + "…"


# ---------------------------------------------------------------- digits


def _replaced(text: str, pairs: Sequence[Pair], render: Callable[[Pair], str]) -> str:
    """A text with each number rendered anew."""
    for pair in reversed(pairs):
        text = text[: pair.start] + render(pair) + text[pair.end :]
    return text


def _digits(pair: Pair) -> str:
    """The actual number, with as many decimals and as many significant digits as the expected one, at
    least."""
    old, new = pair.expected, pair.actual
    if new.exact or old.exact or not old.value.is_finite():
        return new.text
    unit = unit_of(old)
    if new.value:
        unit = min(unit, Decimal(1).scaleb(new.value.adjusted() - old.digits + 1))
    return _written(new, unit, "e" in old.text.lower())


def _written(value: Number, unit: Decimal, scientific: bool) -> str:
    """A number to a unit (a power of ten), in the style of its text."""
    with localcontext() as context:
        context.prec = 400
        rounded = value.value.quantize(unit, rounding=ROUND_HALF_EVEN)
    sign = "+" if value.text.startswith("+") else ""
    if scientific or "e" in value.text.lower() or unit >= 1:
        places = max(rounded.adjusted() - unit.adjusted(), 0) if rounded else 0
        mantissa, _, exponent = f"{rounded:.{places}e}".partition("e")
        return f"{sign}{mantissa}e{int(exponent):+03d}"
    return f"{sign}{rounded:f}"


def _shortened(text: str, others: Sequence[tuple[str, str | None]]) -> str:
    """A text in which numbers keep the digits that they have in common elsewhere, and not too many of
    these."""
    found: list[list[Number]] = []
    for name, other in others:
        pairs = aligned(text, other) if other is not None else None
        if pairs is None:
            raise _No(f"it is not stable: {_short(text)} here, {_short(other or 'nothing')} under {name}")
        found.append([pair.actual for pair in pairs])
    own = aligned(text, text) or ()
    return _replaced(text, own, lambda pair: _common(pair, [numbers[own.index(pair)] for numbers in found]))


def _common(pair: Pair, others: Sequence[Number]) -> str:
    value = pair.actual
    if value.exact or not value.value.is_finite():
        return value.text
    unit = common_unit(value, others, NEW_DIGITS)
    if unit is None:
        raise _No(f"no digit of {value.text} is stable")
    return value.text if unit <= unit_of(value) else _written(value, unit, False)


def _ulps(pairs: Sequence[Pair]) -> str:
    """How many floating-point numbers lie between the worst pair: of float32 where so few digits are
    printed."""
    finite = [p for p in pairs if p.expected.value.is_finite() and p.actual.value.is_finite()]
    worst = max(finite, key=lambda p: relative_error(p.expected, p.actual), default=None)
    if worst is None or (worst.actual.exact and worst.expected.exact):
        return ""
    single = worst.actual.digits <= 9
    value = float(worst.actual.value)
    unit = 2.0 ** (math.frexp(value)[1] - 24) if single else math.ulp(value)
    count = abs(float(worst.expected.value) - value) / unit
    kind = "float32" if single else "float64"
    return f"{f'{count:.0f}' if count < 1e6 else f'{count:.1e}'} ulps of {kind}"


# ---------------------------------------------------------------- lines


def _marked(cell: Cell) -> Cell:
    """A cell with a mark below its last statement, if that is an expression without an expectation."""
    tree = parse(cell.code) if cell.language == "python" and cell.expected is None else None
    last = tree.body[-1] if tree and tree.body else None
    if not isinstance(last, ast.Expr) or cell.options.raises or cell.options.check:
        return cell
    if any(one.line == last.lineno for one in expectations(cell.code)):
        return cell
    lines = cell.code.split("\n")
    end = last.end_lineno or last.lineno
    if lines[end - 1].rstrip().endswith(";") or re.match(r"\s*[%!]", lines[last.lineno - 1]):
        return cell
    code = "\n".join([*lines[:end], "# => ?", *lines[end:]])
    found = expectations(code)
    alone = found and found[-1].line == last.lineno and found[-1].text == "?"
    return replace(cell, code=code) if alone else cell


def _in_place(code: Sequence[str], expectation: Expectation, text: str) -> list[str]:
    """The lines of an expectation with another text: at the end of its statement if it was there and fits."""
    first = code[expectation.first - 1]
    statement = first[: expectation.column]
    sign = re.match(r"#\s*=>[ ]?", first[expectation.column :])
    mark = sign[0] if sign else "# => "
    lines = text.split("\n")
    if statement.strip() and (len(lines) == 1 or expectation.last > expectation.first):
        return [f"{statement}{mark}{lines[0]}", *(f"{mark}{line}" for line in lines[1:])]
    below = [f"{mark}{line}" for line in lines]
    return [statement.rstrip(), *below] if statement.strip() else below


def _behind(statement: str, text: str) -> list[str]:
    """The last line of a statement with a new expectation: on the line if it fits, else below."""
    if "\n" not in text and "#" not in statement and len(statement) + len(text) + 7 <= _WIDTH:
        return [f"{statement.rstrip()}  # => {text}"]
    return [statement, *(f"# => {line}" for line in text.split("\n"))]


@dataclass(frozen=True, slots=True)
class _Fence:
    """Where the content of a fence stands in a note, and what stands before each of its lines."""

    first: int
    last: int
    prefix: str


def _find_fence(note: Sequence[str], after: int, expected: str) -> _Fence:
    """The `output` fence behind the cell whose code ends on line `after`."""
    rows = list(enumerate(note, 1))[after:]
    closed = next((n for n, row in rows if re.match(r"[\s>]*(`{3,}|~{3,})\s*$", row)), len(note))
    opened = next((n for n, row in rows if n > closed and row.strip(" \t>")), len(note))
    head = re.match(r"(?P<prefix>[\s>]*)(?P<fence>`{3,}|~{3,})\s*\{?output\}?\s*$", note[opened - 1])
    if head:
        prefix, fence = head["prefix"], head["fence"]
        end = next(
            (n for n, row in rows if n > opened and row.strip(" \t>").startswith(fence)), len(note) + 1
        )
        inner = note[opened : end - 1]
        bare = "".join(f"{line.removeprefix(prefix)}\n" for line in inner)
        if bare.split() == expected.split():
            return _Fence(opened + 1, end - 1, prefix)
    raise _No("its output fence is written in a way that cannot be rewritten here; write it by hand")

"""Holding what came out against what was expected: **the digits written are the tolerance**.

Both texts are cut into numbers, words and space. Words must be equal, space only be there; a number without
point or exponent must be equal exactly, any other must round to the digits written; `...` stands for any
text.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation, localcontext

_NUMBER = re.compile(
    r"(?<![\w.])[+-]?(?:nan|inf(?:inity)?)(?!\w)|"
    r"(?<![\w.])(?:(?<![)\]])[+-])?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+(?!\w))?",
    re.IGNORECASE,
)
_WILD = re.compile(r"\s*\.\.\.\s*")
_LARGEST_WORK = 20_000_000
_EPSILON = Decimal(sys.float_info.epsilon)
_SMALLEST = Decimal(math.ulp(0.0))


@dataclass(frozen=True, slots=True)
class Number:
    """A number as written: its value, half a unit of its last digit, and how many digits it has."""

    text: str
    value: Decimal
    half: Decimal
    digits: int
    exact: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """`held`, and why not: `expected` and `actual` are the first numbers that differ too much, or whole texts
    cut short. `error` is the largest relative error among the numbers compared, None if there were none."""

    held: bool
    expected: str = ""
    actual: str = ""
    error: float | None = None
    digits: int = 0


def compare(expected: str, actual: str, rtol: float | None = None, atol: float | None = None) -> Outcome:
    """Hold `actual` against `expected`. Never raises."""
    wanted, given = _pieces(expected, wild=True), _pieces(actual, wild=False)
    if len(wanted) * max(1, len(actual)) > _LARGEST_WORK:
        wanted, given = [expected.strip()], [actual.strip()]
    best = _match(wanted, given, rtol, atol)
    if best is None:
        return Outcome(False, _short(expected), _short(actual))
    pairs = best[1]
    error = max((relative_error(e, a) for e, a in pairs), default=None)
    worst = next(((e, a) for e, a in pairs if not near(e, a, rtol, atol)), None)
    if worst is None:
        digits = min((e.digits for e, _ in pairs), default=0)
        return Outcome(True, _short(expected), _short(actual), error, digits)
    return Outcome(False, worst[0].text, worst[1].text, relative_error(*worst), worst[0].digits)


def near(expected: Number, actual: Number, rtol: float | None = None, atol: float | None = None) -> bool:
    """Whether a number rounds to the digits that another was written with."""
    if not expected.value.is_finite() or not actual.value.is_finite():
        return (expected.value.is_nan() and actual.value.is_nan()) or _same_infinity(expected, actual)
    difference = abs(actual.value - expected.value)
    widened = Decimal(atol or 0) + Decimal(rtol or 0) * abs(expected.value)
    if expected.exact:
        return difference <= widened
    # The text of a float is only the nearest short decimal: it may be off by half a unit of the float's own.
    slack = max(abs(actual.value) * _EPSILON, _SMALLEST)
    return difference <= max(expected.half + slack, widened)


def relative_error(expected: Number, actual: Number) -> float:
    """|actual - expected| / |expected|; infinite where only one is finite or the expected is zero."""
    if not expected.value.is_finite() or not actual.value.is_finite():
        return 0.0 if near(expected, actual) else float("inf")
    difference = abs(actual.value - expected.value)
    if not difference:
        return 0.0
    return float(difference / abs(expected.value)) if expected.value else float("inf")


@dataclass(frozen=True, slots=True)
class Pair:
    """A number of one text and the one that stands for it in another. `start` and `end` say where in the
    first."""

    start: int
    end: int
    expected: Number
    actual: Number


def aligned(expected: str, actual: str) -> tuple[Pair, ...] | None:
    """The numbers of `expected`, each with its counterpart; None if the texts differ in more than numbers."""
    wanted, given = _pieces(expected, wild=True), _pieces(actual, wild=False)
    if len(wanted) * max(1, len(actual)) > _LARGEST_WORK:
        return None
    best = _match(wanted, given, None, None)
    if best is None:
        return None
    return tuple(
        Pair(start, end, *pair) for (start, end), pair in zip(places(expected), best[1], strict=True)
    )


def places(text: str) -> Iterator[tuple[int, int]]:
    """Where the numbers of an expected text stand, as `_pieces` finds them."""
    position = 0
    for wild in (*_WILD.finditer(text), None):
        end = wild.start() if wild else len(text)
        for found in _NUMBER.finditer(text[position:end]):
            if number(found[0]) is not None:
                yield position + found.start(), position + found.end()
        position = wild.end() if wild else end


def number(text: str) -> Number | None:
    """Read one number as written."""
    if not _NUMBER.fullmatch(text):
        return None
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None
    mantissa, _, exponent = text.lower().partition("e")
    if not value.is_finite():
        return Number(text, value, Decimal(0), 0, True)
    whole, point, fraction = mantissa.lstrip("+-").partition(".")
    # `1.` is how arrays print 1.0: it has been asked to the first digit after the point.
    places = max(len(fraction), 1) if point else 0
    with localcontext() as context:
        context.Emin, context.Emax = -999_999_999, 999_999_999
        half = Decimal(5).scaleb(int(exponent or 0) - places - 1)
    digits = len((whole + fraction).lstrip("0")) or 1
    return Number(text, value, half, digits, not point and not exponent)


def _same_infinity(a: Number, b: Number) -> bool:
    return a.value.is_infinite() and a.value == b.value


# ---------------------------------------------------------------- matching

_Piece = Number | str | None
"""A number, a word without space or digits of its own, a space (`" "`), or None for any text."""


def _pieces(text: str, wild: bool) -> list[_Piece]:
    parts = _WILD.split(text.strip()) if wild else [text.strip()]
    pieces: list[_Piece] = []
    for i, part in enumerate(parts):
        if i:
            pieces.append(None)
        pieces += _cut(part)
    return pieces


def _cut(text: str) -> list[_Piece]:
    pieces: list[_Piece] = []
    position = 0
    for found in _NUMBER.finditer(text):
        value = number(found[0])
        if value is None:
            continue
        pieces += _words(text[position : found.start()])
        pieces.append(value)
        position = found.end()
    return pieces + _words(text[position:])


def _words(text: str) -> list[_Piece]:
    return [" " if word.isspace() else word for word in re.split(r"(\s+)", text) if word]


_Best = tuple[int, tuple[tuple[Number, Number], ...]]


def _match(wanted: list[_Piece], given: list[_Piece], rtol: float | None, atol: float | None) -> _Best | None:
    """The way to lay `wanted` over `given` with the fewest numbers that differ, or None if there is none.

    Positions are (index of a piece, characters of it already used): a word may be cut by `...` alone.
    """
    if None not in wanted:
        return _lockstep(wanted, given, rtol, atol)
    states: dict[tuple[int, int], _Best] = {(0, 0): (0, ())}
    for piece in wanted:
        following: dict[tuple[int, int], _Best] = {}
        for (index, offset), best in states.items():
            if piece is None:
                _anywhere(given, index, offset, best, following)
                continue
            step = _step(piece, given, index, offset)
            if step is None:
                continue
            place, pair = step
            bad = best[0] + (pair is not None and not near(*pair, rtol, atol))
            _keep(following, place, (bad, (*best[1], pair) if pair else best[1]))
        states = following
        if not states:
            return None
    ends = [best for (index, _), best in states.items() if _only_space(given, index)]
    return min(ends, key=lambda best: best[0], default=None)


def _keep(states: dict[tuple[int, int], _Best], place: tuple[int, int], best: _Best) -> None:
    if place not in states or best[0] < states[place][0]:
        states[place] = best


def _anywhere(
    given: list[_Piece], index: int, offset: int, best: _Best, states: dict[tuple[int, int], _Best]
) -> None:
    _keep(states, (index, offset), best)
    for i in range(index, len(given)):
        piece = given[i]
        if isinstance(piece, str):
            for j in range(offset if i == index else 0, len(piece)):
                _keep(states, (i, j), best)
        elif not (i == index and offset):
            _keep(states, (i, 0), best)
    _keep(states, (len(given), 0), best)


def _step(
    piece: Number | str, given: list[_Piece], index: int, offset: int
) -> tuple[tuple[int, int], tuple[Number, Number] | None] | None:
    """Where one wanted piece leads from a position, and the numbers compared on the way."""
    if piece == " ":
        here = given[index] if index < len(given) else None
        after_number = index > 0 and isinstance(given[index - 1], Number)
        if here == " ":
            return (index + 1, 0), None
        return ((index, offset), None) if after_number or isinstance(here, Number) else None
    while index < len(given) and given[index] == " " and _space_is_free(piece, given, index):
        index, offset = index + 1, 0
    if index >= len(given):
        return None
    here = given[index]
    if isinstance(piece, Number):
        return ((index + 1, 0), (piece, here)) if isinstance(here, Number) and not offset else None
    if not isinstance(here, str) or not here.startswith(piece, offset):
        return None
    end = offset + len(piece)
    return ((index + 1, 0) if end == len(here) else (index, end)), None


def _space_is_free(piece: Number | str, given: list[_Piece], index: int) -> bool:
    """Beside a number space is alignment, and may be there or not."""
    before = index > 0 and isinstance(given[index - 1], Number)
    return before or isinstance(piece, Number)


def _only_space(given: list[_Piece], index: int) -> bool:
    return all(piece == " " for piece in given[index:])


def _lockstep(
    wanted: list[_Piece], given: list[_Piece], rtol: float | None, atol: float | None
) -> _Best | None:
    mine, theirs = _without_alignment(wanted), _without_alignment(given)
    if len(mine) != len(theirs):
        return None
    pairs: list[tuple[Number, Number]] = []
    for a, b in zip(mine, theirs, strict=True):
        if isinstance(a, Number) and isinstance(b, Number):
            pairs.append((a, b))
        elif isinstance(a, Number) or isinstance(b, Number) or a != b:
            return None
    return sum(not near(a, b, rtol, atol) for a, b in pairs), tuple(pairs)


def _without_alignment(pieces: list[_Piece]) -> list[_Piece]:
    return [
        piece
        for i, piece in enumerate(pieces)
        if piece != " " or not (_is_number(pieces, i - 1) or _is_number(pieces, i + 1))
    ]


def _is_number(pieces: list[_Piece], i: int) -> bool:
    return 0 <= i < len(pieces) and isinstance(pieces[i], Number)


def _short(text: str, most: int = 120) -> str:
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 1] + "…"

r"""The Taylor test: whether a claimed slope is the derivative of a function of one real variable at 0.

For the right slope the remainder `r(h) = f(h) - f(0) - h slope` vanishes like h², for a wrong one like h.
Steps go from 1/4 to 4e-9 by factors of 4, so there is no step size to choose: the order is read where the
remainder is above the rounding noise, which is measured, and the step that resolves the derivative best
is the one around which difference quotients agree best. Pure: it knows no arrays and calls nothing but
`f`.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

Number = float | complex
Outcome = Literal["held", "failed", "rough", "unresolved"]

RATIO = 4.0
STEPS = tuple(RATIO**-k for k in range(1, 15))
FEW = tuple(RATIO**-k for k in range(4, 10))
"""Steps for a function that is slow: around those that resolve a derivative best in double precision."""

AGREEMENT = 1e-4
"""Relative to the slope: an agreement that is closer than this counts as one (ten times that in single
precision)."""
REFUTED = 5e-4
"""Relative to the slope: a disagreement that is larger, and resolved, refutes it. In between nothing is
said."""
SLACK = 0.2
DOUBLE = 2.0**-52


@dataclass(frozen=True, slots=True)
class Finding:
    """What the test saw. `held` and `failed` speak of the slope; `rough`: the function itself has no
    derivative there; `unresolved`: rounding or non-finite values hide the answer.

    `orders` are the observed orders of the remainder at the finest steps above its floor, coarse to fine
    (empty: it is below the floor at once, the function is linear as far as can be seen); `error` the
    relative difference between the slope and the difference quotient, `resolution` what that quotient is
    good for.
    """

    outcome: Outcome
    orders: tuple[float, ...] = ()
    error: float = math.inf
    resolution: float = math.inf


def examine(
    f: Callable[[float], Number], slope: Number, epsilon: float = DOUBLE, steps: Sequence[float] = STEPS
) -> Finding:
    """Hold `slope` against `f`, which is evaluated at 0 and at plus and minus each step. `epsilon` is the
    rounding unit of the arithmetic inside `f`."""
    base = f(0.0)
    values = [(h, f(h), f(-h)) for h in steps if h >= math.sqrt(epsilon) / RATIO]
    finite = [(h, right, left) for h, right, left in values if _finite(right) and _finite(left)]
    if not _finite(base) or not _finite(slope) or len(finite) < 4:
        return Finding("unresolved")
    return _judge(base, finite, slope, epsilon)


def _judge(
    base: Number, values: list[tuple[float, Number, Number]], slope: Number, epsilon: float
) -> Finding:
    if slope == 0 and all(right == base == left for _, right, left in values):
        return Finding("held", (), 0.0, 0.0)
    bends = [abs(right - 2 * base + left) for _, right, left in values]
    size = max(abs(base), *(abs(v) for _, right, left in values[1:] for v in (right, left)))
    noise = _noise(bends, 2 * epsilon * size)
    quotient, doubt = _quotient(values, noise)
    scale = max(abs(slope), abs(quotient), 1e-3 * _reach(base, values))
    error, resolution = abs(quotient - slope) / scale, doubt / scale
    agreement = AGREEMENT if epsilon == DOUBLE else 10 * AGREEMENT
    agrees = error <= agreement
    remainders = _remainders(base, values, slope)
    floors = [4 * noise for _ in values]
    if agrees:  # Then what is left at the finest steps is noise as well.
        floors = [max(floors[0], 16 * min(remainders)) + 10 * error * scale * h for h, _, _ in values]
    orders = _orders(remainders, floors)
    if _is_kinked(values, bends, noise, scale):
        return Finding("rough", orders, error, resolution)
    if agrees and resolution <= agreement:
        return Finding("held", orders, error, resolution)
    apart = error > REFUTED / AGREEMENT * agreement and error > 10 * resolution
    linear = len(orders) > 1 and all(abs(order - 1) < 0.3 for order in orders[-2:])
    if apart and linear and not _is_stepped(base, values, quotient, size):
        return Finding("failed", orders, error, resolution)
    return Finding("unresolved", orders, error, resolution)


def _finite(value: Number) -> bool:
    return cmath.isfinite(value)


def _noise(bends: list[float], least: float) -> float:
    """How much of the values is noise: at the finest steps a smooth function bends by less than it
    rounds, so what is seen there, and does not shrink with the step, is noise."""
    tail = bends[-4:]
    if min(tail) > 0 and _order(tail[0], tail[-1]) / (len(tail) - 1) > 0.6:
        return least
    return max(least, 2 * max(tail))


def _quotient(values: list[tuple[float, Number, Number]], noise: float) -> tuple[Number, float]:
    """The symmetric difference quotient at its best step, with one Richardson extrapolation, and the
    doubt about it: how far its neighbours are from it, and what noise may do to it."""
    quotients = [(right - left) / (2 * h) for h, right, left in values]
    best: tuple[Number, float] = (0.0, math.inf)
    for k in range(1, len(values) - 1):
        apart = max(abs(quotients[k] - quotients[k - 1]), abs(quotients[k] - quotients[k + 1]))
        doubt = abs(quotients[k] - quotients[k + 1]) + apart / RATIO + noise / values[k + 1][0]
        if doubt < best[1]:
            finer = quotients[k + 1]
            best = finer + (finer - quotients[k]) / (RATIO**2 - 1), doubt
    return best


def _reach(base: Number, values: list[tuple[float, Number, Number]]) -> float:
    """A slope that is typical of the function nearby: what a slope of zero is compared with."""
    return max(max(abs(right - base), abs(left - base)) / h for h, right, left in values[:3])


def _remainders(base: Number, values: list[tuple[float, Number, Number]], slope: Number) -> list[float]:
    return [max(abs(right - base - h * slope), abs(left - base + h * slope)) for h, right, left in values]


def _orders(remainders: list[float], floors: list[float]) -> tuple[float, ...]:
    """The orders between neighbouring steps whose remainders are both above the floor: the finest three."""
    pairs = zip(remainders, remainders[1:], floors, floors[1:], strict=False)
    orders = [_order(coarse, fine) for coarse, fine, f, g in pairs if coarse > f and fine > g]
    return tuple(orders[-3:])


def _order(coarse: float, fine: float) -> float:
    return math.log(coarse / fine, RATIO)


def _is_kinked(
    values: list[tuple[float, Number, Number]], bends: list[float], noise: float, scale: float
) -> bool:
    """Whether the slopes to the left and to the right differ however small the step: then the second
    difference vanishes like h, not like h²."""
    before, last = bends[-2:]
    if min(before, last) <= 4 * noise:
        return False
    return _order(before, last) < 1.5 and last / values[-1][0] > AGREEMENT * scale


def _is_stepped(
    base: Number, values: list[tuple[float, Number, Number]], quotient: Number, size: float
) -> bool:
    """Whether the function does not move where its quotient says it should: it rounds to fewer digits
    than we were told, or is a staircase."""
    h, right, left = values[-1]
    return right == base == left and abs(quotient) * h > 64 * DOUBLE * size

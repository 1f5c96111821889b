"""Checks for the cells of a note: independent calculations that are held against a result.

    from garden import check

    check.close(cov, best_cov, rtol=1e-3, what="the fitted covariance")

In a garden each check is recorded with what it compared, the error it saw and the tolerance it allowed:
the page shows them, and a cell in which one fails has failed. Anywhere else (a notebook, a script) this file
is an ordinary module, of which a copy can lie beside the notebook; there a check that fails raises
AssertionError.

It needs NumPy, and JAX only where the functions that it is given do.
"""

from __future__ import annotations

import builtins
import math
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from statistics import NormalDist, median
from typing import Any

import numpy as np

from generator.execution.taylor import Finding, examine

__all__ = ["check"]

Array = Any
_RECORDER = "__notes_garden__"
_UNIT = {2: 1e-2, 4: 1e-5}
"""The relative tolerance for numbers of so many bytes; for longer ones it is 1e-9."""


class Checks:
    """The checks. `what` says in a few words what is being checked."""

    def close(
        self,
        actual: Array,
        expected: Array,
        rtol: float | None = None,
        atol: float = 0.0,
        what: str = "",
        *,
        kind: str = "equal",
    ) -> None:
        """Equality to a tolerance: |actual - expected| ≤ atol + rtol·|expected| in every entry.

        `rtol` is 1e-5 if one of the two is in single precision, else 1e-9; and 0 if only `atol` is given.
        """
        found, wanted = np.asarray(actual), np.asarray(expected)
        if rtol is None:
            rtol = 0.0 if atol else max(_tolerance_of(found), _tolerance_of(wanted))
        limits = f"rtol {rtol:g}" * bool(rtol) + ", " * bool(rtol and atol) + f"atol {atol:g}" * bool(atol)
        shapes = _broadcast(found, wanted)
        if shapes:
            _record(kind, what, False, tolerance=limits or "none", why=shapes)
            return
        found, wanted = np.broadcast_arrays(found, wanted)
        wide = np.result_type(found, wanted, np.float64)
        found, wanted = found.astype(wide), wanted.astype(wide)
        with np.errstate(all="ignore"):
            distance = np.where(found == wanted, 0.0, np.abs(found - wanted))
            excess = distance - (atol + rtol * np.abs(wanted))
        # A nan compares as false with everything: it must not pass for close.
        held = bool((excess <= 0).all())
        at = _worst(excess)
        size = float(np.abs(wanted[at])) if found.size else 0.0
        error = float(distance[at]) if found.size else 0.0
        relative = f"{error / size:.2g} relative" if size else f"{error:.2g} absolute"
        n = int((~(excess <= 0)).sum())
        _record(
            kind,
            what,
            held,
            expected=_entry(wanted, at),
            actual=_entry(found, at),
            error=relative if found.size else "",
            tolerance=limits or "none",
            why="" if held else f"{n} of {_count(found.size, 'number')} too far off",
        )

    def closed_form(
        self, actual: Array, formula: Array, rtol: float | None = None, atol: float = 0.0, what: str = ""
    ) -> None:
        """`close`, where what is expected comes from a formula rather than from another computation."""
        self.close(actual, formula, rtol, atol, what, kind="closed form")

    def gradient(
        self,
        function: Callable[[Any], Any],
        at: Any,
        gradient: Any = None,
        what: str = "",
        *,
        directions: int = 3,
        seed: int = 0,
    ) -> None:
        """Whether `gradient` is the gradient of a scalar `function` at a point; by default, what `jax.grad`
        gives.

        Taylor's theorem says that f(x + hv) - f(x) - h·g·v shrinks as h² if g is the gradient, and as h if it
        is not. This is looked at in double precision, for many h, along random directions. Where the function
        has a kink, or rounding hides the answer, the check is skipped and says so.
        """
        jax = sys.modules.get("jax")
        with _double(jax):
            point, build = _flat(at, jax)
            if gradient is None:
                if jax is None:
                    raise TypeError("check.gradient needs the gradient of a function that JAX does not know")
                gradient = jax.grad(function)(build(point))
            slope, _ = _flat(gradient, jax)
            if slope.shape != point.shape:
                why = f"the gradient has {slope.size} numbers and the point {point.size}"
                _record("gradient", what, False, why=why)
                return
            findings = _directional(
                lambda x: float(np.asarray(function(build(x)))), point, slope, directions, seed
            )
        worst = max(findings, key=lambda one: (_RANK[one.outcome], one.error))
        orders = [order for one in findings for order in one.orders[-1:]]
        _record(
            "gradient",
            what,
            worst.outcome == "held",
            expected="order 2",
            actual=f"order {min(orders):.2f}" if orders else "rounding alone",
            error=f"{worst.error:.2g} relative",
            tolerance=f"Taylor's remainder shrinks as h² in {_count(directions, 'direction')}",
            why=_WHY[worst.outcome],
            skipped=worst.outcome in ("rough", "unresolved"),
        )

    def sampling(self, draws: Array, expected: Array, alpha: float = 1e-4, what: str = "") -> None:
        """Whether independent draws (along the first axis) have the expected mean, entry by entry: a
        Monte-Carlo test as in `z_score`, with the standard error that the draws show. A hundred at least."""
        values = np.asarray(draws, np.float64)
        n = len(values)
        if n < 100:
            why = f"{_count(n, 'draw')} say too little about their own spread; 100 at least"
            _record("sampling", what, False, why=why)
            return
        error = values.std(axis=0, ddof=1) / math.sqrt(n)
        self.z_score(values.mean(axis=0), expected, error, alpha, what)

    def z_score(
        self, estimate: Array, expected: Array, error: Array, alpha: float = 1e-4, what: str = ""
    ) -> None:
        """Whether estimates differ from what is expected by no more than chance explains.

        Each difference is divided by its standard `error`. All are judged together: if everything is right,
        the check fails with probability `alpha` (the threshold is Šidák's for that many entries).
        """
        found, wanted, spread = np.broadcast_arrays(
            np.asarray(estimate, np.float64), np.asarray(expected, np.float64), np.asarray(error, np.float64)
        )
        threshold = _threshold(alpha, max(1, found.size))
        with np.errstate(all="ignore"):
            z = np.where(found == wanted, 0.0, (found - wanted) / spread)
        held = bool((np.abs(z) < threshold).all())
        at = _worst(np.abs(z))
        _record(
            "sampling",
            what,
            held,
            expected=_entry(wanted, at),
            actual=f"{_entry(found, at)} ± {float(spread[at]):.2g}" if found.size else "",
            error=f"|z| = {float(np.abs(z[at])):.2f}" if found.size else "",
            tolerance=f"|z| < {threshold:.2f} for {_count(found.size, 'entry', 'entries')} (p = {alpha:g})",
            why="" if held else "the difference is larger than chance explains",
        )

    def residual(
        self, matrix: Any, solution: Array, right: Array, tol: float | None = None, what: str = ""
    ) -> None:
        """Whether `solution` solves `matrix` · x = `right`, by the backward error ‖Ax-b‖ / (‖A‖‖x‖ + ‖b‖),
        taken in double precision. `tol` is 10·n·u by default, u the unit roundoff of the solution's numbers.

        For a function in place of a matrix it is ‖Ax-b‖ / ‖b‖.
        """
        x, b = np.asarray(solution), np.asarray(right, np.float64)
        if tol is None:
            u = float(np.finfo(x.dtype).eps) / 2 if np.issubdtype(x.dtype, np.inexact) else 2.0**-53
            tol = 10 * len(np.atleast_1d(x)) * u
        if callable(matrix):
            product, scale = np.asarray(matrix(solution), np.float64), 0.0
        else:
            a = np.asarray(matrix, np.float64)
            product = a @ np.asarray(x, np.float64)
            scale = float(np.linalg.norm(a)) * float(np.linalg.norm(x))
        size = scale + float(np.linalg.norm(b))
        left = float(np.linalg.norm(product - b))
        error = left / size if size else left
        held = error <= tol
        why = "" if held else "what was solved is another system"
        _record("residual", what, held, "0", f"{left:.3g}", f"{error:.2g}", f"{tol:.2g}", why)

    def convergence(
        self,
        errors: Sequence[float],
        order: float,
        steps: Sequence[float] | None = None,
        tol: float = 0.25,
        what: str = "",
    ) -> None:
        """Whether errors shrink at the rate that theory promises: as steps**order. Without `steps` each is
        half of the one before. The median of the observed orders must lie within `tol` of `order`."""
        e = np.asarray(errors, np.float64)
        h = 0.5 ** np.arange(len(e)) if steps is None else np.asarray(steps, np.float64)
        if len(e) < 2 or len(h) != len(e) or not ((e > 0).all() and (h > 0).all()):
            why = "it takes two errors at least, a step for each, all of them above zero"
            _record("convergence", what, False, expected=f"order {order:g}", why=why)
            return
        orders = [float(p) for p in np.diff(np.log(e)) / np.diff(np.log(h))]
        observed = median(orders)
        held = abs(observed - order) <= tol
        _record(
            "convergence",
            what,
            held,
            expected=f"order {order:g}",
            actual=f"order {observed:.2f}",
            error=f"{abs(observed - order):.2g}",
            tolerance=f"{tol:g}",
            why="" if held else "the orders seen are " + ", ".join(f"{p:.2f}" for p in orders[:6]),
        )


check = Checks()


# ---------------------------------------------------------------- the numbers behind the checks


_RANK = {"held": 0, "unresolved": 1, "rough": 2, "failed": 3}
_WHY = {
    "held": "",
    "failed": "the remainder of Taylor's formula does not shrink as it should",
    "rough": "the function has no derivative there",
    "unresolved": "rounding, or what is no number, hides the answer",
}


def _directional(
    function: Callable[[Array], float], point: Array, slope: Array, directions: int, seed: int
) -> list[Finding]:
    """The Taylor test along random directions as long as the point is large."""
    random = np.random.default_rng(seed)
    scale = max(1.0, float(np.abs(point).max(initial=0.0)))
    findings = []
    for _ in range(directions):
        v = random.normal(size=point.size)
        v *= scale / (float(np.linalg.norm(v)) or 1.0)
        findings.append(examine(lambda h, v=v: function(point + h * v), float(slope @ v)))  # type: ignore[misc]
    return findings


def _threshold(alpha: float, entries: int) -> float:
    one = -math.expm1(math.log1p(-alpha) / entries)  # 1 - (1 - alpha)**(1 / entries), without cancellation
    return -NormalDist().inv_cdf(one / 2)


def _double(jax: Any) -> Any:
    """Where JAX is at work it computes in double precision inside this."""
    if jax is None:
        return nullcontext()
    enable = getattr(jax, "enable_x64", None)
    return enable(True) if enable is not None else sys.modules["jax.experimental"].enable_x64(True)


def _flat(tree: Any, jax: Any) -> tuple[Array, Callable[[Array], Any]]:
    """The numbers of an array, or of a tree of them where JAX is there, in one row, and the way back."""
    leaves, build = jax.tree.flatten(tree) if jax else ([tree], None)
    arrays = [np.asarray(leaf, np.float64) for leaf in leaves]
    ends = np.cumsum([array.size for array in arrays])[:-1]
    shapes = [array.shape for array in arrays]

    def back(row: Array) -> Any:
        parts = [part.reshape(shape) for part, shape in zip(np.split(row, ends), shapes, strict=True)]
        if jax is None:
            return parts[0]
        return jax.tree.unflatten(build, [jax.numpy.asarray(part) for part in parts])

    return np.concatenate([array.ravel() for array in arrays]) if arrays else np.zeros(0), back


def _tolerance_of(array: Array) -> float:
    if not np.issubdtype(array.dtype, np.inexact):
        return 0.0
    size = array.dtype.itemsize // (2 if np.issubdtype(array.dtype, np.complexfloating) else 1)
    return _UNIT.get(size, 1e-9)


def _broadcast(a: Array, b: Array) -> str:
    try:
        shape = np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        shape = None
    return "" if shape in (a.shape, b.shape) else f"the shapes {a.shape} and {b.shape} do not go together"


def _worst(badness: Array) -> tuple[Any, ...]:
    """The entry that is furthest off; a nan is further than anything."""
    if not badness.size:
        return ()
    return tuple(
        int(i) for i in np.unravel_index(int(np.argmax(np.nan_to_num(badness, nan=np.inf))), badness.shape)
    )


def _entry(array: Array, at: tuple[Any, ...]) -> str:
    if not array.size:
        return "nothing"
    value = f"{array[at]:.7g}"
    return f"{value} at {list(at)}" if at and array.size > 1 else value


def _count(n: int, one: str, many: str = "") -> str:
    return f"{n} {one if n == 1 else many or one + 's'}"


# ---------------------------------------------------------------- where it is kept


def _record(
    kind: str,
    what: str,
    held: bool,
    expected: str = "",
    actual: str = "",
    error: str = "",
    tolerance: str = "",
    why: str = "",
    skipped: bool = False,
) -> None:
    """Put a check on record; away from a garden, raise if it failed."""
    outcome = "skipped" if skipped else "held" if held else "failed"
    found = {
        "kind": kind,
        "what": what or "this value",
        "outcome": outcome,
        "expected": expected,
        "actual": actual,
    }
    found |= {"error": error, "tolerance": tolerance, "why": why}
    recorder = getattr(builtins, _RECORDER, None)
    if recorder is not None:
        recorder.check(found, _line())
    elif outcome == "failed":
        figures = f"expected {expected or 'something else'}, got {actual or 'this'}; error {error}"
        raise AssertionError(
            f"{kind} check of {found['what']} failed: {why} ({figures}; tolerance {tolerance})"
        )


def _line() -> int:
    """The line of the cell from which the check was called."""
    frame, line = sys._getframe(1), 0
    while frame is not None:
        if frame.f_code.co_filename.startswith("<cell "):
            line = frame.f_lineno
        frame = frame.f_back  # type: ignore[assignment]
    return line

"""Which digits survive: the cells of a note, run again in other surroundings, held against a first run.

Floating point is not associative, so a result may depend on how wide the processor's instructions are, on how
many threads share a sum, on the order of a set. Digits that come out the same everywhere are stable; the
others say something about one machine. Pure, but for the choice of surroundings.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from generator.execution import surroundings
from generator.execution.compare import Number, Pair, aligned, number, places
from generator.execution.evidence import printed, texts
from generator.execution.protocol import Environment
from generator.execution.verify import judge
from generator.model import Audit, Cell, CellResult, ProgramResult, Unstable

_WIDER = {"avx512f": ("AVX2", "SSE4_2"), "avx2": ("SSE4_2",), "avx": ("SSE4_2",)}

Elsewhere = tuple[str, ProgramResult]
"""The name of some surroundings, and what a program gave there."""


def elsewhere(environment: Environment) -> tuple[tuple[str, Environment], ...]:
    """Other surroundings in which this machine can run cells, by name: narrower instructions, another number
    of threads, another order of sets. Each differs from the usual ones in one thing."""
    flags = dict(surroundings.configuration(environment)).get("XLA_FLAGS", "")
    found = [
        (name.replace("_", "."), {"XLA_FLAGS": f"{flags} --xla_cpu_max_isa={name}".strip()})
        for name in _narrower(surroundings.instruction_sets().split())
    ]
    found.append(("another number of threads", _threads(flags)))
    found.append(("another hash seed", {"PYTHONHASHSEED": "20261"}))
    return tuple((name, _with(environment, variables)) for name, variables in found)


def _narrower(features: Iterable[str]) -> tuple[str, ...]:
    known = set(features)
    return next((names for feature, names in _WIDER.items() if feature in known), ())


def _threads(flags: str) -> dict[str, str]:
    """XLA has as many threads as the machine has processors, and here one, of itself and of Eigen; where
    there is but one processor, four. What else multiplies matrices has one thread, and here four."""
    more = dict.fromkeys(surroundings.ONE_THREAD, "4")
    if os.cpu_count() == 1:
        return more | dict.fromkeys(("NPROC", "PJRT_NPROC"), "4")
    one = {"XLA_FLAGS": f"{flags} --xla_cpu_multi_thread_eigen=false".strip()}
    return more | one | dict.fromkeys(("NPROC", "PJRT_NPROC"), "1")


def _with(environment: Environment, variables: Mapping[str, str]) -> Environment:
    merged = {**dict(environment.variables), **variables}
    # Derivatives have been checked in the run that these are compared with.
    return replace(environment, variables=tuple(sorted(merged.items())), gradcheck="off")


def audited(cells: Sequence[Cell], base: ProgramResult, others: Sequence[Elsewhere]) -> ProgramResult:
    """A result in which each cell that came to its end has its audit."""
    results = []
    for i, (cell, result) in enumerate(zip(cells, base.results, strict=True)):
        again = [(name, other.results[i]) for name, other in others]
        audit = _audit(cell, result, again, base.log.when) if result.status == "ok" else None
        results.append(replace(result, audit=audit))
    return replace(base, results=tuple(results))


def _audit(cell: Cell, result: CellResult, others: Sequence[tuple[str, CellResult]], when: str) -> Audit:
    why = next(_broken(cell, result, others), "")
    shown = texts(result)
    usable = [(name, texts(other)) for name, other in others if other.status == "ok"]
    unstable = [
        one for k, text in enumerate(shown) if text for one in _unstable(k, text, _at(k, len(shown), usable))
    ]
    count = sum(len(list(places(text))) for text in shown) or _expected(cell, result)
    return Audit(tuple(name for name, _ in others), printed(result), count, tuple(unstable), why, when)


def _broken(cell: Cell, result: CellResult, others: Sequence[tuple[str, CellResult]]) -> Iterator[str]:
    """Where the cell does not hold what it holds here, as a sentence."""
    if judge(cell, result).grade == "failed":
        return
    for name, other in others:
        verdict = judge(cell, other)
        if verdict.grade == "failed":
            yield f"Under {name} this cell fails: {verdict.message}"
        elif len(other.outputs) != len(result.outputs):
            yield f"Under {name} this cell shows {len(other.outputs)} outputs and not {len(result.outputs)}."


def _expected(cell: Cell, result: CellResult) -> int:
    """How many numbers a cell that prints none was held against."""
    compared = (one.expected for one in judge(cell, result).comparisons if one.what == "# =>")
    return sum(len(list(places(text))) for text in compared)


def _at(k: int, length: int, others: Sequence[tuple[str, tuple[str, ...]]]) -> list[tuple[str, str]]:
    return [(name, shown[k]) for name, shown in others if len(shown) == length]


# ---------------------------------------------------------------- digits


def _unstable(k: int, text: str, others: Sequence[tuple[str, str]]) -> Iterator[Unstable]:
    """The digits of one text that came out otherwise elsewhere."""
    worst: dict[tuple[int, int], tuple[Decimal, str]] = {}
    for name, other in others:
        if other == text:
            continue
        pairs = aligned(text, other)
        if pairs is None:
            yield Unstable(k, 0, len(text), f"other text under {name}")
            return
        for pair in pairs:
            apart = distance(pair)
            if apart > worst.get((pair.start, pair.end), (Decimal(0), ""))[0]:
                worst[pair.start, pair.end] = apart, f"{pair.actual.text} under {name}"
    for (start, end), (apart, why) in sorted(worst.items()):
        first = _first_unstable(text[start:end], apart)
        if first is not None:
            yield Unstable(k, start + first, start + _mantissa(text[start:end]), why)


def distance(pair: Pair) -> Decimal:
    """How far apart two numbers are; infinitely, where only one is finite or they are not of one kind."""
    a, b = pair.expected, pair.actual
    if a.value.is_finite() and b.value.is_finite():
        return abs(a.value - b.value)
    same = a.text.lower().lstrip("+") == b.text.lower().lstrip("+")
    return Decimal(0) if same else Decimal("Infinity")


def _mantissa(text: str) -> int:
    end = text.lower().find("e")
    return end if end > 0 and text[0] not in "nNiI" and "inf" not in text.lower() else len(text)


def _first_unstable(text: str, apart: Decimal) -> int | None:
    """The place of the first digit whose unit is no larger than the difference; None if all are larger."""
    read = number(text)
    if read is None or not read.value.is_finite():
        return 0
    mantissa = text[: _mantissa(text)]
    exponent = int(text[len(mantissa) + 1 :] or 0) if len(mantissa) < len(text) else 0
    point = mantissa.find(".") if "." in mantissa else len(mantissa)
    before = [i for i, char in enumerate(mantissa) if char.isdigit()]
    for i in before:
        power = exponent + (point - i - 1 if i < point else point - i)
        if Decimal(1).scaleb(power) <= apart:
            leading = not mantissa[:i].strip("+-0.")
            return 0 if leading else i
    return None


def common_unit(value: Number, others: Sequence[Number], most: int) -> Decimal | None:
    """The unit of the last digit that a number and its counterparts elsewhere have in common, one digit to
    spare, and `most` significant digits at most. None if not one digit is left."""
    if not value.value.is_finite():
        return None
    apart = max(
        (abs(value.value - other.value) for other in others if other.value.is_finite()), default=Decimal(0)
    )
    units = [unit_of(value), Decimal(1).scaleb(value.value.adjusted() - most + 1 if value.value else -most)]
    if apart:
        units.append(Decimal(1).scaleb(apart.adjusted() + 2))
    unit = max(units)
    return unit if not apart or unit <= abs(value.value) else None


def unit_of(value: Number) -> Decimal:
    """The unit of the last digit of a number as it is written."""
    return Decimal(1).scaleb(value.half.adjusted() + 1)

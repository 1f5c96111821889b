"""A run as it is remembered: what it was a run of, and what came out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from generator.execution.protocol import Run


@dataclass(frozen=True, slots=True)
class Shape:
    """Where the statements of a cell started when it ran, and which of them were observed."""

    lines: tuple[int, ...]
    observed: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """A run as it is stored. `text` is a digest of the cells' very text; where an output speaks of lines the
    run is `bound` to it."""

    run: Run
    shapes: tuple[Shape, ...]
    text: str
    bound: bool


@dataclass(frozen=True, slots=True)
class Parts:
    """What a key is made of: enough to say what changed, and from what to what.

    `cells` are digests of their syntax, `options` those that matter, in words; `used` are the cells that are
    borrowed, each with its name; `values` the expressions between the cells; `deps` declared inputs;
    `settings` of JAX and of the environment; `engine` the version of what running a cell means.
    """

    cells: tuple[str, ...]
    options: tuple[str, ...]
    used: tuple[tuple[str, str], ...]
    values: tuple[str, ...]
    deps: tuple[str, ...]
    kernel: str
    python: str
    settings: tuple[tuple[str, str], ...]
    engine: str


@dataclass(frozen=True, slots=True)
class Last:
    """The last run of a note, whatever became of it: its parts, and the code of its cells."""

    parts: Parts
    codes: tuple[str, ...]


def difference(
    last: Parts, now: Parts, labels: Sequence[str], codes: tuple[Sequence[str], Sequence[str]]
) -> str:
    """What is different, as the end of a sentence, `old → new`; "" if nothing is. `codes` are those of the
    cells then and now, as far as they are known."""
    return next(_differences(last, now, labels, codes), "")


def _differences(
    last: Parts, now: Parts, labels: Sequence[str], codes: tuple[Sequence[str], Sequence[str]]
) -> Iterator[str]:
    if len(last.cells) != len(now.cells):
        yield f"cells were added or removed ({len(last.cells)} → {len(now.cells)})"
        return
    for i, label in enumerate(labels):
        if last.cells[i] != now.cells[i]:
            yield f"the code of cell {label} has changed{_first_line(i, *codes)}"
        if last.options[i] != now.options[i]:
            yield f"the options of cell {label} have changed{_arrow(last.options[i], now.options[i])}"
    if last.used != now.used:
        yield _borrowing(dict(last.used), dict(now.used))
    if last.values != now.values:
        yield "the values in its sentences have changed"
    if last.deps != now.deps:
        yield f"its deps have changed{_arrow(', '.join(last.deps), ', '.join(now.deps))}"
    for name, words in (("kernel", "the kernel"), ("python", "the version of Python")):
        if getattr(last, name) != getattr(now, name):
            yield f"{words} changed{_arrow(getattr(last, name), getattr(now, name))}"
    yield from _settings(dict(last.settings), dict(now.settings))
    if last.engine != now.engine:
        yield f"the way cells are run changed{_arrow(last.engine, now.engine)}"


def _settings(last: dict[str, str], now: dict[str, str]) -> Iterator[str]:
    for name in sorted(last.keys() | now.keys()):
        if last.get(name) != now.get(name):
            yield f"the setting {name} changed{_arrow(last.get(name, ''), now.get(name, ''))}"


def _first_line(i: int, last: Sequence[str], now: Sequence[str]) -> str:
    if i >= min(len(last), len(now)):
        return ""
    old, new = last[i].split("\n"), now[i].split("\n")
    n = next((n for n, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    return _arrow(*(lines[n].strip() if n < len(lines) else "" for lines in (old, new)))


def _arrow(old: str, new: str) -> str:
    old, new = (text if len(text) <= 60 else text[:59] + "…" for text in (old, new))
    return f" ({old or 'nothing'} → {new or 'nothing'})"


def _borrowing(last: dict[str, str], now: dict[str, str]) -> str:
    """What is different about the cells that are borrowed, as the end of a sentence."""
    for name in now:
        if name not in last:
            return f"it uses cell {name} as well"
        if last[name] != now[name]:
            return f"cell {name}, which it uses, has changed"
    gone = next((name for name in last if name not in now), "")
    return f"it no longer uses cell {gone}" if gone else "the cells that it uses come in another order"

"""What computed values were when the garden was last built without a failed cell, and what they are now.

Only the report speaks of it: a page is the same whatever was there before.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from generator.memo import Store
from generator.model import Shown

_KEY = "shown"
_WIDTH = 60


@dataclass(frozen=True, slots=True)
class Change:
    """A value that is another one than before. `name` is the label of its cell, or the code in a sentence;
    `because` are the notes, of those that its note uses, in which something has changed as well."""

    note: str
    line: int
    kind: str
    name: str
    old: str
    new: str
    because: tuple[str, ...] = ()


def found(store: Store, shown: Sequence[Shown]) -> tuple[Change, ...]:
    """What differs from what `remember` was last given."""
    before = _before(store)
    different = [one for one in shown if before.get(_name(one), one.text) != one.text]
    notes = {one.note for one in different}
    return tuple(
        Change(
            one.note,
            one.line,
            one.kind,
            one.name,
            before[_name(one)],
            one.text,
            tuple(used for used in one.uses if used in notes),
        )
        for one in sorted(different, key=lambda one: (one.note, one.line))
        if one.kind != "code"
    )


def remember(store: Store, shown: Sequence[Shown]) -> None:
    """Keep what is shown now. What did not run keeps the value that it had."""
    before = _before(store)
    now = {**before, **{_name(one): one.text for one in shown}}
    if now != before:
        store.put(_KEY, json.dumps(now, ensure_ascii=False, sort_keys=True).encode("utf-8", "surrogatepass"))


def _before(store: Store) -> dict[str, str]:
    data = store.get(_KEY)
    try:
        known: dict[str, str] = json.loads(data.decode("utf-8", "surrogatepass")) if data else {}
    except ValueError:
        return {}
    return known


def _name(one: Shown) -> str:
    return f"{one.note}\n{one.kind}\n{one.name}"


# ---------------------------------------------------------------- words


def described(change: Change, folder: str = "") -> str:
    """A change for a person: `mle.md:42: value nll: 1.42 → 1.43`."""
    path = f"{folder}/{change.note}" if folder else change.note
    old, new = _apart(change.old, change.new)
    why = f" ({', '.join(change.because)}, which it uses, changed)" if change.because else ""
    return _printable(f"{path}:{change.line}: {change.kind} {change.name}: {old} → {new}{why}")


def _apart(old: str, new: str) -> tuple[str, str]:
    """The first lines in which two texts differ, cut to a width around the place."""
    pairs = zip([*old.split("\n"), ""], [*new.split("\n"), ""], strict=False)
    a, b = next(((a, b) for a, b in pairs if a != b), (old, new))
    same = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    start = max(0, same - _WIDTH // 2)
    return _cut(a, start), _cut(b, start)


def _cut(line: str, start: int) -> str:
    shown = line[start : start + _WIDTH].strip()
    return (("…" if start else "") + shown + ("…" if start + _WIDTH < len(line) else "")) or "nothing"


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)


def as_data(changes: Sequence[Change]) -> Iterator[dict[str, object]]:
    """Changes as the JSON report holds them."""
    for one in changes:
        yield {
            "note": one.note,
            "line": one.line,
            "kind": one.kind,
            "name": one.name,
            "old": one.old,
            "new": one.new,
            "because": list(one.because),
        }

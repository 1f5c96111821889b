"""Where each note lies on the map of the garden: a pure function of the notes' names and links.

There is nothing to remember from build to build, so a map built from scratch and one built after a thousand
edits are the same bytes; and yet a note stays where it was while the garden grows, because all that decides
its place moves smoothly with the graph:

1. Each note draws two numbers from the hash of its name.
2. They are averaged over the links, again and again, and spread out in between: what belongs together comes
   together, and the few slow waves that remain (Koren's spectral drawing, stopped early) are the outline.
3. A fixed number of steps of springs and repulsion unfolds it (Fruchterman and Reingold; what is far away
   acts as the centre of its square, after Barnes, Hut and Greengard).

Only sums in a fixed order and operations that IEEE 754 defines exactly are used (no matrix products, no
transcendental functions), so the result does not depend on the processor.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

EXTENT = 10_000
"""Coordinates are whole numbers from -EXTENT to EXTENT: a file of them is small, and none of them shows
the last digits of a float."""

_STEPS = 110
_SMALL = 300  # up to so many notes every pair is looked at: cheaper than squares, and exact
_GRAVITY = 0.035


def layout(slugs: Sequence[str], edges: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """The place of each note, parallel to `slugs`. `edges` are pairs of indices; direction, repetition and
    order do not matter, and neither does the order of the notes."""
    if not slugs:
        return ()
    import numpy as np

    order = sorted(range(len(slugs)), key=slugs.__getitem__)
    rank = {old: new for new, old in enumerate(order)}
    pairs = sorted({(min(p), max(p)) for a, b in edges if a != b for p in [(rank[a], rank[b])]})
    springs = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    at = _outline(_drawn([slugs[i] for i in order]), springs)
    at = _unfold(at, springs)
    scaled = np.rint(np.clip(at * (EXTENT / _reach(at)), -EXTENT, EXTENT)).astype(int)
    return tuple((int(scaled[0, rank[i]]), int(scaled[1, rank[i]])) for i in range(len(slugs)))


def _reach(at: Floats) -> float:
    """What becomes EXTENT: not the farthest note, or one stray note would shrink all others."""
    import numpy as np

    return float(2.6 * np.sqrt(_mean(at[0] * at[0]) + _mean(at[1] * at[1]) + 1e-9))


def _drawn(slugs: Sequence[str]) -> Floats:
    """Two numbers from -1 to 1 for each name, as two rows."""
    import numpy as np

    data = b"".join(hashlib.blake2b(slug.encode(), digest_size=8).digest() for slug in slugs)
    drawn: Floats = np.frombuffer(data, dtype="<u4").reshape(-1, 2).T / 2.0**31 - 1.0
    return drawn


def _degrees(springs: Ints, count: int) -> Floats:
    import numpy as np

    return np.bincount(springs.ravel(), minlength=count).astype(np.float64)


def _outline(at: Floats, springs: Ints) -> Floats:
    import numpy as np

    count = at.shape[1]
    weight = 1.0 / (_degrees(springs, count) + 1.0)
    for _ in range(max(2, count.bit_length() - 4)):
        around = _rows(_received(at[0], springs, count), _received(at[1], springs, count))
        at = _spread(0.5 * at + 0.5 * (around + at) * weight)
    return at * float(np.sqrt(count))


def _received(row: Floats, springs: Ints, count: int) -> Floats:
    """For each note the sum of what its neighbours have."""
    import numpy as np

    a, b = springs
    forth, back = np.bincount(a, row[b], count), np.bincount(b, row[a], count)
    sums: Floats = np.add(forth, back, dtype=np.float64)
    return sums


def _spread(at: Floats) -> Floats:
    """Centred, both directions independent and equally wide; far ones are drawn in."""
    x, y = at
    x = x - _mean(x)
    x = x / (_mean(x * x) ** 0.5 + 1e-9)
    y = y - _mean(y)
    y = y - _mean(x * y) * x
    y = y / (_mean(y * y) ** 0.5 + 1e-9)
    import numpy as np

    both: Floats = np.stack([x, y]) / (1.0 + 0.15 * np.sqrt(x * x + y * y))
    return both


def _mean(row: Floats) -> float:
    """In the order of the row: the sum that numpy makes depends on the processor."""
    return float(row.cumsum()[-1]) / len(row)


def _unfold(at: Floats, springs: Ints) -> Floats:
    import numpy as np

    count = at.shape[1]
    a, b = springs
    degrees = _degrees(springs, count)
    pull = 1.0 / np.sqrt(np.minimum(degrees[a], degrees[b]) + 1e-9)
    mass = np.minimum(1.0 + 0.12 * degrees, 4.0)
    give = 1.0 / (1.0 + 0.15 * degrees)
    push = _every_pair if count <= _SMALL else _squares
    for step in range(_STEPS):
        force = push(at, mass, step)
        for axis in (0, 1):
            stretch = (at[axis, b] - at[axis, a]) * pull
            force[axis] += np.bincount(a, stretch, count) - np.bincount(b, stretch, count)
        force -= _GRAVITY * at
        force *= give
        far = np.sqrt(force[0] * force[0] + force[1] * force[1]) + 1e-9
        left = 1.0 - step / _STEPS
        at = at + force * np.minimum(0.35, (0.02 + 0.08 * count**0.5 * left * left) / far)
    return at


def _every_pair(at: Floats, mass: Floats, _: int) -> Floats:
    dx = at[0][None, :] - at[0][:, None]
    dy = at[1][None, :] - at[1][:, None]
    scaled = mass[:, None] / (dx * dx + dy * dy + 0.05)
    # Over the first axis numpy adds row by row, in order.
    return _rows((dx * scaled).sum(axis=0), (dy * scaled).sum(axis=0))


def _rows(x: Floats, y: Floats) -> Floats:
    import numpy as np

    return np.stack([x, y])


def _squares(at: Floats, mass: Floats, step: int) -> Floats:
    """The same to within some percent, in time that grows as the number of notes does."""
    import numpy as np

    count = at.shape[1]
    levels = max(3, int(count - 1).bit_length() // 2 - 1)
    side = 1 << levels
    half = float(np.abs(at).max()) + 1e-6
    # The squares shift from step to step, or their borders would show in the end.
    shift = np.array([[step * 0.618 % 1.0], [step * 0.755 % 1.0]])
    column, row = ((at + half) * (0.7 * side / (2 * half)) + 0.29 * side * shift).astype(np.int64)
    cell = row * side + column
    pyramid = _pyramid(at, mass, cell, levels)
    field = np.zeros((2, 1))
    for level in range(2, levels + 1):
        n = 1 << level
        if level > 2:
            field = field.reshape(2, n // 2, n // 2).repeat(2, axis=1).repeat(2, axis=2).reshape(2, -1)
        field = field + _from(pyramid[level], _far(level))
    return field[:, cell] + _near(at, mass, cell, pyramid[levels], side)


def _pyramid(at: Floats, mass: Floats, cell: Ints, levels: int) -> dict[int, Floats]:
    """For each level mass and centre of each square, and a last square of no mass."""
    import numpy as np

    side = 1 << levels
    sums = np.stack([np.bincount(cell, w, side * side) for w in (mass, mass * at[0], mass * at[1])])
    found = {}
    for level in range(levels, 1, -1):
        weight = np.maximum(sums[0], 1e-9)
        square = np.stack([sums[0], sums[1] / weight, sums[2] / weight])
        found[level] = np.concatenate([square, np.zeros((3, 1))], axis=1)
        grid = sums.reshape(3, 1 << level, 1 << level)
        grid = grid[:, ::2] + grid[:, 1::2]
        sums = (grid[:, :, ::2] + grid[:, :, 1::2]).reshape(3, -1)
    return found


def _from(squares: Floats, others: Ints) -> Floats:
    """The push on the centre of each square from those listed for it."""
    mass, x, y = squares
    dx = x[None, :-1] - x[others]
    dy = y[None, :-1] - y[others]
    scaled = mass[others] / (dx * dx + dy * dy + 0.05)
    return _rows((dx * scaled).sum(axis=0), (dy * scaled).sum(axis=0))


@lru_cache(maxsize=8)  # a level is asked for at every step
def _far(level: int) -> Ints:
    """For each square of a level, those that touch its parent's neighbours but not itself: 27 at most.
    Squares outside are the last one, which has no mass."""
    import numpy as np

    n = 1 << level
    i = np.arange(n * n, dtype=np.int64)
    column, row = i % n, i // n
    found = []
    for down in range(-3, 4):
        for right in range(-3, 4):
            c, r = column + right, row + down
            inside = (c >= 0) & (c < n) & (r >= 0) & (r < n)
            cousins = (abs((c >> 1) - (column >> 1)) <= 1) & (abs((r >> 1) - (row >> 1)) <= 1)
            if max(abs(down), abs(right)) > 1:
                found.append(np.where(inside & cousins, r * n + c, n * n))
    return np.stack(found)


def _near(at: Floats, mass: Floats, cell: Ints, squares: Floats, side: int) -> Floats:
    """The push on each note from its own square, without itself, and from the eight around it."""
    import numpy as np

    weight, x, y = squares
    column, row = cell % side, cell // side
    force = np.zeros_like(at)
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            c, r = column + right, row + down
            inside = (c >= 0) & (c < side) & (r >= 0) & (r < side)
            there = np.where(inside, r * side + c, side * side)
            m, cx, cy = weight[there], x[there], y[there]
            if down == right == 0:
                rest = np.maximum(m - mass, 1e-9)
                cx, cy = (cx * m - at[0] * mass) / rest, (cy * m - at[1] * mass) / rest
                m = np.maximum(m - mass, 0.0)
            dx, dy = at[0] - cx, at[1] - cy
            scaled = m / (dx * dx + dy * dy + 0.05)
            force += _rows(dx * scaled, dy * scaled)
    return force

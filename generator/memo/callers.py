"""The two ways to call a function: plainly, or after looking its result up."""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b
from itertools import chain
from typing import Any, Protocol

from generator.memo.beside import begin
from generator.memo.code import code_version
from generator.memo.encoding import flatten, pack, unflatten, unpack
from generator.memo.keys import canonical, hash_of
from generator.memo.stores import BatchStore
from generator.memo.team import FEW, R, compute, name_of, returns, undisturbed


def _always(result: object) -> bool:
    return True


_PART = 500
"""So many results are worked at before they are stored, or used and forgotten."""


def _parts(items: Sequence[R]) -> Iterator[Sequence[R]]:
    return (items[i : i + _PART] for i in range(0, len(items), _PART))


class Caller(Protocol):
    """What a pipeline calls its expensive functions with: `Plain` or `Memo`."""

    def call(self, function: Callable[..., R], *args: object) -> R: ...

    def map(
        self,
        function: Callable[..., R],
        items: Sequence[Any],
        *shared: object,
        keep: Callable[[R], bool] = _always,
        by: Sequence[str] | None = None,
    ) -> tuple[R, ...]: ...

    def each(
        self, function: Callable[..., R], items: Sequence[Any], *shared: object, by: Sequence[str]
    ) -> Iterator[R]: ...

    def begin(self, function: Callable[..., R], *args: object) -> Callable[[], R]: ...


class Plain:
    """Calls functions; remembers nothing. `jobs` processes share the items of a `map`."""

    def __init__(self, jobs: int = 1) -> None:
        self._jobs = jobs

    def call(self, function: Callable[..., R], *args: object) -> R:
        return function(*args)

    def map(
        self,
        function: Callable[..., R],
        items: Sequence[Any],
        *shared: object,
        keep: Callable[[R], bool] = _always,
        by: Sequence[str] | None = None,
    ) -> tuple[R, ...]:
        """`function(item, *shared)` for each of `items`, in order."""
        return tuple(result for result, _ in compute(function, items, shared, self._jobs))

    def each(
        self, function: Callable[..., R], items: Sequence[Any], *shared: object, by: Sequence[str]
    ) -> Iterator[R]:
        """As `map`, but only some of the results exist at a time."""
        for part in _parts(items):
            yield from self.map(function, part, *shared)

    def begin(self, function: Callable[..., R], *args: object) -> Callable[[], R]:
        """`function(*args)`, worked at beside what follows. What is returned waits for the result."""
        return begin(function, args, returns(function)) if self._jobs > 1 else lambda: function(*args)


class Memo:
    """Calls functions whose results `store` does not have.

    A function must be defined at the top of a module, be pure, and say its return type. `version`
    stands for its code (by default for all of the generator's). With `remember`, the results of the
    latest `map` of each function also stay in memory: for a process that builds again and again.
    """

    def __init__(
        self, store: BatchStore, *, version: str | None = None, jobs: int = 1, remember: bool = False
    ) -> None:
        self._store = store
        self._version = code_version() if version is None else version
        self._jobs = jobs
        self._remember = remember
        self._recent: dict[str, dict[str, Any]] = {}

    def call(self, function: Callable[..., R], *args: object) -> R:
        """`function(*args)`."""
        key = hash_of(canonical((name_of(function), self._version)) + canonical(args))
        found, result = _load(self._store.get(key), returns(function))
        if not found:
            result = function(*args)
            self._store.put(key, pack(flatten(result, returns(function))))
        return typing.cast(R, result)

    def map(
        self,
        function: Callable[..., R],
        items: Sequence[Any],
        *shared: object,
        keep: Callable[[R], bool] = _always,
        by: Sequence[str] | None = None,
    ) -> tuple[R, ...]:
        """`function(item, *shared)` for each of `items`, in order; what is not known yet is computed by
        several processes. A result that `keep` turns down is never stored. `by[i]` stands for everything
        of item `i` and of what is shared that its result depends on; without it, that is all of both."""
        with undisturbed():
            keys = self._keys(function, items, shared) if by is None else self._keys(function, by, ())
            results = tuple(chain.from_iterable(self._in_parts(function, items, shared, keys, keep)))
        if self._remember:
            self._recent[name_of(function)] = {
                key: result for key, result in zip(keys, results, strict=True) if keep(result)
            }
        return results

    def each(
        self, function: Callable[..., R], items: Sequence[Any], *shared: object, by: Sequence[str]
    ) -> Iterator[R]:
        """As `map`, but only some of the results exist at a time, unless this memo remembers them."""
        if self._remember:
            yield from self.map(function, items, *shared, by=by)
            return
        for part in self._in_parts(function, items, shared, self._keys(function, by, ()), _always):
            yield from part

    def _in_parts(
        self,
        function: Callable[..., R],
        items: Sequence[Any],
        shared: tuple[object, ...],
        keys: Sequence[str],
        keep: Callable[[R], bool],
    ) -> Iterator[list[R]]:
        """The results, a part of them at a time: one part is stored while the next is worked at."""
        for these, some in zip(_parts(keys), _parts(items), strict=True):
            known = self._known(function, these)
            missing = [i for i, key in enumerate(these) if key not in known]
            fresh = compute(function, [some[i] for i in missing], shared, self._jobs, flat=True)
            self._keep(function, [these[i] for i in missing], fresh, keep)
            new = {i: result for i, (result, _) in zip(missing, fresh, strict=True)}
            yield [new[i] if i in new else known[key] for i, key in enumerate(these)]

    def begin(self, function: Callable[..., R], *args: object) -> Callable[[], R]:
        """`function(*args)`, not remembered, worked at beside what follows. What is returned waits for the
        result. The function may use this memo."""
        if self._jobs < 2:
            return lambda: function(*args)
        self._store.close()  # No connection to a database may go through a fork.
        return begin(function, args, returns(function))

    def _keys(
        self, function: Callable[..., Any], items: Sequence[Any], shared: tuple[object, ...]
    ) -> list[str]:
        start = blake2b(canonical((name_of(function), self._version, shared)), digest_size=16)
        keys = []
        for item in items:
            state = start.copy()
            state.update(canonical(item))
            keys.append(state.hexdigest())
        return keys

    def _known(self, function: Callable[..., Any], keys: Sequence[str]) -> dict[str, Any]:
        recent = self._recent.get(name_of(function), {})
        known = {key: recent[key] for key in keys if key in recent}
        kind = returns(function)
        stored = self._store.get_many([key for key in keys if key not in known])
        for key, data in stored.items():
            found, result = _load(data, kind)
            if found:
                known[key] = result
        return known

    def _keep(
        self,
        function: Callable[..., R],
        keys: Sequence[str],
        fresh: Sequence[tuple[R, bytes | None]],
        keep: Callable[[R], bool],
    ) -> None:
        kind = returns(function)
        kept = [(key, *one) for key, one in zip(keys, fresh, strict=True) if keep(one[0])]
        if len(kept) < FEW or self._jobs < 2:
            self._store.put_many(_packed(kept, kind))
        else:  # Beside what this process goes on with: it takes as long as a tenth of a build.
            self._store.put_beside([key for key, *_ in kept], lambda: _packed(kept, kind))


def _packed(kept: Sequence[tuple[str, Any, bytes | None]], kind: Any) -> dict[str, bytes]:
    return {key: pack(flatten(result, kind) if flat is None else flat) for key, result, flat in kept}


def _load(data: bytes | None, kind: Any) -> tuple[bool, Any]:
    if data is None:
        return False, None
    try:
        return True, unflatten(unpack(data), kind)
    except ValueError:
        return False, None

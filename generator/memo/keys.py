"""Digests: what stands for a value in a key."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from hashlib import blake2b
from operator import attrgetter
from typing import Any

from generator.model import Html


def digest(value: object) -> str:
    """32 hexadecimal digits for `value`: the same for equal values of the same type, and only for them.

    Takes None, bool, int, float, str, Html, bytes, and tuples, frozensets, dicts and frozen dataclasses
    of these. Anything else raises TypeError: what could change later must not be part of a key.
    """
    return hash_of(canonical(value))


def hash_of(data: bytes) -> str:
    return blake2b(data, digest_size=16).hexdigest()


def canonical(value: object) -> bytes:
    """The injective encoding that `digest` hashes: every part says its type and its length."""
    kind: type = value.__class__
    encode_kind = _CANONICAL.get(kind)
    if encode_kind is not None:
        return encode_kind(value)
    name, get = _parts(kind)
    return name + b"".join([canonical(part) for part in get(value)])


def _canonical_str(value: Any) -> bytes:
    data = value.encode("utf-8", "surrogatepass")
    return b"s%d:%b" % (len(data), data)


def _canonical_html(value: Any) -> bytes:
    return b"h" + _canonical_str(str(value))


def _canonical_float(value: Any) -> bytes:
    return b"fnan;" if value != value else b"f" + struct.pack(">d", value)


def _canonical_tuple(value: Any) -> bytes:
    return b"t%d:" % len(value) + b"".join([canonical(item) for item in value])


def _canonical_set(value: Any) -> bytes:
    return b"S%d:" % len(value) + b"".join(sorted(canonical(item) for item in value))


def _canonical_dict(value: Any) -> bytes:
    pairs = sorted((canonical(key), canonical(item)) for key, item in value.items())
    return b"d%d:" % len(pairs) + b"".join([part for pair in pairs for part in pair])


_CANONICAL: Mapping[type, Callable[[Any], bytes]] = {
    type(None): lambda value: b"N",
    bool: lambda value: b"T" if value else b"F",
    int: lambda value: b"i%d;" % value,
    float: _canonical_float,
    str: _canonical_str,
    Html: _canonical_html,
    bytes: lambda value: b"b%d:%b" % (len(value), value),
    tuple: _canonical_tuple,
    frozenset: _canonical_set,
    dict: _canonical_dict,
}


@cache
def _parts(kind: type) -> tuple[bytes, Callable[[Any], tuple[Any, ...]]]:
    """How a frozen dataclass is told apart (its name and number of fields), and how to take it apart."""
    if not is_dataclass(kind) or not kind.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        raise TypeError(f"a value of type {kind.__qualname__} has no digest: only frozen values have one")
    names = [field.name for field in fields(kind)]
    head = b"c" + _canonical_str(f"{kind.__module__}.{kind.__qualname__}") + b"%d:" % len(names)
    return head, getter(names)


def getter(names: Sequence[str]) -> Callable[[Any], tuple[Any, ...]]:
    """A function from an object to the tuple of these attributes (attrgetter alone unwraps a single one)."""
    if not names:
        return lambda value: ()
    if len(names) == 1:
        get_one = attrgetter(names[0])
        return lambda value: (get_one(value),)
    return attrgetter(*names)

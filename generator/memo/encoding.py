"""Values as bytes and back, directed by the types that the values are annotated with: as JSON for what lasts,
as marshal's data, quicker by half, for what one version of the generator tells itself."""

from __future__ import annotations

import base64
import json
import marshal
import types
import typing
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from typing import Any, Literal, NewType

from generator.memo.keys import canonical, getter
from generator.model import Html

Convert = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Codec:
    """How values of one type become JSON values and back; None where they already are the same."""

    dump: Convert | None = None
    load: Convert | None = None


_AS_IS = Codec()

_NO_REFERENCES = 2
"""The version of marshal's format that does not look for what occurs twice."""
_PACKED, _AS_IT_IS = b"z", b"-"
_LARGE = 12_000
"""Pages compress to a fifth, in less time than it takes to write the rest; the smaller values are many."""


def encode(value: object, kind: Any = None) -> bytes:
    """`value` as JSON from which `decode` makes an equal one. `kind` is its type as annotated; it may be left
    out for dataclasses and plain values. Bytes are their own encoding."""
    kind = value.__class__ if kind is None else kind
    if kind is bytes:
        return typing.cast(bytes, value)
    dump = codec(kind).dump
    data = dump(value) if dump else value
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), default=_base64)
    return text.encode("utf-8", "surrogatepass")


def decode(data: bytes, kind: Any) -> Any:
    """The value of type `kind` that `encode` made `data` from; ValueError if it did not."""
    if kind is bytes:
        return data
    return _loaded(lambda: json.loads(data.decode("utf-8", "surrogatepass")), kind)


def flatten(value: object, kind: Any) -> bytes:
    """`value` for another process, or another run, of this same generator: quicker to make and to read than
    what `encode` makes. Like JSON, marshal's data of these types holds nothing that could be run."""
    dump = codec(kind).dump
    plain: Any = dump(value) if dump else value
    return marshal.dumps(plain, _NO_REFERENCES)


def unflatten(data: bytes, kind: Any) -> Any:
    """The value that `flatten` made `data` from; ValueError if it did not."""
    return _loaded(lambda: marshal.loads(data), kind)


def _loaded(read: Callable[[], Any], kind: Any) -> Any:
    load = codec(kind).load
    try:
        value = read()
        return load(value) if load else value
    except (EOFError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise ValueError(f"not an encoded {kind}: {error}") from error


def pack(data: bytes) -> bytes:
    """`data`, compressed where it is long."""
    return _PACKED + zlib.compress(data, 1) if len(data) > _LARGE else _AS_IT_IS + data


def unpack(data: bytes) -> bytes:
    """What `pack` was given; ValueError if it was given nothing of the kind."""
    if data[:1] != _PACKED:
        return data[1:]
    try:
        return zlib.decompress(data[1:])
    except zlib.error as error:
        raise ValueError(f"not packed: {error}") from error


@cache
def codec(kind: Any) -> Codec:
    """The codec of an annotation, compiled once. TypeError for a type that JSON cannot carry."""
    if isinstance(kind, NewType):
        return codec(kind.__supertype__)
    if kind in (str, int, float, bool, type(None)):
        return _AS_IS
    if kind is Html:
        return Codec(str, Html)
    if kind is bytes:
        return Codec(None, _bytes)
    if kind is object:
        return Codec(_native, None)
    if is_dataclass(kind):
        return _dataclass_codec(typing.cast(type, kind))
    return _generic_codec(kind)


def _base64(value: Any) -> str:
    """Bytes, of which JSON has none. TypeError for anything else."""
    return base64.b64encode(value).decode("ascii")


def _bytes(value: Any) -> bytes:
    return value if value.__class__ is bytes else base64.b64decode(value, validate=True)


def _native(value: Any) -> Any:
    """Let through what JSON gives back unchanged: anything else would return as something else."""
    if value is None or value.__class__ in (str, int, float, bool):
        return value
    if value.__class__ is list:
        return [_native(item) for item in value]
    if value.__class__ is dict:
        return {_text_key(key): _native(item) for key, item in value.items()}
    raise TypeError(f"a value of type {value.__class__.__qualname__} does not survive JSON")


def _text_key(key: Any) -> Any:
    if key.__class__ is not str:
        raise TypeError("a key of a JSON object must be text")
    return key


def _generic_codec(kind: Any) -> Codec:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        return _AS_IS
    if origin is tuple:
        return _tuple_codec(arguments)
    if origin is dict:
        return _dict_codec(*arguments)
    if origin is frozenset:
        return _set_codec(*arguments)
    if origin in (typing.Union, types.UnionType):
        return _union_codec(arguments)
    raise TypeError(f"{kind} cannot be encoded")


def _tuple_codec(arguments: tuple[Any, ...]) -> Codec:
    if len(arguments) != 2 or arguments[1] is not Ellipsis:
        return _fixed_tuple_codec(arguments)
    dump, load = codec(arguments[0]).dump, codec(arguments[0]).load
    return Codec(
        (lambda value: [dump(item) for item in value]) if dump else list,
        (lambda data: tuple([load(item) for item in data])) if load else tuple,
    )


def _fixed_tuple_codec(arguments: tuple[Any, ...]) -> Codec:
    dump, load = _dump_parts(arguments), _load_parts(arguments)
    return Codec(dump, lambda data: tuple(load(data)))


def _dump_parts(kinds: Sequence[Any]) -> Convert:
    """A function from a tuple of values of these types to the list of their JSON values."""
    changed = [(i, dump) for i, kind in enumerate(kinds) if (dump := codec(kind).dump)]

    def dump_parts(values: Any) -> list[Any]:
        data = list(values)
        for i, dump in changed:
            data[i] = dump(data[i])
        return data

    return dump_parts if changed else list


def _load_parts(kinds: Sequence[Any]) -> Convert:
    """A function from the list of JSON values to the list of values; the list it is given is used up."""
    changed = [(i, load) for i, kind in enumerate(kinds) if (load := codec(kind).load)]
    count = len(kinds)

    def load_parts(data: Any) -> Any:
        if len(data) != count:
            raise ValueError(f"{count} parts expected, {len(data)} found")
        for i, load in changed:
            data[i] = load(data[i])
        return data

    return load_parts


def _dict_codec(key: Any, item: Any) -> Codec:
    """A list of pairs, so that keys may be of any type and keep their order."""
    pair = _fixed_tuple_codec((key, item))
    dump, load = typing.cast(Convert, pair.dump), typing.cast(Convert, pair.load)
    return Codec(
        lambda value: [dump(entry) for entry in value.items()],
        lambda data: dict([load(entry) for entry in data]),
    )


def _set_codec(item: Any) -> Codec:
    many = _tuple_codec((item, Ellipsis))
    dump, load = typing.cast(Convert, many.dump), typing.cast(Convert, many.load)
    return Codec(lambda value: dump(sorted(value, key=canonical)), lambda data: frozenset(load(data)))


def _dataclass_codec(kind: type) -> Codec:
    """A dataclass is the list of its fields: shorter and faster to read than an object with names."""
    get, kinds = _shape(kind)
    dump, load = _dump_parts(kinds), _load_parts(kinds)
    return Codec(lambda value: dump(get(value)), lambda data: kind(*load(data)))


def _shape(kind: type) -> tuple[Callable[[Any], tuple[Any, ...]], list[Any]]:
    hints = typing.get_type_hints(kind)
    names = [field.name for field in fields(typing.cast(Any, kind))]
    return getter(names), [hints[name] for name in names]


def _union_codec(members: tuple[Any, ...]) -> Codec:
    """Plain members are themselves; a dataclass is the list of its name and its fields, flat."""
    dumps, loads = {}, {}
    for member in members:
        if is_dataclass(member):
            dumps[member], loads[typing.cast(type, member).__name__] = _tagged(typing.cast(type, member))
        elif codec(member) != _AS_IS:
            raise TypeError(f"{member} cannot be told apart in a union")
    if not dumps:
        return _AS_IS
    return Codec(
        lambda value: dumps[value.__class__](value) if value.__class__ in dumps else value,
        lambda data: loads[data[0]](data) if data.__class__ is list else data,
    )


def _tagged(kind: type) -> tuple[Convert, Convert]:
    get, kinds = _shape(kind)
    dump, load, name = _dump_parts(kinds), _load_parts(kinds), kind.__name__
    return lambda value: [name, *dump(get(value))], lambda data: kind(*load(data[1:]))

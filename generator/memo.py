"""Remembering: the result of a pure function is looked up by what the function was called with.

A key is the digest of the function's name, of the generator's own code, and of every argument, so there
is nothing to invalidate: another input is another key. What is stored is JSON with a checksum, and a
value that cannot be read back, for whatever reason, was never there.

`Plain` calls functions, `Memo` looks their results up first; a pipeline is given one of them and cannot
tell which.
"""

from __future__ import annotations

import base64
import contextlib
import gc
import json
import marshal
import mmap
import os
import platform
import re
import select
import signal
import sqlite3
import struct
import sys
import tempfile
import threading
import time
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from hashlib import blake2b
from operator import attrgetter
from pathlib import Path
from typing import Any, Literal, NewType, Protocol, TypeVar

from generator.model import Html

R = TypeVar("R")

# ---------------------------------------------------------------- digest


def digest(value: object) -> str:
    """32 hexadecimal digits for `value`: the same for equal values of the same type, and only for them.

    Takes None, bool, int, float, str, Html, bytes, and tuples, frozensets, dicts and frozen dataclasses
    of these. Anything else raises TypeError: what could change later must not be part of a key.
    """
    return _hash(canonical(value))


def _hash(data: bytes) -> str:
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
    return head, _getter(names)


def _getter(names: Sequence[str]) -> Callable[[Any], tuple[Any, ...]]:
    """A function from an object to the tuple of these attributes (attrgetter alone unwraps a single one)."""
    if not names:
        return lambda value: ()
    if len(names) == 1:
        get_one = attrgetter(names[0])
        return lambda value: (get_one(value),)
    return attrgetter(*names)


# ---------------------------------------------------------------- encode and decode

Convert = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Codec:
    """How values of one type become JSON values and back; None where they already are the same."""

    dump: Convert | None = None
    load: Convert | None = None


_AS_IS = Codec()


def encode(value: object, kind: Any = None) -> bytes:
    """`value` as bytes from which `decode` makes an equal one. `kind` is its type as annotated; it may be
    left out for dataclasses and plain values. Bytes are their own encoding."""
    kind = value.__class__ if kind is None else kind
    if kind is bytes:
        return typing.cast(bytes, value)
    dump = codec(kind).dump
    text = json.dumps(dump(value) if dump else value, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "surrogatepass")


def decode(data: bytes, kind: Any) -> Any:
    """The value of type `kind` that `encode` made `data` from; ValueError if it did not."""
    if kind is bytes:
        return data
    load = codec(kind).load
    try:
        value = json.loads(data.decode("utf-8", "surrogatepass"))
        return load(value) if load else value
    except (TypeError, LookupError, AttributeError, RecursionError) as error:
        raise ValueError(f"not an encoded {kind}: {error}") from error


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
        return Codec(lambda value: base64.b64encode(value).decode("ascii"), base64.b64decode)
    if kind is object:
        return Codec(_native, None)
    if is_dataclass(kind):
        return _dataclass_codec(typing.cast(type, kind))
    return _generic_codec(kind)


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
    return _getter(names), [hints[name] for name in names]


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


# ---------------------------------------------------------------- stores


class Store(Protocol):
    """Where values are kept by key. A value that is damaged, or that was put there under another key or by
    another program, is None: nobody downstream needs to know why something has to be computed again."""

    def get(self, key: str) -> bytes | None: ...
    def put(self, key: str, value: bytes) -> None: ...


class BatchStore(Store, Protocol):
    """A store that can be asked for thousands of values at once."""

    def get_many(self, keys: Sequence[str]) -> dict[str, bytes]: ...
    def put_many(self, entries: Mapping[str, bytes]) -> None: ...


_SEAL = 16


def _seal(key: str, value: bytes) -> bytes:
    """The checksum covers the key too: a file moved to another name is not that other value."""
    return blake2b(
        value, digest_size=_SEAL, key=_hash(key.encode("utf-8", "surrogatepass")).encode()
    ).digest()


def _sealed(key: str, value: bytes) -> bytes:
    return _seal(key, value) + value


def _opened(key: str, data: bytes | None) -> bytes | None:
    if not isinstance(data, bytes) or len(data) < _SEAL:
        return None
    value = data[_SEAL:]
    return value if _seal(key, value) == data[:_SEAL] else None


class FileStore:
    """A store of one file a value: for few, large or precious values.

    Any number of processes may use one folder: a file appears whole, by being renamed into place. A
    value that cannot be written (a full disk, a read-only folder) is not kept, which costs time only.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._used: set[str] = set()

    def get(self, key: str) -> bytes | None:
        try:
            value = _opened(key, self._path(key).read_bytes())
        except OSError:
            return None
        if value is not None:
            self._used.add(key)
        return value

    def put(self, key: str, value: bytes) -> None:
        path = self._path(key)
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            _write_whole(path, _sealed(key, value))
            self._used.add(key)

    def get_many(self, keys: Sequence[str]) -> dict[str, bytes]:
        return {key: value for key in keys if (value := self.get(key)) is not None}

    def put_many(self, entries: Mapping[str, bytes]) -> None:
        for key, value in entries.items():
            self.put(key, value)

    def prune(self, builds: int = 30) -> int:
        """End a build: forget what none of the last `builds` builds has used. How many values that were."""
        for key in self._used:
            with contextlib.suppress(OSError):
                os.utime(self._path(key))
        self._used.clear()
        horizon = self._horizon(builds)
        removed = 0
        for path in self._folder.glob("??/*") if horizon else ():
            with contextlib.suppress(OSError):
                if path.stat().st_mtime_ns < horizon:
                    path.unlink()
                    removed += 1
        return removed

    def _horizon(self, builds: int) -> int:
        """When the oldest of the last `builds` builds ended; 0 if there have not been so many."""
        path = self._folder / "builds"
        try:
            ends = [int(line) for line in path.read_text("ascii").split()]
        except (OSError, ValueError):
            ends = []
        with contextlib.suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            _write_whole(path, "\n".join(map(str, [*ends[-builds:], time.time_ns()])).encode("ascii"))
        return ends[-builds] if len(ends) >= builds else 0

    def _path(self, key: str) -> Path:
        name = _hash(key.encode("utf-8", "surrogatepass"))
        return self._folder / name[:2] / name[2:]


def _write_whole(path: Path, data: bytes) -> None:
    """Write a file so that no one ever sees a part of it."""
    handle, name = tempfile.mkstemp(prefix=".", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


_SCHEMA = """
create table if not exists entry
    (key text primary key, value blob not null, used integer not null) without rowid;
create table if not exists build (number integer not null);
"""


class SqliteStore:
    """A store of many small values in one SQLite file, usable by several processes at once.

    A file that is not a database, or a damaged one, is replaced by an empty one.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._used: set[str] = set()
        self._connection: sqlite3.Connection | None = None

    def get(self, key: str) -> bytes | None:
        return self.get_many([key]).get(key)

    def put(self, key: str, value: bytes) -> None:
        self.put_many({key: value})

    def get_many(self, keys: Sequence[str]) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        for start in range(0, len(keys), 500):
            part = keys[start : start + 500]
            marks = ",".join("?" * len(part))
            for key, data in self._ask(f"select key, value from entry where key in ({marks})", part):
                value = _opened(key, data)
                if value is not None:
                    found[key] = value
        self._used.update(found)
        return found

    def put_many(self, entries: Mapping[str, bytes]) -> None:
        rows = [(key, _sealed(key, value)) for key, value in entries.items()]
        insert = "insert or replace into entry select ?, ?, 1 + coalesce(max(number), 0) from build"
        self._change([(insert, rows)])

    def prune(self, builds: int = 30) -> int:
        """End a build: forget what none of the last `builds` builds has used. How many values that were.

        A value's mark is renewed only when half its time is over, so that most builds write nothing here.
        """
        number = 1 + self._number("select coalesce(max(number), 0) from build")
        half = number - max(1, builds // 2)
        renew = f"update entry set used = {number:d} where key = ? and used <= {half:d}"
        self._change([(renew, [(key,) for key in self._used])])
        old = self._number("select count(*) from entry where used <= ?", number - builds)
        forget = ("delete from entry where used <= ?", [(number - builds,)] if old else [])
        self._change([forget, ("delete from build", [()]), ("insert into build values (?)", [(number,)])])
        self._used.clear()
        return old

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _number(self, query: str, *parameters: object) -> int:
        rows = self._ask(query, parameters)
        return int(rows[0][0]) if rows else 0

    def _ask(self, query: str, parameters: Sequence[object] = ()) -> list[Any]:
        try:
            return self._open().execute(query, parameters).fetchall()
        except (sqlite3.Error, OSError) as error:
            self._recover(error)
            return []

    def _change(self, statements: Iterable[tuple[str, Sequence[Sequence[object]]]]) -> None:
        try:
            with self._open() as connection:
                for statement, rows in statements:
                    connection.executemany(statement, rows)
        except (sqlite3.Error, OSError) as error:
            self._recover(error)

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(self._file, timeout=20)
            try:
                # Losing the last values to a power cut is fine: they are computed again.
                connection.executescript("pragma journal_mode = wal; pragma synchronous = off;" + _SCHEMA)
            except BaseException:
                connection.close()
                raise
            self._connection = connection
        return self._connection

    def _recover(self, error: Exception) -> None:
        """Start over with an empty file if this one is damaged; a busy or read-only one is left alone."""
        damaged = isinstance(error, sqlite3.DatabaseError) and not isinstance(
            error, (sqlite3.OperationalError, sqlite3.ProgrammingError)
        )
        foreign = isinstance(error, sqlite3.OperationalError) and "no such column" in str(error)
        with contextlib.suppress(sqlite3.Error):
            self.close()
        self._connection = None
        if damaged or foreign:
            for suffix in ("", "-wal", "-shm"):
                with contextlib.suppress(OSError):
                    Path(f"{self._file}{suffix}").unlink()


# ---------------------------------------------------------------- the version of the code

LIBRARIES = (
    "jinja2",
    "linkify-it-py",
    "markdown-it-py",
    "math-core",
    "mdit-py-plugins",
    "networkx",
    "nh3",
    "pygments",
    "pyyaml",
)
"""What a result depends on besides the generator's own code. (Execution has keys of its own.)"""


def code_version(folders: Sequence[Path] | None = None) -> str:
    """A digest of everything that a result depends on besides its arguments: the generator's sources, its
    templates, the versions of `LIBRARIES` and of Python. Reading it all takes about two milliseconds."""
    here = Path(__file__).parent
    roots = folders if folders is not None else (here, here.parent / "templates")
    files = sorted(path for root in roots for path in _code_files(root))
    contents = tuple((path.name, path.read_bytes()) for path in files)
    return digest((contents, _installed(), platform.python_implementation(), platform.python_version()))


def _code_files(root: Path) -> Iterator[Path]:
    for folder, _, names in os.walk(root):
        if "__pycache__" not in folder:
            yield from (Path(folder, name) for name in names if not name.endswith((".pyc", "~")))


def _installed() -> tuple[str, ...]:
    """Name and version of the installed libraries, from the names of their metadata folders: importing
    importlib.metadata and reading the metadata itself costs more than an unchanged build."""
    wanted = {re.sub(r"[-_.]+", "_", name) for name in LIBRARIES}
    found = set()
    for folder in sys.path:
        with contextlib.suppress(OSError):
            for name in _names(folder or "."):
                stem, _, suffix = name.rpartition(".")
                package = re.sub(r"[-_.]+", "_", stem.split("-")[0]).lower()
                if suffix == "dist-info" and package in wanted:
                    found.add(stem.lower())
    return tuple(sorted(found))


def _names(folder: str) -> list[str]:
    return [entry.name for entry in os.scandir(folder)]


# ---------------------------------------------------------------- calling functions


def _always(result: object) -> bool:
    return True


class Caller(Protocol):
    """What a pipeline calls its expensive functions with: `Plain` or `Memo`."""

    def call(self, function: Callable[..., R], *args: object) -> R: ...

    def map(
        self,
        function: Callable[..., R],
        items: Sequence[Any],
        *shared: object,
        keep: Callable[[R], bool] = _always,
    ) -> tuple[R, ...]: ...


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
    ) -> tuple[R, ...]:
        """`function(item, *shared)` for each of `items`, in order."""
        return tuple(result for result, _ in compute(function, items, shared, self._jobs))


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
        key = _hash(canonical((_name(function), self._version)) + canonical(args))
        found, result = _load(self._store.get(key), _returns(function))
        if not found:
            result = function(*args)
            self._store.put(key, encode(result, _returns(function)))
        return typing.cast(R, result)

    def map(
        self,
        function: Callable[..., R],
        items: Sequence[Any],
        *shared: object,
        keep: Callable[[R], bool] = _always,
    ) -> tuple[R, ...]:
        """`function(item, *shared)` for each of `items`, in order; what is not known yet is computed by
        several processes. A result that `keep` turns down is never stored."""
        with _undisturbed():
            keys = self._keys(function, items, shared)
            known = self._known(function, keys)
            missing = [i for i, key in enumerate(keys) if key not in known]
            fresh = compute(function, [items[i] for i in missing], shared, self._jobs)
            self._keep(function, [keys[i] for i in missing], fresh, keep)
            new = {i: result for i, (result, _) in zip(missing, fresh, strict=True)}
            results = tuple(new[i] if i in new else known[key] for i, key in enumerate(keys))
        if self._remember:
            self._recent[_name(function)] = {
                key: result for key, result in zip(keys, results, strict=True) if keep(result)
            }
        return typing.cast(tuple[R, ...], results)

    def _keys(
        self, function: Callable[..., Any], items: Sequence[Any], shared: tuple[object, ...]
    ) -> list[str]:
        start = blake2b(canonical((_name(function), self._version, shared)), digest_size=16)
        keys = []
        for item in items:
            state = start.copy()
            state.update(canonical(item))
            keys.append(state.hexdigest())
        return keys

    def _known(self, function: Callable[..., Any], keys: Sequence[str]) -> dict[str, Any]:
        recent = self._recent.get(_name(function), {})
        known = {key: recent[key] for key in keys if key in recent}
        kind = _returns(function)
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
        kind = _returns(function)
        entries = {
            key: encode(result, kind) if data is None else data
            for key, (result, data) in zip(keys, fresh, strict=True)
            if keep(result)
        }
        if entries:
            self._store.put_many(entries)


def _load(data: bytes | None, kind: Any) -> tuple[bool, Any]:
    if data is None:
        return False, None
    try:
        return True, decode(data, kind)
    except ValueError:
        return False, None


@cache
def _name(function: Callable[..., Any]) -> str:
    name = getattr(function, "__qualname__", "<")
    if "<" in name:
        raise TypeError(f"{function!r} has no name of its own: only functions of a module are remembered")
    return f"{function.__module__}.{name}"


@cache
def _returns(function: Callable[..., Any]) -> Any:
    """The return type of a function. Only this annotation is evaluated: others may name what is not
    imported at run time."""
    hint = function.__annotations__.get("return")
    if hint is None:
        raise TypeError(f"{_name(function)} does not say its return type")
    return eval(hint, function.__globals__) if isinstance(hint, str) else hint


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """No garbage collection meanwhile: thousands of lasting values make it run often and find nothing."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


# ---------------------------------------------------------------- several processes

FEW = 24
"""Fewer items than this are not worth starting processes for."""


class WorkerCrash(Exception):
    """A process that shared the work went away: not an exception in a function, but a signal or an exit."""


def compute(
    function: Callable[..., R], items: Sequence[Any], shared: tuple[object, ...], jobs: int
) -> list[tuple[R, bytes | None]]:
    """`function(item, *shared)` of each item, in order, each with its encoding where another process made it.

    This process works too. Others are forked from it where that is possible and safe (not beside
    threads, whose locks would stay locked in the child), and inherit everything without a copy. An
    exception in one of them is raised again here, by calling the function here. WorkerCrash names the
    item at which a process died.
    """
    if jobs < 2 or len(items) < FEW or not hasattr(os, "fork") or threading.active_count() > 1:
        return [(function(item, *shared), None) for item in items]
    with _undisturbed():
        return _Team(function, items, shared, jobs).run()


@dataclass(slots=True)
class _Worker:
    pid: int
    pipe: int
    slot: int
    buffer: bytearray


class _Team:
    """This process and its forked workers, sharing the items of one `compute`.

    Numbers of chunks lie in a pipe from which all of them take the next (a read of four bytes is
    atomic), so nobody waits for anybody. A shared page says which item each worker is at.
    """

    def __init__(
        self, function: Callable[..., Any], items: Sequence[Any], shared: tuple[object, ...], jobs: int
    ) -> None:
        self._function, self._items, self._shared = function, items, shared
        self._kind = _returns(function)
        self._size = max(1, min(16, len(items) // (jobs * 8)), -(-len(items) // 8000))
        self._board = mmap.mmap(-1, 8 * jobs)
        self._tasks = self._fill()
        self._results: list[Any] = [None] * len(items)
        self._workers: list[_Worker] = []
        self._others = jobs - 1

    def run(self) -> list[tuple[Any, bytes | None]]:
        try:
            gc.freeze()  # What is alive now must not be looked at, and so copied, in every child.
            self._workers = [self._fork(slot) for slot in range(self._others)]
            gc.unfreeze()
            while (chunk := self._take()) is not None:
                for i in chunk:
                    self._results[i] = (self._call(i), None)
                self._drain(block=False)
            while self._workers:
                self._drain(block=True)
            return self._results
        finally:
            self._end()

    def _fill(self) -> int:
        reader, writer = os.pipe()
        count = -(-len(self._items) // self._size)
        os.write(writer, b"".join(struct.pack("<I", number) for number in range(count)))
        os.close(writer)
        return reader

    def _take(self) -> range | None:
        data = os.read(self._tasks, 4)
        if not data:
            return None
        start = struct.unpack("<I", data)[0] * self._size
        return range(start, min(start + self._size, len(self._items)))

    def _call(self, i: int) -> Any:
        return self._function(self._items[i], *self._shared)

    def _fork(self, slot: int) -> _Worker:
        reader, writer = os.pipe()
        _widen(writer)
        pid = os.fork()
        if pid == 0:
            self._work(slot, writer)
        os.close(writer)
        return _Worker(pid, reader, slot, bytearray())

    def _work(self, slot: int, writer: int) -> typing.NoReturn:
        """The life of a child. It never returns into the code that forked it."""
        status = 1
        try:
            # Cycles (tokens of a parser) must still be freed now and then.
            gc.enable()
            gc.set_threshold(100_000, 20, 100)
            while (chunk := self._take()) is not None:
                answer = [(i, self._attempt(slot, i)) for i in chunk]
                data = marshal.dumps(answer)
                _write_all(writer, struct.pack("<Q", len(data)) + data)
            status = 0
        finally:
            os._exit(status)

    def _attempt(self, slot: int, i: int) -> bytes | None:
        """The encoded result, or None for an exception, which the parent will meet itself."""
        struct.pack_into("<Q", self._board, 8 * slot, i + 1)
        try:
            return encode(self._call(i), self._kind)
        except Exception:
            return None

    def _drain(self, *, block: bool) -> None:
        pipes = {worker.pipe: worker for worker in self._workers}
        ready = select.select(list(pipes), [], [], None if block else 0)[0] if pipes else []
        for pipe in ready:
            worker = pipes[pipe]
            data = os.read(pipe, 1 << 20)
            worker.buffer += data
            self._collect(worker)
            if not data:
                self._dismiss(worker)

    def _collect(self, worker: _Worker) -> None:
        buffer = worker.buffer
        while len(buffer) >= 8 and len(buffer) >= (end := 8 + struct.unpack_from("<Q", buffer)[0]):
            for i, data in marshal.loads(buffer[8:end]):
                self._results[i] = (self._call(i), None) if data is None else (decode(data, self._kind), data)
            del buffer[:end]

    def _dismiss(self, worker: _Worker) -> None:
        self._workers.remove(worker)
        os.close(worker.pipe)
        _, status = os.waitpid(worker.pid, 0)
        if status or worker.buffer:
            raise WorkerCrash(self._obituary(worker, os.waitstatus_to_exitcode(status)))

    def _obituary(self, worker: _Worker, code: int) -> str:
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with status {code}"
        why = " (it may have run out of memory)" if code == -getattr(signal, "SIGKILL", 9) else ""
        i = struct.unpack_from("<Q", self._board, 8 * worker.slot)[0] - 1
        item = self._items[i] if i >= 0 else ""
        at = getattr(item, "path", None) or repr(item)[:80]
        return f"a process that ran {_name(self._function)} {how}{why}; it was at {at}"

    def _end(self) -> None:
        for worker in self._workers:
            with contextlib.suppress(OSError):
                os.kill(worker.pid, signal.SIGKILL)
            os.waitpid(worker.pid, 0)
            os.close(worker.pipe)
        self._workers = []
        os.close(self._tasks)
        self._board.close()


def _widen(pipe: int) -> None:
    """A pipe that takes a whole chunk lets a worker go on while this process is busy with its own."""
    with contextlib.suppress(ImportError, AttributeError, OSError):
        import fcntl

        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, 1 << 20)


def _write_all(pipe: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(pipe, view) :]


def available_jobs() -> int:
    """How many processes can run at once here."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

"""Where results are kept, and why what is kept can be trusted."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, Protocol

from generator.memo.beside import begin
from generator.memo.keys import hash_of


class Store(Protocol):
    """Where values are kept by key. A value that is damaged, or that was put there under another key or by
    another program, is None: nobody downstream needs to know why something has to be computed again."""

    def get(self, key: str) -> bytes | None: ...
    def put(self, key: str, value: bytes) -> None: ...


class BatchStore(Store, Protocol):
    """A store that can be asked for thousands of values at once."""

    def get_many(self, keys: Sequence[str]) -> dict[str, bytes]: ...
    def put_many(self, entries: Mapping[str, bytes]) -> None: ...

    def put_beside(self, keys: Sequence[str], make: Callable[[], Mapping[str, bytes]]) -> None:
        """Put what `make` gives, values for `keys`; another process may do so meanwhile."""

    def close(self) -> None: ...


_SEAL = 16


def _seal(key: str, value: bytes) -> bytes:
    """The checksum covers the key too: a file moved to another name is not that other value."""
    return blake2b(
        value, digest_size=_SEAL, key=hash_of(key.encode("utf-8", "surrogatepass")).encode()
    ).digest()


def sealed(key: str, value: bytes) -> bytes:
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
            _write_whole(path, sealed(key, value))
            self._used.add(key)

    def get_many(self, keys: Sequence[str]) -> dict[str, bytes]:
        return {key: value for key in keys if (value := self.get(key)) is not None}

    def put_many(self, entries: Mapping[str, bytes]) -> None:
        for key, value in entries.items():
            self.put(key, value)

    def put_beside(self, keys: Sequence[str], make: Callable[[], Mapping[str, bytes]]) -> None:
        self.put_many(make())

    def close(self) -> None:
        """There is nothing to close."""

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
        name = hash_of(key.encode("utf-8", "surrogatepass"))
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
        self._used: dict[str, int] = {}  # and the build at which each was last marked as used
        self._connection: sqlite3.Connection | None = None
        self._pending: frozenset[str] = frozenset()
        self._wait: Callable[[], int] | None = None

    def get(self, key: str) -> bytes | None:
        return self.get_many([key]).get(key)

    def put(self, key: str, value: bytes) -> None:
        self.put_many({key: value})

    def get_many(self, keys: Sequence[str]) -> dict[str, bytes]:
        if not self._pending.isdisjoint(keys):
            self._settle()
        found: dict[str, bytes] = {}
        for start in range(0, len(keys), 500):
            part = keys[start : start + 500]
            marks = ",".join("?" * len(part))
            query = f"select key, value, used from entry where key in ({marks})"
            for key, data, used in self._ask(query, part):
                value = _opened(key, data)
                if value is not None:
                    found[key] = value
                    self._used[key] = used if isinstance(used, int) else 0  # it has no seal
        return found

    def put_many(self, entries: Mapping[str, bytes]) -> None:
        self._settle()
        rows = ((key, sealed(key, value)) for key, value in entries.items())
        insert = "insert or replace into entry select ?, ?, 1 + coalesce(max(number), 0) from build"
        self._change([(insert, rows)])

    def put_beside(self, keys: Sequence[str], make: Callable[[], Mapping[str, bytes]]) -> None:
        """`put_many` of what `make` gives, in a process of its own. Whoever asks for one of `keys`, puts
        more, or closes this store, waits for it."""
        self._settle()
        self._disconnect()  # No connection may go through a fork.
        self._pending = frozenset(keys)
        self._wait = begin(_put, (self._file, make), int)

    def _settle(self) -> None:
        if self._wait is not None:
            wait, self._wait, self._pending = self._wait, None, frozenset()
            wait()

    def prune(self, builds: int = 30) -> int:
        """End a build: forget what none of the last `builds` builds has used. How many values that were.

        A value's mark is renewed only when half its time is over, so that most builds write nothing here.
        """
        self._settle()
        number = 1 + self._number("select coalesce(max(number), 0) from build")
        half = number - max(1, builds // 2)
        renew = f"update entry set used = {number:d} where key = ?"
        self._change([(renew, [(key,) for key, used in self._used.items() if used <= half])])
        old = self._number("select count(*) from entry where used <= ?", number - builds)
        forget = ("delete from entry where used <= ?", [(number - builds,)] if old else [])
        self._change([forget, ("delete from build", [()]), ("insert into build values (?)", [(number,)])])
        self._used.clear()
        return old

    def close(self) -> None:
        self._settle()
        self._disconnect()

    def _disconnect(self) -> None:
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

    def _change(self, statements: Iterable[tuple[str, Iterable[Sequence[object]]]]) -> None:
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
            self._disconnect()
        self._connection = None
        if damaged or foreign:
            for suffix in ("", "-wal", "-shm"):
                with contextlib.suppress(OSError):
                    Path(f"{self._file}{suffix}").unlink()


def _put(file: Path, make: Callable[[], Mapping[str, bytes]]) -> int:
    """Put what `make` gives into the store of a file: how many values that were."""
    store = SqliteStore(file)
    entries = make()
    store.put_many(entries)
    store.close()
    return len(entries)

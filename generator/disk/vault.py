"""Reading a vault: its notes as text, its other files as digests."""

from __future__ import annotations

import hashlib
import json
import os
import time
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from generator.disk.dates import (
    Cache,
    DateSource,
    History,
    dated,
    git_history,
    head_state,
    hidden,
    remembered,
)
from generator.disk.files import reason, sha256
from generator.disk.walk import NOWHERE, File, Walk, state_of
from generator.model import Asset, Problem, Source, Span, Vault, slug_of

NOTE_SUFFIXES = (".md", ".ipynb")


def scan(
    vault_dir: Path,
    *,
    ignore: Sequence[str] = (),
    exclude: Sequence[Path] = (),
    note_bytes: int = 2_000_000,
    dates: DateSource = "git",
    cache: Cache | None = None,
) -> Vault:
    """The notes and assets of a folder, and what is wrong with it.

    `ignore` are globs, `exclude` files and folders (the site, the cache). A notebook may be ten times as
    large as a note: its outputs are not read. Digests of assets, SHA-256, and dates are kept in `cache`.
    """
    walk = Walk(vault_dir, ignore, exclude)
    problems = list(walk.problems)
    files = _without_collisions(walk.files, problems)
    notes = [file for file in files if file.path.lower().endswith(NOTE_SUFFIXES)]
    others = [file for file in files if not file.path.lower().endswith(NOTE_SUFFIXES)]
    history = git_history(vault_dir, cache, problems) if dates == "git" else None
    sources = [_source(file, note_bytes, dates, history, problems) for file in notes]
    assets = _assets(others, vault_dir, cache, problems)
    return Vault(tuple(source for source in sources if source), assets, tuple(problems))


def fingerprint(vault_dir: Path, *, ignore: Sequence[str] = (), exclude: Sequence[Path] = ()) -> str:
    """A digest of the state of every file, without reading one: equal fingerprints mean that `scan` would
    give the same vault. Take it before scanning. A file changed within the last moments makes it unlike any
    other, for another change could follow that leaves no trace in times."""
    walk = Walk(vault_dir, ignore, exclude)
    lines = [f"{file.place}\0{state_of(file.stat)}" for file in walk.files]
    lines += [repr(problem) for problem in walk.problems]
    lines += head_state(vault_dir)
    latest = max((max(file.stat.st_mtime_ns, file.stat.st_ctime_ns) for file in walk.files), default=0)
    if not latest < time.time_ns() - _RACY_NS:
        lines.append(f"{time.time_ns()} {os.getpid()}")
    text = "\n".join(lines).encode("utf-8", "surrogateescape")
    return hashlib.blake2b(text, digest_size=16).hexdigest()


_RACY_NS = 50_000_000
"""A file can change twice within one tick of the file system's clock (4 to 10 ms; we leave more)."""


def _without_collisions(files: Sequence[File], problems: list[Problem]) -> list[File]:
    first: dict[str, File] = {}
    for file in files:
        kept = first.setdefault(file.path.casefold(), file)
        if kept is not file:
            same = kept.path == file.path
            how = "have the same name in two encodings" if same else "differ only in case"
            names = f"{_encoding(kept)} and {_encoding(file)}" if same else f"{kept.path} and {file.path}"
            message = f"{names} {how}; only the first is published"
            problems.append(Problem("path-collision", "error", file.path, NOWHERE, message, "rename one"))
    return list(first.values())


def _encoding(file: File) -> str:
    name = file.place.rsplit(os.sep, 1)[-1]
    form = "NFC" if unicodedata.is_normalized("NFC", name) else "decomposed"
    return f"{file.path} ({form})"


def _source(
    file: File,
    note_bytes: int,
    dates: DateSource,
    history: History | None,
    problems: list[Problem],
) -> Source | None:
    limit = note_bytes * (10 if file.path.lower().endswith(".ipynb") else 1)
    problem = _too_long(file) or _too_large(file, limit)
    try:
        data = b"" if problem else _read(file.place, file.stat.st_size)
    except FileNotFoundError:
        return None
    except OSError as error:
        message = f"the note cannot be read: {reason(error)}"
        problem = Problem("file-unreadable", "error", file.path, NOWHERE, message, "check its permissions")
        data = b""
    text = _decoded(data)
    if problem is None and text is None:
        problem = _badly_encoded(file.path, data)
    if problem is not None:
        problems.append(problem)
        return None
    created, modified = dated(file, data, dates, history)
    return Source(file.path, text or "", created, modified)


def _too_long(file: File) -> Problem | None:
    name = slug_of(file.path).rsplit("/", 1)[-1] + ".html"
    if len(name.encode("utf-8")) <= 255:
        return None
    message = "the name is too long: its page's would be more than 255 bytes"
    return Problem("path-too-long", "error", file.path, NOWHERE, message, "shorten it; the title may be long")


def _too_large(file: File, limit: int) -> Problem | None:
    if file.stat.st_size <= limit:
        return None
    message = f"the note has {file.stat.st_size:,} bytes, more than the {limit:,} allowed; it is left out"
    hint = "split it, or raise note_bytes under [limits] in garden.toml"
    return Problem("note-too-large", "error", file.path, NOWHERE, message, hint)


def _read(place: str, size: int) -> bytes:
    """The bytes of a file whose size is known; three system calls."""
    handle = os.open(place, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0))
    try:
        data = os.read(handle, size + 1)
        more = b"" if len(data) == size else data
        while more:
            more = os.read(handle, 1 << 20)
            data += more
        return data
    finally:
        os.close(handle)


def _decoded(data: bytes) -> str | None:
    """Text without a byte order mark and with one kind of line end; None if it is not UTF-8."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return None
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text.removeprefix("\ufeff")


def _badly_encoded(path: str, data: bytes) -> Problem:
    """Where the first bad byte is, in lines and characters as an editor counts them."""
    try:
        data.decode("utf-8")
        bad = len(data)
    except UnicodeDecodeError as error:
        bad = error.start
    before = _decoded(data[:bad]) or ""
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    utf16 = data[:2] in (b"\xff\xfe", b"\xfe\xff")
    what = "it looks like UTF-16" if utf16 else f"byte 0x{data[bad]:02x} cannot stand there"
    message = f"the note is not valid UTF-8: {what}; it is left out"
    return Problem("encoding-invalid", "error", path, Span(line, column), message, "save it as UTF-8")


def _assets(
    files: Sequence[File], vault_dir: Path, cache: Cache | None, problems: list[Problem]
) -> tuple[Asset, ...]:
    key = f"assets 2 {os.path.realpath(vault_dir)}"
    known = remembered(cache, key)
    now, digests, fresh = time.time_ns(), {}, {}
    for file in files:
        state, name = state_of(file.stat), hidden(file.place)
        entry = known.get(name)
        digest = entry[1] if isinstance(entry, list) and entry[0] == state else _hash_file(file, problems)
        if digest is None:
            continue
        digests[file.path] = digest
        if file.stat.st_mtime_ns < now - 2_000_000_000:  # Else it might change once more, unseen.
            fresh[name] = [state, digest]
    if cache is not None and fresh != known:
        cache.put(key, json.dumps(fresh).encode("ascii"))
    return tuple(
        Asset(file.path, file.stat.st_size, digests[file.path]) for file in files if file.path in digests
    )


def _hash_file(file: File, problems: list[Problem]) -> str | None:
    try:
        return sha256(file.place)
    except FileNotFoundError:
        return None
    except OSError as error:
        message = f"the file cannot be read: {reason(error)}"
        problems.append(
            Problem("file-unreadable", "error", file.path, NOWHERE, message, "check its permissions")
        )
        return None

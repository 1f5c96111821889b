"""The only room that reads notes and writes sites.

`scan` turns a folder into a `Vault`; `fingerprint` says cheaply whether it may have changed since;
`publish` makes a folder hold a `Site`, all of it or none of it; `lock` keeps two builds apart.

What `scan` decides:

* Names that start with a dot, `node_modules`, `__pycache__`, `_site` and what the caller excludes are
  not part of a vault, however they are reached.
* A symbolic link is followed if its real path lies in the vault. Folders behind links are not entered
  again through further links, so that the number of files stays within bounds.
* Paths are NFC. Of several files whose paths differ only in case or normalisation, the first in the order
  of code points is published, and a problem names the others.
* Dates come from one pass over git's history. A file that git does not know, or that differs from the last
  commit, is dated by the file system; nothing is ever dated "now".
"""

from __future__ import annotations

import bisect
import contextlib
import ctypes
import errno
import hashlib
import json
import os
import re
import stat
import subprocess
import sys
import time
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from generator.model import Asset, Problem, Site, Source, Span, Vault, slug_of

if sys.platform != "win32":
    import fcntl

DateSource = Literal["git", "file", "none"]
NOTE_SUFFIXES = (".md", ".ipynb")

MANIFEST = ".garden-manifest.json"
"""What the generator wrote into a site: every path with the SHA-256 of its bytes, and the tree hash."""

_NOWHERE = Span(0)


class Cache(Protocol):
    """Where facts about unchanged files are kept between builds (a `memo.Store` is one)."""

    def get(self, key: str) -> bytes | None: ...
    def put(self, key: str, value: bytes) -> None: ...


# ---------------------------------------------------------------- walking a vault

_UNUSABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\\]")
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_IGNORED = frozenset({"node_modules", "__pycache__", "_site"})
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com[1-9¹²³]|lpt[1-9¹²³])(\..*)?|.*[. ]")


@dataclass(frozen=True, slots=True)
class _File:
    """A file of the vault: its path in the vault (NFC), where it is on disk, and its state."""

    path: str
    place: str
    stat: os.stat_result


class _Walk:
    """One walk over a vault: its files in the order of their paths, and what was bad on the way."""

    def __init__(self, vault_dir: Path, ignore: Sequence[str], exclude: Sequence[Path]) -> None:
        self.files: list[_File] = []
        self.problems: list[Problem] = []
        self._root = os.path.realpath(vault_dir)
        self._ignored = _matcher(ignore)
        self._excluded = {os.path.realpath(path) for path in exclude}
        self._walk()
        self.files.sort(key=lambda file: (file.path, file.place))
        self.problems.sort(key=lambda problem: (problem.path, problem.code, problem.message))

    def _walk(self) -> None:
        # Folders to read: on disk, in the vault, and the real folders around them if a link led there.
        pending: list[tuple[str, str, tuple[str, ...]]] = [(self._root, "", ())]
        while pending:
            place, prefix, linked = pending.pop()
            for entry in self._entries(place, prefix):
                path = prefix + unicodedata.normalize("NFC", entry.name)
                if self._is_ignored(entry.name, path, entry.path) or not self._is_usable(entry.name, path):
                    continue
                folder = self._visit(entry, path, linked)
                if folder is not None:
                    pending.append((entry.path, path + "/", folder))

    def _entries(self, place: str, prefix: str) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(place) as entries:
                return list(entries)
        except OSError as error:
            self._add("file-unreadable", "error", prefix, f"the folder cannot be read: {_reason(error)}")
            return []

    def _is_ignored(self, name: str, path: str, place: str) -> bool:
        return _is_hidden(name) or self._ignored(path) or place in self._excluded

    def _is_usable(self, name: str, path: str) -> bool:
        if _UNUSABLE.search(name):
            message = "the name holds bytes or characters that cannot stand in an address"
            self._add("path-unusable", "error", path, f"{message}; it is left out", "rename it")
            return False
        if _RESERVED.fullmatch(name):
            message = f"{name} is a name that Windows reserves or cannot keep"
            self._add("path-reserved", "warning", path, message, "rename it")
        return True

    def _visit(self, entry: os.DirEntry[str], path: str, linked: tuple[str, ...]) -> tuple[str, ...] | None:
        """Take a file in; of a folder to be entered, give the real folders that it lies in, behind links."""
        try:
            if entry.is_symlink():
                return self._follow(entry, path, linked)
            if entry.is_dir(follow_symlinks=False):
                return (*linked, os.path.realpath(entry.path)) if linked else ()
            self._take(path, entry.path, entry.stat(follow_symlinks=False))
        except FileNotFoundError:
            return None  # Gone since the folder was read: as if we had come later.
        except OSError as error:
            self._add("file-unreadable", "error", path, f"the file cannot be read: {_reason(error)}")
        return None

    def _take(self, path: str, place: str, state: os.stat_result) -> None:
        if stat.S_ISREG(state.st_mode):
            self.files.append(_File(path, place, state))
        else:
            message = "neither a file nor a folder but a device, pipe or socket; it is left out"
            self._add("file-special", "warning", path, message, "move it out of the vault")

    def _follow(self, entry: os.DirEntry[str], path: str, linked: tuple[str, ...]) -> tuple[str, ...] | None:
        try:
            real = os.path.realpath(entry.path, strict=True)
        except OSError as error:
            loop = error.errno == errno.ELOOP
            message = "the link leads in a circle" if loop else "the link leads to nothing"
            self._add("symlink-loop" if loop else "symlink-broken", "warning", path, message, "remove it")
            return None
        if not self._is_inside(real):
            message = "the link leads out of the vault, or to a part of it that is hidden; it is not followed"
            self._add("path-escapes", "error", path, message, "copy the file into the vault")
            return None
        state = os.stat(real)  # noqa: PTH116 (thousands of files: no objects on the way)
        if not stat.S_ISDIR(state.st_mode):
            self._take(path, real, state)
            return None
        return self._enter(entry, path, real, linked)

    def _enter(
        self, entry: os.DirEntry[str], path: str, real: str, linked: tuple[str, ...]
    ) -> tuple[str, ...] | None:
        here = os.path.realpath(os.path.dirname(entry.path))  # noqa: PTH120
        if any(_contains(real, place) for place in (here, *linked)):
            message = "the link leads to a folder that it lies in; it is not followed"
            self._add("symlink-loop", "warning", path, message, "remove it")
            return None
        if linked:
            message = "a link within a folder that was itself reached through a link is not followed"
            self._add("symlink-nested", "warning", path, message, "link to the folder directly")
            return None
        return (here, real)

    def _is_inside(self, real: str) -> bool:
        """By components, not by prefix: `/vault-2` is not in `/vault`."""
        if not _contains(self._root, real) or any(_contains(place, real) for place in self._excluded):
            return False
        return not any(_is_hidden(part) for part in Path(real).relative_to(self._root).parts)

    def _add(
        self, code: str, severity: Literal["error", "warning", "info"], path: str, what: str, hint: str = ""
    ) -> None:
        self.problems.append(Problem(code, severity, _visible(path.rstrip("/")), _NOWHERE, what, hint))


def _contains(folder: str, path: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name in _IGNORED


def _visible(path: str) -> str:
    """A path as it may stand in a message: no half characters, none that break or turn a line."""
    return _UNSEEN.sub(lambda match: _escaped(match[0]), path)


def _escaped(char: str) -> str:
    """A byte that is no text, which Python keeps as a half character, is shown as that byte."""
    is_byte = "\udc80" <= char <= "\udcff"
    return f"\\x{ord(char) - 0xDC00:02x}" if is_byte else char.encode("unicode_escape").decode("ascii")


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _matcher(globs: Sequence[str]) -> Callable[[str], bool]:
    """Whether a path of the vault matches one of the globs. One without a slash matches a name anywhere."""
    if not globs:
        return lambda path: False
    pattern = re.compile("|".join(_translate(unicodedata.normalize("NFC", glob)) for glob in globs))
    return lambda path: pattern.fullmatch(path) is not None


def _translate(glob: str) -> str:
    glob = glob.rstrip("/").removesuffix("/**") or "**"
    anywhere = "" if "/" in glob else "(?:.*/)?"
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", glob.removeprefix("/"))
    meanings = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return anywhere + "".join(meanings.get(part) or re.escape(part) for part in parts)


# ---------------------------------------------------------------- scanning


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
    walk = _Walk(vault_dir, ignore, exclude)
    problems = list(walk.problems)
    files = _without_collisions(walk.files, problems)
    notes = [file for file in files if file.path.lower().endswith(NOTE_SUFFIXES)]
    others = [file for file in files if not file.path.lower().endswith(NOTE_SUFFIXES)]
    history = _history(vault_dir, cache, problems) if dates == "git" else None
    sources = [_source(file, note_bytes, dates, history, problems) for file in notes]
    assets = _assets(others, vault_dir, cache, problems)
    return Vault(tuple(source for source in sources if source), assets, tuple(problems))


def fingerprint(vault_dir: Path, *, ignore: Sequence[str] = (), exclude: Sequence[Path] = ()) -> str:
    """A digest of the state of every file, without reading one: equal fingerprints mean that `scan` would
    give the same vault. Take it before scanning. A file changed within the last moments makes it unlike any
    other, for another change could follow that leaves no trace in times."""
    walk = _Walk(vault_dir, ignore, exclude)
    lines = [f"{file.place}\0{_state(file.stat)}" for file in walk.files]
    lines += [repr(problem) for problem in walk.problems]
    lines += _head_state(vault_dir)
    latest = max((max(file.stat.st_mtime_ns, file.stat.st_ctime_ns) for file in walk.files), default=0)
    if not latest < time.time_ns() - _RACY_NS:
        lines.append(f"{time.time_ns()} {os.getpid()}")
    text = "\n".join(lines).encode("utf-8", "surrogateescape")
    return hashlib.blake2b(text, digest_size=16).hexdigest()


_RACY_NS = 50_000_000
"""A file can change twice within one tick of the file system's clock (4 to 10 ms; we leave more)."""


def _state(state: os.stat_result) -> str:
    return f"{state.st_size} {state.st_mtime_ns} {state.st_ctime_ns} {state.st_ino}"


def _without_collisions(files: Sequence[_File], problems: list[Problem]) -> list[_File]:
    first: dict[str, _File] = {}
    for file in files:
        kept = first.setdefault(file.path.casefold(), file)
        if kept is not file:
            same = kept.path == file.path
            how = "have the same name in two encodings" if same else "differ only in case"
            names = f"{_encoding(kept)} and {_encoding(file)}" if same else f"{kept.path} and {file.path}"
            message = f"{names} {how}; only the first is published"
            problems.append(Problem("path-collision", "error", file.path, _NOWHERE, message, "rename one"))
    return list(first.values())


def _encoding(file: _File) -> str:
    name = file.place.rsplit(os.sep, 1)[-1]
    form = "NFC" if unicodedata.is_normalized("NFC", name) else "decomposed"
    return f"{file.path} ({form})"


def _source(
    file: _File,
    note_bytes: int,
    dates: DateSource,
    history: _History | None,
    problems: list[Problem],
) -> Source | None:
    limit = note_bytes * (10 if file.path.lower().endswith(".ipynb") else 1)
    problem = _too_long(file) or _too_large(file, limit)
    try:
        data = b"" if problem else _read(file.place, file.stat.st_size)
    except FileNotFoundError:
        return None
    except OSError as error:
        message = f"the note cannot be read: {_reason(error)}"
        problem = Problem("file-unreadable", "error", file.path, _NOWHERE, message, "check its permissions")
        data = b""
    text = _decoded(data)
    if problem is None and text is None:
        problem = _badly_encoded(file.path, data)
    if problem is not None:
        problems.append(problem)
        return None
    created, modified = _dated(file, data, dates, history)
    return Source(file.path, text or "", created, modified)


def _too_long(file: _File) -> Problem | None:
    name = slug_of(file.path).rsplit("/", 1)[-1] + ".html"
    if len(name.encode("utf-8")) <= 255:
        return None
    message = "the name is too long: its page's would be more than 255 bytes"
    return Problem(
        "path-too-long", "error", file.path, _NOWHERE, message, "shorten it; the title may be long"
    )


def _too_large(file: _File, limit: int) -> Problem | None:
    if file.stat.st_size <= limit:
        return None
    message = f"the note has {file.stat.st_size:,} bytes, more than the {limit:,} allowed; it is left out"
    hint = "split it, or raise note_bytes under [limits] in garden.toml"
    return Problem("note-too-large", "error", file.path, _NOWHERE, message, hint)


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


# ---------------------------------------------------------------- assets


def _assets(
    files: Sequence[_File], vault_dir: Path, cache: Cache | None, problems: list[Problem]
) -> tuple[Asset, ...]:
    key = f"assets 1 {os.path.realpath(vault_dir)}"
    known = _remembered(cache, key)
    now, digests, fresh = time.time_ns(), {}, {}
    for file in files:
        state = _state(file.stat)
        entry = known.get(file.place)
        digest = entry[1] if isinstance(entry, list) and entry[0] == state else _hash_file(file, problems)
        if digest is None:
            continue
        digests[file.path] = digest
        if file.stat.st_mtime_ns < now - 2_000_000_000:  # Else it might change once more, unseen.
            fresh[file.place] = [state, digest]
    if cache is not None and fresh != known:
        cache.put(key, json.dumps(fresh).encode("ascii"))
    return tuple(
        Asset(file.path, file.stat.st_size, digests[file.path]) for file in files if file.path in digests
    )


def _remembered(cache: Cache | None, key: str) -> dict[str, Any]:
    data = cache.get(key) if cache is not None else None
    value = json.loads(data) if data else {}
    return value if isinstance(value, dict) else {}


def _hash_file(file: _File, problems: list[Problem]) -> str | None:
    try:
        return _sha256(file.place)
    except FileNotFoundError:
        return None
    except OSError as error:
        message = f"the file cannot be read: {_reason(error)}"
        problems.append(
            Problem("file-unreadable", "error", file.path, _NOWHERE, message, "check its permissions")
        )
        return None


def _sha256(place: str) -> str:
    with Path(place).open("rb", buffering=0) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# ---------------------------------------------------------------- dates


@dataclass(frozen=True, slots=True)
class _History:
    """What git knows of each path: when it was first and last committed (None: not in this clone), and
    the object that the last commit has for it."""

    dates: Mapping[str, Sequence[str | None]]
    objects: Mapping[str, str]


def _dated(
    file: _File, data: bytes, dates: DateSource, history: _History | None
) -> tuple[str | None, str | None]:
    if dates == "none":
        return None, None
    created, modified = history.dates.get(file.path, (None, None)) if history else (None, None)
    if history and _is_committed(data, history.objects.get(file.path)):
        return created, modified
    return created, _day(file.stat.st_mtime)


def _is_committed(data: bytes, name: str | None) -> bool:
    """Whether the last commit has these bytes (perhaps with other line ends). Asking git would run the
    filters that the repository's configuration names."""
    if name is None:
        return False
    return any(_object(each, len(name)) == name for each in (data, data.replace(b"\r\n", b"\n")))


def _object(data: bytes, length: int) -> str:
    kind = hashlib.sha256 if length == 64 else hashlib.sha1
    return kind(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def _day(seconds: float) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(seconds))


def _history(vault_dir: Path, cache: Cache | None, problems: list[Problem]) -> _History | None:
    root = os.path.realpath(vault_dir)
    if _git_dir(root) is None:
        return None
    try:
        shallow, head, prefix = (*_git(root, *_REV_PARSE).decode("utf-8", "replace").split("\n"), "", "")[:3]
        key = f"dates 1 {head} {shallow} {prefix}"
        known = _remembered(cache, key)
        if not known:
            known = _ask_git(root, shallow == "true")
            if cache is not None:
                cache.put(key, json.dumps(known).encode("ascii"))
    except FileNotFoundError:
        problems.append(_no_dates("git is not installed"))
        return None
    except subprocess.CalledProcessError as error:
        reason = error.stderr.decode("utf-8", "replace").strip().partition("\n")[0]
        if "unknown revision" not in reason and "ambiguous argument 'HEAD'" not in reason:
            problems.append(_no_dates(f"git says: {_visible(reason)}"))
        return None
    if shallow == "true":
        problems.append(_SHALLOW)
    return _History(known["dates"], known["objects"])


_REV_PARSE = ("rev-parse", "--is-shallow-repository", "HEAD", "--show-prefix")
_SHALLOW = Problem(
    "dates-shallow",
    "info",
    "",
    _NOWHERE,
    "the clone holds only the latest commits, so older notes have no dates",
    "clone with the whole history (fetch-depth: 0), or set dates = \"none\" in garden.toml",
)  # fmt: skip


def _no_dates(why: str) -> Problem:
    message = f"dates of notes come from the file system: {why}"
    return Problem("dates-git", "info", "", _NOWHERE, message, 'set dates = "file" in garden.toml to agree')


def _git_dir(root: str) -> Path | None:
    for folder in (Path(root), *Path(root).parents):
        git = folder / ".git"
        if git.is_file():  # A second work tree of a repository.
            return folder / git.read_text("utf-8", "surrogateescape").removeprefix("gitdir: ").strip()
        if git.exists():
            return git
    return None


def _head_state(vault_dir: Path) -> list[str]:
    """What changes when a commit is made: dates depend on it."""
    git = _git_dir(os.path.realpath(vault_dir))
    states = []
    for name in ("HEAD", "logs/HEAD", "packed-refs", "shallow") if git else ():
        with contextlib.suppress(OSError):
            states.append(_state(Path(git or "", name).stat()))
    return states


def _git(root: str, *arguments: str) -> bytes:
    """One question to git: no pager, no hooks, no monitor, no network, whatever the configuration says."""
    quiet = ("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "log.showSignature=false")
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environ |= {"GIT_OPTIONAL_LOCKS": "0", "GIT_NO_LAZY_FETCH": "1", "LC_ALL": "C"}
    command = ["git", "--no-pager", *quiet, "-C", root, *arguments]
    return subprocess.run(
        command, env=environ, capture_output=True, check=True, stdin=subprocess.DEVNULL
    ).stdout


def _ask_git(root: str, shallow: bool) -> dict[str, Any]:
    tree = _git(root, "ls-tree", "-r", "-z", "HEAD")
    log = _git(
        root,
        "log",
        "-z",
        "--relative",
        "--no-color",
        "-M100%",
        "--name-status",
        "--format=%x01%ct %H",
        "HEAD",
    )
    edge = set((_git_common(root) / "shallow").read_text("ascii").split()) if shallow else set()
    return {"dates": _read_log(log, edge), "objects": _read_tree(tree)}


def _git_common(root: str) -> Path:
    return Path(root, os.fsdecode(_git(root, "rev-parse", "--git-common-dir")).strip())


def _path(data: bytes) -> str:
    return unicodedata.normalize("NFC", data.decode("utf-8", "replace"))


def _read_tree(data: bytes) -> dict[str, str]:
    """`mode type object TAB path NUL` → notes and their objects."""
    found = {}
    for line in data.split(b"\0"):
        head, _, name = line.partition(b"\t")
        if name.lower().endswith((b".md", b".ipynb")):
            found[_path(name)] = head.rpartition(b" ")[2].decode("ascii")
    return found


def _read_log(data: bytes, edge: set[str]) -> dict[str, list[str | None]]:
    """First and last day of each note, through renames. Commits at the edge of a shallow clone claim to have
    made everything: what they say is not known."""
    seen: dict[str, tuple[int, int]] = {}
    now_called: dict[str, str] = {}
    unknown: set[str] = set()
    for when, commit, status, old, new in _changes(data):
        name = now_called.get(new, new)
        if status == "R":
            now_called[old] = name
        if commit in edge:
            unknown.add(name)
        elif status != "D":
            first, last = seen.get(name, (when, when))
            seen[name] = (min(first, when), max(last, when))
    days: dict[str, list[str | None]] = {
        name: [_day(first), _day(last)] for name, (first, last) in seen.items()
    }
    return days | {name: [None, days[name][1] if name in days else None] for name in unknown}


def _changes(data: bytes) -> Iterator[tuple[int, str, str, str, str]]:
    """Time, commit, kind, old and new path of each change to a note, the newest first."""
    when, commit = 0, ""
    parts = iter(data.split(b"\0"))
    for part in parts:
        status = part.strip(b"\n")
        if status.startswith(b"\x01"):
            seconds, _, name = status[1:].partition(b" ")
            when, commit = int(seconds), name.decode("ascii")
        elif status:
            old = next(parts, b"")
            new = next(parts, b"") if status[:1] in b"RC" else old
            if new.lower().endswith((b".md", b".ipynb")):
                yield when, commit, status[:1].decode("ascii"), _path(old), _path(new)


# ---------------------------------------------------------------- publishing


@dataclass(frozen=True, slots=True)
class Published:
    """What `publish` did: paths written and removed, how many were left as they were; how many files the
    site has, and its tree hash."""

    written: tuple[str, ...]
    unchanged: int
    removed: tuple[str, ...]
    files: int
    tree_hash: str


class PublishError(Exception):
    """The site could not be published, and the old one is untouched: why, and what to try."""


class Locked(Exception):
    """Another process is at work in the same place."""


def tree_hash(digests: Mapping[str, str]) -> str:
    """SHA-256 over the lines `path NUL sha256-in-hex LF` of all files in the order of their paths."""
    lines = "".join(f"{path}\0{digests[path]}\n" for path in sorted(digests))
    return hashlib.sha256(lines.encode("utf-8", "surrogatepass")).hexdigest()


def publish(
    out: Path,
    site: Site,
    vault_dir: Path,
    *,
    assets: Sequence[Asset] = (),
    exclude: Sequence[Path] = (),
    durable: bool = True,
) -> Published:
    """Make the folder `out` hold `site`, at once or not at all.

    The new site is built beside the old one, from hard links where nothing changed, and the two folders are
    exchanged. Files that the generator did not write stay; one that is in the way is an error. `assets` are
    the vault's, with their digests; `exclude` are never published. With `durable`, the new site is on the
    disk, not only on its way there, before it replaces the old.

    Raises PublishError (the old site stays whole) and Locked.
    """
    out = Path(os.path.realpath(out))
    _refuse(out, Path(os.path.realpath(vault_dir)))
    try:
        wanted = _wanted(site, Path(vault_dir), assets, exclude)
        with _Stage(out, durable) as stage:
            return stage.publish(wanted)
    except OSError as error:
        place = f" ({error.filename})" if error.filename else ""
        hint = _HINTS.get(error.errno or 0, "try another --out")
        raise PublishError(
            f"the site was not written: {_reason(error)}{place}; what {out} holds is as it was; {hint}"
        ) from error


_HINTS = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space",
    errno.ENOENT: "build again",
    errno.EBUSY: "a mounted folder cannot be exchanged for another: try a folder in it",
}


def _refuse(out: Path, vault: Path) -> None:
    if out == vault or vault.is_relative_to(out):
        raise PublishError(f"the site cannot go to {out}: the notes are in it; try another --out")
    home = os.path.realpath(Path("~").expanduser())
    if _contains(str(out), home):
        raise PublishError(f"the site cannot go to {out}: it holds much else; try a folder in it")
    if out.exists() and not out.is_dir():
        raise PublishError(f"the site cannot go to {out}: that is a file; try another --out")
    if out.is_relative_to(vault) and out.is_dir() and not (out / MANIFEST).is_file() and any(out.iterdir()):
        raise PublishError(f"the site cannot go to {out}: that is a part of the notes; try another --out")


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A file that the new site has: its digest and size, and its bytes or where to copy them from."""

    digest: str
    size: int
    data: bytes | None
    origin: str = ""


def _wanted(
    site: Site, vault_dir: Path, assets: Sequence[Asset], exclude: Sequence[Path]
) -> dict[str, _Wanted]:
    wanted = {
        str(path): _Wanted(hashlib.sha256(data).hexdigest(), len(data), data)
        for path, data in site.files.items()
    }
    known = {asset.path: asset for asset in assets}
    for path, vault_path in site.copies.items():
        wanted[str(path)] = _copied(vault_path, vault_dir, known.get(vault_path), exclude)
    bad = [path for path in wanted if not _is_plain(path)]
    if bad:
        raise PublishError(f"{_visible(bad[0])} is no path within a site")
    return wanted


def _is_plain(path: str) -> bool:
    parts = path.split("/")
    return not any(part in ("", ".", "..") or "\0" in part for part in parts) and path != MANIFEST


def _copied(path: str, vault_dir: Path, asset: Asset | None, exclude: Sequence[Path]) -> _Wanted:
    origin = _locate(vault_dir, path)
    root = os.path.realpath(vault_dir)
    inside = _contains(root, origin) and not any(
        _contains(os.path.realpath(place), origin) for place in exclude
    )
    if not inside or any(_is_hidden(part) for part in Path(origin).relative_to(root).parts):
        raise PublishError(f"{path} is not published: it is hidden, or not in the vault")
    state = os.stat(origin)  # noqa: PTH116
    if not stat.S_ISREG(state.st_mode):
        raise PublishError(f"{path} is not published: it is not a file")
    digest = asset.digest if asset and asset.size == state.st_size else _sha256(origin)
    return _Wanted(digest, state.st_size, None, origin)


def _locate(vault_dir: Path, path: str) -> str:
    """Where a path of the vault really is: names on disk need not be NFC."""
    place = Path(vault_dir)
    for part in path.split("/"):
        exact = place / part
        if not exact.exists() and place.is_dir():
            same = [each for each in place.iterdir() if unicodedata.normalize("NFC", each.name) == part]
            exact = min(same, default=exact)
        place = exact
    return os.path.realpath(place)


def is_whole(out: Path, expected: str) -> bool:
    """Whether a folder holds the site with this tree hash, as far as can be told without reading the files
    that are older than its manifest."""
    try:
        site = _Tree(out)
        return (
            site.total == expected
            and len(site.ours) == len(site.listed)
            and all(site.holds(path, digest) for path, digest in site.ours.items())
        )
    except OSError:
        return False


def verify(out: Path) -> tuple[str, ...]:
    """How a site differs from its manifest, every file read: one line for each difference. Files that the
    manifest does not know (a `CNAME`) are nobody's business here."""
    try:
        site = _Tree(out)
    except OSError as error:
        return (f"{out}: {_reason(error)}",)
    if not site.total:
        return (f"{MANIFEST}: missing or damaged; nothing can be verified",)
    differences = [f"{_visible(path)}: {what}" for path in sorted(site.listed) if (what := site.defect(path))]
    if tree_hash(site.listed) != site.total:
        differences.append(f"{MANIFEST}: its tree hash is not that of the files that it lists")
    return tuple(differences)


class _Tree:
    """A folder as it is: files by their paths, folders and their modes, and what its manifest says."""

    def __init__(self, root: Path) -> None:
        self.root = str(root)
        self.files: dict[str, os.stat_result] = {}
        self.folders: dict[str, int] = {}
        for path, entry in _entries(self.root):
            state = entry.stat(follow_symlinks=False)
            if stat.S_ISDIR(state.st_mode):
                self.folders[path] = stat.S_IMODE(state.st_mode)
            else:
                self.files[path] = state
        self.manifest_stat = self.files.pop(MANIFEST, None)
        self.listed, self.total = self._manifest() if self.manifest_stat else ({}, "")
        self.ours = {path: digest for path, digest in self.listed.items() if path in self.files}

    def _manifest(self) -> tuple[dict[str, str], str]:
        try:
            data = json.loads(Path(self.root, MANIFEST).read_bytes())
            return dict(data["files"].items()), str(data["tree_hash"])
        except (ValueError, LookupError, TypeError, AttributeError):
            return {}, ""

    def empty_folders(self) -> set[str]:
        """Empty folders, which somebody has made, and the folders around them."""
        used = {path.rpartition("/")[0] for path in (*self.files, *self.folders)}
        empty = self.folders.keys() - used
        return empty | {path[: match.start()] for path in empty for match in re.finditer("/", path)}

    def foreign(self) -> list[str]:
        return sorted(self.files.keys() - self.ours.keys())

    def holds(self, path: str, digest: str, size: int | None = None) -> bool:
        """Whether the file has these bytes. The manifest is written last: it is right about files of
        its site that are older than it. Others are read."""
        state = self.files.get(path)
        if state is None or not stat.S_ISREG(state.st_mode) or size not in (None, state.st_size):
            return False
        if self.manifest_stat and path in self.ours and state.st_mtime_ns <= self.manifest_stat.st_mtime_ns:
            return self.ours[path] == digest
        return _sha256(f"{self.root}/{path}") == digest

    def defect(self, path: str) -> str:
        """What is wrong with a file of the manifest, after reading it."""
        state = self.files.get(path)
        if state is None:
            return "missing"
        if not stat.S_ISREG(state.st_mode):
            return "not a file"
        return "" if _sha256(f"{self.root}/{path}") == self.listed[path] else "changed"


class _Stage:
    """The folder beside a site in which the next one is built. It is locked while in use and gone
    afterwards; one that a killed process left is cleared by the next."""

    def __init__(self, out: Path, durable: bool) -> None:
        self._out = out
        self._durable = durable
        self._place = out.parent / f".{out.name}.garden-stage"
        self._aside = out.parent / f".{out.name}.garden-old"
        self._handles: list[int] = []

    def __enter__(self) -> _Stage:
        try:
            self._out.parent.mkdir(parents=True, exist_ok=True)
            self._place.mkdir(mode=0o755, exist_ok=True)
            while not self._lock(self._place):
                self._place.mkdir(mode=0o755, exist_ok=True)
            self._recover()
            if self._out.exists():
                self._lock(self._out)  # After the exchange, this is the folder beside the site.
            return self
        except BaseException:
            self._let_go()
            raise

    def __exit__(self, *_: object) -> None:
        try:
            with contextlib.suppress(OSError):
                _remove_tree(str(self._place))
        finally:
            self._let_go()

    def _let_go(self) -> None:
        for handle in self._handles:
            os.close(handle)

    def _lock(self, place: Path) -> bool:
        """False if the folder was replaced just as it was locked; Locked if another process has it."""
        try:
            handle = os.open(place, os.O_RDONLY)
        except FileNotFoundError:
            return False
        self._handles.append(handle)
        _flock(handle, f"another build is writing {self._out}")
        with contextlib.suppress(FileNotFoundError):
            return os.path.samestat(os.fstat(handle), place.stat())
        return False

    def _recover(self) -> None:
        """Undo what a killed process left: a site that was put aside comes back, the rest goes."""
        if self._aside.exists() and not self._out.exists():
            self._aside.rename(self._out)
        for leftover in (self._aside, self._place):
            if leftover.exists():
                _remove_tree(str(leftover), keep_root=leftover == self._place)

    def publish(self, wanted: Mapping[str, _Wanted]) -> Published:
        old = _Tree(self._out) if self._out.exists() else None
        kept = _kept(old, wanted) if old else []
        if old:
            _check_room(old, kept, wanted)
        same = {path for path, item in wanted.items() if old and old.holds(path, item.digest, item.size)}
        stale = tuple(sorted(old.ours.keys() - wanted.keys() - set(kept))) if old else ()
        digests = {path: item.digest for path, item in wanted.items()}
        total = tree_hash(digests)
        result = Published(tuple(sorted(wanted.keys() - same)), len(same), stale, len(wanted), total)
        manifest = _manifest(total, digests)
        if old and not result.written and not stale and _has(self._out / MANIFEST, manifest):
            return result
        self._make_folders([*kept, *wanted], old)
        for path in [*kept, *same]:
            _link(f"{self._out}/{path}", f"{self._place}/{path}")
        self._fill({path: wanted[path] for path in result.written}, manifest)
        self._swap(kept, [*kept, *(old.ours if old else ())] if old else None)
        return result

    def _fill(self, new: Mapping[str, _Wanted], manifest: bytes) -> None:
        """Write what is new, the manifest last, and see it on the disk: few files each, many all at once."""
        few = len(new) <= 32
        for path, item in new.items():
            self._write(path, item, self._durable and few)
        self._write(MANIFEST, _Wanted("", len(manifest), manifest), self._durable and few)
        if self._durable and not few:
            _sync(self._handles[0])

    def _make_folders(self, paths: Iterable[str], old: _Tree | None) -> None:
        modes = old.folders if old else {}
        folders = old.empty_folders() if old else set()
        folders |= {path[: match.start()] for path in paths for match in re.finditer("/", path)}
        for folder in sorted(folders):
            place = f"{self._place}/{folder}"
            os.mkdir(place)  # noqa: PTH102
            os.chmod(place, modes.get(folder, 0o755))  # noqa: PTH101 (whatever the umask is)
        os.chmod(self._place, stat.S_IMODE(self._out.stat().st_mode) if self._out.exists() else 0o755)  # noqa: PTH101

    def _write(self, path: str, item: _Wanted, sync: bool) -> None:
        handle = os.open(f"{self._place}/{path}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        try:
            if item.data is not None:
                _write_all(handle, item.data)
            elif _copy(item.origin, handle) != item.digest:
                raise PublishError(f"{item.origin} changed while the site was built; build again")
            if hasattr(os, "fchmod"):
                os.fchmod(handle, 0o644)  # Whatever the umask is.
            if sync:
                os.fsync(handle)
        finally:
            os.close(handle)

    def _swap(self, kept: Sequence[str], known: Iterable[str] | None) -> None:
        """Exchange the new site and the old one, whose files are `known` (None: there is no old one)."""
        if known is None:
            self._place.rename(self._out)
        elif not _exchange(self._place, self._out):
            self._out.rename(self._aside)
            self._place.rename(self._out)
            self._aside.rename(self._place)
        if self._durable:
            _sync_folder(self._out.parent)
        if known is not None:
            _rescue(self._place, self._out, kept, {MANIFEST, *known})


def _kept(old: _Tree, wanted: Mapping[str, _Wanted]) -> list[str]:
    """Files of the old site that stay: those the generator did not write, and those that it wrote and would
    remove, but that somebody has changed since."""
    changed = [path for path in old.ours.keys() - wanted.keys() if not old.holds(path, old.ours[path])]
    return [path for path in [*old.foreign(), *changed] if path not in wanted]


def _check_room(old: _Tree, kept: Sequence[str], wanted: Mapping[str, _Wanted]) -> None:
    """Nothing that is not ours may be in the way of a new file."""
    ordered = sorted(kept)
    foreign = set(ordered)
    for path, item in wanted.items():
        parents = [path[: match.start()] for match in re.finditer("/", path)]
        after = bisect.bisect_left(ordered, path + "/")
        below = after < len(ordered) and ordered[after].startswith(path + "/")
        inside = next((parent for parent in parents if parent in foreign), None)
        theirs = path in old.files and path not in old.ours and not old.holds(path, item.digest, item.size)
        if below or inside or theirs:
            raise PublishError(
                f"{old.root}/{inside or path} is in the way of the site, and the generator did not write it; "
                "move it, or try another --out"
            )


def _manifest(total: str, digests: Mapping[str, str]) -> bytes:
    entries = ",\n".join(f"{json.dumps(path)}: {json.dumps(digests[path])}" for path in sorted(digests))
    head = f'{{"schema_version": 1,\n"tree_hash": {json.dumps(total)},\n"files": {{\n'
    return (head + entries + "\n}}\n").encode("ascii")


def _has(path: Path, data: bytes) -> bool:
    try:
        return path.read_bytes() == data
    except OSError:
        return False


def _link(source: str, target: str) -> None:
    """The same file under another path; a copy where the file system has no links."""
    try:
        os.link(source, target, follow_symlinks=False)
    except (OSError, NotImplementedError):
        import shutil  # Rare, and slow to import.

        shutil.copy2(source, target, follow_symlinks=False)


def _copy(origin: str, handle: int) -> str:
    """Copy a file's bytes; the digest of what was copied."""
    digest = hashlib.sha256()
    with Path(origin).open("rb", buffering=0) as file:
        while data := file.read(1 << 20):
            digest.update(data)
            _write_all(handle, data)
    return digest.hexdigest()


def _write_all(handle: int, data: bytes) -> None:
    written = os.write(handle, data)
    while written < len(data):
        written += os.write(handle, memoryview(data)[written:])


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two folders in one step; False where the system cannot."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError):
        return False
    here, exchange = -100, 2
    if rename(here, os.fsencode(one), here, os.fsencode(other), exchange) == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP):
        return False
    raise OSError(code, os.strerror(code), str(other))


def _sync(handle: int) -> None:
    """Bring everything written so far to the disk."""
    try:
        ctypes.CDLL(None).syncfs(handle)
    except (AttributeError, OSError):
        os.sync()


def _sync_folder(folder: Path) -> None:
    if sys.platform == "win32":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _rescue(gone: Path, out: Path, kept: Sequence[str], known: set[str]) -> None:
    """Files that somebody put into the old site while the new one was being built move over."""
    found = {
        path
        for path, entry in _entries(str(gone))
        if path not in known and not entry.is_dir(follow_symlinks=False)
    }
    found |= {path for path in kept if _is_newer(gone / path, out / path)}
    for path in sorted(found):
        (out / path).parent.mkdir(parents=True, exist_ok=True)
        (gone / path).replace(out / path)


def _is_newer(one: Path, other: Path) -> bool:
    try:
        return one.lstat().st_mtime_ns > other.lstat().st_mtime_ns
    except FileNotFoundError:
        return False


def _entries(root: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Everything below a folder, by its path, folders before what is in them. (os.walk recurses, which a
    deep tree does not survive.)"""
    pending = [""]
    while pending:
        prefix = pending.pop()
        with os.scandir(f"{root}/{prefix}") as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    pending.append(f"{prefix}{entry.name}/")
                yield prefix + entry.name, entry


def _remove_tree(root: str, *, keep_root: bool = False) -> None:
    folders = []
    for path, entry in _entries(root):
        if entry.is_dir(follow_symlinks=False):
            folders.append(path)
        else:
            os.unlink(entry.path)  # noqa: PTH108 (thousands of them)
    for folder in reversed(folders):
        Path(root, folder).rmdir()
    if not keep_root:
        Path(root).rmdir()


# ---------------------------------------------------------------- one build at a time


@contextlib.contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Hold the folder for this process. Locked if another has it; a process that dies lets go of it."""
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        _flock(handle, f"another build is at work in {folder}")
        yield
    finally:
        os.close(handle)


def _flock(handle: int, message: str) -> None:
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError) as error:
        raise Locked(f"{message}; wait for it to end") from error

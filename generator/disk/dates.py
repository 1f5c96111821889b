"""When notes were made and changed: from git, in one pass, or from the file system."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
import time
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from generator.disk.files import visible
from generator.disk.walk import NOWHERE, File, state_of
from generator.model import Problem

DateSource = Literal["git", "file", "none"]


class Cache(Protocol):
    """Where facts about unchanged files are kept between builds (a `memo.Store` is one)."""

    def get(self, key: str) -> bytes | None: ...
    def put(self, key: str, value: bytes) -> None: ...


@dataclass(frozen=True, slots=True)
class History:
    """What git knows of each path, by its `hidden` name: when it was first and last committed (None: not in
    this clone), and the object that the last commit has for it."""

    dates: Mapping[str, Sequence[str | None]]
    objects: Mapping[str, str]


def dated(
    file: File, data: bytes, dates: DateSource, history: History | None
) -> tuple[str | None, str | None]:
    if dates == "none":
        return None, None
    name = hidden(file.path)
    created, modified = history.dates.get(name, (None, None)) if history else (None, None)
    if history and _is_committed(data, history.objects.get(name)):
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


def hidden(path: str) -> str:
    """A path as the cache holds it: what is remembered of all files must not name those that stay private."""
    return hashlib.blake2b(path.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


def remembered(cache: Cache | None, key: str) -> dict[str, Any]:
    data = cache.get(key) if cache is not None else None
    value = json.loads(data) if data else {}
    return value if isinstance(value, dict) else {}


def git_history(vault_dir: Path, cache: Cache | None, problems: list[Problem]) -> History | None:
    root = os.path.realpath(vault_dir)
    if _git_dir(root) is None:
        return None
    try:
        shallow, head, prefix = (*_git(root, *_REV_PARSE).decode("utf-8", "replace").split("\n"), "", "")[:3]
        key = f"dates 2 {head} {shallow} {prefix}"
        known = remembered(cache, key)
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
            problems.append(_no_dates(f"git says: {visible(reason)}"))
        return None
    if shallow == "true":
        problems.append(_SHALLOW)
    return History(known["dates"], known["objects"])


_REV_PARSE = ("rev-parse", "--is-shallow-repository", "HEAD", "--show-prefix")


_SHALLOW = Problem(
    "dates-shallow",
    "info",
    "",
    NOWHERE,
    "the clone holds only the latest commits, so older notes have no dates",
    "clone with the whole history (fetch-depth: 0), or set dates = \"none\" in garden.toml",
)  # fmt: skip


def _no_dates(why: str) -> Problem:
    message = f"dates of notes come from the file system: {why}"
    return Problem("dates-git", "info", "", NOWHERE, message, 'set dates = "file" in garden.toml to agree')


def _git_dir(root: str) -> Path | None:
    for folder in (Path(root), *Path(root).parents):
        git = folder / ".git"
        if git.is_file():  # A second work tree of a repository.
            return folder / git.read_text("utf-8", "surrogateescape").removeprefix("gitdir: ").strip()
        if git.exists():
            return git
    return None


def head_state(vault_dir: Path) -> list[str]:
    """What changes when a commit is made: dates depend on it."""
    git = _git_dir(os.path.realpath(vault_dir))
    states = []
    for name in ("HEAD", "logs/HEAD", "packed-refs", "shallow") if git else ():
        with contextlib.suppress(OSError):
            states.append(state_of(Path(git or "", name).stat()))
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
    """`mode type object TAB path NUL` → notes, by hidden name, and their objects."""
    found = {}
    for line in data.split(b"\0"):
        head, _, name = line.partition(b"\t")
        if name.lower().endswith((b".md", b".ipynb")):
            found[hidden(_path(name))] = head.rpartition(b" ")[2].decode("ascii")
    return found


def _read_log(data: bytes, edge: set[str]) -> dict[str, list[str | None]]:
    """First and last day of each note, by hidden name, through renames. Commits at the edge of a shallow
    clone claim to have made everything: what they say is not known."""
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
        hidden(name): [_day(first), _day(last)] for name, (first, last) in seen.items()
    }
    cut = map(hidden, unknown)
    return days | {name: [None, days[name][1] if name in days else None] for name in cut}


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

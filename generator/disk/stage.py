"""The folder beside a site in which the next one is built, and how the two change places."""

from __future__ import annotations

import bisect
import contextlib
import ctypes
import errno
import hashlib
import os
import re
import stat
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from generator.disk.files import entries, remove_tree, write_all
from generator.disk.locks import flock
from generator.disk.tree import MANIFEST, Tree, manifest_of, tree_hash


class PublishError(Exception):
    """The site could not be published, and the old one is untouched: why, and what to try."""


@dataclass(frozen=True, slots=True)
class Published:
    """What `publish` did: paths written and removed, how many were left as they were; how many files the
    site has, and its tree hash."""

    written: tuple[str, ...]
    unchanged: int
    removed: tuple[str, ...]
    files: int
    tree_hash: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file that the new site has: its digest and size, and what gives its bytes or where to copy them
    from."""

    digest: str
    size: int
    data: Callable[[], bytes] | None
    origin: str = ""


class Stage:
    """The folder beside a site in which the next one is built. It is locked while in use and gone
    afterwards; one that a killed process left is cleared by the next."""

    def __init__(self, out: Path, durable: bool) -> None:
        self._out = out
        self._durable = durable
        self._place = out.parent / f".{out.name}.garden-stage"
        self._aside = out.parent / f".{out.name}.garden-old"
        self._handles: list[int] = []

    def __enter__(self) -> Stage:
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
                remove_tree(str(self._place))
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
        flock(handle, f"another build is writing {self._out}")
        with contextlib.suppress(FileNotFoundError):
            return os.path.samestat(os.fstat(handle), place.stat())
        return False

    def _recover(self) -> None:
        """Undo what a killed process left: a site that was put aside comes back, the rest goes."""
        if self._aside.exists() and not self._out.exists():
            self._aside.rename(self._out)
        for leftover in (self._aside, self._place):
            if leftover.exists():
                remove_tree(str(leftover), keep_root=leftover == self._place)

    def publish(self, wanted: Mapping[str, Wanted]) -> Published:
        old = Tree(self._out) if self._out.exists() else None
        kept = _kept(old, wanted) if old else []
        if old:
            _check_room(old, kept, wanted)
        same = {path for path, item in wanted.items() if old and old.holds(path, item.digest, item.size)}
        stale = tuple(sorted(old.ours.keys() - wanted.keys() - set(kept))) if old else ()
        digests = {path: item.digest for path, item in wanted.items()}
        total = tree_hash(digests)
        result = Published(tuple(sorted(wanted.keys() - same)), len(same), stale, len(wanted), total)
        manifest = manifest_of(total, digests, sum(item.size for item in wanted.values()))
        if old and not result.written and not stale and _has(self._out / MANIFEST, manifest):
            return result
        # A first site replaces nothing that would have to be kept safe from a loss of power.
        self._durable = self._durable and bool(old and old.total)
        self._make_folders([*kept, *wanted], old)
        for path in [*kept, *same]:
            _link(f"{self._out}/{path}", f"{self._place}/{path}")
        self._fill({path: wanted[path] for path in result.written}, manifest)
        self._swap(kept, [*kept, *(old.ours if old else ())] if old else None)
        return result

    def _fill(self, new: Mapping[str, Wanted], manifest: bytes) -> None:
        """Write what is new, the manifest last, and see it on the disk: few files each, many all at once."""
        few = len(new) <= 32
        for path, item in new.items():
            self._write(path, item, self._durable and few)
        self._write(MANIFEST, Wanted("", len(manifest), lambda: manifest), self._durable and few)
        if self._durable and not few:
            _sync(self._handles[0])

    def _make_folders(self, paths: Iterable[str], old: Tree | None) -> None:
        modes = old.folders if old else {}
        folders = old.empty_folders() if old else set()
        folders |= {path[: match.start()] for path in paths for match in re.finditer("/", path)}
        for folder in sorted(folders):
            place = f"{self._place}/{folder}"
            os.mkdir(place)  # noqa: PTH102
            os.chmod(place, modes.get(folder, 0o755))  # noqa: PTH101 (whatever the umask is)
        os.chmod(self._place, stat.S_IMODE(self._out.stat().st_mode) if self._out.exists() else 0o755)  # noqa: PTH101

    def _write(self, path: str, item: Wanted, sync: bool) -> None:
        handle = os.open(f"{self._place}/{path}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        try:
            if item.data is not None:
                write_all(handle, item.data())
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


def _kept(old: Tree, wanted: Mapping[str, Wanted]) -> list[str]:
    """Files of the old site that stay: those the generator did not write, and those that it wrote and would
    remove, but that somebody has changed since."""
    changed = [path for path in old.ours.keys() - wanted.keys() if not old.holds(path, old.ours[path])]
    return [path for path in [*old.foreign(), *changed] if path not in wanted]


def _check_room(old: Tree, kept: Sequence[str], wanted: Mapping[str, Wanted]) -> None:
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
            write_all(handle, data)
    return digest.hexdigest()


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
        for path, entry in entries(str(gone))
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

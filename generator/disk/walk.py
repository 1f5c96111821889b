"""Walking over a vault: which files belong to it."""

from __future__ import annotations

import errno
import os
import re
import stat
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from generator.disk.files import contains, is_hidden, reason, visible
from generator.model import Problem, Span

_UNUSABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\\]")


_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com[1-9¹²³]|lpt[1-9¹²³])(\..*)?|.*[. ]")


@dataclass(frozen=True, slots=True)
class File:
    """A file of the vault: its path in the vault (NFC), where it is on disk, and its state."""

    path: str
    place: str
    stat: os.stat_result


class Walk:
    """One walk over a vault: its files in the order of their paths, and what was bad on the way."""

    def __init__(self, vault_dir: Path, ignore: Sequence[str], exclude: Sequence[Path]) -> None:
        self.files: list[File] = []
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
            self._add("file-unreadable", "error", prefix, f"the folder cannot be read: {reason(error)}")
            return []

    def _is_ignored(self, name: str, path: str, place: str) -> bool:
        return is_hidden(name) or self._ignored(path) or place in self._excluded

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
            self._add("file-unreadable", "error", path, f"the file cannot be read: {reason(error)}")
        return None

    def _take(self, path: str, place: str, state: os.stat_result) -> None:
        if stat.S_ISREG(state.st_mode):
            self.files.append(File(path, place, state))
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
        if any(contains(real, place) for place in (here, *linked)):
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
        if not contains(self._root, real) or any(contains(place, real) for place in self._excluded):
            return False
        return not any(is_hidden(part) for part in Path(real).relative_to(self._root).parts)

    def _add(
        self, code: str, severity: Literal["error", "warning", "info"], path: str, what: str, hint: str = ""
    ) -> None:
        self.problems.append(Problem(code, severity, visible(path.rstrip("/")), NOWHERE, what, hint))


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


def state_of(state: os.stat_result) -> str:
    return f"{state.st_size} {state.st_mtime_ns} {state.st_ctime_ns} {state.st_ino}"


NOWHERE = Span(0)

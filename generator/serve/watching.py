"""What was saved, told as it happens, without the noise that editors make.

The folders are watched, and beside them what they lie in: a folder that is moved away, or deleted and made
again, is not lost from sight.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

_STEP = 10  # milliseconds without a further change after which changes are told
_BURST = 400  # milliseconds after which they are told in any case
_LOOK = 1000  # milliseconds between looks at whether the folders are still the same ones

_NOISE = re.compile(
    r"""4913 | .*~ | \#.*\# | \.\#.* | .*\.sw[a-z] | .*___jb_(tmp|old)___ | .*\.(tmp|crswap|crdownload|part)
    | \.DS_Store | flycheck_.* | .*\.py[cod]""",
    re.VERBOSE | re.IGNORECASE,
)
"""Names of what Vim, Emacs, IDEs and browsers put beside a file while they write it."""

_NEVER = frozenset({"node_modules", "__pycache__", "_site"})
"""Folders that are in no vault; those whose names begin with a dot are not, either."""


@dataclass(frozen=True, slots=True)
class Places:
    """What a preview depends on: the folder of notes, but for what is `ignored` there; `kept`, the one hidden
    folder in it that counts; the files that may hold settings; folders of `code`, whose change is that of the
    generator itself; and folders of further `parts` of pages."""

    notes: Path
    kept: str
    ignored: tuple[Path, ...]
    settings: tuple[Path, ...]
    code: tuple[Path, ...]
    parts: tuple[Path, ...]

    def is_code(self, path: Path) -> bool:
        """Whether a change of this file makes another generator."""
        return any(path.is_relative_to(folder) for folder in self.code) and path.suffix != ".js"

    def matters(self, path: Path) -> bool:
        """Whether a change of this file, or of a folder of this name, can be seen in the site."""
        if path in self.settings or path == self.notes:
            return True
        for folder in (self.notes, *self.code, *self.parts):
            if path.is_relative_to(folder):
                return self._is_part(path.relative_to(folder).parts, path, folder == self.notes)
        return False

    def _is_part(self, names: tuple[str, ...], path: Path, in_notes: bool) -> bool:
        if not names or _NOISE.fullmatch(names[-1]):
            return False
        if in_notes and names[0] == self.kept:
            return True
        if in_notes and any(path.is_relative_to(one) for one in self.ignored):
            return False
        return not any(name in _NEVER or name.startswith(".") for name in names)

    def deep(self) -> tuple[Path, ...]:
        """The folders to be watched with everything in them, as far as they are there."""
        return tuple(folder for folder in (self.notes, *self.code, *self.parts) if folder.is_dir())

    def flat(self) -> tuple[Path, ...]:
        """The folders in which only names are watched."""
        wanted = dict.fromkeys((self.notes.parent, *(file.parent for file in self.settings)))
        return tuple(folder for folder in wanted if folder.is_dir() and folder != self.notes)


@dataclass(frozen=True, slots=True)
class Saved:
    """Paths that were changed, and whether some of them are not there any more."""

    paths: frozenset[Path]
    gone: bool = False


class Watch:
    """Tells `changed` what was saved, from threads of its own, until it is left.

    Once it is entered, nothing that is changed goes unseen. Where the system has no more watches to give,
    files are looked at now and then instead.
    """

    def __init__(self, places: Places, changed: Callable[[Saved], object]) -> None:
        self._places, self._changed = places, changed
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Watch:
        for folders in (self._places.deep, self._places.flat):
            one = _Watcher(self._places, folders, self._changed, self._over)
            self._threads.append(threading.Thread(target=one.run, daemon=True))
            self._threads[-1].start()
            one.begun.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()


class _Watcher:
    """Watches one kind of folders, again and again: whenever one of them is another than it was, is there no
    longer or is there again, it begins anew, and tells that as a change of the folder of notes."""

    def __init__(
        self,
        places: Places,
        folders: Callable[[], tuple[Path, ...]],
        changed: Callable[[Saved], object],
        over: threading.Event,
    ) -> None:
        self._places, self._folders, self._changed, self._over = places, folders, changed, over
        self._polling: bool | None = None
        self.begun = threading.Event()

    def run(self) -> None:
        again = False
        while not self._over.is_set():
            self._watch(again)
            again = True
            self.begun.set()
            self._over.wait(_LOOK / 10_000)

    def _watch(self, again: bool) -> None:
        from watchfiles import watch  # on first use: only this command watches

        deep, folders = self._folders == self._places.deep, self._folders()
        before = list(map(_identity, folders))
        roots = {folder.resolve(): folder for folder in folders}
        if not roots:
            return
        asked = _Asked(self._over, self._begin if not again else self._begin_again)
        try:
            for changes in watch(
                *roots,
                recursive=deep,
                watch_filter=None,
                step=_STEP if deep else 10 * _STEP,
                debounce=_BURST,
                rust_timeout=_LOOK,
                stop_event=asked,
                yield_on_timeout=True,
                raise_interrupt=False,
                force_polling=self._polling,
                ignore_permission_denied=True,
            ):
                self._tell(_as_given(Path(path), roots) for _, path in changes)
                if self._folders() != folders or list(map(_identity, folders)) != before:
                    return
        except (OSError, RuntimeError):  # No more watches, or a folder that went just now.
            self._polling = self._polling or (None if asked.was else True)

    def _begin(self) -> None:
        self.begun.set()

    def _begin_again(self) -> None:
        self._tell([self._places.notes])

    def _tell(self, paths: Iterable[Path]) -> None:
        found = frozenset(filter(self._places.matters, paths))
        if found:
            self._changed(Saved(found, not all(path.exists() for path in found)))


class _Asked:
    """Whether watching is over. It is asked for the first time when watching has begun."""

    def __init__(self, over: threading.Event, begun: Callable[[], object]) -> None:
        self._over, self._begun = over, begun
        self.was = False

    def is_set(self) -> bool:
        if not self.was:
            self.was = True
            self._begun()
        return self._over.is_set()


def _as_given(path: Path, roots: Mapping[Path, Path]) -> Path:
    """A path in a folder as the folder was named, whatever links lead there."""
    for real, given in roots.items():
        if path.is_relative_to(real):
            return given / path.relative_to(real)
    return path


def _identity(folder: Path) -> tuple[int, int]:
    try:
        state = folder.stat()
    except OSError:
        return (0, 0)
    return (state.st_dev, state.st_ino)

"""What is kept beside the notes, and notes that are written anew: the few files that we change among an
author's."""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from generator.disk.files import contains, entries

Change = Callable[[str], str]


def reader(folder: Path) -> Callable[[str], bytes | None]:
    """A function that gives the content of a file in a folder by its name, None if there is none."""

    def read(name: str) -> bytes | None:
        try:
            return (folder / name).read_bytes()
        except (OSError, ValueError):
            return None

    return read


def names(folder: Path) -> Iterator[str]:
    """The files below a folder, by their names in it; none if it is not there."""
    try:
        for name, entry in entries(str(folder)):
            if entry.is_file(follow_symlinks=False):
                yield name
    except OSError:
        return


def state(folder: Path) -> str:
    """A digest of the state of every file below a folder, without reading one."""
    found = []
    for name in sorted(names(folder)):
        try:
            seen = (folder / name).stat()
        except OSError:
            continue
        found.append(f"{name}\0{seen.st_size}\0{seen.st_mtime_ns}")
    return hashlib.blake2b("\n".join(found).encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()


def keep(folder: Path, files: Mapping[str, bytes], unwanted: Callable[[str], bool]) -> int:
    """Have these files in a folder, each whole or not at all, and no `unwanted` ones. How many were
    changed."""
    read, changed = reader(folder), 0
    for name, data in files.items():
        if read(name) != data:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(path, data, 0o644)
            changed += 1
    for name in [name for name in names(folder) if name not in files and unwanted(name)]:
        (folder / name).unlink(missing_ok=True)
        changed += 1
    return changed


def rewrite(notes_dir: Path, path: str, change: Change) -> str:
    """Change the text of a note, mark and line ends as they are. A sentence why it was left alone, or "".

    Written to the note itself where a link leads to it, and in one step, so that nobody sees half of it.
    """
    place = os.path.realpath(notes_dir / path)
    if not contains(os.path.realpath(notes_dir), place):
        return f"{path} lies outside the folder of notes"
    try:
        data = Path(place).read_bytes()
        mode = stat.S_IMODE(os.stat(place).st_mode)  # noqa: PTH116 - beside its neighbour
        new = change(data.decode("utf-8")).encode()
        if new != data:
            _write(Path(place), new, mode)
    except (OSError, UnicodeDecodeError) as error:
        return (
            f"{path} cannot be written: {error.strerror if isinstance(error, OSError) else 'it is not UTF-8'}"
        )
    return ""


def _write(path: Path, data: bytes, mode: int) -> None:
    handle, name = tempfile.mkstemp(prefix=".", suffix="~", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(mode)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise

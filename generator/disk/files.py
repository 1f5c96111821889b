"""What every part of the room needs of files and their names."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


_IGNORED = frozenset({"node_modules", "__pycache__", "_site"})


def contains(folder: str, path: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def is_hidden(name: str) -> bool:
    return name.startswith(".") or name in _IGNORED


def visible(path: str) -> str:
    """A path as it may stand in a message: no half characters, none that break or turn a line."""
    return _UNSEEN.sub(lambda match: _escaped(match[0]), path)


def _escaped(char: str) -> str:
    """A byte that is no text, which Python keeps as a half character, is shown as that byte."""
    is_byte = "\udc80" <= char <= "\udcff"
    return f"\\x{ord(char) - 0xDC00:02x}" if is_byte else char.encode("unicode_escape").decode("ascii")


def reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def sha256(place: str) -> str:
    with Path(place).open("rb", buffering=0) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_all(handle: int, data: bytes) -> None:
    written = os.write(handle, data)
    while written < len(data):
        written += os.write(handle, memoryview(data)[written:])


def entries(root: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
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


def remove_tree(root: str, *, keep_root: bool = False) -> None:
    folders = []
    for path, entry in entries(root):
        if entry.is_dir(follow_symlinks=False):
            folders.append(path)
        else:
            os.unlink(entry.path)  # noqa: PTH108 (thousands of them)
    for folder in reversed(folders):
        Path(root, folder).rmdir()
    if not keep_root:
        Path(root).rmdir()

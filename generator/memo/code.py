"""The version of the generator's own code, a part of every key."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from generator.memo.keys import digest

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
    here = Path(__file__).parent.parent
    roots = folders if folders is not None else (here, here.parent / "templates")
    files = sorted(path for root in roots for path in _code_files(root))
    contents = tuple((path.name, path.read_bytes()) for path in files)
    return digest((contents, installed(), platform.python_implementation(), platform.python_version()))


def _code_files(root: Path) -> Iterator[Path]:
    for folder, _, names in os.walk(root):
        if "__pycache__" not in folder:
            yield from (Path(folder, name) for name in names if not name.endswith((".pyc", "~")))


def installed() -> tuple[str, ...]:
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

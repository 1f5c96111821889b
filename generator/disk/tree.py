"""A site as it lies on the disk, and the manifest that says what it should be."""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from generator.disk.files import entries, reason, sha256, visible

MANIFEST = ".garden-manifest.json"
"""What the generator wrote into a site: every path with the SHA-256 of its bytes, and the tree hash."""


def tree_hash(digests: Mapping[str, str]) -> str:
    """SHA-256 over the lines `path NUL sha256-in-hex LF` of all files in the order of their paths."""
    lines = "".join(f"{path}\0{digests[path]}\n" for path in sorted(digests))
    return hashlib.sha256(lines.encode("utf-8", "surrogatepass")).hexdigest()


def is_whole(out: Path, expected: str) -> bool:
    """Whether a folder holds the site with this tree hash, as far as can be told without reading the files
    that are older than its manifest. What a loss of power has cut off shows in the sum of their sizes: file
    systems with a journal write a file's bytes before its size."""
    try:
        site = Tree(out)
        return (
            site.total == expected
            and len(site.ours) == len(site.listed)
            and site.size == sum(site.files[path].st_size for path in site.ours)
            and all(site.holds(path, digest) for path, digest in site.ours.items())
        )
    except OSError:
        return False


def verify(out: Path) -> tuple[str, ...]:
    """How a site differs from its manifest, every file read: one line for each difference. Files that the
    manifest does not know (a `CNAME`) are nobody's business here."""
    try:
        site = Tree(out)
    except OSError as error:
        return (f"{out}: {reason(error)}",)
    if not site.total:
        return (f"{MANIFEST}: missing or damaged; nothing can be verified",)
    differences = [f"{visible(path)}: {what}" for path in sorted(site.listed) if (what := site.defect(path))]
    if tree_hash(site.listed) != site.total:
        differences.append(f"{MANIFEST}: its tree hash is not that of the files that it lists")
    return tuple(differences)


class Tree:
    """A folder as it is: files by their paths, folders and their modes, and what its manifest says."""

    def __init__(self, root: Path) -> None:
        self.root = str(root)
        self.files: dict[str, os.stat_result] = {}
        self.folders: dict[str, int] = {}
        for path, entry in entries(self.root):
            state = entry.stat(follow_symlinks=False)
            if stat.S_ISDIR(state.st_mode):
                self.folders[path] = stat.S_IMODE(state.st_mode)
            else:
                self.files[path] = state
        self.manifest_stat = self.files.pop(MANIFEST, None)
        self.listed, self.total, self.size = self._manifest() if self.manifest_stat else ({}, "", 0)
        self.ours = {path: digest for path, digest in self.listed.items() if path in self.files}

    def _manifest(self) -> tuple[dict[str, str], str, int]:
        try:
            data = json.loads(Path(self.root, MANIFEST).read_bytes())
            return dict(data["files"].items()), str(data["tree_hash"]), int(data.get("bytes", -1))
        except (ValueError, LookupError, TypeError, AttributeError):
            return {}, "", 0

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
        return sha256(f"{self.root}/{path}") == digest

    def defect(self, path: str) -> str:
        """What is wrong with a file of the manifest, after reading it."""
        state = self.files.get(path)
        if state is None:
            return "missing"
        if not stat.S_ISREG(state.st_mode):
            return "not a file"
        return "" if sha256(f"{self.root}/{path}") == self.listed[path] else "changed"


def manifest_of(total: str, digests: Mapping[str, str], size: int) -> bytes:
    """The manifest of a site with this tree hash, digest of each file, and size of all together in bytes."""
    entries = ",\n".join(f"{json.dumps(path)}: {json.dumps(digests[path])}" for path in sorted(digests))
    head = f'{{"schema_version": 1,\n"tree_hash": {json.dumps(total)},\n"bytes": {size},\n"files": {{\n'
    return (head + entries + "\n}}\n").encode("ascii")

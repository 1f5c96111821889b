"""What a run depended on: packages that were really imported, files that were really opened.

One half watches a run from inside its process (`Watch`), the other (`changed`) compares a stored manifest
with the world of today without running anything.

Locations of inputs: `note:data.csv` beside the note, `vault:data/big.csv` elsewhere in the vault,
`library:garden.py` for what we give cells to import, or an absolute path. A folder that was listed counts by
its names.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import os
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

from generator.execution.expectations import parse
from generator.execution.protocol import Manifest

ROOT = str(Path(__file__).resolve().parents[2])
"""The folder that `generator` is imported from."""

LIBRARY = str(Path(__file__).resolve().parent / "library")
"""The folder of what a cell may import from us."""

_SYSTEM = ("/proc", "/sys", "/dev", "/usr", "/lib", "/lib64", "/bin", "/etc", "/var/cache", "/opt")
_WHOLE = 64 << 20
_ENGINE = f"{ROOT}/generator/execution/"
_LOCAL = ("('127.", "('::1'", "('localhost'")


# ---------------------------------------------------------------- fingerprints


def fingerprint(path: str) -> str:
    """What a file or folder is like now, as short text; `absent` if it is not there."""
    try:
        if Path(path).is_dir():
            return (
                "dir:"
                + hashlib.sha256(
                    "\0".join(sorted(entry.name for entry in Path(path).iterdir())).encode()
                ).hexdigest()
            )
        status = Path(path).stat()
        if status.st_size > _WHOLE:
            return f"size:{status.st_size}:{status.st_mtime_ns}"
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError:
        return "absent"


def location(path: str, vault: str, folder: str) -> str:
    """How a manifest names a file; `folder` is the note's, absolute."""
    for prefix, base in (("library:", LIBRARY), ("note:", folder), ("vault:", vault)):
        if base and _inside(path, base):
            return prefix + os.path.relpath(path, base)
    return path


def place(location: str, vault: str, folder: str) -> str:
    """The path that a manifest's location means today."""
    kind, _, rest = location.partition(":")
    base = {"note": folder, "vault": vault, "library": LIBRARY}.get(kind)
    return location if base is None else os.path.normpath(Path(base) / rest)


def _inside(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def library_folders() -> tuple[str, ...]:
    """Where modules lie that are nobody's own: packages, then the standard library."""
    paths = sysconfig.get_paths()
    return paths["purelib"], paths["platlib"], paths["stdlib"], str(Path(os.__file__).parent)


def without_folders(text: str, folders: Iterable[str]) -> str:
    """Text in which paths no longer say where on this machine something is."""
    for folder in (*folders, *library_folders(), ROOT):
        if folder:
            text = text.replace(folder.rstrip("/") + "/", "")
    return text


# ---------------------------------------------------------------- checking


def changed(manifest: Manifest, vault: str, folder: str) -> str:
    """What is no longer as it was during a run, as the end of a sentence; "" if everything is."""
    for name, version in manifest.packages:
        now = version_of(name)
        if now != version:
            return f"{name} was {version} and is {now or 'not installed any more'}"
    for where, print_ in manifest.inputs:
        now = fingerprint(place(where, vault, folder))
        if now != print_:
            return f"{where} came or went" if "absent" in (now, print_) else f"the file {where} has changed"
    if manifest.network:
        return f"it talked to {manifest.network[0]} over the network"
    return "" if manifest.complete else "what it depends on is not known"


def version_of(distribution: str) -> str:
    """The installed version of a distribution, "" if there is none. Remembered until `look_again`: a build
    asks for the same few again and again."""
    return _version(distribution)


def look_again() -> None:
    """Forget which versions are installed: a process that builds again and again is not alone."""
    _version.cache_clear()


@cache
def _version(distribution: str) -> str:
    try:
        found = importlib.metadata.distribution(distribution)
    except importlib.metadata.PackageNotFoundError:
        return ""
    # Parsing all of the metadata, as `version` does, takes milliseconds for each distribution.
    lines = (found.read_text("METADATA") or found.read_text("PKG-INFO") or "").split("\n", 10)
    return next((line[9:].strip() for line in lines if line.startswith("Version: ")), "") or found.version


def installed() -> tuple[tuple[str, int], ...]:
    """The distributions that there are to import from, each with the time it was installed: a process that
    has imported some is out of date when this changes. (Not the folders' own times: a garden may be built
    in one of them.)"""
    found: list[tuple[str, int]] = []
    for folder in dict.fromkeys((*library_folders(), *filter(None, sys.path))):
        with suppress(OSError):
            kept = (e for e in os.scandir(folder) if e.name.endswith((".dist-info", ".egg-info")))
            found.extend((entry.path, entry.stat().st_mtime_ns) for entry in kept)
    return tuple(sorted(found))


# ---------------------------------------------------------------- watching


class Watch:
    """Watches the process it is made in. `private` are folders whose files are no inputs; those of `replaced`
    are the process's own, but for what is inside `shown`.

    An audit hook cannot be removed, so this is only for processes that run one note.
    """

    def __init__(
        self,
        private: Iterable[str],
        baseline: Iterable[str],
        replaced: Iterable[str] = (),
        shown: Iterable[str] = (),
    ) -> None:
        self._replaced, self._shown = tuple(replaced), tuple(folder for folder in shown if folder)
        self._ignored = (*_interpreter(), *_SYSTEM, *(os.path.realpath(p) for p in private if p))
        self._baseline = frozenset(baseline)
        self._opened: set[str] = set()
        self._network: set[str] = set()
        sys.addaudithook(self._hear)

    def manifest(self, codes: Iterable[str], vault: str, folder: str) -> Manifest:
        """What the cells `codes` turned out to depend on."""
        opened = {path for path in map(os.path.realpath, set(self._opened)) if not self._ignore(path)}
        names = _imported(codes, self._baseline) | (_top_names() - self._baseline)
        packages, local = _sort_out(names)
        more = _imported(map(_text_of, _files_of(local)), self._baseline) - names - {"generator"}
        if more:  # A local module may have imported what was loaded before the cells ran.
            packages, local = _sort_out(names | more)
        modules = {path for path in _files_of(local) if not self._ignore(path)}
        inputs = {location(path, vault, folder): fingerprint(path) for path in sorted(opened | modules)}
        return Manifest(packages, tuple(sorted(inputs.items())), tuple(sorted(self._network)), complete=True)

    def _hear(self, event: str, arguments: tuple[object, ...]) -> None:
        # Called for every audit event of the process: it must be quick and must never raise.
        if event == "open":
            path, mode, flags = arguments
            if _reads(mode, flags):
                self._note(path)
        elif event in ("os.listdir", "os.scandir"):
            self._note(arguments[0] or ".")
        elif event == "socket.connect":
            self._connect(arguments[1])

    def _note(self, path: object) -> None:
        if not isinstance(path, str | bytes) or _is_import_system(sys._getframe(2).f_code.co_filename):
            return  # Modules are recorded by their files, not by where they were looked for.
        with suppress(OSError, ValueError):
            full = os.path.abspath(os.fsdecode(path))  # noqa: PTH100 - in a hook, nothing heavier
            if full.startswith(_ENGINE) and sys._getframe(2).f_code.co_filename.endswith("/tokenize.py"):
                return  # A traceback shows lines of the engine: nothing that a note depends on.
            if not self._ignore(full) and "/__pycache__/" not in full:
                self._opened.add(full)

    def _connect(self, address: object) -> None:
        if isinstance(address, tuple) and not str(address[:1]).startswith(_LOCAL):
            self._network.add(":".join(map(str, address[:2])))

    def _ignore(self, path: str) -> bool:
        if any(_inside(path, folder) for folder in self._ignored):
            return True
        own = any(_inside(path, folder) for folder in self._replaced)
        return own and not any(_inside(path, folder) for folder in self._shown)


def _is_import_system(file: str) -> bool:
    return file.startswith("<frozen") or "/importlib/" in file


def _reads(mode: object, flags: object) -> bool:
    if isinstance(mode, str):
        return not set(mode) & set("wax")
    return not (isinstance(flags, int) and flags & (os.O_WRONLY | os.O_CREAT))


def _interpreter() -> tuple[str, ...]:
    paths = {sys.prefix, sys.base_prefix, sys.exec_prefix, *sysconfig.get_paths().values()}
    return tuple({os.path.realpath(path) for path in paths} - {"/", os.path.realpath(ROOT)})


def _top_names() -> set[str]:
    return {name.partition(".")[0] for name in list(sys.modules)}


def _imported(codes: Iterable[str], baseline: frozenset[str]) -> set[str]:
    """Top-level names that cells import, as far as their text says so. A module loaded before the cells ran
    leaves no other trace; one named in a string may be imported by that name."""
    names: set[str] = set()
    for code in codes:
        tree = parse(code)
        for node in ast.walk(tree) if tree else ():
            names.update(_names(node, baseline))
    return names


def _names(node: ast.AST, baseline: frozenset[str]) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name.partition(".")[0] for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        yield node.module.partition(".")[0]
    elif isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) < 100:
        name = node.value.partition(".")[0]
        if name in baseline:
            yield name


def _sort_out(names: Iterable[str]) -> tuple[tuple[tuple[str, str], ...], set[str]]:
    """Split imported names into distributions (with what they require, as far as it is loaded) and local
    modules."""
    found: dict[str, str] = {}
    local: set[str] = set()
    todo = [name for name in names if name not in sys.stdlib_module_names and name != "__main__"]
    loaded = {name.lower().replace("_", "-") for name in _top_names()}
    while todo:
        name = todo.pop()
        if name in found:
            continue
        distribution = _distribution(name)
        if distribution:
            found[distribution] = version_of(distribution)
            todo += [r for r in _required(distribution) if r in loaded and r not in found]
        else:
            local.add(name)
    return tuple(sorted(found.items())), local


def _distribution(name: str) -> str:
    folded = name.lower().replace("_", "-")
    if version_of(folded):
        return folded
    module = sys.modules.get(name)
    if module is None or not _in_packages(getattr(module, "__file__", None) or ""):
        return ""
    return _by_module().get(name, "")


@cache
def _by_module() -> dict[str, str]:
    # Slow (it reads the file list of every distribution), and needed only for names like PIL.
    return {name: dists[0].lower() for name, dists in importlib.metadata.packages_distributions().items()}


def _required(distribution: str) -> list[str]:
    with suppress(importlib.metadata.PackageNotFoundError):
        requirements = importlib.metadata.requires(distribution) or ()
        names = (r for r in requirements if "extra ==" not in r)
        return [_requirement_name(r) for r in names]
    return []


def _requirement_name(requirement: str) -> str:
    end = next((i for i, c in enumerate(requirement) if not (c.isalnum() or c in "-_.")), len(requirement))
    return requirement[:end].lower().replace("_", "-")


def _in_packages(path: str) -> bool:
    return any(_inside(path, folder) for folder in _interpreter())


def _text_of(path: str) -> str:
    try:
        return Path(path).read_text("utf-8", "replace") if path.endswith(".py") else ""
    except OSError:
        return ""


def _files_of(names: set[str]) -> Iterator[str]:
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in names:
            path = getattr(module, "__file__", None)
            if isinstance(path, str) and Path(path).is_file():
                yield os.path.realpath(path)

"""The house stands: imports go down only, a library is seen in one room, files are touched in few."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

HOUSE = Path(__file__).parent.parent / "generator"

FLOORS = {
    "__init__": 0, "model": 0,
    "config": 1, "memo": 1, "disk": 1, "syntax": 1, "links": 1, "layout": 1,
    "markdown": 2, "graph": 2, "search": 2, "mentions": 2, "execution": 2,
    "pages": 3, "promote": 3, "rename": 3,
    "theme": 4, "feeds": 4, "checks": 4, "claims": 4, "doctor": 4,
    "pipeline": 5,
    "serve": 6,
    "cli": 7,
}  # fmt: skip

NARROW = {"execution": {"execution", "model", "memo"}}
"""Rooms that may import less than their floor allows."""

LIBRARIES = {
    "markdown_it": {"markdown", "syntax"},
    "mdit_py_plugins": {"markdown", "syntax"},
    "jinja2": {"theme"},
    "networkx": {"graph"},
    "numpy": {"layout", "execution/library/garden"},
    "jax": {"execution/worker"},
    "nbconvert": {"execution"},
    "distributed": {"execution/dask"},
    "nbclient": {"execution"},
    "nbformat": {"execution"},
    "nh3": {"syntax"},
    "yaml": {"syntax"},
    "math_core": {"syntax"},
    "pygments": {"syntax"},
}

KEEPERS = {"disk", "memo", "theme", "config", "serve", "execution"}
"""The rooms that may touch files."""

FILE_MODULES = {"os", "os.path", "shutil", "tempfile", "fcntl", "glob", "io", "mmap"}
HARMLESS = {
    "os.environ", "os.cpu_count", "os.getpid", "os.name", "os.path", "os.path.relpath",
    "io.StringIO", "io.BytesIO", "os.devnull", "os.O_WRONLY", "os.dup2",
}  # fmt: skip
FILE_METHODS = {
    "read_text", "read_bytes", "write_text", "write_bytes", "unlink", "mkdir", "rmdir", "touch", "rename",
    "stat", "lstat", "exists", "is_file", "is_dir", "is_symlink", "iterdir", "rglob", "readlink",
    "symlink_to", "hardlink_to", "chmod",
}  # fmt: skip

MODULES = {path: ast.parse(path.read_bytes()) for path in sorted(HOUSE.rglob("*.py"))}


def room(path: Path) -> str:
    return path.relative_to(HOUSE).with_suffix("").parts[0]


def place(path: Path, node: ast.AST) -> str:
    return f"{path.relative_to(HOUSE.parent)}:{getattr(node, 'lineno', 0)}"


def imports(path: Path, tree: ast.Module) -> Iterator[tuple[ast.AST, str]]:
    """Every imported module by its absolute name, wherever in the file it is imported."""
    package = ("generator", *path.relative_to(HOUSE).parent.parts)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            name = ".".join((*base, *filter(None, [node.module])))
            # `from generator import links` names a room, `from generator.links import index` a thing in one.
            yield from ((node, f"{name}.{alias.name}") for alias in node.names)


def test_every_room_has_a_floor() -> None:
    assert {room(path) for path in MODULES} <= set(FLOORS)


def allowed(here: str, there: str) -> bool:
    below = here == there or FLOORS[there] < FLOORS[here]
    return below and there in NARROW.get(here, FLOORS)


def test_imports_go_down_only() -> None:
    wrong = [
        f"{place(path, node)}: {room(path)} imports {there}"
        for path, tree in MODULES.items()
        for node, name in imports(path, tree)
        if name.startswith("generator.")
        and (there := name.split(".")[1]) in FLOORS
        and not allowed(room(path), there)
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_library_is_seen_in_one_room(library: str) -> None:
    seen = {
        place(path, node)
        for path, tree in MODULES.items()
        for node, name in imports(path, tree)
        if name.split(".")[0] == library
        and not {room(path), path.relative_to(HOUSE).with_suffix("").as_posix()} & LIBRARIES[library]
    }
    assert not seen, f"only {sorted(LIBRARIES[library])} may import {library}:\n" + "\n".join(sorted(seen))


def touches_files(node: ast.AST) -> bool:
    match node:
        case ast.Call(func=ast.Name(id="open") | ast.Attribute(attr="open"), args=arguments):
            return [ast.unparse(argument) for argument in arguments[:1]] != ["os.devnull"]
        case ast.Attribute(value=module, attr=attr) if ast.unparse(module) in FILE_MODULES:
            return attr != "open" and f"{ast.unparse(module)}.{attr}" not in HARMLESS  # calls of open: above
        case ast.ImportFrom(module=str(module), names=names) if module in FILE_MODULES:
            return any(f"{module}.{alias.name}" not in HARMLESS for alias in names)
        case ast.Call(func=ast.Attribute(attr=attr)):
            return attr in FILE_METHODS
    return False


def test_files_are_touched_in_few_rooms() -> None:
    touched = [
        f"{place(path, node)}: {ast.unparse(node)}"
        for path, tree in MODULES.items()
        if room(path) not in KEEPERS
        for node in ast.walk(tree)
        if touches_files(node)
    ]
    assert not touched, "\n".join(touched)

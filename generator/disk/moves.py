"""What commands do to an author's folder: a new note that overwrites nothing, and a note that is renamed
together with everything that is said about it elsewhere.

A renaming is first written down whole, in a folder `.renaming` of the notes: the new texts, and a list of
what goes where. Only then is anything of the author's touched. Whoever finds a list finishes what it says
(`finish`); whoever finds texts without one throws them away. So there is no moment at which the notes could
be left half renamed.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from generator.disk.beside import _write
from generator.disk.files import contains, is_hidden, reason, remove_tree
from generator.disk.walk import _RESERVED, _UNUSABLE, Walk
from generator.model import slug_of

STAGE = ".renaming"
_LIST = "list.json"


def paths(notes_dir: Path, ignore: Sequence[str] = (), exclude: Sequence[Path] = ()) -> tuple[str, ...]:
    """Every file of a folder of notes, without reading one."""
    return tuple(file.path for file in Walk(notes_dir, ignore, exclude).files)


def unusable(path: str) -> str:
    """Why a note cannot have this path, in a few words; "" if it can."""
    for part in path.split("/"):
        if part in ("", ".", ".."):
            return "it has an empty part, or one that is only dots"
        if is_hidden(part):
            return f"{part} is a name that a garden passes over"
        if _UNUSABLE.search(part):
            return "it holds characters that cannot stand in an address"
        if _RESERVED.fullmatch(part) or any(c in '<>:"|?*' for c in part):
            return f"{part} is a name that Windows reserves or cannot keep"
        if len(part.encode("utf-8", "replace")) > 240:
            return "a part of it is too long"
    return "" if len(slug_of(path).rpartition("/")[2].encode()) <= 240 else "it is too long"


def create(notes_dir: Path, path: str, text: str) -> str:
    """Write a new note. A sentence why not, or "": nothing is ever overwritten."""
    place = notes_dir / path
    try:
        if not contains(os.path.realpath(notes_dir), os.path.realpath(place.parent)):
            return f"{path} lies outside the folder of notes"
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("x", encoding="utf-8", newline="") as file:
            file.write(text)
    except FileExistsError:
        return f"{path} is there already"
    except OSError as error:
        return f"{path} cannot be written: {reason(error)}"
    return ""


def template(folder: Path, name: str) -> str | None:
    """The text of a template; None where there is none. Raises OSError and UnicodeDecodeError."""
    try:
        return (folder / name).read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
    except FileNotFoundError:
        return None


def document(path: Path) -> bytes | None:
    """What a file holds that a person named; None where there is none. Raises OSError."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def write(path: Path, data: bytes) -> None:
    """Have a file hold this, all of it or what it held before. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _write(path, data, 0o644)


# ---------------------------------------------------------------- renaming


def move(notes_dir: Path, old: str, new: str, changes: Mapping[str, Callable[[str], str]]) -> str:
    """Move the note `old` to `new`, and change the texts of notes, named by the paths that they had before.

    All of it is done, or nothing and a sentence says why. A change that raises ValueError means that the
    note is not what it was when it was read.
    """
    root = Path(os.path.realpath(notes_dir))
    stage = root / STAGE
    try:
        why = _prepared(root, stage, old, new, changes)
        if why:
            _thrown_away(stage)
            return why
        finish(notes_dir)
    except OSError as error:
        if not (stage / _LIST).exists():
            _thrown_away(stage)
        return f"{old} cannot be renamed: {reason(error)}"
    return ""


def unfinished(notes_dir: Path) -> bool:
    """Whether a renaming was cut short."""
    return (notes_dir / STAGE).is_dir()


def finish(notes_dir: Path) -> str:
    """Finish a renaming that was cut short. The new path of the note, or "" where nothing had been changed
    yet, and nothing is. Raises OSError."""
    root = Path(os.path.realpath(notes_dir))
    stage = root / STAGE
    steps = _steps(root, stage)
    if steps is None:
        _thrown_away(stage)
        return ""
    old, new, texts = steps
    if _is_there(root / old) and (not _is_there(root / new) or (root / old).samefile(root / new)):
        (root / new).parent.mkdir(parents=True, exist_ok=True)
        (root / old).rename(root / new)
    for number, path in texts:
        if _is_there(stage / number):
            (stage / number).replace(root / path)
    _synced(root)
    (stage / _LIST).unlink()
    _thrown_away(stage)
    return new


def _prepared(
    root: Path, stage: Path, old: str, new: str, changes: Mapping[str, Callable[[str], str]]
) -> str:
    """Write everything down, the list last."""
    for path in (old, new, *changes):
        if not contains(str(root), os.path.realpath(root / path)):
            return f"{path} lies outside the folder of notes"
    if (root / old).is_symlink():
        return f"{old} is a link to another file; rename that one"
    if not _is_there(root / old):
        return f"{old} is not there under that very name; its letters may be encoded otherwise"
    if _is_there(root / new) and not (root / old).samefile(root / new):
        return f"{new} is there already"
    _thrown_away(stage)
    stage.mkdir()
    texts = []
    for number, (path, change) in enumerate(changes.items()):
        place = Path(os.path.realpath(root / path))
        if place.stat().st_dev != stage.stat().st_dev:
            return (
                f"{path} lies on another disk than the folder of notes, and could not be changed in one step"
            )
        try:
            text = _changed(place.read_bytes().decode("utf-8"), change)
        except (ValueError, UnicodeDecodeError):
            return f"{path} has been changed meanwhile; try again"
        staged = stage / str(number)
        _write(staged, text.encode(), stat.S_IMODE(place.stat().st_mode))
        target = new if path == old else place.relative_to(root).as_posix()
        texts.append([str(number), target])
    data = {"old": old, "new": new, "texts": texts}
    _write(stage / _LIST, json.dumps(data, ensure_ascii=False, indent=1).encode(), 0o644)
    _synced(stage)
    return ""


def _changed(raw: str, change: Callable[[str], str]) -> str:
    mark = "\ufeff" if raw.startswith("\ufeff") else ""
    return mark + change(raw.removeprefix(mark))


def _steps(root: Path, stage: Path) -> tuple[str, str, list[tuple[str, str]]] | None:
    """What the list says, if it is whole and concerns nothing outside the notes."""
    try:
        data = json.loads((stage / _LIST).read_bytes())
        texts = [(number, path) for number, path in data["texts"] if str(number).isdigit()]
        old, new = str(data["old"]), str(data["new"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    named = [old, new, *(path for _, path in texts)]
    inside = all(contains(str(root), os.path.realpath(root / path)) for path in named)
    return (old, new, texts) if inside and all(not is_hidden(p.split("/")[0]) for p in named) else None


def _is_there(path: Path) -> bool:
    return os.path.lexists(path)


def _thrown_away(stage: Path) -> None:
    if stage.is_dir() and not stage.is_symlink():
        remove_tree(str(stage))


def _synced(folder: Path) -> None:
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

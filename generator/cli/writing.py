"""`new TITLE` and `daily`: a note that is there to be written, from the garden's own template."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import unicodedata
from datetime import date, datetime
from pathlib import Path

from generator import config, disk
from generator.cli import building, reports
from generator.cli.arguments import Arguments
from generator.model import slug_of
from generator.syntax import frontmatter

_NEW = "# {{title}}\n\n"
_CLOSED = '<>:"|?*#^[]\\'
"""What may stand in a title, and not in a name: Windows keeps no file so called, and no link names it."""


def new(loaded: config.Loaded, asked: Arguments) -> int:
    """Write a note; gives the exit code."""
    title = " ".join(" ".join(asked.names).split())
    if not title:
        raise config.ConfigError('new takes a title: new "Hopf algebra", or new "maths/Hopf algebra"')
    folder, _, name = unicodedata.normalize("NFC", title).removesuffix(".md").lstrip("/").rpartition("/")
    if not name.strip():
        raise config.ConfigError(f'“{title}” is a folder; write the title behind it: new "{title}Title"')
    path = f"{folder}/{_file_name(name)}.md" if folder else f"{_file_name(name)}.md"
    _is_free(loaded, path)
    text = _filled(_template(loaded, "note.md"), name, datetime.now())
    _written(loaded, path, text)
    return _shown(loaded, path)


def daily(loaded: config.Loaded, asked: Arguments) -> int:
    """Today's note, or that of a day that is named: written if it is not there yet. Gives the exit code."""
    day = _day(asked.names)
    name = day.date().isoformat()
    path = f"{loaded.daily}/{name}.md" if loaded.daily not in ("", ".") else f"{name}.md"
    if disk.document(loaded.notes_dir / path) is None:
        _is_free(loaded, path)
        _written(loaded, path, _filled(_template(loaded, "daily.md"), name, day))
    return _shown(loaded, path)


def _day(names: tuple[str, ...]) -> datetime:
    now = datetime.now()
    if not names:
        return now
    try:
        return datetime.combine(date.fromisoformat(" ".join(names)), now.time())
    except ValueError:
        raise config.ConfigError(
            f"daily takes a date such as {now.date()}, not “{' '.join(names)}”"
        ) from None


def _file_name(title: str) -> str:
    """The title as a file may be called: what no file or no link may hold becomes a space or a dash."""
    spaced = title.replace(": ", " - ")
    plain = "".join(" " if c in _CLOSED or not c.isprintable() else c for c in spaced)
    return " ".join(plain.split()).strip(" .")


def _is_free(loaded: config.Loaded, path: str) -> None:
    why = disk.unusable(path)
    if why:
        raise config.ConfigError(f"a note cannot be called {path}: {why}; try another title")
    ignored = building.not_notes(loaded)
    for other in disk.paths(loaded.notes_dir, loaded.config.ignore, ignored):
        if other.casefold() == path.casefold():
            raise config.ConfigError(f"{_there(loaded, other)} is there already; nothing was written")
        if other.endswith(disk.NOTE_SUFFIXES) and slug_of(other) == slug_of(path):
            raise config.ConfigError(
                f"{path} would have the address of {_there(loaded, other)}; try another title"
            )


def _there(loaded: config.Loaded, path: str) -> str:
    return reports.relative(loaded.notes_dir / path)


def _written(loaded: config.Loaded, path: str, text: str) -> None:
    why = disk.create(loaded.notes_dir, path, text)
    if why:
        raise config.ConfigError(f"{why}; nothing was written")


def _template(loaded: config.Loaded, name: str) -> str:
    try:
        text = disk.template(loaded.templates_dir, name)
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        file = reports.relative(loaded.templates_dir / name)
        raise config.ConfigError(f"the template {file} cannot be read: {why}") from error
    return _NEW if text is None else text


def _filled(template: str, title: str, moment: datetime) -> str:
    """The template with `{{title}}`, `{{date}}` and `{{time}}` filled in; in its properties, as YAML."""
    values = {"title": title, "date": moment.date().isoformat(), "time": moment.strftime("%H:%M")}
    _, head = frontmatter.split(template)
    lines = template.split("\n")
    return "\n".join(
        [*(_property(line, values) for line in lines[:head]), _replaced("\n".join(lines[head:]), values)]
        if head
        else [_replaced(template, values)]
    )


def _replaced(text: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        text = text.replace("{{" + name + "}}", value).replace("{{ " + name + " }}", value)
    return text


def _property(line: str, values: dict[str, str]) -> str:
    """One line of YAML: a title with a colon or quotes in it is quoted, or escaped where it is already."""
    title = json.dumps(values["title"], ensure_ascii=False)
    key, colon, rest = line.partition(":")
    if rest.strip() in ("{{title}}", "{{ title }}", '"{{title}}"', "'{{title}}'"):
        plain = all(c.isalnum() or c in " _-" for c in values["title"]) and not values["title"][0].isdigit()
        return f"{key}{colon} {values['title'] if plain else title}"
    return _replaced(line, {**values, "title": title[1:-1] if '"' in line else values["title"]})


def _shown(loaded: config.Loaded, path: str) -> int:
    """Print the path, and let its author write if there is one in front of a terminal."""
    place = loaded.notes_dir / path
    sys.stdout.write(f"{reports.relative(place)}\n")
    sys.stdout.flush()
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    if not editor or not (sys.stdin.isatty() and sys.stdout.isatty()):
        return 0
    return _edited(shlex.split(editor), place)


def _edited(command: list[str], place: Path) -> int:
    try:
        subprocess.run([*command, str(place)], check=False)
    except OSError as error:
        reports.say(f"{command[0]} cannot be started: {error.strerror}; set EDITOR to another one")
    return 0

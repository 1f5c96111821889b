"""What a garden says about itself (`Config`), how one build is done (`Options`), and where both come from.

A setting is looked for on the command line, then in the environment (`GARDEN_` and its key in capitals,
`GARDEN_CELLS_TIMEOUT`), then in `garden.toml`; the table `SETTINGS` holds every one beside its
command-line spelling. What is not understood is an error: a misspelt key must not pass for a default.

`garden.toml` is the file given, else the one in the folder of notes or beside that folder; it is never
another garden's. Folders:

* notes: as given, else what `garden.toml` says, else `notes/` beside it;
* site: as given, else what `garden.toml` says, else `_site/` beside it (without one, beside the notes);
* cache: as given, else `.cache/garden/` beside `garden.toml`. A folder of notes without one is somebody's
  vault and stays as it is: its cache is in the user's cache folder, under a name made from its path.
"""

from __future__ import annotations

import hashlib
import os
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

FILE_NAME = "garden.toml"
PREFIX = "GARDEN_"

Format = Literal["text", "json", "github", "junit"]
Gradcheck = Literal["fail", "report", "off"]


@dataclass(frozen=True, slots=True)
class Cells:
    """How cells are treated. `plain`: whether fences marked only `python` are run or shown. Seconds for one
    cell (`timeout`) and for all cells of a note; megabytes that a note's process may use. `gradcheck`:
    whether derivatives that cells take are checked, and whether a refuted one fails its cell."""

    plain: Literal["run", "show"] = "show"
    timeout: float = 60.0
    note_timeout: float = 600.0
    memory_mb: int = 4096
    gradcheck: Gradcheck = "fail"


@dataclass(frozen=True, slots=True)
class Limits:
    """What is too much: bytes of a note, nested Markdown blocks, embeds within embeds."""

    note_bytes: int = 2_000_000
    nesting: int = 200
    embed_depth: int = 16


@dataclass(frozen=True, slots=True)
class Pages:
    """What is made besides the notes' own pages. `mentions`: whether each note lists those that speak of it
    without a link; `export`: whether all notes also go into one file, for machines."""

    mentions: bool = True
    export: bool = True


@dataclass(frozen=True, slots=True)
class Config:
    """What the garden is: the part of the settings that its pages depend on.

    `base_url` ends in a slash, or is empty where the site's address is not known. `ignore` are globs of
    paths in the folder of notes, `*` within one name, `**` across folders.
    """

    title: str = "Notes"
    description: str = ""
    base_url: str = ""
    lang: str = "en"
    author: str = ""
    html: Literal["sanitize", "trusted"] = "sanitize"
    dates: Literal["git", "file", "none"] = "git"
    ignore: tuple[str, ...] = ()
    cells: Cells = Cells()
    limits: Limits = Limits()
    pages: Pages = Pages()


@dataclass(frozen=True, slots=True)
class Options:
    """How this one build is done; no page depends on it. `jobs` is 0 for as many as the machine can run;
    `sandbox` whether cells are fenced in: as far as possible, wholly or not at all, or never; `reverify` how
    many seconds are spent on running old results again."""

    jobs: int = 0
    strict: bool = False
    fresh: bool = False
    frozen: bool = False
    no_exec: bool = False
    format: Format = "text"
    executor: str = "zygote"
    sandbox: Literal["auto", "require", "off"] = "auto"
    reverify: float = 1.0


@dataclass(frozen=True, slots=True)
class Loaded:
    """Everything that is set, and the folders to work on. `file` is None where there is no `garden.toml`;
    `templates_dir` holds what new notes begin with, `daily` is where in the notes those of days are."""

    config: Config
    options: Options
    notes_dir: Path
    out_dir: Path
    cache_dir: Path
    file: Path | None = None
    templates_dir: Path = Path()
    daily: str = "daily"


class ConfigError(Exception):
    """A mistake in the settings or on the command line: where, what, and what to try."""


# ---------------------------------------------------------------- the settings

Read = Callable[[Any], Any]
"""Checks one value, from a file or as text; a ValueError says in a few words what it must be."""


def _text(value: Any) -> str:
    if not isinstance(value, str) or any(ord(char) < 32 for char in value):
        raise ValueError("one line of text")
    return value.strip()


def _choice(*choices: str) -> Read:
    def read(value: Any) -> str:
        if value not in choices:
            raise ValueError(" or ".join(f'"{choice}"' for choice in choices))
        return str(value)

    return read


def _whole(lowest: int) -> Read:
    def read(value: Any) -> int:
        number = int(value) if isinstance(value, str) and re.fullmatch(r"\d{1,15}", value) else value
        if not isinstance(number, int) or isinstance(number, bool) or number < lowest:
            raise ValueError(f"a whole number, {lowest} or more")
        return number

    return read


def _seconds(value: Any) -> float:
    number = float(value) if isinstance(value, str) and re.fullmatch(r"\d+(\.\d+)?", value) else value
    if not isinstance(number, int | float) or isinstance(number, bool) or not 0 < number < float("inf"):
        raise ValueError("a number of seconds above 0")
    return float(number)


def _seconds_or_none(value: Any) -> float:
    return 0.0 if value in (0, 0.0, "0") and not isinstance(value, bool) else _seconds(value)


def _truth(value: Any) -> bool:
    words = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False}
    words |= {"off": False, "": False}
    truth = words.get(value.lower()) if isinstance(value, str) else value
    if not isinstance(truth, bool):
        raise ValueError("true or false")
    return truth


def _gradcheck(value: Any) -> Gradcheck:
    if value == "report":
        return "report"
    try:
        return "fail" if _truth(value) else "off"
    except ValueError:
        raise ValueError('true, false or "report"') from None


def _language(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*", value):
        raise ValueError('a language tag such as "en" or "pt-BR"')
    return value


def _address(value: Any) -> str:
    if value == "":
        return ""
    if not isinstance(value, str) or not re.fullmatch(r"https?://[^\s/?#\"'<>\\]+(/[^\s?#\"'<>\\]*)?", value):
        raise ValueError('an address such as "https://example.org/notes/"')
    return value.rstrip("/") + "/"


def _globs(value: Any) -> tuple[str, ...]:
    items = value.split(":") if isinstance(value, str) else value
    if not isinstance(items, list) or not all(isinstance(item, str) and item for item in items):
        raise ValueError('a list of patterns such as ["drafts/**", "*.tmp"]')
    return tuple(items)


def _executor(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"zygote|jupyter|tcp://[^\s/:]+:\d+", value):
        raise ValueError('"zygote", "jupyter" or "tcp://HOST:PORT"')
    return value


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: its key in `garden.toml` (dotted), how it is read, how it is spelt on the command line
    (`""`: not there), whether the file may hold it, and what it means."""

    key: str
    read: Read
    flag: str = ""
    metavar: str = ""
    help: str = ""
    in_file: bool = True

    @property
    def name(self) -> str:
        """The spelling of the flag, else the key, as an identifier; behind `GARDEN_` in capitals."""
        return self.flag[2:].replace("-", "_") or self.key.replace(".", "_")

    @property
    def variable(self) -> str:
        return PREFIX + self.name.upper()


SETTINGS: tuple[Setting, ...] = (
    Setting("notes", _text, "--notes", "DIR", "the folder of notes"),
    Setting("out", _text, "--out", "DIR", "the site"),
    Setting("config", _text, "--config", "FILE", "garden.toml", in_file=False),
    Setting("cache", _text, "--cache", "DIR", "where results are remembered", in_file=False),
    Setting("title", _text, help="the name of the garden"),
    Setting("description", _text, help="the garden in one sentence"),
    Setting("base_url", _address, "--base-url", "URL", "where the site will be: feeds and previews need it"),
    Setting("lang", _language, help="the language of the notes"),
    Setting("author", _text, help="who writes"),
    Setting("html", _choice("sanitize", "trusted"), help="what happens to raw HTML in notes"),
    Setting("dates", _choice("git", "file", "none"), help="where dates come from that a note does not say"),
    Setting("templates", _text, help="the folder of templates in the notes, no part of the garden"),
    Setting("daily", _text, help="the folder in the notes that those of days are in"),
    Setting("ignore", _globs, help="files of the folder that are no part of the garden"),
    Setting("cells.plain", _choice("run", "show"), help="whether plain python fences are run"),
    Setting("cells.timeout", _seconds, help="seconds for one cell"),
    Setting("cells.note_timeout", _seconds, help="seconds for the cells of one note"),
    Setting("cells.memory_mb", _whole(64), help="megabytes for the cells of one note"),
    Setting("cells.gradcheck", _gradcheck, help="whether derivatives are checked (true, false, report)"),
    Setting("cells.reverify", _seconds_or_none, help="seconds a build spends on running old results again"),
    Setting("cells.executor", _executor, "--executor", "zygote|jupyter|tcp://HOST:PORT", "where cells run"),
    Setting("cells.sandbox", _choice("auto", "require", "off"), help="whether cells are fenced in"),
    Setting("limits.note_bytes", _whole(1), help="bytes of a note"),
    Setting("limits.nesting", _whole(1), help="nested Markdown blocks"),
    Setting("limits.embed_depth", _whole(1), help="embeds within embeds"),
    Setting("pages.mentions", _truth, help="whether notes list those that speak of them without a link"),
    Setting("pages.export", _truth, help="whether all notes also go into one file, for machines"),
    Setting("jobs", _whole(0), "--jobs", "N", "processes at once (0: as many as the machine runs)", False),
    Setting("strict", _truth, "--strict", "", "warnings count as errors", False),
    Setting("fresh", _truth, "--fresh", "", "ignore all caches", False),
    Setting("frozen", _truth, "--frozen", "", "never execute; what is stale is an error", False),
    Setting("no_exec", _truth, "--no-exec", "", "never execute; cells are shown as not run", False),
    Setting(
        "require_sandbox", _truth, "--require-sandbox", "", "run cells in a sandbox, or not at all", False
    ),
    Setting(
        "format", _choice("text", "json", "github", "junit"), "--format", "", "how problems are told", False
    ),
)

_BY_KEY = {setting.key: setting for setting in SETTINGS}
_BY_NAME = {setting.name: setting for setting in SETTINGS}
_BY_VARIABLE = {setting.variable: setting for setting in SETTINGS}
_SECTIONS = {setting.key.partition(".")[0] for setting in SETTINGS if "." in setting.key}

# ---------------------------------------------------------------- loading


def load(
    explicit: Path | None,
    notes: Path | None,
    flags: Mapping[str, Any] = {},
    environ: Mapping[str, str] = {},
    home: Path = Path(),
) -> Loaded:
    """The settings of a garden.

    `explicit` is the file and `notes` the folder named on the command line, `flags` the other settings
    named there, by `Setting.name` (None: not named), `home` where to look if nothing is named.
    Raises ConfigError.
    """
    given = _from_environment(environ) | _from_flags(flags)
    explicit = explicit or _path(given, "config")
    notes = notes or _path(given, "notes")
    file = _find(explicit, notes, home)
    table = _from_file(file) if file else {}
    values = table | given
    base = file.parent if file else _absolute(notes).parent if notes else _absolute(home)
    notes_dir = _absolute(notes) if notes else base / values.get("notes", "notes")
    return Loaded(
        _config(values),
        _options(values, environ),
        _existing(notes_dir),
        _absolute(_path(given, "out") or base / table.get("out", "_site")),
        _absolute(_path(given, "cache") or _cache_dir(base, notes_dir, file or not notes, environ)),
        file,
        _absolute(notes_dir / values.get("templates", "templates")),
        values.get("daily", "daily").strip("/"),
    )


def _path(values: Mapping[str, Any], key: str) -> Path | None:
    return Path(values[key]).expanduser() if values.get(key) else None


def _absolute(path: Path) -> Path:
    """Absolute and without `..`, but with symbolic links as they are: they may be how the user says it."""
    return Path(os.path.abspath(path))  # noqa: PTH100


def _existing(folder: Path) -> Path:
    folder = _absolute(folder)
    if folder.is_dir():
        return folder
    what = "is a file" if folder.exists() else "does not exist"
    siblings = (
        [path.name for path in folder.parent.iterdir() if path.is_dir()] if folder.parent.is_dir() else []
    )
    raise ConfigError(f"the folder of notes {folder} {what}{_near(folder.name, siblings)}; try --notes DIR")


def _cache_dir(base: Path, notes_dir: Path, at_home: object, environ: Mapping[str, str]) -> Path:
    if at_home:
        return base / ".cache" / "garden"
    root = environ.get("XDG_CACHE_HOME") or (Path(environ["HOME"], ".cache") if environ.get("HOME") else "")
    name = hashlib.blake2b(os.fsencode(notes_dir.resolve()), digest_size=8).hexdigest()
    return Path(root, "garden", name) if root else base / ".cache" / "garden" / name


def _find(explicit: Path | None, notes: Path | None, home: Path) -> Path | None:
    if explicit is not None:
        return _explicit(_absolute(explicit))
    if notes is None:
        file = _absolute(home) / FILE_NAME
        return file if file.is_file() else None
    notes = _absolute(notes)
    if (notes / FILE_NAME).is_file():
        return notes / FILE_NAME
    beside = notes.parent / FILE_NAME
    return beside if beside.is_file() and _governs(beside, notes) else None


def _explicit(file: Path) -> Path:
    if file.is_dir():
        raise ConfigError(f"{file} is a folder; try --config {file / FILE_NAME}")
    if not file.is_file():
        raise ConfigError(f"{file} does not exist; try --config FILE with another file, or leave it out")
    return file


def _governs(file: Path, notes: Path) -> bool:
    """Whether the file beside a folder is meant for it. Where it has another folder of notes, it is another
    garden's, and what that garden allows, such as running code, nobody has allowed here."""
    own = file.parent / _from_file(file).get("notes", "notes")
    return not own.is_dir() or (notes.is_dir() and own.samefile(notes))


# ---------------------------------------------------------------- the three sources


def _from_file(file: Path) -> dict[str, Any]:
    try:
        text = file.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
        data = tomllib.loads(text)
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file} is not valid UTF-8 at byte {error.start}; save it as UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file}: {error}; see https://toml.io for the syntax") from error
    return {
        setting.key: _read(setting, value, f"{_where(file, text, setting.key)}: {setting.key}")
        for setting, value in _settings_in(data, file, text)
    }


def _settings_in(data: Mapping[str, Any], file: Path, text: str) -> list[tuple[Setting, Any]]:
    found = []
    for key, value in _flat(data):
        setting = _BY_KEY.get(key)
        where = _where(file, text, key)
        if setting is None:
            known = [setting.key for setting in SETTINGS if setting.in_file]
            raise ConfigError(f"{where}: unknown key {key}{_near(key, [*known, *_SECTIONS])}")
        if not setting.in_file:
            spelling = f"{setting.flag} or {setting.variable}"
            raise ConfigError(f"{where}: {key} is not kept in a file; try {spelling}")
        found.append((setting, value))
    return found


def _flat(data: Mapping[str, Any]) -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    for key, value in data.items():
        if key in _SECTIONS and isinstance(value, dict):
            pairs.extend((f"{key}.{inner}", item) for inner, item in value.items())
        else:
            pairs.append((key, value))
    return pairs


def _where(file: Path, text: str, key: str) -> str:
    """File and line of a key, as well as they can be told: the TOML reader keeps no positions."""
    section, _, name = key.rpartition(".")
    header = re.search(rf"(?m)^\s*\[\s*{re.escape(section)}\s*\]", text) if section else None
    start = header.end() if header else 0
    pattern = rf"(?m)^\s*(?:{re.escape(key)}|\[*\"?{re.escape(name)}\"?)(?=\s*[=.\]])"
    match = re.compile(pattern).search(text, start)
    if match is None:
        return str(file)
    return f"{file}:{text.count(chr(10), 0, match.end()) + 1}"


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    """Variables that start like ours but are near to none of ours belong to some other program."""
    values = {}
    for variable in sorted(environ):
        setting = _BY_VARIABLE.get(variable)
        if setting is not None:
            values[setting.key] = _read(setting, environ[variable], f"environment: {variable}")
        elif variable.startswith(PREFIX):
            near = _near(
                variable.removeprefix(PREFIX), [setting.name.upper() for setting in SETTINGS], PREFIX
            )
            if near:
                raise ConfigError(f"environment: unknown variable {variable}{near}")
    return values


def _from_flags(flags: Mapping[str, Any]) -> dict[str, Any]:
    values = {}
    for name, value in flags.items():
        setting = _BY_NAME.get(name)
        if setting is None:
            raise ConfigError(f"command line: unknown setting {name}{_near(name, list(_BY_NAME))}")
        if value is not None:
            text = os.fspath(value) if isinstance(value, Path) else value
            values[setting.key] = _read(setting, text, f"command line: {setting.flag or setting.key}")
    return values


def _read(setting: Setting, value: Any, where: str) -> Any:
    try:
        return setting.read(value)
    except ValueError as error:
        raise ConfigError(f"{where} must be {error}, not {_shown(value)}") from None


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    text = f'"{value}"' if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _near(word: str, words: Sequence[str], prefix: str = "") -> str:
    from difflib import get_close_matches  # Only a mistake pays for it.

    near = get_close_matches(word.lower(), {each.lower(): None for each in words}, 1, 0.76)
    exact = [each for each in words if near and each.lower() == near[0]]
    return f"; did you mean {prefix}{exact[0]}?" if exact else ""


# ---------------------------------------------------------------- the values


def _config(values: Mapping[str, Any]) -> Config:
    def part(prefix: str, *names: str) -> dict[str, Any]:
        return {name: values[prefix + name] for name in names if prefix + name in values}

    return Config(
        **part("", "title", "description", "base_url", "lang", "author", "html", "dates", "ignore"),
        cells=Cells(**part("cells.", "plain", "timeout", "note_timeout", "memory_mb", "gradcheck")),
        limits=Limits(**part("limits.", "note_bytes", "nesting", "embed_depth")),
        pages=Pages(**part("pages.", "mentions", "export")),
    )


def _options(values: Mapping[str, Any], environ: Mapping[str, str]) -> Options:
    others = [key for key in ("fresh", "no_exec") if values.get("frozen") and values.get(key)]
    if others:
        raise ConfigError(f"--frozen and {_BY_KEY[others[0]].flag} contradict each other; choose one")
    return Options(
        values.get("jobs", 0),
        values.get("strict", environ.get("CI", "").lower() == "true"),
        values.get("fresh", False),
        values.get("frozen", False),
        values.get("no_exec", False),
        values.get("format", "text"),
        values.get("cells.executor", "zygote"),
        "require" if values.get("require_sandbox") else values.get("cells.sandbox", "auto"),
        reverify=values.get("cells.reverify", 1.0),
    )

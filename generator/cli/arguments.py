"""What was typed, read. Each option comes from the table of settings, so that there is one spelling."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from generator import __version__, config

COMMANDS = {
    "build": "build the site (the default)",
    "check": "build everything, write nothing, report what is wrong",
    "serve": "build, show the site on a local address, build again on each save",
    "audit": "run cells again in other surroundings: which digits are stable",
    "accept": "write what came out into the notes, as a diff that is shown first",
    "verify": "run the cells of NOTE, or NOTE#label, again; without one, hold the site against its manifest",
    "explain": "say of each note, or of NOTE, whether its cells would run, and why",
}

_EPILOG = """
examples:
  build.py                          build the garden that lies beside build.py
  build.py --notes ~/vault          build any folder of notes into _site/ beside it
  build.py check --format json      everything that is wrong, for a program
  build.py --no-exec                without running any cell
  build.py explain covariance       would the cells of that note run again, and why
  build.py audit covariance         do its digits survive on another processor
  build.py accept --dry-run --new   what could be written behind the cells of all notes

exit codes:
  0  fine                               4  something is missing on this machine
  1  problems in the notes              5  another build is at work on this garden
  2  wrong usage or configuration      70  a bug of the generator
  3  a cell failed or did not match   130  interrupted

Warnings count as errors with --strict, which is the default where CI=true.
Every option can also be set in the environment, as GARDEN_OUT for --out.
"""


@dataclass(frozen=True, slots=True)
class Arguments:
    """A command line: `names` are parts of the paths of notes, `flags` settings by name, None where not
    given. The last four are what `accept` is told."""

    command: str
    names: tuple[str, ...]
    notes: Path | None
    config: Path | None
    port: int
    flags: dict[str, Any]
    dry_run: bool = False
    yes: bool = False
    new: bool = False
    evidence: bool = False


def read(arguments: list[str]) -> Arguments:
    """Read a command line. Wrong usage ends the program with exit code 2, after saying why."""
    parsed = _parser().parse_intermixed_args(arguments)
    flags = {
        setting.name: getattr(parsed, setting.name)
        for setting in config.SETTINGS
        if setting.flag and setting.name not in ("notes", "config")
    }
    return Arguments(
        parsed.command,
        tuple(parsed.names),
        _path(parsed.notes),
        _path(parsed.config),
        parsed.port,
        flags,
        parsed.dry_run,
        parsed.yes,
        parsed.new,
        parsed.evidence,
    )


def _path(text: str | None) -> Path | None:
    return Path(text).expanduser() if text else None


def _parser() -> argparse.ArgumentParser:
    commands = "".join(f"  {name:9}{meaning}\n" for name, meaning in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="build.py",
        description="Build a garden of notes: linked, previewed, and with every cell run and verified.",
        epilog="commands:\n" + commands + _EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("command", nargs="?", default="build", choices=list(COMMANDS), metavar="COMMAND")
    parser.add_argument(
        "names", nargs="*", metavar="NOTE", help="for explain, audit and accept: part of its path"
    )
    parser.add_argument("--version", action="version", version=f"notes-garden {__version__}")
    parser.add_argument("--port", type=int, default=8000, metavar="N", help="for serve (default 8000)")
    told = parser.add_argument_group("accept")
    told.add_argument("--dry-run", action="store_true", help="show the diff and write nothing (also for audit)")
    told.add_argument("--yes", action="store_true", help="write without asking")
    told.add_argument("--new", action="store_true", help="also where nothing is expected yet")
    told.add_argument(
        "--evidence", action="store_true", help="keep the runs beside the notes, for builds with --frozen"
    )
    for setting in config.SETTINGS:
        if setting.flag:
            _add(parser, setting)
    return parser


def _add(parser: argparse.ArgumentParser, setting: config.Setting) -> None:
    common: dict[str, Any] = {"dest": setting.name, "default": None, "help": setting.help}
    if setting.name == "strict":
        parser.add_argument(setting.flag, action=argparse.BooleanOptionalAction, **common)
    elif setting.name == "format":
        parser.add_argument(setting.flag, choices=["text", "json", "github", "junit"], **common)
    elif setting.metavar:
        parser.add_argument(setting.flag, metavar=setting.metavar, **common)
    else:
        parser.add_argument(setting.flag, action="store_const", const=True, **common)

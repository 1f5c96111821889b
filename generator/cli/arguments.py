"""What was typed, read. Each option comes from the table of settings, so that there is one spelling."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from generator import __version__, config

COMMANDS = {
    "build": "build the site (the default)",
    "check": "build everything, write nothing, report what is wrong and what a gardener looks after",
    "serve": "show the site on a local address while it is written: what is saved shows in open pages",
    "audit": "run cells again in other surroundings: which digits are stable",
    "accept": "write what came out into the notes, as a diff that is shown first",
    "verify": "run the cells of NOTE, or NOTE#label, again; without one, hold the site against its manifest",
    "explain": "say of each note, or of NOTE, whether its cells would run, and why",
    "new": "write a note called TITLE from the garden's template, print its path, open $EDITOR on a terminal",
    "daily": "the same for today's note, or that of a DATE; one that is there is only opened",
    "rename": "move the note OLD to NEW, and rewrite every link to it; all of it or nothing",
    "stats": "count notes, words, links, cells by grade, and how the garden has grown",
    "completion": "print the completion script of bash, zsh or fish",
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
  build.py serve --port 8001        http://127.0.0.1:8001/, for this machine only; Ctrl-C ends it
  build.py new "Hopf algebra"       begin a note; "maths/Hopf algebra" puts it into a folder
  build.py rename old "New name" --dry-run
                                    what renaming a note would change, as a diff
  build.py check --baseline known.json --update-baseline
                                    know what is wrong now; without the second, fail on what is new
  eval "$(build.py completion bash)"
                                    complete commands and options in this shell

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
    given. The others are what single commands are told."""

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
    baseline: Path | None = None
    update_baseline: bool = False


def read(arguments: list[str]) -> Arguments:
    """Read a command line. Wrong usage ends the program with exit code 2, after saying why."""
    parsed = parser().parse_intermixed_args(arguments)
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
        _path(parsed.baseline),
        parsed.update_baseline,
    )


def _path(text: str | None) -> Path | None:
    return Path(text).expanduser() if text else None


def parser() -> argparse.ArgumentParser:
    """What the command line understands."""
    commands = "".join(f"  {name:12}{meaning}\n" for name, meaning in COMMANDS.items())
    made = argparse.ArgumentParser(
        prog="build.py",
        description="Build a garden of notes: linked, previewed, and with every cell run and verified.",
        epilog="commands:\n" + commands + _EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument("command", nargs="?", default="build", choices=list(COMMANDS), metavar="COMMAND")
    made.add_argument(
        "names",
        nargs="*",
        metavar="NOTE",
        help="what the command is about: of most, a part of a note's path",
    )
    made.add_argument("--version", action="version", version=f"notes-garden {__version__}")
    made.add_argument("--port", type=int, default=8000, metavar="N", help="for serve (default 8000)")
    told = made.add_argument_group("accept")
    told.add_argument(
        "--dry-run", action="store_true", help="show the diff and write nothing (also for rename and audit)"
    )
    told.add_argument("--yes", action="store_true", help="write without asking")
    told.add_argument("--new", action="store_true", help="also where nothing is expected yet")
    told.add_argument(
        "--evidence", action="store_true", help="keep the runs beside the notes, for builds with --frozen"
    )
    told = made.add_argument_group("check")
    told.add_argument("--baseline", metavar="FILE", help="problems that are known: they don't count")
    told.add_argument("--update-baseline", action="store_true", help="know the problems that there are now")
    for setting in config.SETTINGS:
        if setting.flag:
            _add(made, setting)
    return made


def _add(made: argparse.ArgumentParser, setting: config.Setting) -> None:
    common: dict[str, Any] = {"dest": setting.name, "default": None, "help": setting.help}
    if setting.name == "strict":
        made.add_argument(setting.flag, action=argparse.BooleanOptionalAction, **common)
    elif setting.name == "format":
        made.add_argument(setting.flag, choices=["text", "json", "github", "junit"], **common)
    elif setting.metavar:
        made.add_argument(setting.flag, metavar=setting.metavar, **common)
    else:
        made.add_argument(setting.flag, action="store_const", const=True, **common)

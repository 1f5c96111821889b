"""The command line: arguments in, exit code out. Everything that a person sees of a build is said here.

Problems go to standard output in the format asked for, progress and the closing line to standard error.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from generator import __version__, checks, config, disk, memo
from generator.model import GRADES, Problem, ProgramResult, Site

EXIT_USAGE, EXIT_ENVIRONMENT, EXIT_LOCKED, EXIT_BUG, EXIT_INTERRUPTED = 2, 4, 5, 70, 130

_EPILOG = """\
exit codes:
  0  fine                               4  something is missing on this machine
  1  problems in the notes              5  another build is at work on this garden
  2  wrong usage or configuration      70  a bug of the generator
  3  a cell failed or did not match   130  interrupted

Warnings count as errors with --strict, which is the default where CI=true.
Every option can also be set as GARDEN_<OPTION> in the environment.
"""

_COMMANDS = {
    "build": "build the site (the default)",
    "check": "build everything, write nothing, report what is wrong",
    "serve": "build, show the site on a local address, build again on each save",
    "verify": "compare a built site with its manifest",
    "explain": "say why the cells of a note will run, or will not",
}


def main(arguments: Sequence[str] | None = None, home: Path | None = None) -> int:
    """Run one command; gives the exit code. `home` is the folder whose garden is meant if none is named."""
    try:
        return _run(list(sys.argv[1:] if arguments is None else arguments), home or Path.cwd())
    except KeyboardInterrupt:
        _say("interrupted; the site is as it was")
        return EXIT_INTERRUPTED
    except config.ConfigError as error:
        _say(f"error: {error}")
        return EXIT_USAGE
    except disk.Locked as error:
        _say(f"error: {error}")
        return EXIT_LOCKED
    except BrokenPipeError:
        # Whoever read the report has gone; Python would complain once more when it closes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception:
        import traceback

        traceback.print_exc()
        _say("this is a bug of the generator, not of your notes; the site is as it was")
        return EXIT_BUG


def _say(text: str) -> None:
    sys.stderr.write(f"build.py: {text}\n")


def _run(arguments: list[str], home: Path) -> int:
    parsed = _parser().parse_args(arguments)
    flags = {
        setting.name: getattr(parsed, setting.name)
        for setting in config.SETTINGS
        if setting.flag and setting.name not in ("notes", "config")
    }
    explicit = Path(parsed.config) if parsed.config else None
    notes = Path(parsed.notes) if parsed.notes else None
    loaded = config.load(explicit, notes, flags, os.environ, home)
    commands: dict[str, Callable[[config.Loaded, argparse.Namespace], int]] = {
        "build": _build,
        "check": _check,
        "serve": _serve,
        "verify": _verify,
        "explain": _explain,
    }
    return commands[parsed.command](loaded, parsed)


# ---------------------------------------------------------------- arguments


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="build.py",
        description="Build a garden of notes: linked, previewed, and with every cell run and verified.",
        epilog="commands:\n"
        + "".join(f"  {name:9}{meaning}\n" for name, meaning in _COMMANDS.items())
        + "\n"
        + _EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("command", nargs="?", default="build", choices=list(_COMMANDS), metavar="COMMAND")
    parser.add_argument("note", nargs="?", default="", metavar="NOTE", help="for explain: the note's path")
    parser.add_argument("--version", action="version", version=f"notes-garden {__version__}")
    parser.add_argument("--port", type=int, default=8000, help="for serve: the port (default 8000)")
    for setting in config.SETTINGS:
        if setting.flag:
            _add(parser, setting)
    return parser


def _add(parser: argparse.ArgumentParser, setting: config.Setting) -> None:
    if setting.name == "strict":
        parser.add_argument(
            "--strict", action=argparse.BooleanOptionalAction, default=None, help=setting.help
        )
    elif setting.name == "format":
        choices = ["text", "json", "github", "junit"]
        parser.add_argument("--format", choices=choices, default=None, help=setting.help)
    elif not setting.metavar:
        parser.add_argument(
            setting.flag, dest=setting.name, action="store_const", const=True, default=None, help=setting.help
        )
    else:
        parser.add_argument(
            setting.flag, dest=setting.name, metavar=setting.metavar, default=None, help=setting.help
        )


# ---------------------------------------------------------------- progress


@dataclass(slots=True)
class Progress:
    """Seconds of each room, and on a terminal one line that says what is happening."""

    stream: TextIO
    seconds: dict[str, float] = field(default_factory=dict)
    began: float = field(default_factory=time.perf_counter)
    shown: bool = False
    cells: int = 0

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        self.show(name)
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start

    def ran(self, result: ProgramResult) -> None:
        """Told of each note whose cells are done."""
        self.cells += len(result.results)
        self.show(f"cells: {self.cells} done, last those of {result.slug}")

    def show(self, text: str) -> None:
        # Only where a person waits, and only once it is clear that they do.
        if self.stream.isatty() and os.environ.get("TERM") != "dumb":
            if time.perf_counter() - self.began > 0.3:
                self.stream.write(f"\r\x1b[K{text[:100]}")
                self.stream.flush()
                self.shown = True

    def clear(self) -> None:
        if self.shown:
            self.stream.write("\r\x1b[K")
            self.shown = False

    def total(self) -> float:
        return time.perf_counter() - self.began


# ---------------------------------------------------------------- commands


@dataclass(frozen=True, slots=True)
class Built:
    """A site in memory, and what it took."""

    site: Site
    sources: dict[str, str]


def _construct(loaded: config.Loaded, progress: Progress) -> Built:
    """Everything of a build but writing it."""
    from generator import pipeline  # here, so that an unchanged garden imports no parser and no template

    settings, options = loaded.config, loaded.options
    jobs = options.jobs or memo.available_jobs()
    with progress.stage("disk"):
        vault = disk.scan(loaded.notes_dir, settings, cache=loaded.cache_dir, exclude=(loaded.out_dir,))
    store = memo.SqliteStore(loaded.cache_dir / "memo.sqlite")
    call: memo.Caller = memo.Plain(jobs) if options.fresh else memo.Memo(store, jobs=jobs)
    executor = _executor(loaded, jobs)
    try:
        site = pipeline.build(vault, settings, call, memo.Plain(jobs), executor, progress.stage, progress.ran)
    finally:
        store.close()
    return Built(site, {source.path: source.text for source in vault.sources})


def _executor(loaded: config.Loaded, jobs: int) -> Any:
    from generator.execution import choose

    return choose(loaded, jobs)


def _build(loaded: config.Loaded, parsed: argparse.Namespace) -> int:
    return _make(loaded, write=True)


def _check(loaded: config.Loaded, parsed: argparse.Namespace) -> int:
    return _make(loaded, write=False)


def _make(loaded: config.Loaded, write: bool) -> int:
    progress = Progress(sys.stderr)
    with disk.lock(loaded.cache_dir):
        built = _construct(loaded, progress)
        tree_hash, files = "", len(built.site.files) + len(built.site.copies)
        if write:
            with progress.stage("publish"):
                published = disk.publish(loaded.out_dir, built.site, loaded.notes_dir)
            tree_hash = published.tree_hash
    progress.clear()
    where = {"dir": _relative(loaded.out_dir), "files": files, "tree_hash": tree_hash}
    _report(loaded, built, progress, where)
    return checks.exit_code(built.site.problems, loaded.options.strict)


def _serve(loaded: config.Loaded, parsed: argparse.Namespace) -> int:
    from generator import serve

    _make(loaded, write=True)
    watched = [loaded.notes_dir, *([loaded.file] if loaded.file else [])]
    _say(f"http://127.0.0.1:{parsed.port}/ shows the garden; Ctrl-C ends it")
    try:
        serve.serve(
            loaded.out_dir,
            parsed.port,
            watched,
            (loaded.out_dir, loaded.cache_dir),
            lambda: _rebuild(loaded),
        )
    except KeyboardInterrupt:
        return 0
    except OSError as error:
        raise config.ConfigError(
            f"port {parsed.port} cannot be used: {error.strerror}; try --port with another number"
        ) from error
    return 0


def _rebuild(loaded: config.Loaded) -> None:
    """Build again; what goes wrong is said, and the last good site stays."""
    try:
        _make(loaded, write=True)
    except (config.ConfigError, disk.Locked) as error:
        _say(f"error: {error}")


# ---------------------------------------------------------------- reports


def _report(loaded: config.Loaded, built: Built, progress: Progress, where: dict[str, object]) -> None:
    problems = built.site.problems
    folder = _relative(loaded.notes_dir)
    kind = loaded.options.format
    if kind == "json":
        sys.stdout.write(checks.as_json(_data(built, progress, where)) + "\n")
    elif kind == "junit":
        sys.stdout.write(checks.junit(problems, list(built.sources), folder))
    elif kind == "github":
        sys.stdout.write("".join(checks.github(one, folder) + "\n" for one in problems))
    else:
        for one in problems:
            line = _line(built.sources.get(one.path, ""), one.span.line)
            sys.stdout.write(checks.describe(one, folder, line, _coloured(sys.stdout)) + "\n")
    sys.stdout.flush()
    _say(_closing(built, progress, where))


def _line(text: str, number: int) -> str:
    lines = text.split("\n") if number > 0 else []
    return lines[number - 1] if number <= len(lines) and lines else ""


def _data(built: Built, progress: Progress, where: dict[str, object]) -> dict[str, object]:
    """The JSON report of the contract."""
    return {
        "schema_version": 1,
        "site": where,
        **built.site.report,
        "problems": [checks.as_data(one) for one in built.site.problems],
        "timings": {name: round(seconds, 4) for name, seconds in progress.seconds.items()},
    }


def _closing(built: Built, progress: Progress, where: dict[str, object]) -> str:
    report: Any = built.site.report
    cells = report["cells"]
    grades = [f"{n} {grade}" for grade in reversed(GRADES) if (n := sum(c["grade"] == grade for c in cells))]
    executed = sum(bool(cell["executed"]) for cell in cells)
    said = [f"{len(report['notes'])} notes, {report['links']['total']} links"]
    if cells:
        said.append(f"{len(cells)} cells ({', '.join(grades)}; {executed} executed now)")
    said.append(_counted(built.site.problems))
    goal = f" → {where['dir']}/" if where["tree_hash"] else ""
    return f"{', '.join(said)}{goal} in {progress.total():.2f} s"


def _counted(problems: Sequence[Problem]) -> str:
    errors = sum(one.severity == "error" for one in problems)
    warnings = sum(one.severity == "warning" for one in problems)
    said = [
        f"{n} {word}{'' if n == 1 else 's'}" for n, word in ((errors, "error"), (warnings, "warning")) if n
    ]
    return " and ".join(said) or "no problems"


def _relative(path: Path) -> str:
    """A path as the person in front of the terminal would write it."""
    try:
        return os.path.relpath(path)
    except ValueError:  # another drive
        return str(path)


def _coloured(stream: TextIO) -> bool:
    """Colours only on a terminal, and never against the wish of https://no-color.org."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"

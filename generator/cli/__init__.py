"""The command line: arguments in, exit code out. Everything that a person sees of a build is said here.

`arguments` reads them, `building` makes a site and remembers its outcome, `reports` says what happened,
`progress` what is happening. Problems go to standard output in the format asked for; progress and the
closing line go to standard error.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from generator import config, disk
from generator.cli import building, reports
from generator.cli.arguments import Arguments, read
from generator.cli.progress import Progress
from generator.execution.protocol import Unavailable

EXIT_USAGE, EXIT_ENVIRONMENT, EXIT_LOCKED, EXIT_BUG, EXIT_INTERRUPTED = 2, 4, 5, 70, 130


def main(arguments: Sequence[str] | None = None, home: Path | None = None) -> int:
    """Run one command; gives the exit code. `home` is the folder whose garden is meant if none is named."""
    try:
        given = list(sys.argv[1:] if arguments is None else arguments)
        asked = read(given)
        if asked.command == "completion":
            from generator.cli import completing

            return completing.run(asked)
        loaded = config.load(asked.config, asked.notes, asked.flags, os.environ, home or Path.cwd())
        _finish_what_was_cut_short(loaded)
        if asked.command == "serve":  # The only one that outlives its settings.
            from generator.cli import serving

            return serving.run(loaded, given, home or Path.cwd(), asked.port)
        return _COMMANDS[asked.command](loaded, asked)
    except KeyboardInterrupt:
        reports.say("interrupted; the site is as it was")
        return EXIT_INTERRUPTED
    except (config.ConfigError, disk.Locked, disk.PublishError, Unavailable) as error:
        reports.say(f"error: {error}")
        return _exit_code(error)
    except BrokenPipeError:
        # Whoever read the report has gone; Python would complain once more when it closes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception:
        import traceback

        traceback.print_exc()
        reports.say("this is a bug of the generator, not of your notes; the site is as it was")
        return EXIT_BUG


def _finish_what_was_cut_short(loaded: config.Loaded) -> None:
    """A renaming that was interrupted is finished first: half of one is nobody's garden."""
    if disk.unfinished(loaded.notes_dir):
        with disk.lock(loaded.cache_dir):
            try:
                new = disk.finish(loaded.notes_dir)
            except OSError as error:
                why = error.strerror or str(error)
                raise config.ConfigError(
                    f"a renaming that was cut short cannot be finished: {why}"
                ) from error
        if new:
            reports.say(f"a renaming that was cut short is finished: {new}")


def _exit_code(error: Exception) -> int:
    if isinstance(error, config.ConfigError):
        return EXIT_USAGE
    return EXIT_LOCKED if isinstance(error, disk.Locked) else EXIT_ENVIRONMENT


# ---------------------------------------------------------------- commands


def _build(loaded: config.Loaded, asked: Arguments) -> int:
    return _make(loaded, write=True)


def _check(loaded: config.Loaded, asked: Arguments) -> int:
    from generator.cli import checking

    return checking.run(loaded, asked, Progress(sys.stderr))


def _make(loaded: config.Loaded, write: bool) -> int:
    progress = Progress(sys.stderr)
    try:
        outcome = building.outcome(loaded, progress, write)
    finally:
        progress.clear()
    return reports.report(loaded, outcome, progress)


def _verify(loaded: config.Loaded, asked: Arguments) -> int:
    """Run the cells that are named again; without a name, hold a built site against its manifest."""
    if asked.names:
        from generator.cli import verifying

        return verifying.run(loaded, asked.names, Progress(sys.stderr))
    differences = disk.verify(loaded.out_dir)
    for difference in differences:
        sys.stdout.write(difference + "\n")
    reports.say(f"{len(differences)} differences" if differences else "the site is what its manifest says")
    return 1 if differences else 0


def _explain(loaded: config.Loaded, asked: Arguments) -> int:
    """Of each note with cells, whether its results are valid or what has changed."""
    reasons = [pair for pair in building.explained(loaded) if building.is_meant(pair[0], asked.names)]
    for path, reason in reasons:
        sys.stdout.write(
            f"{path}: {'its cells would run: ' + reason if reason else 'its results are valid'}\n"
        )
    if not reasons:
        raise building.nobody(asked.names)
    return 0


def _audit(loaded: config.Loaded, asked: Arguments) -> int:
    from generator.cli import promoting

    return promoting.audit(loaded, asked, Progress(sys.stderr))


def _accept(loaded: config.Loaded, asked: Arguments) -> int:
    from generator.cli import promoting

    return promoting.accept(loaded, asked, Progress(sys.stderr))


def _new(loaded: config.Loaded, asked: Arguments) -> int:
    from generator.cli import writing

    return writing.new(loaded, asked)


def _daily(loaded: config.Loaded, asked: Arguments) -> int:
    from generator.cli import writing

    return writing.daily(loaded, asked)


def _rename(loaded: config.Loaded, asked: Arguments) -> int:
    from generator.cli import renaming

    return renaming.run(loaded, asked, Progress(sys.stderr))


def _stats(loaded: config.Loaded, asked: Arguments) -> int:
    from generator.cli import counting

    return counting.run(loaded, Progress(sys.stderr))


_COMMANDS: dict[str, Callable[[config.Loaded, Arguments], int]] = {
    "build": _build,
    "check": _check,
    "verify": _verify,
    "explain": _explain,
    "audit": _audit,
    "accept": _accept,
    "new": _new,
    "daily": _daily,
    "rename": _rename,
    "stats": _stats,
}

"""Saying what happened: problems and reports to standard output, one closing line to standard error."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

from generator import checks, config
from generator.cli import changes
from generator.cli.building import Outcome
from generator.cli.progress import Progress
from generator.model import GRADES, Problem


def say(text: str) -> None:
    """One line to standard error."""
    sys.stderr.write(f"build.py: {text}\n")


def report(loaded: config.Loaded, outcome: Outcome, progress: Progress) -> int:
    """Report in the format asked for; gives the exit code."""
    data = _data(loaded, outcome, progress)
    sys.stdout.write(_formatted(loaded, outcome, data))
    sys.stdout.flush()
    say(_closing(data, outcome, progress))
    return checks.exit_code(outcome.problems, loaded.options.strict)


def _formatted(loaded: config.Loaded, outcome: Outcome, data: dict[str, Any]) -> str:
    folder = relative(loaded.notes_dir)
    kind = loaded.options.format
    if kind == "json":
        return checks.as_json(data) + "\n"
    if kind == "junit":
        from generator.cli import junit  # here: nobody else pays for XML

        return junit.document(data, outcome.problems, folder, loaded.options.strict)
    if kind == "github":
        return "".join(checks.github(one, folder) + "\n" for one in outcome.problems)
    colour = _coloured(sys.stdout)
    pairs = zip(outcome.problems, outcome.excerpts, strict=True)
    said = [checks.describe(one, folder, line, colour) for one, line in pairs]
    said += [changes.described(one, folder) for one in outcome.changes]
    return "".join(line + "\n" for line in said)


def _data(loaded: config.Loaded, outcome: Outcome, progress: Progress) -> dict[str, Any]:
    """The JSON report of the contract."""
    return {
        "schema_version": 1,
        "site": {"dir": relative(loaded.out_dir), "files": outcome.files, "tree_hash": outcome.tree_hash},
        **json.loads(outcome.report),
        "problems": [checks.as_data(one) for one in outcome.problems],
        "changes": list(changes.as_data(outcome.changes)),
        "timings": {name: round(seconds, 4) for name, seconds in progress.seconds.items()},
    }


def _closing(data: dict[str, Any], outcome: Outcome, progress: Progress) -> str:
    cells = data["cells"]
    grades = [f"{n} {grade}" for grade in reversed(GRADES) if (n := sum(c["grade"] == grade for c in cells))]
    said = [_count(len(data["notes"]), "note"), _count(data["links"]["total"], "link")]
    if cells:
        executed = sum(bool(cell["executed"]) for cell in cells)
        said.append(f"{_count(len(cells), 'cell')} ({', '.join(grades)}; {executed} executed now)")
    said.append(_counted(outcome.problems))
    goal = f" → {data['site']['dir']}/" if outcome.tree_hash else ""
    return f"{', '.join(said)}{goal} in {progress.total():.2f} s"


def _counted(problems: Sequence[Problem]) -> str:
    numbers = {kind: sum(one.severity == kind for one in problems) for kind in ("error", "warning")}
    return " and ".join(_count(n, kind) for kind, n in numbers.items() if n) or "no problems"


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" + ("" if n == 1 else "s")


def relative(path: Path) -> str:
    """A path as the person in front of the terminal would write it."""
    try:
        return Path(os.path.relpath(path)).as_posix()
    except ValueError:  # another drive
        return path.as_posix()


def _coloured(stream: TextIO) -> bool:
    """Colours only on a terminal, and never against the wish of https://no-color.org."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"

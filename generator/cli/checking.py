"""`check`: everything that a build would say, what a gardener looks after, and of all that only what is new.

A baseline is a file that lists problems which are known. They are neither told nor counted, so that a garden
with a long history can have every new problem fail. A problem is known by its code, its note and its words,
not by its line: text above it may grow.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from generator import checks, config, disk, doctor, pipeline
from generator.cli import building, reports
from generator.cli.arguments import Arguments
from generator.cli.progress import Progress
from generator.model import Problem

_LINE = re.compile(r"\bline \d+")
_Key = tuple[str, str, str]
_Told = tuple[Problem, str]  # with the line that it is about
_SHOWN = 20  # of the notes that are asked for
_PLACES = 5


@dataclass(frozen=True, slots=True)
class _Known:
    """A baseline: how often each problem is known."""

    file: Path
    problems: Counter[_Key]


def run(loaded: config.Loaded, asked: Arguments, progress: Progress) -> int:
    """Check the garden; gives the exit code."""
    if asked.update_baseline and asked.baseline is None:
        raise config.ConfigError("--update-baseline needs a file to write: --baseline FILE")
    known = _baseline(asked.baseline, asked.update_baseline) if asked.baseline else None
    try:
        outcome = building.outcome(loaded, progress, write=False)
        with building.opened(loaded) as store:
            all_of_it = building.everything(loaded, store)
            garden = building.garden(loaded, store, all_of_it.vault)
    finally:
        progress.clear()
    edges, missing = pipeline.connections(garden)
    wanted = doctor.demand(garden, missing)
    texts = {source.path: source.text for source in all_of_it.sources}
    found = doctor.problems(garden, all_of_it.parsed, edges, texts)
    pairs = [*zip(outcome.problems, outcome.excerpts, strict=True)]
    pairs += [(one, _excerpt(texts.get(one.path, ""), one.span.line)) for one in found]
    pairs.sort(key=lambda pair: (pair[0].path, pair[0].span.line, pair[0].span.col, pair[0].code))
    report = json.loads(outcome.report)
    report["doctor"] = doctor.as_data(wanted, found, garden.assets)
    if asked.update_baseline and asked.baseline:
        return _update(asked.baseline, [one for one, _ in pairs])
    if known:
        pairs, report["baseline"] = _new(pairs, known)
    told = replace(
        outcome,
        report=checks.as_json(report),
        problems=tuple(one for one, _ in pairs),
        excerpts=tuple(line for _, line in pairs),
    )
    code = reports.report(loaded, told, progress)
    if loaded.options.format == "text":
        sys.stdout.write("".join(_wanted(wanted)))
    if known:
        _say_known(report["baseline"], known)
    return code


def _excerpt(text: str, line: int) -> str:
    lines = text.split("\n")
    return lines[line - 1] if 0 < line <= len(lines) else ""


def _wanted(wanted: Sequence[doctor.Demand]) -> Iterable[str]:
    """Notes to be written, those first that are asked for most."""
    if wanted:
        yield "to be written, the most asked for first:\n"
    for one in wanted[:_SHOWN]:
        places = ", ".join(f"{path}:{line}" for path, line in one.places[:_PLACES])
        more = f" and {len(one.places) - _PLACES} more" if len(one.places) > _PLACES else ""
        name = "".join(c if c.isprintable() else " " for c in one.target)
        yield f"  {len(one.places):4}  {name}  ({places}{more})\n"
    if len(wanted) > _SHOWN:
        yield f"  and {len(wanted) - _SHOWN} more; --format json has all of them\n"


# ---------------------------------------------------------------- what is known


def _key(problem: Problem) -> _Key:
    return problem.code, problem.path, _LINE.sub("line N", problem.message)


def _baseline(file: Path, may_be_missing: bool) -> _Known | None:
    try:
        data = disk.document(file)
    except OSError as error:
        raise config.ConfigError(f"the baseline {file} cannot be read: {error.strerror}") from error
    if data is None:
        if may_be_missing:
            return None
        raise config.ConfigError(f"there is no baseline {file}; --update-baseline writes one")
    try:
        rows = json.loads(data)["problems"]
        problems = Counter(
            {(str(row["code"]), str(row["path"]), str(row["message"])): int(row["count"]) for row in rows}
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        if may_be_missing:
            return None
        raise config.ConfigError(
            f"{file} is no baseline; --update-baseline writes a new one in its place"
        ) from None
    return _Known(file, problems)


def _new(pairs: list[_Told], known: _Known) -> tuple[list[_Told], dict[str, object]]:
    """The problems that are not known, and how many are, and how many that are known are no more."""
    left = known.problems.copy()
    new = []
    for one, line in pairs:
        if left[_key(one)] > 0:
            left[_key(one)] -= 1
        else:
            new.append((one, line))
    data = {"file": reports.relative(known.file), "known": len(pairs) - len(new), "gone": sum(left.values())}
    return new, data


def _say_known(data: dict[str, object], known: _Known) -> None:
    reports.say(f"{data['known']} problems are known and were passed over ({data['file']})")
    if data["gone"]:
        reports.say(f"{data['gone']} that were known are gone: --update-baseline forgets them")


def _update(file: Path, problems: Sequence[Problem]) -> int:
    counted = sorted(Counter(map(_key, problems)).items())
    rows = [
        {"code": code, "path": path, "message": message, "count": count}
        for (code, path, message), count in counted
    ]
    text = checks.as_json({"schema_version": 1, "problems": rows}) + "\n"
    try:
        disk.write(file, text.encode())
    except OSError as error:
        raise config.ConfigError(f"the baseline {file} cannot be written: {error.strerror}") from error
    reports.say(f"{len(problems)} problems are known from now on, in {reports.relative(file)}")
    return 0

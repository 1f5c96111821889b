"""How well derivatives are checked: false alarms, wrong derivatives found, and what it costs.

    python -m tests.bench gradcheck [--docs FOLDER] [--notes FOLDER] [--list] [--cost]

`--docs` is a folder of MyST notebooks, such as `docs/` of a copy of JAX; every `.md` file in it that
differentiates is run, with cells that fail on their own left out. `--notes` is a garden (this one, if it is
not said). Then come derivatives that are wrong on purpose, each beside its right counterpart, and in the end
what checking costs, and what an audit does. `--list` names each check, `--cost` says only the last.
"""

from __future__ import annotations

import argparse
import re
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from generator import markdown
from generator.execution.audit import elsewhere
from generator.execution.protocol import Environment, Limits
from generator.execution.zygote import Zygote
from generator.model import Cell, Check, Program, ProgramResult, Slug, Source
from tests.bench import wrong

NOTES = Path(__file__).parents[2] / "notes"
LIMITS = Limits(cell_seconds=120, note_seconds=900)
_DIFFERENTIATES = re.compile(r"\b(grad|value_and_grad|jacfwd|jacrev|jacobian|hessian|jvp|vjp|linearize)\(")
_TRIES = 8
_TOGETHER = 7
_COSTLY = 4


@dataclass(frozen=True, slots=True)
class Found:
    """One check, and where it was made."""

    note: str
    code: str
    check: Check


def programs(folder: Path, plain: str) -> Iterator[Program]:
    """The programs of the notes of a folder that differentiate."""
    for path in sorted(folder.rglob("*.md")):
        text = path.read_text()
        if not _DIFFERENTIATES.search(text):
            continue
        name = path.relative_to(folder).as_posix()
        dialect = markdown.Dialect("run" if plain == "run" else "show")
        note = markdown.parse(Source(name, text), dialect).note
        cells = tuple(cell for cell in note.cells if cell.language == "python")
        if any(_DIFFERENTIATES.search(cell.code) for cell in cells):
            yield Program(note.slug, name, cells, tuple(range(1, len(cells) + 1)))


def run(executor: Zygote, program: Program) -> tuple[Program, ProgramResult]:
    """Run a program; cells that fail are left out, as far as a few tries go."""
    for _ in range(_TRIES):
        result = executor.run([program])[0]
        bad = next((i for i, r in enumerate(result.results) if r.status not in ("ok", "skipped")), None)
        if bad is None or program.cells[bad].options.raises:
            break
        cell = program.cells[bad]
        left_out = replace(cell, options=replace(cell.options, skip="it fails here", raises=""))
        program = replace(program, cells=(*program.cells[:bad], left_out, *program.cells[bad + 1 :]))
    return program, result


def checks(program: Program, result: ProgramResult) -> Iterator[Found]:
    for cell, outcome in zip(program.cells, result.results, strict=True):
        for check in outcome.checks:
            if check.kind == "gradient":
                lines = cell.code.splitlines()
                code = lines[check.line - 1].strip() if 0 < check.line <= len(lines) else ""
                yield Found(program.path, code, check)


def reason(check: Check) -> str:
    """Why a check was skipped, without what is particular to it."""
    return re.sub(r"\(.*\)|[\d.e+-]*\d[\d.e+-]* ?[%A-Z]*", "…", check.why)[:90]


def table(found: Iterable[Found], title: str, every: bool) -> None:
    found = list(found)
    by_note: dict[str, Counter[str]] = {}
    for one in found:
        by_note.setdefault(one.note, Counter())[one.check.outcome] += 1
    print(f"\n### {title}\n\n| note | held | refuted | skipped |\n| --- | --- | --- | --- |")
    for note, counts in by_note.items():
        print(f"| {note} | {counts['held']} | {counts['failed']} | {counts['skipped']} |")
    total = Counter(one.check.outcome for one in found)
    print(f"| all {len(by_note)} | {total['held']} | {total['failed']} | {total['skipped']} |\n")
    for why, count in Counter(reason(o.check) for o in found if o.check.outcome == "skipped").most_common():
        print(f"- skipped {count}: {why}")
    for one in found:
        if one.check.outcome == "failed" or every:
            c = one.check
            print(f"- {c.outcome}: {one.note}: `{one.code}` {c.what}: {c.actual} {c.error} {c.why}")


def of_folder(folder: Path, plain: str, cache: str) -> Iterator[Found]:
    with Zygote(Environment(str(folder), cache, 1, LIMITS, gradcheck="fail")) as executor:
        for program in programs(folder, plain):
            begun = time.monotonic()
            final, result = run(executor, program)
            out = Counter(r.status for r in result.results)
            print(f"{program.path}: {dict(out)} {time.monotonic() - begun:.0f} s", file=sys.stderr)
            yield from checks(final, result)


def of_seeds(cache: str) -> None:
    """What is said of wrong derivatives, and of the right ones that they were made from."""
    seeds = wrong.seeds()
    said: dict[tuple[str, str], Counter[str]] = {}
    missed = []
    with Zygote(Environment("", cache, 1, LIMITS, gradcheck="fail")) as executor:
        for side in ("right", "wrong"):
            for first in range(0, len(seeds), _TOGETHER):
                part = seeds[first : first + _TOGETHER]
                for seed, check in zip(part, _said(executor, [getattr(s, side) for s in part]), strict=True):
                    said.setdefault((seed.sort, side), Counter())[check.outcome] += 1
                    if check.outcome != {"right": "held", "wrong": "failed"}[side]:
                        missed.append(f"- {side}: {seed.sort}: {seed.name}: {check.outcome}: {check.why}")
    print("\n### seeded mistakes\n\n| mistake | seeds | found | reported | held | right ones refuted |")
    print("| --- | --- | --- | --- | --- | --- |")
    for sort in dict.fromkeys(seed.sort for seed in seeds):
        bad, good = said[sort, "wrong"], said[sort, "right"]
        row = (bad.total(), bad["failed"], bad["skipped"], bad["held"], good["failed"])
        print(f"| {sort} | {' | '.join(map(str, row))} |")
    print(*missed, sep="\n")


def _said(executor: Zygote, codes: list[str]) -> Iterator[Check]:
    cells = tuple(Cell(code, f"seed-{n}") for n, code in enumerate((wrong.HEAD, *codes)))
    result = executor.run([Program(Slug("seeds"), "seeds.md", cells, (1,) * len(cells))])[0]
    nothing = Check("gradient", "", "skipped", why="no derivative was seen")
    for outcome in result.results[1:]:
        assert outcome.status == "ok", outcome
        order = ("failed", "skipped", "held")
        yield min(outcome.checks or (nothing,), key=lambda check: order.index(check.outcome))


def of_cost(folder: Path) -> None:
    """Time of the processor that the notes of a folder take, with and without checks, cold and warm; and for
    an audit, which runs them in other surroundings as well."""
    derived = sorted(programs(folder, "run"), key=_derivatives, reverse=True)[:_COSTLY]
    if not derived:
        return
    print(f"\n### cost\n\n{', '.join(program.path for program in derived)}\n")
    print("| compilation cache | without, s | with, s | × | derivatives |\n| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as cache:
        plain, checked = Path(cache, "plain"), Path(cache, "checked")
        for state in ("cold", "warm"):
            without, _ = _cost(Environment(str(folder), str(plain), 1, LIMITS), derived)
            with_, count = _cost(Environment(str(folder), str(checked), 1, LIMITS, gradcheck="fail"), derived)
            print(f"| {state} | {without:.1f} | {with_:.1f} | {with_ / without:.2f} | {count} |")
    print("\n| compilation cache | once, s | audit, s | × | surroundings |\n| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as cache:
        here = Environment(str(folder), cache, 1, LIMITS, gradcheck="fail")
        everywhere = [here, *(there for _, there in elsewhere(here))]
        for state in ("cold", "warm"):
            once, *others = [_cost(one, derived)[0] for one in everywhere]
            whole = once + sum(others)
            print(f"| {state} | {once:.1f} | {whole:.1f} | {whole / once:.2f} | {len(everywhere)} |")


def _derivatives(program: Program) -> int:
    return sum(len(_DIFFERENTIATES.findall(cell.code)) for cell in program.cells)


def _cost(environment: Environment, derived: list[Program]) -> tuple[float, int]:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with Zygote(environment) as executor:
        results = executor.run(derived)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = sum(len(outcome.checks) for result in results for outcome in result.results)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, found


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--docs", type=Path)
    parser.add_argument("--notes", type=Path, default=NOTES)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--cost", action="store_true")
    given = parser.parse_args(arguments)
    if given.cost:
        of_cost(given.notes)
        return
    with tempfile.TemporaryDirectory() as cache:
        if given.docs:
            table(of_folder(given.docs, "show", cache), "documentation", given.list)
        table(of_folder(given.notes, "run", cache), "garden", given.list)
        of_seeds(cache)
    of_cost(given.notes)


if __name__ == "__main__":
    main()

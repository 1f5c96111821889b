"""`audit` and `accept`: which digits are stable, and what of a run an author stands behind.

Both run the cells of notes in the usual surroundings and in others, and keep what they found beside the
notes.
"""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from generator import checks, config, disk, memo, pipeline, promote
from generator.cli import building, cells, reports
from generator.cli.arguments import Arguments
from generator.cli.progress import Progress
from generator.execution.audit import Elsewhere, audited, elsewhere
from generator.execution.cached import Mode
from generator.execution.entry import Entry, Parts
from generator.execution.evidence import FOLDER, Evidence, acceptance, name_of, referenced, to_files
from generator.execution.expectations import expectations
from generator.execution.verify import judge
from generator.model import Program, ProgramResult
from generator.promote import Proposal, Refusal, applied

_FAILED = checks.CELL_FAILED


@dataclass(frozen=True, slots=True)
class _Garden:
    """The notes as they are now: their programs, those that are meant, and their text by path."""

    programs: tuple[Program, ...]
    meant: tuple[Program, ...]
    texts: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Runs:
    """What programs gave, in the usual surroundings and in others, by the names of those; and what can be
    kept."""

    usual: tuple[ProgramResult, ...]
    others: tuple[tuple[str, tuple[ProgramResult, ...]], ...]
    kept: tuple[tuple[Parts, Entry] | None, ...]

    def others_of(self, i: int) -> list[Elsewhere]:
        return [(name, results[i]) for name, results in self.others]


class _Work:
    """A garden that is being worked on, under its lock."""

    def __init__(self, loaded: config.Loaded, store: memo.SqliteStore, progress: Progress) -> None:
        self.loaded, self.store, self.progress = loaded, store, progress
        self.folder = loaded.notes_dir / FOLDER

    def read(self, names: tuple[str, ...]) -> _Garden:
        vault = building.scanned(self.loaded, self.store)
        parsed, _ = pipeline.read(vault, self.loaded.config, memo.Memo(self.store))
        programs = pipeline.programs_of(pipeline.resolved(parsed, vault))
        meant = tuple(one for one in programs if building.is_meant(one.path, names))
        if not meant:
            raise building.nobody(names)
        return _Garden(programs, meant, {source.path: source.text for source in vault.sources})

    def usual(self, programs: Sequence[Program], mode: Mode) -> _Runs:
        """Run programs in the usual surroundings."""
        here = cells.environment(self.loaded, self.loaded.options.jobs or memo.available_jobs())
        usual, kept = cells.run(self.loaded, self.store, programs, here, mode, self.progress.ran)
        return _Runs(usual, (), kept)

    def everywhere(self, programs: Sequence[Program], mode: Mode) -> _Runs:
        """Run programs in the usual surroundings, and in all others that this machine has to offer."""
        runs = self.usual(programs, mode)
        here = cells.environment(self.loaded, self.loaded.options.jobs or memo.available_jobs())
        others = []
        for name, there in elsewhere(here):
            self.progress.show(f"under {name}")
            results, _ = cells.run(self.loaded, self.store, programs, there, mode, self.progress.ran)
            others.append((name, results))
        return replace(runs, others=tuple(others))

    def keep(
        self, garden: _Garden, programs: Sequence[Program], runs: _Runs, new: Mapping[str, set[str]]
    ) -> int:
        """Keep evidence of runs beside the notes; `new` are marks of what was accepted now, by path. Evidence
        of notes that are gone goes too. How many files were changed."""
        lookup = cells.evidence(self.loaded)
        files: dict[str, bytes] = {}
        for i, (program, kept) in enumerate(zip(programs, runs.kept, strict=True)):
            if kept is None:
                continue
            old = lookup(program.path)
            marks = new.get(program.path, set()) | set(old.accepted if old else ())
            parts, entry = kept
            result = entry.run.result
            if runs.others:
                result = audited(program.cells, runs.usual[i], runs.others_of(i))
            elif old:
                audits = (one.audit for one in runs.usual[i].results)
                results = (replace(r, audit=a) for r, a in zip(result.results, audits, strict=True))
                result = replace(result, results=tuple(results))
            result = replace(result, results=tuple(replace(one, accepted=()) for one in result.results))
            entry = replace(entry, run=replace(entry.run, result=result))
            accepted = tuple(sorted(marks & _possible(program, parts)))
            files |= to_files(program.path, Evidence(parts, entry, accepted))
        return disk.keep(self.folder, files, self._unwanted(garden, files))

    def _unwanted(self, garden: _Garden, files: Mapping[str, bytes]) -> Callable[[str], bool]:
        """Which files of the evidence nothing refers to any more."""
        read = disk.reader(self.folder)
        wanted = {name_of(program.path) for program in garden.programs}
        for name in wanted:
            data = files.get(name) or read(name)
            wanted = wanted | (referenced(data) if data else set())
        return lambda name: name.endswith((".json", ".txt", ".svg")) and name not in wanted


def _possible(program: Program, parts: Parts) -> set[str]:
    """The marks that the expectations of a note can have as they are now."""
    found = set()
    for cell, syntax in zip(program.cells, parts.cells, strict=True):
        texts = [one.text for one in expectations(cell.code)]
        found |= {acceptance(syntax, text) for text in (*texts, *([cell.expected] if cell.expected else []))}
    return found


@contextmanager
def _work(loaded: config.Loaded, progress: Progress) -> Iterator[_Work]:
    with disk.lock(loaded.cache_dir):
        store = memo.SqliteStore(loaded.cache_dir / "memo.sqlite")
        try:
            yield _Work(loaded, store, progress)
        finally:
            progress.clear()
            store.close()


def _place(loaded: config.Loaded, path: str, line: int) -> str:
    return f"{reports.relative(loaded.notes_dir)}/{path}:{line}"


# ---------------------------------------------------------------- audit


def audit(loaded: config.Loaded, asked: Arguments, progress: Progress) -> int:
    """Run notes anew, here and in other surroundings; say of each cell which digits survived. The exit code
    is that of a failed cell where one fails anywhere."""
    with _work(loaded, progress) as work:
        garden = work.read(asked.names)
        runs = work.everywhere(garden.meant, "fresh")
        progress.clear()
        failed = False
        for i, program in enumerate(garden.meant):
            result = audited(program.cells, runs.usual[i], runs.others_of(i))
            for k, line in enumerate(_audit_lines(program, result)):
                failed = failed or ": fails" in line.split("\n")[0]
                sys.stdout.write(f"{_place(loaded, program.path, program.lines[k])}: {line}\n")
        if not asked.dry_run:
            changed = work.keep(garden, garden.meant, runs, {})
            reports.say(f"{changed} files changed in {reports.relative(work.folder)}/")
    return _FAILED if failed else 0


def _audit_lines(program: Program, result: ProgramResult) -> Iterator[str]:
    for cell, one in zip(program.cells, result.results, strict=True):
        verdict = judge(cell, one)
        found = one.audit
        if found is None:
            yield f"{cell.label}: {'fails' if verdict.grade == 'failed' else verdict.grade}: {one.message}"
        elif verdict.grade == "failed" or found.why:
            yield f"{cell.label}: fails: {found.why or verdict.message}"
        elif found.unstable:
            text = "; ".join(sorted({one.why for one in found.unstable})[:5])
            yield f"{cell.label}: {len(found.unstable)} of {found.numbers} numbers are not stable: {text}"
        else:
            yield f"{cell.label}: {verdict.grade}" + (f", numbers: {found.numbers}" if found.numbers else "")


# ---------------------------------------------------------------- accept


def accept(loaded: config.Loaded, asked: Arguments, progress: Progress) -> int:
    """Write what came out into notes, after showing it. The exit code is that of a failed cell where
    something that does not match has to stay."""
    _may_accept(asked)
    with _work(loaded, progress) as work:
        garden = work.read(asked.names)
        decided = _decide(work, garden, asked.new)
        progress.clear()
        texts = {path: _edited(garden.texts[path], found) for path, found in decided.items()}
        _show(loaded, garden, decided, texts)
        proposals = sum(isinstance(one, Proposal) for found in decided.values() for one in found)
        stays = any(isinstance(one, Refusal) and not one.new for found in decided.values() for one in found)
        if not proposals:
            reports.say("nothing to write")
        if asked.dry_run:
            return _FAILED if stays else 0
        if proposals and not asked.yes and not _agreed(proposals, len(texts)):
            reports.say("nothing was written")
            stays = stays or any(isinstance(x, Proposal) and x.old for one in decided.values() for x in one)
            decided = {}
        for path, found in decided.items():
            stays = not _write(loaded, path, garden.texts[path], found) or stays
        if asked.evidence or (proposals and decided):
            _keep(work, asked, decided)
    return _FAILED if stays else 0


def _write(loaded: config.Loaded, path: str, text: str, decided: Sequence[promote.Decision]) -> bool:
    """Write what was decided into a note whose text was `text`; whether that could be done."""
    if _edited(text, decided) == text:
        return True
    why = disk.rewrite(loaded.notes_dir, path, _change(text, decided))
    if why:
        reports.say(f"error: {why}")
    return not why


def _may_accept(asked: Arguments) -> None:
    if os.environ.get("CI", "").lower() not in ("", "0", "false"):
        raise config.ConfigError(
            "accept changes notes, and under CI nobody looks at what it changes; run it where its author does"
        )
    if not asked.dry_run and not asked.yes and not sys.stdin.isatty() and not asked.evidence:
        raise config.ConfigError(
            "accept asks before it writes, and there is no terminal to ask at; try --dry-run, or --yes"
        )


def _decide(work: _Work, garden: _Garden, new: bool) -> dict[str, tuple[promote.Decision, ...]]:
    """What is to become of each note that is meant, by path; those of which nothing is are left out."""
    programs = [replace(one, cells=promote.wanted(one.cells)) if new else one for one in garden.meant]
    first = work.usual(programs, "normal")
    concerned = [i for i in range(len(programs)) if _decisions(garden, garden.meant[i], first.usual[i], [])]
    runs = work.everywhere([programs[i] for i in concerned], "normal") if concerned else first
    found = {}
    for n, i in enumerate(concerned):
        decided = _decisions(garden, garden.meant[i], runs.usual[n], runs.others_of(n))
        found[garden.meant[i].path] = decided
    return found


def _decisions(
    garden: _Garden, program: Program, usual: ProgramResult, others: Sequence[Elsewhere]
) -> tuple[promote.Decision, ...]:
    decided = promote.decisions(garden.texts[program.path], program.cells, program.lines, usual, others)
    if not program.path.endswith(".ipynb"):
        return decided
    why = "a notebook is not written into; correct it in Jupyter"
    return tuple(
        Refusal(one.cell, one.line, why, isinstance(one, Proposal) and not one.old) for one in decided
    )


def _edited(text: str, decided: Sequence[promote.Decision]) -> str:
    return applied(text, [one.edit for one in decided if isinstance(one, Proposal)])


def _change(text: str, decided: Sequence[promote.Decision]) -> Callable[[str], str]:
    """The change of a file whose text was `text` when it was read; none if it has been changed since."""

    def change(raw: str) -> str:
        mark = "\ufeff" if raw.startswith("\ufeff") else ""
        body = raw.removeprefix(mark)
        same = body.replace("\r\n", "\n").replace("\r", "\n") == text
        return mark + _edited(body, decided) if same else raw

    return change


def _show(
    loaded: config.Loaded,
    garden: _Garden,
    decided: Mapping[str, Sequence[promote.Decision]],
    texts: Mapping[str, str],
) -> None:
    """The diff of each note, and what is to be known of each line of it."""
    labels = {program.path: [cell.label for cell in program.cells] for program in garden.meant}
    for path, found in decided.items():
        name = f"{reports.relative(loaded.notes_dir)}/{path}"
        old, new = garden.texts[path].splitlines(keepends=True), texts[path].splitlines(keepends=True)
        sys.stdout.writelines(difflib.unified_diff(old, new, name, name, n=2))
        for one in found:
            sys.stdout.write(f"{name}:{one.line}: cell {labels[path][one.cell]}: {_told(one)}\n")
    sys.stdout.flush()


def _told(one: promote.Decision) -> str:
    if isinstance(one, Refusal):
        return f"{'nothing is written' if one.new else 'stays as it is'}: {one.why}"
    if one.old is None:
        return f"new: {_short(one.text)}"
    figures = ", ".join(filter(None, [one.error and f"relative error {one.error}", one.ulps]))
    return f"{_short(one.old)} → {_short(one.text)}" + (f" ({figures})" if figures else "")


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 60 else text[:59] + "…"


def _agreed(values: int, notes: int) -> bool:
    sys.stderr.write(f"write {values} expected values into {notes} notes? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _keep(work: _Work, asked: Arguments, decided: Mapping[str, Sequence[promote.Decision]]) -> None:
    """Keep evidence of the notes as they now are: of those that were changed, or of all that were named."""
    garden = work.read(asked.names)
    programs = [one for one in garden.meant if asked.evidence or one.path in decided]
    changed = [one for one in programs if one.path in decided]
    marks = {}
    everywhere = work.everywhere(changed, "normal") if changed else None
    if everywhere:
        for program, kept in zip(changed, everywhere.kept, strict=True):
            if kept:
                marks[program.path] = _marks(program, kept[0], decided[program.path])
        work.keep(garden, changed, everywhere, marks)
    others = [one for one in programs if one.path not in decided]
    if others:
        work.keep(garden, others, work.usual(others, "normal"), {})
    reports.say(f"evidence of {len(programs)} notes is kept in {reports.relative(work.folder)}/")


def _marks(program: Program, parts: Parts, decided: Sequence[promote.Decision]) -> set[str]:
    return {acceptance(parts.cells[one.cell], one.text) for one in decided if isinstance(one, Proposal)}

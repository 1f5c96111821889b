"""`rename OLD NEW`: the note moves, and every link to it is written otherwise; all of it, or nothing."""

from __future__ import annotations

import difflib
import json
import sys
import unicodedata
from collections.abc import Callable, Sequence

from generator import checks, config, disk, links, pipeline, rename
from generator.cli import building, reports
from generator.cli.arguments import Arguments
from generator.cli.progress import Progress
from generator.model import Ambiguous, Found, Link, Problem

_REFUSED = 1


def run(loaded: config.Loaded, asked: Arguments, progress: Progress) -> int:
    """Rename a note; gives the exit code."""
    try:
        return _run(loaded, asked, progress)
    finally:
        progress.clear()


def _run(loaded: config.Loaded, asked: Arguments, progress: Progress) -> int:
    if len(asked.names) != 2:
        raise config.ConfigError(
            'rename takes two names: rename OLD NEW, for example rename covariance "Covariance matrix"'
        )
    with building.opened(loaded) as store:
        with progress.stage("notes"):
            all_of_it = building.everything(loaded, store)
        old = _found(all_of_it, asked.names[0])
        new = _new_path(old, asked.names[1])
        why = disk.unusable(new)
        if why or new == old:
            raise config.ConfigError(
                f"{old} cannot be called {new}: {why or 'it has that name'}; try another name"
            )
        _not_paired(all_of_it, old)
        progress.show("links")
        plan = rename.plan(
            all_of_it.sources,
            all_of_it.parsed,
            all_of_it.vault.assets,
            pipeline.dialect(loaded.config),
            old,
            new,
        )
        progress.clear()
        if not isinstance(plan, rename.Plan):
            return _refused(loaded, all_of_it, plan)
        if asked.dry_run:
            sys.stdout.writelines(_diff(loaded, all_of_it, plan))
            reports.say(f"{_summary(plan)}; nothing was written")
            return 0
        why = disk.move(
            loaded.notes_dir, old, new, {path: _change(edits) for path, edits in plan.edits.items()}
        )
        if why:
            reports.say(f"error: {why}")
            return _REFUSED
        _move_evidence(loaded, old, new)
    sys.stdout.write(f"{reports.relative(loaded.notes_dir / new)}\n")
    reports.say(_summary(plan))
    _say_what_stays(loaded, all_of_it, plan)
    return 0


def _move_evidence(loaded: config.Loaded, old: str, new: str) -> None:
    """What is kept of the note's runs goes with it: results don't depend on what their note is called."""
    folder = loaded.notes_dir / building.EVIDENCE
    data = disk.document(folder / f"{old}.json")
    if data is None:
        return
    was, now = (f'"note": {json.dumps(path, ensure_ascii=False)}'.encode() for path in (old, new))
    disk.keep(folder, {f"{new}.json": data.replace(was, now, 1)}, lambda name: name == f"{old}.json")


def _change(edits: Sequence[rename.Edit]) -> Callable[[str], str]:
    return lambda text: rename.applied(text, edits)


# ---------------------------------------------------------------- which note


def _found(all_of_it: building.Everything, name: str) -> str:
    """The path of the note that is called so: its path, its address, its alias or its title."""
    name = unicodedata.normalize("NFC", name).strip()
    notes = {one.note.path: one.note for one in all_of_it.parsed}
    for path in (name, name + ".md"):
        if path in notes:
            return path
    index = links.index(notes.values(), ())
    resolution = links.resolve(Link("link", name), "", index)
    candidates: tuple[str, ...] = ()
    if isinstance(resolution, Ambiguous):
        candidates = resolution.candidates
    elif isinstance(resolution, Found):
        candidates = tuple(note.path for note in notes.values() if note.slug == resolution.slug)
    if len(candidates) > 1:
        raise config.ConfigError(
            f"“{name}” could be {', '.join(candidates[:5])}; write the path of the one that is meant"
        )
    if candidates:
        return candidates[0]
    near = getattr(resolution, "near", ())
    hint = f"did you mean {' or '.join(near)}?" if near else "write its path, its address or its title"
    raise config.ConfigError(f"there is no note called “{name}”; {hint}")


def _new_path(old: str, name: str) -> str:
    """Where the note goes: a name stays in its folder, a path is one from the root of the notes, and a path
    that ends in a slash is a folder."""
    name = unicodedata.normalize("NFC", name).strip()
    folder, _, own = old.rpartition("/")
    suffix = old[old.rindex(".") :]
    if name.endswith("/"):
        return name.strip("/") + "/" + own if name.strip("/") else own
    path = name.lstrip("/") if "/" in name else f"{folder}/{name}" if folder else name
    return path if path.lower().endswith(suffix.lower()) else path + suffix


def _not_paired(all_of_it: building.Everything, old: str) -> None:
    """A notebook that jupytext keeps in step with a note would be left behind."""
    other = old.removesuffix(".md") + ".ipynb"
    sources = {source.path: source for source in all_of_it.vault.sources}
    if other in sources and pipeline.is_paired(sources[old]):
        raise config.ConfigError(
            f"{old} belongs together with {other}; unpair the two first, or rename both by hand"
        )


# ---------------------------------------------------------------- what is said


def _refused(loaded: config.Loaded, all_of_it: building.Everything, problems: Sequence[Problem]) -> int:
    folder = reports.relative(loaded.notes_dir)
    texts = {source.path: source.text.split("\n") for source in all_of_it.sources}
    for one in problems:
        lines = texts.get(one.path, [])
        line = lines[one.span.line - 1] if 0 < one.span.line <= len(lines) else ""
        sys.stdout.write(checks.describe(one, folder, line) + "\n")
    reports.say("nothing was renamed")
    return _REFUSED


def _diff(loaded: config.Loaded, all_of_it: building.Everything, plan: rename.Plan) -> list[str]:
    """The change as a unified diff that `git apply` and `patch` understand, the move said first."""
    folder = reports.relative(loaded.notes_dir)
    texts = {source.path: source.text for source in all_of_it.sources}
    lines = [f"rename from {folder}/{plan.old}\n", f"rename to {folder}/{plan.new}\n"]
    for path, edits in sorted(plan.edits.items()):
        before, after = texts[path], rename.applied(texts[path], edits)
        new = plan.new if path == plan.old else path
        lines += [
            line if line.endswith("\n") else line + "\n\\ No newline at end of file\n"
            for line in difflib.unified_diff(
                before.splitlines(keepends=True),
                after.splitlines(keepends=True),
                f"{folder}/{path}",
                f"{folder}/{new}",
                n=1,
            )
        ]
    return lines


def _summary(plan: rename.Plan) -> str:
    notes = len([path for path in plan.edits if path != plan.old])
    kept = f", {plan.redirect} leads there from now on" if plan.redirect else ""
    links_, notes_ = f"{plan.links} link{'s' * (plan.links != 1)}", f"{notes} other note{'s' * (notes != 1)}"
    return f"{plan.old} → {plan.new}: {links_} rewritten in {notes_}{kept}"


def _say_what_stays(loaded: config.Loaded, all_of_it: building.Everything, plan: rename.Plan) -> None:
    note = next(one.note for one in all_of_it.parsed if one.note.path == plan.old)
    name = plan.old.rpartition("/")[2].rpartition(".")[0]
    if note.title == name and plan.new.rpartition("/")[2] != plan.old.rpartition("/")[2]:
        source = next(source.text for source in all_of_it.sources if source.path == plan.old)
        if name in source:
            reports.say(f"its title may still be “{name}”: a heading is the author's, and was left alone")

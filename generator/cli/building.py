"""One build: lock, scan, run the pipeline, publish, and remember the outcome until something changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from generator import checks, config, disk, memo
from generator.cli import changes
from generator.cli.changes import Change
from generator.cli.progress import Progress
from generator.model import Parsed, Problem, Program, Site, Source, Vault

if TYPE_CHECKING:
    from generator.cli.cells import Kept
    from generator.execution.protocol import Executor
    from generator.pages.garden import Garden

EVIDENCE = ".evidence"
"""The folder of evidence, in that of the notes. (As `execution.evidence` has it, which costs more to
import.)"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a build has to say once it is done: all that is reported, and nothing of the pages.

    `report` is JSON; `excerpts` are the lines of the sources that the problems are about.
    It is kept until something changes: building an unchanged garden only says it again, but for `changes`,
    the values that are not what they were before.
    """

    report: str
    problems: tuple[Problem, ...]
    excerpts: tuple[str, ...]
    files: int = 0
    tree_hash: str = ""
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class _Last:
    """An outcome, and what it is true of: the state of the garden, and programs with valid results."""

    state: str
    programs: tuple[Program, ...]
    outcome: Outcome


def outcome(loaded: config.Loaded, progress: Progress, write: bool, kept: Kept | None = None) -> Outcome:
    """Build, and publish if `write`. Where nothing has changed since the last build, its outcome again.
    A process that builds again and again passes `kept`, so that what runs cells need not start each time.

    Raises disk.Locked, disk.PublishError and Unavailable.
    """
    with opened(loaded) as store:
        return _outcome(loaded, progress, store, write, kept)


def is_meant(path: str, names: tuple[str, ...]) -> bool:
    """Whether a note is one of those that were named, by parts of their paths; all are if none was."""
    return not names or any(name.casefold() in path.casefold() for name in names)


def nobody(names: tuple[str, ...]) -> config.ConfigError:
    """What is said where none of the names is that of a note with cells."""
    named = ", ".join(f"“{name}”" for name in names) or "anything"
    return config.ConfigError(f"no note with cells has {named} in its path; explain alone lists all")


def not_notes(loaded: config.Loaded) -> tuple[Path, ...]:
    """What may lie in the folder of notes and is no part of it."""
    return (loaded.out_dir, loaded.cache_dir, loaded.templates_dir)


def _outcome(
    loaded: config.Loaded, progress: Progress, store: memo.SqliteStore, write: bool, kept: Kept | None
) -> Outcome:
    name = f"outcome:{loaded.out_dir}"
    with progress.stage("disk"):
        state = _state(loaded)
        last = None if loaded.options.fresh else _last(store.get(name))
        if write and last and last.state == state and disk.is_whole(loaded.out_dir, last.outcome.tree_hash):
            from generator.cli import cells  # here: a garden that has never been built is not asked

            if cells.still_valid(loaded, store, last.programs):
                return last.outcome
    new = _construct(loaded, progress, store, state, write, last, kept)
    # A failed cell is tried again each time: what was in its way may have passed.
    if write and checks.exit_code(new.outcome.problems, strict=False) != checks.CELL_FAILED:
        store.put(name, memo.encode(replace(new, outcome=replace(new.outcome, changes=()))))
    store.prune()
    return new.outcome


def _state(loaded: config.Loaded) -> str:
    """A digest of everything that a build depends on."""
    settings, options = loaded.config, loaded.options
    files = disk.fingerprint(loaded.notes_dir, ignore=settings.ignore, exclude=not_notes(loaded))
    mode = (options.no_exec, options.frozen, options.executor, options.sandbox)
    kept = disk.state(loaded.notes_dir / EVIDENCE)
    # No result depends on them, so they are no part of the code; where it is installed, they lie inside it.
    parts = disk.state(Path(__file__).parent.parent.parent / "static")
    return memo.digest((files, kept, settings, memo.code_version(), parts, mode))


def _last(data: bytes | None) -> _Last | None:
    try:
        last: _Last | None = memo.decode(data, _Last) if data is not None else None
    except ValueError:
        return None
    return last


def _construct(
    loaded: config.Loaded,
    progress: Progress,
    store: memo.SqliteStore,
    state: str,
    write: bool,
    last: _Last | None,
    kept: Kept | None,
) -> _Last:
    from generator.cli import cells

    options = loaded.options
    jobs = options.jobs or memo.available_jobs()
    call: memo.Caller = memo.Plain(jobs) if options.fresh else memo.Memo(store, jobs=jobs)
    with cells.Kept() if kept is None else nullcontext(kept) as keeping:

        def early(vault: Vault) -> None:
            texts = cells.likely_to_run(loaded, vault, last.programs if last else None)
            if texts:
                keeping.hurry(loaded, jobs, texts)

        with cells.executor(loaded, store, jobs, keeping) as executor:
            built = made(loaded, progress, store, call, executor, write, early=early)
    changed = () if options.no_exec else changes.found(store, built.site.shown)
    failed = checks.exit_code(built.site.problems, strict=False) == checks.CELL_FAILED
    if write and not options.no_exec and not failed:
        changes.remember(store, built.site.shown)
    return _Last(state, built.site.programs, said(built, changed))


@dataclass(frozen=True, slots=True)
class Built:
    """A vault, the site that was made of it, and what publishing that did (None: it was not published)."""

    vault: Vault
    site: Site
    published: disk.Published | None


def made(
    loaded: config.Loaded,
    progress: Progress,
    store: memo.SqliteStore,
    call: memo.Caller,
    executor: Executor,
    write: bool,
    durable: bool = True,
    early: Callable[[Vault], None] = lambda vault: None,
) -> Built:
    """Read the notes, make the site, and publish it if `write`. The caller holds the lock.

    `durable`: see disk.publish. `early` is told of the vault before anything is made of it.
    Raises disk.PublishError and Unavailable.
    """
    workers = memo.Plain(loaded.options.jobs or memo.available_jobs())
    with progress.stage("disk"):
        vault = scanned(loaded, store)
        early(vault)
    # Here, so that an unchanged garden imports no parser and no template, and that others can work meanwhile.
    from generator import pipeline

    files = disk.Spool(loaded.cache_dir)
    with memo.undisturbed():
        site = pipeline.build(
            vault, loaded.config, call, workers, executor, progress.stage, progress.ran, files
        )
    if not write:
        return Built(vault, site, None)
    with progress.stage("publish"):
        published = disk.publish(
            loaded.out_dir,
            site,
            loaded.notes_dir,
            assets=vault.assets,
            exclude=not_notes(loaded),
            durable=durable,
        )
    return Built(vault, site, published)


def said(built: Built, changed: tuple[Change, ...] = ()) -> Outcome:
    """What there is to say of a build. `changed` are the values that are not what they were."""
    site, published = built.site, built.published
    files = published.files if published else len(site.files) + len(site.copies)
    texts = {source.path: source.text.split("\n") for source in built.vault.sources}
    excerpts = tuple(_line(texts.get(one.path, []), one.span.line) for one in site.problems)
    tree_hash = published.tree_hash if published else ""
    return Outcome(checks.as_json(site.report), site.problems, excerpts, files, tree_hash, changed)


def scanned(loaded: config.Loaded, store: memo.SqliteStore) -> Vault:
    return disk.scan(
        loaded.notes_dir,
        ignore=loaded.config.ignore,
        exclude=not_notes(loaded),
        note_bytes=loaded.config.limits.note_bytes,
        dates=loaded.config.dates,
        cache=store,
    )


@dataclass(frozen=True, slots=True)
class Everything:
    """What was read: the vault, and all its notes as Markdown and parsed, drafts among them."""

    vault: Vault
    sources: tuple[Source, ...]
    parsed: tuple[Parsed, ...]


def everything(loaded: config.Loaded, store: memo.SqliteStore) -> Everything:
    """Read the garden, and run nothing. The caller holds the lock."""
    from generator import pipeline

    call = memo.Memo(store, jobs=loaded.options.jobs or memo.available_jobs())
    vault = scanned(loaded, store)
    sources, parsed, _ = pipeline.everything(vault, loaded.config, call)
    return Everything(vault, sources, parsed)


def garden(loaded: config.Loaded, store: memo.SqliteStore, vault: Vault) -> Garden:
    """The published notes with every link led somewhere, and nothing run."""
    from generator import pipeline

    call = memo.Memo(store, jobs=loaded.options.jobs or memo.available_jobs())
    published, _ = pipeline.read(vault, loaded.config, call)
    return pipeline.resolved(published, vault)


@contextmanager
def opened(loaded: config.Loaded) -> Iterator[memo.SqliteStore]:
    """The store of what has been computed before, with the garden locked. Raises disk.Locked."""
    with disk.lock(loaded.cache_dir):
        store = memo.SqliteStore(loaded.cache_dir / "memo.sqlite")
        try:
            yield store
        finally:
            store.close()


def explained(loaded: config.Loaded) -> list[tuple[str, str]]:
    """Each note with cells, by path, and why they would run; `""` where their results are valid.

    Raises disk.Locked.
    """
    from generator import pipeline
    from generator.cli import cells

    with opened(loaded) as store:
        vault = scanned(loaded, store)
        parsed, _ = pipeline.read(vault, loaded.config, memo.Memo(store))
        programs = pipeline.programs_of(pipeline.resolved(parsed, vault))
        return list(zip((one.path for one in programs), cells.reasons(loaded, store, programs), strict=True))


def _line(lines: list[str], number: int) -> str:
    return lines[number - 1] if 0 < number <= len(lines) else ""

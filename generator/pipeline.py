"""The build, from top to bottom: a vault becomes a site.

`build` is the only build path. In production its `call` remembers what it has computed before, in tests it
is a plain one; both must give the same bytes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, MutableMapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

from generator import checks, claims, feeds, graph, links, markdown, mentions, search, theme
from generator.config import Config
from generator.execution import helpers, notebook, verify
from generator.execution.protocol import Executor, Report
from generator.memo import Caller
from generator.model import (
    Ambiguous,
    CellResult,
    Found,
    FoundAsset,
    Missing,
    Note,
    OutPath,
    Output,
    Parsed,
    Problem,
    Program,
    Resolution,
    Site,
    Slug,
    Source,
    Span,
    Vault,
)
from generator.pages import assemble, atlas, ingredients, ledger
from generator.pages.cell import figure_files
from generator.pages.garden import Garden, href, linked_of, notebook_of, out_of, preview_of, settled

_RELATED = 5
_MENTIONS = 8

Stage = Callable[[str], AbstractContextManager[object]]


def build(
    vault: Vault,
    config: Config,
    call: Caller,
    workers: Caller,
    executor: Executor,
    stage: Stage = lambda name: nullcontext(),
    report: Report | None = None,
    files: MutableMapping[OutPath, bytes] | None = None,
) -> Site:
    """Build the site of a vault.

    `call` may remember what it computes; `workers` share work that is not worth remembering. `stage` is
    entered with the name of each room as it works, `report` is told of each program as it is done. The files
    of the site are put into `files`, which is empty.
    Never raises for what a vault may contain: that becomes the site's `problems`.
    """
    files = {} if files is None else files
    with stage("markdown"):
        parsed, problems = read(vault, config, call)
    with stage("links"):
        garden = resolved(parsed, vault)
        edges, missing = connections(garden)
        related = call.call(graph.related, tuple(garden.notes), graph.linked(edges), _RELATED)
        garden = replace(garden, related=related)
    with stage("mentions"):
        garden = mentioned(garden, call) if config.pages.mentions else garden
    with stage("cells"):
        garden = run(garden, executor, report)
    with stage("checks"):
        problems = (*vault.problems, *problems, *checks.run(garden), *claims.problems(garden, edges))
        garden = replace(garden, problems=_by_note(garden, problems))
    with stage("pages"):
        drawn = call.begin(map_files, garden, edges, missing, call)
        theme.prepare(call)
        made_of = ingredients.digests(garden, config)
        rendered = call.each(render_note, list(garden.notes), garden, config, by=made_of)
        texts, entries, shown = _note_files(garden, rendered, files)
        others = list(assemble.other_pages(garden, _home(config)))
    with stage("theme"):
        files.update((page.out, theme.render(page, config)) for page in others)
        files[ledger.DATA] = ledger.document(garden)
        files.update(figure_files(garden.results.values()))
        files.update(notebook_files(garden, vault))
        files.update(theme.static_files(any(note.diagrams for note in garden.notes.values())))
    with stage("search"):
        files.update(search.files(entries))
    with stage("feeds"):
        listed = [page.out for page in others if page.template not in ("redirect", "message")]
        files.update(feeds.files(garden, config, listed, texts))
    with stage("graph"):
        files.update((out, text.encode()) for out, text in drawn())
        # A note of this name keeps its address.
        files.setdefault(atlas.OUT, theme.render(atlas.page(garden, atlas.pairs(garden)), config))
    copies, clashes = _copies(garden, files)
    problems = (*problems, *shown, *clashes)
    in_order = tuple(sorted(problems, key=lambda one: (one.path, one.span.line, one.span.col, one.code)))
    return Site(files, copies, in_order, programs_of(garden), summary(garden), tuple(claims.shown(garden)))


# ---------------------------------------------------------------- from sources to notes


def read(vault: Vault, config: Config, call: Caller) -> tuple[tuple[Parsed, ...], tuple[Problem, ...]]:
    """The published notes of a vault, parsed, each with a slug of its own; and what was bad in them."""
    _, parsed, problems = everything(vault, config, call)
    published = [one for one in parsed if is_published(one)]
    apart, collisions = _apart(published)
    said = (problem for one in published for problem in one.problems)
    return apart, (*problems, *said, *collisions)


def everything(
    vault: Vault, config: Config, call: Caller
) -> tuple[tuple[Source, ...], tuple[Parsed, ...], tuple[Problem, ...]]:
    """All notes of a vault, drafts among them, as Markdown and parsed; and the notebooks that are none."""
    sources, problems = _as_markdown(vault.sources)
    parsed = call.map(markdown.parse, sources, dialect(config), keep=is_published)
    return tuple(sources), tuple(parsed), tuple(problems)


def dialect(config: Config) -> markdown.Dialect:
    """How this garden's notes are parsed."""
    return markdown.Dialect(config.cells.plain, config.html, config.limits.nesting)


def is_published(parsed: Parsed) -> bool:
    """A draft appears nowhere, and is not even remembered."""
    return parsed.note.published


def _as_markdown(sources: tuple[Source, ...]) -> tuple[list[Source], list[Problem]]:
    """Notebooks as the Markdown that they stand for. Of a pair that jupytext keeps in step, `x.md` and
    `x.ipynb`, the Markdown is the note: the notebook is the same text once more."""
    texts, problems = [], []
    paired = {source.path.removesuffix(".md") for source in sources if is_paired(source)}
    for source in sources:
        if not source.path.endswith(".ipynb"):
            texts.append(source)
            continue
        if source.path.removesuffix(".ipynb") in paired:
            continue
        try:
            texts.append(replace(source, text=notebook.to_markdown(source.text)))
        except ValueError as error:
            problems.append(
                Problem(
                    "notebook-invalid",
                    "error",
                    source.path,
                    Span(0),
                    f"this is no notebook that can be read: {error}",
                    "open it in Jupyter and save it again",
                )
            )
    return texts, problems


def is_paired(source: Source) -> bool:
    """Whether a note has the head that jupytext writes."""
    return source.path.endswith(".md") and source.text.startswith("---\n") and "\njupytext:" in source.text


def _apart(parsed: list[Parsed]) -> tuple[tuple[Parsed, ...], list[Problem]]:
    """Notes that want one address get different ones: the first in path order keeps it."""
    ordered = sorted(parsed, key=lambda one: one.note.path)
    owners: dict[str, str] = {}
    apart, problems = [], []
    for one, note in zip(ordered, links.apart(one.note for one in ordered), strict=True):
        if note.slug != one.note.slug:
            first = owners[one.note.slug]
            problems.append(
                Problem(
                    "slug-collision",
                    "error",
                    note.path,
                    Span(0),
                    f"{first} and {note.path} both have the address “{one.note.slug}”; "
                    f"this one is published as “{note.slug}”",
                    "rename one of the two, or give one a permalink",
                )
            )
        owners[note.slug] = note.path
        apart.append(replace(one, note=note))
    return tuple(apart), problems


# ---------------------------------------------------------------- from notes to a garden


def resolved(parsed: Collection[Parsed], vault: Vault) -> Garden:
    """The garden with every link led somewhere, and nothing run."""
    notes = {one.note.slug: one.note for one in parsed}
    spans = {one.note.slug: one.spans for one in parsed}
    index = links.index(notes.values(), vault.assets)
    resolutions = {
        slug: tuple(links.resolve(link, note.path, index) for link in note.links)
        for slug, note in notes.items()
    }
    backlinks = links.backlinks(tuple(notes.values()), resolutions)
    assets = {asset.path: asset for asset in vault.assets}
    uses = claims.uses(notes, resolutions)
    digests = {one.note.slug: one.digest for one in parsed}
    return Garden(notes, spans, resolutions, backlinks, {}, {}, {}, {}, assets, uses=uses, digests=digests)


def run(garden: Garden, executor: Executor, report: Report | None = None) -> Garden:
    """The garden with its cells run and judged."""
    programs = programs_of(garden)
    results = {result.slug: result for result in executor.run(programs, report)} if programs else {}
    verdicts = {
        slug: tuple(map(verify.judge, garden.notes[slug].cells, result.results))
        for slug, result in results.items()
    }
    return claims.settle(replace(garden, results=results, verdicts=verdicts))


def mentioned(garden: Garden, call: Caller) -> Garden:
    """The garden with what its notes say of each other without a link."""
    notes = garden.notes.values()
    known = mentions.names(notes)
    names = ingredients.digest([(note.slug, note.title, note.aliases) for note in notes])
    by = [
        names + ingredients.digest((slug, garden.digests[slug], _linked(garden, slug)))
        for slug in garden.notes
    ]
    found = call.map(mentions_in, list(garden.notes), garden, known, by=by)
    return replace(garden, mentions=mentions.gather(found, _MENTIONS))


def mentions_in(slug: Slug, garden: Garden, known: mentions.Names) -> tuple[mentions.Mention, ...]:
    """What one note says of those that it does not link to."""
    return mentions.find(garden.notes[slug], known, _linked(garden, slug))


def _linked(garden: Garden, slug: Slug) -> tuple[Slug, ...]:
    found = map(settled, garden.resolutions[slug])
    return tuple(dict.fromkeys(one.slug for one in found if isinstance(one, Found)))


def programs_of(garden: Garden) -> tuple[Program, ...]:
    """The programs of all notes that have cells, or values in their sentences."""
    return tuple(
        claims.program(garden, slug) for slug, note in garden.notes.items() if note.cells or note.values
    )


def _by_note(garden: Garden, problems: Iterable[Problem]) -> dict[Slug, tuple[Problem, ...]]:
    slugs = {note.path: slug for slug, note in garden.notes.items()}
    found: dict[Slug, list[Problem]] = {}
    for problem in problems:
        if problem.path in slugs:
            found.setdefault(slugs[problem.path], []).append(problem)
    return {slug: tuple(of_note) for slug, of_note in found.items()}


# ---------------------------------------------------------------- from a garden to files


@dataclass(frozen=True, slots=True)
class Rendered:
    """What is made of a note: its two files, its text for the export, its entry in the search index, the
    problems that showed meanwhile, and the page of what links to it, if it has one."""

    page: bytes
    preview: bytes
    text: bytes
    entry: search.Entry
    problems: tuple[Problem, ...] = ()
    linked: bytes = b""


def render_note(slug: Slug, garden: Garden, config: Config) -> Rendered:
    """Everything that is made of one note."""
    pages, problems = assemble.note_pages(garden, slug, config)
    text = feeds.text_of(slug, garden, config) if config.pages.export else ""
    page, preview, *more = (theme.render(one, config) for one in pages)
    return Rendered(page, preview, text.encode(), search_entry(slug, garden), problems, b"".join(more))


def _note_files(
    garden: Garden, rendered: Iterable[Rendered], files: MutableMapping[OutPath, bytes]
) -> tuple[list[bytes], list[search.Entry], tuple[Problem, ...]]:
    """Put the files of each note into `files`: what of them is needed further on, and the problems that
    showed, each once and not once a page."""
    texts, entries, linked = [], [], {}
    problems: dict[Problem, None] = {}
    for slug, one in zip(garden.notes, rendered, strict=True):
        files[out_of(slug)] = one.page
        files[preview_of(slug)] = one.preview
        if one.linked:
            linked[linked_of(slug)] = one.linked
        texts.append(one.text)
        entries.append(one.entry)
        problems |= dict.fromkeys(one.problems)
    for out, page in linked.items():
        if out not in files:  # a note of this name keeps its address
            files[out] = page
    return texts, entries, tuple(problems)


def search_entry(slug: Slug, garden: Garden) -> search.Entry:
    """What one note is found by: its own words, and those that its cells gave."""
    result = garden.results.get(slug)
    outputs = result.results if result else ()
    texts = [text for outcome in outputs for output in outcome.outputs for text in _texts(output)]
    texts += [value.value.text for value in garden.values.get(slug, ())]
    return search.entry(
        garden.notes[slug], href("", out_of(slug)), garden.grades.get(slug, ""), " ".join(texts)
    )


def _texts(output: Output) -> tuple[str, ...]:
    if output.kind == "error":
        return output.name, output.text
    return output.text, dict(output.data).get("text/plain", "")


def notebook_files(garden: Garden, vault: Vault) -> dict[OutPath, bytes]:
    """Each note with cells as an executed notebook."""
    programs = programs_of(garden)
    wanted = {program.path for program in programs}
    sources = {source.path: source for source in vault.sources if source.path in wanted}
    files = {
        notebook_of(program.slug): _executed(garden, program, sources[program.path]) for program in programs
    }
    if any(map(helpers.used, programs)):  # What its checks come from, to lie beside a notebook.
        files[OutPath(helpers.NAME)] = helpers.module()
    return files


def _executed(garden: Garden, program: Program, source: Source) -> bytes:
    text = notebook.to_markdown(source.text) if source.path.endswith(".ipynb") else source.text
    title = garden.notes[program.slug].title
    return notebook.to_notebook(program, garden.results[program.slug], title, text).encode()


def _copies(garden: Garden, files: Mapping[OutPath, bytes]) -> tuple[dict[OutPath, str], tuple[Problem, ...]]:
    """The assets to copy, and a problem for each that wants the place of a page."""
    copies = assemble.asset_copies(garden)
    clashes = tuple(
        Problem(
            "path-collision",
            "error",
            path,
            Span(0),
            f"this file wants the place of a page of the site, {out}; the page keeps it",
            "rename the file",
        )
        for out, path in copies.items()
        if out in files
    )
    return {out: path for out, path in copies.items() if out not in files}, clashes


def _home(config: Config) -> str:
    """The root of the site as a page at any address can reach it: what the 404 page must use."""
    return config.base_url or "/"


def connections(garden: Garden) -> tuple[list[graph.Edge], list[graph.Wanted]]:
    """The links between notes, in source order: those that lead somewhere, and those that do not."""
    edges, missing = [], []
    for slug, note in garden.notes.items():
        lines = garden.spans[slug].links
        for link, resolution, span in zip(note.links, garden.resolutions[slug], lines, strict=True):
            found = settled(resolution)
            if isinstance(found, Missing):
                missing.append(graph.Wanted(slug, span.line, link.target, found.near))
            elif not isinstance(found, FoundAsset):
                edges.append(graph.Edge(slug, found.slug, link.kind, span.line, link.text or found.label))
    return edges, missing


def map_files(
    garden: Garden, edges: list[graph.Edge], missing: list[graph.Wanted], call: Caller
) -> tuple[tuple[OutPath, str], ...]:
    """The graph for programs, and the map of it."""
    document = checks.as_rows(graph_document(garden, edges, missing))
    drawn = atlas.document(garden, atlas.pairs(garden), call)
    return (OutPath("graph.json"), document), (atlas.MAP, drawn)


def graph_document(
    garden: Garden, edges: list[graph.Edge], missing: list[graph.Wanted]
) -> dict[str, list[object]]:
    """`graph.json`, as the contract has it."""
    return graph.document(tuple(garden.notes.values()), garden.grades, edges, missing)


# ---------------------------------------------------------------- the report


def summary(garden: Garden) -> dict[str, object]:
    """The parts of the JSON report that the garden itself determines."""
    counts = Counter(_kind(one) for resolutions in garden.resolutions.values() for one in resolutions)
    external = sum(len(note.external) for note in garden.notes.values())
    logs = [result.log for result in garden.results.values()]
    versions = {name: version for log in logs for name, version in log.versions}
    return {
        "notes": [_note_data(garden, slug, note) for slug, note in garden.notes.items()],
        "links": {
            "total": sum(counts.values()) + external,
            **{kind: counts[kind] for kind in ("found", "missing", "ambiguous")},
            "external": external,
        },
        "cells": [cell for slug in garden.results for cell in _cells_data(garden, slug)],
        "values": [value for slug in garden.values for value in ledger.values(garden, slug)],
        "isolation": ", ".join(sorted({log.isolation for log in logs if log.isolation})) or "none",
        "versions": dict(sorted(versions.items())),
    }


def _kind(resolution: Resolution) -> str:
    if isinstance(resolution, Missing):
        return "missing"
    return "ambiguous" if isinstance(resolution, Ambiguous) else "found"


def _note_data(garden: Garden, slug: Slug, note: Note) -> dict[str, object]:
    return {
        "path": note.path,
        "slug": slug,
        "href": out_of(slug),
        "title": note.title,
        "grade": garden.grades.get(slug),
        "at_risk": ledger.at_risk(garden, slug),
        "words": note.words,
    }


def _cells_data(garden: Garden, slug: Slug) -> Iterable[dict[str, object]]:
    note, result = garden.notes[slug], garden.results[slug]
    for i, (cell, verdict) in enumerate(zip(note.cells, garden.verdicts[slug], strict=True)):
        outcome = result.results[i]
        yield {
            "note": note.path,
            "label": cell.label,
            "line": garden.spans[slug].cells[i].line,
            "grade": verdict.grade,
            "executed": not result.log.cached
            and outcome.status not in ("not-run", "stale", "skipped", "blocked"),
            "cached": result.log.cached,
            "seconds": result.log.seconds[i] if i < len(result.log.seconds) else 0.0,
            "figures": _figures(outcome),
            "message": verdict.message or outcome.message,
        }


def _figures(outcome: CellResult) -> int:
    return sum(any(mime.startswith("image/") for mime, _ in output.data) for output in outcome.outputs)

"""What is wrong in a garden, as `Problem`s; and the one place where problems are put into words.

Parsing has already reported what is bad inside one note. Here come the problems that show only in the
whole garden: where links lead, and what became of the cells.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence

from generator.model import (
    Ambiguous,
    CellResult,
    Found,
    FoundAsset,
    Link,
    Missing,
    Note,
    Problem,
    Resolution,
    Slug,
    Span,
    Verdict,
    media_kind,
    slug_of,
)
from generator.pages.garden import Garden, settled

_CELL_CODES = {
    "timeout": "cell-timeout",
    "memory": "cell-memory",
    "killed": "cell-killed",
    "ok": "cell-mismatch",
}
_CELL_HINTS = {
    "cell-failed": "correct the cell; where the error is meant, say so with “#| raises: …”",
    "cell-timeout": "make it faster, or give it more time with “#| timeout: seconds”",
    "cell-memory": "make it smaller, or raise [cells] memory_mb in garden.toml",
    "cell-killed": "run the cell's code by itself to see what ends the process",
    "cell-mismatch": "correct the code or, if the new value is right, what is written after “# =>”",
    "cell-stale": "run build.py accept --evidence where the cells can run, and commit .evidence/",
}
_CELL_CODES_OF_CLAIMS = frozenset({"value-failed", "uses-failed", "note-at-risk"})
"""Cells that failed, as they show in the notes that stand on them."""


def run(garden: Garden) -> tuple[Problem, ...]:
    """Problems of links and cells, in the order of paths and lines."""
    found = [problem for slug, note in garden.notes.items() for problem in _of_note(garden, slug, note)]
    return tuple(sorted(found, key=lambda one: (one.path, one.span.line, one.span.col, one.code)))


def _of_note(garden: Garden, slug: Slug, note: Note) -> Iterator[Problem]:
    spans = garden.spans[slug]
    for link, resolution, span in zip(note.links, garden.resolutions[slug], spans.links, strict=True):
        yield from _of_link(garden, note, link, resolution, span)
    results = garden.results.get(slug)
    if results:
        for i, verdict in enumerate(garden.verdicts[slug]):
            yield from _of_cell(note, i, results.results[i], verdict, spans.cells[i])


# ---------------------------------------------------------------- links


def _of_link(garden: Garden, note: Note, link: Link, resolution: Resolution, span: Span) -> Iterator[Problem]:
    shown = _shown(link)
    if isinstance(resolution, Missing):
        yield _missing(garden, note, link, resolution, span)
        return
    if isinstance(resolution, Ambiguous):
        chosen = settled(resolution)
        path = chosen.path if isinstance(chosen, FoundAsset) else _path(garden, chosen)
        names = ", ".join(resolution.candidates[:5])
        more = f" and {len(resolution.candidates) - 5} more" if len(resolution.candidates) > 5 else ""
        yield Problem(
            "link-ambiguous", "warning", note.path, span,
            f"{shown} could be {names}{more}; {path} is taken, as the nearest",
            _more_exactly(link, chosen, path, resolution.candidates),
        )  # fmt: skip
    yield from _doubtful(garden, note, link, settled(resolution), span)


def _more_exactly(
    link: Link, chosen: Found | FoundAsset | Missing, path: str, candidates: tuple[str, ...]
) -> str:
    """What to write instead: the path, with the suffix where another kind of note has the same."""
    if isinstance(chosen, Found) and chosen.anchor.startswith("^") and not link.anchor:
        return "several notes have a block of that name: rename one, or name the note as well"
    stem = path.removesuffix(".md")
    return f"write more of the path, for example [[{path if f'{stem}.ipynb' in candidates else stem}]]"


def _path(garden: Garden, found: Found | Missing) -> str:
    return garden.notes[found.slug].path if isinstance(found, Found) else ""


def _shown(link: Link) -> str:
    anchor = "".join("#" + part for part in link.anchor)
    if link.style == "wiki":
        return f"[[{link.target}{anchor}]]"
    return f"the link to “{link.target}{anchor}”"


def _missing(garden: Garden, note: Note, link: Link, missing: Missing, span: Span) -> Problem:
    shown = _shown(link)
    if missing.why == "outside":
        return Problem(
            "path-escapes", "error", note.path, span,
            f"{shown} leads out of the folder of notes, so nothing is shown for it",
            "link only to files inside the folder of notes",
        )  # fmt: skip
    if media_kind(link.target):
        return Problem(
            "asset-missing", "warning", note.path, span, f"{shown}: there is no such file in the garden",
            _suggestion(missing.near) or "add the file, or correct its name (the extension is needed)",
        )  # fmt: skip
    swapped = link.text and slug_of(link.text) in garden.notes
    hint = _suggestion(missing.near) or "write that note, or correct the name"
    if swapped:
        hint = f"there is a note named “{link.text}”: if text and target are swapped, write [[target|text]]"
    return Problem("link-missing", "warning", note.path, span, f"{shown} leads to no note", hint)


def _suggestion(near: tuple[str, ...]) -> str:
    return f"did you mean {' or '.join(near)}?" if near else ""


def _doubtful(
    garden: Garden, note: Note, link: Link, found: Found | FoundAsset | Missing, span: Span
) -> Iterator[Problem]:
    doubt = "" if isinstance(found, Missing) else found.doubt
    shown = _shown(link)
    if doubt == "title" and isinstance(found, Found):
        path = _path(garden, found)
        yield Problem(
            "link-by-title", "warning", note.path, span,
            f"{shown} names the title of {path}, which is no stable address",
            f"link to [[{path.removesuffix('.md')}]], or give that note the alias “{link.target}”",
        )  # fmt: skip
    elif doubt == "basename":
        path = found.path if isinstance(found, FoundAsset) else _path(garden, found)
        yield Problem(
            "link-by-basename", "warning", note.path, span,
            f"{shown}: nothing is at that path; {path}, which has that name, is taken",
            f"correct the path to {path}",
        )  # fmt: skip
    elif doubt in ("heading", "block") and isinstance(found, Found):
        what = "heading" if doubt == "heading" else "block id"
        named = " › ".join(anchor.removeprefix("^") for anchor in link.anchor)
        yield Problem(
            f"{doubt}-missing", "warning", note.path, span,
            f"{shown}: {_path(garden, found)} has no {what} “{named}”; the link leads to the whole note",
            _headings_hint(garden.notes[found.slug], doubt),
        )  # fmt: skip


def _headings_hint(note: Note, doubt: str) -> str:
    if doubt == "block":
        names = ["^" + block.id for block in note.blocks]
    else:
        names = [heading.text for heading in note.headings]
    return f"it has: {', '.join(names[:6])}" + (" …" if len(names) > 6 else "") if names else "it has none"


# ---------------------------------------------------------------- cells


def _of_cell(note: Note, i: int, result: CellResult, verdict: Verdict, span: Span) -> Iterator[Problem]:
    label = note.cells[i].label
    if verdict.grade == "stale":
        code = "cell-stale"
    elif verdict.grade == "failed":
        code = _CELL_CODES.get(result.status, "cell-failed")
    else:
        return
    line = verdict.line or result.line
    place = Span(span.line + max(line, 1) - 1)
    message = f"cell {label}: {verdict.message or result.message}"
    yield Problem(code, "error", note.path, place, message, _cell_hint(code, verdict))


def _cell_hint(code: str, verdict: Verdict) -> str:
    refuted = all(comparison.held for comparison in verdict.comparisons)
    if refuted and any(check.outcome == "failed" and check.kind == "gradient" for check in verdict.checks):
        return "correct the derivative or, if it is meant so, say it with “#| gradcheck: off (why)”"
    return _CELL_HINTS[code]


CELL_FAILED = 3
"""The exit code where a cell failed, did not match, or is stale."""


def exit_code(problems: Iterable[Problem], strict: bool) -> int:
    """0 fine, 1 content problems, CELL_FAILED; warnings count where `strict`."""
    code = 0
    for problem in problems:
        if problem.severity == "error" and problem.code in (*_CELL_HINTS, *_CELL_CODES_OF_CLAIMS):
            return CELL_FAILED
        if problem.severity == "error" or (strict and problem.severity == "warning"):
            code = 1
    return code


# ---------------------------------------------------------------- words


def describe(problem: Problem, folder: str = "", source: str = "", colour: bool = False) -> str:
    """A problem for a person: place, severity, code, sentence, the line with a caret, what to try.

    `folder` is put before the path, so that a terminal can open it; `source` is the text of that line.
    """
    place = _place(problem, folder)
    severity: str = problem.severity
    if colour:
        tint = {"error": "31", "warning": "33"}.get(severity, "36")
        place, severity = f"\x1b[1m{place}\x1b[0m", f"\x1b[{tint}m{severity}\x1b[0m"
    lines = [f"{place}: {severity}: {_one_line(problem.message)} [{problem.code}]"]
    if source.strip() and problem.span.col:
        shown, caret = _excerpt(source, problem.span.col)
        lines += [f"    {shown}", f"    {caret}"] if problem.span.col > 1 else [f"    {shown}"]
    if problem.hint:
        lines.append(f"    {_one_line(problem.hint)}")
    return "\n".join(lines)


def _place(problem: Problem, folder: str) -> str:
    path = f"{folder}/{problem.path}" if folder else problem.path
    if problem.span.line < 1:
        return path
    return f"{path}:{problem.span.line}:{max(problem.span.col, 1)}"


def _excerpt(source: str, column: int) -> tuple[str, str]:
    """At most 100 characters of a line around a column, and a caret below that column."""
    source = "".join(c if c.isprintable() else " " for c in source)
    start = max(0, column - 60)
    return source[start : start + 100], " " * (column - 1 - start) + "^"


def _one_line(text: str) -> str:
    """Without control characters: the text of a note must not speak to the terminal."""
    return "".join(c if c.isprintable() else " " for c in text)


def github(problem: Problem, folder: str = "") -> str:
    """A workflow command for GitHub. Everything from a note is escaped: it must not inject a command."""
    kind = {"error": "error", "warning": "warning"}.get(problem.severity, "notice")
    path = f"{folder}/{problem.path}" if folder else problem.path
    fields = [f"file={_property(_one_line(path))}"]
    if problem.span.line > 0:
        fields += [f"line={problem.span.line}", f"col={max(problem.span.col, 1)}"]
    fields.append(f"title={_property(problem.code)}")
    hint = f" ({problem.hint})" if problem.hint else ""
    return f"::{kind} {','.join(fields)}::{_data(_one_line(problem.message + hint))}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def as_data(problem: Problem) -> dict[str, object]:
    """A problem as the JSON report holds it."""
    return {
        "code": problem.code,
        "severity": problem.severity,
        "path": problem.path,
        "line": problem.span.line,
        "column": problem.span.col,
        "message": problem.message,
        "hint": problem.hint,
    }


def as_json(value: object) -> str:
    """JSON that is safe inside HTML as well, and the same on every machine."""
    return _safe(json.dumps(value, ensure_ascii=False, indent=1, sort_keys=False))


def as_rows(tables: Mapping[str, Sequence[object]]) -> str:
    """The same for lists of many small values, a line for each: a fifth of the time, and shorter."""
    rows = {name: ",\n".join(map(_ROW.encode, values)) for name, values in tables.items()}
    lists = (f"{json.dumps(name)}: [\n{text}\n]" for name, text in rows.items())
    return _safe("{" + ",\n".join(lists) + "}\n")


_ROW = json.JSONEncoder(ensure_ascii=False)


def _safe(text: str) -> str:
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text

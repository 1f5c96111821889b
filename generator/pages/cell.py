"""A cell as a reader sees it: code, outputs, one quiet badge, and the evidence behind the badge."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape

from generator.memo import digest
from generator.model import (
    Cell,
    CellResult,
    Check,
    Comparison,
    Frame,
    OutPath,
    Output,
    ProgramResult,
    RunLog,
    Unstable,
    Verdict,
)
from generator.pages.figures import adapted, is_adapted
from generator.syntax import math, sanitize
from generator.syntax.highlight import highlight

_IMAGES = {"image/svg+xml": "svg", "image/png": "png", "image/jpeg": "jpg", "image/gif": "gif"}
_SHOWN_AS_TEXT = frozenset({"text/plain", "text/markdown", "text/latex"})
_SCRIPT = re.compile(r"<script[\s/>]", re.IGNORECASE)
_NAMELESS = re.compile(r"<[\w.]+ object>")
_SVG_SIZE = re.compile(r'<svg[^>]*?\bwidth="([\d.]+)(pt|px)?"[^>]*?\bheight="([\d.]+)(pt|px)?"')
_EXPLAINED = {
    "ran": "this cell ran cleanly when the garden was built",
    "matches": "this cell ran, and what it gave is what its author wrote down",
    "stable": "this cell's digits survived runs under other instruction sets, thread counts and hash seeds",
    "checked": "independent mathematics agreed with this cell",
    "recorded": "accepted from an earlier run, with nothing independent behind it",
    "stale": "this cell has changed since it last ran",
    "failed": "this cell failed, or gave something other than its author wrote down",
    "not-run": "this cell has not been run",
}


@dataclass(frozen=True, slots=True)
class Places:
    """Where cells are: the path of their note, the line at which the code of each starts, and path and line
    of those that the note borrows."""

    path: str
    lines: tuple[int, ...]
    borrowed: tuple[tuple[str, int], ...] = ()

    def of(self, cell: int, line: int) -> str:
        """The place of a line within a cell, as an editor can open it."""
        if 0 <= cell < len(self.lines):
            return f"{self.path}:{self.lines[cell] + max(line, 1) - 1}"
        if 0 < -cell <= len(self.borrowed):
            path, first = self.borrowed[-1 - cell]
            return f"{path}:{first + max(line, 1) - 1}"
        return self.path


def cell_html(
    cell: Cell,
    i: int,
    result: ProgramResult,
    verdict: Verdict,
    *,
    root: str,
    identity: str,
    places: Places,
    result_first: bool = False,
) -> str:
    """The markup of cell `i`. `identity` is its id attribute, `root` leads to the site's root. With
    `result_first` it is shown for what it gave: the code is folded, if there is anything else."""
    outcome = result.results[i]
    hide = cell.options.hide
    if result_first and outcome.outputs:
        hide = "input"
    listing = f'<pre class="highlight" tabindex="0"><code>{highlight(cell.code, "python")}</code></pre>'
    code = f'<div class="cell-code">{listing}</div>'
    if hide in ("input", "both") and not cell.options.check:
        code = f'<details class="cell-hidden"><summary>Code</summary>{code}</details>'
    dim = outcome.audit.unstable if outcome.audit else ()
    shown = "".join(
        _output(output, root, cell.label, places, tuple(one for one in dim if one.output == k))
        for k, output in enumerate(outcome.outputs)
    )
    shown += _instead(cell, outcome, verdict, places, i)
    output = f'<div class="cell-output">{shown}</div>' if shown else ""
    if cell.options.check:
        code, output = _folded(code + output, verdict), ""
    elif shown and hide in ("output", "both"):
        output = f'<details class="cell-hidden"><summary>Output</summary>{output}</details>'
    return (
        f'<figure class="cell" data-label="{escape(cell.label)}" data-grade="{verdict.grade}"{identity}>'
        f"{code}{output}{_evidence(cell, outcome, verdict, result.log, i, places.path, root)}</figure>"
    )


def _folded(inner: str, verdict: Verdict) -> str:
    """A check cell, of which a reader sees only that it is there and what became of it; open if it failed."""
    held = sum(check.outcome == "held" for check in verdict.checks)
    count = f", {held} of {len(verdict.checks)} held" if verdict.checks else ""
    state = " open" if verdict.grade == "failed" else ""
    return f'<details class="cell-hidden cell-check"{state}><summary>Check{count}</summary>{inner}</details>'


def figure_files(results: Iterable[ProgramResult]) -> dict[OutPath, bytes]:
    """The pictures that cells made, each a file named by its content."""
    files = {}
    for result in results:
        for outcome in result.results:
            for output in outcome.outputs:
                picture = _picture(output)
                if picture:
                    mime, data = picture
                    files[_figure_out(mime, data)] = _bytes(mime, data)
    return files


def _picture(output: Output) -> tuple[str, str] | None:
    """The kind of the picture and the data of its file: what the cell made, coloured for the page."""
    data = dict(output.data)
    mime = next((mime for mime in _IMAGES if mime in data), "")
    if mime == "image/svg+xml":
        return mime, adapted(data[mime])
    return (mime, data[mime]) if mime else None


def _bytes(mime: str, data: str) -> bytes:
    if mime == "image/svg+xml":
        return data.encode()
    try:
        return base64.b64decode(data)
    except (binascii.Error, ValueError):
        return b""


def _figure_out(mime: str, data: str) -> OutPath:
    name = hashlib.blake2b(data.encode(), digest_size=10).hexdigest()
    return OutPath(f"figures/{name}.{_IMAGES[mime]}")


def _output(
    output: Output, root: str, label: str, places: Places, unstable: tuple[Unstable, ...] = ()
) -> str:
    """One output; the digits of its text that are `unstable` are dimmed."""
    if output.kind == "stream":
        return f'<pre class="stream {escape(output.name)}" tabindex="0">{_text(output.text, unstable)}</pre>'
    if output.kind == "error":
        return f'<pre class="traceback" tabindex="0">{_text(traceback_text(output, places))}</pre>'
    data = dict(output.data)
    picture = _picture(output)
    if picture:
        return _figure(*picture, root, label)
    if "text/html" in data:
        return _rich(data["text/html"])
    if "text/latex" in data:
        mathml, _ = math.render(data["text/latex"].strip().strip("$").strip(), True)
        if mathml:
            return f'<div class="math">{mathml}</div>'
    return _plain(data, unstable) + "".join(
        f'<p class="cell-notice">An output of type {escape(mime)} is not shown.</p>'
        for mime in data
        if mime not in _SHOWN_AS_TEXT
    )


def _rich(html: str) -> str:
    """What a cell gave as HTML; and where there is a script in it, a line that says what became of it."""
    shown = f'<div class="rich" tabindex="0">{sanitize.clean_output(html)}</div>'
    if not _SCRIPT.search(html):
        return shown
    return f'{shown}<p class="cell-notice">A script in this output is left out.</p>'


def _plain(data: dict[str, str], unstable: tuple[Unstable, ...]) -> str:
    text = data.get("text/markdown") or data.get("text/plain", "")
    if len(data) > 1 and _NAMELESS.fullmatch(text):  # what IPython says of an object that is shown otherwise
        return ""
    known = unstable if text == data.get("text/plain") else ()
    return f'<pre class="result" tabindex="0">{_text(text, known)}</pre>' if text else ""


def _text(text: str, unstable: tuple[Unstable, ...] = ()) -> str:
    text = text.rstrip("\n")
    parts, at = [], 0
    for one in unstable:
        dimmed = escape(text[one.start : one.end], quote=False)
        title = escape(f"Digits that come out otherwise elsewhere: {one.why}")
        parts += [
            escape(text[at : one.start], quote=False),
            f'<span class="unstable" title="{title}">{dimmed}</span>',
        ]
        at = one.end
    return "".join([*parts, escape(text[at:], quote=False)])


def _figure(mime: str, data: str, root: str, label: str) -> str:
    width, height = _size(mime, data)
    size = f' width="{width}" height="{height}"' if width and height else ""
    source = root + _figure_out(mime, data)
    alt = f"Figure made by the cell {label}"
    kind = "figure adapted" if mime == "image/svg+xml" and is_adapted(data) else "figure"
    return f'<img class="{kind}" src="{source}" alt="{escape(alt)}"{size} loading="lazy">'


def _size(mime: str, data: str) -> tuple[int, int]:
    """Width and height in CSS pixels, so that the page does not move when the picture arrives."""
    if mime == "image/svg+xml":
        found = _SVG_SIZE.search(data[:2000])
        if not found:
            return 0, 0
        scale = 4 / 3 if found[2] == "pt" else 1
        return round(float(found[1]) * scale), round(float(found[3]) * scale)
    raw = _bytes(mime, data[:64])
    if mime == "image/png" and raw[:8] == b"\x89PNG\r\n\x1a\n":
        return int.from_bytes(raw[16:20], "big"), int.from_bytes(raw[20:24], "big")
    return 0, 0


def traceback_text(output: Output, places: Places) -> str:
    """A traceback with lines of the note's file, as an editor can open them."""
    shown = [_frame(frame, places) for frame in output.frames]
    return "\n".join([*shown, f"{output.name}: {output.text}" if output.text else output.name])


def _frame(frame: Frame, places: Places) -> str:
    place = f"{frame.file}:{frame.line}" if frame.cell is None else places.of(frame.cell, frame.line)
    where = "" if frame.function in ("", "<module>") else f", in {frame.function}"
    return f"{place}{where}" + (f"\n    {frame.code}" if frame.code else "")


def _instead(cell: Cell, outcome: CellResult, verdict: Verdict, places: Places, i: int) -> str:
    """What stands below, or in place of, the outputs: why there is none, or what did not match."""
    if outcome.status in ("skipped", "not-run", "stale", "blocked"):
        recorded = (
            f'<pre class="result expected" tabindex="0">{_text(cell.expected)}</pre>' if cell.expected else ""
        )
        return f'<p class="cell-notice">{escape(outcome.message or "not run")}</p>{recorded}'
    if verdict.grade != "failed":
        return ""
    said = f"{places.of(i, verdict.line or outcome.line)}: {verdict.message or outcome.message}"
    code = "cell-mismatch" if outcome.status == "ok" else "cell-failed"
    return f'<p class="problem" data-code="{code}">{escape(said)}</p>'


# ---------------------------------------------------------------- evidence


def has_run(outcome: CellResult, log: RunLog) -> bool:
    """Whether a cell was run, now or earlier."""
    return bool(log.when) and outcome.status not in ("not-run", "stale", "skipped", "blocked")


def moment(when: str) -> str:
    """The time of a run, for people."""
    return when.replace("T", " ").replace("+00:00", " UTC").replace("Z", " UTC")


def again(path: str, label: str) -> str:
    """The command that runs a note up to one of its cells again, whatever is remembered."""
    return shlex.join(["python", "build.py", "verify", f"{path}#{label}"])


def _evidence(
    cell: Cell, outcome: CellResult, verdict: Verdict, log: RunLog, i: int, path: str, root: str
) -> str:
    facts = "".join(
        f"<dt>{escape(name)}</dt><dd>{value}</dd>" for name, value in _facts(cell, outcome, log, i, path)
    )
    new = verdict.message and verdict.message != outcome.message  # the notice below the code has said that
    said = f'<p class="verdict">{escape(verdict.message)}</p>' if new else ""
    unchecked = "".join(f"<li>{escape(sentence)}</li>" for sentence in verdict.unchecked)
    shown = verdict.grade.replace("-", " ")
    badge = f'<summary class="cell-badge" title="{escape(_EXPLAINED[verdict.grade])}">'
    return (
        f'<details class="cell-evidence">{badge}<span class="grade">{shown}</span></summary>{said}'
        + (f"<dl>{facts}</dl>" if facts else "")
        + _comparisons(verdict.comparisons)
        + _checks(verdict.checks)
        + (f'<p>Not checked:</p><ul class="unchecked">{unchecked}</ul>' if unchecked else "")
        + f'<p><a href="{root}ledger.html">All cells of the garden</a></p></details>'
    )


def _facts(cell: Cell, outcome: CellResult, log: RunLog, i: int, path: str) -> list[tuple[str, str]]:
    """What is known of the run, the values as markup. Whether the result came from the cache is not said: the
    date of the run says it better, and a page must not change because it was built twice."""
    command = [("Run again", f"<code>{escape(again(path, cell.label), quote=False)}</code>")]
    if not has_run(outcome, log):
        return command
    seconds = f"{log.seconds[i]:.3g} s" if i < len(log.seconds) else ""
    audit = outcome.audit
    versions = ", ".join(f"{name} {version}" for name, version in log.versions)
    facts = [
        ("Took", seconds),
        ("Run after commit", log.commit),
        ("Device", log.device),
        ("Versions", versions),
        ("Run by", log.executor),
        ("Isolation", log.isolation),
        ("Also run under", ", ".join(audit.under) if audit else ""),
        ("Keys", f"run {log.key[:16]}, judged {_judged(cell, log)[:16]}" if log.key else ""),
    ]
    when = f'<time datetime="{escape(log.when)}" data-age>{escape(moment(log.when))}</time>'
    known = [(name, escape(value, quote=False)) for name, value in facts if value]
    return [("Last run", when), *known, *command]


def _judged(cell: Cell, log: RunLog) -> str:
    """The verification key: of the run, and of what it was held against."""
    return digest((log.key, cell.code, cell.expected, cell.options.rtol, cell.options.atol))


_CHECKED = ("check", "of", "outcome", "expected", "found", "error", "tolerance")


def _checks(checks: tuple[Check, ...]) -> str:
    """What independent calculations were held against the cell, whatever came of them."""
    if not checks:
        return ""
    rows = "".join(
        f'<tr data-held="{str(one.outcome != "failed").lower()}">'
        + "".join(
            f"<td>{escape(text)}</td>"
            for text in (
                *(one.kind, one.what, one.outcome),
                *(one.expected, one.actual, one.error, one.tolerance),
            )
        )
        + "</tr>"
        for one in checks
    )
    head = "".join(f"<th>{name}</th>" for name in _CHECKED)
    table = f'<table class="comparisons checks"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'
    return f'<div class="table" tabindex="0" role="group" aria-label="Checks">{table}</div>'


def _comparisons(comparisons: tuple[Comparison, ...]) -> str:
    if not comparisons:
        return ""
    rows = "".join(
        f'<tr data-held="{str(one.held).lower()}"><td>{escape(one.what)}</td><td>{escape(one.expected)}</td>'
        f"<td>{escape(one.actual)}</td><td>{escape(one.error)}</td><td>{escape(one.tolerance)}</td></tr>"
        for one in comparisons
    )
    head = "".join(
        f"<th>{name}</th>" for name in ("compared", "written", "found", "relative error", "tolerance")
    )
    table = f'<table class="comparisons"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'
    return f'<div class="table" tabindex="0" role="group" aria-label="Comparisons">{table}</div>'

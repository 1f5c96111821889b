"""The values that travel through a build.

A build is a function from files to files; everything on the way is one of the small values below.
All of them are frozen and hold only strings, numbers, tuples and each other, so that two equal
inputs have equal digests and no room can change what another room has made.

Two conventions hold everywhere:

* **Positions travel beside a value, never inside it.** A blank line added at the top of a note moves
  every line number but changes no `Note`; positions are in `Spans`, parallel to the note's tuples.
* **Bad input is a value** (`Problem`), not an exception. An exception is a bug of ours.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NewType

Slug = NewType("Slug", str)
"""Address of a note inside the site without its suffix: `ml/nngp`. NFC, lower case, no spaces, never
empty, never starts or ends with a slash; two published notes never share one."""

OutPath = NewType("OutPath", str)
"""Path of a file inside the site, POSIX, relative to its root: `ml/nngp.html`."""

Severity = Literal["error", "warning", "info"]
Grade = Literal["failed", "stale", "not-run", "recorded", "ran", "matches", "stable", "checked"]

GRADES: tuple[Grade, ...] = (
    "failed",
    "stale",
    "not-run",
    "recorded",
    "ran",
    "matches",
    "stable",
    "checked",
)
"""Weakest first: a note's grade is the first of these that one of its cells has."""


def slugify(text: str) -> str:
    """The address form of one name: NFC, lower case, runs of anything but letters, digits, `_`, `.`, `~`
    become one `-`; never empty. `"Covariance matrix"` → `"covariance-matrix"`."""
    words = "".join(
        c if c.isalnum() or c in "_.~" or unicodedata.category(c)[0] == "M" else "-"
        for c in unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).lower())
    )
    return "-".join(part for part in words.split("-") if part).strip(".") or "-"


def slug_of(path: str) -> Slug:
    """The slug of the note at `path` (relative to the vault): each part slugified, the suffix dropped."""
    stem = path.removesuffix(".md").removesuffix(".ipynb").strip("/")
    return Slug("/".join(slugify(part) for part in stem.split("/") if part) or "-")


def anchor_of(text: str) -> str:
    """The anchor of a heading, as GitHub makes it: lower case, punctuation dropped, spaces to hyphens."""
    kept = "".join(
        c for c in text.strip().lower() if c.isalnum() or c in " -_" or unicodedata.category(c)[0] == "M"
    )
    return unicodedata.normalize("NFC", "-".join(kept.split())) or "section"


def block_id_of(name: str) -> str:
    """The block id that a MyST target becomes: `(sec:first_steps)=` is `sec-first-steps`."""
    return "-".join("".join(c if c.isalnum() else " " for c in name).split())


MEDIA = {
    **dict.fromkeys(("png", "jpg", "jpeg", "gif", "svg", "webp", "avif", "bmp", "ico"), "image"),
    **dict.fromkeys(("mp3", "wav", "ogg", "m4a", "flac", "opus", "3gp"), "audio"),
    **dict.fromkeys(("mp4", "webm", "ogv", "mov", "mkv", "m4v"), "video"),
    "pdf": "pdf",
}
"""What an embedded file is shown as, by its extension; a target that is not here is a note or a download."""


def media_kind(target: str) -> str:
    """`image`, `audio`, `video`, `pdf`, or `""` for everything else, from the extension of a target."""
    stem, dot, extension = target.rpartition(".")
    return MEDIA.get(extension.lower(), "") if dot and stem else ""


class Html(str):
    """Markup that is safe to put into a page as it stands.

    Jinja's autoescape leaves a value with `__html__` alone, so this type is the only way for markup
    to enter a page. It is made where Markdown is rendered and where pages fill its holes.
    """

    __slots__ = ()

    def __html__(self) -> str:
        return self


# ---------------------------------------------------------------- what is on disk


@dataclass(frozen=True, slots=True)
class Span:
    """A place in a source file: `line` and `col` count from 1; 0 means "the file as a whole"."""

    line: int
    col: int = 1


@dataclass(frozen=True, slots=True)
class Source:
    """A note as it is on disk: `path` is POSIX, relative to the vault, NFC; `text` has no BOM, `\\n` only.

    `created` and `modified` are ISO 8601 dates known from outside the text (git or the file system),
    or None; properties of the note take precedence.
    """

    path: str
    text: str
    created: str | None = None
    modified: str | None = None


@dataclass(frozen=True, slots=True)
class Asset:
    """A file of the vault that is not a note. `digest` is of its bytes; they are copied by `disk`."""

    path: str
    size: int
    digest: str


@dataclass(frozen=True, slots=True)
class Vault:
    """A folder of notes, scanned: sources and assets in path order, and what was bad on the way."""

    sources: tuple[Source, ...]
    assets: tuple[Asset, ...]
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with the input, said to its author.

    `code` is stable and kebab-case; `path` is relative to the vault; `message` says what and why in one
    sentence; `hint` says what to try.
    """

    code: str
    severity: Severity
    path: str
    span: Span
    message: str
    hint: str = ""


# ---------------------------------------------------------------- a note, parsed


@dataclass(frozen=True, slots=True)
class IdHole:
    """Where an element of the note gets its id: filled with a whole ` id="…"` attribute, or with
    something else where the fragment is shown away from its page."""

    name: str


@dataclass(frozen=True, slots=True)
class LinkHole:
    """Where link `i` of the note begins: filled with an opening tag (and the target's title if the
    author gave no text)."""

    i: int


@dataclass(frozen=True, slots=True)
class LinkEnd:
    """Where link `i` of the note ends."""

    i: int


@dataclass(frozen=True, slots=True)
class UrlHole:
    """Inside an attribute of the author's raw HTML: filled with the escaped URL of link `i`."""

    i: int


@dataclass(frozen=True, slots=True)
class EmbedHole:
    """Where the target of link `i` (of kind `embed`) is shown."""

    i: int


@dataclass(frozen=True, slots=True)
class CellHole:
    """Where cell `i` of the note, with its outputs and badge, is shown."""

    i: int


@dataclass(frozen=True, slots=True)
class FootnoteHole:
    """The `n`-th reference (from 0) to footnote `i` of the note."""

    i: int
    n: int


@dataclass(frozen=True, slots=True)
class TagHole:
    """A tag in running text, as written, without its `#`."""

    name: str


@dataclass(frozen=True, slots=True)
class ValueHole:
    """Where inline value `i` of the note is shown; `bare`: within a link, where no other link may be."""

    i: int
    bare: bool = False


Hole = IdHole | LinkHole | LinkEnd | UrlHole | EmbedHole | CellHole | FootnoteHole | TagHole | ValueHole
Body = tuple[str | Hole, ...]
"""HTML with holes. The strings are safe markup; holes are filled once the whole garden is known."""


@dataclass(frozen=True, slots=True)
class Range:
    """`body[start:stop]`: a balanced part of a note's body."""

    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading: `text` without markup, `anchor` unique in the note, `section` up to the next heading of
    the same or a higher level (the heading itself included)."""

    level: int
    text: str
    anchor: str
    section: Range


@dataclass(frozen=True, slots=True)
class Block:
    """A block that can be linked to: `id` without its caret. `anchor` in the page is `^id`."""

    id: str
    range: Range


@dataclass(frozen=True, slots=True)
class Footnote:
    """A footnote: `label` as the author wrote it (`""` for an inline one), shown as `number`, cited `refs`
    times; `range` is its place in the note's body, behind the main text."""

    label: str
    number: int
    refs: int
    range: Range


LinkKind = Literal["link", "embed", "property", "uses"]


@dataclass(frozen=True, slots=True)
class Link:
    """A link to something inside the vault, as written: unresolved.

    `target`   the note or file named, without anchor; `""` is this note.
    `anchor`   headings from the outermost to the innermost, or `("^id",)` for a block, or `()`.
    `text`     the words of the link, without markup; None where the author gave none.
    `style`    `wiki` for `[[…]]`, `markdown` for `[…](…)` (percent-decoded), `html` for raw HTML.
    `context`  the rendered block around the link, a part of the note's body; None for properties.
    `options`  sorted pairs: of an embed `width`, `height`, `alt`, `page`; of a Markdown link `title`;
               of one written as a role of MyST `role` (`doc`, `ref`);
               of a property `key`.
    """

    kind: LinkKind
    target: str
    anchor: tuple[str, ...] = ()
    text: str | None = None
    style: Literal["wiki", "markdown", "html"] = "wiki"
    context: Range | None = None
    options: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class CellOptions:
    """What the author asked of a cell with `#|` lines (or MyST tags that mean the same). `deps` names files
    that the cell reads where nothing can see it."""

    hide: Literal["", "input", "output", "both"] = ""
    raises: str = ""
    skip: str = ""
    timeout: float | None = None
    check: bool = False
    rtol: float | None = None
    atol: float | None = None
    export: bool = False
    needs: str = ""
    gradcheck: str = ""
    deps: str = ""


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell that the build runs.

    `code` is shown and run, without its option lines; `label` is a block id of the note (made up as
    `cell-N`, N from 1, where the author gave none); `expected` is the text of the `output` fence
    that follows it, or None. Expectations written as `# =>` comments are inside `code`.

    What an executor is given may say more: `source` is the path of the note that a borrowed cell is from
    (empty for the program's own), `values` are expressions to evaluate once the cell has run.
    """

    code: str
    label: str
    options: CellOptions = CellOptions()
    expected: str | None = None
    language: str = "python"
    source: str = ""
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Inline:
    """An expression within a sentence, `` `{python} float(nll)` ``, whose value is shown in its place. It is
    evaluated once the first `after` cells of the note have run."""

    code: str
    after: int


@dataclass(frozen=True, slots=True)
class Note:
    """A parsed note: everything that one file says, knowing nothing of other files.

    `body` holds the main text in `body[:main]` and the footnotes behind it.
    `properties` holds front matter that the generator does not interpret, as sorted pairs of key and
    text. `external` are the addresses outside the garden that it links to, in source order.
    `summary` is a plain-text description: the property or the first paragraph. `diagrams`: whether the note
    has any, which the reader's browser draws. `ids` are those of elements in the author's raw HTML, as they
    stand in the page. `deps` are files that its cells read where nothing can see it.
    """

    path: str
    slug: Slug
    title: str
    body: Body
    main: int
    aliases: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    created: str | None = None
    modified: str | None = None
    summary: str = ""
    lang: str | None = None
    image: str | None = None
    cssclasses: tuple[str, ...] = ()
    redirects: tuple[str, ...] = ()
    properties: tuple[tuple[str, str], ...] = ()
    published: bool = True
    headings: tuple[Heading, ...] = ()
    blocks: tuple[Block, ...] = ()
    footnotes: tuple[Footnote, ...] = ()
    links: tuple[Link, ...] = ()
    cells: tuple[Cell, ...] = ()
    kernel: str = "python3"
    external: tuple[str, ...] = ()
    words: int = 0
    diagrams: bool = False
    ids: tuple[str, ...] = ()
    values: tuple[Inline, ...] = ()
    deps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Spans:
    """Where things of a note are in its file; each tuple is parallel to the note's tuple of that name.

    A cell's span is the line of its first line of `code`.
    """

    links: tuple[Span, ...] = ()
    cells: tuple[Span, ...] = ()
    headings: tuple[Span, ...] = ()
    blocks: tuple[Span, ...] = ()
    values: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True)
class Parsed:
    """What parsing one source gives. `digest` is that of all it was made from: two of the same digest differ
    at most in the address that the note was given afterwards."""

    note: Note
    spans: Spans = Spans()
    problems: tuple[Problem, ...] = ()
    digest: str = ""


# ---------------------------------------------------------------- links, resolved

Doubt = Literal["", "case", "title", "basename", "heading", "block"]
"""Why a found target deserves a warning: reached only by folding case (no warning, only a fact), by its
title, by its basename though a path was written; or the note was found but not the heading or block."""


@dataclass(frozen=True, slots=True)
class Found:
    """A link that leads to a note. `anchor` is an id in its page, or `""`; `label` is what to show where
    the author gave no text (`Title` or `Title › Heading`)."""

    slug: Slug
    title: str
    anchor: str
    label: str
    doubt: Doubt = ""


@dataclass(frozen=True, slots=True)
class FoundAsset:
    """A link that leads to a file of the vault which is not a note."""

    path: str
    doubt: Doubt = ""


@dataclass(frozen=True, slots=True)
class Missing:
    """A link that leads nowhere; `near` are up to three paths or titles that the author may have meant;
    `why` is `""`, or `outside` where the path leaves the vault."""

    near: tuple[str, ...] = ()
    why: Literal["", "outside"] = ""


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """A link that several notes or files answer to: the one chosen by the rule, and all candidates' paths."""

    chosen: Found | FoundAsset
    candidates: tuple[str, ...]


Resolution = Found | FoundAsset | Missing | Ambiguous


# ---------------------------------------------------------------- cells, run and judged


@dataclass(frozen=True, slots=True)
class Borrowed:
    """An exported cell of the note at `path`, which runs before the cells of a note that uses it. `line` is
    where its code starts there (a position)."""

    path: str
    line: int
    cell: Cell


@dataclass(frozen=True, slots=True)
class Program:
    """The cells of one note, to be run top to bottom in one fresh process.

    `path` is shown in tracebacks; `lines[i]` is the line of the note at which the code of cell `i`
    starts (a position: it is no part of an execution key). The cells of `prelude` run first, in the same
    namespace; `values` are evaluated between the cells. `deps` are inputs that the note declares, relative to
    its folder or, after a slash, to the vault's.
    """

    slug: Slug
    path: str
    cells: tuple[Cell, ...]
    lines: tuple[int, ...]
    kernel: str = "python3"
    prelude: tuple[Borrowed, ...] = ()
    values: tuple[Inline, ...] = ()
    deps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Frame:
    """One line of a traceback. Inside a cell: `cell` is its index and `line` counts from 1 within it; cell
    `k` of the prelude has the index `-1 - k`. Elsewhere `cell` is None and `file` a path without any
    machine-specific part."""

    cell: int | None
    line: int
    file: str
    function: str
    code: str


@dataclass(frozen=True, slots=True)
class Output:
    """One output of a cell, after nbformat v4.

    `stream`: `name` is stdout or stderr, `text` what was written. `result` and `display`: `data` are
    pairs of MIME type and text (binary types in base64), sorted. `error`: `name` is the exception's
    class, `text` its message, `frames` the traceback, outermost first.
    """

    kind: Literal["stream", "result", "display", "error"]
    name: str = ""
    text: str = ""
    data: tuple[tuple[str, str], ...] = ()
    frames: tuple[Frame, ...] = ()


@dataclass(frozen=True, slots=True)
class Observation:
    """What one statement with a `# =>` expectation did: `line` within the cell, `printed` its standard
    output, `value` the repr of its value (None for a statement without one)."""

    line: int
    printed: str
    value: str | None


@dataclass(frozen=True, slots=True)
class Check:
    """One independent calculation that was held against a cell, in the cell's own process.

    `kind` names the method (`gradient`, `equal`, `closed form`, `sampling`, `residual`, `convergence`),
    `what` its object in one phrase. `error` is what was observed and `tolerance` what was allowed, as
    text; `why` one sentence for a check that failed or was skipped; `line` within the cell (0: all of it).
    """

    kind: str
    what: str
    outcome: Literal["held", "failed", "skipped"]
    expected: str = ""
    actual: str = ""
    error: str = ""
    tolerance: str = ""
    why: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True)
class Unstable:
    """Digits that came out otherwise in other surroundings: characters `start` to `end` of the text of output
    number `output` of a cell. `why` says where, and what came out there."""

    output: int
    start: int
    end: int
    why: str


@dataclass(frozen=True, slots=True)
class Audit:
    """What running a cell again in other surroundings gave: `under` names those, `when` is the date.

    It speaks of the outputs whose text has the digest `text`, and of no others. `numbers` is how many numbers
    were compared; `why` is one sentence where a cell failed, or gave other text, in some surroundings.
    """

    under: tuple[str, ...]
    text: str
    numbers: int = 0
    unstable: tuple[Unstable, ...] = ()
    why: str = ""
    when: str = ""


@dataclass(frozen=True, slots=True)
class Value:
    """What an inline expression gave: its text, or `message`, one sentence that says what went wrong. It is
    `not-run` where the cell before it did not come to its end."""

    status: Literal["ok", "error", "not-run"] = "not-run"
    text: str = ""
    message: str = ""


CellStatus = Literal["ok", "error", "timeout", "killed", "memory", "skipped", "blocked", "not-run", "stale"]
"""`blocked`: an earlier cell of the note failed. `killed`: the process went away (signal, exit).
`memory`: it ran out of memory. `not-run`: nothing was asked to run. `stale`: frozen, and no valid result."""


@dataclass(frozen=True, slots=True)
class CellResult:
    """What running one cell gave. `message` is one plain sentence for every status but `ok`; `line` is the
    line within the cell that it is about (0: the whole cell).

    The rest is known from evidence that is kept beside the notes: `audit`; `accepted`, marks of the
    expectations that were written from an earlier run; `recorded`, whether all of this comes from there.
    An executor puts into `values` what the cell's own gave.
    """

    status: CellStatus
    outputs: tuple[Output, ...] = ()
    observations: tuple[Observation, ...] = ()
    message: str = ""
    line: int = 0
    checks: tuple[Check, ...] = ()
    audit: Audit | None = None
    accepted: tuple[str, ...] = ()
    recorded: bool = False
    values: tuple[Value, ...] = ()


@dataclass(frozen=True, slots=True)
class RunLog:
    """The circumstances of a run: times and surroundings, never part of a result's identity.

    `when` is the UTC date and time of the real run (ISO 8601, seconds); `seconds` per cell; `commit` the
    last commit before it, empty if there is none.
    """

    when: str = ""
    seconds: tuple[float, ...] = ()
    executor: str = ""
    isolation: str = ""
    device: str = ""
    versions: tuple[tuple[str, str], ...] = ()
    key: str = ""
    cached: bool = False
    commit: str = ""


@dataclass(frozen=True, slots=True)
class ProgramResult:
    """The results of one note's program, one for each of its cells; and in `prelude` and `values`, one for
    each of those, or nothing where nothing ran. Of what a borrowed cell put out only errors are kept."""

    slug: Slug
    results: tuple[CellResult, ...]
    log: RunLog = RunLog()
    prelude: tuple[CellResult, ...] = ()
    values: tuple[Value, ...] = ()


@dataclass(frozen=True, slots=True)
class Comparison:
    """One expectation held against what happened. `line` is within the cell (0: its `output` fence);
    `error` is the largest relative error among the numbers compared, `tolerance` what was allowed,
    both as text."""

    line: int
    what: str
    expected: str
    actual: str
    held: bool
    error: str = ""
    tolerance: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What may be said of a cell: its grade, why, what was compared, and what was not checked."""

    grade: Grade
    message: str = ""
    line: int = 0
    comparisons: tuple[Comparison, ...] = ()
    unchecked: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()


# ---------------------------------------------------------------- pages


@dataclass(frozen=True, slots=True)
class Ref:
    """A note, tag or page as another page names it. `href` is relative to the page it is shown on; `risk`:
    whether it is a note that stands on cells that failed."""

    title: str
    href: str
    slug: str = ""
    grade: str = ""
    count: int = 0
    date: str = ""
    risk: bool = False


@dataclass(frozen=True, slots=True)
class TocEntry:
    level: int
    text: str
    href: str


@dataclass(frozen=True, slots=True)
class Backlink:
    """A note that links here, and the rendered blocks around its links, the links marked, in source order.
    `kinds` says how (link, embed, property, uses)."""

    source: Ref
    contexts: tuple[Html, ...]
    kinds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FootnoteView:
    """`anchor` is the id of the footnote, `backrefs` the hrefs of its references."""

    number: int
    anchor: str
    html: Html
    backrefs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EvidenceView:
    """What the evidence panel of a cell says; every entry is plain text, `facts` are label and value."""

    facts: tuple[tuple[str, str], ...]
    comparisons: tuple[Comparison, ...]
    unchecked: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CellView:
    """A cell as shown. `code` is highlighted; `outputs` are safe markup, in order; `id` is the attribute
    value (empty where the cell is shown away from its page); `notice` says why a cell did not run."""

    label: str
    id: str
    grade: Grade
    message: str
    code: Html
    outputs: tuple[Html, ...]
    hide: Literal["", "input", "output", "both"]
    evidence: EvidenceView
    notice: str = ""


@dataclass(frozen=True, slots=True)
class NotePage:
    """Everything the template of a note needs.

    `uses` are the notes whose cells run before this one's, `risks` the failed cells that it stands on;
    `users` are the notes whose cells use this one's; `mentions` some of the `mention_count` notes that speak
    of it without a link; `image` is an absolute address, or empty; `linked` leads to the page of all
    backlinks where these are not all, `notebook` to the executed notebook.
    """

    slug: Slug
    title: str
    lang: str
    description: str
    grade: str
    created: str
    modified: str
    tags: tuple[Ref, ...]
    aliases: tuple[str, ...]
    cssclasses: tuple[str, ...]
    toc: tuple[TocEntry, ...]
    body: Html
    footnotes: tuple[FootnoteView, ...]
    backlinks: tuple[Backlink, ...]
    problems: tuple[Problem, ...]
    words: int = 0
    users: tuple[Ref, ...] = ()
    mentions: tuple[Backlink, ...] = ()
    mention_count: int = 0
    related: tuple[Ref, ...] = ()
    image: str = ""
    uses: tuple[Ref, ...] = ()
    risks: tuple[Ref, ...] = ()
    linked: Ref | None = None
    notebook: str = ""


@dataclass(frozen=True, slots=True)
class LinkedPage:
    """Everything that links to `note`, where that is too much for its own page."""

    note: Ref
    backlinks: tuple[Backlink, ...]


@dataclass(frozen=True, slots=True)
class PreviewPage:
    """The fragment shown when a link to a note is hovered: ids are `data-anchor` attributes in `body`.
    `risk`: whether the note stands on cells that failed."""

    slug: Slug
    title: str
    grade: str
    body: Html
    risk: bool = False


@dataclass(frozen=True, slots=True)
class ListGroup:
    title: str
    refs: tuple[Ref, ...]


@dataclass(frozen=True, slots=True)
class Wish:
    """A note that is linked to and not written: what it is called, and the notes that link to it."""

    title: str
    sources: tuple[Ref, ...]


@dataclass(frozen=True, slots=True)
class ListPage:
    """A page that lists notes: one tag, all tags, all notes. `intro` is one plain sentence; `ways` lead to
    the other lists of the garden; `wishes` are the notes that are missing."""

    title: str
    intro: str
    groups: tuple[ListGroup, ...]
    children: tuple[Ref, ...] = ()
    ways: tuple[Ref, ...] = ()
    wishes: tuple[Wish, ...] = ()


@dataclass(frozen=True, slots=True)
class RedirectPage:
    """An old address of a note: `target` is relative to this page, `canonical` is absolute where known."""

    title: str
    target: str


@dataclass(frozen=True, slots=True)
class MessagePage:
    """A page with one message: the 404."""

    title: str
    message: str


@dataclass(frozen=True, slots=True)
class GraphRow:
    """A note and those it is linked with, either way; `more` are not named."""

    note: Ref
    near: tuple[Ref, ...]
    more: int = 0


@dataclass(frozen=True, slots=True)
class GraphPage:
    """The page of the map, and what it says in words. `rest` is how many notes the rows leave out."""

    title: str
    intro: str
    rows: tuple[GraphRow, ...]
    rest: int = 0


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """A cell in the ledger. `when` is the time of its last real run (empty if there is none), `shown_when`
    the same for people; `compared` says how many comparisons and checks were made, `again` how to repeat
    them."""

    note: Ref
    label: str
    href: str
    grade: Grade
    message: str
    when: str
    shown_when: str
    seconds: float | None
    executor: str
    device: str
    isolation: str
    compared: int
    unchecked: tuple[str, ...]
    again: str


@dataclass(frozen=True, slots=True)
class LedgerPage:
    """The ledger: how many cells have each grade, and the cells. `rest` is how many are left out."""

    title: str
    intro: str
    counts: tuple[tuple[Grade, int], ...]
    rows: tuple[LedgerRow, ...]
    rest: int = 0


@dataclass(frozen=True, slots=True)
class Page:
    """A page to be rendered with `templates/<template>.html`. `root` is the relative path from the page to
    the site's root, ending in a slash or empty: `../`."""

    out: OutPath
    template: Literal["note", "preview", "list", "redirect", "message", "graph", "linked", "ledger"]
    root: str
    data: NotePage | PreviewPage | ListPage | RedirectPage | MessagePage | GraphPage | LinkedPage | LedgerPage


# ---------------------------------------------------------------- the result of a build


@dataclass(frozen=True, slots=True)
class Shown:
    """Something computed that a page shows: the output of the cell called `name`, or the value of the code
    `name` in a sentence; or, of kind `code`, an exported cell. `uses` are the paths of the notes that its
    note uses."""

    note: str
    line: int
    kind: Literal["output", "value", "code"]
    name: str
    text: str
    uses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Site:
    """The site: files made by the generator, and assets of the vault to be copied, by their place in it.

    `copies` maps an output path to the vault path of an asset. `programs` are what was run, `shown` what came
    of it. `report` is the part of the contract's JSON report that the garden itself determines, as data.
    """

    files: Mapping[OutPath, bytes]
    copies: dict[OutPath, str] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    programs: tuple[Program, ...] = ()
    report: dict[str, object] = field(default_factory=dict)
    shown: tuple[Shown, ...] = ()

"""Everything the pages are made from, known once the whole garden is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import quote

from generator.mentions import Mentions
from generator.model import (
    Ambiguous,
    Asset,
    Found,
    FoundAsset,
    Grade,
    Missing,
    Note,
    OutPath,
    Problem,
    ProgramResult,
    Resolution,
    Slug,
    Spans,
    Value,
    Verdict,
    slugify,
)


@dataclass(frozen=True, slots=True)
class Place:
    """A cell of the garden: its note, and its number there."""

    slug: Slug
    cell: int


@dataclass(frozen=True, slots=True)
class Derived:
    """A value in a sentence, as far as it may be trusted; `source` is the cell that it comes from."""

    code: str
    value: Value
    grade: Grade
    source: Place | None


@dataclass(frozen=True, slots=True)
class Risk:
    """A cell that failed and that another note stands on: its note and its label."""

    slug: Slug
    label: str


@dataclass(frozen=True, slots=True)
class Garden:
    """The published notes in path order, and what is known of each by its slug.

    `resolutions` are parallel to the note's links, `verdicts` to its cells. `backlinks` are pairs of
    source and index of the link in it, in the order of the sources' paths. `mentions` and `related` leave
    out the notes that have none, and so do `uses` (the cells of other notes that run before a note's own),
    `values` (parallel to the note's) and `risks` (the failed cells that it stands on). `digests` are those of
    what the notes were made from.
    """

    notes: Mapping[Slug, Note]
    spans: Mapping[Slug, Spans]
    resolutions: Mapping[Slug, tuple[Resolution, ...]]
    backlinks: Mapping[Slug, tuple[tuple[Slug, int], ...]]
    results: Mapping[Slug, ProgramResult]
    verdicts: Mapping[Slug, tuple[Verdict, ...]]
    grades: Mapping[Slug, Grade]
    problems: Mapping[Slug, tuple[Problem, ...]]
    assets: Mapping[str, Asset]
    mentions: Mapping[Slug, Mentions] = field(default_factory=dict)
    related: Mapping[Slug, tuple[Slug, ...]] = field(default_factory=dict)
    uses: Mapping[Slug, tuple[Place, ...]] = field(default_factory=dict)
    values: Mapping[Slug, tuple[Derived, ...]] = field(default_factory=dict)
    risks: Mapping[Slug, tuple[Risk, ...]] = field(default_factory=dict)
    digests: Mapping[Slug, str] = field(default_factory=dict)


def out_of(slug: str) -> OutPath:
    """The file of a note's page."""
    return OutPath(slug + ".html")


def preview_of(slug: str) -> OutPath:
    """The file of a note's preview fragment."""
    return OutPath(f"previews/{slug}.html")


def notebook_of(slug: str) -> OutPath:
    """The file of a note's cells and outputs as a notebook."""
    return OutPath(slug + ".ipynb")


def linked_of(slug: str) -> OutPath:
    """The page of all that links to a note, where that is too much for the note's own."""
    return OutPath(f"backlinks/{slug}.html")


def tag_slug(tag: str) -> str:
    """The address of a tag's page: each part slugified, case folded."""
    return "tags/" + "/".join(slugify(part) for part in tag.split("/") if part)


def root_of(out: str) -> str:
    """The relative path from a page to the root of the site: `""` or `../` for each folder."""
    return "../" * out.count("/")


def href(root: str, out: str, anchor: str = "") -> str:
    """A relative URL, percent-encoded, from a page with `root` to a file of the site."""
    fragment = "#" + _quoted(anchor, "-._~!$&'()*+,;=:@/?") if anchor else ""
    return root + _quoted(out, "/-._~!$'()*+,;=@") + fragment


def address(base_url: str, out: str) -> str:
    """The absolute address of a page; "" where it is not known where the site will be."""
    return href(base_url, "" if out == "index.html" else out) if base_url else ""


@lru_cache(maxsize=1 << 16)  # a page names the same few addresses again and again
def _quoted(text: str, safe: str) -> str:
    return quote(text, safe=safe)


def settled(resolution: Resolution) -> Found | FoundAsset | Missing:
    """What a link leads to, an ambiguous one to the target that the rule has chosen."""
    return resolution.chosen if isinstance(resolution, Ambiguous) else resolution

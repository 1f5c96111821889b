"""What a garden offers to programs: a feed of changes, a map of its pages, and all its text in one file.

* `feed.xml`, Atom (RFC 4287): the notes that changed last, whole. `sitemap.xml` (sitemaps.org 0.9): every
  page. Both speak in absolute addresses, so there are none without `base_url`.
* `llms.txt`: the garden's table of contents, a line for each note. `garden.md`: every note, one after the
  other.

No time is "now": a feed is as new as the newest note.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from xml.sax.saxutils import escape, quoteattr

from generator.config import Config
from generator.model import Note, OutPath, Slug
from generator.pages import fill
from generator.pages.garden import Garden, address, href, out_of, tag_slug
from generator.pages.plain import plain

FEED = OutPath("feed.xml")
SITEMAP = OutPath("sitemap.xml")
CONTENTS = OutPath("llms.txt")
EXPORT = OutPath("garden.md")

_LATEST = 20
_MOST = 50_000
"""The sitemap protocol allows no more addresses in one file."""

_NEVER = "1970-01-01T00:00:00Z"
"""The date of a feed without entries, which must have one."""

_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def files(
    garden: Garden, config: Config, lists: Iterable[OutPath], texts: Sequence[bytes]
) -> dict[OutPath, bytes]:
    """All of them. `lists` are the pages that are no notes, `texts` what `text_of` gives for each note, or
    empty where there is no export."""
    made = {CONTENTS: contents(garden, config)}
    if config.base_url:
        made[FEED] = atom(garden, config)
        made |= sitemap(garden, config.base_url, lists)
    files = {out: text.encode() for out, text in made.items()}
    return files | ({EXPORT: export(garden, config, texts)} if config.pages.export else {})


# ---------------------------------------------------------------- for feed readers


def atom(garden: Garden, config: Config) -> str:
    """The feed; `base_url` must be known."""
    dated = [(when, slug) for slug, note in garden.notes.items() if (when := _changed(note))]
    latest = sorted(sorted(dated, key=lambda pair: pair[1]), key=lambda pair: pair[0], reverse=True)[:_LATEST]
    base = config.base_url
    lines = [
        '<?xml version="1.0" encoding="utf-8"?>',
        f'<feed xmlns="http://www.w3.org/2005/Atom" xml:lang={quoteattr(config.lang)}>',
        f"<id>{_xml(base)}</id>",
        f"<title>{_xml(config.title)}</title>",
        *([f"<subtitle>{_xml(config.description)}</subtitle>"] if config.description else ()),
        f'<link rel="self" type="application/atom+xml" href={_attribute(href(base, FEED))}/>',
        f'<link rel="alternate" type="text/html" href={_attribute(base)}/>',
        f"<updated>{latest[0][0] if latest else _NEVER}</updated>",
        f"<author><name>{_xml(config.author or config.title)}</name></author>",
        *(line for when, slug in latest for line in _entry(garden, slug, when, config)),
        "</feed>",
    ]
    return "\n".join(lines) + "\n"


def _entry(garden: Garden, slug: Slug, when: str, config: Config) -> Iterator[str]:
    note, base = garden.notes[slug], config.base_url
    here = address(base, out_of(slug))
    yield f"<entry{f' xml:lang={quoteattr(note.lang)}' if note.lang else ''}>"
    yield f"<id>{_xml(here)}</id>"
    yield f"<title>{_xml(note.title)}</title>"
    yield f'<link rel="alternate" type="text/html" href={_attribute(here)}/>'
    if published := _moment(note.created):
        yield f"<published>{published}</published>"
    yield f"<updated>{when}</updated>"
    for tag in note.tags:
        yield f"<category term={_attribute(tag)} scheme={_attribute(href(base, tag_slug('')))}/>"
    if note.summary:
        yield f"<summary>{_xml(note.summary)}</summary>"
    body = fill.body_elsewhere(garden, note, base, config.limits.embed_depth)
    yield f'<content type="html">{_xml(_bare(body))}</content>'
    yield "</entry>"


_EVIDENCE = re.compile(r"<details class=\"cell-evidence\">.*?</details>", re.DOTALL)
_TAG = re.compile(r"<[^>]*>")
_FOR_OUR_PAGES = re.compile(r" (?:class|tabindex|data-[\w-]+)=\"[^\"]*\"")


def _bare(html: str) -> str:
    """Without what only a page of the garden has a use for: two thirds of a note with cells."""
    return _TAG.sub(_bare_tag, _EVIDENCE.sub("", html))


def _bare_tag(tag: re.Match[str]) -> str:
    return "" if re.match("</?span\\b", tag[0]) else _FOR_OUR_PAGES.sub("", tag[0])


def _changed(note: Note) -> str:
    """When a note last changed: a change before it was made is none."""
    return max(_moment(note.modified), _moment(note.created))


def _moment(date: str | None) -> str:
    """A date of a note as RFC 3339 has it, in UTC; a day is its midnight."""
    if not date:
        return ""
    try:
        moment = datetime.fromisoformat(date)
        utc = moment.astimezone(UTC) if moment.tzinfo else moment
    except (ValueError, OverflowError):
        return ""
    return utc.replace(microsecond=0, tzinfo=None).isoformat() + "Z"


def _xml(text: str) -> str:
    return escape(_NO_XML.sub("\ufffd", text))


def _attribute(text: str) -> str:
    return quoteattr(_NO_XML.sub("\ufffd", text))


# ---------------------------------------------------------------- for crawlers


def sitemap(garden: Garden, base_url: str, lists: Iterable[OutPath]) -> dict[OutPath, str]:
    """The map: one file, or a list of files where there are more pages than fit into one."""
    pages = {out_of(slug): (_changed(note) or "")[:10] for slug, note in garden.notes.items()}
    pages |= {out: "" for out in lists if out not in pages}
    entries = [_located("url", address(base_url, out), pages[out]) for out in sorted(pages)]
    if len(entries) <= _MOST:
        return {SITEMAP: _map("urlset", entries)}
    parts = [entries[i : i + _MOST] for i in range(0, len(entries), _MOST)]
    names = [OutPath(f"sitemap-{i + 1}.xml") for i in range(len(parts))]
    maps = {name: _map("urlset", part) for name, part in zip(names, parts, strict=True)}
    index = _map("sitemapindex", [_located("sitemap", href(base_url, name), "") for name in names])
    return {SITEMAP: index, **maps}


def _located(element: str, where: str, day: str) -> str:
    changed = f"<lastmod>{day}</lastmod>" if day else ""
    return f"<{element}><loc>{_xml(where)}</loc>{changed}</{element}>"


def _map(element: str, entries: list[str]) -> str:
    space = "http://www.sitemaps.org/schemas/sitemap/0.9"
    lines = [
        '<?xml version="1.0" encoding="utf-8"?>',
        f'<{element} xmlns="{space}">',
        *entries,
        f"</{element}>",
    ]
    return "\n".join(lines) + "\n"


# ---------------------------------------------------------------- for machines that read


def contents(garden: Garden, config: Config) -> str:
    """`llms.txt`: the title, what the garden is, and each note with its address and what it says."""
    lines = [f"# {config.title}", ""]
    if config.description:
        lines += [f"> {config.description}", ""]
    if config.pages.export:
        lines += [f"All notes in one file: [{EXPORT}]({href(config.base_url, EXPORT)})", ""]
    lines += ["## Notes", ""]
    for slug, note in garden.notes.items():
        said = f": {' '.join(note.summary.split())}" if note.summary else ""
        where = address(config.base_url, out_of(slug)) or href("", out_of(slug))
        lines.append(f"- [{_bracketed(note.title)}]({where}){said}")
    return "\n".join(lines) + "\n"


def _bracketed(title: str) -> str:
    return re.sub(r"([\\\[\]])", r"\\\1", title)


def export(garden: Garden, config: Config, texts: Sequence[bytes]) -> bytes:
    """`garden.md`: all notes, in the order of their paths. `texts` are UTF-8."""
    head = f"# {config.title}\n" + (f"\n{config.description}\n" if config.description else "")
    parts = [
        _heading(garden, note, config).encode() + text
        for note, text in zip(garden.notes.values(), texts, strict=True)
    ]
    return b"\n\n---\n\n".join([head.rstrip("\n").encode(), *parts]) + b"\n"


def _heading(garden: Garden, note: Note, config: Config) -> str:
    where = address(config.base_url, out_of(note.slug)) or href("", out_of(note.slug))
    facts = [f"Address: {where}"]
    if note.created or note.modified:
        facts.append("Dates: " + ", ".join(dict.fromkeys(filter(None, (note.created, note.modified)))))
    if note.tags:
        facts.append("Tags: " + ", ".join(note.tags))
    if note.slug in garden.grades:
        facts.append(f"Cells: {garden.grades[note.slug].replace('-', ' ')}")
    return f"# {note.title}\n\n" + "\n".join(facts) + "\n\n"


def text_of(slug: Slug, garden: Garden, config: Config) -> str:
    """The text of one note, for `export`; its footnotes stand at the end."""
    note = garden.notes[slug]
    body, footnotes = fill.whole_elsewhere(garden, note, config.base_url, config.limits.embed_depth)
    notes = [f"[{footnote.number}]: {plain(footnote.html)}" for footnote in footnotes]
    return "\n\n".join(part for part in (plain(body), "\n".join(notes)) if part)

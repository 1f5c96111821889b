"""Every page of the site, from the garden."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator

from generator import mentions
from generator.config import Config
from generator.model import (
    Backlink,
    FoundAsset,
    Html,
    LinkedPage,
    MessagePage,
    Note,
    NotePage,
    OutPath,
    Page,
    PreviewPage,
    Problem,
    Range,
    RedirectPage,
    Ref,
    Slug,
    TocEntry,
    slugify,
)
from generator.pages import fill, ledger, lists
from generator.pages.garden import (
    Garden,
    href,
    linked_of,
    notebook_of,
    out_of,
    preview_of,
    root_of,
    settled,
    tag_slug,
)

_TOC_DEPTH = 4
_CARDS = 40
"""So many of the notes that link to a note are on its page; where there are more, a page has them all."""
_OPTED_OUT = ("preview", "false")
"""The property of a note whose preview shows nothing. The file is there, so that links need not know."""


def note_pages(garden: Garden, slug: Slug, config: Config) -> tuple[tuple[Page, ...], tuple[Problem, ...]]:
    """The page and the preview of one note, the page of what links to it if that is much, and the problems
    that showed while filling them (embed cycles): everything of the site that depends on the body of this
    note."""
    note = garden.notes[slug]
    out = out_of(slug)
    shown = fill.shown_on(garden, slug, out, config.limits.embed_depth)
    body = fill.page_body(shown, note)
    sources = _sources(garden, slug)
    linking = [source for source in sources if _kinds(garden, source, sources[source]) != ("uses",)]
    data = NotePage(
        slug=slug,
        title=note.title,
        lang=note.lang or config.lang,
        description=note.summary,
        grade=garden.grades.get(slug, ""),
        created=note.created or "",
        modified=note.modified or "",
        tags=tuple(_tag_ref(tag, shown.root) for tag in note.tags),
        aliases=note.aliases,
        cssclasses=note.cssclasses,
        toc=_contents(note),
        body=body,
        footnotes=fill.page_footnotes(shown, note),
        backlinks=tuple(_backlink(shown, slug, source, sources[source]) for source in linking[:_CARDS]),
        problems=tuple(p for p in (*garden.problems.get(slug, ()), *shown.problems) if p.severity == "error"),
        words=note.words,
        users=tuple(
            lists.note_ref(garden, source, shown.root)
            for source in sources
            if "uses" in _kinds(garden, source, sources[source])
        ),
        uses=tuple(lists.note_ref(garden, other, shown.root) for other in _used(garden, slug)),
        risks=_risks(garden, slug, shown.root),
        mentions=_mentions(garden, slug, shown),
        mention_count=garden.mentions[slug].count if slug in garden.mentions else 0,
        related=tuple(lists.note_ref(garden, other, shown.root) for other in garden.related.get(slug, ())),
        image=_image(garden, note, config.base_url),
        notebook=href(shown.root, notebook_of(slug)) if note.cells else "",
        linked=_linked_ref(slug, shown.root, len(linking)),
    )
    pages = [Page(out, "note", shown.root, data), _preview(garden, note, config)]
    if data.linked:
        pages.append(_linked(garden, slug, {source: sources[source] for source in linking}, config))
    return tuple(pages), tuple(shown.problems)


def other_pages(garden: Garden, home: str) -> Iterator[Page]:
    """Lists, redirects and the 404: what depends only on titles, tags and addresses."""
    taken = {out_of(slug) for slug in garden.notes}
    for page in (*lists.list_pages(garden), *_front(garden)):
        if page.out not in taken:
            taken.add(page.out)
            yield page
    if lists.LEDGER not in taken:
        taken.add(lists.LEDGER)
        yield ledger.page(garden)
    yield from _redirects(garden, taken)
    yield Page(
        OutPath("404.html"),
        "message",
        home,
        MessagePage(
            "Not found", "There is no note at this address. It may have moved, or not be written yet."
        ),
    )


def asset_copies(garden: Garden) -> dict[OutPath, str]:
    """The assets that published notes lead to, at the places that the pages link to."""
    used: set[str] = set()
    for found in (settled(one) for resolutions in garden.resolutions.values() for one in resolutions):
        if isinstance(found, FoundAsset):
            used.add(found.path)
    return {OutPath(path): path for path in sorted(used)}


# ---------------------------------------------------------------- parts of a note's page


def _preview(garden: Garden, note: Note, config: Config) -> Page:
    out = preview_of(note.slug)
    # Links in a preview are relative to the page that shows it, which may be anywhere: the script resolves
    # them against the preview's own address.
    shown = fill.shown_on(garden, note.slug, out, config.limits.embed_depth)
    body = Html("") if _OPTED_OUT in note.properties else fill.preview_body(shown, note)
    grade, risk = garden.grades.get(note.slug, ""), note.slug in garden.risks
    data = PreviewPage(note.slug, note.title, grade, body, risk)
    return Page(out, "preview", shown.root, data)


def _contents(note: Note) -> tuple[TocEntry, ...]:
    own = [head for head in note.headings if head.level <= _TOC_DEPTH and not _is_title(note, head.anchor)]
    return tuple(TocEntry(head.level, head.text, href("", "", head.anchor)) for head in own)


def _is_title(note: Note, anchor: str) -> bool:
    first = note.headings[0]
    return first.anchor == anchor and first.level == 1 and first.text == note.title


def _tag_ref(tag: str, root: str) -> Ref:
    return Ref(tag, href(root, tag_slug(tag) + ".html"))


def _sources(garden: Garden, slug: Slug) -> dict[Slug, list[int]]:
    """The notes that link to a note, in path order, and which of their links do."""
    by_source: dict[Slug, list[int]] = defaultdict(list)
    for source, i in garden.backlinks.get(slug, ()):
        by_source[source].append(i)
    return by_source


def _kinds(garden: Garden, source: Slug, indices: list[int]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(garden.notes[source].links[i].kind for i in indices))


def _backlink(shown: fill.Shown, slug: Slug, source: Slug, indices: list[int]) -> Backlink:
    """A note that links here: the blocks around its links, in order and without repetition."""
    note = shown.garden.notes[source]
    places: dict[Range, None] = {}
    for i in indices:
        place = note.links[i].context
        if place is not None:
            places.setdefault(place)
    contexts: tuple[Html, ...] = tuple(fill.context(shown, note, place, slug) for place in places)
    ref = lists.note_ref(shown.garden, source, shown.root)
    return Backlink(ref, contexts, _kinds(shown.garden, source, indices))


def _linked_ref(slug: Slug, root: str, count: int) -> Ref | None:
    if count <= _CARDS:
        return None
    return Ref(f"All {count:,} notes that link here", href(root, linked_of(slug)), count=count)


def _linked(garden: Garden, slug: Slug, sources: dict[Slug, list[int]], config: Config) -> Page:
    """All the notes that link to one, each with its words."""
    out = linked_of(slug)
    shown = fill.shown_on(garden, slug, out, config.limits.embed_depth)
    backlinks = tuple(_backlink(shown, slug, source, indices) for source, indices in sources.items())
    return Page(out, "linked", shown.root, LinkedPage(lists.note_ref(garden, slug, shown.root), backlinks))


def _used(garden: Garden, slug: Slug) -> tuple[Slug, ...]:
    return tuple(dict.fromkeys(at.slug for at in garden.uses.get(slug, ())))


def _risks(garden: Garden, slug: Slug, root: str) -> tuple[Ref, ...]:
    """The cells that a note stands on and that failed."""
    return tuple(
        Ref(
            f"{garden.notes[risk.slug].title} › {risk.label}",
            href(root, out_of(risk.slug), "^" + risk.label),
            risk.slug,
            "failed",
        )
        for risk in garden.risks.get(slug, ())
    )


def _mentions(garden: Garden, slug: Slug, shown: fill.Shown) -> tuple[Backlink, ...]:
    """Notes that speak of this one without a link, and in what words."""
    if slug not in garden.mentions:
        return ()
    return tuple(
        Backlink(
            lists.note_ref(garden, mention.source, shown.root),
            (fill.passage(shown, source, mentions.context(source.body, mention)),),
        )
        for mention in garden.mentions[slug].shown
        for source in (garden.notes[mention.source],)
    )


def _image(garden: Garden, note: Note, base_url: str) -> str:
    """The absolute address of the picture that stands for a note elsewhere, where it is known."""
    if note.image and re.match(r"https?://", note.image):
        return note.image
    for link, found in zip(note.links, map(settled, garden.resolutions[note.slug]), strict=True):
        if base_url and ("key", "image") in link.options and isinstance(found, FoundAsset):
            return href(base_url, found.path)
    return ""


# ---------------------------------------------------------------- other pages


def _front(garden: Garden) -> Iterator[Page]:
    """A front page for a garden that has none: its README, or else the list of all notes."""
    readme = next((slug for slug in garden.notes if slug == "readme"), None)
    if readme:
        yield Page(
            OutPath("index.html"), "redirect", "", RedirectPage(garden.notes[readme].title, out_of(readme))
        )
    else:
        yield lists.all_notes(garden, OutPath("index.html"))


def _redirects(garden: Garden, taken: set[OutPath]) -> Iterator[Page]:
    """Old addresses and aliases lead to the note; the first note to claim one keeps it."""
    for slug, note in garden.notes.items():
        old = [path.removesuffix(".html").strip("/") for path in note.redirects]
        folder = slug.rpartition("/")[0]
        aliases = [f"{folder}/{alias}" if folder else alias for alias in note.aliases]
        for address in (*old, *aliases):
            name = "/".join(slugify(part) for part in address.split("/") if part)
            out = OutPath(name + ".html")
            if name and out not in taken:
                taken.add(out)
                root = root_of(out)
                yield Page(out, "redirect", root, RedirectPage(note.title, href(root, out_of(slug))))

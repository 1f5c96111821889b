"""The ways into a garden that are lists: all notes, tags, what changed, days, and what is to be tended."""

from __future__ import annotations

import datetime
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator

from generator.graph import Wanted, wanted
from generator.model import ListGroup, ListPage, Missing, Note, OutPath, Page, Ref, Slug, Wish, media_kind
from generator.pages.garden import Garden, href, out_of, root_of, tag_slug

ALL_NOTES = OutPath("all.html")
ALL_TAGS = OutPath("tags/index.html")
RECENT = OutPath("recent.html")
DAILY = OutPath("daily.html")
TEND = OutPath("tend.html")
LEDGER = OutPath("ledger.html")

_LATEST = 200
"""So many notes are on the page of recent changes."""

_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July", "August", "September"),
    *("October", "November", "December"),
)


def note_ref(garden: Garden, slug: Slug, root: str) -> Ref:
    """A note as a page with this root names it."""
    note = garden.notes[slug]
    grade, risk = garden.grades.get(slug, ""), slug in garden.risks
    return Ref(note.title, href(root, out_of(slug)), slug, grade, date=_changed(note), risk=risk)


def list_pages(garden: Garden) -> Iterator[Page]:
    """All lists of the garden."""
    yield from _tag_pages(garden)
    yield all_notes(garden, ALL_NOTES)
    yield _recent(garden)
    yield _tend(garden)
    if days_of(garden):
        yield _daily(garden)


def all_notes(garden: Garden, out: OutPath) -> Page:
    """Every note by its first letter; at `out`, which may be the front page."""
    root = root_of(out)
    groups: dict[str, list[Ref]] = defaultdict(list)
    for slug, note in garden.notes.items():
        groups[_initial(note.title)].append(note_ref(garden, slug, root))
    listed = tuple(ListGroup(initial, _by_title(groups[initial])) for initial in sorted(groups))
    intro = _counted(len(garden.notes), "note") + "."
    return Page(out, "list", root, ListPage("All notes", intro, listed, ways=_ways(garden, out)))


def _ways(garden: Garden, here: OutPath) -> tuple[Ref, ...]:
    """The lists, but the one that is shown."""
    lists = [("All notes", ALL_NOTES), ("Recent changes", RECENT), ("To tend", TEND), ("Tags", ALL_TAGS)]
    if days_of(garden):
        lists.insert(2, ("Daily notes", DAILY))
    if any(garden.verdicts.values()):
        lists.append(("Ledger", LEDGER))
    return tuple(Ref(title, href(root_of(here), out)) for title, out in lists if out != here)


def _by_title(refs: Iterable[Ref]) -> tuple[Ref, ...]:
    return tuple(sorted(refs, key=lambda ref: (ref.title.casefold(), ref.slug)))


def _initial(title: str) -> str:
    first = title[:1].upper()
    return first if first.isalpha() else "#"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "s")


def _changed(note: Note) -> str:
    """When a note last changed, as far as it is known. A change before the beginning is no change."""
    return max(note.modified or "", note.created or "")


# ---------------------------------------------------------------- by time


def _recent(garden: Garden) -> Page:
    """The notes that changed last, by day."""
    root = root_of(RECENT)
    dated = sorted((slug for slug, note in garden.notes.items() if _changed(note)), key=str)
    latest = sorted(dated, key=lambda slug: _changed(garden.notes[slug])[:10], reverse=True)[:_LATEST]
    days: dict[str, list[Ref]] = defaultdict(list)
    for slug in latest:
        days[_changed(garden.notes[slug])[:10]].append(note_ref(garden, slug, root))
    groups = tuple(ListGroup(day, tuple(map(_undated, _by_title(refs)))) for day, refs in days.items())
    intro = _recent_intro(len(latest), len(garden.notes))
    return Page(RECENT, "list", root, ListPage("Recent changes", intro, groups, ways=_ways(garden, RECENT)))


def _recent_intro(shown: int, all_: int) -> str:
    if not shown:
        return "No note of this garden has a date."
    if shown == all_:
        return "The notes by the day of their last change."
    return f"The {_counted(shown, 'note')} of {all_} that changed last."


def _undated(ref: Ref) -> Ref:
    return Ref(ref.title, ref.href, ref.slug, ref.grade)


def days_of(garden: Garden) -> dict[Slug, str]:
    """The daily notes, which have a date for a name or a title, and their days."""
    found = {}
    for slug, note in garden.notes.items():
        stem = note.path.rpartition("/")[2].removesuffix(".md").removesuffix(".ipynb")
        day = next(filter(_is_day, (stem, note.title)), None)
        if day:
            found[slug] = day
    return found


def _is_day(name: str) -> bool:
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", name, re.ASCII):
        return False
    try:
        datetime.date.fromisoformat(name)
    except ValueError:
        return False
    return True


def _daily(garden: Garden) -> Page:
    """The daily notes by month, the latest first."""
    root = root_of(DAILY)
    months: dict[str, list[Ref]] = defaultdict(list)
    days = days_of(garden)
    for slug in sorted(days, key=lambda slug: (days[slug], slug), reverse=True):
        ref = note_ref(garden, slug, root)
        date = days[slug] if ref.title != days[slug] else ""
        months[days[slug][:7]].append(Ref(ref.title, ref.href, slug, ref.grade, date=date))
    groups = tuple(
        ListGroup(f"{_MONTHS[int(month[5:]) - 1]} {month[:4]}", tuple(refs)) for month, refs in months.items()
    )
    intro = _counted(len(days), "daily note") + "."
    return Page(DAILY, "list", root, ListPage("Daily notes", intro, groups, ways=_ways(garden, DAILY)))


# ---------------------------------------------------------------- what is to be done


def _tend(garden: Garden) -> Page:
    """Notes that others link to and nobody has written, the most wanted first; and notes that nobody links
    to. Those with a way of their own (the front page, daily notes) are not lost without a link."""
    root = root_of(TEND)
    wishes = tuple(
        Wish(name, tuple(Ref(garden.notes[slug].title, href(root, out_of(slug)), slug) for slug in sources))
        for name, sources in wanted(_missing(garden))
    )
    reached = {"index", "readme", *days_of(garden), *garden.backlinks}
    orphans = _by_title(note_ref(garden, slug, root) for slug in garden.notes if slug not in reached)
    groups = (ListGroup("Orphans: no other note links to them", orphans),) if orphans else ()
    intro = f"{_counted(len(wishes), 'note')} to write, {_counted(len(orphans), 'note')} to link to."
    data = ListPage("To tend", intro, groups, ways=_ways(garden, TEND), wishes=wishes)
    return Page(TEND, "list", root, data)


def _missing(garden: Garden) -> Iterator[Wanted]:
    for slug, note in garden.notes.items():
        for link, found in zip(note.links, garden.resolutions[slug], strict=True):
            if isinstance(found, Missing) and not found.why and link.target and not media_kind(link.target):
                yield Wanted(slug, 0, link.target)


# ---------------------------------------------------------------- tags


def _tag_pages(garden: Garden) -> Iterator[Page]:
    """One page for each tag and each tag above a nested one, and one for all tags."""
    names: dict[str, str] = {}
    tagged: dict[str, set[Slug]] = defaultdict(set)
    for slug, note in garden.notes.items():
        for tag in note.tags:
            parts = [part for part in tag.split("/") if part]
            for depth in range(1, len(parts) + 1):
                name = "/".join(parts[:depth])
                names.setdefault(tag_slug(name), name)
                tagged[tag_slug(name)].add(slug)
    below: dict[str, list[str]] = defaultdict(list)
    for key in sorted(tagged):
        below[key.rpartition("/")[0]].append(key)
    for key in sorted(tagged):
        yield _tag_page(garden, key, names, tagged, below[key])
    refs = tuple(_tag_count(key, names, tagged, root_of(ALL_TAGS)) for key in sorted(tagged))
    intro = _counted(len(refs), "tag") + "."
    groups = (ListGroup("", refs),) if refs else ()
    data = ListPage("Tags", intro, groups, ways=_ways(garden, ALL_TAGS))
    yield Page(ALL_TAGS, "list", root_of(ALL_TAGS), data)


def _tag_count(key: str, names: dict[str, str], tagged: dict[str, set[Slug]], root: str) -> Ref:
    return Ref("#" + names[key], href(root, key + ".html"), count=len(tagged[key]))


def _tag_page(
    garden: Garden, key: str, names: dict[str, str], tagged: dict[str, set[Slug]], below: list[str]
) -> Page:
    out = OutPath(key + ".html")
    root = root_of(out)
    refs = _by_title(note_ref(garden, slug, root) for slug in tagged[key])
    data = ListPage(
        "#" + names[key],
        _counted(len(refs), "note") + " with this tag.",
        (ListGroup("", refs),),
        tuple(_tag_count(other, names, tagged, root) for other in below),
    )
    return Page(out, "list", root, data)

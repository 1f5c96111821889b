"""Filling the holes of a note's body, for the place where it is shown.

A body is shown in four ways: on its own page; embedded in another page (ids get a prefix); in a hover
preview (ids are data, for the script that picks a section); and as the context of a backlink (text and
links only).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from html import escape
from typing import Literal

from generator.model import (
    Body,
    CellHole,
    EmbedHole,
    FootnoteHole,
    FootnoteView,
    Found,
    FoundAsset,
    Html,
    IdHole,
    Link,
    LinkEnd,
    LinkHole,
    Note,
    Problem,
    Range,
    Slug,
    Span,
    TagHole,
    UrlHole,
    ValueHole,
    media_kind,
)
from generator.pages.cell import Places, cell_html
from generator.pages.garden import Derived, Garden, href, out_of, preview_of, root_of, settled, tag_slug

Mode = Literal["page", "embed", "preview", "context"]
_LARGEST = 4_000_000  # characters of HTML that embeds may add to one page


@dataclass(slots=True)
class Shown:
    """One page being filled: what is shared by everything that is shown on it."""

    garden: Garden
    slug: Slug
    root: str
    deepest: int = 16
    problems: list[Problem] = field(default_factory=list)
    embeds: int = 0
    size: int = 0


@dataclass(frozen=True, slots=True)
class _View:
    """One note's body being shown on a page.

    `stack` holds the (note, anchor) pairs that are being embedded around it; `target` is the note whose
    links are marked (in a backlink's context); `result`: what is embedded is one cell, for what it gave.
    """

    shown: Shown
    note: Note
    mode: Mode
    prefix: str = ""
    stack: tuple[tuple[Slug, str], ...] = ()
    target: Slug | None = None
    result: bool = False


def page_body(shown: Shown, note: Note) -> Html:
    """The main text of a note, on its own page."""
    view = _View(shown, note, "page", stack=((note.slug, ""),))
    return Html(_fill(view, Range(0, note.main)))


def page_footnotes(shown: Shown, note: Note) -> tuple[FootnoteView, ...]:
    """The footnotes of a note, on its own page."""
    return _footnotes(_View(shown, note, "page", stack=((note.slug, ""),)), range(len(note.footnotes)))


def preview_body(shown: Shown, note: Note) -> Html:
    """The main text of a note as its preview: ids are `data-anchor` attributes."""
    view = _View(shown, note, "preview", stack=((note.slug, ""),))
    return Html(_fill(view, Range(0, note.main)))


def body_elsewhere(garden: Garden, note: Note, base_url: str, deepest: int) -> Html:
    """The main text of a note for a reader who is not in the garden: every link is absolute, no id is set."""
    return preview_body(Shown(garden, Slug(""), base_url, deepest), note)


def whole_elsewhere(
    garden: Garden, note: Note, base_url: str, deepest: int
) -> tuple[Html, tuple[FootnoteView, ...]]:
    """The main text and the footnotes of a note, its links from `base_url` or, without, from the root."""
    shown = Shown(garden, Slug(""), base_url, deepest)
    return page_body(shown, note), page_footnotes(shown, note)


def context(shown: Shown, source: Note, place: Range, target: Slug) -> Html:
    """The block around a link to `target` in `source`, that link marked."""
    return Html(_fill(_View(shown, source, "context", target=target), place))


def passage(shown: Shown, source: Note, body: Body) -> Html:
    """A passage of `source`, whose body it was cut out of: text and links only."""
    return Html(_filled(_View(shown, source, "context"), body))


def _fill(view: _View, place: Range) -> str:
    return _filled(view, view.note.body[place.start : place.stop])


def _filled(view: _View, body: Body) -> str:
    return "".join(piece if isinstance(piece, str) else _hole(view, piece) for piece in body)


def _hole(view: _View, hole: object) -> str:
    match hole:
        case LinkHole(i):
            return _link_open(view, i)
        case LinkEnd(i):
            return ("</a></mark>" if _is_marked(view, i) else "</a>") + _badge(view, i)
        case IdHole(name):
            return _id(view, name)
        case TagHole(name):
            tag_page = href(view.shown.root, tag_slug(name) + ".html")
            return f'<a class="tag" href="{escape(tag_page)}">#{escape(name)}</a>'
        case CellHole(i):
            return "" if view.mode == "context" else _cell(view, i)
        case EmbedHole(i):
            return _embed(view, i)
        case FootnoteHole(i, n):
            return _footnote_ref(view, i, n)
        case UrlHole(i):
            return escape(_url(view, i))
        case ValueHole(i, bare):
            return _value(view, i, bare)
    raise AssertionError(f"a hole that nobody fills: {hole!r}")


def _id(view: _View, name: str) -> str:
    if view.mode == "context":
        return ""
    attribute = "data-anchor" if view.mode == "preview" else "id"
    return f' {attribute}="{escape(view.prefix + name)}"'


def _cell(view: _View, i: int) -> str:
    garden, note = view.shown.garden, view.note
    return cell_html(
        note.cells[i],
        i,
        garden.results[note.slug],
        garden.verdicts[note.slug][i],
        root=view.shown.root,
        identity=_id(view, "^" + note.cells[i].label),
        places=_places(garden, note),
        result_first=view.result,
    )


def _places(garden: Garden, note: Note) -> Places:
    borrowed = (
        (garden.notes[at.slug].path, garden.spans[at.slug].cells[at.cell].line)
        for at in garden.uses.get(note.slug, ())
    )
    return Places(note.path, tuple(span.line for span in garden.spans[note.slug].cells), tuple(borrowed))


# ---------------------------------------------------------------- values


def _value(view: _View, i: int, bare: bool) -> str:
    """A value in its sentence: a quiet link to the cell that it comes from, whose preview is the evidence."""
    values = view.shown.garden.values.get(view.note.slug, ())
    if i >= len(values) or values[i].value.status == "not-run":
        code = escape(f"{{python}} {view.note.values[i].code}", quote=False)
        badge = '<span class="grade">not run</span>'
        return f'<span class="value" data-grade="not-run"><code>{code}</code> {badge}</span>'
    found = values[i]
    if found.value.status == "error":
        why = escape(found.value.message)
        code = escape(f"{{python}} {found.code}", quote=False)
        return f'<code class="problem" data-code="value-failed" title="{why}">{code}</code>'
    text = escape(found.value.text, quote=False)
    attributes = f' class="value" data-grade="{found.grade}" title="{escape(_derived(view, found))}"'
    if bare or view.mode == "context" or found.source is None:
        return f"<span{attributes}>{text}</span>"
    slug, number = found.source.slug, found.source.cell
    label = view.shown.garden.notes[slug].cells[number].label
    target = Found(slug, "", "^" + label, "")
    return f"<a{_found(view, target)}{attributes}>{text}</a>"


def _derived(view: _View, found: Derived) -> str:
    """What stands behind a value, in a few words."""
    grade = found.grade.replace("-", " ")
    if found.source is None:
        return grade
    note = view.shown.garden.notes[found.source.slug]
    label = note.cells[found.source.cell].label
    return f"{grade}: from cell {label}" + ("" if note.slug == view.note.slug else f" of {note.title}")


# ---------------------------------------------------------------- links


def _is_marked(view: _View, i: int) -> bool:
    if view.target is None:
        return False
    found = settled(view.shown.garden.resolutions[view.note.slug][i])
    return isinstance(found, Found) and found.slug == view.target


def _link_open(view: _View, i: int) -> str:
    link = view.note.links[i]
    found = settled(view.shown.garden.resolutions[view.note.slug][i])
    mark = "<mark>" if _is_marked(view, i) else ""
    title = dict(link.options).get("title", "")
    attributes = f' title="{escape(title)}"' if title else ""
    if isinstance(found, Found):
        label = "" if link.text is not None else escape(found.label, quote=False)
        return f"{mark}<a{_found(view, found)}{attributes}>{label}"
    if isinstance(found, FoundAsset):
        label = "" if link.text is not None else escape(found.path.rpartition("/")[2], quote=False)
        return f'<a href="{escape(href(view.shown.root, found.path))}" data-link="found"{attributes}>{label}'
    label = "" if link.text is not None else escape(_written(link), quote=False)
    stub = 'class="stub" data-link="missing" role="link" aria-disabled="true" title="not written yet"'
    return f"<a {stub}>{label}"


def _badge(view: _View, i: int) -> str:
    """The grade of the cell that a link leads to, behind the link."""
    found = settled(view.shown.garden.resolutions[view.note.slug][i])
    if view.mode == "context" or not isinstance(found, Found) or not found.anchor.startswith("^"):
        return ""
    grade = _grade_of(view.shown.garden, found)
    return f' <span class="grade" data-grade="{grade}">{grade.replace("-", " ")}</span>' if grade else ""


def _grade_of(garden: Garden, found: Found) -> str:
    """The grade of the cell with the label that a link names; empty where it names none."""
    verdicts = garden.verdicts.get(found.slug, ())
    cells = garden.notes[found.slug].cells
    named = (i for i, cell in enumerate(cells) if found.anchor == "^" + cell.label)
    i = next(named, len(verdicts))
    return verdicts[i].grade if i < len(verdicts) else ""


def _written(link: Link) -> str:
    """A link without text and without target, as it is shown: its target as the author wrote it."""
    return " › ".join(part for part in (link.target, *(a.removeprefix("^") for a in link.anchor)) if part)


def _found(view: _View, found: Found) -> str:
    """Attributes of a link to a note. On the target's own page, a link to a section stays on the page."""
    stays = found.slug == view.shown.slug and view.mode in ("page", "embed") and found.anchor != ""
    return _link_attributes(view.shown.root, found.slug, found.anchor, stays)


@lru_cache(maxsize=1 << 14)
def _link_attributes(root: str, slug: Slug, anchor: str, stays: bool) -> str:
    target = href("", "", anchor) if stays else href(root, out_of(slug), anchor)
    preview = escape(href(root, preview_of(slug)))
    return f' href="{escape(target)}" data-link="found" data-slug="{escape(slug)}" data-preview="{preview}"'


def _url(view: _View, i: int) -> str:
    """The address for an attribute of the author's own HTML; a missing one leads to the top of the page, and
    is an empty picture."""
    found = settled(view.shown.garden.resolutions[view.note.slug][i])
    if isinstance(found, Found):
        return href(view.shown.root, out_of(found.slug), found.anchor)
    if isinstance(found, FoundAsset):
        return href(view.shown.root, found.path)
    return "#" if view.note.links[i].kind == "link" else "data:,"


# ---------------------------------------------------------------- footnotes


def _footnote_ref(view: _View, i: int, n: int) -> str:
    number = view.note.footnotes[i].number
    if view.mode == "context":
        return f"<sup>{number}</sup>"
    suffix = f"-{n + 1}" if n else ""
    if view.mode == "preview":
        page = href(view.shown.root, out_of(view.note.slug), f"fn-{number}")
        return f'<sup class="footnote-ref"><a href="{escape(page)}">{number}</a></sup>'
    target, own = f"{view.prefix}fn-{number}", f"{view.prefix}fnref-{number}{suffix}"
    return f'<sup class="footnote-ref"><a href="#{target}" id="{own}">{number}</a></sup>'


def _footnotes(view: _View, which: range | list[int]) -> tuple[FootnoteView, ...]:
    views = []
    for i in which:
        footnote = view.note.footnotes[i]
        name = f"{view.prefix}fn-{footnote.number}"
        refs = tuple(
            f"#{view.prefix}fnref-{footnote.number}" + (f"-{n + 1}" if n else "")
            for n in range(footnote.refs)
        )
        views.append(FootnoteView(footnote.number, name, Html(_fill(view, footnote.range)), refs))
    return tuple(views)


def _embedded_footnotes(view: _View, place: Range) -> str:
    """The footnotes that an embedded part refers to, below it."""
    body: Body = view.note.body[place.start : place.stop]
    cited = sorted({piece.i for piece in body if isinstance(piece, FootnoteHole)})
    if not cited or view.mode == "preview":
        return ""
    items = "".join(
        f'<li id="{note.anchor}" value="{note.number}">{note.html}</li>' for note in _footnotes(view, cited)
    )
    return f'<ol class="footnotes">{items}</ol>'


# ---------------------------------------------------------------- embeds


def _embed(view: _View, i: int) -> str:
    link = view.note.links[i]
    found = settled(view.shown.garden.resolutions[view.note.slug][i])
    is_block = not media_kind(link.target) and view.mode != "context"
    if isinstance(found, FoundAsset):
        html = _media(view, link, found)
    elif isinstance(found, Found):
        if is_block and found.doubt not in ("heading", "block"):
            return _transclusion(view, i, found)
        html = _embed_link(view, found)
    else:
        html = _missing_embed(link)
    return f"<p>{html}</p>\n" if is_block else html


def _embed_link(view: _View, found: Found) -> str:
    """What stands for an embed where only words can stand, or where the part that is named is missing."""
    link = f"<a{_found(view, found)}>{escape(found.label, quote=False)}</a>"
    if found.doubt in ("heading", "block"):
        return f'<span class="problem" data-code="{found.doubt}-missing">{link}</span>'
    return f"<mark>{link}</mark>" if found.slug == view.target else link


def _missing_embed(link: Link) -> str:
    words = escape(dict(link.options).get("alt", "") or _written(link), quote=False)
    is_file = bool(media_kind(link.target))
    code, why = ("asset-missing", "this file is missing") if is_file else ("link-missing", "not written yet")
    return f'<span class="stub problem" data-link="missing" data-code="{code}" title="{why}">{words}</span>'


def _media(view: _View, link: Link, found: FoundAsset) -> str:
    """An image, a sound, a film or a PDF; any other file as a link to it."""
    options = dict(link.options)
    name = found.path.rpartition("/")[2]
    alt = options.get("alt", "")
    address = escape(href(view.shown.root, found.path))
    kind = media_kind(found.path)
    if view.mode == "context" or not kind:
        return f'<a href="{address}" data-link="found">{escape(alt or name, quote=False)}</a>'
    size = "".join(f' {key}="{options[key]}"' for key in ("width", "height") if key in options)
    if kind == "image":
        title = f' title="{escape(options["title"])}"' if "title" in options else ""
        return f'<img src="{address}" alt="{escape(alt)}"{size}{title} loading="lazy">'
    label = escape(alt or name)
    if kind in ("audio", "video"):
        return f'<{kind} src="{address}" controls preload="metadata"{size} aria-label="{label}"></{kind}>'
    page = f"#page={options['page']}" if "page" in options else ""
    height = options.get("height", "600")
    frame = f'<iframe class="pdf" src="{address}{page}" title="{label}" height="{height}" loading="lazy">'
    return frame + "</iframe>"


def _transclusion(view: _View, i: int, found: Found) -> str:
    shown = view.shown
    note = shown.garden.notes[found.slug]
    key = (found.slug, found.anchor)
    place = section(note, found.anchor)
    source = f"<a{_found(view, found)}>{escape(found.label, quote=False)}</a>"
    if key in view.stack:
        circle = view.stack[view.stack.index(key) :]
        trail = " → ".join(slug + (f"#{anchor}" if anchor else "") for slug, anchor in (*circle, key))
        return _refused(view, i, "embed-cycle", f"↺ {source}", f"closes a circle ({trail})")
    if len(view.stack) > shown.deepest or shown.size > _LARGEST:
        return _refused(view, i, "embed-too-deep", f"… {source}", "is too deep or too large")
    shown.embeds += 1
    prefix = f"e{shown.embeds}-"
    mode: Mode = "preview" if view.mode == "preview" else "embed"
    result = bool(_grade_of(shown.garden, found))
    inner = _View(shown, note, mode, prefix, (*view.stack, key), result=result)
    html = _fill(inner, place) + _embedded_footnotes(inner, place)
    if html.lstrip().startswith("<li"):
        html = f"<ul>{html}</ul>"
    shown.size += len(html)
    head = f'<header class="embed-source">{source}</header>'
    return f'<section class="embed" data-source="{escape(found.slug)}">{head}{html}</section>\n'


def _refused(view: _View, i: int, code: str, html: str, why: str) -> str:
    """A visible placeholder instead of an embed, and a problem at the place where it is written."""
    link, spans = view.note.links[i], view.shown.garden.spans[view.note.slug]
    span = spans.links[i] if i < len(spans.links) else Span(0)
    if view.mode != "preview":
        view.shown.problems.append(
            Problem(
                code,
                "warning",
                view.note.path,
                span,
                f"the embed of “{_written(link)}” {why}; a link stands in its place",
                "link to it instead of embedding it",
            )
        )
    return f'<p class="embed-cycle problem" data-code="{code}">{html}</p>\n'


def section(note: Note, anchor: str) -> Range:
    """The part of a note that an anchor names: a heading's section, a block, or all of the main text."""
    if anchor.startswith("^"):
        return next((block.range for block in note.blocks if "^" + block.id == anchor), Range(0, note.main))
    return next((head.section for head in note.headings if head.anchor == anchor), Range(0, note.main))


def shown_on(garden: Garden, slug: Slug, out: str, deepest: int) -> Shown:
    """A page about to be filled; `deepest` is how many embeds may nest."""
    return Shown(garden, slug, root_of(out), deepest)

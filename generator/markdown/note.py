"""The note: tokens and properties become a `Note`, in which every number and range fits the body."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

from markdown_it.token import Token

from generator.markdown.blocks import Blocks
from generator.markdown.gathered import Gathered
from generator.markdown.marks import Pieces
from generator.markdown.places import Places
from generator.markdown.raw import is_comment
from generator.markdown.title import titled
from generator.markdown.tokens import split_footnotes
from generator.model import Block, Footnote, Heading, Link, Note, Range, Slug, slug_of, slugify
from generator.syntax.frontmatter import Properties
from generator.syntax.wikilink import split


def note_of(tokens: list[Token], footnotes: dict[int, Any], properties: Properties, blocks: Blocks) -> Note:
    """The note, but for the dates that only its file has; `blocks.gathered` has all of it afterwards.

    `footnotes` are what the parser's plugin says of each, by number.
    """
    gathered = blocks.gathered
    tokens = [token for token in tokens if not is_comment(token)]
    title, targets, tokens = titled(tokens, properties.title, gathered.path, blocks)
    main_tokens, footnote_tokens = split_footnotes(tokens)
    pieces = Pieces()
    main = pieces.add(targets + blocks.html(main_tokens)).stop
    shown = tuple(
        _footnote(meta, footnotes[meta["id"]], inner, blocks, pieces) for meta, inner in footnote_tokens
    )
    _add_property_links(properties, gathered, blocks.text.places)
    return _assembled(title, pieces, main, shown, properties, gathered)


def _footnote(
    meta: dict[str, Any], known: dict[str, Any], tokens: list[Token], blocks: Blocks, pieces: Pieces
) -> Footnote:
    line = known.get("line")
    if line is not None:  # an inline one: markdown-it gives its text no place
        tokens[1].map = [line, line + 1]
    place = pieces.add(blocks.html(tokens))
    return Footnote(meta.get("label") or "", meta["id"] + 1, max(known.get("count", 1), 1), place)


def _add_property_links(properties: Properties, gathered: Gathered, places: Places) -> None:
    for key, raw, line in properties.links:
        target, anchor, text = split(raw)
        kind: Literal["uses", "property"] = "uses" if key == "uses" else "property"
        link = Link(kind, target, anchor, text, options=(("key", key),))
        gathered.link_without_context(link, places.property(raw, line - 1))


def _assembled(
    title: str,
    pieces: Pieces,
    main: int,
    footnotes: tuple[Footnote, ...],
    properties: Properties,
    gathered: Gathered,
) -> Note:
    permalink = "/".join(slugify(part) for part in properties.permalink.split("/") if part)
    return Note(
        path=gathered.path,
        slug=Slug(permalink) if permalink else slug_of(gathered.path),
        title=title,
        body=tuple(pieces.body),
        main=main,
        aliases=properties.aliases,
        tags=_distinct((*properties.tags, *gathered.tags)),
        summary=properties.description or gathered.summary,
        lang=properties.lang,
        image=properties.image,
        cssclasses=properties.cssclasses,
        redirects=properties.redirects,
        properties=properties.extra,
        published=properties.published,
        headings=_sections(gathered, pieces, main),
        blocks=tuple(Block(name, pieces.ranges["B", i]) for i, name in enumerate(gathered.blocks)),
        footnotes=footnotes,
        links=_links(gathered, pieces),
        cells=tuple(gathered.cells),
        kernel=properties.kernel or "python3",
        external=tuple(gathered.external),
        words=gathered.words,
        diagrams=gathered.diagrams,
        ids=tuple(gathered.ids),
        values=tuple(gathered.values),
        deps=properties.deps,
    )


def _links(gathered: Gathered, pieces: Pieces) -> tuple[Link, ...]:
    """The links with their contexts; those of the title have none, for it is not in the body."""
    return tuple(
        replace(link, context=pieces.ranges.get(("X", context)))
        for link, context in zip(gathered.links, gathered.link_contexts, strict=True)
    )


def _sections(gathered: Gathered, pieces: Pieces, main: int) -> tuple[Heading, ...]:
    """Headings with their sections: up to the next heading of the same or a higher level.

    A heading inside a quote or list has only itself for a section: what follows may be outside.
    """
    headings, nested = gathered.headings, gathered.nested_headings
    starts = [pieces.starts["S", i] for i in range(len(headings))]
    found = []
    for i, (level, text, anchor) in enumerate(headings):
        if i in nested:
            found.append(Heading(level, text, anchor, pieces.ranges["H", i]))
            continue
        later = (
            starts[j] for j in range(i + 1, len(headings)) if j not in nested and headings[j][0] <= level
        )
        found.append(Heading(level, text, anchor, Range(starts[i], next(later, main))))
    return tuple(found)


def _distinct(tags: tuple[str, ...]) -> tuple[str, ...]:
    """Tags without repetitions that differ only in case; the first spelling stays."""
    seen: dict[str, str] = {}
    for tag in tags:
        seen.setdefault(tag.casefold(), tag)
    return tuple(seen.values())

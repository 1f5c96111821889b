"""What the page of a note is made of: a digest, so that a page is made again only where it would differ.

A page shows its own note, what embeds bring in, and the blocks of other notes around a backlink or a mention;
each of these names the notes that it links to. The digest covers a little more than the page shows (all of a
note of which one block is quoted), never less: whatever a garden knows of a note counts, unless it is listed
here as something that only the note itself shows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache, partial
from hashlib import blake2b
from typing import get_args, get_type_hints

from generator.config import Config
from generator.memo import flatten
from generator.model import Found, Slug
from generator.pages.garden import Garden, settled

_STOOD_FOR = frozenset(("assets", "notes", "spans"))
"""What the digest of a note's source and its links stand for."""
_OWN = frozenset(
    ("digests", "resolutions", "backlinks", "results", "problems", "mentions", "related", "values")
)
"""What a garden knows of a note that no other page shows, unless it shows the note's own text."""


def digests(garden: Garden, config: Config) -> list[str]:
    """For each note of the garden, in order, the digest of everything that its page and preview, its text
    and its entry in the search index are made of."""
    known = {name: (getattr(garden, name), write) for name, write in _writers().items()}

    @cache
    def own(slug: Slug) -> bytes:
        return _hash(_bytes(slug), *_facts(slug, known.values()))

    @cache
    def named(slug: Slug) -> bytes:
        note = garden.notes[slug]
        others = _facts(slug, (each for name, each in known.items() if name not in _OWN))
        return _hash(_bytes((note.title, note.path, note.created, note.modified)), *others)

    @cache
    def shown(slug: Slug) -> bytes:
        found = map(settled, garden.resolutions[slug])
        targets = dict.fromkeys(one.slug for one in found if isinstance(one, Found))
        return _hash(own(slug), *map(named, targets))

    settings = _hash(_bytes(config))
    return [
        _hash(
            settings,
            _hash(*map(shown, _shown_by(garden, slug))),
            _hash(*map(named, garden.related.get(slug, ()))),
            _hash(*(named(risk.slug) for risk in garden.risks.get(slug, ()))),
        ).hex()
        for slug in garden.notes
    ]


@cache
def _writers() -> dict[str, Callable[[object], bytes]]:
    """How what a garden knows of a note becomes bytes, by the name of the field."""
    kinds = {
        name: get_args(kind)[1] for name, kind in get_type_hints(Garden).items() if name not in _STOOD_FOR
    }
    return {name: partial(flatten, kind=kind) for name, kind in kinds.items()}


def _facts(
    slug: Slug, known: Iterable[tuple[Mapping[Slug, object], Callable[[object], bytes]]]
) -> Iterable[bytes]:
    """What is known of a note, as bytes that begin no other bytes; a mark for what is not."""
    return [write(facts[slug]) if slug in facts else b"-" for facts, write in known]


def digest(value: object) -> str:
    """The digest of a value of the model without sets in it."""
    return _hash(_bytes(value)).hex()


def _bytes(value: object) -> bytes:
    """A value as its `repr`: of the model's it says everything, and C code writes it."""
    return repr(value).encode("utf-8", "surrogatepass")


def _hash(*parts: bytes) -> bytes:
    return blake2b(b"".join(parts), digest_size=16).digest()


def _shown_by(garden: Garden, slug: Slug) -> Iterable[Slug]:
    """The notes of which a page shows some text: the note itself first."""
    found = dict.fromkeys((slug,))
    embedded = [slug]
    for one in embedded:
        pairs = zip(garden.notes[one].links, map(settled, garden.resolutions[one]), strict=True)
        for target in (to.slug for link, to in pairs if link.kind == "embed" and isinstance(to, Found)):
            if target not in found:
                found[target] = None
                embedded.append(target)
    found |= dict.fromkeys(source for source, _ in garden.backlinks.get(slug, ()))
    if slug in garden.mentions:
        found |= dict.fromkeys(mention.source for mention in garden.mentions[slug].shown)
    found |= dict.fromkeys(place.slug for place in garden.uses.get(slug, ()))
    return found

"""One note to what it can be found by."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from html import unescape

from generator.model import CellHole, Hole, LinkHole, Note, Slug, TagHole
from generator.search.words import words

TITLE, ALIAS, HEADING, TAG = 1, 2, 4, 8
TEXT, OUTPUT = 4, 8
"""Where a word stands: bits of a flag. Below `TEXT` are two bits for how often."""

DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
"""Six bits as one character that JSON leaves alone."""

_IN_TEXT = tuple(TEXT | often for often in (0, 0, 1, 1, 2, 2, 2, 2, 2, 2, 3))
_LARGEST = 20_000  # characters of one note's outputs: a log of a million lines is not what anybody looks for
_SUMMARY = 140
# An unclosed quote cannot reach beyond the next "<", so that this stays linear whatever an author writes.
_TAG = re.compile(r"""<[a-zA-Z/!](?:[^<>"']++|"[^"<]*"|'[^'<]*')*+>""")


@dataclass(frozen=True, slots=True)
class Entry:
    """What the index keeps of a note.

    `names` are the words of its title, aliases, headings and tags, `words` those of its text and outputs,
    joined by spaces; for each word there is one character of flags. `row` is what is shown of the note,
    as JSON.
    """

    slug: Slug
    names: str
    name_flags: str
    words: str
    word_flags: str
    row: str


def entry(note: Note, href: str, grade: str = "", outputs: str = "") -> Entry:
    """What `note` is found by, and shown as. `href` leads to its page from the root of the site; `outputs` is
    the text that its cells gave."""
    names = _names(note)
    counts = _counts(note, outputs[:_LARGEST])
    row = [
        href,
        note.title,
        grade,
        note.aliases,
        note.tags,
        [(heading.text, heading.anchor) for heading in note.headings if heading.text != note.title],
        note.summary[:_SUMMARY],
    ]
    return Entry(
        note.slug,
        " ".join(names),
        "".join([DIGITS[flag] for flag in names.values()]),
        " ".join(counts),
        "".join([DIGITS[flag] for flag in counts.values()]),
        json.dumps(row, ensure_ascii=False, separators=(",", ":")),
    )


def _names(note: Note) -> dict[str, int]:
    title = words(note.title)
    # A word that is the whole title says more than one of seven: bits 4 and 5.
    found = dict.fromkeys(title, TITLE | max(0, 3 - (len(title) - 1)) << 4)
    fields = (
        (ALIAS, note.aliases),
        (HEADING, [heading.text for heading in note.headings]),
        (TAG, note.tags),
    )
    for flag, texts in fields:
        for word in _all_words(texts):
            found[word] = found.get(word, 0) | flag
    return found


def _all_words(texts: Iterable[str]) -> Iterable[str]:
    return (word for text in texts for word in words(text))


def _counts(note: Note, outputs: str) -> dict[str, int]:
    counted = Counter(words(_text(note)))
    found = {word: _IN_TEXT[count if count < 10 else 10] for word, count in counted.items()}
    for word in words(outputs):
        found[word] = found.get(word, 0) | OUTPUT
    return found


def _text(note: Note) -> str:
    """The words a reader sees on the page of the note, without those of other notes embedded in it."""
    html = "".join(piece if isinstance(piece, str) else _shown(note, piece) for piece in note.body)
    return unescape(_TAG.sub(" ", _without_formulas(html)))


def _shown(note: Note, hole: Hole) -> str:
    match hole:
        case CellHole(i):
            text = note.cells[i].code
        case TagHole(name):
            text = name
        case LinkHole(i) if note.links[i].text is None:
            text = " ".join((note.links[i].target, *note.links[i].anchor))
        case _:
            return ""
    return " " + text.replace("&", "&amp;").replace("<", "&lt;") + " "


def _without_formulas(html: str) -> str:
    """MathML is letters of formulas, each an element: noise to whoever looks for a word."""
    first, *rest = html.split("<math")
    return " ".join((first, *(part.partition("</math>")[2] for part in rest)))

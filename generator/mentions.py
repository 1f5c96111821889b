"""Where notes speak of each other without a link: titles and aliases in running text, as whole words.

What counts as a mention:

* a title or an alias in the text of one element, not in code, a formula, a link or a heading;
* as whole words, the longest first: in “Forward mode of a map” that title is meant, “Forward mode” is not;
* with a space or a hyphen between two words;
* in any case, except that short names and names all in capitals (`Set`, `JAX`) must be written as they are;
* never a name that two notes have (nobody could say which is meant), nor a single letter or digits alone.

Names are looked up in a tree of their words, and a text is read once: the work grows with the text, not with
text times names.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from html import escape
from itertools import accumulate
from typing import Literal

from generator.model import Body, CellHole, Hole, LinkEnd, LinkHole, Note, Slug

_SHORT = 3
"""A name of so few letters is found only in its own case."""


@dataclass(frozen=True, slots=True)
class Mention:
    """`source` speaks of `target` from `start` to `stop`, within the run of text and inline markup from
    `first` to `last`. All four count the characters of the body of `source`, a hole as one."""

    source: Slug
    target: Slug
    start: int
    stop: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Mentions:
    """The notes that speak of a note without linking to it: some of them, and how many there are."""

    shown: tuple[Mention, ...] = ()
    count: int = 0


# ---------------------------------------------------------------- names

# A sign of a script that puts no spaces between words is a word of its own, and so is an entity.
_SPACELESS = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\U00020000-\U0003ffff"
)
_WORD = re.compile(r"(&?\w+)")
_WORD_OR_SIGN = re.compile(rf"([{_SPACELESS}]|&?[^\W{_SPACELESS}]+)")
_SPACELESS_SIGN = re.compile(f"[{_SPACELESS}]")


@dataclass(frozen=True, slots=True)
class _Name:
    """A name as it stands in markup: `lower` in lower case, its first word at `lead`; `exact` where it counts
    only as it is written, else empty."""

    lower: str
    lead: int
    exact: str
    slug: Slug


@dataclass(slots=True)
class Names:
    """Names by their words: what may follow the words so far, and the names that end with them, longest
    first."""

    after: dict[str, Names] = field(default_factory=dict)
    here: list[_Name] = field(default_factory=list)


def names(notes: Iterable[Note]) -> Names:
    """The names by which other notes may speak of these."""
    owners: dict[str, Slug | None] = {}
    spelled: dict[str, str] = {}
    for note in notes:
        for name in dict.fromkeys(" ".join(each.split()) for each in (note.title, *note.aliases)):
            key = _lower(unicodedata.normalize("NFC", name))
            spelled.setdefault(key, name)
            owners[key] = note.slug if owners.get(key, note.slug) == note.slug else None
    root = Names()
    for key, slug in owners.items():
        if slug is not None and _says_something(key):
            for form in dict.fromkeys((_form("NFC", spelled[key]), _form("NFD", spelled[key]))):
                _plant(root, form, slug)
    return root


def _form(form: Literal["NFC", "NFD"], name: str) -> str:
    return escape(unicodedata.normalize(form, name), quote=False)


def _says_something(name: str) -> bool:
    return len(name) > 1 and any(map(str.isalnum, name)) and not name.isdecimal()


def _plant(root: Names, name: str, slug: Slug) -> None:
    lower = _evened(_lower(name))
    words = list(_words_of(lower).finditer(lower))
    node = root
    for word in words:
        node = node.after.setdefault(word[0], Names())
    letters = [c for c in name if c.isalpha()]
    is_exact = bool(letters) and (len(letters) <= _SHORT or all(map(str.isupper, letters)))
    node.here.append(_Name(lower, words[0].start(), _evened(name) if is_exact else "", slug))
    node.here.sort(key=lambda each: -len(each.lower))


def _words_of(text: str) -> re.Pattern[str]:
    """The quicker pattern where it finds the same."""
    return _WORD if text.isascii() or not _SPACELESS_SIGN.search(text) else _WORD_OR_SIGN


def _lower(text: str) -> str:
    """In lower case, every character at its place: the few that would become two stay as they are."""
    lower = text.lower()
    return lower if len(lower) == len(text) else "".join(c if len(c.lower()) > 1 else c.lower() for c in text)


def _evened(text: str) -> str:
    """With a space for a line's end and for a hyphen: “forward-mode” and “forward mode” are the same."""
    return text.replace("\n", " ").replace("-", " ")


# ---------------------------------------------------------------- who speaks of whom


def find(note: Note, known: Names, linked: Collection[Slug]) -> tuple[Mention, ...]:
    """The first mention of each note that `note` speaks of, in order; none of itself or those `linked`."""
    seen = {note.slug, *linked}
    markup, starts = _whole(note.body)
    lower = _evened(_lower(markup))
    candidates = _candidates(lower, known)
    if all(name.slug in seen for _, names in candidates for name in names):
        return ()
    runs = _Runs(markup)
    found = []
    for name, start in _named(markup, lower, candidates):
        stop = start + len(name.lower)
        run = runs.around(start, stop)
        if run and name.slug not in seen and _in_one_piece(starts, start, stop):
            seen.add(name.slug)
            found.append(Mention(note.slug, name.slug, start, stop, *run))
    return tuple(found)


def gather(found: Iterable[tuple[Mention, ...]], most: int) -> dict[Slug, Mentions]:
    """What `find` found in each note, by the note that is spoken of, at most `most` of each kept."""
    shown: dict[Slug, list[Mention]] = {}
    counts: dict[Slug, int] = {}
    for mention in (mention for of_note in found for mention in of_note):
        counts[mention.target] = counts.get(mention.target, 0) + 1
        if counts[mention.target] <= most:
            shown.setdefault(mention.target, []).append(mention)
    return {slug: Mentions(tuple(shown[slug]), count) for slug, count in counts.items()}


def context(body: Body, mention: Mention) -> Body:
    """The run of text around a mention, out of the body of its source, the mention marked."""
    parts: list[str | Hole] = []
    position = 0
    for piece in body:
        length = len(piece) if isinstance(piece, str) else 1
        if position < mention.last and position + length > mention.first:
            parts.append(_cut(piece, position, mention) if isinstance(piece, str) else piece)
        position += length
    return tuple(parts)


def _cut(piece: str, position: int, mention: Mention) -> str:
    """The part of a piece that belongs to the run of a mention. A mention lies in one piece."""
    first, last = max(mention.first - position, 0), min(mention.last - position, len(piece))
    start, stop = mention.start - position, mention.stop - position
    if not 0 <= start < len(piece):
        return piece[first:last]
    return f"{piece[first:start]}<mark>{piece[start:stop]}</mark>{piece[stop:last]}"


# ---------------------------------------------------------------- reading markup

# Holes, in the markup of a whole body: noncharacters, which no text contains.
_LINK, _LINK_END, _APART, _WITHIN = "\ufdd0", "\ufdd1", "\ufdd2", "\ufdd3"


def _whole(body: Body) -> tuple[str, list[int]]:
    """The body as one text, a character for each hole, and where each of its pieces starts in it."""
    parts = [piece if isinstance(piece, str) else _stand_in(piece) for piece in body]
    starts, position = [], 0
    for part in parts:
        starts.append(position)
        position += len(part)
    return "".join(parts), starts


def _stand_in(hole: Hole) -> str:
    if isinstance(hole, LinkHole):
        return _LINK
    if isinstance(hole, LinkEnd):
        return _LINK_END
    return _APART if isinstance(hole, CellHole) else _WITHIN


def _in_one_piece(starts: list[int], start: int, stop: int) -> bool:
    return bisect_right(starts, start) == bisect_right(starts, stop - 1)


_MARKUP = re.compile(
    r"(?:</?(?:p|li|ul|ol|div|blockquote|t[dhr])>\s*)+"
    r"|<(code|kbd|math|pre|samp|script|style|svg|textarea)\b[^>]*>.*?</\1>"
    rf"|<(/?)([a-zA-Z][a-zA-Z0-9-]*)(?:[^<>\"']|\"[^\"]*\"|'[^']*')*+>|<!--.*?-->|[{_LINK}-{_WITHIN}]",
    re.DOTALL,
)
"""Plain tags of blocks, an element without prose as a whole, another tag, a comment or a hole."""
_TAG_NAME = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9-]*)")
_OPAQUE = frozenset({"code", "kbd", "math", "samp", "script", "style", "svg", "textarea"})
_VOID = frozenset({"br", "img", "input", "wbr"})
_INLINE = frozenset({
    *("a", "abbr", "b", "bdi", "bdo", "button", "cite", "data", "del", "dfn", "em", "i", "ins", "mark", "q"),
    *("ruby", "rb", "rp", "rt", "rtc", "s", "small", "span", "strong", "sub", "sup", "time", "tt", "u"),
    "var",
})  # fmt: skip
_SILENT = frozenset({"a", "button", "h1", "h2", "h3", "h4", "h5", "h6"})
"""Elements whose text is no place for a link."""


class _Runs:
    """Where the text of a body is that may hold mentions, in order: stretches without a tag in them, each
    with the run that it is part of, which is all that stands between two tags of blocks."""

    def __init__(self, markup: str) -> None:
        self._starts: list[int] = []
        self._stops: list[int] = []
        self._runs: list[tuple[int, int]] = []
        for first, last, stretches in _runs(markup):
            for start, stop in stretches:
                self._starts.append(start)
                self._stops.append(stop)
                self._runs.append((first, last))

    def around(self, start: int, stop: int) -> tuple[int, int] | None:
        """The run around a part of the text; None where no mention may be."""
        i = bisect_right(self._starts, start) - 1
        return self._runs[i] if i >= 0 and stop <= self._stops[i] else None


def _runs(markup: str) -> Iterator[tuple[int, int, list[tuple[int, int]]]]:
    """Runs from where to where, and their stretches. What an author's own HTML leaves open is left out."""
    silent: list[str] = []
    stretches: list[tuple[int, int]] = []
    first = done = depth = 0
    for tag in _MARKUP.finditer(markup):
        start, stop = tag.span()
        if start > done and not silent:
            stretches.append((done, start))
        done = stop
        name, closes = _element(tag[0] if tag[1] is None else f"<{tag[1]}>")
        if name in _SILENT:
            _enter_or_leave(silent, name, closes)
        if name in _INLINE:
            depth += -1 if closes else 1
        elif name:
            if stretches and not depth:
                yield first, start, stretches
            stretches, first, depth = [], done, 0
    if done < len(markup) and not silent:
        stretches.append((done, len(markup)))
    if stretches and not depth:
        yield first, len(markup), stretches


@lru_cache(maxsize=1 << 12)
def _element(tag: str) -> tuple[str, bool]:
    """The element that something begins or ends; "" for what is a part of running text as a whole."""
    if tag in (_LINK, _LINK_END):
        return "a", tag == _LINK_END
    found = _TAG_NAME.match(tag)
    if found is None:
        return ("pre" if tag == _APART else ""), False
    name = found[2].lower()
    return ("" if name in _VOID or name in _OPAQUE else name), bool(found[1])


def _enter_or_leave(silent: list[str], name: str, leaves: bool) -> None:
    """Elements nest, whatever an author's own HTML says: an end tag closes what was opened since."""
    if not leaves:
        silent.append(name)
    elif name in silent:
        while silent.pop() != name:
            pass


# ---------------------------------------------------------------- reading text


def _candidates(lower: str, known: Names) -> list[tuple[int, list[_Name]]]:
    """The names whose words stand in a text, the longest first, each by the place of its first word."""
    parts = _words_of(lower).split(lower)  # what is between words and words, in turn
    words = parts[1::2]
    pairs = zip(map(known.after.get, words), [*words[1:], ""], strict=False)
    begun = [i for i, (node, word) in enumerate(pairs) if node and (node.here or word in node.after)]
    if not begun:
        return []
    places = list(accumulate(map(len, parts)))[::2]
    found = ((places[i], _ending(known, words, i)) for i in begun)
    return [(place, names) for place, names in found if names]


def _ending(known: Names, words: list[str], i: int) -> list[_Name]:
    found: list[_Name] = []
    node = known.after.get(words[i])
    while node is not None:
        found[:0] = node.here
        i += 1
        node = node.after.get(words[i]) if i < len(words) else None
    return found


def _named(markup: str, lower: str, candidates: list[tuple[int, list[_Name]]]) -> Iterator[tuple[_Name, int]]:
    """The names in a text, the longest at each place, and where they begin."""
    free = 0
    for first, names in candidates:
        for name in names:
            place = first - name.lead
            if place >= free and _is_there(markup, lower, place, name):
                free = place + len(name.lower)
                yield name, place
                break


def _is_there(markup: str, lower: str, place: int, name: _Name) -> bool:
    end = place + len(name.lower)
    return (
        lower.startswith(name.lower, place)
        and (not name.exact or _evened(markup[place:end]) == name.exact)
        and not _goes_on(lower, place)
        and not _goes_on(lower, end)
    )


def _goes_on(text: str, place: int) -> bool:
    """Whether a word goes on across a place: a hyphen or an apostrophe ends it, a combining mark does not."""
    if not 0 < place < len(text):
        return False
    before, after = text[place - 1], text[place]
    if unicodedata.category(after)[0] == "M":
        return True
    is_spaceless = _SPACELESS_SIGN.match(before) or _SPACELESS_SIGN.match(after)
    return not is_spaceless and _is_of_word(before) and _is_of_word(after)


def _is_of_word(char: str) -> bool:
    return char.isalnum() or char == "_" or unicodedata.category(char)[0] == "M"

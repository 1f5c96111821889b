"""All notes to the files of the index.

`search/index.json` lists where the stretches begin; `search/names/` and `search/words/` hold stretches of the
sorted words with the numbers of the notes that have them; `search/vocabulary/` holds words alone, to
compare a misspelt one with; `search/notes/` says what to show of a note. Everything is JSON, because that
is what every static host compresses.
"""

from __future__ import annotations

import json
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from hashlib import blake2b
from itertools import accumulate
from zlib import crc32

from generator.model import OutPath, Slug
from generator.search.entry import DIGITS, Entry

STRETCH = 16_000
"""Characters of a file of words, about: the smaller, the less a query costs and the more files there are."""

VOCABULARY = 50_000
"""Words that a misspelt one is compared with: those of names first, then the most frequent. They are all that
grows without bound on the way to a first result, so they must not."""

ROWS = 8
"""Numbers of notes that differ only in so many low bits have their rows in one file: about 16 notes."""

_SPARSE = 16
_COMMON = 1 << 15


def files(entries: Iterable[Entry]) -> dict[OutPath, bytes]:
    """The index of these notes, by place in the site: the same bytes in whatever order they come."""
    by_slug = {entry.slug: entry for entry in entries}
    numbers, bits = _numbers(by_slug)
    in_order = sorted(by_slug.values(), key=lambda entry: numbers[entry.slug])
    names = _postings((numbers[entry.slug], entry.names, entry.name_flags) for entry in in_order)
    words = _postings((numbers[entry.slug], entry.words, entry.word_flags) for entry in in_order)
    vocabulary = dict.fromkeys(_vocabulary(names, words), "")
    made: dict[OutPath, bytes] = {}
    directory: dict[str, object] = {"notes": len(by_slug), "bits": bits, "rows": ROWS}
    for family, found in (("names", _encoded(names)), ("words", _encoded(words)), ("vocabulary", vocabulary)):
        directory[family] = []
        for start, stretch in _stretches(found):
            directory[family].append(start)  # type: ignore[attr-defined]
            content = list(stretch) if family == "vocabulary" else stretch
            made[OutPath(f"search/{family}/{_file_name(start)}.json")] = _json(content)
    made.update(_rows(in_order, numbers))
    made[OutPath("search/index.json")] = _json(directory)
    return made


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


# ---------------------------------------------------------------- notes as numbers


def _numbers(slugs: Iterable[Slug]) -> tuple[dict[Slug, int], int]:
    """A number for each note, and how many bits they have.

    Numbers come from hashes of the addresses, sparsely: counting the notes instead would give a new number
    to every note behind a new one, and so change every file of the index.
    """
    hashes = sorted((int.from_bytes(blake2b(slug.encode(), digest_size=4).digest()), slug) for slug in slugs)
    bits = max(ROWS, (_SPARSE * len(hashes)).bit_length())
    taken: dict[int, Slug] = {}
    for value, slug in hashes:
        number = value >> (32 - bits)
        while number in taken:
            number = (number + 1) % (1 << bits)
        taken[number] = slug
    return {slug: number for number, slug in taken.items()}, bits


def _rows(entries: Sequence[Entry], numbers: Mapping[Slug, int]) -> dict[OutPath, bytes]:
    shared: dict[int, list[str]] = {}
    for entry in entries:
        number = numbers[entry.slug]
        shared.setdefault(number >> ROWS, []).append(f'"{number}":{entry.row}')
    return {
        OutPath(f"search/notes/{place}.json"): f"{{{','.join(rows)}}}".encode()
        for place, rows in shared.items()
    }


# ---------------------------------------------------------------- words as files


def _postings(found: Iterable[tuple[int, str, str]]) -> dict[str, array[int]]:
    """The notes that have each word, in order: number and flags in one machine word."""
    postings: dict[str, array[int]] = {}
    value = {digit: i for i, digit in enumerate(DIGITS)}
    for number, words, flags in found:
        base = number << 6
        for word, flag in zip(words.split(" ") if words else (), flags, strict=True):
            packed = base | value[flag]
            if word in postings:
                postings[word].append(packed)
            else:
                postings[word] = array("Q", (packed,))
    return postings


def _encoded(postings: Mapping[str, array[int]]) -> dict[str, str]:
    """Of each word the flags of its notes, a comma, and the steps from each note's number to the next."""
    steps, flags = _common_steps(), DIGITS
    encoded = {}
    for word, packed in postings.items():
        last = 0
        parts = []
        for one in packed:
            number = one >> 6
            step = number - last
            last = number
            parts.append(steps[step] if step < _COMMON else _digits(step))
        encoded[word] = f"{''.join([flags[one & 63] for one in packed])},{''.join(parts)}"
    return encoded


@cache
def _common_steps() -> tuple[str, ...]:
    return tuple(map(_digits, range(_COMMON)))


def _digits(number: int) -> str:
    """A number in groups of five bits, the lowest first; a sixth bit says that more follow."""
    text = ""
    while number > 31:
        text += DIGITS[number & 31 | 32]
        number >>= 5
    return text + DIGITS[number]


def _vocabulary(names: Mapping[str, array[int]], words: Mapping[str, array[int]]) -> list[str]:
    """Words long enough to be misspelt: those of names, and the most frequent others."""
    others = sorted((-len(found), word) for word, found in words.items() if word not in names)
    wanted = (*sorted(names), *(word for _, word in others))
    return [word for word in wanted if len(word) > 3 and not word.isdecimal()][:VOCABULARY]


# ---------------------------------------------------------------- where to cut


def _stretches(found: Mapping[str, str]) -> Iterable[tuple[str, dict[str, str]]]:
    """The sorted words, cut into stretches of about equal size, each with the word that it begins at (the
    first begins before every word)."""
    keys = {word.encode("utf-16-be"): word for word in found}  # a browser compares strings by such units
    in_order = sorted(keys)
    ordered = [keys[key] for key in in_order]
    ends = [0, *accumulate([len(word) + len(found[word]) + 6 for word in ordered])]
    chances = [crc32(key) for key in in_order]
    start = 0
    for stop in (*_cuts(chances, ends, 0, len(ordered)), len(ordered)):
        stretch = {word: found[word] for word in ordered[start:stop]}
        yield ordered[start] if start else "", stretch
        start = stop


def _cuts(chances: Sequence[int], ends: Sequence[int], start: int, stop: int) -> list[int]:
    """Where to cut the words from `start` to `stop`, recursively; `ends` are their weights, summed up.

    Within the middle half the cut is at the word with the smallest hash. So the places depend on the words
    there are, hardly on how heavy they are: a note edited elsewhere moves no cut.
    """
    weight = ends[stop] - ends[start]
    if weight <= STRETCH or stop - start < 2:
        return []
    low = bisect_left(ends, ends[start] + weight // 4, start + 1, stop)
    high = max(low + 1, bisect_left(ends, ends[stop] - weight // 4, start + 1, stop))
    cut = min(range(min(low, stop - 1), min(high, stop)), key=chances.__getitem__)
    return [*_cuts(chances, ends, start, cut), cut, *_cuts(chances, ends, cut, stop)]


def _file_name(word: str) -> str:
    """A word as the name of a file on every system and host; a dash for the stretch before all words."""
    return "".join(c if c.isascii() else f"-{ord(c):x}-" for c in word) or "-"

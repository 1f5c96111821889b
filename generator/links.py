"""What a link means: from the words in the brackets to a note, a heading, a block or a file.

`index` reads the whole garden once; `resolve` then answers each link by a few dictionary look-ups.

The rules, first hit wins (each step is one table of the index):

1. the path as written, then with case folded, then as a slug. A path that begins with `./`, `../` or `/` is
   exact; any other may be the end of a longer one. Markdown's own links are tried relative to their
   note first, then from the root.
2. a folder, which means its `index` or `README`;
3. an alias, a redirect;
4. a title (worth a warning: titles change);
5. the last part of a path on its own (worth a warning: the path is wrong);
6. for a link `[text](name)` as MyST writes it, the block that has this name, wherever it is. MyST's role
   `ref` means nothing else.

Where several answer, the one that shares the nearest folder with the note that links is chosen, then the
shortest path, then the first in alphabetical order.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher
from itertools import islice
from typing import Literal
from urllib.parse import unquote

from generator.model import (
    Ambiguous,
    Asset,
    Doubt,
    Found,
    FoundAsset,
    Heading,
    Link,
    Missing,
    Note,
    Resolution,
    Slug,
    anchor_of,
    block_id_of,
    media_kind,
    slugify,
)

_NOTE_SUFFIXES = (".md", ".ipynb")
_ASCII_WORD = re.compile(r"[a-z0-9_.~]+")
_SURE: Doubt = ""
_INDEX_NAMES = ("index", "readme")  # the first is preferred


@dataclass(frozen=True, slots=True, eq=False)
class _Target:
    """A note or (without `note`) another file."""

    path: str
    note: Note | None


@dataclass(frozen=True, slots=True, eq=False)
class _Several:
    """Targets that answer to one name. `best` is, for every folder that holds some, the best of those.
    `kinds` are the notes among them by their suffix, where there are several suffixes."""

    best: dict[str, _Target]
    paths: tuple[str, ...]
    kinds: Mapping[str, _Answer]

    def nearest(self, folder: str) -> _Target:
        return next(self.best[place] for place in _ancestors(folder) if place in self.best)

    def named(self, target: str) -> _Answer:
        """Those that have the suffix that the target is written with: `a.md` does not mean `a.ipynb`."""
        return self.kinds.get(_note_suffix(target), self)


_Answer = _Target | _Several
_Table = dict[str, _Answer]


@dataclass(frozen=True, slots=True, eq=False)
class Index:
    """A garden, ready to be asked. Made by `index`, read by `resolve`; its content is nobody else's business.

    Keys of the path tables are every end of every path, and, after a slash, every whole path. The last
    two fields remember what was worked out on demand: most notes are never linked to by heading, and few
    links are missing.
    """

    _exact: _Table
    _folded: _Table
    _slugs: _Table
    _folders: _Table
    _aliases: _Table
    _titles: _Table
    _labels: _Table
    _notes: dict[str, _Target]
    _outlines: dict[str, _Outline] = field(default_factory=dict)
    _names: list[_Names] = field(default_factory=list)


def apart(notes: Iterable[Note]) -> Iterator[Note]:
    """Each note with an address of its own: of those that want the same one the first keeps it."""
    taken: set[str] = set()
    for note in notes:
        slug, n = note.slug, 1
        while slug in taken:
            n += 1
            slug = Slug(f"{note.slug}-{n}")
        taken.add(slug)
        yield note if n == 1 else replace(note, slug=slug)


def index(notes: Iterable[Note], assets: Iterable[Asset]) -> Index:
    """Read a garden: its published notes and its other files. Linear in their number."""
    building = _Building()
    for note in notes:
        building.add_note(note)
    for asset in assets:
        building.add_asset(asset)
    return building.index()


def resolve(link: Link, path: str, index: Index, suggest: bool = True) -> Resolution:
    """What `link`, written in the note at `path`, leads to. Where it leads nowhere, finding what may have
    been meant takes longer than all the rest: who does not ask for it gets no `near`."""
    target = unicodedata.normalize("NFC", link.target.strip())
    if not target:
        own = index._notes.get(path)
        return _found(own, link, "", index) if own else Missing()
    folder = _parent(path)
    search = _Search(index, folder, link.style)
    answer, doubt = (None, _SURE) if _is_label(link) else search.anywhere(target)
    if answer is None and link.kind == "link" and link.style == "markdown" and not link.anchor:
        link, answer = _labelled(link, index)
    if answer is None:
        if search.outside:
            return Missing(why="outside")
        return Missing(_near(target, path, index) if suggest else ())
    if isinstance(answer, _Several):
        answer = answer.named(target)
    if isinstance(answer, _Several):
        return Ambiguous(_found(answer.nearest(folder), link, doubt, index), answer.paths)
    return _found(answer, link, doubt, index)


def _is_label(link: Link) -> bool:
    """Whether the whole target of a link can only be the name of a block, as in the role `ref`."""
    return ("role", "ref") in link.options


def _labelled(link: Link, index: Index) -> tuple[Link, _Answer | None]:
    """The block that the whole target of a link names, as a link to it, and the notes that have it."""
    name = block_id_of(link.target).lower()
    bare = _is_label(link) or not ("." in link.target or "/" in link.target)
    answer = index._labels.get(name) if bare else None
    return (replace(link, anchor=("^" + name,)), answer) if answer else (link, None)


def backlinks(
    notes: Iterable[Note], resolutions: Mapping[Slug, tuple[Resolution, ...]]
) -> dict[Slug, tuple[tuple[Slug, int], ...]]:
    """For every note that is linked to: who links to it, and with which of its links.

    `resolutions` are parallel to the links of each note. The pairs are in the order of `notes` and, within
    one, of its links. A note's links to itself do not count.
    """
    found: dict[Slug, list[tuple[Slug, int]]] = {}
    for note in notes:
        for i, resolution in enumerate(resolutions[note.slug]):
            target = resolution.chosen if isinstance(resolution, Ambiguous) else resolution
            if isinstance(target, Found) and target.slug != note.slug:
                found.setdefault(target.slug, []).append((note.slug, i))
    return {slug: tuple(sources) for slug, sources in found.items()}


# ---------------------------------------------------------------- paths and names


def _parent(path: str) -> str:
    return path.rpartition("/")[0]


def _ancestors(folder: str) -> Iterator[str]:
    """The folder, its parent, …, the root (`""`)."""
    while folder:
        yield folder
        folder = _parent(folder)
    yield ""


def _ends(path: str) -> Iterator[str]:
    """`/a/b/c`, `a/b/c`, `b/c`, `c`."""
    yield "/" + path
    while path:
        yield path
        path = path.partition("/")[2]


def _stem(path: str) -> str:
    return path[: len(path) - len(_note_suffix(path))]


def _note_suffix(path: str) -> str:
    lower = path.lower()
    return next((end for end in _NOTE_SUFFIXES if lower.endswith(end)), "")


def _fold(text: str) -> str:
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def _slug(path: str) -> str:
    """Each part of a path as `slugify` writes it, so that a slug is a spelling of the path."""
    return "/".join(map(_slug_of_part, path.split("/")))


def _slug_of_part(part: str) -> str:
    if not part.isascii():
        return slugify(part)
    # The same, faster: nearly every name in a garden is ASCII, and there are tens of thousands.
    return "-".join(_ASCII_WORD.findall(part.lower())).strip(".") or ("-" if part else "")


def _written_slug(folded: str) -> str:
    """The slug that a (folded) target spells, or `""` where making it one would drop something: `C++` is no
    spelling of `c`."""
    slug = _slug(folded)
    return slug if slug == "-".join(folded.split()) else ""


def _words(text: str) -> str:
    return " ".join(_fold(text).split())


def _joined(folder: str, target: str) -> str | None:
    """`target` as a path from the root, or None where it leaves the vault."""
    parts = [] if target.startswith("/") else folder.split("/") if folder else []
    for part in target.split("/"):
        if part == "..":
            if not parts:
                return None
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


# ---------------------------------------------------------------- building the index


@dataclass(slots=True)
class _Naming:
    """One table of the index while it is built: most names have one target, and get no list for it."""

    first: dict[str, _Target] = field(default_factory=dict)
    more: dict[str, list[_Target]] = field(default_factory=dict)

    def add(self, keys: Iterable[str], target: _Target) -> None:
        first = self.first
        for key in keys:
            known = first.setdefault(key, target)
            if known is not target:
                others = self.more.setdefault(key, [known])
                if others[-1] is not target:
                    others.append(target)

    def settled(self) -> _Table:
        return {**self.first, **{key: _several(targets) for key, targets in self.more.items()}}


@dataclass(slots=True)
class _Building:
    exact: _Naming = field(default_factory=_Naming)
    folded: _Naming = field(default_factory=_Naming)
    slugs: _Naming = field(default_factory=_Naming)
    folders: _Naming = field(default_factory=_Naming)
    aliases: _Naming = field(default_factory=_Naming)
    titles: _Naming = field(default_factory=_Naming)
    labels: _Naming = field(default_factory=_Naming)
    indexes: dict[str, tuple[int, _Target]] = field(default_factory=dict)
    notes: dict[str, _Target] = field(default_factory=dict)

    def add_note(self, note: Note) -> None:
        target = _Target(note.path, note)
        self.notes[note.path] = target
        stem = _stem(note.path)
        self._add_path(stem, target)
        for spelling in {_slug(stem), str(note.slug)}:
            self.slugs.add(_ends(spelling), target)
        for address in note.redirects:
            self.slugs.add(_ends(_slug(address.strip("/"))), target)
        for alias in filter(None, map(_words, note.aliases)):
            self.aliases.add((alias, _slug(alias)), target)
        cells = {cell.label for cell in note.cells}
        self.labels.add((block.id.lower() for block in note.blocks if block.id not in cells), target)
        folder, _, name = stem.rpartition("/")
        if note.title != name:
            self.titles.add((_words(note.title), _slug(note.title)), target)
        if name.lower() in _INDEX_NAMES:
            self._add_index(folder, _INDEX_NAMES.index(name.lower()), target)

    def add_asset(self, asset: Asset) -> None:
        """After the notes: where an asset has no suffix, a note of that name goes before it."""
        if "." in asset.path.rpartition("/")[2] or asset.path not in self.exact.first:
            self._add_path(asset.path, _Target(asset.path, None))

    def index(self) -> Index:
        for folder, (_, target) in self.indexes.items():
            for spelling in {folder, _fold(folder), _slug(folder)}:
                self.folders.add(_ends(spelling), target)
        names = (self.exact, self.folded, self.slugs, self.folders, self.aliases, self.titles, self.labels)
        exact, folded, slugs, folders, aliases, titles, labels = (table.settled() for table in names)
        return Index(exact, folded, slugs, folders, aliases, titles, labels, self.notes)

    def _add_path(self, path: str, target: _Target) -> None:
        self.exact.add(_ends(path), target)
        self.folded.add(_ends(_fold(path)), target)

    def _add_index(self, folder: str, rank: int, target: _Target) -> None:
        if rank < self.indexes.get(folder, (len(_INDEX_NAMES), target))[0]:
            self.indexes[folder] = rank, target


def _several(targets: list[_Target]) -> _Several:
    kinds: dict[str, list[_Target]] = {}
    for target in targets:
        kinds.setdefault(_note_suffix(target.path), []).append(target)
    mixed = sum(map(bool, kinds)) > 1
    by_kind = {kind: _one_or_several(some) for kind, some in kinds.items() if kind} if mixed else {}
    best: dict[str, _Target] = {}
    ordered = sorted(targets, key=lambda target: (len(target.path), target.path))
    for target in ordered:
        for folder in _ancestors(_parent(target.path)):
            best.setdefault(folder, target)
    return _Several(best, tuple(sorted(target.path for target in targets)), by_kind)


def _one_or_several(targets: list[_Target]) -> _Answer:
    return targets[0] if len(targets) == 1 else _several(targets)


# ---------------------------------------------------------------- finding a target


@dataclass(slots=True)
class _Search:
    """The look-ups for one link. `outside`: its path leaves the vault."""

    index: Index
    folder: str
    style: Literal["wiki", "markdown", "html"]
    outside: bool = False

    def anywhere(self, target: str) -> tuple[_Answer | None, Doubt]:
        """By the target as it is written, else decoded, else by the last part of its path."""
        answer, doubt = self.find(target)
        if answer is None and "%" in target:
            target = unicodedata.normalize("NFC", unquote(target))
            answer, doubt = self.find(target)
        if answer is None and "/" in target and not self.outside:
            return self.basename(target), "basename"
        return answer, doubt

    def find(self, target: str) -> tuple[_Answer | None, Doubt]:
        whole = self._whole(target)
        if self.outside:
            return None, ""
        for key in whole:
            answer, doubt = self._path(key)
            if answer:
                return answer, doubt
        path = _stem(target.strip("/"))
        if not target.startswith(("./", "../", "/")):
            answer, doubt = self._named(path)
            if answer:
                return answer, doubt
        return None, ""

    def basename(self, target: str) -> _Answer | None:
        """What the last part of a path leads to on its own. Every folder may have an `index`: that
        name alone says nothing."""
        name = _stem(target.strip("/")).rpartition("/")[2]
        return None if name.lower() in _INDEX_NAMES else self._named(name)[0]

    def _whole(self, target: str) -> list[str]:
        """The whole paths (keys with a leading slash) that the target may stand for."""
        dotted = target.startswith(("./", "../", "/")) or target in (".", "..")
        bases = [self.folder] if dotted else [self.folder, ""] if self.style != "wiki" else []
        paths = [_joined(base, target) for base in bases]
        self.outside = not any(path is not None for path in paths) if bases else _joined("", target) is None
        return ["/" + _stem(path) for path in paths if path is not None]

    def _named(self, path: str) -> tuple[_Answer | None, Doubt]:
        answer, doubt = self._path(path)
        if answer:
            return answer, doubt
        names = (_words(path), _written_slug(_fold(path)))
        for name in names:
            if name in self.index._aliases:
                return self.index._aliases[name], ""
        for name in names:
            if name in self.index._titles:
                return self.index._titles[name], "title"
        return None, ""

    def _path(self, key: str) -> tuple[_Answer | None, Doubt]:
        index = self.index
        if key in index._exact:
            return index._exact[key], ""
        folded = _fold(key)
        if folded in index._folded:
            return index._folded[folded], "case"
        slug = _written_slug(folded)
        if slug in index._slugs:
            return index._slugs[slug], ""
        for spelling in (key, folded, slug):
            if spelling in index._folders:
                return index._folders[spelling], ""
        return None, ""


# ---------------------------------------------------------------- the place within a note


@dataclass(frozen=True, slots=True)
class _Outline:
    """The headings, blocks and elements of a note by what they may be called. `texts` are three tables,
    strictest first: text, text without punctuation, anchor; `ends[i]` is the first heading that is not
    under `i`; `named` are the texts of the headings that are blocks."""

    headings: tuple[Heading, ...]
    ends: tuple[int, ...]
    texts: tuple[dict[str, list[int]], ...]
    blocks: dict[str, str]
    ids: dict[str, str]
    named: dict[str, str]


_SPELLINGS: tuple[Callable[[str], str], ...] = (
    _words,
    lambda text: " ".join("".join(c if c.isalnum() else " " for c in _fold(text)).split()),
    lambda text: anchor_of(text) if any(map(str.isalnum, text)) else "",
)


def _found(target: _Target, link: Link, doubt: Doubt, index: Index) -> Found | FoundAsset:
    note = target.note
    if note is None:
        return FoundAsset(target.path, doubt)
    if not link.anchor:
        return Found(note.slug, note.title, "", note.title, doubt)
    if target.path not in index._outlines:
        index._outlines[target.path] = _outline(note)
    outline = index._outlines[target.path]
    last = link.anchor[-1]
    if last.startswith("^"):
        block = outline.blocks.get(last[1:]) or outline.blocks.get(last[1:].lower())
        if not block:
            return Found(note.slug, note.title, "", note.title, "block")
        text = outline.named.get(block) if link.style == "markdown" else None
        if not text and any(cell.label == block for cell in note.cells):
            text = f"{note.title} › {block}" if link.target else block
        return Found(note.slug, note.title, f"^{block}", text or note.title, doubt)
    heading = _heading(link.anchor, outline)
    if heading is None:
        anchor = _element(last, link, outline)
        return Found(note.slug, note.title, anchor, note.title, doubt if anchor else "heading")
    label = f"{note.title} › {heading.text}" if link.target else heading.text
    return Found(note.slug, note.title, heading.anchor, label, doubt)


def _element(name: str, link: Link, outline: _Outline) -> str:
    """The id in the page of what a link names that is no heading: an element of the author's raw HTML or, for
    `[text](#name)`, a MyST target."""
    for wanted in (name, unquote(name)):
        if wanted in outline.ids:
            return outline.ids[wanted]
        block = outline.blocks.get(block_id_of(wanted)) or outline.blocks.get(block_id_of(wanted).lower())
        if block and link.style == "markdown":
            return f"^{block}"
    return ""


def _outline(note: Note) -> _Outline:
    texts: tuple[dict[str, list[int]], ...] = tuple({} for _ in _SPELLINGS)
    for i, heading in enumerate(note.headings):
        for table, spelling in zip(texts[:2], _SPELLINGS, strict=False):
            table.setdefault(spelling(heading.text), []).append(i)
        texts[2].setdefault(heading.anchor, []).append(i)
    names = [*(block.id for block in note.blocks), *(cell.label for cell in note.cells)]
    blocks = {name.lower(): name for name in reversed(names)} | {name: name for name in names}
    ids = {name.removeprefix("user-"): name for name in note.ids} | {name: name for name in note.ids}
    starts = {heading.section.start: heading.text for heading in reversed(note.headings)}
    named = {block.id: starts[block.range.start] for block in note.blocks if block.range.start in starts}
    return _Outline(note.headings, _section_ends(note.headings), texts, blocks, ids, named)


def _section_ends(headings: tuple[Heading, ...]) -> tuple[int, ...]:
    ends = [len(headings)] * len(headings)
    open_: list[int] = []
    for i, heading in enumerate(headings):
        while open_ and headings[open_[-1]].level >= heading.level:
            ends[open_.pop()] = i
        open_.append(i)
    return tuple(ends)


def _heading(names: tuple[str, ...], outline: _Outline) -> Heading | None:
    """The first heading called by the last name that is below one called by the name before, and so on."""
    *outer, last = names
    places = [(-1, len(outline.headings))]
    for name in outer:
        places = _sections(_called(name, outline), places, outline.ends)
    called = _called(last, outline)
    for start, stop in places:
        k = bisect_right(called, start)
        if k < len(called) and called[k] < stop:
            return outline.headings[called[k]]
    return None


def _sections(
    called: list[int], places: list[tuple[int, int]], ends: tuple[int, ...]
) -> list[tuple[int, int]]:
    """The sections of the headings `called` that are within `places`; of nested ones the outer."""
    found: list[tuple[int, int]] = []
    for start, stop in places:
        for k in range(bisect_right(called, start), len(called)):
            if called[k] >= stop:
                break
            if not found or called[k] >= found[-1][1]:
                found.append((called[k], ends[called[k]]))
    return found


def _called(name: str, outline: _Outline) -> list[int]:
    for candidate in dict.fromkeys((name, unquote(name))):
        for table, spelling in zip(outline.texts, _SPELLINGS, strict=True):
            spelled = spelling(candidate)
            if spelled and spelled in table:
                return table[spelled]
    return []


# ---------------------------------------------------------------- what may have been meant


@dataclass(frozen=True, slots=True)
class _Names:
    """Every name in the garden: folded, what to write for it, and whose it is; and, by trigram, in which of
    them it occurs."""

    names: tuple[tuple[str, str, _Target], ...]
    grams: dict[str, list[int]]


# These bound the work for one missing target, however large the garden:
_PER_GRAM = 200  # of the names that share a trigram,
_GRAMS = 12  # of its trigrams, the rarest,
_COMPARED = 12  # of the names that share some of them, the likeliest,
_LETTERS = 80  # of a name.
_ALIKE = 0.75


def _near(target: str, path: str, index: Index) -> tuple[str, ...]:
    """Up to three names that are spelled much like the target, the most alike first: one for each note, and
    none for the note at `path`, in which the link stands."""
    if not index._names:
        index._names.append(_all_names(index))
    known = index._names[0]
    wanted = _fold(_stem(target.strip("/")).rpartition("/")[2])[:_LETTERS]
    if wanted in _INDEX_NAMES:  # every folder may have one
        return ()
    grams = sorted((known.grams[gram] for gram in _trigrams(wanted) if gram in known.grams), key=len)
    weights: dict[int, float] = {}
    for gram in grams[:_GRAMS]:
        for i in islice(gram, _PER_GRAM):
            if _may_mean(wanted, known.names[i][2], path):
                weights[i] = weights.get(i, 0) + 1 / len(gram)
    likely = sorted(weights, key=lambda i: (-weights[i], i))[:_COMPARED]
    alike: dict[str, tuple[float, str]] = {}
    for name, shown, meant in (known.names[i] for i in likely):
        matcher = SequenceMatcher(None, wanted, name, autojunk=False)
        if matcher.quick_ratio() >= _ALIKE and (ratio := matcher.ratio()) >= _ALIKE:
            alike[meant.path] = min(alike.get(meant.path, (0.0, "")), (-ratio, shown))
    return tuple(dict.fromkeys(shown for _, shown in sorted(alike.values())))[:3]


def _may_mean(wanted: str, known: _Target, path: str) -> bool:
    """Files that are no notes are named with their suffix, pictures and the like always."""
    return "." in wanted if known.note is None else known.path != path and not media_kind(wanted)


def _all_names(index: Index) -> _Names:
    names: dict[tuple[str, str, _Target], None] = {}
    for key, answer in index._exact.items():
        if key.startswith("/") and isinstance(answer, _Target):
            name = _fold(key.rpartition("/")[2])[:_LETTERS]
            names[name, key[1:], answer] = None
    for target in index._notes.values():
        for title in (target.note.title, *target.note.aliases) if target.note else ():
            if _words(title) != _fold(_stem(target.path).rpartition("/")[2]):
                names[_words(title)[:_LETTERS], title, target] = None
    grams: dict[str, list[int]] = {}
    for i, (name, _, _) in enumerate(names):
        for gram in _trigrams(name):
            grams.setdefault(gram, []).append(i)
    return _Names(tuple(names), grams)


def _trigrams(name: str) -> dict[str, None]:
    padded = f"  {name} "
    return dict.fromkeys(padded[i : i + 3] for i in range(len(padded) - 2))

"""Renaming a note: which links have to be written otherwise, and how. Pure: texts come in, edits go out.

Three worlds decide: the garden as it is, the garden after the move, and the same without the address that
is kept from before. A link that leads to the same place in all of them stays as it is written; one that
leans on the old name gets a new spelling, the first that means the same and nothing else, as near to the old
one as may be: a path stays as long, a relative one relative, a slug a slug, a suffix is kept.

Where a target stands in its line is first taken from the parser, then tried: an edit counts only if parsing
the edited note gives exactly the links that were wanted, and nothing else of the note has changed. So nothing
is ever written that was not read back.
"""

from __future__ import annotations

import json
import posixpath
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from html import escape, unescape
from urllib.parse import unquote

from generator import links, markdown
from generator.model import (
    Ambiguous,
    Asset,
    Doubt,
    Found,
    FoundAsset,
    Link,
    Missing,
    Note,
    Parsed,
    Problem,
    Source,
    Span,
    slug_of,
    slugify,
)
from generator.syntax import frontmatter

_SUFFIXES = (".md", ".ipynb")
_UNLINKABLE = "[]|#^"
_WHOLE = Span(0)
_WINDOW = 20_000  # characters behind the beginning of a link within which its target is looked for
_TRIED = 40  # places in them


@dataclass(frozen=True, slots=True)
class Edit:
    """Line `line` of a note (from 1), which is `old`, becomes `new`: one line, or several."""

    line: int
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What renaming `old` as `new` changes: of each note that changes, by the path that it has before, the
    edits of its text. `links` says how many are written otherwise; `redirect` is the address that is kept."""

    old: str
    new: str
    edits: Mapping[str, tuple[Edit, ...]]
    links: int
    redirect: str = ""


@dataclass(frozen=True, slots=True)
class _Lead:
    """Where a link leads, and how surely."""

    path: str
    anchor: str
    ambiguous: bool = False
    doubt: Doubt = ""

    def is_as_good_as(self, other: _Lead) -> bool:
        same = (self.path, self.anchor) == (other.path, other.anchor)
        surer = self.ambiguous <= other.ambiguous and _RANK[self.doubt] <= _RANK[other.doubt]
        return same and surer


_RANK: dict[Doubt, int] = {"": 0, "case": 0, "heading": 0, "block": 0, "title": 1, "basename": 2}


class _World:
    """A garden to ask where its links lead. A link means a published note first, as on the site, and a draft
    only where there is none."""

    def __init__(self, notes: Iterable[Note], assets: Sequence[Asset]) -> None:
        ordered = sorted(notes, key=lambda note: (not note.published, note.path))
        apart = list(links.apart(ordered))
        self._paths = {note.slug: note.path for note in apart}
        public = [note for note in apart if note.published]
        self._public = links.index(public, assets)
        self._all = links.index(apart, assets) if len(public) < len(apart) else None

    def lead(self, link: Link, path: str) -> _Lead | None:
        found = links.resolve(link, path, self._public, suggest=False)
        if isinstance(found, Missing) and self._all is not None:
            found = links.resolve(link, path, self._all, suggest=False)
        if isinstance(found, Missing):
            return None
        chosen = found.chosen if isinstance(found, Ambiguous) else found
        return self._of(chosen, isinstance(found, Ambiguous))

    def _of(self, chosen: Found | FoundAsset, ambiguous: bool) -> _Lead:
        if isinstance(chosen, FoundAsset):
            return _Lead(chosen.path, "", ambiguous, chosen.doubt)
        return _Lead(self._paths[chosen.slug], chosen.anchor, ambiguous, chosen.doubt)


# ---------------------------------------------------------------- the plan


def plan(
    sources: Sequence[Source],
    parsed: Sequence[Parsed],
    assets: Sequence[Asset],
    dialect: markdown.Dialect,
    old: str,
    new: str,
) -> Plan | tuple[Problem, ...]:
    """How to rename the note `old`, or what is in the way: all of it is done, or nothing.

    `parsed` are parallel to `sources`; drafts are among them: their links are rewritten as well. A notebook
    stands there as the Markdown that it means, and is never edited.
    """
    work = _Work({source.path: source for source in sources}, assets, dialect, old, new)
    notes = {one.note.path: one.note for one in parsed}
    problems = tuple(work.in_the_way(notes))
    if problems:
        return problems
    wanted = work.wanted(notes)
    texts = work.texts(wanted) if not work.problems else {}
    if work.problems:
        return tuple(work.problems)
    edits = {path: tuple(_edits(work.sources[path].text, lines)) for path, lines in texts.items()}
    work.hold(notes, texts)
    if work.problems:
        return tuple(work.problems)
    count = sum(map(len, wanted.values()))
    return Plan(old, new, {path: found for path, found in edits.items() if found}, count, work.redirect)


def applied(text: str, edits: Sequence[Edit]) -> str:
    """A text with line ends of any kind after these edits, every other byte as it was. Raises ValueError if
    the lines are not those that the edits are about."""
    lines = _with_ends(text)
    usual = next((end for _, end in lines if end), "\n")
    for edit in edits:
        body, end = lines[edit.line - 1] if edit.line <= len(lines) else ("", "")
        if body != edit.old:
            raise ValueError(f"line {edit.line} has changed")
        lines[edit.line - 1] = edit.new.replace("\n", usual), end
    return "".join(body + end for body, end in lines)


def _with_ends(text: str) -> list[tuple[str, str]]:
    """The lines of a text, each with its end: `\\n`, `\\r\\n`, `\\r`, or nothing for the last."""
    lines = []
    for line in text.split("\n"):
        *parts, last = line.split("\r")
        lines += [(part, "\r") for part in parts]
        lines.append((last, "\n"))
        if parts and not last:
            lines[-2:] = [(parts[-1], "\r\n")]
    body, end = lines[-1]
    lines[-1] = body, end.removesuffix("\n")
    if end == "\r\n":
        lines.append(("", ""))
    return lines


def _edits(text: str, lines: Sequence[str]) -> Iterator[Edit]:
    for number, (before, after) in enumerate(zip(text.split("\n"), lines, strict=True), 1):
        if before != after:
            yield Edit(number, before, after)


@dataclass(slots=True)
class _Work:
    """One renaming, and what is found to be in its way."""

    sources: Mapping[str, Source]
    assets: Sequence[Asset]
    dialect: markdown.Dialect
    old: str
    new: str
    problems: list[Problem] = field(default_factory=list)
    redirect: str = ""

    def in_the_way(self, notes: Mapping[str, Note]) -> Iterator[Problem]:
        """What is wrong with the new name as such."""
        bad = sorted({c for c in _stem(self.new) if c in _UNLINKABLE})
        if bad:
            yield self._problem(
                f"{self.new} could not be linked to: {' '.join(bad)} means something else within a link",
                "choose a name without it; the title may have it",
            )
        taken = {path.casefold(): path for path in (*notes, *(asset.path for asset in self.assets))}
        there = taken.get(self.new.casefold())
        if there and there != self.old:
            yield self._problem(f"there is already {there}", "choose another name, or move that file first")
        slug = slug_of(self.new)
        owner = next((n.path for n in notes.values() if n.slug == slug and n.path != self.old), "")
        if owner and not there:
            yield self._problem(
                f"{self.new} would have the address “{slug}”, which is that of {owner}",
                "choose another name, or give one of the two a permalink",
            )

    def _problem(self, message: str, hint: str, path: str = "", span: Span = _WHOLE) -> Problem:
        return Problem("rename-refused", "error", path or self.old, span, message, hint)

    def moved(self, path: str) -> str:
        return self.new if path == self.old else path

    # ------------------------------------------------ which links

    def wanted(self, notes: Mapping[str, Note]) -> dict[str, dict[int, str]]:
        """The links that have to be written otherwise, by the path of their note and their number, and their
        new targets."""
        before = _World(notes.values(), self.assets)
        bare = _World(self._notes(notes, ""), self.assets)
        self.redirect = self._old_address(notes[self.old])
        after = _World(self._notes(notes, self.redirect), self.assets)
        found: dict[str, dict[int, str]] = {}
        for path, note in notes.items():
            for i, link in enumerate(note.links):
                lead = before.lead(link, path) if link.target else None
                if lead is None:
                    continue
                goal = replace(lead, path=self.moved(lead.path))
                world = bare if lead.path == self.old else after
                now = world.lead(link, self.moved(path))
                moved_away = _is_exact(link, path, lead.path) and not _is_exact(
                    link, self.moved(path), goal.path
                )
                if now is not None and now.is_as_good_as(goal) and not moved_away:
                    continue
                target = self._target(link, path, lead, world)
                if target is None:
                    self._refuse(path, i, link, now)
                else:
                    found.setdefault(path, {})[i] = target
        return found

    def _notes(self, notes: Mapping[str, Note], redirect: str) -> list[Note]:
        """The notes after the move."""
        source = replace(self.sources[self.old], path=self.new)
        moved = markdown.parse(source, self.dialect).note
        if redirect:
            moved = replace(moved, redirects=(*moved.redirects, redirect))
        return [moved if path == self.old else note for path, note in notes.items()]

    def _old_address(self, note: Note) -> str:
        """The address that is to lead to the note from now on as well, where it can be written into it."""
        address = slug_of(self.old)
        if self.old.endswith(".ipynb") or address == slug_of(self.new) or address in note.redirects:
            return ""
        return address

    def _target(self, link: Link, path: str, lead: _Lead, world: _World) -> str | None:
        """The first spelling that leads there for sure; None where a link would have to change that has
        nothing to do with the note."""
        if lead.path != self.old and path != self.old:
            return None
        goal = _Lead(self.moved(lead.path), lead.anchor)
        for target in _spellings(link, path, lead.path, goal.path, self.moved(path)):
            now = world.lead(replace(link, target=target), self.moved(path))
            if now is not None and now.is_as_good_as(goal):
                return target
        return None

    def _refuse(self, path: str, i: int, link: Link, now: _Lead | None) -> None:
        span = markdown.parse(self.sources[path], self.dialect).spans.links[i]
        if now is not None and now.ambiguous:
            what, hint = "could then mean several notes", "write more of its path first"
        else:
            what, hint = f"would then lead {'elsewhere' if now else 'nowhere'}", "change it by hand first"
        shown = "#".join((link.target, *link.anchor))
        message = f"the link to “{shown}” {what} if {self.old} were called {self.new}"
        self.problems.append(self._problem(message, f"{hint}, or choose another name", path, span))

    # ------------------------------------------------ what they become

    def texts(self, wanted: Mapping[str, Mapping[int, str]]) -> dict[str, list[str]]:
        """The lines of the notes that change, parallel to those that they have; one may become several."""
        texts = {}
        for path, targets in wanted.items():
            source = self.sources[path]
            done = _Rewriting(source, self.dialect, targets).done()
            if path.endswith(".ipynb") or isinstance(done, int):
                i = done if isinstance(done, int) else min(targets)
                self._unwritable(source, i, targets[i])
            else:
                texts[path] = done
        if self.redirect:
            source = replace(self.sources[self.old], path=self.new)
            lines = texts.get(self.old) or source.text.split("\n")
            kept = _with_redirect(source, lines, self.redirect, self.dialect)
            if kept is None:
                self.problems.append(
                    self._problem(
                        f"the old address cannot be written into the properties of {self.old}",
                        f"give it the property `redirects: [{self.redirect}]` by hand first",
                    )
                )
            else:
                texts[self.old] = kept
        return texts

    def _unwritable(self, source: Source, i: int, target: str) -> None:
        parsed = markdown.parse(source, self.dialect)
        what = "in a notebook" if source.path.endswith(".ipynb") else "where it cannot be changed safely"
        message = f"the link to “{parsed.note.links[i].target}” stands {what}"
        hint = f"have it lead to {target} by hand, after the note is renamed; or take it out first"
        self.problems.append(self._problem(message, hint, source.path, parsed.spans.links[i]))

    def hold(self, notes: Mapping[str, Note], texts: Mapping[str, Sequence[str]]) -> None:
        """See that in the garden as it will be, every link that led somewhere leads there."""
        final = {}
        for path, note in notes.items():
            source = replace(self.sources[path], path=self.moved(path))
            if path in texts:
                source = replace(source, text="\n".join(texts[path]))
            changed = path in texts or path == self.old
            final[path] = markdown.parse(source, self.dialect).note if changed else note
        before = _World(notes.values(), self.assets)
        after = _World(final.values(), self.assets)
        for path, note in notes.items():
            for i, (link, new) in enumerate(zip(note.links, final[path].links, strict=True)):
                lead = before.lead(link, path)
                now = after.lead(new, self.moved(path)) if lead else None
                if lead and not (now and now.is_as_good_as(replace(lead, path=self.moved(lead.path)))):
                    self._refuse(path, i, link, now)


# ---------------------------------------------------------------- how a target may be spelled


def _stem(path: str) -> str:
    return next((path[: -len(end)] for end in _SUFFIXES if path.lower().endswith(end)), path)


def _spellings(link: Link, path: str, old: str, new: str, from_path: str) -> Iterator[str]:
    """What to write instead of a target that led from the note at `path` to `old`, so that it leads from
    `from_path` to `new`: the nearest to the old spelling first."""
    target = link.target.strip()
    whole = new if _stem(target) != target or _stem(new) == new else _stem(new)
    wiki = link.style == "wiki"
    parts = whole.split("/")
    if _is_slug(target, old):
        parts = [*map(slugify, parts[:-1]), slugify(_stem(parts[-1])) + parts[-1][len(_stem(parts[-1])) :]]
    relative = posixpath.relpath("/".join(parts), posixpath.dirname(from_path) or ".")
    dotted = relative if relative.startswith("../") else f"./{relative}"
    if target.startswith("/"):
        yield "/" + "/".join(parts)
    elif target.startswith(("./", "../")):
        yield dotted if target.startswith("./") or wiki else relative
    elif not wiki:
        rooted = _from(path, target) not in (old, _stem(old))
        yield from ("/".join(parts), relative) if rooted else (relative,)
    else:
        least = min(target.strip("/").count("/") + 1, len(parts))
        yield from ("/".join(parts[-n:]) for n in range(least, len(parts) + 1))
    yield from ("/".join(whole.split("/")), "/" + whole, dotted, new, "/" + new)


def _is_exact(link: Link, path: str, led_to: str) -> bool:
    """Whether a link that is no wikilink is the relative path of what it leads to, as others expect."""
    if link.style == "wiki" or link.target.startswith("/"):
        return False
    return _from(path, link.target) in (led_to, _stem(led_to))


def _from(path: str, target: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), target))


def _is_slug(target: str, old: str) -> bool:
    """Whether a target is written as an address is, where the name of the note is not."""
    name = _stem(target).rpartition("/")[2]
    own = _stem(old).rpartition("/")[2]
    return name != own and name == slugify(own)


# ---------------------------------------------------------------- where it stands


@dataclass(frozen=True, slots=True)
class _Place:
    """`text[start:stop]` is to become `new`."""

    start: int
    stop: int
    new: str


@dataclass(slots=True)
class _Rewriting:
    """Writing the targets of some links of one note otherwise."""

    source: Source
    dialect: markdown.Dialect
    targets: Mapping[int, str]

    def done(self) -> list[str] | int:
        """The lines of the note afterwards, or the number of a link that cannot be rewritten."""
        parsed = markdown.parse(self.source, self.dialect)
        text = self._at_once(parsed)
        if text is not None:
            return text.split("\n")
        text, left = self.source.text, set(self.targets)
        while left:
            i = min(left)
            step = self._one(parsed, text, i, left)
            if step is None:
                return i
            text, left = step
        return text.split("\n")

    def _at_once(self, parsed: Parsed) -> str | None:
        """All of them where the parser says that they are: true of nearly every note."""
        places: dict[tuple[int, int], _Place] = {}
        for i in self.targets:
            place = next(self._places(parsed, self.source.text, i), None)
            if place is None:
                return None
            places[place.start, place.stop] = place
        text = self.source.text
        for place in sorted(places.values(), key=lambda one: -one.start):
            text = text[: place.start] + place.new + text[place.stop :]
        return text if self._left(parsed, text, set(self.targets)) == set() else None

    def _one(self, parsed: Parsed, text: str, i: int, left: set[int]) -> tuple[str, set[int]] | None:
        """The text with one more link rewritten, and those that are left then."""
        current = markdown.parse(replace(self.source, text=text), self.dialect)
        tried: set[tuple[int, int, str]] = set()
        for place in self._places(current, text, i):
            key = place.start, place.stop, place.new
            if key in tried:
                continue
            tried.add(key)
            if len(tried) > _TRIED:
                break
            edited = text[: place.start] + place.new + text[place.stop :]
            now = self._left(parsed, edited, left)
            if now is not None and i not in now:
                return edited, now
        return None

    def _left(self, parsed: Parsed, text: str, left: set[int]) -> set[int] | None:
        """Of the links that were left to be rewritten, those that still are; None if the text says anything
        else that it should not."""
        now = markdown.parse(replace(self.source, text=text), self.dialect).note
        was = parsed.note
        if _told(now) != _told(was) or len(now.links) != len(was.links):
            return None
        pairs = list(zip(was.links, now.links, strict=True))
        worded = any(a.text is None and b.text in _words_of(a) for a, b in pairs)
        if not worded and (now.body, now.headings) != (was.body, was.headings):
            return None
        still = set()
        for i, (a, b) in enumerate(pairs):
            if not _is_same(a, b, worded):
                return None
            new = self.targets.get(i)
            if new is None or (i in left and b.target != new):
                if b.target != a.target:
                    return None
                if new is not None:
                    still.add(i)
            elif b.target != new:
                return None
        return still

    def _places(self, parsed: Parsed, text: str, i: int) -> Iterator[_Place]:
        """Where the target of a link may stand, the likeliest place first."""
        link, span, new = parsed.note.links[i], parsed.spans.links[i], self.targets[i]
        begin = _offset(text, span.line)
        start, stop = begin + span.col - 1, _line_end(text, begin)
        if link.style == "wiki":
            yield from _in_brackets(text, start, stop, link.target, new)
            yield from _in_brackets(text, begin, stop, link.target, new)
            if link.text is None and not link.anchor and link.kind != "embed":
                # In a heading or a title the name is text, on which an anchor depends: it is kept as words.
                for words in _words_of(link):
                    yield from _in_brackets(text, start, stop, link.target, f"{new}|{words}")
            if link.kind in ("property", "uses"):
                yield from _bare(text, begin, stop, link.target, new)
            return
        end = min(len(text), start + _WINDOW)
        if link.style == "html":
            yield from _in_quotes(text, max(start - 1, begin), end, link.target, new)
            yield from _in_quotes(text, begin, end, link.target, new)
            return
        if link.options and link.options[0][0] == "role":
            yield from (_Place(one.start, one.stop, new) for one in _literal(text, start, end, link.target))
            return
        yield from _in_parentheses(text, start, end, "](", link.target, new)
        for first, last in markdown.definitions(replace(self.source, text=text), self.dialect.nesting):
            at = _offset(text, first)
            yield from _in_parentheses(text, at, _line_end(text, _offset(text, last)), "]:", link.target, new)


def _told(note: Note) -> object:
    """What a note says that must not change where a link is written otherwise."""
    headings = tuple((one.level, one.text, one.anchor) for one in note.headings)
    return headings, note.cells, note.title, note.aliases, note.tags, note.blocks and len(note.blocks)


def _is_same(a: Link, b: Link, worded: bool) -> bool:
    """Whether a link is what it was but for its target, and where some links were given words, but for those
    and its place in the body."""
    if worded:
        words = _words_of(a)
        a, b = (replace(one, context=None, text=None if one.text in words else one.text) for one in (a, b))
    return a == replace(b, target=a.target)


def _words_of(link: Link) -> tuple[str, str]:
    """What a link without words may be called by."""
    return link.target, _stem(link.target).rpartition("/")[2]


def _offset(text: str, line: int) -> int:
    """Where a line (from 1) begins."""
    at = 0
    for _ in range(line - 1):
        at = text.find("\n", at) + 1
    return at


def _line_end(text: str, start: int) -> int:
    end = text.find("\n", start)
    return len(text) if end < 0 else end


def _literal(text: str, start: int, stop: int, wanted: str) -> Iterator[_Place]:
    at = text.find(wanted, start, stop)
    while at >= 0:
        yield _Place(at, at + len(wanted), "")
        at = text.find(wanted, at + 1, stop)


def _in_brackets(text: str, start: int, stop: int, target: str, new: str) -> Iterator[_Place]:
    """`[[target`, up to what ends it."""
    for opening in _literal(text, start, stop, "[["):
        begin = opening.stop
        ends = [text.find(mark, begin, stop) for mark in ("|", "\\|", "#", "]]")]
        end = min((one for one in ends if one >= 0), default=-1)
        written = text[begin:end] if end >= 0 else ""
        if unicodedata.normalize("NFC", written.strip()) == unicodedata.normalize("NFC", target) and target:
            first = begin + len(written) - len(written.lstrip())
            last = first + len(written.strip())
            yield _Place(first, last, new)
            yield _Place(first, last, json.dumps(new, ensure_ascii=False)[1:-1])
            yield _Place(first, last, new.replace("'", "''"))


def _bare(text: str, start: int, stop: int, target: str, new: str) -> Iterator[_Place]:
    """A target that a property names without brackets, quoted where YAML needs it."""
    quoted = json.dumps(new, ensure_ascii=False)
    for place in _literal(text, start, stop, target):
        for spelled in (new, quoted, quoted[1:-1], new.replace("'", "''")):
            yield _Place(place.start, place.stop, spelled)


def _in_parentheses(
    text: str, start: int, stop: int, opening: str, target: str, new: str
) -> Iterator[_Place]:
    """The address of a Markdown link or definition: `](address`, `](<address>`, `]: address`."""
    for mark in _literal(text, start, stop, opening):
        begin = mark.stop
        while begin < stop and text[begin] in " \t\n":
            begin += 1
        angled = text[begin : begin + 1] == "<"
        first = begin + angled
        end = _address_end(text, first, stop, angled)
        path = _path_of(text[first:end])
        if _decoded(path) == target:
            yield _Place(first, first + len(path), _encoded(new, path, angled))


def _address_end(text: str, start: int, stop: int, angled: bool) -> int:
    depth, at = 0, start
    while at < stop:
        c = text[at]
        if c == "\\" and at + 1 < stop:
            at += 2
            continue
        if c == ">" if angled else c in " \t\n" or (c == ")" and not depth):
            break
        depth += (c == "(") - (c == ")")
        at += 1
    return min(at, stop)


def _in_quotes(text: str, start: int, stop: int, target: str, new: str) -> Iterator[_Place]:
    """The value of an attribute in raw HTML."""
    for quote in "\"'":
        for mark in _literal(text, start, stop, quote):
            end = text.find(quote, mark.stop, stop)
            path = _path_of(text[mark.stop : end]) if end >= 0 else ""
            if path and unquote(unescape(path)) == target:
                yield _Place(mark.stop, mark.stop + len(path), escape(_encoded(new, path, angled=False)))


def _path_of(address: str) -> str:
    """An address up to its query or fragment."""
    ends = [at for mark in "#?" if (at := address.find(mark)) >= 0]
    return address[: min(ends, default=len(address))]


def _decoded(path: str) -> str:
    plain = []
    at = 0
    while at < len(path):
        at += path[at] == "\\" and at + 1 < len(path) and path[at + 1] in _PUNCTUATION
        plain.append(path[at])
        at += 1
    return unquote(unescape("".join(plain)))


_PUNCTUATION = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
_RESERVED = frozenset("%?#<>\"\\`&^{}|[]*_~!$'")


def _encoded(target: str, like: str, angled: bool) -> str:
    """A target as an address is written: what would be read as something else is escaped, and letters beyond
    ASCII as well where the old address did so."""
    letters = not like.isascii() or "%" not in like
    keep = {" ", "(", ")", "_", "~", "!", "'", "*", "$"} if angled else {"_", "~", "!", "'", "*", "$"}
    out: list[str] = []
    for c in target:
        special = (c in _RESERVED or c in " ()" or ord(c) < 33) and c not in keep
        colon = c == ":" and "/" not in "".join(out)
        if special or colon or (not c.isascii() and not letters):
            out += [f"%{byte:02X}" for byte in c.encode()]
        else:
            out.append(c)
    return "".join(out)


# ---------------------------------------------------------------- the address that is kept


def _with_redirect(
    source: Source, lines: Sequence[str], address: str, dialect: markdown.Dialect
) -> list[str] | None:
    """The lines of a note with one more property `redirects`; None where it cannot be written safely."""
    was = markdown.parse(replace(source, text="\n".join(lines)), dialect)
    for word in (address, json.dumps(address, ensure_ascii=False)):
        for at, line in _heads(lines, word):
            changed = [*lines[:at], line, *lines[at + 1 :]]
            now = markdown.parse(replace(source, text="\n".join(changed)), dialect)
            same = replace(now.note, redirects=was.note.redirects) == was.note
            if same and now.note.redirects == (*was.note.redirects, address):
                return changed
    return None


def _heads(lines: Sequence[str], word: str) -> Iterator[tuple[int, str]]:
    """A line to change, and into what: ways to write one more value of `redirects`."""
    head, count = frontmatter.split("\n".join(lines))
    if head is None:
        gap = "\n" if lines[0].strip() else ""
        yield 0, f"---\nredirects: [{word}]\n---\n{gap}{lines[0]}"
        return
    closing = count - 1
    at = next((n for n in range(1, closing) if lines[n].lower().startswith("redirects:")), None)
    if at is None:
        yield closing, f"redirects: [{word}]\n{lines[closing]}"
        return
    key, _, rest = lines[at].partition(":")
    value = rest.strip()
    if value.startswith("[") and value.endswith("]"):
        yield at, f"{key}: {value[:-1].rstrip()}{', ' if value[1:-1].strip() else ''}{word}]"
    elif value:
        yield at, f"{key}: [{value}, {word}]"
    else:
        last = at
        while last + 1 < closing and lines[last + 1].lstrip().startswith("-"):
            last += 1
        indent = lines[last][: len(lines[last]) - len(lines[last].lstrip())] if last > at else "  "
        yield last, f"{lines[last]}\n{indent}- {word}"

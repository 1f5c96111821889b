"""The index of words: what finds a note, what does not, and how little of it changes with an edit."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generator import markdown, pipeline, search
from generator.config import Config
from generator.execution.protocol import Report
from generator.memo import Plain
from generator.model import Note, OutPath, Program, ProgramResult, Slug, Source, Vault
from generator.search.entry import DIGITS, OUTPUT, TEXT
from generator.search.files import STRETCH
from generator.search.words import fold, words

Files = dict[OutPath, bytes]


def note(title: str, slug: str = "", text: str = "", **fields: Any) -> Note:
    return Note(
        f"{slug or title}.md", Slug(slug or title), title, (f"<p>{text}</p>",) if text else (), 0, **fields
    )


def index(*notes: Note) -> Files:
    return search.files(search.entry(one, f"{one.slug}.html") for one in notes)


def parsed(text: str, outputs: str = "") -> Files:
    return search.files([search.entry(markdown.parse(Source("n.md", text)).note, "n.html", "", outputs)])


def posting(files: Files, family: str, word: str) -> dict[int, int]:
    """Flags by number of note, read as a browser reads them: the last stretch that begins before the word."""
    starts = json.loads(files[OutPath("search/index.json")])[family]
    start = max((one for one in starts if one <= word), default="")
    name = "".join(c if c.isascii() else f"-{ord(c):x}-" for c in start) or "-"
    stretch = json.loads(files.get(OutPath(f"search/{family}/{name}.json"), b"{}"))
    flags, _, steps = stretch.get(word, ",").partition(",")
    return dict(zip(numbers(steps), map(DIGITS.index, flags), strict=True))


def numbers(steps: str) -> list[int]:
    found, number, step, shift = [], 0, 0, 0
    for value in map(DIGITS.index, steps):
        step |= (value & 31) << shift
        shift += 5
        if value < 32:
            number += step
            found.append(number)
            step = shift = 0
    return found


def rows(files: Files) -> dict[int, list[Any]]:
    return {
        int(number): row
        for path, data in files.items()
        if path.startswith("search/notes/")
        for number, row in json.loads(data).items()
    }


def titles(files: Files, word: str, family: str = "names") -> set[str]:
    shown = rows(files)
    return {shown[number][1] for number in posting(files, family, word)}


# ---------------------------------------------------------------- what finds a note

TITLES = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Cn", "Co")), min_size=1, max_size=40
) | st.text(st.sampled_from("abc déßæ共分散行列カーネルกขค ΣςΩ-_'0123\u0301"), min_size=1, max_size=40)


@settings(max_examples=150, deadline=None)
@given(st.lists(TITLES, min_size=1, max_size=8))
def test_every_word_of_a_title_finds_the_note(given_titles: list[str]) -> None:
    files = index(*(note(title, f"n{i}") for i, title in enumerate(given_titles)))
    for title in given_titles:
        for word in words(title):
            assert title in titles(files, word)


@pytest.mark.parametrize(
    ("text", "word", "family"),
    [
        ("# A title", "title", "names"),
        ("---\naliases: [Otherwise]\n---\n", "otherwise", "names"),
        ("---\ntags: [deep/nested]\n---\n", "nested", "names"),
        ("Text with #inline", "inline", "names"),
        ("# T\n\n## A heading", "heading", "names"),
        ("Some *emphasised* text", "emphasised", "words"),
        ("A [[target|linked]] text", "linked", "words"),
        ("A [[target]]", "target", "words"),
        ("Noted.[^1]\n\n[^1]: Below the line.", "below", "words"),
        ("```python\nvalue_and_grad(loss)\n```", "grad", "words"),
        ("| a | b |\n| - | - |\n| tabled | c |", "tabled", "words"),
        ("Fish & chips", "chips", "words"),
        ("> [!note] Called\n> out", "called", "words"),
    ],
)
def test_a_note_is_found_by_the_words_that_a_reader_sees(text: str, word: str, family: str) -> None:
    assert posting(parsed(text), family, word)


@pytest.mark.parametrize("word", ["class", "span", "highlight", "href", "example", "mrow", "hidden", "amp"])
def test_markup_finds_nothing(word: str) -> None:
    files = parsed(
        "[text](https://example.org/x) & $\\frac{a}{b}$ %%hidden%% <!-- hidden -->\n\n```python\nx = 1\n```"
    )
    assert posting(files, "words", "text")
    assert not posting(files, "words", word)


def test_what_a_cell_printed_finds_its_note_and_is_told_from_its_text() -> None:
    files = parsed("Prose.", outputs="zyzzyva")
    assert [flag & (TEXT | OUTPUT) for flag in posting(files, "words", "zyzzyva").values()] == [OUTPUT]
    assert [flag & (TEXT | OUTPUT) for flag in posting(files, "words", "prose").values()] == [TEXT]


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Crème BRÛLÉE", "creme brulee"),
        ("Straße", "strasse"),
        ("Łódź", "lodz"),
        ("ΟΔΟΣ", "οδοσ"),
        ("ﬁn", "fin"),
        ("ℝ", "r"),
        ("İstanbul", "istanbul"),
        ("한국어", "한국어"),
        ("ガ", "ガ"),
        ("hy\u00adphen\u00adated", "hyphenated"),
    ],
)
def test_case_and_diacritics_are_folded(text: str, folded: str) -> None:
    assert fold(text) == folded


def test_scripts_without_spaces_are_found_by_any_part() -> None:
    files = index(note("多変量正規分布の共分散行列"))
    for part in ("共分", "分散", "散行", "行列", "列"):
        assert titles(files, part)


@pytest.mark.parametrize(
    "hostile",
    ["<" * 100_000, "<a '" * 50_000, '<a "' * 50_000, "<math" * 50_000, "&" * 100_000, "<!--" * 50_000],
)
def test_whatever_an_author_writes_is_read_in_linear_time(hostile: str) -> None:
    body = Note("n.md", Slug("n"), "n", (hostile, " end"), 0)
    assert "end" in search.entry(body, "n.html").words.split() or hostile.startswith("<math")


class NoExecutor:
    def run(self, programs: tuple[Program, ...], report: Report | None = None) -> tuple[ProgramResult, ...]:
        return ()


def test_a_draft_is_in_no_file_of_the_index() -> None:
    sources = (Source("a.md", "Open."), Source("b.md", "---\ndraft: true\n---\n# Quincunx\n\nQuincunx."))
    site = pipeline.build(Vault(sources, ()), Config(), Plain(), Plain(), NoExecutor())
    parts = {path: data for path, data in site.files.items() if path.startswith("search/")}
    assert any(b"open" in data for data in parts.values())
    assert not [path for path, data in parts.items() if b"quincunx" in data.lower()]


# ---------------------------------------------------------------- files


def library(count: int) -> list[Note]:
    """Notes that share some words and each have some of their own."""
    return [
        note(
            f"Note number {i}",
            f"folder/n{i}",
            " ".join(f"shared{(i * k) % 97} own{i}x{k} common" for k in range(1, 40)),
        )
        for i in range(count)
    ]


@pytest.fixture(scope="module")
def files() -> Files:
    return index(*library(300))


def test_the_order_of_notes_changes_nothing(files: Files) -> None:
    assert index(*reversed(library(300))) == files


def test_every_word_stands_in_the_file_where_a_browser_looks_for_it(files: Files) -> None:
    for i in range(0, 300, 7):
        assert titles(files, f"own{i}x3", "words") == {f"Note number {i}"}
    assert len(posting(files, "words", "common")) == 300


def test_files_are_of_about_one_size(files: Files) -> None:
    sizes = [len(data) for path, data in files.items() if path.startswith("search/words/")]
    assert len(sizes) > 10
    assert max(sizes) <= STRETCH + 200
    assert sum(sizes) / len(sizes) > STRETCH / 4


def changed(before: Files, after: Files) -> set[OutPath]:
    return {path for path in {*before, *after} if before.get(path) != after.get(path)}


def test_an_edit_of_a_note_changes_few_files(files: Files) -> None:
    notes = library(300)
    notes[17] = note(notes[17].title, notes[17].slug, str(notes[17].body[0]).replace("common", "edited"))
    assert len(changed(files, index(*notes))) <= 4


def test_another_note_changes_only_the_files_of_its_words(files: Files) -> None:
    notes = [*library(300), note("Zebra", "folder/zebra", "entirely new")]
    assert len(changed(files, index(*notes))) <= 8

"""Links: what the words in the brackets lead to, in small gardens."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator import links
from generator.links import backlinks, index, resolve
from generator.model import (
    Ambiguous,
    Asset,
    Block,
    Cell,
    Found,
    FoundAsset,
    Heading,
    Link,
    Missing,
    Note,
    Range,
    Resolution,
    Slug,
    anchor_of,
    slug_of,
    slugify,
)


def note(
    path: str,
    title: str = "",
    *,
    slug: str = "",
    headings: tuple[tuple[int, str], ...] = (),
    blocks: tuple[str, ...] = (),
    cells: tuple[str, ...] = (),
    aliases: tuple[str, ...] = (),
    redirects: tuple[str, ...] = (),
    outgoing: tuple[Link, ...] = (),
) -> Note:
    place = Range(0, 0)
    anchors: list[str] = []
    for _, text in headings:
        base = anchor_of(text)
        anchors.append(base if base not in anchors else f"{base}-{anchors.count(base)}")
    return Note(
        path=path,
        slug=Slug(slug) if slug else slug_of(path),
        title=title or path.rpartition("/")[2].removesuffix(".md"),
        body=(),
        main=0,
        headings=tuple(
            Heading(level, text, anchor, place)
            for (level, text), anchor in zip(headings, anchors, strict=True)
        ),
        blocks=tuple(Block(name, place) for name in blocks),
        cells=tuple(Cell("", label) for label in cells),
        aliases=aliases,
        redirects=redirects,
        links=outgoing,
    )


def garden(*files: str | Note) -> links.Index:
    notes = [file if isinstance(file, Note) else note(file) for file in files if not _is_asset(file)]
    return index(notes, [Asset(file, 1, "") for file in files if isinstance(file, str) and _is_asset(file)])


def _is_asset(file: str | Note) -> bool:
    return isinstance(file, str) and not file.endswith((".md", ".ipynb"))


def wiki(text: str, source: str, where: links.Index) -> Resolution:
    target, *anchor = text.split("#")
    return resolve(Link("link", target, tuple(anchor)), source, where)


def markdown(target: str, source: str, where: links.Index) -> Resolution:
    return resolve(Link("link", target, style="markdown"), source, where)


def reached(resolution: Resolution) -> str:
    """The slug or path that was found, with its doubt, or what else came of the link."""
    match resolution:
        case Found(slug=slug, doubt=doubt):
            return f"{slug} ({doubt})" if doubt else slug
        case FoundAsset(path=path, doubt=doubt):
            return f"{path} ({doubt})" if doubt else path
        case Ambiguous(chosen=chosen):
            return f"{reached(chosen)} of several"
        case Missing(why=why):
            return why or "missing"


# ---------------------------------------------------------------- paths


@pytest.mark.parametrize(
    ("target", "found"),
    [
        ("Gamma", "a/b/gamma"),
        ("Gamma.md", "a/b/gamma"),
        ("b/Gamma", "a/b/gamma"),
        ("a/b/Gamma.md", "a/b/gamma"),
        ("gamma", "a/b/gamma (case)"),
        ("B/GAMMA.MD", "a/b/gamma (case)"),
        ("/a/b/Gamma", "a/b/gamma"),
        ("./other", "a/other"),
        ("./b/Gamma", "a/b/gamma"),
        ("../top", "top"),
        ("../a/b/Gamma.md", "a/b/gamma"),
        (" Gamma ", "a/b/gamma"),
        ("/b/Gamma", "a/b/gamma (basename)"),
        ("./Gamma", "a/b/gamma (basename)"),
        ("wrong/Gamma", "a/b/gamma (basename)"),
        ("amma", "missing"),
        ("b", "missing"),
        ("../../top", "outside"),
        ("../../../etc/passwd", "outside"),
        ("/../top", "outside"),
        ("x/../../top", "outside"),
        ("%2e%2e/%2e%2e/top", "outside"),
        ("", "a/source"),
    ],
)
def test_a_target_is_any_end_of_a_path_or_an_exact_path(target: str, found: str) -> None:
    where = garden("a/b/Gamma.md", "a/other.md", "a/source.md", "top.md")
    assert reached(wiki(target, "a/source.md", where)) == found


@pytest.mark.parametrize(
    "target", ["Covariance matrix", "covariance matrix", "covariance-matrix", "Covariance-Matrix"]
)
@pytest.mark.parametrize("path", ["maths/Covariance matrix.md", "maths/covariance-matrix.md"])
def test_the_spellings_of_one_note_are_the_same_note(path: str, target: str) -> None:
    assert reached(wiki(target, "x.md", garden(path))).startswith("maths/covariance-matrix")
    assert reached(wiki(f"maths/{target}.md", "x.md", garden(path))).startswith("maths/covariance-matrix")
    assert reached(markdown(f"maths/{target.replace(' ', '%20')}.md", "x.md", garden(path))).startswith(
        "maths/covariance-matrix"
    )


def test_a_slug_is_no_spelling_where_it_would_drop_something() -> None:
    where = garden("C.md")
    assert reached(wiki("C++", "x.md", where)) == "missing"
    assert reached(wiki("???", "x.md", garden("!!!.md"))) == "missing"
    assert reached(wiki("c", "x.md", garden("C++.md"))) == "c"


def test_exact_case_goes_before_folded_case() -> None:
    where = garden("Note.md", "deep/down/note.md")
    assert reached(wiki("note", "x.md", where)) == "deep/down/note"
    assert reached(wiki("Note", "deep/down/x.md", where)) == "note"
    assert reached(wiki("NOTE", "x.md", where)) == "note (case) of several"


def test_names_are_compared_as_nfc() -> None:
    where = garden("N\u00f6te with 'quotes'.md")
    assert isinstance(wiki("No\u0308te with 'quotes'", "x.md", where), Found)
    assert reached(wiki("NO\u0308TE WITH 'QUOTES'", "x.md", where)).endswith("(case)")
    assert reached(wiki("STRASSE", "x.md", garden("Stra\u00dfe.md"))).endswith("(case)")


def test_a_name_with_a_dot_is_not_taken_for_a_file_type() -> None:
    assert reached(wiki("Release 1.2", "x.md", garden("Release 1.2.md"))) == "release-1.2"


def test_notebooks_are_notes() -> None:
    where = garden("nb/Fit.ipynb")
    assert reached(wiki("Fit", "x.md", where)) == "nb/fit"
    assert reached(wiki("Fit.ipynb", "x.md", where)) == "nb/fit"


@pytest.mark.parametrize(
    ("files", "target", "found"),
    [
        (("dir.md", "dir/index.md", "dir/README.md"), "dir", "dir"),
        (("dir/index.md", "dir/README.md"), "dir", "dir/index"),
        (("dir/README.md",), "dir", "dir/readme"),
        (("a/dir/index.md",), "dir", "a/dir/index"),
        (("a/dir/index.md",), "a/dir/", "a/dir/index"),
        (("a/Some dir/index.md",), "some-dir", "a/some-dir/index"),
        (("index.md",), "/", "index"),
        (("index.md",), "..", "index"),
        (("dir/other.md",), "dir", "missing"),
    ],
)
def test_a_folder_means_its_index(files: tuple[str, ...], target: str, found: str) -> None:
    assert reached(wiki(target, "sub/x.md", garden(*files))) == found


# ---------------------------------------------------------------- other names


def test_an_alias_is_a_name_and_a_title_is_one_with_a_warning() -> None:
    where = garden(note("a/mle.md", "Maximum likelihood", aliases=("ML estimate", "MLE (Gauss)")))
    assert reached(wiki("ML estimate", "x.md", where)) == "a/mle"
    assert reached(wiki("ml  Estimate", "x.md", where)) == "a/mle"
    assert reached(wiki("mle (gauss)", "x.md", where)) == "a/mle"
    assert reached(wiki("Maximum likelihood", "x.md", where)) == "a/mle (title)"
    assert reached(wiki("maximum-likelihood", "x.md", where)) == "a/mle (title)"


def test_a_path_goes_before_an_alias_and_an_alias_before_a_title() -> None:
    where = garden(note("one.md", "Three"), note("two.md", aliases=("one", "Three")))
    assert reached(wiki("one", "x.md", where)) == "one"
    assert reached(wiki("Three", "x.md", where)) == "two"


def test_permalinks_and_redirects_are_spellings_of_a_note() -> None:
    where = garden(note("a/x.md", "X", slug="start/here", redirects=("old/place",)))
    for target in ("here", "start/here", "/start/here", "old/place", "/old/place", "Old/Place", "x"):
        assert reached(wiki(target, "n.md", where)).startswith("start/here")


# ---------------------------------------------------------------- Markdown's own links


@pytest.mark.parametrize(
    ("target", "found"),
    [
        ("note.md", "a/note"),
        ("note", "a/note"),
        ("./note.md", "a/note"),
        ("../note.md", "note"),
        ("/note.md", "note"),
        ("b/other.md", "a/b/other"),
        ("b/note.md", "b/note"),
        ("my other.md", "a/my-other"),
        ("my%20other.md", "a/my-other"),
        ("pic.png", "a/pic.png"),
        ("../b/pic.png", "b/pic.png"),
        ("lonely.md", "z/lonely"),
        ("../../note.md", "outside"),
        ("nothing.md", "missing"),
    ],
)
def test_a_markdown_link_is_relative_then_from_the_root_then_like_a_wikilink(target: str, found: str) -> None:
    where = garden(
        *("note.md", "a/note.md", "b/note.md", "a/b/other.md", "a/my other.md", "z/lonely.md"),
        *("a/pic.png", "b/pic.png"),
    )
    assert reached(markdown(target, "a/source.md", where)) == found


# ---------------------------------------------------------------- other files


def test_other_files_need_their_suffix() -> None:
    where = garden("img/white cat.png", "doc.pdf")
    assert reached(wiki("white cat.png", "x.md", where)) == "img/white cat.png"
    assert reached(wiki("img/White Cat.PNG", "x.md", where)) == "img/white cat.png (case)"
    assert reached(wiki("white cat", "x.md", where)) == "missing"
    assert reached(wiki("doc.pdf", "x.md", where)) == "doc.pdf"
    assert reached(wiki("wrong/doc.pdf", "x.md", where)) == "doc.pdf (basename)"


def test_a_wrong_path_may_end_in_any_name_of_a_note() -> None:
    where = garden(note("a/n.md", "The title", aliases=("Other name",)))
    for target in ("./n", "./Other name", "b/other name", "../The title"):
        assert reached(wiki(target, "c/x.md", where)) == "a/n (basename)"


def test_a_note_goes_before_a_file_without_suffix() -> None:
    assert reached(wiki("LICENSE", "x.md", garden("LICENSE.md", "LICENSE"))) == "license"
    assert reached(wiki("Makefile", "x.md", garden("Makefile"))) == "Makefile"


# ---------------------------------------------------------------- several of one name


@pytest.mark.parametrize(
    ("source", "chosen"),
    [
        ("x.md", "note"),
        ("a/x.md", "a/note"),
        ("a/b/c/x.md", "a/b/note"),
        ("a/b/c/d/e/x.md", "a/b/note"),
        ("a/other/x.md", "a/note"),
        ("zzz/x.md", "note"),
    ],
)
def test_of_several_the_one_under_the_nearest_common_folder_is_meant(source: str, chosen: str) -> None:
    where = garden("note.md", "a/note.md", "a/b/note.md", "zzz/deep/deeper/other.md")
    resolution = wiki("note", source, where)
    assert isinstance(resolution, Ambiguous)
    assert reached(resolution.chosen) == chosen
    assert resolution.candidates == ("a/b/note.md", "a/note.md", "note.md")


def test_then_the_shortest_path_then_the_first_in_the_alphabet() -> None:
    assert reached(wiki("n", "x.md", garden("longer/n.md", "b/n.md"))) == "b/n of several"
    assert reached(wiki("n", "x.md", garden("b/n.md", "a/n.md"))) == "a/n of several"


def test_a_longer_path_tells_them_apart() -> None:
    where = garden("dir1/Note.md", "dir2/Note.md")
    assert reached(wiki("dir2/Note", "dir1/x.md", where)) == "dir2/note"
    assert reached(wiki("/dir1/Note", "dir2/x.md", where)) == "dir1/note"
    assert reached(wiki("./Note", "dir2/x.md", where)) == "dir2/note"


def test_files_and_aliases_can_be_ambiguous_too() -> None:
    assert reached(wiki("p.png", "b/x.md", garden("a/p.png", "b/p.png"))) == "b/p.png of several"
    where = garden(note("a/x.md", aliases=("same",)), note("b/y.md", aliases=("Same",)))
    assert reached(wiki("same", "b/z.md", where)) == "b/y of several"


@given(st.lists(st.sampled_from(["a", "b", "c"]), max_size=4), st.permutations(range(5)))
def test_the_choice_does_not_depend_on_the_order_of_the_files(folder: list[str], order: list[int]) -> None:
    files = ["a/n.md", "a/b/n.md", "b/n.md", "c/c/n.md", "a/b/c/n.md"]
    source = "/".join([*folder, "x.md"])
    assert wiki("n", source, garden(*files)) == wiki("n", source, garden(*(files[i] for i in order)))


# ---------------------------------------------------------------- headings and blocks

BOOK = note(
    "book.md",
    "Book",
    headings=(
        *(
            (1, "Book"),
            (2, "Part one"),
            (3, "Notes"),
            (2, "Part two"),
            (3, "Notes"),
            (4, "C++ & you: (2nd) look!"),
        ),
        *((2, "Notes"), (2, "\u00dcber $x^2$")),
    ),
    blocks=("abc", "Q-1"),
    cells=("fit", "cell-2"),
)


@pytest.mark.parametrize(
    ("anchor", "reached_anchor"),
    [
        ("Part one", "part-one"),
        ("part  ONE", "part-one"),
        ("part-one", "part-one"),
        ("Notes", "notes"),
        ("notes-1", "notes-1"),
        ("Part one#Notes", "notes"),
        ("Part two#Notes", "notes-1"),
        ("Book#Part two#Notes", "notes-1"),
        ("Book#Notes", "notes"),
        ("C++ & you (2nd) look", "c-you-2nd-look"),
        ("c you 2nd look", "c-you-2nd-look"),
        ("c-you-2nd-look", "c-you-2nd-look"),
        ("\u00fcber x2", "\u00fcber-x2"),
        ("\u00dcber $x^2$", "\u00fcber-x2"),
        ("Part%20one", "part-one"),
        ("^abc", "^abc"),
        ("^ABC", "^abc"),
        ("^q-1", "^Q-1"),
        ("^fit", "^fit"),
        ("Part one#^abc", "^abc"),
        ("Part one#Part two", ""),
        ("Nowhere", ""),
        ("^nowhere", ""),
        ("^", ""),
        ("!?", ""),
    ],
)
def test_a_heading_or_block_is_found_by_what_it_says(anchor: str, reached_anchor: str) -> None:
    found = wiki(f"book#{anchor}", "x.md", garden(BOOK))
    assert isinstance(found, Found)
    assert found.anchor == reached_anchor
    assert (found.doubt in ("heading", "block")) == (reached_anchor == "")


def test_text_goes_before_text_without_punctuation() -> None:
    where = garden(note("n.md", headings=((2, "C++"), (2, "C"), (2, "C#"))))
    assert [wiki_anchor("C", where), wiki_anchor("C++", where)] == ["c-1", "c"]


def wiki_anchor(anchor: str, where: links.Index) -> str:
    found = wiki(f"n#{anchor}", "x.md", where)
    return found.anchor if isinstance(found, Found) else "?"


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("book", "Book"),
        ("book#part one", "Book › Part one"),
        ("book#Part two#Notes", "Book › Notes"),
        ("book#^abc", "Book"),
        ("book#Nowhere", "Book"),
        ("#Part one", "Part one"),
        ("#^abc", "Book"),
    ],
)
def test_a_link_without_words_shows_the_title_and_the_heading(text: str, label: str) -> None:
    found = wiki(text, "book.md", garden(BOOK))
    assert isinstance(found, Found) and found.label == label
    assert (found.slug, found.title) == ("book", "Book")


def test_a_missing_heading_outweighs_how_the_note_was_found() -> None:
    where = garden(note("n.md", "Title", headings=((2, "Here"),)))
    assert reached(wiki("Title#Here", "x.md", where)) == "n (title)"
    assert reached(wiki("Title#Gone", "x.md", where)) == "n (heading)"
    assert reached(wiki("Title#^gone", "x.md", where)) == "n (block)"


# ---------------------------------------------------------------- nothing found


def test_what_is_missing_comes_with_names_that_are_spelled_alike() -> None:
    where = garden(
        note("maths/Covariance matrix.md", aliases=("Variance matrix",)),
        *("maths/Contrast.md", "img/plot.png", note("a.md", "Gaussian process")),
    )
    assert wiki("Covarience matrix", "x.md", where) == Missing(("maths/Covariance matrix",))
    assert wiki("Varience matrix", "x.md", where) == Missing(("Variance matrix",))
    assert wiki("gaussian proces", "x.md", where) == Missing(("Gaussian process",))
    assert wiki("plots.png", "x.md", where) == Missing(("img/plot.png",))
    assert wiki("plot", "x.md", where) == Missing()
    assert wiki("Zebra crossing", "x.md", where) == Missing()


def test_a_picture_is_suggested_for_a_picture_and_no_note_for_itself() -> None:
    where = garden(note("polar.md", aliases=("Polar form",)), "img/polars.png")
    assert wiki("polar.png", "x.md", where) == Missing(("img/polars.png",))
    assert wiki("Polar form.webp", "x.md", where) == Missing()
    assert wiki("Polar forms", "x.md", where) == Missing(("Polar form",))
    assert wiki("Polar forms", "polar.md", where) == Missing()


def test_a_suffix_tells_two_kinds_of_notes_apart() -> None:
    where = garden("d/a.md", "d/a.ipynb", "e/a.md")
    for target, path in (("d/a.md", "d/a"), ("d/a.ipynb", "d/a"), ("a.ipynb", "d/a")):
        assert reached(wiki(target, "x.md", where)) == path
    for target in ("d/a", "a.md"):
        assert isinstance(wiki(target, "x.md", where), Ambiguous)


def test_the_index_of_another_folder_is_no_suggestion() -> None:
    assert wiki("a/index", "x.md", garden("b/index.md", "indexes.md")) == Missing()


def test_at_most_three_are_suggested() -> None:
    where = garden(*(f"Chapter {i}.md" for i in range(20)))
    missing = wiki("Chapter", "x.md", where)
    assert isinstance(missing, Missing) and len(missing.near) == 3


def test_an_empty_garden_answers() -> None:
    assert wiki("a", "x.md", garden()) == Missing()
    assert wiki("", "x.md", garden()) == Missing()


@given(st.text(alphabet="./%2ea b#^\u00e9A-\\", max_size=12), st.sampled_from(["wiki", "markdown", "html"]))
def test_every_target_gets_an_answer(target: str, style: str) -> None:
    where = garden("a.md", "a/b.md", "a/A.md", "a/b/\u00e9.md", "e.png")
    link = Link("link", target, (target,), style=style)  # type: ignore[arg-type]
    assert isinstance(resolve(link, "a/b.md", where), (Found, FoundAsset, Missing, Ambiguous))


@given(st.text(alphabet="abAB01 _.~-+'!", max_size=20))
def test_the_quick_way_to_a_slug_gives_the_slug(text: str) -> None:
    assert links._slug_of_part(text) == (slugify(text) if text else "")


# ---------------------------------------------------------------- backlinks


def test_backlinks_are_in_source_order_and_leave_out_links_to_oneself() -> None:
    notes = (
        note(
            "a.md", outgoing=(Link("link", "b"), Link("link", ""), Link("embed", "b"), Link("link", "gone"))
        ),
        note("b.md", outgoing=(Link("property", "a"), Link("link", "b"), Link("embed", "p.png"))),
        note("c/d.md", outgoing=(Link("link", "e"), Link("uses", "a"))),
        *(note("c/e.md"), note("z/e.md")),
    )
    where = index(notes, [Asset("p.png", 1, "")])
    resolutions = {n.slug: tuple(resolve(link, n.path, where) for link in n.links) for n in notes}
    assert backlinks(notes, resolutions) == {
        "b": (("a", 0), ("a", 2)),
        "a": (("b", 0), ("c/d", 1)),
        "c/e": (("c/d", 0),),
    }

"""Parsing one note: nothing is lost, nothing breaks it, places are exact, and work grows with the text."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from unittest.mock import patch

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from generator.markdown import Dialect, parse
from generator.model import CellHole, EmbedHole, FootnoteHole, LinkHole, Parsed, Source, Span
from generator.syntax.parser import parser

# ---------------------------------------------------------------- documents

WORD = st.integers(0, 99_999).map(lambda n: f"w{n}z")
_INLINE = (
    "{0}", "[[{0}]]", "[[{0}|{1}]]", "[[{0}#{1}]]", "![[{0}]]", "![[{0}.png|{1}|20]]", "[{0}]({1})",
    "[{0}][{1}]", "![{0}]({1}.png)", "![{0}]({1})", "=={0} {1}==", "**{0}**", "*{0} ==*{1}*==*",
    "~~{0}~~", "`{0}`", "${0}$", "$${0}$$", "#{0}", "#{0}/{1}", "^[{0} [[{1}]]]", "[^{0}]",
    "<b>{0}</b>", "<i>{0}", "<svg>{0}</svg>", "{{ref}}`{0}`", "{{doc}}`{0} <{1}>`",
    "https://example.org/{0}", "<https://example.org/{0}>", "{0} ^{1}", "$5 {0}", "[ ] {0}",
    "\\[[{0}]]", "[[{0}", "=={0}", "$${0}", "`{0}", "**{0}", "{0}\\|{1}", "{0} | {1}",
    "[![[{0}]]]({1})",
)  # fmt: skip
_BLOCKS = (
    "{0}", "# {0}", "### {0} ^{1}", "{0}\n---", "> [!tip|wide] {0}", "> [!note]- {0}\n> {1}",
    "> {0}\n> > {1}", "- {0}\n- {1}", "1. {0}\n\n   {1}", "- [ ] {0}\n  - [x] {1}",
    "| {0} | {1} |\n| - | - |\n| {0} | {1} | {0} |", "```\n{0}\n```", "```python\n{0}\n```",
    "```{{python}}\n#| label: {1}\n{0}\n```", "```output\n{0}\n```", ":::{{note}} {0}\n{1}\n:::",
    "::: {0}\n{1}\n:::", "```{{figure}} {0}.png\n{1}\n```", "$$\n{0}\n$$", "{0}\n: {1}",
    "<div>\n{0}\n\n{1}", "</div>", "    {0}", "(w{0})=\n# {1}", "^{0}", "+++ {0}", "***",
    "```{{toctree}}\n{0}\n```", "```{{math}}\n{0}\n```", "{0}\n$$\n{1}",
)  # fmt: skip
_MARKERS = ("> ", "- ", "1. ", "  ", "    ", "> [!tip] ", ": ")


@st.composite
def documents(draw: st.DrawFn, deepest: int = 30) -> str:
    """A note of words, each in some construct, the constructs within each other and nested deep."""
    blocks = []
    for _ in range(draw(st.integers(1, 6))):
        shape = draw(st.sampled_from(_BLOCKS))
        block = shape.format(draw(_texts()), draw(_texts()))
        markers = draw(
            st.lists(st.sampled_from(_MARKERS), max_size=draw(st.sampled_from((0, 1, 3, deepest))))
        )
        prefix = "".join(markers)
        blocks.append("\n".join(prefix + line for line in block.split("\n")))
    return draw(st.sampled_from(("\n\n", "\n"))).join(blocks)


@st.composite
def _texts(draw: st.DrawFn) -> str:
    shapes = draw(st.lists(st.sampled_from(_INLINE), min_size=1, max_size=3))
    return " ".join(shape.format(draw(WORD), draw(WORD)) for shape in shapes)


_PIECES = (
    *"[]()!|#^*_`~=%$<>{}:-+.\\/&;\"' \n\t0aÄ\ufdd0\ufdd1\0\u2028\x1b",
    "![[",
    "%%",
    "\n> ",
    "\n- ",
    "\n```",
)
MARKUP = st.lists(st.sampled_from(_PIECES), max_size=60).map("".join)


def parsed(text: str, **options: object) -> Parsed:
    return parse(Source("a.md", text), replace(Dialect(), **options))  # type: ignore[arg-type]


# ---------------------------------------------------------------- nothing is lost


@given(documents())
@example("> " * 30 + "w1z")
@example("- " * 30 + "w1z")
@example("- a\n" + "".join("  " * n + f"- w{n}z\n" for n in range(1, 40)))
@example("[[w1z|w2z `w3z` #w4z]]")
@example("# [![[w1z]]](w0z) w0z")
@example("[^a]: w1z\n\n    [^b]: w2z\n\n    w3z\n\n[^a][^b]")
def test_every_word_is_in_the_note_or_in_a_problem(text: str) -> None:
    found = parsed(text, nesting=20)
    everything = repr(found.note) + "".join(problem.message for problem in found.problems)
    lines = text.split("\n")
    for problem in found.problems:
        if problem.code in ("footnote-unused", "footnote-duplicate", "html-removed"):
            everything += "\n".join(lines[problem.span.line - 1 :])
    assert [word for word in _words(text) if word not in everything] == []


def _words(text: str) -> list[str]:
    kept = "".join(c if c.isalnum() else " " for c in text)
    return [word for word in kept.split() if word.startswith("w") and word.endswith("z")]


@pytest.mark.parametrize("marker", ["> ", "- ", "1. ", "> - "])
def test_text_nested_too_deep_is_kept_and_said(marker: str) -> None:
    found = parsed(marker * 40 + "deep words", nesting=20)
    assert "deep words" in repr(found.note.body)
    assert [(p.code, p.span.line) for p in found.problems] == [("nesting-too-deep", 1)]


@pytest.mark.parametrize("marker", ["> ", "- ", "> - ", "[", "![", "^[", "**a ", "==a *b "])
def test_nesting_up_to_the_default_limit_and_beyond_breaks_nothing(marker: str) -> None:
    text = marker * 1000 + "words" + "](x)" * 1000
    assert "words" in repr(parsed(text).note)


# ---------------------------------------------------------------- nothing breaks it


@given(st.one_of(st.text(), MARKUP, documents()), st.sampled_from(["sanitize", "trusted"]))
@example("[^a]: [^a]\n\n[^a]", "sanitize")
@example("---\n[\n---\n", "sanitize")
@example("\ufdd0R0\ufdd1 <b>x", "sanitize")
@example("![[]]![[|]]![[#]]![[^]][[#^]]", "sanitize")
def test_no_text_raises_and_what_it_gives_is_whole(text: str, html: str) -> None:
    found = parsed(text, html=html, plain="run")
    note, lines = found.note, text.split("\n")
    assert len(found.spans.links) == len(note.links)
    assert len(found.spans.cells) == len(note.cells)
    assert len(found.spans.headings) == len(note.headings)
    assert len(found.spans.blocks) == len(note.blocks)
    for span in [*found.spans.links, *(problem.span for problem in found.problems)]:
        assert 0 < span.line <= len(lines) and 0 < span.col <= len(lines[span.line - 1]) + 1
    for piece in note.body:
        assert not isinstance(piece, str) or not any("\ufdd0" <= c <= "\ufdef" for c in piece)
        assert not isinstance(piece, LinkHole | EmbedHole) or piece.i < len(note.links)
        assert not isinstance(piece, CellHole) or piece.i < len(note.cells)
        assert not isinstance(piece, FootnoteHole) or piece.n < note.footnotes[piece.i].refs
    ranges = (
        [h.section for h in note.headings]
        + [b.range for b in note.blocks]
        + [f.range for f in note.footnotes]
    )
    assert all(0 <= one.start <= one.stop <= len(note.body) for one in ranges)


@pytest.mark.parametrize("character", ["\ufdd0", "\ufdef", "\0"])
def test_a_character_without_meaning_is_said_and_shown_as_such(character: str) -> None:
    found = parsed(f"one\nt{character}wo")
    assert [(p.code, p.span) for p in found.problems] == [("character-invalid", Span(2, 2))]
    assert "t\ufffdwo" in repr(found.note.body)


# ---------------------------------------------------------------- places


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("[[b]]", (1, 1)),
        ("x [[b]]", (1, 3)),
        ("x\ny [[b]]", (2, 3)),
        ("> x\n> > [[b]]", (2, 5)),
        ("> x\nlazy [[b]]", (2, 6)),
        ("- x\n  - y\n\n    [[b]]", (4, 5)),
        ("1. 1 [[b]]", (1, 6)),
        ("- [ ] [[b]]", (1, 7)),
        ("## h [[b]] ##", (1, 6)),
        ("h\n[[b]]\n---", (2, 1)),
        ("> [!tip] t [[b]]\n> x", (1, 12)),
        ("> [!tip]\n> x\n> [[b]]", (3, 3)),
        ("| a |\n| - |\n| x\\|y [[b]] |", (3, 8)),
        ("> | a | b |\n> | - | - |\n> | x | [[b]] |", (3, 9)),
        ("a | b\n- | -\nx | [[b]]", (3, 5)),
        ("t\n: d [[b]]", (2, 5)),
        ("[^1]\n\n[^1]: x [[b]]", (3, 9)),
        ("x\ny^[z [[b]]]", (2, 6)),
        ("x^[z\ny [[b]]]", (2, 3)),
        ("**x** [y](b) `z`", (1, 7)),
        ("![x](b.png)", (1, 1)),
        ("x ![[b]]", (1, 3)),
        ("[x *y* z](c)", (1, 1)),
        ('<p>\n<a href="b">', (2, 10)),
        ('x <a href="b">y</a>', (1, 12)),
        ("---\nup: '[[b]]'\n---", (2, 6)),
        ("---\ntitle: x\n---\n\n[[b]]", (5, 1)),
        (":::{note}\nx\n\n[[b]]\n:::", (4, 1)),
        ("> ```{tip} T\n> [[b]]\n> ```", (2, 3)),
        ("{doc}`x <b>`", (1, 1)),
        ("\t- x\n\n[[b]]", (3, 1)),
        ("x\u2028y [[b]]", (1, 5)),
    ],
)
def test_a_link_is_where_it_is_written(text: str, place: tuple[int, int]) -> None:
    spans = parsed(text).spans.links
    assert (spans[0].line, spans[0].col) == place


@pytest.mark.parametrize(
    ("text", "code", "place"),
    [
        ("x\n[y](javascript:z)", "url-unsafe", (2, 1)),
        ("a $a$ $\\no$", "math-unsupported", (1, 7)),
        ("x\n\n$$\n\\no\n$$", "math-unsupported", (3, 1)),
        ("a ^x\n\nb\nc ^x", "block-duplicate", (4, 1)),
        ("x\n\n%%\ny", "comment-unclosed", (3, 1)),
        ("x[^1]\n\n[^1]: y\n\n[^2]: z", "footnote-unused", (5, 1)),
        ("x <script>y", "html-removed", (1, 3)),
        ("<p>\n<b><script>y\n</script>", "html-removed", (2, 4)),
        ("x\n\n{eq}`y`", "syntax-foreign", (3, 1)),
        ("```{python}\n#| label: a\n#| no: b\nc\n```", "cell-option", (3, 1)),
        ("| a |\n| - |\n| b | c |", "table-row-long", (3, 7)),
        ("> | a | b |\n> | - | - |\n> | x [[c|d]] |", "table-link-cut", (3, 7)),
        ("> $$\n> \\no\n> $$", "math-unsupported", (1, 3)),
        ("![x](https://example.org/y.png)", "image-remote", (1, 1)),
    ],
)
def test_a_problem_is_where_it_is(text: str, code: str, place: tuple[int, int]) -> None:
    found = [(p.code, (p.span.line, p.span.col)) for p in parsed(text).problems]
    assert found == [(code, place)]


def test_cells_headings_and_blocks_have_their_lines() -> None:
    text = "---\na: b\n---\n# T\n\n## H\n\nx\ny ^b\n\n```{python}\n#| label: c\n\nz\n```\n"
    spans = parsed(text).spans
    assert [one.line for one in spans.headings] == [4, 6]
    assert [one.line for one in spans.cells] == [14]
    assert [one.line for one in spans.blocks] == [9, 14]


# ---------------------------------------------------------------- positions are no content


@given(
    documents(), st.sampled_from(["\n", "\n\n\n", "%% comment %%\n\n", "<!-- comment -->\n\n", "%%\nx\n%%\n"])
)
@example("# Title\n\n[[b]]", "<!-- comment -->\n\n")
@example("```{python}\n1\n```\n\n> [!note]\n> ^x", "\n")
@example("<b>x\n\n<img src='y.png'>", "\n\n\n")
def test_a_blank_line_or_a_comment_at_the_top_changes_no_note(text: str, top: str) -> None:
    text = text.lstrip(" ")
    assert parsed(top + text).note == parsed(text).note


@given(documents())
def test_equal_text_gives_an_equal_note(text: str) -> None:
    assert parsed(text) == parsed(text)


@given(st.one_of(MARKUP, documents()))
@example("[a [b] c](d) w www.e.fg ww. http://h.ij ![[k]] [l [[m]] n](o)")
@example("[" * 25 + "a" + "]" * 25)
def test_rules_that_cannot_begin_with_a_character_need_not_be_asked(text: str) -> None:
    asks_few, asks_all = ([t.as_dict() for t in md.parse(text, {})] for md in (parser(50), _asks_all()))
    assert asks_few == asks_all


@cache
def _asks_all() -> MarkdownIt:
    with patch("generator.syntax.parser.ask_few"):
        return parser.__wrapped__(50)


# ---------------------------------------------------------------- work

PATHOLOGICAL = (
    "[[", "[[a", "![[a", "![", "[", "[a](", "[[a|", "==", "==a ", "==a==", "%%", "%%a", "%% a\n\n",
    "#", "#a", "#a ", "> ", "> [!a] ", "`", "`a``b", "{a}", "{a}`", "$", "$a", "$ a", "$$", "$$a\n",
    "^", "^[", "^a\n", "[^a]", "[^a]: b\n\n", "a ^b\n\n", "<", "<a", "<b>", "</b>", "<b>\n\n",
    "<!--", "<img src=b>", "*", "*a ", "_a", "**a*", "~~a", "| a ", "- a\n", "# a\n",
    "# a\n\n> # a\n\n", "> a\n\n", "::: a\n", "```\n", "```{note}\n", "a\n: b\n", "w", "www.a.b ",
    "http://a.b ", "@", "a@b.c ", "&", "&a;", "\\", "[[a]](b)", "[a]: b\n", "[ ] ", "(a)=\n\n", "😀",
    "\n",
)  # fmt: skip


@pytest.mark.parametrize("piece", PATHOLOGICAL)
def test_twice_the_text_is_about_twice_the_work(piece: str) -> None:
    once, twice = (_work(lambda n=n: parsed(piece * n)) for n in (200, 400))
    assert twice < 2.6 * once + 2000


@pytest.mark.parametrize("shape", ["{0}x{1}", "{0}\nx\n{1}"])
@pytest.mark.parametrize(
    ("opening", "closing"),
    [("[", "](a)"), ("![", "](a)"), ("^[", "]"), ("==a ", " b=="), ("<b>", "</b>"), ("[[", "]]")],
)
def test_twice_the_nesting_is_about_twice_the_work(shape: str, opening: str, closing: str) -> None:
    once, twice = (_work(lambda n=n: parsed(shape.format(opening * n, closing * n))) for n in (200, 400))
    assert twice < 2.6 * once + 2000


def _work(function: Callable[[], object]) -> int:
    """The number of calls, of Python and of native functions: a measure that is the same on every machine."""
    function()  # once before, so that nothing is imported or compiled while it counts
    count = 0

    def profile(frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        function()
    finally:
        sys.setprofile(before)
    return count

"""Unlinked mentions: what counts as one, where, and what is shown of it."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from generator import mentions
from generator.config import Config, Pages
from generator.markdown import parse
from generator.model import Note, Slug, Source
from tests.support import made


def found(text: str, *names: str, aliases: Mapping[str, str] = {}) -> dict[str, str]:
    """Which of the notes with these names `text` mentions, and in what words. `aliases`: by name."""
    others = [parse(Source(f"{name}.md", _head(aliases.get(name, "")))).note for name in names]
    source = parse(Source("the source.md", text)).note
    known = mentions.names([*others, source])
    titles = {note.slug: note.title for note in others}
    return {
        titles[one.target]: marked(source, one)
        for one in mentions.find(source, known, linked_by(source, others))
    }


def _head(alias: str) -> str:
    return f"---\naliases: ['{alias}']\n---\n" if alias else ""


def linked_by(source: Note, others: list[Note]) -> set[Slug]:
    by_title = {note.title: note.slug for note in others}
    return {by_title[link.target] for link in source.links if link.target in by_title}


def marked(source: Note, mention: mentions.Mention) -> str:
    markup = "".join(piece for piece in mentions.context(source.body, mention) if isinstance(piece, str))
    return markup.partition("<mark>")[2].partition("</mark>")[0]


def test_titles_and_aliases_are_found_as_whole_words() -> None:
    assert found("Of kernels and a kernel, not kernelized.", "Kernel") == {"Kernel": "kernel"}
    assert found("The square root.", "Cholesky factor", aliases={"Cholesky factor": "square root"}) == {
        "Cholesky factor": "square root"
    }
    assert found("kernel_x and xkernel and kernel2", "Kernel") == {}


def test_of_names_that_begin_alike_the_longest_counts() -> None:
    text = "Forward mode differentiation is exact."
    assert found(text, "Forward mode", "Forward mode differentiation") == {
        "Forward mode differentiation": "Forward mode differentiation"
    }
    assert found("Forward mode is exact.", "Forward mode", "Forward mode differentiation") == {
        "Forward mode": "Forward mode"
    }


def test_case_matters_only_for_short_names_and_capitals() -> None:
    assert found("reverse Mode", "Reverse mode") == {"Reverse mode": "reverse Mode"}
    assert found("a set of jax and nngp", "Set", "JAX", "NNGP") == {}
    assert found("A Set of JAX and NNGP", "Set", "JAX", "NNGP") == {
        "Set": "Set",
        "JAX": "JAX",
        "NNGP": "NNGP",
    }


def test_a_hyphen_or_a_line_end_stands_for_a_space() -> None:
    assert found("forward-mode", "Forward mode") == {"Forward mode": "forward-mode"}
    assert found("a forward\nmode", "Forward mode") == {"Forward mode": "forward\nmode"}
    assert found("a log normal", "Log-normal") == {"Log-normal": "log normal"}


@pytest.mark.parametrize(
    "text",
    [
        "`reverse mode`",
        "```\nreverse mode\n```",
        "    reverse mode",
        "$\\text{reverse mode}$",
        "[reverse mode](https://example.org)",
        "[[Elsewhere|reverse mode]]",
        "[[Elsewhere|about *the* reverse mode]]",
        "# Reverse mode\n",
        "text\n\n## The reverse mode\n",
        "```python\n#| label: a\nreverse = 'reverse mode'\n```",
        "%%reverse mode%%",
        '<a href="https://example.org">reverse mode</a>',
        '<span title="reverse mode">x</span>',
        "![reverse mode](picture.png)",
    ],
)
def test_code_formulas_links_and_headings_mention_nothing(text: str) -> None:
    assert found(f"Before.\n\n{text}\n\nAfter.", "Reverse mode") == {}


@pytest.mark.parametrize(
    "text",
    [
        "- reverse mode",
        "> reverse mode",
        "> [!note] Title\n> reverse mode",
        "| a |\n| --- |\n| reverse mode |",
        "*reverse mode*",
        "Words[^1]\n\n[^1]: reverse mode",
        "`code` and reverse mode",
        "$x$ and reverse mode, [[Elsewhere]]",
        "text\n: reverse mode",
        "<p>reverse mode</p>",
    ],
)
def test_any_other_text_does(text: str) -> None:
    assert found(text, "Reverse mode") == {"Reverse mode": "reverse mode"}


def test_a_note_that_is_linked_is_not_listed_as_mentioned() -> None:
    assert found("Reverse mode, see [[Reverse mode]].", "Reverse mode") == {}


def test_a_name_that_two_notes_have_means_neither() -> None:
    assert found("the tape", "Tape", "Record", aliases={"Record": "tape"}) == {}


def test_numbers_and_single_letters_are_no_mentions() -> None:
    assert found("In 2024, x and C.", "2024", "X", "C") == {}
    assert found("On 2024-05-06.", "2024-05-06") == {"2024-05-06": "2024-05-06"}


def test_names_with_punctuation_are_found_with_it() -> None:
    assert found("Is C++ fast?", "C++") == {"C++": "C++"}
    assert found("Why is it so? Because.", "Why is it so?") == {"Why is it so?": "Why is it so?"}
    assert found("Research & development", "Research & development") == {
        "Research & development": "Research &amp; development"
    }
    assert found("a &amp; b &lt; c", "Amp", "Lt") == {}


def test_names_in_any_script_are_found() -> None:
    assert found("これは機械学習の話です。", "機械学習") == {"機械学習": "機械学習"}
    assert found("Über Ähnlichkeit", "Ähnlichkeit") == {"Ähnlichkeit": "Ähnlichkeit"}
    assert found("О машинном обучении", "машинном обучении") == {"машинном обучении": "машинном обучении"}
    decomposed = "A\u0308hnlichkeit"
    assert found(decomposed, "Ähnlichkeit") == {"Ähnlichkeit": decomposed}


def test_the_context_is_the_block_with_its_links_and_nothing_of_its_neighbours() -> None:
    site = made(
        {
            "a.md": "Before.\n\nOf *the* [[b]] and kernel methods.\n\nAfter.",
            "b.md": "",
            "Kernel methods.md": "",
        }
    )
    context = site.page("kernel-methods.html").css_first(".mentions .context")
    assert context.text().strip() == "Of the b and kernel methods."
    assert context.css_first("mark").text() == "kernel methods"
    assert context.css_first("a").attributes["href"] == "b.html"


def test_html_that_an_author_leaves_open_is_no_context() -> None:
    config = Config(html="trusted")
    site = made({"a.md": "<b>Kernel methods\n\nAnd kernel <i>methods", "Kernel methods.md": ""}, config)
    assert site.page("kernel-methods.html").css_first(".mentions") is None


def test_many_mentions_are_counted_and_some_are_shown() -> None:
    many = {f"{i:02}.md": "About kernel methods." for i in range(11)}
    page = made({**many, "Kernel methods.md": ""}).page("kernel-methods.html")
    assert len(page.css(".mentions .backlink")) == 8
    assert page.css_first(".mentions summary").text() == "Mentioned without a link by 11 notes"
    assert page.css_first(".mentions .more").text() == "and by 3 more"


def test_a_draft_neither_mentions_nor_is_mentioned() -> None:
    site = made({
        "a.md": "---\ndraft: true\n---\nKernel methods.",
        "b.md": "About secret things.",
        "Kernel methods.md": "",
        "Secret things.md": "---\ndraft: true\n---\n",
    })  # fmt: skip
    assert not any(b"mentions" in data for out, data in site.files.items() if out.endswith(".html"))


def test_mentions_can_be_switched_off() -> None:
    notes = {"a.md": "About kernel methods.", "Kernel methods.md": ""}
    assert made(notes).page("kernel-methods.html").css_first(".mentions") is not None
    without = made(notes, Config(pages=Pages(mentions=False)))
    assert without.page("kernel-methods.html").css_first(".mentions") is None


PARTS = ["**", "*", "`", "<b>", "[[x]]", " ", "\n", "- ", "> ", "kernel methods", "$", "[", "](y)"]


@given(st.lists(st.sampled_from(PARTS), max_size=30))
@example(["$", "$", "$", "**", "$", "$", "kernel methods"])
def test_whatever_stands_around_it_a_context_is_balanced(parts: list[str]) -> None:
    source = parse(Source("a.md", "".join(parts))).note
    target = parse(Source("Kernel methods.md", "")).note
    for mention in mentions.find(source, mentions.names([source, target]), ()):
        markup = "".join(piece for piece in mentions.context(source.body, mention) if isinstance(piece, str))
        assert "<mark>kernel methods</mark>" in markup
        for element in ("b", "em", "strong", "code", "p", "li", "ul", "blockquote"):
            assert len(re.findall(f"<{element}[ >]", markup)) == markup.count(f"</{element}>"), markup

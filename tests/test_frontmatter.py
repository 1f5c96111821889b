"""Properties: read strictly, and nothing lost to a mistake beside it."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from generator.model import Problem, Span
from generator.syntax import flat_yaml, strict_yaml
from generator.syntax.frontmatter import Properties, read, split


def fine(head: str) -> Properties:
    properties, problems = read(head, "note.md")
    assert problems == ()
    return properties


def codes(problems: tuple[Problem, ...]) -> list[tuple[str, Span]]:
    return [(problem.code, problem.span) for problem in problems]


# ---------------------------------------------------------------- cutting the head off


@pytest.mark.parametrize(
    ("text", "head", "lines"),
    [
        ("---\ntitle: A\n---\ntext", "title: A\n", 3),
        ("---\ntitle: A\n...\ntext", "title: A\n", 3),
        ("---\ntitle: A\n---", "title: A\n", 3),
        ("---\n---\n", "", 2),
        ("---  \na: b\n--- \n", "a: b\n", 3),
        ("---\na: b\n----\n---\n", "a: b\n----\n", 4),
        ("text\n---\n", None, 0),
        ("\n---\na: b\n---\n", None, 0),
        (" ---\na: b\n---\n", None, 0),
        ("---\nnever closed\n", None, 0),
        ("----\na: b\n---\n", None, 0),
        ("", None, 0),
    ],
)
def test_the_head_is_between_the_first_line_and_the_next_fence(
    text: str, head: str | None, lines: int
) -> None:
    assert split(text) == (head, lines)


# ---------------------------------------------------------------- the keys


def test_every_known_property_is_read() -> None:
    properties = fine(
        "title: A title\naliases: [One, Two]\ntags:\n  - math/stats\n  - '#jax'\ndescription: Short.\n"
        "permalink: /here/\nredirects: [old/place]\ndraft: false\npublish: true\ndate: 2024-02-29\n"
        "updated: 2024-03-01T10:00\nlang: pt-BR\ncover: img/a.png\ncssclasses: wide dark\n"
        'uses: ["[[Other note]]"]\ncells: run\n'
    )
    assert properties == Properties(
        title="A title",
        aliases=("One", "Two"),
        tags=("math/stats", "jax"),
        description="Short.",
        permalink="here",
        redirects=("old/place",),
        draft=False,
        publish=True,
        created="2024-02-29",
        modified="2024-03-01T10:00:00",
        lang="pt-BR",
        image="img/a.png",
        cssclasses=("wide", "dark"),
        uses=("Other note",),
        cells="run",
        links=(("image", "img/a.png", 15), ("uses", "Other note", 17)),
    )


@pytest.mark.parametrize("head", ["", "\n", "# only a comment", "~"])
def test_an_empty_head_says_nothing(head: str) -> None:
    assert fine(head) == Properties()


@pytest.mark.parametrize(
    "value", ["a b c", "a, b,c", "'#a #b #c'", "[a, b, c]", "\n - a\n - b\n - '#c'", "'a b' "]
)
def test_tags_may_be_a_list_or_words(value: str) -> None:
    assert set(fine(f"tags: {value}").tags) >= {"a", "b"}


def test_hash_tags_without_quotes_are_read_although_yaml_sees_a_comment() -> None:
    properties, problems = read("title: x\ntags: #a #b", "note.md")
    assert properties.tags == ("a", "b")
    assert codes(problems) == [("property-invalid", Span(3, 7))]


def test_values_stay_text() -> None:
    properties = fine(
        "title: 0123\nversion: 1.10\nanswer: no\nnothing: null\nquoted: 'null'\nwhen: 2024-01-01"
    )
    assert properties.title == "0123"
    assert dict(properties.extra) == {
        "version": "1.10",
        "answer": "no",
        "nothing": "",
        "quoted": "null",
        "when": "2024-01-01",
    }


def test_unknown_properties_pass_through_as_text() -> None:
    properties = fine("zeta: [1, 2]\nalpha:\n  x: 1\n  y: [a, b]\n")
    assert properties.extra == (("alpha", "x: 1, y: a, b"), ("zeta", "1, 2"))


@pytest.mark.parametrize(
    ("head", "published"),
    [
        *(("title: x", True), ("draft: true", False), ("draft: false", True), ("publish: false", False)),
        *(("publish: true", True), ("draft: yes", False), ("DRAFT: True", False), ("draft:", True)),
        *(("publish: no", False), ("draft: true\npublish: true", False), ("publish: 'false'", False)),
    ],
)
def test_a_note_is_published_unless_it_says_otherwise(head: str, published: bool) -> None:
    assert fine(head).published is published


@pytest.mark.parametrize(
    "head",
    [
        *("draft: perhaps", "publish: soon", "draft: [true]", "draft: true: x", "draft: &a true\nx: *a"),
        *("draft: false\ndraft: true\nx: *y", "publish: true\npublish: false\nx: *y", "\tx\ndraft: true"),
        "draft: true\nx: '" + "y" * 70_000 + "'",
    ],
)
def test_in_doubt_a_note_is_not_published(head: str) -> None:
    properties, problems = read(head, "note.md")
    assert not properties.published
    assert [problem for problem in problems if problem.severity == "error"]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2024-12-31", "2024-12-31"),
        ("'2024-12-31'", "2024-12-31"),
        ("2024-12-31 18:30", "2024-12-31T18:30:00"),
        ("2024-12-31T18:30:00Z", "2024-12-31T18:30:00+00:00"),
        ("2024-12-31 18:30:05 +0200", "2024-12-31T18:30:05+02:00"),
        ('"[[2024-12-31]]"', "2024-12-31"),
        ("", None),
    ],
)
def test_dates_are_iso_dates(written: str, meant: str | None) -> None:
    assert fine(f"created: {written}").created == meant


@pytest.mark.parametrize(
    "written", ["yesterday", "31.12.2024", "2024-13-01", "2023-02-29", "2024", "[2024-01-01]"]
)
def test_what_is_no_date_is_a_problem_at_its_place(written: str) -> None:
    properties, problems = read(f"title: x\ncreated: {written}", "note.md")
    assert properties.created is None and properties.title == "x"
    assert codes(problems) == [("date-invalid", Span(3, 10))]


@pytest.mark.parametrize(
    "head", ["tags: [a, 12]", "tags: a b.c", "lang: not a language", "cells: off", "title: [a, b]"]
)
def test_a_value_that_its_key_does_not_allow_is_a_problem(head: str) -> None:
    _, problems = read(head, "note.md")
    assert [(problem.code, problem.path, problem.span.line) for problem in problems] == [
        ("property-invalid", "note.md", 2)
    ]


def test_the_first_name_of_a_property_wins_over_its_synonyms() -> None:
    assert fine("date: 2020-01-01\ncreated: 2021-01-01").created == "2021-01-01"
    assert fine("updated: 2020-01-01\nlastmod: 2021-01-01").modified == "2020-01-01"


# ---------------------------------------------------------------- links


@pytest.mark.parametrize(
    ("head", "links"),
    [
        ("up: [[A]]", (("up", "A", 2),)),
        ('up: "[[A#B|c]]"', (("up", "A#B|c", 2),)),
        ("up: [[A, with comma]]", (("up", "A, with comma", 2),)),
        ('up: ["[[A]]", "[[B]]"]', (("up", "A", 2), ("up", "B", 2))),
        ("up:\n  - [[A]]\n  - '[[B]]'\n", (("up", "A", 3), ("up", "B", 4))),
        ("a: see [[A]] and [[B]]\nb: [[C]]", (("a", "A", 2), ("a", "B", 2), ("b", "C", 3))),
        ("deep:\n  deeper:\n    - [[A]]", (("deep", "A", 4),)),
        ("up: [[A], [B]]", ()),
        ("uses: A", (("uses", "A", 2),)),
        ("image: https://example.org/x.png", ()),
        ("image: '[[x.png|300]]'", (("image", "x.png|300", 2),)),
    ],
)
def test_wikilinks_in_values_are_links(head: str, links: tuple[tuple[str, str, int], ...]) -> None:
    assert fine(head).links == links


def test_a_list_of_bare_wikilinks_is_no_yaml_but_its_links_are_found() -> None:
    properties, problems = read("up: [[A]], [[B]]\ntitle: T", "note.md")
    assert properties.links == (("up", "A", 2), ("up", "B", 2))
    assert properties.title == "T"
    assert codes(problems) == [("yaml-invalid", Span(2, 10))]


def test_a_title_or_image_in_brackets_is_what_it_names() -> None:
    properties = fine("title: '[[A|b]]'\nimage: [[img/x.png|300]]")
    assert (properties.title, properties.image) == ("b", "img/x.png")


# ---------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("bad", "column"),
    [
        *(("a: b: c", 5), ("a: 'open", None), ("a: [open", None), ("\ta: b", 1), ("a: @b", 4), ("a: %b", 4)),
        *(
            ("a: !!python/object/apply:os.system [x]", 4),
            ("a: &anchor b", 4),
            ("a: *anchor", 4),
            ("a: !tag b", 4),
        ),
        *(("a: " + "[" * 60_000, None), ("a: " + "[" * 200 + "]" * 200, None), ("? [complex]\n: b", 3)),
    ],
)
def test_a_mistake_costs_no_other_property(bad: str, column: int | None) -> None:
    properties, problems = read(f"title: Kept\ntags: [x, y]\n{bad}\nlang: en\n", "note.md")
    assert (properties.title, properties.tags, properties.lang) == ("Kept", ("x", "y"), "en")
    (problem,) = problems
    assert problem.code == "yaml-invalid" and problem.message
    assert 2 <= problem.span.line <= 6
    assert column is None or problem.span == Span(4, column)


def test_a_key_given_twice_is_an_error_and_the_first_counts() -> None:
    properties, problems = read("title: A\nlang: en\ntitle: B\n", "note.md")
    assert (properties.title, properties.lang) == ("A", "en")
    assert codes(problems) == [("yaml-invalid", Span(4, 1))]


def test_merge_keys_are_refused() -> None:
    properties, problems = read("title: A\n<<: {lang: en}\n", "note.md")
    assert properties.lang is None and properties.title == "A"
    assert codes(problems) == [("yaml-invalid", Span(3, 1))]


@pytest.mark.parametrize("head", ["- a\n- b", "just text", "[a, b]", "a: b\n--- \nc: d"])
def test_a_head_that_is_no_mapping_is_a_problem(head: str) -> None:
    assert [problem.code for problem in read(head, "note.md")[1]] == ["yaml-invalid"]


def test_a_small_text_does_not_unfold_into_a_large_one() -> None:
    head = "a: &a [x, x]\n" + "\n".join(
        f"{b}: &{b} [*{a}, *{a}]" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    )
    properties, problems = read(head, "note.md")
    assert codes(problems) == [("yaml-invalid", Span(2, 4))]
    assert sum(len(text) for _, text in properties.extra) < len(head)


def test_too_large_a_head_is_said_and_still_read_line_by_line() -> None:
    properties, problems = read("title: A\nx: " + "y" * 66_000, "note.md")
    assert properties.title == "A"
    assert codes(problems) == [("yaml-too-large", Span(1))]


def test_no_value_holds_control_characters_or_the_marks_of_trusted_markup() -> None:
    assert fine('title: "a\\x07b\\uFDD0L1\\uFDD1"').title == "abL1"
    assert read("title: a\x07b\ntags: x", "note.md")[0].title == "ab"


# ---------------------------------------------------------------- notebooks


@pytest.mark.parametrize(
    "head",
    [
        "jupytext:\n  text_representation:\n    extension: .md\n    format_name: myst\n"
        "kernelspec:\n  display_name: Python 3\n  language: python\n  name: python3\n",
        "jupyter:\n  jupytext:\n    formats: ipynb,md\n  kernelspec:\n    name: python3\n",
        "title: x\njupyter: python3\n",
    ],
)
def test_the_heads_of_notebooks_name_their_kernel(head: str) -> None:
    properties = fine(head)
    assert properties.kernel == "python3"
    assert properties.extra == ()


# ---------------------------------------------------------------- the short way and the long one agree

LINES = st.sampled_from(
    [
        *(
            "title: A b",
            "tags: [a, b/c]",
            "k:",
            "  - item",
            "- item",
            "  - 'q'",
            'k2: "q: #"',
            "k3: ''",
            "",
            "  ",
            " x",
        ),
        *(
            "k4: a, b",
            "k5: http://x.example/#y",
            "k6: a #b",
            "k7: a:b",
            "k8: a: b",
            "k9: [a]",
            "l1: []",
            "l2: [ a , b ]",
        ),
        *(
            "l3: x  ",
            "l4: 2024-01-01",
            "l5: ~",
            "l6: null",
            "l7: - a",
            "l8: 'it''s'",
            'l9: "a\\n"',
            "m1: é ü 漢字",
            "#c",
        ),
        *(
            "m2: \u2028",
            "m3: a\u0085b",
            "m4: a\u00a0b",
            "m5: $x",
            "m6: a[b]",
            "m7: x*",
            "m8: x |",
            "m9:x",
            "n1 : x",
        ),
        *(
            "  - k: v",
            "  - [a]",
            "n2: |",
            "    text",
            "n3: +1",
            "n4: /a/",
            "n5: a-",
            "n6: a -",
            "n7: .5",
            "n8: <<",
            "<<: x",
        ),
    ]
)
SCALARS = st.text(alphabet="ab1 :#-,[]{}'\"&*!|>%@`?/.\\_~=<+$é\u00a0\u2028\t", max_size=12)


@settings(max_examples=300)
@given(st.one_of(st.lists(LINES, max_size=6).map("\n".join), SCALARS.map("k: {}\nz: end".format)))
@example("a: x\n\nb:\n\n  - y")
@example("a:\n  - x\n  -  y\n")
@example("a: 'x' \nb: \"y\" ")
@example("a: [x,y]")
def test_a_plain_head_is_read_as_the_yaml_parser_reads_it(head: str) -> None:
    short = flat_yaml.read(head)
    mapping, flaws = strict_yaml.read(head)
    assert short is None or (short == mapping and flaws == ())


@pytest.mark.parametrize(
    "head", ["title: A b\ntags: [a, b]\naliases:\n  - x\n  - 'y'\ndate: 2024-01-01\n", "a: 'b: c'\n"]
)
def test_an_ordinary_head_takes_the_short_way(head: str) -> None:
    assert flat_yaml.read(head) is not None


@given(st.text(alphabet="ab:- \n\t[]{}'\"&*!#|>\u0085\u2028\x07\ufdd0<%@", max_size=40))
def test_no_head_raises_and_every_problem_has_its_place(head: str) -> None:
    _, problems = read(head, "note.md")
    last = head.count("\n") + head.count("\u0085") + head.count("\u2028") + 3
    assert all(1 <= problem.span.line <= last and problem.path == "note.md" for problem in problems)

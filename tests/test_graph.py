"""The garden as a graph: its document, its orphans, what is wanted, what is related, what goes in circles."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from generator.graph import Edge, Wanted, cycles, document, linked, orphans, related, wanted
from generator.model import LinkKind, Note, Slug, slug_of


def edges(text: str, kind: LinkKind = "link") -> list[Edge]:
    """`a>b b>c` as edges."""
    pairs = [pair.split(">") for pair in text.split()]
    return [Edge(Slug(source), Slug(target), kind, 1, "") for source, target in pairs]


def slugs(text: str) -> list[Slug]:
    return [Slug(word) for word in text.split()]


def test_the_document_is_as_the_contract_has_it() -> None:
    notes = [
        Note("a/Über.md", slug_of("a/Über.md"), "Über", (), 0, tags=("x", "y")),
        Note("b.md", Slug("b"), "B", (), 0),
    ]
    made = document(
        notes,
        {Slug("b"): "checked"},
        [Edge(Slug("b"), Slug("a/über"), "embed", 7, "words")],
        [Wanted(Slug("b"), 9, "Nothing", ("Noting",))],
    )
    assert json.loads(json.dumps(made)) == {
        "nodes": [
            {
                "path": "a/Über.md",
                "slug": "a/über",
                "href": "a/%C3%BCber.html",
                "title": "Über",
                "tags": ["x", "y"],
                "grade": "",
            },
            {"path": "b.md", "slug": "b", "href": "b.html", "title": "B", "tags": [], "grade": "checked"},
        ],
        "edges": [{"source": "b", "target": "a/über", "kind": "embed", "line": 7, "text": "words"}],
        "missing": [{"source": "b", "line": 9, "target": "Nothing", "near": ["Noting"]}],
    }


def test_an_orphan_is_a_note_that_no_other_note_links_to() -> None:
    assert orphans(slugs("d a b c"), edges("a>b b>c c>c d>d")) == ("d", "a")


def test_wanted_notes_come_by_demand_each_source_counted_once() -> None:
    missing = [
        *(
            Wanted(Slug("a"), 1, "Rare"),
            Wanted(Slug("a"), 2, "Often wanted"),
            Wanted(Slug("b"), 1, "often  Wanted"),
        ),
        *(Wanted(Slug("c"), 1, "Another"), Wanted(Slug("c"), 2, "Another")),
    ]
    assert wanted(missing) == (("Often wanted", ("a", "b")), ("Another", ("c",)), ("Rare", ("a",)))


def test_related_notes_share_neighbours_but_are_not_linked() -> None:
    found = related(slugs("a b c d e"), linked(edges("a>x b>x c>x a>y b>y a>c d>e")), 5)
    assert found["a"] == ("b",)
    assert found["b"] == ("a", "c")
    assert found["c"] == ("b", "y")
    assert "d" not in found


def test_a_rare_neighbour_relates_more_than_a_common_one() -> None:
    common = "a>hub b>hub c>hub d>hub e>hub"
    assert related((), linked(edges(f"{common} e>rare a>rare")), 2)["a"] == ("e", "b")


def test_related_notes_are_limited_in_number_and_hubs_do_not_count() -> None:
    assert len(related((), linked(edges(" ".join(f"n{i}>x" for i in range(50)))), 3)["n0"]) == 3
    assert related((), linked(edges(" ".join(f"n{i}>x" for i in range(300)))), 3) == {}


def test_notes_that_use_each_other_in_a_circle_are_found() -> None:
    assert cycles(edges("c>a a>b b>c b>d", "uses")) == (("a", "b", "c"),)
    assert cycles(edges("a>a b>c", "uses")) == (("a",),)
    assert cycles(edges("p>q q>p b>a a>b", "uses")) == (("a", "b"), ("p", "q"))


def test_links_may_go_in_circles() -> None:
    assert cycles(edges("a>b b>a")) == ()
    assert cycles([*edges("a>b", "uses"), *edges("b>a")]) == ()


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("abcdef")), max_size=15))
def test_each_circular_group_has_one_cycle_made_of_its_edges(pairs: list[tuple[str, str]]) -> None:
    uses = edges(" ".join(f"{source}>{target}" for source, target in pairs), "uses")
    found = cycles(uses)
    assert all(step in pairs for cycle in found for step in pairwise((*cycle, cycle[0])))
    reach = set(pairs)  # its transitive closure, by brute force
    for _ in "abcdef":
        reach |= {(a, d) for a, b in reach for c, d in reach if b == c}
    circular = {a for a, b in reach if a == b}
    groups = {frozenset(b for b in circular if {(a, b), (b, a)} <= reach) for a in circular}
    assert len(found) == len(groups)
    assert all(sum(set(cycle) <= group for cycle in found) == 1 for group in groups)


def test_networkx_is_not_imported_until_it_is_needed() -> None:
    program = (
        "import sys\nfrom generator import graph\ngraph.cycles([])\n"
        "graph.orphans([], [])\ngraph.wanted([])\nassert 'networkx' not in sys.modules\n"
    )
    assert python(program, "0").returncode == 0


def test_the_answers_do_not_depend_on_hash_seeds() -> None:
    program = (
        "from generator.graph import Edge, cycles, linked, related\n"
        "e = [Edge(f'n{i % 17}', f'n{i * 7 % 13}', 'uses', 1, '') for i in range(60)]\n"
        "print(related([], linked(e), 4), cycles(e))\n"
    )
    first, second = python(program, "1"), python(program, "2")
    assert first.returncode == 0
    assert first.stdout == second.stdout


def python(program: str, seed: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parent.parent,
        env={**os.environ, "PYTHONHASHSEED": seed},
    )

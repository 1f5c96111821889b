"""The map: where notes lie is decided by names and links alone, and changes little when they do."""

from __future__ import annotations

import json
from itertools import accumulate
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generator.layout import EXTENT, layout
from generator.memo import Plain
from generator.model import Found, Link, Note, Resolution, Slug
from generator.pages import atlas
from generator.pages.garden import Garden

Graph = tuple[list[str], list[tuple[int, int]]]


def clustered(count: int, seed: int = 1) -> Graph:
    """Groups of about forty notes that are linked among themselves more than with others."""
    chance = Random(seed)
    groups = max(2, count // 40)
    edges = []
    for note in range(count):
        for _ in range(chance.choice((1, 2, 3))):
            other = chance.randrange(count)
            edges.append((note, other - (other - note) % groups if chance.random() < 0.85 else other))
    return [f"note-{i}" for i in range(count)], [(a, b) for a, b in edges if b >= 0]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 40, 700])
def test_every_note_has_a_place_within_the_map_and_hardly_two_the_same(count: int) -> None:
    slugs, edges = clustered(count)
    places = layout(slugs, edges)
    assert len(places) == count
    assert len(set(places)) >= count * 0.99
    assert all(-EXTENT <= x <= EXTENT for place in places for x in place)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 60), st.randoms(use_true_random=False))
def test_order_direction_and_repetition_do_not_matter(count: int, chance: Random) -> None:
    slugs, edges = clustered(count)
    order = chance.sample(range(count), count)
    place = {old: new for new, old in enumerate(order)}
    turned = [(place[b], place[a]) for a, b in edges] * 2
    chance.shuffle(turned)
    again = layout([slugs[i] for i in order], turned)
    assert [again[place[i]] for i in range(count)] == list(layout(slugs, edges))


@pytest.mark.parametrize("count", [400, 1500])
def test_notes_stay_where_they_were_when_one_in_a_hundred_is_added(count: int) -> None:
    slugs, edges = clustered(count)
    old = count - count // 100
    before = layout(slugs[:old], [(a, b) for a, b in edges if a < old and b < old])
    after = layout(slugs, edges)
    moved = [
        ((x - u) ** 2 + (y - v) ** 2) ** 0.5 / (2 * EXTENT)
        for (x, y), (u, v) in zip(before, after, strict=False)
    ]
    assert sum(moved) / old < 0.06


def test_linked_notes_lie_nearer_than_others() -> None:
    slugs, edges = clustered(600)
    places = layout(slugs, edges)

    def mean(pairs: list[tuple[int, int]]) -> float:
        return sum(abs(complex(*places[a]) - complex(*places[b])) for a, b in pairs) / len(pairs)

    chance = Random(3)
    anyhow = [(chance.randrange(600), chance.randrange(600)) for _ in range(2000)]
    assert mean(edges) < 0.6 * mean(anyhow)


def garden(links: dict[str, list[str]]) -> Garden:
    notes = {
        Slug(slug): Note(
            f"{slug}.md", Slug(slug), slug.title(), (), 0, links=tuple(Link("link", to) for to in out)
        )
        for slug, out in links.items()
    }
    resolutions: dict[Slug, tuple[Resolution, ...]] = {
        Slug(slug): tuple(Found(Slug(to), to.title(), "", to.title()) for to in out)
        for slug, out in links.items()
    }
    return Garden(notes, {}, resolutions, {}, {}, {}, {}, {}, {})


def test_the_map_file_says_each_pair_of_linked_notes_once() -> None:
    small = garden({"a": ["b", "b", "a", "d"], "b": ["a"], "c": ["b"], "d": []})
    data = json.loads(atlas.document(small, atlas.pairs(small), Plain()))
    pairs = [
        (here, there)
        for here, steps in enumerate(data["links"])
        for there in accumulate(steps, initial=here)
        if there != here
    ]
    assert pairs == [(0, 1), (0, 3), (1, 2)]
    assert data["titles"] == ["A", "B", "C", "D"]
    assert {len(data[name]) for name in ("slugs", "dates", "grade", "tagged", "x", "y", "links")} == {4}


def test_the_page_of_the_map_names_the_most_linked_first_and_both_ends_of_a_link() -> None:
    small = garden({"a": ["b"], "b": ["c"], "c": [], "d": []})
    page = atlas.page(small, atlas.pairs(small)).data
    assert [(row.note.title, [ref.title for ref in row.near]) for row in page.rows] == [  # type: ignore[union-attr]
        ("B", ["A", "C"]),
        ("A", ["B"]),
        ("C", ["B"]),
        ("D", []),
    ]


def test_the_page_of_the_map_stays_light_in_a_large_garden() -> None:
    large = garden({f"n{i}": [f"n{j}" for j in range(40) if j != i] for i in range(500)})
    page = atlas.page(large, atlas.pairs(large)).data
    assert len(page.rows) + page.rest == 500  # type: ignore[union-attr]
    assert all(len(row.near) <= 12 for row in page.rows)  # type: ignore[union-attr]
    assert page.rows[0].more == 499 - 12  # type: ignore[union-attr]

"""What renaming a note promises about every link of the garden."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from generator import links, markdown, rename
from generator.model import Ambiguous, Asset, Found, FoundAsset, Missing, Problem, Source

PLAIN = markdown.Dialect()


def planned(
    notes: Mapping[str, str], old: str, new: str, assets: tuple[str, ...] = ()
) -> rename.Plan | tuple[Problem, ...]:
    sources = [Source(path, text) for path, text in sorted(notes.items())]
    parsed = [markdown.parse(source, PLAIN) for source in sources]
    return rename.plan(sources, parsed, [Asset(path, 0, "") for path in assets], PLAIN, old, new)


def renamed(notes: Mapping[str, str], old: str, new: str, assets: tuple[str, ...] = ()) -> dict[str, str]:
    plan = planned(notes, old, new, assets)
    assert isinstance(plan, rename.Plan), plan
    return after(notes, plan)


def after(notes: Mapping[str, str], plan: rename.Plan) -> dict[str, str]:
    return {
        plan.new if path == plan.old else path: rename.applied(text, plan.edits.get(path, ()))
        for path, text in notes.items()
    }


Led = tuple[str, str, bool]


def leads(notes: Mapping[str, str], assets: tuple[str, ...] = ()) -> dict[str, list[Led | None]]:
    """Where each link of each note leads: path, anchor, and whether it could mean something else."""
    each = [markdown.parse(Source(path, text), PLAIN).note for path, text in sorted(notes.items())]
    parsed = list(links.apart(each))  # two notes may want one address
    index = links.index(parsed, [Asset(path, 0, "") for path in assets])
    paths = {note.slug: note.path for note in parsed}

    def led(found: Found | FoundAsset | Missing | Ambiguous) -> Led | None:
        if isinstance(found, Missing):
            return None
        chosen = found.chosen if isinstance(found, Ambiguous) else found
        several = isinstance(found, Ambiguous)
        if isinstance(chosen, FoundAsset):
            return chosen.path, "", several
        return paths[chosen.slug], chosen.anchor, several

    return {note.path: [led(links.resolve(link, note.path, index)) for link in note.links] for note in parsed}


SPELLED = [
    ("[[Old name]]", "[[New name]]"),
    ("[[old name]]", "[[New name]]"),
    ("[[old-name]]", "[[new-name]]"),
    ("[[Old name.md]]", "[[New name.md]]"),
    ("[[a/Old name]]", "[[a/New name]]"),
    ("[[/a/Old name]]", "[[/a/New name]]"),
    ("[[ Old name |words]]", "[[ New name |words]]"),
    ("[[Old name#Part|words *so*]]", "[[New name#Part|words *so*]]"),
    ("[[Old name#^id]]", "[[New name#^id]]"),
    ("![[Old name#Part]]", "![[New name#Part]]"),
    ("[[./a/Old name]]", "[[./a/New name]]"),
    ("[x](a/Old%20name.md)", "[x](a/New%20name.md)"),
    ("[x](./a/Old%20name.md#part 'T')", "[x](./a/New%20name.md#part 'T')"),
    ("[x](</a/Old name.md>)", "[x](</a/New name.md>)"),
    ("[x](a/Old%20name)", "[x](a/New%20name)"),
    ("[![alt](p.png)](a/Old%20name.md)", "[![alt](p.png)](a/New%20name.md)"),
    ("[x][r] and [r]\n\n[r]: a/Old%20name.md#part\n", "[x][r] and [r]\n\n[r]: a/New%20name.md#part\n"),
    ("> - quoted [[Old name]]", "> - quoted [[New name]]"),
    ("| a |\n| - |\n| \\| [[Old name\\|b]] |\n", "| a |\n| - |\n| \\| [[New name\\|b]] |\n"),
    ("<a href='a/Old%20name.md'>x</a>", "<a href='a/New%20name.md'>x</a>"),
    ("# On [[Old name]]", "# On [[New name|Old name]]"),
    ("---\ntitle: On [[Old name]]\n---\n", "---\ntitle: On [[New name|Old name]]\n---\n"),
    ("{doc}`words <a/Old name>`", "{doc}`words <a/New name>`"),
    ("Foot[^1].\n\n[^1]: See [[Old name]].\n", "Foot[^1].\n\n[^1]: See [[New name]].\n"),
    ("---\nuses: [Old name 2, Old name]\n---\n", "---\nuses: [Old name 2, New name]\n---\n"),
    ('---\nup: "[[Old name|o]]"\n---\n', '---\nup: "[[New name|o]]"\n---\n'),
    ("---\nuses:\n  - '[[Old name]]'\n---\n", "---\nuses:\n  - '[[New name]]'\n---\n"),
]


@pytest.mark.parametrize(("before", "expected"), SPELLED)
def test_every_spelling_is_rewritten_in_its_own_manner(before: str, expected: str) -> None:
    note = f"{before}\n\nTail  with   `[[Old name]]` and \\[[Old name]] %%[[Old name]]%%\t\n"
    target = "# T\n\n## Part\n\nWords ^id\n"
    notes = {"b.md": note, "a/Old name.md": target, "Old name 2.md": "x"}
    done = renamed(notes, "a/Old name.md", "a/New name.md", ("p.png",))
    assert done["b.md"] == note.replace(before, expected, 1)


def test_the_old_address_leads_to_the_note_from_then_on() -> None:
    heads = {
        "# T\n": "---\nredirects: [a/old]\n---\n\n# T\n",
        "---\ntags: [x]\n---\n# T\n": "---\ntags: [x]\nredirects: [a/old]\n---\n# T\n",
        "---\nredirects: [z]\n---\n": "---\nredirects: [z, a/old]\n---\n",
        "---\nredirects:\n- z\ntags: x\n---\n": "---\nredirects:\n- z\n- a/old\ntags: x\n---\n",
        "---\nredirects: z\n---\n": "---\nredirects: [z, a/old]\n---\n",
        "": "---\nredirects: [a/old]\n---\n",
    }
    for before, expected in heads.items():
        done = renamed({"a/Old.md": before, "i.md": "[[Old]]"}, "a/Old.md", "New.md")
        assert done["New.md"] == expected
        assert markdown.parse(Source("New.md", done["New.md"])).note.redirects[-1] == "a/old"


def test_links_that_still_mean_the_note_stay_as_they_are() -> None:
    notes = {"a/Old.md": "---\naliases: [Nick]\n---\n", "i.md": "[[Nick]] and [[Old]]"}
    assert renamed(notes, "a/Old.md", "b/Old.md")["i.md"] == notes["i.md"]


def test_what_a_moved_note_links_to_by_its_own_place_is_rewritten() -> None:
    notes = {
        "a/Old.md": "[s](Side.md) ![p](../p.png) [[./Side]] [[Old#H]] [here](#h)\n\n# H\n",
        "a/Side.md": "[o](Old.md) [i](../i.md)",
        "i.md": "",
    }
    done = renamed(notes, "a/Old.md", "b/c/Old.md", ("p.png",))
    body = done["b/c/Old.md"].partition("---\n\n")[2]
    assert body == "[s](../../a/Side.md) ![p](../../p.png) [[../../a/Side]] [[Old#H]] [here](#h)\n\n# H\n"
    assert done["a/Side.md"] == "[o](../b/c/Old.md) [i](../i.md)"


def test_a_name_that_would_take_another_link_is_refused() -> None:
    notes = {"a/Old.md": "", "b/Taken.md": "", "i.md": "See [[Taken]]."}
    found = planned(notes, "a/Old.md", "a/Taken.md")
    assert isinstance(found, tuple)
    assert [(one.code, one.path, one.span.line, one.span.col) for one in found] == [
        ("rename-refused", "i.md", 1, 5)
    ]
    assert "could then mean several notes" in found[0].message


@pytest.mark.parametrize("new", ["a/b#c.md", "I.md", "a-b.md", "p.png.md"])
def test_a_name_that_is_taken_or_cannot_be_linked_to_is_refused(new: str) -> None:
    notes = {"Old.md": "", "i.md": "", "a b.md": "", "p.png.md": ""}
    assert isinstance(planned(notes, "Old.md", new), tuple)


def test_drafts_are_rewritten_too_and_take_no_link_from_published_notes() -> None:
    draft = "---\ndraft: true\n---\n[[Old]] ![[Old]]"
    notes = {"Old.md": "", "i.md": "[[Old]]", "d/Draft.md": draft, "z/New.md": "---\ndraft: true\n---\n"}
    done = renamed(notes, "Old.md", "New.md")
    assert done["i.md"] == "[[New]]"
    assert done["d/Draft.md"] == "---\ndraft: true\n---\n[[/New]] ![[/New]]" or "New]]" in done["d/Draft.md"]


def test_a_notebook_is_not_written_into_and_says_where_it_is_in_the_way() -> None:
    found = planned({"Old.md": "", "n.ipynb": "[[Old]]"}, "Old.md", "New.md")
    assert isinstance(found, tuple) and found[0].path == "n.ipynb"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_stay_as_they_are(end: str) -> None:
    raw = end.join(["one [[Old]]", "two", "", "[[Old]] three", ""])
    edits = (
        rename.Edit(1, "one [[Old]]", "head\none [[New]]"),
        rename.Edit(4, "[[Old]] three", "[[New]] three"),
    )
    assert rename.applied(raw, edits) == end.join(["head", "one [[New]]", "two", "", "[[New]] three", ""])
    with pytest.raises(ValueError, match="line 2 has changed"):
        rename.applied(raw, (rename.Edit(2, "2", "x"),))


# ---------------------------------------------------------------- any garden, any name

NAMES = st.sampled_from(
    ["Old", "old", "A b", "a-b", "Ünï", "C++", "x (y)", "1", "50%", "it's", "index", "p.q"]
)
PATHS = st.builds(lambda f, n: f"{f}{n}.md", st.sampled_from(["", "a/", "a/b/", "Ä c/"]), NAMES)
PARTS = ["", "#Head", "#^id", "#Gone"]


def spelled(path: str, part: str, how: int) -> str:
    stem, name = path.removesuffix(".md"), path.removesuffix(".md").rpartition("/")[2]
    url = rename._encoded(path, "%C3", angled=False)
    fragment = part.lower() if part != "#^id" else "#^id"
    return [
        f"[[{name}{part}]]",
        f"[[{stem}{part}|w]]",
        f"[[/{path}{part}]]",
        f"![[{name}{part}]]",
        f"[w](/{url}{fragment})",
        f"[w](<{path}{fragment}>)",
        f"[w *x*](../{url})",
        f"[[{name.lower()}]]",
        f"`[[{name}]]`",
        f"> 1. [[./{name}]]\n",
    ][how]


@st.composite
def gardens(draw: st.DrawFn) -> tuple[dict[str, str], str, str]:
    paths = draw(st.lists(PATHS, min_size=1, max_size=5, unique_by=str.casefold))
    notes = {}
    for path in paths:
        pieces = draw(
            st.lists(
                st.builds(spelled, st.sampled_from(paths), st.sampled_from(PARTS), st.integers(0, 9)),
                max_size=4,
            )
        )
        head = draw(
            st.sampled_from(["", "---\ntags: x\n---\n", "---\nuses: Old\n---\n", "---\ndraft: no\n---\n"])
        )
        notes[path] = f"{head}# Head\n\nText ^id\n\n" + " and ".join(pieces) + "\n"
    return notes, draw(st.sampled_from(paths)), draw(PATHS)


@given(gardens())
@example(({"Old.md": "x\n", "A b.md": "x\n", "a-b.md": "[[A b]]\n"}, "A b.md", "Ünï.md"))
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_after_a_rename_every_link_leads_where_it_led(case: tuple[dict[str, str], str, str]) -> None:
    notes, old, new = case
    plan = planned(notes, old, new)
    if not isinstance(plan, rename.Plan):
        assert plan and all(one.code == "rename-refused" and one.hint for one in plan)
        return
    done = after(notes, plan)
    before, now = leads(notes), leads(done)
    for path, text in done.items():
        was_ = markdown.parse(Source(path, notes[old if path == new else path])).note
        is_ = markdown.parse(Source(path, text)).note
        assert [one.anchor for one in was_.headings] == [one.anchor for one in is_.headings]
        assert (was_.body, was_.tags) == (is_.body, is_.tags)
    for path, led in before.items():
        for was, found in zip(led, now[new if path == old else path], strict=True):
            if was is not None:
                assert found is not None
                assert found[:2] == (new if was[0] == old else was[0], was[1])
                assert was[2] or not found[2]

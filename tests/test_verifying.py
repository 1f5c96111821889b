"""`verify NOTE#label`, and the report of values that are not what they were."""

from __future__ import annotations

import json
from pathlib import Path

from generator.cli import changes
from generator.model import Shown
from tests.support import garden


class Dict:
    """A store in memory."""

    def __init__(self) -> None:
        self.entries: dict[str, bytes] = {}

    def get(self, key: str) -> bytes | None:
        return self.entries.get(key)

    def put(self, key: str, value: bytes) -> None:
        self.entries[key] = value


BASE = "```{python}\n#| label: scale\n#| export: true\nscale = 2.5\n```\n"
USER = (
    '---\nuses: "[[base]]"\n---\nIt is `{python} f"{scale:.2f}"`.\n\n'
    "```{python}\n#| label: fit\nscale * 2\n```\n\n```{python}\n#| label: claim\nassert scale > 1\n```\n"
)


def test_a_change_is_reported_once_with_what_was_there_and_why(tmp_path: Path) -> None:
    made = garden(tmp_path, {"base.md": BASE, "user.md": USER})
    assert made.build("--format", "json").report["changes"] == []
    made.write({"notes/base.md": "Prose.\n\n" + BASE.replace("2.5", "3.5")})
    report = made.build("--format", "json").report
    assert [(c["note"], c["kind"], c["name"], c["old"], c["new"]) for c in report["changes"]] == [
        ("user.md", "value", 'f"{scale:.2f}"', "2.50", "3.50"),
        ("user.md", "output", "fit", "5.0", "7.0"),
    ]
    assert all(change["because"] == ["base.md"] for change in report["changes"])
    assert [value["text"] for value in report["values"]] == ["3.50"]
    assert made.build("--format", "json").report["changes"] == []


def test_verify_runs_what_is_named_again_and_says_what_came_of_it(tmp_path: Path) -> None:
    made = garden(tmp_path, {"base.md": BASE, "user.md": USER})
    made.build()
    one = made.build("verify", "user.md#fit")
    assert one.code == 0
    assert one.out.splitlines() == [
        "user.md:8: cell fit: ran",
        "    not checked: Nothing says what the value of the last expression should be.",
    ]
    made.write({"notes/base.md": BASE.replace("2.5", "0.5")})
    whole = made.build("verify", "user.md", "--format", "json")
    assert whole.code == 3
    assert [(row["label"], row["grade"]) for row in json.loads(whole.out)] == [
        ("fit", "ran"),
        ("claim", "failed"),
    ]
    assert made.build("verify", "user.md#nowhere").code == 2


def test_verify_without_a_name_holds_the_site_against_its_manifest(tmp_path: Path) -> None:
    made = garden(tmp_path, {"a.md": "A.\n"})
    made.build()
    assert made.build("verify").code == 0
    (made.site / "a.html").write_text("other")
    assert made.build("verify").code == 1


# ---------------------------------------------------------------- the report itself


def shown(
    name: str, text: str, note: str = "a.md", kind: str = "output", uses: tuple[str, ...] = ()
) -> Shown:
    return Shown(note, 7, kind, name, text, uses)  # type: ignore[arg-type]


def test_what_did_not_run_keeps_the_value_that_it_had() -> None:
    store = Dict()
    changes.remember(store, (shown("x", "1"), shown("y", "1")))
    changes.remember(store, (shown("y", "2"),))
    assert [(c.name, c.old, c.new) for c in changes.found(store, (shown("x", "3"), shown("y", "2")))] == [
        ("x", "1", "3")
    ]


def test_a_change_of_code_explains_others_and_is_none_itself() -> None:
    store = Dict()
    before = shown("lent", "old", "b.md", "code"), shown("x", "1", uses=("b.md", "c.md"))
    changes.remember(store, before)
    after = shown("lent", "new", "b.md", "code"), shown("x", "2", uses=("b.md", "c.md"))
    (change,) = changes.found(store, after)
    assert changes.described(change, "notes") == (
        "notes/a.md:7: output x: 1 → 2 (b.md, which it uses, changed)"
    )


def test_of_long_texts_the_place_is_shown_where_they_differ() -> None:
    old = "same\n" + "a" * 300 + "1" + "b" * 300
    change = changes.Change("a.md", 1, "output", "x", old, old.replace("1", "2"))
    said = changes.described(change)
    assert len(said) < 180 and "a1b" in said and "a2b" in said and "same" not in said


def test_a_store_that_holds_nonsense_is_an_empty_one() -> None:
    store = Dict()
    store.put("shown", b"\xff{")
    assert changes.found(store, (shown("x", "1"),)) == ()

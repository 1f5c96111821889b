"""There is one build path: whatever was edited, a build that remembers gives the bytes of a clean one."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from generator import memo, pipeline
from generator.config import Cells, Config
from generator.disk import Spool
from generator.model import Site, Source, Vault
from tests.test_cases import NotAsked

NAMES = ("a", "b", "deep/c", "deep/d", "index")
NAME = st.sampled_from(NAMES)
PART = st.one_of(
    NAME.map(lambda name: f"See [[{name}]] here."),
    NAME.map(lambda name: f"![[{name}]]"),
    NAME.map(lambda name: f"![[{name}#Part]]"),
    NAME.map(lambda name: f"The words of {name.rpartition('/')[2].upper()} note."),
    st.sampled_from(
        ["## Part", "x ^block", "$x^2$", "#tag/one", "> [!note] Call", "Foot[^1].\n\n[^1]: Note.", "==m=="]
    ),
    NAME.map(lambda name: f"[[{name}#^cell-1]] ![[{name}#^cell-1]]"),
    st.sampled_from(
        ["```python\n1 + 1  # => 2\n```", "```python\n#| export: true\ny = 1\n```", "`{python} y`"]
    ),
)
BODY = st.lists(PART, max_size=5).map("\n\n".join)


@pytest.mark.parametrize(
    "edit",
    [
        {"b.md": "other words"},  # embedded by way of another note
        {"b.md": "one ![[c]]"},
        {"c.md": "Two. Then see [[index]] again."},  # the block around a backlink
        {"c.md": "# Another title\n\nSee [[index]]."},
        {"d.md": "This is said of Home is this."},  # the passage around a mention
        {"d.md": "---\naliases: [one]\n---\nNothing."},
        {"index.md": "# Abode\n\n![[a]]"},
        {"a.md": "# Other\n\n![[b]]\n\n```python\n1\n```"},
        {"a.md": "![[b]]", "e.md": "[[index]] [[c]]"},  # what is related
        {"c.md": None},
    ],
    ids=str,
)
def test_a_page_is_made_again_where_an_edit_shows(edit: dict[str, str | None], tmp_path: Path) -> None:
    notes: dict[str, str | None] = {
        "index.md": "# Home\n\n![[a]] and [[c]]",
        "a.md": "![[b]]",
        "b.md": "one",
        "c.md": "See [[index]].",
        "d.md": "What is said of Home is this.",
    }
    store = memo.SqliteStore(tmp_path / "memo.sqlite")
    config = Config(dates="none", cells=Cells(plain="run"))
    edited = notes | edit
    clean = pipeline.build(vault_of(edited), config, memo.Plain(), memo.Plain(), NotAsked())
    before = pipeline.build(vault_of(notes), config, memo.Memo(store), memo.Plain(), NotAsked())
    spool = Spool(tmp_path)
    after = pipeline.build(vault_of(edited), config, memo.Memo(store), memo.Plain(), NotAsked(), files=spool)
    assert before.files != after.files
    assert dict(after.files) == clean.files
    store.close()


def vault_of(notes: dict[str, str | None]) -> Vault:
    return Vault(tuple(Source(path, text) for path, text in sorted(notes.items()) if text is not None), ())


class Edits(RuleBasedStateMachine):
    """A garden under edits; after each, it is built twice."""

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.store = memo.SqliteStore(Path(self.folder.name, "memo.sqlite"))
        self.notes: dict[str, tuple[str, str]] = {
            "index": ("", "Home. [[a]], ![[a]]"),
            "a": ("", "One. ![[b]]"),
            "b": ("", "Two, which speaks of A note and [[deep/c]]."),
        }
        self.config = Config(dates="none")

    def teardown(self) -> None:
        self.store.close()
        self.folder.cleanup()

    @rule(name=NAME, body=BODY)
    def write(self, name: str, body: str) -> None:
        self.notes[name] = (self.notes.get(name, ("", ""))[0], body)

    @rule(name=NAME, title=st.sampled_from(["A note", "B note", "New title", "index"]))
    def retitle(self, name: str, title: str) -> None:
        self.notes[name] = (f"title: {title}\n", self.notes.get(name, ("", ""))[1])

    @rule(name=NAME, alias=st.sampled_from(["a", "other", "c"]), tag=st.sampled_from(["x", "x/y"]))
    def name_again(self, name: str, alias: str, tag: str) -> None:
        self.notes[name] = (f"aliases: [{alias}]\ntags: [{tag}]\n", self.notes.get(name, ("", ""))[1])

    @rule(
        name=NAME,
        property=st.sampled_from(
            [
                "draft: true\n",
                "publish: false\n",
                "permalink: /moved/\n",
                "uses: '[[a]]'\n",
                "preview: false\n",
            ]
        ),
    )
    def hide_or_move_or_use(self, name: str, property: str) -> None:
        self.notes[name] = (property, self.notes.get(name, ("", ""))[1])

    @rule(name=NAME, to=NAME)
    def rename(self, name: str, to: str) -> None:
        if name in self.notes:
            self.notes[to] = self.notes.pop(name)

    @rule(name=NAME)
    def delete(self, name: str) -> None:
        self.notes.pop(name, None)

    @rule(title=st.sampled_from(["Garden", "Other"]), plain=st.sampled_from(["run", "show"]))
    def configure(self, title: str, plain: str) -> None:
        self.config = Config(
            title=title, dates="none", cells=Cells(plain="run" if plain == "run" else "show")
        )

    def vault(self) -> Vault:
        texts = {
            f"{name}.md": f"---\n{head}---\n{body}\n" if head else f"{body}\n"
            for name, (head, body) in self.notes.items()
        }
        return Vault(tuple(Source(path, texts[path]) for path in sorted(texts)), ())

    def build(self, call: memo.Caller) -> Site:
        return pipeline.build(self.vault(), self.config, call, memo.Plain(), NotAsked())

    @invariant()
    def remembering_changes_nothing(self) -> None:
        remembered, clean = self.build(memo.Memo(self.store)), self.build(memo.Plain())
        assert remembered.files == clean.files
        assert remembered.problems == clean.problems
        assert remembered.report == clean.report


TestEdits = Edits.TestCase
TestEdits.settings = settings(max_examples=20, stateful_step_count=12, deadline=None)

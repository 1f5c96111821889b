"""There is one build path: whatever was edited, a build that remembers gives the bytes of a clean one."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from generator import memo, pipeline
from generator.config import Cells, Config
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
    st.just("```python\n1 + 1  # => 2\n```"),
)
BODY = st.lists(PART, max_size=5).map("\n\n".join)


class Edits(RuleBasedStateMachine):
    """A garden under edits; after each, it is built twice."""

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.store = memo.SqliteStore(Path(self.folder.name, "memo.sqlite"))
        self.notes: dict[str, tuple[str, str]] = {"index": ("", "Home.")}
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

    @rule(name=NAME, property=st.sampled_from(["draft: true\n", "publish: false\n", "permalink: /moved/\n"]))
    def hide_or_move(self, name: str, property: str) -> None:
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
TestEdits.settings = settings(max_examples=15, stateful_step_count=12, deadline=None)

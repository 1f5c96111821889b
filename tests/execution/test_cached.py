"""When a run is remembered, and when it must not be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from generator.execution import manifest
from generator.execution.cached import Cached, Mode
from generator.execution.protocol import Environment, Run
from generator.execution.zygote import Zygote
from generator.model import Cell, CellOptions, Program, ProgramResult
from tests.execution.conftest import program


class Dict:
    """A store in memory."""

    def __init__(self) -> None:
        self.entries: dict[str, bytes] = {}

    def get(self, key: str) -> bytes | None:
        return self.entries.get(key)

    def put(self, key: str, value: bytes) -> None:
        self.entries[key] = value


class Counting:
    """Passes programs on and counts them."""

    def __init__(self, inner: Zygote) -> None:
        self.inner = inner
        self.ran = 0

    def run(self, programs: Sequence[Program], report: object = None) -> tuple[ProgramResult, ...]:
        return tuple(run.result for run in self.record(programs))

    def record(
        self, programs: Sequence[Program], report: Callable[[Run], None] | None = None
    ) -> tuple[Run, ...]:
        self.ran += len(programs)
        return self.inner.record(programs, report)


class Bench:
    """A cache that can be asked whether a program had to run."""

    def __init__(self, zygote: Zygote, environment: Environment) -> None:
        self.inner = Counting(zygote)
        self.environment = environment
        self.store = Dict()

    def cached(self, mode: Mode = "normal") -> Cached:
        return Cached(self.inner, self.store, self.environment, mode)

    def runs(self, one: Program, mode: Mode = "normal") -> bool:
        before = self.inner.ran
        self.result = self.cached(mode).run([one])[0]
        return self.inner.ran > before


@pytest.fixture
def bench(zygote: Zygote, environment: Environment, vault: Path) -> Bench:
    (vault / "data.txt").write_text("42\n")
    (vault / "answers.py").write_text("ANSWER = 42\n")
    return Bench(zygote, environment)


def test_a_result_is_remembered_with_the_circumstances_of_its_run(bench: Bench) -> None:
    one = program("print('x')\n1 + 1  # => 2")
    assert bench.runs(one)
    first = bench.result
    assert not bench.runs(one)
    assert bench.result.results == first.results
    assert bench.result.log == replace(first.log, cached=True)
    assert first.log.key and not first.log.cached


def test_comments_layout_labels_and_expected_values_are_free(bench: Bench) -> None:
    assert bench.runs(program("x = [1,2]\nx[0]  # => 1"))
    moved = Cell(
        "# why\n\nx = [1, 2]  # two\nx[0]   # => 9", "other", CellOptions(rtol=0.1, timeout=5, hide="both")
    )
    assert not bench.runs(program(moved, slug="elsewhere", path="other.md"))
    assert [(o.line, o.value) for o in bench.result.results[0].observations] == [(4, "1")]
    assert bench.result.slug == "elsewhere"
    assert not bench.runs(program("x = [1,2]\nx[0]"))


def test_a_new_expectation_needs_a_run(bench: Bench) -> None:
    assert bench.runs(program("x = 1\nx"))
    assert "new expectation" in bench.cached().explain(program("x = 1  # => 1\nx"))
    assert bench.runs(program("x = 1  # => 1\nx"))
    assert bench.result.results[0].observations[0].value == "1"


def test_other_code_or_options_are_another_run(bench: Bench) -> None:
    assert bench.runs(program("x = 1", "2"))
    assert "code of cell cell-2" in bench.cached().explain(program("x = 1", "3"))
    assert "added or removed" in bench.cached().explain(program("x = 1"))
    assert "options of cell cell-1" in bench.cached().explain(program("x = 1", "2", raises="ValueError"))
    assert bench.runs(program("x = 1", "3"))


def test_a_file_that_was_read_is_an_input(bench: Bench, vault: Path) -> None:
    one = program("import os\nopen(os.environ['NOTE_DIR'] + '/data.txt').read()")
    assert bench.runs(one)
    assert not bench.runs(one)
    (vault / "data.txt").write_text("43\n")
    assert bench.cached().explain(one) == "the file note:data.txt has changed"
    assert bench.runs(one)
    assert "43" in dict(bench.result.results[0].outputs[0].data)["text/plain"]


def test_a_file_that_was_missed_and_a_folder_that_was_listed_are_inputs(bench: Bench, vault: Path) -> None:
    missed = program(
        "import os\ntry:\n    open(os.environ['NOTE_DIR'] + '/later')\nexcept OSError:\n    pass"
    )
    listed = program("import os\nlen(os.listdir(os.environ['NOTE_DIR'] + '/sub'))")
    assert bench.runs(missed) and bench.runs(listed)
    assert not bench.runs(missed) and not bench.runs(listed)
    (vault / "later").write_text("")
    (vault / "sub" / "file").write_text("")
    assert bench.runs(missed) and bench.runs(listed)
    (vault / "later").unlink()
    (vault / "sub" / "file").unlink()


def test_a_local_module_is_an_input(bench: Bench, vault: Path) -> None:
    one = program("from answers import ANSWER\nANSWER")
    assert bench.runs(one)
    assert not bench.runs(one)
    (vault / "answers.py").write_text("ANSWER = 43\n")
    assert "note:answers.py" in bench.cached().explain(one)


def test_another_version_of_an_imported_package_is_another_run(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    uses, does_not = program("import numpy"), program("1")
    assert bench.runs(uses) and bench.runs(does_not)
    real = manifest.version_of
    monkeypatch.setattr(manifest, "version_of", lambda name: "99" if name == "numpy" else real(name))
    assert bench.cached().explain(uses).startswith("numpy was ")
    assert bench.cached().explain(does_not) == ""


def test_settings_of_jax_are_part_of_the_key(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    one = program("1")
    assert bench.runs(one)
    monkeypatch.setenv("JAX_ENABLE_X64", "1")
    assert "settings" in bench.cached().explain(one)


def test_failures_are_not_remembered(bench: Bench) -> None:
    assert bench.runs(program("1/0"))
    assert bench.runs(program("1/0"))
    assert bench.runs(program("1/0", raises="ZeroDivisionError"))
    assert not bench.runs(program("1/0", raises="ZeroDivisionError"))


def test_layout_counts_where_an_output_speaks_of_lines(bench: Bench) -> None:
    assert bench.runs(program("1/0", raises="ZeroDivisionError"))
    assert bench.runs(program("# a line more\n1/0", raises="ZeroDivisionError"))
    assert bench.result.results[0].outputs[0].frames[0].line == 2


def test_a_damaged_entry_was_never_there(bench: Bench) -> None:
    one = program("1")
    assert bench.runs(one)
    bench.store.entries = dict.fromkeys(bench.store.entries, b"{}")
    assert bench.runs(one)


def test_fresh_runs_and_remembers(bench: Bench) -> None:
    one = program("1")
    assert bench.runs(one, "fresh") and bench.runs(one, "fresh")
    assert not bench.runs(one)


def test_frozen_runs_nothing_and_names_what_changed(bench: Bench) -> None:
    assert not bench.runs(program("1"), "frozen")
    assert bench.result.results[0].status == "stale"
    assert "never run" in bench.result.results[0].message
    assert bench.runs(program("1"))
    assert not bench.runs(program("1"), "frozen")
    assert bench.result.results[0].status == "ok"
    assert not bench.runs(program("2"), "frozen")
    assert "the code of cell cell-1 has changed" in bench.result.results[0].message


def test_no_exec_runs_and_shows_nothing(bench: Bench) -> None:
    assert bench.runs(program("1"))
    assert not bench.runs(program("1"), "no-exec")
    assert bench.result.results[0].status == "not-run"


def test_no_secret_of_the_environment_is_stored(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANARY_TOKEN", "tweet-tweet")
    bench.runs(program("import os\ndict(os.environ)"))
    assert not any(b"tweet-tweet" in value for value in bench.store.entries.values())

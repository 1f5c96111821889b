"""When a run is remembered, and when it must not be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from generator import pipeline
from generator.config import Config
from generator.execution import cached as cached_module
from generator.execution import evidence, manifest
from generator.execution.cached import Cached, Mode
from generator.execution.evidence import Lookup
from generator.execution.protocol import Environment, Run
from generator.execution.verify import judge
from generator.execution.zygote import Zygote
from generator.memo import Plain, digest, encode
from generator.model import Audit, Cell, CellOptions, Program, ProgramResult, Source, Vault
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
    assert "setting JAX_ENABLE_X64 changed (nothing → 1)" in bench.cached().explain(one)


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


# ---------------------------------------------------------------- what runs a cell again, and what never does


def evidence_of(bench: Bench, *programs: Program, accepted: tuple[str, ...] = ()) -> dict[str, bytes]:
    """The files of the evidence of programs that have run here."""
    files: dict[str, bytes] = {}
    for one in programs:
        kept = bench.cached().kept(one)
        assert kept
        files |= evidence.to_files(one.path, evidence.Evidence(*kept, accepted))
    return files


def elsewhere(bench: Bench, files: dict[str, bytes], mode: Mode = "frozen") -> Cached:
    """A cache on another machine: empty, but with these files beside the notes."""
    kept: Lookup = lambda path: evidence.from_files(path, files.get)  # noqa: E731
    return Cached(bench.inner, Dict(), bench.environment, mode, kept)


@pytest.mark.parametrize(
    "free",
    [
        {"hide": "both"}, {"timeout": 3.0}, {"rtol": 0.5}, {"atol": 0.5}, {"check": True}, {"export": True},
    ],
)  # fmt: skip
def test_an_option_about_judging_or_showing_never_runs_a_cell_again(
    bench: Bench, free: dict[str, object]
) -> None:
    assert bench.runs(program("x = 0.5\nx  # => 0.5"))
    assert not bench.runs(program("x = 0.5\nx  # => 0.5", **free))


@pytest.mark.parametrize(
    ("variable", "value"),
    [("XLA_FLAGS", "--xla_cpu_max_isa=SSE4_2"), ("PYTHONHASHSEED", "7"), ("JAX_ENABLE_X64", "1")],
)
def test_other_surroundings_are_another_run_and_do_not_displace_the_usual_one(
    bench: Bench, variable: str, value: str
) -> None:
    one = program("import os\nos.environ.get('" + variable + "')")
    assert bench.runs(one)
    usual, bench.environment = (
        bench.environment,
        replace(bench.environment, variables=((variable, value),)),
    )
    other = Zygote(bench.environment)
    bench.inner.inner, zygote = other, bench.inner.inner
    try:
        assert bench.runs(one)
        assert dict(bench.result.results[0].outputs[0].data)["text/plain"] == repr(value)
        assert not bench.runs(one)
    finally:
        other.close()
        bench.inner.inner = zygote
    bench.environment = usual
    assert not bench.runs(one)
    assert bench.cached().explain(program("2")).startswith("the code of cell cell-1 has changed")


def test_a_module_that_a_local_module_imports_counts_where_it_was_loaded_before(
    bench: Bench, vault: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (vault / "answers.py").write_text("import numpy\nANSWER = 42\n")
    one = program("import answers")
    assert bench.runs(program("import numpy")) and bench.runs(one)
    real = manifest.version_of
    monkeypatch.setattr(manifest, "version_of", lambda name: "99" if name == "numpy" else real(name))
    assert bench.cached().explain(one).startswith("numpy was ")


def test_declared_inputs_count_like_observed_ones(bench: Bench, vault: Path) -> None:
    (vault / "sub").mkdir(exist_ok=True)
    (vault / "table.bin").write_bytes(b"1")
    (vault / "sub" / "other.bin").write_bytes(b"1")
    one = replace(program(Cell("1", "a", CellOptions(deps="table.bin, /sub/other.bin"))), deps=("later.bin",))
    assert bench.runs(one)
    assert not bench.runs(one)
    (vault / "table.bin").write_bytes(b"2")
    assert bench.cached().explain(one) == "the file note:table.bin has changed"
    (vault / "table.bin").write_bytes(b"1")
    (vault / "sub" / "other.bin").write_bytes(b"2")
    assert bench.cached().explain(one) == "the file note:sub/other.bin has changed"
    (vault / "sub" / "other.bin").unlink()
    assert bench.cached().explain(one) == "note:sub/other.bin came or went"
    assert "its deps have changed (later.bin, table.bin → table.bin)" in bench.cached().explain(
        program(Cell("1", "a", CellOptions(deps="table.bin")))
    ).replace("/sub/other.bin, ", "")
    (vault / "table.bin").unlink()


def test_what_changed_is_said_from_what_to_what(bench: Bench) -> None:
    assert bench.runs(program("x = 1\ny = 2", "3"))
    explain = bench.cached().explain
    assert explain(program("x = 1\ny = 4", "3")) == "the code of cell cell-1 has changed (y = 2 → y = 4)"
    assert explain(program("x = 1\ny = 2")) == "cells were added or removed (2 → 1)"
    raising = explain(program("x = 1\ny = 2", "3", raises="KeyError"))
    assert (
        raising
        == "the options of cell cell-1 have changed (language: python → raises: KeyError, language: python)"
    )


# ---------------------------------------------------------------- evidence beside the notes


def test_evidence_comes_back_as_it_was_and_names_no_place(bench: Bench) -> None:
    code = "open('/srv/far/away.csv') if 0 else print('a' * 5000)\n0.1 + 0.2  # => 0.3"
    one = program(code, "from IPython.display import SVG\nSVG('<svg>' + 'x' * 3000 + '</svg>')")
    assert bench.runs(one)
    parts, entry = bench.cached().kept(one) or pytest.fail("not kept")
    inputs = (("/srv/far/away.csv", "0"), ("note:near.csv", "1"))
    entry = replace(entry, run=replace(entry.run, manifest=replace(entry.run.manifest, inputs=inputs)))
    files = evidence.to_files("note.md", evidence.Evidence(parts, entry))
    assert sorted(name.rsplit(".", 1)[-1] for name in files) == ["json", "svg", "txt"]
    assert not any(b"/srv/far" in data for data in files.values())
    assert evidence.referenced(files["note.md.json"]) == set(files) - {"note.md.json"}
    back = evidence.from_files("note.md", files.get)
    assert back and evidence.to_files("note.md", back) == files
    assert back.entry.run.result.results == bench.result.results


def test_evidence_that_is_damaged_or_of_another_note_is_none(bench: Bench) -> None:
    one = program("print('b' * 5000)")
    assert bench.runs(one)
    files = evidence_of(bench, one)
    assert evidence.from_files("other.md", {"other.md.json": files["note.md.json"]}.get) is None
    for damaged in (
        b"",
        b"[]",
        b"{}",
        files["note.md.json"][:-9],
        files["note.md.json"].replace(b'"cells"', b'"sells"'),
    ):
        assert evidence.from_files("note.md", {"note.md.json": damaged}.get) is None
    forged = {name: data if name.endswith("json") else b"forged" for name, data in files.items()}
    back = evidence.from_files("note.md", forged.get)
    assert back and back.entry.run.result.results[0].outputs == ()


def test_a_frozen_build_elsewhere_takes_the_evidence_and_says_so(bench: Bench) -> None:
    one = program("print('x')\n1 + 1  # => 2")
    assert bench.runs(one)
    cached = elsewhere(bench, evidence_of(bench, one))
    before = bench.inner.ran
    (result,) = cached.run([one])
    assert bench.inner.ran == before and cached.explain(one) == ""
    assert [r.recorded for r in result.results] == [True]
    assert judge(one.cells[0], result.results[0]).grade == "matches"
    assert judge(Cell("1 + 1", "a"), replace(result.results[0], observations=())).grade == "recorded"


def test_evidence_of_other_code_options_or_inputs_is_stale(bench: Bench, vault: Path) -> None:
    one = program("import os\nopen(os.environ['NOTE_DIR'] + '/data.txt').read()")
    assert bench.runs(one)
    files = evidence_of(bench, one)
    changed = program("import os\nopen(os.environ['NOTE_DIR'] + '/data.txt').read() + ''")
    (result,) = elsewhere(bench, files).run([changed])
    assert result.results[0].status == "stale"
    assert (
        "since the evidence beside the notes was made, the code of cell cell-1" in result.results[0].message
    )
    assert "build.py accept --evidence 'note.md'" in result.results[0].message
    (vault / "data.txt").write_text("44\n")
    (result,) = elsewhere(bench, files).run([one])
    assert "the file note:data.txt has changed" in result.results[0].message


def test_a_package_that_is_here_in_another_version_makes_evidence_stale_and_one_that_is_not_here_does_not(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = program("import numpy")
    assert bench.runs(one)
    files = evidence_of(bench, one)
    real = manifest.version_of
    for version, status in (("99", "stale"), ("", "ok")):
        now = lambda name, version=version: version if name == "numpy" else real(name)  # noqa: E731
        monkeypatch.setattr(manifest, "version_of", now)
        monkeypatch.setattr(cached_module, "version_of", now)
        assert elsewhere(bench, files).run([one])[0].results[0].status == status


def test_another_machine_s_settings_do_not_make_evidence_stale_but_void_its_audit(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = program("0.5")
    assert bench.runs(one)
    parts, entry = bench.cached().kept(one) or pytest.fail("not kept")
    result = entry.run.result.results[0]
    audited = replace(result, audit=Audit(("SSE4.2",), evidence.printed(result), 1))
    run = replace(entry.run, result=replace(entry.run.result, results=(audited,)))
    files = evidence.to_files("note.md", evidence.Evidence(parts, replace(entry, run=run)))
    kept: Lookup = lambda path: evidence.from_files(path, files.get)  # noqa: E731
    here = Cached(bench.inner, bench.store, bench.environment, "normal", kept)
    assert here.run([one])[0].results[0].audit == audited.audit
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_max_isa=AVX")
    assert elsewhere(bench, files).run([one])[0].results[0].audit == audited.audit
    there = Cached(bench.inner, Dict(), bench.environment, "normal", kept)
    assert there.run([one])[0].results[0].audit is None


def test_a_normal_build_runs_in_spite_of_evidence(bench: Bench) -> None:
    one = program("1")
    assert bench.runs(one)
    before = bench.inner.ran
    elsewhere(bench, evidence_of(bench, one), "normal").run([one])
    assert bench.inner.ran == before + 1


# ---------------------------------------------------------------- old results are had again, in their turn


def test_the_oldest_results_run_again_where_something_runs_anyway(bench: Bench) -> None:
    old = [program(str(n), path=f"{n}.md", slug=str(n)) for n in range(3)]
    for n, one in enumerate(old):
        assert bench.runs(one)
        parts, entry = bench.cached().kept(one) or pytest.fail("not kept")
        log = replace(entry.run.result.log, when=f"2020-01-0{3 - n}T00:00:00Z", seconds=(1.0,))
        run = replace(entry.run, result=replace(entry.run.result, log=log))
        bench.store.put(f"run-{digest(parts)}", encode(replace(entry, run=run)))
    one = program("'new'", path="new.md", slug="new")
    cached = Cached(bench.inner, bench.store, bench.environment, reverify=2.5)
    before = bench.inner.ran
    cached.run(old)
    assert bench.inner.ran == before, "where nothing has to run, nothing does"
    results = cached.run([*old, one])
    assert bench.inner.ran == before + 3
    assert [result.log.when[:4] == "2020" for result in results] == [True, False, False, False]
    assert [result.slug for result in results] == ["0", "1", "2", "new"]


def test_a_result_that_is_too_slow_for_its_turn_has_one_when_it_is_a_month_old(bench: Bench) -> None:
    slow, new = program("1", path="slow.md", slug="slow"), program("2", path="new.md", slug="new")
    assert bench.runs(slow)
    parts, entry = bench.cached().kept(slow) or pytest.fail("not kept")
    week = (datetime.now(UTC) - timedelta(days=7)).strftime("%Y-%m-%dT%H:%M:%SZ")
    for when, turns in ((week, 1), ("2020-01-01T00:00:00Z", 2)):
        log = replace(entry.run.result.log, when=when, seconds=(50.0,))
        run = replace(entry.run, result=replace(entry.run.result, log=log))
        bench.store.entries = {f"run-{digest(parts)}": encode(replace(entry, run=run))}
        before = bench.inner.ran
        Cached(bench.inner, bench.store, bench.environment, reverify=1.0).run([slow, new])
        assert bench.inner.ran == before + turns


def test_a_cell_that_needs_another_machine_is_shown_from_the_evidence(bench: Bench) -> None:
    here = program("1 + 1", Cell("2 + 2", "big", CellOptions(needs="gpu")))
    there = replace(here, cells=(here.cells[0], replace(here.cells[1], options=CellOptions())))
    assert bench.runs(there)
    parts, entry = bench.cached().kept(there) or pytest.fail("not kept")
    parts = bench.cached()._parts(here)
    files = evidence.to_files("note.md", evidence.Evidence(parts, entry))
    (result,) = elsewhere(bench, files, "normal").run([here])
    assert [(one.status, one.recorded) for one in result.results] == [("ok", False), ("ok", True)]
    (alone,) = bench.cached().run([here])
    assert [one.status for one in alone.results] == ["ok", "skipped"]


WRITTEN = """\
---
tags: [one]
---

# Note

Words.

```{code-cell}
:tags: [hide-input]
x = [0.5, 2]  # why
x[0]  # => 0.5
```
"""


def of(text: str) -> Program:
    """The program of a note, from its text."""
    vault = Vault((Source("note.md", text),), ())
    parsed, _ = pipeline.read(vault, Config(), Plain())
    (one,) = pipeline.programs_of(pipeline.resolved(parsed, vault))
    return one


@pytest.mark.parametrize(
    ("what", "old", "new"),
    [
        ("prose", "Words.", "Other words.\n\nAnd more."),
        ("a heading", "# Note", "# Another note\n\n## Part"),
        ("tags of the note", "[one]", "[two, three]"),
        ("tags of the cell", ":tags: [hide-input]\n", ":tags: [hide-output]\n"),
        ("a label", ":tags: [hide-input]\n", "#| label: other\n"),
        ("a comment", "# why", "# because"),
        ("layout", "x = [0.5, 2]  # why\n", "\nx = [\n    0.5,\n    2,\n]\n"),
        ("the expected value", "# => 0.5", "# => 0.75"),
        ("the digits asked for", "# => 0.5", "# => 0.500"),
        ("a tolerance", ":tags: [hide-input]\n", "#| rtol: 1e-3\n"),
        ("the form of the fence", "```{code-cell}\n:tags: [hide-input]\n", "```{python}\n"),
    ],
)
def test_an_edit_that_changes_no_computation_runs_nothing(
    bench: Bench, what: str, old: str, new: str
) -> None:
    assert WRITTEN.count(old) == 1
    assert bench.runs(of(WRITTEN))
    assert not bench.runs(of(WRITTEN.replace(old, new))), what


def test_a_note_and_its_cells_declare_inputs() -> None:
    text = "---\ndeps: [a.h5, /data/b.bin]\n---\n\n```{python}\n#| deps: c.so, d.so\n1\n```\n"
    one = of(text)
    assert one.deps == ("a.h5", "/data/b.bin") and one.cells[0].options.deps == "c.so, d.so"

"""What runs cells, kept open from build to build: the same process as long as a new one would be the same."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest

from generator import config, memo, pipeline
from generator.cli import building, cells
from generator.cli.progress import Progress
from generator.execution import manifest
from generator.execution.protocol import Environment
from generator.execution.zygote import Zygote
from generator.model import Source, Vault
from generator.pages.garden import Garden
from tests.execution.conftest import program

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the zygote needs Linux")

WHO = (
    "import os\n"
    "keeper = open(f'/proc/{os.getppid()}/stat').read().rpartition(')')[2].split()\n"
    "print(keeper[1])"
)
"""Prints the number of the process that all notes are forked from, where notes are not fenced in."""

Ask = Callable[..., int]


class Nothing:
    """A store that remembers nothing, so that every cell has to run."""

    def get(self, key: str) -> bytes | None:
        return None

    def put(self, key: str, value: bytes) -> None:
        pass


@pytest.fixture
def loaded(tmp_path: Path) -> config.Loaded:
    (tmp_path / "notes").mkdir()
    options = config.Options(sandbox="off")
    return config.Loaded(config.Config(), options, tmp_path / "notes", tmp_path / "_site", tmp_path / "cache")


@pytest.fixture
def kept() -> Iterator[cells.Kept]:
    with cells.Kept() as made:
        yield made


@pytest.fixture
def ask(loaded: config.Loaded, kept: cells.Kept) -> Ask:
    """One build, whose one note runs: the number of the process that it was forked from."""

    def ask(more: str = "", timeout: float = 60.0) -> int:
        changed = replace(loaded.config, cells=replace(loaded.config.cells, timeout=timeout))
        with cells.executor(replace(loaded, config=changed), Nothing(), 1, kept) as executor:
            result = executor.run([program(WHO + more)])[0].results[0]
        assert result.status == "ok", result
        return int(result.outputs[0].text)

    return ask


def test_the_next_build_finds_the_process_of_the_last_and_modules_as_they_are(
    ask: Ask, loaded: config.Loaded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages = tmp_path / "packages"
    packages.mkdir()
    monkeypatch.syspath_prepend(str(packages))
    module = loaded.notes_dir / "mine.py"
    module.write_text("WHICH = 1\n")
    first = ask("\nimport mine\nassert mine.WHICH == 1")
    module.write_text("WHICH = 2222\n")
    (packages / "no-distribution").mkdir()
    assert ask("\nimport mine\nassert mine.WHICH == 2222") == first


def test_a_process_that_died_between_builds_is_replaced(ask: Ask) -> None:
    first = ask()
    os.kill(first, signal.SIGKILL)
    assert ask() not in (0, first)


def test_other_settings_are_another_process(
    ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [ask(), ask(timeout=61.0)]
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_max_isa=AVX")
    found.append(ask(timeout=61.0))
    folder = tmp_path / "packages"
    folder.mkdir()
    monkeypatch.setattr(sys, "path", [*sys.path, str(folder)])
    (folder / "new-1.0.dist-info").mkdir()  # As an installer does.
    found.append(ask(timeout=61.0))
    assert len(set(found)) == 4
    assert ask(timeout=61.0) == found[-1]
    assert not any(map(_is_there, found[:-1]))


def test_a_version_is_looked_up_again_by_the_next_build(
    loaded: config.Loaded, kept: cells.Kept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    for version in ("1.0", "2.0"):
        for old in tmp_path.glob("*.dist-info"):
            (old / "METADATA").unlink()
            old.rmdir()
        made = tmp_path / f"thing_of_mine-{version}.dist-info"
        made.mkdir()
        (made / "METADATA").write_text(f"Metadata-Version: 2.1\nName: thing-of-mine\nVersion: {version}\n")
        with cells.executor(loaded, Nothing(), 1, kept):
            assert manifest.version_of("thing-of-mine") == version


def test_a_build_in_which_nothing_runs_starts_no_process(loaded: config.Loaded, kept: cells.Kept) -> None:
    before = _children()
    shown = replace(loaded, options=replace(loaded.options, no_exec=True))
    with cells.executor(shown, Nothing(), 1, kept) as executor:
        executor.run([program("1")])
    assert _children() == before


def test_what_is_closed_ends_and_opens_again(ask: Ask, kept: cells.Kept) -> None:
    first = ask()
    kept.close()
    assert not _is_there(first)
    assert ask() != first


def test_what_is_likely_to_run_can_be_waited_for_beforehand(environment: Environment) -> None:
    before = set(_children())  # other tests leave a browser's driver to this process
    with Zygote(replace(environment, sandbox="off")) as executor:
        executor.hurry(["import jax"])
        [first] = set(_children()) - before
        _until(lambda: "jaxlib" in Path(f"/proc/{first}/maps").read_text())
        result = executor.run([program(WHO)])[0].results[0]
    assert int(result.outputs[0].text) == first


def _children() -> list[int]:
    return [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]


def _is_there(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def _until(condition: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


NOTE = "# One\n\nSome words.\n\n> ```{python}\n> #| label: sum\n> total = 1 + 1\n>\n> total  # => 2\n> ```\n"


def _likely(
    loaded: config.Loaded, text: str, before: str | None, plain: Literal["run", "show"] = "show"
) -> bool:
    """Whether a note is thought to have to run, given its text and that of the last build."""
    settings = replace(loaded.config, cells=replace(loaded.config.cells, plain=plain))
    loaded = replace(loaded, config=settings)
    last = pipeline.programs_of(_garden(before, settings)) if before is not None else None
    return cells.likely_to_run(loaded, _vault(text), last) == [text]


def _vault(text: str) -> Vault:
    return Vault((Source("one.md", text),), ())


def _garden(text: str, settings: config.Config) -> Garden:
    parsed, _ = pipeline.read(_vault(text), settings, memo.Plain())
    return pipeline.resolved(parsed, _vault(text))


def test_what_is_likely_to_run_is_seen_before_anything_is_parsed(loaded: config.Loaded) -> None:
    assert _likely(loaded, NOTE, None)
    assert not _likely(loaded, NOTE, NOTE)
    assert not _likely(loaded, NOTE.replace("Some", "Other"), NOTE)
    assert _likely(loaded, NOTE.replace("1 + 1", "1 + 2"), NOTE)
    assert not _likely(loaded, "Only ```{python}``` in words.\n", None)


def test_a_plain_fence_is_likely_to_run_where_plain_fences_do(loaded: config.Loaded) -> None:
    assert not _likely(loaded, "```python\n1\n```\n", None)
    assert _likely(loaded, "```python\n1\n```\n", None, plain="run")
    assert _likely(loaded, "~~~~ {code-cell} python\n1\n~~~~\n", None)


def test_nothing_is_likely_to_run_where_nothing_may(loaded: config.Loaded) -> None:
    for options in (config.Options(no_exec=True), config.Options(frozen=True)):
        assert not _likely(replace(loaded, options=options), NOTE, None)


def test_a_change_of_words_starts_no_process(loaded: config.Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    note = loaded.notes_dir / "one.md"
    note.write_text(NOTE)
    assert building.outcome(loaded, Progress(io.StringIO()), write=True).files
    started = []
    monkeypatch.setattr(subprocess, "Popen", lambda *arguments, **more: started.append(arguments))
    note.write_text(NOTE.replace("Some", "Other"))
    assert '"cached": true' in building.outcome(loaded, Progress(io.StringIO()), write=True).report
    assert not started

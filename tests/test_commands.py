"""What the maintainer's commands promise: new, daily, rename, check, stats, completion."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from generator import disk
from generator.cli import main
from generator.cli.arguments import COMMANDS
from tests.support import BUILD, Garden, Run, garden

Command = Callable[..., Run]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run a command on a garden, within this process."""
    monkeypatch.delenv("CI", raising=False)

    def run(one: Garden, *arguments: str) -> Run:
        monkeypatch.chdir(one.root)
        monkeypatch.setenv("XDG_CACHE_HOME", str(one.root / "xdg"))
        code = main([*arguments, "--notes", str(one.notes)], one.root)
        said = capsys.readouterr()
        return Run(code, said.out, said.err)

    return run


def texts(one: Garden) -> dict[str, bytes]:
    return {
        path.relative_to(one.notes).as_posix(): path.read_bytes()
        for path in sorted(one.notes.rglob("*"))
        if path.is_file()
    }


# ---------------------------------------------------------------- new, daily


def test_a_new_note_is_written_from_the_gardens_template(tmp_path: Path, run: Command) -> None:
    template = "---\ntitle: {{title}}\ncreated: {{date}}\n---\n# {{title}}\n\nBegun {{ date }}.\n"
    one = garden(tmp_path, {"index.md": "x", "templates/note.md": template})
    done = run(one, "new", 'maths/Hopf: “an” "algebra"?')
    assert (done.code, done.out) == (0, "notes/maths/Hopf - “an” algebra.md\n")
    today = date.today().isoformat()
    text = (one.notes / "maths/Hopf - “an” algebra.md").read_text("utf-8")
    assert text == (
        f'---\ntitle: "Hopf: “an” \\"algebra\\"?"\ncreated: {today}\n---\n'
        f'# Hopf: “an” "algebra"?\n\nBegun {today}.\n'
    )


def test_without_a_template_a_note_is_its_title(tmp_path: Path, run: Command) -> None:
    one = garden(tmp_path, {"index.md": "x"})
    assert run(one, "new", "Two", "words").out == "notes/Two words.md\n"
    assert (one.notes / "Two words.md").read_text() == "# Two words\n\n"


@pytest.mark.parametrize("title", ["There", "there", "a b", "con", "../out", "...", "", "x/"])
def test_nothing_is_overwritten_and_no_bad_name_is_taken(tmp_path: Path, run: Command, title: str) -> None:
    one = garden(tmp_path, {"There.md": "mine", "a-b.md": "mine"})
    before = texts(one)
    done = run(one, "new", title)
    assert done.code == 2 and done.err.startswith("build.py: error: ")
    assert texts(one) == before and not (tmp_path / "out.md").exists()


def test_the_note_of_a_day_is_written_once(tmp_path: Path, run: Command) -> None:
    one = garden(tmp_path, {"templates/daily.md": "# {{title}}\n"}, 'daily = "journal"\n')
    first = run(one, "daily", "2024-02-29")
    assert (first.code, first.out) == (0, "notes/journal/2024-02-29.md\n")
    (one.notes / "journal/2024-02-29.md").write_text("# 2024-02-29\n\nwritten since\n")
    assert run(one, "daily", "2024-02-29").out == first.out
    assert (one.notes / "journal/2024-02-29.md").read_text() == "# 2024-02-29\n\nwritten since\n"
    assert run(one, "daily", "2024-02-30").code == 2
    assert run(one, "daily").out == f"notes/journal/{date.today()}.md\n"


def test_templates_are_no_part_of_the_garden(tmp_path: Path, run: Command) -> None:
    one = garden(tmp_path, {"index.md": "x", "templates/note.md": "[[{{title}}]]"})
    assert json.loads(run(one, "stats", "--format", "json").out)["notes"] == 1


def test_an_editor_is_opened_only_on_a_terminal(tmp_path: Path) -> None:
    one = garden(tmp_path, {"index.md": "x"})
    editor = tmp_path / "editor"
    editor.write_text(f'#!/bin/sh\necho "$1" >> {tmp_path}/opened\n')
    editor.chmod(0o755)
    environ = {**os.environ, "EDITOR": str(editor), "VISUAL": ""}
    command = [sys.executable, str(BUILD), "new", "--notes", str(one.notes)]
    done = subprocess.run(
        [*command, "Piped"], env=environ, capture_output=True, stdin=subprocess.DEVNULL, check=True
    )
    assert done.stdout and not (tmp_path / "opened").exists()
    master, slave = pty.openpty()
    try:
        subprocess.run([*command, "Seen"], env=environ, stdin=slave, stdout=slave, stderr=slave, check=True)
    finally:
        os.close(slave)
        os.close(master)
    assert (tmp_path / "opened").read_text() == f"{one.notes}/Seen.md\n"


# ---------------------------------------------------------------- rename

LINKED = {
    "a/Old.md": "\ufeff# Old\r\n\r\n[i](../index.md)\r\n",
    "index.md": "One [[Old]]\r\ntwo [[a/Old#Old|x]]   \r\n",
    "other.md": "[x](a/Old.md)",
}


def test_a_rename_moves_the_note_and_keeps_every_other_byte(tmp_path: Path, run: Command) -> None:
    one = garden(tmp_path, LINKED)
    done = run(one, "rename", "old", "b/New name.md")
    assert (done.code, done.out) == (0, "notes/b/New name.md\n")
    assert "a/Old.md → b/New name.md: 3 links rewritten in 2 other notes, a/old leads there" in done.err
    head = "---\r\nredirects: [a/old]\r\n---\r\n\r\n"
    assert texts(one) == {
        "b/New name.md": f"\ufeff{head}{LINKED['a/Old.md'][1:]}".encode(),
        "index.md": b"One [[New name]]\r\ntwo [[b/New name#Old|x]]   \r\n",
        "other.md": b"[x](b/New%20name.md)",
    }
    assert run(one, "build").code == 0
    assert "b/new-name.html" in (one.site / "a/old.html").read_text()


def test_a_dry_run_shows_a_diff_that_patch_understands_and_writes_nothing(
    tmp_path: Path, run: Command
) -> None:
    one = garden(
        tmp_path, {path: text.replace("\r\n", "\n").strip("\ufeff") for path, text in LINKED.items()}
    )
    before = texts(one)
    done = run(one, "rename", "a/Old.md", "New", "--dry-run")
    assert done.code == 0 and texts(one) == before
    assert done.out.startswith("rename from notes/a/Old.md\nrename to notes/a/New.md\n")
    assert "-One [[Old]]\n" in done.out and "+One [[New]]\n" in done.out
    assert "-[x](a/Old.md)\n\\ No newline at end of file\n+[x](a/New.md)\n" in done.out


@pytest.mark.parametrize(
    "names", [("gone", "New"), ("Old",), ("Old", "index"), ("Old", "a:b"), ("Old", "../x")]
)
def test_a_rename_that_cannot_be_says_why_and_changes_nothing(
    tmp_path: Path, run: Command, names: tuple[str, ...]
) -> None:
    one = garden(tmp_path, {"Old.md": "", "index.md": "[[Old]]"})
    before = texts(one)
    done = run(one, "rename", *names)
    assert done.code in (1, 2) and (done.out or done.err)
    assert texts(one) == before


def test_the_evidence_of_a_note_goes_with_it(tmp_path: Path, run: Command) -> None:
    text = "# N\n\n```{python}\n1 + 1  # => 2\n```\n"
    one = garden(tmp_path, {"Old.md": text, "index.md": "[[Old]]"}, 'title = "T"\n')
    assert run(one, "accept", "--evidence", "Old").code == 0
    assert run(one, "rename", "Old", "New").code == 0
    assert not (one.notes / ".evidence/Old.md.json").exists()
    shutil.rmtree(one.root / ".cache")
    frozen = run(one, "check", "--frozen", "--format", "json")
    assert frozen.code == 0 and [cell["grade"] for cell in frozen.report["cells"]] == ["matches"]


@pytest.mark.parametrize("step", range(12))
def test_a_rename_that_is_cut_short_is_done_wholly_or_not_at_all(
    tmp_path: Path, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = garden(tmp_path, {"Old.md": "old", "a.md": "a", "b.md": "b"})
    before = texts(one)
    changes = {path: lambda text: text.upper() for path in ("a.md", "Old.md", "b.md")}
    count = 0

    class Cut(BaseException):
        """As if the machine had stopped."""

    def counted(original: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **named: object) -> object:
            nonlocal count
            count += 1
            if count > step:
                raise Cut
            return original(*arguments, **named)

        return call

    with monkeypatch.context() as cut:
        for name in ("replace", "rename", "unlink"):
            cut.setattr(Path, name, counted(getattr(Path, name)))
        with contextlib.suppress(Cut):
            assert disk.move(one.notes, "Old.md", "New.md", changes) == ""
    if disk.unfinished(one.notes):
        disk.finish(one.notes)
    assert texts(one) in (before, {"New.md": b"OLD", "a.md": b"A", "b.md": b"B"})
    assert not disk.unfinished(one.notes)


def test_the_next_command_finishes_a_rename_that_was_cut_short(tmp_path: Path, run: Command) -> None:
    one = garden(tmp_path, {"Old.md": "old", "a.md": "[[Old]]"})
    rows = {"old": "Old.md", "new": "New.md", "texts": [["0", "a.md"]]}
    one.write({"notes/.renaming/list.json": json.dumps(rows), "notes/.renaming/0": "[[New]]"})
    assert "a renaming that was cut short is finished: New.md" in run(one, "stats").err
    assert texts(one) == {"New.md": b"old", "a.md": b"[[New]]"}


def test_a_planted_list_cannot_reach_out_of_the_notes(tmp_path: Path, run: Command) -> None:
    one = garden(tmp_path, {"a.md": ""})
    rows = {"old": "a.md", "new": "b.md", "texts": [["0", "../garden.toml"]]}
    one.write({"notes/.renaming/list.json": json.dumps(rows), "notes/.renaming/0": "x", "garden.toml": ""})
    assert run(one, "stats").code == 0
    assert texts(one) == {"a.md": b""} and (tmp_path / "garden.toml").read_text() == ""


# ---------------------------------------------------------------- check

HOME = "/" + "home"  # in two parts: a test looks for such paths in all files, this one too

SICK = {
    "index.md": "# Home\n\n[[Wanted]] [[Draft]] [[a]] ![[p.png]]\n",
    "a.md": "# Same\n\n[[Wanted]] [[Other]] [[index#Gone]]\n",
    "b.md": f"# Same\n\nIn {HOME}/greta/data and {HOME}/user/data.\n",
    "Draft.md": "---\ndraft: true\n---\n![[q.png]]",
    "p.png": "p",
    "q.png": "q",
    "r.png": "r",
}


def test_check_names_what_a_gardener_looks_after(tmp_path: Path, run: Command) -> None:
    one = garden(tmp_path, SICK)
    report = run(one, "check", "--format", "json").report
    doctor = report["doctor"]
    assert [(row["target"], row["count"]) for row in doctor["wanted"]] == [
        ("Wanted", 2),
        ("Draft", 1),
        ("Other", 1),
    ]
    assert doctor["wanted"][0]["places"] == [{"path": "a.md", "line": 3}, {"path": "index.md", "line": 3}]
    assert doctor["orphans"] == ["b.md"]
    assert [row["path"] for row in doctor["unused_assets"]] == ["r.png"]
    assert doctor["duplicate_titles"] == ["b.md"]
    assert [(row["path"], row["line"]) for row in doctor["leaks"]] == [("b.md", 3), ("index.md", 3)]
    assert "heading-missing" in {problem["code"] for problem in report["problems"]}
    assert not one.site.exists()


def test_check_says_to_a_person_what_is_asked_for_most(tmp_path: Path, run: Command) -> None:
    said = run(garden(tmp_path, SICK), "check").out
    assert said.endswith(
        "to be written, the most asked for first:\n"
        "     2  Wanted  (a.md:3, index.md:3)\n"
        "     1  Draft  (index.md:3)\n"
        "     1  Other  (a.md:3)\n"
    )
    assert f"notes/b.md:3:4: warning: {HOME}/greta is a folder of somebody's machine" in said


def test_with_a_baseline_only_what_is_new_counts(tmp_path: Path, run: Command) -> None:
    one = garden(tmp_path, SICK)
    known = str(tmp_path / "known.json")
    assert run(one, "check", "--strict").code == 1
    assert run(one, "check", "--baseline", known).code == 2
    assert run(one, "check", "--strict", "--baseline", known, "--update-baseline").code == 0
    still = run(one, "check", "--strict", "--baseline", known)
    assert still.code == 0 and still.out.startswith("to be written")
    one.write({"notes/a.md": "# Same\n\nA line more.\n\n[[Wanted]] [[index#Gone]] [[New]]\n"})
    now = run(one, "check", "--strict", "--baseline", known, "--format", "json")
    assert now.code == 1
    assert [(one["code"], one["line"]) for one in now.report["problems"]] == [("link-missing", 5)]
    assert now.report["baseline"]["gone"] == 1


# ---------------------------------------------------------------- stats, completion, editors


def test_stats_count_the_garden(tmp_path: Path, run: Command) -> None:
    notes = {
        "index.md": "---\ncreated: 2024-01-05\n---\none two [[a]] [[gone]]",
        "a.md": "---\ncreated: 2024-03-01\n---\nthree #t\n\n```{python}\n1 + 1  # => 2\n```\n",
        "b.md": "---\ncreated: 2024-03-09\n---\n",
        "d.md": "---\ndraft: true\n---\n",
    }
    one = garden(tmp_path, notes, 'dates = "none"\n')
    data = json.loads(run(one, "stats", "--format", "json", "--no-exec").out)
    assert (data["notes"], data["tags"], data["orphans"], data["wanted"]) == (3, 1, 2, 1)
    assert data["cells"] == {"not-run": 1}
    assert data["links"] == {"total": 2, "found": 1, "missing": 1, "ambiguous": 0, "external": 0}
    assert [(row["month"], row["notes"], row["total"]) for row in data["growth"]] == [
        ("2024-01", 1, 1),
        ("2024-03", 2, 3),
    ]
    assert "      2024-03        2  ############################## 3\n" in run(one, "stats", "--no-exec").out


@pytest.mark.skipif(not shutil.which("bash"), reason="there is no bash")
def test_bash_completes_commands_options_and_their_values(tmp_path: Path, run: Command) -> None:
    script = run(garden(tmp_path, {}), "completion", "bash").out

    def completed(*words: str) -> list[str]:
        line = " ".join(f"'{word}'" for word in words)
        ask = f'{script}\nCOMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _garden; echo "${{COMPREPLY[@]}}"'
        done = subprocess.run(["bash", "-c", ask], capture_output=True, text=True, check=True)
        return done.stdout.split()

    assert completed("build.py", "") == list(COMMANDS)
    assert completed("build.py", "re") == ["rename"]
    assert completed("build.py", "check", "--up") == ["--update-baseline"]
    assert completed("build.py", "check", "--format", "j") == ["json", "junit"]
    assert completed("build.py", "completion", "z") == ["zsh"]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_are_told_every_command_and_option(tmp_path: Path, run: Command, shell: str) -> None:
    one = garden(tmp_path, {})
    script = run(one, "completion", shell).out
    assert all(command in script for command in COMMANDS)
    assert all(flag in script for flag in ("update-baseline", "dry-run", "no-strict", "require-sandbox"))
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=script, text=True, check=True)
    assert run(one, "completion", "tcsh").code == 2


def test_the_files_of_editors_are_no_part_of_the_garden(tmp_path: Path, run: Command) -> None:
    theirs = (
        ".obsidian/app.json", ".obsidian/plugins/x/README.md", ".trash/gone.md", ".foam/templates/new.md",
        ".vscode/notes.md", ".marksman.toml", ".#index.md", ".index.md.swp",
    )  # fmt: skip
    one = garden(tmp_path, {"index.md": "x", **dict.fromkeys(theirs, "[[nothing]]")})
    report = run(one, "check", "--format", "json").report
    assert [note["path"] for note in report["notes"]] == ["index.md"] and report["problems"] == []

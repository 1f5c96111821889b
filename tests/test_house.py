"""What is committed speaks of the project alone, and what it promises a newcomer is there."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from textwrap import dedent
from urllib.parse import unquote

import pytest

from generator import __version__
from tests.support import garden

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
LOCKS = {name: (ROOT / "requirements" / f"{name}.lock").read_text("utf-8") for name in ("site", "test")}

# Written so that this file does not find itself.
FOREIGN = {
    "a path of somebody's machine": r"(?<![\w.])/(?:work|root|home/\w+|Users/\w+|opt/\w+)/",
    "the host of a package index": r"(?i)\bpypi[.]org|pythonhosted[.]|npmjs[.]|deb[.]debian[.]org",
    "an index given on a command line": r"--(?:extra-)?index-url\b",
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE[ ]KEY",
    "a note to self": r"\b(?:TODO|FIXME|XXX)(?::|\()",
}


def committed() -> list[Path]:
    run = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    names = [name for name in run.stdout.decode().split("\0") if name and not name.endswith(".min.js")]
    return [ROOT / name for name in names if (ROOT / name).is_file()]  # the words of a library are not ours


def text_of(path: Path) -> str:
    data = path.read_bytes()
    return "" if b"\0" in data else data.decode("utf-8", errors="replace")


@pytest.mark.parametrize("what", FOREIGN)
def test_committed_text_is_free_of(what: str) -> None:
    pattern = re.compile(FOREIGN[what])
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}"
        for path in committed()
        for number, line in enumerate(text_of(path).splitlines(), 1)
        if pattern.search(line)
    ]
    assert not found, f"{what}:\n" + "\n".join(found)


def pins(lock: str) -> dict[str, str]:
    """Package → version, of a lock whose every entry must be pinned and hashed."""
    entries = re.sub(r"^#.*\n", "", lock, flags=re.M).replace("\\\n", " ").splitlines()
    found = {}
    for entry in entries:
        match = re.fullmatch(
            r"([a-z0-9-]+)==(\S+)(?: ; [^#]+?)?((?:\s+--hash=sha256:[0-9a-f]{64})+)\s*", entry
        )
        assert match, f"neither pinned nor hashed: {entry[:80]}"
        found[match[1]] = match[2]
    return found


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_pins_and_hashes_everything_and_names_no_place(name: str) -> None:
    assert len(pins(LOCKS[name])) > 50
    assert not re.search(r"://|\s@\s|^-", LOCKS[name], flags=re.M)


def test_the_tests_run_with_the_versions_that_the_site_is_built_with() -> None:
    assert pins(LOCKS["site"]).items() <= pins(LOCKS["test"]).items()


def test_every_dependency_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    for name, wanted in (
        ("site", project["project"]["dependencies"]),
        ("test", project["dependency-groups"]["test"]),
    ):
        names = {re.split(r"[^A-Za-z0-9-]", entry)[0].lower() for entry in wanted}
        assert names <= pins(LOCKS[name]).keys()


def test_readme_names_only_make_targets_that_exist() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    named = set(
        re.findall(r"\bmake ([a-z]+)\b", "\n".join(re.findall(r"`[^`]+`|^    .*$", README, flags=re.M)))
    )
    assert {"site", "test"} <= named
    assert named <= set(re.findall(r"^([a-z]+):", makefile, flags=re.M))


def test_readme_names_only_commands_and_options_that_exist() -> None:
    def offered(*arguments: str) -> str:
        command = [sys.executable, str(ROOT / "build.py"), *arguments, "--help"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    commands = set(re.findall(r"^\| `([a-z]+)` \|", README, flags=re.M))
    options = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", README))
    assert len(commands) > 1 and len(options) > 3
    help_text = "".join(offered(command) for command in commands)
    assert {option for option in options if option not in help_text} == set()


def test_the_note_in_readme_is_a_note(tmp_path: Path) -> None:
    example = re.search(r"^    ---\n(?:    .*\n|\n)+", README, flags=re.M)
    assert example
    others = {
        "Reverse mode.md": "[[steepest descent]]",
        "Covariance matrix.md": "# Two properties, one reason\n\n[[steepest descent]]",
    }
    made = garden(tmp_path, {"Gradient descent.md": dedent(example[0]), **others}, '[cells]\nplain = "run"\n')
    run = made.build("--strict", "--format", "json")
    assert run.code == 0, run.out
    assert [cell["grade"] for cell in run.report["cells"]] == ["checked"]
    assert run.report["links"]["total"] == run.report["links"]["found"] == 4


def section(note: Path, heading: str) -> str:
    """The text of a note under a heading, up to the next one of the same or a higher level."""
    text, level, fenced = "", 0, False
    for line in note.read_text("utf-8").splitlines():
        fenced ^= line.startswith("```")
        here = 0 if fenced else len(line) - len(line.lstrip("#"))
        if 0 < here <= level:
            break
        if here and line.lstrip("# ") == heading:
            level = here
        elif level:
            text += line + "\n"
    return text


def test_what_readme_says_is_shown_is_shown_and_what_it_says_is_tested_is_tested() -> None:
    table = README[README.index("| shown in | tested by |") :].partition("\n\n")[0]
    shown = re.findall(r"\]\((notes/[^)]+)\)(?: § ((?:`[^`]*`|[^|\[])+?)(?=, \[| \|))?", table)
    assert len(shown) > 15
    for path, heading in shown:
        note = ROOT / unquote(path)
        assert note.is_file(), path
        claims = re.findall(r"# =>|^\s*assert |^```output", section(note, heading), flags=re.M)
        assert claims or not heading, f"{path} makes no claim that is verified under “{heading}”"
    for test in re.findall(r"`(tests/\S+)`", table):
        assert (ROOT / test).is_file(), test


def test_the_changelog_begins_with_this_version() -> None:
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text("utf-8"), flags=re.M)
    assert newest and newest[1] == __version__


def test_workflows_use_actions_by_commit() -> None:
    for workflow in (ROOT / ".github" / "workflows").glob("*.yml"):
        used = re.findall(r"uses: (\S+)", workflow.read_text("utf-8"))
        assert used and all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action) for action in used)

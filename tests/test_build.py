"""The command as scripts use it: exit codes, reports, and what is or is not in the site."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support import BUILD, garden, hear_interrupts

PLAIN = {"index.md": "# Home\n\nSee [[Other note]].\n", "Other note.md": "Back to [[index|home]].\n"}
RUNS = '[cells]\nplain = "run"\n'


def cell(code: str, *options: str) -> str:
    return "\n".join(["```python", *(f"#| {option}" for option in options), code, "```", ""])


# ---------------------------------------------------------------- what a build gives


def test_a_folder_of_notes_becomes_a_linked_site(tmp_path: Path) -> None:
    made = garden(tmp_path, PLAIN)
    run = made.build()
    assert run.code == 0, run.out + run.err
    link = made.page("index.html").css_first('article.note a[data-link="found"]')
    assert link is not None
    assert link.attributes["href"] == "other-note.html"
    assert link.text() == "Other note"
    backlink = made.page("other-note.html").css_first("section.backlinks .backlink[data-source=index]")
    assert backlink is not None
    assert backlink.css_first(".context mark").text() == "Other note"
    assert (made.site / "404.html").is_file()


def test_the_json_report_is_what_the_contract_says(tmp_path: Path) -> None:
    made = garden(tmp_path, {**PLAIN, "bad.md": "[[nowhere]] [[index]] <https://example.org>\n"})
    report = made.build("--format", "json").report
    assert report["schema_version"] == 1
    assert set(report) >= {
        *("site", "notes", "links", "cells", "problems", "timings", "isolation", "versions"),
    }
    assert set(report["site"]) == {"dir", "files", "tree_hash"}
    assert report["links"] == {"total": 5, "found": 3, "missing": 1, "ambiguous": 0, "external": 1}
    assert [note["path"] for note in report["notes"]] == ["Other note.md", "bad.md", "index.md"]
    assert set(report["notes"][0]) >= {"path", "slug", "href", "title", "grade", "words"}
    (problem,) = report["problems"]
    assert {key: problem[key] for key in ("code", "severity", "path", "line", "column")} == {
        "code": "link-missing",
        "severity": "warning",
        "path": "bad.md",
        "line": 1,
        "column": 1,
    }


def test_graph_json_holds_resolved_nodes_and_edges(tmp_path: Path) -> None:
    made = garden(tmp_path, {**PLAIN, "third.md": "One\n\n![[Other note]] and [[gone]]\n"})
    made.build()
    graph = json.loads((made.site / "graph.json").read_text())
    assert [node["slug"] for node in graph["nodes"]] == ["other-note", "index", "third"]
    assert {(edge["source"], edge["target"], edge["kind"], edge["line"]) for edge in graph["edges"]} == {
        ("other-note", "index", "link", 1),
        ("index", "other-note", "link", 3),
        ("third", "other-note", "embed", 3),
    }
    assert [(one["source"], one["line"], one["target"]) for one in graph["missing"]] == [("third", 3, "gone")]


@pytest.mark.parametrize("property", ["draft: true", "publish: false"])
def test_an_unpublished_note_is_absent_everywhere(tmp_path: Path, property: str) -> None:
    secret = "canaryzebra"
    made = garden(
        tmp_path,
        {
            **PLAIN,
            f"{secret}.md": f"---\n{property}\ntags: [{secret}tag]\naliases: [{secret}alias]\n---\n"
            f"{secret} text ![[{secret}.png]] [[index]]\n",
            f"{secret}.png": b"\x89PNG",
        },
    )
    run = made.build("--cache", str(tmp_path / "cache"))
    assert run.code == 0
    assert secret not in run.out
    for place in (made.site, tmp_path / "cache"):
        for file in place.rglob("*"):
            assert secret not in str(file)
            if file.is_file():
                assert secret.encode() not in file.read_bytes(), file


def test_a_note_may_opt_out_of_its_preview(tmp_path: Path) -> None:
    made = garden(tmp_path, {"a.md": "---\npreview: false\n---\nAlone.\n", "b.md": "See [[a]].\n"})
    made.build()
    assert (made.site / "previews/a.html").read_text() == ""
    assert "See" in (made.site / "previews/b.html").read_text()
    assert "Alone." in (made.site / "a.html").read_text()


def test_only_reachable_assets_are_published(tmp_path: Path) -> None:
    made = garden(tmp_path, {"index.md": "![[used.png]]", "used.png": b"1", "unused.png": b"2"})
    made.build()
    assert (made.site / "used.png").read_bytes() == b"1"
    assert not (made.site / "unused.png").exists()


def test_the_bytes_do_not_depend_on_the_surroundings(tmp_path: Path) -> None:
    notes = {**PLAIN, "a/b.md": "---\ntags: [x, y/z]\naliases: [q]\n---\n# B\n$x^2$ ![[Other note]]\n"}
    one, two = garden(tmp_path / "one", notes), garden(tmp_path / "two", dict(reversed(notes.items())))
    first = one.build("--jobs", "1", environ={"TZ": "UTC", "LANG": "C", "PYTHONHASHSEED": "1"})
    second = two.build(
        *("--jobs", "2"),
        environ={"TZ": "Asia/Tokyo", "LANG": "de_DE.UTF-8", "PYTHONHASHSEED": "2"},
        cwd=tmp_path,
    )
    assert first.code == second.code == 0
    assert one.files() == two.files()


def test_an_incremental_build_equals_a_clean_one(tmp_path: Path) -> None:
    made, clean = garden(tmp_path / "a", PLAIN), garden(tmp_path / "b", PLAIN)
    made.build()
    edits = {"Other note.md": "---\ntitle: Renamed\n---\nNow [[index]] and [[new]].\n", "new.md": "New\n"}
    for one in (made, clean):
        one.write({f"notes/{path}": text for path, text in edits.items()})
    assert made.build().code == clean.build("--fresh").code == 0
    assert made.files() == clean.files()
    (made.notes / "new.md").unlink()
    (clean.notes / "new.md").unlink()
    made.build()
    clean.build("--fresh")
    assert made.files() == clean.files()
    assert not (made.site / "new.html").exists()


def test_an_unchanged_garden_writes_nothing_and_says_the_same(tmp_path: Path) -> None:
    made = garden(tmp_path, {**PLAIN, "bad.md": "[[nowhere]]\n"})
    time.sleep(0.1)  # a file changed within the last moments is read again
    first = made.build()
    states = {path: path.stat().st_mtime_ns for path in made.site.rglob("*")}
    second = made.build()
    assert {path: path.stat().st_mtime_ns for path in made.site.rglob("*")} == states
    assert (first.out, first.code) == (second.out, second.code)


def test_a_lost_page_comes_back(tmp_path: Path) -> None:
    made = garden(tmp_path, PLAIN)
    made.build()
    page = (made.site / "index.html").read_bytes()
    (made.site / "index.html").unlink()
    made.build()
    assert (made.site / "index.html").read_bytes() == page


# ---------------------------------------------------------------- exit codes


@pytest.mark.parametrize(
    ("notes", "arguments", "code"),
    [
        (PLAIN, (), 0),
        ({"a.md": "[[nowhere]]"}, (), 0),
        ({"a.md": "[[nowhere]]"}, ("--strict",), 1),
        ({"a.md": "---\ntitle: [\n---\n"}, (), 1),
        ({"a.md": b"\xff\xfe broken"}, (), 1),
        (PLAIN, ("--jobs", "many"), 2),
        (PLAIN, ("--bogus",), 2),
        (PLAIN, ("bogus",), 2),
        (PLAIN, ("--config", "missing.toml"), 2),
    ],
)
def test_exit_codes(
    tmp_path: Path, notes: dict[str, str | bytes], arguments: tuple[str, ...], code: int
) -> None:
    run = garden(tmp_path, notes).build(*arguments)
    assert run.code == code, run.out + run.err


def test_ci_is_strict_unless_told_otherwise(tmp_path: Path) -> None:
    made = garden(tmp_path, {"a.md": "[[nowhere]]"})
    assert made.build(environ={"CI": "true"}).code == 1
    assert made.build("--no-strict", environ={"CI": "true"}).code == 0


def test_a_failed_cell_is_located_and_the_page_still_built(tmp_path: Path) -> None:
    text = "# Fails\n\n" + cell("x = 1\nx / 0", "label: bad") + "\nAfter.\n\n" + cell("print(x)")
    made = garden(tmp_path, {"fails.md": text, **PLAIN}, RUNS)
    run = made.build()
    assert run.code == 3
    assert "notes/fails.md:6:" in run.out
    assert "ZeroDivisionError" in run.out
    page = made.page("fails.html")
    assert page.css_first(".cell[data-label=bad]").attributes["data-grade"] == "failed"
    assert page.css_first(".problem[data-code=cell-failed]") is not None
    assert "After." in page.body.text()
    assert page.css('.cell[data-grade="not-run"]'), "the cell after the failed one did not run"


def test_a_mismatch_says_what_was_expected(tmp_path: Path) -> None:
    made = garden(tmp_path, {"a.md": cell("1 / 3  # => 0.3334", "label: third")}, RUNS)
    run = made.build("--format", "json")
    assert run.code == 3
    (problem,) = run.report["problems"]
    assert problem["code"] == "cell-mismatch"
    assert problem["line"] == 3
    assert "expected 0.3334" in problem["message"]
    assert "got 0.3333333333333333" in problem["message"]


def test_a_wrong_derivative_fails_its_cell_unless_its_author_excuses_it(tmp_path: Path) -> None:
    rule = (
        "import jax\n@jax.custom_jvp\ndef double(x):\n    return 2.0 * x\n"
        "double.defjvp(lambda p, t: (double(*p), 2.1 * t[0]))\nslope = jax.grad(double)(1.0)"
    )
    made = garden(tmp_path, {"a.md": cell(rule, "label: rule")}, RUNS)
    run = made.build("--format", "json")
    assert run.code == 3
    (problem,) = run.report["problems"]
    assert (problem["code"], problem["line"]) == ("cell-mismatch", 8)
    assert "gradient check of grad(double) failed" in problem["message"]
    assert "gradcheck: off" in problem["hint"]
    made.write({"notes/a.md": cell(rule, "label: rule", "gradcheck: off (for show)")})
    run = made.build("--format", "json")
    assert (run.code, [one["grade"] for one in run.report["cells"]]) == (0, ["ran"])
    assert "not checked: for show" in made.page("a.html").body.text()


def test_a_hung_cell_and_one_without_memory_are_named_and_harm_no_other_note(tmp_path: Path) -> None:
    notes = {
        "hung.md": cell("while True:\n    pass", "label: loop", "timeout: 1"),
        "large.md": cell("x = bytearray(20 << 30)", "label: hog"),
        "fine.md": cell("1 + 1  # => 2"),
    }
    run = garden(tmp_path, notes, RUNS + "memory_mb = 2048\n").build("--format", "json")
    assert run.code == 3
    problems = {problem["code"]: problem for problem in run.report["problems"]}
    assert set(problems) == {"cell-timeout", "cell-memory"}
    assert (problems["cell-timeout"]["path"], problems["cell-timeout"]["line"]) == ("hung.md", 4)
    assert (problems["cell-memory"]["path"], problems["cell-memory"]["line"]) == ("large.md", 3)
    grades = {one["note"]: one["grade"] for one in run.report["cells"]}
    assert grades == {"hung.md": "failed", "large.md": "failed", "fine.md": "matches"}


def test_cells_run_once_and_prose_does_not_run_them_again(tmp_path: Path) -> None:
    text = "Words.\n\n" + cell("print(6 * 7)\n# => 42") + cell("2 + 2")
    made = garden(tmp_path, {"a.md": text}, RUNS)
    first = made.build("--format", "json").report["cells"]
    assert [(one["grade"], one["executed"]) for one in first] == [("matches", True), ("ran", True)]
    made.write({"notes/a.md": "Other words.\n\nMore.\n\n" + text})
    second = made.build("--format", "json").report["cells"]
    assert [(one["grade"], one["executed"], one["cached"]) for one in second] == [
        ("matches", False, True),
        ("ran", False, True),
    ]
    made.write({"notes/a.md": text.replace("6 * 7", "7 * 6")})
    assert all(one["executed"] for one in made.build("--format", "json").report["cells"])


def test_no_exec_runs_nothing(tmp_path: Path) -> None:
    made = garden(tmp_path, {"a.md": cell(f"open({str(tmp_path / 'ran')!r}, 'w')")}, RUNS)
    run = made.build("--no-exec", "--format", "json")
    assert run.code == 0
    assert run.report["cells"][0]["grade"] == "not-run"
    assert not (tmp_path / "ran").exists()


def test_frozen_takes_only_valid_results(tmp_path: Path) -> None:
    made = garden(tmp_path, {"a.md": cell("1 + 1  # => 2")}, RUNS)
    assert made.build("--frozen").code == 3
    assert made.build().code == 0
    assert made.build("--frozen").code == 0
    made.write({"notes/a.md": cell("1 + 2  # => 3")})
    run = made.build("--frozen", "--format", "json")
    assert run.code == 3
    assert run.codes() == ["cell-stale"]
    assert run.report["cells"][0]["grade"] == "stale"


def test_plain_fences_of_a_folder_without_configuration_are_only_shown(tmp_path: Path) -> None:
    made = garden(tmp_path, {"a.md": cell(f"open({str(tmp_path / 'ran')!r}, 'w')")})
    assert made.build("--format", "json").report["cells"] == []
    assert not (tmp_path / "ran").exists()


def test_another_build_at_work_is_said(tmp_path: Path) -> None:
    made = garden(tmp_path, {"a.md": cell("import time; time.sleep(50)")}, RUNS)
    slow = subprocess.Popen(
        [sys.executable, str(BUILD), "--notes", str(made.notes)],
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=hear_interrupts,
    )
    try:
        deadline = time.monotonic() + 60
        while not (tmp_path / ".cache/garden/memo.sqlite").exists():
            assert time.monotonic() < deadline, "the first build never began"
            time.sleep(0.05)
        run = made.build("--no-exec")
        assert run.code == 5
        assert "another build" in run.err
    finally:
        os.killpg(slow.pid, signal.SIGINT)
        assert slow.wait(60) == 130
    assert made.build("--no-exec").code == 0


# ---------------------------------------------------------------- how problems are told


@pytest.mark.parametrize(
    ("notes", "code", "place"),
    [
        ({"a.md": "one\n\ntwo [[nowhere]]"}, "link-missing", (3, 5)),
        ({"x/n.md": "", "y/n.md": "", "a.md": "\n[[n]]"}, "link-ambiguous", (2, 1)),
        ({"b.md": "# B\n## C", "a.md": "see [[b#D]]"}, "heading-missing", (1, 5)),
        ({"b.md": "# B", "a.md": "see [[b#^q]]"}, "block-missing", (1, 5)),
        ({"a.md": "one ^x\n\ntwo ^x"}, "block-duplicate", (3, 1)),
        ({"a.md": "---\ntitle: a\ntitle: b\n---\n"}, "yaml-invalid", (3, 1)),
        ({"a.md": b"good\nbad \xff byte"}, "encoding-invalid", (2, 5)),
        ({"a.md": "x\n\n![[a]]"}, "embed-cycle", (3, 1)),
        ({"a b.md": "", "a-b.md": ""}, "slug-collision", (0, 1)),
        ({"a.md": "![[none.png]]"}, "asset-missing", (1, 1)),
        ({"a.md": "so $\\nosuchthing{x}$"}, "math-unsupported", (1, 4)),
        ({"a.md": "[x](../../etc/passwd)"}, "path-escapes", (1, 1)),
        ({"a.md": "%%\nnever closed"}, "comment-unclosed", (1, 1)),
    ],
)
def test_what_is_bad_is_said_where_it_is(
    tmp_path: Path, notes: dict[str, str | bytes], code: str, place: tuple[int, int]
) -> None:
    run = garden(tmp_path, notes).build("--format", "json")
    found = [problem for problem in run.report["problems"] if problem["code"] == code]
    assert len(found) == 1, run.report["problems"]
    assert (found[0]["line"], found[0]["column"]) == place
    assert found[0]["message"]
    assert found[0]["hint"]


def test_text_problems_show_the_line_and_a_caret(tmp_path: Path) -> None:
    run = garden(tmp_path, {"a.md": "see [[nowhere]]"}).build()
    lines = run.out.splitlines()
    assert lines[0].startswith("notes/a.md:1:5: warning: ")
    assert lines[0].endswith("[link-missing]")
    assert lines[1:3] == ["    see [[nowhere]]", "        ^"]


def test_github_annotations_cannot_be_injected(tmp_path: Path) -> None:
    hostile = "::error::owned"
    run = garden(tmp_path, {"a.md": f"[[x%0A{hostile}]] [[y\u2028::set-output]]"}).build("--format", "github")
    commands = run.out.splitlines()
    assert commands
    assert all(line.startswith("::warning file=notes/a.md,line=1,col=") for line in commands)


def test_junit_is_xml_with_a_suite_for_each_note(tmp_path: Path) -> None:
    from xml.etree import ElementTree

    made = garden(tmp_path, {**PLAIN, "a.md": "[[no\x01where]] <&>"})
    suites = ElementTree.fromstring(made.build("--format", "junit", "--no-strict").out)
    assert [suites.get(name) for name in ("tests", "failures")] == ["3", "0"]
    failed = ElementTree.fromstring(made.build("--format", "junit", "--strict").out).findall(".//failure/..")
    assert [(case.get("classname"), case.get("name")) for case in failed] == [("a.md", "link-missing at 1:1")]


def test_no_colours_into_a_pipe(tmp_path: Path) -> None:
    run = garden(tmp_path, {"a.md": "[[nowhere]]"}).build()
    assert "\x1b" not in run.out + run.err


def test_a_notebook_is_a_note_and_its_jupytext_twin_is_not_another(tmp_path: Path) -> None:
    def notebook(text: str) -> str:
        cells = [{"cell_type": "markdown", "id": "a", "metadata": {}, "source": text}]
        return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})

    head = "---\njupytext:\n  formats: md:myst,ipynb\n---\n"
    made = garden(
        tmp_path,
        {
            "alone.ipynb": notebook("# Alone\n\nSee [[paired]]."),
            "paired.ipynb": notebook("# Twin"),
            "paired.md": head + "# Paired\n",
            "broken.ipynb": "{",
        },
    )
    run = made.build("--format", "json")
    assert run.codes() == ["notebook-invalid"]
    assert [note["title"] for note in run.report["notes"]] == ["Alone", "Paired"]
    assert made.page("paired.html").css_first(".backlink[data-source=alone]") is not None

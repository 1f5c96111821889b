"""What every executor does, whichever it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from generator.execution.jupyter import Jupyter
from generator.execution.protocol import Environment, Recorder
from generator.execution.zygote import Zygote
from generator.model import Cell, CellOptions, CellResult, Output, ProgramResult
from tests.execution.conftest import program

Run = Callable[..., ProgramResult]


def text(result: CellResult, name: str = "stdout") -> str:
    return "".join(o.text for o in result.outputs if o.kind == "stream" and o.name == name)


def kinds(result: CellResult) -> list[str]:
    return [o.name if o.kind == "stream" else o.kind for o in result.outputs]


MIXED = (
    "import sys\nprint('one')\nprint('two', file=sys.stderr)\nprint('three')\n6 * 7",
    "from IPython.display import HTML, display\ndisplay(HTML('<b>x</b>'))\nprint('after')\nHTML('<i>y</i>')",
    "a = 1\na + 1;",
    "class Table:\n    def _repr_html_(self):\n        return '<table></table>'\n    def __repr__(self):\n"
    "        return 'a table'\nTable()",
    "from IPython.display import Javascript, Markdown\ndisplay(Javascript('alert(1)'))\nMarkdown('*m*')",
    "x = 3  # => 3\nfor n in range(2):\n    print(n)\n# => 0\n# => 1\nx + 1  # => 4\nprint('p')  # => p\n"
    "x, y = 1, 2\n# => (1, 2)",
)


def test_outputs_are_those_of_a_notebook_in_order(run: Run) -> None:
    result = run(*MIXED)
    first, shown, silent, table, script, seen = result.results
    assert [r.status for r in result.results] == ["ok"] * 6
    assert kinds(first) == ["stdout", "stderr", "stdout", "result"]
    assert [o.text for o in first.outputs[:3]] == ["one\n", "two\n", "three\n"]
    assert first.outputs[3].data == (("text/plain", "42"),)
    assert kinds(shown) == ["display", "stdout", "result"]
    assert dict(shown.outputs[0].data)["text/html"] == "<b>x</b>"
    assert silent.outputs == ()
    assert dict(table.outputs[0].data) == {"text/html": "<table></table>", "text/plain": "a table"}
    assert [text for o in script.outputs for mime, text in o.data if "javascript" in mime] == [""]
    assert dict(script.outputs[-1].data)["text/markdown"] == "*m*"
    assert [(o.line, o.printed, o.value) for o in seen.observations] == [
        (1, "", "3"),
        (2, "0\n1\n", None),
        (6, "", "4"),
        (7, "p\n", "None"),
        (8, "", "(1, 2)"),
    ]
    assert text(seen) == "0\n1\np\n"
    assert len(result.log.seconds) == 6
    assert dict(result.log.versions)["python"]


def test_an_exception_names_the_cell_and_line_and_blocks_what_follows(run: Run) -> None:
    result = run("def f(x):\n    y = 0\n    return x / y", "\n\nprint('here')\nf(1)", "2")
    fine, failed, after = result.results
    assert (fine.status, failed.status, after.status) == ("ok", "error", "blocked")
    error = failed.outputs[-1]
    assert (error.kind, error.name, error.text) == ("error", "ZeroDivisionError", "division by zero")
    assert [(f.cell, f.line, f.function, f.code) for f in error.frames] == [
        (1, 4, "<module>", "f(1)"),
        (0, 3, "f", "return x / y"),
    ]
    assert failed.line == 4
    assert failed.message == "ZeroDivisionError: division by zero"
    assert text(failed) == "here\n"
    assert "cell-2" in after.message


def test_a_traceback_has_no_path_of_this_machine_and_no_frame_of_the_engine(run: Run) -> None:
    code = "import jax, jax.numpy as jnp\njax.jit(lambda a, b: a @ b)(jnp.ones(3), jnp.ones(4))"
    failed = run(code).results[0]
    frames = failed.outputs[-1].frames
    assert {f.cell for f in frames} == {0}
    assert not any(f.file.startswith("/") or "site-packages" in f.file for f in frames)
    json_error = run("import json\njson.loads('{')").results[0].outputs[-1].frames
    assert {f.file for f in json_error} == {"", "json/__init__.py", "json/decoder.py"}


def test_a_warning_does_not_say_where_on_this_machine_a_file_is(run: Run) -> None:
    code = "import os, warnings\nwarnings.warn_explicit('old', UserWarning, os.__file__, 3)"
    assert text(run(code).results[0], "stderr").startswith("os.py:3: UserWarning: old")


def test_a_syntax_error_names_its_line(run: Run) -> None:
    failed = run("x = 1\ny = = 2").results[0]
    assert (failed.status, failed.line, failed.outputs[-1].name) == ("error", 2, "SyntaxError")


def test_an_expected_exception_is_no_failure_and_a_missing_one_is(run: Run) -> None:
    cells = [
        Cell("int('x')", "a", CellOptions(raises="ValueError")),
        Cell("{}['k']", "b", CellOptions(raises="LookupError")),
        Cell("7", "e", CellOptions(raises="Exception?")),
        Cell("1", "c", CellOptions(raises="ValueError")),
    ]
    first, second, calm, third = run(*cells).results
    assert (calm.status, kinds(calm)) == ("ok", ["result"])
    assert (first.status, first.outputs[-1].kind) == ("ok", "error")
    assert second.status == "ok"
    assert (third.status, third.message) == ("error", "Expected a ValueError, but nothing was raised.")
    other = run(Cell("1/0", "d", CellOptions(raises="ValueError"))).results[0]
    assert other.status == "error"
    assert "Expected a ValueError, got ZeroDivisionError" in other.message


def test_claims_in_loops_and_branches_are_seen_where_they_held(run: Run) -> None:
    branch = "    if n > 5:\n        assert False\n    with open('/dev/null'):\n        assert n >= 0\n"
    loops = f"for n in range(3):\n    assert n < 3\n{branch}for n in []:\n    assert n\n"
    code = f"\n\n{loops}while n: assert n; break"
    assert [o.line for o in run(code).results[0].observations] == [4, 8]


def test_a_skipped_cell_says_why_and_does_not_stop_the_others(run: Run) -> None:
    cells = [Cell("x = 1", "a", CellOptions(skip="needs torch")), Cell("2  # => 2", "b")]
    first, second = run(*cells).results
    assert (first.status, first.message) == ("skipped", "Not run: needs torch.")
    assert (second.status, second.observations[0].value) == ("ok", "2")


def test_magics_are_refused_where_they_stand_and_harmless_ones_run(run: Run) -> None:
    fine, refused = run("%matplotlib inline\n1  # => 1", "x = 1\n!ls").results
    assert (fine.status, fine.observations[0].value) == ("ok", "1")
    assert (refused.status, refused.line) == ("error", 2)
    assert "`!` does not run in a note" in refused.message
    cell_magic = run("%%bash\nls").results[0]
    assert "`%%bash` does not run in a note" in cell_magic.message


FIGURES = (
    "import matplotlib.pyplot as plt\nfig, ax = plt.subplots()\nax.plot([1, 3, 2]);",
    "plt.plot([1]); plt.show(); print('after')",
    "fig, ax = plt.subplots()\nfig",
    "import numpy as np\nx = np.arange(9000)\nplt.scatter(x, x**2 % 977);",
)


def test_figures_are_shown_once_as_svg_or_a_huge_one_as_png(run: Run) -> None:
    plain, shown, result, huge = run(*FIGURES).results
    assert [mime for mime, _ in plain.outputs[0].data] == ["image/svg+xml", "text/plain"]
    assert "<svg" in plain.outputs[0].data[0][1]
    assert kinds(shown) == ["display", "stdout"]
    assert kinds(result) == ["result"]
    assert dict(huge.outputs[0].data)["image/png"].startswith("iVBOR")


def test_a_figure_is_the_same_bytes_every_time(zygote: Zygote) -> None:
    one = program(FIGURES[0], FIGURES[3])
    assert zygote.run([one])[0].results == zygote.run([one])[0].results


def test_cells_see_only_what_is_allowed(
    run: Run, monkeypatch: pytest.MonkeyPatch, environment: Environment
) -> None:
    monkeypatch.setenv("CANARY_TOKEN", "tweet")
    code = (
        "import os, sys\n"
        "print(sorted(k for k in os.environ if 'CANARY' in k), 'tweet' in str(dict(os.environ)))\n"
        "print(os.path.isdir(os.environ['HOME']), os.listdir('.'))\n"
        "print(os.environ['NOTE_DIR'])\n"
        "try:\n    input()\nexcept Exception as e:\n    print('no input')"
    )
    out = text(run(code, path="sub/n.md").results[0]).splitlines()
    assert out[0] == "[] False"
    assert out[1] == "True []"
    folder = Path(out[2])  # Of the notes, or of a copy of them.
    assert folder.name == "sub"
    assert (folder.parent / "answers.py").read_bytes() == Path(environment.vault, "answers.py").read_bytes()
    assert out[-1] == "no input"


def test_each_note_starts_with_nothing(run: Run) -> None:
    run("secret = 1\nopen('left', 'w').write('x')\nimport builtins\nbuiltins.spoiled = 1")
    result = run(
        "import os, builtins\n('secret' in globals(), os.path.exists('left'), hasattr(builtins, 'spoiled'))"
    )
    assert result.results[0].outputs[0].data == (("text/plain", "(False, False, False)"),)


def test_what_c_code_prints_is_seen(run: Run) -> None:
    assert text(run("import os\nprint('a')\nos.system('echo from below');").results[0]) == "a\nfrom below\n"


def test_output_is_cut_with_a_sentence(run: Run) -> None:
    result = run("for i in range(3000):\n    print('x' * 1000)").results[0]
    assert result.status == "ok"
    assert 190_000 < len(text(result)) < 201_000
    assert "The output is cut here" in text(result)


def test_a_cell_that_runs_too_long_is_interrupted_where_it_is(run: Run) -> None:
    result = run("print('begun')", "x = 1\nwhile True:\n    pass", "3", timeout=1.0)
    fine, late, after = result.results
    assert (fine.status, late.status, after.status) == ("ok", "timeout", "blocked")
    assert late.message == "Stopped after 1 s, the time that a cell may take."
    assert late.line in (2, 3)


def test_a_process_that_goes_away_is_a_plain_sentence(run: Run) -> None:
    result = run("print('before')", "x = 1\nimport os; os._exit(3)", "2")
    assert [r.status for r in result.results] == ["ok", "killed", "blocked"]
    assert "exit code 3" in result.results[1].message


def test_a_display_can_be_updated_and_cleared(run: Run) -> None:
    code = (
        "from IPython.display import display, clear_output\n"
        "h = display('one', display_id=True)\nh.update('two')\n"
    )
    updated, cleared = run(code, "print('gone')\nclear_output()\nprint('kept')").results
    assert [dict(o.data)["text/plain"] for o in updated.outputs] == ["'two'"]
    assert text(cleared) == "kept\n"


def test_top_level_await_works(run: Run) -> None:
    result = run("import asyncio\nawait asyncio.sleep(0, 'slept')  # => 'slept'").results[0]
    assert (result.status, result.observations[0].value) == ("ok", "'slept'")


def test_what_a_run_depended_on_is_recorded(executor: Recorder) -> None:
    code = (
        "import os, numpy, answers\n"
        "open(os.path.join(os.environ['NOTE_DIR'], 'data.txt')).read()\n"
        "os.path.exists('nothing')\nopen('private', 'w').close(); open('private').close()"
    )
    run = executor.record([program(code)])[0]
    assert run.result.results[0].status == "ok"
    assert dict(run.manifest.packages).keys() == {"numpy"}
    assert {place for place, _ in run.manifest.inputs} == {"note:data.txt", "note:answers.py"}
    assert run.manifest.complete
    assert run.manifest.network == ()


def test_programs_come_back_in_order_and_are_reported_as_they_are_done(executor: Recorder) -> None:
    programs = [program(f"{n}", slug=f"n{n}") for n in range(3)]
    heard: list[Any] = []
    results = executor.run(programs, heard.append)
    assert [r.slug for r in results] == ["n0", "n1", "n2"]
    assert {r.slug for r in heard} == {"n0", "n1", "n2"}
    expected = [(Output("result", data=(("text/plain", str(n)),)),) for n in range(3)]
    assert [r.results[0].outputs for r in results] == expected


def test_both_executors_give_the_same_results(zygote: Zygote, environment: Environment) -> None:
    figure = "import matplotlib.pyplot as plt, jax\nplt.plot([jax.grad(lambda x: x * x)(2.0)]);"
    one = program(*MIXED, figure, Cell("[][1]", "e", CellOptions(raises="IndexError")), "1/0")
    assert zygote.run([one])[0].results == Jupyter(environment).run([one])[0].results


def test_without_cells_to_run_nothing_is_started(environment: Environment) -> None:
    executor = Zygote(environment)
    result = executor.run([program("1", skip="later")])[0]
    assert result.results[0].status == "skipped"
    assert executor.run([]) == ()
    assert executor._process is None


def test_an_unknown_kernel_is_a_sentence(environment: Environment) -> None:
    from dataclasses import replace

    result = Jupyter(environment).run([replace(program("1"), kernel="no-such-kernel")])[0]
    assert result.results[0].status == "not-run"
    assert "no kernel called no-such-kernel" in result.results[0].message


def test_a_note_that_ends_harms_none_that_runs_beside_it(zygote: Zygote) -> None:
    many = [program("1 + 1", slug=f"note-{n}", path=f"note-{n}.md") for n in range(16)]
    assert [result.results[0].status for result in zygote.run(many)] == ["ok"] * 16

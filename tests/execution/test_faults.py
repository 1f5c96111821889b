"""What a note may do to the zygote, and what is left of it: nothing but a sentence."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from generator import disk
from generator.execution import sandbox
from generator.execution.manifest import ROOT
from generator.execution.protocol import Environment, Limits
from generator.execution.zygote import Zygote
from generator.model import CellResult, ProgramResult
from tests.execution.conftest import program
from tests.support import hear_interrupts

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the zygote needs Linux")

STRICT = Limits(
    cell_seconds=20,
    note_seconds=60,
    grace_seconds=0.5,
    memory_bytes=1 << 30,
    output_bytes=100_000,
    processes=20,
)
SLEEPER = "[sys.executable, '-c', 'import time; time.sleep(600)']"

QUOTED = SLEEPER.replace("'", '"')


@pytest.fixture(scope="module")
def strict(environment: Environment) -> Zygote:
    return Zygote(replace(environment, limits=STRICT))


@pytest.fixture(scope="module")
def unfenced(environment: Environment) -> Iterator[Zygote]:
    """Where a note may reach what watches over it: what then?"""
    with Zygote(replace(environment, limits=STRICT, sandbox="off")) as executor:
        yield executor


@pytest.fixture
def run(strict: Zygote) -> Callable[..., ProgramResult]:
    return lambda *codes, **options: strict.run([program(*codes, **options)])[0]


def printed(result: CellResult) -> str:
    return "".join(o.text for o in result.outputs if o.kind == "stream")


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def marked(mark: str) -> list[int]:
    """Processes that have `mark` in their environment: numbers that a cell prints may be those of a namespace
    of its own."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if mark.encode() in (process / "environ").read_bytes() and alive(int(process.name)):
                found.append(int(process.name))
    return found


def test_a_cell_that_ignores_interrupts_is_killed(run: Callable[..., ProgramResult]) -> None:
    code = (
        "import signal, time, os\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nprint(os.environ['HOME'])\n"
        "while True:\n    time.sleep(1)"
    )
    result = run(code, timeout=1.0).results[0]
    assert result.status == "timeout"
    assert "did not react to being interrupted" in result.message
    assert result.line == 4
    assert not marked(printed(result).strip())


def test_a_cell_that_swallows_the_interrupt_was_too_slow_all_the_same(
    run: Callable[..., ProgramResult],
) -> None:
    result = run("import time\ntry:\n    time.sleep(60)\nexcept BaseException:\n    pass", "1", timeout=1.0)
    assert [r.status for r in result.results] == ["timeout", "blocked"]


def test_a_note_has_a_deadline_of_its_own(environment: Environment) -> None:
    with Zygote(replace(environment, limits=replace(STRICT, note_seconds=1.5))) as executor:
        result = executor.run([program("1", "import time; time.sleep(60)", "3")])[0]
    assert [r.status for r in result.results] == ["ok", "timeout", "blocked"]
    assert (
        result.results[1].message
        == "Stopped after 1.5 s, the time that all cells of a note together may take."
    )


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import os\nos._exit(7)", "exit code 7"),
        ("import ctypes\nctypes.string_at(0)", "SIGSEGV"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGABRT)", "SIGABRT"),
    ],
)
def test_a_death_is_located_and_named(run: Callable[..., ProgramResult], code: str, words: str) -> None:
    first, dead, after = run("print('fine')", f"print('last words')\n{code}", "3").results
    assert printed(first) == "fine\n"
    assert (dead.status, after.status) == ("killed", "blocked")
    assert words in dead.message
    assert dead.line == 3
    assert printed(dead) == "last words\n"


def test_a_note_killed_from_outside_was_most_likely_too_large(run: Callable[..., ProgramResult]) -> None:
    result = run("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)").results[0]
    assert result.status == "memory"


def test_a_cell_that_wants_all_memory_gets_an_error(run: Callable[..., ProgramResult]) -> None:
    result = run("x = 1", "hog = []\nwhile True:\n    hog.append(bytearray(1 << 26))").results[1]
    assert result.status == "memory"
    assert result.line == 3


def test_nothing_that_a_cell_starts_survives_it(run: Callable[..., ProgramResult]) -> None:
    code = (
        "import subprocess, sys, os\n"
        f"for i in range(4):\n    print(subprocess.Popen({SLEEPER}, start_new_session=True).pid)\n"
        "twice = ('import subprocess, sys; quiet = dict(stdout=-3, stderr=-3); '\n"
        f"  'print(subprocess.Popen({QUOTED}, start_new_session=True, **quiet).pid)')\n"
        "print(subprocess.run([sys.executable, '-c', twice], capture_output=True, text=True).stdout)\n"
        "print(os.environ['HOME'])"
    )
    result = run(code).results[0]
    *pids, home = printed(result).split()
    assert result.status == "ok"
    assert len(pids) == 5
    assert not marked(home)


def test_a_note_that_starts_process_after_process_is_stopped(run: Callable[..., ProgramResult]) -> None:
    code = (
        f"import subprocess, sys, time\nps = [subprocess.Popen({SLEEPER}) for _ in range(40)]\ntime.sleep(60)"
    )
    result = run(code).results[0]
    assert result.status == "killed"
    assert "more than 20 processes" in result.message


def test_a_fork_bomb_is_stopped_and_harms_no_other_note(strict: Zygote) -> None:
    # Of limited force, because it may go off where nothing but the keeper's count holds it.
    bomb = (
        "import os, time\nprint(os.environ['HOME'], flush=True)\n"
        "for _ in range(9):\n    os.fork()\ntime.sleep(60)"
    )
    fine = program("import time\ntime.sleep(0.5)\n'fine'", slug="b", path="b.md")
    exploded, other = strict.run([program(bomb), fine])
    result = exploded.results[0]
    assert result.status == "killed"
    assert result.line in (3, 5)
    assert "more than 20 processes" in result.message
    assert not marked(printed(result).split()[0])
    assert other.results[0].status == "ok"


def test_ten_gigabytes_at_once_are_an_error_at_their_line(run: Callable[..., ProgramResult]) -> None:
    result = run("x = 1\nhog = bytearray(10 << 30)", "2").results
    assert [(r.status, r.line) for r in result] == [("memory", 2), ("blocked", 0)]
    assert result[0].message.startswith("Out of memory: MemoryError")


def test_two_hundred_megabytes_of_output_are_cut(run: Callable[..., ProgramResult]) -> None:
    result = run(
        "import os\nline = b'z' * 999_999 + b'\\n'\nfor _ in range(200):\n    os.write(1, line)"
    ).results[0]
    assert result.status == "ok"
    assert len(printed(result)) < 101_000
    assert "The output is cut here" in printed(result)


def test_a_deadlock_after_a_fork_ends_at_the_deadline(run: Callable[..., ProgramResult]) -> None:
    code = (
        "import os, threading, time\nprint(os.environ['HOME'])\nlock = threading.Lock()\n"
        "threading.Thread(target=lambda: lock.acquire() and time.sleep(60), daemon=True).start()\n"
        "time.sleep(0.1)\npid = os.fork()\nif pid == 0:\n    lock.acquire()\nos.waitpid(pid, 0)"
    )
    result = run(code, timeout=1.0).results[0]
    assert (result.status, result.line) == ("timeout", 9)
    assert not marked(printed(result).strip())


def test_a_cell_that_edits_its_own_note_is_refused_where_notes_are_fenced(
    run: Callable[..., ProgramResult], vault: Path
) -> None:
    (vault / "edited.md").write_text("as it was")
    code = "import os\nopen(os.path.join(os.environ['NOTE_DIR'], 'edited.md'), 'a').write('!')"
    result = run(code)
    if "mount" in result.log.isolation:
        assert (result.results[0].status, result.results[0].line) == ("error", 2)
        assert "Read-only file system" in result.results[0].message
        assert (vault / "edited.md").read_text() == "as it was"
    else:
        assert result.results[0].status == "ok"


def test_of_two_builds_at_once_one_is_turned_away(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    with disk.lock(tmp_path / "cache"):
        build = subprocess.run(
            [sys.executable, "build.py", "--notes", str(tmp_path / "notes"), "--out", str(tmp_path / "out"),
             "--cache", str(tmp_path / "cache")],
            cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert build.returncode == 5, build.stderr
    assert "another build" in build.stderr


def test_a_fork_that_runs_on_is_not_heard(run: Callable[..., ProgramResult]) -> None:
    result = run(
        "import os\npid = os.fork()\nif pid:\n    os.waitpid(pid, 0)\nprint('x')\n'value'", "2"
    ).results
    assert [r.status for r in result] == ["ok", "ok"]
    assert len([o for o in result[0].outputs if o.kind == "result"]) == 1


def test_endless_output_is_cut_and_ends_with_the_cell(run: Callable[..., ProgramResult]) -> None:
    result = run("while True:\n    print('y' * 500)", timeout=1.5).results[0]
    assert result.status == "timeout"
    assert len(printed(result)) < 101_000
    assert "The output is cut here" in printed(result)


def test_bytes_that_are_no_text_do_no_harm(run: Callable[..., ProgramResult]) -> None:
    first, second = run(
        "import os\nos.write(1, bytes(range(256)))\nprint(chr(0xd800))",
        "import sys\nsys.stdout.buffer.write(b'\\xff')\n2",
    ).results
    assert (first.status, second.status) == ("ok", "ok")
    assert "abc" in printed(first)
    printed(first).encode("utf-8")


def test_a_closed_descriptor_costs_nothing_but_itself(run: Callable[..., ProgramResult]) -> None:
    first, second = run("import os\nos.close(1)\nos.close(2)\nprint('still here')", "1 + 1").results
    assert printed(first) == "still here\n"
    assert dict(second.outputs[0].data)["text/plain"] == "2"


def test_a_replaced_stdout_is_the_cells_own_business(run: Callable[..., ProgramResult]) -> None:
    first, second, third = run(
        "import sys, io\nsys.stdout = io.StringIO()\nprint('kept')\n1",
        "sys.stdout = None\n2",
        "sys.stdout = sys.__stdout__\nprint('back')  # => back",
    ).results
    assert [r.status for r in (first, second, third)] == ["ok"] * 3
    assert [o.kind for o in first.outputs] == ["result"]
    assert (printed(third), third.observations[0].printed) == ("back\n", "back\n")


def test_a_repr_that_fails_fails_its_cell_alone(run: Callable[..., ProgramResult]) -> None:
    result = run(
        "class Bad:\n    def __repr__(self):\n        raise ValueError('no')\nBad()",
        "class E(Exception):\n    def __str__(self):\n        1/0\nraise E",
    )
    assert result.results[1].status == "error"
    assert "cannot be shown" in result.results[1].message


def test_a_killed_keeper_is_a_sentence_and_takes_its_note_along(unfenced: Zygote, vault: Path) -> None:
    code = (
        "import os, signal, subprocess, sys, pathlib\n"
        f"child = subprocess.Popen({SLEEPER}, start_new_session=True)\n"
        "where = pathlib.Path(os.environ['NOTE_DIR'], 'pids')\n"
        "where.write_text(f'{os.getpid()} {child.pid}')\n"
        "os.kill(os.getppid(), signal.SIGKILL)\nimport time; time.sleep(60)"
    )
    result = unfenced.run([program(code)])[0].results[0]
    assert result.status == "killed"
    assert "watched over" in result.message
    assert unfenced.run([program("1")])[0].results[0].status == "ok"
    pids = [int(pid) for pid in (vault / "pids").read_text().split()]
    (vault / "pids").unlink()
    _until(lambda: not any(map(alive, pids)))


def test_a_killed_zygote_is_a_sentence_for_each_note_and_the_next_run_has_a_new_one(
    environment: Environment,
) -> None:
    environment = replace(environment, sandbox="off")
    suicide = (
        "import os, signal\n"
        "keeper = os.getppid()\n"
        "stat = open(f'/proc/{keeper}/stat').read().rpartition(')')[2].split()\n"
        "os.kill(int(stat[1]), signal.SIGKILL)\nimport time; time.sleep(60)"
    )
    with Zygote(environment) as executor:
        results = executor.run([program(suicide, slug="a"), program("import time; time.sleep(60)", slug="b")])
        assert [r.results[0].status for r in results] == ["killed", "killed"]
        assert all("ended before this note was done" in r.results[0].message for r in results)
        assert executor.run([program("1")])[0].results[0].status == "ok"


def test_an_interrupted_generator_leaves_nothing_behind(tmp_path: Path) -> None:
    script = tmp_path / "generator_of_a_hanging_note.py"
    script.write_text(
        "import sys\n"
        "from generator.execution.protocol import Environment\n"
        "from generator.execution.zygote import Zygote\n"
        "from tests.execution.conftest import program\n"
        f"code = '''import subprocess, sys, time\nsubprocess.Popen({SLEEPER}, start_new_session=True)\n"
        "time.sleep(600)'''\n"
        "mark = (('GARDEN_TEST_MARK', sys.argv[1]),)\n"
        "Zygote(Environment(variables=mark)).run([program(code)])\n"
    )
    for how in (signal.SIGINT, signal.SIGKILL):
        mark = f"{tmp_path}-{how.name}"
        process = subprocess.Popen(
            [sys.executable, str(script), mark],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": ROOT},
            stderr=subprocess.DEVNULL,
            preexec_fn=hear_interrupts,
        )
        _until(lambda mark=mark: any(map(_is_sleeper, marked(mark))))
        assert len(marked(mark)) >= 3
        process.send_signal(how)
        process.wait(timeout=30)
        _until(lambda mark=mark: not marked(mark))


def _is_sleeper(pid: int) -> bool:
    with suppress(OSError):
        return b"time.sleep(600)" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


def test_damaged_compiled_programs_do_no_harm(environment: Environment, tmp_path: Path) -> None:
    code = (
        "import jax, jax.numpy as jnp\nfloat(jax.jit(lambda x: x * 2 + 1)(jnp.arange(3.0)).sum())  # => 9.0"
    )
    with Zygote(replace(environment, cache=str(tmp_path))) as executor:
        first = executor.run([program(code)])[0].results
        kept = [path for path in tmp_path.glob("compiled/*/*/*") if path.is_file()]
        assert kept
        for path in kept:
            path.write_bytes(path.read_bytes()[:-7] + b"garbage")
        assert executor.run([program(code)])[0].results == first


def _until(condition: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


def test_a_zygote_that_must_not_fork_says_why(
    environment: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "optax.py").write_text(
        "import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with Zygote(environment) as zygote:
        result = zygote.run([program("import optax")])[0].results[0]
    assert (result.status, "2 threads before a fork" in result.message) == ("killed", True)


def test_what_goes_wrong_around_a_note_is_said_in_its_place(environment: Environment, tmp_path: Path) -> None:
    (tmp_path / "matplotlib" / "fontlist-of-somebody.json").mkdir(parents=True)  # No file to be copied.
    with Zygote(replace(environment, cache=str(tmp_path), sandbox="off")) as executor:
        result = executor.run([program("1", "2")])[0]
    assert [one.status for one in result.results] == ["killed", "killed"]
    assert "could not be run, or not to their end (IsADirectoryError: " in result.results[0].message
    assert str(tmp_path) not in result.results[0].message


SHORT_OF_NETWORKS = """
import os, sys
from pathlib import Path
from generator.execution import sandbox
sandbox.house(sandbox.Fence(("net",), True))
Path("/proc/sys/user/max_net_namespaces").write_text("3")  # The trial's may still be on its way out.
os.execv(sys.executable, [sys.executable, "-c", sys.argv[1]])
"""
FIVE_AT_ONCE = """
from generator.execution.protocol import Environment
from generator.execution.zygote import Zygote
from tests.execution.conftest import program
five = [program("import time; time.sleep(1)", slug=slug) for slug in "abcde"]
with Zygote(Environment(jobs=5)) as executor:
    for result in executor.run(five):
        print(result.results[0].status, result.results[0].message)
"""


def test_a_sandbox_that_fails_under_load_is_said_of_the_notes_it_fails() -> None:
    if not sandbox.find("auto").user:
        pytest.skip("no namespaces for users here")
    done = subprocess.run(
        [sys.executable, "-c", SHORT_OF_NETWORKS, FIVE_AT_ONCE],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": ROOT}, capture_output=True, text=True, check=True,
        start_new_session=True,
    )  # fmt: skip
    said = done.stdout.splitlines()
    assert len(said) == 5, done.stderr
    bad = [line for line in said if line.strip() != "ok"]
    assert len(bad) >= 2
    assert all("namespaces for network and mounts: No space left on device" in line for line in bad), said

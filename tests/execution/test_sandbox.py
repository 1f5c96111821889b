"""What a note can do to the machine it runs on. Where the machine gives no sandbox, that is what is said."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from generator.execution import fenced, sandbox
from generator.execution.jupyter import Jupyter
from generator.execution.manifest import ROOT
from generator.execution.protocol import Environment
from generator.execution.zygote import Zygote
from generator.model import RunLog
from tests.execution.conftest import program

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the zygote needs Linux")

LEVELS = {
    "process", "namespaces: net", "namespaces: net mount", "namespaces: net pid mount",
    "bubblewrap: net pid mount",
}  # fmt: skip

TRY = """
import os, socket
def attempt(action):
    try:
        return action() or "done"
    except OSError as error:
        return type(error).__name__
"""


@pytest.fixture(scope="module")
def victim() -> Iterator[subprocess.Popen[bytes]]:
    """A process of the same user that has nothing to do with any note."""
    secret = {**os.environ, "SECRET": "canary"}
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], env=secret)
    yield process
    process.kill()
    process.wait()


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A folder of somebody else, outside every garden, and not below /tmp."""
    found = Path(ROOT, ".pytest_cache", f"outside-{os.getpid()}")
    found.mkdir(parents=True)
    yield found
    shutil.rmtree(found)


@pytest.fixture(scope="module", params=["zygote", "jupyter"])
def attempts(
    request: pytest.FixtureRequest,
    environment: Environment,
    vault: Path,
    victim: subprocess.Popen[bytes],
    place: Path,
) -> Iterator[tuple[dict[str, str], RunLog]]:
    """What came of everything that a note tried, by name."""
    executor = Jupyter(environment) if request.param == "jupyter" else request.getfixturevalue("zygote")
    (vault / "mine.md").write_text("as it was")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port, pid = listener.getsockname()[1], victim.pid
        listener.settimeout(0)
        result = executor.run(
            [
                program(
                    TRY,
                    f"there = ('127.0.0.1', {port})\n"
                    "tried = dict(connect=attempt(lambda: socket.create_connection(there, 5)))",
                    "own = os.path.join(os.environ['NOTE_DIR'], 'mine.md')\n"
                    "tried['note'] = attempt(lambda: open(own, 'w').write('spoilt'))",
                    f"tried['home'] = attempt(lambda: open({str(place / 'new')!r}, 'w').close())",
                    f"tried['tmp'] = attempt(lambda: open('/tmp/{place.name}', 'w').close())",
                    f"tried['kill'] = attempt(lambda: os.kill({pid}, 0))",
                    f"tried['spy'] = attempt(lambda: open('/proc/{pid}/environ').read())",
                    "import ctypes\n"
                    "libc = ctypes.CDLL(None)\n"
                    "remount = lambda: libc.mount(None, b'/', None, 4096 | 32, None)\n"
                    "tried['remount'] = str(remount())\n"
                    "tried['again'] = str(libc.unshare(0x10020000) or remount())",
                    "open('here', 'w').write('x'); open(os.environ['TMPDIR'] + '/x', 'w').close()\n"
                    "import multiprocessing\n"
                    "with multiprocessing.Pool(2) as pool:\n"
                    "    tried['pool'] = str(pool.map(abs, [-1, -2]))",
                    "with socket.create_server(('127.0.0.1', 0)) as server:\n"
                    "    there = server.getsockname()\n"
                    "    tried['self'] = attempt(lambda: socket.create_connection(there).close())",
                    "import json\nprint(json.dumps({k: str(v) for k, v in tried.items()}))",
                )
            ]
        )[0]
    assert [r.status for r in result.results] == ["ok"] * len(result.results), result.results
    yield json.loads(result.results[-1].outputs[0].text), result.log
    (place / "new").unlink(missing_ok=True)
    Path("/tmp", place.name).unlink(missing_ok=True)


def test_the_level_that_was_obtained_is_said(attempts: tuple[dict[str, str], RunLog]) -> None:
    found = sandbox.find("auto")
    level = attempts[1].isolation
    assert level in LEVELS
    assert level == found.level or (not found.whole and level.startswith("bubblewrap"))


def test_a_note_reaches_no_network(attempts: tuple[dict[str, str], RunLog]) -> None:
    tried, log = attempts
    assert (tried["connect"] == "ConnectionRefusedError") == ("net" in log.isolation)


def test_a_note_writes_nowhere_but_into_its_scratch_folder(
    attempts: tuple[dict[str, str], RunLog], vault: Path, place: Path
) -> None:
    tried, log = attempts
    fenced = "mount" in log.isolation
    assert ((vault / "mine.md").read_text() == "as it was") == fenced
    assert (tried["note"] == "OSError") == fenced
    assert (tried["home"] == "OSError") == fenced
    assert (place / "new").exists() != fenced
    assert Path("/tmp", place.name).exists() != fenced
    assert tried["tmp"] == "done"  # Into a folder of its own, of that name.


def test_a_note_neither_ends_nor_reads_another_process(
    attempts: tuple[dict[str, str], RunLog], victim: subprocess.Popen[bytes]
) -> None:
    tried, log = attempts
    assert (tried["kill"] == "ProcessLookupError") == ("pid" in log.isolation)
    assert ("canary" not in tried["spy"]) == ("pid" in log.isolation)
    assert victim.poll() is None


def test_a_note_cannot_undo_its_sandbox(attempts: tuple[dict[str, str], RunLog]) -> None:
    tried, log = attempts
    if "mount" in log.isolation:
        assert (tried["remount"], tried["again"]) == ("-1", "-1")


def test_what_a_note_may_do_it_can(attempts: tuple[dict[str, str], RunLog]) -> None:
    assert (attempts[0]["pool"], attempts[0]["self"]) == ("[1, 2]", "done")


@pytest.fixture(scope="module")
def unfenced(environment: Environment) -> Iterator[Zygote]:
    with Zygote(replace(environment, sandbox="off")) as executor:
        yield executor


def test_results_are_the_same_with_and_without(zygote: Zygote, unfenced: Zygote) -> None:
    one = program(
        "import os, numpy as np\nprint(open(os.environ['NOTE_DIR'] + '/data.txt').read())\nnp.ones(3)",
        "import jax\njax.jit(lambda x: x * 2)(3.0)  # => 6.0",
        "import matplotlib.pyplot as plt\nplt.plot([1, 3]);",
        "print(os.listdir('.'), os.listdir(os.environ['TMPDIR']))\nimport answers\nanswers.ANSWER",
        "open('/nowhere/at/all')",
    )
    fenced, plain = (executor.record([one])[0] for executor in (zygote, unfenced))
    assert plain.result.log.isolation == "process"
    assert fenced.result.results == plain.result.results
    assert fenced.manifest == plain.manifest


def test_a_note_can_neither_kill_nor_read_what_watches_over_it(zygote: Zygote) -> None:
    if "pid" not in sandbox.find("auto").words:
        pytest.skip("where processes have no namespaces a note can; see test_faults")
    code = (
        TRY + "import signal\n"
        "print(attempt(lambda: open(f'/proc/{os.getppid()}/mem', 'rb+').close()))\n"
        "os.kill(os.getppid(), signal.SIGKILL)\nos.kill(os.getppid(), signal.SIGSTOP)\n'still here'"
    )
    stop = "import os, signal, time\nos.kill(os.getppid(), signal.SIGTERM)\ntime.sleep(30)"
    bold, rude, other = zygote.run([program(code, slug="a"), program(stop, slug="b"), program("1", slug="c")])
    assert other.results[0].status == "ok"
    assert "watched over" in rude.results[0].message
    assert bold.results[0].status == "ok"
    assert bold.results[0].outputs[0].text in ("PermissionError\n", "OSError\n")


def test_what_a_note_leaves_in_a_folder_of_its_own_is_no_input(zygote: Zygote) -> None:
    code = "open('/tmp/of-a-note', 'w').write('x')\nopen('/tmp/of-a-note').read()"
    run = zygote.record([program(code)])[0]
    fenced = "mount" in run.result.log.isolation
    assert [place for place, _ in run.manifest.inputs] == ([] if fenced else ["/tmp/of-a-note"])
    Path("/tmp/of-a-note").unlink(missing_ok=True)


def test_a_note_has_compiled_programs_of_its_own(zygote: Zygote, environment: Environment) -> None:
    """What one note keeps is never given to another: it could be anything."""
    code = "import jax\nfloat(jax.jit(lambda x: x * 3 + 7)(1.5))"
    spoil = (
        "import os, pathlib\nfrom contextlib import suppress\n"
        "mine = pathlib.Path(os.environ['JAX_COMPILATION_CACHE_DIR'])\n"
        "for each in mine.parent.iterdir():\n    with suppress(OSError):\n        (each / 'bad').touch()"
    )
    for path in ("one.md", "two.md"):
        assert zygote.run([program(code, path=path)])[0].results[0].status == "ok"
    log = zygote.run([program(spoil, path="one.md")])[0].log
    spoilt = list(Path(environment.cache).glob("compiled/*/*/bad"))
    assert (len(spoilt) == 1) == ("mount" in log.isolation)


LACKING = """
import os, sys
from pathlib import Path
from generator.execution import fenced, sandbox
fence = sandbox.Fence(("net",), True)
if sandbox.find("auto").words:
    sandbox.house(fence)
    Path("/proc/sys/user/max_user_namespaces").write_text("0")
    sandbox.renounce(fence)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


def lacking(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python where no namespace can be made."""
    return subprocess.run(
        [sys.executable, "-c", LACKING, *arguments],
        cwd=ROOT, capture_output=True, text=True, check=False, start_new_session=True,
    )  # fmt: skip


def test_without_a_sandbox_a_build_that_requires_one_stops(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.md").write_text("```{python}\nopen('/tmp/never', 'w')\n```\n")
    (tmp_path / "garden.toml").write_text('[cells]\nsandbox = "require"\n')
    build = lacking(str(Path(ROOT, "build.py")), "--config", str(tmp_path / "garden.toml"))
    assert build.returncode == 4, build.stderr
    assert "a sandbox is required, and this machine gives none (making namespaces" in build.stderr
    assert not (tmp_path / "_site").exists()


def test_without_a_sandbox_no_kernel_starts_where_one_is_required(tmp_path: Path) -> None:
    cell = f"open({str(tmp_path / 'never')!r}, 'w')"
    code = (
        "from generator.execution.jupyter import Jupyter\n"
        "from generator.execution.protocol import Environment\n"
        "from tests.execution.conftest import program\n"
        f"Jupyter(Environment(sandbox='require')).run([program({cell!r})])"
    )
    done = lacking("-c", code)
    assert "Unavailable: a sandbox is required, and this machine gives none (making namesp" in done.stderr
    assert not (tmp_path / "never").exists()


KERNEL = """
import os, signal, socket, time
try:
    print(os.getcwd(), len(socket.if_nameindex()), flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    print("interrupted")
for path in ("fine", os.path.join(os.environ["PLACE"], "new")):
    try:
        open(path, "w").close()
        print("written", path, flush=True)
    except OSError:
        print("refused", flush=True)
os.kill(os.getpid(), signal.SIGSEGV)
"""


@pytest.mark.parametrize("kind", ["namespaces", "bubblewrap"])
def test_a_kernel_in_a_fence_hears_interrupts_and_its_end_is_known(
    kind: str, tmp_path: Path, place: Path
) -> None:
    fence = fenced.found("auto", str(tmp_path))
    if kind == "bubblewrap":
        bubble = bool(sandbox.bubble(str(tmp_path), sandbox.everything_visible()))
        fence = sandbox.Fence(bubble=bubble)
    if not fence.whole:
        pytest.skip(f"no {kind} here")
    (tmp_path / "work").mkdir()
    kernel = fenced.command(["python3", "-c", KERNEL], fence, tmp_path, [], [])
    environ = {**os.environ, "PYTHONPATH": ROOT, "PLACE": str(place)}
    with subprocess.Popen(
        kernel, env=environ, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as it:
        assert it.stdout is not None
        assert it.stdout.readline() == f"{tmp_path}/work 1\n"
        os.killpg(it.pid, signal.SIGINT)
        assert it.stdout.read() == "interrupted\nwritten fine\nrefused\n"
    assert fenced.status(it.returncode) == -signal.SIGSEGV
    assert (tmp_path / "work" / "fine").exists()


def test_what_runs_cells_can_be_imported_where_there_is_nothing_of_linux() -> None:
    code = (
        "import asyncio, subprocess, sys, tempfile\n"  # Python's own, which know where they really are.
        "sys.platform = 'win32'\nsys.modules.update(fcntl=None, resource=None)\n"
        "from generator.execution import fenced, local\nprint(fenced.found('auto', '.').why)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("this is not Linux\n", "")


def test_without_a_sandbox_a_build_says_so_and_goes_on(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.md").write_text("```{python}\n1 + 1  # => 2\n```\n")
    build = lacking(str(Path(ROOT, "build.py")), "--notes", str(tmp_path / "notes"), "--format", "json",
                    "--out", str(tmp_path / "site"), "--cache", str(tmp_path / "cache"))  # fmt: skip
    assert build.returncode == 0, build.stderr
    assert json.loads(build.stdout)["isolation"] == "process"


def test_bubblewrap_makes_the_same_fence_where_it_must(tmp_path: Path) -> None:
    prefix = sandbox.bubble(str(tmp_path), sandbox.everything_visible())
    if not prefix:
        pytest.skip("no bubblewrap that works here")
    code = (
        "import os, socket, sys\n"
        "open(sys.argv[1] + '/fine', 'w')\n"
        "for path in (sys.executable + '.new', '/usr/new', '/proc/sys/kernel/domainname'):\n"
        "    try:\n        open(path, 'w'); print('written', path)\n    except OSError: pass\n"
        "print(os.getpid() < 9, len(socket.if_nameindex()))"
    )
    done = subprocess.run(
        [*prefix, sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "True 1\n"
    assert (tmp_path / "fine").exists()

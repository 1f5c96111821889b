"""The executor for a cluster, with a real scheduler and real workers on this machine."""

from __future__ import annotations

import platform
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from generator.execution.cached import Cached
from generator.execution.dask import Dask
from generator.execution.manifest import ROOT
from generator.execution.protocol import Environment, Unavailable
from generator.execution.zygote import Zygote
from generator.memo import FileStore
from generator.model import Cell, CellOptions, ProgramResult
from tests.execution.cluster import Cluster, marked, until
from tests.execution.conftest import program
from tests.support import hear_interrupts

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the zygote needs Linux")

MARK = "GARDEN_TEST_CLUSTER"


def test_results_are_those_of_this_machine(dask: Dask, zygote: Zygote) -> None:
    one = program(
        "import os, answers\nprint(open(os.environ['NOTE_DIR'] + '/data.txt').read())\nanswers.ANSWER",
        "import jax\nx = jax.grad(lambda x: x * x)(3.0)\nx  # => 6.0",
        "import matplotlib.pyplot as plt\nplt.plot([1, 3]);",
        Cell("1/0", "fails", CellOptions(raises="ZeroDivisionError")),
        Cell("2", "skipped", CellOptions(skip="its time has not come")),
        "import os\nos._exit(3)",
        "'never'",
    )
    there, here = dask.record([one])[0], zygote.record([one])[0]
    assert there.result.results == here.result.results
    assert there.result.log.executor == "zygote of a dask worker"
    assert there.result.log.isolation == here.result.log.isolation


def test_what_a_run_depended_on_is_named_as_here(dask: Dask, zygote: Zygote) -> None:
    one = program("import os, numpy, answers\nopen(os.environ['NOTE_DIR'] + '/data.txt').read()")
    assert dask.record([one])[0].manifest == zygote.record([one])[0].manifest


def test_programs_come_back_in_order_from_all_workers(dask: Dask) -> None:
    programs = [program(f"{n}", slug=f"n{n}", path=f"n{n}.md") for n in range(4)]
    heard: list[ProgramResult] = []
    results = dask.run(programs, heard.append)
    assert [r.slug for r in results] == ["n0", "n1", "n2", "n3"]
    assert {r.slug for r in heard} == {r.slug for r in results}
    assert [dict(r.results[0].outputs[0].data)["text/plain"] for r in results] == ["0", "1", "2", "3"]


def test_a_cell_that_needs_something_runs_where_it_is(dask: Dask) -> None:
    fine, without = dask.run(
        [program("1 + 1  # => 2", needs="gpu", slug="a"), program("1", needs="tpu", slug="b")]
    )
    assert fine.results[0].observations[0].value == "2"
    assert without.results[0].message == "Not run: needs tpu, and there is none here."


def test_a_cell_that_was_skipped_for_want_of_something_is_tried_elsewhere(
    dask: Dask, zygote: Zygote, environment: Environment, tmp_path: Path
) -> None:
    store = FileStore(tmp_path)
    one = program(Cell("x = 1", "a"), Cell("x + 1  # => 2", "b", CellOptions(needs="gpu")))
    here = Cached(zygote, store, environment)
    assert [r.status for r in here.run([one])[0].results] == ["ok", "skipped"]
    assert here.explain(one) == ""
    there = Cached(dask, store, environment, elsewhere=True)
    assert there.explain(one) == "cell b needs gpu, and there may be one now"
    assert [r.status for r in there.run([one])[0].results] == ["ok", "ok"]
    assert [r.status for r in here.run([one])[0].results] == ["ok", "ok"]


def test_a_worker_that_dies_costs_no_result(cluster: Cluster, environment: Environment) -> None:
    mortal = cluster.worker("--resources", "mortal=1")
    mark = f"{cluster.folder}-mortal"
    fragile = replace(environment, variables=((MARK, mark),))
    executor = Dask(cluster.address, fragile)
    sleepy = [program("import time\ntime.sleep(2)\n'done'", slug=f"n{n}", path=f"n{n}.md") for n in range(4)]
    results: list[ProgramResult] = []
    thread = threading.Thread(target=lambda: results.extend(executor.run(sleepy)))
    cluster.wait(3)
    thread.start()
    until(lambda: _below(mortal.pid) & set(marked(mark)))
    mortal.kill()
    mortal.wait()
    thread.join(timeout=120)
    executor.close()
    assert [r.results[0].status for r in results] == ["ok"] * 4
    until(lambda: not marked(mark))


def _below(root: int) -> set[int]:
    found = {root}
    for process in sorted(Path("/proc").glob("[0-9]*"), key=lambda path: int(path.name)):
        with suppress(OSError, ValueError):
            if int((process / "stat").read_text().rpartition(")")[2].split()[1]) in found:
                found.add(int(process.name))
    return found


def test_an_interrupted_build_leaves_nothing_on_the_workers(cluster: Cluster, tmp_path: Path) -> None:
    mark = f"{tmp_path}-interrupted"
    script = (
        "from generator.execution.dask import Dask\n"
        "from generator.execution.protocol import Environment\n"
        "from tests.execution.conftest import program\n"
        f"executor = Dask({cluster.address!r}, Environment(variables=(({MARK!r}, {mark!r}),)))\n"
        "executor.run([program('import time; time.sleep(600)')])\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stderr=subprocess.DEVNULL, preexec_fn=hear_interrupts
    )
    until(lambda: len(marked(mark)) >= 2)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) != 0
    until(lambda: not marked(mark))


def test_where_no_scheduler_is_the_build_says_so(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    (tmp_path / "a.md").write_text("```{python}\n1\n```\n")
    build = subprocess.run(
        [sys.executable, "build.py", "--notes", str(tmp_path), "--out", str(tmp_path / "out"),
         "--cache", str(tmp_path / "cache"), "--executor", address],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert build.returncode == 4, build.stderr
    assert f"no Dask scheduler answers at {address}: start one with “dask scheduler”" in build.stderr


def test_workers_of_another_version_are_refused(
    cluster: Cluster, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "python_version", lambda: "3.0.0")
    with pytest.raises(Unavailable, match="runs another version of this program"):
        Dask(cluster.address, environment).run([program("1")])

"""How long cells take: ten notes of three small JAX cells, run side by side by four programs.

    python -m tests.bench.cells [--notes 10] [--rounds 3] [--myst PYTHON]

* nbclient as it comes, a kernel a note, which is the baseline; two at a time, as our runs have two jobs as
  well; and with JAX's cache of compiled programs warm;
* MyST-NB with jupyter-cache, a Sphinx build, if `--myst` names a Python that has it: `python -m venv FOLDER`
  and `FOLDER/bin/pip install myst-nb` make one. JAX comes from the Python that runs this;
* `python note.py`, one after the other: no outputs, nothing verified;
* ours, from notes to verified results: cold, with the cache of compiled programs warm, unchanged; with one
  job and two; without the sandbox, for what that costs. Then whole builds by `build.py`.

Prints medians of the rounds, ratios and the load while they ran. Compare within one run only.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import nbclient
import nbformat

from generator.execution.cached import Cached
from generator.execution.manifest import ROOT
from generator.execution.protocol import Environment
from generator.execution.verify import judge
from generator.execution.zygote import Zygote
from generator.memo import SqliteStore
from generator.model import Cell, Program, Slug

CELLS = (
    "import jax\nimport jax.numpy as jnp\nx = jnp.linspace(0.0, {n}.0, 50)\nx.sum()",
    "f = jax.jit(lambda w: jnp.mean((jnp.tanh(x * w) - 0.5) ** 2))\nf(1.0)",
    "g = jax.grad(f)\nw = 1.0\nfor _ in range(20):\n    w = w - 0.1 * g(w)\nw",
)
COMPILED = {
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
}
CONF = """
extensions = ["myst_nb"]
nb_execution_mode = "cache"
nb_execution_timeout = 120
nb_execution_raise_on_error = True
exclude_patterns = ["_build"]
"""


def codes(n: int) -> tuple[str, ...]:
    return tuple(code.replace("{n}", str(n + 1)) for code in CELLS)


def note(n: int) -> Program:
    cells = tuple(Cell(code, f"cell-{i}") for i, code in enumerate(codes(n), 1))
    return Program(Slug(f"note-{n}"), f"note-{n}.md", cells, (1,) * len(cells))


def markdown(n: int, fence: str, words: str = "") -> str:
    cells = "\n\n".join(f"```{fence}\n{code}\n```" for code in codes(n))
    return f"# Note {n}\n\nThree cells. {words}\n\n{cells}\n"


# ---------------------------------------------------------------- the four


def kernel(n: int, environment: dict[str, str]) -> None:
    cells = [nbformat.v4.new_code_cell(code) for code in codes(n)]
    client = nbclient.NotebookClient(nbformat.v4.new_notebook(cells=cells), kernel_name="python3")
    client.execute(stderr=subprocess.DEVNULL, env={**os.environ, **environment})


def kernels(notes: int, jobs: int, environment: dict[str, str]) -> None:
    if jobs == 1:
        for n in range(notes):
            kernel(n, environment)
        return
    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(lambda n: kernel(n, environment), range(notes)))


def scripts(notes: int, environment: dict[str, str]) -> None:
    for n in range(notes):
        subprocess.run(
            [sys.executable, "-c", "\n".join(codes(n))], check=True, env={**os.environ, **environment}
        )


def book(python: str, folder: Path) -> None:
    """A Sphinx build of notes that lie in `folder`; JAX is borrowed."""
    borrowed = {"PYTHONPATH": sysconfig.get_path("purelib"), "JAX_PLATFORMS": "cpu"}
    command = [python, "-m", "sphinx", "-q", "-b", "html", str(folder), str(folder / "_build" / "html")]
    subprocess.run(command, check=True, env={**os.environ, **borrowed}, stdout=subprocess.DEVNULL)


def write_book(folder: Path, notes: int) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    cache = folder / "_build" / "cache"  # By its whole path: a part of one is below the current folder.
    (folder / "conf.py").write_text(f"{CONF}nb_execution_cache_path = {str(cache)!r}\n")
    head = "---\nfile_format: mystnb\nkernelspec:\n  name: python3\n---\n"
    for n in range(notes):
        (folder / f"note-{n}.md").write_text(head + markdown(n, "{code-cell}"))
    toc = "\n".join(f"note-{n}" for n in range(notes))
    (folder / "index.md").write_text(f"# Notes\n\n```{{toctree}}\n{toc}\n```\n")


def ours(notes: int, environment: Environment) -> None:
    store = SqliteStore(Path(environment.cache, "memo.sqlite"))
    with Zygote(environment) as zygote:
        results = Cached(zygote, store, environment).run([note(n) for n in range(notes)])
    store.close()
    verdicts = [
        judge(c, r) for n in range(notes) for c, r in zip(note(n).cells, results[n].results, strict=True)
    ]
    assert all(verdict.grade == "ran" for verdict in verdicts), verdicts


def changed(zygote: Zygote, notes: int) -> None:
    """One note of which nothing is known, after all others, in a process that is there already."""
    one = note(notes)
    assert all(result.status == "ok" for result in zygote.run([one])[0].results)


def forget_runs(environment: Environment) -> None:
    """Keep what JAX has compiled, and nothing else."""
    for file in Path(environment.cache).glob("memo.sqlite*"):
        file.unlink()


def build(folder: Path) -> None:
    where = [
        "--notes",
        str(folder / "notes"),
        "--out",
        str(folder / "site"),
        "--cache",
        str(folder / "cache"),
    ]
    subprocess.run(
        [sys.executable, str(Path(ROOT, "build.py")), *where, "--jobs", "2"],
        check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


# ---------------------------------------------------------------- one round


class Round:
    """Times one after the other, each on what the one before has left."""

    def __init__(self, folder: Path, seconds: dict[str, list[float]]) -> None:
        self.folder = folder
        self.seconds = seconds

    def time(self, name: str, action: Callable[..., Any], *arguments: Any) -> None:
        begun = time.perf_counter()
        action(*arguments)
        self.seconds.setdefault(name, []).append(time.perf_counter() - begun)

    def others(self, notes: int, myst: str) -> None:
        warm = {**COMPILED, "JAX_COMPILATION_CACHE_DIR": str(self.folder / "compiled")}
        self.time("nbclient, cold", kernels, notes, 1, {})
        self.time("nbclient, cold, two at a time", kernels, notes, 2, {})
        kernels(notes, 2, warm)
        self.time("nbclient, compiled programs warm", kernels, notes, 1, warm)
        self.time("python note.py, cold", scripts, notes, {})
        self.time("python note.py, compiled programs warm", scripts, notes, warm)
        if myst:
            book_folder = self.folder / "book"
            write_book(book_folder, notes)
            self.time("MyST-NB and jupyter-cache, cold", book, myst, book_folder)
            self.time("MyST-NB and jupyter-cache, unchanged", book, myst, book_folder)
            page = book_folder / "note-0.md"
            page.write_text(page.read_text().replace("Three cells.", "Three cells, as before."))
            self.time("MyST-NB and jupyter-cache, a word changed", book, myst, book_folder)

    def mine(self, notes: int) -> None:
        for jobs in (1, 2):
            words = "one job" if jobs == 1 else "two jobs"
            here = Environment(cache=str(self.folder / f"ours-{jobs}"), jobs=jobs)
            Path(here.cache).mkdir()
            self.time(f"ours, cold, {words}", ours, notes, here)
            forget_runs(here)
            self.time(f"ours, compiled programs warm, {words}", ours, notes, here)
            self.time(f"ours, unchanged, {words}", ours, notes, here)
            forget_runs(here)
            self.time(f"ours, warm, no sandbox, {words}", ours, notes, replace(here, sandbox="off"))
        with Zygote(here) as zygote:
            zygote.run([note(n) for n in range(notes)])
            self.time("ours, one note that is new, process kept", changed, zygote, notes)

    def builds(self, notes: int) -> None:
        folder = self.folder / "garden"
        (folder / "notes").mkdir(parents=True)
        for n in range(notes):
            (folder / "notes" / f"note-{n}.md").write_text(markdown(n, "{python}"))
        page = folder / "notes" / "note-0.md"
        self.time("build.py, cold", build, folder)
        self.time("build.py, unchanged", build, folder)
        page.write_text(markdown(0, "{python}", "As before."))
        self.time("build.py, a word changed", build, folder)
        page.write_text(markdown(0, "{python}").replace("0.5", "0.25"))
        self.time("build.py, the code of one note changed", build, folder)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.cells")
    parser.add_argument("--notes", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--myst", default="", metavar="PYTHON")
    asked = parser.parse_args(arguments)
    seconds: dict[str, list[float]] = {}
    loads = [os.getloadavg()[0]]
    for _ in range(asked.rounds):
        with tempfile.TemporaryDirectory() as folder:
            one = Round(Path(folder), seconds)
            one.others(asked.notes, asked.myst)
            one.mine(asked.notes)
            one.builds(asked.notes)
        loads.append(os.getloadavg()[0])
    base = statistics.median(seconds["nbclient, cold"])
    print("| run | s | s a note | × nbclient |\n| --- | --- | --- | --- |")
    for name, values in seconds.items():
        middle = statistics.median(values)
        print(f"| {name} | {middle:.2f} | {middle / asked.notes:.3f} | {middle / base:.2f} |")
    print(
        f"\n{asked.notes} notes, medians of {asked.rounds}; load {', '.join(f'{one:.1f}' for one in loads)}"
    )


if __name__ == "__main__":
    main(sys.argv[1:])

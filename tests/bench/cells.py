"""How long cells take: ten notes of three small JAX cells, here and with a Jupyter kernel a note.

    python -m tests.bench.cells [NOTES [ROUNDS]]

Prints medians of the rounds and ratios. The baseline is nbclient as it comes, one kernel after the other;
then two at a time, as our runs have two jobs as well.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbclient
import nbformat

from generator.execution.protocol import Environment
from generator.execution.zygote import Zygote
from generator.model import Cell, Program, Slug

CELLS = (
    "import jax\nimport jax.numpy as jnp\nx = jnp.linspace(0.0, {n}.0, 50)\nx.sum()",
    "f = jax.jit(lambda w: jnp.mean((jnp.tanh(x * w) - 0.5) ** 2))\nf(1.0)",
    "g = jax.grad(f)\nw = 1.0\nfor _ in range(20):\n    w = w - 0.1 * g(w)\nw",
)


def codes(n: int) -> tuple[str, ...]:
    return tuple(code.replace("{n}", str(n + 1)) for code in CELLS)


def note(n: int) -> Program:
    cells = tuple(Cell(code, f"cell-{i}") for i, code in enumerate(codes(n), 1))
    return Program(Slug(f"note-{n}"), f"note-{n}.md", cells, (1,) * len(cells))


def ours(notes: int, cache: str, jobs: int) -> None:
    with Zygote(Environment(cache=cache, jobs=jobs)) as executor:
        results = executor.run([note(n) for n in range(notes)])
    assert all(r.status == "ok" for result in results for r in result.results), results


def kernel(n: int) -> None:
    cells = [nbformat.v4.new_code_cell(code) for code in codes(n)]
    nbclient.NotebookClient(nbformat.v4.new_notebook(cells=cells), kernel_name="python3").execute(
        stderr=subprocess.DEVNULL
    )


def kernels(notes: int, jobs: int) -> None:
    if jobs == 1:
        for n in range(notes):
            kernel(n)
        return
    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(kernel, range(notes)))


def timed(action: Callable[[], None]) -> float:
    begun = time.perf_counter()
    action()
    return time.perf_counter() - begun


def main(notes: int = 10, rounds: int = 3) -> None:
    seconds: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for round_ in range(rounds):
            cache = str(Path(folder) / f"cache-{round_}")
            for name, action in (
                ("nbclient, a kernel a note", lambda: kernels(notes, 1)),
                ("nbclient, two at a time", lambda: kernels(notes, 2)),
                ("zygote, cold", lambda cache=cache: ours(notes, cache, 1)),
                ("zygote, warm", lambda cache=cache: ours(notes, cache, 1)),
                ("zygote, cold, two jobs", lambda cache=cache: ours(notes, f"{cache}-two", 2)),
                ("zygote, warm, two jobs", lambda cache=cache: ours(notes, f"{cache}-two", 2)),
            ):
                seconds.setdefault(name, []).append(timed(action))
    base = statistics.median(seconds["nbclient, a kernel a note"])
    for name, values in seconds.items():
        middle = statistics.median(values)
        print(f"{name:28} {middle:7.2f} s   {middle / base:5.2f} x nbclient")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]))

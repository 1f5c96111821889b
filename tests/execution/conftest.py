"""Executors for the tests of this room: started once, used by all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from generator.execution.dask import Dask
from generator.execution.jupyter import Jupyter
from generator.execution.protocol import Environment, Limits, Recorder
from generator.execution.zygote import Zygote
from generator.model import Cell, CellOptions, Program, ProgramResult, Slug
from tests.execution.cluster import Cluster

LIMITS = Limits(cell_seconds=60, note_seconds=120, grace_seconds=1, output_bytes=200_000)


def program(*codes: str | Cell, path: str = "note.md", slug: str = "note", **options: Any) -> Program:
    """A program of cells, all with the same options."""
    cells = tuple(
        code if isinstance(code, Cell) else Cell(code, f"cell-{n}", CellOptions(**options))
        for n, code in enumerate(codes, 1)
    )
    return Program(Slug(slug), path, cells, tuple(10 * n for n in range(1, len(cells) + 1)))


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    vault = tmp_path_factory.mktemp("vault")
    (vault / "data.txt").write_text("42\n")
    (vault / "answers.py").write_text("ANSWER = 42\n")
    (vault / "sub").mkdir()
    cache = tmp_path_factory.mktemp("cache")
    return Environment(str(vault), str(cache), jobs=2, limits=LIMITS)


@pytest.fixture(scope="session")
def vault(environment: Environment) -> Path:
    return Path(environment.vault)


@pytest.fixture(scope="session")
def zygote(environment: Environment) -> Iterator[Zygote]:
    with Zygote(environment) as executor:
        yield executor


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A scheduler and two workers, one of which has a (pretended) `gpu`."""
    made = Cluster(tmp_path_factory.mktemp("cluster"))
    made.worker()
    made.worker("--resources", "gpu=1")
    made.wait(2)
    yield made
    made.stop()


@pytest.fixture(scope="session")
def dask(cluster: Cluster, environment: Environment) -> Iterator[Dask]:
    executor = Dask(cluster.address, environment)
    yield executor
    executor.close()


@pytest.fixture(scope="session", params=["zygote", "jupyter", "dask"])
def executor(request: pytest.FixtureRequest, environment: Environment) -> Recorder:
    if request.param == "jupyter":
        return Jupyter(environment)
    found: Recorder = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def run(executor: Recorder) -> Callable[..., ProgramResult]:
    """Run one program of these cells."""
    return lambda *codes, **options: executor.run([program(*codes, **options)])[0]

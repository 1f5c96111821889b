"""Check helpers: what they accept, what they refuse, and what is recorded of them."""

from __future__ import annotations

import builtins
import importlib.util
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from generator.execution import helpers
from generator.execution.manifest import LIBRARY
from generator.execution.verify import judge
from generator.model import Cell, CellOptions, ProgramResult
from tests.execution.conftest import program
from tests.support import made

SOURCE = Path(LIBRARY) / "garden.py"


class Kept:
    """What is called in place of a cell's recorder."""

    def __init__(self) -> None:
        self.checks: list[dict[str, str]] = []

    def check(self, found: dict[str, str], line: int) -> None:
        self.checks.append(found)


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Iterator[Kept]:
    recorder = Kept()
    monkeypatch.setattr(builtins, "__notes_garden__", recorder, raising=False)
    yield recorder


def load() -> Any:
    spec = importlib.util.spec_from_file_location("garden", SOURCE)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.check


CHECK = load()


class Asked:
    """The checks, each giving whether it held."""

    def __init__(self, kept: Kept) -> None:
        self.kept = kept

    def __getattr__(self, name: str) -> Callable[..., bool]:
        def ask(*arguments: Any, **options: Any) -> bool:
            before = len(self.kept.checks)
            assert getattr(CHECK, name)(*arguments, **options) is None
            assert len(self.kept.checks) == before + 1
            return self.kept.checks[-1]["outcome"] == "held"

        return ask


@pytest.fixture
def check(kept: Kept) -> Asked:
    return Asked(kept)


def test_close_names_the_worst_entry_its_error_and_the_tolerance(check: Asked, kept: Kept) -> None:
    assert not check.close(np.array([1.0, 2.0]), np.array([1.0, 2.02]), rtol=1e-3, what="two numbers")
    (one,) = kept.checks
    assert one["what"] == "two numbers" and one["outcome"] == "failed"
    assert one["expected"] == "2.02 at [1]" and one["actual"] == "2 at [1]"
    assert one["error"] == "0.0099 relative" and one["tolerance"] == "rtol 0.001"
    assert one["why"] == "1 of 2 numbers too far off"


def test_close_tolerates_what_single_precision_rounds_and_no_more(check: Asked, kept: Kept) -> None:
    assert check.close(np.float32(1 / 3), 1 / 3)
    assert not check.close(np.float32(1 / 3), 1 / 3 + 1e-5)
    assert not check.close(np.float64(1 / 3), 1 / 3 + 1e-8)
    assert check.close(3, 3) and not check.close(3, 4)
    assert check.close(0.001, 0.0, atol=0.01)
    assert check.close(1 + 2j, 1 + 2j) and not check.close(1 + 2j, 1 - 2j)


@pytest.mark.parametrize(
    ("actual", "expected"), [(np.nan, np.nan), (np.nan, 1.0), (np.inf, 1.0), (1.0, np.nan)]
)
def test_what_is_no_number_is_close_to_nothing(
    check: Asked, kept: Kept, actual: float, expected: float
) -> None:
    assert not check.close(np.array([0.0, actual]), np.array([0.0, expected]))


def test_infinities_of_one_sign_are_equal_and_shapes_must_go_together(check: Asked, kept: Kept) -> None:
    assert check.close(np.inf, np.inf) and not check.close(np.inf, -np.inf)
    assert not check.close(np.zeros(3), np.zeros(2))
    assert "do not go together" in kept.checks[-1]["why"]
    assert check.close(np.zeros((2, 3)), 0.0) and check.close(np.zeros(0), np.zeros(0))


def f(x: Any) -> Any:
    return np.sin(x[0]) * np.exp(x[1]) + x[0] ** 3


def slope(x: Any) -> Any:
    return np.array([np.cos(x[0]) * np.exp(x[1]) + 3 * x[0] ** 2, np.sin(x[0]) * np.exp(x[1])])


@pytest.mark.parametrize("at", [np.array([0.3, -1.2]), np.array([0.0, 0.0]), np.array([20.0, 3.0])])
def test_a_right_gradient_holds_at_any_scale(check: Asked, kept: Kept, at: Any) -> None:
    assert check.gradient(f, at, slope(at))


@pytest.mark.parametrize("factor", [-1.0, 0.0, 1.1, 1.03, 1.003])
def test_a_gradient_wrong_by_a_factor_does_not(check: Asked, kept: Kept, factor: float) -> None:
    at = np.array([0.3, -1.2])
    assert not check.gradient(f, at, factor * slope(at))
    assert "does not shrink" in kept.checks[0]["why"]


def test_a_linear_function_leaves_only_rounding(check: Asked, kept: Kept) -> None:
    assert check.gradient(lambda x: x @ np.array([1.0, 2.0]), np.array([3.0, 4.0]), np.array([1.0, 2.0]))
    assert not check.gradient(lambda x: x @ np.array([1.0, 2.0]), np.array([3.0, 4.0]), np.array([1.0, 2.1]))
    assert kept.checks[0]["actual"] == "rounding alone"


def test_a_gradient_of_another_shape_fails(check: Asked, kept: Kept) -> None:
    assert not check.gradient(f, np.array([0.1, 0.2]), np.zeros(3))


def test_where_there_is_no_derivative_the_check_is_skipped_and_says_why(check: Asked, kept: Kept) -> None:
    assert not check.gradient(lambda x: abs(x[0]), np.zeros(1), np.zeros(1))
    assert not check.gradient(lambda x: np.nan * x[0], np.zeros(1), np.zeros(1))
    assert [(one["outcome"], bool(one["why"])) for one in kept.checks] == [("skipped", True)] * 2


def test_a_monte_carlo_check_fails_as_rarely_as_it_says(check: Asked, kept: Kept) -> None:
    rng = np.random.default_rng(0)
    held = [check.sampling(rng.normal(size=(200, 20)), np.zeros(20), alpha=0.1) for _ in range(200)]
    # 20 entries judged one by one at 0.1 would fail in nearly every round.
    assert 0.80 < np.mean(held) < 0.97


def test_a_monte_carlo_check_sees_a_mean_that_is_off(check: Asked, kept: Kept) -> None:
    rng = np.random.default_rng(0)
    draws = 1 + 0.1 * rng.normal(size=(10_000, 4))
    assert check.sampling(draws, np.ones(4))
    assert not check.sampling(draws, np.array([1, 1, 1.01, 1]))
    assert "at [2]" in kept.checks[-1]["expected"] and "for 4 entries" in kept.checks[-1]["tolerance"]
    assert not check.sampling(draws[:50], np.ones(4))
    assert not check.z_score(np.nan, 1.0, 0.1) and not check.z_score(1.0, 2.0, 0.0)
    assert check.z_score(1.0, 1.0, 0.0)


def test_a_residual_is_judged_by_the_precision_of_its_solution(check: Asked, kept: Kept) -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(30, 30)), rng.normal(size=30)
    x = np.linalg.solve(a, b)
    assert check.residual(a, x, b) and check.residual(a, x.astype(np.float32), b)
    assert not check.residual(a, x.astype(np.float32).astype(np.float64), b)
    assert not check.residual(a, 1.01 * x, b)
    assert check.residual(lambda v: a @ v, x, b, tol=1e-10)


def test_an_order_of_convergence_is_measured(check: Asked, kept: Kept) -> None:
    steps = np.array([0.1, 0.05, 0.02, 0.01])
    assert check.convergence(steps**2 + steps**3, 2, steps)
    assert not check.convergence(steps**1.5, 2, steps)
    assert check.convergence([1.0, 0.25, 0.0625], 2)
    assert not check.convergence([1.0], 2) and not check.convergence([1.0, 0.0], 2)


def test_away_from_a_garden_a_failed_check_is_an_assertion(tmp_path: Path) -> None:
    (tmp_path / helpers.NAME).write_bytes(helpers.module())
    code = "from garden import check\ncheck.close(1.0, 1.0)\nprint(1)\ncheck.close(1.0, 2.0, what='a number')"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stdout == "1\n" and done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("AssertionError: equal check of a number failed: ") and "expected 2, got 1" in last


def test_the_one_file_has_all_checks_and_needs_nothing_of_ours(tmp_path: Path) -> None:
    (tmp_path / helpers.NAME).write_bytes(helpers.module())
    code = """
import sys
from garden import check
import numpy as np
x = np.array([0.5, 2.0])
check.gradient(lambda x: (x**3).sum(), x, 3 * x**2)
try:
    check.gradient(lambda x: (x**3).sum(), x, 3.1 * x**2)
except AssertionError as error:
    print(error)
print("generator" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("gradient check of this value failed: the remainder of Taylor's formula")
    assert done.stdout.endswith("\nFalse\n")


def test_a_cell_records_its_checks_with_their_lines(run: Callable[..., ProgramResult]) -> None:
    code = "\nfrom garden import check\ncheck.close(1.0, 1.0, what='one')\ncheck.close(1.0, 2.0, what='two');"
    result = run("import jax", code, "3  # => 3").results
    assert [(c.what, c.outcome, c.line) for c in result[1].checks] == [
        ("one", "held", 3),
        ("two", "failed", 4),
    ]
    verdict = judge(Cell(code, "cell-2", CellOptions(check=True)), result[1])
    assert verdict.grade == "failed" and verdict.line == 4
    assert verdict.message.startswith(
        "equal check of two failed: 1 of 1 number too far off (error 0.5 relative"
    )
    assert result[2].status == "ok" and not result[2].checks


def test_gradients_of_jax_are_checked_on_trees_in_double_precision(run: Callable[..., ProgramResult]) -> None:
    code = """
import jax, jax.numpy as jnp
from garden import check
f = jax.jit(lambda p: jnp.tanh(p["w"] @ p["x"]).sum() + p["b"])
p = {"w": jnp.arange(6.0).reshape(2, 3) / 7, "x": jnp.ones(3), "b": jnp.float32(2.0)}
check.gradient(f, p, what="right")
check.gradient(f, p, jax.tree.map(lambda g: 1.003 * g, jax.grad(f)(p)), what="wrong")
for _ in range(300):
    check.close(1, 1)
jnp.ones(1).dtype"""
    (result,) = run(code).results
    assert [(c.what, c.outcome) for c in result.checks[:2]] == [("right", "held"), ("wrong", "failed")]
    assert len(result.checks) == 100 and result.checks[-1].what == "203 checks that held as well"
    assert dict(result.outputs[-1].data)["text/plain"] == "dtype('float32')"


def test_the_helper_is_an_input_that_names_no_place(zygote: Any) -> None:
    (run,) = zygote.record([program("from garden import check")])
    assert [where for where, _ in run.manifest.inputs] == ["library:garden.py"]
    assert "numpy" in dict(run.manifest.packages)


def test_a_site_has_the_helper_if_a_note_uses_it() -> None:
    cell = "# N\n\n```{python}\nfrom garden import check\n```\n"
    assert made({"a.md": cell}).files["garden.py"] == helpers.module()
    assert "garden.py" not in made({"a.md": cell.replace("garden", "gardens")}).files

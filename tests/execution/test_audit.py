"""Which digits count as stable, given what came out here and elsewhere."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from generator.execution.audit import audited, elsewhere
from generator.execution.protocol import Environment
from generator.execution.surroundings import ONE_THREAD, configuration
from generator.execution.verify import judge
from generator.execution.zygote import Zygote
from generator.model import Cell, CellResult, Observation, Output, ProgramResult, Slug
from tests.execution.conftest import program

CELL = Cell("x", "x")


def shown(text: str, **more: object) -> CellResult:
    return CellResult("ok", (Output("result", data=(("text/plain", text),)),), **more)  # type: ignore[arg-type]


def audit(cell: Cell, here: CellResult, *there: CellResult) -> CellResult:
    others = [(f"E{n}", ProgramResult(Slug("n"), (one,))) for n, one in enumerate(there, 1)]
    (result,) = audited([cell], ProgramResult(Slug("n"), (here,)), others).results
    return result


@pytest.mark.parametrize(
    ("here", "there", "unstable"),
    [
        ("1.41893855", "1.41893843", ["55"]),
        ("1.9999", "2.0001", ["9"]),
        ("-1.2345e-07", "-1.2346e-07", ["5"]),
        ("[1.25 3.5]", "[1.25 3.6]", ["5"]),
        ("[1.25 3.5]", "[1.26 3.6]", ["5", "5"]),
        ("0.001", "-0.002", ["0.001"]),
        ("12", "13", ["2"]),
        ("nan", "1.0", ["nan"]),
        ("1.0", "inf", ["1.0"]),
        ("0.1", "0.10000000000000003", []),
        ("seven 7", "eight 7", ["seven 7"]),
        ("1.5", "1.5", []),
    ],
)
def test_a_digit_is_unstable_if_its_unit_is_no_larger_than_the_difference(
    here: str, there: str, unstable: list[str]
) -> None:
    found = audit(CELL, shown(here), shown(there), shown(here)).audit
    assert found and found.under == ("E1", "E2")
    assert [here[one.start : one.end] for one in found.unstable] == unstable
    assert all("under E1" in one.why for one in found.unstable)


def test_the_worst_of_all_surroundings_counts() -> None:
    found = audit(CELL, shown("1.23456"), shown("1.23457"), shown("1.23556")).audit
    assert found and [("1.23456"[one.start : one.end], one.why) for one in found.unstable] == [
        ("456", "1.23556 under E2")
    ]


def test_a_cell_with_numbers_that_all_survive_is_stable_and_one_without_is_not() -> None:
    assert judge(CELL, audit(CELL, shown("[1. 2.]"), shown("[1. 2.]"))).grade == "stable"
    assert judge(CELL, audit(CELL, shown("'a'"), shown("'a'"))).grade == "ran"
    assert judge(CELL, audit(CELL, shown("1.5"), shown("1.6"))).grade == "ran"
    silent = Cell("x = 1.5  # => 1.5", "x")
    here, there = (CellResult("ok", (), (Observation(1, "", text),)) for text in ("1.5", "1.52"))
    assert judge(silent, audit(silent, here, there)).grade == "stable"


def test_a_cell_that_fails_elsewhere_says_where_and_is_not_stable() -> None:
    cell = Cell("x  # => 1.5", "x")
    here = shown("1.5", observations=(Observation(1, "", "1.5"),))
    there = shown("1.7", observations=(Observation(1, "", "1.7"),))
    result = audit(cell, here, there)
    assert result.audit and result.audit.why.startswith("Under E1 this cell fails: expected 1.5, got 1.7")
    verdict = judge(cell, result)
    assert verdict.grade == "matches" and result.audit.why in verdict.unchecked
    gone = audit(cell, here, replace(there, status="killed", message="It died.", outputs=()))
    assert gone.audit and "It died." in gone.audit.why


def test_surroundings_differ_in_one_thing_each_and_keep_what_was_asked_for() -> None:
    usual = Environment(variables=(("JAX_ENABLE_X64", "1"),))
    before = dict(configuration(usual))
    for _, there in elsewhere(usual):
        after = dict(configuration(there))
        assert after["JAX_ENABLE_X64"] == "1"
        assert {name for name in after if after[name] != before.get(name)} in (
            {"XLA_FLAGS"}, {"PYTHONHASHSEED"},
            *({"NPROC", "PJRT_NPROC", *ONE_THREAD, *more} for more in ((), ("XLA_FLAGS",))),
        )  # fmt: skip


def test_libraries_have_threads_where_that_is_asked_for_and_what_is_forked_from_has_one(
    environment: Environment,
) -> None:
    (there,) = (there for name, there in elsewhere(environment) if "threads" in name)
    code = (
        "import os, numpy as np\n"
        "np.ones((400, 400)) @ np.ones((400, 400))\n"
        "print(os.environ['OPENBLAS_NUM_THREADS'], len(os.listdir('/proc/self/task')))"
    )
    with Zygote(there) as zygote:
        results = [zygote.run([program(code)])[0].results[0] for _ in range(2)]
    assert [one.status for one in results] == ["ok", "ok"], results
    for one in results:
        asked, threads = map(int, one.outputs[0].text.split())
        assert asked == 4
        assert threads > 1 or os.cpu_count() == 1


def test_xla_knows_the_flag_that_is_set_for_it() -> None:
    flags = {v for _, there in elsewhere(Environment()) for k, v in there.variables if k == "XLA_FLAGS"}
    assert any("multi_thread_eigen" in flag for flag in flags) or os.cpu_count() == 1
    for flag in flags:  # XLA ends a process that asks for a flag it does not know.
        with Zygote(Environment(variables=(("XLA_FLAGS", flag),))) as zygote:
            assert zygote.run([program("import jax\njax.devices()")])[0].results[0].status == "ok"

"""What may be said of a cell, given what its author expected."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from generator.execution.compare import compare
from generator.execution.expectations import expectations
from generator.execution.verify import describe_failure, judge
from generator.model import Cell, CellOptions, CellResult, Frame, Observation, Output
from tests.execution.conftest import program


@pytest.mark.parametrize(
    ("expected", "actual", "held"),
    [
        ("1.4227", "1.42268", True),
        ("1.4227", "1.4310", False),
        ("1.4227", "1.42", False),
        ("3", "3", True),
        ("3", "4", False),
        ("3", "3.0", True),
        ("1000", "1001", False),
        ("1.", "1.4", False),
        ("1.", "1.0000001", True),
        ("1e-3", "0.00102", True),
        ("1.00e-3", "0.00102", False),
        ("-0.5", "-0.46", True),
        ("-0.5", "0.5", False),
        ("0.0", "-0.00001", True),
        ("nan", "nan", True),
        ("inf", "-inf", False),
        ("nan", "1.0", False),
        ("[[1 2]\n [3 4]]", "[[1   2]\n [3   4]]", True),
        ("[ 1.  2.]", "[1. 2.]", True),
        ("a b", "a\n   b", True),
        ("a b", "ab", False),
        ("", "", True),
        ("", "x", False),
        ("Array([1., ..., 9.], dtype=float32)", "Array([1., 2., 3., 9.], dtype=float32)", True),
        ("<object ... 0x...>", "<object object at 0x7f3a>", True),
        ("... 1.5 ...", "2.5 1.5 3", True),
        ("loss ... 0.50", "loss 7 0.70", False),
        ("...", "anything\nat all", True),
        ("float32[3]", "float64[3]", False),
        ("jax 0.10.2", "jax 0.10.3", False),
        ("2026-11-24", "2026-11-25", False),
        ("(1+2j)", "(1+2j)", True),
        ("5 ms", "5 s", False),
    ],
)
def test_text_is_held_to_the_digits_written(expected: str, actual: str, held: bool) -> None:
    assert compare(expected, actual).held is held


@given(st.floats(allow_nan=False, allow_infinity=False), st.integers(1, 16), st.sampled_from("ef"))
def test_a_number_rounded_to_any_digits_holds(value: float, digits: int, style: str) -> None:
    assume(style == "e" or abs(value) < 1e12)
    assert compare(f"{value:.{digits}{style}}", repr(value)).held


@given(
    st.floats(allow_nan=False, allow_infinity=False, min_value=-1e12, max_value=1e12),
    st.integers(1, 8),
    st.sampled_from([-1, 1]),
)
def test_a_change_in_the_last_digit_never_holds(value: float, digits: int, by: int) -> None:
    rounded = Decimal(f"{value:.{digits}f}")
    unit = Decimal(1).scaleb(-digits)
    # Exactly between two neighbours both are right; and the float must resolve the digit at all.
    assume(abs(abs(Decimal(value) - rounded) - unit / 2) > unit / 1000)
    assume(math.ulp(value) < float(unit) / 1000)
    assert not compare(f"{rounded + by * unit:f}", repr(value)).held


@given(st.text(max_size=60), st.text(max_size=60))
def test_comparing_never_raises_and_text_equals_itself(one: str, other: str) -> None:
    compare(one, other)
    assert compare(one.replace("...", "."), one.replace("...", ".")).held


@given(st.lists(st.sampled_from(["...", "1.5", "2", "word", " ", "\n", "0x", "]"]), max_size=12))
def test_elided_text_matches_what_it_was_cut_from(parts: list[str]) -> None:
    actual = "".join(part.replace("...", " cut ") for part in parts)
    assert compare("".join(parts), actual).held


def test_many_ellipses_over_a_long_text_end_soon() -> None:
    assert not compare("... a " * 200 + "z", "a b " * 20_000).held


def test_tolerances_widen() -> None:
    assert not compare("1.00", "1.01").held
    assert compare("1.00", "1.01", rtol=0.02).held
    assert compare("0.000", "0.01", atol=0.02).held
    assert compare("1000", "1001", rtol=0.01).held


def test_expectations_belong_to_statements_at_the_top_level() -> None:
    code = (
        "x = 1  # => 1\n"
        "# => continued\n"
        "f(\n    2,  # => inside\n)  # => 3\n"
        "for i in y:\n    print(i)  # => no\n"
        "# => yes\n"
        "s = '# => a string'\n"
        "a = 1; a  # => 1\n"
        "\n# => far away\n"
    )
    found = [(e.line, e.first, e.last, e.text) for e in expectations(code)]
    assert found == [
        (1, 1, 2, "1\ncontinued"),
        (0, 4, 4, "inside"),
        (3, 5, 5, "3"),
        (0, 7, 7, "no"),
        (6, 8, 8, "yes"),
        (10, 10, 10, "1"),
        (0, 12, 12, "far away"),
    ]


@given(st.text(alphabet="x=1()#>'\"\n \\:%!", max_size=60))
def test_any_text_can_be_asked_for_its_expectations(code: str) -> None:
    for expectation in expectations(code):
        assert 0 <= expectation.line <= expectation.first <= expectation.last


def observed(code: str, value: str | None, printed: str = "", **options: object) -> tuple[Cell, CellResult]:
    cell = Cell(code, "nll", CellOptions(**options))  # type: ignore[arg-type]
    return cell, CellResult("ok", observations=(Observation(1, printed, value),))


def test_a_held_expectation_matches_and_a_broken_one_says_how_far_off_it_was() -> None:
    assert judge(*observed("nll  # => 1.4227", "1.42271")).grade == "matches"
    verdict = judge(*observed("nll  # => 1.4227", "1.4310"))
    assert (verdict.grade, verdict.line) == ("failed", 1)
    assert verdict.message == "expected 1.4227, got 1.4310 (relative error 5.8e-3; 5 digits asked)"
    assert verdict.comparisons[0].error == "5.8e-3"
    cell, result = observed("nll  # => 1.4227", "1.4310")
    assert describe_failure(program(cell, path="mle.md"), 0, result, verdict) == (
        "mle.md:10: cell nll: expected 1.4227, got 1.4310 (relative error 5.8e-3; 5 digits asked)"
    )


def test_what_a_statement_printed_goes_before_its_value() -> None:
    assert judge(*observed("f()  # => hi", "None", printed="hi\n")).grade == "matches"
    assert judge(*observed("f()  # => None", "None")).grade == "matches"
    assert judge(*observed("f()  # => None", "None", printed="hi\n")).grade == "failed"


def test_an_expectation_that_hangs_in_the_air_fails() -> None:
    verdict = judge(Cell("# => 3", "c"), CellResult("ok"))
    assert verdict.grade == "failed"
    assert "no statement" in verdict.message


def test_a_fence_holds_printed_text_and_result_together() -> None:
    outputs = (
        Output("stream", "stdout", "loss 0.501\n"),
        Output("stream", "stderr", "careful\n"),
        Output("result", data=(("text/plain", "3"),)),
    )
    result = CellResult("ok", outputs)
    assert judge(Cell("", "c", expected="loss 0.50\n3"), result).grade == "matches"
    assert judge(Cell("", "c", expected="loss ...\n3"), result).grade == "matches"
    assert judge(Cell("", "c", expected="loss 0.50\n4"), result).grade == "failed"
    with_stderr = judge(Cell("", "c", expected="loss 0.50\ncareful\n3"), result)
    assert (with_stderr.grade, with_stderr.message) == ("matches", "")
    assert "careful" in judge(Cell("", "c", expected="loss 0.50\n3"), result).message


@pytest.mark.parametrize(
    ("code", "grade"),
    [
        ("assert x == 1", "matches"),
        ("np.testing.assert_allclose(a, b)", "matches"),
        ("with x:\n    assert y", "matches"),
        ("for i in []:\n    assert i", "ran"),
        ("if x:\n    with y:\n        assert z", "ran"),
        ("try:\n    assert x\nexcept AssertionError:\n    pass", "ran"),
        ("def f():\n    assert False", "ran"),
        ("x = 1", "ran"),
    ],
)
def test_an_assertion_counts_where_it_certainly_ran(code: str, grade: str) -> None:
    assert judge(Cell(code, "c"), CellResult("ok")).grade == grade


def test_an_assertion_in_a_loop_counts_where_it_was_seen_to_hold() -> None:
    cell = Cell("for i in x:\n    assert i\n    if i > 2:\n        assert i > 3", "c")
    verdict = judge(cell, CellResult("ok", observations=(Observation(2, "", None),)))
    assert (verdict.grade, [c.line for c in verdict.comparisons]) == ("matches", [2])


def test_an_exception_that_may_be_missing_is_no_claim() -> None:
    cell = Cell("f()", "c", CellOptions(raises="Exception?"))
    verdict = judge(cell, CellResult("ok"))
    assert (verdict.grade, verdict.unchecked) == ("ran", ("It may raise Exception, and raised nothing.",))
    error = Output("error", "ValueError", "no", frames=(Frame(0, 1, "", "<module>", "f()"),))
    raised = judge(cell, CellResult("ok", (error,)))
    assert [(c.what, c.expected) for c in raised.comparisons] == [("raises", "Exception")]


def test_an_expected_exception_matches() -> None:
    error = Output("error", "ValueError", "no", frames=(Frame(0, 1, "", "<module>", "f()"),))
    cell = Cell("f()", "c", CellOptions(raises="ValueError"))
    assert judge(cell, CellResult("ok", (error,))).grade == "matches"


@pytest.mark.parametrize(
    ("status", "grade"),
    [
        ("error", "failed"), ("timeout", "failed"), ("killed", "failed"), ("memory", "failed"),
        ("skipped", "not-run"), ("blocked", "not-run"), ("not-run", "not-run"), ("stale", "stale"),
    ],
)  # fmt: skip
def test_a_cell_that_did_not_end_well_is_what_its_status_says(status: str, grade: str) -> None:
    verdict = judge(Cell("x  # => 1", "c"), CellResult(status, message="Why.", line=3))  # type: ignore[arg-type]
    assert (verdict.grade, verdict.message, verdict.line) == (grade, "Why.", 3)


def test_what_was_not_checked_is_said() -> None:
    picture = Output("display", data=(("image/svg+xml", "<svg/>"),))
    unchecked = judge(
        Cell("plot()", "c"), CellResult("ok", (picture, Output("stream", "stdout", "x")))
    ).unchecked
    assert any("figure" in sentence for sentence in unchecked)
    assert any("printed" in sentence for sentence in unchecked)

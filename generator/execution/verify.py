"""Judging a cell: what was expected, what came out, and what may be said of it. Pure."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from generator.execution.compare import Outcome, compare
from generator.execution.evidence import mark
from generator.execution.expectations import Expectation, claims, expectations, parse
from generator.model import Cell, CellResult, CellStatus, Check, Comparison, Grade, Output, Program, Verdict

_GRADES: dict[CellStatus, Grade] = {
    "error": "failed",
    "timeout": "failed",
    "killed": "failed",
    "memory": "failed",
    "skipped": "not-run",
    "blocked": "not-run",
    "not-run": "not-run",
    "stale": "stale",
}

_NOTHING_SEEN = ("no statement at the top level of the cell ends there", "the statement was not reached")


def judge(cell: Cell, result: CellResult) -> Verdict:
    """The verdict on one cell. A cell that did not come to its end is what its status says; one that did is
    held against everything its author expected."""
    if result.status != "ok":
        return Verdict(_GRADES[result.status], result.message, result.line)
    comparisons = tuple(_comparisons(cell, result))
    checks = result.checks
    broken = next((c for c in comparisons if not c.held), None)
    if broken:
        return Verdict("failed", _complaint(broken), broken.line, comparisons, checks=checks)
    refuted = next((check for check in checks if check.outcome == "failed"), None)
    if refuted:
        return Verdict("failed", _refutation(refuted), refuted.line, comparisons, checks=checks)
    unchecked = tuple(_unchecked(cell, result, bool(comparisons)))
    stray = _stray(cell, result)
    message = f"Wrote to stderr, which nobody expected: {stray}" if stray else ""
    return Verdict(_earned(result, comparisons), message, 0, comparisons, unchecked, checks)


def _earned(result: CellResult, comparisons: tuple[Comparison, ...]) -> Grade:
    """The best that may be said of a cell of which nothing failed."""
    if any(check.outcome == "held" for check in result.checks):
        return "checked"
    if result.audit and result.audit.numbers and not result.audit.unstable and not result.audit.why:
        return "stable"
    if not all(_was_accepted(one, result) for one in comparisons):
        return "matches"
    return "recorded" if comparisons or result.recorded else "ran"


def _was_accepted(comparison: Comparison, result: CellResult) -> bool:
    """Whether an expectation was written from an earlier run, and not by somebody who knew better."""
    return comparison.what in ("# =>", "output") and mark(comparison.expected) in result.accepted


def _refutation(check: Check) -> str:
    figures = "; ".join(
        f"{name} {value}" for name, value in (("error", check.error), ("tolerance", check.tolerance)) if value
    )
    sentence = f"{check.kind} check of {check.what} failed: {check.why}".removesuffix(": ")
    return f"{sentence} ({figures})" if figures else sentence


def describe_failure(program: Program, i: int, result: CellResult, verdict: Verdict | None = None) -> str:
    """One line that says where and why a cell failed: `mle.md:42: cell mle-fit: expected 1.4227, …`."""
    line, message = (verdict.line, verdict.message) if verdict else (result.line, result.message)
    at = program.lines[i] + max(line, 1) - 1
    return f"{program.path}:{at}: cell {program.cells[i].label}: {message}"


# ---------------------------------------------------------------- comparisons


def _comparisons(cell: Cell, result: CellResult) -> Iterator[Comparison]:
    for expectation in expectations(cell.code):
        yield _observed(cell, result, expectation)
    if cell.expected is not None:
        yield _fence(cell, result)
    error = next((o for o in result.outputs if o.kind == "error"), None)
    if cell.options.raises and error:
        wanted = cell.options.raises.removesuffix("?")
        yield Comparison(0, "raises", wanted, f"{error.name}: {error.text}"[:200], held=True)
    elif not error:
        for statement in _assertions(cell, result):
            yield Comparison(statement.lineno, "assert", _source(cell.code, statement), "held", held=True)


def _observed(cell: Cell, result: CellResult, expectation: Expectation) -> Comparison:
    if not expectation.line:
        return Comparison(expectation.first, "# =>", expectation.text, _NOTHING_SEEN[0], held=False)
    seen = next((o for o in result.observations if o.line == expectation.line), None)
    if seen is None:
        return Comparison(expectation.line, "# =>", expectation.text, _NOTHING_SEEN[1], held=False)
    actual = seen.printed if seen.printed or seen.value is None else seen.value
    outcome = compare(expectation.text, actual, cell.options.rtol, cell.options.atol)
    return _comparison(cell, expectation.line, "# =>", expectation.text, actual, outcome)


def _fence(cell: Cell, result: CellResult) -> Comparison:
    expected = cell.expected or ""
    actual = _text(result, "stdout")
    outcome = compare(expected, actual, cell.options.rtol, cell.options.atol)
    everything = _text(result, "stdout", "stderr")
    if not outcome.held and everything != actual:
        with_errors = compare(expected, everything, cell.options.rtol, cell.options.atol)
        if with_errors.held:
            actual, outcome = everything, with_errors
    return _comparison(cell, 0, "output", expected, actual, outcome)


def _comparison(cell: Cell, line: int, what: str, expected: str, actual: str, outcome: Outcome) -> Comparison:
    if not outcome.held:
        expected, actual = outcome.expected, outcome.actual
    error = "" if outcome.error is None else _scientific(outcome.error)
    return Comparison(line, what, expected, actual, outcome.held, error, _tolerance(cell, outcome))


def _tolerance(cell: Cell, outcome: Outcome) -> str:
    if outcome.error is None:
        return ""
    digits = f"{outcome.digits} digit{'s' * (outcome.digits != 1)} asked"
    widened = [f"{name} {value:g}" for name in ("rtol", "atol") if (value := getattr(cell.options, name))]
    return ", ".join([digits, *widened])


def _complaint(broken: Comparison) -> str:
    if broken.actual in _NOTHING_SEEN:
        return f"expected {broken.expected}, but {broken.actual}"
    text = f"expected {broken.expected or 'nothing'}, got {broken.actual or 'nothing'}"
    if not broken.error:
        return text
    return f"{text} (relative error {broken.error}; {broken.tolerance})"


def _scientific(value: float) -> str:
    """`5.8e-3`: two digits are enough to say how large an error is."""
    if value in (0.0, float("inf")):
        return "0" if value == 0 else "infinite"
    mantissa, _, exponent = f"{value:.1e}".partition("e")
    return f"{mantissa}e{int(exponent)}"


def _text(result: CellResult, *streams: str) -> str:
    """The text of a cell: what it printed, then its result."""
    parts = [o.text for o in result.outputs if o.kind == "stream" and o.name in streams]
    parts += [_plain(o) for o in result.outputs if o.kind == "result"]
    return "".join(part if part.endswith("\n") else part + "\n" for part in parts if part)


def _plain(output: Output) -> str:
    return dict(output.data).get("text/plain", "")


# ---------------------------------------------------------------- what counts, and what was left out


def _assertions(cell: Cell, result: CellResult) -> Iterator[ast.stmt]:
    """Claims that were reached, and would have failed: `assert`, and calls of `assert_…`."""
    tree = parse(cell.code) if "assert" in cell.code or "check_grads" in cell.code else None
    reached = {observation.line for observation in result.observations}
    for statement, certain in claims(tree.body if tree else []):
        if certain or statement.lineno in reached:
            yield statement


def _source(code: str, statement: ast.stmt) -> str:
    return " ".join((ast.get_source_segment(code, statement) or "").split())[:200]


def _stray(cell: Cell, result: CellResult) -> str:
    text = "".join(o.text for o in result.outputs if o.kind == "stream" and o.name == "stderr").strip()
    if not text or (
        cell.expected is not None and compare(cell.expected, _text(result, "stdout", "stderr")).held
    ):
        return ""
    return text.splitlines()[0][:200]


def _unchecked(cell: Cell, result: CellResult, compared: bool) -> Iterator[str]:
    fenced = cell.expected is not None
    if not (compared or result.outputs or result.checks or cell.options.raises):
        yield "Nothing was compared with what this cell computes."
    if any(o.kind == "stream" and o.name == "stdout" for o in result.outputs) and not fenced and not compared:
        yield "Nothing says what the printed text should be."
    if any(o.kind == "result" for o in result.outputs) and not fenced and not compared:
        yield "Nothing says what the value of the last expression should be."
    if cell.options.raises and not any(o.kind == "error" for o in result.outputs):
        yield f"It may raise {cell.options.raises.removesuffix('?')}, and raised nothing."
    pictures = sum(_is_picture(o) for o in result.outputs)
    if pictures:
        yield f"The {'figure was' if pictures == 1 else 'figures were'} drawn, but compared with nothing."
    for check in result.checks:
        if check.outcome == "skipped":
            yield f"{check.kind} check of {check.what}: {check.why}"
    if cell.options.gradcheck.startswith("off"):
        why = cell.options.gradcheck.removeprefix("off").strip().removeprefix("(").removesuffix(")")
        yield f"The derivatives of this cell are not checked: {why or 'its author gives no reason'}."
    yield from _elsewhere(result)
    if compared and not any(check.outcome == "held" for check in result.checks):
        yield "Expected values are the author's own; no independent calculation stands behind them."


def _elsewhere(result: CellResult) -> Iterator[str]:
    """What is not known of the cell on other machines, or is known to be otherwise there."""
    if result.recorded:
        yield "This was not run for this page: it is shown as it was kept beside the notes."
    if result.audit and result.audit.why:
        yield result.audit.why
    if result.audit and result.audit.unstable:
        n = len(result.audit.unstable)
        yield f"{n} number{' has' if n == 1 else 's have'} digits that differ elsewhere; they are dimmed."
    if result.accepted:
        yield "An expected value of this cell was accepted from an earlier run."


def _is_picture(output: Output) -> bool:
    return any(mime.startswith("image/") for mime, _ in output.data)

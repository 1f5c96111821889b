"""What `accept` writes into a note, and what it leaves alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator import disk, markdown, promote
from generator.execution.compare import number
from generator.execution.expectations import expectations
from generator.execution.verify import judge
from generator.model import Cell, CellResult, Note, Observation, Output, ProgramResult, Slug, Source, Span
from generator.promote import Edit, Proposal, Refusal, applied


def read(text: str) -> tuple[Note, tuple[Span, ...]]:
    parsed = markdown.parse(Source("note.md", text), markdown.Dialect("run", "sanitize", 200))
    return parsed.note, parsed.spans.cells


def ran(cells: Sequence[Cell], *seen: str) -> ProgramResult:
    """A run in which the statements that are observed gave these texts, in order."""
    texts = iter(seen)
    results = []
    for cell in cells:
        observed = tuple(Observation(e.line, "", next(texts)) for e in expectations(cell.code) if e.line)
        results.append(CellResult("ok", observations=observed))
    return ProgramResult(Slug("note"), tuple(results))


def decide(
    text: str, seen: Sequence[str], elsewhere: Sequence[str] = (), new: bool = False
) -> tuple[promote.Decision, ...]:
    note, spans = read(text)
    cells = promote.wanted(note.cells) if new else note.cells
    others = [("SSE4.2", ran(cells, *elsewhere))] if elsewhere else []
    return promote.decisions(text, note.cells, [span.line for span in spans], ran(cells, *seen), others)


def accept(text: str, *seen: str, elsewhere: Sequence[str] = (), new: bool = False) -> str:
    decided = decide(text, seen, elsewhere, new)
    refused = [one for one in decided if isinstance(one, Refusal)]
    assert not refused, refused
    return applied(text, [one.edit for one in decided if isinstance(one, Proposal)])


def refusal(text: str, *seen: str, elsewhere: Sequence[str] = (), new: bool = False) -> str:
    (one,) = decide(text, seen, elsewhere, new)
    assert isinstance(one, Refusal)
    return one.why


def note(*code: str, before: str = "") -> str:
    body = "\n".join(code)
    return f"# Title\n\n{before}```python\n{body}\n```\n\nWords.\n"


# ---------------------------------------------------------------- digits


@pytest.mark.parametrize(
    ("old", "actual", "new"),
    [
        ("1.4227", "1.43101234", "1.4310"),
        ("1.4227", "142.71234", "142.7123"),
        ("1.4227", "0.0000143012345", "0.000014301"),
        ("1.4227", "1.43101234e-05", "1.4310e-05"),
        ("1.4227", "2.5", "2.5000"),
        ("9.9995", "9.99996", "10.0000"),
        ("1.2e3", "1456.789", "1.5e+03"),
        ("3", "4", "4"),
        ("3", "3.25", "3.25"),
        ("3.25", "3", "3"),
        ("nan", "1.5", "1.5"),
        ("1.5", "nan", "nan"),
        ("-0.5", "0.26", "0.3"),
        ("0.50", "-0.254", "-0.25"),
        ("[1.0, 2.0]", "[1.04, 3.14159]", "[1.0, 3.1]"),
        ("loss ... 0.25", "loss after 7 steps 0.31234", "loss ... 0.31"),
        ("{'a': 1.0}", "{'a': 1.0, 'b': 2.0}", "{'a': 1.0, 'b': 2.0}"),
    ],
)
def test_an_expectation_gets_the_digits_it_had_at_least(old: str, actual: str, new: str) -> None:
    assert accept(note(f"f(x)  # => {old}"), actual) == note(f"f(x)  # => {new}")


def test_what_holds_is_left_as_it_is_written() -> None:
    text = note("x  # =>   0.5", "y   # => 1.00", "z # => [ 1.  2.]")
    assert decide(text, ["0.5", "0.9999", "[1. 2.]"]) == ()


def test_digits_that_come_out_otherwise_elsewhere_are_not_written() -> None:
    why = refusal(note("x  # => 1.4227"), "1.43105", elsewhere=["1.43094"])
    assert why.startswith("its digits are not stable: 1.43105 here, 1.43094 under SSE4.2")
    assert accept(note("x  # => 1.42"), "1.43105", elsewhere=["1.43094"]) == note("x  # => 1.43")


def test_error_and_ulps_of_the_old_value_are_said() -> None:
    (one,) = decide(note("x  # => 1.0000"), ["1.0010001"])
    assert isinstance(one, Proposal)
    assert (one.line, one.old, one.text, one.error, one.ulps) == (
        4, "1.0000", "1.0010", "1.0e-03", "8389 ulps of float32",
    )  # fmt: skip


numbers = st.floats(allow_nan=False, allow_infinity=False, width=32).map(repr)


@given(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=4))
def test_accepting_is_a_fixed_point_that_never_widens_and_touches_nothing_else(
    pairs: list[tuple[str, str]],
) -> None:
    text = note(*(f"x{n}  # => {old}" for n, (old, _) in enumerate(pairs)), before="> quote\n\n")
    actual = [new for _, new in pairs]
    accepted = accept(text, *actual)
    assert decide(accepted, actual) == ()
    cells, _ = read(accepted)
    assert judge(cells.cells[0], ran(cells.cells, *actual).results[0]).grade == "matches"
    before, after = text.split("\n"), accepted.split("\n")
    assert len(before) == len(after)
    for n, (old, new) in enumerate(zip(before, after, strict=True)):
        if old != new:
            assert old.split("# =>")[0] == new.split("# =>")[0]
            was, now = (number(row.split("# => ")[1]) for row in (old, new))
            assert was and now and (now.exact or now.half <= was.half)
            assert n >= 5


# ---------------------------------------------------------------- where it stands


def test_several_lines_stay_where_they_were() -> None:
    old = note("print(m)", "# => [[1. 2.]", "# =>  [3. 4.]]", "y = 1")
    assert accept(old, "[[1. 2.]\n [3. 5.]]") == note("print(m)", "# => [[1. 2.]", "# =>  [3. 5.0]]", "y = 1")
    assert accept(old, "[1. 2. 3.]") == note("print(m)", "# => [1. 2. 3.]", "y = 1")
    one = note("m  # => 1.0", "y = 1")
    assert accept(one, "[1.\n 2.]") == note("m", "# => [1.", "# =>  2.]", "y = 1")


@pytest.mark.parametrize("prefix", ["> ", "   "])
def test_a_cell_in_a_quote_or_list_keeps_its_margin(prefix: str) -> None:
    head = "> " if prefix == "> " else "1. "
    rows = ["```python", "x  # => 1.0", "y", "# => 2.0", "```"]
    text = "\n".join([head + rows[0], *(prefix + row for row in rows[1:])]) + "\n"
    done = accept(text, "1.5", "[2.5\n 3.5]")
    expected = ["x  # => 1.5", "y", "# => [2.5", "# =>  3.5]", "```"]
    assert done == "\n".join([head + rows[0], *(prefix + row for row in expected)]) + "\n"


def test_an_output_fence_is_written_anew() -> None:
    text = "```python\nprint(x)\n```\n\n```output\nloss 0.50\ndone in ... s\n```\n\nEnd.\n"
    cells, spans = read(text)
    shown = CellResult("ok", (Output("stream", "stdout", "loss 0.6249\ndone in 3 s\n"),))
    result = ProgramResult(Slug("note"), (shown,))
    (one,) = promote.decisions(text, cells.cells, [spans[0].line], result, [])
    assert isinstance(one, Proposal)
    done = applied(text, [one.edit])
    assert done == text.replace("0.50", "0.62")
    again, spans = read(done)
    assert promote.decisions(done, again.cells, [spans[0].line], result, []) == ()
    other = replace(shown, outputs=(Output("stream", "stdout", "other\nlines\nhere\n"),))
    (one,) = promote.decisions(text, cells.cells, [spans[0].line], replace(result, results=(other,)), [])
    assert isinstance(one, Proposal)
    assert applied(text, [one.edit]) == text.replace("loss 0.50\ndone in ... s", "other\nlines\nhere")


def test_edits_keep_every_other_byte_and_the_ends_of_lines() -> None:
    text = "a\r\nb\rc\nd"
    assert applied(text, [Edit(2, 2, ("B", "B2"))]) == "a\r\nB\rB2\rc\nd"
    assert applied(text, [Edit(1, 1, ("A",)), Edit(4, 4, ("D",))]) == "A\r\nb\rc\nD\n"
    assert applied(text, [Edit(1, 1, ())]) == "b\rc\nd"
    assert applied(text, [Edit(2, 1, ("x",))]) == "a\r\nx\r\nb\rc\nd"
    assert applied(text, []) == text


# ---------------------------------------------------------------- new expectations


@pytest.mark.parametrize(
    ("code", "actual", "elsewhere", "done"),
    [
        ("f(x)", "3", "3", "f(x)  # => 3"),
        ("f(x)", "1.4189385332", "1.4189385332", "f(x)  # => 1.41894"),
        ("f(x)", "1.4189385", "1.4189381", "f(x)  # => 1.41894"),
        ("f(x)", "1.41893", "1.41851", "f(x)  # => 1.42"),
        ("f(x)", "2.0", "2.0", "f(x)  # => 2.0"),
        ("f(x)  # why", "2.0", "2.0", "f(x)  # why\n# => 2.0"),
        ("m", "[1. 2.]\n", "[1. 2.]", "m  # => [1. 2.]"),
        ("m", "[[1.]\n [2.]]", "[[1.]\n [2.]]", "m\n# => [[1.]\n# =>  [2.]]"),
        ("f(\n    x\n)", "'a'", "'a'", "f(\n    x\n)  # => 'a'"),
        ("g(x)", "1.2345678e-07", "1.2345678e-07", "g(x)  # => 1.23457e-07"),
    ],
)
def test_a_last_expression_gets_the_digits_that_are_the_same_elsewhere(
    code: str, actual: str, elsewhere: str, done: str
) -> None:
    accepted = accept(note(code), actual, elsewhere=[elsewhere], new=True)
    assert accepted == note(done)
    assert decide(accepted, [actual], [elsewhere], new=True) == ()


@pytest.mark.parametrize(
    "code",
    [
        "x = 1",
        "f(x);",
        "f(x)  # => 3",
        "#| raises: ValueError\nf(x)",
        "%time f(x)",
        "def f(): pass",
        "f(",
        "",
    ],
)
def test_where_nothing_is_shown_or_something_is_expected_nothing_new_is(code: str) -> None:
    cells, _ = read(note(code))
    assert promote.wanted(cells.cells) == cells.cells


def test_an_output_fence_is_expectation_enough() -> None:
    cells, _ = read("```python\nprint(1)\n```\n\n```output\n1\n```\n")
    assert promote.wanted(cells.cells) == cells.cells


@pytest.mark.parametrize(
    ("actual", "elsewhere", "why"),
    [
        ("<object at 0x7f2a5c3d1e80>", "<object at 0x7f2a5c3d1e80>", "address in memory"),
        ("\n".join("abc" for _ in range(40)), "abc", "too long"),
        ("7", "8", "not stable"),
        ("seven", "eight", "not stable"),
        ("0.001", "-0.002", "no digit of 0.001 is stable"),
    ],
)
def test_what_is_not_stable_or_not_readable_is_refused(actual: str, elsewhere: str, why: str) -> None:
    assert why in refusal(note("f(x)"), actual, elsewhere=[elsewhere], new=True)


def test_nothing_is_expected_of_a_statement_that_gives_nothing() -> None:
    assert decide(note("f(x)"), ["None"], ["None"], new=True) == ()


def test_a_cell_that_failed_is_left_alone() -> None:
    text = note("x  # => 1.0")
    cells, spans = read(text)
    failed = ProgramResult(Slug("note"), (CellResult("error"),))
    assert promote.decisions(text, cells.cells, [spans[0].line], failed, []) == ()


# ---------------------------------------------------------------- on disk


def test_a_note_is_rewritten_where_it_lies_with_its_rights_and_line_ends(tmp_path: Path) -> None:
    real = tmp_path / "elsewhere.md"
    real.write_bytes(b"\xef\xbb\xbfa\r\nb")
    real.chmod(0o640)
    (tmp_path / "link.md").symlink_to(real)
    assert disk.rewrite(tmp_path, "link.md", lambda text: text.replace("b", "c")) == ""
    assert real.read_bytes() == b"\xef\xbb\xbfa\r\nc" and real.stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "link.md").is_symlink() and len(list(tmp_path.iterdir())) == 2


def test_what_cannot_be_rewritten_is_said_and_left(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "out.md").write_text("x")
    (tmp_path / "notes" / "out.md").symlink_to(tmp_path / "out.md")
    (tmp_path / "notes" / "bad.md").write_bytes(b"\xff")
    for path in ("out.md", "bad.md", "none.md"):
        assert path in disk.rewrite(tmp_path / "notes", path, lambda text: "changed")
    assert (tmp_path / "out.md").read_text() == "x"

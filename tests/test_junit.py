"""JUnit reports: what a program that reads them relies on."""

from __future__ import annotations

from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from generator.cli import junit
from generator.model import Problem, Span


def cell(label: str, line: int, grade: str, message: str = "", seconds: float = 0.25) -> dict[str, object]:
    return {
        "note": "a.md", "label": label, "line": line, "grade": grade, "seconds": seconds, "message": message,
    }  # fmt: skip


REPORT = {
    "notes": [{"path": "a.md"}, {"path": "b.md"}],
    "cells": [
        cell("fit", 3, "checked"),
        cell("wrong", 9, "failed", "expected 1, got 2"),
        cell("after", 15, "not-run", "Not run, because cell wrong before it failed."),
    ],
}
PROBLEMS = (
    Problem("cell-mismatch", "error", "a.md", Span(10, 5), "cell wrong: expected 1, got 2"),
    Problem("link-missing", "warning", "a.md", Span(20, 2), "there is no note x"),
)


def test_each_cell_is_a_case_with_its_time_and_its_outcome() -> None:
    root = ElementTree.fromstring(junit.document(REPORT, PROBLEMS, "notes"))
    assert root.tag == "testsuites"
    assert [suite.get("name") for suite in root] == ["a.md", "b.md"]
    cases = {case.get("name"): case for case in root.iter("testcase")}
    assert list(cases) == ["fit", "wrong", "after", "link-missing at 20:2", "text and links"]
    assert (cases["fit"].get("classname"), cases["fit"].get("time"), len(cases["fit"])) == (
        "a.md",
        "0.250",
        0,
    )
    failure = cases["wrong"].find("failure")
    assert failure is not None
    assert failure.get("type") == "cell-mismatch"
    assert (failure.text or "").startswith("notes/a.md:10:5: ")
    skipped = cases["after"].find("skipped")
    assert skipped is not None
    assert "cell wrong before it failed" in skipped.get("message", "")


def test_the_numbers_are_those_of_the_cases() -> None:
    for strict, failures in ((False, 1), (True, 2)):
        root = ElementTree.fromstring(junit.document(REPORT, PROBLEMS, strict=strict))
        for element in (root, *root):
            cases = list(element.iter("testcase"))
            assert int(element.get("tests", 0)) == len(cases)
            assert int(element.get("failures", 0)) == sum(c.find("failure") is not None for c in cases)
            assert int(element.get("skipped", 0)) == sum(c.find("skipped") is not None for c in cases)
        assert root.get("failures") == str(failures)
        assert root.get("time") == "0.750"


def test_a_problem_of_no_note_is_told_as_well() -> None:
    problem = Problem("file-name", "error", "sub/ü.bin", Span(0), "it cannot be published")
    root = ElementTree.fromstring(junit.document({"notes": [], "cells": []}, (problem,)))
    assert [case.get("classname") for case in root.findall(".//failure/..")] == ["sub/ü.bin"]


ANY = st.text(st.characters(exclude_categories=()), max_size=40)


@given(ANY, ANY, ANY, ANY)
def test_any_text_makes_a_document_that_says_the_same(path: str, label: str, message: str, code: str) -> None:
    report = {"notes": [{"path": path}], "cells": [{**cell(label, 1, "failed", message), "note": path}]}
    problem = Problem(code, "error", path, Span(0), message)
    text = junit.document(report, (problem,))
    root = ElementTree.fromstring(text.encode())
    first = next(root.iter("testcase"))
    assert first.get("classname") == junit.legal(path)
    assert first.get("name") == junit.legal(label)
    failure = first.find("failure")
    assert failure is not None
    assert failure.get("message") == junit.legal(message)
    assert set(junit.legal(message)) - {"\ufffd"} <= set(message)

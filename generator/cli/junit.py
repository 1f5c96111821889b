"""A build as a JUnit report: what test runners' results are shown with.

A suite a note; in it a case for each cell, and one for whatever else there is to say of the note. A cell that
failed is a failure, one that was not run is skipped; any other problem is a case of its own, a failure if it
counts as an error. Nothing in it depends on the day.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from xml.etree import ElementTree

from generator import checks
from generator.model import Problem

Json = dict[str, Any]


def document(report: Json, problems: Sequence[Problem], folder: str = "", strict: bool = False) -> str:
    """The report as XML. `report` is the JSON report, `folder` stands before the paths of notes; warnings are
    failures if `strict`."""
    root = ElementTree.Element("testsuites", name="garden")
    cells: dict[str, list[Json]] = {}
    for cell in report["cells"]:
        cells.setdefault(cell["note"], []).append(cell)
    found: dict[str, list[Problem]] = {}
    for problem in problems:
        found.setdefault(problem.path, []).append(problem)
    for path in dict.fromkeys([*(note["path"] for note in report["notes"]), *found]):
        root.append(_suite(path, cells.get(path, []), found.get(path, []), folder, strict))
    _count(root, root)
    ElementTree.indent(root, "")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, "unicode")}\n'


def _suite(
    path: str, cells: list[Json], problems: list[Problem], folder: str, strict: bool
) -> ElementTree.Element:
    suite = ElementTree.Element("testsuite", name=legal(path))
    left = list(problems)
    ends = [*(cell["line"] for cell in cells[1:]), None]
    for cell, below in zip(cells, ends, strict=False):
        mine = [one for one in left if one.code.startswith("cell-") and _within(one, cell["line"], below)]
        left = [one for one in left if one not in mine]
        suite.append(_of_cell(path, cell, mine, folder))
    others = [one for one in left if one.severity != "info"]
    if not others:
        suite.append(_case(path, "text and links"))
    for one in others:
        case = _case(path, f"{one.code} at {one.span.line}:{one.span.col}")
        failed = one.severity == "error" or strict
        _say(case, "failure" if failed else "system-out", [one], folder)
        suite.append(case)
    _count(suite, suite)
    return suite


def _within(problem: Problem, first: int, below: int | None) -> bool:
    return first <= problem.span.line and (below is None or problem.span.line < below)


def _of_cell(path: str, cell: Json, problems: list[Problem], folder: str) -> ElementTree.Element:
    case = _case(path, cell["label"], cell["seconds"])
    if problems:
        _say(case, "failure", problems, folder)
    elif cell["grade"] in ("failed", "stale"):
        place = f"{folder}/{path}" if folder else path
        text = f"{place}:{cell['line']}:1: {cell['message']}"
        ElementTree.SubElement(
            case, "failure", type=f"cell-{cell['grade']}", message=legal(cell["message"])
        ).text = legal(text)
    elif cell["grade"] == "not-run":
        ElementTree.SubElement(case, "skipped", message=legal(cell["message"]))
    return case


def _case(path: str, name: str, seconds: float = 0.0) -> ElementTree.Element:
    return ElementTree.Element("testcase", classname=legal(path), name=legal(name), time=f"{seconds:.3f}")


def _say(case: ElementTree.Element, how: str, problems: list[Problem], folder: str) -> None:
    first = problems[0]
    known = {"type": legal(first.code), "message": legal(first.message)} if how == "failure" else {}
    text = "\n".join(checks.describe(one, folder) for one in problems)
    ElementTree.SubElement(case, how, known).text = legal(text)


def _count(element: ElementTree.Element, below: ElementTree.Element) -> None:
    cases = list(below.iter("testcase"))
    element.set("tests", str(len(cases)))
    for name, kind in (("failures", "failure"), ("skipped", "skipped")):
        element.set(name, str(_having(cases, kind)))
    element.set("errors", "0")
    element.set("time", f"{sum(float(case.get('time', 0)) for case in cases):.3f}")


def _having(cases: Iterable[ElementTree.Element], kind: str) -> int:
    return sum(case.find(kind) is not None for case in cases)


def legal(text: str) -> str:
    """Text without the characters that XML 1.0 cannot hold in any way; each becomes `�`."""
    return "".join(c if _is_legal(ord(c)) else "\ufffd" for c in text)


def _is_legal(code: int) -> bool:
    return code in (9, 10) or 32 <= code < 0xD800 or 0xE000 <= code < 0xFFFE or code > 0xFFFF

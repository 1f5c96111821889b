"""What `make conformance` rests on. The judges are asked by that alone, for they need npm and Java."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.request import Request, urlopen

from tests.conformance import axe
from tests.conformance.report import Finding, Judged, Scores, results
from tests.conformance.sites import serve

HOME = Path(__file__).parent / "conformance"
PACKAGE = json.loads((HOME / "package.json").read_text("utf-8"))
LOCK = json.loads((HOME / "package-lock.json").read_text("utf-8"))
GOOD = Scores("index.html", 100, 100, 100, 99, 0.5, 0.0, 0.0, 60.0, 900)


def test_every_kind_of_page_is_looked_at() -> None:
    assert {scene.template for scene in axe.SCENES} == axe.templates()


def test_the_judges_are_pinned_with_hashes_and_no_place_to_get_them_is_named() -> None:
    wanted = {**PACKAGE["dependencies"], **PACKAGE["optionalDependencies"]}
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in wanted.values())
    packages = {path: package for path, package in LOCK["packages"].items() if path}
    assert {path: packages[f"node_modules/{path}"]["version"] for path in wanted} == wanted
    assert all(package["integrity"].startswith("sha512-") for package in packages.values())
    assert not any("resolved" in package for package in packages.values())


def test_a_violation_and_a_low_score_break_the_promise_and_results_say_so() -> None:
    fine = Judged("axe-core", "every page", 9)
    broken = Judged("axe-core", "every page", 9, (Finding("a.html", "image-alt: no words"),))
    low = Scores("index.html", 100, 99, 100, 100, 0.5, 0.0, 0.0, 60.0, 900)
    for judged, score, kept in ((fine, GOOD, True), (broken, GOOD, False), (fine, low, False)):
        text = results([judged], [score], {"Node": "1"}, "a machine", "2026-11-25")
        assert ("Every promise is kept." in text) == kept
    assert not low.holds()


def test_pages_are_served_with_their_types_and_compressed(tmp_path: Path) -> None:
    (tmp_path / "a.js").write_text("x" * 1000)
    (tmp_path / "404.html").write_text("gone")
    with serve(tmp_path) as url:
        with urlopen(Request(f"{url}a.js", headers={"Accept-Encoding": "gzip"})) as answer:
            assert answer.headers["Content-Type"] == "text/javascript; charset=utf-8"
            assert answer.headers["Content-Encoding"] == "gzip"
            assert len(answer.read()) < 100
        with urlopen(f"{url}a.js") as answer:
            assert answer.read() == b"x" * 1000


def test_the_committed_results_are_of_the_pinned_judges() -> None:
    text = (HOME / "RESULTS.md").read_text("utf-8")
    for name, version in PACKAGE["dependencies"].items():
        assert f"{name} {version}" in text

"""Lighthouse on three pages: a first page, a long note with cells, figures and formulas, and the map."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.browser.obtain_chromium import ARGUMENTS
from tests.conformance.report import Scores
from tests.conformance.sites import Site
from tests.conformance.tools import Tools

PAGES = (
    "index.html",
    "fitting-a-multivariate-gaussian-by-gradient-descent.html",
    "graph.html",
)
RUNS = 5
_MUST = {"accessibility": "accessibility", "best-practices": "practices", "seo": "seo"}


def judge(tools: Tools, site: Site, page: str, temporary: Path) -> Scores:
    """Scores of a page on a desktop. What else runs on the machine can only lower the performance that is
    measured; so a run below the promise is repeated, five runs at most, and the best one counts."""
    best: Scores | None = None
    for run in range(1, RUNS + 1):
        scores = _scores(_report(tools, site.url + page, temporary / f"{run}.json"), page)
        if best is None or scores.performance > best.performance:
            best = scores
        best = replace(best, runs=run)
        if best.holds():
            break
    assert best is not None
    return best


def _report(tools: Tools, address: str, out: Path) -> Any:
    command = tools.node_program(
        "lighthouse/cli/index.js", address,
        "--preset=desktop", "--output=json", f"--output-path={out}", "--quiet", "--no-enable-error-reporting",
        f"--chrome-flags={' '.join(ARGUMENTS)}",
    )  # fmt: skip
    environment = {**os.environ, "CHROME_PATH": tools.chromium}
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    if run.returncode:
        raise RuntimeError(f"Lighthouse gave up on {address}:\n{run.stderr}")
    return json.loads(out.read_text("utf-8"))


def _scores(report: Any, page: str) -> Scores:
    if report.get("runtimeError"):
        raise RuntimeError(f"Lighthouse could not judge {page}: {report['runtimeError']['message']}")
    audits, categories = report["audits"], report["categories"]
    return Scores(
        page=page,
        **{name: round(100 * (categories[key]["score"] or 0)) for key, name in _MUST.items()},
        performance=round(100 * (categories["performance"]["score"] or 0)),
        lcp=audits["largest-contentful-paint"]["numericValue"] / 1000,
        tbt=audits["total-blocking-time"]["numericValue"],
        cls=audits["cumulative-layout-shift"]["numericValue"],
        weight=audits["total-byte-weight"]["numericValue"] / 1000,
        power=report["environment"]["benchmarkIndex"],
        lacking=tuple(_lacking(audits, categories)),
    )


def _lacking(audits: Any, categories: Any) -> list[str]:
    counted = [ref["id"] for key in _MUST for ref in categories[key]["auditRefs"] if ref["weight"]]
    return [
        f"{audits[name]['title']} ({name})"
        for name in counted
        if audits[name]["score"] is not None and audits[name]["score"] < 1
    ]

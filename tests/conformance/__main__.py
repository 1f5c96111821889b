"""Hold the site against outside standards: `make conformance`, or `python -m tests.conformance`.

Builds this garden and one of exhibits (`garden/` beside this file), serves both on the loopback address, and
asks axe-core, the Nu Html Checker, html-validate and Lighthouse. Prints a table, writes RESULTS.md, and exits
with 1 where a promise is broken, 2 where a judge is missing. `--only` with names of judges (axe, nu,
html-validate, lighthouse) asks these, and writes nothing.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from tests.conformance import axe, lighthouse, markup, tools
from tests.conformance.report import Judged, Scores, results, terminal
from tests.conformance.sites import NotBuilt, Site, serve, sites

JUDGES = ("axe", "nu", "html-validate", "lighthouse")
RESULTS = Path(__file__).parent / "RESULTS.md"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=JUDGES, default=JUDGES, metavar="JUDGE")
    asked = parser.parse_args().only
    try:
        judges = tools.obtain()
        with tempfile.TemporaryDirectory(prefix="conformance-") as folder:
            judged, scores = _judge(judges, Path(folder), asked)
    except (tools.Missing, NotBuilt) as problem:
        print(problem, file=sys.stderr)
        return 2
    print("\n" + "\n".join(terminal(judged, scores)))
    if asked == JUDGES:
        today = date.today().isoformat()
        RESULTS.write_text(results(judged, scores, judges.versions, tools.machine(), today), "utf-8")
    broken = [one for one in judged if one.broken] + [one for one in scores if not one.holds()]
    return 1 if broken else 0


def _judge(judges: tools.Tools, temporary: Path, asked: Sequence[str]) -> tuple[list[Judged], list[Scores]]:
    judged: list[Judged] = []
    scores: list[Scores] = []
    _say("building")
    with sites(temporary) as (garden, exhibits):
        if "lighthouse" in asked:  # first: its measures want a quiet machine
            for page in lighthouse.PAGES:
                _say(f"Lighthouse: {page}")
                scores.append(lighthouse.judge(judges, garden, page, temporary))
        if "nu" in asked or "html-validate" in asked:
            judged += _markup(judges, (garden, exhibits), temporary, asked)
        if "axe" in asked:
            _say("axe-core")
            judged += axe.judge(judges, (garden, exhibits))
    return judged, scores


def _markup(
    judges: tools.Tools, built: tuple[Site, Site], temporary: Path, asked: Sequence[str]
) -> list[Judged]:
    """Both checkers on the pages of both gardens, on their previews, and on the examples of the dialect."""
    garden, exhibits = built
    previews, examples = temporary / "previews", temporary / "examples"
    markup.previews(built, previews)
    markup.examples(examples)
    judged: list[Judged] = []
    with serve(previews) as first, serve(examples) as second:
        sets = (
            ("pages of the garden", garden),
            ("pages of the exhibits", exhibits),
            ("previews", Site("previews", previews, first)),
            (markup.EXAMPLES, Site("examples", examples, second)),
        )
        if "nu" in asked:
            _say("Nu Html Checker")
            judged += [markup.nu(judges, what, site) for what, site in sets]
        if "html-validate" in asked:
            _say("html-validate")
            judged += [markup.html_validate(judges, what, site, temporary) for what, site in sets]
    return judged


def _say(what: str) -> None:
    print(f"conformance: {what}", flush=True)


if __name__ == "__main__":
    sys.exit(main())

"""What the judges found, as values, and how it is told: on the terminal, and in RESULTS.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

_SHOWN = 12
_SCORES = ("accessibility", "best practices", "SEO", "performance")
_COLUMNS = ("page", *_SCORES, "LCP", "TBT", "CLS", "travelled", "machine", "runs")


@dataclass(frozen=True, slots=True)
class Finding:
    """One complaint: where, what, and the piece of the page."""

    where: str
    what: str
    piece: str = ""


@dataclass(frozen=True, slots=True)
class Judged:
    """One judge's verdict on one set of pages. `broken` breaks the promise; `noted` is only told."""

    judge: str
    what: str
    count: int
    broken: tuple[Finding, ...] = ()
    noted: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Scores:
    """Lighthouse's verdict on one page: scores of 0 to 100, and what they were made of."""

    page: str
    accessibility: int
    practices: int
    seo: int
    performance: int
    lcp: float  # seconds until the largest piece is painted
    tbt: float  # milliseconds in which the page could not answer
    cls: float  # how much moved
    weight: float  # kilobytes that travelled
    power: float  # what the machine could do meanwhile: Lighthouse's own measure of it
    runs: int = 1
    lacking: tuple[str, ...] = ()  # audits that were not passed in full, of the three that must be

    def holds(self) -> bool:
        """Whether the page keeps what is promised of it."""
        return self.accessibility == self.practices == self.seo == 100 and self.performance >= 98


def terminal(judged: Sequence[Judged], scores: Sequence[Scores]) -> Iterator[str]:
    """The lines for whoever waits: a table, then each kind of complaint with where it is."""
    yield from (*table(judged), "", *score_table(scores))
    for one in judged:
        yield from _complaints(f"{one.judge}, {one.what}", one.broken)
    for score in scores:
        for audit in score.lacking:
            yield f"Lighthouse, {score.page}: {audit}"


def _complaints(title: str, findings: Sequence[Finding]) -> Iterator[str]:
    for what, count in Counter(one.what for one in findings).most_common():
        yield f"\n{title}: {what} ({count} ×)"
        for one in [one for one in findings if one.what == what][:_SHOWN]:
            yield f"  {one.where}  {one.piece[:160]}"


def table(judged: Sequence[Judged]) -> list[str]:
    """What was judged, how much of it, and the count of violations."""
    rows = [f"| {one.judge} | {one.what} | {one.count} | {len(one.broken)} |" for one in judged]
    return ["| judge | what | number | violations |", "| --- | --- | ---: | ---: |", *rows]


def score_table(scores: Sequence[Scores]) -> list[str]:
    """Lighthouse's scores and measures."""
    rows = [
        f"| {s.page} | {s.accessibility} | {s.practices} | {s.seo} | {s.performance} | {s.lcp:.2f} s | "
        f"{s.tbt:.0f} ms | {s.cls:.3f} | {s.weight:.0f} kB | {s.power:.0f} | {s.runs} |"
        for s in scores
    ]
    return [
        f"| {' | '.join(_COLUMNS)} |",
        "| --- |" + " ---: |" * (len(_COLUMNS) - 1),
        *rows,
    ]


def results(
    judged: Sequence[Judged],
    scores: Sequence[Scores],
    versions: Mapping[str, str],
    machine: str,
    today: str,
) -> str:
    """The text of RESULTS.md."""
    listed = ", ".join(f"{name} {version}" for name, version in versions.items())
    kept = all(not one.broken for one in judged) and all(one.holds() for one in scores)
    lines = [
        "# What outside judges say of the site",
        "",
        f"`make conformance`, {today}, on {machine}. {listed}.",
        "Every promise is kept." if kept else "**Not every promise is kept.**",
        "",
        *table(judged),
        "",
        *_KEY,
        "",
        "Lighthouse, desktop: promised are 100 in the first three and at least 98 in performance.",
        "",
        *score_table(scores),
        "",
        *_LIGHTHOUSE,
    ]
    told = [line for one in judged for line in _told(one)]
    if told:
        lines += ["", "Told, and no violation (of axe-core: what it could not decide):", "", *told]
    return "\n".join(lines) + "\n"


_KEY = (
    "The *exhibits* are a garden made to have every part that a page can have, mistakes and failing cells",
    "among them; the *examples* are the notes in `tests/cases`. axe-core is asked with all its default rules",
    "in light and in dark: each kind of page and each state on a desktop and on a phone (panes and previews,",
    "which a phone has not, on a desktop), then each page of the garden with everything unfolded. The Nu",
    "checker is asked for errors, html-validate with the rules in `html-validate.mjs`.",
)
_LIGHTHOUSE = (
    "LCP, TBT and CLS are what Lighthouse’s model of a desktop makes of a run. What else the machine does",
    "can only lower the performance: a run below 98 is repeated, five at most, and the best one counts.",
    "*machine* is Lighthouse’s measure of what the machine could do meanwhile.",
)


def _told(one: Judged) -> Iterator[str]:
    for what, count in Counter(finding.what for finding in one.noted).most_common():
        yield f"- {one.judge}, {one.what}: {what.partition('. ')[0].rstrip('.')} ({count} ×)"

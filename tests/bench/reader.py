"""What a reader waits for: `python -m tests.bench.reader [--notes 5000] [--runs 9] [--write FILE]`.

Two gardens, served on this machine and read in a real Chromium: the one of this project, and one of
`tests.bench.gardens`, built without running cells; the map and search have a larger one. `--garden`,
`--built` and `--large` name sites that are built already.

Bytes, shifts and counts (layouts, recalculations of style) are the same on a busy machine and an idle one,
and the processor's time for layout, style and scripts nearly is; milliseconds on the clock are not: the load
is printed beside them.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from urllib.parse import unquote

from playwright.sync_api import Browser, BrowserContext, CDPSession, Page, sync_playwright

sys.path.append(str(Path(__file__).parent.parent / "browser"))

import obtain_chromium
from served import serve

from tests.bench import gardens, search
from tests.bench.build import ROOT, machine
from tests.bench.graph import ARGUMENTS, FRAMES, gaps, hover, pan, zoom

KINDS = {
    ".html": "HTML",
    ".css": "CSS",
    ".js": "scripts",
    ".woff2": "fonts",
    ".json": "data",
}
NEITHER = ("fonts", "other")  # the budget of a page is about the rest

# Runs before the scripts of the page. Says how long after an event a thing has been painted: two frames
# later, the first of which drew it.
WATCH = """() => {
  window.shifts = 0;
  new PerformanceObserver((list) => {
    for (const one of list.getEntries()) if (!one.hadRecentInput) window.shifts += one.value;
  }).observe({ type: "layout-shift", buffered: true });
  window.long = [];
  new PerformanceObserver((list) => { for (const one of list.getEntries()) window.long.push(one.duration); })
    .observe({ type: "longtask", buffered: true });
  window.painted = (event, there) => {
    window.took = null;
    let begun = 0;
    addEventListener(event, (e) => { if (!begun) begun = e.timeStamp; }, { capture: true, once: true });
    const look = () => {
      if (!begun || !there()) return;
      observer.disconnect();
      const inserted = performance.now() - begun;
      requestAnimationFrame(() => requestAnimationFrame(() => {
        window.took = [inserted, performance.now() - begun];
      }));
    };
    const observer = new MutationObserver(look);
    observer.observe(document, { childList: true, subtree: true, attributes: true });
  };
}"""

COUNTED = ("LayoutCount", "RecalcStyleCount", "LayoutDuration", "RecalcStyleDuration", "ScriptDuration")


@dataclass(frozen=True, slots=True)
class Weight:
    """Files of one kind that a page asked for by itself: how many, their bytes, and those compressed."""

    files: int = 0
    raw: int = 0
    gzipped: int = 0

    def __add__(self, other: Weight) -> Weight:
        return Weight(self.files + other.files, self.raw + other.raw, self.gzipped + other.gzipped)


@dataclass(frozen=True, slots=True)
class Loaded:
    """What loading a page cost."""

    name: str
    weights: dict[str, Weight]
    nodes: int
    shift: float
    paint: float  # milliseconds to the first one with content
    work: dict[str, float]
    long: float  # the longest task

    @property
    def budgeted(self) -> Weight:
        return sum((one for kind, one in self.weights.items() if kind not in NEITHER), Weight())


@dataclass(frozen=True, slots=True)
class Waited:
    """From an event to the picture: milliseconds until the element stood in the page and until it was painted
    (medians), the longest of the latter, and the work of the browser meanwhile."""

    what: str
    inserted: float
    painted: float
    longest: float
    work: dict[str, float]


# ---------------------------------------------------------------- loading


def opened(browser: Browser, scale: float = 1.0) -> tuple[BrowserContext, Page, CDPSession]:
    context = browser.new_context(viewport={"width": 1440, "height": 900}, device_scale_factor=scale)
    page = context.new_page()
    page.add_init_script(f"({WATCH})()")
    session = context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    return context, page, session


def counted(session: CDPSession) -> dict[str, float]:
    found = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
    return {name: found[name] * (1000 if name.endswith("Duration") else 1) for name in COUNTED}


def spent(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    return {name: after[name] - before[name] for name in before}


def load(browser: Browser, url: str, folder: Path, name: str, runs: int) -> Loaded:
    """A page, opened afresh `runs` times; what differs between them is a median (the worst shift, though)."""
    seen = [load_once(browser, url, folder, name) for _ in range(runs)]
    first = seen[0]
    return Loaded(
        name,
        first.weights,
        first.nodes,
        max(one.shift for one in seen),
        median(one.paint for one in seen),
        {key: median(one.work[key] for one in seen) for key in COUNTED},
        median(one.long for one in seen),
    )


def load_once(browser: Browser, url: str, folder: Path, name: str) -> Loaded:
    context, page, session = opened(browser)
    asked: list[str] = []
    page.on("requestfinished", lambda request: asked.append(request.url))
    page.goto(url + name)
    page.wait_for_load_state("networkidle")
    page.evaluate("() => document.fonts.ready.then(() => new Promise((r) => setTimeout(r, 150)))")
    paint = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
    found = page.evaluate(
        f"() => [document.querySelectorAll('*').length, window.shifts, {paint}, Math.max(0, ...window.long)]"
    )
    work = counted(session)
    context.close()
    return Loaded(name, weigh(folder, url, asked), int(found[0]), found[1], found[2], work, found[3])


def weigh(folder: Path, url: str, asked: Sequence[str]) -> dict[str, Weight]:
    weights: dict[str, Weight] = {}
    for address in dict.fromkeys(asked):
        file = folder / unquote(address.removeprefix(url).partition("?")[0])
        if file.is_file():
            data = file.read_bytes()
            kind = KINDS.get(file.suffix, "other")
            weights[kind] = weights.get(kind, Weight()) + Weight(1, len(data), len(gzip.compress(data, 6)))
    return weights


# ---------------------------------------------------------------- waiting

OPEN = "() => window.painted('click', () => document.querySelectorAll('.pane').length === {count})"
CARD = (
    "() => window.painted('pointerover', () => document.querySelector('.preview-card:not([data-waiting])'))"
)
HIT = "() => window.painted('keydown', () => document.querySelector('dialog.search .hit'))"
TOOK = "() => window.took"

# Links of a note, in its order, that lead to another that is not open.
LINKS = """() => [...document.querySelectorAll(".pane:last-child :is(.note-body, .backlinks) a[data-slug]")]
  .filter((a) => a.checkVisibility() && a.dataset.slug !== a.closest(".pane").dataset.slug
    && !document.querySelector(`.pane[data-slug="${CSS.escape(a.dataset.slug)}"]`))
  .map((a) => a.dataset.slug)"""


def took(page: Page) -> tuple[float, float]:
    page.wait_for_function(TOOK)
    inserted, painted = page.evaluate(TOOK)
    return inserted, painted


def middle(page: Page, selector: str) -> tuple[float, float]:
    """A place on the first element that matches, in view."""
    link = page.locator(selector).first
    link.evaluate("(a) => a.scrollIntoView({ block: 'center', behavior: 'instant' })")
    page.wait_for_timeout(150)
    x, y = link.evaluate(
        "(a) => { const b = a.getClientRects()[0]; return [b.x + b.width / 2, b.y + b.height / 2]; }"
    )
    return x, y


def pane(
    browser: Browser, url: str, name: str, depth: int, warm: bool
) -> tuple[float, float, dict[str, float]]:
    """Opens notes beside each other until there are `depth`, then measures one more."""
    context, page, session = opened(browser)
    page.goto(url + name)
    page.wait_for_load_state("networkidle")
    for count in range(1, depth):
        slug = page.evaluate(LINKS)[0]
        page.locator(f".pane:last-child .note a[data-slug='{slug}']").first.evaluate("(a) => a.click()")
        page.wait_for_function(f"() => document.querySelectorAll('.pane').length === {count + 1}")
        page.wait_for_timeout(700)
    slug = page.evaluate(LINKS)[0]
    x, y = middle(page, f".pane:last-child .note a[data-slug='{slug}']")
    page.mouse.move(x, y)
    if warm:
        page.wait_for_timeout(600)
    page.evaluate(OPEN.replace("{count}", str(depth + 1)))
    before = counted(session)
    page.mouse.down()
    page.mouse.up()
    inserted, painted = took(page)
    work = spent(before, counted(session))
    context.close()
    return inserted, painted, work


def panes(browser: Browser, url: str, name: str, runs: int) -> Iterator[Waited]:
    for depth in (1, 3):
        for warm in (True, False):
            seen = [pane(browser, url, name, depth, warm) for _ in range(runs)]
            what = f"{'first' if depth == 1 else 'third'} link, {'pointer rested' if warm else 'cold'}"
            yield summed(f"pane, {what}", seen)


def summed(what: str, seen: Sequence[tuple[float, float, dict[str, float]]], less: float = 0) -> Waited:
    work = {key: median(one[2][key] for one in seen) for key in COUNTED}
    painted = [one[1] - less for one in seen]
    return Waited(what, median(one[0] for one in seen) - less, median(painted), max(painted), work)


def preview(browser: Browser, url: str, name: str, runs: int) -> Waited:
    """From the end of its delay (200 ms) to the picture; each run another link, where there are enough."""
    context, page, session = opened(browser)
    page.goto(url + name)
    page.wait_for_load_state("networkidle")
    slugs = list(dict.fromkeys(page.evaluate(LINKS)))
    seen = []
    for i in range(runs):
        x, y = middle(page, f".note a[data-slug='{slugs[i % len(slugs)]}']")
        page.mouse.move(5, 5)
        page.wait_for_timeout(500)
        page.evaluate(CARD)
        before = counted(session)
        page.mouse.move(x, y)
        # The pointer is over other things first; what counts is when it came to the link.
        inserted, painted = took(page)
        seen.append((inserted, painted, spent(before, counted(session))))
    context.close()
    return summed("preview, after its delay", seen, less=200)


def searched(browser: Browser, url: str, query: str, runs: int) -> Iterator[Waited]:
    """From `/` to the dialog, and from the last letter to the first hit: at the first use of a page."""
    dialogs, hits = [], []
    for _ in range(runs):
        context, page, session = opened(browser)
        page.goto(url + "all.html")
        page.wait_for_load_state("networkidle")
        page.evaluate("() => window.painted('keydown', () => document.querySelector('dialog.search[open]'))")
        before = counted(session)
        page.keyboard.press("/")
        dialogs.append((*took(page), spent(before, counted(session))))
        page.wait_for_selector("dialog.search input:focus")
        page.keyboard.type(query[:-1], delay=90)
        page.wait_for_load_state("networkidle")
        page.evaluate("() => { for (const hit of document.querySelectorAll('.hit')) hit.remove(); }")
        page.evaluate(HIT)
        before = counted(session)
        page.keyboard.type(query[-1])
        hits.append((*took(page), spent(before, counted(session))))
        context.close()
    yield summed("search, from the key to the dialog", dialogs)
    yield summed("search, from the last letter to the first hit", hits)


# ---------------------------------------------------------------- maps


def maps(browser: Browser, url: str, scale: float) -> Iterator[tuple[str, ...]]:
    context, page, _ = opened(browser, scale)
    page.goto(url + "graph.html")
    page.wait_for_selector(".graph canvas")
    page.wait_for_timeout(3000)
    page.evaluate(FRAMES)
    for name, what in (("pan", pan), ("zoom", zoom), ("hover", hover), ("pan, nearer", pan)):
        found = sorted(gaps(page, lambda what=what: what(page)))
        rate = 1000 * len(found) / sum(found)
        yield (
            f"{name}, device scale {scale:g}",
            f"{rate:.0f}",
            f"{median(found):.0f}",
            f"{found[len(found) * 95 // 100]:.0f}",
            f"{found[-1]:.0f}",
        )
    context.close()


# ---------------------------------------------------------------- telling


def table(head: Sequence[str], rows: Iterator[Sequence[str]]) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "| " + " | ".join("---" for _ in head) + " |"
    for row in rows:
        yield "| " + " | ".join(row) + " |"


def kb(size: float) -> str:
    return f"{size / 1000:.1f}"


LOADED = (
    *("page", "HTML, kB", "compressed", "CSS", "scripts", "in files", "all but fonts, compressed"),
    *(
        "elements",
        "shift",
        "first paint, ms",
        "layouts",
        "layout, CPU ms",
        "script, CPU ms",
        "longest task, ms",
    ),
)


def loaded(one: Loaded) -> tuple[str, ...]:
    html, css, scripts = (one.weights.get(kind, Weight()) for kind in ("HTML", "CSS", "scripts"))
    return (
        one.name,
        kb(html.raw),
        kb(html.gzipped),
        kb(css.gzipped),
        kb(scripts.gzipped),
        str(scripts.files),
        f"**{kb(one.budgeted.gzipped)}**",
        f"{one.nodes:,}",
        f"{one.shift:.5f}".rstrip("0").rstrip("."),
        f"{one.paint:.0f}",
        f"{one.work['LayoutCount']:.0f}",
        f"{one.work['LayoutDuration']:.0f}",
        f"{one.work['ScriptDuration']:.0f}",
        f"{one.long:.0f}",
    )


WAITED = (
    *("what", "in the page, ms", "painted, ms", "longest", "layouts", "styles"),
    *("layout, CPU ms", "style, CPU ms", "script, CPU ms"),
)


def waited(one: Waited) -> tuple[str, ...]:
    return (
        one.what,
        f"{one.inserted:.0f}",
        f"**{one.painted:.0f}**",
        f"{one.longest:.0f}",
        f"{one.work['LayoutCount']:.0f}",
        f"{one.work['RecalcStyleCount']:.0f}",
        f"{one.work['LayoutDuration']:.0f}",
        f"{one.work['RecalcStyleDuration']:.0f}",
        f"{one.work['ScriptDuration']:.0f}",
    )


# ---------------------------------------------------------------- gardens


def built(folder: Path, notes: int | None) -> Path:
    """A site in `folder`: of the project's own notes, or of `notes` generated ones."""
    site = folder / "site"
    options = ["--out", str(site), "--cache", str(folder / "cache")]
    if notes is not None:
        gardens.write(folder / "notes", notes, 1)
        options += ["--notes", str(folder / "notes"), "--no-exec"]
    command = [sys.executable, "build.py", *options]
    if subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, check=False).returncode not in (0, 1):
        raise SystemExit("The garden could not be built; `python build.py` says why.")
    return site


def interesting(site: Path) -> list[str]:
    """Pages of each kind: home, the note with the most links to it, one in the middle, the lists, the map."""
    graph = json.loads((site / "graph.json").read_text("utf-8"))
    slugs = [node["slug"] for node in graph["nodes"]]
    counts = dict.fromkeys(slugs, 0)
    for edge in graph["edges"]:
        counts[edge["target"]] += 1
    ranked = sorted((slug for slug in slugs if slug != "index"), key=lambda slug: (-counts[slug], slug))
    notes = ["index", ranked[0], ranked[len(ranked) // 2]]
    pages = [*(f"{slug}.html" for slug in notes), "all.html", "recent.html", "tags/index.html", "graph.html"]
    return [page for page in pages if (site / page).is_file()]


def report(browser: Browser, name: str, site: Path, runs: int) -> Iterator[str]:
    pages = interesting(site)
    with serve(site) as url:
        yield f"\n### {name}: pages as they load\n"
        yield from table(LOADED, (loaded(load(browser, url, site, page, runs)) for page in pages))
        yield f"\n### {name}: what a reader waits for\n"
        waits = waiting(browser, url, pages, runs)
        yield from table(WAITED, (waited(one) for one in waits))


def waiting(browser: Browser, url: str, pages: Sequence[str], runs: int) -> Iterator[Waited]:
    yield from panes(browser, url, pages[0], runs)
    yield preview(browser, url, pages[0], runs)
    yield from searched(browser, url, "gradient", runs)


def large(browser: Browser, site: Path) -> Iterator[str]:
    head = ("map", "frames/s", "median frame, ms", "95th percentile, ms", "longest, ms")
    with serve(site) as url:
        count = len(json.loads((site / "graph/map.json").read_text("utf-8"))["slugs"])
        yield f"\n### The map of {count:,} notes\n"
        yield from table(head, (row for scale in (1.0, 2.0) for row in maps(browser, url, scale)))
        yield f"\n### Search in {count:,} notes\n"
        yield from table(
            ("query", "compressed, kB, before the first hit", "raw", "files", "letter by letter, kB"),
            (
                travelled(browser, url, site, query)
                for query in ("gradient", "kernel", "grad", "s", "gradeint")
            ),
        )


def travelled(browser: Browser, url: str, site: Path, query: str) -> tuple[str, ...]:
    once, slowly = (search.measure(browser, url, site, query, delay) for delay in (0, 120))
    return (query, f"**{kb(once.gzipped)}**", kb(once.raw), str(once.files), kb(slowly.gzipped))


def head(browser: Browser, runs: int) -> Iterator[str]:
    yield "# What a reader waits for\n"
    yield f"`make bench-reader`. Medians of {runs} runs on {machine()},"
    yield f"Chromium {browser.version}, headless, without a graphics card. Compressed: gzip, level 6."


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.reader", description=__doc__)
    parser.add_argument("--notes", type=int, default=5000, metavar="N")
    parser.add_argument("--map", type=int, default=10_000, metavar="N")
    parser.add_argument("--runs", type=int, default=9)
    for name in ("garden", "built", "large"):
        parser.add_argument(f"--{name}", type=Path, metavar="SITE")
    parser.add_argument("--only", choices=("garden", "built", "large"))
    parser.add_argument("--write", type=Path, metavar="FILE")
    asked = parser.parse_args()
    path = obtain_chromium.find()
    if path is None:
        parser.error("no Chromium; `make chromium` gets one")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        lines = list(told(head(browser, asked.runs)))
        lines += told(parts(browser, asked, Path(folder)))
        lines.append(f"\nLoad {os.getloadavg()[0]:.1f} at the end.")
        browser.close()
    if asked.write:
        asked.write.write_text("\n".join(lines) + "\n" + seen_before(asked.write), "utf-8")


SEEN = "\n## What was seen"


def seen_before(file: Path) -> str:
    """What somebody has written below the tables: it stays."""
    _, seen, text = file.read_text("utf-8").partition(SEEN) if file.is_file() else ("", "", "")
    return seen + text


def parts(browser: Browser, asked: argparse.Namespace, folder: Path) -> Iterator[str]:
    sites: dict[str, tuple[Path | None, int | None, Callable[[Path], Iterator[str]]]] = {
        "garden": (asked.garden, None, lambda site: report(browser, "This garden", site, asked.runs)),
        "built": (
            asked.built,
            asked.notes,
            lambda site: report(browser, f"{asked.notes:,} generated notes", site, asked.runs),
        ),
        "large": (asked.large, asked.map, lambda site: large(browser, site)),
    }
    for name, (site, notes, tell) in sites.items():
        if asked.only in (None, name):
            yield from tell(site or built(folder / name, notes))


def told(lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        print(line, flush=True)
        yield line


if __name__ == "__main__":
    main()

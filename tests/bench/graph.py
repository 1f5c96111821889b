"""How maps do: frames while a reader moves about, how still the notes lie, and how long a layout takes.

    python -m tests.bench.graph SITE      (a built site: of a generated garden, for instance)

Frames are those that Chromium shows without a graphics card, on a window of 1440 × 900.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from playwright.sync_api import Page, sync_playwright

from generator.layout import EXTENT, layout

sys.path.insert(0, str(Path(__file__).parent.parent / "browser"))
from obtain_chromium import find
from served import serve

ARGUMENTS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run")
FRAMES = """() => {
  window.frames_ = [];
  const note = (now) => { window.frames_.push(now); requestAnimationFrame(note); };
  requestAnimationFrame(note);
}"""


def gaps(page: Page, what: Any) -> list[float]:
    """Milliseconds between the frames that were shown during `what`."""
    page.evaluate("() => { window.frames_.length = 0; }")
    what()
    shown: list[float] = page.evaluate("() => window.frames_")
    return [b - a for a, b in pairwise(shown)]


def pan(page: Page) -> None:
    page.mouse.move(120, 240)  # a corner, where there are no notes: one that is dragged moves alone
    page.mouse.down(button="left")
    for i in range(120):
        page.mouse.move(120 + 2 * i % 300, 240 + i)
        page.wait_for_timeout(8)
    page.mouse.up()


def zoom(page: Page) -> None:
    page.mouse.move(700, 480)
    for i in range(120):
        page.mouse.wheel(0, -40 if i < 60 else 40)
        page.wait_for_timeout(8)


def hover(page: Page) -> None:
    for i in range(120):
        page.mouse.move(400 + 5 * i, 350 + 2 * i)
        page.wait_for_timeout(8)


def frames(site: Path, scale: float) -> None:
    with serve(site) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find(), args=list(ARGUMENTS))
        page = browser.new_page(viewport={"width": 1440, "height": 900}, device_scale_factor=scale)
        begun = time.perf_counter()
        page.goto(url + "graph.html")
        page.wait_for_selector(".graph canvas")
        print(f"canvas after {time.perf_counter() - begun:.2f} s")
        page.wait_for_timeout(3000)
        page.evaluate(FRAMES)
        for name, what in (("pan", pan), ("zoom", zoom), ("hover", hover), ("pan, after zooming", pan)):
            found = sorted(gaps(page, lambda what=what: what(page)))
            print(
                f"{name}, scale {scale:g}: {1000 * len(found) / sum(found):.0f} frames/s; median frame "
                f"{median(found):.0f} ms, 95th percentile {found[len(found) * 95 // 100]:.0f} ms, "
                f"longest {found[-1]:.0f} ms"
            )
        browser.close()


def stillness(site: Path) -> None:
    """How far the other notes move when one note in a hundred is added, in shares of the map's width."""
    graph = json.loads((site / "graph.json").read_text("utf-8"))
    slugs = [node["slug"] for node in graph["nodes"]]
    number = {slug: i for i, slug in enumerate(slugs)}
    edges = [(number[edge["source"]], number[edge["target"]]) for edge in graph["edges"]]
    new = set(random.Random(1).sample(range(len(slugs)), max(1, len(slugs) // 100)))
    kept = [i for i in range(len(slugs)) if i not in new]
    place = {old: i for i, old in enumerate(kept)}
    begun = time.perf_counter()
    after = layout(slugs, edges)
    seconds = time.perf_counter() - begun
    before = layout(
        [slugs[i] for i in kept], [(place[a], place[b]) for a, b in edges if a in place and b in place]
    )
    moved = [
        ((after[i][0] - x) ** 2 + (after[i][1] - y) ** 2) ** 0.5 / (2 * EXTENT)
        for i, (x, y) in zip(kept, before, strict=True)
    ]
    print(f"layout of {len(slugs):,} notes and {len(edges):,} links: {seconds:.2f} s")
    print(
        f"{len(new)} notes more: the others move by {sum(moved) / len(moved):.1%}, median {median(moved):.1%}"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.graph", description=__doc__)
    parser.add_argument("site", type=Path)
    asked = parser.parse_args(arguments)
    stillness(asked.site)
    for scale in (1.0, 2.0):
        frames(asked.site, scale)


if __name__ == "__main__":
    main()

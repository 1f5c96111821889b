"""What the foot of a note costs: `python -m tests.bench.mentions --notes 1000`.

Processor seconds, in one process, for all notes of a garden of `tests.bench.gardens` (whose few hundred words
make nearly every title be spoken of somewhere: more than gardens do), and each as a ratio to parsing it:
finding unlinked mentions, related notes, and the text of the one-file export.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

from generator import feeds, graph, pipeline
from generator.config import Config
from generator.markdown import parse
from generator.memo import Plain
from generator.model import Parsed, Source, Vault
from tests.bench import gardens
from tests.support import NothingRuns


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--notes", type=int, default=1000, metavar="N")
    asked = parser.parse_args()
    sources = [Source(path, text) for path, text in gardens.garden(asked.notes, 1)]
    base, parsed = seconds(lambda: [parse(source) for source in sources])
    print(f"{'parse':24} {base:7.2f} s")
    for name, took in parts(parsed):
        print(f"{name:24} {took:7.2f} s  {took / base:5.2f} × parse")


def parts(parsed: list[Parsed]) -> list[tuple[str, float]]:
    garden = pipeline.run(pipeline.resolved(parsed, Vault((), ())), NothingRuns())
    edges, _ = pipeline.connections(garden)
    mentions, garden = seconds(lambda: pipeline.mentioned(garden, Plain()))
    related, _ = seconds(lambda: graph.related(garden.notes, graph.linked(edges), 5))
    text, _ = seconds(lambda: [feeds.text_of(slug, garden, Config()) for slug in garden.notes])
    found = sum(each.count for each in garden.mentions.values())
    return [(f"mentions ({found})", mentions), ("related notes", related), ("text of the export", text)]


def seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


if __name__ == "__main__":
    main()

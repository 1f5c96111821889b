"""What a build costs: `python -m tests.bench.build [--notes 100 1000 10000] [--runs 3] [--write FILE]`.

Gardens of `tests.bench.gardens` are built by `build.py --no-exec` as whole processes: cold (no cache, no
site), unchanged, and after one edit. Medians over the runs. The baseline is measured in the same run:
one process in which plain markdown-it-py, with tables and nothing else, reads, parses and renders the
same notes and writes nothing. Compare ratios, not seconds: machines differ, and so do their hours.

Memory is that of the largest process, and of all together with what they share counted once (looked at ten
times a second). `--notes 100000 --runs 1` is possible: the generator writes one note at a time, and so much
room as a site of that size needs may be in the folder that `--work` names.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tests.bench import gardens
from tests.bench.processes import Measured, measured

ROOT = Path(__file__).resolve().parent.parent.parent

BASELINE = """
import sys
from pathlib import Path
from markdown_it import MarkdownIt
markdown = MarkdownIt("commonmark").enable("table")
for path in sorted(Path(sys.argv[1]).rglob("*.md")):
    markdown.render(path.read_text("utf-8"))
"""


@dataclass(frozen=True, slots=True)
class Run:
    """One process that ended well, and the seconds that it says it spent in each of its rooms."""

    process: Measured
    rooms: Mapping[str, float]

    @property
    def wall(self) -> float:
        return self.process.wall


def run(command: Sequence[str]) -> Run:
    """Run a process to its end. Anything but exit code 0 (or 1: problems in the notes) is an error."""
    process = measured(command, ROOT)
    if process.code not in (0, 1):
        raise SystemExit(f"the build failed: {process.errors}")
    return Run(process, json.loads(process.output)["timings"] if process.output.startswith("{") else {})


@dataclass(frozen=True, slots=True)
class Row:
    """What was measured of one garden in one situation; `baseline` is the same garden's."""

    notes: int
    what: str
    runs: tuple[Run, ...]
    baseline: float

    def cells(self) -> tuple[str, ...]:
        wall = median(run.wall for run in self.runs)
        together = max(run.process.together for run in self.runs)
        spread = f"{min(run.wall for run in self.runs):.2f}–{max(run.wall for run in self.runs):.2f}"
        return (
            f"{self.notes:,}",
            self.what,
            f"{wall:.2f}",
            spread,
            f"{median(run.process.cpu for run in self.runs):.2f}",
            f"{self.notes / wall:,.0f}",
            f"{max(run.process.largest for run in self.runs):.0f}",
            f"{together:.0f}",
            f"{together * 1024 / self.notes:.0f}",
            f"{wall / self.baseline:.2f}",
            self._shares(wall),
        )

    def _shares(self, wall: float) -> str:
        """The share of each room, the largest first; what no room accounts for is start and end."""
        names = {name for run in self.runs for name in run.rooms}
        rooms = {name: median(run.rooms.get(name, 0.0) for run in self.runs) for name in names}
        if not rooms:
            return ""
        rooms["start, end"] = max(0.0, wall - sum(rooms.values()))
        shares = sorted(((seconds / wall, name) for name, seconds in rooms.items()), reverse=True)
        return ", ".join(f"{name} {share:.0%}" for share, name in shares if share >= 0.01)


def measure(notes: int, runs: int, seed: int, work: Path | None = None) -> Iterator[Row]:
    """Build one garden again and again, in a folder within `work`."""
    with tempfile.TemporaryDirectory(dir=work) as folder:
        vault, site, cache = (Path(folder, name) for name in ("notes", "site", "cache"))
        gardens.write(vault, notes, seed)
        bare = tuple(run([sys.executable, "-c", BASELINE, str(vault)]) for _ in range(runs))
        baseline = median(one.wall for one in bare)
        yield Row(notes, "bare markdown-it-py", bare, baseline)
        command = [
            sys.executable,
            "build.py",
            "--notes",
            str(vault),
            "--out",
            str(site),
            "--cache",
            str(cache),
        ]
        command += ["--no-exec", "--no-strict", "--format", "json"]

        def build() -> Run:
            time.sleep(0.1)  # No file may look as if it were still being changed.
            return run(command)

        def cold() -> Run:
            for place in (site, cache):
                shutil.rmtree(place, ignore_errors=True)
            return build()

        yield Row(notes, "cold", tuple(cold() for _ in range(runs)), baseline)
        yield Row(notes, "unchanged", tuple(build() for _ in range(runs)), baseline)
        yield Row(notes, "one edit", tuple(_edited(vault, i, build) for i in range(runs)), baseline)


def _edited(vault: Path, i: int, build: Callable[[], Run]) -> Run:
    """A sentence with a link, added to a note that many link to."""
    name = sorted(vault.glob("*.md"))[i + 1]
    with name.open("a", encoding="utf-8") as file:
        file.write(f"\nOne more sentence, number {i}, with a link to [[index]].\n")
    return build()


HEAD = (
    "notes", "what", "wall, s", "range", "CPU, s", "notes/s", "largest process, MB", "all together, MB",
    "kB a note", "× bare", "rooms",
)  # fmt: skip


def table(rows: Sequence[Row]) -> str:
    lines = [HEAD, tuple("---" for _ in HEAD), *(row.cells() for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def machine() -> str:
    """The machine in words."""
    names = [
        line.partition(":")[2].strip()
        for line in _lines("/proc/cpuinfo")
        if line.startswith(("model name", "Hardware"))
    ]
    memory = next((int(line.split()[1]) for line in _lines("/proc/meminfo")), 0)
    parts = [
        f"{os.cpu_count()} × {names[0] if names else platform.machine()}",
        f"{memory / 2**20:.0f} GB" if memory else "",
        f"{platform.system()} {platform.release().partition('-')[0]}",
        f"{platform.python_implementation()} {platform.python_version()}",
        f"load {os.getloadavg()[0]:.1f} at the start",
    ]
    return ", ".join(part for part in parts if part)


def _lines(file: str) -> list[str]:
    try:
        return Path(file).read_text("utf-8").splitlines()
    except OSError:
        return []


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.build", description=__doc__)
    parser.add_argument("--notes", type=int, nargs="+", default=[100, 1000, 10_000], metavar="N")
    parser.add_argument("--runs", type=int, default=3, metavar="N")
    parser.add_argument("--seed", type=int, default=1, metavar="N")
    parser.add_argument("--work", type=Path, metavar="FOLDER", help="where to build (else the system's)")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the table there too")
    asked = parser.parse_args(arguments)
    here = machine()
    rows = []
    for notes in asked.notes:
        for row in measure(notes, asked.runs, asked.seed, asked.work):
            rows.append(row)
            print(" ".join(row.cells()), file=sys.stderr, flush=True)
    text = f"Medians of {asked.runs} runs on {here}.\n\n{table(rows)}\n"
    print(text)
    if asked.write:
        asked.write.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

"""Search at size: `python -m tests.bench.search --notes 1000 10000`.

For a garden of `tests.bench.gardens` and one with a vocabulary like a language's (Zipf's law over 200,000
words; the first has only a few hundred, used evenly), prints what the index weighs, what making it costs, and
for several queries, in a real Chromium, what travels until the first result is on the screen: scripts and
index, compressed as a static host does it, and in parentheses as they are. *letter by letter*: the same, and
everything that follows, for somebody who types one letter every 120 ms.
"""

from __future__ import annotations

import argparse
import gzip
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import unquote

from playwright.sync_api import Browser, sync_playwright

sys.path.append(str(Path(__file__).parent.parent / "browser"))

import obtain_chromium
from served import serve

from generator import markdown, search, theme
from generator.config import Config
from generator.memo import Plain
from generator.memo.team import available_jobs
from generator.model import MessagePage, Note, OutPath, Page, Parsed, Slug, Source
from tests.bench import gardens

_SYLLABLES = re.findall(
    r"\w+", "an be co da el fo gra hi in ju ke li mo ne or pra qui re si ta un ver wo xi yo za"
)
_VOCABULARY = 200_000
_LENGTH = 450


@dataclass(frozen=True)
class Measured:
    """Bytes until the first result, and until the page was quiet: compressed, raw; and requests."""

    gzipped: int
    raw: int
    files: int
    hits: str


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.search", description=__doc__)
    parser.add_argument("--notes", type=int, nargs="+", default=[1000, 10_000], metavar="N")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    path = obtain_chromium.find()
    if path is None:
        parser.error("no Chromium; `make chromium` gets one")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        for count in asked.notes:
            report(chromium, f"{count} generated notes", generated(count, asked.seed))
            report(chromium, f"{count} notes, natural vocabulary", natural(count, asked.seed))
        chromium.close()


def generated(count: int, seed: int) -> list[Note]:
    """The garden of `gardens`, read as the build reads it."""
    sources = [Source(path, text) for path, text in gardens.garden(count, seed)]
    return [one.note for one in Plain(available_jobs()).map(read, sources)]


def read(source: Source) -> Parsed:
    """One note; named, so that several processes can share the notes."""
    return markdown.parse(source)


def natural(count: int, seed: int) -> list[Note]:
    """Notes whose words are as frequent as a language's, without Markdown around them."""
    chance = Random(f"{seed} natural {count}")
    vocabulary = [_word(i) for i in range(_VOCABULARY)]
    weights = list(accumulate(1 / (rank + 2.7) ** 1.05 for rank in range(_VOCABULARY)))
    notes = []
    for i in range(count):
        drawn = chance.choices(vocabulary, cum_weights=weights, k=_LENGTH)
        title = " ".join(drawn[:3]).capitalize()
        notes.append(Note(f"n{i}.md", Slug(f"n{i}"), title, (f"<p>{' '.join(drawn)}</p>",), 1))
    return notes


def _word(i: int) -> str:
    """Word number `i`: the frequent ones are short, as in languages."""
    text = ""
    i += 1
    while i:
        i, digit = divmod(i - 1, len(_SYLLABLES))
        text += _SYLLABLES[digit]
    return text


def report(chromium: Browser, name: str, notes: Sequence[Note]) -> None:
    start = time.process_time()
    entries = [search.entry(note, f"{note.slug}.html") for note in notes]
    middle = time.process_time()
    index = search.files(entries)
    end = time.process_time()
    sizes = f"{_kb(index.values())} kB, compressed {_kb(map(_gz, index.values()))} kB"
    print(f"\n{name}: {len(index)} files, {sizes}")
    print(f"  words of each note {middle - start:.2f} s, index {end - middle:.2f} s of one core")
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), {**theme.static_files(), **_front(), **index})
        with serve(Path(folder)) as url:
            for kind, query in queries(entries):
                once = measure(chromium, url, Path(folder), query, 0)
                slowly = measure(chromium, url, Path(folder), query, 120)
                print(
                    f"  {kind:16} {query[:28]!r:31} {once.gzipped / 1000:6.1f} kB ({once.raw / 1000:.1f}) in "
                    f"{once.files} files; letter by letter {slowly.gzipped / 1000:.1f} kB; {once.hits}"
                )


def _kb(parts: Any) -> int:
    return sum(map(len, parts)) // 1000


def _gz(data: bytes) -> bytes:
    return gzip.compress(data, 6)


def _front() -> dict[OutPath, bytes]:
    page = Page(OutPath("index.html"), "message", "", MessagePage("Front", "Search here."))
    return {page.out: theme.render(page, Config())}


def write(folder: Path, files: dict[OutPath, bytes]) -> None:
    for out, data in files.items():
        (folder / out).parent.mkdir(parents=True, exist_ok=True)
        (folder / out).write_bytes(data)


def queries(entries: Sequence[search.Entry]) -> Iterator[tuple[str, str]]:
    """What readers ask: frequent and rare words, beginnings, several words, and slips of the finger."""
    counts: dict[str, int] = {}
    for entry in entries:
        for word in entry.words.split():
            counts[word] = counts.get(word, 0) + 1
    ranked = sorted((word for word in counts if word.isalpha()), key=lambda word: (-counts[word], word))
    long = [word for word in ranked if len(word) >= 7] or ranked
    middle, rare = long[len(long) // 20], ranked[-len(ranked) // 10]
    title = max(entries[len(entries) // 2].names.split(), key=len)
    yield "most frequent", ranked[0]
    yield "in a title", title
    yield "seldom", rare
    yield "one letter", ranked[0][0]
    yield "three letters", long[0][:3]
    yield "four words", " ".join((ranked[3], middle, title, long[0]))
    yield "exchanged", middle[:3] + middle[4] + middle[3] + middle[5:]
    yield "first letter", "w" + middle[1:]
    yield "like no word", "wqxzvbkjw"


def measure(chromium: Browser, url: str, folder: Path, query: str, delay: int) -> Measured:
    context = chromium.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    asked: list[str] = []
    page.goto(url)
    page.wait_for_load_state("networkidle")
    page.on("requestfinished", lambda request: asked.append(request.url))
    page.keyboard.press("/")
    page.wait_for_selector("dialog.search input:focus")
    page.keyboard.type(query, delay=delay)
    page.wait_for_selector(".hit, .search-status:has-text('Nothing')")
    if delay:
        page.wait_for_load_state("networkidle")
    hits = page.locator(".search-status").text_content() or ""
    context.close()
    files = [
        folder / unquote(one.removeprefix(url)) for one in dict.fromkeys(asked) if "/previews/" not in one
    ]
    contents = [file.read_bytes() for file in files if file.is_file()]
    return Measured(sum(len(_gz(data)) for data in contents), sum(map(len, contents)), len(contents), hits)


if __name__ == "__main__":
    main()

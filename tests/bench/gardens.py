"""Gardens to measure with: `python -m tests.bench.gardens DIR --notes 1000 --seed 1`.

Notes of about 3 kB with front matter, some eight wikilinks each (a few notes are linked to by very many),
tags, tables, code, formulas, callouts, footnotes and a few embeds. The same seed makes the same bytes.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

_VOCABULARY = """
about above algebra all along alpha also always angle answer any array axis base basis batch because
before below bias block both bound case chain change choice claim clear close code column common compare
complex compose cone constant convex copy cost count course curve data decay depth derive design detail
diagonal differ digit direct distance draw each early edge either element enough entry error estimate even
every exact example expand expect factor few field figure find finite first fit fixed flat flow follow
form forward function garden general given gradient graph grow half hand hence hidden idea image index
inner input inverse iterate join jump kernel keep known label large last later layer leaf learn left
length less level likely limit line linear list little local long loop lower many margin mass matrix
maximum mean measure memory merge method middle minimum mode model moment more most move much natural near
need network next node noise norm note number object often only open optimal order other outer output over
pair part path pattern perhaps phase place plain point power prior product proof random range rank rate
ratio reach real reason record reduce region rest result return reverse right root rotate row rule sample
scale search second seed sense series set shape share short show side sign simple single size slope small
smooth solve some space sparse spectrum square stable start state step still sum surface system table take
tangent target tensor term test theory there thing though through time together total trace train tree
trial true turn two under uniform unit until upper useful value variance vector very view wave way weight
whole wide width within without work write zero
"""
WORDS = tuple(_VOCABULARY.split())

FOLDERS = ("", "", "", "method", "method/proof", "reading", "journal")
CALLOUTS = ("note", "tip", "warning", "example", "question")


def garden(notes: int, seed: int) -> Iterator[tuple[str, str]]:
    """Path and text of each note, `index.md` first."""
    chance = Random(f"{seed} {notes}")
    names = _names(notes, chance)
    for i, name in enumerate(names):
        yield f"{name}.md", _Author(chance, names, i).note()


def _names(notes: int, chance: Random) -> list[str]:
    names = ["index"]
    seen = {"index"}
    while len(names) < notes:
        words = " ".join(chance.sample(WORDS, chance.choice((2, 2, 3, 3, 4))))
        if words not in seen:
            seen.add(words)
            folder = chance.choice(FOLDERS)
            names.append(f"{folder}/{words.capitalize()}" if folder else words.capitalize())
    return names


class _Author:
    """Writes note number `i`."""

    def __init__(self, chance: Random, names: list[str], i: int) -> None:
        self._chance = chance
        self._names = names
        self._i = i
        self._footnotes: list[str] = []

    def note(self) -> str:
        parts = [self._front_matter(), self._paragraph(5)]
        for _ in range(self._chance.choice((2, 3, 3))):
            parts += [
                f"## {self._words(3).capitalize()}",
                self._paragraph(4),
                self._block(),
                self._paragraph(3),
            ]
        if self._i and self._chance.random() < 0.05:
            # Only of earlier notes: no circles.
            parts.append(f"![[{self._title(self._chance.randrange(self._i))}]]")
        return "\n\n".join([*parts, *self._footnotes]) + "\n"

    def _front_matter(self) -> str:
        year, month, day = (self._chance.randint(*bounds) for bounds in ((2018, 2025), (1, 12), (1, 28)))
        tags = ", ".join(self._chance.sample(WORDS[:40], self._chance.randint(1, 3)))
        lines = [f"created: {year}-{month:02}-{day:02}", f"tags: [{tags}]"]
        if self._chance.random() < 0.2:
            lines.append(f"aliases: [{self._words(2)} {self._i}]")
        if self._chance.random() < 0.3:
            lines.append(f"description: {self._words(9).capitalize()}.")
        return "\n".join(["---", *lines, "---"])

    def _words(self, count: int) -> str:
        return " ".join(self._chance.choice(WORDS) for _ in range(count))

    def _title(self, i: int) -> str:
        return self._names[i].rpartition("/")[2]

    def _link(self) -> str:
        # Zipf's law: the k-th note is linked to about 1/k as often as the first.
        i = int(len(self._names) ** self._chance.random()) - 1
        roll = self._chance.random()
        if roll < 0.6:
            return f"[[{self._title(i)}]]"
        return f"[[{self._title(i)}|{self._words(2)}]]" if roll < 0.9 else f"[[{self._names[i]}]]"

    def _sentence(self) -> str:
        words = [self._chance.choice(WORDS) for _ in range(self._chance.randint(8, 18))]
        if self._chance.random() < 0.28:
            words.insert(self._chance.randrange(1, len(words)), self._link())
        if self._chance.random() < 0.25:
            words.insert(self._chance.randrange(1, len(words)), self._inline())
        text = " ".join(words)
        return text[0].upper() + text[1:] + "."

    def _inline(self) -> str:
        word = self._words(1)
        kinds: tuple[Callable[[], str], ...] = (
            lambda: f"**{word}**",
            lambda: f"*{word}*",
            lambda: f"`{word}`",
            lambda: f"=={word}==",
            lambda: f"$x_{{{len(word)}}} = \\sqrt{{{word[0]}^2 + \\sigma^2}}$",
            lambda: f"#{self._chance.choice(WORDS[:40])}/{self._chance.choice(WORDS[40:46])}",
            lambda: f"[{word}](https://example.org/{word})",
            self._footnote,
        )
        return self._chance.choice(kinds)()

    def _footnote(self) -> str:
        label = f"f{len(self._footnotes) + 1}"
        self._footnotes.append(f"[^{label}]: {self._words(8).capitalize()}.")
        return f"{self._words(1)}[^{label}]"

    def _paragraph(self, sentences: int) -> str:
        return " ".join(self._sentence() for _ in range(sentences))

    def _block(self) -> str:
        kinds = (self._list, self._list, self._table, self._code, self._formula, self._callout)
        return self._chance.choice(kinds)()

    def _list(self) -> str:
        return "\n".join(f"{'  ' * (i % 3 == 2)}- {self._sentence()}" for i in range(5))

    def _table(self) -> str:
        rows = [f"| {self._words(1)} | {self._chance.random():.3f} | {self._words(2)} |" for _ in range(5)]
        return "\n".join(["| name | value | remark |", "| --- | ---: | --- |", *rows])

    def _code(self) -> str:
        a, b, c = (self._chance.choice(WORDS) + "_" for _ in range(3))
        return "\n".join(
            [
                "```python",
                "import numpy as np",
                "",
                f"def {a}({b}, {c}={self._chance.random():.2f}):",
                f'    """{self._words(6).capitalize()}."""',
                f"    for i in range({self._chance.randint(2, 99)}):",
                f"        {b} = {b} - {c} * np.sin({b}) / (1 + i)  # {self._words(3)}",
                f"    return {b} if {c} > 0 else None",
                "```",
            ]
        )

    def _formula(self) -> str:
        n = self._chance.randint(2, 9)
        total = f"\\sum_{{i=1}}^{{{n}}} \\frac{{\\partial f}}{{\\partial x_i}}"
        return f"$$\n{total} = \\int_0^{n} e^{{-t^2/2}}\\,dt\n$$"

    def _callout(self) -> str:
        return f"> [!{self._chance.choice(CALLOUTS)}] {self._words(3).capitalize()}\n> {self._paragraph(2)}"


def write(folder: Path, notes: int, seed: int) -> int:
    """Write a garden into a new folder; how many bytes that were."""
    total = 0
    for path, text in garden(notes, seed):
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        total += place.write_bytes(text.encode("utf-8"))
    return total


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.gardens", description=__doc__)
    parser.add_argument("dir", type=Path, metavar="DIR")
    parser.add_argument("--notes", type=int, default=1000, metavar="N")
    parser.add_argument("--seed", type=int, default=1, metavar="N")
    asked = parser.parse_args()
    total = write(asked.dir, asked.notes, asked.seed)
    print(f"{asked.notes} notes, {total / asked.notes:.0f} bytes each")


if __name__ == "__main__":
    main()

"""The dialect by example: small gardens in `tests/cases/*.md`, each with what it must become.

A case is a second-level heading (the claim) and fences of four backticks:

* `md path=a.md` is a note, `asset path=x.png` an empty file;
* `html page=a.html` is what stands in the body of that page, footnotes included; `part=head` or another
  of `_PARTS` shows another part of it, `page=previews/a.html` the preview;
* `problems` are the build's problems, one a line (no fence: there are none);
* `files` are the pages and copied files that follow from the notes;
* `absent` are words that no file of the site holds, one a line.

`python -m tests.test_cases --update` writes what the generator now does into the files: read the diff. A new
case needs only its notes; it gets the body of its first one.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pytest

from generator import memo, pipeline
from generator.config import Config
from generator.execution.protocol import same_for_all
from generator.model import Asset, OutPath, Program, ProgramResult, Site, Source, Vault

CASES = Path(__file__).parent / "cases"
_FENCE = re.compile(r"^````(\w+)(.*)\n((?:(?!````$).*\n)*?)````$", re.MULTILINE)
_OPTION = re.compile(r'(\w+)=(?:"([^"]*)"|(\S+))')


@dataclass(frozen=True)
class Fence:
    kind: str
    options: dict[str, str]
    content: str


@dataclass(frozen=True)
class Case:
    name: str
    words: str
    fences: tuple[Fence, ...]


def cases_in(text: str) -> tuple[str, list[Case]]:
    """The head of a case file, and its cases."""
    head, *parts = re.split(r"^## (?=.*$)", text, flags=re.MULTILINE)
    return head, [_case(part) for part in _rejoined(parts)]


def _rejoined(parts: list[str]) -> Iterator[str]:
    """A heading inside a fence does not begin a case."""
    whole = ""
    for part in parts:
        whole = f"{whole}## {part}" if whole else part
        if len(re.findall(r"^````", whole, flags=re.MULTILINE)) % 2 == 0:
            yield whole
            whole = ""
    assert not whole, f"a fence of this case is never closed: {whole[:60]}"


def _case(text: str) -> Case:
    name, _, rest = text.partition("\n")
    fences = [Fence(m[1], _options(m[2]), m[3]) for m in _FENCE.finditer(rest)]
    return Case(name.strip(), _FENCE.sub("", rest).strip(), tuple(fences))


def _options(text: str) -> dict[str, str]:
    return {name: quoted or plain for name, quoted, plain in _OPTION.findall(text)}


# ---------------------------------------------------------------- building


class NotAsked:
    """An executor that runs nothing."""

    def run(
        self, programs: Sequence[Program], report: Callable[[ProgramResult], None] | None = None
    ) -> tuple[ProgramResult, ...]:
        return tuple(same_for_all(program, "not-run", "not asked to run") for program in programs)


def built(case: Case) -> Site:
    """The site of the notes and assets of a case."""
    notes = [fence for fence in case.fences if fence.kind == "md"]
    sources = sorted((Source(f.options["path"], f.content) for f in notes), key=lambda one: one.path)
    assets = [Asset(f.options["path"], 0, "") for f in case.fences if f.kind == "asset"]
    call = memo.Plain()
    return pipeline.build(Vault(tuple(sources), tuple(assets)), Config(dates="none"), call, call, NotAsked())


def shown(case: Case, site: Site) -> list[Fence]:
    """The fences of a case with what the generator made of it."""
    given = [fence for fence in case.fences if fence.kind in ("md", "asset")]
    asked = [fence for fence in case.fences if fence.kind in ("html", "files", "absent")]
    if not asked:
        asked = [Fence("html", {"page": given[0].options["path"].removesuffix(".md") + ".html"}, "")]
    made = [Fence(fence.kind, fence.options, _content(fence, site)) for fence in asked]
    problems = "".join(
        f"{p.path}:{p.span.line}:{p.span.col} {p.severity} {p.code} {p.message}\n" for p in site.problems
    )
    return [*given, *made, *([Fence("problems", {}, problems)] if problems else [])]


def _content(fence: Fence, site: Site) -> str:
    if fence.kind == "files":
        pages = {path for path in site.files if path.endswith(".html")}
        return "".join(f"{path}\n" for path in sorted({*pages, *site.copies} - _always()))
    if fence.kind == "absent":
        everything = b"\n".join((path.encode() + b"\n" + data for path, data in site.files.items()))
        return "".join(f"{word}\n" for word in fence.content.split() if word.encode() not in everything)
    page = site.files.get(OutPath(fence.options["page"]))
    if page is None:
        return "(there is no such page)\n"
    return readable(part_of(page.decode(), fence.options.get("part", "body"))) + "\n"


@lru_cache(maxsize=1)
def _always() -> frozenset[str]:
    """The files that every site has."""
    call = memo.Plain()
    return frozenset(pipeline.build(Vault((), ()), Config(), call, call, NotAsked()).files)


# ---------------------------------------------------------------- reading pages

_PARTS = {
    "body": r'<div class="note-body">\n(.*?)(?:\n</div>)?\s*(?=<section class="[bg]|</article>)',
    "head": r'<header class="note-head">(.*?)</header>',
    "backlinks": r'(<section class="backlinks".*?</section>)',
    "article": r'(<article.*?)(?:<section class="graph".*?)?</article>',
    "moved": r'(<meta http-equiv="refresh"[^>]*>)',
    "root": r"(<html[^>]*>)",
}


def part_of(page: str, part: str) -> str:
    """A part of a page; previews are shown whole."""
    if "<html" not in page:
        return page
    match = re.search(_PARTS[part], page, re.DOTALL)
    return match[1] if match else "(there is no such part)"


_NOISE = re.compile(
    r' (?:data-preview="[^"]*"|loading="lazy"|tabindex="0"|role="group" aria-label="Table"|rel="noopener"'
    r'|aria-disabled="true"|role="link"|title="not written yet"|preload="metadata"|disabled(?=[ >]))'
)
_MATH = re.compile(
    r"<math(?: display=\"(\w+)\")?.*?<annotation[^>]*>(.*?)</annotation></semantics></math>", re.DOTALL
)
_COLOUR = re.compile(r'<span class="\w{1,3}">([^<]*)</span>')
_EVIDENCE = re.compile(r'<details class="cell-evidence">.*?</details>', re.DOTALL)
_ENDS = re.compile(
    r"(</(?:p|li|section|header|div|h[1-6]|blockquote|ul|ol|figure|details|summary|dt|dd)>)\n*"
)


def readable(html: str) -> str:
    """HTML without what would be the same everywhere: attributes for scripts and screen readers, colours of
    code, the evidence of cells; a formula is only its TeX; one block a line."""
    html = _NOISE.sub("", html)
    html = _MATH.sub(lambda m: f"<math{' display' if m[1] == 'block' else ''}>{m[2]}</math>", html)
    html = _EVIDENCE.sub("", _COLOUR.sub(r"\1", html))
    html = _ENDS.sub(r"\1\n", html)
    return "\n".join(line for line in html.split("\n") if line.strip()).strip("\n")


# ---------------------------------------------------------------- the tests


def _all() -> list[tuple[Path, Case]]:
    return [
        (path, case) for path in sorted(CASES.glob("*.md")) for case in cases_in(path.read_text("utf-8"))[1]
    ]


@pytest.mark.parametrize(
    "case", [pytest.param(case, id=f"{path.stem}: {case.name}") for path, case in _all()]
)
def test_a_garden_becomes_what_its_case_says(case: Case) -> None:
    now = {_key(fence): fence.content for fence in shown(case, built(case))}
    assert any(fence.kind in ("html", "files") for fence in case.fences), "expectations: run with --update"
    assert now == {_key(fence): fence.content for fence in case.fences}


def _key(fence: Fence) -> str:
    options = (f'{k}="{v}"' if " " in v else f"{k}={v}" for k, v in fence.options.items())
    return " ".join([fence.kind, *options])


def test_no_two_cases_have_one_name() -> None:
    names = [case.name for _, case in _all()]
    assert len(names) == len(set(names))


# ---------------------------------------------------------------- updating


def updated(text: str) -> str:
    head, cases = cases_in(text)
    return head + "".join(_written(Case(c.name, c.words, tuple(shown(c, built(c))))) for c in cases)


def _written(case: Case) -> str:
    fences = "\n".join(f"````{_key(fence)}\n{fence.content}````\n" for fence in case.fences)
    return f"## {case.name}\n\n" + (f"{case.words}\n\n" if case.words else "") + fences + "\n"


if __name__ == "__main__":
    if sys.argv[1:] != ["--update"]:
        sys.exit("usage: python -m tests.test_cases --update")
    for file in sorted(CASES.glob("*.md")):
        file.write_text(updated(file.read_text("utf-8")).rstrip("\n") + "\n", "utf-8")

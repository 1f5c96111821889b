"""Other generators beside ours: `python -m tests.bench peers [--notes 1000] [--runs 3] [--only NAME ...]`.

The same generated notes (`tests.bench.gardens`) are built by ours (`build.py --no-exec`), by bare
markdown-it-py (which parses, renders and writes nothing) and by every peer that is found: cold (no site, no
cache), unchanged (the same command again) and after one edit, each in a new process, in turns, so that a
machine that becomes slower becomes so for all. Time is that of the process and all that it started. After
each run its site is looked at: as many HTML files as notes, a sentence of a note in that note's page without
`[[` left over, the edit in the edited page, and, of those that have backlinks, a backlink. One that fails
gets no time.

Nothing is installed here. A peer is named by an option or by the variable in brackets; programs are also
looked for in PATH. What is not found is said.

--hugo PROGRAM (BENCH_HUGO)            Hugo 0.123 or newer
--node PROGRAM (BENCH_NODE)            Node, for Eleventy and Quartz
--eleventy FOLDER (BENCH_ELEVENTY)     where `npm install @11ty/eleventy` ran
--quartz FOLDER (BENCH_QUARTZ)         Quartz 4 (`quartz/`, `package.json`, `tsconfig.json`) after `npm ci`
--python-peers FOLDER (BENCH_PYTHON)   a virtual environment with any of pelican and markdown, mkdocs and
                                       mkdocs-roamlinks-plugin, zensical, sphinx and myst-parser
--zensical FOLDER (BENCH_ZENSICAL)     a virtual environment of its own for zensical

MkDocs (through roamlinks) and Quartz read the notes as they are. For the others every `[[note]]` is
written as an ordinary link beforehand, every `![[note]]` as a link too, and the title into the front matter;
the time for that is not counted, which favours them. Each is set up to be quick: caches on, where it has
them, no navigation that repeats all notes in every page, no feeds (but Quartz, which has them by default).
"""

from __future__ import annotations

import argparse
import html
import json
import os
import posixpath
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from statistics import median
from textwrap import dedent

from tests.bench.build import BASELINE, ROOT, machine
from tests.bench.processes import Measured, measured

SITUATIONS = ("cold", "unchanged", "one edit")
FEATURES = ("wikilinks", "backlinks", "previews", "search", "graph", "formulas", "code in colour")


# What is built: one garden in several spellings.


@dataclass(frozen=True, slots=True)
class Note:
    """Of the generated garden: `name` is its path without `.md`."""

    name: str
    text: str

    @property
    def title(self) -> str:
        return PurePosixPath(self.name).name

    @property
    def slug(self) -> str:
        return slug(self.name)


def slug(name: str) -> str:
    return name.lower().replace(" ", "-")


@dataclass(frozen=True, slots=True)
class Garden:
    """A folder of notes; `paths` are theirs without `.md`, the first is `index`."""

    folder: Path
    paths: tuple[str, ...]

    def notes(self) -> Iterator[Note]:
        """One at a time: a large garden is never held."""
        for path in self.paths:
            yield self.note(path)

    def note(self, path: str) -> Note:
        return Note(path, (self.folder / f"{path}.md").read_text("utf-8"))

    def edited(self, round_: int) -> str:
        """The note that is edited in this round: of the root, and linked to by many."""
        root = [path for path in self.paths[1:] if "/" not in path]
        return root[round_ % len(root)]

    def known(self) -> tuple[Note, str, str]:
        """A note in the middle, a plain sentence of it, and the path of another that it links to."""
        by_title = {PurePosixPath(path).name: path for path in self.paths}
        for path in self.paths[len(self.paths) // 2 :]:
            note = self.note(path)
            sentence = re.search(r"(?<= )[A-Z][a-z ]{45,}\.(?= )", note.text)
            for link in LINK.finditer(note.text):
                other = by_title[PurePosixPath(link["target"]).name]
                if sentence and other not in ("index", path):
                    return note, sentence[0], other
        raise SystemExit("No note of this garden has a plain sentence and a link: ask for more notes.")


LINK = re.compile(r"!?\[\[(?P<target>[^\]|]+)(?:\|(?P<text>[^\]]*))?\]\]")

Address = Callable[[str, str], str]
"""How a link of one note (the first slug) to another (the second) is spelled."""


@dataclass(frozen=True, slots=True)
class Spelling:
    """Writes a note with ordinary links; `index` is what the first note's file is called.

    `rooted`: an alias is the address of a page that leads here, not a name.
    """

    address: Address
    index: str = "index"
    heading: bool = False
    pelican: bool = False
    rooted: bool = False

    def note(self, note: Note, slugs: Mapping[str, str]) -> str:
        _, front, body = note.text.split("---\n", 2)
        body = self.links(body, note.slug, slugs)
        if self.rooted:
            front = re.sub(r"aliases: \[(.*)\]", lambda found: f"aliases: [/{slug(found[1])}]", front)
        title = note.title.capitalize()
        if self.pelican:
            created = re.search(r"created: (\S+)", front)
            tags = re.search(r"tags: \[(.*)\]", front)
            assert created and tags
            return f"Title: {title}\nDate: {created[1]}\nTags: {tags[1]}\nSlug: {slug(note.title)}\n{body}"
        return (
            f"---\ntitle: {title}\n{front}---\n{f'{chr(10)}# {title}{chr(10)}' if self.heading else ''}{body}"
        )

    def links(self, text: str, here: str, slugs: Mapping[str, str]) -> str:
        def link(found: re.Match[str]) -> str:
            title = PurePosixPath(found["target"]).name
            return f"[{found['text'] or title}]({self.address(here, slugs[title])})"

        return LINK.sub(link, text)

    def file(self, note: Note) -> str:
        return f"{self.index if note.slug == 'index' else note.slug}.md"


def _relative(here: str, there: str) -> str:
    return posixpath.relpath(f"{there}.md", str(PurePosixPath(here).parent))


# Who builds it.


@dataclass(frozen=True, slots=True)
class Peer:
    """One generator, found and ready: how its folder is made and what is run in it.

    `spelling` is None where the notes are read as they are. `files` are written once (path to text), `links`
    are symbolic links (path to place), and `caches` go before a cold build. `features` are in the order
    of FEATURES; `output` and `notes` are folders in the peer's own.
    """

    name: str
    version: str
    command: tuple[str, ...]
    features: tuple[str, ...]
    notes: str
    output: str
    spelling: Spelling | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    copies: Mapping[str, Path] = field(default_factory=dict)
    links: Mapping[str, Path] = field(default_factory=dict)
    caches: tuple[str, ...] = ()
    codes: tuple[int, ...] = (0,)
    cwd: Path | None = None
    backlinks: bool = False

    def prepare(self, folder: Path, garden: Garden) -> None:
        """Write the folder: the notes in this peer's spelling, and what it is set up with."""
        for path, place in self.copies.items():
            if place.is_dir():
                shutil.copytree(place, folder / path, ignore=shutil.ignore_patterns(".quartz-cache"))
            else:
                _write(folder / path, place.read_text("utf-8"))
        for path, text in self.files.items():
            _write(folder / path, dedent(text).lstrip("\n"))
        for path, place in self.links.items():
            (folder / path).symlink_to(place)
        slugs = _slugs(garden)
        for note in garden.notes():
            text = self.spelling.note(note, slugs) if self.spelling else note.text
            _write(folder / self.notes / self.file(note), text)

    def file(self, note: Note) -> str:
        return self.spelling.file(note) if self.spelling else f"{note.name}.md"

    def clear(self, folder: Path) -> None:
        for path in (self.output, *self.caches):
            shutil.rmtree(folder / path, ignore_errors=True)

    def edit(self, folder: Path, note: Note, sentence: str, garden: Garden) -> None:
        text = sentence
        if self.spelling:
            text = self.spelling.links(sentence, note.slug, _slugs(garden))
        with (folder / self.notes / self.file(note)).open("a", encoding="utf-8") as file:
            file.write(f"\n{text}\n")

    def run(self, folder: Path, limit: float) -> Measured:
        command = tuple(part.replace("{folder}", str(folder)) for part in self.command)
        return measured(command, self.cwd or folder, {"CI": "1", "NO_COLOR": "1"}, limit)


def _slugs(garden: Garden) -> dict[str, str]:
    return {PurePosixPath(path).name: slug(path) for path in garden.paths}


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


PAGE = (
    "<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title><h1>{title}</h1>{content}{more}"
)


@dataclass(frozen=True, slots=True)
class Missing:
    """A peer that was not found, and a sentence that says what to do."""

    name: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Found:
    """Where the options, the environment and PATH say that programs are."""

    options: argparse.Namespace

    def place(self, name: str, program: str = "") -> str:
        """An absolute path, or nothing. A path that was given and is wrong is an error."""
        given = getattr(self.options, name) or os.environ.get(f"BENCH_{name.upper().removesuffix('_PEERS')}")
        if given and not Path(given).exists():
            raise SystemExit(f"There is nothing at {given}, which was given for {name.replace('_', '-')}.")
        # A program in a virtual environment is a link that must not be followed.
        return str(Path(given).absolute()) if given else (program and shutil.which(program)) or ""

    def python(self, name: str, *packages: str) -> tuple[str, str]:
        """The Python that has all these packages, and their versions; or nothing and nothing."""
        code = (
            "import sys; from importlib.metadata import version; print(*map(version, sys.argv[1:]), sep='|')"
        )
        for folder in filter(None, (name and self.place(name), self.place("python_peers"))):
            python = f"{folder}/bin/python"
            asked = subprocess.run([python, "-c", code, *packages], capture_output=True, text=True)
            if asked.returncode == 0:
                versions = asked.stdout.strip().split("|")
                return python, " + ".join(map(" ".join, zip(packages, versions, strict=True)))
        return "", ""


def _ours(found: Found) -> Peer | Missing:
    head = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True
    ).stdout.strip()
    return Peer(
        "ours",
        f"commit {head}" if head else "of this folder",
        (
            sys.executable, "build.py", "--notes", "{folder}/notes", "--out", "{folder}/site",
            "--cache", "{folder}/cache", "--no-exec", "--no-strict", "--format", "json",
        ),
        ("yes", "with their context", "yes", "yes", "yes", "MathML", "Pygments"),
        "notes",
        "site",
        caches=("cache",),
        codes=(0, 1),  # 1: problems in the notes.
        cwd=ROOT,
        backlinks=True,
    )  # fmt: skip


def _hugo(found: Found) -> Peer | Missing:
    program = found.place("hugo", "hugo")
    if not program:
        return Missing("hugo", "Hugo was not found: give its program with --hugo.")
    version = subprocess.run([program, "version"], capture_output=True, text=True).stdout
    match = re.search(r"v(\d+\.(\d+)\.\S*?\d+)", version)
    if match and int(match[2]) < 123:
        return Missing("hugo", f"Hugo {match[1]} is too old: 0.123 or newer finds pages by their paths.")
    # One pass over all sources, once a build: links by the path of the page that they name.
    index = r"""
        {{- $found := newScratch -}}
        {{- range site.Pages -}}
          {{- $from := . -}}
          {{- range findRE `\]\(/[^)]*\)` .RawContent -}}
            {{- $to := strings.TrimSuffix ")" (strings.TrimPrefix "](" .) -}}
            {{- $found.SetInMap $to $from.Path $from -}}
          {{- end -}}
        {{- end -}}
        {{- return $found -}}
        """
    page = PAGE.format(
        title="{{ .Title }}",
        content="{{ .Content }}",
        more='{{ with (partialCached "links.html" site).Get .Path }}<h2>Backlinks</h2><ul>{{ range . }}'
        "<li><a href={{ .RelPermalink }}>{{ .Title }}</a>{{ end }}</ul>{{ end }}",
    )
    config = """
        baseURL = "https://example.org/"
        title = "Garden"
        disableKinds = ["RSS", "sitemap", "404", "taxonomy", "term"]
        [markup.goldmark.extensions.passthrough]
        enable = true
        [markup.goldmark.extensions.passthrough.delimiters]
        block = [["$$", "$$"]]
        inline = [["$", "$"]]
        """
    hook = """
        {{- $to := .Destination -}}
        {{- if hasPrefix $to "/" -}}
          {{- with site.GetPage $to }}{{ $to = .RelPermalink }}
          {{- else }}{{ errorf "no page %s" $to }}{{ end -}}
        {{- end -}}
        <a href="{{ $to }}">{{ .Text }}</a>
        {{- /**/ -}}
        """
    return Peer(
        "hugo",
        f"Hugo {match[1] if match else version.strip()}",
        (program, "--logLevel", "error"),
        ("links written beforehand, resolved by a render hook", "titles, by a template", "no", "no", "no",
         "passed through", "Chroma"),
        "content",
        "public",
        spelling=Spelling(
            lambda here, there: "/" if there == "index" else f"/{there}", index="_index", rooted=True
        ),
        files={
            "hugo.toml": config,
            "layouts/partials/links.html": index,
            "layouts/_default/single.html": page,
            "layouts/_default/list.html": page,
            "layouts/_default/_markup/render-link.html": hook,
        },
        caches=("resources",),
        backlinks=True,
    )  # fmt: skip


def _eleventy(found: Found) -> Peer | Missing:
    folder, node = found.place("eleventy"), found.place("node", "node")
    if not folder or not node:
        which = "Eleventy was not found: give --eleventy" if node else "Eleventy needs Node: give --node"
        return Missing("eleventy", f"{which}.")
    package = Path(folder, "node_modules/@11ty/eleventy")
    # Templates in notes are off: notes have none, and without them Eleventy is faster.
    config = """
        export default function (config) {
          return { dir: { input: "notes", includes: "_includes", output: "_site" },
                   markdownTemplateEngine: false };
        }
        """
    page = PAGE.format(title="{{ title }}", content="{{ content | safe }}", more="")
    return Peer(
        "eleventy",
        f"Eleventy {_version(package)}, {_node(node)}",
        (node, str(package / "cmd.cjs"), "--config=eleventy.config.mjs", "--quiet"),
        ("links written beforehand", "no", "no", "no", "no", "not understood", "no"),
        "notes",
        "_site",
        spelling=Spelling(lambda here, there: "/" if there == "index" else f"/{there}/"),
        files={
            "eleventy.config.mjs": config,
            "notes/_includes/note.njk": page,
            "notes/notes.11tydata.json": '{"layout": "note.njk"}',
        },
        caches=(".cache",),
    )


def _pelican(found: Found) -> Peer | Missing:
    python, version = found.python("", "pelican", "Markdown")
    if not python:
        return Missing("pelican", "Pelican was not found: give an environment with it to --python-peers.")
    config = """
        SITENAME = "Garden"
        PATH = "content"
        OUTPUT_PATH = "output"
        TIMEZONE = "UTC"
        DIRECT_TEMPLATES = []
        FEED_ALL_ATOM = CATEGORY_FEED_ATOM = TRANSLATION_FEED_ATOM = None
        AUTHOR_FEED_ATOM = AUTHOR_FEED_RSS = None
        CACHE_CONTENT = LOAD_CONTENT_CACHE = True
        CHECK_MODIFIED_METHOD = "mtime"
        CACHE_PATH = "cache"
        """
    return Peer(
        "pelican",
        version,
        (python, "-m", "pelican", "--quiet", "--settings", "pelicanconf.py"),
        ("links written beforehand", "no", "no", "no", "no", "not understood", "Pygments"),
        "content",
        "output",
        spelling=Spelling(lambda here, there: f"{{filename}}/{there}.md", pelican=True),
        files={"pelicanconf.py": config},
        caches=("cache",),
    )


def _mkdocs(found: Found) -> Peer | Missing:
    python, version = found.python("", "mkdocs", "mkdocs-roamlinks-plugin")
    if not python:
        return Missing(
            "mkdocs", "MkDocs with roamlinks was not found: give an environment to --python-peers."
        )
    config = """
        site_name: Garden
        docs_dir: notes
        site_dir: site
        theme: mkdocs
        plugins: [search, roamlinks]
        nav: [index.md]
        not_in_nav: "*"
        """
    return Peer(
        "mkdocs",
        version,
        (python, "-m", "mkdocs", "build", "--quiet"),
        ("yes, by roamlinks", "no", "no", "yes", "no", "not understood", "in the browser"),
        "notes",
        "site",
        files={"mkdocs.yml": config},
    )


def _zensical(found: Found) -> Peer | Missing:
    python, version = found.python("zensical", "zensical")
    if not python:
        return Missing("zensical", "Zensical was not found: give an environment with it to --zensical.")
    config = """
        [project]
        site_name = "Garden"
        docs_dir = "notes"
        site_dir = "site"
        nav = ["index.md"]
        """
    return Peer(
        "zensical",
        version,
        (python, "-m", "zensical", "build"),
        ("links written beforehand", "no", "no", "yes", "no", "for MathJax", "Pygments"),
        "notes",
        "site",
        spelling=Spelling(_relative),
        files={"zensical.toml": config},
        caches=(".cache",),
    )


def _sphinx(found: Found) -> Peer | Missing:
    python, version = found.python("", "sphinx", "myst-parser")
    if not python:
        return Missing("sphinx", "Sphinx with MyST was not found: give an environment to --python-peers.")
    config = """
        project = "Garden"
        extensions = ["myst_parser", "sphinx.ext.mathjax"]
        myst_enable_extensions = ["dollarmath"]
        html_theme = "alabaster"
        suppress_warnings = ["toc.not_included", "myst"]
        """
    return Peer(
        "sphinx",
        version,
        (
            python,
            "-m",
            "sphinx",
            "-q",
            "-j",
            "auto",
            "-b",
            "html",
            "-d",
            "doctrees",
            "-c",
            ".",
            "notes",
            "html",
        ),
        ("links written beforehand", "no", "no", "yes", "no", "for MathJax", "Pygments"),
        "notes",
        "html",
        spelling=Spelling(_relative, heading=True),
        files={"conf.py": config},
        caches=("doctrees",),
    )


def _quartz(found: Found) -> Peer | Missing:
    folder, node = found.place("quartz"), found.place("node", "node")
    if not folder or not node:
        which = "Quartz was not found: give --quartz" if node else "Quartz needs Node: give --node"
        return Missing("quartz", f"{which}.")
    shades = ("light", "lightgray", "gray", "darkgray", "dark", "secondary", "tertiary", "highlight")
    colours = ", ".join(f'{name}: "#456"' for name in (*shades, "textHighlight"))
    # Fonts are local: with others a build waits for the network.
    config = f"""
        import {{ QuartzConfig }} from "./quartz/cfg"
        import * as Plugin from "./quartz/plugins"
        const colours = {{ {colours} }}
        const config: QuartzConfig = {{
          configuration: {{
            pageTitle: "Garden", enableSPA: true, enablePopovers: true, analytics: null, locale: "en-US",
            baseUrl: "example.org", ignorePatterns: [], defaultDateType: "created",
            theme: {{
              fontOrigin: "local", cdnCaching: true,
              typography: {{ header: "serif", body: "serif", code: "monospace" }},
              colors: {{ lightMode: colours, darkMode: colours }},
            }},
          }},
          plugins: {{
            transformers: [
              Plugin.FrontMatter(), Plugin.CreatedModifiedDate({{ priority: ["frontmatter", "filesystem"] }}),
              Plugin.SyntaxHighlighting(), Plugin.ObsidianFlavoredMarkdown(),
              Plugin.GitHubFlavoredMarkdown(), Plugin.TableOfContents(),
              Plugin.CrawlLinks({{ markdownLinkResolution: "shortest" }}), Plugin.Description(),
              Plugin.Latex({{ renderEngine: "katex" }}),
            ],
            filters: [Plugin.RemoveDrafts()],
            emitters: [
              Plugin.AliasRedirects(), Plugin.ComponentResources(), Plugin.ContentPage(),
              Plugin.FolderPage(), Plugin.TagPage(), Plugin.ContentIndex(), Plugin.Assets(),
              Plugin.Static(), Plugin.NotFoundPage(),
            ],
          }},
        }}
        export default config
        """
    layout = """
        import { PageLayout, SharedLayout } from "./quartz/cfg"
        import * as Component from "./quartz/components"
        export const sharedPageComponents: SharedLayout = {
          head: Component.Head(), header: [], afterBody: [], footer: Component.Footer({ links: {} }),
        }
        export const defaultContentPageLayout: PageLayout = {
          beforeBody: [Component.Breadcrumbs(), Component.ArticleTitle(), Component.ContentMeta(),
                       Component.TagList()],
          left: [Component.PageTitle(), Component.Search(), Component.Darkmode(), Component.Explorer()],
          right: [Component.Graph(), Component.TableOfContents(), Component.Backlinks()],
        }
        export const defaultListPageLayout: PageLayout = {
          beforeBody: [Component.Breadcrumbs(), Component.ArticleTitle(), Component.ContentMeta()],
          left: [Component.PageTitle(), Component.Search(), Component.Darkmode(), Component.Explorer()],
          right: [],
        }
        """
    place = Path(folder)
    kept = ("quartz", "package.json", "tsconfig.json", "globals.d.ts", "index.d.ts")
    return Peer(
        "quartz",
        f"Quartz {_version(place)}, {_node(node)}",
        (node, "quartz/bootstrap-cli.mjs", "build", "-d", "content", "-o", "public"),
        ("yes", "titles", "yes", "yes", "yes", "KaTeX", "Shiki"),
        "content",
        "public",
        files={"quartz.config.ts": config, "quartz.layout.ts": layout},
        copies={name: place / name for name in kept if (place / name).exists()},
        links={"node_modules": place / "node_modules"},
        backlinks=True,
    )


def _version(package: Path) -> str:
    return str(json.loads((package / "package.json").read_text("utf-8"))["version"])


def _node(node: str) -> str:
    return f"Node {subprocess.run([node, '--version'], capture_output=True, text=True).stdout.strip()}"


PEERS: Mapping[str, Callable[[Found], Peer | Missing]] = {
    "ours": _ours,
    "hugo": _hugo,
    "eleventy": _eleventy,
    "pelican": _pelican,
    "zensical": _zensical,
    "quartz": _quartz,
    "mkdocs": _mkdocs,
    "sphinx": _sphinx,
}


# Whether it was built.


def wanting(site: Path, garden: Garden, backlinks: bool, edit: tuple[str, str] | None) -> str:
    """What the site of `garden` lacks, as a sentence, or nothing.

    `edit` is a note that was edited, and what it says now: among others a link to the known one.
    """
    pages = list(site.rglob("*.html"))
    if len(pages) < len(garden.paths):
        return f"it wrote {len(pages)} HTML files for {len(garden.paths)} notes"
    note, sentence, other = garden.known()
    texts = _texts(pages, note.name)
    if not any(sentence in text for text in texts):
        return f"no page of “{note.name}” says “{sentence}”"
    if all("[[" in text for text in texts):
        return f"the page of “{note.name}” has a link that stayed as it is written"
    if backlinks and not any(note.title in text for text in _texts(pages, other)):
        return f"the page of “{other}” does not say that “{note.name}” links to it"
    if edit and not any(edit[1] in text for text in _texts(pages, edit[0])):
        return f"the page of “{edit[0]}” does not hold the edit"
    if edit and backlinks and not any(PurePosixPath(edit[0]).name in text for text in texts):
        return f"the page of “{note.name}” does not say that “{edit[0]}” links to it now"
    return ""


def _texts(pages: Sequence[Path], name: str) -> list[str]:
    """The plain text of the pages that may be the note's, in any of the usual spellings of its address."""
    wanted = slug(PurePosixPath(name).name)
    texts = []
    for page in pages:
        stem = page.parent.name if page.name == "index.html" else page.stem
        if slug(stem) == wanted:
            source = re.sub(r"(?s)<(script|style)\b.*?</\1>", " ", page.read_text("utf-8"))
            texts.append(" ".join(html.unescape(re.sub(r"<[^>]*>", " ", source)).split()))
    return texts


# The measurement.


@dataclass(slots=True)
class Entrant:
    """A peer in its folder, what was measured of it, and why it is out, if it is."""

    peer: Peer
    folder: Path
    runs: dict[str, list[Measured]]
    out: str = ""

    def build(self, situation: str, garden: Garden, limit: float, edit: tuple[str, str] | None) -> None:
        if self.out:
            return
        time.sleep(0.1)  # No file may look as if it were still being changed.
        run = self.peer.run(self.folder, limit)
        if run.code == -9:
            self.out = f"{situation}: it was ended after {limit:.0f} s, or for want of memory"
        elif run.code not in self.peer.codes:
            said = (run.errors.strip() or run.output.strip()).splitlines()
            self.out = f"{situation}: exit code {run.code}: {said[-1] if said else 'it said nothing'}"
        elif lack := wanting(self.folder / self.peer.output, garden, self.peer.backlinks, edit):
            self.out = f"{situation}: {lack}"
        else:
            self.runs[situation].append(run)
            print(f"{self.peer.name} {situation} {run.wall:.2f} s", file=sys.stderr, flush=True)

    def middle(self, situation: str) -> float | None:
        runs = self.runs[situation]
        return median(run.wall for run in runs) if runs and not self.out else None


def measure(
    peers: Sequence[Peer], notes: int, runs: int, seed: int, limit: float, work: Path | None
) -> tuple[list[Entrant], list[Measured]]:
    """Build one garden with everybody, in turns; also the runs of bare markdown-it-py."""
    with tempfile.TemporaryDirectory(dir=work) as place:
        source = Path(place, "garden")
        # In a process of its own: the memory of this one would count as that of the processes it starts.
        subprocess.run(
            [sys.executable, "-m", "tests.bench.gardens", source, "--notes", str(notes), "--seed", str(seed)],
            cwd=ROOT,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        paths = sorted(str(file.relative_to(source).with_suffix("")) for file in source.rglob("*.md"))
        paths.remove("index")
        garden = Garden(source, ("index", *paths))
        entrants = [
            Entrant(peer, Path(place, peer.name), {name: [] for name in SITUATIONS}) for peer in peers
        ]
        for entrant in entrants:
            entrant.peer.prepare(entrant.folder, garden)
        bare = []
        for round_ in range(runs):
            bare.append(measured([sys.executable, "-c", BASELINE, str(source)], ROOT))
            for entrant in entrants:
                _round(entrant, garden, round_, limit)
        return entrants, bare


def _round(entrant: Entrant, garden: Garden, round_: int, limit: float) -> None:
    if entrant.out:
        return
    entrant.peer.clear(entrant.folder)
    entrant.build("cold", garden, limit, None)
    entrant.build("unchanged", garden, limit, None)
    edited = garden.edited(round_)
    says = f"One more sentence, number {round_}, with links to"
    sentence = f"{says} [[index]] and to [[{garden.known()[0].title}]]."
    entrant.peer.edit(entrant.folder, garden.note(edited), sentence, garden)
    entrant.build("one edit", garden, limit, (edited, says))


# The tables.


def tables(entrants: Sequence[Entrant], bare: Sequence[Measured]) -> str:
    head = ("wall, s", "range", "CPU, s", "largest process, MB", "all together, MB", "ours ÷ it")
    rows: list[tuple[str, ...]] = [("who", "what", *head)]
    ours = next((entrant for entrant in entrants if entrant.peer.name == "ours"), None)
    rows.append(
        _row("bare markdown-it-py", "reads, parses, renders", bare, ours.middle("cold") if ours else None)
    )
    for situation in SITUATIONS:
        for entrant in entrants:
            if not entrant.out:
                base = ours.middle(situation) if ours else None
                rows.append(_row(entrant.peer.name, situation, entrant.runs[situation], base))
    does: list[tuple[str, ...]] = [("who", "version", *FEATURES)]
    does += [(entrant.peer.name, entrant.peer.version, *entrant.peer.features) for entrant in entrants]
    return f"{_table(rows)}\n\n{_table(does)}"


def _row(name: str, what: str, runs: Sequence[Measured], ours: float | None) -> tuple[str, ...]:
    walls = [run.wall for run in runs]
    return (
        name,
        what,
        f"{median(walls):.2f}",
        f"{min(walls):.2f}–{max(walls):.2f}",
        f"{median(run.cpu for run in runs):.2f}",
        f"{max(run.largest for run in runs):.0f}",
        f"{max(run.together for run in runs):.0f}",
        f"{ours / median(walls):.3f}" if ours else "",
    )


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    lines = [rows[0], tuple("---" for _ in rows[0]), *rows[1:]]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench peers",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--notes", type=int, nargs="+", default=[1000], metavar="N")
    parser.add_argument("--runs", type=int, default=3, metavar="N")
    parser.add_argument("--seed", type=int, default=1, metavar="N")
    parser.add_argument("--only", nargs="+", choices=tuple(PEERS), metavar="NAME", help=", ".join(PEERS))
    parser.add_argument("--limit", type=float, default=1800, metavar="SECONDS", help="for one build")
    parser.add_argument("--work", type=Path, metavar="FOLDER", help="where to build (else the system's)")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the tables there too")
    for name in ("hugo", "node", "eleventy", "quartz", "python-peers", "zensical"):
        parser.add_argument(f"--{name}", metavar="PATH")
    asked = parser.parse_args(arguments)
    here = machine()
    found = Found(asked)
    answers = [make(found) for name, make in PEERS.items() if name in (asked.only or PEERS)]
    peers = [answer for answer in answers if isinstance(answer, Peer)]
    remarks = [answer.sentence for answer in answers if isinstance(answer, Missing)]
    for remark in remarks:
        print(remark, file=sys.stderr, flush=True)
    if not asked.only and [peer.name for peer in peers] == ["ours"]:
        print("No peer was found, so that there is nothing to compare. " + " ".join(remarks))
        return
    parts = []
    for notes in asked.notes:
        entrants, bare = measure(peers, notes, asked.runs, asked.seed, asked.limit, asked.work)
        failed = [f"{entrant.peer.name} is out, {entrant.out}." for entrant in entrants if entrant.out]
        said = "".join(f"\n\n{sentence}" for sentence in [*remarks, *failed])
        parts.append(
            f"{notes:,} notes, medians of {asked.runs} runs on {here}.{said}\n\n{tables(entrants, bare)}\n"
        )
        print(parts[-1], flush=True)
    if asked.write:
        asked.write.write_text("\n".join(parts), encoding="utf-8")


if __name__ == "__main__":
    main()

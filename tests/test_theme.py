"""The theme: what templates promise to scripts, to other themes and to a hostile note."""

from __future__ import annotations

import gzip
import posixpath
import re
import subprocess
import sys
from dataclasses import fields, replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
from selectolax.lexbor import LexborHTMLParser

sys.path.append(str(Path(__file__).parent / "browser"))

import sample

from generator import theme
from generator.config import Config
from generator.model import (
    Html,
    ListGroup,
    ListPage,
    MessagePage,
    OutPath,
    Page,
    PreviewPage,
    RedirectPage,
    Ref,
    Slug,
)

CONFIG = Config(title="A small garden", base_url="https://garden.example/")
PAGES = {page.out: page for page in sample.pages()}
WHOLE = [page for page in PAGES.values() if page.template != "preview"]
HOSTILE = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>{{ 7*7 }}&amp;"


def rendered(page: Page, config: Config = CONFIG) -> LexborHTMLParser:
    return LexborHTMLParser(theme.render(page, config).decode())


def name_of(page: Page) -> str:
    return page.out


def test_a_note_carries_the_hooks_that_scripts_rely_on() -> None:
    html = rendered(PAGES[OutPath("gaussian.html")])
    for hook in (
        "article.note[data-slug='gaussian'][data-grade='failed']",
        "a[data-link='found'][data-slug][data-preview]",
        "a[data-link='missing']",
        "a[data-link='external']",
        ".cell[data-label][data-grade] .cell-code",
        ".cell .cell-output",
        ".cell .cell-badge",
        "section.backlinks .backlink[data-source='cholesky'] .context mark",
        "nav.toc a[href='#the-likelihood']",
        ".callout[data-type]",
        ".embed[data-source]",
        ".problem[data-code='link-missing']",
        ".footnotes li#fn-1 a[href='#fnref-1']",
    ):
        assert html.css_first(hook) is not None, hook


def test_a_preview_is_a_fragment_and_nothing_else() -> None:
    data = PreviewPage(Slug("a/b"), "Title", "ran", Html("<p>body</p>"))
    html = theme.render(Page(OutPath("previews/a/b.html"), "preview", "../../", data), CONFIG).decode()
    assert html == (
        '<div class="preview" data-slug="a/b" data-grade="ran">\n'
        '<p class="preview-title">Title <span class="grade">ran</span></p>\n'
        '<div class="preview-body">\n<p>body</p>\n</div>\n</div>'
    )


def test_a_redirect_works_without_script_and_names_the_note() -> None:
    html = rendered(Page(OutPath("old.html"), "redirect", "", RedirectPage("New", "a/new.html")))
    assert html.css_first("meta[http-equiv='refresh']").attributes["content"] == "0; url=a/new.html"
    assert html.css_first("main a").attributes["href"] == "a/new.html"
    assert html.css_first("link[rel='canonical']").attributes["href"] == "a/new.html"
    assert html.css_first("script") is None


def poisoned(value: Any) -> Any:
    """`value` with every text in it hostile, except for markup, which is trusted by its type."""
    if isinstance(value, Html) or not value:
        return value
    if isinstance(value, str):
        return HOSTILE
    if isinstance(value, tuple):
        return tuple(map(poisoned, value))
    if hasattr(value, "__dataclass_fields__"):
        return replace(value, **{f.name: poisoned(getattr(value, f.name)) for f in fields(value)})
    return value


@pytest.mark.parametrize("page", PAGES.values(), ids=name_of)
def test_hostile_text_in_any_field_stays_text(page: Page) -> None:
    hostile = Page(page.out, page.template, page.root, poisoned(page.data))
    config = replace(CONFIG, title=HOSTILE, description=HOSTILE, lang=HOSTILE)
    html = rendered(hostile, config)
    assert [s for s in html.css("script") if not (s.attributes.get("src") or "").startswith(page.root)] == []
    assert [s.text() for s in html.css("script") if s.text()] == []
    assert html.css("img[src='x'], [onerror]") == []
    assert HOSTILE.encode() not in theme.render(hostile, config)


@pytest.mark.parametrize("page", WHOLE, ids=name_of)
def test_a_page_has_a_policy_and_nothing_inline_that_it_forbids(page: Page) -> None:
    html = rendered(page)
    policy = html.css_first("meta[http-equiv='Content-Security-Policy']").attributes["content"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert html.css("style, [style], script:not([src])") == []
    handlers = [a for node in html.css("*") for a in node.attributes if a.startswith("on")]
    assert handlers == []


@pytest.mark.parametrize("page", WHOLE, ids=name_of)
def test_every_file_that_a_page_loads_is_in_the_site(page: Page) -> None:
    files = theme.static_files()
    html = rendered(page)
    loaded = [node.attributes["src"] for node in html.css("script[src]")]
    loaded += [node.attributes["href"] for node in html.css("link[rel='stylesheet'], link[rel='icon']")]
    assert loaded
    for address in loaded:
        assert address.startswith(page.root)
        assert address.removeprefix(page.root) in files


def test_every_file_that_the_style_sheet_and_the_scripts_load_is_in_the_site() -> None:
    files = theme.static_files(diagrams=True)
    css = files[OutPath("static/garden.css")].decode()
    assert "@import" not in css
    urls = [url for url in re.findall(r'url\("([^"]+)"\)', css) if not url.startswith("data:")]
    used = [("static/garden.css", url) for url in urls]
    for out, data in files.items():
        if out.endswith(".js") and not out.endswith(".min.js"):
            names = re.findall(r'(?:from |import\(|import )"(\.[^"]+)"', data.decode())
            used += [(out, name) for name in names]
    assert len(used) > len(urls) > 0
    assert [
        one for one in used if posixpath.normpath(f"{posixpath.dirname(one[0])}/{one[1]}") not in files
    ] == []


def test_every_font_comes_with_its_licence() -> None:
    files = theme.static_files()
    about = files[OutPath("static/fonts/README.txt")].decode()
    fonts = [out for out in files if out.endswith(".woff2")]
    patterns = re.findall(r"^[\w*-]+\.woff2", about, re.M)
    assert len(fonts) > len(patterns) == 3
    assert all(any(fnmatch(out, f"static/fonts/{one}") for one in patterns) for out in fonts)
    named = re.findall(r"[\w-]+\.txt", about)
    assert len(named) >= 3
    assert all(OutPath(f"static/fonts/{name}") in files for name in named)


def test_a_page_with_its_style_and_scripts_is_below_fifty_kilobytes() -> None:
    """What is fetched before anything is asked for: scripts, and what they import at once."""
    files = theme.static_files()
    page = theme.render(PAGES[OutPath("gaussian.html")], CONFIG)
    wanted = re.findall(r'(?:src|href)="(?:\.\./)*(static/[\w/]+\.(?:css|js))"', page.decode())
    assert len(wanted) > 8
    for out in wanted:
        folder = out.rpartition("/")[0]
        imports = re.findall(r'^import [^;]*"\./([\w/]+\.js)"', files[OutPath(out)].decode(), re.MULTILINE)
        wanted += [name for one in imports if (name := f"{folder}/{one}") not in wanted]
    parts = [page, *(files[OutPath(out)] for out in wanted)]
    assert sum(len(gzip.compress(part)) for part in parts) < 50_000


def test_every_colour_and_face_is_a_token() -> None:
    css = Path(theme.__file__).parent.parent / "static" / "css"
    for name in set(theme.SHEETS) - {"tokens", "print"}:
        text = re.sub(r"url\(.*?\)|/\*.*?\*/", "", (css / f"{name}.css").read_text("utf-8"), flags=re.S)
        assert re.findall(r"#[0-9a-f]{3,8}\b|\brgb|\bhsl|font-family: (?!var)[^;]+", text) == [], name


def test_a_note_is_in_its_own_language_and_a_list_in_the_garden_s() -> None:
    note = PAGES[OutPath("gaussian.html")]
    german = replace(note, data=replace(note.data, lang="de"))  # type: ignore[type-var]
    assert rendered(german).css_first("html").attributes["lang"] == "de"
    assert rendered(PAGES[OutPath("all.html")]).css_first("html").attributes["lang"] == "en"


def test_addresses_are_absolute_only_where_the_site_s_address_is_known() -> None:
    note = PAGES[OutPath("gaussian.html")]
    known = rendered(note).css_first("link[rel='canonical']").attributes["href"]
    assert known == "https://garden.example/gaussian.html"
    assert rendered(note, Config()).css_first("link[rel='canonical']") is None


def test_a_list_shows_counts_dates_and_nested_tags() -> None:
    data = ListPage(
        "#jax",
        "2 notes with this tag.",
        (ListGroup("", (Ref("Note", "../n.html", "n", "ran", date="2026-11-24T10:00:00"),)),),
        (Ref("#jax/vmap", "jax/vmap.html", count=3),),
    )
    html = rendered(Page(OutPath("tags/jax.html"), "list", "../", data))
    assert html.css_first(".children .count").text() == "3"
    assert html.css_first(".refs time").text() == "2026-11-24"
    assert html.css_first(".refs a").attributes["data-preview"] == "../previews/n.html"
    assert html.css(".group h2") == []


def test_a_field_that_a_template_asks_for_and_a_page_lacks_is_an_error() -> None:
    from jinja2 import UndefinedError

    with pytest.raises(UndefinedError):
        theme.render(Page(OutPath("x.html"), "note", "", MessagePage("a", "b")), CONFIG)


def test_rendering_twice_gives_the_same_bytes() -> None:
    assert sample.site(CONFIG) == sample.site(CONFIG)


def test_importing_the_theme_does_not_import_jinja() -> None:
    code = "import sys, generator.theme; sys.exit('jinja2' in sys.modules or 'pygments' in sys.modules)"
    root = Path(theme.__file__).parent.parent
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0

"""What programs get: a feed, a map, a table of contents and all text, each by the rules of its format."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator import feeds
from generator.config import Config, Pages
from generator.model import OutPath
from generator.pages.plain import plain
from tests.support import made

HERE = "https://garden.example/notes/"
CONFIG = Config(title="A & B", description="Small <notes>", base_url=HERE, dates="none")
ATOM = "{http://www.w3.org/2005/Atom}"
MAP = "{http://www.sitemaps.org/schemas/sitemap/0.9}"
RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
NOTES = {
    "index.md": "---\ncreated: 2024-01-01\n---\n# Home\nTo [[a/Größe|it]] and [[#there]].\n\n## There\n\n"
    "x[^1]\n\n[^1]: y",
    "a/Größe.md": "---\ncreated: 2024-02-01\nmodified: 2024-02-03T10:30+02:00\ntags: [x/y]\nlang: de\n---\n"
    "1 < 2 & ]]> $x^2$",
    "undated.md": "![[pic.png]]",
}  # fmt: skip


def feed(notes: dict[str, str], config: Config = CONFIG) -> ElementTree.Element:
    return ElementTree.fromstring(made(notes, config, ["pic.png"]).text("feed.xml"))


# ---------------------------------------------------------------- the feed


def test_the_feed_has_what_the_standard_asks_for() -> None:
    root = feed(NOTES)
    assert root.tag == ATOM + "feed"
    for parent in (root, *root.findall(ATOM + "entry")):
        for name in ("id", "title", "updated"):
            assert len(parent.findall(ATOM + name)) == 1, name
        assert parent.findtext(ATOM + "id", "").startswith(HERE)
        assert RFC3339.fullmatch(parent.findtext(ATOM + "updated", ""))
        assert [link for link in parent.findall(ATOM + "link") if link.get("rel") == "alternate"]
    assert root.findtext(f"{ATOM}author/{ATOM}name") == "A & B"
    assert root.find(f"{ATOM}link[@rel='self']").get("href") == HERE + "feed.xml"  # type: ignore[union-attr]
    ids = [entry.findtext(ATOM + "id") for entry in root.findall(ATOM + "entry")]
    assert len(set(ids)) == len(ids)


def test_the_feed_is_as_new_as_the_newest_note_and_lists_that_first() -> None:
    root = feed(NOTES)
    assert root.findtext(ATOM + "updated") == "2024-02-03T08:30:00Z"
    entries = root.findall(ATOM + "entry")
    assert [entry.findtext(ATOM + "title") for entry in entries] == ["Größe", "Home"]
    assert entries[0].findtext(ATOM + "published") == "2024-02-01T00:00:00Z"
    assert entries[0].get("{http://www.w3.org/XML/1998/namespace}lang") == "de"


def test_a_note_without_a_date_is_not_in_the_feed_and_a_feed_without_entries_is_one() -> None:
    root = feed({"undated.md": "x"})
    assert root.findall(ATOM + "entry") == []
    assert RFC3339.fullmatch(root.findtext(ATOM + "updated", ""))


def test_every_address_in_the_feed_is_absolute() -> None:
    head = "---\ncreated: 2024-01-01\n---\n"
    text = "![[pic.png]] ![[index]] #tag <a href='a/Größe.md'>x</a>"
    root = feed({**NOTES, "undated.md": head + text})
    contents = "".join(entry.findtext(ATOM + "content", "") for entry in root.findall(ATOM + "entry"))
    addresses = re.findall(r'(?:href|src)="([^"]*)"', contents)
    assert len(addresses) > 5
    assert [address for address in addresses if not address.startswith(HERE)] == []
    assert not re.search(r'\b(id|class|data-[a-z-]+)="', contents)


def test_the_feed_holds_what_the_note_says() -> None:
    größe = feed(NOTES).findall(ATOM + "entry")[0]
    content = größe.find(ATOM + "content")
    assert content is not None
    assert content.get("type") == "html"
    assert "1 &lt; 2 &amp; ]]&gt; <math>" in (content.text or "")


def test_only_the_latest_twenty_notes_are_in_the_feed() -> None:
    many = {f"{i:02}.md": f"---\ncreated: 2024-01-{i + 1:02}\n---\n" for i in range(25)}
    titles = [entry.findtext(ATOM + "title") for entry in feed(many).findall(ATOM + "entry")]
    assert titles == [f"{i:02}" for i in range(24, 4, -1)]


@pytest.mark.parametrize("date", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59-12:00", "2024-01-01T00:00"])
def test_no_date_breaks_the_feed(date: str) -> None:
    root = feed({"a.md": f"---\ncreated: {date}\n---\n"})
    assert RFC3339.fullmatch(root.findtext(ATOM + "updated", ""))


@given(st.text(max_size=40), st.text(max_size=40))
def test_whatever_a_note_holds_the_feed_is_xml(title: str, text: str) -> None:
    head = f"---\ncreated: 2024-01-01\ntitle: {title!r}\n---\n"
    ElementTree.fromstring(made({"a.md": head + text}, CONFIG).text("feed.xml"))


def test_without_an_address_there_is_no_feed_and_no_map_and_nothing_that_leads_to_them() -> None:
    site = made(NOTES, Config(dates="none"), ["pic.png"])
    assert not {"feed.xml", "sitemap.xml"} & set(site.files)
    assert not any(b"feed.xml" in data for out, data in site.files.items() if out.endswith(".html"))


# ---------------------------------------------------------------- the map


def test_the_map_has_every_page_that_is_one_and_no_other() -> None:
    site = made({**NOTES, "b.md": "---\naliases: [old name]\n---\n"}, CONFIG, ["pic.png"])
    root = ElementTree.fromstring(site.text("sitemap.xml"))
    found = {url.findtext(MAP + "loc", ""): url.findtext(MAP + "lastmod") for url in root}
    assert {address for address in found if not address.startswith(HERE)} == set()
    assert found[HERE] == "2024-01-01"
    assert found[HERE + "a/gr%C3%B6%C3%9Fe.html"] == "2024-02-03"
    assert found[HERE + "recent.html"] is None
    assert not [
        address
        for address in found
        if re.search("404|old-name|previews|index", address.removesuffix("tags/index.html"))
    ]


def test_a_map_that_is_too_large_becomes_several(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "_MOST", 3)
    site = made({f"{i}.md": "" for i in range(5)}, CONFIG)
    index = ElementTree.fromstring(site.text("sitemap.xml"))
    parts = [sitemap.findtext(MAP + "loc", "").removeprefix(HERE) for sitemap in index]
    urls = [url.findtext(MAP + "loc") for part in parts for url in ElementTree.fromstring(site.text(part))]
    assert index.tag == MAP + "sitemapindex"
    assert {HERE + f"{i}.html" for i in range(5)} <= set(urls)
    assert len(set(urls)) == len(urls) > 5


# ---------------------------------------------------------------- about a page, for other sites


def test_a_page_says_what_it_is_to_those_who_link_to_it() -> None:
    head = "---\nimage: pic.png\ncreated: 2024-01-01\nmodified: 2024-01-02\ndescription: In short\n---\n"
    page = made({"sub/Größe.md": head, "index.md": ""}, CONFIG, ["pic.png"]).page("sub/größe.html")
    meta = {tag.attributes["property"]: tag.attributes["content"] for tag in page.css("meta[property]")}
    here = HERE + "sub/gr%C3%B6%C3%9Fe.html"
    assert meta == {
        "og:title": "Größe",
        "og:type": "article",
        "og:site_name": "A & B",
        "og:description": "In short",
        "og:image": HERE + "pic.png",
        "og:url": here,
        "article:published_time": "2024-01-01",
        "article:modified_time": "2024-01-02",
    }
    assert page.css_first("link[rel='canonical']").attributes["href"] == here
    assert page.css_first("link[type='application/atom+xml']").attributes["href"] == "../feed.xml"


def test_the_front_page_has_the_address_of_the_site() -> None:
    page = made({"index.md": ""}, CONFIG).page("index.html")
    assert page.css_first("link[rel='canonical']").attributes["href"] == HERE


def test_a_picture_that_is_missing_or_has_no_address_is_not_named() -> None:
    assert (
        made({"a.md": "---\nimage: gone.png\n---\n"}, CONFIG).page("a.html").css("meta[property='og:image']")
        == []
    )
    assert (
        made({"a.md": "---\nimage: pic.png\n---\n"}, Config(), ["pic.png"])
        .page("a.html")
        .css("meta[property='og:image']")
        == []
    )


# ---------------------------------------------------------------- for machines that read


def test_the_table_of_contents_names_every_note_and_what_it_says() -> None:
    text = made(NOTES, CONFIG, ["pic.png"]).text("llms.txt")
    assert text.startswith("# A & B\n\n> Small <notes>\n")
    assert f"- [Home]({HERE}): To it and " in text
    assert f"- [Größe]({HERE}a/gr%C3%B6%C3%9Fe.html): 1 < 2" in text


def test_all_text_is_in_one_file_in_the_order_of_the_notes() -> None:
    text = made(NOTES, CONFIG, ["pic.png"]).text("garden.md")
    assert re.findall(r"(?m)^# .*", text) == ["# A & B", "# Größe", "# Home", "# undated"]
    assert "1 < 2 & ]]> $x^2$" in text
    assert f"To [it]({HERE}a/gr%C3%B6%C3%9Fe.html) and " in text
    assert "[1]: y" in text


def test_the_one_file_can_be_left_out() -> None:
    site = made(NOTES, Config(pages=Pages(export=False)), ["pic.png"])
    assert "garden.md" not in site.files
    assert "garden.md" not in site.text("llms.txt")


def test_nothing_unpublished_is_in_the_one_file() -> None:
    notes = {"a.md": "---\nsecret-key: hush\n---\nOpen %%hush%% <!-- hush --> text.\n\n%%\nhush\n%%\n"}
    assert "hush" not in made(notes).text("garden.md")


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>One\ntwo <em>three</em> <strong>four</strong></p><p>x</p>", "One two *three* **four**\n\nx"),
        ("<h2>Title</h2>\n<p>&lt;b&gt;</p>", "## Title\n\n<b>"),
        ("<ul><li>a</li>\n<li>b\n<ol><li>c</li></ol></li></ul>", "- a\n- b\n  - c"),
        ("<blockquote><p>a</p><p>b</p></blockquote>", "> a\n\n> b"),
        ('<pre data-language="toml"><code><span>a</span> = 1\n</code></pre>', "```toml\na = 1\n```"),
        ("<pre><code>```\nx\n```</code></pre>", "````text\n```\nx\n```\n````"),
        ('<a href="x.html">y</a> <a href="#z">z</a>', "[y](x.html) z"),
        ("<table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table>", "a | b |\n1 | 2 |"),
        ('<img src="a.png" alt="A &amp; B">', "![A & B](a.png)"),
        ("<p>a<br>b</p>", "a\n\nb"),
        ("<p>a</p><ul><li>b</li></ul><p>c |</p>", "a\n\n- b\n\nc |"),
        (
            '<math display="block"><semantics><mi>x</mi><annotation encoding="application/x-tex">x &lt; 1'
            "</annotation></semantics></math>",
            "$$x < 1$$",
        ),
        ("<style>p{}</style><p>x</p><!-- no -->", "x"),
        ('<li><input type="checkbox" disabled checked> done</li>', "- [x]  done"),
    ],
)
def test_a_page_as_plain_text(html: str, text: str) -> None:
    assert plain(html) == text


@given(st.text("<>/ab \"'=&;pre math", max_size=60))
def test_any_markup_becomes_some_text(html: str) -> None:
    assert isinstance(plain(html), str)


def test_the_files_for_programs_have_names_that_no_note_can_take() -> None:
    assert all(not out.endswith(".html") for out in (feeds.FEED, feeds.SITEMAP, feeds.CONTENTS, feeds.EXPORT))
    assert OutPath("feed.xml") == feeds.FEED

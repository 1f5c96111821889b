"""The ways into a garden: lists by time, by demand and by tag, and what stands around a note."""

from __future__ import annotations

from selectolax.lexbor import LexborHTMLParser

from generator.config import Config
from tests.support import Made, made


def groups(page: LexborHTMLParser) -> dict[str, list[str]]:
    """Headings and what is listed below each."""
    return {
        section.css_first("h2").text(): [link.text() for link in section.css(".refs > li > a")]
        for section in page.css("section.group")
    }


def dated(created: str = "", modified: str = "", text: str = "") -> str:
    lines = [f"{key}: {value}" for key, value in (("created", created), ("modified", modified)) if value]
    return "\n".join(["---", *lines, "---", text])


# ---------------------------------------------------------------- by time


def test_recent_changes_are_listed_by_day_the_latest_first() -> None:
    site = made({
        "a.md": dated("2024-01-01"),
        "b.md": dated("2023-05-05", "2024-01-02T18:30"),
        "c.md": dated("2024-01-02"),
        "d.md": "Without a date.",
    })  # fmt: skip
    assert groups(site.page("recent.html")) == {"2024-01-02": ["b", "c"], "2024-01-01": ["a"]}


def test_a_change_before_the_beginning_is_none() -> None:
    site = made({"a.md": dated("2024-01-01", "2020-01-01")})
    assert [*groups(site.page("recent.html"))] == ["2024-01-01"]


def test_a_garden_without_dates_says_so() -> None:
    page = made({"a.md": ""}).page("recent.html")
    assert page.css_first(".intro").text() == "No note of this garden has a date."


def test_daily_notes_are_listed_by_month_the_latest_first() -> None:
    site = made({
        "journal/2024-01-31.md": "",
        "journal/2024-02-01.md": "---\ntitle: Walked far\n---\n",
        "journal/2024-02-02.md": "",
        "other.md": "---\ntitle: 2023-12-24\n---\n",
        "2024-02-30.md": "No such day.",
        "2024-02-03 Plans.md": "",
    })  # fmt: skip
    assert groups(site.page("daily.html")) == {
        "February 2024": ["2024-02-02", "Walked far"],
        "January 2024": ["2024-01-31"],
        "December 2023": ["2023-12-24"],
    }


def test_a_garden_without_daily_notes_has_no_page_for_them_and_no_link_to_it() -> None:
    site = made({"a.md": ""})
    assert "daily.html" not in site.files
    assert not any(b"daily.html" in data for data in site.files.values())


# ---------------------------------------------------------------- what is to be done


def test_wanted_notes_are_listed_by_demand_with_who_wants_them() -> None:
    site = made({
        "a.md": "[[Once]] [[Twice]] ![[gone.png]] [[#nowhere]] [[../outside]]",
        "b.md": "[[twice]]",
        "index.md": "[[a]] [[b]]",
    })  # fmt: skip
    wishes = site.page("tend.html").css(".wishes li")
    assert [wish.css_first(".wish").text() for wish in wishes] == ["Twice", "Once"]
    assert [wish.css_first(".count").text() for wish in wishes] == ["2", "1"]
    assert [link.attributes["href"] for link in wishes[0].css("a")] == ["a.html", "b.html"]


def test_orphans_are_the_notes_that_no_other_note_leads_to() -> None:
    site = made({
        "index.md": "[[a]]",
        "a.md": "",
        "self.md": "[[self]]",
        "lost.md": "[[a]]",
        "2024-01-01.md": "A daily note is found by its day.",
    })  # fmt: skip
    assert groups(site.page("tend.html")) == {"Orphans: no other note links to them": ["lost", "self"]}


def test_a_garden_with_nothing_to_tend_says_so() -> None:
    page = made({"index.md": "[[a]]", "a.md": ""}).page("tend.html")
    assert page.css_first(".intro").text() == "0 notes to write, 0 notes to link to."
    assert not page.css(".group")


# ---------------------------------------------------------------- tags and the rest


def test_a_nested_tag_has_a_page_and_so_has_each_above_it() -> None:
    site = made({"a.md": "#ml/kernels", "b.md": "#ml/kernels/arc", "c.md": "#ML"})
    assert [ref.text() for ref in site.page("tags/ml.html").css(".refs a")] == ["a", "b", "c"]
    assert [ref.text() for ref in site.page("tags/ml/kernels.html").css(".refs a")] == ["a", "b"]
    below = site.page("tags/ml.html").css_first(".children a")
    assert (below.text(), below.attributes["href"]) == ("#ml/kernels", "../tags/ml/kernels.html")


def leads_nowhere(site: Made, out: str) -> list[str]:
    folder = out.rpartition("/")[0].split("/") if "/" in out else []
    wrong = []
    for link in site.page(out).css("a[href]"):
        href = (link.attributes["href"] or "").partition("#")[0]
        parts = list(folder)
        for part in href.split("/"):
            parts = parts[:-1] if part == ".." else [*parts, part]
        if href and "/".join(parts) not in site.files:
            wrong.append(href)
    return wrong


def test_every_way_leads_somewhere_and_every_page_has_the_ways() -> None:
    site = made({"a.md": "#tag/inner [[Gone]] [[b]]", "sub/b.md": dated("2024-01-01"), "2024-01-01.md": ""})
    pages = [out for out in site.files if out.endswith(".html") and "/preview" not in f"/{out}"]
    assert {"recent.html", "tend.html", "daily.html", "all.html", "tags/index.html"} <= set(pages)
    for out in pages:
        if out != "404.html":
            assert leads_nowhere(site, out) == [], out
            assert site.page(out).css_first("footer.site-foot a[href$='recent.html']") is not None, out


def test_a_draft_is_on_no_list_and_in_no_feed() -> None:
    head = "---\ndraft: true\ntitle: Hushed\ntags: [hush]\ncreated: 2024-01-01\n---\n"
    site = made(
        {"a.md": "Hello.", "hushed.md": head + "[[Whispered]]"}, Config(base_url="https://garden.example/")
    )
    assert [
        out for out, data in site.files.items() if b"ushed" in data or b"hush" in data or b"Whisper" in data
    ] == []


# ---------------------------------------------------------------- around a note


def test_links_of_one_note_are_shown_in_the_order_of_its_text() -> None:
    site = made({"a.md": "First [[b]].\n\n- second [[b]]\n\nThird ![[b]]\n\nNot this.", "b.md": ""})
    contexts = site.page("b.html").css(".backlink .context")
    assert [context.text().split()[0] for context in contexts] == ["First", "second", "Third"]


def test_a_note_whose_code_is_used_says_by_whom_and_only_there() -> None:
    site = made(
        {"a.md": "---\nuses: '[[b]]'\n---\n", "c.md": "---\nuses: '[[b]]'\n---\nSee [[b]].", "b.md": ""}
    )
    page = site.page("b.html")
    assert [link.text() for link in page.css(".users a")] == ["a", "c"]
    assert [link.text() for link in page.css(".backlink-title a")] == ["c"]


def test_related_notes_share_neighbours_and_are_not_linked() -> None:
    site = made({"hub.md": "[[a]] [[b]]", "a.md": "", "b.md": ""})
    assert [link.text() for link in site.page("a.html").css(".related a")] == ["b"]
    assert site.page("hub.html").css(".related a") == []


def test_a_note_that_nothing_is_known_around_has_no_section_for_it() -> None:
    assert made({"a.md": ""}).page("a.html").css_first(".backlinks") is None


# ---------------------------------------------------------------- where there is very much


def test_a_note_that_very_many_link_to_shows_some_and_a_page_has_all() -> None:
    many = {f"{i:02}.md": f"Word {i} of [[Hub]].\n" for i in range(60)}
    site = made({"Hub.md": "", "few.md": "[[01]]", **many})
    page = site.page("hub.html")
    assert len(page.css(".backlinks .backlink")) == 40
    more = page.css_first(".backlinks .more a")
    assert (more.text(), more.attributes["href"]) == ("All 60 notes that link here", "backlinks/hub.html")
    all_of_them = site.page("backlinks/hub.html")
    assert [card.attributes["data-source"] for card in all_of_them.css(".backlink")] == [
        f"{i:02}" for i in range(60)
    ]
    assert all_of_them.css(".backlink .context mark a")[59].attributes["href"] == "../hub.html"
    assert not leads_nowhere(site, "backlinks/hub.html")
    assert not site.page("01.html").css(".backlinks .more")
    assert "backlinks/01.html" not in site.files


def test_a_note_at_the_address_of_a_page_of_links_keeps_it() -> None:
    many = {f"{i:02}.md": "[[Hub]]" for i in range(41)}
    site = made({"Hub.md": "", "backlinks/Hub.md": "The note.", **many})
    assert site.page("backlinks/hub.html").css_first(".note-body").text().strip() == "The note."


def test_a_long_list_has_a_way_to_each_letter_and_a_short_one_has_none() -> None:
    site = made({f"{letter}{i}.md": "" for letter in "abcdef" for i in range(40)})
    page = site.page("all.html")
    assert [link.text() for link in page.css(".letters a")] == list("ABCDEF")
    for link in page.css(".letters a"):
        assert page.css_first(f"[id='{link.attributes['href'][1:]}']").text() == link.text()
    assert not made({"a.md": "", "b.md": ""}).page("all.html").css(".letters")

"""Raw HTML and cell output: what is dangerous goes, what is harmless stays."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.syntax.sanitize import clean, clean_output, safe_image_url, safe_url

PIXEL = "data:image/png;base64,iVBORw0KGgo="

PAYLOADS = (
    "<script>alert(1)</script>",
    "<ScRiPt src=//evil.example/x.js></sCrIpT>",
    "<script\n>alert(1)</script\n>",
    "<<script>alert(1)//<</script>",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "<img src=x onerror=alert(1)>",
    "<img src=x onerror\x0c=\x0calert(1)>",
    "<img/src=x/onerror=alert(1)>",
    '<img src="x" title="a" onload=alert(1)//"',
    '<img """><script>alert(1)</script>">',
    "<img src=javascript:alert(1)>",
    "<img src=' javascript:alert(1)'>",
    '<img srcset="javascript:alert(1) 2x">',
    '<img src="data:image/svg+xml;base64,PHN2ZyBvbmxvYWQ9YWxlcnQoMSk+">',
    '<img src="data:text/html,<script>alert(1)</script>">',
    "<a href=javascript:alert(1)>x</a>",
    "<a href='JaVaScRiPt:alert(1)'>x</a>",
    "<a href='java\tscript:alert(1)'>x</a>",
    "<a href='java\nscript:alert(1)'>x</a>",
    "<a href='\x01javascript:alert(1)'>x</a>",
    "<a href='&#106;&#97;&#118;&#97;&#115;&#99;&#114;&#105;&#112;&#116;&#58;alert(1)'>x</a>",
    "<a href='&#x6A&#x61&#x76&#x61&#x73&#x63&#x72&#x69&#x70&#x74&#x3A;alert(1)'>x</a>",
    "<a href='javascript&colon;alert(1)'>x</a>",
    "<a href='java&Tab;script&NewLine;&colon;alert(1)'>x</a>",
    "<a href='vbscript:msgbox(1)'>x</a>",
    "<a href='data:text/html;base64,PHNjcmlwdD4='>x</a>",
    f"<a href='{PIXEL}'>x</a>",
    "<a href='x' ping='//evil.example' onclick=alert(1) target=_blank>x</a>",
    "<a href='file:///etc/passwd'>x</a>",
    "<a href='blob:https://evil.example/1'>x</a>",
    "<a href='view-source:javascript:1'>x</a>",
    "<svg onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "<svg><animate onbegin=alert(1) attributeName=x dur=1s>",
    "<svg><a xlink:href='javascript:alert(1)'><text>x</text></a></svg>",
    "<svg><use href='data:image/svg+xml,<svg id=x onload=alert(1)>#x'></svg>",
    "<svg><foreignObject><body onload=alert(1)></foreignObject></svg>",
    "<svg></p><style><a id='</style><img src=1 onerror=alert(1)>'>",
    "<math><mi xlink:href='javascript:alert(1)'>x</mi></math>",
    "<math href='javascript:alert(1)'><mi>x</mi></math>",
    "<math><maction actiontype='statusline#javascript:alert(1)'><mi>x</mi></maction></math>",
    "<math><annotation-xml encoding='text/html'><script>alert(1)</script></annotation-xml></math>",
    "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=alert(1)&gt;'>",
    "<form><math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<template><img src=x onerror=alert(1)></template>",
    "<textarea><img src=x onerror=alert(1)></textarea>",
    "<title><img src=x onerror=alert(1)></title>",
    "<xmp><img src=x onerror=alert(1)></xmp>",
    "<plaintext><img src=x onerror=alert(1)>",
    "<iframe src=javascript:alert(1)></iframe>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<object data='data:text/html,<script>alert(1)</script>'></object>",
    "<embed src='//evil.example/x.swf'>",
    "<applet code=x></applet>",
    "<form action=javascript:alert(1)><input type=submit></form>",
    "<form><button formaction=javascript:alert(1)>x</button></form>",
    "<input autofocus onfocus=alert(1)>",
    "<isindex action=javascript:alert(1) type=image>",
    "<body onload=alert(1)>",
    "<html onmouseover=alert(1)>",
    "<base href='//evil.example/'>",
    "<link rel=stylesheet href='//evil.example/x.css'>",
    "<meta http-equiv=refresh content='0;url=javascript:alert(1)'>",
    "<style>@import '//evil.example/x.css';</style>",
    "<style><!--</style><script>alert(1)</script>--></style>",
    "<div style='background:url(javascript:alert(1))'>x</div>",
    "<div style='position:fixed;inset:0'>x</div>",
    "<p style='behavior:url(x.htc)' id=x>x</p>",
    "<video><source onerror=alert(1) src=x></video>",
    "<video poster=javascript:alert(1) src=x></video>",
    "<audio src=x onerror=alert(1)>",
    "<details open ontoggle=alert(1)><summary>x</summary></details>",
    "<marquee onstart=alert(1)>x</marquee>",
    "<table background='javascript:alert(1)'><td background='javascript:alert(1)'>x</table>",
    "<blockquote cite='javascript:alert(1)'>x</blockquote>",
    "<img name=getElementById><a id=location href=//x>x</a><form name=body>",
    "<a id=__proto__>x</a><p id=constructor>x</p>",
    "<!--><script>alert(1)</script>-->",
    "<!--[if IE]><script>alert(1)</script><![endif]-->",
    "<![CDATA[<script>alert(1)</script>]]>",
    "<?xml version='1.0'?><script>alert(1)</script>",
    "<!DOCTYPE x [<!ENTITY e '<script>alert(1)</script>'>]>",
    "<x-widget onclick=alert(1) is=script>x</x-widget>",
    "<slot onslotchange=alert(1)></slot>",
    "<dialog open oncancel=alert(1)>x</dialog>",
    "<portal src='https://evil.example'></portal>",
    "<a href='//x' data-link=found data-grade=checked class='cell-badge cell'>checked</a>",
    "</div></article><script>alert(1)</script>",
    "<p title='\"><script>alert(1)</script>'>x</p>",
    "<div contenteditable tabindex=0 accesskey=x onkeydown=alert(1)>x</div>",
    "<button popovertarget=x onclick=alert(1)>x</button><div popover id=x onbeforetoggle=alert(1)>x</div>",
)

FORBIDDEN_ELEMENTS = {
    *(
        "script",
        "style",
        "iframe",
        "object",
        "embed",
        "applet",
        "template",
        "noscript",
        "textarea",
        "title",
        "xmp",
    ),
    *(
        "plaintext",
        "form",
        "input",
        "button",
        "select",
        "base",
        "link",
        "meta",
        "svg",
        "foreignobject",
        "animate",
    ),
    *("use", "marquee", "dialog", "portal", "slot", "body", "html", "head"),
}
URLS = {"href", "src", "poster", "cite", "action", "formaction", "data", "background", "srcset", "ping"}


class _Elements(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))


def harmless(html: str) -> bool:
    return all(_harmless(tag, attributes) for tag, attributes in _Elements(html).elements)


def _harmless(tag: str, attributes: dict[str, str]) -> bool:
    names = set(attributes)
    if tag in FORBIDDEN_ELEMENTS or "-" in tag:
        return False
    if any(name.startswith(("on", "data-", "xlink")) for name in names) or names & {
        "style",
        "srcdoc",
        "target",
        "is",
    }:
        return False
    if any(not attributes[name].startswith("user-") for name in names & {"id", "name"}):
        return False
    urls = [re.sub(r"[\x00-\x20]", "", attributes[name]).lower() for name in names & URLS]
    return all(
        ":" not in url or re.match(r"(https?:|mailto:|data:image/(png|gif|jpeg|webp);)", url) for url in urls
    )


@pytest.mark.parametrize("payload", PAYLOADS)
def test_no_payload_survives(payload: str) -> None:
    assert not harmless("<script>") and not harmless("<p onclick=x>")
    assert harmless(clean(payload))
    assert harmless(clean_output(payload))


@pytest.mark.parametrize("payload", PAYLOADS)
def test_cleaning_twice_changes_nothing_more(payload: str) -> None:
    assert clean(clean(payload)) == clean(payload)
    assert clean_output(clean_output(payload)) == clean_output(payload)


@given(
    st.lists(
        st.sampled_from([*PAYLOADS, "<", ">", '"', "'", "</", "<!--", "-->", "<math>", "<p>", "x"]),
        max_size=5,
    )
)
def test_no_mixture_of_payloads_survives(parts: list[str]) -> None:
    assert harmless(clean("".join(parts)))
    assert harmless(clean_output("".join(parts)))


@pytest.mark.parametrize(
    "html",
    [
        "<p>text &amp; <b>bold</b> <kbd>Ctrl</kbd> H<sub>2</sub>O x<sup>2</sup> <mark>m</mark></p>",
        '<details open=""><summary>More</summary>text</details>',
        '<img src="a b.png" alt="x" width="200">',
        f'<img src="{PIXEL}" alt="">',
        '<a href="https://example.org/?a=1&amp;b=2#c">x</a>',
        '<a href="../notes/other note.md#heading">x</a>',
        '<a href="mailto:a@example.org">x</a>',
        '<table><thead><tr><th scope="col">a</th></tr></thead></table>',
        '<table><tbody><tr><td colspan="2">b</td></tr></tbody></table>',
        '<div class="aside" align="center"><figure><figcaption>c</figcaption></figure></div>',
        '<video src="a.mp4" controls=""></video>',
        "<math><mfrac><mi>a</mi><mn>2</mn></mfrac></math>",
        "<ruby>漢<rp>(</rp><rt>kan</rt><rp>)</rp></ruby>",
        '<ol start="3"><li>x</li></ol>',
    ],
)
def test_what_is_harmless_stays_as_it_is(html: str) -> None:
    assert clean(html) == html


def test_the_text_of_an_element_that_is_not_allowed_stays() -> None:
    assert clean("<form><button>Press</button> <font>red</font> <object><p>else</p></object></form>") == (
        "Press red <p>else</p>"
    )


def test_author_ids_and_what_refers_to_them_are_prefixed_alike() -> None:
    assert clean('<p id="location">x</p>') == '<p id="user-location">x</p>'
    assert clean('<a name="top">x</a>') == '<a name="user-top">x</a>'
    assert clean('<table><tbody><tr><td headers="a b">x</td></tr></tbody></table>').count("user-") == 2


def test_a_note_cannot_dress_text_as_a_verified_result() -> None:
    assert (
        clean('<span class="cell-badge mine cell" data-grade="checked">x</span>')
        == '<span class="mine">x</span>'
    )


def test_cell_output_keeps_tables_and_their_class() -> None:
    table = '<table border="1" class="dataframe"><tbody><tr><th>0</th><td>1.5</td></tr></tbody></table>'
    assert clean_output(f"<div><style scoped>.dataframe {{}}</style>{table}</div>") == f"<div>{table}</div>"


def test_the_empty_corner_of_a_table_of_data_is_no_heading() -> None:
    html = "<table><thead><tr><th></th><th>a</th></tr></thead></table>"
    assert clean_output(html) == "<table><thead><tr><td></td><th>a</th></tr></thead></table>"
    assert clean(html) == html


def test_cell_output_requests_nothing_from_elsewhere() -> None:
    html = '<img src="https://tracker.example/x.png"><video src="https://x.example/a.mp4"></video>'
    assert clean_output(html) == ""
    assert clean_output(f'<img src="{PIXEL}">') == f'<img src="{PIXEL}">'


def test_cell_output_has_no_ids_and_no_borrowed_classes() -> None:
    assert clean_output('<p id="x" class="note aside">x</p>') == "<p>x</p>"


HOLE = "\ufdd0L12\ufdd1"


@pytest.mark.parametrize(
    "html",
    [
        f"<p>a{HOLE}b</p>",
        f'<a href="{HOLE}">x</a>',
        f'<a href="{HOLE}#part:1">x</a>',
        f'<img src="{HOLE}" alt="x">',
        f'<video poster="{HOLE}" src="{HOLE}"></video>',
        f"<ul>{HOLE}<li>{HOLE}x</li></ul>",
        f"<details>{HOLE}<summary>{HOLE}</summary>{HOLE}</details>",
        f"{HOLE}<b>{HOLE}</b>{HOLE}",
        f"<math><mtext>{HOLE}</mtext></math>",
        f"<pre>{HOLE}</pre>",
    ],
)
def test_placeholders_come_through_in_their_place(html: str) -> None:
    assert clean(html) == html


@given(
    st.lists(
        st.sampled_from(
            [HOLE, "<p>", "</p>", "<b>", "</b>", "<li>", "<table>", "<td>", "</table>", "&lt;", "x"]
        )
    )
)
def test_no_markup_around_them_loses_or_doubles_a_placeholder(parts: list[str]) -> None:
    assert clean("".join(parts)).count(HOLE) == parts.count(HOLE)


@pytest.mark.parametrize(
    "url",
    [
        *(
            "",
            "#x",
            "a.md",
            "a b.md",
            "../a.md#x",
            "/a",
            "?q=a:b",
            "./a:b",
            "a/b:c",
            "#a:b",
            "//example.org/a",
        ),
        *("http://example.org", "HTTPS://example.org", "mailto:a@b.example", " https://example.org"),
        *("javascript%3Aalert(1)", "caf\u00e9.md", "javascript.md", HOLE, f"{HOLE}#a"),
    ],
)
def test_relative_and_web_addresses_are_safe(url: str) -> None:
    assert safe_url(url)


@pytest.mark.parametrize(
    "url",
    [
        *(
            "javascript:alert(1)",
            "JAVASCRIPT:alert(1)",
            " javascript:alert(1)",
            "java\tscript:x",
            "java\nscript:x",
        ),
        *(
            "java\x00script:x",
            "\x1fjavascript:x",
            "java\u00adscript:x",
            "\u200bjavascript:x",
            "javascript :x",
        ),
        *("javascript&colon;alert(1)", "&#106;avascript:x", "java&Tab;script:x", "javascript&#58;x"),
        *(
            "vbscript:x",
            "data:text/html,x",
            "data:image/svg+xml,x",
            PIXEL,
            "file:///etc/passwd",
            "blob:x",
            "ftp://x",
        ),
        *("about:blank", "view-source:x", "C:\\x", "x-y+z.1:a", ":x", "1:x"),
    ],
)
def test_other_schemes_are_not_however_disguised(url: str) -> None:
    assert not safe_url(url)


def test_only_raster_images_may_be_data() -> None:
    assert safe_image_url(PIXEL) and safe_image_url("a.png")
    assert not safe_image_url("data:image/svg+xml;base64,AAAA")
    assert not safe_image_url("data:image/png,<svg onload=alert(1)>")
    assert not safe_image_url("data:text/html;base64,AAAA")


@pytest.mark.parametrize("cleaned", [clean, clean_output])
def test_an_image_that_loses_its_source_leaves_its_text(cleaned: Callable[[str], str]) -> None:
    assert (
        cleaned('<p>a<img src="javascript:x()" alt="a < b & c" width="3">b</p>')
        == "<p>aa &lt; b &amp; cb</p>"
    )
    assert cleaned("<p>a<img src='javascript:x()'>b</p>") == "<p>ab</p>"
    kept = '<img src="data:image/png;base64,AAAA" alt="x > y">'
    assert cleaned(kept).count("<img") == 1 and 'src="data:image/png;base64,AAAA"' in cleaned(kept)

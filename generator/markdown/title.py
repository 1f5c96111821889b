"""The title: a note's name, and what remains of the heading that says the same."""

from __future__ import annotations

from markdown_it.token import Token

from generator.markdown.blocks import Blocks
from generator.markdown.gathered import Gathered
from generator.markdown.marks import mark
from generator.markdown.places import line_of
from generator.markdown.tokens import plain


def titled(tokens: list[Token], given: str | None, path: str, blocks: Blocks) -> tuple[str, str, list[Token]]:
    """The note's title, what stands for a heading that only repeats it, and the tokens without that heading.

    The title is the property `given`; else a level-1 heading that opens the note; else the file's name.
    A heading with a footnote stays: the title of a page is plain text.
    """
    text = _opening_heading(tokens)
    if not text or given not in (None, "", text):
        return given or _file_name(path), "", tokens
    if any(child.type in ("footnote_ref", "embed") for child in tokens[1].children or []):
        return text, "", tokens
    _gather(tokens[0], tokens[1], text, blocks)
    return text, _targets(blocks.gathered), tokens[3:]


def _opening_heading(tokens: list[Token]) -> str:
    opens = len(tokens) > 2 and tokens[0].type == "heading_open" and tokens[0].tag == "h1"
    return plain(tokens[1].children or []) if opens else ""


def _file_name(path: str) -> str:
    """Of an index, the name of its folder."""
    folders, _, name = path.rpartition("/")
    name = name.removesuffix(".md").removesuffix(".ipynb")
    folder = folders.rpartition("/")[2]
    return folder if folder and name.lower() in ("index", "readme") else name


def _gather(opening: Token, inline: Token, text: str, blocks: Blocks) -> None:
    """What the heading says: its links and tags count, though the title is plain text."""
    blocks.gathered.heading(1, text, line_of(opening))
    blocks.text.pieces(inline, embeds=False)
    blocks.identity(opening)


def _targets(gathered: Gathered) -> str:
    """Targets for links to the heading that became the title, whose element is the page's own."""
    anchors = "".join(f"<span{mark('I', anchor)}></span>" for _, _, anchor in gathered.headings)
    named = "".join(
        f"{mark('B', i)}<span{mark('I', '^' + name)}></span>{mark('b', i)}"
        for name, i in gathered.blocks.items()
    )
    raw = "".join(f"<span{mark('I', name)}></span>" for name in gathered.ids)
    return f"{mark('S', 0)}{anchors}{raw}{named}"

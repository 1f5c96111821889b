"""Markdown: one source becomes one `Parsed` note, and the parser's tokens are seen in no room above.

A note is parsed without knowing any other note. What depends on others (where a link leads, what an embed
shows, what a cell printed) is left as a hole in its HTML.

From the whole to the parts, each knowing only those below it:

* `parsing` reads a source; `title` and `note` put the note together.
* `blocks` renders what stands below each other, with `leaves` for the blocks that hold no others.
* `text` renders what stands within a line, with `references` for links, images and embeds.
* `raw` cleans what authors write as HTML; `formulas` shows TeX.
* `definitions` finds the addresses that stand away from their links.
* `gathered` collects what a note says while it is rendered; `places` finds a token in the file; `marks` are
  the holes on their way; `tokens` reads tokens and addresses.
"""

from generator.markdown.definitions import definitions
from generator.markdown.parsing import Dialect, parse

__all__ = ["Dialect", "definitions", "parse"]

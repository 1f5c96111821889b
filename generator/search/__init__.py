"""Search: notes become small files, of which a reader's browser fetches the few that a query needs.

`entry` says what one note can be found by, `files` makes the index of all of them. The index is not one
file but hundreds, each a stretch of the sorted words, so that at ten thousand notes a query costs tens of
kilobytes and not megabytes, and so that an edit of a note changes the files of its own words only.
"""

from generator.search.entry import Entry, entry
from generator.search.files import files

__all__ = ["Entry", "entry", "files"]

"""Text to words, exactly as `static/search/words.js` does it: else nothing is found.

A word is a run of letters, digits and the marks that scripts need; case and diacritics are folded away.
Scripts that put no spaces between words are cut into pairs of characters (bigrams), which find every part
of a text without a dictionary.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

LONGEST = 32
"""A longer run of letters is several words: a checksum or a picture in base64 is no word of a vocabulary."""

_ACCENTS = re.compile("[\u00ad\u0300-\u036f\u200b-\u200d\ufe00-\ufe0f]")
"""Diacritics; places for a hyphen; and what only chooses the looks of a character."""

_SPECIAL = str.maketrans(
    {"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ð": "d", "þ": "th", "ł": "l", "ı": "i", "ς": "σ"}
)
"""Letters that no decomposition folds, though readers without them on their keyboards expect it."""

_SPACELESS = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u9fff"
    "\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
)
_SPACELESS_AT = re.compile(f"[{_SPACELESS}]")
_RUNS = re.compile(f"[{_SPACELESS}]+|[^{_SPACELESS}]+")
_ASCII = re.compile(f"[a-z0-9]{{1,{LONGEST}}}")


def fold(text: str) -> str:
    """The text in small letters, without diacritics, every character in its plainest form."""
    if text.isascii():
        return text.lower()
    bare = _ACCENTS.sub("", unicodedata.normalize("NFKD", text).lower())
    return unicodedata.normalize("NFC", bare.translate(_SPECIAL))


def words(text: str) -> list[str]:
    """The words of a text in order, folded; of scripts without spaces, its bigrams and each run's last
    character (so that one character alone finds every place where it stands)."""
    folded = fold(text)
    if folded.isascii():
        return _ASCII.findall(folded)
    found: list[str] = []
    for word in _letters().findall(folded.replace("_", " ")):
        for run in (word,) if word.isascii() else _RUNS.findall(word):
            found.extend(_bigrams(run) if _SPACELESS_AT.match(run) else _pieces(run))
    return found


def _pieces(run: str) -> list[str]:
    return [run[i : i + LONGEST] for i in range(0, len(run), LONGEST)]


def _bigrams(run: str) -> list[str]:
    return [*(run[i : i + 2] for i in range(len(run) - 1)), run[-1]]


@cache
def _letters() -> re.Pattern[str]:
    """Runs of letters, digits and marks. `re` counts no marks among them, so they are listed: those of the
    Basic Multilingual Plane that are not folded away."""
    planes = (*range(0x0370, 0x3100), *range(0xA600, 0xAC00), *range(0xFB00, 0xFC00))
    marks = "".join(chr(code) for code in planes if unicodedata.category(chr(code))[0] == "M")
    return re.compile(rf"[\w{marks}]+")

"""Text to words and back."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import cache

# Signs that stand close to the word before them, and those that the word after stands close to.
CLOSING = frozenset(".,;:!?%)]}»”\u2019…")
OPENING = frozenset("([{«“\u2018¿¡$€£#@")


def tokenise(text: str, lower: bool = False) -> list[str]:
    """The words and signs of a text; white space goes.

    A word is letters, digits, underscores and the marks that combine with them, with apostrophes and hyphens between
    ("don't", "well-kept"); a number keeps its points and commas between digits ("1,000.5"); a mark in angle brackets
    is one ("<unk>"); any other sign is by itself. Scripts without spaces between words give one long word.

    Args:
        text: any.
        lower: whether to make letters small first.
    """
    return _pattern().findall(text.lower() if lower else text)


def places(text: str) -> list[tuple[int, int]]:
    """Where each word or sign of a text begins and ends, as `tokenise` finds them."""
    return [match.span() for match in _pattern().finditer(text)]


class Joiner:
    """Text out of words and signs, one by one, as English sets it.

    No space stands before a closing sign or after an opening one. What white space there was cannot be known; straight
    quotation marks have a space on both sides.
    """

    def __init__(self) -> None:
        self._close = True

    def add(self, token: str) -> str:
        """What the next word or sign adds to the text."""
        close = self._close or token in CLOSING or token.isspace()
        self._close = token in OPENING or token.isspace()
        return token if close else f" {token}"


def join(tokens: Iterable[str]) -> str:
    """The text of words and signs; see `Joiner`."""
    joiner = Joiner()
    return "".join(map(joiner.add, tokens))


@cache
def _pattern() -> re.Pattern[str]:
    letter = rf"[\w{_combining()}]"
    return re.compile(rf"\d+(?:[.,:]\d+)+(?!{letter})|{letter}+(?:['\u2019\-\u2010]{letter}+)*|<\w+>|[^\w\s]")


def _combining() -> str:
    """Marks that belong to the letter before them, as ranges for a regular expression; Python's \\w leaves them out."""
    # No block outside these holds any.
    blocks = (range(0x300, 0x1F000), range(0xE0100, 0xE01F0))
    marks = {k for block in blocks for k in block if unicodedata.category(chr(k))[0] == "M"}
    firsts = sorted(k for k in marks if k - 1 not in marks)
    lasts = sorted(k for k in marks if k + 1 not in marks)
    return "".join(f"{chr(first)}-{chr(last)}" for first, last in zip(firsts, lasts, strict=True))

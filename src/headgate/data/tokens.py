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


def join(tokens: Iterable[str]) -> str:
    """Text of words and signs, as English sets it: no space before closing signs, none after opening ones.

    What white space there was cannot be known; straight quotation marks have a space on both sides.
    """
    parts: list[str] = []
    close = True
    for token in tokens:
        parts.append(token if close or token in CLOSING or token.isspace() else f" {token}")
        close = token in OPENING or token.isspace()
    return "".join(parts)


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

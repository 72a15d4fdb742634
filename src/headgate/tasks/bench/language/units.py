"""Text as numbered units and back: characters, words, pieces of words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from headgate.data.subwords import Subwords
from headgate.data.tokens import Joiner, places
from headgate.data.vocabulary import Vocabulary

# Stands before a document and, where several are one text, between them.
END = "<end>"
PADDING = 0


class Writer(Protocol):
    """Text out of units, one by one."""

    def write(self, number: int) -> str:
        """What this unit adds to the text; it may be held back until the next one tells."""


class Units(Protocol):
    """What a text consists of.

    Attributes:
        word: for one of them, in a sentence.
        end: the number of END.
        unknown: the number of what is not known; None where nothing is unknown.
    """

    word: str
    end: int
    unknown: int | None

    def __len__(self) -> int:
        """All numbers there are."""

    def measured(self, text: str) -> tuple[np.ndarray, np.ndarray]:
        """The number of each unit, and how many characters of the text it stands for, int32 [units] both."""

    def strange(self, text: str) -> list[str]:
        """The units of a text that are not known, each once, in the order of the text."""

    def name(self, number: int) -> str:
        """A unit, to be shown."""

    def writer(self) -> Writer:
        """A writer of a text of its own."""


def units_of(encoding: Mapping[str, Any]) -> Units:
    """The units that an encoding speaks of."""
    if encoding["units"] == "pieces":
        return Pieces(Subwords.from_json(encoding["pieces"]))
    kind = {"characters": Characters, "words": Words}[encoding["units"]]
    return kind(Vocabulary.from_json(encoding["vocabulary"]), encoding["lower"])


class Characters:
    """Characters, each a unit."""

    word = "character"

    def __init__(self, vocabulary: Vocabulary, lower: bool) -> None:
        self._vocabulary, self._lower = vocabulary, lower
        self.end, self.unknown = vocabulary.mark(END), Vocabulary.UNKNOWN
        codes = [ord(sign) for sign in vocabulary.words]
        self._numbers = np.full(max(codes, default=0) + 2, self.unknown, np.int32)
        self._numbers[codes] = vocabulary.numbers(vocabulary.words)

    def __len__(self) -> int:
        return len(self._vocabulary)

    def measured(self, text: str) -> tuple[np.ndarray, np.ndarray]:
        codes = code_points(text.lower() if self._lower else text)
        numbers = self._numbers[np.minimum(codes, len(self._numbers) - 1)]
        return numbers, np.ones(len(numbers), np.int32)

    def strange(self, text: str) -> list[str]:
        return [sign for sign in dict.fromkeys(text.lower() if self._lower else text) if sign not in self._vocabulary]

    def name(self, number: int) -> str:
        return self._vocabulary.word(number)

    def writer(self) -> Writer:
        return _Signs(self._vocabulary)


class _Signs:
    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary

    def write(self, number: int) -> str:
        return self._vocabulary.word(number)


class Words:
    """Words and signs as `headgate.data.tokens` finds them, and the ends of lines; other white space is none."""

    word = "word"

    def __init__(self, vocabulary: Vocabulary, lower: bool) -> None:
        self._vocabulary, self._lower = vocabulary, lower
        self.end, self.unknown = vocabulary.mark(END), Vocabulary.UNKNOWN

    def __len__(self) -> int:
        return len(self._vocabulary)

    def measured(self, text: str) -> tuple[np.ndarray, np.ndarray]:
        words, ends = split_words(text, self._lower)
        return self._vocabulary.numbers(words), widths_to(ends, len(text))

    def strange(self, text: str) -> list[str]:
        return [word for word in dict.fromkeys(split_words(text, self._lower)[0]) if word not in self._vocabulary]

    def name(self, number: int) -> str:
        return self._vocabulary.word(number)

    def writer(self) -> Writer:
        return _Spaced(self._vocabulary)


class _Spaced:
    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary, self._joiner = vocabulary, Joiner()

    def write(self, number: int) -> str:
        return self._joiner.add(self._vocabulary.word(number))


class Pieces:
    """Pieces of words; every text consists of them."""

    word = "piece of a word"
    unknown = None

    def __init__(self, subwords: Subwords) -> None:
        self._subwords = subwords
        self.end = subwords.mark(END)

    def __len__(self) -> int:
        return len(self._subwords)

    def measured(self, text: str) -> tuple[np.ndarray, np.ndarray]:
        # Half of a surrogate pair, as a terminal may hand over, is no text to the library.
        return self._subwords.measured(text.encode("utf-8", "replace").decode("utf-8"))

    def strange(self, text: str) -> list[str]:
        return []

    def name(self, number: int) -> str:
        return END if number == self.end else self._subwords.text([number])

    def writer(self) -> Writer:
        return _Bytes(self._subwords)


class _Bytes:
    """A character may be cut in pieces, so that it can be written only with the last of them."""

    # Pieces that are held while the end of a character is awaited; a network may write bytes that are none.
    MOST_HELD = 64

    def __init__(self, subwords: Subwords) -> None:
        self._subwords, self._held, self._written = subwords, [], 0

    def write(self, number: int) -> str:
        self._held.append(number)
        text = self._subwords.text(self._held)
        whole = not text.endswith("\ufffd") or len(self._held) > self.MOST_HELD
        new = text[self._written :] if whole else text[self._written : -1]
        self._held, self._written = ([], 0) if whole else (self._held, len(text) - 1)
        return new


def code_points(text: str) -> np.ndarray:
    """The code point of each character, uint32 [characters]; half of a surrogate pair is one too."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")


def split_words(text: str, lower: bool) -> tuple[list[str], list[int]]:
    """The words, signs and ends of lines of a text, and where each ends."""
    words, ends, at = [], [], 0
    for line in text.splitlines(keepends=True):
        for begin, end in places(line):
            words.append(line[begin:end].lower() if lower else line[begin:end])
            ends.append(at + end)
        at += len(line)
        if line.endswith("\n"):
            words.append("\n")
            ends.append(at)
    return words, ends


def widths_to(ends: list[int], length: int) -> np.ndarray:
    """Characters from one end to the next; the last unit's are up to the end of the text, int32 [units]."""
    if not ends:
        return np.empty(0, np.int32)
    return np.diff(np.asarray([*ends[:-1], length], np.int32), prepend=np.int32(0))

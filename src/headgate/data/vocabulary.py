"""Words to numbers and back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np


class Vocabulary:
    """The words that are known, each with a number; what text holds never collides with the marks.

    Numbers: PADDING, UNKNOWN, then the marks, then the words, the most frequent first. A mark has a name for people,
    but a word spelled like it is another entry: text that holds "<start>" cannot start anything.

    Args:
        words: each once.
        marks: what a task adds that is no word, as "<start>".

    Raises:
        ValueError: a word or a mark stands twice.
    """

    PADDING = 0
    UNKNOWN = 1
    NAMES = ("<padding>", "<unknown>")

    def __init__(self, words: Sequence[str], marks: Sequence[str] = ()) -> None:
        self.words, self.marks = tuple(words), tuple(marks)
        self._first = len(self.NAMES) + len(self.marks)
        self._numbers = {word: k for k, word in enumerate(self.words, self._first)}
        if len(self._numbers) < len(self.words) or len(set(self.marks)) < len(self.marks):
            twice = [what for what, count in Counter(self.words).items() if count > 1]
            twice += [what for what, count in Counter(self.marks).items() if count > 1]
            raise ValueError(f"Vocabulary: {twice[0]!r} stands twice; every word and every mark stands once.")

    @classmethod
    def learn(
        cls,
        words: Iterable[str] | Mapping[str, int],
        smallest_count: int = 1,
        largest_size: int | None = None,
        marks: Sequence[str] = (),
    ) -> Vocabulary:
        """The words of a text, the most frequent first, equally frequent ones in the order of their characters.

        Args:
            words: one by one, as often as they come; or how often each comes.
            smallest_count: a word that comes more seldom is unknown. With 1 no word that training sees is unknown, so
                nothing is learned about unknown ones unless the task replaces some.
            largest_size: at most so many words, marks not counted; None for all.
            marks: see `Vocabulary`.
        """
        counts = Counter(words)
        kept = sorted((word for word, n in counts.items() if n >= smallest_count), key=lambda w: (-counts[w], w))
        return cls(kept[:largest_size], marks)

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Vocabulary:
        """What `to_json` gave.

        Raises:
            ValueError: it is something else.
        """
        words, marks = (found.get(name) if isinstance(found, Mapping) else None for name in ("words", "marks"))
        if not all(isinstance(part, list) and all(isinstance(w, str) for w in part) for part in (words, marks)):
            raise ValueError("Vocabulary: expected lists of strings under words and marks; train again to write them.")
        return cls(words, marks)

    def to_json(self) -> dict[str, list[str]]:
        return {"words": list(self.words), "marks": list(self.marks)}

    def __len__(self) -> int:
        """All numbers there are, padding, unknown and marks among them."""
        return self._first + len(self.words)

    def __contains__(self, word: str) -> bool:
        return word in self._numbers

    def number(self, word: str) -> int:
        """UNKNOWN for a word that is not known."""
        return self._numbers.get(word, self.UNKNOWN)

    def numbers(self, words: Iterable[str]) -> np.ndarray:
        """The number of each word, int32 [words]; of each character, if given a string."""
        known, unknown = self._numbers, self.UNKNOWN
        return np.fromiter((known.get(word, unknown) for word in words), np.int32)

    def mark(self, name: str) -> int:
        """The number of a mark.

        Raises:
            KeyError: no such mark.
        """
        if name not in self.marks:
            raise KeyError(f"Vocabulary: no mark {name!r}; there are: {', '.join(self.marks) or 'none'}.")
        return len(self.NAMES) + self.marks.index(name)

    def word(self, number: int) -> str:
        """The word with this number; the name of padding, unknown or a mark.

        Raises:
            IndexError: no word has it.
        """
        if not 0 <= number < len(self):
            raise IndexError(f"Vocabulary: number {number} was asked for, but there are {len(self)} from 0 on.")
        if number >= self._first:
            return self.words[number - self._first]
        return (*self.NAMES, *self.marks)[number]

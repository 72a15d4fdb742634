"""Text to pieces of words and back: byte-level byte-pair encoding (Sennrich, Haddow & Birch 2016), by `tokenizers`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

# Every byte is a piece, so that no text is unknown.
SMALLEST = 256


class Subwords:
    """Pieces of words, each with a number; every text has its pieces, and its pieces give it back.

    Numbers: PADDING, then the marks (`mark`), then the pieces. Text that is spelled like a mark is still text.

    Args:
        tokenizer: trained by `learn`.
        marks: what a task adds that is no text, as "<start>".
    """

    PADDING = 0

    def __init__(self, tokenizer: Tokenizer, marks: Sequence[str] = ()) -> None:
        self.marks = tuple(marks)
        self._tokenizer, self._first = tokenizer, 1 + len(self.marks)

    @classmethod
    def learn(
        cls, texts: Iterable[str], size: int, lower: bool = False, marks: Sequence[str] = (), smallest_count: int = 2
    ) -> Subwords:
        """The pieces that shorten a text most, found by joining the most frequent pair again and again.

        Args:
            texts: one by one.
            size: pieces, at most, the 256 bytes among them.
            lower: whether letters are made small first; then so is what comes back.
            marks: see `Subwords`.
            smallest_count: a pair that comes more seldom is not joined.

        Raises:
            ValueError: a size below SMALLEST.
        """
        if size < SMALLEST:
            raise ValueError(f"Subwords: size={size}, but the {SMALLEST} bytes alone need {SMALLEST}; give more.")
        tokenizer = Tokenizer(models.BPE())
        if lower:
            tokenizer.normalizer = normalizers.Lowercase()
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=size,
            min_frequency=smallest_count,
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        )
        tokenizer.train_from_iterator(texts, trainer)
        return cls(tokenizer, marks)

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Subwords:
        """What `to_json` gave.

        Raises:
            ValueError: it is something else.
        """
        try:
            return cls(Tokenizer.from_str(found["pieces"]), found["marks"])
        except Exception as reason:  # tokenizers raises Exception itself
            raise ValueError(f"Subwords: these are no pieces of words ({reason}); train again to write them.") from None

    def to_json(self) -> dict[str, Any]:
        return {"pieces": self._tokenizer.to_str(), "marks": list(self.marks)}

    def __len__(self) -> int:
        """All numbers there are, padding and marks among them."""
        return self._first + self._tokenizer.get_vocab_size()

    def mark(self, name: str) -> int:
        """The number of a mark.

        Raises:
            ValueError: no such mark.
        """
        return 1 + self.marks.index(name)

    def numbers(self, text: str) -> np.ndarray:
        """The number of each piece, int32 [pieces]."""
        return np.asarray(self._tokenizer.encode(text).ids, np.int32) + np.int32(self._first)

    def measured(self, text: str) -> tuple[np.ndarray, np.ndarray]:
        """The number of each piece, and how many characters end with it; together those of the text, int32 [pieces]."""
        found = self._tokenizer.encode(text)
        ends = np.maximum.accumulate(np.asarray([end for _, end in found.offsets], np.int32))
        return np.asarray(found.ids, np.int32) + np.int32(self._first), np.diff(ends, prepend=np.int32(0))

    def pieces(self, text: str) -> list[str]:
        """The pieces as text; of a character cut in two, each part is a replacement character."""
        return [self.text([number]) for number in self.numbers(text)]

    def text(self, numbers: Iterable[int]) -> str:
        """The text of pieces; padding and marks are left out."""
        return self._tokenizer.decode([int(n) - self._first for n in numbers if n >= self._first])

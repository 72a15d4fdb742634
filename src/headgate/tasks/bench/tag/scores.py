"""How well spans are found: precision, recall and F1 by the CoNLL rule: the very tokens and the label have to fit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from headgate.data.spans import Span


class SpanCounts:
    """Adds up what was found, sentence after sentence."""

    def __init__(self) -> None:
        self.right: Counter[str] = Counter()
        self.found: Counter[str] = Counter()
        self.there: Counter[str] = Counter()
        self.tokens = self.right_tokens = 0

    def add(self, truth: Sequence[Span], found: Sequence[Span], right_tokens: int, tokens: int) -> None:
        """A sentence: its spans, those found, and how many of its tokens have the right tag."""
        self.there.update(span.label for span in truth)
        self.found.update(span.label for span in found)
        self.right.update(span.label for span in set(truth) & set(found))
        self.right_tokens += right_tokens
        self.tokens += tokens

    def scores(self) -> dict[str, float]:
        """precision, recall, f1 over all spans, and token_accuracy; 0 where nothing is to be divided."""
        totals = (counts.total() for counts in (self.right, self.found, self.there))
        return _rates(*totals) | {"token_accuracy": self.right_tokens / max(self.tokens, 1)}

    def details(self) -> dict[str, Any]:
        """By label: precision, recall, f1, how many spans are there and how many were found."""
        labels = sorted(self.there | self.found)
        return {
            "by_label": {
                label: _rates(self.right[label], self.found[label], self.there[label])
                | {"spans": self.there[label], "found": self.found[label]}
                for label in labels
            }
        }


def _rates(right: int, found: int, there: int) -> dict[str, float]:
    return {
        "precision": right / max(found, 1),
        "recall": right / max(there, 1),
        "f1": 2 * right / max(found + there, 1),
    }

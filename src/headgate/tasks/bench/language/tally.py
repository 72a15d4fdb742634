"""How often units come, and which follow which; and a language model of nothing else, to compare with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

# Pairs are dropped where there are more: while counting, and in what is kept with a model.
MOST_COUNTED = 500_000
MOST_KEPT = 300_000


class Tally:
    """Counts of units and of pairs of neighbours, of a text that comes in parts."""

    def __init__(self) -> None:
        self.units: dict[int, int] = {}
        # By first * 2**32 + second: there may be many, and a number is smaller than a tuple.
        self._pairs: dict[int, int] | None = {}
        self._last: int | None = None

    @property
    def pairs(self) -> dict[tuple[int, int], int] | None:
        """How often each pair came; None where there are too many."""
        return None if self._pairs is None else {divmod(pair, 2**32): n for pair, n in self._pairs.items()}

    def add(self, numbers: np.ndarray) -> None:
        """Go on with these units, [units]; any numbers from 0 to 2**32."""
        if not len(numbers):
            return
        numbers = numbers.astype(np.uint64)
        _add(self.units, numbers)
        if self._pairs is not None:
            before = numbers[:-1] if self._last is None else np.concatenate([[np.uint64(self._last)], numbers[:-1]])
            after = numbers[len(numbers) - len(before) :]
            _add(self._pairs, (before << np.uint64(32)) | after)
            if len(self._pairs) > MOST_COUNTED:
                self._pairs = None
        self._last = int(numbers[-1])

    def named(self, names: Mapping[int, int], unknown: int, size: int) -> dict[str, Any]:
        """The counts under other numbers, in JSON types.

        Args:
            names: the new number of each unit; what has none is unknown.
            unknown: the number of that.
            size: how many numbers there are.

        Returns:
            counts: of each number, [size].
            pairs: three lists: first, second, how often; None where there are too many.
        """
        units = [0] * size
        for unit, count in self.units.items():
            units[names.get(unit, unknown)] += count
        pairs: dict[tuple[int, int], int] = {}
        for (first, second), count in (self.pairs or {}).items():
            pair = names.get(first, unknown), names.get(second, unknown)
            pairs[pair] = pairs.get(pair, 0) + count
        kept = self._pairs is not None and len(pairs) <= MOST_KEPT
        order = sorted(pairs)
        columns = [[p[0] for p in order], [p[1] for p in order], [pairs[p] for p in order]]
        return {"counts": units, "pairs": columns if kept else None}


def _add(counts: dict[int, int], numbers: np.ndarray) -> None:
    values, found = np.unique(numbers, return_counts=True)
    for value, count in zip(values.tolist(), found.tolist(), strict=True):
        counts[value] = counts.get(value, 0) + count


class Bigrams:
    """Each unit given the one before it, by interpolated Kneser-Ney smoothing (Kneser & Ney 1995; Chen & Goodman 1999).

        P(w | v) = max(c(v, w) - D, 0) / c(v) + D n(v, .) / c(v) * Q(w),    D = n1 / (n1 + 2 n2)
        Q(w) = max(n(., w) - D, 0) / n + D m / n / V

    with n(., w) how many units w follows, n(v, .) how many follow v, n of all pairs, m of all w that follow any, and V
    all units. Without counts of pairs, units by their frequency, each counted once more than it came.

    Args:
        found: what `Tally.named` gave.
    """

    def __init__(self, found: Mapping[str, Any]) -> None:
        counts = np.asarray(found["counts"], np.float64)
        self._size = V = len(counts)
        self._alone = (counts + 1) / (counts.sum() + V)
        self.pairs = found["pairs"] is not None and len(found["pairs"][0]) > 0
        if not self.pairs:
            return
        first, second, often = (np.asarray(part, np.int64) for part in found["pairs"])
        once, twice = (often == 1).sum(), (often == 2).sum()
        # Where no pair comes just once there is nothing to estimate from.
        discount = once / (once + 2 * twice) if once else 0.5
        followed = np.bincount(second, minlength=V)
        spread = np.maximum(followed - discount, 0) + discount * np.count_nonzero(followed) / V
        self._follow = spread / len(often)
        total = np.bincount(first, often, V)
        self._back = np.divide(discount * np.bincount(first, minlength=V), total, np.ones(V), where=total > 0)
        self._keys, order = np.unique(first * V + second, return_index=True)
        self._direct = np.maximum(often - discount, 0)[order] / total[first][order]

    def probabilities(self, before: np.ndarray, unit: np.ndarray) -> np.ndarray:
        """Of each unit after the one before it, both of one shape."""
        if not self.pairs:
            return self._alone[unit]
        keys = before.astype(np.int64) * self._size + unit
        at = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        direct = np.where(self._keys[at] == keys, self._direct[at], 0.0)
        return direct + self._back[before] * self._follow[unit]

    def likeliest(self) -> np.ndarray:
        """The likeliest unit after each, [V]."""
        if not self.pairs:
            return np.full(self._size, self._alone.argmax())
        best = np.full(self._size, self._follow.argmax())
        held = self._back * self._follow.max()
        values = self._direct + self._back[self._keys // self._size] * self._follow[self._keys % self._size]
        for key, value in zip(self._keys.tolist(), values.tolist(), strict=True):
            first, second = divmod(key, self._size)
            if value > held[first]:
                held[first], best[first] = value, second
        return best

"""How sure a difference of losses is: the paired bootstrap over sequences."""

from __future__ import annotations

import numpy as np

RESAMPLES = 2000
LEVEL = 0.95
SHARE, LOSS = "share of what was learnt", "loss"
_AT_ONCE = 1 << 23  # numbers drawn in one go


def check(chance: float | None, resamples: int) -> None:
    """Refuse what no interval can be made with, before anything is measured.

    Raises:
        ValueError: a chance level that is no finite number, or too few resamples.
    """
    if chance is not None and not np.isfinite(chance):
        raise ValueError(f"chance={chance!r} is no loss; give a finite number, or None where it is not known.")
    if not isinstance(resamples, int) or resamples < 100:
        raise ValueError(f"resamples={resamples!r} are too few for an interval of 95 %; give at least 100.")


class Paired:
    """Losses of the same sequences under several conditions, each beside the loss with nothing changed.

    An effect is the mean difference from that loss. Where a chance level is given, and the loss is below it beyond
    doubt (in 97.5 % of the resamples), the effect is a share of what was learnt, (L - L0) / (L_chance - L0): 0 is no
    effect, 1 is all that had been learnt. Otherwise it stays in the unit of the loss; `unit` says which.

    The interval holds 95 % of the effects of resamples: sequences drawn with replacement, the same for both losses
    (percentile bootstrap: Efron & Tibshirani 1993, chapter 13). With fewer than about twenty sequences it is too
    narrow; with one there is none.

    Args:
        base: each sequence's loss with nothing changed, [N].
        chance: mean loss of the best answer that does not look at the sequence; None if unknown.
        seed: of the resamples.
        resamples: how many.

    Attributes:
        unit: SHARE or LOSS.
        scale: mean of chance - base where the unit is a share, else 1.
        gain: low end, mean and high end of chance - base, [3], in the unit of the loss; None where chance is unknown,
            low and high NaN of one sequence.

    Raises:
        ValueError: no sequences, a loss or chance level that is no finite number, or too few resamples.
    """

    def __init__(
        self, base: np.ndarray, chance: float | None = None, seed: int = 0, resamples: int = RESAMPLES
    ) -> None:
        check(chance, resamples)
        self.base = np.asarray(base, dtype=float)
        if self.base.ndim != 1 or not len(self.base):
            raise ValueError(f"the losses have shape {list(self.base.shape)}, but one a sequence is needed, [N].")
        if not np.isfinite(self.base).all():
            wrong = int((~np.isfinite(self.base)).sum())
            raise ValueError(f"the model's own loss is not finite in {wrong} of {len(self.base)} sequences.")
        self._seed, self._resamples = seed, resamples
        self.chance, self.unit, self.scale = chance, LOSS, 1.0
        self.gain: np.ndarray | None = None
        if chance is not None:
            better = (chance - self.base)[None]
            self.gain = self._effects(better, np.ones(better.shape, dtype=bool), raw=True)[0]
            # Of one sequence there is no interval, and its own loss has to do.
            if (self.gain[1] if len(self.base) == 1 else self.gain[0]) > 0:
                self.unit, self.scale = SHARE, float(self.gain[1])

    def effects(self, losses: np.ndarray, raw: bool = False) -> np.ndarray:
        """Low end, mean and high end of each condition's effect.

        Args:
            losses: [..., N]; NaN where a sequence was not tried under that condition.
            raw: in the unit of the loss, whatever `unit` is.

        Returns:
            [..., 3]. NaN where no sequence was tried or a loss is infinite; low and high NaN where one was tried.
        """
        losses = np.asarray(losses, dtype=float)
        flat = losses.reshape(-1, len(self.base))
        tried = ~np.isnan(flat)
        with np.errstate(invalid="ignore"):
            difference = np.where(tried, flat - self.base, 0.0)
        there = tried.any(1) & np.isfinite(difference).all(1)
        found = np.full((len(flat), 3), np.nan)
        if there.any():
            found[there] = self._effects(difference[there], tried[there], raw or self.unit == LOSS)
        return found.reshape(*losses.shape[:-1], 3)

    def _effects(self, difference: np.ndarray, tried: np.ndarray, raw: bool) -> np.ndarray:
        count = tried.sum(1)
        room = np.where(tried, 1.0 if raw else self.chance - self.base, 0.0)
        found = np.empty((len(difference), 3))
        found[:, 1] = difference.sum(1) / room.sum(1)
        drawn = self._means(difference, tried) / (1.0 if raw else self._means(room, tried))
        tail = (1.0 - LEVEL) / 2.0
        found[:, 0], found[:, 2] = np.nanquantile(drawn, [tail, 1.0 - tail], axis=0)
        found[count < 2, ::2] = np.nan
        return found

    def _means(self, values: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Means of resampled sequences, [C, N] -> [R, C]; a sequence that a condition has not tried counts for none."""
        N, random = len(self.base), np.random.default_rng(self._seed)
        part = max(1, _AT_ONCE // N)
        found = []
        for first in range(0, self._resamples, part):
            rows = min(part, self._resamples - first)
            drawn = random.integers(N, size=(rows, N)) + N * np.arange(rows)[:, None]
            counts = np.bincount(drawn.ravel(), minlength=rows * N).reshape(rows, N).astype(float)
            # A resample may hold none of a condition's sequences; it then says nothing of it.
            number = counts @ weights.astype(float).T
            found.append(counts @ values.T / np.where(number > 0, number, np.nan))
        return np.concatenate(found)

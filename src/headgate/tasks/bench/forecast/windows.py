"""Windows of stored series, cut when they are asked for: a series is stored once, however many windows it has."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from headgate.data import Store
from headgate.tasks.bench.forecast.scaling import Widths
from headgate.tasks.bench_task import Batch
from headgate.tasks.loading import ABSENT

ROUNDS = 4


def shuffled(places: np.ndarray, count: int, seed: int, epoch: int) -> np.ndarray:
    """Where places go in a shuffled order of `count`, found one by one: a Feistel network that walks its cycles.

    Luby & Rackoff 1988, "How to construct pseudorandom permutations from pseudorandom functions"; Black & Rogaway 2002,
    "Ciphers with arbitrary finite domains".

    Args:
        places: int64, each in [0, count).
        count: how many there are.
        seed, epoch: another order for each pair.

    Returns:
        int64 of the same shape; over all places, a permutation.
    """
    half = max(1, ((count - 1).bit_length() + 1) // 2)
    keys = np.random.default_rng([seed, epoch]).integers(0, 2**63, ROUNDS, np.uint64)
    moved = places.astype(np.uint64)
    outside = np.ones(len(moved), bool)
    while outside.any():
        moved[outside] = _feistel(moved[outside], keys, np.uint64(half))
        outside = moved >= count
    return moved.astype(np.int64)


def _feistel(values: np.ndarray, keys: np.ndarray, half: np.uint64) -> np.ndarray:
    mask = (np.uint64(1) << half) - np.uint64(1)
    left, right = values >> half, values & mask
    for key in keys:
        mixed = (right ^ key) * np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
        left, right = right, left ^ ((mixed >> np.uint64(32)) & mask)
    return (left << half) | right


def cut(values: np.ndarray, origin: int, lookback: int, horizon: int, widths: Widths) -> dict[str, np.ndarray]:
    """One window of a series' matrix: what is read before the origin, what is known and what is asked after it.

    A history shorter than the look-back begins at step 0 of the window and is followed by zeros.

    Args:
        values: [T, 2 D + P + K], see `matrix`.
        origin: the first step to forecast, at most T.
        lookback: L.
        horizon: H.
        widths: D, P and K.
    """
    d, p = widths.targets, widths.past
    begin = max(0, origin - lookback)
    before = np.zeros((lookback, values.shape[1]), np.float32)
    before[: origin - begin] = values[begin:origin]
    after = np.zeros((horizon, values.shape[1]), np.float32)
    held = values[origin : origin + horizon]
    after[: len(held)] = held
    return {
        "history": before[:, :d],
        "history_seen": before[:, d : 2 * d],
        "past": before[:, 2 * d : 2 * d + p],
        "known": before[:, 2 * d + p :],
        "ahead": after[:, 2 * d + p :],
        "future": after[:, :d],
        "future_seen": after[:, d : 2 * d],
    }


def naive_forecasts(values: np.ndarray, origin: int, horizon: int, season: int, targets: int) -> dict[str, np.ndarray]:
    """Baselines of one window, [H, D] each: the last value, and the value a season before (the last, if none is)."""
    last = np.repeat(values[origin - 1 : origin, :targets], horizon, 0)
    if origin < season:
        return {"naive": last, "seasonal": last}
    return {"naive": last, "seasonal": values[origin - season + np.arange(horizon) % season, :targets]}


def batch_of(windows: list[dict[str, np.ndarray]], rows: list[dict[str, np.ndarray]], lengths: list[int]) -> Batch:
    """Windows and what their series have once, as one batch: [steps, B, columns], [B, columns] and [B]."""
    batch = {name: torch.from_numpy(np.stack([w[name] for w in windows], 1)) for name in windows[0]}
    for name in ("codes", "numbers", "shift", "size", "naive_error"):
        batch[name] = torch.from_numpy(np.stack([row[name] for row in rows]))
    batch["lengths"] = torch.tensor(lengths)
    return batch


class Windows:
    """Batches of windows; a `Loader`.

    Args:
        store: series, as the task encodes them.
        lookback, horizon: steps, L and H.
        season: steps of one.
        widths: of a series' matrix.
        batch_size: windows of a batch.
        seed: of the order.
        training: every origin, shuffled; else those of the backtest, series by series, with the baselines' forecasts.
    """

    def __init__(
        self,
        store: Store,
        lookback: int,
        horizon: int,
        season: int,
        widths: Widths,
        batch_size: int,
        seed: int,
        training: bool,
    ) -> None:
        self._store, self._lookback, self._horizon, self._season = store, lookback, horizon, season
        self._widths, self._size, self._seed, self._training = widths, batch_size, seed, training
        self._first = np.asarray(store.column("first"))
        self._stride = np.ones_like(self._first) if training else np.asarray(store.column("stride"))
        last = store.lengths("values") - horizon
        self._ends = np.cumsum(np.maximum(0, (last - self._first) // self._stride + 1))

    @property
    def windows(self) -> int:
        """How many there are."""
        return int(self._ends[-1]) if len(self._ends) else 0

    def __len__(self) -> int:
        return -(-self.windows // self._size)

    def epoch(self, number: int, start: int = 0, share: tuple[int, int] = (0, 1)) -> Iterator[Batch]:
        """See `Loader`."""
        for at in range(start * self._size, self.windows, self._size):
            places = np.arange(at, min(at + self._size, self.windows))
            own = places[share[0] :: share[1]]
            batch = self._batch(own if len(own) else places[:1], number)
            yield batch if len(own) else batch | {ABSENT: torch.tensor(True)}

    def _batch(self, places: np.ndarray, epoch: int) -> Batch:
        if self._training:
            places = shuffled(places, self.windows, self._seed, epoch)
        owners = np.searchsorted(self._ends, places, "right")
        begins = np.where(owners > 0, self._ends[owners - 1], 0)
        origins = self._first[owners] + self._stride[owners] * (places - begins)
        rows, windows = [], []
        for owner, origin in zip(owners.tolist(), origins.tolist(), strict=True):
            row = self._store[owner]
            window = cut(row["values"], origin, self._lookback, self._horizon, self._widths)
            if not self._training:
                season, targets = self._season, self._widths.targets
                window |= naive_forecasts(row["values"], origin, self._horizon, season, targets)
            rows.append(row)
            windows.append(window)
        return batch_of(windows, rows, np.minimum(origins, self._lookback).tolist())

"""How long each unit's memory lasts by its own factor: time scales, survival and resets (M7 to M9)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from headgate.inspection.adjoint import Adjoint

# Below this a factor counts as a reset (Karpathy, Johnson & Fei-Fei 2015, arXiv 1506.02078).
RESET = 0.1
# Numbers of windows, of one unit or several, that are made at once: they shall stay in the cache.
IN_CACHE = 40_000
# The logarithm below which a product of factors counts as zero.
SMALLEST = -700.0
# Numbers whose logarithms are taken at once.
AT_ONCE = 500_000


@dataclass(frozen=True)
class Timescales:
    """How long a run's memory lasts by its own factor, in the order of the run; NaN where there is nothing to say.

    Arrays have the names they have in a Record (`headgate.inspection.schema`).

    Attributes:
        timescales: -1 / mean log |factor|, steps, [H]; infinite where it is 1, negative where the memory grows.
        lags: of `survival`, [lag].
        survival: mean over starting steps of the product of |factor| over so many steps, [H, lag].
        resets: share of steps at which |factor| is below 0.1, [H].
        co_resets: share of units that reset at that step, mean over rows, [T].
    """

    timescales: np.ndarray
    lags: np.ndarray
    survival: np.ndarray
    resets: np.ndarray
    co_resets: np.ndarray

    def quantile(self, share: float) -> float:
        """The time scale that this share of the units has at most, steps; infinite where the memory does not fade.

        Quantiles and the largest (`quantile(1.0)`) say how long a layer remembers; the mean does not, since a few units
        are the memory. A unit whose memory grows counts as one that does not fade.
        """
        # Of the rates, which are finite and in the same order.
        rate = np.quantile(np.maximum(1.0 / self.timescales, 0.0), 1.0 - share)
        return float(np.inf if rate == 0 else 1.0 / rate)


@torch.no_grad()
def measure_timescales(adjoint: Adjoint, lags: Sequence[int] = (), rows: int | None = None) -> Timescales | None:
    """How long a run's memory lasts by its own factor.

    Args:
        adjoint: of the run.
        lags: of the survival, steps, ascending.
        rows: the survival is taken of at most so many rows, evenly chosen, since it costs T B H for every lag; None for
            all.

    Returns:
        None for a cell whose memory has no factor of its own.

    Raises:
        ValueError: lags that are negative or do not ascend, or no rows.
    """
    keep = adjoint.keep()
    if keep is None:
        return None
    active = adjoint.run.active
    resets = keep.new_zeros(keep.shape[-1], dtype=torch.float64)
    together = keep.new_empty(len(keep), dtype=torch.float64)
    for start, stop in adjoint.stretches():
        reset = (keep[start:stop].abs() < RESET) & active[start:stop]
        resets += reset.sum((0, 1))
        together[start:stop] = reset.sum((1, 2)).double() / (active[start:stop].sum((1, 2)) * keep.shape[-1])
    some = _evenly(keep.shape[1], rows)
    lasting = survival(keep[:, some], active[:, some], adjoint.run.fresh[:, some], lags)
    return Timescales(
        timescales=timescales(keep, active),
        lags=np.asarray(lags, dtype=np.int64),
        survival=lasting,
        resets=(resets / active.sum()).cpu().numpy(),
        co_resets=together.cpu().numpy(),
    )


def timescales(keep: Tensor, active: Tensor) -> np.ndarray:
    """Steps over which each unit's memory fades to 1/e by its own factor: -1 / mean log |factor|, [H].

    The factor is the highway's, from step to step: f in an LSTM, z in a GRU (Mahto et al. 2021, arXiv 2009.12727).
    Infinite where it is 1, negative where the memory grows. Not 1/(1 - mean f), which hardly sees a reset: for f = .99
    with one .05 in fifty steps that is 34.7, while the memory fades over 14.3.

    Args:
        keep: the factor, [T, B, H]; a factor of 0 counts as the smallest number there is.
        active: rows that take each step, [T, B, 1]; other steps do not count.
    """
    length = max(1, AT_ONCE // max(1, keep.shape[1] * keep.shape[2]))
    total = keep.new_zeros(keep.shape[-1], dtype=torch.float64)
    for start in range(0, len(keep), length):
        here = slice(start, start + length)
        total += torch.where(active[here], log_size(keep[here]), 0.0).sum((0, 1))
    mean = (total / active.sum()).cpu().numpy()
    with np.errstate(divide="ignore"):
        return np.where(mean == 0, np.inf, -1.0 / mean)


def log_size(factor: Tensor) -> Tensor:
    """log |factor|; of a factor of 0, that of the smallest number there is."""
    return factor.abs().clamp_min(torch.finfo(factor.dtype).tiny).log()


def survival(keep: Tensor, active: Tensor, fresh: Tensor, lags: Sequence[int]) -> np.ndarray:
    """How much of the memory its own factor leaves after k steps: mean of prod |factor| over all windows of k steps.

    (Tallec & Ollivier 2018, arXiv 1804.11188; Mahto et al. 2021, arXiv 2009.12727.) Windows are all those that lie
    within a row's own steps. Across a step before which the state was restored nothing is left.

    Args:
        keep: the factor, [T, B, H].
        active, fresh: rows that take each step, and whose state was restored before it, [T, B, 1].
        lags: k, ascending.

    Returns:
        [H, lag]; NaN at lags that no row is long enough for.

    Raises:
        ValueError: lags that are negative or do not ascend.
    """
    lags = [int(lag) for lag in lags]
    if any(lag < 0 for lag in lags) or any(b <= a for a, b in pairwise(lags)):
        raise ValueError(f"survival: the lags are {lags}, but numbers of steps are needed, ascending from 0 or above.")
    T, B, H = keep.shape
    lengths = active.sum(0)[:, 0]
    windows = [int((lengths - lag + 1).clamp_min(0).sum()) if lengths.any() else 0 for lag in lags]
    found = np.full((H, len(lags)), np.nan)
    carries = active & ~fresh
    within = [lag for lag, count in zip(lags, windows, strict=True) if count]
    at_once = max(1, IN_CACHE // max(1, T * B))

    def measure(first: int) -> None:
        units = slice(first, first + at_once)
        # Zero at steps that a window must not hold: what is not taken, and what starts anew.
        factor = torch.where(carries, keep[..., units].abs(), 0.0).to(torch.float64).permute(2, 1, 0).contiguous()
        for k, product in enumerate(_window_sums(factor.cpu().numpy(), within)):
            found[units, k] = product / windows[k]

    with ThreadPoolExecutor(torch.get_num_threads()) as workers:
        list(workers.map(measure, range(0, H, at_once)))
    found[:, [k for k, lag in enumerate(lags) if lag == 0 and windows[k]]] = 1.0
    return found


def _window_sums(factor: np.ndarray, lags: list[int]) -> Iterator[np.ndarray]:
    """For each lag, the products over all windows of so many steps, summed over windows: [H, B, T] -> [H] each."""
    T, length, products = factor.shape[-1], -1, factor
    sums: _LogSums | None = None
    for lag in lags:
        count = T - lag + 1
        if lag == 1:
            products = factor.copy()
        elif lag > 1 and lag == length + 1:
            # A window grows by its next step.
            np.multiply(products[..., :count], factor[..., lag - 1 :], out=products[..., :count])
        elif lag > 1:
            sums = _LogSums(factor) if sums is None else sums
            products = sums.windows(lag)
        length = lag
        yield products[..., :count].sum((1, 2)) if lag else np.zeros(len(factor))


class _LogSums:
    """Sums of log factors from the first step, by which the product over any window is a difference of two."""

    def __init__(self, factor: np.ndarray) -> None:
        none, before = factor == 0, ((0, 0), (0, 0), (1, 0))
        self._logs = np.pad(np.log(np.where(none, 1.0, factor)).cumsum(-1), before)
        self._zeros = np.pad(none.cumsum(-1), before) if none.any() else None
        self._products = np.empty_like(factor)

    def windows(self, lag: int) -> np.ndarray:
        """The product over each window of so many steps, [H, B, T - lag + 1], until it is asked for others."""
        logs, zeros = self._logs, self._zeros
        products = np.subtract(logs[..., lag:], logs[..., :-lag], out=self._products[..., : logs.shape[-1] - lag])
        # Numbers below the smallest normal one take a hundred times as long; here they are zero.
        np.exp(np.maximum(products, SMALLEST, out=products), out=products)
        products -= np.exp(SMALLEST)
        if zeros is not None:
            products[zeros[..., lag:] > zeros[..., :-lag]] = 0.0
        return products


def _evenly(B: int, rows: int | None) -> Tensor:
    if rows is not None and rows < 1:
        raise ValueError(f"survival: {rows} rows were asked for, but at least 1 is needed.")
    some = B if rows is None else min(rows, B)
    return torch.linspace(0, B - 1, some, device="cpu").round().long() if some else torch.arange(0, device="cpu")

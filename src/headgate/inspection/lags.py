"""Steps back from a source: which are kept, and values in time looked up by them."""

from __future__ import annotations

import numpy as np

# Up to here every lag is kept; beyond, so many in all, even in the logarithm.
DENSE, MOST = 512, 640


def lag_grid(steps: int) -> np.ndarray:
    """The lags at which a run of so many steps is told, ascending from 0: [lag]."""
    if steps <= DENSE:
        return np.arange(steps)
    far = np.geomspace(DENSE, steps - 1, MOST - DENSE + 1).round().astype(int)
    return np.unique(np.concatenate([np.arange(DENSE), far]))


def by_lag(values: np.ndarray, origin: np.ndarray, lags: np.ndarray) -> np.ndarray:
    """Values in time, looked up back from an origin.

    Args:
        values: [T, ...], in the order of the run.
        origin: the step of lag 0, [...]; negative where there is none.
        lags: [lag].

    Returns:
        [lag, ...]; NaN where the origin is too near the beginning, or is none.
    """
    steps = origin[None] - lags.reshape(-1, *[1] * origin.ndim)
    found = np.take_along_axis(values, np.maximum(steps, 0), axis=0)
    return np.where((steps >= 0) & (origin >= 0)[None], found, np.nan)


def quantiles(values: np.ndarray, wanted: tuple[float, ...], axis: int) -> np.ndarray:
    """Quantiles over one axis of the values that are there, [wanted, ...]; NaN where none is.

    Of the logarithm of nothing, -inf, there is no halfway to a number: where it takes part, the value below is taken.
    """
    rows = np.moveaxis(values, axis, -1)
    shape, flat = rows.shape[:-1], rows.reshape(-1, rows.shape[-1])
    found = np.full((len(wanted), len(flat)), np.nan)
    there = ~np.isnan(flat)
    whole = np.isfinite(flat).all(1) & (flat.shape[1] > 0)
    if whole.any():
        found[:, whole] = np.quantile(flat[whole], wanted, axis=1)
    for k in np.flatnonzero(~whole & there.any(1)):
        some = flat[k, there[k]]
        found[:, k] = np.quantile(some, wanted, method="linear" if np.isfinite(some).all() else "lower")
    return found.reshape(len(wanted), *shape)


def median(values: np.ndarray, axis: int) -> np.ndarray:
    """Median over one axis of the values that are there; NaN where none is."""
    return quantiles(values, (0.5,), axis)[0]


def at_lag(lags: np.ndarray, values: np.ndarray, lag: int) -> float:
    """A curve's value at one lag, between its neighbours if need be; NaN beyond its end."""
    there = np.isfinite(values)
    if not there.any() or lag > lags[there][-1]:
        return float("nan")
    return float(np.interp(lag, lags[there], values[there]))

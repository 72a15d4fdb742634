"""How much of a state is left in later ones: norms of Jacobian products at all lags at once, and the classical bound.

A random cotangent v at the end of a row, carried back, gives |v^T P|^2 for every product P = J_s ... J_{s-k+1} on its
way, and its mean over v is |P|_F^2. So a few of them, in one pass, estimate the norm at every lag.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

from headgate.cells.rnn import RNN
from headgate.inspection.adjoint import Adjoint, Run
from headgate.inspection.chain import Chain, normalised

# A lag's interval holds the true norm in so many of 100 draws where one direction carries all, in more otherwise.
LEVEL = 0.98
# How far back is looked at most, unless asked otherwise.
MOST_STEPS = 2048
# |d activation / d pre-activation| is nowhere larger (gamma in the paper).
STEEPEST = {"tanh": 1.0, "relu": 1.0}


@dataclass(frozen=True)
class Norms:
    """Frobenius norms of ds_s/ds_{s-k}, s being the whole state at the end of a row, as log10 by lag k = 0, 1, ...

    Attributes:
        low, estimate, high: [lag], medians over rows; a row that was reset counts once for each of its sequences. The
            true norm lies between low and high, each lag by itself, with a probability of at least LEVEL for one row.
            NaN where no row reaches so far, or the product is exactly zero.
        rows: how many sequences reach each lag, [lag].
        probes: cotangents of each row, no more than there are numbers in its state.
        exact: whether they were a whole basis, so that nothing is estimated.
        cut: whether rows go on beyond the last lag.
    """

    low: np.ndarray
    estimate: np.ndarray
    high: np.ndarray
    rows: np.ndarray
    probes: int
    exact: bool
    cut: bool


@torch.no_grad()
def jacobian_norms(
    adjoint: Adjoint, probes: int = 4, steps: int | None = None, seed: int = 0, rows: Sequence[int] | None = None
) -> Norms:
    """Norms of the products of Jacobians back from the last step of every row, for all lags in one pass.

    The cotangents of a row are orthogonal and of length sqrt(S), so that nothing is estimated once there are S. The
    interval is that of a product of rank one, of which the estimate is S/C times a beta variable: no product has more
    in the tails (for independent Gaussian cotangents: Roosta-Khorasani, Szekely & Ascher 2015, "Assessing stochastic
    algorithms for large scale nonlinear least squares problems using extremal probabilities of linear combinations of
    gamma random variables"). It is right at long lags, where a product is nearly of rank one, and too wide at short.

    Args:
        adjoint: the run.
        probes: cotangents of each row, C.
        steps: of each row, how many to go back at most; None for what a few seconds allow.
        seed: of the cotangents.
        rows: which rows; None for all.

    Raises:
        ValueError: fewer than one probe or step, or no row takes a step.
        IndexError: there is no such row.
    """
    if probes < 1 or (steps is not None and steps < 1):
        raise ValueError(f"jacobian_norms: probes={probes} and steps={steps} must be at least 1.")
    chain = Chain(adjoint, rows, "jacobian_norms")
    probes = min(probes, chain.size)
    steps = chain.affordable(probes, MOST_STEPS) if steps is None else steps
    lags, logs, cut = _by_step(chain, probes, steps, torch.Generator().manual_seed(seed))
    estimate, count = _medians(lags[lags >= 0], logs[lags >= 0])
    below, above = rank_one_interval(probes, chain.size)
    away = np.arange(len(estimate)) > 0  # at lag 0 the product is the identity, and its norm is known
    return Norms(
        estimate + below * away, estimate, estimate + above * away, count, probes, probes == chain.size, cut
    )


@cache
def rank_one_interval(probes: int, size: int, level: float = LEVEL) -> tuple[float, float]:
    """How far log10 of the true norm may be below and above its estimate, for a product of rank one.

    The squared length of a unit vector's part in C random dimensions out of S is beta distributed with C/2 and
    (S - C)/2: the squared sine of an angle of density sin^(C-1) cos^(S-C-1), which is added up numerically.
    """
    if probes >= size:
        return 0.0, 0.0
    # Even in the logarithm of the tangent, since for few probes in a large state almost all lies at small angles.
    tangent = np.exp(np.linspace(-25.0, 25.0, 20_001))
    sine, cosine = tangent / np.hypot(1.0, tangent), 1.0 / np.hypot(1.0, tangent)
    log_density = probes * np.log(sine) + (size - probes) * np.log(cosine)
    cumulated = np.cumsum(np.exp(log_density - log_density.max()))
    tails = (1.0 + level) / 2, (1.0 - level) / 2
    of_estimate = np.interp(tails, cumulated / cumulated[-1], np.log10(size / probes * sine**2))
    return -float(of_estimate[0]) / 2, -float(of_estimate[1]) / 2


def recurrent_bound(run: Run, lags: Sequence[int] | np.ndarray) -> np.ndarray | None:
    """The upper bound k log10(gamma sigma_max(U)) on log10 |dh_s/dh_{s-k}| of a plain network (Pascanu et al. 2013).

    It bounds the spectral norm, and with it what is left of any gradient; a Frobenius norm may be larger by sqrt(H).

    Returns:
        By lag; None for any other cell, whose gates no norm of a matrix bounds.
    """
    cell = run.cell
    if type(cell) is not RNN:
        return None
    largest = float(torch.linalg.matrix_norm(run.weights["weight_hh"].double(), ord=2))
    slope = math.log10(max(STEEPEST[cell.nonlinearity] * largest, np.finfo(float).tiny))
    return np.asarray(lags, dtype=float) * slope


def _by_step(
    chain: Chain, probes: int, steps: int, generator: torch.Generator
) -> tuple[np.ndarray, np.ndarray, bool]:
    """Lag and log10 norm at every step a row takes, [T, B]; lag -1 where nothing is measured; whether rows go on."""
    T, B = chain.active.shape
    lags, logs = np.full((T, B), -1), np.full((T, B), math.nan)
    before = chain.active.cumsum(0) - chain.active
    taken, lag = np.zeros(B, int), np.zeros(B, int)
    carried, scale = _drawn(chain, probes, generator), np.full((probes, B), math.log(chain.size) / 2)
    for t in reversed(range(T)):
        here = chain.active[t] & (taken < steps)
        lags[t, here] = lag[here]
        logs[t, here] = (np.logaddexp.reduce(2 * scale) - math.log(probes))[here] / (2 * math.log(10))
        taken += here
        lag += here
        if not ((before[t] > 0) & (taken < steps)).any():
            break
        carried, grown = normalised(chain.pull(t, carried))
        scale += grown
        anew = chain.fresh[t]
        if anew.any():
            # Nothing goes through a reset: before it, another sequence ends.
            carried[:, anew] = _drawn(chain, probes, generator)[:, anew]
            scale[:, anew], lag[anew] = math.log(chain.size) / 2, 0
    return lags, logs, bool(before[t].any())


def _drawn(chain: Chain, probes: int, generator: torch.Generator) -> Tensor:
    """Cotangents of length 1, [C, B, S]."""
    return chain.identity() if probes == chain.size else chain.orthonormal(probes, generator)


def _medians(lags: np.ndarray, logs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Median of the values at each lag, NaN where it is a product that is zero; and how many there are."""
    order = np.argsort(lags, kind="stable")
    count = np.bincount(lags)
    groups = np.split(logs[order], np.cumsum(count)[:-1])
    found = np.array([np.median(group) for group in groups])
    return np.where(np.isneginf(found), math.nan, found), count

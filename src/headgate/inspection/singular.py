"""Singular values of the product of Jacobians over windows before the end of a row: which directions come through."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from headgate.inspection.adjoint import Adjoint
from headgate.inspection.chain import RESOLUTION, Chain, normalised, orthonormalised
from headgate.inspection.graded import Graded

# Up to this size of the whole state the product is made whole.
EXACT_LIMIT = 128
WINDOWS = (1, 10, 100, 1000)
# Beyond it: directions carried beside those asked for, most passes there and back, what change is still too much.
SPARE, PASSES, SETTLED = 8, 20, 1e-4


@dataclass(frozen=True)
class Singular:
    """Singular values of ds_s/ds_{s-w}, s being the whole state at the end of a row.

    Attributes:
        windows: lengths w in steps, ascending, [W].
        log10: [W, n], descending; NaN where they are zero, or a step shrinks them beyond what the number format tells.
        stable_rank: |P|_F^2 / |P|_2^2, [W]: how many directions come through about as well as the best.
        exact: whether the whole product was made. Else the values are from block power iteration, each of
            them a lower bound, and the stable rank is estimated.
        moved: how far, in decades, the last pass still moved a value, [W]; 0 where exact.
    """

    windows: np.ndarray
    log10: np.ndarray
    stable_rank: np.ndarray
    exact: bool
    moved: np.ndarray


@torch.no_grad()
def singular_values(
    adjoint: Adjoint,
    windows: Sequence[int] | None = None,
    count: int = 8,
    row: int = 0,
    seed: int = 0,
    limit: int = EXACT_LIMIT,
) -> Singular:
    """The largest singular values of products of Jacobians that end with a row's last step.

    A state of up to `limit` numbers: exact, by QR of all columns at each step, whose triangular factors are multiplied
    up without loss of what is small. A larger one: block power iteration on P P^T, with QR at each step of each pass.

    Args:
        adjoint: the run.
        windows: steps, each less than those the row takes since its last reset; longer ones are left out. None for
            those of WINDOWS that fit, up to 100 where the product is not made whole.
        count: how many singular values.
        row: which row.
        seed: of the random directions that are begun with beyond `limit`.
        limit: of the exact way.

    Raises:
        ValueError: a count or window below 1, or no window that fits.
        IndexError: there is no such row.
    """
    chain = Chain(adjoint, [row], "singular_values")
    exact = chain.size <= limit
    if count < 1 or (windows is not None and any(window < 1 for window in windows)):
        raise ValueError(f"singular_values: count={count} and each of windows={windows} must be at least 1.")
    asked = [w for w in WINDOWS if exact or w <= 100] if windows is None else sorted(set(windows))
    steps = _last_piece(chain)
    fitting = [window for window in asked if window < len(steps)]
    if not fitting:
        raise ValueError(
            f"singular_values: row {row} takes {len(steps)} steps after its last reset, and a window must be shorter; "
            f"got {', '.join(map(str, asked)) or 'none'}."
        )
    steps = steps[: fitting[-1]]
    return _exact(chain, steps, fitting, count) if exact else _iterated(chain, steps, fitting, count, seed)


def _last_piece(chain: Chain) -> list[int]:
    """Steps of the one row from its last one back to its last reset."""
    taken = np.flatnonzero(chain.active[:, 0])[::-1]
    fresh = np.flatnonzero(chain.fresh[taken, 0])
    return list(map(int, taken[: fresh[0] + 1] if len(fresh) else taken))


def _exact(chain: Chain, steps: list[int], windows: list[int], count: int) -> Singular:
    vectors, product = chain.identity(), Graded.identity(chain.size)
    values, ranks = [], []
    for k, t in enumerate(steps, 1):
        vectors, R = orthonormalised(chain.pull(t, vectors))
        product = product.times(_array(R))
        if k in windows:
            logs = product.log_singular_values()
            values.append(logs[:count])
            ranks.append(_rank(product.log_frobenius(), logs))
    return Singular(np.array(windows), _decades(values), np.array(ranks), True, np.zeros(len(windows)))


def _iterated(chain: Chain, steps: list[int], windows: list[int], count: int, seed: int) -> Singular:
    generator = torch.Generator().manual_seed(seed)
    vectors = chain.orthonormal(min(count + SPARE, chain.size), generator)
    values, ranks, moved = [], [], []
    for window in windows:
        # A longer product begins with a shorter one, whose directions are near its own.
        logs, vectors, change = _settled(chain, steps[:window], vectors, count)
        rest = _outside(chain, steps[:window], vectors, generator)
        values.append(logs[:count])
        ranks.append(_rank(float(np.logaddexp.reduce([*(2 * logs), rest])) / 2, logs))
        moved.append(change / math.log(10))
    return Singular(np.array(windows), _decades(values), np.array(ranks), False, np.array(moved))


def _outside(chain: Chain, steps: list[int], vectors: Tensor, generator: torch.Generator) -> float:
    """log of the part of |P|_F^2 outside directions at the end of the product, [m, 1, S], estimated by random ones.

    Only what is left is estimated, so where few directions come through there is next to nothing to be wrong about
    (Meyer, Musco, Musco & Woodruff 2021, "Hutch++").
    """
    carried = chain.orthonormal(min(2 * SPARE, chain.size), generator)
    inside = torch.einsum("cbs,mbs->cmb", carried, vectors)
    carried = carried - torch.einsum("cmb,mbs->cbs", inside, vectors)
    carried, logs = normalised(carried)
    for t in steps:
        carried, grown = normalised(chain.pull(t, carried))
        logs = logs + grown
    return float(np.logaddexp.reduce(2 * logs[:, 0])) + math.log(chain.size / len(carried))


def _settled(chain: Chain, steps: list[int], vectors: Tensor, count: int) -> tuple[np.ndarray, Tensor, float]:
    """Passes back and forth until the values stay: their logarithms, the directions at the end, the last change."""
    logs, change = np.full(vectors.shape[0], math.nan), math.inf
    for _ in range(PASSES):
        for t in steps:
            vectors, _ = orthonormalised(chain.pull(t, vectors))
        product = Graded.identity(len(vectors))
        for t in reversed(steps):
            vectors, R = orthonormalised(chain.push(t, vectors))
            product = product.times(_array(R))
        before, logs = logs, product.log_singular_values()
        there = np.isfinite(logs[:count])
        change = float(np.abs(logs[:count] - before[:count])[there].max(initial=0.0))
        if change < SETTLED * math.log(10):
            break
    return logs, vectors, change


def _array(R: Tensor) -> np.ndarray:
    """The triangular factor of the one row, [n, n]; a row that is nothing but rounding is made zero."""
    factor = R[0].double().cpu().numpy()
    floor = RESOLUTION[R.dtype] * np.linalg.norm(factor, axis=0).max()
    return np.where(np.abs(factor).max(-1, keepdims=True) > floor, factor, 0.0)


def _rank(log_frobenius: float, logs: np.ndarray) -> float:
    return math.exp(2 * (log_frobenius - logs[0])) if np.isfinite(logs[0]) else math.nan


def _decades(logs: list[np.ndarray]) -> np.ndarray:
    found = np.array(logs) / math.log(10)
    return np.where(np.isneginf(found), math.nan, found)

"""Eigenvalues of one-step Jacobians: a clump near 1 means slow modes (Can, Krishnamurthy & Schwab 2020, 2002.00025)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from headgate.inspection.adjoint import Adjoint
from headgate.inspection.chain import DENSE_LIMIT, Chain


@dataclass(frozen=True)
class Eigenvalues:
    """Eigenvalues of J_t at some steps.

    Attributes:
        steps: which, in the order of the run, ascending, [N].
        values: complex, the largest modulus first, [N, S].
    """

    steps: np.ndarray
    values: np.ndarray


@torch.no_grad()
def eigenvalues(
    adjoint: Adjoint, count: int = 8, row: int = 0, spread: str = "even", limit: int = DENSE_LIMIT
) -> Eigenvalues:
    """Eigenvalues of the one-step Jacobians of a row at a sample of its steps, its first and last among them.

    Args:
        adjoint: the run.
        count: at how many steps, or at all of a shorter row.
        row: which row.
        spread: "even" over the row, or "log": evenly in the logarithm of the distance from its last step.
        limit: largest state whose Jacobian is made whole.

    Raises:
        ValueError: a state above `limit`, fewer than one step, an unknown spread, or a row that takes no step.
        IndexError: there is no such row.
    """
    if spread not in ("even", "log") or count < 1:
        raise ValueError(f"eigenvalues: got spread={spread!r} and count={count}; give 'even' or 'log', and at least 1.")
    chain = Chain(adjoint, [row], "eigenvalues")
    if chain.size > limit:
        raise ValueError(
            f"eigenvalues: the state has {chain.size} numbers, and its Jacobian is made whole up to {limit}; raise "
            f"limit=, or look at the singular values or the largest Lyapunov exponents, which need no whole one."
        )
    steps = np.flatnonzero(chain.active[:, 0])
    steps = steps[_sample(len(steps), count, spread)]
    found = torch.stack([torch.linalg.eigvals(chain.dense(int(t))[0]) for t in steps]).cpu().numpy()
    order = np.argsort(-np.abs(found), axis=-1, kind="stable")
    return Eigenvalues(steps, np.take_along_axis(found, order, -1))


def _sample(n: int, count: int, spread: str) -> np.ndarray:
    """Up to `count` of n places, ascending."""
    if count == 1:
        return np.array([n - 1])
    if spread == "even":
        return np.unique(np.linspace(0, n - 1, min(count, n)).round().astype(int))
    back = np.geomspace(1, n, min(count, n)).round().astype(int)
    for k in range(1, len(back)):  # short distances round to the same step, so they move on
        back[k] = max(back[k], back[k - 1] + 1)
    return n - np.minimum(back, n)[::-1]

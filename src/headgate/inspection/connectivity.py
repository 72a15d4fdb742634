"""How strongly each source's loss hangs on the input at each step (M18)."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch

from headgate.inspection import pieces
from headgate.inspection.adjoint import Adjoint
from headgate.inspection.flow import Back, Loss, Stretch
from headgate.inspection.gradients import log_norm

BINS = 512


@torch.no_grad()
def measure_connectivity(adjoint: Adjoint, loss: Loss, edges: np.ndarray | None = None) -> np.ndarray:
    """|dl_s/dx_t| of each source and piece of time: connectivity (Madsen 2019, Distill, doi 10.23915/distill.00016).

    Args:
        adjoint: of the run.
        loss: with its sources.
        edges: pieces of time, `pieces.edges`; None for at most 512.

    Returns:
        As `connectivity`, [source, bin].
    """
    found = [input_norms(adjoint, stretch) for stretch in Back(adjoint, loss)]
    norms = np.concatenate(found[::-1], axis=1)
    edges = pieces.edges(norms.shape[1], BINS) if edges is None else edges
    return connectivity(norms, adjoint.run.active[..., 0].cpu().numpy(), edges)


@torch.no_grad()
def input_norms(adjoint: Adjoint, stretch: Stretch) -> np.ndarray:
    """log10 |dl_s/dx_t| of each source, step and row of a stretch, [S, n, B]; -inf where it is zero."""
    gradient = stretch.inputs
    # Near 1 before the product, so that nothing is lost in it.
    exponent = torch.frexp(gradient.abs().amax(-1)).exponent.to(gradient.dtype)
    near_one = gradient * torch.exp2(-exponent)[..., None]
    scale = stretch.scale[: len(gradient)].to(gradient.dtype) + exponent
    return log_norm(near_one @ adjoint.run.weights["weight_ih"], scale).double().cpu().numpy()


def connectivity(norms: np.ndarray, active: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Norms of the input's gradient, pooled over pieces of time and rows.

    Args:
        norms: log10 |dl_s/dx_t|, [S, T, B], in the order of the run; -inf where it is zero.
        active: rows that take each step, [T, B].
        edges: pieces of time, [bins + 1].

    Returns:
        log10 of the mean over each piece's steps up to the source, median over rows, [S, bin]. NaN where no row has
        such a step, or the input has no part in the loss.
    """
    T = norms.shape[1]
    there = np.isfinite(norms)
    last = np.where(there.any(1), T - 1 - there[:, ::-1].argmax(1), -1)
    counts = active & (np.arange(T)[:, None] <= last[:, None])
    found = np.full((len(norms), len(edges) - 1), np.nan)
    for k, (start, stop) in enumerate(pairwise(edges)):
        found[:, k] = _median(_log_mean(norms[:, start:stop], counts[:, start:stop]))
    return found


def _log_mean(logs: np.ndarray, there: np.ndarray) -> np.ndarray:
    """log10 of the mean over steps of what stands as log10, [S, n, B] -> [S, B]; NaN without a step."""
    logs = np.where(there, logs, -np.inf)
    top = logs.max(1)
    count = there.sum(1)
    base = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log10((10.0 ** (logs - base[:, None])).sum(1) / count) + base


def _median(logs: np.ndarray) -> np.ndarray:
    """Over rows that are there, [S, B] -> [S]; a gradient of zero counts as the smallest, and is NaN as a result."""
    found = np.full(len(logs), np.nan)
    for k, row in enumerate(logs):
        row = row[~np.isnan(row)]
        if len(row) and np.isfinite(middle := np.median(row)):
            found[k] = middle
    return found

"""The gradient's arrows unit by unit, of the few units that hold most of it: <part, total> / |total|^2, term by term.

The share of a path in the memory's gradient is a sum over units, s_p = sum_j part_pj total_j / |total|^2, and so is
the whole, 1 = sum_j total_j^2 / |total|^2. Both sums are told here of some units by themselves.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from headgate.inspection.adjoint import HIGHWAY, READOUT, Adjoint
from headgate.inspection.flow import Back, Loss, Stretch
from headgate.inspection.gradients import LOG2
from headgate.inspection.lags import median
from headgate.inspection.timescales import log_size

UNITS = 8


@torch.no_grad()
def unit_arrows(adjoint: Adjoint, loss: Loss, count: int = UNITS) -> dict[str, np.ndarray]:
    """The arrows of the units with the largest part of one source's gradient, as a Record's arrays.

    Two reverse passes of one gradient each: the first finds the units, the second splits what comes to them.

    Args:
        adjoint: the run.
        loss: one source, as `LocalLoss.sources(1)` gives it.
        count: of units, at most.

    Returns:
        `top_units` [top], `unit_gradient` [top, T], `unit_arrow_norm` and `unit_arrow_share` [top, path, T], and
        `unit_keep` [top, T] for a cell with a highway; in the order of the run, paths in that of facts["paths"].

    Raises:
        ValueError: several gradients came, or no number of units.
    """
    if loss.sources is not None and len(loss.sources) != 1:
        raise ValueError(f"unit_arrows: {len(loss.sources)} sources came, but one is followed; give sources(1).")
    if count < 1:
        raise ValueError(f"unit_arrows: count is {count}, but at least one unit is needed.")
    units = _largest(adjoint, loss, count)
    labels = [HIGHWAY, *adjoint.route.graph.products, READOUT]
    pieces = [_of_units(stretch, units, labels) for stretch in Back(adjoint, loss, paths=True)]
    found = {name: np.concatenate([piece[name] for piece in reversed(pieces)], axis=-1) for name in pieces[0]}
    found["top_units"] = units.cpu().numpy()
    keep = adjoint.keep()
    if keep is not None:
        active = adjoint.run.active
        logs = torch.where(active, log_size(keep[..., units]), 0.0).sum(1) / active.sum(1)
        found["unit_keep"] = logs.exp().T.float().cpu().numpy()
    return found


def _largest(adjoint: Adjoint, loss: Loss, count: int) -> Tensor:
    """Units by total_j^2 / |total|^2, summed over the rows and steps to which any gradient comes."""
    sums = None
    for stretch in Back(adjoint, loss):
        total = _scaled(stretch.total[stretch.memory][0])
        part = (total.square() / total.square().sum(-1, keepdim=True)).nan_to_num().double().sum((0, 1))
        sums = part if sums is None else sums + part
    if sums is None:
        raise ValueError("unit_arrows: a run without a step has no gradient to follow.")
    return sums.argsort(descending=True, stable=True)[:count]


def _of_units(stretch: Stretch, units: Tensor, labels: list[str]) -> dict[str, np.ndarray]:
    total, exponent = stretch.total[stretch.memory][0], stretch.scale[0].double()[..., None] * LOG2
    largest = total.abs().amax(-1, keepdim=True)
    own = total[..., units]
    parts = torch.stack([stretch.paths[label][..., units] for label in labels])
    share = (parts / largest) * (own / largest) / (total / largest).square().sum(-1, keepdim=True)
    return {
        "unit_gradient": _by_unit(_median(own.abs().double().log10() + exponent)),
        "unit_arrow_norm": _by_unit(_median(parts.abs().double().log10() + exponent)),
        # Means add up over units and paths as the terms themselves do; medians would not.
        "unit_arrow_share": _by_unit(share.double().nanmean(-2).cpu().numpy()),
    }


def _scaled(value: Tensor) -> Tensor:
    """Divided by its largest entry, so that squares do not vanish; NaN where it is zero."""
    return value / value.abs().amax(-1, keepdim=True)


def _median(logs: Tensor) -> np.ndarray:
    """Over rows, [..., n, B, top] -> [..., n, top]; NaN where nothing comes to any of them."""
    found = logs.cpu().numpy()
    return median(np.where(np.isfinite(found), found, np.nan), found.ndim - 2)


def _by_unit(values: np.ndarray) -> np.ndarray:
    return np.moveaxis(values, -1, 0).astype(np.float32)

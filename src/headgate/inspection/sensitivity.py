"""How sharply the last output hangs on each unit's own factor: the curse of memory (Zucchet & Orvieto 2024).

If a unit's memory were carried on by a factor larger by lambda_j at every step, m_t,j = (step)_j + lambda_j m_t-1,j,

    dh_T / dlambda_j = sum_t (dh_T / dm_t,j) m_t-1,j

at lambda = 0. The longer a unit keeps, the more steps add up: for h_t = lambda h_t-1 + x_t and white x of variance 1
the mean square is (1 + lambda^2) / (1 - lambda^2)^3, so near 1 the smallest change of a weight turns the output about.
A tangent carried forwards gives this for one unit; a random cotangent v carried back gives v . dh_T/dlambda_j for all
units at once, and its mean square over v is the squared norm.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from headgate.inspection.adjoint import Adjoint
from headgate.inspection.flow import Back, Loss
from headgate.inspection.gradients import LOG2

# Cotangents, over all rows, at least: the norm is then right to about a factor of 1.4.
COTANGENTS = 4


@torch.no_grad()
def factor_sensitivity(adjoint: Adjoint, probes: int | None = None, seed: int = 0) -> np.ndarray:
    """log10 of the root mean square, over rows, of |dh_T / dlambda_j| for each unit, [H]; NaN where it is zero.

    Args:
        adjoint: the run; T is each row's last step, and nothing passes a restored state.
        probes: random cotangents of each row; None for as many as make `COTANGENTS` over all rows.
        seed: of their signs.

    Raises:
        ValueError: no row takes a step, or fewer than one probe.
    """
    run = adjoint.run
    taking = run.active[..., 0].any(0)
    if not taking.any():
        raise ValueError("sensitivity: no row takes a step, so there is nothing to follow; give a longer sequence.")
    C = -(-COTANGENTS // int(taking.sum())) if probes is None else probes
    if C < 1:
        raise ValueError(f"sensitivity: probes={probes} is no number of cotangents; give 1 or more.")
    name = run.cell.state_names[0]
    B, size = run.initial[name].shape
    signs = torch.randint(0, 2, (C, B, size), generator=torch.Generator().manual_seed(seed), device="cpu") * 2.0 - 1.0
    everything = torch.full((C, B), -1, device=run.input.device)
    total, scale = None, None
    for stretch in Back(adjoint, Loss({}, {name: signs.to(run.input)}, everything)):
        before = run.before(stretch.start, stretch.stop)[stretch.memory]
        top = stretch.scale.amax(1)
        top = top if scale is None else torch.maximum(top, scale)
        part = _rescaled(stretch.total[stretch.memory] * before, stretch.scale - top[:, None]).sum(1)
        total = part if total is None else part + _rescaled(total, scale - top)
        scale = top
    logs = 2.0 * (total[:, taking].abs().double().log10() + scale[:, taking, None].double() * LOG2)
    found = logs.flatten(0, 1).cpu().numpy()
    largest = np.max(found, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.log10(np.mean(10.0 ** (found - largest), 0)) + largest
    return np.where(np.isfinite(mean), mean / 2.0, math.nan)


def _rescaled(value: Tensor, exponent: Tensor) -> Tensor:
    """Times a power of two that is at most 1; what leaves the format is nothing beside the rest."""
    return value * torch.exp2(exponent.to(value.dtype))[..., None]

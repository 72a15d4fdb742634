"""The few numbers that are worth having of a layer and direction while it is still being trained."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from headgate.graph import trace as graph_of
from headgate.inspection import gate_kinds
from headgate.inspection.flow import Back
from headgate.inspection.gates import LOGIT_EDGES, NEAREST, OPEN, SHUT
from headgate.inspection.gradients import LOG2, highway_beside, log_norm, share_of
from headgate.inspection.lags import at_lag, by_lag, lag_grid, median
from headgate.inspection.rules import longest_of
from headgate.inspection.trace import Trace

# Lags that get a curve of their own over training.
LAGS = (1, 10, 100)


@dataclass(frozen=True)
class GateGlance:
    """One gate with values in 0..1.

    Attributes:
        low, high: share of steps and rows at which it is shut and open, [H].
        deviation: standard deviation of its pre-activation over steps and rows, logit units, [H].
        histogram: how many values lie in each piece of `gates.LOGIT_EDGES`, over all units; at its ends, also those
            beyond.
        total, squares: sum of all pre-activations, and of their squares.
    """

    low: np.ndarray
    high: np.ndarray
    deviation: np.ndarray
    histogram: np.ndarray
    total: float
    squares: float


@dataclass(frozen=True)
class Glance:
    """A layer and direction at one look.

    Attributes:
        name: as in "encoder.lstm.l1_reverse".
        lags: steps back from the last step that the loss reads, ascending, the first is 0.
        profile: log10 of the memory's relative gradient there, median over rows, [lag]; NaN where no row is as long.
        largest_entry: log10 of that gradient's largest |entry|, median over rows, [lag].
        highway_share: share of it that the highway carries, [lag].
        timescales: of each unit, steps; None for a cell without a highway.
        gates: by name, those with values in 0..1.
        dtype: in which the layer ran.
        gate_names: of all gates, in the order of a Record's facts["gates"].
    """

    name: str
    lags: np.ndarray
    profile: np.ndarray
    largest_entry: np.ndarray
    highway_share: np.ndarray
    timescales: np.ndarray | None
    gates: dict[str, GateGlance] = field(default_factory=dict)
    dtype: torch.dtype = torch.float32
    gate_names: tuple[str, ...] = ()

    def histograms(self) -> np.ndarray:
        """Share of each gate's values in each piece of `gates.LOGIT_EDGES`, [gate, N1]; NaN for no 0..1 gate."""
        found = np.full((len(self.gate_names), len(LOGIT_EDGES) - 1), math.nan, dtype=np.float32)
        for row, name in zip(found, self.gate_names, strict=True):
            if name in self.gates:
                counts = self.gates[name].histogram
                row[:] = counts / max(int(counts.sum()), 1)
        return found

    def at(self, lag: int) -> float:
        """log10 of the relative gradient at one lag; NaN beyond what was seen."""
        return at_lag(self.lags, self.profile, lag)

    def trainable(self, eps: float = 1e-3) -> int:
        """The largest lag whose relative gradient is at least eps."""
        reached = np.flatnonzero(self.profile >= math.log10(eps))
        return int(self.lags[reached[-1]]) if len(reached) else 0

    def scalars(self) -> dict[str, float]:
        """What is worth a curve over training, by name; only finite numbers."""
        found: dict[str, float] = {"horizon_trainable": self.trainable()}
        for lag in LAGS:
            found[f"ratio_lag{lag}"] = self.at(lag)
            found[f"highway_share_lag{lag}"] = at_lag(self.lags, self.highway_share, lag)
        for name, gate in self.gates.items():
            found |= {f"sat_{name}_lo": float(gate.low.mean()), f"sat_{name}_hi": float(gate.high.mean())}
        if self.timescales is not None:
            # A memory that does not fade has no time scale: such units count as the slowest.
            endless = np.where(self.timescales < 0, math.inf, self.timescales)
            middle, slow = np.quantile(endless, (0.5, 0.9), method="lower")
            longest = longest_of(self.timescales)
            found |= {"horizon_stored": longest, "tau_p50": float(middle), "tau_p90": float(slow), "tau_max": longest}
        return {name: float(value) for name, value in found.items() if math.isfinite(value)}


def glance(seen: Trace) -> Glance:
    """Look at a layer and direction.

    Args:
        seen: what it did, with a backward pass.

    Raises:
        RuntimeError: no gradient came here.
    """
    norm, largest, share = _followed(seen)
    there = np.isfinite(norm)
    if not there.any():
        raise RuntimeError(
            f"{seen.name}: the loss depends on nothing that this layer and direction computed, so there is no gradient "
            "to follow back."
        )
    lags = lag_grid(len(norm))
    origin = np.where(there.any(0), len(norm) - 1 - there[::-1].argmax(0), -1)
    norm, largest, share = (by_lag(values, origin, lags) for values in (norm, largest, share))
    found = median(norm - norm[:1], 1), median(largest, 1), median(share, 1)
    names = tuple(graph_of(seen.cell).gates)
    return Glance(seen.name, lags, *found, seen.timescales(), _gates(seen), seen.dtype, names)


def _followed(seen: Trace) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The gradient of the last step that the loss reads: log10 norm, log10 largest |entry| and the highway's share of
    it, [T, B] each in the order of the run; not finite where there is none.

    What `gradients.gradients` tells too, with several sources, paths and cuts: here one reverse pass carries two rows.
    """
    found = []
    for stretch in Back(seen.adjoint, seen.local.sources(1), highway=True):
        memory, scale = stretch.total[stretch.memory][0], stretch.scale[0].to(torch.float64)
        largest = memory.abs().amax(-1).log10() + scale * LOG2
        found.append((log_norm(memory, scale), largest, share_of(highway_beside(stretch), memory)))
    norm, largest, share = (torch.cat(parts[::-1]).cpu().numpy() for parts in zip(*found, strict=True))
    return norm, largest, share


def at_lags(lags: np.ndarray, values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """A curve at other lags, between its neighbours if need be; NaN beyond its end."""
    there = np.isfinite(values)
    if not there.any():
        return np.full(len(wanted), math.nan)
    return np.interp(wanted, lags[there], values[there], right=math.nan)


def _gates(seen: Trace) -> dict[str, GateGlance]:
    lengths = torch.as_tensor(seen.lengths, device="cpu")
    kinds = gate_kinds.kinds(graph_of(seen.cell))
    found = {}
    for name, value in seen.gates.items():
        if kinds[name] == gate_kinds.GATE:
            taken = torch.arange(len(value), device="cpu")[:, None] < lengths
            found[name] = _gate(value[taken.to(value.device)])
    return found


def _gate(values: Tensor) -> GateGlance:
    """From its values at all steps that were taken, [N, H]; `gates.measure_gates` tells more, and costs more."""
    logits = torch.special.logit(values, eps=NEAREST).cpu().numpy()
    values = values.cpu().numpy()
    pieces = len(LOGIT_EDGES) - 1
    width = (LOGIT_EDGES[-1] - LOGIT_EDGES[0]) / pieces
    places = np.clip(((logits - LOGIT_EDGES[0]) / width).astype(int), 0, pieces - 1)
    return GateGlance(
        (values < SHUT).mean(0),
        (values > OPEN).mean(0),
        logits.std(0),
        np.bincount(places.ravel(), minlength=pieces),
        float(logits.sum()),
        float(np.square(logits).sum()),
    )

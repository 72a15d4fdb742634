"""One layer in one direction, watched: its gates, states and gradients, and what follows from them."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from headgate.graph import equations, trace
from headgate.inspection.adjoint import Adjoint, Run
from headgate.inspection.flow import Back, Flow, follow
from headgate.inspection.gradients import Gradients, gradients
from headgate.inspection.local import LocalLoss
from headgate.inspection.record import Record


class Trace:
    """What one layer and direction did, in float64, recomputed from its weights and input.

    Tensors are aligned with the input in time, whichever way the layer ran; steps that a row does not take are zero.

    Attributes:
        name: as in "encoder.lstm.l1_reverse".
        cell: the equations.
        reverse: whether it ran from the end to the beginning.
    """

    def __init__(self, name: str, run: Run, reverse: bool, local: LocalLoss) -> None:
        self.name, self.cell, self.reverse = name, run.cell, reverse
        self._run, self._local = run, local
        self._gradients: dict[int, Gradients] = {}

    @property
    def lengths(self) -> np.ndarray:
        """Steps each row took, [B]."""
        return self._run.active.sum(0)[:, 0].cpu().numpy()

    @cached_property
    def gates(self) -> dict[str, Tensor]:
        """Gate values by name, [T, B, H]; none for a cell without gates."""
        like, hidden_size = self._run.input, len(self._run.weights["weight_ih"]) // len(self.cell.gate_names)
        shape = *like.shape[:2], hidden_size
        whole = {n: torch.as_tensor(v).to(like).expand(shape) for n, v in self._adjoint.gates.items()}
        return {name: self._in_time(value * self._run.active) for name, value in whole.items()}

    @cached_property
    def states(self) -> dict[str, Tensor]:
        """States after each step by name, [T, B, ...]."""
        return {name: self._in_time(value * self._run.active) for name, value in self._run.states.items()}

    @cached_property
    def grad(self) -> dict[str, Tensor]:
        """Total gradient dL/d(state) by state, [T, B, ...]: along every path, not the local term that autograd leaves
        on a layer's output. States that are one quantity in the cell's equations share one gradient.

        Raises:
            RuntimeError: no backward pass reached this layer within the watch.
        """
        return {name: self._in_time(value) for name, value in self._flow.total.items()}

    @cached_property
    def grad_initial(self) -> dict[str, Tensor]:
        """Gradient of the initial state by state, [B, ...]."""
        return dict(self._flow.initial)

    @cached_property
    def paths(self) -> dict[str, Tensor]:
        """The exact split of dL/d(memory) by the path it came on, [T, B, H]: "highway", one a gate, "readout"."""
        return {label: self._in_time(part) for label, part in self._flow.paths.items()}

    @cached_property
    def highway(self) -> Tensor:
        """What the highway alone would bring to the memory if every gate path were cut, [T, B, H]."""
        return self._in_time(self._flow.highway)

    def jacobian(self, t: int, row: int = 0) -> Tensor:
        """d(states after step t)/d(states before it) for one row, dense; states in the cell's order.

        Raises:
            IndexError: there is no such step or row, or the row does not take that step.
        """
        T, B = self._run.input.shape[:2]
        if not (0 <= t < T and 0 <= row < B):
            raise IndexError(f"{self.name}: no step {t} of row {row}; steps are 0..{T - 1} and rows 0..{B - 1}.")
        if t >= self.lengths[row]:
            raise IndexError(f"{self.name}: row {row} has {self.lengths[row]} steps, so it takes no step {t}.")
        return self._adjoint.jacobian(len(self._run.input) - 1 - t if self.reverse else t, row)

    def lag_profile(self, quantiles: tuple[float, ...] = (0.1, 0.5, 0.9)) -> np.ndarray:
        """How much of the memory's gradient reaches lag k, relative to lag 0 (Hochreiter 1991; Pascanu et al. 2013).

        The source is the last step of each row, in the order of the run, that the loss reads in the top layer; its
        terms at other steps are left out, since a loss at every step would hide how the gradient of one of them fades.
        Norms are scaled by their largest entry, so that they do not underflow; the gradients themselves are float64,
        which ends near 1e-308.

        Returns:
            The quantiles over rows of |dl_s/dm_{s-k}| / |dl_s/dm_s| for k = 0 .. T - 1, [Q, T]; NaN at lags that no row
            is long enough for.

        Raises:
            RuntimeError: no backward pass came here, or the loss does not depend on this layer and direction.
        """
        relative = self._by_lag(self._norms)
        with np.errstate(invalid="ignore", divide="ignore"):
            return _quantiles(relative / relative[:1], quantiles)

    def highway_share(self) -> np.ndarray:
        """The highway's exact share of the gradient at each lag: <highway, total> / |total|^2, median over rows, [T].

        From the same source as `lag_profile`. 1 where the highway carries everything; it may leave [0, 1] where paths
        cancel.
        """
        flow = self._from_last
        total, alone = (self._by_lag(lambda v=v: v) for v in (flow.total[self.cell.memory], flow.highway))
        scale = np.abs(total).max(-1, keepdims=True)
        with np.errstate(invalid="ignore", divide="ignore"):
            total, alone = total / scale, alone / scale
            shares = (alone * total).sum(-1) / (total * total).sum(-1)
        return _quantiles(shares, (0.5,))[0]

    def horizon(self, eps: float = 1e-3) -> int:
        """The largest lag whose relative gradient (median over rows) is at least eps."""
        reached = np.flatnonzero(self.lag_profile((0.5,))[0] >= eps)
        return int(reached[-1]) if len(reached) else 0

    def timescales(self) -> np.ndarray | None:
        """Steps over which each unit's memory fades to 1/e by its own factor: -1 / mean log |keep|, [H].

        The factor is the highway's, from step to step: f in an LSTM, z in a GRU (Mahto et al. 2021); infinite where it
        is 1, negative where the memory grows. None for a cell without one. Not 1/(1 - mean f), which a single reset in
        fifty steps halves.
        """
        keep = self._adjoint.keep()
        if keep is None:
            return None
        steps = self._run.active.expand_as(keep)
        logs = torch.where(steps, keep.abs().clamp_min(torch.finfo(keep.dtype).tiny).log(), torch.zeros_like(keep))
        mean = (logs.sum((0, 1)) / steps.sum((0, 1)).clamp_min(1)).cpu().numpy()
        with np.errstate(divide="ignore"):
            return np.where(mean == 0, np.inf, -1.0 / mean)

    def record(self) -> Record:
        """The measurements as arrays and facts, for a report; where no gradient came, a fact says why."""
        arrays = {f"gate_{name}": value.float().cpu().numpy() for name, value in self.gates.items()}
        arrays["lengths"] = self.lengths
        timescales = self.timescales()
        if timescales is not None:
            arrays["timescales"] = timescales
        gradient: dict[str, object] = {}
        try:
            arrays |= {"lag_profile": self.lag_profile(), "highway_share": self.highway_share()}
            gradient = {"horizon_1e-3": self.horizon(1e-3), "horizon_1e-7": self.horizon(1e-7)}
        except RuntimeError as reason:
            gradient = {"no_gradient": str(reason)}
        facts = {
            "cell": self.cell.name,
            "equations": equations(self.cell),
            "memory": self.cell.memory,
            "gates": list(self.gates),
            "hidden_size": int(self._run.states[self.cell.memory].shape[-1]),
            "steps": len(self._run.input),
            **gradient,
        }
        return Record(self.name, facts, arrays)

    def __repr__(self) -> str:
        T, B = self._run.input.shape[:2]
        gates = ", ".join(trace(self.cell).gates) or "none"
        return f"Trace({self.name!r}, {self.cell.name}, T={T}, B={B}, gates {gates})"

    def input_gradient(self) -> Tensor:
        """dL/d(this layer's input) through this direction, [T, B, I]."""
        return self._in_time(self._flow.inputs @ self._run.weights["weight_ih"])

    def input_gradients(self, most: int) -> Tensor:
        """The same of the losses of single steps, the last of each row first, [S, T, B, I]; at most so many."""
        back = Back(self._adjoint, self._local.sources(most))
        pieces = [
            stretch.inputs @ self._run.weights["weight_ih"] * torch.exp2(stretch.scale.double())[..., None]
            for stretch in back
        ]
        whole = torch.cat(pieces[::-1], 1)
        return whole.flip(1) if self.reverse else whole

    def gradients(self, sources: int = 16) -> Gradients:
        """What comes back of the losses of single steps: by lag, by path, with paths cut (M1 to M5); see `Gradients`.

        Args:
            sources: how many of each row's losses to follow at most; fewer where many rows are watched.
        """
        if sources not in self._gradients:
            self._gradients[sources] = gradients(self._adjoint, self._local.sources(sources))
        return self._gradients[sources]

    @cached_property
    def _adjoint(self) -> Adjoint:
        return Adjoint(self._run)

    @cached_property
    def _flow(self) -> Flow:
        return follow(self._adjoint, self._local.whole(), paths=True, inputs=True)

    @cached_property
    def _from_last(self) -> Flow:
        """The gradient of the last thing the loss reads of each row."""
        return follow(self._adjoint, self._local.sources(1), paths=True)

    def _norms(self) -> Tensor:
        value = self._from_last.total[self.cell.memory]
        if not value.any():
            raise RuntimeError(
                f"{self.name}: the loss depends on nothing that this layer and direction computed, so there is no "
                "gradient to follow back."
            )
        largest = value.abs().amax(-1)
        safe = torch.where(largest > 0, largest, torch.ones_like(largest))
        return largest * (value / safe[..., None]).square().sum(-1).sqrt()

    def _by_lag(self, measure: Callable[[], Tensor]) -> np.ndarray:
        """[T, B, ...] in the order of the run to lag back from each row's source; NaN where a row is too short."""
        value, active = measure(), self._run.active[..., 0]
        steps = torch.arange(len(active), device=active.device)[:, None]
        # Nothing comes to steps after the source, and something to the source itself.
        reached = (self._from_last.total[self.cell.memory] != 0).any(-1)
        last = torch.where(reached, steps, -1).amax(0)
        at = last - steps
        there = (at >= 0) & active.gather(0, at.clamp_min(0))
        index = at.clamp_min(0).reshape(*at.shape, *[1] * (value.dim() - 2)).expand_as(value)
        found = value.gather(0, index).cpu().numpy()
        return np.where(there.cpu().numpy().reshape(*there.shape, *[1] * (found.ndim - 2)), found, math.nan)

    def _in_time(self, value: Tensor) -> Tensor:
        return value.flip(0) if self.reverse else value


def _quantiles(values: np.ndarray, quantiles: tuple[float, ...]) -> np.ndarray:
    """Over rows, ignoring those that are not there; NaN where none is. [T, B] -> [Q, T]."""
    found = np.full((len(quantiles), len(values)), math.nan)
    for k, row in enumerate(values):
        there = row[np.isfinite(row)]
        if len(there):
            found[:, k] = np.quantile(there, quantiles)
    return found

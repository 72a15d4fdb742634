"""One layer in one direction, watched: its gates, states and gradients, and what follows from them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from headgate.graph import trace
from headgate.inspection.adjoint import Adjoint
from headgate.inspection.flow import Back, Flow, Stretch, follow
from headgate.inspection.gradients import Gradients, gradients
from headgate.inspection.lags import by_lag, median
from headgate.inspection.lags import quantiles as quantiles_over
from headgate.inspection.local import LocalLoss
from headgate.inspection.measure import SOURCES, measure
from headgate.inspection.record import Record
from headgate.inspection.run import Run
from headgate.inspection.timescales import timescales


class Trace:
    """What one layer and direction did, recomputed from its weights and input.

    Tensors are aligned with the input in time, whichever way the layer ran; steps that a row does not take are zero.

    Attributes:
        name: as in "encoder.lstm.l1_reverse".
        cell: the equations.
        reverse: whether it ran from the end to the beginning.
        local: what the loss itself brings to it.
        dtype: in which the module ran.
        weights: the dtype of its weights.
    """

    def __init__(
        self,
        name: str,
        run: Run,
        reverse: bool,
        local: LocalLoss,
        dtype: torch.dtype,
        weights: torch.dtype | None = None,
    ) -> None:
        self.name, self.cell, self.reverse = name, run.cell, reverse
        self.local, self.dtype, self._run = local, dtype, run
        self.weights = weights or dtype
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
        whole = {n: torch.as_tensor(v).to(like).expand(shape) for n, v in self.adjoint.gates.items()}
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
        return self.adjoint.jacobian(len(self._run.input) - 1 - t if self.reverse else t, row)

    def lag_profile(self, quantiles: tuple[float, ...] = (0.1, 0.5, 0.9)) -> np.ndarray:
        """How much of the memory's gradient reaches lag k, relative to lag 0 (Hochreiter 1991; Pascanu et al. 2013).

        The source is the last step of each row, in the order of the run, that the loss reads in the top layer; its
        terms at other steps are left out, since a loss at every step would hide how the gradient of one of them fades.
        `gradients` follows more of them, and in the logarithm, which goes on where a float64 is 0.

        Returns:
            The quantiles over rows of |dl_s/dm_{s-k}| / |dl_s/dm_s| for k = 0 .. T - 1, [Q, T]; NaN at lags that no row
            is long enough for.

        Raises:
            RuntimeError: no backward pass came here, or the loss does not depend on this layer and direction.
        """
        found = self.gradients(1)
        return 10.0 ** quantiles_over(found.of_last(np.arange(found.norm.shape[1])), quantiles, 1)

    def highway_share(self) -> np.ndarray:
        """The highway's exact share of the gradient at each lag: <highway, total> / |total|^2, median over rows, [T].

        From the same source as `lag_profile`. 1 where the highway carries everything; it may leave [0, 1] where paths
        cancel.
        """
        found = self.gradients(1)
        return median(by_lag(found.highway_share, found.origin[0], np.arange(found.norm.shape[1])), 1)

    def horizon(self, eps: float = 1e-3) -> int:
        """The largest lag whose relative gradient (median over rows) is at least eps."""
        reached = np.flatnonzero(self.lag_profile((0.5,))[0] >= eps)
        return int(reached[-1]) if len(reached) else 0

    def timescales(self) -> np.ndarray | None:
        """Steps over which each unit's memory fades to 1/e by its own factor, [H]; None for a cell without one.

        See `headgate.inspection.timescales.timescales`.
        """
        keep = self.adjoint.keep()
        return None if keep is None else timescales(keep, self._run.active)

    def record(self, **asked: Any) -> Record:
        """All that can be measured of this call, for a report; where no gradient came, a fact says why.

        Args:
            asked: needs_lag, tbptt, sources, content; see `headgate.inspection.measure.measure`.
        """
        return measure(self, **asked)

    def __repr__(self) -> str:
        T, B = self._run.input.shape[:2]
        gates = ", ".join(trace(self.cell).gates) or "none"
        return f"Trace({self.name!r}, {self.cell.name}, T={T}, B={B}, gates {gates})"

    def input_gradient(self) -> Tensor:
        """dL/d(this layer's input) through this direction, [T, B, I]."""
        return self._in_time(self._flow.inputs @ self._run.weights["weight_ih"])

    def input_gradients(self, most: int) -> Tensor:
        """The same of the losses of single steps, the last of each row first, [S, T, B, I]; at most so many."""
        back = Back(self.adjoint, self.local.sources(most))
        pieces = [
            stretch.inputs @ self._run.weights["weight_ih"] * torch.exp2(stretch.scale.double())[..., None]
            for stretch in back
        ]
        whole = torch.cat(pieces[::-1], 1).to(self._run.input.dtype)
        return whole.flip(1) if self.reverse else whole

    def gradients(self, sources: int = SOURCES, also: Callable[[Stretch], None] | None = None) -> Gradients:
        """What comes back of the losses of single steps: by lag, by path, with paths cut (M1 to M5); see `Gradients`.

        Args:
            sources: how many of each row's losses to follow at most; fewer where many rows are watched.
            also: told every stretch of the reverse pass on the way; the whole loss is then followed as well.

        Raises:
            RuntimeError: no backward pass came here, or the loss does not depend on this layer and direction.
        """
        if also is None and sources in self._gradients:
            return self._gradients[sources]
        whole = None if also is None else self.local.whole()
        found = gradients(self.adjoint, self.local.sources(sources), whole, also)
        if not np.isfinite(found.norm).any():
            raise RuntimeError(
                f"{self.name}: the loss depends on nothing that this layer and direction computed, so there is no "
                "gradient to follow back."
            )
        self._gradients[sources] = found
        return found

    @cached_property
    def adjoint(self) -> Adjoint:
        """The run, ready for reverse passes; its steps are in the order of the run."""
        return Adjoint(self._run)

    @cached_property
    def _flow(self) -> Flow:
        return follow(self.adjoint, self.local.whole(), paths=True, inputs=True)

    def _in_time(self, value: Tensor) -> Tensor:
        return value.flip(0) if self.reverse else value

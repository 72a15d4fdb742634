"""Gates and states along a run: how open, how constant, how trainable, and what moves them (M10 to M13)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from headgate.inspection import evaluation, gate_kinds, pieces
from headgate.inspection.adjoint import Adjoint, Run
from headgate.inspection.gate_kinds import CANDIDATE, GATE
from headgate.inspection.timescales import log_size

# Below and above which a gate counts as saturated (Karpathy, Johnson & Fei-Fei 2015, arXiv 1506.02078), and a tanh.
SHUT, OPEN, SQUASHED = 0.1, 0.9, 0.97
# The logit axis. float32's sigmoid rounds to 1 at 17.3; the pieces at the ends hold everything beyond, too.
LOGIT_EDGES = np.linspace(-20.0, 20.0, 161)
BINS = 512
# A sigmoid's value tells its logit no further than this from the middle, since 1 - value is a rounding there.
NEAREST = 2.0**-53


@dataclass(frozen=True)
class Gates:
    """Gates and states along a run, in the order of the run; NaN where there is nothing to say.

    Arrays that stand in a Record have its names (`headgate.inspection.schema`); the first axis of the gates' is the
    gate, in the order of `names`.

    Attributes:
        names: of the gates.
        kinds: by gate, "gate" (0..1), "candidate" (-1..1) or "other".
        bins: first step of each piece of time, [bin].
        gate_mean: mean over rows and units, [gate, T].
        keep_mean: geometric mean over rows and units of the size of the memory's own factor, [T]; None without one.
        logit_histogram: share of all values in each piece of the logit axis, [gate, N1]; of 0..1 gates.
        logit_edges: edges of those pieces, [N1 + 1]; the first and the last piece hold everything beyond, too.
        saturated_low, saturated_high: share of steps below 0.1 and above 0.9; of a candidate below -0.97, above 0.97.
        gate_deviation: standard deviation of the pre-activation over steps and rows, [gate, H], logit units.
        gate_bias_only: the gate's value with no input and no memory, [gate, H].
        gate_trainability: mean of g (1 - g), or 1 - g^2 of a candidate, [gate, H] (Gu et al. 2020, arXiv 1910.09890).
        gate_score: mean over the piece of time, of the first row, [gate, H, bin].
        variance_time, variance_batch: the pre-activation's variance within rows, over time, and between the rows'
            means, [gate, H]; with `variance_unit`, between the means of units, [gate], they make up the variance of all
            its values.
        bias_share: 1 - E (a - a_0)^2 / E a^2 of the pre-activation a, a_0 being that of the bias alone, [gate, H]: 1
            where the gate is just its bias, 0 and below where the bias tells nothing of it.
        state_score: mean of the memory over the piece of time, of the first row, [H, bin].
        open_enough: share of steps at which the memory's own factor is above 1 - 1/needs_lag, [H]; None without either.
    """

    names: tuple[str, ...]
    kinds: dict[str, str]
    bins: np.ndarray
    gate_mean: np.ndarray
    keep_mean: np.ndarray | None
    logit_histogram: np.ndarray
    logit_edges: np.ndarray
    saturated_low: np.ndarray
    saturated_high: np.ndarray
    gate_deviation: np.ndarray
    gate_bias_only: np.ndarray
    gate_trainability: np.ndarray
    gate_score: np.ndarray
    variance_time: np.ndarray
    variance_batch: np.ndarray
    variance_unit: np.ndarray
    bias_share: np.ndarray
    state_score: np.ndarray
    open_enough: np.ndarray | None


@torch.no_grad()
def measure_gates(adjoint: Adjoint, needs_lag: float | None = None, edges: np.ndarray | None = None) -> Gates:
    """Gates and states along a run.

    Args:
        adjoint: of the run.
        needs_lag: over how many steps the task needs a memory; None where nobody knows.
        edges: pieces of time, `pieces.edges`; None for at most 512.

    Raises:
        ValueError: `needs_lag` is below 1.
    """
    if needs_lag is not None and not needs_lag >= 1:
        raise ValueError(f"gates: needs_lag is {needs_lag!r}, but a lag is a number of steps, at least 1.")
    run, graph = adjoint.run, adjoint.route.graph
    edges = pieces.edges(len(run.input), BINS) if edges is None else edges
    kinds, nodes = gate_kinds.kinds(graph), list(graph.gates.values())
    arguments = [gate_kinds.argument(node) for node in nodes]
    known = [argument for argument in arguments if argument is not None]
    alone = evaluation.bias_only(adjoint, [*nodes, *known])
    tallies = [_Tally(kinds[name], run, edges) for name in kinds]
    for start, stop in adjoint.stretches():
        shape = stop - start, run.input.shape[1], adjoint.hidden_size
        values = [value.expand(shape) for value in evaluation.values(adjoint, [*nodes, *known], start, stop)]
        later = iter(values[len(nodes) :])
        for tally, argument, value in zip(tallies, arguments, values, strict=False):
            tally.add(start, value, _logit(value) if argument is None else next(later))
    later = iter(alone[len(nodes) :])
    for tally, argument, value in zip(tallies, arguments, alone, strict=False):
        tally.finish(value, _logit(value) if argument is None else next(later))
    keep = adjoint.keep()
    return Gates(
        names=tuple(kinds),
        kinds=kinds,
        bins=edges[:-1],
        keep_mean=None if keep is None else _geometric_mean(keep, adjoint),
        logit_edges=LOGIT_EDGES,
        state_score=_state_score(adjoint, edges),
        open_enough=None if keep is None or needs_lag is None else _share_above(keep, 1 - 1 / needs_lag, adjoint),
        **_gathered(tallies, run, len(edges) - 1),
    )


class _Spread:
    """Mean and variance over steps and rows, gathered a stretch at a time, about each row's first value."""

    def __init__(self, like: Tensor) -> None:
        self._first = torch.zeros_like(like, dtype=torch.float64)  # [B, H]
        self._count = self._first.new_zeros(len(like), 1)
        self._sum, self._squares = torch.zeros_like(self._first), torch.zeros_like(self._first)

    def add(self, value: Tensor, active: Tensor) -> None:
        steps = active.sum(0)
        begins = (self._count == 0) & (steps > 0)
        if begins.any():
            at = active.to(torch.uint8).argmax(0)[None].expand_as(value[:1])
            self._first = torch.where(begins, value.gather(0, at)[0], self._first)
        from_first = (value - self._first).masked_fill_(~active, 0.0)
        self._sum += from_first.sum(0)
        self._squares += from_first.square_().sum(0)
        self._count += steps

    def parts(self) -> tuple[Tensor, Tensor, Tensor]:
        """The mean, the variance within rows and the variance between the means of rows, [H] each."""
        count, total = self._count, self._count.sum()
        mean = self._first + self._sum / count.clamp_min(1)
        within = (self._squares - self._sum.square() / count.clamp_min(1)).clamp_min(0).sum(0) / total
        # About the longest row's mean, so that rows that are all alike differ by nothing.
        middle = mean[int(count[:, 0].argmax())]
        shift = ((mean - middle) * count).sum(0) / total
        between = ((mean - middle - shift).square() * count).sum(0) / total
        return middle + shift, within, between


class _Tally:
    """What is gathered of one gate along a run."""

    def __init__(self, kind: str, run: Run, edges: np.ndarray) -> None:
        T, B = run.input.shape[:2]
        memory = run.states[run.cell.memory]
        self.kind, self._run, self._edges = kind, run, edges
        self._zero = memory.new_zeros(memory.shape[-1], dtype=torch.float64)
        self._low, self._high, self._slope = self._zero.clone(), self._zero.clone(), self._zero.clone()
        self._histogram = self._zero.new_zeros(len(LOGIT_EDGES) - 1)
        self._spread = _Spread(memory[0] if T else memory.new_zeros(B, memory.shape[-1]))
        self._mean = self._zero.new_full((T,), torch.nan)
        self._score = _Pooled(run, edges)

    def add(self, start: int, value: Tensor, argument: Tensor) -> None:
        here = slice(start, start + len(value))
        active = self._run.active[here]
        self._mean[here] = torch.where(active, value, 0.0).mean(-1).sum(-1) / active.sum((1, 2))
        self._score.add(start, value)
        self._spread.add(argument, active)
        low, high = (SHUT, OPEN) if self.kind == GATE else (-SQUASHED, SQUASHED)
        self._low += ((value < low) & active).sum((0, 1))
        self._high += ((value > high) & active).sum((0, 1))
        slope = value * (1 - value) if self.kind == GATE else 1 - value * value
        self._slope += slope.masked_fill_(~active, 0.0).sum((0, 1))
        if self.kind == GATE:
            self._histogram += _counts(argument, active, len(self._histogram)).to(self._histogram)

    def finish(self, alone: Tensor, argument_alone: Tensor) -> None:
        """Make arrays of what was gathered, given the gate's value and pre-activation from the bias alone, [H]."""
        steps = self._run.active.sum()
        mean, time, batch = self._spread.parts()
        nothing = torch.full_like(self._zero, torch.nan)
        squashes, gate = self.kind in (GATE, CANDIDATE), self.kind == GATE
        self.arrays = {
            "gate_mean": self._mean,
            "logit_histogram": self._histogram / (steps * len(alone) if gate else torch.nan),
            "saturated_low": self._low / steps if squashes else nothing,
            "saturated_high": self._high / steps if squashes else nothing,
            "gate_deviation": (time + batch).sqrt(),
            "gate_bias_only": alone,
            "gate_trainability": self._slope / steps if squashes else nothing,
            "gate_score": self._score.mean(),
            "variance_time": time,
            "variance_batch": batch,
            "variance_unit": mean.var(correction=0),
            "bias_share": 1 - (time + batch + (mean - argument_alone).square()) / (time + batch + mean.square()),
        }


class _Pooled:
    """The first row's values, averaged over pieces of time."""

    def __init__(self, run: Run, edges: np.ndarray) -> None:
        H = run.states[run.cell.memory].shape[-1]
        self._active, self._edges = run.active[:, :1], edges
        self._sum = run.input.new_zeros(len(edges) - 1, H, dtype=torch.float64)
        self._count = self._sum.new_zeros(len(edges) - 1, 1)

    def add(self, start: int, value: Tensor) -> None:
        here = slice(start, start + len(value))
        piece = pieces.piece_of(self._edges, here.start, here.stop).to(value.device)
        first = torch.where(self._active[here], value[:, :1], 0.0).sum(1)
        self._sum.index_add_(0, piece, first.to(self._sum))
        self._count.index_add_(0, piece, self._active[here].sum(1).to(self._count))

    def mean(self) -> Tensor:
        """[H, bin]; NaN where the row takes no step."""
        return (self._sum / self._count).T


def _logit(value: Tensor) -> Tensor:
    value = value.clamp(NEAREST, 1 - NEAREST)
    return value.log() - torch.log1p(-value)


def _counts(logit: Tensor, active: Tensor, count: int) -> Tensor:
    """How many values of steps that are taken lie in each piece of the logit axis."""
    if not active.all():
        logit = logit[active.expand_as(logit)]
    width = LOGIT_EDGES[1] - LOGIT_EDGES[0]
    place = ((logit - LOGIT_EDGES[0]) / width).clamp_(0, count - 1).to(torch.int64)
    return torch.bincount(place.flatten(), minlength=count)


def _gathered(tallies: list[_Tally], run: Run, bins: int) -> dict[str, np.ndarray]:
    """The gates' arrays side by side; of a cell without gates, empty ones of the right shapes."""
    if tallies:
        return {name: torch.stack([t.arrays[name] for t in tallies]).cpu().numpy() for name in tallies[0].arrays}
    T, H = len(run.input), run.states[run.cell.memory].shape[-1]
    shapes = {"gate_mean": (T,), "logit_histogram": (len(LOGIT_EDGES) - 1,), "gate_score": (H, bins)}
    by_unit = ("saturated_low", "saturated_high", "gate_deviation", "gate_bias_only", "gate_trainability")
    shapes |= dict.fromkeys((*by_unit, "variance_time", "variance_batch", "bias_share"), (H,)) | {"variance_unit": ()}
    return {name: np.empty((0, *shape)) for name, shape in shapes.items()}


def _state_score(adjoint: Adjoint, edges: np.ndarray) -> np.ndarray:
    run = adjoint.run
    pooled = _Pooled(run, edges)
    for start, stop in adjoint.stretches():
        pooled.add(start, run.states[run.cell.memory][start:stop])
    return pooled.mean().cpu().numpy()


def _geometric_mean(keep: Tensor, adjoint: Adjoint) -> np.ndarray:
    found = keep.new_empty(len(keep), dtype=torch.float64)
    for start, stop in adjoint.stretches():
        active = adjoint.run.active[start:stop]
        logs = torch.where(active, log_size(keep[start:stop]), 0.0)
        found[start:stop] = (logs.mean(-1).sum(-1) / active.sum((1, 2))).exp()
    return found.cpu().numpy()


def _share_above(keep: Tensor, value: float, adjoint: Adjoint) -> np.ndarray:
    above = keep.new_zeros(keep.shape[-1], dtype=torch.float64)
    for start, stop in adjoint.stretches():
        above += ((keep[start:stop] > value) & adjoint.run.active[start:stop]).sum((0, 1))
    return (above / adjoint.run.active.sum()).cpu().numpy()

"""How far back the parameters' gradient comes from: by lag, and truncated after k steps beside the whole (M20)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from headgate.inspection import evaluation
from headgate.inspection.adjoint import Adjoint
from headgate.inspection.flow import Back, Loss, Stretch
from headgate.inspection.gradients import log_norm
from headgate.inspection.lags import lag_grid

# Windows at which the truncated gradient is held against the whole, unless said otherwise.
WINDOWS = 24
# Numbers of truncated gradients that are kept at once: a large layer is looked at in fewer windows.
ROOM = 30_000_000


@dataclass(frozen=True)
class Truncation:
    """The gradient of the weights and biases that one source brings, by how many steps back it is collected.

    Lag 0 is the last step that the gradient comes to. Per-unit parameters (peepholes, gains) are left out.

    Attributes:
        lags: [lag].
        parameter_share: share of the summed norms of the steps' contributions, |d_t v_t^T| by step and row, that comes
            from up to so many steps back, [lag].
        truncation_cosine: cosine between the gradient collected from up to so many steps back, over all rows, and the
            whole, [lag]; NaN at lags that were not looked at.
        relative_bias: |truncated - whole| / |whole| at the same lags (Aicher, Foti & Fox 2019, arXiv 1905.07473).
        lag_99: the shortest lag up to which 99 % of the summed norms come; None if there is no gradient.
    """

    lags: np.ndarray
    parameter_share: np.ndarray
    truncation_cosine: np.ndarray
    relative_bias: np.ndarray
    lag_99: int | None


@torch.no_grad()
def measure_truncation(
    adjoint: Adjoint, loss: Loss, lags: np.ndarray | None = None, windows: Sequence[int] | None = None
) -> Truncation:
    """Follow one source back and collect what it brings to the parameters, by lag.

    Args:
        adjoint: of the run.
        loss: with one source, or its first is taken.
        lags: of the result, ascending; None for `lags.lag_grid`.
        windows: lags among these at which the truncated gradient is held against the whole; None for `windows_of`.
    """
    collected = Collected(adjoint, lags, windows)
    for stretch in Back(adjoint, loss):
        collected.take(stretch)
    return collected.result()


def windows_of(adjoint: Adjoint, lags: np.ndarray, also: Sequence[int] = ()) -> np.ndarray:
    """Lags at which the truncated gradient is held against the whole: evenly in the logarithm, with the first and last.

    At most 24, and fewer for a large layer, since a gradient of every parameter is kept for each.

    Args:
        adjoint: of the run.
        lags: to choose from, ascending.
        also: steps, such as the length of truncated back-propagation, whose neighbours among the lags are to be there.
    """
    size = sum(len(weight) * (weight.shape[1] + 1) for weight, _ in _parameters(adjoint))
    count = min(WINDOWS, len(lags), max(2, ROOM // max(1, size) - 1))
    # Twice as many as are wanted, since near the beginning several fall on one lag.
    spread = np.unique(np.searchsorted(lags, np.geomspace(1, lags[-1] + 1, 2 * count).round() - 1))
    even = spread[np.linspace(0, len(spread) - 1, min(count, len(spread))).round().astype(int)]
    beside = [np.searchsorted(lags, also, side="right") - 1, np.searchsorted(lags, also)]
    return lags[np.unique(np.concatenate([even, *beside]).clip(0, len(lags) - 1).astype(int))]


class Collected:
    """What a reverse pass brings to the parameters, gathered stretch by stretch, from the last to the first.

    Args:
        adjoint: of the run.
        lags, windows: as for `measure_truncation`.

    Raises:
        ValueError: a window that is no lag of the result.
    """

    def __init__(
        self, adjoint: Adjoint, lags: np.ndarray | None = None, windows: Sequence[int] | None = None
    ) -> None:
        run = adjoint.run
        T, B = run.input.shape[:2]
        self._adjoint = adjoint
        self._lags = lag_grid(T) if lags is None else np.asarray(lags)
        self._windows = windows_of(adjoint, self._lags) if windows is None else np.unique(windows)
        unknown = np.setdiff1d(self._windows, self._lags)
        if len(unknown):
            raise ValueError(
                f"truncation: a window of {unknown[0]} steps was asked for, but it is none of the lags; add it to them."
            )
        # What comes from further back than the last window has a place of its own, behind the others.
        self._sums = [_Sum(adjoint) for _ in range(len(self._windows) + 1)]
        self._norms = np.full((T, B), -np.inf)  # log10, by step in the order of the run
        self._origin = torch.full((B,), -1, device=run.input.device)

    def take(self, stretch: Stretch) -> None:
        """Collect what the first gradient of a stretch brings; the stretches come from the last to the first."""
        start, stop = stretch.start, stretch.stop
        steps = torch.arange(start, stop, device=self._origin.device)[:, None]
        reached = (stretch.total[self._adjoint.run.cell.memory][0] != 0).any(-1)
        last = torch.where(reached, steps, -1).amax(0)
        self._origin = torch.where(self._origin < 0, last, self._origin)
        lag = self._origin - steps
        parts = list(_contributions(self._adjoint, stretch))
        scale = stretch.scale[0].to(parts[0][0].dtype)
        self._norms[start:stop] = _joint_norm(parts, scale).cpu().numpy()
        edges = torch.as_tensor(self._windows, device=lag.device)
        window = torch.searchsorted(edges, lag.clamp_min(0)).masked_fill(lag < 0, -1)
        for k in window.unique().tolist():
            if k >= 0:
                self._sums[k].add(parts, scale, window == k)

    def result(self) -> Truncation:
        """When all stretches are taken."""
        share, lag_99 = self._shares()
        cosine, bias = np.full(len(self._lags), np.nan), np.full(len(self._lags), np.nan)
        for before, part in pairwise(self._sums):
            part.join(before)
        whole = self._sums[-1]
        if lag_99 is not None:
            for place, part in zip(np.searchsorted(self._lags, self._windows), self._sums, strict=False):
                cosine[place], bias[place] = part.beside(whole)
        return Truncation(self._lags, share, cosine, bias, lag_99)

    def _shares(self) -> tuple[np.ndarray, int | None]:
        """The share of the summed norms up to each lag, and where it reaches 99 %."""
        T = len(self._norms)
        origin = self._origin.cpu().numpy()
        lag = origin[None] - np.arange(T)[:, None]
        top = self._norms.max(initial=-np.inf)
        if top == -np.inf:
            return np.full(len(self._lags), np.nan), None
        sizes = np.bincount(lag[lag >= 0], weights=(10.0 ** (self._norms - top))[lag >= 0], minlength=T)
        share = np.minimum(np.cumsum(sizes) / sizes.sum(), 1.0)
        # From beyond the longest lag nothing comes.
        return share[np.minimum(self._lags, T - 1)], int(np.searchsorted(share, 0.99))


Parts = Sequence[tuple[Tensor, Tensor, bool]]


class _Sum:
    """A sum of contributions to every parameter, in units of 2**exponent; the exponent is None while it is empty."""

    def __init__(self, adjoint: Adjoint) -> None:
        self._adjoint = adjoint
        self._values: list[Tensor] = []
        self.exponent: float | None = None

    def add(self, parts: Parts, scale: Tensor, which: Tensor) -> None:
        """Add the contributions of some steps and rows, [n, B]."""
        largest = max(_exponent(gradient, vector, biased, scale, which) for gradient, vector, biased in parts)
        if largest == -math.inf:
            return
        self._raise(largest)
        factor = torch.exp2(scale[which] - self.exponent)[:, None]
        values = iter(self._values)
        for gradient, vector, biased in parts:
            gradient = gradient[which] * factor
            next(values).addmm_(gradient.T, vector[which])
            if biased:
                next(values).add_(gradient.sum(0))

    def join(self, other: _Sum) -> None:
        """Add another sum."""
        if other.exponent is None:
            return
        self._raise(other.exponent)
        for mine, theirs in zip(self._values, other._values, strict=True):
            mine.add_(theirs, alpha=_power(other.exponent - self.exponent))

    def beside(self, whole: _Sum) -> tuple[float, float]:
        """The cosine with another sum, and the distance from it relative to its norm."""
        if self.exponent is None:
            return math.nan, 1.0
        pairs = [(a.flatten(), b.flatten()) for a, b in zip(self._values, whole._values, strict=True)]
        own, other = (math.sqrt(sum(float(pair[k] @ pair[k]) for pair in pairs)) for k in (0, 1))
        if own == 0.0 or other == 0.0:
            return math.nan, math.nan
        shift = _power(self.exponent - whole.exponent)
        apart = math.sqrt(sum(float((a * shift - b).square().sum()) for a, b in pairs))
        return sum(float(a @ b) for a, b in pairs) / own / other, apart / other

    def _raise(self, exponent: float) -> None:
        """Make room for contributions of that size."""
        if self.exponent is None:
            self._values = [v for weight, biased in _parameters(self._adjoint) for v in _zeros(weight, biased)]
            self.exponent = exponent
        elif exponent > self.exponent:
            for value in self._values:
                value.mul_(_power(self.exponent - exponent))
            self.exponent = exponent

def _exponent(gradient: Tensor, vector: Tensor, biased: bool, scale: Tensor, which: Tensor) -> float:
    """The exponent of the largest entry of some steps' and rows' contributions; -inf where all are zero."""
    sizes = gradient.abs().amax(-1)[which], vector.abs().amax(-1)[which].clamp_min(float(biased))
    there = (sizes[0] > 0) & (sizes[1] > 0)
    exponents = scale[which] + sum(torch.frexp(size).exponent for size in sizes)
    return float(exponents[there].max()) if there.any() else -math.inf


def _power(exponent: float) -> float:
    return math.ldexp(1.0, int(max(exponent, -2000)))


def _zeros(weight: Tensor, biased: bool) -> list[Tensor]:
    return [torch.zeros_like(weight), weight.new_zeros(len(weight))][: 1 + biased]


def _parameters(adjoint: Adjoint) -> Iterator[tuple[Tensor, bool]]:
    """The input's weight, then the rows of each group of products; and whether they have a bias."""
    weights = adjoint.run.weights
    yield weights["weight_ih"], "bias_ih" in weights
    for group in adjoint.route.groups:
        whole, blocks = weights[f"weight_{group.matrix.name}"], len(group.matrix.block_names)
        rows = len(whole) // blocks
        some = whole[group.first * rows : (group.first + len(group.blocks)) * rows]
        yield some, f"bias_{group.matrix.name}" in weights


def _contributions(adjoint: Adjoint, stretch: Stretch) -> Iterator[tuple[Tensor, Tensor, bool]]:
    """For each of `_parameters`: the gradient of the product's result and the vector, [n, B, ...]: theirs is d v^T.

    In units of the stretch's scale; zero at steps that are not taken.
    """
    start, stop = stretch.start, stretch.stop
    groups, run = adjoint.route.groups, adjoint.run
    active = run.active[start:stop]
    biased = [there for _, there in _parameters(adjoint)]
    vectors = evaluation.values(adjoint, [group.argument for group in groups], start, stop)
    yield stretch.inputs[0] * active, run.input[start:stop], biased[0]
    for group, vector, there in zip(groups, vectors, biased[1:], strict=True):
        nothing = vector.new_zeros(*vector.shape[:2], len(adjoint.matrix[group.blocks[0]][0]))
        each = [stretch.products[block][0] if block in stretch.products else nothing for block in group.blocks]
        yield torch.cat(each, -1) * active, vector, there


def _joint_norm(parts: Parts, scale: Tensor) -> Tensor:
    """log10 of the norm of each step's and row's contribution to all parameters together, [n, B]."""
    # Of squares, as natural logarithms: |d v^T| = |d| |v|, and |d| for the bias, as if v had one more entry of 1.
    logs = []
    for gradient, vector, biased in parts:
        squares = 2 * math.log(10) * log_norm(vector, torch.zeros_like(scale))
        squares = torch.logaddexp(squares, torch.zeros_like(squares)) if biased else squares
        logs.append(2 * math.log(10) * log_norm(gradient, scale) + squares)
    return torch.stack(logs).logsumexp(0) / (2 * math.log(10))

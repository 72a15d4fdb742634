"""What the memory is made of: its content as a sum over the steps at which it was written (M19).

    c_T = sum_s w_s * written_s + w_0 * c_0,   w_s = product of f_m over s < m <= T

with f the factor by which a step carries the memory on, and written_s = c_s - f_s * c_{s-1} what it puts there beside:
i * g in an LSTM, (1 - z) * n in a GRU. Exact (Levy et al. 2018: an LSTM's memory is an element-wise weighted sum).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from headgate.cells import operations
from headgate.graph import Graph, Node
from headgate.graph.expression import ONE, ZERO, in_order
from headgate.graph.gradient import reverse
from headgate.inspection import evaluation, pieces
from headgate.inspection.adjoint import Adjoint, Run

BINS = 128
# Numbers of [bin, B, H] that are held at once.
AT_ONCE = 4_000_000
# Steps of one row that are taken at once.
STEPS = 1024
# What a step wrote is a difference, and known no better than so many roundings of what it is a difference of.
ROUNDINGS = 16


@dataclass(frozen=True)
class Provenance:
    """What the memory holds at the end of each piece of time, by when it was written; in the order of the run.

    A share is that of |what is left of what a piece wrote|, summed over units, in the sum of these over all pieces and
    the initial state, so that they sum to 1; and the mean of it over the rows that take a step in the column's piece.
    NaN where nothing is left: behind a restored state, before it was written, or where a piece wrote nothing.

    Attributes:
        bins: first step of each piece, [bin].
        provenance: log10 share of the content at the end of the column's piece that was written in the row's,
            [bin, bin].
        initial: log10 share of it that is left of the initial state, [bin].
    """

    bins: np.ndarray
    provenance: np.ndarray
    initial: np.ndarray


@dataclass(frozen=True)
class Content:
    """What one row's memory holds after one step: exactly the sum of weights * written + initial_weight * initial.

    Attributes:
        step, row: which.
        written: what each step up to that one put into the memory, [step + 1, H].
        weights: what is left of it, per unit, [step + 1, H]; 0 where that is below the smallest number there is.
        initial, initial_weight: the initial state and what is left of it, [H].
        shares: log10 share of each step in |content|, summed over units, [step + 1], however small; NaN where nothing
            is left.
        initial_share: log10 share of the initial state.
    """

    step: int
    row: int
    written: np.ndarray
    weights: np.ndarray
    initial: np.ndarray
    initial_weight: np.ndarray
    shares: np.ndarray
    initial_share: float


def carried(graph: Graph) -> Node | None:
    """The factor by which a step carries its memory on: f in an LSTM, with peepholes too, z in a GRU.

    It multiplies the old memory in the step's equation; where a gate sees the memory, the derivative is another.
    None where the old memory stands in the new one behind a function alone, or not at all.
    """
    new, old = graph.states[graph.cell.memory], graph.s(graph.cell.memory)
    held = frozenset(node for node in in_order([new]) if node.kind in (*operations.FUNCTIONS, "product", "mean"))
    factor = reverse({new: ONE}, held).get(old, ZERO)
    return None if factor is ZERO else factor


@torch.no_grad()
def measure_provenance(adjoint: Adjoint, edges: np.ndarray | None = None) -> Provenance | None:
    """What the memory holds at the end of each piece of time.

    Args:
        adjoint: of the run.
        edges: pieces of time, `pieces.edges`; None for at most 128.

    Returns:
        None for a cell that does not carry its memory on.
    """
    run = adjoint.run
    factor = _factor(adjoint, slice(None), len(run.input))
    if factor is None:
        return None
    edges = pieces.edges(len(run.input), BINS) if edges is None else edges
    bins, (B, H) = len(edges) - 1, factor.shape[1:]
    at_once = max(1, AT_ONCE // max(1, bins * H))
    parts = [_shares(run, factor, slice(b, b + at_once), edges) for b in range(0, B, at_once)]
    # A mean of shares, made of logarithms; NaN stands for rows that have no content in that piece.
    shares = torch.cat(parts, -1)  # [1 + bin, bin, B]
    there = ~shares.isnan()
    mean = shares.masked_fill(~there, -math.inf).logsumexp(-1) - there.sum(-1).double().log()
    found = _log10(mean).cpu().numpy()
    return Provenance(edges[:-1], found[1:], found[0])


@torch.no_grad()
def content(adjoint: Adjoint, step: int, row: int = 0) -> Content | None:
    """What one row's memory holds after one step, by the step at which it was written.

    Args:
        adjoint: of the run.
        step: in the order of the run.
        row: of the batch.

    Returns:
        None for a cell that does not carry its memory on.

    Raises:
        IndexError: there is no such step or row.
    """
    run = adjoint.run
    T, B = run.input.shape[:2]
    if not (0 <= step < T and 0 <= row < B):
        raise IndexError(f"content: no step {step} of row {row}; steps are 0..{T - 1} and rows 0..{B - 1}.")
    rows = slice(row, row + 1)
    factor = _factor(adjoint, rows, step + 1)
    if factor is None:
        return None
    initial = run.initial[run.cell.memory][row]
    written, weights = factor.new_empty(step + 1, len(initial)), factor.new_empty(step + 1, len(initial))
    sizes = factor.new_empty(step + 2)  # log |contribution| of each step, and of the initial state, over units
    logs, signs = torch.zeros_like(initial), torch.ones_like(initial)  # of the product of all later factors
    initial_weight, initial_logs = torch.zeros_like(initial), torch.full_like(initial, -math.inf)
    for start in range(step - step % STEPS, -1, -STEPS):
        here = slice(start, min(start + STEPS, step + 1))
        writing = _Writing(run, factor[here], rows, start)
        left = writing.left()
        left_logs = (left.logs + logs)[:, 0]
        written[here], weights[here] = writing.new[:, 0], (left.signs * signs)[:, 0] * left_logs.exp()
        sizes[:-1][here] = (writing.sizes()[:, 0] + left_logs).logsumexp(-1)
        initial_weight += (writing.restores[:, 0] * weights[here]).sum(0)
        initial_logs = torch.logaddexp(initial_logs, (writing.restores[:, 0].abs().log() + left_logs).logsumexp(0))
        logs, signs = logs + writing.passed()[0], signs * writing.passes[:, 0].sign().prod(0)
    initial_weight += signs * logs.exp()
    sizes[-1] = (torch.logaddexp(initial_logs, logs) + initial.abs().log()).logsumexp(0)
    shares = _log10(sizes - sizes.logsumexp(0)).cpu().numpy()
    arrays = (value.cpu().numpy() for value in (written, weights, initial, initial_weight))
    return Content(step, row, *arrays, shares[:-1], float(shares[-1]))


def _factor(adjoint: Adjoint, rows: slice, stop: int) -> Tensor | None:
    """By what each step before `stop` carries the memory on, [stop, R, H].

    Where the old memory stands behind a function, it is the derivative.
    """
    node = carried(adjoint.route.graph)
    if node is None:
        keep = adjoint.keep()
        return None if keep is None else keep[:stop, rows]
    memory = adjoint.run.states[adjoint.run.cell.memory]
    found = torch.empty_like(memory[:stop, rows])
    for start, end in adjoint.stretches():
        if start < stop:
            (value,) = evaluation.values(adjoint, [node], start, min(end, stop))
            found[start:end] = value[:, rows]
    return found


@dataclass(frozen=True)
class _Left:
    """What is left of a step's content after all later ones, [n, R, H]: log sizes and signs."""

    logs: Tensor
    signs: Tensor


class _Writing:
    """What some rows' steps do to the memory, [n, R, H] each.

    Args:
        run: whose steps.
        factor: by which they carry the memory on, [n, R, H].
        rows: which.
        start: the first of the steps.

    Attributes:
        passes: by what they carry on what was there; 1 where no step is taken, 0 where the state was restored.
        restores: by what they carry on the initial state, where it was restored before the step; else 0.
        new: what they put there beside.
    """

    def __init__(self, run: Run, factor: Tensor, rows: slice, start: int) -> None:
        memory, stop = run.cell.memory, start + len(factor)
        active = run.active[start:stop, rows]
        fresh = run.fresh[start:stop, rows] & active
        factor = torch.where(active, factor, 1.0)
        old = run.before(start, stop)[memory][:, rows]
        new, kept = run.states[memory][start:stop, rows], factor * old
        self.new = torch.where(active, new - kept, 0.0)
        self._rounding = ROUNDINGS * torch.finfo(new.dtype).eps * torch.maximum(new.abs(), kept.abs())
        self.passes = torch.where(fresh, 0.0, factor)
        self.restores = torch.where(fresh, factor, 0.0)

    def passed(self) -> Tensor:
        """The log size of what all of the steps carry on, [R, H]."""
        return self.passes.abs().log().sum(0)

    def sizes(self) -> Tensor:
        """The log size of what each step puts there; nothing where that is no more than the difference's rounding."""
        return torch.where(self.new.abs() > self._rounding, self.new.abs().log(), -math.inf)

    def left(self) -> _Left:
        """Of each step, the product of all later factors."""
        # Sums from the end, each without its own step, so that a factor of 0 takes all before it and nothing else.
        after = torch.cat([self.passes[1:], torch.ones_like(self.passes[:1])]).flip(0)
        return _Left(after.abs().log().cumsum(0).flip(0), after.sign().cumprod(0).flip(0))

    def content(self) -> Tensor:
        """The log size of what these steps have written and left, [R, H]."""
        left = self.left()
        logs = self.sizes() + left.logs
        top = logs.amax(0)
        top = torch.where(top.isfinite(), top, 0.0)
        return (self.new.sign() * left.signs * (logs - top).exp()).sum(0).abs().log() + top

    def restored(self, initial: Tensor) -> Tensor:
        """The log size of what these steps have restored of the initial state and left, [R, H]."""
        # Only one of several is left: a restored state takes the place of all before it.
        return ((self.restores * initial).abs().log() + self.left().logs).logsumexp(0)


def _shares(run: Run, factor: Tensor, rows: slice, edges: np.ndarray) -> Tensor:
    """The log share of the initial state and of each piece in the content at the end of each: [1 + bin, bin, R].

    NaN for rows that take no step in that piece, or have no content.
    """
    initial = run.initial[run.cell.memory][rows]
    bins = len(edges) - 1
    held = initial.new_full((1 + bins, *initial.shape), -math.inf)
    held[0] = initial.abs().log()
    found = initial.new_full((1 + bins, bins, len(initial)), -math.inf)
    for k, (start, stop) in enumerate(pairwise(edges)):
        writing = _Writing(run, factor[start:stop, rows], rows, int(start))
        held[: k + 1] += writing.passed()
        held[0] = torch.logaddexp(held[0], writing.restored(initial))
        held[k + 1] = writing.content()
        sizes = held[: k + 2].logsumexp(-1)
        found[: k + 2, k] = sizes - sizes.logsumexp(0)
        found[:, k].masked_fill_(~run.active[start:stop, rows].any(0)[:, 0], math.nan)
    return found


def _log10(logs: Tensor) -> Tensor:
    """Natural logarithms to decimal ones; NaN for nothing."""
    return torch.where(logs == -math.inf, math.nan, logs / math.log(10))

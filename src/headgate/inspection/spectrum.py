"""Lyapunov exponents of a run: how fast each direction of the whole state grows or fades from step to step.

The exponents are the means of log R_ii over the steps t of the recursion Q_t R_t = J_t^T Q_{t+1}, from the end of a row
to its beginning. Vogt et al. 2020 (arXiv 2006.14123) follow J_t forward; a product and its transpose have the same
singular values, so the spectrum is the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from headgate.cells import Cell
from headgate.cells.lstm import LSTM
from headgate.inspection.adjoint import Adjoint
from headgate.inspection.chain import DENSE_LIMIT, RESOLUTION, Chain, orthonormalised

# Steps of a row that are counted at most, unless asked otherwise.
MOST_STEPS = 2000


@dataclass(frozen=True)
class Lyapunov:
    """Lyapunov exponents, natural logarithms per step.

    Attributes:
        exponents: [n], descending, the steps of all rows counted alike. NaN, at the end, for directions that some step
            annihilates (a unit of a relu network that is off) or shrinks beyond what the number format tells.
        band: [n], how far the running estimate still moved while the last half of the steps came in; NaN if there are
            too few of them. Not a confidence interval.
        by_row: [B, n], each row by itself, descending; NaN for a row with no step counted.
        counted: [B], steps of each row that are in the means.
        left_out: steps that rows took and that are not counted: warm-up, and what is beyond the limit.
        size: numbers in the whole state, S; there are as many exponents.
        sum: of all exponents; None where not all of them are there.
        closed_form: what it must be, the mean of log|det J_t| over the same steps; None where not computed.
        reason: why `sum` or `closed_form` is None; "" where neither is.
    """

    exponents: np.ndarray
    band: np.ndarray
    by_row: np.ndarray
    counted: np.ndarray
    left_out: int
    size: int
    sum: float | None
    closed_form: float | None
    reason: str

    @property
    def complete(self) -> bool:
        """Whether these are all exponents, not the largest alone."""
        return len(self.exponents) == self.size

    def surviving(self, needs_lag: float) -> int:
        """Directions that keep more than 1/e over the needed lag: #{exponent > -1/needs_lag}.

        At least so many where the spectrum is not complete and all of it survives.
        """
        if not needs_lag > 0:
            raise ValueError(f"surviving: needs_lag={needs_lag} is no number of steps; give one above 0.")
        return int((self.exponents > -1.0 / needs_lag).sum())


@torch.no_grad()
def lyapunov(
    adjoint: Adjoint,
    count: int | None = 8,
    rows: Sequence[int] | None = None,
    steps: int | None = None,
    warm_up: int | None = None,
    every: int = 1,
    seed: int = 0,
    limit: int = DENSE_LIMIT,
) -> Lyapunov:
    """The largest Lyapunov exponents, or all of them, along the trajectories of some rows.

    A row goes from its last step to its first; a step that it does not take is no step. A reset ends one trajectory
    and begins another, with a warm-up of its own.

    Args:
        adjoint: the run.
        count: how many, the largest; None for all of them.
        rows: which rows, each its own trajectory, averaged over; None for all.
        steps: of each row, how many to count at most; None for what a few seconds allow.
        warm_up: steps of each trajectory that only turn the directions; None for a tenth of the longest, at most 100.
        every: steps between two orthonormalisations. More than one saves little, and loses what shrinks, relative to
            the first direction, by more than float64 can tell within so many steps.
        seed: of the first directions.
        limit: largest state for which all exponents are computed.

    Raises:
        ValueError: a number out of range, all exponents of a state above `limit`, no step left to be counted.
        IndexError: there is no such row.
    """
    chain = Chain(adjoint, rows, "lyapunov")
    count = _how_many(chain.size, count, limit)
    if every < 1 or (steps is not None and steps < 1) or (warm_up is not None and warm_up < 0):
        raise ValueError(
            f"lyapunov: every={every} and steps={steps} must be at least 1, and warm_up={warm_up} at least 0."
        )
    longest = int(chain.piece_lengths().max())
    warm_up = min(100, longest // 10) if warm_up is None else warm_up
    if warm_up >= longest:
        raise ValueError(
            f"lyapunov: no row takes more than {longest} steps in a row, so none is left after a warm-up of {warm_up}; "
            f"give a smaller warm_up."
        )
    steps = chain.affordable(count, MOST_STEPS) if steps is None else steps
    vectors = chain.orthonormal(count, torch.Generator().manual_seed(seed))
    return _result(chain, _follow(chain, vectors, steps, warm_up, every))


def _how_many(size: int, count: int | None, limit: int) -> int:
    if count is not None and count < 1:
        raise ValueError(f"lyapunov: count={count} is no number of exponents; give 1 to {size}, or None for all.")
    if count is not None and count < size:
        return count
    if size > limit:
        raise ValueError(
            f"lyapunov: all exponents of a state of {size} numbers take a QR of {size} columns at every step; ask for "
            f"the largest by count=8, or raise limit={limit}."
        )
    return size


class _Sums:
    """What the recursion adds up.

    Attributes:
        logs: of R_ii, [B, n], over the counted steps of each row.
        lost: directions that were annihilated at one of them, [B, n].
        volume: of log|det J_t|, [B], over the same steps; NaN where not computed.
        counted: those steps, [B].
        history: after every orthonormalisation, the sum of `logs` over rows, [n], and of `counted`.
    """

    def __init__(self, B: int, n: int) -> None:
        self.logs, self.lost = np.zeros((B, n)), np.zeros((B, n), bool)
        self.volume, self.counted = np.zeros(B), np.zeros(B, int)
        self.history: list[tuple[np.ndarray, int]] = []

    def add(self, R: Tensor, volume: np.ndarray, steps: np.ndarray) -> None:
        """What an interval brought to the rows in which so many steps of it count, [B]."""
        here = steps > 0
        if here.any():
            logs, lost = _diagonal(R)
            self.logs[here] += logs[here]
            self.lost[here] |= lost[here]
            self.volume[here] += volume[here]
            self.counted += steps
            self.history.append((self.logs.sum(0), int(self.counted.sum())))


def _follow(chain: Chain, vectors: Tensor, most: int, warm_up: int, every: int) -> _Sums:
    T, B = chain.active.shape
    sums, volume = _Sums(B, len(vectors)), _volumes(chain, complete=len(vectors) == chain.size)
    before = chain.active.cumsum(0) - chain.active
    age, interval, grown = np.zeros(B, int), np.zeros(B, int), np.zeros(B)
    counts = age >= warm_up
    for t in reversed(range(T)):
        vectors = chain.pull(t, vectors)
        counting = counts & chain.active[t]
        if counting.any():
            grown += np.where(counting, volume(t), 0.0)
        interval += chain.active[t]
        filled = sums.counted + interval * counts >= most
        last = not ((before[t] > 0) & ~filled).any()
        ends = chain.fresh[t] | (age + interval == warm_up) | (filled & counts) | (interval == every)
        if last or ends.any():
            vectors, R = orthonormalised(vectors)
            sums.add(R, grown, interval * counts)
            age = np.where(chain.fresh[t], 0, age + interval)
            counts = (age >= warm_up) & (sums.counted < most)
            interval, grown = np.zeros(B, int), np.zeros(B)
        if last:
            break
    return sums


def _diagonal(R: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """log R_ii, and whether that is nothing but rounding, [B, n]."""
    floor = RESOLUTION[R.dtype] * R.norm(dim=-2).amax(-1, keepdim=True).clamp_min(torch.finfo(R.dtype).tiny)
    diagonal = R.diagonal(dim1=-2, dim2=-1)
    return diagonal.clamp_min(floor).log().double().cpu().numpy(), (diagonal <= floor).cpu().numpy()


def _volumes(chain: Chain, complete: bool) -> Callable[[int], np.ndarray]:
    """log|det J_t| of every row at step t, by a way that shares nothing with the recursion.

    For an LSTM in closed form, from its gates: J = [[1, 0], [Q, 1]] [[D(f), K], [0, R]] in the order (c, h), with
    R = D(tanh(c) o (1 - o)) U_o, so log|det J| = sum log f + sum log(|tanh c| o (1 - o)) + log|det U_o|.
    """
    if not complete:
        return lambda t: np.full(chain.active.shape[1], math.nan)
    if not _has_closed_form(chain.run.cell):
        return lambda t: torch.linalg.slogdet(chain.dense(t)).logabsdet.double().cpu().numpy()
    gates, c, names = chain.adjoint.gates, chain.run.states["c"], chain.run.cell.gate_names
    U_o = chain.run.weights["weight_hh"].chunk(len(names))[names.index("o")]
    matrix = torch.linalg.slogdet(U_o).logabsdet

    def volume(t: int) -> np.ndarray:
        o = gates["o"][t]
        found = (c[t].tanh().abs() * o * (1 - o)).log().sum(-1) + matrix
        if "f" in gates:
            found = found + gates["f"][t].log().sum(-1)
        return found.double().cpu().numpy()

    return volume


def _has_closed_form(cell: Cell) -> bool:
    """Whether only f stands between the old memory and the new one, and only o and U_o between the old output and h."""
    if type(cell) is not LSTM or not cell.output_gate:
        return False
    return not {"peephole", "full_gate_recurrence", "projection", "output_activation"} & set(cell.changed_switches)


def _result(chain: Chain, sums: _Sums) -> Lyapunov:
    total, n = int(sums.counted.sum()), sums.logs.shape[1]
    found = np.where(sums.lost.any(0), math.nan, sums.logs.sum(0) / total)
    order = np.argsort(-found)
    with np.errstate(invalid="ignore"):
        by_row = np.where(sums.lost, math.nan, sums.logs / sums.counted[:, None])
    whole, closed, reason = None, None, ""
    if n < chain.size:
        reason = f"only the {n} largest of {chain.size} exponents were computed"
    elif np.isnan(found).any():
        reason = f"{np.isnan(found).sum()} of {n} directions are annihilated at some step, so the sum has no end"
    else:
        whole, closed = float(found.sum()), float(sums.volume.sum() / total)
        if not math.isfinite(closed):
            closed, reason = None, "a Jacobian is singular by its closed form"
    return Lyapunov(
        found[order],
        _band(sums)[order],
        -np.sort(-by_row, axis=-1),
        sums.counted,
        int(chain.active.sum()) - total,
        chain.size,
        whole,
        closed,
        reason,
    )


def _band(sums: _Sums) -> np.ndarray:
    """The farthest that the running mean was from the last one while the last half of the steps came in, [n]."""
    counts = np.array([count for _, count in sums.history])
    running = np.array([logs for logs, _ in sums.history]) / counts[:, None]
    half = counts >= counts[-1] / 2
    moved = np.abs(running[half] - running[-1]).max(0)
    return moved if half.sum() > 2 else np.full(len(moved), math.nan)

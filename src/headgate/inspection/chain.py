"""Products of a run's Jacobians along its rows: what random probes, exponents and singular values have in common.

All states of a cell are taken together, as one vector a row in the cell's order: for an LSTM, h and then c. They are
independent coordinates there, since a step's Jacobian says how each new state depends on each old one by every way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from headgate.inspection.adjoint import Adjoint, Run
from headgate.inspection.tangents import Tangents

# Matrices with a side as long as the whole state are made up to this many numbers in it.
DENSE_LIMIT = 512
# A direction that a step shrinks by more than this, relative to the others, is as good as annihilated.
RESOLUTION = {torch.float64: 1e-14, torch.float32: 1e-6}
# Arithmetic that takes a few seconds, and steps that are too few to stop at for its sake.
OPERATIONS, FEWEST_STEPS = 3e11, 100


class Chain:
    """Some rows of a run, and their one-step Jacobians applied to any number of vectors.

    Attributes:
        adjoint: of these rows alone.
        size: numbers in the whole state of a row, S.
        active: whether a row takes a step, [T, B].
        fresh: whether a row's state was restored before a step, so that nothing goes from the step before into it,
            [T, B].
    """

    def __init__(self, adjoint: Adjoint, rows: Sequence[int] | None = None, caller: str = "Chain") -> None:
        B = adjoint.run.input.shape[1]
        if rows is not None:
            wrong = [row for row in rows if not 0 <= row < B]
            if wrong or not len(rows):
                raise IndexError(f"{caller}: there is no row {wrong or 'in an empty list'}; rows are 0..{B - 1}.")
            if list(rows) != list(range(B)):
                adjoint = Adjoint(_of_rows(adjoint.run, list(rows)))
        self.adjoint, self.run = adjoint, adjoint.run
        self._names = self.run.cell.state_names
        self._sizes = [self.run.states[name].shape[-1] for name in self._names]
        self.size = sum(self._sizes)
        self.active: np.ndarray = self.run.active[..., 0].cpu().numpy()
        self.fresh: np.ndarray = self.run.fresh[..., 0].cpu().numpy()
        if not self.active.any():
            raise ValueError(f"{caller}: no row takes a step, so there is nothing to follow; give a longer sequence.")

    def pull(self, t: int, cotangents: Tensor) -> Tensor:
        """v^T J_t for C cotangents of every row, [C, B, S]; a row that does not take the step keeps its own."""
        return self._one_step(t, cotangents, self.adjoint.pull)

    def push(self, t: int, tangents: Tensor) -> Tensor:
        """J_t v for C tangents of every row, [C, B, S]; a row that does not take the step keeps its own."""
        return self._one_step(t, tangents, self._tangents.push)

    @cached_property
    def _tangents(self) -> Tangents:
        return Tangents(self.run)

    def _one_step(self, t: int, vectors: Tensor, apply: Callable[[int, dict], dict]) -> Tensor:
        taken = self.active[t]
        if not taken.any():
            return vectors
        applied = apply(t, dict(zip(self._names, vectors.split(self._sizes, -1), strict=True)))
        found = torch.cat([applied[name] for name in self._names], -1)
        return found if taken.all() else torch.where(self.run.active[t], found, vectors)

    def dense(self, t: int) -> Tensor:
        """J_t of every row, [B, S, S]; the identity where a row does not take the step."""
        return self.pull(t, self.identity()).transpose(0, 1)

    def identity(self) -> Tensor:
        """All unit vectors for every row, [S, B, S]."""
        like = self.run.input
        eye = torch.eye(self.size, dtype=like.dtype, device=like.device)
        return eye[:, None].repeat(1, self.active.shape[1], 1)

    def orthonormal(self, count: int, generator: torch.Generator) -> Tensor:
        """`count` orthonormal vectors for every row, uniformly distributed up to their signs, [C, B, S]."""
        like = self.run.input
        shape, kind = (self.active.shape[1], self.size, count), {"dtype": torch.float64, "device": "cpu"}
        drawn = torch.randn(shape, generator=generator, **kind)
        return torch.linalg.qr(drawn.to(like)).Q.permute(2, 0, 1).contiguous()

    def affordable(self, count: int, most: int) -> int:
        """Steps that `count` vectors of every row can be carried through, and made orthonormal, in a few seconds."""
        per_step = self.active.shape[1] * count * 4 * self.size * (self.size + count)
        return int(np.clip(OPERATIONS / per_step, FEWEST_STEPS, most))

    def piece_lengths(self) -> np.ndarray:
        """Steps of each row between two resets, or a reset and an end of the row; in no order, [N]."""
        starts = self.active & self.fresh
        piece = starts.cumsum(0) + np.arange(self.active.shape[1]) * (len(self.active) + 1)
        return np.unique(piece[self.active], return_counts=True)[1]


def _of_rows(run: Run, rows: list[int]) -> Run:
    """Some rows of a run as a run of their own."""
    return replace(
        run,
        input=run.input[:, rows],
        initial={name: value[rows] for name, value in run.initial.items()},
        states={name: value[:, rows] for name, value in run.states.items()},
        active=run.active[:, rows],
        fresh=run.fresh[:, rows],
        masks={name: value[:, rows] if isinstance(value, Tensor) else value for name, value in run.masks.items()},
        kept=None,
    )


def orthonormalised(vectors: Tensor) -> tuple[Tensor, Tensor]:
    """QR of C vectors of every row, with a diagonal of R that is not negative.

    Args:
        vectors: [C, B, S].

    Returns:
        Orthonormal vectors [C, B, S], and R [B, C, C]: old vector k is the sum over j of R[j, k] times new vector j.
    """
    Q, R = torch.linalg.qr(vectors.permute(1, 2, 0))
    sign = torch.where(R.diagonal(dim1=-2, dim2=-1) < 0, -1.0, 1.0).to(R.dtype)
    return (Q * sign[:, None, :]).permute(2, 0, 1).contiguous(), R * sign[:, :, None]


def normalised(vectors: Tensor) -> tuple[Tensor, np.ndarray]:
    """Vectors of length 1 or, where they are zero, 0, [C, B, S]; and the logarithm of their lengths, [C, B]."""
    largest = vectors.abs().amax(-1, keepdim=True)
    scaled = vectors / torch.where(largest > 0, largest, 1.0)
    length = scaled.norm(dim=-1, keepdim=True)
    with np.errstate(divide="ignore"):
        logs = np.log(largest[..., 0].double().cpu().numpy()) + np.log(length[..., 0].double().cpu().numpy())
    return scaled / torch.where(length > 0, length, 1.0), logs

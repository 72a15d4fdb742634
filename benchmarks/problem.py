"""The numbers of a workload: the same weights, input and weights on the output for everyone, and the truth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import headgate as hg
from benchmarks.workloads import Workload
from headgate import cells
from headgate.cells import Cell

ROOT = Path(__file__).resolve().parent.parent
SEED = 0
SHORTEST = 0.25


@dataclass(frozen=True)
class Problem:
    """What everyone is given.

    Attributes:
        workload: what is run.
        cell: its equations.
        weights: by the names of `Cell.parameter_shapes`, float32.
        x: [T, B, I].
        upstream: the gradient of the loss with respect to the output, [T, B, H].
        lengths: valid steps of each row, [B], or None for T.
    """

    workload: Workload
    cell: Cell
    weights: dict[str, Tensor]
    x: Tensor
    upstream: Tensor
    lengths: Tensor | None

    @property
    def steps(self) -> int:
        """Steps of all rows together."""
        return self.workload.T * self.workload.B if self.lengths is None else int(self.lengths.sum())

    @property
    def operations(self) -> int:
        """Floating-point operations of the matrix products: the backward pass has two for each of the forward's."""
        matrices = sum(weight.numel() for weight in self.weights.values() if weight.dim() == 2)
        return 2 * self.steps * matrices * (3 if self.workload.trains else 1)

    @property
    def least_bytes(self) -> int:
        """What has to come from memory or go there once: weights, input and output, and their gradients."""
        numbers = sum(w.numel() for w in self.weights.values()) + self.x.numel() + self.upstream.numel()
        return 4 * numbers * (2 if self.workload.trains else 1)


def layer(workload: Workload, **keywords) -> hg.Recurrent:
    """A layer of ours for the workload, by whichever engine headgate chooses, in training mode if it trains."""
    file, colon, name = workload.cell.rpartition(":")
    cell = cells.load(f"{ROOT / file}:{name}") if colon else workload.cell
    return hg.Recurrent(cell, workload.I, workload.H, **workload.options, **keywords).train(workload.trains)


def make(workload: Workload) -> Problem:
    """The workload's numbers, the same in every process."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        ours = layer(workload)
        weights = {name: value.detach().clone() for name, value in ours.weights(0).items()}
        x = torch.randn(workload.T, workload.B, workload.I)
        upstream = torch.randn(workload.T, workload.B, workload.H)
        lengths = None
        if workload.lengths:
            shortest = max(1, int(SHORTEST * workload.T))
            lengths = torch.linspace(shortest, workload.T, workload.B).long()[torch.randperm(workload.B)]
    return Problem(workload, ours.cell, weights, x, upstream, lengths)


def with_weights(layer: hg.Recurrent, weights: dict[str, Tensor]) -> hg.Recurrent:
    """The layer with these weights."""
    with torch.no_grad():
        for name, value in layer.weights(0).items():
            value.copy_(weights[name])
    return layer


def truth(problem: Problem) -> dict[str, np.ndarray]:
    """The eager engine's results in float64, by name: "output", and for training "d_x" and each weight's gradient."""
    workload = problem.workload
    exact = with_weights(layer(workload, engine="eager", dtype=torch.float64), problem.weights)
    x = problem.x.double().requires_grad_(workload.trains)
    torch.manual_seed(SEED)
    with torch.set_grad_enabled(workload.trains):
        output, _ = exact(x, lengths=problem.lengths)
    found = {"output": output.detach().numpy()}
    if workload.trains:
        named = exact.weights(0)
        gradients = torch.autograd.grad(output, [x, *named.values()], problem.upstream.double())
        names = ["d_x", *(f"d_{name}" for name in named)]
        found |= {name: value.numpy() for name, value in zip(names, gradients, strict=True)}
    return found

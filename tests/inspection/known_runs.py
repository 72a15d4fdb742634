"""Runs made without any engine, from the reference's own loop; cells of known Jacobians; products the long way."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from inspection.watching import CELLS

import headgate as hg
from headgate.cells import Cell, Gates, State
from headgate.inspection.adjoint import Adjoint, Run
from headgate.reference import random_case
from headgate.reference.unroll import step_masks, steps_in_order, unroll


class Linear(Cell):
    """h_t = U h_{t-1} + W x_t + b: its Jacobian is U at every step."""

    gates = "h"
    states = "h"

    def step(self, x, U, s):
        return State(h=x.h + U.h(s.h)), Gates()


# Every cell there is, and wrappers around those that differ most.
EVERY: dict[str, Cell] = {
    **CELLS,
    "layer norm lstm": hg.cells.get("lstm", layer_norm=True),
    "layer norm gru": hg.cells.get("gru", layer_norm=True),
    "zoneout lstm": hg.cells.get("lstm", zoneout={"h": 0.1, "c": 0.4}),
    "zoneout gru": hg.cells.get("gru", zoneout=0.2),
    "linear": Linear(),
}


def run_of(case) -> Run:
    """A case as it ran, by the reference."""
    values, order = unroll(case), steps_in_order(case)
    times = [t for t, _, _ in order]

    def tensor(value):
        return torch.from_numpy(np.ascontiguousarray(value))

    active = np.stack([rows for _, rows, _ in order])
    masks = dict(case.cell.rates)
    if case.mask_seed is not None:
        drawn = [step_masks(case, t) for t in times]
        masks = {name: tensor(np.stack([m[name] for m in drawn])) for name in case.cell.mask_names}
    return Run(
        case.cell,
        {name: tensor(value) for name, value in case.weights.items()},
        tensor(case.input[times]),
        {name: tensor(value) for name, value in case.initial.items()},
        {name: tensor(values[f"states_{name}"][times]) for name in case.cell.state_names},
        torch.from_numpy(active),
        torch.from_numpy(np.stack([rows for _, _, rows in order]) & active),
        masks,
    )


def adjoint_of(cell: Cell, T: int, B: int = 1, H: int = 4, **options) -> Adjoint:
    """A random run of a cell; weights are made smaller or larger by `gain`."""
    gain, mask_seed = options.pop("gain", 1.0), options.pop("mask_seed", None)
    projected = {"O": H - 1} if cell.produces_projection else {}
    case = random_case(cell, T, B, H, I=2, **projected, **options)
    weights = {name: value * (gain if name.startswith("weight_hh") else 1.0) for name, value in case.weights.items()}
    return Adjoint(run_of(replace(case, weights=weights, mask_seed=mask_seed)))


def linear_run(U, T: int, B: int = 1, lengths=None, reset=None) -> Adjoint:
    """A network whose every Jacobian is U, at rest."""
    H = len(U)
    case = random_case(Linear(), T, B, H, I=1)
    weights = {name: np.zeros_like(value) for name, value in case.weights.items()} | {"weight_hh": np.asarray(U)}
    still = {"h": np.zeros((B, H))}
    return Adjoint(run_of(replace(case, weights=weights, initial=still, lengths=lengths, reset=reset)))


def rotation(n: int, seed: int = 5) -> np.ndarray:
    """An orthogonal matrix."""
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(n, n)))[0]


def jacobians(adjoint: Adjoint, row: int = 0) -> list[list[np.ndarray]]:
    """Of each sequence of a row, the last first: the Jacobians of its steps, from its last step back."""
    active, fresh = adjoint.run.active[:, row, 0], adjoint.run.fresh[:, row, 0]
    found: list[list[np.ndarray]] = [[]]
    for t in reversed(range(len(active))):
        if active[t]:
            found[-1].append(adjoint.jacobian(t, row).numpy())
            if fresh[t]:
                found.append([])
    return [sequence for sequence in found if sequence]


def products(sequence: list[np.ndarray]) -> list[np.ndarray]:
    """ds_s/ds_{s-k} for k = 0, 1, ... up to the state after the first step."""
    found = [np.eye(len(sequence[0]))]
    for jacobian in sequence[:-1]:
        found.append(found[-1] @ jacobian)
    return found

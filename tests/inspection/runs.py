"""Runs made without the watch: a case of the reference, unrolled in NumPy, as the measurements take it."""

from __future__ import annotations

import numpy as np
import torch

from headgate.cells.lstm import LSTM
from headgate.inspection import adjoint
from headgate.inspection.adjoint import Run
from headgate.reference.case import Case
from headgate.reference.masks import masks
from headgate.reference.unroll import steps_in_order, unroll


def run_of(case: Case) -> Run:
    """A case as a run, its steps in the order in which they were run."""
    cell, done = case.cell, unroll(case)
    B = case.input.shape[1]
    order = steps_in_order(case)
    times = [t for t, *_ in order]
    active = np.stack([rows for _, rows, _ in order])
    fresh = np.stack([rows for *_, rows in order]) & active
    drawn = dict(cell.rates)
    if case.mask_seed is not None:
        each = [masks(cell, case.mask_seed, t, B, lambda name: case.initial[name].shape[1]) for t in times]
        drawn = {name: torch.from_numpy(np.stack([m[name] for m in each]).astype(float)) for name in cell.mask_names}
    return Run(
        cell,
        {name: torch.from_numpy(value) for name, value in case.weights.items()},
        torch.from_numpy(np.where(active, case.input[times], 0.0)),
        {name: torch.from_numpy(value) for name, value in case.initial.items()},
        {name: torch.from_numpy(done[f"states_{name}"][times]) for name in cell.state_names},
        torch.from_numpy(active),
        torch.from_numpy(fresh),
        drawn,
    )


def lstm_of(H: int = 1, **arguments: np.ndarray) -> Run:
    """An LSTM whose gates are what they are told to be, whatever its state: its input is their pre-activations.

    Args:
        H: units.
        arguments: by gate, something that expands to [T, B, H]; 0 where it is left out.
    """
    return run_of(lstm_case(H, **arguments))


def lstm_case(H: int = 1, **arguments: np.ndarray) -> Case:
    """The case of `lstm_of`."""
    shape = np.broadcast_shapes(*(np.shape(value) for value in arguments.values()), (1, 1, H))
    input = np.concatenate([np.broadcast_to(arguments.get(gate, 0.0), shape) for gate in "ifgo"], -1)
    shapes = LSTM().parameter_shapes(4 * H, H, H)
    weights = {name: np.zeros(size) for name, size in shapes.items()} | {"weight_ih": np.eye(4 * H)}
    initial = {name: np.zeros((shape[1], H)) for name in ("h", "c")}
    return Case(LSTM(), weights, input, initial)


def logit(value):
    return np.log(value) - np.log1p(-np.asarray(value, float))


def steps_of(run: Run, row: int) -> list[int]:
    """The steps that a row takes."""
    return np.flatnonzero(run.active[:, row, 0].numpy()).tolist()


def in_short_stretches(monkeypatch) -> None:
    """Have runs gone through in stretches of a step or two, as long ones are in stretches of hundreds."""
    monkeypatch.setattr(adjoint, "AT_ONCE", 400)

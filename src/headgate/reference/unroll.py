"""The truth: a cell's own step, called in a loop one can read aloud."""

from __future__ import annotations

import numpy as np

import headgate.reference.operations  # noqa: F401 - gives the equations' functions their meaning on arrays
from headgate.cells.cell import Cell, Named, State
from headgate.reference.case import Arrays, Case
from headgate.reference.masks import masks


class Blocks:
    """`U` on arrays: `U.i(v)` is `U_i v + b'_i` for every row of v."""

    def __init__(self, cell: Cell, weights: Arrays) -> None:
        self.cell = cell
        self._matrix: Arrays = {}
        self._bias: Arrays = {}
        for matrix in cell.recurrent:
            names = matrix.block_names
            rows = np.split(weights[f"weight_{matrix.name}"], len(names))
            biases = np.split(weights[f"bias_{matrix.name}"], len(names)) if f"bias_{matrix.name}" in weights else None
            for k, name in enumerate(names):
                self._matrix[name] = rows[k]
                self._bias[name] = biases[k] if biases is not None else np.zeros(len(rows[k]))

    def __getattr__(self, block: str):
        return lambda vector: vector @ self._matrix[block].T + self._bias[block]

    __getitem__ = __getattr__


def transposed(U: Blocks, block: str, vector: np.ndarray) -> np.ndarray:
    """What a gradient of U_block v passes back to v."""
    return vector @ U._matrix[block]


def input_parts(cell: Cell, weights: Arrays, input: np.ndarray) -> Arrays:
    """W x + b for all steps, by gate, each [T, B, H]."""
    parts = input @ weights["weight_ih"].T + weights.get("bias_ih", 0.0)
    return dict(zip(cell.gate_names, np.split(parts, len(cell.gate_names), axis=-1), strict=True))


def vectors(cell: Cell, weights: Arrays) -> Named:
    """`p`: the per-unit parameters by name, [H] each."""
    names = cell.vector_names
    return Named(zip(names, np.split(weights["weight_p"], len(names)), strict=True)) if names else Named()


def step_masks(case: Case, t: int) -> Named | None:
    """`m` at one step of training; None for evaluation."""
    if case.mask_seed is None:
        return None
    drawn = masks(case.cell, case.mask_seed, t, case.input.shape[1], lambda name: case.initial[name].shape[1])
    return Named((name, value.astype(np.float64)) for name, value in drawn.items())


def steps_in_order(case: Case) -> list[tuple[int, np.ndarray, np.ndarray]]:
    """For each step in the order it is run: its time, which rows take it, which rows start afresh before it.

    A reset at step t says that a new sequence begins at t: running forward, the state is restored before t; running
    in reverse, where t is the new sequence's last step to be read, it is restored before t - 1.
    """
    T, B = case.input.shape[:2]
    lengths = np.full(B, T) if case.lengths is None else case.lengths
    reset = np.zeros((T, B), bool) if case.reset is None else case.reset
    if case.reverse:
        reset = np.concatenate([reset[1:], np.zeros((1, B), bool)])
    times = reversed(range(T)) if case.reverse else range(T)
    return [(t, (t < lengths)[:, None], reset[t][:, None]) for t in times]


def unroll(case: Case) -> Arrays:
    """Run a case.

    Returns:
        `output` [T, B, O], zero past a row's end; `final_<state>` [B, ...], a row's state after its own last step;
        `states_<state>` [T, B, ...], frozen past a row's end.
    """
    cell = case.cell
    x, U, p = input_parts(cell, case.weights, case.input), Blocks(cell, case.weights), vectors(cell, case.weights)
    first = State(case.initial)
    state = first
    trajectory: dict[int, State] = {}
    output = {}
    for t, active, fresh in steps_in_order(case):
        before = State((name, np.where(fresh & active, first[name], state[name])) for name in state)
        after, _ = cell(Named((gate, part[t]) for gate, part in x.items()), U, before, p, step_masks(case, t))
        state = State((name, np.where(active, after[name], before[name])) for name in state)
        trajectory[t] = state
        output[t] = np.where(active, state[cell.state_names[0]], 0.0)
    times = range(len(case.input))
    return {
        "output": np.stack([output[t] for t in times]),
        **{f"final_{name}": value for name, value in state.items()},
        **{f"states_{name}": np.stack([trajectory[t][name] for t in times]) for name in state},
    }

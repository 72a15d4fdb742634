"""torch.nn: LSTM and GRU, packed where rows have lengths, under autocast for bf16, and the cells for single steps."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from benchmarks.peers import Contender
from benchmarks.problem import Problem
from benchmarks.torch_runs import contender
from benchmarks.workloads import STEP, Workload

WORDS = "torch.nn"
VERSION = torch.__version__
LAYERS = {"lstm": (nn.LSTM, nn.LSTMCell), "gru": (nn.GRU, nn.GRUCell)}


def refusal(workload: Workload) -> str | None:
    """Why torch.nn does not run this, or None."""
    if workload.cell not in LAYERS or workload.options:
        return "torch.nn has no such layer"
    return None


def prepare(problem: Problem, threads: int) -> Contender:
    """The layer, or the cell in a loop, with the problem's weights."""
    workload = problem.workload
    whole, single = LAYERS[workload.cell]
    if workload.mode == STEP:
        cell = single(workload.I, workload.H)
        cell.load_state_dict(problem.weights)
        return contender(lambda x: _stepped(cell, x), problem, {}, single.__name__)
    layer = whole(workload.I, workload.H).train(workload.trains)
    layer.load_state_dict({f"{name}_l0": value for name, value in problem.weights.items()})
    parameters = {name: getattr(layer, f"{name}_l0") for name in problem.weights} if workload.trains else {}
    if problem.lengths is None:
        half = "autocast" if workload.dtype == "bfloat16" else ""
        return contender(lambda x: layer(x)[0], problem, parameters, half)

    def packed(x: Tensor) -> Tensor:
        output, _ = layer(pack_padded_sequence(x, problem.lengths, enforce_sorted=False))
        return pad_packed_sequence(output, total_length=workload.T)[0]

    return contender(packed, problem, parameters, "packed")


def _stepped(cell: nn.RNNCellBase, x: Tensor) -> Tensor:
    state, outputs = None, []
    for row in x:
        state = cell(row, state)
        outputs.append(state[0] if isinstance(state, tuple) else state)
    return torch.stack(outputs)

"""torchrecurrent: published cells on torch, each a loop over steps."""

from __future__ import annotations

from importlib.metadata import version

import torch
import torchrecurrent
from torch import Tensor

from benchmarks.peers import Contender
from benchmarks.problem import Problem
from benchmarks.torch_runs import contender
from benchmarks.workloads import OWN_CELL, STEP, Workload

WORDS = "torchrecurrent"
VERSION = version("torchrecurrent")
# The cell of the example is its MGU with the gate turned round: f = sigmoid(a) there is 1 - f = sigmoid(-a) here.
LAYERS = {"peephole_lstm": torchrecurrent.PeepholeLSTM, OWN_CELL: torchrecurrent.MGU}
THEIR_NAMES = {"weight_p": "weight_ph"}


def refusal(workload: Workload) -> str | None:
    """Why torchrecurrent does not run this, or None."""
    if workload.cell not in LAYERS or workload.options or workload.lengths or workload.mode == STEP:
        return "torchrecurrent has no layer with the same equations"
    return None


def prepare(problem: Problem, threads: int) -> Contender:
    """The layer with the problem's weights."""
    workload = problem.workload
    layer = LAYERS[workload.cell](workload.I, workload.H).train(workload.trains)
    parameters = {name: getattr(layer.cells[0], THEIR_NAMES.get(name, name)) for name in problem.weights}
    turned = workload.cell == OWN_CELL
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(_turned(problem.weights[name]) if turned else problem.weights[name])
    found = contender(lambda x: layer(x)[0], problem, parameters if workload.trains else {})
    if not turned:
        return found

    def named(results: list[Tensor]) -> dict:
        theirs = found.named(results)
        return {name: _turned(value) if name[2:] in parameters else value for name, value in theirs.items()}

    return Contender(found.run, named)


def _turned(value):
    """The first of the two row blocks with its sign changed, in an array or a tensor."""
    value = value.clone() if isinstance(value, Tensor) else value.copy()
    value[: len(value) // 2] *= -1
    return value

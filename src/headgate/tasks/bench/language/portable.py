"""A language model as other programs run it: all that it remembers goes in and comes out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from headgate.tasks.bench.language.network import LanguageModel, state_parts
from headgate.tasks.bench_task import Exported

# Of the examples that a program is traced with: two of either, so that neither is taken for a constant.
STEPS, ROWS = 3, 2


class Portable(nn.Module):
    """Units [T, B] and the states of all layers, one by one, to scores [T, B, V] and the states after the last step."""

    def __init__(self, network: LanguageModel) -> None:
        super().__init__()
        self.network = network

    def forward(self, input: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        given, grouped = iter(states), []
        for layer in self.network.layers:
            own = tuple(next(given) for _ in layer.cell.state_names)
            grouped.append(own if len(own) > 1 else own[0])
        scores, after, _, _ = self.network(input, tuple(grouped))
        return scores, *(part for state in after for part in state_parts(state))


def exported(network: LanguageModel) -> Exported:
    """States are called after the cell's, with the layer's number: h_0, c_0, h_1; zeros begin a text."""
    states = {
        f"{name}_{k}": torch.zeros(1, ROWS, size)
        for k, layer in enumerate(network.layers)
        for name, size in zip(layer.cell.state_names, layer.state_sizes, strict=True)
    }
    axes = {"input": {0: "time", 1: "batch"}} | {name: {1: "batch"} for name in states}
    inputs = {"input": torch.zeros(STEPS, ROWS, dtype=torch.int64)} | states
    return Exported(Portable(network), inputs, axes, ("scores", *(f"{name}_after" for name in states)))

"""The network of a trial: one recurrent layer and a linear head that reads its last outputs."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from headgate.cells import Cell
from headgate.nn import Recurrent

LAYER = "rnn"


class Network(nn.Module):
    """A recurrent layer and a head.

    Args:
        cell: the layer's equations.
        input_size, hidden_size, output_size: I, H and the features O of an answer.
        reads: how many outputs the head reads, the last ones.
        start: how the layer's weights begin, as keywords of `Recurrent`.
    """

    def __init__(
        self, cell: Cell, input_size: int, hidden_size: int, output_size: int, reads: int, **start: object
    ) -> None:
        super().__init__()
        self.reads = reads
        self.rnn = Recurrent(cell, input_size, hidden_size, **start)
        self.head = nn.Linear(hidden_size, output_size)

    def forward(self, input: Tensor) -> Tensor:
        """[T, B, I] to answers [reads, B, O]."""
        output, _ = self.rnn(input)
        return self.head(output[-self.reads :])


def seeded_network(seed: int, *sizes: object, **start: object) -> Network:
    """A network whose weights depend on the seed alone; torch's own random state is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Network(*sizes, **start)

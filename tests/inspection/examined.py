"""A model for `examine` to look at, with a loss at every step, and batches of it."""

from __future__ import annotations

import torch
from nn.layer_runs import normal
from torch import nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

T, B, I, H = 9, 5, 2, 3  # noqa: E741 - the field's letter
LENGTHS = torch.tensor([4, 9, 1, 9, 7])


class Tagger(nn.Module):
    """Anything that a recurrent layer stands in: batch norm, which must not learn, and dropout, which must not drop."""

    def __init__(self, layer: nn.Module, packed: bool = False) -> None:
        super().__init__()
        self.body = nn.ModuleDict({"norm": nn.BatchNorm1d(I), "memory": layer, "drop": nn.Dropout(0.5)})
        self.head = nn.Linear(H * (2 if layer.bidirectional else 1), 1)
        self.packed = packed

    def forward(self, input):
        """[B, T, I] -> [B, T]."""
        input = self.body["norm"](input.transpose(1, 2)).transpose(1, 2)
        layer = self.body["memory"]
        first = layer.batch_first
        given = input if first else input.transpose(0, 1)
        if self.packed:
            given = pack_padded_sequence(given, LENGTHS[: len(input)], batch_first=first, enforce_sorted=False)
        output = layer(given)[0]
        if self.packed:
            output = pad_packed_sequence(output, batch_first=first)[0]
        output = output if first else output.transpose(0, 1)
        return self.head(self.body["drop"](output))[..., 0]


def losses(model, batch):
    """Of every step, so that each direction has something to go back."""
    input, target = batch
    return (model(input) - target[:, None]).square().mean(1)


def batch(seed: int = 0, rows: int = B):
    return normal(rows, T, I, seed=seed, dtype=torch.float32), normal(rows, seed=seed + 50, dtype=torch.float32)


def noisy(model, data):
    """A loss that draws random numbers of its own."""
    input, target = data
    return losses(model, (functional.dropout(input, 0.5, training=True), target))

"""A classifier as other programs run it: a padded batch and its lengths to probabilities."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from headgate.tasks.bench.classify.network import Classifier
from headgate.tasks.bench_task import Encoding, Exported

# Of the examples that a program is traced with: more than one of either, so that neither is taken for a constant.
LENGTHS = (3, 2)


class Portable(nn.Module):
    """Words [T, B] or values [T, B, I], with the steps of each row [B], to the probabilities of labels [B, labels]."""

    def __init__(self, network: Classifier, name: str) -> None:
        super().__init__()
        self.network, self.name = network, name

    def forward(self, input: Tensor, lengths: Tensor) -> Tensor:
        return self.network.probabilities({self.name: input, f"{self.name}_lengths": lengths})


def exported(network: Classifier, encoding: Encoding) -> Exported:
    """Words are numbers of the encoding's vocabulary, values are scaled as its scaler says."""
    text = encoding["kind"] == "text"
    name = "words" if text else "values"
    sizes = (max(LENGTHS), len(LENGTHS))
    example = torch.zeros(sizes, dtype=torch.int64) if text else torch.zeros(*sizes, encoding["features"])
    inputs = {name: example, "lengths": torch.tensor(LENGTHS)}
    axes = {name: {0: "time", 1: "batch"}, "lengths": {0: "batch"}}
    return Exported(Portable(network, name), inputs, axes, ("probabilities",))

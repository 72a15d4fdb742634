"""A translator as other programs run it: a source and what is written of its translation, to what comes next."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from headgate.tasks.bench.translate.network import Translator
from headgate.tasks.bench_task import Exported

# Of the examples that a program is traced with: more than one of each, so that none is taken for a constant.
LENGTHS, WRITTEN = (4, 3), 3


class Portable(nn.Module):
    """A source [S, B], its lengths [B] and pieces [U, B], to the scores of what follows each of them, [U, B, size]."""

    def __init__(self, network: Translator) -> None:
        super().__init__()
        self.network = network

    def forward(self, source: Tensor, lengths: Tensor, pieces: Tensor) -> Tensor:
        return self.network.write(pieces, self.network.read(source, lengths))


def exported(network: Translator) -> Exported:
    """Pieces are numbers of the encoding; a source ends with its end, a translation begins with its start.

    Raises:
        ValueError: the network feeds what it looked at into the next step, so its steps are no part of one program.
    """
    if network.feeds:
        raise ValueError(
            "input_feeding goes through a translation step by step in Python, which is in no program of another kind; "
            "use format 'safetensors', or train with input_feeding=False."
        )
    inputs = {
        "source": torch.ones(max(LENGTHS), len(LENGTHS), dtype=torch.int64),
        "lengths": torch.tensor(LENGTHS),
        "pieces": torch.ones(WRITTEN, len(LENGTHS), dtype=torch.int64),
    }
    axes = {"source": {0: "time", 1: "batch"}, "lengths": {0: "batch"}, "pieces": {0: "written", 1: "batch"}}
    return Exported(Portable(network), inputs, axes, ("scores",))

"""A tagger as other programs run it: a padded batch to each tag's score, with what the field adds between tags."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from headgate.tasks.bench.tag.network import Tagger
from headgate.tasks.bench_task import Exported

# Of the examples that a program is traced with: more than one of each, so that none is taken for a constant.
LENGTHS, LETTERS = (3, 2), (4, 2, 3)
OUTPUTS = ("scores", "start", "transitions", "end")


class Portable(nn.Module):
    """Tensors by `names`, as `collate` makes them, to scores [T, B, tags] and those of the field.

    The best row of tags b has the largest start[b_1] + end[b_n] + sum of scores[t, b_t] + transitions[b_t, b_t+1]
    (Viterbi).
    """

    def __init__(self, network: Tagger, names: tuple[str, ...]) -> None:
        super().__init__()
        self.network, self.names = network, names

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        field = self.network.field
        scores = self.network(dict(zip(self.names, tensors, strict=True)))
        return scores, field.start_transitions.clone(), field.transitions.clone(), field.end_transitions.clone()


def exported(network: Tagger) -> Exported:
    """Words, cases and letters are numbers of the encoding; each different word of a batch is spelled once."""
    steps, axes = torch.zeros(max(LENGTHS), len(LENGTHS), dtype=torch.int64), {0: "time", 1: "batch"}
    told: dict[str, Any] = {"words": (steps, axes)}
    if network.cases is not None:
        told["cases"] = steps, axes
    if network.spelling is not None:
        spelled = torch.ones(max(LETTERS), len(LETTERS), dtype=torch.int64)
        told["spelled"] = spelled, {0: "letters", 1: "different"}
        told["spelled_lengths"] = torch.tensor(LETTERS), {0: "different"}
        told["spelling"] = steps, axes
    told["words_lengths"] = torch.tensor(LENGTHS), {0: "batch"}
    inputs, counted = ({name: pair[k] for name, pair in told.items()} for k in (0, 1))
    return Exported(Portable(network, tuple(told)), inputs, counted, OUTPUTS)

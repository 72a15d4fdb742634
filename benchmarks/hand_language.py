"""A character model by hand: embedding, torch.nn.LSTM, softmax, cross-entropy, a state carried on."""

from __future__ import annotations

import random
import string
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from headgate.data import Store
from headgate.tasks.bench.language import TASK
from headgate.tasks.bench.language.options import Options
from headgate.tasks.bench_task import Batch

# Characters of a text, of so many kinds, as many as a play of Shakespeare has.
CHARACTERS, SIGNS, SEED = 400_000, string.ascii_letters + string.digits + " .\n", 0


class Work:
    """A text, encoded; see `training_speed.Work`."""

    task = TASK

    def __init__(self, folder: Path, hidden: int | None = None) -> None:
        draw = random.Random(SEED)
        path = folder / "text.txt"
        path.write_text("".join(draw.choices(SIGNS, k=CHARACTERS)), encoding="utf-8")
        self._options = Options()
        self._encoding = TASK.learn(TASK.read([path], self._options), self._options)
        rows = TASK.encode(TASK.read([path], self._options), self._encoding, self._options)
        self._layers = replace(TASK.layers, hidden_size=hidden or TASK.layers.hidden_size, dropout=0.0)
        self.learning = replace(TASK.learning, schedule="constant")
        self.loader = TASK.loader(Store.write(folder / "rows", rows), self._encoding, self.learning, training=True)
        size, length = self.learning.batch_size, self._options.steps
        self.name = f"character LSTM H={self._layers.hidden_size} B={size} T={length}"

    def network(self) -> nn.Module:
        torch.manual_seed(SEED)
        return TASK.network(self._encoding, self._options, self._layers).train()

    def by_hand(self) -> ByHand:
        return ByHand(self.network())

    def tokens(self, batch: Batch) -> int:
        return batch["input"].numel()


class ByHand(nn.Module):
    """See the module.

    Args:
        ours: whose weights it begins with.
    """

    def __init__(self, ours: nn.Module) -> None:
        super().__init__()
        layer = ours.layers[0]
        self.embedding = nn.Embedding(*ours.embedding.weight.shape)
        self.lstm = nn.LSTM(layer.input_size, layer.hidden_size)
        self.softmax = nn.Linear(layer.hidden_size, len(ours.embedding.weight))
        self.lstm.load_state_dict(layer.state_dict())
        self.embedding.load_state_dict(ours.embedding.state_dict())
        self.softmax.load_state_dict(ours.softmax.state_dict())
        self._state: tuple[Tensor, Tensor] | None = None

    def loss(self, batch: Batch) -> Tensor:
        if batch["fresh"]:
            self._state = None
        output, (h, c) = self.lstm(self.embedding(batch["input"]), self._state)
        self._state = h.detach(), c.detach()
        return functional.cross_entropy(self.softmax(output).flatten(0, 1), batch["target"].flatten())

    def pairs(self, ours: nn.Module) -> list[tuple[Tensor, Tensor]]:
        return [
            (ours.embedding.weight, self.embedding.weight),
            (ours.softmax.weight, self.softmax.weight),
            *zip(ours.layers[0].parameters(), self.lstm.parameters(), strict=True),
        ]

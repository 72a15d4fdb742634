"""A character model by hand: embedding, torch.nn.LSTM, softmax, cross-entropy, a state carried on."""

from __future__ import annotations

import random
import string
from pathlib import Path

from torch import Tensor, nn
from torch.nn import functional

from benchmarks import hand_work
from benchmarks.hand_work import SEED
from headgate.tasks.bench.language import TASK
from headgate.tasks.bench.language.options import Options
from headgate.tasks.bench_task import Batch

# Characters of a text, of so many kinds, as many as a play of Shakespeare has.
CHARACTERS, SIGNS = 400_000, string.ascii_letters + string.digits + " .\n"


class Work(hand_work.Work):
    """A text of signs drawn at random."""

    def __init__(self, folder: Path, hidden: int | None = None) -> None:
        path, options = folder / "text.txt", Options()
        path.write_text("".join(random.Random(SEED).choices(SIGNS, k=CHARACTERS)), encoding="utf-8")
        super().__init__(TASK, options, path, hidden)
        self.name = f"character LSTM H={self.layers.hidden_size} B={self.learning.batch_size} T={options.steps}"

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

"""What the bench's loop and one written by hand both train on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from headgate.data import Store
from headgate.tasks.bench_task import Batch, BenchTask

SEED = 0


class ByHand(Protocol):
    """A model and how it learns, as one writes them with torch alone."""

    def loss(self, batch: Batch) -> Tensor:
        """The mean over a batch's tokens."""

    def pairs(self, ours: nn.Module) -> list[tuple[Tensor, Tensor]]:
        """Parameters that must be the same, the bench's first."""

    def parameters(self) -> Iterator[nn.Parameter]:
        """All of them."""


class Work(ABC):
    """A file, encoded, without dropout, since the two would not draw the same masks.

    Args:
        task: of the bench.
        options: its own.
        path: the file.
        hidden: units of the recurrent layers; None for the task's default.

    Attributes:
        task, layers, learning, loader: of the bench.
        name: in words.
    """

    name: str

    def __init__(self, task: BenchTask, options: Any, path: Path, hidden: int | None) -> None:
        self.task, self._options = task, options
        self._encoding = task.learn(task.read([path], options), options)
        rows = task.encode(task.read([path], options), self._encoding, options)
        self.layers = replace(task.layers, hidden_size=hidden or task.layers.hidden_size, dropout=0.0)
        self.learning = replace(task.learning, schedule="constant")
        store = Store.write(path.parent / "rows", rows)
        self.loader = task.loader(store, self._encoding, self.learning, training=True)

    def network(self) -> nn.Module:
        """As the task makes it; the same weights every time."""
        torch.manual_seed(SEED)
        return self.task.network(self._encoding, self._options, self.layers).train()

    @abstractmethod
    def by_hand(self) -> ByHand:
        """Another model with the same weights."""

    @abstractmethod
    def tokens(self, batch: Batch) -> int:
        """How many a batch has."""

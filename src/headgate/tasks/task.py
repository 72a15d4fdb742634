"""What a task is: sequences and targets by seed, a head, a loss, metrics beside a trivial baseline, and a rule."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Batch:
    """Sequences and what is asked of them.

    Attributes:
        input: [T, B, I].
        target: for the last `Task.reads` outputs, [reads, B] (classes) or [reads, B, O] (numbers).
    """

    input: Tensor
    target: Tensor


def cross_entropies(prediction: Tensor, target: Tensor) -> Tensor:
    """Each sequence's cross-entropy, mean over its answers, [B]: predictions [reads, B, O], classes [reads, B]."""
    each = functional.cross_entropy(prediction.flatten(0, 1), target.flatten(), reduction="none")
    return each.view(target.shape).mean(0)


class Task(ABC):
    """A question put to a recurrent network, and how its answer is judged.

    Attributes:
        name: as one asks for it.
        title: as a heading calls it.
        phrase: as a sentence calls it.
        question: what has to be learned, in one sentence.
        source: where the task comes from.
        input_size, output_size: features of an input, and of the head's answer.
        reads: the head reads this many outputs, the last ones; the loss sees no others.
        score: the metric that the tables show; the higher the better.
        score_words: what that metric is, in a few words.
        rule: when the task counts as solved, and who says so.
        baseline_words: what the trivial baseline does.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    phrase: ClassVar[str]
    source: ClassVar[str]
    input_size: ClassVar[int]
    output_size: ClassVar[int]
    score: ClassVar[str]
    score_words: ClassVar[str]
    rule: ClassVar[str]
    baseline_words: ClassVar[str]
    reads: int = 1

    @property
    @abstractmethod
    def question(self) -> str: ...

    @property
    @abstractmethod
    def length(self) -> int:
        """Steps of a sequence, T."""

    @abstractmethod
    def batches(self, seed: int, size: int) -> Iterator[Batch]:
        """Training batches of `size` sequences without end; the same seed gives the same batches."""

    @abstractmethod
    def held_out(self, split: str = "test") -> Batch:
        """Sequences never trained on, the same at every call: "test" to report, "validation" to choose settings by."""

    @property
    def needs_lag(self) -> int | None:
        """How many steps back every sequence's answer hangs on at least; None where nobody can say."""
        return None

    @abstractmethod
    def losses(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Each sequence's loss, [B], for predictions [reads, B, O]."""

    def loss(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Mean loss of predictions [reads, B, O]."""
        return self.losses(prediction, target).mean()

    @abstractmethod
    def measure(self, prediction: Tensor, target: Tensor) -> dict[str, float]:
        """Metrics of predictions [reads, B, O], by name."""

    @abstractmethod
    def baseline(self) -> dict[str, float]:
        """The same metrics (and "loss") for someone who has not looked at the sequence."""

    @abstractmethod
    def solved(self, measured: dict[str, float]) -> bool:
        """Whether held-out metrics meet the rule."""


def generator(seed: int, split: str) -> torch.Generator:
    """A stream of random numbers that no other seed and no other split shares.

    Raises:
        ValueError: a split that is not one of SPLITS.
    """
    if split not in SPLITS:
        raise ValueError(f"split={split!r} is not known; choose one of {', '.join(SPLITS)}.")
    return torch.Generator().manual_seed(len(SPLITS) * seed + SPLITS.index(split))

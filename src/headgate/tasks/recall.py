"""The long-lag problems: nothing between the clue and the question helps, so only memory can answer.

Sequences are as in Hochreiter & Schmidhuber 1997 ("Long short-term memory", Neural Computation 9(8)) and Arjovsky,
Shah & Bengio 2016 (arXiv 1511.06464), of one length in place of a length drawn between T and T + T/10.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from headgate.tasks.task import Batch, Task, cross_entropies, generator

HELD_OUT = 2560
ALLOWED_WRONG = 3


class Generated(Task):
    """A task whose sequences are drawn; training, validation and test sequences come from different streams."""

    @abstractmethod
    def draw(self, random: torch.Generator, size: int) -> Batch:
        """The next `size` sequences of a stream."""

    def batches(self, seed: int, size: int) -> Iterator[Batch]:
        random = generator(seed, "train")
        while True:
            yield self.draw(random, size)

    def held_out(self, split: str = "test") -> Batch:
        return self.draw(generator(0, split), HELD_OUT)


@dataclass(frozen=True)
class Adding(Generated):
    """Add the two marked numbers (task 4 of 1997).

    Each step shows a number, uniform in [-1, 1], and a marker: 1 at two steps, -1 at the first and the last, else 0.
    The first mark is among the first ten steps, the second among the first half. The target is 0.5 + (X1 + X2) / 4; a
    mark on the very first step takes the place of its -1, and its number counts as 0.

    Args:
        lag: steps at least from the first marked number to the question, which is at the last step.
    """

    lag: int = 100

    name = "adding"
    title = "Adding problem"
    phrase = "the adding problem"
    source = "Hochreiter & Schmidhuber 1997, task 4"
    input_size = 2
    output_size = 1
    score = "correct"
    score_words = "answers within 0.04"
    rule = (
        "mean error below 0.01 and at most 3 of 2560 unseen sequences off by 0.04 or more "
        "(Hochreiter & Schmidhuber 1997, section 5.4)"
    )
    baseline_words = "answering the mean every time"
    tolerance = 0.04

    @property
    def question(self) -> str:
        return (
            f"Two of {self.length} numbers are marked, the first of them at least {self.lag} steps before the end; "
            "what is their sum?"
        )

    @property
    def length(self) -> int:
        return self.lag + 10

    def draw(self, random: torch.Generator, size: int) -> Batch:
        T, rows = self.length, torch.arange(size)
        numbers = torch.rand(T, size, generator=random) * 2 - 1
        first = torch.randint(0, 10, (size,), generator=random)
        second = torch.randint(0, T // 2 - 1, (size,), generator=random)
        second = second + (second >= first)  # among the steps still unmarked
        markers = torch.zeros(T, size)
        markers[0] = markers[-1] = -1
        markers[first, rows] = markers[second, rows] = 1
        numbers[0] = torch.where(markers[0] == 1, 0.0, numbers[0])
        target = 0.5 + (numbers[first, rows] + numbers[second, rows]) / 4
        return Batch(torch.stack([numbers, markers], -1), target[None, :, None])

    @property
    def needs_lag(self) -> int:
        return self.lag

    def losses(self, prediction: Tensor, target: Tensor) -> Tensor:
        return functional.mse_loss(prediction, target, reduction="none").mean((0, 2))

    def measure(self, prediction: Tensor, target: Tensor) -> dict[str, float]:
        error = (prediction - target).abs()
        return {
            "correct": (error < self.tolerance).double().mean().item(),
            "mean_error": error.double().mean().item(),
        }

    def baseline(self) -> dict[str, float]:
        """Derived: e = |X1 + X2| / 4 has the density 4 - 8 e on [0, 1/2], and where the first step is marked (its
        number counts as 0) it is uniform on [0, 1/4].
        """
        e, p = self.tolerance, 1 / 10 + 9 / 10 / (self.length // 2 - 1)
        return {
            "correct": (1 - p) * (4 * e - 4 * e * e) + p * 4 * e,
            "mean_error": (1 - p) / 6 + p / 8,
            "loss": (1 - p) / 24 + p / 48,
        }

    def solved(self, measured: dict[str, float]) -> bool:
        wrong = round((1 - measured["correct"]) * HELD_OUT)
        return measured["mean_error"] < 0.01 and wrong <= ALLOWED_WRONG


class Classified(Generated):
    """A recall task whose answers are classes."""

    score = "correct"

    def losses(self, prediction: Tensor, target: Tensor) -> Tensor:
        return cross_entropies(prediction, target)

    def measure(self, prediction: Tensor, target: Tensor) -> dict[str, float]:
        """Share of sequences with every answer right ("correct"), and of answers that are right ("accuracy")."""
        right = prediction.argmax(-1) == target
        return {"correct": right.all(0).double().mean().item(), "accuracy": right.double().mean().item()}

    def baseline(self) -> dict[str, float]:
        """Derived: all classes are equally likely and independent of each other."""
        chance = 1 / self.output_size
        return {"correct": chance**self.reads, "accuracy": chance, "loss": math.log(self.output_size)}

    def solved(self, measured: dict[str, float]) -> bool:
        return round((1 - measured["correct"]) * HELD_OUT) <= ALLOWED_WRONG


@dataclass(frozen=True)
class TemporalOrder(Classified):
    """Say in which order two symbols came (task 6a of 1997).

    One-hot symbols: a start, an end, four that mean nothing (a b c d) and two that count (X Y), which stand once among
    steps 10 to 20 and once among steps 50 to 60, counted from the start. Classes: XX, XY, YX, YY.

    Args:
        steps: length of a sequence; the two places scale with it from the 100 of 1997.
    """

    steps: int = 100

    name = "order"
    title = "Temporal order"
    phrase = "the order of two symbols"
    source = "Hochreiter & Schmidhuber 1997, task 6a"
    input_size = 8
    output_size = 4
    score_words = "sequences classified correctly"
    rule = "at most 3 of 2560 unseen sequences wrong (Hochreiter & Schmidhuber 1997, section 5.6)"
    baseline_words = "guessing one of the four orders"

    symbols = "a b c d X Y start end"
    places = ((0.1, 0.2), (0.5, 0.6))  # where each of the two stands, as shares of the length

    @property
    def question(self) -> str:
        return f"Two symbols that count stand among {self.length - 2} others; in which order did they come?"

    @property
    def needs_lag(self) -> int:
        """From the last step back to the latest place of the first symbol."""
        return self.length - 1 - round(self.places[0][1] * self.length)

    @property
    def length(self) -> int:
        return self.steps

    def draw(self, random: torch.Generator, size: int) -> Batch:
        T, rows = self.length, torch.arange(size)
        shown = torch.randint(0, 4, (T, size), generator=random)
        which = torch.randint(0, 2, (2, size), generator=random)
        for k, (low, high) in enumerate(self.places):
            place = torch.randint(round(low * T), round(high * T) + 1, (size,), generator=random)
            shown[place, rows] = 4 + which[k]
        shown[0], shown[-1] = 6, 7
        return Batch(functional.one_hot(shown, self.input_size).float(), (2 * which[0] + which[1])[None])


@dataclass(frozen=True)
class Copy(Classified):
    """Repeat ten symbols after a long blank (Arjovsky, Shah & Bengio 2016, section 5.1; first in 1997's spirit).

    One-hot symbols: eight that must be remembered, a blank, and a cue at which the answer begins. Only the last ten
    outputs are asked for.

    Args:
        lag: steps from the last symbol to the cue; blanks stand between them.
    """

    lag: int = 100

    name = "copy"
    title = "Copy memory"
    phrase = "the copy problem"
    source = "Arjovsky, Shah & Bengio 2016, section 5.1"
    input_size = 10
    output_size = 8
    reads = 10
    score_words = "sequences repeated without a mistake"
    rule = "at most 3 of 2560 unseen sequences with a mistake (our rule, after those of 1997)"
    baseline_words = "guessing each symbol"

    @property
    def question(self) -> str:
        return f"Ten symbols are shown, then {self.lag - 1} blanks and a cue; which were they, in order?"

    @property
    def needs_lag(self) -> int:
        """From the step that asks for a symbol back to the one that showed it."""
        return self.lag + self.reads

    @property
    def length(self) -> int:
        return self.lag + 2 * self.reads

    def draw(self, random: torch.Generator, size: int) -> Batch:
        blank, cue = 8, 9
        symbols = torch.randint(0, 8, (self.reads, size), generator=random)
        shown = torch.full((self.length, size), blank)
        shown[: self.reads] = symbols
        shown[-self.reads - 1] = cue
        return Batch(functional.one_hot(shown, self.input_size).float(), symbols)


NAMES = {task.name: task for task in (Adding(), TemporalOrder(), Copy())}

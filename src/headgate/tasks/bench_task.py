"""A task on users' own data: files to examples, examples to numbers, a network, a loss, metrics and a baseline.

Data flow one way. `read` gives examples from files, one by one. `learn` goes through the training examples once and
returns what turns examples into numbers (vocabulary, labels, scaler): the encoding, a dict of JSON types, so that it is
kept beside the weights without pickle. `encode` makes the rows of a `Store`, `loader` batches of them. What `losses`
returns is summed over a whole batch, on however many devices, before it is divided.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from headgate.data import Example, Store, held_out
from headgate.tasks.settings import Layers, Learning

Encoding = dict[str, Any]
Row = Mapping[str, np.ndarray]
# Tensors by name, time-major where they have steps, and "<name>_lengths" [B] of what was padded.
Batch = dict[str, Tensor]


@dataclass(frozen=True)
class RowLosses:
    """What a batch costs.

    Attributes:
        sums: of each row, the sum of its answers' losses, [B].
        counts: of each row, how many answers it was asked for, [B].
        penalty: what is added to the mean loss in training alone; None for nothing.
        state: handed to the next batch where a loader's batches follow one another, else None.
    """

    sums: Tensor
    counts: Tensor
    penalty: Tensor | None = None
    state: Any = None


class Sample(Iterator[str]):
    """A text that is being written; going through it gives its parts as they come.

    Attributes:
        notes: what of the prompt is not known, in words.
    """

    def __init__(self, parts: Iterator[str], notes: list[str]) -> None:
        self._parts, self.notes = parts, notes

    def __next__(self) -> str:
        return next(self._parts)


@dataclass(frozen=True)
class Metric:
    """What a number says.

    Attributes:
        words: in a few words, its unit among them.
        higher_is_better: or lower.
        enough: a score so good that training ends, since nothing is left to learn; None where there is none.
    """

    words: str
    higher_is_better: bool = True
    enough: float | None = None

    def is_better(self, score: float, other: float) -> bool:
        """Whether a score is better than another."""
        return score > other if self.higher_is_better else score < other

    def is_enough(self, score: float | None) -> bool:
        """Whether nothing is left to learn."""
        return None not in (score, self.enough) and not self.is_better(self.enough, score)


@dataclass(frozen=True)
class Fit:
    """How sure a task is that a file is meant for it.

    Attributes:
        sureness: 0 not at all, 1 beyond doubt.
        why: what was seen, as a clause: "its columns are text and label".
    """

    sureness: float
    why: str


@dataclass(frozen=True)
class Exported:
    """A network as other programs run it.

    Attributes:
        module: takes `inputs` in their order, returns a tensor or a tuple of them.
        inputs: by name, small examples.
        axes: by the input's name, its axes whose length may differ from run to run, by what each counts: {0: "time"}.
        outputs: names of what comes back.
    """

    module: nn.Module
    inputs: Mapping[str, Tensor]
    axes: Mapping[str, Mapping[int, str]]
    outputs: tuple[str, ...]


class Loader(Protocol):
    """Batches of a store. The same at every asking: order and content depend on seed and epoch alone."""

    def __len__(self) -> int:
        """Batches of an epoch."""

    def epoch(self, number: int, start: int = 0, share: tuple[int, int] = (0, 1)) -> Iterator[Batch]:
        """The batches of an epoch from the start-th on; of each, the share (k, n): every n-th row from the k-th."""


class BenchTask(ABC):
    """A question that users put to their own sequences.

    Attributes:
        name: as the command line calls it.
        title: as a heading calls it.
        Options: a frozen dataclass of what only this task can set; every field has a default and, in its
            `metadata["help"]`, a line for the command's help.
        layers, learning: the defaults of `train`.
        metrics: every metric by name, first the one that people ask for.
        score: the metric that chooses the best model.
        baseline_words: what the trivial baseline does.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    Options: ClassVar[type]
    layers: ClassVar[Layers]
    learning: ClassVar[Learning]
    metrics: ClassVar[Mapping[str, Metric]]
    score: ClassVar[str]
    baseline_words: ClassVar[str]

    @property
    def shown(self) -> tuple[str, ...]:
        """The metrics of a short report: the one people ask for, and the score."""
        return tuple(dict.fromkeys((next(iter(self.metrics)), self.score)))

    # --- files to examples

    @abstractmethod
    def fits(self, path: Path, options: Any) -> Fit:
        """How sure this file is meant for the task, by its name and first rows; never raises on any file's content."""

    @abstractmethod
    def read(self, paths: Sequence[Path], options: Any, answers: bool = True) -> Iterator[Example]:
        """The examples of files, one by one.

        Args:
            paths: files of one split.
            options: of type `Options`.
            answers: whether targets have to be there; without, what is there is read all the same.

        Raises:
            DataError: a file or a row cannot be used.
        """

    def by_line(self, path: Path, options: Any) -> Any | None:
        """The options with which later lines are read, each by itself, as the first lines of a file to answer are.

        None where a line needs others, as a table's do its head; never raises on any content.
        """
        return None

    @abstractmethod
    def describe(self, examples: Iterable[Example]) -> dict[str, Any]:
        """What `check` says of examples: counts, lengths, balance, missing values, in JSON types, streaming."""

    def differences(self, described: Mapping[str, dict[str, Any]]) -> list[str]:
        """What `check` is to warn of between splits, by what `describe` said of each: sentences."""
        return []

    def part(
        self, examples: Iterable[Example], split: str, missing: Sequence[str], options: Any, learning: Learning
    ) -> Iterator[Example]:
        """What is for one split of the examples of the training files, where not every split has files of its own.

        Whole examples by their place, unless a task says otherwise: a series is cut by time.

        Args:
            examples: all of the training files, in their order; may be gone through more than once.
            split: "train", "validation" or "test".
            missing: the splits that have no files, in one order at every asking.
            learning: its `seed` and `holdout`, the share of each missing split.
        """
        for place, example in enumerate(examples):
            taken = (held_out(place, learning.seed, learning.holdout * (k + 1)) for k in range(len(missing)))
            if split == next((name for name, held in zip(missing, taken, strict=True) if held), "train"):
                yield example

    # --- examples to numbers

    @abstractmethod
    def learn(self, examples: Iterable[Example], options: Any) -> Encoding:
        """What turns examples into numbers, from the training examples alone, with what the baseline needs."""

    @abstractmethod
    def encode(self, examples: Iterable[Example], encoding: Encoding, options: Any) -> Iterator[Row]:
        """The rows of examples, all with the same fields. An input longer than memory allows may become several."""

    @abstractmethod
    def loader(self, store: Store, encoding: Encoding, learning: Learning, training: bool) -> Loader:
        """Batches: shuffled and bucketed by length for training, else in the order of the store."""

    # --- learning and judging

    def defaults(self, encoding: Encoding) -> tuple[Layers, Learning]:
        """The defaults of `train` on such data: `layers` and `learning`, unless a task suits them to what it learned.

        Forty recordings need other settings than forty thousand sentences. What a user set stands above them.
        """
        return self.layers, self.learning

    @abstractmethod
    def network(self, encoding: Encoding, options: Any, layers: Layers) -> nn.Module:
        """An untrained network; its weights depend on torch's random state alone."""

    @abstractmethod
    def losses(self, network: nn.Module, batch: Batch, state: Any = None) -> RowLosses:
        """The loss of each row, in training mode or not."""

    @abstractmethod
    def evaluate(
        self, network: nn.Module, batches: Iterable[Batch], encoding: Encoding, options: Any
    ) -> dict[str, float]:
        """All metrics, and "loss", the mean loss of an answer. The network is in evaluation mode."""

    def details(
        self, network: nn.Module, batches: Iterable[Batch], encoding: Encoding, options: Any
    ) -> dict[str, Any]:
        """What of an evaluation is no single number, in JSON types: a confusion matrix, scores by label."""
        return {}

    @abstractmethod
    def baseline(self, batches: Iterable[Batch], encoding: Encoding, options: Any) -> dict[str, float]:
        """The same metrics, those it has, of the trivial baseline."""

    @abstractmethod
    def predict(
        self, network: nn.Module, examples: Iterable[Example], encoding: Encoding, options: Any
    ) -> Iterator[dict[str, Any]]:
        """One answer an example, in its order, in JSON types; what was unusual about the row under "notes"."""

    def exported(self, network: nn.Module, encoding: Encoding, options: Any) -> Exported | None:
        """What `export` writes for other programs; None where a task's network is none that they could run."""
        return None

    # --- the watch

    def needs_lag(self, encoding: Encoding) -> int | None:
        """How far back answers are known to hang on; None where nobody can say."""
        return None

    def every_step(self) -> bool:
        """Whether the loss reads every step, not the last alone."""
        return False

    def words(self, batch: Batch, encoding: Encoding) -> dict[str, list[str]]:
        """What a batch's first row is made of, a token a step, by the beginnings of the names of layers that read it.

        For a page of the watch that is asked to show text; nothing where the rows are no text.
        """
        return {}

    def row_losses(self, network: nn.Module, batch: Batch) -> Tensor:
        """Each row's mean loss, [B], as the watch asks for it."""
        found = self.losses(network, batch)
        return found.sums / found.counts.clamp_min(1)


def first_row(batch: Batch, field: str) -> list[int]:
    """The first row of a field that was padded, without padding."""
    return batch[field][: int(batch[f"{field}_lengths"][0]), 0].tolist()


def padded(rows: Sequence[Row]) -> Batch:
    """Rows as one batch: what has steps padded with zeros to [T, B, ...] with its lengths, the rest [B]."""
    batch: Batch = {}
    for name, first in rows[0].items():
        parts = [torch.from_numpy(np.array(row[name])) for row in rows]
        if first.ndim == 0:
            batch[name] = torch.stack(parts)
        else:
            batch[name] = nn.utils.rnn.pad_sequence(parts)
            batch[f"{name}_lengths"] = torch.tensor([len(part) for part in parts])
    return batch

"""Classification: a text or a series gets one label, or several."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from headgate.data import Example, Store
from headgate.tasks.bench.classify import reading, scores
from headgate.tasks.bench.classify.encoding import Inputs, encode, learn
from headgate.tasks.bench.classify.network import Classifier
from headgate.tasks.bench.classify.options import Options
from headgate.tasks.bench.classify.portable import exported
from headgate.tasks.bench.classify.summary import describe
from headgate.tasks.bench_task import (
    Batch,
    BenchTask,
    Encoding,
    Exported,
    Fit,
    Loader,
    Metric,
    Row,
    RowLosses,
    first_row,
    padded,
)
from headgate.tasks.loading import Buckets
from headgate.tasks.settings import Layers, Learning

PREDICTED_AT_ONCE = 64
# Few rows are gone through more often, so that training takes about so many steps at least, but not for ever.
STEPS, MOST_EPOCHS = 1500, 200
HEAVIEST = 100.0  # weight of a label against all others, in the loss


class Classify(BenchTask):
    """See the module."""

    name = "classify"
    title = "Classification"
    Options = Options
    layers = Layers(cell="lstm", hidden_size=128, dropout=0.3)
    learning = Learning(epochs=20, batch_size=32, rate=2e-3, patience=5)
    metrics: ClassVar = {
        "accuracy": Metric("share of rows with all labels right"),
        "macro_f1": Metric("F1, mean over labels"),
        "micro_f1": Metric("F1 over all labels together"),
        "auroc": Metric("area under the ROC curve, mean over labels against all others"),
        "ece": Metric("expected calibration error over 15 bins", higher_is_better=False),
        "loss": Metric("cross-entropy, nats a row", higher_is_better=False, enough=1e-3),
    }
    # Few held-out rows leave every share of right answers as it is for many epochs; the loss tells these apart.
    score = "loss"
    baseline_words = "the share of each label in training, so always the most frequent one"

    def fits(self, path: Path, options: Options) -> Fit:
        return reading.fits(path, options)

    def read(self, paths: Sequence[Path], options: Options, answers: bool = True) -> Iterator[Example]:
        """Text is a string, a series float32 [T, I]; a target is a label, or a list of them."""
        return reading.read(paths, options, answers)

    def by_line(self, path: Path, options: Options) -> Options | None:
        return reading.by_line(path, options)

    def describe(self, examples: Iterable[Example]) -> dict[str, Any]:
        return describe(examples)

    def differences(self, described: Mapping[str, dict[str, Any]]) -> list[str]:
        """Labels that training lacks can only be answered wrongly."""
        known = described["train"]["labels"] if "train" in described else None
        said = []
        for part, facts in described.items():
            lacking = [label for label in facts["labels"] if known is not None and label not in known]
            if lacking:
                rows = sum(facts["labels"][label] for label in lacking)
                some = ", ".join(map(repr, lacking[:5])) + (", ..." if len(lacking) > 5 else "")
                said.append(f"{part}: {rows:,} rows have labels that training lacks ({some}); they count as wrong.")
        return said

    def learn(self, examples: Iterable[Example], options: Options) -> Encoding:
        return learn(examples, options)

    def encode(self, examples: Iterable[Example], encoding: Encoding, options: Options) -> Iterator[Row]:
        return encode(examples, encoding, options)

    def loader(self, store: Store, encoding: Encoding, learning: Learning, training: bool) -> Loader:
        return Buckets(store, Inputs(encoding).field, learning.batch_size, learning.seed, training)

    def defaults(self, encoding: Encoding) -> tuple[Layers, Learning]:
        """Few rows are gone through more often."""
        enough = min(MOST_EPOCHS, STEPS * self.learning.batch_size // encoding["rows"])
        epochs = max(self.learning.epochs, enough)
        patience = max(self.learning.patience, epochs // 4)
        return self.layers, replace(self.learning, epochs=epochs, patience=patience)

    def network(self, encoding: Encoding, options: Options, layers: Layers) -> nn.Module:
        return Classifier(encoding, options, layers, _class_weights(encoding, options))

    def losses(self, network: nn.Module, batch: Batch, state: Any = None) -> RowLosses:
        return RowLosses(*network.costs(batch))

    def evaluate(
        self, network: nn.Module, batches: Iterable[Batch], encoding: Encoding, options: Options
    ) -> dict[str, float]:
        return scores.scores(*_judged(network.probabilities, batches))

    def details(
        self, network: nn.Module, batches: Iterable[Batch], encoding: Encoding, options: Options
    ) -> dict[str, Any]:
        return scores.details(*_judged(network.probabilities, batches), encoding["labels"])

    def baseline(self, batches: Iterable[Batch], encoding: Encoding, options: Options) -> dict[str, float]:
        """The shares of labels in the training rows as every row's probabilities."""
        shares = torch.tensor(encoding["counts"], dtype=torch.float64) / encoding["rows"]
        return scores.scores(*_judged(lambda batch: shares.expand(_rows(batch), -1), batches))

    def predict(
        self, network: nn.Module, examples: Iterable[Example], encoding: Encoding, options: Options
    ) -> Iterator[dict[str, Any]]:
        """A row's "label" ("labels" where it may have several), the "probabilities" of all, and "notes"."""
        inputs, examples = Inputs(encoding), iter(examples)
        device = next(network.parameters()).device
        while some := list(islice(examples, PREDICTED_AT_ONCE)):
            batch = {name: value.to(device) for name, value in padded([inputs.row(e) for e in some]).items()}
            with torch.no_grad():
                found = network.probabilities(batch).double().cpu().numpy()
            picked = scores.chosen(found, encoding["multi"])
            for example, values, own in zip(some, found, picked, strict=True):
                named = [label for label, there in zip(encoding["labels"], own, strict=True) if there]
                answer = {"labels": named} if encoding["multi"] else {"label": named[0]}
                known = zip(encoding["labels"], values.tolist(), strict=True)
                yield answer | {"probabilities": dict(known), "notes": inputs.notes(example)}

    def words(self, batch: Batch, encoding: Encoding) -> dict[str, list[str]]:
        inputs = Inputs(encoding)
        return {"recurrent": inputs.read(first_row(batch, inputs.field))} if inputs.kind == "text" else {}

    def exported(self, network: nn.Module, encoding: Encoding, options: Options) -> Exported:
        """A padded batch and its lengths to probabilities."""
        return exported(network, encoding)


def _rows(batch: Batch) -> int:
    return batch["label"].shape[-1]


def _judged(probabilities: Any, batches: Iterable[Batch]) -> tuple[np.ndarray, np.ndarray]:
    """What is said of each row of all batches, [N, C], and what is right, [N] or [N, C]."""
    said, right = [], []
    with torch.no_grad():
        for batch in batches:
            said.append(probabilities(batch).cpu().numpy())
            right.append(batch["label"].cpu().numpy().T)
    return np.concatenate(said), np.concatenate(right)


def _class_weights(encoding: Encoding, options: Options) -> torch.Tensor:
    """Of each label: in single-label loss every label weighs the same in total; in multi-label, as much as its lack."""
    counts = torch.tensor(encoding["counts"], dtype=torch.float32)
    if options.class_weights == "none":
        return torch.ones_like(counts)
    if encoding["multi"]:
        return ((encoding["rows"] - counts) / counts).clamp(1 / HEAVIEST, HEAVIEST)
    return encoding["rows"] / (len(counts) * counts)


TASK = Classify()

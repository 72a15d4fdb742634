"""Language: the next character, word or piece of a word of running text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from torch import nn

from headgate.data import Example, Store
from headgate.data.corpus import held_out, passages, text_lines
from headgate.tasks.bench.language import encoding as encoded
from headgate.tasks.bench.language import scores
from headgate.tasks.bench.language.generation import generate
from headgate.tasks.bench.language.looking import describe, fits
from headgate.tasks.bench.language.network import LanguageModel
from headgate.tasks.bench.language.options import Options
from headgate.tasks.bench.language.portable import exported
from headgate.tasks.bench.language.prediction import predict
from headgate.tasks.bench.language.streams import Streams
from headgate.tasks.bench.language.tally import Bigrams
from headgate.tasks.bench.language.units import units_of
from headgate.tasks.bench_task import Batch, BenchTask, Encoding, Exported, Fit, Loader, Row, RowLosses, Sample
from headgate.tasks.settings import Layers, Learning

# Training goes through so many units, whatever the size of a text, in no more than so many epochs.
UNITS_READ, MOST_EPOCHS = 7_200_000, 40
# An epoch of a short text still has about so many steps: its batches are made of fewer streams, down to these.
STEPS, FEWEST_STREAMS = 100, 4


class Language(BenchTask):
    """See the module."""

    name = "language"
    title = "Language"
    Options = Options
    layers = Layers(cell="lstm", hidden_size=512, dropout=0.4)
    learning = Learning(epochs=8, batch_size=32, rate=2e-3, patience=3)
    metrics: ClassVar = scores.METRICS
    score = "bits_per_character"
    baseline_words = "how often a unit follows the one before it (bigrams, Kneser-Ney), or comes at all"

    def fits(self, path: Path, options: Options) -> Fit:
        return fits(path, options)

    def read(self, paths: Sequence[Path], options: Options, answers: bool = True) -> Iterator[Example]:
        """Passages of documents; without answers, each line by itself."""
        if not answers:
            return text_lines(paths, options.encoding)
        return passages(paths, options.encoding, options.documents, options.gutenberg)

    def describe(self, examples: Iterable[Example]) -> dict[str, Any]:
        return describe(examples)

    def part(
        self, examples: Iterable[Example], split: str, missing: Sequence[str], options: Options, learning: Learning
    ) -> Iterator[Example]:
        """The test has the end of the text, `holdout` of its characters; validation as many, spread over the rest."""
        return held_out(examples, split, missing, learning.holdout)

    def learn(self, examples: Iterable[Example], options: Options) -> Encoding:
        return encoded.learn(examples, options)

    def encode(self, examples: Iterable[Example], encoding: Encoding, options: Options) -> Iterator[Row]:
        return encoded.rows(examples, encoding)

    def loader(self, store: Store, encoding: Encoding, learning: Learning, training: bool) -> Loader:
        reading = encoding["steps"], encoding["random_steps"]
        return Streams(store, learning.batch_size, *reading, learning.seed, training)

    def defaults(self, encoding: Encoding) -> tuple[Layers, Learning]:
        """A short text is gone through more often, in smaller batches."""
        units = max(sum(encoding["counts"]), 1)
        epochs = min(max(round(UNITS_READ / units), 1), MOST_EPOCHS)
        streams = max(min(self.learning.batch_size, units // (encoding["steps"] * STEPS)), FEWEST_STREAMS)
        return self.layers, replace(self.learning, epochs=epochs, batch_size=streams)

    def network(self, encoding: Encoding, options: Options, layers: Layers) -> nn.Module:
        size, counts = len(units_of(encoding)), encoding["counts"]
        return LanguageModel(size, counts, encoding["units"] == "characters", options, layers)

    def losses(self, network: nn.Module, batch: Batch, state: Any = None) -> RowLosses:
        return scores.losses(network, batch, state)

    def evaluate(
        self, network: nn.Module, batches: Iterable[Batch], encoding: Encoding, options: Options
    ) -> dict[str, float]:
        return scores.evaluate(network, batches, units_of(encoding).unknown, options)

    def baseline(self, batches: Iterable[Batch], encoding: Encoding, options: Options) -> dict[str, float]:
        return scores.baseline(batches, Bigrams(encoding), units_of(encoding).unknown)

    def predict(
        self, network: nn.Module, examples: Iterable[Example], encoding: Encoding, options: Options
    ) -> Iterator[dict[str, Any]]:
        """See `predict` of the module prediction."""
        return predict(network, examples, encoding)

    def sample(self, network: nn.Module, encoding: Encoding, options: Options, **asked: Any) -> Sample:
        """Text out of a trained network; see `generate` for what can be asked."""
        return generate(network, encoding, **asked)

    def words(self, batch: Batch, encoding: Encoding) -> dict[str, list[str]]:
        units = units_of(encoding)
        return {"layers": [units.name(number) for number in batch["input"][:, 0].tolist()]}

    def exported(self, network: nn.Module, encoding: Encoding, options: Options) -> Exported:
        """Units and the layers' states to the scores of what follows, and the states after it."""
        return exported(network)

    def every_step(self) -> bool:
        return True


TASK = Language()

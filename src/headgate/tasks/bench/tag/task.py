"""Tagging: every token of a sentence gets a tag, and tags write spans."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from headgate.data import Example, Store
from headgate.data.spans import Scheme, spans_of, tags_of
from headgate.data.vocabulary import Vocabulary
from headgate.tasks.bench.tag import reading
from headgate.tasks.bench.tag.encoding import Inputs, Sentence, describe, encode, inner, learn
from headgate.tasks.bench.tag.network import Tagger
from headgate.tasks.bench.tag.options import Options
from headgate.tasks.bench.tag.portable import exported
from headgate.tasks.bench.tag.scores import SpanCounts
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
SIGN_BYTES = 4  # of a character's number, int32


class Tag(BenchTask):
    """See the module."""

    name = "tag"
    title = "Tagging"
    Options = Options
    layers = Layers(cell="lstm", hidden_size=128, dropout=0.5)
    learning = Learning(epochs=20, batch_size=10, rate=2e-3, patience=6)
    metrics: ClassVar = {
        "f1": Metric("F1 of spans, by the CoNLL rule"),
        "precision": Metric("share of found spans that are right"),
        "recall": Metric("share of spans that are found"),
        "token_accuracy": Metric("share of tokens with the right tag"),
        "loss": Metric("negative log-likelihood, nats a token", higher_is_better=False),
    }
    score = "f1"
    baseline_words = "the most frequent tag of each word in training"

    def fits(self, path: Path, options: Options) -> Fit:
        return reading.fits(path, options)

    def read(self, paths: Sequence[Path], options: Options, answers: bool = True) -> Iterator[Example]:
        """An input is a list of tokens with a list of tags, or a text with a list of `Span`s of its characters."""
        return reading.read(paths, options, answers)

    def by_line(self, path: Path, options: Options) -> Options | None:
        return reading.by_line(path, options)

    def describe(self, examples: Iterable[Example]) -> dict[str, Any]:
        return describe(examples)

    def learn(self, examples: Iterable[Example], options: Options) -> Encoding:
        return learn(examples, options)

    def encode(self, examples: Iterable[Example], encoding: Encoding, options: Options) -> Iterator[Row]:
        return encode(examples, encoding, options)

    def loader(self, store: Store, encoding: Encoding, learning: Learning, training: bool) -> Loader:
        return Buckets(store, "words", learning.batch_size, learning.seed, training, collate)

    def network(self, encoding: Encoding, options: Options, layers: Layers) -> nn.Module:
        return Tagger(encoding, options, layers)

    def every_step(self) -> bool:
        return True

    def losses(self, network: nn.Module, batch: Batch, state: Any = None) -> RowLosses:
        return RowLosses(*network.costs(batch))

    def evaluate(
        self, network: nn.Module, batches: Iterable[Batch], encoding: Encoding, options: Options
    ) -> dict[str, float]:
        counted, sums, counts = _Judge(encoding), 0.0, 0.0
        with torch.no_grad():
            for batch in batches:
                best, costs, asked = network.judged(batch)
                counted.add(batch, [[encoding["tags"][k] for k in row] for row in best])
                sums, counts = sums + costs.sum().item(), counts + asked.sum().item()
        return counted.counts.scores() | {"loss": sums / max(counts, 1)}

    def details(
        self, network: nn.Module, batches: Iterable[Batch], encoding: Encoding, options: Options
    ) -> dict[str, Any]:
        counted = _Judge(encoding)
        with torch.no_grad():
            for batch in batches:
                counted.add(batch, [[encoding["tags"][k] for k in row] for row in network.best(batch)])
        return counted.counts.details()

    def baseline(self, batches: Iterable[Batch], encoding: Encoding, options: Options) -> dict[str, float]:
        """Tags as they stand in training, read by the CoNLL rule where they break the scheme."""
        scheme, counted = Scheme(**encoding["scheme"]), _Judge(encoding)
        first = len(Vocabulary.from_json(encoding["vocabulary"])) - len(encoding["usual_of"])
        usual = [encoding["usual"]] * first + encoding["usual_of"]
        for batch in batches:
            said = []
            for words in _rows(batch, "words"):
                tags = [usual[word] for word in words.tolist()]
                said.append(tags_of(spans_of(tags, scheme), len(tags), inner(scheme)))
            counted.add(batch, said)
        return counted.counts.scores()

    def words(self, batch: Batch, encoding: Encoding) -> dict[str, list[str]]:
        known = Vocabulary.from_json(encoding["vocabulary"])
        return {"recurrent": [known.word(number) for number in first_row(batch, "words")]}

    def exported(self, network: nn.Module, encoding: Encoding, options: Options) -> Exported:
        """A padded batch to each tag's score, with what the field adds."""
        return exported(network)

    def predict(
        self, network: nn.Module, examples: Iterable[Example], encoding: Encoding, options: Options
    ) -> Iterator[dict[str, Any]]:
        """A sentence's "tokens", "tags" in the scheme of training, "spans" and "notes".

        Spans are of tokens, or of characters where the sentence was a text.
        """
        inputs, examples = Inputs(encoding), iter(examples)
        scheme, device = Scheme(**encoding["scheme"]), next(network.parameters()).device
        while some := [Sentence.of(example) for example in islice(examples, PREDICTED_AT_ONCE)]:
            rows = [inputs.row(sentence) for sentence in some if sentence.tokens]
            found = iter(())
            if rows:
                batch = {name: value.to(device) for name, value in collate(rows).items()}
                with torch.no_grad():
                    found = iter(network.best(batch))
            for sentence in some:
                inside = [encoding["tags"][k] for k in next(found)] if sentence.tokens else []
                yield _answer(sentence, inside, scheme) | {"notes": inputs.notes(sentence)}


def _answer(sentence: Sentence, inside: list[str], scheme: Scheme) -> dict[str, Any]:
    tags = tags_of(spans_of(inside, inner(scheme)), len(inside), scheme)
    spans, offsets = spans_of(tags, scheme), sentence.offsets
    if offsets is not None:
        spans = [span._replace(start=offsets[span.start][0], end=offsets[span.end - 1][1]) for span in spans]
    return {"tokens": sentence.tokens, "tags": tags, "spans": [span._asdict() for span in spans]}


def collate(rows: Sequence[Row]) -> Batch:
    """Rows as a batch, with every word's spelling once.

    Returns:
        What `padded` gives for words, cases and tags [T, B]; "spelled" [longest word, different words] with its
        lengths, and "spelling" [T, B]: which of these a word is.
    """
    batch = padded([{name: row[name] for name in row if name not in ("letters", "characters")} for row in rows])
    known: dict[bytes, int] = {}
    which = [torch.tensor([known.setdefault(word, len(known)) for word in _words(row)]) for row in rows]
    lengths = np.array([len(word) // SIGN_BYTES for word in known])
    spelled = np.zeros((len(known), lengths.max()), np.int32)
    spelled[np.arange(lengths.max()) < lengths[:, None]] = np.frombuffer(b"".join(known), np.int32)
    batch |= {"spelled": torch.from_numpy(spelled.T.copy()), "spelled_lengths": torch.from_numpy(lengths)}
    return batch | {"spelling": nn.utils.rnn.pad_sequence(which)}


def _words(row: Row) -> list[bytes]:
    """The spelling of each word of a row."""
    raw, ends = np.asarray(row["characters"]).tobytes(), np.cumsum(row["letters"]) * SIGN_BYTES
    return [raw[start:end] for start, end in pairwise([0, *ends.tolist()])]


def _rows(batch: Batch, name: str) -> Iterator[torch.Tensor]:
    """A field of each row, without its padding."""
    for k, length in enumerate(batch["words_lengths"].tolist()):
        yield batch[name][:length, k]


class _Judge:
    """Compares the tags of batches with those said."""

    def __init__(self, encoding: Encoding) -> None:
        self._tags, self._scheme = encoding["tags"], inner(Scheme(**encoding["scheme"]))
        self.counts = SpanCounts()

    def add(self, batch: Batch, said: Sequence[Sequence[str]]) -> None:
        for numbers, found in zip(_rows(batch, "tags"), said, strict=True):
            # A tag that training does not have is a label of its own, which nobody finds.
            truth = [self._tags[k] if k >= 0 else f"S{self._scheme.joint}?" for k in numbers.tolist()]
            spans = (spans_of(tags, self._scheme) for tags in (truth, found))
            right = sum(own == other for own, other in zip(truth, found, strict=True))
            self.counts.add(*spans, right, len(truth))


TASK = Tag()

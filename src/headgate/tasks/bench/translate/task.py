"""The task: pairs to pieces, a translator, its loss, BLEU and chrF beside the copied source."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from headgate.data import Example, Store
from headgate.data.pairs import PairForm, by_line, pairs_in, read_pairs
from headgate.data.subwords import Subwords
from headgate.tasks.bench.translate.network import Translator
from headgate.tasks.bench.translate.options import Options
from headgate.tasks.bench.translate.portable import exported
from headgate.tasks.bench.translate.scores import bleu, chrf
from headgate.tasks.bench.translate.search import Found, search
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
)
from headgate.tasks.loading import Buckets
from headgate.tasks.settings import Layers, Learning

START, END = "<start>", "<end>"
# A translation may have this many pieces more than the longest that was seen of sources of its length, or twice theirs.
SLACK = 10
AT_ONCE = 64


class Translate(BenchTask):
    """One text to another; chat, summaries and captions are this task on other files."""

    name = "translate"
    title = "Translation"
    Options = Options
    layers = Layers(hidden_size=512, dropout=0.3)
    learning = Learning(epochs=10, batch_size=64, rate=2e-3, warmup=200, patience=4)
    metrics: ClassVar = {
        "bleu": Metric("BLEU of the corpus, 0 to 100 (sacreBLEU)"),
        "chrf": Metric("chrF2 of the corpus, 0 to 100 (sacreBLEU)"),
        "perplexity": Metric("of a piece, given those before it", higher_is_better=False),
        "accuracy": Metric("share of the pieces that are the likeliest, given those before"),
    }
    score = "chrf"
    baseline_words = "copies the source"

    # --- files to examples

    def fits(self, path: Path, options: Options) -> Fit:
        """See `BenchTask`."""
        pair = pairs_in(path, _form(options))
        if pair is None:
            return Fit(0.0, "it holds no pairs of texts")
        return Fit(pair[1], f"it pairs {pair[0]}")

    def read(self, paths: Sequence[Path], options: Options, answers: bool = True) -> Iterator[Example]:
        """See `BenchTask`; without answers a text file is one source a line."""
        yield from read_pairs(paths, _form(options), answers)

    def by_line(self, path: Path, options: Options) -> Options | None:
        """See `BenchTask`."""
        form = by_line(path, _form(options))
        return replace(options, source=form.source, target=form.target) if form else None

    def describe(self, examples: Iterable[Example]) -> dict[str, Any]:
        """Rows, words a text (smallest, middle, largest), empty texts, sources that are their own target."""
        words: dict[str, Counter[int]] = {"source": Counter(), "target": Counter()}
        found = Counter(rows=0, empty_sources=0, empty_targets=0, copies=0)
        for example in examples:
            source, target = example.input, example.target or ""
            found["rows"] += 1
            found["empty_sources"] += not source.strip()
            found["empty_targets"] += not target.strip()
            found["copies"] += source == target
            words["source"][len(source.split())] += 1
            words["target"][len(target.split())] += 1
        return dict(found) | {f"words_{side}": _spread(counts) for side, counts in words.items()}

    # --- examples to numbers

    def learn(self, examples: Iterable[Example], options: Options) -> Encoding:
        """Pieces of sources and targets together, and how much longer than its source a target can be."""
        longest = {"source": 0, "target": 0, "ratio": 0.0}

        def texts() -> Iterator[str]:
            for example in examples:
                source, target = len(example.input.encode()), len(example.target.encode())
                longest["source"] = max(longest["source"], source)
                longest["target"] = max(longest["target"], target)
                longest["ratio"] = max(longest["ratio"], target / max(source, 20))
                yield from (example.input, example.target)

        subwords = Subwords.learn(texts(), options.pieces, options.lower, (START, END))
        return {"subwords": subwords.to_json(), "longest": longest}

    def encode(self, examples: Iterable[Example], encoding: Encoding, options: Options) -> Iterator[Row]:
        """Each pair as its pieces: the source with an end, the target between a start and an end."""
        subwords = Subwords.from_json(encoding["subwords"])
        for example in examples:
            target = subwords.numbers(example.target)
            yield {
                "source": _source(subwords, example.input, options)[0],
                "target": np.concatenate([[subwords.mark(START)], target, [subwords.mark(END)]]).astype(np.int32),
            }

    def loader(self, store: Store, encoding: Encoding, learning: Learning, training: bool) -> Loader:
        """Batches of targets of like length."""
        return Buckets(store, "target", learning.batch_size, learning.seed, training)

    # --- learning and judging

    def network(self, encoding: Encoding, options: Options, layers: Layers) -> nn.Module:
        """See `Translator`."""
        network = Translator(len(Subwords.from_json(encoding["subwords"])), options, layers)
        network.smoothing = options.smoothing
        return network

    def losses(self, network: nn.Module, batch: Batch, state: Any = None) -> RowLosses:
        """Cross-entropy of each piece and of the end, given the true pieces before; smoothed in training."""
        losses, _ = self._answered(network, batch, network.smoothing if network.training else 0.0)
        return RowLosses(losses.sum(0), (batch["target_lengths"] - 1).to(losses))

    def evaluate(
        self, network: nn.Module, batches: Iterable[Batch], encoding: Encoding, options: Options
    ) -> dict[str, float]:
        """Translations by beam search against the targets; loss and accuracy with the true pieces given."""
        subwords = Subwords.from_json(encoding["subwords"])
        written, wanted = [], []
        loss = right = count = 0.0
        for batch in batches:
            with torch.no_grad():
                losses, logits = self._answered(network, batch, 0.0)
            asked = batch["target"][1:]
            loss, count = loss + float(losses.sum()), count + int((batch["target_lengths"] - 1).sum())
            right += int(((logits.argmax(-1) == asked) & (asked != subwords.PADDING)).sum())
            found = self._translated(network, batch["source"], batch["source_lengths"], subwords, encoding, options)
            written += [subwords.text(one.pieces) for one in found]
            wanted += [subwords.text(pieces) for pieces in batch["target"].T.tolist()]
        mean = loss / max(count, 1)
        return _scores(written, wanted) | {
            "perplexity": float(np.exp(min(mean, 700.0))),
            "accuracy": right / max(count, 1),
            "loss": mean,
        }

    def baseline(self, batches: Iterable[Batch], encoding: Encoding, options: Options) -> dict[str, float]:
        """The source, copied."""
        subwords = Subwords.from_json(encoding["subwords"])
        written, wanted = [], []
        for batch in batches:
            written += [subwords.text(pieces) for pieces in batch["source"].T.tolist()]
            wanted += [subwords.text(pieces) for pieces in batch["target"].T.tolist()]
        return _scores(written, wanted)

    def predict(
        self, network: nn.Module, examples: Iterable[Example], encoding: Encoding, options: Options
    ) -> Iterator[dict[str, Any]]:
        """The translation, its log-probability a piece, and what was cut."""
        subwords = Subwords.from_json(encoding["subwords"])
        examples = iter(examples)
        while some := list(islice(examples, AT_ONCE)):
            sources = [_source(subwords, example.input, options) for example in some]
            lengths = torch.tensor([len(numbers) for numbers, _ in sources])
            source = nn.utils.rnn.pad_sequence([torch.from_numpy(numbers) for numbers, _ in sources])
            found = self._translated(network, source, lengths, subwords, encoding, options)
            for example, one, (_, notes) in zip(some, found, sources, strict=True):
                notes = notes if one.ended else [*notes, "the translation was cut where it became too long"]
                text = subwords.text(one.pieces)
                yield {"source": example.input, "translation": text, "score": one.score, "notes": notes}

    def words(self, batch: Batch, encoding: Encoding) -> dict[str, list[str]]:
        """Of the source."""
        subwords = Subwords.from_json(encoding["subwords"])
        return {"encoder": [subwords.text([number]) or END for number in first_row(batch, "source")]}

    def exported(self, network: nn.Module, encoding: Encoding, options: Options) -> Exported:
        """A source and the pieces written so far to the scores of the next."""
        return exported(network)

    def every_step(self) -> bool:
        """Attention reads every step of the source, and every step of the decoder is asked for a piece."""
        return True

    def _answered(self, network: nn.Module, batch: Batch, smoothing: float) -> tuple[Tensor, Tensor]:
        """Each piece's loss, [U - 1, B], zero past a target's end; and all pieces' logits, [U - 1, B, size]."""
        memory = network.read(batch["source"], batch["source_lengths"])
        logits = network.write(batch["target"][:-1], memory)
        asked = batch["target"][1:].long()
        losses = functional.cross_entropy(
            logits.flatten(0, 1), asked.flatten(), reduction="none", ignore_index=Subwords.PADDING,
            label_smoothing=smoothing,
        )  # fmt: skip
        return losses.view(asked.shape), logits

    def _translated(
        self, network: nn.Module, source: Tensor, lengths: Tensor, subwords: Subwords, encoding: Encoding, o: Options
    ) -> list[Found]:
        with torch.no_grad():
            memory = network.read(source, lengths)
        longest = round(max(20, int(lengths.max())) * max(2.0, encoding["longest"]["ratio"])) + SLACK
        longest = min(longest, encoding["longest"]["target"] + SLACK)
        return search(network, memory, subwords.mark(START), subwords.mark(END), o.beam, o.length_penalty, longest)


def _form(options: Options) -> PairForm:
    return PairForm(options.source, options.target, options.context, options.speaker, options.encoding)


def _source(subwords: Subwords, text: str, options: Options) -> tuple[np.ndarray, list[str]]:
    """The pieces of a source, and what is to be said of it."""
    numbers = subwords.numbers(text)
    notes = [] if re.search(r"\S", text) else ["the source is empty"]
    if len(numbers) > options.longest:
        notes.append(f"the source has {len(numbers)} pieces; the first {options.longest} were read")
    return np.append(numbers[: options.longest], subwords.mark(END)).astype(np.int32), notes


def _scores(written: list[str], wanted: list[str]) -> dict[str, float]:
    return {"bleu": bleu(written, wanted), "chrf": chrf(written, wanted)}


def _spread(counts: Counter[int]) -> dict[str, int]:
    """Smallest, middle and largest of numbers that were counted."""
    values = sorted(counts)
    middle, passed = counts.total() / 2, 0
    for value in values:
        passed += counts[value]
        if passed >= middle:
            return {"smallest": values[0], "middle": value, "largest": values[-1]}
    return dict.fromkeys(("smallest", "middle", "largest"), 0)

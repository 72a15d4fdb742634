"""The smallest task that is one: a line of signs 0 and 1, a comma and whether the first sign was a 1. `TASK` is it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from headgate.data import DataError, Example, lines
from headgate.data.example import Place
from headgate.tasks.bench_task import BenchTask, Exported, Fit, Metric, RowLosses
from headgate.tasks.loading import Buckets
from headgate.tasks.settings import Layers, Learning


@dataclass(frozen=True)
class Options:
    width: int = field(default=3, metadata={"help": "numbers that stand for a sign."})
    bend: Literal["tanh", "none"] = field(default="none", metadata={"help": "what the scores go through."})
    noise: float | None = field(default=None, metadata={"help": "dropout of inputs; None for none."})


class Network(nn.Module):
    def __init__(self, options: Options, layers: Layers, signs: int) -> None:
        super().__init__()
        self.table = nn.Embedding(signs, options.width)
        self.rnn = layers.make(options.width)
        self.head = nn.Linear(layers.hidden_size, 2)
        self.noise, self.bend = options.noise, options.bend

    def forward(self, signs, lengths=None):
        x = self.table(signs)
        x = functional.dropout(x, self.noise, self.training) if self.noise else x
        _, state = self.rnn(x, lengths=lengths)
        last = state[0] if isinstance(state, tuple) else state
        return self.head(last[-1])


class Tiny(BenchTask):
    name, title, Options = "tiny", "Which sign came first", Options
    layers = Layers("lstm", hidden_size=6)
    learning = Learning(epochs=4, batch_size=8, rate=1e-2, patience=20)
    metrics: ClassVar = {"accuracy": Metric("share of rows that are right")}
    score, baseline_words = "accuracy", "the more frequent answer"

    def fits(self, path, options):
        return Fit(1.0, "its name ends in .tiny") if path.suffix in (".tiny", ".txt") else Fit(0.0, "no .tiny")

    def read(self, paths, options, answers=True):
        for path in paths:
            for number, line in enumerate(lines(path), 1):
                signs, _, answer = line.strip().partition(",")
                place = Place(path, number)
                if set(signs) - {"0", "1"} or not signs:
                    raise DataError(f"{place}: {signs[:9]!r} holds other signs than 0 and 1; give those alone.")
                if answers and answer not in ("no", "yes"):
                    raise DataError(f"{place}: the answer is {answer[:9]!r}, but no or yes is needed.")
                yield Example(signs, answer or None, place)

    def by_line(self, path, options):
        return options

    def describe(self, examples):
        lengths = [len(one.input) for one in examples]
        return {"rows": len(lengths), "longest": max(lengths, default=0)}

    def learn(self, examples, options):
        answers = [one.target for one in examples]
        if not answers:
            raise DataError("there are no rows to learn from.")
        return {"signs": ["0", "1"], "often": max(("no", "yes"), key=answers.count)}

    def encode(self, examples, encoding, options):
        for one in examples:
            signs = np.array([encoding["signs"].index(sign) for sign in one.input], np.int64)
            yield {"signs": signs, "answer": np.array(one.target == "yes", np.int64)}

    def loader(self, store, encoding, learning, training):
        return Buckets(store, "signs", learning.batch_size, learning.seed, training)

    def network(self, encoding, options, layers):
        return Network(options, layers, len(encoding["signs"]))

    def losses(self, network, batch, state=None):
        scores = network(batch["signs"], batch["signs_lengths"])
        sums = functional.cross_entropy(scores, batch["answer"], reduction="none")
        return RowLosses(sums, torch.ones_like(sums))

    def evaluate(self, network, batches, encoding, options):
        right, loss, count = 0, 0.0, 0
        with torch.no_grad():
            for batch in batches:
                scores = network(batch["signs"], batch["signs_lengths"])
                right += int((scores.argmax(1) == batch["answer"]).sum())
                loss += float(functional.cross_entropy(scores, batch["answer"], reduction="sum"))
                count += len(scores)
        return {"accuracy": right / count, "loss": loss / count}

    def baseline(self, batches, encoding, options):
        often = encoding["often"] == "yes"
        found = torch.cat([batch["answer"] for batch in batches])
        return {"accuracy": float((found == often).double().mean()), "loss": math.log(2)}

    def predict(self, network, examples, encoding, options):
        for one in examples:
            signs = torch.tensor([[encoding["signs"].index(sign)] for sign in one.input])
            with torch.no_grad():
                yes = network(signs).softmax(1)[0, 1].item()
            yield {"answer": "yes" if yes > 0.5 else "no", "probability": yes, "notes": []}

    def needs_lag(self, encoding):
        return 6

    def exported(self, network, encoding, options):
        example = {"signs": torch.zeros(5, 2, dtype=torch.long)}
        return Exported(network, example, {"signs": {0: "time", 1: "rows"}}, ("scores",))


TASK = Tiny()

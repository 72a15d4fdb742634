"""Tokens a second in training: `python -m benchmarks.language_speed`, from the root of the source.

A character model with an LSTM of 512 units, as the task trains it (the bench's own loop, under Lightning, without the
watch), beside the same model in a loop written by hand with torch.nn.LSTM: embedding, layer, softmax, cross-entropy, a
state carried on, gradients clipped by their norm, Adam. Both read the same batches and start from the same weights;
first their losses and, after some steps, their weights must agree. Then they train in turn, some steps at a time.
"""

from __future__ import annotations

import argparse
import json
import random
import string
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.results import cores
from headgate.data import Store
from headgate.tasks.bench.language import TASK
from headgate.tasks.bench.language.options import Options
from headgate.tasks.bench_task import Batch
from headgate.training.fit import quiet
from headgate.training.lesson import Lesson

# Characters of a text, of so many kinds, as many as a play of Shakespeare has.
CHARACTERS, SIGNS, SEED = 400_000, string.ascii_letters + string.digits + " .\n", 0
# Steps whose results are compared, and how far they may be apart, relative to the largest entry: roundings of float32,
# which Adam enlarges where a gradient is nearly nothing.
COMPARED, EQUAL = 3, {"loss": 1e-5, "weight": 1e-3}
# Steps that are not timed at the beginning of a turn.
UNTIMED = 2


def main(arguments: list[str] | None = None) -> int:
    """Compare, measure, print."""
    parser = argparse.ArgumentParser("benchmarks.language_speed", description=__doc__.partition("\n\n")[0])
    parser.add_argument("--threads", type=int, default=cores())
    parser.add_argument("--turns", type=int, default=9)
    parser.add_argument("--steps", type=int, default=12, help="steps of a turn")
    parser.add_argument("--hidden", type=int, default=TASK.layers.hidden_size)
    asked = parser.parse_args(arguments)
    torch.set_num_threads(asked.threads)
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(Path(folder), asked.hidden, asked.turns, asked.steps)))
    return 0


def measure(folder: Path, hidden: int, turns: int, steps: int) -> dict[str, Any]:
    """Tokens a second of either, medians over turns, and the median of the turns' ratios.

    Raises:
        AssertionError: the two do not compute the same.
    """
    batches = Batches(folder, hidden)
    apart = compare(batches)
    ours, theirs = Ours(batches), ByHand(batches)
    found: list[tuple[float, float]] = []
    for _ in range(turns + 1):
        found.append((ours.seconds(steps), theirs.seconds(steps)))
    tokens = batches.tokens
    kept = found[1:]
    return {
        "workload": f"character LSTM H={hidden} B={batches.learning.batch_size} T={batches.options.steps}",
        "threads": torch.get_num_threads(),
        "ours_tokens_s": round(tokens / median(own for own, _ in kept)),
        "by_hand_tokens_s": round(tokens / median(other for _, other in kept)),
        "ratio": round(median(other / own for own, other in kept), 3),
        "ratios": [round(other / own, 2) for own, other in kept],
        "apart": apart,
    }


class Batches:
    """A text, encoded, and the settings of both; dropout is off, since the two would not draw the same masks."""

    def __init__(self, folder: Path, hidden: int) -> None:
        draw = random.Random(SEED)
        path = folder / "text.txt"
        path.write_text("".join(draw.choices(SIGNS, k=CHARACTERS)), encoding="utf-8")
        self.options = Options()
        self.encoding = TASK.learn(TASK.read([path], self.options), self.options)
        rows = TASK.encode(TASK.read([path], self.options), self.encoding, self.options)
        self._store = Store.write(folder / "rows", rows)
        self.layers = replace(TASK.layers, hidden_size=hidden, dropout=0.0)
        self.learning = replace(TASK.learning, schedule="constant")
        self.loader = TASK.loader(self._store, self.encoding, self.learning, training=True)
        self.tokens = self.learning.batch_size * self.options.steps

    def forever(self) -> Iterator[Batch]:
        """Epoch after epoch."""
        epoch = 0
        while True:
            yield from self.loader.epoch(epoch)
            epoch += 1

    def network(self) -> nn.Module:
        """As the task makes it; the same weights every time."""
        torch.manual_seed(SEED)
        return TASK.network(self.encoding, self.options, self.layers).train()


class Ours:
    """The bench's loop."""

    def __init__(self, batches: Batches) -> None:
        self.lesson = Lesson(TASK, batches.network(), batches.loader, batches.learning)
        self._clip = batches.learning.clip

    def seconds(self, steps: int) -> float:
        """A step's, the median over so many."""
        return median(self.train(steps + UNTIMED).seconds[UNTIMED:])

    def train(self, steps: int) -> _Clock:
        """So many steps, with an optimiser of their own, and what was seen of them."""
        clock = _Clock(self.lesson)
        with quiet():
            trainer = Trainer(
                accelerator="cpu",
                max_steps=steps,
                gradient_clip_val=self._clip,
                callbacks=[clock],
                logger=False,
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
                use_distributed_sampler=False,
            )
            trainer.fit(self.lesson)
        return clock


class _Clock(Callback):
    """Seconds from step to step, and each step's loss."""

    def __init__(self, lesson: Lesson) -> None:
        self.seconds: list[float] = []
        self.losses: list[float] = []
        self._lesson, self._before = lesson, time.perf_counter()

    def on_train_batch_end(self, *arguments: Any, **more: Any) -> None:
        now = time.perf_counter()
        self.seconds.append(now - self._before)
        self.losses.append(self._lesson.last_loss)
        self._before = now


class ByHand(nn.Module):
    """The same model and loop, as one writes them with torch alone."""

    def __init__(self, batches: Batches) -> None:
        super().__init__()
        ours = batches.network()
        layer = ours.layers[0]
        self.embedding = nn.Embedding(*ours.embedding.weight.shape)
        self.lstm = nn.LSTM(layer.input_size, layer.hidden_size)
        self.softmax = nn.Linear(layer.hidden_size, len(ours.embedding.weight))
        self.lstm.load_state_dict(layer.state_dict())
        self.embedding.load_state_dict(ours.embedding.state_dict())
        self.softmax.load_state_dict(ours.softmax.state_dict())
        self._batches, self._clip = batches.forever(), batches.learning.clip
        self._optimiser = torch.optim.Adam(self.parameters(), lr=batches.learning.rate)
        self._state: tuple[Tensor, Tensor] | None = None

    def step(self) -> float:
        batch = next(self._batches)
        if batch["fresh"]:
            self._state = None
        output, (h, c) = self.lstm(self.embedding(batch["input"]), self._state)
        self._state = h.detach(), c.detach()
        loss = functional.cross_entropy(self.softmax(output).flatten(0, 1), batch["target"].flatten())
        self._optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.parameters(), self._clip)
        self._optimiser.step()
        return loss.item()

    def seconds(self, steps: int) -> float:
        """A step's, the median over so many."""
        found = []
        for _ in range(steps + UNTIMED):
            before = time.perf_counter()
            self.step()
            found.append(time.perf_counter() - before)
        return median(found[UNTIMED:])


def compare(batches: Batches) -> dict[str, float]:
    """How far losses and weights are apart after some steps of either.

    Raises:
        AssertionError: further than roundings.
    """
    ours, theirs = Ours(batches), ByHand(batches)
    losses = zip(ours.train(COMPARED).losses, [theirs.step() for _ in range(COMPARED)], strict=True)
    own, other = ours.lesson.network, theirs
    pairs = [
        (own.embedding.weight, other.embedding.weight),
        (own.softmax.weight, other.softmax.weight),
        *zip(own.layers[0].parameters(), other.lstm.parameters(), strict=True),
    ]
    apart = {
        "loss": max(abs(a - b) / abs(b) for a, b in losses),
        "weight": max(float((a - b).detach().abs().max() / b.detach().abs().max()) for a, b in pairs),
    }
    for name, value in apart.items():
        assert value <= EQUAL[name], f"{name} differs by {value:.1e}, more than roundings do ({EQUAL[name]:.0e})"
    return {name: float(f"{value:.1e}") for name, value in apart.items()}


if __name__ == "__main__":
    sys.exit(main())

"""Tokens a second in training: `python -m benchmarks.training_speed [language|tag]`, from the root of the source.

A character model with an LSTM of 512 units, and the tagger of words and letters, each as its task trains it (the
bench's own loop, under Lightning, without the watch), beside the same model in a loop written by hand with
torch.nn.LSTM. Both read the same batches and start from the same weights; first their losses and, after some steps,
their weights must agree. Then they train in turn, some steps at a time.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from torch import nn

from benchmarks import hand_language, hand_tag
from benchmarks.hand_work import Work
from benchmarks.results import cores
from headgate.tasks.bench_task import Batch, Loader
from headgate.training.fit import quiet
from headgate.training.lesson import Lesson

# Steps whose results are compared, and how far they may be apart, relative to the largest entry: roundings of float32,
# which Adam enlarges where a gradient is nearly nothing.
COMPARED, EQUAL = 3, {"loss": 1e-5, "weight": 1e-3}
# Steps that are not timed at the beginning of a turn.
UNTIMED = 2
WORK = {"language": hand_language.Work, "tag": hand_tag.Work}


def main(arguments: list[str] | None = None) -> int:
    """Compare, measure, print."""
    parser = argparse.ArgumentParser("benchmarks.training_speed", description=__doc__.partition("\n\n")[0])
    parser.add_argument("works", nargs="*", choices=[*WORK, []], default=[], help="which; all if none is named")
    parser.add_argument("--threads", type=int, default=cores())
    parser.add_argument("--turns", type=int, default=9)
    parser.add_argument("--steps", type=int, default=12, help="steps of a turn")
    parser.add_argument("--hidden", type=int, help="in place of the task's default")
    asked = parser.parse_args(arguments)
    torch.set_num_threads(asked.threads)
    for name in asked.works or WORK:
        with tempfile.TemporaryDirectory() as folder:
            work = WORK[name](Path(folder), asked.hidden)
            print(json.dumps(measure(work, asked.turns, asked.steps)), flush=True)
    return 0


def measure(work: Work, turns: int, steps: int) -> dict[str, Any]:
    """Tokens a second of either, medians over turns, and the median of the turns' ratios.

    Raises:
        AssertionError: the two do not compute the same.
    """
    apart = compare(work)
    ours, theirs = Ours(work), Theirs(work)
    kept = [(ours.train(steps + UNTIMED).speed(), theirs.train(steps + UNTIMED).speed()) for _ in range(turns + 1)][1:]
    return {
        "workload": work.name,
        "threads": torch.get_num_threads(),
        "ours_tokens_s": round(median(own for own, _ in kept)),
        "by_hand_tokens_s": round(median(other for _, other in kept)),
        "ratio": round(median(own / other for own, other in kept), 3),
        "ratios": [round(own / other, 2) for own, other in kept],
        "apart": apart,
    }


class Clock:
    """Tokens, seconds and losses, step by step."""

    def __init__(self, work: Work) -> None:
        self.seconds: list[float] = []
        self.tokens: list[int] = []
        self.losses: list[float] = []
        self._work, self._before = work, time.perf_counter()

    def tick(self, batch: Batch, loss: float) -> None:
        """A step is done."""
        now = time.perf_counter()
        self.seconds.append(now - self._before)
        self.tokens.append(self._work.tokens(batch))
        self.losses.append(loss)
        self._before = now

    def speed(self) -> float:
        """Tokens a second, the first steps aside; one slow step in between does not count."""
        return median(n / s for n, s in list(zip(self.tokens, self.seconds, strict=True))[UNTIMED:])


class Ours:
    """The bench's loop."""

    def __init__(self, work: Work) -> None:
        self.lesson = Lesson(work.task, work.network(), work.loader, work.learning)
        self._work = work

    def train(self, steps: int) -> Clock:
        """So many steps, with an optimiser of their own, and what was seen of them."""
        clock = Clock(self._work)
        with quiet():
            trainer = Trainer(
                accelerator="cpu",
                max_steps=steps,
                gradient_clip_val=self._work.learning.clip,
                callbacks=[_Watch(self.lesson, clock)],
                logger=False,
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
                use_distributed_sampler=False,
            )
            trainer.fit(self.lesson)
        return clock


class _Watch(Callback):
    """Tells a clock of every step."""

    def __init__(self, lesson: Lesson, clock: Clock) -> None:
        self._lesson, self._clock = lesson, clock

    def on_train_batch_end(self, trainer: Trainer, module: Any, outputs: Any, batch: Batch, index: int) -> None:
        self._clock.tick(batch, self._lesson.last_loss)

    def on_train_epoch_end(self, trainer: Trainer, module: Any) -> None:
        # As training does after its validation; without it the next epoch would have no batch.
        self._lesson.standing.epoch += 1
        self._lesson.standing.batch = 0


class Theirs:
    """The loop written by hand: gradients clipped by their norm, Adam."""

    def __init__(self, work: Work) -> None:
        self.model = work.by_hand()
        self._work, self._batches = work, _forever(work.loader)
        self._optimiser = torch.optim.Adam(self.model.parameters(), lr=work.learning.rate)

    def train(self, steps: int) -> Clock:
        """So many steps, and what was seen of them."""
        clock = Clock(self._work)
        for _ in range(steps):
            batch = next(self._batches)
            loss = self.model.loss(batch)
            self._optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(self.model.parameters(), self._work.learning.clip)
            self._optimiser.step()
            clock.tick(batch, loss.item())
        return clock


def _forever(loader: Loader) -> Iterator[Batch]:
    epoch = 0
    while True:
        yield from loader.epoch(epoch)
        epoch += 1


def compare(work: Work) -> dict[str, float]:
    """How far losses and weights are apart after some steps of either.

    Raises:
        AssertionError: further than roundings.
    """
    ours, theirs = Ours(work), Theirs(work)
    losses = zip(ours.train(COMPARED).losses, theirs.train(COMPARED).losses, strict=True)
    pairs = theirs.model.pairs(ours.lesson.network)
    apart = {
        "loss": max(abs(a - b) / abs(b) for a, b in losses),
        "weight": max(float((a - b).detach().abs().max() / b.detach().abs().max()) for a, b in pairs),
    }
    for name, value in apart.items():
        assert value <= EQUAL[name], f"{name} differs by {value:.1e}, more than roundings do ({EQUAL[name]:.0e})"
    return {name: float(f"{value:.1e}") for name, value in apart.items()}


if __name__ == "__main__":
    sys.exit(main())

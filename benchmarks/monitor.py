"""What watching training costs: `python -m benchmarks.monitor`, from the root of the source.

Two copies of a model take the same training steps in turn, one of them under a monitor with its default schedule: a
look every 100 steps, put off where looking would take more than a hundredth of the time. First their weights must be
the same to the bit; then the time of one is held against the other's. Beside it, what a full capture of one forward
pass costs: the watch with gates and states of every step, and torchlens, if it is there.
"""

from __future__ import annotations

import argparse
import copy
import importlib
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import nn

import headgate as hg
from benchmarks.results import cores
from headgate.inspection.monitor import Monitor

I, H, B, T = 32, 128, 64, 100  # noqa: E741 - the field's letters
EPOCHS, STEPS, WARM_UP, CAPTURES = 3, 400, 20, 5
# The default is 0.01 of the time, but here half of the time is the other copy's.
BUDGET = 0.005
LAYERS: dict[str, Callable[[], nn.Module]] = {
    "torch.nn.LSTM": lambda: nn.LSTM(I, H),
    "headgate.LSTM": lambda: hg.LSTM(I, H),
}


class Reader(nn.Module):
    """Reads the last step of a layer."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer, self.head = layer, nn.Linear(H, 1)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return self.head(self.layer(input)[0][-1])


class Training:
    """A model on its way, one step at a time; `monitor` may be set on the way."""

    def __init__(self, model: Reader) -> None:
        self.model, self.optimizer = model, torch.optim.Adam(model.parameters())
        self.monitor: Monitor | None = None

    def step(self, input: torch.Tensor) -> tuple[float, bool]:
        """Seconds it took, and whether it was looked at."""
        started = time.perf_counter()
        with nullcontext() if self.monitor is None else self.monitor.step() as look:
            loss = self.model(input).square().mean()
            self.optimizer.zero_grad()
            loss.backward()
            if look:
                look.report(loss)
        self.optimizer.step()
        return time.perf_counter() - started, bool(look)


@dataclass(frozen=True)
class Cost:
    """Of some epochs, in seconds: one entry each, but for looks, of which each has one."""

    plain: list[float]
    watched: list[float]
    looks: list[float]
    between: list[float]

    @property
    def more(self) -> float:
        """How much longer watched training took, over all epochs."""
        return sum(self.watched) / sum(self.plain) - 1


def epochs(make: Callable[[], nn.Module], steps: int, count: int) -> Cost:
    """Epochs of two copies, step by step in turn: what a look adds to its step, and how long a watched step without a
    look takes over a plain one.

    Raises:
        RuntimeError: the two did not train alike.
    """
    torch.manual_seed(0)
    model = Reader(make())
    plain, watched = Training(copy.deepcopy(model)), Training(model)
    batches = torch.randn(8, T, B, I)
    for step in range(WARM_UP):
        plain.step(batches[step % len(batches)])
        watched.step(batches[step % len(batches)])
    watched.monitor = Monitor(watched.model, budget=BUDGET)
    cost = Cost([], [], [], [])
    for _ in range(count):
        alone: list[float] = []
        beside: list[tuple[float, bool]] = []
        for step in range(steps):
            input = batches[step % len(batches)]
            order = (plain, watched) if step % 2 else (watched, plain)
            times = {id(training): training.step(input) for training in order}
            alone.append(times[id(plain)][0])
            beside.append(times[id(watched)])
        usual = statistics.median(seconds for seconds, looked in beside if not looked)
        cost.plain.append(sum(alone))
        cost.watched.append(sum(seconds for seconds, _ in beside))
        cost.looks.extend(seconds - usual for seconds, looked in beside if looked)
        cost.between.append(usual / statistics.median(alone))
    pairs = zip(plain.model.parameters(), watched.model.parameters(), strict=True)
    if not all(torch.equal(one, other) for one, other in pairs):
        raise RuntimeError("the watched model did not learn what the other did, so there is nothing to time.")
    return cost


def off_step_ns() -> float:
    """What a step between looks costs beyond the step."""
    monitor = Monitor(Reader(nn.LSTM(I, H)), 10**9, budget=None)
    monitor.step().__enter__()
    count, started = 100_000, time.perf_counter()
    for _ in range(count):
        with monitor.step():
            pass
    return (time.perf_counter() - started) / count * 1e9


def captures(make: Callable[[], nn.Module]) -> dict[str, float]:
    """Seconds of one forward pass, plain and captured whole: medians, in turn."""
    torch.manual_seed(0)
    model, input = Reader(make()), torch.randn(T, B, I)

    def watch() -> None:
        with hg.watch(model) as seen:
            model(input)
        for name in seen:
            _ = seen[name].gates, seen[name].states

    runs: dict[str, Callable[[], object]] = {"forward": lambda: model(input), "headgate.watch": watch}
    try:
        lens = importlib.import_module("torchlens")
    except ImportError:
        print("torchlens is not installed: `pip install torchlens` puts it beside.", file=sys.stderr)
    else:
        # Torch's functions, which it wraps, are put back after each run, so that ours are timed without it.
        clean = lens.options.CaptureOptions(unwrap_when_done=True)
        runs["torchlens (the fused layer is one opaque step to it)"] = lambda: lens.trace(model, input, capture=clean)
    found: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(CAPTURES + 1):
        for name, run in runs.items():
            started = time.perf_counter()
            run()
            if turn:
                found[name].append(time.perf_counter() - started)
    return {name: statistics.median(seconds) for name, seconds in found.items()}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print, as a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.monitor", allow_abbrev=False)
    parser.add_argument("--threads", type=int, default=min(2, cores()))
    parser.add_argument("--steps", type=int, default=STEPS, help="of an epoch")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    print(f"H={H} B={B} T={T}, {options.epochs} epochs of {options.steps} steps")
    print(f"torch {torch.__version__}, {options.threads} threads, load {os.getloadavg()[0]:.1f} before")
    print(f"a step between looks: {off_step_ns():.0f} ns more than without a monitor\n")
    print("| layer | epoch | watched | more | looks | a look adds | in steps | step between looks |")
    print("|---|---|---|---|---|---|---|---|")
    for name, make in LAYERS.items():
        cost = epochs(make, options.steps, options.epochs)
        plain, look = statistics.median(cost.plain), statistics.median(cost.looks)
        print(
            f"| {name} | {plain:.3f} s | {statistics.median(cost.watched):.3f} s | {cost.more:+.2%} | "
            f"{len(cost.looks)} | {look * 1e3:.1f} ms | {look / plain * options.steps:.2f} | "
            f"x {statistics.median(cost.between):.3f} |"
        )
    print("\n| capture of one forward pass | torch.nn.LSTM | times the forward |")
    print("|---|---|---|")
    whole = captures(LAYERS["torch.nn.LSTM"])
    for name, seconds in whole.items():
        print(f"| {name} | {seconds * 1e3:.1f} ms | {seconds / whole['forward']:.1f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())

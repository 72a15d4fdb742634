"""The learning rate: what it is at each step, and how one is found where none was given."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator

import torch
from torch import nn

from headgate.data import DataError
from headgate.tasks.bench_task import Batch, BenchTask, Loader
from headgate.tasks.settings import Learning

# The sweep: from the smallest to the largest rate in so many steps, the loss smoothed by so much.
SMALLEST, LARGEST, STEPS, SMOOTH = 1e-5, 1.0, 80, 0.9
# The sweep ends where the loss is so much larger than the smallest; the rate with the smallest loss is divided by this.
WORSE, BACK_OFF = 2.0, 8.0
QUARTER = 0.25
# Warm-up takes at most one of so many steps.
LEAST_STEPS = 10
_MIXED = 1_000_003


def at(learning: Learning, step: int, steps: int, drops: int) -> float:
    """The rate of a step.

    Args:
        learning: its rate, schedule and warm-up.
        step: from 0.
        steps: of all epochs together.
        drops: how often a plateau was met.
    """
    # Of a short training, warm-up would otherwise be all.
    warmup = min(learning.warmup, steps // LEAST_STEPS)
    rate = learning.rate * min(1.0, (step + 1) / (warmup + 1))
    if learning.schedule == "plateau":
        return rate * QUARTER**drops
    if learning.schedule == "cosine" and step >= warmup:
        done = (step - warmup) / max(1, steps - warmup)
        return rate * 0.5 * (1.0 + math.cos(math.pi * min(1.0, done)))
    return rate


def optimiser(network: nn.Module, learning: Learning) -> torch.optim.Optimizer:
    """As `Learning` names it, all parameters in one call of torch's."""
    parameters = [p for p in network.parameters() if p.requires_grad]
    settings = {"lr": learning.rate or SMALLEST, "fused": True}
    if learning.optimiser == "sgd":
        return torch.optim.SGD(parameters, weight_decay=learning.weight_decay, **settings)
    if learning.optimiser == "adamw":
        return torch.optim.AdamW(parameters, weight_decay=learning.weight_decay, **settings)
    return torch.optim.Adam(parameters, **settings)


def seed_step(seed: int, step: int, rank: int = 0) -> None:
    """Torch's random state for a training step: it hangs on these three alone, so that a resumed run goes on alike."""
    mixed = ((seed * _MIXED + step) * 1024 + rank) % 2**63
    if torch.accelerator.is_available():
        torch.manual_seed(mixed)
    else:
        # Where there is no accelerator, `torch.manual_seed` writes down the stack for the sake of one: 2 ms a step.
        torch.default_generator.manual_seed(mixed)


def find(task: BenchTask, network: nn.Module, loader: Loader, learning: Learning) -> float:
    """A learning rate for this network and these batches: the range test (Smith 2017, arXiv 1506.01186).

    The rate grows by a constant factor from step to step on a copy of the network; the rate at which the smoothed loss
    is smallest, divided by BACK_OFF, is taken. The same network, batches and seed give the same rate.

    Raises:
        DataError: the loss is not a finite number from the beginning.
    """
    trial = copy.deepcopy(network).train()
    by = optimiser(trial, learning)
    growth = (LARGEST / SMALLEST) ** (1 / (STEPS - 1))
    best, best_rate, mean, state = math.inf, SMALLEST, 0.0, None
    with torch.random.fork_rng(devices=[]):
        for step, batch in zip(range(STEPS), _forever(loader), strict=False):
            seed_step(learning.seed, step)
            rate = SMALLEST * growth**step
            for group in by.param_groups:
                group["lr"] = rate
            found = task.losses(trial, batch, state)
            state = found.state
            loss = found.sums.sum() / found.counts.sum().clamp_min(1)
            mean = SMOOTH * mean + (1 - SMOOTH) * float(loss.detach())
            smoothed = mean / (1 - SMOOTH ** (step + 1))
            if step == 0 and not math.isfinite(smoothed):
                raise DataError(f"the loss is {smoothed} before any training; look at the data for extreme values.")
            if not smoothed < WORSE * best:
                break
            if smoothed < best:
                best, best_rate = smoothed, rate
            by.zero_grad(set_to_none=True)
            (loss if found.penalty is None else loss + found.penalty).backward()
            if learning.clip:
                nn.utils.clip_grad_norm_(trial.parameters(), learning.clip)
            by.step()
    return float(f"{best_rate / BACK_OFF:.2g}")


def _forever(loader: Loader) -> Iterator[Batch]:
    epoch = 0
    while True:
        yield from loader.epoch(epoch)
        epoch += 1

"""A network and its task as Lightning trains them: one loss over all processes, and a place to go on from."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, distributed, nn

from headgate.tasks.bench_task import Batch, BenchTask, Loader
from headgate.tasks.loading import ABSENT
from headgate.tasks.settings import Learning
from headgate.training import rate


@dataclass
class Standing:
    """Where training stands.

    Attributes:
        step: optimiser steps taken, over all epochs.
        epoch, batch: the epoch in progress and its batches that were learned from.
        drops: how often a plateau was met.
        best: the best score; None before the first validation.
        best_epoch: the epoch that had it.
        bad: epochs since then.
        seconds: spent, over all sittings.
        loss: sum of the losses of the epoch's steps, and `looked` how many they are.
        clipped: steps of the epoch whose gradient was clipped.
        lines: validations that were written down.
    """

    step: int = 0
    epoch: int = 0
    batch: int = 0
    drops: int = 0
    best: float | None = None
    best_epoch: int = 0
    bad: int = 0
    seconds: float = 0.0
    loss: float = 0.0
    looked: int = 0
    clipped: int = 0
    lines: int = 0


class Lesson(LightningModule):
    """What Lightning trains.

    Args:
        task: whose losses are learned from.
        network: to be trained.
        loader: of training batches.
        learning: how.
        rank, world: which of how many processes this is.

    Attributes:
        standing: where training stands; written by training steps, and by whoever validates.
        carried: what the task handed from the last batch to the next.
        asked_to_stop: set it, and training stops on every process after the step.
        stopping: whether any process was asked to.
        last_loss: of the last step, over all processes.
    """

    def __init__(
        self, task: BenchTask, network: nn.Module, loader: Loader, learning: Learning, rank: int = 0, world: int = 1
    ) -> None:
        super().__init__()
        self.network, self.learning = network, learning
        self._task, self._loader, self._rank, self._world = task, loader, rank, world
        self.standing = Standing()
        self.carried: Any = None
        self.asked_to_stop = self.stopping = False
        self.last_loss = math.nan
        self.steps = len(loader) * learning.epochs

    def train_dataloader(self) -> Batches:
        return Batches(self._loader, self.standing, (self._rank, self._world))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return rate.optimiser(self.network, self.learning)

    def on_train_epoch_start(self) -> None:
        self.network.train()
        if self.standing.batch == 0:
            self.carried = None

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        standing = self.standing
        for group in self.optimizers().param_groups:
            group["lr"] = rate.at(self.learning, standing.step, self.steps, standing.drops)
        rate.seed_step(self.learning.seed, standing.step, self._rank)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The sum of losses over all processes divided by their count over all processes.

        Raises:
            FloatingPointError: it is not a finite number.
        """
        absent = batch.pop(ABSENT, None) is not None
        found = self._task.losses(self.network, batch, self.carried)
        self.carried = found.state
        own = found.sums.sum() * (0.0 if absent else 1.0)
        count = found.counts.sum() * (0 if absent else 1)
        whole = torch.stack([own.detach().double(), count.double(), own.new_tensor(self.asked_to_stop).double()])
        if self._world > 1:
            distributed.all_reduce(whole)
        total, answers, stop = whole.tolist()
        self.stopping = stop > 0
        self.last_loss = total / max(1.0, answers)
        if not math.isfinite(self.last_loss):
            raise FloatingPointError(
                f"the loss is {self.last_loss} at step {self.standing.step + 1}; the best model so far is kept, and a "
                "smaller --rate or --clip may hold it."
            )
        # Lightning's strategy takes the mean of the processes' gradients, so each counts for `world`.
        loss = own * (self._world / max(1.0, answers))
        if found.penalty is not None:
            loss = loss + found.penalty * (float(count) * self._world / max(1.0, answers))
        return loss

    def configure_gradient_clipping(
        self, optimizer: Any, gradient_clip_val: float | None = None, gradient_clip_algorithm: str | None = None
    ) -> None:
        """Clip by the norm, and count how often that did anything."""
        if gradient_clip_val:
            norm = nn.utils.clip_grad_norm_(self.network.parameters(), gradient_clip_val)
            self.standing.clipped += int(float(norm) > gradient_clip_val)

    def optimizer_step(self, *arguments: Any, **more: Any) -> None:
        """As Lightning's, and counted."""
        super().optimizer_step(*arguments, **more)
        standing = self.standing
        standing.step += 1
        standing.batch += 1
        standing.loss += self.last_loss
        standing.looked += 1


class Batches:
    """An epoch's batches from where training stands."""

    def __init__(self, loader: Loader, standing: Standing, share: tuple[int, int]) -> None:
        self._loader, self._standing, self._share = loader, standing, share

    def __iter__(self) -> Iterator[Batch]:
        return iter(self._loader.epoch(self._standing.epoch, self._standing.batch, self._share))


def on_cpu(value: Any) -> Any:
    """Whatever a task hands on or an optimiser holds, its tensors copied to the CPU."""
    if isinstance(value, Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, Mapping):
        return {name: on_cpu(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(on_cpu(one) for one in value)
    return value


def on_device(value: Any, device: torch.device) -> Any:
    """The way back."""
    if isinstance(value, Tensor):
        return value.to(device)
    if isinstance(value, Mapping):
        return {name: on_device(one, device) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(on_device(one, device) for one in value)
    return value

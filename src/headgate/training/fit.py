"""One sitting of training: from a run's folder and its rows to the best weights, on one process of possibly several."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.strategies import DDPStrategy
from torch import nn

from headgate.data import Store
from headgate.tasks.bench_task import BenchTask, Encoding
from headgate.tasks.settings import Learning
from headgate.training import checkpoint
from headgate.training.bench_run import EVENTS, Run
from headgate.training.callback import WatchCallback
from headgate.training.children import Stopped
from headgate.training.keeper import Keeper, has_learned
from headgate.training.lesson import Lesson
from headgate.training.progress import Bar

# How long processes wait for the first one's validation.
PATIENCE = timedelta(hours=12)
# What Lightning and torch say that a user of the bench can do nothing about, each by the words it begins with.
NOISE = (
    "GPU available but not used",
    "The '.*' does not have many workers",
    "Your `IterableDataset` has `__len__` defined",
    "The number of training batches",
    "Checkpoint directory .* exists and is not empty",
    "Found .* module\\(s\\) in eval mode at the start of training",
    "find_unused_parameters=True was specified",
    "`isinstance\\(treespec, LeafSpec\\)` is deprecated",
    "It is recommended to use `self.log",
    "The `srun` command is available",
)
QUIET = (
    "lightning.pytorch",
    "lightning.fabric",
    "lightning.pytorch.utilities.rank_zero",
    "lightning.fabric.utilities.rank_zero",
)


@dataclass(frozen=True)
class Sitting:
    """What a sitting needs beside the run's folder.

    Attributes:
        folder: of the run; config, encoding stand in it.
        stores: folders of the encoded rows of "train" and "validation".
        devices: processes that learn together.
        progress: whether to show any.
    """

    folder: Path
    stores: dict[str, Path]
    devices: int = 1
    progress: bool = True


def fit(sitting: Sitting, rank: int = 0, world: int = 1) -> None:
    """Train until the end, or an interruption.

    Raises:
        Stopped: Ctrl-C or SIGTERM; the folder holds what training goes on from.
        ValueError: the checkpoint is damaged or another run's.
        FloatingPointError: the loss is not a finite number.
        OSError: the disk is full.
    """
    run = Run.load(sitting.folder)
    task, chosen = run.task, run.config.chosen
    stores = {part: Store(folder) for part, folder in sitting.stores.items()}
    content = checkpoint.load(run.folder, run.encoding, world)
    if over(checkpoint.standing_of(content), chosen.learning, task, run.config.minutes):
        return
    network = start(task, run.encoding, chosen.options, chosen.layers, chosen.learning.seed)
    loader = task.loader(stores["train"], run.encoding, chosen.learning, training=True)
    lesson = Lesson(task, network, loader, chosen.learning, rank, world)
    if content is not None:
        checkpoint.restore(lesson, content, run.folder)
    watching = _watching(run, content) if run.config.watch else None
    bar = Bar(task)

    def validate(network: nn.Module) -> dict[str, float]:
        batches = task.loader(stores["validation"], run.encoding, chosen.learning, training=False).epoch(0)
        device = next(network.parameters()).device
        moved = ({name: value.to(device) for name, value in batch.items()} for batch in batches)
        return task.evaluate(network, moved, run.encoding, chosen.options)

    most = None if run.config.minutes is None else 60.0 * run.config.minutes
    told = (run.folder, task, run.encoding, validate, content)
    keeper = Keeper(*told, watching, most, bar.validated)
    callbacks = [part for part in (watching, bar if sitting.progress else None, keeper) if part is not None]
    with quiet():
        try:
            trainer = _trainer(run, lesson, callbacks, world)
            trainer.fit(lesson)
        except SystemExit:  # Lightning's answer to a second Ctrl-C
            keeper.signalled = True
    if keeper.interrupted or keeper.signalled:
        raise Stopped(f"stopped after step {lesson.standing.step}; to go on: headgate train --resume {run.folder}")


def over(standing: checkpoint.Standing, learning: Learning, task: BenchTask, minutes: float | None) -> bool:
    """Whether there is nothing left to train."""
    spent = minutes is not None and standing.seconds >= 60.0 * minutes and standing.batch == 0
    return spent or standing.epoch >= learning.epochs or has_learned(standing, learning, task)


def start(task: BenchTask, encoding: Encoding, options: Any, layers: Any, seed: int) -> nn.Module:
    """An untrained network that depends on the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return task.network(encoding, options, layers)


@contextmanager
def quiet() -> Iterator[None]:
    """Within it, what NOISE and QUIET name is not said."""
    loggers = [logging.getLogger(name) for name in QUIET]
    before = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            for words in NOISE:
                warnings.filterwarnings("ignore", words)
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


def _watching(run: Run, content: dict[str, Any] | None) -> WatchCallback:
    watching = WatchCallback(needs_lag=run.task.needs_lag(run.encoding))
    if content is not None and "watch" in content["extras"]:
        watching.load_state_dict(content["extras"]["watch"])
    return watching


def _trainer(run: Run, lesson: Lesson, callbacks: list[Any], world: int) -> Trainer:
    learning = run.config.chosen.learning
    several = DDPStrategy(find_unused_parameters=True, timeout=PATIENCE)
    os.environ.setdefault("TENSORBOARD_NO_TF", "1")
    return Trainer(
        accelerator="auto",
        devices=max(1, world // nodes()) if world > 1 else 1,
        num_nodes=nodes() if world > 1 else 1,
        strategy=several if world > 1 else "auto",
        precision="bf16-mixed" if learning.precision == "bf16" else "32-true",
        max_epochs=learning.epochs - lesson.standing.epoch,
        gradient_clip_val=learning.clip or None,
        logger=TensorBoardLogger(run.folder, name="", version=EVENTS),
        callbacks=callbacks,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        limit_val_batches=0,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
    )


def nodes() -> int:
    """Machines that learn together, as torchrun says."""
    return max(1, int(os.environ.get("WORLD_SIZE", 1)) // max(1, int(os.environ.get("LOCAL_WORLD_SIZE", 1))))

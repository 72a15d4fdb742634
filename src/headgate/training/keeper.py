"""What keeps a run: validation, the best weights, a place to go on from, and an end in time."""

from __future__ import annotations

import json
import math
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from safetensors.torch import save
from torch import distributed, nn

from headgate.tasks.bench_task import BenchTask
from headgate.tasks.settings import Learning
from headgate.training import atomic, checkpoint
from headgate.training.bench_run import METRICS, WEIGHTS, whole_lines
from headgate.training.callback import WatchCallback
from headgate.training.lesson import Lesson, Standing, on_cpu

# So many seconds may be lost to a kill within an epoch.
EVERY_S = 60.0


class Keeper(Callback):
    """Keeps a run's folder while it is trained.

    Args:
        folder: of the run.
        task: says which score is better.
        encoding: of the run, for its checkpoint.
        validate: gives a network's metrics on the validation rows.
        content: of the checkpoint that training goes on from, or None.
        watch: whose state is kept too.
        most_s: so many seconds of training, over all sittings, are enough; None for no limit.
        listener: told every validation's line.

    Attributes:
        interrupted: a signal ended training before its time.
        signalled: a signal came, be it at the very end.
    """

    def __init__(
        self,
        folder: Path,
        task: BenchTask,
        encoding: Any,
        validate: Callable[[nn.Module], dict[str, float]],
        content: dict[str, Any] | None = None,
        watch: WatchCallback | None = None,
        most_s: float | None = None,
        listener: Callable[[dict[str, Any]], None] = lambda line: None,
    ) -> None:
        self._folder, self._task, self._encoding, self._validate = folder, task, encoding, validate
        self._content, self._watch, self._most = content, watch, most_s
        self._listener = listener
        self.interrupted = self.signalled = False
        self._saved = self._counted = 0.0
        self._handlers: dict[int, Any] = {}

    # --- what Lightning calls -----------------------------------------------------------------------------------

    def on_fit_start(self, trainer: Trainer, pl_module: Lesson) -> None:
        """Go on from the checkpoint; or let there be a model from the beginning, so that a kill always leaves one."""
        if self._content is not None:
            checkpoint.restore_rest(pl_module, self._content)
            self._content = None
        elif trainer.is_global_zero:
            write_weights(self._folder, pl_module.network)
        if trainer.is_global_zero:
            kept = whole_lines(self._folder / METRICS)[: pl_module.standing.lines]
            atomic.write(self._folder / METRICS, "".join(json.dumps(line) + "\n" for line in kept))
        self._saved = self._counted = time.monotonic()

    def on_train_start(self, trainer: Trainer, pl_module: Lesson) -> None:
        """From here on, Ctrl-C and SIGTERM end training after the step."""
        if threading.current_thread() is threading.main_thread():
            for kind in (signal.SIGINT, signal.SIGTERM):
                self._handlers[kind] = signal.signal(kind, lambda *_: self._asked(pl_module, *_))

    def on_train_batch_end(self, trainer: Trainer, pl_module: Lesson, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Stop if asked to; else a checkpoint now and then."""
        standing = pl_module.standing
        now = time.monotonic()
        standing.seconds += now - self._counted
        self._counted = now
        if pl_module.stopping:
            # Every process learned of it in the same step.
            self.interrupted = self._agreed(trainer, self._most is None or standing.seconds < self._most)
            trainer.should_stop = True
            if self.interrupted:
                self._save(trainer, pl_module)
        elif self._agreed_now_and_then(trainer, pl_module, now - self._saved >= EVERY_S):
            self._save(trainer, pl_module)
        if self._most is not None and trainer.is_global_zero and standing.seconds >= self._most:
            pl_module.asked_to_stop = True  # and so every process will know in the next step

    def on_train_epoch_end(self, trainer: Trainer, pl_module: Lesson) -> None:
        """Validate, keep what is better, end what no longer gets better."""
        if self.interrupted:
            return
        standing = pl_module.standing
        line = self._line(trainer, pl_module)
        score, better = line[self._task.score], self._is_better(line[self._task.score], standing.best)
        standing.bad = 0 if better else standing.bad + 1
        standing.lines += 1
        if better:
            standing.best, standing.best_epoch = score, standing.epoch
        elif pl_module.learning.schedule == "plateau":
            standing.drops += 1
        if trainer.is_global_zero:
            self._write_down(trainer, pl_module, line, better)
        standing.epoch += 1
        standing.batch = standing.looked = standing.clipped = 0
        standing.loss = 0.0
        pl_module.carried = None
        self._save(trainer, pl_module)
        if has_learned(standing, pl_module.learning, self._task):
            trainer.should_stop = True

    def on_train_end(self, trainer: Trainer, pl_module: Lesson) -> None:
        """Signals do again what they did."""
        self._let_go()

    def on_exception(self, trainer: Trainer, pl_module: Lesson, exception: BaseException) -> None:
        """Signals do again what they did."""
        self._let_go()

    # --- how ----------------------------------------------------------------------------------------------------

    def _asked(self, lesson: Lesson, kind: int, frame: FrameType | None) -> None:
        if self.signalled and kind == signal.SIGINT:
            raise KeyboardInterrupt  # asked twice: at once
        self.signalled = lesson.asked_to_stop = True

    def _let_go(self) -> None:
        for kind, handler in self._handlers.items():
            signal.signal(kind, handler)
        self._handlers = {}

    def _agreed(self, trainer: Trainer, own: bool) -> bool:
        """What the first process says."""
        if trainer.world_size == 1:
            return own
        said = [own]
        distributed.broadcast_object_list(said, src=0)
        return said[0]

    def _agreed_now_and_then(self, trainer: Trainer, lesson: Lesson, own: bool) -> bool:
        """As `_agreed`, but asked seldom where asking costs a message."""
        if trainer.world_size == 1:
            return own
        return lesson.standing.step % 50 == 0 and self._agreed(trainer, own)

    def _save(self, trainer: Trainer, lesson: Lesson) -> None:
        extras = {} if self._watch is None else {"watch": on_cpu(self._watch.state_dict())}
        checkpoint.save(lesson, self._folder, self._encoding, extras, trainer.world_size)
        self._saved = time.monotonic()

    def _line(self, trainer: Trainer, lesson: Lesson) -> dict[str, Any]:
        """Metrics as the first process finds them, known to all."""
        found: list[Any] = [None]
        if trainer.is_global_zero:
            try:
                found = [measured(lesson.network, self._validate)]
            except Exception as error:
                found = [error]
        if trainer.world_size > 1:
            distributed.broadcast_object_list(found, src=0)
        if isinstance(found[0], BaseException):
            raise found[0]
        standing = lesson.standing
        return {
            "epoch": standing.epoch + 1,
            "step": standing.step,
            **found[0],
            "train_loss": standing.loss / max(1, standing.looked),
            "clipped": standing.clipped / max(1, standing.looked),
            "rate": lesson.optimizers().param_groups[0]["lr"],
            "seconds": round(standing.seconds, 3),
        }

    def _is_better(self, score: float | None, best: float | None) -> bool:
        if score is None or best is None:
            return best is None
        return self._task.metrics[self._task.score].is_better(score, best)

    def _write_down(self, trainer: Trainer, lesson: Lesson, line: dict[str, Any], better: bool) -> None:
        if better:
            write_weights(self._folder, lesson.network)
        with (self._folder / METRICS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                numbers = {name: v for name, v in line.items() if v is not None and name not in ("step", "seconds")}
                logger.log_metrics(numbers, lesson.standing.step)
                logger.save()
        self._listener(line)


def has_learned(standing: Standing, learning: Learning, task: BenchTask) -> bool:
    """Whether the score no longer gets better, or cannot; a patience of all epochs wants them all."""
    patient = learning.patience >= learning.epochs
    return not patient and (standing.bad >= learning.patience or task.metrics[task.score].is_enough(standing.best))


def measured(network: nn.Module, validate: Callable[[nn.Module], dict[str, float]]) -> dict[str, float | None]:
    """What a network is worth, in evaluation mode; its mode and torch's random state are put back.

    A metric that is no finite number is None, since JSON has no other word for it.
    """
    before = network.training
    network.eval()
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            found = validate(network)
    finally:
        network.train(before)
    return {name: value if math.isfinite(value) else None for name, value in found.items()}


def write_weights(folder: Path, network: nn.Module) -> None:
    """The weights in model.safetensors, whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    atomic.write(folder / WEIGHTS, save(atomic.plain(dict(network.state_dict()))))

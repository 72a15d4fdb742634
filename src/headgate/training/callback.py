"""The watch during training with Lightning."""

from __future__ import annotations

from inspect import signature
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor

from headgate.inspection.film import Film
from headgate.inspection.monitor import Look, Monitor
from headgate.training.tensorboard import write_film, write_look


class WatchCallback(Callback):
    """Watch a LightningModule's recurrent layers learn to remember; see `headgate.Monitor`.

    Looks at the batch's own pass every `every` optimiser steps. Scalars go to every logger; gates on the logit axis and
    the horizon film to TensorBoard. What was seen and said is kept in the checkpoint, and training that is resumed goes
    on from it.

    With gradient accumulation the last batch before the optimiser's step is looked at. On several devices only the
    first looks, at its own share of the batch. Compiled layers call no hook, so nothing is seen of them, and the log
    says so once.

    Args:
        watching, settings: every, rows, needs_lag, and chance, tbptt, budget, limits, in_a_row by keyword; as in
            `Monitor`.
        histograms_every: looks from histogram to histogram.

    Attributes:
        monitor: what was seen and said; None before `fit`.

    Example:
        trainer = Trainer(callbacks=[WatchCallback(needs_lag=90, chance=0.167)])
    """

    def __init__(self, *watching: Any, histograms_every: int = 10, **settings: Any) -> None:
        if not isinstance(histograms_every, int) or histograms_every < 1:
            raise ValueError(
                f"WatchCallback: histograms_every={histograms_every!r}, but a whole number of at least 1 is needed."
            )
        # What Monitor does not take is refused now, and not when training begins.
        self._settings = signature(Monitor).bind(None, *watching, **settings).arguments
        del self._settings["model"]
        self._histograms_every = histograms_every
        self.monitor: Monitor | None = None
        self._restored: dict[str, Any] = {}
        self._open: Any = None
        self._look: Look | None = None

    # --- what Lightning calls -----------------------------------------------------------------------------------

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The model is there and a checkpoint, if any, was read."""
        if self.monitor is None or self.monitor.model is not pl_module:
            self.monitor = Monitor(pl_module, **self._settings)
        if self._restored:
            self.monitor.load_state_dict(self._restored)
            self._restored = {}

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """What was said may be said again."""
        self._give_up()
        self.monitor.start_epoch()

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Hooks on, if this batch is looked at."""
        self._give_up()
        steps_now = (batch_idx + 1) % trainer.accumulate_grad_batches == 0 or trainer.is_last_batch
        if trainer.is_global_zero and steps_now:
            context = self.monitor.step(trainer.global_step)
            look = context.__enter__()
            if look:
                self._open, self._look = context, look

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Any) -> None:
        """The gradient is whole and unscaled, and not yet clipped."""
        if self._look is not None:
            gradients = [p.grad for p in pl_module.parameters() if p.grad is not None]
            by_norm = trainer.gradient_clip_algorithm in (None, "norm")
            clip = trainer.gradient_clip_val if by_norm else None
            self._look.report(norm=torch.nn.utils.get_total_norm(gradients), clip=clip or None)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Measure what was seen, hooks off, and log it."""
        if self._open is None:
            return
        context, look = self._open, self._look
        self._open = self._look = None
        loss = outputs.get("loss") if isinstance(outputs, dict) else outputs
        if isinstance(loss, Tensor) and loss.numel() == 1:
            look.report(loss=loss)
        context.__exit__(None, None, None)
        self._log(trainer, look)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The film so far."""
        self._give_up()
        if trainer.is_global_zero and self.monitor.film:
            warned: dict[str, list[int]] = {}
            for alarm in self.monitor.warnings:
                for name in [alarm.layer] if alarm.layer else self.monitor.film.names():
                    warned.setdefault(name, []).append(alarm.step)
            for logger in trainer.loggers:
                if isinstance(logger, TensorBoardLogger):
                    write_film(logger.experiment, self.monitor.film, trainer.global_step, warned)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Hooks off, whatever happened."""
        self._give_up()

    def state_dict(self) -> dict[str, Any]:
        """For the checkpoint."""
        return self.monitor.state_dict() if self.monitor is not None else dict(self._restored)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """From the checkpoint; the model is not yet there."""
        self._restored = state_dict

    # --- what was seen ------------------------------------------------------------------------------------------

    @property
    def film(self) -> Film:
        """Lag profiles over training."""
        return self.monitor.film

    def _give_up(self) -> None:
        """A batch that began and did not end, since it was skipped or failed, leaves no hook and no look behind."""
        if self._open is not None:
            self._open.abandon()
            self._open = self._look = None

    def _log(self, trainer: Trainer, look: Look) -> None:
        histograms = (len(self.monitor.history) - 1) % self._histograms_every == 0
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                write_look(logger.experiment, look, histograms)
            else:
                logger.log_metrics(look.scalars, step=look.step)

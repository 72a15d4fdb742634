"""Progress of training on a terminal: how far, how long still, the loss, the score; nothing where there is none."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Callback, Trainer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from headgate.tasks.bench_task import BenchTask
from headgate.training.lesson import Lesson

# Steps from one drawing to the next, at least; the bar itself draws ten times a second at most.
EVERY = 5


class Bar(Callback):
    """A bar over all steps of all epochs; early stopping may end it sooner.

    Args:
        task: names the score.
        console: where; stderr by default, so that results on stdout stay clean.
    """

    def __init__(self, task: BenchTask, console: Console | None = None) -> None:
        self._task, self._console = task, console or Console(stderr=True)
        self._bars: Progress | None = None
        self._note = ""

    def on_train_start(self, trainer: Trainer, pl_module: Lesson) -> None:
        """Draw it, on the first process."""
        if not (trainer.is_global_zero and self._console.is_terminal):
            return
        self._bars = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(bar_width=30),
            TextColumn("{task.percentage:3.0f} %"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", style="dim"),
            console=self._console,
            transient=True,
        )
        standing = pl_module.standing
        self._line = self._bars.add_task(
            "", total=pl_module.steps, completed=standing.step, epoch=standing.epoch + 1, note=""
        )
        self._bars.start()

    def on_train_batch_end(self, trainer: Trainer, pl_module: Lesson, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Move it on."""
        standing = pl_module.standing
        if self._bars is not None and standing.step % EVERY == 0:
            note = f"loss {pl_module.last_loss:.4g}{self._note}"
            self._bars.update(self._line, completed=standing.step, epoch=standing.epoch + 1, note=note)

    def validated(self, line: dict[str, Any]) -> None:
        """Told every validation."""
        if self._bars is not None:
            score = line[self._task.score]
            self._note = f", {self._task.score} {'none' if score is None else format(score, '.4g')}"
            self._bars.update(self._line, completed=line["step"])

    def on_fit_end(self, trainer: Trainer, pl_module: Lesson) -> None:
        """Clear it."""
        self._stop()

    def on_exception(self, trainer: Trainer, pl_module: Lesson, exception: BaseException) -> None:
        """Clear it, whatever happened."""
        self._stop()

    def _stop(self) -> None:
        if self._bars is not None:
            self._bars.stop()
            self._bars = None

"""Progress of trials on the terminal: one line a worker and one for all; plain lines where there is no terminal."""

from __future__ import annotations

import math
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from headgate.training.trial import Trial


class TrialProgress:
    """Listens to `workers.run_all`.

    Args:
        trials: how many there are.
        console: where to show them; stderr, so that results on stdout stay clean.
    """

    def __init__(self, trials: int, console: Console) -> None:
        self._console, self._done, self._trials = console, 0, trials
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}", style="dim"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._all = self._bars.add_task("all runs", total=trials, note="")
        self._lines: dict[int, int] = {}

    def __enter__(self) -> TrialProgress:
        self._bars.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bars.stop()

    def __call__(self, worker: int, trial: Trial, step: int, loss: float) -> None:
        """Told a worker's number, its trial, the step (0 as it starts, -1 when it is done) and the loss."""
        if worker not in self._lines:
            self._lines[worker] = self._bars.add_task("", total=trial.recipe.steps, note="")
        if step < 0:
            self._done += 1
            self._bars.update(self._all, completed=self._done)
            if not self._console.is_terminal:
                who = f"{trial.task}, {trial.label}, seed {trial.seed}"
                self._console.print(Text(f"{self._done} of {self._trials}: {who}, loss {loss:.2g}"))
            return
        description = Text(f"{trial.task}, {trial.label}, seed {trial.seed}").markup
        note = "starting" if math.isnan(loss) else f"loss {loss:.2g}"
        self._bars.update(
            self._lines[worker], total=trial.recipe.steps, completed=step, description=description, note=note
        )

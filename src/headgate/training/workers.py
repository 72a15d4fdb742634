"""Trials on several processes, each with one torch thread; a trial seeds itself, so their number changes nothing.

The parent needs no torch. Workers are told trials one at a time over a pipe and talk back over it; if the parent dies,
the pipe closes and they end.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any

from headgate.training.starting import Pool, end, start
from headgate.training.trial import Trial

Listener = Callable[[int, Trial, int, float], None]
REPORT_EVERY = 10


class WorkerDied(RuntimeError):
    """A worker process ended without an answer: killed, or out of memory."""


class TrialFailed(RuntimeError):
    """A trial raised; the message is one sentence."""


def run_all(
    trials: Sequence[Trial],
    workers: int,
    listener: Listener = lambda worker, trial, step, loss: None,
) -> list[Any]:
    """Run trials and return their outcomes (`experiment.Outcome`), in the order of the trials.

    Args:
        trials: started in this order, so put the long ones first.
        workers: processes at once.
        listener: told a worker's number, its trial, a step (0 as it starts, -1 when it is done) and the loss.

    Raises:
        TrialFailed, WorkerDied: see there. All processes have ended by then, as they have on Ctrl-C.
    """
    pool: Pool = []
    outcomes: list[Any] = [None] * len(trials)
    waiting = list(enumerate(trials))[::-1]
    at_work: dict[Connection, int] = {}
    try:
        start(pool, _work, [()] * min(workers, len(trials)), daemon=True)
        for number, (_, pipe) in enumerate(pool):
            _hand_out(pipe, waiting, at_work, number, listener)
        numbers = {pipe: number for number, (_, pipe) in enumerate(pool)}
        while at_work:
            for pipe in wait(list(at_work)):
                trial = trials[at_work[pipe]]
                kind, content = _receive(pipe, trial)
                if kind == "step":
                    listener(numbers[pipe], trial, *content)
                elif kind == "failed":
                    raise TrialFailed(f"{trial.task}, {trial.label}, seed {trial.seed}: {content}")
                else:
                    outcomes[at_work.pop(pipe)] = content
                    listener(numbers[pipe], trial, -1, content.facts["loss"][-1])
                    _hand_out(pipe, waiting, at_work, numbers[pipe], listener)
        return outcomes
    finally:
        end(pool)


def _hand_out(pipe: Connection, waiting: list, at_work: dict[Connection, int], number: int, listener: Listener) -> None:
    if waiting:
        index, trial = waiting.pop()
        pipe.send(trial)
        at_work[pipe] = index
        listener(number, trial, 0, float("nan"))


def _receive(pipe: Connection, trial: Trial) -> tuple[str, Any]:
    try:
        return pipe.recv()
    except (EOFError, ConnectionError):
        raise WorkerDied(
            f"the process that ran {trial.task}, {trial.label}, seed {trial.seed} ended without an answer; it was "
            "killed, or memory ran out."
        ) from None


def _work(pipe: Connection) -> None:
    """A worker's life: torch is imported here, and only here."""
    torch = importlib.import_module("torch")
    torch.set_num_threads(1)
    run = importlib.import_module("headgate.training.experiment").run

    def listener(step: int, loss: float) -> None:
        if step % REPORT_EVERY == 0:
            pipe.send(("step", (step, loss)))

    try:
        while True:
            trial = pipe.recv()
            try:
                answer = "done", run(trial, listener)
            except (ConnectionError, EOFError):
                raise
            except Exception as error:
                answer = "failed", f"{type(error).__name__}: {error}"
            pipe.send(answer)
    except (ConnectionError, EOFError):
        return

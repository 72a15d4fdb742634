"""One trial: one task, one cell, one seed; trained, judged on sequences it has not seen, and measured."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch

from headgate import cells, engines, tasks
from headgate.cells import Cell
from headgate.engines import Request
from headgate.inspection import Record, watch
from headgate.tasks import Batch, Task
from headgate.training.loop import evaluate, train
from headgate.training.matching import count_parameters, matched_hidden_size
from headgate.training.model_folder import ModelFolder
from headgate.training.network import LAYER, Network, seeded_network
from headgate.training.recipe import Recipe
from headgate.training.trial import Trial

PROBE_ROWS = 48
FILM_ROWS = 8
FILM_FRAMES = 10


@dataclass(frozen=True)
class Outcome:
    """What a trial leaves behind.

    Attributes:
        task: what the task asks, how it is judged, how it was trained. JSON types only, as in all facts.
        machine: what it ran on.
        facts: sizes, scores, seconds, the loss of every step, the film of gradients.
        records: measurements of the layer "default" (as torch.nn would start it), "before" and "after" training.
        model: as it was after training.
    """

    task: dict[str, Any]
    machine: dict[str, Any]
    facts: dict[str, Any]
    records: dict[str, Record]
    model: ModelFolder


def run(trial: Trial, listener: Callable[[int, float], None] = lambda step, loss: None) -> Outcome:
    """Run a trial; the outcome (seconds aside) depends on the trial alone.

    Args:
        trial: what to run.
        listener: told the step, counted from 1, and its loss.

    Raises:
        FloatingPointError: the loss is not a finite number before any training.
    """
    task, recipe = tasks.get(trial.task), trial.recipe
    cell = cells.load(trial.cell) if trial.own else cells.get(trial.cell)
    hidden_size = matched_hidden_size(cell, task.input_size, task.output_size, recipe.budget)
    sizes = (cell, task.input_size, hidden_size, task.output_size, task.reads)
    start = starting_weights(cell, recipe.longest)
    network = seeded_network(trial.seed, *sizes, **start)
    probe = _first_rows(task.held_out(trial.split), PROBE_ROWS)
    records = {
        "default": measure(seeded_network(trial.seed, *sizes), task, probe),
        "before": measure(network, task, probe),
    }
    film = Film(network, task, _first_rows(probe, FILM_ROWS), recipe.steps)

    def after_step(step: int, loss: float) -> None:
        film.after_step(step)
        listener(step, loss)

    began = time.perf_counter()
    losses = train(
        network,
        task,
        task.batches(trial.seed, recipe.batch),
        steps=recipe.steps,
        rate=lambda step: recipe.rate_at(cell, step),
        clip=recipe.clip,
        listener=after_step,
    )
    seconds = time.perf_counter() - began - film.seconds
    measured = evaluate(network, task, trial.split)
    records["after"] = measure(network, task, probe)
    facts = {
        "task": trial.task,
        "cell": trial.key,
        "seed": trial.seed,
        "hidden_size": hidden_size,
        "parameters": count_parameters(cell, task.input_size, hidden_size, task.output_size),
        "start": start,
        "rate": recipe.rate(cell),
        "measured": measured,
        "score": measured[task.score],
        "diverged": len(losses) < recipe.steps,
        "solved": all(map(math.isfinite, measured.values())) and task.solved(measured),
        "seconds": seconds,
        "loss": losses,
        "film": film.facts(),
        "engine": _engine(network),
    }
    machine = {"torch": torch.__version__, "threads": torch.get_num_threads()}
    model = ModelFolder(trial.task, trial.cell, hidden_size, trial.seed, len(losses), dict(network.state_dict()))
    return Outcome(_about(task, recipe), machine, facts, records, model)


def starting_weights(cell: Cell, longest: int) -> dict[str, object]:
    """The start every cell gets: orthogonal recurrent blocks, and chrono timescales where a gate keeps."""
    return {"orthogonal": True, "chrono": longest if cell.timescale else None}


def measure(network: Network, task: Task, probe: Batch) -> Record:
    """Watch the layer over a probe, whose loss is read at the last step."""
    return _watched(network, task, probe).record(sources=1, content=False)


class Film:
    """The gradient that reaches the first step, relative to the last, at moments of training, early ones closer."""

    def __init__(self, network: Network, task: Task, probe: Batch, steps: int) -> None:
        self._network, self._task, self._probe = network, task, probe
        self._moments = {round(steps * (k / FILM_FRAMES) ** 2) for k in range(1, FILM_FRAMES + 1)}
        self._steps: list[int] = []
        self._reached: list[float] = []
        self._over = False
        self.seconds = 0.0
        self._take(0)

    def after_step(self, step: int) -> None:
        """Take a frame if this is one of the moments; none more once the network's output is no longer finite."""
        if step in self._moments and not self._over:
            self._take(step)

    def facts(self) -> dict[str, list]:
        """Steps and median relative gradients, of equal length."""
        return {"steps": self._steps, "first_step": self._reached}

    def _take(self, step: int) -> None:
        began = time.perf_counter()
        try:
            profile = _watched(self._network, self._task, self._probe).lag_profile((0.5,))
        except RuntimeError:
            self._over = True  # the loop will find the loss not finite, and put the weights back
        else:
            self._steps.append(step)
            self._reached.append(float(profile[0, -1]))
        self.seconds += time.perf_counter() - began


def _watched(network: Network, task: Task, probe: Batch):
    held = [p.grad for p in network.parameters()]
    network.zero_grad(set_to_none=True)
    with watch(network) as seen:
        task.loss(network(probe.input), probe.target).backward()
    for parameter, gradient in zip(network.parameters(), held, strict=True):
        parameter.grad = gradient
    return seen[LAYER]


def _about(task: Task, recipe: Recipe) -> dict[str, Any]:
    words = "name title phrase question source length score score_words rule baseline_words"
    return {
        **{word: getattr(task, word) for word in words.split()},
        "baseline": task.baseline(),
        "held_out": int(task.held_out().input.shape[1]),
        "recipe": asdict(recipe),
    }


def _engine(network: Network) -> str:
    weight = network.rnn.weight_ih_l0
    return engines.choose(Request(network.rnn.cell, weight.device, weight.dtype), network.rnn.engine)


def _first_rows(batch: Batch, rows: int) -> Batch:
    return Batch(batch.input[:, :rows], batch.target[:, :rows])

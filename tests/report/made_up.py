"""Run folders made up from numbers, so that what a page says can be set against what it was given."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from headgate.inspection import Record
from headgate.report.summary import Summary, summarise
from headgate.training.run_folder import RunFolder

STEPS, LENGTH = 40, 30
CELLS = {
    "rnn": {"label": "RNN", "gates": [], "keeps": None, "memory": "h"},
    "gru": {"label": "GRU", "gates": ["r", "z"], "keeps": "z", "memory": "h"},
    "lstm": {"label": "LSTM", "gates": ["i", "f", "g"], "keeps": "f", "memory": "c"},
}


@dataclass
class Made:
    """What each cell got on each of two tasks.

    Attributes:
        solved: seeds solved of three, by (task, cell); 3 where nothing is said.
        reached: gradient at the first step by (task, cell, moment); 0.5 where nothing is said.
        highway: the highway's share there likewise; 0.4.
        scores: mean score by (task, cell); 0.97 if solved, else 0.1.
        cells, tasks: facts that replace the usual ones.
        diverged: (task, cell) whose first seed stopped half-way.
    """

    solved: dict[tuple[str, str], int] = field(default_factory=dict)
    reached: dict[tuple[str, str, str], float] = field(default_factory=dict)
    highway: dict[tuple[str, str, str], float] = field(default_factory=dict)
    scores: dict[tuple[str, str], float] = field(default_factory=dict)
    cells: dict[str, dict[str, Any]] = field(default_factory=dict)
    tasks: dict[str, dict[str, Any]] = field(default_factory=dict)
    diverged: tuple[tuple[str, str], ...] = ()

    def run(self) -> RunFolder:
        cells = [self._cell(key) for key in {**CELLS, **self.cells}]
        tasks = [self._task(name) for name in ("adding", "digits")]
        trials, records = [], {}
        for task in tasks:
            for cell in cells:
                for seed in range(3):
                    trial = self._trial(task["name"], cell["key"], seed)
                    trials.append(trial)
                    for moment in ("default", "before", "after"):
                        records[trial["record"], moment] = self._record(task["name"], cell, moment, seed)
        machine = {"torch": "2.0", "threads": 1, "system": "Linux", "processor": "x86_64"}
        results = {"version": "0", "command": "headgate demo", "expected": "lstm", "machine": machine}
        return RunFolder({**results, "tasks": tasks, "cells": cells, "trials": trials}, records)

    def summary(self) -> Summary:
        return summarise(self.run())

    def _cell(self, key: str) -> dict[str, Any]:
        usual = {
            "key": key,
            "name": key,
            "paper": "A paper.",
            "equations": [r"h_t = \tanh\left(a\right)"],
            "where": "headgate",
        }
        return {**usual, **CELLS.get(key, CELLS["gru"]), **self.cells.get(key, {})}

    def _task(self, name: str) -> dict[str, Any]:
        phrase = "the adding problem" if name == "adding" else "the digits"
        usual = {
            "name": name,
            "title": "Adding problem" if name == "adding" else "Digits",
            "phrase": phrase,
            "question": "What?",
            "source": "A source",
            "length": LENGTH + (1 if name == "adding" else 0),
            "score": "correct",
            "score_words": "answers",
            "rule": "a rule",
            "baseline_words": "guessing",
            "baseline": {"correct": 0.1, "loss": 1.0},
            "held_out": 100,
            "recipe": {"steps": STEPS, "batch": 8, "longest": 30},
        }
        return {**usual, **self.tasks.get(name, {})}

    def _trial(self, task: str, cell: str, seed: int) -> dict[str, Any]:
        solved = seed < self.solved.get((task, cell), 3)
        stopped = (task, cell) in self.diverged and seed == 0
        losses = list(np.exp(-np.arange(STEPS // 2 if stopped else STEPS) / 10 + 0.1 * seed))
        return {
            "task": task,
            "cell": cell,
            "seed": seed,
            "record": f"{task}/{cell}/{seed}",
            "hidden_size": 9,
            "parameters": 1234,
            "start": {"orthogonal": True, "chrono": 30},
            "rate": 0.01,
            "score": self.scores.get((task, cell), 0.97 if solved else 0.1),
            "solved": solved,
            "diverged": stopped,
            "seconds": 2.5,
            "engine": "stock",
            "loss": [float(v) for v in losses],
            "film": {
                "steps": [0, 10] if stopped else [0, 10, STEPS],
                "first_step": [0.1, 0.2] if stopped else [0.1, 0.2, 0.3],
            },
        }

    def _record(self, task: str, cell: dict[str, Any], moment: str, seed: int) -> Record:
        key = (task, cell["key"], moment)
        length = LENGTH + (1 if task == "adding" else 0)
        middle = self.reached.get(key, 0.5) ** (np.arange(length) / (length - 1))
        share = 1 - (1 - self.highway.get(key, 0.4)) * np.arange(length) / (length - 1)
        rng = np.random.default_rng(seed)
        profile = np.stack([0.5 * middle, middle, 2 * middle])
        profile = np.log10(profile, out=np.full_like(profile, np.nan), where=profile > 0)
        arrays = {"lag_profile": profile, "highway_share": share if cell["gates"] else 0 * share}
        if cell["gates"]:
            arrays["gate_values"] = np.stack([_gate(rng, name, length).ravel() for name in cell["gates"]])
        return Record("rnn", {"cell": cell["name"], "gates": cell["gates"]}, arrays)


def _gate(rng: np.random.Generator, name: str, length: int) -> np.ndarray:
    values = rng.normal(size=(length, 2, 9)).astype(np.float32)
    return np.tanh(values) if name == "g" else 1 / (1 + np.exp(-values))


VANISHING = {
    **{("adding", cell, "default"): 1e-20 for cell in CELLS},
    ("adding", "rnn", "before"): 1e-4,
    ("adding", "rnn", "after"): 1e-5,
    ("adding", "lstm", "after"): 1.7,
}


def usual() -> Made:
    """What the demo finds: the plain network fails on the first task, for want of gradient."""
    return Made(solved={("adding", "rnn"): 0}, reached=VANISHING, highway={("adding", "lstm", "before"): 0.8})

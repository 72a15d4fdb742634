"""A comparison: which cells, on which tasks, with which seeds; planned without torch and gathered into a run folder."""

from __future__ import annotations

import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headgate import cells
from headgate.cells import Cell
from headgate.graph import equations, trace
from headgate.training.recipe import RECIPES, Recipe
from headgate.training.run_folder import RunFolder
from headgate.training.trial import Trial

BUILT_IN = {"rnn": "RNN", "gru": "GRU", "lstm": "LSTM"}
EXPECTED = "lstm"
SEEDS = 2
# A step in torch's kernels costs the GRU most and the LSTM least; cells that torch has no kernel for cost more still.
# Long trials start first, so that no worker is left alone with one at the end.
_CHEAPEST_FIRST = ("lstm", "rnn", "gru")


@dataclass(frozen=True)
class Contestant:
    """A cell that takes part.

    Attributes:
        key: short, unique, fit for a folder's name.
        label: what tables and pages call it.
        where: a name of the catalogue, or FILE.py:Class.
        cell: its equations.
    """

    key: str
    label: str
    where: str
    cell: Cell

    def facts(self) -> dict[str, Any]:
        """What a report says about the cell. JSON types only."""
        documentation = (type(self.cell).__doc__ or "").strip()
        return {
            "key": self.key,
            "label": self.label,
            "name": self.cell.name,
            "paper": documentation.splitlines()[0] if documentation else "",
            "equations": equations(self.cell),
            "gates": list(trace(self.cell).gates),
            "keeps": next(iter(self.cell.timescale), None),
            "memory": self.cell.memory,
            "where": "headgate" if ":" not in self.where else self.where,
        }


def contestants(more: Sequence[str] = ()) -> list[Contestant]:
    """The three classical cells, and more by name or as FILE.py:Class.

    Raises:
        KeyError, ValueError, TypeError, OSError: no such cell, see `cells.get` and `cells.load`.
        Exception: whatever a user's file raises when it is imported or its step is traced.
    """
    found = [Contestant(name, label, name, cells.get(name)) for name, label in BUILT_IN.items()]
    for where in more:
        cell = cells.load(where) if ":" in where else cells.get(where)
        trace(cell)
        if any(other.where == where for other in found):
            raise ValueError(f"the cell {where!r} takes part already; name each once.")
        base = re.sub(r"[^A-Za-z0-9]+", "_", where.rpartition(":")[2]).strip("_").lower() or "cell"
        key, label = _unique(base, {c.key for c in found}), _unique(cell.name, {c.label for c in found})
        found.append(Contestant(key, label, where, cell))
    return found


def plan(
    participants: Sequence[Contestant], seed: int, seeds: int = SEEDS, recipes: Mapping[str, Recipe] = RECIPES
) -> list[Trial]:
    """All trials, those expected to be long first."""

    def order(trial: Trial) -> int:
        return _CHEAPEST_FIRST.index(trial.cell) if trial.cell in _CHEAPEST_FIRST else len(_CHEAPEST_FIRST)

    trials = [
        Trial(task, each.where, each.key, each.label, seed + k, recipe)
        for task, recipe in recipes.items()
        for each in participants
        for k in range(seeds)
    ]
    return sorted(trials, key=order, reverse=True)


def gather(
    participants: Sequence[Contestant], trials: Sequence[Trial], outcomes: Sequence[Any], version: str, command: str
) -> RunFolder:
    """Outcomes (`experiment.Outcome`) as a run folder's content, in an order that does not tell who ran first."""
    tasks: dict[str, dict[str, Any]] = {}
    facts, records, models = [], {}, {}
    keys = [each.key for each in participants]

    def order(pair: tuple[Trial, Any]) -> tuple[str, int, int]:
        trial, _ = pair
        return trial.task, keys.index(trial.key), trial.seed

    for trial, outcome in sorted(zip(trials, outcomes, strict=True), key=order):
        record = f"{trial.task}/{trial.key}/{trial.seed}"
        tasks.setdefault(trial.task, outcome.task)
        facts.append({**outcome.facts, "record": record})
        records |= {(record, moment): measured for moment, measured in outcome.records.items()}
        models[record] = outcome.model
    results = {
        "version": version,
        "command": command,
        "expected": EXPECTED,
        "tasks": list(tasks.values()),
        "cells": [each.facts() for each in participants],
        "trials": facts,
        "machine": {**outcomes[0].machine, "processor": platform.machine(), "system": platform.system()},
    }
    return RunFolder(results, records, models)


def _unique(name: str, taken: set[str]) -> str:
    if name not in taken:
        return name
    return next(f"{name}_{k}" for k in range(2, len(taken) + 3) if f"{name}_{k}" not in taken)

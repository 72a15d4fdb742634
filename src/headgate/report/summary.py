"""The numbers of a run, gathered over seeds, a row for each task and cell; all that is shown comes from here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from headgate.inspection.record import Record
from headgate.training.run_folder import RunFolder

MEDIAN = 1


@dataclass(frozen=True)
class Profile:
    """Relative gradient by lag, over seeds; [T] each.

    Attributes:
        low, high: the lowest 10 % and the highest 90 % quantile over sequences that any seed has.
        middle: the median over seeds of the median over sequences.
        highway: the median over seeds of the highway's share.
    """

    low: np.ndarray
    middle: np.ndarray
    high: np.ndarray
    highway: np.ndarray


@dataclass(frozen=True)
class Row:
    """One cell on one task, over seeds.

    Attributes:
        task, cell: their facts, as in the results.
        style: CSS class of the cell's hue.
        trials: facts of each seed's trial.
        records: by moment, one a seed.
    """

    task: dict[str, Any]
    cell: dict[str, Any]
    style: str
    trials: list[dict[str, Any]]
    records: dict[str, list[Record]]

    @property
    def label(self) -> str:
        return self.cell["label"]

    @property
    def scores(self) -> list[float]:
        return [trial["score"] for trial in self.trials]

    @property
    def score(self) -> float:
        """Mean over seeds."""
        return float(np.mean(self.scores))

    @property
    def baseline(self) -> float:
        return self.task["baseline"][self.task["score"]]

    @property
    def solved(self) -> int:
        """On how many seeds."""
        return sum(trial["solved"] for trial in self.trials)

    @property
    def always(self) -> bool:
        """Solved on every seed."""
        return self.solved == len(self.trials)

    @property
    def diverged(self) -> int:
        """On how many seeds the loss stopped being a finite number."""
        return sum(trial["diverged"] for trial in self.trials)

    def losses(self) -> np.ndarray:
        """Training loss of every seed and step, [seeds, steps]; NaN after a seed has diverged."""
        found = np.full((len(self.trials), self.task["recipe"]["steps"]), np.nan)
        for row, trial in zip(found, self.trials, strict=True):
            row[: len(trial["loss"])] = trial["loss"]
        return found

    def film(self) -> tuple[np.ndarray, np.ndarray]:
        """Steps, [N], and the gradient that reached the first step then, [seeds, N]; NaN after a seed has diverged."""
        steps = max((trial["film"]["steps"] for trial in self.trials), key=len)
        found = np.full((len(self.trials), len(steps)), np.nan)
        for row, trial in zip(found, self.trials, strict=True):
            row[: len(trial["film"]["first_step"])] = trial["film"]["first_step"]
        return np.array(steps, dtype=float), found

    @property
    def seconds(self) -> float:
        """Training time of a seed, mean."""
        return float(np.mean([trial["seconds"] for trial in self.trials]))

    @property
    def parameters(self) -> int:
        return self.trials[0]["parameters"]

    @property
    def hidden_size(self) -> int:
        return self.trials[0]["hidden_size"]

    @cached_property
    def profiles(self) -> dict[str, Profile]:
        """By moment."""
        return {moment: _profile(records) for moment, records in self.records.items()}

    def reached(self, moment: str) -> float:
        """Gradient that reaches the first step, relative to the last: median over seeds of the median."""
        return float(self.profiles[moment].middle[-1])

    def highway(self, moment: str) -> float:
        """The highway's share of what reaches the first step, median over seeds."""
        return float(self.profiles[moment].highway[-1])

    def gate(self, name: str, moment: str) -> np.ndarray:
        """Values of a gate, evenly taken from all steps, units and rows of every seed, flat."""
        records = self.records[moment]
        return np.concatenate([r.arrays["gate_values"][r.facts["gates"].index(name)] for r in records])

    def longest_timescale(self, moment: str) -> float | None:
        """Steps that the longest-lived unit keeps its memory, median over seeds; None without a keeping gate."""
        found = [record.arrays["timescales"] for record in self.records[moment] if "timescales" in record.arrays]
        return float(np.median([np.nanmax(values) for values in found])) if found else None


@dataclass(frozen=True)
class Summary:
    """All rows, by task and then by cell, in the order of the results."""

    results: dict[str, Any]
    rows: list[Row]

    def of_task(self, name: str) -> list[Row]:
        return [row for row in self.rows if row.task["name"] == name]

    def by_task(self) -> Iterator[tuple[dict[str, Any], list[Row]]]:
        for task in self.results["tasks"]:
            yield task, self.of_task(task["name"])

    @property
    def expected(self) -> list[Row]:
        """Rows that must be solved for the run to show what it is there to show: the LSTM's."""
        return [row for row in self.rows if row.cell["key"] == self.results["expected"]]

    @property
    def as_expected(self) -> bool:
        return all(row.always for row in self.expected)


def summarise(run: RunFolder) -> Summary:
    """Gather a run's trials and records into rows."""
    rows = []
    for task in run.results["tasks"]:
        for number, cell in enumerate(run.results["cells"]):
            trials = [t for t in run.results["trials"] if (t["task"], t["cell"]) == (task["name"], cell["key"])]
            if trials:
                moments = {moment for _, moment in run.records}
                records = {m: [run.records[t["record"], m] for t in trials] for m in sorted(moments)}
                rows.append(Row(task, cell, f"s{number}", trials, records))
    return Summary(run.results, rows)


def _profile(records: list[Record]) -> Profile:
    # All sequences of a task are equally long, so what is not there at a lag has faded for good.
    profiles = np.nan_to_num(10.0 ** np.stack([record.arrays["lag_profile"] for record in records]))  # [seeds, 3, T]
    shares = np.stack([record.arrays["highway_share"] for record in records])  # [seeds, T]
    return Profile(
        low=profiles[:, 0].min(0),
        middle=np.median(profiles[:, MEDIAN], axis=0),
        high=profiles[:, -1].max(0),
        highway=np.median(shares, axis=0),
    )

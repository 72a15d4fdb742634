"""Warnings during training: what the rules say of a look, and when it is said aloud.

One look is four sequences of one batch, so nothing is said of what is not there again at the next look; and what was
said is not said again in the same epoch.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch

from headgate.inspection import gate_rules, rules
from headgate.inspection.glance import Glance
from headgate.inspection.thresholds import DEFAULTS, Thresholds, Verdict

# Notes that are worth a word while there is time to act, and how many times as many looks they have to hold: a gate
# that its start has put at one end needs some steps to come away. Other notes wait for the report.
NOTES_TOLD = {"CONSTANT": 3}


@dataclass(frozen=True)
class Need:
    """What the user said of the task.

    Attributes:
        lag: how many steps back it reaches; None: unknown.
        chance: loss of the best answer that needs no memory; None: unknown.
        tbptt: steps after which the gradient is cut; None: it is not.
    """

    lag: int | None = None
    chance: float | None = None
    tbptt: int | None = None


@dataclass(frozen=True)
class Alarm:
    """A verdict that held at several looks in a row.

    Attributes:
        step: of training, at the last of them.
        layer: and direction; empty for the whole model.
        verdict: with its number, rule and source.
    """

    step: int
    layer: str
    verdict: Verdict

    def as_facts(self) -> dict[str, Any]:
        """As it stands in a Record's facts."""
        return {"step": self.step, "layer": self.layer, **self.verdict.as_facts()}

    @classmethod
    def from_facts(cls, facts: dict[str, Any]) -> Alarm:
        """Back from `as_facts`."""
        words = dict(facts)
        return cls(words.pop("step"), words.pop("layer"), Verdict(**words))

    def __str__(self) -> str:
        where = f"step {self.step}, {self.layer}" if self.layer else f"step {self.step}"
        said = self.verdict
        return f"{where}: {said.name}: {said.text} [{said.number}; rule: {said.rule}; source: {said.source}]"


class Alarms:
    """Which verdicts held how often in a row.

    Args:
        in_a_row: looks at which a verdict must hold before it is told; a note of NOTES_TOLD longer.
    """

    def __init__(self, in_a_row: int = 2) -> None:
        self.in_a_row = in_a_row
        # By layer, verdict, and what it is about.
        self._streaks: dict[tuple[str, str, str], int] = {}
        self._told: set[tuple[str, str, str]] = set()

    def hear(self, step: int, layer: str, verdicts: Iterable[Verdict]) -> list[Alarm]:
        """Take what one look says of a layer; returns what is to be told."""
        now = {(layer, v.name, v.about): v for v in verdicts if _worth_telling(v)}
        for key in [key for key in self._streaks if key[0] == layer and key not in now]:
            del self._streaks[key]
        found = []
        for key, verdict in now.items():
            self._streaks[key] = self._streaks.get(key, 0) + 1
            enough = self.in_a_row * NOTES_TOLD.get(verdict.name, 1)
            if self._streaks[key] >= enough and key not in self._told:
                self._told.add(key)
                found.append(Alarm(step, layer, verdict))
        return found

    def start_epoch(self) -> None:
        """What was told may be told again, if it still holds."""
        self._told.clear()

    def state_dict(self) -> dict[str, Any]:
        """Everything, in types that a checkpoint can hold without running code."""
        return {"streaks": [[*key, n] for key, n in self._streaks.items()], "told": [list(key) for key in self._told]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a `state_dict`."""
        self._streaks = {tuple(key): n for *key, n in state["streaks"]}
        self._told = {tuple(key) for key in state["told"]}


def verdicts_on(glance: Glance, need: Need, loss: float | None = None, limits: Thresholds = DEFAULTS) -> list[Verdict]:
    """What the rules say of a layer and direction at one look.

    Args:
        glance: its numbers.
        need: what the user said of the task.
        loss: of the batch, in the unit of `need.chance`; None: unknown.
    """
    dtype = str(glance.dtype).removeprefix("torch.")
    floor = math.log10(torch.finfo(glance.dtype).smallest_normal)
    there = [k for k, value in enumerate(glance.profile) if not math.isnan(value)]
    peak = max(there, key=lambda k: glance.profile[k], default=None)
    growth = {} if peak is None else {"growth": float(glance.profile[peak]), "at_lag": int(glance.lags[peak])}
    at_need = math.nan if need.lag is None else glance.at(need.lag)
    found = [
        rules.gradient_dead(glance.lags, glance.largest_entry, floor, dtype, need.lag),
        rules.vanishing(at_need, need.lag, loss, need.chance, limits),
        rules.exploding(**growth, limits=limits),
        rules.tbptt_blind(need.lag, need.tbptt, limits=limits),
        rules.dtype_capped(dtype, need.lag, limits) if glance.gates else None,
    ]
    found += [gate_rules.gate_constant(name, g.deviation, g.low, g.high, limits) for name, g in glance.gates.items()]
    return [verdict for verdict in found if verdict is not None]


def _worth_telling(verdict: Verdict) -> bool:
    return verdict.level in ("bad", "warn") or verdict.name in NOTES_TOLD

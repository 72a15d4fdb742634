"""Gates that hardly move or hardly matter, told apart by what holding them costs (inspection.md 0.4 and 2.5)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from headgate.inspection.ablation import UnitAblation
from headgate.inspection.bootstrap import SHARE
from headgate.inspection.gate_rules import constant_units, triage
from headgate.inspection.rules import Interval
from headgate.inspection.thresholds import DEFAULTS, Thresholds
from headgate.inspection.units import UnitSweep


def units_with_constant_gates(
    deviation: np.ndarray, low: np.ndarray, high: np.ndarray, limits: Thresholds = DEFAULTS
) -> list[int]:
    """The units of which any gate is constant, to be given to `sweep_units`: what they are, only holding them tells.

    Args:
        deviation, low, high: arrays "gate_deviation", "saturated_low" and "saturated_high" of a Record, [gate, H].
    """
    constant = [constant_units(*one, limits) for one in zip(deviation, low, high, strict=True)]
    return [int(unit) for unit in np.flatnonzero(np.any(constant, axis=0))] if constant else []


def triage_facts(
    gates: Sequence[str],
    deviation: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    kills: UnitSweep,
    costs: UnitAblation | None = None,
    timescales: np.ndarray | None = None,
    limits: Thresholds = DEFAULTS,
) -> list[dict[str, Any]]:
    """What can be said of single units' gates, the costliest first: facts["triage"] of a Record.

    Args:
        gates: names, in the order of the arrays.
        deviation, low, high: as in `units_with_constant_gates`.
        kills: what holding units' memories costs.
        costs: what holding units' gates costs, of kinds "mean" and "shuffle rows".
        timescales: array "timescales" of a Record, [H].
        limits: what the rule compares with.

    Returns:
        For each gate of each unit of which the rule has something to say: "unit", "gate", "verdict" (INTEGRATOR, DEAD,
        CONSTANT where the unit was not held, DECORATIVE), "kill" (the middle of what holding its memory costs, None if
        that was not tried), "unit_of_kill" where that is no share, and "timescale" in steps, None if there is none.
    """
    found = []
    for row, gate in enumerate(gates):
        for unit in range(deviation.shape[1]):
            numbers = float(deviation[row, unit]), float(low[row, unit]), float(high[row, unit])
            kill = _interval(kills.kill[unit])
            shuffled, averaged = (_cost(costs, gate, unit, kind) for kind in ("shuffle rows", "mean"))
            verdict = triage(gate, unit, *numbers, kill, shuffled, averaged, limits)
            if verdict is not None:
                timescale = math.nan if timescales is None else float(timescales[unit])
                fact = {"unit": unit, "gate": gate, "verdict": verdict.name, "kill": kill and kill[1]}
                fact |= {} if kills.unit == SHARE else {"unit_of_kill": kills.unit}
                found.append(fact | {"timescale": timescale if math.isfinite(timescale) else None})
    return sorted(found, key=lambda fact: -(fact["kill"] or 0.0))


def _interval(effect: np.ndarray) -> Interval | None:
    """Low end, middle and high end; None where one of them is not known."""
    return tuple(map(float, effect)) if np.isfinite(effect).all() else None


def _cost(costs: UnitAblation | None, gate: str, unit: int, kind: str) -> Interval | None:
    if costs is None or (gate, unit) not in costs.pairs or kind not in costs.kinds:
        return None
    return _interval(costs.effect[costs.pairs.index((gate, unit)), costs.kinds.index(kind)])

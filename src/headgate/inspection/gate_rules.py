"""When something may be said about a layer's gates: rules as in `headgate.inspection.rules`.

How a gate stands is a flag and no cause: one that never moves may hold the one bit that the task asks for, and one that
flutters may do nothing. Only what its loss says when it is held tells the two apart.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from headgate.inspection.rules import GREFF, KARPATHY, SAGEMAKER, Interval, interval_in_words, known
from headgate.inspection.thresholds import DEFAULTS, Thresholds, Verdict


def constant_units(
    deviation: Sequence[float], low: Sequence[float], high: Sequence[float], limits: Thresholds = DEFAULTS
) -> np.ndarray:
    """Which units' gate is constant, [H] bool: it hardly moves and stands at one end of its range.

    Args:
        deviation: standard deviation of the pre-activation over steps and rows, logit units, [H].
        low, high: share of steps at the low and the high end of the range, [H].
    """
    ends = np.maximum(np.asarray(low, dtype=float), np.asarray(high, dtype=float))
    return (np.asarray(deviation, dtype=float) < limits.constant_deviation) & (ends >= limits.constant_share)


def gate_constant(
    gate: str,
    deviation: Sequence[float],
    low: Sequence[float],
    high: Sequence[float],
    limits: Thresholds = DEFAULTS,
) -> Verdict | None:
    """Many units of a gate are constant: a statistical flag, which does not tell the memory from what is dead.

    Args:
        gate: its name; the rest as for `constant_units`.
    """
    found, H = int(constant_units(deviation, low, high, limits).sum()), len(deviation)
    if found < limits.constant_units * H or not found:
        return None
    return Verdict(
        "CONSTANT",
        "note",
        f"Gate {gate} is constant in {found} of {H} units; only removing them tells a memory from dead weight.",
        f"{found} of {H} units",
        f"{_constant_rule(limits)}, in {limits.constant_units:.0%} of the units",
        f"{KARPATHY}; {SAGEMAKER}",
        gate,
    )


def gate_decorative(
    gate: str,
    deviation: Sequence[float],
    shuffled: Interval | None,
    averaged: Interval | None,
    limits: Thresholds = DEFAULTS,
) -> Verdict | None:
    """A gate moves, and nothing comes of it: neither another row's gate nor its mean, in all units at once, costs loss.

    How little it moves does not count, since a small variation may be all that the loss hangs on; only that it moves
    in more units than a gate has that is called CONSTANT.

    Args:
        gate: its name.
        deviation: standard deviation of the pre-activation over steps and rows, logit units, [H].
        shuffled, averaged: cost of shuffling this gate over rows, and of its mean; None: not measured.
    """
    moving = int((np.asarray(deviation, dtype=float) >= limits.constant_deviation).sum())
    if moving <= limits.constant_units * len(deviation) or not (known(shuffled) and known(averaged)):
        return None
    if shuffled[0] > 0 or averaged[0] > 0:
        return None
    return Verdict(
        "DECORATIVE",
        "note",
        f"Gate {gate} varies, but its variation does nothing for the loss: its mean would do as well.",
        f"shuffled {interval_in_words(shuffled)}, averaged {interval_in_words(averaged)}",
        f"deviation of the pre-activation >= {limits.constant_deviation:g} in more than {limits.constant_units:.0%} of "
        "the units, and neither interval above 0",
        GREFF,
        gate,
    )


def triage(
    gate: str,
    unit: int,
    deviation: float,
    low: float,
    high: float,
    kill: Interval | None = None,
    shuffled: Interval | None = None,
    averaged: Interval | None = None,
    limits: Thresholds = DEFAULTS,
) -> Verdict | None:
    """What one unit's gate is: a statistical flag first, then the cause.

    A constant one is an INTEGRATOR if holding the unit's memory at its mean costs loss, and DEAD if it does not;
    without that experiment it is CONSTANT. One that varies is DECORATIVE if neither shuffling the gate nor averaging
    it costs loss.

    Args:
        gate, unit: which.
        deviation, low, high: of that unit, as for `constant_units`.
        kill: cost of holding the unit's memory at its mean.
        shuffled, averaged: cost of shuffling this gate over rows, and of its mean.
    """
    who, about, rule = f"Gate {gate} of unit {unit}", f"{gate}, unit {unit}", _constant_rule(limits)
    if bool(constant_units([deviation], [low], [high], limits)[0]):
        number = f"deviation {deviation:.2g}, at one end {max(low, high):.0%} of the steps"
        if kill is None:
            text = f"{who} is constant; only removing it tells a memory from dead weight."
            return Verdict("CONSTANT", "note", text, number, rule, f"{KARPATHY}; {SAGEMAKER}", about)
        cost = f"{number}, kill {interval_in_words(kill)}"
        if kill[0] > 0:
            text = f"{who} is constant and the loss needs it: it integrates or latches."
            return Verdict("INTEGRATOR", "note", text, cost, f"{rule}, and kill interval above 0", GREFF, about)
        text = f"{who} is constant and the loss does not need it: it can be pruned."
        return Verdict("DEAD", "note", text, cost, f"{rule}, and kill interval not above 0", GREFF, about)
    costs = [cost for cost in (shuffled, averaged) if cost is not None]
    if len(costs) == 2 and all(cost[0] <= 0 for cost in costs):
        text = f"{who} varies, but its variation does nothing for the loss."
        number = f"shuffled {interval_in_words(costs[0])}, averaged {interval_in_words(costs[1])}"
        return Verdict("DECORATIVE", "note", text, number, "varies, and neither interval above 0", GREFF, about)
    return None


def _constant_rule(limits: Thresholds) -> str:
    return (
        f"deviation of the pre-activation < {limits.constant_deviation:g} and at one end of its range >= "
        f"{limits.constant_share:.0%} of the steps"
    )

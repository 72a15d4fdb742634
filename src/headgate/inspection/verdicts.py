"""What may be said of a layer and direction, from all that was measured of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from headgate.inspection import rules
from headgate.inspection.lags import at_lag
from headgate.inspection.record import Record
from headgate.inspection.thresholds import DEFAULTS, Thresholds, Verdict


def judge(record: Record, limits: Thresholds = DEFAULTS) -> list[Verdict]:
    """The verdicts of a Record, those on the whole layer first.

    Each rule is in `headgate.inspection.rules`; a rule whose numbers were not measured says nothing.

    Args:
        record: as `measure` or `examine` made it.
        limits: the numbers that the rules compare with.
    """
    found = [*_on_gradients(record, limits), *_on_memory(record, limits), *_on_gates(record, limits)]
    return [verdict for verdict in found if verdict is not None]


def _on_gradients(record: Record, limits: Thresholds) -> list[Verdict | None]:
    facts, arrays = record.facts, record.arrays
    need, loss = facts.get("needs_lag"), facts.get("loss", {})
    if "lag_profile" not in arrays:
        return []
    lags, profile = arrays["lags"], arrays["lag_profile"][1]
    dynamics = facts.get("lyapunov") or {}
    highest = int(np.nanargmax(profile))
    at_need = _at(lags, profile, need)
    return [
        rules.gradient_dead(lags, arrays["largest_entry"], facts["floor"], facts["dtype"], need),
        rules.vanishing(at_need, need, loss.get("value"), loss.get("chance"), limits),
        rules.exploding(
            growth=float(profile[highest]),
            at_lag=int(lags[highest]),
            lyapunov=dynamics.get("largest"),
            steps=facts["steps"],
            limits=limits,
        ),
        rules.tbptt_blind(need, facts.get("tbptt"), facts.get("truncation"), limits),
    ]


def _on_memory(record: Record, limits: Thresholds) -> list[Verdict | None]:
    facts, arrays = record.facts, record.arrays
    need, timescales = facts.get("needs_lag"), arrays.get("timescales")
    found = [rules.need_unknown(need), rules.dtype_capped(facts["dtype"], need, limits)]
    if "lag_profile" not in arrays:
        return found
    at_need = _at(arrays["lags"], arrays["lag_profile"][1], need)
    rest = _at(arrays["lags"], arrays["rest_profile"], need)
    stored = None if timescales is None else rules.longest_of(timescales)
    return [
        *found,
        rules.short_memory(timescales, need, None if np.isnan(rest) else rest, limits),
        rules.remembers(at_need, stored, need, limits),
    ]


def _on_gates(record: Record, limits: Thresholds) -> list[Verdict | None]:
    arrays = record.arrays
    if "gate_deviation" not in arrays:
        return []
    each = zip(
        record.facts["gates"],
        arrays["gate_deviation"],
        arrays["saturated_low"],
        arrays["saturated_high"],
        strict=True,
    )
    return [rules.gate_constant(gate, *values, limits) for gate, *values in each]


def _at(lags: np.ndarray, values: np.ndarray, lag: int | None) -> float:
    return float("nan") if lag is None else at_lag(lags, values, lag)


def as_facts(verdicts: list[Verdict]) -> list[dict[str, Any]]:
    """As they stand in a Record's facts."""
    return [verdict.as_facts() for verdict in verdicts]

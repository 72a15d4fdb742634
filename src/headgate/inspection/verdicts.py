"""What may be said of a layer and direction, from all that was measured of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from headgate.inspection import gate_rules, rules
from headgate.inspection.bootstrap import SHARE
from headgate.inspection.lags import at_lag
from headgate.inspection.record import Record
from headgate.inspection.thresholds import DEFAULTS, Thresholds, Verdict


def judge(record: Record, limits: Thresholds = DEFAULTS) -> list[Verdict]:
    """The verdicts of a Record, those on the whole layer first.

    Each rule is in `headgate.inspection.rules` or `gate_rules`; a rule whose numbers were not measured says nothing.

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
    product = arrays["jacobian_norm"][2, highest] if "jacobian_norm" in arrays else np.nan
    at_need = _at(record, profile, need)
    largest = np.where(np.isnan(arrays["largest_entry"]) & (lags <= _reach(record)), -np.inf, arrays["largest_entry"])
    return [
        rules.gradient_dead(lags, largest, facts["floor"], facts["dtype"], need),
        rules.vanishing(at_need, need, loss.get("value"), loss.get("chance"), limits, **_use(record)),
        rules.exploding(
            growth=float(profile[highest]),
            at_lag=int(lags[highest]),
            product=None if np.isnan(product) else float(product),
            lyapunov=dynamics.get("largest"),
            steps=facts["steps"],
            limits=limits,
        ),
        rules.tbptt_blind(need, facts.get("tbptt"), facts.get("truncation"), limits),
    ]


def _on_memory(record: Record, limits: Thresholds) -> list[Verdict | None]:
    facts, arrays = record.facts, record.arrays
    need, timescales = facts.get("needs_lag"), arrays.get("timescales")
    longest = int(arrays["lengths"].max()) if "lengths" in arrays else facts.get("steps", 0)
    found = [
        rules.need_unknown(need),
        rules.need_beyond(need, longest),
        rules.dtype_capped(facts["dtype"], need, limits),
    ]
    if "lag_profile" not in arrays:
        return found
    at_need = _at(record, arrays["lag_profile"][1], need)
    rest = _at(record, arrays["rest_profile"], need)
    stored = None if timescales is None else rules.longest_of(timescales)
    dead = facts["horizons"]["trainable"].get("dead")
    # What the number format cannot hold does not arrive, however large it is relative to lag 0.
    arrives = -np.inf if dead is not None and need is not None and dead <= need else at_need
    return [
        *found,
        rules.short_memory(timescales, need, None if np.isnan(rest) else rest, limits),
        rules.remembers(arrives, stored, need, limits, **_use(record)),
    ]


def _on_gates(record: Record, limits: Thresholds) -> list[Verdict | None]:
    arrays, names = record.arrays, record.facts.get("gates", [])
    if "gate_deviation" not in arrays:
        return []
    stands = ("gate_deviation", "saturated_low", "saturated_high")
    found = [
        gate_rules.gate_constant(gate, *(arrays[name][k] for name in stands), limits) for k, gate in enumerate(names)
    ]
    for k, gate in enumerate(names):
        shuffled, averaged = (_held(record, k, kind) for kind in ("shuffle rows", "mean"))
        found.append(gate_rules.gate_decorative(gate, arrays["gate_deviation"][k], shuffled, averaged, limits))
    return found


def _held(record: Record, gate: int, kind: str) -> rules.Interval | None:
    """What holding a whole gate costs; None where it was not tried, or where nothing was learnt that could be lost."""
    facts = record.facts
    kinds, learnt = facts.get("ablation_kinds", []), facts.get("ablation_unit") == SHARE
    if "ablation" not in record.arrays or kind not in kinds:
        return None
    # Without a chance level it is not known what was learnt, and the cost in the loss's own unit has to do.
    if not learnt and facts.get("loss", {}).get("chance") is not None:
        return None
    return tuple(map(float, record.arrays["ablation"][gate, kinds.index(kind)]))


def _use(record: Record) -> dict[str, Any]:
    """How much better than chance the loss is, and what a memory costs that lacks what the task needs and no more; in
    the loss's own unit, None where that is not known or one sequence gives no interval."""
    facts, need = record.facts, record.facts.get("needs_lag")
    told = facts.get("loss", {}).get("gain") or {}
    gain = tuple(told.get(end) for end in ("low", "middle", "high"))
    found = {"gain": None if None in gain else gain}
    if need is None or "use_lags" not in record.arrays:
        return found
    used = facts["horizons"]["used"]
    # Where the loss reads several steps, the cut lies so far before the first of them.
    judged = used.get("judged", need)
    at = np.flatnonzero(record.arrays["use_lags"] == judged) if judged is not None else ()
    cut = tuple(map(float, record.arrays["use_loss"][at[0]])) if len(at) else None
    return found | {"cut": cut, "nothing": used.get("allowed", 0.0)}


def _at(record: Record, values: np.ndarray, lag: int | None) -> float:
    """log10 at a lag; NaN if that was not measured, -inf where nothing at all is left."""
    found = float("nan") if lag is None else at_lag(record.arrays["lags"], values, lag)
    return -np.inf if np.isnan(found) and lag is not None and lag <= _reach(record) else found


def _reach(record: Record) -> int:
    """So far back rows are long enough; there NaN stands for a gradient of exactly zero."""
    return record.facts["horizons"]["trainable"].get("measured", -1)


def as_facts(verdicts: list[Verdict]) -> list[dict[str, Any]]:
    """As they stand in a Record's facts."""
    return [verdict.as_facts() for verdict in verdicts]

"""What a report says of series before anybody learns from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np

from headgate.data import Example
from headgate.data.times import written
from headgate.tasks.bench.forecast.series import Series

NAMED = 10


def describe(examples: Iterable[Example]) -> dict[str, Any]:
    """Counts over series, in JSON types: roles, lengths, frequencies, what is missing, repeated or irregular."""
    counts: Counter[str] = Counter()
    frequencies: Counter[str] = Counter()
    missing: Counter[str] = Counter()
    notes: Counter[str] = Counter()
    lengths: list[int] = []
    spans: list[tuple[float, float]] = []
    ranges: dict[str, tuple[float, float]] = {}
    roles, kind, form, constant = None, "number", None, []
    for example in examples:
        series: Series = example.input
        roles, kind, form = roles or series.roles, series.frequency.kind, series.form
        found = series.found
        counts.update(series=1, rows=found.rows, repeated=found.repeated, gaps=found.gaps, unsorted=found.unsorted)
        frequencies[series.frequency.words] += 1
        missing.update({name: count for name, count in found.missing.items() if count})
        notes.update(series.notes)
        lengths.append(len(series))
        spans.append((series.times[0], series.times[-1]))
        for name, values in series.values.items():
            held = values[~np.isnan(values)]
            if len(held):
                low, high = ranges.get(name, (np.inf, -np.inf))
                ranges[name] = (min(low, float(held.min())), max(high, float(held.max())))
            if len(held) and held.min() == held.max() and name in series.roles.targets and len(constant) < NAMED:
                constant.append(f"{series.name}: {name}")
    if roles is None:
        return {"series": 0}
    columns = {role: list(getattr(roles, role)) for role in ("targets", "past", "future", "static")}
    return {
        "series": counts["series"],
        "rows": counts["rows"],
        "columns": {"time": roles.time, "series": roles.series, **columns},
        "steps": {"least": min(lengths), "median": float(np.median(lengths)), "most": max(lengths)},
        "first": written(min(first for first, _ in spans), kind, form=form),
        "last": written(max(last for _, last in spans), kind, form=form),
        "frequencies": dict(frequencies.most_common(NAMED)),
        "ranges": {name: list(span) for name, span in ranges.items()},
        "missing": dict(missing),
        "gaps": counts["gaps"],
        "repeated": counts["repeated"],
        "unsorted": counts["unsorted"],
        "constant": constant,
        "notes": dict(notes.most_common(NAMED)),
    }

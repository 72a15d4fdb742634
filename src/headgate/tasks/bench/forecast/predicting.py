"""The values to come, with their times and quantiles, of each series of a table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch

from headgate.data import Example
from headgate.data.times import DAY, written
from headgate.tasks.bench.forecast.metrics import Rescale
from headgate.tasks.bench.forecast.network import Forecaster
from headgate.tasks.bench.forecast.options import Options
from headgate.tasks.bench.forecast.scaling import Encoding, Widths, matrix, scale_of, statics
from headgate.tasks.bench.forecast.series import Series
from headgate.tasks.bench.forecast.windows import batch_of, cut

# Series at a time.
TOGETHER = 64


@dataclass(frozen=True)
class _Asked:
    series: Series
    window: dict[str, np.ndarray]
    row: dict[str, np.ndarray]
    length: int
    notes: list[str]


def predict(
    network: Forecaster, examples: Iterable[Example], encoding: Encoding, options: Options
) -> Iterator[dict[str, Any]]:
    """One answer a series: `unique_id`, `ds`, `values` and `quantiles` by target, `notes`.

    A forecast begins after the last step that has any target; rows after it give what is known of the future.

    Raises:
        DataError: a column is missing, or values of future columns for a step to come.
    """
    device = next(network.parameters()).device
    waiting = iter(examples)
    while group := list(islice(waiting, TOGETHER)):
        asked = [_ask(example, encoding, options) for example in group]
        answers = iter(_answers(network, [part for part in asked if part.length], encoding, options, device))
        for part in asked:
            yield next(answers) if part.length else _nothing(part)


def _ask(example: Example, encoding: Encoding, options: Options) -> _Asked:
    series: Series = example.input
    end, lookback, horizon = series.end, encoding["lookback"], encoding["horizon"]
    notes = list(series.notes)
    if not end:
        return _Asked(series, {}, {}, 0, [*notes, "no target has a value, so there is nothing to forecast from"])
    scale, said = scale_of(series, encoding, end, options.head == "negative_binomial")
    values = matrix(series, encoding, options, scale, example.place, end, horizon)
    codes, numbers = statics(series, encoding)
    row = {"codes": codes, "numbers": numbers, "shift": scale.shift, "size": scale.size, "naive_error": scale.naive}
    notes += [said] if said else []
    notes += _unknown(series, encoding)
    length = min(end, lookback)
    if length < lookback:
        notes.append(f"the history has {length} steps, fewer than the {lookback} of the look-back; all are read")
    return _Asked(series, cut(values, end, lookback, horizon, Widths.of(encoding)), row, length, notes)


def _unknown(series: Series, encoding: Encoding) -> list[str]:
    notes = []
    for about in encoding["static"]:
        value = series.static.get(about["name"])
        if value is None:
            notes.append(f"{about['name']} is not given")
        elif "values" in about and str(value) not in about["values"]:
            notes.append(f"{about['name']} {value!r} was not in training")
    if series.frequency.as_json() != encoding["frequency"]:
        notes.append(f"its frequency is {series.frequency.words}, not that of training")
    return notes


def _nothing(asked: _Asked) -> dict[str, Any]:
    return {"unique_id": asked.series.name, "ds": [], "values": {}, "quantiles": {}, "notes": asked.notes}


@torch.no_grad()
def _answers(
    network: Forecaster, asked: list[_Asked], encoding: Encoding, options: Options, device: torch.device
) -> list[dict[str, Any]]:
    if not asked:
        return []
    batch = batch_of([part.window for part in asked], [part.row for part in asked], [part.length for part in asked])
    batch = {name: tensor.to(device) for name, tensor in batch.items()}
    raw, units = network(batch)
    scale = Rescale.of(batch)
    point = scale.original(network.head.point(raw, units).cpu().double().numpy())
    levels = options.levels()
    found = network.head.quantiles(raw, levels, units)
    found = None if found is None else scale.original(found)
    return [_answer(part, point[:, k], None if found is None else found[:, :, k], levels, encoding)
            for k, part in enumerate(asked)]  # fmt: skip


def _answer(
    asked: _Asked, point: np.ndarray, found: np.ndarray | None, levels: list[float], encoding: Encoding
) -> dict[str, Any]:
    series = asked.series
    times = series.frequency.after(series.times[series.end - 1], encoding["horizon"])
    days = series.frequency.kind == "date" and bool((times % DAY == 0).all() and series.times[0] % DAY == 0)
    quantiles = {}
    if found is not None:
        for d, name in enumerate(encoding["targets"]):
            quantiles[name] = {f"{level:g}": found[k, :, d].tolist() for k, level in enumerate(levels)}
    return {
        "unique_id": series.name,
        "ds": [written(time, series.frequency.kind, days, series.form) for time in times],
        "values": {name: point[:, d].tolist() for d, name in enumerate(encoding["targets"])},
        "quantiles": quantiles,
        "notes": asked.notes,
    }

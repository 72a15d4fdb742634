"""Series to numbers of one size: what is learned of the training part alone, and the matrix of a series."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from headgate.data import DataError, Example
from headgate.data.example import Place
from headgate.data.times import Frequency, calendar, calendar_names
from headgate.tasks.bench.forecast.options import Options
from headgate.tasks.bench.forecast.series import Series, first_origin

Encoding = dict[str, Any]


@dataclass(frozen=True)
class Widths:
    """Columns of a series' matrix, in this order.

    Attributes:
        targets: standardised values, and as many that are 1 where a value was seen.
        past: covariates known up to the origin.
        known: covariates known beyond it, those of the calendar last.
    """

    targets: int
    past: int
    known: int

    @classmethod
    def of(cls, encoding: Encoding) -> Widths:
        """Those of a learned encoding."""
        known = len(encoding["future"]) + 2 * len(encoding["calendar"])
        return cls(len(encoding["targets"]), len(encoding["past"]), known)


def static_numbers(encoding: Encoding) -> int:
    """Static columns of numbers; the others are of categories."""
    return sum("values" not in about for about in encoding["static"])


@dataclass(frozen=True)
class Scale:
    """Of each target of one series, [D].

    Attributes:
        shift, size: value = shift + size * standardised.
        naive: mean error of the seasonal naive forecast within the training part, which MASE divides by; NaN where it
            is zero or cannot be had.
    """

    shift: np.ndarray
    size: np.ndarray
    naive: np.ndarray

    def as_json(self) -> dict[str, list]:
        """For an encoding."""
        naive = [None if np.isnan(value) else float(value) for value in self.naive]
        return {"shift": self.shift.tolist(), "size": self.size.tolist(), "naive": naive}

    @classmethod
    def from_json(cls, fields: dict[str, list]) -> Scale:
        """What `as_json` gave."""
        naive = [np.nan if value is None else value for value in fields["naive"]]
        return cls(np.array(fields["shift"]), np.array(fields["size"]), np.array(naive))

    @classmethod
    def of(cls, values: np.ndarray, season: int, counts: bool) -> Scale:
        """Of observed values [T, D], NaN where missing.

        Args:
            values: in original units.
            season: steps of one, m.
            counts: keep zero at zero: shift 0, size the mean.
        """
        parts = [_moments(column[~np.isnan(column)], counts) for column in values.T]
        naive = [naive_error(column, season) for column in values.T]
        return cls(*(np.array(part, np.float64) for part in (*zip(*parts, strict=True), naive)))


def learn(examples: Iterable[Example], options: Options) -> Encoding:
    """The encoding of training series: columns, scales by series, categories, frequency and season.

    Raises:
        DataError: there are no series; two have one name; one lacks a column of the others, or has a count below zero
            where counts are asked for.
    """
    series_scales: dict[str, dict] = {}
    moments: dict[str, np.ndarray] = {}
    categories: dict[str, Counter] = {}
    frequencies: Counter[Frequency] = Counter()
    roles, missing, windows = None, False, 0
    for example in examples:
        series: Series = example.input
        if series.name in series_scales:
            raise DataError(f"{example.place}: a series named {series.name!r} stands before; put all its rows in one.")
        roles = roles or series.roles
        _require_columns(series, roles.numbers, example.place)
        frequencies[series.frequency] += 1
        for column in roles.past + roles.future:
            moments[column] = moments.get(column, np.zeros(3)) + _sums(series.values[column])
        for column, value in series.static.items():
            if isinstance(value, str):
                categories.setdefault(column, Counter())[value] += 1
            elif value is not None:
                moments[column] = moments.get(column, np.zeros(3)) + _sums(np.array([value]))
        values = np.stack([series.values[name] for name in roles.targets], 1)
        first = first_origin(series.end, options.lookback, options.horizon)
        windows += max(0, series.end - options.horizon - first + 1)
        missing |= bool(np.isnan(values).any())
        _refuse_no_counts(values, roles.targets, options, example.place)
        season = options.season or series.frequency.season
        series_scales[series.name] = Scale.of(values, season, options.head == "negative_binomial").as_json()
    if roles is None:
        raise DataError("there are no series to learn from; give a table with at least one.")
    frequency = frequencies.most_common(1)[0][0]
    return {
        "targets": list(roles.targets),
        "past": list(roles.past),
        "future": list(roles.future),
        "static": [_static(name, moments, categories) for name in roles.static],
        "covariates": {name: _mean_and_size(moments[name]) for name in roles.past + roles.future},
        "calendar": calendar_names(frequency) if options.calendar else [],
        "frequency": frequency.as_json(),
        "season": options.season or frequency.season,
        "lookback": options.lookback,
        "horizon": options.horizon,
        "missing": missing,
        "windows": windows,
        "series": series_scales,
        "typical": _typical(series_scales),
    }


def scale_of(series: Series, encoding: Encoding, origin: int, counts: bool) -> tuple[Scale, str | None]:
    """A series' scale, and what is to be said of it: of training; else of its own values before the origin."""
    known = encoding["series"].get(series.name)
    if known is not None:
        return Scale.from_json(known), None
    typical = Scale.from_json(encoding["typical"])
    if len(encoding["series"]) == 1:
        return typical, None
    values = np.stack([series.values[name][:origin] for name in encoding["targets"]], 1)
    if np.isnan(values).all(0).any():
        return typical, "this series was not in training and has too few values for a scale; a typical one is used"
    note = "this series was not in training; its scale is that of its own values before the forecast"
    return Scale.of(values, encoding["season"], counts), note


def matrix(
    series: Series, encoding: Encoding, options: Options, scale: Scale, place: Place, end: int, ahead: int = 0
) -> np.ndarray:
    """A series as standardised numbers with missing ones filled, float32 [end + ahead, 2 D + P + K], see `Widths`.

    Args:
        series: of T steps.
        encoding: that `learn` gave.
        options: with the rule for missing values.
        scale: of the series.
        place: of the series, for messages.
        end: steps with targets.
        ahead: steps after them, of which only what is known beyond the origin is read; 0 elsewhere.

    Raises:
        DataError: a column is not there; a value is missing and options.fill is "refuse", or a step ahead has no row
            of future values.
    """
    _require_columns(series, encoding["targets"] + encoding["past"] + encoding["future"], place)
    parts = []
    targets = np.stack([series.values[name][:end] for name in encoding["targets"]], 1)
    targets = (targets - scale.shift) / scale.size
    seen = ~np.isnan(targets)
    zero = -scale.shift / scale.size
    filled = [_filled(column, options, at, place) for column, at in zip(targets.T, zero, strict=True)]
    parts += [np.stack(filled, 1), seen]
    for role, length in (("past", end), ("future", end + ahead)):
        for name in encoding[role]:
            column = series.values[name][:length]
            if len(column) < length:
                raise DataError(
                    f"{place}: {len(column) - end} rows follow the end of series {series.name!r}, but forecasting "
                    f"{ahead} steps needs as many with {name}; add them, or name a file with --future-values."
                )
            about = encoding["covariates"][name]
            column = (column - about["mean"]) / about["size"]
            parts.append(_filled(column, options, -about["mean"] / about["size"], place)[:, None])
    times = series.times[:end]
    if ahead:
        times = np.concatenate([times, series.frequency.after(times[-1], ahead)])
    if encoding["calendar"]:
        if series.frequency.kind != "date":
            raise DataError(f"{place}: times are numbers, but the model was trained on dates; give dates.")
        parts.append(calendar(times, encoding["calendar"]))
    padded = [np.pad(part, ((0, end + ahead - len(part)), (0, 0))) for part in parts]
    return np.concatenate(padded, 1).astype(np.float32)


def statics(series: Series, encoding: Encoding) -> tuple[np.ndarray, np.ndarray]:
    """Static columns: codes of categories, int64, 0 for one that is unknown; and standardised numbers, float32."""
    codes, numbers = [], []
    for about in encoding["static"]:
        value = series.static.get(about["name"])
        if "values" in about:
            codes.append(about["values"].index(str(value)) + 1 if str(value) in about["values"] else 0)
        else:
            held = isinstance(value, float)
            numbers.append((value - about["mean"]) / about["size"] if held else 0.0)
    return np.array(codes, np.int64), np.array(numbers, np.float32)


def naive_error(values: np.ndarray, season: int) -> float:
    """Mean absolute difference of values a season apart; of neighbours, where a series is no longer than a season.

    The scale of MASE (Hyndman & Koehler 2006, "Another look at measures of forecast accuracy", IJF 22(4)).

    Args:
        values: [T], NaN where missing.
        season: steps, m.

    Returns:
        NaN where there is no pair, or no difference.
    """
    lag = season if len(values) > season else 1
    errors = np.abs(values[lag:] - values[:-lag])
    errors = errors[~np.isnan(errors)]
    return float(errors.mean()) if len(errors) and errors.mean() > 0 else float("nan")


def _moments(values: np.ndarray, counts: bool) -> tuple[float, float]:
    if not len(values):
        return 0.0, 1.0
    if counts:
        return 0.0, float(values.mean()) or 1.0
    mean, size = float(values.mean()), float(values.std())
    # A constant series keeps its unit: rounding is no spread.
    return mean, size if size > 1e-9 * max(1.0, abs(mean)) else 1.0


def _sums(values: np.ndarray) -> np.ndarray:
    values = values[~np.isnan(values)]
    return np.array([len(values), values.sum(), (values**2).sum()])


def _mean_and_size(sums: np.ndarray) -> dict[str, float]:
    count, total, squares = sums
    mean = total / max(1, count)
    size = np.sqrt(max(0.0, squares / max(1, count) - mean**2))
    return {"mean": float(mean), "size": float(size) if size > 1e-6 * max(1.0, abs(mean)) else 1.0}


def _static(name: str, moments: dict[str, np.ndarray], categories: dict[str, Counter]) -> dict[str, Any]:
    if name in categories:
        return {"name": name, "values": sorted(categories[name])}
    return {"name": name, **_mean_and_size(moments.get(name, np.zeros(3)))}


def _typical(scales: dict[str, dict]) -> dict[str, list]:
    def median(column: tuple[float | None, ...]) -> float:
        held = [value for value in column if value is not None]
        return float(np.median(held)) if held else float("nan")

    fields = ("shift", "size", "naive")
    parts = ([median(column) for column in zip(*(s[name] for s in scales.values()), strict=True)] for name in fields)
    return Scale(*(np.array(part) for part in parts)).as_json()


def _filled(values: np.ndarray, options: Options, zero: float, place: Place) -> np.ndarray:
    """Standardised values [T] without holes. No rule looks ahead, so none carries the future past an origin."""
    missing = np.isnan(values)
    if not missing.any():
        return values
    if options.fill == "refuse":
        raise DataError(
            f"{place}: a value of this series is missing (step {int(missing.argmax()) + 1}); fill it in, or choose a "
            "rule with --fill."
        )
    if options.fill == "last":
        latest = np.maximum.accumulate(np.where(missing, -1, np.arange(len(values))))
        return np.where(latest >= 0, values[np.maximum(latest, 0)], 0.0)
    return np.where(missing, zero if options.fill == "zero" else 0.0, values)


def _require_columns(series: Series, names: Iterable[str], place: Place) -> None:
    lacking = next((name for name in names if name not in series.values), None)
    if lacking is not None:
        raise DataError(f"{place}: there is no column of numbers {lacking!r} here, which the model was trained on.")


def _refuse_no_counts(values: np.ndarray, names: tuple[str, ...], options: Options, place: Place) -> None:
    if options.head != "negative_binomial":
        return
    wrong = (values < 0) | (values != np.rint(values)) & ~np.isnan(values)
    if wrong.any():
        step, column = np.argwhere(wrong)[0]
        raise DataError(
            f"{place}, column {names[column]}: {values[step, column]:g} in step {step + 1} of the series is no count, "
            "but head='negative_binomial' was asked for; choose gaussian or student_t."
        )

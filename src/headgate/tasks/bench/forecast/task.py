"""Forecast: tables of series to a trained network, its backtest, and the values to come."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from headgate.data import DataError, Example, Store
from headgate.data.frames import read_frame
from headgate.tasks.bench.forecast import heads, metrics, scaling
from headgate.tasks.bench.forecast.describing import describe
from headgate.tasks.bench.forecast.network import Forecaster
from headgate.tasks.bench.forecast.options import Options
from headgate.tasks.bench.forecast.portable import exported
from headgate.tasks.bench.forecast.predicting import predict
from headgate.tasks.bench.forecast.roles import KNOWN, SERIES, TARGET, TIMES, find_roles
from headgate.tasks.bench.forecast.series import Series, first_origin, read_series
from headgate.tasks.bench.forecast.splitting import part
from headgate.tasks.bench.forecast.windows import Windows
from headgate.tasks.bench_task import Batch, BenchTask, Encoding, Exported, Fit, Row, RowLosses
from headgate.tasks.settings import Layers, Learning

# Training rows, windows, up to which data are small: batches are then too, and epochs more.
FEW_WINDOWS = 4000
SMALL_BATCH = 16
# Steps that learning should have, if so many epochs make them.
STEPS, MOST_EPOCHS = 1000, 40
# Rows that are looked at to tell whether a file is meant for this task.
LOOKED_AT = 200


class Forecast(BenchTask):
    """Values to come of series of numbers; every window of a series is one row of a batch."""

    name = "forecast"
    title = "Forecast"
    Options = Options
    layers = Layers(cell="lstm", hidden_size=64)
    learning = Learning(epochs=10, batch_size=64, rate=1e-3, patience=3)
    metrics = metrics.METRICS
    score = "loss"
    baseline_words = "repeating the values of a season before"

    # --- files to examples

    def fits(self, path: Path, options: Options) -> Fit:
        """By its columns: times, and numbers beside them."""
        try:
            frame = read_frame(path, KNOWN, LOOKED_AT)
            roles = find_roles(frame, options)
        except DataError:
            return Fit(0.0, "it is no table with columns of numbers")
        names = {name.lower() for name in frame.names}
        if TARGET in names and names & set(TIMES) and names & set(SERIES):
            return Fit(0.95, "it has columns of series, times and y")
        if roles.time is None:
            return Fit(0.05, "it has numbers, but no column of times")
        left = len(frame.names) - len(roles.targets) - 1 - (roles.series is not None)
        share = len(roles.targets) / (len(roles.targets) + left)
        return Fit(0.8 * share, f"{roles.time} holds times, {', '.join(roles.targets[:3])} numbers")

    def read(self, paths: Sequence[Path], options: Options, answers: bool = True) -> Iterator[Example]:
        """Series, one an example; see `read_series`."""
        return read_series(paths, options)

    def describe(self, examples: Iterable[Example]) -> dict[str, Any]:
        """See `describe`."""
        return describe(examples)

    def part(
        self, examples: Iterable[Example], split: str, missing: Sequence[str], options: Options, learning: Learning
    ) -> Iterator[Example]:
        """Each series cut by time."""
        return part(examples, split, missing, options, learning)

    # --- examples to numbers

    def learn(self, examples: Iterable[Example], options: Options) -> Encoding:
        """Columns, scales, categories, frequency and season of the training part."""
        return scaling.learn(examples, options)

    def encode(self, examples: Iterable[Example], encoding: Encoding, options: Options) -> Iterator[Row]:
        """A row a series that has a window.

        Raises:
            DataError: there are series, but none is long enough; see also `matrix`.
        """
        horizon, longest, place, encoded = encoding["horizon"], 0, None, False
        for example in examples:
            series: Series = example.input
            end = series.end
            longest, place = max(longest, end), place or example.place
            if end <= horizon:
                continue
            first = series.start or first_origin(end, encoding["lookback"], horizon)
            if end - first < horizon:
                continue
            encoded = True
            yield self._row(example, encoding, options, first)
        if place is not None and not encoded:
            raise DataError(
                f"{place}: the longest series has {longest} steps, but learning to forecast {horizon} needs more than "
                "that; give a smaller --horizon or longer series."
            )

    @staticmethod
    def _row(example: Example, encoding: Encoding, options: Options, first: int) -> Row:
        series: Series = example.input
        scale, _ = scaling.scale_of(series, encoding, first, options.head == "negative_binomial")
        codes, numbers = scaling.statics(series, encoding)
        return {
            "values": scaling.matrix(series, encoding, options, scale, example.place, series.end),
            "codes": codes,
            "numbers": numbers,
            "shift": scale.shift,
            "size": scale.size,
            "naive_error": scale.naive,
            "first": np.array(first, np.int64),
            "stride": np.array(options.stride, np.int64),
        }

    def loader(self, store: Store, encoding: Encoding, learning: Learning, training: bool) -> Windows:
        """Windows, cut as they are asked for."""
        return Windows(
            store,
            encoding["lookback"],
            encoding["horizon"],
            encoding["season"],
            scaling.Widths.of(encoding),
            learning.batch_size,
            learning.seed,
            training,
        )

    # --- learning and judging

    def defaults(self, encoding: Encoding) -> tuple[Layers, Learning]:
        """Smaller batches and more epochs for few windows: ten epochs of a hundred teach nothing."""
        windows = encoding["windows"]
        batch = self.learning.batch_size if windows > FEW_WINDOWS else SMALL_BATCH
        epochs = STEPS * batch // max(1, windows)
        epochs = min(MOST_EPOCHS, max(self.learning.epochs, epochs))
        patience = max(self.learning.patience, epochs // 4)
        return self.layers, replace(self.learning, batch_size=batch, epochs=epochs, patience=patience)

    def network(self, encoding: Encoding, options: Options, layers: Layers) -> Forecaster:
        """See `Forecaster`."""
        widths = scaling.Widths.of(encoding)
        return Forecaster(
            layers,
            heads.make(options.head, options.levels()),
            widths.targets,
            widths.past,
            widths.known,
            numbers=scaling.static_numbers(encoding),
            categories=[len(about["values"]) for about in encoding["static"] if "values" in about],
            horizon=encoding["horizon"],
            decoder=options.decoder,
            normalise=options.normalisation,
            joint=options.joint,
            missing=encoding["missing"],
            line=(encoding["lookback"], encoding["season"]) if options.line else None,
        )

    def losses(self, network: Forecaster, batch: Batch, state: Any = None) -> RowLosses:
        """Over all values of a window that were seen."""
        raw, units = network(batch)
        seen = batch["future_seen"]
        losses = network.head.losses(raw, batch["future"], units) * seen
        return RowLosses(losses.sum((0, 2)), seen.sum((0, 2)))

    @torch.no_grad()
    def evaluate(
        self, network: Forecaster, batches: Iterable[Batch], encoding: Encoding, options: Options
    ) -> dict[str, float]:
        """The rolling-origin backtest: every origin of the batches, every step and target."""
        sums = metrics.Sums()
        head, bounds = network.head, list(options.bounds())
        for batch in batches:
            raw, units = network(batch)
            scale, truth = metrics.Rescale.of(batch), metrics.as_array(batch["future"])
            seen = metrics.as_array(batch["future_seen"]) > 0
            sums.add("loss", metrics.as_array(head.losses(raw, batch["future"], units)), seen)
            sums.add_errors(metrics.as_array(head.point(raw, units)), truth, seen, scale)
            sums.add("crps", head.score(raw, batch["future"], units) * scale.size, seen)
            interval = head.quantiles(raw, bounds, units)
            if interval is not None:
                sums.add("coverage", (interval[0] <= truth) & (truth <= interval[1]), seen)
        return sums.means()

    def baseline(self, batches: Iterable[Batch], encoding: Encoding, options: Options) -> dict[str, float]:
        """Of the seasonal naive forecast, with its loss if that is an error; under `naive_...` of the last value."""
        found = metrics.of_baselines(batches)
        errors = {"mse": "standardised_mse", "mae": "standardised_mae"}
        return found | ({"loss": found[errors[options.head]]} if found and options.head in errors else {})

    @torch.no_grad()
    def details(
        self, network: Forecaster, batches: Iterable[Batch], encoding: Encoding, options: Options
    ) -> dict[str, Any]:
        """Metrics by target, whose units may differ, and by step of the horizon."""
        by_target = {name: metrics.Sums() for name in encoding["targets"]}
        by_step = [metrics.Sums() for _ in range(encoding["horizon"])]
        for batch in batches:
            raw, units = network(batch)
            scale, truth = metrics.Rescale.of(batch), metrics.as_array(batch["future"])
            seen, point = metrics.as_array(batch["future_seen"]) > 0, metrics.as_array(network.head.point(raw, units))
            for d, sums in enumerate(by_target.values()):
                only = slice(d, d + 1)
                sums.add_errors(point[..., only], truth[..., only], seen[..., only], scale.of_target(d))
            for step, sums in enumerate(by_step):
                sums.add_errors(point[step], truth[step], seen[step], scale)
        return {
            "by_target": {name: sums.means() for name, sums in by_target.items()},
            "by_step": [sums.means() for sums in by_step],
        }

    def predict(
        self, network: nn.Module, examples: Iterable[Example], encoding: Encoding, options: Options
    ) -> Iterator[dict[str, Any]]:
        """One answer a series; see `predict`."""
        return predict(network, examples, encoding, options)

    def exported(self, network: nn.Module, encoding: Encoding, options: Options) -> Exported:
        """Standardised windows to standardised forecasts, with what else the head says."""
        return exported(network, encoding)

    def needs_lag(self, encoding: Encoding) -> int | None:
        """A season, where there is one and it lies within the look-back: the baseline reads no further back."""
        season = encoding["season"]
        return season if 1 < season <= encoding["lookback"] else None

"""How good forecasts are: sums over windows, and the metrics they make; and the same of the naive forecasts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

from headgate.tasks.bench_task import Batch, Metric

METRICS = {
    "mae": Metric("mean absolute error, in the data's units", False),
    "loss": Metric("mean loss of a value, by which the best model is chosen", higher_is_better=False),
    "standardised_mse": Metric("mean squared error, in standard deviations of the training part", False),
    "standardised_mae": Metric("mean absolute error, in standard deviations of the training part", False),
    "rmse": Metric("root of the mean squared error, in the data's units", False),
    "smape": Metric("symmetric mean absolute percentage error, 0 to 200", False),
    "mase": Metric("absolute error over that of the seasonal naive forecast within the training part", False),
    "crps": Metric("continuous ranked probability score, in the data's units", False),
    "coverage": Metric("share of values within the stated interval"),
}
NAIVE = "naive_"
METRICS |= {
    NAIVE + name: Metric(f"{name} of repeating the last value", False)
    for name in ("standardised_mse", "standardised_mae", "mae", "rmse", "smape", "mase", "crps")
}


@dataclass
class Sums:
    """Errors added up over windows; every answer counts the same.

    Values are float64 [H, B, D] and in original units where nothing else is said.
    """

    totals: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, values: np.ndarray, seen: np.ndarray) -> None:
        """Values of a kind, where they were seen."""
        self.totals[name] = self.totals.get(name, 0.0) + float(values[seen].sum())
        self.counts[name] = self.counts.get(name, 0) + int(seen.sum())

    def add_errors(self, forecast: np.ndarray, truth: np.ndarray, seen: np.ndarray, scale: Rescale) -> None:
        """The errors of standardised forecasts.

        Args:
            forecast, truth: standardised, [H, B, D].
            seen: where a true value was there, bool [H, B, D].
            scale: of the batch's rows.
        """
        apart = np.abs(forecast - truth)
        self.add("standardised_mse", apart**2, seen)
        self.add("standardised_mae", apart, seen)
        errors = apart * scale.size
        self.add("mae", errors, seen)
        self.add("squared", errors**2, seen)
        both = np.abs(scale.original(forecast)) + np.abs(scale.original(truth))
        # Zero forecast as zero is no error.
        self.add("smape", 200 * errors / np.where(both > 0, both, 1.0), seen)
        known = seen & ~np.isnan(scale.naive)
        self.add("mase", errors / np.where(np.isnan(scale.naive), 1.0, scale.naive), known)

    def means(self) -> dict[str, float]:
        """The metrics, of those for which there was anything."""
        found = {name: total / self.counts[name] for name, total in self.totals.items() if self.counts[name]}
        if "squared" in found:
            found["rmse"] = found.pop("squared") ** 0.5
        return found


@dataclass(frozen=True)
class Rescale:
    """From standardised to original units: value = shift + size * standardised; [B, D], as is `naive`, see `Scale`."""

    shift: np.ndarray
    size: np.ndarray
    naive: np.ndarray

    @classmethod
    def of(cls, batch: Batch) -> Rescale:
        """That of a batch."""
        return cls(*(as_array(batch[name]) for name in ("shift", "size", "naive_error")))

    def of_target(self, d: int) -> Rescale:
        """That of one target alone, [B, 1]."""
        return Rescale(self.shift[:, d : d + 1], self.size[:, d : d + 1], self.naive[:, d : d + 1])

    def original(self, standardised: np.ndarray) -> np.ndarray:
        """[..., B, D] in original units."""
        return self.shift + self.size * standardised


def as_array(tensor: Tensor) -> np.ndarray:
    """A tensor as float64 on the CPU."""
    return tensor.detach().cpu().double().numpy()


def of_baselines(batches: Iterable[Batch]) -> dict[str, float]:
    """The metrics of the seasonal naive forecast, and under `naive_...` of repeating the last value.

    Args:
        batches: of the backtest, with the fields of `naive_forecasts`.
    """
    parts = {"seasonal": Sums(), "naive": Sums()}
    for batch in batches:
        scale, truth = Rescale.of(batch), as_array(batch["future"])
        seen = as_array(batch["future_seen"]) > 0
        for name, sums in parts.items():
            forecast = as_array(batch[name])
            sums.add_errors(forecast, truth, seen, scale)
            # Of a forecast that is one number, CRPS is the absolute error.
            sums.add("crps", np.abs(forecast - truth) * scale.size, seen)
    naive = {NAIVE + name: value for name, value in parts["naive"].means().items()}
    return parts["seasonal"].means() | naive

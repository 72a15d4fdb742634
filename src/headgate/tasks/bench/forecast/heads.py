"""What a network says of a value to come: a point, quantiles, or a distribution; each with its loss and its score.

All is in standardised units. A window's own normalisation has value = shift + size * normalised, and a network answers
in normalised units. Scores are CRPS, see Gneiting & Raftery 2007, "Strictly proper scoring rules, prediction, and
estimation", JASA 102(477).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import torch
from scipy import special
from torch import Tensor
from torch.nn import functional

SMALLEST = 1e-4
# A Student t of fewer degrees of freedom has no variance.
LEAST_FREEDOM = 2.0
# Levels over which a score without closed form is summed.
FINE = np.linspace(0.01, 0.99, 99)


@dataclass(frozen=True)
class Units:
    """How a window's numbers are meant, [B, D] each.

    Attributes:
        shift, size: standardised = shift + size * normalised.
        unit: original units in one standardised; original zero is standardised zero for counts.
    """

    shift: Tensor
    size: Tensor
    unit: Tensor


class Head(ABC):
    """What is said of a value, from K numbers of the network, [H, B, D, K].

    Attributes:
        width: K.
        centre: which of them says where the value lies.
        reads_unit: whether what is said hangs on `Units.unit`.
    """

    width: int
    centre: int = 0
    reads_unit: bool = False

    @abstractmethod
    def losses(self, raw: Tensor, values: Tensor, units: Units) -> Tensor:
        """The loss of each value, [H, B, D]."""

    @abstractmethod
    def stated(self, raw: Tensor, units: Units) -> dict[str, Tensor]:
        """All that is said, by name, [H, B, D] each where a head says nothing else.

        First `point`: a mean, or a median where the head learns one.
        """

    def point(self, raw: Tensor, units: Units) -> Tensor:
        """One number for each value, [H, B, D]."""
        return self.stated(raw, units)["point"]

    def quantiles(self, raw: Tensor, levels: list[float], units: Units) -> np.ndarray | None:
        """Quantiles at ascending levels, float64 [levels, H, B, D]; None of a head that says a point alone."""
        return None

    def score(self, raw: Tensor, values: Tensor, units: Units) -> np.ndarray:
        """CRPS of each value, float64 [H, B, D]; of a point it is the absolute error."""
        return _array((self.point(raw, units) - values).abs())


@dataclass(frozen=True)
class Point(Head):
    """A mean, by squared error, or a median, by absolute error."""

    squared: bool
    width = 1

    def losses(self, raw: Tensor, values: Tensor, units: Units) -> Tensor:
        errors = self.point(raw, units) - values
        return errors.square() if self.squared else errors.abs()

    def stated(self, raw: Tensor, units: Units) -> dict[str, Tensor]:
        return {"point": units.shift + units.size * raw[..., 0]}


@dataclass(frozen=True)
class Quantiles(Head):
    """Quantiles at fixed levels, by pinball loss (Koenker & Bassett 1978, "Regression quantiles", Econometrica 46(1)).

    The middle one is said outright, each other by its distance, which is positive: they cannot cross.
    """

    levels: tuple[float, ...]

    @property
    def width(self) -> int:
        return len(self.levels)

    @property
    def centre(self) -> int:
        """Where the median stands, or the level nearest to it."""
        return min(range(len(self.levels)), key=lambda k: abs(self.levels[k] - 0.5))

    def at_levels(self, raw: Tensor, units: Units) -> Tensor:
        """All quantiles, [levels, H, B, D]."""
        middle = raw[..., self.centre, None]
        above = middle + functional.softplus(raw[..., self.centre + 1 :]).cumsum(-1)
        below = middle - functional.softplus(raw[..., : self.centre]).flip(-1).cumsum(-1).flip(-1)
        return units.shift + units.size * torch.cat([below, middle, above], -1).permute(3, 0, 1, 2)

    def losses(self, raw: Tensor, values: Tensor, units: Units) -> Tensor:
        return self._pinball(raw, values, units).mean(0)

    def _pinball(self, raw: Tensor, values: Tensor, units: Units) -> Tensor:
        errors = values - self.at_levels(raw, units)
        levels = errors.new_tensor(self.levels).reshape(-1, *[1] * values.dim())
        return torch.maximum(levels * errors, (levels - 1) * errors)

    def stated(self, raw: Tensor, units: Units) -> dict[str, Tensor]:
        """`quantiles` at the learned levels, [levels, H, B, D]."""
        found = self.at_levels(raw, units)
        return {"point": found[self.centre], "quantiles": found}

    def quantiles(self, raw: Tensor, levels: list[float], units: Units) -> np.ndarray:
        """At the learned levels, and straight lines between them; beyond the outermost, those."""
        known = _array(self.at_levels(raw, units))
        places = np.interp(levels, self.levels, np.arange(len(self.levels)))
        low = np.floor(places).astype(int)
        high = np.minimum(low + 1, len(self.levels) - 1)
        share = (places - low).reshape(-1, *[1] * (known.ndim - 1))
        return known[low] + share * (known[high] - known[low])

    def score(self, raw: Tensor, values: Tensor, units: Units) -> np.ndarray:
        """Twice the mean pinball loss over the learned levels, which approaches CRPS as they become many."""
        return 2 * _array(self._pinball(raw, values, units).mean(0))


class Gaussian(Head):
    """A normal distribution, by its density."""

    width = 2

    def _mean_and_spread(self, raw: Tensor, units: Units) -> tuple[Tensor, Tensor]:
        return units.shift + units.size * raw[..., 0], units.size * (functional.softplus(raw[..., 1]) + SMALLEST)

    def losses(self, raw: Tensor, values: Tensor, units: Units) -> Tensor:
        mean, spread = self._mean_and_spread(raw, units)
        return 0.5 * ((values - mean) / spread).square() + spread.log() + 0.5 * math.log(2 * math.pi)

    def stated(self, raw: Tensor, units: Units) -> dict[str, Tensor]:
        """`spread`: the standard deviation."""
        return dict(zip(("point", "spread"), self._mean_and_spread(raw, units), strict=True))

    def quantiles(self, raw: Tensor, levels: list[float], units: Units) -> np.ndarray:
        mean, spread = map(_array, self._mean_and_spread(raw, units))
        return np.stack([mean + spread * special.ndtri(level) for level in levels])

    def score(self, raw: Tensor, values: Tensor, units: Units) -> np.ndarray:
        mean, spread = map(_array, self._mean_and_spread(raw, units))
        z = (_array(values) - mean) / spread
        density = np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)
        return spread * (z * (2 * special.ndtr(z) - 1) + 2 * density - 1 / np.sqrt(np.pi))


class StudentT(Head):
    """Student's t, for values that stray further than normal ones, by its density."""

    width = 3

    def _parts(self, raw: Tensor, units: Units) -> tuple[Tensor, Tensor, Tensor]:
        mean = units.shift + units.size * raw[..., 0]
        spread = units.size * (functional.softplus(raw[..., 1]) + SMALLEST)
        return mean, spread, LEAST_FREEDOM + functional.softplus(raw[..., 2])

    def losses(self, raw: Tensor, values: Tensor, units: Units) -> Tensor:
        mean, spread, freedom = self._parts(raw, units)
        return -torch.distributions.StudentT(freedom, mean, spread, validate_args=False).log_prob(values)

    def stated(self, raw: Tensor, units: Units) -> dict[str, Tensor]:
        """`spread`: what (value - point) is divided by; `freedom`: degrees of it."""
        return dict(zip(("point", "spread", "freedom"), self._parts(raw, units), strict=True))

    def quantiles(self, raw: Tensor, levels: list[float], units: Units) -> np.ndarray:
        mean, spread, freedom = map(_array, self._parts(raw, units))
        return np.stack([mean + spread * special.stdtrit(freedom, level) for level in levels])

    def score(self, raw: Tensor, values: Tensor, units: Units) -> np.ndarray:
        """In closed form: Jordan, Krüger & Lerch 2019, "Evaluating probabilistic forecasts with scoringRules", A.2."""
        mean, spread, nu = map(_array, self._parts(raw, units))
        z = (_array(values) - mean) / spread
        density = np.exp(-(nu + 1) / 2 * np.log1p(z**2 / nu) - 0.5 * np.log(nu) - special.betaln(0.5, nu / 2))
        inner = np.exp(special.betaln(0.5, nu - 0.5) - 2 * special.betaln(0.5, nu / 2))
        below = special.stdtr(nu, z)
        return spread * (
            z * (2 * below - 1) + 2 * density * (nu + z**2) / (nu - 1) - 2 * np.sqrt(nu) / (nu - 1) * inner
        )


class NegativeBinomial(Head):
    """Counts that spread more than a Poisson's: mean m, variance m + a m^2.

    Salinas, Flunkert, Gasthaus & Januschowski 2020, "DeepAR: probabilistic forecasting with autoregressive recurrent
    networks", IJF 36(3).
    """

    width = 2
    reads_unit = True

    def _mean_and_spread(self, raw: Tensor, units: Units) -> tuple[Tensor, Tensor]:
        """m in counts and a."""
        mean = units.unit * units.size * functional.softplus(raw[..., 0]) + SMALLEST
        return mean, functional.softplus(raw[..., 1]) + SMALLEST

    def losses(self, raw: Tensor, values: Tensor, units: Units) -> Tensor:
        mean, spread = self._mean_and_spread(raw, units)
        counts, r = (values * units.unit).round(), 1 / spread
        ways = torch.lgamma(counts + r) - torch.lgamma(counts + 1) - torch.lgamma(r)
        return -(ways - r * torch.log1p(spread * mean) + counts * (torch.log(mean) - torch.log(mean + r)))

    def stated(self, raw: Tensor, units: Units) -> dict[str, Tensor]:
        """`mean` m in counts, and `spread` a."""
        mean, spread = self._mean_and_spread(raw, units)
        return {"point": mean / units.unit, "mean": mean, "spread": spread}

    def quantiles(self, raw: Tensor, levels: list[float], units: Units) -> np.ndarray:
        mean, spread = map(_array, self._mean_and_spread(raw, units))
        r = 1 / spread
        share = r / (r + mean)
        return np.stack([_least_count(level, r, share) for level in levels]) / _array(units.unit)

    def score(self, raw: Tensor, values: Tensor, units: Units) -> np.ndarray:
        """From quantiles at a hundred levels."""
        found = self.quantiles(raw, FINE.tolist(), units)
        errors = _array(values) - found
        levels = FINE.reshape(-1, *[1] * values.dim())
        return 2 * np.maximum(levels * errors, (levels - 1) * errors).mean(0)


def make(name: str, levels: list[float]) -> Head:
    """A head by the name that `Options.head` has for it; `levels` are those of the quantiles it is to learn."""
    made = {"mse": Point(True), "mae": Point(False), "quantile": Quantiles(tuple(levels))}
    made |= {"gaussian": Gaussian(), "student_t": StudentT(), "negative_binomial": NegativeBinomial()}
    return made[name]


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().cpu().double().numpy()


def _least_count(level: float, r: np.ndarray, share: np.ndarray) -> np.ndarray:
    """The least count k whose distribution function, I_share(r, k + 1), reaches the level; by halving."""
    low = np.full(r.shape, -1.0)
    high = np.ceil(1 + 2 * r * (1 - share) / share)
    while (short := special.betainc(r, high + 1, share) < level).any():
        high = np.where(short, 2 * high + 1, high)
    while (high - low > 1).any():
        half = np.floor((low + high) / 2)
        # Where the search is over, half is low, which may be -1: below every count.
        reached = (half > low) & (special.betainc(r, np.maximum(half, 0) + 1, share) >= level)
        low, high = np.where(reached, low, half), np.where(reached, half, high)
    return high

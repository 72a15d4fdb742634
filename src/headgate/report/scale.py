"""From values to places on an axis: linear, by decades, and by logits; each knows its ticks."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
TIMES, NO_BREAK = "\u00d7", "\u00a0"


@dataclass(frozen=True)
class Scale(ABC):
    """An axis.

    Args:
        low, high: values at its two ends.
        start, end: places of those ends; `end` may be below `start`, as on an axis that points up.
    """

    low: float
    high: float
    start: float
    end: float

    @abstractmethod
    def stretch(self, value: float) -> float:
        """The value on the scale on which the axis is even."""

    @abstractmethod
    def ticks(self) -> list[tuple[float, str]]:
        """Values to mark, and what to write there."""

    def __call__(self, value: float) -> float:
        """Where a value stands; one beyond an end stands at that end."""
        low, high = self.stretch(self.low), self.stretch(self.high)
        part = (self.stretch(min(max(value, self.low), self.high)) - low) / (high - low)
        return self.start + part * (self.end - self.start)


class Linear(Scale):
    """Even in the value itself; about five round ticks."""

    def stretch(self, value: float) -> float:
        return value

    def ticks(self) -> list[tuple[float, str]]:
        step = _round_step((self.high - self.low) / 5)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [(k * step, f"{k * step:.6g}") for k in range(first, last + 1)]


class Nothing(Linear):
    """Linear, without ticks."""

    def ticks(self) -> list[tuple[float, str]]:
        return []


class Percent(Linear):
    """Linear, with shares written in percent."""

    def ticks(self) -> list[tuple[float, str]]:
        return [(value, f"{100 * value:.6g} %") for value in (0.0, 0.5, 1.0) if self.low <= value <= self.high]


class Decades(Scale):
    """Even in the logarithm; a tick a decade, or every few."""

    def stretch(self, value: float) -> float:
        return math.log10(max(value, self.low))

    def ticks(self) -> list[tuple[float, str]]:
        first, last = math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9)
        every = max(1, math.ceil((last - first) / 7))
        return [(10.0**k, power_of_ten(k)) for k in range(first, last + 1) if k % every == 0]


class Powers(Linear):
    """Even in values that are logarithms already; a tick a decade, or every few."""

    def ticks(self) -> list[tuple[float, str]]:
        first, last = math.ceil(self.low - 1e-9), math.floor(self.high + 1e-9)
        every = next(step for step in (1, 2, 3, 5, 10, 20, 50, 100, 1000) if (last - first) / step <= 7)
        return [(float(k), power_of_ten(k)) for k in range(first, last + 1) if k % every == 0]


class Lags(Scale):
    """Steps back: even in log(1 + k), so that lag 0 has its place; round ticks."""

    def stretch(self, value: float) -> float:
        return math.log1p(max(value, 0.0))

    def ticks(self) -> list[tuple[float, str]]:
        return [(k, _count(k)) for k in _spread(self, [0, *_one_two_five(self.high)])]


class Steps(Scale):
    """Numbers of steps from 1 on, even in the logarithm; round ticks."""

    def stretch(self, value: float) -> float:
        return math.log10(max(value, self.low))

    def ticks(self) -> list[tuple[float, str]]:
        return [(k, _count(k)) for k in _spread(self, [k for k in _one_two_five(self.high) if k >= self.low])]


class Logit(Scale):
    """Even in log(p / (1 - p)): a linear axis from 0 to 1 hides what matters in a gate."""

    def stretch(self, value: float) -> float:
        value = min(max(value, self.low), self.high)
        return math.log(value / (1.0 - value))

    def ticks(self) -> list[tuple[float, str]]:
        marks = (0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999)
        return [(p, f"{p:g}".removeprefix("0")) for p in marks if self.low <= p <= self.high]


def timescale(keep: float) -> str:
    """Steps over which a gate held at `keep` lets its memory fade to 1/e, in two digits: -1 / log keep."""
    return f"{float(f'{-1.0 / math.log(keep):.2g}'):g}"


def power_of_ten(exponent: int) -> str:
    """10 to a whole power, as one writes it; 1 and 10 as they are."""
    return {0: "1", 1: "10"}.get(exponent, "10" + str(exponent).translate(SUPERSCRIPT))


def magnitude(value: float, digits: int = 1) -> str:
    """A positive number short enough for a label: 2.6, 0.19, 4 times a power of ten written so.

    Args:
        value: any number.
        digits: how many stand before the power of ten.
    """
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else str(value)
    if 0.01 <= abs(value) < 1000:
        return f"{value:.2g}" if abs(value) < 100 else f"{value:.0f}"
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    power = power_of_ten(int(exponent))
    return power if mantissa == "1" else f"{mantissa}{NO_BREAK}{TIMES}{NO_BREAK}{power}"


def two_decimals(value: float) -> str:
    """As it says; there is no minus zero."""
    text = f"{value:.2f}"
    return text.removeprefix("-") if float(text) == 0 else text


def percent(share: float) -> str:
    """A share in whole percent; there is no minus zero."""
    return f"{round(100 * share)}{NO_BREAK}%"


def _one_two_five(high: float) -> list[int]:
    decades = range(1 + int(math.log10(max(high, 1.0))))
    return [step * 10**k for k in decades for step in (1, 2, 5) if step * 10**k <= high]


def _spread(scale: Scale, values: list[int], gap: float = 34.0) -> list[int]:
    """Of round values, those that leave room for each other's words; powers of ten go first."""
    kept: list[int] = []
    for value in sorted(values, key=lambda k: (str(k).lstrip("1").strip("0") != "", k)):
        if all(abs(scale(value) - scale(other)) >= gap for other in kept):
            kept.append(value)
    return sorted(kept)


def _count(value: int) -> str:
    if value < 10_000:
        return f"{value:,}"
    return f"{value / 1000:,g}k" if value < 10**6 else f"{value / 1e6:,g}M"


def _round_step(rough: float) -> float:
    power = 10.0 ** math.floor(math.log10(rough))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= rough * (1 - 1e-9))

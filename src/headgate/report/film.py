"""A net learning to remember: gradient by lag over training steps, the loss above, warnings as pins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from headgate.report import svg
from headgate.report.decay import power
from headgate.report.figure import Figure
from headgate.report.heatmap import heat, legend
from headgate.report.layer import Layer
from headgate.report.lines import Line
from headgate.report.panel import around, box, linear_range, panel, whole_decades
from headgate.report.plot import Axis, Box
from headgate.report.scale import Lags, Linear, power_of_ten

LOSS, BETWEEN, FILM = 74.0, 26.0, 220.0
LISTED = 64
TITLE = "Learning to remember"
EXPERT = (
    "r(k) as in the decay, measured during training; the line is the horizon at 1e-3. Between the moments measured, "
    "the nearest one is shown."
)
FORMULA = r"\log_{10} r(k)\ \text{at each training step},\qquad H_{10^{-3}}=\max\{k:\ r(k)\ge 10^{-3}\}"
CHANGE = "the learning rate, the keeping gate's initial bias, more steps: the reach often jumps at one step."


@dataclass(frozen=True)
class Filmed:
    """What was filmed of a layer: steps [N], frames [N, lag] in log10, lags [lag], loss [N] or None."""

    layer: Layer
    steps: np.ndarray
    frames: np.ndarray
    lags: np.ndarray
    loss: np.ndarray | None

    @property
    def far(self) -> np.ndarray:
        """How far back a thousandth arrives, [N]."""
        return reach(self.frames, self.lags)

    @property
    def warnings(self) -> list[dict[str, Any]]:
        """What was said during training."""
        return self.layer.facts.get("warnings") or []


@dataclass(frozen=True)
class Ends:
    """What axes and colours run over: training steps, lags from 0, decades, losses if there are any."""

    first: float
    last: float
    lag: float
    low: float
    high: float
    loss: tuple[float, float] | None


def film(layer: Layer) -> Figure | None:
    """The figure of a layer; None where training was not filmed."""
    found = filmed(layer)
    if found is None:
        return None
    upper = box(LOSS, right=96.0)
    lower = Box(upper.left, upper.bottom + BETWEEN, upper.right, upper.bottom + BETWEEN + FILM)
    if found.loss is None:
        upper, lower = None, box(FILM, right=96.0)
    ends = ends_of([found])
    bar = Box(lower.right + 46, lower.top + 40, lower.right + 58, lower.bottom - 20)
    parts = [*drawn(found, ends, upper, lower, named=True), key(bar, ends)]
    first, last = found.far[[0, -1]].astype(int)
    shown = listed([found])
    return Figure(
        name="film",
        title=TITLE,
        picture=around(f"Gradient by lag over training: its reach goes from lag {first} to {last}.", lower, *parts),
        reading=(
            f"Each column is one moment of training; bright, much gradient arrives from that far back. The line is how "
            f"far a thousandth of it reaches: {first:,} steps at first, {last:,} at the end."
            + (" Pins are warnings." if found.warnings else "")
        ),
        expert=EXPERT,
        formula=FORMULA,
        change=CHANGE,
        header=header(shown),
        numbers=rows(found, shown),
    )


def filmed(layer: Layer) -> Filmed | None:
    """A layer's film; None where training was not filmed."""
    found = layer.arrays("film_steps", "film", "lags")
    if found is None or len(found[0]) < 2:
        return None
    return Filmed(layer, *found, layer.array("film_loss"))


def ends_of(films: Sequence[Filmed]) -> Ends:
    """Axes and colours that hold all of some films."""
    low, high = whole_decades(*(found.frames for found in films), floor=-12.0, most=2.0)
    losses = [found.loss for found in films if found.loss is not None]
    return Ends(
        min(float(found.steps[0]) for found in films),
        max(float(found.steps[-1]) for found in films),
        max(float(found.lags[-1]) for found in films),
        low,
        high,
        linear_range(*losses) if losses else None,
    )


def drawn(
    film: Filmed, ends: Ends, upper: Box | None, lower: Box, *, heading: str = "", first: bool = True,
    named: bool = False,
) -> list[Markup]:
    """A film in its place, and the loss above it where there is a place for it.

    Args:
        heading: above all of it.
        first: whether the vertical axes carry words; one beside another shares them.
        named: whether the lines' names stand at their ends.
    """  # fmt: skip
    x = Linear(ends.first, ends.last, lower.left, lower.right)
    y = Lags(0.0, max(ends.lag, 1.0), lower.bottom, lower.top)
    most = film.layer.detail
    cells = resampled(film.steps, film.frames, film.lags, most, (ends.first, ends.last), ends.lag)
    image = heat(cells, lower, ends.low, ends.high, "log10 relative gradient", most=most)
    line = [Line(film.steps, film.far, "casing"),
            Line(film.steps, film.far, "ink", "reach" if named else "", name="reaches back to lag")]  # fmt: skip
    vertical = Axis(y, "lag k" if first else "", labelled=first)
    parts = [
        panel(lower, Axis(x, "training step"), vertical, image, lines=line, reads_up="lag k",
              heading="" if upper else heading),
        *_pins(film.warnings, x, lower),
    ]  # fmt: skip
    if upper is not None and ends.loss is not None:
        vertical = Axis(Linear(*ends.loss, upper.bottom, upper.top), "loss" if first else "", labelled=first)
        across = Axis(Linear(x.low, x.high, upper.left, upper.right), labelled=False)
        loss = Line(film.steps, film.loss, "faint", "loss" if named else "", name="training loss")
        parts.append(panel(upper, across, vertical, reads="training step", reads_up="loss", heading=heading,
                           lines=[] if film.loss is None else [loss]))  # fmt: skip
    return parts


def key(bar: Box, ends: Ends) -> Markup:
    """What the colours mean."""
    return legend(bar, power_of_ten(int(ends.low)), power_of_ten(int(ends.high)), "")


def listed(films: Sequence[Filmed]) -> list[int]:
    """Lags for a table of some films."""
    return sorted({int(found.lags[k]) for found in films for k in _shown(found.lags)})


def header(lags: Sequence[int]) -> list[str]:
    """What the columns of `rows` are called."""
    return ["training step", "loss", "reach at 1e-3", *(f"r({lag})" for lag in lags)]


def rows(film: Filmed, lags: Sequence[int], most: int = LISTED) -> list[list[str]]:
    """A film as a table: so many moments, and the relative gradient at each of the lags that it has."""
    at = [int(np.abs(film.lags - lag).argmin()) if lag <= film.lags[-1] else None for lag in lags]
    far = film.far
    return [
        [f"{film.steps[k]:.0f}", "" if film.loss is None else f"{film.loss[k]:.4g}", f"{far[k]:.0f}",
         *("" if place is None else power(film.frames[k, place]) for place in at)]
        for k in even_looks(film.steps, most)
    ]  # fmt: skip


def even_looks(steps: np.ndarray, most: int) -> list[int]:
    """Of many looks, those nearest to so many moments even in training steps, each once."""
    moments = np.linspace(steps[0], steps[-1], most)
    return np.unique(np.abs(steps[None] - moments[:, None]).argmin(1)).tolist()


def resampled(
    steps: np.ndarray, frames: np.ndarray, lags: np.ndarray, most: int, moments: tuple[float, float], high: float
) -> np.ndarray:
    """Frames on a picture's even axes: training steps across, log(1 + lag) upwards, the nearest that was measured.

    Args:
        steps: [N]. frames: [N, lag]. lags: [lag]. most: cells along a side.
        moments: training steps at the two ends. high: the lag at the top.

    Returns:
        [rows, columns], the largest lag in the first row; NaN beyond what was filmed.
    """
    times = np.linspace(*moments, most)
    columns = np.abs(steps[None] - times[:, None]).argmin(1)
    found = along_lags(frames[columns], lags, most, high)
    found[(times < steps[0]) | (times > steps[-1])] = np.nan
    return found[:, ::-1].T


def along_lags(values: np.ndarray, lags: np.ndarray, most: int, high: float | None = None) -> np.ndarray:
    """Values by lag, [..., lag], in cells even in log(1 + lag) up to `high` or the last: [..., most], NaN beyond it."""
    found = values[..., even_lags(lags, most, high)].astype(float)
    found[..., _places(lags, most, high) > lags[-1] + 0.5] = np.nan
    return found


def even_lags(lags: np.ndarray, most: int, high: float | None = None) -> np.ndarray:
    """For each cell of an axis even in log(1 + lag), ascending, which lag stands there."""
    return np.abs(lags[None] - _places(lags, most, high)[:, None]).argmin(1)


def _places(lags: np.ndarray, most: int, high: float | None) -> np.ndarray:
    return np.expm1((np.arange(most) + 0.5) / most * np.log1p(lags[-1] if high is None else high))


def reach(frames: np.ndarray, lags: np.ndarray) -> np.ndarray:
    """The largest lag at which at least a thousandth arrives, [N]; frames: log10, [N, lag]."""
    enough = np.nan_to_num(frames, nan=-np.inf) >= -3
    return np.array([lags[np.flatnonzero(row)[-1]] if row.any() else 0.0 for row in enough])


def _pins(warnings: list[dict[str, Any]], x: Linear, place: Box) -> list[Markup]:
    parts = []
    for warning in warnings[:40]:
        at = x(float(warning.get("step", 0)))
        head = [(at, place.top), (at - 5, place.top - 10), (at + 5, place.top - 10)]
        said = f"step {warning.get('step')}: {warning.get('name', '')}: {warning.get('text', '')}"
        parts.append(svg.group(svg.element("title", said), svg.path(head, closed=True, class_="pin"),
                               svg.line(at, place.top, at, place.bottom, class_="need")))  # fmt: skip
    return parts


def _shown(lags: np.ndarray) -> list[int]:
    return sorted({int(np.abs(lags - lag).argmin()) for lag in (1, 10, 100, 1000, lags[-1])})

"""A net learning to remember: gradient by lag over training steps, the loss above, warnings as pins."""

from __future__ import annotations

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
FORMULA = r"\log_{10} r(k)\ \text{at each training step},\qquad H_{10^{-3}}=\max\{k:\ r(k)\ge 10^{-3}\}"


def film(layer: Layer) -> Figure | None:
    """The figure of a layer; None where training was not filmed."""
    found = layer.arrays("film_steps", "film", "lags")
    if found is None or len(found[0]) < 2:
        return None
    steps, frames, lags = found
    loss = layer.array("film_loss")
    upper = box(LOSS, right=96.0)
    lower = Box(upper.left, upper.bottom + BETWEEN, upper.right, upper.bottom + BETWEEN + FILM)
    if loss is None:
        lower = box(FILM, right=96.0)
    low, high = whole_decades(frames, floor=-12.0, most=2.0)
    x = Linear(float(steps[0]), float(steps[-1]), lower.left, lower.right)
    y = Lags(0.0, max(float(lags[-1]), 1.0), lower.bottom, lower.top)
    cells = resampled(steps, frames, lags, layer.detail)
    image = heat(cells, lower, low, high, "log10 relative gradient", most=layer.detail)
    far = reach(frames, lags)
    warnings = layer.facts.get("warnings") or []
    line = [Line(steps, far, "casing"), Line(steps, far, "ink", "reach", name="reaches back to lag")]
    axis = Axis(x, "training step")
    parts = [
        panel(lower, axis, Axis(y, "lag k"), image, lines=line),
        legend(Box(lower.right + 46, lower.top + 40, lower.right + 58, lower.bottom - 20), power_of_ten(int(low)),
               power_of_ten(int(high)), ""),
        *_pins(warnings, x, lower),
    ]  # fmt: skip
    if loss is not None:
        vertical = Axis(Linear(*linear_range(loss), upper.bottom, upper.top), "loss")
        across = Axis(Linear(x.low, x.high, upper.left, upper.right), labelled=False)
        parts.append(panel(upper, across, vertical, reads="training step",
                           lines=[Line(steps, loss, "faint", "loss", name="training loss")]))
    first, last = int(far[0]), int(far[-1])
    return Figure(
        name="film",
        title="Learning to remember",
        picture=around(f"Gradient by lag over training: its reach goes from lag {first} to {last}.", lower, *parts),
        reading=(
            f"Each column is one moment of training; bright, much gradient arrives from that far back. The line is how "
            f"far a thousandth of it reaches: {first:,} steps at first, {last:,} at the end."
            + (" Pins are warnings." if warnings else "")
        ),
        expert="r(k) as in the decay, measured during training; the line is the horizon at 1e-3. Between the moments "
        "measured, the nearest one is shown.",
        formula=FORMULA,
        change="the learning rate, the keeping gate's initial bias, more steps: the reach often jumps at one step.",
        header=["training step", "loss", "reach at 1e-3", *(f"r({int(lags[k])})" for k in _shown(lags))],
        numbers=[
            [f"{step:.0f}", "" if loss is None else f"{loss[k]:.4g}", f"{far[k]:.0f}",
             *(power(frames[k, at]) for at in _shown(lags))]
            for k, step in ((k, steps[k]) for k in even_looks(steps, LISTED))
        ],
    )  # fmt: skip


def even_looks(steps: np.ndarray, most: int) -> list[int]:
    """Of many looks, those nearest to so many moments even in training steps, each once."""
    moments = np.linspace(steps[0], steps[-1], most)
    return np.unique(np.abs(steps[None] - moments[:, None]).argmin(1)).tolist()


def resampled(steps: np.ndarray, frames: np.ndarray, lags: np.ndarray, most: int) -> np.ndarray:
    """Frames on a picture's even axes: training steps across, log(1 + lag) upwards, the nearest that was measured.

    Args:
        steps: [N]. frames: [N, lag]. lags: [lag]. most: cells along a side.

    Returns:
        [rows, columns], the largest lag in the first row.
    """
    moments = np.linspace(steps[0], steps[-1], most)
    columns = np.abs(steps[None] - moments[:, None]).argmin(1)
    return frames[columns][:, even_lags(lags, most)[::-1]].T


def even_lags(lags: np.ndarray, most: int) -> np.ndarray:
    """For each cell of an axis even in log(1 + lag), ascending, which lag stands there."""
    places = np.expm1((np.arange(most) + 0.5) / most * np.log1p(lags[-1]))
    return np.abs(lags[None] - places[:, None]).argmin(1)


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

"""Learning, step by step: the loss, and beside it how much gradient reached the first step meanwhile."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from headgate.report.figure import Figure, short
from headgate.report.lines import Line, draw, level
from headgate.report.plot import Axis, Box, frame, picture
from headgate.report.scale import Decades, Linear, magnitude
from headgate.report.summary import Row

WIDTH, TOP, TALL = 1120.0, 30.0, 230.0
LEFT_BOX = Box(66.0, TOP, 440.0, TOP + TALL)
RIGHT_BOX = Box(626.0, TOP, 1000.0, TOP + TALL)
WINDOW = 20
POINTS = 150
SMALLEST = 1e-12


def curves(rows: Sequence[Row]) -> Figure:
    """The figure of a task."""
    steps = rows[0].task["recipe"]["steps"]
    return Figure(
        title="Learning, step by step",
        picture=picture(
            WIDTH,
            TOP + TALL + 44,
            f"{rows[0].task['title']}: training loss of every cell over {steps} steps, and the gradient that reached "
            "the first step meanwhile.",
            _loss(rows, steps),
            _film(rows, steps),
        ),
        reading=(
            f"Left: the loss on the training batches, mean of {WINDOW} steps; median over seeds, and their range. "
            "Right: of the gradient at the last step, what reached the first one, measured while training went on. "
            "Where it is tiny, the first steps cannot teach the weights anything."
        ),
        formula=r"L(\text{step}),\qquad r(T-1)\ \text{at that step}",
        change="the learning rate, the number of steps, the seed; all cells took the same number of steps.",
        header=["step", *(f"{row.label}, loss" for row in rows)],
        numbers=_numbers(rows, steps),
    )


def smooth(losses: np.ndarray, window: int = WINDOW) -> np.ndarray:
    """Means over the last `window` losses (fewer at the beginning); [seeds, steps] to the same, NaN staying NaN."""
    total = np.concatenate([np.zeros((len(losses), 1)), np.cumsum(losses, axis=1)], axis=1)
    ends = np.arange(1, losses.shape[1] + 1)
    starts = np.maximum(ends - window, 0)
    return (total[:, ends] - total[:, starts]) / (ends - starts)


def over_seeds(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lowest, median and highest of the seeds that are there, [N] each; NaN where none is. values: [seeds, N]."""
    found = np.full((3, values.shape[1]), np.nan)
    there = np.isfinite(values).any(0)
    for row, function in zip(found, (np.nanmin, np.nanmedian, np.nanmax), strict=True):
        row[there] = function(values[:, there], axis=0)
    return found[0], found[1], found[2]


def _loss(rows: Sequence[Row], steps: int) -> Markup:
    smoothed = [smooth(row.losses()) for row in rows]
    chance = rows[0].task["baseline"]["loss"]
    low, high = _decades([*smoothed, np.array([chance])])
    x, y = Linear(0.0, float(steps), LEFT_BOX.left, LEFT_BOX.right), Decades(low, high, LEFT_BOX.bottom, LEFT_BOX.top)
    at = np.unique(np.linspace(0, steps - 1, POINTS).round().astype(int))
    lines = [_line(row, at + 1.0, values[:, at]) for row, values in zip(rows, smoothed, strict=True)]
    axes = frame(LEFT_BOX, Axis(x, "training step"), Axis(y, "training loss"), "Loss")
    return axes + level(chance, rows[0].task["baseline_words"], y, LEFT_BOX) + draw(lines, x, y, LEFT_BOX)


def _film(rows: Sequence[Row], steps: int) -> Markup:
    films = [row.film() for row in rows]
    low, high = _decades([reached for _, reached in films])
    x = Linear(0.0, float(steps), RIGHT_BOX.left, RIGHT_BOX.right)
    y = Decades(low, high, RIGHT_BOX.bottom, RIGHT_BOX.top)
    lines = [_line(row, moments, reached) for row, (moments, reached) in zip(rows, films, strict=True)]
    heading = "Gradient that reaches the first step"
    axes = frame(RIGHT_BOX, Axis(x, "training step"), Axis(y, "relative to the last step"), heading)
    return axes + draw(lines, x, y, RIGHT_BOX)


def _line(row: Row, x: np.ndarray, values: np.ndarray) -> Line:
    low, middle, high = over_seeds(values)
    there = middle[np.isfinite(middle)]
    label = f"{short(row.label)} {magnitude(float(there[-1]))}" if len(there) else ""
    return Line(x, middle, row.style, label, low, high)


def _decades(values: Sequence[np.ndarray]) -> tuple[float, float]:
    """Whole decades that hold all values above zero."""
    joined = np.concatenate([v.ravel() for v in values])
    joined = joined[np.isfinite(joined) & (joined > SMALLEST)]
    if not joined.size:
        return 0.1, 1.0
    low, high = math.floor(math.log10(joined.min())), math.ceil(math.log10(joined.max()))
    return 10.0**low, 10.0 ** max(high, low + 1)


def _numbers(rows: Sequence[Row], steps: int) -> list[list[str]]:
    medians = [over_seeds(smooth(row.losses()))[1] for row in rows]
    moments = sorted({1, *(round(steps * k / 8) for k in range(1, 9))} - {0})
    return [[str(step), *(f"{curve[step - 1]:.3g}" for curve in medians)] for step in moments]

"""Lines over a frame, each with a band and a name at its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from headgate.report import svg
from headgate.report.plot import Box, apart
from headgate.report.scale import Scale

LABEL_GAP = 14.0


@dataclass(frozen=True)
class Line:
    """One line.

    Attributes:
        x, y: its points, [N]; a point whose y is not finite is left out.
        style: CSS class that gives its hue, one a cell.
        label: written at its end.
        low, high: its band, [N], or None.
        name: what a reader is told under the pointer; empty: nothing.
    """

    x: np.ndarray
    y: np.ndarray
    style: str
    label: str = ""
    low: np.ndarray | None = None
    high: np.ndarray | None = None
    name: str = ""


def draw(lines: Sequence[Line], x: Scale, y: Scale, box: Box) -> Markup:
    """Bands first, then lines, then their names to the right of the frame, moved apart where they would touch."""
    bands = [_band(line, x, y) for line in lines if line.low is not None and line.high is not None]
    strokes = [_stroke(line, x, y) for line in lines]
    return svg.group(*bands, *strokes, *_labels(lines, y, box))


def level(value: float, words: str, y: Scale, box: Box, *, left: bool = False) -> Markup:
    """A dashed horizontal line with its meaning above its right end, or below its left one."""
    place = y(value)
    spot = (box.left + 4, place + 13, "start") if left else (box.right - 4, place - 5, "end")
    return svg.group(
        svg.line(box.left, place, box.right, place, class_="level"),
        *([svg.text(spot[0], spot[1], words, class_="note", text_anchor=spot[2])] if words else []),
    )


def _stroke(line: Line, x: Scale, y: Scale) -> Markup:
    points = [(x(a), y(b)) for a, b in zip(line.x, line.y, strict=True) if np.isfinite(b)]
    cut = _inside(points, [b for b in line.y if np.isfinite(b)], y)
    if not cut:
        return Markup("")
    return svg.path(cut, class_=f"line {line.style}", data_name=line.name or None)


def _inside(points: list[tuple[float, float]], values: list[float], y: Scale) -> list[tuple[float, float]]:
    """Points up to the first that stays below the axis for good: a line that has left the chart is not drawn on."""
    last = max((k for k, value in enumerate(values) if value > y.low), default=-1)
    return points[: min(last + 2, len(points))]


def _band(line: Line, x: Scale, y: Scale) -> Markup:
    upper, lower = [], []
    for a, low, high in zip(line.x, line.low, line.high, strict=True):
        if np.isfinite(low) and np.isfinite(high):
            upper.append((x(a), y(high)))
            lower.append((x(a), y(low)))
    return svg.path(upper + lower[::-1], closed=True, class_=f"band {line.style}") if upper else Markup("")


def _labels(lines: Sequence[Line], y: Scale, box: Box) -> list[Markup]:
    named = [line for line in lines if line.label and np.isfinite(line.y).any()]
    ends = [y(line.y[np.isfinite(line.y)][-1]) for line in named]
    places = apart(ends, LABEL_GAP, box.top + 4, box.bottom)
    return [
        svg.text(box.right + 6, place + 4, line.label, class_=f"label {line.style}")
        for line, place in zip(named, places, strict=True)
    ]

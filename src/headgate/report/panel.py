"""One frame with lines in it, as the watch's charts are made of; what it takes to read values off it goes along."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from headgate.report import svg
from headgate.report.lines import Line, draw
from headgate.report.plot import Axis, Box, frame, picture
from headgate.report.pyramid import peaks
from headgate.report.scale import Decades, Lags, Linear, Logit, Powers, Scale, Steps

WIDTH, LEFT, TOP = 640.0, 62.0, 30.0
LABELS, BELOW = 118.0, 42.0
KINDS = {Lags: "lag", Steps: "log", Decades: "log", Powers: "power", Logit: "logit"}


def box(height: float, *, top: float = TOP, right: float = LABELS, width: float = WIDTH, left: float = LEFT) -> Box:
    """The inside of a chart of the usual width, with room for words on both sides."""
    return Box(left, top, width - right, top + height)


def panel(
    place: Box,
    x: Axis,
    y: Axis,
    *content: Markup,
    heading: str = "",
    lines: Sequence[Line] = (),
    over: Sequence[Markup] = (),
    reads: str = "",
    reads_up: str = "",
) -> Markup:
    """A frame, what is drawn in it, lines over that, and what must lie over the lines.

    Lines of very many points keep their peaks. `reads` is what the horizontal axis is called to a reader of values,
    and `reads_up` the vertical one, where it has no title since it shares that of a neighbour.
    """
    thinned = [_thin(line) for line in lines]
    return svg.group(
        frame(place, x, y, heading),
        *content,
        draw(thinned, x.scale, y.scale, place),
        *over,
        class_="panel",
        data_box=" ".join(svg.number(v) for v in (place.left, place.top, place.right, place.bottom)),
        data_x=_told(x.scale, reads or x.title),
        data_y=_told(y.scale, reads_up or y.title),
    )


def alone(spoken: str, place: Box, x: Axis, y: Axis, *content: Markup, **options) -> Markup:
    """A whole picture of the usual width that is one panel; `spoken` says in words what it shows, the rest as there."""
    return around(spoken, place, panel(place, x, y, *content, **options))


def around(spoken: str, lowest: Box, *parts: Markup) -> Markup:
    """A whole picture of the usual width; `lowest` is the inside of the chart at its bottom."""
    return picture(WIDTH, lowest.bottom + BELOW, spoken, *parts)


def upright(value: float, words: str, x: Scale, place: Box, kind: str = "marker", *, row: int = 0) -> Markup:
    """A vertical line at a value, named at its top; nothing where the value lies beyond the axis."""
    if not x.low <= value <= x.high:
        return Markup("")
    at = x(value)
    late = at > (place.left + place.right) / 2
    spot = (at - 4, "end") if late else (at + 4, "start")
    name = svg.text(spot[0], place.top + 12 + 14 * row, words, class_=f"{kind}-words", text_anchor=spot[1])
    return svg.group(svg.line(at, place.top, at, place.bottom, class_=kind), name if words else Markup(""))


def hatch(place: Box, gap: float = 7.0) -> Markup:
    """A box filled with slanted strokes, as one path."""
    width, height = place.right - place.left, place.bottom - place.top
    if width <= 0 or height <= 0:
        return Markup("")
    parts = []
    for offset in np.arange(gap, width + height, gap):
        start = (place.left + max(0.0, offset - height), place.top + min(offset, height))
        end = (place.left + min(offset, width), place.top + max(0.0, offset - width))
        parts.append("M" + " ".join(svg.number(v) for v in start) + "L" + " ".join(svg.number(v) for v in end))
    return svg.element("path", d="".join(parts), class_="hatch")


def points(x: np.ndarray, y: np.ndarray, size: float, class_: str, **attributes: str) -> Markup:
    """Any number of dots as one path: strokes of no length with round ends."""
    there = np.isfinite(x) & np.isfinite(y)
    places = "".join(f"M{svg.number(a)} {svg.number(b)}h0" for a, b in zip(x[there], y[there], strict=True))
    return svg.element("path", d=places, stroke_width=size, class_=f"points {class_}", **attributes)


def whole_decades(*arrays: np.ndarray | None, least: float = -3.0, most: float = 14.0, floor: float = -60.0):
    """Whole decades, as logarithms, that hold all of what there is: (low, high), at least from `least` to 0."""
    joined = np.concatenate([a[np.isfinite(a)].ravel() for a in arrays if a is not None] or [np.zeros(0)])
    if not joined.size:
        return least, 0.0
    low = max(floor, min(least, float(np.floor(joined.min()))))
    return low, min(max(0.0, float(np.ceil(joined.max() - 1e-9))), max(most, low + 1))


def _thin(line: Line) -> Line:
    if line.low is None or line.high is None:
        x, y = peaks(line.x, line.y)
        return Line(x, y, line.style, line.label, None, None, line.name)
    x, y, low, high = peaks(line.x, line.y, line.low, line.high)
    return Line(x, y, line.style, line.label, low, high, line.name)


def _told(scale: Scale, title: str) -> str:
    """A scale as the page's script takes it: kind, ends, places of the ends, words."""
    kind = KINDS.get(type(scale), "linear")
    words = re.split(r" \(|: ", title)[0]
    return f"{kind} {scale.low:.8g} {scale.high:.8g} {svg.number(scale.start)} {svg.number(scale.end)} {words}"


def linear_range(*arrays: np.ndarray, pad: float = 0.06) -> tuple[float, float]:
    """Lowest and highest of what there is, with a little room; never an empty range."""
    joined = np.concatenate([a[np.isfinite(a)].ravel() for a in arrays])
    low, high = (float(joined.min()), float(joined.max())) if joined.size else (0.0, 1.0)
    room = pad * (high - low) or 0.5
    return low - room, high + room


def lags_along(place: Box, *grids: np.ndarray) -> Lags:
    """From lag 0 to the last of any of the grids, along a box."""
    return Lags(0.0, max(1.0, *(float(lags[-1]) for lags in grids)), place.left, place.right)


def span(high: float, place: Box) -> Linear:
    """Time from 0 to `high` along a box."""
    return Linear(0.0, max(float(high), 1.0), place.left, place.right)

"""The frame of a chart: two axes with grid, ticks and titles, and what is drawn between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from headgate.report import svg
from headgate.report.scale import Scale

TICK_GAP = 6.0


@dataclass(frozen=True)
class Box:
    """Where a chart's inside lies within its picture, in pixels; the axes' words stand outside of it."""

    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True)
class Axis:
    """A scale and its words.

    Attributes:
        scale: places in pixels.
        title: what it measures, with its unit.
        second: further words below a tick's label, by the tick's value.
        labelled: whether ticks carry words; a chart that shares its axis with a neighbour needs none.
    """

    scale: Scale
    title: str = ""
    second: dict[float, str] | None = None
    labelled: bool = True


def frame(box: Box, x: Axis, y: Axis, heading: str = "") -> Markup:
    """Grid lines, ticks, axis titles and a heading; what is drawn over it is the caller's."""
    parts = [*_horizontal(box, x), *_vertical(box, y)]
    if heading:
        parts.append(svg.text(box.left, box.top - 9, heading, class_="heading"))
    return svg.group(*parts, class_="frame")


def _horizontal(box: Box, axis: Axis) -> list[Markup]:
    parts = [svg.line(box.left, box.bottom, box.right, box.bottom, class_="axis")]
    for value, words in axis.scale.ticks():
        place = axis.scale(value)
        parts.append(svg.line(place, box.top, place, box.bottom, class_="grid"))
        if axis.labelled:
            parts.append(svg.text(place, box.bottom + 15, words, class_="tick", text_anchor="middle"))
            if axis.second and value in axis.second:
                second = axis.second[value]
                parts.append(svg.text(place, box.bottom + 28, second, class_="tick faint", text_anchor="middle"))
    if axis.title:
        below = 44 if axis.second else 32
        middle = (box.left + box.right) / 2
        parts.append(svg.text(middle, box.bottom + below, axis.title, class_="title", text_anchor="middle"))
    return parts


def _vertical(box: Box, axis: Axis) -> list[Markup]:
    parts = []
    for value, words in axis.scale.ticks():
        place = axis.scale(value)
        parts.append(svg.line(box.left, place, box.right, place, class_="grid"))
        if axis.labelled:
            parts.append(svg.text(box.left - TICK_GAP, place + 3.5, words, class_="tick", text_anchor="end"))
    if axis.title:
        x, y = box.left - 48, (box.top + box.bottom) / 2
        turn = f"rotate(-90 {svg.number(x)} {svg.number(y)})"
        parts.append(svg.text(x, y, axis.title, class_="title", text_anchor="middle", transform=turn))
    return parts


def picture(width: float, height: float, label: str, *content: Markup) -> Markup:
    """A whole picture that scales with the page and says in words what it shows."""
    return svg.element(
        "svg",
        svg.element("title", label),
        *content,
        viewBox=f"0 0 {svg.number(width)} {svg.number(height)}",
        role="img",
        aria_label=label,
        class_="chart",
    )


def apart(places: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Places moved as little as needed to stand `gap` apart within [low, high], in their order."""
    order = sorted(range(len(places)), key=lambda k: (places[k], k))
    moved = list(places)
    floor = low
    for k in order:
        moved[k] = floor = max(moved[k], floor)
        floor += gap
    ceiling = high
    for k in reversed(order):
        moved[k] = ceiling = min(moved[k], ceiling)
        ceiling -= gap
    return moved

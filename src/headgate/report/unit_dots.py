"""Units as dots over two axes, coloured by what losing each costs and as large as it is read; counted where many."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from headgate.report import svg
from headgate.report.heatmap import colour, heat, legend
from headgate.report.layer import Layer
from headgate.report.plot import Box
from headgate.report.scale import Scale

# Dots for each cell along a side that a page has room for; beyond, units are counted in cells.
MOST_DOTS, CELLS = 4, 28
# As many dots as the frame around a place takes room; it counts where several layers share a picture.
FRAME = 16
LISTED = 64


class UnitDots:
    """The units of a layer, to be drawn in one or several places.

    Args:
        layer: with what losing each unit costs and how strongly it is read, if that was measured.
        count: of units.
        places: how often each of them is drawn.
    """

    def __init__(self, layer: Layer, count: int, places: int = 1) -> None:
        kill = layer.array("kill")
        self.layer, self.count = layer, count
        self.costs = None if kill is None else kill[:, 1]
        self.weight = layer.array("readout_weight")
        there = self.costs is not None and np.isfinite(self.costs).any()
        self.top = max(0.1, float(np.nanmax(self.costs))) if there else 0.1
        self.places = places
        self.single = count * places <= MOST_DOTS * layer.detail
        self.most: float | None = None  # log10 of the count at the end of the colours; None: each place's own
        self._size = min(1.0, math.sqrt(64.0 / max(count, 1)))  # smaller where there are many, to be told apart

    def draw(self, place: Box, x: Scale, y: Scale, across: np.ndarray, up: np.ndarray) -> list[Markup]:
        """Every unit at its two values, [H] each; one without a value is left out."""
        there = np.isfinite(across) & np.isfinite(up)
        if self.single:
            return [self._dot(unit, x(across[unit]), y(up[unit])) for unit in self.order() if there[unit]]
        if not there.any():
            return []
        left, down = ([scale(v) for v in values[there]] for scale, values in ((x, across), (y, up)))
        ends = (place.top, place.bottom), (place.left, place.right)
        counts, _, _ = np.histogram2d(down, left, CELLS, ends)
        cells = np.where(counts > 0, np.log10(np.maximum(counts, 1)), np.nan)
        most = max(1.0, float(np.nanmax(cells))) if self.most is None else self.most
        return [heat(cells, place, 0.0, most, "log10 units there")]

    def key(self, bar: Box) -> Markup:
        """What the colours mean, as a bar with words at its ends; nothing where no dot has a colour."""
        if self.single and self.costs is None:
            return Markup("")
        ends = ("0", f"{self.top:.2g}") if self.single else ("few", "many units")
        return legend(bar, *ends, "loss if held" if self.single else "")

    def order(self) -> list[int]:
        """The costliest last, so that it lies on top."""
        if self.costs is None:
            return list(range(self.count))
        return np.argsort(np.nan_to_num(self.costs, nan=-1.0), kind="stable").tolist()

    def listed(self) -> list[int]:
        """Units for a table, the costliest first."""
        return self.order()[::-1][:LISTED]

    def cost(self, unit: int) -> str:
        """What losing it costs, for a table; empty where it was not tried."""
        return "" if self.costs is None or not math.isfinite(self.costs[unit]) else f"{self.costs[unit]:.3f}"

    def _dot(self, unit: int, x: float, y: float) -> Markup:
        weight = self.weight
        part = 0.2 if weight is None else max(0.0, float(weight[unit] / np.nanmax(weight)))
        cost = math.nan if self.costs is None else float(self.costs[unit])
        known = math.isfinite(cost)
        said = f"unit {unit}" + (f": {self.layer.cost(cost)}" if known else ": not tried")
        fill = f"fill: {colour(cost / self.top)}" if known else "fill: none"
        radius = self._size * (2.5 + 3.5 * math.sqrt(part))
        kind = "speck" if known else "speck untried"
        return svg.element("circle", svg.element("title", said), cx=x, cy=y, r=radius, class_=kind, style=fill)


def alike(dots: Sequence[UnitDots]) -> None:
    """Give several layers' dots the same colours, and draw all of them as dots or count all of them.

    Costs measured in two units cannot share a colour: then none is shown.
    """
    if len({found.layer.raw_costs for found in dots if found.costs is not None}) > 1:
        for found in dots:
            found.costs = None
    top = max(found.top for found in dots)
    room = MOST_DOTS * min(found.layer.detail for found in dots)
    single = sum((found.count + FRAME) * found.places for found in dots) <= room
    most = max(1.0, math.log10(max(found.count for found in dots)))
    for found in dots:
        found.top, found.single, found.most = top, single, most


def table(dots: UnitDots, columns: Sequence[np.ndarray], form: str) -> list[list[str]]:
    """Rows of unit, its values and what losing it costs; columns [H] each, a value that is none left empty."""
    return [
        [f"{u}", *("" if not math.isfinite(c[u]) else format(c[u], form) for c in columns), dots.cost(u)]
        for u in dots.listed()
    ]

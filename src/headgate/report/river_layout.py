"""Where things stand in the unrolled picture: steps around the cursor in full, the others in bundles that double.

The page's script lays out the same picture by the same rules (templates/river_layout.js); a test holds them together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

# In pixels, or parts of a cell's width; widths of arrows in pixels, by decades.
GEOMETRY = {
    "gutter": 104, "margin": 8, "narrow": 700, "cell_min": 76, "cell_max": 124, "bundle": 46, "bundle_min": 17,
    "loss": 12, "arrives": 36, "pipe_label": 54, "pipe_top": 62, "pipe_bottom": 120, "blade": 5, "blade_over": 4,
    "cell_top": 136, "cell_bottom": 174, "port": 172, "radius": 8.5, "letter": 6,
    "port_from": 0.15, "port_to": 0.74, "node": 0.93,
    "lane_top": 194, "lane_min": 58, "track": 15, "step_gap": 22, "below": 34, "token": 16, "map_height": 118,
    "full": 10, "per_decade": 1, "hair": 1, "cap": 13,
}  # fmt: skip
# Full cells, and how bundles grow: the first that fits is taken.
CHOICES = ((9, 2), (7, 2), (5, 2), (5, 4), (3, 4), (3, 8), (1, 16))


@dataclass
class Column:
    """Steps first .. last - 1, and where they stand."""

    first: int
    last: int
    x0: float = 0.0
    x1: float = 0.0

    @property
    def full(self) -> bool:
        """Whether it is one step, drawn as a cell."""
        return self.last - self.first == 1

    @property
    def width(self) -> float:
        """In pixels."""
        return self.x1 - self.x0

    @property
    def centre(self) -> float:
        """Where its middle stands."""
        return (self.x0 + self.x1) / 2


def columns(T: int, focus: int, full: int, growth: int = 2) -> list[Column]:
    """Single steps around the focus, then 2, 4, 8, ... steps a bundle, in the order of time; no step left alone."""
    count = min(full, T)
    begin = max(0, min(T - count, focus - full // 2))
    found = [Column(begin + k, begin + k + 1) for k in range(count)]
    end, size = begin, 2
    while end > 0:
        first = 0 if end - size <= 1 else end - size
        found.insert(0, Column(first, end))
        end, size = first, size * growth
    first, size = begin + count, 2
    while first < T:
        last = T if T - first - size <= 1 else first + size
        found.append(Column(first, last))
        first, size = last, size * growth
    return found


def gutter(width: float) -> float:
    """Room at the left for the lanes' names; none in a narrow picture."""
    return GEOMETRY["margin"] if width < GEOMETRY["narrow"] else GEOMETRY["gutter"]


def placed(T: int, focus: int, width: float) -> list[Column]:
    """Columns with their places in a picture of this width."""
    G = GEOMETRY
    room = width - gutter(width) - G["margin"]
    for full, growth in CHOICES:
        found = columns(T, focus, full, growth)
        cells = sum(column.full for column in found)
        if cells * G["cell_min"] + (len(found) - cells) * G["bundle_min"] <= room:
            break
    bundles = len(found) - cells
    bundle = max(4.0, min(G["bundle"], (room - cells * G["cell_min"]) / bundles)) if bundles else 0.0
    cell = min(G["cell_max"], (room - bundles * bundle) / cells)
    wider = min(G["cell_min"], (room - cells * cell) / bundles) if bundles else 0.0
    x = gutter(width) + max(0.0, (room - cells * cell - bundles * wider) / 2)
    for column in found:
        column.x0, x = x, x + (cell if column.full else wider)
        column.x1 = x
    return found


def stroke_width(relative: float) -> float:
    """An arrow's width: one pixel a decade below the source's norm, never less than a hair."""
    return max(GEOMETRY["hair"], min(GEOMETRY["cap"], GEOMETRY["full"] + GEOMETRY["per_decade"] * relative))


def strength(share: float) -> float:
    """How strong an arrow's colour is: by the part of what arrives that came this way."""
    return 0.22 + 0.78 * math.sqrt(min(1.0, abs(share))) if math.isfinite(share) else 0.5


def place_of(t: int, found: Sequence[Column]) -> float:
    """Where a step stands: the middle of its column, or its part of a bundle."""
    column = next(c for c in found if c.first <= t < c.last)
    return column.x0 + column.width * ((t + 0.5 - column.first) / (column.last - column.first))

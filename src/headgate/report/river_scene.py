"""What the unrolled picture draws from: measurements by step and column, and the places that its parts share."""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np

from headgate.report.river_data import FORMATS, HIGHWAY, READOUT, Steps
from headgate.report.river_layout import GEOMETRY, Column, place_of, placed


class Scene:
    """One Record around one step, at one width.

    Args:
        steps: what was measured.
        focus: the step in the middle, in the order of the run.
        width: of the picture, pixels.
        format: a number format; where it ends, the gradient is drawn to end.
    """

    def __init__(self, steps: Steps, focus: int, width: float, format: str) -> None:
        self.facts, self.arrays, self.T = steps.facts, steps.arrays, steps.facts["T"]
        self.focus, self.width, self.format = focus, width, format
        self.smallest = FORMATS[format]
        self.total = steps.arrays["gradient_norm"]
        self.source = self.facts["source"]
        self.reference = self.total[self.source]
        self.columns = placed(self.T, focus, width)
        self.keep = steps.arrays.get("keep")
        self.products = [path for path in self.facts["paths"] if path not in (HIGHWAY, READOUT)]
        # The gate that is the dam comes first, also where no way back leads through it.
        dam = [gate for gate in self.facts["gates"] if gate == self.facts["keeps"] and self.keep is not None]
        self.ports = [*dam, *(path for path in self.products if path not in dam)]
        self.tracks = [path for path in self.ports if path in self.products]
        height = max(GEOMETRY["lane_min"], len(self.products) * GEOMETRY["track"])
        self.lane_top, self.lane_bottom = GEOMETRY["lane_top"], GEOMETRY["lane_top"] + height
        self.track_height = height / max(1, len(self.products))
        self.step_y, self.height = self.lane_bottom + GEOMETRY["step_gap"], self.lane_bottom + GEOMETRY["below"]
        self.token = GEOMETRY["token"] if self.facts.get("text") else 0
        self.middle = (GEOMETRY["pipe_top"] + GEOMETRY["pipe_bottom"]) / 2
        self.pipe = GEOMETRY["pipe_bottom"] - GEOMETRY["pipe_top"]

    def number(self, t: int) -> int:
        """The step's number in the input: a reversed layer runs from the last to the first."""
        return self.T - 1 - t if self.facts["reverse"] else t

    def relative(self, t: int) -> float:
        """log10 of the gradient at a step relative to the source's."""
        return float(self.total[t] - self.reference)

    def arrow(self, path: str, t: int) -> float:
        """log10 of an arrow's norm relative to the source."""
        return float(self.arrays["arrow_norm"][self.facts["paths"].index(path)][t] - self.reference)

    def share(self, path: str, first: int, last: int) -> float:
        """Mean of an arrow's signed share over the steps at which it was measured."""
        values = self.arrays["arrow_share"][self.facts["paths"].index(path)][first:last]
        values = values[np.isfinite(values)]
        return float(values.mean()) if len(values) else math.nan

    def gate(self, name: str, t: int) -> float:
        """A gate's mean at a step; NaN if there is no such gate."""
        gates = self.facts["gates"]
        return float(self.arrays["gate_mean"][gates.index(name)][t]) if name in gates else math.nan

    def kept(self, column: Column) -> float:
        """The memory's factor over all steps of a column."""
        return float(10.0 ** self.keep[column.first : column.last].sum())

    def has_loss(self, t: int) -> bool:
        """Whether the loss reads the layer at this step."""
        local = self.arrays.get("loss")
        return bool(np.isfinite(local[t])) if local is not None else t == self.source

    def ghost(self, t: int) -> bool:
        """Whether the gradient at a step is below the format's smallest number."""
        return bool(self.total[t] < self.smallest)

    @cached_property
    def end(self) -> int | None:
        """The last step before the source at which the gradient is below the format's smallest number."""
        below = np.flatnonzero(self.total[: self.source + 1] < self.smallest)
        return int(below[-1]) if len(below) else None

    def end_place(self) -> float:
        """The right edge of that step."""
        column = next(c for c in self.columns if c.first <= self.end < c.last)
        return column.x0 + (self.end + 1 - column.first) / (column.last - column.first) * column.width

    def node(self, column: Column) -> float:
        """Where the memory after a step stands: at the right of its cell, at the right edge of a bundle."""
        return column.x0 + GEOMETRY["node"] * column.width if column.full else column.x1

    def port(self, column: Column, k: int) -> float:
        """Where the k-th port of a cell stands."""
        low, high, count = GEOMETRY["port_from"], GEOMETRY["port_to"], len(self.ports)
        alone = low if self.keep is not None else (low + high) / 2
        return column.x0 + (low + (high - low) * k / (count - 1) if count > 1 else alone) * column.width

    def radius(self, column: Column) -> float:
        """A port's, as large as the ports' distance allows."""
        low, high, gaps = GEOMETRY["port_from"], GEOMETRY["port_to"], len(self.ports) - 1
        return min(GEOMETRY["radius"], (high - low) * column.width / gaps / 2 + 1.5) if gaps else GEOMETRY["radius"]

    def dam(self, column: Column) -> float:
        """Where the dam of a cell stands, or the middle of a bundle's."""
        return column.x0 + GEOMETRY["port_from"] * column.width if column.full else column.centre

    def track(self, path: str) -> float:
        """The height at which a path runs back."""
        return self.lane_top + self.track_height * (self.tracks.index(path) + 0.5)

    def source_place(self) -> float:
        """Where the gradient enters."""
        column = next(c for c in self.columns if c.first <= self.source < c.last)
        return self.node(column) if column.full else place_of(self.source, self.columns)

    def ends(self, path: str, column: Column) -> tuple[int, int] | None:
        """The arrows at the right and the left end of what leaves a column; None where none was measured."""
        steps = range(max(0, column.first - 1), column.last - (1 if column.full else 0))
        found = [t for t in steps if math.isfinite(self.arrow(path, t))]
        return (found[-1], found[0]) if found else None

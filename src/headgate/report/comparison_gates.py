"""Gates and paths of compared Records beneath each other: who carries the gradient, which gates stand at an end."""

from __future__ import annotations

from collections.abc import Sequence

from headgate.report import path_river, saturation, svg
from headgate.report.comparison_maps import SAME
from headgate.report.figure import Figure
from headgate.report.layer import Layer
from headgate.report.multiples import fitted
from headgate.report.plot import Box, picture
from headgate.report.scale import percent
from headgate.report.unit_dots import alike

LINE, BETWEEN, RIVER, APART = 44.0, 22.0, 150.0, 76.0
LISTED = 16
NAME, ROW = 26.0, 304.0


def rivers(layers: Sequence[Layer], names: Sequence[str]) -> Figure | None:
    """The path rivers of at least two layers; None where fewer have arrows."""
    there = [(name, found) for name, layer in zip(names, layers, strict=True) if (found := path_river.carried(layer))]
    if len(there) < 2:
        return None
    ends = path_river.ends_of([found for _, found in there])
    left, right, top, parts = path_river.LEFT, path_river.WIDTH - path_river.RIGHT, 30.0, []
    for name, found in there:
        upper = Box(left, top, right, top + LINE)
        lower = Box(left, upper.bottom + BETWEEN, right, upper.bottom + BETWEEN + RIVER)
        parts += path_river.drawn(found, ends, upper, lower, heading=fitted(name, right - left))
        parts.append(path_river.names(found.layer, lower))
        top = lower.bottom + APART
    paths = list(dict.fromkeys(path for _, found in there for path in found.layer.paths))
    said = "; ".join(f"{name}: {_first(found)}" for name, found in there)
    return Figure(
        name="paths",
        title=path_river.TITLE,
        wide=True,
        picture=picture(path_river.WIDTH, top - APART + 40, "Share of each path in the compared layers.", *parts),
        reading=f"Most of the gradient at a usual step: {said}. What lies below zero works against the rest; the line "
        f"on top tells how much is lost that way (1: nothing). {SAME}",
        expert=f"{path_river.EXPERT} {SAME} A path has its hue from cell to cell where it plays the same part: f and "
        "z, what keeps; i and r, what lets in; g and n, what is written.",
        formula=path_river.FORMULA,
        change=path_river.CHANGE,
        header=["layer", "step", *paths, "cancellation"],
        numbers=[[name, *row] for name, found in there for row in path_river.rows(found, paths, LISTED)],
    )


def _first(found: path_river.Carried) -> str:
    path, share = path_river.usual(found)[0]
    return f"{percent(share)} by the {path_river.said(found.layer, path)}"


def triangles(layers: Sequence[Layer], names: Sequence[str]) -> Figure | None:
    """The gates of at least two layers at the ends of their range; None where fewer have gates."""
    there = [(name, found) for name, layer in zip(names, layers, strict=True) if (found := saturation.saturated(layer))]
    if len(there) < 2:
        return None
    alike([found.dots for _, found in there])
    parts, row, widest = [], 0, 1
    for name, found in there:
        gates = found.layer.gates
        beside = min(saturation.ACROSS, len(gates))
        boxes = [_place(k, beside, row) for k in range(len(gates))]
        words = [f"{gate} (keeps)" if gate == found.layer.keeps else gate for gate in gates]
        parts.append(svg.text(boxes[0].left, boxes[0].top - 28, fitted(name, 600.0), class_="big"))
        parts += saturation.drawn(found, boxes, words)
        row, widest = row + -(-len(gates) // saturation.ACROSS), max(widest, beside)
    right, top = _place(widest - 1, saturation.ACROSS, 0).right, _place(0, 1, 0).top
    # The key shows colours wherever one of them has costs.
    dots = next((found.dots for _, found in there if found.dots.costs is not None), there[0][1].dots)
    parts.append(dots.key(Box(right + 18, top + 20, right + 30, top + 150)))
    gates = list(dict.fromkeys(gate for _, found in there for gate in found.layer.gates))
    return Figure(
        name="saturation",
        title=saturation.TITLE,
        wide=True,
        picture=picture(saturation.width_of(4), _place(0, 1, row - 1).bottom + 46,
                        "Share of steps each gate is shut, against open, in the compared layers.", *parts),
        reading="Right: shut most of the time; top: open most of the time; the slanted edge: never in between. Nearly "
        f"always open: {'; '.join(_often(name, found) for name, found in there)}. {SAME}",
        expert=f"{saturation.EXPERT} {SAME}",
        formula=saturation.FORMULA,
        change=saturation.CHANGE,
        header=["layer", "unit", *saturation.header(gates), "loss if held"],
        numbers=[[name, *row] for name, found in there for row in saturation.rows(found, gates)[:LISTED]],
    )  # fmt: skip


def _place(k: int, across: int, row: int) -> Box:
    """The k-th of a layer's square charts, its first row in a row of the whole picture."""
    box = saturation.place_of(k % across, across)
    down = NAME + (row + k // across) * ROW
    return Box(box.left, box.top + down, box.right, box.bottom + down)


def _often(name: str, found: saturation.Saturated) -> str:
    counts = [f"{gate} {found.often(k)[0]}" for k, gate in enumerate(found.layer.gates)]
    return f"{name} ({found.dots.count} units): {', '.join(counts)}"

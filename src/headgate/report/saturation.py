"""Gates at the ends of their range: a dot a unit, shut against open, coloured by what losing the unit costs."""

from __future__ import annotations

import math

import numpy as np
from markupsafe import Markup

from headgate.report import svg
from headgate.report.figure import Figure
from headgate.report.heatmap import colour, heat, legend
from headgate.report.layer import Layer
from headgate.report.panel import panel
from headgate.report.plot import Axis, Box, picture
from headgate.report.scale import Percent

SIDE, GAP, LEFT, TOP, ROOM = 208.0, 40.0, 62.0, 34.0, 70.0
# Dots for each cell along a side that a page has room for; beyond, units are counted in cells.
MOST_DOTS, CELLS = 4, 28
OPEN = 0.9


def saturation(layer: Layer) -> Figure | None:
    """The figure of a layer; None without gates."""
    found = layer.arrays("saturated_low", "saturated_high")
    if found is None:
        return None
    low, high = found
    kill, weight = layer.array("kill"), layer.array("readout_weight")
    costs = None if kill is None else kill[:, 1]
    top = 0.1 if costs is None or not np.isfinite(costs).any() else max(0.1, float(np.nanmax(costs)))
    names = layer.gates
    across = min(4, len(names))
    places = [_place(k, across) for k in range(len(names))]
    dots = low.size <= MOST_DOTS * layer.detail
    parts = [_gate(layer, k, places[k], low[k], high[k], costs, weight, top, dots) for k in range(len(names))]
    bottom = places[-1].bottom
    bar = Box(places[across - 1].right + 18, TOP + 20, places[across - 1].right + 30, TOP + 150)
    ends = ("0", f"{top:.2g}") if dots else ("few", "many units")
    parts.append(legend(bar, *ends, "loss if held" if dots and costs is not None else ""))
    width = max(640.0, places[across - 1].right + 92)
    often = [(name, int((high[k] > OPEN).sum()), int((low[k] > OPEN).sum())) for k, name in enumerate(names)]
    return Figure(
        name="saturation",
        title="Gates at the ends of their range",
        wide=across > 2,
        picture=picture(width, bottom + 46, "Share of steps each unit's gate is shut, against open.", *parts),
        reading=(
            "Right: shut most of the time; top: open most of the time; the slanted edge: never in between. "
            + " ".join(f"{n}: {a} of {low.shape[1]} units nearly always open, {b} shut." for n, a, b in often)
            + _warning(costs)
        ),
        expert="Share of steps below 0.1 against above 0.9 (tanh: below -0.97, above 0.97), after Karpathy et al. "
        "2015; colour: normalised loss change when the unit's memory is held at its mean; size: how strongly it is "
        "read.",
        formula=r"L_j=\overline{[g_{t,j}<0.1]},\qquad R_j=\overline{[g_{t,j}>0.9]},\qquad L_j+R_j\le 1",
        change="a gate's bias moves all its dots along the edge; larger weights push them onto it.",
        header=["unit", *(f"{name} {word}" for name in names for word in ("shut", "open")), "loss if held"],
        numbers=[
            [
                f"{u}",
                *(f"{part[k, u]:.3f}" for k in range(len(names)) for part in (low, high)),
                "" if costs is None or not math.isfinite(costs[u]) else f"{costs[u]:.3f}",
            ]
            for u in _units(costs, low.shape[1])
        ],
    )  # fmt: skip


def _place(k: int, across: int) -> Box:
    left, top = LEFT + (k % across) * (SIDE + GAP), TOP + (k // across) * (SIDE + ROOM)
    return Box(left, top, left + SIDE, top + SIDE)


def _gate(
    layer: Layer,
    k: int,
    place: Box,
    low: np.ndarray,
    high: np.ndarray,
    costs: np.ndarray | None,
    weight: np.ndarray | None,
    top: float,
    dots: bool,
) -> Markup:
    name = layer.gates[k]
    x, y = Percent(0.0, 1.0, place.left, place.right), Percent(0.0, 1.0, place.bottom, place.top)
    edge = svg.line(place.left, place.top, place.right, place.bottom, class_="edge strong")
    if dots:
        size = min(1.0, math.sqrt(64.0 / len(low)))  # smaller where there are many, so that they can be told apart
        order = _faintest_first(costs, len(low))
        content = [_dot(layer, u, x(low[u]), y(high[u]), costs, weight, top, size) for u in order]
    else:
        counts, _, _ = np.histogram2d(high, low, CELLS, ((0, 1), (0, 1)))
        cells = np.where(counts > 0, np.log10(np.maximum(counts, 1)), np.nan)[::-1]
        content = [heat(cells, place, 0.0, max(1.0, float(np.nanmax(cells))), "log10 units there")]
    vertical = Axis(y, "steps open" if k % 4 == 0 else "", labelled=k % 4 == 0)
    return panel(place, Axis(x, "steps shut"), vertical, edge, *content, heading=name)


def _dot(
    layer: Layer,
    unit: int,
    x: float,
    y: float,
    costs: np.ndarray | None,
    weight: np.ndarray | None,
    top: float,
    size: float,
) -> Markup:
    part = 0.2 if weight is None else max(0.0, float(weight[unit] / np.nanmax(weight)))
    cost = math.nan if costs is None else float(costs[unit])
    known = math.isfinite(cost)
    said = f"unit {unit}" + (f": {layer.cost(cost)}" if known else ": not tried")
    fill = f"fill: {colour(cost / top)}" if known else "fill: none"
    radius = size * (2.5 + 3.5 * math.sqrt(part))
    return svg.element("circle", svg.element("title", said), cx=x, cy=y, r=radius, class_="speck", style=fill)


def _faintest_first(costs: np.ndarray | None, count: int) -> list[int]:
    """The costliest last, so that it lies on top."""
    return list(range(count)) if costs is None else np.argsort(np.nan_to_num(costs, nan=-1.0), kind="stable").tolist()


def _units(costs: np.ndarray | None, count: int) -> list[int]:
    return _faintest_first(costs, count)[::-1][:64]


def _warning(costs: np.ndarray | None) -> str:
    if costs is None:
        return " A gate at its end is no fault by itself: such a unit may well be the memory."
    return " A bright dot at the top of the keeping gate is the memory at work, a dark one can go."

"""Gates at the ends of their range: a dot a unit, shut against open, coloured by what losing the unit costs."""

from __future__ import annotations

import numpy as np
from markupsafe import Markup

from headgate.report import svg
from headgate.report.figure import Figure
from headgate.report.layer import Layer
from headgate.report.panel import panel
from headgate.report.plot import Axis, Box, picture
from headgate.report.scale import Percent
from headgate.report.unit_dots import UnitDots, table

SIDE, GAP, LEFT, TOP, ROOM = 208.0, 40.0, 62.0, 34.0, 70.0
OPEN = 0.9


def saturation(layer: Layer) -> Figure | None:
    """The figure of a layer; None without gates."""
    found = layer.arrays("saturated_low", "saturated_high")
    if found is None:
        return None
    low, high = found
    names = layer.gates
    dots = UnitDots(layer, low.shape[1], len(names))
    across = min(4, len(names))
    places = [place_of(k, across) for k in range(len(names))]
    parts = [_gate(layer.gates[k], k, places[k], low[k], high[k], dots) for k in range(len(names))]
    bottom, right = places[-1].bottom, places[across - 1].right
    parts.append(dots.key(Box(right + 18, TOP + 20, right + 30, TOP + 150)))
    often = [(name, int((high[k] > OPEN).sum()), int((low[k] > OPEN).sum())) for k, name in enumerate(names)]
    return Figure(
        name="saturation",
        title="Gates at the ends of their range",
        wide=across > 2,
        picture=picture(width_of(across), bottom + 46, "Share of steps each gate is shut, against open.", *parts),
        reading=(
            "Right: shut most of the time; top: open most of the time; the slanted edge: never in between. "
            + " ".join(f"{n}: {a} of {low.shape[1]} units nearly always open, {b} shut." for n, a, b in often)
            + _warning(dots)
        ),
        expert="Share of steps below 0.1 against above 0.9 (tanh: below -0.97, above 0.97), after Karpathy et al. "
        "2015; colour: normalised loss change when the unit's memory is held at its mean; size: how strongly it is "
        "read; dashed: not tried.",
        formula=r"L_j=\overline{[g_{t,j}<0.1]},\qquad R_j=\overline{[g_{t,j}>0.9]},\qquad L_j+R_j\le 1",
        change="a gate's bias moves all its dots along the edge; larger weights push them onto it.",
        header=["unit", *(f"{name} {word}" for name in names for word in ("shut", "open")), "loss if held"],
        numbers=table(dots, [part[k] for k in range(len(names)) for part in (low, high)], ".3f"),
    )  # fmt: skip


def place_of(k: int, across: int) -> Box:
    """Where the k-th of square charts stands, so many in a row."""
    left, top = LEFT + (k % across) * (SIDE + GAP), TOP + (k // across) * (SIDE + ROOM)
    return Box(left, top, left + SIDE, top + SIDE)


def width_of(across: int) -> float:
    """How wide a picture of so many square charts in a row is: the page's whole width, or the usual one."""
    return 640.0 if across <= 2 else 1120.0


def _gate(name: str, k: int, place: Box, low: np.ndarray, high: np.ndarray, dots: UnitDots) -> Markup:
    x, y = Percent(0.0, 1.0, place.left, place.right), Percent(0.0, 1.0, place.bottom, place.top)
    edge = svg.line(place.left, place.top, place.right, place.bottom, class_="edge strong")
    vertical = Axis(y, "steps open" if k % 4 == 0 else "", labelled=k % 4 == 0)
    marks = dots.draw(place, x, y, low, high)
    return panel(place, Axis(x, "steps shut"), vertical, edge, *marks, heading=name)


def _warning(dots: UnitDots) -> str:
    if dots.costs is None:
        return " A gate at its end is no fault by itself: such a unit may well be the memory."
    return " A bright dot at the top of the keeping gate is the memory at work, a dark one can go."

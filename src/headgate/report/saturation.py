"""Gates at the ends of their range: a dot a unit, shut against open, coloured by what losing the unit costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
ACROSS, OPEN = 4, 0.9
TITLE = "Gates at the ends of their range"
EXPERT = (
    "Share of steps below 0.1 against above 0.9 (tanh: below -0.97, above 0.97), after Karpathy et al. 2015; colour: "
    "normalised loss change when the unit's memory is held at its mean; size: how strongly it is read; dashed: not "
    "tried."
)
FORMULA = r"L_j=\overline{[g_{t,j}<0.1]},\qquad R_j=\overline{[g_{t,j}>0.9]},\qquad L_j+R_j\le 1"
CHANGE = "a gate's bias moves all its dots along the edge; larger weights push them onto it."


@dataclass(frozen=True)
class Saturated:
    """How often each unit's gates are shut and open, [gate, H] each, and the units as dots."""

    layer: Layer
    low: np.ndarray
    high: np.ndarray
    dots: UnitDots

    def often(self, gate: int) -> tuple[int, int]:
        """Units in which a gate is nearly always open, and nearly always shut."""
        return int((self.high[gate] > OPEN).sum()), int((self.low[gate] > OPEN).sum())


def saturation(layer: Layer) -> Figure | None:
    """The figure of a layer; None without gates."""
    found = saturated(layer)
    if found is None:
        return None
    names = layer.gates
    across = min(ACROSS, len(names))
    places = [place_of(k, across) for k in range(len(names))]
    bottom, right = places[-1].bottom, places[across - 1].right
    key = found.dots.key(Box(right + 18, TOP + 20, right + 30, TOP + 150))
    often = [(name, *found.often(k)) for k, name in enumerate(names)]
    parts = drawn(found, places)
    return Figure(
        name="saturation",
        title=TITLE,
        wide=across > 2,
        picture=picture(width_of(across), bottom + 46, "Share of steps each gate is shut, against open.", *parts, key),
        reading=(
            "Right: shut most of the time; top: open most of the time; the slanted edge: never in between. "
            + " ".join(f"{n}: {a} of {found.dots.count} units nearly always open, {b} shut." for n, a, b in often)
            + _warning(found.dots)
        ),
        expert=EXPERT,
        formula=FORMULA,
        change=CHANGE,
        header=["unit", *header(names), "loss if held"],
        numbers=rows(found, names),
    )


def saturated(layer: Layer) -> Saturated | None:
    """How often a layer's gates are at their ends; None without gates."""
    found = layer.arrays("saturated_low", "saturated_high")
    if found is None:
        return None
    return Saturated(layer, *found, UnitDots(layer, found[0].shape[1], len(layer.gates)))


def drawn(found: Saturated, places: Sequence[Box], headings: Sequence[str] | None = None) -> list[Markup]:
    """Each gate in a place of its own, under its name or what is given instead."""
    headings = headings or found.layer.gates
    return [_gate(words, k, place, found) for k, (words, place) in enumerate(zip(headings, places, strict=True))]


def header(gates: Sequence[str]) -> list[str]:
    """What the columns of some gates are called."""
    return [f"{name} {word}" for name in gates for word in ("shut", "open")]


def rows(found: Saturated, gates: Sequence[str]) -> list[list[str]]:
    """Units as a table, the costliest first; a gate that the layer has not is left empty."""
    nothing = np.full(found.dots.count, np.nan)
    known = {name: (found.low[k], found.high[k]) for k, name in enumerate(found.layer.gates)}
    columns = [values for name in gates for values in known.get(name, (nothing, nothing))]
    return table(found.dots, columns, ".3f")


def place_of(k: int, across: int) -> Box:
    """Where the k-th of square charts stands, so many in a row."""
    left, top = LEFT + (k % across) * (SIDE + GAP), TOP + (k // across) * (SIDE + ROOM)
    return Box(left, top, left + SIDE, top + SIDE)


def width_of(across: int) -> float:
    """How wide a picture of so many square charts in a row is: the page's whole width, or the usual one."""
    return 640.0 if across <= 2 else 1120.0


def _gate(heading: str, k: int, place: Box, found: Saturated) -> Markup:
    x, y = Percent(0.0, 1.0, place.left, place.right), Percent(0.0, 1.0, place.bottom, place.top)
    edge = svg.line(place.left, place.top, place.right, place.bottom, class_="edge strong")
    vertical = Axis(y, "steps open" if k % ACROSS == 0 else "", labelled=k % ACROSS == 0)
    marks = found.dots.draw(place, x, y, found.low[k], found.high[k])
    return panel(place, Axis(x, "steps shut"), vertical, edge, *marks, heading=heading, reads_up="steps open")


def _warning(dots: UnitDots) -> str:
    if dots.costs is None:
        return " A gate at its end is no fault by itself: such a unit may well be the memory."
    return " A bright dot at the top of the keeping gate is the memory at work, a dark one can go."

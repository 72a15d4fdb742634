"""Maps of compared Records side by side: the film of training and what units keep, on one scale of colours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from headgate.report import film, survival
from headgate.report.figure import Figure
from headgate.report.horizons import steps
from headgate.report.layer import Layer
from headgate.report.multiples import BELOW, WIDTH, across, fitted, key_place, places
from headgate.report.plot import Box, picture

SAME = "The same axes and the same colours in all of them."
LOSS, FILM, KEPT, BARS = 56.0, 200.0, 260.0, 72.0
LISTED = 24


def films(layers: Sequence[Layer], names: Sequence[str]) -> Figure | None:
    """The horizon films of at least two layers; None where fewer were filmed."""
    there = [(name, found) for name, layer in zip(names, layers, strict=True) if (found := film.filmed(layer))]
    if len(there) < 2:
        return None
    ends = film.ends_of([found for _, found in there])
    above = LOSS + film.BETWEEN if ends.loss else 0.0
    boxes = places(len(there), above + FILM)
    parts = [film.key(key_place(boxes[0]), ends)]
    for k, ((name, found), place) in enumerate(zip(there, boxes, strict=True)):
        lower = replace(place, top=place.top + above)
        upper = replace(place, bottom=place.top + LOSS) if ends.loss else None
        words = fitted(name, place.right - place.left)
        parts += film.drawn(found, ends, upper, lower, heading=words, first=k % across(len(there)) == 0)
    lags = film.listed([found for _, found in there])
    reaches = [f"{name}: from {found.far[0]:,.0f} to {found.far[-1]:,.0f}" for name, found in there]
    pins = " Pins are warnings." if any(found.warnings for _, found in there) else ""
    return Figure(
        name="film",
        title=film.TITLE,
        wide=True,
        picture=picture(WIDTH, _bottom(boxes), "Gradient by lag over training of the compared layers.", *parts),
        reading="Each column is one moment of training; bright, much gradient arrives from that far back. The line is "
        f"how far a thousandth of it reaches, in steps: {'; '.join(reaches)}.{pins} {SAME}",
        expert=f"{film.EXPERT} {SAME} Nothing is drawn where a Record was not filmed, or has no such lag.",
        formula=film.FORMULA,
        change=film.CHANGE,
        header=["layer", *film.header(lags)],
        numbers=[[name, *row] for name, found in there for row in film.rows(found, lags, LISTED)],
    )


def survivals(layers: Sequence[Layer], names: Sequence[str]) -> Figure | None:
    """What the units of at least two layers keep; None where fewer were measured."""
    there = [(name, found) for name, layer in zip(names, layers, strict=True) if (found := survival.kept(layer))]
    if len(there) < 2:
        return None
    ends = survival.ends_of([found for _, found in there])
    costs = {found.layer.raw_costs for _, found in there if found.kill is not None}
    boxes = places(len(there), KEPT)
    parts = [survival.key(key_place(boxes[0]))]
    for k, ((name, found), place) in enumerate(zip(there, boxes, strict=True)):
        inside = replace(place, right=place.right - BARS - 14) if costs else place
        bars = Box(inside.right + 14, place.top, place.right, place.bottom) if len(costs) == 1 else None
        words = fitted(name, inside.right - inside.left)
        parts += survival.drawn(found, ends, inside, bars, heading=words, first=k % across(len(there)) == 0)
    lags = survival.listed([found for _, found in there])
    longest = [f"{name}: {steps(found.tau[0])}" for name, found in there]
    other = " Costs were measured in two units, and stand in the table alone." if len(costs) > 1 else ""
    return Figure(
        name="survival",
        title=survival.TITLE,
        wide=True,
        picture=picture(WIDTH, _bottom(boxes), "What the units of the compared layers keep over each lag.", *parts),
        reading="One row a unit; bright, it still holds what it held k steps ago. The longest-lived unit keeps, in "
        f"steps: {'; '.join(longest)}. {SAME}{' Bars: what losing a unit costs.' if len(costs) == 1 else other}",
        expert=f"{survival.EXPERT} {SAME} A Record of fewer units ends further up, one of fewer lags further left.",
        formula=survival.FORMULA,
        change=survival.CHANGE,
        header=["layer", *survival.header(lags)],
        numbers=[[name, *row] for name, found in there for row in survival.rows(found, lags, LISTED)],
    )


def _bottom(boxes: Sequence[Box]) -> float:
    return boxes[-1].bottom + BELOW - 26.0

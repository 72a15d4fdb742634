"""Which units are the memory: what each keeps over each lag, sorted, with what it costs to lose it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from headgate.report import svg
from headgate.report.figure import Figure
from headgate.report.film import along_lags
from headgate.report.heatmap import heat, legend
from headgate.report.horizons import steps
from headgate.report.layer import Layer
from headgate.report.panel import around, panel
from headgate.report.plot import Axis, Box
from headgate.report.pyramid import edges
from headgate.report.scale import Lags, Linear

TOP, TALL, LEFT, MAP_RIGHT, BARS = 30.0, 300.0, 62.0, 440.0, 84.0
LISTED = 64
TITLE = "Which units are the memory"
EXPERT = (
    "S_j(k): mean over starting steps of the product of the unit's own factor over k steps; rows sorted by tau. Right: "
    "normalised change of the loss when the unit's memory is held at its mean, with its interval."
)
FORMULA = r"S_j(k)=\overline{\exp\sum_{m<k}\log k_{t-m,j}}"
CHANGE = "the keeping gate's bias; resets, which cut what a unit keeps however open it usually stands."


@dataclass(frozen=True)
class Kept:
    """What units keep, the longest-lived first.

    Attributes:
        order: the units' own numbers, [H].
        lags: [lag]. kept: [H, lag]. tau: steps, [H].
        kill: what losing each costs, [H, 3] of low, middle, high, or None.
    """

    layer: Layer
    order: np.ndarray
    lags: np.ndarray
    kept: np.ndarray
    tau: np.ndarray
    kill: np.ndarray | None


@dataclass(frozen=True)
class Ends:
    """What the axes run over: lags and units from 0, costs from lowest to highest."""

    lag: float
    units: int
    costs: tuple[float, float]


def survival(layer: Layer) -> Figure | None:
    """The figure of a layer; None without what units keep."""
    found = kept(layer)
    if found is None:
        return None
    place = Box(LEFT, TOP, MAP_RIGHT, TOP + TALL)
    bars = Box(place.right + 14, place.top, place.right + 14 + BARS, place.bottom)
    parts = drawn(found, ends_of([found]), place, bars)
    parts.append(key(Box(place.right + BARS + 46, place.top + 60, place.right + BARS + 58, place.top + 200)))
    best, longest = found.order[0], found.tau[0]
    shown = listed([found])
    return Figure(
        name="survival",
        title=TITLE,
        picture=around(f"What units keep over each lag; unit {best} the longest.", place, *parts),
        reading=f"One row a unit; bright, it still holds what it held k steps ago. Unit {best} keeps the longest, "
        f"{steps(longest)} steps.{_said(found)}",
        expert=EXPERT,
        formula=FORMULA,
        change=CHANGE,
        header=header(shown),
        numbers=rows(found, shown),
    )


def kept(layer: Layer) -> Kept | None:
    """What a layer's units keep, sorted; None where that was not measured."""
    found = layer.arrays("lags", "survival", "timescales")
    if found is None:
        return None
    lags, values, tau = found
    order, kill = np.argsort(-np.nan_to_num(tau, nan=-1.0), kind="stable"), layer.array("kill")
    return Kept(layer, order, lags, values[order], tau[order], None if kill is None else kill[order])


def ends_of(layers: Sequence[Kept]) -> Ends:
    """Axes that hold all of some layers."""
    # One sequence has no interval, only a middle.
    costs = np.concatenate([found.kill[np.isfinite(found.kill)] for found in layers if found.kill is not None] or [[]])
    return Ends(
        max(float(found.lags[-1]) for found in layers),
        max(len(found.order) for found in layers),
        (float(costs.min(initial=0.0)), float(costs.max(initial=0.1))),
    )


def drawn(
    found: Kept, ends: Ends, place: Box, bars: Box | None, *, heading: str = "", first: bool = True
) -> list[Markup]:
    """The map in its place, and the costs beside it where there is a place for them.

    Args:
        heading: above the map.
        first: whether the vertical axis carries words; one map beside another shares it.
    """
    x = Lags(0.0, max(1.0, ends.lag), place.left, place.right)
    rank, detail = _Ranks(0.0, float(ends.units), place.top, place.bottom), found.layer.detail
    cells = np.full((ends.units, detail), np.nan)
    cells[: len(found.order)] = along_lags(found.kept, found.lags, detail, ends.lag)
    image = heat(cells, place, 0.0, 1.0, "kept", most=detail)
    words = "unit, longest-lived first"
    vertical = Axis(rank, words if first else "", labelled=first)
    parts = [panel(place, Axis(x, "lag k (log axis)"), vertical, image, heading=heading, reads_up=words)]
    if found.kill is not None and bars is not None:
        parts.append(_bars(found.kill, bars, ends))
    return parts


def key(bar: Box) -> Markup:
    """What the colours mean."""
    return legend(bar, "0 %", "all kept", "")


def listed(layers: Sequence[Kept]) -> list[int]:
    """Lags for a table of some layers."""
    return sorted({int(found.lags[k]) for found in layers for k in _columns(found.lags)})


def header(lags: Sequence[int]) -> list[str]:
    """What the columns of `rows` are called."""
    return ["unit", "time scale", *(f"kept over {lag}" for lag in lags), "loss change when held"]


def rows(found: Kept, lags: Sequence[int], most: int = LISTED) -> list[list[str]]:
    """The longest-lived units as a table, and what each keeps over those of the lags that were measured."""
    at = [int(np.abs(found.lags - lag).argmin()) if lag <= found.lags[-1] else None for lag in lags]
    kill = found.kill
    return [
        [f"{unit}", f"{found.tau[u]:.4g}", *("" if k is None else f"{found.kept[u, k]:.3f}" for k in at),
         "" if kill is None or not np.isfinite(kill[u, 1]) else f"{kill[u, 1]:.3f}"]
        for u, unit in enumerate(found.order[:most])
    ]  # fmt: skip


class _Ranks(Linear):
    def ticks(self) -> list[tuple[float, str]]:
        return [(value, words) for value, words in super().ticks() if value == int(value) and value < self.high]


def _bars(kill: np.ndarray, place: Box, ends: Ends) -> Markup:
    """Bars beside the rows; where several units share a row of the picture, the costliest of them."""
    marks = edges(len(kill), 160)
    x = Linear(*ends.costs, place.left, place.right)
    height = (place.bottom - place.top) / ends.units
    parts = [svg.line(x(0.0), place.top, x(0.0), place.bottom, class_="axis")]
    whiskers = ""
    for a, b in zip(marks[:-1].tolist(), marks[1:].tolist(), strict=True):
        piece = kill[a:b]
        if not np.isfinite(piece[:, 1]).any():
            continue
        low, middle, high = piece[int(np.nanargmax(piece[:, 1]))]
        y, tall = place.top + a * height, max((b - a) * height * 0.8, 0.8)
        left, right = sorted((x(0.0), x(float(middle))))
        parts.append(svg.rectangle(left, y, max(right - left, 0.5), tall, class_="fill s0"))
        if tall > 3 and np.isfinite((low, high)).all():
            middle_y = svg.number(y + tall / 2)
            whiskers += f"M{svg.number(x(float(low)))} {middle_y}H{svg.number(x(float(high)))}"
    parts.append(svg.element("path", d=whiskers, class_="whisker ink") if whiskers else Markup(""))
    middle = (place.left + place.right) / 2
    parts.append(svg.text(middle, place.bottom + 15, f"0 to {ends.costs[1]:.2g}", class_="tick", text_anchor="middle"))
    parts.append(svg.text(middle, place.bottom + 32, "loss if held", class_="title", text_anchor="middle"))
    return svg.group(*parts)


def _said(found: Kept) -> str:
    kill = found.kill
    if kill is None:
        return " Whether the loss needs them was not measured."
    if not np.isfinite(kill[:, 1]).any():
        return ""
    worst = int(np.nanargmax(kill[:, 1]))
    return (
        f" The bars tell what losing a unit costs: the costliest is unit {found.order[worst]}, number {worst + 1} by "
        f"how long it keeps, at {found.layer.cost(float(kill[worst, 1]))}."
    )


def _columns(lags: np.ndarray) -> list[int]:
    return sorted({int(np.abs(lags - lag).argmin()) for lag in (1, 10, 100, 1000) if lag <= lags[-1]})

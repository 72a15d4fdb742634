"""Which units are the memory: what each keeps over each lag, sorted, with what it costs to lose it."""

from __future__ import annotations

import numpy as np
from markupsafe import Markup

from headgate.report import svg
from headgate.report.figure import Figure
from headgate.report.film import even_lags
from headgate.report.heatmap import heat, legend
from headgate.report.horizons import steps
from headgate.report.layer import Layer
from headgate.report.panel import around, lags_along, panel
from headgate.report.plot import Axis, Box
from headgate.report.pyramid import edges
from headgate.report.scale import Linear

TOP, TALL, LEFT, MAP_RIGHT, BARS = 30.0, 300.0, 62.0, 440.0, 84.0


def survival(layer: Layer) -> Figure | None:
    """The figure of a layer; None without what units keep."""
    found = layer.arrays("lags", "survival", "timescales")
    if found is None:
        return None
    lags, kept, tau = found
    order = np.argsort(-np.nan_to_num(tau, nan=-1.0), kind="stable")
    place = Box(LEFT, TOP, MAP_RIGHT, TOP + TALL)
    x = lags_along(place, lags)
    rank = _Ranks(0.0, float(len(tau)), place.top, place.bottom)
    image = heat(kept[order][:, even_lags(lags, layer.detail)], place, 0.0, 1.0, "kept", most=layer.detail)
    parts = [panel(place, Axis(x, "lag k (log axis)"), Axis(rank, "unit, longest-lived first"), image)]
    kill = layer.array("kill")
    if kill is not None:
        parts.append(_bars(kill[order], Box(place.right + 14, place.top, place.right + 14 + BARS, place.bottom)))
    bar = Box(place.right + BARS + 46, place.top + 60, place.right + BARS + 58, place.top + 200)
    parts.append(legend(bar, "0 %", "all kept", ""))
    best = int(order[0])
    said = _said(layer, kill, order)
    return Figure(
        name="survival",
        title="Which units are the memory",
        picture=around(f"What units keep over each lag; unit {best} the longest.", place, *parts),
        reading=f"One row a unit; bright, it still holds what it held k steps ago. Unit {best} keeps the longest, "
        f"{steps(tau[best])} steps.{said}",
        expert="S_j(k): mean over starting steps of the product of the unit's own factor over k steps; rows sorted by "
        "tau. Right: normalised change of the loss when the unit's memory is held at its mean, with its interval.",
        formula=r"S_j(k)=\overline{\exp\sum_{m<k}\log k_{t-m,j}}",
        change="the keeping gate's bias; resets, which cut what a unit keeps however open it usually stands.",
        header=["unit", "time scale", *(f"kept over {int(lags[k])}" for k in _columns(lags)), "loss change when held"],
        numbers=[
            [f"{u}", f"{tau[u]:.4g}", *(f"{kept[u, k]:.3f}" for k in _columns(lags)),
             "" if kill is None or not np.isfinite(kill[u, 1]) else f"{kill[u, 1]:.3f}"]
            for u in order[:64]
        ],
    )  # fmt: skip


class _Ranks(Linear):
    def ticks(self) -> list[tuple[float, str]]:
        return [(value, words) for value, words in super().ticks() if value == int(value) and value < self.high]


def _bars(kill: np.ndarray, place: Box) -> Markup:
    """Bars beside the rows; where several units share a row of the picture, the costliest of them."""
    marks = edges(len(kill), 160)
    # One sequence has no interval, only a middle.
    there = kill[np.isfinite(kill)]
    top = float(there.max(initial=0.1))
    x = Linear(float(there.min(initial=0.0)), top, place.left, place.right)
    height = (place.bottom - place.top) / len(kill)
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
    parts.append(svg.text(middle, place.bottom + 15, f"0 to {top:.2g}", class_="tick", text_anchor="middle"))
    parts.append(svg.text(middle, place.bottom + 32, "loss if held", class_="title", text_anchor="middle"))
    return svg.group(*parts)


def _said(layer: Layer, kill: np.ndarray | None, order: np.ndarray) -> str:
    if kill is None:
        return " Whether the loss needs them was not measured."
    if not np.isfinite(kill[:, 1]).any():
        return ""
    worst = int(np.nanargmax(kill[:, 1]))
    place = int(np.flatnonzero(order == worst)[0]) + 1
    return (
        f" The bars tell what losing a unit costs: the costliest is unit {worst}, number {place} by how long it keeps, "
        f"at {layer.cost(float(kill[worst, 1]))}."
    )


def _columns(lags: np.ndarray) -> list[int]:
    return sorted({int(np.abs(lags - lag).argmin()) for lag in (1, 10, 100, 1000) if lag <= lags[-1]})

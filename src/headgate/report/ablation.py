"""Causes: what the loss loses without each gate, and whether the cheap guess agrees with the experiment."""

from __future__ import annotations

import math

import numpy as np
from markupsafe import Markup

from headgate.report import svg
from headgate.report.ablation_rows import behind, hit
from headgate.report.figure import Figure
from headgate.report.layer import Layer
from headgate.report.panel import around, linear_range, panel, points
from headgate.report.plot import Axis, Box, picture
from headgate.report.scale import Linear, two_decimals

LEFT, TOP, CELL_WIDTH, CELL_HEIGHT = 62.0, 62.0, 140.0, 58.0
MEANINGS = {
    "mean": "held at its mean",
    "time mean": "at each unit's mean",
    "shuffle rows": "from another sequence",
    "shuffle time": "from another step",
    "zero": "held at 0",
    "one": "held at 1",
    "freeze": "what its bias says",
}


def ablation(layer: Layer) -> Figure | None:
    """The matrix of gates and kinds; None where nothing was taken out."""
    effect = layer.array("ablation")
    if effect is None:
        return None
    kinds = [str(kind) for kind in layer.facts.get("ablation_kinds") or range(1, effect.shape[1] + 1)]
    gates = layer.gates
    share = not layer.raw_costs
    low = min(-0.05, max(-0.5, float(np.nanmin(effect))))
    high = min(2.0, max(1.0, float(np.nanmax(effect)))) if share else float(np.nanmax(effect)) * 1.05
    width = LEFT + CELL_WIDTH * len(kinds) + 20
    parts = [_column(k, kind, len(gates)) for k, kind in enumerate(kinds)]
    for row, gate in enumerate(gates):
        middle = TOP + CELL_HEIGHT * (row + 0.5)
        number = layer.style(gate).split()[0]
        parts.append(svg.text(LEFT - 16, middle + 5, gate, class_=f"label big {number}", text_anchor="end"))
        for column in range(len(kinds)):
            place = Box(LEFT + CELL_WIDTH * column, middle - CELL_HEIGHT / 2, LEFT + CELL_WIDTH * (column + 1) - 14,
                        middle + CELL_HEIGHT / 2)  # fmt: skip
            parts.append(_cell(effect[row, column], place, low, high, number))
            parts.append(hit(row, column, place.left - 5, place.top + 4, CELL_WIDTH - 6, CELL_HEIGHT - 8))
    said, least = _extremes(layer, effect, gates, kinds)
    scale = "0 means as good as before, 1 as bad as without any memory" if share else "Numbers are added loss"
    return Figure(
        name="ablation",
        title="What the loss loses without each gate",
        wide=True,
        picture=picture(width, TOP + CELL_HEIGHT * len(gates) + 12, f"Loss change by gate and kind: {said}", *parts),
        after=behind(layer, gates, kinds),
        reading=f"{said} {scale}; a hollow dot's interval holds 0: no effect shown; an arrow lies beyond "
        f"the axis. {least} Zero and one are far from what the net has ever seen: they tell of shock more than of "
        "need.",
        expert="(L - L0) / (L_chance - L0) with the gate overridden in the forward run; paired bootstrap over "
        "sequences. Always name the kind: zero makes every gate look vital, shuffling rows shows which depend on their "
        "input.",
        formula=r"\frac{L_{\mathrm{ablated}}-L_0}{L_{\mathrm{chance}}-L_0}",
        change="another task; more sequences make the whiskers shorter.",
        header=["gate", "kind", "low", "change", "high"],
        numbers=[[gate, kind, *(f"{v:.4g}" for v in effect[r, c])] for r, gate in enumerate(gates)
                 for c, kind in enumerate(kinds)],
    )  # fmt: skip


def truth(layer: Layer) -> Figure | None:
    """Predicted against measured cost of each unit; None where units were not held."""
    found = layer.arrays("kill", "kill_predicted")
    if found is None:
        return None
    kill, predicted = found
    tried = np.isfinite(kill[:, 1]) & np.isfinite(predicted)
    if not tried.any():
        return None
    kill, predicted = kill[tried], predicted[tried]
    low, high = linear_range(predicted, kill[:, 1], np.zeros(1))
    place = Box(62.0, 14.0, 442.0, 344.0)
    x, y = Linear(low, high, place.left, place.right), Linear(low, high, place.bottom, place.top)
    spans = zip(predicted, kill[:, 0], kill[:, 2], strict=True)
    whiskers = "".join(f"M{svg.number(x(p))} {svg.number(y(a))}V{svg.number(y(b))}" for p, a, b in spans)
    diagonal = svg.line(place.left, place.bottom, place.right, place.top, class_="edge strong")
    dots = points(np.array([x(v) for v in predicted]), np.array([y(v) for v in kill[:, 1]]), 7.0, "s2")
    drawn = panel(place, Axis(x, "predicted by the gradient"), Axis(y, "measured"), diagonal,
                  svg.element("path", d=whiskers, class_="whisker s2"), dots)  # fmt: skip
    agree = _correlation(predicted, kill[:, 1])
    units = np.flatnonzero(tried)
    return Figure(
        name="truth",
        title="Can the cheap guess be trusted?",
        picture=around("Predicted against measured cost of each unit.", place, drawn),
        reading="One dot a unit that was really held at its mean. On the diagonal, the gradient's guess was right"
        f"{'' if agree is None else f'; rank correlation {agree:.2f} over {len(units)} units'}. Far above it lie units "
        "that matter more than their gradient says.",
        expert="x: first-order score, the gradient times the distance to the mean, summed over steps; y: normalised "
        "loss change in the experiment, with its interval; Spearman's correlation.",
        formula=r"\sum_t\frac{\partial L}{\partial m_{t,j}}(\overline{m}_j-m_{t,j})\quad\text{against}\quad \Delta L_j",
        change="saturated read-outs make the guess small where the truth is large.",
        header=["unit", "predicted", "low", "measured", "high"],
        numbers=[
            [f"{u}", f"{p:.4g}", *(f"{v:.4g}" for v in row)] for u, p, row in zip(units, predicted, kill, strict=True)
        ],
    )  # fmt: skip


def _column(k: int, kind: str, rows: int) -> Markup:
    left = LEFT + CELL_WIDTH * k
    return svg.group(
        svg.text(left, TOP - 34, kind, class_="heading"),
        svg.text(left, TOP - 18, MEANINGS.get(kind, ""), class_="note"),
        svg.line(left - 8, TOP - 44, left - 8, TOP + CELL_HEIGHT * rows, class_="edge"),
    )


def _cell(interval: np.ndarray, place: Box, low: float, high: float, number: str) -> Markup:
    start, middle, end = (float(v) for v in interval)
    if not math.isfinite(middle):
        return svg.text(place.left, (place.top + place.bottom) / 2, "not tried", class_="ghost")
    x, y = Linear(low, high, place.left, place.right), place.bottom - 17
    shown = [svg.line(x(0.0), y - 7, x(0.0), y + 7, class_="zero"), svg.line(x(low), y, x(high), y, class_="edge")]
    if low < 1.0 < high:
        shown.append(svg.line(x(1.0), y - 4, x(1.0), y + 4, class_="axis"))
    hollow = " hollow" if start <= 0.0 <= end else ""
    if math.isfinite(start) and math.isfinite(end):
        shown.append(svg.line(x(start), y, x(end), y, class_=f"whisker {number}"))
        shown.append(svg.text(place.left + 40, y - 14, f"{two_decimals(start)} to {two_decimals(end)}", class_="note"))
    if middle > high:  # beyond the axis: an arrow at its end
        at = place.right
        head = [(at - 7, y - 6), (at + 3, y), (at - 7, y + 6)]
        shown.append(svg.path(head, closed=True, class_=f"fill {number}"))
    else:
        shown.append(svg.element("circle", cx=x(middle), cy=y, r=5.0, class_=f"dot {number}{hollow}"))
    return svg.group(*shown, svg.text(place.left, y - 14, two_decimals(middle), class_="big"))


def _extremes(layer: Layer, effect: np.ndarray, gates: list[str], kinds: list[str]) -> tuple[str, str]:
    """The costliest gate by the gentlest kind that is there, in words; and which gates show no effect by it."""
    kind = next(k for k in ("shuffle rows", "mean", *kinds) if k in kinds)
    column = effect[:, kinds.index(kind)]
    if not np.isfinite(column[:, 1]).any():
        return "No gate was tried.", ""
    most = int(np.nanargmax(column[:, 1]))
    none = [gate for gate, (a, _, b) in zip(gates, column, strict=True) if a <= 0.0 <= b]
    left = f"By that kind, {', '.join(none)} show{'s' if len(none) == 1 else ''} no effect." if none else ""
    return f"By '{kind}', {gates[most]} matters most: {layer.cost(column[most, 1])}.", left


def _correlation(a: np.ndarray, b: np.ndarray) -> float | None:
    if len(a) < 3:
        return None
    ranks = [np.argsort(np.argsort(v, kind="stable"), kind="stable").astype(float) for v in (a, b)]
    spread = [r - r.mean() for r in ranks]
    size = math.sqrt(float((spread[0] ** 2).sum() * (spread[1] ** 2).sum()))
    return float((spread[0] * spread[1]).sum()) / size if size else None

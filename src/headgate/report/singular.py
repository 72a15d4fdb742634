"""What a stretch of steps lets through: singular values of products of Jacobians, and how many directions that is."""

from __future__ import annotations

import math

import numpy as np
from markupsafe import Markup

from headgate.report import svg
from headgate.report.figure import Figure
from headgate.report.layer import Layer
from headgate.report.lines import Line
from headgate.report.panel import around, box, panel
from headgate.report.plot import Axis, Box
from headgate.report.scale import Linear, Powers, Steps

TALL, RIGHT, BETWEEN, RANKS = 230.0, 112.0, 66.0, 84.0
HOW = {
    True: "Exact, from the whole product.",
    False: "By block power iteration: each value is a lower bound, and the stable rank is estimated by random "
    "directions.",
}
# Decades below the largest value that are shown.
DEEPEST = 20


def singular(layer: Layer) -> Figure | None:
    """The figure of a layer; None where singular values were not measured."""
    values = layer.array("singular_values")
    if values is None:
        return None
    lengths = layer.array("singular_windows")
    lengths = np.arange(1.0, len(values) + 1) if lengths is None else lengths
    ranks, exact = _ranks(layer, len(values)), layer.facts.get("singular_exact")
    place = box(TALL, right=RIGHT)
    high = math.ceil(float(np.nanmax(values)) + 0.02)
    low = max(math.floor(float(np.nanmin(values))), high - DEEPEST)
    x = Linear(0.5, max(values.shape[1] + 0.5, 2.0), place.left, place.right)
    y = Powers(low, high, place.bottom, place.top)
    index = np.arange(1, values.shape[1] + 1, dtype=float)
    lines = [
        Line(index, row, f"s{k % 8} dash{k % 8}", _steps(n), name=f"window of {_steps(n)}")
        for k, (n, row) in enumerate(zip(lengths, values, strict=True))
    ]
    parts = [panel(place, Axis(x, "direction"), Axis(y, "singular value"), lines=lines)]
    lowest = place
    if np.isfinite(ranks).any():
        lowest = Box(place.left, place.bottom + BETWEEN, place.right, place.bottom + BETWEEN + RANKS)
        parts.append(_rank_panel(lowest, lengths, ranks, exact is not False))
    return Figure(
        name="singular",
        title="What a stretch of steps lets through",
        picture=around("Singular values of the Jacobian product over windows.", lowest, *parts),
        reading="Over each window, how strongly each direction of the state comes through. A steep line means that few "
        f"directions are left; a flat one near 1, that all of them are carried.{_said(lengths, ranks)}",
        expert="Singular values of the Jacobian product over windows of several lengths before the last step, the "
        f"largest few. {HOW.get(exact, '')} Below, the stable rank |P|_F^2 / |P|_2^2 "
        "(Gilboa et al. 2019), of all directions, also of those not drawn.",
        formula=r"P=\prod_{m=1}^{w}J_{t+m},\qquad P=U\,\mathrm{diag}(\sigma)\,V^\top,\qquad "
        r"\frac{\lVert P\rVert_F^2}{\lVert P\rVert_2^2}=\frac{\sum_i\sigma_i^2}{\sigma_1^2}",
        change="an orthogonal start keeps them together; long windows spread them.",
        header=["window", "largest, log10", "smallest drawn, log10", "stable rank"],
        numbers=[[f"{n:.0f}", f"{np.nanmax(row):.4g}", f"{np.nanmin(row):.4g}", _told(rank)]
                 for n, row, rank in zip(lengths, values, ranks, strict=True)],
    )  # fmt: skip


def _ranks(layer: Layer, count: int) -> np.ndarray:
    """Stable ranks as they were measured, [W], NaN where they were not: the values drawn are not all there are."""
    told = layer.facts.get("stable_rank") or []
    if len(told) != count:
        return np.full(count, np.nan)
    return np.array([np.nan if rank is None else float(rank) for rank in told])


def _rank_panel(place: Box, lengths: np.ndarray, ranks: np.ndarray, exact: bool) -> Markup:
    x = Steps(min(1.0, float(lengths[0])), max(float(lengths[-1]), 2.0), place.left, place.right)
    y = Linear(0.0, 1.12 * max(2.0, float(np.nanmax(ranks))), place.bottom, place.top)
    there = [(x(n), y(rank)) for n, rank in zip(lengths, ranks, strict=True) if np.isfinite(rank)]
    hollow = "" if exact else " hollow"
    dots = [svg.element("circle", cx=a, cy=b, r=4.5, class_=f"dot s2{hollow}") for a, b in there]
    label = "stable rank" if exact else "estimated"
    line = Line(lengths, ranks, "s2 thin", label, name="stable rank")
    return panel(place, Axis(x, "window, steps (log axis)"), Axis(y, "directions"), lines=[line], over=dots)


def _said(lengths: np.ndarray, ranks: np.ndarray) -> str:
    there = np.flatnonzero(np.isfinite(ranks))
    if not len(there):
        return ""
    first, last = there[0], there[-1]
    said = f"{_told(ranks[first])} over {_steps(lengths[first])}"
    more = "" if first == last else f", {_told(ranks[last])} over {_steps(lengths[last])}"
    return f" As many directions come through about as well as the best (below): {said}{more}."


def _steps(count: float) -> str:
    return "1 step" if count == 1 else f"{count:,.0f} steps"


def _told(rank: float) -> str:
    return "none" if not np.isfinite(rank) else f"{rank:.3g}"

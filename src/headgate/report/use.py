"""What the loss notices of the past: how much a shorter context costs, and a state set back half way."""

from __future__ import annotations

import math

import numpy as np
from markupsafe import Markup

from headgate.report import svg
from headgate.report.figure import Figure
from headgate.report.layer import Layer
from headgate.report.lines import Line, level
from headgate.report.panel import around, box, linear_range, panel, upright
from headgate.report.plot import Axis, Box
from headgate.report.scale import Linear, Nothing, Steps

TALL, RIGHT, BETWEEN, STRIP = 200.0, 96.0, 74.0, 40.0


def use(layer: Layer) -> Figure | None:
    """How much loss a shorter context costs, and a state set back half way; None where neither was measured."""
    curve, reset = layer.arrays("use_lags", "use_loss"), _reset(layer)
    if curve is None and reset is None:
        return None
    parts, lowest = [], box(TALL, right=RIGHT)
    if curve is not None:
        parts.append(_curve(layer, lowest, *curve))
    if reset is not None:
        top = lowest.bottom + BETWEEN if parts else lowest.top
        lowest = Box(lowest.left, top, lowest.right, top + STRIP)
        parts.append(_strip(layer, lowest, reset))
    used = layer.horizon("used").get("lag")
    said, lost = _enough(used, curve), _lost(layer, reset)
    return Figure(
        name="use",
        title="How much context it uses",
        picture=around(f"Loss added by cutting the context: {said} {lost}".strip(), lowest, *parts),
        reading=f"The model is run again with its memory cut to the last k steps. {said} {lost}".strip(),
        expert="Loss with the state reset k steps before each output, less the loss with the whole context "
        "(Khandelwal et al. 2018); band: bootstrap interval over sequences. Below, once: every state restored to its "
        "initial value half way through each sequence; 0 changes nothing, 1 is as bad as chance.",
        formula=r"\Delta L(k)=L(\text{context}=k)-L(\text{context}=T),\qquad "
        r"\frac{L_{s_{T/2}:=s_0}-L}{L_{\mathrm{chance}}-L}",
        change="data whose answers lie further back; a memory that reaches further.",
        header=["context kept", "low", "loss added", "high"],
        numbers=_numbers(curve, reset),
    )


def _reset(layer: Layer) -> tuple[float, float, float] | None:
    """Low end, middle and high end of the effect, NaN for ends that cannot be told; None where it was not measured."""
    facts = layer.facts.get("reset") or {}
    if facts.get("middle") is None:
        return None
    return tuple(math.nan if facts.get(end) is None else float(facts[end]) for end in ("low", "middle", "high"))


def _raw(layer: Layer) -> bool:
    """Whether the reset's effect is a difference of losses; a record that does not say has one unit for all."""
    unit = (layer.facts.get("reset") or {}).get("unit")
    return layer.raw_costs if unit is None else unit == "loss"


def _curve(layer: Layer, place: Box, lags: np.ndarray, loss: np.ndarray) -> Markup:
    x = Steps(1.0, max(float(lags[-1]), 2.0), place.left, place.right)
    y = Linear(*linear_range(loss, np.zeros(1)), place.bottom, place.top)
    used = layer.horizon("used").get("lag")
    # Words at the left, where the curve is high.
    marks = [level(0.0, "", y, place), svg.text(place.left + 5, y(0.0) - 5, "loss with all of it", class_="note")]
    if used:
        marks.append(upright(float(used), f"enough: {used:,}", x, place, row=0))
    if layer.need:
        marks.append(upright(float(layer.need), f"needed: {layer.need:,}", x, place, "need", row=1))
    line = Line(lags, loss[:, 1], "s1", "extra loss", loss[:, 0], loss[:, 2], name="extra loss")
    return panel(place, Axis(x, "context kept, steps (log axis)"), Axis(y, "loss added"), *marks, lines=[line])


def _strip(layer: Layer, place: Box, reset: tuple[float, float, float]) -> Markup:
    """One interval on an axis from no change to as bad as without memory."""
    low, middle, high = reset
    share = not _raw(layer)
    ends = [v for v in (0.0, 1.0 if share else 0.0, *reset) if math.isfinite(v)]
    x = Linear(*linear_range(np.array(ends)), place.left, place.right)
    y = (place.top + place.bottom) / 2
    title = "change of the loss: 0 none, 1 as bad as without memory" if share else "loss added"
    shown = [svg.line(x(0.0), place.top, x(0.0), place.bottom, class_="zero")]
    if math.isfinite(low) and math.isfinite(high):
        shown.append(svg.line(x(low), y, x(high), y, class_="whisker s1"))
    hollow = " hollow" if low <= 0.0 <= high else ""
    shown.append(svg.element("circle", cx=x(middle), cy=y, r=5.5, class_=f"dot s1{hollow}"))
    shown.append(svg.text(place.right + 6, y + 4, f"{middle:.2g}", class_="label s1"))
    axes = Axis(x, title), Axis(Nothing(0.0, 1.0, place.bottom, place.top))
    return panel(place, *axes, *shown, heading="All states set back once, half way")


def _enough(used: int | None, curve: tuple[np.ndarray, np.ndarray] | None) -> str:
    if not used:
        return "No length was found to be enough."
    if curve is not None and used >= curve[0][-1]:
        return f"Only all of it, {used:,} steps, comes within 1 % of the loss."
    return f"{used:,} steps come within 1 % of the loss; more context is carried, if at all, without profit."


def _lost(layer: Layer, reset: tuple[float, float, float] | None) -> str:
    if reset is None:
        return ""
    low, middle, high = reset
    if low <= 0.0 <= high:
        return "Setting all states back half way shows no effect: what was before is not needed after."
    return f"Setting all states back once, half way, costs {layer.cost(middle, _raw(layer))}."


def _numbers(
    curve: tuple[np.ndarray, np.ndarray] | None, reset: tuple[float, float, float] | None
) -> list[list[str]]:
    table = [] if curve is None else [
        [f"{int(lag)}", *(f"{v:.4g}" for v in row)] for lag, row in zip(*curve, strict=True)
    ]  # fmt: skip
    if reset is not None:
        table.append(["states set back half way", *("none" if math.isnan(v) else f"{v:.4g}" for v in reset)])
    return table

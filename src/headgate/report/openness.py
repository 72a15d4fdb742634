"""Why units keep as long as they do: how often each stands open enough for the need, and how often it lets go."""

from __future__ import annotations

import numpy as np

from headgate.report.figure import Figure
from headgate.report.layer import Layer
from headgate.report.panel import around, box, panel, upright
from headgate.report.plot import Axis, Box
from headgate.report.scale import Linear, Steps
from headgate.report.unit_dots import UnitDots, table

TALL, BETWEEN, RIGHT = 170.0, 34.0, 86.0
# At least so much of the axis of resets is shown, so that none looks like none.
FEWEST = 0.05


class _Shares(Linear):
    """Shares with as many round ticks as a linear axis has."""

    def ticks(self) -> list[tuple[float, str]]:
        return [(value, f"{100 * value:.3g} %") for value, _ in super().ticks()]


def openness(layer: Layer) -> Figure | None:
    """The figure of a layer; None without time scales, or where nothing says how open units stand."""
    tau, enough, resets = (layer.array(name) for name in ("timescales", "open_enough", "resets"))
    if tau is None or (enough is None and resets is None):
        return None
    # What does not fade, or grows, has no time scale: it stands at the end of the axis.
    finite = tau[np.isfinite(tau) & (tau > 0)]
    high = 1.5 * max([10.0, *([float(finite.max())] if len(finite) else []), float(layer.need or 0)])
    low = 0.7 * float(finite.min(initial=0.4))
    shown = np.where(tau > 0, np.minimum(tau, high), high)
    dots = UnitDots(layer, len(tau), 2)
    parts, place = [], None
    for values, title, most in ((enough, "open enough", 1.0), (resets, "lets go", None)):
        if values is None:
            continue
        place = box(TALL, right=RIGHT) if place is None else _below(place)
        x = Steps(low, high, place.left, place.right)
        top = 1.04 if most else 1.1 * max(FEWEST, float(np.nanmax(values)))
        y = _Shares(-0.04 * top, top, place.bottom, place.top)
        last = values is resets or resets is None
        marks = dots.draw(place, x, y, shown, values)
        over = []
        if layer.need:
            over.append(upright(float(layer.need), "" if parts else f"needed: {layer.need:,}", x, place, "need"))
        horizontal = Axis(x, "time scale tau, steps (log axis)" if last else "", labelled=last)
        parts.append(panel(place, horizontal, Axis(y, f"steps: {title}"), *marks, over=over, reads="time scale"))
    parts.append(dots.key(Box(place.right + 18, 40.0, place.right + 30, 150.0)))
    columns = [("time scale", tau), ("open enough", enough), ("lets go", resets)]
    there = [(words, values) for words, values in columns if values is not None]
    return Figure(
        name="openness",
        title="Open long enough, and how often let go",
        picture=around("Share of steps each unit is open enough, and lets go.", place, *parts),
        reading=_plain(layer, enough, resets),
        expert="Above: share of steps at which the unit's own factor exceeds 1 - 1/N, N being the need; usual gates "
        "above 0.9 keep only 9.5 steps. Below: share of steps at which it is under 0.1. Dots as in the saturation "
        "chart. Units far to the right with resets hold long between them; tau counts both, as the mean log does.",
        formula=r"\overline{[k_{t,j}>1-1/N]},\qquad \overline{[k_{t,j}<0.1]},\qquad "
        r"\tau_j=\frac{-1}{\overline{\log k_{t,j}}}",
        change="the keeping gate's bias opens it for longer; inputs that mark a new beginning make it let go.",
        header=["unit", *(words for words, _ in there), "loss if held"],
        numbers=table(dots, [values for _, values in there], ".4g"),
    )  # fmt: skip


def _below(place: Box) -> Box:
    return Box(place.left, place.bottom + BETWEEN, place.right, place.bottom + BETWEEN + TALL * 0.72)


def _plain(layer: Layer, enough: np.ndarray | None, resets: np.ndarray | None) -> str:
    said = []
    if enough is not None:
        half = int((enough >= 0.5).sum())
        said.append(
            f"Above: how often a unit stands open enough to keep something for the {layer.need or 0:,} steps needed; "
            f"{half} of {len(enough)} units do so at least half of the time."
        )
    if resets is not None:
        rare = int((resets < 0.001).sum())
        said.append(
            f"{'Below: h' if enough is not None else 'H'}ow often it drops nine tenths of what it held in a single "
            f"step; {rare} of {len(resets)} hardly ever do. A gate at 0.99 keeps for 99 steps; set to 0.05 once in "
            "fifty, for 14."
        )
    return " ".join(said)

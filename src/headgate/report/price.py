"""The price of keeping long: how sharply the output hangs on each unit's own factor, against how long it keeps."""

from __future__ import annotations

import numpy as np

from headgate.report.figure import Figure
from headgate.report.layer import Layer
from headgate.report.lines import Line
from headgate.report.panel import around, box, panel, upright, whole_decades
from headgate.report.plot import Axis, Box
from headgate.report.scale import Powers, Steps, magnitude
from headgate.report.unit_dots import UnitDots, table

TALL, RIGHT = 230.0, 86.0


def price(layer: Layer) -> Figure | None:
    """The figure of a layer; None without time scales and sensitivities."""
    found = layer.arrays("timescales", "sensitivity")
    if found is None:
        return None
    tau, sharp = found
    there = np.isfinite(tau) & (tau > 0) & np.isfinite(sharp)
    if not there.any():
        return None
    place = box(TALL, right=RIGHT)
    ends = [float(tau[there].max()), float(layer.need or 1), float(layer.steps or 1), 10.0]
    x = Steps(0.7 * float(tau[there].min(initial=0.4)), 1.5 * max(ends), place.left, place.right)
    y = Powers(*whole_decades(sharp, least=float(np.floor(sharp[there].min()))), place.bottom, place.top)
    grid = np.geomspace(x.low, x.high, 120)
    law = white_noise_law(grid) + float(np.median(sharp[there] - white_noise_law(tau[there])))
    dots = UnitDots(layer, len(tau))
    over = [upright(float(layer.need), f"needed: {layer.need:,}", x, place, "need")] if layer.need else []
    line = Line(grid, np.where(law <= y.high, law, np.nan), "faint dash0", "", name="white input, one unit alone")
    drawn = panel(
        place, Axis(x, "time scale tau, steps (log axis)"), Axis(y, "change of the output"),
        *dots.draw(place, x, y, np.where(there, tau, np.nan), sharp), lines=[line], over=over,
    )  # fmt: skip
    key = dots.key(Box(place.right + 18, 40.0, place.right + 30, 150.0))
    low, high = (10.0 ** float(v) for v in (sharp[there].min(), sharp[there].max()))
    most = int(np.nanargmax(np.where(there, sharp, np.nan)))
    return Figure(
        name="price",
        title="The price of keeping long",
        picture=around("Sensitivity of the output to each unit's factor, by time scale.", place, drawn, key),
        reading="The longer a unit keeps, the more steps add up, and the more sharply the last output hangs on the "
        f"factor by which it keeps: from {magnitude(low)} to {magnitude(high)} here, most of all unit {most} with "
        f"{tau[most]:.3g} steps. Its weights bear small steps of learning only. Dashed: how that grows in the simplest "
        "memory.",
        expert="Root mean square over rows of |dh_T/dlambda_j|, lambda_j being added to the unit's own factor at every "
        "step, by random cotangents. Dashed: the law of one linear unit driven by white noise (Zucchet & Orvieto "
        "2024), moved to the units' median; beyond the sequence's length it no longer holds.",
        formula=r"\frac{\partial h_T}{\partial\lambda_j}=\sum_t\frac{\partial h_T}{\partial m_{t,j}}m_{t-1,j},\qquad "
        r"\mathbb{E}\left(\frac{\partial h}{\partial\lambda}\right)^2=\frac{1+\lambda^2}{(1-\lambda^2)^3}",
        change="a normalised input to each unit, as in gates with i = 1 - f, and a factor that is learnt in its "
        "logit, take the edge off.",
        header=["unit", "time scale", "change of the output, log10", "loss if held"],
        numbers=table(dots, [tau, sharp], ".4g"),
    )  # fmt: skip


def white_noise_law(tau: np.ndarray) -> np.ndarray:
    """log10 of the root of (1 + l^2) / (1 - l^2)^3 with l = exp(-1 / tau): Zucchet & Orvieto 2024, one linear unit."""
    square = np.exp(-2.0 / np.asarray(tau, dtype=float))
    return 0.5 * (np.log10(1.0 + square) - 3.0 * np.log10(-np.expm1(-2.0 / np.asarray(tau, dtype=float))))

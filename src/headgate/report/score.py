"""Gates as a score: units by time, one picture a gate, the memory itself, resets, and the text if it was kept."""

from __future__ import annotations

import numpy as np
from markupsafe import Markup

from headgate.report import svg
from headgate.report.figure import Figure
from headgate.report.heatmap import heat, legend
from headgate.report.layer import Layer
from headgate.report.lines import Line
from headgate.report.panel import panel, span
from headgate.report.plot import Axis, Box, picture
from headgate.report.scale import Nothing, Percent
from headgate.report.tokens import tokens

WIDTH, LEFT, RIGHT, TOP, TALL, GAP, RESETS = 1120.0, 66.0, 110.0, 28.0, 92.0, 30.0, 46.0


def gate_score(layer: Layer) -> Figure | None:
    """The figure of a layer; None without values by unit and time."""
    found = layer.arrays("gate_score", "bins")
    state = layer.array("state_score")
    if found is None and (state is None or layer.array("bins") is None):
        return None
    tau, resets = layer.array("timescales"), layer.array("co_resets")
    values = [] if found is None else [(name, found[0][k]) for k, name in enumerate(layer.gates)]
    count = (values[0][1] if values else state).shape[0]
    order = np.arange(count) if tau is None else np.argsort(-np.nan_to_num(tau, nan=-1.0), kind="stable")
    parts, top = [], TOP
    rows = [(name, table, (0.0, 1.0) if layer.is_gate(name) else (-1.0, 1.0)) for name, table in values]
    if state is not None:
        largest = max(float(np.nanquantile(np.abs(state), 0.99)), 1e-9)
        rows.append((f"memory {layer.memory}", state, (-largest, largest)))
    for number, (name, table, ends) in enumerate(rows):
        last = number == len(rows) - 1 and resets is None
        place = Box(LEFT, top, WIDTH - RIGHT, top + TALL)
        parts.append(_row(layer, name, table[order], ends, place, last))
        top = place.bottom + GAP
    if resets is not None:
        place = Box(LEFT, top, WIDTH - RIGHT, top + RESETS)
        x, y = span(layer.steps - 1, place), Percent(0.0, 1.0, place.bottom, place.top)
        line = Line(np.arange(len(resets), dtype=float), resets, "s0 thin", "reset", name="units that reset")
        parts.append(panel(place, Axis(x, "time step"), Axis(y, ""), lines=[line], heading="Units that let go at once"))
        top = place.bottom + GAP
    return Figure(
        name="score",
        title="The gates as a score",
        wide=True,
        picture=picture(WIDTH, top + 14, f"Gates of {layer.label} by unit and time.", *parts) + tokens(layer),
        reading="The first sequence: one row a unit, longest-lived at the top, time to the right. Bright is open. Dark "
        "stripes that run through all units of the keeping gate are moments at which the memory is cleared."
        + (" Move over the picture to see the token that was read." if layer.text else ""),
        expert="Means over pieces of time where there are many steps; rows sorted by tau. Below, the share of units "
        "whose own factor is below 0.1 at that step (co-reset).",
        formula=r"g_{t,j},\qquad m_{t,j},\qquad \frac{1}{H}\#\{j:\ k_{t,j}<0.1\}",
        change="the input: this is the layer's answer to one sequence.",
        header=["gate", "unit", *(f"step {b:.0f}" for b in _bins(layer))],
        numbers=_numbers(layer, rows, order),
    )  # fmt: skip


def _row(layer: Layer, name: str, table: np.ndarray, ends: tuple[float, float], place: Box, last: bool) -> Markup:
    low, high = ends
    x, y = span(layer.steps - 1, place), Nothing(0.0, float(len(table)), place.top, place.bottom)
    bar = Box(place.right + 12, place.top, place.right + 22, place.bottom)
    drawn = heat(table, place, low, high, name, most=2 * layer.detail)
    words = ("shut", "open") if ends == (0.0, 1.0) else (f"{low:.2g}", f"{high:.2g}")
    keeps = f"{name} (keeps the memory)" if name == layer.keeps else name
    axes = Axis(x, "time step" if last else "", labelled=last), Axis(y, "unit", labelled=False)
    return svg.group(panel(place, *axes, drawn, heading=keeps, reads="time step"), legend(bar, *words, ""))


def _bins(layer: Layer) -> np.ndarray:
    bins = layer.array("bins")
    return bins[np.unique(np.linspace(0, len(bins) - 1, min(len(bins), 12)).round().astype(int))]


def _numbers(layer: Layer, rows: list, order: np.ndarray) -> list[list[str]]:
    bins = layer.array("bins")
    at = np.searchsorted(bins, _bins(layer))
    return [[name, f"{unit}", *(f"{v:.3f}" for v in table[unit, at])] for name, table, _ in rows for unit in order[:12]]

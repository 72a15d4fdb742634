"""Where the gates stood while the net learned: a ridge for each moment of training, on the logit axis."""

from __future__ import annotations

import numpy as np
from markupsafe import Markup

from headgate.report import svg
from headgate.report.figure import Figure
from headgate.report.film import even_looks
from headgate.report.heatmap import heat
from headgate.report.layer import Layer
from headgate.report.panel import panel
from headgate.report.plot import Axis, Box, picture
from headgate.report.ridgeline import HIGH_END, LOW_END, places_of, quantile_of
from headgate.report.scale import Linear, Logit, timescale

WIDTH, LEFT, RIGHT, GAP = 1120.0, 72.0, 16.0, 26.0
HEAD, TALL, HIGH, ROOM = 34.0, 210.0, 44.0, 78.0
MOST_ACROSS, MOST_RIDGES, MOST_POINTS, ROWS = 4, 16, 160, 48
QUANTILES = (0.1, 0.5, 0.9)


def film_gates(layer: Layer) -> Figure | None:
    """The figure of a layer; None where training was not filmed, or without a gate in (0, 1)."""
    found = layer.arrays("film_steps", "film_gates", "logit_edges")
    if found is None or len(found[0]) < 2:
        return None
    steps, shares, edges = found
    shown = [k for k in range(shares.shape[1]) if np.isfinite(shares[:, k]).all()]
    if not shown:
        return None
    across = min(MOST_ACROSS, len(shown))
    wide = min(340.0, (WIDTH - LEFT - RIGHT - GAP * (across - 1)) / across)
    moments = even_looks(steps, MOST_RIDGES)
    parts, bottom = [], 0.0
    for number, k in enumerate(shown):
        left, top = LEFT + (number % across) * (wide + GAP), HEAD + HIGH + (number // across) * (HIGH + TALL + ROOM)
        place = Box(left, top, left + wide, top + TALL)
        parts.append(_gate(layer, layer.gates[k], place, steps, shares[:, k], edges, moments, number % across == 0))
        bottom = place.bottom
    names = [layer.gates[k] for k in shown]
    middles = {layer.gates[k]: [quantile_of(shares[at, k], edges, 0.5) for at in (0, -1)] for k in shown}
    said = _said(layer, middles)
    return Figure(
        name="film_gates",
        title="The gates while it learned",
        wide=True,
        picture=picture(WIDTH, bottom + 54, f"Each gate's distribution over training: {said}", *parts),
        reading=f"Each ridge is a moment of training, the first at the top; the line joins the middles. {said}",
        expert="Histograms of pre-activations (the logit of the gate) over all units, steps and looked-at sequences, "
        "each ridge scaled to its own highest point; line: medians. Second scale: tau = -1 / log f of a gate held "
        "there.",
        formula=r"\operatorname{logit}(p)=\log\frac{p}{1-p}\ \text{at each training step},\qquad "
        r"\tau=\frac{-1}{\log f}",
        change="the learning rate, the gates' initial biases; a reach that jumps mostly shows here as well.",
        header=["training step", *(f"{name} {100 * q:g} %" for name in names for q in QUANTILES)],
        numbers=[
            [f"{steps[at]:.0f}", *(f"{quantile_of(shares[at, k], edges, q):.4g}" for k in shown for q in QUANTILES)]
            for at in moments
        ],
    )  # fmt: skip


def _gate(
    layer: Layer,
    name: str,
    place: Box,
    steps: np.ndarray,
    shares: np.ndarray,
    edges: np.ndarray,
    moments: list[int],
    first: bool,
) -> Markup:
    x = Logit(LOW_END, HIGH_END, place.left, place.right)
    y = Linear(float(steps[0]), float(steps[-1]), place.top, place.bottom)
    keeps = name == layer.keeps
    second = {value: timescale(value) for value, _ in x.ticks() if value >= 0.5} if keeps else None
    number = layer.style(name).split()[0]
    ridges = [_ridge(shares[at], edges, x, y(float(steps[at])), number, at == moments[-1]) for at in moments]
    line = [
        (x(quantile_of(shares[at], edges, 0.5)), y(float(steps[at]))) for at in even_looks(steps, MOST_POINTS)
    ]  # fmt: skip
    words = "value; below, the steps it keeps" if keeps else "value"
    heading = svg.text(place.left, place.top - HIGH - 8, f"{name} (keeps the memory)" if keeps else name,
                       class_=f"label {number}")  # fmt: skip
    drawn = panel(
        place, Axis(x, words, second), Axis(y, "training step" if first else "", labelled=first),
        _unseen(place, shares, steps, edges, x), *ridges, reads=f"value of {name}", reads_up="training step",
        over=[svg.path(line, class_="middle casing"), svg.path(line, class_="middle")],
    )  # fmt: skip
    return svg.group(heading, drawn)


def _ridge(shares: np.ndarray, edges: np.ndarray, x: Logit, ground: float, number: str, last: bool) -> Markup:
    heights = shares / max(float(shares.max()), 1e-12) * HIGH
    places = places_of(edges)
    # From where there is anything to where there is not, with room for the line to come down.
    there = np.flatnonzero(shares > 0)
    inside = np.arange(max(there[0] - 1, 0), min(there[-1] + 2, len(shares)))
    inside = inside[(places[inside] >= x.low) & (places[inside] <= x.high)]
    points = [(x(float(places[k])), ground - float(heights[k])) for k in inside]
    outline = [(points[0][0], ground), *points, (points[-1][0], ground)] if points else [(x.start, ground)]
    return svg.path(outline, closed=True, class_=f"{'ridge' if last else 'ridge past'} {number}")


def _unseen(place: Box, shares: np.ndarray, steps: np.ndarray, edges: np.ndarray, x: Logit) -> Markup:
    """The shares as cells that nobody sees: from them a reader is told what stands under the pointer."""
    moments = np.linspace(steps[0], steps[-1], ROWS)
    rows = np.abs(steps[None] - moments[:, None]).argmin(1)
    grid = np.linspace(x.stretch(x.low), x.stretch(x.high), 2 * ROWS)
    columns = np.clip(np.searchsorted(edges, grid) - 1, 0, shares.shape[1] - 1)
    cells = shares[rows][:, columns]
    return svg.group(heat(cells, place, 0.0, max(float(cells.max()), 1e-9), "share of values"), opacity=0)


def _said(layer: Layer, middles: dict[str, list[float]]) -> str:
    said = []
    for name, values in middles.items():
        now = f"{name} from {values[0]:.3g} to {values[-1]:.3g}"
        if name == layer.keeps:
            now += f" (half of its values keep longer than {timescale(values[-1])} steps)"
        said.append(now)
    return f"Half of the values lie below: {', '.join(said)}."

"""Where each gate stands: its distribution on a logit axis, the time scales it means, and what its bias alone says."""

from __future__ import annotations

import math

import numpy as np
from markupsafe import Markup

from headgate.report import svg
from headgate.report.figure import Figure
from headgate.report.layer import Layer
from headgate.report.panel import panel
from headgate.report.plot import Axis, Box, picture
from headgate.report.scale import Logit, Nothing, timescale

LEFT, RIGHT, TOP, PITCH, HIGH = 62.0, 560.0, 24.0, 62.0, 84.0
LOW_END, HIGH_END = 0.0002, 0.9998


def ridgeline(layer: Layer) -> Figure | None:
    """The figure of a layer; None without a gate in (0, 1)."""
    found = layer.arrays("logit_histogram", "logit_edges")
    if found is None:
        return None
    histogram, edges = found
    shown = [name for k, name in enumerate(layer.gates) if np.isfinite(histogram[k]).all()]
    if not shown:
        return None
    bottom = TOP + HIGH + PITCH * (len(shown) - 1)
    place = Box(LEFT, TOP, RIGHT, bottom)
    x = Logit(LOW_END, HIGH_END, place.left, place.right)
    ridges = []
    for row, name in enumerate(shown):
        k = layer.gates.index(name)
        ridges.append(_ridge(layer, name, histogram[k], edges, x, TOP + HIGH + PITCH * row))
    second = {value: timescale(value) for value, _ in x.ticks() if value >= 0.5}
    axis = Axis(x, f"gate value; below, the steps it keeps ({layer.keeps})" if layer.keeps else "gate value", second)
    drawn = panel(place, axis, Axis(Nothing(0.0, 1.0, bottom, TOP)), *ridges)
    middles = {name: quantile_of(histogram[layer.gates.index(name)], edges, 0.5) for name in shown}
    return Figure(
        name="ridgeline",
        title="Where the gates stand",
        picture=picture(640.0, bottom + 54, f"Distribution of each gate: {_said(middles)}.", drawn),
        reading=f"All values of each gate, on an axis that does not hide its ends; half of them are below: "
        f"{_said(middles)}. Dotted: where the gate's bias alone would put it. A gate that differs little from that "
        "hardly listens to its input.",
        expert="Histogram of pre-activations (the logit of the gate); second scale: tau = -1 / log f of a gate held "
        "there. Dotted: sigma(b), unit by unit.",
        formula=r"\operatorname{logit}(p)=\log\frac{p}{1-p},\qquad \tau=\frac{-1}{\log f}",
        change="a gate's bias shifts its ridge; weights widen it; longer lags pull the keeping gate to the right.",
        header=["gate", *(f"{100 * q:g} %" for q in (0.01, 0.1, 0.5, 0.9, 0.99)), "median's time scale"],
        numbers=[[name, *(f"{quantile_of(histogram[layer.gates.index(name)], edges, q):.4g}"
                          for q in (0.01, 0.1, 0.5, 0.9, 0.99)), timescale(middles[name])] for name in shown],
    )  # fmt: skip


def _ridge(layer: Layer, name: str, shares: np.ndarray, edges: np.ndarray, x: Logit, ground: float) -> Markup:
    heights = shares / max(float(shares.max()), 1e-12) * HIGH * 0.92
    values = places_of(edges)
    points = [(x(v), ground - h) for v, h in zip(values, heights, strict=True)]
    outline = [(points[0][0], ground), *points, (points[-1][0], ground)]
    number = layer.style(name).split()[0]
    parts = [svg.path(outline, closed=True, class_=f"ridge {number}")]
    bias = layer.array("gate_bias_only")
    if bias is not None:
        logits = np.log(np.clip(bias[layer.gates.index(name)], 1e-9, 1 - 1e-9))
        logits -= np.log1p(-np.clip(bias[layer.gates.index(name)], 1e-9, 1 - 1e-9))
        counts, _ = np.histogram(np.clip(logits, edges[0], edges[-1]), edges)
        tall = counts / max(counts.max(), 1) * HIGH * 0.5
        dotted = [(x(v), ground - h) for v, h in zip(values, tall, strict=True)]
        parts.append(svg.path(dotted, class_="bias"))
    keeps = ", keeps the memory" if name == layer.keeps else ""
    parts.append(svg.text(RIGHT + 8, ground - 4, f"{name}{keeps}" if not keeps else name, class_=f"label {number}"))
    if keeps:
        parts.append(svg.text(RIGHT + 8, ground + 9, "keeps", class_="note"))
    return svg.group(*parts)


def places_of(edges: np.ndarray) -> np.ndarray:
    """The gate's value in the middle of each piece of the logit axis."""
    return 1.0 / (1.0 + np.exp(-(edges[:-1] + edges[1:]) / 2))


def quantile_of(shares: np.ndarray, edges: np.ndarray, q: float) -> float:
    """The gate's value below which a share q of it lies, straight within a piece of the logit axis."""
    total = np.concatenate([[0.0], np.cumsum(shares)]) / max(float(shares.sum()), 1e-12)
    return 1.0 / (1.0 + math.exp(-float(np.interp(q, total, edges))))


def _said(middles: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.3g}" for name, value in middles.items())

"""Histograms of gate values on a logit axis."""

from __future__ import annotations

import numpy as np
from markupsafe import Markup

from headgate.report import svg
from headgate.report.plot import Box
from headgate.report.scale import Logit, Scale

BINS = 48


def shares(values: np.ndarray, scale: Logit, bins: int = BINS) -> np.ndarray:
    """Share of the values in each of `bins` equal pieces of the axis, [bins]; those beyond an end are in the last."""
    low, high = scale.stretch(scale.low), scale.stretch(scale.high)
    clipped = np.clip(values.astype(np.float64).ravel(), scale.low, scale.high)
    counts, _ = np.histogram(np.log(clipped / (1.0 - clipped)), bins, (low, high))
    return counts / max(clipped.size, 1)


def is_gate(values: np.ndarray) -> bool:
    """Whether all values lie in [0, 1], so that they can stand on a logit axis; a tanh candidate does not."""
    return bool(values.size and values.min() >= 0.0 and values.max() <= 1.0)


def bars(heights: np.ndarray, y: Scale, box: Box, style: str) -> Markup:
    """Filled steps across the box, from the place of zero on; an axis that points down makes them hang."""
    edges, ground = np.linspace(box.left, box.right, len(heights) + 1), y(0.0)
    points = [(box.left, ground)]
    for left, right, height in zip(edges[:-1], edges[1:], heights, strict=True):
        points += [(left, y(float(height))), (right, y(float(height)))]
    return svg.path([*points, (box.right, ground)], closed=True, class_=f"bars {style}")

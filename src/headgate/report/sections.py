"""Which charts a layer's part of the page holds, in which order; what was not measured is told in one line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from headgate.report.decay import decay
from headgate.report.figure import Figure
from headgate.report.layer import Layer

Drawing = Callable[[Layer], Figure | None]


@dataclass(frozen=True)
class Chart:
    """A chart that a layer may have.

    Attributes:
        name, title: its own.
        drawing: gives the figure, or None where the record has not what it takes.
        reasons: names under which a record may say why.
    """

    name: str
    title: str
    drawing: Drawing
    reasons: tuple[str, ...]


GROUPS: dict[str, tuple[str, tuple[Chart, ...]]] = {
    "gradient": (
        "How far the gradient goes",
        (Chart("decay", "How much gradient reaches lag k", decay, ("decay", "lag_profile", "gradients")),),
    ),
}


def groups(layer: Layer) -> list[dict[str, Any]]:
    """As the page's template takes them."""
    found = []
    for name, (title, charts) in GROUPS.items():
        figures = [(chart, chart.drawing(layer)) for chart in charts]
        found.append({
            "name": name,
            "title": title,
            "figures": [figure for _, figure in figures if figure],
            "missing": [(chart.title, layer.why(*chart.reasons)) for chart, figure in figures if figure is None],
        })  # fmt: skip
    return found


def figures(layer: Layer) -> dict[str, Figure]:
    """Every chart that the record has what it takes for, by name."""
    drawn = [chart.drawing(layer) for _, charts in GROUPS.values() for chart in charts]
    return {figure.name: figure for figure in drawn if figure}

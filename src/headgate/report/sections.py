"""Which charts a layer's part of the page holds, in which order; what was not measured is told in one line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from headgate.report.ablation import ablation, truth
from headgate.report.about import cards, triage
from headgate.report.by_lag import cuts, learning
from headgate.report.by_time import gates_by_time, gradient_by_time
from headgate.report.decay import decay
from headgate.report.figure import Figure
from headgate.report.film import film
from headgate.report.film_gates import film_gates
from headgate.report.layer import NOT_MEASURED, Layer
from headgate.report.learnable import learnable
from headgate.report.openness import openness
from headgate.report.path_river import path_river
from headgate.report.price import price
from headgate.report.ridgeline import ridgeline
from headgate.report.saturation import saturation
from headgate.report.score import gate_score
from headgate.report.singular import singular
from headgate.report.spectrum import eigenvalues, lyapunov, memory_spectrum
from headgate.report.survival import survival
from headgate.report.triangles import connectivity, provenance, sources
from headgate.report.use import use

ONE_LOSS = "only one step's loss was followed, so there is nothing to set beside it"
NOT_FILMED = "the training was not watched with headgate.Monitor"
Drawing = Callable[[Layer], Figure | None]


@dataclass(frozen=True)
class Chart:
    """A chart that a layer may have.

    Attributes:
        name, title: its own.
        drawing: gives the figure, or None where the record has not what it takes.
        reasons: names under which a record may say why.
        otherwise: why it is not there, where the record does not say.
    """

    name: str
    title: str
    drawing: Drawing
    reasons: tuple[str, ...]
    otherwise: str = NOT_MEASURED

    def why(self, layer: Layer) -> str:
        """Why a layer does not have it."""
        said = layer.why(*self.reasons)
        return self.otherwise if said == NOT_MEASURED else said


GROUPS: dict[str, tuple[str, tuple[Chart, ...]]] = {
    "gradient": (
        "How far the gradient goes",
        (
            Chart("decay", "How much gradient reaches lag k", decay, ("decay", "lag_profile", "gradients")),
            Chart("paths", "Who carries the gradient", path_river, ("paths", "arrows", "gradients")),
            Chart("cuts", "What is left when a path is cut", cuts, ("cuts", "gradients")),
            Chart("learning", "From how far back the weights learn", learning, ("truncation", "gradients")),
            Chart("gradient_time", "The gradient by time", gradient_by_time, ("gradient_time", "gradients")),
            Chart("sources", "Does every loss reach as far back?", sources, ("sources", "gradients"), ONE_LOSS),
            Chart("film", "Learning to remember", film, ("film",), NOT_FILMED),
            Chart("film_gates", "The gates while it learned", film_gates, ("film_gates", "film"), NOT_FILMED),
        ),
    ),
    "memory": (
        "What the memory keeps",
        (
            Chart("spectrum", "How long the units keep", memory_spectrum, ("spectrum", "timescales")),
            Chart("openness", "Open long enough, and how often let go", openness, ("openness", "timescales")),
            Chart("survival", "Which units are the memory", survival, ("survival", "timescales")),
            Chart("provenance", "From when the content is", provenance, ("provenance",)),
            Chart("connectivity", "Which input each loss hangs on", connectivity, ("connectivity", "gradients"),
                  ONE_LOSS),
        ),
    ),
    "gates": (
        "What the gates do",
        (
            Chart("ridgeline", "Where the gates stand", ridgeline, ("ridgeline", "gates")),
            Chart("saturation", "Gates at the ends of their range", saturation, ("saturation", "gates")),
            Chart("learnable", "Can the gates still learn?", learnable, ("learnable", "gates")),
            Chart("score", "The gates as a score", gate_score, ("score", "gates")),
            Chart("gates_time", "The gates by time", gates_by_time, ("gates_time", "gates")),
        ),
    ),
    "causes": (
        "What matters to the loss",
        (
            Chart("ablation", "What the loss loses without each gate", ablation, ("ablation",)),
            Chart("use", "How much context it uses", use, ("use", "used")),
            Chart("truth", "Can the cheap guess be trusted?", truth, ("kill", "units")),
        ),
    ),
    "dynamics": (
        "How the state moves",
        (
            Chart("lyapunov", "Directions that survive", lyapunov, ("lyapunov", "dynamics")),
            Chart("eigenvalues", "One step's eigenvalues", eigenvalues, ("eigenvalues", "dynamics")),
            Chart("singular", "What a stretch of steps lets through", singular, ("singular_values", "dynamics")),
            Chart("price", "The price of keeping long", price, ("sensitivity", "timescales", "dynamics")),
        ),
    ),
}


def groups(layer: Layer) -> list[dict[str, Any]]:
    """As the page's template takes them, the equations last."""
    found: list[dict[str, Any]] = []
    for name, (title, charts) in GROUPS.items():
        figures = [(chart, chart.drawing(layer)) for chart in charts]
        found.append({
            "name": name,
            "title": title,
            "figures": [figure for _, figure in figures if figure],
            "missing": [(chart.title, chart.why(layer)) for chart, figure in figures if figure is None],
            "units": triage(layer) if name == "causes" else [],
        })  # fmt: skip
    return [*found, {"name": "equations", "title": "The equations", "cards": cards(layer), "figures": []}]


def figures(layer: Layer) -> dict[str, Figure]:
    """Every chart that the record has what it takes for, by name."""
    drawn = [chart.drawing(layer) for _, charts in GROUPS.values() for chart in charts]
    return {figure.name: figure for figure in drawn if figure}

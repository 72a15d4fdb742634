"""Can the gates still learn: how much each gate's pre-activation moves, against how much of a gradient passes it."""

from __future__ import annotations

import numpy as np
from markupsafe import Markup

from headgate.inspection.thresholds import DEFAULTS
from headgate.report import svg
from headgate.report.figure import Figure
from headgate.report.layer import Layer
from headgate.report.panel import panel
from headgate.report.plot import Axis, Box, picture
from headgate.report.saturation import TOP, place_of, width_of
from headgate.report.scale import Decades
from headgate.report.unit_dots import UnitDots, table

# Deviations in logit units and slopes that the axes hold at least; what lies beyond stands at the end.
MOVES, PASSES = (1e-2, 10.0), (1e-3, 1.0)
LOWEST = 1e-6


def learnable(layer: Layer) -> Figure | None:
    """The figure of a layer; None without gates."""
    found = layer.arrays("gate_deviation", "gate_trainability")
    if found is None:
        return None
    moves, passes = found
    names = layer.gates
    dots = UnitDots(layer, moves.shape[1], len(names))
    across = min(4, len(names))
    places = [place_of(k, across) for k in range(len(names))]
    ends = _ends(moves, MOVES), _ends(passes, PASSES)
    parts = [_gate(layer, k, place, moves[k], passes[k], dots, ends) for k, place in enumerate(places)]
    bottom, right = places[-1].bottom, places[across - 1].right
    parts.append(dots.key(Box(right + 18, TOP + 20, right + 30, TOP + 150)))
    return Figure(
        name="learnable",
        title="Can the gates still learn?",
        wide=across > 2,
        picture=picture(width_of(across), bottom + 46, "How much each gate moves, and what passes it.", *parts),
        reading="Right: the gate moves much with its input; top: a change of its weights changes it much. "
        f"{_said(layer, moves, passes)} A gate that must stand almost open for long lags pays with its slope: the "
        "price of keeping, no fault.",
        expert="Standard deviation of the pre-activation over steps and rows, logit units, against the mean slope of "
        "the gate, g (1 - g), at most 1/4, or 1 - g^2 of a tanh, at most 1 (Gu et al. 2020). Left of the upright line "
        f"({DEFAULTS.constant_deviation:g}) a gate may be called constant. Level line, keeping gate: 1/N (1 - 1/N), "
        "the slope of a gate held just open enough for the need N.",
        formula=r"\sqrt{\overline{(a-\overline{a})^2}},\qquad \overline{g(1-g)},\qquad "
        r"g=1-\tfrac1N\ \Rightarrow\ g(1-g)=\tfrac1N\left(1-\tfrac1N\right)",
        change="smaller weights or biases nearer 0 lift the dots; a refine gate or a chrono start keeps slope where "
        "the gate is nearly open.",
        header=["unit", *(f"{name} {word}" for name in names for word in ("moves", "slope")), "loss if held"],
        numbers=table(dots, [part[k] for k in range(len(names)) for part in (moves, passes)], ".3g"),
    )  # fmt: skip


def _ends(values: np.ndarray, least: tuple[float, float]) -> tuple[float, float]:
    """Whole decades that hold what there is, at least those given."""
    there = values[np.isfinite(values) & (values > LOWEST)]
    if not there.size:
        return least
    low, high = 10.0 ** np.floor(np.log10(there.min())), 10.0 ** np.ceil(np.log10(there.max()))
    return min(least[0], float(low)), max(least[1], float(high))


def _gate(
    layer: Layer,
    k: int,
    place: Box,
    moves: np.ndarray,
    passes: np.ndarray,
    dots: UnitDots,
    ends: tuple[tuple[float, float], tuple[float, float]],
) -> Markup:
    name = layer.gates[k]
    x, y = Decades(*ends[0], place.left, place.right), Decades(*ends[1], place.bottom, place.top)
    still = x(DEFAULTS.constant_deviation)
    marks = [svg.line(still, place.top, still, place.bottom, class_="edge strong")]
    if name == layer.keeps and layer.need and layer.need > 1:
        price = y((1.0 - 1.0 / layer.need) / layer.need)
        marks.append(svg.line(place.left, price, place.right, price, class_="need"))
        marks.append(svg.text(place.left + 4, price - 4, f"open for {layer.need:,} steps", class_="need-words"))
    vertical = Axis(y, "mean slope" if k % 4 == 0 else "", labelled=k % 4 == 0)
    heading = f"{name} (keeps the memory)" if name == layer.keeps else name
    return panel(place, Axis(x, "moves by, logit units"), vertical, *dots.draw(place, x, y, moves, passes),
                 over=marks, heading=heading)  # fmt: skip


def _said(layer: Layer, moves: np.ndarray, passes: np.ndarray) -> str:
    still = [(name, int((moves[k] < DEFAULTS.constant_deviation).sum())) for k, name in enumerate(layer.gates)]
    count = moves.shape[1]
    named = [f"{name} in {n} of {count} units" for name, n in still if n]
    if not named:
        return "Every unit's gates move with the input."
    return f"Hardly moved at all, left of the line: {', '.join(named)}."

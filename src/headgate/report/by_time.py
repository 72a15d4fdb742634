"""Lines by time: what a usual probe sees of the gradient against what there is; the gates' levels."""

from __future__ import annotations

import numpy as np

from headgate.report.decay import power
from headgate.report.figure import Figure
from headgate.report.layer import Layer
from headgate.report.lines import Line
from headgate.report.panel import alone, box, span, whole_decades
from headgate.report.plot import Axis
from headgate.report.scale import Percent, Powers

TALL, RIGHT = 220.0, 112.0


def gradient_by_time(layer: Layer) -> Figure | None:
    """One source's gradient, the whole loss's, and the local term; None where none was measured."""
    known = (
        ("gradient_norm", "ink", "last loss alone", "of the last loss step alone"),
        ("loss_gradient", "s0 dash0", "whole loss", "of the whole loss"),
        ("local_gradient", "s6 dash6", "local term", "the loss's own derivative there"),
    )
    found = [(layer.array(name), style, words, said) for name, style, words, said in known]
    found = [entry for entry in found if entry[0] is not None]
    if not found:
        return None
    place = box(TALL, right=RIGHT)
    time = np.arange(len(found[0][0]), dtype=float)
    low, high = whole_decades(*(values for values, *_ in found), floor=-45.0, most=12.0)
    y = Powers(low, high, place.bottom, place.top)
    lines = [Line(time, values, style, words, name=said) for values, style, words, said in found[::-1]]
    return Figure(
        name="gradient_time",
        title="The gradient by time, and what usual probes see of it",
        picture=alone("Norm of the memory's gradient at each step.", place, Axis(span(time[-1], place), "time step"),
                      Axis(y, "norm of the gradient"), lines=lines),
        reading=(
            "With a loss at every step, the whole loss's gradient stays level although none of its parts reaches far: "
            "only a single loss followed by itself shows fading. The local term is all that hooks on a layer's output "
            "see."
        ),
        expert="Norms of dl_s/dm_t for the last source, dL/dm_t for the sum of all losses, and e_t = dL/dh_t, the "
        "local term; medians over rows. Gaps: no gradient at that step.",
        formula=r"\frac{\partial L}{\partial h_t}=e_t+K_{t+1}^\top\frac{\partial L}{\partial c_{t+1}}+R_{t+1}^\top"
        r"\frac{\partial L}{\partial h_{t+1}}",
        change="where the loss is read: at every step, or at the last alone.",
        header=["step", *(words for _, _, words, _ in found)],
        numbers=[[f"{t}", *(power(values[t]) for values, *_ in found)] for t in _shown(len(time))],
    )  # fmt: skip


def gates_by_time(layer: Layer) -> Figure | None:
    """Means of the gates and of the memory's own factor at every step; None without gates."""
    means, keep = layer.array("gate_mean"), layer.array("keep_mean")
    if means is None and keep is None:
        return None
    names = [name for name in layer.gates if layer.is_gate(name)]
    rows = [] if means is None else [(n, means[layer.gates.index(n)], layer.style(n), f"{n}, mean") for n in names]
    if keep is not None:
        rows.append(("kept", keep, "s2", "memory's own factor, geometric mean"))
    if not rows:
        return None
    place = box(TALL, right=72.0)
    time = np.arange(len(rows[0][1]), dtype=float)
    lines = [Line(time, values, style, words, name=said) for words, values, style, said in rows]
    y = Percent(-0.02, 1.04, place.bottom, place.top)
    return Figure(
        name="gates_time",
        title="The gates by time",
        picture=alone("Mean of each gate at every step.", place, Axis(span(time[-1], place), "time step"),
                      Axis(y, "open"), lines=lines),
        reading="How open each gate stands, averaged over units and sequences. Dips of what is kept are moments at "
        "which the memory lets go; the first steps often differ, since the state starts from nothing.",
        expert="Arithmetic means over rows and units; the memory's own factor by the geometric mean, as factors "
        "multiply along time.",
        formula=r"\overline{g}_t=\frac{1}{BH}\sum_{b,j} g_{t,b,j},\qquad \exp\frac{1}{BH}\sum_{b,j}\log k_{t,b,j}",
        change="the gates' biases, and inputs that ask for resetting.",
        header=["step", *(words for words, *_ in rows)],
        numbers=[[f"{t}", *(f"{values[t]:.4f}" for _, values, *_ in rows)] for t in _shown(len(time))],
    )  # fmt: skip


def _shown(count: int) -> list[int]:
    return [int(k) for k in np.unique(np.linspace(0, count - 1, min(count, 40)).round())]

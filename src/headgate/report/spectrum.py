"""Spectra of a memory: time scales of its units, directions that survive, eigenvalues."""

from __future__ import annotations

import math

import numpy as np
from markupsafe import Markup

from headgate.report import svg
from headgate.report.figure import Figure
from headgate.report.heatmap import colour, legend
from headgate.report.layer import Layer
from headgate.report.lines import Line, level
from headgate.report.panel import alone, around, box, linear_range, panel, points, upright
from headgate.report.plot import Axis, Box
from headgate.report.scale import Linear, Steps

TALL = 230.0
MOST_POINTS = 6000
# Mahto et al. 2021: time scales of natural text follow an inverse gamma law of this shape, with scale 1.
TEXT_SHAPE = 0.56


def memory_spectrum(layer: Layer) -> Figure | None:
    """How many units keep longer than tau; None without time scales."""
    tau = layer.array("timescales")
    if tau is None:
        return None
    tau = np.sort(tau[tau > 0])[::-1]
    ends = [v for v in (layer.need, layer.facts.get("train_length")) if v]
    finite = tau[np.isfinite(tau)]
    high = 1.5 * max([10.0, *map(float, ends), *([float(finite[0])] if len(finite) else [])])
    place = box(TALL, right=126.0)
    x, y = Steps(0.3, high, place.left, place.right), Linear(0.0, 1.04 * len(tau), place.bottom, place.top)
    grid = np.geomspace(x.low, x.high, 160)
    longest = float(layer.facts.get("train_length") or layer.need or layer.steps or high)
    lines = [
        Line(grid, len(tau) * inverse_gamma(grid), "faint dash1", "as in text", name="inverse gamma, as in text"),
        Line(grid, len(tau) * np.clip(1 - (grid - 1) / max(longest - 1, 1), 0, 1), "faint dash0", "chrono start",
             name="chrono start, uniform"),
    ]  # fmt: skip
    lines += _bias_only(layer, grid)
    found = np.searchsorted(-tau, -grid, side="right").astype(float)
    lines.append(Line(grid, found, "s2", "measured", name="units that keep longer"))
    marks = [upright(float(layer.need), f"needed: {layer.need:,}", x, place, "need")] if layer.need else []
    enough = int((tau > layer.need).sum()) if layer.need else None
    said = "" if enough is None else f" {enough} of {len(tau)} keep longer than the {layer.need:,} steps needed."
    return Figure(
        name="spectrum",
        title="How long the units keep",
        picture=alone(
            f"Units by the time scale they keep longer than.{said}", place,
            Axis(x, "time scale tau, steps (log axis)"), Axis(y, "units that keep longer"), lines=lines, over=marks,
        ),
        reading=f"Read at any number of steps how many units keep what they hold for longer than that.{said} A memory "
        "of several time scales falls gently; one that all units share falls at one place.",
        expert="Complementary distribution of tau_j = -1 / mean log of the unit's own factor. Dashed: what a chrono "
        f"start gives (uniform up to {longest:,.0f}, Tallec & Ollivier 2018), the inverse gamma law found for text "
        f"(shape {TEXT_SHAPE}, Mahto et al. 2021), and what the keeping gate's bias alone would give.",
        formula=r"\tau_j=\frac{-1}{\overline{\log k_{t,j}}},\qquad \#\{j:\ \tau_j>\tau\}",
        change="the keeping gate's bias at the start; data with longer lags.",
        header=["rank", "time scale, steps"],
        numbers=[[f"{k + 1}", f"{tau[k]:.4g}"] for k in _ranks(len(tau))],
    )  # fmt: skip


def inverse_gamma(times: np.ndarray, shape: float = TEXT_SHAPE) -> np.ndarray:
    """P(T > t) of the inverse gamma law of scale 1: the lower incomplete gamma function at 1 / t, by its series."""
    z = 1.0 / np.asarray(times, dtype=float)
    term, total = np.full_like(z, 1.0 / shape), np.full_like(z, 1.0 / shape)
    for k in range(1, 200):
        term = term * z / (shape + k)
        total = total + term
    return np.exp(shape * np.log(z) - z - math.lgamma(shape)) * total


def lyapunov(layer: Layer) -> Figure | None:
    """Exponents with their bands; None where they were not measured."""
    values = layer.array("lyapunov")
    if values is None:
        return None
    band = layer.array("lyapunov_band")
    wide = np.zeros_like(values) if band is None else band
    place = box(TALL, right=112.0)
    index = np.arange(1, len(values) + 1, dtype=float)
    bound = -1.0 / layer.need if layer.need else None
    low, high = linear_range(values - wide, values + wide, np.array([0.0, bound or 0.0]))
    x = Linear(0.5, max(len(values) + 0.5, 2.0), place.left, place.right)
    y = Linear(low, high, place.bottom, place.top)
    marks = [level(0.0, "neither fades nor grows", y, place)]
    if bound is not None:
        marks.append(level(bound, f"lasts the {layer.need:,} steps needed", y, place, left=True))
    line = Line(index, values, "s2", "exponents", values - wide, values + wide, name="exponent")
    dots = points(np.array([x(v) for v in index]), np.array([y(v) for v in values]), 5.0, "s2")
    axes = Axis(x, "direction"), Axis(y, "growth a step, log")
    facts = layer.facts.get("lyapunov") or {}
    return Figure(
        name="lyapunov",
        title="Directions that survive",
        picture=alone(
            f"Lyapunov exponents; the largest is {values[0]:.3g}.", place, *axes, *marks, dots, lines=[line]
        ),
        reading=f"Of all directions in which the state can be pushed, the longest-lived goes by a factor "
        f"{math.exp(values[0]):.3g} a step.{_surviving(layer, facts, values)} Above zero, small differences grow.",
        expert=f"Lyapunov exponents of the driven run by QR of the Jacobians; band: what the running estimate still "
        f"moves.{_checksum(facts)}",
        formula=r"\lambda_i=\frac{1}{T}\sum_t\log R^{(t)}_{ii},\qquad Q_tR_t=J_tQ_{t-1},\qquad "
        r"\sum_i\lambda_i=\overline{\log\lvert\operatorname{det}J_t\rvert}",
        change="gates that stay open move exponents to zero; the recurrent matrices' size moves all of them.",
        header=["direction", "exponent", "half-width", "factor a step"],
        numbers=[[f"{k + 1}", f"{v:.5g}", f"{wide[k]:.2g}", f"{math.exp(v):.4g}"] for k, v in enumerate(values)],
    )  # fmt: skip


def eigenvalues(layer: Layer) -> Figure | None:
    """Eigenvalues of one-step Jacobians in the complex plane; None where they were not measured."""
    found = layer.arrays("eigenvalues_real", "eigenvalues_imaginary")
    if found is None:
        return None
    real, imaginary = found
    steps = layer.array("eigenvalue_steps")
    when = np.arange(len(real)) if steps is None else steps
    every = max(1, math.ceil(real.size / MOST_POINTS))
    real, imaginary, when = real[::every], imaginary[::every], when[::every]
    reach = 1.08 * max(1.0, float(np.nanmax(np.hypot(real, imaginary))))
    place = Box(62.0, 14.0, 462.0, 414.0)
    x, y = Linear(-reach, reach, place.left, place.right), Linear(-reach, reach, place.bottom, place.top)
    shades = [f"stroke: {colour(0.92 * k / max(len(real) - 1, 1))}" for k in range(len(real))]
    clouds = [
        points(np.array([x(v) for v in a]), np.array([y(v) for v in b]), 4.2, "", style=shade)
        for a, b, shade in zip(real, imaginary, shades, strict=True)
    ]
    circle = svg.element("circle", cx=x(0.0), cy=y(0.0), r=x(1.0) - x(0.0), class_="edge strong")
    ticks = _factors(layer, x, y)
    words = (f"step {when[-1]:.0f}", f"step {when[0]:.0f}")
    bar = legend(Box(place.right + 40, place.top + 60, place.right + 52, place.top + 200), words[1], words[0], "")
    drawn = panel(place, Axis(x, "real part"), Axis(y, "imaginary part"), circle, *clouds, ticks)
    sizes = np.hypot(real, imaginary)
    slow = int(np.median((sizes > 0.9).sum(1)))
    return Figure(
        name="eigenvalues",
        title="One step's eigenvalues",
        picture=around(f"Eigenvalues of the Jacobian at {len(real)} steps.", place, drawn, bar),
        reading=f"Each dot is a way in which one step changes the state. Near the circle, little is lost; {slow} of "
        f"{sizes.shape[1]} are beyond 0.9 at a usual step. A clump near 1 on the right is a memory; dots elsewhere on "
        "the circle turn round and round.",
        expert="Eigenvalues of J_t at sampled steps, dark to bright along time; ticks on the real axis: exp(-1/tau_j), "
        "where they would lie by the elementwise path alone (Krishnamurthy, Can & Schwab 2022).",
        formula=r"J_t=\frac{\partial s_t}{\partial s_{t-1}},\qquad J_t v=\lambda v",
        change="the keeping gate pulls a clump towards 1; the other gates set the radius of the cloud.",
        header=["step", "largest |eigenvalue|", "beyond 0.9", "beyond 0.99"],
        numbers=[[f"{t:.0f}", f"{row.max():.5g}", f"{(row > 0.9).sum()}", f"{(row > 0.99).sum()}"]
                 for t, row in zip(when, sizes, strict=True)],
    )  # fmt: skip


def _bias_only(layer: Layer, grid: np.ndarray) -> list[Line]:
    bias = layer.array("gate_bias_only")
    if bias is None or layer.keeps not in layer.gates:
        return []
    keep = np.clip(bias[layer.gates.index(layer.keeps)], 1e-12, 1 - 1e-12)
    tau = np.sort(-1.0 / np.log(keep))[::-1]
    count = np.searchsorted(-tau, -grid, side="right").astype(float)
    return [Line(grid, count, "s0 dash0 thin", "bias alone", name="by the bias alone")]


def _factors(layer: Layer, x: Linear, y: Linear) -> Markup:
    tau = layer.array("timescales")
    if tau is None:
        return Markup("")
    places = [x(math.exp(-1.0 / t)) for t in tau if t > 0]
    path = "".join(f"M{svg.number(place)} {svg.number(y(0.0) - 5)}v10" for place in places)
    return svg.element("path", d=path, class_="outline s2 thin")


def _surviving(layer: Layer, facts: dict, values: np.ndarray) -> str:
    if not layer.need:
        return ""
    count = facts.get("surviving")
    count = int((values > -1.0 / layer.need).sum()) if count is None else count
    return f" {count} last{'s' if count == 1 else ''} for the {layer.need:,} steps that the task needs."


def _checksum(facts: dict) -> str:
    if facts.get("sum") is None or facts.get("closed_form") is None:
        return ""
    return (
        f" Checked: the sum is {facts['sum']:.6g}, and {facts['closed_form']:.6g} by the determinant's closed form"
        f"{' over ' + format(facts['steps'], ',') + ' steps' if facts.get('steps') else ''}."
    )


def _ranks(count: int) -> list[int]:
    return sorted({*range(min(count, 24)), *np.linspace(0, count - 1, min(count, 24)).round().astype(int).tolist()})

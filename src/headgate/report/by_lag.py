"""Further lines by lag: what is left when a path is cut, and how far back the weights learn from."""

from __future__ import annotations

import numpy as np
from markupsafe import Markup

from headgate.report.decay import SHOWN, power
from headgate.report.figure import Figure
from headgate.report.layer import Layer
from headgate.report.lines import Line
from headgate.report.panel import alone, box, lags_along, upright, whole_decades
from headgate.report.plot import Axis, Box
from headgate.report.scale import Lags, Percent, Powers

TALL, RIGHT = 220.0, 96.0


def cuts(layer: Layer) -> Figure | None:
    """What reaches each lag with one path knocked out; None where nothing was."""
    found = layer.arrays("lags", "cut_profile", "lag_profile")
    if found is None:
        return None
    lags, profile, whole = found
    names = [str(name) for name in layer.facts.get("cuts") or []]
    if len(names) != len(profile):
        return None
    place = box(TALL, right=RIGHT)
    x = lags_along(place, lags)
    y = Powers(*whole_decades(profile, whole[1], floor=-45.0), place.bottom, place.top)
    rows = zip(names, profile, strict=True)
    lines = [Line(lags, row, layer.style(name), f"no {name}", name=f"without {name}") for name, row in rows]
    lines.append(Line(lags, whole[1], "ink", "whole", name="whole"))
    loss = profile[:, -1] - whole[1][-1]
    most = names[int(np.nanargmin(loss))] if np.isfinite(loss).any() else names[0]
    return Figure(
        name="cuts",
        title="What is left when a path is cut",
        picture=alone(
            f"Gradient by lag with one path cut; {most} matters most.", place,
            Axis(x, "lag k: steps back from the loss (log axis)"), Axis(y, "gradient relative to lag 0"), lines=lines,
        ),
        reading=(
            f"The forward run stays as it was; on the way back, one path lets nothing through. The furthest step loses "
            f"most without {most}. A cut that changes nothing names a path that the gradient does not need. Cut a path "
            "in the picture of the network to see the same step by step."
        ),
        expert="The reverse pass run again with that path's block of the Jacobian set to zero: a statement on the "
        "gradient, not on the loss.",
        formula=r"J_t\to J_t-K^p_t,\qquad r_p(k)=\lVert\textstyle\prod_t (J_t-K^p_t)^\top e\rVert/\lVert e\rVert",
        change="initial weights: with torch's start, it is the candidate's path that carries long lags.",
        header=["lag k", "whole", *(f"without {name}" for name in names)],
        numbers=[[f"{int(lags[at])}", power(whole[1][at]), *(power(v) for v in profile[:, at])] for at in _rows(lags)],
    )  # fmt: skip


def learning(layer: Layer) -> Figure | None:
    """From how far back the weights' own gradient comes; None where it was not measured."""
    lags, share, cosine = (layer.array(name) for name in ("lags", "parameter_share", "truncation_cosine"))
    if lags is None or (share is None and cosine is None):
        return None
    place = box(TALL, right=RIGHT)
    x = lags_along(place, lags)
    y = Percent(-0.02, 1.05, place.bottom, place.top)
    known = (
        (share, "s2", "norm held", "share of the gradient's norm"),
        (cosine, "s0 dash0", "cosine", "cosine with the whole"),
    )
    lines = [Line(lags, v, style, words, name=said) for v, style, words, said in known if v is not None]
    marks = [
        _mark(layer, "tbptt", "truncated after", x, place, 10),
        _mark(layer, "parameter_lag_99", "99 % within", x, place, 11),
    ]
    near = layer.facts.get("parameter_lag_99")
    said = f"99 % of it comes from the last {near:,} steps." if near is not None else "See how soon the line is full."
    return Figure(
        name="learning",
        title="From how far back the weights learn",
        picture=alone(
            f"Share of the weights' gradient by lag: {said}", place,
            Axis(x, "steps back that are kept (log axis)"), Axis(y, "of the weights' gradient"), lines=lines,
            over=marks,
        ),
        reading=f"The gradient by which the weights move is a sum over steps back. {said} Truncating shorter than the "
        "lag that matters teaches something else than the loss asks for.",
        expert="K_99 is the shortest window that holds 99 % of the summed norms (Aicher, Foti & Fox 2019); the cosine "
        "is that of the truncated with the whole parameter gradient.",
        formula=r"\sum_{k\le K}\lVert \delta_{t-k} h_{t-k-1}^\top\rVert,\qquad \cos(g_K, g_T)",
        change="a longer truncation, or a memory that carries gradient further.",
        header=["lag k", *(w for w, v in (("share of norm", share), ("cosine", cosine)) if v is not None)],
        numbers=[
            [f"{int(lags[at])}", *(f"{v[at]:.4f}" for v in (share, cosine) if v is not None)] for at in _rows(lags)
        ],
    )  # fmt: skip


def _mark(layer: Layer, name: str, words: str, x: Lags, place: Box, row: int = 0) -> Markup:
    value = layer.facts.get(name)
    return upright(float(value), f"{words} {value:,}", x, place, row=row) if value else Markup("")


def _rows(lags: np.ndarray) -> list[int]:
    return sorted({int(np.abs(lags - lag).argmin()) for lag in (*[k for k in SHOWN if k < lags[-1]], lags[-1])})

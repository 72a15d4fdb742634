"""Who carries the gradient: each path's signed share at every step, stacked around zero, and how much cancels."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from markupsafe import Markup

from headgate.report import svg
from headgate.report.decay import highway_words
from headgate.report.figure import Figure
from headgate.report.layer import Layer
from headgate.report.lines import Line
from headgate.report.panel import panel, span
from headgate.report.plot import Axis, Box, picture
from headgate.report.pyramid import edges
from headgate.report.scale import Percent, Steps, percent

WIDTH, LEFT, RIGHT = 1120.0, 66.0, 110.0
TOP, LINE, BETWEEN, RIVER = 12.0, 64.0, 24.0, 230.0
MOST_COLUMNS, HIGHEST = 256, 3.0
FORMULA = (
    r"\frac{\partial L}{\partial m_t}=\sum_p v_p,\qquad s_p=\frac{\langle v_p,v\rangle}{\lVert v\rVert^2},\quad "
    r"\sum_p s_p=1,\qquad \text{cancellation}=\frac{\sum_p\lVert v_p\rVert}{\lVert v\rVert}\ge 1"
)


def path_river(layer: Layer) -> Figure | None:
    """The figure of a layer; None without arrows."""
    found = layer.arrays("arrow_share", "cancellation")
    if found is None:
        return None
    share, cancels = found
    chosen = columns(cancels, min(MOST_COLUMNS, layer.detail))
    share, cancels, time = share[:, chosen], cancels[chosen], chosen.astype(float)
    upper = Box(LEFT, TOP, WIDTH - RIGHT, TOP + LINE)
    lower = Box(LEFT, upper.bottom + BETWEEN, upper.right, upper.bottom + BETWEEN + RIVER)
    low, high = _range(share)
    x, y = span(layer.steps - 1, lower), _Shares(low, high, lower.bottom, lower.top)
    most = max(10.0, float(np.nanmax(cancels)) * 1.2)
    above = Line(time, cancels, "ink thin", "cancellation", name="cancellation")
    over = panel(
        upper, Axis(span(layer.steps - 1, upper), labelled=False),
        Axis(Steps(1.0, most, upper.bottom, upper.top), "cancels"), lines=[above], reads="time step",
    )  # fmt: skip
    zero = svg.line(lower.left, y(0.0), lower.right, y(0.0), class_="zero")
    probes = [Line(time, share[k], f"{layer.style(p)} unseen", "", name=p) for k, p in enumerate(layer.paths)]
    under = panel(
        lower, Axis(x, "time step"), Axis(y, "signed share"), *_areas(layer, time, share, x, y), zero, lines=probes
    )
    return Figure(
        name="paths",
        title="Who carries the gradient",
        wide=True,
        picture=picture(WIDTH, lower.bottom + 40, _spoken(layer, share), over, under, _names(layer, lower)),
        reading=_plain(layer, share),
        expert=(
            "Of the gradient of the last loss step with respect to the memory at step t: the exact split over paths, "
            "projected on the whole, since norms do not add. Shares sum to 1 and are negative where a path cancels "
            "others; above, the sum of the parts' norms over the norm of the whole. Median over rows. Of many steps, "
            "each column is the one step of its piece at which most cancels."
        ),
        formula=FORMULA,
        change="what the task makes the gates do; training loads the gates' own weights onto the highway's direction.",
        header=["step", *layer.paths, "cancellation"],
        numbers=_numbers(share, cancels, time),
    )


def columns(cancels: np.ndarray, most: int = MOST_COLUMNS) -> np.ndarray:
    """Which steps are drawn: all of them, or of each piece the one at which most cancels."""
    marks = edges(len(cancels), most)
    size = np.nan_to_num(cancels, nan=-1.0)
    return np.array([a + int(size[a:b].argmax()) for a, b in pairwise(marks)])


class _Shares(Percent):
    def ticks(self) -> list[tuple[float, str]]:
        values = (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0)
        return [(value, f"{100 * value:g} %") for value in values if self.low <= value <= self.high]


def _range(share: np.ndarray) -> tuple[float, float]:
    """From the lowest to the highest stack, but no further than a few hundred per cent."""
    up = np.nanquantile(np.nansum(np.maximum(share, 0), 0), 0.98)
    down = np.nanquantile(np.nansum(np.minimum(share, 0), 0), 0.02)
    return max(-HIGHEST, min(-0.15, float(down) * 1.1)), min(HIGHEST, max(1.1, float(up) * 1.08))


def _areas(layer: Layer, time: np.ndarray, share: np.ndarray, x, y) -> list[Markup]:
    parts = []
    for sign in (1.0, -1.0):
        base = np.zeros(len(time))
        for k, path in enumerate(layer.paths):
            piece = np.nan_to_num(np.maximum(sign * share[k], 0.0)) * sign
            if not piece.any():
                continue
            top = base + piece
            outline = [(x(t), y(v)) for t, v in zip(time, top, strict=True)]
            outline += [(x(t), y(v)) for t, v in zip(time[::-1], base[::-1], strict=True)]
            number = layer.style(path).split()[0]
            parts.append(svg.path(outline, closed=True, class_=f"area {number}"))
            parts += _inside(path, time, base, top, x, y)
            base = top
    return parts


def _inside(path: str, time: np.ndarray, base: np.ndarray, top: np.ndarray, x, y) -> list[Markup]:
    """The path's name where its band stays thick for long enough to hold it."""
    thick = np.array([abs(y(a) - y(b)) for a, b in zip(top, base, strict=True)])
    pace = abs(x(time[-1]) - x(time[0])) / max(len(time) - 1, 1)
    need = max(1, math.ceil(9.0 * len(path) / max(pace, 1e-9)))
    if len(thick) < need:
        return []
    steady = np.array([thick[k : k + need].min() for k in range(len(thick) - need + 1)])
    best = int(steady.argmax())
    if steady[best] < 15.0:
        return []
    at = best + need // 2
    return [svg.text(x(time[at]), (y(top[at]) + y(base[at])) / 2 + 4, path, class_="onarea")]


def _names(layer: Layer, box: Box) -> Markup:
    rows = []
    for k, path in enumerate(layer.paths):
        place = box.top + 10 + 17 * k
        number = layer.style(path).split()[0]
        rows.append(svg.rectangle(box.right + 10, place - 9, 11, 11, class_=f"fill {number}"))
        rows.append(svg.text(box.right + 27, place, path, class_=f"label {number}"))
    return svg.group(*rows)


def _spoken(layer: Layer, share: np.ndarray) -> str:
    middle = np.nanmedian(share, 1)
    words = ", ".join(f"{path} {percent(value)}" for path, value in zip(layer.paths, middle, strict=True))
    return f"{layer.label}: share of each path in the gradient of the memory, median over steps: {words}."


def _plain(layer: Layer, share: np.ndarray) -> str:
    middle = np.nanmedian(share, 1)
    order = np.argsort(-middle)
    names = [highway_words(layer) if path == "highway" else _said(path) for path in layer.paths]
    first = f"At a usual step, {percent(middle[order[0]])} of the gradient comes by the {names[order[0]]}"
    follows = len(order) > 1 and middle[order[1]] >= 0.01
    second = f"; next is the {names[order[1]]} with {percent(middle[order[1]])}." if follows else "."
    return first + second + (
        " What lies below zero works against the rest; the line on top tells how much is lost that way (1: nothing)."
    )


def _said(path: str) -> str:
    return "read-out" if path == "readout" else f"path through {path}"


def _numbers(share: np.ndarray, cancels: np.ndarray, time: np.ndarray) -> list[list[str]]:
    shown = np.unique(np.linspace(0, len(time) - 1, min(len(time), 40)).round().astype(int))
    return [[f"{time[k]:.0f}", *(f"{v:.3f}" for v in share[:, k]), f"{cancels[k]:.3g}"] for k in shown]

"""Who carries the gradient: each path's signed share at every step, stacked around zero, and how much cancels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
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
LISTED = 40
TITLE = "Who carries the gradient"
EXPERT = (
    "Of the gradient of the last loss step with respect to the memory at step t: the exact split over paths, projected "
    "on the whole, since norms do not add. Shares sum to 1 and are negative where a path cancels others; above, the "
    "sum of the parts' norms over the norm of the whole. Median over rows. Of many steps, each column is the one step "
    "of its piece at which most cancels."
)
FORMULA = (
    r"\frac{\partial L}{\partial m_t}=\sum_p v_p,\qquad s_p=\frac{\langle v_p,v\rangle}{\lVert v\rVert^2},\quad "
    r"\sum_p s_p=1,\qquad \text{cancellation}=\frac{\sum_p\lVert v_p\rVert}{\lVert v\rVert}\ge 1"
)
CHANGE = "what the task makes the gates do; training loads the gates' own weights onto the highway's direction."


@dataclass(frozen=True)
class Carried:
    """Who carries a layer's gradient at the steps that are drawn: time [N], share [path, N], cancels [N]."""

    layer: Layer
    time: np.ndarray
    share: np.ndarray
    cancels: np.ndarray


@dataclass(frozen=True)
class Ends:
    """What the axes run over: time from 0 to the last step, shares, and cancellation from 1."""

    last: int
    low: float
    high: float
    cancels: float


def path_river(layer: Layer) -> Figure | None:
    """The figure of a layer; None without arrows."""
    found = carried(layer)
    if found is None:
        return None
    upper = Box(LEFT, TOP, WIDTH - RIGHT, TOP + LINE)
    lower = Box(LEFT, upper.bottom + BETWEEN, upper.right, upper.bottom + BETWEEN + RIVER)
    parts = drawn(found, ends_of([found]), upper, lower, named=True)
    return Figure(
        name="paths",
        title=TITLE,
        wide=True,
        picture=picture(WIDTH, lower.bottom + 40, _spoken(found), *parts, names(layer, lower)),
        reading=_plain(found),
        expert=EXPERT,
        formula=FORMULA,
        change=CHANGE,
        header=["step", *layer.paths, "cancellation"],
        numbers=rows(found, layer.paths),
    )


def carried(layer: Layer) -> Carried | None:
    """Who carries a layer's gradient; None without arrows."""
    found = layer.arrays("arrow_share", "cancellation")
    if found is None:
        return None
    share, cancels = found
    chosen = columns(cancels, min(MOST_COLUMNS, layer.detail))
    return Carried(layer, chosen.astype(float), share[:, chosen], cancels[chosen])


def ends_of(layers: Sequence[Carried]) -> Ends:
    """Axes that hold all of some layers."""
    ranges = [_range(found.share) for found in layers]
    return Ends(
        max(found.layer.steps for found in layers) - 1,
        min(low for low, _ in ranges),
        max(high for _, high in ranges),
        max(10.0, *(float(np.nanmax(found.cancels)) * 1.2 for found in layers)),
    )


def drawn(
    found: Carried, ends: Ends, upper: Box, lower: Box, *, heading: str = "", named: bool = False
) -> list[Markup]:
    """How much cancels, and below it the stacked shares.

    Args:
        heading: above both.
        named: whether the line's name stands at its end.
    """
    layer, time, share = found.layer, found.time, found.share
    x, y = span(ends.last, lower), _Shares(ends.low, ends.high, lower.bottom, lower.top)
    above = Line(time, found.cancels, "ink thin", "cancellation" if named else "", name="cancellation")
    over = panel(
        upper, Axis(span(ends.last, upper), labelled=False), Axis(Steps(1.0, ends.cancels, upper.bottom, upper.top),
        "cancels"), lines=[above], reads="time step", heading=heading,
    )  # fmt: skip
    zero = svg.line(lower.left, y(0.0), lower.right, y(0.0), class_="zero")
    probes = [Line(time, share[k], f"{layer.style(p)} unseen", "", name=p) for k, p in enumerate(layer.paths)]
    under = panel(
        lower, Axis(x, "time step"), Axis(y, "signed share"), *_areas(layer, time, share, x, y), zero, lines=probes
    )
    return [over, under]


def names(layer: Layer, box: Box) -> Markup:
    """The paths and their colours, to the right of a chart."""
    marks = []
    for k, path in enumerate(layer.paths):
        place = box.top + 10 + 17 * k
        number = layer.style(path).split()[0]
        marks.append(svg.rectangle(box.right + 10, place - 9, 11, 11, class_=f"fill {number}"))
        marks.append(svg.text(box.right + 27, place, path, class_=f"label {number}"))
    return svg.group(*marks)


def rows(found: Carried, paths: Sequence[str], most: int = LISTED) -> list[list[str]]:
    """So many steps as a table: time, the share of each of the paths, empty for one it has not, cancellation."""
    shares = [found.share[found.layer.paths.index(path)] if path in found.layer.paths else None for path in paths]
    count = len(found.time)
    shown = np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int))
    return [
        [f"{found.time[k]:.0f}", *("" if s is None else f"{s[k]:.3f}" for s in shares), f"{found.cancels[k]:.3g}"]
        for k in shown
    ]


def usual(found: Carried) -> list[tuple[str, float]]:
    """Each path and its share at a usual step, the median over those drawn; the largest first."""
    middle = np.nanmedian(found.share, 1)
    return [(found.layer.paths[k], float(middle[k])) for k in np.argsort(-middle)]


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
    # Of the places that are nearly as thick as the thickest, the middle one: not at the edge of an even band.
    thickest = np.flatnonzero(steady >= 0.95 * steady.max())
    best = int(thickest[len(thickest) // 2])
    if steady[best] < 15.0:
        return []
    at = best + need // 2
    return [svg.text(x(time[at]), (y(top[at]) + y(base[at])) / 2 + 4, path, class_="onarea")]


def _spoken(found: Carried) -> str:
    middle = dict(usual(found))
    words = ", ".join(f"{path} {percent(middle[path])}" for path in found.layer.paths)
    return f"{found.layer.label}: share of each path in the gradient of the memory, median over steps: {words}."


def _plain(found: Carried) -> str:
    order = [(said(found.layer, path), share) for path, share in usual(found)]
    first = f"At a usual step, {percent(order[0][1])} of the gradient comes by the {order[0][0]}"
    follows = len(order) > 1 and order[1][1] >= 0.01
    second = f"; next is the {order[1][0]} with {percent(order[1][1])}." if follows else "."
    return first + second + (
        " What lies below zero works against the rest; the line on top tells how much is lost that way (1: nothing)."
    )


def said(layer: Layer, path: str) -> str:
    """A path as one says it."""
    if path == "highway":
        return highway_words(layer)
    return "read-out" if path == "readout" else f"path through {path}"

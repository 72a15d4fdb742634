"""What hangs on what: each loss's gradient to each input and by lag, and from when the memory's content is."""

from __future__ import annotations

import numpy as np

from headgate.report import svg
from headgate.report.decay import power
from headgate.report.figure import Figure
from headgate.report.film import along_lags, reach
from headgate.report.heatmap import heat, legend
from headgate.report.layer import Layer
from headgate.report.panel import around, lags_along, panel, span, whole_decades
from headgate.report.plot import Axis, Box
from headgate.report.scale import Linear, power_of_ten
from headgate.report.tokens import tokens

SIDE = 400.0
DECADES = 8


def connectivity(layer: Layer) -> Figure | None:
    """Gradient of each followed loss with respect to each input; None where there are fewer than two losses."""
    found = layer.arrays("connectivity", "sources", "bins")
    if found is None:
        return None
    values, sources, bins = found
    order, steps = _followed(layer, sources)
    if len(np.unique(steps)) < 2:
        return None
    values = values[order]
    place = Box(62.0, 14.0, 62.0 + SIDE + 50, 14.0 + SIDE * 0.72)
    low, high = _range(values)
    x, y = span(layer.steps - 1, place), Linear(float(steps[0]), float(steps[-1]), place.bottom, place.top)
    image = heat(values[_even(steps)], place, low, high, "log10 gradient", most=layer.detail)
    bar = Box(place.right + 22, place.top + 50, place.right + 34, place.top + 190)
    parts = [panel(place, Axis(x, "input read at time step"), Axis(y, "loss at time step"), image),
             legend(bar, power_of_ten(round(low)), power_of_ten(round(high)), "")]  # fmt: skip
    last = values[-1]
    peak = int(bins[int(np.nanargmax(last))]) if np.isfinite(last).any() else 0
    return Figure(
        name="connectivity",
        title="Which input each loss hangs on",
        picture=around("Gradient of each followed loss with respect to each input.", place, *parts)
        + tokens(layer),
        reading=f"One row a loss, one column an input; bright, that input would move that loss. The last one hangs "
        f"most on step {peak:,}. A narrow bright edge is a layer that looks only at what it has just read.",
        expert="Norm of dl_s/dx_t, mean over each piece of time, median over rows (Madsen 2019); colours over "
        f"{DECADES} decades at most.",
        formula=r"\lVert\partial\ell_s/\partial x_t\rVert",
        change="a task whose answers lie further back; gates that let it through.",
        header=["loss at", *(f"input {bins[k]:.0f}" for k in _shown(len(bins), 16))],
        numbers=[
            [f"{s:.0f}", *(power(row[k]) for k in _shown(len(bins), 16))] for s, row in zip(steps, values, strict=True)
        ],
    )  # fmt: skip


def sources(layer: Layer) -> Figure | None:
    """How far back each followed loss reaches, by itself; None where there are fewer than two losses."""
    found = layer.arrays("source_profile", "sources", "lags")
    if found is None:
        return None
    profile, which, lags = found
    order, steps = _followed(layer, which)
    if len(np.unique(steps)) < 2:
        return None
    profile = profile[order]
    place = Box(62.0, 14.0, 62.0 + SIDE + 50, 14.0 + SIDE * 0.6)
    low, high = whole_decades(profile, floor=-12.0, most=2.0)
    x, y = lags_along(place, lags), Linear(float(steps[0]), float(steps[-1]), place.bottom, place.top)
    cells = along_lags(profile[_even(steps)], lags, layer.detail)
    image = heat(cells, place, low, high, "log10 relative gradient", most=layer.detail)
    bar = Box(place.right + 22, place.top + 40, place.right + 34, place.top + 180)
    far = reach(profile, lags)
    edge = [svg.path([(x(a), y(b)) for a, b in zip(far, steps, strict=True)], class_=f"line {style}")
            for style in ("casing", "ink thin")]  # fmt: skip
    parts = [panel(place, Axis(x, "lag k: steps back from that loss (log axis)"), Axis(y, "loss at time step"), image,
                   over=edge),
             legend(bar, power_of_ten(round(low)), power_of_ten(round(high)), "")]  # fmt: skip
    return Figure(
        name="sources",
        title="Does every loss reach as far back?",
        picture=around(f"Gradient by lag of {len(steps)} losses, each by itself.", place, *parts),
        reading=f"One row a loss, followed by itself; bright, much of its gradient arrives that far back. The line is "
        f"how far a thousandth of it reaches: {_reaches(far, steps)}. Rows end where the sequence begins.",
        expert="log10 r_s(k) of each source s, median over rows; their mean in the logarithm is the middle of the "
        "decay. Summed over s, as a backward pass of the whole loss does it, none of this can be seen.",
        formula=r"r_s(k)=\operatorname{median}_b\frac{\lVert\partial\ell_s/\partial m_{s-k}\rVert}"
        r"{\lVert\partial\ell_s/\partial m_s\rVert},\qquad H_{10^{-3}}(s)=\max\{k:\ r_s(k)\ge 10^{-3}\}",
        change="inputs that open or clear the memory: each loss has other steps behind it.",
        header=["loss at", "reach at 1e-3", *(f"lag {int(lags[k])}" for k in _lags(lags))],
        numbers=[[f"{s}", f"{far[n]:.0f}", *(power(profile[n, k]) for k in _lags(lags))] for n, s in enumerate(steps)],
    )  # fmt: skip


def provenance(layer: Layer) -> Figure | None:
    """From when the memory's content is; None where a cell does not carry it on by a factor."""
    found = layer.arrays("provenance", "pieces")
    if found is None:
        return None
    values, pieces = found
    place = Box(62.0, 14.0, 62.0 + SIDE, 14.0 + SIDE)
    low, high = _range(values)
    x, y = span(layer.steps - 1, place), Linear(0.0, float(max(layer.steps - 1, 1)), place.bottom, place.top)
    image = heat(values[::-1], place, low, high, "log10 share", most=layer.detail)
    bar = Box(place.right + 22, place.top + 60, place.right + 34, place.top + 200)
    parts = [panel(place, Axis(x, "held at time step"), Axis(y, "written at time step"), image),
             legend(bar, power_of_ten(round(low)), power_of_ten(round(high)), "")]  # fmt: skip
    age = _half_age(layer, values, pieces)
    return Figure(
        name="provenance",
        title="From when the content is",
        picture=around("Share of what the memory holds by when it was written.", place, *parts),
        reading=f"Each column is a moment, and tells from when its content is. At the end of the run, half of it is "
        f"younger than {age:,.0f} steps. Long bright rows are moments that were kept.",
        expert="Exact for a memory carried by a factor: c_T is the sum of what was written at s, times the product of "
        "the factors since (Levy et al. 2018); norms over units.",
        formula=r"m_T=\sum_s w_{s,T}\odot u_s,\qquad w_{s,T}=a_s\odot\prod_{k=s+1}^{T}\kappa_k\qquad "
        r"\text{LSTM: }a=i,\ \kappa=f,\ u=g\text{;  GRU: }a=1-z,\ \kappa=z,\ u=n",
        change="a forget gate that stays open keeps rows bright; one that closes starts anew.",
        header=["written at", *(f"held at {pieces[k]:.0f}" for k in _shown(len(pieces), 16))],
        numbers=[[f"{pieces[r]:.0f}", *(power(values[r, k]) for k in _shown(len(pieces), 16))]
                 for r in _shown(len(pieces), 32)],
    )  # fmt: skip


def _reaches(far: np.ndarray, steps: np.ndarray) -> str:
    near, most = int(far.argmin()), int(far.argmax())
    if far[near] == far[most]:
        return f"{far[most]:,.0f} steps from every loss"
    return (
        f"{far[near]:,.0f} steps from the loss at step {steps[near]:,}, {far[most]:,.0f} from that at step "
        f"{steps[most]:,}"
    )


def _followed(layer: Layer, sources: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Losses that were followed, by time: their places among the sources, and their steps."""
    # The last loss of each row, in the order of the run: a reversed one ends at the first step.
    steps = np.where(sources < 0, 0 if layer.facts.get("reverse") else layer.steps - 1, sources).astype(int)
    order = np.argsort(steps, kind="stable")
    return order, steps[order]


def _even(steps: np.ndarray) -> np.ndarray:
    """For rows of a picture even in time, the last step in the first row, which of the losses stands there."""
    return np.abs(steps[None] - np.linspace(steps[-1], steps[0], max(2 * len(steps), 64))[:, None]).argmin(1)


def _lags(lags: np.ndarray) -> list[int]:
    return sorted({int(np.abs(lags - lag).argmin()) for lag in (1, 5, 20, 100, 1000, lags[-1]) if lag <= lags[-1]})


def _half_age(layer: Layer, values: np.ndarray, pieces: np.ndarray) -> float:
    """Steps within which half of what is held at the end of the run was written; a reversed run ends at step 0."""
    reverse = bool(layer.facts.get("reverse"))
    back = slice(None, None, 1 if reverse else -1)
    share = 10.0 ** np.nan_to_num(values[back, 0 if reverse else -1], nan=-99.0)
    wide = np.diff(np.append(pieces, layer.steps))[back]
    half = int(np.searchsorted(np.cumsum(share) / max(float(share.sum()), 1e-99), 0.5))
    return float(np.cumsum(wide)[min(half, len(wide) - 1)])


def _range(values: np.ndarray) -> tuple[float, float]:
    high = float(np.ceil(np.nanmax(values)))
    return max(high - DECADES, float(np.floor(np.nanmin(values)))) - (1e-9 if high == np.nanmin(values) else 0.0), high


def _shown(count: int, most: int) -> list[int]:
    return [int(k) for k in np.unique(np.linspace(0, count - 1, min(count, most)).round())]

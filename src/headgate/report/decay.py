"""How much gradient reaches each lag, and what carried it: the whole, the highway alone, the rest, bounds, floors."""

from __future__ import annotations

import math

import numpy as np
from markupsafe import Markup

from headgate.report import svg
from headgate.report.figure import Figure
from headgate.report.layer import Layer
from headgate.report.lines import Line
from headgate.report.panel import around, box, hatch, lags_along, panel, upright, whole_decades
from headgate.report.plot import Axis, Box
from headgate.report.scale import TIMES, Lags, Percent, Powers, magnitude, percent

TALL, STRIP, BETWEEN = 270.0, 70.0, 22.0
# log10 of the smallest normal number of each format.
FLOORS = {"float16": -4.21, "float32 and bfloat16": -37.93}
SHOWN = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 100_000)
FORMULA = (
    r"r(k)=\operatorname{median}_{b,s}\frac{\lVert\partial\ell_s/\partial m_{s-k}\rVert}"
    r"{\lVert\partial\ell_s/\partial m_s\rVert},\qquad "
    r"s(k)=\frac{\langle v_{\mathrm{highway}},v\rangle}{\lVert v\rVert^2}"
)


def decay(layer: Layer) -> Figure | None:
    """The figure of a layer; None without a gradient."""
    found = layer.arrays("lags", "lag_profile")
    if found is None:
        return None
    lags, profile = found
    share = layer.array("highway_share")
    place = box(TALL)
    low, high = _range(layer, profile)
    y = Powers(low, high, place.bottom, place.top)
    x = lags_along(place, lags)
    over = [*_floors(layer, y, place), _needed(layer, x, place)]
    axis = Axis(x, "" if share is not None else "lag k: steps back from the loss", labelled=share is None)
    drawn, vertical = lines(layer, lags, profile), Axis(y, "gradient relative to lag 0")
    parts = [panel(place, axis, vertical, *over, heading=_slope(layer), lines=drawn, reads="lag k")]
    lowest = place
    if share is not None:
        lowest = Box(place.left, place.bottom + BETWEEN, place.right, place.bottom + BETWEEN + STRIP)
        parts.append(_strip(layer, lags, share, lowest))
    return Figure(
        name="decay",
        title="How much gradient reaches lag k",
        picture=around(_spoken(layer, lags, profile), lowest, *parts),
        reading=_plain(layer, lags, profile, share),
        expert=_expert(layer),
        formula=FORMULA,
        change=(
            "the keeping gate's bias, the size of the recurrent matrix, the number format. Training moves it as well: "
            "little gradient is a state, not a verdict."
        ),
        header=_header(layer),
        numbers=_numbers(layer, lags, profile),
    )


def lines(layer: Layer, lags: np.ndarray, profile: np.ndarray) -> list[Line]:
    """Bounds first, so that what was measured lies over them."""
    norm, bound = layer.array("jacobian_norm"), layer.array("bound")
    drawn = []
    if bound is not None:
        drawn.append(Line(lags, bound, "faint dash4", "bound", name="upper bound by the recurrent matrix"))
    if norm is not None:
        drawn.append(Line(lags, norm[1], "faint dash1", "Jacobian", norm[0], norm[2], "norm of the Jacobian product"))
    for name, path, label in (("rest_profile", "readout", "the rest"), ("highway_profile", "highway", "highway alone")):
        values = layer.array(name)
        if values is not None:
            drawn.append(Line(lags, values, layer.style(path), label, name=label))
    end = f"total {magnitude(10.0 ** float(profile[1][np.isfinite(profile[1])][-1]))}"
    return [*drawn, Line(lags, profile[1], "ink", end, profile[0], profile[2], "total")]


def _range(layer: Layer, profile: np.ndarray) -> tuple[float, float]:
    low, high = whole_decades(profile, floor=-45.0)
    relative = relative_floor(layer, FLOORS["float32 and bfloat16"])
    if relative is not None and low < relative + 4:
        low = min(low, math.floor(relative) - 4.0)
    return low, high


def relative_floor(layer: Layer, floor: float) -> float | None:
    """Where a format's smallest normal number lies relative to the gradient at lag 0."""
    largest = layer.array("largest_entry")
    return None if largest is None or not np.isfinite(largest[0]) else floor - float(largest[0])


def _floors(layer: Layer, y: Powers, place: Box) -> list[Markup]:
    parts = []
    for k, (name, floor) in enumerate(FLOORS.items()):
        relative = relative_floor(layer, floor)
        if relative is None or relative <= y.low + 0.35 or relative >= y.high:
            continue
        top = y(relative)
        zone = Box(place.left, top, place.right, place.bottom)
        parts += [hatch(zone, 14.0 if k == 0 else 7.0), svg.line(place.left, top, place.right, top, class_="limit")]
        words = f"below the normal numbers of {name}"
        parts.append(svg.text(place.left + 6, min(top + 13, place.bottom - 4), words, class_="note"))
    return parts


def _needed(layer: Layer, x: Lags, place: Box) -> Markup:
    return upright(float(layer.need), f"needed: {layer.need:,}", x, place, "need") if layer.need else Markup("")


def _slope(layer: Layer) -> str:
    """The fitted slope in words."""
    facts = layer.facts.get("decay") or {}
    if not facts.get("rate"):
        return ""
    half = facts.get("half_life")
    tail = f", halved every {half:.3g} steps" if half and math.isfinite(half) and half > 0 else ""
    return f"From lag {facts.get('from', 0)} on: {TIMES} {facts['rate']:.3g} a step{tail}"


def _strip(layer: Layer, lags: np.ndarray, share: np.ndarray, place: Box) -> Markup:
    y = Percent(-0.25, 1.25, place.bottom, place.top)
    x = lags_along(place, lags)
    style = layer.style("highway")
    last = f"share {percent(float(share[np.isfinite(share)][-1]))}"
    line = Line(lags, share, style, last, name="highway's share")
    return panel(place, Axis(x, "lag k: steps back from the loss (log axis)"), Axis(y, "highway's share"), lines=[line])


def _spoken(layer: Layer, lags: np.ndarray, profile: np.ndarray) -> str:
    end = magnitude(10.0 ** float(profile[1][np.isfinite(profile[1])][-1]))
    return f"{layer.label}: gradient that reaches each lag, relative to lag 0; at lag {int(lags[-1])} it is {end}."


def _plain(layer: Layer, lags: np.ndarray, profile: np.ndarray, share: np.ndarray | None) -> str:
    at = layer.need if layer.need and layer.need <= lags[-1] else int(lags[-1])
    value = magnitude(10.0 ** layer.at_lag("lag_profile", at, 1))
    text = f"Of the gradient at the loss, {value} times is left {at:,} steps back. "
    used = layer.horizon("used").get("lag") or layer.horizon("trainable").get("1e-3")
    lag = min(int(used), int(lags[-1])) if used else at
    part = layer.at_lag("highway_share", lag)
    if share is not None and math.isfinite(part):
        text += f"{percent(part)} of what reached lag {lag:,} came by the {highway_words(layer)}. "
    return text + (
        "Fading by the same factor every step bends this line down ever more steeply; a flat line is a memory. The "
        "band holds 80 % of the sequences."
    )


def highway_words(layer: Layer) -> str:
    """The highway as one says it: "forget highway", or by the keeping gate's name."""
    keeps = layer.keeps
    return "highway" if keeps is None else "forget highway" if keeps == "f" else f"{keeps} highway"


def _expert(layer: Layer) -> str:
    text = (
        f"Source-resolved: every loss step s is followed by itself, and r(k) is the median over rows and sources of "
        f"the total dl_s/d{layer.memory}_(s-k), along every path; band 10 to 90 %. In colour, the same along the "
        "elementwise path alone, and what is left without it; norms do not add, so the share below is a projection and "
        "may leave 0 to 100 % where the two cancel."
    )
    if layer.array("jacobian_norm") is not None:
        text += " Dotted: the Frobenius norm of the Jacobian product, by random probes, with its interval."
    if layer.array("largest_entry") is not None:
        text += " Hatched: where the largest entry is below the smallest normal number of a format."
    return text


def _header(layer: Layer) -> list[str]:
    return ["lag k", "10 %", "median", "90 %", *(words for _, words in _columns(layer))]


def _columns(layer: Layer) -> list[tuple[str, str]]:
    known = (("highway_profile", "highway alone"), ("rest_profile", "the rest"), ("highway_share", "highway's share"))
    return [(name, words) for name, words in known if layer.array(name) is not None]


def _numbers(layer: Layer, lags: np.ndarray, profile: np.ndarray) -> list[list[str]]:
    last = int(lags[-1])
    table = []
    for lag in [k for k in SHOWN if k < last] + [last]:
        at = int(np.abs(lags - lag).argmin())
        row = [f"{int(lags[at])}", *(power(value) for value in profile[:, at])]
        for name, _ in _columns(layer):
            value = float(layer.array(name)[at])
            row.append(f"{value:.3g}" if name == "highway_share" else power(value))
        table.append(row)
    return table


def power(value: float) -> str:
    """A number given by its log10, as "3.2e-08"; also far below what a float holds."""
    if not math.isfinite(value):
        return "none"
    whole = math.floor(value)
    return f"{10.0 ** (value - whole):.2f}e{whole:+03d}"

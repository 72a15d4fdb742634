"""Two or more Records on the same axes: cells, moments of training, number formats of one net."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from headgate.inspection.thresholds import DEFAULTS
from headgate.report import svg
from headgate.report.comparison_gates import rivers, triangles
from headgate.report.comparison_maps import films, survivals
from headgate.report.decay import power, relative_floor
from headgate.report.figure import Figure, short
from headgate.report.horizons import steps
from headgate.report.layer import Layer
from headgate.report.lines import Line
from headgate.report.panel import WIDTH, alone, around, box, lags_along, linear_range, panel, whole_decades
from headgate.report.path_river import HIGHEST
from headgate.report.plot import Axis, Box, apart, frame, picture
from headgate.report.ridgeline import places_of, quantile_of
from headgate.report.scale import Linear, Logit, Nothing, Percent, Powers, Steps, timescale, two_decimals
from headgate.report.verdicts import verdicts

LAGS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000)
KINDS = ("shuffle rows", "mean", "shuffle time", "zero")
RIDGE, ROW, BAR = 110.0, 58.0, 11.0
HORIZONS = (("stored", "max", "Stored"), ("trainable", "1e-3", "Trainable"), ("used", "lag", "Used"))
# Steps for which a gate in the format keeps at most, short of for ever.
GATE_CAPS = {"bfloat16": DEFAULTS.cap_bfloat16, "float16": DEFAULTS.cap_float16}


def labels(layers: Sequence[Layer]) -> list[str]:
    """What tells Records apart, in as few words as that takes: name, cell or number format; else a number."""
    for told in (
        lambda layer: layer.name,
        lambda layer: layer.label,
        lambda layer: str(layer.facts.get("dtype")),
        lambda layer: f"{layer.facts.get('weights')} weights",
        lambda layer: f"{layer.name} {layer.label}",
        lambda layer: f"{layer.name} {layer.facts.get('dtype')}",
    ):
        words = [told(layer) for layer in layers]
        if len(set(words)) == len(words):
            return words
    return [f"{layer.name} {number}" for number, layer in enumerate(layers, 1)]


def style(number: int) -> str:
    """CSS classes of a compared Record: a hue and a dash of its own."""
    return f"s{number % 8} dash{number % 8}"


def compared(layers: Sequence[Layer], names: Sequence[str]) -> list[Figure]:
    """Every chart that at least two of the layers have what it takes for; the horizons always."""
    drawn = [draw(layers, names) for draw in (_horizons, _decay, _share, rivers, films, _spectrum, survivals)]
    drawn += [_ridges(layers, names, gate) for gate in _gates(layers)]
    return [figure for figure in [*drawn, triangles(layers, names), _ablation(layers, names)] if figure]


def differences(layers: Sequence[Layer], names: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """A table, one column a Record and one for how far each number is from the first's: header and rows."""
    header = ["measure", *names, *(f"{name} against {names[0]}" for name in names[1:])]
    rows = []
    for words, values, logarithmic in _measures(layers):
        if not any(value is not None for value in values):
            continue
        shown = ["none" if v is None else power(v) if logarithmic else f"{v:.4g}" for v in values]
        against = [_against(values[0], value, logarithmic) for value in values[1:]]
        rows.append([words, *shown, *against])
    for words, said in [*_formats(layers), *_said(layers)]:
        rows.append([words, *said, *("same" if other == said[0] else "differs" for other in said[1:])])
    return header, rows


def _formats(layers: Sequence[Layer]) -> list[tuple[str, list[str]]]:
    """Where each Record's number format ends: that in which its gates and its gradients between steps were computed.

    What was measured may be wider: the watch computes a run again, with the run's own weights, rounded as they are.
    """
    formats = [str(layer.facts.get("dtype") or "not said") for layer in layers]
    floors = [_number(layer.facts.get("floor")) for layer in layers]
    gates = [f"{GATE_CAPS[name]} steps, or for ever" if name in GATE_CAPS else "any number" for name in formats]
    wide = [str(layer.facts.get("measured_in") or "not said") for layer in layers]
    found = [("measured in", wide), ("gates and gradients computed in", formats)]
    if any(floor is not None for floor in floors):
        found.append(("its smallest normal number", ["none" if v is None else power(v) for v in floors]))
    return [*found, ("a gate in it keeps for at most", gates)] if set(formats) & set(GATE_CAPS) else found


def _said(layers: Sequence[Layer]) -> list[tuple[str, list[str]]]:
    """Each verdict that was given of any of them: its level, and how often where more than once."""
    told = [[(verdict["name"], verdict["word"]) for verdict in verdicts(layer)] for layer in layers]
    found = []
    for name in dict.fromkeys(name for given in told for name, _ in given):
        levels = [[word for other, word in given if other == name] for given in told]
        said = ["no" if not words else words[0] + (f", {len(words)} times" if words[1:] else "") for words in levels]
        found.append((f"said {name}", said))
    return found


def _measures(layers: Sequence[Layer]) -> list[tuple[str, list[float | None], bool]]:
    found = [
        (f"{words}, steps", [_number(layer.horizon(name).get(key)) for layer in layers], False)
        for name, key, words in HORIZONS
    ]
    last = min((int(layer.array("lags")[-1]) for layer in layers if layer.array("lags") is not None), default=0)
    for lag in [k for k in LAGS if k < last] + ([last] if last else []):
        found.append((f"r({lag})", [_number(layer.at_lag("lag_profile", lag, 1)) for layer in layers], True))
    if last:
        shares = [_number(layer.at_lag("highway_share", last)) for layer in layers]
        found.append((f"highway's share at lag {last}", shares, False))
    found.append(("factor a step", [_number((layer.facts.get("decay") or {}).get("rate")) for layer in layers], False))
    resets = [_number((layer.facts.get("reset") or {}).get("middle")) for layer in layers]
    found.append(("cost of setting all states back half way", resets, False))
    found.append(("loss", [_number((layer.facts.get("loss") or {}).get("value")) for layer in layers], False))
    return found


def _number(value: Any) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def _against(first: float | None, other: float | None, logarithmic: bool) -> str:
    if first is None or other is None:
        return "none"
    if logarithmic:
        return f"{power(other - first)} times"
    return f"{other - first:+.4g}"


def _horizons(layers: Sequence[Layer], names: Sequence[str]) -> Figure:
    pitch = BAR + 4
    tall = len(layers) * pitch + 18
    place = Box(150.0, 14.0, 500.0, 14.0 + tall * len(HORIZONS))
    values = [[_number(layer.horizon(name).get(key)) for layer in layers] for name, key, _ in HORIZONS]
    needs = [float(layer.need) for layer in layers if layer.need]
    high = max([10.0, *needs, *(v for row in values for v in row if v is not None)]) * 1.3
    x = Steps(1.0, high, place.left, place.right)
    parts = [frame(place, Axis(x, "steps back (log axis)"), Axis(Nothing(0.0, 1.0, place.bottom, place.top)))]
    for row, (_, _, words) in enumerate(HORIZONS):
        top = place.top + tall * row + 9
        parts.append(svg.text(place.left - 10, top + (tall - 18) / 2 + 5, words, class_="big", text_anchor="end"))
        for k, value in enumerate(values[row]):
            y = top + k * pitch
            hue = style(k).split()[0]
            said = "not measured" if value is None else steps(value)
            if value is not None:
                parts.append(svg.rectangle(place.left, y, max(x(value) - place.left, 1.5), BAR, class_=f"fill {hue}"))
            at = place.left + 4 if value is None else x(value) + 5
            parts.append(svg.text(at, y + 9.5, f"{short(names[k])} {said}", class_="note"))
    return Figure(
        name="horizons",
        title="How far back: three answers",
        picture=around("Horizons of the compared layers.", place, *parts),
        reading="How long units keep, how far back a thousandth of the gradient arrives, how much context is used.",
        formula=r"\tau_{\max},\qquad H_{10^{-3}},\qquad k_{1\%}",
        change="the keeping gate's bias, initial weights, the task.",
        header=["horizon", *names],
        numbers=[
            [words, *("none" if v is None else f"{v:.5g}" for v in row)]
            for (_, _, words), row in zip(HORIZONS, values, strict=True)
        ],
    )


def _decay(layers: Sequence[Layer], names: Sequence[str]) -> Figure | None:
    there = _with(layers, names, "lags", "lag_profile")
    if not there:
        return None
    place = box(270.0, right=140.0)
    x = lags_along(place, *(lags for _, _, (lags, _) in there))
    y = Powers(*whole_decades(*(profile for _, _, (_, profile) in there), floor=-45.0), place.bottom, place.top)
    floors = _floors([(layers[k], name) for k, name, _ in there], y, place)
    lines = [
        Line(lags, profile[1], style(k), short(name), profile[0], profile[2], name=name)
        for k, name, (lags, profile) in there
    ]
    axes = Axis(x, "lag k: steps back from the loss (log axis)"), Axis(y, "gradient relative to lag 0")
    lags = sorted({int(v) for _, _, (grid, _) in there for v in (*[k for k in LAGS if k < grid[-1]], grid[-1])})
    return Figure(
        name="decay",
        title="How much gradient reaches lag k",
        picture=alone("Relative gradient by lag of the compared layers.", place, *axes, *floors, lines=lines),
        reading="The higher a line stays, the further back weights can learn from. Bands hold 80 % of the sequences."
        + (" Level lines: below them, a Record's number format ends." if floors else ""),
        formula=r"r(k)=\lVert\partial\ell_s/\partial m_{s-k}\rVert\,/\,\lVert\partial\ell_s/\partial m_s\rVert",
        change="the keeping gate's bias, the size of the recurrent matrix, the number format.",
        header=["lag k", *names],
        numbers=[[f"{lag}", *(power(layer.at_lag("lag_profile", lag, 1)) for layer in layers)] for lag in lags],
    )


def _floors(there: Sequence[tuple[Layer, str]], y: Powers, place: Box) -> list[Markup]:
    """Where each Record's number format ends, relative to its gradient at lag 0, if that lies on the axis."""
    found: dict[tuple[int, str], list[str]] = {}
    for layer, name in there:
        floor = layer.facts.get("floor")
        relative = None if floor is None else relative_floor(layer, float(floor))
        if relative is not None and y.low < relative < y.high:
            found.setdefault((round(y(relative)), str(layer.facts.get("dtype"))), []).append(short(name))
    words = apart([at - 4.0 for at, _ in found], 12.0, place.top + 10, place.bottom - 4)
    return [
        svg.group(
            svg.line(place.left, at, place.right, at, class_="limit"),
            svg.text(place.left + 6, spot, f"end of {dtype}: {', '.join(called)}", class_="note"),
        )
        for ((at, dtype), called), spot in zip(found.items(), words, strict=True)
    ]


def _share(layers: Sequence[Layer], names: Sequence[str]) -> Figure | None:
    there = _with(layers, names, "lags", "highway_share")
    if not there:
        return None
    place = box(160.0, right=140.0)
    x = lags_along(place, *(lags for _, _, (lags, _) in there))
    ends = linear_range(*(share for _, _, (_, share) in there))
    y = Percent(max(-HIGHEST, min(-0.25, ends[0])), min(HIGHEST, max(1.25, ends[1])), place.bottom, place.top)
    lines = [Line(lags, share, style(k), short(name), name=name) for k, name, (lags, share) in there]
    axes = Axis(x, "lag k: steps back from the loss (log axis)"), Axis(y, "highway's share")
    lags = [k for k in LAGS if k <= x.high]
    return Figure(
        name="share",
        title="How much of it comes by the highway",
        picture=alone("The highway's share by lag of the compared layers.", place, *axes, lines=lines),
        reading="The part that comes from memory to memory alone; the rest goes through the recurrent weights.",
        formula=r"s(k)=\langle v_{\mathrm{highway}},v\rangle/\lVert v\rVert^2",
        change="training loads the gates' own weights onto the highway's direction.",
        header=["lag k", *names],
        numbers=[[f"{lag}", *(f"{layer.at_lag('highway_share', lag):.3f}" for layer in layers)] for lag in lags],
    )


def _spectrum(layers: Sequence[Layer], names: Sequence[str]) -> Figure | None:
    there = _with(layers, names, "timescales")
    if not there:
        return None
    place = box(200.0, right=140.0)
    finite = [tau[np.isfinite(tau)] for _, _, (tau,) in there]
    high = 1.4 * max([10.0, *(float(tau.max()) for tau in finite if len(tau))])
    x, y = Steps(0.3, high, place.left, place.right), Percent(0.0, 1.04, place.bottom, place.top)
    grid = np.geomspace(x.low, x.high, 200)
    lines = [
        Line(grid, (tau[None] > grid[:, None]).mean(1), style(k), short(name), name=name) for k, name, (tau,) in there
    ]
    axes = Axis(x, "time scale tau, steps (log axis)"), Axis(y, "units that keep longer")
    return Figure(
        name="spectrum",
        title="How long the units keep",
        picture=alone("Time scales of the compared layers' units.", place, *axes, lines=lines),
        reading="At any number of steps, the share of units that keep what they hold for longer.",
        formula=r"\#\{j:\ \tau_j>\tau\}/H",
        change="the keeping gate's bias at the start; data with longer lags.",
        header=["quantile", *(name for _, name, _ in there)],
        numbers=[[f"{100 * q:g} %", *(f"{np.nanquantile(tau, q):.4g}" for _, _, (tau,) in there)]
                 for q in (0.1, 0.5, 0.9, 1.0)],
    )  # fmt: skip


def _gates(layers: Sequence[Layer]) -> list[str]:
    """Gates in (0, 1) that at least two layers have, in the first's order."""
    names = [name for layer in layers for name in layer.gates if layer.is_gate(name)]
    return [name for name in dict.fromkeys(names) if names.count(name) > 1][:6]


def _ridges(layers: Sequence[Layer], names: Sequence[str], gate: str) -> Figure | None:
    there = [
        (k, name, histogram[layer.gates.index(gate)], edges)
        for (k, name, (histogram, edges)), layer in (
            (entry, layers[entry[0]]) for entry in _with(layers, names, "logit_histogram", "logit_edges")
        )
        if gate in layer.gates
    ]
    if len(there) < 2:
        return None
    place = box(RIDGE, right=140.0)
    x = Logit(0.0002, 0.9998, place.left, place.right)
    density = [shares / max(float(np.nanmax(shares)), 1e-12) for _, _, shares, _ in there]
    y = Nothing(0.0, 1.08, place.bottom, place.top)
    lines = []
    for (k, name, _, edges), tall in zip(there, density, strict=True):
        lines.append(Line(places_of(edges), np.where(tall > 0, tall, 1e-9), style(k), short(name), name=name))
    second = {value: timescale(value) for value, _ in x.ticks() if value >= 0.5}
    axis = Axis(x, f"value of {gate}; below, the steps it keeps", second)
    drawn = panel(place, axis, Axis(y, "values"), lines=lines)
    middles = [quantile_of(shares, edges, 0.5) for _, _, shares, edges in there]
    return Figure(
        name=f"gate-{gate}",
        title=f"Where gate {gate} stands",
        picture=picture(WIDTH, place.bottom + 54, f"Distribution of gate {gate} in the compared layers.", drawn),
        reading="Each line is scaled to its own highest point.",
        formula=r"\operatorname{logit}(p)=\log\frac{p}{1-p}",
        change="the gate's bias shifts it; weights widen it.",
        header=["layer", "half of all values below"],
        numbers=[[name, f"{value:.4g}"] for (_, name, _, _), value in zip(there, middles, strict=True)],
    )


def _ablation(layers: Sequence[Layer], names: Sequence[str]) -> Figure | None:
    there = _with(layers, names, "ablation")
    kinds = [k for k in KINDS if all(k in (layers[n].facts.get("ablation_kinds") or []) for n, _, _ in there)]
    if not there or not kinds:
        return None
    kind = kinds[0]
    gates = list(dict.fromkeys(gate for n, _, _ in there for gate in layers[n].gates))
    rows = [
        (gate, n, name, effect[layers[n].gates.index(gate), layers[n].facts["ablation_kinds"].index(kind)])
        for gate in gates for n, name, (effect,) in there if gate in layers[n].gates
    ]  # fmt: skip
    place = Box(150.0, 14.0, 500.0, 14.0 + 22.0 * len(rows))
    x = Linear(min(-0.1, *(float(v[0]) for *_, v in rows)), max(1.0, *(float(v[2]) for *_, v in rows)), place.left,
               place.right)  # fmt: skip
    axis = Axis(x, "change of the loss: 0 as before, 1 as bad as without memory")
    parts = [frame(place, axis, Axis(Nothing(0.0, 1.0, place.bottom, place.top)))]
    parts.append(svg.line(x(0.0), place.top, x(0.0), place.bottom, class_="zero"))
    for row, (gate, n, name, (low, middle, high)) in enumerate(rows):
        y, hue = place.top + 22.0 * row + 11, style(n).split()[0]
        hollow = " hollow" if low <= 0 <= high else ""
        words = f"{short(name)}: {gate}"
        parts.append(svg.text(place.left - 10, y + 4, words, class_=f"label {hue}", text_anchor="end"))
        parts.append(svg.line(x(low), y, x(high), y, class_=f"whisker {hue}"))
        parts.append(svg.element("circle", cx=x(middle), cy=y, r=5.0, class_=f"dot {hue}{hollow}"))
        said = f"{two_decimals(middle)} ({two_decimals(low)} to {two_decimals(high)})"
        parts.append(svg.text(place.right + 10, y + 4, said, class_="note"))
    return Figure(
        name="ablation",
        title=f"What the loss loses without each gate ({kind})",
        picture=around(f"Ablation by '{kind}' in the compared layers.", place, *parts),
        reading="Hollow: the interval holds 0, so no effect was shown.",
        formula=r"\frac{L_{\mathrm{ablated}}-L_0}{L_{\mathrm{chance}}-L_0}",
        change="another task; more sequences make the whiskers shorter.",
        header=["gate", "layer", "low", "change", "high"],
        numbers=[[gate, name, *(f"{v:.4g}" for v in interval)] for gate, _, name, interval in rows],
    )


def _with(layers: Sequence[Layer], names: Sequence[str], *arrays: str) -> list[tuple[int, str, list[np.ndarray]]]:
    """(number, name, arrays) of the layers that hold all of the arrays; none where fewer than two do."""
    found = [(k, name, layer.arrays(*arrays)) for k, (layer, name) in enumerate(zip(layers, names, strict=True))]
    there = [(k, name, values) for k, name, values in found if values is not None]
    return there if len(there) > 1 else []

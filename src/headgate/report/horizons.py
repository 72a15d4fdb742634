"""Three answers on one axis: how long the memory could keep, how far back it can be trained, how far back it looks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from headgate.report import svg
from headgate.report.figure import Figure
from headgate.report.layer import Layer
from headgate.report.plot import Axis, Box, frame, picture
from headgate.report.scale import NO_BREAK, Nothing, Steps

WIDTH, ROW, BAR, LEFT, RIGHT = 760.0, 46.0, 18.0, 140.0, 140.0
MARK_ROW = 17.0
FORMULA = (
    r"\tau_j=\frac{-1}{\overline{\log k_j}},\qquad H_\varepsilon=\max\{k:\ r(k)\ge\varepsilon\},\qquad "
    r"k_{1\%}=\min\{k:\ L_k-L_T\le 0.01\,L_T\}"
)


@dataclass(frozen=True)
class Bar:
    """One row: what it is called, what is said at its right, pieces from 1 to each end, strongest first."""

    name: str
    below: str
    words: str
    pieces: list[tuple[float, str]]
    style: str
    open_end: bool = False
    also: str = ""


def horizons(layer: Layer) -> Figure:
    """The figure of a layer; rows that were not measured say why."""
    bars = rows(layer)
    marks = _marks(layer)
    high = max([10.0, *(end for bar in bars for end, _ in bar.pieces), *(value for value, _, _ in marks)]) * 1.3
    top = 22.0 + MARK_ROW * len(marks)
    place = Box(LEFT, top, WIDTH - RIGHT, top + ROW * len(bars))
    x = Steps(1.0, high, place.left, place.right)
    content = [frame(place, Axis(x, "steps back (log axis)"), Axis(Nothing(0.0, 1.0, place.bottom, place.top)))]
    content += [_mark(mark, x, place, row) for row, mark in enumerate(marks)]
    content += [_bar(bar, x, place, row) for row, bar in enumerate(bars)]
    spoken = sentence(layer)
    return Figure(
        name="horizons",
        title="How far back: three answers",
        picture=picture(WIDTH, place.bottom + 42, spoken, *content),
        reading=(
            "Stored: how long the longest-lived unit keeps what it holds (darker: nine in ten and half of the units "
            "keep less). Trainable: how far back a thousandth of the gradient still "
            "arrives (paler: a ten-millionth). Used: how much context is enough to come within 1 % of the loss. "
            "They are three different things; a memory is as long as the shortest of them."
        ),
        expert=(
            "Time scales are e-foldings of the memory's own factor, by the longest and by quantiles, never the mean. "
            "Trainable: the largest lag at which the source-resolved relative gradient is above 1e-3 (1e-7; above the "
            "smallest normal number of the run's format). Used: loss with the context cut to k steps."
        ),
        formula=FORMULA,
        change=(
            "stored, the keeping gate's bias; trainable, initial weights, truncation and the number format; used, what "
            "the task rewards."
        ),
        header=["horizon", "measure", "steps"],
        numbers=_numbers(layer),
        wide=True,
    )  # fmt: skip


def sentence(layer: Layer) -> str:
    """The three answers in words: "Stores 160 steps, can train 40, uses 12; the task needs 90."."""
    stored, trainable, used = (layer.horizon(name) for name in ("stored", "trainable", "used"))
    parts = []
    if stored.get("unbounded"):
        parts.append("stores without an end")
    elif stored.get("max") is not None:
        parts.append(f"stores {steps(stored['max'])} steps")
    if trainable.get("1e-3") is not None:
        parts.append(f"can train {'at least ' if trainable.get('at_least') else ''}{steps(trainable['1e-3'])}")
    if used.get("lag") is not None:
        parts.append(f"uses {'at least ' if used.get('at_least') else ''}{steps(used['lag'])}")
    unknown = [name for name, row in (("stored", stored), ("trainable", trainable), ("used", used)) if "missing" in row]
    text = ", ".join(parts) or "no horizon could be measured"
    if unknown and parts:
        text += f" (not measured: {', '.join(unknown)})"
    need = f"; the task needs {steps(layer.need)}." if layer.need else "; nobody said how far back the task reaches."
    return text[0].upper() + text[1:] + need


def rows(layer: Layer) -> list[Bar]:
    """The three rows of the picture."""
    return [_stored(layer), _trainable(layer), _used(layer)]


def _stored(layer: Layer) -> Bar:
    facts = layer.horizon("stored")
    if facts.get("unbounded"):
        return Bar("Stored", "what units keep", "one unit or more never fades", [], "s2")
    if facts.get("max") is None:
        return Bar("Stored", "what units keep", f"not measured: {facts.get('missing')}", [], "s2")
    pieces = [(float(facts["max"]), "pale")]
    pieces += [(float(facts[name]), tone) for name, tone in (("p90", "soft"), ("p50", "")) if facts.get(name)]
    surviving = facts.get("surviving")
    more = "" if surviving is None else "1 direction survives" if surviving == 1 else f"{surviving} directions survive"
    return Bar("Stored", "what units keep", f"{steps(facts['max'])} steps", pieces, "s2", also=more)


def _trainable(layer: Layer) -> Bar:
    facts = layer.horizon("trainable")
    if facts.get("1e-3") is None:
        return Bar("Trainable", "what gradients reach", f"not measured: {facts.get('missing')}", [], "s0")
    tones = (("dead", "pale"), ("1e-7", "soft"), ("1e-3", ""))
    pieces = [(float(facts[name]), tone) for name, tone in tones if facts.get(name) is not None]
    at_least = "at least " if facts.get("at_least") else ""
    dead = f"dead from {steps(facts['dead'])} on" if facts.get("dead") else ""
    words = f"{at_least}{steps(facts['1e-3'])} steps"
    return Bar("Trainable", "what gradients reach", words, pieces, "s0", bool(facts.get("at_least")), dead)


def _used(layer: Layer) -> Bar:
    facts = layer.horizon("used")
    if facts.get("lag") is None:
        return Bar("Used", "what the loss notices", f"not measured: {facts.get('missing')}", [], "s1")
    at_least = "at least " if facts.get("at_least") else ""
    words = f"{at_least}{steps(facts['lag'])} steps"
    return Bar("Used", "what the loss notices", words, [(float(facts["lag"]), "")], "s1", bool(facts.get("at_least")))


def _bar(bar: Bar, x: Steps, place: Box, row: int) -> Markup:
    middle = place.top + ROW * (row + 0.5)
    parts = [
        svg.text(place.left - 10, middle - 1, bar.name, class_="big", text_anchor="end"),
        svg.text(place.left - 10, middle + 13, bar.below, class_="note", text_anchor="end"),
    ]
    for end, tone in bar.pieces:
        width = max(x(end) - place.left, 2.0)
        parts.append(svg.rectangle(place.left, middle - BAR / 2, width, BAR, class_=f"fill {tone} {bar.style}".strip()))
    if bar.open_end:
        at = x(bar.pieces[-1][0])
        parts.append(svg.path([(at, middle - 9), (at + 9, middle), (at, middle + 9)], closed=True,
                              class_=f"fill {bar.style}"))  # fmt: skip
    if bar.pieces:
        spot = middle - 2 if bar.also else middle + 4
        parts.append(svg.text(place.right + 10, spot, bar.words, class_=f"label {bar.style}"))
        parts += [svg.text(place.right + 10, middle + 13, bar.also, class_="note")] if bar.also else []
    else:
        parts.append(svg.element("title", bar.words))
        parts.append(svg.text(place.left + 8, middle + 4, _cut(bar.words, 74), class_="ghost"))
    return svg.group(*parts)


def _marks(layer: Layer) -> list[tuple[float, str, str]]:
    """Lines across all rows: (steps, words, class), the need first."""
    facts = layer.facts
    found = [(facts.get("needs_lag"), "the task needs", "need"), (facts.get("tbptt"), "truncated after", "marker")]
    found.append((facts.get("train_length"), "trained on length", "marker"))
    return [(float(value), f"{words} {steps(value)}", kind) for value, words, kind in found if value]


def _mark(mark: tuple[float, str, str], x: Steps, place: Box, row: int) -> Markup:
    value, words, kind = mark
    at, y = x(value), place.top - 8 - MARK_ROW * row
    late = at > (place.left + place.right) / 2
    spot, anchor = (at - 5, "end") if late else (at + 5, "start")
    return svg.group(
        svg.line(at, y - 8, at, place.bottom, class_=kind),
        svg.text(spot, y, words, class_=f"{kind}-words", text_anchor=anchor),
    )


def _numbers(layer: Layer) -> list[list[str]]:
    stored, trainable, used = (layer.horizon(name) for name in ("stored", "trainable", "used"))
    table = [["stored", words, _or_none(stored.get(key))] for key, words in (
        ("max", "longest-lived unit"), ("p90", "90 % of units below"), ("p50", "half of units below"),
        ("surviving", "directions that survive (count)"),
    )]  # fmt: skip
    table += [["trainable", words, _or_none(trainable.get(key))] for key, words in (
        ("1e-3", "r(k) at least 1e-3"), ("1e-7", "r(k) at least 1e-7"), ("dead", "below the number format from"),
    )]  # fmt: skip
    table.append(["used", "context within 1 % of the loss", _or_none(used.get("lag"))])
    facts = layer.facts
    others = (("needs_lag", "the task needs"), ("train_length", "trained on"), ("tbptt", "truncated after"))
    return table + [["", words, _or_none(facts.get(key))] for key, words in others]


def _or_none(value: Any) -> str:
    return "not known" if value is None else f"{value:.6g}"


def steps(value: float) -> str:
    """A number of steps as it is said: whole from ten on."""
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def _cut(words: str, most: int) -> str:
    return words if len(words) <= most else words[: most - 1].rstrip() + "…" + NO_BREAK

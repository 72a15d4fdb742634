"""The picture of the table: how many times as fast as each peer, losses to the left of the line."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from markupsafe import Markup

from benchmarks.results import Row
from benchmarks.table import conditions, grid_places, peer_words, timed_rows
from benchmarks.workloads import BOTH, FORWARD, GRID_B, GRID_H, Workload
from headgate.report import svg
from headgate.report.plot import Axis, Box, frame
from headgate.report.poster import style
from headgate.report.scale import Decades, Linear

WIDTH, LEFT, RIGHT, HEADER = 930.0, 426.0, 60.0, 96.0
LINE, BETWEEN, BAR = 17.0, 5.0, 11.0
CELL_WIDTH, CELL_HEIGHT, GRID_LEFT, GRID_TOP = 66.0, 24.0, 70.0, 64.0
OWN = (
    ".chart .win { fill: var(--c1); opacity: .7; } .chart .lost { fill: var(--c0); opacity: .7; } "
    ".chart .number { fill: var(--ink); font-size: 11px; } .chart .row { fill: var(--ink); font-size: 11.5px; } "
    ".chart .goal { stroke: var(--ink); stroke-width: 1.5; }"
)


class Ratios(Decades):
    """Even in the logarithm, with ticks at 1, 2 and 5 of each decade."""

    def ticks(self) -> list[tuple[float, str]]:
        values = [m * 10.0**k for k in range(-2, 4) for m in (1, 2, 5)]
        return [(value, f"{value:g}") for value in values if self.low <= value <= self.high]


class Bare(Linear):
    """An axis without ticks: its lines carry their own words."""

    def ticks(self) -> list[tuple[float, str]]:
        return []


def figure(rows: Sequence[Row], known: Mapping[str, Workload]) -> str:
    """SVG text, readable on light and dark ground."""
    timed = timed_rows(rows)
    single = [row for row in timed if not known[row["workload"]].grid]
    losses = sum(row["ratio"] < 1 for row in timed)
    label = f"headgate beside its peers: {len(timed)} comparisons, {losses} losses"
    bars, bottom = _bars(single, known)
    grids, bottom = _grids(timed, known, bottom)
    notes = [
        "Peer's time divided by ours: to the right of 1 ours is faster, to the left it is a loss. The upright mark is "
        "the goal. Forward + backward, unless said.",
    ]
    if timed:
        notes.append(conditions(timed) + ("; A QUICK RUN" if timed[0]["quick"] else ""))
    text = svg.element(
        "svg",
        svg.element("title", label),
        svg.element("style", style() + Markup(OWN)),
        svg.rectangle(0, 0, WIDTH, bottom, class_="paper"),
        svg.text(18, 28, "How many times as fast", class_="headline"),
        *(svg.text(18, 47 + 16 * k, words, class_="title") for k, words in enumerate(notes)),
        bars,
        grids,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {svg.number(WIDTH)} {svg.number(bottom)}",
        role="img",
        aria_label=label,
        class_="chart",
    )
    return f"{text}\n"


def _bars(rows: Sequence[Row], known: Mapping[str, Workload]) -> tuple[Markup, float]:
    """A bar a row, workloads apart; and where the next part begins."""
    if not rows:
        return Markup(""), HEADER
    goals = [goal.least for row in rows if (goal := known[row["workload"]].beside[row["peer"]])]
    values = [row["ratio"] for row in rows] + goals
    low, high = min(0.5, *values), max(2.0, *values)
    places, y = [], HEADER + 8
    for k, row in enumerate(rows):
        y += BETWEEN if k and row["workload"] != rows[k - 1]["workload"] else 0
        places.append(y)
        y += LINE
    box = Box(LEFT, HEADER, WIDTH - RIGHT, y + 4)
    x = Ratios(low, high * 1.05, box.left, box.right)
    parts = [frame(box, Axis(x, "peer / ours"), Axis(Bare(0.0, 1.0, box.bottom, box.top)))]
    for k, (row, place) in enumerate(zip(rows, places, strict=True)):
        fresh = k == 0 or row["workload"] != rows[k - 1]["workload"]
        parts.append(_bar(row, known[row["workload"]], x, place, fresh))
    one = x(1.0)
    parts.append(svg.line(one, box.top, one, box.bottom, class_="axis"))
    return svg.group(*parts), box.bottom + 52


def _bar(row: Row, workload: Workload, x: Ratios, top: float, fresh: bool) -> Markup:
    one, end, lost = x(1.0), x(row["ratio"]), row["ratio"] < 1
    middle = top + BAR / 2 + 4
    parts = [
        svg.rectangle(min(one, end), top, max(abs(end - one), 1.0), BAR, class_="lost" if lost else "win"),
        svg.text(LEFT - 8, middle, peer_words(row), class_="tick", text_anchor="end"),
    ]
    goal = workload.beside[row["peer"]]
    if goal is not None:
        parts.append(svg.line(x(goal.least), top - 2, x(goal.least), top + BAR + 2, class_="goal"))
    # Past the goal's mark where that stands at the bar's end.
    right = max(one, end) if goal is None or not 0 <= x(goal.least) - max(one, end) < 34 else x(goal.least)
    parts.append(svg.text(right + 5, middle, f"{row['ratio']:.2f}", class_="number"))
    if fresh:
        parts.append(svg.text(18, middle, _words(workload), class_="row"))
    return svg.group(*parts)


def _words(workload: Workload) -> str:
    """Shorter than in the table: what the notes say of all is left out."""
    if workload.mode == FORWARD:
        return f"{workload.words} only"
    return workload.words.removesuffix(" forward + backward").removesuffix(",")


def _grids(timed: Sequence[Row], known: Mapping[str, Workload], top: float) -> tuple[Markup, float]:
    """The plain LSTM at all sizes, forward and both, beside whichever peer is fastest there."""
    both = [(mode, best) for mode in (FORWARD, BOTH) if (best := grid_places(timed, known, mode))]
    if not both:
        return Markup(""), top
    parts = [svg.text(18, top + 12, "The plain LSTM, float32, beside the fastest peer at each size", class_="heading")]
    for k, (mode, best) in enumerate(both):
        left = GRID_LEFT + k * (WIDTH / 2 - 10)
        words = "forward" if mode == FORWARD else "forward + backward"
        parts.append(svg.text(left, top + 34, words, class_="title"))
        for column, B in enumerate(GRID_B):
            middle = left + (column + 0.5) * CELL_WIDTH
            parts.append(svg.text(middle, top + GRID_TOP - 8, f"B={B}", class_="tick", text_anchor="middle"))
        for line, H in enumerate(GRID_H):
            y = top + GRID_TOP + line * CELL_HEIGHT
            parts.append(svg.text(left - 8, y + 16, f"H={H}", class_="tick", text_anchor="end"))
            parts += [_place(best.get((H, B)), left + j * CELL_WIDTH, y) for j, B in enumerate(GRID_B)]
    return svg.group(*parts), top + GRID_TOP + len(GRID_H) * CELL_HEIGHT + 20


def _place(row: Row | None, x: float, y: float) -> Markup:
    if row is None:
        return Markup("")
    ratio = row["ratio"]
    strength = min(0.15 + abs(math.log2(ratio)) * 0.4, 0.75)
    hue = "var(--c0)" if ratio < 1 else "var(--c1)"
    fill = f"fill: {hue}; opacity: {strength:.2f}"
    return svg.group(
        svg.rectangle(x + 1, y + 1, CELL_WIDTH - 2, CELL_HEIGHT - 2, style=fill),
        svg.text(x + CELL_WIDTH / 2, y + 16, f"{ratio:.2f}", class_="number", text_anchor="middle"),
    )

"""Where the gates stand: histograms on a logit axis, with the timescale that a keeping gate's value means."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from headgate.report import svg
from headgate.report.figure import Figure
from headgate.report.histogram import bars, is_gate, shares
from headgate.report.plot import Axis, Box, frame, picture
from headgate.report.scale import Linear, Logit, timescale
from headgate.report.summary import Row

LOW, HIGH = 0.0005, 0.9995
WIDTH, PANEL, LEFT, GAP = 1120.0, 286.0, 66.0, 66.0
TALL, AFTER = 140.0, 84.0
ROW_HEIGHT = TALL + 96
MOST_COLUMNS = 3
QUANTILES = (0.01, 0.1, 0.5, 0.9, 0.99)


class Shares(Linear):
    """A linear axis of shares above zero, with two or three ticks in percent."""

    def ticks(self) -> list[tuple[float, str]]:
        values = [value for value, _ in super().ticks() if value > 0]
        return [(value, f"{100 * value:.3g} %") for value in values[1 :: 2 if len(values) > 2 else 1]]


def gates(rows: Sequence[Row]) -> Figure | None:
    """The figure of a task; None if no cell has a gate in (0, 1)."""
    shown = [(row, name) for row in rows for name in row.cell["gates"] if is_gate(row.gate(name, "after"))]
    if not shown:
        return None
    lines = [shown_row for row in rows for shown_row in _lines([pair for pair in shown if pair[0] is row])]
    panels = [
        _panel(row, name, LEFT + column * (PANEL + GAP), 34 + k * ROW_HEIGHT)
        for k, line in enumerate(lines)
        for column, (row, name) in enumerate(line)
    ]
    there = [f"{row.label}'s {name}" for row, name in shown]
    every = [f"{row.label}'s {name}" for row in rows for name in row.cell["gates"]]
    left_out = [words for words in every if words not in there]
    note = f" Not shown: {', '.join(left_out)}, whose values are not in (0, 1)." if left_out else ""
    return Figure(
        title="Where the gates stand",
        picture=picture(
            WIDTH,
            34 + len(lines) * ROW_HEIGHT - 30,
            f"{rows[0].task['title']}: histograms of gate values before and after training, on a logit axis.",
            *panels,
        ),
        reading=(
            "Values evenly taken from every step, unit and seed of unseen sequences; upwards after training, downwards "
            "before. The axis is even in the gate's pre-activation. Beneath a gate that keeps the memory stands the "
            "number of steps over which a unit held there forgets to 1/e." + note
        ),
        formula=r"\operatorname{logit}(p)=\log\frac{p}{1-p},\qquad \tau=\frac{-1}{\log f}",
        change="the bias of a gate shifts its histogram; a task with a longer lag pulls the keeping gate to the right.",
        header=["gate", "moment", *(f"{100 * q:g} % quantile" for q in QUANTILES)],
        numbers=[
            [f"{row.label} {name}", moment, *(f"{v:.4g}" for v in np.quantile(row.gate(name, moment), QUANTILES))]
            for row, name in shown
            for moment in ("before", "after")
        ],
    )


def _lines(pairs: list[tuple[Row, str]]) -> list[list[tuple[Row, str]]]:
    return [pairs[k : k + MOST_COLUMNS] for k in range(0, len(pairs), MOST_COLUMNS)]


def _panel(row: Row, name: str, left: float, top: float) -> Markup:
    """After training above the middle line, before it below, each on its own scale."""
    box = Box(left, top, left + PANEL, top + TALL)
    upper, lower = Box(box.left, top, box.right, top + AFTER), Box(box.left, top + AFTER, box.right, box.bottom)
    x = Logit(LOW, HIGH, box.left, box.right)
    after, before = (shares(row.gate(name, moment), x) for moment in ("after", "before"))
    up = Shares(0.0, 1.08 * float(after.max()), upper.bottom, upper.top)
    down = Shares(0.0, 1.08 * float(before.max()), lower.top, lower.bottom)
    keeps = row.cell["keeps"] in (None, name)
    second = {value: timescale(value) for value, _ in x.ticks() if value >= 0.5} if keeps else None
    words = f"value of {name}" + ("; steps it keeps" if keeps else "")
    heading = f"{row.label}: {name}" + (" (keeps the memory)" if row.cell["keeps"] == name else "")
    return svg.group(
        frame(box, Axis(x, words, second), Axis(up, "share of values"), heading),
        frame(lower, Axis(x, labelled=False), Axis(down)),
        bars(after, up, upper, row.style),
        bars(before, down, lower, f"{row.style} earlier"),
        svg.line(box.left, upper.bottom, box.right, upper.bottom, class_="axis"),
        svg.text(box.right - 3, upper.top + 11, "after", class_="note", text_anchor="end"),
        svg.text(box.right - 3, lower.bottom - 5, "before", class_="note", text_anchor="end"),
        class_=f"panel {row.style}",
    )

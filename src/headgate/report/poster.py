"""The one picture for a README: after training, how much gradient reaches each lag, as a file of its own."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files

from markupsafe import Markup

from headgate.report import svg
from headgate.report.fans import Layout, fan_picture
from headgate.report.hues import variables
from headgate.report.scale import magnitude
from headgate.report.summary import Row

WIDTH, HEADER = 900.0, 62.0


def poster(rows: Sequence[Row]) -> str:
    """SVG text of the first task's fans before and after training; readable on light and dark ground."""
    rows = [row for row in rows if row.task is rows[0].task]
    layout = Layout(WIDTH, fan=270.0)
    spoken = ", ".join(f"{row.label} {magnitude(row.reached('after'))}" for row in rows)
    label = f"{rows[0].task['title']}: gradient at the first step after training, relative to the last: {spoken}"
    steps = rows[0].task["length"]
    words = (
        f"How much gradient comes back through {steps - 1} steps? {rows[0].task['title']}, matched parameters",
        "median over sequences and seeds, band 10 to 90 %; below, the part that came by the highway alone",
    )
    chart = fan_picture(rows, ("before", "after"), layout, label)
    height = layout.height + HEADER
    inner = svg.element("svg", chart, x=0.0, y=HEADER, width=WIDTH, height=layout.height)
    text = svg.element(
        "svg",
        svg.element("title", label),
        svg.element("style", style()),
        svg.rectangle(0, 0, WIDTH, height, class_="paper"),
        svg.text(18, 28, words[0], class_="headline"),
        svg.text(18, 47, words[1], class_="title"),
        inner,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {svg.number(WIDTH)} {svg.number(height)}",
        role="img",
        aria_label=label,
        class_="chart",
    )
    return f"{text}\n"


def style() -> Markup:
    """The page's colours and the charts' marks, for a picture that stands alone."""
    marks = (files("headgate.report") / "templates" / "chart.css").read_text(encoding="utf-8")
    own = ".paper { fill: var(--paper); } .chart .headline { fill: var(--ink); font-size: 17px; font-weight: 650; }\n"
    return variables() + Markup(marks + own)

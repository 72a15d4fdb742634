"""Scores of a row's seeds as dots on a line from 0 to 100 %, the trivial baseline marked."""

from __future__ import annotations

from markupsafe import Markup

from headgate.report import svg
from headgate.report.scale import Linear
from headgate.report.summary import Row

WIDTH, HEIGHT, EDGE = 170.0, 18.0, 7.0


def score_strip(row: Row) -> Markup:
    """A small picture for a table's cell."""
    x, middle = Linear(0.0, 1.0, EDGE, WIDTH - EDGE), HEIGHT / 2
    spoken = ", ".join(f"{100 * score:.1f} %" for score in row.scores)
    label = f"{row.label}, {row.task['title']}: {spoken}; trivial {100 * row.baseline:.1f} %"
    return svg.element(
        "svg",
        svg.element("title", label),
        svg.line(EDGE, middle, WIDTH - EDGE, middle, class_="grid"),
        svg.line(x(row.baseline), 2.0, x(row.baseline), HEIGHT - 2, class_="mark"),
        *(svg.element("circle", cx=x(score), cy=middle, r=4.5, class_=f"dots {row.style}") for score in row.scores),
        viewBox=f"0 0 {svg.number(WIDTH)} {svg.number(HEIGHT)}",
        width=WIDTH,
        height=HEIGHT,
        role="img",
        aria_label=label,
        class_="strip",
    )

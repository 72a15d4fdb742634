"""How much gradient reaches each lag, and how much of that came by the highway alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from headgate.report import svg
from headgate.report.figure import Figure, short
from headgate.report.lines import Line, draw, level
from headgate.report.plot import Axis, Box, frame, picture
from headgate.report.scale import Decades, Linear, Percent, magnitude, percent
from headgate.report.summary import Row

MOMENTS = {
    "default": "torch.nn's default start",
    "before": "this demo's start, before training",
    "after": "after training",
}
VANISHING = 1e-3
SHOWN_LAGS = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
FLOOR, HIGHEST_FLOOR = 1e-14, 1e-9
FORMULA = (
    r"r(k)=\operatorname{median}_b\frac{\lVert\partial L/\partial m_{T-k}\rVert}{\lVert\partial L/\partial m_T\rVert}"
    r",\qquad s(k)=\frac{\langle v_{\mathrm{highway}},v\rangle}{\lVert v\rVert^2},\quad v=\partial L/\partial m_{T-k}"
)


@dataclass(frozen=True)
class Layout:
    """Sizes of a fan picture in pixels."""

    width: float
    fan: float = 250.0
    strip: float = 74.0
    left: float = 66.0
    between: float = 26.0
    labels: float = 112.0
    top: float = 30.0

    @property
    def height(self) -> float:
        return self.top + self.fan + 26 + self.strip + 44

    def boxes(self, column: int, columns: int) -> tuple[Box, Box]:
        """Insides of a column's fan and of the strip below it."""
        inside = (self.width - self.left - columns * self.labels - (columns - 1) * self.between) / columns
        left = self.left + column * (inside + self.labels + self.between)
        fan = Box(left, self.top, left + inside, self.top + self.fan)
        return fan, Box(left, fan.bottom + 26, left + inside, fan.bottom + 26 + self.strip)


def fan_picture(rows: Sequence[Row], moments: Sequence[str], layout: Layout, label: str, heading: str = "") -> Markup:
    """One column a moment: relative gradient by lag on a log axis, and below it the highway's share."""
    low, high = _range(rows)
    content = []
    for column, moment in enumerate(moments):
        fan, strip = layout.boxes(column, len(moments))
        lags = Linear(0.0, float(_lags(rows[0])[-1]), fan.left, fan.right)
        y = Decades(low, high, fan.bottom, fan.top)
        first = column == 0
        content += [
            frame(
                fan,
                Axis(lags, labelled=False),
                Axis(y, "gradient relative to lag 0" if first else "", labelled=first),
                heading or MOMENTS[moment],
            ),
            level(VANISHING, "vanishing below 10⁻³" if first else "", y, fan, left=moment != "default"),
            draw([_fan(row, moment, y) for row in rows], lags, y, fan),
            _highway_strip(rows, moment, lags, strip, first),
        ]
    return picture(layout.width, layout.height, label, *content)


def hero(rows: Sequence[Row]) -> Markup:
    """The fans after training alone, small enough to stand beside the answer."""
    title = f"{rows[0].task['title']}, after training: what reaches lag k"
    return fan_picture(rows, ("after",), Layout(520.0, fan=230.0, strip=64.0), title, title)


def fans(rows: Sequence[Row]) -> Figure:
    """The figure of a task: at torch's start, at the demo's, and after training."""
    last = int(_lags(rows[0])[-1])
    spoken = "; ".join(f"{row.label} {magnitude(row.reached('after'))}" for row in rows)
    return Figure(
        title="How much gradient reaches lag k",
        picture=fan_picture(
            rows,
            tuple(MOMENTS),
            Layout(1120.0),
            f"{rows[0].task['title']}: gradient that reaches lag {last} after training, relative to lag 0: {spoken}.",
        ),
        reading=(
            f"The loss is read at the last step; lag {last} is the first one. On this axis a gradient that shrinks by "
            "the same factor each step is a straight line. Bands: 10 to 90 % of the sequences, over all seeds. Below: "
            "the part of it that came along the elementwise path from memory to memory alone (the highway), exactly; "
            "the rest came through the gates' and the candidate's weight matrices. A share may leave 0 to 100 % where "
            "the two cancel."
        ),
        formula=FORMULA,
        change=(
            "a longer lag, other initial weights (the forget gate's bias above all), a smaller or larger recurrent "
            "matrix; training moves it too, as the third panel shows."
        ),
        header=["lag k", *(f"{row.label}, {word}" for word in (*MOMENTS, "highway after") for row in rows)],
        numbers=[_numbers(rows, lag) for lag in [k for k in SHOWN_LAGS if k < last] + [last]],
    )


def _fan(row: Row, moment: str, y: Decades) -> Line:
    profile, value = row.profiles[moment], row.reached(moment)
    mark = "↓ " if value < y.low else ""
    return Line(
        _lags(row),
        profile.middle,
        row.style,
        f"{short(row.label)} {mark}{magnitude(value)}",
        profile.low,
        profile.high,
    )


def _highway_strip(rows: Sequence[Row], moment: str, lags: Linear, box: Box, first: bool) -> Markup:
    y = Percent(-0.25, 1.25, box.bottom, box.top)
    with_highway = [row for row in rows if row.cell["gates"]]
    lines = [
        Line(
            _lags(row),
            _where_there(row, moment),
            row.style,
            f"{short(row.label)} {percent(row.highway(moment))}",
        )
        for row in with_highway
    ]
    return svg.group(
        frame(
            box,
            Axis(lags, "lag k: steps back from the loss"),
            Axis(y, "highway's share" if first else "", labelled=first),
        ),
        draw(lines, lags, y, box),
    )


def _where_there(row: Row, moment: str) -> np.ndarray:
    """The highway's share, left out where no gradient is left to share."""
    profile = row.profiles[moment]
    return np.where(profile.middle > 0, profile.highway, np.nan)


def _lags(row: Row) -> np.ndarray:
    return np.arange(len(row.profiles["after"].middle), dtype=float)


def _range(rows: Sequence[Row]) -> tuple[float, float]:
    """Whole decades that hold every fan before and after training; torch's start may fall out below."""
    profiles = [row.profiles[moment] for row in rows for moment in ("before", "after")]
    smallest = min(float(p.middle[p.middle > 0].min()) for p in profiles)
    largest = max(float(p.high[np.isfinite(p.high)].max()) for p in profiles)
    low = min(max(10.0 ** (math.floor(math.log10(smallest)) - 1), FLOOR), HIGHEST_FLOOR)
    return low, max(10.0 ** math.ceil(math.log10(largest)), 10.0)


def _numbers(rows: Sequence[Row], lag: int) -> list[str]:
    gradients = [f"{row.profiles[moment].middle[lag]:.2e}" for moment in MOMENTS for row in rows]
    return [str(lag), *gradients, *(percent(row.profiles["after"].highway[lag]) for row in rows)]

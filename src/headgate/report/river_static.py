"""The unrolled picture as a file of its own: for a README, a paper, TensorBoard."""

from __future__ import annotations

import math
from importlib.resources import files

from markupsafe import Markup

from headgate.inspection.record import Record
from headgate.report import svg
from headgate.report.river_colours import settled, variables
from headgate.report.river_data import FORMATS, Steps, steps_of
from headgate.report.river_drawing import body, channel, dam, labels, lane, lane_names, node
from headgate.report.river_layout import GEOMETRY as G
from headgate.report.river_layout import gutter
from headgate.report.river_scene import Scene
from headgate.report.river_ways import end_mark, loss_marks, ways_back
from headgate.report.scale import magnitude, percent, power_of_ten

WIDTH, HEADER = 1132.0, 46.0
MARGIN = 14.0
# How far below the smallest gradient the format's end is still shown, in decades; and the smallest share that is said.
DEEPEST, SMALL = 6.0, 0.005


def river_svg(record: Record, focus: int | None = None, *, width: float = WIDTH, scheme: str | None = None) -> str:
    """The network unrolled around one step, every other step in bundles, with the gradient's ways back through it.

    Args:
        record: with arrow_norm, arrow_share and gradient_norm.
        focus: the step in the middle, as numbered in the input; four steps before the loss by default.
        width: pixels; below 700 without the names of the lanes.
        scheme: "light" or "dark" with the colours written out, for programs that know no CSS variables; None follows
            the reader's system.

    Returns:
        SVG text; the same record gives the same bytes.

    Raises:
        Missing: the record holds no arrows.
        ValueError: there is no such step.
    """
    steps = steps_of(record)
    T, reverse = steps.facts["T"], steps.facts["reverse"]
    if focus is None:
        place = max(0, steps.facts["source"] - 4)
    elif 0 <= focus < T:
        place = T - 1 - focus if reverse else focus
    else:
        raise ValueError(f"river_svg({record.name!r}, focus={focus}): there is no such step; give 0 to {T - 1}.")
    scene = Scene(steps, place, width - 2 * MARGIN, format_of(steps))
    height = HEADER + scene.height + scene.token + G["map_height"] + MARGIN
    said = spoken(scene)
    text = svg.element(
        "svg",
        svg.element("title", said),
        svg.element("style", style(scheme)),
        svg.rectangle(0, 0, width, height, class_="paper"),
        svg.text(MARGIN + 8, 24, f"{steps.facts['label']}: the gradient's way back", class_="headline"),
        svg.text(MARGIN + 8, 41, said if width >= G["narrow"] else said.split(";")[0], class_="subtitle"),
        svg.group(draw(scene), transform=f"translate({svg.number(MARGIN)} {svg.number(HEADER)})"),
        svg.group(
            small_map(scene),
            transform=f"translate({svg.number(MARGIN)} {svg.number(HEADER + scene.height + scene.token)})",
        ),
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {svg.number(width)} {svg.number(height)}",
        role="img",
        aria_label=said,
        class_="river-svg river-hues river-alone",
    )
    return f"{text}\n"


def format_of(steps: Steps) -> str:
    """The number format in which the run computed; float32 if it has no name here."""
    return steps.facts["dtype"] if steps.facts["dtype"] in FORMATS else "float32"


def draw(scene: Scene) -> Markup:
    """The picture itself, from the ground up."""
    columns = scene.columns
    parts = [channel(scene), lane(scene), *(body(scene, column) for column in columns), ways_back(scene)]
    if scene.facts["dammed"]:
        parts += [dam(scene, column) for column in columns]
    parts += [node(scene, column) for column in columns]
    return Markup("").join([*parts, loss_marks(scene), end_mark(scene), labels(scene), lane_names(scene)])


def spoken(scene: Scene) -> str:
    """What the picture shows at the step in focus, in one sentence."""
    back, relative = scene.source - scene.focus, scene.relative(scene.focus)
    if not math.isfinite(relative):
        return f"Step {scene.number(scene.focus)}: no gradient comes here."
    arrives = magnitude(10.0**relative, 2) if relative > -300 else power_of_ten(math.floor(relative + 0.5))
    shares = {path: scene.share(path, scene.focus, scene.focus + 1) for path in scene.facts["paths"]}
    ways = sorted((path for path in shares if abs(shares[path]) >= SMALL), key=lambda path: -abs(shares[path]))
    largest = ", ".join(f"{path} {percent(shares[path])}" for path in ways[:3]).replace("-", "\u2212")
    start = f"Step {scene.number(scene.focus)}, {back} before the loss: {arrives} of the gradient"
    return f"{start}; by path: {largest}." if back > 0 and largest else f"{start}."


def style(scheme: str | None) -> Markup:
    """The picture's colours and marks."""
    marks = (files("headgate.report") / "templates" / "river_marks.css").read_text(encoding="utf-8")
    own = (
        ".river-svg .headline { fill: var(--ink-r); font-size: 16px; font-weight: 650; }\n"
        ".river-svg .subtitle { font-size: 12.5px; }\n"
    )
    if scheme is not None:
        return Markup(settled(marks + own, scheme))
    return variables(".river-alone", page=False) + Markup(marks + own)


def small_map(scene: Scene) -> Markup:
    """Gradient by step over the whole sequence, the steps drawn as cells, and the format's end."""
    left, right, top, bottom = gutter(scene.width), scene.width - G["margin"], 12.0, G["map_height"] - 20.0
    values = [scene.relative(t) for t in range(scene.T)]
    finite = [value for value in values if math.isfinite(value)]
    low, high = min(-2.5, min(finite) - 0.3), max(0.4, max(finite) + 0.3)
    floor = float(scene.smallest - scene.reference)
    low = floor - 1 if low - DEEPEST < floor < low else low

    def x(t: float) -> float:
        return left + (t + 0.5) / scene.T * (right - left)

    def y(value: float) -> float:
        return top + (high - max(low, min(high, value))) / (high - low) * (bottom - top)

    parts = _decades(low, high, left, right, y)
    if floor > low:
        label = y(floor) + 12 if bottom - y(floor) > 16 else y(floor) - 5
        words = f"nothing below this in {scene.format}"
        parts += [
            svg.rectangle(left, y(floor), right - left, bottom - y(floor), class_="below"),
            svg.line(left, y(floor), right, y(floor), class_="end"),
            svg.text(right - 4, label, words, class_="end-name", text_anchor="end"),
        ]
    cells = [column for column in scene.columns if column.full]
    x0, x1 = x(cells[0].first - 0.5), x(cells[-1].last - 0.5)
    parts.append(svg.rectangle(x0, top - 5, max(2.0, x1 - x0), bottom - top + 5, class_="window", rx=3))
    parts.append(svg.element("path", d=_curve(values, x, y, int(right - left)), class_="curve total"))
    parts.append(svg.line(x(scene.focus), top - 5, x(scene.focus), bottom, class_="cursor"))
    return Markup("").join(parts + _steps(scene, x, bottom, right - left))


def _decades(low: float, high: float, left: float, right: float, y) -> list[Markup]:
    every, parts = max(1, math.ceil((high - low) / 4)), []
    decade = math.ceil(low / every) * every
    while decade <= high:
        parts.append(svg.line(left, y(decade), right, y(decade), class_="grid"))
        words = "1" if decade == 0 else power_of_ten(decade)
        beside = left > G["margin"]
        place, anchor = ((left - 8, y(decade) + 4), "end") if beside else ((left + 2, y(decade) - 2), "start")
        parts.append(svg.text(*place, words, class_="tick", text_anchor=anchor))
        decade += every
    return parts


def _curve(values: list[float], x, y, pixels: int) -> str:
    """A line through all steps, or, with more steps than pixels, between the lowest and highest of each pixel."""
    n, d, pen, T = svg.number, [], "M", len(values)
    for k in range(min(T, pixels)):
        piece = values[math.ceil(k * T / pixels) : math.ceil((k + 1) * T / pixels)] if pixels < T else [values[k]]
        finite = [value for value in piece if math.isfinite(value)]
        if not finite:
            pen = "M"
            continue
        place = x((k + 0.5) * T / pixels - 0.5) if pixels < T else x(k)
        for value in sorted({min(finite), max(finite)}):
            d.append(f"{pen}{n(place)} {n(y(value))}")
            pen = "L"
    return "".join(d)


def _steps(scene: Scene, x, bottom: float, room: float) -> list[Markup]:
    rough = scene.T / max(2.0, room / 110)
    power = 10.0 ** math.floor(math.log10(rough))
    every = max(1, round(next(k * power for k in (1, 2, 5, 10) if k * power >= rough * (1 - 1e-9))))
    parts = []
    for t in range(scene.T):
        if scene.number(t) % every == 0:
            parts.append(svg.line(x(t), bottom, x(t), bottom + 4, class_="mark"))
            parts.append(svg.text(x(t), bottom + 16, str(scene.number(t)), class_="tick", text_anchor="middle"))
    return parts

"""The unrolled network as a river with its gates as dams: one picture for any number of steps, and its controls."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from jinja2 import Environment
from markupsafe import Markup

from headgate.inspection.record import Record
from headgate.report.mathematics import mathml
from headgate.report.river_before import Unmatched
from headgate.report.river_colours import variables
from headgate.report.river_data import FORMATS, Missing, Steps, as_base64, as_script, packed, steps_of
from headgate.report.river_layout import GEOMETRY
from headgate.report.river_room import BYTES, Room, room_for
from headgate.report.river_scene import Scene
from headgate.report.river_static import draw, format_of
from headgate.report.river_static import river_svg as river_svg
from headgate.report.svg import element, number

SCRIPTS = ("steps", "layout", "words", "draw", "ways", "map", "pulse", "choices")
# What the legend shows: log10 of an arrow's norm relative to the source, and how it is written.
WIDTHS = ((0, "1"), (-3, "10⁻³"), (-6, "10⁻⁶"), (-9, "10⁻⁹ and less"))
FIRST_WIDTH = 1100.0
FORMULA = (
    r"v=\frac{\partial L}{\partial m_{t-1}}=\sum_p v_p\ \text{(one for each way back)},\qquad "
    r"\text{share}_p=\frac{\langle v_p,v\rangle}{\lVert v\rVert^2}"
)
CHANGE = (
    "gates that stand further open widen the pipe and the highway's way through it; a loss that is read nearer, or at "
    "more steps, puts more gradient on the same steps; a path that is cut shows what the others carry without it."
)


def river(records: Sequence[Record], before: Sequence[Record] = (), most: int = BYTES) -> Markup:
    """The picture of one or more layers and directions, with its styles, data and script; whole in itself.

    Args:
        records: each with arrow_norm, arrow_share and gradient_norm; one without them is left out.
        before: the same layers before training, as `river_before.paired` puts them; the picture then turns to them.
        most: bytes for what is shown by itself, beside the picture; see `room_for`.

    Raises:
        Missing: none of the records holds arrows; the sentence says why.
        Unmatched: one of the records before training holds none, though that after does.
    """
    found, was, reasons, room = [], [], [], room_for(records, before, most)
    for record, other in zip(records, before or [None] * len(records), strict=True):
        try:
            found.append(steps_of(record, room))
        except Missing as reason:
            reasons.append(str(reason))
        else:
            was += [] if other is None else [_before(other, room)]
    if not found:
        raise Missing(" ".join(reasons) or "river: there is no record to draw; give at least one.")
    filled = [packed(steps) for steps in [*found, *was]]
    facts = [facts for facts, _ in filled]
    payload = {"geometry": GEOMETRY, "formats": FORMATS, "records": facts[: len(found)], "before": facts[len(found) :]}
    widths = [(max(GEOMETRY["hair"], GEOMETRY["full"] + log * GEOMETRY["per_decade"]), words) for log, words in WIDTHS]
    return Markup(
        _template().render(
            style=Markup("\n").join([variables(".river"), template("river_marks.css"), template("river.css")]),
            records=[steps.facts for steps in found],
            turns=bool(was),
            formats=list(FORMATS),
            picture=_first_picture(found[0]),
            widths=widths,
            formula=FORMULA,
            change=CHANGE,
            payload=as_script(payload),
            blocks=[as_base64(data) for _, data in filled],
            script=script(),
        )
    )


def _before(record: Record, room: Room) -> Steps:
    try:
        return steps_of(record, room)
    except Missing as reason:
        raise Unmatched(f"before training, {reason}") from None


def _first_picture(steps: Steps) -> Markup:
    """What is seen before the script runs, and where none may; the script draws over it."""
    scene = Scene(steps, max(0, steps.facts["source"] - 4), FIRST_WIDTH, format_of(steps))
    height = scene.height + scene.token
    box = f"0 0 {number(FIRST_WIDTH)} {number(height)}"
    return element("svg", draw(scene), viewBox=box, class_="river-svg", aria_hidden="true")


def script() -> Markup:
    """All of the picture's JavaScript in one function, so that nothing of it is seen outside."""
    parts = [template(f"river_{name}.js") for name in SCRIPTS] + [template("river.js")]
    return Markup('(() => {\n"use strict";\n') + Markup("\n").join(parts) + Markup("})();")


def template(name: str) -> Markup:
    """A file of ours beside this one; trusted, so it is not escaped."""
    return Markup((files("headgate.report") / "templates" / name).read_text(encoding="utf-8"))


@cache
def _template():
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["math"] = mathml
    return environment.from_string(str(template("river.html.jinja")))

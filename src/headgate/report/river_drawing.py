"""The unrolled picture without what flows through it: channel, dams, cells, labels (see templates/river_draw.js)."""

from __future__ import annotations

import math
from itertools import pairwise

from markupsafe import Markup

from headgate.report import svg
from headgate.report.river_layout import GEOMETRY as G
from headgate.report.river_layout import Column
from headgate.report.river_scene import Scene
from headgate.report.scale import power_of_ten

SHORT = 12


def channel(scene: Scene) -> Markup:
    """The memory's way: its bed, and water as wide as the factor; an empty bed for a cell that has none."""
    left, right = scene.columns[0].x0, scene.columns[-1].x1
    place = (left, G["pipe_top"], right - left, scene.pipe)
    if scene.keep is None:
        words = "no highway: everything goes through the matrix below"
        note = svg.text((left + right) / 2, scene.middle + 4, words, class_="note", text_anchor="middle")
        return svg.rectangle(*place, class_="dry") + note
    points = [(scene.dam(column), min(1.0, scene.kept(column)) * scene.pipe) for column in scene.columns]
    points = [(left, points[0][1]), *points, (right, points[-1][1])]
    walls = [svg.line(left, y, right, y, class_="wall") for y in (G["pipe_top"], G["pipe_bottom"])]
    water = svg.element("path", d=_band(points, scene.middle), class_="water")
    return Markup("").join([svg.rectangle(*place, class_="bed"), water, *walls])


def _band(points: list[tuple[float, float]], middle: float) -> str:
    def edge(side: int, places: list[tuple[float, float]]) -> str:
        n, parts = svg.number, [f"{svg.number(places[0][0])} {svg.number(middle + side * places[0][1] / 2)}"]
        for (before, was), (x, height) in pairwise(places):
            half, y = (before + x) / 2, middle + side * height / 2
            parts.append(f"C{n(half)} {n(middle + side * was / 2)} {n(half)} {n(y)} {n(x)} {n(y)}")
        return "".join(parts)

    return f"M{edge(-1, points)}L{edge(1, points[::-1])}Z"


def lane(scene: Scene) -> Markup:
    """The ground of the matrix paths, and the frame around the step in focus."""
    left, right = scene.columns[0].x0, scene.columns[-1].x1
    height = scene.lane_bottom - scene.lane_top
    ground = svg.rectangle(left, scene.lane_top, right - left, height, class_="lane", rx=4)
    column = next(c for c in scene.columns if c.first <= scene.focus < c.last)
    frame = (column.x0, G["loss"] + 10, column.width, scene.step_y - 2 - G["loss"] + scene.token)
    return ground + svg.rectangle(*frame, class_="here", rx=6)


def body(scene: Scene, column: Column) -> Markup:
    """A cell with its ports, or a bundle's cards."""
    if not column.full:
        return _cards(column)
    w, node = column.width, scene.node(column)
    high = G["cell_bottom"] - G["cell_top"]
    parts = [
        svg.line(column.x0 + 0.46 * w, scene.step_y - 13, column.x0 + 0.46 * w, G["cell_bottom"], class_="input"),
        svg.rectangle(column.x0 + 0.07 * w, G["cell_top"], 0.74 * w, high, class_="cell", rx=7),
    ]
    if scene.keep is not None:
        parts.append(svg.line(node, G["pipe_bottom"], node, scene.lane_top, class_="wire"))
    height = scene.lane_bottom - scene.lane_top + 4
    parts.append(svg.rectangle(node - 3, scene.lane_top - 2, 6, height, class_="state", rx=3))
    for k, name in enumerate(scene.ports):
        parts += [_wire(scene, column, name, k), _port(scene, column, name, k)]
    return Markup("").join(parts)


def _wire(scene: Scene, column: Column, name: str, k: int) -> Markup:
    x, n = scene.port(column, k), svg.number
    if scene.keep is None or name == "o":
        up = G["port"] if scene.keep is not None else scene.lane_top
        return svg.element("path", d=f"M{n(x)} {n(G['port'])}H{n(scene.node(column))}V{n(up)}", class_="wire")
    kind = "stem" if name == scene.facts["keeps"] else "wire"
    return svg.line(x, G["port"], x, G["pipe_bottom"], class_=kind)


def _port(scene: Scene, column: Column, name: str, k: int) -> Markup:
    x, y, r, value = scene.port(column, k), G["port"], scene.radius(column), scene.gate(name, column.first)
    level: list[Markup] = []
    if name in scene.facts["candidates"] or not math.isfinite(value):
        shapes = [svg.rectangle(x - r + 1, y - r + 1, 2 * r - 2, 2 * r - 2, class_=c, rx=3) for c in ("ground", "rim")]
    else:
        shapes = [svg.element("circle", cx=float(x), cy=float(y), r=r, class_=c) for c in ("ground", "rim")]
        level = _level(x, y, r, value)
    parts = [shapes[0], *level, shapes[1]]
    if r > G["letter"]:
        parts.append(svg.text(x, y + 4, name[0] if len(name) > 2 else name, class_="letter", text_anchor="middle"))
    return svg.group(*parts, class_=f"port s{scene.facts['hues'][name]}")


def _level(x: float, y: float, r: float, value: float) -> list[Markup]:
    top = y + r - 2 * r * max(0.0, min(1.0, value))
    half, n = math.sqrt(max(0.0, r * r - (top - y) ** 2)), svg.number
    if half > 0.05:
        large = 1 if value > 0.5 else 0
        d = f"M{n(x - half)} {n(top)}A{n(r)} {n(r)} 0 {large} 0 {n(x + half)} {n(top)}Z"
        return [svg.element("path", d=d, class_="level")]
    return [svg.element("circle", cx=float(x), cy=float(y), r=r, class_="level")] if value > 0.5 else []


def _cards(column: Column) -> Markup:
    w = column.width
    side, high = min(5.0, w * 0.12), G["cell_bottom"] - G["cell_top"]
    wide = w - 2 * side
    parts = [
        svg.rectangle(
            column.x0 + side + k * 1.5, G["cell_top"] + 6 - 3 * k, max(2.0, wide - 3), high - 6, class_="card", rx=5
        )
        for k in (2, 1, 0)
    ]
    if w > 9:
        y, text = (G["cell_top"] + G["cell_bottom"]) / 2 + 3, f"\u00d7{column.last - column.first}"
        fits = len(text) * 6.4 < wide
        turn = None if fits else f"rotate(-90 {svg.number(column.centre)} {svg.number(y)})"
        kind = "count" if fits else "count turned"
        parts.append(svg.text(column.centre, y + 4, text, class_=kind, text_anchor="middle", transform=turn))
    return Markup("").join(parts)


def dam(scene: Scene, column: Column) -> Markup:
    """Two blades that leave open what the gate lets through; a bundle's are many and leave the product of all."""
    name, factor = scene.facts["keeps"], scene.kept(column)
    gate = scene.gate(name, column.first) if name and column.full else math.nan
    opened = gate if math.isfinite(gate) else factor
    blade = (1 - max(0.0, min(1.0, opened))) * scene.pipe / 2
    thick, over = (G["blade"], G["blade_over"]) if column.full else (min(3.0, column.width / 8), 0)
    places = [scene.dam(column)] if column.full else [column.x0 + p * column.width for p in (0.3, 0.5, 0.7)]
    parts = []
    for x in places:
        for y in (G["pipe_top"] - over, G["pipe_bottom"] - blade):
            parts.append(svg.rectangle(x - thick / 2, y, thick, blade + over, class_="blade", rx=1))
    if column.full and scene.width >= G["narrow"]:
        words = f"{opened:.2f}".removeprefix("0")
        parts.append(svg.text(scene.dam(column), G["pipe_label"], words, class_="aperture", text_anchor="middle"))
    return svg.group(*parts, class_=f"dam {'one' if column.full else 'many'}")


def node(scene: Scene, column: Column) -> Markup:
    """The memory after a step."""
    if scene.keep is None or not column.full:
        return Markup("")
    r = 6.0 if column.first == scene.focus else 4.5
    return svg.element("circle", cx=scene.node(column), cy=float(scene.middle), r=r, class_="memory")


def labels(scene: Scene) -> Markup:
    """Steps below, what is left of the gradient above, tokens if the user asked for them."""
    parts, free = [], -math.inf
    for k, column in enumerate(scene.columns):
        text = str(scene.number(column.first))
        if column.full:
            free = column.centre + len(text) * 3.4 + 8
            parts += _cell_labels(scene, column, text)
            continue
        parts.append(svg.line(column.x0, scene.lane_bottom + 4, column.x0, scene.lane_bottom + 9, class_="mark"))
        limit = next((c for c in scene.columns[k:] if c.full), None)
        room = limit.centre - len(str(scene.number(limit.first))) * 3.4 - 6 if limit else math.inf
        if column.x0 >= free and column.x0 + len(text) * 6.4 <= room:
            parts.append(svg.text(column.x0, scene.step_y, text, class_="tick"))
            free = column.x0 + len(text) * 6.4 + 8
    return Markup("").join(parts)


def _cell_labels(scene: Scene, column: Column, text: str) -> list[Markup]:
    t = column.first
    now = " now" if t == scene.focus else ""
    parts = [svg.text(column.centre, scene.step_y, text, class_=f"tick step{now}", text_anchor="middle")]
    if scene.facts.get("text") and t < len(scene.facts["text"]):
        token = scene.facts["text"][t]
        token = token if len(token) <= SHORT else f"{token[: SHORT - 1]}…"
        place = column.centre, scene.step_y + G["token"] - 1
        parts.append(svg.text(*place, token, class_=f"tick token{now}", text_anchor="middle"))
    if left := briefly(scene.relative(t)):
        dead = " gone" if scene.ghost(t) else ""
        x = column.x1 - 4 - (14 if t == scene.source else 0)
        parts.append(svg.text(x, G["arrives"], left, class_=f"arrives{now}{dead}", text_anchor="end"))
    return parts


def briefly(log: float) -> str:
    """A number given by its log10, as short as a label in the picture must be."""
    if not math.isfinite(log):
        return ""
    if -2.0022 <= log < -0.0022:
        return f"{10.0**log:.2f}".removeprefix("0")
    if -3.02 <= log < 2:
        return f"{float(f'{10.0**log:.{2 if log > -1 else 1}g}'):g}".removeprefix("0")
    return power_of_ten(math.floor(log + 0.5))


def lane_names(scene: Scene) -> Markup:
    """What each lane is, at the left; a narrow picture has no room for them."""
    if scene.width < G["narrow"]:
        return Markup("")
    memory, keeps, highway = scene.facts["memory"], scene.facts["keeps"], scene.keep is not None
    x = min(G["gutter"], scene.columns[0].x0) - 10
    lanes = [
        (G["arrives"] - 4, "gradient left", ""),
        (scene.middle, f"memory {memory}", f"dams: {keeps or 'its factor'}" if scene.facts["dammed"] else "no dam")
        if highway
        else (scene.middle, "highway", "none"),
        (G["port"], "cell" if scene.ports else "", ""),
        (
            (scene.lane_top + scene.lane_bottom) / 2,
            "output h" if highway and memory != "h" else "through U",
            "through the gates" if highway else "the only way",
        ),
        (scene.step_y - 4, "step t", ""),
    ]
    parts = []
    for y, one, two in lanes:
        parts.append(svg.text(x, y - 3 if two else y + 4, one, class_="lane-name", text_anchor="end"))
        if two:
            parts.append(svg.text(x, y + 10, two, class_="lane-note", text_anchor="end"))
    return Markup("").join(parts)

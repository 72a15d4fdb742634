"""The ways back through the unrolled picture, where the loss enters, and where the format ends them."""

from __future__ import annotations

import math

from markupsafe import Markup

from headgate.report import svg
from headgate.report.river_data import HIGHWAY, READOUT
from headgate.report.river_layout import GEOMETRY as G
from headgate.report.river_layout import Column, strength, stroke_width
from headgate.report.river_scene import Scene

BEND = 9.0


def ways_back(scene: Scene) -> Markup:
    """Every path between every two columns, and the loss's own."""
    drawn = []
    for k, column in enumerate(scene.columns):
        left = scene.columns[k - 1] if k else None
        for path in [*scene.products, *([HIGHWAY] if scene.keep is not None else [])]:
            ends = scene.ends(path, column) if path in scene.facts["paths"] else None
            if ends is None or (column.full and left is None):
                continue
            if column.full:
                drawn.append(_stream(scene, path, column, left, ends[0]))
            else:
                drawn.append(_taper(scene, path, column, left, ends))
    return Markup("").join([*drawn, _readout(scene)])


def _stream(scene: Scene, path: str, column: Column, left: Column, t: int) -> Markup:
    """One path between two neighbouring cells: out of its port (or along the channel) into the state to the left."""
    n, width, share = svg.number, stroke_width(scene.arrow(path, t)), scene.share(path, t, t + 1)
    head = max(4.5, width * 0.5 + 3)
    tip = scene.node(left) + (4 if path == HIGHWAY else 3) if left.full else left.x1
    stop, y = tip + (head * 0.9 if left.full else 0), scene.middle
    if path == HIGHWAY:
        d = f"M{n(scene.node(column))} {n(y)}H{n(stop)}"
    else:
        x, y = scene.port(column, scene.ports.index(path)), scene.track(path)
        start = f"M{n(x)} {n(G['port'] + scene.radius(column))}V{n(y - BEND)}"
        d = f"{start}Q{n(x)} {n(y)} {n(x - BEND)} {n(y)}H{n(min(stop, x - BEND))}"
    parts = _strokes(d, width, share < 0)
    if left.full:
        parts.append(_head(tip, y, head, "left"))
    return _way(scene, path, share, parts, scene.ghost(t))


def _taper(scene: Scene, path: str, column: Column, left: Column | None, ends: tuple[int, int]) -> Markup:
    """A bundle's part of a path: as wide at its two ends as the arrows there."""
    n, y = svg.number, scene.middle if path == HIGHWAY else scene.track(path)
    right, far = (stroke_width(scene.arrow(path, t)) / 2 for t in ends)
    whole = ends[0] == column.last - 1
    part = (ends[0] + 1 - column.first) / (column.last - column.first)
    begin = column.x1 if whole else column.x0 + part * column.width
    full = left is not None and left.full
    tip = scene.node(left) + (4 if path == HIGHWAY else 3) if full else column.x0
    head = max(4.5, far + 3)
    stop = tip + head * 0.9 if full else tip
    share = scene.share(path, max(0, column.first - 1), column.last)
    if not scene.ghost(ends[0]) and scene.ghost(ends[1]):
        end = scene.end_place()
        between = far + (right - far) * (end - stop) / (begin - stop)
        solid = _tapered(begin, right, end, between, y, False)
        rest = svg.element("path", d=f"M{n(end)} {n(y)}H{n(stop)}", class_="trickle")
        return _way(scene, path, share, [svg.element("path", d=solid, class_="body"), rest], False)
    parts = [svg.element("path", d=_tapered(begin, right, stop, far, y, share < 0), class_="body")]
    if full:
        parts.append(_head(tip, y, head, "left"))
    return _way(scene, path, share, parts, scene.ghost(ends[1]))


def _tapered(x0: float, half0: float, x1: float, half1: float, y: float, banks: bool) -> str:
    n = svg.number
    if banks:
        edges = [f"M{n(x0)} {n(y + side * half0)}L{n(x1)} {n(y + side * half1)}" for side in (-1, 1)]
        return "".join(edges)
    return f"M{n(x0)} {n(y - half0)}L{n(x1)} {n(y - half1)}V{n(y + half1)}L{n(x0)} {n(y + half0)}Z"


def _readout(scene: Scene) -> Markup:
    if READOUT not in scene.facts["paths"]:
        return Markup("")
    relative = scene.arrow(READOUT, scene.source)
    if not math.isfinite(relative):
        return Markup("")
    width, x = stroke_width(relative), scene.source_place()
    tip = scene.middle - 6 if scene.keep is not None else scene.lane_top - 3
    d = f"M{svg.number(x)} {svg.number(G['loss'] + 2)}V{svg.number(tip - 6)}"
    parts = [*_strokes(d, width, False), _head(x, tip, width * 0.5 + 3, "down")]
    share = scene.share(READOUT, scene.source, scene.source + 1)
    return _way(scene, READOUT, share, parts, scene.ghost(scene.source))


def _strokes(d: str, width: float, against: bool) -> list[Markup]:
    found = [svg.element("path", d=d, class_="stroke", stroke_width=float(width))]
    if against and width >= 4:
        found.append(svg.element("path", d=d, class_="hollow", stroke_width=width - 2.6))
    elif width >= 4:
        found.append(svg.element("path", d=d, class_="texture", stroke_width=max(1.0, width * 0.2)))
    return found


def _head(x: float, y: float, size: float, to: str) -> Markup:
    half, long, across = svg.number(size * 0.85), svg.number(size), svg.number(2 * size * 0.85)
    shape = {"left": f"l{long} -{half}v{across}Z", "down": f"l-{half} -{long}h{across}Z"}[to]
    return svg.element("path", d=f"M{svg.number(x)} {svg.number(y)}{shape}", class_="head")


def _way(scene: Scene, path: str, share: float, parts: list[Markup], ghost: bool) -> Markup:
    kinds = f"way s{scene.facts['hues'][path]}{' against' if share < 0 else ''}{' ghost' if ghost else ''}"
    return svg.group(*parts, class_=kinds, opacity=strength(share))


def loss_marks(scene: Scene) -> Markup:
    """Ticks over the steps with a loss of their own; the one that is followed is filled and named."""
    places, n = [], svg.number
    for column in scene.columns:
        lossy = [t for t in range(column.first, column.last) if scene.has_loss(t)]
        if column.full:
            places += [(scene.node(column), t) for t in lossy]
            continue
        room, seen = max(1, int(column.width / 5)), set()
        for t in lossy:
            place = int((t - column.first) / (column.last - column.first) * room)
            if place not in seen:
                seen.add(place)
                places.append((column.x0 + (place + 0.5) / room * column.width, t))
    plain = "".join(f"M{n(x - 3.5)} {n(G['loss'] - 4)}h7l-3.5 6Z" for x, t in places if t != scene.source)
    source = scene.source_place()
    parts = [svg.element("path", d=plain, class_="losses")] if plain else []
    parts.append(svg.element("path", d=f"M{n(source - 6)} {n(G['loss'] - 7)}h12l-6 10Z", class_="source"))
    side, anchor = (-10, "end") if source > scene.columns[-1].x1 - 60 else (10, "start")
    parts.append(svg.text(source + side, G["loss"] + 1, "loss", class_="source-name", text_anchor=anchor))
    return Markup("").join(parts)


def end_mark(scene: Scene) -> Markup:
    """Where the gradient falls below the smallest number of the format."""
    if scene.end is None:
        return Markup("")
    x, y = scene.end_place(), G["loss"] + 12
    count = math.ceil((scene.lane_bottom + 4 - y) / 6)
    d = f"M{svg.number(x)} {y}" + "".join(f"l{-4 if k % 2 else 4} 6" for k in range(count))
    shift, anchor = (-8, "end") if x - scene.columns[0].x0 > 150 else (12, "start")
    words = f"the gradient ends here in {scene.format}"
    name = svg.text(x + shift, G["pipe_bottom"] + 13, words, class_="end-name", text_anchor=anchor)
    return svg.element("path", d=d, class_="end") + name

"""Every chart is read without colour vision: hues differ to every eye, or what they mark differs by more than that."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import pytest
from report import made_up_river
from report import made_up_watch as made
from report.colour_vision import GRAY, VISIONS, channels, contrast, distance, seen
from report.made_up import usual

from headgate.report.compare_page import write_comparison
from headgate.report.heatmap import palette
from headgate.report.hues import HUES, SCHEMES, hue
from headgate.report.page import render
from headgate.report.river_colours import colours
from headgate.report.watch_page import write_watch_report

# In CAM02-UCS, of which 1 is just noticed: what thin lines and small fields take, and what gray fields take, which
# have lightness alone to differ in.
LEAST, LEAST_GRAY = 6.5, 4.0
LEAST_CONTRAST = 3.0  # WCAG 1.4.11, for marks
# Two dashes look alike unless one's longest piece is so many times the other's, or they are of other pieces.
LONGER = 1.5
PATHS = [cell["paths"] for cell in made.CELLS.values()]
PATHS += [["highway", "a", "b", "c", "readout"]]  # a cell of one's own, whose names have no hues


@dataclass(frozen=True)
class Mark:
    """What one colour draws in one chart.

    Attributes:
        kind: "line" of any width, "area" that is filled, or "outlined": a fill within a line of its hue.
        colour: as it stands on its ground, its opacity counted in.
        dash: lengths of a line's pieces and gaps, none if it is whole.
        boxes: left, top, right and bottom of every shape.
    """

    kind: str
    colour: str
    dash: tuple[float, ...]
    boxes: tuple[tuple[float, ...], ...]


def least(vision: str) -> float:
    return LEAST_GRAY if vision == GRAY else LEAST


def alike(one: str, two: str) -> list[str]:
    """The visions to which two colours are too near."""
    return [vision for vision in VISIONS if distance(one, two, vision) < least(vision)]


def dashes_differ(one: tuple[float, ...], two: tuple[float, ...]) -> bool:
    if not one or not two or len(one) != len(two):
        return one != two
    short, long = sorted((max(one[::2]), max(two[::2])))
    return long >= LONGER * short


def stand_apart(one: Mark, two: Mark) -> bool:
    """Whether no shape of one comes into the rows, or into the columns, of the other's."""
    for a, b in itertools.product(one.boxes, two.boxes):
        beside = a[2] <= b[0] + 1 or b[2] <= a[0] + 1
        below = a[3] <= b[1] + 1 or b[3] <= a[1] + 1
        if not beside and not below:
            return False
    return True


def named(mark: Mark, words: list[tuple[float, ...]]) -> bool:
    """Whether in the rows of each of its shapes there stand words."""
    return all(any(w[1] < box[3] and w[3] > box[1] for w in words) for box in mark.boxes)


def confused(marks: list[Mark], words: list[tuple[float, ...]]) -> list[str]:
    """Pairs of a chart's marks that somebody cannot tell apart, in words; `words` are the boxes of its texts."""
    found = []
    for one, two in itertools.combinations(marks, 2):
        if one.colour == two.colour or one.kind != two.kind:
            continue
        if one.kind == "line" and dashes_differ(one.dash, two.dash):
            continue
        visions = alike(one.colour, two.colour)
        if visions and not (stand_apart(one, two) and named(one, words) and named(two, words)):
            found.append(f"{one.kind} {one.colour} {two.colour}: {', '.join(visions)}")
    return found


@pytest.mark.parametrize("scheme", tuple(SCHEMES))
@pytest.mark.parametrize("paths", PATHS, ids=" ".join)
def test_the_hues_of_one_cell_differ_to_every_eye(paths, scheme):
    used = [SCHEMES[scheme][f"c{hue(path, paths)}"] for path in paths]
    assert {(a, b): alike(a, b) for a, b in itertools.combinations(used, 2) if alike(a, b)} == {}


@pytest.mark.parametrize("scheme", tuple(SCHEMES))
def test_all_hues_differ_to_every_eye_that_sees_some(scheme):
    """Eight compared layers; in grays they have their dashes."""
    used = [SCHEMES[scheme][f"c{k}"] for k in range(HUES)]
    near = {(a, b): set(alike(a, b)) - {GRAY} for a, b in itertools.combinations(used, 2)}
    assert {pair: visions for pair, visions in near.items() if visions} == {}


@pytest.mark.parametrize("scheme", tuple(SCHEMES))
def test_the_river_stands_out_from_its_grounds_to_every_eye(scheme):
    """Paths on the page, the lane and the cells; the highway on the water; dams, what cuts and what ends."""
    own = colours(scheme)
    pairs = [(f"h{k}", ground) for k in range(HUES) for ground in ("paper-r", "cell", "lane")]
    pairs += [("h2", "water"), ("blade", "water"), ("blade", "bed"), ("stop", "paper-r"), ("bank", "water")]
    assert {pair: alike(own[pair[0]], own[pair[1]]) for pair in pairs if alike(own[pair[0]], own[pair[1]])} == {}
    for name, ground in pairs[:-1]:
        assert contrast(channels(own[name]), channels(own[ground])) >= LEAST_CONTRAST, (name, ground)


def test_heatmaps_grow_lighter_to_every_eye():
    assert darkened(palette() / 255.0) == {}


def darkened(steps: np.ndarray) -> dict[str, float]:
    """By vision, the largest step back in lightness from a twentieth of a palette to the next, if one is."""
    places = steps[np.linspace(0, len(steps) - 1, 21).round().astype(int)]
    least_step = {vision: float(np.diff(seen(places, vision)[:, 0]).min()) for vision in VISIONS}
    return {vision: step for vision, step in least_step.items() if step <= 0.0}


def test_the_comparisons_can_fail():
    """Each is given what it is there to find."""
    assert set(alike("#d55e00", "#8a6d00")) == {"protanopia"}  # an orange and an olive that were f and o once
    assert set(alike("#0068ad", "#6a4fd0")) >= {"deuteranopia"} and GRAY in alike("#b0488f", "#8a6d00")
    assert "tritanopia" in alike("#35c99c", "#63b5f5")
    rainbow = np.array([[0, 0, 1], [0, 1, 1], [0, 1, 0], [1, 1, 0], [1, 0, 0]])
    steps = np.stack([np.interp(np.linspace(0, 4, 255), range(5), rainbow[:, k]) for k in range(3)], 1)
    assert set(darkened(steps)) == set(VISIONS)
    assert not dashes_differ((8, 3), (9, 3)) and dashes_differ((8, 3), ()) and dashes_differ((8, 3), (2, 3))
    areas = [Mark("area", colour, (), ((0, 0, 9, 9),)) for colour in ("#d55e00", "#8a6d00")]
    words = [(10, 0, 20, 9), (10, 20, 20, 29)]
    assert confused(areas, words) == ["area #d55e00 #8a6d00: protanopia"]
    apart = [areas[0], Mark("area", "#8a6d00", (), ((0, 20, 9, 29),))]
    assert confused(apart, words) == [] and confused(apart, words[:1]) == confused(areas, words)


# What colours draw: everything that has a hue, or the ink's or the faint colour, but no frame and no words. A way's
# opacity tells how large its share is, so it is left out; bands are pale, and lie around a line of their own hue.
DRAWN = r"""
[...document.querySelectorAll('svg.chart, .river-picture svg')].filter(svg => svg.checkVisibility()).map(svg => {
  const numbers = text => (text.match(/[\d.]+/g) || []).map(Number);
  const box = e => (r => [r.left, r.top, r.right, r.bottom])(e.getBoundingClientRect());
  const marks = [...svg.querySelectorAll('path, rect, circle, line')].flatMap(e => {
    const names = [...e.classList, ...(e.closest('.way')?.classList || [])], style = getComputedStyle(e);
    if (!names.some(name => /^s\d+$/.test(name) || name === 'ink' || name === 'faint')) return [];
    if (names.some(name => ['unseen', 'casing', 'reach', 'texture', 'hollow', 'ghost'].includes(name))) return [];
    const drawn = style.stroke !== 'none' && !names.includes('area'), filled = style.fill !== 'none';
    const part = style.opacity * (drawn ? style.strokeOpacity : style.fillOpacity);
    const kind = drawn ? (filled ? 'outlined' : 'line') : 'area', colour = numbers(drawn ? style.stroke : style.fill);
    return [{ names, kind, part, colour, dash: numbers(style.strokeDasharray), box: box(e) }];
  });
  return { chart: svg.closest('figure')?.id || 'river', marks, words: [...svg.querySelectorAll('text')].map(box) };
})
"""
PALE = {"band", "soft", "pale", "past"}


@pytest.fixture(scope="module")
def drawn(browser, tmp_path_factory):
    """What every chart of the watch's page and of a comparison of eight draws, by scheme."""
    folder = tmp_path_factory.mktemp("colours")
    eight = [made.record(("LSTM", "GRU")[k % 2], name=f"run {k}", seed=k, rate=0.5 + 0.06 * k) for k in range(8)]
    found = {scheme: [] for scheme in SCHEMES}
    for path in (write_watch_report(made.records(), folder), write_comparison(eight, folder)):
        page = browser.open(path)
        page.run("document.querySelectorAll('[role=tabpanel]').forEach(panel => { panel.hidden = false; })")
        for scheme, charts in found.items():
            page.prefer(scheme)
            charts += page.run(DRAWN)
        assert page.errors() == []
        page.close()
    return found


def marks_of(chart: dict, paper: np.ndarray) -> list[Mark]:
    """A chart's marks by what they look like, as they stand on the paper."""
    found: dict[tuple, list] = {}
    for mark in chart["marks"]:
        if not PALE & set(mark["names"]):
            mixed = mark["part"] * np.array(mark["colour"][:3]) + (1 - mark["part"]) * 255 * paper
            colour = "#" + "".join(f"{round(value):02x}" for value in mixed)
            found.setdefault((mark["kind"], colour, tuple(mark["dash"])), []).append(tuple(mark["box"]))
    return [Mark(*look, tuple(boxes)) for look, boxes in found.items()]


@pytest.mark.parametrize("scheme", tuple(SCHEMES))
def test_what_a_chart_draws_can_be_told_apart(drawn, scheme):
    """By every eye, by colour, by dash, or by standing in rows of their own, each with its words."""
    paper = channels(SCHEMES[scheme]["paper"])
    charts = [(chart, marks_of(chart, paper)) for chart in drawn[scheme]]
    found = {chart["chart"]: confused(marks, chart["words"]) for chart, marks in charts}
    assert {name: pairs for name, pairs in found.items() if pairs} == {}
    assert sum(len(marks) > 1 for _, marks in charts) > 40 and found.keys() >= {"river", "c-decay", "c-horizons"}


@pytest.mark.parametrize("scheme", tuple(SCHEMES))
def test_what_a_chart_draws_stands_out_from_the_page(drawn, scheme):
    paper = channels(SCHEMES[scheme]["paper"])
    faint = {
        (chart["chart"], mark.colour)
        for chart in drawn[scheme]
        for mark in marks_of(chart, paper)
        if contrast(channels(mark.colour), paper) < LEAST_CONTRAST
    }
    assert faint == set()


def test_the_look_at_what_is_drawn_can_fail(browser, tmp_path):
    """A hue that was once another's to some, lines without their dashes, a mark that fades: each is found."""
    page, paper = browser.open(write_watch_report(made.record(), tmp_path)), np.ones(3)
    page.prefer("light")
    changes = ":root { --c4: #8a6d00; } .chart .line { stroke-dasharray: none; } .chart .whisker { stroke: #b0b0b0; }"
    page.run(f"(s => {{ s.textContent = {changes!r}; document.head.append(s); }})(document.createElement('style'))")
    charts = {chart["chart"]: chart for chart in page.run(DRAWN)}
    page.close()
    found = {name: confused(marks_of(chart, paper), chart["words"]) for name, chart in charts.items()}
    assert any("protanopia" in pair for pair in found["r0-paths"])
    assert any(pair.startswith("line") for pair in found["r0-spectrum"])  # the faint lines beside the measured one
    whiskers = {mark.colour: contrast(channels(mark.colour), paper) for mark in marks_of(charts["r0-ablation"], paper)}
    assert min(whiskers.values()) < LEAST_CONTRAST


WAYS = r"""
[...document.querySelectorAll('.river-picture .way:not(.against, .ghost)')].flatMap(way => {
  const [stroke, texture] = ['.stroke', '.texture'].map(name => way.querySelector(name));
  if (!stroke || way.dataset.path === 'readout') return [];
  const style = texture && getComputedStyle(texture), hidden = !style || style.display === 'none';
  const dash = hidden ? [] : style.strokeDasharray.match(/[\d.]+/g).map(Number);
  return [[way.dataset.path, dash, stroke.getPointAtLength(stroke.getTotalLength()).y]];
})
"""


def look_alike(ways: list) -> list[tuple[str, str, str]]:
    """Pairs of paths that share a texture or a track, and which of them."""
    looks: dict[str, tuple[set, set]] = {}
    for name, dash, y in ways:
        textures, tracks = looks.setdefault(name, (set(), set()))
        textures.add(tuple(dash))
        tracks.add(y)
    found = []
    for (one, first), (two, second) in itertools.combinations(looks.items(), 2):
        # A way that is too thin for its texture is drawn without.
        found += [] if dashes_differ(max(first[0]), max(second[0])) else [(one, two, "texture")]
        apart = min(abs(a - b) for a, b in itertools.product(first[1], second[1]))
        found += [] if apart >= 5 else [(one, two, "track")]
    return found


@pytest.mark.parametrize("cell", ("LSTM", "GRU", "Own"))
def test_ways_of_the_river_differ_in_texture_and_in_track(browser, tmp_path, cell):
    """Where a way is pale, because its share is small, its hue tells little."""
    record = made_up_river.record(cell, 40, keep=0.8, strength=0.3)
    page = browser.open(write_watch_report(record, tmp_path))
    ways = page.run(WAYS)
    paths = list(dict.fromkeys(name for name, *_ in ways))
    assert len(paths) >= 3 and look_alike(ways) == []
    page.run("document.querySelectorAll('.river-picture .texture').forEach(e => { e.style.strokeDasharray = '7 4'; })")
    same = {(one, two) for one, two, what in look_alike(page.run(WAYS)) if what == "texture"}
    assert same and all("highway" not in pair for pair in same)  # the highway has none, whatever the others have
    assert {what for *_, what in look_alike([[name, dash, 0.0] for name, dash, _ in ways])} == {"track"}
    page.close()


ENDS = r"""
[...document.querySelectorAll('figure svg.chart')].map(svg => {
  const hue = e => [...e.classList].find(name => /^s\d+$/.test(name));
  const ends = [...svg.querySelectorAll('path.line')].map(e => {
    const end = e.getPointAtLength(e.getTotalLength()).matrixTransform(e.getScreenCTM());
    return [hue(e), end.x, end.y];
  });
  const names = [...svg.querySelectorAll('text.label')].map(e => [hue(e), e.getBoundingClientRect()]);
  return [ends, names.map(([own, r]) => [own, r.left, (r.top + r.bottom) / 2])];
})
"""


def nameless(charts: list) -> list[str]:
    """Hues of lines that have no name of their hue to the right of their end, where the frame ends, at its height."""
    return [
        own
        for ends, names in charts
        for own, x, y in ends
        if not any(name == own and 0 < left - x < 140 and abs(top - y) < 30 for name, left, top in names)
    ]


def test_lines_of_the_demo_have_their_names_at_their_ends(browser, tmp_path):
    """Its cells have no dashes: they are told apart by their names."""
    (tmp_path / "page.html").write_text(render(usual().summary()), encoding="utf-8")
    page = browser.open(tmp_path / "page.html")
    charts = page.run(ENDS)
    assert nameless(charts) == [] and sum(len(ends) for ends, _ in charts) > 20
    page.run("document.querySelectorAll('text.label.s1').forEach(name => name.remove())")
    assert set(nameless(page.run(ENDS))) == {"s1"}
    page.close()

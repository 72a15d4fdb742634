"""The page's script by itself: it reads back what was packed, and draws what the static picture draws."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from report import made_up_river as made_up
from report.river_script import run

from headgate.report.river_data import steps_of
from headgate.report.river_layout import columns, placed, stroke_width
from headgate.report.river_scene import Scene
from headgate.report.river_static import draw

NUMBER = r"-?\d+(?:\.\d+)?"
PLACES = ("x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "r", "rx", "d", "width", "height", "stroke-width", "opacity")

BACK = "Object.fromEntries(Object.keys(facts.arrays).map(name => [name, steps[name]]))"


def numbers(value: object) -> np.ndarray:
    return np.array(value, dtype=object).astype(float)


@pytest.mark.parametrize("cell", made_up.CELLS)
def test_arrays_come_back_to_within_their_step(cell):
    steps = steps_of(made_up.record(cell, 61, seed=1))
    back = run(BACK, steps)
    assert set(back) == set(steps.arrays)
    for name, values in steps.arrays.items():
        found = numbers(back[name]).reshape(values.shape)
        assert (np.isnan(found) == np.isnan(values)).all(), name
        relative = 6e-4 if name in ("arrow_share", "cancellation", "keep", "gate_mean") else 0.0
        absolute = {"provenance": 0.026, "arrow_cosine": 0.005}.get(name, 0.003)
        deep = values < -12.7 if name == "provenance" else np.zeros(values.shape, bool)
        shown = np.where(np.isnan(values) | deep, 0, values), np.where(np.isnan(values) | deep, 0, found)
        assert np.allclose(shown[1], shown[0], rtol=relative, atol=1e-6 if relative else absolute), name


def test_a_gradient_of_many_thousand_decades_is_packed_more_coarsely():
    steps = steps_of(made_up.record("RNN", 40, strength=1e-80))
    back = numbers(run("steps.total", steps))
    assert steps.arrays["gradient_norm"].min() < -3000
    assert np.abs(back - steps.arrays["gradient_norm"]).max() <= 0.1


@pytest.mark.parametrize("T", [1, 2, 3, 8, 9, 10, 60, 1000, 10_000])
def test_every_step_stands_in_one_column(T):
    for focus in {0, T // 3, T // 2, T - 1}:
        found = columns(T, focus, 9)
        assert [column.first for column in found] == [0] + [column.last for column in found[:-1]]
        assert found[-1].last == T and len(found) < 40
        assert next(column for column in found if column.first <= focus < column.last).full
        assert sum(column.full for column in found) >= min(9, T)


def test_bundles_double_with_the_distance():
    sizes = [column.last - column.first for column in columns(10_000, 5000, 9)]
    middle = sizes.index(1)
    assert sizes[middle : middle + 9] == [1] * 9
    assert sizes[middle - 1 :: -1][:8] == [2, 4, 8, 16, 32, 64, 128, 256] == sizes[middle + 9 :][:8]


def test_script_and_static_picture_lay_out_alike():
    cases = [(T, focus, w) for T in (1, 5, 60, 10_000) for focus in (0, T // 2, T - 1) for w in (320, 700, 1132)]
    theirs = run(f"{[list(c) for c in cases]}.map(([T, focus, width]) => placed(T, focus, width, G))")
    for case, found in zip(cases, theirs, strict=True):
        ours = placed(*case)
        assert [(c["from"], c["to"]) for c in found] == [(c.first, c.last) for c in ours], case
        assert np.allclose([(c["x0"], c["x1"]) for c in found], [(c.x0, c.x1) for c in ours]), case
        assert ours[0].x0 >= 0 and ours[-1].x1 <= case[2]


def test_a_decade_is_a_pixel():
    assert stroke_width(0.0) - stroke_width(-1.0) == 1.0 and stroke_width(-300.0) == stroke_width(-9.0) == 1.0
    assert run("[0, -3, -50, 2, 90].map(k => strokeWidth(k, G))") == [stroke_width(k) for k in (0, -3, -50, 2, 90)]


def marks(text: str) -> dict[tuple[str, str], list[tuple[str, list[float]]]]:
    """What is drawn, by element and class, in order: words, and every number of its places."""
    found: dict[tuple[str, str], list[tuple[str, list[float]]]] = {}
    for node in ElementTree.fromstring(f"<svg>{text}</svg>").iter():
        kind = node.get("class", "")
        if node.tag in ("g", "svg") or kind in ("reach", "target"):
            continue
        places = " ".join(node.get(name, "") for name in PLACES)
        found.setdefault((node.tag, kind), []).append((node.text or "", [float(n) for n in re.findall(NUMBER, places)]))
    return found


def differences(record, focus: int, width: float, format: str = "float32", change=None) -> list[str]:
    """What the script draws otherwise than the static picture, from the same (decoded) numbers."""
    steps = steps_of(record)
    drawn = f"drawRiver(scene({focus}, {width}, {{ formatName: {format!r} }}))"
    back, text = run(f"[{BACK}, {drawn}]", steps, change)
    for name, values in steps.arrays.items():
        steps.arrays[name] = numbers(back[name]).reshape(values.shape)
    ours, theirs = marks(draw(Scene(steps, focus, width, format))), marks(text)
    found = [f"only one draws {kind}" for kind in set(ours) ^ set(theirs)]
    for kind in set(ours) & set(theirs):
        one, two = ours[kind], theirs[kind]
        if [words for words, _ in one] != [words for words, _ in two]:
            found.append(f"{kind}: other words or another number of them")
        elif any(len(a) != len(b) or not np.allclose(a, b, atol=0.03) for (_, a), (_, b) in zip(one, two, strict=True)):
            found.append(f"{kind}: other places")
    return found


CASES = [("LSTM", 60, 55, 1132), ("LSTM", 2000, 700, 900), ("GRU", 60, 30, 1132), ("RNN", 60, 20, 1132)]
CASES += [("NoForget", 40, 0, 400), ("Coupled", 60, 40, 1132), ("Own", 5, 2, 800)]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_script_draws_what_the_static_picture_draws(case):
    cell, T, focus, width = case
    record = made_up.record(cell, T, every=7, keep=0.8, text=[f"word{k}" for k in range(T)] if T < 50 else None)
    assert differences(record, focus, width) == []


def test_they_end_the_gradient_alike():
    assert differences(made_up.record("RNN", 60, strength=0.2), 30, 1132, "float16") == []
    assert differences(made_up.record("LSTM", 2000, keep=0.7), 1600, 1132, "float16") == []


MUTANTS = [
    ("G.full + G.per_decade * relative", "G.full + relative / 2"),
    ("share < 0 ? banks : d", "share > 0 ? banks : d"),
    ("for (let t = from; t < to; t++) log += this.keep[t];", "log = this.keep[from];"),
]


@pytest.mark.parametrize("change", MUTANTS)
def test_the_comparison_can_fail(change):
    """A wrong width, a wrong sign and a product that is none are noticed."""
    assert differences(made_up.record("LSTM", 60, keep=0.8), 55, 1132, change=change) != []


def test_a_cut_shows_what_was_measured():
    steps = steps_of(made_up.record("LSTM", 60, seed=3))
    row = steps.facts["cuts"].index("g")
    drop = "steps.arrowRelative('f', 10, 'g') - steps.arrowRelative('f', 10)"
    cut, drop = run(f"[steps.absolute(10, 'g'), {drop}]", steps)
    measured = steps.arrays["cut_gradient"][row][10]
    assert cut == pytest.approx(measured, abs=0.01)
    assert drop == pytest.approx(measured - steps.arrays["gradient_norm"][10], abs=0.01)
    drawn = run("drawRiver(scene(30, 1132, { cut: 'g' }))", steps)
    assert 'data-path="g"' not in drawn and 'data-path="f"' in drawn and "cross" in drawn


def test_content_sums_to_all_that_was_written():
    steps = steps_of(made_up.record("LSTM", 300))
    whole, own = run("[steps.written(0, 251, 250), steps.written(250, 251, 250)]", steps)
    assert whole == pytest.approx(1.0, abs=0.08) and 0 < own < whole
    said = run("stepInWords(250, steps, state({ direction: 'content' }))", steps)
    assert "was written in the 3 steps around it" in said


def test_words_are_plain_or_expert():
    steps = steps_of(made_up.record("LSTM", 60, keep=0.9))
    plain, expert = (run(f"stepInWords(50, steps, state({{ wording: {w!r} }}))", steps) for w in ("plain", "expert"))
    assert plain.startswith("Step 50, 9 steps before the loss: ") and "along the highway" in plain
    assert "∂" not in plain and "lag 9" in expert and "highway +" in expert
    assert "nothing arrives" in run("stepInWords(0, steps, state({ formatName: 'float16' }))", steps_of(
        made_up.record("RNN", 60, strength=0.2)))  # fmt: skip


def test_a_reversed_layer_is_numbered_by_its_input():
    forward, back = (steps_of(made_up.record("LSTM", 20, reverse=reverse)) for reverse in (False, True))
    assert np.array_equal(forward.arrays["arrow_norm"], back.arrays["arrow_norm"], equal_nan=True)
    assert run("[steps.number(0), steps.number(19)]", back) == [19, 0]


def test_magnitudes():
    said = {0: "1", -0.5: "0.32", -5: "10⁻⁵", -4.6: "2.5 \u00d7 10⁻⁵", -399: "10⁻³⁹⁹", 4.0001: "10⁴", -9.0001: "10⁻⁹"}
    assert run(f"{list(said)}.map(magnitude)") == list(said.values())

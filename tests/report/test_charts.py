"""Axes, histograms and curves put numbers where they belong."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from report.made_up import Made

from headgate.report import svg
from headgate.report.curves import over_seeds, smooth
from headgate.report.histogram import bars, is_gate, shares
from headgate.report.lines import Line, draw
from headgate.report.plot import Box, apart
from headgate.report.scale import Decades, Linear, Logit, magnitude, percent, power_of_ten, timescale

BOX = Box(0.0, 0.0, 100.0, 50.0)


def test_an_axis_is_even_in_its_own_measure():
    assert Linear(0.0, 10.0, 0.0, 100.0)(2.5) == 25.0
    decades = Decades(1e-4, 1.0, 100.0, 0.0)
    assert [decades(10.0**-k) for k in range(5)] == pytest.approx([0, 25, 50, 75, 100])
    logit = Logit(0.001, 0.999, 0.0, 100.0)
    assert logit(0.5) == pytest.approx(50) and logit(0.9) + logit(0.1) == pytest.approx(100)
    assert logit(0.99) - logit(0.9) == pytest.approx(logit(0.1) - logit(0.01))


@pytest.mark.parametrize(
    "scale", (Linear(0.0, 1.0, 0.0, 9.0), Decades(1e-3, 1.0, 0.0, 9.0), Logit(0.01, 0.99, 0.0, 9.0))
)
def test_what_lies_beyond_an_axis_stands_at_its_end(scale):
    assert scale(-1e9) == 0.0 and scale(1e9) == 9.0
    assert all(0.0 <= scale(value) <= 9.0 and words for value, words in scale.ticks())


def test_ticks_are_round_and_few():
    assert [words for _, words in Linear(0.0, 700.0, 0, 1).ticks()] == ["0", "200", "400", "600"]
    assert [words for _, words in Decades(1e-3, 10.0, 0, 1).ticks()] == ["10⁻³", "10⁻²", "10⁻¹", "1", "10"]
    assert len(Decades(1e-14, 10.0, 0, 1).ticks()) <= 8
    assert [words for _, words in Logit(0.0005, 0.9995, 0, 1).ticks()] == [
        ".001",
        ".01",
        ".1",
        ".5",
        ".9",
        ".99",
        ".999",
    ]


def test_timescales_are_those_of_the_axis():
    assert [timescale(keep) for keep in (0.5, 0.9, 0.99, 0.999)] == ["1.4", "9.5", "99", "1000"]


def test_numbers_are_short_and_right():
    assert [magnitude(v) for v in (2.55, 0.19, 0.0, 1e-5, 123.4)] == ["2.5", "0.19", "0", "10⁻⁵", "123"]
    assert magnitude(3.6e-6) == "4\u00a0\u00d7\u00a010⁻⁶" and magnitude(3.64e-6, 2) == "3.6\u00a0\u00d7\u00a010⁻⁶"
    assert power_of_ten(0) == "1" and percent(-0.001) == "0\u00a0%" and percent(0.634) == "63\u00a0%"
    assert svg.number(-0.001) == "0" and svg.number(2.5) == "2.5" and svg.number(1 / 3) == "0.33"


def test_labels_are_moved_apart_as_little_as_needed():
    assert apart([10, 30, 50], 14, 0, 100) == [10, 30, 50]
    moved = apart([50, 50, 49], 14, 0, 100)
    assert sorted(np.diff(sorted(moved))) == [14, 14] and moved[2] < moved[0] < moved[1]
    assert apart([99, 99], 14, 0, 100) == [86, 100]


def test_elements_escape_what_they_are_given():
    assert svg.text(0, 0, "<b>&") == '<text x="0" y="0">&lt;b&gt;&amp;</text>'
    assert svg.element("g", aria_label='"x"', class_=None) == '<g aria-label="&#34;x&#34;"/>'


def test_a_histogram_counts_everything_once():
    axis = Logit(0.001, 0.999, 0.0, 100.0)
    values = np.array([0.0, 0.5, 0.5, 1.0])
    found = shares(values, axis, bins=9)
    assert found.tolist() == [0.25, 0, 0, 0, 0.5, 0, 0, 0, 0.25]
    assert is_gate(values) and not is_gate(np.array([-0.1, 0.5])) and not is_gate(np.array([]))


def test_bars_are_as_high_as_their_share():
    drawn = bars(np.array([0.0, 1.0]), Linear(0.0, 1.0, 50.0, 0.0), BOX, "s0")
    points = [(float(a), float(b)) for a, b in re.findall(r"([\d.]+) ([\d.]+)", drawn)]
    assert points == [(0, 50), (0, 50), (50, 50), (50, 0), (100, 0), (100, 50)]


def test_a_line_goes_through_its_points_and_stops_where_it_leaves_the_chart():
    x, y = Linear(0.0, 4.0, 0.0, 100.0), Decades(1e-2, 1.0, 50.0, 0.0)
    line = Line(np.arange(5.0), np.array([1.0, 0.1, 1e-3, 1e-5, 1e-9]), "s1", "name")
    path = re.search(r'd="M([^"]+)"', draw([line], x, y, BOX)).group(1)
    assert path == "0 0L25 25L50 50"


def test_curves_are_means_over_a_window_and_medians_over_seeds():
    losses = np.array([[1.0, 2.0, 3.0, 4.0], [2.0, 4.0, np.nan, np.nan]])
    np.testing.assert_allclose(smooth(losses, 2)[0], [1.0, 1.5, 2.5, 3.5])
    low, middle, high = over_seeds(losses)
    np.testing.assert_allclose(low, [1, 2, 3, 4])
    np.testing.assert_allclose(middle, [1.5, 3, 3, 4])
    np.testing.assert_allclose(high, [2, 4, 3, 4])
    assert np.isnan(over_seeds(np.full((2, 1), np.nan))[1]).all()


def test_a_row_gathers_its_seeds():
    made = Made(
        reached={("adding", "gru", "after"): 0.25}, scores={("adding", "gru"): 0.9}, solved={("adding", "gru"): 2}
    )
    row = next(row for row in made.summary().rows if row.cell["key"] == "gru")
    assert row.reached("after") == pytest.approx(0.25) and row.score == pytest.approx(0.9)
    assert row.solved == 2 and not row.always and row.seconds == 2.5
    assert row.profiles["after"].low[-1] == pytest.approx(0.125) and row.profiles["after"].high[-1] == pytest.approx(
        0.5
    )
    assert row.gate("z", "after").shape == (3 * 31 * 2 * 9,)
    assert math.isclose(row.highway("after"), 0.4)

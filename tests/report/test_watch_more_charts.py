"""What was measured and not drawn before: gates over training, single losses, openness, slopes, ranks, the reset."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from report import made_up_watch as made

from headgate.inspection import Record
from headgate.inspection.schema import ARRAYS, check
from headgate.report import ablation_rows
from headgate.report.ablation import ablation
from headgate.report.film import even_looks
from headgate.report.film_gates import film_gates
from headgate.report.layer import Layer
from headgate.report.learnable import learnable
from headgate.report.openness import openness
from headgate.report.price import price, white_noise_law
from headgate.report.sections import ONE_LOSS, groups
from headgate.report.singular import singular
from headgate.report.triangles import sources
from headgate.report.use import use


def layer(record: Record | None = None, **changes) -> Layer:
    """A made-up layer with some facts or arrays put in the place of its own; None takes one out."""
    record = record or made.record()
    facts, arrays = dict(record.facts), dict(record.arrays)
    for name, value in changes.items():
        home = arrays if name in ARRAYS else facts
        home[name] = value
        if value is None:
            del home[name]
    check(record.name, arrays)
    return Layer(Record(record.name, facts, arrays))


def places(drawn: str, kind: str) -> list[np.ndarray]:
    """The points of every path of a class."""
    found = re.findall(rf'<path d="M([^"Z]+)Z?" class="{kind}[^"]*"', drawn)
    return [np.array([[float(v) for v in pair.split()] for pair in path.split("L")]) for path in found]


# --- gates over training ------------------------------------------------------------------------------------------


def test_each_look_has_its_ridge_at_its_training_step():
    figure = film_gates(layer())
    ridges = places(figure.picture, "ridge")
    assert len(ridges) == 3 * len(made.FILMED)  # i, f and o; the candidate g is no gate in (0, 1)
    grounds = [ridge[0, 1] for ridge in ridges[: len(made.FILMED)]]
    steps = np.array(made.FILMED)
    np.testing.assert_allclose(np.diff(grounds) / np.diff(steps), (grounds[-1] - grounds[0]) / 2000, rtol=0.02)
    tops = [ridge[ridge[:, 1].argmin(), 0] for ridge in ridges[: len(made.FILMED)]]
    assert (np.diff(tops)[:4] > 0).all()  # every look half a logit further to the right
    assert len({round(ridge[:, 1].min() - ridge[0, 1], 1) for ridge in ridges}) == 1


def test_middles_over_training_are_said():
    figure = film_gates(layer())
    record = made.record()
    assert figure.header[:4] == ["training step", "i 10 %", "i 50 %", "i 90 %"]
    assert [row[0] for row in figure.numbers] == [str(step) for step in made.FILMED]
    assert float(figure.numbers[0][2]) == pytest.approx(0.5, abs=0.01)
    edges = record.arrays["logit_edges"]
    # By then two pieces a look, so the seventh look stands fourteen pieces to the right.
    assert float(figure.numbers[-1][2]) == pytest.approx(1 / (1 + np.exp(-14 * (edges[1] - edges[0]))), abs=0.01)
    assert "i from 0.5 to" in figure.reading


def test_many_looks_give_few_ridges():
    assert len(even_looks(np.arange(0, 10_000, 10), 16)) == 16
    assert even_looks(np.array([0, 1, 2]), 16) == [0, 1, 2]
    assert film_gates(layer(film_gates=None)) is None and film_gates(layer(made.record("RNN"))) is None


# --- each loss by itself ------------------------------------------------------------------------------------------


def test_the_loss_that_reaches_furthest_is_named():
    record = made.record(steps=40)
    profile = np.full_like(record.arrays["source_profile"], -9.0)
    profile[:, 0] = 0.0
    profile[3, :8] = -1.0
    figure = sources(layer(record, source_profile=profile))
    at = int(record.arrays["sources"][3])
    assert f"7 from that at step {at}" in figure.reading and "0 steps from the loss at step 13" in figure.reading
    row = next(row for row in figure.numbers if row[0] == str(at))
    assert row[:3] == [str(at), "7", "1.00e-01"]


def test_one_loss_alone_is_said_to_be_alone():
    alone = layer(sources=np.full(16, -1))
    assert sources(alone) is None
    missing = dict(next(group for group in groups(alone) if group["name"] == "gradient")["missing"])
    assert missing["Does every loss reach as far back?"] == ONE_LOSS
    told = layer(sources=np.full(16, -1), missing={"gradients": "no backward pass"})
    missing = dict(next(group for group in groups(told) if group["name"] == "gradient")["missing"])
    assert missing["Does every loss reach as far back?"] == "no backward pass"


# --- openness and slopes ------------------------------------------------------------------------------------------


def test_units_stand_where_their_numbers_say():
    tau = np.array([2.0, 20.0, np.inf, -5.0])
    enough, resets = np.array([0.0, 0.5, 1.0, 1.0]), np.array([0.25, 0.0, 0.0, 0.0])
    record = made.record(hidden=4, causes=False)
    figure = openness(layer(record, timescales=tau, open_enough=enough, resets=resets))
    dots = np.array(re.findall(r'cx="([\d.]+)" cy="([\d.]+)"', figure.picture), float)
    upper, lower = dots[:4], dots[4:]
    assert upper[0, 0] < upper[1, 0] < upper[2, 0] == upper[3, 0] and (upper[:, 0] == lower[:, 0]).all()
    assert upper[2, 1] < upper[1, 1] < upper[0, 1] and lower[0, 1] < lower[1, 1] == lower[2, 1]
    assert (upper[0, 1] - upper[1, 1]) == pytest.approx(upper[1, 1] - upper[2, 1], abs=0.02)
    assert "3 of 4 units do so at least half of the time" in figure.reading
    assert "3 of 4 hardly ever do" in figure.reading


def test_openness_without_a_need_tells_of_resets_alone():
    figure = openness(layer(needs_lag=None, open_enough=None))
    assert "open enough" not in figure.reading and "class=\"need\"" not in figure.picture
    assert openness(layer(open_enough=None, resets=None)) is None
    assert openness(layer(timescales=None)) is None


def test_still_gates_are_counted_and_the_price_of_keeping_is_drawn():
    record = made.record(hidden=5)
    moves = np.full((4, 5), 1.0)
    moves[1, :2] = 0.01
    figure = learnable(layer(record, gate_deviation=moves, needs_lag=100))
    assert "Hardly moved at all, left of the line: f in 2 of 5 units." in figure.reading
    assert "open for 100 steps" in figure.picture
    assert "open for" not in learnable(layer(record, needs_lag=None)).picture
    assert learnable(layer(made.record("RNN"))) is None


def test_the_law_goes_through_units_that_follow_it():
    record = made.record()
    tau, sharp = record.arrays["timescales"], record.arrays["sensitivity"]
    np.testing.assert_allclose(white_noise_law(tau) + np.log10(2.0), sharp, rtol=1e-12)
    figure = price(layer())
    drawn = places(figure.picture, "line faint dash0")[0]
    dots = np.array(re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)"', figure.picture), float)
    assert len(dots) == len(tau)
    np.testing.assert_allclose(np.interp(dots[:, 0], drawn[:, 0], drawn[:, 1]), dots[:, 1], atol=0.6)
    assert f"unit {int(tau.argmax())} with" in figure.reading
    unbounded = price(layer(timescales=np.where(tau > 20, np.inf, tau)))
    assert unbounded.picture.count("<circle") == (tau <= 20).sum()
    assert price(layer(sensitivity=None)) is None and price(layer(timescales=np.full(24, np.inf))) is None


# --- stable ranks ---------------------------------------------------------------------------------------------------


def test_ranks_are_those_that_were_measured():
    figure = singular(layer())
    assert [row[-1] for row in figure.numbers] == ["7.5", "3.25", "1.5"]
    assert "7.5 over 1 step, 1.5 over 40 steps" in figure.reading and "Exact" in figure.expert
    guessed = singular(layer(singular_exact=False))
    assert "lower bound" in guessed.expert and "estimated" in guessed.picture
    assert [row[-1] for row in singular(layer(stable_rank=None)).numbers] == ["none"] * 3
    assert [row[-1] for row in singular(layer(stable_rank=[2.0, None, 1.0])).numbers] == ["2", "none", "1"]


# --- the state reset ------------------------------------------------------------------------------------------------


def test_the_reset_is_drawn_beside_the_use_curve():
    figure = use(layer())
    assert "costs 20 % of the way to chance" in figure.reading
    assert figure.numbers[-1] == ["states set back half way", "0.1", "0.2", "0.3"]
    assert "All states set back once, half way" in figure.picture
    dot = float(re.search(r'cx="([\d.]+)" cy="[\d.]+" r="5.5"', figure.picture).group(1))
    ends = re.search(r'<line x1="([\d.]+)" y1="[\d.]+" x2="([\d.]+)" y2="[\d.]+" class="whisker s1"', figure.picture)
    low, high = map(float, ends.groups())
    assert dot == pytest.approx((low + high) / 2, abs=0.02)


def test_a_reset_without_effect_says_so_and_one_sequence_has_no_whisker():
    figure = use(layer(reset={"low": -0.1, "middle": 0.02, "high": 0.1}))
    assert "shows no effect" in figure.reading and "dot s1 hollow" in figure.picture
    figure = use(layer(reset={"low": None, "middle": 0.4, "high": None}))
    assert "whisker" not in figure.picture and figure.numbers[-1][1:] == ["none", "0.4", "none"]
    figure = use(layer(reset={"low": 0.1, "middle": 0.2, "high": 0.3, "unit": "loss"}))
    assert "costs +0.2 in loss" in figure.reading and "loss added" in figure.picture
    without = use(layer(reset=None))
    assert "set back" not in without.picture and without.numbers[-1][0] == "60"
    assert use(layer(reset=None, use_lags=None, use_loss=None)) is None
    alone = use(layer(use_lags=None, use_loss=None))
    assert "set back" in alone.picture and "context kept, steps" not in alone.picture


def test_when_only_all_of_the_context_is_enough_it_is_said():
    horizons = made.record().facts["horizons"] | {"used": {"lag": 60}}
    assert "Only all of it, 60 steps, comes within 1 %" in use(layer(horizons=horizons)).reading


# --- sequences behind a cell ------------------------------------------------------------------------------------------


def test_what_is_said_of_sequences_is_true():
    said = ablation_rows.summary(np.array([0.0, 0.0, 3.0, -1.0, np.nan] + [0.0] * 16))
    assert said == {"tried": 20, "lose": 1, "mean": 0.1, "tenth": 2, "worst": 1.5}
    assert ablation_rows.summary(np.full(4, -1.0))["worst"] is None


def test_sequences_are_kept_by_what_they_lose():
    effects = np.array([0.3, np.nan, -0.1, 0.2])
    assert ablation_rows.kept(effects).tolist() == [2, 3, 0]
    many = np.random.default_rng(0).normal(size=5000)
    chosen = ablation_rows.kept(many)
    assert len(chosen) == 256 and {many.argmin(), many.argmax()} <= set(chosen.tolist())
    assert (np.diff(many[chosen]) >= 0).all()


def test_cells_carry_their_sequences_only_where_the_record_does():
    drawn = ablation(layer()).after
    data = json.loads(re.search(r"sequences-data\">(.*?)</script>", drawn).group(1))
    assert data["unit"] == "share" and len(data["cells"]) == 4 * len(made.KINDS)
    cell, rows = data["cells"]["1-2"], made.record().arrays["ablation_rows"][1, 2]
    assert cell["gate"] == "f" and cell["sequences"] == [*range(1, 16)]
    assert cell["effects"][-1] == pytest.approx(rows[15], rel=5e-3) and cell["worst"] == 1.0
    assert ablation(layer(ablation_rows=None)).after == ""
    wrong = made.record()
    wrong.arrays["ablation_rows"] = np.zeros((4, 3, 9))  # of other kinds than the matrix
    assert ablation(Layer(wrong)).after == ""

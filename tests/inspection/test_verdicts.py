"""Which verdicts a Record's numbers give: every rule reached with its own numbers, and none where they are lacking."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from headgate.inspection import gate_rules, rules
from headgate.inspection.bootstrap import LOSS, SHARE
from headgate.inspection.record import Record
from headgate.inspection.thresholds import Thresholds
from headgate.inspection.verdicts import as_facts, judge

K, H = 101, 4
NEEDED, FREE = (0.1, 0.2, 0.3), (-0.1, 0.0, 0.1)  # what something costs: beyond doubt, or not
LAGS = np.arange(K)
GATES = ("i", "f")


def record(**changes) -> Record:
    """A healthy layer in float32, of sequences of 101 steps: r(k) = 10^(-k/100), units that keep for 10 to 200 steps,
    gates that move and matter, a loss that a memory of 50 steps makes worse. `changes` go to the facts or the arrays,
    whichever know the name; None leaves one out."""
    facts = {
        "needs_lag": 50,
        "tbptt": None,
        "dtype": "float32",
        "floor": -37.9,
        "steps": K,
        "gates": list(GATES),
        "loss": {"value": 0.5, "chance": 1.0},
        "lyapunov": {"largest": -0.01},
        "horizons": {"trainable": {"measured": K - 1}, "used": {"allowed": 0.05}},
        "truncation": None,
        "ablation_kinds": ["mean", "zero", "shuffle rows"],
        "ablation_unit": SHARE,
    }
    arrays = {
        "lags": LAGS,
        "lag_profile": np.tile(-LAGS / 100, (3, 1)),
        "rest_profile": -LAGS / 50,
        "largest_entry": -1 - LAGS / 100,
        "jacobian_norm": np.tile(np.full(K, 5.0), (3, 1)),
        "timescales": np.array([10.0, 20.0, 40.0, 200.0]),
        "gate_deviation": np.ones((2, H)),
        "saturated_low": np.zeros((2, H)),
        "saturated_high": np.zeros((2, H)),
        "ablation": np.tile([0.2, 0.3, 0.4], (2, 3, 1)),
        "use_lags": np.array([1, 50, 51, 101]),
        "use_loss": np.array([NEEDED, NEEDED, FREE, FREE]),
    }
    for name, value in changes.items():
        home = arrays if name in arrays else facts
        assert name in home, name
        if value is None:
            home[name] = None
            if home is arrays:
                del arrays[name]
        else:
            home[name] = value
    return Record("l0", facts, arrays)


def profile(slope: float, last: int = K) -> np.ndarray:
    """A fade by so many decades a step, in all three rows; nothing beyond a lag."""
    return np.tile(np.where(last >= LAGS, slope * LAGS, np.nan), (3, 1))


def dead_from(lag: int) -> dict:
    return {"horizons": {"trainable": {"measured": K - 1, "dead": lag}, "used": {"allowed": 0.05}}}


SHORT = np.full(H, 10.0)
WORSE, BETTER = {"value": 1.0, "chance": 1.0}, {"value": 0.1, "chance": 1.0}
# By what sequences they are, a model that knows nothing can lie a fifth below chance; an interval tells.
LUCKY = {"value": 0.8, "chance": 1.0, "gain": {"low": -0.1, "middle": 0.2, "high": 0.5}}
SURE = {"value": 0.95, "chance": 1.0, "gain": {"low": 0.02, "middle": 0.05, "high": 0.08}}
ALONE = {"value": 0.95, "chance": 1.0, "gain": {"low": None, "middle": 0.05, "high": None}}
UNUSED = {"use_loss": np.array([NEEDED, FREE, FREE, FREE])}
ONE_ROW = {"use_loss": np.array([[np.nan, 0.2, np.nan]] * 4)}
NOT_RUN = {"use_lags": None, "use_loss": None}
WEAK = {"lag_profile": profile(-0.1)}


def held(mean, shuffled):
    """What holding gate f costs; gate i matters in every way."""
    return {"ablation": np.array([[NEEDED] * 3, [mean, NEEDED, shuffled]])}


CONSTANT = {"gate_deviation": np.array([[1.0] * H, [0.0, 0.0, 0.0, 1.0]]),
            "saturated_high": np.array([[0.0] * H, [1.0, 1.0, 1.0, 0.0]])}  # fmt: skip
# What is changed of a healthy layer, and which verdicts, with their level, there are then.
CASES = {
    "healthy": ({}, {"REMEMBERS": "good"}),
    "no need": ({"needs_lag": None}, {"NEED UNKNOWN": "note"}),
    "weak": ({"lag_profile": profile(-0.1), "loss": WORSE}, {"VANISHING": "warn"}),
    "strong": ({"lag_profile": profile(-0.2), "loss": WORSE}, {"VANISHING": "bad"}),
    "weak, and better than chance": ({**WEAK, "loss": BETTER}, {}),
    "weak, and better by which sequences they are": ({**WEAK, "loss": LUCKY}, {"VANISHING": "warn"}),
    "weak, and better by a little, beyond doubt": ({**WEAK, "loss": SURE}, {}),
    "weak, and better by a little in one sequence": ({**WEAK, "loss": ALONE}, {"VANISHING": "warn"}),
    "weak, and better by what is nearer": ({**WEAK, "loss": SURE, **UNUSED}, {"VANISHING": "warn"}),
    "weak, better, and of one sequence nothing tells what it uses": ({**WEAK, "loss": BETTER, **ONE_ROW}, {}),
    "weak, without a loss": ({**WEAK, "loss": {}, **NOT_RUN}, {"VANISHING": "note"}),
    "weak, without chance": ({**WEAK, "loss": {"value": 1.0, "chance": None}, **NOT_RUN}, {"VANISHING": "note"}),
    "weak, without chance, unused": ({**WEAK, "loss": {"value": 1.0, "chance": None}, **UNUSED},
                                     {"VANISHING": "warn"}),
    "weak, without chance, used": ({**WEAK, "loss": {"value": 1.0, "chance": None}}, {}),
    "can, but does not": (UNUSED, {"COULD REMEMBER": "note"}),
    "used, but not what the first step that is read lacks": ({"horizons": {"trainable": {"measured": K - 1},
                                                                           "used": {"judged": 51}}},
                                                             {"COULD REMEMBER": "note"}),
    "used, but no cut is far enough": ({"horizons": {"trainable": {"measured": K - 1}, "used": {"judged": None}}},
                                       {"COULD REMEMBER": "note"}),
    "can, and uses next to nothing of it": ({"use_loss": np.array([NEEDED, (0.04, 0.06, 0.08), FREE, FREE])},
                                            {"COULD REMEMBER": "note"}),
    "can, and has learnt nothing": ({"loss": LUCKY}, {"COULD REMEMBER": "note"}),
    "can, and has learnt a little": ({"loss": SURE}, {"REMEMBERS": "good"}),
    "can, of one sequence": (ONE_ROW, {"COULD REMEMBER": "note"}),
    "can, not tried": (NOT_RUN, {"COULD REMEMBER": "note"}),
    "can, not tried there": ({"use_lags": np.array([1, 49, 51, 101])}, {"COULD REMEMBER": "note"}),
    "beyond the data": ({"needs_lag": K}, {"NEED BEYOND DATA": "warn"}),
    "as far as the data": ({"needs_lag": K - 1}, {"COULD REMEMBER": "note"}),
    "decorative": (held(FREE, FREE), {"REMEMBERS": "good", "DECORATIVE": "note"}),
    "not by its mean": (held(NEEDED, FREE), {"REMEMBERS": "good"}),
    "not by another row's": (held(FREE, NEEDED), {"REMEMBERS": "good"}),
    "decorative, of one sequence": (held(FREE, (np.nan, 0.0, np.nan)), {"REMEMBERS": "good"}),
    "decorative, and it stands still": ({**held(FREE, FREE), "gate_deviation": np.array([[1.0] * H, [0.05] * H])},
                                        {"REMEMBERS": "good"}),
    "decorative, in a loss's own unit": ({**held(FREE, FREE), "ablation_unit": LOSS,
                                          "loss": {"value": 0.5, "chance": None}},
                                         {"REMEMBERS": "good", "DECORATIVE": "note"}),
    "decorative, where nothing was learnt": ({**held(FREE, FREE), "ablation_unit": LOSS}, {"REMEMBERS": "good"}),
    "exactly nothing at the need": ({"lag_profile": profile(-0.01, 49), "loss": WORSE}, {"VANISHING": "bad"}),
    "too short for the need": ({"lag_profile": profile(-0.01, 49), "loss": WORSE,
                                "horizons": {"trainable": {"measured": 49}, "used": {}}}, {}),
    "a record of earlier days": ({"lag_profile": profile(-0.01, 49), "loss": WORSE,
                                  "horizons": {"trainable": {}, "used": {}}}, {}),
    "short": ({"timescales": SHORT, "rest_profile": -LAGS / 10}, {"SHORT MEMORY BY DESIGN": "warn"}),
    "short, the highway alone": ({"timescales": SHORT, "rest_profile": np.full(K, np.nan)},
                                 {"SHORT MEMORY BY DESIGN": "warn"}),
    "short, but for its gates": ({"timescales": SHORT}, {}),
    "short by one unit less": ({"timescales": np.array([10.0, 10.0, 10.0, 51.0])}, {"REMEMBERS": "good"}),
    "without end": ({"timescales": np.array([10.0, 10.0, 10.0, np.inf])}, {"REMEMBERS": "good"}),
    "no highway": ({"timescales": None}, {}),
    "explodes": ({"lag_profile": profile(0.03)}, {"EXPLODING": "bad", "REMEMBERS": "good"}),
    "explodes, products unknown": ({"lag_profile": profile(0.03), "jacobian_norm": None},
                                   {"EXPLODING": "bad", "REMEMBERS": "good"}),
    "handed on": ({"lag_profile": profile(0.03), "jacobian_norm": profile(0.0)}, {"REMEMBERS": "good"}),
    "grows a little": ({"lag_profile": profile(0.01)}, {"REMEMBERS": "good"}),
    "grows by its exponent": ({"lyapunov": {"largest": 0.05}}, {"EXPLODING": "warn", "REMEMBERS": "good"}),
    "grows slowly": ({"lyapunov": {"largest": 0.03}}, {"REMEMBERS": "good"}),
    "exponents unknown": ({"lyapunov": None}, {"REMEMBERS": "good"}),
    "dead before the need": ({"largest_entry": -LAGS.astype(float), **dead_from(38)}, {"GRADIENT DEAD": "bad"}),
    "dead after the need": ({"largest_entry": -LAGS / 2, **dead_from(76)},
                            {"GRADIENT DEAD": "note", "REMEMBERS": "good"}),
    "dead at once": ({"largest_entry": np.where(LAGS < 9, -1.0, np.nan), **dead_from(9)}, {"GRADIENT DEAD": "bad"}),
    "cut": ({"tbptt": 49}, {"TBPTT-BLIND": "bad", "REMEMBERS": "good"}),
    "cut far enough": ({"tbptt": 50}, {"REMEMBERS": "good"}),
    "bent": ({"tbptt": 50, "truncation": 0.2}, {"TBPTT-BLIND": "warn", "REMEMBERS": "good"}),
    "capped": ({"dtype": "bfloat16", "needs_lag": 256},
               {"DTYPE-CAPPED": "warn", "SHORT MEMORY BY DESIGN": "note", "NEED BEYOND DATA": "warn"}),
    "capped beyond the need": ({"dtype": "bfloat16"}, {"REMEMBERS": "good"}),
    "constant": (CONSTANT, {"REMEMBERS": "good", "CONSTANT": "note"}),
}  # fmt: skip


def named(found) -> dict[str, str]:
    return {verdict.name: verdict.level for verdict in found}


@pytest.mark.parametrize(("changes", "expected"), CASES.values(), ids=CASES)
def test_what_follows_from_the_numbers(changes, expected):
    found = judge(record(**changes))
    assert named(found) == expected and len(found) == len(expected)
    assert all(verdict.number and verdict.rule and verdict.source and verdict.text.endswith(".") for verdict in found)
    facts = as_facts(found)
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts
    assert [fact["name"] for fact in facts] == [verdict.name for verdict in found]


RULES = ("gradient_dead", "vanishing", "exploding", "tbptt_blind", "need_unknown", "need_beyond", "dtype_capped",
         "short_memory", "remembers", "gate_constant", "gate_decorative")  # fmt: skip


@pytest.mark.parametrize("name", RULES)
def test_mutant_a_rule_that_says_nothing_is_noticed(name, monkeypatch):
    monkeypatch.setattr(gate_rules if name.startswith("gate") else rules, name, lambda *arguments, **more: None)
    assert any(named(judge(record(**changes))) != expected for changes, expected in CASES.values())


def number(name: str, **changes) -> str:
    (found,) = (verdict.number for verdict in judge(record(**changes)) if verdict.name == name)
    return found


def test_numbers_are_those_at_the_need():
    assert number("VANISHING", lag_profile=profile(-0.1), loss=WORSE) == "r(50) = 1e-5"
    assert number("VANISHING", lag_profile=profile(-0.01, 49), loss=WORSE) == "r(50) = 0"
    costs = "a memory of 50 steps costs 0.2 (0.1 to 0.3)"
    assert number("REMEMBERS") == f"r(50) = 0.32, longest time scale 200 steps, {costs}"
    endless = np.array([1.0, 1.0, 1.0, np.inf])
    assert number("REMEMBERS", timescales=endless) == f"r(50) = 0.32, longest time scale any number of steps, {costs}"
    assert number("COULD REMEMBER", **UNUSED) == "r(50) = 0.32, longest time scale 200 steps"
    assert number("DECORATIVE", **held(FREE, FREE)) == "shuffled 0 (-0.1 to 0.1), averaged 0 (-0.1 to 0.1)"
    assert number("NEED BEYOND DATA", needs_lag=120) == "N = 120, longest sequence 101 steps"
    alone = {"timescales": SHORT, "rest_profile": np.full(K, np.nan)}
    assert number("SHORT MEMORY BY DESIGN", **alone) == "longest time scale 10 steps, rest(50) = 0"
    assert number("GRADIENT DEAD", largest_entry=-LAGS.astype(float)) == "largest |dl/dm_(s-38)| = 1e-38"
    assert number("GRADIENT DEAD", largest_entry=np.where(LAGS < 9, -1.0, np.nan)) == "largest |dl/dm_(s-9)| = 0"
    assert number("EXPLODING", lag_profile=profile(0.03)) == "r(100) = 1000, norm of the Jacobians' product 1e5"
    assert number("EXPLODING", lag_profile=profile(0.03), jacobian_norm=None) == "r(100) = 1000"


def test_the_median_is_judged_and_not_the_band():
    band = np.stack([-LAGS / 5, -LAGS / 100, LAGS / 10.0])
    assert named(judge(record(lag_profile=band, loss=WORSE))) == {"REMEMBERS": "good"}


def test_lags_between_those_that_are_kept():
    kept = np.array([0, 10, 40, 60, 100])
    changes = {name: np.asarray(record().arrays[name])[..., kept] for name in ("rest_profile", "largest_entry")}
    changes |= {"lags": kept, "lag_profile": profile(-0.1)[:, kept], "jacobian_norm": profile(0.0)[:, kept]}
    assert number("VANISHING", **changes, loss=WORSE) == "r(50) = 1e-5"


def test_limits_are_the_users():
    limits = Thresholds(weak=0.5, strong=0.4, truncation=0.001, growth=1.01, cap_bfloat16=10, constant_units=0.9)
    found = judge(record(dtype="bfloat16", loss=WORSE, tbptt=50, truncation=0.01, **CONSTANT), limits)
    assert named(found) == {"VANISHING": "bad", "TBPTT-BLIND": "warn", "DTYPE-CAPPED": "warn"}


def test_words_on_the_whole_layer_come_before_words_on_gates():
    found = judge(record(needs_lag=None, **CONSTANT))
    assert [verdict.about for verdict in found] == ["", "f"]


def test_what_was_not_measured_is_not_judged():
    """A layer that no gradient reached, without gates, of which nothing else is known."""
    bare = record()
    for lacking in ("lag_profile", "jacobian_norm", "gate_deviation"):
        arrays = {name: value for name, value in bare.arrays.items() if name != lacking}
        expected = {} if lacking == "lag_profile" else {"REMEMBERS": "good"}
        assert named(judge(replace(bare, arrays=arrays))) == expected
    facts = {**bare.facts, "needs_lag": None, "horizons": {"trainable": {"missing": "no gradient came"}}}
    assert named(judge(Record("l0", facts, {"lags": LAGS}))) == {"NEED UNKNOWN": "note"}
    assert named(judge(Record("l0", {**facts, "needs_lag": 5}, {}))) == {}

"""Twice in a row before a word, once an epoch; and which rules look at what."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from headgate.inspection.alarms import Alarm, Alarms, Need, verdicts_on
from headgate.inspection.gates import LOGIT_EDGES
from headgate.inspection.glance import GateGlance, Glance
from headgate.inspection.thresholds import Thresholds, Verdict

BAD = Verdict("VANISHING", "bad", "Too little.", "r(9) = 1e-9", "r < 1e-7", "somebody")
NOTE = dataclasses.replace(BAD, name="NEED UNKNOWN", level="note")
CONSTANT = dataclasses.replace(BAD, name="CONSTANT", level="note", about="f")


def told(alarms, *looks, layer="l0"):
    """At which looks something was told."""
    return [step for step, verdicts in enumerate(looks) if alarms.hear(step, layer, verdicts)]


@pytest.mark.parametrize(
    ("looks", "expected"),
    [
        ([[BAD]], []),
        ([[BAD], [BAD]], [1]),
        ([[BAD], [BAD], [BAD], [BAD]], [1]),
        ([[BAD], [], [BAD], [], [BAD]], []),
        ([[BAD], [], [BAD], [BAD]], [3]),
        ([[NOTE], [NOTE], [NOTE]], []),
        ([[CONSTANT]] * 8, [5]),
        ([[CONSTANT]] * 5 + [[BAD]] + [[CONSTANT]] * 5, []),
        ([[BAD], [CONSTANT], [BAD, CONSTANT], [BAD]], [3]),
    ],
)
def test_twice_in_a_row_before_a_word_and_then_no_more(looks, expected):
    assert told(Alarms(), *looks) == expected


def test_the_count_can_be_set():
    assert told(Alarms(in_a_row=1), [BAD]) == [0]
    assert told(Alarms(in_a_row=3), [BAD], [BAD], [BAD]) == [2]


def test_what_still_holds_is_told_again_in_the_next_epoch():
    alarms = Alarms()
    assert told(alarms, [BAD], [BAD], [BAD]) == [1]
    alarms.start_epoch()
    assert told(alarms, [BAD], [BAD]) == [0]


def test_layers_and_what_a_verdict_is_about_are_kept_apart():
    alarms = Alarms()
    one, other = (dataclasses.replace(BAD, about=about) for about in "fo")
    assert told(alarms, [BAD], layer="l0") == told(alarms, [BAD], layer="l1") == []
    assert told(alarms, [one], layer="l2") == told(alarms, [other], layer="l2") == []
    assert told(alarms, [one, other], [one, other], layer="l2") == [0, 1], "o now for the second time, then f"


def test_a_checkpoint_keeps_the_count():
    one, other = Alarms(), Alarms()
    one.hear(0, "l0", [BAD])
    other.load_state_dict(one.state_dict())
    assert told(other, [BAD]) == [0]
    again = Alarms()
    again.load_state_dict(other.state_dict())
    assert told(again, [BAD], [BAD]) == []


def test_an_alarm_says_everything_and_comes_back_from_its_facts():
    alarm = Alarm(800, "encoder.lstm.l0", BAD)
    words = str(alarm)
    assert words.startswith("step 800, encoder.lstm.l0: VANISHING: Too little. ")
    assert all(part in words for part in (BAD.number, BAD.rule, BAD.source))
    assert Alarm.from_facts(alarm.as_facts()) == alarm
    assert {"step", "name", "text"} <= alarm.as_facts().keys()
    assert str(Alarm(800, "", BAD)).startswith("step 800: VANISHING")


# --- which rules look at what -----------------------------------------------------------------------------------


def gate(deviation=1.0, high=0.0, H=4):
    whole = np.ones(H)
    return GateGlance(0 * whole, high * whole, deviation * whole, np.zeros(len(LOGIT_EDGES) - 1, dtype=int), 0.0, 0.0)


HEALTHY = Glance(
    "l0",
    lags=np.arange(101),
    profile=-0.01 * np.arange(101),
    largest_entry=-2 - 0.01 * np.arange(101),
    highway_share=np.ones(101),
    timescales=np.array([3.0, 160.0]),
    gates={"f": gate()},
)
FADED = dataclasses.replace(HEALTHY, profile=-0.1 * np.arange(101), largest_entry=-2 - 0.1 * np.arange(101))
NEED = Need(lag=90, chance=0.162)

CASES = {
    "healthy": (HEALTHY, NEED, 0.15, []),
    "vanished": (FADED, NEED, 0.15, ["VANISHING"]),
    "vanished-but-learning": (FADED, NEED, 0.01, []),
    "vanished-no-loss": (FADED, NEED, None, ["VANISHING"]),
    "vanished-no-need": (FADED, Need(), 0.15, []),
    "dead": (dataclasses.replace(HEALTHY, largest_entry=-0.5 * np.arange(101)), Need(lag=90), None, ["GRADIENT DEAD"]),
    "exploding": (dataclasses.replace(HEALTHY, profile=0.02 * np.arange(101)), Need(), None, ["EXPLODING"]),
    "truncated": (HEALTHY, Need(lag=90, tbptt=50), None, ["TBPTT-BLIND"]),
    "capped": (dataclasses.replace(HEALTHY, dtype=torch.bfloat16), Need(lag=300), None, ["DTYPE-CAPPED"]),
    "no-gates": (dataclasses.replace(HEALTHY, dtype=torch.bfloat16, gates={}), Need(lag=300), None, []),
    "constant": (dataclasses.replace(HEALTHY, gates={"i": gate(), "f": gate(0.01, 1.0)}), Need(), None, ["CONSTANT"]),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_every_rule_is_asked(case):
    glance, need, loss, expected = case
    assert [verdict.name for verdict in verdicts_on(glance, need, loss)] == expected


def test_the_cases_can_fail():
    """With thresholds moved, a healthy layer is not."""
    limits = Thresholds(weak=0.5, strong=0.4)
    assert [v.name for v in verdicts_on(HEALTHY, NEED, 0.15, limits)] == ["VANISHING"]


def test_a_need_beyond_the_sequences_is_not_judged():
    assert verdicts_on(FADED, Need(lag=101, chance=0.162), 0.15) == []


def test_explosion_is_told_with_its_lag():
    profile = np.array([0.0, 1.0, 2.0, math.nan])
    few = dataclasses.replace(HEALTHY, lags=np.arange(4), profile=profile, largest_entry=profile)
    assert verdicts_on(few, Need())[0].number == "r(2) = 100"

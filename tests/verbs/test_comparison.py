"""Several cells side by side."""

from __future__ import annotations

import json
import os

import pytest
from training import tiny_task

import headgate as hg
from headgate.training.bench_run import Run
from headgate.training.children import LearnerDied, alone
from headgate.verbs import comparison


@pytest.fixture
def at_once(monkeypatch):
    """In this process, where the tiny task is known."""
    monkeypatch.setattr(comparison, "alone", lambda work, *arguments: (work(*arguments), 5_000_000))


@pytest.fixture
def data(tmp_path):
    return tiny_task.write(tmp_path / "signs.tiny")


def quick(data, out, **more):
    given = {"cells": ("lstm", "rnn"), "seeds": (0, 1), "epochs": 2} | more
    return hg.compare(data, "tiny", out=out, **given)


def test_cells_of_as_many_parameters(data, tmp_path, at_once):
    said = []
    found = quick(data, tmp_path / "out", say=said.append)
    lstm, rnn = found["cells"]["lstm"], found["cells"]["rnn"]
    assert lstm["hidden_size"] == 6 < rnn["hidden_size"] and abs(lstm["parameters"] / rnn["parameters"] - 1) < 0.15
    assert "matched by parameters" in said[0] and len(said) == 5
    for seed in (0, 1):
        run = Run.load(tmp_path / "out" / f"rnn-{seed}")
        assert run.config.chosen.learning.seed == seed
        assert rnn["score"]["values"][seed] == run.results["test"]["metrics"]["accuracy"]
    assert rnn["memory_bytes"]["mean"] == 5_000_000 and rnn["horizon"]["mean"] > 0
    assert json.loads((tmp_path / "out" / "results.json").read_text()) == found
    assert "| rnn | " in (tmp_path / "out" / "table.md").read_text()


def test_the_same_steps_and_the_same_time(data, tmp_path, at_once):
    quick(data, tmp_path / "steps", matched="steps", watch=False, patience=1, epochs=4)
    steps = [Run.load(tmp_path / "steps" / f"{cell}-0").history[-1]["step"] for cell in ("lstm", "rnn")]
    assert steps[0] == steps[1] == 24
    found = quick(data, tmp_path / "time", matched="time", watch=False)
    assert {one["hidden_size"] for one in found["cells"].values()} == {6}
    minutes = Run.load(tmp_path / "time" / "rnn-1").config.minutes
    assert minutes == pytest.approx(found["cells"]["lstm"]["seconds"]["mean"] / 60)
    assert found["cells"]["lstm"]["horizon"]["mean"] is None


def test_an_interval_is_students():
    """Of 1, 2, 3: the mean 2, its standard error 1 / sqrt 3, and 4.3027 of them for two degrees of freedom."""
    assert comparison.summary([1, 2, 3])["interval"] == pytest.approx(4.302652729911275 / 3**0.5)
    assert comparison.summary([4]) == {"mean": 4, "interval": None, "values": [4]}
    assert comparison.summary([None])["mean"] is None


@pytest.mark.parametrize(
    ("more", "words"),
    (
        ({"matched": "luck"}, "matched='luck'"),
        ({"cells": ()}, "cells=[]"),
        ({"seeds": (1, 1)}, "seeds=[1, 1]"),
        ({"cells": ("lstm", "ltsm")}, "did you mean 'lstm'"),
        ({"epohs": 1}, "did you mean 'epochs'"),
    ),
    ids=str,
)
def test_what_cannot_be_meant(data, tmp_path, more, words):
    with pytest.raises((ValueError, KeyError)) as refused:
        quick(data, tmp_path / "out", **more)
    assert words in str(refused.value) and not (tmp_path / "out").exists()


def test_a_process_of_its_own():
    value, memory = alone(list, "abc")
    assert value == ["a", "b", "c"] and memory > 50_000_000
    with pytest.raises(LearnerDied, match="ended without an answer"):
        alone(os._exit, 9)

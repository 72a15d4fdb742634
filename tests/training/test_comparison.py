"""Who takes part, which trials there are, and how their outcomes become a run folder."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from training.small import TINY, own_cell

from headgate.inspection import Record
from headgate.training.comparison import contestants, gather, plan
from headgate.training.model_folder import ModelFolder
from headgate.training.run_folder import RunFolder

RECIPES = {"adding": TINY, "digits": TINY}


def outcome(trial) -> SimpleNamespace:
    """What a trial would leave, made up from its own facts so that mix-ups show."""
    mark = f"{trial.task} {trial.key} {trial.seed}"
    records = {
        moment: Record(f"{mark} {moment}", {}, {"lengths": np.arange(3)}) for moment in ("default", "before", "after")
    }
    return SimpleNamespace(
        task={"name": trial.task},
        machine={"torch": "2"},
        facts={"task": trial.task, "cell": trial.key, "seed": trial.seed, "mark": mark},
        records=records,
        model=ModelFolder(trial.task, "gru", 2, trial.seed, 1, {"weight": torch.arange(2.0)}),
    )


def test_the_classical_three_take_part_and_more_by_name_or_file(tmp_path):
    found = contestants(["peephole_lstm", own_cell(tmp_path)])
    assert [each.key for each in found] == ["rnn", "gru", "lstm", "peephole_lstm", "own"]
    assert [each.label for each in found] == ["RNN", "GRU", "LSTM", "LSTM(peephole=True)", "Own"]
    facts = json.loads(json.dumps(found[-1].facts()))
    assert facts["gates"] == ["f", "n"] and facts["equations"] and facts["paper"] == "A leaky unit."
    assert found[2].facts()["keeps"] == "f" and found[0].facts()["gates"] == []


def test_two_files_may_use_one_name(tmp_path):
    first, second = tmp_path / "a", tmp_path / "b"
    first.mkdir(), second.mkdir()
    found = contestants([own_cell(first), own_cell(second)])
    assert [each.key for each in found[3:]] == ["own", "own_2"]
    assert len({each.label for each in found}) == 5


def test_a_cell_takes_part_once():
    with pytest.raises(ValueError, match="the cell 'lstm' takes part already"):
        contestants(["lstm"])


def test_every_cell_gets_every_task_and_seed_and_long_ones_go_first():
    trials = plan(contestants(), 5, 3, RECIPES)
    assert len({(t.task, t.key, t.seed) for t in trials}) == len(trials) == 18
    assert {t.seed for t in trials} == {5, 6, 7}
    assert [t.key for t in trials] == ["gru"] * 6 + ["rnn"] * 6 + ["lstm"] * 6


def test_gathering_does_not_tell_who_ran_first(tmp_path):
    participants = contestants()
    trials = plan(participants, 0, 2, RECIPES)
    one = gather(participants, trials, [outcome(t) for t in trials], "1", "headgate demo")
    back = trials[::-1]
    other = gather(participants, back, [outcome(t) for t in back], "1", "headgate demo")
    assert one.results == other.results
    assert [t["mark"] for t in one.results["trials"]][:3] == ["adding rnn 0", "adding rnn 1", "adding gru 0"]
    for trial in one.results["trials"]:
        assert one.records[trial["record"], "after"].name == f"{trial['mark']} after"


def test_a_run_folder_comes_back_as_it_was(tmp_path):
    participants = contestants()
    trials = plan(participants, 0, 1, RECIPES)
    run = gather(participants, trials, [outcome(t) for t in trials], "1", "headgate demo")
    loaded = RunFolder.load(run.save(tmp_path / "run"))
    assert loaded.results == run.results and set(loaded.records) == set(run.records)
    key = ("digits/gru/0", "before")
    assert loaded.records[key].name == run.records[key].name
    np.testing.assert_array_equal(loaded.records[key].arrays["lengths"], run.records[key].arrays["lengths"])
    model = ModelFolder.load(tmp_path / "run" / "models" / "digits/gru/0")
    assert (model.task, model.hidden_size, model.weights["weight"].tolist()) == ("digits", 2, [0.0, 1.0])


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"holds no results\.json"):
        RunFolder.load(tmp_path)
    (tmp_path / "results.json").write_text('{"schema": 99}')
    with pytest.raises(ValueError, match="was not written by this version of headgate"):
        RunFolder.load(tmp_path)

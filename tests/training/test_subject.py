"""What there is to look at: a trial's model through a run's folder to the watch, and a user's own module."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
import torch
from training.small import TINY, own_cell, trial

from headgate import tasks
from headgate.inspection.examination import examine
from headgate.training.experiment import run
from headgate.training.loop import evaluate
from headgate.training.model_folder import ModelFolder
from headgate.training.run_folder import RunFolder
from headgate.training.subject import BATCHES, ROWS, of_module, of_run


@pytest.fixture(scope="module")
def outcome():
    return run(trial())


@pytest.fixture(scope="module")
def folder(outcome, tmp_path_factory):
    """A run's folder as `headgate demo` leaves it, of one trial."""
    place = "digits/lstm/0"
    records = {(place, moment): record for moment, record in outcome.records.items()}
    results = {"trials": [{**outcome.facts, "record": place}]}
    return RunFolder(results, records, {place: outcome.model}).save(tmp_path_factory.mktemp("run"))


def test_an_outcome_carries_the_model_as_it_was_after_training(outcome):
    model = outcome.model
    assert (model.task, model.cell, model.seed, model.steps) == ("digits", "lstm", 0, TINY.steps)
    assert model.hidden_size == outcome.facts["hidden_size"]
    measured = evaluate(model.network(), tasks.get("digits"), "test")
    assert measured == pytest.approx(outcome.facts["measured"])
    # A mutant: other weights are judged otherwise.
    other = run(trial(seed=1)).model
    assert evaluate(other.network(), tasks.get("digits"), "test") != pytest.approx(outcome.facts["measured"])


def test_it_goes_through_the_runs_folder_to_be_looked_at(outcome, folder):
    (subject,) = of_run(folder)
    digits = tasks.get("digits")
    assert (subject.name, subject.needs_lag, subject.train_length) == ("digits-lstm", digits.needs_lag, digits.length)
    assert subject.chance == digits.baseline()["loss"] and not subject.own and not subject.model.training
    for name, value in outcome.model.weights.items():
        assert torch.equal(subject.model.state_dict()[name], value)
    assert len(subject.batches) == BATCHES and sum(batch.input.shape[1] for batch in subject.batches) == ROWS
    seen = digits.held_out()
    whole = torch.cat([batch.input for batch in subject.batches], 1)
    assert torch.equal(whole, seen.input[:, :ROWS])
    each = torch.cat([subject.losses(subject.model, batch) for batch in subject.batches]).detach()
    answers = subject.model(seen.input[:, :ROWS])
    assert float(each.mean()) == pytest.approx(digits.loss(answers, seen.target[:, :ROWS]).item())


def test_what_the_watch_finds_of_it_is_what_the_trial_found(outcome, folder):
    """The same weights, the same sequences as far as both look: the same gradient by lag."""
    (subject,) = of_run(folder)
    found = examine(subject.model, subject.batches, subject.losses, causes=False, dynamics=False, rows=48)
    (record,) = found.records.values()
    json.dumps(record.facts, allow_nan=False)
    assert record.facts["rows"] == 32 and len(outcome.records["after"].arrays["lengths"]) == 48

    def gap(moment: str) -> float:
        return np.abs(record.arrays["lag_profile"][1] - outcome.records[moment].arrays["lag_profile"][1]).max()

    # The median of 32 rows is near that of 48, and far from that of the weights torch.nn would begin with.
    assert gap("after") < 0.2 < gap("default")


def test_a_run_of_several_is_read_one_by_one(outcome, tmp_path):
    places = ("digits/gru/0", "digits/lstm/10", "digits/lstm/9", "adding/lstm/0")
    for place in places:
        outcome.model.save(tmp_path / "models" / place)
    (tmp_path / "models" / "digits" / "lstm" / "notes.txt").write_text("mine\n")
    assert [subject.name for subject in of_run(tmp_path)] == ["adding-lstm", "digits-gru", "digits-lstm"]
    (subject,) = of_run(tmp_path / "models" / "digits" / "lstm" / "10")
    assert subject.name == str(tmp_path / "models" / "digits" / "lstm" / "10")


def test_a_run_with_a_cell_of_ones_own(tmp_path):
    outcome = run(trial(cell=own_cell(tmp_path)))
    RunFolder({"trials": []}, {}, {"digits/own/0": outcome.model}).save(tmp_path / "run")
    (subject,) = of_run(tmp_path / "run")
    assert subject.name == "digits-own"
    assert subject.losses(subject.model, subject.batches[0]).shape == (ROWS // BATCHES,)


def test_folders_that_hold_none(tmp_path, outcome):
    with pytest.raises(ValueError, match="is no folder"):
        of_run(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="holds no model"):
        of_run(tmp_path)
    ModelFolder.save(outcome.model, tmp_path / "model")
    (tmp_path / "model" / "config.toml").unlink()
    with pytest.raises(ValueError, match="holds no model"):
        of_run(tmp_path / "model")


MODULE = """
import torch
from torch import nn

class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.GRU(2, 3, batch_first=True, dtype=torch.{dtype})

    def forward(self, x):
        return self.rnn(x)[0].sum((1, 2))

def build():
    return Model().train()

def pairs():
    for k in range(2):
        yield torch.ones(4, 5, 2) * k, torch.zeros(4)

class Given:
    def __call__(self):
        return [(torch.ones(4, 5, 2), torch.zeros(4))]

given = Given()
"""


@pytest.mark.parametrize("dtype", ("float32", "float64"))
def test_a_users_own_module(dtype, tmp_path, monkeypatch):
    name = f"subject_{dtype}"
    (tmp_path / f"{name}.py").write_text(MODULE.format(dtype=dtype))
    np.savez(tmp_path / "mine.npz", x=np.ones((4, 5, 2)), y=np.zeros(4))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    for data, count in ((f"{name}:pairs", 2), (f"{name}:given", 1), ("mine.npz", BATCHES)):
        subject = of_module(f"{name}:build", data)
        assert subject.name == f"{name}:build" and subject.own and not subject.model.training
        assert subject.chance is subject.needs_lag is subject.train_length is None
        assert len(subject.batches) == count
        losses = subject.losses(subject.model, subject.batches[-1])
        assert losses.dim() == 1 and losses.requires_grad and str(losses.dtype) == f"torch.{dtype}"
    examination = examine(subject.model, subject.batches, subject.losses, causes=False, dynamics=False)
    assert list(examination.records) == ["rnn.l0"]

"""`headgate watch`: a run's models and a user's own, what it writes and prints."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from cli.watched import STEPS, everything, model_folder, outcome, own, save_npz

from headgate import tasks
from headgate.cli import main, watch
from headgate.inspection import Record
from headgate.tasks import Batch
from headgate.training import subject

pytestmark = pytest.mark.usefixtures("few_rows")


def test_a_run_is_looked_at_model_by_model(run, here, capfd):
    code, out, error = outcome(capfd, run, "--no-causes", "--out", "deep/page.html", "--records", "kept")
    names = ["digits-lstm.rnn.l0", "digits-rnn.rnn.l0"]
    assert code == 0 and [line for line in error.splitlines() if line.startswith("looking at")] == [
        "looking at digits-lstm",
        "looking at digits-rnn",
    ]
    page = (here / "deep" / "page.html").read_text()
    assert all(name in page and name in out for name in names)
    assert "The page: deep/page.html" in out and "NEED UNKNOWN" in out
    assert sorted(p.name for p in (here / "kept").iterdir()) == names and sorted(everything(here / "deep")) == [
        "page.html"
    ]
    for name in names:
        record = Record.load(here / "kept" / name)
        assert record.name == name and record.facts["train_length"] == 64
        assert record.facts["loss"]["chance"] == tasks.get("digits").baseline()["loss"]
        json.dumps(record.facts, allow_nan=False)


def test_of_several_seeds_the_first_is_taken_as_numbers_go(run):
    found = subject.of_run(run)
    kept = {one.name: one.model.state_dict()["rnn.weight_ih_l0"] for one in found}
    assert torch.equal(kept["digits-lstm"], model_folder("digits", "lstm", 9).weights["rnn.weight_ih_l0"])


def test_one_models_folder_and_what_is_asked_reaches_the_verdicts(run, here, capfd):
    place = run / "models" / "digits" / "rnn" / "0"
    asked = ("--needs-lag", 60, "--tbptt", 20, "--chance", 0.5, "--no-causes", "--records", "kept")
    code, out, _ = outcome(capfd, place, *asked)
    facts = Record.load(here / "kept" / "rnn.l0").facts
    assert code == 0 and "rnn.l0" in (here / "watch.html").read_text()
    assert (facts["needs_lag"], facts["tbptt"], facts["loss"]["chance"]) == (60, 20, 0.5)
    assert facts["horizons"]["used"] == {"missing": "not asked for"}
    assert "rnn.l0: TBPTT-BLIND. " in out and "(N = 60, cut at 20; rule: N > truncation length)" in out
    assert "VANISHING" in out and "NEED UNKNOWN" not in out


def test_a_file_takes_the_place_of_the_runs_sequences(run, here, capfd):
    save_npz(here / "mine.npz")
    place = run / "models" / "digits" / "lstm" / "9"
    code, _, _ = outcome(capfd, place, "mine.npz", "--records", "kept", "--no-causes")
    assert code == 0 and Record.load(here / "kept" / "rnn.l0").facts["steps"] == STEPS


def test_answers_of_a_task_with_numbers_may_come_flat(here):
    place = model_folder("adding", "rnn").save(here / "model")
    for number, y in enumerate((np.ones(6), np.ones((6, 1)), np.ones((6, 1, 1)), np.ones(6, int))):
        (one,) = subject.of_run(place, save_npz(here / f"{number}.npz", y=y, features=2))
        target = one.batches[0].target
        assert list(target.shape) == [1, 3, 1] and target.dtype == torch.float32
        assert one.losses(one.model, one.batches[0]).shape == (3,)


def test_a_model_of_ones_own_with_a_file(here, capfd):
    name = own(here, "mine_file")
    save_npz(here / "mine.npz", features=2, y=np.linspace(0, 1, 6))
    given = ("--model", f"{name}:build", "--data", "mine.npz", "--records", "kept", "--needs-lag", 3)
    code, out, _ = outcome(capfd, *given)
    record = Record.load(here / "kept" / "encoder.l0")
    assert code == 0 and "encoder.l0" in out and "encoder.l0" in (here / "watch.html").read_text()
    assert record.facts["loss"]["rows"] == 6 and record.facts["needs_lag"] == 3 and "lag" in (
        record.facts["horizons"]["used"]
    )


def test_a_model_of_ones_own_with_losses_and_batches_of_any_kind(here, capfd):
    name = own(here, "mine_function")
    given = ("--model", f"{name}:with_losses", "--data", f"{name}:dictionaries", "--no-causes", "--records", "kept")
    assert outcome(capfd, *given)[0] == 0
    assert outcome(capfd, "--model", f"{name}:build", "--data", f"{name}:batches", "--no-causes")[0] == 0
    assert (here / "watch.html").is_file() and (here / "kept" / "encoder.l0").is_dir()


def test_the_same_seed_gives_the_same_page(run, here, capfd):
    place = run / "models" / "digits" / "rnn" / "0"
    for name, seed in (("a", 1), ("b", 1)):
        torch.manual_seed(len(name) + seed + torch.initial_seed() % 7)
        assert outcome(capfd, place, "--out", f"{name}.html", "--seed", seed)[0] == 0
    assert (here / "a.html").read_bytes() == (here / "b.html").read_bytes()


def test_an_earlier_page_stays_where_the_work_fails(run, here, capfd, monkeypatch):
    (here / "watch.html").write_text("earlier")

    def full(*arguments, **more):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(watch, "write_watch_report", full)
    code, out, error = outcome(capfd, run / "models" / "digits" / "rnn" / "0", "--no-causes", "--records", "kept")
    assert code == 2 and "cannot be written (No space left on device)" in error and out == ""
    assert everything(here) == {"watch.html"} and (here / "watch.html").read_text() == "earlier"


def test_a_fault_of_ours_is_not_called_the_users(run, here, monkeypatch):
    """Of a run everything is ours, so what nobody thought of shows where it happened."""

    def broken(*arguments, **more):
        raise IndexError("ours")

    monkeypatch.setattr(watch, "examine", broken)
    with pytest.raises(IndexError, match="ours"):
        main(["watch", str(run)])


# --- the file's own reading


def test_time_goes_first_only_where_it_is_asked_for(tmp_path):
    y = np.arange(6 * STEPS).reshape(6, STEPS)
    path = save_npz(tmp_path / "mine.npz", x=np.zeros((6, STEPS, 2), ">f8"), y=y)
    first, second = subject.read_npz(path, batch_first=True)
    assert list(first.input.shape) == [3, STEPS, 2] and first.input.dtype == torch.float32
    assert second.target[0].tolist() == y[3].tolist()
    first, _ = subject.read_npz(path, batch_first=False)
    assert list(first.input.shape) == [STEPS, 3, 2] and first.target[:, 0].tolist() == y[0].tolist()


def test_guessed_losses_are_those_of_each_sequence():
    """A mutant that takes the mean over sequences, or over the wrong axis, gives other numbers."""
    scores, classes = torch.tensor([[[2.0, 0.0]] * 3, [[0.0, 0.0]] * 3]), torch.zeros(2, 3, dtype=torch.long)
    expected = [float(torch.log1p(torch.exp(torch.tensor(-2.0)))), float(torch.log(torch.tensor(2.0)))]

    def guessed(batch, time_major):
        return subject.guessed_losses(torch.nn.Identity(), batch, time_major).tolist()

    assert guessed(Batch(scores, classes), False) == pytest.approx(expected)
    flipped = Batch(scores.transpose(0, 1), classes.T)
    assert guessed(flipped, True) == pytest.approx(expected)
    assert guessed(flipped, False) == pytest.approx([sum(expected) / 2] * 3)
    numbers = Batch(torch.tensor([[1.0], [2.0]]), torch.zeros(2))
    assert guessed(numbers, False) == [1.0, 4.0]

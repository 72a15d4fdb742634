"""`headgate.train`: what a run holds, what is said, and what is refused before anything is written."""

from __future__ import annotations

import dataclasses
import json
import math
import resource
import signal

import pytest
import torch
from safetensors.torch import load_file
from training import tiny_task
from verbs.conftest import EPOCHS

import headgate as hg
from headgate.data import DataError
from headgate.inspection import Record
from headgate.tasks.bench_task import RowLosses
from headgate.training import atomic, rate
from headgate.training.bench_run import Run
from headgate.training.lesson import Lesson


def quick(data, out, **more):
    return hg.train(data, "tiny", out=out, progress=False, **({"watch": False, "epochs": 2} | more))


@pytest.fixture
def data(tmp_path):
    return tiny_task.write(tmp_path / "signs.tiny")


def test_a_run_is_whole_and_has_learned(trained):
    data, run = trained
    names = "config.toml encoding.json events last.ckpt metrics.jsonl model.safetensors record report.html results.json"
    assert sorted(path.name for path in run.folder.iterdir()) == names.split()
    found = run.results["test"]
    assert found["metrics"]["accuracy"] > 0.95 > 0.8 > found["baseline"]["accuracy"]
    assert [line["epoch"] for line in run.history] == list(range(1, EPOCHS + 1))
    assert {"accuracy", "loss", "train_loss", "clipped", "rate", "seconds", "step"} <= run.history[0].keys()
    assert any(path.name.startswith("events.out.tfevents") for path in (run.folder / "events").iterdir())
    assert str(data) in (run.folder / "config.toml").read_text()


def test_the_page_shows_what_was_learned_and_how(trained):
    _, run = trained
    record = Record.load(run.folder / "record" / "rnn.l0")
    assert record.facts["needs_lag"] == 6 and "film" in record.arrays
    assert "rnn.l0" in (run.folder / "report.html").read_text()


def test_the_same_command_gives_the_same_numbers(data, tmp_path):
    first, second = (quick(data, tmp_path / name, noise=0.2) for name in "ab")
    other = quick(data, tmp_path / "c", noise=0.2, seed=1)
    weights = [load_file(run.folder / "model.safetensors") for run in (first, second, other)]
    assert all(torch.equal(weights[0][name], value) for name, value in weights[1].items())
    assert not all(torch.equal(weights[0][name], value) for name, value in weights[2].items())
    assert first.results == second.results


def test_watching_changes_no_number(data, tmp_path):
    seen, unseen = (quick(data, tmp_path / str(watch), watch=watch, noise=0.2) for watch in (True, False))
    weights = [load_file(run.folder / "model.safetensors") for run in (seen, unseen)]
    assert all(torch.equal(weights[0][name], value) for name, value in weights[1].items())


def test_what_is_guessed_and_found_is_said(data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = []
    run = hg.train(data, rate=None, epochs=1, watch=False, progress=False, say=said.append)
    assert said[0] == "The task: tiny, since its name ends in .tiny."
    assert "held out: validation, test" in said[1] and said[2].startswith("The learning rate, found: ")
    assert str(run.folder) == "runs/signs-tiny-1" and run.config.found_rate
    assert 1e-4 < run.config.chosen.learning.rate < 0.3
    again = hg.train(data, rate=None, epochs=1, watch=False, progress=False)
    assert str(again.folder) == "runs/signs-tiny-2" and again.config.chosen == run.config.chosen


def test_settings_go_where_they_belong(data, tmp_path):
    given = {"cell": "gru", "hidden_size": 5, "width": 2, "bend": "tanh", "schedule": "plateau", "zoneout": 0.1}
    chosen = Run.load(quick(data, tmp_path / "run", **given).folder).config.chosen
    assert (chosen.options.width, chosen.options.bend, chosen.options.noise) == (2, "tanh", None)
    assert (chosen.layers.cell, chosen.layers.hidden_size, dict(chosen.layers.switches)) == ("gru", 5, {"zoneout": 0.1})
    assert chosen.learning.schedule == "plateau"


@pytest.mark.parametrize(
    ("more", "words"),
    (
        ({"epohs": 3}, "has no setting 'epohs'; did you mean 'epochs'"),
        ({"peephol": True}, "did you mean 'peephole'"),
        ({"cell": "ltsm"}, "did you mean 'lstm'"),
        ({"cell": "gru", "peephole": True}, "with cell gru has no setting 'peephole'"),
        ({"bend": "sine"}, "bend='sine', but one of 'tanh', 'none' is needed"),
        ({"epochs": 0}, "epochs=0, but at least 1"),
        ({"epochs": 1.5}, "epochs=1.5, but a whole number"),
        ({"rate": -1.0}, "rate=-1.0, but a number above 0"),
        ({"optimiser": "adan"}, "optimiser='adan', but one of adam"),
        ({"holdout": 0.6}, "holdout=0.6"),
        ({"holdout": 0.0}, "none is held out to choose the best model by"),
        ({"hidden_size": 0}, "hidden_size must be greater than zero"),
        ({"devices": 0}, "devices=0"),
        ({"minutes": 0}, "minutes=0"),
        ({"width": "wide"}, "width='wide', but a whole number"),
    ),
    ids=str,
)
def test_what_cannot_be_meant_leaves_nothing(data, tmp_path, more, words):
    with pytest.raises((ValueError, KeyError), match=words):
        quick(data, tmp_path / "run", **more)
    assert not (tmp_path / "run").exists()


def test_places_that_hold_something_are_left_alone(data, tmp_path):
    quick(data, tmp_path / "run")
    with pytest.raises(ValueError, match="holds a run already"):
        quick(data, tmp_path / "run")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("precious")
    with pytest.raises(ValueError, match="holds other files"):
        quick(data, tmp_path / "mine")
    with pytest.raises(ValueError, match="is a file; give a folder"):
        quick(data, data)


def test_files_of_their_own_for_validation_and_test(data, tmp_path):
    other = tiny_task.write(tmp_path / "other.tiny", rows=11, seed=3)
    run = quick(data, tmp_path / "run", validation=other, test=other)
    assert run.results["validation"] == run.results["test"] and run.results["test"]["rows"] == 11
    data.unlink()
    with pytest.raises(ValueError, match="is gone"):
        hg.evaluate(run)
    assert hg.evaluate(run.folder, other)["metrics"] == run.results["test"]["metrics"]


def test_early_stopping_and_the_best_weights_are_kept(data, tmp_path, monkeypatch):
    scores = iter([0.5, 0.7, 0.6, 0.7, 0.1, 0.2])
    weights = []

    def judge(network, *_):
        weights.append(network.table.weight.detach().clone())
        return {"accuracy": next(scores), "loss": 1.0}

    with monkeypatch.context() as patch:
        patch.setattr(tiny_task.bench.get("tiny"), "evaluate", judge)
        with pytest.raises(StopIteration):  # what comes after training asks once more
            quick(data, tmp_path / "run", epochs=9, patience=4)
    run = Run.load(tmp_path / "run")
    assert len(run.history) == 6 and torch.equal(run.network().table.weight, weights[1])


@pytest.mark.parametrize(("patience", "epochs"), [(3, 2), (9, 9)], ids=["ends", "patient to the end"])
def test_a_score_that_cannot_get_better_ends_training(data, tmp_path, monkeypatch, patience, epochs):
    scores = iter([0.5, 0.95, *[1.0] * 20])
    task = tiny_task.bench.get("tiny")
    monkeypatch.setattr(task, "metrics", {"accuracy": dataclasses.replace(task.metrics["accuracy"], enough=0.9)})
    monkeypatch.setattr(task, "evaluate", lambda *_: {"accuracy": next(scores)})
    run = quick(data, tmp_path / "run", epochs=9, patience=patience)
    assert len(run.history) == epochs
    assert len(hg.train(run.folder, resume=True, progress=False).history) == epochs, "nor is there anything to go on to"


def test_a_plateau_quarters_the_rate(data, tmp_path, monkeypatch):
    monkeypatch.setattr(tiny_task.bench.get("tiny"), "evaluate", lambda *_: {"accuracy": 0.5, "loss": 1.0})
    run = quick(data, tmp_path / "run", epochs=4, schedule="plateau", rate=0.01)
    assert [line["rate"] for line in run.history] == [0.01, 0.01, 0.0025, 0.000625]


def test_the_schedule():
    learning = tiny_task.bench.get("tiny").learning
    rates = [rate.at(learning, step, 100, 0) for step in (0, 50, 99)]
    assert rates[0] == 0.01 and rates[1] == pytest.approx(0.005) and 0 < rates[2] < 1e-5
    warm = dataclasses.replace(learning, warmup=5, schedule="constant")
    assert [rate.at(warm, step, 100, 0) for step in (0, 4, 5, 99)] == pytest.approx([0.01 / 6, 0.05 / 6, 0.01, 0.01])
    # Of 20 steps, warm-up takes two at most.
    assert rate.at(warm, 2, 20, 0) == 0.01


def test_time_that_is_enough(data, tmp_path):
    run = quick(data, tmp_path / "run", epochs=10**6, minutes=0.01)
    assert 0.5 < run.history[-1]["seconds"] < 20 and run.results["test"]


def test_clipping_is_counted(data, tmp_path):
    assert quick(data, tmp_path / "all", clip=1e-6).history[0]["clipped"] == 1.0
    assert quick(data, tmp_path / "none", clip=0).history[0]["clipped"] == 0.0


def test_bfloat16(data, tmp_path):
    run = quick(data, tmp_path / "run", precision="bf16")
    assert run.network().head.weight.dtype == torch.float32 and math.isfinite(run.history[-1]["loss"])
    assert run.history != quick(data, tmp_path / "whole").history


# --- a loss that is not finite, a disk that is full


def test_a_loss_that_is_no_number_ends_training_and_keeps_the_best_model(data, tmp_path, monkeypatch):
    task = tiny_task.bench.get("tiny")
    losses, calls = task.losses, []

    def broken(network, batch, state=None):
        calls.append(1)
        found = losses(network, batch, state)
        return RowLosses(found.sums * (math.nan if len(calls) == 9 else 1.0), found.counts)

    monkeypatch.setattr(task, "losses", broken)
    with pytest.raises(FloatingPointError, match=r"the loss is nan at step 9; the best model so far is kept"):
        quick(data, tmp_path / "run")
    assert len(Run.load(tmp_path / "run").history) == 1 and Run.load(tmp_path / "run").network() is not None


def test_a_full_disk_loses_nothing(trained, tmp_path, monkeypatch):
    """Files larger than allowed cannot be written, as on a disk without room; what was there is as it was."""
    data = tiny_task.write(tmp_path / "signs.tiny")
    run = quick(data, tmp_path / "run", hidden_size=60, epochs=1)
    before = {path.name: path.read_bytes() for path in run.folder.iterdir() if path.is_file()}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
        ways = (lambda path: atomic.write_torch(path, torch.zeros(10_000)), lambda p: atomic.write(p, b"0" * 30_000))
        for write in ways:
            for name in ("last.ckpt", "model.safetensors"):
                with pytest.raises(OSError):
                    write(run.folder / name)
        with pytest.raises(OSError):
            quick(data, tmp_path / "other", hidden_size=60)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert {path.name: path.read_bytes() for path in run.folder.iterdir() if path.is_file()} == before
    assert not (tmp_path / "other" / "config.toml").exists()
    assert quick(data, tmp_path / "other", hidden_size=60).results["test"]


def test_a_disk_that_fills_up_while_training(data, tmp_path, monkeypatch):
    written, known = [], atomic.write

    def write(path, content):
        written.append(path)
        if len(written) > 12:
            raise OSError(28, "No space left on device", str(path))
        return known(path, content)

    monkeypatch.setattr(atomic, "write", write)
    with pytest.raises(OSError, match="No space left on device"):
        quick(data, tmp_path / "run", epochs=15)
    monkeypatch.undo()
    assert Run.load(tmp_path / "run").network() is not None
    resumed = hg.train(tmp_path / "run", resume=True, progress=False)
    assert resumed.history[-1]["accuracy"] == quick(data, tmp_path / "whole", epochs=15).history[-1]["accuracy"]


# --- data


@pytest.mark.parametrize(
    ("content", "words"),
    (
        (b"", "is empty"),
        (b"\0\1\2binary", "binary file"),
        (b"0110,yes\n01x0,no\n", "line 2: '01x0' holds other signs"),
        (b"0110,perhaps\n", "line 1: the answer is 'perhaps'"),
        (b"01\xff,no\n", "line 1, column 3: byte 0xff is not utf-8"),
        (b"0" * 20_000_000, "longer than"),
        (b"\x1f\x8bdamaged", "is damaged"),
    ),
    ids=("empty", "binary", "sign", "answer", "encoding", "long", "gzip"),
)
def test_bad_data_are_named_and_leave_nothing(tmp_path, content, words):
    path = tmp_path / "bad.tiny"
    path.write_bytes(content)
    with pytest.raises(DataError, match=words):
        quick(path, tmp_path / "run")
    assert sorted(tmp_path.iterdir()) == [path]


def test_lightning_calls_nothing_twice(data, tmp_path, monkeypatch):
    """Every row once an epoch: nothing is fetched twice or skipped at the borders of epochs."""
    seen, known = [], Lesson.training_step

    def step(self, batch, number):
        seen.append((self.standing.epoch, self.standing.batch, batch["signs"].shape[1]))
        return known(self, batch, number)

    monkeypatch.setattr(Lesson, "training_step", step)
    run = quick(data, tmp_path / "run", epochs=3)
    rows = json.loads((run.folder / "metrics.jsonl").read_text().splitlines()[0])["step"]
    assert [one[:2] for one in seen] == [(epoch, batch) for epoch in range(3) for batch in range(rows)]
    assert {epoch: sum(n for e, _, n in seen if e == epoch) for epoch in range(3)} == dict.fromkeys(range(3), 47)

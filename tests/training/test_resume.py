"""Training that was stopped, killed or cut short goes on to the very same numbers."""

from __future__ import annotations

import pickle
import random
import re
import shutil
import signal
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from training import sittings, tiny_task

from headgate.training import checkpoint, keeper, lesson, rate
from headgate.training.bench_run import Run
from headgate.training.children import Stopped
from headgate.verbs.training import train

KILLS, SEED = 20, 5
pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that nothing broke, with its data."""
    folder = tmp_path_factory.mktemp("whole")
    data = tiny_task.write(folder / "signs.tiny")
    train(data, "tiny", out=folder / "run", watch=True, progress=False, **sittings.SETTINGS)
    return data, folder / "run"


def numbers(run):
    """All that a run computed, times aside."""
    lines = [{name: value for name, value in line.items() if name != "seconds"} for line in Run.load(run).history]
    last = torch.load(run / "last.ckpt", weights_only=True)
    return lines, load_file(run / "model.safetensors"), last["network"], last["optimiser"]["state"]


def assert_the_same(one, other):
    found, expected = numbers(one), numbers(other)
    assert found[0] == expected[0]
    for mine, theirs in zip(found[1:3], expected[1:3], strict=True):
        assert mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)
    for k, state in expected[3].items():
        assert all(torch.equal(found[3][k][name], value) for name, value in state.items())


def until_it_learns(process, out, mark):
    """Wait for the first checkpoint of this sitting, so that a kill falls into training and not into its start."""
    began = time.monotonic()
    while process.is_alive() and marked(out) == mark and time.monotonic() - began < 120:
        time.sleep(0.002)


def seconds_to_learn(data, out):
    """What a sitting takes to its first checkpoint here: a constant would be a whole training on a quick machine."""
    began = time.monotonic()
    process = sittings.started(data, out, resume=True, watch=False)
    until_it_learns(process, out, None)
    took = time.monotonic() - began
    process.kill()
    process.join()
    return took


def marked(out):
    path = out / "last.ckpt"
    return path.stat().st_mtime_ns if path.exists() else None


def standing(out):
    return torch.load(out / "last.ckpt", weights_only=True)["standing"]


def test_kill_at_random_moments(whole, tmp_path):
    """Twenty times: there is a model to load as soon as there is a run, and in the end the numbers are the same."""
    data, expected = whole
    out, choose, steps = tmp_path / "run", random.Random(SEED), []
    start = min(seconds_to_learn(data, tmp_path / name) for name in ("first, starting the server", "second"))
    for kill in range(KILLS):
        mark = marked(out)
        process = sittings.started(data, out, resume=True, watch=False)
        if kill % 5:
            until_it_learns(process, out, mark)
            time.sleep(choose.uniform(0.0, 0.02))
        else:
            time.sleep(choose.uniform(0.0, start))  # before there is anything to go on from, or any run
        process.kill()
        process.join()
        if (out / "config.toml").exists():
            assert Run.load(out).network() is not None
            steps.append(0 if marked(out) is None else standing(out)["step"])
    # A quick machine is through before the last kills, which then find a run that has ended.
    assert len(set(steps)) > KILLS / 4 and steps == sorted(steps)
    process = sittings.started(data, out, resume=True, watch=False)
    process.join()
    assert process.exitcode == 0
    assert_the_same(out, expected)
    assert Run.load(out).results == Run.load(expected).results


@pytest.mark.parametrize("kind", (signal.SIGINT, signal.SIGTERM))
def test_ctrl_c_and_sigterm_end_after_the_step_and_say_how_to_go_on(whole, tmp_path, kind, monkeypatch):
    data, expected = whole
    out, step_of = tmp_path / "run", lesson.Lesson.training_step

    def interrupted(self, batch, number):
        if self.standing.step == 17:
            signal.raise_signal(kind)
        return step_of(self, batch, number)

    before = signal.getsignal(kind)
    monkeypatch.setattr(lesson.Lesson, "training_step", interrupted)
    with pytest.raises(Stopped, match=rf"stopped after step 18; to go on: headgate train --resume {out}"):
        train(data, "tiny", out=out, watch=False, progress=False, **sittings.SETTINGS)
    assert signal.getsignal(kind) is before and Run.load(out).network() is not None
    monkeypatch.undo()
    train(out, resume=True, progress=False)
    assert_the_same(out, expected)


def test_a_torn_last_line_is_mended(whole, tmp_path):
    data, expected = whole
    out = copied(expected, tmp_path)
    go_back(data, out, epochs=2)
    with (out / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 3, "accu')
    assert len(Run.load(out).history) == 2
    train(out, resume=True, progress=False)
    assert_the_same(out, expected)


def test_the_comparison_can_fail(whole, tmp_path, monkeypatch):
    """A resumed run that forgets the optimiser, or seeds its steps otherwise, is told from one that does not."""
    data, expected = whole
    for mutant in ("optimiser", "seed"):
        out = tmp_path / mutant
        monkeypatch.setattr(keeper.Keeper, "_is_better", stop_in_the_middle(keeper.Keeper._is_better))
        with pytest.raises(Stopped):
            train(data, "tiny", out=out, watch=False, progress=False, **sittings.SETTINGS)
        monkeypatch.undo()
        if mutant == "optimiser":
            monkeypatch.setattr(checkpoint, "restore_rest", lambda *_: None)
        else:
            monkeypatch.setattr(rate, "seed_step", lambda seed, step, rank=0: torch.manual_seed(seed))
        train(out, resume=True, progress=False)
        monkeypatch.undo()
        with pytest.raises(AssertionError):
            assert_the_same(out, expected)


def stop_in_the_middle(known):
    def asked(self, score, best):
        if best is not None and not self.signalled:
            signal.raise_signal(signal.SIGTERM)
        return known(self, score, best)

    return asked


def copied(run, folder):
    return Path(shutil.copytree(run, folder / "run"))


def go_back(data, out, epochs):
    """A run as it stood after so many epochs."""
    shutil.rmtree(out)

    def enough(self, trainer, module):
        validate(self, trainer, module)
        if module.standing.epoch == epochs:
            self.signalled = True
            trainer.should_stop = True

    validate = keeper.Keeper.on_train_epoch_end
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Stopped):
        patch.setattr(keeper.Keeper, "on_train_epoch_end", enough)
        train(data, "tiny", out=out, watch=False, progress=False, **sittings.SETTINGS)


def test_a_finished_run_is_finished(whole, tmp_path):
    out = copied(whole[1], tmp_path)
    train(out, resume=True, progress=False)
    assert_the_same(out, whole[1])


# --- what cannot be gone on from


def test_a_checkpoint_that_is_cut_short_or_foreign(whole, tmp_path):
    out = copied(whole[1], tmp_path)
    last = (out / "last.ckpt").read_bytes()
    for content in (last[: len(last) // 2], b"", b"hello", pickle.dumps(Path("foreign"))):
        (out / "last.ckpt").write_bytes(content)
        with pytest.raises(ValueError, match=r"last.ckpt is damaged .*, so training cannot go on from it; the best"):
            train(out, resume=True, progress=False)
    assert Run.load(out).network() is not None


def test_a_vocabulary_of_another_run(whole, tmp_path):
    out = copied(whole[1], tmp_path)
    (out / "encoding.json").write_text('{"signs": ["0", "1", "2"], "often": "yes"}')
    with pytest.raises(ValueError, match=r"encoding.json is not what the run's data give"):
        train(out, resume=True, progress=False)
    with pytest.raises(ValueError, match=r"model.safetensors does not belong to this run: its table.weight has shape"):
        Run.load(out).network()


def test_data_that_are_gone_or_changed(whole, tmp_path):
    data = tiny_task.write(tmp_path / "signs.tiny", rows=40)
    out = tmp_path / "run"
    train(data, "tiny", out=out, watch=False, progress=False, epochs=1)
    data.write_text(data.read_text() + "0101,no\n")
    with pytest.raises(ValueError, match="is not what the run was trained with; give the data again"):
        train(out, resume=True, progress=False)
    data.unlink()
    with pytest.raises(ValueError, match="which the run was trained with, is gone"):
        train(out, resume=True, progress=False)


@pytest.mark.parametrize(
    ("more", "words"),
    (
        ({"epochs": 9}, "was begun with epochs=6; it cannot go on with 9"),
        ({"cell": "gru"}, "was begun with cell='lstm'"),
        ({"zoneout": 0.5}, "was begun with switches="),
        ({"task": "tag"}, "is a run of task tiny"),
        ({"devices": 2}, "was begun with devices=1; it cannot go on with 2"),
    ),
)
def test_settings_that_would_make_it_another_run(whole, tmp_path, more, words):
    out = copied(whole[1], tmp_path)
    with pytest.raises(ValueError, match=re.escape(words)):
        train(out, resume=True, progress=False, **more)
    assert_the_same(out, whole[1])

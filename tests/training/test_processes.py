"""Several processes that learn together come to what one process comes to."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from training import sittings, tiny_task

from headgate.training.bench_run import Run
from headgate.verbs import training

# A batch of 7 rows is 4 and 3, and the last of an epoch is 5: shares of unequal size, in float32.
SETTINGS = {"epochs": 3, "batch_size": 7}
ROUNDING = 2e-6
pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    folder = tmp_path_factory.mktemp("one")
    data = tiny_task.write(folder / "signs.tiny", rows=50)
    return data, training.train(data, "tiny", out=folder / "run", watch=False, progress=False, **SETTINGS)


def losses(run):
    return torch.tensor([[line["train_loss"], line["loss"]] for line in run.history], dtype=torch.float64)


def assert_alike(run, expected):
    torch.testing.assert_close(losses(run), losses(expected), rtol=0.0, atol=ROUNDING)
    found, wanted = (load_file(one.folder / "model.safetensors") for one in (run, expected))
    for name, value in wanted.items():
        torch.testing.assert_close(found[name], value, rtol=0.0, atol=50 * ROUNDING)


def test_two_processes_give_the_loss_curve_of_one(one, tmp_path, monkeypatch):
    data, expected = one
    monkeypatch.setattr(training, "Sitting", sittings.Registered)
    run = training.train(data, "tiny", out=tmp_path / "run", devices=2, watch=False, progress=False, **SETTINGS)
    assert len(torch.load(run.folder / "last.ckpt", weights_only=True)["carried"]) == 2
    assert_alike(run, expected)


def test_the_comparison_can_fail(one, tmp_path):
    """A mean of the processes' means is another loss, by far more than rounding."""
    data, expected = one
    other = training.train(
        data, "tiny", out=tmp_path / "run", watch=False, progress=False, **(SETTINGS | {"batch_size": 8})
    )
    with pytest.raises(AssertionError):
        assert_alike(other, expected)


def test_torchrun(one, tmp_path):
    data, expected = one
    script = tmp_path / "learn.py"
    script.write_text(
        "from training import tiny_task\n"
        "from headgate.verbs.training import train\n"
        f"run = train({str(data)!r}, 'tiny', out={str(tmp_path / 'run')!r}, watch=False, epochs=3, batch_size=7)\n"
        "assert run.results['test']\n"
    )
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(script)]
    where = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=where, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert_alike(Run.load(tmp_path / "run"), expected)

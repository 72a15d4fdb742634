"""Runs and modules for `headgate watch` to look at, and what became of it."""

from __future__ import annotations

import numpy as np

from headgate import cells, tasks
from headgate.cli import main
from headgate.training.model_folder import ModelFolder
from headgate.training.network import seeded_network

H, STEPS = 3, 6
# Task, cell and seed of the models of a run.
PRESENT = (("digits", "lstm", 10), ("digits", "lstm", 9), ("digits", "rnn", 0))
# A module of a user's own; every test that imports it gives it a name of its own, since Python keeps modules.
OWN = """
import torch
from torch import nn

class Model(nn.Module):
    def __init__(self, features=2):
        super().__init__()
        self.encoder = nn.LSTM(features, 3, batch_first=True)
        self.head = nn.Linear(3, 1)

    def forward(self, x):
        return self.head(self.encoder(x)[0][:, -1])[:, 0]

def build():
    torch.manual_seed(0)
    return Model()

def with_losses():
    return build(), lambda model, batch: (model(batch["x"]) - 1.0).abs()

def broken_losses():
    return build(), lambda model, batch: [][1]

def stateful():
    return nn.Linear(2, 1)

def raises():
    raise ZeroDivisionError("no luck,\\nat all")

def leaves():
    raise SystemExit(3)

def nothing():
    return None

def triple():
    return build(), None, None

def uncallable():
    return build(), "cross entropy"

def batches():
    torch.manual_seed(1)
    x = torch.randn(8, 6, 2)
    yield x, x[:, 0, 0]

def dictionaries():
    return [{"x": x} for x, _ in batches()]

def words():
    return "some words"

def number():
    return 5

value = 3
"""


def model_folder(task: str = "digits", cell: str = "lstm", seed: int = 0, size: int = H) -> ModelFolder:
    about = tasks.get(task)
    network = seeded_network(seed, cells.get(cell), about.input_size, size, about.output_size, about.reads)
    weights = {name: value.detach() for name, value in network.state_dict().items()}
    return ModelFolder(task, cell, size, seed, 0, weights)


def save_npz(path, x=None, y=None, features: int = 1, rows: int = 6, **more):
    random = np.random.default_rng(0)
    x = random.normal(size=(rows, STEPS, features)).astype(np.float32) if x is None else x
    y = np.arange(rows) % 3 if y is None else y
    np.savez(path, x=x, y=y, **more)
    return path


def own(here, name: str) -> str:
    """Write the user's module; its name."""
    (here / f"{name}.py").write_text(OWN)
    return name


def outcome(capfd, *arguments) -> tuple[int, str, str]:
    code = main(["watch", *map(str, arguments)])
    out, error = capfd.readouterr()
    return code, out, error


def everything(folder) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if "__pycache__" not in str(p)}


def refused(outcome_of, here, before: set[str], words: str) -> None:
    code, out, error = outcome_of
    assert code == 2 and out == "" and "Traceback" not in error
    said = [line for line in error.splitlines() if not line.startswith("looking at ")]
    assert len(said) == 1 and said[0].startswith("headgate watch: ") and words in said[0]
    assert everything(here) == before

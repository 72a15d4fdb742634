"""A trained run for the verbs to work on."""

from __future__ import annotations

import pytest
from training import tiny_task

import headgate as hg

EPOCHS = 12
SETTINGS = {"epochs": EPOCHS, "rate": 0.02, "batch_size": 8}


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A run of the tiny task that has learned something, with its data; not to be changed."""
    folder = tmp_path_factory.mktemp("trained")
    data = tiny_task.write(folder / "signs.tiny", rows=300)
    run = hg.train(data, "tiny", out=folder / "run", watch=True, progress=False, **SETTINGS)
    return data, run

"""Runs for `headgate watch` to look at."""

from __future__ import annotations

import pytest
from cli.watched import PRESENT, model_folder

from headgate.training import subject
from headgate.training.run_folder import RunFolder


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run as `headgate demo` leaves it, of two cells; of the LSTM there are two seeds."""
    models = {"/".join(map(str, place)): model_folder(*place) for place in PRESENT}
    return RunFolder({"trials": []}, {}, models).save(tmp_path_factory.mktemp("run") / "run")


@pytest.fixture
def few_rows(monkeypatch):
    monkeypatch.setattr(subject, "ROWS", 8)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path

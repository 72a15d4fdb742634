"""Several processes: the same numbers whatever their number, and an end to all of them whatever happens."""

from __future__ import annotations

import multiprocessing
import os
import signal

import numpy as np
import pytest
from training.small import own_cell, trial, without_seconds

from headgate.training.experiment import run
from headgate.training.workers import TrialFailed, WorkerDied, run_all

TRIALS = [trial(cell=cell, seed=seed) for cell, seed in (("gru", 0), ("rnn", 1), ("rnn", 2))]


def test_two_processes_give_the_numbers_of_one_in_the_order_of_the_trials():
    heard = []
    outcomes = run_all(TRIALS, 2, lambda worker, trial, step, loss: heard.append((worker, trial, step)))
    for asked, outcome in zip(TRIALS, outcomes, strict=True):
        here = run(asked)
        assert without_seconds(outcome.facts) == without_seconds(here.facts)
        for moment, record in here.records.items():
            np.testing.assert_array_equal(outcome.records[moment].arrays["lag_profile"], record.arrays["lag_profile"])
    assert [entry[1] for entry in heard if entry[2] == 0] == TRIALS
    assert sorted(entry[0] for entry in heard if entry[2] == -1) in ([0, 0, 1], [0, 1, 1])
    assert multiprocessing.active_children() == []


def test_a_trial_that_raises_ends_all_with_its_sentence(tmp_path):
    own = own_cell(tmp_path, "import multiprocessing\nif multiprocessing.parent_process(): raise ValueError('no luck')")
    with pytest.raises(TrialFailed, match="digits, Own, seed 0: ValueError: no luck"):
        run_all([trial(cell=own)], 1)
    assert multiprocessing.active_children() == []


def test_a_worker_that_dies_is_told(tmp_path):
    own = own_cell(tmp_path, "import multiprocessing, os\nif multiprocessing.parent_process(): os._exit(7)")
    with pytest.raises(WorkerDied, match="the process that ran digits, Own, seed 0 ended without an answer"):
        run_all([trial(cell=own)], 1)
    assert multiprocessing.active_children() == []


def test_an_interrupted_parent_leaves_no_process_behind():
    def interrupt(worker, trial, step, loss):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_all(TRIALS, 2, interrupt)
    assert multiprocessing.active_children() == []


def test_an_interruption_while_they_are_started_is_not_lost(monkeypatch):
    start = multiprocessing.context.SpawnProcess.start

    def interrupted(process):
        start(process)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(multiprocessing.context.SpawnProcess, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_all(TRIALS, 2)
    assert multiprocessing.active_children() == []

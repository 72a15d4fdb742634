"""Processes of a pool: Ctrl-C is held back in each from its first instruction on."""

from __future__ import annotations

import multiprocessing
import signal
import threading
from multiprocessing import resource_tracker

import pytest

from headgate.training.starting import end, start


def _held_back(pipe, number):
    pipe.send((number, signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())))


@pytest.fixture
def as_at_the_start_of_a_program(monkeypatch):
    """Without the helper that multiprocessing starts before its first process."""
    helper = resource_tracker.ResourceTracker()
    monkeypatch.setattr(resource_tracker, "ensure_running", helper.ensure_running)
    monkeypatch.setattr(resource_tracker, "getfd", helper.getfd)


@pytest.mark.parametrize("thread", (False, True))
def test_ctrl_c_is_held_back_in_all_and_let_through_here(as_at_the_start_of_a_program, thread):
    pool = []

    def begin():
        start(pool, _held_back, [(0,), (1,)], daemon=True)

    if thread:
        worker = threading.Thread(target=begin)
        worker.start()
        worker.join()
    else:
        begin()
    assert [pipe.recv() for _, pipe in pool] == [(0, True), (1, True)]
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    end(pool)
    assert multiprocessing.active_children() == []

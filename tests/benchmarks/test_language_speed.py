"""The two loops whose speed is compared do the same work, or are refused."""

from __future__ import annotations

import pytest
import torch

from benchmarks import language_speed
from benchmarks.language_speed import Batches, ByHand, compare


@pytest.fixture
def batches(tmp_path, monkeypatch):
    monkeypatch.setattr(language_speed, "CHARACTERS", 20_000)
    return Batches(tmp_path, hidden=8)


def test_both_loops_compute_the_same(batches):
    assert max(compare(batches).values()) < 1e-4


def test_another_model_is_refused(batches, monkeypatch):
    class Mutant(ByHand):
        def __init__(self, batches):
            super().__init__(batches)
            with torch.no_grad():
                self.lstm.bias_ih_l0[0] += 0.1

    monkeypatch.setattr(language_speed, "ByHand", Mutant)
    with pytest.raises(AssertionError, match="differs by"):
        compare(batches)


def test_tokens_a_second_are_told_of_both(batches, tmp_path):
    found = language_speed.measure(tmp_path, hidden=8, turns=1, steps=1)
    assert found["ours_tokens_s"] > 0 < found["by_hand_tokens_s"] and len(found["ratios"]) == 1

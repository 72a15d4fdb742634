"""The two loops whose speed is compared do the same work, or are refused."""

from __future__ import annotations

import pytest
import torch

from benchmarks import hand_language, hand_tag
from benchmarks.training_speed import WORK, compare, measure


@pytest.fixture(params=WORK)
def work(request, tmp_path, monkeypatch):
    monkeypatch.setattr(hand_language, "CHARACTERS", 20_000)
    monkeypatch.setattr(hand_tag, "SENTENCES", 100)
    return WORK[request.param](tmp_path, hidden=8)


def test_both_loops_compute_the_same(work):
    assert max(compare(work).values()) < 1e-4


def test_another_model_is_refused(work, monkeypatch):
    right = work.by_hand

    def wrong():
        made = right()
        with torch.no_grad():
            getattr(made, "lstm" if hasattr(made, "lstm") else "recurrent").bias_ih_l0[0] += 0.1
        return made

    monkeypatch.setattr(work, "by_hand", wrong)
    with pytest.raises(AssertionError, match="differs by"):
        compare(work)


def test_tokens_a_second_are_told_of_both(work):
    found = measure(work, turns=1, steps=1)
    assert found["ours_tokens_s"] > 0 < found["by_hand_tokens_s"] and len(found["ratios"]) == 1

"""The generator behind the masks: published test vectors, its statistics, and that every engine draws its numbers."""

from typing import ClassVar

import numpy as np
import pytest
import torch

from headgate.cells import Cell, State, get, tanh
from headgate.engines import Call
from headgate.engines.cpu import library
from headgate.engines.cpu.autograd import run_call
from headgate.reference import masks

# Random123's known answers for philox2x32-10: counter, key, output.
PHILOX = [
    ((0x00000000, 0x00000000), 0x00000000, (0xFF1DAE59, 0x6CD10DF2)),
    ((0xFFFFFFFF, 0xFFFFFFFF), 0xFFFFFFFF, (0x2C3F628B, 0xAB4FD7AD)),
    ((0x243F6A88, 0x85A308D3), 0x13198A2E, (0xDD7CE038, 0xF62A4C12)),
]


@pytest.mark.parametrize(("counter", "key", "expected"), PHILOX)
def test_philox_gives_the_published_numbers(counter, key, expected):
    words = [np.array([value], np.uint64) for value in (*counter, key)]
    assert tuple(int(word[0]) for word in masks.philox2x32((words[0], words[1]), words[2])) == expected


def test_splitmix_gives_the_published_number():
    assert int(masks.mix(np.array([0], np.uint64))[0]) == 0xE220A8397B1DCDAF


@pytest.mark.parametrize("rate", [0.0, 0.05, 0.5, 0.999])
def test_a_mask_is_one_as_often_as_its_rate_says(rate):
    drawn = masks.mask(5, 3, 200, 0, 500, rate)
    assert abs(drawn.mean() - rate) <= 5 * np.sqrt(rate * (1 - rate) / drawn.size)


def test_masks_of_other_seeds_steps_states_rows_and_units_are_others():
    first = masks.mask(5, 3, 40, 0, 50, 0.5)
    others = [masks.mask(6, 3, 40, 0, 50, 0.5), masks.mask(5, 4, 40, 0, 50, 0.5), masks.mask(5, 3, 40, 1, 50, 0.5)]
    others += [np.roll(first, 1, 0), np.roll(first, 1, 1), first.T[:40, :40]]
    for other in others:
        same = first[:, : other.shape[1]] == other
        assert abs(same.mean() - 0.5) < 5 * 0.5 / np.sqrt(same.size)


def test_a_mask_does_not_depend_on_how_many_rows_and_units_there_are():
    assert (masks.mask(5, 3, 4, 1, 7, 0.5) == masks.mask(5, 3, 9, 1, 30, 0.5)[:4, :7]).all()


class Shown(Cell):
    """Its output is its mask."""

    gates = "h"
    states = "h c"
    masks = "h c"
    rates: ClassVar = {"h": 0.3, "c": 0.6}

    def step(self, x, U, s, p, m):
        tiny = 1e-200 * tanh(x.h + U.h(s.h))
        return State(h=m.h + tiny, c=m.c + tiny)


@pytest.mark.skipif(library.library() is None, reason="the library was not built")
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("split", [1, 2], ids=["by rows", "by units"])
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_the_compiled_engine_draws_the_same_bits_on_any_number_of_threads(threads, split, reverse):
    T, B, H, seed = 4, 5, 83, 2**64 - 12345
    lengths = torch.tensor([2, 4, 0, 3, 1])
    weights = {"weight_ih": torch.ones(H, 2), "bias_ih": torch.zeros(H), "weight_hh": torch.zeros(H, H)}
    weights |= {"bias_hh": torch.zeros(H)}
    weights = {name: value.double() for name, value in weights.items()}
    zero = torch.zeros(B, H, dtype=torch.float64)
    carried = torch.tensor([seed], dtype=torch.uint64).view(torch.int64)
    x = torch.zeros(T, B, 2, dtype=torch.float64)
    call = Call(Shown(), weights, x, (zero, zero), lengths, None, reverse, True, carried)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        states = run_call(call, split).states
    finally:
        torch.set_num_threads(before)
    for k, (name, found) in enumerate(states.items()):
        for t in range(T):
            expected = masks.mask(seed, t, B, k, H, Shown.rates[name])
            rows = (t < lengths).numpy()
            assert (found[t].numpy().astype(bool) == expected)[rows].all()


def test_the_number_of_a_state_counts_all_states_and_not_only_those_with_masks():
    cell = get("lstm", zoneout={"c": 0.5})
    drawn = masks.masks(cell, 9, 2, 3, {"h": 8, "c": 8}.__getitem__)
    assert list(drawn) == ["c"]
    assert (drawn["c"] == masks.mask(9, 2, 3, cell.state_names.index("c"), 8, 0.5)).all()

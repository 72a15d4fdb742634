"""Lyapunov exponents against networks whose exponents are known, against each other, and against the closed form."""

import math

import numpy as np
import pytest
import torch
from comparing import assert_all_close
from inspection.known_runs import EVERY, adjoint_of, jacobians, linear_run, rotation
from inspection.watching import EXACT

from headgate.inspection import chain, spectrum
from headgate.inspection.spectrum import lyapunov

CHECKSUM = 1e-8
# Every step of these has a Jacobian that is singular: a state that follows from the others, or units that are off.
SINGULAR = ["greff_fgr", "greff_fgrp", "linear_greff_fgr", "greff_nog", "relu_rnn", "bare_lstm"]
REGULAR = {name: cell for name, cell in EVERY.items() if name not in SINGULAR}


def checksum(found):
    """The sum of all exponents is what the volume of the Jacobians says."""
    assert found.complete and found.reason == ""
    assert_all_close({"sum": found.sum}, {"sum": found.closed_form}, CHECKSUM)


# --- known exponents -----------------------------------------------------------------------------------------------


def test_an_orthogonal_network_has_only_zeros():
    found = lyapunov(linear_run(rotation(5), 60), count=None)
    assert np.abs(found.exponents).max() < EXACT and found.band.max() < EXACT
    assert found.surviving(1e6) == 5 and found.complete
    assert abs(found.sum) < EXACT and abs(found.closed_form) < EXACT


def test_a_diagonal_network():
    """Timescales from 2 to 1000 steps: the exponents are their logarithms, and the survivors those above 1/e."""
    decays = np.array([0.61, 0.999, 0.05, 0.9, 1.1])
    # The directions need the warm-up to turn into the axes: the two that are nearest come apart by 1.1 a step.
    found = lyapunov(linear_run(np.diag(decays), 300), count=None, warm_up=250)
    assert_all_close({"exponents": found.exponents}, {"exponents": np.sort(np.log(decays))[::-1]}, EXACT)
    assert [found.surviving(lag) for lag in (0.3, 1, 5, 50, 900, 2000)] == [5, 4, 3, 2, 2, 1]
    checksum(found)


def test_a_network_that_shears_has_the_exponents_of_its_eigenvalues():
    """Far from normal: its singular values say nothing about the long run."""
    U = np.diag([0.95, 0.6, 0.3]) + np.triu(np.full((3, 3), 5.0), 1)
    found = lyapunov(linear_run(U, 1200), count=None, warm_up=200)
    assert_all_close({"exponents": found.exponents}, {"exponents": np.log([0.95, 0.6, 0.3])}, 1e-3)
    checksum(found)


def test_an_lstm_without_recurrent_weights():
    """c is left to the forget gate, and nothing depends on the old h."""
    adjoint, f = adjoint_of(EVERY["lstm"], 180, 2), [0.9, 0.5, 0.99, 0.2]
    weights = adjoint.run.weights
    for name in ("weight_hh", "bias_hh"):
        weights[name].zero_()
    weights["weight_ih"][4:8] = 0
    weights["bias_ih"][4:8] = torch.tensor([math.log(v / (1 - v)) for v in f], dtype=torch.float64)
    found = lyapunov(type(adjoint)(adjoint.run), count=None, warm_up=140)
    assert_all_close({"exponents": found.exponents[:4]}, {"exponents": np.log(sorted(f)[::-1])}, EXACT)
    assert np.isnan(found.exponents[4:]).all() and found.sum is None
    assert found.reason.startswith("4 of 8 directions are annihilated")
    assert found.surviving(50) == 1


def forward(adjoint, warm_up):
    """The recursion as the papers write it: tangents followed forward, by NumPy's QR."""
    steps = jacobians(adjoint)[0][::-1]
    Q, logs = rotation(len(steps[0]), seed=1), []
    for jacobian in steps:
        Q, R = np.linalg.qr(jacobian @ Q)
        logs.append(np.log(np.abs(np.diag(R))))
    return np.sort(np.mean(logs[warm_up:], axis=0))[::-1]


@pytest.mark.parametrize("name", ["gru", "rnn"])
def test_backward_in_time_is_the_same_spectrum(name):
    """Both leave out a few steps at one end, so they agree as well as the running estimates stand still."""
    adjoint = adjoint_of(EVERY[name], 800, H=4)
    found = lyapunov(adjoint, count=None, warm_up=20)
    off = np.abs(found.exponents - forward(adjoint, 20))
    assert off.max() < 0.02 and found.band.max() < 0.1


# --- the checksum --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", REGULAR.values(), ids=REGULAR)
def test_the_sum_of_every_cell(cell):
    found = lyapunov(adjoint_of(cell, 20, 3, 3, lengths=True, reset=True, seed=2), count=None, warm_up=1)
    checksum(found)
    assert found.counted.sum() + found.left_out < 60


def test_masks_as_they_were_drawn():
    """Where zoneout keeps a unit's h and c, both are what they were; where not, they are new."""
    checksum(lyapunov(adjoint_of(EVERY["zoneout gru"], 20, 2, mask_seed=3), count=None))


@pytest.mark.parametrize("switches", [{}, {"coupled": True}, {"forget_gate": False}, {"input_activation": "identity"}])
def test_an_lstm_is_checked_without_its_jacobian(switches, monkeypatch):
    """From gates and one matrix alone, as section and paper have it."""
    monkeypatch.delattr(chain.Chain, "dense")
    checksum(lyapunov(adjoint_of(EVERY["lstm"].with_switches(**switches), 30, 2), count=None))


@pytest.mark.parametrize("cell", [EVERY[name] for name in SINGULAR], ids=SINGULAR)
def test_a_singular_step_leaves_no_sum(cell):
    found = lyapunov(adjoint_of(cell, 30, H=6), count=None)
    gone = np.isnan(found.exponents)
    assert gone.any() and not gone[0] and (np.diff(gone.astype(int)) >= 0).all()
    assert found.sum is None and found.closed_form is None and "annihilated" in found.reason


def broken_pull(self, t, cotangents, whole=chain.Chain.pull):
    return 1.01 * whole(self, t, cotangents)


def test_a_wrong_recursion_or_a_wrong_volume_is_caught(monkeypatch):
    adjoint = adjoint_of(EVERY["lstm"], 30)
    with monkeypatch.context() as patch:
        patch.setattr(chain.Chain, "pull", broken_pull)
        with pytest.raises(AssertionError, match="sum"):
            checksum(lyapunov(adjoint, count=None))
    with monkeypatch.context() as patch:
        patch.setattr(spectrum, "_has_closed_form", lambda cell: True)
        with pytest.raises(AssertionError, match="sum"):
            checksum(lyapunov(adjoint_of(EVERY["peephole_lstm"], 30), count=None))


# --- which steps, which rows, how many -----------------------------------------------------------------------------


def test_the_largest_are_those_of_the_whole_spectrum():
    adjoint = adjoint_of(EVERY["lstm"], 300, H=4)
    whole, some = lyapunov(adjoint, count=None), lyapunov(adjoint, count=3)
    assert_all_close({"exponents": some.exponents}, {"exponents": whole.exponents[:3]}, 0.02)
    assert some.sum is None and some.closed_form is None and not some.complete
    assert some.reason == "only the 3 largest of 8 exponents were computed"


def test_rows_are_averaged_by_their_steps():
    adjoint = adjoint_of(EVERY["gru"], 40, 4, lengths=True, seed=5)
    whole, lengths = lyapunov(adjoint, count=None, warm_up=2), adjoint.run.active.sum(0)[:, 0].numpy()
    assert np.array_equal(whole.counted, np.maximum(lengths - 2, 0))
    alone = []
    for row in np.flatnonzero(lengths > 2):
        one = lyapunov(adjoint, count=None, rows=[row], warm_up=2)
        checksum(one)
        alone.append((one.counted[0], one.sum))
    mean = sum(n * total for n, total in alone) / sum(n for n, _ in alone)
    assert_all_close({"sum": whole.sum}, {"sum": mean}, EXACT)
    there = whole.counted > 0
    assert np.isnan(whole.by_row[~there]).all()
    per_row = (whole.counted[there] @ whole.by_row[there].sum(-1)) / whole.counted.sum()
    assert_all_close({"sum": per_row}, {"sum": whole.sum}, EXACT)


def test_a_step_that_a_row_does_not_take_is_no_step():
    """Two rows of one network, the second half as long: the same exponents, half as many steps."""
    U = np.diag([0.9, 0.5])
    found = lyapunov(linear_run(U, 40, 2, lengths=np.array([40, 20])), count=None, warm_up=0)
    assert list(found.counted) == [40, 20] and found.left_out == 0
    assert_all_close({"sums": found.by_row.sum(-1)}, {"sums": np.full(2, np.log(0.45))}, EXACT)


def test_every_trajectory_has_a_warm_up_of_its_own():
    reset = np.zeros((30, 1), bool)
    reset[12] = reset[25] = True
    found = lyapunov(linear_run(0.5 * rotation(2), 30, reset=reset), count=None, warm_up=4)
    assert list(found.counted) == [12 - 4 + 13 - 4 + 5 - 4] and found.left_out == 12
    assert_all_close({"exponents": found.exponents}, {"exponents": np.full(2, math.log(0.5))}, EXACT)


@pytest.mark.parametrize("every", [1, 2, 3, 7])
def test_fewer_orthonormalisations_count_the_same_steps(every):
    adjoint = adjoint_of(EVERY["gru"], 30, 3, 3, lengths=True, reset=True, seed=4)
    found = lyapunov(adjoint, count=None, warm_up=2, every=every)
    often = lyapunov(adjoint, count=None, warm_up=2)
    assert np.array_equal(found.counted, often.counted)
    assert_all_close({"sum": found.sum}, {"sum": often.sum}, CHECKSUM)
    checksum(found)


@pytest.mark.parametrize("every", [1, 4])
def test_no_more_steps_than_asked(every):
    found = lyapunov(adjoint_of(EVERY["lstm"], 90, 2), count=None, steps=30, warm_up=10, every=every)
    assert list(found.counted) == [30, 30] and found.left_out == 2 * 60
    checksum(found)


def test_the_band_tells_how_much_the_estimate_moves():
    """A forget gate that opens in the course of time: the mean of its first half is not that of all of it."""
    steady = linear_run([[0.5]], 40)
    assert lyapunov(steady, count=None, warm_up=0).band[0] < EXACT
    assert np.isnan(lyapunov(steady, count=None, steps=2).band).all()
    adjoint = adjoint_of(EVERY["gru"], 40, H=1)
    for value in adjoint.run.weights.values():
        value.zero_()
    adjoint.run.weights["weight_ih"][1, 0] = 1.0  # z = sigmoid(x), and the rest of the cell is still
    adjoint.run.input[:, 0, 0] = math.log(0.9 / 0.1)
    adjoint.run.input[:10, 0, 0] = 0.0
    found = lyapunov(type(adjoint)(adjoint.run), count=None, warm_up=0)
    # From the end: 30 steps at 0.9, then 10 at 0.5. The mean of the last 20 to 30 is log 0.9.
    mean = (30 * math.log(0.9) + 10 * math.log(0.5)) / 40
    assert_all_close({"exponent": found.exponents}, {"exponent": np.array([mean])}, EXACT)
    assert_all_close({"band": found.band}, {"band": np.array([math.log(0.9) - mean])}, EXACT)


def test_what_cannot_be_asked():
    adjoint = adjoint_of(EVERY["lstm"], 12, 2)
    with pytest.raises(ValueError, match=r"all exponents of a state of 8 numbers .* count=8, or raise limit=7"):
        lyapunov(adjoint, count=None, limit=7)
    assert lyapunov(adjoint, count=7, limit=7).exponents.shape == (7,)
    with pytest.raises(ValueError, match=r"no row takes more than 12 steps .* after a warm-up of 12; give a smaller"):
        lyapunov(adjoint, warm_up=12)
    with pytest.raises(ValueError, match="every=0"):
        lyapunov(adjoint, every=0)
    with pytest.raises(ValueError, match="count=0"):
        lyapunov(adjoint, count=0)
    with pytest.raises(ValueError, match="needs_lag=0"):
        lyapunov(adjoint).surviving(0)
    with pytest.raises(IndexError, match=r"lyapunov: there is no row \[2\]"):
        lyapunov(adjoint, rows=[2])

"""Time scales, survival and resets against answers known beforehand and against plain counting."""

import math

import numpy as np
import pytest
import torch
from comparing import assert_all_close
from inspection.runs import in_short_stretches, logit, lstm_of, run_of, steps_of
from inspection.watching import EXACT

import headgate as hg
from headgate.inspection import timescales as measured
from headgate.inspection.adjoint import Adjoint
from headgate.inspection.timescales import measure_timescales, survival, timescales
from headgate.reference.case import random_case

# Dense, with a gap, dense again, beyond the end: both ways of making a window's product, and nothing to say.
LAGS = (0, 1, 2, 3, 5, 6, 9, 11, 12, 20)
FORMS = {
    "whole": {},
    "ragged": {"lengths": True, "reset": True},
    "backwards": {"lengths": True, "reset": True, "reverse": True},
}
forms = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())


def measure(run, lags=(), rows=None):
    return measure_timescales(Adjoint(run), lags, rows)


def counted(keep, run, lags):
    """Every window of every row, one by one."""
    keep, fresh = np.abs(keep.numpy()), run.fresh[..., 0].numpy()
    found = np.full((keep.shape[-1], len(lags)), np.nan)
    for k, lag in enumerate(lags):
        products = []
        for row in range(keep.shape[1]):
            steps = steps_of(run, row)
            for begin in range(len(steps) - lag + 1) if steps else []:
                window = steps[begin : begin + lag]
                cut = any(fresh[t, row] for t in window)
                products.append(np.zeros(keep.shape[-1]) if cut else np.prod(keep[window, row], axis=0))
        if products:
            found[:, k] = np.mean(products, axis=0)
    return found


def compare_survival(run, lags=LAGS, measured_by=survival):
    keep = Adjoint(run).keep()
    expected, actual = counted(keep, run, lags), measured_by(keep, run.active, run.fresh, lags)
    assert (np.isnan(actual) == np.isnan(expected)).all(), "another lag has nothing to say"
    there = ~np.isnan(expected)
    assert_all_close({"survival": actual[there]}, {"survival": expected[there]}, EXACT)


@pytest.mark.parametrize(("bias", "tau"), [(0, 1.4), (1, 3.2), (3, 20.6), (5, 149)])
def test_a_bias_alone(bias, tau):
    """The table of inspection.md: -1 / log sigmoid(b)."""
    f = 1 / (1 + math.exp(-bias))
    found = measure(lstm_of(2, f=np.full((60, 3, 2), float(bias))), range(61))
    assert found.timescales == pytest.approx(np.full(2, tau), abs=0.1)
    assert_all_close({"tau": found.timescales}, {"tau": np.full(2, -1 / math.log(f))}, EXACT)
    assert_all_close({"survival": found.survival / f ** np.arange(61)}, {"survival": np.ones((2, 61))}, EXACT)
    assert not found.resets.any() and not found.co_resets.any()


def test_a_reset_in_fifty_steps():
    """The memory fades over 14.3 steps, not over the 34.7 that the mean of f tells of."""
    gates = np.full(500, 0.99)
    gates[20::50] = 0.05
    found = measure(lstm_of(f=logit(gates)[:, None, None]), (1, 50))
    assert found.timescales[0] == pytest.approx(14.3, abs=0.05)
    assert 1 / (1 - gates.mean()) == pytest.approx(34.7, abs=0.05)
    assert_all_close({"resets": found.resets, "co": found.co_resets}, {"resets": [0.02], "co": gates < 0.1}, EXACT)
    # Every window of fifty steps holds just one reset.
    assert_all_close({"survival": found.survival}, {"survival": [[gates.mean(), 0.05 * 0.99**49]]}, EXACT)


@forms
@pytest.mark.parametrize("cell", ["lstm", "gru", "peephole_lstm", "cifg_lstm", "greff_nfg"])
def test_survival_is_counted_window_by_window(cell, form):
    compare_survival(run_of(random_case(hg.cells.get(cell), 14, 5, 3, seed=3, **form)))


@forms
def test_few_units_at_a_time(form, monkeypatch):
    monkeypatch.setattr(measured, "IN_CACHE", 1)
    compare_survival(run_of(random_case(hg.cells.get("lstm"), 14, 5, 3, seed=4, **form)))


@forms
def test_resets_and_time_scales_are_counted_step_by_step(form, monkeypatch):
    in_short_stretches(monkeypatch)
    case = random_case(hg.cells.get("gru"), 15, 4, 6, seed=5, **form)
    case.weights["weight_ih"] *= 6.0  # so that some gates are shut
    run = run_of(case)
    keep, active = Adjoint(run).keep(), run.active[..., 0]
    found, taken = measure(run), keep[active].numpy()
    assert (taken < 0.1).any(), "some resets were wanted"
    together = [(keep[t, active[t]] < 0.1).double().mean() if active[t].any() else np.nan for t in range(15)]
    assert_all_close(
        {"tau": found.timescales, "resets": found.resets},
        {"tau": -1 / np.log(taken).mean(0), "resets": (taken < 0.1).mean(0)},
        EXACT,
    )
    np.testing.assert_allclose(found.co_resets, together, rtol=EXACT)


def test_products_that_no_number_holds():
    """0.5^3000 is none; a factor of 0 is one; a growing memory grows."""
    T = 3000
    keep = torch.tensor([0.5, 0.0, 1.001, 1e-200, -0.9], dtype=torch.float64).expand(T, 1, 5)
    there, never = torch.ones(T, 1, 1, dtype=torch.bool), torch.zeros(T, 1, 1, dtype=torch.bool)
    found = survival(keep, there, never, (1, 2, 10, 2999))
    size = np.array([0.5, 0.0, 1.001, 1e-200, 0.9])[:, None]
    with np.errstate(under="ignore"):
        expected = size ** np.array([1, 2, 10, 2999])
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-300)
    tau = timescales(keep, there)
    assert tau[2] < 0 < tau[1] < 0.01 and np.isfinite(tau).all()


def test_a_unit_that_was_shut_once():
    """One factor of exactly 0 takes its windows and no others."""
    f = np.full((40, 1, 1), 0.9)
    keep = torch.from_numpy(f)
    keep[17] = 0.0
    there, never = torch.ones(40, 1, 1, dtype=torch.bool), torch.zeros(40, 1, 1, dtype=torch.bool)
    for lags in ((1, 2, 3, 4), (1, 4), (4,)):
        found = survival(keep, there, never, lags)[0, -1]
        assert found == pytest.approx(0.9**4 * (37 - 4) / 37, rel=EXACT)


def test_a_restored_state_cuts_every_window_across_it():
    run = lstm_of(f=logit(np.full((10, 1, 1), 0.8)))
    run.fresh[5] = True
    found = measure(run, (1, 2, 6, 7)).survival[0]
    # Of 10 windows of one step 1 is cut, of 9 of two 2, and of the 5 and 4 longer ones all.
    assert_all_close({"S": found}, {"S": [0.8 * 9 / 10, 0.8**2 * 7 / 9, 0.0, 0.0]}, EXACT)


def test_quantiles_are_of_units_and_the_memory_is_in_the_longest():
    tau = np.array([2.0, 2.0, 2.0, 3.0, 160.0])
    found = measure(lstm_of(5, f=logit(np.exp(-1 / tau)).reshape(1, 1, 5) + np.zeros((30, 2, 5))))
    assert found.quantile(0.5) == pytest.approx(2.0)
    assert found.quantile(1.0) == pytest.approx(160.0)
    assert found.quantile(0.75) == pytest.approx(3.0)


def test_quantiles_of_a_memory_that_does_not_fade():
    run = run_of(random_case(hg.cells.get("lstm", forget_gate=False), 9, 2, 3, seed=0))
    found = measure(run)
    assert found.quantile(0.5) == found.quantile(1.0) == np.inf and np.isposinf(found.timescales).all()


def test_some_rows_are_those_rows():
    run = run_of(random_case(hg.cells.get("lstm"), 9, 5, 3, seed=1, lengths=True))
    keep, rows = Adjoint(run).keep(), [0, 2, 4]
    expected = survival(keep[:, rows], run.active[:, rows], run.fresh[:, rows], (1, 4))
    np.testing.assert_array_equal(measure(run, (1, 4), rows=3).survival, expected)
    np.testing.assert_array_equal(measure(run, (1, 4), rows=50).survival, measure(run, (1, 4)).survival)


def test_a_cell_without_a_factor_has_no_time_scales():
    assert measure(run_of(random_case(hg.cells.get("rnn"), 5, 2, 3, seed=0))) is None


def test_no_row_takes_a_step():
    run = lstm_of(f=np.zeros((4, 2, 1)))
    run.active[:] = False
    found = measure(run, (0, 1))
    for value in (found.timescales, found.survival, found.resets, found.co_resets):
        assert np.isnan(value).all()
    assert np.isnan(found.quantile(0.5))


@pytest.mark.parametrize("lags", [(-1, 2), (3, 2), (2, 2)])
def test_lags_that_are_none(lags):
    with pytest.raises(ValueError, match=r"^survival: the lags are \[.*\], but numbers of steps are needed, ascending"):
        measure(lstm_of(f=np.zeros((4, 1, 1))), lags)


def test_no_rows():
    with pytest.raises(ValueError, match=r"^survival: 0 rows were asked for, but at least 1 is needed"):
        measure(lstm_of(f=np.zeros((4, 1, 1))), (1,), rows=0)


MUTANTS = {
    "mean of the factors": lambda k, a, f, lags: survival(k[a[..., 0]].mean(0).expand_as(k), a, f, lags),
    "restored states": lambda k, a, f, lags: survival(k, a, torch.zeros_like(f), lags),
    "padding": lambda k, a, f, lags: survival(k, torch.ones_like(a), f, lags),
}


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=MUTANTS.keys())
def test_what_is_wrong_is_caught(mutant):
    run = run_of(random_case(hg.cells.get("lstm"), 14, 5, 3, seed=3, **FORMS["ragged"]))
    compare_survival(run)
    with pytest.raises(AssertionError, match=r"survival|another lag"):
        compare_survival(run, measured_by=mutant)


def test_a_window_of_another_length_is_caught(monkeypatch):
    windows = measured._LogSums.windows
    monkeypatch.setattr(measured._LogSums, "windows", lambda self, lag: windows(self, lag - 1)[..., 1:])
    with pytest.raises(AssertionError, match="survival"):
        compare_survival(run_of(random_case(hg.cells.get("lstm"), 14, 5, 3, seed=3)))

"""The input's gradient of each source, pooled over time and rows, against autograd and where no number holds it."""

import math

import numpy as np
import pytest
import torch
from comparing import assert_all_close
from inspection.runs import in_short_stretches, logit, lstm_of, run_of, steps_of
from inspection.watching import CELLS, EXACT
from inspection.witness import Products

from headgate.cells import State
from headgate.cells.cell import Named
from headgate.inspection import connectivity as measured
from headgate.inspection import pieces
from headgate.inspection.adjoint import Adjoint
from headgate.inspection.connectivity import connectivity, measure_connectivity
from headgate.inspection.flow import Loss
from headgate.reference.case import random_case

T, B, H = 9, 4, 3
FORMS = {
    "whole": {},
    "ragged": {"lengths": True, "reset": True},
    "backwards": {"lengths": True, "reset": True, "reverse": True},
}
forms = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())


def by_autograd(run, cotangent):
    """dL/dx, [T, B, I]."""
    input, cell, U = run.input.clone().requires_grad_(), run.cell, Products(run.cell, run.weights)
    names = cell.vector_names
    p = Named(zip(names, run.weights["weight_p"].chunk(len(names)), strict=True)) if names else Named()
    loss = (0.0 * input).sum()
    for row in range(input.shape[1]):
        state = first = State((n, v[row]) for n, v in run.initial.items())
        for t in steps_of(run, row):
            x = run.weights["weight_ih"] @ input[t, row] + run.weights.get("bias_ih", 0.0)
            parts = Named(zip(cell.gate_names, x.chunk(len(cell.gate_names)), strict=True))
            state, _ = cell(parts, U, first if run.fresh[t, row] else state, p)
            loss = loss + (state[cell.state_names[0]] * cotangent[t, row]).sum()
    loss.backward()
    return input.grad.numpy()


def pooled(run, norms, last, edges):
    """The logarithm of the mean over a piece's steps up to the row's source, and its median over rows."""
    found = np.full(len(edges) - 1, np.nan)
    for k in range(len(found)):
        rows = []
        for row in range(norms.shape[1]):
            steps = [t for t in steps_of(run, row) if edges[k] <= t < edges[k + 1] and t <= last[row]]
            rows += [norms[steps, row].mean()] if steps else []
        if rows:
            with np.errstate(divide="ignore"):
                found[k] = np.median(np.log10(rows))
    return np.where(np.isfinite(found), found, np.nan)


def compare(case, at_most=4):
    """Of the last steps, and of the third of each row."""
    run = run_of(case)
    name = run.cell.state_names[0]
    cotangent = torch.from_numpy(np.random.default_rng(4).normal(size=run.states[name].shape)) * run.active
    rows = [steps_of(run, row) for row in range(B)]
    third = [steps[2] if len(steps) > 2 else T for steps in rows]
    sources = np.array([[steps[-1] if steps else T for steps in rows], third])
    edges, expected = pieces.edges(T, at_most), []
    for last in sources:
        alone = cotangent * torch.from_numpy(np.arange(T)[:, None] == last)[..., None]
        norms = np.linalg.norm(by_autograd(run, alone), axis=-1)
        expected.append(pooled(run, norms, np.where(last == T, -1, last), edges))
    actual = measure_connectivity(Adjoint(run), Loss({name: cotangent}, sources=torch.from_numpy(sources)), edges)
    assert (np.isnan(actual) == np.isnan(expected)).all(), "there is something to say where nothing is"
    there = ~np.isnan(expected)
    assert_all_close({"norm": 10.0 ** actual[there]}, {"norm": 10.0 ** np.array(expected)[there]}, EXACT)


@forms
@pytest.mark.parametrize("name", ["lstm", "gru", "rnn", "peephole_lstm"])
def test_against_autograd(name, form, monkeypatch):
    in_short_stretches(monkeypatch)
    compare(random_case(CELLS[name], T, B, H, seed=6, **form))


@pytest.mark.parametrize("at_most", [1, 100])
def test_pieces(at_most):
    compare(random_case(CELLS["lstm"], T, B, H, seed=7), at_most)


def test_a_gradient_below_any_number():
    """By a forget gate of 1e-9, 600 steps back: 1e-5400 of it."""
    f, T = 1e-9, 600
    run = lstm_of(f=np.full((T, 1, 1), logit(f)), g=np.ones((T, 1, 1)))
    cotangent = torch.zeros(T, 1, 1, dtype=torch.float64)
    cotangent[-1] = 1.0
    found = measure_connectivity(Adjoint(run), Loss({"h": cotangent}), pieces.edges(T, T))
    # Every step but the first few writes alike, and the last is read as well as kept.
    np.testing.assert_allclose(np.diff(found[0, 3:-1]), -math.log10(f), rtol=1e-9)
    assert found[0, 0] < -5380 and np.isfinite(found).all()


def test_norms_do_not_underflow_on_the_way():
    """A weight of 1e-300 behind a gradient of 1e-30, whose product is no number, and its square even less."""
    case = random_case(CELLS["relu_rnn"], 3, 1, 1, I=1, seed=0)
    for name, value in case.weights.items():
        value[:] = {"weight_ih": 1e-300, "weight_hh": 1e-15, "bias_ih": 1.0}.get(name, 0.0)
    run = run_of(case)
    cotangent = torch.zeros(3, 1, 1, dtype=torch.float64)
    cotangent[-1] = 1.0
    found = measure_connectivity(Adjoint(run), Loss({"h": cotangent}))
    np.testing.assert_allclose(found, [[-330, -315, -300]], rtol=EXACT)


def test_a_loss_that_the_input_has_no_part_in():
    run = run_of(random_case(CELLS["lstm"], T, B, H, seed=6))
    run.weights["weight_ih"].zero_()
    found = measure_connectivity(Adjoint(run), Loss({"h": torch.ones(T, B, H, dtype=torch.float64)}))
    assert found.shape == (1, T) and np.isnan(found).all()


def test_rows_count_up_to_their_own_source():
    """A row that ended is none; one that is cut off by a reset is one without a gradient."""
    norms = np.full((1, 4, 3), 0.0)
    norms[0, :, 1] = [1.0, 1.0, -np.inf, -np.inf]  # its source is step 1
    norms[0, 0, 2] = norms[0, 1, 2] = -np.inf  # cut off before step 2
    active = np.ones((4, 3), bool)
    found = connectivity(norms, active, np.array([0, 2, 4]))
    assert_all_close({"late": found[0, 1], "early": found[0, 0]}, {"late": 0.0, "early": 0.0}, EXACT)
    two_cut = norms.copy()
    two_cut[0, :2, 0] = -np.inf
    assert np.isnan(connectivity(two_cut, active, np.array([0, 2, 4]))[0, 0])


MUTANTS = {
    "rows by their mean": ("_median", lambda logs: np.nanmean(logs, 1)),
    "padding counted": ("_log_mean", lambda logs, there: np.log10((10.0**logs).mean(1))),
}


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=MUTANTS.keys())
@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning", "ignore:Mean of empty:RuntimeWarning")
def test_what_is_wrong_is_caught(mutant, monkeypatch):
    case = random_case(CELLS["lstm"], T, B, H, seed=6, **FORMS["ragged"])
    compare(case)
    monkeypatch.setattr(measured, *mutant)
    with pytest.raises(AssertionError, match=r"norm|something to say"):
        compare(case)


def test_scales_that_are_forgotten_are_caught(monkeypatch):
    def unscaled(adjoint, stretch):
        return torch.linalg.norm(stretch.inputs @ adjoint.run.weights["weight_ih"], dim=-1).log10().numpy()

    monkeypatch.setattr(measured, "input_norms", unscaled)
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        test_a_gradient_below_any_number()

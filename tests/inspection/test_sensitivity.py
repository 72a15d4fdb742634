"""The curse of memory: its closed form, autograd through a factor put there by hand, and what it must not be."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from inspection.known_runs import EVERY, Linear, adjoint_of, run_of

from headgate.inspection.adjoint import Adjoint
from headgate.inspection.sensitivity import factor_sensitivity
from headgate.reference import random_case

LAMBDAS = np.array([0.3, 0.6, 0.9])
SEED = 11
# Of so many rows at random, the mean square is known to about three per cent.
ROWS, STEPS = 4000, 150


def diagonal(lambdas, steps: int, rows: int) -> Adjoint:
    """h_t = lambda h_{t-1} + x_t, white x of variance 1."""
    case = random_case(Linear(), steps, rows, len(lambdas), I=len(lambdas))
    weights = {name: np.zeros_like(value) for name, value in case.weights.items()}
    weights |= {"weight_ih": np.eye(len(lambdas)), "weight_hh": np.diag(lambdas)}
    input = np.random.default_rng(SEED).standard_normal((steps, rows, len(lambdas)))
    still = {"h": np.zeros((rows, len(lambdas)))}
    return Adjoint(run_of(replace(case, weights=weights, input=input, initial=still)))


def test_the_closed_form_of_white_input():
    found = factor_sensitivity(diagonal(LAMBDAS, STEPS, ROWS))
    expected = (1 + LAMBDAS**2) / (1 - LAMBDAS**2) ** 3
    np.testing.assert_allclose(10 ** (2 * found), expected, rtol=0.1)


def step(cell, run, x, h, c, factor):
    """An LSTM's or GRU's step with a factor added to the unit's own; the new output and memory."""
    W, U = run.weights["weight_ih"], run.weights["weight_hh"]
    b, q = run.weights["bias_ih"], run.weights["bias_hh"]
    given, fed_back = (W @ x + b).chunk(len(W) // len(h)), (U @ h + q).chunk(len(W) // len(h))
    if cell == "lstm":
        i, f, g, o = (a + r for a, r in zip(given, fed_back, strict=True))
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g) + factor * c
        return torch.sigmoid(o) * torch.tanh(c), c
    r, z = torch.sigmoid(given[0] + fed_back[0]), torch.sigmoid(given[1] + fed_back[1])
    n = torch.tanh(given[2] + r * fed_back[2])
    h = (1 - z) * n + z * h + factor * h
    return h, h


def by_autograd(cell, run, row):
    """dh_T/dlambda of a row, [O, H]."""
    first = run.initial["h"][row], run.initial.get("c", run.initial["h"])[row]

    def last(factor):
        h, c = first
        for t in range(len(run.input)):
            if run.active[t, row]:
                h, c = first if run.fresh[t, row] else (h, c)
                h, c = step(cell, run, run.input[t, row], h, c, factor)
        return h

    return torch.autograd.functional.jacobian(last, torch.zeros(first[0].shape[0], dtype=torch.float64))


def expected(cell, run, probes, seed):
    """The estimate that these very cotangents give."""
    B = run.input.shape[1]
    signs = torch.randint(0, 2, (probes, B, 4), generator=torch.Generator().manual_seed(seed)) * 2.0 - 1.0
    rows = [b for b in range(B) if run.active[:, b].any()]
    squares = [(signs[:, b].double() @ by_autograd(cell, run, b)) ** 2 for b in rows]
    return torch.stack(squares).mean((0, 1)).log10() / 2


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("options", [{}, {"lengths": True, "reset": True}], ids=["whole", "lengths and resets"])
def test_what_autograd_says(cell, options):
    adjoint = adjoint_of(EVERY[cell], 9, 5, **options)
    for probes in (1, 3):
        found = factor_sensitivity(adjoint, probes, SEED)
        np.testing.assert_allclose(found, expected(cell, adjoint.run, probes, SEED), rtol=1e-9)


def test_a_step_off_is_noticed(monkeypatch):
    """Mutant: the memory after a step in the place of the one before it."""
    run = type(adjoint_of(EVERY["lstm"], 2).run)
    monkeypatch.setattr(run, "before", lambda self, start, stop: {n: v[start:stop] for n, v in self.states.items()})
    with pytest.raises(AssertionError):
        test_what_autograd_says("lstm", {})


def test_a_longer_memory_is_the_sharper_one():
    found = factor_sensitivity(diagonal(LAMBDAS, STEPS, 8))
    assert (np.diff(found) > 0).all()


@pytest.mark.parametrize("factor", [0.02, 5.0])
def test_no_number_format_is_in_the_way(factor):
    """Gradients of 1e-508, and squares of 1e+420: what is told is as finite as its logarithm."""
    steps = 300
    found = factor_sensitivity(diagonal(np.full(2, factor), steps, 4))
    assert np.isfinite(found).all()
    if factor > 1:
        assert found == pytest.approx((steps - 1) * np.log10(factor) + np.log10(steps), abs=1.5)
    else:
        assert found == pytest.approx(0.0, abs=0.6)


def test_what_is_nothing_is_not_a_number():
    still = diagonal(np.zeros(2), 1, 3)
    assert np.isnan(factor_sensitivity(still)).all(), "there is no memory before the first step"
    with pytest.raises(ValueError, match="probes=0 is no number of cotangents"):
        factor_sensitivity(still, 0)
    still.run.active.zero_()
    with pytest.raises(ValueError, match="no row takes a step"):
        factor_sensitivity(still)


@pytest.mark.parametrize("cell", EVERY)
def test_every_cell_has_one(cell):
    found = factor_sensitivity(adjoint_of(EVERY[cell], 6, 3))
    assert found.shape == (4,) and np.isfinite(found).all()


def test_more_cotangents_tell_the_norm():
    """Within a tenth of the true one, by 2000 cotangents; one is up to a decade off."""
    adjoint = adjoint_of(EVERY["lstm"], 9, 1)
    truth = by_autograd("lstm", adjoint.run, 0).norm(dim=0).log10()
    np.testing.assert_allclose(factor_sensitivity(adjoint, 2000), truth, atol=0.05)

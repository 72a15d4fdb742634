"""Norms of Jacobian products by random cotangents, against the products themselves; and how often they may be wrong."""

import math

import numpy as np
import pytest
import torch
from comparing import assert_all_close
from inspection.known_runs import EVERY, Linear, adjoint_of, jacobians, linear_run, products, rotation
from inspection.watching import EXACT

from headgate.inspection import probes
from headgate.inspection.chain import Chain
from headgate.inspection.probes import jacobian_norms, rank_one_interval, recurrent_bound

every_cell = pytest.mark.parametrize("cell", EVERY.values(), ids=EVERY)
ALL_OF_THEM = 1000  # more probes than any state here has numbers
GONE = -999.0  # in the place of the logarithm of nothing


def frobenius(adjoint):
    """log10 |P|_F by lag, the median over all sequences of all rows, and how many sequences reach it."""
    sequences = [s for row in range(adjoint.run.input.shape[1]) for s in jacobians(adjoint, row)]
    with np.errstate(divide="ignore"):
        norms = [[np.log10(np.linalg.norm(product)) for product in products(s)] for s in sequences]
    by_lag = [[n[k] for n in norms if len(n) > k] for k in range(max(map(len, norms)))]
    medians = np.maximum(list(map(np.median, by_lag)), GONE)
    return {"norm": medians, "rows": np.array(list(map(len, by_lag)))}


def told(adjoint, **options):
    found = jacobian_norms(adjoint, **options)
    return {"norm": np.nan_to_num(found.estimate, nan=GONE), "rows": found.rows}


# --- with a whole basis nothing is estimated -----------------------------------------------------------------------


@every_cell
def test_every_cell_against_the_products(cell):
    H = 3
    adjoint = adjoint_of(cell, 8, 2, H, seed=1)
    found = jacobian_norms(adjoint, ALL_OF_THEM)
    assert found.exact and not found.cut and found.probes == len(adjoint.jacobian(0, 0))
    for side in (found.low, found.high):
        assert np.array_equal(side, found.estimate, equal_nan=True)
    assert_all_close(told(adjoint, probes=ALL_OF_THEM), frobenius(adjoint), EXACT)


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_lengths_and_resets(seed, reverse):
    """A sequence that ends at a reset, or with its row's length, counts by itself, from its own end."""
    adjoint = adjoint_of(EVERY["lstm"], 9, 5, 3, lengths=True, reset=True, reverse=reverse, seed=seed)
    assert_all_close(told(adjoint, probes=ALL_OF_THEM), frobenius(adjoint), EXACT)


def test_some_rows_and_some_steps():
    adjoint = adjoint_of(EVERY["gru"], 9, 3)
    one = jacobian_norms(adjoint, ALL_OF_THEM, rows=[1], steps=4)
    expected = [math.log10(np.linalg.norm(product)) for product in products(jacobians(adjoint, 1)[0])]
    assert_all_close({"norm": one.estimate}, {"norm": np.array(expected[:4])}, EXACT)
    assert one.cut and not jacobian_norms(adjoint, rows=[1], steps=9).cut


def test_a_network_that_forgets_its_resets_is_caught(monkeypatch):
    adjoint = adjoint_of(EVERY["lstm"], 9, 5, 3, reset=True)
    whole = Chain.__init__

    def forgetting(self, *arguments):
        whole(self, *arguments)
        self.fresh = np.zeros_like(self.fresh)

    monkeypatch.setattr(Chain, "__init__", forgetting)
    with pytest.raises(AssertionError, match="norm"):
        assert_all_close(told(adjoint, probes=ALL_OF_THEM), frobenius(adjoint), EXACT)


def test_cotangents_of_one_state_alone_are_caught(monkeypatch):
    """The state is h and c together; a basis of h's part alone misses what comes to c."""
    adjoint, whole = adjoint_of(EVERY["lstm"], 6), Chain.identity

    def of_h(self):
        found = whole(self)
        found[self.size // 2 :] = 0
        return found

    monkeypatch.setattr(probes.Chain, "identity", of_h)
    with pytest.raises(AssertionError, match="norm"):
        assert_all_close(told(adjoint, probes=ALL_OF_THEM), frobenius(adjoint), EXACT)


# --- how often the interval holds the truth ------------------------------------------------------------------------

TRIALS, LAGS = 100, [1, 3, 6, 11]
SOME = [("lstm", 1), ("lstm", 4), ("gru", 1), ("gru", 4), ("rnn", 1), ("rnn", 4), ("layer norm lstm", 2)]


def held(adjoint, number):
    """In how many of 100 trials the truth lies in the interval, at each of LAGS."""
    truth = frobenius(adjoint)["norm"]
    trials = [jacobian_norms(adjoint, number, seed=seed) for seed in range(TRIALS)]
    inside = [(trial.low <= truth) & (truth <= trial.high) for trial in trials]
    return 100 * np.mean(inside, axis=0)[LAGS]


@pytest.mark.parametrize(("name", "number"), SOME)
def test_the_interval_holds_the_truth(name, number):
    share = held(adjoint_of(EVERY[name], 12, H=6), number)
    assert (share >= 95).all(), dict(zip(LAGS, share, strict=True))


def test_an_interval_half_as_wide_does_not(monkeypatch):
    half = [side / 2 for side in rank_one_interval(1, 12)]
    monkeypatch.setattr(probes, "rank_one_interval", lambda *arguments: half)
    assert not (held(adjoint_of(EVERY["lstm"], 12, H=6), 1) >= 95).all()


@pytest.mark.parametrize(("number", "size"), [(1, 8), (2, 8), (4, 1024), (8, 64), (16, 1024)])
def test_rank_one_is_the_worst_there_is(number, size):
    """Of products of rank one exactly LEVEL of all estimates are near enough; of no others are fewer."""
    random = np.random.default_rng(0)
    below, above = rank_one_interval(number, size)
    draws = 4000
    # Row lengths of random orthonormal columns, by as few directions as are needed: those a product lets through.
    most = min(size, 8)
    normal = random.normal(size=(draws, most, number))
    rest = random.chisquare(size - most, size=(draws, number)) if size > most else np.zeros((draws, number))
    for through in (1, 2, 3, most):
        for decay in (1.0, 0.3):
            weights = decay ** np.arange(through)
            estimates = _estimates(normal, rest, weights / weights.sum(), random, size)
            share = np.mean((0.5 * np.log10(estimates) <= -below) & (0.5 * np.log10(estimates) >= -above))
            assert share >= probes.LEVEL - 0.007, (through, decay)
            if through == 1:
                assert share <= probes.LEVEL + 0.007


def _estimates(normal, rest, weights, random, size):
    """|V^T P|^2 / C S for P of the given squared singular values, V a random frame of C columns."""
    draws, most, number = normal.shape
    # V = Z (Z^T Z)^(-1/2) with Z Gaussian; Z^T Z is the sum of what the first rows and all others contribute.
    others = size - most
    gram = np.einsum("dmi,dmj->dij", normal, normal)
    if others:
        gram = gram + _wishart(number, others, draws, random)
    V = np.linalg.solve(np.linalg.cholesky(gram), normal.transpose(0, 2, 1))
    return size / number * np.einsum("dim,m->d", V[:, :, : len(weights)] ** 2, weights)


def _wishart(n, freedom, draws, random):
    """Z^T Z of Gaussian Z, [freedom, n], by Bartlett's decomposition."""
    if freedom < n:
        Z = random.normal(size=(draws, freedom, n))
        return np.einsum("dmi,dmj->dij", Z, Z)
    lower = np.tril(random.normal(size=(draws, n, n)), -1)
    lower[:, range(n), range(n)] = np.sqrt(random.chisquare(freedom - np.arange(n), size=(draws, n)))
    return lower @ lower.transpose(0, 2, 1)


# --- known answers -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("gain", "T"), [(0.5, 10_000), (2.0, 1500)])
def test_ten_thousand_steps_stay_in_range(gain, T):
    """0.5^9999 is 1e-3010: neither that nor 2^1499 is a number in any format."""
    found = jacobian_norms(linear_run(gain * rotation(3), T), 2, steps=T)
    expected = np.arange(T) * math.log10(gain) + math.log10(3) / 2
    assert_all_close({"norm": found.estimate}, {"norm": expected}, EXACT)
    assert np.isfinite(found.low).all() and (found.low[1:] < found.estimate[1:]).all()


def test_a_product_that_is_zero_is_no_number():
    """A relu network of which every unit is off at one step: what is before it is gone."""
    adjoint = adjoint_of(EVERY["relu_rnn"], 7)
    adjoint.run.input[3], adjoint.run.states["h"][3] = 0, 0
    adjoint.run.weights["bias_hh"].fill_(-100.0)
    found = jacobian_norms(adjoint)
    assert np.isfinite(found.estimate[0]) and np.isnan(found.estimate[1:]).all() and not np.isinf(found.low).any()


def test_one_step_has_one_lag():
    found = jacobian_norms(adjoint_of(EVERY["gru"], 1, H=4))
    assert_all_close({"norm": found.estimate}, {"norm": np.array([math.log10(2)])}, EXACT)


def test_float32_runs():
    adjoint = adjoint_of(EVERY["lstm"], 12)
    run = adjoint.run
    narrow = probes.Run(
        run.cell,
        {name: value.float() for name, value in run.weights.items()},
        run.input.float(),
        {name: value.float() for name, value in run.initial.items()},
        {name: value.float() for name, value in run.states.items()},
        run.active,
        run.fresh,
    )
    actual = jacobian_norms(type(adjoint)(narrow), seed=4).estimate
    assert_all_close({"norm": actual}, {"norm": jacobian_norms(adjoint, seed=4).estimate}, 1e-5)


# --- the bound of a plain network ----------------------------------------------------------------------------------


def largest(adjoint):
    return np.array([math.log10(np.linalg.norm(product, 2)) for product in products(jacobians(adjoint)[0])])


@pytest.mark.parametrize("gain", [0.3, 1.0, 3.0])
@pytest.mark.parametrize("name", ["rnn", "relu_rnn"])
def test_the_bound_is_above_the_spectral_norm(name, gain):
    adjoint = adjoint_of(EVERY[name], 12, H=8, gain=gain, seed=2)
    found, bound = largest(adjoint), recurrent_bound(adjoint.run, np.arange(12))
    assert bound[0] == 0 and (bound >= found - EXACT).all()


def test_a_linear_relu_network_reaches_the_bound_and_none_lower_holds(monkeypatch):
    """All units on, and U symmetric: the bound is the norm. One of a smaller slope is refused."""
    adjoint = adjoint_of(EVERY["relu_rnn"], 10, H=5)
    U = rotation(5) @ np.diag([0.9, 0.5, 0.4, 0.2, 0.1]) @ rotation(5).T
    adjoint.run.weights["weight_hh"].copy_(torch.from_numpy(U))
    adjoint.run.weights["bias_hh"].fill_(100.0)
    bound = recurrent_bound(adjoint.run, range(10))
    assert_all_close({"norm": largest(adjoint)}, {"norm": bound}, EXACT)
    monkeypatch.setattr(probes, "STEEPEST", {"relu": 0.99})
    assert (recurrent_bound(adjoint.run, range(10))[1:] < largest(adjoint)[1:]).all()


@pytest.mark.parametrize("name", [name for name in EVERY if name not in ("rnn", "relu_rnn")])
def test_no_other_cell_has_a_bound(name):
    assert recurrent_bound(adjoint_of(EVERY[name], 2).run, [1, 2]) is None


def test_what_cannot_be_asked():
    adjoint = adjoint_of(Linear(), 3)
    with pytest.raises(ValueError, match="probes=0 and steps=None must be at least 1"):
        jacobian_norms(adjoint, 0)
    with pytest.raises(ValueError, match="steps=0"):
        jacobian_norms(adjoint, steps=0)
    with pytest.raises(IndexError, match=r"jacobian_norms: there is no row \[4\]"):
        jacobian_norms(adjoint, rows=[4])

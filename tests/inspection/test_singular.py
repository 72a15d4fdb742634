"""Singular values of Jacobian products, against NumPy's where that resolves them and closed forms where it does not."""

import numpy as np
import pytest
from comparing import assert_all_close
from inspection.known_runs import EVERY, adjoint_of, jacobians, linear_run, products, rotation
from inspection.watching import EXACT

from headgate.inspection import chain, singular
from headgate.inspection.singular import singular_values

WINDOWS = (1, 2, 6)
every_cell = pytest.mark.parametrize("cell", EVERY.values(), ids=EVERY)


def by_numpy(adjoint, windows, row=0):
    """Singular values [W, S], and the stable rank."""
    whole = products(jacobians(adjoint, row)[0])
    values = np.array([np.linalg.svd(whole[w], compute_uv=False) for w in windows])
    return values, (values**2).sum(-1) / values[:, 0] ** 2


def agree(adjoint, windows=WINDOWS, row=0, decades=5.0, tolerance=EXACT, **options):
    """Where NumPy can judge: it has an absolute error beside the largest value. As many as it has, and one at least."""
    found = singular_values(adjoint, windows, row=row, **options)
    values, rank = by_numpy(adjoint, windows, row)
    values = values[:, : found.log10.shape[1]]
    near = values > values[:, :1] * 10.0**-decades
    assert np.array_equal(found.windows, windows) and near[:, 0].all()
    actual = {f"window {w}": found.log10[k][near[k]] for k, w in enumerate(windows)}
    expected = {f"window {w}": np.log10(values[k][near[k]]) for k, w in enumerate(windows)}
    assert_all_close({**actual, "rank": found.stable_rank}, {**expected, "rank": rank}, tolerance)
    return found


@every_cell
def test_every_cell(cell):
    found = agree(adjoint_of(cell, 8, H=3, seed=6), count=100)
    assert found.exact and not found.moved.any()


@pytest.mark.parametrize("windows", [(1, 10, 100, 1000)])
def test_far_beyond_what_numbers_hold(windows):
    """A symmetric network: the k-th power of a matrix with singular values from 0.02 to 1.3, from 1e113 to 1e-1699."""
    decays = np.array([1.3, 0.99, 0.9, 0.899, 0.5, 0.02])
    U = rotation(6) @ np.diag(decays) @ rotation(6).T
    found = singular_values(linear_run(U, 1010), windows)
    assert_all_close({"log10": found.log10}, {"log10": np.outer(windows, np.log10(decays))}, EXACT)
    assert_all_close({"rank": found.stable_rank[-1]}, {"rank": 1.0}, EXACT)


def test_an_orthogonal_network_lets_everything_through():
    found = singular_values(linear_run(rotation(7), 200), (1, 150), count=3)
    assert found.log10.shape == (2, 3) and np.abs(found.log10).max() < EXACT
    assert_all_close({"rank": found.stable_rank}, {"rank": np.array([7.0, 7.0])}, EXACT)


@pytest.mark.parametrize("name", ["greff_nog", "greff_fgr"])
def test_what_does_not_come_through_is_no_number(name):
    """A state that follows from the others adds no direction: there are as many as there are others."""
    adjoint = adjoint_of(EVERY[name], 10, H=3)
    found = singular_values(adjoint, (1, 4, 9), count=100).log10
    free = found.shape[1] - 3
    assert np.isfinite(found[:, :free]).all() and np.isnan(found[:, free:]).all()


def test_rows_with_lengths_and_resets():
    adjoint = adjoint_of(EVERY["lstm"], 12, 5, 3, lengths=True, reset=True, seed=8)
    for row in range(5):
        sequences = jacobians(adjoint, row)
        if not sequences or len(sequences[0]) < 2:
            message = "no row takes a step" if not sequences else "takes 1 steps after its last reset"
            with pytest.raises(ValueError, match=message):
                singular_values(adjoint, row=row)
            continue
        longest = len(sequences[0]) - 1
        agree(adjoint, tuple(range(1, longest + 1)), row)
        assert singular_values(adjoint, (1, longest, longest + 1), row=row).windows[-1] == longest


# --- beyond the size up to which the product is made whole ---------------------------------------------------------

# Values that the iteration calls settled may still be off by a few times what it takes for that.
NEAR = 1e-3


@pytest.mark.parametrize("name", ["lstm", "gru", "layer norm lstm", "lstmp", "greff_fgr"])
def test_iteration_agrees_with_the_whole_product(name):
    adjoint = adjoint_of(EVERY[name], 60, H=16, seed=4)
    exact = singular_values(adjoint, (1, 7, 50), count=4)
    found = singular_values(adjoint, (1, 7, 50), count=4, limit=0)
    assert exact.exact and not found.exact and found.moved.max() < singular.SETTLED
    assert np.abs(found.log10 - exact.log10).max() < NEAR
    assert (found.log10 <= exact.log10 + EXACT).all(), "a part of a space lets no more through than all of it"
    assert np.abs(found.stable_rank / exact.stable_rank - 1).max() < 0.1


def test_too_few_passes_and_a_way_there_that_is_no_way_back_are_caught(monkeypatch):
    adjoint = adjoint_of(EVERY["lstm"], 20, H=16, seed=4)
    exact = singular_values(adjoint, (1, 7), count=4)
    with monkeypatch.context() as patch:
        patch.setattr(singular, "PASSES", 2)
        found = singular_values(adjoint, (1, 7), count=4, limit=0)
        assert np.abs(found.log10 - exact.log10).max() > NEAR and found.moved.max() >= singular.SETTLED
    with monkeypatch.context() as patch:
        patch.setattr(chain.Chain, "push", chain.Chain.pull)
        found = singular_values(adjoint, (1, 7), count=4, limit=0)
        assert np.abs(found.log10 - exact.log10).max() > NEAR


def test_a_lost_transpose_is_caught(monkeypatch):
    """J in the place of J^T has the same singular values at one step, and others over several."""
    adjoint = adjoint_of(EVERY["lstm"], 8, H=3, seed=6)
    monkeypatch.setattr(chain.Chain, "pull", chain.Chain.push)
    with pytest.raises(AssertionError, match="window 2") as error:
        agree(adjoint)
    assert "window 1" not in str(error.value)


def test_which_windows_there_are_unless_asked_otherwise():
    adjoint = adjoint_of(EVERY["gru"], 150, H=3)
    assert list(singular_values(adjoint).windows) == [1, 10, 100]
    assert list(singular_values(adjoint, (5, 500, 2, 5)).windows) == [2, 5]


def test_what_cannot_be_asked():
    adjoint = adjoint_of(EVERY["gru"], 5)
    with pytest.raises(ValueError, match=r"row 0 takes 5 steps .* shorter; got 5, 9"):
        singular_values(adjoint, (9, 5))
    with pytest.raises(ValueError, match=r"count=0 and each of windows=None"):
        singular_values(adjoint, count=0)
    with pytest.raises(ValueError, match=r"windows=\(0, 1\)"):
        singular_values(adjoint, (0, 1))
    with pytest.raises(IndexError, match="no row"):
        singular_values(adjoint, row=1)

"""Products whose rows carry logarithms of their lengths, against NumPy's and beyond what it can hold."""

import numpy as np
import pytest
from comparing import assert_all_close
from inspection.watching import EXACT

from headgate.inspection.graded import Graded


def factor(n, seed):
    return np.triu(np.random.default_rng(seed).normal(size=(n, n)))


@pytest.mark.parametrize("n", [1, 2, 5, 8])
def test_products_of_triangular_factors(n):
    product, whole = Graded.identity(n), np.eye(n)
    for seed in range(4):
        product, whole = product.times(factor(n, seed)), factor(n, seed) @ whole
    assert_all_close({"product": np.exp(product.logs)[:, None] * product.rows}, {"product": whole}, EXACT)
    values = np.linalg.svd(whole, compute_uv=False)
    assert_all_close({"values": np.exp(product.log_singular_values())}, {"values": values}, EXACT)
    assert_all_close({"norm": np.exp(product.log_frobenius())}, {"norm": np.linalg.norm(whole)}, EXACT)


@pytest.mark.parametrize("log_scale", [-3000.0, 3000.0])
def test_a_scale_moves_all_values_alike(log_scale):
    product = Graded.identity(5).times(factor(5, 1))
    moved = Graded(product.logs + log_scale, product.rows)
    values = {"values": moved.log_singular_values() - log_scale}
    assert_all_close(values, {"values": product.log_singular_values()}, EXACT)


def test_values_hundreds_of_decades_apart_are_all_found():
    """diag(e^logs) times a well-conditioned matrix: the volume is known, and the largest of any k rows."""
    rows = np.linalg.qr(np.random.default_rng(2).normal(size=(6, 6)))[0] + 0.2
    length = np.linalg.norm(rows, axis=1)
    logs = np.array([2000.0, 700.0, 100.0, -5.0, -900.0, -5000.0]) + np.log(length)
    rows = rows / length[:, None]
    values = Graded(logs[::-1].copy(), rows[::-1].copy()).log_singular_values()
    # So far apart, the values are the lengths of the rows' parts that are orthogonal to all rows above them.
    parts = np.abs(np.diag(np.linalg.qr(rows.T)[1]))
    assert_all_close({"values": values}, {"values": logs + np.log(parts)}, EXACT)


def test_rows_of_zeros_have_no_logarithm():
    whole = factor(4, 3)
    whole[2:] = 0
    values = Graded.identity(4).times(whole).log_singular_values()
    expected = np.linalg.svd(whole, compute_uv=False)
    assert_all_close({"values": values[:2]}, {"values": np.log(expected[:2])}, EXACT)
    assert np.isneginf(values[2:]).all()
    nothing = Graded.identity(3).times(np.zeros((3, 3)))
    assert np.isneginf(nothing.log_singular_values()).all() and nothing.log_frobenius() == -np.inf


def test_a_product_in_the_wrong_order_is_caught():
    product = Graded.identity(4).times(factor(4, 1)).times(factor(4, 0))
    values = np.linalg.svd(factor(4, 1) @ factor(4, 0), compute_uv=False)
    with pytest.raises(AssertionError, match="values"):
        assert_all_close({"values": np.exp(product.log_singular_values())}, {"values": values}, EXACT)

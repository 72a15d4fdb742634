"""The comparison that all other tests rest on can fail, and says what differs."""

import numpy as np
import pytest
import torch
from comparing import assert_all_close
from tolerances import TOLERANCE

EXPECTED = {"output": np.array([[1.0, -2.0], [3.0, 4.0]]), "d_input": np.array([0.5, -0.25]), "d_bias": np.zeros(2)}


def changed(**entries):
    return {**{name: value.copy() for name, value in EXPECTED.items()}, **entries}


def test_equal_values_pass():
    assert_all_close(changed(), EXPECTED, 1e-10)


def test_a_deviation_within_the_tolerance_passes():
    """Relative to the entry's largest magnitude, 4: so 3e-6 is an error of 7.5e-7."""
    assert_all_close(changed(output=EXPECTED["output"] + [[3e-6, 0], [0, 0]]), EXPECTED, 1e-6)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"d_input": -EXPECTED["d_input"]}, r"d_input: relative error 2.00e\+00 at \(0,\): -0.5 instead of 0.5"),
        ({"output": EXPECTED["output"] + [[0, 0], [0, 5e-6]]}, r"output: relative error 1.25e-06 at \(1, 1\)"),
        ({"output": EXPECTED["output"].T}, r"output: relative error"),
        ({"output": EXPECTED["output"] * np.nan}, r"output: actual value is not finite at \(0, 0\)"),
        ({"d_input": np.array([0.5, np.inf])}, r"d_input: actual value is not finite at \(1,\)"),
        ({"output": np.ones((2, 1))}, r"output: shape \(2, 1\) instead of \(2, 2\)"),
        ({"d_input": np.array(0.5)}, r"d_input: shape \(\) instead of \(2,\)"),
        ({"d_bias": np.array([0.0, 1e-300])}, r"d_bias: relative error inf at \(1,\)"),
        ({"final_h": np.zeros(2)}, r"final_h: not expected"),
    ],
    ids=["sign", "one number", "transposed", "nan", "inf", "broadcastable", "scalar", "not zero", "extra name"],
)
def test_a_difference_is_refused_and_named(entries, message):
    with pytest.raises(AssertionError, match=message):
        assert_all_close(changed(**entries), EXPECTED, 1e-6)


def test_a_missing_entry_is_refused():
    with pytest.raises(AssertionError, match="d_bias: missing"):
        assert_all_close({name: EXPECTED[name] for name in ("output", "d_input")}, EXPECTED, 1e-6)


def test_every_entry_that_differs_is_named():
    wrong = changed(output=-EXPECTED["output"], d_bias=np.ones(2))
    with pytest.raises(AssertionError) as refused:
        assert_all_close(wrong, EXPECTED, 1e-6)
    assert "2 differ" in str(refused.value)
    assert "output:" in str(refused.value) and "d_bias:" in str(refused.value) and "d_input" not in str(refused.value)


def test_a_truth_that_is_not_finite_is_refused():
    """NaN compared with NaN proves nothing."""
    broken = changed(output=EXPECTED["output"] * np.nan)
    with pytest.raises(AssertionError, match="output: actual value is not finite"):
        assert_all_close(broken, broken, 1e-6)
    with pytest.raises(AssertionError, match="output: expected value is not finite"):
        assert_all_close(changed(), broken, 1e-6)


def test_a_tolerance_that_is_not_a_number_passes_nothing():
    with pytest.raises(AssertionError, match="output"):
        assert_all_close(changed(output=EXPECTED["output"] + 1), EXPECTED, float("nan"))


def test_nothing_expected_is_refused():
    with pytest.raises(AssertionError, match="nothing was expected"):
        assert_all_close({}, {}, 1.0)


def test_no_tolerance_is_so_wide_that_a_flipped_sign_would_pass():
    """A flipped sign is an error of 2; half precision gets a tenth of that at most."""
    assert {dtype for _, dtype in TOLERANCE} >= {torch.float64, torch.float32, torch.bfloat16}
    assert max(TOLERANCE.values()) <= 0.2
    assert all(value <= 1e-6 for (_, dtype), value in TOLERANCE.items() if dtype == torch.float64)

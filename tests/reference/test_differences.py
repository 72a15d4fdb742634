"""Complex-step differences are the witness of every gradient, so they get one of their own."""

import numpy as np
import pytest
from comparing import assert_all_close
from reference.cases import CELLS, case_of
from tolerances import TOLERANCE
from torch import float64

from headgate import cells
from headgate.cells import operations
from headgate.reference import differences, random_case, unroll

STEP = 1e-6


def central_differences(case):
    """(f(v + e) - f(v - e)) / 2e for every number v: real arithmetic alone, good to some nine digits."""
    gradients = {}
    for name, value in case.variables.items():
        gradients[name] = np.empty(value.shape)
        for index in np.ndindex(value.shape):
            losses = []
            for side in (1, -1):
                moved = value.copy()
                moved[index] += side * STEP
                losses.append(case.loss(unroll(case.with_variables({**case.variables, name: moved}))))
            gradients[name][index] = (losses[0] - losses[1]) / (2 * STEP)
    return gradients


@pytest.mark.parametrize(
    ("name", "options"), [("greff_fgrp", "plain"), ("reset_before_gru", "lengths reset reverse no bias")]
)
def test_complex_step_agrees_with_central_differences(name, options):
    case = case_of(name, (3, 3, 2), options)
    assert_all_close(differences(case), central_differences(case), TOLERANCE["central differences", float64])


def test_a_gradient_with_a_flipped_sign_is_refused_by_central_differences():
    case = case_of("rnn", (2, 2, 2))
    found = differences(case)
    with pytest.raises(AssertionError, match="weight_hh"):
        wrong = {**found, "weight_hh": -found["weight_hh"]}
        assert_all_close(wrong, central_differences(case), TOLERANCE["central differences", float64])


DERIVATIVES = {
    "sigmoid": lambda v: np.exp(-v) / (1 + np.exp(-v)) ** 2,
    "tanh": lambda v: 1 / np.cosh(v) ** 2,
    "relu": lambda v: np.where(v > 0, 1.0, 0.0),
    "exp": np.exp,
    "log": lambda v: 1 / v,
    "sqrt": lambda v: 0.5 * v**-0.5,
    "positive": np.zeros_like,
}
POINTS = np.array([0.125, 0.5, 1.0, 2.5])


def test_every_function_has_a_derivative_here():
    assert set(DERIVATIVES) == set(operations.FUNCTIONS)


@pytest.mark.parametrize("function", DERIVATIVES)
def test_functions_are_analytic_on_arrays(function):
    """A function that dropped the imaginary part, or took a modulus, would make every difference zero or wrong."""
    points = POINTS if function in ("log", "sqrt") else np.concatenate([-POINTS, POINTS])
    found = np.imag(operations.FUNCTIONS[function](points + 1e-30j)) / 1e-30
    assert_all_close({function: found}, {function: DERIVATIVES[function](points)}, TOLERANCE["restated", float64])


@pytest.mark.parametrize("function", DERIVATIVES)
def test_functions_mean_the_same_on_numbers_and_arrays(function):
    points = POINTS if function in ("log", "sqrt") else np.concatenate([-POINTS, POINTS])
    on_arrays = operations.FUNCTIONS[function](points)
    on_numbers = np.array([operations.FUNCTIONS[function](float(v)) for v in points])
    assert_all_close({function: on_numbers}, {function: on_arrays}, TOLERANCE["restated", float64])


@pytest.mark.parametrize("value", [800.0, -800.0])
def test_the_sigmoid_neither_overflows_nor_warns(value):
    with np.errstate(all="raise"):
        assert cells.sigmoid(np.array([value]))[0] == (value > 0)
    assert cells.sigmoid(value) == (value > 0)


def test_every_variable_is_differentiated():
    case = random_case(CELLS["greff_fgrp"], 2, 1, 2, O=1)
    found = differences(case)
    assert {name: value.shape for name, value in found.items()} == {n: v.shape for n, v in case.variables.items()}
    assert all(value.any() for value in found.values())

"""Gradients of the reference by differences, without a line of calculus."""

from __future__ import annotations

import numpy as np

from headgate.reference.case import Arrays, Case
from headgate.reference.unroll import unroll

STEP = 1e-30


def differences(case: Case) -> Arrays:
    """Gradients of the loss with respect to every variable, by complex-step differences.

    Im f(x + i e) / e differs from f'(x) by terms of order e**2 and cancels nothing (Squire & Trapp 1998), so the
    result is exact to rounding; it needs one run per number, so cases are small.
    """
    gradients = {}
    for name, value in case.variables.items():
        gradient = np.empty(value.shape)
        for index in np.ndindex(value.shape):
            moved = value.astype(np.complex128)
            moved[index] += 1j * STEP
            gradient[index] = np.imag(case.loss(unroll(case.with_variables({**case.variables, name: moved})))) / STEP
        gradients[name] = gradient
    return gradients


def value_and_gradients(case: Case) -> Arrays:
    """What every engine is compared with: outputs, final states, and `d_<variable>` for each variable."""
    values = unroll(case)
    compared = {name: value for name, value in values.items() if not name.startswith("states_")}
    return compared | {f"d_{name}": value for name, value in differences(case).items()}

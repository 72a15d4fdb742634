"""Eigenvalues of one-step Jacobians, against known ones and NumPy's."""

import math

import numpy as np
import pytest
from comparing import assert_all_close
from inspection.known_runs import EVERY, adjoint_of, linear_run, rotation
from inspection.watching import EXACT

from headgate.inspection.chain import Chain
from headgate.inspection.eigenvalues import eigenvalues

every_cell = pytest.mark.parametrize("cell", EVERY.values(), ids=EVERY)


def in_order(values):
    """By modulus; two of a conjugate pair by their imaginary parts."""
    return np.array(sorted(values, key=lambda z: (-round(abs(z), 9), round(z.real, 9), z.imag)))


def agree(adjoint, row=0):
    found = eigenvalues(adjoint, 3, row)
    expected = {f"step {t}": in_order(np.linalg.eigvals(adjoint.jacobian(int(t), row).numpy())) for t in found.steps}
    actual = {f"step {t}": in_order(values) for t, values in zip(found.steps, found.values, strict=True)}
    assert (np.diff(np.abs(found.values), axis=-1) <= EXACT).all()
    assert_all_close(actual, expected, 1e-7)  # of a defective Jacobian, eigenvalues move with the root of rounding


@every_cell
def test_every_cell(cell):
    agree(adjoint_of(cell, 5, 2, 3, seed=2), row=1)


def test_known_ones():
    """A turn by 30 degrees that fades, and a mode that stays."""
    U = np.zeros((3, 3))
    U[:2, :2] = 0.9 * np.array([[math.cos(math.pi / 6), -0.5], [0.5, math.cos(math.pi / 6)]])
    U[2, 2] = 1.0
    turned = rotation(3) @ U @ rotation(3).T
    found = eigenvalues(linear_run(turned, 4), count=2)
    expected = in_order([1.0, *(0.9 * np.exp(sign * 1j * math.pi / 6) for sign in (1, -1))])
    for values in found.values:
        assert_all_close({"values": in_order(values)}, {"values": expected}, EXACT)


def test_a_lost_input_of_the_step_is_caught(monkeypatch):
    """Eigenvalues at another step than the one that is named."""
    whole = Chain.dense
    monkeypatch.setattr(Chain, "dense", lambda self, t: whole(self, max(0, t - 1)))
    with pytest.raises(AssertionError, match="step 2"):
        agree(adjoint_of(EVERY["gru"], 5, H=3))


@pytest.mark.parametrize(
    ("count", "spread", "expected"),
    [
        (1, "even", [99]),
        (3, "even", [0, 50, 99]),
        (3, "log", [0, 90, 99]),
        (6, "log", [0, 60, 84, 94, 97, 99]),
        (1000, "even", range(100)),
        (1000, "log", range(100)),
    ],
)
def test_which_steps(count, spread, expected):
    found = eigenvalues(linear_run([[0.5]], 100), count, spread=spread)
    assert list(found.steps) == list(expected) and found.values.shape == (len(expected), 1)


def test_a_row_has_steps_of_its_own():
    adjoint = adjoint_of(EVERY["lstm"], 9, 5, lengths=True, reverse=True, seed=3)
    for row, active in enumerate(adjoint.run.active[..., 0].numpy().T):
        if active.any():
            assert list(eigenvalues(adjoint, 100, row).steps) == list(np.flatnonzero(active))
        else:
            with pytest.raises(ValueError, match="no row takes a step"):
                eigenvalues(adjoint, row=row)


def test_what_cannot_be_asked():
    adjoint = adjoint_of(EVERY["lstm"], 4)
    with pytest.raises(ValueError, match=r"state has 8 numbers, .* up to 7; raise limit=, or"):
        eigenvalues(adjoint, limit=7)
    with pytest.raises(ValueError, match="spread='odd' and count=8; give 'even' or 'log'"):
        eigenvalues(adjoint, spread="odd")
    with pytest.raises(ValueError, match="count=0"):
        eigenvalues(adjoint, 0)
    with pytest.raises(IndexError, match="no row"):
        eigenvalues(adjoint, row=1)

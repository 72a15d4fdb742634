"""The functions of passes in float32: to a few units in the last place, by every instruction set that runs here."""

import numpy as np
import pytest
from engines.test_brief import Sigmoid, Tanh, changed_header, forget_passes, passed
from scipy.special import expit

from headgate.engines.cpu import library, own_cells

pytestmark = pytest.mark.skipif(
    library.library() is None or own_cells.compiler() is None, reason="the functions are compiled here"
)
FEW = 4  # units in the last place
SMALLEST = np.finfo(np.float32).tiny
EVERYWHERE = np.arange(int(SMALLEST.view(np.uint32)), 0x7F800000, 4099, dtype=np.uint32).view(np.float32)
VALUES = np.concatenate([EVERYWHERE, -EVERYWHERE, np.linspace(-87, 87, 400_001, dtype=np.float32), np.zeros(1, "f4")])
# Beyond, its values are no normal numbers of float32.
OF_SIGMOID = VALUES[VALUES >= -87]


@pytest.fixture(params=library.INSTRUCTIONS)
def isa(request, monkeypatch):
    if library.INSTRUCTIONS.index(request.param) > library.INSTRUCTIONS.index(library.instructions()):
        pytest.skip(f"this processor has no {request.param}")
    monkeypatch.setattr(library, "instructions", lambda: request.param)
    forget_passes()
    yield request.param
    forget_passes()


def sigmoid_error():
    """The largest one in units in the last place."""
    return units_off(passed(Sigmoid, OF_SIGMOID, brief=False), expit(OF_SIGMOID.astype(np.float64)))


def tanh_error():
    return units_off(passed(Tanh, VALUES, brief=False), np.tanh(VALUES.astype(np.float64)))


def units_off(found, exact):
    unit = np.spacing(np.maximum(np.abs(exact), SMALLEST).astype(np.float32))
    return (np.abs(found - exact) / unit).max()


def test_sigmoid(isa):
    assert sigmoid_error() < FEW


def test_tanh(isa):
    assert tanh_error() < FEW


@pytest.mark.parametrize("error", [sigmoid_error, tanh_error], ids=["sigmoid", "tanh"])
def test_a_term_too_few_is_seen(error, isa, tmp_path, monkeypatch):
    with changed_header("lanes.h", "int terms = 7;", "int terms = 5;", tmp_path, monkeypatch):
        assert error() > FEW

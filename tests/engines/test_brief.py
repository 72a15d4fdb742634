"""The functions of passes beside products of bfloat16: to four digits, of what is small of them, too."""

import ctypes
import shutil
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import expit

from headgate.cells import Cell, State, sigmoid, tanh
from headgate.engines.cpu import library, own_cells, printed

pytestmark = pytest.mark.skipif(
    library.library() is None or library.instructions() != "avx512" or own_cells.compiler() is None,
    reason="brief functions are AVX-512's own, and compiled here",
)
# Every finite number of bfloat16 that float32 has as a normal one, and zeros.
BITS = np.arange(2**16, dtype=np.uint32) << 16
EVERY = BITS.view(np.float32)[np.isin(BITS >> 23 & 0xFF, range(1, 0xFF))]
SMALLEST = np.finfo(np.float32).tiny


class Sigmoid(Cell):
    """h = sigmoid(x + U h)."""

    gates = "a"
    states = "h"

    def step(self, x, U, s):
        return State(h=sigmoid(x.a + U.a(s.h)))


class Tanh(Cell):
    """h = tanh(x + U h)."""

    gates = "a"
    states = "h"

    def step(self, x, U, s):
        return State(h=tanh(x.a + U.a(s.h)))


class Tile(ctypes.Structure):
    """`hg_tile` of headgate.h."""

    _fields_ = [
        *((name, ctypes.c_int64) for name in ("rows", "units", "valid")),
        *((name, ctypes.c_void_p) for name in ("in_", "in_stride", "out", "out_stride")),
        ("keep", ctypes.c_int32),
        ("from_", ctypes.c_int64),
    ]


def passed(cell, values, *, brief=True):
    """A cell's function of float32 numbers, by its compiled pass."""
    units = -(-len(values) // library.BLOCK) * library.BLOCK
    given, nothing, found = np.zeros((3, units), np.float32)
    given[: len(values)] = values
    pointers, strides = ctypes.c_void_p * 2, (ctypes.c_int64 * 2)(units, units)
    inputs, outputs = pointers(given.ctypes.data, nothing.ctypes.data), pointers(found.ctypes.data)
    addresses = [ctypes.addressof(held) for held in (inputs, strides, outputs, strides)]
    point = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(printed.point_of(cell(), "forward", 0, torch.float32, brief=brief))
    point(ctypes.byref(Tile(1, units, units, *addresses, 0, 0)))
    return found[: len(values)]


def sigmoid_error():
    """Relative, of whichever is smaller, sigmoid(x) or what it lacks to 1, beyond what float32 cannot say."""
    values = EVERY.astype(np.float64)
    unsaid = 2.0**-23 * expit(values) + SMALLEST
    deviation = np.abs(passed(Sigmoid, EVERY) - expit(values))
    return (np.maximum(deviation - unsaid, 0) / np.maximum(expit(-np.abs(values)), SMALLEST)).max()


def tanh_error():
    values = EVERY.astype(np.float64)
    return (np.abs(passed(Tanh, EVERY) - np.tanh(values)) / np.abs(np.tanh(values))).max()


def test_sigmoid():
    assert sigmoid_error() < 1.1e-4


def test_tanh():
    assert tanh_error() < 2e-5


def test_at_the_ends():
    ends = np.array([0, -0.0, np.inf, -np.inf, np.nan], np.float32)
    np.testing.assert_allclose(passed(Sigmoid, ends), [0.5, 0.5, 1, 0, np.nan], rtol=0, atol=SMALLEST)
    np.testing.assert_array_equal(passed(Tanh, ends), np.array([0, 0, 1, -1, np.nan], np.float32))


@contextmanager
def changed_header(name, right, wrong, folder, monkeypatch):
    """Passes are compiled with a header in which something stands wrong."""
    headers = folder / "include"
    shutil.copytree(Path(__file__).resolve().parents[2] / "csrc/include", headers)
    text = (headers / name).read_text()
    assert text.count(right) == 1
    (headers / name).write_text(text.replace(right, wrong))
    monkeypatch.setattr(own_cells, "_headers", lambda: headers)
    forget_passes()
    try:
        yield
    finally:
        forget_passes()


def forget_passes():
    for kept in (own_cells.compiled, printed.point_of):
        kept.cache_clear()


@pytest.mark.parametrize(
    ("right", "wrong", "error"),
    [("0.22630768f", "0.226f", sigmoid_error), ("0.00961809f", "0.0f", tanh_error)],
    ids=["sigmoid", "tanh"],
)
def test_a_wrong_number_is_seen(right, wrong, error, tmp_path, monkeypatch):
    with changed_header("brief.h", right, wrong, tmp_path, monkeypatch):
        assert error() > 1.2e-4

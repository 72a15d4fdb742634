"""Masks from a counter-based generator: the same bits for every engine, device and number of threads.

A mask is a function of a seed, the time t in the padded input [T, B, ...], the row b of the batch, the index k of the
state among the cell's states, and the unit u; nothing has to be kept for the way back. In 64-bit arithmetic without
sign, modulo 2**64,

    mix(v) = z3 ^ (z3 >> 31)                         the output function of splitmix64 (Steele, Lea & Flood 2014)
        z1 = v + 0x9E3779B97F4A7C15
        z2 = (z1 ^ (z1 >> 30)) * 0xBF58476D1CE4E5B9
        z3 = (z2 ^ (z2 >> 27)) * 0x94D049BB133111EB
    key = mix(mix(mix(mix(seed) ^ t) ^ b) ^ k)

and in 32-bit arithmetic, for each unit, Philox2x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2,
3") with the counter (c0, c1) = (u, key >> 32) and the key q = key & 0xFFFFFFFF: ten rounds of

    (c0, c1) = (high(0xD256D193 * c0) ^ q ^ c1, low(0xD256D193 * c0)),  q = q + 0x9E3779B9

where q grows between rounds. The mask is 1 where the first word c0 < floor(rate * 2**32).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from headgate.cells import Cell
from headgate.cells.cell import Named

_U64, _LOW = np.uint64, np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)


def mix(value: np.ndarray) -> np.ndarray:
    """splitmix64's output function of `value`, uint64."""
    z = value + _U64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> _U64(30))) * _U64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> _U64(27))) * _U64(0x94D049BB133111EB)
    return z ^ (z >> _U64(31))


def philox2x32(counter: tuple[np.ndarray, np.ndarray], key: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Philox2x32-10: both words of output, each 32 bits in uint64."""
    c0, c1 = counter
    for _ in range(10):
        product = _U64(0xD256D193) * c0
        c0, c1 = (product >> _HALF) ^ key ^ c1, product & _LOW
        key = (key + _U64(0x9E3779B9)) & _LOW
    return c0, c1


def limit(rate: float) -> int:
    """The word from which on a mask is 0."""
    return math.floor(rate * 2**32)


def mask(seed: int, t: int, rows: int, k: int, units: int, rate: float) -> np.ndarray:
    """One state's mask at one step, [rows, units] bool.

    Args:
        seed: 64 bits; a negative one stands for the same bits without sign.
        t, k: time and index of the state.
        rate: how often the mask is 1.
    """
    # An array of one, since NumPy warns where a lone number wraps around.
    first = mix(np.array([seed % 2**64], _U64)) ^ _U64(t)
    key = mix(mix(mix(first) ^ np.arange(rows, dtype=_U64)) ^ _U64(k))[:, None]
    word, _ = philox2x32((np.arange(units, dtype=_U64)[None], key >> _HALF), key & _LOW)
    return word < _U64(limit(rate))


def masks(cell: Cell, seed: int, t: int, rows: int, size: Callable[[str], int]) -> Named:
    """`m` of one training step: each mask of the cell by its state, bool.

    Args:
        cell: whose.
        seed, t, rows: as in `mask`.
        size: units of a state.
    """
    index = {name: k for k, name in enumerate(cell.state_names)}
    return Named(
        (name, mask(seed, t, rows, index[name], size(name), cell.rates[name])) for name in cell.mask_names
    )

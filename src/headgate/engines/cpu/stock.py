"""Large memory that one call leaves to the next, since the system clears every page that it gives anew.

Outputs and gradients lie in it, too: where the system took back an output of 2 MB after every call and gave it again,
that was a quarter of the call.

A block that nothing uses any more comes back by itself; as many bytes as `IDLE` wait for a next call, and the rest goes
to the system.
"""

from __future__ import annotations

import math
import weakref

import numpy as np
import torch
from torch import Tensor

from headgate.engines.cpu.buffers import LARGE, PAGE, room

IDLE = 1 << 28
# What is smaller is left to torch: to lend it costs some microseconds.
SMALLEST = 1 << 17
# Blocks that wait, by their identity, those that came first in front. Every change is one operation of the dict, so
# that neither threads nor a garbage collection amid another change can come between.
_idle: dict[int, np.ndarray] = {}


def from_stock(*shape: int, dtype: torch.dtype) -> Tensor:
    """Memory, not cleared; where it is large, from an earlier call if there is some.

    Tensors on it are torch's own, but for that they cannot be resized; a block may be an eighth larger than what is
    asked for.
    """
    size = math.prod(shape) * dtype.itemsize
    if size < SMALLEST:
        return torch.empty(shape, dtype=dtype, device="cpu")
    whole = _rounded(size)
    block = _waiting(whole)
    if block is None:
        block = room(whole, dtype=torch.uint8).numpy()
    # Whatever tensor uses the memory holds this array; when the last of them goes, the block is free.
    loan = block[:size]
    weakref.finalize(loan, _take_back, block).atexit = False
    return torch.from_numpy(loan).view(dtype).view(shape)


def _rounded(size: int) -> int:
    """Up to a size that others come to as well, such as those of batches a few steps longer."""
    step = max(PAGE if size >= LARGE else 1, 1 << (size.bit_length() - 4))
    return -(-size // step) * step


def _waiting(size: int) -> np.ndarray | None:
    """A block of this size, taken out of the stock."""
    for key, block in _idle.copy().items():
        if block.nbytes == size and _idle.pop(key, None) is not None:
            return block
    return None


def _take_back(block: np.ndarray) -> None:
    _idle[id(block)] = block
    waiting = _idle.copy()
    excess = sum(each.nbytes for each in waiting.values()) - IDLE
    for key, each in waiting.items():
        if excess <= 0:
            break
        _idle.pop(key, None)
        excess -= each.nbytes

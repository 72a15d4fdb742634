"""Pieces of time: equal stretches of steps over which a long sequence is pooled."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def edges(T: int, at_most: int, reverse: bool = False) -> np.ndarray:
    """Where pieces of time begin and the last one ends, [bins + 1], in the order of the run.

    All have the same width but the one at the end of time, which may be shorter.

    Args:
        T: steps.
        at_most: pieces.
        reverse: the run goes from the end of time to its beginning, so the shorter piece is its first.

    Raises:
        ValueError: fewer than one piece.
    """
    if at_most < 1:
        raise ValueError(f"pieces of time: {at_most} were asked for, but at least 1 is needed.")
    width = max(1, -(-T // at_most))
    found = np.append(np.arange(0, T, width), T)
    return T - found[::-1] if reverse else found


def piece_of(edges: np.ndarray, start: int, stop: int) -> Tensor:
    """Which piece each of the steps start..stop is in, [n]."""
    return torch.from_numpy(np.searchsorted(edges, np.arange(start, stop), side="right") - 1)

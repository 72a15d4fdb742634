"""Where a cell's printed passes are: in the library, or compiled for a cell of the user's own."""

from __future__ import annotations

import torch

from headgate.cells import Cell
from headgate.engines.cpu import library
from headgate.graph.printed import printed


def is_there(cell: Cell) -> bool:
    """Whether the passes of a cell are compiled."""
    return cell in printed()


def point_of(cell: Cell, way: str, k: int, dtype: torch.dtype) -> int:
    """The address of the k-th pass of a cell, "forward" or "backward"."""
    return library.point(f"{printed()[cell]}_{way}_{k}", dtype)

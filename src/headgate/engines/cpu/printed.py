"""Where a cell's printed passes are: in the library, or compiled for a cell of the user's own."""

from __future__ import annotations

import ctypes
from functools import cache

import torch

from headgate.cells import Cell
from headgate.engines.cpu import library, own_cells
from headgate.graph.printed import printed_name


def reason_against(cell: Cell) -> str | None:
    """Why the passes of a cell cannot be had, or None."""
    if printed_name(cell) is not None or own_cells.compiler() is not None:
        return None
    reason = f"{cell.name} is not among the cells compiled beforehand, and there is no C++ compiler to compile it with"
    own_cells.say_once(f'{reason}, so engine="cpu" cannot run it and a slower one does.')
    return reason


@cache
def point_of(cell: Cell, way: str, k: int, dtype: torch.dtype, *, brief: bool) -> int:
    """The address of the k-th pass of a cell, "forward" or "backward".

    Args:
        cell, way, k: which.
        dtype: of its numbers.
        brief: with functions to four digits, for products of bfloat16 by AMX; numbers are float32.

    Raises:
        RuntimeError: as `own_cells.compiled`.
    """
    home, name = library.library(), printed_name(cell)
    if name is None:
        home, name = own_cells.compiled(cell, brief=brief), own_cells.NAME
    number = library.PRODUCT_NUMBER[torch.bfloat16 if brief else dtype]
    function = getattr(home, f"{name}_{way}_{k}_{library.instructions()}_{number}")
    return ctypes.cast(function, ctypes.c_void_p).value

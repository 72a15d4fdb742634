"""Memory of one run, laid out as the compiled engine expects it."""

from __future__ import annotations

import torch
from torch import Tensor

from headgate.engines.cpu.library import BLOCK, library

PAGE = 1 << 21
# Memory of two large pages has one in it wherever it begins.
LARGE = 2 * PAGE


def padded(size: int) -> int:
    """A number of units, rounded up to whole blocks."""
    return -(-size // BLOCK) * BLOCK


def room(*shape: int, dtype: torch.dtype) -> Tensor:
    """Memory, not cleared: in large pages where it is large and the system has them."""
    made = torch.empty(shape, dtype=dtype, device="cpu")
    if made.nbytes >= LARGE:
        library().hg_large_pages(made.data_ptr(), made.nbytes)
    return made


def room_to_reread(numbers: int, *, dtype: torch.dtype) -> Tensor:
    """Memory that is read at every step, not cleared: all of it in large pages, where it fills one.

    Small pages lie wherever the system had one, and drive each other out of a cache that could hold them all.
    """
    size = numbers * dtype.itemsize
    if size < PAGE:
        return torch.empty(numbers, dtype=dtype, device="cpu")
    pages = -(-size // PAGE) * PAGE
    made = torch.empty(pages + PAGE, dtype=torch.uint8, device="cpu")
    start = -made.data_ptr() % PAGE
    library().hg_large_pages(made.data_ptr() + start, pages)
    return made[start : start + size].view(dtype)


def with_slack(rows: int, columns: int, dtype: torch.dtype) -> Tensor:
    """[rows, columns] that may be read a block beyond its end."""
    return room(rows * columns + BLOCK, dtype=dtype)[: rows * columns].view(rows, columns)


def pad_units(value: Tensor) -> Tensor:
    """[B, S] as [B, padded(S)], contiguous, zeros in the padding."""
    missing = padded(value.shape[-1]) - value.shape[-1]
    return torch.nn.functional.pad(value, (0, missing)) if missing else value.contiguous()


def without_padding(value: Tensor, size: int) -> Tensor:
    """[B, padded(size)] as [B, size], a view."""
    return value if value.shape[1] == size else value[:, :size]


class Columns:
    """Several values side by side for every row: where each stands.

    Args:
        sizes: units of each value.
    """

    def __init__(self, sizes: list[int]) -> None:
        self.sizes = sizes
        self.start = [0]
        for size in sizes:
            self.start.append(self.start[-1] + padded(size))

    @property
    def width(self) -> int:
        return self.start[-1]

    def view(self, buffer: Tensor, first: int, count: int = 1) -> Tensor:
        """`count` values from `first` on, [rows, count * size], without padding; a copy only where there is some."""
        size = self.sizes[first]
        begin, end = self.start[first], self.start[first + count]
        whole = buffer if (begin, end) == (0, self.width) else buffer[:, begin:end]
        if padded(size) == size:
            return whole
        return whole.unflatten(1, (count, padded(size)))[:, :, :size].flatten(1)

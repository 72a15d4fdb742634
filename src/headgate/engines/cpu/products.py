"""Products that sum over all steps and rows at once: where the gradients of weights come from."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import torch
from torch import Tensor

from headgate.engines.cpu import library
from headgate.engines.cpu.buffers import padded


@dataclass(frozen=True)
class Stacked:
    """[N, C] in two parts, one above the other, that need not lie together."""

    above: Tensor
    below: Tensor | None = None

    def to(self, dtype: torch.dtype) -> Tensor:
        """As one tensor of another dtype."""
        parts = [part.to(dtype) for part in (self.above, self.below) if part is not None]
        return torch.cat(parts) if len(parts) > 1 else parts[0]


def sum_products(left: Tensor, rights: list[Stacked]) -> tuple[list[Tensor], Tensor]:
    """left^T right for each of several right sides, and the sum of left's rows; left is read from memory once.

    Args:
        left: [N, M], its rows contiguous.
        rights: [N, C] each.

    Returns:
        The products, [M, C] each, and the sum, [M].
    """
    left = left if left.stride(1) == 1 else left.contiguous()
    N, M = left.shape
    total = left.new_empty(M)
    results = [left.new_empty(M, padded(right.above.shape[1])) for right in rights]
    held = library.array_of(library.Right, len(rights))()
    for slot, right, result in zip(held, rights, results, strict=True):
        parts = [part for part in (right.above, right.below) if part is not None]
        for k, part in enumerate(parts):
            slot.part[k], slot.stride[k] = part.data_ptr(), part.stride(0)
        slot.first, slot.columns, slot.result = len(right.above), right.above.shape[1], result.data_ptr()
    job = library.Summing(
        left.data_ptr(), left.stride(0), N, M, total.data_ptr(), held, len(rights), torch.get_num_threads()
    )
    library.entry("hg_sum", left.dtype)(ctypes.byref(job))
    cut = [
        result if result.shape[1] == right.above.shape[1] else result[:, : right.above.shape[1]].contiguous()
        for result, right in zip(results, rights, strict=True)
    ]
    return cut, total

"""Products of all steps and rows at once: where the gradients of weights and of the input come from."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import torch
from torch import Tensor

from headgate.engines.contract import as_dtype
from headgate.engines.cpu import library, structures
from headgate.engines.cpu.stock import from_stock


@dataclass(frozen=True)
class Stacked:
    """[N, C] in two parts, one above the other, that need not lie together."""

    above: Tensor
    below: Tensor | None = None


def sum_products(left: Tensor, rights: list[Stacked], products: torch.dtype) -> tuple[list[Tensor], Tensor]:
    """left^T right for each of several right sides, and the sum of left's rows.

    Args:
        left: [N, M], its rows contiguous.
        rights: [N, C] each, of the same dtype.
        products: what both are rounded to before they are multiplied; bfloat16 or the same dtype.

    Returns:
        The products, [M, C] each, and the sum, [M].
    """
    left = left if left.stride(1) == 1 else left.contiguous()
    N, M = left.shape
    total = left.new_empty(M)
    results = [from_stock(M, right.above.shape[1], dtype=left.dtype) for right in rights]
    held = structures.array_of(structures.Right, len(rights))()
    blocks = structures.array_of(structures.Block, len(rights))()
    for slot, block, right, result in zip(held, blocks, rights, results, strict=True):
        _fill(slot, right)
        block.units, block.right, block.result = M, ctypes.addressof(slot), result.data_ptr()
    blocks[0].sum = total.data_ptr()
    job = structures.Summing(
        left.data_ptr(), left.stride(0), N, ctypes.addressof(blocks), len(rights), torch.get_num_threads()
    )
    library.entry("hg_sum", products)(ctypes.byref(job))
    return results, total


def product(left: Tensor, right: Tensor, products: torch.dtype) -> Tensor:
    """left right, [N, C], for [N, M], its rows contiguous, and [M, C], which is of the dtype `products`."""
    if not library.in_pieces(products):
        return as_dtype(left, products) @ right
    left = left if left.stride(1) == 1 else left.contiguous()
    (N, M), C = left.shape, right.shape[1]
    result, slot = from_stock(N, C, dtype=left.dtype), structures.Right()
    right = right.contiguous()
    _fill(slot, Stacked(right))
    block = structures.Block(units=N, right=ctypes.addressof(slot), result=result.data_ptr())
    one = structures.array_of(ctypes.c_int64, 1)
    job = structures.Summing(
        left=left.data_ptr(),
        stride=left.stride(0),
        rows=M,
        blocks=ctypes.addressof(block),
        n_blocks=1,
        threads=torch.get_num_threads(),
        segments=1,
        start=one(0),
        length=one(M),
    )
    library.entry("hg_sum", products)(ctypes.byref(job))
    return result


def _fill(slot: structures.Right, right: Stacked) -> None:
    """A right side as the library reads it; whoever has it holds the tensors."""
    for k, part in enumerate(part for part in (right.above, right.below) if part is not None):
        slot.part[k], slot.stride[k] = part.data_ptr(), part.stride(0)
    slot.first, slot.columns = len(right.above), right.above.shape[1]

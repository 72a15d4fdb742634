"""Recurrent weights in the order in which the compiled products read them."""

from __future__ import annotations

import ctypes

import torch
from torch import Tensor

from headgate.engines.cpu import library
from headgate.engines.cpu.buffers import padded


def pack(weight: Tensor, bias: Tensor | None, blocks: int, back: bool = False) -> tuple[Tensor, Tensor | None]:
    """Rows of a weight matrix, packed.

    Args:
        weight: [blocks * rows, columns], contiguous.
        bias: [blocks * rows], or None; not with `back`.
        blocks: row blocks.
        back: pack for the product with the transposed matrix.

    Returns:
        The packed weights and the packed bias.
    """
    rows, columns = weight.shape[0] // blocks, weight.shape[1]
    weight = weight.detach().contiguous()
    bias = None if bias is None else bias.detach().contiguous()
    units, K = (padded(columns), len(weight)) if back else (blocks * padded(rows), columns)
    packed = torch.empty(units * K, dtype=weight.dtype)
    packed_bias = None if bias is None else torch.empty(blocks * padded(rows), dtype=weight.dtype)
    job = library.Packing(
        weight.data_ptr(),
        None if bias is None else bias.data_ptr(),
        rows,
        columns,
        blocks,
        int(back),
        torch.get_num_threads(),
        0,
        packed.data_ptr(),
        None if packed_bias is None else packed_bias.data_ptr(),
    )
    library.entry("hg_pack", weight.dtype)(ctypes.byref(job))
    return packed, packed_bias

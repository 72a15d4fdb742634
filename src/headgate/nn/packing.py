"""Packed sequences to padded ones and back, in the packed batch's own row order."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence


def unpack(packed: PackedSequence) -> tuple[Tensor, Tensor]:
    """[T, B, I] with rows from the longest to the shortest, and their lengths [B] on the data's device."""
    in_packed_order = PackedSequence(packed.data, packed.batch_sizes)
    padded, lengths = pad_packed_sequence(in_packed_order)
    return padded, lengths.to(padded.device)


def pack_like(packed: PackedSequence, padded: Tensor) -> PackedSequence:
    """The valid steps of [T, B, O], packed as `packed` is."""
    rows = torch.arange(padded.shape[1], device="cpu")
    valid = (rows < packed.batch_sizes[:, None]).to(padded.device)
    return PackedSequence(padded[valid], packed.batch_sizes, packed.sorted_indices, packed.unsorted_indices)

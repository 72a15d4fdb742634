"""Recurrent weights in the order in which the compiled products read them, kept while they do not change."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.weak import TensorWeakRef, WeakIdKeyDictionary

from headgate.engines.contract import is_answered_by_class, wide
from headgate.engines.cpu import library, structures
from headgate.engines.cpu.buffers import padded, room_to_reread

# Writes through `.data` or NumPy leave a version as it was. So what weights hold is looked at too: all of it,
# in stretches of so many bytes; or, where that took as long as the call, some values and a few stretches in turn.
STRETCH = 1 << 13
SAMPLES = 32
# Packing costs about as much as this many rows of a product; where many more follow, it is done anew and not kept.
ROWS_WORTH_KEEPING = 512
# Packing fewer numbers than this costs no more than finding out whether they are still the same.
NUMBERS_WORTH_KEEPING = 1 << 15


def packed_sizes(rows: int, columns: int, blocks: int, *, back: bool, tiles: bool = False) -> tuple[int, int]:
    """How many numbers packed weights are, `blocks` row blocks of `rows` rows, and how many their packed bias."""
    units, K = (padded(columns), blocks * rows) if back else (blocks * padded(rows), columns)
    depth = -(-K // library.TILE_DEPTH) * library.TILE_DEPTH if tiles else K
    return units * depth, blocks * padded(rows)


def pack(weight: Tensor, bias: Tensor | None, blocks: int, back: bool = False) -> tuple[Tensor, Tensor | None]:
    """Rows of a weight matrix, packed.

    Args:
        weight: [blocks * rows, columns]; bfloat16 is packed for tiles.
        bias: [blocks * rows], or None; not with `back`.
        blocks: row blocks.
        back: pack for the product with the transposed matrix.

    Returns:
        The packed weights and the packed bias, which is float32 for tiles.
    """
    rows, columns = weight.shape[0] // blocks, weight.shape[1]
    weight = weight.detach().contiguous()
    bias = None if bias is None else bias.detach().contiguous()
    tiles = weight.dtype is torch.bfloat16
    sizes = packed_sizes(rows, columns, blocks, back=back, tiles=tiles)
    packed = room_to_reread(sizes[0], dtype=weight.dtype)
    packed_bias = None if bias is None else torch.empty(sizes[1], dtype=wide(weight.dtype), device="cpu")
    job = structures.Packing(
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


def pays_to_keep(numbers: int, rows: int) -> bool:
    """Whether so many numbers, multiplied with so many rows, are better kept packed from call to call."""
    return rows <= ROWS_WORTH_KEEPING and numbers > NUMBERS_WORTH_KEEPING


def can_be_watched(weight: Tensor) -> bool:
    """Whether a change of a tensor can be told: it counts its versions, and its values have an address."""
    if is_answered_by_class(weight):
        return False
    return weight.grad_fn is None and not weight.is_inference() and weight.is_contiguous() and weight.numel() > 0


class Held:
    """What tensors, for which `can_be_watched`, hold, to be looked at again while they live.

    Attributes:
        address: of the library's own structure.
        stretches: how many there are in all.
    """

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        places, values = [], []
        for value in tensors:
            flat = value.detach().view(-1)
            at = np.unique(np.linspace(0, len(flat) - 1, SAMPLES).astype(np.int64))
            places.append(flat.data_ptr() + at * flat.element_size())
            values.append(flat[torch.from_numpy(at)].view(torch.uint8).numpy())
        self._places, self._values = np.concatenate(places), np.concatenate(values)
        found = [stretch for value in tensors for stretch in _stretches(value)]
        self.stretches, checksum = len(found), library.checksum()
        self._stretches = structures.array_of(structures.Stretch, len(found))(*found)
        for stretch in self._stretches:
            checksum(ctypes.byref(stretch))
        self._own = structures.Held(
            self._places.ctypes.data,
            self._values.ctypes.data,
            len(self._places),
            len(self._values) // len(self._places),
            ctypes.cast(checksum, ctypes.c_void_p),
            ctypes.cast(self._stretches, ctypes.c_void_p),
            len(found),
        )
        self.address = ctypes.addressof(self._own)
        self._unchanged = library.library().hg_unchanged

    def unchanged(self) -> bool:
        """Whether they hold what they held."""
        return self._unchanged(self.address, self.stretches, torch.get_num_threads()) == 1


def _stretches(value: Tensor) -> Iterator[structures.Stretch]:
    for start in range(0, value.nbytes, STRETCH):
        yield structures.Stretch(value.data_ptr() + start, min(STRETCH, value.nbytes - start))


class Snapshot:
    """What tells whether tensors, for which `can_be_watched`, still hold the values they held; it keeps none alive."""

    def __init__(self, tensors: Iterable[Tensor]) -> None:
        tensors = list(tensors)
        self._watched = [(TensorWeakRef(value), value._version, value.data_ptr()) for value in tensors]
        self._held = Held(tensors)

    def holds(self, tensors: Iterable[Tensor]) -> bool:
        """Whether these are the very tensors, unchanged."""
        for (mine, version, start), given in zip(self._watched, tensors, strict=True):
            # The address is compared before it is looked at: `.data = ...` gives a tensor other memory.
            if mine() is not given or given._version != version or given.data_ptr() != start:
                return False
        return self._held.unchanged()


_kept: WeakIdKeyDictionary = WeakIdKeyDictionary()


def packed(
    weight: Tensor, bias: Tensor | None, part: slice, blocks: int, rows: int, back: bool = False
) -> tuple[Tensor, Tensor | None]:
    """As `pack` for a part of a weight's rows; kept from call to call where few rows follow that would pay for it.

    Args:
        weight, bias: whole.
        part: the rows to pack.
        blocks: row blocks of the part.
        rows: rows that will be multiplied.
        back: as in `pack`.
    """
    own = [weight] if bias is None else [weight, bias]
    if rows > ROWS_WORTH_KEEPING or not all(map(can_be_watched, own)):
        return pack(weight[part], None if bias is None else bias[part], blocks, back)
    known = _kept.setdefault(weight, {})
    key = part.start, part.stop, back, bias is None
    found = known.get(key)
    if found is None or not found[0].holds(own):
        made = pack(weight[part], None if bias is None else bias[part], blocks, back)
        found = known[key] = (Snapshot(own), *made)
    return found[1:]

"""One step at a time, on weights packed before: for streaming, where packing would cost more than the step."""

from __future__ import annotations

import ctypes

import numpy as np
import torch
from torch import Tensor

from headgate.cells import Cell
from headgate.engines.cpu import library
from headgate.engines.cpu.buffers import pad_units, padded
from headgate.engines.cpu.layout import forward_layout, sizes_of
from headgate.engines.cpu.run import rates
from headgate.engines.cpu.weights import Snapshot, pack


class Packed:
    """One layer's weights, packed, with what tells whether they still are those of the layer.

    Args:
        cell: the equations.
        weights: by the names of `Cell.parameter_shapes`.
        names: what each is called as a parameter of the module.
        output_size: O.
    """

    def __init__(self, cell: Cell, weights: dict[str, Tensor], names: dict[str, str], output_size: int) -> None:
        self._names = [names[name] for name in weights]
        self._snapshot = Snapshot(weights.values())
        first = weights["weight_ih"]
        H = len(first) // len(cell.gate_names)
        self.sizes = sizes_of(cell, first.shape[1], H, output_size, first.dtype, False)
        biases = frozenset(name for name in weights if name.startswith("bias"))
        self.layout = forward_layout(self.sizes, biases)
        own = {name: weight.detach() for name, weight in weights.items()}
        self.buffers = {"zeros": torch.zeros(max(padded(H), padded(output_size)), dtype=first.dtype)}
        self.buffers["w input"], self.buffers["b input"] = pack(
            own["weight_ih"], own.get("bias_ih"), len(cell.gate_names)
        )
        for k, group in enumerate(self.sizes.program.groups):
            part, bias = self.sizes.rows_of(group), own.get(f"bias_{group.matrix.name}")
            weight = own[f"weight_{group.matrix.name}"][part]
            self.buffers[f"w {k}"], self.buffers[f"b {k}"] = pack(
                weight, None if bias is None else bias[part], len(group.blocks)
            )
        self.buffers |= rates(self.sizes)
        if cell.vector_names:
            self.buffers["p"] = pad_units(own["weight_p"].view(len(cell.vector_names), H))

    def holds(self, parameters: dict[str, Tensor]) -> bool:
        """Whether a module's parameters still are what was packed, unchanged."""
        return self._snapshot.holds([parameters.get(name) for name in self._names])


class Stepper:
    """Steps one layer and direction; one for every thread, since its memory is used again at each call."""

    def __init__(self, packed: Packed) -> None:
        self.packed = packed
        sizes, layout = packed.sizes, packed.layout
        self._states = (library.State * len(sizes.states))()
        for state, size in zip(self._states, sizes.states, strict=True):
            state.units = state.stride = padded(size)
            state.kept = 1
        self._each = list(self._states)
        self._rows = -1
        names = layout.buffers
        self._pointers = (ctypes.c_void_p * len(names))()
        for k, name in enumerate(names):
            there = packed.buffers.get(name)
            self._pointers[k] = None if there is None else there.data_ptr()
        self._x = names.index("x")
        self._scratch = names.index("kept") if "kept" in names else None
        self._counts = np.zeros(1, np.int64)
        weight_bytes = sum(value.nbytes for name, value in packed.buffers.items() if name.startswith("w "))
        self._run = library.Run(
            T=1,
            offset=np.zeros(1, np.int64).ctypes.data,
            rows=self._counts.ctypes.data,
            n_states=len(sizes.states),
            n_passes=len(layout.passes),
            n_means=layout.means,
            states=self._states,
            passes=layout.passes,
            buffers=self._pointers,
            input=layout.input,
            input_units=padded(sizes.H),
            weight_bytes=weight_bytes,
        )
        self._offset = np.zeros(1, np.int64)
        self._run.offset = self._offset.ctypes.data
        self._call = library.entry("hg_run", sizes.dtype)
        self._address = ctypes.addressof(self._run)

    def __call__(self, x: int, before: list[int], after: list[int], output: int, B: int, threads: int) -> None:
        """Run one step.

        Args:
            x: address of the input, [B, I], contiguous.
            before: addresses of the states, [B, S] each, contiguous.
            after: where the new states are written, likewise.
            output: where the output is written beside the first of them; may be the same place.
            B: rows.
            threads: how many may be used.
        """
        if self._rows != B:
            self._resize(B)
        self._pointers[self._x] = x
        for state, old, new in zip(self._each, before, after, strict=True):
            state.initial = old
            state.new_state = state.final = new
        self._each[0].new_state = output
        self._run.threads = threads
        self._call(self._address)

    def _resize(self, B: int) -> None:
        sizes = self.packed.sizes
        self._rows = self._counts[0] = self._run.B = B
        self._kept = torch.empty(B, sizes.kept.width, dtype=sizes.dtype)
        if self._scratch is not None:
            self._pointers[self._scratch] = self._kept.data_ptr()

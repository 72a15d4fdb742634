"""One step of a stack of layers, on weights packed before: for streaming, where packing costs more than the step."""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, empty_like

from headgate.cells import Cell
from headgate.engines.cpu import library
from headgate.engines.cpu.buffers import pad_units, padded
from headgate.engines.cpu.layout import Layout, Sizes, forward_layout, sizes_of
from headgate.engines.cpu.run import rates
from headgate.engines.cpu.weights import Sample, pack
from headgate.graph.program import program

# What a call adds to a stack: `hg_step` of stack.h.
STEP_HEAD, STEP_STATE = "qqPP", "PP"


def can_step(cell: Cell) -> bool:
    """Whether a stack can be made of a cell; not of one that reads the input's part by itself on the way back."""
    return not program(cell).backward.reads_x


class Stale(Exception):
    """The weights are no longer those that were packed."""


class _Form(NamedTuple):
    """What depends on the number of rows.

    Attributes:
        x: shape of the input, [B, I].
        output: a tensor like those to be returned, [B, O].
        states: likewise, zeros, [L, B, S] each.
    """

    x: tuple[int, ...]
    output: Tensor
    states: tuple[Tensor, ...]


class Stack:
    """The layers of one direction, packed; any number of threads may step it at once.

    Args:
        cell: the equations, for which `can_step`.
        weights: of each layer, by the names of `Cell.parameter_shapes`; `can_be_watched`, and alive as long as this is.
        output_size: O.
    """

    def __init__(self, cell: Cell, weights: Sequence[Mapping[str, Tensor]], output_size: int) -> None:
        first = weights[0]["weight_ih"]
        self._dtype, self._width = first.dtype, first.shape[1]
        self._sample = Sample([weight for own in weights for weight in own.values()])
        H = len(first) // len(cell.gate_names)
        biases = frozenset(name for name in weights[0] if name.startswith("bias"))
        widths = [own["weight_ih"].shape[1] for own in weights]
        sizes = [sizes_of(cell, width, H, output_size, first.dtype, False, False) for width in widths]
        layouts = [forward_layout(own, biases) for own in sizes]
        self._buffers = [_packed(size, own) for size, own in zip(sizes, weights, strict=True)]
        self._state_sizes = sizes[0].states
        self._layers = [_Layer(*parts) for parts in zip(sizes, layouts, self._buffers, strict=True)]
        self._runs = (library.Run * len(weights))(*(layer.run for layer in self._layers))
        names = layouts[0].buffers
        self._sizes = (ctypes.c_int64 * len(self._state_sizes))(*self._state_sizes)
        self._own = library.Stack(
            ctypes.cast(library.entry("hg_run", first.dtype), ctypes.c_void_p),
            self._runs,
            self._sizes,
            self._sample.address,
            len(weights),
            len(self._state_sizes),
            len(names),
            names.index("x"),
            names.index("kept") if "kept" in names else -1,
            first.dtype.itemsize,
            sizes[0].kept.width * first.dtype.itemsize,
        )
        self._address = ctypes.addressof(self._own)
        self._step = library.library().hg_step_layers
        self._pack = struct.Struct(STEP_HEAD + STEP_STATE * len(self._state_sizes)).pack
        self._form = self._form_of(1)

    def _form_of(self, B: int) -> _Form:
        output = torch.empty(B, self._state_sizes[0], dtype=self._dtype)
        zeros = [torch.zeros(len(self._layers), B, size, dtype=self._dtype) for size in self._state_sizes]
        return _Form((B, self._width), output, tuple(zeros))

    def __call__(self, x: Tensor, states: tuple[Tensor, ...] | None) -> tuple[Tensor, tuple[Tensor, ...]] | None:
        """Run one step.

        Args:
            x: [B, I].
            states: [L, B, S] each, in the cell's order; None for zeros.

        Returns:
            The output, [B, O], and the new states; or None for arguments in any other form, dtype or place.

        Raises:
            Stale: the weights have changed.
        """
        # Every line here costs as much as ten of the library's; hence the one loop and no helpers.
        form = self._form
        if x.shape != form.x:
            if x.dim() != 2 or x.shape[1] != self._width or len(x) == 0:
                return None
            form = self._form = self._form_of(len(x))
        dtype = self._dtype
        if x.dtype is not dtype or not x.is_cpu or x.layout is not torch.strided:
            return None
        if not x.is_contiguous():
            x = x.contiguous()
        if states is None:
            states = form.states
        elif len(states) != len(form.states):
            return None
        output = empty_like(form.output)
        addresses = [form.x[0], torch.get_num_threads(), x.data_ptr(), output.data_ptr()]
        new = []
        for state, like in zip(states, form.states):  # noqa: B905 - their lengths were compared
            if type(state) is not Tensor or state.shape != like.shape or state.dtype is not dtype:
                return None
            if not state.is_cpu or not state.is_contiguous():
                return None
            made = empty_like(like)
            new.append(made)
            addresses += state.data_ptr(), made.data_ptr()
        if not self._step(self._address, self._pack(*addresses)):
            raise Stale
        return output, tuple(new)


def _packed(sizes: Sizes, weights: Mapping[str, Tensor]) -> dict[str, Tensor | None]:
    """A layer's buffers that are the same at every step, by the names of the layout."""
    own = {name: weight.detach() for name, weight in weights.items()}
    cell = sizes.cell
    buffers: dict[str, Tensor | None] = {"zeros": torch.zeros(padded(max(sizes.H, sizes.O)), dtype=sizes.dtype)}
    buffers["w input"], buffers["b input"] = pack(own["weight_ih"], own.get("bias_ih"), len(cell.gate_names))
    for k, group in enumerate(sizes.program.groups):
        part, bias = sizes.rows_of(group), own.get(f"bias_{group.matrix.name}")
        weight = own[f"weight_{group.matrix.name}"][part]
        buffers[f"w {k}"], buffers[f"b {k}"] = pack(weight, None if bias is None else bias[part], len(group.blocks))
    if cell.vector_names:
        buffers["p"] = pad_units(own["weight_p"].view(len(cell.vector_names), sizes.H))
    return buffers | rates(sizes)


class _Layer:
    """`hg_run` for one step of one layer; keeps alive what it points to."""

    def __init__(self, sizes: Sizes, layout: Layout, buffers: Mapping[str, Tensor | None]) -> None:
        self._layout = layout
        self._states = (library.State * len(sizes.states))(
            *(library.State(units=padded(size), stride=padded(size), kept=1) for size in sizes.states)
        )
        there = [buffers.get(name) for name in layout.buffers]
        self._pointers = (ctypes.c_void_p * len(there))(*(None if b is None else b.data_ptr() for b in there))
        self.run = library.Run(
            T=1,
            n_states=len(sizes.states),
            n_passes=len(layout.passes),
            n_means=layout.means,
            states=self._states,
            passes=layout.passes,
            buffers=self._pointers,
            input=layout.input,
            input_units=padded(sizes.H),
            weight_bytes=sum(value.nbytes for name, value in buffers.items() if name.startswith("w ")),
        )

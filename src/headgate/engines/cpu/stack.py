"""A stack of layers on weights packed before, forward only: where what is around a run costs more than the run."""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, empty, empty_like, get_num_threads, strided

from headgate.cells import Cell
from headgate.engines.contract import as_dtype, wide
from headgate.engines.cpu import library, structures
from headgate.engines.cpu.buffers import padded
from headgate.engines.cpu.layout import Layout, Sizes, forward_layout, sizes_of
from headgate.engines.cpu.run import own_vectors, rates, zeros
from headgate.engines.cpu.stock import SMALLEST, from_stock
from headgate.engines.cpu.weights import Held, packed
from headgate.graph.program import program

# What a call adds to a stack: `hg_call` of stack.h.
CALL_HEAD, CALL_STATE = "qqqqqPP", "PP"
# A single step looks at one in so many of the stretches in which weights are held, unless there are but a few.
STRETCHES_A_STEP, FEW_STRETCHES = 512, 8


def can_stack(cell: Cell) -> bool:
    """Whether a stack can be made of a cell; not of one that reads the input's part by itself on the way back."""
    return not program(cell).backward.reads_x


class Stale(Exception):
    """The weights are no longer those that were packed."""


class _Form(NamedTuple):
    """What depends on an input's shape.

    Attributes:
        x: [T, B, I] or [B, I], which is one step.
        T, B: steps, rows.
        stretches: of the weights, how many to look at.
        output: [T, B, D O] or [B, D O]; one number that stands for all.
        small: whether the output is too small for the stock.
        states: [L D, B, S] each.
        zeros: states to begin with.
    """

    x: tuple[int, ...]
    T: int
    B: int
    stretches: int
    output: Tensor
    small: bool
    states: tuple[tuple[int, ...], ...]
    zeros: tuple[Tensor, ...]


class Stack:
    """All layers and directions, packed; any number of threads may run it at once.

    Args:
        cell: the equations, for which `can_stack`.
        weights: of each layer, and of each of its directions, by the names of `Cell.parameter_shapes`;
            `can_be_watched`, and alive as long as this is.
        output_size: O.
        directions: D, 1 or 2.
        products: dtype to which weights are rounded and of which products are made; bfloat16 only where there are
            `library.tiles`, and then inputs and states are float32 and the output is bfloat16.
    """

    def __init__(
        self,
        cell: Cell,
        weights: Sequence[Mapping[str, Tensor]],
        output_size: int,
        directions: int,
        products: torch.dtype,
    ) -> None:
        first, dtype = weights[0]["weight_ih"], wide(products)
        self._dtype, self._products, self._width = dtype, products, first.shape[1]
        self._held = Held([weight for own in weights for weight in own.values()])
        H = len(first) // len(cell.gate_names)
        biases = frozenset(name for name in weights[0] if name.startswith("bias"))
        widths = [own["weight_ih"].shape[1] for own in weights]
        brief = library.is_brief(products)
        sizes = [sizes_of(cell, width, H, output_size, dtype, False, False, brief) for width in widths]
        layouts = [forward_layout(own, biases) for own in sizes]
        rounded = [{name: as_dtype(value.detach(), products) for name, value in own.items()} for own in weights]
        self._buffers = [_packed(size, own) for size, own in zip(sizes, rounded, strict=True)]
        self._output_size, self._state_sizes = directions * output_size, sizes[0].states
        self._parts = [_Part(*parts) for parts in zip(sizes, layouts, self._buffers, strict=True)]
        for k, part in enumerate(self._parts):
            part.run.descending = k % directions
        self._runs = (structures.Run * len(weights))(*(part.run for part in self._parts))
        names = layouts[0].buffers
        self._input_bytes = (ctypes.c_int64 * len(weights))(*(own["w input"].nbytes for own in self._buffers))
        self._sizes = (ctypes.c_int64 * len(self._state_sizes))(*self._state_sizes)
        self._own = structures.Stack(
            run=ctypes.cast(library.entry("hg_run", products), ctypes.c_void_p),
            parts=self._runs,
            sizes=self._sizes,
            input_bytes=self._input_bytes,
            held=self._held.address,
            n_layers=len(weights) // directions,
            n_directions=directions,
            n_states=len(self._state_sizes),
            n_buffers=len(names),
            x=names.index("x"),
            kept=names.index("kept") if "kept" in names else -1,
            width=dtype.itemsize,
            rounds=products is not dtype,
            scratch=sizes[0].kept.width * dtype.itemsize,
        )
        self._address = ctypes.addressof(self._own)
        self._run = library.library().hg_run_stack
        self._pack = struct.Struct(CALL_HEAD + CALL_STATE * len(self._state_sizes)).pack
        self._form, self._turn = self._form_of((1, self._width)), 0

    def _form_of(self, x: tuple[int, ...]) -> _Form:
        T, B = x[:-1] if len(x) == 3 else (1, x[0])
        states = tuple((len(self._parts), B, size) for size in self._state_sizes)
        zeros = tuple(torch.zeros(shape, dtype=self._dtype, device="cpu") for shape in states)
        all = self._held.stretches
        looks = all if len(x) == 3 or all <= FEW_STRETCHES else -(-all // STRETCHES_A_STEP)
        output = empty((), dtype=self._products, device="cpu").expand(*x[:-1], self._output_size)
        small = output.numel() * output.itemsize < SMALLEST
        return _Form(x, T, B, looks, output, small, states, zeros)

    def __call__(self, x: Tensor, states: tuple[Tensor, ...] | None) -> tuple[Tensor, tuple[Tensor, ...]] | None:
        """Run all steps.

        Args:
            x: [T, B, I], or [B, I] for one step.
            states: [L D, B, S] each, in the cell's order; None for zeros.

        Returns:
            The output, [T, B, D O] or [B, D O], and the states after the last step; or None for arguments in any other
            form, dtype or place.

        Raises:
            Stale: the weights have changed.
        """
        # Every line here costs as much as ten of the library's; hence the one loop and no helpers.
        form = self._form
        if x.shape != form.x:
            if x.dim() not in (2, 3) or x.shape[-1] != self._width or x.numel() == 0:
                return None
            form = self._form = self._form_of(tuple(x.shape))
        dtype = self._dtype
        if x.dtype is not dtype or not x.is_cpu or x.layout is not strided:
            return None
        if not x.is_contiguous():
            x = x.contiguous()
        if states is None:
            states = form.zeros
        elif len(states) != len(form.states):
            return None
        output = empty_like(form.output) if form.small else from_stock(*form.output.shape, dtype=self._products)
        turn = self._turn
        self._turn = turn + form.T & 1  # a call begins with the weights that the last one ended with
        addresses = [form.T, form.B, get_num_threads(), turn, form.stretches, x.data_ptr(), output.data_ptr()]
        new = []
        for state, shape, like in zip(states, form.states, form.zeros):  # noqa: B905 - their lengths were compared
            if type(state) is not Tensor or state.shape != shape or state.dtype is not dtype:
                return None
            if not state.is_cpu or not state.is_contiguous():
                return None
            made = empty_like(like)
            new.append(made)
            addresses += state.data_ptr(), made.data_ptr()
        if not self._run(self._address, self._pack(*addresses)):
            raise Stale
        return output, tuple(new)


def _packed(sizes: Sizes, weights: Mapping[str, Tensor]) -> dict[str, Tensor | None]:
    """A layer's buffers that are the same in every call, by the names of the layout."""
    cell = sizes.cell
    buffers: dict[str, Tensor | None] = {"zeros": zeros(sizes)}
    whole, gates = slice(0, len(weights["weight_ih"])), len(cell.gate_names)
    buffers["w input"], buffers["b input"] = packed(weights["weight_ih"], weights.get("bias_ih"), whole, gates, 0)
    for k, group in enumerate(sizes.program.groups):
        weight, bias = weights[f"weight_{group.matrix.name}"], weights.get(f"bias_{group.matrix.name}")
        buffers[f"w {k}"], buffers[f"b {k}"] = packed(weight, bias, sizes.rows_of(group), len(group.blocks), 0)
    return buffers | own_vectors(sizes, weights) | rates(sizes)


class _Part:
    """`hg_run` for one layer and direction; keeps alive what it points to."""

    def __init__(self, sizes: Sizes, layout: Layout, buffers: Mapping[str, Tensor | None]) -> None:
        self._layout = layout
        self._states = (structures.State * len(sizes.states))(
            *(structures.State(units=padded(size), stride=padded(size)) for size in sizes.states)
        )
        there = [buffers.get(name) for name in layout.buffers]
        self._pointers = (ctypes.c_void_p * len(there))(*(None if b is None else b.data_ptr() for b in there))
        self.run = structures.Run(
            n_states=len(sizes.states),
            n_passes=len(layout.passes),
            n_means=layout.means,
            states=self._states,
            passes=layout.passes,
            buffers=self._pointers,
            input=layout.input,
            input_units=padded(sizes.H),
            weight_bytes=sum(there[k].nbytes for k in layout.recurrent),
        )

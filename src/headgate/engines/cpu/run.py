"""One run of the compiled engine over packed rows, forward."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from headgate.engines.cpu import library, structures
from headgate.engines.cpu.buffers import BLOCK, pad_units, padded, with_slack
from headgate.engines.cpu.layout import Layout, Sizes, forward_layout
from headgate.engines.cpu.rows import Rows
from headgate.engines.cpu.stock import from_stock
from headgate.engines.cpu.weights import packed


@dataclass(frozen=True)
class Problem:
    """What is run, beside the numbers.

    Attributes:
        sizes, rows: units and steps.
        products: the dtype of the weights and of what products are made of; float32 is what all else is where it is
            bfloat16.
        all_states: every state is wanted at every step.
        split: how threads share the work: 0 as seems best, 1 by rows, 2 by units.
        seed: what masks are drawn from, 64 bits.
    """

    sizes: Sizes
    rows: Rows
    products: torch.dtype
    all_states: bool = False
    split: int = 0
    seed: int = 0


@dataclass
class Memory:
    """What a forward run leaves behind.

    Attributes:
        buffers: by the names of the layout; those that are kept.
        new: each state after every step, [N, S padded] (the output may be without padding), or the last two.
        old: each state before every step where they had to be put together, or None.
        initial: each state before the first step, [B, S padded].
        final: each row's states after its last step, [B, S padded].
    """

    buffers: dict[str, Tensor]
    new: list[Tensor]
    old: list[Tensor | None]
    initial: list[Tensor]
    final: list[Tensor]


def run_forward(problem: Problem, weights: Mapping[str, Tensor], x: Tensor, initial: list[Tensor]) -> Memory:
    """Run all steps.

    Args:
        problem: what to run.
        weights: by name, in the dtype of the products.
        x: packed input, [N, I].
        initial: states before the first step, [B, S] each, in the order of the rows.
    """
    sizes, rows = problem.sizes, problem.rows
    layout = forward_layout(sizes, frozenset(name for name in weights if name.startswith("bias")))
    n = rows.N if sizes.keep else rows.B
    # Without a way back weights are not about to change either, so that packing pays for itself in the next call.
    multiplied = rows.N if sizes.keep else 0
    x = x.contiguous()
    kept_values = from_stock(n, sizes.kept.width, dtype=x.dtype)
    buffers = {"x": x, "kept": kept_values} | own_vectors(sizes, weights) | rates(sizes)
    if sizes.program.backward.reads_x:
        buffers["parts"] = _input_parts(weights, x)
    else:
        gates, weight = len(sizes.cell.gate_names), weights["weight_ih"]
        whole = slice(0, len(weight))
        buffers["w input"], buffers["b input"] = packed(weight, weights.get("bias_ih"), whole, gates, multiplied)
    for k, group in enumerate(sizes.program.groups):
        weight, bias = weights[f"weight_{group.matrix.name}"], weights.get(f"bias_{group.matrix.name}")
        buffers[f"w {k}"], buffers[f"b {k}"] = packed(weight, bias, sizes.rows_of(group), len(group.blocks), multiplied)
    kept = [k == 0 or sizes.keep or problem.all_states for k in range(len(sizes.states))]
    first = [pad_units(value) for value in initial]
    memory = Memory(
        buffers,
        [
            from_stock(rows.N if k else 2 * rows.B, padded(size), dtype=x.dtype)
            for k, size in zip(kept, sizes.states, strict=True)
        ],
        [from_stock(n, padded(size), dtype=x.dtype) if rows.compose else None for size in sizes.states],
        first,
        # Rows that take no step keep what they had.
        [torch.empty_like(value) if rows.began == rows.B else value.clone() for value in first],
    )
    start(problem, layout, buffers, _states(sizes, memory, kept), keep=sizes.keep)
    for name in list(buffers):
        if name[:2] in ("w ", "b ") or name == "x":
            del buffers[name]
    return memory


def own_vectors(sizes: Sizes, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The per-unit parameters, padded, if there are any."""
    names = sizes.cell.vector_names
    return {"p": pad_units(weights["weight_p"].to(sizes.dtype).view(len(names), sizes.H))} if names else {}


@cache
def rates(sizes: Sizes) -> dict[str, Tensor]:
    """What stands for the masks where none are drawn, if there are any: [masks, S padded]."""
    cell = sizes.cell
    if sizes.drawn or not cell.mask_names:
        return {}
    each = torch.tensor([cell.rates[name] for name in cell.mask_names], dtype=sizes.dtype, device="cpu")
    return {"rates": each[:, None].repeat(1, padded(max(sizes.states)))}


def _input_parts(weights: Mapping[str, Tensor], x: Tensor) -> Tensor:
    """W x + b for all steps at once, for cells whose way back reads it."""
    weight, bias = (
        None if value is None else value.to(x.dtype) for value in map(weights.get, ("weight_ih", "bias_ih"))
    )
    parts = with_slack(len(x), len(weight), x.dtype)
    return torch.mm(x, weight.T, out=parts) if bias is None else torch.addmm(bias, x, weight.T, out=parts)


def _states(sizes: Sizes, memory: Memory, kept: list[bool]) -> list[structures.State]:
    return [
        structures.State(
            padded(size),
            first.data_ptr(),
            None if old is None else old.data_ptr(),
            new.data_ptr(),
            new.shape[1],
            int(keep),
            0,
            final.data_ptr(),
        )
        for size, first, old, new, keep, final in zip(
            sizes.states, memory.initial, memory.old, memory.new, kept, memory.final, strict=True
        )
    ]


def kept_states(sizes: Sizes, memory: Memory) -> list[structures.State]:
    """The states of a run that kept all of them, for the way back."""
    return _states(sizes, memory, [True] * len(memory.new))


@cache
def zeros(sizes: Sizes) -> Tensor:
    """A row of them, for what is not there."""
    return torch.zeros(max(padded(sizes.H), padded(sizes.O), BLOCK), dtype=sizes.dtype, device="cpu")


def start(
    problem: Problem,
    layout: Layout,
    buffers: Mapping[str, Tensor | None],
    states: list[structures.State],
    *,
    keep: bool,
    back: bool = False,
) -> None:
    """Have the library run a layout's passes over all steps."""
    run = run_of(problem, layout, buffers, states, keep=keep, back=back)
    library.entry("hg_run", problem.products)(ctypes.byref(run))


def run_of(
    problem: Problem,
    layout: Layout,
    buffers: Mapping[str, Tensor | None],
    states: list[structures.State],
    *,
    keep: bool,
    back: bool,
) -> structures.Run:
    """A run as the library reads it; whoever has it holds the buffers."""
    sizes = problem.sizes
    there = [zeros(sizes) if name == "zeros" else buffers.get(name) for name in layout.buffers]
    pointers = [None if value is None else value.data_ptr() for value in there]
    run = record(problem, layout, sum(there[k].nbytes for k in layout.recurrent), keep=keep, back=back)
    run.n_states, run.states = len(states), structures.array_of(structures.State, len(states))(*states)
    run.buffers = structures.array_of(ctypes.c_void_p, len(pointers))(*pointers)
    run.seed = problem.seed
    return run


def record(problem: Problem, layout: Layout, weight_bytes: int, *, keep: bool, back: bool) -> structures.Run:
    """A run of a layout's passes over all steps as the library reads it, but for its states, buffers and seed.

    Args:
        problem, layout: what to run.
        weight_bytes: of the recurrent weights, packed.
        keep: store what the way back needs.
        back: it is the way back.
    """
    rows, sizes = problem.rows, problem.sizes
    return structures.Run(
        rows.T,
        rows.B,
        *rows.addresses,
        None if rows.fresh is None else rows.fresh.data_ptr(),
        int(rows.reverse != back),
        int(back),
        int(keep),
        int(rows.compose),
        len(sizes.states),
        len(layout.passes),
        None,
        layout.passes,
        None,
        layout.input,
        padded(sizes.H),
        torch.get_num_threads(),
        problem.split,
        weight_bytes,
        0,
        layout.means,
        len(layout.masks),
        layout.masks,
        None if rows.order is None else rows.order.data_ptr(),
    )

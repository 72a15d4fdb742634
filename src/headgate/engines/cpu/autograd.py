"""A call as one node of torch's graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from headgate.engines.contract import Call, Result, as_dtype, wide
from headgate.engines.cpu import library
from headgate.engines.cpu.back import run_back
from headgate.engines.cpu.buffers import without_padding
from headgate.engines.cpu.kept import Kept
from headgate.engines.cpu.layout import sizes_of
from headgate.engines.cpu.plan import Form
from headgate.engines.cpu.prepared import Prepared, can_prepare, prepared
from headgate.engines.cpu.rows import Rows, rows_of
from headgate.engines.cpu.run import Memory, Problem, run_forward
from headgate.engines.cpu.stock import from_stock
from headgate.engines.cpu.twice import in_memory, twice_differentiable


def run_call(call: Call, split: int = 0) -> Result:
    """Run a call; `split` is how threads share it: 0 as seems best, 1 by rows, 2 by units."""
    if _is_plain(call):
        return _run_prepared(call, split)
    cell, dtype = call.cell, wide(call.input.dtype)
    rows = rows_of(call)
    T, B, I = call.input.shape  # noqa: E741 - the field's letter
    flat = call.input.reshape(T * B, I)
    x = as_dtype(flat if rows.index is None else flat.index_select(0, rows.index), dtype)
    initial = [as_dtype(value, dtype) for value in call.initial]
    if rows.order is not None:
        initial = [value.index_select(0, rows.order) for value in initial]
    products = _products(call)
    weights = {name: as_dtype(value, products) for name, value in call.weights.items()}
    H = len(weights["weight_ih"]) // len(cell.gate_names)
    tensors = [x, *weights.values(), *initial]
    keep = torch.is_grad_enabled() and any(value.requires_grad for value in tensors)
    drawn = call.seed is not None and bool(cell.mask_names)
    O, brief = call.initial[0].shape[-1], library.is_brief(products)  # noqa: E741 - the field's letter
    sizes = sizes_of(cell, I, H, O, dtype, keep or call.keep, drawn, brief)
    problem = Problem(sizes, rows, products, call.all_states, split, int(call.seed) % 2**64 if drawn else 0)
    states, kept = len(cell.state_names), None
    if keep:
        output, *rest = _Recurrence.apply(problem, tuple(weights), *tensors)
    else:
        memory = run_forward(problem, weights, x, initial)
        output, *rest = _results(problem, memory)
        kept = Kept(problem, weights, memory) if call.keep and products is dtype else None
    final = [value if rows.inverse is None else value.index_select(0, rows.inverse) for value in rest[:states]]
    histories = [output, *rest[states:]]
    return Result(
        as_dtype(_padded(output, rows), call.input.dtype),
        tuple(as_dtype(value, given.dtype) for value, given in zip(final, call.initial, strict=True)),
        _all_states(call, rows, histories, initial) if call.all_states else None,
        kept,
    )


def _is_plain(call: Call) -> bool:
    """Whether a call is for training, with every row taking every step."""
    if call.lengths is not None or call.reset is not None or call.all_states or call.input.numel() == 0:
        return False
    if not can_prepare(call.cell):
        return False
    tensors = (call.input, *call.weights.values(), *call.initial)
    return torch.is_grad_enabled() and any([value.requires_grad for value in tensors])


def _products(call: Call) -> torch.dtype:
    """Of what products are made: bfloat16 where there are tiles for it."""
    dtype = call.input.dtype
    return dtype if dtype is torch.bfloat16 and library.tiles() else wide(dtype)


def _run_prepared(call: Call, split: int) -> Result:
    cell, dtype = call.cell, wide(call.input.dtype)
    T, B, I = call.input.shape  # noqa: E741 - the field's letter
    given = (call.input, *call.weights.values(), *call.initial)
    tensors = [as_dtype(value, dtype).contiguous() for value in given]
    H = len(call.weights["weight_ih"]) // len(cell.gate_names)
    drawn = call.seed is not None and bool(cell.mask_names)
    sizes = T, B, I, H, call.initial[0].shape[-1]
    numbers = dtype, _products(call)
    form = Form(cell, tuple(call.weights), *sizes, *numbers, call.reverse, drawn, torch.get_num_threads(), split)
    output, *final = Training.apply(prepared(form), int(call.seed) % 2**64 if drawn else 0, *tensors)
    return Result(
        as_dtype(output, call.input.dtype),
        tuple([as_dtype(value, first.dtype) for value, first in zip(final, call.initial, strict=True)]),
    )


def _padded(values: Tensor, rows: Rows) -> Tensor:
    """[N, S] as [T, B, S], zeros past a row's end."""
    if rows.index is None:
        return values.view(rows.padded, rows.B, values.shape[-1])
    whole = values.new_zeros(rows.padded * rows.B, values.shape[-1])
    return whole.index_copy(0, rows.index, values).view(rows.padded, rows.B, values.shape[-1])


def _all_states(call: Call, rows: Rows, histories: list[Tensor], initial: list[Tensor]) -> dict[str, Tensor]:
    """Every state at every step, [T, B, S]: frozen past a row's end, which a reversed run reaches before it starts."""
    found = {}
    for name, history, first in zip(call.cell.state_names, histories, initial, strict=True):
        if rows.index is None:
            found[name] = history.view(rows.padded, rows.B, history.shape[-1])
            continue
        place = torch.full((rows.padded, rows.B), -1, device="cpu")
        place.view(-1)[rows.index] = torch.arange(rows.N, device="cpu")
        here = torch.arange(rows.B, device="cpu") if rows.inverse is None else rows.inverse
        last = place.amax(0) if not call.reverse else torch.full((rows.B,), -1, device="cpu")
        frozen = torch.where(place < 0, last, place)
        both = torch.cat([history, first.to(history.dtype)])
        frozen = torch.where(frozen < 0, rows.N + here, frozen)
        found[name] = both.index_select(0, frozen.view(-1)).view(rows.padded, rows.B, history.shape[-1])
    return found


def _results(problem: Problem, memory: Memory) -> tuple[Tensor, ...]:
    """The output, the final states and, if asked for, all other states at every step; without padding."""
    sizes = problem.sizes.states
    wanted = memory.new if problem.all_states else memory.new[:1]
    shown = [m if m.shape[1] == n else m[:, :n].contiguous() for m, n in zip(wanted, sizes, strict=False)]
    final = [without_padding(value, n) for value, n in zip(memory.final, sizes, strict=True)]
    return (shown[0], *final, *shown[1:])


class _Recurrence(torch.autograd.Function):
    """Packed input, weights, initial states to the packed output, final states and, if asked for, all others."""

    @staticmethod
    def forward(ctx: Any, problem: Problem, names: tuple[str, ...], x: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        weights = dict(zip(names, tensors[: len(names)], strict=True))
        memory = run_forward(problem, weights, x, list(tensors[len(names) :]))
        ctx.problem, ctx.names, ctx.buffers = problem, names, tuple(memory.buffers)
        # All through torch's books: changes in place are noticed, and what is kept goes when the way back is done.
        old = [value for value in memory.old if value is not None]
        ctx.save_for_backward(x, *tensors, *memory.new, *memory.initial, *old, *memory.buffers.values())
        ctx.set_materialize_grads(False)
        return _results(problem, memory)

    @staticmethod
    def backward(ctx: Any, d_output: Tensor | None, *rest: Tensor | None) -> tuple[Tensor | None, ...]:
        problem: Problem = ctx.problem
        n, states = len(ctx.names), len(problem.sizes.states)
        x, *tensors = ctx.saved_tensors[: 1 + n + states]
        kept = list(ctx.saved_tensors[1 + n + states :])
        if torch.is_grad_enabled() or not all(map(in_memory, (d_output, *rest))):
            return None, None, *twice_differentiable(problem, ctx.names, x, tensors, [d_output, *rest])
        new, initial, *others = (kept[k : k + states] for k in range(0, len(kept) - len(ctx.buffers), states))
        old = others[0] if others else [None] * states
        buffers = dict(zip(ctx.buffers, kept[len(kept) - len(ctx.buffers) :], strict=True))
        memory = Memory(buffers, new, old, initial, initial)
        keys = ["input", *ctx.names, *(f"initial_{name}" for name in problem.sizes.cell.state_names)]
        wanted = {key for key, needed in zip(keys, ctx.needs_input_grad[2:], strict=True) if needed}
        d_states = [d_output, *(rest[states:] or [None] * (states - 1))]
        weights = dict(zip(ctx.names, tensors[:n], strict=True))
        found = run_back(problem, weights, x, memory, d_states, list(rest[:states]), wanted)
        return None, None, *(found[key] if key in wanted else None for key in keys)


class Training(torch.autograd.Function):
    """A prepared call: input, weights and initial states to the output and the final states; see `Prepared`."""

    @staticmethod
    def forward(ctx: Any, prepared: Prepared, seed: int, *tensors: Tensor) -> tuple[Tensor, ...]:
        results, kept = prepared.forward(seed, tensors)
        ctx.prepared, ctx.seed = prepared, seed
        # The output may be changed in place, as torch.nn's may: then the run is repeated on the way back. So it is kept
        # without its count of changes, and the count without its memory, which goes when the way back is done.
        ctx.count = results[0].detach()
        ctx.count.data, ctx.unchanged = torch.empty(0, dtype=results[0].dtype, device="cpu"), results[0]._version
        ctx.save_for_backward(*tensors, results[0].data, kept)
        ctx.set_materialize_grads(False)
        return tuple(results)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        # What was saved may come back from a hook that stored it elsewhere.
        prepared, tensors = ctx.prepared, [value.contiguous() for value in ctx.saved_tensors]
        if torch.is_grad_enabled() or not all(map(in_memory, gradients)):
            return None, None, *_again(prepared, ctx.seed, tensors[:-2], gradients)
        if ctx.count._version != ctx.unchanged:
            (output, *_), kept = prepared.forward(ctx.seed, tensors[:-2])
            tensors[-2:] = output, kept
        given = [None if value is None else value.contiguous() for value in gradients]
        return None, None, *prepared.backward(ctx.seed, tensors, given, ctx.needs_input_grad[2:])


class Rounded(torch.autograd.Function):
    """As `value.to(dtype)`, there and back in memory from the stock."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, dtype: torch.dtype) -> Tensor:
        ctx.wide = value.dtype
        return from_stock(*value.shape, dtype=dtype).copy_(value)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        if torch.is_grad_enabled() or not in_memory(gradient):
            return gradient.to(ctx.wide), None
        return from_stock(*gradient.shape, dtype=ctx.wide).copy_(gradient), None


def _again(
    prepared: Prepared, seed: int, tensors: Sequence[Tensor], gradients: Sequence[Tensor | None]
) -> list[Tensor | None]:
    """The gradients of a prepared call, to be differentiated again."""
    names, flat = prepared.names, [None if g is None else g.reshape(-1, g.shape[-1]) for g in gradients]
    with torch.enable_grad():
        x, *initial = [value.flatten(0, -2) for value in (tensors[0], *tensors[1 + len(names) :])]
    own = [x, *tensors[1 : 1 + len(names)], *initial]
    with torch.autocast("cpu", enabled=False):  # every dtype is meant as it is
        found = twice_differentiable(replace(prepared.problem, seed=seed), names, own[0], own[1:], flat)
    return [None if value is None else value.view(like.shape) for value, like in zip(found, tensors, strict=True)]

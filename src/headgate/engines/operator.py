"""One layer in one direction as a single torch operator, so that torch.compile sees one node and not T steps.

The backward operator runs the engine again and differentiates that run: it costs one more forward pass, which is why
only compiled code goes this way.
"""

from __future__ import annotations

import importlib
import json

import torch
from torch import Tensor

from headgate.cells import Cell, get
from headgate.engines.contract import Call, Result
from headgate.engines.registry import choose, engine_named

_CELLS: dict[str, Cell] = {}


def key(cell: Cell) -> str:
    """A name for a cell that an operator can carry; equal cells share it, different ones never do.

    It says where the class is and how its switches are set, so that another process, which loads an exported program,
    can make the cell anew.
    """
    kind = cell.family
    base = name = f"{kind.__module__}:{kind.__qualname__} {json.dumps(cell.changed_switches, default=repr)}"
    count = 1
    while _CELLS.setdefault(name, cell) != cell:
        count += 1
        name = f"{base}#{count}"
    return name


def cell_of(key: str) -> Cell:
    """The cell of a key, made anew if this process has not met it.

    Raises:
        RuntimeError: its class is not where it was.
    """
    if key not in _CELLS:
        where, _, switches = key.partition(" ")
        module, _, name = where.partition(":")
        try:
            kind = getattr(importlib.import_module(module), name)
            _CELLS[key] = get(kind, **json.loads(switches))
        except (ImportError, AttributeError, ValueError, TypeError) as reason:
            raise RuntimeError(
                f"headgate::recurrent: the cell {key!r} cannot be made in this process ({reason}); import or build it "
                "first."
            ) from None
    return _CELLS[key]


def forward(call: Call, cell_key: str, engine: str | None) -> Result:
    """As an engine's forward, but one node in a compiled graph; without `all_states`.

    Args:
        call: what to run.
        cell_key: the cell's `key`.
        engine: the engine asked for; None has it chosen when the operator runs.
    """
    weights, initial = list(call.weights.values()), list(call.initial)
    how = cell_key, engine or "", call.reverse, call.seed
    output, *final = _recurrent(call.input, weights, initial, call.lengths, call.reset, *how)
    return Result(output, tuple(final))


def _dense_copy(value: Tensor) -> Tensor:
    return value.clone(memory_format=torch.contiguous_format)


def _run(call: Call, engine: str) -> Result:
    return engine_named(choose(call.request, engine or None)).forward(call)


@torch.library.custom_op("headgate::recurrent", mutates_args=())
def _recurrent(
    input: Tensor,
    weights: list[Tensor],
    initial: list[Tensor],
    lengths: Tensor | None,
    reset: Tensor | None,
    cell: str,
    engine: str,
    reverse: bool,
    seed: Tensor | None,
) -> list[Tensor]:
    if lengths is not None and lengths.device.type == "cpu" and ((lengths < 0) | (lengths > len(input))).any():
        raise ValueError(f"headgate::recurrent: lengths {lengths.tolist()} do not all lie in 0..{len(input)} = 0..T.")
    result = _run(_call(input, weights, initial, lengths, reset, cell, reverse, seed), engine)
    # An operator's results may share no memory with its arguments or with each other.
    return [result.output.contiguous(), *(_dense_copy(state) for state in result.final)]


@_recurrent.register_fake
def _(input, weights, initial, lengths, reset, cell, engine, reverse, seed):
    output = input.new_empty(*input.shape[:2], initial[0].shape[-1])
    return [output, *(torch.empty_like(state, memory_format=torch.contiguous_format) for state in initial)]


@torch.library.custom_op("headgate::recurrent_backward", mutates_args=())
def _recurrent_backward(
    gradients: list[Tensor],
    input: Tensor,
    weights: list[Tensor],
    initial: list[Tensor],
    lengths: Tensor | None,
    reset: Tensor | None,
    cell: str,
    engine: str,
    reverse: bool,
    seed: Tensor | None,
) -> list[Tensor]:
    variables = [value.detach().requires_grad_() for value in (input, *weights, *initial)]
    # Inside an operator autograd is switched off by dispatch key; this run of the engine needs it back.
    with torch._C._SetExcludeDispatchKeyGuard(torch._C.DispatchKey.AutogradFunctionality, False), torch.enable_grad():
        inner = variables[1 : 1 + len(weights)], variables[1 + len(weights) :]
        result = _run(_call(variables[0], *inner, lengths, reset, cell, reverse, seed), engine)
        found = torch.autograd.grad(
            (result.output, *result.final), variables, gradients, allow_unused=True, materialize_grads=True
        )
    return [_dense_copy(gradient) for gradient in found]


@_recurrent_backward.register_fake
def _(gradients, input, weights, initial, lengths, reset, cell, engine, reverse, seed):
    return [torch.empty_like(value, memory_format=torch.contiguous_format) for value in (input, *weights, *initial)]


def _keep(ctx, inputs, output) -> None:
    input, weights, initial, lengths, reset, cell, engine, reverse, seed = inputs
    ctx.sizes = len(weights), len(initial)
    ctx.how = cell, engine, reverse
    optional = lengths, reset, seed
    ctx.there = [value is not None for value in optional]
    ctx.save_for_backward(input, *weights, *initial, *(value for value in optional if value is not None))


def _backward(ctx, gradients):
    n, m = ctx.sizes
    input, *rest = ctx.saved_tensors
    weights, initial, saved = rest[:n], rest[n : n + m], iter(rest[n + m :])
    lengths, reset, seed = (next(saved) if there else None for there in ctx.there)
    dense = [gradient.contiguous() for gradient in gradients]
    found = _recurrent_backward(dense, input, weights, initial, lengths, reset, *ctx.how, seed)
    return found[0], found[1 : 1 + n], found[1 + n :], None, None, None, None, None, None


_recurrent.register_autograd(_backward, setup_context=_keep)


def _call(input, weights, initial, lengths, reset, cell: str, reverse: bool, seed: Tensor | None) -> Call:
    found = cell_of(cell)
    names = list(found.parameter_shapes(1, 1, 1, bias=True))
    if len(names) != len(weights):
        names = list(found.parameter_shapes(1, 1, 1, bias=False))
    named = dict(zip(names, weights, strict=True))
    return Call(found, named, input, tuple(initial), lengths, reset, reverse, seed=seed)

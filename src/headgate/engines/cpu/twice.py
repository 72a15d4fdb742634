"""Gradients that can be differentiated again, and where compiled code cannot read what is given."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from headgate.engines import eager
from headgate.engines.contract import Call
from headgate.engines.cpu.run import Problem


def in_memory(gradient: Tensor | None) -> bool:
    """False for the stand-ins of a batch of gradients (`is_grads_batched`, vmap), which compiled code cannot read."""
    try:
        return gradient is None or gradient.data_ptr() is not None
    except RuntimeError:
        return False


def twice_differentiable(
    problem: Problem, names: Sequence[str], x: Tensor, tensors: Sequence[Tensor], gradients: Sequence[Tensor | None]
) -> list[Tensor | None]:
    """The gradients of a run by the eager engine, which torch can differentiate again if gradients are enabled.

    Args:
        problem: what was run.
        names: of the weights.
        x: packed input, [N, I].
        tensors: the weights, then the initial states, [B, S] each.
        gradients: of the packed output, the final states and, as far as they are there, of all other states.

    Returns:
        The gradients of the input and of the tensors; None where none is needed.
    """
    rows, n, states, again = problem.rows, len(names), len(problem.sizes.states), torch.is_grad_enabled()
    # In the batch's own order of rows, in which masks are drawn.
    order = torch.arange(rows.B, device="cpu") if rows.order is None else rows.order
    valid = torch.arange(rows.B, device="cpu") < torch.from_numpy(rows.counts)[:, None]
    index = (torch.arange(rows.T, device="cpu")[:, None] * rows.B + order)[valid]
    with torch.enable_grad():
        fresh = None
        if rows.fresh is not None:
            fresh = torch.zeros(rows.T * rows.B, dtype=torch.bool, device="cpu").index_copy(0, index, rows.fresh)
            fresh = fresh.view(rows.T, rows.B)
            # The contract's resets stand at the step that begins; ours at the step before which the state is restored.
            fresh = fresh.roll(1, 0) if rows.reverse else fresh
        input = x.new_zeros(rows.T * rows.B, x.shape[1]).index_copy(0, index, x).view(rows.T, rows.B, x.shape[1])
        weights = {name: value.to(x.dtype) for name, value in zip(names, tensors[:n], strict=True)}
        place = torch.argsort(order)
        initial = tuple(value.index_select(0, place) for value in tensors[n:])
        lengths = valid.sum(0).index_select(0, place)
        seed = None
        if problem.sizes.drawn:
            seed = torch.tensor([problem.seed], dtype=torch.uint64, device="cpu").view(torch.int64)
        call = Call(problem.sizes.cell, weights, input, initial, lengths, fresh, rows.reverse, True, seed)
        result = eager.forward(call)
        values = [s.flatten(0, 1).index_select(0, index) for s in result.states.values()]
        outputs = [values[0], *(value.index_select(0, order) for value in result.final), *values[1:]]
        wanted = [value for value in (x, *tensors) if value.requires_grad]
        used = [(o, g) for o, g in zip(outputs, [*gradients, *[None] * states], strict=False) if g is not None]
        found = iter(
            torch.autograd.grad(
                [o for o, _ in used], wanted, [g for _, g in used], create_graph=again, allow_unused=True
            )
        )
    return [next(found) if value.requires_grad else None for value in (x, *tensors)]

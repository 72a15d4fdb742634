"""The engine that runs anywhere: the cell's own step on torch tensors, differentiated by autograd.

Any device, any dtype, twice differentiable, inside vmap and forward-mode differentiation too. Matrix products run in
the input's dtype; states and everything elementwise run in float32 when that is half precision.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.nn import functional

from headgate.cells import operations
from headgate.cells.cell import Named, State
from headgate.engines.contract import Call, Request, Result, step_masks, wide
from headgate.graph import trace

PRIORITY = 0
CAN = frozenset({"mean", "mask"})

_ON_TENSORS = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "exp": torch.exp,
    "log": torch.log,
    "sqrt": torch.sqrt,
    "positive": lambda v: (v > 0).to(v.dtype),
}
for _name, _function in _ON_TENSORS.items():
    operations.FUNCTIONS[_name].register(Tensor)(_function)


@operations.mean.register(Tensor)
def _mean(first: Tensor, *others: Tensor) -> Tensor:
    """The vectors' own means, kept as a last axis of one."""
    total = first.mean(-1, keepdim=True)
    for other in others:
        total = total + other.mean(-1, keepdim=True)
    return total / (1 + len(others))


ADVANTAGE = "any cell, device and dtype, twice differentiable"


def refusal(request: Request) -> str | None:
    """Nothing is refused."""
    return None


class Blocks:
    """`U` on tensors: all blocks that a step applies to one vector are one matrix product."""

    def __init__(self, call: Call) -> None:
        self._dtype = call.input.dtype
        self._home: dict[str, tuple[int, int]] = {}
        self._weight: list[tuple[Tensor, Tensor | None, int]] = []
        self._done: dict[int, tuple[Tensor, tuple[Tensor, ...]]] = {}
        learning = torch.is_grad_enabled()
        for stage in trace(call.cell).stages:
            for group in stage:
                name = group.matrix.name
                weight, bias = call.weights[f"weight_{name}"], call.weights.get(f"bias_{name}")
                size = weight.shape[0] // len(group.matrix.block_names)
                rows = slice(group.first * size, (group.first + len(group.blocks)) * size)
                # Kept wide and narrowed at each step: autograd then sums their gradients over the steps in float32.
                kept = wide(weight.dtype) if learning and weight.requires_grad else weight.dtype
                parts = weight[rows].to(kept), None if bias is None else bias[rows].to(kept), len(group.blocks)
                self._home |= {block: (len(self._weight), k) for k, block in enumerate(group.blocks)}
                self._weight.append(parts)

    def __getattr__(self, block: str) -> Callable[[Tensor], Tensor]:
        group, k = self._home[block]

        def apply(vector: Tensor) -> Tensor:
            done = self._done.get(group)
            if done is None or done[0] is not vector:
                weight, bias, blocks = self._weight[group]
                if weight.dtype != self._dtype:
                    weight, bias = weight.to(self._dtype), None if bias is None else bias.to(self._dtype)
                result = functional.linear(vector.to(self._dtype), weight, bias).to(vector.dtype)
                done = self._done[group] = vector, result.chunk(blocks, -1)
            return done[1][k]

        return apply

    __getitem__ = __getattr__


def input_parts(call: Call) -> Tensor:
    """W x + b for all steps in one product, [T, B, G H], in the dtype of the states."""
    input = call.input
    if call.lengths is not None:
        # Whatever stands in the padding, NaN included, must reach no gradient: 0 * NaN is NaN.
        input = torch.where(_active(call)[:, :, None], input, torch.zeros_like(input))
    product = functional.linear(input, call.weights["weight_ih"], call.weights.get("bias_ih"))
    return product.to(wide(call.input.dtype))


def vectors(call: Call) -> Named:
    """`p`: the per-unit parameters by name, [H] each, in the dtype of the states."""
    names = call.cell.vector_names
    if not names:
        return Named()
    return Named(zip(names, call.weights["weight_p"].to(wide(call.input.dtype)).chunk(len(names)), strict=True))


def schedule(call: Call) -> Iterator[tuple[int, Tensor | None, Tensor | None]]:
    """For each step in the order it is run: its time, the rows that take it, the rows that start afresh before it.

    Masks are [B, 1], or None where they would change nothing.
    """
    T = len(call.input)
    active = fresh = None
    if call.lengths is not None:
        active = _active(call)[:, :, None]
    if call.reset is not None:
        fresh = call.reset
        if call.reverse:
            fresh = torch.cat([fresh[1:], torch.zeros_like(fresh[:1])])
        fresh = fresh[:, :, None] if active is None else fresh[:, :, None] & active
    for t in range(T - 1, -1, -1) if call.reverse else range(T):
        yield t, None if active is None else active[t], None if fresh is None else fresh[t]


def _active(call: Call) -> Tensor:
    return torch.arange(len(call.input), device=call.input.device)[:, None] < call.lengths


def forward(call: Call) -> Result:
    """Run the call step by step."""
    cell, dtype = call.cell, wide(call.input.dtype)
    parts, U, p = input_parts(call).chunk(len(cell.gate_names), -1), Blocks(call), vectors(call)
    per_step = [part.unbind(0) for part in parts]
    first = State((name, value.to(dtype)) for name, value in zip(cell.state_names, call.initial, strict=True))
    state, history = first, {name: {} for name in cell.state_names}
    output = {}
    for t, active, fresh in schedule(call):
        if fresh is not None:
            state = State((name, torch.where(fresh, first[name], state[name])) for name in state)
        x = Named((gate, part[t]) for gate, part in zip(cell.gate_names, per_step, strict=True))
        after, _ = cell(x, U, state, p, step_masks(call, t))
        if active is not None:
            after = State((name, torch.where(active, after[name], state[name])) for name in state)
        state = after
        h = state[cell.state_names[0]]
        output[t] = h if active is None else torch.where(active, h, torch.zeros_like(h))
        if call.all_states:
            for name, value in state.items():
                history[name][t] = value
    times = range(len(call.input))
    return Result(
        torch.stack([output[t] for t in times]).to(call.input.dtype),
        tuple(state[n].to(v.dtype) for n, v in zip(cell.state_names, call.initial, strict=True)),
        {n: torch.stack([h[t] for t in times]) for n, h in history.items()} if call.all_states else None,
    )

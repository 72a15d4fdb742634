"""Calls without detours: packed weights kept from one call to the next, where nothing is to be differentiated."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from headgate import engines
from headgate.engines import Request, as_dtype, in_transform, is_followed, wide
from headgate.engines.cpu import library
from headgate.engines.cpu.stack import Stack, Stale, can_stack
from headgate.engines.cpu.weights import can_be_watched
from headgate.nn.arguments import CASTABLE

if TYPE_CHECKING:
    from headgate.nn.recurrent import Recurrent


States = tuple[Tensor, ...]
# What states may be beside an input in bfloat16; whatever else autocast lets through goes the long way.
HALF_STATES = (torch.bfloat16, wide(torch.bfloat16))


class Packed:
    """A layer's weights, packed, with what tells whether they still are those of the layer.

    Args:
        layer: whose.
        dtype: what it computes in.
        cast: whether it is autocast that says so.
    """

    def __init__(self, layer: Recurrent, dtype: torch.dtype, cast: bool) -> None:
        self._asked = layer.engine, dtype, cast
        own = [(name, layer._parameters[name]) for names in layer._weight_names for name in names.values()]
        self._watched = [(name, weight, weight._version, weight.data_ptr()) for name, weight in own]
        directions = layer.num_directions
        parts = [layer.weights(k // directions, k % directions) for k in range(layer.num_layers * directions)]
        self.stack = Stack(layer.cell, parts, layer.output_size, directions, dtype)

    def holds(self, layer: Recurrent, dtype: torch.dtype, cast: bool) -> bool:
        """Whether the layer is as it was when its weights were packed, as far as the tensors themselves tell."""
        parameters = layer._parameters
        for name, weight, version, start in self._watched:
            # The address before anything is looked at: `.data = ...` gives a tensor other memory.
            if parameters.get(name) is not weight or weight._version != version or weight.data_ptr() != start:
                return False
        return self._asked == (layer.engine, dtype, cast)


def run_packed(layer: Recurrent, input: Tensor, state: Any, dims: int) -> tuple[Tensor, Any] | None:
    """All layers and directions on packed weights.

    Args:
        layer: for one step, without a reverse direction.
        input, state: as `Recurrent.forward` or `Recurrent.step` is given them.
        dims: dimensions of an input with a batch: 3, or 2 for one step.

    Returns:
        What the caller returns, or None where this way cannot be taken: whatever is unusual goes the long way, and is
        refused there if it is wrong.
    """
    states = (state,) if type(state) is Tensor else state
    if type(input) is not Tensor or (states is not None and type(states) is not tuple):
        return None
    if torch.compiler.is_compiling() or in_transform() or is_followed():
        return None
    cast = torch.is_autocast_enabled("cpu") and input.dtype in CASTABLE
    dtype = torch.get_autocast_dtype("cpu") if cast else input.dtype
    if state is None and layer.learnable_state:
        return None
    if layer.training and (layer.draws_masks or (layer.dropout and layer.num_layers > 1)):
        return None
    if torch.is_grad_enabled() and _is_differentiated(layer, input, states):
        return None
    packed = layer._packed
    if packed is None or not packed.holds(layer, dtype, cast):
        if not _possible(layer, input, dtype, cast):
            return None
        packed = layer._packed = Packed(layer, dtype, cast)
    batched = input.dim() == dims
    turned = batched and dims == 3 and layer.batch_first
    run = packed.stack if dtype is not torch.bfloat16 else _Half(packed.stack, dtype if dims == 3 else wide(dtype))
    try:
        x = input.transpose(0, 1) if turned else input
        done = run(x, states) if batched else _single(run, x, states, dims)
    except Stale:
        layer._packed = None
        return None
    if done is None:
        return None
    output, new = done
    return output.transpose(0, 1) if turned else output, new if len(new) > 1 else new[0]


class _Half:
    """A stack of bfloat16 products on inputs and states in half precision, or what becomes that under autocast.

    Args:
        stack: computes in float32 otherwise.
        begins: dtype of the states that a call without any returns.
    """

    def __init__(self, stack: Stack, begins: torch.dtype) -> None:
        self._stack, self._begins = stack, begins

    def __call__(self, x: Tensor, states: tuple[Any, ...] | None) -> tuple[Tensor, States] | None:
        """As the stack itself."""
        if states is None:
            done, dtypes = self._stack(as_dtype(x, torch.float32), None), itertools.repeat(self._begins)
        else:
            if any(type(value) is not Tensor or value.dtype not in HALF_STATES for value in states):
                return None
            dtypes = [value.dtype for value in states]
            done = self._stack(as_dtype(x, torch.float32), tuple([as_dtype(v, torch.float32) for v in states]))
        if done is None:
            return None
        return done[0], tuple([as_dtype(v, d) for v, d in zip(done[1], dtypes, strict=False)])


def _single(
    run: Callable[[Tensor, Any], Any], input: Tensor, states: tuple[Any, ...] | None, dims: int
) -> tuple[Tensor, States] | None:
    """As the stack itself, without B."""
    if input.dim() != dims - 1:
        return None
    if states is not None:
        if any(type(value) is not Tensor or value.dim() != 2 for value in states):
            return None
        states = tuple([value.unsqueeze(1) for value in states])
    done = run(input.unsqueeze(-2), states)
    return done and (done[0].squeeze(-2), tuple([value.squeeze(1) for value in done[1]]))


def _is_differentiated(layer: Recurrent, input: Tensor, states: tuple[Any, ...] | None) -> bool:
    tensors = (*layer._parameters.values(), input, *(states or ()))
    return any(isinstance(value, Tensor) and value.requires_grad for value in tensors)


def _possible(layer: Recurrent, input: Tensor, dtype: torch.dtype, cast: bool) -> bool:
    """Whether the compiled engine is the one to run this, on weights that are plain parameters of the input's kind."""
    weights = [layer._parameters.get(name) for names in layer._weight_names for name in names.values()]
    if any(w is None or w.device.type != "cpu" or not can_be_watched(w) for w in weights):
        return False
    if any(w.dtype not in CASTABLE if cast else w.dtype != dtype for w in weights):
        return False
    if dtype not in (torch.float32, torch.float64, torch.bfloat16) or not can_stack(layer.cell):
        return False
    if engines.choose(Request(layer.cell, input.device, dtype), layer.engine) != "cpu":
        return False
    return dtype is not torch.bfloat16 or library.tiles() is not None

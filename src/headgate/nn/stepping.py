"""`step` without detours: packed weights kept from one call to the next, where nothing is to be differentiated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from headgate import engines
from headgate.engines import Request, in_transform
from headgate.engines.cpu.step import Stack, Stale, can_step
from headgate.engines.cpu.weights import can_be_watched

if TYPE_CHECKING:
    from headgate.nn.recurrent import Recurrent


class Packed:
    """A layer's weights, packed for steps, with what tells whether they still are those of the layer."""

    def __init__(self, layer: Recurrent) -> None:
        self._engine = layer.engine
        own = [(name, layer._parameters[name]) for names in layer._weight_names for name in names.values()]
        self._watched = [(name, weight, weight._version, weight.data_ptr()) for name, weight in own]
        self.stack = Stack(layer.cell, [layer.weights(k) for k in range(layer.num_layers)], layer.output_size)

    def holds(self, layer: Recurrent) -> bool:
        """Whether the layer is as it was when its weights were packed, as far as the tensors themselves tell."""
        parameters = layer._parameters
        for name, weight, version, start in self._watched:
            # The address before anything is looked at: `.data = ...` gives a tensor other memory.
            if parameters.get(name) is not weight or weight._version != version or weight.data_ptr() != start:
                return False
        return layer.engine == self._engine


def fast_step(layer: Recurrent, input: Tensor, state: Any) -> tuple[Tensor, Any] | None:
    """One step of all layers on packed weights.

    Args:
        layer: without a reverse direction.
        input, state: as `Recurrent.step` is given them.

    Returns:
        What `step` returns, or None where this way cannot be taken: whatever is unusual goes the long way, and is
        refused there if it is wrong.
    """
    if torch.compiler.is_compiling() or in_transform() or torch.is_autocast_enabled("cpu"):
        return None
    states = (state,) if type(state) is Tensor else state
    if type(input) is not Tensor or not _usual(layer, states):
        return None
    if torch.is_grad_enabled() and _is_differentiated(layer, input, states):
        return None
    packed = layer._packed
    if packed is None or not packed.holds(layer):
        if not _possible(layer, input):
            return None
        packed = layer._packed = Packed(layer)
    single = input.dim() == 1
    if single:
        if states is not None and any(value.dim() != 2 for value in states):
            return None
        input, states = input.unsqueeze(0), None if states is None else tuple([v.unsqueeze(1) for v in states])
    try:
        done = packed.stack(input, states)
    except Stale:
        layer._packed = None
        return None
    if done is None:
        return None
    output, new = done
    if single:
        output, new = output.squeeze(0), [value.squeeze(1) for value in new]
    return output, tuple(new) if len(new) > 1 else new[0]


def _usual(layer: Recurrent, states: Any) -> bool:
    if layer.training and (layer.draws_masks or (layer.dropout and layer.num_layers > 1)):
        return False
    if states is None:
        return not layer.learnable_state
    if type(states) is not tuple or len(states) != len(layer.cell.state_names):
        return False
    for value in states:  # noqa: SIM110 - a generator would cost more than all of it
        if type(value) is not Tensor:
            return False
    return True


def _is_differentiated(layer: Recurrent, input: Tensor, states: tuple[Tensor, ...] | None) -> bool:
    tensors = (input, *(states or ()), *layer._parameters.values())
    return any(value is not None and value.requires_grad for value in tensors)


def _possible(layer: Recurrent, input: Tensor) -> bool:
    """Whether the compiled engine is the one to run this, on weights that are plain parameters of the input's kind."""
    weights = [layer._parameters.get(name) for names in layer._weight_names for name in names.values()]
    if any(w is None or w.dtype != input.dtype or w.device.type != "cpu" or not can_be_watched(w) for w in weights):
        return False
    if input.dtype not in (torch.float32, torch.float64):
        return False
    return engines.choose(Request(layer.cell, input.device, input.dtype), layer.engine) == "cpu" and can_step(layer.cell)

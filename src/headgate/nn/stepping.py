"""`step` without detours: packed weights kept from one call to the next, where nothing is to be differentiated."""

from __future__ import annotations

import threading
import weakref
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from headgate import engines
from headgate.engines import Request, in_transform
from headgate.engines.cpu.library import BLOCK
from headgate.engines.cpu.step import Packed, Stepper
from headgate.engines.cpu.weights import can_be_watched

if TYPE_CHECKING:
    from headgate.nn.recurrent import Recurrent

States = tuple[Tensor, ...]


class _Steppers(threading.local):
    """Each thread's steppers of each layer; they go when the layer goes."""

    def __init__(self) -> None:
        self.of: weakref.WeakKeyDictionary[Recurrent, _Steps] = weakref.WeakKeyDictionary()


_steppers = _Steppers()


class _Steps:
    """All layers' steppers, and the forms that they take."""

    def __init__(self, layer: Recurrent) -> None:
        names = [layer._weight_names[k] for k in range(layer.num_layers)]
        weights = [layer.weights(k) for k in range(layer.num_layers)]
        pairs = zip(weights, names, strict=True)
        self.steppers = [Stepper(Packed(layer.cell, own, called, layer.output_size)) for own, called in pairs]
        self.engine = layer.engine
        self.dtype = weights[0]["weight_ih"].dtype
        self.sizes = layer.state_sizes
        self.layers = layer.num_layers

    def fits(self, layer: Recurrent) -> bool:
        parameters = layer._parameters
        return layer.engine == self.engine and all(stepper.packed.holds(parameters) for stepper in self.steppers)

    def run(self, x: Tensor, states: States | None) -> States | None:
        B = x.shape[0]
        if x.dtype != self.dtype or x.device.type != "cpu" or not B:
            return None
        if states is None:
            states = tuple(x.new_zeros(self.layers, B, size) for size in self.sizes)
        for state, size in zip(states, self.sizes, strict=True):
            if state.shape != (self.layers, B, size) or state.dtype != self.dtype or state.device.type != "cpu":
                return None
        states = tuple(state.contiguous() for state in states)
        new = tuple(map(torch.empty_like, states))
        before, after = [s.data_ptr() for s in states], [s.data_ptr() for s in new]
        strides = [B * size * x.element_size() for size in self.sizes]
        threads, x = torch.get_num_threads(), x.contiguous()
        address = x.data_ptr()
        for stepper in self.steppers:
            stepper(address, before, after, B, threads)
            address = after[0]
            before = [a + step for a, step in zip(before, strides, strict=True)]
            after = [a + step for a, step in zip(after, strides, strict=True)]
        return new


def fast_step(layer: Recurrent, input: Tensor, states: States | None) -> States | None:
    """One step of all layers on packed weights.

    Args:
        layer: without a reverse direction.
        input: [B, I].
        states: [L, B, S] each, or None for zeros.

    Returns:
        The new states, [L, B, S] each, or None where this way cannot be taken.
    """
    if torch.compiler.is_compiling() or in_transform() or torch.is_autocast_enabled("cpu"):
        return None
    if layer.learnable_state and states is None:
        return None
    if layer.training and layer.dropout and layer.num_layers > 1:
        return None
    if torch.is_grad_enabled() and any(v.requires_grad for v in (input, *(states or ()), *layer.parameters())):
        return None
    steps = _steppers.of.get(layer)
    if steps is None or not steps.fits(layer):
        if not _possible(layer, input):
            return None
        steps = _steppers.of[layer] = _Steps(layer)
    return steps.run(input, states)


def _possible(layer: Recurrent, input: Tensor) -> bool:
    """Whether the compiled engine is the one to run this, on weights that are plain parameters of the input's kind."""
    weights = [layer._parameters.get(name) for names in layer._weight_names for name in names.values()]
    if any(w is None or w.dtype != input.dtype or w.device.type != "cpu" or not can_be_watched(w) for w in weights):
        return False
    if any(size % BLOCK for size in layer.state_sizes) or input.dtype not in (torch.float32, torch.float64):
        return False
    return engines.choose(Request(layer.cell, input.device, input.dtype), layer.engine) == "cpu"

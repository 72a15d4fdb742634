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

if TYPE_CHECKING:
    from headgate.nn.recurrent import Recurrent


class _Steppers(threading.local):
    """Each thread's steppers of each layer; they go when the layer goes."""

    def __init__(self) -> None:
        self.of: weakref.WeakKeyDictionary[Recurrent, list[Stepper]] = weakref.WeakKeyDictionary()


_steppers = _Steppers()


def fast_step(layer: Recurrent, input: Tensor, states: tuple[Tensor, ...] | None) -> tuple[Tensor, ...] | None:
    """One step of all layers on packed weights.

    Args:
        layer: without a reverse direction.
        input: [B, I].
        states: [L, B, S] each, or None for zeros.

    Returns:
        The new states, [L, B, S] each, or None where this way cannot be taken.
    """
    if not _possible(layer, input, states):
        return None
    weights = [list(layer.weights(k).values()) for k in range(layer.num_layers)]
    if torch.is_grad_enabled() and _differentiable([input, *(states or ()), *(w for part in weights for w in part)]):
        return None
    steppers = _steppers.of.get(layer)
    if steppers is None or not all(s.packed.holds(w) for s, w in zip(steppers, weights, strict=True)):
        if not _chosen(layer, input):
            return None
        packed = [Packed(layer.cell, layer.weights(k), layer.output_size) for k in range(layer.num_layers)]
        steppers = _steppers.of[layer] = [Stepper(one) for one in packed]
    B = len(input)
    if states is None:
        states = tuple(input.new_zeros(layer.num_layers, B, size) for size in layer.state_sizes)
    new = tuple(torch.empty_like(state) for state in states)
    threads = torch.get_num_threads()
    x = input.contiguous()
    for k, stepper in enumerate(steppers):
        after = [state[k] for state in new]
        stepper(x, [state[k] for state in states], after, threads)
        x = after[0]
    return new


def _possible(layer: Recurrent, input: Tensor, states: tuple[Tensor, ...] | None) -> bool:
    if layer.engine not in (None, "cpu") or layer.learnable_state and states is None:
        return False
    if layer.training and layer.dropout and layer.num_layers > 1:
        return False
    if any(size % BLOCK for size in layer.state_sizes) or torch.compiler.is_compiling() or in_transform():
        return False
    if input.device.type != "cpu" or torch.is_autocast_enabled("cpu") or not len(input):
        return False
    shapes = [(layer.num_layers, len(input), size) for size in layer.state_sizes]
    return states is None or all(
        state.shape == shape and state.dtype == input.dtype and state.is_contiguous() and state.device == input.device
        for state, shape in zip(states, shapes, strict=True)
    )


def _differentiable(values: list[Tensor]) -> bool:
    return any(value.requires_grad for value in values)


def _chosen(layer: Recurrent, input: Tensor) -> bool:
    """Whether the compiled engine is the one to run this, on weights of the input's own kind."""
    weights = layer.weights(0)["weight_ih"]
    if weights.dtype != input.dtype or input.dtype not in (torch.float32, torch.float64) or weights.device != input.device:
        return False
    return engines.choose(Request(layer.cell, input.device, input.dtype), layer.engine) == "cpu"

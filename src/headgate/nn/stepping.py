"""`step` without detours: packed weights kept from one call to the next, where nothing is to be differentiated."""

from __future__ import annotations

import threading
import weakref
from typing import TYPE_CHECKING, Any

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
        self.input_size = layer.input_size
        self._shapes: dict[int, tuple[tuple[int, ...], ...]] = {}

    def fits(self, layer: Recurrent) -> bool:
        """Whether the layer is as it was when its weights were packed."""
        if layer.engine != self.engine:
            return False
        parameters = layer._parameters
        return all([stepper.packed.holds(parameters) for stepper in self.steppers])

    def run(self, x: Tensor, states: States | None) -> tuple[Tensor, States] | None:
        """One step of rows [B, I], or None for arguments in any other form than the usual."""
        B = x.shape[0]
        shapes = self._shapes.get(B)
        if shapes is None:
            shapes = self._shapes[B] = tuple((self.layers, B, size) for size in self.sizes)
        if x.dtype is not self.dtype or not x.is_cpu or x.shape != (B, self.input_size) or B == 0:
            return None
        if states is None:
            states = tuple([x.new_zeros(shape) for shape in shapes])
        new, before, after = [], [], []
        for state, shape in zip(states, shapes, strict=True):
            if state.shape != shape or state.dtype is not self.dtype or not state.is_cpu or not state.is_contiguous():
                return None
            made = torch.empty(shape, dtype=self.dtype)
            new.append(made)
            before.append(state.data_ptr())
            after.append(made.data_ptr())
        output = torch.empty((B, self.sizes[0]), dtype=self.dtype)
        self._all_layers(x.contiguous().data_ptr(), before, after, output.data_ptr(), B)
        return output, tuple(new)

    def _all_layers(self, x: int, before: list[int], after: list[int], output: int, B: int) -> None:
        threads = torch.get_num_threads()
        last = self.layers - 1
        for k, stepper in enumerate(self.steppers):
            stepper(x, before, after, output if k == last else after[0], B, threads)
            if k < last:
                x = after[0]
                bytes_of = [B * size * self.dtype.itemsize for size in self.sizes]
                before = [a + n for a, n in zip(before, bytes_of, strict=True)]
                after = [a + n for a, n in zip(after, bytes_of, strict=True)]


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
    if torch.is_grad_enabled() and any(v.requires_grad for v in (input, *(states or ()), *layer.parameters())):
        return None
    steps = _steppers.of.get(layer)
    if steps is None or not steps.fits(layer):
        if not _possible(layer, input):
            return None
        steps = _steppers.of[layer] = _Steps(layer)
    if input.dim() == 2:
        done = steps.run(input, states)
        if done is None:
            return None
        output, new = done
    else:
        if states is not None and any(value.dim() != 2 for value in states):
            return None
        done = steps.run(input.unsqueeze(0), None if states is None else tuple([v.unsqueeze(1) for v in states]))
        if done is None:
            return None
        output, new = done[0].squeeze(0), tuple([value.squeeze(1) for value in done[1]])
    return output, new if len(new) > 1 else new[0]


def _usual(layer: Recurrent, states: Any) -> bool:
    if layer.draws_masks or (layer.training and layer.dropout and layer.num_layers > 1):
        return False
    if states is None:
        return not layer.learnable_state
    if type(states) is not tuple or len(states) != len(layer.cell.state_names):
        return False
    for value in states:  # noqa: SIM110 - a generator would cost more than all of it
        if type(value) is not Tensor:
            return False
    return True


def _possible(layer: Recurrent, input: Tensor) -> bool:
    """Whether the compiled engine is the one to run this, on weights that are plain parameters of the input's kind."""
    weights = [layer._parameters.get(name) for names in layer._weight_names for name in names.values()]
    if any(w is None or w.dtype != input.dtype or w.device.type != "cpu" or not can_be_watched(w) for w in weights):
        return False
    if any(size % BLOCK for size in layer.state_sizes) or input.dtype not in (torch.float32, torch.float64):
        return False
    return engines.choose(Request(layer.cell, input.device, input.dtype), layer.engine) == "cpu"

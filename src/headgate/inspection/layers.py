"""A module's call in one form, and its layers and directions one by one: what recomputing and replaying share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from headgate.engines import Call, as_dtype
from headgate.nn import Recurrent, packing
from headgate.nn.arguments import Sequences, close_sequences, open_sequences

# How far a run of the same call by our engines may be from the module's own, by the dtype it ran in.
AGREEMENT = {torch.float64: 1e-9, torch.float32: 1e-3, torch.bfloat16: 0.2, torch.float16: 0.05}


@dataclass(frozen=True)
class Opened:
    """A call of a recurrent module, its rows in the order that the user knows.

    Attributes:
        layer: the module's twin, whose settings and weights are used.
        arguments: the module's arguments in one form.
        input: [T, B, I].
        lengths: steps each row takes, [B], or None for T each.
        initial: the states before the first step, [L D, B, ...] each.
    """

    layer: Recurrent
    arguments: Sequences
    input: Tensor
    lengths: Tensor | None
    initial: tuple[Tensor, ...]

    @property
    def steps(self) -> Tensor:
        """Steps each row takes, [B]."""
        T, B = self.input.shape[:2]
        return torch.full((B,), T, device=self.input.device) if self.lengths is None else self.lengths

    def close(self, output: Tensor, final: tuple[Tensor, ...]) -> tuple:
        """What the module returns for an output [T, B, D O] and final states, in the form in which the call came."""
        packed = self.arguments.input
        if isinstance(packed, PackedSequence):
            order = packed.sorted_indices
            if order is not None:
                output = output.index_select(1, order)
                final = tuple(state.index_select(1, order) for state in final)
            output = packing.pack_like(packed, output)
        return close_sequences(self.layer, self.arguments, output, final)


def open_call(layer: Recurrent, arguments: Mapping[str, Any]) -> Opened:
    """A call's arguments, by the names of `Recurrent.forward`, checked and in one form.

    Raises:
        TypeError, ValueError, RuntimeError: they are not those of a recurrent layer.
    """
    opened = open_sequences(layer, layer.weight_ih_l0, **arguments)
    input, lengths, initial = opened.input, opened.lengths, opened.initial
    if isinstance(opened.input, PackedSequence):
        input, lengths = packing.unpack(opened.input)
        input, lengths = in_users_order(input, opened.input), in_users_order(lengths[None], opened.input)[0]
        initial = tuple(in_users_order(state, opened.input) for state in initial)
    return Opened(layer, opened, input, lengths, initial)


def run_layers(opened: Opened, run: Callable[[Call, int], Tensor], masks: Sequence[Tensor] = ()) -> Tensor:
    """Every layer and direction, each on what the layers below gave.

    Args:
        opened: the call.
        run: runs one layer and direction, given its call and its index in the order of the states, and returns its
            output [T, B, O] in time, zero where a row takes no step.
        masks: what the outputs of each layer but the last are multiplied with, [T, B, D O].

    Returns:
        The last layer's output, [T, B, D O].
    """
    layer, input = opened.layer, opened.input
    for k in range(layer.num_layers):
        outputs = []
        for direction in range(layer.num_directions):
            index = k * layer.num_directions + direction
            initial = tuple(state[index] for state in opened.initial)
            weights = {name: as_dtype(weight, input.dtype) for name, weight in layer.weights(k, direction).items()}
            reset = opened.arguments.reset
            outputs.append(run(Call(layer.cell, weights, input, initial, opened.lengths, reset, direction == 1), index))
        input = torch.cat(outputs, -1)
        if k < len(masks):
            input = input * masks[k]
    return input


def in_users_order(rows: Tensor, packed: PackedSequence) -> Tensor:
    """[T, B, ...] from the packed batch's order of rows to the one its user knows."""
    return rows if packed.unsorted_indices is None else rows.index_select(1, packed.unsorted_indices)


def weights_of(module: nn.Module) -> dict[str, Tensor]:
    """A recurrent module's weights as a call would use them now, copied, by the names of its parameters."""
    if isinstance(module, Recurrent):
        found = {name: getattr(module, name) for name in module.parameter_names}
    else:
        found = dict(zip(module._flat_weights_names, module._flat_weights, strict=True))
    return {name: weight.detach().clone() for name, weight in found.items()}


def disagreement(actual: Tensor, expected: Tensor) -> tuple[float, float]:
    """The largest difference of a run by our engines from the module's own, and what is allowed."""
    allowed = max(AGREEMENT[expected.dtype], AGREEMENT[actual.dtype])
    if not actual.numel():
        return 0.0, allowed
    error = (actual - expected.to(actual.dtype)).abs().max().item()
    return error, allowed * max(1.0, actual.abs().max().item())

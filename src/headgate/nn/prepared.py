"""Training calls without detours: where every row takes every step, and the compiled engine is the one to run it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from headgate import engines
from headgate.engines import Request, in_transform, is_answered_by_class, is_followed
from headgate.engines.cpu import library
from headgate.engines.cpu.autograd import Rounded, Training
from headgate.engines.cpu.plan import Form
from headgate.engines.cpu.prepared import can_prepare, prepared
from headgate.engines.cpu.stock import SMALLEST

if TYPE_CHECKING:
    from headgate.nn.recurrent import Recurrent


class Ready:
    """What a layer's calls of one form share.

    Args:
        layer: whose weights are plain parameters of this dtype.
        dtype: of all numbers.
        products: of which products are made; bfloat16 beside float32 under autocast.
        T, B: steps, rows.
        threads: how many share the work.
    """

    def __init__(
        self, layer: Recurrent, dtype: torch.dtype, products: torch.dtype, T: int, B: int, threads: int
    ) -> None:
        self.key = layer.engine, dtype, products, T, B, threads
        parts, directions = len(layer._weight_names), layer.num_directions
        self.directions, self.states = directions, [(parts, B, size) for size in layer.state_sizes]
        self.weights: list[list[tuple[str, tuple[int, ...]]]] = []
        self.zeros = [torch.zeros(shape, dtype=dtype, device="cpu") for shape in self.states]
        self.parts = []
        for k, names in enumerate(layer._weight_names):
            width = layer.input_size if k < directions else layer.output_size * directions
            own = T, B, width, layer.hidden_size, layer.output_size, dtype, products
            form = Form(layer.cell, tuple(names), *own, k % directions == 1, False, threads, 0)
            self.parts.append(prepared(form))
            shapes = layer.cell.parameter_shapes(width, layer.hidden_size, layer.output_size, layer.bias)
            self.weights.append([(names[name], shape) for name, shape in shapes.items()])

    def __call__(self, x: Tensor, weights: list[list[Tensor]], states: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """All layers and directions.

        Args:
            x: [T, B, I].
            weights: of each layer and direction.
            states: before the first step, [L D, B, S] each.

        Returns:
            The output, [T, B, D O], and the states after the last step.
        """
        if len(self.parts) == 1:
            output, *final = Training.apply(self.parts[0], 0, x, *weights[0], *states)
            # A hook on a node's own result is called, with None, even where no gradient comes; on a view it is not.
            return output.view_as(output), [value.view_as(value) for value in final]
        by_part, outputs = [], []
        for k, part in enumerate(self.parts):
            own = [state[k] for state in states]
            output, *final = Training.apply(part, 0, x.contiguous(), *weights[k], *own)
            by_part.append(final)
            outputs.append(output)
            if len(outputs) == self.directions:
                x = outputs[0] if self.directions == 1 else torch.cat(outputs, -1)
                outputs = []
        return x, [torch.stack(values) for values in zip(*by_part, strict=True)]


def run_prepared(layer: Recurrent, input: Any, state: Any) -> tuple[Tensor, Any] | None:
    """All layers and directions, differentiably.

    Args:
        layer: whose call it is.
        input, state: as `Recurrent.forward` is given them.

    Returns:
        What the caller returns, or None where this way cannot be taken: whatever is unusual goes the long way, and is
        refused there if it is wrong.
    """
    if type(input) is not Tensor or input.dim() != 3 or not torch.is_grad_enabled():
        return None
    if torch.compiler.is_compiling() or in_transform() or is_followed():
        return None
    if layer.training and (layer.draws_masks or (layer.dropout and layer.num_layers > 1)):
        return None
    if state is None and layer.learnable_state:
        return None
    dtype, cast = input.dtype, torch.is_autocast_enabled("cpu")
    products = torch.get_autocast_dtype("cpu") if cast else dtype
    if dtype not in (torch.float32, torch.float64) or not input.is_cpu or input.layout is not torch.strided:
        return None
    if cast and not _is_rounded_by_products(layer, dtype, products):
        return None
    x = input.transpose(0, 1) if layer.batch_first else input
    T, B, width = x.shape
    if width != layer.input_size or x.numel() == 0:
        return None
    ready = layer._ready
    if ready is None or ready.key != (layer.engine, dtype, products, T, B, torch.get_num_threads()):
        if not _possible(layer, input.device, products):
            return None
        ready = layer._ready = Ready(layer, dtype, products, T, B, torch.get_num_threads())
    weights = _plain_weights(layer, ready.weights, dtype)
    states = ready.zeros if state is None else _plain_states(state, ready.states, dtype)
    if weights is None or states is None:
        return None
    output, final = ready(x.contiguous(), weights, states)
    if cast:
        output = output.to(products) if output.nbytes < SMALLEST else Rounded.apply(output, products)
        final = [value.to(products) for value in final] if state is None else final
    output = output.transpose(0, 1) if layer.batch_first else output
    return output, tuple(final) if len(final) > 1 else final[0]


def _plain_weights(
    layer: Recurrent, wanted: list[list[tuple[str, tuple[int, ...]]]], dtype: torch.dtype
) -> list[list[Tensor]] | None:
    """The layer's weights by names and shapes, if all of them are plain parameters."""
    parameters, found = layer._parameters, []
    for own in wanted:
        weights = []
        for name, shape in own:
            weight = parameters.get(name)
            if weight is None or weight.dtype is not dtype or weight.shape != shape:
                return None
            if not weight.is_cpu or not weight.is_contiguous() or is_answered_by_class(weight):
                return None
            weights.append(weight)
        found.append(weights)
    return found


def _plain_states(given: Any, shapes: list[tuple[int, ...]], dtype: torch.dtype) -> list[Tensor] | None:
    """States as they were given, if they are as they should be."""
    states = (given,) if type(given) is Tensor else given
    if type(states) is not tuple or len(states) != len(shapes):
        return None
    for state, shape in zip(states, shapes, strict=True):
        if not isinstance(state, Tensor) or state.shape != shape or state.dtype is not dtype:
            return None
        if not state.is_cpu or state.layout is not torch.strided or is_answered_by_class(state):
            return None
    return [state.contiguous() for state in states]


def _is_rounded_by_products(layer: Recurrent, dtype: torch.dtype, products: torch.dtype) -> bool:
    """Whether what autocast would round is what products round, which then need not be done to whole tensors before."""
    plain = dtype is torch.float32 and not layer.cell.vector_names
    return plain and products is torch.bfloat16 and library.tiles() is not None


def _possible(layer: Recurrent, device: torch.device, dtype: torch.dtype) -> bool:
    """Whether the compiled engine is the one to run this, with numbers of the dtype that autocast asks for."""
    if not can_prepare(layer.cell):
        return False
    return engines.choose(Request(layer.cell, device, dtype), layer.engine) == "cpu"

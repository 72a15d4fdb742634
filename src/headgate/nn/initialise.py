"""Starting values by gate name, for all layers and both directions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from headgate.cells import Cell

if TYPE_CHECKING:
    from headgate.nn.recurrent import Recurrent


@torch.no_grad()
def gate_bias_(layer: Recurrent, gate: str, value: float | Tensor) -> Recurrent:
    """Set the bias of one gate in all layers and directions.

    torch.nn adds two biases to every gate; the value goes into `bias_ih`, and the gate's part of every other bias is
    zeroed, so that the gate really starts there. With layer norm it goes into the one bias there is.

    Args:
        layer: changed in place and returned.
        gate: one of the cell's gates.
        value: a number, or one a unit, [H].

    Raises:
        ValueError: no such gate, a layer without biases, or a value of another shape.
    """
    cell = _cell_of(layer)
    if gate not in cell.gate_names:
        raise ValueError(f"{layer.call} has no gate {gate!r}; its gates are {', '.join(cell.gate_names)}.")
    if not _has_biases(layer):
        raise ValueError(f"{layer.call} has no biases, so gate {gate!r} cannot be given one; build it with bias=True.")
    value = torch.as_tensor(value)
    if value.shape not in ((), (layer.hidden_size,)):
        raise ValueError(
            f"{layer.call}: the bias of gate {gate!r} was given shape {list(value.shape)}; give a number, or one a "
            f"unit: [{layer.hidden_size}] = [H]."
        )
    for weights in _all_weights(layer):
        _set_gate_bias(layer.cell, weights, gate, value)
    return layer


def forget_bias_(layer: Recurrent, value: float = 1.0) -> Recurrent:
    """Start with a memory that lasts: the gate that keeps it gets this bias (Jozefowicz et al. 2015 use 1).

    It is f in an LSTM, z in a GRU, and i with the sign turned where f = 1 - i.

    Raises:
        ValueError: a cell without such a gate, or a layer without biases.
    """
    gate, sign = next(iter(_timescale(layer, "forget_bias").items()))
    return gate_bias_(layer, gate, sign * value)


@torch.no_grad()
def chrono_(layer: Recurrent, longest: float) -> Recurrent:
    """Spread the units' timescales up to `longest` steps (Tallec & Ollivier 2018, arXiv 1804.11188).

    The keeping gate's bias is log u with u uniform in [1, longest - 1], so it forgets over about u steps; an LSTM's
    input gate gets the negative of the same.

    Raises:
        ValueError: a cell without such a gate, a layer without biases, or `longest` not above 2.
    """
    if not longest > 2:
        raise ValueError(f"{layer.call}: chrono={longest!r} is the longest timescale in steps and must be above 2.")
    signs = _timescale(layer, "chrono")
    if not _has_biases(layer):
        raise ValueError(f"{layer.call} has no biases, which set the timescales; build it with bias=True.")
    for weights in _all_weights(layer):
        logarithms = weights["weight_ih"].new_empty(layer.hidden_size).uniform_(1.0, longest - 1.0).log_()
        for gate, sign in signs.items():
            _set_gate_bias(layer.cell, weights, gate, sign * logarithms)
    return layer


@torch.no_grad()
def orthogonal_(layer: Recurrent) -> Recurrent:
    """Every square recurrent block orthogonal, others semi-orthogonal (Saxe, McClelland & Ganguli 2014)."""
    cell = _cell_of(layer)
    for weights in _all_weights(layer):
        for matrix in cell.recurrent:
            for block in weights[f"weight_{matrix.name}"].chunk(len(matrix.block_names)):
                nn.init.orthogonal_(block)
    return layer


@torch.no_grad()
def vectors_(layer: Recurrent) -> Recurrent:
    """Per-unit parameters at the values that their cell has them start from, such as a layer norm's gains at 1."""
    cell = _cell_of(layer)
    for weights in _all_weights(layer):
        for name, value in cell.vector_starts.items():
            _rows(weights["weight_p"], cell.vector_names, name).fill_(value)
    return layer


def _has_biases(layer: Recurrent) -> bool:
    return layer.bias and (layer.cell.input_bias or bool(layer.cell.bias_vectors))


def _set_gate_bias(cell: Cell, weights: dict[str, Tensor], gate: str, value: float | Tensor) -> None:
    if gate in cell.bias_vectors:
        own = _rows(weights["weight_p"], cell.vector_names, cell.bias_vectors[gate])
        own.copy_(torch.as_tensor(value).to(own))
        return
    bias = weights["bias_ih"]
    _rows(bias, cell.gate_names, gate).copy_(torch.as_tensor(value).to(bias))
    for matrix in cell.recurrent:
        if matrix.bias and gate in matrix.block_names:
            _rows(weights[f"bias_{matrix.name}"], matrix.block_names, gate).zero_()


def _all_weights(layer: Recurrent) -> list[dict[str, Tensor]]:
    places = ((k, d) for k in range(layer.num_layers) for d in range(layer.num_directions))
    return [layer.weights(*place) for place in places]


def _rows(parameter: Tensor, blocks: tuple[str, ...], block: str) -> Tensor:
    return parameter.chunk(len(blocks))[blocks.index(block)]


def _cell_of(layer: Recurrent) -> Cell:
    if not isinstance(getattr(layer, "cell", None), Cell):
        raise TypeError(
            f"a {type(layer).__name__} has no gates that headgate knows by name; build the layer with headgate, or use "
            "headgate.swap first."
        )
    return layer.cell


def _timescale(layer: Recurrent, what: str) -> dict[str, int]:
    if not _cell_of(layer).timescale:
        raise ValueError(f"{layer.call}: {what} needs a gate that keeps the memory, and {layer.cell.name} has none.")
    return dict(layer.cell.timescale)

"""Runs of a layer with a loss on everything it returns, so that two runs can be held against each other by name."""

from __future__ import annotations

import pytest
import torch
from tolerances import TOLERANCE
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

import headgate as hg
from headgate import engines

CELLS = hg.cells.names()
PLAIN = ("lstm", "gru", "rnn", "relu_rnn")
KINDS = {
    "LSTM": (nn.LSTM, hg.LSTM, {}),
    "GRU": (nn.GRU, hg.GRU, {}),
    "RNN": (nn.RNN, hg.RNN, {}),
    "RNN-relu": (nn.RNN, hg.RNN, {"nonlinearity": "relu"}),
}


def cells_and_engines(*, lengths: bool = False, reset: bool = False) -> list:
    """Every cell on the engine it gets, and on "eager" too where that is another: parameters for a test."""
    found = []
    for cell in CELLS:
        request = engines.Request(hg.cells.get(cell), torch.device("cpu"), torch.float64, lengths, reset)
        asked = [None] if engines.choose(request) == "eager" else [None, "eager"]
        found += [pytest.param(cell, engine, id=f"{cell}-engine={engine}") for engine in asked]
    return found


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def states_for(layer, B: int, seed: int = 100) -> tuple[Tensor, ...]:
    """Initial states that are not zero, [L D, B, ...] each."""
    dtype = layer.weight_ih_l0.dtype
    rows = layer.num_layers * (2 if layer.bidirectional else 1)
    projected = layer.proj_size or layer.hidden_size
    sizes = layer.state_sizes if isinstance(layer, hg.Recurrent) else (projected, layer.hidden_size)
    count = len(sizes) if isinstance(layer, (hg.Recurrent, nn.LSTM)) else 1
    return tuple(normal(rows, B, size, seed=seed + k, dtype=dtype) for k, size in enumerate(sizes[:count]))


def as_hx(states: tuple[Tensor, ...]):
    """States as a layer takes them: a tuple, or the one there is."""
    return states if len(states) > 1 else states[0]


def as_states(hx) -> tuple[Tensor, ...]:
    return (hx,) if isinstance(hx, Tensor) else tuple(hx)


def twins(kind: str, *args, dtype=torch.float64, engine=None, **options):
    """torch.nn's layer and ours with the same weights."""
    theirs_class, ours_class, more = KINDS[kind]
    theirs = theirs_class(*args, **options, **more, dtype=dtype)
    ours = ours_class(*args, **options, **more, dtype=dtype, engine=engine)
    ours.load_state_dict(theirs.state_dict())
    return theirs, ours


def named(result) -> dict[str, Tensor]:
    """What a call returned, by name."""
    output, final = result
    found = {"output": output.data if isinstance(output, PackedSequence) else output}
    return found | {f"final {k}": state for k, state in enumerate(as_states(final))}


def detached(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach() for name, value in tensors.items()}


def values(run, input, hx=None) -> dict[str, Tensor]:
    """What a call returns, by name, without its graph."""
    return detached(named(run(input, hx)))


def values_and_gradients(run, parameters: nn.Module, input, states=None) -> dict[str, Tensor]:
    """What a call returns, and the gradients of a loss that weighs every number of it differently.

    Args:
        run: called with the input and the states.
        parameters: the module whose parameters are differentiated too.
        input: tensor or PackedSequence.
        states: a tuple, or None.
    """
    data = (input.data if isinstance(input, PackedSequence) else input).detach().clone().requires_grad_()
    given = PackedSequence(data, *input[1:]) if isinstance(input, PackedSequence) else data
    leaves = None if states is None else tuple(state.detach().clone().requires_grad_() for state in states)
    found = named(run(given, None if leaves is None else as_hx(leaves)))
    weights = [normal(*value.shape, seed=7 + k, dtype=value.dtype) for k, value in enumerate(found.values())]
    loss = sum((value * weight).sum() for value, weight in zip(found.values(), weights, strict=True))
    variables = {"input": data, **dict(parameters.named_parameters())}
    variables |= {f"hx {k}": leaf for k, leaf in enumerate(leaves or ())}
    gradients = torch.autograd.grad(loss, list(variables.values()), allow_unused=True, materialize_grads=True)
    return detached(found) | {f"d {name}": gradient for name, gradient in zip(variables, gradients, strict=True)}


def tolerance(layer: hg.Recurrent, *, lengths: bool = False, reset: bool = False):
    """From the table, for the engine that this layer runs on here."""
    weight = layer.weight_ih_l0
    request = engines.Request(layer.cell, weight.device, weight.dtype, lengths, reset)
    return TOLERANCE[engines.choose(request, layer.engine), weight.dtype]


class RowsApart:
    """The meaning of `lengths` and `reset`: every sequence run alone, on exactly its own steps.

    A row holds one sequence, or several one after another, each of which starts from the row's initial states; past the
    last the output is zero. The forward direction ends in the last sequence, the reverse one in the first.
    """

    def __init__(self, layer: hg.Recurrent, pieces: list[list[int]]) -> None:
        self.layer, self.pieces = layer, pieces

    def __call__(self, input: Tensor, hx=None):
        """Of input [T, B, I]."""
        rows = self.layer.num_layers * self.layer.num_directions
        B = input.shape[1]
        if hx is None:
            states = tuple(input.new_zeros(rows, B, size) for size in self.layer.state_sizes)
        else:
            states = as_states(hx)
        outputs, finals = [], []
        for b, pieces in enumerate(self.pieces):
            output, final = self.row(input[:, b], tuple(state[:, b] for state in states), pieces)
            outputs.append(output)
            finals.append(final)
        final = tuple(torch.stack(column, 1) for column in zip(*finals, strict=True))
        return torch.stack(outputs, 1), as_hx(final)

    def row(self, input: Tensor, initial: tuple[Tensor, ...], pieces: list[int]):
        outputs, ends, start = [], [], 0
        for steps in filter(None, pieces):
            output, end = self.layer(input[start : start + steps], as_hx(initial))
            outputs.append(output)
            ends.append(as_states(end))
            start += steps
        width = self.layer.output_size * self.layer.num_directions
        output = torch.cat([*outputs, input.new_zeros(len(input) - start, width)])
        if not ends:
            return output, initial
        return output, tuple(self._ends(first, last) for first, last in zip(ends[0], ends[-1], strict=True))

    def _ends(self, first: Tensor, last: Tensor) -> Tensor:
        if self.layer.num_directions == 1:
            return last
        reverse = torch.arange(len(first))[:, None] % 2 == 1
        return torch.where(reverse, first, last)

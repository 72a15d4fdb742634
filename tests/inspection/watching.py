"""Runs of a layer under the watch with a linear loss, held against the same run unrolled."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from comparing import assert_all_close
from inspection.witness import Unrolled, unroll
from nn.layer_runs import as_hx, named, normal, states_for
from torch import Tensor, nn

import headgate as hg
from headgate.cells import Cell
from headgate.inspection import Trace, Watch

# The watch promises what autograd gives in float64: this leaves room for rounding alone (the number is the issue's).
EXACT = 1e-10

CELLS: dict[str, Cell] = {name: hg.cells.get(name) for name in hg.cells.names()}
CELLS |= {
    "lstmp": hg.cells.get("lstm", projection=True),
    "greff_fgrp": hg.cells.get("greff_fgr", projection=True),
    "peephole_cifg_lstmp": hg.cells.get("lstm", peephole=True, coupled=True, projection=True),
    "bare_lstm": hg.cells.get("lstm", input_gate=False, forget_gate=False, output_gate=False),
    "linear_greff_fgr": hg.cells.get(
        "lstm", full_gate_recurrence=True, input_activation="identity", output_activation="identity"
    ),
}

T, B, I, H = 5, 4, 2, 3  # noqa: E741 - the field's letter
LENGTHS = [3, 5, 0, 2]


def resets() -> Tensor:
    """Sequences that begin in the middle of a row; also past its end and at the very start, where nothing changes."""
    reset = torch.zeros(T, B, dtype=torch.bool)
    for t, row in ((2, 0), (1, 1), (3, 1), (0, 2), (4, 3), (1, 3)):
        reset[t, row] = True
    return reset


def layer_of(cell: Cell, **options) -> hg.Recurrent:
    """Two layers in both directions unless asked otherwise, float64."""
    projected = {"proj_size": 2} if cell.produces_projection else {}
    options = {"num_layers": 2, "bidirectional": True, "dtype": torch.float64, **projected, **options}
    return hg.Recurrent(cell, I, H, **options)


def cotangents_of(result, loss: str, lengths: list[int] | None = None, seed: int = 7) -> dict[str, Tensor]:
    """What each number of a time-major result weighs in the loss, by the names of `named`; absent where it has no part.

    Args:
        result: what a layer returned for [T, B, I].
        loss: "last" reads the output at each row's last step, "dense" every output, "final" the final states, "all"
            both of these.
        lengths: valid steps of each row.
    """
    found = {}
    for k, (name, value) in enumerate(named(result).items()):
        weight = normal(*value.shape, seed=seed + k, dtype=value.dtype)
        if name == "output" and loss == "last":
            ends = torch.tensor([len(value)] * value.shape[1] if lengths is None else lengths)
            weight = weight * (torch.arange(len(value))[:, None] == ends - 1)[..., None]
        if loss == "all" or (name == "output") == (loss in ("last", "dense")):
            found[name] = weight
    return found


def loss_of(result, cotangents: Mapping[str, Tensor]) -> Tensor:
    values = named(result)
    return sum((values[name] * weight).sum() for name, weight in cotangents.items())


def watched(
    model: nn.Module, input, states: tuple[Tensor, ...] | None = None, loss: str = "all", lengths=None, **arguments
) -> tuple[Watch, dict[str, Tensor]]:
    """A model run over [T, B, I] and backward under the watch; and what the loss weighed."""
    if lengths is not None:
        arguments["lengths"] = lengths
    with hg.watch(model) as seen:
        result = model(input, None if states is None else as_hx(states), **arguments)
        cotangents = cotangents_of(result, loss, lengths)
        loss_of(result, cotangents).backward()
    return seen, cotangents


def unrolled(cell, layer, input, states, cotangents, lengths=None, reset=None, masks=None) -> Unrolled:
    """The same run by the witness, backward too."""
    whole = unroll(cell, layer, input.detach().double(), states, lengths, reset, masks)
    loss_of((whole.output, whole.final), {name: weight.double() for name, weight in cotangents.items()}).backward()
    return whole


def numbers_of(trace: Trace) -> dict[str, Tensor]:
    """What a trace says, by the names of `Part.numbers`."""
    found = {f"gate {name}": value for name, value in trace.gates.items()}
    for name in trace.cell.state_names:
        found |= {f"state {name}": trace.states[name], f"grad {name}": trace.grad[name]}
        found[f"grad_initial {name}"] = trace.grad_initial[name]
    return found


def assert_as_unrolled(seen: Watch, whole: Unrolled, prefix: str = "", tolerance: float = EXACT) -> None:
    """Gates, states and total gradients of every layer and direction, at every step."""
    expected = {f"{part}: {name}": v for part, p in whole.parts.items() for name, v in p.numbers().items()}
    actual = {f"{part}: {name}": v for part in whole.parts for name, v in numbers_of(seen[prefix + part]).items()}
    assert_all_close(actual, expected, tolerance)


def one_layer_run(cell: Cell) -> tuple[Watch, dict[str, Tensor], Unrolled]:
    """One layer in both directions under the watch, what its loss weighed, and the same run unrolled."""
    layer, input = layer_of(cell, num_layers=1), normal(T, B, I)
    states = states_for(layer, B)
    seen, cotangents = watched(layer, input, states)
    return seen, cotangents, unrolled(cell, layer, input, states, cotangents)

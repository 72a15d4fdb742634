"""Any expression of a step, evaluated along a run: a stretch of steps at a time."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from headgate.graph import Node, evaluate
from headgate.inspection.adjoint import Adjoint


def values(adjoint: Adjoint, nodes: Sequence[Node], start: int, stop: int) -> list[Tensor]:
    """Values of expressions of a run's cell at steps start..stop.

    Args:
        adjoint: of the run; `adjoint.stretches()` tells how many steps to take at once.
        nodes: expressions of `adjoint.route.graph`.
        start, stop: which steps, in the order of the run.

    Returns:
        One [n, B, S] for each, [n, B, H] where it is the same for all steps. At steps that a row does not take they are
        what the step would have had there.
    """
    run = adjoint.run
    like = run.input.new_empty(()).expand(stop - start, run.input.shape[1], adjoint.hidden_size)
    found = []
    for value in adjoint.values(nodes, start, stop):
        value = torch.as_tensor(value).to(like)
        found.append(value if value.dim() == 3 else value.expand_as(like))
    return found


def bias_only(adjoint: Adjoint, nodes: Sequence[Node]) -> list[Tensor]:
    """Values of expressions when nothing comes in and nothing is remembered: [H] each.

    Input, states and what a product is applied to are zero, so that of every product its bias is left; a new state that
    is read within the step is zero too. Per-unit parameters are as they are, and masks at their rates.
    """
    run, graph, cell = adjoint.run, adjoint.route.graph, adjoint.run.cell
    gates, vectors = cell.gate_names, cell.vector_names
    nothing = run.input.new_zeros(1, adjoint.hidden_size)
    parts = run.weights.get("bias_ih", nothing.new_zeros(len(gates) * adjoint.hidden_size)).chunk(len(gates))
    known = {graph.x(gate): part[None] for gate, part in zip(gates, parts, strict=True)}
    empty = {name: value.new_zeros(1, value.shape[-1]) for name, value in run.initial.items()}
    known |= {graph.s(name): value for name, value in empty.items()}
    known |= {graph.m(name): cell.rates[name] for name in cell.mask_names}
    if vectors:
        parts = run.weights["weight_p"].chunk(len(vectors))
        known |= {graph.p(name): part for name, part in zip(vectors, parts, strict=True)}
    for block, (weight, bias) in adjoint.matrix.items():
        known[graph.products[block]] = nothing.new_zeros(1, len(weight)) if bias is None else bias[None]
    # A gate may be a state itself, and is wanted then.
    known |= {node: empty[name] for name, node in graph.states.items() if node not in nodes}
    return [torch.as_tensor(value).to(nothing).expand_as(nothing)[0] for value in evaluate(nodes, known)]

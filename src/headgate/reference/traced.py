"""Back-propagation through time with the gradient that was traced from the cell's step."""

from __future__ import annotations

import numpy as np

from headgate.cells.cell import Named, State
from headgate.graph import Node, evaluate, gradient, trace
from headgate.graph.gradient import Gradient, seed
from headgate.reference.case import Arrays, Case
from headgate.reference.unroll import (
    Blocks,
    input_parts,
    step_masks,
    steps_in_order,
    transposed,
    unroll,
    vectors,
)


def traced_gradients(case: Case, step_gradient: Gradient | None = None) -> Arrays:
    """Gradients of the loss with respect to every variable.

    Args:
        case: the problem.
        step_gradient: the step's gradient, if not the traced one (a mutant, say).
    """
    cell, values = case.cell, unroll(case)
    backward = step_gradient or gradient(cell)
    U, x, p = Blocks(cell, case.weights), input_parts(cell, case.weights, case.input), vectors(cell, case.weights)
    order = steps_in_order(case)
    gradients = {name: np.zeros_like(value) for name, value in case.variables.items()}
    later = {name: case.cotangents[f"final_{name}"] for name in cell.state_names}
    for k in reversed(range(len(order))):
        t, active, fresh = order[k]
        previous = {n: case.initial[n] if k == 0 else values[f"states_{n}"][order[k - 1][0]] for n in cell.state_names}
        before = State((n, np.where(fresh & active, case.initial[n], previous[n])) for n in cell.state_names)
        coming = dict(later)
        coming[cell.state_names[0]] = coming[cell.state_names[0]] + case.cotangents["output"][t] * active
        here = Named((gate, part[t]) for gate, part in x.items())
        step = _step(backward, U, here, before, p, step_masks(case, t) or Named(cell.rates), coming)
        _accumulate(gradients, case, t, active, step)
        for name in cell.state_names:
            passed = np.where(active, step[f"s.{name}"], coming[name])
            gradients[f"initial_{name}"] += np.where(fresh & active, passed, 0.0)
            later[name] = np.where(fresh & active, 0.0, passed)
    for name in cell.state_names:
        gradients[f"initial_{name}"] += later[name]
    return gradients


def _step(backward: Gradient, U: Blocks, x: Named, s: State, p: Named, m: Named, coming: Arrays) -> Arrays:
    """All the step's gradients at one time, and the vectors its products were applied to."""
    graph, cell = trace(U.cell), U.cell

    def multiply(node: Node, vector: np.ndarray) -> np.ndarray:
        return U[node.label](vector) if node.kind == "product" else transposed(U, node.label, vector)

    values = {graph.x(n): v for n, v in x.items()} | {graph.s(n): v for n, v in s.items()}
    values |= {graph.p(n): v for n, v in p.items()} | {graph.m(n): v for n, v in m.items()}
    values |= {seed(n): v for n, v in coming.items()}
    wanted: dict[str, Node] = {f"s.{n}": node for n, node in backward.states.items()}
    wanted |= {f"x.{n}": node for n, node in backward.x.items()}
    wanted |= {f"U.{n}": node for n, node in backward.products.items()}
    wanted |= {f"v.{n}": node.arguments[0] for n, node in graph.products.items()}
    wanted |= {f"p.{n}": node for n, node in backward.vectors.items()}
    found = dict(zip(wanted, evaluate(wanted.values(), values, multiply), strict=True))
    return {name: _whole(cell, name, value, next(iter(x.values())), s) for name, value in found.items()}


def _whole(cell, name: str, value, x: np.ndarray, s: State) -> np.ndarray:
    """A value that is the same for all rows or units, such as a gradient of zero or a mean, in full size."""
    namespace, _, key = name.partition(".")
    sizes = {"H": x.shape[-1], "O": s[cell.state_names[0]].shape[-1]}
    size = sizes["H"]
    if namespace == "s":
        size = s[key].shape[-1]
    elif namespace in "Uv":
        size = sizes[cell.blocks[key].rows if namespace == "U" else cell.blocks[key].columns]
    return np.broadcast_to(value, (len(x), size))


def _accumulate(gradients: Arrays, case: Case, t: int, active: np.ndarray, step: Arrays) -> None:
    cell = case.cell
    taken = {name: np.where(active, value, 0.0) for name, value in step.items()}
    dx = np.concatenate([taken[f"x.{gate}"] for gate in cell.gate_names], axis=1)
    gradients["input"][t] = dx @ case.weights["weight_ih"]
    gradients["weight_ih"] += dx.T @ np.where(active, case.input[t], 0.0)
    if "bias_ih" in gradients:
        gradients["bias_ih"] += dx.sum(0)
    for matrix in cell.recurrent:
        for da, v, rows in zip(
            (taken[f"U.{block}"] for block in matrix.block_names),
            (taken[f"v.{block}"] for block in matrix.block_names),
            np.split(np.arange(len(case.weights[f"weight_{matrix.name}"])), len(matrix.block_names)),
            strict=True,
        ):
            gradients[f"weight_{matrix.name}"][rows] += da.T @ v
            if f"bias_{matrix.name}" in gradients:
                gradients[f"bias_{matrix.name}"][rows] += da.sum(0)
    if cell.vector_names:
        gradients["weight_p"] += np.concatenate([taken[f"p.{n}"].sum(0) for n in cell.vector_names])

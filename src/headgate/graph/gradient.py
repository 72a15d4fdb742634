"""Reverse-mode differentiation of expressions, and the two uses made of it.

`gradient` differentiates a whole step, products included. `linearise` stops at every product: it leaves the elementwise
coefficients between which only the matrices stand, which is what the watch needs to tell one path from another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

from headgate.cells import Cell
from headgate.cells.operations import mean, positive
from headgate.graph.expression import ONE, ZERO, Node, in_order, leaf, transposed
from headgate.graph.trace import Graph, trace

# For each operation, the derivative with respect to each argument, given the node itself.
DERIVATIVES: dict[str, tuple[Callable[[Node], Node], ...]] = {
    "add": (lambda y: ONE, lambda y: ONE),
    "sub": (lambda y: ONE, lambda y: -ONE),
    "mul": (lambda y: y.arguments[1], lambda y: y.arguments[0]),
    "div": (lambda y: ONE / y.arguments[1], lambda y: -(y / y.arguments[1])),
    "neg": (lambda y: -ONE,),
    "sigmoid": (lambda y: y * (ONE - y),),
    "tanh": (lambda y: ONE - y * y,),
    "relu": (positive,),
    "exp": (lambda y: y,),
    "log": (lambda y: ONE / y.arguments[0],),
    "sqrt": (lambda y: 0.5 / y,),
    "positive": (lambda y: ZERO,),
}


def reverse(seeds: Mapping[Node, Node], cut: frozenset[Node] = frozenset()) -> dict[Node, Node]:
    """Adjoints of everything the seeded nodes depend on.

    Args:
        seeds: for each output, the adjoint that comes to it from outside.
        cut: nodes to take as independent: their adjoint is found, but not passed on to their arguments.

    Returns:
        The adjoint of every node reached, seeds included.
    """
    adjoint = dict(seeds)
    for node in reversed(in_order(seeds, cut)):
        upstream = adjoint.get(node, ZERO)
        if node in cut or upstream is ZERO or node.kind in ("leaf", "constant"):
            continue
        if node.kind == "product":
            parts = [transposed(node.label, upstream)]
        elif node.kind == "mean":
            parts = _mean_parts(upstream, len(node.arguments))
        else:
            parts = [upstream * derivative(node) for derivative in DERIVATIVES[node.kind]]
        for argument, part in zip(node.arguments, parts, strict=True):
            adjoint[argument] = adjoint.get(argument, ZERO) + part
    return adjoint


def _mean_parts(upstream: Node, vectors: int) -> list[Node]:
    """What a mean passes on to each of its vectors.

    The adjoint of a value that a row has once, used at every unit, is the sum of what comes from the units. It is
    carried as that: a contribution per unit, through whatever is done to the row's value, and summed only here. Each
    unit of each of n vectors of H units has part 1/(n H) in the mean, so it receives the contributions' sum over n H:
    their mean over n. (A mean of a mean is one more such value, the same at all units, and the same holds.)
    """
    return [mean(upstream) / vectors] * vectors


@dataclass(frozen=True)
class Gradient:
    """Backward through one step. The seeds are the leaves ("d", state): dL/d(new state) from everything later.

    Attributes:
        states: dL/ds, to hand to the step before.
        x: dL/d(x.gate), from which dL/dW, dL/db and dL/dx follow in large products after the loop.
        products: dL/d(U.block(v)), from which dL/dU and dL/db' follow.
        vectors: this step's part of dL/dp, per row.
    """

    states: dict[str, Node]
    x: dict[str, Node]
    products: dict[str, Node]
    vectors: dict[str, Node]


def seed(state: str) -> Node:
    """The leaf that stands for dL/d(new state)."""
    return leaf("d", state)


@cache
def gradient(cell: Cell) -> Gradient:
    """The step of `cell`, differentiated in reverse."""
    graph = trace(cell)
    seeds: dict[Node, Node] = {}
    for name, node in graph.states.items():
        seeds[node] = seeds.get(node, ZERO) + seed(name)
    adjoint = reverse(seeds)
    return Gradient(
        {name: adjoint.get(graph.s(name), ZERO) for name in cell.state_names},
        {name: adjoint.get(graph.x(name), ZERO) for name in cell.gate_names},
        {block: adjoint.get(node, ZERO) for block, node in graph.products.items()},
        {name: adjoint.get(graph.p(name), ZERO) for name in cell.vector_names},
    )


@dataclass(frozen=True)
class Linear:
    """One step as a network of elementwise coefficients between which only the matrices stand.

    Its points are the new states, the vectors that products are applied to, the products' results, and the leaves; and,
    since a mean couples the units of a row as a matrix does, the vectors that means are taken of, and the means.
    `coefficient[u][v]` is du/dv per unit with every other point held still: for an LSTM, `[c][s.c]` is f, the
    highway, and `[c][U.i(h)]` is g i (1 - i).

    Attributes:
        graph: the step.
        points: new states and arguments of products and means, each after all points it depends on.
        means: the means, each after all it depends on; every unit of a mean's vectors has the same part in it.
        coefficient: per point, the points it depends on directly.
    """

    graph: Graph
    points: tuple[Node, ...]
    means: tuple[Node, ...]
    coefficient: dict[Node, dict[Node, Node]]


@cache
def linearise(cell: Cell) -> Linear:
    """The elementwise partial derivatives of a step, which with the matrices make up its Jacobian."""
    graph = trace(cell)
    states = set(graph.states.values())
    ordered = in_order([*graph.states.values(), *graph.products.values()])
    means = tuple(node for node in ordered if node.kind == "mean")
    arguments = {argument for node in (*graph.products.values(), *means) for argument in node.arguments}
    # In a fixed order, not a set's, so that sums come out the same in every process.
    ends = dict.fromkeys([*graph.leaves(), *graph.states.values(), *graph.products.values(), *means])
    points = [node for node in ordered if node in states | arguments]
    coefficient = {}
    for point in points:
        if point.kind in ("leaf", "product", "mean"):
            coefficient[point] = {point: ONE}
            continue
        others = [end for end in ends if end is not point]
        adjoint = reverse({point: ONE}, cut=frozenset(others))
        coefficient[point] = {end: adjoint[end] for end in others if adjoint.get(end, ZERO) is not ZERO}
    return Linear(graph, tuple(points), means, coefficient)

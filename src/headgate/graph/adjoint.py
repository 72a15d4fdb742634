"""The way back as the watch takes it: which way every gradient came, and what it would be with a way cut.

Training's way back (`program.py`) sums whatever arrives. Here what comes to an old state is kept apart by how it came:
on the highway, which crosses no matrix between a step and the next, or through a product. All of it is linear in what
arrives, with the elementwise coefficients of `gradient.linearise`, so that any number of gradients go through the same
passes side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache

from headgate.cells import Cell
from headgate.cells.operations import mean
from headgate.graph.expression import ZERO, Node, in_order, leaf
from headgate.graph.gradient import linearise, seed
from headgate.graph.program import Backward, Program, Targets, backward_passes, product_gradient, program

# By what a gradient's highway is multiplied: 1, or 0 where it is cut. A row has it once.
HIGHWAY = leaf("k", "highway")


@dataclass(frozen=True)
class Adjoint:
    """A cell's step backwards, with the ways apart.

    Attributes:
        steps: its passes. Beside what those of `Backward` do, they store the "total" of every new state, and what comes
            to old ones "along" the highway, by name.
        linking: which groups' products link new states of one step to each other, by index: who follows the highway
            alone goes through them too.
        kept: whether the values kept for training's way back are all that it reads.
    """

    steps: Backward
    linking: frozenset[int]
    kept: bool


def handed_on(k: int) -> Node:
    """The leaf that stands for what comes of the k-th group's transposed product to old states: the uncut blocks."""
    return leaf("dw", k)


@cache
def adjoint(cell: Cell) -> Adjoint:
    """The passes of a cell's step backwards, with the ways apart."""
    whole = program(cell)
    ways = _Ways(whole)
    graph, reached = whole.graph, ways.reached
    along = {name: ways.along(name) for name in graph.states}
    found = Targets(
        {name: HIGHWAY * along[name] + ways.crossed(name) for name in graph.states},
        {gate: reached(graph.x(gate)) for gate in cell.gate_names},
        {block: reached(node) for block, node in graph.products.items()},
        {},
        {name: reached(node) for name, node in graph.states.items()},
        {name: node for name, node in along.items() if node is not ZERO},
    )
    steps, wanted = backward_passes(graph, whole.groups, found, whole.space)
    kept = wanted.keys() <= set(whole.forward.kept) and steps.reads_x <= whole.backward.reads_x
    states = set(graph.states.values())
    linking = {k for k, group in enumerate(whole.groups) if states & set(in_order([group.argument]))}
    return Adjoint(steps, frozenset(linking), kept)


class _Ways:
    """What comes to every point of a step, as expressions of what comes to its new states from outside."""

    def __init__(self, whole: Program) -> None:
        self._graph, self._groups = whole.graph, whole.groups
        self._linear = linearise(whole.graph.cell)
        self._states = set(whole.graph.states.values())
        self._known: dict[Node, Node] = {}

    def reached(self, end: Node) -> Node:
        """All that comes to a new state, a product's result, a mean or an input part."""
        if end not in self._known:
            found = _sum(seed(name) for name, node in self._graph.states.items() if node is end)
            for point, ends in self._linear.coefficient.items():
                if end in ends and point is not end:
                    at = self.reached(point) if point in self._states else self._arriving(point)
                    found = found + at * ends[end]
            self._known[end] = found + self._arriving(end)
        return self._known[end]

    def along(self, name: str) -> Node:
        """What comes to a state before the step along the highway."""
        old = self._graph.s(name)
        found = ZERO
        for point, ends in self._linear.coefficient.items():
            if old in ends:
                at = self.reached(point) if point in self._states else self._through_means(point)
                found = found + at * ends[old]
        return found

    def crossed(self, name: str) -> Node:
        """What comes to a state before the step through products."""
        old, ways = self._graph.s(name), self._linear.coefficient.items()
        points = [(point, ends[old]) for point, ends in ways if old in ends and point not in self._states]
        return _sum(self._through_products(point, handed_on) * part for point, part in points)

    def _arriving(self, point: Node) -> Node:
        """What comes to a point through the means and products that are taken of it."""
        return self._through_means(point) + self._through_products(point, product_gradient)

    def _through_means(self, point: Node) -> Node:
        means = [node for node in self._linear.means if point in node.arguments]
        return _sum(mean(self.reached(node)) / len(node.arguments) for node in means)

    def _through_products(self, point: Node, result: Callable[[int], Node]) -> Node:
        return _sum(result(k) for k, group in enumerate(self._groups) if group.argument is point)


def _sum(values: Iterable[Node]) -> Node:
    return sum(values, ZERO)

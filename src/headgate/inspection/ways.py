"""The ways through one step of a cell, put in the order in which a reverse pass takes them. Made once a cell."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from itertools import groupby

from headgate.cells import Cell
from headgate.graph import Node, linearise
from headgate.graph.expression import in_order
from headgate.graph.trace import Graph, Group


@dataclass(frozen=True, eq=False)
class Stack:
    """Ways from a point to neighbouring blocks of one group, whose coefficients lie side by side.

    Attributes:
        group: index of the group.
        first, last: which of its blocks, as a slice.
        parts: the coefficients, in the order of the blocks.
    """

    group: int
    first: int
    last: int
    parts: tuple[Node, ...]


@dataclass
class Ways:
    """All direct ways from a point, with their elementwise coefficients.

    Attributes:
        old: to the states before the step, by name.
        inputs: to the input parts W x + b, by gate.
        within: to new states and means.
        stacks: to the results of products.
    """

    old: list[tuple[str, Node]] = field(default_factory=list)
    inputs: list[tuple[str, Node]] = field(default_factory=list)
    within: list[tuple[Node, Node]] = field(default_factory=list)
    stacks: list[Stack] = field(default_factory=list)


@dataclass(frozen=True)
class Route:
    """A cell's step, to be gone through backwards.

    Attributes:
        graph: the step.
        groups: its products, as they can be made at once.
        state_of: names of the new states by node; two states may be one quantity.
        ways: from every new state, mean, and argument of a product or mean.
        order: states, means and groups (by index), each after all that come to it; and whether it depends on another
            new state of the same step.
        linking_groups: those of the groups that do.
    """

    graph: Graph
    groups: tuple[Group, ...]
    state_of: dict[Node, str]
    ways: dict[Node, Ways]
    order: tuple[tuple[Node | int, bool], ...]

    linking_groups: frozenset[int]

    def parts(self) -> list[Node]:
        """All coefficients that stand alone."""
        found = (part for ways in self.ways.values() for _, part in [*ways.old, *ways.inputs, *ways.within])
        return list(dict.fromkeys(found))

    def stacks(self) -> list[Stack]:
        return [stack for ways in self.ways.values() for stack in ways.stacks]


@cache
def route(cell: Cell) -> Route:
    """The ways through the step of a cell."""
    linear = linearise(cell)
    graph = linear.graph
    groups = tuple(group for stage in graph.stages for group in stage)
    state_of = {node: name for name, node in graph.states.items()}
    ends = dict.fromkeys([*state_of, *graph.products.values(), *linear.means])
    nodes = [node for node in in_order(ends) if node in ends]
    linking = {node for node in nodes if set(state_of) & set(in_order([node])) - {node}}
    coefficient = {point: linear.coefficient[point] for point in linear.points}
    ways = {point: _ways_from(point, ends, groups, state_of) for point, ends in coefficient.items()}
    order = _order(nodes, linking, graph, groups, state_of)
    links = frozenset(item for item, links in order if links and isinstance(item, int))
    return Route(graph, groups, state_of, ways, order, links)


def _ways_from(point: Node, ends: dict[Node, Node], groups: tuple[Group, ...], state_of: dict[Node, str]) -> Ways:
    ways, blocks = Ways(), {}
    for end, part in ends.items():
        if end.kind == "leaf":
            namespace, name = end.label
            if namespace in "sx":
                (ways.old if namespace == "s" else ways.inputs).append((name, part))
        elif end.kind == "product" and end not in state_of:
            blocks[end.label] = part
        else:
            ways.within.append((end, part))
    for k, group in enumerate(groups):
        places = [place for place, block in enumerate(group.blocks) if block in blocks]
        for _, run in groupby(enumerate(places), key=lambda item: item[1] - item[0]):
            side_by_side = [place for _, place in run]
            parts = tuple(blocks[group.blocks[place]] for place in side_by_side)
            ways.stacks.append(Stack(k, side_by_side[0], side_by_side[-1] + 1, parts))
    return ways


def _order(nodes, linking, graph: Graph, groups: tuple[Group, ...], state_of: dict[Node, str]):
    place = {node: k for k, node in enumerate(nodes)}
    items: list[tuple[int, Node | int, bool]] = [
        (2 * place[node] + 1, node, node in linking) for node in nodes if node.kind != "product" or node in state_of
    ]
    for k, group in enumerate(groups):
        members = [graph.products[block] for block in group.blocks]
        # After everything that any of its blocks leads to, so behind the first of them.
        items.append((2 * min(place[node] for node in members), k, any(node in linking for node in members)))
    return tuple((item, links) for _, item, links in sorted(items, key=lambda entry: -entry[0]))

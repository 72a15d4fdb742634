"""A cell's step, run once on symbols."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import groupby

from headgate.cells import Cell, Matrix, State
from headgate.cells.cell import Named
from headgate.graph.expression import Node, Operand, as_node, in_order, leaf, product
from headgate.graph.units import check_means


@dataclass(frozen=True)
class Group:
    """Neighbouring row blocks of one matrix that a step applies to one vector: one matrix product.

    Attributes:
        argument: the vector they are applied to.
        matrix: which matrix.
        blocks: its blocks, neighbours in row order.
        first: index of the first of them among the matrix's blocks.
    """

    argument: Node
    matrix: Matrix
    blocks: tuple[str, ...]
    first: int


@dataclass(frozen=True)
class Graph:
    """One step as expressions.

    Attributes:
        cell: whose step.
        states: the new states, by name.
        gates: what the cell shows of its gates, by name.
        products: the recurrent products U.block(vector), by block.
        stages: the products in the order in which they can be computed; those of one stage need only earlier stages.
    """

    cell: Cell
    states: dict[str, Node]
    gates: dict[str, Node]
    products: dict[str, Node]
    stages: tuple[tuple[Group, ...], ...]

    def x(self, gate: str) -> Node:
        """The leaf `x.gate`, W_gate x_t + b_gate."""
        return leaf("x", gate)

    def s(self, state: str) -> Node:
        """The leaf `s.state`, the state before the step."""
        return leaf("s", state)

    def p(self, vector: str) -> Node:
        """The leaf `p.vector`, a per-unit parameter."""
        return leaf("p", vector)

    def m(self, state: str) -> Node:
        """The leaf `m.state`, a state's mask."""
        return leaf("m", state)

    def leaves(self) -> Iterator[Node]:
        yield from map(self.x, self.cell.gate_names)
        yield from map(self.s, self.cell.state_names)
        yield from map(self.p, self.cell.vector_names)
        yield from map(self.m, self.cell.mask_names)


class _Products:
    """`U` while tracing: each block may be applied once."""

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        self._applied: dict[str, Node] = {}

    def __getattr__(self, block: str) -> Callable[[Operand], Node]:
        if block not in self._cell.blocks:
            raise AttributeError(f"{self._cell.name}: U has no block {block!r}; it has {', '.join(self._cell.blocks)}.")

        def apply(vector: Operand) -> Node:
            node = product(block, as_node(vector))
            if self._applied.setdefault(block, node) is not node:
                raise ValueError(
                    f"{self._cell.name}.step applies U.{block} to two vectors; give the second product a block of its "
                    "own in `recurrent`."
                )
            return node

        return apply

    __getitem__ = __getattr__


@cache
def trace(cell: Cell) -> Graph:
    """The expression graph of one step of a cell.

    Raises:
        ValueError: a block or gate that the step never uses (its weights would do nothing), a block applied twice,
            or states other than the class names.
        AttributeError: a gate, block, state or vector that the class does not name.
        TypeError: the step branches on a traced value, or mixes it with something that is not one.
    """
    U = _Products(cell)
    x = Named((name, leaf("x", name)) for name in cell.gate_names)
    s = State((name, leaf("s", name)) for name in cell.state_names)
    p = Named((name, leaf("p", name)) for name in cell.vector_names)
    m = Named((name, leaf("m", name)) for name in cell.mask_names)
    states, gates = cell(x, U, s, p, m)
    new_states = {name: as_node(value) for name, value in states.items()}
    _check_all_used(cell, new_states, U._applied, [*x.values(), *p.values(), *m.values()])
    check_means(cell, new_states, U._applied.values())
    gate_nodes = {name: as_node(value) for name, value in gates.items()}
    return Graph(cell, new_states, gate_nodes, dict(U._applied), _stages(cell, U._applied))


def _check_all_used(cell: Cell, states: dict[str, Node], applied: dict[str, Node], leaves: list[Node]) -> None:
    used = set(in_order(states.values()))
    for block in cell.blocks:
        if applied.get(block) not in used:
            raise ValueError(f"{cell.name}.step: U.{block} reaches no state, so its rows would do nothing; drop it.")
    for node in leaves:
        if node not in used:
            idle = "its mask" if node.label[0] == "m" else "its weights"
            raise ValueError(f"{cell.name}.step never uses {node!r}, so {idle} would do nothing; drop the name.")


def _stages(cell: Cell, applied: dict[str, Node]) -> tuple[tuple[Group, ...], ...]:
    level: dict[Node, int] = {}
    for node in in_order(applied.values()):
        below = max((level[argument] for argument in node.arguments), default=-1)
        level[node] = below + 1 if node.kind == "product" else below
    groups: list[list[Group]] = [[] for _ in range(1 + max(level.values(), default=-1))]
    for matrix in cell.recurrent:
        neighbours = groupby(enumerate(matrix.block_names), key=lambda item: applied[item[1]].arguments)
        for (argument,), run in neighbours:
            members = list(run)
            first, block = members[0]
            groups[level[applied[block]]].append(Group(argument, matrix, tuple(name for _, name in members), first))
    return tuple(map(tuple, groups))

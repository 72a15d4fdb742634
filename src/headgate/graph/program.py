"""A step as a program: the order in which a compiled engine computes a cell, forward and backward.

Products and means couple the units of a row, so a step falls into passes. Within one pass every unit is on its own: it
reads what earlier passes stored and the results of the products and means made for it, and stores what later ones need.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache

from headgate.cells import Cell
from headgate.graph.expression import ZERO, Node, in_order, leaf
from headgate.graph.gradient import reverse, seed
from headgate.graph.trace import Graph, Group, trace
from headgate.graph.units import stands_once

# Worth keeping rather than computing again: everything but sums, differences, products of units, and signs; and
# quotients by what a row has once, of which there are many for each value kept.
CHEAP = frozenset({"constant", "leaf", "add", "sub", "mul", "neg"})


def _cheap(node: Node) -> bool:
    return node.kind in CHEAP or (node.kind == "div" and stands_once(node.arguments[1]))


@dataclass(frozen=True)
class Store:
    """Where a pass puts a value.

    Attributes:
        kind: forward "state" (new, by name) or "kept" (by index); on the way back "column" (by index), "earlier"
            (gradient of an old state, by name), "sum" (of a per-unit parameter, by name), "carried" (by index) or,
            the watch's alone, "total" (gradient of a new state, by name) and "along" (what comes to an old state along
            the highway, by name); both ways "mean" (by index).
        key: which of that kind.
        value: what is stored; of a sum or a mean, what is added up over rows or over units.
        always: False if only the way back needs it, or who asks for it.
        once: a row has it once, so it is stored so.
    """

    kind: str
    key: str | int
    value: Node
    always: bool = True
    once: bool = False


@dataclass(frozen=True)
class Pass:
    """Elementwise work between products and means.

    Attributes:
        level: how many products and means, one after the other, come before it in the step.
        space: "H" or "O", how many units its values have.
        reads: values it needs, in the order of the printed function's inputs.
        stores: what it stores, in the order of its outputs.
        products: which groups' results it reads, made for it just before: forward U v, on the way back the transposed.
        means: those that it is the first to read.
    """

    level: int
    space: str
    reads: tuple[Node, ...]
    stores: tuple[Store, ...]
    products: tuple[int, ...]
    means: frozenset[Node]


@dataclass(frozen=True)
class Forward:
    """The step forward.

    Attributes:
        passes: in order.
        kept: values stored for later passes, among them arguments of products, or for the way back.
        means: those taken on the way.
    """

    passes: tuple[Pass, ...]
    kept: tuple[Node, ...]
    means: tuple[Node, ...]


@dataclass(frozen=True)
class Backward:
    """The step backward.

    Attributes:
        passes: in order.
        columns: gradients of input parts and of product results, stored for every step; each stands once.
        x: for each gate, the column of its gradient.
        blocks: for each recurrent block, the column of the gradient of its product.
        carried: values that later passes of the same step need.
        means: those taken on the way.
        reads_x: whether the input parts have to be kept for it.
    """

    passes: tuple[Pass, ...]
    columns: tuple[Node, ...]
    x: dict[str, int]
    blocks: dict[str, int]
    carried: tuple[Node, ...]
    means: tuple[Node, ...]
    reads_x: bool


@dataclass(frozen=True)
class Program:
    """One cell's step, forward and backward, cut into passes.

    Attributes:
        graph: the step.
        groups: all products of a step, in the order of `Graph.stages`.
        space: "H" or "O" of every value.
    """

    graph: Graph
    groups: tuple[Group, ...]
    forward: Forward
    backward: Backward
    space: Callable[[Node], str]


def output_gradient(state: str) -> Node:
    """The leaf that stands for what comes to a state at one step from outside the recurrence."""
    return leaf("y", state)


def product_gradient(k: int) -> Node:
    """The leaf that stands for the k-th group's transposed product."""
    return leaf("dv", k)


def added_up(node: Node) -> Node:
    """What a mean adds up over units."""
    return sum(node.arguments[1:], node.arguments[0])


def is_old_state(node: Node) -> bool:
    """Whether a value is a state before the step, which a product can be applied to where it lies."""
    return node.kind == "leaf" and node.label[0] == "s"


@cache
def program(cell: Cell) -> Program:
    """The passes of a cell's step."""
    graph = trace(cell)
    groups = tuple(group for stage in graph.stages for group in stage)
    space = _spaces(graph, groups)
    gradients = _gradients(graph, groups)
    backward, wanted = backward_passes(graph, groups, gradients, space)
    return Program(graph, groups, _forward(graph, groups, wanted, space), backward, space)


def _spaces(graph: Graph, groups: tuple[Group, ...]) -> Callable[[Node], str]:
    cell = graph.cell
    first = cell.state_names[0]
    known: dict[Node, str | None] = {}

    def of_end(node: Node) -> str | None:
        if node.kind == "constant":
            return None
        if node.kind == "product":
            return cell.blocks[node.label].rows
        namespace, name = node.label
        if namespace == "k":
            return None
        if namespace in ("dv", "dw"):
            return space(groups[name].argument)
        return "O" if name == first and namespace in ("s", "d", "y", "m") else "H"

    def space(node: Node) -> str:
        if not cell.produces_projection:
            return "H"
        for part in in_order([node], frozenset(known)):
            if part not in known:
                if part.kind in ("constant", "leaf", "product"):
                    known[part] = of_end(part)
                else:
                    known[part] = next((known[a] for a in part.arguments if known[a] is not None), None)
        return known[node] or "H"

    return space


@dataclass(frozen=True)
class Targets:
    """What a way back is to find: gradients by old state, gate, recurrent block and per-unit parameter; and where they
    are to be told, those of new states, and what comes to old ones along the highway."""

    states: dict[str, Node]
    x: dict[str, Node]
    products: dict[str, Node]
    vectors: dict[str, Node]
    totals: dict[str, Node] = field(default_factory=dict)
    along: dict[str, Node] = field(default_factory=dict)


def _gradients(graph: Graph, groups: tuple[Group, ...]) -> Targets:
    """The step's gradient with each group's transposed product as one leaf, not a sum over its blocks."""
    cell = graph.cell
    seeds: dict[Node, Node] = {}
    for name, node in graph.states.items():
        seeds[node] = seeds.get(node, ZERO) + (seed(name) + output_gradient(name))
    for k, group in enumerate(groups):
        seeds[group.argument] = seeds.get(group.argument, ZERO) + product_gradient(k)
    adjoint = reverse(seeds, cut=frozenset(graph.products.values()))
    return Targets(
        {name: adjoint.get(graph.s(name), ZERO) for name in cell.state_names},
        {name: adjoint.get(graph.x(name), ZERO) for name in cell.gate_names},
        {block: adjoint.get(node, ZERO) for block, node in graph.products.items()},
        {name: adjoint.get(graph.p(name), ZERO) for name in cell.vector_names},
    )


def _levels(of_product: Callable[[Node], int | None], given: frozenset[Node]) -> Callable[[Node], int]:
    """How many products and means a value waits for; `of_product` answers for products, None for anything else."""
    known: dict[Node, int] = {}

    def level(node: Node) -> int:
        for part in in_order([node], frozenset(known) | given):
            if part in known:
                continue
            if part in given:
                known[part] = 0
                continue
            found = of_product(part)
            below = max((known[argument] for argument in part.arguments), default=0) + (part.kind == "mean")
            known[part] = below if found is None else found
        return known[node]

    return level


@dataclass
class _Schedule:
    """Cuts what has to be stored into passes."""

    level: Callable[[Node], int]
    space: Callable[[Node], str]
    is_product: Callable[[Node], bool]
    given: frozenset[Node]

    def is_event(self, node: Node) -> bool:
        """Whether a value comes from many units: it is there from its level on, and cannot be computed again."""
        return node.kind == "mean" or self.is_product(node)

    def carried(self, targets: Iterable[Node], summed: Iterable[Node] = ()) -> dict[Node, None]:
        """What has to be stored beside the targets, because a later pass needs it; a sum cannot be read again."""
        stored, wanted = dict.fromkeys(targets), dict.fromkeys(summed)
        carried: dict[Node, None] = {}
        while True:
            missing: dict[Node, None] = {}
            for place in self._places(stored | wanted):
                missing |= self._reads(self._at(stored | wanted, place), place[0], stored)[1]
            if not missing:
                return carried
            stored |= missing
            carried |= missing

    def passes(self, stores: Iterable[Store], groups: Callable[[Node], int | None]) -> tuple[Pass, ...]:
        """The passes that make all stores; `groups` tells which product a value read is a result of."""
        stores = list(stores)
        stored = dict.fromkeys(store.value for store in stores if store.kind not in ("sum", "mean", "along"))
        wanted = dict.fromkeys(store.value for store in stores)
        found = []
        for place in self._places(wanted):
            own = self._at(wanted, place)
            reads = tuple(self._reads(own, place[0], stored)[0])
            fresh = [node for node in reads if self.level(node) == place[0] and node not in self.given]
            products = tuple(sorted({groups(node) for node in fresh if self.is_product(node)}))
            here = tuple(store for node in own for store in stores if store.value is node)
            found.append(Pass(*place, reads, here, products, frozenset(n for n in fresh if n.kind == "mean")))
        return tuple(found)

    def _places(self, stored: Iterable[Node]) -> list[tuple[int, str]]:
        return sorted({(self.level(node), self.space(node)) for node in stored})

    def _at(self, stored: Iterable[Node], place: tuple[int, str]) -> list[Node]:
        return [node for node in stored if (self.level(node), self.space(node)) == place]

    def _reads(self, own: list[Node], at: int, stored: dict) -> tuple[dict[Node, None], dict[Node, None]]:
        """What a pass at one level reads, and which of it no pass has stored yet."""
        reads: dict[Node, None] = {}
        missing: dict[Node, None] = {}
        pending, seen = list(reversed(own)), set()
        while pending:
            node = pending.pop()
            if node in seen or node.kind == "constant":
                continue
            seen.add(node)
            earlier = self.level(node) < at
            if node in self.given or (self.is_event(node) and not earlier):
                reads[node] = None
            elif earlier and (node in stored or not _cheap(node) or self.is_event(node)):
                reads[node] = None
                if node not in stored:
                    missing[node] = None
            elif node.kind == "leaf":
                reads[node] = None
            else:
                pending.extend(reversed(node.arguments))
        return reads, missing


def _forward(graph: Graph, groups: tuple[Group, ...], wanted: dict[Node, None], space) -> Forward:
    home = {block: k for k, group in enumerate(groups) for block in group.blocks}
    level = _levels(lambda node: 1 + level(node.arguments[0]) if node.kind == "product" else None, frozenset())
    plan = _Schedule(level, space, lambda node: node.kind == "product", frozenset())
    states = dict.fromkeys(graph.states.values())
    vectors = dict.fromkeys(group.argument for group in groups if not is_old_state(group.argument))
    means = _means(states, frozenset())
    added = list(map(added_up, means))
    always = vectors | plan.carried([*states, *vectors], added)
    kept = always | wanted
    kept |= plan.carried([*states, *kept], added)
    kept = {node: None for node in kept if node not in states}
    stores = [Store("state", name, node) for name, node in graph.states.items()]
    stores += [Store("kept", k, node, node in always, stands_once(node)) for k, node in enumerate(kept)]
    stores += [Store("mean", k, node) for k, node in enumerate(added)]
    return Forward(plan.passes(stores, lambda node: home[node.label]), tuple(kept), means)


def _means(ends: Iterable[Node], given: frozenset[Node]) -> tuple[Node, ...]:
    return tuple(node for node in in_order(ends, given) if node.kind == "mean" and node not in given)


def backward_passes(
    graph: Graph, groups: tuple[Group, ...], found: Targets, space: Callable[[Node], str]
) -> tuple[Backward, dict[Node, None]]:
    """The passes that find what is sought, and what they need kept of the forward step beside states and leaves."""
    cell = graph.cell
    states = set(graph.states.values())
    ends = [*found.states.values(), *found.x.values(), *found.products.values(), *found.vectors.values()]
    ends += [*found.totals.values(), *found.along.values()]
    given = _from_forward(graph, ends, set(in_order([*graph.states.values(), *graph.gates.values()])))

    def event(node: Node) -> int | None:
        if not is_product(node):
            return None
        return 1 + max(level(found.products[block]) for block in groups[node.label[1]].blocks)

    def is_product(node: Node) -> bool:
        return node.kind == "leaf" and node.label[0] in ("dv", "dw")

    level = _levels(event, frozenset(given))
    plan = _Schedule(level, space, is_product, frozenset(given))
    columns = dict.fromkeys([*found.x.values(), *found.products.values()])
    stores = [Store("column", k, node) for k, node in enumerate(columns)]
    stores += [Store("earlier", name, node) for name, node in found.states.items()]
    stores += [Store("total", name, node) for name, node in found.totals.items()]
    stores += [Store("along", name, node, always=False) for name, node in found.along.items()]
    stores += [Store("sum", name, node) for name, node in found.vectors.items()]
    means = _means(ends, frozenset(given))
    added = list(map(added_up, means))
    targets = [*columns, *found.states.values(), *found.totals.values()]
    asked = [*found.vectors.values(), *found.along.values()]
    carried = plan.carried(targets, [*asked, *added])
    stores += [Store("carried", k, node, once=stands_once(node)) for k, node in enumerate(carried)]
    stores += [Store("mean", k, node) for k, node in enumerate(added)]
    index = {node: k for k, node in enumerate(columns)}
    backward = Backward(
        plan.passes(stores, lambda node: node.label[1]),
        tuple(columns),
        {gate: index[found.x[gate]] for gate in cell.gate_names},
        {block: index[found.products[block]] for block in cell.blocks},
        tuple(carried),
        means,
        any(node.kind == "leaf" and node.label[0] == "x" for node in given),
    )
    return backward, {node: None for node in given if node.kind != "leaf" and node not in states}


def _from_forward(graph: Graph, ends: list[Node], known: set[Node]) -> dict[Node, None]:
    """Values of the forward step that the way back starts from: old and new states, and whatever is not cheap."""
    states = set(graph.states.values())
    given: dict[Node, None] = {}
    pending, seen = list(reversed(ends)), set()
    while pending:
        node = pending.pop()
        if node in seen:
            continue
        seen.add(node)
        if node in known and (node in states or not _cheap(node) or node.kind == "leaf"):
            given[node] = None
        else:
            pending.extend(reversed(node.arguments))
    return given

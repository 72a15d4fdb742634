"""Which values of a step stand once a row and not once a unit: the means, and what is made of means alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from weakref import WeakKeyDictionary

from headgate.cells import Cell
from headgate.graph.expression import Node, in_order

_once: WeakKeyDictionary[Node, bool] = WeakKeyDictionary()


def stands_once(node: Node) -> bool:
    """Whether a row has a value once: a mean, a row's own factor ("k"), or what is made of such and numbers alone."""
    if node not in _once:
        for part in in_order([node]):
            vectors = [_once[argument] for argument in part.arguments if argument.kind != "constant"]
            alone = part.kind == "mean" or (part.kind == "leaf" and part.label[0] == "k")
            _once[part] = alone or (part.kind != "product" and bool(vectors) and all(vectors))
    return _once[node]


def check_means(cell: Cell, states: Mapping[str, Node], products: Iterable[Node]) -> None:
    """Refuse means that are used as what they are not: such a step could neither be run nor be differentiated.

    Raises:
        ValueError: a mean over the units of the output beside hidden units, where a projection makes them differ; a
            state or the argument of a product that has one value a row.
    """
    products = list(products)
    order = in_order([*states.values(), *products])
    if not any(node.kind == "mean" for node in order):
        return
    space: dict[Node, str | None] = {}
    for node in order:
        space[node] = _space(cell, node, {space[argument] for argument in node.arguments} - {None})
    for name, node in states.items():
        if stands_once(node):
            raise ValueError(
                f"{cell.name}.step: the new {name} has one value a row, which a mean makes, but a state has one a "
                "unit; combine the mean with a vector."
            )
    for node in products:
        if stands_once(node.arguments[0]):
            raise ValueError(
                f"{cell.name}.step applies U.{node.label} to one value a row, which a mean makes, but it takes a "
                "vector; combine the mean with one."
            )


def _space(cell: Cell, node: Node, arguments: set[str]) -> str | None:
    """ "H" or "O", how many units a value belongs to; None for a number."""
    if node.kind == "constant":
        return None
    if node.kind == "leaf":
        namespace, name = node.label
        return "O" if namespace in "sm" and name == cell.state_names[0] else "H"
    if node.kind == "product":
        return cell.blocks[node.label].rows
    once = node.kind == "mean" or any(map(stands_once, node.arguments))
    if cell.produces_projection and len(arguments) > 1 and once:
        raise ValueError(
            f"{cell.name}.step: a mean over the units of the projected output meets hidden units in {node!r}; take it "
            "over vectors as long as those it is used with."
        )
    return next(iter(arguments), None)

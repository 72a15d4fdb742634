"""Which values of a step stand once a row and not once a unit: the means, and what is made of means alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from headgate.cells import Cell
from headgate.graph.expression import Node, in_order

# Of a value: "H" or "O", how many units it belongs to (None for a number), and whether a row has it once.
Extent = tuple[str | None, bool]


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
    extent: dict[Node, Extent] = {}
    for node in order:
        extent[node] = _extent(cell, node, [extent[argument] for argument in node.arguments])
    for name, node in states.items():
        if extent[node][1]:
            raise ValueError(
                f"{cell.name}.step: the new {name} has one value a row, which a mean makes, but a state has one a "
                "unit; combine the mean with a vector."
            )
    for node in products:
        if extent[node.arguments[0]][1]:
            raise ValueError(
                f"{cell.name}.step applies U.{node.label} to one value a row, which a mean makes, but it takes a "
                "vector; combine the mean with one."
            )


def _extent(cell: Cell, node: Node, arguments: list[Extent]) -> Extent:
    if node.kind == "constant":
        return None, False
    if node.kind == "leaf":
        namespace, name = node.label
        return ("O" if namespace in "sm" and name == cell.state_names[0] else "H"), False
    if node.kind == "product":
        return cell.blocks[node.label].rows, False
    spaces = {space for space, _ in arguments} - {None}
    once = any(row for _, row in arguments)
    if cell.produces_projection and len(spaces) > 1 and (once or node.kind == "mean"):
        raise ValueError(
            f"{cell.name}.step: a mean over the units of the projected output meets hidden units in {node!r}; take it "
            "over vectors as long as those it is used with."
        )
    vectors = [row for space, row in arguments if space is not None]
    return next(iter(spaces), None), node.kind == "mean" or (bool(vectors) and all(vectors))

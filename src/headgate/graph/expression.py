"""Expressions: what an equation becomes when it is run on symbols.

A node is made once: two equal expressions are the same object, so common parts are shared by construction and
"the same vector" can be asked with `is`.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from headgate.cells import operations

MATRIX = ("product", "transposed")
BINARY = {"add": "+", "sub": "-", "mul": "*", "div": "/"}

_interned: weakref.WeakValueDictionary[tuple, Node] = weakref.WeakValueDictionary()
_lock = threading.Lock()


class Node:
    """One operation on other nodes. Made by `constant`, `leaf`, `product`, `transposed` and by arithmetic.

    Attributes:
        kind: "constant", "leaf", "product", "transposed", "neg", "mean", one of BINARY, or one of
            operations.FUNCTIONS.
        arguments: the nodes it works on.
        label: a constant's value; a leaf's (namespace, name), as ("x", "i") or ("s", "h"); a product's block name.
    """

    __slots__ = ("__weakref__", "arguments", "kind", "label")

    kind: str
    arguments: tuple[Node, ...]
    label: Any

    def __new__(cls, kind: str, arguments: tuple[Node, ...] = (), label: Any = None) -> Node:
        key = (kind, tuple(map(id, arguments)), label)
        with _lock:
            node = _interned.get(key)
            if node is None:
                node = super().__new__(cls)
                node.kind, node.arguments, node.label = kind, arguments, label
                _interned[key] = node
        return node

    def __reduce__(self) -> tuple:
        return Node, (self.kind, self.arguments, self.label)

    def __add__(self, other: Operand) -> Node:
        return _add(self, as_node(other))

    def __radd__(self, other: Operand) -> Node:
        return _add(as_node(other), self)

    def __sub__(self, other: Operand) -> Node:
        return _sub(self, as_node(other))

    def __rsub__(self, other: Operand) -> Node:
        return _sub(as_node(other), self)

    def __mul__(self, other: Operand) -> Node:
        return _mul(self, as_node(other))

    def __rmul__(self, other: Operand) -> Node:
        return _mul(as_node(other), self)

    def __truediv__(self, other: Operand) -> Node:
        return _div(self, as_node(other))

    def __rtruediv__(self, other: Operand) -> Node:
        return _div(as_node(other), self)

    def __neg__(self) -> Node:
        return _neg(self)

    def __pow__(self, power: int) -> Node:
        if not isinstance(power, int) or power < 1:
            raise TypeError(f"a traced value was raised to the power {power!r}; write whole powers, or exp and log.")
        result = self
        for _ in range(power - 1):
            result = result * self
        return result

    def __bool__(self) -> bool:
        raise TypeError(
            "a cell's step asked whether a traced value is true; a step is traced once for all values, so it may "
            "branch on the cell's own switches but not on x, U, s or p."
        )

    def __repr__(self) -> str:
        if self.kind == "constant":
            return f"{self.label:g}"
        if self.kind == "leaf":
            return ".".join(self.label)
        inside = ", ".join(map(repr, self.arguments))
        if self.kind in ("product", "transposed"):
            return f"{'U' if self.kind == 'product' else 'Ut'}.{self.label}({inside})"
        if self.kind in BINARY:
            return f"({self.arguments[0]!r} {BINARY[self.kind]} {self.arguments[1]!r})"
        return f"{self.kind}({inside})"


Operand = Node | int | float


def constant(value: float) -> Node:
    """A number."""
    return Node("constant", (), float(value))


def leaf(namespace: str, name: str) -> Node:
    """Something given from outside: a gate's input part, an old state, a per-unit parameter, a seed."""
    return Node("leaf", (), (namespace, name))


def product(block: str, vector: Operand) -> Node:
    """U_block applied to a vector, its bias included."""
    node = as_node(vector)
    if node.kind == "constant":
        raise TypeError(f"U.{block} was applied to the number {node!r}, but it takes a vector, such as s.h.")
    return Node("product", (node,), block)


def transposed(block: str, vector: Node) -> Node:
    """U_block transposed, applied to a vector (no bias): what a product's gradient passes on."""
    return ZERO if vector is ZERO else Node("transposed", (vector,), block)


def as_node(value: Operand) -> Node:
    """A number made a node; a node as it is."""
    if isinstance(value, Node):
        return value
    if isinstance(value, (int, float)):
        return constant(value)
    raise TypeError(
        f"a cell's step mixed a traced value with a {type(value).__name__}; use x, U, s, p, numbers and the "
        "functions of headgate.cells."
    )


ZERO, ONE, MINUS_ONE = constant(0.0), constant(1.0), constant(-1.0)


def _both_constant(a: Node, b: Node) -> bool:
    return a.kind == b.kind == "constant"


def _add(a: Node, b: Node) -> Node:
    if _both_constant(a, b):
        return constant(a.label + b.label)
    if a is ZERO or b is ZERO:
        return b if a is ZERO else a
    return _sub(a, b.arguments[0]) if b.kind == "neg" else Node("add", (a, b))


def _sub(a: Node, b: Node) -> Node:
    if _both_constant(a, b):
        return constant(a.label - b.label)
    if b is ZERO:
        return a
    return _neg(b) if a is ZERO else Node("sub", (a, b))


def _mul(a: Node, b: Node) -> Node:
    if _both_constant(a, b):
        return constant(a.label * b.label)
    if a is ZERO or b is ZERO:
        return ZERO
    if a is ONE or b is ONE:
        return b if a is ONE else a
    if a is MINUS_ONE or b is MINUS_ONE:
        return _neg(b if a is MINUS_ONE else a)
    if a.kind == "neg":
        return _neg(_mul(a.arguments[0], b))
    return _neg(_mul(a, b.arguments[0])) if b.kind == "neg" else Node("mul", (a, b))


def _div(a: Node, b: Node) -> Node:
    if _both_constant(a, b):
        return constant(a.label / b.label)
    if a is ZERO or b is ONE:
        return a
    return Node("div", (a, b))


def _neg(a: Node) -> Node:
    if a.kind == "constant":
        return constant(-a.label)
    return a.arguments[0] if a.kind == "neg" else Node("neg", (a,))


def _register_functions() -> None:
    for name, function in operations.FUNCTIONS.items():
        function.register(Node)(lambda value, kind=name: Node(kind, (value,)))


_register_functions()


@operations.mean.register(Node)
def _mean(first: Node, *others: Operand) -> Node:
    vectors = (first, *map(as_node, others))
    if all(vector.kind == "constant" for vector in vectors):
        return constant(operations.mean(*(vector.label for vector in vectors)))
    for vector in vectors:
        if vector.kind == "constant":
            raise TypeError(f"mean: the number {vector!r} stands among vectors, and has no units; leave it out.")
    return Node("mean", vectors)


def in_order(outputs: Iterable[Node], stop: frozenset[Node] = frozenset()) -> list[Node]:
    """All nodes that the outputs depend on, each after its arguments; not looking behind `stop`."""
    order: list[Node] = []
    seen: set[Node] = set()
    for root in outputs:
        pending = [(root, False)]
        while pending:
            node, done = pending.pop()
            if done:
                order.append(node)
            elif node not in seen:
                seen.add(node)
                pending.append((node, True))
                if node not in stop:
                    pending.extend((argument, False) for argument in reversed(node.arguments))
    return order


def _no_matrices(node: Node, vector: Any) -> Any:
    raise KeyError(f"no value was given for {node!r}.")


def evaluate(
    outputs: Iterable[Node], values: Mapping[Node, Any], multiply: Callable[[Node, Any], Any] = _no_matrices
) -> list[Any]:
    """Values of the outputs, given those of the leaves (and of any node that is not to be computed here).

    Works on whatever supports arithmetic and the functions of `cells.operations`: NumPy, torch, numbers.

    Args:
        outputs: what to compute.
        values: known values by node.
        multiply: computes a product or a transposed product, given its node and the value of its vector.

    Raises:
        KeyError: a leaf that `values` does not give, or a product without `multiply`.
    """
    outputs = list(outputs)
    known = dict(values)
    for node in in_order(outputs, frozenset(known)):
        if node not in known:
            arguments = [known[argument] for argument in node.arguments]
            known[node] = multiply(node, *arguments) if node.kind in MATRIX else _apply(node, arguments)
    return [known[node] for node in outputs]


def _apply(node: Node, arguments: list[Any]) -> Any:
    match node.kind:
        case "constant":
            return node.label
        case "add":
            return arguments[0] + arguments[1]
        case "sub":
            return arguments[0] - arguments[1]
        case "mul":
            return arguments[0] * arguments[1]
        case "div":
            return arguments[0] / arguments[1]
        case "neg":
            return -arguments[0]
        case "leaf":
            raise KeyError(f"no value was given for {node!r}.")
        case "mean":
            return operations.mean(*arguments)
        case function:
            return operations.FUNCTIONS[function](arguments[0])

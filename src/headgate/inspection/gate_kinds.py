"""What kind of gate an expression is, told from the expression: how far it can open, and what it is a squashing of."""

from __future__ import annotations

import math

from headgate.graph import Graph, Node
from headgate.graph.expression import ONE

GATE, CANDIDATE, OTHER = "gate", "candidate", "other"

Range = tuple[float, float]
ANYTHING: Range = (-math.inf, math.inf)


def kinds(graph: Graph) -> dict[str, str]:
    """The kind of each gate that a cell shows, by name.

    "gate": within 0 and 1, as a sigmoid, one minus it, or a mixture of such; "candidate": within -1 and 1, as a tanh;
    "other": anything else, such as a relu, of which there is no saying how far it is open.
    """
    return {name: kind(node) for name, node in graph.gates.items()}


def kind(node: Node) -> str:
    """The kind of one expression, as in `kinds`."""
    low, high = value_range(node)
    if low >= 0 and high <= 1:
        return GATE
    return CANDIDATE if low >= -1 and high <= 1 else OTHER


def argument(node: Node) -> Node | None:
    """The pre-activation of a gate: a for sigmoid(a) and tanh(a), -a for 1 - sigmoid(a).

    None where a 0..1 gate is no such expression; its logit then has to be told from its value. An expression that is
    no squashing at all (an activation switched off) is its own pre-activation.
    """
    if node.kind in ("sigmoid", "tanh", "relu"):
        return node.arguments[0]
    if _is_complement(node) and kind(node.arguments[1]) == GATE:
        inner = argument(node.arguments[1])
        return None if inner is None else -inner
    if node.kind == "neg" and kind(node.arguments[0]) == CANDIDATE:
        inner = argument(node.arguments[0])
        return None if inner is None else -inner
    return None if kind(node) == GATE else node


def value_range(node: Node) -> Range:
    """Between what an expression's values lie, whatever weights and input are."""
    match node.kind:
        case "constant":
            return node.label, node.label
        case "sigmoid" | "positive":
            return 0.0, 1.0
        case "tanh":
            return -1.0, 1.0
        case "leaf" if node.label[0] == "m":
            return 0.0, 1.0
        case "exp" | "sqrt":
            return 0.0, math.inf
        case "relu":
            low, high = value_range(node.arguments[0])
            return max(low, 0.0), max(high, 0.0)
        case "mean":
            return _hull([value_range(part) for part in node.arguments])
        case "neg":
            low, high = value_range(node.arguments[0])
            return -high, -low
        case "mul":
            return _product(*map(value_range, node.arguments))
        case "add":
            mixed = _mixed(*node.arguments)
            first, second = map(value_range, node.arguments)
            return mixed or (first[0] + second[0], first[1] + second[1])
        case "sub":
            first, second = map(value_range, node.arguments)
            return first[0] - second[1], first[1] - second[0]
    return ANYTHING


def _mixed(first: Node, second: Node) -> Range | None:
    """The range of w a + (1 - w) b with w within 0 and 1: that of a and b; None where the terms are no such mixture."""
    if not first.kind == second.kind == "mul":
        return None
    for a, w in (first.arguments, first.arguments[::-1]):
        for b, v in (second.arguments, second.arguments[::-1]):
            complementary = (_is_complement(v) and v.arguments[1] is w) or (_is_complement(w) and w.arguments[1] is v)
            if complementary and kind(w) == GATE:
                return _hull([value_range(a), value_range(b)])
    return None


def _is_complement(node: Node) -> bool:
    return node.kind == "sub" and node.arguments[0] is ONE


def _product(first: Range, second: Range) -> Range:
    # Zero times infinity is zero here: no factor reaches infinity.
    corners = [0.0 if 0.0 in (a, b) else a * b for a in first for b in second]
    return min(corners), max(corners)


def _hull(ranges: list[Range]) -> Range:
    return min(low for low, _ in ranges), max(high for _, high in ranges)

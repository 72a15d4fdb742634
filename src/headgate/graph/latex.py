"""A cell's equations as LaTeX, printed from its graph."""

from __future__ import annotations

from headgate.cells import Cell
from headgate.graph.expression import Node, in_order
from headgate.graph.trace import Graph, trace

_SUM, _PRODUCT, _ATOM = range(3)
_FUNCTIONS = {
    "sigmoid": r"\sigma",
    "tanh": r"\tanh",
    "relu": r"\operatorname{relu}",
    "exp": r"\exp",
    "log": r"\log",
    "sqrt": r"\operatorname{sqrt}",
    "positive": r"\operatorname{positive}",
}


def equations(cell: Cell) -> list[str]:
    r"""One LaTeX equation for each gate the cell shows, each of its states, and each mean `\mu_k` over the units of a
    row, in the order of computation.

    `\odot` is the product per unit, `b'` the recurrent bias, primes on nothing else; `U_i h_{t-1}` is a matrix product.
    """
    graph = trace(cell)
    named: dict[Node, str] = {}
    aliases = []
    for name, node in [*graph.gates.items(), *graph.states.items()]:
        here = symbol(name) + "_t"
        if node.kind in ("constant", "leaf") or named.setdefault(node, here) != here:
            aliases.append(f"{here} = {named.get(node) or _Printer(graph, {})(node)}")
    means = [node for node in in_order(graph.states.values()) if node.kind == "mean"]
    named |= {node: rf"\mu_{_index(str(k))}" for k, node in enumerate(means, 1)}
    return [f"{named[node]} = {_Printer(graph, named)(node)}" for node in in_order(named) if node in named] + aliases


def symbol(name: str) -> str:
    """A name as a mathematical symbol: one letter as it is, a word upright."""
    if len(name) == 1:
        return name
    return r"\mathrm{" + name.replace("_", r"\_") + "}"


def _index(name: str) -> str:
    return "{" + name.replace("_", "") + "}" if len(name) > 1 else name


class _Printer:
    """Prints one named node, referring to the other named nodes by their symbols."""

    def __init__(self, graph: Graph, named: dict[Node, str]) -> None:
        self._named = named
        self._input_bias = graph.cell.input_bias
        self._biased = {block for matrix in graph.cell.recurrent if matrix.bias for block in matrix.block_names}
        self._top: Node | None = None

    def __call__(self, node: Node) -> str:
        self._top = node
        return self._print(node, _SUM)

    def _print(self, node: Node, level: int) -> str:
        if node is not self._top and node in self._named:
            return self._named[node]
        text, own = self._text(node)
        return text if own >= level else rf"\left({text}\right)"

    def _text(self, node: Node) -> tuple[str, int]:
        arguments = node.arguments
        match node.kind:
            case "constant":
                mantissa, _, exponent = f"{node.label:g}".partition("e")
                power = rf" \times 10^{{{int(exponent)}}}" if exponent else ""
                return mantissa + power, _ATOM if node.label >= 0 and not power else _SUM
            case "leaf":
                return self._leaf(*node.label)
            case "product":
                name, vector = _index(node.label), self._print(arguments[0], _ATOM)
                text = f"U_{name} {vector}"
                return (f"{text} + b'_{name}", _SUM) if node.label in self._biased else (text, _PRODUCT)
            case "add":
                return f"{self._print(arguments[0], _SUM)} + {self._print(arguments[1], _SUM)}", _SUM
            case "sub":
                return f"{self._print(arguments[0], _SUM)} - {self._print(arguments[1], _PRODUCT)}", _SUM
            case "neg":
                return f"-{self._print(arguments[0], _PRODUCT)}", _SUM
            case "mul":
                sign = "\\," if any(a.kind == "constant" for a in arguments) else r" \odot "
                return sign.join(self._print(a, _PRODUCT) for a in arguments), _PRODUCT
            case "div":
                return rf"\frac{{{self._print(arguments[0], _SUM)}}}{{{self._print(arguments[1], _SUM)}}}", _ATOM
            case "mean":
                inside = ", ".join(self._print(argument, _SUM) for argument in arguments)
                return rf"\operatorname{{mean}}\left({inside}\right)", _ATOM
            case function:
                return rf"{_FUNCTIONS[function]}\left({self._print(arguments[0], _SUM)}\right)", _ATOM

    def _leaf(self, namespace: str, name: str) -> tuple[str, int]:
        if namespace == "x":
            text = f"W_{_index(name)} x_t"
            return (f"{text} + b_{_index(name)}", _SUM) if self._input_bias else (text, _PRODUCT)
        if namespace == "s":
            return f"{symbol(name)}_{{t-1}}", _ATOM
        return f"{namespace}_{_index(name)}", _ATOM

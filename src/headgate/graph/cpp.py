"""A step's passes printed as C++: one function a pass, for any number type and any width of vector."""

from __future__ import annotations

from collections.abc import Mapping

from headgate.cells import Cell
from headgate.graph.adjoint import adjoint
from headgate.graph.expression import BINARY, Node, in_order
from headgate.graph.program import Pass, Program, Store, program
from headgate.graph.units import stands_once

_PREFIX = {"s": "old", "d": "d", "y": "dy", "dv": "dv", "dw": "dw", "k": "along"}
# Functions of so many operations, each waiting for the one before, that a pass goes through two vectors at once.
LONG = frozenset({"exp", "sigmoid", "tanh"})


def cpp(cell: Cell, name: str) -> str:
    """The C++ of all passes of a cell.

    Args:
        cell: the equations.
        name: an identifier that the functions are named after: `<name>_forward_<k>`, and so on for "backward" and
            "adjoint".
    """
    steps = program(cell)
    parts = [
        f"// {cell.name}: printed from its equations by headgate.graph.cpp. Change the equations, not this file.",
        '#include "step.h"',
        "",
        "namespace headgate {",
        "namespace {",
        "",
    ]
    names = _names(steps)
    printed = []
    ways = {"forward": steps.forward, "backward": steps.backward, "adjoint": adjoint(cell).steps}
    for way, passes in ((name, part.passes) for name, part in ways.items()):
        for k, item in enumerate(passes):
            function = f"{name}_{way}_{k}"
            parts += _function(function, item, names)
            computed = in_order([store.value for store in item.stores], frozenset(item.reads))
            long = any(node.kind in LONG and not stands_once(node) for node in computed)
            printed.append(f"{'HG_EXPORT_BY_TWOS' if long else 'HG_EXPORT'}({function})")
    parts += ["}  // namespace", "}  // namespace headgate", ""]
    return "\n".join([*parts, *printed, ""])


def _names(steps: Program) -> dict[Node, str]:
    """What values are called in the printed code: as in the equations where those name them."""
    graph = steps.graph
    names = {node: f"new_{name}" for name, node in graph.states.items() if node.kind not in ("leaf", "constant")}
    for name, node in graph.gates.items():
        if node.kind not in ("leaf", "constant"):
            names.setdefault(node, f"gate_{name}")
    return names


def _function(name: str, item: Pass, names: Mapping[Node, str]) -> list[str]:
    known: dict[Node, str] = {}
    for node in item.reads:
        known[node] = _unused(_end_name(node, names), known)
    # What a row has once is read and computed before its units are gone through.
    row: list[str] = []
    unit: list[str] = []
    for k, node in enumerate(item.reads):
        once = stands_once(node)
        (row if once else unit).append(f"const V {known[node]} = {'HG_ONCE' if once else 'HG_READ'}({k});")
    for node in in_order([store.value for store in item.stores], frozenset(item.reads)):
        if node.kind == "constant":
            known[node] = f"number<V>({node.label!r})"
        elif node not in known:
            operation = _operation(node, [known[argument] for argument in node.arguments])
            known[node] = _unused(names.get(node, "v"), known)
            (row if stands_once(node) else unit).append(f"const V {known[node]} = {operation};")
    after: list[str] = []
    for k, store in enumerate(item.stores):
        if store.kind == "mean":
            row.append(f"V sum_{k}{{}};")
            unit.append(f"HG_ADD(sum_{k}, {known[store.value]});")
            after.append(f"HG_ADDED({k}, sum_{k});")
        else:
            (after if store.once else unit).append(f"{_store(store)}({k}, {known[store.value]});")
    lines = ["template <class V>", f"void {name}(const hg_tile& tile) {{"]
    lines.append(f"  HG_PASS(tile, {len(item.reads)}, {len(item.stores)}) {{")
    lines += [f"    {line}" for line in row]
    lines += ["    HG_UNITS {", *(f"      {line}" for line in unit), "    }"]
    return [*lines, *(f"    {line}" for line in after), "  }", "}", ""]


def _unused(name: str, known: Mapping[Node, str]) -> str:
    """The name itself where it says what the value is and is free, else with a number."""
    taken = set(known.values())
    if name not in taken and name != "v":
        return name
    return next(numbered for k in range(len(taken) + 1) if (numbered := f"{name}{k}") not in taken)


def _store(store: Store) -> str:
    if store.kind == "sum":
        return "HG_SUM"
    return f"{'HG_STORE' if store.always else 'HG_KEEP'}{'_ONCE' if store.once else ''}"


def _end_name(node: Node, names: Mapping[Node, str]) -> str:
    if node.kind == "leaf":
        namespace, name = node.label
        return f"{_PREFIX.get(namespace, namespace)}_{name}"
    if node.kind == "product":
        return f"U_{node.label}"
    return names.get(node, f"kept_{node.kind}")


def _operation(node: Node, arguments: list[str]) -> str:
    if node.kind in BINARY:
        return f"{arguments[0]} {BINARY[node.kind]} {arguments[1]}"
    return f"-{arguments[0]}" if node.kind == "neg" else f"{node.kind}({', '.join(arguments)})"

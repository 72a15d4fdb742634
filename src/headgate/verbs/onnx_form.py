"""A cell's run over sequences as an ONNX function: a Scan whose body is the step, written by running it on names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

import onnx
from onnx import TensorProto, helper

from headgate.cells import Cell, operations
from headgate.cells.cell import Named, State
from headgate.graph.trace import trace

DOMAIN, OPSET = "headgate", 17
_KINDS = {"sigmoid": "Sigmoid", "tanh": "Tanh", "relu": "Relu", "exp": "Exp", "log": "Log", "sqrt": "Sqrt"}


class Body:
    """Nodes that are being written, each after its arguments.

    Args:
        prefix: of the names it gives, another one for a body inside, which sees the outer one's.
    """

    def __init__(self, prefix: str) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self._names = (f"{prefix}{number}" for number in count())

    def __call__(self, kind: str, *arguments: Value | float, name: str | None = None, **attributes: Any) -> Value:
        """Write a node of one result, under a name of its own where it needs one."""
        return self.several(kind, 1, *arguments, names=None if name is None else [name], **attributes)[0]

    def several(
        self, kind: str, results: int, *arguments: Value | float, names: list[str] | None = None, **attributes: Any
    ) -> list[Value]:
        """Write a node of several results."""
        given = [argument.name if isinstance(argument, Value) else self.number(argument).name for argument in arguments]
        names = names or [next(self._names) for _ in range(results)]
        self.nodes.append(helper.make_node(kind, given, names, **attributes))
        return [Value(self, name) for name in names]

    def number(self, value: float) -> Value:
        """A constant."""
        return self("Constant", value=helper.make_tensor("", TensorProto.FLOAT, [], [float(value)]))

    def whole(self, *values: int) -> Value:
        """Whole numbers, [n]."""
        return self("Constant", value=helper.make_tensor("", TensorProto.INT64, [len(values)], values))


class Value:
    """A name in a body; arithmetic on it writes nodes there."""

    def __init__(self, body: Body, name: str) -> None:
        self.body, self.name = body, name

    def __add__(self, other: Value | float) -> Value:
        return self.body("Add", self, other)

    def __sub__(self, other: Value | float) -> Value:
        return self.body("Sub", self, other)

    def __mul__(self, other: Value | float) -> Value:
        return self.body("Mul", self, other)

    def __truediv__(self, other: Value | float) -> Value:
        return self.body("Div", self, other)

    def __radd__(self, other: float) -> Value:
        return self.body("Add", other, self)

    def __rsub__(self, other: float) -> Value:
        return self.body("Sub", other, self)

    def __rmul__(self, other: float) -> Value:
        return self.body("Mul", other, self)

    def __rtruediv__(self, other: float) -> Value:
        return self.body("Div", other, self)

    def __neg__(self) -> Value:
        return self.body("Neg", self)

    def __pow__(self, power: int) -> Value:
        return self.body("Pow", self, power)


for _name, _kind in _KINDS.items():
    operations.FUNCTIONS[_name].register(Value)(lambda value, kind=_kind: value.body(kind, value))


@operations.positive.register(Value)
def _positive(value: Value) -> Value:
    return value.body("Cast", value.body("Greater", value, 0.0), to=TensorProto.FLOAT)


@operations.mean.register(Value)
def _mean(first: Value, *others: Value) -> Value:
    own = [vector.body("ReduceMean", vector, axes=[-1], keepdims=1) for vector in (first, *others)]
    return sum(own[1:], own[0]) / len(own)


class Blocks:
    """`U` on names: neighbouring blocks that a step applies to one vector are one product.

    Args:
        cell: whose.
        outer: where the weights are laid out, before the first step.
        weights: by name.
        inner: where products are written.
    """

    def __init__(self, cell: Cell, outer: Body, weights: dict[str, Value], inner: Body) -> None:
        self._inner = inner
        self._home: dict[str, tuple[int, int]] = {}
        self._groups: list[tuple[Value, Value | None, int]] = []
        self._done: dict[int, tuple[Value, list[Value]]] = {}
        for stage in trace(cell).stages:
            for group in stage:
                name, all_blocks, some = group.matrix.name, len(group.matrix.block_names), len(group.blocks)
                rows = slice(group.first, group.first + some)
                weight = self._rows(outer, weights[f"weight_{name}"], all_blocks, rows)
                bias = weights.get(f"bias_{name}")
                bias = None if bias is None else self._rows(outer, bias, all_blocks, rows)
                self._home |= {block: (len(self._groups), k) for k, block in enumerate(group.blocks)}
                self._groups.append((outer("Transpose", weight, perm=[1, 0]), bias, some))

    @staticmethod
    def _rows(outer: Body, weight: Value, blocks: int, rows: slice) -> Value:
        if rows == slice(0, blocks):
            return weight
        parts = outer.several("Split", blocks, weight, axis=0)[rows]
        return parts[0] if len(parts) == 1 else outer("Concat", *parts, axis=0)

    def __getattr__(self, block: str) -> Callable[[Value], Value]:
        group, k = self._home[block]

        def apply(vector: Value) -> Value:
            done = self._done.get(group)
            if done is None or done[0] is not vector:
                weight, bias, blocks = self._groups[group]
                product = self._inner("MatMul", vector, weight)
                product = product if bias is None else product + bias
                parts = [product] if blocks == 1 else self._inner.several("Split", blocks, product, axis=-1)
                done = self._done[group] = vector, parts
            return done[1][k]

        return apply

    __getitem__ = __getattr__


def function(cell: Cell, name: str, weights: Sequence[str], lengths: bool, reverse: bool) -> onnx.FunctionProto:
    """All steps of one layer in one direction, in evaluation.

    Args:
        cell: the equations.
        name: of the function.
        weights: names of the parameters that come after the input, as `Cell.parameter_shapes` has them.
        lengths: whether the last input says how many steps each row has, [B], int64.
        reverse: from each row's end to its beginning.

    Returns:
        A function of domain DOMAIN: input [T, B, I], the weights, the states before the first step [B, ...], lengths;
        to the first state at every step [T, B, O], zero past a row's end, and each row's states after its last step.
    """
    outer = Body("run")
    given = {weight: Value(outer, weight) for weight in weights}
    initial = [Value(outer, f"{state}_before") for state in cell.state_names]
    inputs = ["input", *weights, *(value.name for value in initial), *(["lengths"] if lengths else [])]
    parts = outer("MatMul", Value(outer, "input"), outer("Transpose", given["weight_ih"], perm=[1, 0]))
    if "bias_ih" in given:
        parts = parts + given["bias_ih"]
    scanned, turned = [parts], reverse and lengths
    if lengths:
        rows = outer("Cast", Value(outer, "lengths"), to=TensorProto.INT64)
        if turned:
            scanned = [outer("ReverseSequence", parts, rows, time_axis=0, batch_axis=1)]
        scanned.append(_active(outer, rows))
    body = _step(cell, outer, given, masked=lengths)
    directions = {"scan_input_directions": [1], "scan_output_directions": [1]} if reverse and not lengths else {}
    outputs = ["output", *(f"{state}_after" for state in cell.state_names)]
    names = [*outputs[1:], "backwards" if turned else "output"]
    outer.several(
        "Scan", len(names), *initial, *scanned, names=names, body=body, num_scan_inputs=len(scanned), **directions
    )
    if turned:
        outer("ReverseSequence", Value(outer, names[-1]), rows, name="output", time_axis=0, batch_axis=1)
    opsets = [helper.make_opsetid("", OPSET)]
    return helper.make_function(DOMAIN, name, inputs, outputs, outer.nodes, opsets)


def _active(outer: Body, rows: Value) -> Value:
    """Which rows take which step, [T, B, 1] bool."""
    steps = outer("Squeeze", outer("Shape", Value(outer, "input"), start=0, end=1))
    zero, one = (outer("Squeeze", outer.whole(number)) for number in (0, 1))
    times = outer("Reshape", outer("Range", zero, steps, one), outer.whole(-1, 1, 1))
    return outer("Less", times, outer("Reshape", rows, outer.whole(1, -1, 1)))


def _step(cell: Cell, outer: Body, given: dict[str, Value], masked: bool) -> onnx.GraphProto:
    """The Scan's body: states, input parts and, if masked, which rows are active; to the states and the output."""
    inner = Body("step")
    U = Blocks(cell, outer, given, inner)
    names = cell.vector_names
    vectors = outer.several("Split", len(names), given["weight_p"], axis=0) if names else []
    state = State((name, Value(inner, f"{name}_old")) for name in cell.state_names)
    gates = len(cell.gate_names)
    now = Value(inner, "now")
    parts = inner.several("Split", gates, now, axis=-1) if gates > 1 else [now]
    x = Named(zip(cell.gate_names, parts, strict=True))
    p = Named((name, Value(inner, value.name)) for name, value in zip(names, vectors, strict=True))
    after, _ = cell(x, U, state, p, None)
    new = [after[name] for name in cell.state_names]
    shown = new[0]
    active = Value(inner, "active")
    if masked:
        new = [inner("Where", active, value, old) for value, old in zip(new, state.values(), strict=True)]
        shown = inner("Where", active, shown, 0.0)
    results = [inner("Identity", value, name=f"{name}_new") for name, value in zip(cell.state_names, new, strict=True)]
    results.append(inner("Identity", shown, name="shown"))
    kinds = {"active": TensorProto.BOOL}
    read = [*(value.name for value in state.values()), "now", *(["active"] if masked else [])]
    told = [
        [helper.make_tensor_value_info(name, kinds.get(name, TensorProto.FLOAT), None) for name in some]
        for some in (read, [value.name for value in results])
    ]
    return helper.make_graph(inner.nodes, "step", *told)

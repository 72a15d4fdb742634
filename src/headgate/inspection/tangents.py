"""One step forwards: the Jacobian applied to tangents, by the coefficients whose transpose the reverse pass follows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional

from headgate.engines import Call
from headgate.engines.eager import Blocks, input_parts, vectors
from headgate.graph import Group, Node, evaluate, linearise
from headgate.graph.expression import in_order
from headgate.inspection.adjoint import AT_ONCE
from headgate.inspection.run import Run


class Tangents:
    """A run whose steps can be followed forwards by small changes of the old states."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self._linear = linear = linearise(run.cell)
        self._graph = graph = linear.graph
        self._parts = list(dict.fromkeys(part for ends in linear.coefficient.values() for part in ends.values()))
        known = {*linear.points, *linear.means, *graph.products.values()}
        self._order = [node for node in in_order([*graph.states.values(), *graph.products.values()]) if node in known]
        self._call = Call(run.cell, run.weights, run.input, tuple(run.initial.values()))
        self._blocks, self._vectors = Blocks(self._call), vectors(self._call)
        self._group = {block: group for stage in graph.stages for group in stage for block in group.blocks}
        self._first, self._values = 0, {}

    def push(self, t: int, tangents: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The one-step Jacobian of step t, applied to C tangents of every row at once.

        Args:
            t: a step, in the order of the run.
            tangents: by old state, [C, B, S]; every state is there.

        Returns:
            By new state, [C, B, S]: as if every row took the step from a state that is its own.
        """
        values = self._coefficients(t)
        known: dict[Node, Tensor | None] = {self._graph.s(name): value for name, value in tangents.items()}
        for node in self._order:
            if node.kind == "product":
                if node not in known:
                    known |= self._products(self._group[node.label], known.get(node.arguments[0]))
            elif node.kind == "mean":
                moved = [known[argument] for argument in node.arguments if known.get(argument) is not None]
                total = sum(vector.mean(-1, keepdim=True) for vector in moved) / len(node.arguments)
                known[node] = total if moved else None
            elif node.kind != "leaf":
                ends = self._linear.coefficient[node].items()
                parts = [known[end] * values[part] for end, part in ends if known.get(end) is not None]
                known[node] = sum(parts) if parts else None
        found = {name: known[node] for name, node in self._graph.states.items()}
        return {n: torch.zeros_like(tangents[n]) if v is None else v.expand_as(tangents[n]) for n, v in found.items()}

    def _products(self, group: Group, vector: Tensor | None) -> dict[Node, Tensor | None]:
        """All products of a group, [C, B, rows of a block] each, at once."""
        if vector is None:
            return {self._graph.products[block]: None for block in group.blocks}
        weight = self.run.weights[f"weight_{group.matrix.name}"]
        size = len(weight) // len(group.matrix.block_names)
        rows = weight[group.first * size : (group.first + len(group.blocks)) * size]
        parts = functional.linear(vector, rows).chunk(len(group.blocks), -1)
        return {self._graph.products[block]: part for block, part in zip(group.blocks, parts, strict=True)}

    def _coefficients(self, t: int) -> Mapping[Node, Tensor | float]:
        """By coefficient, its value at step t, [B, S] or what is the same for all rows or steps."""
        if not self._values or not self._first <= t < self._first + len(self._values):
            width = sum(value[0].numel() for value in self.run.states.values())
            length = max(1, AT_ONCE // max(1, width * len(self._parts)))
            self._first, self._values = t // length * length, {}
            self._values = self._evaluated(self._first, min(self._first + length, len(self.run.input)))
        return self._values[t]

    def _evaluated(self, start: int, stop: int) -> dict[int, dict[Node, Tensor | float]]:
        run, graph, here = self.run, self._graph, slice(start, stop)
        gates = run.cell.gate_names
        parts = input_parts(replace(self._call, input=run.input[here])).chunk(len(gates), -1)
        leaves = {graph.x(gate): part for gate, part in zip(gates, parts, strict=True)}
        leaves |= {graph.s(name): value for name, value in run.before(start, stop).items()}
        leaves |= {graph.p(name): value for name, value in self._vectors.items()}
        masks = {name: run.masks[name] for name in run.cell.mask_names}
        leaves |= {graph.m(name): v[here] if isinstance(v, Tensor) else v for name, v in masks.items()}
        found = evaluate(self._parts, leaves, lambda node, vector: self._blocks[node.label](vector))
        varies = [isinstance(value, Tensor) and value.dim() >= 3 for value in found]
        return {
            t: {p: v[t - start] if at else v for p, v, at in zip(self._parts, found, varies, strict=True)}
            for t in range(start, stop)
        }

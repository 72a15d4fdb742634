"""A run's coefficients and matrices: all that a reverse pass over its steps needs.

Between the new states of a step and its old ones stand only elementwise coefficients, computed for a stretch of steps
at once, the matrices, and, in a normalised cell, means over the units of a row. What a reverse pass carries goes
through linearly, so any number of gradients can be carried side by side, some of them with paths cut.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache, cached_property

import torch
from torch import Tensor
from torch.nn import functional

from headgate.engines.cpu.kept import Kept
from headgate.graph import Node, evaluate
from headgate.graph.expression import in_order
from headgate.inspection.backstep import HIGHWAY as HIGHWAY
from headgate.inspection.backstep import READOUT as READOUT
from headgate.inspection.backstep import Cuts, Sweep, Value
from headgate.inspection.run import Run as Run
from headgate.inspection.ways import Stack, route

# So many numbers are computed at once: enough to fill the machine, few beside what a run holds.
AT_ONCE = 4_000_000
# Ways of making a reverse pass.
COMPILED, TORCH = "compiled", "torch"


def refusal(run: Run) -> str | None:
    """Why reverse passes over a run cannot be made in the compiled library, or None."""
    if run.kept is None:
        return "the compiled engine did not run it, or kept nothing of it"
    return Kept.reason_against(run.cell)


class Adjoint:
    """A run, ready for any number of reverse passes.

    Args:
        run: what happened.
        way: how reverse passes are made, "compiled" or "torch"; None for the first that can be.

    Raises:
        ValueError: there is no such way.
        RuntimeError: the compiled one was asked for and cannot be taken.

    Attributes:
        run: what happened.
        way, why: how reverse passes are made, and why not in the compiled library, or None.
        route: the ways through its cell's step.
        matrix: by recurrent block, its rows of the weight, and of the bias or None.
    """

    def __init__(self, run: Run, way: str | None = None) -> None:
        if way not in (None, COMPILED, TORCH):
            raise ValueError(f'Adjoint: way="{way}", but there are "{COMPILED}" and "{TORCH}".')
        self.why = refusal(run)
        self.way = way or (TORCH if self.why else COMPILED)
        if self.way == COMPILED and self.why:
            raise RuntimeError(f'Adjoint: way="{COMPILED}" cannot be taken: {self.why}; take "{TORCH}".')
        self.run, self.route = run, route(run.cell)
        self.matrix = _block_matrices(run)
        self._matrices = [torch.stack([self.matrix[b][0] for b in group.blocks]) for group in self.route.groups]
        self._parts, self._stacks = self.route.parts(), self.route.stacks()
        needed = [*self._parts, *(part for stack in self._stacks for part in stack.parts)]
        self._needed = list(dict.fromkeys(needed))
        self._stretch: Coefficients | None = None

    def __repr__(self) -> str:
        T, B = self.run.input.shape[:2]
        ways = {COMPILED: "in the compiled library", TORCH: "by torch's operations"}
        way = ways[self.way] + (f": {self.why}" if self.why else "")
        return f"Adjoint({self.run.cell.name}, T={T}, B={B}, {way})"

    def keep(self) -> Tensor | None:
        """The memory's own factor from step to step, [T, B, H]: f in an LSTM, z in a GRU; None without a highway."""
        memory = self.run.cell.memory
        node = self.route.graph.states[memory]
        part = None if node.kind == "product" else dict(self.route.ways[node].old).get(memory)
        if part is None:
            return None
        found = torch.empty_like(self.run.states[memory])
        for start, stop in self.stretches():
            (found[start:stop],) = self.values([part], start, stop)
        return found

    @cached_property
    def gates(self) -> dict[str, Tensor]:
        """Gate values by name, [T, B, H]."""
        nodes = self.route.graph.gates
        shape = *self.run.input.shape[:2], self.hidden_size
        found = {name: self.run.input.new_empty(shape) for name in nodes}
        for start, stop in self.stretches():
            values = self.values(nodes.values(), start, stop)
            for name, value in zip(nodes, values, strict=True):
                found[name][start:stop] = value
        return found

    @property
    def paths(self) -> list[str]:
        """Labels of the ways on which a gradient comes to a state: the loss itself, the highway, a block's product."""
        return [READOUT, HIGHWAY, *self.route.graph.products]

    @property
    def hidden_size(self) -> int:
        return len(self.run.weights["weight_ih"]) // len(self.run.cell.gate_names)

    def jacobian(self, t: int, row: int) -> Tensor:
        """The dense one-step Jacobian d(states at t)/d(states before t) of one row, states in the cell's order."""
        step = Adjoint(self.run.one_step(t, row))
        names = self.run.cell.state_names
        sizes = [self.run.states[name].shape[-1] for name in names]
        identity = torch.eye(sum(sizes), dtype=self.run.input.dtype, device=self.run.input.device)
        seeds = dict(zip(names, (part[:, None] for part in identity.split(sizes, -1)), strict=True))
        pulled = step.pull(0, seeds)
        return torch.cat([pulled[name] for name in names], -1)[:, 0]

    def pull(self, t: int, seeds: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The transposed one-step Jacobian of step t, applied to C cotangents of every row at once.

        Args:
            t: a step, in the order of the run.
            seeds: by new state, [C, B, S]; every state is there.

        Returns:
            By old state, [C, B, S]: as if every row took the step from a state that is its own.
        """
        start = t // self.stretch_length * self.stretch_length
        stretch = self.coefficients(start, min(start + self.stretch_length, len(self.run.input)))
        return self.sweep(seeds, stretch.at(t - start), len(next(iter(seeds.values())))).passed

    @cached_property
    def stretch_length(self) -> int:
        """How many steps' coefficients are computed at once."""
        rows = self.run.input.shape[1]
        width = self.hidden_size * (len(self._needed) + sum(len(stack.parts) for stack in self._stacks))
        return max(1, AT_ONCE // max(1, rows * width))

    def stretches(self) -> Sequence[tuple[int, int]]:
        """Pieces of time from the beginning, (start, stop), in which coefficients are computed at once."""
        T, length = len(self.run.input), self.stretch_length
        return [(start, min(start + length, T)) for start in range(0, T, length)]

    def coefficients(self, start: int, stop: int) -> Coefficients:
        """The coefficients of steps start..stop; those that were asked for last are kept."""
        if self._stretch is None or (self._stretch.start, self._stretch.stop) != (start, stop):
            self._stretch = None  # lets go of the old ones before the new are made
            by_part = dict(zip(self._needed, self.values(self._needed, start, stop), strict=True))
            whole = {part: by_part[part] for part in self._parts}
            whole |= {stack: self._side_by_side(stack, by_part, stop - start) for stack in self._stacks}
            self._stretch = Coefficients(start, stop, whole)
        return self._stretch

    def coefficient(self, start: int, stop: int) -> Value:
        """A function that tells single coefficients of all steps start..stop, as `Coefficients.whole`, where rows take
        them; what nobody asks for is not computed."""

        @cache
        def value(part: Node | Stack) -> Tensor | float:
            if isinstance(part, Stack):
                by_part = dict(zip(part.parts, self.values(part.parts, start, stop, taken=True), strict=True))
                return self._side_by_side(part, by_part, stop - start)
            return self.values([part], start, stop, taken=True)[0]

        return value

    def sweep(
        self, seeds: Mapping[str, Tensor], value: Value, full: int, cuts: Cuts = (), **asked: bool
    ) -> Sweep:
        """Back through a step, or through many at once; see `Sweep`, whose arguments these are."""
        return Sweep(self.route, self._matrices, value, full, cuts, **asked).run(seeds)

    def _side_by_side(self, stack: Stack, by_part: Mapping[Node, Tensor | float], n: int) -> Tensor:
        """A stack's coefficients, [blocks, n, B, rows of a block]."""
        like = self.run.input
        shape = n, like.shape[1], self._matrices[stack.group].shape[1]
        return torch.stack([torch.as_tensor(by_part[part]).to(like).expand(shape) for part in stack.parts])

    def values(
        self, nodes: Iterable[Node], start: int, stop: int, *, taken: bool = False
    ) -> list[Tensor | float]:
        """Values of expressions at steps start..stop, [n, B, S] each, or what is the same for all of them.

        Args:
            nodes: expressions of the graph.
            start, stop: which steps, in the order of the run.
            taken: ask only about steps that rows take; elsewhere there may be anything. Otherwise there is what the
                step would have had.
        """
        nodes, kept = list(nodes), self.run.kept
        known: dict[Node, Tensor | float] = {}
        if self.way == COMPILED and (taken or kept.whole):
            there = [node for node in in_order(nodes, kept.nodes) if node in kept.nodes]
            known = {node: kept.value(node, start, stop) for node in there}
        needed = in_order(nodes, frozenset(known))
        known |= self._leaf_values({n.label[0] for n in needed if n.kind == "leaf"}, start, stop)
        return evaluate(nodes, known, self.multiply)

    def _leaf_values(self, kinds: set[str], start: int, stop: int) -> dict[Node, Tensor | float]:
        """Values of the step's leaves of some kinds."""
        run, graph, cell = self.run, self.route.graph, self.run.cell
        here, values = slice(start, stop), {}
        if "x" in kinds:
            parts = functional.linear(run.input[here], run.weights["weight_ih"], run.weights.get("bias_ih"))
            gates = cell.gate_names
            values |= {graph.x(gate): part for gate, part in zip(gates, parts.chunk(len(gates), -1), strict=True)}
        if "s" in kinds:
            values |= {graph.s(name): value for name, value in run.before(start, stop).items()}
        if "m" in kinds:
            masks = {name: run.masks[name] for name in cell.mask_names}
            values |= {graph.m(name): v[here] if isinstance(v, Tensor) else v for name, v in masks.items()}
        if "p" in kinds:
            vectors = run.weights["weight_p"].chunk(len(cell.vector_names))
            values |= {graph.p(name): part for name, part in zip(cell.vector_names, vectors, strict=True)}
        return values

    def multiply(self, node: Node, vector: Tensor) -> Tensor:
        """A recurrent product, as `evaluate` asks for it."""
        return functional.linear(vector, *self.matrix[node.label])


class Coefficients:
    """Coefficients of a stretch of steps.

    Attributes:
        start, stop: which steps.
    """

    def __init__(self, start: int, stop: int, whole: dict[Node | Stack, Tensor | float]) -> None:
        self.start, self.stop, self._whole = start, stop, whole
        self._each: dict[Node | Stack, Sequence] = {}

    def whole(self, part: Node | Stack) -> Tensor | float:
        """Of all the steps, [n, B, S], of a stack [blocks, n, B, S]; a number or [S] where all steps have the same."""
        return self._whole[part]

    def at(self, i: int) -> Value:
        """A function that tells the coefficients of the i-th of the steps: [B, S], of a stack [blocks, B, S]."""
        if not self._each:
            n = self.stop - self.start
            for part, value in self._whole.items():
                varies = isinstance(value, Tensor) and value.dim() >= 3
                self._each[part] = value.unbind(value.dim() - 3) if varies else (value,) * n
        each = self._each
        return lambda part: each[part][i]


def _block_matrices(run: Run) -> dict[str, tuple[Tensor, Tensor | None]]:
    """By block, its rows of the weight and of the bias."""
    found = {}
    for matrix in run.cell.recurrent:
        names = matrix.block_names
        bias = run.weights.get(f"bias_{matrix.name}")
        biases = bias.chunk(len(names)) if bias is not None else [None] * len(names)
        weights = run.weights[f"weight_{matrix.name}"].chunk(len(names))
        found |= {name: (weight, part) for name, weight, part in zip(names, weights, biases, strict=True)}
    return found

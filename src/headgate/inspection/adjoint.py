"""The exact gradient through time, and the split of it by path: one reverse pass over one layer and direction.

Between the new states of a step and its old ones stand only elementwise coefficients, computed for all steps at once,
the matrices, and, in a normalised cell, means over the units of a row. The reverse pass is linear in what it carries,
so the parts of a gradient can be carried side by side: the split by path is exact, and its parts sum to the whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor
from torch.nn import functional

from headgate.cells import Cell
from headgate.graph import Node, evaluate, linearise
from headgate.graph.expression import in_order

READOUT, HIGHWAY = "readout", "highway"
# Rows that every reverse pass carries: the total, and what the highway alone would bring. Behind them, one a path.
TOTAL_ROW, HIGHWAY_ROW, FIRST_PATH_ROW = 0, 1, 2


@dataclass(frozen=True)
class Run:
    """One layer and direction as it ran, its steps in the order in which they were run.

    Attributes:
        cell: the equations.
        weights: by the names of `Cell.parameter_shapes`.
        input: [T, B, I].
        initial: states before the first step, by name, [B, ...].
        states: states after each step, by name, [T, B, ...]; frozen where a row takes no step.
        active: rows that take each step, [T, B, 1] bool.
        fresh: rows whose state was restored to `initial` before a step, [T, B, 1] bool.
        masks: the cell's masks by state: as they were drawn, [T, B, ...], or their rates.
    """

    cell: Cell
    weights: Mapping[str, Tensor]
    input: Tensor
    initial: dict[str, Tensor]
    states: dict[str, Tensor]
    active: Tensor
    fresh: Tensor
    masks: Mapping[str, Tensor | float] = field(default_factory=dict)

    def before(self) -> dict[str, Tensor]:
        """The states that each step started from, by name, [T, B, ...]."""
        shifted = {n: torch.cat([self.initial[n][None], v[:-1]]) for n, v in self.states.items()}
        return {n: torch.where(self.fresh, self.initial[n], v) for n, v in shifted.items()}

    def one_step(self, t: int, row: int) -> Run:
        """Step t of one row as a run of its own."""
        here = slice(t, t + 1), slice(row, row + 1)
        return replace(
            self,
            input=self.input[here],
            initial={name: value[here][0] for name, value in self.before().items()},
            states={name: value[here] for name, value in self.states.items()},
            active=self.active[here],
            fresh=torch.zeros_like(self.fresh[here]),
            masks={name: value[here] if isinstance(value, Tensor) else value for name, value in self.masks.items()},
        )


@dataclass(frozen=True)
class Flow:
    """A gradient on its way back through a run.

    Attributes:
        total: dL/d(state) by state, [T, B, ...]: everything, not the local term alone; zero where no step was taken.
        initial: dL/d(initial state) by state, [B, ...].
        x: dL/d(W x + b), [T, B, G H].
        paths: by path, its part of dL/d(memory), [T, B, H]; they sum to `total[memory]`. A path is the highway (no
            matrix crossed between a step and the next), a gate (its recurrent matrix crossed), or the readout (the
            loss's own derivative at that step).
        highway: what the highway alone would bring to the memory if every gate path were cut, [T, B, H].
    """

    total: dict[str, Tensor]
    initial: dict[str, Tensor]
    x: Tensor
    paths: dict[str, Tensor]
    highway: Tensor


class Adjoint:
    """The coefficients of a run, ready for any number of reverse passes."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self._linear = linearise(run.cell)
        self._graph = graph = self._linear.graph
        self._states = {node: name for name, node in graph.states.items()}
        self._matrix = _block_matrices(run)
        ends = dict.fromkeys([*self._states, *graph.products.values(), *self._linear.means])
        self._order = [node for node in in_order(ends) if node in ends]
        self._linking = {node for node in self._order if set(self._states) & set(in_order([node])) - {node}}
        parts = dict.fromkeys(part for ends in self._linear.coefficient.values() for part in ends.values())
        values = self._leaf_values()
        self._value = dict(zip(parts, evaluate(parts, values, self._multiply), strict=True))
        self.gates = dict(zip(graph.gates, evaluate(graph.gates.values(), values, self._multiply), strict=True))

    def keep(self) -> Tensor | None:
        """The memory's own factor from step to step, [T, B, H]: f in an LSTM, z in a GRU; None without a highway."""
        memory = self.run.cell.memory
        node, leaf = self._graph.states[memory], self._graph.s(memory)
        if node.kind == "product" or leaf not in self._linear.coefficient[node]:
            return None
        value = self._value[self._linear.coefficient[node][leaf]]
        like = self.run.states[memory]
        return torch.as_tensor(value, dtype=like.dtype, device=like.device).expand_as(like)

    def flow(self, local: Mapping[str, Tensor], final: Mapping[str, Tensor], paths: bool = True) -> Flow:
        """One reverse pass.

        Args:
            local: by state, the loss's own derivative at each step, [T, B, ...]; ignored where no step is taken.
            final: by state, the loss's derivative with respect to each row's last state, [B, ...].
            paths: also split the memory's gradient by path and follow the highway alone.
        """
        run, names = self.run, self.run.cell.state_names
        labels = [READOUT, HIGHWAY, *self._graph.products] if paths else []
        rows = FIRST_PATH_ROW + len(labels) if paths else 1
        carried = {n: v.new_zeros(rows, *v.shape) for n, v in run.initial.items()}
        for name, value in final.items():
            carried[name][: FIRST_PATH_ROW + 1] += value
        total = {n: torch.zeros_like(v) for n, v in run.states.items()}
        split = run.states[run.cell.memory].new_zeros(rows, *run.states[run.cell.memory].shape)
        initial = {n: torch.zeros_like(v) for n, v in run.initial.items()}
        x = run.input.new_zeros(*run.input.shape[:2], run.weights["weight_ih"].shape[0])
        for t in reversed(range(len(run.input))):
            active, fresh = run.active[t], run.fresh[t]
            for name, value in local.items():
                # The readout's own row stands right behind the total and the highway, and starts with them.
                carried[name][: FIRST_PATH_ROW + 1] += value[t] * active
            totals, x_adjoint, leaves = self._sweep(carried, t)
            x[t] = x_adjoint[TOTAL_ROW] * active
            for name in names:
                total[name][t] = totals[name][TOTAL_ROW] * active
                passed = torch.where(active, _next_rows(leaves[name], labels, carried[name]), carried[name])
                initial[name] += passed[TOTAL_ROW] * fresh
                carried[name] = passed * ~fresh
            split[:, t] = totals[run.cell.memory] * active
        for name in names:
            initial[name] += carried[name][TOTAL_ROW]
        by_path = {label: split[FIRST_PATH_ROW + k] for k, label in enumerate(labels)}
        return Flow(total, initial, x, by_path, split[HIGHWAY_ROW] if paths else split[:0])

    def jacobian(self, t: int, row: int) -> Tensor:
        """The dense one-step Jacobian d(states at t)/d(states before t) of one row, states in the cell's order."""
        step = Adjoint(self.run.one_step(t, row))
        names = self.run.cell.state_names
        sizes = [self.run.states[name].shape[-1] for name in names]
        identity = torch.eye(sum(sizes), dtype=self.run.input.dtype, device=self.run.input.device)
        seeds = dict(zip(names, (part[:, None] for part in identity.split(sizes, -1)), strict=True))
        pulled = step.pull(0, seeds)
        return torch.cat([pulled[name] for name in names], -1)[:, 0]

    def pull(self, t: int, seeds: dict[str, Tensor]) -> dict[str, Tensor]:
        """The transposed one-step Jacobian of step t, applied to C cotangents of every row at once.

        Args:
            t: a step, in the order of the run.
            seeds: by new state, [C, B, S]; every state is there.

        Returns:
            By old state, [C, B, S]: as if every row took the step from a state that is its own.
        """
        _, _, leaves = self._sweep(seeds, t, narrow=None)
        return {n: sum(leaves[n].values()) if leaves[n] else torch.zeros_like(seed) for n, seed in seeds.items()}

    def _leaf_values(self) -> dict[Node, Tensor]:
        run, graph, gates = self.run, self._graph, self.run.cell.gate_names
        parts = functional.linear(run.input, run.weights["weight_ih"], run.weights.get("bias_ih"))
        values = {graph.x(gate): part for gate, part in zip(gates, parts.chunk(len(gates), -1), strict=True)}
        values |= {graph.s(name): value for name, value in run.before().items()}
        values |= {graph.m(name): run.masks[name] for name in run.cell.mask_names}
        if names := run.cell.vector_names:
            vectors = run.weights["weight_p"].chunk(len(names))
            values |= {graph.p(name): part for name, part in zip(names, vectors, strict=True)}
        return values

    def _multiply(self, node: Node, vector: Tensor) -> Tensor:
        return functional.linear(vector, *self._matrix[node.label])

    def _coefficients(self, node: Node, t: int) -> list[tuple[Node, Tensor | float]]:
        """d(node)/d(end) per unit at step t, for every end with a direct way to it."""
        found = []
        for end, part in self._linear.coefficient[node].items():
            value = self._value[part]
            found.append((end, value[t] if isinstance(value, Tensor) and value.dim() == 3 else value))
        return found

    def _sweep(
        self, seeds: dict[str, Tensor], t: int, narrow: int | None = FIRST_PATH_ROW
    ) -> tuple[dict[str, Tensor], Tensor, dict[str, dict[str, Tensor]]]:
        """Back through step t.

        Args:
            seeds: what comes to each new state from outside the step, [C, B, ...].
            narrow: how many of the C rows go on to the old states; the path rows need not, since a step's own paths
                start from the total. None for all.

        Returns:
            The new states' total adjoints [C, B, ...], those of W x + b [.., B, G H], and by old state and path what
            reaches it.
        """
        adjoint: dict[Node, Tensor] = {}
        leaves: dict[str, dict[str, Tensor]] = {name: {} for name in seeds}
        for name, seed in seeds.items():
            _add(adjoint, self._graph.states[name], seed)
        for node in reversed(self._order):
            if node not in adjoint:
                continue
            upstream = adjoint[node] if node in self._linking else adjoint[node][:narrow]
            points, label = (node,), HIGHWAY
            if node.kind == "product":
                upstream, points, label = upstream @ self._matrix[node.label][0], node.arguments, node.label
            elif node.kind == "mean":
                # As a matrix with 1/(n H) everywhere: no weight is crossed, so this is no gate's path.
                upstream, points = upstream.mean(-1, keepdim=True).expand_as(upstream), node.arguments
                upstream = upstream / len(points)
            for point in points:
                handed = point is not node and point in self._states
                for end, value in [(point, 1.0)] if handed else self._coefficients(point, t):
                    part = upstream * value
                    if end.kind == "leaf" and end.label[0] == "s":
                        part, home = part[:narrow], leaves[end.label[1]]
                        home[label] = home[label] + part if label in home else part
                    else:
                        _add(adjoint, end, part if end in self._states or end in self._linking else part[:narrow])
        totals = {name: adjoint[self._graph.states[name]] for name in seeds}
        some = next(iter(totals.values()))[:narrow]
        width = self.run.weights["weight_ih"].shape[0] // len(self.run.cell.gate_names)
        nothing = some.new_zeros(*some.shape[:-1], width)
        gates = [adjoint.get(self._graph.x(gate), nothing) for gate in self.run.cell.gate_names]
        return totals, torch.cat(gates, -1), leaves


def _add(adjoint: dict[Node, Tensor], node: Node, value: Tensor) -> None:
    adjoint[node] = adjoint[node] + value if node in adjoint else value


def _next_rows(leaf: dict[str, Tensor], labels: list[str], like: Tensor) -> Tensor:
    """What the step before receives for one state: its total, its highway, and its parts by path."""
    rows = torch.zeros_like(like)
    if leaf:
        rows[TOTAL_ROW] = sum(part[TOTAL_ROW] for part in leaf.values())
    if labels and HIGHWAY in leaf:
        rows[HIGHWAY_ROW] = leaf[HIGHWAY][HIGHWAY_ROW]
    for k, label in enumerate(labels):
        if label in leaf:
            rows[FIRST_PATH_ROW + k] = leaf[label][TOTAL_ROW]
    return rows


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

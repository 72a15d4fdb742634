"""The way back through a run: gradients of the steps by the compiled engine, those of the weights in large products."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from headgate.engines.cpu.buffers import pad_units, padded, without_padding
from headgate.engines.cpu.layout import backward_layout
from headgate.engines.cpu.products import Stacked, product, sum_products
from headgate.engines.cpu.run import Memory, Problem, kept_states, own_vectors, start
from headgate.engines.cpu.stock import from_stock
from headgate.engines.cpu.weights import packed
from headgate.graph.expression import Node


def run_back(
    problem: Problem,
    weights: Mapping[str, Tensor],
    x: Tensor,
    memory: Memory,
    d_states: list[Tensor | None],
    d_final: list[Tensor | None],
    wanted: set[str],
) -> dict[str, Tensor]:
    """Gradients with respect to what is wanted, by the names of the weights, "input" and "initial_<state>".

    Args:
        problem, weights, x: as in `run_forward`.
        memory: what it left.
        d_states: gradient of each state at every step, [N, S], or None for none.
        d_final: gradient of each row's final states, [B, S], or None for none.
        wanted: names of the gradients to find.
    """
    sizes, rows, names = problem.sizes, problem.rows, problem.sizes.cell.state_names
    x = x.contiguous()
    given = {f"y {name}": pad_units(d) for name, d in zip(names, d_states, strict=True) if d is not None}
    ends = [
        x.new_zeros(rows.B, padded(size)) if d is None else pad_units(d)
        for d, size in zip(d_final, sizes.states, strict=True)
    ]
    firsts = [torch.zeros_like(end) for end in ends]
    if rows.began < rows.B:
        for first, end in zip(firsts, ends, strict=True):
            first[rows.began :] = end[rows.began :]  # rows without a step pass on what they get
    vectors = len(sizes.cell.vector_names) * padded(sizes.H)
    buffers = memory.buffers | given | own_vectors(sizes, weights)
    buffers["columns"] = from_stock(rows.N, sizes.columns.width, dtype=x.dtype)
    buffers["carried"] = x.new_empty(rows.B, sizes.carried.width)
    buffers["sums"] = x.new_zeros(torch.get_num_threads(), vectors)
    for k, group in enumerate(sizes.program.groups):
        weight = weights[f"weight_{group.matrix.name}"]
        buffers[f"w {k}"], _ = packed(weight, None, sizes.rows_of(group), len(group.blocks), rows.N, back=True)
    states = kept_states(sizes, memory)
    between = [x.new_empty(2, *end.shape) for end in ends]
    for state, end, first, scratch in zip(states, ends, firsts, between, strict=True):
        state.d_final, state.d_initial, state.d_state = end.data_ptr(), first.data_ptr(), scratch.data_ptr()
    layout = backward_layout(sizes, frozenset(name.removeprefix("y ") for name in given))
    start(problem, layout, buffers, states, keep=True, back=True)
    each = zip(names, firsts, sizes.states, strict=True)
    found = {f"initial_{name}": without_padding(first, n) for name, first, n in each}
    return found | _Products(problem, buffers, memory).all(x, weights, wanted)


class _Products:
    """What follows from the columns of gradients in large products, after the loop."""

    def __init__(self, problem: Problem, buffers: Mapping[str, Tensor], memory: Memory) -> None:
        self.problem, self.buffers, self.memory = problem, buffers, memory

    def all(self, x: Tensor, weights: Mapping[str, Tensor], wanted: set[str]) -> dict[str, Tensor]:
        """The gradients of the input and of all weights, those that are wanted."""
        sizes = self.problem.sizes
        cell, back = sizes.cell, sizes.program.backward
        found: dict[str, Tensor] = {}
        gates = [back.x[gate] for gate in cell.gate_names]
        if "input" in wanted:
            found["input"] = product(self._side_by_side(gates), weights["weight_ih"], self.problem.products)
        # By the columns on their left side, so that several products share one reading of them.
        sides: dict[tuple[int, ...], list[tuple[str, int, Stacked]]] = {}
        if wanted & {"weight_ih", "bias_ih"}:
            sides[tuple(gates)] = [("ih", 0, Stacked(x))]
        for group in sizes.program.groups:
            name = group.matrix.name
            if wanted & {f"weight_{name}", f"bias_{name}"}:
                columns = tuple(back.blocks[block] for block in group.blocks)
                sides.setdefault(columns, []).append((name, group.first, self._vectors(group.argument)))
        found |= self._sums(sides)
        if "weight_p" in wanted:
            totals = self.buffers["sums"].sum(0).view(len(cell.vector_names), padded(sizes.H))
            found["weight_p"] = totals[:, : sizes.H].reshape(-1)
        return found

    def _sums(self, sides: Mapping[tuple[int, ...], list[tuple[str, int, Stacked]]]) -> dict[str, Tensor]:
        parts: dict[str, list[tuple[int, Tensor]]] = {}
        for columns, rights in sides.items():
            left, stacked = self._side_by_side(list(columns)), [right for _, _, right in rights]
            summed, total = sum_products(left, stacked, self.problem.products)
            for (name, first, _), own in zip(rights, summed, strict=True):
                parts.setdefault(f"weight_{name}", []).append((first, own))
                parts.setdefault(f"bias_{name}", []).append((first, total))
        in_order = {name: [value for _, value in sorted(own, key=lambda part: part[0])] for name, own in parts.items()}
        return {name: own[0] if len(own) == 1 else torch.cat(own) for name, own in in_order.items()}

    def _side_by_side(self, columns: list[int]) -> Tensor:
        """Columns of the gradients' buffer as one matrix [N, ...]: a view where they are neighbours without padding."""
        runs: list[list[int]] = []
        for column in columns:
            if runs and runs[-1][-1] + 1 == column:
                runs[-1].append(column)
            else:
                runs.append([column])
        buffer = self.buffers["columns"]
        views = [self.problem.sizes.columns.view(buffer, run[0], len(run)) for run in runs]
        return views[0] if len(views) == 1 else torch.cat(views, 1)

    def _vectors(self, argument: Node) -> Stacked:
        """What a product was applied to at every step, [N, ...]."""
        sizes, rows, memory = self.problem.sizes, self.problem.rows, self.memory
        if argument in sizes.kept_of:
            return Stacked(sizes.kept.view(self.buffers["kept"], sizes.kept_of[argument]))
        if argument.kind != "leaf":
            k = sizes.state_of[argument]
            return Stacked(without_padding(memory.new[k], sizes.states[k]))
        k = sizes.cell.state_names.index(argument.label[1])
        size = sizes.states[k]
        if rows.compose:
            return Stacked(without_padding(memory.old[k], size))
        began = without_padding(memory.initial[k][: rows.began], size)
        history = without_padding(memory.new[k], size)
        if rows.reverse:
            return Stacked(history[rows.B :], began) if rows.T else Stacked(history)
        before = history[: len(history) - len(began)] if rows.index is None else history.index_select(0, rows.before)
        return Stacked(began, before)

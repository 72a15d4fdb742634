"""The way back through a run: gradients of the steps by the compiled engine, those of the weights in large products."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from headgate.cells import Matrix
from headgate.engines.cpu.buffers import pad_units, padded
from headgate.engines.cpu.layout import backward_layout
from headgate.engines.cpu.run import Memory, Problem, kept_states, own_vectors, start
from headgate.engines.cpu.weights import pack
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
    given = {f"y {name}": pad_units(d) for name, d in zip(names, d_states, strict=True) if d is not None}
    ends = [
        x.new_zeros(rows.B, padded(n)) if d is None else pad_units(d) for d, n in zip(d_final, sizes.states, strict=True)
    ]
    firsts = [torch.zeros_like(end) for end in ends]
    began = int(rows.counts.max(initial=0))
    for first, end in zip(firsts, ends, strict=True):
        first[began:] = end[began:]  # rows without a step pass on what they get
    vectors = len(sizes.cell.vector_names) * padded(sizes.H)
    buffers = memory.buffers | given | own_vectors(sizes, weights)
    buffers["columns"] = x.new_empty(rows.N, sizes.columns.width)
    buffers["carried"] = x.new_empty(rows.B, sizes.carried.width)
    buffers["sums"] = x.new_zeros(torch.get_num_threads(), vectors)
    for k, group in enumerate(sizes.program.groups):
        weight = weights[f"weight_{group.matrix.name}"][sizes.rows_of(group)]
        buffers[f"w {k}"], _ = pack(weight, None, len(group.blocks), back=True)
    states = kept_states(sizes, memory)
    between = [x.new_empty(2, *end.shape) for end in ends]
    for state, end, first, scratch in zip(states, ends, firsts, between, strict=True):
        state.d_final, state.d_initial, state.d_state = end.data_ptr(), first.data_ptr(), scratch.data_ptr()
    layout = backward_layout(sizes, frozenset(name.removeprefix("y ") for name in given))
    start(problem, layout, buffers, states, keep=True, back=True)
    found = {f"initial_{name}": first[:, :n] for name, first, n in zip(names, firsts, sizes.states, strict=True)}
    return found | _Products(problem, buffers, memory).all(x, weights, wanted)


class _Products:
    """What follows from the columns of gradients in large products, after the loop."""

    def __init__(self, problem: Problem, buffers: Mapping[str, Tensor], memory: Memory) -> None:
        self.problem, self.buffers, self.memory = problem, buffers, memory

    def all(self, x: Tensor, weights: Mapping[str, Tensor], wanted: set[str]) -> dict[str, Tensor]:
        sizes = self.problem.sizes
        cell = sizes.cell
        found: dict[str, Tensor] = {}
        if wanted & {"input", "weight_ih", "bias_ih"}:
            d_x = self._side_by_side([sizes.program.backward.x[gate] for gate in cell.gate_names])
            if "input" in wanted:
                found["input"] = d_x @ weights["weight_ih"]
            if "weight_ih" in wanted:
                found["weight_ih"] = d_x.T @ x
            if "bias_ih" in wanted:
                found["bias_ih"] = d_x.sum(0)
        for matrix in cell.recurrent:
            found |= self._of_matrix(matrix, wanted)
        if "weight_p" in wanted:
            sums = self.buffers["sums"].sum(0).view(len(cell.vector_names), padded(sizes.H))
            found["weight_p"] = sums[:, : sizes.H].reshape(-1)
        return found

    def _of_matrix(self, matrix: Matrix, wanted: set[str]) -> dict[str, Tensor]:
        weight, bias = f"weight_{matrix.name}", f"bias_{matrix.name}"
        steps = self.problem.sizes.program
        own = sorted((group for group in steps.groups if group.matrix.name == matrix.name), key=lambda g: g.first)
        found: dict[str, Tensor] = {}
        if wanted & {weight, bias}:
            parts = [(self._side_by_side([steps.backward.blocks[b] for b in g.blocks]), g.argument) for g in own]
            if weight in wanted:
                found[weight] = torch.cat([self._times_argument(d, argument) for d, argument in parts])
            if bias in wanted:
                found[bias] = torch.cat([d.sum(0) for d, _ in parts])
        return found

    def _side_by_side(self, columns: list[int]) -> Tensor:
        """Columns as one matrix [N, ...]: a view where they are neighbours without padding."""
        runs: list[list[int]] = []
        for column in columns:
            if runs and runs[-1][-1] + 1 == column:
                runs[-1].append(column)
            else:
                runs.append([column])
        views = [self.problem.sizes.columns.view(self.buffers["columns"], run[0], len(run)) for run in runs]
        return views[0] if len(views) == 1 else torch.cat(views, 1)

    def _times_argument(self, columns: Tensor, argument: Node) -> Tensor:
        """Sum over all steps of the columns' transpose times the vector that the product was applied to."""
        sizes, rows, memory = self.problem.sizes, self.problem.rows, self.memory
        if argument in sizes.kept_of:
            return columns.T @ sizes.kept.view(self.buffers["kept"], sizes.kept_of[argument])
        if argument.kind != "leaf":
            k = sizes.state_of[argument]
            return columns.T @ memory.new[k][:, : sizes.states[k]]
        k = sizes.cell.state_names.index(argument.label[1])
        size = sizes.states[k]
        if rows.compose:
            return columns.T @ memory.old[k][:, :size]
        if rows.T == 0:
            return columns.T @ columns.new_zeros(0, size)
        first, rest = rows.first_run(columns)
        result = first.T @ memory.initial[k][: len(first), :size]
        if rows.T > 1:
            history = memory.new[k][:, :size]
            before = rows.shifted(history) if rows.index is None else history.index_select(0, rows.before)
            result.addmm_(rest.T, before)
        return result

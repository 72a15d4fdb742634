"""The way back through a run: gradients of the steps by the compiled engine, those of the weights in large products."""

from __future__ import annotations

import torch
from torch import Tensor

from headgate.engines.cpu import library
from headgate.engines.cpu.buffers import pad_units, padded
from headgate.engines.cpu.passes import Assembly, Operand, place
from headgate.engines.cpu.run import Memory, Place, Runner
from headgate.engines.cpu.weights import pack
from headgate.graph.expression import Node
from headgate.graph.program import Pass, Store


class BackwardRunner(Runner):
    """Runs the way back of what a `Runner` did."""

    def backward(
        self, x: Tensor, memory: Memory, d_states: list[Tensor | None], d_final: list[Tensor | None], wanted: set[str]
    ) -> dict[str, Tensor]:
        """Gradients with respect to what is wanted, by the names of the weights, "input" and "initial_<state>".

        Args:
            x: packed input, [N, I].
            memory: what the forward run left.
            d_states: gradient of each state at every step, [N, S], or None for none.
            d_final: gradient of each row's final states, [B, S], or None for none.
            wanted: names of the gradients to find.
        """
        problem, dtype, rows = self.problem, self.problem.dtype, self.problem.rows
        sizes = problem.state_sizes
        self._d_states = [None if d is None else pad_units(d.to(dtype)) for d in d_states]
        ends = [
            torch.zeros(rows.B, padded(n), dtype=dtype) if d is None else pad_units(d.to(dtype))
            for d, n in zip(d_final, sizes, strict=True)
        ]
        began = int(rows.counts.max(initial=0))
        firsts = [torch.zeros_like(end) for end in ends]
        for first, end in zip(firsts, ends, strict=True):
            first[began:] = end[began:]  # rows without a step pass on what they get
        self._columns = torch.empty(rows.N, problem.columns.width, dtype=dtype)
        self._carried = torch.empty(rows.B, problem.carried.width, dtype=dtype)
        names = problem.cell.vector_names
        self._sums = torch.zeros(torch.get_num_threads(), len(names) * padded(problem.H), dtype=dtype)
        self._zeros = torch.zeros(max(map(padded, problem.sizes.values())), dtype=dtype)
        self._start_back(memory, ends, firsts)
        return self._collect(x, memory, firsts, wanted)

    def _start_back(self, memory: Memory, ends: list[Tensor], firsts: list[Tensor]) -> None:
        problem, steps = self.problem, self.program.backward
        assembly = Assembly(problem.dtype, problem.sizes, self._points("backward"))
        weight_bytes = 0
        operands = {}
        for k, group in enumerate(self.program.groups):
            weight = problem.block_rows(group, self.weights[f"weight_{group.matrix.name}"])
            packed, _ = pack(weight, None, len(group.blocks), back=True)
            weight_bytes += packed.nbytes
            columns = [steps.blocks[block] for block in group.blocks]
            segments = [(problem.columns.start[c], problem.columns.sizes[c]) for c in columns]
            vector = place(library.PACKED, self._columns, stride=problem.columns.width)
            operands[k] = Operand(vector, segments, 1, packed, None)
        multiplied = set(steps.blocks.values())
        passes = assembly.passes(
            steps.passes,
            operands,
            lambda node, item: self._read_back(node, item, memory),
            self._target_back,
            lambda item: any(store.kind == "column" and store.key in multiplied for store in item.stores),
        )
        states = self._states(memory, [True] * len(ends))
        scratch = []
        for state, end, first in zip(states, ends, firsts, strict=True):
            scratch.append(torch.empty(2, *end.shape, dtype=problem.dtype))
            state.d_final, state.d_initial = end.data_ptr(), first.data_ptr()
            state.d_state = scratch[-1].data_ptr()
        self._run(assembly, passes, states, weight_bytes, keep=True, back=True)

    def _target_back(self, store: Store) -> Place:
        problem = self.problem
        match store.kind:
            case "column":
                start = problem.columns.start[store.key]
                return place(library.PACKED, self._columns, start, stride=problem.columns.width)
            case "earlier":
                return place(library.EARLIER, index=problem.cell.state_names.index(store.key))
            case "carried":
                start = problem.carried.start[store.key]
                return place(library.SCRATCH, self._carried, start, stride=problem.carried.width)
            case "sum":
                start = problem.cell.vector_names.index(store.key) * padded(problem.H)
                return place(library.ROWLESS, self._sums, start, stride=self._sums.shape[1])
        raise AssertionError(store.kind)

    def _read_back(self, node: Node, item: Pass, memory: Memory) -> Place:
        problem, cell, steps = self.problem, self.problem.cell, self.program.backward
        if node.kind == "leaf":
            namespace, name = node.label
            if namespace == "d":
                return place(library.LATER, index=cell.state_names.index(name))
            if namespace == "y":
                given = self._d_states[cell.state_names.index(name)]
                if given is None:
                    return place(library.ROWLESS, self._zeros)
                return place(library.PACKED, given, stride=given.shape[1])
            if namespace == "dv" and name in item.products:
                return place(library.PRODUCT, index=item.products.index(name))
        if node in steps.carried:
            start = problem.carried.start[steps.carried.index(node)]
            return place(library.SCRATCH, self._carried, start, stride=problem.carried.width)
        if node in steps.columns and node not in problem.kept_of:
            start = problem.columns.start[steps.columns.index(node)]
            return place(library.PACKED, self._columns, start, stride=problem.columns.width)
        for other in steps.passes:
            for store in other.stores:
                if store.kind == "earlier" and store.value is node and other.level < item.level:
                    return place(library.EARLIER, index=cell.state_names.index(store.key))
        return self._value(node, memory)

    # --- what follows from the columns --------------------------------------------------------------------------

    def _collect(self, x: Tensor, memory: Memory, firsts: list[Tensor], wanted: set[str]) -> dict[str, Tensor]:
        problem, cell = self.problem, self.problem.cell
        found: dict[str, Tensor] = {}
        gates = [self.program.backward.x[gate] for gate in cell.gate_names]
        if wanted & {"input", "weight_ih", "bias_ih"}:
            d_x = self._side_by_side(gates)
            if "input" in wanted:
                found["input"] = d_x @ self.weights["weight_ih"].detach()
            if "weight_ih" in wanted:
                found["weight_ih"] = d_x.T @ x.detach()
            if "bias_ih" in wanted:
                found["bias_ih"] = d_x.sum(0)
        for matrix in cell.recurrent:
            self._of_matrix(matrix, memory, wanted, found)
        if "weight_p" in wanted:
            sums = self._sums.sum(0).view(len(cell.vector_names), padded(problem.H))
            found["weight_p"] = sums[:, : problem.H].reshape(-1)
        for name, first, size in zip(cell.state_names, firsts, problem.state_sizes, strict=True):
            found[f"initial_{name}"] = first[:, :size]
        return found

    def _of_matrix(self, matrix, memory: Memory, wanted: set[str], found: dict[str, Tensor]) -> None:
        weight, bias = f"weight_{matrix.name}", f"bias_{matrix.name}"
        if not wanted & {weight, bias}:
            return
        parts = []
        for group in self.program.groups:
            if group.matrix.name == matrix.name:
                columns = self._side_by_side([self.program.backward.blocks[block] for block in group.blocks])
                parts.append((group.first, columns, group.argument))
        parts.sort(key=lambda part: part[0])
        if weight in wanted:
            found[weight] = torch.cat([self._times_argument(d, argument, memory) for _, d, argument in parts])
        if bias in wanted:
            found[bias] = torch.cat([d.sum(0) for _, d, _ in parts])

    def _side_by_side(self, columns: list[int]) -> Tensor:
        """Columns as one matrix [N, ...]: a view where they are neighbours without padding."""
        runs: list[list[int]] = []
        for column in columns:
            runs.append([*runs.pop(), column]) if runs and runs[-1][-1] + 1 == column else runs.append([column])
        views = [self.problem.columns.view(self._columns, run[0], len(run)) for run in runs]
        return views[0] if len(views) == 1 else torch.cat(views, 1)

    def _times_argument(self, columns: Tensor, argument: Node, memory: Memory) -> Tensor:
        """Sum over all steps of columns' transpose times the vector that the product was applied to."""
        problem, rows = self.problem, self.problem.rows
        if argument in problem.kept_of:
            return columns.T @ problem.kept.view(memory.kept, problem.kept_of[argument])
        if argument.kind != "leaf":
            k = problem.state_of[argument]
            return columns.T @ memory.new[k][:, : problem.state_sizes[k]]
        k = problem.cell.state_names.index(argument.label[1])
        size = problem.state_sizes[k]
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


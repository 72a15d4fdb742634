"""One run of the compiled engine, forward and back, over packed rows."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from headgate.cells import Cell
from headgate.engines.cpu import library
from headgate.engines.cpu.buffers import Columns, pad_units, padded, with_slack
from headgate.engines.cpu.passes import Assembly, Operand, place
from headgate.engines.cpu.printed import point_of
from headgate.engines.cpu.rows import Rows
from headgate.engines.cpu.weights import pack
from headgate.graph.expression import Node
from headgate.graph.program import Pass, Program, Store, program
from headgate.graph.trace import Group

Place = library.Place


@dataclass(frozen=True)
class Problem:
    """What is run, beside the numbers.

    Attributes:
        cell, rows: equations and steps.
        H, O: hidden and output units.
        dtype: that is computed in.
        keep: whether a way back may follow.
        all_states: every state is wanted at every step.
    """

    cell: Cell
    rows: Rows
    H: int
    O: int  # noqa: E741 - the field's letter
    dtype: torch.dtype
    keep: bool
    all_states: bool
    split: int = 0

    @cached_property
    def program(self) -> Program:
        return program(self.cell)

    @property
    def sizes(self) -> dict[str, int]:
        return {"H": self.H, "O": self.O}

    def size(self, node: Node) -> int:
        return self.sizes[self.program.space(node)]

    @cached_property
    def state_sizes(self) -> list[int]:
        return [self.cell.state_size(name, self.H, self.O) for name in self.cell.state_names]

    @cached_property
    def kept(self) -> Columns:
        return Columns([self.size(node) for node in self.program.forward.kept])

    @cached_property
    def columns(self) -> Columns:
        return Columns([self.size(node) for node in self.program.backward.columns])

    @cached_property
    def carried(self) -> Columns:
        return Columns([self.size(node) for node in self.program.backward.carried])

    @cached_property
    def state_of(self) -> dict[Node, int]:
        return {node: k for k, node in reversed(list(enumerate(self.program.graph.states.values())))}

    @cached_property
    def kept_of(self) -> dict[Node, int]:
        return {node: k for k, node in enumerate(self.program.forward.kept)}

    def argument_size(self, group: Group) -> int:
        return self.sizes[group.matrix.columns]

    def block_rows(self, group: Group, weight: Tensor) -> Tensor:
        """The rows of a matrix, or of its bias, that belong to a group."""
        size = self.sizes[group.matrix.rows]
        return weight[group.first * size : (group.first + len(group.blocks)) * size]


@dataclass
class Memory:
    """What a forward run leaves behind.

    Attributes:
        x: input parts of the gates, [N, G H], where the way back reads them, else None.
        kept: values kept for later, [N, ...] (or [B, ...] where nothing comes back).
        new: each state after every step, [N, S padded] (the output may be without padding), or the last two.
        old: each state before every step where they had to be put together, or None.
        initial: each state before the first step, [B, S padded].
        final: each row's states after its last step, [B, S padded].
    """

    x: Tensor | None
    kept: Tensor
    new: list[Tensor]
    old: list[Tensor | None]
    initial: list[Tensor]
    final: list[Tensor]


class Runner:
    """Builds and starts runs of one problem with one set of weights."""

    def __init__(self, problem: Problem, weights: Mapping[str, Tensor]) -> None:
        self.problem, self.weights = problem, weights
        self.program = problem.program
        names = problem.cell.vector_names
        if names:
            self.vectors = pad_units(weights["weight_p"].detach().view(len(names), problem.H))

    # --- forward ------------------------------------------------------------------------------------------------

    def forward(self, x: Tensor, initial: list[Tensor]) -> Memory:
        """Run all steps.

        Args:
            x: packed input, [N, I].
            initial: states before the first step, [B, S] each, in the order of the rows.
        """
        problem, rows, dtype = self.problem, self.problem.rows, self.problem.dtype
        first = [pad_units(value.detach().to(dtype)) for value in initial]
        n = rows.N if problem.keep else rows.B
        keep_state = [k == 0 or problem.keep or problem.all_states for k in range(len(first))]
        x = x.detach().contiguous()
        memory = Memory(
            self._input_parts(x) if self.program.backward.reads_x else None,
            torch.empty(n, problem.kept.width, dtype=dtype),
            [
                torch.empty(rows.N if keep else 2 * rows.B, padded(size), dtype=dtype)
                for keep, size in zip(keep_state, problem.state_sizes, strict=True)
            ],
            [torch.empty(n, padded(size), dtype=dtype) if rows.compose else None for size in problem.state_sizes],
            first,
            [value.clone() for value in first],
        )
        self._start(x, memory, keep_state)
        return memory

    def _input_parts(self, x: Tensor) -> Tensor:
        """All of them at once, for cells whose way back reads them; the engine makes them some steps ahead otherwise."""
        weight, bias = self.weights["weight_ih"].detach(), self.weights.get("bias_ih")
        parts = with_slack(len(x), len(weight), x.dtype)
        if bias is None:
            return torch.mm(x, weight.T, out=parts)
        return torch.addmm(bias.detach(), x, weight.T, out=parts)

    def _input_product(self, x: Tensor) -> Operand:
        packed, bias = pack(self.weights["weight_ih"], self.weights.get("bias_ih"), len(self.problem.cell.gate_names))
        vector = place(library.PACKED, x, stride=x.shape[1])
        return Operand(vector, [(0, x.shape[1])], len(self.problem.cell.gate_names), packed, bias)

    def _start(self, x: Tensor, memory: Memory, keep_state: list[bool]) -> None:
        problem, steps = self.problem, self.program.forward
        assembly = Assembly(problem.dtype, problem.sizes, self._points("forward"))
        weight_bytes = 0
        operands = {}
        for k, group in enumerate(self.program.groups):
            name = group.matrix.name
            bias = self.weights.get(f"bias_{name}")
            packed, packed_bias = pack(
                problem.block_rows(group, self.weights[f"weight_{name}"]),
                None if bias is None else problem.block_rows(group, bias),
                len(group.blocks),
            )
            weight_bytes += packed.nbytes
            vector = self._value(group.argument, memory)
            segments = [(0, problem.argument_size(group))]
            operands[k] = Operand(vector, segments, len(group.blocks), packed, packed_bias)
        arguments = {group.argument for group in self.program.groups}
        fed_back = {node.label[1] for node in arguments if node.kind == "leaf"}

        def target(store: Store) -> Place:
            if store.kind == "state":
                return place(library.NEW_STATE, index=problem.cell.state_names.index(store.key))
            return self._kept(store.key, memory)

        def barrier(item: Pass) -> bool:
            shared = any(s.value in arguments or (s.kind == "state" and s.key in fed_back) for s in item.stores)
            return shared or item is steps.passes[-1]

        passes = assembly.passes(
            steps.passes, operands, lambda node, item: self._read(node, item, memory), target, barrier
        )
        states = self._states(memory, keep_state)
        ahead = None if memory.x is not None else assembly.product(self._input_product(x))
        self._run(assembly, passes, states, weight_bytes, keep=problem.keep, back=False, input=ahead)

    def _points(self, way: str):
        return lambda k: point_of(self.problem.cell, way, k, self.problem.dtype)

    def _read(self, node: Node, item: Pass, memory: Memory) -> Place:
        """Where a forward pass finds a value."""
        if node.kind == "product":
            for index, k in enumerate(item.products):
                group = self.program.groups[k]
                if node.label in group.blocks and node is self.program.graph.products[node.label]:
                    return place(library.PRODUCT, index=index, block=group.blocks.index(node.label))
        return self._value(node, memory)

    def _value(self, node: Node, memory: Memory) -> Place:
        """Where a value of the forward step lies, once it is there."""
        problem, cell = self.problem, self.problem.cell
        if node in problem.kept_of:
            return self._kept(problem.kept_of[node], memory)
        if node.kind == "leaf":
            namespace, name = node.label
            if namespace == "x" and memory.x is None:
                return place(library.INPUT, block=cell.gate_names.index(name))
            if namespace == "x":
                column = cell.gate_names.index(name) * problem.H
                return place(library.PACKED, memory.x, column, stride=memory.x.shape[1])
            if namespace == "s":
                return place(library.OLD_STATE, index=cell.state_names.index(name))
            if namespace == "p":
                return place(library.ROWLESS, self.vectors, cell.vector_names.index(name) * padded(problem.H))
        return place(library.NEW_STATE, index=problem.state_of[node])

    def _kept(self, k: int, memory: Memory) -> Place:
        where = library.PACKED if self.problem.keep else library.SCRATCH
        return place(where, memory.kept, self.problem.kept.start[k], stride=self.problem.kept.width)

    def _states(self, memory: Memory, keep_state: list[bool]) -> list[library.State]:
        return [
            library.State(
                padded(size),
                first.data_ptr(),
                None if old is None else old.data_ptr(),
                new.data_ptr(),
                new.shape[1],
                int(keep),
                0,
                final.data_ptr(),
            )
            for size, first, old, new, keep, final in zip(
                self.problem.state_sizes, memory.initial, memory.old, memory.new, keep_state, memory.final, strict=True
            )
        ]

    def _run(
        self, assembly: Assembly, passes: ctypes.Array, states: list[library.State], weight_bytes: int, *, keep, back, input=None
    ) -> None:
        rows = self.problem.rows
        held = (library.State * len(states))(*states)
        run = library.Run(
            rows.T,
            rows.B,
            rows.offset.ctypes.data,
            rows.counts.ctypes.data,
            None if rows.fresh is None else rows.fresh.data_ptr(),
            int(rows.reverse != back),
            int(back),
            int(keep),
            int(rows.compose),
            len(states),
            len(passes),
            held,
            passes,
            input,
            padded(self.problem.H),
            torch.get_num_threads(),
            self.problem.split,
            weight_bytes,
        )
        library.entry("hg_run", self.problem.dtype)(ctypes.byref(run))

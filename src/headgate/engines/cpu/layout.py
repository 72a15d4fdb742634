"""A program's passes as the compiled engine reads them: where every value lies. Made once a size, not once a call."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any

import torch

from headgate.cells import Cell
from headgate.engines.cpu import structures
from headgate.engines.cpu.buffers import Columns, padded
from headgate.engines.cpu.printed import point_of
from headgate.engines.cpu.structures import Place, Product
from headgate.graph.expression import Node
from headgate.graph.program import Backward, Pass, Program, Store, is_old_state, program
from headgate.graph.trace import Group
from headgate.graph.units import stands_once
from headgate.reference.masks import limit


@dataclass(frozen=True, eq=False)
class Sizes:
    """What a layout depends on: a cell, input, hidden and output units, a number type.

    Attributes:
        keep: whether values are kept for a way back.
        drawn: whether masks are drawn; otherwise they are their rates.
        brief: whether functions are made to four digits, as `library.is_brief` says.
    """

    cell: Cell
    I: int  # noqa: E741 - the field's letters
    H: int
    O: int  # noqa: E741
    dtype: torch.dtype
    keep: bool
    drawn: bool = False
    brief: bool = False

    @cached_property
    def program(self) -> Program:
        return program(self.cell)

    def of_space(self, space: str) -> int:
        return self.H if space == "H" else self.O

    def of(self, node: Node) -> int:
        return self.of_space(self.program.space(node))

    def stored(self, node: Node) -> int:
        """How many values of a row are kept."""
        return 1 if stands_once(node) else self.of(node)

    @cached_property
    def states(self) -> list[int]:
        return [self.cell.state_size(name, self.H, self.O) for name in self.cell.state_names]

    @cached_property
    def kept(self) -> Columns:
        return Columns([self.stored(node) for node in self.program.forward.kept])

    @cached_property
    def columns(self) -> Columns:
        return self.columns_of(self.program.backward)

    @cached_property
    def carried(self) -> Columns:
        return self.carried_of(self.program.backward)

    def columns_of(self, steps: Backward) -> Columns:
        return Columns([self.of(node) for node in steps.columns])

    def carried_of(self, steps: Backward) -> Columns:
        return Columns([self.stored(node) for node in steps.carried])

    @cached_property
    def kept_of(self) -> dict[Node, int]:
        return {node: k for k, node in enumerate(self.program.forward.kept)}

    @cached_property
    def state_of(self) -> dict[Node, int]:
        return {node: k for k, node in reversed(list(enumerate(self.program.graph.states.values())))}

    def rows_of(self, group: Group) -> slice:
        """The rows of its matrix, or of the bias, that belong to a group."""
        size = self.of_space(group.matrix.rows)
        return slice(group.first * size, (group.first + len(group.blocks)) * size)


@cache
def sizes_of(*arguments: Any) -> Sizes:
    """The one `Sizes` of these arguments, which keeps what was derived from them."""
    return Sizes(*arguments)


@dataclass
class Layout:
    """Passes in C, and which buffers they expect.

    Attributes:
        sizes: what they are for.
        buffers: names of the buffers, in order. "x" the input; "parts" its products, where they are made beforehand;
            "kept", "columns", "carried", "sums" as in `Columns`; "p" the per-unit parameters; "rates" of the masks;
            "zeros"; "y <state>" the gradient of a state at every step; "w <k>", "b <k>" a group's packed weights and
            bias, "w input", "b input".
        passes: C structures.
        input: the input product in C, or None.
        masks: those to be drawn, in C.
        means: how many are taken in a step.
    """

    sizes: Sizes
    buffers: list[str] = field(default_factory=lambda: ["zeros"])
    passes: Any = None
    input: Any = None
    means: int = 0
    _alive: list[Any] = field(default_factory=list)

    @cached_property
    def masks(self) -> ctypes.Array:
        cell = self.sizes.cell
        drawn = cell.mask_names if self.sizes.drawn else ()
        return (structures.Mask * len(drawn))(*((cell.state_names.index(n), limit(cell.rates[n])) for n in drawn))

    @cached_property
    def recurrent(self) -> list[int]:
        """Which of the buffers are the recurrent weights, packed."""
        return [k for k, name in enumerate(self.buffers) if name.startswith("w ") and name != "w input"]

    def buffer(self, name: str) -> int:
        if name not in self.buffers:
            self.buffers.append(name)
        return self.buffers.index(name)

    def place(
        self, where: int, buffer: str = "zeros", start: int = 0, *, stride=0, index=0, block=0, once=False
    ) -> Place:
        return Place(where, index, block, self.buffer(buffer), start, stride, int(once))

    def columns(self, where: int, name: str, columns: Columns, k: int, once: bool = False) -> Place:
        return self.place(where, name, columns.start[k], stride=columns.width, once=once)

    def mean(self, node: Node, k: int) -> Place:
        """The k-th mean of a step: what it adds up, or that divided by how many values they are."""
        return self.place(structures.MEAN, start=len(node.arguments) * self.sizes.of(node), index=k)

    def array(self, kind: type, values: list) -> ctypes.Array:
        made = (kind * len(values))(*values)
        self._alive.append(made)
        return made

    def product(self, vector: Place, segments: list[tuple[int, int]], blocks: int, name: str, bias: bool) -> Product:
        start = self.array(ctypes.c_int64, [a for a, _ in segments])
        length = self.array(ctypes.c_int64, [n for _, n in segments])
        packed = self.buffer(f"w {name}")
        return Product(vector, len(segments), blocks, start, length, packed, self.buffer(f"b {name}") if bias else -1)

    def set_passes(self, way: str, items: tuple[Pass, ...], products, read, target, barrier) -> None:
        """Fill in the passes, given functions that tell a product, a read value's place, a store's place, a barrier."""
        found = []
        for k, item in enumerate(items):
            made = self.array(Product, [products(g) for g in item.products])
            inputs = self.array(Place, [read(node, item) for node in item.reads])
            outputs = self.array(Place, [target(store) for store in item.stores])
            size = self.sizes.of_space(item.space)
            # What a row has once is one thread's to store, and all threads' to read.
            shared = any(store.kind == "mean" or store.once for store in item.stores)
            counts = len(made), len(inputs), len(outputs), int(shared or barrier(item))
            point = point_of(self.sizes.cell, way, k, self.sizes.dtype, brief=self.sizes.brief)
            found.append(structures.Pass(point, padded(size), size, *counts, made, inputs, outputs))
        self.passes = self.array(structures.Pass, found)

    # --- values on the way back ------------------------------------------------------------------------------------

    def made_on_the_way(self, steps: Backward, node: Node, item: Pass, columns: int) -> Place:
        """Where a value that the way back reads lies: its own, stored before, or the forward step's.

        Args:
            steps: the way back.
            node, item: the value and the pass that reads it.
            columns: the kind of place where columns are.
        """
        sizes = self.sizes
        if node in item.means:
            return self.mean(node, steps.means.index(node))
        if node in steps.carried:
            k = steps.carried.index(node)
            return self.columns(structures.SCRATCH, "carried", sizes.carried_of(steps), k, stands_once(node))
        if node in steps.columns and node not in sizes.kept_of:
            return self.columns(columns, "columns", sizes.columns_of(steps), steps.columns.index(node))
        stored = ((item.level, store) for item in steps.passes for store in item.stores if store.kind == "earlier")
        for level, store in stored:
            if store.value is node and level < item.level:
                return self.place(structures.EARLIER, index=sizes.cell.state_names.index(store.key))
        return self.value(node)

    def found_on_the_way(self, steps: Backward, store: Store, columns: int) -> Place:
        """Where the way back puts what it finds; `columns` is the kind of place where columns are."""
        sizes = self.sizes
        match store.kind:
            case "column":
                return self.columns(columns, "columns", sizes.columns_of(steps), store.key)
            case "earlier":
                return self.place(structures.EARLIER, index=sizes.cell.state_names.index(store.key))
            case "carried":
                return self.columns(structures.SCRATCH, "carried", sizes.carried_of(steps), store.key, store.once)
            case "mean":
                return self.mean(steps.means[store.key], store.key)
        width = padded(sizes.H)
        start = sizes.cell.vector_names.index(store.key) * width
        return self.place(structures.ROWLESS, "sums", start, stride=len(sizes.cell.vector_names) * width)

    # --- values of the forward step -------------------------------------------------------------------------------

    def value(self, node: Node) -> Place:
        """Where a value of the forward step lies, once it is there."""
        if node in self.sizes.kept_of:
            return self.kept(self.sizes.kept_of[node])
        return self.source(node)

    def source(self, node: Node) -> Place:
        """Where a value comes from that nobody had to keep."""
        sizes, cell = self.sizes, self.sizes.cell
        if node.kind != "leaf":
            return self.place(structures.NEW_STATE, index=sizes.state_of[node])
        namespace, name = node.label
        if namespace == "s":
            return self.place(structures.OLD_STATE, index=cell.state_names.index(name))
        if namespace == "p":
            return self.place(structures.ROWLESS, "p", cell.vector_names.index(name) * padded(sizes.H))
        if namespace == "m" and sizes.drawn:
            return self.place(structures.MASK, index=cell.mask_names.index(name))
        if namespace == "m":
            return self.place(structures.ROWLESS, "rates", cell.mask_names.index(name) * padded(max(sizes.states)))
        gate = cell.gate_names.index(name)
        if sizes.program.backward.reads_x:
            return self.place(structures.PACKED, "parts", gate * sizes.H, stride=len(cell.gate_names) * sizes.H)
        return self.place(structures.INPUT, block=gate)

    def kept(self, k: int) -> Place:
        where = structures.PACKED if self.sizes.keep else structures.SCRATCH
        return self.columns(where, "kept", self.sizes.kept, k, stands_once(self.sizes.program.forward.kept[k]))


@cache
def forward_layout(sizes: Sizes, biases: frozenset[str]) -> Layout:
    """The way forward; `biases` names the weights that have one."""
    layout, steps = Layout(sizes, means=len(sizes.program.forward.means)), sizes.program
    arguments = {group.argument for group in steps.groups}
    fed_back = {node.label[1] for node in arguments if is_old_state(node)}

    def product(k: int) -> Product:
        group = steps.groups[k]
        segments = [(0, sizes.of_space(group.matrix.columns))]
        bias = f"bias_{group.matrix.name}" in biases
        return layout.product(layout.value(group.argument), segments, len(group.blocks), str(k), bias)

    def read(node: Node, item: Pass) -> Place:
        if node.kind == "product":
            for index, k in enumerate(item.products):
                if node.label in steps.groups[k].blocks:
                    return layout.place(structures.PRODUCT, index=index, block=steps.groups[k].blocks.index(node.label))
        if node in item.means:
            return layout.mean(node, steps.forward.means.index(node))
        kept_here = any(store.kind == "kept" and store.value is node for store in item.stores)
        return layout.source(node) if kept_here else layout.value(node)

    def target(store: Store) -> Place:
        if store.kind == "state":
            return layout.place(structures.NEW_STATE, index=sizes.cell.state_names.index(store.key))
        if store.kind == "mean":
            return layout.mean(steps.forward.means[store.key], store.key)
        return layout.kept(store.key)

    def barrier(item: Pass) -> bool:
        shared = any(s.value in arguments or (s.kind == "state" and s.key in fed_back) for s in item.stores)
        return shared or item is steps.forward.passes[-1]

    layout.set_passes("forward", steps.forward.passes, product, read, target, barrier)
    if not steps.backward.reads_x:
        vector = layout.place(structures.PACKED, "x", stride=sizes.I)
        gates = len(sizes.cell.gate_names)
        layout.input = layout.array(
            Product, [layout.product(vector, [(0, sizes.I)], gates, "input", "bias_ih" in biases)]
        )
    return layout


@cache
def backward_layout(sizes: Sizes, given: frozenset[str]) -> Layout:
    """The way back; `given` names the states that have gradients at every step."""
    steps, cell = sizes.program.backward, sizes.cell
    layout = Layout(sizes, means=len(steps.means))
    groups = sizes.program.groups

    def product(k: int) -> Product:
        columns = [steps.blocks[block] for block in groups[k].blocks]
        segments = [(sizes.columns.start[c], sizes.columns.sizes[c]) for c in columns]
        vector = layout.place(structures.PACKED, "columns", stride=sizes.columns.width)
        return layout.product(vector, segments, 1, str(k), False)

    def read(node: Node, item: Pass) -> Place:
        namespace, name = node.label if node.kind == "leaf" else ("", "")
        if namespace == "d":
            return layout.place(structures.LATER, index=cell.state_names.index(name))
        if namespace == "y" and name not in given:
            return layout.place(structures.ROWLESS)
        if namespace == "y":
            size = sizes.states[cell.state_names.index(name)]
            return layout.place(structures.PACKED, f"y {name}", stride=padded(size))
        if namespace == "dv" and name in item.products:
            return layout.place(structures.PRODUCT, index=item.products.index(name))
        return layout.made_on_the_way(steps, node, item, structures.PACKED)

    def target(store: Store) -> Place:
        return layout.found_on_the_way(steps, store, structures.PACKED)

    multiplied = set(steps.blocks.values())

    def barrier(item: Pass) -> bool:
        # The last keeps the sums of the next step from being begun while those of this one are read.
        last = item is steps.passes[-1] and bool(steps.means)
        return last or any(store.kind == "column" and store.key in multiplied for store in item.stores)

    layout.set_passes("backward", steps.passes, product, read, target, barrier)
    return layout

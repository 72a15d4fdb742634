"""Where everything lies in a training call of one form: all that need not be found anew in every call.

For rows that all take every step. A call brings its tensors, memory that lasts until the way back is done ("kept") and
memory for one run ("scratch").
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import NamedTuple

import torch

from headgate.cells import Cell
from headgate.engines.cpu import library, structures
from headgate.engines.cpu.buffers import padded
from headgate.engines.cpu.layout import Layout, Sizes, sizes_of
from headgate.engines.cpu.rows import Rows, full_rows
from headgate.engines.cpu.run import Problem, rates, record, zeros
from headgate.engines.cpu.tape import Region, Spot, Tape
from headgate.engines.cpu.weights import packed_sizes, pays_to_keep


class Form(NamedTuple):
    """What a plan depends on.

    Attributes:
        cell: the equations.
        names: of the weights.
        T, B, I, H, O: sizes.
        dtype: of all numbers that a call brings and gets.
        products: of which products are made; bfloat16 where that is by tiles, and then `dtype` is float32.
        reverse: from the last step to the first.
        drawn: whether masks are drawn.
        threads, split: how many share the work, and how, as in `Problem`.
    """

    cell: Cell
    names: tuple[str, ...]
    T: int
    B: int
    I: int  # noqa: E741 - the field's letters
    H: int
    O: int  # noqa: E741
    dtype: torch.dtype
    products: torch.dtype
    reverse: bool
    drawn: bool
    threads: int
    split: int


class Matrix(NamedTuple):
    """Rows of a weight that are packed together.

    Attributes:
        key: what a layout calls it.
        name, bias: of the weight, and of its bias.
        rows: which of the weight's rows.
        blocks: row blocks.
        columns: of the weight.
        kept: packed once for several calls.
        dtype: what they are packed to.
    """

    key: str
    name: str
    bias: str
    rows: slice
    blocks: int
    columns: int
    kept: bool
    dtype: torch.dtype

    def packed(self, *, back: bool) -> tuple[int, int]:
        """Bytes of the packed weights, and how many biases are."""
        rows = (self.rows.stop - self.rows.start) // self.blocks
        tiles = self.dtype is torch.bfloat16
        weights, biases = packed_sizes(rows, self.columns, self.blocks, back=back, tiles=tiles)
        return weights * self.dtype.itemsize, biases


class Rowwise(NamedTuple):
    """A value that every row has: where the first row's lies, and how many numbers on is the next."""

    at: Spot
    stride: int


class Plan:
    """One layer and direction in one form.

    Attributes:
        form: which.
        sizes, rows, problem: what is run.
        bases: what every call brings, in this order.
        kept: what lies in the memory of that name: "columns" as in `Sizes.kept`, states that are not given or returned.
        initial: each state before the first step, [B, S padded].
        history: each state after every step, [N, S padded].
    """

    def __init__(self, form: Form) -> None:
        self.form = form
        brief = library.is_brief(form.products)
        self.sizes: Sizes = sizes_of(form.cell, form.I, form.H, form.O, form.dtype, True, form.drawn, brief)
        self.rows: Rows = full_rows(form.T, form.B, form.reverse)
        self.problem = Problem(self.sizes, self.rows, form.products, False, form.split)
        initial = [f"initial {name}" for name in form.cell.state_names]
        self.bases = ["scratch", "x", *form.names, *initial, "output", "kept", "seed"]
        self.width = form.dtype.itemsize
        first = Tape(self.bases, self.width)
        self.kept = Region(first.base("kept").base, self.width)
        self.columns = self.kept.take(self.rows.N * self.sizes.kept.width)
        self.initial, self.history = [], []
        for k, (name, size) in enumerate(zip(initial, self.sizes.states, strict=True)):
            whole = padded(size) == size
            given = first.base(name) if whole else self.kept.take(self.rows.B * padded(size))
            after = first.base("output") if whole and k == 0 else self.kept.take(self.rows.N * padded(size))
            self.initial.append(Rowwise(given, padded(size)))
            self.history.append(Rowwise(after, padded(size)))

    @cached_property
    def matrices(self) -> list[Matrix]:
        """All matrices of a step."""
        sizes, form, gates = self.sizes, self.form, len(self.form.cell.gate_names)
        found = [("input", "ih", slice(0, gates * form.H), gates, form.I)]
        for k, group in enumerate(sizes.program.groups):
            columns = sizes.of_space(group.matrix.columns)
            found.append((str(k), group.matrix.name, sizes.rows_of(group), len(group.blocks), columns))
        return [
            Matrix(
                key,
                f"weight_{name}",
                f"bias_{name}",
                rows,
                blocks,
                columns,
                # What would be kept for tiles are the weights of this call, rounded: others in the next call.
                form.products is form.dtype and pays_to_keep((rows.stop - rows.start) * columns, self.rows.N),
                form.products,
            )
            for key, name, rows, blocks, columns in found
        ]

    def held(self, *, back: bool) -> list[str]:
        """The bases of those that are packed once for several calls: weights, and forward their biases, in turn."""
        kept = [matrix for matrix in self.matrices if matrix.kept]
        return [f"{what} {m.key}" for m in kept for what in ("w" if back else "wb")]

    def pack(self, tape: Tape, matrix: Matrix, *, back: bool) -> dict[str, Spot]:
        """Have a matrix packed, or find it packed; where it and its bias then lie, by the names of a layout."""
        weight, bias = f"w {matrix.key}", f"b {matrix.key}"
        biased = matrix.bias in self.form.names and not back
        if matrix.kept:
            return {weight: tape.base(weight)} | ({bias: tape.base(bias)} if biased else {})
        weights, biases = matrix.packed(back=back)
        found = {weight: tape.scratch.take(-(-weights // self.width))}
        if biased:
            found[bias] = tape.scratch.take(biases)
        first = matrix.rows.start * self.width
        job = structures.Packing(
            rows=(matrix.rows.stop - matrix.rows.start) // matrix.blocks,
            columns=matrix.columns,
            blocks=matrix.blocks,
            back=back,
            threads=self.form.threads,
            wide=True,
        )
        spot = tape.put(
            job,
            weight=tape.base(matrix.name).on(first * matrix.columns),
            bias=tape.base(matrix.bias).on(first) if biased else None,
            packed=found[weight],
            packed_bias=found.get(bias),
        )
        tape.do(self.entry("hg_pack"), spot)
        return found

    def entry(self, name: str) -> object:
        """A function of the library for this form's products."""
        return library.entry(name, self.form.products)

    def copy(
        self, tape: Tape, source: Rowwise | None, to: Rowwise, rows: int, columns: int, *, width=0, parts=1, apart=0
    ) -> None:
        """Have rows copied, `columns` of them.

        Args:
            tape: where to write it.
            source: None for zeros.
            to: where to.
            rows, columns: how many.
            width: columns beyond which nothing is written; those that are missing become zeros.
            parts, apart: sums of so many rows that lie so many numbers apart.
        """
        job = structures.Copying(
            rows=rows,
            columns=columns,
            width=max(width, columns),
            from_stride=source.stride if source else 0,
            to_stride=to.stride,
            parts=parts if source else 0,
            apart=apart,
        )
        copy = getattr(library.library(), f"hg_copy_{library.NUMBER[self.form.dtype]}")
        tape.do(copy, tape.put(job, from_=source.at if source else None, to=to.at))

    def vectors(self, tape: Tape) -> dict[str, Spot]:
        """Where the per-unit parameters lie, padded, if there are any, as a layout calls them."""
        count, H = len(self.form.cell.vector_names), self.form.H
        if not count:
            return {}
        given = tape.base("weight_p")
        if padded(H) == H:
            return {"p": given}
        own = tape.scratch.take(count * padded(H))
        self.copy(tape, Rowwise(given, H), Rowwise(own, padded(H)), count, H, width=padded(H))
        return {"p": own}

    def run(self, tape: Tape, layout: Layout, places: Mapping[str, Spot], states: list[Spot], *, back: bool) -> None:
        """Have all steps run.

        Args:
            tape: where to write it.
            layout: the passes.
            places: where their buffers lie; those that are not there are not needed.
            states: `hg_state` structures, one after the other.
            back: the way back.
        """
        constant = {"zeros": zeros(self.sizes), **rates(self.sizes)}
        there = [places.get(n, constant[n].data_ptr() if n in constant else None) for n in layout.buffers]
        recurrent = {layout.buffers[k].removeprefix("w ") for k in layout.recurrent}
        packed = sum(m.packed(back=back)[0] for m in self.matrices if m.key in recurrent)
        made = record(self.problem, layout, packed, keep=True, back=back)
        spot = tape.put(made, states=states[0], buffers=tape.table(there), seed=tape.base("seed"))
        tape.do(self.entry("hg_run"), spot)

"""What a forward run of the compiled engine leaves for the watch's ways back through it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from headgate.cells import Cell
from headgate.engines.cpu.adjoint_layout import block_numbers
from headgate.engines.cpu.run import Memory, Problem
from headgate.engines.cpu.weights import packed
from headgate.graph import Node
from headgate.graph.adjoint import adjoint

# Of a cell: which of them are cut is told in bits.
MOST_BLOCKS = 63


@dataclass(frozen=True)
class Kept:
    """What a forward run of the compiled engine left: enough to go back through it.

    Attributes:
        problem: what was run.
        weights: with what.
        memory: what was kept.
        number: each row of the call by its number for whoever asks, [B]; None if they are as they came.
    """

    problem: Problem
    weights: Mapping[str, Tensor]
    memory: Memory
    number: Tensor | None = None

    @staticmethod
    def reason_against(cell: Cell) -> str | None:
        """Why nothing can be gone back through that is kept of a cell, or None."""
        if not adjoint(cell).kept:
            return f"the way back of {cell.name} needs values that its training does not keep"
        if len(block_numbers(cell)) > MOST_BLOCKS:
            return f"{cell.name} has more than {MOST_BLOCKS} recurrent blocks"
        return None

    @property
    def padded(self) -> int:
        """Steps of the batch."""
        return self.problem.rows.padded

    @property
    def whole(self) -> bool:
        """Whether every row takes every step."""
        return self.problem.rows.index is None

    @cached_property
    def numbers(self) -> Tensor | None:
        """The asker's number of the row at each place of the run, [B]; None if they are as they came."""
        order = self.problem.rows.order
        return order if self.number is None else self.number if order is None else self.number[order]

    @cached_property
    def nodes(self) -> frozenset[Node]:
        """The expressions whose values were kept."""
        return frozenset(self.problem.sizes.kept_of)

    @cached_property
    def packed(self) -> dict[str, Tensor]:
        """The recurrent weights as the way back reads them, by the names of the layout."""
        sizes, found = self.problem.sizes, {}
        for k, group in enumerate(sizes.program.groups):
            weight, rows = self.weights[f"weight_{group.matrix.name}"], sizes.rows_of(group)
            found[f"w {k}"], _ = packed(weight, None, rows, len(group.blocks), self.problem.rows.N, back=True)
        return found

    def value(self, node: Node, start: int, stop: int) -> Tensor:
        """A kept expression at steps start..stop in the order of the run, [n, B, S]; zero where no step was taken."""
        sizes = self.problem.sizes
        k = sizes.kept_of[node]
        begin, size = sizes.kept.start[k], sizes.kept.sizes[k]
        low, high = self.rows_of_steps(start, stop)
        return self.in_order(self.memory.buffers["kept"][low:high, begin : begin + size], start, stop)[0]

    def time(self, start: int, stop: int) -> tuple[int, int]:
        """Steps in the order of the run as a range in time, without those that no row takes."""
        rows = self.problem.rows
        low, high = (rows.padded - stop, rows.padded - start) if rows.reverse else (start, stop)
        return min(low, rows.T), min(high, rows.T)

    def rows_of_steps(self, start: int, stop: int) -> tuple[int, int]:
        """The packed rows of such steps."""
        rows = self.problem.rows
        return tuple(rows.N if t == rows.T else int(rows.offset[t]) for t in self.time(start, stop))

    def in_order(self, values: Tensor, start: int, stop: int, gradients: int = 1) -> Tensor:
        """Packed rows of steps start..stop, [n R, S], as [R, n, B, S] in the order of the run; zero where none is."""
        rows, n, S = self.problem.rows, stop - start, values.shape[1]
        if not self.whole:
            low, high = self.rows_of_steps(start, stop)
            places = rows.index[low:high] - self.time(start, stop)[0] * rows.B
            some = values.reshape(high - low, gradients, S)
            values = values.new_zeros(n * rows.B, gradients, S).index_copy_(0, places, some)
        found = values.view(n, rows.B, gradients, S)
        if self.number is not None:
            found = found.index_select(1, torch.argsort(self.number))
        return (found.flip(0) if rows.reverse else found).permute(2, 0, 1, 3)

"""A program's passes as the compiled engine reads them: every value's place in memory."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from headgate.engines.cpu import library
from headgate.engines.cpu.buffers import padded
from headgate.engines.cpu.library import Place, Product
from headgate.graph.expression import Node
from headgate.graph.program import Pass, Store

Sizes = Mapping[str, int]  # of the spaces "H" and "O"


def place(where: int, tensor: Tensor | None = None, column: int = 0, *, stride: int = 0, index: int = 0, block: int = 0):
    """Where a value lies: in a tensor from a column on, or what `where` says by itself."""
    base = None if tensor is None else tensor.data_ptr() + column * tensor.element_size()
    return Place(where, index, block, 0, base, stride)


@dataclass(frozen=True)
class Operand:
    """One product of a step.

    Attributes:
        vector: where what is multiplied lies.
        segments: (start, length) of its parts.
        blocks: blocks of the result.
        packed, bias: the weights as `weights.pack` gives them.
    """

    vector: Place
    segments: list[tuple[int, int]]
    blocks: int
    packed: Tensor
    bias: Tensor | None


@dataclass
class Assembly:
    """Collects the C structures of a run and keeps alive what they point to."""

    dtype: torch.dtype
    sizes: Sizes
    point: Callable[[int], int]
    kept: list[Any] = field(default_factory=list)

    def passes(
        self,
        items: tuple[Pass, ...],
        operands: Mapping[int, Operand],
        source: Callable[[Node, Pass], Place],
        target: Callable[[Store], Place],
        barrier: Callable[[Pass], bool],
    ) -> ctypes.Array:
        """All passes of one direction through the step."""
        found = []
        for k, item in enumerate(items):
            products = self._array(Product, [self._product(operands[g]) for g in item.products])
            inputs = self._array(Place, [source(node, item) for node in item.reads])
            outputs = self._array(Place, [target(store) for store in item.stores])
            size = self.sizes[item.space]
            counts = len(products), len(inputs), len(outputs), int(barrier(item))
            found.append(library.Pass(self.point(k), padded(size), size, *counts, products, inputs, outputs))
        return self._array(library.Pass, found)

    def product(self, operand: Operand) -> ctypes.Array:
        """One product by itself."""
        return self._array(Product, [self._product(operand)])

    def _product(self, operand: Operand) -> Product:
        start = self._array(ctypes.c_int64, [a for a, _ in operand.segments])
        length = self._array(ctypes.c_int64, [n for _, n in operand.segments])
        self.kept += [operand.packed, operand.bias]
        bias = None if operand.bias is None else operand.bias.data_ptr()
        return Product(
            operand.vector, len(start), operand.blocks, start, length, operand.packed.data_ptr(), bias
        )

    def _array(self, kind: type, values: list) -> ctypes.Array:
        array = (kind * len(values))(*values)
        self.kept.append(array)
        return array

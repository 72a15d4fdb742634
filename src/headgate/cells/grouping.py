"""Which recurrent blocks a step applies to one and the same vector, found by running it once on symbols.

It asks for nothing but equality of vectors, so a symbol is a number given to each operation on other numbers: equal
expressions get the same one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from headgate.cells import operations
from headgate.cells.cell import Cell, Named, State


class _Symbol:
    """A value of the step, known by its number in a table of expressions."""

    __slots__ = ("number", "table")

    def __init__(self, table: dict[tuple, int], *expression: Any) -> None:
        self.table = table
        parts = tuple(part.number if isinstance(part, _Symbol) else (part,) for part in expression)
        self.number = table.setdefault(parts, len(table))

    def __add__(self, other: Any) -> _Symbol:
        return _Symbol(self.table, "+", self, other)

    def __radd__(self, other: Any) -> _Symbol:
        return _Symbol(self.table, "+", other, self)

    def __sub__(self, other: Any) -> _Symbol:
        return _Symbol(self.table, "-", self, other)

    def __rsub__(self, other: Any) -> _Symbol:
        return _Symbol(self.table, "-", other, self)

    def __mul__(self, other: Any) -> _Symbol:
        return _Symbol(self.table, "*", self, other)

    def __rmul__(self, other: Any) -> _Symbol:
        return _Symbol(self.table, "*", other, self)

    def __truediv__(self, other: Any) -> _Symbol:
        return _Symbol(self.table, "/", self, other)

    def __rtruediv__(self, other: Any) -> _Symbol:
        return _Symbol(self.table, "/", other, self)

    def __neg__(self) -> _Symbol:
        return _Symbol(self.table, "neg", self)

    def __pow__(self, power: int) -> _Symbol:
        return _Symbol(self.table, "power", self, power)


for _function in operations.FUNCTIONS.values():
    _function.register(_Symbol)(lambda value, name=_function.__name__: _Symbol(value.table, name, value))
operations.mean.register(_Symbol)(lambda first, *others: _Symbol(first.table, "mean", first, *others))


class _Products:
    """`U` on symbols, noting the vector that each block is applied to."""

    def __init__(self, table: dict[tuple, int]) -> None:
        self._table = table
        self.vector_of: dict[str, int] = {}

    def __getattr__(self, block: str) -> Callable[[_Symbol], _Symbol]:
        def apply(vector: _Symbol) -> _Symbol:
            self.vector_of[block] = vector.number
            return _Symbol(self._table, "product", block, vector)

        return apply

    __getitem__ = __getattr__


class _Noting(State):
    """States that note whether the step reads its new memory through them."""

    __slots__ = ("was_read",)

    def read(self, memory: Any) -> Any:
        self.was_read = True
        return memory


def products_by_vector(cell: Cell) -> tuple[tuple[tuple[str, ...], ...], bool]:
    """The blocks of all products of one vector, in the order of the cell's blocks; and whether the step has its output
    read the new memory through `s.read`.
    """
    table: dict[tuple, int] = {}

    def given(namespace: str, names: tuple[str, ...]) -> list[tuple[str, _Symbol]]:
        return [(name, _Symbol(table, namespace, name)) for name in names]

    U, s = _Products(table), _Noting(given("s", cell.state_names))
    s.was_read = False
    p, m = Named(given("p", cell.vector_names)), Named(given("m", cell.mask_names))
    cell(Named(given("x", cell.gate_names)), U, s, p, m)
    groups: dict[int, list[str]] = {}
    for block in cell.blocks:
        if block in U.vector_of:
            groups.setdefault(U.vector_of[block], []).append(block)
    return tuple(map(tuple, groups.values())), s.was_read

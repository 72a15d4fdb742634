"""One step of a cell on random numbers, and cells that go where the catalogue does not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headgate.cells import Cell, Gates, Matrix, State, exp, log, relu, sigmoid, sqrt, tanh
from headgate.cells.cell import Named
from headgate.cells.operations import positive
from headgate.graph import Graph, Node, trace
from headgate.reference import random_case
from headgate.reference.unroll import input_parts, vectors


@dataclass(frozen=True)
class Everything(Cell):
    """Every operation that an equation may use; no model of anything."""

    gates = "a b e"
    states = "h c"
    vectors = "v"
    recurrent = (Matrix("hh", "a b e"), Matrix("cc", "m", columns="H", bias=False))

    def step(self, x, U, s, p):
        a = sigmoid(x.a + U.a(s.h))
        b = exp(-x.b - 0.5 * U.b(s.h))
        root = sqrt(1.0 + relu(x.e + U.e(s.h)) ** 3)
        c = (s.c - a) / (2.0 + b) * p.v - log(root + b) + U.m(s.c * a)
        h = tanh(c) * (0.5 + positive(x.e)) + 1.0 / root
        return State(h=h, c=c), Gates(a=a, b=b)


@dataclass(frozen=True)
class Delay(Cell):
    """States that are handed on as they are, one under two names, and one that nobody reads."""

    gates = "a"
    states = "h d e"
    recurrent = (Matrix("dd", "a", columns="H"),)

    def step(self, x, U, s):
        h = tanh(x.a + U.a(s.d))
        return State(h=h, d=s.h, e=h)


@dataclass(frozen=True)
class Unread(Cell):
    """A projected output that the step itself never reads, and a product of a per-unit vector."""

    gates = "a"
    states = "h c"
    vectors = "v"
    recurrent = (Matrix("cc", "a k", columns="H"), Matrix("hr", "r", rows="O", columns="H", bias=False))
    produces_projection = True

    def step(self, x, U, s, p):
        c = tanh(x.a + U.a(s.c) + U.k(p.v))
        return State(h=U.r(c), c=c)


@dataclass(frozen=True)
class Shared(Cell):
    """One value shown under two names, and a gate that is held."""

    gates = "f"
    states = "h"

    def step(self, x, U, s):
        f = sigmoid(x.f + U.f(s.h))
        return State(h=f * s.h - (1.0 - f)), Gates(f=f, z=f, i=1.0)


STRANGE: dict[str, Cell] = {"everything": Everything(), "delay": Delay(), "unread": Unread(), "shared": Shared()}


class Products:
    """`U` over matrices and biases by block."""

    def __init__(self, matrix: dict[str, np.ndarray], bias: dict[str, np.ndarray]) -> None:
        self._matrix, self._bias = matrix, bias

    def __getattr__(self, block: str):
        return lambda vector: vector @ self._matrix[block].T + self._bias[block]

    __getitem__ = __getattr__


class OneStep:
    """Random numbers for everything that one step of one row reads.

    Attributes:
        graph: the cell's step.
        x, U, s, p, m: what the step is called with; vectors are [1, H], masks their rates.
        matrix, bias: the recurrent weights by block.
        values: the numbers by leaf, for `evaluate`.
    """

    def __init__(self, cell: Cell, H: int = 4, O: int | None = None, seed: int = 2) -> None:  # noqa: E741
        case = random_case(cell, 1, 1, H, O=O, seed=seed)
        self.cell = cell
        self.graph: Graph = trace(cell)
        self.x = Named((gate, part[0]) for gate, part in input_parts(cell, case.weights, case.input).items())
        self.s = State(case.initial)
        self.p = vectors(cell, case.weights)
        self.matrix: dict[str, np.ndarray] = {}
        self.bias: dict[str, np.ndarray] = {}
        for matrix in cell.recurrent:
            weight = case.weights[f"weight_{matrix.name}"]
            bias = case.weights.get(f"bias_{matrix.name}", np.zeros(len(weight)))
            number = len(matrix.block_names)
            self.matrix |= zip(matrix.block_names, np.split(weight, number), strict=True)
            self.bias |= zip(matrix.block_names, np.split(bias, number), strict=True)
        self.U = Products(self.matrix, self.bias)
        self.m = Named((name, cell.rates[name]) for name in cell.mask_names)
        self.values = {self.graph.x(name): value for name, value in self.x.items()}
        self.values |= {self.graph.s(name): value for name, value in self.s.items()}
        self.values |= {self.graph.p(name): value for name, value in self.p.items()}
        self.values |= {self.graph.m(name): value for name, value in self.m.items()}

    def multiply(self, node: Node, vector: np.ndarray) -> np.ndarray:
        """A product of the graph, for `evaluate`."""
        return self.U[node.label](vector)

    def run(self, s: State | None = None) -> tuple[State, Gates]:
        return self.cell(self.x, self.U, self.s if s is None else s, self.p, self.m)

    def jacobian(self) -> dict[tuple[str, str], np.ndarray]:
        """d(new state)/d(old state) by complex-step differences, [units of the new, units of the old] by names."""
        columns: dict[tuple[str, str], list[np.ndarray]] = {(new, old): [] for new in self.s for old in self.s}
        for old, value in self.s.items():
            for unit in range(value.shape[1]):
                moved = value.astype(np.complex128)
                moved[0, unit] += 1e-30j
                after, _ = self.run(State({**self.s, old: moved}))
                for new in self.s:
                    columns[new, old].append(np.imag(after[new][0]) / 1e-30)
        return {pair: np.stack(found, axis=1) for pair, found in columns.items()}

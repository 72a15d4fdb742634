"""Wrappers: cells made of any other cell by changing its step at a named place."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from headgate.cells.cell import Cell, Gates, Matrix, Named, State
from headgate.cells.grouping import products_by_vector
from headgate.cells.operations import mean, sqrt

EPS = 1e-5


@dataclass(frozen=True)
class Wrapper(Cell):
    """A cell around another, which answers for it wherever the wrapper does not.

    It is known by the inner cell's family, and written as that cell with one more switch.
    """

    cell: Cell

    def __post_init__(self) -> None:
        if not isinstance(self.cell, Cell):
            raise TypeError(f"{type(self).__name__} wraps a Cell, but got {self.cell!r}; see headgate.cells.get.")
        inner = self.cell
        while isinstance(inner, Wrapper):
            if type(inner) is type(self):
                raise ValueError(f"{type(self).__name__}: {self.cell.name} is wrapped in one already; once is enough.")
            inner = inner.cell

    @property
    def family(self) -> type[Cell]:
        return self.cell.family

    @cached_property
    def switches(self) -> dict[str, Any]:
        return self.cell.switches

    def with_switches(self, **switches: Any) -> Cell:
        return replace(self, cell=self.cell.with_switches(**switches))

    def without_bias(self) -> Cell:
        return replace(self, cell=self.cell.without_bias())

    def state_size(self, state: str, hidden_size: int, output_size: int) -> int:
        return self.cell.state_size(state, hidden_size, output_size)


def _inner(name: str) -> property:
    return property(lambda self: getattr(self.cell, name))


for _name in (
    "gates",
    "states",
    "memory",
    "recurrent",
    "vectors",
    "timescale",
    "produces_projection",
    "vector_starts",
    "input_bias",
    "bias_vectors",
    "masks",
    "rates",
):
    setattr(Wrapper, _name, _inner(_name))


def norm(*vectors: Any, eps: float) -> list[Any]:
    """Vectors of one row shifted and scaled together, so that their units have mean 0 and variance 1."""
    centre = mean(*vectors)
    centred = [vector - centre for vector in vectors]
    scale = sqrt(mean(*(vector * vector for vector in centred)) + eps)
    return [vector / scale for vector in centred]


@dataclass(frozen=True)
class LayerNorm(Wrapper):
    """Layer normalisation (Ba, Kiros & Hinton 2016, arXiv 1607.06450, equations 20 to 22), around any cell.

        (f, i, o, g) = LN(U h_{t-1}; alpha_1, beta_1) + LN(W x_t; alpha_2, beta_2) + b
        c_t = sigmoid(f) * c_{t-1} + sigmoid(i) * tanh(g)
        h_t = sigmoid(o) * tanh(LN(c_t; alpha_3, beta_3))

    with LN(a; alpha, beta) = alpha * (a - mean(a)) / sqrt(mean((a - mean(a))**2) + eps) + beta. All products of one
    vector are normalised together, over blocks and units, and so are all products of the input; a product of another
    vector, such as U_n (r * h), by itself. A projection is no pre-activation and stays as it is. The memory is
    normalised where the step has its output read it (`s.read(c)`), and carried on as it is. A cell whose memory is its
    output has no such place.

    The biases b and b' of the cell would be taken out again by the mean, so there are none; beta_1, beta_2 and b of the
    paper are one sum, and one parameter here.

    Args:
        cell: the cell to be normalised.
        eps: added to the variance.
        bias: with the additive parameters, b and beta_3.

    Parameters (per unit): `u_<block>` is alpha_1, `w_<gate>` alpha_2, `b_<gate>` beta_1 + beta_2 + b, `gain_<memory>`
    and `bias_<memory>` alpha_3 and beta_3. Gains start at 1, biases at 0.
    """

    eps: float = EPS
    bias: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.eps, bool) or not isinstance(self.eps, (int, float)) or not self.eps > 0:
            raise ValueError(f"LayerNorm: eps={self.eps!r} is added to a variance; give a number above 0.")
        if not isinstance(self.bias, bool):
            raise TypeError(f"LayerNorm: bias={self.bias!r} is not True or False.")
        if self._reads_memory and not self._products[1]:
            raise ValueError(
                f"LayerNorm: {self.cell.name} does not say where its output reads its new {self.memory}; write "
                f"s.read({self.memory}) for it there."
            )

    @cached_property
    def _products(self) -> tuple[tuple[tuple[str, ...], ...], bool]:
        return products_by_vector(self.cell)

    @cached_property
    def _groups(self) -> dict[str, tuple[str, ...]]:
        """For each block that is normalised, all that are normalised with it."""
        hidden = {name for name, matrix in self.cell.blocks.items() if matrix.rows == "H"}
        kept = [tuple(block for block in group if block in hidden) for group in self._products[0]]
        return {block: group for group in kept for block in group}

    @property
    def _reads_memory(self) -> bool:
        return self.memory != self.state_names[0]

    @property
    def changed_switches(self) -> dict[str, Any]:
        own = {"eps": self.eps} if self.eps != EPS else {}
        own |= {} if self.bias else {"bias": False}
        return {**self.cell.changed_switches, "layer_norm": own or True}

    def without_bias(self) -> Cell:
        return replace(self, cell=self.cell.without_bias(), bias=False)

    @property
    def recurrent(self) -> tuple[Matrix, ...]:
        return tuple(replace(matrix, bias=False) for matrix in self.cell.recurrent)

    @property
    def input_bias(self) -> bool:
        return False

    @property
    def bias_vectors(self) -> dict[str, str]:
        return {gate: f"b_{gate}" for gate in self.gate_names} if self.bias else {}

    @property
    def vectors(self) -> str:
        return " ".join([*self.cell.vector_names, *self.vector_starts])

    @property
    def vector_starts(self) -> dict[str, float]:
        gains = [f"u_{block}" for block in self._groups] + [f"w_{gate}" for gate in self.gate_names]
        biases = list(self.bias_vectors.values())
        if self._reads_memory:
            gains.append(f"gain_{self.memory}")
            biases += [f"bias_{self.memory}"] if self.bias else []
        return {**self.cell.vector_starts, **dict.fromkeys(gains, 1.0), **dict.fromkeys(biases, 0.0)}

    def step(self, x: Named, U: Any, s: State, p: Named, m: Named) -> tuple[State, Gates]:
        parts = zip(self.gate_names, norm(*(x[gate] for gate in self.gate_names), eps=self.eps), strict=True)
        gates = Named((gate, self._scaled(p, f"w_{gate}", part, f"b_{gate}")) for gate, part in parts)
        states = s
        if self._reads_memory:
            states = _Read(s)
            states.change = lambda memory: self._read(p, s.read(memory))
        return self.cell(gates, _Normalised(self, U, p), states, p, m)

    def _read(self, p: Named, memory: Any) -> Any:
        (normed,) = norm(memory, eps=self.eps)
        return self._scaled(p, f"gain_{self.memory}", normed, f"bias_{self.memory}")

    def _scaled(self, p: Named, gain: str, value: Any, bias: str) -> Any:
        scaled = p[gain] * value
        return scaled + p[bias] if self.bias else scaled


class _Read(State):
    """States through which the new memory is read changed."""

    __slots__ = ("change",)

    def read(self, memory: Any) -> Any:
        return self.change(memory)


class _Normalised:
    """`U` with its products normalised by groups; all of a group are made when the first of them is asked for."""

    def __init__(self, wrapper: LayerNorm, U: Any, p: Named) -> None:
        self._wrapper, self._U, self._p = wrapper, U, p
        self._made: dict[str, tuple[Any, Any]] = {}

    def __getattr__(self, block: str) -> Callable[[Any], Any]:
        group = self._wrapper._groups.get(block)
        return self._U[block] if group is None else lambda vector: self._apply(block, group, vector)

    __getitem__ = __getattr__

    def _apply(self, block: str, group: tuple[str, ...], vector: Any) -> Any:
        made = self._made.get(block)
        # An equal vector may come as another object, computed a second time.
        if made is None or made[0] is not vector:
            products = norm(*(self._U[name](vector) for name in group), eps=self._wrapper.eps)
            self._made |= {name: (vector, part) for name, part in zip(group, products, strict=True)}
        return self._p[f"u_{block}"] * self._made[block][1]


@dataclass(frozen=True)
class Zoneout(Wrapper):
    """Zoneout (Krueger et al. 2016, arXiv 1606.01305), around any cell: units that now and then keep their old value.

        s_t = m * s_{t-1} + (1 - m) * (the cell's new s_t)

    In training m is 1 with probability `rate`, drawn afresh for every row, unit, step and state; in evaluation it is
    the rate, its expectation. The cell itself sees the new states as it made them, as in the paper.

    Args:
        cell: the cell to be wrapped.
        zoneout: one rate in (0, 1) for all states, or a mapping from states to rates in [0, 1).
    """

    zoneout: Any

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.zoneout, Mapping):
            # A mapping could be changed, and a cell may not.
            object.__setattr__(self, "zoneout", self._in_order(self.zoneout))
        elif not isinstance(self.zoneout, tuple):
            _check_rate(self.zoneout)
        if not any(self.own_rates.values()):
            raise ValueError("zoneout: a rate of 0 zones nothing out; leave it out, or give one above 0.")
        for state in self.own_rates:
            if state in self.cell.mask_names:
                raise ValueError(f"zoneout: {self.cell.name} has a mask for its {state} already; leave that one out.")

    def _in_order(self, rates: Mapping[str, float]) -> tuple[tuple[str, float], ...]:
        for state, rate in rates.items():
            if state not in self.state_names:
                known = ", ".join(self.state_names)
                raise ValueError(f"zoneout={dict(rates)!r}: {self.cell.name} has no state {state!r}; it has {known}.")
            _check_rate(rate)
        return tuple((state, float(rates[state])) for state in self.state_names if rates.get(state))

    @cached_property
    def own_rates(self) -> dict[str, float]:
        """The rate of every state that this wrapper zones out."""
        if isinstance(self.zoneout, tuple):
            return dict(self.zoneout)
        return dict.fromkeys(self.state_names, float(self.zoneout))

    @property
    def changed_switches(self) -> dict[str, Any]:
        given = dict(self.zoneout) if isinstance(self.zoneout, tuple) else self.zoneout
        return {**self.cell.changed_switches, "zoneout": given}

    @property
    def rates(self) -> dict[str, float]:
        return {**self.cell.rates, **self.own_rates}

    @property
    def masks(self) -> str:
        """In the order of the states."""
        masked = {*self.cell.mask_names, *self.own_rates}
        return " ".join(state for state in self.state_names if state in masked)

    def step(self, x: Named, U: Any, s: State, p: Named, m: Named) -> tuple[State, Gates]:
        new, gates = self.cell(x, U, s, p, m)
        own = self.own_rates
        zoned = {name: m[name] * s[name] + (1.0 - m[name]) * new[name] for name in own}
        return State((name, zoned.get(name, value)) for name, value in new.items()), gates


def _check_rate(rate: Any) -> None:
    if isinstance(rate, bool) or not isinstance(rate, numbers.Real):
        raise TypeError(
            f"zoneout={rate!r} is no rate; give a number in 0 .. 1 for all states, or one by state, as in "
            "zoneout={'h': 0.1, 'c': 0.5}."
        )
    if not 0 <= rate < 1:
        raise ValueError(f"zoneout: {rate!r} is no probability that a unit keeps its value; give a rate in [0, 1).")


def wrap(cell: Cell, layer_norm: Any, zoneout: Any) -> Cell:
    """A cell in the wrappers asked for.

    Args:
        cell: what to wrap.
        layer_norm: True, or LayerNorm's own settings by name; False for none.
        zoneout: Zoneout's rates; 0 for none.
    """
    if isinstance(layer_norm, Mapping):
        unknown = sorted(set(layer_norm) - {"eps", "bias"})
        if unknown:
            raise TypeError(f"layer_norm={dict(layer_norm)!r}: it has no setting {unknown[0]!r}, but eps and bias.")
        cell = LayerNorm(cell, **layer_norm)
    elif not isinstance(layer_norm, bool):
        raise TypeError(f"layer_norm={layer_norm!r} is not True or False, nor settings such as {{'eps': 1e-3}}.")
    elif layer_norm:
        cell = LayerNorm(cell)
    if isinstance(zoneout, Mapping):
        return Zoneout(cell, zoneout)
    _check_rate(zoneout)
    return Zoneout(cell, zoneout) if zoneout else cell

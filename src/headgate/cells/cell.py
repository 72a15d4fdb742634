"""What a cell is: named gates, named states, and one step that reads like the paper."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cached_property
from typing import Any, ClassVar


class Named(dict):
    """A dict whose entries are attributes too, in a fixed order; an unknown name lists the known ones."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            known = ", ".join(self) or "nothing"
            raise AttributeError(f"{type(self).__name__} has no {name!r}; it has {known}.") from None


class State(Named):
    """What a step hands to the next, by name; the first entry is the output."""

    __slots__ = ()

    def read(self, memory: Any) -> Any:
        """A new memory as the new output reads it: itself, where no wrapper (`LayerNorm`) changes what is read."""
        return memory


class Gates(Named):
    """The gates of one step, by name, for whoever watches."""

    __slots__ = ()


@dataclass(frozen=True)
class Matrix:
    """One recurrent weight matrix: row blocks that a step applies as `U.<block>(v)`.

    Args:
        name: names the parameters, `weight_<name>` and `bias_<name>`.
        blocks: the row blocks in order, separated by spaces.
        rows: size of a block: "H" (hidden units) or "O" (the output, which a projection makes smaller).
        columns: size of the vector it is applied to, "H" or "O".
        bias: whether `b'` is added to each block, where the layer has biases at all.
    """

    name: str
    blocks: str
    rows: str = "H"
    columns: str = "O"
    bias: bool = True

    @property
    def block_names(self) -> tuple[str, ...]:
        return tuple(self.blocks.split())


_RESERVED = frozenset(dir(State))


class Cell:
    """Base of all cells. A subclass says its names and writes `step`; nothing else stands anywhere.

    Attributes:
        gates: row blocks of `weight_ih`, in order: `x.<gate>` is `W_gate x + b_gate`.
        states: what a step hands to the next; the first is the output.
        memory: the state that is meant to remember (default: the last), the one the watch follows.
        recurrent: the recurrent matrices; one with a block for each gate unless the cell says otherwise.
        vectors: names of per-unit parameters, `p.<name>`; a cell that has them takes `p` in its step.
        timescale: gates whose bias sets how long the memory lasts, with the sign that makes it longer; the first
            one keeps (forget-gate bias), all of them take part in chrono initialisation.
        produces_projection: whether the output has a size of its own (`proj_size`).
        vector_starts: what per-unit parameters start from, by name, where that is not drawn like a weight.
        input_bias: whether `b` is added to `W x`, where the layer has biases at all.
        bias_vectors: per-unit parameters that are a gate's bias in the place of `b` and `b'`, by gate.
        masks: states with a mask, `m.<state>`: ones and zeros in training, afresh for every row, unit and step; in
            evaluation their expectation. A cell that has them takes `m` in its step, after `p`.
        rates: by state, how often its mask is 1, in (0, 1).
    """

    gates: ClassVar[Any] = ""
    states: ClassVar[Any] = "h"
    vectors: ClassVar[Any] = ""
    timescale: ClassVar[Any] = {}
    produces_projection: ClassVar[Any] = False
    vector_starts: ClassVar[Any] = {}
    input_bias: ClassVar[Any] = True
    bias_vectors: ClassVar[Any] = {}
    masks: ClassVar[Any] = ""
    rates: ClassVar[Any] = {}

    def step(self, x: Named, U: Any, s: State, p: Named, m: Named) -> tuple[State, Gates]:
        """One time step. `x.g` is `W_g x + b_g`, `U.g(v)` is `U_g v + b'_g`, `s` the states before it."""
        raise TypeError(f"{type(self).__name__} is a Cell without a step; write step(self, x, U, s).")

    @property
    def recurrent(self) -> tuple[Matrix, ...]:
        return (Matrix("hh", self.gates),)

    @property
    def memory(self) -> str:
        return self.state_names[-1]

    @cached_property
    def name(self) -> str:
        """The class's name and the switches that differ from their defaults, as one would write them."""
        changed = ", ".join(f"{switch}={value!r}" for switch, value in self.changed_switches.items())
        return f"{self.family.__name__}({changed})" if changed else self.family.__name__

    @property
    def family(self) -> type[Cell]:
        """The class whose equations these are, whatever is wrapped around them."""
        return type(self)

    @cached_property
    def switches(self) -> dict[str, Any]:
        """The family's switches with their defaults; none for a class that is no dataclass."""
        return {field.name: field.default for field in fields(self)} if is_dataclass(self) else {}

    @property
    def changed_switches(self) -> dict[str, Any]:
        """The switches that differ from their defaults."""
        values = {switch: getattr(self, switch) for switch in self.switches}
        return {switch: value for switch, value in values.items() if value != self.switches[switch]}

    def with_switches(self, **switches: Any) -> Cell:
        """The same cell with some of its switches set anew."""
        return replace(self, **switches)

    def without_bias(self) -> Cell:
        """The cell of a layer without biases: itself, unless it has biases of its own among its vectors."""
        return self

    def __eq__(self, other: object) -> bool:
        """A class without settings makes equal cells; one with settings is a dataclass, which compares them."""
        return self is other or (type(self) is type(other) and not self._settings and not other._settings)

    def __hash__(self) -> int:
        return id(self) if self._settings else hash(type(self))

    @property
    def _settings(self) -> set[str]:
        """Attributes of the instance's own, beside what it keeps of its class's properties."""
        return {name for name in vars(self) if not isinstance(getattr(type(self), name, None), cached_property)}

    def __deepcopy__(self, memo: dict) -> Cell:
        return self  # a cell is its equations; nothing in it changes

    @cached_property
    def blocks(self) -> dict[str, Matrix]:
        """The matrix of every recurrent row block, by the block's name.

        Raises:
            ValueError: two blocks or two matrices of one name, or a matrix named as another weight.
        """
        home: dict[str, Matrix] = {}
        names = ["ih", "p"]
        for matrix in self.recurrent:
            if matrix.name in names:
                raise ValueError(f"{self.name}.recurrent: a second weight_{matrix.name}; give each its own name.")
            names.append(matrix.name)
            for block in _split(self, "recurrent", matrix.blocks):
                if block in home:
                    raise ValueError(f"{self.name}.recurrent names the block {block!r} twice; once is enough.")
                home[block] = matrix
        return home

    @cached_property
    def gate_names(self) -> tuple[str, ...]:
        return _split(self, "gates", self.gates)

    @cached_property
    def state_names(self) -> tuple[str, ...]:
        return _split(self, "states", self.states)

    @cached_property
    def vector_names(self) -> tuple[str, ...]:
        return _split(self, "vectors", self.vectors)

    @cached_property
    def mask_names(self) -> tuple[str, ...]:
        """States with a mask.

        Raises:
            ValueError: one of them is no state, or has no rate in (0, 1).
        """
        names = _split(self, "masks", self.masks)
        for name in names:
            if name not in self.state_names:
                known = ", ".join(self.state_names)
                raise ValueError(f"{self.name}.masks: there is no state {name!r}; the states are {known}.")
            rate = self.rates.get(name)
            if not (isinstance(rate, float) and 0.0 < rate < 1.0):
                raise ValueError(f"{self.name}.rates[{name!r}] is {rate!r}; give each mask a float between 0 and 1.")
        return names

    def state_size(self, state: str, hidden_size: int, output_size: int) -> int:
        """Units of a state: the output may be projected, every other state has hidden_size."""
        return output_size if state == self.state_names[0] else hidden_size

    def parameter_shapes(
        self, input_size: int, hidden_size: int, output_size: int, bias: bool = True
    ) -> dict[str, tuple[int, ...]]:
        """Names and shapes of the weights of one layer and direction, in torch.nn's order."""
        sizes = {"H": hidden_size, "O": output_size}
        weights = {
            f"weight_{m.name}": (len(m.block_names) * sizes[m.rows], sizes[m.columns]) for m in self.recurrent
        }
        biased = [m for m in self.recurrent if m.bias]
        shapes: dict[str, tuple[int, ...]] = {"weight_ih": (len(self.gate_names) * hidden_size, input_size)}
        shapes |= {f"weight_{m.name}": weights[f"weight_{m.name}"] for m in biased}
        if bias:
            if self.input_bias:
                shapes["bias_ih"] = shapes["weight_ih"][:1]
            shapes |= {f"bias_{m.name}": weights[f"weight_{m.name}"][:1] for m in biased}
        shapes |= weights
        if self.vector_names:
            shapes["weight_p"] = (len(self.vector_names) * hidden_size,)
        return shapes

    def __call__(
        self, x: Named, U: Any, s: State, p: Named | None = None, m: Named | None = None
    ) -> tuple[State, Gates]:
        if m is None and self.mask_names:
            m = Named((name, self.rates[name]) for name in self.mask_names)
        result = self.step(x, U, s, *(p, m)[: self._takes_beside])
        state, gates = (result, Gates()) if isinstance(result, State) else result
        if tuple(state) != self.state_names:
            if set(state) != set(self.state_names):
                raise ValueError(
                    f"{self.name}.step returned the states {', '.join(state) or 'none'}, but the class says "
                    f"states = {self.states!r}; return State({', '.join(f'{n}=...' for n in self.state_names)})."
                )
            state = State((name, state[name]) for name in self.state_names)
        return state, gates

    @cached_property
    def _takes_beside(self) -> int:
        """How many of p and m the step takes."""
        return len(inspect.signature(self.step).parameters) - 3


def _split(cell: Cell, what: str, text: str) -> tuple[str, ...]:
    names = tuple(text.split())
    if len(set(names)) != len(names):
        raise ValueError(f"{cell.name}.{what} = {text!r} names something twice; each name stands once.")
    if what not in ("vectors", "masks") and not names:
        raise ValueError(f"{cell.name}.{what} is empty; name at least one, as in {what} = 'h'.")
    for name in names:
        if not name.isidentifier() or name in _RESERVED or name.startswith("_"):
            raise ValueError(f"{cell.name}.{what}: {name!r} cannot be used as a name; choose a plain letter or word.")
    return names

"""One problem, complete: a cell, its weights, a batch of sequences, and what the loss weighs."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from headgate.cells import Cell

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Case:
    """A layer in one direction and a linear loss on its outputs. Arrays are float64.

    Attributes:
        cell: the equations.
        weights: by the names of `Cell.parameter_shapes`.
        input: [T, B, I].
        initial: states before the first step, each [B, H] (the output [B, O]).
        lengths: valid steps of each row, [B], or None for T.
        reset: True where a new sequence begins at that step, [T, B], or None.
        reverse: run from each row's end to its beginning.
        mask_seed: what the masks of a training step are drawn from; None for evaluation, where they are their rates.
        cotangents: the loss is the sum over `output` and the final states of value times cotangent.
    """

    cell: Cell
    weights: Arrays
    input: np.ndarray
    initial: Arrays
    lengths: np.ndarray | None = None
    reset: np.ndarray | None = None
    reverse: bool = False
    mask_seed: int | None = None
    cotangents: Arrays = field(default_factory=dict)

    @property
    def variables(self) -> Arrays:
        """Everything a gradient is taken of, by the name the gradient is reported under."""
        initial = {f"initial_{name}": value for name, value in self.initial.items()}
        return {"input": self.input, **self.weights, **initial}

    def with_variables(self, variables: Arrays) -> Case:
        return replace(
            self,
            input=variables["input"],
            weights={name: variables[name] for name in self.weights},
            initial={name: variables[f"initial_{name}"] for name in self.initial},
        )

    def loss(self, values: Arrays) -> np.ndarray:
        return sum((values[name] * weight).sum() for name, weight in self.cotangents.items())


def random_case(
    cell: Cell,
    T: int,
    B: int,
    H: int,
    *,
    I: int | None = None,  # noqa: E741 - the field's letter
    O: int | None = None,  # noqa: E741
    seed: int = 0,
    bias: bool = True,
    lengths: bool = False,
    reset: bool = False,
    reverse: bool = False,
) -> Case:
    """A case with normal weights of scale 1/sqrt(H), inputs and states of scale 1.

    Args:
        cell: the equations.
        T, B, H: steps, rows, hidden units.
        I, O: input size (default H + 1) and output size (default H; smaller for a projection).
        seed: of NumPy's default generator.
        bias: with biases.
        lengths: rows of random length, a zero and a full one among them where B allows.
        reset: new sequences begin at random steps.
        reverse: run backward in time.
    """
    random = np.random.default_rng(seed)
    O = H if O is None else O  # noqa: E741
    shapes = cell.parameter_shapes(H + 1 if I is None else I, H, O, bias)
    weights = {name: random.normal(size=shape) / np.sqrt(H) for name, shape in shapes.items()}
    sizes = {name: cell.state_size(name, H, O) for name in cell.state_names}
    case = Case(
        cell,
        weights,
        input=random.normal(size=(T, B, shapes["weight_ih"][1])),
        initial={name: random.normal(size=(B, size)) for name, size in sizes.items()},
        lengths=_random_lengths(random, T, B) if lengths else None,
        reset=random.random((T, B)) < 0.3 if reset else None,
        reverse=reverse,
    )
    cotangents = {"output": random.normal(size=(T, B, O))}
    cotangents |= {f"final_{name}": random.normal(size=(B, size)) for name, size in sizes.items()}
    return replace(case, cotangents=cotangents)


def _random_lengths(random: np.random.Generator, T: int, B: int) -> np.ndarray:
    lengths = random.integers(0, T + 1, size=B)
    lengths[0] = T
    if B > 1:
        lengths[-1] = 0
    return lengths

"""The plain recurrent network, without gates: the one that forgets."""

from __future__ import annotations

from dataclasses import dataclass

from headgate.cells.cell import Cell, Gates, State
from headgate.cells.operations import relu, tanh

NONLINEARITIES = {"tanh": tanh, "relu": relu}


@dataclass(frozen=True)
class RNN(Cell):
    """Simple recurrent network (Elman 1990).

    Args:
        nonlinearity: "tanh" or "relu".
    """

    nonlinearity: str = "tanh"

    gates = "h"
    states = "h"

    def __post_init__(self) -> None:
        if self.nonlinearity not in NONLINEARITIES:
            raise ValueError(f"Unknown nonlinearity {self.nonlinearity!r}. Select from 'tanh' or 'relu'.")

    def step(self, x, U, s):
        h = NONLINEARITIES[self.nonlinearity](x.h + U.h(s.h))
        return State(h=h), Gates()


NAMES = {"rnn": RNN(), "relu_rnn": RNN(nonlinearity="relu")}

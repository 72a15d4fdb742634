"""One layer and direction as it ran: what every measurement starts from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from headgate.cells import Cell
from headgate.engines.cpu.kept import Kept


@dataclass(frozen=True)
class Run:
    """One layer and direction as it ran, its steps in the order in which they were run.

    Attributes:
        cell: the equations.
        weights: by the names of `Cell.parameter_shapes`.
        input: [T, B, I].
        initial: states before the first step, by name, [B, ...].
        states: states after each step, by name, [T, B, ...]; frozen where a row takes no step.
        active: rows that take each step, [T, B, 1] bool.
        fresh: rows whose state was restored to `initial` before a step, [T, B, 1] bool.
        masks: the cell's masks by state: as they were drawn, [T, B, ...], or their rates.
        kept: what the compiled engine left for reverse passes, or None.
    """

    cell: Cell
    weights: Mapping[str, Tensor]
    input: Tensor
    initial: dict[str, Tensor]
    states: dict[str, Tensor]
    active: Tensor
    fresh: Tensor
    masks: Mapping[str, Tensor | float] = field(default_factory=dict)
    kept: Kept | None = None

    def before(self, start: int = 0, stop: int | None = None) -> dict[str, Tensor]:
        """The states that each of the steps start..stop started from, by name, [n, B, ...]."""
        here = slice(start, len(self.input) if stop is None else stop)
        found = {}
        for name, first in self.initial.items():
            first_old = first if start == 0 else self.states[name][start - 1]
            shifted = torch.cat([first_old[None], self.states[name][here][:-1]]) if here.stop > start else first[:0]
            found[name] = torch.where(self.fresh[here], first, shifted)
        return found

    def one_step(self, t: int, row: int) -> Run:
        """Step t of one row as a run of its own."""
        here = slice(t, t + 1), slice(row, row + 1)
        return replace(
            self,
            input=self.input[here],
            initial={name: value[0, row : row + 1] for name, value in self.before(t, t + 1).items()},
            states={name: value[here] for name, value in self.states.items()},
            active=self.active[here],
            fresh=torch.zeros_like(self.fresh[here]),
            masks={name: value[here] if isinstance(value, Tensor) else value for name, value in self.masks.items()},
            kept=None,
        )

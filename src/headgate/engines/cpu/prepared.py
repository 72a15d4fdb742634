"""Training calls without detours: what is the same in every call of one form is found once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from headgate.cells import Cell
from headgate.engines.cpu.backward_tape import backward_tape
from headgate.engines.cpu.forward_tape import forward_tape
from headgate.engines.cpu.plan import Form, Plan
from headgate.engines.cpu.stock import from_stock
from headgate.engines.cpu.tape import Tape
from headgate.engines.cpu.weights import packed
from headgate.graph.program import program


def can_prepare(cell: Cell) -> bool:
    """Whether a cell's calls can be prepared; not of one that reads the input's part by itself on the way back."""
    return not program(cell).backward.reads_x


class _Played:
    """A tape and the memory that it needs."""

    def __init__(self, tape: Tape, dtype: torch.dtype) -> None:
        self.numbers, self.dtype, self.play = tape.scratch.numbers, dtype, tape.close()

    def __call__(self, tensors: Sequence[Tensor], seed: int, others: Sequence[Tensor | None]) -> None:
        """Play it on the plan's bases, of which the last is the seed, and others."""
        scratch = from_stock(self.numbers, dtype=self.dtype)
        there = [value.data_ptr() for value in tensors]
        self.play([scratch.data_ptr(), *there, seed, *[0 if v is None else v.data_ptr() for v in others]])


class Prepared:
    """One layer and direction in one form; any number of threads may run it at once.

    Args:
        form: which.
    """

    def __init__(self, form: Form) -> None:
        self.form, self.plan = form, Plan(form)
        self.problem, self.names = self.plan.problem, form.names
        self.states = len(form.cell.state_names)
        self._forward = _Played(forward_tape(self.plan), form.dtype)
        self._backward: dict[Any, tuple[_Played, list[int]]] = {}
        self._held = [matrix for matrix in self.plan.matrices if matrix.kept]
        initial = [f"initial {name}" for name in form.cell.state_names]
        self._inputs, self._outputs = ["x", *form.names, *initial], ["output", *(f"final {n[8:]}" for n in initial)]

    def forward(self, seed: int, tensors: Sequence[Tensor]) -> tuple[list[Tensor], Tensor]:
        """Run all steps.

        Args:
            seed: of the masks.
            tensors: the input [T, B, I], the weights, the initial states; contiguous.

        Returns:
            The output [T, B, O] and the final states in the initial ones' shape, and what is kept for the way back.
        """
        form, dtype = self.form, self.form.dtype
        final = [torch.empty_like(value) for value in tensors[len(tensors) - self.states :]]
        output = from_stock(form.T, form.B, form.O, dtype=dtype)
        kept = from_stock(self.plan.kept.numbers, dtype=dtype)
        held = self._packed(tensors, back=False) if self._held else []
        self._forward([*tensors, output, kept], seed, [*final, *held])
        return [output, *final], kept

    def backward(
        self, seed: int, tensors: Sequence[Tensor], given: Sequence[Tensor | None], wanted: tuple[bool, ...]
    ) -> list[Tensor | None]:
        """The gradients of the tensors that are wanted.

        Args:
            seed: as forward was given it.
            tensors: what forward was given, the output and what was kept.
            given: gradients of the output and of the final states, contiguous, or None.
            wanted: which tensors' gradients to find.
        """
        form = (tuple([value is not None for value in given]), wanted)
        played, order = self._backward.get(form) or self._write(*form)
        found = [from_stock(*v.shape, dtype=v.dtype) if a else None for v, a in zip(tensors, wanted, strict=False)]
        around = [*given, *found]
        held = self._packed(tensors, back=True) if self._held else []
        played(tensors, seed, [*held, *[around[k] for k in order]])
        return found

    def _write(self, given: tuple[bool, ...], wanted: tuple[bool, ...]) -> tuple[_Played, list[int]]:
        """The tape of a way back, and which of all gradients it takes, in its order."""
        outputs = {name: k for k, (name, there) in enumerate(zip(self._outputs, given, strict=True)) if there}
        inputs = {n: k + len(given) for k, (n, asked) in enumerate(zip(self._inputs, wanted, strict=True)) if asked}
        tape = backward_tape(self.plan, frozenset(outputs), frozenset(inputs))
        order = [both[name] for both in (outputs, inputs) for name in sorted(both)]
        made = self._backward[given, wanted] = (_Played(tape, self.form.dtype), order)
        return made

    def _packed(self, tensors: Sequence[Tensor], *, back: bool) -> list[Tensor | None]:
        """Weights that are packed once for several calls, and forward their biases."""
        named = dict(zip(self.names, tensors[1:], strict=False))
        found: list[Tensor | None] = []
        for m in self._held:
            bias = None if back else named.get(m.bias)
            found += packed(named[m.name], bias, m.rows, m.blocks, self.plan.rows.N, back)[: 1 if back else 2]
        return found


@lru_cache(maxsize=256)
def prepared(form: Form) -> Prepared:
    """The one `Prepared` of a form, while it is used."""
    return Prepared(form)

"""The exact gradient through time, and the split of it by path: reverse passes over a layer and direction.

Gradients fade or grow by hundreds of decades on a long way back, so each is carried with a scale of its own, a power of
two that is set anew every few steps: what is told is exact at any lag, whatever a number format could hold.

There are two ways, which say the same: `compiled.Compiled` in the library, on what the compiled engine kept of the run,
and `stepped.Stepped` by torch's operations. `Adjoint.way` says which is taken and `Adjoint.why` why.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from headgate.inspection.adjoint import COMPILED, Adjoint
from headgate.inspection.compiled import Compiled
from headgate.inspection.loss import LARGEST_SHIFT as LARGEST_SHIFT
from headgate.inspection.loss import Loss as Loss
from headgate.inspection.loss import last_steps as last_steps
from headgate.inspection.piece import Piece
from headgate.inspection.stepped import Stepped


class Stretch:
    """What a reverse pass brought to steps start..stop. All but the totals is to be asked for before the next stretch.

    Everything stands in units of 2**scale, which each gradient and row has for itself.

    Attributes:
        start, stop: which steps, in the order of the run.
        memory: name of the state that is split by path.
        total: by state, [R, n, B, S]: everything, not the local term alone; zero where a row takes no step.
        scale: [R, n, B], whole numbers.
        highway: of the memory, what the highway alone would bring of the first gradient, [n, B, H], in units of
            2**highway_scale, [n, B]; None if not asked.
    """

    def __init__(self, back: Back, piece: Piece) -> None:
        self.start, self.stop = piece.start, piece.stop
        self.memory = back.adjoint.run.cell.memory
        self.total, self.scale = piece.total, piece.scale
        self.highway: Tensor | None = None
        self.highway_scale: Tensor | None = None
        self._back, self._piece = back, piece

    @cached_property
    def _coefficient(self):
        adjoint = self._back.adjoint
        if adjoint.way == COMPILED:
            return adjoint.coefficient(self.start, self.stop)
        return adjoint.coefficients(self.start, self.stop).whole

    @cached_property
    def paths(self) -> dict[str, Tensor]:
        """By path, its part of the first gradient's memory, [n, B, H]; they sum to the total.

        A path is the highway (no matrix crossed between a step and the next), a block of a recurrent matrix (it is
        crossed), or the readout (the loss's own derivative at that step).
        """
        adjoint, arrived = self._back.adjoint, self._piece.arrived()
        coefficient = self._coefficient
        active = adjoint.run.active[self.start : self.stop]
        everywhere, found = bool(active.all()), {}
        for label in adjoint.paths:
            seeds = {name: value[None] for name, value in arrived.get(label, {}).items()}
            reached = adjoint.sweep(seeds, coefficient, 1, within=True).totals.get(self.memory)
            value = torch.zeros_like(self.total[self.memory][0]) if reached is None else reached[0]
            found[label] = value if everywhere else torch.where(active, value, 0.0)
        return found

    @cached_property
    def _told(self):
        some = {name: value[: self._back.told] for name, value in self.total.items()}
        return self._back.adjoint.sweep(some, self._coefficient, self._back.told, told=True)

    @cached_property
    def inputs(self) -> Tensor:
        """What comes to W x + b of the gradients that are told, [R, n, B, G H]."""
        gates, told = self._back.adjoint.run.cell.gate_names, self._back.told
        if self._piece.inputs is not None:
            return torch.cat([self._piece.inputs(gate)[:told] for gate in gates], -1)
        some = self.total[self.memory][:told]
        nothing = some.new_zeros(*some.shape[:-1], self._back.adjoint.hidden_size)
        return torch.cat([self._told.inputs.get(gate, nothing) for gate in gates], -1)

    @cached_property
    def products(self) -> dict[str, Tensor]:
        """By recurrent block, what comes to U v + b' of the gradients that are told, [R, n, B, rows]."""
        if self._piece.products is None:
            return self._told.products
        blocks = self._back.adjoint.route.graph.products
        return {block: self._piece.products(block)[: self._back.told] for block in blocks}


class Back:
    """One reverse pass; iterate over it, once, for its stretches from the end to the beginning.

    Args:
        adjoint: the run.
        loss: what is followed.
        highway: also follow what the highway alone would bring of the first gradient.
        paths: also split the first gradient by path.
        told: of how many gradients, the first ones, a stretch tells what comes to inputs and products; None for all.
        gates: whether gradients cross the recurrent matrices; otherwise they follow the highway alone.

    Attributes:
        gradients: how many are followed, R.
        initial: by state, what came to the initial states, [R, B, S], when all is done; not scaled.
    """

    def __init__(
        self,
        adjoint: Adjoint,
        loss: Loss,
        highway: bool = False,
        paths: bool = False,
        told: int | None = None,
        gates: bool = True,
    ) -> None:
        self.adjoint = adjoint
        sources, which = loss.chosen(adjoint.run)
        self.gradients = len(sources)
        self.told = self.gradients if told is None else told
        make = Compiled if adjoint.way == COMPILED else Stepped
        self._pass = make(adjoint, loss, paths, gates)
        first = Loss(loss.local, loss.final, sources[:1], which=which[:1])
        self._alone = make(adjoint, first, paths=False, gates=False) if highway else None
        self.initial: dict[str, Tensor] = {}

    def __iter__(self) -> Iterator[Stretch]:
        for start, stop in reversed(self._pass.stretches()):
            stretch = Stretch(self, self._pass.through(start, stop))
            if self._alone is not None:
                alone = self._alone.through(start, stop)
                stretch.highway, stretch.highway_scale = alone.total[stretch.memory][0], alone.scale[0]
            yield stretch
        self.initial = self._pass.initial()


@dataclass(frozen=True)
class Flow:
    """A whole reverse pass, as plain numbers; what is below the smallest of them is zero here.

    Attributes:
        total: dL/d(state) by state, [T, B, S]: everything, not the local term alone; zero where no step was taken.
        initial: dL/d(initial state) by state, [B, S].
        inputs: dL/d(W x + b), [T, B, G H]; None if not asked.
        paths: by path, its part of dL/d(memory), [T, B, H]; they sum to `total[memory]`. Empty if not asked.
        highway: what the highway alone would bring to the memory if every gate path were cut, [T, B, H], or None.
    """

    total: dict[str, Tensor]
    initial: dict[str, Tensor]
    inputs: Tensor | None
    paths: dict[str, Tensor]
    highway: Tensor | None


def follow(adjoint: Adjoint, loss: Loss, *, paths: bool = False, inputs: bool = False) -> Flow:
    """The gradient of a loss, along a whole run.

    Args:
        adjoint: the run.
        loss: what is followed; one gradient.
        paths: also split the memory's gradient by path, and follow the highway alone.
        inputs: also tell what comes to the input parts.
    """
    back = Back(adjoint, loss, highway=paths, paths=paths)
    pieces: dict[str, list[Tensor]] = {}

    def keep(key: str, value: Tensor, scale: Tensor) -> None:
        pieces.setdefault(key, []).append(value * torch.exp2(scale.to(value.dtype))[..., None])

    names, labels = adjoint.run.cell.state_names, adjoint.paths
    for stretch in back:
        for name in names:
            keep(f"total {name}", stretch.total[name][0], stretch.scale[0])
        if inputs:
            keep("inputs", stretch.inputs[0], stretch.scale[0])
        if paths:
            for label in labels:
                keep(f"path {label}", stretch.paths[label], stretch.scale[0])
            keep("highway", stretch.highway, stretch.highway_scale)
    empty = {n: v for n, v in adjoint.run.states.items()}
    whole = {key: torch.cat(parts[::-1]) for key, parts in pieces.items()}
    memory = adjoint.run.cell.memory
    return Flow(
        {name: whole.get(f"total {name}", empty[name]) for name in names},
        {name: value[0] for name, value in back.initial.items()},
        whole.get("inputs"),
        {label: whole.get(f"path {label}", empty[memory]) for label in labels} if paths else {},
        whole.get("highway", empty[memory]) if paths else None,
    )

"""The exact gradient through time, and the split of it by path: reverse passes over a layer and direction.

Gradients fade or grow by hundreds of decades on a long way back, so each is carried with a scale of its own, a power of
two that is set anew every few steps: what is told is exact at any lag, whatever a number format could hold.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from headgate.inspection.adjoint import READOUT, Adjoint, Coefficients
from headgate.inspection.backstep import Part, Sweep
from headgate.inspection.run import Run

# After so many steps the scale is set anew: in between, a gradient may change by 1e19 (float32: 1e9) a step.
RESCALED_EVERY = {torch.float64: 16, torch.float32: 4}
# A power of two that each format holds with room to spare.
LARGEST_SHIFT = {torch.float64: 1000, torch.float32: 120}


@dataclass(frozen=True)
class Loss:
    """What is followed back.

    Attributes:
        local: by state, the loss's own derivative at each step, [T, B, S]; or several of them, [K, T, B, S].
        final: by state, the loss's derivative with respect to each row's last state, [B, S] or [K, B, S].
        sources: [R, B]: of each gradient and row, the step (in the order of the run) whose loss alone is followed, or
            -1 for the loss of all steps. None: one gradient, of all.
        cuts: pairs (which gradient, path): the path that is knocked out of it.
        which: of each gradient, which of the K it follows; None: each its own.
    """

    local: Mapping[str, Tensor]
    final: Mapping[str, Tensor] = field(default_factory=dict)
    sources: Tensor | None = None
    cuts: Sequence[tuple[int, str]] = ()
    which: Sequence[int] | None = None


class Stretch:
    """What a reverse pass brought to steps start..stop.

    Everything stands in units of 2**scale, which each gradient and row has for itself.

    Attributes:
        start, stop: which steps, in the order of the run.
        memory: name of the state that is split by path.
        total: by state, [R, n, B, S]: everything, not the local term alone; zero where a row takes no step.
        scale: [R, n, B], whole numbers.
        highway: of the memory, what the highway alone would bring of the first gradient, [n, B, H], in units of
            2**highway_scale, [n, B]; None if not asked.
    """

    def __init__(
        self, back: Back, coefficients: Coefficients, total: dict[str, Tensor], scale: Tensor, arrived: dict | None
    ) -> None:
        self.start, self.stop = coefficients.start, coefficients.stop
        self.memory = back.adjoint.run.cell.memory
        self._back, self._coefficients = back, coefficients
        self.total, self.scale = total, scale
        self.highway: Tensor | None = None
        self.highway_scale: Tensor | None = None
        self._arrived = arrived

    @cached_property
    def paths(self) -> dict[str, Tensor]:
        """By path, its part of the first gradient's memory, [n, B, H]; they sum to the total.

        A path is the highway (no matrix crossed between a step and the next), a block of a recurrent matrix (it is
        crossed), or the readout (the loss's own derivative at that step).
        """
        run = self._back.adjoint.run
        labels = self._back.adjoint.paths
        seeds = {}
        for name, value in self.total.items():
            nothing = torch.zeros_like(value[0])
            seeds[name] = torch.stack([self._arrived.get(label, {}).get(name, nothing) for label in labels])
        swept = self._back.adjoint.sweep(seeds, self._coefficients.whole, len(labels), within=True)
        active = run.active[self.start : self.stop]
        return dict(zip(labels, swept.totals[self.memory] * active, strict=True))

    @cached_property
    def _told(self):
        some = {name: value[: self._back.told] for name, value in self.total.items()}
        return self._back.adjoint.sweep(some, self._coefficients.whole, self._back.told, told=True)

    @cached_property
    def inputs(self) -> Tensor:
        """What comes to W x + b of the gradients that are told, [R, n, B, G H]."""
        some = self.total[self.memory][: self._back.told]
        nothing = some.new_zeros(*some.shape[:-1], self._back.adjoint.hidden_size)
        told = self._told.inputs
        return torch.cat([told.get(gate, nothing) for gate in self._back.adjoint.run.cell.gate_names], -1)

    @property
    def products(self) -> dict[str, Tensor]:
        """By recurrent block, what comes to U v + b' of the gradients that are told, [R, n, B, rows]."""
        return self._told.products


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
        run, B, device = adjoint.run, adjoint.run.input.shape[1], adjoint.run.input.device
        self.gradients = 1 if loss.sources is None else len(loss.sources)
        self.told = self.gradients if told is None else told
        everything = torch.full((1, B), -1, device=device)
        sources = everything if loss.sources is None else loss.sources.to(device)
        self._crossing = self.gradients if gates else 0
        which = list(range(self.gradients)) if loss.which is None else list(loss.which)
        self._local = _Local(run, loss.local, sources, which)
        first = Loss(loss.local, loss.final, sources[:1], which=which[:1])
        self._alone = Back(adjoint, first, gates=False) if highway else None
        self._cuts = loss.cuts
        self._scale = torch.zeros(self.gradients, B, dtype=torch.long, device=device)
        self._scaled = False
        self._carried = {n: value.new_zeros(self.gradients, *value.shape) for n, value in run.initial.items()}
        ends = (sources < 0) | (sources == last_steps(run))
        for name, value in loss.final.items():
            self._carried[name] += (value[which] if value.dim() == 3 else value) * ends[..., None]
        self._arrivals = _Arrivals({n: self._carried[n][0] for n in loss.final}) if paths else None
        self.initial = {n: torch.zeros_like(value) for n, value in self._carried.items()}
        self._whole = run.active[..., 0].all(1).tolist()
        self._fresh = run.fresh[..., 0].any(1).tolist()

    def __iter__(self) -> Iterator[Stretch]:
        for start, stop in reversed(self.adjoint.stretches()):
            stretch = self._through(start, stop)
            if self._alone is not None:
                alone = self._alone._through(start, stop)
                stretch.highway, stretch.highway_scale = alone.total[alone.memory][0], alone.scale[0]
            yield stretch
        for name, value in self._carried.items():
            self.initial[name] += self._unscaled(value)

    def _through(self, start: int, stop: int) -> Stretch:
        run, n = self.adjoint.run, stop - start
        every = RESCALED_EVERY[run.input.dtype]
        coefficients = self.adjoint.coefficients(start, stop)
        self._local.enter(start, stop)
        if self._arrivals is not None:
            self._arrivals.enter(n)
        total = {name: value.new_empty(len(value), n, *value.shape[1:]) for name, value in self._carried.items()}
        scale = self._scale.new_empty(len(self._scale), n, self._scale.shape[1])
        for i in reversed(range(n)):
            if (n - 1 - i) % every == 0:
                self._rescale(max(0, i + 1 - every), i + 1)
            added = self._local.at(i, self._scale if self._scaled else None)
            for name, value in added.items():
                self._carried[name] = self._carried[name] + value
            if self._arrivals is not None:
                self._arrivals.store(i, {name: value[0] for name, value in added.items()})
            swept = self.adjoint.sweep(self._carried, coefficients.at(i), self._crossing, self._cuts)
            for name, value in swept.totals.items():
                total[name][:, i] = value if self._whole[start + i] else value * run.active[start + i]
            scale[:, i] = self._scale
            self._hand_on(swept, start + i)
        arrived = None if self._arrivals is None else self._arrivals.by_label()
        return Stretch(self, coefficients, total, scale, arrived)

    def _hand_on(self, swept: Sweep, t: int) -> None:
        """What the step before receives."""
        active = None if self._whole[t] else self.adjoint.run.active[t]
        fresh = self.adjoint.run.fresh[t] if self._fresh[t] else None
        for name, value in swept.passed.items():
            if active is not None:
                value = torch.where(active, value, self._carried[name])
            if fresh is not None:
                self.initial[name] += self._unscaled(value * fresh)
                value = value * ~fresh
            self._carried[name] = value
        if self._arrivals is not None:
            self._arrivals.take(swept.parts, active, fresh)

    def _rescale(self, low: int, high: int) -> None:
        """Set the scales anew, by what is carried and by what the loss will add at steps low..high of the stretch."""
        carried = torch.stack([value.abs().amax(-1) for value in self._carried.values()]).amax(0)
        largest = LARGEST_SHIFT[carried.dtype]
        own = torch.frexp(carried).exponent.long() + self._scale
        there = (carried > 0) & carried.isfinite()
        wanted = torch.where(there, own, self._scale)
        coming = self._local.size(low, high)
        if coming is not None:
            exponent = torch.frexp(coming).exponent.long()
            either = torch.where(there, torch.maximum(own, exponent), exponent)
            wanted = torch.where(coming > 0, either.clamp_min(-largest), wanted)
        shift = (wanted - self._scale).clamp_min(-largest)
        if not (shift.abs() > largest // 8).any():
            return
        self._scale, self._scaled = self._scale + shift, True
        factor = torch.exp2(-shift.to(carried.dtype))[..., None]
        self._carried = {name: value * factor for name, value in self._carried.items()}
        if self._arrivals is not None:
            self._arrivals.rescale(factor[0])

    def _unscaled(self, value: Tensor) -> Tensor:
        return value * torch.exp2(self._scale.to(value.dtype))[..., None]


def last_steps(run: Run) -> Tensor:
    """The last step that each row takes, in the order of the run, [B]; T where it takes none."""
    T = len(run.active)
    steps = torch.arange(T, device=run.active.device)[:, None]
    last = torch.where(run.active[..., 0], steps, -1).amax(0) if T else run.active.new_full((run.active.shape[1],), -1)
    return torch.where(last < 0, T, last)


class _Local:
    """The loss's own derivatives, step by step, for each gradient that is followed."""

    def __init__(self, run: Run, local: Mapping[str, Tensor], sources: Tensor, order: list[int]) -> None:
        self._run, self._all, self._sources, self._order = run, local, sources, order
        self._everything = bool((sources < 0).all())
        self._here: dict[str, Tensor] = {}

    def enter(self, start: int, stop: int) -> None:
        """Turn to steps start..stop."""
        self._start = start
        active = self._run.active[start:stop]
        self._here = {n: v[..., start:stop, :, :] * active for n, v in self._all.items()}
        sizes = [v.abs().amax(-1) for v in self._here.values()]
        each = [size[self._order] if size.dim() == 3 else size.expand(len(self._order), *size.shape) for size in sizes]
        self._sizes = torch.stack(each).amax(0) if each else None  # [C, n, B]
        if self._sizes is not None and not self._everything:
            steps = torch.arange(start, stop, device=active.device)[:, None]
            self._sizes = self._sizes * ((self._sources < 0)[:, None] | (self._sources[:, None] == steps))
        some = [] if self._sizes is None else (self._sizes > 0).any(2).any(0).tolist()
        self._there = some or [False] * (stop - start)

    def size(self, low: int, high: int) -> Tensor | None:
        """The largest entry that steps low..high of the stretch will add, [C, B]; None if they add nothing."""
        return self._sizes[:, low:high].amax(1) if any(self._there[low:high]) else None

    def at(self, i: int, scale: Tensor | None) -> dict[str, Tensor]:
        """What the i-th of the steps adds, by state, [C, B, S], in units of 2**scale; nothing if it adds nothing."""
        if not self._there[i]:
            return {}
        here = {n: v[i][None] if v.dim() == 3 else v[:, i][self._order] for n, v in self._here.items()}
        if scale is None and self._everything:
            return {name: value.expand(len(self._order), *value.shape[1:]) for name, value in here.items()}
        added = self._sizes[:, i] > 0
        scale = torch.zeros_like(self._sources) if scale is None else scale
        found = {}
        for name, value in here.items():
            factor = torch.where(added, torch.exp2(-scale.to(value.dtype)), torch.zeros((), dtype=value.dtype))
            found[name] = value * factor[..., None]
        return found


class _Arrivals:
    """What comes to the states of the first gradient, by the path it came on."""

    def __init__(self, final: dict[str, Tensor]) -> None:
        self._readout = {name: value.clone() for name, value in final.items()}
        self._slots: list[tuple[tuple[str, ...], str, Tensor]] | None = None
        self._n = 0

    def enter(self, n: int) -> None:
        """Make room for a stretch of n steps."""
        self._n = n
        self._stored: list[tuple[tuple[str, ...], str, Tensor]] = []
        self._read: dict[str, Tensor] = {}

    def store(self, i: int, local: dict[str, Tensor]) -> None:
        """Keep what has come to the i-th step, and what the loss itself adds there."""
        for name, value in local.items():
            self._readout[name] = self._readout[name] + value if name in self._readout else value
        for name, value in self._readout.items():
            if name not in self._read:
                self._read[name] = value.new_zeros(self._n, *value.shape)
            self._read[name][i] = value
        if self._slots is None:
            return
        if not self._stored:
            self._stored = [(ls, n, v.new_zeros(len(v), self._n, *v.shape[1:])) for ls, n, v in self._slots]
        for (_, _, room), (_, _, value) in zip(self._stored, self._slots, strict=True):
            room[:, i] = value

    def take(self, parts: list[Part], active: Tensor | None, fresh: Tensor | None) -> None:
        """What a step sends to the one before it; a row that does not take it passes on what it got."""
        slots = [(labels, name, value[:, 0]) for labels, name, value in parts]
        if active is not None:
            before = [torch.zeros_like(v) for _, _, v in slots] if self._slots is None else [v for *_, v in self._slots]
            both = zip(slots, before, strict=True)
            slots = [(labels, name, torch.where(active, value, old)) for (labels, name, value), old in both]
            self._readout = {name: value * ~active for name, value in self._readout.items()}
        else:
            self._readout = {}
        if fresh is not None:
            slots = [(labels, name, value * ~fresh) for labels, name, value in slots]
            self._readout = {name: value * ~fresh for name, value in self._readout.items()}
        self._slots = slots

    def rescale(self, factor: Tensor) -> None:
        """Follow the first gradient's scale, [B, 1]."""
        self._readout = {name: value * factor for name, value in self._readout.items()}
        if self._slots is not None:
            self._slots = [(labels, name, value * factor) for labels, name, value in self._slots]

    def by_label(self) -> dict[str, dict[str, Tensor]]:
        """What came to each state in the stretch, by path and state, [n, B, S]."""
        found: dict[str, dict[str, Tensor]] = {READOUT: dict(self._read)}
        for labels, name, value in self._stored:
            for label, part in zip(labels, value, strict=True):
                home = found.setdefault(label, {})
                home[name] = home[name] + part if name in home else part
        return found


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

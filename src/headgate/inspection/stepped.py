"""The reverse pass by torch's operations, step by step: on any device, in any dtype, for any cell."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from headgate.inspection.adjoint import READOUT, Adjoint
from headgate.inspection.backstep import Part, Sweep
from headgate.inspection.loss import LARGEST_SHIFT, RESCALED_EVERY, Loss
from headgate.inspection.piece import Piece
from headgate.inspection.run import Run


class Stepped:
    """One reverse pass; call `through` from the last stretch of steps to the first.

    Args:
        adjoint: the run.
        loss: what is followed.
        paths: also keep apart by which path what comes to the first gradient's states came.
        gates: whether gradients cross the recurrent matrices; otherwise they follow the highway alone.
    """

    def __init__(self, adjoint: Adjoint, loss: Loss, paths: bool, gates: bool) -> None:
        self.adjoint = adjoint
        run, B, device = adjoint.run, adjoint.run.input.shape[1], adjoint.run.input.device
        sources, which = loss.chosen(run)
        gradients = len(sources)
        self._crossing = gradients if gates else 0
        self._local = _Local(run, loss.local, sources, which)
        self._cuts = loss.cuts
        self._scale = torch.zeros(gradients, B, dtype=torch.long, device=device)
        self._scaled = False
        self._carried = {n: value.new_zeros(gradients, *value.shape) for n, value in run.initial.items()}
        for name, value in loss.ends(run).items():
            self._carried[name] += value
        self._arrivals = _Arrivals({n: self._carried[n][0] for n in loss.final}) if paths else None
        self._initial = {n: torch.zeros_like(value) for n, value in self._carried.items()}
        self._whole = run.active[..., 0].all(1).tolist()
        self._fresh = run.fresh[..., 0].any(1).tolist()

    def stretches(self) -> list[tuple[int, int]]:
        """Pieces of time, (start, stop), from the beginning."""
        return list(self.adjoint.stretches())

    def initial(self) -> dict[str, Tensor]:
        """What came to the initial states, by name, [R, B, S], when all is done; not scaled."""
        return {name: value + self._unscaled(self._carried[name]) for name, value in self._initial.items()}

    def through(self, start: int, stop: int) -> Piece:
        """Go back through steps start..stop, in the order of the run."""
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
        arrivals = self._arrivals
        arrived = None if arrivals is None else arrivals.by_label()
        return Piece(start, stop, total, scale, None if arrivals is None else lambda: arrived)

    def _hand_on(self, swept: Sweep, t: int) -> None:
        """What the step before receives."""
        active = None if self._whole[t] else self.adjoint.run.active[t]
        fresh = self.adjoint.run.fresh[t] if self._fresh[t] else None
        for name, value in swept.passed.items():
            if active is not None:
                value = torch.where(active, value, self._carried[name])
            if fresh is not None:
                self._initial[name] += self._unscaled(value * fresh)
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
            factor = torch.where(added, torch.exp2(-scale.to(value.dtype)), value.new_zeros(()))
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

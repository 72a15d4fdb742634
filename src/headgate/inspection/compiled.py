"""The reverse pass in the compiled library, on what its forward run kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from headgate.engines.cpu.adjoint import Passed, Scaling, Sources, Way
from headgate.inspection.adjoint import HIGHWAY, READOUT, Adjoint
from headgate.inspection.loss import LARGEST_SHIFT, RESCALED_EVERY, Loss, last_steps
from headgate.inspection.piece import Piece

# So many numbers are brought by one stretch: few beside what a run holds, and near the processor.
AT_ONCE = 6_000_000

Arrived = dict[str, dict[str, Tensor]]


class Compiled:
    """One reverse pass; call `through` from the last stretch of steps to the first.

    Args:
        adjoint: the run, of which the engine kept what it needs.
        loss, paths, gates: as for `stepped.Stepped`.
    """

    def __init__(self, adjoint: Adjoint, loss: Loss, paths: bool, gates: bool) -> None:
        run, blocks = adjoint.run, adjoint.route.graph.products
        sources, which = loss.chosen(run)
        self._adjoint, self._loss, self._which = adjoint, loss, which[0]
        followed = Sources(
            loss.local,
            loss.ends(run),
            which,
            sources,
            [(g, label) for g, label in loss.cuts if label in blocks],
            frozenset(g for g, label in loss.cuts if label == HIGHWAY),
        )
        largest = LARGEST_SHIFT[run.input.dtype]
        scaling = Scaling(RESCALED_EVERY[run.input.dtype], largest // 8, -largest)
        self._way = Way(run.kept, followed, scaling, apart=paths, alone=not gates)
        self._arrivals = _Arrivals(adjoint, loss, sources[0], followed.final) if paths else None

    def stretches(self) -> list[tuple[int, int]]:
        """Pieces of time, (start, stop), from the beginning."""
        T = len(self._adjoint.run.input)
        length = max(1, AT_ONCE // max(1, self._way.numbers_a_step))
        return [(start, min(start + length, T)) for start in range(0, T, length)]

    def initial(self) -> dict[str, Tensor]:
        """What came to the initial states, by name, [R, B, S], when all is done; not scaled."""
        return self._way.initial

    def through(self, start: int, stop: int) -> Piece:
        """Go back through steps start..stop, in the order of the run."""
        passed = self._way.through(start, stop)
        arrived = None if self._arrivals is None else self._arrivals.of(passed, start, stop)
        steps = self._way.steps
        return Piece(
            start,
            stop,
            passed.total,
            passed.scale,
            arrived,
            lambda gate: passed.column(steps.x[gate]),
            lambda block: passed.column(steps.blocks[block]),
        )


@dataclass
class _Step:
    """What one step handed back of the first gradient, by path and state, [B, S], in units of 2**scale [B]."""

    parts: Arrived
    scale: Tensor


class _Arrivals:
    """What came to the states of the first gradient, by the path it came on."""

    def __init__(self, adjoint: Adjoint, loss: Loss, source: Tensor, final: Mapping[str, Tensor]) -> None:
        self._adjoint, self._source = adjoint, source
        which = 0 if loss.which is None else loss.which[0]
        self._local = {name: value if value.dim() == 3 else value[which] for name, value in loss.local.items()}
        self._final = {name: value[0] for name, value in final.items()}
        self._last = last_steps(adjoint.run)
        run = adjoint.run
        self._whole, self._later = bool(run.active.all() and not run.fresh.any()), None

    def of(self, passed: Passed, start: int, stop: int) -> Arrived:
        """What came to steps start..stop."""
        handed = self._handed(passed, start, stop)
        scale = passed.scale[0]
        found = {
            label: {name: self._one_earlier(value, label, name, scale) for name, value in parts.items()}
            for label, parts in handed.items()
        }
        first = {label: {name: v[0].clone() for name, v in parts.items()} for label, parts in handed.items()}
        self._later = _Step(first, scale[0].clone())
        return {READOUT: self._read(scale, start, stop)} | found

    def _handed(self, passed: Passed, start: int, stop: int) -> Arrived:
        """What each step handed back, by path and state, [n, B, S]; nothing where a state was restored before it."""
        adjoint = self._adjoint
        found: Arrived = {HIGHWAY: dict(passed.along)}
        for group in adjoint.route.groups:
            for name, part in adjoint.route.ways[group.argument].old:
                factor = adjoint.values([part], start, stop)[0]
                for block in group.blocks:
                    value = passed.parts[block]
                    same = isinstance(factor, float) and factor == 1.0
                    found.setdefault(block, {})[name] = value if same else value * factor
        if self._whole:
            return found
        goes_on = adjoint.run.active[start:stop] & ~adjoint.run.fresh[start:stop]
        nothing = passed.scale.new_zeros((), dtype=adjoint.run.input.dtype)
        return {
            label: {name: torch.where(goes_on, value, nothing) for name, value in parts.items()}
            for label, parts in found.items()
        }

    def _one_earlier(self, value: Tensor, label: str, name: str, scale: Tensor) -> Tensor:
        """What steps handed back, [n, B, S], at the steps it came to, in their scale."""
        later = self._later
        last = torch.zeros_like(value[0]) if later is None else later.parts[label][name]
        after = torch.cat([scale[1:], scale[-1:] if later is None else later.scale[None]])
        found = torch.cat([value[1:], last[None]])
        shift = after - scale
        return torch.ldexp(found, shift[..., None]) if shift.any() else found

    def _read(self, scale: Tensor, start: int, stop: int) -> dict[str, Tensor]:
        """What the loss itself brings, by state."""
        run, found = self._adjoint.run, {}
        steps = torch.arange(start, stop)[:, None]
        for name, value in self._local.items():
            value = value[start:stop]
            if (self._source >= 0).any():
                value = value * ((self._source < 0) | (self._source == steps))[..., None]
            found[name] = value if self._whole else value * run.active[start:stop]
        for name, value in self._final.items():
            here = (self._last == steps)[..., None] * value
            found[name] = found[name] + here if name in found else here
        return {name: torch.ldexp(v, -scale[..., None]) if scale.any() else v for name, v in found.items()}

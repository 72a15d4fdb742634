"""The reverse pass in the compiled library, on what its forward run kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from headgate.engines.cpu.adjoint import Passed, Scaling, Sources, Way
from headgate.inspection.adjoint import HIGHWAY, READOUT, Adjoint
from headgate.inspection.loss import LARGEST_SHIFT, RESCALED_EVERY, Loss, last_steps
from headgate.inspection.piece import Piece

# So many bytes are brought by one stretch: few beside what a run holds, and near the processor.
AT_ONCE = 24_000_000

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
        length = max(1, AT_ONCE // max(1, self._way.bytes_a_step))
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


class _Arrivals:
    """What came to the states of the first gradient, by the path it came on."""

    def __init__(self, adjoint: Adjoint, loss: Loss, source: Tensor, final: Mapping[str, Tensor]) -> None:
        self._adjoint, self._source = adjoint, source
        which = 0 if loss.which is None else loss.which[0]
        self._local = {name: value if value.dim() == 3 else value[which] for name, value in loss.local.items()}
        self._final = {name: value[0] for name, value in final.items()}
        run = adjoint.run
        self._last, self._goes_on = last_steps(run), run.active & ~run.fresh
        self._whole = bool(self._goes_on.all())
        self._scale: Tensor | None = None  # of the first step of the stretch before

    def of(self, passed: Passed, start: int, stop: int) -> Callable[[], Arrived]:
        """What came to steps start..stop; to be asked for before the next stretch is made."""
        scale = passed.scale[0]
        after = torch.cat([scale[1:], scale[-1:] if self._scale is None else self._scale])
        self._scale = scale[:1]
        largest = LARGEST_SHIFT[self._adjoint.run.input.dtype]
        # Between neighbours it changes by more only where nothing is handed on, or next to nothing.
        shift = (after - scale).clamp(-largest, largest)
        return lambda: {READOUT: self._read(scale, start, stop)} | self._handed(passed, shift, start, stop)

    def _handed(self, passed: Passed, shift: Tensor, start: int, stop: int) -> Arrived:
        """What each step got from the one after it, by path and state, [n, B, S]."""
        found: Arrived = {HIGHWAY: self._scaled(passed.along(), shift, start)}
        parts = self._scaled(passed.parts(), shift, start)
        adjoint = self._adjoint
        T = len(adjoint.run.input)
        for group in adjoint.route.groups:
            for name, part in adjoint.route.ways[group.argument].old:
                factor = adjoint.values([part], start + 1, min(stop + 1, T), taken=True)[0]
                if isinstance(factor, Tensor) and factor.dim() == 3 and stop == T:
                    factor = torch.cat([factor, torch.zeros_like(factor[:1])])  # nothing comes to the last step
                for block in group.blocks:
                    same = isinstance(factor, float) and factor == 1.0
                    found.setdefault(block, {})[name] = parts[block] if same else parts[block] * factor
        return found

    def _scaled(self, values: dict[str, Tensor], shift: Tensor, start: int) -> dict[str, Tensor]:
        """In each step's own scale; nothing from where a state was restored before the step after."""
        if not self._whole:
            after = self._goes_on[start + 1 : start + 1 + len(shift)]
            after = torch.cat([after, after.new_zeros(len(shift) - len(after), *after.shape[1:])])
            values = {name: torch.where(after, value, 0.0) for name, value in values.items()}
        steps = shift.any(1).nonzero()[:, 0]
        for value in values.values() if len(steps) else ():
            value[steps] *= torch.exp2(shift[steps].to(value.dtype))[..., None]
        return values

    def _read(self, scale: Tensor, start: int, stop: int) -> dict[str, Tensor]:
        """What the loss itself brings, by state."""
        run, found = self._adjoint.run, {}
        steps = torch.arange(start, stop, device="cpu")[:, None]
        for name, value in self._local.items():
            value = value[start:stop]
            if (self._source >= 0).any():
                value = value * ((self._source < 0) | (self._source == steps))[..., None]
            found[name] = value if self._whole else torch.where(run.active[start:stop], value, 0.0)
        for name, value in self._final.items():
            here = (self._last == steps)[..., None] * value
            found[name] = found[name] + here if name in found else here
        if not scale.any():
            return found
        # Where a loss is added the scale is no lower than this.
        scale = scale.clamp_min(-LARGEST_SHIFT[run.input.dtype])
        factor = torch.exp2(-scale.to(run.input.dtype))[..., None]
        return {name: value * factor for name, value in found.items()}

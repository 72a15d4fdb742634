"""What is followed back through a run: a loss's own derivatives, of all steps or of single ones, paths cut or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from headgate.inspection.run import Run

# After so many steps the scale of a gradient is set anew: in between, it may change by 1e19 (float32: 1e9) a step.
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

    def chosen(self, run: Run) -> tuple[Tensor, list[int]]:
        """`sources` and `which` in full: [R, B], and R numbers."""
        B, device = run.input.shape[1], run.input.device
        sources = torch.full((1, B), -1, device=device) if self.sources is None else self.sources.to(device)
        return sources, list(range(len(sources))) if self.which is None else list(self.which)

    def ends(self, run: Run) -> dict[str, Tensor]:
        """What comes to each row's last states of each gradient, by state, [R, B, S]."""
        sources, which = self.chosen(run)
        ends = ((sources < 0) | (sources == last_steps(run)))[..., None]
        return {name: (value[which] if value.dim() == 3 else value) * ends for name, value in self.final.items()}


def last_steps(run: Run) -> Tensor:
    """The last step that each row takes, in the order of the run, [B]; T where it takes none."""
    T = len(run.active)
    steps = torch.arange(T, device=run.active.device)[:, None]
    last = torch.where(run.active[..., 0], steps, -1).amax(0) if T else run.active.new_full((run.active.shape[1],), -1)
    return torch.where(last < 0, T, last)

"""The loss when no output depends on more than the last k inputs, in models whose recurrent layers feed each other.

Windows of one layer are run side by side (`headgate.inspection.context`); windows of layers that read each other's
windows would add up. So here time is cut into blocks of k steps, at the same steps in every layer and module: what
comes out at the end of a block was made of the inputs of that block and of no others, however many layers it went
through. Only there is the window as long as was asked, so the model is run k times, each time with the cuts a step
later, and from each run the outputs at its blocks' ends are taken. Put together, they are what the rest of the model
reads in one more run.

All modules have to run forward. What reads a reverse direction sees what comes after its own step, at any distance:
there is no window of past inputs that it could be limited to and that becomes the whole as it grows.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from headgate.engines import Call, Result
from headgate.inspection.layers import Opened, run_layers
from headgate.inspection.override import run
from headgate.inspection.trials import Trials


def in_blocks(trials: Trials, batch: int, k: int) -> Tensor:
    """The losses of a batch with every recurrent layer's outputs made of the last k inputs alone, [B].

    Modules have to run through time in the same order. What lies between them reads outputs of the same block; where it
    reads other steps as well, as attention does, it reads them as they are in a block that is shorter there.

    Args:
        trials: within its with-block.
        batch: which one.
        k: steps, at least 1.

    Raises:
        RuntimeError: modules take different numbers of steps, so their blocks are not the same steps; or one begins
            with a state that another one made, whose block is over by then.
    """
    ends: dict[tuple[int, int], _Ends] = {}
    for phase in range(k):
        trials.run_whole(batch, _Blocks(k, phase, ends))
    return trials.run_whole(batch, _Blocks(k, None, ends))


class _Ends:
    """What a module's call gives at the ends of its blocks, filled in block by block."""

    def __init__(self, opened: Opened) -> None:
        self.initial = opened.initial
        T, B = opened.input.shape[:2]
        self.output = opened.input.new_zeros(T, B, opened.layer.output_size)
        self.final = tuple(state.clone() for state in opened.initial)


class _Blocks:
    """Runs each module with its states restored at the steps phase, phase + k, ...; or, without a phase, gives what was
    taken from the ends of the blocks.

    Modules are known by their twins, and calls of one by their number.
    """

    def __init__(self, k: int, phase: int | None, ends: dict[tuple[int, int], _Ends]) -> None:
        self._k, self._phase, self._ends = k, phase, ends
        self._calls: dict[int, int] = {}

    def __call__(self, opened: Opened) -> tuple[Tensor, tuple[Tensor, ...]]:
        who = id(opened.layer)
        count = self._calls[who] = self._calls.get(who, 0) + 1
        ends = self._ends.setdefault((who, count), _Ends(opened))
        _check_aligned(ends, opened, self._ends)
        if self._phase is None:
            return ends.output, ends.final
        return self._run(opened, ends)

    def _run(self, opened: Opened, ends: _Ends) -> tuple[Tensor, tuple[Tensor, ...]]:
        finals: list[tuple[Tensor, ...]] = []
        steps = torch.arange(len(opened.input), device=opened.input.device)
        begins = ((steps % self._k == self._phase) & (steps > 0))[:, None].expand(opened.input.shape[:2])

        def one(call: Call, index: int) -> Tensor:
            result: Result = run(replace(call, reset=begins if call.reset is None else begins | call.reset))
            finals.append(result.final)
            return result.output

        output = run_layers(opened, one)
        final = tuple(torch.stack(states) for states in zip(*finals, strict=True))
        # A block ends before the next begins.
        last, rows = (steps + 1) % self._k == self._phase, opened.steps % self._k == self._phase
        ends.output[last] = output[last]
        for kept, now in zip(ends.final, final, strict=True):
            kept[:, rows] = now[:, rows].to(kept.dtype)
        return output, final


def _check_aligned(ends: _Ends, opened: Opened, known: dict[tuple[int, int], _Ends]) -> None:
    lengths = {len(one.output) for one in known.values()}
    if len(lengths) > 1:
        there = " and ".join(map(str, sorted(lengths)))
        raise RuntimeError(
            "use_curve: every_step=True cuts time into blocks at the same steps in all recurrent modules, but they are "
            f"called with {there} steps; use every_step=False."
        )
    if not all(map(torch.equal, ends.initial, opened.initial)):
        raise RuntimeError(
            "use_curve: every_step=True cuts the memory of each recurrent module, but one begins with a state that "
            "another one made, and what that state holds would come by without a cut; use every_step=False."
        )

"""A gate or the memory of one layer and direction held at something else, and the losses that come of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from headgate.engines import Call, Result
from headgate.inspection.override import Recording, Target, from_bias, run_overridden, run_recording
from headgate.inspection.replay import Play
from headgate.inspection.trials import Place, Trials

KINDS = ("mean", "time mean", "shuffle rows", "shuffle time", "zero", "one", "freeze")
FROM_ALL_BATCHES = ("mean", "time mean")
STILL = ("mean", "zero", "one", "freeze")
# Batches of no more rows than this are run under several conditions at once, as rows of one call: a product with a few
# rows takes little longer than with one. So many numbers of an output may that make.
FEW_ROWS, AT_ONCE = 4, 30_000_000


@dataclass(frozen=True)
class Condition:
    """A gate (or the memory, None) held in some way; `units` are those held, None for all of them."""

    target: Target
    kind: str
    units: tuple[int, ...] | None = None


def hold(
    recordings: Recordings, place: Place, conditions: Sequence[Condition], seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """The losses under each condition, at one layer and direction.

    Args:
        recordings: of the trials to be made.
        place: which layer and direction.
        conditions: what to try.
        seed: of shuffles.

    Returns:
        Each sequence's loss with nothing held but on the same way, [N]: so a value held at what it was gives the same
        loss to the bit. And those of the conditions, [C, N]; NaN where there was nothing to shuffle.
    """
    trials, engine = recordings.trials, recordings.engine
    N = len(trials.base)
    base, found = np.empty(N), np.full((len(conditions), N), np.nan)
    if not conditions:
        return trials.base, found
    means: dict[Target, Means] = {condition.target: Means() for condition in conditions}
    for k, span in enumerate(trials.spans):
        (recorder,), base[span] = recordings.of(k, [place])
        for target, mean in means.items():
            mean.add(recorder, target)
        for c, condition in enumerate(conditions):
            alone = condition.kind == "shuffle rows" and span.stop - span.start == 1
            if condition.kind not in (*FROM_ALL_BATCHES, *STILL) and not alone:
                play = _Holding(condition, recorder, means, (seed, k), engine)
                losses = trials.numbers(k, trials.run(k, {place: play}))
                found[c, span] = losses if play.changed else np.nan
    for k, span in enumerate(trials.spans):
        left = [(c, each) for c, each in enumerate(conditions) if each.kind in (*FROM_ALL_BATCHES, *STILL)]
        plays = {c: _Holding(each, None, means, (seed, k), engine) for c, each in left}
        if span.stop - span.start <= FEW_ROWS and trials.calls(place, k) == 1:
            for target in means:
                still = [c for c, each in left if each.target == target and each.kind in STILL]
                plays |= _Together([plays[c] for c in still], engine).plays(still)
        for c, play in plays.items():
            # The mean over one row is that row: nothing is changed.
            same = conditions[c].kind == "time mean" and N == 1 and conditions[c].units is None
            found[c, span] = base[span] if same else trials.numbers(k, trials.run(k, {place: play}))
    return base, found


class Recordings:
    """Runs of batches with nothing held, and what was in them; the last one is kept, so that who asks again does not
    run it again, and no more than one batch is in memory.

    Args:
        trials: within its with-block.
        engine: to run on; None for the fastest.
    """

    def __init__(self, trials: Trials, engine: str | None = None) -> None:
        self.trials, self.engine = trials, engine
        self._last: tuple[int, tuple[Place, ...]] | None = None
        self._found: tuple[list[Recorder], np.ndarray] | None = None

    def of(self, batch: int, places: Sequence[Place]) -> tuple[list[Recorder], np.ndarray]:
        """What ran at these layers and directions, in one run of a batch, and the losses of its sequences."""
        asked = batch, tuple(places)
        if asked != self._last or self._found is None:
            self._last = self._found = None
            recorders = {place: Recorder(self.engine) for place in places}
            losses = self.trials.numbers(batch, self.trials.run(batch, recorders))
            self._last, self._found = asked, (list(recorders.values()), losses)
        return self._found


class Recorder:
    """Runs as nothing were changed, and keeps what was in it, one entry a call."""

    def __init__(self, engine: str | None) -> None:
        self._engine = engine
        self.calls: list[Recording] = []
        self.active: list[Tensor] = []

    def __call__(self, call: Call, count: int) -> Result:
        self.calls.append(run_recording(call, self._engine))
        self.active.append(active_steps(call))
        return self.calls[-1].result


def active_steps(call: Call) -> Tensor:
    """Which rows take which steps, [T, B]."""
    T, B = call.input.shape[:2]
    steps = torch.arange(T, device=call.input.device)[:, None]
    return steps < (torch.full((B,), T, device=steps.device) if call.lengths is None else call.lengths)


class Means:
    """Means of a target over rows and steps, and over rows at each step of each call.

    Sums are of differences from the first value seen, so that the mean of what never changes is that value to the bit.
    """

    def __init__(self) -> None:
        self._first: Tensor | None = None
        self._sum: dict[int, Tensor] = {}
        self._number: dict[int, Tensor] = {}

    def add(self, recorder: Recorder, target: Target) -> None:
        for count, (recorded, active) in enumerate(zip(recorder.calls, recorder.active, strict=True)):
            value = recorded.values[target]
            if self._first is None and active.any():
                self._first = value[active][0].double()
            if self._first is None:
                continue
            difference = torch.where(active[..., None], value - self._first, 0.0)
            self._sum[count] = _longer(self._sum.get(count), difference.sum(1))
            self._number[count] = _longer(self._number.get(count), active.sum(1)[:, None].double())

    @property
    def mean(self) -> Tensor:
        """[H] in float64."""
        number = sum(part.sum() for part in self._number.values())
        return self._first + sum(part.sum(0) for part in self._sum.values()) / number

    def by_step(self, count: int, steps: int) -> Tensor:
        """[steps, 1, H] in float64 for a call; where no row took a step, the mean over all steps."""
        found = self.mean.repeat(steps, 1)
        if count in self._sum:
            total, number = self._sum[count][:steps], self._number[count][:steps]
            found[: len(total)] = torch.where(number > 0, self._first + total / number.clamp_min(1), self.mean)
        return found[:, None]


def _longer(old: Tensor | None, new: Tensor) -> Tensor:
    """Sums of as many steps as the longer has."""
    if old is None:
        return new
    if len(old) < len(new):
        old, new = new, old
    old = old.clone()
    old[: len(new)] += new
    return old


class _Holding:
    """Runs with a condition; `changed` says whether it could do anything."""

    def __init__(
        self,
        condition: Condition,
        recorder: Recorder | None,
        means: dict[Target, Means],
        seed: tuple[int, int],
        engine: str | None,
    ) -> None:
        self._condition, self._recorder, self._engine = condition, recorder, engine
        self._means, self._seed = means[condition.target], seed
        self.changed = False

    def __call__(self, call: Call, count: int) -> Result:
        return run_overridden(call, self.target, self.given(call, count), self.mask(call), self._engine)

    @property
    def target(self) -> Target:
        return self._condition.target

    def mask(self, call: Call) -> Tensor:
        """One for the units that are held, [H]."""
        H = len(call.weights["weight_ih"]) // len(call.cell.gate_names)
        if self._condition.units is None:
            return torch.ones(H, device="cpu")
        mask = torch.zeros(H, device="cpu")
        mask[list(self._condition.units)] = 1.0
        return mask

    def given(self, call: Call, count: int) -> Tensor:
        """What they are held at, [H] or [T, B, H]."""
        kind, target = self._condition.kind, self._condition.target
        shuffle = {"shuffle rows": shuffled_rows, "shuffle time": shuffled_time}.get(kind)
        if shuffle is not None:
            random = torch.Generator().manual_seed(hash((*self._seed, count)) % 2**63)
            value, active = self._recorder.calls[count].values[target], self._recorder.active[count]
            value, changed = shuffle(value, active, random)
            self.changed |= changed
            return value
        self.changed = True
        if kind == "mean":
            return self._means.mean
        if kind == "time mean":
            T, B = call.input.shape[:2]
            return self._means.by_step(count, T).expand(T, B, -1)
        if kind == "freeze":
            return from_bias(call, self._engine)[target]
        H = len(call.weights["weight_ih"]) // len(call.cell.gate_names)
        return torch.full((H,), {"zero": 0.0, "one": 1.0}[kind], device="cpu")


class _Together:
    """Conditions on one target whose values stand still, run side by side as rows of one call.

    What goes into the layer is the same under each of them, so one run of the layer serves all; the rest of the model
    is then run for each with its part of what came out.
    """

    def __init__(self, holdings: Sequence[_Holding], engine: str | None) -> None:
        self._holdings, self._engine = list(holdings), engine
        self._results: dict[int, Result] = {}

    def plays(self, keys: Sequence[int]) -> dict[int, Play]:
        """Each condition's play, by its key."""
        return {key: lambda call, count, k=k: self._result(k, call, count) for k, key in enumerate(keys)}

    def _result(self, k: int, call: Call, count: int) -> Result:
        if k not in self._results:
            self._results = {}
            T, B = call.input.shape[:2]
            size = max(1, AT_ONCE // max(1, T * B * call.initial[0].shape[-1]))
            part = self._holdings[k : k + size]
            givens = torch.stack([each.given(call, count) for each in part]).repeat_interleave(B, 0)
            masks = torch.stack([each.mask(call) for each in part]).repeat_interleave(B, 0)
            whole = run_overridden(_repeated(call, len(part)), part[0].target, givens, masks, self._engine)
            self._results = {k + j: _rows(whole, slice(j * B, (j + 1) * B)) for j in range(len(part))}
        # Asked for once: what was handed out is not kept.
        return self._results.pop(k)


def _repeated(call: Call, times: int) -> Call:
    """The same rows so many times."""
    return replace(
        call,
        input=call.input.repeat(1, times, 1),
        initial=tuple(state.repeat(times, 1) for state in call.initial),
        lengths=None if call.lengths is None else call.lengths.repeat(times),
        reset=None if call.reset is None else call.reset.repeat(1, times),
    )


def _rows(result: Result, rows: slice) -> Result:
    return Result(result.output[:, rows], tuple(state[rows] for state in result.final))


def shuffled_rows(value: Tensor, active: Tensor, random: torch.Generator) -> tuple[Tensor, bool]:
    """At each step every row gets another row's value: among those that take the step, the next in a random circle.

    A row's giver stays the same as long as it takes steps, so that what is handed over is a sequence.

    Args:
        value: [T, B, H].
        active: [T, B] bool.

    Returns:
        The values, and whether any step had two rows to exchange.
    """
    T, B = active.shape
    order = torch.randperm(B, generator=random).to(active.device)
    # In the circle, those that take the step first; each is followed by the next of them.
    place = torch.argsort((~active[:, order]).byte(), dim=1, stable=True)
    number = active.sum(1, keepdim=True)
    rank = torch.arange(B, device=active.device).expand(T, B)
    after = torch.where(rank < number, (rank + 1) % number.clamp_min(1), rank)
    giver = torch.empty_like(place).scatter_(1, order[place], order[place.gather(1, after)])
    return value.gather(1, giver[..., None].expand_as(value)), bool((number > 1).any())


def shuffled_time(value: Tensor, active: Tensor, random: torch.Generator) -> tuple[Tensor, bool]:
    """Every row's own values in another order of its steps, the same for all units; arguments as `shuffled_rows`."""
    keys = torch.rand(active.shape, generator=random, device="cpu").to(active.device)
    order = torch.argsort(torch.where(active, keys, 2.0), dim=0)
    return value.gather(0, order[..., None].expand_as(value)), bool((active.sum(0) > 1).any())


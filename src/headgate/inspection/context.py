"""How far back a model uses what it remembers: its loss when the memory reaches only so far (M21).

Every layer and direction of every recurrent module is limited at once, each in the steps and the order of its own
run: a reverse direction, which ends at the first step, forgets all but the first k.

Without `every_step` the states are restored to their initial values once, k steps before each row's end, so that
the last state depends on the last k inputs and on no others. That is for a loss that reads each row's last step or
last state, and costs k steps a lag, about two runs for all default lags: what was run before the cut is taken from
the run with nothing cut. What a model reads from outputs before that step by another way, as attention and pooling
do, goes by no memory and stays.

With `every_step` no output depends on more than the last k inputs at all: each step of each row is run from the
initial state over its own window of k steps, exactly. That is for a loss that reads every step, and costs k runs a
lag; with T steps and the default lags about 2 T runs altogether. How that is done with several recurrent modules
stands in `headgate.inspection.blocks`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from headgate.engines import Call, Result
from headgate.inspection.blocks import in_blocks
from headgate.inspection.bootstrap import RESAMPLES, SHARE, Paired, check
from headgate.inspection.layers import Opened, run_layers
from headgate.inspection.override import run
from headgate.inspection.trials import Losses, Trials

# Steps of each row that are run before its states are restored, [B], by its length, [B].
Cut = Callable[[Tensor], Tensor]
WITHIN = 0.01
_AT_ONCE = 1 << 24  # numbers of the gates that are worked on in one go


@dataclass(frozen=True)
class UseCurve:
    """What a limited memory costs.

    Attributes:
        lags: steps that the memory reaches, ascending; the last is all of them, [K].
        excess: low end, middle and high end of loss with that memory minus loss with all of it, [K, 3], in the unit of
            the loss, with 95 % intervals.
        losses: of every sequence, [K, N].
        loss: of every sequence with all of the memory, [N].
        used: k_1%, the smallest of `lags` from which on the excess stays within `allowed`.
        allowed: what counts as no loss, in the unit of the loss.
        rule: how that came about.
        every_step: whether the memory was limited at every step, or cut once before the end.
    """

    lags: np.ndarray
    excess: np.ndarray
    losses: np.ndarray
    loss: np.ndarray
    used: int
    allowed: float
    rule: str
    every_step: bool


@dataclass(frozen=True)
class StateReset:
    """What a state restored to its initial value half way costs.

    Attributes:
        effect: low end, middle and high end, [3], in `unit`.
        losses: of every sequence, [N].
        loss: of every sequence without it, [N].
        chance, unit: see `Paired`.
    """

    effect: np.ndarray
    losses: np.ndarray
    loss: np.ndarray
    chance: float | None
    unit: str


def use_curve(
    model: nn.Module,
    batches: Iterable[Any],
    losses: Losses,
    lags: Sequence[int] | None = None,
    chance: float | None = None,
    seed: int = 0,
    *,
    every_step: bool = False,
    needs_lag: int | None = None,
    resamples: int = RESAMPLES,
) -> UseCurve:
    """The loss with a memory that reaches k steps, beside that with all of it (Khandelwal et al. 2018).

    Args:
        model, batches, losses, chance, seed, resamples: as in `ablate`.
        lags: numbers of steps; None for 1, 2, 4, ..., and some about `needs_lag`. The longest row's length is always
            among them.
        every_step: limit the memory at every step, and not once before the end.
        needs_lag: how many steps back the task reaches, if known. A memory of so many steps lacks what the task needs,
            and one of a step more has it, so both are tried, and a quarter below and above.

    Raises:
        ValueError: lags that are no numbers of steps, and as in `ablate`.
        RuntimeError: a module is called step by step, its state handed from call to call, so no call knows the end;
            with `every_step`: something may read a reverse direction, modules take different numbers of steps, or one
            begins with another's state.
    """
    check(chance, resamples)
    with Trials(model, batches, losses, seed) as trials:
        return used(trials, lags, chance, seed, every_step=every_step, needs_lag=needs_lag, resamples=resamples)


def used(
    trials: Trials,
    lags: Sequence[int] | None = None,
    chance: float | None = None,
    seed: int = 0,
    *,
    every_step: bool = False,
    needs_lag: int | None = None,
    further: Sequence[int] = (),
    resamples: int = RESAMPLES,
) -> UseCurve:
    """`use_curve` within trials that are already under way, of `further` lags as well."""
    _refuse_chains(trials)
    steps = np.unique([*_lags(lags, trials.longest, needs_lag), *(lag for lag in further if lag < trials.longest)])
    if every_step:
        _refuse_reverse(trials)
        found = np.stack([_by_windows(trials, int(lag)) for lag in steps[:-1]] + [trials.base])
    else:
        found = np.stack([*_cut_once(trials, [_last(int(lag)) for lag in steps[:-1]]), trials.base])
    paired = Paired(trials.base, chance, seed, resamples)
    if paired.unit == SHARE:
        allowed, rule = WITHIN * paired.scale, f"within {WITHIN:.0%} of (chance - loss)"
    else:
        why = "no chance level was given" if chance is None else "the loss is not better than chance"
        allowed, rule = WITHIN * abs(float(trials.base.mean())), f"within {WITHIN:.0%} of the loss, since {why}"
    excess = paired.effects(found, raw=True)
    # Written so that an excess that is no number is not within.
    beyond = np.flatnonzero(~(excess[:, 1] <= allowed))
    used = int(steps[beyond[-1] + 1 if len(beyond) else 0])
    return UseCurve(steps, excess, found, trials.base, used, allowed, rule, every_step)


def _by_windows(trials: Trials, lag: int) -> np.ndarray:
    """Every sequence's loss with windows of so many steps, [N]."""
    if len({place.module for place in trials.places()}) == 1:
        runs = (trials.run_whole(k, _Windows(lag)) for k in range(len(trials.batches)))
    else:
        runs = (in_blocks(trials, k, lag) for k in range(len(trials.batches)))
    return np.concatenate([trials.numbers(k, losses) for k, losses in enumerate(runs)])


def _cut_once(trials: Trials, cuts: Sequence[Cut]) -> np.ndarray:
    """Every sequence's loss with the states restored once, for each way to place that, [cut, N]."""
    found = np.empty((len(cuts), len(trials.base)))
    places = trials.places()
    for k, span in enumerate(trials.spans) if len(cuts) else ():
        kept = {place: _Kept() for place in places}
        trials.run(k, kept)
        for c, cut in enumerate(cuts):
            plays = {place: _Restored(cut, whole) for place, whole in kept.items()}
            found[c, span] = trials.numbers(k, trials.run(k, plays))
    return found


def state_reset(
    model: nn.Module,
    batches: Iterable[Any],
    losses: Losses,
    chance: float | None = None,
    seed: int = 0,
    *,
    resamples: int = RESAMPLES,
) -> StateReset:
    """The loss when every recurrent state is restored to its initial value once, half way through each row.

    Arguments and errors as in `use_curve`.
    """
    check(chance, resamples)
    with Trials(model, batches, losses, seed) as trials:
        return reset_half_way(trials, chance, seed, resamples)


def reset_half_way(
    trials: Trials, chance: float | None = None, seed: int = 0, resamples: int = RESAMPLES
) -> StateReset:
    """`state_reset` within trials that are already under way."""
    _refuse_chains(trials)
    (found,) = _cut_once(trials, [lambda length: length // 2])
    paired = Paired(trials.base, chance, seed, resamples)
    return StateReset(paired.effects(found), found, trials.base, chance, paired.unit)


def _lags(lags: Sequence[int] | None, longest: int, needs_lag: int | None) -> np.ndarray:
    if lags is None:
        near = [] if needs_lag is None else [needs_lag - needs_lag // 4, needs_lag, needs_lag + 1]
        near += [] if needs_lag is None else [needs_lag + max(2, needs_lag // 4)]
        lags = [*(1 << power for power in range(longest.bit_length())), *near]
    for lag in lags:
        if isinstance(lag, bool) or int(lag) != lag or lag < 1:
            raise ValueError(f"use_curve: {lag!r} among the lags is no number of steps; give whole numbers above 0.")
    return np.array(sorted({int(lag) for lag in lags if lag < longest} | {longest}))


def _refuse_chains(trials: Trials) -> None:
    for name, replays in trials.called.items():
        if any(replay.chained for replay in replays):
            raise RuntimeError(
                f"{name or 'the model'} is called several times in a row, with states given, so no call of it knows "
                "where the row ends; give it whole sequences to see how far back it is used."
            )


def _refuse_reverse(trials: Trials) -> None:
    modules = {place.module for place in trials.places()}
    if any(module.bidirectional and (module.num_layers > 1 or len(modules) > 1) for module in modules):
        raise RuntimeError(
            "use_curve: every_step=True limits what comes before a step, but a layer or module that reads a reverse "
            "direction sees what comes after it, at any distance, so no window of the past becomes the whole as it "
            "grows; use every_step=False."
        )


def _last(lag: int) -> Cut:
    """So many steps before the end of each row."""
    return lambda length: length - lag


class _Kept:
    """Runs as nothing were changed, and keeps each call and what came of it."""

    def __init__(self) -> None:
        self.calls: list[tuple[Call, Result]] = []

    def __call__(self, call: Call, count: int) -> Result:
        self.calls.append((call, run(call)))
        return self.calls[-1][1]


class _Restored:
    """Runs with the states restored once; `cut` gives, for each row's length, the steps run before that, [B]."""

    def __init__(self, cut: Cut, kept: _Kept) -> None:
        self._cut, self._kept = cut, kept

    def __call__(self, call: Call, count: int) -> Result:
        T, B = call.input.shape[:2]
        steps = torch.arange(T, device=call.input.device)[:, None]
        length = torch.full((B,), T, device=steps.device) if call.lengths is None else call.lengths
        before = self._cut(length).clamp(min=0)
        first = steps >= length - before if call.reverse else steps < before
        known, result = self._kept.calls[count]
        if _same(known, call, first & (steps < length)):
            return _with_last(call, result, before, length - before)
        # In time, a reset stands between a step and the one before it, whichever of them is run first.
        reset = (steps == (length - before if call.reverse else before)) & (before > 0) & (before < length)
        return run(replace(call, reset=reset if call.reset is None else reset | call.reset))


def _same(one: Call, other: Call, steps: Tensor) -> bool:
    """Whether two calls of a layer and direction begin alike and are given the same at these steps, [T, B]."""
    changed = (one.input != other.input).any(-1) & steps
    return not changed.any() and all(map(torch.equal, one.initial, other.initial))


def _with_last(call: Call, whole: Result, before: Tensor, last: Tensor) -> Result:
    """A call's result of which the last steps of each row are run from its initial state, the others known.

    Args:
        call: of which nothing but those steps is run.
        whole: what the others are taken from.
        before: steps of each row that are known, [B].
        last: and of those that are run, [B].
    """
    T, B = call.input.shape[:2]
    row, steps = torch.arange(B, device=last.device), torch.arange(int(last.max()) if B else 0, device=last.device)
    # A reverse direction ends at the first step in time.
    times = (steps[:, None] + (torch.zeros_like(before) if call.reverse else before)).clamp_max(T - 1)
    reset = None if call.reset is None else call.reset[times, row]
    found = run(replace(call, input=call.input[times, row], lengths=last, reset=reset))
    output, taken = whole.output.clone(), steps[:, None] < last
    output[times[taken], row.expand_as(times)[taken]] = found.output[taken]
    return Result(output, found.final)


class _Windows:
    """Runs a module with each step's output made from the initial state and the last k inputs alone."""

    def __init__(self, k: int) -> None:
        self._k = k

    def __call__(self, opened: Opened) -> tuple[Tensor, tuple[Tensor, ...]]:
        layer, (T, B) = opened.layer, opened.input.shape[:2]
        outputs = []
        finals: list[list[Tensor]] = [[] for _ in range(layer.num_layers * layer.num_directions)]
        for direction in range(layer.num_directions):
            output = opened.input.new_zeros(T, B, layer.output_size)
            own = finals[direction :: layer.num_directions]
            for index, final in enumerate(own):
                at = index * layer.num_directions + direction
                final += [state[at].clone() for state in opened.initial]
            many = max(1, _AT_ONCE // (self._k * B * layer.hidden_size * len(layer.cell.gate_names)))
            for first in range(0, T, many):
                times = torch.arange(first, min(first + many, T), device=output.device)
                self._run(opened, times, direction, output, own)
            outputs.append(output)
        states = tuple(torch.stack(states) for states in zip(*finals, strict=True))
        return torch.cat(outputs, -1), states

    def _run(
        self, opened: Opened, times: Tensor, direction: int, output: Tensor, finals: list[list[Tensor]]
    ) -> None:
        """The windows of some steps; fills in the outputs there, and the final states of rows that end there."""
        k, B, length = self._k, opened.input.shape[1], opened.steps
        at, row = times.repeat_interleave(B), torch.arange(B, device=times.device).repeat(len(times))
        if direction:
            start, end = at, torch.minimum(at + k, length[row])
        else:
            start, end = (at + 1 - k).clamp_min(0), at + 1
        taken = at < length[row]
        steps = torch.where(taken, end - start, 0)
        index = (start + torch.arange(k, device=times.device)[:, None]).clamp_max(len(opened.input) - 1)
        reset = opened.arguments.reset
        windows = replace(
            opened,
            arguments=replace(opened.arguments, reset=None if reset is None else reset[index, row]),
            input=opened.input[index, row],
            lengths=steps,
            initial=tuple(state[:, row] for state in opened.initial),
        )
        D = opened.layer.num_directions
        found: list[tuple[Tensor, ...]] = []

        def one(call: Call, place: int) -> Tensor:
            if place % D != direction:
                return call.input.new_zeros(*call.input.shape[:2], opened.layer.output_size)
            result = run(call)
            found.append(result.final)
            return result.output

        run_layers(windows, one)
        last = found[-1][0].to(output.dtype)
        output[times] = torch.where(taken[:, None], last, 0.0).view(len(times), B, -1)
        ends = at == (torch.zeros_like(at) if direction else length[row] - 1)
        for final, states in zip(finals, found, strict=True):
            for own, state in zip(final, states, strict=True):
                own[row[ends & taken]] = state[ends & taken].to(own.dtype)

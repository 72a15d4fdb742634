"""How far back a model uses what it remembers: its loss when the memory reaches only so far (M21).

Every layer and direction of every recurrent module is limited at once, each in the steps and the order of its own
run: a reverse direction, which ends at the first step, forgets all but the first k.

Without `every_step` the states are restored to their initial values once, k steps before each row's end, so that
the last state depends on the last k inputs and on no others. That is for a loss that reads each row's last step or
last state, and costs one run a lag. What a model reads from outputs before that step by another way, as attention
and pooling do, goes by no memory and stays.

With `every_step` no output depends on more than the last k inputs at all: each step of each row is run from the
initial state over its own window of k steps, exactly. That is for a loss that reads every step, and costs k runs a
lag; with T steps and the default lags about 2 T runs altogether.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from headgate.engines import Call, Result
from headgate.inspection.bootstrap import RESAMPLES, SHARE, Paired, check
from headgate.inspection.layers import Opened, run_layers
from headgate.inspection.override import run
from headgate.inspection.replay import Play
from headgate.inspection.trials import Losses, Trials

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
    resamples: int = RESAMPLES,
) -> UseCurve:
    """The loss with a memory that reaches k steps, beside that with all of it (Khandelwal et al. 2018).

    Args:
        model, batches, losses, chance, seed, resamples: as in `ablate`.
        lags: numbers of steps; None for 1, 2, 4, ... The longest row's length is always among them.
        every_step: limit the memory at every step, and not once before the end.

    Raises:
        ValueError: lags that are no numbers of steps, and as in `ablate`.
        RuntimeError: a module is called step by step, its state handed from call to call, so no call knows the end;
            with `every_step`: there are several recurrent modules, or layers that read a reverse direction, whose
            windows would add up.
    """
    check(chance, resamples)
    with Trials(model, batches, losses, seed) as trials:
        _refuse_chains(trials)
        if every_step:
            _refuse_windows(trials)
        steps = _lags(lags, trials.longest)
        found = np.stack([_limited(trials, int(lag), every_step) for lag in steps[:-1]] + [trials.base])
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


def _limited(trials: Trials, lag: int, every_step: bool) -> np.ndarray:
    """Every sequence's loss with a memory of so many steps, [N]."""
    plays = dict.fromkeys(trials.places(), _restored(lambda length: length - lag))
    batches = range(len(trials.batches))
    runs = (trials.run_whole(k, _Windows(lag)) if every_step else trials.run(k, plays) for k in batches)
    return np.concatenate([trials.numbers(k, losses) for k, losses in enumerate(runs)])


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
        _refuse_chains(trials)
        plays = dict.fromkeys(trials.places(), _restored(lambda length: length // 2))
        found = np.concatenate([trials.numbers(k, trials.run(k, plays)) for k in range(len(trials.batches))])
    paired = Paired(trials.base, chance, seed, resamples)
    return StateReset(paired.effects(found), found, trials.base, chance, paired.unit)


def _lags(lags: Sequence[int] | None, longest: int) -> np.ndarray:
    if lags is None:
        lags = [1 << power for power in range(longest.bit_length())]
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


def _refuse_windows(trials: Trials) -> None:
    places = trials.places()
    modules = {place.module for place in places}
    if len(modules) > 1:
        raise RuntimeError(
            f"use_curve: every_step=True knows windows of one recurrent module, but {len(modules)} are called, whose "
            "windows would add up; use every_step=False."
        )
    (module,) = modules
    if module.bidirectional and module.num_layers > 1:
        raise RuntimeError(
            "use_curve: every_step=True cannot limit layers that read a reverse direction, which has seen what comes "
            "after their window; use every_step=False."
        )


def _restored(place: Callable[[Tensor], Tensor]) -> Play:
    """Runs with the states restored once; `place` gives, for each row's length, the steps run before that, [B]."""

    def play(call: Call, count: int) -> Result:
        T, B = call.input.shape[:2]
        steps = torch.arange(T, device=call.input.device)[:, None]
        length = torch.full((B,), T, device=steps.device) if call.lengths is None else call.lengths
        before = place(length)
        # In time, a reset stands between a step and the one before it, whichever of them is run first.
        reset = (steps == (length - before if call.reverse else before)) & (before > 0) & (before < length)
        return run(replace(call, reset=reset if call.reset is None else reset | call.reset))

    return play


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

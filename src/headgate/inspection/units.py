"""Which units the loss needs: each one's memory held at its mean, by a cheap score for all and in truth for some.

Held, a unit's memory is its mean over rows and steps, m_j, after every step. What the score says of that is

    dL_j = sum_t dL/dc_t,j * (d_t,j - k_t,j d_t-1,j),    d_t,j = m_j - c_t,j

with dL/dc_t the total derivative, through all later steps, k_t the memory's own factor from the step before (f, z),
and d = 0 before the first step. Derivation: while the unit is held, step t starts from m_j in the place of c_t-1,j,
so by the highway alone it would make c_t,j + k_t,j d_t-1,j; holding adds what is missing to m_j, and each such
addition costs its size times dL/dc_t,j to first order. It is exact where the loss is linear in the memory and no
gate sees the unit. The plain Taylor score, sum_t dL/dc_t,j d_t,j (as Molchanov et al. 2017, arXiv 1611.06440, for a
unit set to zero), counts what the highway carries on anew at every step: up to tau times too much for a unit that
keeps for tau steps.

The sum is the derivative of the loss by the mask of an `Overridden` cell whose memory is given m_j - k_t,j d_t-1,j,
so one backward pass gives it for all units of all layers. In a model that is at a minimum of its loss the scores of
single sequences cancel in their mean, so the units to be held in truth are chosen by the root mean square of the
sequences' own scores; and where the loss is flat, as when every answer is right beyond doubt, the score says
nothing. `pairs` shows how far it can be trusted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from headgate.engines import Call, Result
from headgate.inspection.bootstrap import RESAMPLES, Paired, check
from headgate.inspection.holding import Condition, Means, Recorder, Recordings, hold
from headgate.inspection.override import MEMORY, overridden_cell, run_overridden
from headgate.inspection.trials import Losses, Place, Trials

VERIFY = 16


@dataclass(frozen=True)
class UnitSweep:
    """What holding a unit's memory at its mean does to the loss, for one layer and direction.

    Attributes:
        name: the layer and direction, as `watch` names it.
        memory: which state.
        mean: what each unit is held at, [H].
        predicted: the first-order score of every unit, [H], in `unit`; see `sweep_units`.
        spread: root mean square, over rows, of the sequence's own score, [H], in `unit`: by it the units to be held in
            truth are chosen.
        kill: low end, middle and high end of the true effect, [H, 3], in `unit`; NaN for units that were not held.
        units: those that were, ascending, [V].
        losses: of every sequence with each of them held, [V, N].
        loss: of every sequence with nothing held, [N].
        chance, unit: see `Paired`.
    """

    name: str
    memory: str
    mean: np.ndarray
    predicted: np.ndarray
    spread: np.ndarray
    kill: np.ndarray
    units: np.ndarray
    losses: np.ndarray
    loss: np.ndarray
    chance: float | None
    unit: str

    @property
    def pairs(self) -> np.ndarray:
        """Predicted and true effect of each unit held in truth, [V, 2]."""
        return np.stack([self.predicted[self.units], self.kill[self.units, 1]], 1)


def sweep_units(
    model: nn.Module,
    batches: Iterable[Any],
    losses: Losses,
    names: Sequence[str] | None = None,
    verify: int = VERIFY,
    units: Mapping[str, Sequence[int]] | None = None,
    chance: float | None = None,
    seed: int = 0,
    *,
    resamples: int = RESAMPLES,
    engine: str | None = None,
) -> dict[str, UnitSweep]:
    """Score every unit of every layer and direction, and hold those of the highest and the lowest scores in truth.

    See the top of this file for the score.

    Args:
        model, batches, losses, names, chance, seed, resamples, engine: as in `ablate`.
        verify: how many units of the highest and how many of the lowest scores to hold in truth.
        units: further units to hold, by name of the layer and direction (say, those whose gates are constant).

    Raises:
        ValueError: a number that cannot be meant, a unit that is not there, or a loss without a gradient.
        KeyError, TypeError, RuntimeError: as `Trials` and `overriding`.
    """
    check(chance, resamples)
    with Trials(model, batches, losses, seed) as trials:
        return units_held(Recordings(trials, engine), trials.places(names), verify, units, chance, seed, resamples)


def units_held(
    recordings: Recordings,
    places: Sequence[Place],
    verify: int = VERIFY,
    units: Mapping[str, Sequence[int]] | None = None,
    chance: float | None = None,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> dict[str, UnitSweep]:
    """`sweep_units` within trials that are already under way."""
    if isinstance(verify, bool) or not isinstance(verify, int) or verify < 0:
        raise ValueError(f"sweep_units: verify={verify!r} is no number of units; give a whole number, 0 or above.")
    places = [place for place in places if MEMORY in overridden_cell(place.cell).targets]
    for name in units or {}:
        if name not in {place.name for place in places}:
            there = ", ".join(repr(place.name) for place in places)
            raise KeyError(f"sweep_units: units are given for {name!r}, but what is looked at is {there}.")
    found, means = {}, _means(recordings, places)
    scores = _scores(recordings, places, means)
    for place in places:
        mean, own = means[place].cpu().numpy(), scores[place]
        spread = np.sqrt((own**2).mean(0))
        chosen = _chosen(place.name, spread, verify, (units or {}).get(place.name, ()))
        base, tried = hold(recordings, place, [Condition(MEMORY, "mean", (int(u),)) for u in chosen], seed)
        paired = Paired(base, chance, seed, resamples)
        kill = np.full((len(mean), 3), np.nan)
        kill[chosen] = paired.effects(tried)
        found[place.name] = UnitSweep(
            name=place.name,
            memory=place.cell.memory,
            mean=mean,
            predicted=own.sum(0) / len(base) / paired.scale,
            spread=spread / paired.scale,
            kill=kill,
            units=chosen,
            losses=tried,
            loss=base,
            chance=chance,
            unit=paired.unit,
        )
    return found


def _means(recordings: Recordings, places: Sequence[Place]) -> dict[Place, Tensor]:
    """Each unit's mean memory over rows and steps, [H] in float64."""
    found = {place: Means() for place in places}
    for k in range(len(recordings.trials.batches)) if places else ():
        for place, recorder in zip(places, recordings.of(k, places)[0], strict=True):
            found[place].add(recorder, MEMORY)
    return {place: mean.mean for place, mean in found.items()}


def _scores(
    recordings: Recordings, places: Sequence[Place], means: Mapping[Place, Tensor]
) -> dict[Place, np.ndarray]:
    """Every row's score, [rows, H], of the loss of its sequence."""
    trials = recordings.trials
    found: dict[Place, list[Tensor]] = {place: [] for place in places}
    for k in range(len(trials.batches)) if places else ():
        recorders = dict(zip(places, recordings.of(k, places)[0], strict=True))
        plays = {place: _Open(means[place], recorders[place], recordings.engine) for place in places}
        losses = trials.run(k, plays, gradient=True)
        masks = [mask for play in plays.values() for mask in play.masks]
        if not losses.requires_grad:
            raise ValueError(
                "sweep_units: no gradient comes from losses(model, batch); compute them without no_grad, item, argmax."
            )
        gradients = iter(torch.autograd.grad(losses.sum(), masks, allow_unused=True, materialize_grads=True))
        for place, play in plays.items():
            own = [next(gradients).double() for _ in play.masks]
            # Of several calls, what a row got in each adds up, where rows are sequences.
            found[place].append(sum(own) if all(len(part) == len(losses) for part in own) else torch.cat(own))
    return {place: torch.cat(parts).cpu().numpy() for place, parts in found.items()}


class _Open:
    """Runs with the memory open to be held, but not held: a mask of zeros, by which the loss can be differentiated."""

    def __init__(self, mean: Tensor, recorder: Recorder, engine: str | None) -> None:
        self._mean, self._recorder, self._engine = mean, recorder, engine
        self.masks: list[Tensor] = []

    def __call__(self, call: Call, count: int) -> Result:
        self.masks.append(self._mean.new_zeros(call.input.shape[1], len(self._mean)).requires_grad_())
        recorded = self._recorder.calls[count]
        given = self._mean
        if recorded.keep is not None:
            away = torch.where(self._recorder.active[count][..., None], self._mean - recorded.values[MEMORY], 0.0)
            given = self._mean - recorded.keep * _step_before(away, call)
        return run_overridden(call, MEMORY, given, self.masks[-1], self._engine)


def _step_before(value: Tensor, call: Call) -> Tensor:
    """What stood at the step run before each, [T, B, H] in time; zero where a run begins or the state is restored."""
    nothing = torch.zeros_like(value[:1])
    if call.reverse:
        before = torch.cat([value[1:], nothing])
        begins = None if call.reset is None else torch.cat([call.reset[1:], torch.ones_like(call.reset[:1])])
    else:
        before = torch.cat([nothing, value[:-1]])
        begins = call.reset
    return before if begins is None else torch.where(begins[..., None], 0.0, before)


def _chosen(name: str, score: np.ndarray, verify: int, further: Sequence[int]) -> np.ndarray:
    """The units of the highest and lowest scores, and further ones, ascending."""
    for unit in further:
        if not 0 <= unit < len(score):
            raise ValueError(f"sweep_units: {name} has no unit {unit}; its units are 0..{len(score) - 1}.")
    order = np.argsort(-score, kind="stable")
    ends = [*order[:verify], *order[max(verify, len(order) - verify) :]]
    return np.unique(np.array([*ends, *further], dtype=int))

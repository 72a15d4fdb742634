"""What a gate does for the loss: the model run again with the gate held at something else (inspection.md 2.6).

Kinds, each for all units of the gate at once:

    mean          each unit's mean over rows and steps: what it does beyond being there
    time mean     each unit's mean over rows, step by step: what it does beyond a fixed schedule
    shuffle rows  another row's gate, step by step: the same values, but they say nothing of this row
    shuffle time  the row's own gate with its steps in another order, the same for all units
    zero, one     that value; the network has never met it, so this says what breaks, not what is used
    freeze        the gate from its bias alone, sigma(b)

Means and shuffles are over the steps that rows take, and the model is not trained anew: an effect is what the trained
model relies on, not what a model needs. A cell's own equations are followed, so of f = 1 - i, holding i moves f too.

Gates are ablated by Greff et al. 2017, Jozefowicz et al. 2015 and Levy et al. 2018; shuffles are permutation importance
(Breiman 2001).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn

from headgate.graph import trace
from headgate.inspection.bootstrap import RESAMPLES, SHARE, Paired, check
from headgate.inspection.holding import KINDS, Condition, Recordings, hold
from headgate.inspection.override import overridden_cell
from headgate.inspection.trials import Losses, Place, Trials


@dataclass(frozen=True)
class Ablation:
    """What became of the loss when each gate of one layer and direction was held at something else.

    Attributes:
        name: the layer and direction, as `watch` names it.
        gates, kinds: the axes.
        effect: low end, middle and high end of each effect, [gate, kind, 3], in `unit`; NaN where nothing could be done
            (a gate that the step does not compute, nothing to shuffle) or a loss was infinite.
        losses: of every sequence, [gate, kind, N]; NaN where the sequence could not be tried.
        loss: of every sequence with nothing changed, [N].
        chance: as it was given.
        unit: of `effect`, see `Paired`.
    """

    name: str
    gates: tuple[str, ...]
    kinds: tuple[str, ...]
    effect: np.ndarray
    losses: np.ndarray
    loss: np.ndarray
    chance: float | None
    unit: str

    @property
    def by_row(self) -> np.ndarray:
        """The effect on each sequence by itself, in `unit`, [gate, kind, N]: its mean over those that were tried is
        `effect` where all were; NaN where the sequence could not be tried or its loss was infinite."""
        scale = self.chance - self.loss.mean() if self.unit == SHARE else 1.0
        found = (self.losses - self.loss) / scale
        return np.where(np.isfinite(found), found, np.nan)


def ablate(
    model: nn.Module,
    batches: Iterable[Any],
    losses: Losses,
    names: Sequence[str] | None = None,
    kinds: Sequence[str] = KINDS,
    chance: float | None = None,
    seed: int = 0,
    *,
    resamples: int = RESAMPLES,
    engine: str | None = None,
) -> dict[str, Ablation]:
    """Hold every gate of every layer and direction, one at a time, and see what the loss becomes.

    Args:
        model: any module; it is in evaluation mode meanwhile.
        batches: whatever `losses` takes; gone through once and kept.
        losses: `losses(model, batch)`, the loss of each sequence, [B].
        names: layers and directions, as `watch` names them; None for all.
        kinds: some of KINDS, see above.
        chance: mean loss of the best answer that does not look at the sequence, which turns effects into shares of what
            was learnt; without it, or where the model is not better, they are differences of losses.
        seed: of shuffles, resamples and whatever the model draws.
        resamples: for the intervals.
        engine: to run changed cells on; None for the fastest. The compiled one compiles a changed cell once, which
            takes seconds, and keeps it.

    Returns:
        By name. A cell without gates has no rows.

    Raises:
        ValueError: an unknown kind, no batches, or a chance level that is no number.
        KeyError, TypeError, RuntimeError: as `Trials` and `overriding`.
    """
    _check_kinds(kinds)
    check(chance, resamples)
    with Trials(model, batches, losses, seed) as trials:
        return gates_held(Recordings(trials, engine), trials.places(names), kinds, chance, seed, resamples)


def gates_held(
    recordings: Recordings,
    places: Sequence[Place],
    kinds: Sequence[str] = KINDS,
    chance: float | None = None,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> dict[str, Ablation]:
    """`ablate` within trials that are already under way."""
    found = {}
    for place in places:
        gates = tuple(trace(place.cell).gates)
        able = [gate for gate in gates if gate in overridden_cell(place.cell).targets]
        conditions = [Condition(gate, kind) for gate in able for kind in kinds]
        base, tried = hold(recordings, place, conditions, seed)
        whole = np.full((len(gates), len(kinds), len(base)), np.nan)
        whole[[gates.index(gate) for gate in able]] = tried.reshape(len(able), len(kinds), len(base))
        paired = Paired(base, chance, seed, resamples)
        effect = paired.effects(whole)
        found[place.name] = Ablation(place.name, gates, tuple(kinds), effect, whole, base, chance, paired.unit)
    return found


@dataclass(frozen=True)
class UnitAblation:
    """What became of the loss when single units of gates were held.

    Attributes:
        name: the layer and direction, as `watch` names it.
        pairs: gate and unit, [P].
        kinds: in which ways.
        effect: low end, middle and high end of each effect, [P, kind, 3], in `unit`, as in `Ablation`.
        losses: of every sequence, [P, kind, N].
        loss: of every sequence with nothing changed, [N].
        chance, unit: see `Paired`.
    """

    name: str
    pairs: tuple[tuple[str, int], ...]
    kinds: tuple[str, ...]
    effect: np.ndarray
    losses: np.ndarray
    loss: np.ndarray
    chance: float | None
    unit: str


def ablate_units(
    model: nn.Module,
    batches: Iterable[Any],
    losses: Losses,
    name: str,
    pairs: Sequence[tuple[str, int]],
    kinds: Sequence[str] = ("mean", "shuffle rows"),
    chance: float | None = None,
    seed: int = 0,
    *,
    resamples: int = RESAMPLES,
    engine: str | None = None,
) -> UnitAblation:
    """Hold one unit of a gate at a time, and see what the loss becomes: one run over the batches for each pair and
    kind.

    Args:
        name: a layer and direction, as `watch` names it.
        pairs: gate and unit.
        model, batches, losses, kinds, chance, seed, resamples, engine: as in `ablate`.

    Raises:
        ValueError: an unknown kind, gate or unit, and as in `ablate`.
        KeyError, TypeError, RuntimeError: as `Trials` and `overriding`.
    """
    _check_kinds(kinds)
    check(chance, resamples)
    with Trials(model, batches, losses, seed) as trials:
        (place,) = trials.places([name])
        gates = [gate for gate in trace(place.cell).gates if gate in overridden_cell(place.cell).targets]
        for gate, unit in pairs:
            if gate not in gates or not 0 <= unit < place.module.hidden_size:
                raise ValueError(
                    f"ablate_units: {place.name} has no gate {gate!r} of unit {unit}; it has {', '.join(gates)}, of "
                    f"units 0..{place.module.hidden_size - 1}."
                )
        conditions = [Condition(gate, kind, (int(unit),)) for gate, unit in pairs for kind in kinds]
        base, tried = hold(Recordings(trials, engine), place, conditions, seed)
    paired, tried = Paired(base, chance, seed, resamples), tried.reshape(len(pairs), len(kinds), len(base))
    effect = paired.effects(tried)
    return UnitAblation(place.name, tuple(pairs), tuple(kinds), effect, tried, base, chance, paired.unit)


def _check_kinds(kinds: Sequence[str]) -> None:
    for kind in kinds:
        if kind not in KINDS:
            raise ValueError(f"ablate: there is no kind {kind!r}; there are {', '.join(map(repr, KINDS))}.")

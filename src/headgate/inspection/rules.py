"""When something may be said about a layer's memory: one function a verdict, numbers in, a `Verdict` or None out.

The rules stand here once, for the verdicts of a finished measurement and for the warnings during training alike. They
see plain numbers only, and compute nothing but the comparison. Quantities that fade with lag come as log10, as in a
Record. Where a rule needs to know how far back the task reaches and nobody said so, it stays silent.

None of the numbers found in the literature is calibrated on recurrent depth; every one of them is a setting.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from headgate.inspection.thresholds import DEFAULTS, Thresholds, Verdict

# Low end, middle and high end of what removing something costs: (loss - loss before) / (chance - loss before).
Interval = tuple[float, float, float]

AUTOTRAINER = "AUTOTRAINER, Zhang et al. 2021"
SAGEMAKER = "SageMaker Debugger"
PASCANU = "Pascanu, Mikolov & Bengio 2013"
KARPATHY = "Karpathy, Johnson & Fei-Fei 2015"
GREFF = "Greff et al. 2017 (ablation)"
TALLEC = "Tallec & Ollivier 2018; Mahto et al. 2021"
AICHER = "Aicher, Foti & Fox 2019"
VOGT = "Vogt et al. 2020"
ARITHMETIC = "arithmetic of the number format"


# --- gradients --------------------------------------------------------------------------------------------------


def gradient_dead(
    lags: Sequence[int],
    largest_entry: Sequence[float],
    floor: float,
    dtype: str,
    needs_lag: int | None = None,
) -> Verdict | None:
    """No entry of the gradient is a normal number of the format the run computed in: arithmetic, not opinion.

    Args:
        lags: ascending.
        largest_entry: log10 of the largest |entry| of dl/dm at each lag, of the loss as scaled; NaN: not measured.
        floor: log10 of the format's smallest normal number.
        dtype: the format's name.
        needs_lag: how far back the task reaches, if known; without it this is a note.
    """
    largest_entry = np.asarray(largest_entry, dtype=float)
    below = np.flatnonzero(largest_entry < floor)
    if not len(below):
        return None
    lag, value = int(np.asarray(lags)[below[0]]), float(largest_entry[below[0]])
    needed = needs_lag is not None and lag <= needs_lag
    tail = f", and the task reaches {needs_lag} back" if needed else ""
    return Verdict(
        "GRADIENT DEAD",
        "bad" if needed else "note",
        f"From lag {lag} on, the gradient is smaller than any normal {dtype} number, so nothing that far back can be "
        f"learnt in this format{tail}.",
        f"largest |dl/dm_(s-{lag})| = {power(value)}",
        f"largest entry < {power(floor)}, the smallest normal {dtype}",
        ARITHMETIC,
    )


def vanishing(
    at_need: float,
    needs_lag: int | None,
    loss: float | None = None,
    baseline: float | None = None,
    limits: Thresholds = DEFAULTS,
) -> Verdict | None:
    """Little gradient reaches the lag that the task needs, and the loss shows it.

    A faded gradient alone is a state that training may leave by itself, so without a loss and a baseline to judge it
    by this is a note; with a loss that is better than the baseline it is nothing.

    Args:
        at_need: log10 r(needs_lag), the relative gradient there; NaN: not measured.
        needs_lag: how far back the task reaches; None: unknown, so nothing is said.
        loss: the model's, on the same data and in the same unit as `baseline`.
        baseline: loss of the best answer that needs no memory (chance).
    """
    if needs_lag is None or not at_need < math.log10(limits.weak):
        return None
    judged = loss is not None and baseline is not None
    if judged and _better(loss, baseline, limits):
        return None
    strong = at_need < math.log10(limits.strong)
    text = f"Hardly any gradient reaches lag {needs_lag}, which the task needs"
    if judged:
        text += f", and the loss ({loss:.3g}) is not better than without memory ({baseline:.3g})."
    else:
        text += "; whether that hurts cannot be told without a loss and a baseline."
    return Verdict(
        "VANISHING",
        "note" if not judged else "bad" if strong else "warn",
        text,
        f"r({needs_lag}) = {power(at_need)}",
        f"r(N) < {power(math.log10(limits.strong if strong else limits.weak))} and loss not better than the baseline "
        f"by {limits.better_by:.0%}",
        SAGEMAKER + "; " + AUTOTRAINER if strong else AUTOTRAINER,
    )


def exploding(
    growth: float | None = None,
    at_lag: int | None = None,
    norm: float | None = None,
    usual_norm: float | None = None,
    lyapunov: float | None = None,
    steps: int | None = None,
    loss: float | None = None,
    product: float | None = None,
    limits: Thresholds = DEFAULTS,
) -> Verdict | None:
    """The gradient grows on its way back, jumps between updates, or is no number. Whatever is None is not judged.

    Args:
        growth: log10 of the largest relative gradient over all lags, max_k r(k); NaN: not measured.
        at_lag: the k where that stands.
        norm: norm of the gradient of all parameters at this update.
        usual_norm: its running median.
        lyapunov: largest Lyapunov exponent, per step.
        steps: the length T over which it would act.
        loss: of this update; only whether it is a number counts.
        product: log10 of the norm of the Jacobians' product over those k steps; None: not measured. Where it is small,
            what grows is not this layer's doing: a layer above hands a gradient to steps far apart.
    """
    for what, value in {"loss": loss, "norm of the gradient": norm}.items():
        if value is not None and not math.isfinite(value):
            return _explodes("bad", f"{what} = {value}", "not a finite number", ARITHMETIC, "is no longer a number")
    own = product is None or product > math.log10(limits.growth)
    if growth is not None and growth > math.log10(limits.growth) and own:
        number, rule = f"r({'k' if at_lag is None else at_lag}) = {power(growth)}", f"max r(k) > {limits.growth:g}"
        if product is not None:
            number += f", norm of the Jacobians' product {power(product)}"
            rule += ", and so is the norm of the Jacobians' product"
        return _explodes("bad", number, rule, AUTOTRAINER, "grows on its way back in time")
    if norm is not None and usual_norm and norm > limits.norm_jump * usual_norm:
        number, rule = f"norm = {norm:.3g}, usually {usual_norm:.3g}", f"norm > {limits.norm_jump:g} x running median"
        return _explodes("warn", number, rule, PASCANU, "jumped at this update")
    if lyapunov is not None and steps is not None and lyapunov > 0 and lyapunov * steps > math.log(limits.growth):
        number = f"exponent = {lyapunov:.3g} per step, T = {steps}"
        return _explodes("warn", number, f"exponent > 0 and exponent x T > ln {limits.growth:g}", VOGT, "can grow")
    return None


def _explodes(level: str, number: str, rule: str, source: str, how: str) -> Verdict:
    text = f"The gradient {how}; clip its norm or lower the step size."
    return Verdict("EXPLODING", level, text, number, rule, source)


def tbptt_blind(
    needs_lag: int | None, tbptt: int | None, truncation: float | None = None, limits: Thresholds = DEFAULTS
) -> Verdict | None:
    """Truncated back-propagation cuts the gradient before it reaches what the task needs, or bends it.

    Args:
        needs_lag: how far back the task reaches, if known.
        tbptt: steps after which the gradient is cut, if it is.
        truncation: 1 - cosine between the parameter gradient truncated there and the whole, if measured.
    """
    if needs_lag is not None and tbptt is not None and needs_lag > tbptt:
        text = f"The gradient is cut after {tbptt} steps, but the task reaches {needs_lag} back."
        return Verdict("TBPTT-BLIND", "bad", text, f"N = {needs_lag}, cut at {tbptt}", "N > truncation length", AICHER)
    if tbptt is not None and truncation is not None and truncation > limits.truncation:
        text = f"Cutting the gradient after {tbptt} steps turns the update away from the whole gradient."
        number, rule = f"1 - cosine = {truncation:.2g}", f"1 - cosine > {limits.truncation:g}"
        return Verdict("TBPTT-BLIND", "warn", text, number, rule, AICHER)
    return None


# --- memory -----------------------------------------------------------------------------------------------------


def need_unknown(needs_lag: int | None) -> Verdict | None:
    """Nobody said how far back the task reaches, so nothing is judged by it."""
    if needs_lag is not None:
        return None
    return Verdict(
        "NEED UNKNOWN",
        "note",
        "How far back the task reaches is not known, so the horizons are not judged; say needs_lag=N to have them "
        "judged.",
        "needs_lag = None",
        "no verdict on a horizon without a stated need",
        "headgate",
    )


def remembers(
    at_need: float, stored: float | None, needs_lag: int | None, limits: Thresholds = DEFAULTS
) -> Verdict | None:
    """What the task needs can be stored and can be trained.

    Args:
        at_need: log10 r(needs_lag).
        stored: longest time scale of the memory, steps; None for a cell without a highway.
        needs_lag: how far back the task reaches; None: unknown, so nothing is said.
    """
    if needs_lag is None or stored is None or not (at_need >= math.log10(limits.weak) and stored >= needs_lag):
        return None
    return Verdict(
        "REMEMBERS",
        "good",
        f"The memory holds {steps_of(stored)} and gradient reaches lag {needs_lag}, which the task needs.",
        f"r({needs_lag}) = {power(at_need)}, longest time scale {steps_of(stored)}",
        f"r(N) >= {power(math.log10(limits.weak))} and longest time scale >= N",
        f"{AUTOTRAINER}; {TALLEC}",
    )


def short_memory(
    timescales: Sequence[float] | None, needs_lag: int | None, rest: float | None = None, limits: Thresholds = DEFAULTS
) -> Verdict | None:
    """No unit's own factor holds as long as the task needs, and the gate paths do not make up for it.

    Args:
        timescales: of every unit, steps; negative where the memory grows; None for a cell without a highway. The
            longest counts: one unit may be the whole memory.
        needs_lag: how far back the task reaches; None: unknown, so nothing is said.
        rest: log10, at that lag, of the gradient without the pure highway's part, relative to lag 0; None: not
            measured, which leaves a note.
    """
    if needs_lag is None or timescales is None or not len(timescales):
        return None
    longest = longest_of(timescales)
    if not longest < needs_lag or (rest is not None and not rest < math.log10(limits.weak)):
        return None
    unmeasured = "" if rest is not None else "; what the gate paths add was not measured"
    return Verdict(
        "SHORT MEMORY BY DESIGN",
        "note" if rest is None else "warn",
        f"No unit's gates hold longer than {steps_of(longest)}, but the task reaches {needs_lag} back{unmeasured}.",
        f"longest time scale {steps_of(longest)}" + ("" if rest is None else f", rest({needs_lag}) = {power(rest)}"),
        f"longest time scale < N and rest(N) < {power(math.log10(limits.weak))}",
        TALLEC,
    )


def dtype_capped(dtype: str, needs_lag: int | None, limits: Thresholds = DEFAULTS) -> Verdict | None:
    """A gate held in this number format cannot stay open that long: its largest value below 1 is too small.

    Args:
        dtype: the format that the gates were computed in, as "bfloat16".
        needs_lag: how far back the task reaches; None: unknown, so nothing is said.
    """
    cap = {"bfloat16": limits.cap_bfloat16, "float16": limits.cap_float16}.get(dtype)
    if needs_lag is None or cap is None or needs_lag <= cap:
        return None
    text = f"A {dtype} gate is exactly 1 or forgets within {cap} steps, but the task reaches {needs_lag} back."
    return Verdict("DTYPE-CAPPED", "warn", text, f"N = {needs_lag}", f"N > {cap} with gates in {dtype}", ARITHMETIC)


# --- gates ------------------------------------------------------------------------------------------------------


def constant_units(
    deviation: Sequence[float], low: Sequence[float], high: Sequence[float], limits: Thresholds = DEFAULTS
) -> np.ndarray:
    """Which units' gate is constant, [H] bool: it hardly moves and stands at one end of its range.

    Args:
        deviation: standard deviation of the pre-activation over steps and rows, logit units, [H].
        low, high: share of steps at the low and the high end of the range, [H].
    """
    ends = np.maximum(np.asarray(low, dtype=float), np.asarray(high, dtype=float))
    return (np.asarray(deviation, dtype=float) < limits.constant_deviation) & (ends >= limits.constant_share)


def gate_constant(
    gate: str,
    deviation: Sequence[float],
    low: Sequence[float],
    high: Sequence[float],
    limits: Thresholds = DEFAULTS,
) -> Verdict | None:
    """Many units of a gate are constant: a statistical flag, which does not tell the memory from what is dead.

    Args:
        gate: its name; the rest as for `constant_units`.
    """
    found, H = int(constant_units(deviation, low, high, limits).sum()), len(deviation)
    if found < limits.constant_units * H or not found:
        return None
    return Verdict(
        "CONSTANT",
        "note",
        f"Gate {gate} is constant in {found} of {H} units; only removing them tells a memory from dead weight.",
        f"{found} of {H} units",
        f"{_constant_rule(limits)}, in {limits.constant_units:.0%} of the units",
        f"{KARPATHY}; {SAGEMAKER}",
        gate,
    )


def triage(
    gate: str,
    unit: int,
    deviation: float,
    low: float,
    high: float,
    kill: Interval | None = None,
    shuffled: Interval | None = None,
    averaged: Interval | None = None,
    limits: Thresholds = DEFAULTS,
) -> Verdict | None:
    """What one unit's gate is: a statistical flag first, then the cause.

    A constant one is an INTEGRATOR if holding the unit's memory at its mean costs loss, and DEAD if it does not;
    without that experiment it is CONSTANT. One that varies is DECORATIVE if neither shuffling the gate nor averaging
    it costs loss.

    Args:
        gate, unit: which.
        deviation, low, high: of that unit, as for `constant_units`.
        kill: cost of holding the unit's memory at its mean.
        shuffled, averaged: cost of shuffling this gate over rows, and of its mean.
    """
    who, about, rule = f"Gate {gate} of unit {unit}", f"{gate}, unit {unit}", _constant_rule(limits)
    if bool(constant_units([deviation], [low], [high], limits)[0]):
        number = f"deviation {deviation:.2g}, at one end {max(low, high):.0%} of the steps"
        if kill is None:
            text = f"{who} is constant; only removing it tells a memory from dead weight."
            return Verdict("CONSTANT", "note", text, number, rule, f"{KARPATHY}; {SAGEMAKER}", about)
        cost = f"{number}, kill {_interval(kill)}"
        if kill[0] > 0:
            text = f"{who} is constant and the loss needs it: it integrates or latches."
            return Verdict("INTEGRATOR", "note", text, cost, f"{rule}, and kill interval above 0", GREFF, about)
        text = f"{who} is constant and the loss does not need it: it can be pruned."
        return Verdict("DEAD", "note", text, cost, f"{rule}, and kill interval not above 0", GREFF, about)
    costs = [cost for cost in (shuffled, averaged) if cost is not None]
    if len(costs) == 2 and all(cost[0] <= 0 for cost in costs):
        text = f"{who} varies, but its variation does nothing for the loss."
        number = f"shuffled {_interval(costs[0])}, averaged {_interval(costs[1])}"
        return Verdict("DECORATIVE", "note", text, number, "varies, and neither interval above 0", GREFF, about)
    return None


def _constant_rule(limits: Thresholds) -> str:
    return (
        f"deviation of the pre-activation < {limits.constant_deviation:g} and at one end of its range >= "
        f"{limits.constant_share:.0%} of the steps"
    )


# --- numbers in words -------------------------------------------------------------------------------------------


def longest_of(timescales: Sequence[float]) -> float:
    """The longest time scale: infinite where a unit's memory does not fade or grows (a negative one), NaN ignored."""
    values = np.asarray(timescales, dtype=float)
    values = np.where(values < 0, math.inf, values)[~np.isnan(values)]
    return float(values.max()) if len(values) else math.nan


def power(log10: float) -> str:
    """10 to that power in words, at two digits: no underflow."""
    if not math.isfinite(log10):
        return {math.inf: "infinity", -math.inf: "0"}.get(log10, "NaN")
    if -2 <= log10 < 4:
        return f"{10**log10:.2g}" if log10 < 2 else f"{10**log10:.0f}"
    exponent = math.floor(log10)
    digits = f"{10 ** (log10 - exponent):.1f}".removesuffix(".0")
    return f"1e{exponent + 1}" if digits == "10" else f"{digits}e{exponent}"


def steps_of(value: float) -> str:
    """A length of time in words."""
    return "any number of steps" if value == math.inf else f"{value:.3g} steps"


def _better(loss: float, baseline: float, limits: Thresholds) -> bool:
    """Below the baseline by the share asked for; a loss may be negative."""
    return baseline - loss > limits.better_by * abs(baseline)


def _interval(values: Interval) -> str:
    return f"{values[1]:.2g} ({values[0]:.2g} to {values[2]:.2g})"

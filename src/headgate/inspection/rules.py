"""When something may be said about a layer's memory: one function a verdict, numbers in, a `Verdict` or None out.

The rules stand here and, on gates, in `gate_rules`, once, for the verdicts of a finished measurement and for the
warnings during training alike. They see plain numbers only, and compute nothing but the comparison. Quantities that
fade with lag come as log10, as in a Record. Where a rule needs to know how far back the task reaches and nobody said
so, it stays silent.

None of the numbers found in the literature is calibrated on recurrent depth; every one of them is a setting.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from headgate.inspection.thresholds import DEFAULTS, Thresholds, Verdict

# Low end, middle and high end of what removing something costs, as share of what was learnt or in the loss's own unit.
Interval = tuple[float, float, float]

AUTOTRAINER = "AUTOTRAINER, Zhang et al. 2021"
SAGEMAKER = "SageMaker Debugger"
PASCANU = "Pascanu, Mikolov & Bengio 2013"
KARPATHY = "Karpathy, Johnson & Fei-Fei 2015"
GREFF = "Greff et al. 2017 (ablation)"
KHANDELWAL = "Khandelwal et al. 2018 (use)"
TALLEC = "Tallec & Ollivier 2018; Mahto et al. 2021"
AICHER = "Aicher, Foti & Fox 2019"
VOGT = "Vogt et al. 2020"
ARITHMETIC = "arithmetic of the number format"
# The use of what the task needs, and how much of it counts as none.
COST, NOTHING = "95% interval of what a memory of N steps costs", "a hundredth of what was learnt"
# Words and rule where a gradient has vanished and no loss says whether that hurts.
UNJUDGED = "; whether that hurts cannot be told without a loss and a baseline.", ", with nothing to judge the loss by"


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
    *,
    gain: Interval | None = None,
    cut: Interval | None = None,
    nothing: float = 0.0,
) -> Verdict | None:
    """Little gradient reaches the lag that the task needs, and the loss shows it.

    A faded gradient alone is a state that training may leave by itself, so there has to be a loss that is not better
    than the best answer that does without that lag (AUTOTRAINER: reported only if training does not converge). Of such
    answers two may be known, and the loss has to be better than each: chance, which remembers nothing; and the model's
    own with its memory cut to so many steps, which finds a model that lives on what is nearer. Without either this is a
    note.

    Better than chance: on few sequences a loss may lie some per cent below chance by which sequences they are, so an
    interval has to say it. Where there is none, of one sequence or of a batch's mean in training, a share decides,
    `limits.better_by`. Worse when cut: an interval has to say it, and without one that answer is not known.

    Args:
        at_need: log10 r(needs_lag), the relative gradient there; NaN: not measured.
        needs_lag: how far back the task reaches; None: unknown, so nothing is said.
        loss: the model's, on the same data and in the same unit as `baseline`.
        baseline: loss of the best answer that needs no memory (chance).
        gain: baseline - loss over sequences; None or NaN ends: no interval can be told.
        cut: what the loss rises by if the memory reaches `needs_lag` steps and no further; None: not measured.
        nothing: so much of that counts as no use, a hundredth of what was learnt.
    """
    if needs_lag is None or not at_need < math.log10(limits.weak):
        return None
    tried = [_by_chance(loss, baseline, gain, limits), _by_cut(needs_lag, cut, nothing)]
    judged = [one for one in tried if one is not None]
    failed = [(words, rule) for better, words, rule in judged if not better]
    if judged and not failed:
        return None
    strong = at_need < math.log10(limits.strong)
    words, rule = failed[0] if failed else UNJUDGED
    return Verdict(
        "VANISHING",
        "note" if not judged else "bad" if strong else "warn",
        f"Hardly any gradient reaches lag {needs_lag}, which the task needs{words}",
        f"r({needs_lag}) = {power(at_need)}",
        f"r(N) < {power(math.log10(limits.strong if strong else limits.weak))}{rule}",
        SAGEMAKER + "; " + AUTOTRAINER if strong else AUTOTRAINER,
    )


def _by_chance(
    loss: float | None, baseline: float | None, gain: Interval | None, limits: Thresholds
) -> tuple[bool, str, str] | None:
    """Whether the loss is better than chance, and what is said if it is not: words, and the rule; None: unknown."""
    if loss is None or baseline is None:
        return None
    words = f", and the loss ({loss:.3g}) is not better than without memory ({baseline:.3g})"
    if known(gain):
        return gain[0] > 0, f"{words} beyond doubt.", " and 95% interval of chance - loss not above 0"
    better = baseline - loss > limits.better_by * abs(baseline)
    alone = "; of one loss alone there is no interval, so a share decides."
    rule = f" and loss not better than chance by {limits.better_by:.0%}, where there is no interval"
    return better, words + alone, rule


def _by_cut(needs_lag: int, cut: Interval | None, nothing: float) -> tuple[bool, str, str] | None:
    if not known(cut):
        return None
    words = f", and without what is {needs_lag} steps back or more the loss is no worse beyond doubt."
    return cut[0] > nothing, words, f" and {COST} not above {NOTHING}"


def exploding(
    growth: float | None = None,
    at_lag: int | None = None,
    norm: float | None = None,
    usual_norm: float | None = None,
    lyapunov: float | None = None,
    steps: int | None = None,
    loss: float | None = None,
    product: float | None = None,
    usual_loss: float | None = None,
    limits: Thresholds = DEFAULTS,
) -> Verdict | None:
    """The gradient grows on its way back, jumps between updates, or is no number. Whatever is None is not judged.

    A jump of the norm alone is no harm: it comes too when a model leaves a plateau, and the loss falls, and behind a
    loss that has become small any gradient is ten times the usual; and clipping undoes it for the update. So the loss
    has to stand higher than it usually does as well (AUTOTRAINER: reported only if training does not converge); where
    that is not known, this is a note. In training, all of it has to hold at two looks in a row.

    Args:
        growth: log10 of the largest relative gradient over all lags, max_k r(k); NaN: not measured.
        at_lag: the k where that stands.
        norm: norm of the gradient of all parameters at this update.
        usual_norm: its running median.
        lyapunov: largest Lyapunov exponent, per step.
        steps: the length T over which it would act.
        loss: of this update.
        product: log10 of the norm of the Jacobians' product over those k steps; None: not measured. Where it is small,
            what grows is not this layer's doing: a layer above hands a gradient to steps far apart.
        usual_loss: running median of the loss.
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
    jumped = norm is not None and bool(usual_norm) and norm > limits.norm_jump * usual_norm
    both = loss is not None and usual_loss is not None
    if jumped and (not both or loss > usual_loss):
        number = f"norm = {norm:.3g}, usually {usual_norm:.3g}"
        number += f"; loss = {loss:.3g}, usually {usual_loss:.3g}" if both else ""
        rule = f"norm > {limits.norm_jump:g} x running median" + (", and loss > running median" if both else "")
        how = "jumped at this update" + (" and the loss with it" if both else "; whether that harms, a loss would tell")
        return _explodes("warn" if both else "note", number, rule, f"{PASCANU}; {AUTOTRAINER}", how)
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


def need_beyond(needs_lag: int | None, longest: int) -> Verdict | None:
    """No sequence that was looked at is as long as the task reaches back.

    Args:
        needs_lag: how far back the task reaches, if known.
        longest: steps of the longest row.
    """
    if needs_lag is None or needs_lag < longest:
        return None
    return Verdict(
        "NEED BEYOND DATA",
        "warn",
        f"The task reaches {needs_lag} back, but the longest sequence here takes {steps_of(longest)}, so nothing tells "
        f"whether a gradient or a use reaches so far; give sequences of at least {needs_lag + 1} steps.",
        f"N = {needs_lag}, longest sequence {steps_of(longest)}",
        "N >= steps of the longest sequence",
        ARITHMETIC,
    )


def remembers(
    at_need: float,
    stored: float | None,
    needs_lag: int | None,
    limits: Thresholds = DEFAULTS,
    *,
    cut: Interval | None = None,
    nothing: float = 0.0,
    gain: Interval | None = None,
) -> Verdict | None:
    """What the task needs can be stored, can be trained, and is used: without it the loss is worse.

    A gradient is no memory, and a memory need not be read: none of the three horizons follows from another. So that it
    could be stored and trained is a note, COULD REMEMBER, as long as nothing shows its use: the cut has to cost more
    than what counts as nothing, since any change of an untrained network's state moves its loss a little, one way or
    the other; and where chance is known, there has to be something learnt that could hang on it.

    Args:
        at_need: log10 r(needs_lag).
        stored: longest time scale of the memory, steps; None for a cell without a highway.
        needs_lag: how far back the task reaches; None: unknown, so nothing is said.
        cut, nothing, gain: as for `vanishing`.
    """
    if needs_lag is None or stored is None or not (at_need >= math.log10(limits.weak) and stored >= needs_lag):
        return None
    number = f"r({needs_lag}) = {power(at_need)}, longest time scale {steps_of(stored)}"
    rule = f"r(N) >= {power(math.log10(limits.weak))} and longest time scale >= N"
    could = f"The memory holds {steps_of(stored)} and gradient reaches lag {needs_lag}, which the task needs"
    learnt = not known(gain) or gain[0] > 0
    if known(cut) and cut[0] > nothing and learnt:
        text = f"{could}, and without what is that far back the loss is worse."
        number += f", a memory of {needs_lag} steps costs {interval_in_words(cut)}"
        rule += f", and {COST} above {NOTHING}, of a loss better than chance"
        return Verdict("REMEMBERS", "good", text, number, rule, f"{AUTOTRAINER}; {TALLEC}; {KHANDELWAL}")
    why = "but without what is that far back the loss is no worse beyond doubt"
    if not learnt:
        why = "but the loss is not better than without memory beyond doubt"
    if not known(cut):
        why = "whether it uses it was not measured" if cut is None else "of one sequence nothing tells whether it does"
    return Verdict("COULD REMEMBER", "note", f"{could}; {why}.", number, rule, f"{AUTOTRAINER}; {TALLEC}")


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


def known(values: Interval | None) -> bool:
    """Whether an interval has two ends; of one sequence there are none."""
    return values is not None and all(map(math.isfinite, values))


def interval_in_words(values: Interval) -> str:
    """Its middle, and both ends."""
    return f"{values[1]:.2g} ({values[0]:.2g} to {values[2]:.2g})"

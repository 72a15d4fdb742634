"""Everything at once: a model, data and its loss, to the Records that a report is made of."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from headgate.inspection.ablation import Ablation, gates_held
from headgate.inspection.bootstrap import LOSS, Paired
from headgate.inspection.capture import Watch, watch
from headgate.inspection.context import WITHIN, StateReset, UseCurve, reset_half_way, used
from headgate.inspection.dynamics import with_dynamics
from headgate.inspection.holding import Recordings
from headgate.inspection.measure import NO_GATES
from headgate.inspection.narrow import narrow_watch
from headgate.inspection.record import Record
from headgate.inspection.thresholds import DEFAULTS, Thresholds, Verdict
from headgate.inspection.told import Text, with_text
from headgate.inspection.trace import Trace
from headgate.inspection.triage import triage_facts, units_with_constant_gates
from headgate.inspection.trials import Losses, Trials
from headgate.inspection.units import VERIFY, UnitSweep, units_held
from headgate.inspection.verdicts import as_facts, judge

# So many sequences are followed step by step; causes are looked for in all that are given.
ROWS = 16
# And so many units with constant gates are stilled, beside those that the score points at.
MOST_DOUBTFUL = 16
# Numbers of a module's memory, over steps, rows and layers, beyond which float32 is measured in.
LARGE = 4_000_000
# With fewer sequences than this no interval can be told, so only a few units are stilled.
ENOUGH, FEW = 8, 4
# Arrays of which it is said why they are not there.
CAUSES = ("ablation", "kill", "use")


@dataclass(frozen=True)
class Examination:
    """What was found, by layer and direction.

    Attributes:
        records: by name, as in "encoder.lstm.l1_reverse".
        verdicts: what may be said of each, by the same name.
    """

    records: Mapping[str, Record]
    verdicts: Mapping[str, list[Verdict]]

    def save(self, folder: str | Path) -> Path:
        """Write each Record into a folder of its own below `folder`, for `headgate.write_watch_report`."""
        for name, record in self.records.items():
            record.save(Path(folder) / name)
        return Path(folder)

    def __repr__(self) -> str:
        each = ((name, verdict) for name, verdicts in self.verdicts.items() for verdict in verdicts)
        lines = [f"  {name}: {verdict.name}, {verdict.number}" for name, verdict in each]
        return "\n".join([f"Examination of {', '.join(self.records)}", *lines])


def examine(
    model: nn.Module,
    batches: Iterable[Any],
    losses: Losses,
    *,
    needs_lag: int | None = None,
    chance: float | None = None,
    tbptt: int | None = None,
    train_length: int | None = None,
    causes: bool = True,
    dynamics: bool = True,
    every_step: bool = False,
    rows: int = ROWS,
    verify: int | None = None,
    seed: int = 0,
    dtype: torch.dtype | None = None,
    text: Text | None = None,
    limits: Thresholds = DEFAULTS,
) -> Examination:
    """Say how far back a model remembers, and why.

    The first batch is run forward and backward under `watch`, and gradients, gates and content are measured of its
    first rows; then the model is run again on all batches with its gates held, its units stilled and its memory cut.
    The model is in evaluation mode meanwhile; its mode, its parameters' gradients and the random state are restored.

    Args:
        model: any module that holds headgate's or torch.nn's recurrent layers.
        batches: anything that `losses` understands; gone through once.
        losses: `losses(model, batch)`: each sequence's loss, [B], differentiable.
        needs_lag: how many steps back the task reaches, if known; without it no horizon is judged.
        chance: mean loss of the best answer that remembers nothing, if known.
        tbptt: after how many steps training cuts the gradient, if it does.
        train_length: how long the training sequences were, if known.
        causes: also run the model again with something changed (ablation, use curve, reset).
        dynamics: also measure Jacobian products, Lyapunov exponents and eigenvalues.
        every_step: the loss reads every step, so the use curve limits the memory at every step; see `use_curve`.
        rows: sequences that are followed step by step.
        verify: units of the highest and lowest scores to still in truth; None for 16, 4 with fewer than 8 sequences.
        seed: of probes, shuffles and resamples.
        dtype: the format that gates and gradients are measured in; None for float64, and for float32 where a module's
            memory takes more than four million numbers. facts["measured_in"] says which.
        text: the first sequence's tokens, one a step, for the page to show; or by the beginnings of layers' names.
        limits: the numbers that verdicts compare with.

    Raises:
        TypeError, ValueError: there is no recurrent layer, there are no batches, `losses` gave no losses, a number of
            steps is none, or `text` is not a token a step.
        RuntimeError: the model ran in a way that cannot be followed; the message says which.
    """
    batches, asked = list(batches), {"needs_lag": needs_lag, "tbptt": tbptt}
    _check(batches, **asked, train_length=train_length, rows=rows)
    seen, loss = _seen(model, batches[0], losses, chance, seed)
    narrow_watch(seen, rows)
    _set_up(seen, dtype)
    records = with_text({name: _recorded(seen[name], loss, asked) for name in seen}, seen, text)
    if dynamics:
        records = {name: with_dynamics(seen[name].adjoint, record, seed) for name, record in records.items()}
    if causes:
        records = _with_causes(records, Trials(model, batches, losses, seed), chance, seed, verify, every_step)
    return _judged(records, train_length, limits)


def _judged(records: dict[str, Record], train_length: int | None, limits: Thresholds) -> Examination:
    verdicts = {name: judge(record, limits) for name, record in records.items()}
    for name, record in records.items():
        facts = {**record.facts, "train_length": train_length, "verdicts": as_facts(verdicts[name])}
        records[name] = replace(record, facts=facts)
    return Examination(records, verdicts)


def _check(batches: list[Any], **given: Any) -> None:
    """Refuse what cannot be meant: no batches, and numbers of steps or rows that are none."""
    if not batches:
        raise ValueError("examine: there are no batches to look at; give at least one.")
    for name, value in given.items():
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise ValueError(f"examine: {name}={value!r} is no number of steps or rows; give a whole number above 0.")


def _set_up(seen: Watch, dtype: torch.dtype | None) -> None:
    """The format to measure in; layers of which there is nothing to tell are refused."""
    _set_format(seen, dtype)
    if not len(seen):
        raise ValueError(
            "examine: losses(model, batch) called no recurrent layer of the model, so there is nothing to look at."
        )
    for name in seen:
        if not seen[name].lengths.any():
            raise ValueError(f"examine: no sequence of the first batch takes a step in {name}; give one that does.")


def _set_format(seen: Watch, dtype: torch.dtype | None) -> None:
    """Large runs in float32, if nobody asked otherwise: it is what a picture of them can show, in half the time."""
    for capture in seen.captures():
        large = capture.output.numel() * capture.module.num_layers > LARGE
        small_format = capture.output.dtype is not torch.float64
        capture.measured_in = dtype or (torch.float32 if large and small_format else torch.float64)


def _recorded(trace: Trace, loss: dict[str, Any], asked: dict[str, Any]) -> Record:
    """What one call tells; of causes, that nobody asked for them yet."""
    record = trace.record(**asked)
    missing = {name: "not asked for" for name in CAUSES if name != "ablation" or record.facts["gates"]}
    return _caused(replace(record, facts={**record.facts, "loss": loss}), None, None, None, None, missing)


def _seen(
    model: nn.Module, batch: Any, losses: Losses, chance: float | None, seed: int
) -> tuple[Watch, dict[str, Any]]:
    """What a watch saw of one batch, and its loss as it stands among the facts."""
    seen = watch(model)
    with _undisturbed(model, seed), seen:
        found = losses(model, batch)
        if not isinstance(found, torch.Tensor) or found.dim() != 1:
            came = f"a tensor of shape {list(found.shape)}" if isinstance(found, torch.Tensor) else type(found).__name__
            raise TypeError(f"examine: losses(model, batch) gave {came}, but one loss a sequence is needed, [B].")
        if not found.requires_grad:
            raise ValueError(
                "examine: the losses ask for no gradient, so none can be followed; return them with their graph (no "
                "detach, no no_grad)."
            )
        if not len(found):
            raise ValueError("examine: losses(model, batch) gave no losses; give a batch with at least one sequence.")
        wrong = int((~found.isfinite()).sum())
        if wrong:
            raise ValueError(
                f"examine: the loss of {wrong} of {len(found)} sequences of the first batch is not a finite number; "
                "look at the model's input and weights."
            )
        paired = Paired(found.detach().double().cpu().numpy(), chance, seed)
        seen.backward(found.sum())
    return seen, _loss_facts(paired)


def _loss_facts(paired: Paired) -> dict[str, Any]:
    """The mean loss, and how much better than chance it is; of one sequence that has no ends."""
    facts = {"value": float(paired.base.mean()), "chance": paired.chance, "rows": len(paired.base), "unit": LOSS}
    return facts if paired.gain is None else facts | {"gain": _ends(paired.gain)}


def _ends(interval: Iterable[float]) -> dict[str, float | None]:
    numbers = (float(value) if math.isfinite(value) else None for value in interval)
    return dict(zip(("low", "middle", "high"), numbers, strict=True))


@contextmanager
def _undisturbed(model: nn.Module, seed: int) -> Iterator[None]:
    """Evaluation mode, gradients on, random numbers of its own, and the model as written, not compiled."""
    modes = {module: module.training for module in model.modules()}
    devices = sorted({parameter.device.index for parameter in model.parameters() if parameter.device.type == "cuda"})
    # A compiled model calls no hook. Asking for a stance imports the compiler; where it is not there, none is compiled.
    as_written = torch.compiler.set_stance("force_eager") if "torch._dynamo" in sys.modules else nullcontext()
    try:
        model.eval()
        with torch.random.fork_rng(devices=devices), as_written, torch.enable_grad():
            for generator in (torch.default_generator, *(torch.cuda.default_generators[k] for k in devices)):
                generator.manual_seed(seed)
            yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def _with_causes(
    records: dict[str, Record], trials: Trials, chance: float | None, seed: int, verify: int | None, every_step: bool
) -> dict[str, Record]:
    missing: dict[str, str] = {}
    loss = next(iter(records.values())).facts["loss"]
    verify = (FEW if loss["rows"] < ENOUGH else VERIFY) if verify is None else verify
    needs_lag = next(iter(records.values())).facts["needs_lag"]
    doubtful = {name: units for name, record in records.items() if (units := _constant(record))}
    judged = None if needs_lag is None else needs_lag + (0 if every_step else _reads(records) - 1)
    with trials:
        recordings, places = Recordings(trials), trials.places()
        gates = gates_held(recordings, places, chance=chance, seed=seed)
        units = units_held(recordings, places, verify, doubtful, chance, seed)
        del recordings
        try:
            asked = {"every_step": every_step, "needs_lag": needs_lag}
            use = used(trials, None, chance, seed, **asked, further=[] if judged is None else [judged])
            reset = reset_half_way(trials, chance, seed)
        except (RuntimeError, ValueError) as reason:
            use, reset, missing["use"] = None, None, str(reason)
    loss = _loss_facts(Paired(trials.base, chance, seed))
    found = {}
    for name, record in records.items():
        record = replace(record, facts={**record.facts, "loss": loss})
        cell = record.facts["cell"]
        why = {"ablation": NO_GATES.format(cell=cell), "kill": f"{cell} has no memory of one value a unit"} | missing
        found[name] = _caused(record, gates.get(name), units.get(name), use, reset, why)
        if use is not None and judged is not None:
            found[name].facts["horizons"]["used"]["judged"] = judged if judged < trials.longest else None
    return found


def _reads(records: dict[str, Record]) -> int:
    """Steps from the first that the loss reads to the last, in the order of the run; the most of all modules.

    A cut once before the end leaves each of them a memory of its own, the first the shortest; only if that reaches as
    far as the task needs does what the cut costs tell of the steps that lie further back. What is read of the first
    step hangs on no memory, and a layer below another is read by that one at every step.
    """
    spans: dict[tuple[str, bool], int] = {}
    for name, record in records.items():
        local, reverse = record.arrays.get("local_gradient"), record.facts["reverse"]
        read = np.ones(record.facts["steps"], dtype=bool) if local is None else np.isfinite(local)
        later = np.flatnonzero((read[::-1] if reverse else read)[1:])
        span = len(read) - 1 - int(later[0]) if len(later) else 1
        key = name.rpartition(".")[0], reverse
        spans[key] = min(span, spans.get(key, span))
    return max(spans.values())


def _constant(record: Record) -> list[int]:
    """Units with a constant gate, those that would keep longest first; only holding them tells what they are."""
    arrays = record.arrays
    if "gate_deviation" not in arrays or "timescales" not in arrays:
        return []
    found = units_with_constant_gates(*(arrays[k] for k in ("gate_deviation", "saturated_low", "saturated_high")))
    rates = 1.0 / arrays["timescales"]
    return sorted(found, key=lambda unit: rates[unit])[:MOST_DOUBTFUL]


def _caused(
    record: Record,
    gates: Ablation | None,
    units: UnitSweep | None,
    use: UseCurve | None,
    reset: StateReset | None,
    missing: dict[str, str],
) -> Record:
    arrays, facts = dict(record.arrays), dict(record.facts)
    if gates is not None and gates.gates:
        arrays |= {"ablation": gates.effect, "ablation_rows": gates.by_row}
        facts["ablation_kinds"] = list(gates.kinds)
        facts["ablation_unit"] = gates.unit
    if units is not None:
        arrays |= {"kill": units.kill, "kill_predicted": units.predicted}
        if "gate_deviation" in arrays:
            spread = (arrays[key] for key in ("gate_deviation", "saturated_low", "saturated_high"))
            facts["triage"] = triage_facts(facts["gates"], *spread, units, timescales=arrays.get("timescales"))
    if use is not None:
        arrays |= {"use_lags": use.lags, "use_loss": use.excess}
        found = {"lag": use.used, "at_least": False, "share": WITHIN, "allowed": use.allowed, "rule": use.rule}
    else:
        found = {"missing": missing["use"]}
    if reset is not None:
        facts["reset"] = _ends(reset.effect) | {"unit": reset.unit}
    facts["horizons"] = {**facts["horizons"], "used": found}
    there = dict(zip(CAUSES, ("ablation", "kill", "use_lags"), strict=True))
    why = {name: reason for name, reason in missing.items() if there[name] not in arrays}
    facts["missing"] = {k: v for k, v in facts["missing"].items() if there.get(k) not in arrays} | why
    return Record(record.name, facts, arrays)

"""One run of the calibration: a short training under the monitor, examined on the way, and what then became of it.

What a row keeps is evidence; what counts as right is said in `benchmarks.calibration`, and decided in
`benchmarks.calibration_table`.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

import headgate as hg
from benchmarks.problem import ROOT
from headgate import cells
from headgate.inspection.ablation import ablate
from headgate.inspection.bootstrap import SHARE
from headgate.inspection.context import use_curve
from headgate.inspection.lags import at_lag
from headgate.inspection.record import Record
from headgate.inspection.units import sweep_units
from headgate.tasks import Batch, Task
from headgate.tasks.recall import Adding, Copy, TemporalOrder
from headgate.training.loop import evaluate
from headgate.training.network import LAYER, Network, seeded_network

Row = dict[str, Any]

# What was fixed before the first run; none of it was chosen by what the verdicts say.
TASKS: dict[str, Task] = {"adding": Adding(lag=50), "copy": Copy(lag=20), "order": TemporalOrder(steps=60)}
# By cell. Orthogonal: and chrono, where a gate keeps the memory; steep: orthogonal, and STEEP times as large.
GATED_STARTS = ("default", "orthogonal", "forget bias 1")
STARTS = {
    "rnn": ("default", "orthogonal", "steep"),
    **dict.fromkeys(("gru", "lstm", "peephole_lstm"), GATED_STARTS),
}
STEEP = 1.5
SEEDS = (11, 12)
HIDDEN, BATCH, STEPS, EXAMINED, CLIP = 32, 32, 900, 600, 1.0
GATED_RATE, PLAIN_RATE = 0.01, 0.001
# Steps from look to look, and steps that the kept curves sum up.
EVERY = 20
# Sequences that are examined, in batches of so many; and others, on which what was said of units is tried again.
SHOWN, SHOWN_AT_ONCE, FRESH = 128, 64, 512
# Untrained networks on sequences so long that their gradient leaves float32, to hold GRADIENT DEAD against autograd.
# An odd number of rows, so that their median is one of them, however it is taken.
LONG, LONG_ROWS = TemporalOrder(steps=400), 15
LONG_CELLS, LONG_SEEDS = ("rnn", "gru", "lstm"), (11, 12, 13, 14)
# What a row depends on. What only measures (the reverse pass, say) is held by tests against autograd and left out.
CODE = (
    "benchmarks/calibration_runs.py",
    *(f"src/headgate/inspection/{name}.py" for name in ("rules", "gate_rules", "thresholds", "verdicts")),
    *(f"src/headgate/inspection/{name}.py" for name in ("alarms", "monitor", "triage")),
    *(f"src/headgate/tasks/{name}.py" for name in ("task", "recall")),
    "src/headgate/nn/initialise.py",
)


@dataclass(frozen=True)
class Plan:
    """A run: which task, cell, start of the weights and seed."""

    task: str
    cell: str
    start: str
    seed: int

    @property
    def key(self) -> str:
        """Its name, unique among all plans."""
        return f"{self.task}/{self.cell}/{self.start}/{self.seed}"

    @property
    def long(self) -> bool:
        """Whether it is only there for GRADIENT DEAD, and not trained."""
        return self.task == "long"


def plans() -> list[Plan]:
    """All runs, the first seed's first, so that what is there of an unfinished set is balanced."""
    long = [Plan("long", cell, "default", seed) for seed in LONG_SEEDS for cell in LONG_CELLS]
    pairs = [(cell, start) for cell, starts in STARTS.items() for start in starts]
    return long + [Plan(task, cell, start, seed) for seed in SEEDS for task in TASKS for cell, start in pairs]


def fingerprint() -> str:
    """A short name for the code that a row depends on."""
    digest = hashlib.sha256()
    for name in CODE:
        digest.update(name.encode() + b"\0" + (ROOT / name).read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def run(plan: Plan) -> Row:
    """Do one run; torch's own random state is left as it was.

    Returns:
        A row of JSON types; see the source for what it holds.
    """
    task = LONG if plan.long else TASKS[plan.task]
    network = network_of(plan, task)
    about = {name: getattr(plan, name) for name in ("key", "task", "cell", "start", "seed")}
    if plan.long:
        return {**about, "dead": dead_by_arithmetic(network, task)}
    about |= {"chance": task.baseline()["loss"], "needs_lag": task.needs_lag, "steps": STEPS, "examined": EXAMINED}
    training = Training(network, task, plan)
    training.go(EXAMINED)
    if training.finite:
        about["held_out_examined"] = evaluate(network, task, "test")["loss"]
        try:
            about |= examined(network, task)
        except RuntimeError as reason:
            about["not_examined"] = str(reason)
    training.go(STEPS)
    measured = evaluate(network, task, "test")
    solved = all(map(math.isfinite, measured.values())) and task.solved(measured)
    return {**about, "held_out_end": _number(measured["loss"]), "solved": solved, **training.facts()}


def network_of(plan: Plan, task: Task) -> Network:
    """The network as it starts."""
    cell = cells.get(plan.cell)
    kept = {"orthogonal": True, "chrono": float(task.needs_lag) if cell.timescale else None}
    starts: dict[str, dict[str, object]] = {
        "default": {},
        "orthogonal": kept,
        "steep": {"orthogonal": True},
        "forget bias 1": {"forget_bias": 1.0},
    }
    sizes = (cell, task.input_size, HIDDEN, task.output_size, task.reads)
    network = seeded_network(plan.seed, *sizes, **starts[plan.start])
    if plan.start == "steep":
        with torch.no_grad():
            network.rnn.weight_hh_l0.mul_(STEEP)
    return network


class Training:
    """A plain loop (Adam at a constant rate, a clipped gradient) under a monitor, that can be stopped on the way."""

    def __init__(self, network: nn.Module, task: Task, plan: Plan) -> None:
        self._network, self._task = network, task
        rate = PLAIN_RATE if plan.cell == "rnn" else GATED_RATE
        self._optimiser = torch.optim.Adam(network.parameters(), rate)
        self._batches = task.batches(plan.seed, BATCH)
        chance = task.baseline()["loss"]
        self._monitor = hg.Monitor(network, EVERY, needs_lag=task.needs_lag, chance=chance, budget=None)
        self._losses: list[float] = []
        self._clipped: list[bool] = []
        self.finite = True

    def go(self, until: int) -> None:
        """Train up to a step; a loss or a gradient that is no finite number ends it for good."""
        self._network.train()
        while self.finite and len(self._losses) < until:
            batch = next(self._batches)
            self._optimiser.zero_grad()
            with self._monitor.step(len(self._losses)) as look:
                loss = self._task.loss(self._network(batch.input), batch.target)
                loss.backward()
                norm = nn.utils.clip_grad_norm_(self._network.parameters(), CLIP)
                look.report(loss, norm, CLIP)
            self._losses.append(loss.item())
            self._clipped.append(norm.item() > CLIP)
            self.finite = math.isfinite(loss.item()) and math.isfinite(norm.item())
            if self.finite:
                self._optimiser.step()

    def facts(self) -> Row:
        """Curves in pieces of EVERY steps, and what the monitor said."""
        pieces = range(0, len(self._losses), EVERY)
        said = [alarm.as_facts() for alarm in self._monitor.warnings]
        return {
            "finite": self.finite,
            "loss": [_number(median(self._losses[k : k + EVERY])) for k in pieces],
            "worst": [_number(max(self._losses[k : k + EVERY])) for k in pieces],
            "clipped": [sum(self._clipped[k : k + EVERY]) / len(self._clipped[k : k + EVERY]) for k in pieces],
            "warnings": [{name: fact[name] for name in ("step", "name", "level", "about", "number")} for fact in said],
        }


def examined(network: nn.Module, task: Task) -> Row:
    """What `examine` says of validation sequences, and the same again of test sequences it has not seen."""
    chance = task.baseline()["loss"]
    asked = {"needs_lag": task.needs_lag, "chance": chance}
    found = hg.examine(network, _batches(task, "validation", SHOWN, SHOWN_AT_ONCE), losses_of(task), **asked)
    fresh = _batches(task, "test", FRESH, FRESH)
    # The verdicts on fresh sequences need no causes; the units' are tried below, on more of them.
    again = hg.examine(network, fresh, losses_of(task), **asked, causes=False, dynamics=False, rows=SHOWN_AT_ONCE)
    ((name, record),) = found.records.items()
    reached = math.nan
    if "lag_profile" in record.arrays:
        reached = at_lag(record.arrays["lags"], record.arrays["lag_profile"][1], task.needs_lag)
    return {
        "highway": "timescales" in record.arrays,
        "reached": _number(reached),
        "verdicts": [
            {key: getattr(verdict, key) for key in ("name", "level", "about", "number")}
            for verdict in found.verdicts[name]
        ],
        "gates": [gate for gate, kind in record.facts["gate_kinds"].items() if kind == "gate"],
        "constant_again": [verdict.about for verdict in again.verdicts[name] if verdict.name == "CONSTANT"],
        "used_again": _used_again(network, task, fresh),
        "gates_again": _gates_again(network, task, fresh, record),
        **_held_again(network, task, name, record.facts.get("triage", [])),
    }


def _used_again(network: nn.Module, task: Task, fresh: Sequence[Batch]) -> list[float | None]:
    """What a memory that lacks just what the task needs costs on fresh sequences, beyond what counts as nothing: low,
    middle, high. The first step that is read has the shortest memory."""
    lag = task.needs_lag + task.reads - 1
    curve = use_curve(network, fresh, losses_of(task), [lag], task.baseline()["loss"])
    return [_number(float(value) - curve.allowed) for value in curve.excess[0]]


def _gates_again(network: nn.Module, task: Task, fresh: Sequence[Batch], record: Record) -> dict[str, bool]:
    """Whether a gate's variation does something for the loss on fresh sequences, by its mean or by another row's gate;
    none where nothing was learnt that could be lost."""
    if record.facts.get("ablation_unit") != SHARE:
        return {}
    kinds = ("mean", "shuffle rows")
    ((_, tried),) = ablate(network, fresh, losses_of(task), kinds=kinds, chance=task.baseline()["loss"]).items()
    return {gate: bool((effect[:, 0] > 0).any()) for gate, effect in zip(tried.gates, tried.effect, strict=True)}


def _held_again(network: nn.Module, task: Task, name: str, said: Sequence[Row]) -> Row:
    """What was said of single units with a constant gate, and what holding them costs on fresh sequences."""
    held = {fact["unit"]: fact for fact in said if fact["kill"] is not None}
    if not held:
        return {"units": [], "unit_of_kill": None}
    fresh, chance = _batches(task, "test", FRESH, FRESH), task.baseline()["loss"]
    sweep = sweep_units(network, fresh, losses_of(task), verify=0, units={name: sorted(held)}, chance=chance)[name]
    units = [
        {
            "unit": unit,
            "verdict": fact["verdict"],
            "kill": _number(fact["kill"]),
            "fresh": [_number(float(value)) for value in sweep.kill[unit]],
        }
        for unit, fact in sorted(held.items())
    ]
    return {"units": units, "unit_of_kill": sweep.unit}


def dead_by_arithmetic(network: Network, task: Task) -> Row:
    """From which lag GRADIENT DEAD is said, and what float32 autograd itself leaves there and a little before.

    Returns:
        "lag": None if it is not said; "largest", "before": median over rows of the largest |entry| of dl/dm at that
        lag and at nine tenths of it (at the longest lag there is, if it is not said), from autograd in float32.
    """
    (batch,) = _batches(task, "test", LONG_ROWS, LONG_ROWS)
    found = hg.examine(network, [batch], losses_of(task), needs_lag=task.needs_lag, causes=False, dynamics=False)
    ((record,), (verdicts,)) = found.records.values(), found.verdicts.values()
    said = any(verdict.name == "GRADIENT DEAD" for verdict in verdicts)
    lag = record.facts["horizons"]["trainable"]["dead"] if said else None
    tried = len(batch.input) - 2 if lag is None else lag
    largest, before = (autograd_entry(network, task, batch, k) for k in (tried, tried * 9 // 10))
    return {"lag": lag, "largest": largest, "before": before, "tiny": torch.finfo(torch.float32).smallest_normal}


def autograd_entry(network: Network, task: Task, batch: Batch, lag: int) -> float:
    """The largest |entry| of dl/dm that float32 autograd gives, `lag` steps before the last; median over rows.

    The sequence is cut there, so that the memory is a leaf. Where the output is made of the memory (o tanh c), what
    comes by it is added.
    """
    layer, there = network.rnn, len(batch.input) - 1 - lag
    with torch.no_grad(), hg.watch(network) as seen:
        _, state = layer(batch.input[: there + 1])
    leaves = [part.clone().requires_grad_() for part in (state if isinstance(state, tuple) else (state,))]
    output, _ = layer(batch.input[there + 1 :], tuple(leaves) if isinstance(state, tuple) else leaves[0])
    losses = task.losses(network.head(output[-task.reads :]), batch.target)
    gradients = torch.autograd.grad(losses.sum(), leaves)
    total = gradients[-1][0]
    if len(leaves) == 2:
        trace = seen[LAYER]
        passed = trace.gates["o"][there] * (1.0 - leaves[1][0].detach().double().tanh().square())
        total = total + gradients[0][0] * passed.float()
    return float(total.abs().amax(-1).double().median())


def losses_of(task: Task):
    """Each sequence's loss, as `examine` asks for it."""

    def losses(model: nn.Module, batch: Batch) -> Tensor:
        return task.losses(model(batch.input), batch.target)

    return losses


def _batches(task: Task, split: str, rows: int, at_once: int) -> Sequence[Batch]:
    held_out = task.held_out(split)
    starts = range(0, rows, at_once)
    return [Batch(held_out.input[:, k : k + at_once], held_out.target[:, k : k + at_once]) for k in starts]


def _number(value: float) -> float | None:
    """To five digits; None for what is no finite number, which JSON cannot hold."""
    return float(f"{value:.5g}") if math.isfinite(value) else None

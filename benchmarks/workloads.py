"""What is run, why, and beside whom: every comparison that the README makes, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

OWN_CELL = "examples/my_cell.py:MyCell"
# A run of the largest shapes stays under a second or two with this many steps.
GRID_STEPS, GRID_STEPS_LARGE, GRID_LARGE = 64, 16, 32768
GRID_H, GRID_B = (64, 128, 256, 512, 1024), (1, 16, 64, 128)
QUICK_STEPS = 16
FORWARD, BOTH, STEP = "forward", "both", "step"


@dataclass(frozen=True)
class Goal:
    """How many times as fast as a peer ours has to be, and how many it is meant to be."""

    least: float
    aim: float


@dataclass(frozen=True)
class Workload:
    """One layer, one direction.

    Attributes:
        name: what `--workload` calls it.
        reason: why it is here.
        cell: as in `headgate cells`, or FILE.py:Class from the root of the source.
        H, B, T: units, rows, steps.
        beside: the peers it is run beside, with the goal for each; None where nothing was promised.
        mode: "forward" (no gradients), "both" (forward, and backward with all gradients), or "step" (T calls of one
            step each, no gradients).
        dtype: "float32", or "bfloat16" (float32 weights under autocast, or whatever a peer has for it).
        lengths: whether rows have 25 to 100 % of T steps instead of all.
        options: further keywords of the layer.
        inputs: features of an input, I; None for I = H.
        grown: how many times the layer enlarges a rounding error. Layer norm divides by a spread that is near zero in
            the first steps, as h is: in float32 it and its own loop in Python are 2e-4 to 6e-4 away from float64.
        grid: whether it is a place of the grid.
    """

    name: str
    reason: str
    cell: str
    H: int
    B: int
    T: int
    beside: Mapping[str, Goal | None]
    mode: str = BOTH
    dtype: str = "float32"
    lengths: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    inputs: int | None = None
    grown: float = 1
    grid: bool = False

    @property
    def I(self) -> int:  # noqa: E743 - the letter that this size has everywhere
        """Features of an input."""
        return self.H if self.inputs is None else self.inputs

    @property
    def trains(self) -> bool:
        """Whether gradients are computed."""
        return self.mode == BOTH

    @property
    def words(self) -> str:
        """What is run, for a table."""
        parts = [{"lstm": "LSTM", "gru": "GRU", OWN_CELL: "own cell"}.get(self.cell, self.cell)]
        parts += [key if value is True else f"{key}={value}" for key, value in self.options.items()]
        parts += ["bf16" if self.dtype == "bfloat16" else "fp32"]
        parts += [f"H={self.H} B={self.B}" if self.inputs is None else f"I={self.I} H={self.H} B={self.B}"]
        if self.mode == STEP:
            return " ".join([*parts, f"{self.T} calls of step()"])
        parts += [f"T={self.T}, lengths 25..100 %," if self.lengths else f"T={self.T}"]
        return " ".join([*parts, "forward" if self.mode == FORWARD else "forward + backward"])


def all_workloads() -> dict[str, Workload]:
    """Every workload by name, in the order in which they are run and shown."""
    found = [*_sequences(), *_half(), *_other_calls(), *_variants(), *_grid()]
    return {workload.name: workload for workload in found}


def quick(workload: Workload) -> Workload:
    """The same with few steps: whether all runs, not how fast."""
    return replace(workload, T=min(workload.T, QUICK_STEPS))


def _sequences() -> list[Workload]:
    goal = Goal(1.3, 1.6)
    rows = [
        Workload(
            "lstm-both-256x32x128",
            "the workload most often timed, where torch's kernel is at its best",
            *("lstm", 256, 32, 128),
            {"torch_nn": goal, "jax": None},
        ),
        Workload(
            "lstm-both-512x32x64-from-64",
            "a character model: few inputs beside units, so weight_ih and weight_hh differ in size",
            *("lstm", 512, 32, 64),
            {"torch_nn": Goal(0.95, 1.1)},
            inputs=64,
        ),
    ]
    for H in (128, 256, 512):
        rows.append(
            Workload(
                f"lstm-forward-{H}x1x128",
                "one sequence at a time, as a service answers; weights, not products, take the time",
                *("lstm", H, 1, 128),
                {"torch_nn": Goal(1.5, 2.5), "onnxruntime": None, "openvino": None, "jax": None},
                mode=FORWARD,
            )
        )
    return [
        *rows,
        Workload(
            "gru-both-128x1x256",
            "torch has no kernel for a GRU on a CPU and runs it operation by operation, at its worst here",
            *("gru", 128, 1, 256),
            {"torch_nn": Goal(6, 10), "jax": None},
        ),
        Workload(
            "gru-both-256x32x128",
            "the same at a usual size",
            *("gru", 256, 32, 128),
            {"torch_nn": goal, "jax": None},
        ),
    ]


def _half() -> list[Workload]:
    rows = [
        Workload(
            "lstm-both-bf16-256x64x64",
            "mixed precision as it is trained with",
            *("lstm", 256, 64, 64),
            {"torch_nn": Goal(1.8, 3)},
            dtype="bfloat16",
        )
    ]
    for H, B in ((256, 16), (256, 64), (512, 16), (512, 64)):
        rows.append(
            Workload(
                f"lstm-forward-bf16-{H}x{B}x64",
                "mixed precision, inference; products take little where the processor multiplies bf16 itself",
                *("lstm", H, B, 64),
                {"torch_nn": Goal(1.5, 2.5), "openvino": Goal(1.5, 2.5)},
                mode=FORWARD,
                dtype="bfloat16",
            )
        )
    return rows


def _other_calls() -> list[Workload]:
    rows = [
        Workload(
            "lstm-both-lengths-64x16x512",
            "most people's sequences are not of one length, and torch's packed path is quadratic in T",
            *("lstm", 64, 16, 512),
            {"torch_nn": Goal(15, 30)},
            lengths=True,
        )
    ]
    for cell, H in (("lstm", 128), ("lstm", 256), ("gru", 256)):
        rows.append(
            Workload(
                f"{cell}-step-{H}x1",
                "streaming: one step a call",
                *(cell, H, 1, 100),
                {"torch_nn": Goal(10, 25)},
                mode=STEP,
            )
        )
    return rows


def _variants() -> list[Workload]:
    loops = {"eager": Goal(6, 10), "torch_compile": Goal(1.5, 3)}
    cells = {
        "peephole_lstm": "the oldest variant, and torch has no kernel for it",
        "cifg_lstm": "coupled gates: a quarter fewer weights",
        "reset_before_gru": "two products that wait for each other in every step",
        OWN_CELL: "a cell in a user's own file, which nobody could have prepared for",
    }
    rows = []
    for cell, reason in cells.items():
        own = cell == OWN_CELL
        beside = {**loops, "torchrecurrent": None} if own or cell == "peephole_lstm" else loops
        name = "own_cell" if own else cell
        rows.append(Workload(f"{name}-both-128x16x64", reason, cell, 128, 16, 64, beside))
    wrappers = {
        "layer_norm": (True, "a mean and a variance over the units in every step"),
        "zoneout": (0.1, "a fresh mask in every step"),
    }
    for option, (value, reason) in wrappers.items():
        beside = {"eager": Goal(5, 8)}
        name = f"{option}_lstm-both-128x16x64"
        grown = 10 if option == "layer_norm" else 1
        rows.append(Workload(name, reason, "lstm", 128, 16, 64, beside, options={option: value}, grown=grown))
    return rows


def _grid() -> list[Workload]:
    """The plain LSTM at all sizes: it may lose nowhere."""
    goal = Goal(0.95, 1.1)
    training = dict.fromkeys(("torch_nn", "jax"), goal)
    inference = dict.fromkeys(("torch_nn", "onnxruntime", "openvino", "jax"), goal)
    return [
        Workload(
            f"grid-{mode}-{H}x{B}",
            "no size at which one had better stay with something else",
            *("lstm", H, B, GRID_STEPS_LARGE if H * B >= GRID_LARGE else GRID_STEPS),
            training if mode == BOTH else inference,
            mode=mode,
            grid=True,
        )
        for H in GRID_H
        for B in GRID_B
        for mode in (FORWARD, BOTH)
    ]

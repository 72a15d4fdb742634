"""First whether two compute the same, then how long each takes: in turn, after warm-up, medians."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from benchmarks.peers import Contender
from benchmarks.problem import SEED

# The largest deviation of a result, relative to its largest entry: a rounding error, never another equation.
TOLERANCE = {"float32": 1e-4, "bfloat16": 5e-2}


class Differs(Exception):
    """Two do not compute the same; the message names what differs most. There is nothing to time."""


@dataclass(frozen=True)
class Plan:
    """How long to measure.

    Attributes:
        turns: how often each gets its turn.
        fewest: how often at least, where calls are so long that turns together take more than `most_s`.
        turn_s: calls are repeated until a turn has lasted this long.
        most_s: see `fewest`.
        pause_s: after a turn, as often as threads of the one still spin, so that they do not take from the other.
        most_pause_s: how long at most; who spins on without end is timed beside.
    """

    turns: int = 11
    fewest: int = 5
    turn_s: float = 0.08
    most_s: float = 5.0
    pause_s: float = 0.02
    most_pause_s: float = 1.0


QUICK = Plan(turns=3, fewest=3, turn_s=0.0)
STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
# The share of a core that a process takes while nothing of it runs, a coarse clock and a sampler's thread included.
IDLE = 0.1
# A call as long as this needs no untimed one before it in every turn.
LONG_S = 0.2


def results(contender: Contender) -> dict[str, np.ndarray]:
    """What it computes, by name, drawn masks included: the seed is set first."""
    torch.manual_seed(SEED)
    return contender.named(contender.run())


def deviations(found: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray]) -> dict[str, float]:
    """The largest deviation of each result, relative to the largest entry of what is expected.

    Raises:
        Differs: one of them has another result, or another shape.
    """
    if set(found) != set(expected):
        raise Differs(f"it returns {', '.join(sorted(found))}, not {', '.join(sorted(expected))}")
    for name, value in expected.items():
        if found[name].shape != value.shape:
            raise Differs(f"{name} has shape {list(found[name].shape)}, not {list(value.shape)}")
    smallest = np.finfo(np.float32).tiny
    return {
        name: float(np.abs(found[name] - value).max() / max(np.abs(value).max(), smallest))
        for name, value in expected.items()
    }


def check(
    ours: Mapping[str, np.ndarray], theirs: Mapping[str, np.ndarray], dtype: str, grown: float = 1
) -> dict[str, float]:
    """The deviations between two, if they are roundings.

    Args:
        ours, theirs: results by name.
        dtype: what they were computed in.
        grown: how many times the layer enlarges a rounding.

    Raises:
        Differs: the two do not compute the same.
    """
    found, allowed = deviations(theirs, ours), TOLERANCE[dtype] * grown
    for name, value in found.items():
        if not value <= allowed:  # a NaN is not a rounding either
            raise Differs(f"{name} differs by {value:.1e} of its largest entry (allowed {allowed:.0e})")
    return found


class Taking(Protocol):
    """Who takes turns."""

    def turn(self, settle: bool) -> float:
        """Seconds a call; with `settle`, one is made before that is not timed."""
        ...


def in_turn(contenders: Sequence[Taking], plan: Plan) -> list[list[float]]:
    """Seconds a call of each, one median for every turn, after a turn of warm-up; turns A, B, A, B, ..."""
    found: list[list[float]] = [[] for _ in contenders]
    start = time.perf_counter()
    for turn in range(plan.turns + 1):
        if turn > plan.fewest and time.perf_counter() - start > plan.most_s:
            break
        for contender, kept in zip(contenders, found, strict=True):
            seconds = contender.turn(settle=not kept or kept[-1] < LONG_S)
            if turn:
                kept.append(seconds)
    return found


def pause(plan: Plan) -> None:
    """Sleep until no thread of this process runs; onnxruntime's spin for 60 ms after a call."""
    start = time.perf_counter()
    while True:
        began, used = time.perf_counter(), time.process_time()
        time.sleep(plan.pause_s)
        now = time.perf_counter()
        if time.process_time() - used <= IDLE * (now - began) or now - start >= plan.most_pause_s:
            return


def seconds_a_call(run: Callable[[], Any], least_s: float, settle: bool) -> float:
    """The median of calls that are repeated for so long; with `settle`, after one that is not timed."""
    if settle:
        run()  # brings its own data back into the caches that the other has just used
    calls, start = [], time.perf_counter()
    while not calls or time.perf_counter() - start < least_s:
        before = time.perf_counter()
        run()
        calls.append(time.perf_counter() - before)
    return statistics.median(calls)


def first_call(prepare: Callable[[], Contender]) -> dict[str, float | None]:
    """Of a fresh process: seconds from weights to the first result, and the memory that calls then take at their peak.

    Returns:
        first_s: preparing and the first call, compiling included, importing not.
        memory_bytes: the peak of resident memory over three more calls, less what was resident before preparing: what
            the layer holds, packed weights and compiled code, and what a call needs on its way. None where the system
            does not tell.
    """
    gc.collect()
    before, start = _resident("VmRSS"), time.perf_counter()
    contender = prepare()
    contender.run()
    first_s = time.perf_counter() - start
    gc.collect()
    anew = _reset_peak()
    for _ in range(3):
        contender.run()
    peak = _resident("VmHWM") if anew else None
    return {"first_s": first_s, "memory_bytes": None if before is None or peak is None else max(peak - before, 0)}


def _resident(field: str) -> int | None:
    """Resident memory of this process in bytes, now ("VmRSS") or at its peak ("VmHWM"); None where Linux is not."""
    if not STATUS.is_file():
        return None
    found = [line for line in STATUS.read_text().splitlines() if line.startswith(field)]
    return int(found[0].split()[1]) * 1024 if found else None


def _reset_peak() -> bool:
    """Begin the peak anew; False where the system does not let us, for then it is the peak of importing, too."""
    try:
        RESET.write_text("5")
    except OSError:
        return False
    return True

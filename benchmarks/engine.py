"""The compiled CPU engine beside torch: the workloads that it was built for.

    python benchmarks/engine.py [--threads 2] [--rows WORD] [--grid] [--compile]

Each row: the same weights in both; outputs and all gradients compared first, and what differs is not timed. Then both
are run in turn, after warm-up; medians. A ratio above 1 is how many times faster ours is; below 1 it is a loss.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import headgate as hg
from headgate import engines
from headgate.engines import Request

WARM_UP, REPEATS = 3, 15
EXAMPLE = Path(__file__).resolve().parent.parent / "examples"


@dataclass(frozen=True)
class Row:
    """One comparison.

    Attributes:
        name: what is run, and beside what.
        reason: why it is here.
        goal: the ratio it is meant to reach.
        ours, theirs: each runs once and returns what is compared.
        tolerance: largest relative deviation.
        engine: which engine ours takes.
    """

    name: str
    reason: str
    goal: float
    ours: Callable[[], list[Tensor]]
    theirs: Callable[[], list[Tensor]]
    tolerance: float = 1e-4
    engine: str = "cpu"


def trained(layer: Callable, x: Tensor, weights: list[Tensor], weight: Tensor, autocast: bool = False) -> list[Tensor]:
    """One forward and backward pass: the output and every gradient."""
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        output = layer(x)
    return [output, *torch.autograd.grad(output, [x, *weights], weight.to(output.dtype))]


def inferred(layer: Callable, x: Tensor, autocast: bool = False) -> list[Tensor]:
    """One forward pass without gradients."""
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        return [layer(x)]


def beside_torch(
    kind: str, H: int, B: int, T: int, reason: str, goal: float, *, train: bool = True, autocast: bool = False
) -> Row:
    """A layer of ours beside torch.nn's, I = H."""
    theirs = getattr(nn, kind)(H, H)
    ours = getattr(hg, kind)(H, H)
    ours.load_state_dict(theirs.state_dict())
    x, weight = torch.randn(T, B, H, requires_grad=train), torch.randn(T, B, H)

    def run(layer: nn.Module) -> list[Tensor]:
        if not train:
            return inferred(lambda x: layer(x)[0], x, autocast)
        return trained(lambda x: layer(x)[0], x, list(layer.parameters()), weight, autocast)

    dtype = torch.bfloat16 if autocast else torch.float32
    engine = engines.choose(Request(ours.cell, x.device, dtype))
    what = f"{kind} {'bf16' if autocast else 'fp32'} H={H} B={B} T={T} {'both' if train else 'forward'}, torch.nn"
    tolerance = 5e-2 if autocast else 1e-4
    return Row(what, reason, goal, lambda: run(ours), lambda: run(theirs), tolerance, engine)


def with_lengths() -> Row:
    """Rows of 25 to 100 % of the longest, beside torch.nn's packed sequences."""
    H, B, T = 64, 16, 512
    theirs, ours = nn.LSTM(H, H), hg.LSTM(H, H)
    ours.load_state_dict(theirs.state_dict())
    lengths = torch.linspace(T // 4, T, B).long()[torch.randperm(B)]
    x, weight = torch.randn(T, B, H, requires_grad=True), torch.randn(T, B, H)

    def packed(x: Tensor) -> Tensor:
        output, _ = theirs(pack_padded_sequence(x, lengths, enforce_sorted=False))
        return pad_packed_sequence(output, total_length=T)[0]

    return Row(
        "LSTM fp32 H=64 B=16, lengths in 25..100 % of T=512, both, torch.nn packed",
        "most people's sequences are not of one length",
        15,
        lambda: trained(lambda x: ours(x, lengths=lengths)[0], x, list(ours.parameters()), weight),
        lambda: trained(packed, x, list(theirs.parameters()), weight),
    )


def streaming(H: int, goal: float) -> Row:
    """A hundred single steps, beside LSTMCell."""
    ours, cell = hg.LSTM(H, H), nn.LSTMCell(H, H)
    cell.load_state_dict({name.removesuffix("_l0"): value for name, value in ours.state_dict().items()})
    inputs = torch.randn(100, 1, H)

    def stepped() -> list[Tensor]:
        state, outputs = None, []
        with torch.no_grad():
            for x in inputs:
                output, state = ours.step(x, state)
                outputs.append(output)
        return [torch.stack(outputs)]

    def celled() -> list[Tensor]:
        state, outputs = None, []
        with torch.no_grad():
            for x in inputs:
                state = cell(x, state)
                outputs.append(state[0])
        return [torch.stack(outputs)]

    return Row(f"step() B=1 H={H}, 100 steps, LSTMCell", "streaming: one step a call", goal, stepped, celled)


def beside_eager(name: str, cell, peer: str, goal: float) -> Row:
    """A variant beside its own step in a Python loop, or that loop through torch.compile."""
    H, B, T = 128, 16, 64
    ours, eager = hg.Recurrent(cell, H, H), hg.Recurrent(cell, H, H, engine="eager")
    eager.load_state_dict(ours.state_dict())
    x, weight = torch.randn(T, B, H, requires_grad=True), torch.randn(T, B, H)
    call = engines.Call(ours.cell, eager.weights(0), x, tuple(torch.zeros(B, n) for n in ours.state_sizes))
    parameters = {"eager loop": list(eager.parameters()), "torch.compile": list(eager.parameters())}[peer]

    def loop(x: Tensor) -> Tensor:
        return engines.engine_named("eager").forward(engines.Call(call.cell, call.weights, x, call.initial)).output

    compiled = torch.compile(loop) if peer == "torch.compile" else loop
    return Row(
        f"{name} fp32 H={H} B={B} T={T} both, {peer}",
        "cells that torch has no kernel for",
        goal,
        lambda: trained(lambda x: ours(x)[0], x, list(ours.parameters()), weight),
        lambda: trained(compiled, x, parameters, weight),
    )


def rows(grid: bool, compiled: bool) -> Iterator[Callable[[], Row]]:
    """All rows, each made when its turn comes."""
    yield lambda: beside_torch("LSTM", 256, 32, 128, "the workload most often timed", 1.3)
    for H in (128, 256, 512):
        yield lambda H=H: beside_torch("LSTM", H, 1, 64, "one sequence at a time", 1.5, train=False)
    yield lambda: beside_torch("LSTM", 256, 64, 64, "mixed precision", 1.8, autocast=True)
    yield lambda: beside_torch("LSTM", 256, 16, 64, "mixed precision", 1.5, train=False, autocast=True)
    yield lambda: beside_torch("GRU", 128, 1, 256, "torch runs it operation by operation", 6)
    yield lambda: beside_torch("GRU", 256, 32, 128, "the same, of usual size", 1.3)
    yield with_lengths
    for H in (128, 256):
        yield lambda H=H: streaming(H, 10)
    sys.path.insert(0, str(EXAMPLE))
    from my_cell import MyCell

    variants = {name: name for name in ("peephole_lstm", "cifg_lstm", "reset_before_gru")} | {"MyCell": MyCell}
    for name, cell in variants.items():
        yield lambda name=name, cell=cell: beside_eager(name, cell, "eager loop", 6)
        if compiled:
            yield lambda name=name, cell=cell: beside_eager(name, cell, "torch.compile", 1.5)
    if grid:
        for H in (64, 128, 256, 512, 1024):
            for B in (1, 16, 128):
                T = 16 if H * B > 32768 else 32
                for train in (False, True):
                    yield lambda H=H, B=B, T=T, train=train: beside_torch("LSTM", H, B, T, "no loss", 0.95, train=train)


def compare(row: Row) -> float:
    """The largest relative deviation; raises if the two do not compute the same."""
    ours, theirs = row.ours(), row.theirs()
    found = max(((a - b).abs().max() / b.abs().max()).item() for a, b in zip(ours, theirs, strict=True))
    if not found < row.tolerance:
        raise SystemExit(f"{row.name}: results differ by {found:.1e} (allowed {row.tolerance:.0e}): nothing to time")
    return found


def medians(*runs: Callable[[], object]) -> list[float]:
    """Seconds of each, run in turn."""
    found: list[list[float]] = [[] for _ in runs]
    for k in range(WARM_UP + REPEATS):
        for run, kept in zip(runs, found, strict=True):
            start = time.perf_counter()
            run()
            if k >= WARM_UP:
                kept.append(time.perf_counter() - start)
    return list(map(statistics.median, found))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rows", default="", help="only rows whose name holds this word")
    parser.add_argument("--grid", action="store_true", help="LSTM at all sizes, too")
    parser.add_argument("--compile", action="store_true", help="beside torch.compile, too, which compiles for minutes")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    load = os.getloadavg()[0]
    print(f"torch {torch.__version__}, {options.threads} threads, load {load:.2f}; medians of {REPEATS}\n")
    print("| beside | engine | ours, ms | peer, ms | peer / ours | goal | deviation |\n|---|---|---|---|---|---|---|")
    for make in rows(options.grid, options.compile):
        row = make()
        if options.rows not in row.name:
            continue
        deviation = compare(row)
        ours, theirs = medians(row.ours, row.theirs)
        ratio = theirs / ours
        verdict = " (loss)" if ratio < 1 else ""
        figures = f"{ours * 1e3:.2f} | {theirs * 1e3:.2f} | {ratio:.2f}{verdict} | {row.goal:g} | {deviation:.0e}"
        print(f"| {row.name} | {row.engine} | {figures} |", flush=True)


if __name__ == "__main__":
    main()

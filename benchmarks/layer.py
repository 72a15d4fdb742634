"""What our layer costs beside torch.nn's, and what the eager engine costs beside a loop written by hand.

    python benchmarks/layer.py [--threads N]

Each row: same weights in both, outputs and all gradients compared first, then forward + backward timed in turn.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

import headgate as hg

REPEATS, WARM_UP = 25, 3


def lstm_cell_loop(layer: nn.LSTM) -> Callable[[Tensor], Tensor]:
    """The loop that people write over torch's own fused cell, on the layer's weights."""
    cell = nn.LSTMCell(layer.input_size, layer.hidden_size)
    cell.weight_ih, cell.weight_hh = layer.weight_ih_l0, layer.weight_hh_l0
    cell.bias_ih, cell.bias_hh = layer.bias_ih_l0, layer.bias_hh_l0

    def run(x: Tensor) -> Tensor:
        state = None
        outputs = []
        for step in x.unbind(0):
            state = cell(step, state)
            outputs.append(state[0])
        return torch.stack(outputs)

    return run


def step(run: Callable[[Tensor], Tensor], x: Tensor, weights: list[Tensor]) -> list[Tensor]:
    """One forward and backward pass: the output and all gradients."""
    output = run(x)
    return [output, *torch.autograd.grad(output.square().sum(), [x, *weights])]


def compare(ours: list[Tensor], theirs: list[Tensor]) -> float:
    """The largest relative error; raises if the two do not compute the same."""
    errors = [((a - b).abs().max() / b.abs().max()).item() for a, b in zip(ours, theirs, strict=True)]
    if not max(errors) < 1e-4:
        raise SystemExit(f"outputs differ by {max(errors):.1e}: nothing to time")
    return max(errors)


def times(*runs: Callable[[], object]) -> list[float]:
    """Median seconds of each, run in turn."""
    found: list[list[float]] = [[] for _ in runs]
    for k in range(WARM_UP + REPEATS):
        for run, kept in zip(runs, found, strict=True):
            start = time.perf_counter()
            run()
            if k >= WARM_UP:
                kept.append(time.perf_counter() - start)
    return [statistics.median(kept) for kept in found]


def row(name: str, ours: nn.Module, peer: Callable[[Tensor], Tensor], theirs: list[Tensor], T: int, B: int) -> None:
    """Print one comparison."""
    x = torch.randn(T, B, ours.input_size, requires_grad=True)
    mine = [getattr(ours, key) for key in ours.parameter_names]
    run = lambda value: ours(value)[0]  # noqa: E731
    error = compare(step(run, x, mine), step(peer, x, theirs))
    a, b = times(lambda: step(run, x, mine), lambda: step(peer, x, theirs))
    print(f"| {name} | {1e3 * a:.2f} | {1e3 * b:.2f} | {b / a:.2f} | {error:.0e} |", flush=True)


def main() -> None:
    """All rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    torch.set_num_threads(parser.parse_args().threads)
    torch.manual_seed(0)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, float32, load {os.getloadavg()[0]:.2f}")
    print("| forward + backward | ours, ms | peer, ms | peer / ours | largest relative error |\n|---|---|---|---|---|")
    for kind in ("LSTM", "GRU", "RNN"):
        for H, B, T in ((64, 16, 64), (256, 32, 64)):
            theirs = getattr(nn, kind)(H, H)
            ours = getattr(hg, kind)(H, H)
            ours.load_state_dict(theirs.state_dict())
            run = lambda value, layer=theirs: layer(value)[0]  # noqa: E731
            row(f"{kind} H={H} B={B} T={T}, stock, beside torch.nn", ours, run, list(theirs.parameters()), T, B)
    theirs = nn.LSTM(128, 128)
    ours = hg.LSTM(128, 128, engine="eager")
    ours.load_state_dict(theirs.state_dict())
    peer = lstm_cell_loop(theirs)
    row("LSTM H=128 B=16 T=64, eager, beside a loop of LSTMCell", ours, peer, list(theirs.parameters()), 64, 16)


if __name__ == "__main__":
    main()

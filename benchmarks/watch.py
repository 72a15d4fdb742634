"""What looking costs: `python -m benchmarks.watch`, from the root of the source.

Two figures of a layer. The adjoint: the exact gradient of every step, split by path, beside one training step (forward,
backward, all gradients) of the same layer on the same sequences. And a whole report: one long sequence, from the run
under the watch to the page on disk, in a process of its own, with its peak memory. Before anything is timed, the
adjoint's gradient of the input must be what autograd gives.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

import headgate as hg
from benchmarks.results import cores
from headgate.inspection.adjoint import Adjoint
from headgate.inspection.flow import Back, follow

I, H, B, T = 256, 256, 32, 256  # noqa: E741 - the field's letters
ROUNDS = 7
LONG_T, LONG_H = 10_000, 512
# How far the input's gradient by the adjoint may be from autograd's, relative to its largest entry.
EQUAL = {torch.float64: 1e-4, torch.float32: 1e-3}


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--threads", type=int, default=cores())
    parser.add_argument("--part", choices=("adjoint", "report"), help="one of the two; both if not given")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(chosen.threads)
    if chosen.inside:
        return _long_report()
    if chosen.part != "report":
        _adjoint(chosen.threads)
    if chosen.part != "adjoint":
        command = [sys.executable, "-m", "benchmarks.watch", "--threads", str(chosen.threads), "--inside"]
        return subprocess.run(command, check=False).returncode
    return 0


def _adjoint(threads: int) -> None:
    torch.manual_seed(0)
    layer, input = hg.LSTM(I, H), torch.randn(T, B, I)
    weight = torch.randn(T, B, H)

    def train() -> None:
        layer.zero_grad()
        (layer(input)[0] * weight).mean().backward()

    print(f"LSTM float32 H={H} B={B} T={T}, {threads} threads, a loss at every step; medians of {ROUNDS}, ms")
    for dtype in (torch.float32, torch.float64):
        with hg.watch(layer, dtype) as seen:
            asking = input.clone().requires_grad_()
            (layer(asking)[0] * weight).mean().backward()
        trace = seen["l0"]
        _check_equal(trace.input_gradient(), asking.grad, dtype)
        adjoint, loss = Adjoint(trace.adjoint.run), trace.local.whole()

        def split(adjoint: Adjoint = adjoint, loss=loss) -> None:
            for stretch in Back(adjoint, loss, highway=True, paths=True):
                assert stretch.paths

        def total(adjoint: Adjoint = adjoint, loss=loss) -> None:
            follow(adjoint, loss)

        trained, splitted, followed = _in_turn([train, split, total])
        print(
            f"{dtype!s:14} training step {trained:7.1f}   adjoint with all paths {splitted:7.1f} "
            f"({splitted / trained:.2f})   total gradient alone {followed:7.1f} ({followed / trained:.2f})"
        )


def _check_equal(found: torch.Tensor, expected: torch.Tensor, dtype: torch.dtype) -> None:
    error = ((found - expected).abs().max() / expected.abs().max()).item()
    if not error <= EQUAL[dtype]:
        raise SystemExit(f"the adjoint's gradient differs from autograd's by {error:.1e}; nothing was timed.")


def _in_turn(actions: list[Callable[[], None]]) -> list[float]:
    """Median milliseconds of each, measured in turn after one round to warm up."""
    times: list[list[float]] = [[] for _ in actions]
    for number in range(ROUNDS + 1):
        for action, own in zip(actions, times, strict=True):
            started = time.perf_counter()
            action()
            if number:
                own.append(1000 * (time.perf_counter() - started))
    return [statistics.median(own) for own in times]


class _Reader(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer, self.head = nn.LSTM(2, LONG_H), nn.Linear(LONG_H, 1)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return self.head(self.layer(input)[0][-1])[:, 0]


def _long_report() -> int:
    torch.manual_seed(0)
    model, batch = _Reader(), (torch.randn(LONG_T, 1, 2), torch.zeros(1))
    started = time.perf_counter()
    found = hg.examine(model, [batch], lambda model, b: (model(b[0]) - b[1]) ** 2, needs_lag=LONG_T // 2)
    with tempfile.TemporaryDirectory() as folder:
        page = hg.write_watch_report(found.save(Path(folder) / "records"), Path(folder) / "page.html")
        size = page.stat().st_size / 1e6
    seconds = time.perf_counter() - started
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(
        f"full report, torch.nn.LSTM H={LONG_H}, one sequence of {LONG_T:,} steps, {torch.get_num_threads()} threads: "
        f"{seconds:.0f} s, peak memory {memory:.2f} GB, page {size:.1f} MB"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

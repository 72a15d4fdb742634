"""What this machine can do at most, measured: products by torch.mm of large squares, memory by reading it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from benchmarks.problem import Problem

SIDE, NUMBERS, BEST_OF = 1536, 1 << 26, 5


@dataclass(frozen=True)
class Limits:
    """With the threads that torch has now.

    Attributes:
        operations_per_s: of a matrix product, two for each multiply-add; the faster of float32 and the other dtype.
        bytes_per_s: read from memory.
    """

    operations_per_s: float
    bytes_per_s: float

    def least_s(self, problem: Problem) -> float:
        """The time that the products alone, or the memory alone, would take, whichever is longer."""
        return max(problem.operations / self.operations_per_s, problem.least_bytes / self.bytes_per_s)


def measure(dtype: str = "float32") -> Limits:
    """The limits for products in float32, or in another dtype if those are faster."""
    dtypes = {torch.float32, getattr(torch, dtype)}
    rates = [2 * SIDE**3 / _best(_product(kind)) for kind in dtypes]
    block = torch.ones(NUMBERS)
    return Limits(max(rates), 4 * NUMBERS / _best(block.sum))


def _product(dtype: torch.dtype) -> Callable[[], object]:
    left, right, result = (torch.ones(SIDE, SIDE, dtype=dtype) for _ in range(3))
    return lambda: torch.mm(left, right, out=result)


def _best(run: Callable[[], object]) -> float:
    found = []
    for _ in range(BEST_OF + 1):
        start = time.perf_counter()
        run()
        found.append(time.perf_counter() - start)
    return min(found[1:])

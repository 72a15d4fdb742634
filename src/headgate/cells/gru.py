"""Gated recurrent unit, in both of its forms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from headgate.cells.cell import Cell, Gates, State
from headgate.cells.operations import sigmoid, tanh


@dataclass(frozen=True)
class GRU(Cell):
    """Gated recurrent unit (Cho et al. 2014, arXiv 1406.1078), in torch's sense: z keeps.

    Args:
        reset: "after" the matrix product, as torch and cuDNN (arXiv 1406.1078 v1), or "before" it, as in the paper's
            final version and ONNX's default. The two differ for any h that is not zero.
    """

    reset: str = "after"

    gates = "r z n"
    states = "h"
    timescale: ClassVar[dict[str, int]] = {"z": 1}

    def __post_init__(self) -> None:
        if self.reset not in ("after", "before"):
            raise ValueError(f"GRU: reset={self.reset!r} is not known; choose 'after' (torch) or 'before' (ONNX).")

    def step(self, x, U, s):
        r = sigmoid(x.r + U.r(s.h))
        z = sigmoid(x.z + U.z(s.h))
        n = tanh(x.n + (r * U.n(s.h) if self.reset == "after" else U.n(r * s.h)))
        h = (1.0 - z) * n + z * s.h
        return State(h=h), Gates(r=r, z=z, n=n)


NAMES = {"gru": GRU(), "reset_before_gru": GRU(reset="before")}

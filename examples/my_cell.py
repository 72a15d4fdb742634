"""A cell of one's own, a few lines of equations: copy this file, change them, and compare.

headgate cells examples/my_cell.py:MyCell
headgate demo --cell examples/my_cell.py:MyCell
"""

from dataclasses import dataclass
from typing import ClassVar

from headgate.cells import Cell, Gates, State, sigmoid, tanh


@dataclass(frozen=True)
class MyCell(Cell):
    """Minimal gated unit (Zhou, Wu, Zhang & Zhou 2016, arXiv 1603.09420), with f turned round so that it keeps."""

    resets: bool = True  # a switch: headgate.Recurrent(MyCell, 10, 64, resets=False)

    gates = "f n"  # row blocks of the weights: x.f is W_f x + b_f, U.f(v) is U_f v + b'_f
    states = "h"  # what a step hands to the next; the first one is the output
    timescale: ClassVar = {"f": 1}  # f keeps the memory, for longer if its bias is larger

    def step(self, x, U, s):
        f = sigmoid(x.f + U.f(s.h))
        n = tanh(x.n + U.n((1.0 - f) * s.h if self.resets else s.h))
        h = f * s.h + (1.0 - f) * n
        return State(h=h), Gates(f=f, n=n)

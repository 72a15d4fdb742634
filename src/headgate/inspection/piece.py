"""What a reverse pass brings to a stretch of steps, whichever way it is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Piece:
    """What came to steps start..stop, in units of 2**scale.

    Attributes:
        start, stop: which steps, in the order of the run.
        total: by state, [R, n, B, S]; zero where a row takes no step.
        scale: [R, n, B], whole numbers.
        arrived: tells what came to the states of the first gradient from outside the step, by path and state,
            [n, B, S]; None if not asked for.
        inputs: tells what came to a gate's input part, [R, n, B, H]; None if it has to be found from the totals.
        products: tells what came to a recurrent block's product, [R, n, B, rows]; None likewise.
    """

    start: int
    stop: int
    total: dict[str, Tensor]
    scale: Tensor
    arrived: Callable[[], dict[str, dict[str, Tensor]]] | None
    inputs: Callable[[str], Tensor] | None = None
    products: Callable[[str], Tensor] | None = None

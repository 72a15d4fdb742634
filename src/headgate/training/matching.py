"""Hidden sizes that give different cells the same number of parameters, found by counting them."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from headgate.cells import Cell

LARGEST = 65536


def count_parameters(cell: Cell, input_size: int, hidden_size: int, output_size: int) -> int:
    """Trainable numbers of one layer of a cell with biases, and of the linear head that reads its output.

    Args:
        cell: the equations.
        input_size: features of an input, I.
        hidden_size: units, H; also the size of the output that the head reads.
        output_size: features of the head's answer.
    """
    layer = sum(prod(shape) for shape in cell.parameter_shapes(input_size, hidden_size, hidden_size).values())
    return layer + output_size * (hidden_size + 1)


def matched_hidden_size(cell: Cell, input_size: int, output_size: int, budget: int) -> int:
    """The hidden size whose parameter count is nearest to a budget.

    Raises:
        ValueError: one unit is already nearer to twice the budget than to the budget.
    """

    def count(hidden_size: int) -> int:
        return count_parameters(cell, input_size, hidden_size, output_size)

    return nearest_size(count, budget, cell.name)


def nearest_size(count: Callable[[int], int], budget: int, who: str) -> int:
    """The size from 1 on whose count is nearest to a budget.

    Args:
        count: of parameters; larger for a larger size.
        budget: what is aimed at.
        who: begins the message.

    Raises:
        ValueError: one unit is already nearer to twice the budget than to the budget, or no size reaches it.
    """
    if count(1) > 1.5 * budget:
        raise ValueError(
            f"{who} has {count(1)} parameters with a single unit, but the budget is {budget}; give a larger one."
        )
    low, high = 1, 2
    while count(high) < budget:
        if high > LARGEST:
            raise ValueError(f"{who}: no hidden size up to {LARGEST} reaches {budget} parameters.")
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if count(middle) < budget else (low, middle)
    return min((low, high), key=lambda size: abs(count(size) - budget))

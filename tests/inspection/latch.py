"""Networks whose memory is known beforehand, put there by hand, and data that ask for it (inspection.md 2.7)."""

from __future__ import annotations

import torch
from nn.layer_runs import normal
from torch import Tensor, nn

OPEN, SHUT = 30.0, -30.0
UNITS = 4


class Latch(nn.Module):
    """An LSTM that keeps the value shown with the marker, in unit 0, and a head that reads it at the last step.

    Inputs are (value, marker). Of unit 0 the forget and output gates are always open, by their biases alone, the input
    gate by the marker. Unit 1 is as constant, but shut, and nobody reads it. Units 2 and 3 do something with the
    values, which nobody reads either. No unit sees another.
    """

    def __init__(self, dtype: torch.dtype = torch.float64) -> None:
        super().__init__()
        self.memory = nn.LSTM(2, UNITS, dtype=dtype)
        weight = torch.zeros(4, UNITS, 2, dtype=dtype)  # gates i f g o
        bias = torch.zeros(4, UNITS, dtype=dtype)
        weight[0, 0, 1], bias[0, 0] = OPEN - SHUT, SHUT
        bias[1, 0] = bias[3, 0] = OPEN
        weight[2, 0, 0] = 10.0
        bias[0, 1] = bias[1, 1] = bias[3, 1] = SHUT
        weight[:, 2:] = normal(4, 2, 2, dtype=dtype)
        with torch.no_grad():
            self.memory.weight_ih_l0.copy_(weight.flatten(0, 1))
            self.memory.weight_hh_l0.zero_()
            self.memory.bias_ih_l0.copy_(bias.flatten())
            self.memory.bias_hh_l0.zero_()

    def forward(self, input: Tensor) -> Tensor:
        """[T, B, 2] -> [B]."""
        output, _ = self.memory(input)
        return output[-1, :, 0] / torch.tanh(torch.ones((), dtype=output.dtype))


def batch(steps: int, rows: int, shown: int = 0, seed: int = 1, dtype: torch.dtype = torch.float64) -> tuple:
    """Values of +1 and -1, half of each, one of them marked: the step, counted from the start, at which it is shown."""
    input = torch.zeros(steps, rows, 2, dtype=dtype)
    input[..., 0] = normal(steps, rows, seed=seed, dtype=dtype).sign()
    target = torch.ones(rows, dtype=dtype)
    target[::2] = -1.0
    input[shown, :, 0], input[shown, :, 1] = target, 1.0
    return input, target


def losses(model: nn.Module, data: tuple) -> Tensor:
    """Squared errors, [B]; whoever answers the mean has 1."""
    input, target = data
    return (model(input) - target).square()


CHANCE = 1.0

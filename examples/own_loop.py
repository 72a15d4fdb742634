"""A training loop of your own, watched: gates and gradients while it learns, then one step at a time on a live stream.

python examples/own_loop.py

The model is told a number at the first step and asked for it at the last; in between comes noise.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

import headgate as hg

LENGTH, ROWS, STEPS = 30, 32, 800


class Recall(nn.Module):
    """Any module with recurrent layers in it, headgate's or torch.nn's."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = hg.LSTM(1, 24, chrono=LENGTH)  # biases that begin with time scales up to LENGTH steps
        self.head = nn.Linear(24, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.rnn(x)[0][-1])[:, 0]


def batch() -> tuple[Tensor, Tensor]:
    x = torch.randn(LENGTH, ROWS, 1)
    return x, x[0, :, 0]


def losses(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    """One a row, so that the watch can tell rows apart."""
    x, asked = batch
    return (model(x) - asked).square()


def main() -> None:
    torch.manual_seed(0)
    model = Recall()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    monitor = hg.Monitor(model, every=200, needs_lag=LENGTH - 1, chance=1.0)
    for number in range(STEPS):
        optimizer.zero_grad()
        with monitor.step() as look:
            loss = losses(model, batch()).mean()
            loss.backward()
            look.report(loss)
        optimizer.step()
        if number % 200 == 199:
            print(f"step {number + 1}: loss {loss.item():.4f}")
    for warning in monitor.warnings:
        print(warning)

    # How far back does it remember, and which gate does it? Numbers here, pictures in the page.
    model.eval()
    found = hg.examine(model, [batch(), batch()], losses, needs_lag=LENGTH - 1, chance=1.0)
    print(found)
    print("the page:", hg.write_watch_report([monitor.add_to(found.records["rnn.l0"])], "recall.html"))

    # The same weights on a stream, one step at a time.
    state, told = None, torch.tensor([[0.7]])
    with torch.no_grad():
        for value in [told, *torch.randn(LENGTH - 1, 1, 1)]:
            output, state = model.rnn.step(value, state)
        print(f"told {told.item():.2f}, remembers {model.head(output).item():.2f}")


if __name__ == "__main__":
    main()

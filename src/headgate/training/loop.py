"""A plain training loop: Adam, a clipped gradient, a fixed number of steps; and held-out evaluation."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import nn

from headgate.tasks import Batch, Task

Listener = Callable[[int, float], None]


def train(
    network: nn.Module,
    task: Task,
    batches: Iterator[Batch],
    *,
    steps: int,
    rate: Callable[[int], float],
    clip: float,
    listener: Listener = lambda step, loss: None,
) -> list[float]:
    """Train in place.

    Args:
        network: maps [T, B, I] to answers [reads, B, O].
        task: gives the loss.
        batches: one a step.
        steps: how many to take; there is no early stopping.
        rate: learning rate of a step, counted from 0.
        clip: largest norm of the gradient over all parameters.
        listener: told the step, counted from 1, and its loss, after the weights have moved.

    Returns:
        The loss of every step, on its batch, before the weights moved. Fewer than `steps` if the loss stopped being a
        finite number: then the weights are put back to the last for which it was.

    Raises:
        FloatingPointError: the very first loss is not a finite number.
    """
    parameters = [p for p in network.parameters() if p.requires_grad]
    optimiser = torch.optim.Adam(parameters, lr=rate(0))
    losses: list[float] = []
    before: list[torch.Tensor] = []
    network.train()
    for step in range(steps):
        optimiser.param_groups[0]["lr"] = rate(step)
        batch = next(batches)
        optimiser.zero_grad(set_to_none=True)
        loss = task.loss(network(batch.input), batch.target)
        if not torch.isfinite(loss):
            _put_back(parameters, before, task, loss)
            break
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, clip)
        losses.append(loss.item())
        before = [p.detach().clone() for p in parameters]
        optimiser.step()
        listener(step + 1, losses[-1])
    return losses


def _put_back(parameters: list[nn.Parameter], before: list[torch.Tensor], task: Task, loss: torch.Tensor) -> None:
    if not before:
        raise FloatingPointError(
            f"{task.name}: the loss is {loss.item()} before any training; the cell's step gives numbers that are not "
            "finite, so there is nothing to train."
        )
    with torch.no_grad():
        for parameter, value in zip(parameters, before, strict=True):
            parameter.copy_(value)


@torch.no_grad()
def evaluate(network: nn.Module, task: Task, split: str) -> dict[str, float]:
    """The task's metrics, and "loss", on held-out sequences."""
    network.eval()
    batch = task.held_out(split)
    prediction = network(batch.input)
    return {**task.measure(prediction, batch.target), "loss": task.loss(prediction, batch.target).item()}

"""The loop learns, keeps every loss, clips, and does not lose a network that diverges."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from headgate.tasks.recall import Adding
from headgate.training.loop import evaluate, train


class Mean(nn.Module):
    """Answers the mean of the sequence times a weight, plus a bias."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([0.0]))
        self.bias = nn.Parameter(torch.tensor([3.0]))

    def forward(self, input):
        return (input[:, :, :1].mean(0) * self.weight + self.bias)[None]


class Breaking(Adding):
    """Its loss is not a number from the fourth call on."""

    def loss(self, prediction, target):
        self.__dict__["calls"] = self.__dict__.get("calls", 0) + 1
        return super().loss(prediction, target) * (float("nan") if self.calls >= 4 else 1.0)


def run(task, network, steps, **settings):
    settings = {"rate": lambda step: 0.1, "clip": 1.0, **settings}
    return train(network, task, task.batches(0, 20), steps=steps, **settings)


def test_it_learns_and_keeps_every_loss():
    network, heard = Mean(), []
    losses = run(Adding(lag=10), network, 200, listener=lambda step, loss: heard.append((step, loss)))
    assert len(losses) == 200 and losses[0] > 5 and losses[-1] < 0.1
    assert heard == list(enumerate(losses, start=1))
    measured = evaluate(network, Adding(lag=10), "validation")
    assert measured["loss"] < 0.06 and set(measured) == {"correct", "mean_error", "loss"}


def test_the_rate_is_followed():
    """With a rate of zero from step 5 on, the weights stay where they are."""
    frozen, full = Mean(), Mean()
    run(Adding(lag=10), frozen, 50, rate=lambda step: 0.1 if step < 5 else 0.0)
    run(Adding(lag=10), full, 5)
    assert torch.equal(frozen.bias, full.bias) and full.bias.item() != 3.0


def test_the_gradient_is_clipped(monkeypatch):
    norms = []
    step = torch.optim.Adam.step

    def spy(self, *args):
        norms.append(
            torch.cat([p.grad.flatten() for group in self.param_groups for p in group["params"]]).norm().item()
        )
        return step(self, *args)

    monkeypatch.setattr(torch.optim.Adam, "step", spy)
    run(Adding(lag=10), Mean(), 3, clip=0.25)
    assert norms == pytest.approx([0.25] * 3, rel=1e-4)


def test_a_network_that_diverges_is_put_back_to_its_last_finite_loss():
    broken, whole = Mean(), Mean()
    losses = run(Breaking(lag=10), broken, 50)
    assert losses == run(Adding(lag=10), whole, 3)
    other = Mean()
    run(Adding(lag=10), other, 2)
    assert torch.equal(broken.bias, other.bias) and not torch.equal(broken.bias, whole.bias)


def test_a_network_without_a_finite_loss_is_refused():
    network = Mean()
    network.bias.data.fill_(float("inf"))
    with pytest.raises(FloatingPointError, match="adding: the loss is inf before any training"):
        run(Adding(lag=10), network, 5)


def test_evaluation_neither_trains_nor_trains_on():
    network = Mean()
    assert evaluate(network, Adding(lag=10), "test") == evaluate(network, Adding(lag=10), "test")
    assert network.bias.grad is None and not network.training

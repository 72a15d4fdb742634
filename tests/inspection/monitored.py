"""Small models in training, and monitors that look whenever it is time to."""

from __future__ import annotations

import math

import torch
from nn.layer_runs import normal
from torch import nn

from headgate.inspection.monitor import Monitor

T, B, I, H = 12, 6, 2, 5  # noqa: E741 - the field's letter


class Net(nn.Module):
    """Reads the last step of a recurrent layer."""

    def __init__(self, layer=None):
        super().__init__()
        self.rnn = nn.LSTM(I, H) if layer is None else layer
        self.norm = nn.BatchNorm1d(H)
        self.head = nn.Linear(H, 1)

    def forward(self, input):
        return self.head(self.norm(self.rnn(input)[0][-1]))


def net(layer=None, seed=0):
    torch.manual_seed(seed)
    return Net(layer)


def batch(step, steps=T):
    return normal(steps, B, I, seed=step, dtype=torch.float32)


def loss_at(model, step, steps=T):
    return model(batch(step, steps)).square().mean()


def train(model, monitor, steps, loss_of=loss_at, report=True):
    """A plain loop; the looks that there were."""
    optimizer, looks = torch.optim.SGD(model.parameters(), 0.1), []
    for step in steps:
        optimizer.zero_grad()
        with monitor.step(step) as look:
            loss = loss_of(model, step)
            loss.backward()
            if report:
                look.report(loss, nn.utils.clip_grad_norm_(model.parameters(), 1.0), 1.0)
        optimizer.step()
        looks += [look] if look else []
    return looks


def monitor_of(model, every=2, **settings):
    return Monitor(model, every, **{"budget": None, **settings})


def one_look(model, loss_of, **settings):
    monitor = monitor_of(model, **settings)
    with monitor.step() as look:
        loss_of(model).backward()
    return look


def constant_lstm(forget, steps):
    """Gates that stand still, no recurrent weights: the memory fades by `forget` a step, and so does its gradient."""
    layer = nn.LSTM(I, H, dtype=torch.float64)
    with torch.no_grad():
        for weight in (layer.weight_hh_l0, layer.bias_ih_l0, layer.bias_hh_l0):
            weight.zero_()
        layer.weight_ih_l0[: 2 * H] = 0.0
        layer.weight_ih_l0[3 * H :] = 0.0
        layer.bias_ih_l0[H : 2 * H] = math.log(forget / (1 - forget))
    return layer, normal(steps, B, I, seed=3)

"""Cells with a mistake, made to be caught."""

import torch

from headgate.cells import Gates, State, sigmoid, tanh
from headgate.cells.gru import GRU
from headgate.cells.lstm import LSTM


class MinusLSTM(LSTM):
    def step(self, x, U, s):
        i, f, o = (sigmoid(x[k] + U[k](s.h)) for k in "ifo")
        g = tanh(x.g + U.g(s.h))
        c = f * s.c - i * g
        return State(h=o * tanh(c), c=c), Gates(i=i, f=f, g=g, o=o)


class SwappedLSTM(LSTM):
    gates = "i g f o"


class TurnedGRU(GRU):
    """Chung's sense: z lets the new value in, where torch's z keeps the old one."""

    def step(self, x, U, s):
        r, z = sigmoid(x.r + U.r(s.h)), sigmoid(x.z + U.z(s.h))
        n = tanh(x.n + r * U.n(s.h))
        return State(h=z * n + (1.0 - z) * s.h), Gates(r=r, z=z, n=n)


class WrongTanh(torch.autograd.Function):
    """The right value with the wrong sign of its derivative."""

    @staticmethod
    def forward(ctx, value):
        ctx.save_for_backward(value.tanh())
        return value.tanh()

    @staticmethod
    def backward(ctx, gradient):
        (y,) = ctx.saved_tensors
        return -gradient * (1 - y * y)


class WrongLSTM(LSTM):
    """An LSTM whose value is right and whose candidate is differentiated wrongly."""

    def step(self, x, U, s):
        a = x.g + U.g(s.h)
        g = WrongTanh.apply(a) if isinstance(a, torch.Tensor) else tanh(a)
        c = sigmoid(x.f + U.f(s.h)) * s.c + sigmoid(x.i + U.i(s.h)) * g
        return State(h=sigmoid(x.o + U.o(s.h)) * tanh(c), c=c)

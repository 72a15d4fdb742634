"""Layers: LSTM, GRU and RNN as in torch.nn, `Recurrent` over any cell, their initialisers, and `swap`."""

from headgate.nn import initialise as init
from headgate.nn.classical import GRU as GRU
from headgate.nn.classical import LSTM as LSTM
from headgate.nn.classical import RNN as RNN
from headgate.nn.recurrent import Recurrent as Recurrent
from headgate.nn.swap import swap as swap

__all__ = ["GRU", "LSTM", "RNN", "Recurrent", "init", "swap"]

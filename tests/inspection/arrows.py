"""The gradient's arrows as the literature writes them (inspection.md 2.1 and 2.2), with plain matmuls.

Each form gives the highway's factor F, what each gate path hands to the output before the step, and Q, by which what
comes to an output comes to the memory of the same step.
"""

from __future__ import annotations

import torch
from inspection.knock_out import ALONE, HIGHWAY, READOUT, local_gradients
from inspection.witness import Part, Products
from torch import Tensor


class Step:
    """All steps of one layer and direction in the order in which they ran, [T, B, H] each.

    Attributes:
        gate, new, old: gates, states after and before each step, by name.
        d: total gradients of the new states.
        e: what the loss itself brings to the new states.
        p: peepholes by gate.
    """

    def __init__(self, part: Part, local: dict) -> None:
        self._part, names = part, part.cell.state_names
        numbers, rows = part.numbers(), range(part.input.shape[1])
        self.gate = {name[5:]: self.in_order(v) for name, v in numbers.items() if name.startswith("gate ")}
        self.new = {name: self.in_order(numbers[f"state {name}"]) for name in names}
        self.d = {name: self.in_order(numbers[f"grad {name}"]) for name in names}
        first = {name: torch.stack([value.detach() for value in part.initial[name]])[None] for name in names}
        self.old = {name: torch.cat([first[name], self.new[name][:-1]]) for name in names}
        times = range(len(part.input))
        self.e = {
            n: self.in_order(torch.stack([torch.stack([local[t, b][n] for b in rows]) for t in times])) for n in names
        }
        self.p, self._weight = part.vectors, Products(part.cell, part.weights).weight
        self._bias = Products(part.cell, part.weights).bias

    def in_order(self, value: Tensor) -> Tensor:
        return value.flip(0) if self._part.reverse else value

    def U(self, block: str, value: Tensor) -> Tensor:
        return value @ self._weight[block].T + self._bias[block]

    def Ut(self, block: str, value: Tensor) -> Tensor:
        """The transposed block on every step and row."""
        return value @ self._weight[block]


def lstm(s: Step):
    i, f, g, o = (s.gate[name] for name in "ifgo")
    dc, dh, t = s.d["c"], s.d["h"], torch.tanh(s.new["c"])
    gates = {
        "f": s.Ut("f", s.old["c"] * f * (1 - f) * dc),
        "i": s.Ut("i", g * i * (1 - i) * dc),
        "g": s.Ut("g", i * (1 - g**2) * dc),
        "o": s.Ut("o", t * o * (1 - o) * dh),
    }
    return f, gates, o * (1 - t**2)


def peephole_lstm(s: Step):
    i, f, g, o = (s.gate[name] for name in "ifgo")
    F, gates, Q = lstm(s)
    F = F + s.old["c"] * f * (1 - f) * s.p.f + g * i * (1 - i) * s.p.i
    return F, gates, Q + torch.tanh(s.new["c"]) * o * (1 - o) * s.p.o


def cifg_lstm(s: Step):
    f, g, o = (s.gate[name] for name in "fgo")
    dc, dh, t = s.d["c"], s.d["h"], torch.tanh(s.new["c"])
    gates = {
        "i": s.Ut("i", (g - s.old["c"]) * f * (1 - f) * dc),
        "g": s.Ut("g", (1 - f) * (1 - g**2) * dc),
        "o": s.Ut("o", t * o * (1 - o) * dh),
    }
    return f, gates, o * (1 - t**2)


def gru(s: Step):
    r, z, n = (s.gate[name] for name in "rzn")
    d, h = s.d["h"], s.old["h"]
    dn = (1 - z) * (1 - n**2) * d
    gates = {
        "z": s.Ut("z", (h - n) * z * (1 - z) * d),
        "n": s.Ut("n", r * dn),
        "r": s.Ut("r", s.U("n", h) * r * (1 - r) * dn),
    }
    return z, gates, 1.0


def reset_before_gru(s: Step):
    r, z, n = (s.gate[name] for name in "rzn")
    d, h = s.d["h"], s.old["h"]
    back = s.Ut("n", (1 - z) * (1 - n**2) * d)
    gates = {
        "z": s.Ut("z", (h - n) * z * (1 - z) * d),
        "n": r * back,
        "r": s.Ut("r", h * r * (1 - r) * back),
    }
    return z, gates, 1.0


def rnn(s: Step):
    return torch.zeros_like(s.d["h"]), {"h": s.Ut("h", (1 - s.new["h"] ** 2) * s.d["h"])}, 1.0


def relu_rnn(s: Step):
    return torch.zeros_like(s.d["h"]), {"h": s.Ut("h", (s.new["h"] > 0) * s.d["h"])}, 1.0


FORMS = {form.__name__: form for form in (lstm, peephole_lstm, cifg_lstm, gru, reset_before_gru, rnn, relu_rnn)}


def paths(cell_name: str, part: Part, local: dict) -> dict[str, Tensor]:
    """dL/d(memory) by path, [T, B, H] in time, and what the highway alone would bring."""
    s = Step(part, local)
    F, gates, Q = FORMS[cell_name](s)
    memory, output = part.cell.memory, part.cell.state_names[0]
    readout = Q * s.e[output] + (s.e[memory] if memory != output else 0.0)
    found = {READOUT: readout, HIGHWAY: _received(F * s.d[memory])}
    found |= {name: Q * _received(value) for name, value in gates.items()}
    alone = [readout[-1]]
    for t in reversed(range(len(readout) - 1)):
        alone.insert(0, F[t + 1] * alone[0] + readout[t])
    found[ALONE] = torch.stack(alone)
    return {name: s.in_order(value) for name, value in found.items()}


def _received(sent: Tensor) -> Tensor:
    """What every step sends, at the step before, which receives it."""
    return torch.cat([sent[1:], torch.zeros_like(sent[:1])])


def by_hand(cell_name: str, part: Part, cotangents: dict[str, Tensor]) -> dict[str, Tensor]:
    """The paths of one direction of a one-layer run without lengths, by the names of `knock_out.told`."""
    T, B = part.input.shape[:2]
    found = paths(cell_name, part, local_gradients(part, cotangents, [T] * B))
    return {f"path {label}": value for label, value in found.items()}

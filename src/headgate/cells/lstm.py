"""Long short-term memory, with the switches of its family."""

from __future__ import annotations

from dataclasses import dataclass

from headgate.cells.cell import Cell, Gates, Matrix, State
from headgate.cells.operations import identity, sigmoid, tanh

ACTIVATIONS = {"tanh": tanh, "identity": identity}


@dataclass(frozen=True)
class LSTM(Cell):
    """Long short-term memory (Hochreiter & Schmidhuber 1997; forget gate: Gers, Schmidhuber & Cummins 2000).

    The switches are those of Greff et al. 2017 ("LSTM: A Search Space Odyssey", arXiv 1503.04069). Their names are
    relative to a cell with peepholes, so torch.nn.LSTM, the default here, is their NP.

    Args:
        peephole: the gates see the cell state, per unit: i and f the old one, o the new one (Gers & Schmidhuber 2000).
        coupled: f = 1 - i (CIFG).
        input_gate, forget_gate, output_gate: False holds that gate at 1 (NIG, NFG, NOG).
        input_activation, output_activation: "tanh", or "identity" to leave it out (NIAF, NOAF).
        full_gate_recurrence: every gate also sees all gates of the step before (FGR, and the 1997 original).
        projection: h = U_r (o * act(c)), smaller than c (Sak, Senior & Beaufays 2014); `proj_size` sets it.
    """

    peephole: bool = False
    coupled: bool = False
    input_gate: bool = True
    forget_gate: bool = True
    output_gate: bool = True
    input_activation: str = "tanh"
    output_activation: str = "tanh"
    full_gate_recurrence: bool = False
    projection: bool = False

    def __post_init__(self) -> None:
        for switch, default in self.switches.items():
            if isinstance(default, bool) and not isinstance(getattr(self, switch), bool):
                raise TypeError(f"LSTM: {switch}={getattr(self, switch)!r} is not True or False.")
        for switch in ("input_activation", "output_activation"):
            if getattr(self, switch) not in ACTIVATIONS:
                raise ValueError(
                    f"LSTM: {switch}={getattr(self, switch)!r} is not known; choose one of {', '.join(ACTIVATIONS)}."
                )
        if self.coupled and not (self.input_gate and self.forget_gate):
            raise ValueError(
                "LSTM: coupled=True sets f = 1 - i, so it needs both gates; leave input_gate and forget_gate True."
            )
        for switch in ("peephole", "full_gate_recurrence"):
            if getattr(self, switch) and not self.own_gates:
                raise ValueError(f"LSTM: {switch}=True would do nothing, since all three gates are switched off.")

    @property
    def own_gates(self) -> tuple[str, ...]:
        """The gates with weights of their own, in order."""
        present = {"i": self.input_gate, "f": self.forget_gate and not self.coupled, "o": self.output_gate}
        return tuple(gate for gate, here in present.items() if here)

    @property
    def gates(self) -> str:
        return " ".join(name for name in "ifgo" if name == "g" or name in self.own_gates)

    @property
    def states(self) -> str:
        return " ".join(("h", "c", *(self.own_gates if self.full_gate_recurrence else ())))

    @property
    def memory(self) -> str:
        return "c"

    @property
    def vectors(self) -> str:
        return " ".join(self.own_gates) if self.peephole else ""

    @property
    def recurrent(self) -> tuple[Matrix, ...]:
        matrices = [Matrix("hh", self.gates)]
        if self.full_gate_recurrence:
            pairs = (f"{source}_{target}" for source in self.own_gates for target in self.own_gates)
            matrices.append(Matrix("gg", " ".join(pairs), columns="H", bias=False))
        if self.projection:
            matrices.append(Matrix("hr", "r", rows="O", columns="H", bias=False))
        return tuple(matrices)

    @property
    def produces_projection(self) -> bool:
        return self.projection

    @property
    def timescale(self) -> dict[str, int]:
        """Chrono: b_f = log U(1, T_max - 1), b_i = -b_f (Tallec & Ollivier 2018)."""
        if self.coupled:
            return {"i": -1}
        if not self.forget_gate:
            return {}
        return {"f": 1, "i": -1} if self.input_gate else {"f": 1}

    def step(self, x, U, s, p):
        def gate(k, c):
            a = x[k] + U[k](s.h)
            if self.peephole:
                a = a + p[k] * c
            if self.full_gate_recurrence:
                for j in self.own_gates:
                    a = a + U[f"{j}_{k}"](s[j])
            return sigmoid(a)

        i = gate("i", s.c) if self.input_gate else 1.0
        f = 1.0 - i if self.coupled else gate("f", s.c) if self.forget_gate else 1.0
        g = ACTIVATIONS[self.input_activation](x.g + U.g(s.h))
        c = f * s.c + i * g
        o = gate("o", c) if self.output_gate else 1.0
        h = o * ACTIVATIONS[self.output_activation](s.read(c))
        if self.projection:
            h = U.r(h)

        shown = {"i": self.input_gate, "f": self.forget_gate, "g": True, "o": self.output_gate}
        gates = Gates((name, value) for name, value in zip("ifgo", (i, f, g, o), strict=True) if shown[name])
        fed_back = {name: gates[name] for name in self.own_gates} if self.full_gate_recurrence else {}
        return State(h=h, c=c, **fed_back), gates


# Greff's variants differ from a cell with peepholes; their own NP and V are "lstm" and "peephole_lstm".
NAMES = {
    "lstm": LSTM(),
    "peephole_lstm": LSTM(peephole=True),
    "cifg_lstm": LSTM(coupled=True),
    "greff_nig": LSTM(peephole=True, input_gate=False),
    "greff_nfg": LSTM(peephole=True, forget_gate=False),
    "greff_nog": LSTM(peephole=True, output_gate=False),
    "greff_niaf": LSTM(peephole=True, input_activation="identity"),
    "greff_noaf": LSTM(peephole=True, output_activation="identity"),
    "greff_cifg": LSTM(peephole=True, coupled=True),
    "greff_fgr": LSTM(peephole=True, full_gate_recurrence=True),
}

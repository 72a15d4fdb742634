"""A layer's equations and the blocks of its one-step Jacobian, for the page's cards; its units worth a word."""

from __future__ import annotations

import math
from typing import Any

from headgate.report.layer import Layer

LSTM = [
    r"J_t=\begin{pmatrix}F&K\\QF&QK+R\end{pmatrix}",
    r"F=D(f_t)",
    r"K=D\left(c_{t-1}f'_t\right)U_f+D\left(g_t i'_t\right)U_i+D\left(i_t g'_t\right)U_g",
    r"Q=D\left(o_t(1-\tanh^2 c_t)\right),\qquad R=D\left(\tanh(c_t)\,o'_t\right)U_o",
]
GRU = [
    r"J_t=D(z_t)+D\left((h_{t-1}-n_t)z'_t\right)U_z+D\left((1-z_t)n'_t\right)"
    r"\left(D(r_t)U_n+D\left(q_t r'_t\right)U_r\right)",
    r"q_t=U_n h_{t-1}+b'_n",
]
PLAIN = [r"J_t=D\left(\phi'(a_t)\right)U"]
KNOWN = {
    ("c", "i f g o"): (LSTM, "F is the highway, element by element; K and R go through the recurrent weights."),
    ("h", "r z n"): (GRU, "The first term is the highway; the others go through the recurrent weights."),
    ("h", ""): (PLAIN, "No highway: all of it goes through the recurrent weights."),
}


def cards(layer: Layer) -> list[dict[str, Any]]:
    """What the cell computes, and how one step passes a gradient on."""
    told = layer.facts.get("equations") or []
    lines = [line for line in (told.split("\n") if isinstance(told, str) else map(str, told)) if line.strip()]
    keeps = f" {layer.keeps} keeps the memory." if layer.keeps else ""
    found = [{"title": layer.label, "lines": lines, "note": f"The memory that is followed: {layer.memory}.{keeps}"}]
    blocks = KNOWN.get((layer.memory, " ".join(layer.gates)))
    if blocks and str(layer.facts.get("cell", "")).upper() in ("LSTM", "GRU", "RNN"):
        found.append({"title": "One step's Jacobian", "lines": blocks[0], "note": blocks[1], "expert": True})
    return [card for card in found if card["lines"]]


def triage(layer: Layer) -> list[list[str]]:
    """Rows of a table: unit, gate, verdict, what losing it costs, its time scale."""
    rows = []
    for fact in (layer.facts.get("triage") or [])[:40]:
        kill, tau = fact.get("kill"), fact.get("timescale")
        cost = "not tried" if kill is None else layer.cost(kill)
        scale = "none" if tau is None or not math.isfinite(tau) else f"{tau:.3g} steps"
        rows.append([str(fact.get("unit")), str(fact.get("gate")), str(fact.get("verdict")), cost, scale])
    return rows

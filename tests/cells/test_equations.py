"""The catalogue's equations, each written out once more from its paper; and the switches of the LSTM family."""

import dataclasses
import itertools

import numpy as np
import pytest
from comparing import assert_all_close
from graph.one_step import OneStep
from reference.cases import CELLS
from tolerances import TOLERANCE
from torch import float64

from headgate.cells.lstm import LSTM
from headgate.graph import evaluate, trace
from headgate.graph.expression import in_order

RESTATED = TOLERANCE["restated", float64]


def sigmoid(v):
    return 1 / (1 + np.exp(-v))


# Each takes wx[k] = W_k x + b_k, a function U(k, v) = U_k v + b'_k, the old states and the peepholes.


def rnn(wx, U, s, p):
    return {"h": np.tanh(wx["h"] + U("h", s["h"]))}


def relu_rnn(wx, U, s, p):
    return {"h": np.maximum(wx["h"] + U("h", s["h"]), 0)}


def gru(wx, U, s, p):
    """h = (1 - z) n + z h_{t-1}, the reset gate on the product U_n h + b'_n."""
    reset = sigmoid(wx["r"] + U("r", s["h"]))
    update = sigmoid(wx["z"] + U("z", s["h"]))
    candidate = np.tanh(wx["n"] + reset * U("n", s["h"]))
    return {"h": candidate + update * (s["h"] - candidate), "r": reset, "z": update, "n": candidate}


def reset_before_gru(wx, U, s, p):
    reset = sigmoid(wx["r"] + U("r", s["h"]))
    update = sigmoid(wx["z"] + U("z", s["h"]))
    candidate = np.tanh(wx["n"] + U("n", reset * s["h"]))
    return {"h": candidate + update * (s["h"] - candidate), "r": reset, "z": update, "n": candidate}


def lstm(wx, U, s, p):
    a = {k: wx[k] + U(k, s["h"]) for k in "ifgo"}
    i, f, g, o = sigmoid(a["i"]), sigmoid(a["f"]), np.tanh(a["g"]), sigmoid(a["o"])
    c = s["c"] * f + g * i
    return {"h": np.tanh(c) * o, "c": c, "i": i, "f": f, "g": g, "o": o}


def cifg_lstm(wx, U, s, p):
    """One gate divides the new memory between candidate and old memory."""
    i = sigmoid(wx["i"] + U("i", s["h"]))
    g = np.tanh(wx["g"] + U("g", s["h"]))
    o = sigmoid(wx["o"] + U("o", s["h"]))
    c = s["c"] + i * (g - s["c"])
    return {"h": np.tanh(c) * o, "c": c, "i": i, "f": 1 - i, "g": g, "o": o}


def lstmp(wx, U, s, p):
    found = lstm(wx, U, s, p)
    return {**found, "h": U("r", found["h"])}


def peephole_lstm(wx, U, s, p):
    """Greff et al. 2017, section II: the vanilla LSTM, out of which each of their variants takes one thing."""
    return vanilla(wx, U, s, p)


def vanilla(wx, U, s, p, without="", candidate=np.tanh, squash=np.tanh, extra=lambda k: 0.0):
    gates = {}
    for k in "if":
        gates[k] = 1.0 if k in without else sigmoid(wx[k] + U(k, s["h"]) + p[k] * s["c"] + extra(k))
    g = candidate(wx["g"] + U("g", s["h"]))
    c = g * gates["i"] + s["c"] * gates["f"]
    gates["o"] = 1.0 if "o" in without else sigmoid(wx["o"] + U("o", s["h"]) + p["o"] * c + extra("o"))
    shown = {k: value for k, value in gates.items() if k not in without}
    return {"h": squash(c) * gates["o"], "c": c, "g": g, **shown}


def greff_fgr(wx, U, s, p):
    """Every gate also gets R_{jk} j_{t-1} from each gate j, nine matrices in all."""
    return vanilla(wx, U, s, p, extra=lambda k: U(f"i_{k}", s["i"]) + U(f"f_{k}", s["f"]) + U(f"o_{k}", s["o"]))


def greff_fgrp(wx, U, s, p):
    found = greff_fgr(wx, U, s, p)
    return {**found, "h": U("r", found["h"])}


EQUATIONS = {
    "rnn": rnn,
    "relu_rnn": relu_rnn,
    "gru": gru,
    "reset_before_gru": reset_before_gru,
    "lstm": lstm,
    "lstmp": lstmp,
    "cifg_lstm": cifg_lstm,
    "peephole_lstm": peephole_lstm,
    "greff_nig": lambda *given: vanilla(*given, without="i"),
    "greff_nfg": lambda *given: vanilla(*given, without="f"),
    "greff_nog": lambda *given: vanilla(*given, without="o"),
    "greff_niaf": lambda *given: vanilla(*given, candidate=lambda v: v),
    "greff_noaf": lambda *given: vanilla(*given, squash=lambda v: v),
    "greff_fgr": greff_fgr,
    "greff_fgrp": greff_fgrp,
}


def problem(name):
    step = OneStep(CELLS[name], O=3 if CELLS[name].produces_projection else None)
    expected = EQUATIONS[name](step.x, lambda block, vector: step.U[block](vector), step.s, step.p)
    return step, expected


@pytest.mark.parametrize("name", EQUATIONS)
def test_a_cell_computes_what_its_paper_says(name):
    step, expected = problem(name)
    state, gates = step.run()
    assert_all_close({**gates, **state}, expected, RESTATED)


@pytest.mark.parametrize("name", EQUATIONS)
def test_any_flipped_sign_in_an_equation_is_refused_and_named(name):
    """Every node of the step negated in turn, operands and constants included."""
    step, expected = problem(name)
    states = {key: expected[key] for key in step.s}
    nodes = in_order(step.graph.states.values())
    right = dict(zip(nodes, evaluate(nodes, step.values, step.multiply), strict=True))
    assert_all_close({key: right[node] for key, node in step.graph.states.items()}, states, RESTATED)
    for node in nodes:
        wrong = evaluate(step.graph.states.values(), {**step.values, node: -right[node]}, step.multiply)
        with pytest.raises(AssertionError, match=r"\b(h|c|i|f|o): relative error"):
            assert_all_close(dict(zip(states, wrong, strict=True)), states, RESTATED)


# --- the switches of Greff et al. -------------------------------------------------------------------------------

CHOICES = {
    field.name: ("tanh", "identity") if isinstance(field.default, str) else (False, True)
    for field in dataclasses.fields(LSTM)
}


def contradictory(switches):
    """Coupled gates need both gates; peepholes and gate recurrence need any."""
    none_left = not (switches["input_gate"] or switches["forget_gate"] or switches["output_gate"])
    return (switches["coupled"] and not (switches["input_gate"] and switches["forget_gate"])) or (
        none_left and (switches["peephole"] or switches["full_gate_recurrence"])
    )


def combinations():
    for values in itertools.product(*CHOICES.values()):
        yield dict(zip(CHOICES, values, strict=True))


def test_exactly_the_contradictory_switches_are_refused():
    refused = 0
    for switches in combinations():
        if contradictory(switches):
            refused += 1
            with pytest.raises(ValueError, match=r"LSTM: (coupled|peephole|full_gate_recurrence)=True"):
                LSTM(**switches)
        else:
            LSTM(**switches)
    assert (refused, len(list(combinations()))) == (216, 512)


def test_every_switch_changes_the_equations():
    """No two settings that construct give the same step: no option is accepted and ignored."""
    made = [trace(LSTM(**switches)) for switches in combinations() if not contradictory(switches)]
    assert len({tuple(graph.states.items()) for graph in made}) == len(made) == 296


@pytest.mark.parametrize(
    ("switches", "gates", "states", "vectors"),
    [
        ({}, "i f g o", "h c", ""),
        ({"coupled": True, "peephole": True}, "i g o", "h c", "i o"),
        ({"input_gate": False, "peephole": True}, "f g o", "h c", "f o"),
        ({"forget_gate": False, "output_gate": False}, "i g", "h c", ""),
        ({"input_gate": False, "forget_gate": False, "output_gate": False}, "g", "h c", ""),
        ({"full_gate_recurrence": True, "output_gate": False}, "i f g", "h c i f", ""),
    ],
    ids=str,
)
def test_a_gate_that_is_off_leaves_no_parameters(switches, gates, states, vectors):
    cell = LSTM(**switches)
    assert (" ".join(cell.gate_names), " ".join(cell.state_names), " ".join(cell.vector_names)) == (
        gates,
        states,
        vectors,
    )


def test_gate_recurrence_has_a_matrix_for_every_pair_of_gates():
    blocks = CELLS["greff_fgr"].recurrent[1].block_names
    assert blocks == tuple(f"{source}_{target}" for source in "ifo" for target in "ifo")


# --- timescales -------------------------------------------------------------------------------------------------

TIMESCALES = {"lstm": "f", "peephole_lstm": "f", "greff_nig": "f", "cifg_lstm": "i"}
TIMESCALES |= {"gru": "z", "reset_before_gru": "z"}


def kept(cell, gate, shift):
    """d(new memory)/d(old memory) of one unit without recurrent weights, one gate's bias shifted."""
    step = OneStep(cell, H=1)
    for weights in (step.matrix, step.bias):
        weights.update({block: np.zeros_like(value) for block, value in weights.items()})
    step.p.update({name: np.zeros(1) for name in step.p})
    step.x[gate] = step.x[gate] + shift
    return step.jacobian()[cell.memory, cell.memory].item()


@pytest.mark.parametrize("name", TIMESCALES)
def test_the_first_timescale_gate_keeps_the_memory_with_the_sign_it_says(name):
    cell = CELLS[name]
    gate, sign = next(iter(cell.timescale.items()))
    assert gate == TIMESCALES[name]
    assert kept(cell, gate, -9 * sign) < 0.1 < 0.9 < kept(cell, gate, 9 * sign)


def test_an_lstm_lets_less_in_where_it_keeps_more():
    assert dict(CELLS["lstm"].timescale) == {"f": 1, "i": -1}
    assert dict(CELLS["greff_nfg"].timescale) == dict(CELLS["rnn"].timescale) == {}

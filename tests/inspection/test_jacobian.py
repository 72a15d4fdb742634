"""The dense Jacobian of one step, against autograd's of the same step, and against the closed form of its volume."""

import pytest
import torch
from comparing import assert_all_close
from graph.one_step import STRANGE
from inspection.watching import CELLS, EXACT, LENGTHS, B, I, T, layer_of, resets, unrolled, watched
from nn.layer_runs import normal, states_for

import headgate as hg

ALL = {**CELLS, **STRANGE}
every_cell = pytest.mark.parametrize("cell", ALL.values(), ids=ALL)
PLACES = [(2, 0), (4, 1), (1, 3)]  # steps that are taken, the first and last of them after a reset in one direction


@every_cell
def test_one_step_against_autograd(cell):
    """In both layers and directions, at steps with and without a reset before them."""
    layer, input = layer_of(cell), normal(T, B, I)
    states, reset = states_for(layer, B), resets()
    seen, cotangents = watched(layer, input, states, lengths=LENGTHS, reset=reset)
    for name, part in unrolled(cell, layer, input, states, cotangents, LENGTHS, reset).parts.items():
        expected = {f"{name} t={t} row={row}": part.jacobian(t, row) for t, row in PLACES}
        actual = {f"{name} t={t} row={row}": seen[name].jacobian(t, row) for t, row in PLACES}
        assert_all_close(actual, expected, EXACT)


def test_it_needs_no_gradients_of_the_run():
    layer, input = layer_of(CELLS["gru"]), normal(T, B, I)
    expected, _ = watched(layer, input)
    with hg.watch(layer) as seen, torch.no_grad():
        layer(input)
    assert torch.equal(seen["l0"].jacobian(1), expected["l0"].jacobian(1))


@pytest.mark.parametrize("direction", ["l0", "l0_reverse"])
def test_the_volume_of_an_lstm_step_in_closed_form(direction):
    """log|det J| = sum log f + sum log(|tanh c| o (1 - o)) + log|det U_o|: the sum of all Lyapunov exponents."""
    layer = layer_of(CELLS["lstm"], num_layers=1)
    seen, _ = watched(layer, normal(T, B, I))
    trace = seen[direction]
    _, _, _, U_o = getattr(layer, f"weight_hh_{direction}").detach().chunk(4)
    f, o, c = trace.gates["f"], trace.gates["o"], trace.states["c"]
    closed = f.log().sum(-1) + (c.tanh().abs() * o * (1 - o)).log().sum(-1) + torch.linalg.slogdet(U_o).logabsdet
    dense = torch.stack([torch.stack([_volume(trace.jacobian(t, b)) for b in range(B)]) for t in range(T)])
    assert_all_close({"log|det J|": dense}, {"log|det J|": closed}, EXACT)


def _volume(matrix):
    return torch.linalg.slogdet(matrix).logabsdet


@pytest.mark.parametrize("direction", ["l0", "l0_reverse"])
def test_jacobians_chained_carry_the_gradient_of_the_end_to_the_beginning(direction):
    """Where the loss reads the final states alone, dL/ds_0 = J_1^T ... J_T^T dL/ds_T."""
    layer, row = layer_of(CELLS["lstm"], num_layers=1), 1
    seen, cotangents = watched(layer, normal(T, B, I), loss="final")
    trace, index = seen[direction], ["l0", "l0_reverse"].index(direction)
    adjoint = torch.cat([cotangents[f"final {k}"][index, row] for k in range(2)])
    for t in range(T) if index else reversed(range(T)):
        adjoint = trace.jacobian(t, row).T @ adjoint
    initial = torch.cat([trace.grad_initial[name][row] for name in layer.cell.state_names])
    assert_all_close({"dL/ds_0": initial}, {"dL/ds_0": adjoint}, EXACT)

"""Mistakes made in the engines on purpose: each must be refused by the comparison of test_parity.py, and named."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from comparing import assert_all_close
from engines.mutant_cells import MinusLSTM, SwappedLSTM, TurnedGRU, WrongLSTM
from engines.running import value_and_gradients
from reference.cases import SMALL, case_of, truth
from tolerances import TOLERANCE
from torch.nn import functional

from headgate.cells.gru import GRU
from headgate.cells.lstm import LSTM
from headgate.engines import eager, stock


def refused(name, options, engine="eager", *, as_cell=None, dtype=torch.float64):
    """The names of all entries that the comparison complains of, which must be some."""
    case = case_of(name, SMALL, options)
    mutant = case if as_cell is None else replace(case, cell=as_cell)
    with pytest.raises(AssertionError) as complaint:
        found = value_and_gradients(mutant, engine, dtype)
        assert_all_close(found, truth(name, SMALL, options), TOLERANCE[engine, dtype])
    lines = str(complaint.value).splitlines()[1:]
    assert all("relative error" in line for line in lines), complaint.value
    return {line.strip().partition(":")[0] for line in lines}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize(
    ("name", "mutant", "named"),
    [
        ("lstm", MinusLSTM(), {"output", "final_h", "final_c", "d_weight_ih", "d_weight_hh", "d_input"}),
        ("lstm", SwappedLSTM(), {"output", "final_c", "d_weight_ih", "d_bias_hh"}),
        ("gru", TurnedGRU(), {"output", "final_h", "d_weight_ih", "d_initial_h"}),
        ("gru", GRU(reset="before"), {"output", "final_h", "d_weight_hh", "d_bias_hh"}),
        ("cifg_lstm", LSTM(coupled=True, output_activation="identity"), {"output", "final_h"}),
    ],
    ids=["flipped sign", "gates swapped", "z turned", "reset before", "no output activation"],
)
def test_a_wrong_equation(name, mutant, named, dtype):
    assert refused(name, "plain", as_cell=mutant, dtype=dtype) >= named


def test_a_wrong_derivative_is_seen_in_the_gradients_alone():
    found = refused("lstm", "plain", as_cell=WrongLSTM())
    assert found >= {"d_weight_ih", "d_weight_hh", "d_bias_ih", "d_bias_hh", "d_input"}
    assert not [name for name in found if not name.startswith("d_")]


def linear_with(monkeypatch, change):
    """Both matrix products of eager, with their weight or bias changed."""
    linear = lambda vector, weight, bias=None: functional.linear(vector, *change(weight, bias))  # noqa: E731
    monkeypatch.setattr(eager, "functional", SimpleNamespace(linear=linear))


def test_a_transposed_matrix(monkeypatch):
    H = SMALL[2]

    def transposed(weight, bias):
        square = weight.shape[1] == H
        return (weight.unflatten(0, (-1, H)).mT.flatten(0, 1) if square else weight), bias

    linear_with(monkeypatch, transposed)
    for name in ("rnn", "gru", "peephole_lstm"):
        assert refused(name, "plain") >= {"output", "final_h", "d_weight_hh", "d_initial_h"}


def test_a_dropped_bias(monkeypatch):
    H = SMALL[2]
    linear_with(monkeypatch, lambda weight, bias: (weight, None if bias is None or weight.shape[1] == H else bias))
    case = case_of("lstm")
    with pytest.raises(RuntimeError, match="appears to not have been used"):
        value_and_gradients(case, "eager", torch.float64)


def test_a_bias_counted_twice(monkeypatch):
    linear_with(monkeypatch, lambda weight, bias: (weight, None if bias is None else 2 * bias))
    for name in ("lstm", "gru"):
        assert refused(name, "plain") >= {"output", "final_h", "d_bias_ih", "d_bias_hh", "d_weight_ih"}


def test_a_detached_bias_is_not_a_zero_gradient(monkeypatch):
    linear_with(monkeypatch, lambda weight, bias: (weight, None if bias is None else 0 * bias))
    assert refused("gru", "plain") >= {"output", "d_bias_ih", "d_bias_hh"}


def schedule_with(monkeypatch, change):
    right = eager.schedule
    monkeypatch.setattr(eager, "schedule", lambda call: change(right, call))


def test_padded_steps_that_are_run(monkeypatch):
    schedule_with(monkeypatch, lambda right, call: right(replace(call, lengths=None)))
    for options in ("lengths", "lengths reverse"):
        assert refused("lstm", options) >= {"output", "final_h", "final_c", "d_weight_ih", "d_initial_c"}


def test_resets_that_are_not_made(monkeypatch):
    schedule_with(monkeypatch, lambda right, call: right(replace(call, reset=None)))
    for options in ("reset", "reset reverse"):
        assert refused("gru", options) >= {"output", "final_h", "d_initial_h"}


def test_resets_of_the_reverse_direction_that_are_a_step_off(monkeypatch):
    """Restoring the state after the step at which a sequence begins, not before the one ahead of it."""

    def off(right, call):
        if call.reset is not None and call.reverse:
            call = replace(call, reset=torch.cat([call.reset[:1], call.reset[:-1]]))
        return right(call)

    schedule_with(monkeypatch, off)
    assert refused("lstm", "reset reverse") >= {"output", "d_initial_h", "d_initial_c"}


def test_a_reverse_direction_that_runs_forward(monkeypatch):
    schedule_with(monkeypatch, lambda right, call: right(replace(call, reverse=False)))
    for options in ("reverse", "lengths reverse"):
        assert refused("lstm", options) >= {"output", "final_h", "d_input"}


def test_a_reverse_direction_that_starts_in_the_padding(monkeypatch):
    """Flipping whole sequences, padding first: right without lengths, and the classical mistake with them."""
    monkeypatch.setattr(stock, "_reversed", lambda sequences, lengths: sequences.flip(0))
    found = value_and_gradients(case_of("gru", SMALL, "reverse"), "stock", torch.float64)
    assert_all_close(found, truth("gru", SMALL, "reverse"), TOLERANCE["stock", torch.float64])
    assert refused("gru", "lengths reverse", "stock") >= {"output", "final_h", "d_input", "d_weight_ih"}


def test_weights_handed_to_the_kernel_in_another_order(monkeypatch):
    """torch.nn's order is weight_ih, weight_hh, bias_ih, bias_hh; a GRU tells its two biases apart."""
    right = stock.stack

    def swapped(cell, input, initial, weights, **options):
        return right(cell, input, initial, [*weights[:2], weights[3], weights[2]], **options)

    monkeypatch.setattr(stock, "stack", swapped)
    assert refused("gru", "plain", "stock") >= {"output", "d_bias_ih", "d_bias_hh"}

"""Autocast on a CPU: products in bfloat16, the memory in float32 while a sequence runs, gradients in float32."""

import copy

import pytest
import torch
from comparing import assert_all_close
from nn.layer_runs import CELLS, as_hx, as_states, named, normal, states_for, values
from tolerances import TOLERANCE
from torch.nn.utils.rnn import pack_padded_sequence

import headgate as hg
from headgate.engines.cpu import library
from headgate.nn import recurrent

INPUT = normal(6, 3, 4, dtype=torch.float32)
HALF = TOLERANCE["eager", torch.bfloat16]


def autocast():
    return torch.autocast("cpu", dtype=torch.bfloat16)


def in_float64(tensors):
    return {name: tensor.detach().double() for name, tensor in tensors.items()}


@pytest.mark.parametrize("cell", CELLS)
def test_outputs_are_bfloat16_near_float32_and_gradients_reach_the_parameters(cell):
    layer = hg.Recurrent(cell, 4, 8, 2, bidirectional=True)
    twin = copy.deepcopy(layer)
    expected = named(twin(INPUT))
    sum(value.square().sum() for value in expected.values()).backward()
    with autocast():
        actual = named(layer(INPUT))
        loss = sum(value.float().square().sum() for value in actual.values())
    loss.backward()
    assert actual["output"].dtype == torch.bfloat16
    assert_all_close(in_float64(actual), in_float64(expected), HALF)
    for name, parameter in layer.named_parameters():
        assert parameter.dtype == parameter.grad.dtype == torch.float32
        assert_all_close({name: parameter.grad}, {name: twin.get_parameter(name).grad}, HALF)


@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True}, {"batch_first": True}], ids=str)
@pytest.mark.parametrize("given", [False, True], ids=["no states", "states in float32"])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_training_rounds_only_what_products_multiply(cell, given, options, monkeypatch):
    """The prepared way has the numbers of the long one, and gradients that were not rounded once more."""
    found, shapes = [], (3, 2) if "batch_first" in options else (2, 3)  # T = 2, B = 3
    for short in (True, False):
        torch.manual_seed(0)
        layer = hg.Recurrent(cell, 4, 19, **options)
        input = normal(*shapes, 4, dtype=torch.float32).requires_grad_()
        states = [value.float().requires_grad_() for value in states_for(layer, 3)]
        if not short:
            monkeypatch.setattr(recurrent, "run_prepared", lambda *call: None)
        with autocast():
            values = named(layer(input, as_hx(tuple(states)) if given else None))
        sum(value.float().square().sum() for value in values.values()).backward()
        tensors = {"input": input, **dict(layer.named_parameters())} | (
            {f"state {k}": state for k, state in enumerate(states)} if given else {}
        )
        found.append((values, {name: tensor.grad for name, tensor in tensors.items()}))
    for name, value in found[1][0].items():
        assert value.dtype == found[0][0][name].dtype
        assert torch.equal(value, found[0][0][name]), name
    assert_all_close(in_float64(found[0][1]), in_float64(found[1][1]), HALF)
    weights = [gradient for name, gradient in found[0][1].items() if name.startswith(("weight", "bias"))]
    assert any(not torch.equal(g, g.bfloat16().float()) for g in weights) == (library.tiles() is not None)


def test_it_is_not_float32_after_all():
    layer = hg.LSTM(4, 8)
    with autocast():
        output, _ = layer(INPUT)
    exact = layer(INPUT)[0]
    assert 1e-4 < (output.float() - exact).abs().max() < 0.05


def test_output_dtypes_are_those_of_torch():
    theirs, ours = torch.nn.LSTM(4, 8), hg.LSTM(4, 8)
    with autocast():
        expected, actual = theirs(INPUT), ours(INPUT)
    assert [state.dtype for state in (actual[0], *actual[1])] == [state.dtype for state in (expected[0], *expected[1])]


def test_the_memory_is_kept_in_float32():
    """Gates at 1 and g at 2**-10: in bfloat16 the sum would stop at 0.25."""
    layer = hg.LSTM(1, 1)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
        layer.bias_ih_l0.copy_(torch.tensor([40.0, 40.0, 2.0**-10, 40.0]))
    with autocast(), torch.no_grad():
        _, (_, c) = layer(torch.zeros(1024, 1, 1))
    assert abs(c.item() - 1.0) < 5e-3


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_float32_state_is_taken_as_it_is_and_comes_back_in_float32(cell):
    layer = hg.Recurrent(cell, 4, 8)
    states = states_for(layer, 3)
    with autocast():
        _, final = layer(INPUT, as_hx(states))
        _, stepped = layer.step(INPUT[0])
    assert {state.dtype for state in as_states(final)} == {torch.float32}
    assert {state.dtype for state in as_states(stepped)} == {torch.float32}


def test_lengths_reset_and_packed_sequences():
    layer = hg.LSTM(4, 8, bidirectional=True)
    lengths, reset = torch.tensor([6, 2, 4]), normal(6, 3) > 0.5
    packed = pack_padded_sequence(INPUT, lengths, enforce_sorted=False)
    for run in (
        lambda x, hx: layer(x, hx, lengths=lengths),
        lambda x, hx: layer(x, hx, reset=reset),
        lambda x, hx: layer(packed, hx),
    ):
        exact = values(run, INPUT)
        with autocast():
            half = values(run, INPUT)
        assert half["output"].dtype == torch.bfloat16
        assert_all_close(in_float64(half), in_float64(exact), HALF)


def test_a_bfloat16_input_passes_into_a_float32_layer():
    layer = hg.LSTM(4, 8)
    with autocast():
        assert torch.equal(layer(INPUT.bfloat16())[0], layer(INPUT)[0])


def test_autocast_switched_off_inside_is_off():
    layer = hg.LSTM(4, 8)
    with autocast(), torch.autocast("cpu", enabled=False):
        inside = layer(INPUT)[0]
    assert inside.dtype == torch.float32
    assert torch.equal(inside, layer(INPUT)[0])

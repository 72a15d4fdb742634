"""Differentiation in every mode: eval, twice, checkpointed, forward, per sample; or not at all."""

import pytest
import torch
from comparing import assert_all_close
from nn.layer_runs import CELLS, as_hx, named, normal, states_for, tolerance, values, values_and_gradients
from torch.autograd import gradcheck, gradgradcheck
from torch.utils.checkpoint import checkpoint

import headgate as hg

both_engines = pytest.mark.parametrize("engine", ["stock", "eager"])
EXTRAS = {
    "plain": {},
    "lengths": {"lengths": torch.tensor([3, 0])},
    "reset": {"reset": torch.tensor([[False, True], [True, False], [False, False]])},
}


def function_of(layer, **extras):
    """The layer as a function of its input, its states and its parameters."""
    names = [name for name, _ in layer.named_parameters()]
    count = len(layer.state_sizes)

    def run(input, *rest):
        states, weights = rest[:count], rest[count:]
        lent = dict(zip(names, weights, strict=True))
        return tuple(named(torch.func.functional_call(layer, lent, (input, as_hx(states)), extras)).values())

    arguments = (normal(3, 2, 2), *states_for(layer, 2), *(p.detach().clone() for p in layer.parameters()))
    return run, tuple(argument.requires_grad_() for argument in arguments)


@pytest.mark.parametrize("extras", EXTRAS.values(), ids=EXTRAS)
@pytest.mark.parametrize("cell", CELLS)
def test_gradcheck(cell, extras):
    layer = hg.Recurrent(cell, 2, 2, bidirectional=True, dtype=torch.float64)
    run, arguments = function_of(layer, **extras)
    assert gradcheck(run, arguments, fast_mode=True)


@both_engines
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_gradgradcheck(cell, engine):
    layer = hg.Recurrent(cell, 2, 2, dtype=torch.float64, engine=engine)
    run, arguments = function_of(layer)
    assert gradgradcheck(run, arguments, fast_mode=True)


@pytest.mark.parametrize("cell", CELLS)
def test_gradgradcheck_of_every_cell_with_lengths_and_reset(cell):
    layer = hg.Recurrent(cell, 2, 2, dtype=torch.float64)
    run, arguments = function_of(layer, **EXTRAS["lengths"], **EXTRAS["reset"])
    assert gradgradcheck(run, arguments, fast_mode=True)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn", "relu_rnn"])
def test_the_second_derivative_is_the_same_or_refused_in_float32(cell):
    """torch's float32 kernels are others than its float64 ones; a gradient penalty must not be quietly wrong."""
    eager = hg.Recurrent(cell, 2, 4, engine="eager", dtype=torch.float64)
    stock = hg.Recurrent(cell, 2, 4, engine="stock")
    stock.load_state_dict(eager.state_dict())
    found = {}
    for layer in (stock, eager):
        input = normal(5, 3, 2, dtype=layer.weight_ih_l0.dtype).requires_grad_()
        (slope,) = torch.autograd.grad(layer(input)[0].square().sum(), input, create_graph=True)
        try:
            slope.square().sum().backward()
        except RuntimeError as refusal:
            assert "derivative" in str(refusal) or "grad" in str(refusal)
            return
        found[layer.engine] = {name: parameter.grad.double() for name, parameter in layer.named_parameters()}
    assert_all_close(found["stock"], found["eager"], tolerance(stock))


@both_engines
@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "dropout": 0.5}], ids=["plain", "dropout"])
def test_backward_works_in_eval_mode(options, engine):
    layer = hg.LSTM(2, 4, dtype=torch.float64, engine=engine, **options).eval()
    without = hg.LSTM(2, 4, dtype=torch.float64, engine=engine, num_layers=layer.num_layers)
    without.load_state_dict(layer.state_dict())
    input = normal(5, 3, 2)
    expected = values_and_gradients(without, without, input)
    assert_all_close(values_and_gradients(layer, layer, input), expected, tolerance(layer))


@both_engines
def test_nothing_is_recorded_under_no_grad_or_inference_mode(engine):
    layer, input = hg.LSTM(2, 4, dtype=torch.float64, engine=engine), normal(5, 3, 2)
    expected = values(layer, input)
    for mode in (torch.no_grad(), torch.inference_mode()):
        with mode:
            result = named(layer(input))
        assert not any(value.requires_grad for value in result.values())
        assert_all_close(result, expected, tolerance(layer))
    with torch.inference_mode():
        result = named(layer(input, lengths=[5, 0, 2]))
    assert result["output"].is_inference()


@both_engines
def test_a_checkpointed_layer_has_the_same_gradients(engine):
    """Also through dropout: the second run of the forward pass must draw the mask of the first."""
    layer = hg.LSTM(2, 4, 2, dropout=0.5, dtype=torch.float64, engine=engine)
    input, states = normal(5, 3, 2), states_for(layer, 3)

    def checkpointed(input, hx):
        return checkpoint(layer, input, hx, use_reentrant=False)

    torch.manual_seed(2)
    expected = values_and_gradients(layer, layer, input, states)
    torch.manual_seed(2)
    assert_all_close(values_and_gradients(checkpointed, layer, input, states), expected, tolerance(layer))


@both_engines
def test_a_layer_checkpointed_the_old_way_has_the_same_gradients(engine):
    layer = hg.LSTM(2, 4, 2, dropout=0.5, dtype=torch.float64, engine=engine)
    input, other = normal(5, 3, 2).requires_grad_(), normal(5, 3, 2).requires_grad_()
    torch.manual_seed(2)
    checkpoint(layer, input, None, use_reentrant=True)[0].sum().backward()
    torch.manual_seed(2)
    layer(other)[0].sum().backward()
    assert_all_close({"d input": input.grad}, {"d input": other.grad}, tolerance(layer))


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")
def test_forward_mode_differentiation():
    layer = hg.GRU(2, 4, dtype=torch.float64)
    input, tangent = normal(5, 3, 2), normal(5, 3, 2, seed=1)
    _, actual = torch.func.jvp(lambda x: layer(x)[0], (input,), (tangent,))
    jacobian = torch.autograd.functional.jacobian(lambda x: layer(x)[0], input)
    expected = torch.tensordot(jacobian, tangent, dims=3)
    assert_all_close({"jvp": actual.detach()}, {"jvp": expected}, tolerance(layer))


def test_gradients_of_each_row_apart():
    """Per-sample gradients, as differential privacy wants them."""
    layer = hg.LSTM(2, 4, dtype=torch.float64)
    weights = {name: parameter.detach() for name, parameter in layer.named_parameters()}
    input = normal(5, 3, 2)

    def loss(weights, row):
        return torch.func.functional_call(layer, weights, (row,))[0].square().sum()

    found = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 1))(weights, input)
    for b in range(3):
        layer.zero_grad()
        layer(input[:, b])[0].square().sum().backward()
        actual = {name: gradient[b] for name, gradient in found.items()}
        assert_all_close(actual, {name: p.grad for name, p in layer.named_parameters()}, tolerance(layer))


@pytest.mark.filterwarnings("ignore:Anomaly Detection has been enabled")
@both_engines
def test_anomaly_mode_finds_nothing(engine):
    layer, input = hg.LSTM(2, 4, 2, bidirectional=True, engine=engine), normal(5, 3, 2, dtype=torch.float32)
    with torch.autograd.detect_anomaly(check_nan=True):
        layer(input, lengths=[5, 0, 2])[0].sum().backward()


@both_engines
def test_truncated_backpropagation_carries_a_detached_state(engine):
    """The state handed on is a plain tensor: detached, the next chunk's backward stops there."""
    layer, input = hg.LSTM(2, 4, dtype=torch.float64, engine=engine), normal(6, 3, 2).requires_grad_()
    _, state = layer(input[:3])
    output, _ = layer(input[3:], tuple(value.detach() for value in state))
    output.sum().backward()
    assert not input.grad[:3].any()
    assert_all_close({"output": output.detach()}, {"output": layer(input)[0][3:].detach()}, tolerance(layer))

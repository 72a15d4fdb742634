"""Dropout lies between layers, fresh for every number, in training only: torch.nn's mask where its kernel runs."""

import pytest
import torch
from comparing import assert_all_close
from nn.layer_runs import KINDS, normal, tolerance, twins, values_and_gradients

import headgate as hg

both_ways = pytest.mark.parametrize("bidirectional", [False, True], ids=["one-way", "both-ways"])
both_engines = pytest.mark.parametrize("engine", ["stock", "eager"])


@both_ways
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["f64", "f32"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_stock_engine_draws_the_mask_of_torch(kind, dtype, bidirectional):
    theirs, ours = twins(
        kind, 3, 5, num_layers=3, dropout=0.4, bidirectional=bidirectional, dtype=dtype, engine="stock"
    )
    input = normal(6, 4, 3, dtype=dtype)
    torch.manual_seed(11)
    expected = values_and_gradients(theirs, theirs, input)
    torch.manual_seed(11)
    actual = values_and_gradients(ours, ours, input)
    for name, value in expected.items():
        assert torch.equal(actual[name], value), name
    again = values_and_gradients(ours, ours, input)
    assert not torch.equal(again["output"], expected["output"]), "a second call must draw a new mask"


def mask_layer(p, engine):
    """Two layers whose output is what dropout made of ones: the mask, scaled."""
    layer = hg.RNN(1, 40, 2, "relu", bias=False, dropout=p, engine=engine)
    with torch.no_grad():
        layer.weight_ih_l0.fill_(1.0)
        layer.weight_hh_l0.zero_()
        layer.weight_ih_l1.copy_(torch.eye(40))
        layer.weight_hh_l1.zero_()
    return layer


@both_engines
def test_the_mask_is_fresh_and_rescaled(engine):
    p, T, B = 0.3, 30, 20
    layer = mask_layer(p, engine)
    mask = layer(torch.ones(T, B, 1))[0].detach()  # [T, B, H]
    kept = mask > 0
    assert torch.allclose(mask[kept], torch.tensor(1 / (1 - p)))
    count = mask.numel()
    spread = (p * (1 - p) / count) ** 0.5
    assert abs((~kept).double().mean().item() - p) < 5 * spread
    for dimension, name in enumerate(("steps", "rows", "units")):
        agreement = (kept == kept.roll(1, dimension)).double().mean().item()
        expected = p * p + (1 - p) * (1 - p)
        assert abs(agreement - expected) < 0.02, f"the mask repeats along the {name}"


@both_engines
def test_the_gradient_passes_the_mask_of_its_forward(engine):
    layer = mask_layer(0.5, engine)
    input = torch.ones(6, 3, 1, requires_grad=True)
    output, _ = layer(input)
    output.sum().backward()
    assert_all_close({"d input": input.grad}, {"d input": output.detach().sum(-1, keepdim=True)}, tolerance(layer))


@both_engines
def test_evaluation_drops_nothing(engine):
    assert torch.equal(mask_layer(0.5, engine).eval()(torch.ones(4, 3, 1))[0], torch.ones(4, 3, 40))


@both_engines
def test_one_layer_drops_nothing(engine):
    with pytest.warns(UserWarning, match="num_layers greater than 1"):
        layer = hg.LSTM(3, 5, dropout=0.9, engine=engine)
    input = normal(5, 2, 3, dtype=torch.float32)
    assert torch.equal(layer(input)[0], layer.eval()(input)[0])


@both_engines
@both_ways
@pytest.mark.parametrize("kind", KINDS)
def test_dropout_of_one_leaves_the_last_layer_a_zero_input(kind, bidirectional, engine):
    theirs, ours = twins(kind, 3, 5, num_layers=2, dropout=1.0, bidirectional=bidirectional, engine=engine)
    input = normal(6, 4, 3)
    actual = values_and_gradients(ours, ours, input)
    assert_all_close(actual, values_and_gradients(theirs, theirs, input), tolerance(ours))
    assert torch.equal(ours(2 * input)[0], ours(input)[0])


@both_engines
def test_dropout_also_falls_on_rows_of_given_lengths(engine):
    layer = mask_layer(0.5, engine)
    lengths = [30, 7, 0, 12] * 5
    mask = layer(torch.ones(30, 20, 1), lengths=lengths)[0].detach()
    inside = torch.arange(30)[:, None] < torch.tensor(lengths)
    assert not mask[~inside].any()
    assert abs((mask[inside] == 0).double().mean().item() - 0.5) < 0.03

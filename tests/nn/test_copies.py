"""A layer copied, saved, moved or converted is a layer of its own with the same numbers."""

import copy
import io
import pickle

import pytest
import torch
from comparing import assert_all_close
from nn.layer_runs import CELLS, normal, tolerance, values, values_and_gradients
from torch import nn
from torch.nn.utils import parametrizations

import headgate as hg

INPUT = normal(5, 3, 2)


def through_a_file(layer):
    file = io.BytesIO()
    torch.save(layer, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


def through_a_state_dict(layer):
    file = io.BytesIO()
    torch.save(layer.state_dict(), file)
    file.seek(0)
    fresh = hg.Recurrent(layer.cell, 2, 4, 2, bidirectional=True, learnable_state=True, dtype=torch.float64)
    fresh.load_state_dict(torch.load(file, weights_only=True), strict=True)
    return fresh


COPIES = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda layer: pickle.loads(pickle.dumps(layer)),
    "torch.save": through_a_file,
    "state_dict": through_a_state_dict,
}
WHOLE = ("deepcopy", "pickle", "torch.save")  # a state_dict holds weights, not options
every_copy = pytest.mark.parametrize("copy_of", COPIES.values(), ids=COPIES)


@every_copy
@pytest.mark.parametrize("cell", CELLS)
def test_a_copy_gives_the_same_and_shares_nothing(cell, copy_of):
    layer = hg.Recurrent(cell, 2, 4, 2, bidirectional=True, learnable_state=True, dtype=torch.float64)
    with torch.no_grad():
        layer.initial_h_l1_reverse.normal_()
    values_and_gradients(layer, layer, INPUT)
    twin = copy_of(layer)
    assert twin.cell == layer.cell
    assert repr(twin) == repr(layer)
    expected = values_and_gradients(layer, layer, INPUT)
    actual = values_and_gradients(twin, twin, INPUT)
    for name, value in expected.items():
        assert torch.equal(actual[name], value), name
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.zero_()
    assert torch.equal(layer(INPUT)[0], expected["output"])


@pytest.mark.parametrize("copy_of", [COPIES[name] for name in WHOLE], ids=WHOLE)
def test_a_copy_keeps_the_options(copy_of):
    layer = hg.LSTM(2, 4, 2, batch_first=True, dropout=0.3, proj_size=2, engine="eager", forget_bias=2.0).eval()
    twin = copy_of(layer)
    for name in ("batch_first", "dropout", "proj_size", "engine", "training", "num_layers", "bias", "input_size"):
        assert getattr(twin, name) == getattr(layer, name), name
    twin.reset_parameters()
    assert twin.bias_ih_l1.detach().chunk(4)[1].eq(2.0).all()


def test_a_parametrised_layer_can_be_copied():
    layer = hg.LSTM(2, 4, dtype=torch.float64)
    parametrizations.weight_norm(layer, "weight_hh_l0")
    twin = copy.deepcopy(layer)
    assert_all_close(values(twin, INPUT), values(layer, INPUT), tolerance(layer))
    restored = hg.LSTM(2, 4, dtype=torch.float64)
    parametrizations.weight_norm(restored, "weight_hh_l0")
    restored.load_state_dict(layer.state_dict(), strict=True)
    assert_all_close(values(restored, INPUT), values(layer, INPUT), tolerance(layer))


@pytest.mark.parametrize("engine", [None, "eager"], ids=lambda name: f"engine={name}")
def test_conversion_between_dtypes(engine):
    layer = hg.LSTM(2, 4, 2, engine=engine)
    exact = copy.deepcopy(layer).to(torch.float64)
    assert {parameter.dtype for parameter in exact.parameters()} == {torch.float64}
    expected = values(exact, INPUT)
    actual = values(layer, INPUT.float())
    assert {value.dtype for value in actual.values()} == {torch.float32}
    assert_all_close(actual, expected, tolerance(layer))
    back = exact.float()
    for name, value in values(back, INPUT.float()).items():
        assert torch.equal(value, actual[name]), name


@pytest.mark.parametrize("cell", CELLS)
def test_bfloat16_is_near_the_truth(cell):
    layer = hg.Recurrent(cell, 2, 4, dtype=torch.bfloat16)
    exact = copy.deepcopy(layer).double()
    input = INPUT.bfloat16()
    actual = values_and_gradients(layer, layer, input)
    assert {value.dtype for value in actual.values()} == {torch.bfloat16}
    expected = values_and_gradients(exact, exact, input.double())
    assert_all_close({name: value.double() for name, value in actual.items()}, expected, tolerance(layer))


def test_a_layer_on_no_device_yet_gets_its_weights_later():
    layer = hg.LSTM(2, 4, 2, device="meta", forget_bias=3.0)
    assert {parameter.device.type for parameter in layer.parameters()} == {"meta"}
    layer.to_empty(device="cpu")
    torch.manual_seed(5)
    layer.reset_parameters()
    torch.manual_seed(5)
    expected = hg.LSTM(2, 4, 2, forget_bias=3.0)
    for name, parameter in expected.named_parameters():
        assert torch.equal(layer.get_parameter(name), parameter), name
    assert torch.equal(layer(INPUT.float())[0], expected(INPUT.float())[0])


def test_weights_can_be_assigned_to_a_layer_on_meta():
    source = hg.GRU(2, 4, dtype=torch.float64)
    with torch.device("meta"):
        layer = hg.GRU(2, 4, dtype=torch.float64)
    layer.load_state_dict(source.state_dict(), assign=True)
    assert torch.equal(layer(INPUT)[0], source(INPUT)[0])


def test_shared_memory():
    layer = hg.LSTM(2, 4, dtype=torch.float64)
    expected = values(layer, INPUT)
    layer.share_memory()
    assert all(parameter.is_shared() for parameter in layer.parameters())
    assert_all_close(values(layer, INPUT), expected, tolerance(layer))


def test_state_dict_has_no_more_than_the_parameters():
    layer = hg.LSTM(2, 4, 2, bidirectional=True)
    assert list(layer.state_dict()) == [name for name, _ in layer.named_parameters()]
    assert list(layer.state_dict()) == list(nn.LSTM(2, 4, 2, bidirectional=True).state_dict())


def test_a_missing_or_strange_weight_is_named():
    weights = hg.LSTM(2, 4).state_dict()
    weights["weight_hh_l7"] = weights.pop("weight_hh_l0")
    with pytest.raises(RuntimeError, match=r'(?s)Missing key.*"weight_hh_l0".*Unexpected key.*"weight_hh_l7"'):
        hg.LSTM(2, 4).load_state_dict(weights)

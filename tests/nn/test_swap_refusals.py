"""`swap` refuses what it cannot replace, by the name of the layer, and leaves the model as it was."""

import pytest
import torch
from nn.layer_runs import normal
from torch import nn
from torch.nn.utils import parametrizations, prune

import headgate as hg
from headgate.nn.swap import COUNTERPARTS

INPUT = normal(5, 3, 4, dtype=torch.float32)


class OwnLSTM(nn.LSTM):
    """A user's class, whose forward means something else."""

    def forward(self, input, hx=None):
        return super().forward(2 * input, hx)


def own_class(_):
    return OwnLSTM(4, 4)


def own_class_unchanged(_):
    return type("Renamed", (nn.GRU,), {})(4, 4)


def parametrised(layer):
    return parametrizations.orthogonal(layer, "weight_hh_l0")


def weight_normed(layer):
    with pytest.warns(FutureWarning):
        return nn.utils.weight_norm(layer, "weight_hh_l0")


def pruned(layer):
    prune.random_unstructured(layer, "weight_ih_l0", 0.5)
    return layer


def on_meta(layer):
    return layer.to("meta")


def not_a_number(layer):
    with torch.no_grad():
        layer.weight_hh_l0.fill_(float("nan"))
    return layer


def with_load_hook(layer):
    layer.register_load_state_dict_pre_hook(lambda *_: None)
    return layer


REFUSED = [
    own_class,
    own_class_unchanged,
    parametrised,
    weight_normed,
    pruned,
    on_meta,
    not_a_number,
    with_load_hook,
]


@pytest.mark.parametrize("make", REFUSED, ids=lambda make: make.__name__)
@pytest.mark.parametrize("first", [True, False], ids=["first", "last"])
def test_a_layer_that_cannot_be_replaced_is_named_and_the_model_left_alone(make, first):
    bad = make(nn.LSTM(4, 4))
    deep = nn.ModuleDict({"encoder": nn.ModuleList([nn.Identity(), bad])})
    model = nn.ModuleList([deep, nn.GRU(4, 4)] if first else [nn.GRU(4, 4), deep])
    path = "0.encoder.1" if first else "1.encoder.1"
    before, weights = dict(model.named_modules()), dict(model.named_parameters())
    modes = {name: module.training for name, module in model.named_modules()}
    with pytest.raises(ValueError, match=rf"^swap: {path} ") as caught:
        hg.swap(model)
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(".")
    assert caught.value.__cause__ is None
    after = dict(model.named_modules())
    assert list(after) == list(before)
    assert all(after[name] is module for name, module in before.items())
    assert all(parameter is weights[name] for name, parameter in model.named_parameters())
    assert {name: module.training for name, module in model.named_modules()} == modes


@pytest.mark.parametrize("make", REFUSED, ids=lambda make: make.__name__)
def test_a_bare_layer_is_refused_as_the_model(make):
    with pytest.raises(ValueError, match=r"^swap: the model (is|computes|has|gives)"):
        hg.swap(make(nn.LSTM(4, 4)))


class TransposedGRU(hg.GRU):
    """A mutant: reset and update gate change places."""

    def weights(self, layer, direction=0):
        found = super().weights(layer, direction)
        r, z, n = found["weight_hh"].chunk(3)
        return found | {"weight_hh": torch.cat([z, r, n])}


class SlightlyOffGRU(hg.GRU):
    """A mutant that is wrong by one part in a thousand in one weight."""

    def weights(self, layer, direction=0):
        found = super().weights(layer, direction)
        wrong = found["weight_hh"].clone()
        wrong[0, 0] += 1e-3
        return found | {"weight_hh": wrong}


class WrongFinalGRU(hg.GRU):
    """A mutant with the right outputs and a wrong final state."""

    def forward(self, *args, **kwargs):
        output, state = super().forward(*args, **kwargs)
        return output, state + 1e-3


class OneLayerGRU(hg.GRU):
    """A mutant that is wrong in its second layer only."""

    def weights(self, layer, direction=0):
        found = super().weights(layer, direction)
        return found if layer == 0 else found | {"bias_ih": found["bias_ih"] + 1e-2}


@pytest.mark.parametrize("mutant", [TransposedGRU, SlightlyOffGRU, WrongFinalGRU, OneLayerGRU])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["f32", "f64"])
def test_a_mutant_replacement_is_refused(mutant, dtype, monkeypatch):
    """The proof can fail: without it, these would go into a model unseen."""
    monkeypatch.setitem(COUNTERPARTS, nn.GRU, mutant)
    model = nn.Sequential(nn.GRU(4, 4, 2, dtype=dtype))
    with pytest.raises(ValueError, match=r"^swap: 0 gives other outputs in our layer"):
        hg.swap(model)
    assert type(model[0]) is nn.GRU


def test_the_same_swap_without_a_mutant_passes():
    assert type(hg.swap(nn.Sequential(nn.GRU(4, 4, 2)))[0]) is hg.GRU


def test_a_layer_whose_forward_was_replaced_does_not_lose_it():
    """Refused, or the same outputs: never quietly torch.nn's."""
    model = nn.Sequential(nn.LSTM(4, 4))
    original = model[0].forward
    model[0].forward = lambda input, hx=None: original(2 * input, hx)
    expected = model(INPUT)[0]
    try:
        hg.swap(model)
    except ValueError as refusal:
        assert str(refusal).startswith("swap: 0 ")
    assert torch.equal(model(INPUT)[0], expected)


def test_an_unknown_engine_is_refused_with_the_nearest_name():
    model = nn.Sequential(nn.LSTM(4, 4))
    with pytest.raises(ValueError, match="did you mean 'eager'"):
        hg.swap(model, engine="eagr")
    assert type(model[0]) is nn.LSTM


def test_an_engine_that_cannot_run_the_model_is_refused():
    model = nn.Sequential(nn.LSTM(4, 4), nn.LSTM(4, 4, dtype=torch.bfloat16))
    with pytest.raises(RuntimeError, match='engine="stock" cannot run here'):
        hg.swap(model, engine="stock")
    assert [type(layer) for layer in model] == [nn.LSTM, nn.LSTM]


def test_what_is_no_module_is_refused():
    with pytest.raises(TypeError, match=r"^swap: .*Module"):
        hg.swap("model")

"""`swap`: every torch.nn layer of a model replaced, nothing else of it touched."""

import copy

import pytest
import torch
from comparing import assert_all_close
from nn.layer_runs import KINDS, detached, normal, states_for, tolerance, values_and_gradients
from tolerances import TOLERANCE
from torch import nn

import headgate as hg
from headgate.nn.swap import COUNTERPARTS

INPUT = normal(5, 3, 4, dtype=torch.float32)


class Model(nn.Module):
    """Recurrent layers at several depths, one of them used twice."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.ModuleDict({"deep": nn.ModuleList([nn.GRU(4, 4), nn.Sequential(nn.LSTM(4, 4, 2))])})
        self.shared = nn.RNN(4, 4)
        self.again = self.shared
        self.head = nn.Linear(4, 2)

    def forward(self, input):
        first, second = self.encoder["deep"]
        output = second(first(input)[0])[0]
        output = self.again(self.shared(output)[0])[0]
        return self.head(output), output


def everything(model, input=INPUT):
    model.zero_grad()
    head, output = model(input)
    (head.square().sum() + output.sum()).backward()
    gradients = {f"d {name}": parameter.grad.clone() for name, parameter in model.named_parameters()}
    return {"head": head.detach(), "output": output.detach(), **gradients}


def test_a_nested_model_is_changed_in_place_and_gives_the_same():
    model = Model()
    expected = everything(model)
    names, kinds = list(model.state_dict()), {name: type(module) for name, module in model.named_modules()}
    parameters = dict(model.named_parameters())
    assert hg.swap(model) is model
    assert list(model.state_dict()) == names
    assert {name: COUNTERPARTS.get(kind, kind) for name, kind in kinds.items()} == {
        name: type(module) for name, module in model.named_modules()
    }
    for name, parameter in model.named_parameters():
        assert parameter is parameters[name], name
    assert_all_close(everything(model), expected, TOLERANCE["stock", torch.float32])


def test_a_module_used_twice_stays_one():
    model = hg.swap(Model())
    assert type(model.shared) is hg.RNN
    assert model.again is model.shared
    model = hg.swap(nn.ModuleList([nn.ModuleList([layer := nn.GRU(3, 4)]), layer]))
    assert type(model[1]) is hg.GRU
    assert model[0][0] is model[1]


def test_nothing_to_swap_and_swapping_twice_change_nothing():
    model = nn.Sequential(nn.Linear(3, 4), hg.LSTM(4, 5))
    before = list(model)
    assert list(hg.swap(model)) == before
    model = hg.swap(Model())
    before = dict(model.named_modules())
    hg.swap(model)
    assert all(before[name] is module for name, module in model.named_modules())


@pytest.mark.parametrize(
    "options",
    [
        {"batch_first": True},
        {"bidirectional": True, "num_layers": 2},
        {"num_layers": 3, "dropout": 0.3},
        {"bias": False},
    ],
    ids=lambda options: "-".join(options),
)
@pytest.mark.parametrize("kind", KINDS)
def test_a_bare_layer_with_its_options(kind, options):
    theirs_class, ours_class, more = KINDS[kind]
    theirs = theirs_class(4, 6, **options, **more).eval()
    ours = hg.swap(theirs)
    assert type(ours) is ours_class
    assert type(theirs) is theirs_class
    for name in ("num_layers", "bias", "batch_first", "dropout", "bidirectional", "proj_size", "training", "mode"):
        assert getattr(ours, name) == getattr(theirs, name), name
    states = states_for(theirs, 5 if theirs.batch_first else 3)
    expected = values_and_gradients(theirs, theirs, INPUT, states)
    assert_all_close(values_and_gradients(ours, ours, INPUT, states), expected, tolerance(ours))


def test_a_projection_is_kept():
    theirs = nn.LSTM(4, 6, 2, proj_size=3, bidirectional=True)
    ours = hg.swap(theirs)
    assert ours.proj_size == 3
    expected = values_and_gradients(theirs, theirs, INPUT)
    assert_all_close(values_and_gradients(ours, ours, INPUT), expected, tolerance(ours))


def test_dropout_and_the_training_flag_are_kept():
    model = nn.Sequential(nn.LSTM(4, 6, 2, dropout=0.5))
    torch.manual_seed(1)
    expected = model(INPUT)[0]
    hg.swap(model)
    assert model[0].training
    torch.manual_seed(1)
    torch.testing.assert_close(model(INPUT)[0], expected)
    assert not hg.swap(nn.Sequential(nn.LSTM(4, 6)).eval())[0].training
    frozen = nn.Sequential(nn.LSTM(4, 6))
    frozen[0].eval()
    hg.swap(frozen)
    assert (frozen.training, frozen[0].training) == (True, False)


def test_the_random_numbers_that_follow_are_left_as_they_were():
    model = Model()
    torch.manual_seed(4)
    expected = torch.rand(3)
    torch.manual_seed(4)
    hg.swap(model)
    assert torch.equal(torch.rand(3), expected)


def test_an_optimiser_and_its_momentum_go_on():
    models = [Model(), Model()]
    models[1].load_state_dict(models[0].state_dict())
    optimisers = [torch.optim.Adam(model.parameters(), lr=0.05) for model in models]
    for step in range(4):
        if step == 2:
            hg.swap(models[1])
        for model, optimiser in zip(models, optimisers, strict=True):
            optimiser.zero_grad()
            everything(model)
            optimiser.step()
    actual, expected = (detached(dict(model.named_parameters())) for model in models[::-1])
    # Adam divides by gradients that may be near zero, which enlarges rounding.
    assert_all_close(actual, expected, 10 * TOLERANCE["stock", torch.float32])


def test_frozen_and_tied_weights_stay_so():
    model = nn.Sequential(nn.LSTM(4, 4, 2))
    model[0].weight_hh_l1 = model[0].weight_hh_l0
    model[0].bias_ih_l0.requires_grad_(False)
    expected = model(INPUT)[0]
    hg.swap(model)
    assert model[0].weight_hh_l1 is model[0].weight_hh_l0
    assert not model[0].bias_ih_l0.requires_grad
    torch.testing.assert_close(model(INPUT)[0], expected)


def test_hooks_and_what_else_was_put_on_a_layer_are_kept():
    model = nn.Sequential(nn.GRU(4, 4))
    layer, calls = model[0], []
    handle = layer.register_forward_hook(lambda *_: calls.append("forward"))
    layer.register_forward_pre_hook(lambda *_: calls.append("before"))
    layer.register_full_backward_hook(
        lambda _, grad_input, grad_output: calls.append((len(grad_input), len(grad_output)))
    )
    layer.register_state_dict_pre_hook(lambda *_: calls.append("saving"))
    layer.register_load_state_dict_post_hook(lambda *_: calls.append("loaded"))
    layer.register_buffer("seen", torch.ones(2))
    layer.tag = "encoder"

    def exercise():
        calls.clear()
        model(INPUT.clone().requires_grad_())[0].sum().backward()
        model.load_state_dict(model.state_dict())
        return list(calls)

    expected, names = exercise(), list(model.state_dict())
    hg.swap(model)
    assert calls[-1:] == ["saving"], "the proof must not run the user's hooks"
    assert exercise() == expected
    assert list(model.state_dict()) == names
    assert model[0].tag == "encoder"
    handle.remove()
    assert "forward" not in exercise()


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16], ids=["f64", "bf16", "f16"])
@pytest.mark.parametrize("kind", KINDS)
def test_other_dtypes(kind, dtype):
    theirs_class, ours_class, more = KINDS[kind]
    model = nn.Sequential(theirs_class(4, 6, 2, **more).to(dtype))
    with torch.no_grad():
        expected = model(INPUT.to(dtype))[0]
        hg.swap(model)
        assert type(model[0]) is ours_class
        output = model(INPUT.to(dtype))[0]
    assert output.dtype == dtype
    allowed = TOLERANCE["stock", dtype] if dtype == torch.float64 else TOLERANCE["eager", torch.bfloat16]
    assert_all_close({"output": output.double()}, {"output": expected.double()}, allowed)


def test_under_autocast():
    model = nn.Sequential(nn.LSTM(4, 64))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        hg.swap(model)
    assert type(model[0]) is hg.LSTM


def test_the_engine_asked_for_is_given():
    model = hg.swap(Model(), engine="eager")
    assert [module.engine for module in model.modules() if isinstance(module, hg.Recurrent)] == ["eager"] * 3


def test_a_layer_can_be_copied_and_saved_after_the_swap(tmp_path):
    model = Model()
    expected = everything(model)
    hg.swap(model)
    torch.save(model, tmp_path / "model.pt")
    for twin in (copy.deepcopy(model), torch.load(tmp_path / "model.pt", weights_only=False)):
        assert twin.again is twin.shared
        assert_all_close(everything(twin), expected, TOLERANCE["stock", torch.float32])

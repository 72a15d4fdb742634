"""The watch looks and does not touch: runs are the same to the bit, and when it is over nothing of it is left."""

import copy
import gc
import weakref

import pytest
import torch
from inspection.torch_models import BOTH, LENGTHS, Tagger, model_of, run
from inspection.watching import B, H, I, T
from nn.layer_runs import normal, states_for
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrizations, parametrize

import headgate as hg

HOOKS = (
    "_forward_hooks",
    "_forward_pre_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_pre_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_backward_hooks",
    "_backward_pre_hooks",
)


def ours(cell="lstm", **options):
    options = {"dtype": torch.float64, "dropout": 0.3, **BOTH, **options}
    return Tagger(hg.Recurrent(cell, I, H, **options))


MODELS = {
    "torch-LSTM": lambda: model_of("LSTM", dropout=0.3, **BOTH),
    "torch-GRU": lambda: model_of("GRU", dropout=0.3, **BOTH),
    "torch-float32": lambda: model_of("LSTM-proj", torch.float32, dropout=0.3, **BOTH),
    "ours-stock": lambda: ours(engine="stock"),
    "ours-eager": lambda: ours("peephole_lstm"),
}
every_model = pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)


def everything(model, lengths, look, training=True):
    """All that a run with its backward pass leaves behind; `look` says whether the watch is on, and asked."""
    model = copy.deepcopy(model).train(training)
    dtype = model.head.weight.dtype
    input = normal(T, B, I, dtype=dtype).requires_grad_()
    states = tuple(state.requires_grad_() for state in states_for(model.encoder["lstm"], B))
    torch.manual_seed(11)
    if look:
        with hg.watch(model) as seen:
            output, final = run(model, input, states, lengths)
            loss = model.loss(output, final)
            loss.backward()
            for name in seen:
                assert seen[name].lag_profile().shape == (3, T)
                assert seen[name].gates or seen[name].paths
    else:
        output, final = run(model, input, states, lengths)
        loss = model.loss(output, final)
        loss.backward()
    found = {"output": output, "loss": loss, "d input": input.grad, "random state": torch.get_rng_state()}
    found |= {f"final {k}": state for k, state in enumerate(final)}
    found |= {f"d hx {k}": state.grad for k, state in enumerate(states)}
    found |= {f"d {name}": parameter.grad for name, parameter in model.named_parameters()}
    return found | {f"after: {name}": value for name, value in model.state_dict().items()}


def differing(first, second):
    assert first.keys() == second.keys()
    return [name for name in first if not _same(first[name], second[name])]


def _same(one, other):
    return one is other is None or torch.equal(one, other)


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["padded", "packed"])
@every_model
def test_outputs_gradients_and_random_state_are_the_same_to_the_bit(make, lengths, training):
    model = make()
    plain, watched = (everything(model, lengths, look, training) for look in (False, True))
    assert all(plain[f"d {name}"].any() for name, _ in model.named_parameters())
    assert differing(watched, plain) == []


class WeightDrop(nn.Module):
    """Recurrent weights dropped at random (Merity et al. 2018): each time they are read, others."""

    def forward(self, weight):
        return functional.dropout(weight, 0.5, self.training)


def drop_weights(layer):
    parametrize.register_parametrization(layer, "weight_hh_l0", WeightDrop(), unsafe=True)


def normalise_spectrum(layer):
    """A power iteration a reading, in training."""
    with torch.no_grad():
        layer.weight_hh_l0.normal_()
    parametrizations.spectral_norm(layer, "weight_hh_l0", n_power_iterations=1)


# torch draws its weights within its own forward, where no one can tell them from dropout's masks: one or the other.
undropped = pytest.mark.parametrize("make", [lambda: model_of("LSTM", **BOTH), ours], ids=["torch", "ours"])


@undropped
@pytest.mark.parametrize("change", [drop_weights, normalise_spectrum])
def test_weights_that_are_computed_are_not_computed_once_more(make, change):
    model = make()
    change(model.encoder["lstm"])
    plain, watched = (everything(model, None, look) for look in (False, True))
    assert differing(watched, plain) == []


def test_the_comparison_can_fail():
    """A random number drawn under the watch, and one bit of a gradient."""
    plain = everything(MODELS["torch-LSTM"](), None, look=False)
    touched = dict(plain, **{"d input": plain["d input"].clone()})
    touched["d input"][0, 0, 0] = torch.nextafter(plain["d input"][0, 0, 0], torch.tensor(9.0, dtype=torch.float64))
    torch.rand(1)
    touched["random state"] = torch.get_rng_state()
    assert differing(touched, plain) == ["d input", "random state"]


def test_frozen_weights_give_the_same_numbers():
    """And their outputs ask for a gradient, which is the one difference that is told in the docstring."""
    model, input = model_of("LSTM", **BOTH).requires_grad_(False), normal(T, B, I)
    plain, final = model(input)
    with hg.watch(model):
        found, found_final = model(input)
    assert torch.equal(found, plain) and all(map(torch.equal, found_final, final))
    assert not plain.requires_grad and found.requires_grad
    assert isinstance(found_final, tuple)


def test_frozen_weights_of_one_state_give_one_state():
    model, input = model_of("GRU").requires_grad_(False), normal(T, B, I)
    with hg.watch(model):
        _, final = model(input)
    assert isinstance(final, torch.Tensor)


def test_frozen_weights_and_an_operation_in_place():
    """As F.dropout(output, inplace=True) does it, on the output and on the states."""
    model, input = model_of("LSTM", **BOTH).requires_grad_(False), normal(T, B, I)
    with hg.watch(model) as seen:
        output, final = model(input)
        loss = output.mul_(2.0).sum() + sum(state.mul_(3.0).sum() for state in final)
        loss.backward()
    with hg.watch(model) as expected:
        output, final = model(input)
        (2.0 * output.sum() + 3.0 * sum(state.sum() for state in final)).backward()
    assert torch.equal(seen["encoder.lstm"].grad["c"], expected["encoder.lstm"].grad["c"])


def test_two_watches_at_once():
    model = model_of("LSTM", **BOTH)
    with hg.watch(model) as one, hg.watch(model.encoder) as other:
        model.loss(*run(model, normal(T, B, I))).backward()
    assert torch.equal(one["encoder.lstm"].grad["c"], other["lstm"].grad["c"])
    assert hooks_of(model) == []


# --- hooks ------------------------------------------------------------------------------------------------------


def hooks_of(model):
    """All hooks of all modules."""
    return [(name, kind, key) for name, m in model.named_modules() for kind in HOOKS for key in getattr(m, kind) or ()]


@every_model
def test_no_hook_is_left(make):
    model = make()
    with hg.watch(model):
        assert hooks_of(model)
        model.loss(*run(model, normal(T, B, I, dtype=model.head.weight.dtype))).backward()
    assert hooks_of(model) == []


def test_the_users_own_hooks_stay():
    model, calls = model_of("LSTM"), []
    model.encoder["lstm"].register_forward_hook(lambda *_: calls.append("after"))
    model.encoder["lstm"].register_forward_pre_hook(lambda *_: calls.append("before"))
    theirs = hooks_of(model)
    with hg.watch(model):
        model(normal(T, B, I))
    assert hooks_of(model) == theirs
    assert calls == ["before", "after"]


def test_no_hook_is_left_after_an_exception_of_the_user():
    model = model_of("LSTM")
    with pytest.raises(ZeroDivisionError), hg.watch(model):
        model(normal(T, B, I))
        _ = 1 / 0
    assert hooks_of(model) == []


@undropped
def test_no_hook_is_left_after_an_exception_in_the_layer(make):
    """Nor does torch keep the weights that it computed for the call; and the next call is seen as if nothing was."""
    model = make()
    drop_weights(model.encoder["lstm"])
    with hg.watch(model) as seen:
        with pytest.raises((RuntimeError, ValueError)):
            model(normal(T, B, I + 1))
        assert not parametrize._cache_enabled
        model.loss(*run(model, normal(T, B, I))).backward()
    assert hooks_of(model) == []
    assert seen["encoder.lstm"].grad["c"].any()


def test_no_hook_is_left_on_what_the_layer_returned():
    model = model_of("LSTM")
    with hg.watch(model):
        output, final = model(normal(T, B, I))
        assert all(value._backward_hooks for value in (output, *final))
    assert not any(value._backward_hooks for value in (output, *final))


# --- memory -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("create_graph", [False, True], ids=["plain", "create-graph"])
@pytest.mark.parametrize("make", [MODELS["torch-GRU"], MODELS["ours-eager"]], ids=["torch", "ours"])
def test_the_graph_is_let_go(make, create_graph):
    """While the loss lives the graph does, and with it the tensor it saved; a watch that is held keeps neither."""
    model = make()
    leaf = normal(T, B, I, dtype=model.head.weight.dtype).requires_grad_()
    input = 2.0 * leaf
    saved = weakref.ref(input)
    with hg.watch(model) as seen:
        loss = model.loss(*run(model, input))
        for _ in range(1 if create_graph else 2):
            torch.autograd.grad(loss, leaf, retain_graph=True, create_graph=create_graph)
    traces = [seen[name] for name in seen]
    assert all(trace.grad[trace.cell.memory].any() for trace in traces)
    del input
    gc.collect()
    assert saved() is not None, "the graph was meant to hold its tensors while the loss lives"
    del loss
    gc.collect()
    assert saved() is None


def test_the_model_does_not_hold_the_watch():
    model = model_of("LSTM")
    with hg.watch(model) as seen:
        model.loss(*run(model, normal(T, B, I))).backward()
    there = weakref.ref(seen)
    del seen
    gc.collect()
    assert there() is None


def test_no_measurement_asks_for_a_gradient():
    model = model_of("LSTM", **BOTH)
    with hg.watch(model) as seen:
        model.loss(*run(model, normal(T, B, I).requires_grad_())).backward()
        for name in seen:
            trace = seen[name]
            tensors = [*trace.gates.values(), *trace.states.values(), *trace.grad.values(), *trace.paths.values()]
            tensors += [*trace.grad_initial.values(), trace.highway, trace.jacobian(1), trace.input_gradient()]
            assert not any(value.requires_grad for value in tensors)

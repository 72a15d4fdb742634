"""The rest of PyTorch's module tests on a CPU: packed sequences, weights that change under the layer, and dropout.

As in test_torch_module_suite.py each test runs on torch.nn's own class first, as a witness, and then on headgate's.
"""

import copy
import importlib
import pickle
import re

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune, rnn
from torch.nn.utils.rnn import PackedSequence
from torch.testing import assert_close

HOMES = ("torch.nn", "headgate")


@pytest.fixture(params=[(home, kind) for home in HOMES for kind in ("RNN", "GRU", "LSTM")], ids="-".join)
def cls(request):
    """The layer class, looked up late so that a broken package fails its own cases only."""
    torch.manual_seed(1234)
    return getattr(importlib.import_module(request.param[0]), request.param[1])


def kind_of(layer):
    return (layer if isinstance(layer, type) else type(layer)).__name__.removeprefix("Parametrized")


def twin_of(layer):
    """torch.nn's layer of the same options with a copy of the weights: the values ours are held against."""
    kind = kind_of(layer)
    options = {name: getattr(layer, name) for name in ("num_layers", "bias", "batch_first", "dropout", "bidirectional")}
    options |= {"proj_size": layer.proj_size} if kind == "LSTM" else {}
    options |= {"nonlinearity": layer.nonlinearity} if kind == "RNN" else {}
    twin = getattr(nn, kind)(layer.input_size, layer.hidden_size, dtype=layer.weight_ih_l0.dtype, **options)
    twin.load_state_dict(layer.state_dict())
    return twin.train(layer.training)


def leaves(tree):
    if isinstance(tree, PackedSequence):
        return [tree.data]
    if isinstance(tree, torch.Tensor):
        return [tree]
    return [] if tree is None else [leaf for part in tree for leaf in leaves(part)]


def same(left, right, **tolerance):
    assert_close(leaves(left), leaves(right), **tolerance)


def differ(left, right):
    return not all(torch.allclose(a, b, atol=1e-6) for a, b in zip(leaves(left), leaves(right), strict=True))


def floats(tree):
    return [leaf.float() for leaf in leaves(tree)]


def state(cls, *shape, proj=0, dtype=None):
    """A random initial state of a shape, one tensor or the LSTM's pair (h narrower under a projection)."""
    if kind_of(cls) != "LSTM":
        return torch.randn(*shape, dtype=dtype)
    return torch.randn(*shape[:-1], proj or shape[-1], dtype=dtype), torch.randn(*shape, dtype=dtype)


def mapped(function, tree):
    return tuple(map(function, tree)) if isinstance(tree, tuple) else tree if tree is None else function(tree)


def variants(cls):
    return ({}, {"proj_size": 2}) if kind_of(cls) == "LSTM" else ({},)


@pytest.mark.parametrize("enforce_sorted", [True, False])
@pytest.mark.parametrize("lengths", [[5], [10, 10, 6, 2, 2, 1, 1], [2, 1, 3, 2, 10, 5, 3]], ids=str)
@pytest.mark.parametrize("given", [True, False], ids=["given state", "zero state"])
def test_a_packed_batch_equals_its_sequences_alone(cls, enforce_sorted, lengths, given):
    enforce_sorted &= lengths == sorted(lengths, reverse=True)
    for extra in variants(cls):
        layer = cls(3, 4, 2, bidirectional=True, **extra)
        alone = copy.deepcopy(layer)
        x = torch.randn(max(lengths), len(lengths), 3, requires_grad=True)
        hx = state(cls, 4, len(lengths), 4, proj=extra.get("proj_size")) if given else None
        pieces = [
            alone(x[:n, i : i + 1], mapped(lambda t, i=i: t[:, i : i + 1].contiguous(), hx))
            for i, n in enumerate(lengths)
        ]
        packed = rnn.pack_padded_sequence(x, lengths, enforce_sorted=enforce_sorted)
        output, hidden = layer(packed, hx)
        assert type(output) is PackedSequence and output.unsorted_indices is packed.unsorted_indices
        padded, found_lengths = rnn.pad_packed_sequence(output)
        assert found_lengths.tolist() == lengths
        for i, (out, last) in enumerate(pieces):
            same(padded[: lengths[i], i : i + 1], out, rtol=0, atol=1e-5)
            assert not padded[lengths[i] :, i].any()
            same(mapped(lambda t, i=i: t[:, i : i + 1], hidden), last, rtol=0, atol=1e-5)
        expected = torch.autograd.grad(sum(out.sum() for out, _ in pieces), [x, *alone.parameters()])
        found = torch.autograd.grad(padded.sum(), [x, *layer.parameters()])
        same(found, expected, rtol=0, atol=2e-4)
        assert all(not found[0][n:, i].any() for i, n in enumerate(lengths))


@pytest.mark.parametrize("lengths", [None, [7, 5, 5, 2, 1, 1], torch.tensor([7, 5, 5, 2, 1, 1])], ids=repr)
@pytest.mark.parametrize("dropout", [0, 1])
def test_every_option_against_torch_with_all_gradients(cls, lengths, dropout):
    """Of dropout only nothing and everything can be compared with another generator's draws."""

    def strided(tensor):
        return torch.stack([torch.zeros_like(tensor), tensor], -1).select(-1, 1)

    for case in range(32):
        bias, bidirectional, batch_first, bent, projected = (bool(case >> bit & 1) for bit in range(5))
        if projected and kind_of(cls) != "LSTM":
            continue
        options = dict(bias=bias, bidirectional=bidirectional, batch_first=batch_first)
        options |= {"proj_size": 3} if projected else {}
        layer, directions = cls(10, 6, 2, dropout=dropout, **options).double(), 1 + bidirectional
        bend = strided if bent else torch.clone
        x = bend(torch.randn(*(6, 7) if batch_first else (7, 6), 10, dtype=torch.float64))
        x = x if lengths is None else rnn.pack_padded_sequence(x, lengths, batch_first=batch_first)
        hx = mapped(bend, state(cls, 2 * directions, 6, 6, proj=3 * projected, dtype=torch.float64))
        results, seeds = [], None
        for model in (layer, twin_of(layer)):
            data = leaves([x])[0].detach().requires_grad_()
            start = mapped(lambda t: t.detach().requires_grad_(), hx)
            fed = PackedSequence(data, x.batch_sizes) if isinstance(x, PackedSequence) else data
            outputs = model(fed, start)
            seeds = seeds or [bend(torch.randn_like(leaf)) for leaf in leaves(outputs)]
            torch.autograd.backward(leaves(outputs), seeds)
            results.append([outputs, data.grad, [leaf.grad for leaf in leaves([start, model.all_weights])]])
        same(*results)
        assert all(leaf.any() for leaf in leaves(results[0][:1] if dropout else results[0]))


def test_wrong_packed_arguments_are_refused(cls):
    """torch.nn.LSTM leaves packed arguments to its kernel, so of the LSTM only a refusal can be asked."""
    layer, packed = cls(3, 5, 2), rnn.pack_padded_sequence(torch.randn(6, 4, 3), [6, 4, 2, 1])
    for hx in (state(cls, 2, 3, 5), state(cls, 2, 4, 6), state(cls, 1, 4, 5)):
        with pytest.raises(RuntimeError, match=None if kind_of(cls) == "LSTM" else "Expected hidden size"):
            layer(packed, hx)
    with pytest.raises((RuntimeError, ValueError), match="dtype"):
        layer(packed.to(torch.float64))
    if kind_of(cls) != "LSTM":
        with pytest.raises(RuntimeError, match=re.escape("input.size(-1) must be equal to input_size. Expected 3")):
            layer(PackedSequence(torch.randn(4, 7), torch.tensor([2, 2])))
        with pytest.raises(RuntimeError, match="input must have 2 dimensions, got 3"):
            layer(PackedSequence(torch.randn(4, 1, 3), torch.tensor([2, 2])))


def test_zero_state_is_the_default_and_an_empty_batch_passes(cls):
    for extra in variants(cls):
        for bidirectional in (False, True):
            layer = cls(3, 5, 2, bidirectional=bidirectional, **extra)
            x, zeros = torch.randn(6, 4, 3), state(cls, 2 + 2 * bidirectional, 4, 5, proj=extra.get("proj_size"))
            same(layer(x, mapped(torch.zeros_like, zeros)), layer(x))
            assert differ(layer(x, zeros), layer(x))
            empty = torch.zeros(6, 0, 3, requires_grad=True)
            output, hidden = layer(empty)
            assert output.shape == (6, 0, extra.get("proj_size", 5) * (1 + bidirectional))
            assert leaves(hidden)[-1].shape == (2 + 2 * bidirectional, 0, 5)
            output.sum().backward()
            assert empty.grad.shape == empty.shape and not any(p.grad.any() for p in layer.parameters())
    if kind_of(cls) == "LSTM":
        layer, pair = cls(3, 5, 2), state(cls, 2, 4, 5)
        same(layer(x, list(pair)), layer(x, pair))


def test_the_graph_can_be_kept_for_many_backwards(cls):
    layer, x = cls(10, 20, 2).double(), torch.randn(5, 6, 10, dtype=torch.float64, requires_grad=True)
    total, rounds = layer(x)[0].sum(), []
    for _ in range(5):
        layer.zero_grad()
        x.grad = None
        total.backward(retain_graph=True)
        rounds.append([x.grad, *[p.grad for p in layer.parameters()]])
        same(rounds[-1], rounds[0])
    assert all(tensor.any() for tensor in rounds[0])
    total.backward()
    with pytest.raises(RuntimeError, match="second time"):
        total.backward()


def test_weights_states_and_starts_are_told_as_by_torch(cls):
    for extra in variants(cls):
        torch.manual_seed(8)
        layer = cls(3, 5, 2, batch_first=True, bidirectional=True, **extra)
        x, twin, proj = torch.randn(4, 6, 3), twin_of(layer), extra.get("proj_size", 5)
        for data, sizes in ((x, None), (x[0], torch.tensor([3, 2, 1]))):
            rows = 4 if sizes is None else 3
            assert layer.get_expected_hidden_size(data, sizes) == twin.get_expected_hidden_size(data, sizes)
            assert layer.get_expected_hidden_size(data, sizes) == (4, rows, proj)
            assert kind_of(cls) != "LSTM" or layer.get_expected_cell_size(data, sizes) == (4, rows, 5)
        assert [n for names in layer._all_weights for n in names] == layer._flat_weights_names
        assert all(a is b for a, b in zip(leaves(layer.all_weights), layer.parameters(), strict=True))
        for model in (twin, layer):
            torch.manual_seed(8)
            model.reset_parameters()
            same(layer.all_weights, twin.all_weights, rtol=0, atol=0)
        assert layer._replicate_for_data_parallel()._flat_weights is not layer._flat_weights
        assert layer.share_memory() is layer and all(w.is_shared() for w in layer._flat_weights)
        hx, order = state(cls, 4, 4, 5), torch.tensor([2, 0, 3, 1])
        same(layer.permute_hidden(hx, order), mapped(lambda t, order=order: t[:, order], hx), rtol=0, atol=0)
        assert layer.permute_hidden(hx, None) is hx


def replaced(layer, name, value):
    delattr(layer, name)
    assert not hasattr(layer, name)
    layer.to(torch.float64).to(torch.float32)
    with pytest.raises((TypeError, AttributeError)):
        layer(torch.randn(4, 2, layer.input_size))
    setattr(layer, name, nn.Parameter(value))


@torch.no_grad()
def moved(layer, name, value):
    getattr(layer, name).set_(value)
    layer(torch.randn(4, 2, layer.input_size))
    value.mul_(2)
    assert torch.equal(getattr(layer, name), value)


EDITS = {
    "copy_": lambda layer, name, value: getattr(layer, name).detach().copy_(value),
    "data": lambda layer, name, value: setattr(getattr(layer, name), "data", value),
    "set_": moved,
    "Parameter": lambda layer, name, value: setattr(layer, name, nn.Parameter(value)),
    "delete and assign": replaced,
    "load_state_dict": lambda layer, name, value: layer.load_state_dict(layer.state_dict() | {name: value}),
    "optimiser": lambda layer, name, value: torch.optim.Adam(layer.parameters(), lr=0.1).step(),
    "vector": lambda layer, name, value: nn.utils.vector_to_parameters(
        nn.utils.parameters_to_vector(layer.parameters()) + 0.25, layer.parameters()
    ),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_a_changed_weight_is_used_by_the_next_call(cls, edit):
    for extra in variants(cls):
        layer, x = cls(3, 5, 2, **extra), torch.randn(4, 2, 3)
        for name in ("weight_ih_l0", "weight_hh_l1", "bias_hh_l0", *(["weight_hr_l1"] if extra else [])):
            before, value = layer(x), torch.randn_like(getattr(layer, name))
            before[0].square().sum().backward()
            edit(layer, name, value)
            after = layer(x)
            named = zip(layer._flat_weights, layer._flat_weights_names, strict=True)
            assert differ(after, before) and all(weight is getattr(layer, n) for weight, n in named)
            same(after, twin_of(layer)(x))
            layer.flatten_parameters()
            assert not differ(layer(x), after)


TRANSFORMS = {
    "weight_norm": (lambda layer, name: nn.utils.weight_norm(layer, name), nn.utils.remove_weight_norm),
    "parametrizations.weight_norm": (parametrizations.weight_norm, parametrize.remove_parametrizations),
    "parametrize": (
        lambda layer, name: parametrize.register_parametrization(layer, name, nn.Softplus()),
        parametrize.remove_parametrizations,
    ),
    "prune": (lambda layer, name: prune.l1_unstructured(layer, name, 0.5), prune.remove),
}


@pytest.mark.filterwarnings("ignore:.*weight_norm.*is deprecated:FutureWarning")
@pytest.mark.parametrize("transform", TRANSFORMS)
def test_reparametrised_weights(cls, transform):
    apply, remove = TRANSFORMS[transform]
    for extra in variants(cls):
        for name in ("weight_ih_l0", "weight_hh_l1", *(["weight_hr_l0"] if extra else [])):
            layer, x = cls(6, 5, 2, **extra), torch.randn(4, 2, 6)
            twin, plain, count = twin_of(layer), layer(x), len(list(layer.parameters()))
            for model in (layer, twin):
                apply(model, name)
            changed = layer(x)
            assert differ(changed, plain) is ("norm" not in transform)
            assert sum(isinstance(w, nn.Parameter) for w in layer._flat_weights) == count - 1
            same(changed, twin(x))
            for model in (layer, twin):
                model(x)[0].square().sum().backward()
            assert all(p.grad.any() for p in layer.parameters() if p.ndim == 2)
            for (key, parameter), (other, peer) in zip(layer.named_parameters(), twin.named_parameters(), strict=True):
                assert key == other
                assert_close(parameter.grad, peer.grad)
                parameter.data.add_(0.1)
            later = layer(x)
            assert differ(later, changed)
            remove(layer, name)
            same(layer(x), later)
            assert type(layer) is cls and sum(isinstance(w, nn.Parameter) for w in layer._flat_weights) == count
            assert name in dict(layer.named_parameters()) and len(list(layer.parameters())) == count
            assert not [key for key in layer.state_dict() if not re.fullmatch(r"(weight|bias)_(ih|hh|hr)_l\d", key)]


def test_tied_biases_stay_tied(cls):
    for extra in variants(cls):
        layer = cls(10, 20, batch_first=True, bidirectional=True, **extra)
        x, hx = torch.randn(5, 4, 10), state(cls, 2, 5, 20, proj=extra.get("proj_size"))
        layer.bias_ih_l0_reverse = layer.bias_ih_l0
        apart = twin_of(layer)
        assert len(list(layer.parameters())) == len(list(apart.parameters())) - 1
        for _ in range(2):
            same(layer(x, hx), apart(x, hx))
            for model in (layer, apart):
                model.zero_grad()
                model(x, hx)[0].square().sum().backward()
            assert_close(layer.bias_ih_l0.grad, apart.bias_ih_l0.grad + apart.bias_ih_l0_reverse.grad)
            torch.optim.SGD(layer.parameters(), lr=0.1).step()
            apart.load_state_dict(layer.state_dict())
        same(layer.double().float()(x, hx), apart(x, hx))


def test_functional_call_lends_other_weights(cls):
    layer, x = cls(3, 5, 2, bidirectional=True), torch.randn(4, 2, 3)
    own, lent = layer(x), {name: torch.randn_like(p).requires_grad_() for name, p in layer.named_parameters()}
    borrowed = torch.func.functional_call(layer, lent, (x,))
    assert differ(borrowed, own) and not differ(layer(x), own)
    twin = twin_of(layer)
    twin.load_state_dict(lent)
    same(borrowed, twin(x))
    pairs = ((borrowed, lent.values()), (twin(x), twin.parameters()))
    same(*(torch.autograd.grad(output.square().sum(), weights) for (output, _), weights in pairs))


def test_mixed_and_low_precision(cls):
    layer, x = cls(3, 5, 2), torch.randn(4, 2, 3)
    exact = layer(x)
    with torch.autocast("cpu", torch.bfloat16):
        same(floats(layer(x)), exact, rtol=0, atol=0.03)
    for dtype in (torch.bfloat16, torch.float16):
        narrow = copy.deepcopy(layer).to(dtype)
        output = narrow(x.to(dtype))
        assert {leaf.dtype for leaf in leaves(output)} == {dtype}
        same(floats(output), exact, rtol=0, atol=0.03)
        with pytest.raises(ValueError, match=r"RNN input dtype .* does not match weight dtype"):
            narrow(x)
    if kind_of(cls) == "LSTM":
        with torch.autocast("cpu", torch.bfloat16):
            same(floats(layer.bfloat16()(x)), exact, rtol=0, atol=0.03)


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("p", [0, 0.276, 0.731, 1])
def test_dropout_lies_between_the_layers(cls, p, training):
    layer, x = cls(3, 40, 2, dropout=p).train(training), torch.randn(2, 50, 3)
    bottom, top = cls(3, 40), cls(40, 40)
    for level, single in enumerate((bottom, top)):
        single.load_state_dict({name: getattr(layer, name[:-1] + str(level)) for name in single.state_dict()})
    between, output = bottom(x)[0], layer(x)[0]
    same(leaves(layer(x)[1])[0][0], between[-1])
    if training and 0 < p < 1:
        assert differ(output, top(between)[0]) and differ(output, layer(x)[0])
    else:
        same(output, top(between * (p == 0 or not training))[0])


@pytest.mark.parametrize("p", [0.276, 0.731])
@pytest.mark.parametrize("home", HOMES)
def test_what_dropout_keeps_is_rescaled(home, p):
    """Weights of one carry ten per unit into the second layer of a relu RNN, which sums what gets through."""
    layer = importlib.import_module(home).RNN(10, 1000, 2, bias=False, dropout=p, nonlinearity="relu").double()
    for weight in layer.parameters():
        weight.data.fill_(1)
    output, hidden = layer(torch.ones(1, 1, 10, dtype=torch.float64))
    total = output.flatten()[0].item()
    assert (hidden[0] == 10).all() and (output == total).all() and torch.equal(hidden[1:], output)
    assert 8000 < total < 12000 and abs(total * (1 - p) / 10 - round(total * (1 - p) / 10)) < 1e-6


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_dropout_can_be_changed_saved_and_repeated(cls, training):
    layer, x = cls(20, 20, 2).train(training), torch.rand(3, 2, 20)
    plain = layer(x)
    for p in (0, 0.5, 0, 0.7, 0.2, 1, 0.2, 0):
        layer.dropout = p
        random = training and 0 < p < 1
        first, second = layer(x), layer(x)
        assert differ(first, second) == random and differ(first, plain) == (training and p > 0)
        torch.manual_seed(3)
        first = layer(x)
        torch.manual_seed(3)
        assert not differ(layer(x), first)
        loaded = pickle.loads(pickle.dumps(layer))
        loaded.flatten_parameters()
        assert loaded.dropout == p and differ(loaded(x), first) == random


def test_backward_uses_the_mask_of_its_forward(cls):
    layer = cls(3, 4, 3, dropout=0.5, bidirectional=True).double()
    x = torch.randn(3, 2, 3, dtype=torch.float64, requires_grad=True)

    def run(*flat):
        torch.manual_seed(6)
        return tuple(leaves(layer(flat[0])))

    assert torch.autograd.gradcheck(run, [x, *layer.parameters()], fast_mode=True)

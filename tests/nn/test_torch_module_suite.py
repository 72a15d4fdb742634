"""What PyTorch's own module tests do with nn.RNN, nn.GRU and nn.LSTM, done to both torch.nn's layers and ours.

Every test takes the layer class from a fixture that is torch.nn's own class first (the witness: a wrong expectation
fails there) and headgate's second.  The first half is driven by PyTorch's database of module inputs, the one
its test_modules.py walks through; the second half restates, on a CPU, what its test_nn.py asserts.
"""

import copy
import gc
import importlib
import io
import pickle
import re
import warnings
import weakref

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence
from torch.testing import assert_close

with warnings.catch_warnings():
    warnings.simplefilter("ignore", ImportWarning)  # PyTorch's test helpers miss hypothesis aloud
    from torch.testing._internal.common_modules import ModuleErrorEnum, module_db
    from torch.testing._internal.common_utils import freeze_rng_state, gradcheck, gradgradcheck

INFOS = {info.module_cls.__name__: info for info in module_db if info.module_cls in (nn.RNN, nn.GRU, nn.LSTM)}
both_dtypes = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["f32", "f64"])
both_modes = pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])


@pytest.fixture(params=[(home, kind) for home in ("torch.nn", "headgate") for kind in INFOS], ids="-".join)
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
    """Entry by entry; gradients of float32 layers may differ by rounding against the largest entry."""
    for a, b in zip(leaves(left), leaves(right), strict=True):
        if a.dtype == torch.float32 and not tolerance and b.numel():
            assert_close(a, b, rtol=1.3e-6, atol=1e-5 * max(1.0, b.abs().max().item()))
        else:
            assert_close(a, b, **tolerance)


def differ(left, right):
    return not all(torch.allclose(a, b, atol=1e-6) for a, b in zip(leaves(left), leaves(right), strict=True))


def weights_of_outputs(outputs):
    generator = torch.Generator().manual_seed(5)
    return [torch.rand(o.shape, dtype=o.dtype, generator=generator) + 0.5 for o in leaves(outputs)]


def gradients(layer, args, **options):
    """Outputs, and the gradients of a fixed weighting of all of them for all inputs and parameters."""
    outputs = layer(*args)
    wanted = [leaf for leaf in leaves(args) if leaf.requires_grad] + list(layer.parameters())
    return outputs, torch.autograd.grad(leaves(outputs), wanted, weights_of_outputs(outputs), **options)


def state(cls, *shape, proj=None, **options):
    """A random initial state of a shape, one tensor or the LSTM's pair (h narrower under a projection)."""
    if kind_of(cls) != "LSTM":
        return torch.randn(*shape, **options)
    return torch.randn(*shape[:-1], proj or shape[-1], **options), torch.randn(*shape, **options)


def samples(cls, dtype=torch.float32, training=True, requires_grad=False, every=1):
    """(layer, forward arguments, sample) of PyTorch's module inputs.

    Every third or seventh still meets each value of each option; the witness never needs more than every fifth.
    """
    info = INFOS[kind_of(cls)]
    every = max(every, 5) if cls is getattr(nn, kind_of(cls)) else every
    torch.manual_seed(99)
    made = info.module_inputs_func(info, device="cpu", dtype=dtype, requires_grad=requires_grad, training=training)
    assert len(made) >= 16
    for sample in made[::every]:
        layer = cls(*sample.constructor_input.args, **sample.constructor_input.kwargs).to(dtype).train(training)
        assert not sample.forward_input.kwargs
        yield layer, sample.forward_input.args, sample


@both_modes
@both_dtypes
def test_forward_agrees_with_the_reference_and_with_torch(cls, dtype, training):
    for layer, args, sample in samples(cls, dtype, training):
        outputs = layer(*args)
        assert type(outputs) is tuple and type(outputs[1]) is (tuple if kind_of(cls) == "LSTM" else torch.Tensor)
        same(outputs, sample.reference_fn(layer, *args))
        same(outputs, twin_of(layer)(*args))
        assert all(p.dtype == dtype for p in layer.parameters())
        other = torch.float64 if dtype == torch.float32 else torch.float32
        layer.to(other)
        assert all(p.dtype == other for p in layer.parameters())
        same(layer(args[0].to(other)), twin_of(layer)(args[0].to(other)))
        (layer.float if dtype == torch.float32 else layer.double)()
        same(layer(*args), outputs, rtol=1e-5, atol=1e-5)


@both_dtypes
def test_factory_arguments_reach_every_parameter(cls, dtype):
    for plain, args, sample in samples(cls):
        kwargs = sample.constructor_input.kwargs
        layer = cls(**kwargs, device="cpu", dtype=dtype)
        same(layer(args[0].to(dtype)), twin_of(layer)(args[0].to(dtype)))
        assert {(p.dtype, str(p.device)) for p in layer.parameters()} == {(dtype, "cpu")}
        assert {str(p.device) for p in cls(**kwargs, device="meta", dtype=dtype).parameters()} == {"meta"}
        with torch.device("meta"):
            shadow = cls(**kwargs)
        for (name, real), (other, ghost) in zip(plain.named_parameters(), shadow.named_parameters(), strict=True):
            assert name == other and ghost.is_meta and type(ghost) is nn.Parameter
            for look in (torch.Tensor.size, torch.Tensor.stride, torch.Tensor.storage_offset):
                assert look(real) == look(ghost)
            assert real.dtype == ghost.dtype and real.requires_grad == ghost.requires_grad


def test_description_names_and_order_are_those_of_torch(cls):
    for layer, _, _ in samples(cls):
        twin = twin_of(layer)
        assert repr(layer) == str(layer) and repr(layer).startswith(repr(twin).removesuffix(")"))
        assert [n for n, _ in layer.named_parameters()] == [n for n, _ in twin.named_parameters()]
        assert list(layer.state_dict()) == list(twin.state_dict()) and list(layer.buffers()) == []
        assert layer._flat_weights_names == twin._flat_weights_names and layer.mode == twin.mode
    text = repr(cls(3, 5, 2, bias=False, batch_first=True, dropout=0.25, bidirectional=True))
    assert text.startswith(f"{kind_of(cls)}(3, 5, num_layers=2, bias=False, batch_first=True, dropout=0.25, bidirecti")


@both_dtypes
def test_copies_through_every_kind_of_serialisation(cls, dtype):
    def saved(thing, **options):
        buffer = io.BytesIO()
        torch.save(thing, buffer)
        buffer.seek(0)
        return torch.load(buffer, **options)

    for layer, args, sample in samples(cls, dtype, every=3):
        outputs = layer(*args)
        for clone in (saved(layer, weights_only=False), pickle.loads(pickle.dumps(layer)), copy.deepcopy(layer)):
            assert type(clone) is cls and not differ(clone(*args), outputs)
            assert all(a is b for a, b in zip(clone._flat_weights, clone.parameters(), strict=True))
            with torch.no_grad():
                clone.weight_hh_l0.mul_(3)
            assert differ(clone(*args), outputs) and not differ(layer(*args), outputs)
        fresh = cls(**sample.constructor_input.kwargs).to(dtype)
        assert differ(fresh(*args), outputs)
        fresh.load_state_dict(saved(layer.state_dict(), weights_only=True), strict=True)
        assert not differ(fresh(*args), outputs)
        same(twin_of(layer).state_dict().values(), layer.state_dict().values(), rtol=0, atol=0)
        with torch.device("meta"):
            empty = cls(**sample.constructor_input.kwargs)
        empty.load_state_dict(layer.state_dict(), assign=True)
        assert not differ(empty(*args), outputs)


@both_modes
def test_strided_inputs_and_strided_gradients(cls, training):
    def strided(tensor):
        spread = torch.repeat_interleave(tensor.detach(), 2, dim=-1)[..., ::2]
        assert not spread.is_contiguous()
        return spread.requires_grad_(tensor.requires_grad)

    for layer, args, _ in samples(cls, torch.float64, training, requires_grad=True, every=3):
        expected, expected_grads = gradients(twin_of(layer), args)
        twisted = tuple(tuple(map(strided, a)) if isinstance(a, tuple) else strided(a) for a in args)
        for given in (args, twisted):
            for bend in (torch.clone, strided):
                outputs = layer(*given)
                wanted = leaves(given) + list(layer.parameters())
                for leaf in wanted:
                    leaf.grad = None
                for output, weight in zip(leaves(outputs), weights_of_outputs(outputs), strict=True):
                    output.backward(bend(weight), retain_graph=True)
                same(outputs, expected)
                same([leaf.grad for leaf in wanted], expected_grads)


def check_derivatives(check, layer, args, **options):
    def run(*flat):
        hx = [tuple(flat[1:3]) if isinstance(args[1], tuple) else flat[1]] if len(args) > 1 else []
        with freeze_rng_state():
            return leaves(layer(flat[0], *hx))

    assert check(run, leaves(args) + list(layer.parameters()), **options)


@pytest.mark.filterwarnings("ignore:There is a performance drop")
@both_modes
def test_first_derivatives_with_batched_gradients(cls, training):
    """PyTorch's wrapper of gradcheck also pushes a batch of gradients through the backward with vmap."""
    for layer, args, _ in samples(cls, torch.float64, training, requires_grad=True, every=3 if training else 7):
        check_derivatives(gradcheck, layer, args)


@pytest.mark.filterwarnings("ignore:There is a performance drop")
def test_first_derivatives_of_one_parameter_at_a_time(cls):
    for layer, args, _ in samples(cls, torch.float64, requires_grad=True, every=11):
        for lone in layer.parameters():
            layer.requires_grad_(False)
            lone.requires_grad_(True)
            check_derivatives(gradcheck, layer, args)


@pytest.mark.filterwarnings("ignore:There is a performance drop")
@both_modes
def test_second_derivatives_with_batched_gradients(cls, training):
    for layer, args, _ in samples(cls, torch.float64, training, requires_grad=True, every=7 if training else 21):
        check_derivatives(gradgradcheck, layer, args)


@pytest.mark.parametrize("bias", [True, False])
def test_derivatives_of_a_batch(cls, bias):
    layer = cls(4, 4, bias=bias).double()
    args = (torch.rand(1, 3, 4, dtype=torch.float64, requires_grad=True),)
    check_derivatives(gradcheck, layer, args, check_batched_grad=False)
    check_derivatives(gradgradcheck, layer, args, check_batched_grad=False)


@both_dtypes
def test_outputs_and_gradients_are_contiguous(cls, dtype):
    for layer, args, _ in samples(cls, dtype, requires_grad=True):
        expected, expected_grads = gradients(twin_of(layer), args)
        for memory_format in (torch.preserve_format, torch.contiguous_format):
            layer.to(memory_format=memory_format)
            outputs, grads = gradients(layer, args)
            assert all(tensor.is_contiguous() for tensor in [*leaves(outputs), *grads])
            same(outputs, expected)
            same(grads, expected_grads)


def test_repeated_backward_of_each_output_accumulates_as_in_torch(cls):
    for layer, args, _ in samples(cls, torch.float64, requires_grad=True, every=3):
        twin, twin_args = twin_of(layer), copy.deepcopy(args)
        outputs, twin_outputs = layer(*args), twin(*twin_args)
        for _ in range(3):
            pairs = zip(leaves(outputs), leaves(twin_outputs), strict=True)
            for (output, other), weight in zip(pairs, weights_of_outputs(outputs), strict=True):
                output.backward(weight, retain_graph=True)
                other.backward(weight, retain_graph=True)
                same([leaf.grad for leaf in leaves(args)], [leaf.grad for leaf in leaves(twin_args)])
                same([p.grad for p in layer.parameters()], [p.grad for p in twin.parameters()])


def test_forward_without_the_training_flag(cls):
    """PyTorch deletes the flag to see whether it is read: the complaint, if any, has to name it."""
    for layer, args, _ in samples(cls, every=7):
        expected = twin_of(layer)(*args)
        delattr(layer, "training")
        try:
            same(layer(*args), expected)
        except AttributeError as complaint:
            assert "'training'" in str(complaint)


@both_dtypes
def test_errors_of_the_module_database(cls, dtype):
    info = INFOS[kind_of(cls)]
    errors = info.module_error_inputs_func(info, device="cpu", dtype=dtype, requires_grad=False, training=True)
    assert {error.error_on for error in errors} == set(ModuleErrorEnum)
    for error in errors:
        made, given = error.module_error_input.constructor_input, error.module_error_input.forward_input
        if error.error_on is ModuleErrorEnum.FORWARD_ERROR:
            layer = cls(*made.args, **made.kwargs)
            with pytest.raises(error.error_type, match=error.error_regex):
                layer(*given.args, **given.kwargs)
        else:
            with pytest.raises(error.error_type, match=error.error_regex):
                cls(*made.args, **made.kwargs)


def test_nothing_is_recorded_without_grad_and_no_graph_outlives_its_output(cls):
    layer, x = cls(3, 5, 2, bidirectional=True), torch.randn(4, 2, 3)
    for guard in (torch.no_grad, torch.inference_mode):
        with guard():
            silent = layer(x)
        assert not any(leaf.requires_grad or leaf.grad_fn for leaf in leaves(silent))
        with pytest.raises(RuntimeError):
            silent[0].sum().backward()
    recorded = layer(x)
    assert all(leaf.requires_grad for leaf in leaves(recorded)) and not differ(recorded, silent)
    traces = [weakref.ref(leaf) for leaf in leaves(recorded)]
    del recorded
    gc.collect()
    assert [trace() for trace in traces] == [None] * len(traces)
    assert not layer.requires_grad_(False)(x)[0].requires_grad
    assert layer(x.clone().requires_grad_())[0].requires_grad


WRONG_VALUES = {
    "dropout": (-0.1, 1.1, True),
    "bias": (1, "True"),
    "batch_first": (0, None),
    "input_size": (3.0, "3", 0, -1),
    "hidden_size": (5.0, "5", 0, -5),
    "num_layers": (0, -1),
    "proj_size": (-1, 5),
}
LEFT_TO_PYTHON = {"surplus": 1, "num_layers": 2.0, "dropout": "no", "nonlinearity": "no"}


def complaint(call, *args, **kwargs):
    with pytest.raises((TypeError, ValueError, RuntimeError)) as caught:
        call(*args, **kwargs)
    return caught.value


def assert_same_complaint(ours, theirs, *args, **kwargs):
    """Class alike and torch's text contained, which is what PyTorch's assertRaisesRegex asks; more may be told."""
    found, expected = complaint(ours, *args, **kwargs), complaint(theirs, *args, **kwargs)
    assert type(found) is type(expected) and str(expected) in str(found)


@pytest.mark.parametrize("name, value", [(n, v) for n, values in WRONG_VALUES.items() for v in values], ids=str)
def test_construction_is_refused_in_the_words_of_torch(cls, name, value):
    wrong = {"input_size": 3, "hidden_size": 5, name: value}
    assert_same_complaint(cls, getattr(nn, kind_of(cls)), **wrong)
    assert_same_complaint(cls, getattr(nn, kind_of(cls)), **(wrong | {"dropout": 2}))


@pytest.mark.parametrize("name", LEFT_TO_PYTHON)
def test_construction_is_refused_where_torch_leaves_the_words_to_python(cls, name):
    """Only the class can agree: torch.nn lets float(), range() or the signature complain."""
    for args, kwargs in (((3, 5), {name: LEFT_TO_PYTHON[name]}), ((3,), {}), ((3, 5, 1, "gelu"), {})):
        assert type(complaint(cls, *args, **kwargs)) is type(complaint(getattr(nn, kind_of(cls)), *args, **kwargs))


def test_projections_belong_to_the_lstm(cls):
    if kind_of(cls) == "LSTM":
        layer = cls(30, 20, 2, proj_size=10)
        assert layer.proj_size == 10 and layer.weight_hr_l1.shape == (10, 20)
    else:
        with pytest.raises(ValueError, match="proj_size argument is only supported for LSTM, not RNN or GRU"):
            cls(30, 20, 2, proj_size=10)


def test_dropout_of_a_single_layer_warns(cls):
    text = re.escape("non-zero dropout expects num_layers greater than 1, but got dropout=0.5 and num_layers=1")
    with pytest.warns(UserWarning, match=text):
        cls(3, 5, dropout=0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cls(3, 5, num_layers=2, dropout=0.5)
        cls(3, 5, dropout=0)


REFUSALS = {
    "Expected hidden": [((6, 7, 3), (2, 4, 5)), ((6, 4, 3), (2, 7, 5)), ((6, 4, 3), (2, 4, 7)), ((6, 4, 3), (7, 4, 5))],
    "input.size(-1) must be equal to input_size. Expected 3, got 7": [((6, 4, 7), (2, 4, 5)), ((6, 7), None)],
    "For unbatched 2-D input": [((6, 3), (2, 1, 5))],
    "For batched 3-D input": [((6, 4, 3), (2, 5))],
    "Expected input to be 2D or 3D, got": [((3,), None), ((1, 6, 4, 3), None)],
    "Expected sequence length to be larger than 0 in RNN": [((0, 4, 3), None), ((0, 3), None)],
}


@pytest.mark.parametrize("text, shape, hidden", [(t, *shapes) for t, cases in REFUSALS.items() for shapes in cases])
def test_wrong_shapes_are_refused_in_the_words_of_torch(cls, text, shape, hidden):
    for proj in (0, 2) if kind_of(cls) == "LSTM" else (0,):
        options = {"proj_size": proj} if proj else {}
        layer, x, good = cls(3, 5, 2, **options), torch.randn(shape), state(cls, 2, 4, 5, proj=proj)
        bads = [] if hidden is None else [state(cls, *hidden, proj=proj if hidden[-1] == 5 else None)]
        if bads and kind_of(cls) == "LSTM":
            bads += [(bads[0][0], good[1]), (good[0], bads[0][1])]
        for hx in bads or [None]:
            with pytest.raises((RuntimeError, ValueError), match=re.escape(text)):
                layer(x, hx)
            assert_same_complaint(layer, twin_of(layer), x, hx)
        with pytest.raises((RuntimeError, ValueError), match=re.escape(text)):
            cls(3, 5, 2, bidirectional=True, **options)(x, bads[0] if bads else None)

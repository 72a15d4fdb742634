"""Whatever else torch was told to do: another default device, shapes without numbers, tracing, tensors of a class."""

from __future__ import annotations

import io

import pytest
import torch
from nn.layer_runs import KINDS, normal
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx
from torch.multiprocessing.reductions import StorageWeakRef
from torch.nn.utils.rnn import pack_padded_sequence
from torch.utils._python_dispatch import TorchDispatchMode

import headgate as hg

INPUT = normal(4, 2, 5, dtype=torch.float32)
WAYS = {
    "plain": {},
    "layers": {"num_layers": 2, "bidirectional": True},
    "batch_first": {"batch_first": True},
    "learned start": {"learnable_state": True},
    "zoneout": {"zoneout": 0.5},
}
every_way = pytest.mark.parametrize("options", WAYS.values(), ids=WAYS)


def results(layer, *, grad, **given):
    """What a call returns, and gradients; the same masks every time."""
    torch.manual_seed(3)
    layer.zero_grad()
    with torch.set_grad_enabled(grad):
        output, state = layer(INPUT, **given)
    if grad:
        output.square().sum().backward()
    found = [output, *state, *(p.grad for p in layer.parameters() if p.grad is not None)]
    return [value.detach().clone() for value in found]


@every_way
@pytest.mark.parametrize("grad", (False, True))
@pytest.mark.parametrize("given", ({}, {"lengths": [4, 2]}), ids=("whole", "lengths"))
def test_another_default_device_changes_nothing(options, grad, given):
    if given and options.get("batch_first"):
        given = {"lengths": [2, 1, 0, 2]}
    layer, other = (hg.LSTM(5, 7, **options) for _ in range(2))  # the other with nothing prepared by an earlier call
    other.load_state_dict(layer.state_dict())
    expected = results(layer, grad=grad, **given)
    with torch.device("meta"):
        found = results(other, grad=grad, **given)
    for one, two in zip(found, expected, strict=True):
        assert torch.equal(one, two)


def test_another_default_device_around_the_rest():
    packed = pack_padded_sequence(INPUT, [4, 1])
    model = nn.Sequential(nn.LSTM(5, 7))
    expected = model[0](INPUT)[0]
    with torch.device("meta"):
        swapped = hg.swap(model)
        assert torch.allclose(swapped(INPUT)[0], expected, atol=1e-6)
        assert swapped[0](packed)[0].data.device.type == "cpu"
        output, state = swapped[0].step(INPUT[0])
        assert output.device.type == state[0].device.type == "cpu"
        with hg.watch(swapped) as seen:
            swapped(INPUT)[0].square().sum().backward()
        assert seen["0.l0"].horizon(1e-3) >= 1


@every_way
def test_shapes_without_numbers(options):
    layer = hg.LSTM(5, 7, **options)
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        output, _ = layer(INPUT)
        output.sum().backward()
        outside = mode.from_tensor(INPUT)
    assert tuple(output.shape) == tuple(layer(INPUT)[0].shape)
    assert tuple(outside.shape) == tuple(INPUT.shape)
    layer.zero_grad()
    assert layer(INPUT)[0].isfinite().all()  # and nothing of it is left behind
    with FakeTensorMode():
        assert hg.LSTM(5, 7, **options)(torch.randn(4, 2, 5))[0].shape == output.shape


@pytest.mark.parametrize("grad", (False, True))
@pytest.mark.parametrize("kind", KINDS)
def test_a_traced_call_is_no_recording_of_its_numbers(kind, grad):
    _, ours, options = KINDS[kind]
    layer, other = ours(5, 7, **options), normal(4, 2, 5, seed=1, dtype=torch.float32)
    with torch.set_grad_enabled(grad):
        traced = make_fx(lambda x: layer(x)[0])(INPUT)
        assert torch.equal(traced(other), layer(other)[0])
        assert not torch.equal(traced(other), layer(INPUT)[0])


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("grad", (False, True))
@every_way
def test_a_trace_by_torchscript_runs_on_other_sizes(options, grad):
    layer, file = hg.LSTM(5, 7, **options).eval(), io.BytesIO()
    with torch.set_grad_enabled(grad):
        torch.jit.save(torch.jit.trace(layer, (INPUT,)), file)
        file.seek(0)
        traced, other = torch.jit.load(file), normal(6, 3, 5, seed=1, dtype=torch.float32)
        torch.testing.assert_close(traced(other)[0], layer(other)[0])


def test_a_symbolic_trace_has_it_as_one_node():
    model = nn.Sequential(hg.LSTM(5, 7))
    traced = torch.fx.symbolic_trace(model)
    assert [node.op for node in traced.graph.nodes] == ["placeholder", "call_module", "output"]
    assert torch.equal(traced(INPUT)[0], model(INPUT)[0])


class Counting(TorchDispatchMode):
    """Counts our operator, and hands everything on."""

    def __init__(self):
        super().__init__()
        self.seen = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.seen += func._schema.name.startswith("headgate::")
        return func(*args, **(kwargs or {}))


@every_way
def test_a_mode_sees_one_operator_and_changes_no_number(options):
    layer = hg.LSTM(5, 7, **options)
    expected = results(layer, grad=True)
    with Counting() as mode:
        found = results(layer, grad=True)
    assert mode.seen >= 2
    for one, two in zip(found, expected, strict=True):
        torch.testing.assert_close(one, two)


class Wrapped(torch.Tensor):
    """A tensor without memory of its own, as those spread over machines are; it unwraps for every operator."""

    @staticmethod
    def __new__(cls, value):
        return torch.Tensor._make_wrapper_subclass(cls, value.shape, dtype=value.dtype, requires_grad=False)

    def __init__(self, value):
        self.value = value

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        def unwrap(value):
            return value.value if isinstance(value, Wrapped) else value

        if func is torch.ops.aten.detach.default:
            return Wrapped(args[0].value)
        return func(*torch.utils._pytree.tree_map(unwrap, args), **torch.utils._pytree.tree_map(unwrap, kwargs or {}))


@pytest.mark.parametrize("grad", (False, True))
@pytest.mark.parametrize("which", ("input", "state", "weights"))
def test_tensors_without_memory_are_left_to_their_class(which, grad):
    layer, state = hg.GRU(5, 7), normal(1, 2, 7, dtype=torch.float32)
    with torch.set_grad_enabled(grad):
        expected = layer(INPUT, state)[0].detach()
        if which == "weights":
            for name, weight in list(layer.named_parameters()):
                layer._parameters[name] = nn.Parameter(Wrapped(weight.detach()), requires_grad=False)
        given = Wrapped(INPUT) if which == "input" else INPUT, Wrapped(state) if which == "state" else state
        torch.testing.assert_close(layer(*given)[0].detach(), expected)


@pytest.mark.parametrize("dtype", (torch.float32, torch.float64))
@pytest.mark.parametrize("change", ("relu", "multiplied", "a step", "nothing"))
@pytest.mark.parametrize("kind", KINDS)
def test_an_output_may_be_changed_in_place(kind, change, dtype):
    changes = {
        "relu": lambda y: nn.functional.relu(y, inplace=True),
        "multiplied": lambda y: y.mul_(2.0),
        "a step": lambda y: y.index_fill_(0, torch.tensor([0]), 0.0),
        "nothing": lambda y: y,
    }
    _, ours, options = KINDS[kind]
    layer = ours(5, 7, **options, dtype=dtype)
    found = []
    for engine in ("eager", None):
        layer.engine = engine
        layer.zero_grad()
        x = INPUT.to(dtype, copy=True).requires_grad_()
        changes[change](layer(x)[0]).square().sum().backward()
        found.append([x.grad.clone(), *(p.grad.clone() for p in layer.parameters())])
    for one, two in zip(*found, strict=True):
        torch.testing.assert_close(one, two)


def test_an_output_is_not_kept_beyond_its_way_back():
    output, _ = hg.LSTM(5, 7)(INPUT)
    memory, loss = StorageWeakRef(output.untyped_storage()), output.sum()
    del output
    assert not memory.expired()
    loss.backward()
    assert memory.expired()


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_of_gradients_needs_none_itself(kind):
    _, ours, options = KINDS[kind]
    layer = ours(5, 7, **options)
    output, given = layer(INPUT)[0], normal(3, 4, 2, 7, dtype=torch.float32)
    found = torch.autograd.grad(output, list(layer.parameters()), given, is_grads_batched=True)
    assert not any(value.requires_grad for value in found)


def test_names_that_code_for_torchs_layers_touches():
    layer, state = hg.LSTM(5, 7), (torch.zeros(1, 2, 7), torch.zeros(1, 2, 7))
    layer._flat_weights = list(layer._flat_weights)
    other = [nn.Parameter(weight.detach() * 2) for weight in layer._flat_weights]
    layer._flat_weights = other
    assert all(mine is given for mine, given in zip(layer.parameters(), other, strict=True))
    with pytest.raises(TypeError, match="cannot assign"):
        layer._flat_weights = [weight.detach().clone() for weight in other]
    with pytest.raises(ValueError, match="3 weights were given, but it has 4"):
        layer._flat_weights = other[:3]
    layer.check_forward_args(INPUT, state, None)
    for arguments, words in (
        ((INPUT[0], state, None), "must have 3 dimensions, got 2"),
        ((INPUT[..., :3], state, None), "Expected 5, got 3"),
        ((INPUT, (state[0], state[1][..., :3]), None), r"Expected hidden\[c\] size \(1, 2, 7\), got \[1, 2, 3\]"),
    ):
        with pytest.raises(RuntimeError, match=words):
            layer.check_forward_args(*arguments)

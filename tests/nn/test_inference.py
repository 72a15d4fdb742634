"""`step` and `forward` on packed weights: what they compute, when they may, never stale, and who owns which memory."""

import copy
import pickle
import threading

import pytest
import torch
from comparing import assert_all_close
from nn.layer_runs import CELLS, as_hx, detached, named, normal, states_for, tolerance
from torch import nn
from torch.nn.utils import parametrizations

import headgate as hg
from headgate.engines.cpu import library
from headgate.engines.cpu.stack import can_stack

pytestmark = pytest.mark.skipif(library.library() is None, reason="the library was not built")

FEATURES = 5
# One block of units, two of which one is padded, and three: in float32 two vectors and one by itself.
whole_blocks_and_padded = pytest.mark.parametrize("H", [16, 19, 48])


def layer_of(cell="lstm", H=16, **options):
    options = {"num_layers": 2, "dtype": torch.float64, "engine": "cpu", **options}
    return hg.Recurrent(cell, FEATURES, H, **options).eval().requires_grad_(False)


def is_fast(layer):
    """Whether its last call ran on packed weights."""
    return layer._packed is not None


def stepped(layer, input, state=None):
    outputs = []
    for x in input:
        output, state = layer.step(x, state)
        outputs.append(output)
    return named((torch.stack(outputs), state))


def the_long_way(layer, input, state=None):
    """As it runs where there is something to differentiate."""
    with torch.enable_grad():
        found = named(layer(input.clone().requires_grad_(), state))
    assert found["output"].requires_grad
    return detached(found)


def agrees(layer, input, state=None):
    expected = the_long_way(layer, input, state)
    assert_all_close(named(layer(input, state)), expected, tolerance(layer))
    if layer.bidirectional:
        return
    turned = layer.batch_first and input.dim() == 3
    found = stepped(layer, input.transpose(0, 1) if turned else input, state)
    if turned:
        found["output"] = found["output"].transpose(0, 1)
    assert_all_close(found, expected, tolerance(layer))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@whole_blocks_and_padded
@pytest.mark.parametrize("cell", CELLS)
def test_it_computes_what_forward_computes(cell, H, dtype):
    layer = layer_of(cell, H, dtype=dtype)
    for B in (3, 1, 3):
        agrees(layer, normal(4, B, FEATURES, dtype=dtype))
    agrees(layer, normal(4, FEATURES, dtype=dtype))
    assert is_fast(layer) == can_stack(layer.cell)


def test_the_comparison_can_fail():
    layer, input = layer_of(), normal(4, 3, FEATURES)
    layer.step(input[0])
    stack = layer._packed.stack
    right = stack._pack
    stack._pack = lambda T, B, threads, turn, looks, x, output, h, new_h, c, new_c: right(
        T, B, threads, turn, looks, x, output, c, new_h, h, new_c
    )
    with pytest.raises(AssertionError, match="output"):
        agrees(layer, input)


@pytest.mark.parametrize("T", [1, 7])
@pytest.mark.parametrize("options", [{}, {"batch_first": True}, {"bidirectional": True}, {"num_layers": 4}], ids=str)
@whole_blocks_and_padded
@pytest.mark.parametrize("cell", ["lstm", "gru", "peephole_lstm"])
def test_whole_sequences_in_every_form(cell, H, options, T):
    layer = layer_of(cell, H, **options)
    shape = (3, T) if layer.batch_first else (T, 3)
    states = states_for(layer, 3)
    for state in (None, as_hx(states)):
        agrees(layer, normal(*shape, FEATURES), state)
    agrees(layer, normal(T, FEATURES), as_hx(tuple(value[:, 0] for value in states)))
    assert is_fast(layer)


def test_sequences_and_steps_may_take_turns():
    layer = layer_of("gru", 19)
    for T, B in ((4, 2), (1, 5), (6, 1), (4, 2)):
        agrees(layer, normal(T, B, FEATURES))
        assert is_fast(layer)


@whole_blocks_and_padded
def test_projections_and_many_rows(H):
    layer = hg.LSTM(FEATURES, H, 2, proj_size=7, dtype=torch.float64, engine="cpu").requires_grad_(False)
    agrees(layer, normal(3, 150, FEATURES))
    assert is_fast(layer)


@pytest.mark.parametrize("H", [64, 300], ids=["one thread's work", "two threads' work"])
def test_any_number_of_threads(H):
    before = torch.get_num_threads()
    layer, input = layer_of(H=H, num_layers=1), normal(3, 2, FEATURES)
    try:
        found = []
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            agrees(layer, input)
            found.append(stepped(layer, input)["output"])
        assert is_fast(layer)
        assert all(torch.equal(found[0], other) for other in found)
    finally:
        torch.set_num_threads(before)


# --- when it may not ------------------------------------------------------------------------------------------------


def with_gradients(layer, x):
    layer.requires_grad_(True)
    return layer.step(x)


def with_an_input_to_differentiate(layer, x):
    return layer.step(x.clone().requires_grad_())


def with_a_state_to_differentiate(layer, x):
    return layer.step(x, tuple(value.requires_grad_() for value in layer.initial_state(len(x))))


def mapped(layer, x):
    return torch.func.vmap(lambda row: layer.step(row)[0])(x), None


def in_training_with_dropout(layer, x):
    layer.dropout = 0.5
    return layer.train().step(x)


def parametrised(layer, x):
    parametrizations.weight_norm(layer, "weight_hh_l1")
    return layer.step(x)


def from_a_list_of_states(layer, x):
    return layer.step(x, list(layer.initial_state(len(x))))


LONG_WAYS = [
    with_gradients,
    with_an_input_to_differentiate,
    with_a_state_to_differentiate,
    mapped,
    in_training_with_dropout,
    parametrised,
    from_a_list_of_states,
]


@pytest.mark.parametrize("call", LONG_WAYS, ids=lambda call: call.__name__)
def test_whatever_is_unusual_goes_the_long_way(call):
    layer = layer_of(engine=None)
    call(layer, normal(3, FEATURES))
    assert not is_fast(layer)


def test_frozen_weights_are_fast_with_gradients_on_and_the_mode_is_read_at_every_call():
    layer, x = layer_of(), normal(3, FEATURES)
    assert torch.is_grad_enabled()
    output, _ = layer.step(x)
    assert is_fast(layer)
    assert not output.requires_grad
    layer.weight_hh_l0.requires_grad_(True)
    output, _ = layer.step(x)
    assert output.requires_grad
    with torch.no_grad():
        assert not layer.step(x)[0].requires_grad


def test_a_learned_initial_state_is_used():
    layer = layer_of(learnable_state=True)
    layer.initial_h_l1.normal_()
    agrees(layer, normal(3, 2, FEATURES))
    assert is_fast(layer)


@pytest.mark.parametrize(
    ("x", "state", "complaint"),
    [
        (normal(3, 4), None, "input.size"),
        (normal(3, FEATURES).float(), None, "dtype"),
        (normal(3, FEATURES), normal(2, 3, 16), "this cell's state is a tuple"),
        (normal(3, FEATURES), (normal(2, 3, 16),) * 3, "3 states"),
        (normal(3, FEATURES), (normal(2, 2, 16), normal(2, 3, 16)), "Expected hidden"),
        (normal(3, FEATURES), (normal(2, 3, 16), normal(2, 3, 16).float()), "dtype"),
        (normal(3, FEATURES), (normal(2, 3, 16), "c"), "of type str"),
        (normal(FEATURES), (normal(2, 1, 16), normal(2, 1, 16)), "unbatched"),
        (torch.tensor(1.0), None, r"\[B, I\] or \[I\]"),
    ],
)
def test_bad_input_is_refused_as_ever(x, state, complaint):
    layer = layer_of()
    layer.step(normal(3, FEATURES))
    assert is_fast(layer)
    with pytest.raises((TypeError, ValueError, RuntimeError), match=complaint):
        layer.step(x, state)


def test_strides_do_not_matter():
    layer = layer_of()
    x = normal(FEATURES, 3).T
    states = tuple(normal(3, 2, 16).transpose(0, 1) for _ in range(2))
    expected = layer.step(x.contiguous(), tuple(state.contiguous() for state in states))
    for found in (layer.step(x), layer.step(x, states)):
        assert found[0].shape == (3, 16)
    assert_all_close(named(layer.step(x, states)), named(expected), tolerance(layer))


# --- never stale ----------------------------------------------------------------------------------------------------


def replaced(layer):
    layer.weight_hh_l1 = nn.Parameter(normal(64, 16, seed=3), requires_grad=False)


def loaded(layer):
    layer.load_state_dict({name: 2 * value for name, value in layer.state_dict().items()})


def copied_into(layer):
    layer.bias_hh_l0.copy_(normal(64, seed=3))


def written_through_data(layer):
    layer.weight_ih_l1.data.mul_(0.5)


def given_other_data(layer):
    layer.weight_ih_l0.data = normal(64, FEATURES, seed=3)


def stepped_by_an_optimiser(layer):
    layer.requires_grad_(True)
    layer(normal(3, 2, FEATURES))[0].sum().backward()
    torch.optim.SGD(layer.parameters(), 0.5).step()
    layer.requires_grad_(False)


def there_and_back(layer):
    layer.float().double()


CHANGES = [
    replaced,
    loaded,
    copied_into,
    written_through_data,
    given_other_data,
    stepped_by_an_optimiser,
    there_and_back,
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_change_of_the_weights_is_seen_by_the_next_step(change):
    layer, x, state = layer_of(), normal(3, FEATURES), (normal(2, 3, 16), normal(2, 3, 16))
    before, _ = layer.step(x, state)
    assert is_fast(layer)
    change(layer)
    assert not torch.equal(layer.step(x, state)[0], before)
    agrees(layer, normal(3, 3, FEATURES), state)
    assert is_fast(layer)


def test_another_engine_is_used_at_once():
    layer, x = layer_of(), normal(3, FEATURES)
    layer.step(x)
    layer.engine = "eager"
    assert not layer._packed.holds(layer, x.dtype, False)
    assert_all_close(named(layer.step(x)), named(layer_copy(layer).step(x)), tolerance(layer))


def layer_copy(layer):
    other = layer_of()
    other.load_state_dict(layer.state_dict())
    return other


@pytest.mark.parametrize(
    "duplicate",
    [copy.deepcopy, copy.copy, lambda layer: pickle.loads(pickle.dumps(layer))],
    ids=["deepcopy", "copy", "pickle"],
)
def test_a_copy_packs_its_own_weights(duplicate):
    layer, x = layer_of(), normal(3, FEATURES)
    expected, _ = layer.step(x)
    other = duplicate(layer)
    assert other._packed is None
    assert torch.equal(other.step(x)[0], expected)
    assert is_fast(layer)


# --- memory ---------------------------------------------------------------------------------------------------------


def test_every_result_has_memory_of_its_own():
    layer, x = layer_of(num_layers=1), normal(3, FEATURES)
    given = layer.initial_state(3)
    output, state = layer.step(x, given)
    again, _ = layer.step(x, given)
    tensors = [x, *given, output, *state, again]
    assert len({value.untyped_storage().data_ptr() for value in tensors}) == len(tensors)
    kept = [value.clone() for value in state]
    output.zero_()
    layer.step(x, state)
    assert all(map(torch.equal, state, kept))
    assert not any(value.any() for value in given)


def test_memory_that_nobody_has_written_is_never_read():
    """torch.empty gives NaN here, so that whatever leaks out of it shows."""
    torch.use_deterministic_algorithms(True)
    try:
        for cell in CELLS:
            layer = layer_of(cell, 19)
            agrees(layer, normal(2, 3, FEATURES))
            assert is_fast(layer) == can_stack(layer.cell)
    finally:
        torch.use_deterministic_algorithms(False)


def test_states_made_in_inference_mode_can_be_stepped_on():
    layer, x = layer_of(), normal(3, FEATURES)
    with torch.inference_mode():
        _, state = layer.step(x)
        expected, _ = layer.step(x, state)
    output, _ = layer.step(x, state)
    assert torch.equal(output, expected)
    assert not output.is_inference()


def test_many_threads_may_step_one_layer_at_once():
    layer = layer_of(H=19)
    inputs = [normal(30, 1 + k % 4, FEATURES, seed=k) for k in range(8)]
    expected = [stepped(layer, input) for input in inputs]
    found = [None] * len(inputs)

    def work(k):
        for _ in range(5):
            found[k] = stepped(layer, inputs[k])

    threads = [threading.Thread(target=work, args=(k,)) for k in range(len(inputs))]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    for a, b in zip(found, expected, strict=True):
        assert all(torch.equal(a[name], b[name]) for name in b)

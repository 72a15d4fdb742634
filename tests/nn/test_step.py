"""`step`: one step at a time with the same weights and numbers as `forward`, and a state that loses nothing."""

import pytest
import torch
from comparing import assert_all_close
from nn.layer_runs import (
    CELLS,
    as_hx,
    as_states,
    cells_and_engines,
    normal,
    states_for,
    tolerance,
    values,
    values_and_gradients,
)

import headgate as hg

T, B, H = 5, 3, 4
FEATURES = 2

both_engines = pytest.mark.parametrize("engine", [None, "eager"], ids=lambda name: f"engine={name}")
every_cell = pytest.mark.parametrize("cell", CELLS)
every_cell_and_engine = pytest.mark.parametrize(("cell", "engine"), cells_and_engines())


def stepped(layer, time=0):
    """As `forward`, through `step`."""

    def run(input, hx=None):
        outputs, state = [], hx
        for one in input.unbind(time):
            output, state = layer.step(one, state)
            outputs.append(output)
        return torch.stack(outputs, time), state

    return run


def layer_of(cell, **options):
    return hg.Recurrent(cell, FEATURES, H, **{"num_layers": 2, "dtype": torch.float64, **options})


@every_cell_and_engine
@pytest.mark.parametrize("given", [True, False], ids=["from-hx", "from-None"])
def test_steps_give_what_forward_gives(cell, given, engine):
    layer, input = layer_of(cell, engine=engine), normal(T, B, FEATURES)
    states = states_for(layer, B) if given else None
    expected = values_and_gradients(layer, layer, input, states)
    assert_all_close(values_and_gradients(stepped(layer), layer, input, states), expected, tolerance(layer))


@every_cell_and_engine
@pytest.mark.parametrize("given", [True, False], ids=["from-hx", "from-None"])
@pytest.mark.parametrize("batch_first", [False, True], ids=["time-first", "batch-first"])
def test_steps_of_one_sequence(cell, batch_first, given, engine):
    layer, input = layer_of(cell, engine=engine, batch_first=batch_first), normal(T, FEATURES)
    hx = as_hx(tuple(state[:, 0] for state in states_for(layer, 1))) if given else None
    expected = values(layer, input, hx)
    actual = values(stepped(layer), input, hx)
    assert actual["output"].shape == (T, H)
    assert_all_close(actual, expected, tolerance(layer))


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_steps_of_a_batch_first_layer_are_still_rows_of_features(cell):
    layer, input = layer_of(cell, batch_first=True), normal(B, T, FEATURES)
    states = states_for(layer, B)
    expected = values_and_gradients(layer, layer, input, states)
    assert_all_close(values_and_gradients(stepped(layer, time=1), layer, input, states), expected, tolerance(layer))


def test_steps_through_a_projection():
    layer, input = hg.LSTM(FEATURES, H, 2, proj_size=3, dtype=torch.float64), normal(T, B, FEATURES)
    states = states_for(layer, B)
    expected = values_and_gradients(layer, layer, input, states)
    assert_all_close(values_and_gradients(stepped(layer), layer, input, states), expected, tolerance(layer))


def test_steps_begin_at_the_learned_state():
    layer, input = layer_of("lstm", learnable_state=True), normal(T, B, FEATURES)
    with torch.no_grad():
        layer.initial_h_l0.normal_()
        layer.initial_c_l1.normal_()
    expected = values_and_gradients(layer, layer, input)
    assert_all_close(values_and_gradients(stepped(layer), layer, input), expected, tolerance(layer))
    one = layer.step(input[0, 0])[0]
    assert_all_close({"h": one.detach()}, {"h": layer(input[:1, 0])[0][0].detach()}, tolerance(layer))


def integrator(dtype):
    """An LSTM whose memory adds 2**-10 a step: the gates stand at 1, and g is the tanh of the bias alone."""
    layer = hg.LSTM(1, 1, dtype=dtype)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
        layer.bias_ih_l0.copy_(torch.tensor([40.0, 40.0, 2.0**-10, 40.0]))
    return layer


def test_half_precision_carries_its_memory_in_float32():
    """In bf16, 1 + 2**-10 is 1: a state kept in it would stop growing at 0.25 after 256 steps."""
    layer, state = integrator(torch.bfloat16), None
    input = torch.zeros(1, 1, dtype=torch.bfloat16)
    with torch.no_grad():
        for _ in range(1024):
            output, state = layer.step(input, state)
    assert output.dtype == torch.bfloat16
    assert [value.dtype for value in state] == [torch.float32, torch.float32]
    assert abs(state[1].item() - 1.0) < 1e-3
    whole, (_, c) = layer(torch.zeros(1024, 1, 1, dtype=torch.bfloat16))
    assert whole.dtype == torch.bfloat16
    assert abs(c.item() - 1.0) < 5e-3, "forward must keep c in float32 inside, and may round it once at the end"


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bf16", "f16"])
@every_cell
def test_half_precision_steps_equal_half_precision_forward(cell, dtype):
    layer, input = layer_of(cell, num_layers=1, dtype=dtype), normal(T, B, FEATURES, dtype=dtype)
    hx = as_hx(tuple(state.float() for state in states_for(layer, B)))
    with torch.no_grad():
        output, final = layer(input, hx)
        actual, state = stepped(layer)(input, hx)
    assert actual.dtype == output.dtype == dtype
    for one, other in zip(as_states(state), as_states(final), strict=True):
        assert one.dtype == other.dtype == torch.float32
        assert torch.equal(one, other)
    assert torch.equal(actual, output)


@both_engines
def test_a_weight_changed_between_steps_is_used_by_the_next(engine):
    layer, other = layer_of("lstm", engine=engine), layer_of("lstm", engine=engine)
    input = normal(2, B, FEATURES)
    with torch.no_grad():
        _, state = layer.step(input[0])
        layer.weight_hh_l1.copy_(other.weight_hh_l1)
        layer.bias_ih_l0.add_(1.0)
        actual, _ = layer.step(input[1], state)
        other.load_state_dict(layer.state_dict())
        expected, _ = other.step(input[1], state)
        unchanged, _ = layer_of("lstm", engine=engine).step(input[1], state)
    assert torch.equal(actual, expected)
    assert not torch.equal(actual, unchanged)


@every_cell
def test_a_bidirectional_layer_is_refused(cell):
    with pytest.raises(RuntimeError, match="bidirectional layer cannot be stepped"):
        layer_of(cell, bidirectional=True).step(normal(B, FEATURES))


def test_the_state_given_is_left_as_it_was():
    layer = layer_of("lstm")
    states = states_for(layer, B)
    kept = tuple(state.clone() for state in states)
    layer.step(normal(B, FEATURES), states)
    assert all(torch.equal(state, copy) for state, copy in zip(states, kept, strict=True))

"""`lengths`: every row as if it were run alone, cut to its own steps, whatever lies in the padding."""

import numpy as np
import pytest
import torch
from comparing import assert_all_close
from nn.layer_runs import (
    PLAIN,
    RowsApart,
    as_hx,
    cells_and_engines,
    normal,
    states_for,
    tolerance,
    values,
    values_and_gradients,
)

import headgate as hg

T, B, H = 6, 4, 3
FEATURES = 2
LENGTHS = [3, 6, 0, 1]
PATTERNS = [[6, 6, 6, 6], [0, 0, 0, 0], [0, 6, 0, 6], [1, 1, 1, 1], [5, 4, 3, 2], [2, 3, 4, 5]]
FORMS = {
    "tuple": tuple,
    "int64": torch.tensor,
    "int32": lambda lengths: torch.tensor(lengths, dtype=torch.int32),
    "uint8": lambda lengths: torch.tensor(lengths, dtype=torch.uint8),
    "numpy": np.array,
    "list-of-tensors": lambda lengths: [torch.tensor(steps) for steps in lengths],
    "strided": lambda lengths: torch.tensor([lengths, lengths]).T[:, 0],
}

both_engines = pytest.mark.parametrize("engine", [None, "eager"], ids=lambda name: f"engine={name}")
every_cell_and_engine = pytest.mark.parametrize(("cell", "engine"), cells_and_engines(lengths=True))
with_and_without_hx = pytest.mark.parametrize("given", [True, False], ids=["hx", "no-hx"])


def layer_of(cell, engine=None, **options):
    options = {"num_layers": 2, "bidirectional": True, "dtype": torch.float64, **options}
    return hg.Recurrent(cell, FEATURES, H, engine=engine, **options)


def with_lengths(layer, lengths):
    return lambda input, hx: layer(input, hx, lengths=lengths)


def one_piece(lengths):
    return [[steps] for steps in lengths]


@with_and_without_hx
@every_cell_and_engine
def test_rows_are_run_as_if_alone(cell, given, engine):
    layer, input = layer_of(cell, engine), normal(T, B, FEATURES)
    states = states_for(layer, B) if given else None
    expected = values_and_gradients(RowsApart(layer, one_piece(LENGTHS)), layer, input, states)
    actual = values_and_gradients(with_lengths(layer, LENGTHS), layer, input, states)
    assert_all_close(actual, expected, tolerance(layer, lengths=True))


@both_engines
def test_rows_are_run_as_if_alone_through_a_projection(engine):
    layer = hg.LSTM(FEATURES, H, 2, bidirectional=True, proj_size=2, dtype=torch.float64, engine=engine)
    input = normal(T, B, FEATURES)
    states = states_for(layer, B)
    expected = values_and_gradients(RowsApart(layer, one_piece(LENGTHS)), layer, input, states)
    actual = values_and_gradients(with_lengths(layer, LENGTHS), layer, input, states)
    assert_all_close(actual, expected, tolerance(layer, lengths=True))


@both_engines
@pytest.mark.parametrize("lengths", PATTERNS, ids=str)
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_lengths_of_every_pattern(cell, lengths, engine):
    layer, input = layer_of(cell, engine), normal(T, B, FEATURES)
    states = states_for(layer, B)
    expected = values_and_gradients(RowsApart(layer, one_piece(lengths)), layer, input, states)
    actual = values_and_gradients(with_lengths(layer, lengths), layer, input, states)
    assert_all_close(actual, expected, tolerance(layer, lengths=True))


@both_engines
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_lengths_may_come_in_any_form(form, engine):
    layer, input = layer_of("lstm", engine), normal(T, B, FEATURES)
    expected, _ = layer(input, lengths=LENGTHS)
    actual, _ = layer(input, lengths=form(LENGTHS))
    assert torch.equal(actual, expected)


@both_engines
def test_the_users_lengths_are_left_alone(engine):
    lengths = torch.tensor(LENGTHS)
    layer_of("lstm", engine)(normal(T, B, FEATURES), lengths=lengths)
    assert lengths.tolist() == LENGTHS


@every_cell_and_engine
def test_a_row_without_steps_hands_back_its_state_and_its_gradient(cell, engine):
    layer, input = layer_of(cell, engine), normal(T, B, FEATURES)
    states = tuple(state.requires_grad_() for state in states_for(layer, B))
    output, final = layer(input, as_hx(states), lengths=LENGTHS)
    final = final if isinstance(final, tuple) else (final,)
    assert not output[:, 2].any()
    weights = [normal(*state.shape, seed=50 + k) for k, state in enumerate(final)]
    sum((state * weight).sum() for state, weight in zip(final, weights, strict=True)).backward()
    for state, handed_back, weight in zip(states, final, weights, strict=True):
        assert torch.equal(handed_back[:, 2], state[:, 2])
        assert torch.equal(state.grad[:, 2], weight[:, 2])


@every_cell_and_engine
@pytest.mark.parametrize("filling", [float("nan"), float("inf"), 1e30], ids=["nan", "inf", "1e30"])
def test_what_lies_in_the_padding_changes_nothing(cell, filling, engine):
    layer, clean = layer_of(cell, engine), normal(T, B, FEATURES)
    padding = torch.arange(T)[:, None] >= torch.tensor(LENGTHS)
    filled = clean.masked_fill(padding[:, :, None], filling)
    states = states_for(layer, B)
    expected = values_and_gradients(with_lengths(layer, LENGTHS), layer, clean, states)
    actual = values_and_gradients(with_lengths(layer, LENGTHS), layer, filled, states)
    assert not actual["d input"][padding].any()
    assert_all_close(actual, expected, tolerance(layer, lengths=True))


@both_engines
def test_a_gradient_given_for_the_padding_goes_nowhere(engine):
    """The output past a row's end is a constant zero, so a loss on it (even a huge one) must not reach anything."""
    layer, input = layer_of("lstm", engine), normal(T, B, FEATURES).requires_grad_()
    output, _ = layer(input, lengths=LENGTHS)
    padding = torch.arange(T)[:, None] >= torch.tensor(LENGTHS)
    (output * torch.where(padding, 1e30, 0.0)[:, :, None]).sum().backward()
    assert not input.grad.any()
    assert not layer.weight_hh_l0.grad.any()


@both_engines
@pytest.mark.parametrize("cell", ["lstm", "gru", "peephole_lstm"])
def test_batch_first(cell, engine):
    layer, input = layer_of(cell, engine, batch_first=True), normal(B, T, FEATURES)
    states = states_for(layer, B)
    twin = layer_of(cell, engine)
    twin.load_state_dict(layer.state_dict())

    def time_first(input, hx):
        output, final = twin(input.transpose(0, 1), hx, lengths=LENGTHS)
        return output.transpose(0, 1), final

    actual = values_and_gradients(with_lengths(layer, LENGTHS), layer, input, states)
    assert actual["output"].shape == (B, T, 2 * H)
    assert_all_close(actual, values_and_gradients(time_first, twin, input, states), tolerance(layer, lengths=True))


@every_cell_and_engine
@pytest.mark.parametrize("steps", [0, 1, 4, 6])
def test_one_sequence_without_a_batch_dimension(cell, steps, engine):
    layer, input = layer_of(cell, engine), normal(T, FEATURES)
    states = tuple(state[:, 0] for state in states_for(layer, 1))
    actual = values(with_lengths(layer, steps), input, as_hx(states))
    apart = values(RowsApart(layer, [[steps]]), input[:, None], as_hx(tuple(state[:, None] for state in states)))
    expected = {name: value[:, 0] for name, value in apart.items()}
    assert_all_close(actual, expected, tolerance(layer, lengths=True))
    assert torch.equal(layer(input, as_hx(states), lengths=[steps])[0], actual["output"])


@both_engines
def test_the_order_of_rows_is_of_no_account(engine):
    layer, input, order = layer_of("lstm", engine), normal(T, B, FEATURES), [2, 0, 3, 1]
    run = with_lengths(layer, [LENGTHS[k] for k in order])
    expected = {name: value[:, order] for name, value in values(with_lengths(layer, LENGTHS), input).items()}
    assert_all_close(values(run, input[:, order]), expected, tolerance(layer, lengths=True))


@pytest.mark.parametrize("cell", PLAIN)
def test_the_engines_agree_in_float32(cell):
    stock, eager = (layer_of(cell, engine, dtype=torch.float32) for engine in ("stock", "eager"))
    eager.load_state_dict(stock.state_dict())
    input, states = normal(T, B, FEATURES, dtype=torch.float32), states_for(stock, B)
    expected = values_and_gradients(with_lengths(eager, LENGTHS), eager, input, states)
    actual = values_and_gradients(with_lengths(stock, LENGTHS), stock, input, states)
    assert_all_close(actual, expected, tolerance(stock, lengths=True))

"""`reset`: a row of several sequences gives what they would give apart, in both directions."""

import pytest
import torch
from comparing import assert_all_close
from nn.layer_runs import (
    CELLS,
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

T, B, H = 7, 4, 3
FEATURES = 2
PIECES = [[3, 2, 2], [7], [1, 1, 5], [6, 1]]
SHORT = [[3, 2], [7], [], [1, 1, 2]]  # with lengths 5, 7, 0, 4

every_cell = pytest.mark.parametrize("cell", CELLS)
every_cell_and_engine = pytest.mark.parametrize(("cell", "engine"), cells_and_engines(reset=True))


def layer_of(cell, **options):
    return hg.Recurrent(
        cell, FEATURES, H, **{"num_layers": 2, "bidirectional": True, "dtype": torch.float64, **options}
    )


def marks(pieces, at_start=False):
    """True where a sequence begins, [T, B]; at t = 0 only if asked."""
    found = torch.zeros(T, len(pieces), dtype=torch.bool)
    for b, row in enumerate(pieces):
        begins = [sum(row[:k]) for k in range(len(row))]
        found[begins if at_start else begins[1:], b] = True
    return found


def with_reset(layer, reset, lengths=None):
    return lambda input, hx: layer(input, hx, reset=reset, lengths=lengths)


@every_cell_and_engine
@pytest.mark.parametrize("given", [True, False], ids=["hx", "no-hx"])
def test_sequences_in_one_row_are_run_as_if_apart(cell, given, engine):
    layer, input = layer_of(cell, engine=engine), normal(T, B, FEATURES)
    states = states_for(layer, B) if given else None
    expected = values_and_gradients(RowsApart(layer, PIECES), layer, input, states)
    actual = values_and_gradients(with_reset(layer, marks(PIECES)), layer, input, states)
    assert_all_close(actual, expected, tolerance(layer, reset=True))


@every_cell
@pytest.mark.parametrize("given", [True, False], ids=["hx", "no-hx"])
def test_together_with_lengths(cell, given):
    """Also with a mark past a row's end, and one at the end itself, which begin nothing."""
    layer, input = layer_of(cell), normal(T, B, FEATURES)
    states = states_for(layer, B) if given else None
    reset, lengths = marks(SHORT), [sum(row) for row in SHORT]
    reset[5, 0] = reset[6, 0] = reset[3, 2] = reset[4, 3] = True
    expected = values_and_gradients(RowsApart(layer, SHORT), layer, input, states)
    actual = values_and_gradients(with_reset(layer, reset, lengths), layer, input, states)
    assert_all_close(actual, expected, tolerance(layer, lengths=True, reset=True))


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_padding_between_marks_changes_nothing_even_as_nan(cell):
    layer, clean = layer_of(cell), normal(T, B, FEATURES)
    reset, lengths = marks(SHORT), [sum(row) for row in SHORT]
    padding = torch.arange(T)[:, None] >= torch.tensor(lengths)
    filled = clean.masked_fill(padding[:, :, None], float("nan"))
    run = with_reset(layer, reset, lengths)
    expected = values_and_gradients(run, layer, clean, states_for(layer, B))
    actual = values_and_gradients(run, layer, filled, states_for(layer, B))
    assert_all_close(actual, expected, tolerance(layer, lengths=True, reset=True))


@every_cell
def test_the_first_step_begins_a_sequence_anyway(cell):
    layer, input = layer_of(cell), normal(T, B, FEATURES)
    hx = as_hx(states_for(layer, B))
    plain = values(layer, input, hx)
    for reset in (marks([[7]] * B, at_start=True), torch.zeros(T, B, dtype=torch.bool)):
        actual = values(with_reset(layer, reset), input, hx)
        assert_all_close(actual, plain, tolerance(layer, reset=True))
    actual = values(with_reset(layer, marks(PIECES, at_start=True)), input, hx)
    expected = values(with_reset(layer, marks(PIECES)), input, hx)
    assert_all_close(actual, expected, tolerance(layer, reset=True))


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_every_step_its_own_sequence(cell):
    layer, input = layer_of(cell), normal(T, B, FEATURES)
    states = states_for(layer, B)
    expected = values_and_gradients(RowsApart(layer, [[1] * T] * B), layer, input, states)
    actual = values_and_gradients(with_reset(layer, torch.ones(T, B, dtype=torch.bool)), layer, input, states)
    assert_all_close(actual, expected, tolerance(layer, reset=True))


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_the_initial_state_hears_of_every_sequence(cell):
    """Its gradient is the sum over the row's sequences: with a linear loss on the last one alone it is not zero."""
    layer, input = layer_of(cell, num_layers=1, bidirectional=False), normal(T, 1, FEATURES)
    states = tuple(state.requires_grad_() for state in states_for(layer, 1))
    output, _ = layer(input, as_hx(states), reset=marks([[3, 4]]))
    output[3:].sum().backward()
    alone = tuple(state.detach().clone().requires_grad_() for state in states)
    layer(input[3:], as_hx(alone))[0].sum().backward()
    for k, (state, expected) in enumerate(zip(states, alone, strict=True)):
        assert expected.grad.any()
        assert_all_close({f"d hx {k}": state.grad}, {f"d hx {k}": expected.grad}, tolerance(layer, reset=True))


def test_no_gradient_crosses_a_mark():
    layer, input = layer_of("lstm"), normal(T, 1, FEATURES).requires_grad_()
    output, _ = layer(input, reset=marks([[3, 4]]))
    output[3:].sum().backward()
    assert not input.grad[:3].any()
    assert input.grad[3:].any()


def test_the_mark_is_shaped_like_the_input():
    layer, input = layer_of("gru"), normal(T, B, FEATURES)
    batch_first = layer_of("gru", batch_first=True)
    batch_first.load_state_dict(layer.state_dict())
    reset = marks(PIECES)
    expected, final = layer(input, reset=reset)
    output, other = batch_first(input.transpose(0, 1), reset=reset.T)
    assert torch.equal(output, expected.transpose(0, 1))
    assert torch.equal(other, final)
    output, final = layer(input[:, 0], reset=reset[:, 0])
    assert_all_close({"output": output.detach()}, {"output": expected[:, 0].detach()}, tolerance(layer, reset=True))


def test_a_learned_state_is_what_a_mark_restores():
    layer = layer_of("lstm", learnable_state=True)
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            if name.startswith("initial_"):
                parameter.normal_()
    input = normal(T, B, FEATURES)
    learned = layer.initial_state(B)
    expected = values(RowsApart(layer, PIECES), input, learned)
    actual = values(with_reset(layer, marks(PIECES)), input)
    assert_all_close(actual, expected, tolerance(layer, reset=True))

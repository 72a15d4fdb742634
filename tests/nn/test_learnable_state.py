"""`learnable_state`: the states before the first step are parameters, one for every layer, direction and state."""

import pytest
import torch
from comparing import assert_all_close
from nn.layer_runs import CELLS, as_hx, as_states, cells_and_engines, normal, tolerance, values

import headgate as hg

T, B = 4, 3
INPUT = normal(T, B, 2)
PLACES = ["l0", "l0_reverse", "l1", "l1_reverse"]


def layer_of(cell, **options):
    layer = hg.Recurrent(cell, 2, 5, 2, bidirectional=True, learnable_state=True, dtype=torch.float64, **options)
    with torch.no_grad():
        for k, (name, parameter) in enumerate(layer.named_parameters()):
            if name.startswith("initial_"):
                parameter.copy_(normal(*parameter.shape, seed=20 + k))
    return layer


def written_out(layer):
    """The learned states as a user would give them, [L D, B, ...] each."""
    rows = [[layer.get_parameter(f"initial_{name}_{place}") for place in PLACES] for name in layer.cell.state_names]
    return as_hx(tuple(torch.stack(row)[:, None].expand(-1, B, -1) for row in rows))


@pytest.mark.parametrize(("cell", "engine"), cells_and_engines())
def test_it_is_where_every_row_begins(cell, engine):
    layer = layer_of(cell, engine=engine)
    assert_all_close(values(layer, INPUT), values(layer, INPUT, written_out(layer)), tolerance(layer))


@pytest.mark.parametrize("cell", CELLS)
def test_it_is_trained(cell):
    """Its gradient is that of a state given, summed over the rows."""
    layer = layer_of(cell)
    given = tuple(state.detach().clone().requires_grad_() for state in as_states(written_out(layer)))
    layer(INPUT, as_hx(given))[0].square().sum().backward()
    assert all(p.grad is None for name, p in layer.named_parameters() if name.startswith("initial_"))
    layer.zero_grad()
    layer(INPUT)[0].square().sum().backward()
    for state, name in zip(given, layer.cell.state_names, strict=True):
        for k, place in enumerate(PLACES):
            actual = layer.get_parameter(f"initial_{name}_{place}").grad
            assert actual.any()
            assert_all_close({name: actual}, {name: state.grad[k].sum(0)}, tolerance(layer))


@pytest.mark.parametrize("cell", CELLS)
def test_it_starts_at_zero_and_is_saved(cell):
    layer = hg.Recurrent(cell, 2, 5, 2, bidirectional=True, learnable_state=True, dtype=torch.float64)
    plain = hg.Recurrent(cell, 2, 5, 2, bidirectional=True, dtype=torch.float64)
    learned = [name for name in layer.state_dict() if name not in plain.state_dict()]
    assert sorted(learned) == sorted(f"initial_{s}_{place}" for s in layer.cell.state_names for place in PLACES)
    assert not any(layer.state_dict()[name].any() for name in learned)
    layer.load_state_dict(plain.state_dict(), strict=False)
    assert_all_close(values(layer, INPUT), values(plain, INPUT), tolerance(layer))
    other = layer_of(cell)
    layer.load_state_dict(other.state_dict(), strict=True)
    assert_all_close(values(layer, INPUT), values(other, INPUT), tolerance(layer))
    layer.reset_parameters()
    assert not any(layer.state_dict()[name].any() for name in learned)


def test_it_draws_no_random_numbers():
    """The weights are those of a layer without it."""
    torch.manual_seed(8)
    plain = hg.LSTM(2, 5, 2, bidirectional=True)
    torch.manual_seed(8)
    layer = hg.LSTM(2, 5, 2, bidirectional=True, learnable_state=True)
    for name, parameter in plain.named_parameters():
        assert torch.equal(layer.get_parameter(name), parameter), name


@pytest.mark.parametrize("cell", ["lstm", "gru", "peephole_lstm"])
def test_other_forms_of_input_begin_there_too(cell):
    layer = layer_of(cell)
    expected = values(layer, INPUT, written_out(layer))
    alone = values(layer, INPUT[:, 1])
    assert_all_close(alone, {name: value[:, 1] for name, value in expected.items()}, tolerance(layer))
    packed = torch.nn.utils.rnn.pack_padded_sequence(INPUT, [2, 4, 1], enforce_sorted=False)
    assert_all_close(values(layer, packed), values(layer, packed, written_out(layer)), tolerance(layer))
    lengths = torch.tensor([2, 0, 4])
    _, final = layer(INPUT, lengths=lengths)
    for state, begun in zip(as_states(final), as_states(written_out(layer)), strict=True):
        assert torch.equal(state[:, 1], begun[:, 1])


def test_projected_states_have_the_sizes_of_the_states():
    layer = hg.LSTM(2, 5, proj_size=3, learnable_state=True)
    assert (layer.initial_h_l0.shape, layer.initial_c_l0.shape) == ((3,), (5,))
    assert layer(INPUT.float())[0].shape == (T, B, 3)

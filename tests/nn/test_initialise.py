"""Starting values by gate: in the right rows of every layer and direction, and nowhere else."""

import math

import pytest
import torch
from nn.layer_runs import CELLS, as_states, normal
from torch import nn

import headgate as hg

STACK = {"num_layers": 2, "bidirectional": True}
PLACES = ["l0", "l0_reverse", "l1", "l1_reverse"]
TIMED = [name for name in CELLS if hg.cells.get(name).timescale]
UNTIMED = [name for name in CELLS if not hg.cells.get(name).timescale]


def blocks_of(layer):
    """For every bias, the names of its row blocks."""
    found = {"bias_ih": layer.cell.gate_names}
    return found | {f"bias_{matrix.name}": matrix.block_names for matrix in layer.cell.recurrent if matrix.bias}


def bias_of(layer, gate, place):
    """The rows of one gate in the bias that joins the input."""
    return (
        getattr(layer, f"bias_ih_{place}").detach().chunk(len(layer.cell.gate_names))[layer.cell.gate_names.index(gate)]
    )


def second_biases(layer, gate, place):
    """The rows of one gate in every other bias, which would be added to the first."""
    found = []
    for name, blocks in blocks_of(layer).items():
        if name != "bias_ih" and gate in blocks:
            found.append(getattr(layer, f"{name}_{place}").detach().chunk(len(blocks))[blocks.index(gate)])
    return torch.cat(found) if found else torch.zeros(0)


def everything_but(layer, gates):
    """All parameters, without those gates' part of the biases."""
    found, blocks = {}, blocks_of(layer)
    for name, parameter in layer.named_parameters():
        names = blocks.get(name.split("_l")[0])
        if names is None:
            found[name] = parameter.detach().clone()
        else:
            kept = zip(names, parameter.detach().chunk(len(names)), strict=True)
            found |= {f"{name}.{gate}": block.clone() for gate, block in kept if gate not in gates}
    return found


def assert_untouched(layer, before, gates):
    after = everything_but(layer, gates)
    assert after.keys() == before.keys()
    for name, value in before.items():
        assert torch.equal(after[name], value), f"{name} was changed"


@pytest.mark.parametrize("cell", CELLS)
def test_gate_bias_sets_one_gate_in_every_layer_and_direction(cell):
    for gate in hg.cells.get(cell).gate_names:
        layer = hg.Recurrent(cell, 3, 5, **STACK)
        before = everything_but(layer, {gate})
        assert hg.init.gate_bias_(layer, gate, 0.75) is layer
        for place in PLACES:
            assert bias_of(layer, gate, place).eq(0.75).all()
            assert not second_biases(layer, gate, place).any()
        assert_untouched(layer, before, {gate})


def test_gate_bias_may_differ_from_unit_to_unit():
    layer, value = hg.GRU(3, 5, **STACK), torch.arange(5.0)
    hg.init.gate_bias_(layer, "r", value)
    for place in PLACES:
        assert torch.equal(bias_of(layer, "r", place), value)


@pytest.mark.parametrize(
    ("cell", "gate", "sign"), [("lstm", "f", 1), ("gru", "z", 1), ("cifg_lstm", "i", -1), ("reset_before_gru", "z", 1)]
)
def test_forget_bias_goes_to_the_gate_that_keeps(cell, gate, sign):
    layer = hg.Recurrent(cell, 3, 5, **STACK)
    before = everything_but(layer, {gate})
    assert hg.init.forget_bias_(layer, 1.5) is layer
    for place in PLACES:
        assert bias_of(layer, gate, place).eq(sign * 1.5).all()
        assert not second_biases(layer, gate, place).any()
    assert_untouched(layer, before, {gate})
    hg.init.forget_bias_(layer)
    assert bias_of(layer, gate, "l1_reverse").eq(sign * 1.0).all()


@pytest.mark.parametrize("cell", TIMED)
def test_forget_bias_makes_the_memory_last(cell):
    """What the sign is for: with a large value the memory hardly changes in one step, with its negative it is lost."""
    torch.manual_seed(0)
    layer = hg.Recurrent(cell, 3, 5, dtype=torch.float64)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.mul_(0.1)
    memory = layer.cell.state_names.index(layer.cell.memory)

    def kept(value):
        hg.init.forget_bias_(layer, value)
        states = tuple(torch.full((1, 1, size), 0.5, dtype=torch.float64) for size in layer.state_sizes)
        other = tuple(0.0 * state for state in states)
        input = normal(1, 1, 3)
        ends = [as_states(layer(input, hx if len(hx) > 1 else hx[0])[1])[memory] for hx in (states, other)]
        return ((ends[0] - ends[1]) / 0.5).mean().item()

    assert kept(12.0) > 0.95
    assert kept(-12.0) < 0.3


@pytest.mark.parametrize("cell", TIMED)
def test_chrono_spreads_the_timescales(cell):
    longest = 50.0
    layer = hg.Recurrent(cell, 3, 400, **STACK)
    signs = dict(layer.cell.timescale)
    before = everything_but(layer, set(signs))
    assert hg.init.chrono_(layer, longest) is layer
    assert_untouched(layer, before, set(signs))
    draws = {}
    for place in PLACES:
        found = {gate: sign * bias_of(layer, gate, place) for gate, sign in signs.items()}
        first, *others = found.values()
        assert all(torch.equal(first, other) for other in others), "an input gate's bias is the forget gate's negative"
        assert all(not second_biases(layer, gate, place).any() for gate in signs)
        steps = first.exp()
        assert steps.min() >= 1.0 - 1e-5
        assert steps.max() <= longest - 1.0 + 1e-3
        # Uniform in [1, longest - 1]: mean and quartiles within what 400 draws allow.
        assert abs(steps.mean().item() - longest / 2) < 5 * (longest - 2) / math.sqrt(12 * 400)
        assert abs((steps < longest / 4).double().mean().item() - (longest / 4 - 1) / (longest - 2)) < 0.11
        draws[place] = first
    assert len({tuple(draw.tolist()) for draw in draws.values()}) == len(PLACES), "each place draws anew"


def test_chrono_of_an_lstm_turns_the_input_gate_the_other_way():
    layer = hg.LSTM(3, 5, **STACK, chrono=20)
    for place in PLACES:
        assert torch.equal(bias_of(layer, "i", place), -bias_of(layer, "f", place))
        assert bias_of(layer, "f", place).min() >= 0


def test_chrono_without_an_input_gate_sets_the_forget_gate_alone():
    layer = hg.LSTM(3, 5, input_gate=False, chrono=20)
    assert (bias_of(layer, "f", "l0") >= 0).all()


@pytest.mark.parametrize("cell", CELLS)
def test_orthogonal_blocks_in_every_layer_and_direction(cell):
    layer = hg.Recurrent(cell, 3, 5, dtype=torch.float64, **STACK)
    before = {name: p.detach().clone() for name, p in layer.named_parameters()}
    assert hg.init.orthogonal_(layer) is layer
    recurrent = {f"weight_{matrix.name}_{place}": matrix for matrix in layer.cell.recurrent for place in PLACES}
    seen = []
    for name, parameter in layer.named_parameters():
        if name not in recurrent:
            assert torch.equal(parameter, before[name]), name
            continue
        for block in parameter.detach().chunk(len(recurrent[name].block_names)):
            assert torch.allclose(block @ block.T, torch.eye(5, dtype=torch.float64), atol=1e-12), name
            seen.append(tuple(block.flatten().tolist()))
    assert len(set(seen)) == len(seen), "every block is drawn anew"


def test_orthogonal_of_a_projection_is_semi_orthogonal():
    layer = hg.LSTM(3, 6, proj_size=2, orthogonal=True, dtype=torch.float64)
    narrow = layer.weight_hr_l0.detach()  # [2, 6]
    assert torch.allclose(narrow @ narrow.T, torch.eye(2, dtype=torch.float64), atol=1e-12)
    for tall in layer.weight_hh_l0.detach().chunk(4):  # [6, 2]
        assert torch.allclose(tall.T @ tall, torch.eye(2, dtype=torch.float64), atol=1e-12)


STARTS = {
    "forget_bias": ({"forget_bias": 2.0}, lambda layer: hg.init.forget_bias_(layer, 2.0)),
    "chrono": ({"chrono": 30}, lambda layer: hg.init.chrono_(layer, 30)),
    "orthogonal": ({"orthogonal": True}, hg.init.orthogonal_),
    "two": (
        {"orthogonal": True, "forget_bias": 2.0},
        lambda layer: hg.init.forget_bias_(hg.init.orthogonal_(layer), 2.0),
    ),
}


@pytest.mark.parametrize(("keywords", "function"), STARTS.values(), ids=STARTS)
@pytest.mark.parametrize("kind", [hg.LSTM, hg.GRU])
def test_the_constructor_says_the_same_as_the_function(kind, keywords, function):
    torch.manual_seed(6)
    built = kind(3, 5, **STACK, **keywords)
    torch.manual_seed(6)
    changed = function(kind(3, 5, **STACK))
    for name, parameter in changed.named_parameters():
        assert torch.equal(built.get_parameter(name), parameter), name
    torch.manual_seed(6)
    built.reset_parameters()
    for name, parameter in changed.named_parameters():
        assert torch.equal(built.get_parameter(name), parameter), f"{name} after reset_parameters"


def test_starting_values_are_not_part_of_the_graph():
    layer = hg.LSTM(3, 5, forget_bias=1.0, orthogonal=True)
    assert all(parameter.is_leaf and parameter.requires_grad for parameter in layer.parameters())


@pytest.mark.parametrize("cell", UNTIMED)
def test_a_cell_without_a_keeping_gate_has_no_timescale(cell):
    layer = hg.Recurrent(cell, 3, 5)
    for what in (lambda: hg.init.forget_bias_(layer), lambda: hg.init.chrono_(layer, 20)):
        with pytest.raises(ValueError, match="needs a gate that keeps the memory"):
            what()


WITHOUT_BIAS = {
    "gate_bias_": lambda layer: hg.init.gate_bias_(layer, "f", 1.0),
    "forget_bias_": hg.init.forget_bias_,
    "chrono_": lambda layer: hg.init.chrono_(layer, 20),
}


@pytest.mark.parametrize("function", WITHOUT_BIAS.values(), ids=WITHOUT_BIAS)
def test_a_layer_without_biases_is_refused(function):
    with pytest.raises(ValueError, match=r"^LSTM\(3, 5, bias=False\) has no biases.*bias=True"):
        function(hg.LSTM(3, 5, bias=False))


@pytest.mark.parametrize("longest", [2, 1, 0, -5, float("nan")])
def test_chrono_wants_a_longest_above_two(longest):
    with pytest.raises(ValueError, match=r"LSTM\(3, 5\): chrono="):
        hg.init.chrono_(hg.LSTM(3, 5), longest)
    with pytest.raises(ValueError, match="chrono="):
        hg.LSTM(3, 5, chrono=longest)


def test_an_unknown_gate_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match=r"no gate 'forget'; its gates are i, f, g, o"):
        hg.init.gate_bias_(hg.LSTM(3, 5), "forget", 1.0)


def test_a_value_of_the_wrong_size_is_refused():
    layer = hg.LSTM(3, 5)
    before = everything_but(layer, set())
    with pytest.raises(ValueError, match=r"LSTM\(3, 5\).*\[7\]"):
        hg.init.gate_bias_(layer, "f", torch.zeros(7))
    assert_untouched(layer, before, set())


def test_a_layer_of_torch_is_refused_by_name():
    with pytest.raises(TypeError, match="swap"):
        hg.init.forget_bias_(nn.LSTM(3, 5))

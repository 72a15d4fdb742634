"""A cell of a user's own, in a few lines of this file, is a layer like any other."""

import copy
import pickle
from dataclasses import dataclass

import pytest
import torch
from comparing import assert_all_close
from nn.layer_runs import RowsApart, as_hx, named, normal, states_for, tolerance, values, values_and_gradients
from torch.autograd import gradcheck
from torch.nn.utils.rnn import pack_padded_sequence

import headgate as hg
from headgate.cells import Cell, Gates, Matrix, State, sigmoid, tanh

T, B, H = 5, 3, 4
INPUT = normal(T, B, 2)
LENGTHS = [3, 0, 5]


class MinimalGatedUnit(Cell):
    """Zhou et al. 2016 (arXiv 1603.09420): one gate, whose product stands inside the candidate: two stages."""

    gates = "f n"
    states = "h"
    timescale = {"f": -1}  # noqa: RUF012 - written as a user would

    def step(self, x, U, s):
        f = sigmoid(x.f + U.f(s.h))
        n = tanh(x.n + U.n(f * s.h))
        return State(h=(1.0 - f) * s.h + f * n), Gates(f=f, n=n)


class LeakyPair(Cell):
    """No dataclass: two states, a leak and a gain for each unit, a second matrix, and no gates shown."""

    gates = "a b"
    states = "h m"
    vectors = "leak gain"

    @property
    def recurrent(self):
        return (Matrix("hh", "a b"), Matrix("mm", "m", columns="H", bias=False))

    def step(self, x, U, s, p):
        m = sigmoid(p.leak) * s.m + tanh(x.a + U.a(s.h))
        h = p.gain * tanh(x.b + U.b(s.h) + U.m(m))
        return State(m=m, h=h)


@dataclass(frozen=True)
class Leaky(Cell):
    """A dataclass with a switch, and a step that returns its state alone."""

    rate: float = 0.5

    gates = "h"
    states = "h"

    def step(self, x, U, s):
        return State(h=self.rate * s.h + (1.0 - self.rate) * tanh(x.h + U.h(s.h)))


OWN = {"class": MinimalGatedUnit, "object": MinimalGatedUnit(), "two-states": LeakyPair, "dataclass": Leaky(rate=0.25)}
every_cell = pytest.mark.parametrize("cell", OWN.values(), ids=OWN)


def layer_of(cell, **options):
    options = {"num_layers": 2, "bidirectional": True, "dtype": torch.float64, **options}
    return hg.Recurrent(cell, 2, H, **options)


def by_hand(layer, step, input, states):
    """One layer, one direction, in plain torch: x and U as matrices, a loop, nothing of headgate's."""
    w = layer.weights(0)
    outputs = []
    for x in input:
        states = step(w, x @ w["weight_ih"].T + w["bias_ih"], states)
        outputs.append(states[0])
    return torch.stack(outputs), states


def minimal_gated_unit(w, x, states):
    (h,) = states
    (x_f, x_n), (u_f, u_n), (b_f, b_n) = (v.chunk(2, -1) for v in (x, w["weight_hh"].T, w["bias_hh"]))
    f = torch.sigmoid(x_f + h @ u_f + b_f)
    n = torch.tanh(x_n + (f * h) @ u_n + b_n)
    return ((1 - f) * h + f * n,)


def leaky_pair(w, x, states):
    h, m = states
    (x_a, x_b), (u_a, u_b), (b_a, b_b) = (v.chunk(2, -1) for v in (x, w["weight_hh"].T, w["bias_hh"]))
    leak, gain = w["weight_p"].chunk(2)
    m = torch.sigmoid(leak) * m + torch.tanh(x_a + h @ u_a + b_a)
    return gain * torch.tanh(x_b + h @ u_b + b_b + m @ w["weight_mm"].T), m


def leaky(w, x, states):
    (h,) = states
    return (0.25 * h + 0.75 * torch.tanh(x + h @ w["weight_hh"].T + w["bias_hh"]),)


WRITTEN_OUT = [minimal_gated_unit, minimal_gated_unit, leaky_pair, leaky]


@pytest.mark.parametrize(("cell", "step"), list(zip(OWN.values(), WRITTEN_OUT, strict=True)), ids=OWN)
def test_it_computes_its_equations(cell, step):
    layer = layer_of(cell, num_layers=1, bidirectional=False)
    states = states_for(layer, B)

    def run(input, hx):
        given = tuple(state[0] for state in (hx if isinstance(hx, tuple) else (hx,)))
        output, final = by_hand(layer, step, input, given)
        return output, as_hx(tuple(state[None] for state in final))

    expected = values_and_gradients(run, layer, INPUT, states)
    assert_all_close(values_and_gradients(layer, layer, INPUT, states), expected, tolerance(layer))


@every_cell
def test_layers_and_directions_are_those_of_single_layers(cell):
    """Two layers both ways, put together from four layers of one direction each."""
    layer = layer_of(cell)
    states = states_for(layer, B)
    input, finals = INPUT, []
    for k in range(2):
        outputs = []
        for d in range(2):
            single = hg.Recurrent(layer.cell, input.shape[-1], H, dtype=torch.float64)
            names = layer.weights(k, d)
            single.load_state_dict({f"{name}_l0": weight.detach() for name, weight in names.items()})
            hx = as_hx(tuple(state[2 * k + d : 2 * k + d + 1] for state in states))
            output, final = single(input.flip(0) if d else input, hx)
            outputs.append(output.flip(0) if d else output)
            finals.append(final if isinstance(final, tuple) else (final,))
        input = torch.cat(outputs, -1).detach()
    expected = {"output": input}
    expected |= {f"final {k}": torch.cat(column).detach() for k, column in enumerate(zip(*finals, strict=True))}
    assert_all_close(values(layer, INPUT, as_hx(states)), expected, tolerance(layer))


@every_cell
def test_lengths_reset_and_packed_sequences(cell):
    layer = layer_of(cell)
    states = states_for(layer, B)
    expected = values_and_gradients(RowsApart(layer, [[n] for n in LENGTHS]), layer, INPUT, states)
    actual = values_and_gradients(lambda x, hx: layer(x, hx, lengths=LENGTHS), layer, INPUT, states)
    assert_all_close(actual, expected, tolerance(layer))

    pieces = [[2, 3], [5], [1, 1, 3]]
    reset = torch.zeros(T, B, dtype=torch.bool)
    reset[2, 0] = reset[1, 2] = reset[2, 2] = True
    expected = values_and_gradients(RowsApart(layer, pieces), layer, INPUT, states)
    actual = values_and_gradients(lambda x, hx: layer(x, hx, reset=reset), layer, INPUT, states)
    assert_all_close(actual, expected, tolerance(layer))

    lengths = [3, 1, 5]
    packed = pack_padded_sequence(INPUT, lengths, enforce_sorted=False)
    padded, final = layer(INPUT, as_hx(states), lengths=lengths)
    expected = values(lambda *_: (pack_padded_sequence(padded, lengths, enforce_sorted=False), final), None)
    assert_all_close(values(layer, packed, as_hx(states)), expected, tolerance(layer))


@every_cell
def test_batch_first_unbatched_and_step(cell):
    layer = layer_of(cell, bidirectional=False)
    states = states_for(layer, B)
    expected = values(layer, INPUT, as_hx(states))
    turned = layer_of(cell, bidirectional=False, batch_first=True)
    turned.load_state_dict(layer.state_dict())
    output, _ = turned(INPUT.transpose(0, 1), as_hx(states))
    assert torch.equal(output.transpose(0, 1), expected["output"])
    alone = values(layer, INPUT[:, 1], as_hx(tuple(state[:, 1] for state in states)))
    assert_all_close(alone, {name: value[:, 1] for name, value in expected.items()}, tolerance(layer))
    state, outputs = as_hx(states), []
    for x in INPUT:
        output, state = layer.step(x, state)
        outputs.append(output)
    assert_all_close(values(lambda *_: (torch.stack(outputs), state), None), expected, tolerance(layer))


@every_cell
def test_gradcheck(cell):
    layer = layer_of(cell, num_layers=1)
    names = [name for name, _ in layer.named_parameters()]
    count = len(layer.state_sizes)

    def run(input, *rest):
        lent = dict(zip(names, rest[count:], strict=True))
        arguments = (input, as_hx(rest[:count]))
        return tuple(named(torch.func.functional_call(layer, lent, arguments, {"lengths": LENGTHS})).values())

    arguments = (INPUT, *states_for(layer, B), *(p.detach() for p in layer.parameters()))
    assert gradcheck(run, tuple(a.clone().requires_grad_() for a in arguments), fast_mode=True)


def test_its_parameters_have_the_names_and_sizes_its_class_says():
    shapes = {name: tuple(weight.shape) for name, weight in layer_of(LeakyPair).state_dict().items()}
    for place, width in (("l0", 2), ("l0_reverse", 2), ("l1", 2 * H), ("l1_reverse", 2 * H)):
        assert shapes[f"weight_ih_{place}"] == (2 * H, width)
        assert shapes[f"weight_hh_{place}"] == (2 * H, H)
        assert shapes[f"weight_mm_{place}"] == (H, H)
        assert shapes[f"weight_p_{place}"] == (2 * H,)
        assert shapes[f"bias_ih_{place}"] == shapes[f"bias_hh_{place}"] == (2 * H,)
    assert len(shapes) == 4 * 6
    without = layer_of(LeakyPair, bias=False).state_dict()
    assert not any("bias" in name for name in without)


@every_cell
def test_it_is_saved_and_copied(cell):
    layer = layer_of(cell)
    expected = values(layer, INPUT)
    fresh = layer_of(cell)
    fresh.load_state_dict(layer.state_dict(), strict=True)
    for twin in (fresh, copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert type(twin.cell) is type(layer.cell)
        for name, value in values(twin, INPUT).items():
            assert torch.equal(value, expected[name]), name


@every_cell
def test_it_is_compiled(cell):
    torch.compiler.reset()
    layer = layer_of(cell, num_layers=1)
    expected = values_and_gradients(layer, layer, INPUT, states_for(layer, B))
    run = torch.compile(layer, fullgraph=True, backend="aot_eager")
    assert_all_close(values_and_gradients(run, layer, INPUT, states_for(layer, B)), expected, tolerance(layer))


def test_its_initialisers_follow_its_names():
    layer = layer_of(MinimalGatedUnit, forget_bias=1.5, orthogonal=True)
    for name, parameter in layer.named_parameters():
        if name.startswith("bias_ih"):
            assert parameter[:H].eq(-1.5).all()
        elif name.startswith("bias_hh"):
            assert not parameter[:H].any()
            assert parameter[H:].any()
    assert layer_of(LeakyPair, learnable_state=True).initial_m_l1_reverse.shape == (H,)


def test_it_shows_itself():
    assert repr(layer_of(MinimalGatedUnit)).startswith(
        "Recurrent(MinimalGatedUnit, 2, 4, num_layers=2, bidirectional=True, engine="
    )
    assert "Recurrent(Leaky(rate=0.25), 2, 4" in repr(layer_of(Leaky(rate=0.25)))


def test_a_switch_of_its_own_is_set_by_keyword():
    assert hg.Recurrent(Leaky, 2, H, rate=0.1).cell == Leaky(rate=0.1)
    with pytest.raises(TypeError, match="has no switch 'speed'; it has rate"):
        hg.Recurrent(Leaky, 2, H, speed=0.1)
    with pytest.raises(TypeError, match="has no switch 'rate'"):
        hg.Recurrent(LeakyPair, 2, H, rate=0.1)


class Broken(Cell):
    """Names a gate that its step never reads."""

    gates = "a b"
    states = "h"

    def step(self, x, U, s):
        return State(h=tanh(x.a + U.a(s.h) + U.b(s.h)))


def test_a_cell_with_a_weight_that_does_nothing_is_refused_when_it_is_built():
    with pytest.raises(ValueError, match=r"Broken.step never uses x\.b"):
        hg.Recurrent(Broken, 2, H)


def test_it_cannot_be_projected_unless_it_says_so():
    with pytest.raises(ValueError, match=r"MinimalGatedUnit has no projection; leave proj_size=0"):
        hg.Recurrent(MinimalGatedUnit, 2, H, proj_size=2)

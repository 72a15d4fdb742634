"""Parameters are read at every call: one that was changed or replaced is used by the next, and gets its gradient."""

import copy

import pytest
import torch
from comparing import assert_all_close
from nn.layer_runs import normal, states_for, tolerance, values, values_and_gradients
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune

import headgate as hg
from headgate.engines.cpu.stack import STRETCHES_A_STEP

both_engines = pytest.mark.parametrize("engine", [None, "eager"], ids=lambda name: f"engine={name}")
INPUT = normal(5, 3, 2)


def layer_of(engine=None, seed=0, **options):
    torch.manual_seed(seed)
    return hg.LSTM(2, 4, **{"num_layers": 2, "dtype": torch.float64, "engine": engine, **options})


def written_into(layer, **weights):
    """A fresh layer with this one's weights as they are now, and those given instead."""
    fresh = layer_of(layer.engine, seed=9)
    current = {name: getattr(layer, name).detach() for names in layer._weight_names for name in names.values()}
    fresh.load_state_dict({**current, **{name: weight.detach() for name, weight in weights.items()}})
    return fresh


def optimiser_step(layer):
    layer(INPUT)[0].sum().backward()
    torch.optim.SGD(layer.parameters(), lr=0.5).step()


def load(layer):
    layer.load_state_dict(layer_of(seed=1).state_dict())


def copy_one(layer):
    with torch.no_grad():
        layer.weight_hh_l1.copy_(normal(16, 4, seed=3))


def write_through_data(layer):
    layer.weight_ih_l0.data = normal(16, 2, seed=3)


def put_in_another(layer):
    layer.weight_hh_l0 = nn.Parameter(normal(16, 4, seed=3))


def swap_the_storage(layer):
    with torch.no_grad():
        layer.bias_hh_l1.set_(normal(16, seed=3))


CHANGES = [optimiser_step, load, copy_one, write_through_data, put_in_another, swap_the_storage]


@both_engines
@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_changed_weight_is_used_by_the_next_call(change, engine):
    layer = layer_of(engine)
    before = values(layer, INPUT)
    change(layer)
    actual = values_and_gradients(layer, layer, INPUT)
    assert not torch.equal(actual["output"], before["output"])
    fresh = written_into(layer)
    assert_all_close(actual, values_and_gradients(fresh, fresh, INPUT), tolerance(layer))


@both_engines
@pytest.mark.parametrize(
    "make", [parametrizations.orthogonal, parametrizations.weight_norm], ids=["orthogonal", "weight_norm"]
)
@pytest.mark.parametrize("name", ["weight_hh_l0", "weight_ih_l0", "weight_hh_l1"])
def test_a_parametrised_weight_is_computed_and_its_gradient_reaches_the_original(name, make, engine):
    layer = layer_of(engine)
    make(layer, name)
    originals = {n: p for n, p in layer.named_parameters() if n.startswith("parametrizations.")}
    computed = getattr(layer, name).detach()
    fresh = written_into(layer)
    assert torch.equal(getattr(fresh, name), computed)
    expected = values_and_gradients(fresh, fresh, INPUT)
    assert_all_close(values(layer, INPUT), values(fresh, INPUT), tolerance(layer))
    # The gradient of the original is that of the computed weight, taken through the parametrisation.
    wanted = torch.autograd.grad(getattr(layer, name), list(originals.values()), expected[f"d {name}"])
    actual = values_and_gradients(layer, layer, INPUT)
    for (original, _), gradient in zip(originals.items(), wanted, strict=True):
        assert gradient.any()
        assert_all_close({original: actual[f"d {original}"]}, {original: gradient}, tolerance(layer))


@both_engines
def test_training_moves_a_parametrised_weight(engine):
    layer = layer_of(engine)
    parametrizations.orthogonal(layer, "weight_hh_l0")
    before = layer.weight_hh_l0.detach().clone()
    optimiser_step(layer)
    after = layer.weight_hh_l0.detach()
    assert not torch.allclose(after, before)
    assert torch.allclose(after.T @ after, torch.eye(4, dtype=torch.float64))
    assert_all_close(values(layer, INPUT), values(written_into(layer), INPUT), tolerance(layer))


def test_removing_a_parametrisation_leaves_its_weight():
    layer = layer_of()
    parametrizations.weight_norm(layer, "weight_hh_l0")
    expected = values(layer, INPUT)
    parametrize.remove_parametrizations(layer, "weight_hh_l0")
    assert type(layer) is hg.LSTM
    assert_all_close(values(layer, INPUT), expected, tolerance(layer))


class Counted(nn.Module):
    """A parametrisation that counts how often it is asked."""

    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, weight):
        self.calls += 1
        return 2 * weight


@both_engines
@pytest.mark.parametrize("name", ["weight_ih_l0", "weight_hh_l0"])
def test_a_parametrised_weight_is_computed_once_a_call(name, engine):
    """Spectral norm takes a step, and weight drop draws a mask, each time: asking twice would change what they do."""
    layer = layer_of(engine, num_layers=1)
    counted, states = Counted(), states_for(layer, 3)
    parametrize.register_parametrization(layer, name, counted)
    counted.calls = 0
    layer(INPUT, states)
    assert counted.calls == 1
    counted.calls = 0
    layer(INPUT)
    assert counted.calls == 1


@both_engines
def test_functional_call_lends_other_weights(engine):
    layer, other = layer_of(engine), layer_of(engine, seed=1)
    before = values(layer, INPUT)
    lent = {name: weight.detach().clone().requires_grad_() for name, weight in other.named_parameters()}
    output, _ = torch.func.functional_call(layer, lent, (INPUT,))
    assert torch.equal(output, other(INPUT)[0])
    output.sum().backward()
    assert all(weight.grad is not None for weight in lent.values())
    assert all(weight.grad is None for weight in layer.parameters())
    assert_all_close(values(layer, INPUT), before, tolerance(layer))


def test_weights_may_be_stacked_and_mapped_over():
    """An ensemble: vmap over functional_call equals its members one by one."""
    members = [layer_of(seed=seed) for seed in range(3)]
    stacked, buffers = torch.func.stack_module_state(members)
    run = torch.func.vmap(lambda weights: torch.func.functional_call(members[0], (weights, buffers), (INPUT,))[0])
    actual = {f"member {k}": output.detach() for k, output in enumerate(run(stacked))}
    expected = {f"member {k}": member(INPUT)[0].detach() for k, member in enumerate(members)}
    assert_all_close(actual, expected, tolerance(members[0]))


@both_engines
def test_tied_weights_stay_one_and_their_gradients_add(engine):
    layer = layer_of(engine)
    layer.weight_hh_l1 = layer.weight_hh_l0
    apart = written_into(layer)
    expected = values_and_gradients(apart, apart, INPUT)
    actual = values_and_gradients(layer, layer, INPUT)
    tied = expected["d weight_hh_l0"] + expected["d weight_hh_l1"]
    assert_all_close({"output": actual["output"]}, {"output": expected["output"]}, tolerance(layer))
    assert_all_close({"tied": actual["d weight_hh_l0"]}, {"tied": tied}, tolerance(layer))
    optimiser_step(layer)
    assert layer.weight_hh_l1 is layer.weight_hh_l0
    assert_all_close(values(layer, INPUT), values(written_into(layer), INPUT), tolerance(layer))


@both_engines
def test_pruning_and_its_removal(engine):
    layer = layer_of(engine)
    prune.random_unstructured(layer, "weight_hh_l0", 0.5)
    assert_all_close(values(layer, INPUT), values(written_into(layer), INPUT), tolerance(layer))
    layer(INPUT)[0].sum().backward()
    assert not layer.weight_hh_l0_orig.grad[layer.weight_hh_l0_mask == 0].any()
    assert layer.weight_hh_l0_orig.grad[layer.weight_hh_l0_mask == 1].any()
    optimiser_step(layer)
    expected = values(layer, INPUT)
    prune.remove(layer, "weight_hh_l0")
    assert_all_close(values(layer, INPUT), expected, tolerance(layer))


def test_a_frozen_weight_gets_no_gradient_and_the_others_do():
    layer = layer_of()
    layer.weight_hh_l0.requires_grad_(False)
    layer(INPUT)[0].sum().backward()
    for name, weight in layer.named_parameters():
        assert (weight.grad is None) == (name == "weight_hh_l0"), name


# Some values of 8, of 64 and of 256 units; none of those that would be looked at first.
PLACES = {8: (5, 3), 64: (101, 37), 256: (777, 133)}


def written_through_data(weight, place):
    weight.data[place] += 3.0


def written_by_numpy(weight, place):
    weight.detach().numpy()[place] += 3.0


def signs_turned(weight, place):
    weight.data[place[0], 1::2].neg_()


def a_unit_cut(weight, place):
    weight.data[:, place[1]] = 0.0


def rows_exchanged(weight, place):
    weight.data[[place[0], 0]] = weight.data[[0, place[0]]]


UNCOUNTED = [written_through_data, written_by_numpy, signs_turned, a_unit_cut, rows_exchanged]


@pytest.mark.parametrize("grad", (False, True))
@pytest.mark.parametrize("H", PLACES)
@pytest.mark.parametrize("write", UNCOUNTED, ids=lambda write: write.__name__)
def test_a_write_that_no_version_counts_is_seen_by_the_next_call(write, H, grad):
    torch.manual_seed(0)
    layer, x = hg.LSTM(16, H), normal(4, 2, 16, dtype=torch.float32)
    with torch.set_grad_enabled(grad):
        before = layer(x)[0].detach().clone()
        write(layer.weight_hh_l0, PLACES[H])
        found, expected = layer(x)[0], copy.deepcopy(layer)(x)[0]
    assert not torch.equal(found, before) and torch.equal(found, expected)


@pytest.mark.parametrize("H", PLACES)
def test_a_write_that_no_version_counts_is_seen_within_some_steps(H):
    layer, x, step = hg.LSTM(16, H), normal(1, 16, dtype=torch.float32), 0
    with torch.no_grad():
        before = layer.step(x)[0]
        written_through_data(layer.weight_ih_l0, (2 * H + 5, 3))
        while torch.equal(layer.step(x)[0], before):
            step += 1
            assert step < STRETCHES_A_STEP
        assert torch.equal(layer.step(x)[0], copy.deepcopy(layer).step(x)[0])
    assert H > 8 or step == 0  # all of a small layer is looked at


def test_finite_differences_through_data():
    layer, x, at, epsilon = hg.LSTM(16, 64, dtype=torch.float64), normal(4, 2, 16), (101, 37), 1e-5
    layer(x)[0].sum().backward()
    weight, values = layer.weight_hh_l0, []
    with torch.no_grad():
        for sign in (1, -2):
            weight.data[at] += sign * epsilon
            values.append(layer(x)[0].sum().item())
    assert (values[0] - values[1]) / (2 * epsilon) == pytest.approx(weight.grad[at].item(), rel=1e-6)

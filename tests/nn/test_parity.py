"""LSTM, GRU and RNN against torch.nn with the same weights: outputs, final states and every gradient, by name."""

import itertools

import pytest
import torch
from comparing import assert_all_close
from nn.layer_runs import KINDS, normal, states_for, tolerance, twins, values_and_gradients
from torch import nn

import headgate as hg

OPTIONS = {
    "plain": {},
    "no-bias": {"bias": False},
    "L3": {"num_layers": 3},
    "both-ways": {"bidirectional": True},
    "L2-both-ways-batch-first": {"num_layers": 2, "bidirectional": True, "batch_first": True},
    "L3-both-ways-no-bias": {"num_layers": 3, "bidirectional": True, "bias": False},
}
PROJECTED = {
    "proj": {"proj_size": 2},
    "proj-L2-both-ways": {"proj_size": 3, "num_layers": 2, "bidirectional": True},
    "proj-L2-no-bias-batch-first": {"proj_size": 1, "num_layers": 2, "bias": False, "batch_first": True},
}
ODD_SIZES = [(1, 1, 1, 1), (1, 5, 3, 2), (9, 1, 2, 7), (17, 3, 13, 33)]
CASES = [pytest.param(kind, OPTIONS[name], id=f"{kind}-{name}") for kind, name in itertools.product(KINDS, OPTIONS)]
CASES += [pytest.param("LSTM", options, id=f"LSTM-{name}") for name, options in PROJECTED.items()]

every_engine = pytest.mark.parametrize("engine", [None, "stock", "eager"], ids=lambda name: f"engine={name}")
both_dtypes = pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["f64", "f32"])
with_and_without_hx = pytest.mark.parametrize("given", [True, False], ids=["hx", "no-hx"])


@every_engine
@both_dtypes
@with_and_without_hx
@pytest.mark.parametrize(("kind", "options"), CASES)
def test_agrees_with_torch(kind, options, given, dtype, engine):
    theirs, ours = twins(kind, 3, 5, **options, dtype=dtype, engine=engine)
    T, B = 7, 4
    input = normal(B, T, 3, dtype=dtype) if options.get("batch_first") else normal(T, B, 3, dtype=dtype)
    states = states_for(theirs, B) if given else None
    expected = values_and_gradients(theirs, theirs, input, states)
    assert_all_close(values_and_gradients(ours, ours, input, states), expected, tolerance(ours))


@every_engine
@both_dtypes
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", ODD_SIZES, ids="T{0[0]}-B{0[1]}-H{0[3]}".format)
def test_agrees_at_odd_sizes(kind, shape, dtype, engine):
    T, B, features, H = shape
    theirs, ours = twins(kind, features, H, bidirectional=True, dtype=dtype, engine=engine)
    input, states = normal(T, B, features, dtype=dtype), states_for(theirs, B)
    expected = values_and_gradients(theirs, theirs, input, states)
    assert_all_close(values_and_gradients(ours, ours, input, states), expected, tolerance(ours))


@every_engine
@with_and_without_hx
@pytest.mark.parametrize("batch_first", [False, True], ids=["time-first", "batch-first"])
@pytest.mark.parametrize("kind", KINDS)
def test_agrees_without_a_batch_dimension(kind, batch_first, given, engine):
    theirs, ours = twins(kind, 3, 5, num_layers=2, bidirectional=True, batch_first=batch_first, engine=engine)
    input = normal(6, 3)
    states = tuple(state[:, 0] for state in states_for(theirs, 1)) if given else None
    expected = values_and_gradients(theirs, theirs, input, states)
    assert expected["output"].shape == (6, 10)
    assert_all_close(values_and_gradients(ours, ours, input, states), expected, tolerance(ours))


@pytest.mark.parametrize(("kind", "options"), CASES)
def test_weights_go_both_ways_by_name_and_bit(kind, options):
    theirs_class, ours_class, more = KINDS[kind]
    theirs, ours = theirs_class(3, 5, **options, **more), ours_class(3, 5, **options, **more)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    other = theirs_class(3, 5, **options, **more)
    other.load_state_dict(ours.state_dict(), strict=True)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    for name, weight in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[name], weight), name
        assert not torch.equal(other.state_dict()[name], weight), name


@pytest.mark.parametrize(("kind", "options"), CASES)
def test_same_seed_gives_the_weights_of_torch(kind, options):
    theirs_class, ours_class, more = KINDS[kind]
    torch.manual_seed(3)
    theirs = theirs_class(3, 5, **options, **more)
    torch.manual_seed(3)
    ours = ours_class(3, 5, **options, **more)
    for (name, ours_weight), (expected_name, weight) in zip(
        ours.named_parameters(), theirs.named_parameters(), strict=True
    ):
        assert name == expected_name
        assert torch.equal(ours_weight, weight), name


def test_the_arguments_by_position_are_those_of_torch():
    arguments = (3, 5, 2, False, True, 0.25, True)
    for theirs, ours in ((nn.LSTM(*arguments, 2), hg.LSTM(*arguments, 2)), (nn.GRU(*arguments), hg.GRU(*arguments))):
        for name in ("num_layers", "bias", "batch_first", "dropout", "bidirectional", "proj_size"):
            assert getattr(ours, name) == getattr(theirs, name), name
    theirs, ours = nn.RNN(3, 5, 2, "relu", False, True), hg.RNN(3, 5, 2, "relu", False, True)
    assert (ours.nonlinearity, ours.bias, ours.batch_first) == (theirs.nonlinearity, theirs.bias, theirs.batch_first)


def test_the_comparison_can_fail():
    """One weight's gradient with its sign turned must be refused, and named."""
    theirs, ours = twins("LSTM", 3, 5)
    input = normal(7, 4, 3)
    actual = values_and_gradients(ours, ours, input)
    actual["d weight_hh_l0"] = -actual["d weight_hh_l0"]
    with pytest.raises(AssertionError, match="d weight_hh_l0"):
        assert_all_close(actual, values_and_gradients(theirs, theirs, input), tolerance(ours))

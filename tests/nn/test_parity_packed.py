"""Packed sequences against torch.nn: the same kind of result, in the same order, with the same gradients."""

import pytest
import torch
from comparing import assert_all_close
from nn.layer_runs import KINDS, normal, states_for, tolerance, twins, values_and_gradients
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

every_engine = pytest.mark.parametrize("engine", [None, "stock", "eager"], ids=lambda name: f"engine={name}")
with_and_without_hx = pytest.mark.parametrize("given", [True, False], ids=["hx", "no-hx"])
every_kind = pytest.mark.parametrize("kind", [*KINDS, "LSTM-proj"])
PACKS = {
    "unsorted": lambda x: pack_padded_sequence(x, [2, 7, 1, 5], enforce_sorted=False),
    "sorted": lambda x: pack_padded_sequence(x, [7, 5, 2, 1], enforce_sorted=True),
    "equal": lambda x: pack_padded_sequence(x, [7, 7, 7, 7]),
    "one-step": lambda x: pack_padded_sequence(x, [1, 1, 1, 1], enforce_sorted=False),
    "by-hand": lambda x: PackedSequence(x.reshape(-1, 3)[:9], torch.tensor([4, 3, 1, 1])),
}


def layers(kind, dtype, engine):
    projected = {"proj_size": 2} if kind == "LSTM-proj" else {}
    options = {"num_layers": 2, "bidirectional": True, **projected}
    return twins(kind.removesuffix("-proj"), 3, 5, dtype=dtype, engine=engine, **options)


@every_engine
@with_and_without_hx
@every_kind
@pytest.mark.parametrize("pack", PACKS.values(), ids=PACKS)
def test_packed_agrees_with_torch(kind, pack, given, engine):
    theirs, ours = layers(kind, torch.float64, engine)
    packed = pack(normal(7, 4, 3))
    states = states_for(theirs, 4) if given else None
    expected = values_and_gradients(theirs, theirs, packed, states)
    assert_all_close(values_and_gradients(ours, ours, packed, states), expected, tolerance(ours))


@every_engine
@every_kind
def test_packed_agrees_in_float32(kind, engine):
    theirs, ours = layers(kind, torch.float32, engine)
    packed, states = PACKS["unsorted"](normal(7, 4, 3, dtype=torch.float32)), states_for(theirs, 4)
    expected = values_and_gradients(theirs, theirs, packed, states)
    assert_all_close(values_and_gradients(ours, ours, packed, states), expected, tolerance(ours))


@every_engine
@pytest.mark.parametrize("pack", PACKS.values(), ids=PACKS)
def test_the_result_is_packed_as_the_input_is(pack, engine):
    _, ours = layers("LSTM", torch.float64, engine)
    packed = pack(normal(7, 4, 3))
    output, _ = ours(packed)
    assert isinstance(output, PackedSequence)
    assert torch.equal(output.batch_sizes, packed.batch_sizes)
    assert output.sorted_indices is packed.sorted_indices
    assert output.unsorted_indices is packed.unsorted_indices


@every_engine
def test_states_stand_in_the_order_of_the_user(engine):
    """Row 1 is the longest and is sorted to the front; its states must come back as row 1."""
    _, ours = layers("LSTM", torch.float64, engine)
    input, states = normal(7, 4, 3), states_for(ours, 4)
    _, together = ours(pack_padded_sequence(input, [2, 7, 1, 5], enforce_sorted=False), states)
    _, alone = ours(input[:, 1:2], tuple(state[:, 1:2] for state in states))
    for ours_state, expected in zip(together, alone, strict=True):
        assert_all_close({"state": ours_state[:, 1].detach()}, {"state": expected[:, 0].detach()}, tolerance(ours))


@every_kind
def test_batch_first_says_nothing_about_a_packed_input(kind):
    theirs, ours = layers(kind, torch.float64, None)
    ours.batch_first = theirs.batch_first = True
    packed = PACKS["unsorted"](normal(7, 4, 3))
    expected = values_and_gradients(theirs, theirs, packed)
    assert_all_close(values_and_gradients(ours, ours, packed), expected, tolerance(ours))

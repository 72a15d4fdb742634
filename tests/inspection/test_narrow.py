"""A few rows of a batch that was watched: their numbers are those of the whole batch's first rows."""

import pytest
import torch
from comparing import assert_all_close
from inspection.watching import EXACT, B, H, I, T, cotangents_of, layer_of, loss_of, numbers_of, resets
from nn.layer_runs import as_hx, named, normal, states_for
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

import headgate as hg
from headgate.inspection import narrow
from headgate.inspection.narrow import narrow_watch

ROWS = 2
BOTH = {"num_layers": 2, "bidirectional": True, "dtype": torch.float64}
# Where the longest rows are not the first; the narrowed batch has rows of 3 and 5 steps, in that order.
LENGTHS = [3, 5, 1, 4]


def packed(sort):
    input = normal(T, B, I)
    lengths = sorted(LENGTHS, reverse=True) if sort else LENGTHS
    return pack_padded_sequence(input, lengths, enforce_sorted=sort)


CALLS = {
    "padded": lambda: (nn.LSTM(I, H, **BOTH), normal(T, B, I), {}),
    "batch-first": lambda: (nn.GRU(I, H, batch_first=True, **BOTH), normal(B, T, I), {}),
    "packed": lambda: (nn.LSTM(I, H, **BOTH), packed(sort=False), {}),
    "packed-sorted": lambda: (nn.GRU(I, H, **BOTH), packed(sort=True), {}),
    "dropout": lambda: (nn.LSTM(I, H, dropout=0.4, **BOTH), normal(T, B, I), {}),
    "dropout-packed": lambda: (nn.LSTM(I, H, dropout=0.4, **BOTH), packed(sort=False), {}),
    "dropout-batch-first": lambda: (nn.LSTM(I, H, dropout=0.4, batch_first=True, **BOTH), normal(B, T, I), {}),
    "ours-lengths-reset": lambda: (
        layer_of(hg.cells.get("gru")),
        normal(T, B, I),
        {"lengths": LENGTHS, "reset": resets()},
    ),
    "ours-batch-first": lambda: (
        layer_of(hg.cells.get("lstm"), batch_first=True),
        normal(B, T, I),
        {"lengths": torch.tensor(LENGTHS), "reset": resets().T},
    ),
    "ours-zoneout": lambda: (layer_of(hg.cells.get("lstm"), zoneout=0.3, dropout=0.2), normal(T, B, I), {}),
    "ours-zoneout-packed": lambda: (layer_of(hg.cells.get("gru"), zoneout=0.3), packed(sort=False), {}),
}
every_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
every_start = pytest.mark.parametrize("start", [False, True], ids=["from-zero", "from-hx"])


def seen_of(call, start):
    """A call under the watch, in training, with a loss on everything it returns; the same each time."""
    torch.manual_seed(5)
    layer, input, arguments = call()
    torch.manual_seed(6)
    with hg.watch(layer) as seen:
        result = layer(input, as_hx(states_for(layer, B)) if start else None, **arguments)
        weights = {name: normal(*value.shape, seed=k) for k, (name, value) in enumerate(named(result).items())}
        loss_of(result, weights).backward()
    return seen


def first_rows(numbers):
    """Of a whole batch's numbers, what the narrowed ones must be; a packed batch ends with its longest row."""
    return {name: v[:ROWS] if "initial" in name else v[:, :ROWS] for name, v in numbers.items()}


def all_numbers(seen):
    return {f"{name}: {key}": value for name in seen for key, value in numbers_of(seen[name]).items()}


@every_start
@every_call
def test_numbers_are_those_of_the_first_rows(call, start):
    whole, narrowed = seen_of(call, start), seen_of(call, start)
    narrow_watch(narrowed, ROWS)
    expected, actual = first_rows(all_numbers(whole)), all_numbers(narrowed)
    steps = len(next(iter(actual.values())))
    assert all(not value[steps:].any() for name, value in expected.items() if "initial" not in name)
    expected = {name: v if "initial" in name else v[:steps] for name, v in expected.items()}
    assert_all_close(actual, expected, EXACT)


@every_call
def test_measurements_are_those_of_few_rows(call):
    narrowed = seen_of(call, start=False)
    narrow_watch(narrowed, ROWS)
    for name in narrowed:
        trace = narrowed[name]
        assert len(trace.lengths) == ROWS
        assert trace.lag_profile((0.5,))[0, 0] == 1
        assert trace.highway_share().shape == (len(next(iter(trace.states.values()))),)


def test_the_comparison_can_fail():
    """The gradients of two rows exchanged, which running the call again cannot notice."""
    whole, narrowed = seen_of(CALLS["packed"], False), seen_of(CALLS["packed"], False)
    narrow_watch(narrowed, ROWS)
    gradients = narrowed._captures[""].gradients
    gradients["final_0"] = gradients["final_0"].flip(1)
    with pytest.raises(AssertionError, match="grad c"):
        assert_all_close(all_numbers(narrowed), first_rows(all_numbers(whole)), EXACT)


@pytest.mark.parametrize("rows", [B, B + 1])
def test_a_batch_that_is_small_already_stays_as_it_is(rows):
    seen = seen_of(CALLS["padded"], False)
    before = dict(seen._captures)
    narrow_watch(seen, rows)
    assert seen._captures == before


def test_one_sequence_without_a_batch_stays_as_it_is():
    layer = nn.LSTM(I, H)
    with hg.watch(layer) as seen:
        layer(torch.randn(T, I))[0].sum().backward()
    narrow_watch(seen, 1)
    assert seen["l0"].lag_profile().shape == (3, T)


def test_only_few_rows_are_run_again_where_no_masks_were_drawn(monkeypatch):
    """That is what makes a look cheap."""
    found = []
    monkeypatch.setattr("headgate.inspection.capture.recompute", lambda call, name: found.append(call.output.shape))
    seen = seen_of(CALLS["padded"], False)
    narrow_watch(seen, ROWS)
    with pytest.raises(TypeError):
        seen["l0"]
    assert found == [(T, ROWS, 2 * H)]


def test_the_packed_rows_are_a_packed_batch_of_their_own():
    whole = packed(sort=False)
    part = narrow._PackedRows(whole, ROWS).packed
    expected = pack_padded_sequence(normal(T, B, I)[:, :ROWS], LENGTHS[:ROWS], enforce_sorted=False)
    assert isinstance(part, PackedSequence)
    assert all(torch.equal(one, other) for one, other in zip(part, expected, strict=True))


class Scaled(nn.LSTM):
    """A forward of its own."""

    def forward(self, input, hx=None, scale=1.0):
        return super().forward(scale * input, hx)


def test_a_call_that_cannot_be_read_is_left_to_say_so():
    layer = Scaled(I, H)
    with hg.watch(layer) as seen:
        layer(torch.randn(T, B, I), scale=2.0)[0].sum().backward()
    narrow_watch(seen, ROWS)
    with pytest.raises(RuntimeError, match="a forward of its own"):
        seen["l0"]


def test_cotangents_stay_with_their_rows():
    """Gradients that came to the output are narrowed along the rows, not along time."""
    layer = nn.RNN(I, H, dtype=torch.float64)
    with hg.watch(layer) as seen:
        result = layer(normal(T, B, I))
        cotangents = cotangents_of(result, "last")
        loss_of(result, cotangents).backward()
    narrow_watch(seen, ROWS)
    assert torch.equal(seen._captures[""].gradients["output"], cotangents["output"][:, :ROWS])

"""What a user may get wrong in a call: one sentence that says who, what came, what was expected and how to mend it."""

import numpy as np
import pytest
import torch
from nn.error_rules import assert_says, complaint
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

import headgate as hg

T, B = 5, 2
X = torch.zeros(T, B, 3)
H0 = torch.zeros(1, B, 4)
PACKED = pack_padded_sequence(X, [5, 3])


def lstm(**options):
    return hg.LSTM(3, 4, **options)


def gru(**options):
    return hg.GRU(3, 4, **options)


def boolean(*shape):
    return torch.zeros(shape, dtype=torch.bool)


LSTM, GRU, RNN = "LSTM(3, 4): ", "GRU(3, 4): ", "RNN(3, 4): "
FIRST = "LSTM(3, 4, batch_first=True): "

# Of the input: the call, the class torch.nn raises, who, and what the message has to say.
INPUTS = {
    "numpy": (lambda: lstm()(np.zeros((5, 2, 3), np.float32)), TypeError, LSTM, ["ndarray", "tensor"]),
    "list": (lambda: lstm()([X, X]), TypeError, LSTM, ["list", "tensor"]),
    "None": (lambda: lstm()(None), TypeError, LSTM, ["None", "tensor"]),
    "complex": (lambda: lstm()(X.to(torch.complex64)), ValueError, LSTM, ["complex64", "float32"]),
    "int": (lambda: lstm()(X.long()), ValueError, LSTM, ["int64", "float32", "input.to(torch.float32)"]),
    "float64": (lambda: lstm()(X.double()), ValueError, LSTM, ["float64", "float32", "model.to(torch.float64)"]),
    "1-D": (lambda: lstm()(X[0, 0]), ValueError, LSTM, ["[3]", "2D or 3D", "1D"]),
    "4-D": (lambda: lstm()(X[None]), ValueError, LSTM, ["[1, 5, 2, 3]", "LSTM: Expected input to be 2D or 3D, got 4D"]),
    "4-D-gru": (lambda: gru()(X[None]), ValueError, GRU, ["GRU: Expected input to be 2D or 3D, got 4D instead"]),
    "4-D-rnn": (
        lambda: hg.RNN(3, 4)(X[None]),
        ValueError,
        RNN,
        ["Expected input to be 2D or 3D, got 4D tensor instead"],
    ),
    "features": (
        lambda: lstm()(torch.zeros(5, 2, 7)),
        RuntimeError,
        LSTM,
        ["[5, 2, 7] = [T, B, I]", "Expected 3, got 7"],
    ),
    "features-of-one": (
        lambda: lstm()(torch.zeros(5, 7)),
        RuntimeError,
        LSTM,
        ["[5, 7] = [T, I]", "Expected 3, got 7"],
    ),
    "features-batch-first": (
        lambda: lstm(batch_first=True)(torch.zeros(2, 5, 7)),
        RuntimeError,
        FIRST,
        ["[2, 5, 7] = [B, T, I]", "Expected 3, got 7"],
    ),
    "features-packed": (
        lambda: lstm()(pack_padded_sequence(torch.zeros(5, 2, 7), [5, 3])),
        RuntimeError,
        LSTM,
        ["[8, 7]", "Expected 3, got 7"],
    ),
    "no-steps": (lambda: lstm()(X[:0]), RuntimeError, LSTM, ["Expected sequence length to be larger than 0 in RNN"]),
    "no-steps-batch-first": (lambda: lstm(batch_first=True)(X[:, :0]), RuntimeError, FIRST, ["larger than 0"]),
    "no-steps-of-one": (lambda: lstm()(X[:0, 0]), RuntimeError, LSTM, ["larger than 0"]),
    "meta": (lambda: lstm()(X.to("meta")), RuntimeError, LSTM, ["meta", "cpu", "same device", ".to("]),
    "layer-on-meta": (lambda: lstm(device="meta")(X), RuntimeError, LSTM, ["meta", "cpu", "same device"]),
    "packed-3-D": (
        lambda: lstm()(PackedSequence(torch.zeros(4, 2, 3), torch.tensor([2, 2]))),
        RuntimeError,
        LSTM,
        ["input must have 2 dimensions, got 3"],
    ),
    "packed-dtype": (lambda: lstm()(PACKED.to(torch.float64)), ValueError, LSTM, ["float64", "float32"]),
    "packed-sizes": (
        lambda: gru()(PackedSequence(torch.zeros(7, 3), torch.tensor([2, 2]))),
        RuntimeError,
        GRU,
        ["7", "batch_sizes"],
    ),
    "step-of-a-sequence": (lambda: lstm().step(X), ValueError, LSTM, ["[5, 2, 3]", "[B, I] or [I]", "forward"]),
    "step-of-a-list": (lambda: lstm().step([0.0, 0.0, 0.0]), TypeError, LSTM, ["list", "tensor"]),
    "step-features": (
        lambda: lstm().step(torch.zeros(2, 7)),
        RuntimeError,
        LSTM,
        ["[2, 7] = [B, I]", "Expected 3, got 7"],
    ),
    "step-features-of-one": (
        lambda: lstm().step(torch.zeros(7)),
        RuntimeError,
        LSTM,
        ["[7] = [I]", "Expected 3, got 7"],
    ),
    "step-both-ways": (
        lambda: lstm(bidirectional=True).step(X[0]),
        RuntimeError,
        "LSTM(3, 4, bidirectional=True): ",
        ["bidirectional=False", "reverse"],
    ),
}

STATES = {
    "tuple-for-gru": (lambda: gru()(X, (H0, H0)), TypeError, GRU, ["2 states", "tensor", "h"]),
    "tensor-for-lstm": (lambda: lstm()(X, H0), TypeError, LSTM, ["one tensor", "(h, c)"]),
    "two-stacked-for-lstm": (lambda: lstm()(X, torch.stack([H0, H0])), TypeError, LSTM, ["one tensor", "(h, c)"]),
    "three": (lambda: lstm()(X, (H0, H0, H0)), TypeError, LSTM, ["3 states", "(h, c)"]),
    "none-inside": (lambda: lstm()(X, (H0, None)), TypeError, LSTM, ["c is", "None", "tensor"]),
    "numpy-inside": (lambda: lstm()(X, (np.zeros((1, 2, 4)), H0)), TypeError, LSTM, ["h is", "ndarray", "tensor"]),
    "numpy": (lambda: gru()(X, np.zeros((1, 2, 4))), TypeError, GRU, ["ndarray", "tensor"]),
    "int": (lambda: lstm()(X, 0), TypeError, LSTM, ["int", "(h, c)"]),
    "dict": (lambda: lstm()(X, {"h": H0, "c": H0}), TypeError, LSTM, ["dict", "(h, c)"]),
    "rows": (
        lambda: lstm()(X, (H0[:, :1], H0)),
        RuntimeError,
        LSTM,
        ["Expected hidden[0] size (1, 2, 4), got [1, 1, 4]"],
    ),
    "units-of-c": (
        lambda: lstm()(X, (H0, torch.zeros(1, 2, 5))),
        RuntimeError,
        LSTM,
        ["Expected hidden[1] size (1, 2, 4), got [1, 2, 5]", "initial c", "[layers x directions, B, units]"],
    ),
    "layers": (
        lambda: gru()(X, torch.zeros(2, 2, 4)),
        RuntimeError,
        GRU,
        ["Expected hidden size (1, 2, 4), got [2, 2, 4]"],
    ),
    "of-one": (
        lambda: lstm()(X[:, 0], (torch.zeros(1, 5), torch.zeros(1, 4))),
        RuntimeError,
        LSTM,
        ["Expected hidden[0] size (1, 4), got [1, 5]", "[layers x directions, units]"],
    ),
    "2-D-for-a-batch": (
        lambda: lstm()(X, (H0[0], H0[0])),
        RuntimeError,
        LSTM,
        ["For batched 3-D input, hx and cx should also be 3-D but got (2-D, 2-D) tensors"],
    ),
    "3-D-for-one": (
        lambda: gru()(X[:, 0], H0),
        RuntimeError,
        GRU,
        ["For unbatched 2-D input, hx should also be 2-D but got 3-D tensor"],
    ),
    "packed-2-D": (lambda: gru()(PACKED, H0[0]), RuntimeError, GRU, ["hx should also be 3-D but got 2-D"]),
    "packed-rows": (
        lambda: gru()(PACKED, torch.zeros(1, 3, 4)),
        RuntimeError,
        GRU,
        ["Expected hidden size (1, 2, 4), got [1, 3, 4]"],
    ),
    "dtype": (lambda: lstm()(X, (H0.double(), H0)), RuntimeError, LSTM, ["initial h", "float64", "float32", ".to("]),
    "half": (lambda: lstm()(X, (H0, H0.bfloat16())), RuntimeError, LSTM, ["initial c", "bfloat16", "float32", ".to("]),
    "meta": (lambda: lstm()(X, (H0, H0.to("meta"))), RuntimeError, LSTM, ["initial c", "meta", "cpu", "same device"]),
    "step-rows": (lambda: gru().step(X[0], torch.zeros(1, 3, 4)), RuntimeError, GRU, ["size (1, 2, 4), got [1, 3, 4]"]),
    "step-dimensions": (lambda: gru().step(X[0], H0[0]), RuntimeError, GRU, ["3-D", "2-D"]),
}

WHOLE = "whole number"
LENGTHS = {
    "float": (lambda: lstm()(X, lengths=[2.5, 3.0]), ValueError, LSTM, ["float32", WHOLE]),
    "bool": (lambda: lstm()(X, lengths=[True, False]), ValueError, LSTM, ["bool", WHOLE]),
    "negative": (lambda: lstm()(X, lengths=[4, -1]), ValueError, LSTM, ["lengths[1] is -1", "T = 5", "0..5"]),
    "too-long": (lambda: lstm()(X, lengths=[6, 2]), ValueError, LSTM, ["lengths[0] is 6", "T = 5", "0..5"]),
    "too-long-batch-first": (
        lambda: lstm(batch_first=True)(X, lengths=[1] * 4 + [3]),
        ValueError,
        FIRST,
        ["[4] is 3", "T = 2"],
    ),
    "too-few": (lambda: lstm()(X, lengths=[5]), ValueError, LSTM, ["shape [1]", "B = 2"]),
    "none": (lambda: lstm()(X, lengths=[]), ValueError, LSTM, ["shape [0]", "B = 2"]),
    "one-number": (lambda: lstm()(X, lengths=3), ValueError, LSTM, ["B = 2"]),
    "a-matrix": (lambda: lstm()(X, lengths=[[5, 3]]), ValueError, LSTM, ["shape [1, 2]", "B = 2"]),
    "one-sequence-two-lengths": (lambda: lstm()(X[:, 0], lengths=[3, 2]), ValueError, LSTM, ["shape [2]", "one"]),
    "none-inside": (lambda: lstm()(X, lengths=[None, 2]), ValueError, LSTM, ["[None, 2]", WHOLE]),
    "text": (lambda: lstm()(X, lengths="ab"), ValueError, LSTM, ["'ab'", WHOLE]),
    "text-inside": (lambda: lstm()(X, lengths=[2, "x"]), ValueError, LSTM, ["[2, 'x']", WHOLE]),
    "dict": (lambda: lstm()(X, lengths={"a": 1}), ValueError, LSTM, ["{'a': 1}", WHOLE]),
    "astronomic": (lambda: lstm()(X, lengths=[10**30, 2]), ValueError, LSTM, [str(10**30)]),
    "meta": (lambda: lstm()(X, lengths=torch.tensor([5, 3], device="meta")), ValueError, LSTM, ["lengths", "meta"]),
    "packed": (lambda: lstm()(PACKED, lengths=[5, 3]), ValueError, LSTM, ["lengths", "PackedSequence", "padded"]),
}
RESETS = {
    "int": (lambda: lstm()(X, reset=torch.zeros(5, 2).long()), ValueError, LSTM, ["int64", "bool tensor", "begins"]),
    "list": (lambda: lstm()(X, reset=[[True, False]] * 5), ValueError, LSTM, ["list", "bool tensor"]),
    "turned": (lambda: lstm()(X, reset=boolean(2, 5)), ValueError, LSTM, ["[2, 5]", "[5, 2] = [T, B]"]),
    "turned-batch-first": (
        lambda: lstm(batch_first=True)(X, reset=boolean(2, 5)),
        ValueError,
        FIRST,
        ["[5, 2] = [B, T]"],
    ),
    "with-features": (lambda: lstm()(X, reset=boolean(5, 2, 3)), ValueError, LSTM, ["[5, 2, 3]", "[5, 2] = [T, B]"]),
    "of-one": (lambda: lstm()(X[:, 0], reset=boolean(4)), ValueError, LSTM, ["shape [4]", "[5] = [T]"]),
    "meta": (lambda: lstm()(X, reset=boolean(5, 2).to("meta")), ValueError, LSTM, ["reset", "meta"]),
    "packed": (lambda: lstm()(PACKED, reset=boolean(5, 2)), ValueError, LSTM, ["reset", "PackedSequence", "padded"]),
}
TABLE = {
    f"{topic}-{name}": row
    for topic, rows in {"x": INPUTS, "hx": STATES, "lengths": LENGTHS, "reset": RESETS}.items()
    for name, row in rows.items()
}


@pytest.mark.parametrize(("call", "kind", "who", "parts"), TABLE.values(), ids=TABLE)
def test_a_wrong_call_is_refused_in_one_sentence(call, kind, who, parts):
    assert_says(complaint(call, kind, who), *parts)


EXACT = {
    "x-features": "LSTM(3, 4): x has shape [5, 2, 7] = [T, B, I], but input.size(-1) must be equal to input_size. "
    "Expected 3, got 7",
    "x-numpy": "LSTM(3, 4): the input is of type ndarray, but a tensor or PackedSequence is needed.",
    "x-step-of-a-sequence": "LSTM(3, 4): step got [5, 2, 3], but one step is [B, I] or [I]; forward takes sequences.",
    "x-step-both-ways": "LSTM(3, 4, bidirectional=True): a bidirectional layer cannot be stepped, since its reverse "
    "direction starts at the end; use bidirectional=False for streaming.",
    "hx-tensor-for-lstm": "LSTM(3, 4): hx is one tensor, but this cell's state is a tuple (h, c).",
    "hx-units-of-c": "LSTM(3, 4): Expected hidden[1] size (1, 2, 4), got [1, 2, 5] for the initial c = "
    "[layers x directions, B, units]",
    "lengths-too-long": "LSTM(3, 4): lengths[0] is 6, but the input has T = 5 steps: give lengths in 0..5.",
    "lengths-too-few": "LSTM(3, 4): lengths has shape [1], but the input has B = 2 rows: give one length a row.",
    "lengths-packed": "LSTM(3, 4): lengths was given beside a PackedSequence, which carries its own lengths and no "
    "resets; give the padded tensor instead.",
    "reset-turned": "LSTM(3, 4): reset has shape [2, 5], but the input asks for [5, 2] = [T, B].",
    "reset-int": "LSTM(3, 4): reset has dtype torch.int64, but a bool tensor is needed: True where a sequence begins.",
}


@pytest.mark.parametrize("name", EXACT)
def test_the_sentence_itself(name):
    call, kind, who, _ = TABLE[name]
    assert complaint(call, kind, who) == EXACT[name]


def test_an_integer_input_is_not_advised_to_make_an_integer_model():
    message = complaint(*INPUTS["int"][:3])
    assert "model.to(torch.int64)" not in message


def test_the_layer_is_named_as_it_was_written():
    layer = hg.Recurrent("cifg_lstm", 3, 4, 2, bidirectional=True)
    message = complaint(
        lambda: layer(X, 3), TypeError, "Recurrent(LSTM(coupled=True), 3, 4, num_layers=2, bidirectional="
    )
    assert_says(message, "(h, c)")


def test_an_integer_input_is_refused_under_autocast_too():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert_says(complaint(lambda: lstm()(X.long()), ValueError, LSTM), "int64")


def test_a_missing_weight_is_named():
    layer = lstm()
    del layer.weight_hh_l0
    with pytest.raises(AttributeError, match="weight_hh_l0"):
        layer(X)


def test_a_refused_call_leaves_the_layer_usable():
    layer = lstm()
    expected = layer(X)[0]
    for call, kind, _, _ in ((lambda: layer(X, 3), TypeError, "", ""), (lambda: layer(X[:0]), RuntimeError, "", "")):
        with pytest.raises(kind):
            call()
    assert torch.equal(layer(X)[0], expected)


@pytest.mark.parametrize("engine", [None, "stock", "eager"], ids=lambda name: f"engine={name}")
@pytest.mark.parametrize("options", [{}, {"batch_first": True}, {"num_layers": 2, "bidirectional": True}], ids="-".join)
def test_a_batch_of_no_rows_is_no_mistake(options, engine):
    """As in torch.nn, where a filter may leave nothing of a batch."""
    layer = lstm(engine=engine, **options)
    input = torch.zeros(0, 5, 3) if options.get("batch_first") else torch.zeros(5, 0, 3)
    for lengths in (None, [], torch.zeros(0, dtype=torch.long)):
        output, (h, c) = layer(input, lengths=lengths)
        rows = layer.num_layers * layer.num_directions
        assert output.shape == (*input.shape[:2], 4 * layer.num_directions)
        assert h.shape == c.shape == (rows, 0, 4)
        output.sum().backward()
        assert all(not p.grad.any() for p in layer.parameters() if p.grad is not None)

"""What a user may get wrong in a constructor: torch.nn's classes and words where it has them, one sentence always."""

import pytest
import torch
from nn.error_rules import assert_says, complaint

import headgate as hg

X = torch.zeros(5, 2, 3)
RESET = torch.zeros(5, 2, dtype=torch.bool)
PROJECTION = "proj_size argument is only supported for LSTM, not RNN or GRU"

TABLE = {
    "engine-unknown": (lambda: hg.LSTM(3, 4, engine="stok"), ValueError, ["'stok'", "did you mean 'stock'?", "eager"]),
    "engine-no-name": (lambda: hg.LSTM(3, 4, engine=3), TypeError, ["engine=3", "stock", "eager", "None"]),
    "engine-list": (lambda: hg.LSTM(3, 4, engine=["stock"]), TypeError, ["engine=['stock']", "stock", "eager", "None"]),
    "stock-peephole": (
        lambda: hg.LSTM(3, 4, peephole=True, engine="stock")(X),
        RuntimeError,
        ['engine="stock" cannot run here', "LSTM(peephole=True)", "engine=None", '"cpu"'],
    ),
    "stock-reset": (
        lambda: hg.LSTM(3, 4, engine="stock")(X, reset=RESET),
        RuntimeError,
        ['engine="stock" cannot run here', "reset", "engine=None", '"cpu"'],
    ),
    "stock-bf16": (
        lambda: hg.LSTM(3, 4, engine="stock", dtype=torch.bfloat16)(X.bfloat16()),
        RuntimeError,
        ['engine="stock" cannot run here', "half precision", "engine=None", '"cpu"'],
    ),
    "switch-misspelt": (
        lambda: hg.LSTM(3, 4, peepholes=True),
        TypeError,
        ["no switch 'peepholes'", "it has peephole,"],
    ),
    "switch-of-another-family": (
        lambda: hg.GRU(3, 4, peephole=True),
        TypeError,
        ["GRU has no switch 'peephole'", "reset"],
    ),
    "switch-of-no-dataclass": (
        lambda: hg.Recurrent("rnn", 3, 4, coupled=True),
        TypeError,
        ["RNN has no switch 'coupled'"],
    ),
    "switch-value": (lambda: hg.GRU(3, 4, reset="middle"), ValueError, ["reset='middle'", "'after'", "'before'"]),
    "switch-activation": (lambda: hg.LSTM(3, 4, input_activation="relu"), ValueError, ["'relu'", "tanh", "identity"]),
    "switch-yes": (lambda: hg.LSTM(3, 4, peephole="yes"), TypeError, ["peephole", "'yes'", "True or False"]),
    "switch-contradiction": (
        lambda: hg.LSTM(3, 4, coupled=True, input_gate=False),
        ValueError,
        ["coupled=True", "input_gate"],
    ),
    "switch-without-gates": (
        lambda: hg.LSTM(3, 4, peephole=True, input_gate=False, forget_gate=False, output_gate=False),
        ValueError,
        ["peephole=True", "gates"],
    ),
    "projection-without-size": (lambda: hg.LSTM(3, 4, projection=True), TypeError, ["proj_size"]),
    "projection-denied": (lambda: hg.LSTM(3, 4, projection=False, proj_size=2), TypeError, ["proj_size"]),
    "proj_size-gru": (lambda: hg.GRU(3, 4, proj_size=2), ValueError, [PROJECTION]),
    "proj_size-rnn": (lambda: hg.RNN(3, 4, proj_size=2), ValueError, [PROJECTION]),
    "proj_size-gru-zero": (lambda: hg.GRU(3, 4, proj_size=0), ValueError, [PROJECTION]),
    "proj_size-gru-by-position": (lambda: hg.GRU(3, 4, 1, True, False, 0.0, False, 2), ValueError, [PROJECTION]),
    "proj_size-Recurrent": (lambda: hg.Recurrent("gru", 3, 4, proj_size=2), ValueError, [PROJECTION, "GRU"]),
    "proj_size-negative": (lambda: hg.LSTM(3, 4, proj_size=-1), ValueError, ["proj_size", "positive integer or zero"]),
    "proj_size-too-large": (
        lambda: hg.LSTM(3, 4, proj_size=4),
        ValueError,
        ["proj_size has to be smaller than hidden_size"],
    ),
    "num_layers-0": (lambda: hg.LSTM(3, 4, 0), ValueError, ["num_layers must be greater than zero", "0"]),
    "num_layers-float": (lambda: hg.LSTM(3, 4, 2.0), TypeError, ["num_layers", "int", "float"]),
    "hidden_size-0": (lambda: hg.LSTM(3, 0), ValueError, ["hidden_size must be greater than zero"]),
    "hidden_size-text": (lambda: hg.LSTM(3, "4"), TypeError, ["hidden_size should be of type int, got: str"]),
    "input_size-negative": (lambda: hg.LSTM(-3, 4), ValueError, ["input_size must be greater than zero", "-3"]),
    "bias-1": (lambda: hg.LSTM(3, 4, bias=1), TypeError, ["bias should be of type bool, got: int"]),
    "batch_first-text": (lambda: hg.LSTM(3, 4, batch_first="yes"), TypeError, ["batch_first should be of type bool"]),
    "bidirectional-2": (lambda: hg.LSTM(3, 4, bidirectional=2), TypeError, ["bidirectional", "bool"]),
    "learnable_state-text": (
        lambda: hg.LSTM(3, 4, learnable_state="yes"),
        TypeError,
        ["learnable_state", "bool", "str"],
    ),
    "orthogonal-text": (lambda: hg.LSTM(3, 4, orthogonal="yes"), TypeError, ["orthogonal", "bool", "str"]),
    "dropout-2": (lambda: hg.LSTM(3, 4, 2, dropout=2), ValueError, ["dropout should be a number in range [0, 1]", "2"]),
    "dropout-text": (lambda: hg.LSTM(3, 4, 2, dropout="x"), ValueError, ["dropout should be a number", "'x'"]),
    "dropout-bool": (lambda: hg.LSTM(3, 4, 2, dropout=True), ValueError, ["dropout should be a number", "True"]),
    "dropout-nan": (lambda: hg.LSTM(3, 4, 2, dropout=float("nan")), ValueError, ["dropout should be a number", "nan"]),
    "dropout-complex": (lambda: hg.LSTM(3, 4, 2, dropout=1j), ValueError, ["dropout should be a number", "1j"]),
    "nonlinearity": (
        lambda: hg.RNN(3, 4, nonlinearity="sigmoid"),
        ValueError,
        ["Unknown nonlinearity 'sigmoid'. Select from 'tanh' or 'relu'."],
    ),
    "dtype-int": (lambda: hg.LSTM(3, 4, dtype=torch.int64), TypeError, ["torch.int64", "floating"]),
    "dtype-text": (lambda: hg.LSTM(3, 4, dtype="float64"), TypeError, ["'float64'", "torch.dtype"]),
    "forget_bias-text": (lambda: hg.LSTM(3, 4, forget_bias="one"), TypeError, ["forget_bias", "number", "str"]),
    "forget_bias-bool": (lambda: hg.LSTM(3, 4, forget_bias=True), TypeError, ["forget_bias", "number", "bool"]),
    "forget_bias-rnn": (lambda: hg.RNN(3, 4, forget_bias=1.0), ValueError, ["RNN(3, 4)", "forget_bias", "gate"]),
    "forget_bias-no-bias": (
        lambda: hg.LSTM(3, 4, bias=False, forget_bias=1.0),
        ValueError,
        ["LSTM(3, 4, bias=False)", "bias=True"],
    ),
    "chrono-text": (lambda: hg.LSTM(3, 4, chrono="long"), TypeError, ["chrono", "number", "str"]),
    "chrono-small": (lambda: hg.LSTM(3, 4, chrono=2), ValueError, ["LSTM(3, 4)", "chrono=2"]),
    "chrono-rnn": (lambda: hg.RNN(3, 4, chrono=20), ValueError, ["RNN(3, 4)", "chrono", "gate"]),
    "chrono-and-forget_bias": (
        lambda: hg.LSTM(3, 4, chrono=20, forget_bias=1.0),
        ValueError,
        ["forget_bias and chrono", "one"],
    ),
    "cell-misspelt": (lambda: hg.Recurrent("ltsm", 3, 4), KeyError, ["'ltsm'", "did you mean 'lstm'?", "cifg_lstm"]),
    "cell-number": (lambda: hg.Recurrent(3, 3, 4), TypeError, ["a name, a Cell or its class", "3"]),
    "cell-of-torch": (lambda: hg.Recurrent(torch.nn.LSTM, 3, 4), TypeError, ["a name, a Cell or its class"]),
}


@pytest.mark.parametrize(("call", "kind", "parts"), TABLE.values(), ids=TABLE)
def test_a_wrong_option_is_refused_in_one_sentence(call, kind, parts):
    assert_says(complaint(call, kind, ""), *parts)


EXACT = {
    "engine-unknown": "no engine named 'stok'; did you mean 'stock'? Known: {engines}. None lets headgate choose.",
    "stock-peephole": 'engine="stock" cannot run here: torch has no kernel for LSTM(peephole=True). Leave engine=None '
    'to let headgate choose (it would choose "cpu").',
    "switch-of-another-family": "GRU has no switch 'peephole'; it has reset.",
    "switch-contradiction": "LSTM: coupled=True sets f = 1 - i, so it needs both gates; leave input_gate and "
    "forget_gate True.",
}


@pytest.mark.parametrize("name", EXACT)
def test_the_sentence_itself(name):
    call, kind, _ = TABLE[name]
    from headgate import engines

    assert complaint(call, kind, "") == EXACT[name].format(engines=", ".join(engines.names()))


# What torch.nn refuses too, with the arguments it shares: the class of the exception is its own.
SHARED = [
    ((3, 4, 0), {}),
    ((3, 0), {}),
    ((0, 4), {}),
    ((3.0, 4), {}),
    ((3, 4), {"bias": 1}),
    ((3, 4), {"batch_first": "no"}),
    ((3, 4), {"dropout": -0.1}),
    ((3, 4), {"dropout": 1.1}),
    ((3, 4), {"dropout": True}),
    ((3, 4), {"proj_size": -1}),
    ((3, 4), {"proj_size": 4}),
    ((3,), {}),
]


@pytest.mark.parametrize(("arguments", "options"), SHARED, ids=str)
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_the_class_of_the_exception_is_that_of_torch(kind, arguments, options):
    with pytest.raises((TypeError, ValueError)) as expected:
        getattr(torch.nn, kind)(*arguments, **options)
    with pytest.raises(type(expected.value)) as caught:
        getattr(hg, kind)(*arguments, **options)
    assert type(caught.value) is type(expected.value)
    ours, theirs = str(caught.value), str(expected.value)
    assert "hidden_size" in ours if len(arguments) == 1 else ours.startswith(theirs)


def test_a_layer_that_was_refused_leaves_no_parameters_behind():
    """A refusal comes before anything is drawn, so the numbers that follow are the same."""
    torch.manual_seed(0)
    expected = torch.rand(2)
    torch.manual_seed(0)
    for name in ("engine-unknown", "switch-misspelt", "proj_size-too-large", "chrono-and-forget_bias"):
        with pytest.raises((TypeError, ValueError)):
            TABLE[name][0]()
    assert torch.equal(torch.rand(2), expected)

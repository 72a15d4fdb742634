"""Plain torch.nn layers inside a larger model, as people have them: the watch against the witness."""

import pytest
import torch
from comparing import assert_all_close
from inspection.torch_models import (
    BOTH,
    KINDS,
    LENGTHS,
    Tagger,
    assert_as_witnessed,
    cell_of,
    masks_of,
    model_of,
    seen_of,
    witness_of,
)
from inspection.watching import EXACT, B, H, I, T, assert_as_unrolled
from inspection.witness import unroll
from nn.layer_runs import normal, states_for
from tolerances import TOLERANCE
from torch import nn
from torch.nn.utils import parametrizations
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import headgate as hg

SHAPES = {
    "one layer": {},
    "reverse": {"bidirectional": True},
    "two layers": {"num_layers": 2},
    "two layers both ways": BOTH,
    "no bias": {"bias": False, **BOTH},
    "batch first": {"batch_first": True, **BOTH},
}
every_kind = pytest.mark.parametrize("kind", KINDS)
every_shape = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
both_modes = pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])


@every_shape
@every_kind
def test_padded(kind, shape):
    model, input = model_of(kind, **shape), normal(T, B, I)
    assert_as_witnessed(seen_of(model, input), witness_of(kind, model, input))


@both_modes
@every_kind
def test_states_given(kind, training):
    model, input = model_of(kind, **BOTH).train(training), normal(T, B, I)
    states = states_for(model.encoder["lstm"], B)
    assert_as_witnessed(seen_of(model, input, states), witness_of(kind, model, input, states))


@pytest.mark.parametrize("given", [True, False], ids=["hx", "no-hx"])
@pytest.mark.parametrize("batch_first", [True, False], ids=["batch-first", "time-first"])
@every_kind
def test_packed(kind, batch_first, given):
    """Rows in the order in which the user packed them, whatever order the packed batch has."""
    model, input = model_of(kind, batch_first=batch_first, **BOTH), normal(T, B, I)
    states = states_for(model.encoder["lstm"], B) if given else None
    seen = seen_of(model, input, states, LENGTHS)
    assert_as_witnessed(seen, witness_of(kind, model, input, states, LENGTHS))
    assert seen["encoder.lstm"].lengths.tolist() == LENGTHS


def test_packed_in_sorted_order():
    model, input, lengths = model_of("LSTM", **BOTH), normal(T, B, I), [5, 4, 4, 1]
    with hg.watch(model) as seen:
        output, final = model(pack_padded_sequence(input, lengths))
        model.loss(pad_packed_sequence(output)[0], final).backward()
    assert_as_witnessed(seen, witness_of("LSTM", model, input, None, lengths))


def test_the_row_of_a_jacobian_is_the_users():
    model, input, row = model_of("GRU", **BOTH), normal(T, B, I), 2
    packed = seen_of(model, input, None, LENGTHS)["encoder.lstm"]
    alone = seen_of(model, input[: LENGTHS[row], [row]])["encoder.lstm"]
    assert_all_close({"J": packed.jacobian(0, row)}, {"J": alone.jacobian(0, 0)}, EXACT)


# --- dropout between layers, in training ------------------------------------------------------------------------


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["padded", "packed"])
@pytest.mark.parametrize("batch_first", [True, False], ids=["batch-first", "time-first"])
@every_kind
def test_dropout_in_training(kind, batch_first, lengths):
    """Against the witness with the masks drawn again, and against what torch's own backward pass gives."""
    model = model_of(kind, num_layers=3, bidirectional=True, dropout=0.4, batch_first=batch_first)
    layer, input = model.encoder["lstm"], normal(T, B, I).requires_grad_()
    states = tuple(state.requires_grad_() for state in states_for(layer, B))
    torch.manual_seed(5)
    seen = seen_of(model, input, states, lengths)
    width = 2 * (layer.proj_size or H)
    assert_as_witnessed(seen, witness_of(kind, model, input, states, lengths, masks_of(5, 3, 0.4, width, lengths)))
    names = [f"encoder.lstm.l{k}{suffix}" for k in range(3) for suffix in ("", "_reverse")]
    found = {"input": sum(seen[name].input_gradient() for name in names[:2])}
    expected = {"input": input.grad}
    for name, state in zip(seen["encoder.lstm"].cell.state_names, states, strict=True):
        found[name] = torch.stack([seen[part].grad_initial[name] for part in names])
        expected[name] = state.grad
    assert_all_close(found, expected, EXACT)


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_dropout_in_evaluation(kind):
    model, input = model_of(kind, dropout=0.4, **BOTH).eval(), normal(T, B, I)
    assert_as_witnessed(seen_of(model, input), witness_of(kind, model, input))


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["whole", "lengths"])
@pytest.mark.parametrize("batch_first", [True, False], ids=["batch-first", "time-first"])
@pytest.mark.parametrize("engine", ["stock", "eager"])
def test_dropout_of_our_layer(engine, batch_first, lengths):
    """Drawn over time and rows, padding too."""
    layer = hg.LSTM(I, H, dropout=0.4, dtype=torch.float64, engine=engine, batch_first=batch_first, **BOTH)
    input, model = normal(T, B, I), Tagger(layer)
    torch.manual_seed(5)
    with hg.watch(model) as seen:
        output, final = layer(input.transpose(0, 1) if batch_first else input, lengths=lengths)
        model.loss(output.transpose(0, 1) if batch_first else output, final).backward()
    expected = witness_of("LSTM", model, input, None, lengths, masks_of(5, 2, 0.4, 2 * H))
    assert_as_witnessed(seen, expected)


@pytest.mark.parametrize("engine", ["stock", "eager"])
def test_dropout_of_our_layer_packed(engine):
    """Drawn over the packed batch's rows, longest first."""
    model = Tagger(hg.LSTM(I, H, dropout=0.4, dtype=torch.float64, engine=engine, **BOTH))
    input, rows = normal(T, B, I), sorted(range(B), key=lambda row: -LENGTHS[row])
    torch.manual_seed(5)
    seen = seen_of(model, input, None, LENGTHS)
    (drawn,) = masks_of(5, 2, 0.4, 2 * H)
    mask = torch.zeros_like(drawn)
    mask[:, rows] = drawn
    assert_as_witnessed(seen, witness_of("LSTM", model, input, None, LENGTHS, [mask]))


# --- dtypes and weights -----------------------------------------------------------------------------------------


@every_kind
def test_a_float32_model(kind):
    """Measured in float64 from its float32 weights; the loss's gradient came in float32, which is all that is lost."""
    model, input = model_of(kind, torch.float32, **BOTH), normal(T, B, I, dtype=torch.float32)
    whole = witness_of(kind, model, input)
    assert_as_witnessed(seen_of(model, input), whole, tolerance=TOLERANCE["stock", torch.float32])


@every_kind
def test_frozen_weights(kind):
    """Nothing here learns, so autograd would never come by; the gradients through time are there all the same."""
    model, input = model_of(kind, **BOTH).requires_grad_(False), normal(T, B, I)
    assert_as_witnessed(seen_of(model, input, None, LENGTHS), witness_of(kind, model, input, None, LENGTHS))


def test_a_frozen_encoder_below_a_head_that_learns():
    model, input = model_of("LSTM", **BOTH), normal(T, B, I)
    model.encoder.requires_grad_(False)
    with hg.watch(model) as seen:
        output, _ = model(input)
        model.head(output).square().sum().backward()
    whole = unroll(cell_of("LSTM"), model.encoder["lstm"], input)
    model.head(whole.output).square().sum().backward()
    assert_as_witnessed(seen, whole)


def test_frozen_weights_below_an_input_that_learns():
    """Autograd comes by on its own way to the input."""
    model, input = model_of("GRU", **BOTH).requires_grad_(False), normal(T, B, I).requires_grad_()
    assert_as_witnessed(seen_of(model, input), witness_of("GRU", model, input))
    assert input.grad.any()


# What bfloat16 leaves of a number is 8 bits; four times what was measured.
HALF = 5e-2


@pytest.mark.parametrize("family", [nn.LSTM, hg.LSTM, hg.GRU])
def test_autocast(family):
    """The run is half precision, the measurement is not; looked at within autocast too."""
    layer, input = family(I, H), normal(T, B, I, dtype=torch.float32)
    with hg.watch(layer) as seen, torch.autocast("cpu", torch.bfloat16):
        output, _ = layer(input)
        output.float().square().sum().backward()
        within = seen["l0"].grad["h"]
    assert output.dtype == torch.bfloat16 and within.dtype == torch.float64
    whole = unroll(seen["l0"].cell, layer, input.double())
    whole.output.square().sum().backward()
    assert_as_unrolled(seen, whole, tolerance=HALF)


def test_a_bfloat16_layer():
    layer, input = hg.LSTM(I, H, dtype=torch.bfloat16), normal(T, B, I, dtype=torch.bfloat16)
    with hg.watch(layer) as seen:
        layer(input)[0].float().square().sum().backward()
    whole = unroll(seen["l0"].cell, layer, input.double())
    whole.output.square().sum().backward()
    assert_as_unrolled(seen, whole, tolerance=HALF)


def parametrised(layer):
    for name in ("weight_hh_l0", "weight_ih_l1_reverse"):
        parametrizations.weight_norm(layer, name)
        # the norm is learned, and no longer that of the weight it began with
        with torch.no_grad():
            getattr(layer.parametrizations, name).original0.mul_(1.7)


def weight_normed(layer):
    with pytest.warns(FutureWarning, match="weight_norm"):
        nn.utils.weight_norm(layer, "weight_hh_l0")
    with torch.no_grad():
        layer.weight_hh_l0_g.mul_(1.7)


@pytest.mark.parametrize("change", [parametrised, weight_normed])
@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_weights_computed_from_others(kind, change):
    model, input = model_of(kind, **BOTH), normal(T, B, I)
    change(model.encoder["lstm"])
    assert_as_witnessed(seen_of(model, input), witness_of(kind, model, input))

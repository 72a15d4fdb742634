"""Plain torch.nn layers inside a larger model, as people have them: the watch against the witness."""

from functools import partial

import pytest
import torch
from comparing import assert_all_close
from inspection.watching import EXACT, B, H, I, T, assert_as_unrolled
from inspection.witness import unroll
from nn.layer_runs import as_hx, as_states, normal, states_for
from tolerances import TOLERANCE
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrizations
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

import headgate as hg

KINDS = {
    "LSTM": (nn.LSTM, "lstm", {}),
    "LSTM-proj": (nn.LSTM, hg.cells.get("lstm", projection=True), {"proj_size": 2}),
    "GRU": (nn.GRU, "gru", {}),
    "RNN": (nn.RNN, "rnn", {}),
    "RNN-relu": (nn.RNN, "relu_rnn", {"nonlinearity": "relu"}),
}
BOTH = {"num_layers": 2, "bidirectional": True}
SHAPES = {
    "one layer": {},
    "reverse": {"bidirectional": True},
    "two layers": {"num_layers": 2},
    "two layers both ways": BOTH,
    "no bias": {"bias": False, **BOTH},
    "batch first": {"batch_first": True, **BOTH},
}
LENGTHS = [3, 5, 1, 4]
every_kind = pytest.mark.parametrize("kind", KINDS)
every_shape = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
both_modes = pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])


class Tagger(nn.Module):
    """A recurrent encoder below a head; a call returns what the encoder gave, which `loss` reads."""

    def __init__(self, layer):
        super().__init__()
        self.encoder = nn.ModuleDict({"drop": nn.Dropout(0.0), "lstm": layer})
        width = (layer.proj_size or layer.hidden_size) * (2 if layer.bidirectional else 1)
        self.head = nn.Linear(width, 3, dtype=layer.weight_ih_l0.dtype)

    def forward(self, input, hx=None):
        return self.encoder["lstm"](input, hx)

    def loss(self, output, final):
        """Not linear, and different for every number."""
        head = functional.linear(output, self.head.weight.to(output.dtype), self.head.bias.to(output.dtype))
        read = torch.tanh(head) * normal(*output.shape[:-1], 3, seed=3, dtype=output.dtype)
        ends = sum((torch.sin(s) * normal(*s.shape, seed=4 + k, dtype=s.dtype)).sum() for k, s in enumerate(final))
        return read.sum() + ends


def model_of(kind, dtype=torch.float64, **options):
    family, _, more = KINDS[kind]
    return Tagger(family(I, H, **options, **more, dtype=dtype))


def cell_of(kind):
    return hg.cells.get(KINDS[kind][1])


def run(model, input, states=None, lengths=None):
    """The model over [T, B, I], packed if lengths are given; its result time-major, padded, in the user's row order."""
    layer = model.encoder["lstm"]
    given = input.transpose(0, 1) if layer.batch_first else input
    if lengths is not None:
        given = pack_padded_sequence(given, lengths, batch_first=layer.batch_first, enforce_sorted=False)
    output, final = model(given, None if states is None else as_hx(states))
    if isinstance(output, PackedSequence):
        output, _ = pad_packed_sequence(output, total_length=T)
    elif layer.batch_first:
        output = output.transpose(0, 1)
    return output, as_states(final)


def seen_of(model, input, states=None, lengths=None):
    with hg.watch(model) as seen:
        model.loss(*run(model, input, states, lengths)).backward()
    return seen


def witness_of(kind, model, input, states=None, lengths=None, masks=None):
    whole = unroll(cell_of(kind), model.encoder["lstm"], input.detach().double(), states, lengths, masks=masks)
    model.loss(whole.output, whole.final).backward()
    return whole


assert_as_witnessed = partial(assert_as_unrolled, prefix="encoder.lstm.")


@both_modes
@every_shape
@every_kind
def test_padded(kind, shape, training):
    model, input = model_of(kind, **shape).train(training), normal(T, B, I)
    assert_as_witnessed(seen_of(model, input), witness_of(kind, model, input))


@every_kind
def test_states_given(kind):
    model, input = model_of(kind, **BOTH), normal(T, B, I)
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


def masks_of(seed, layers, p, width, lengths=None):
    """What torch's kernel draws between layers: over time and rows, or over a packed batch."""
    torch.manual_seed(seed)
    if lengths is None:
        return [functional.dropout(torch.ones(T, B, width, dtype=torch.float64), p) for _ in range(layers - 1)]
    packed = pack_padded_sequence(torch.zeros(T, B, 1), lengths, enforce_sorted=False)
    drawn = [functional.dropout(torch.ones(sum(lengths), width, dtype=torch.float64), p) for _ in range(layers - 1)]
    return [pad_packed_sequence(packed._replace(data=mask))[0] for mask in drawn]


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
    found = {"input": sum(seen[name].input_gradient(from_last=False) for name in names[:2])}
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
@pytest.mark.parametrize("engine", ["stock", "eager"])
def test_dropout_of_our_layer(engine, lengths):
    layer = hg.LSTM(I, H, dropout=0.4, dtype=torch.float64, engine=engine, **BOTH)
    input, model = normal(T, B, I), Tagger(layer)
    torch.manual_seed(5)
    with hg.watch(model) as seen:
        output, final = layer(input, lengths=lengths)
        model.loss(output, final).backward()
    expected = witness_of("LSTM", model, input, None, lengths, masks_of(5, 2, 0.4, 2 * H))
    assert_as_witnessed(seen, expected)


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

"""Plain torch.nn layers inside a larger model, run padded or packed, and the same unrolled."""

from functools import partial

import torch
from inspection.watching import B, H, I, T, assert_as_unrolled
from inspection.witness import unroll
from nn.layer_runs import as_hx, as_states, normal
from torch import nn
from torch.nn import functional
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
LENGTHS = [3, 5, 1, 4]


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


def masks_of(seed, layers, p, width, lengths=None):
    """What torch's kernel draws between layers: over time and rows, or over a packed batch."""
    torch.manual_seed(seed)
    if lengths is None:
        return [functional.dropout(torch.ones(T, B, width, dtype=torch.float64), p) for _ in range(layers - 1)]
    packed = pack_padded_sequence(torch.zeros(T, B, 1), lengths, enforce_sorted=False)
    drawn = [functional.dropout(torch.ones(sum(lengths), width, dtype=torch.float64), p) for _ in range(layers - 1)]
    return [pad_packed_sequence(packed._replace(data=mask))[0] for mask in drawn]

"""A memory limited at every step: each window against a run by hand, of one layer and of modules that feed others."""

import pytest
import torch
from comparing import assert_all_close
from inspection.reader import LENGTHS, B, H, I, Reader, T, reader_losses
from nn.layer_runs import as_hx, normal, states_for
from torch import nn

import headgate as hg
from headgate.inspection import blocks, context
from headgate.inspection.context import use_curve

FEW = {"resamples": 200}


def dense_losses(model, data):
    """Every output of every row is read, and the final state."""
    input, lengths, hx = data
    output, final = model(input, hx, **({} if lengths is None else {"lengths": lengths}))
    h = final[0] if isinstance(final, tuple) else final
    read = torch.tanh(output @ normal(output.shape[-1], seed=8)).sum(0) + h.sum((0, 2))
    return (read - 1.0).square()


def windows_by_hand(layer, data, lag):
    """Every output from a run of its own over the last `lag` inputs; of a single layer in both directions, each."""
    input, lengths, hx = data
    lengths = [T] * B if lengths is None else lengths
    D = 2 if layer.bidirectional else 1
    states = hx if isinstance(hx, tuple) else (hx,)
    output, h = input.new_zeros(T, B, D * H), states[0].clone()
    for b, length in enumerate(lengths):
        first = tuple(state[:, b : b + 1].contiguous() for state in states)
        for t in range(length):
            found, final = layer(input[max(0, t + 1 - lag) : t + 1, b : b + 1], as_hx(first))
            output[t, b, :H] = found[-1, 0, :H]
            end = final[0] if isinstance(final, tuple) else final
            if t == length - 1:
                h[::D, b] = end[::D, 0]
            if D == 2:
                found, final = layer(input[t : min(t + lag, length), b : b + 1], as_hx(first))
                output[t, b, H:] = found[0, 0, H:]
                end = final[0] if isinstance(final, tuple) else final
                if t == 0:
                    h[1, b] = end[1, 0]
    read = torch.tanh(output @ normal(output.shape[-1], seed=8)).sum(0) + h.sum((0, 2))
    return (read - 1.0).square()


STACKS = {
    "two layers": (nn.LSTM, {"num_layers": 2}),
    "two layers of ours": (hg.GRU, {"num_layers": 2}),
    "both directions": (nn.GRU, {"bidirectional": True}),
    "both directions of ours": (hg.LSTM, {"bidirectional": True}),
}


@pytest.mark.parametrize(("family", "options"), STACKS.values(), ids=STACKS)
def test_windows_are_runs_of_their_own(family, options, monkeypatch):
    """Also in several goes, and with lengths where the layer takes them."""
    layer = family(I, H, **options, dtype=torch.float64).requires_grad_(False)
    lengths = [9, 3, 0, 6] if isinstance(layer, hg.Recurrent) else None
    data = (normal(T, B, I), lengths, as_hx(states_for(layer, B)))
    for at_once in (1 << 24, 200):
        monkeypatch.setattr(context, "_AT_ONCE", at_once)
        found = use_curve(layer, [data], dense_losses, [1, 3, 4], every_step=True, **FEW)
        assert found.every_step
        for lag, row in zip(found.lags, found.losses, strict=True):
            assert_all_close({f"lag {lag}": row}, {f"lag {lag}": windows_by_hand(layer, data, int(lag))}, 1e-12)


def test_windows_begin_where_the_users_sequences_begin():
    """Two sequences in a row are as the two apart: no window looks across."""
    layer, input = hg.GRU(I, H, dtype=torch.float64).requires_grad_(False), normal(T, B, I)
    reset = torch.zeros(T, B, dtype=torch.bool)
    reset[4] = True

    def both(model, data):
        return model(data, reset=reset[: len(data)])[0].sum((0, 2))

    def apart(model, data):
        return model(data[:4])[0].sum((0, 2)) + model(data[4:])[0].sum((0, 2))

    lags = [1, 2, 3]
    one, two = (use_curve(layer, [input], loss, lags, every_step=True, **FEW) for loss in (both, apart))
    assert_all_close({"losses": one.losses[:3]}, {"losses": two.losses[:3]}, 1e-12)


def test_windows_one_step_longer_are_noticed(monkeypatch):
    """Mutant."""
    right = context._Windows.__init__
    monkeypatch.setattr(context._Windows, "__init__", lambda self, k: right(self, k + 1))
    with pytest.raises(AssertionError, match="lag 1: relative error"):
        test_windows_are_runs_of_their_own(nn.LSTM, {"num_layers": 2}, monkeypatch)


class Pair(nn.Module):
    """Two recurrent modules, the one reading the other, and something by the step in between."""

    def __init__(self, low, high):
        super().__init__()
        self.low, self.high = low, high

    def forward(self, input):
        return self.high(torch.tanh(2.0 * self.low(input)[0]))[0]


def pairs():
    return {
        "lstm over gru": Pair(nn.GRU(I, H, dtype=torch.float64), nn.LSTM(H, H, dtype=torch.float64)),
        "layers of ours over an rnn": Pair(
            nn.RNN(I, H, dtype=torch.float64), hg.LSTM(H, H, num_layers=2, dtype=torch.float64)
        ),
    }


@pytest.mark.parametrize("name", pairs())
def test_windows_of_several_modules_are_runs_of_the_model(name):
    """Each output from a run of the whole model over its window; 1, 3 and 4 steps, in sequences of nine."""
    torch.manual_seed(4)
    model = pairs()[name].requires_grad_(False)
    input = normal(T, B, I)

    def dense(model, input):
        return (torch.tanh(model(input)) * normal(H, seed=8)).sum((0, 2))

    found = use_curve(model, [input], dense, [1, 3, 4], every_step=True, **FEW)
    for lag, row in zip(found.lags, found.losses, strict=True):
        output = torch.stack([model(input[max(0, t + 1 - lag) : t + 1])[-1] for t in range(T)])
        expected = (torch.tanh(output) * normal(H, seed=8)).sum((0, 2))
        assert_all_close({f"lag {lag}": row}, {f"lag {lag}": expected}, 1e-12)


def test_blocks_that_begin_at_other_steps_are_noticed(monkeypatch):
    """Mutant: the blocks of a run lie a step beside the ends that are taken from it."""
    right = blocks.run
    monkeypatch.setattr(blocks, "run", lambda call: right(blocks.replace(call, reset=call.reset.roll(1, 0))))
    with pytest.raises(AssertionError, match="lag 1: relative error"):
        test_windows_of_several_modules_are_runs_of_the_model("lstm over gru")


# --- what cannot be told ----------------------------------------------------------------------------------------


class Handed(nn.Module):
    """A decoder that begins where an encoder ends, on all steps or on some."""

    def __init__(self, steps=T):
        super().__init__()
        self.encoder, self.decoder, self.steps = nn.GRU(I, H), nn.GRU(I, H), steps

    def forward(self, input):
        return self.decoder(input[: self.steps], self.encoder(input)[1])[0].sum((0, 2))


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (Handed(), r"one begins with a state that another one made, and what that state holds"),
        (Handed(4), r"same steps in all recurrent modules, but they are called with 4 and 9 steps"),
    ],
    ids=["a state", "other steps"],
)
def test_modules_that_cannot_be_limited_together(model, words):
    with pytest.raises(RuntimeError, match=words):
        use_curve(model, [normal(T, B, I, dtype=torch.float32)], lambda m, x: m(x), every_step=True)


READS_REVERSE = {"layers": Reader(), "modules": Pair(nn.GRU(I, H, bidirectional=True), nn.GRU(2 * H, H))}


@pytest.mark.parametrize("model", READS_REVERSE.values(), ids=READS_REVERSE)
def test_windows_of_layers_that_read_a_reverse_direction(model):
    data = (normal(T, B, I), LENGTHS, None) if isinstance(model, Reader) else normal(T, B, I, dtype=torch.float32)
    loss = reader_losses if isinstance(model, Reader) else lambda model, input: model(input).sum((0, 2))
    with pytest.raises(RuntimeError, match="that reads a reverse direction sees what comes after it"):
        use_curve(model, [data], loss, every_step=True)

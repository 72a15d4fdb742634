"""How far back a memory is used: networks that need a known number of steps, and every cut against runs by hand."""

import numpy as np
import pytest
import torch
from comparing import assert_all_close
from inspection.latch import CHANCE, Latch, batch, losses
from inspection.reader import LENGTHS, B, H, I, Reader, T, reader_losses
from nn.layer_runs import as_hx, normal, states_for
from torch import nn

import headgate as hg
from headgate.inspection import context
from headgate.inspection.bootstrap import LOSS, SHARE
from headgate.inspection.context import state_reset, use_curve

FEW = {"resamples": 200}


# --- known answers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("back", [1, 2, 5, 12])
def test_a_latch_uses_the_steps_since_it_was_shown(back):
    """Shown that many steps before the end, the last counted as 1; without it the answer is chance."""
    data = [batch(12, 10, 12 - back, seed=1), batch(12, 6, 12 - back, seed=2)]
    found = use_curve(Latch(), data, losses, range(1, 13), CHANCE, **FEW)
    assert found.lags.tolist() == list(range(1, 13))
    assert found.used == back
    np.testing.assert_allclose(found.excess[: back - 1], 1.0, atol=1e-3)
    np.testing.assert_allclose(found.excess[back - 1 :], 0.0, atol=1e-6)
    assert found.rule == "within 1% of (chance - loss)"
    assert found.allowed == pytest.approx(0.01, abs=1e-6)
    assert (found.losses.shape, found.every_step) == ((12, 16), False)
    powers = use_curve(Latch(), data, losses, chance=CHANCE, **FEW)
    assert powers.lags.tolist() == [1, 2, 4, 8, 12]
    assert powers.used == min(lag for lag in (1, 2, 4, 8, 12) if lag >= back)


def test_a_latch_loses_all_by_a_reset_half_way_unless_it_is_shown_later():
    early, late = (state_reset(Latch(), [batch(8, 10, shown)], losses, CHANCE, **FEW) for shown in (3, 4))
    np.testing.assert_allclose(early.effect, 1.0, atol=1e-3)
    np.testing.assert_allclose(late.effect, 0.0, atol=1e-6)
    assert (early.unit, state_reset(Latch(), [batch(8, 10)], losses, **FEW).unit) == (SHARE, LOSS)


def test_without_chance_the_loss_itself_is_the_measure():
    found = use_curve(Latch(), [batch(6, 10, 2)], lambda m, d: losses(m, d) + 0.1, **FEW)
    assert found.rule == "within 1% of the loss, since no chance level was given"
    assert found.allowed == pytest.approx(0.001, abs=1e-6)
    assert found.used == 4
    worse = use_curve(Latch(), [batch(6, 10, 2)], lambda m, d: losses(m, d) + 2.0, chance=1.0, **FEW)
    assert worse.rule == "within 1% of the loss, since the loss is not better than chance"


def test_a_need_between_the_powers_is_answered_by_itself():
    """Shown 9 steps back: a memory of 10 steps has it, one of 9 has not, and the powers would say 16."""
    data = [batch(20, 10, 10, seed=1)]
    found = use_curve(Latch(), data, losses, chance=CHANCE, needs_lag=9, **FEW)
    assert found.lags.tolist() == [1, 2, 4, 7, 8, 9, 10, 11, 16, 20]
    assert found.used == 10 and use_curve(Latch(), data, losses, chance=CHANCE, **FEW).used == 16
    one = use_curve(Latch(), data, losses, chance=CHANCE, needs_lag=1, **FEW)
    assert one.lags.tolist() == [1, 2, 3, 4, 8, 16, 20]
    beyond = use_curve(Latch(), data, losses, chance=CHANCE, needs_lag=90, **FEW)
    assert beyond.lags.tolist() == [1, 2, 4, 8, 16, 20]


def test_used_is_from_there_on(monkeypatch):
    """A lag that happens to do no harm between others that do is not what is used."""
    effects = np.repeat([[0.0], [0.5], [0.001], [0.3], [0.004], [0.0]], 3, axis=1)
    monkeypatch.setattr(context.Paired, "effects", lambda self, losses, raw: effects)
    found = use_curve(Latch(), [batch(6, 4)], losses, range(1, 7), CHANCE)
    assert found.used == 5


# --- against runs by hand ---------------------------------------------------------------------------------------


def in_pieces(model, row, hx, lag):
    """Output and final h of one row [T, 1, I]; every direction starts anew when `lag` steps are left to it."""
    rnn, x, ends = model.rnn, row, []
    for k in range(rnn.num_layers):
        parts = []
        for d, suffix in enumerate(("", "_reverse")[: 2 if rnn.bidirectional else 1]):
            one = type(rnn)(x.shape[-1], H, dtype=x.dtype)
            names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            one.load_state_dict({f"{name}_l0": getattr(rnn, f"{name}_l{k}{suffix}") for name in names})
            index = k * (2 if rnn.bidirectional else 1) + d
            first = tuple(state[index : index + 1] for state in hx)
            ordered = x.flip(0) if d else x
            cut = max(0, len(x) - lag)
            pieces = [one(piece, as_hx(first)) for piece in (ordered[:cut], ordered[cut:]) if len(piece)]
            output = torch.cat([piece[0] for piece in pieces])
            final = pieces[-1][1]
            ends.append(final[0] if isinstance(final, tuple) else final)
            parts.append(output.flip(0) if d else output)
        x = torch.cat(parts, -1)
    return x, torch.cat(ends)


def losses_in_pieces(model, data, lag):
    input, lengths, hx = data
    states = hx if isinstance(hx, tuple) else (hx,)
    output, h = input.new_zeros(T, B, model.head.shape[0]), []
    with torch.no_grad():
        for b, length in enumerate(lengths):
            first = [state[:, b : b + 1] for state in states]
            part, end = in_pieces(model, input[:length, b : b + 1], first, lag(length))
            output[:length, b] = part[:, 0]
            h.append(end)
        return (model.read(output, torch.cat(h, 1), lengths) - 1.0).square()


@pytest.mark.parametrize("family", [nn.LSTM, nn.GRU, nn.RNN])
def test_cuts_before_the_end_are_rows_run_in_two_pieces(family):
    """With states given, which are those that come back; a row shorter than the memory is whole."""
    model = Reader(family)
    data = (normal(T, B, I), LENGTHS, as_hx(states_for(model.rnn, B)))
    lags = [1, 2, 5, 6]
    found = use_curve(model, [data], reader_losses, lags, **FEW)
    assert found.lags.tolist() == [*lags, T]
    for lag, row in zip(found.lags, found.losses, strict=True):
        expected = losses_in_pieces(model, data, lambda length, lag=lag: lag)
        assert_all_close({f"lag {lag}": row}, {f"lag {lag}": expected}, 1e-12)
    reset = state_reset(model, [data], reader_losses, **FEW)
    expected = losses_in_pieces(model, data, lambda length: length - length // 2)
    assert_all_close({"reset": reset.losses}, {"reset": expected}, 1e-12)


WAYS = {"one layer": (1, False), "both directions": (1, True), "layers": (2, False), "both": (2, True)}


@pytest.mark.parametrize(("layers", "both"), WAYS.values(), ids=WAYS)
def test_what_was_run_before_the_cut_is_not_run_again(layers, both, monkeypatch):
    """To the last bit but rounding as if it were; and so it is, where the layer below gives something else there."""
    model = Reader(nn.LSTM, num_layers=layers, bidirectional=both)
    data = (normal(T, B, I), LENGTHS, as_hx(states_for(model.rnn, B)))
    lags, ran = [1, 2, 5, 6], []
    right, count = context.run, lambda call: ran.append(len(call.input)) or right(call)
    monkeypatch.setattr(context, "run", count)
    short = use_curve(model, [data], reader_losses, lags, **FEW)
    steps = sum(ran)
    monkeypatch.setattr(context, "_same", lambda one, other, steps: False)
    ran.clear()
    whole = use_curve(model, [data], reader_losses, lags, **FEW)
    assert_all_close({"losses": short.losses}, {"losses": whole.losses}, 1e-12)
    places = layers * (1 + both)
    assert sum(ran) == places * (len(lags) + 1) * T
    # Of two layers in both directions, the lower one alone is the same up to the cut.
    short_places = 2 if layers == 2 and both else places
    assert steps == sum(ran) - short_places * sum(T - lag for lag in lags)


def test_what_is_known_is_not_taken_where_it_is_wrong(monkeypatch):
    """Mutant: known outputs taken whatever a layer is given."""
    monkeypatch.setattr(context, "_same", lambda one, other, steps: True)
    with pytest.raises(AssertionError, match="lag 1: relative error"):
        test_cuts_before_the_end_are_rows_run_in_two_pieces(nn.GRU)


def test_a_cut_one_step_off_is_noticed(monkeypatch):
    """Mutant."""
    right = context._last
    monkeypatch.setattr(context, "_last", lambda lag: lambda length: right(lag)(length) + 1)
    with pytest.raises(AssertionError, match="lag 1: relative error"):
        test_cuts_before_the_end_are_rows_run_in_two_pieces(nn.GRU)


def test_a_reverse_direction_cut_at_the_others_end_is_noticed(monkeypatch):
    """Mutant: a reverse direction that forgets all but the last k inputs, and so all that it ends with."""

    right = context._Restored.__call__
    wrong = lambda self, call, count: right(self, context.replace(call, reverse=False), count)  # noqa: E731
    monkeypatch.setattr(context._Restored, "__call__", wrong)
    with pytest.raises(AssertionError, match="lag 1: relative error"):
        test_cuts_before_the_end_are_rows_run_in_two_pieces(nn.GRU)


def test_resets_of_the_users_own_stay():
    """A row whose sequence begins anew two steps before the end loses nothing by a cut further back."""
    layer = hg.LSTM(I, H, dtype=torch.float64)
    reset = torch.zeros(T, B, dtype=torch.bool)
    reset[T - 2] = True
    found = use_curve(
        layer, [(normal(T, B, I), reset)], lambda m, d: m(d[0], reset=d[1])[0][-1].sum(-1).square(), [1, 2, 4], **FEW
    )
    assert abs(found.excess[0, 1]) > 1e-4
    assert_all_close({"later": found.losses[1:]}, {"later": np.stack([found.loss] * 3)}, 1e-12)


# --- what cannot be told ----------------------------------------------------------------------------------------


class Streamed(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = hg.LSTM(I, H)

    def forward(self, input):
        state, output = None, None
        for x in input:
            output, state = self.rnn.step(x, state)
        return output.sum(-1)


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.low, self.high = nn.GRU(I, H), nn.GRU(H, H)

    def forward(self, input):
        return self.high(self.low(input)[0])[0][-1].sum(-1)


def single(model, data):
    return model(data).square()


def test_two_modules_are_cut_together():
    """As one of two layers is."""
    two, one = Two(), nn.GRU(I, H, 2)
    high = {name.replace("_l0", "_l1"): value for name, value in two.high.state_dict().items()}
    one.load_state_dict({**two.low.state_dict(), **high})
    data = [normal(T, B, I, dtype=torch.float32)]
    found = use_curve(two, data, single, **FEW)
    expected = use_curve(one, data, lambda m, d: m(d)[0][-1].sum(-1).square(), **FEW)
    assert_all_close({"losses": found.losses}, {"losses": expected.losses}, 1e-5)


@pytest.mark.parametrize(
    ("model", "arguments", "error", "words"),
    [
        (Streamed(), {}, RuntimeError, r"^rnn is called several times in a row, with states given, so no call"),
        (Two(), {"lags": [0]}, ValueError, r"^use_curve: 0 among the lags is no number of steps"),
        (Two(), {"lags": [2.5]}, ValueError, r"^use_curve: 2.5 among the lags"),
        (Two(), {"chance": float("nan")}, ValueError, r"^chance=nan is no loss"),
    ],
)
def test_what_cannot_be_told(model, arguments, error, words):
    with pytest.raises(error, match=words):
        use_curve(model, [normal(T, B, I, dtype=torch.float32)], single, **arguments)


def test_a_stream_has_no_half_way():
    with pytest.raises(RuntimeError, match="rnn is called several times in a row"):
        state_reset(Streamed(), [normal(T, B, I, dtype=torch.float32)], single)

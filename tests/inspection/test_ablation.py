"""Gates held at something else: known answers, every kind against a loop by hand, and what cannot be held."""

import numpy as np
import pytest
import torch
from comparing import assert_all_close
from inspection.latch import CHANCE, Latch, batch, losses
from nn.layer_runs import normal
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import headgate as hg
from headgate.inspection import holding
from headgate.inspection.ablation import ablate, ablate_units
from headgate.inspection.bootstrap import LOSS, SHARE
from headgate.inspection.holding import KINDS, shuffled_rows, shuffled_time

T, B, I, H = 6, 5, 3, 4  # noqa: E741 - the field's letter
LENGTHS = [6, 2, 5, 1, 4]
EAGER = {"engine": "eager", "resamples": 200}


def effect_of(found, gate, kind):
    return found.effect[found.gates.index(gate), found.kinds.index(kind)]


# --- known answers ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def latch():
    data = [batch(8, 10, seed=1), batch(8, 6, seed=2)]
    return ablate(Latch(), data, losses, chance=CHANCE, **EAGER)["memory.l0"]


def test_axes(latch):
    assert (latch.name, latch.gates, latch.kinds) == ("memory.l0", ("i", "f", "g", "o"), KINDS)
    assert (latch.effect.shape, latch.losses.shape, latch.loss.shape) == ((4, 7, 3), (4, 7, 16), (16,))
    assert (latch.unit, latch.chance) == (SHARE, CHANCE)
    np.testing.assert_allclose(latch.loss, 0.0, atol=1e-6)


def test_the_effects_on_single_sequences_make_up_the_whole(latch):
    np.testing.assert_allclose(latch.by_row.mean(-1), latch.effect[..., 1], atol=1e-9)
    # Answered by another row's value, a sequence is right, or as wrong as 2 squared is beside 1.
    assert set(latch.by_row[2, 2].round(3)) == {0.0, 4.0}
    alone = ablate(Latch(), [batch(8, 10), batch(8, 1)], losses, kinds=["shuffle rows"], chance=CHANCE, **EAGER)
    assert np.isnan(alone["memory.l0"].by_row[:, 0, 10]).all(), "of one row there is nothing to shuffle"


def test_a_gate_that_never_moves_costs_exactly_nothing_at_its_mean(latch):
    """The forget gate of the latch's units 0 and 1 is its bias; those of the others, whom nobody reads, are not."""
    for kind in ("mean", "time mean", "shuffle rows", "shuffle time", "freeze"):
        assert (effect_of(latch, "f", kind) == 0.0).all(), kind


def test_what_the_latch_lives_by(latch):
    """Without its memory it answers 0, which is chance; with another's it is wrong by 2 in half of the cases."""
    assert (effect_of(latch, "i", "shuffle rows") == 0.0).all(), "every row is written at the same step"
    assert (effect_of(latch, "i", "time mean") == 0.0).all()
    for gate, kind in [("f", "zero"), ("i", "zero"), ("g", "zero"), ("o", "zero"), ("i", "freeze"), ("g", "freeze")]:
        np.testing.assert_allclose(effect_of(latch, gate, kind), 1.0, atol=1e-3, err_msg=f"{gate} {kind}")
    low, middle, high = effect_of(latch, "g", "shuffle rows")
    assert 0.2 < low < middle < high
    assert middle == pytest.approx(np.mean(latch.losses[2, 2] > 1.0) * 4.0, abs=1e-6)
    assert effect_of(latch, "i", "mean")[0] > 0.2
    for gate in "fo":
        np.testing.assert_allclose(effect_of(latch, gate, "one"), 0.0, atol=1e-6)


def test_single_units_of_gates():
    pairs = [("f", 0), ("g", 0), ("g", 2), ("o", 3)]
    kinds = ("zero", "shuffle rows")
    found = ablate_units(Latch(), [batch(8, 10)], losses, "memory", pairs, kinds, chance=CHANCE, **EAGER)
    assert (found.name, found.pairs, found.effect.shape) == ("memory.l0", tuple(pairs), (4, 2, 3))
    np.testing.assert_allclose(found.effect[:2, 0], 1.0, atol=1e-3)
    assert found.effect[1, 1, 0] > 0.2
    assert (found.effect[2:] == 0.0).all(), "nobody reads units 2 and 3"


def test_without_chance_effects_are_losses():
    found = ablate(Latch(), [batch(8, 10)], losses, kinds=["zero"], **EAGER)["memory.l0"]
    assert (found.unit, found.chance) == (LOSS, None)
    np.testing.assert_allclose(found.effect[:, 0, 1], (found.losses[:, 0] - found.loss).mean(1))


# --- every kind, against a loop by hand -------------------------------------------------------------------------


class Reader(nn.Module):
    """Two layers in both directions over packed rows; each row's own last outputs are read."""

    def __init__(self, family):
        super().__init__()
        self.rnn = family(I, H, 2, bidirectional=True, dtype=torch.float64)
        self.head = normal(2 * H, seed=8)

    def forward(self, input, lengths):
        packed = pack_padded_sequence(input, lengths, enforce_sorted=False)
        output, _ = pad_packed_sequence(self.rnn(packed)[0])
        return read(output, lengths, self.head)


def read(output, lengths, head):
    """Of the last output and of the first, so that both directions matter."""
    rows = torch.arange(len(lengths))
    return ((output[torch.tensor(lengths) - 1, rows] + output[0]) @ head).tanh()


def reader_losses(model, data):
    return (model(*data) - 1.0).square()


def one(kind, x, weights, given, steps):
    """One direction of one row, with a gate given where it is not None, [T, H]; the outputs and that gate's values."""
    W, U, b, d = (weights[name] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    h, c, outputs, gates = torch.zeros(H, dtype=x.dtype), torch.zeros(H, dtype=x.dtype), {}, {}
    for t in steps:
        if kind == "LSTM":
            i, f, g, o = (W @ x[t] + b + U @ h + d).chunk(4)
            gates[t] = torch.sigmoid(f)
            c = (gates[t] if given is None else given[t]) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
        else:
            (r, z, n), (p, y, q) = (W @ x[t] + b).chunk(3), (U @ h + d).chunk(3)
            gates[t] = torch.sigmoid(z + y)
            keep = gates[t] if given is None else given[t]
            h = (1.0 - keep) * torch.tanh(n + torch.sigmoid(r + p) * q) + keep * h
        outputs[t] = h
    times = sorted(outputs)
    return torch.stack([outputs[t] for t in times]), torch.stack([gates[t] for t in times])


def by_hand(kind, model, data, index, given=None):
    """Losses of a batch with a gate given in one layer and direction, by row; and that gate's values, by row."""
    input, lengths = data
    output, values = torch.zeros(T, len(lengths), 2 * H, dtype=input.dtype), []
    for row, length in enumerate(lengths):
        x = input[:length, row]
        for k in range(2):
            parts = []
            for d, suffix in enumerate(("", "_reverse")):
                names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
                weights = {name: getattr(model.rnn, f"{name}_l{k}{suffix}").detach() for name in names}
                here = given[row] if given is not None and 2 * k + d == index else None
                steps = range(length - 1, -1, -1) if d else range(length)
                part, gate = one(kind, x, weights, here, steps)
                parts.append(part)
                if 2 * k + d == index:
                    values.append(gate)
            x = torch.cat(parts, -1)
        output[:length, row] = x
    return (read(output, lengths, model.head) - 1.0).square(), values


def given_by_hand(kind, values, weights_bias):
    """What each row's gate is held at, [T, H] a row, from every row's own values."""
    if kind == "mean":
        constant = torch.cat(values).mean(0)
    elif kind == "time mean":
        by_step = [torch.stack([v[t] for v in values if t < len(v)]).mean(0) for t in range(T)]
        return [torch.stack(by_step)] * len(values)
    else:
        constant = {"zero": torch.zeros(H), "one": torch.ones(H), "freeze": torch.sigmoid(weights_bias)}[kind]
    return [constant.expand(T, H)] * len(values)


@pytest.mark.parametrize("kind", ["mean", "time mean", "zero", "one", "freeze"])
@pytest.mark.parametrize(("family", "name"), [(nn.LSTM, "LSTM"), (nn.GRU, "GRU")])
@pytest.mark.parametrize("index", [0, 3], ids=["l0", "l1_reverse"])
def test_kinds_against_a_loop_by_hand(family, name, index, kind):
    """Over two batches: a mean is that of all of them."""
    model, gate = Reader(family), {"LSTM": "f", "GRU": "z"}[name]
    data = [(normal(T, B, I, seed=k), LENGTHS[k:] + LENGTHS[:k]) for k in range(2)]
    place = ["rnn.l0", "rnn.l0_reverse", "rnn.l1", "rnn.l1_reverse"][index]
    found = ablate(model, data, reader_losses, [place], [kind], **EAGER)[place]
    plain = [by_hand(name, model, part, index) for part in data]
    values = [value for _, values in plain for value in values]
    suffix = place.removeprefix("rnn.")
    bias = getattr(model.rnn, f"bias_ih_{suffix}") + getattr(model.rnn, f"bias_hh_{suffix}")
    given = given_by_hand(kind, values, bias.detach().chunk(4 if name == "LSTM" else 3)[1])
    held = [by_hand(name, model, part, index, given[k * B : k * B + B])[0] for k, part in enumerate(data)]
    assert_all_close({"loss": found.loss}, {"loss": torch.cat([loss for loss, _ in plain])}, 1e-12)
    actual = found.losses[found.gates.index(gate), 0]
    assert_all_close({"held": actual}, {"held": torch.cat(held)}, 1e-12)


@pytest.mark.parametrize("kind", ["shuffle rows", "shuffle time"])
def test_shuffles_against_a_loop_by_hand(kind, monkeypatch):
    """With an order that is known: the next row that takes the step; the steps the other way round."""
    monkeypatch.setattr(torch, "randperm", lambda n, generator: torch.arange(n))
    descending = torch.arange(T, 0.0, -1.0)[:, None] / (T + 1)
    monkeypatch.setattr(torch, "rand", lambda shape, generator, device: descending.expand(shape))
    model, data = Reader(nn.LSTM), (normal(T, B, I), LENGTHS)
    found = ablate(model, [data], reader_losses, ["rnn.l1"], [kind], **EAGER)["rnn.l1"]
    _, values = by_hand("LSTM", model, data, 2)
    given = []
    for row, value in enumerate(values):
        rows = []
        for t in range(len(value)):
            takers = [other for other in range(B) if LENGTHS[other] > t]
            giver = takers[(takers.index(row) + 1) % len(takers)]
            rows.append(values[giver][t] if kind == "shuffle rows" else value[len(value) - 1 - t])
        given.append(torch.stack(rows))
    held, _ = by_hand("LSTM", model, data, 2, given)
    assert_all_close({"held": found.losses[1, 0]}, {"held": held}, 1e-12)


def test_a_mean_over_the_padding_is_noticed(monkeypatch):
    """Mutant: steps that no row takes count too."""
    monkeypatch.setattr(holding, "active_steps", lambda call: torch.ones(call.input.shape[:2], dtype=torch.bool))
    with pytest.raises(AssertionError, match="held: relative error"):
        test_kinds_against_a_loop_by_hand(nn.LSTM, "LSTM", 0, "mean")


def test_a_mean_of_one_batch_alone_is_noticed(monkeypatch):
    """Mutant: only the first batch is looked at."""
    right = holding.Means.add
    monkeypatch.setattr(holding.Means, "add", lambda self, *all: None if self._sum else right(self, *all))
    with pytest.raises(AssertionError, match="held: relative error"):
        test_kinds_against_a_loop_by_hand(nn.GRU, "GRU", 0, "mean")


# --- shuffles by themselves -------------------------------------------------------------------------------------


def marked(active):
    """Values that tell where they come from: 100 b + t."""
    steps = torch.arange(float(len(active)))[:, None, None] + 100.0 * torch.arange(active.shape[1])[:, None]
    return torch.where(active[..., None], steps, torch.full_like(steps, -1.0)).expand(-1, -1, 2)


def some_active():
    return torch.arange(T)[:, None] < torch.tensor(LENGTHS)


def test_rows_are_given_those_of_others_at_the_same_step():
    active = some_active()
    for seed in range(10):
        found, changed = shuffled_rows(marked(active), active, torch.Generator().manual_seed(seed))
        for t in range(T):
            takers = active[t].nonzero().flatten()
            got = found[t, takers, 0]
            assert sorted(got.tolist()) == [100.0 * b + t for b in takers.tolist()], "each row's once"
            assert len(takers) == 1 or (got != marked(active)[t, takers, 0]).all(), "nobody's own"
        assert changed


def test_a_giver_stays_as_long_as_it_can():
    active = torch.ones(T, B, dtype=torch.bool)
    found, _ = shuffled_rows(marked(active), active, torch.Generator().manual_seed(1))
    assert (found[..., 0] // 100 == found[:1, :, 0] // 100).all()


def test_steps_are_given_in_another_order():
    active = some_active()
    found, changed = shuffled_time(marked(active), active, torch.Generator().manual_seed(0))
    assert changed
    for row, length in enumerate(LENGTHS):
        assert sorted(found[:length, row, 0].tolist()) == [100.0 * row + t for t in range(length)]
    assert (found[..., 0] == found[..., 1]).all(), "all units in the same order"
    assert not torch.equal(found, marked(active))


def test_nothing_to_shuffle_is_not_tried():
    """One row has nobody to get anything from; one step no other."""
    model = Latch()
    kinds = ["shuffle rows", "shuffle time", "zero"]
    found = ablate(model, [batch(6, 4), batch(6, 1)], losses, kinds=kinds, **EAGER)["memory.l0"]
    assert np.isnan(found.losses[:, 0]).tolist() == [[False] * 4 + [True]] * 4
    assert not np.isnan(found.losses[:, 1:]).any()
    assert found.effect[2, 0, 1] == pytest.approx((found.losses[2, 0, :4] - found.loss[:4]).mean())
    alone = ablate(model, [batch(6, 1)], losses, kinds=kinds, **EAGER)["memory.l0"]
    assert np.isnan(alone.effect[:, 0]).all()
    step = ablate(model, [batch(1, 4)], losses, kinds=kinds, **EAGER)["memory.l0"]
    assert np.isnan(step.effect[:, 1]).all()
    assert not np.isnan(step.effect[:, 0]).any()


# --- models of all kinds ----------------------------------------------------------------------------------------


class Streamed(nn.Module):
    """A layer called step by step, its state handed on."""

    def __init__(self):
        super().__init__()
        self.rnn = hg.LSTM(2, 3, dtype=torch.float64)

    def forward(self, input):
        state, output = None, None
        for x in input:
            output, state = self.rnn.step(x, state)
        return output.sum(-1)


def square(model, data):
    return model(data).square()


def test_calls_step_by_step_are_as_one_call():
    """But that no step has another to be exchanged with."""
    model, data = Streamed(), [normal(T, B, 2, seed=k) for k in range(2)]
    streamed = ablate(model, data, square, **EAGER)["rnn.l0"]
    whole = ablate(model, data, lambda m, d: m.rnn(d)[0][-1].sum(-1).square(), **EAGER)["rnn.l0"]
    for kind in ("mean", "time mean", "zero", "one", "freeze"):
        k = KINDS.index(kind)
        assert_all_close({kind: streamed.losses[:, k]}, {kind: whole.losses[:, k]}, 1e-12)
    assert np.isnan(streamed.effect[:, KINDS.index("shuffle time")]).all()


def test_every_layer_of_every_module_by_name():
    model = nn.ModuleDict({"low": nn.GRU(2, 3, 2, bidirectional=True), "high": hg.Recurrent("rnn", 6, 3)})
    found = ablate(
        model, [normal(T, B, 2, dtype=torch.float32)], lambda m, d: m["high"](m["low"](d)[0])[0][-1].sum(-1), **EAGER
    )
    assert list(found) == ["low.l0", "low.l0_reverse", "low.l1", "low.l1_reverse", "high.l0"]
    assert found["low.l1"].effect.shape == (3, 7, 3)
    assert found["high.l0"].effect.shape == (0, 7, 3), "a plain recurrent cell has no gates"
    assert np.isfinite(found["low.l0_reverse"].effect).all()


def test_compiled_it_is_what_eager_gives():
    model, data = Streamed(), [normal(T, B, 2)]

    def whole(model, data):
        return model.rnn(data)[0][-1].sum(-1).square()

    compiled, eager = (ablate(model, data, whole, engine=engine)["rnn.l0"] for engine in (None, "eager"))
    assert_all_close({"losses": compiled.losses}, {"losses": eager.losses}, 1e-10)


def test_a_seed_repeats_the_shuffles():
    model, data = Reader(nn.GRU), [(normal(T, B, I), LENGTHS)]
    kinds = ["shuffle rows", "shuffle time"]
    first, again, other = (
        ablate(model, data, reader_losses, ["rnn.l0"], kinds, seed=seed, **EAGER)["rnn.l0"] for seed in (1, 1, 2)
    )
    assert (first.losses == again.losses).all()
    assert (first.effect == again.effect).all()
    assert (first.losses != other.losses).any()


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"kinds": ["median"]}, ValueError, r"^ablate: there is no kind 'median'; there are 'mean', 'time mean', "),
        ({"names": ["l1"]}, KeyError, r"nothing named 'l1' was called; there is 'rnn.l0'"),
        ({"chance": float("inf")}, ValueError, r"^chance=inf is no loss"),
        ({"engine": "fast"}, ValueError, r"^no engine named 'fast'"),
    ],
)
def test_what_makes_no_sense(arguments, error, words):
    with pytest.raises(error, match=words):
        ablate(Streamed(), [normal(T, B, 2)], square, **arguments)


@pytest.mark.parametrize("pair", [("i", 3), ("i", -1), ("z", 0)])
def test_units_that_are_not_there(pair):
    with pytest.raises(ValueError, match=rf"^ablate_units: rnn.l0 has no gate '{pair[0]}' of unit {pair[1]}; it has"):
        ablate_units(Streamed(), [normal(T, B, 2)], square, "rnn.l0", [pair])

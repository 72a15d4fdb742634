"""Units held at their mean: the memory that was put there is found, and the score is the derivative it says it is."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from comparing import assert_all_close
from inspection.latch import CHANCE, UNITS, Latch, batch, losses
from nn.layer_runs import normal
from torch import nn

import headgate as hg
from headgate.inspection import units
from headgate.inspection.ablation import ablate_units
from headgate.inspection.bootstrap import LOSS, SHARE
from headgate.inspection.triage import triage_facts, units_with_constant_gates
from headgate.inspection.units import sweep_units

T, B, I, H = 6, 5, 2, 4  # noqa: E741 - the field's letter
EAGER = {"engine": "eager", "resamples": 200}
DATA = [batch(8, 10, seed=1), batch(8, 6, seed=2)]


@pytest.fixture(scope="module")
def latch():
    return sweep_units(Latch(), DATA, losses, chance=CHANCE, **EAGER)["memory.l0"]


# --- a memory that is known -------------------------------------------------------------------------------------


def test_the_latch_is_found_and_nothing_else(latch):
    assert (latch.name, latch.memory, latch.unit) == ("memory.l0", "c", SHARE)
    assert latch.units.tolist() == list(range(UNITS))
    np.testing.assert_allclose(latch.kill[0], 1.0, atol=1e-3)
    assert (latch.kill[1:] == 0.0).all()
    assert (latch.losses[1:] == latch.loss).all()


def test_at_a_minimum_the_score_says_little_and_the_spread_more(latch):
    """The loss is nearly zero, and so is its slope; but only the latch has any."""
    assert abs(latch.predicted[0]) < 0.01 < latch.kill[0, 1]
    assert latch.spread[0] > 0.0
    assert (latch.predicted[1:] == 0.0).all()
    assert (latch.spread[1:] == 0.0).all()
    assert latch.pairs.shape == (UNITS, 2)


def constants(gates="ifgo"):
    """Of the latch, by construction: deviation of each gate's pre-activation and shares at its ends, [gate, H]."""
    model = Latch()
    weight, bias = model.memory.weight_ih_l0.detach().view(4, UNITS, 2), model.memory.bias_ih_l0.detach().view(4, UNITS)
    a = torch.einsum("ghi,tbi->tbgh", weight, torch.cat([data[0] for data in DATA], 1)) + bias
    value = torch.sigmoid(a)
    value[:, :, 2] = (1.0 + torch.tanh(a[:, :, 2])) / 2.0
    deviation, low, high = a.std((0, 1)), (value < 0.1).double().mean((0, 1)), (value > 0.9).double().mean((0, 1))
    return [part.numpy() for part in (deviation, low, high)]


def test_triage_tells_the_memory_from_what_is_dead(latch):
    """Both have gates that never move."""
    timescales = np.array([1e12, np.inf, 2.0, 3.0])
    found = triage_facts("ifgo", *constants(), latch, timescales=timescales)
    said = {(fact["gate"], fact["unit"]): fact["verdict"] for fact in found}
    assert said == {
        ("f", 0): "INTEGRATOR",
        ("o", 0): "INTEGRATOR",
        ("i", 1): "DEAD",
        ("f", 1): "DEAD",
        ("o", 1): "DEAD",
    }
    assert [fact["verdict"] for fact in found] == ["INTEGRATOR"] * 2 + ["DEAD"] * 3, "the costliest first"
    assert found[0]["kill"] == pytest.approx(1.0, abs=1e-3)
    assert found[0]["timescale"] == 1e12
    assert found[2] == {"unit": 1, "gate": "i", "verdict": "DEAD", "kill": 0.0, "timescale": None}
    assert units_with_constant_gates(*constants()) == [0, 1]


def test_triage_without_the_experiment_says_constant(latch):
    """Also where there is no interval, which is no interval around zero."""
    for spoilt in (np.nan, np.inf):
        kill = np.array(latch.kill)
        kill[0, 0] = spoilt
        found = triage_facts("ifgo", *constants(), replace(latch, kill=kill, unit=LOSS))
        said = {(fact["gate"], fact["unit"]): fact for fact in found}
        assert said["f", 0] == {
            "unit": 0, "gate": "f", "verdict": "CONSTANT", "kill": None, "unit_of_kill": LOSS, "timescale": None
        }  # fmt: skip


def test_triage_of_gates_that_vary_and_do_nothing(latch):
    pairs = [(gate, unit) for gate in "io" for unit in (0, 2)]
    costs = ablate_units(Latch(), DATA, losses, "memory.l0", pairs, chance=CHANCE, **EAGER)
    found = triage_facts("ifgo", *constants(), latch, costs)
    assert {(f["gate"], f["unit"]) for f in found if f["verdict"] == "DECORATIVE"} == {("i", 2), ("o", 2)}


# --- the score --------------------------------------------------------------------------------------------------


class Net(nn.Module):
    """Two layers in both directions, not trained, whose last outputs are read."""

    def __init__(self, cell="lstm"):
        super().__init__()
        self.rnn = hg.Recurrent(cell, I, H, 2, bidirectional=True, dtype=torch.float64)
        self.head = normal(2 * H, seed=8)

    def forward(self, input, lengths):
        output, _ = self.rnn(input, lengths=lengths)
        return torch.tanh(output.sum(0) @ self.head)


def net_losses(model, data):
    return (model(*data) - 0.5).square()


def net_data():
    return [(normal(T, B, I, seed=k), [6, 2, 5, 1, 4][k:] + [6, 2, 5, 1, 4][:k]) for k in range(2)]


def factor(trace):
    """The memory's own factor at each step, by hand, [T, B, H]."""
    if trace.cell.name == "RNN":
        return torch.zeros_like(trace.states["h"])
    if trace.cell.name == "GRU":
        return trace.gates["z"]
    i, f, g, _ = trace.gates.values()
    if not trace.cell.peephole:
        return f
    before = before_each(trace.states["c"], trace)
    p_i, p_f, _ = trace._run.weights["weight_p"].chunk(3)
    return f + before * f * (1 - f) * p_f + g * i * (1 - i) * p_i


def before_each(values, trace):
    """What stood at the step run before, zero at a row's first."""
    if not trace.reverse:
        return torch.cat([torch.zeros_like(values[:1]), values[:-1]])
    return torch.cat([values[1:], torch.zeros_like(values[:1])])


def score_by_hand(trace, mean, lengths):
    """sum_t dL/dc_t (d_t - k_t d_{t-1}) of each row, from the watch's total gradient, [B, H]."""
    taken = (torch.arange(T)[:, None] < torch.tensor(lengths))[..., None]
    away = torch.where(taken, mean - trace.states[trace.cell.memory], 0.0)
    added = away - factor(trace) * before_each(away, trace)
    return (trace.grad[trace.cell.memory] * added).sum(0)


@pytest.mark.parametrize("cell", ["lstm", "gru", "peephole_lstm", "rnn"])
def test_the_score_is_what_the_watchs_gradient_says(cell):
    """Per row, and the mean."""
    model, data = Net(cell), net_data()
    found = sweep_units(model, data, net_losses, verify=0, **EAGER)
    expected = {name: [] for name in found}
    for part in data:
        with hg.watch(model) as seen:
            net_losses(model, part).sum().backward()
        for name, sweep in found.items():
            expected[name].append(score_by_hand(seen[name], torch.from_numpy(sweep.mean), part[1]))
    for name, sweep in found.items():
        rows = torch.cat(expected[name]).numpy()
        assert_all_close({"predicted": sweep.predicted}, {"predicted": rows.mean(0)}, 1e-9)
        assert_all_close({"spread": sweep.spread}, {"spread": np.sqrt((rows**2).mean(0))}, 1e-9)
        assert sweep.unit == LOSS
        assert sweep.units.tolist() == []
        assert np.isnan(sweep.kill).all()


def test_compiled_it_is_what_eager_gives():
    model, data = Net(), net_data()
    compiled, eager = (sweep_units(model, data, net_losses, ["rnn.l1"], engine=e)["rnn.l1"] for e in (None, "eager"))
    for name in ("mean", "predicted", "spread", "kill", "losses"):
        assert_all_close({name: getattr(compiled, name)}, {name: getattr(eager, name)}, 1e-9)


class Linear(nn.Module):
    """A memory that no gate sees, read as it is: h = o c with o always open, and no recurrent weight."""

    def __init__(self):
        super().__init__()
        self.rnn = hg.LSTM(I, H, output_gate=False, output_activation="identity", dtype=torch.float64)
        with torch.no_grad():
            self.rnn.weight_hh_l0.zero_()
            self.rnn.bias_ih_l0[H : 2 * H] = torch.tensor([-1.0, 1.0, 3.0, 6.0])

    def forward(self, input, lengths, reset=None):
        _, (h, _) = self.rnn(input, lengths=lengths, reset=reset)
        return h[0].sum(-1)


@pytest.mark.parametrize("reset", [False, True])
def test_of_a_linear_memory_the_score_is_the_truth(reset):
    """However long it keeps: forget gates from 0.3 to 0.998."""
    input, lengths = net_data()[0]
    begins = torch.zeros(T, B, dtype=torch.bool)
    begins[2, 0] = begins[3, 2] = begins[0, 4] = reset
    found = sweep_units(Linear(), [(input, lengths, begins)], lambda m, d: m(*d), **EAGER)["rnn.l0"]
    assert_all_close({"predicted": found.predicted}, {"predicted": found.kill[:, 1]}, 1e-10)


def test_a_score_that_counts_the_highway_at_every_step_is_noticed(monkeypatch):
    """Mutant: the plain Taylor score, which lets each step's deviation run on beside the next one's."""
    monkeypatch.setattr(units, "_step_before", lambda value, call: torch.zeros_like(value))
    with pytest.raises(AssertionError, match="predicted: relative error"):
        test_of_a_linear_memory_the_score_is_the_truth(False)
    with pytest.raises(AssertionError, match="predicted: relative error"):
        test_the_score_is_what_the_watchs_gradient_says("gru")


def test_the_mean_is_over_rows_and_steps_that_are_taken():
    model, data = Net(), net_data()
    found = sweep_units(model, data, net_losses, ["rnn.l1_reverse"], verify=0, **EAGER)["rnn.l1_reverse"]
    values = []
    for part in data:
        with hg.watch(model) as seen:
            model(*part)
        memory = seen["rnn.l1_reverse"].states["c"]
        values += [memory[:length, row] for row, length in enumerate(part[1])]
    assert_all_close({"mean": found.mean}, {"mean": torch.cat(values).mean(0)}, 1e-12)


def test_a_local_gradient_in_place_of_the_total_is_noticed(monkeypatch):
    """Mutant: what comes through later steps is left out, as by autograd on a layer's output."""

    class Cut(units._Open):
        def __call__(self, call, count):
            result = super().__call__(call, count)
            (mask,) = self.masks[-1:]
            own = mask.detach().requires_grad_()
            self.masks[-1] = own
            return replace(result, output=result.output.detach() + 0.0 * own.sum())

    monkeypatch.setattr(units, "_Open", Cut)
    with pytest.raises(AssertionError, match="predicted"):
        test_the_score_is_what_the_watchs_gradient_says("lstm")


# --- which units are held ---------------------------------------------------------------------------------------


def test_the_ends_of_the_scores_and_whoever_is_named_are_held():
    model, data = Net(), net_data()
    free = sweep_units(model, data, net_losses, ["rnn.l0"], verify=0, **EAGER)["rnn.l0"]
    order = np.argsort(-free.spread)
    found = sweep_units(model, data, net_losses, ["rnn.l0"], 1, {"rnn.l0": [int(order[1])]}, **EAGER)["rnn.l0"]
    assert found.units.tolist() == sorted([order[0], order[-1], order[1]])
    assert np.isnan(found.kill[order[2]]).all()
    assert found.losses.shape == (3, 2 * B)
    np.testing.assert_allclose(found.kill[found.units, 1], (found.losses - found.loss).mean(1))


def test_where_the_loss_is_nearly_linear_what_is_predicted_is_nearly_true():
    """A head that reads faintly: what is left is the recurrence's own bend, and what comes back by other units."""
    model = Net()
    model.head = 0.05 * model.head
    found = sweep_units(model, net_data(), net_losses, **EAGER)
    pairs = np.concatenate([sweep.pairs for sweep in found.values()])
    assert np.corrcoef(pairs.T)[0, 1] > 0.9


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"verify": -1}, ValueError, r"^sweep_units: verify=-1 is no number of units"),
        ({"verify": True}, ValueError, r"^sweep_units: verify=True is no number of units"),
        ({"units": {"rnn.l9": [0]}}, KeyError, r"units are given for 'rnn.l9', but what is looked at is 'rnn.l0'"),
        ({"units": {"rnn.l0": [H]}}, ValueError, r"^sweep_units: rnn.l0 has no unit 4; its units are 0\.\.3\.$"),
        ({"resamples": 3}, ValueError, r"^resamples=3 are too few"),
    ],
)
def test_what_makes_no_sense(arguments, error, words):
    with pytest.raises(error, match=words):
        sweep_units(Net(), net_data()[:1], net_losses, **{**EAGER, **arguments})


def test_a_loss_without_gradient():
    with pytest.raises(ValueError, match=r"^sweep_units: no gradient comes from losses\(model, batch\)"):
        sweep_units(Net(), net_data(), lambda m, d: net_losses(m, d).detach(), **EAGER)


def test_a_unit_that_the_loss_does_not_see():
    """Its layer is called, and nothing of it is read."""

    class Deaf(nn.Module):
        def __init__(self):
            super().__init__()
            self.heard, self.ignored = nn.GRU(I, H), nn.GRU(I, H)

        def forward(self, input):
            self.ignored(input)
            return self.heard(input)[0][-1].sum(-1)

    found = sweep_units(Deaf(), [normal(T, B, I, dtype=torch.float32)], lambda m, d: m(d).square(), **EAGER)
    assert (found["ignored.l0"].predicted == 0.0).all()
    assert (found["ignored.l0"].kill == 0.0).all()
    assert found["heard.l0"].predicted.all()

"""What a monitor sees is exact, what it says has its evidence, and what it keeps survives a checkpoint."""

import io
import logging
import math

import numpy as np
import pytest
import torch
from comparing import assert_all_close
from inspection.monitored import B, H, I, T, batch, constant_lstm, loss_at, monitor_of, net, one_look, train
from inspection.watching import EXACT
from nn.layer_runs import normal
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

import headgate as hg
from headgate.inspection import schema
from headgate.inspection.record import Record

# --- what it sees -----------------------------------------------------------------------------------------------


def test_it_sees_the_first_rows_of_the_batch_exactly():
    model = net().double()
    input = normal(T, B, I)
    look = one_look(model, lambda m: m(input).square().mean(), rows=3)
    with hg.watch(model) as seen:
        model(input).square().mean().backward()
    trace = seen["rnn.l0"]
    trace._run.active[:, 3:] = False  # the other rows take no step: nothing is told of them
    expected = {"profile": np.log10(trace.lag_profile((0.5,))[0]), "highway": trace.highway_share()}
    glance = look.glances["rnn.l0"]
    assert_all_close({"profile": glance.profile, "highway": glance.highway_share}, expected, EXACT)
    gates = trace.gates["f"][:, :3].flatten(0, 1)
    found = {"low": glance.gates["f"].low, "high": glance.gates["f"].high, "deviation": glance.gates["f"].deviation}
    deviation = torch.special.logit(gates).std(0, correction=0)
    shares = {"low": (gates < 0.1).double().mean(0), "high": (gates > 0.9).double().mean(0), "deviation": deviation}
    assert_all_close(found, shares, EXACT)


def test_a_known_horizon():
    layer, input = constant_lstm(0.9, 60)
    look = one_look(layer, lambda m: m(input)[0][-1].sum())
    found = {tag.removeprefix("rnn/l0/"): value for tag, value in look.scalars.items()}
    fade = math.log10(0.9)
    tau = -1 / math.log(0.9)
    expected = {"ratio_lag1": fade, "ratio_lag10": 10 * fade, "highway_share_lag1": 1.0, "highway_share_lag10": 1.0}
    expected |= {"tau_p50": tau, "tau_p90": tau, "tau_max": tau, "horizon_stored": tau}
    expected |= {"horizon_trainable": 59, "rnn/warnings": 0.0}
    expected |= {f"sat_{gate}_{end}": 0.0 for gate in "ifo" for end in ("lo", "hi")}
    assert_all_close(found, expected, EXACT)


def test_the_known_horizon_can_fail():
    """A gate that is a thousandth more open is noticed."""
    layer, input = constant_lstm(0.901, 60)
    look = one_look(layer, lambda m: m(input)[0][-1].sum())
    with pytest.raises(AssertionError, match="lag10"):
        assert_all_close({"lag10": look.scalars["rnn/l0/ratio_lag10"]}, {"lag10": 10 * math.log10(0.9)}, EXACT)


def test_the_trainable_horizon_ends_where_the_gradient_has_faded_a_thousandfold():
    layer, input = constant_lstm(0.5, 40)
    look = one_look(layer, lambda m: m(input)[0][-1].sum())
    assert look.scalars["rnn/l0/horizon_trainable"] == 9, "0.5^9 = 2e-3 and 0.5^10 = 9.8e-4"


def test_histograms_stand_on_the_logit_axis():
    layer, input = constant_lstm(0.9, 20)
    gate = one_look(layer, lambda m: m(input)[0][-1].sum(), rows=4).glances["l0"].gates["f"]
    assert gate.histogram.sum() == gate.histogram.max() == 20 * 4 * H, "all values lie in one piece"
    assert gate.total / gate.histogram.sum() == pytest.approx(math.log(9))


def test_layers_directions_and_packed_batches():
    layer = nn.GRU(I, H, 2, bidirectional=True)
    packed = pack_padded_sequence(batch(0), [3, 12, 5, 1, 2, 4], enforce_sorted=False)
    look = one_look(layer, lambda m: m(packed)[0].data.square().sum())
    assert list(look.glances) == ["l0", "l0_reverse", "l1", "l1_reverse"]
    assert not look.missing and all(math.isfinite(glance.at(2)) for glance in look.glances.values())


# --- what it says -----------------------------------------------------------------------------------------------


def forgetful(model, step):
    """A loss that nothing makes better, on a layer that forgets at once."""
    with torch.no_grad():
        model.rnn.bias_ih_l0[H : 2 * H] = -6.0
        model.rnn.weight_hh_l0.mul_(0.1)
    return 1.0 + 1e-3 * loss_at(model, step)


def test_vanishing_is_said_twice_seen_with_its_evidence(caplog):
    model = net()
    monitor = monitor_of(model, every=1, needs_lag=8, chance=1.0)
    with caplog.at_level(logging.WARNING, "headgate.monitor"):
        train(model, monitor, range(5), forgetful)
    (alarm,) = monitor.warnings
    assert (alarm.step, alarm.layer, alarm.verdict.name) == (1, "rnn.l0", "VANISHING")
    (message,) = caplog.messages
    assert message == str(alarm) and "r(8) = " in message and "r(N) < 1e-" in message and "AUTOTRAINER" in message
    monitor.start_epoch()
    train(model, monitor, range(5, 8), forgetful)
    assert [alarm.step for alarm in monitor.warnings] == [1, 5]


@pytest.mark.parametrize("told", [{}, {"needs_lag": 8}, {"chance": 1.0}, {"needs_lag": 8, "chance": 9.0}], ids=str)
def test_it_is_silent_without_a_need_or_a_baseline_and_while_the_model_learns(told, caplog):
    model = net()
    monitor = monitor_of(model, every=1, **told)
    train(model, monitor, range(4), forgetful)
    assert monitor.warnings == [] and caplog.messages == []


def norms_told(*norms_and_losses, in_a_row=1):
    """A monitor and its last look, of steps with these norms and losses."""
    monitor, looks = monitor_of(net(), every=1, in_a_row=in_a_row), []
    for step, (norm, loss) in enumerate(norms_and_losses):
        with monitor.step(step) as look:
            look.report(norm=norm, clip=5.0, loss=loss)
        looks.append(look)
        monitor.start_epoch()
    return monitor, looks[-1]


def test_a_jump_of_the_gradient_norm_tells_with_a_loss_that_rises():
    before = [(1.0, 0.7), (2.0, 0.7), (1.0, 0.7)]
    learning, _ = norms_told(*before, (16.0, 0.5), (16.0, 0.3))
    assert learning.warnings == [], "a plateau is left"
    alone, _ = norms_told(*((norm, None) for norm, _ in before), (16.0, None), (16.0, None))
    assert alone.warnings == [], "whether it harms is not known"
    once, _ = norms_told(*before, (16.0, 0.9), (1.0, 0.7), (16.0, 0.9), in_a_row=2)
    assert once.warnings == [], "and it was undone"
    twice, _ = norms_told(*before, (16.0, 0.9), (16.0, 0.9), in_a_row=2)
    assert [(alarm.step, alarm.verdict.level) for alarm in twice.warnings] == [(4, "warn")]
    assert twice.warnings[0].verdict.number == "norm = 16, usually 1.5; loss = 0.9, usually 0.7"
    monitor, look = norms_told(*before, (9.0, 0.9), (16.0, 0.9), (math.nan, 0.9))
    assert [(alarm.step, alarm.layer, alarm.verdict.level) for alarm in monitor.warnings] == [
        (4, "", "warn"),
        (5, "", "bad"),
    ]
    assert look.scalars["rnn/clip_rate"] == pytest.approx(2 / 6)


def test_a_loss_that_is_no_number_is_said_and_breaks_nothing():
    model = net()
    monitor = monitor_of(model, every=1)
    train(model, monitor, range(2), lambda m, step: loss_at(m, step) * math.nan)
    assert monitor.warnings[0].verdict.name == "EXPLODING" and "loss = nan" in monitor.warnings[0].verdict.number


def test_what_cannot_be_seen_is_said_once(caplog):
    model = net()
    monitor = monitor_of(model, every=1)
    for step in range(3):
        with monitor.step(step) as look, torch.no_grad():
            loss_at(model, step)
    assert "it ran without gradients" in look.missing["rnn.l0"] == monitor.missing["rnn.l0"]
    assert len(caplog.messages) == 1 and "not seen" in caplog.messages[0]


def test_a_layer_that_was_not_called(caplog):
    model = net()
    look = one_look(model, lambda m: m.head(torch.ones(2, H)).sum())
    assert look.missing == {"": "no recurrent layer was called in the step that was looked at."}


def test_an_overflow_is_missing_and_not_an_end():
    model = net()
    with torch.no_grad():
        model.rnn.bias_ih_l0[0] = math.nan
    look = one_look(model, lambda m: loss_at(m, 0))
    assert "NaN or infinity" in look.missing["rnn.l0"] and not look.glances


# --- what it keeps ----------------------------------------------------------------------------------------------


def test_the_film_holds_sequences_of_several_lengths():
    model = net()
    monitor = monitor_of(model, every=1)
    train(model, monitor, range(3), lambda m, step: loss_at(m, step, (5, 12, 7)[step]))
    arrays = monitor.film.arrays("rnn.l0")
    assert arrays["film"].shape == (3, 12) and arrays["lags"].tolist() == list(range(12))
    assert np.isnan(arrays["film"]).sum(1).tolist() == [7, 0, 5]
    assert np.isfinite(arrays["film_loss"]).all()
    some = monitor.film.arrays("rnn.l0", [0, 2, 11])
    assert np.array_equal(some["film"], arrays["film"][:, [0, 2, 11]], equal_nan=True)


def test_long_sequences_are_kept_at_log_spaced_lags():
    layer, input = constant_lstm(0.99, 2000)
    monitor = monitor_of(layer, rows=1)
    with monitor.step():
        layer(input)[0][-1].sum().backward()
    film = monitor.film.arrays("l0")
    assert film["lags"][:513].tolist() == list(range(513)) and film["lags"][-1] == 1999 and len(film["lags"]) < 700
    assert film["film"][0] == pytest.approx(film["lags"] * math.log10(0.99), rel=1e-5)


def test_a_record_takes_the_film_and_the_warnings():
    model = net()
    monitor = monitor_of(model, every=1, needs_lag=8, chance=1.0)
    train(model, monitor, range(4), forgetful)
    record = Record("rnn.l0", {"cell": "LSTM"}, {"lags": np.arange(6)})
    found = monitor.add_to(record)
    schema.check(found.name, found.arrays)
    assert found.arrays["film"].shape == (4, 6) and found.facts["cell"] == "LSTM"
    assert [warning["name"] for warning in found.facts["warnings"]] == ["VANISHING"]
    assert monitor.add_to(Record("rnn.l0")).arrays["lags"].tolist() == list(range(T))
    with pytest.raises(KeyError, match="no look saw 'other'"):
        monitor.add_to(Record("other"))


def test_training_that_is_resumed_goes_on_with_the_same_film_and_the_same_warnings():
    """The checkpoint is read without running code."""
    whole_model = net()
    whole = monitor_of(whole_model, needs_lag=8, chance=1.0)
    train(whole_model, whole, range(12), forgetful)
    model = net()
    first = monitor_of(model, needs_lag=8, chance=1.0)
    train(model, first, range(3), forgetful)
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    file.seek(0)
    second = monitor_of(model, needs_lag=8, chance=1.0)
    second.load_state_dict(torch.load(file, weights_only=True))
    train(model, second, range(3, 12), forgetful)
    assert second.warnings == whole.warnings and len(whole.warnings) == 1
    assert second.history == whole.history
    one, other = second.film.arrays("rnn.l0"), whole.film.arrays("rnn.l0")
    assert all(np.array_equal(one[name], other[name], equal_nan=True) for name in other)


@pytest.mark.parametrize(
    ("layer", "capped"),
    [(lambda: nn.LSTM(I, H), ["DTYPE-CAPPED"]), (lambda: hg.LSTM(I, H), [])],
    ids=["torch-keeps-gates-half", "ours-keeps-them-wide"],
)
def test_half_precision_caps_the_memory_only_where_gates_are_kept_in_it(layer, capped):
    model = layer().to(torch.bfloat16)
    monitor = monitor_of(model, every=1, needs_lag=300, in_a_row=1)
    with monitor.step():
        model(batch(0).to(torch.bfloat16))[0][-1].float().sum().backward()
    assert [alarm.verdict.name for alarm in monitor.warnings] == capped and not monitor.missing

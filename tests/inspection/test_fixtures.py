"""Networks whose memory is known by hand, through `examine` from end to end: every horizon, share and verdict is the
known one, and no other verdict is there (inspection.md 2.7)."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from inspection import latch
from inspection.known_runs import Linear, rotation
from nn.layer_runs import normal
from torch import nn

import headgate as hg
from headgate.inspection.examination import examine
from headgate.inspection.verdicts import judge

EXACT = 1e-9
T, H, G0 = 140, 3, 0.5  # steps and units; the candidate's value in a fading network


class Reads(nn.Module):
    """A layer whose last output is read as it is."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.rnn = layer

    def forward(self, input):
        return self.rnn(input)[0]


def last_sum(model, input):
    """The sum of the last output, by row."""
    return model(input)[-1].sum(-1)


def dense_sum(model, input):
    return model(input).sum((0, 2))


def fading(f0: float, dtype=torch.float64, family=nn.LSTM) -> Reads:
    """An LSTM of which every gate is its bias alone: f is f0, i and o are a half, g is G0."""
    layer = family(2, H, dtype=dtype)
    with torch.no_grad():
        for value in layer.parameters():
            value.zero_()
        layer.bias_ih_l0[H : 2 * H] = math.log(f0 / (1 - f0))
        layer.bias_ih_l0[2 * H : 3 * H] = math.atanh(G0)
    return Reads(layer)


def first_gradient(f0: float, steps: int) -> float:
    """dl/dc at the last step of that network, if the loss is the sum of h: o (1 - tanh(c)^2)."""
    c = 0.5 * G0 * (1 - f0**steps) / (1 - f0)
    return 0.5 * (1 - math.tanh(c) ** 2)


def linear(U) -> Reads:
    """h_t = U h_{t-1} + x_t."""
    layer = hg.Recurrent(Linear(), len(U), len(U), dtype=torch.float64)
    with torch.no_grad():
        for value in layer.parameters():
            value.zero_()
        layer.weight_ih_l0.copy_(torch.eye(len(U)))
        layer.weight_hh_l0.copy_(torch.as_tensor(U))
    return Reads(layer)


def found(model, input, losses=last_sum, **asked):
    """The only Record and its verdicts, name and level; everything that must hold of any is checked."""
    examination = examine(model, [input], losses, **{"causes": False, **asked})
    ((name, record),) = examination.records.items()
    verdicts = examination.verdicts[name]
    assert all(verdict.number and verdict.rule and verdict.source and verdict.text for verdict in verdicts)
    assert record.facts["verdicts"] == [verdict.as_facts() for verdict in verdicts]
    json.dumps(record.facts, allow_nan=False)
    return record, {(verdict.name, verdict.level) for verdict in verdicts}


# --- a constant forget gate


def assert_fades(record, f0: float, steps: int) -> None:
    """All that follows from f0."""
    facts, arrays, lags = record.facts, record.arrays, np.arange(steps)
    expected = lags * math.log10(f0)
    np.testing.assert_allclose(arrays["lag_profile"], np.tile(expected, (3, 1)), atol=EXACT)
    np.testing.assert_allclose(arrays["highway_profile"], expected, atol=EXACT)
    np.testing.assert_allclose(arrays["highway_share"], 1.0, atol=EXACT)
    assert np.isnan(arrays["rest_profile"]).all()
    np.testing.assert_allclose(arrays["timescales"], -1 / math.log(f0), rtol=EXACT)
    np.testing.assert_allclose(arrays["survival"], np.tile(f0**lags, (H, 1)), atol=EXACT)
    assert facts["decay"]["rate"] == pytest.approx(f0, rel=EXACT)
    assert facts["decay"]["half_life"] == pytest.approx(math.log(0.5) / math.log(f0), rel=EXACT)
    stored, trainable = facts["horizons"]["stored"], facts["horizons"]["trainable"]
    assert stored["max"] == stored["p50"] == pytest.approx(-1 / math.log(f0), rel=EXACT)
    reached = {name: min(math.floor(math.log(float(name)) / math.log(f0)), steps - 1) for name in ("1e-3", "1e-7")}
    assert {name: trainable[name] for name in reached} == reached
    assert trainable["at_least"] == (reached["1e-3"] == steps - 1) and trainable["measured"] == steps - 1
    # With U = 0 the direction of h is annihilated at every step, so there is no sum; of c, H directions remain.
    np.testing.assert_allclose(np.sort(record.arrays["lyapunov"])[:H], math.log(f0), atol=EXACT)


@pytest.mark.parametrize(
    ("f0", "losses"), ((0.5, last_sum), (0.88, last_sum), (0.97, last_sum), (0.88, dense_sum))
)
def test_a_constant_forget_gate(f0, losses):
    record, _ = found(fading(f0), normal(T, 2, 2), losses)
    assert_fades(record, f0, T)


def test_mutant_a_gate_one_per_cent_off_is_noticed():
    record, _ = found(fading(0.88 * 1.01), normal(T, 2, 2))
    with pytest.raises(AssertionError):
        assert_fades(record, 0.88, T)


# f0 = 0.88: time scale 7.8, r(7) = 0.41, r(30) = 0.022, r(60) = 4.7e-4, r(130) = 6.1e-8; the loss is about 1.4.
SHORT, COULD, BEYOND = ("SHORT MEMORY BY DESIGN", "warn"), ("COULD REMEMBER", "note"), ("NEED BEYOND DATA", "warn")
JUDGED = {
    "could remember": ({"needs_lag": 7}, {COULD}),
    "longer than it holds": ({"needs_lag": 30}, {SHORT}),
    "vanished, by an unknown loss": ({"needs_lag": 60}, {SHORT, ("VANISHING", "note")}),
    "vanished, no better than chance": ({"needs_lag": 60, "chance": 1.0}, {SHORT, ("VANISHING", "warn")}),
    "strongly": ({"needs_lag": 130, "chance": 1.0}, {SHORT, ("VANISHING", "bad")}),
    "vanished, and yet better": ({"needs_lag": 130, "chance": 9.0}, {SHORT}),
    "not known": ({}, {("NEED UNKNOWN", "note")}),
    "not known, cut": ({"tbptt": 135}, {("NEED UNKNOWN", "note")}),
    "cut before": ({"needs_lag": 7, "tbptt": 6}, {COULD, ("TBPTT-BLIND", "bad")}),
    "cut after": ({"needs_lag": 7, "tbptt": 135}, {COULD}),
    "beyond the sequences": ({"needs_lag": 500}, {("SHORT MEMORY BY DESIGN", "note"), BEYOND}),
    "just beyond": ({"needs_lag": T}, {("SHORT MEMORY BY DESIGN", "note"), BEYOND}),
}


@pytest.mark.parametrize(("asked", "expected"), JUDGED.values(), ids=JUDGED)
def test_verdicts_on_a_constant_forget_gate(asked, expected):
    assert found(fading(0.88), normal(T, 2, 2), dynamics=False, **asked)[1] == expected


def test_the_numbers_in_the_verdicts_are_the_known_ones():
    record, _ = found(fading(0.88), normal(T, 2, 2), needs_lag=60, chance=1.0, dynamics=False)
    by_name = {verdict.name: verdict for verdict in judge(record)}
    assert by_name["VANISHING"].number == f"r(60) = {0.88**60 * 1e4:.1f}e-4"
    assert by_name["SHORT MEMORY BY DESIGN"].number == "longest time scale 7.82 steps, rest(60) = 0"


def test_cutting_a_long_memory_short_turns_the_update():
    """Nobody says what the task needs, but the truncated gradient is not the whole one."""
    model = fading(0.97)
    with torch.no_grad():
        model.rnn.weight_ih_l0[2 * H : 3 * H] = 1.0

    def contrast(model, input):
        """Of each pair of rows the difference counts, so that what all rows share does not."""
        return last_sum(model, input) * torch.tensor([1.0, -1.0]).repeat(8)

    record, verdicts = found(model, normal(100, 16, 2), contrast, tbptt=2, dynamics=False)
    assert ("TBPTT-BLIND", "warn") in verdicts and record.facts["truncation"] > 0.1
    record, verdicts = found(model, normal(100, 16, 2), contrast, tbptt=99, dynamics=False)
    assert verdicts == {("NEED UNKNOWN", "note"), ("CONSTANT", "note")} and record.facts["truncation"] < 1e-9


@pytest.mark.parametrize(("dtype", "f0", "steps"), ((torch.float32, 0.5, 140), (torch.float16, 0.5, 20)))
def test_gradient_dead(dtype, f0, steps):
    floor = math.log10(torch.finfo(dtype).smallest_normal)
    dead = math.floor((math.log10(first_gradient(f0, steps)) - floor) / -math.log10(f0)) + 1
    model, input = fading(f0, dtype), normal(steps, 2, 2).to(dtype)
    record, verdicts = found(model, input, needs_lag=steps - 1, dynamics=False)
    assert record.facts["horizons"]["trainable"]["dead"] == dead and ("GRADIENT DEAD", "bad") in verdicts
    (verdict,) = (v for v in judge(record) if v.name == "GRADIENT DEAD")
    assert verdict.number.startswith(f"largest |dl/dm_(s-{dead})| = ")
    assert ("GRADIENT DEAD", "note") in found(model, input, needs_lag=dead - 1, dynamics=False)[1]
    wide, verdicts = found(fading(f0), input.double(), needs_lag=steps - 1, dynamics=False)
    assert wide.facts["horizons"]["trainable"]["dead"] is None and "GRADIENT DEAD" not in dict(verdicts)


def test_a_gradient_of_exactly_zero_is_judged_as_what_it_is():
    """A relu network that is off passes nothing on: not a small number, and not an unknown one."""
    layer = nn.RNN(2, H, nonlinearity="relu", dtype=torch.float64)
    with torch.no_grad():
        layer.bias_ih_l0.fill_(-100.0)
    record, verdicts = found(Reads(layer), normal(20, 3, 2), needs_lag=5, chance=0.0)
    assert verdicts == {("GRADIENT DEAD", "bad"), ("VANISHING", "bad")}
    trainable = record.facts["horizons"]["trainable"]
    assert trainable == {"1e-3": 0, "1e-7": 0, "dead": 1, "measured": 19, "at_least": False}
    assert record.facts["stable_rank"][0] is None and record.facts["lyapunov"]["largest"] is None
    # Sequences of one step say nothing of it.
    record, verdicts = found(Reads(layer), normal(1, 3, 2), needs_lag=5, chance=0.0)
    assert verdicts == {BEYOND} and record.facts["horizons"]["trainable"]["measured"] == 0


# --- number formats

FLOORS = {torch.float64: 2.0**-1022, torch.float32: 2.0**-126, torch.bfloat16: 2.0**-126, torch.float16: 2.0**-14}
SUBNORMAL = {torch.float64: -1074, torch.float32: -149, torch.bfloat16: -133, torch.float16: -24}  # powers of two
CAPS = {torch.bfloat16: 255, torch.float16: 2047}


@pytest.mark.parametrize("dtype", FLOORS, ids=str)
def test_the_format_that_torchs_layer_computes_in_is_told(dtype):
    record, _ = found(fading(0.97, dtype), normal(12, 2, 2).to(dtype), dynamics=False)
    facts = record.facts
    assert facts["dtype"] == str(dtype).removeprefix("torch.")
    assert facts["floor"] == pytest.approx(math.log10(FLOORS[dtype]))
    assert facts["floor_subnormal"] == pytest.approx(SUBNORMAL[dtype] * math.log10(2.0))


@pytest.mark.parametrize("dtype", FLOORS, ids=str)
def test_what_a_format_caps(dtype):
    """Gates of 0.9985, 665 steps: what they store in truth is the same, but a format may not hold such a gate."""

    def capped(needs_lag, family=nn.LSTM):
        model = fading(0.9985, dtype, family)
        record, verdicts = found(model, normal(12, 2, 2).to(dtype), needs_lag=needs_lag, dynamics=False)
        assert record.facts["horizons"]["stored"]["max"] == pytest.approx(665, rel=0.05)
        return record, {name for name, _ in verdicts} - {"CONSTANT", "SHORT MEMORY BY DESIGN", "NEED BEYOND DATA"}

    cap = CAPS.get(dtype)
    for needs_lag in (255, 256, 2047, 2048):
        expected = {"DTYPE-CAPPED"} if cap is not None and needs_lag > cap else set()
        assert capped(needs_lag)[1] == expected
    # Our engines keep gates and states wide, whatever the weights are in.
    record, names = capped(2048, hg.LSTM)
    assert names == set() and record.facts["dtype"] == ("float64" if dtype == torch.float64 else "float32")


# --- linear networks


def test_a_rotation_keeps_everything():
    n, last = 4, 59
    record, verdicts = found(linear(rotation(n)), normal(last + 1, 3, n), needs_lag=50, chance=0.0)
    assert verdicts == set()  # nothing has vanished, nothing explodes, and there is no highway to remember by
    facts, arrays = record.facts, record.arrays
    np.testing.assert_allclose(arrays["lag_profile"], 0.0, atol=EXACT)
    assert facts["horizons"]["trainable"] == {
        "1e-3": last, "1e-7": last, "dead": None, "measured": last, "at_least": True
    }
    assert "missing" in facts["horizons"]["stored"] and facts["decay"]["half_life"] is None
    assert facts["decay"]["rate"] == pytest.approx(1.0, rel=EXACT)
    np.testing.assert_allclose(arrays["lyapunov"], 0.0, atol=EXACT)
    assert facts["lyapunov"]["surviving"] == n and facts["lyapunov"]["sum"] == pytest.approx(0.0, abs=EXACT)
    assert facts["lyapunov"]["closed_form"] == pytest.approx(0.0, abs=EXACT)
    np.testing.assert_allclose(arrays["jacobian_norm"], math.log10(math.sqrt(n)), atol=EXACT)
    np.testing.assert_allclose(np.hypot(arrays["eigenvalues_real"], arrays["eigenvalues_imaginary"]), 1.0, atol=EXACT)
    np.testing.assert_allclose(facts["stable_rank"], n, rtol=EXACT)


LAMBDAS = np.array([0.9, 0.3, 0.1])  # far apart, so that directions settle within the warm-up


def assert_diagonal(record, lambdas, steps: int) -> None:
    lags = np.arange(steps)
    expected = 0.5 * np.log10((lambdas ** (2 * lags[:, None])).mean(1))
    np.testing.assert_allclose(record.arrays["lag_profile"][1], expected, atol=EXACT)
    np.testing.assert_allclose(record.arrays["lyapunov"], np.sort(np.log(lambdas))[::-1], atol=EXACT)
    products = 0.5 * np.log10((lambdas ** (2 * lags[:, None])).sum(1))
    np.testing.assert_allclose(record.arrays["jacobian_norm"][1], products, atol=EXACT)
    assert record.facts["lyapunov"]["closed_form"] == pytest.approx(np.log(lambdas).sum(), rel=EXACT)


def test_a_diagonal_network_fades_by_its_largest_factor():
    record, verdicts = found(linear(np.diag(LAMBDAS)), normal(120, 2, 3), needs_lag=100)
    assert_diagonal(record, LAMBDAS, 120)
    assert record.facts["decay"]["rate"] == pytest.approx(0.9, rel=1e-3)
    assert record.facts["lyapunov"]["surviving"] == 0 and verdicts == {("VANISHING", "note")}
    with pytest.raises(AssertionError):
        assert_diagonal(record, LAMBDAS * 1.001, 120)


def test_a_growing_network_explodes_and_one_that_hardly_grows_does_not():
    record, verdicts = found(linear(np.diag([1.2, 0.5])), normal(40, 2, 2), needs_lag=20)
    assert verdicts == {("EXPLODING", "bad")} and record.facts["decay"]["half_life"] is None
    (verdict,) = judge(record)
    assert verdict.number.startswith(f"r(39) = {1.2**39 / math.sqrt(2):.0f}, ")
    assert found(linear(np.diag([1.05, 0.5])), normal(40, 2, 2), needs_lag=20)[1] == set()


def test_growth_by_its_exponent_alone():
    """A direction that grows, but that the loss does not read: only the exponent knows."""
    model = linear(np.diag([1.2, 0.5]))
    verdicts = found(model, normal(40, 2, 2), lambda m, x: m(x)[-1, :, 1], needs_lag=5)[1]
    assert verdicts == {("EXPLODING", "warn")}


def test_gradients_that_a_layer_above_hands_on_do_not_explode():
    """Of a loss at the last step, the lower layer's reverse direction gets most at its beginning, by the layer above;
    in its own steps nothing grows."""
    torch.manual_seed(2)
    model = Reads(nn.LSTM(3, 4, 2, bidirectional=True, dtype=torch.float64))
    examination = examine(model, [normal(12, 5, 3)], last_sum, needs_lag=3, causes=False)
    record = examination.records["rnn.l0_reverse"]
    assert record.arrays["lag_profile"][1].max() > math.log10(70)
    assert "EXPLODING" not in {v.name for verdicts in examination.verdicts.values() for v in verdicts}
    blind = {name: value for name, value in record.arrays.items() if name != "jacobian_norm"}
    assert "EXPLODING" in {verdict.name for verdict in judge(replace(record, arrays=blind))}


# --- a latch


def latched(shown: int, steps: int = 40, **asked):
    model, data = latch.Latch(), latch.batch(steps, 24, shown)
    return found(model, data, latch.losses, causes=True, chance=latch.CHANCE, **asked)


def test_a_latch_through_everything():
    lag = 7
    record, verdicts = latched(39 - lag, needs_lag=lag)
    assert verdicts == {("REMEMBERS", "good"), ("CONSTANT", "note")}
    facts = record.facts
    assert facts["horizons"]["used"]["lag"] == lag + 1  # so many steps, the one that shows it among them
    assert facts["horizons"]["trainable"]["at_least"] and facts["horizons"]["trainable"]["1e-3"] == 39
    assert facts["horizons"]["stored"]["max"] > 1e12 and facts["horizons"]["stored"]["p50"] < 10
    assert facts["loss"]["value"] < 1e-6 and facts["loss"]["chance"] == 1.0 and facts["loss"]["rows"] == 24
    said = {(one["unit"], one["gate"]): one["verdict"] for one in facts["triage"]}
    assert said == {
        (0, "f"): "INTEGRATOR", (0, "o"): "INTEGRATOR", (1, "i"): "DEAD", (1, "f"): "DEAD", (1, "o"): "DEAD"
    }
    np.testing.assert_allclose(record.arrays["lag_profile"][1], 0.0, atol=1e-6)
    np.testing.assert_allclose(record.arrays["kill"][1:], 0.0, atol=1e-9)
    # Held at its mean, near nothing, the latch answers nothing: what was learnt is lost.
    assert record.arrays["kill"][0, 1] > 0.9
    # Shown in the second half, nothing of it is lost at a reset half way.
    assert facts["reset"]["middle"] == pytest.approx(0.0, abs=1e-6)


def test_a_latch_that_is_set_early_is_lost_by_a_reset():
    record, _ = latched(0, needs_lag=39)
    assert record.facts["reset"]["middle"] == pytest.approx(1.0, abs=1e-6)
    assert record.facts["horizons"]["used"]["lag"] == 40


def test_mutant_a_latch_that_leaks_does_not_remember():
    model, data = latch.Latch(), latch.batch(40, 24, 0)
    with torch.no_grad():
        model.memory.bias_ih_l0[latch.UNITS] = 2.0
    _, verdicts = found(model, data, latch.losses, needs_lag=39)
    assert not {"REMEMBERS"} & set(dict(verdicts)) and "SHORT MEMORY BY DESIGN" in dict(verdicts)

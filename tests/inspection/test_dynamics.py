"""Dynamics added to a Record: the numbers of each measurement, in time, and a reason for each that was not made."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from comparing import assert_all_close
from inspection.watching import EXACT
from nn.layer_runs import normal
from torch import nn

import headgate as hg
from headgate.inspection import dynamics
from headgate.inspection.dynamics import with_dynamics
from headgate.inspection.eigenvalues import eigenvalues
from headgate.inspection.measure import measure
from headgate.inspection.probes import jacobian_norms
from headgate.inspection.record import Record
from headgate.inspection.singular import singular_values
from headgate.inspection.spectrum import lyapunov

T, B, I, H = 30, 3, 2, 3  # noqa: E741 - the field's letter


def traces(layer, lengths=None, steps: int = T, **how):
    """What a watch saw of a loss that reads every step."""
    input = normal(steps, B, I, dtype=layer.weight_ih_l0.dtype)
    with hg.watch(layer) as seen:
        output = layer(input, lengths=torch.tensor(lengths), **how)[0] if lengths is not None else layer(input)[0]
        output.square().sum().backward()
    return seen


def measured(trace, **asked):
    asked = {"content": False, "needs_lag": 10, **asked}
    return with_dynamics(trace.adjoint, measure(trace, **asked), seed=4)


@pytest.fixture(scope="module")
def seen():
    torch.manual_seed(0)
    return traces(hg.LSTM(I, H, bidirectional=True, dtype=torch.float64), lengths=[17, 30, 0])


@pytest.mark.parametrize("name", ("l0", "l0_reverse"))
def test_numbers_are_those_of_each_measurement(seen, name):
    trace = seen[name]
    record = measured(trace)
    adjoint, arrays, facts = trace.adjoint, record.arrays, record.facts
    norms = jacobian_norms(adjoint, seed=4)
    exponents = lyapunov(adjoint, None, rows=[0, 1], seed=4)  # the rows that take a step
    values, singular = eigenvalues(adjoint, row=1), singular_values(adjoint, row=1, seed=4)  # of the longest
    expected = {
        "jacobian_norm": np.stack([norms.low, norms.estimate, norms.high]),
        "lyapunov": exponents.exponents,
        "lyapunov_band": exponents.band,
        "eigenvalues_real": values.values.real,
        "eigenvalues_imaginary": values.values.imag,
        "singular_values": singular.log10,
    }
    count = len(norms.estimate)
    found = {key: arrays[key] for key in expected} | {"jacobian_norm": arrays["jacobian_norm"][:, :count]}
    assert_all_close(found, expected, EXACT)
    assert np.isnan(arrays["jacobian_norm"][:, count:]).all()
    assert arrays["eigenvalue_steps"].tolist() == [T - 1 - t if trace.reverse else t for t in values.steps.tolist()]
    said = facts["lyapunov"]
    assert said["largest"] == exponents.exponents[0] and said["steps"] == exponents.counted.sum() and said["complete"]
    assert said["sum"] == pytest.approx(said["closed_form"], rel=1e-8) and said["reason"] == ""
    assert said["surviving"] == exponents.surviving(10) == facts["horizons"]["stored"]["surviving"]
    assert facts["missing"].keys() <= {"provenance", "ablation", "kill"}
    json.dumps(facts, allow_nan=False)


def test_eigenvalues_stand_at_the_steps_they_are_of(seen):
    """A mutant that leaves a reversed run in its own order is noticed."""
    trace = seen["l0_reverse"]
    record = measured(trace)
    steps = record.arrays["eigenvalue_steps"].tolist()
    assert steps != eigenvalues(trace.adjoint, row=1).steps.tolist()
    for k, t in enumerate(steps):
        values = np.linalg.eigvals(trace.jacobian(t, 1).numpy())
        moduli = np.hypot(record.arrays["eigenvalues_real"][k], record.arrays["eigenvalues_imaginary"][k])
        np.testing.assert_allclose(np.sort(np.abs(values)), np.sort(moduli), atol=1e-7)


def test_what_was_measured_before_stays(seen):
    before = measure(seen["l0"], content=False)
    after = with_dynamics(seen["l0"].adjoint, before)
    assert before.arrays.keys() < after.arrays.keys() and "lyapunov" not in before.facts
    for name, value in before.arrays.items():
        np.testing.assert_array_equal(after.arrays[name], value)
    # Without a need nobody can say which directions survive.
    assert after.facts["lyapunov"]["surviving"] is None and "surviving" not in after.facts["horizons"]["stored"]


def test_a_plain_network_has_a_bound_and_no_highway():
    record = measured(traces(nn.RNN(I, H, dtype=torch.float64))["l0"])
    assert (record.arrays["jacobian_norm"][1] <= record.arrays["bound"] + np.log10(np.sqrt(H)) + EXACT).all()
    assert "surviving" not in record.facts["horizons"]["stored"] and record.facts["lyapunov"]["surviving"] >= 0
    assert "bound" not in measured(traces(nn.GRU(I, H, dtype=torch.float64))["l0"]).arrays


def test_of_a_large_state_the_largest_exponents_alone(monkeypatch):
    monkeypatch.setattr(dynamics, "COMPLETE", 5)
    monkeypatch.setattr(dynamics, "FEW", 2)
    said = measured(traces(nn.LSTM(I, H, dtype=torch.float64))["l0"])
    assert len(said.arrays["lyapunov"]) == 2 and not said.facts["lyapunov"]["complete"]
    assert said.facts["lyapunov"]["sum"] is None and "only the 2 largest of 6" in said.facts["lyapunov"]["reason"]


def test_a_network_that_is_off_has_no_exponents_and_no_rank():
    layer = nn.RNN(I, H, nonlinearity="relu", dtype=torch.float64)
    with torch.no_grad():
        layer.bias_ih_l0.fill_(-100.0)
    with hg.watch(layer) as seen:
        layer(normal(T, B, I))[0].sum().backward()
    record = measured(seen["l0"])
    facts = record.facts
    assert facts["lyapunov"]["largest"] is None and facts["lyapunov"]["surviving"] == 0
    assert set(facts["stable_rank"]) == {None} and np.isnan(record.arrays["lyapunov"]).all()
    json.dumps(facts, allow_nan=False)


@pytest.mark.parametrize("steps", (1, 2))
def test_of_few_steps_what_there_is(steps):
    record = measured(traces(nn.LSTM(I, H, dtype=torch.float64), steps=steps)["l0"])
    assert ("singular_values" in record.arrays) == (steps > 1)
    assert ("singular_values" in record.facts["missing"]) == (steps == 1)
    assert "eigenvalues_real" in record.arrays and "lyapunov" in record.arrays
    json.dumps(record.facts, allow_nan=False)


@pytest.mark.parametrize("error", (ValueError, torch.linalg.LinAlgError))
def test_a_measurement_that_fails_says_why_and_the_others_are_there(seen, error, monkeypatch):
    def failing(*arguments, **more):
        raise error("it does not settle")

    monkeypatch.setattr(dynamics, "singular_values", failing)
    record = measured(seen["l0"])
    assert record.facts["missing"]["singular_values"] == "it does not settle"
    assert "singular_values" not in record.arrays and {"lyapunov", "eigenvalues_real"} <= record.arrays.keys()


def test_without_a_step_there_is_nothing():
    layer = hg.LSTM(I, H, dtype=torch.float64)
    with hg.watch(layer) as seen:
        layer(normal(4, B, I), lengths=torch.zeros(B, dtype=torch.int64))
    adjoint = seen["l0"].adjoint
    empty = Record("l0", {"missing": {}}, {"lengths": np.zeros(B, int)})
    found = with_dynamics(adjoint, empty)
    assert found.facts["missing"] == {"dynamics": "no row takes a step"} and found.arrays.keys() == {"lengths"}


def test_the_same_seed_gives_the_same_numbers(seen, monkeypatch):
    monkeypatch.setattr(dynamics, "COMPLETE", 2)
    first, again = measured(seen["l0"]), measured(seen["l0"])
    for name, value in first.arrays.items():
        np.testing.assert_array_equal(again.arrays[name], value)
    assert np.isfinite(first.arrays["lyapunov"]).any()

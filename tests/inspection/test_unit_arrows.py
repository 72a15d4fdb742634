"""The gradient's arrows by unit are terms of the sums that the Record tells of all units."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from nn.layer_runs import normal
from torch import nn

import headgate as hg
from headgate.inspection import schema
from headgate.inspection.unit_arrows import unit_arrows

T, B, I, H = 30, 3, 2, 6  # noqa: E741 - the field's letter
LAYERS = {
    "lstm": lambda: hg.LSTM(I, H, dtype=torch.float64),
    "gru": lambda: nn.GRU(I, H, dtype=torch.float64),
    "rnn": lambda: nn.RNN(I, H, dtype=torch.float64),
    "below": lambda: nn.LSTM(I, H, num_layers=2, dtype=torch.float64),
}


def watched(name: str, rows: int = B, steps: int = T):
    torch.manual_seed(0)
    layer = LAYERS[name]()
    with hg.watch(layer) as seen:
        layer(normal(steps, rows, I, seed=1))[0][-1].square().sum().backward()
    return seen["l0"]


def found(trace, count: int = H) -> dict[str, np.ndarray]:
    return unit_arrows(trace.adjoint, trace.local.sources(1), count)


@pytest.mark.parametrize("name", LAYERS)
def test_over_all_units_they_make_up_the_whole(name):
    """Of one sequence exactly: the shares of each path, and by squares the gradient's norm and each path's."""
    trace = watched(name, rows=1)
    arrays, record = found(trace), trace.record().arrays
    schema.check("x", arrays | {"arrow_norm": record["arrow_norm"]})
    shares = np.nan_to_num(record["arrow_share"])
    np.testing.assert_allclose(arrays["unit_arrow_share"].sum(0), shares, atol=3e-5)
    squares = 0.5 * np.log10((10.0 ** (2.0 * arrays["unit_gradient"].astype(float))).sum(0))
    np.testing.assert_allclose(squares, record["gradient_norm"], atol=1e-5)
    parts = np.nan_to_num(10.0 ** (2.0 * arrays["unit_arrow_norm"].astype(float))).sum(0)
    there = np.isfinite(record["arrow_norm"])
    np.testing.assert_allclose(0.5 * np.log10(parts[there]), record["arrow_norm"][there], atol=1e-5)


def test_means_over_rows_still_sum_to_one():
    total = found(watched("lstm"))["unit_arrow_share"].sum((0, 1))
    np.testing.assert_allclose(total, 1.0, atol=1e-5)


def test_the_largest_come_first_and_are_those_of_the_paths_tensor():
    trace = watched("lstm")
    grad = sum(trace.paths.values()).numpy()
    part = (grad**2 / (grad**2).sum(-1, keepdims=True)).sum((0, 1))
    arrays = found(trace, 3)
    assert arrays["top_units"].tolist() == np.argsort(-part, kind="stable")[:3].tolist()
    wrong = np.argsort(part)[:3]  # a mutant that takes the smallest would be seen
    assert arrays["top_units"].tolist() != wrong.tolist()
    unit = int(arrays["top_units"][0])
    logs = np.log10(np.abs(trace.paths["f"].numpy()[:-1, :, unit]))
    expected = np.median(logs, 1)
    assert arrays["unit_arrow_norm"][0, 2, :-1] == pytest.approx(expected, abs=1e-5)


def test_each_unit_has_its_own_factor():
    trace = watched("lstm")
    arrays = found(trace, 2)
    forget = trace.gates["f"][..., arrays["top_units"].tolist()]
    assert arrays["unit_keep"] == pytest.approx(forget.log().mean(1).exp().T.numpy(), abs=1e-6)
    assert "unit_keep" not in found(watched("rnn"))


def test_what_cannot_be_meant_is_refused():
    trace = watched("lstm")
    with pytest.raises(ValueError, match="count is 0"):
        found(trace, 0)
    with hg.watch(layer := LAYERS["lstm"]()) as seen:
        layer(normal(T, B, I, seed=1))[0].square().sum().backward()
    with pytest.raises(ValueError, match="sources came, but one is followed"):
        unit_arrows(seen["l0"].adjoint, seen["l0"].local.sources(4))

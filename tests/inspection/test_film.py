"""The film holds where the gates stood at each look, in a Record's own terms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from inspection.monitored import B, H, T, batch, monitor_of, net, train
from torch import nn

import headgate as hg
from headgate.inspection import schema
from headgate.inspection.gates import LOGIT_EDGES


def test_gates_are_filmed_as_the_record_tells_them():
    """At the last look, a Record of the same sequences has the same histogram; the candidate has none."""
    model = net()
    monitor = monitor_of(model, every=1)
    looks = []
    for step in range(3):
        with torch.no_grad():
            model.rnn.bias_ih_l0[H : 2 * H] += 1.0  # the forget gate, opened more at every look
        looks += train(model, monitor, [step])
    arrays = monitor.film.arrays("rnn.l0")
    assert arrays["film_gates"].shape == (3, 4, len(LOGIT_EDGES) - 1)
    assert np.isfinite(arrays["film_gates"]).all((0, 2)).tolist() == [True, True, False, True]
    np.testing.assert_allclose(np.nansum(arrays["film_gates"], 2)[:, [0, 1, 3]], 1.0, rtol=1e-5)
    middle = (LOGIT_EDGES[:-1] + LOGIT_EDGES[1:]) / 2
    assert np.diff(arrays["film_gates"][:, 1] @ middle) == pytest.approx(1.0, abs=0.2)
    counts = looks[-1].glances["rnn.l0"].gates["f"].histogram
    assert counts.sum() == T * min(B, monitor.rows) * H
    assert arrays["film_gates"][-1, 1] == pytest.approx(counts / counts.sum(), abs=1e-7)


def test_a_measured_record_takes_them():
    model = net()
    monitor = monitor_of(model, every=1)
    train(model, monitor, range(2))
    with hg.watch(model) as seen:
        model(batch(0)).square().mean().backward()
    record = monitor.add_to(seen["rnn.l0"].record())
    schema.check(record.name, record.arrays)
    assert record.arrays["film_gates"].shape[1] == len(record.facts["gates"])
    assert record.arrays["logit_histogram"].shape[1] == record.arrays["film_gates"].shape[2]


def test_a_cell_without_gates_has_none():
    model = net(nn.RNN(2, H))
    monitor = monitor_of(model, every=1)
    train(model, monitor, range(2))
    assert monitor.film.arrays("rnn.l0")["film_gates"].shape[:2] == (2, 0)

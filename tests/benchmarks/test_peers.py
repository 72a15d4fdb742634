"""The other peers, in processes of their own: each computes what we compute, or is not installed."""

from __future__ import annotations

import pytest

from benchmarks import peers, suite
from benchmarks.workloads import all_workloads

ROWS = (
    ("lstm-forward-128x1x128", "onnxruntime"),
    ("lstm-forward-128x1x128", "openvino"),
    ("lstm-forward-bf16-256x16x64", "openvino"),
    ("gru-both-128x1x256", "jax"),
    ("lstm-forward-128x1x128", "jax"),
    ("peephole_lstm-both-128x16x64", "torchrecurrent"),
    ("own_cell-both-128x16x64", "torchrecurrent"),
)


@pytest.mark.parametrize(("workload", "peer"), ROWS)
def test_the_peer_computes_what_we_compute(workload, peer, tmp_path):
    try:
        reason = peers.load(peer).refusal(all_workloads()[workload])
    except peers.Missing as missing:
        pytest.skip(str(missing))
    if reason is not None:
        pytest.skip(reason)
    task = {"workload": workload, "peer": peer, "threads": 1, "quick": True, "first": False}
    found = suite.in_process(task, str(tmp_path))
    assert found["status"] == "timed", found

"""A forecaster elsewhere: ONNX and torch.export give what the network gives, whatever the head and the columns."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import headgate as hg

GIVEN = {"epochs": 1, "hidden_size": 6, "horizon": 3, "lookback": 8, "season": 4, "watch": False, "progress": False}
KINDS = {
    "mean": {"head": "mse"},
    "quantiles, each target apart": {"head": "quantile", "joint": False},
    "recursive, by its mean": {"head": "gaussian", "decoder": "recursive", "normalise": "mean"},
    "student, another cell": {"head": "student_t", "cell": "peephole_lstm", "normalise": "window"},
    "counts, no line": {"head": "negative_binomial", "line": False, "normalise": "mean", "target": "z"},
}
STATED = {
    "mse": ["point"],
    "quantile": ["point", "quantiles"],
    "gaussian": ["point", "spread"],
    "student_t": ["point", "spread", "freedom"],
    "negative_binomial": ["point", "mean", "spread"],
}


def table(path):
    draw = np.random.default_rng(0)
    rows = ["unique_id,ds,y,z,price,promo,shop,area"]
    for k in range(2):
        values = draw.normal(size=90).cumsum()
        for t, day in enumerate(np.arange("2024-01-01", "2024-03-31", dtype="datetime64[D]")):
            y = "" if t % 7 == 3 else f"{values[t]:.3f}"
            rows.append(f"s{k},{day},{y},{draw.integers(0, 9)},{draw.normal():.3f},{t % 3},{'ns'[k]},{k + 1}")
    path.write_text("\n".join(rows) + "\n")
    return path


@pytest.fixture(scope="module", params=KINDS.values(), ids=KINDS)
def case(request, tmp_path_factory):
    """A run, and inputs of three rows of which two have a short history."""
    folder, given = tmp_path_factory.mktemp("forecast"), dict(request.param)
    roles = {"target": "y,z", "past": "price", "future": "promo", "static": "shop,area"} | GIVEN
    run = hg.train(table(folder / "a.csv"), "forecast", out=folder / "run", **roles | given)
    found = run.task.exported(run.network(), run.encoding, run.options)
    torch.manual_seed(1)
    inputs = {}
    for name, value in found.inputs.items():
        (rows,) = found.axes[name]
        shape = [3 if axis == rows else size for axis, size in enumerate(value.shape)]
        inputs[name] = torch.ones(shape, dtype=value.dtype) if name in ("size", "codes") else torch.rand(shape)
    inputs["lengths"] = torch.tensor([8, 1, 5])
    return run, inputs


def expected(run, inputs):
    """By the network on a batch as its loader makes one."""
    B, absent = 3, {"past": 8, "known": 8, "ahead": 3}
    batch = {name: torch.zeros(steps, B, 0) for name, steps in absent.items()} | {"numbers": torch.zeros(B, 0)}
    batch |= {"size": torch.ones(B, inputs["history"].shape[2])} | inputs
    network = run.network()
    with torch.no_grad():
        raw, units = network(batch)
        return network.head.stated(raw, units), network.head.point(raw, units)


def assert_the_same(run, inputs, outputs, names):
    stated, point = expected(run, inputs)
    assert list(stated) == list(names) == STATED[run.options.head]
    torch.testing.assert_close(stated["point"], point)
    for value, other in zip(stated.values(), outputs, strict=True):
        torch.testing.assert_close(torch.as_tensor(other), value, atol=2e-5, rtol=2e-5)


def test_onnx(case):
    onnxruntime = pytest.importorskip("onnxruntime", reason="ONNX files are run by onnxruntime")
    run, inputs = case
    session = onnxruntime.InferenceSession(hg.export(run, "onnx"), providers=["CPUExecutionProvider"])
    assert [one.name for one in session.get_inputs()] == list(inputs)
    outputs = session.run(None, {name: value.numpy() for name, value in inputs.items()})
    assert_the_same(run, inputs, outputs, [one.name for one in session.get_outputs()])


def test_a_program_of_torch_export(case):
    run, inputs = case
    program = torch.export.load(hg.export(run, "torch")).module()
    outputs = program(*inputs.values())
    assert_the_same(run, inputs, outputs, STATED[run.options.head])

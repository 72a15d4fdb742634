"""What is written for other programs computes what the model computes, at other sizes too."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from training import tiny_task

import headgate as hg
from headgate.tasks.bench_task import Exported
from headgate.verbs import exporting

SIGNS = torch.tensor([[0, 1, 1], [1, 1, 0], [1, 0, 0], [0, 0, 1], [1, 1, 1], [0, 1, 0], [0, 0, 0]])


def test_torch_export(trained, tmp_path):
    _, run = trained
    path = hg.export(run, "torch", tmp_path / "deep" / "model.pt2")
    with torch.no_grad():
        found = torch.export.load(path).module()(SIGNS)
        torch.testing.assert_close(found, run.network()(SIGNS))


def test_onnx(trained, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime", reason="ONNX files are run by onnxruntime")
    pytest.importorskip("onnx", reason="ONNX files are written by onnx")
    _, run = trained
    path = hg.export(run, "onnx", tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"signs": SIGNS.numpy()})
    np.testing.assert_allclose(found, run.network()(SIGNS).detach().numpy(), atol=1e-5)


def test_a_cell_that_onnx_has_no_operator_for(tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime", reason="ONNX files are run by onnxruntime")
    onnx = pytest.importorskip("onnx", reason="ONNX files are written by onnx")
    data = tiny_task.write(tmp_path / "signs.tiny")
    given = {"peephole": True, "zoneout": 0.1, "watch": False, "progress": False}
    run = hg.train(data, "tiny", out=tmp_path / "run", epochs=1, **given)
    path = hg.export(run, "onnx")
    assert [one.name for one in onnx.load(path).functions] == ["LSTM_peephole_True_zoneout_0_1_0"]
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"signs": SIGNS.numpy()})
    np.testing.assert_allclose(found, run.network()(SIGNS).detach().numpy(), atol=1e-5)


def test_what_cannot_be_exported_is_refused(trained, tmp_path, monkeypatch):
    _, run = trained
    with pytest.raises(ValueError, match="format='h5', but one of"):
        hg.export(run, "h5")
    with pytest.raises(ValueError, match="is a folder; give the name of a file"):
        hg.export(run, "torch", tmp_path)
    monkeypatch.setattr(type(run.task), "exported", lambda *_: None)
    with pytest.raises(ValueError, match="a run of task tiny cannot be written as torch; use format"):
        hg.export(run, "torch", tmp_path / "model.pt2")
    assert list(tmp_path.iterdir()) == []


class Other(nn.Module):
    """Counts the steps of its example, as a program that keeps a size would."""

    def forward(self, x):
        return x.sum(0) / 3


def test_the_comparison_can_fail():
    found = Exported(Other(), {"x": torch.ones(3, 2)}, {"x": {0: "time"}}, ("mean",))
    longer = exporting.other_sizes(found)
    assert longer[0].shape == (7, 2)
    exporting.compare(found, longer, [longer[0].sum(0) / 3], "a copy")
    with pytest.raises(ValueError, match="a mutant gives another mean: apart by"):
        exporting.compare(found, longer, [longer[0].mean(0)], "a mutant")
    with pytest.raises(ValueError, match="apart by inf"):
        exporting.compare(found, longer, [torch.ones(3)], "a mutant")

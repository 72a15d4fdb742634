"""A classifier elsewhere: as ONNX and as a program of torch.export, for texts and series, plain cells and others."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

import headgate as hg

GIVEN = {"epochs": 1, "hidden_size": 6, "embedding_size": 5, "watch": False, "progress": False}


def texts(path):
    draw = random.Random(0)
    rows = [(draw.choice("ab"), draw.randint(1, 6)) for _ in range(80)]
    path.write_text("text,label\n" + "".join(f"{' '.join(sign * count)},{sign}\n" for sign, count in rows))
    return path


def series(path):
    draw = random.Random(0)
    rows = []
    for _ in range(80):
        label, steps = draw.choice("ab"), draw.randint(2, 6)
        one, other = (",".join(str(round(draw.gauss(label == "a", 1), 2)) for _ in range(steps)) for _ in range(2))
        rows.append(f"{one}:{other}:{label}\n")
    path.write_text("@classLabel true a b\n@data\n" + "".join(rows))
    return path


@pytest.mark.parametrize("pooling", ["max", "mean", "last", "attention"])
@pytest.mark.parametrize(("write", "name", "cell"), [(texts, "a.csv", "lstm"), (series, "a.ts", "peephole_lstm")])
def test_onnx(tmp_path, write, name, cell, pooling):
    onnxruntime = pytest.importorskip("onnxruntime", reason="ONNX files are run by onnxruntime")
    run = hg.train(write(tmp_path / name), "classify", out=tmp_path / "run", cell=cell, pooling=pooling, **GIVEN)
    session = onnxruntime.InferenceSession(hg.export(run, "onnx"), providers=["CPUExecutionProvider"])
    first, lengths = session.get_inputs()
    shape = (7, 3) if write is texts else (7, 3, 2)
    input = np.random.default_rng(0).integers(0, 3, shape)
    input = input if write is texts else input.astype(np.float32)
    given = {first.name: input, lengths.name: np.array([7, 1, 4])}
    (found,) = session.run(None, given)
    batch = {first.name: torch.from_numpy(input), f"{first.name}_lengths": torch.tensor([7, 1, 4])}
    with torch.no_grad():
        expected = run.network().probabilities(batch).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert found.shape == (3, 2)


def test_a_program_of_torch_export(tmp_path):
    run = hg.train(texts(tmp_path / "a.csv"), "classify", out=tmp_path / "run", **GIVEN)
    words, lengths = torch.randint(1, 3, (7, 3)), torch.tensor([7, 1, 4])
    with torch.no_grad():
        found = torch.export.load(hg.export(run, "torch")).module()(words, lengths)
        expected = run.network().probabilities({"words": words, "words_lengths": lengths})
    torch.testing.assert_close(found, expected)

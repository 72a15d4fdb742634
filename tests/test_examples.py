"""The examples run, made shorter, and print what they are there to show."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest
import torch

import headgate as hg

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
pytestmark = pytest.mark.filterwarnings("ignore:headgate")


@pytest.fixture
def example(tmp_path, monkeypatch):
    """A script as a module, in a folder of its own, with no words after its name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["example.py"])

    def load(name):
        described = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
        module = importlib.util.module_from_spec(described)
        described.loader.exec_module(module)
        return module

    with torch.random.fork_rng(devices=[]):
        yield load


def shorter(monkeypatch, verb, **settings):
    known = getattr(hg, verb)
    monkeypatch.setattr(hg, verb, lambda *given, **asked: known(*given, **(asked | settings)))


def test_from_a_file(example, capsys, monkeypatch, tmp_path):
    shorter(monkeypatch, "train", epochs=8)
    example("from_a_file").main()
    out = capsys.readouterr().out
    assert out.startswith("classify, since it has texts in column text, labels in column label: 300 rows\n")
    assert "'label': 'good'" in out and "'label': 'bad'" in out and "empty: nothing to judge by" in out
    assert (tmp_path / "runs" / "reviews-classify-1" / "report.html").is_file()


def test_compare_cells(example, capsys, monkeypatch, tmp_path):
    shorter(monkeypatch, "compare", epochs=1, seeds=(0,), hidden_size=8)
    example("compare_cells").main()
    out = capsys.readouterr().out
    assert all(f"| {cell} | " in out for cell in ("lstm", "gru", "rnn"))
    assert (tmp_path / "compared_40" / "table.md").read_text() in out


def test_own_loop(example, capsys, monkeypatch, tmp_path):
    module = example("own_loop")
    monkeypatch.setattr(module, "STEPS", 200)
    module.main()
    out = capsys.readouterr().out
    assert "step 200: loss" in out and "Examination of rnn.l0" in out and "told 0.70, remembers" in out
    assert (tmp_path / "recall.html").is_file()


def test_torch_model(example, capsys):
    example("torch_model").main()
    out = capsys.readouterr().out
    assert out.count("a thousandth of the gradient left after") == 4 and "LSTM(16, 32, num_layers=2" in out


def test_none_is_forgotten():
    tested = {"my_cell"} | {name.removeprefix("test_") for name in globals() if name.startswith("test_")}
    assert {path.stem for path in EXAMPLES.glob("*.py")} <= tested

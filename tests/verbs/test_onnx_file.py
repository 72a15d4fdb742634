"""Every cell as ONNX: onnxruntime computes from the file what the layer computes, at other sizes than traced."""

from __future__ import annotations

import io
import warnings

import pytest
import torch
from torch import nn

import headgate as hg
from headgate import cells, engines

onnxruntime = pytest.importorskip("onnxruntime", reason="ONNX files are run by onnxruntime")
onnx = pytest.importorskip("onnx", reason="ONNX files are written by onnx")

from headgate.verbs import onnx_file, onnx_form  # noqa: E402 - needs both
from headgate.verbs.onnx_form import function  # noqa: E402

I, H = 4, 6  # noqa: E741 - the input's features
SWITCHES = (
    {},
    {"bias": False},
    {"proj_size": 3},
    {"learnable_state": True},
    {"layer_norm": True},
    {"zoneout": 0.2},
    {"layer_norm": True, "zoneout": 0.1},
)


class Tagger(nn.Module):
    """A layer, and lengths that it may be asked to leave aside."""

    def __init__(self, layer, lengths):
        super().__init__()
        self.layer, self.lengths = layer, lengths

    def forward(self, x, lengths):
        output, state = self.layer(x, lengths=lengths if self.lengths else None)
        return output, *(state if isinstance(state, tuple) else (state,))


def written(module):
    """The file's model, traced at sizes of its own."""
    buffer = io.BytesIO()
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            (torch.randn(5, 3, I), torch.tensor([5, 2, 3])),
            buffer,
            dynamo=False,
            opset_version=onnx_form.OPSET,
            input_names=["x", "lengths"],
            dynamic_axes={"x": {0: "T", 1: "B"}, "lengths": {0: "B"}},
            custom_opsets={onnx_form.DOMAIN: 1},
        )
    return onnx_file.with_bodies(onnx.load_from_string(buffer.getvalue()))


def apart(layer, lengths=True):
    """The largest difference between onnxruntime's results and the layer's."""
    layer.engine = "onnx"
    module = Tagger(layer, lengths).eval()
    model = written(module)
    onnx.checker.check_model(model)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    inputs = {"x": torch.randn(9, 4, I), "lengths": torch.tensor([9, 0, 3, 4])}
    names = [one.name for one in session.get_inputs()]
    found = session.run(None, {name: inputs[name].numpy() for name in names})
    layer.engine = "eager"
    with torch.no_grad():
        expected = module(*inputs.values())
    pairs = zip(found, expected, strict=True)
    return max(float((torch.from_numpy(mine) - theirs).abs().max()) for mine, theirs in pairs)


@pytest.fixture(autouse=True)
def _seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


@pytest.mark.parametrize("lengths", [False, True], ids=["whole", "lengths"])
@pytest.mark.parametrize("bidirectional", [False, True], ids=["on", "both ways"])
@pytest.mark.parametrize("cell", cells.names())
def test_every_cell(cell, bidirectional, lengths):
    assert apart(hg.Recurrent(cell, I, H, num_layers=2, bidirectional=bidirectional), lengths) < 1e-5


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("switches", SWITCHES, ids=lambda given: ", ".join(given) or "plain")
def test_switches_and_wrappers(cell, switches):
    if cell != "lstm" and "proj_size" in switches:
        pytest.skip("only an LSTM projects")
    assert apart(hg.Recurrent(cell, I, H, bidirectional=True, **switches)) < 1e-4


@pytest.mark.parametrize(
    "mutant",
    [
        lambda cell, name, weights, lengths, reverse: function(cell, name, weights, lengths, not reverse),
        lambda cell, name, *how: function(cells.get("reset_before_gru"), name, *how),
    ],
    ids=["direction", "cell"],
)
def test_a_wrong_body_is_noticed(monkeypatch, mutant):
    monkeypatch.setattr(onnx_file, "function", mutant)
    assert apart(hg.GRU(I, H)) > 1e-3


def test_equal_calls_share_a_function():
    layer = hg.Recurrent("peephole_lstm", I, H, num_layers=2, bidirectional=True, engine="onnx")
    assert len(written(Tagger(layer, True).eval()).functions) == 2, "one a direction"


def test_the_same_cell_gives_the_same_bytes():
    cell = cells.get("peephole_lstm")
    how = "f", list(cell.parameter_shapes(I, H, H, bias=True)), True, True
    first, again = (function(cell, *how).SerializeToString(deterministic=True) for _ in range(2))
    assert first == again


def test_outside_a_file_it_refuses_and_is_never_chosen():
    layer = hg.LSTM(I, H, engine="onnx")
    with pytest.raises(RuntimeError, match="it stands for a call in an ONNX file, and none is being written"):
        layer(torch.randn(3, 2, I))
    assert engines.names()[-1] == "onnx"

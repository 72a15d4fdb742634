"""One LSTM in float32 and in bfloat16, really run, examined, saved and compared."""

from __future__ import annotations

import copy
import re

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import headgate as hg
from headgate.inspection import Record
from headgate.report.compare_page import write_comparison

T, B, I, H = 320, 4, 3, 16  # noqa: E741 - the field's letter
NEEDS = 300  # beyond what a gate in bfloat16 can keep, short of for ever
FORMATS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class Net(nn.Module):
    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.rnn, self.head = layer, nn.Linear(H, 2)
        with torch.no_grad():  # forget gates from 12 to 3000 steps
            layer.bias_ih_l0[H : 2 * H] = torch.linspace(2.0, 8.0, H)

    def forward(self, x):
        return self.head(self.rnn(x)[0][-1])


def losses(model, batch):
    x, target = batch
    return functional.cross_entropy(model(x).float(), target, reduction="none")


def folders(layer: type[nn.Module], where) -> list:
    """The same weights in both formats, each examined and saved under its format's name."""
    torch.manual_seed(0)
    model, x, target = Net(layer(I, H)), torch.randn(T, B, I), torch.arange(B) % 2
    found = []
    for name, dtype in FORMATS.items():
        net = copy.deepcopy(model).to(dtype)
        seen = hg.examine(net, [(x.to(dtype), target)], losses, needs_lag=NEEDS, causes=False, dynamics=False)
        found.append(where / name)
        seen.records["rnn.l0"].save(found[-1])
    return found


def table(text: str) -> dict[str, list[str]]:
    """Rows of the page's first table, by what they measure."""
    rows = re.findall(r"<tr>(<td>.*?)</tr>", text.split("</table>")[0], re.S)
    return {cells[0]: cells[1:] for cells in (re.findall(r"<td>(.*?)</td>", row) for row in rows)}


@pytest.fixture(scope="module", params=[hg.LSTM, nn.LSTM], ids=["headgate", "torch"])
def made(request, tmp_path_factory):
    where = tmp_path_factory.mktemp("formats")
    return request.param, folders(request.param, where)


def test_rounded_weights_are_what_differs(made):
    """Not float32's numbers again, but near them: both runs are measured in float64, with the weights each has."""
    records = [Record.load(folder) for folder in made[1]]
    assert [record.facts["measured_in"] for record in records] == ["float64", "float64"]
    one, two = (record.arrays["lag_profile"][1] for record in records)
    assert (one != two).any() and np.isfinite(one).all() and np.isfinite(two).all()
    assert np.abs(one - two).max() < 0.5


def test_the_page_shows_two_lines_and_names_the_formats(made, tmp_path):
    page = write_comparison(made[1], tmp_path, names=list(FORMATS)).read_text()
    decay = re.search(r'<figure id="c-decay".*?</figure>', page, re.S).group(0)
    lines = dict(re.findall(r'd="([^"]+)" class="line s\d dash\d" data-name="(\w+)"', decay))
    assert sorted(lines.values()) == sorted(FORMATS) and len(lines) == 2  # other points, so other Records
    rows = table(page)
    assert rows["measured in"] == ["float64", "float64", "same"]
    assert rows["its smallest normal number"] == ["1.18e-38", "1.18e-38", "same"]
    assert rows["r(1)"][0] != rows["r(100)"][0] and rows["r(100)"][2] != "1.00e+00 times"
    for name in ("paths", "survival", "saturation"):
        assert f'id="c-{name}"' in page


def test_where_the_format_ends_a_gate_is_said_of_those_computed_in_it(made, tmp_path):
    """torch's layer computes its gates in bfloat16; headgate's computes them in float32 under bfloat16 weights."""
    layer, saved = made
    rows = table(write_comparison(saved, tmp_path, names=["a", "b"]).read_text())
    if layer is nn.LSTM:
        assert rows["gates and gradients computed in"] == ["float32", "bfloat16", "differs"]
        assert rows["a gate in it keeps for at most"] == ["any number", "255 steps, or for ever", "differs"]
        assert rows["said DTYPE-CAPPED"] == ["no", "Warning", "differs"]
    else:
        assert rows["gates and gradients computed in"] == ["float32", "float32", "same"]
        assert "a gate in it keeps for at most" not in rows and "said DTYPE-CAPPED" not in rows


def test_formats_tell_records_apart_where_nothing_else_does(made, tmp_path):
    layer, saved = made
    page = write_comparison(saved, tmp_path).read_text()
    found = re.findall(r'<b class="label s\d">([^<]+)</b>', page)
    assert found == (list(FORMATS) if layer is nn.LSTM else [f"{name} weights" for name in FORMATS])
    assert ("float32 with weights in bfloat16" in page) == (layer is hg.LSTM)

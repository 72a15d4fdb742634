"""Conditions tried side by side, as rows of one call, give what they give one by one."""

import numpy as np
import pytest
import torch
from comparing import assert_all_close
from torch import nn

import headgate as hg
from headgate.inspection import ablation, holding, units


class Reader(nn.Module):
    """Reads the last step; `twice` calls the layer a second time on what it gave."""

    def __init__(self, layer, twice=False):
        super().__init__()
        self.layer, self.twice = layer, twice
        self.head = nn.Linear(layer.hidden_size * (2 if layer.bidirectional else 1), 1, dtype=torch.float64)

    def forward(self, x):
        output = self.layer(x)[0]
        if self.twice:
            output = self.layer(torch.cat([output[..., :1], x[..., 1:]], -1))[0]
        return self.head(output[-1])[:, 0]


LAYERS = {
    "torch LSTM": lambda: nn.LSTM(3, 4, num_layers=2, bidirectional=True, dtype=torch.float64),
    "GRU": lambda: hg.GRU(3, 4, dtype=torch.float64),
    "peephole": lambda: hg.LSTM(3, 4, peephole=True, dtype=torch.float64),
}


def losses(model, batch):
    return (model(batch[0]) - batch[1]) ** 2


def measured(make, twice=False):
    torch.manual_seed(3)
    model = Reader(LAYERS[make](), twice)
    double = {"dtype": torch.float64}
    batches = [(torch.randn(7, rows, 3, **double), torch.randn(rows, **double)) for rows in (2, 9)]
    gates = ablation.ablate(model, batches, losses, seed=1)
    held = units.sweep_units(model, batches, losses, seed=1)
    found = {f"{name} gates": np.nan_to_num(each.losses, nan=-1.0) for name, each in gates.items()}
    return found | {f"{name} units": each.losses for name, each in held.items()}


def compare(make, monkeypatch, twice=False):
    together = measured(make, twice)
    monkeypatch.setattr(holding, "FEW_ROWS", 0)
    assert_all_close(together, measured(make, twice), 1e-12)


@pytest.mark.parametrize("make", LAYERS)
def test_side_by_side_as_one_by_one(make, monkeypatch):
    compare(make, monkeypatch)


def test_a_few_at_a_time(monkeypatch):
    monkeypatch.setattr(holding, "AT_ONCE", 7 * 2 * 4 * 3)
    compare("GRU", monkeypatch)


def test_a_layer_that_is_called_again_is_run_one_by_one(monkeypatch):
    """What comes into its second call depends on the condition."""
    compare("GRU", monkeypatch, twice=True)


def test_conditions_that_change_places_are_caught(monkeypatch):
    right = holding._rows
    monkeypatch.setattr(holding, "_rows", lambda result, rows: right(result, slice(0, rows.stop - rows.start)))
    with pytest.raises(AssertionError, match="gates"):
        compare("GRU", monkeypatch)

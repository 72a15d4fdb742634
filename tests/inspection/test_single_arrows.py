"""The gradient's arrows of one sequence, and of an earlier loss, by themselves: what autograd gives for just that."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from nn.layer_runs import normal
from torch import nn

import headgate as hg
from headgate.inspection import schema
from headgate.inspection.gradients import earlier_sources

T, B, I, H = 12, 3, 2, 4  # noqa: E741 - the field's letter
PATHS = ["highway", "i", "f", "g", "o", "readout"]
LAYERS = {
    "lstm": lambda: nn.LSTM(I, H, dtype=torch.float64),
    "gru": lambda: nn.GRU(I, H, dtype=torch.float64),
    "rnn": lambda: nn.RNN(I, H, dtype=torch.float64),
    "both": lambda: hg.LSTM(I, H, bidirectional=True, dtype=torch.float64),
    "below": lambda: nn.LSTM(I, H, num_layers=2, dtype=torch.float64),
}
pytestmark = pytest.mark.usefixtures("way")


def made(name: str):
    torch.manual_seed(0)
    return LAYERS[name](), normal(T, B, I, seed=1)


def dense(output):
    """A loss at every step, not the same at any two."""
    return (output.square() * torch.linspace(1, 2, len(output), dtype=output.dtype)[:, None, None]).sum()


def seen_of(layer, input, loss, **arguments):
    with hg.watch(layer) as seen:
        loss(layer(input, **arguments)[0]).backward()
    return seen


def record_of(name: str, direction: str = "l0", loss=dense):
    return seen_of(*made(name), loss)[direction].record()


def by_autograd(layer, input, step: int) -> dict[str, torch.Tensor]:
    """What comes to each memory of a step's loss, [T, B, H], as a whole and by path: of copies that one path reads."""
    weight, bias = layer.weight_hh_l0.detach(), (layer.bias_ih_l0 + layer.bias_hh_l0).detach()
    x = input @ layer.weight_ih_l0.detach().T + bias
    h = c = input.new_zeros(input.shape[1], H).requires_grad_()
    copies, memories, steep, outputs = [], [], [], []
    for t in range(T):
        # Step t reads the states before it through these, the loss its own output through the last.
        apart = {name: (c if name == "highway" else h).clone() for name in PATHS[:-1]}
        gate = {}
        for k, name in enumerate("ifgo"):
            rows = slice(k * H, (k + 1) * H)
            pre = x[t][:, rows] + apart[name] @ weight[rows].T
            gate[name] = torch.tanh(pre) if name == "g" else torch.sigmoid(pre)
        c = gate["f"] * apart["highway"] + gate["i"] * gate["g"]
        h = gate["o"] * torch.tanh(c)
        steep.append((gate["o"] * (1 - torch.tanh(c) ** 2)).detach())
        outputs.append(h.clone())
        copies.append(apart)
        memories.append(c)
    for value in [*memories, *outputs, *(value for apart in copies for value in apart.values())]:
        value.retain_grad()
    dense(torch.stack([o if t == step else o.detach() for t, o in enumerate(outputs)])).backward()

    def grad(value):
        return torch.zeros_like(value) if value.grad is None else value.grad

    found = {"whole": torch.stack([grad(c) for c in memories])}
    for name in PATHS[:-1]:
        arrived = [grad(apart[name]) for apart in copies[1:]] + [torch.zeros_like(h)]
        factor = [torch.ones_like(h)] * T if name == "highway" else steep
        found[name] = torch.stack([a * q for a, q in zip(arrived, factor, strict=True)])
    found["readout"] = torch.stack([grad(o) * q for o, q in zip(outputs, steep, strict=True)])
    return found


def expected(layer, input, step: int) -> dict[str, np.ndarray]:
    """log10 norms [T, B] and [path, T, B], shares [path, T, B]; NaN where nothing comes."""
    parts = by_autograd(layer, input, step)
    whole, split = parts.pop("whole"), torch.stack([parts[name] for name in PATHS])
    assert torch.allclose(split.sum(0), whole, rtol=1e-12, atol=1e-15)
    logs = {"gradient": whole.norm(dim=-1).log10(), "arrow_norm": split.norm(dim=-1).log10()}
    logs["arrow_share"] = (split * whole).sum(-1) / whole.square().sum(-1)
    return {name: value.masked_fill(~value.isfinite(), torch.nan).numpy() for name, value in logs.items()}


def same(found, wanted):
    np.testing.assert_allclose(np.nan_to_num(found, nan=-99), np.nan_to_num(wanted, nan=-99), rtol=2e-6, atol=2e-6)


def test_a_row_is_what_autograd_gives_for_that_row():
    record, wanted = record_of("lstm"), expected(*made("lstm"), T - 1)
    assert record.facts["paths"] == PATHS and record.arrays["shown_rows"].tolist() == [0, 1, 2]
    schema.check("x", record.arrays)
    for row in range(B):
        for name, values in wanted.items():
            same(record.arrays[f"row_{name}"][row], values[..., row])
    # A mutant that takes the rows in another order would be seen.
    assert not np.allclose(record.arrays["row_gradient"][0], wanted["gradient"][..., 1], atol=1e-3)


def test_an_earlier_loss_is_what_autograd_gives_for_that_loss():
    record = record_of("lstm")
    places, steps = record.arrays["earlier_sources"], record.arrays["sources"]
    # Short as it is, not all sixteen sources are there; of those that are, the first before the last and the earliest.
    there = np.flatnonzero(steps >= 0)
    assert places[0] == there[0] and places[-1] == there[-1] and len(places) == 4
    for k, place in enumerate(places):
        wanted = expected(*made("lstm"), int(steps[place]))
        for name, values in wanted.items():
            there = np.isfinite(values).any(-1)
            middle = np.full(values.shape[:-1], np.nan)
            middle[there] = np.nanmedian(values[there], -1)
            same(record.arrays[f"earlier_{name}"][k], middle)
    # One source in the place of another would be seen.
    assert not np.allclose(*np.nan_to_num(record.arrays["earlier_gradient"][:2]), atol=1e-3)


@pytest.mark.parametrize("where", ["gru l0", "rnn l0", "both l0", "both l0_reverse", "below l0"])
def test_other_cells_directions_and_layers_are_those_of_one_row_and_one_loss(where):
    """Each against a record of a run that has only that row, and each source against one of only that step's loss."""
    name, direction = where.split()
    layer, input = made(name)
    record = record_of(name, direction)
    for row in range(B):
        alone = seen_of(layer, input[:, row : row + 1], dense)[direction].record().arrays
        assert not any(key.startswith(("row_", "shown_")) for key in alone)
        for key in ("gradient", "arrow_norm", "arrow_share"):
            same(record.arrays[f"row_{key}"][row], alone[{"gradient": "gradient_norm"}.get(key, key)])
        for key in ("local_gradient", "gate_mean", "keep_mean"):
            if key in alone:
                same(record.arrays[f"row_{key}"][row], alone[key])
    for k, place in enumerate(record.arrays["earlier_sources"]):
        step = int(record.arrays["sources"][place])

        def one(output, step=step):
            mask = (torch.arange(T) == step)[:, None, None]
            if name == "both":  # the other direction has its own sources
                half = torch.cat([torch.full((H,), direction == "l0"), torch.full((H,), direction != "l0")])
                mask = mask & half
            return dense(output * mask)

        alone = seen_of(layer, input, one)[direction].record().arrays
        for key in ("gradient", "arrow_norm", "arrow_share"):
            same(record.arrays[f"earlier_{key}"][k], alone[{"gradient": "gradient_norm"}.get(key, key)])


def test_rows_of_their_own_lengths_end_where_they_end():
    layer = hg.LSTM(I, H, dtype=torch.float64)
    arrays = seen_of(layer, normal(T, 4, I, seed=1), dense, lengths=[T, 5, 0, 9])["l0"].record().arrays
    assert arrays["shown_rows"].tolist() == [0, 1, 3]
    for k, length in enumerate((T, 5, 9)):
        for name in ("row_gradient", "row_keep_mean", "row_local_gradient", "row_gate_mean", "row_arrow_share"):
            there = np.isfinite(arrays[name][k])
            there = there.reshape(-1, T).any(0)
            assert there[:length].all() and not there[length:].any(), name
        readout = np.isfinite(arrays["row_arrow_norm"][k, -1])
        assert np.flatnonzero(readout).tolist() == [length - 1]


def test_a_loss_at_one_step_has_no_earlier_one_and_one_sequence_no_other():
    arrays = record_of("lstm", loss=lambda output: output[-1].sum()).arrays
    assert not any(name.startswith("earlier_") for name in arrays) and len(arrays["shown_rows"]) == B
    layer, input = made("lstm")
    assert "shown_rows" not in seen_of(layer, input[:, :1], dense)["l0"].record().arrays
    trace = seen_of(layer, input, dense)["l0"]
    three = trace.local.sources(3)
    assert earlier_sources(trace.adjoint, three, np.array([0])) == {}
    assert earlier_sources(trace.adjoint, three, np.arange(3))["earlier_sources"].tolist() == [1, 2]

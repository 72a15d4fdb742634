"""Single steps' losses followed back: by source, by lag, with paths cut, at any distance."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from comparing import assert_all_close
from inspection.watching import CELLS, EXACT, B, I, T, layer_of
from nn.layer_runs import normal
from torch import nn

import headgate as hg
from headgate.inspection import backstep, compiled, stepped
from headgate.inspection.lags import by_lag, lag_grid, quantiles
from headgate.inspection.sources import choose_sources

NATS = math.log(10.0)
pytestmark = pytest.mark.usefixtures("way")


def seen_with(layer, input, weigh, **arguments):
    with hg.watch(layer) as seen:
        output = layer(input, **arguments)[0]
        weigh(output).backward()
    return seen


def log_norms(value):
    found = torch.log10(value.norm(dim=-1)).numpy()
    return np.where(np.isfinite(found), found, np.nan)


def compare_sources(name="lstm", direction="l0", lengths=None):
    """Each source of a dense loss against a run whose loss is that one step's."""
    layer, input, weight = layer_of(CELLS[name]), normal(12, B, I), normal(12, B, 6, seed=3)
    weight = weight[..., : layer.output_size * 2]
    dense = seen_with(layer, input, lambda y: (y * weight).sum(), lengths=lengths)[direction].gradients(5)
    found, expected = {}, {}
    for k, at in enumerate(sources_of(dense, layer, direction, lengths)):
        chosen = (torch.arange(12)[:, None] == torch.tensor(at)).double()[..., None]

        def one(y, chosen=chosen):
            mask = torch.cat([chosen.expand(*y.shape[:2], y.shape[2] // 2)] * 2, -1)
            return (y * weight * mask).sum()

        trace = seen_with(layer, input, one, lengths=lengths)[direction]
        gradient = trace.grad[trace.cell.memory]
        found[f"source {k}"] = np.nan_to_num(dense.norm[k], nan=-99.0)
        in_order = gradient.flip(0) if trace.reverse else gradient
        expected[f"source {k}"] = np.nan_to_num(log_norms(in_order), nan=-99.0)
    assert_all_close(found, expected, EXACT)


def sources_of(dense, layer, direction, lengths):
    """The chosen steps in time, by the rule: the last, and others evenly over the last three quarters."""
    ends = np.array([12] * B if lengths is None else lengths)
    read = np.arange(12)[:, None] < ends
    read = read[::-1].copy() if direction.endswith("_reverse") else read
    steps = choose_sources(torch.from_numpy(read), 5).numpy()
    return 11 - steps if direction.endswith("_reverse") else steps


@pytest.mark.parametrize("direction", ["l1", "l1_reverse"])
@pytest.mark.parametrize("lengths", [None, [12, 5, 0, 9]])
@pytest.mark.parametrize("name", ["lstm", "gru", "rnn"])
def test_each_source_is_the_gradient_of_that_step_alone(name, lengths, direction):
    compare_sources(name, direction, lengths)


def test_a_lower_layer_sees_the_sources_of_the_layer_above():
    layer, input = hg.LSTM(I, 3, num_layers=2, dtype=torch.float64), normal(10, 2, I)
    dense = seen_with(layer, input, lambda y: y.sum())["l0"].gradients(2)
    last = seen_with(layer, input, lambda y: y[-1].sum())["l0"]
    other = seen_with(layer, input, lambda y: y[3].sum())["l0"]
    expected = {"last": log_norms(last.grad["c"]), "other": log_norms(other.grad["c"])}
    found = {"last": dense.norm[0], "other": dense.norm[1]}
    assert_all_close(*({k: np.nan_to_num(v) for k, v in both.items()} for both in (found, expected)), EXACT)


def hand_written(layer, input, cut):
    """A plain LSTM in which the gradient does not pass one way; the values are those of the whole."""
    w_i, w_h = layer.weight_ih_l0.detach(), layer.weight_hh_l0.detach()
    bias = (layer.bias_ih_l0 + layer.bias_hh_l0).detach()
    h = c = torch.zeros(input.shape[1], layer.hidden_size, dtype=torch.float64, requires_grad=True)
    memories = []
    for x in input:
        gates = {}
        for k, name in enumerate("ifgo"):
            rows = slice(k * layer.hidden_size, (k + 1) * layer.hidden_size)
            past = h.detach() if cut == name else h
            gates[name] = x @ w_i[rows].T + past @ w_h[rows].T + bias[rows]
        i, f, g, o = (torch.tanh(a) if n == "g" else torch.sigmoid(a) for n, a in gates.items())
        c = f * (c.detach() if cut == "highway" else c) + i * g
        c.retain_grad()
        memories.append(c)
        h = o * torch.tanh(c)
    h.sum().backward()
    return torch.stack([torch.zeros_like(c) if c.grad is None else c.grad for c in memories])


def compare_cuts():
    layer, input = nn.LSTM(I, 3, dtype=torch.float64), normal(9, 2, I)
    found = seen_with(layer, input, lambda y: y[-1].sum())["l0"].gradients(1)
    actual = {f"cut {name}": np.nan_to_num(found.cut[k], nan=-99.0) for k, name in enumerate(found.cuts)}
    expected = {
        f"cut {name}": np.nan_to_num(log_norms(hand_written(layer, input, name)), nan=-99.0) for name in found.cuts
    }
    assert_all_close(actual, expected, EXACT)


def test_a_path_knocked_out_is_a_path_detached():
    compare_cuts()


def test_a_cut_of_another_path_is_caught(way, monkeypatch):
    other = {"i": "g", "g": "i"}
    sweep, sources = backstep.Sweep.__init__, compiled.Sources

    def by_torch(self, *given, **named):
        sweep(self, *given, **named)
        self._cuts = [(row, other.get(label, label)) for row, label in self._cuts]

    def in_library(*given):
        found = sources(*given)
        return replace(found, cut_blocks=[(row, other.get(block, block)) for row, block in found.cut_blocks])

    monkeypatch.setattr(backstep.Sweep, "__init__", by_torch)
    monkeypatch.setattr(compiled, "Sources", in_library)
    with pytest.raises(AssertionError, match=r"cut i"):
        compare_cuts()


def test_shares_sum_to_one_and_norms_to_the_cancellation():
    found = seen_with(layer_of(CELLS["peephole_lstm"]), normal(T, B, I), lambda y: y.square().sum())["l1"].gradients()
    there = np.isfinite(found.norm[0])
    np.testing.assert_allclose(np.nansum(found.path_share, 0), there.astype(float), atol=1e-12)
    sizes = np.nansum(10.0 ** (found.path_norm - found.norm[0]), 0)
    np.testing.assert_allclose(found.cancellation, sizes, rtol=1e-10)
    assert (found.cancellation >= 1 - 1e-12).all()


def fading(forget, steps, dtype=torch.float64):
    """An LSTM whose forget gate stands still and whose recurrent weights are zero: r(k) is forget**k exactly."""
    layer = nn.LSTM(1, 2, dtype=dtype)
    with torch.no_grad():
        for value in layer.parameters():
            value.zero_()
        layer.weight_ih_l0[4:6] = 1.0
        layer.bias_ih_l0[2:4] = math.log(forget / (1 - forget))
    return layer, torch.ones(steps, 1, 1, dtype=dtype)


def compare_distance():
    layer, input = fading(0.01, 2000)
    found = seen_with(layer, input, lambda y: y[-1].sum())["l0"].gradients()
    expected = found.lags * math.log10(0.01)
    assert_all_close({"profile": found.profile()[1]}, {"profile": expected}, EXACT)
    assert_all_close({"highway": found.record()["highway_profile"]}, {"highway": expected}, EXACT)


def test_a_gradient_is_followed_far_below_what_any_format_holds():
    compare_distance()  # to 1e-4000


def test_without_a_scale_of_its_own_it_would_be_lost(monkeypatch):
    scaling = compiled.Scaling
    monkeypatch.setattr(stepped.Stepped, "_rescale", lambda self, low, high: None)
    monkeypatch.setattr(compiled, "Scaling", lambda every, room, lowest: scaling(10**9, room, lowest))
    with pytest.raises(AssertionError, match="profile"):
        compare_distance()


def test_a_late_loss_beside_a_faded_gradient():
    """The scale follows whichever is larger: what is carried, or what the loss adds there."""
    layer, input = fading(0.01, 900)
    trace = seen_with(layer, input, lambda y: y[-1].sum() + y[100].sum())["l0"]
    alone = seen_with(layer, input, lambda y: y[100].sum())["l0"]
    assert_all_close({"c": trace.grad["c"][:101]}, {"c": alone.grad["c"][:101]}, EXACT)


def test_a_growing_gradient_does_not_overflow():
    layer = hg.RNN(1, 2, nonlinearity="relu", dtype=torch.float64)
    with torch.no_grad():
        for value in layer.parameters():
            value.zero_()
        layer.weight_hh_l0.copy_(torch.eye(2) * 1e3)
        layer.weight_ih_l0.fill_(1e-300)
    found = seen_with(layer, torch.ones(250, 1, 1, dtype=torch.float64) * 0, lambda y: y[-1].sum())
    with torch.no_grad():
        layer.bias_ih_l0.fill_(1e-300)
    found = seen_with(layer, torch.zeros(190, 1, 1, dtype=torch.float64), lambda y: y[-1].sum())["l0"].gradients()
    assert_all_close({"r": found.profile()[1]}, {"r": 3.0 * found.lags}, EXACT)


def test_lags_are_all_there_up_to_512_and_few_beyond():
    assert lag_grid(5).tolist() == [0, 1, 2, 3, 4]
    far = lag_grid(10_000)
    assert far[:512].tolist() == list(range(512)) and far[-1] == 9_999 and len(far) <= 642 and (np.diff(far) > 0).all()


def test_values_by_lag_and_quantiles_over_what_is_there():
    values = np.arange(10.0).reshape(5, 2)
    found = by_lag(values, np.array([4, 1]), np.arange(3))
    np.testing.assert_array_equal(found, [[8, 3], [6, 1], [4, np.nan]])
    np.testing.assert_array_equal(quantiles(found, (0.5,), 1)[0], [5.5, 3.5, 4.0])
    assert np.isnan(quantiles(np.full((1, 3), np.nan), (0.5,), 1)).all()


def test_sources_are_each_rows_own():
    read = torch.tensor([[1, 0, 1], [1, 0, 0], [1, 1, 0], [1, 0, 0]], dtype=torch.bool)
    assert choose_sources(read, 2).tolist() == [[3, 2, 0], [1, 4, 4]]
    assert choose_sources(read[:, :0], 2).shape[1] == 0


@pytest.mark.parametrize("name", ["lstm", "gru", "layer_norm", "lstmp"])
def test_in_float32_the_same_to_six_digits(name):
    """Half the cost: the same measurements of the same call, not those of another."""
    torch.manual_seed(0)
    # Normalised units: with a few, a small variance divides, and magnifies the rounding.
    wrapped = {"layer_norm": True, "zoneout": 0.2} if name == "layer_norm" else {}
    layer = hg.LSTM(I, 16, **wrapped) if wrapped else layer_of(CELLS[name], dtype=torch.float32)
    input = normal(40, B, I, dtype=torch.float32)
    found = {}
    for dtype in (torch.float64, torch.float32):
        torch.manual_seed(1)
        with hg.watch(layer, dtype) as seen:
            layer(input)[0].square().sum().backward()
        found[dtype] = {part: np.nan_to_num(seen[part].gradients(4).norm) for part in seen}
    for part, value in found[torch.float64].items():
        np.testing.assert_allclose(found[torch.float32][part], value, atol=2e-4, err_msg=part)
    with pytest.raises(ValueError, match=r"watch: dtype=torch.bfloat16 cannot be measured in; choose"):
        hg.watch(layer, torch.bfloat16)


def test_far_below_what_float32_holds():
    layer, input = fading(0.01, 500, torch.float32)
    with hg.watch(layer, torch.float32) as seen:
        layer(input)[0][-1].sum().backward()
    found = seen["l0"].gradients()
    np.testing.assert_allclose(found.profile()[1], found.lags * math.log10(0.01), rtol=1e-4, atol=1e-4)

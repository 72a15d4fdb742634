"""Layers whose memory is known beforehand: what the watch says of them is what was put in (inspection.md 2.7)."""

import math

import numpy as np
import pytest
import torch
from comparing import assert_all_close
from inspection.watching import EXACT, watched
from nn.layer_runs import normal
from torch import nn

import headgate as hg

FEATURES, H = 2, 3
fades = pytest.mark.parametrize("f0", [0.5, 0.9, 0.99], ids="f={}".format)


def logit(value):
    return math.log(value / (1 - value))


def forgetting(f0, dtype=torch.float64):
    """An LSTM whose forget gate is f0 at every step, whatever comes: no gate sees the state."""
    layer = nn.LSTM(FEATURES, H, dtype=dtype)
    with torch.no_grad():
        layer.weight_hh_l0.zero_()
        layer.bias_hh_l0.zero_()
        layer.weight_ih_l0[H : 2 * H].zero_()
        layer.bias_ih_l0[H : 2 * H].fill_(logit(f0))
    return layer


def gated_by_input(family):
    """An LSTM whose forget gate is sigmoid(x), for an input of one feature."""
    layer = family(1, H, dtype=torch.float64)
    with torch.no_grad():
        for value in (layer.weight_hh_l0, layer.bias_hh_l0, layer.bias_ih_l0):
            value.zero_()
        layer.weight_ih_l0[H : 2 * H].fill_(1.0)
    return layer


def linear(U):
    """A relu network that stays in its linear region: h_t = U h_{t-1} + x_t, all of it positive."""
    layer = nn.RNN(len(U), len(U), nonlinearity="relu", bias=False, dtype=torch.float64)
    with torch.no_grad():
        layer.weight_ih_l0.copy_(torch.eye(len(U)))
        layer.weight_hh_l0.copy_(U)
    return layer


def profile(trace):
    return trace.lag_profile((0.5,))[0]


def assert_profile(trace, expected):
    """Each lag relative to itself: a gradient of 1e-120 is as wrong at a factor of two as one of 1."""
    assert_all_close({"profile": profile(trace) / expected}, {"profile": np.ones(len(expected))}, EXACT)


@fades
@pytest.mark.parametrize("loss", ["last", "dense", "final", "all"])
def test_a_constant_forget_gate(f0, loss):
    T = 40
    seen, _ = watched(forgetting(f0), normal(T, 4, FEATURES), loss=loss)
    trace = seen["l0"]
    assert_profile(trace, f0 ** np.arange(T))
    assert_all_close({"share": trace.highway_share()}, {"share": np.ones(T)}, EXACT)
    assert_all_close({"timescales": trace.timescales()}, {"timescales": np.full(H, -1 / math.log(f0))}, EXACT)
    assert_all_close({"f": trace.gates["f"]}, {"f": np.full((T, 4, H), f0)}, EXACT)


@pytest.mark.parametrize(
    ("f0", "eps", "expected"), [(0.5, 1e-3, 9), (0.9, 1e-3, 65), (0.9, 0.05, 28), (0.97, 0.1, 75), (0.5, 1e-7, 23)]
)
def test_horizon(f0, eps, expected):
    assert expected == math.floor(math.log(eps) / math.log(f0))
    seen, _ = watched(forgetting(f0), normal(100, 2, FEATURES), loss="last")
    assert seen["l0"].horizon(eps) == expected


def test_horizon_ends_with_the_sequence():
    seen, _ = watched(forgetting(0.99), normal(20, 2, FEATURES), loss="last")
    assert seen["l0"].horizon(1e-3) == 19


def test_a_gradient_far_below_the_smallest_float32():
    """The model is float32 and its own gradients are zero there; what is measured does not underflow."""
    T, layer = 400, forgetting(0.5, torch.float32)
    input = normal(T, 2, FEATURES, dtype=torch.float32).requires_grad_()
    seen, _ = watched(layer, input, loss="last")
    assert not input.grad[: T // 2].any(), "float32 was meant to lose this gradient"
    assert profile(seen["l0"])[-1] < 1e-119
    assert_profile(seen["l0"], 0.5 ** np.arange(T))


def test_norms_do_not_underflow_when_squared():
    """Entries of 1e-200 have squares that are zero; their norm is not."""
    seen, _ = watched(forgetting(1e-5), normal(45, 2, FEATURES), loss="last")
    assert_profile(seen["l0"], 1e-5 ** np.arange(45.0))
    assert_all_close({"share": seen["l0"].highway_share()}, {"share": np.ones(45)}, EXACT)


def test_a_constant_gru_gate():
    z0, T = 0.8, 30
    layer = nn.GRU(FEATURES, H, dtype=torch.float64)
    with torch.no_grad():
        for block in (layer.weight_hh_l0, layer.bias_hh_l0, layer.weight_ih_l0[H : 2 * H]):
            block.zero_()
        layer.bias_ih_l0[H : 2 * H].fill_(logit(z0))
    trace = watched(layer, normal(T, 2, FEATURES), loss="last")[0]["l0"]
    assert_profile(trace, z0 ** np.arange(T))
    assert_all_close({"share": trace.highway_share()}, {"share": np.ones(T)}, EXACT)
    assert_all_close({"timescales": trace.timescales()}, {"timescales": np.full(H, -1 / math.log(z0))}, EXACT)


def test_an_orthogonal_network_forgets_nothing():
    T, U = 30, torch.eye(4, dtype=torch.float64)[[2, 0, 3, 1]]
    trace = watched(linear(U), normal(T, 3, 4).abs(), loss="last")[0]["l0"]
    assert_profile(trace, np.ones(T))
    assert trace.horizon(1 - EXACT) == T - 1


@pytest.mark.parametrize("decay", [0.3, 0.9])
def test_a_diagonal_network(decay):
    T = 30
    trace = watched(linear(decay * torch.eye(4, dtype=torch.float64)), normal(T, 3, 4).abs(), loss="last")[0]["l0"]
    assert_profile(trace, decay ** np.arange(T))


def test_a_diagonal_network_of_several_timescales():
    T, decays = 30, torch.tensor([0.2, 0.7, 0.95], dtype=torch.float64)
    seen, cotangents = watched(linear(decays.diag()), normal(T, 1, 3).abs(), loss="last")
    faded = cotangents["output"][-1, 0] * decays ** torch.arange(T)[:, None]
    assert_profile(seen["l0"], (faded.norm(dim=-1) / faded[0].norm()).numpy())


@pytest.mark.parametrize("loss", ["last", "dense", "final"])
def test_each_row_counts_from_its_own_end(loss):
    """Two rows that forget at different speeds, the slow one shorter; beyond the longest there is nothing to say."""
    T, lengths, slow, fast = 10, [4, 7], 0.9, 0.5
    layer = gated_by_input(hg.LSTM)
    input = torch.tensor([logit(slow), logit(fast)], dtype=torch.float64).expand(T, 2)[..., None]
    trace = watched(layer, input, loss=loss, lengths=lengths)[0]["l0"]
    low, high = trace.lag_profile((0.0, 1.0))
    both, alone = slice(0, 4), slice(4, 7)
    lags = np.arange(T)
    assert_all_close(
        {"slow": high[both], "fast": low[both]}, {"slow": slow ** lags[both], "fast": fast ** lags[both]}, EXACT
    )
    assert_all_close(
        {"low": low[alone], "high": high[alone]}, dict.fromkeys(("low", "high"), fast ** lags[alone]), EXACT
    )
    assert np.isnan(low[7:]).all() and np.isnan(high[7:]).all() and np.isnan(trace.highway_share()[7:]).all()
    assert trace.horizon(1e-9) == 6


@pytest.mark.parametrize("name", ["l0", "l1"])
def test_the_source_is_the_last_step_alone(name):
    """A loss at every step does not hide how the gradient of its last term fades."""
    torch.manual_seed(1)
    layer, input = nn.GRU(FEATURES, H, 2, dtype=torch.float64), normal(25, 3, FEATURES)
    weight = normal(25, 3, H, seed=5)

    def measured(first):
        with hg.watch(layer) as seen:
            output, _ = layer(input)
            (output[first:] * weight[first:]).sum().backward()
        return seen[name]

    last, dense = measured(-1), measured(0)
    assert_all_close({"profile": dense.lag_profile()}, {"profile": last.lag_profile()}, EXACT)
    assert_all_close({"share": dense.highway_share()}, {"share": last.highway_share()}, EXACT)
    plain = dense.grad["h"].norm(dim=-1).median(-1).values.flip(0)
    assert 10 * profile(dense)[-1] < plain[-1] / plain[0], "the plain curve was meant to hide it"


def test_each_direction_has_its_own_source():
    """In a dense loss: the last step for the forward one, the first for the reverse one; the layer below has both."""
    layer, input = nn.GRU(FEATURES, H, 2, bidirectional=True, dtype=torch.float64), normal(9, 3, FEATURES)
    weight = normal(9, 3, 2 * H, seed=5)
    ends = torch.zeros_like(weight)
    ends[-1, :, :H] = ends[0, :, H:] = 1.0

    def measured(cotangent):
        with hg.watch(layer) as seen:
            (layer(input)[0] * cotangent).sum().backward()
        return {name: seen[name].lag_profile() for name in seen}

    assert_all_close(measured(weight), measured(weight * ends), EXACT)


def test_the_source_is_the_last_step_that_is_read():
    """A loss that reads no further than step 6 has its lags counted from there; the steps after it are no lags."""
    T, f0 = 12, 0.7
    layer = forgetting(f0)
    with hg.watch(layer) as seen:
        layer(normal(T, 2, FEATURES))[0][[2, 6]].sum().backward()
    found = profile(seen["l0"])
    assert_all_close({"profile": found[:7]}, {"profile": f0 ** np.arange(7)}, EXACT)
    assert np.isnan(found[7:]).all()


def test_a_final_state_is_read_at_the_end():
    """So what the loss reads of earlier outputs is no source."""
    layer, input, lengths = hg.GRU(FEATURES, H, dtype=torch.float64), normal(8, 3, FEATURES), [8, 3, 6]

    def measured(reads_output):
        with hg.watch(layer) as seen:
            output, final = layer(input, lengths=lengths)
            (final.sum() + reads_output * output[1].square().sum()).backward()
        return seen["l0"].lag_profile()

    expected, found = measured(0.0)[:, :8], measured(1.0)[:, :8]
    assert_all_close({"profile": found}, {"profile": expected}, EXACT)


def test_rows_that_the_loss_does_not_read_are_left_out():
    f0, layer = 0.7, forgetting(0.7)
    with hg.watch(layer) as seen:
        layer(normal(8, 3, FEATURES))[0][-1, 1].sum().backward()
    assert_profile(seen["l0"], f0 ** np.arange(8))


def test_the_reverse_direction_counts_its_lags_in_its_own_order():
    T, f0 = 12, 0.6
    layer, one = nn.LSTM(FEATURES, H, bidirectional=True, dtype=torch.float64), forgetting(f0)
    layer.load_state_dict({n + s: v for n, v in one.state_dict().items() for s in ("", "_reverse")})
    with hg.watch(layer) as seen:
        output, _ = layer(normal(T, 2, FEATURES))
        (output[-1].sum() + output[0].sum()).backward()
    for name in ("l0", "l0_reverse"):
        assert_profile(seen[name], f0 ** np.arange(T))


def test_a_gate_that_never_forgets_has_no_timescale_to_end_it():
    layer = hg.LSTM(FEATURES, H, forget_gate=False, dtype=torch.float64)
    assert np.isposinf(watched(layer, normal(9, 2, FEATURES))[0]["l0"].timescales()).all()


def test_timescales_do_not_count_steps_that_were_not_taken():
    """Whatever the gate would have been there."""
    layer, kept = gated_by_input(hg.LSTM), logit(0.9)
    input = torch.full((9, 3, 1), kept, dtype=torch.float64)
    found = watched(layer, input, lengths=[9, 2, 0])[0]["l0"].timescales()
    assert_all_close({"timescales": found}, {"timescales": np.full(H, -1 / math.log(0.9))}, EXACT)


def test_one_reset_in_fifty_does_not_halve_a_timescale():
    """f = .99 with one .05 in fifty steps: -1 / mean log f is 14.4, where 1 / (1 - mean f) says 34.7."""
    T, layer = 50, gated_by_input(nn.LSTM)
    gates = np.full(T, 0.99)
    gates[20] = 0.05
    input = torch.tensor([logit(f) for f in gates], dtype=torch.float64)[:, None, None]
    found = watched(layer, input, loss="all")[0]["l0"].timescales()
    assert_all_close({"tau": found}, {"tau": np.full(H, -1 / np.log(gates).mean())}, EXACT)
    assert found[0] < 15 < 34 < 1 / (1 - gates.mean())

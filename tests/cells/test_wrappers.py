"""The wrappers against their papers' equations written out by hand, and what they refuse."""

import numpy as np
import pytest
import torch
from graph.one_step import OneStep

import headgate as hg
from headgate import cells
from headgate.cells import Cell, LayerNorm, State, Zoneout, tanh


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def norm(a, gain=1.0, bias=0.0, eps=1e-5):
    """Equation 22 of Ba, Kiros & Hinton for one row."""
    return gain * (a - a.mean()) / np.sqrt(((a - a.mean()) ** 2).mean() + eps) + bias


def side_by_side(named, names, prefix=""):
    return np.concatenate([named[f"{prefix}{name}"].ravel() for name in names])


def test_a_layer_norm_lstm_is_that_of_the_paper():
    cell = cells.get("lstm", layer_norm=True)
    one = OneStep(cell)
    gates, h, c = cell.gate_names, one.s["h"], one.s["c"]
    recurrent = np.concatenate([(one.matrix[gate] @ h.ravel()) for gate in gates])
    total = norm(recurrent, side_by_side(one.p, gates, "u_")) + norm(
        side_by_side(one.x, gates), side_by_side(one.p, gates, "w_")
    )
    total = total + side_by_side(one.p, gates, "b_")
    a = dict(zip(gates, np.split(total, len(gates)), strict=True))
    new_c = sigmoid(a["f"]) * c.ravel() + sigmoid(a["i"]) * np.tanh(a["g"])
    new_h = sigmoid(a["o"]) * np.tanh(norm(new_c, one.p["gain_c"].ravel(), one.p["bias_c"].ravel()))
    found, _ = one.run()
    np.testing.assert_allclose(found["c"].ravel(), new_c, rtol=1e-12)
    np.testing.assert_allclose(found["h"].ravel(), new_h, rtol=1e-12)


def test_zoneout_keeps_old_values_where_the_mask_is_one():
    plain, cell = OneStep(cells.get("lstm")), cells.get("lstm", zoneout={"h": 0.25, "c": 0.5})
    new, _ = plain.run()
    H = plain.s["h"].shape[1]
    mask = {"h": np.arange(H) % 2 == 0, "c": np.arange(H) % 3 == 0}
    drawn = type(plain.x)((name, value[None].astype(float)) for name, value in mask.items())
    zoned, _ = cell(plain.x, plain.U, plain.s, plain.p, drawn)
    for name in ("h", "c"):
        np.testing.assert_array_equal(zoned[name], np.where(mask[name], plain.s[name], new[name]))


def test_without_masks_zoneout_takes_their_expectation():
    plain, cell = OneStep(cells.get("lstm")), cells.get("lstm", zoneout={"h": 0.25, "c": 0.5})
    new, _ = plain.run()
    found, _ = cell(plain.x, plain.U, plain.s, plain.p)
    for name, rate in {"h": 0.25, "c": 0.5}.items():
        np.testing.assert_allclose(found[name], rate * plain.s[name] + (1 - rate) * new[name], rtol=1e-12)


def test_a_wrapped_cell_answers_as_the_cell_does():
    cell = Zoneout(LayerNorm(cells.get("gru")), 0.1)
    assert cell.family is cells.get("gru").family
    assert cell.state_names == ("h",)
    assert cell == cells.get("gru", layer_norm=True, zoneout=0.1)
    assert cell != cells.get("gru", layer_norm=True, zoneout=0.2)
    assert len({cell, cells.get("gru", layer_norm=True, zoneout=0.1)}) == 1


class Silent(Cell):
    """A memory whose reading by the output is not marked."""

    gates = "n"
    states = "h c"
    memory = "c"

    def step(self, x, U, s):
        c = 0.5 * s.c + tanh(x.n + U.n(s.h))
        return State(h=tanh(c), c=c)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: LayerNorm(LayerNorm(cells.get("lstm"))), ValueError, "wrapped in one already"),
        (lambda: LayerNorm("lstm"), TypeError, "wraps a Cell"),
        (lambda: LayerNorm(cells.get("lstm"), eps=0), ValueError, "above 0"),
        (lambda: LayerNorm(cells.get("lstm"), bias=1), TypeError, "not True or False"),
        (lambda: LayerNorm(Silent()), ValueError, r"write\s+s\.read\(c\)"),
        (lambda: Zoneout(cells.get("lstm"), 1.0), ValueError, r"\[0, 1\)"),
        (lambda: Zoneout(cells.get("lstm"), -0.1), ValueError, r"\[0, 1\)"),
        (lambda: Zoneout(cells.get("lstm"), float("nan")), ValueError, r"\[0, 1\)"),
        (lambda: Zoneout(cells.get("lstm"), "0.1"), TypeError, "no rate"),
        (lambda: Zoneout(cells.get("lstm"), {"z": 0.1}), ValueError, "no state 'z'; it has h, c"),
        (lambda: Zoneout(cells.get("lstm"), {"h": 0.0}), ValueError, "zones nothing out"),
        (lambda: cells.get("lstm", layer_norm={"epsilon": 1}), TypeError, "no setting 'epsilon'"),
        (lambda: cells.get("lstm", layer_norm=1), TypeError, "layer_norm=1"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_sentence(make, error, words):
    with pytest.raises(error, match=words):
        make()


# --- as layers --------------------------------------------------------------------------------------------------


def outputs(layer, seed):
    torch.manual_seed(seed)
    return layer(torch.ones(6, 3, 4))[0].detach()


def test_training_draws_masks_anew_and_a_seed_repeats_them():
    layer = hg.LSTM(4, 33, zoneout=0.3)
    first, again, other = outputs(layer, 1), outputs(layer, 1), outputs(layer, 2)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    torch.manual_seed(1)
    twice = [layer(torch.ones(6, 3, 4))[0].detach() for _ in range(2)]
    assert not torch.equal(*twice)
    layer.eval()
    assert torch.equal(outputs(layer, 1), outputs(layer, 2))


def test_layers_and_directions_have_masks_of_their_own():
    layer = hg.RNN(4, 16, num_layers=2, bidirectional=True, zoneout=0.5, bias=False)
    seeds = layer.draw_seeds()
    assert len({int(seed) for seed in seeds}) == 4


def test_any_engine_gives_the_same_under_the_same_seed():
    layers = [hg.GRU(4, 19, num_layers=2, layer_norm=True, zoneout=0.3, engine=engine) for engine in ("cpu", "eager")]
    layers[1].load_state_dict(layers[0].state_dict())
    torch.testing.assert_close(outputs(layers[0], 5), outputs(layers[1], 5), rtol=1e-4, atol=1e-5)


def test_layer_norm_starts_at_one_and_takes_the_place_of_biases():
    names = {name for name, _ in hg.LSTM(4, 5, layer_norm=True).named_parameters()}
    assert names == {"weight_ih_l0", "weight_hh_l0", "weight_p_l0"}
    cell = cells.get("lstm", layer_norm=True)
    start = dict(zip(cell.vector_names, hg.LSTM(4, 5, layer_norm=True).weight_p_l0.view(-1, 5), strict=True))
    assert all((start[name] == value).all() for name, value in cell.vector_starts.items())

"""Packed weights in bfloat16: of a layer in half precision, or of one in float32 under autocast."""

import pytest
import torch
from nn.layer_runs import CELLS, as_hx, named, normal, states_for

import headgate as hg
from headgate.engines.cpu import library
from headgate.engines.cpu.prepared import prepared
from headgate.engines.cpu.stack import can_stack
from headgate.nn import recurrent

pytestmark = pytest.mark.skipif(library.library() is None, reason="the library was not built")

FEATURES = 5
HALF = torch.bfloat16


@pytest.fixture(params=["emulated", "amx"])
def tiles(request, monkeypatch):
    """Products of bfloat16 are made by tiles, whatever the processor has; AMX's own where it has them."""
    if request.param == "amx" and library.tiles() is None:
        pytest.skip("this processor has no AMX")
    monkeypatch.setattr(library, "tiles", lambda: request.param)
    for kept in (library.entry, prepared):
        kept.cache_clear()
    yield
    for kept in (library.entry, prepared):
        kept.cache_clear()


def layer_of(cell="lstm", H=16, **options):
    return hg.Recurrent(cell, FEATURES, H, **{"num_layers": 2, "engine": "cpu", **options}).eval().requires_grad_(False)


def autocast(on=True):
    return torch.autocast("cpu", HALF, enabled=on)


def the_long_way(layer, input, state, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(recurrent, "run_packed", lambda *given, **how: None)
        return named(layer(input, state))


def agrees(layer, input, state, monkeypatch):
    expected, found = the_long_way(layer, input, state, monkeypatch), named(layer(input, state))
    assert {name: value.dtype for name, value in found.items()} == {n: v.dtype for n, v in expected.items()}
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=0, atol=0, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.parametrize("H", [16, 19])
@pytest.mark.parametrize("cell", CELLS)
def test_it_computes_the_very_numbers_of_the_long_way(cell, H, tiles, monkeypatch):
    layer, x = layer_of(cell, H), normal(4, 3, FEATURES, dtype=torch.float32)
    with autocast():
        agrees(layer, x, None, monkeypatch)
        assert (layer._packed is not None) == can_stack(layer.cell)
        agrees(layer, x.to(HALF), None, monkeypatch)
    agrees(layer.to(HALF), x.to(HALF), None, monkeypatch)


@pytest.mark.parametrize("shape", [(7, 3), (1, 20), (7,)], ids=str)
@pytest.mark.parametrize("options", [{}, {"batch_first": True}, {"bidirectional": True}, {"proj_size": 7}], ids=str)
def test_states_in_every_dtype_that_may_come(options, shape, tiles, monkeypatch):
    layer = layer_of(**options) if "proj_size" not in options else hg.LSTM(FEATURES, 16, 2, engine="cpu", **options)
    layer.requires_grad_(False)
    x = normal(*(shape[::-1] if layer.batch_first else shape), FEATURES, dtype=torch.float32)
    states = [value.float() for value in states_for(layer, shape[1] if len(shape) > 1 else 1)]
    states = states if len(shape) > 1 else [value[:, 0] for value in states]
    for kind in (torch.float32, HALF):
        with autocast():
            agrees(layer, x, as_hx(tuple(value.to(kind) for value in states)), monkeypatch)
            assert layer._packed is not None


def test_steps_are_those_of_a_sequence_and_carry_float32(tiles):
    layer, x, outputs, state = layer_of("gru", 19), normal(5, 2, FEATURES, dtype=torch.float32), [], None
    with autocast():
        expected = layer(x, torch.zeros(2, 2, 19))[0]
        for row in x:
            output, state = layer.step(row, state)
            outputs.append(output)
    assert (output.dtype, state.dtype) == (HALF, torch.float32)
    torch.testing.assert_close(torch.stack(outputs), expected, rtol=0, atol=0)


def test_products_in_float32_would_be_noticed(tiles, monkeypatch):
    layer, x = layer_of(H=64), normal(4, 3, FEATURES, dtype=torch.float32)
    found = named(layer(x))
    monkeypatch.setattr(recurrent, "run_packed", lambda *given, **how: None)
    with autocast():
        expected = named(layer(x))
    with pytest.raises(AssertionError):
        torch.testing.assert_close(found["output"].to(HALF), expected["output"], rtol=0, atol=0)


def test_what_autocast_has_packed_is_not_used_without_it(tiles, monkeypatch):
    layer, x = layer_of(), normal(4, 3, FEATURES, dtype=torch.float32)
    plain = the_long_way(layer, x, None, monkeypatch)["output"]
    for _ in range(2):
        with autocast():
            assert layer(x)[0].dtype is HALF
        torch.testing.assert_close(layer(x)[0], plain)
        with autocast():
            layer(x)
        with pytest.raises(ValueError, match="does not match weight dtype"):
            layer(x.to(HALF))


def test_states_that_cannot_be_meant_are_refused(tiles):
    layer, x = layer_of(), normal(4, 3, FEATURES, dtype=torch.float32)
    with autocast():
        layer(x)
        with pytest.raises(RuntimeError, match=r"the initial h has dtype torch\.float64"):
            layer(x, (torch.zeros(2, 3, 16, dtype=torch.float64), torch.zeros(2, 3, 16)))


@pytest.mark.parametrize("change", [lambda w: w.mul_(-1), lambda w: w.data.mul_(0.5)], ids=["in place", "through data"])
def test_it_is_never_stale(change, tiles):
    layer, x = layer_of(), normal(4, 3, FEATURES, dtype=torch.float32)
    with autocast():
        layer(x)
        change(layer.weight_hh_l1)
        other = layer_of()
        other.load_state_dict(layer.state_dict())
        torch.testing.assert_close(layer(x)[0], other(x)[0], rtol=0, atol=0)


def test_without_tiles_it_is_not_done(monkeypatch):
    monkeypatch.setattr(library, "tiles", lambda: None)
    layer = layer_of()
    with autocast():
        output, (h, c) = layer(normal(4, 3, FEATURES, dtype=torch.float32))
    assert layer._packed is None and {output.dtype, h.dtype, c.dtype} == {HALF}


def test_autocast_leaves_float64_alone(tiles):
    layer, x = layer_of(dtype=torch.float64), normal(4, 3, FEATURES)
    expected = layer(x)[0]
    with autocast():
        torch.testing.assert_close(layer(x)[0], expected, rtol=0, atol=0)

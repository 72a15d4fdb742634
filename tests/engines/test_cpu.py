"""The compiled engine: how threads share its work, what memory it trusts, and mistakes to be seen."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from comparing import assert_all_close
from engines.mutant_cells import MinusLSTM
from engines.running import call_of, value_and_gradients, variables_of, with_gradients
from engines.test_engine_mutants import refused
from reference.cases import CELLS, SMALL, case_of, traced, truth
from tolerances import TOLERANCE

import headgate as hg
from headgate import engines
from headgate.cells import Cell, Matrix, State, sigmoid, tanh
from headgate.engines.cpu import back, layout, library, prepared, run, structures, weights
from headgate.engines.cpu.autograd import run_call

pytestmark = pytest.mark.skipif(library.library() is None, reason="the library was not built")
SPLITS = pytest.mark.parametrize("split", [1, 2], ids=["by rows", "by units"])
LARGE = (9, 7, 83)  # several strips of units, a part of one, and rows that no number of threads divides
TILED = (2, 150, 350)  # a step's results are several times the second cache's part for them; two groups of rows


def split_values(case, split, dtype=torch.float64):
    call = call_of(case, dtype)
    result = run_call(call, split)
    values = {"output": result.output}
    values |= {f"final_{name}": value for name, value in zip(call.cell.state_names, result.final, strict=True)}
    return with_gradients(case, values, variables_of(call))


@SPLITS
@pytest.mark.parametrize("options", ["plain", "lengths reset reverse no bias", "lengths", "reverse"])
@pytest.mark.parametrize(
    "name",
    [
        *("lstm", "gru", "reset_before_gru", "lstmp", "greff_fgrp", "peephole_lstm", "rnn"),
        *("layer_norm_lstm", "layer_norm_lstmp", "layer_norm_gru", "zoneout_lstm_training"),
    ],
)
def test_threads_share_the_work_and_change_nothing(name, options, split, three_threads):
    case = case_of(name, LARGE, options)
    assert_all_close(split_values(case, split), traced(case), TOLERANCE["cpu", torch.float64])


@SPLITS
@pytest.mark.parametrize("name", ["lstm", "peephole_lstm", "layer_norm_lstm", "zoneout_lstm_training"])
def test_steps_of_several_tiles(name, split, two_threads):
    case = case_of(name, TILED)
    assert_all_close(split_values(case, split), traced(case), TOLERANCE["cpu", torch.float64])


@SPLITS
def test_repeating_a_call_gives_the_same_bits(split, three_threads):
    case = case_of("lstm", LARGE, "lengths")
    first, second = (split_values(case, split, torch.float32) for _ in range(2))
    assert all(np.array_equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("name", CELLS)
def test_memory_that_nobody_has_written_is_never_read(name):
    """torch.empty gives NaN here, so that whatever leaks out of it shows."""
    torch.use_deterministic_algorithms(True)
    try:
        assert torch.empty(3).isnan().all()
        for options in ("plain", "lengths reset reverse no bias", "lengths"):
            expected = truth(name, SMALL, options)
            found = value_and_gradients(case_of(name, SMALL, options), "cpu", torch.float64)
            assert_all_close(found, expected, TOLERANCE["cpu", torch.float64])
    finally:
        torch.use_deterministic_algorithms(False)


def test_more_steps_than_sixteen_bits_can_count():
    layer = hg.GRU(1, 2, engine="cpu").double()
    T = 70_001
    x = torch.randn(T, 1, 1, dtype=torch.float64)
    with torch.no_grad():
        whole = layer(x)[0]
        _, state = layer(x[:70_000])
        assert torch.equal(layer(x[70_000:], state)[0][0], whole[-1])


def test_what_was_kept_goes_when_the_way_back_is_done():
    layer = hg.LSTM(3, 4, engine="cpu")
    loss = layer(torch.randn(5, 2, 3))[0].sum()
    loss.backward()
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        loss.backward()


@pytest.mark.parametrize("which", ("input", "weight"))
def test_what_the_way_back_needs_and_was_changed_in_place_is_noticed(which):
    layer, x = hg.LSTM(3, 16, engine="cpu"), torch.randn(5, 2, 3)
    output = layer(x)[0]
    with torch.no_grad():
        (x if which == "input" else layer.weight_hh_l0).mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        output.sum().backward()


def test_every_instruction_set_that_runs_here_computes_the_same():
    rest = library.INSTRUCTIONS[: library.INSTRUCTIONS.index(library.instructions())]
    weight = torch.randn(4 * 19, 21)
    expected = weights.pack(weight, None, 4)[0]
    for isa in rest:
        packed = torch.empty_like(expected)
        job = structures.Packing(weight.data_ptr(), None, 19, 21, 4, 0, 1, 0, packed.data_ptr(), None)
        library.entry("hg_pack", torch.float32, isa)(library.ctypes.byref(job))
        assert torch.equal(packed, expected)


@pytest.mark.parametrize("isa", library.INSTRUCTIONS)
@pytest.mark.parametrize("name", ["lstm", "gru", "greff_fgr", "layer_norm_gru", "zoneout_lstm_training"])
def test_narrower_instruction_sets_are_right_too(name, isa, monkeypatch):
    if library.INSTRUCTIONS.index(isa) > library.INSTRUCTIONS.index(library.instructions()):
        pytest.skip(f"this processor has no {isa}")
    monkeypatch.setattr(library, "instructions", lambda: isa)
    caches = (library.entry, layout.point_of, layout.forward_layout, layout.backward_layout, prepared.prepared)
    [cache.cache_clear() for cache in caches]
    try:
        for dtype in (torch.float64, torch.float32):
            case = case_of(name, LARGE, "lengths reverse")
            assert_all_close(value_and_gradients(case, "cpu", dtype), traced(case), TOLERANCE["cpu", dtype])
    finally:
        [cache.cache_clear() for cache in caches]


CHANGES = {
    "optimizer": lambda w: torch.optim.SGD([w], 0.1).step() if w.grad is not None else w.data.mul_(1.5),
    "copy_": lambda w: w.copy_(2 * w),
    "data": lambda w: w.data.mul_(0.5),
    "data replaced": lambda w: setattr(w, "data", 3 * w.data),
    "requires_grad_": lambda w: w.requires_grad_(False),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("name", ["weight_ih_l0", "weight_hh_l0", "bias_hh_l0"])
def test_packed_weights_that_were_kept_are_never_stale(name, change):
    layer = hg.LSTM(16, 32, engine="cpu")
    other = hg.LSTM(16, 32, engine="eager")
    x = torch.randn(3, 2, 16)
    for _ in range(2):
        layer(x)[0].sum().backward()
        with torch.no_grad():
            layer.step(x[0])
            change(getattr(layer, name))
            other.load_state_dict(layer.state_dict())
            torch.testing.assert_close(layer(x)[0], other(x)[0])
            torch.testing.assert_close(layer.step(x[0])[0], other(x[:1])[0][0])


def test_packed_weights_do_not_keep_a_layer_alive():
    import gc
    import weakref

    layer = hg.LSTM(16, 32, engine="cpu")
    with torch.no_grad():
        layer.step(torch.randn(1, 16))
        layer(torch.randn(2, 1, 16))
    gone = weakref.ref(layer.weight_hh_l0)
    del layer
    gc.collect()
    assert gone() is None


class Unusual(Cell):
    """Products of an input part, of a parameter and of a new state; one state handed on as it is."""

    gates = "a n"
    states = "h c d"
    vectors = "v"
    recurrent = (Matrix("hh", "a n m k", columns="H"),)

    def step(self, x, U, s, p):
        c = sigmoid(x.a + U.a(x.n)) * s.c + U.n(p.v)
        return State(h=tanh(c + U.m(c)) + s.d, c=c, d=s.h * U.k(s.h))


@pytest.mark.parametrize("options", ["plain", "lengths reset reverse no bias"])
def test_products_of_anything(options):
    case = replace(case_of("lstm", (5, 3, 19), options), cell=Unusual())
    random = np.random.default_rng(2)
    shapes = Unusual().parameter_shapes(case.input.shape[2], 19, 19, bias="bias_ih" in case.weights)
    case = replace(
        case,
        weights={name: random.normal(size=shape) / 5 for name, shape in shapes.items()},
        initial={name: random.normal(size=(3, 19)) for name in "hcd"},
        cotangents=case.cotangents | {"final_d": random.normal(size=(3, 19))},
    )
    assert_all_close(value_and_gradients(case, "cpu", torch.float64), traced(case), TOLERANCE["cpu", torch.float64])


class Wide(Cell):
    """Seventy gates: more values in one pass than any cell of the catalogue has."""

    gates = " ".join(f"g{k}" for k in range(70))
    states = "h"

    def step(self, x, U, s):
        return State(h=tanh(sum(x[name] * sigmoid(U[name](s.h)) for name in self.gate_names)))


def test_a_cell_of_many_gates():
    case = replace(case_of("rnn", (3, 2, 17)), cell=Wide())
    shapes = Wide().parameter_shapes(case.input.shape[2], 17, 17)
    random = np.random.default_rng(3)
    case = replace(case, weights={name: random.normal(size=shape) / 9 for name, shape in shapes.items()})
    assert_all_close(value_and_gradients(case, "cpu", torch.float64), traced(case), TOLERANCE["cpu", torch.float64])


@pytest.mark.parametrize("options", ["lengths", "lengths reverse", "lengths reset reverse no bias"])
def test_second_derivatives_draw_the_masks_of_the_first(options):
    """They come of another engine, over rows that were sorted in between."""
    found = {}
    for engine in ("cpu", "eager"):
        call = call_of(case_of("zoneout_lstm_training", (5, 6, 16), options), torch.float64)
        variables = variables_of(call)
        result = engines.engine_named(engine).forward(call)
        loss = result.output.square().sum() + sum(value.sin().sum() for value in result.final)
        first = torch.autograd.grad(loss, list(variables.values()), create_graph=True)
        second = torch.autograd.grad(sum(value.square().sum() for value in first), list(variables.values()))
        found[engine] = {name: value.numpy() for name, value in zip(variables, second, strict=True)}
    assert_all_close(found["cpu"], found["eager"], TOLERANCE["cpu", torch.float64])


# --- mistakes made on purpose -----------------------------------------------------------------------------------


def test_a_wrong_equation():
    assert refused("lstm", "plain", "cpu", as_cell=MinusLSTM()) >= {"output", "final_c", "d_weight_hh", "d_input"}


def test_a_transposed_pack(monkeypatch):
    right = weights.packed

    def wrong(weight, bias, part, blocks, rows, back=False):
        square = weight.unflatten(0, (blocks, -1))
        turned = square.mT.flatten(0, 1).contiguous() if square.shape[1] == square.shape[2] else weight
        return right(turned, bias, part, blocks, rows, back)

    monkeypatch.setattr(run, "packed", wrong)
    assert refused("lstm", "lengths", "cpu") >= {"output", "final_h", "d_weight_hh"}
    monkeypatch.setattr(run, "packed", right)
    monkeypatch.setattr(back, "packed", wrong)
    found = refused("gru", "lengths", "cpu")
    assert found >= {"d_weight_hh", "d_input", "d_initial_h"}
    assert "output" not in found


def test_old_states_that_are_a_step_off(monkeypatch):
    right = back._Products._vectors

    def after_the_step(self, argument):
        width = right(self, argument).above.shape[1]
        return back.Stacked(self.memory.new[0][:, :width])

    monkeypatch.setattr(back._Products, "_vectors", after_the_step)
    assert refused("lstm", "lengths", "cpu") == {"d_weight_hh"}


def test_resets_that_are_not_made(monkeypatch):
    from headgate.engines.cpu import autograd

    right = autograd.rows_of
    monkeypatch.setattr(autograd, "rows_of", lambda call: right(replace(call, reset=None)))
    assert refused("gru", "reset", "cpu") >= {"output", "final_h", "d_initial_h"}


@pytest.mark.parametrize("half", [False, True], ids=["float32", "bfloat16"])
def test_sums_for_weights_are_shared_and_the_same(half):
    """As much work as three threads share, of which the input's columns are fewer than the state's."""
    before, found = torch.get_num_threads(), []
    layer, plain = hg.LSTM(40, 96, engine="cpu"), torch.nn.LSTM(40, 96)
    plain.load_state_dict(layer.state_dict())
    x, upstream = torch.randn(16, 16, 40), torch.randn(16, 16, 96)
    try:
        for threads, one in ((1, plain), (1, layer), (2, layer), (3, layer)):
            torch.set_num_threads(threads)
            with torch.autocast("cpu", torch.bfloat16, enabled=half):
                output = one(x)[0]
            found.append(torch.autograd.grad(output, list(one.parameters()), upstream.to(output.dtype)))
    finally:
        torch.set_num_threads(before)
    for expected, *ours in zip(*found, strict=True):
        allowed = (3e-2 if half else 1e-4) * expected.abs().max().item()
        torch.testing.assert_close(ours[0], expected, rtol=0, atol=allowed)
        assert all(torch.equal(ours[0], other) for other in ours[1:])

"""Products by tiles: emulated, and by AMX's own instructions, trapped where the processor lacks them."""

import ctypes
import subprocess
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from comparing import assert_all_close
from engines.running import call_of, variables_of
from engines.test_half import STEPS, integrator
from engines.test_sanitizers import TILES
from engines.tiles import CSRC, build_trap, expected, half_call, skip_unless_amx_can_be_run, trapped
from engines.tiles import values_and_gradients as results
from reference.cases import CELLS, case_of, traced
from tolerances import TOLERANCE

import headgate as hg
from headgate.engines import Call, eager
from headgate.engines.cpu import library, own_cells
from headgate.engines.cpu.autograd import run_call
from headgate.engines.cpu.prepared import prepared

pytestmark = pytest.mark.skipif(library.library() is None, reason="the library was not built")
OPTIONS = ["plain", "lengths", "lengths reset reverse no bias"]
# T, B, H: below, at and above a tile's rows and a block of units; K is odd, and of one tile and several.
SHAPES = [(1, 1, 19), (5, 2, 83), (3, 15, 33), (2, 16, 64), (3, 17, 50), (2, 33, 96), (2, 50, 16)]
OTHERS = ["gru", "lstmp", "reset_before_gru", "peephole_lstm", "layer_norm_lstm"]
CASES = [("lstm", shape) for shape in SHAPES] + [(name, (3, 17, 50)) for name in OTHERS]


def has_amx():
    return "amx_bf16" in Path("/proc/cpuinfo").read_text()


@pytest.fixture(scope="session")
def trap(tmp_path_factory):
    skip_unless_amx_can_be_run()
    return build_trap(tmp_path_factory.mktemp("trap"))


def forget_tiles():
    """Entries of the library, and calls that were prepared with them."""
    for kept in (library.entry, prepared):
        kept.cache_clear()


@pytest.fixture(params=["emulated", "amx"])
def tiles(request, monkeypatch):
    """Products of bfloat16 are made by tiles; gives how many of AMX's were trapped so far."""
    trap = request.getfixturevalue("trap") if request.param == "amx" else None
    monkeypatch.setattr(library, "tiles", lambda: request.param)
    monkeypatch.setattr(library, "is_brief", lambda products: False)  # which a test of its own is for
    forget_tiles()
    if trap is None:
        yield lambda: 0
    else:
        with trapped(trap) as count:
            yield count
    forget_tiles()


def assert_rounded_alike(found, right, many_rows):
    """Nearly all as in float32: a state at the edge between two numbers of bfloat16 may be rounded the other way."""
    inexact = {name for name in right if name.startswith("d_") and not name.startswith("d_initial")}
    for names, tolerance in ((right.keys() - inexact, "tiles"), (inexact, "tiles, rounded")):
        wanted = {name: right[name] for name in names}
        assert_all_close({name: found[name] for name in names}, wanted, TOLERANCE[tolerance, torch.bfloat16])
    for name in right.keys() - inexact if many_rows else ():
        deviation = np.median(np.abs(found[name] - right[name])) / np.abs(right[name]).max()
        assert deviation < TOLERANCE["tiles, usual", torch.bfloat16], f"{name}: usually off by {deviation:.1e}"


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize(("name", "shape"), CASES)
def test_products_are_of_rounded_factors_and_exact_otherwise(name, shape, options, tiles, monkeypatch):
    call = half_call(case_of(name, shape, options))
    assert_rounded_alike(results(run_call, call), expected(call, monkeypatch), shape[1] >= 15)


@pytest.mark.parametrize("split", [1, 2], ids=["by rows", "by units"])
@pytest.mark.parametrize("name", ["lstm", "reset_before_gru", "layer_norm_lstm"])
def test_threads_share_the_work(name, split, tiles, three_threads, monkeypatch):
    call = half_call(case_of(name, (3, 50, 83), "lengths reset reverse no bias"))
    assert_rounded_alike(results(lambda call: run_call(call, split), call), expected(call, monkeypatch), True)


@pytest.mark.parametrize("name", ["lstm", "gru", "peephole_lstm", "layer_norm_lstm"])
def test_passes_with_brief_functions(name, trap, monkeypatch):
    """As they run on a processor with AMX: at most twice as far off as precise ones, or by a rounding to bfloat16."""
    monkeypatch.setattr(library, "tiles", lambda: "amx")
    forget_tiles()
    call = half_call(case_of(name, (3, 17, 50), "lengths"))
    try:
        with trapped(trap):
            found = results(run_call, call)
            monkeypatch.setattr(library, "is_brief", lambda products: False)
            forget_tiles()
            precise = results(run_call, call)
    finally:
        forget_tiles()
    for part, right in expected(call, monkeypatch).items():
        largest = np.abs(right).max()
        off = np.abs(found[part] - right).max() / largest
        assert off <= max(2 * np.abs(precise[part] - right).max() / largest, TOLERANCE["tiles", torch.bfloat16]), part
        assert np.any(found[part] != precise[part]), f"{part}: they are not brief"


def test_products_in_float32_would_be_noticed(monkeypatch):
    monkeypatch.setattr(library, "tiles", lambda: None)
    call = half_call(case_of("lstm", (3, 17, 50)))
    with pytest.raises(AssertionError, match="usually off"):
        assert_rounded_alike(results(run_call, call), expected(call, monkeypatch), True)


def test_the_instructions_are_those_of_amx(tiles, request):
    """So that a test of the trapped ones is not one of something else."""
    before = tiles()
    results(run_call, half_call(case_of("lstm", (2, 3, 16))))
    assert (tiles() > before) == ("amx" in request.node.callspec.id and not has_amx())


def test_small_additions_are_not_lost(tiles):
    """2000 times 0.001: 2.0, where a cell state of bfloat16 would end at 0.5."""
    zeros = torch.zeros(1, 1, dtype=torch.bfloat16)
    call = Call(CELLS["lstm"], integrator(torch.bfloat16), zeros.expand(STEPS, 1, 1), (zeros, zeros))
    assert run_call(call).final[1].item() == pytest.approx(2.0, rel=0.01)


def test_vectors_are_rounded_to_the_nearest_ties_to_even(tiles):
    """Through h' = relu(u h) with u = 1 and -1: numbers of bfloat16, what lies beside and halfway, inf, NaN."""
    bits = torch.arange(0x7F7F, 0x80, -5, dtype=torch.int32)[:, None] * 0x10000  # from the largest on
    bits = (bits + torch.tensor([0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF])).flatten()
    above = torch.cat([bits.int().view(torch.float32), torch.tensor([torch.inf, torch.nan])])[:, None]
    for sign in (1.0, -1.0):
        weights = {"weight_ih": torch.zeros(1, 1), "weight_hh": torch.full((1, 1), sign)}
        weights = {name: value.bfloat16() for name, value in weights.items()}
        input = torch.zeros(1, len(above), 1, dtype=torch.bfloat16)
        final = run_call(Call(CELLS["relu_rnn"], weights, input, (sign * above,))).final[0]
        assert final.dtype == torch.float32
        torch.testing.assert_close(final, above.bfloat16().float(), rtol=0, atol=0, equal_nan=True)


def test_gradients_are_no_worse_than_those_of_torch_under_autocast(tiles):
    case = case_of("lstm", (16, 20, 64))
    right, found = traced(case), []
    for layer in (hg.LSTM(case.input.shape[2], 64, engine="cpu"), torch.nn.LSTM(case.input.shape[2], 64)):
        call = call_of(case, torch.float32)
        layer.load_state_dict({f"{name}_l0": value for name, value in call.weights.items()})
        with torch.autocast("cpu", torch.bfloat16):
            output, state = layer(call.input, tuple(value[None] for value in call.initial))
        values = output, *(value[0] for value in state)
        names = "output", "final_h", "final_c"
        weights = [torch.tensor(case.cotangents[name]).to(v) for name, v in zip(names, values, strict=True)]
        tensors = {"d_input": call.input} | {f"d_{name}": getattr(layer, f"{name}_l0") for name in call.weights}
        gradients = torch.autograd.grad(values, list(tensors.values()), weights)
        pairs = zip(tensors, gradients, strict=True)
        found.append({name: np.abs(g.double().numpy() - right[name]).max() for name, g in pairs})
    assert all(ours <= theirs for ours, theirs in zip(found[0].values(), found[1].values(), strict=True)), found


def test_the_engine_is_differentiated_twice(tiles):
    call = half_call(case_of("gru", (3, 2, 5)))
    (first,) = torch.autograd.grad(run_call(call).final[0].square().sum(), call.initial[0], create_graph=True)
    second = torch.autograd.grad(first.square().sum(), list(variables_of(call).values()))
    assert all(value.isfinite().all() for value in second)


def test_packed_weights_that_were_kept_are_never_stale(tiles):
    layer, x = hg.LSTM(16, 32, engine="cpu", dtype=torch.bfloat16), torch.randn(3, 2, 16).bfloat16()
    with torch.no_grad():
        layer(x)
        for change in (lambda w: w.mul_(-1), lambda w: w.data.mul_(0.5)):
            change(layer.weight_hh_l0)
            other = hg.LSTM(16, 32, engine="cpu", dtype=torch.bfloat16)
            other.load_state_dict(layer.state_dict())
            assert torch.equal(layer(x)[0], other(x)[0])


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize(("layers", "both_ways"), [(1, False), (1, True), (3, True)])
@pytest.mark.parametrize("cell", ["LSTM", "GRU"])
@pytest.mark.parametrize("shape", [(1, 1, 16), (5, 3, 19), (4, 18, 70)])
def test_outputs_are_final_states_rounded(shape, cell, layers, both_ways, threads, tiles):
    """They are rounded as they are written: every step's is the end of a shorter sequence's."""
    T, B, H = shape
    layer = getattr(hg, cell)(7, H, num_layers=layers, bidirectional=both_ways, engine="cpu")
    x, before = torch.randn(T, B, 7), torch.get_num_threads()
    zeros = torch.zeros(layers * (1 + both_ways), B, H)
    begin = (zeros, zeros) if cell == "LSTM" else zeros
    torch.set_num_threads(threads)
    try:
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            output, _ = layer(x, begin)
            for t in range(1, T + 1) if layers == 1 else [T]:
                _, final = layer(x[:t], begin)
                h = final[0] if cell == "LSTM" else final
                assert h.dtype is torch.float32 and output.dtype is torch.bfloat16
                assert torch.equal(output[t - 1, :, :H], h[-1 - both_ways].bfloat16())
                if both_ways:
                    _, final = layer(x[T - t :], begin)
                    h = final[0] if cell == "LSTM" else final
                    assert torch.equal(output[T - t, :, H:], h[-1].bfloat16())
    finally:
        torch.set_num_threads(before)


# --- products of float32, in pieces --------------------------------------------------------------------------------


def in_float32(name, options, split=0):
    """Errors of all values and gradients against float64: by pieces, and without."""
    case = case_of(name, (9, 60, 83), options)
    exact = results(eager.forward, replace(call_of(case, torch.float64), all_states=True))
    call = replace(call_of(case, torch.float32), all_states=True)
    found = results(lambda call: run_call(call, split), call)
    return {part: np.abs(found[part] - right).max() / max(np.abs(right).max(), 1e-30) for part, right in exact.items()}


@pytest.mark.parametrize("split", [1, 2], ids=["by rows", "by units"])
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("name", ["lstm", "rnn", *OTHERS])
def test_float32_in_pieces_is_as_exact_as_without(name, options, split, tiles, three_threads, monkeypatch):
    made = in_float32(name, options, split)
    monkeypatch.setattr(library, "tiles", lambda: None)
    forget_tiles()
    plain = in_float32(name, options, split)
    for part, error in made.items():
        assert error <= max(2 * plain[part], 1e-6), part
    assert any(error != plain[part] for part, error in made.items()), "they are not made of pieces"


def test_what_is_infinite_is_not_cut(tiles):
    """Its gates are open or shut, as they are elsewhere."""
    layer, x, h = hg.LSTM(64, 80, engine="cpu"), torch.randn(8, 64, 64), torch.randn(1, 64, 80)
    x[5, 1, 3] = h[0, 40, 7] = torch.inf
    other = torch.nn.LSTM(64, 80)
    other.load_state_dict(layer.state_dict())
    state = h, torch.randn(1, 64, 80)
    with torch.no_grad():
        torch.testing.assert_close(layer(x, state)[0], other(x, state)[0])


# --- whether they are used at all -------------------------------------------------------------------------------


@pytest.mark.skipif(has_amx(), reason="this processor's own instructions are run, and cannot be made wrong")
def test_tiles_that_are_wrong_are_seen(trap):
    with trapped(trap):
        assert library.library().hg_check_tiles() == 1
        left_out = ctypes.c_int.in_dll(trap, "products_left_out")
        left_out.value = 1
        try:
            assert library.library().hg_check_tiles() == 0
        finally:
            left_out.value = 0


@pytest.mark.parametrize(("answer", "name"), [(0, None), (1, "amx"), (2, None)])
def test_they_are_used_where_they_are_right(answer, name, monkeypatch, recwarn):
    monkeypatch.setattr(library, "library", lambda: SimpleNamespace(hg_tiles=lambda: answer))
    assert library.tiles.__wrapped__() == name
    assert [str(one.message)[:31] for one in recwarn] == ["headgate: this processor's AMX "] * (answer == 2)


@pytest.mark.skipif(own_cells.compiler() is None, reason="there is no C++ compiler")
@pytest.mark.parametrize(
    ("tiles", "file", "right", "wrong"),
    [
        ("emulated", "pack.cpp", "turn(tile);", ""),
        ("emulated", "include/product_tiles.h", "(bits + 0x7fff + (bits >> 16 & 1)) >> 16", "bits >> 16"),
        ("emulated", "include/product_tiles.h", "std::fill(to, row + depth(product), uint16_t(0));", ""),
        (
            "emulated",
            "include/product_tiles.h",
            "multiply<result<GROUPS>(1, P), VECTOR + 1,",
            "multiply<result<GROUPS>(1, P), VECTOR,",
        ),
        (
            "emulated",
            "include/product_tiles.h",
            "if (first == first_rows_ && second == second_rows_)",
            "if (first_rows_)",
        ),
        ("emulated", "include/turn.h", "if constexpr (SIDE > 4) turn_by<4>(rows);", ""),
        ("emulated", "include/states.h", "(run_.offset[time(giver())] + row)", "(run_.offset[at_] + row)"),
        ("pieces", "include/sums.h", "job_.start[s] + done", "job_.start[s]"),
        ("pieces", "include/strips_tiles.h", "load<4, 2>(tiles, left), four(tiles);", ""),
        ("pieces", "include/strips_tiles.h", "load<6, 2>(tiles, right), four(tiles);", "load<6, 2>(tiles, right);"),
        ("pieces", "include/strips_tiles.h", "HIGH = 0xffff0000u", "HIGH = 0xfff00000u"),
        ("pieces", "include/product_pieces.h", "if (first) {", "if (true) {"),
        ("pieces", "include/product_pieces.h", "p % 2, strip(k, p / 2)", "0, strip(k, p / 2)"),
        ("pieces", "include/product_pieces.h", "order.insert(order.end(), missing, -1);", ""),
        ("pieces", "run.cpp", "(run_.offset[t] + row) * run_.input", "(run_.offset[low_] + row) * run_.input"),
        ("pieces", "run.cpp", "step_pieces_[{&product, units.from}]", "step_pieces_[{nullptr, units.from}]"),
    ],
    ids=[
        "not turned",
        "cut off",
        "padding left",
        "one group twice",
        "shapes never changed",
        "not quite turned",
        "another step's rounded rows",
        "the same rows again",
        "a left piece lost",
        "a right piece lost",
        "half of each piece",
        "the last piece of the depth alone",
        "one panel over the other",
        "padding multiplied",
        "the first step's rows for all",
        "another product's weights",
    ],
)
def test_the_driver_sees_mistakes(tiles, file, right, wrong, tmp_path):
    """The driver that runs under the sanitizers as well."""
    copy = tmp_path / "csrc"
    subprocess.run(["cp", "-r", str(CSRC), str(copy)], check=True)
    source = (copy / file).read_text()
    assert source.count(right) == 1
    (copy / file).write_text(source.replace(right, wrong))
    made, (options, names) = tmp_path / "driver", TILES[tiles]
    command = [own_cells.compiler(), "-std=c++17", "-O1", "-Wno-psabi", "-pthread", f"-I{copy / 'include'}"]
    command += [*options, *(str(copy / name) for name in names)]
    subprocess.run([*command, "-o", str(made)], check=True)
    done = subprocess.run([made, "24"], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode != 0 and "all right" not in done.stdout

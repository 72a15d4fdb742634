"""Cells with a gate or the memory held: nothing held is the cell itself; what is held is so wherever it is used."""

from dataclasses import dataclass, replace

import pytest
import torch
from comparing import assert_all_close
from inspection.watching import CELLS
from nn.layer_runs import normal
from tolerances import TOLERANCE

import headgate as hg
from headgate.cells import Cell, Gates, Matrix, State, sigmoid, tanh
from headgate.engines import Call
from headgate.inspection import override
from headgate.inspection.adjoint import Adjoint, Run
from headgate.inspection.override import MEMORY, from_bias, overridden_cell, run, run_overridden, run_recording

T, B, I, H = 6, 4, 3, 5  # noqa: E741 - the field's letter
EAGER = "eager"
EVERY = {
    **CELLS,
    "layer_norm_lstm": hg.cells.get("lstm", layer_norm=True),
    "layer_norm_gru": hg.cells.get("gru", layer_norm=True),
    "zoneout_lstm": hg.cells.get("lstm", zoneout={"h": 0.2, "c": 0.5}),
    "zoneout_layer_norm_gru": hg.cells.get("gru", layer_norm=True, zoneout=0.3),
}
every_cell = pytest.mark.parametrize("cell", EVERY.values(), ids=EVERY)


def call_of(cell, dtype=torch.float64, reverse=False, bias=True, **more) -> Call:
    """A call of a cell on random numbers, its initial states not zero."""
    projected = {"proj_size": 2} if cell.produces_projection else {}
    layer = hg.Recurrent(cell, I, H, bias=bias, dtype=dtype, **projected).requires_grad_(False)
    initial = tuple(normal(B, size, seed=3 + k, dtype=dtype) for k, size in enumerate(layer.state_sizes))
    return Call(layer.cell, layer.weights(0), normal(T, B, I, dtype=dtype), initial, reverse=reverse, **more)


def results(result) -> dict[str, torch.Tensor]:
    return {"output": result.output, **{f"final {k}": state for k, state in enumerate(result.final)}}


def assert_equal(actual, expected):
    assert_all_close(results(actual), results(expected), 0.0)


def reset():
    return torch.tensor([[0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1], [1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]]).bool()


FORMS = {
    "plain": {},
    "reversed": {"reverse": True},
    "lengths": {"lengths": torch.tensor([6, 2, 0, 4]), "reverse": True},
    "reset": {"reset": reset(), "bias": False},
}


@every_cell
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_nothing_held_is_the_cell_itself_to_the_bit(cell, form):
    call = call_of(cell, **form)
    plain = run(call, EAGER)
    recorded = run_recording(call, EAGER)
    assert_equal(recorded.result, plain)
    for target in overridden_cell(call.cell).targets:
        given = normal(T, B, H, seed=9)
        assert_equal(run_overridden(call, target, given, torch.zeros(B, H), EAGER), plain)
        assert recorded.values[target].shape == (T, B, H)


@every_cell
def test_held_at_its_own_values_nothing_changes(cell):
    """Every gate and the memory at once hold what they were, one after the other."""
    call = call_of(cell, lengths=torch.tensor([6, 3, 1, 5]))
    recorded = run_recording(call, EAGER)
    for target, values in recorded.values.items():
        if target is MEMORY and "c" in cell.mask_names:
            continue  # zoneout's output reads the memory before the mixture, which is recorded after it
        assert_equal(run_overridden(call, target, values, None, EAGER), recorded.result)


@every_cell
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_the_memory_held_is_what_is_given(cell, form):
    call = call_of(cell, **form)
    if MEMORY not in overridden_cell(call.cell).targets:
        pytest.skip("its memory is the projected output")
    units, given = torch.tensor([0.0, 1.0, 0.0, 0.0, 1.0]), normal(H, seed=9)
    asked = replace(override.overridden(call, MEMORY, given, units), all_states=True)
    memory = run(asked, EAGER).states[call.cell.memory]
    taken = torch.arange(T)[:, None] < (torch.full((B,), T) if call.lengths is None else call.lengths)
    assert (memory[taken][:, units.bool()] == given[units.bool()]).all()
    free = memory[taken][:, ~units.bool()]
    assert not (free == given[~units.bool()]).any()


@pytest.mark.parametrize("name", ["lstm", "gru"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_compiled_it_is_the_compiled_cell_to_the_bit_and_agrees_with_eager(name, dtype, one_thread):
    """On one thread: rows are shared by what a cell's weights take, and a row alone is summed in another order."""
    call = call_of(hg.cells.get(name), dtype, lengths=torch.tensor([6, 2, 0, 4]))
    plain = run(call)
    recorded = run_recording(call)
    assert_equal(recorded.result, plain)
    for target, values in recorded.values.items():
        assert_equal(run_overridden(call, target, values), plain)
        held = [run_overridden(call, target, normal(H, seed=9), None, engine) for engine in (None, EAGER)]
        assert_all_close(*map(results, held), 1e-5 if dtype is torch.float32 else 1e-12)


@every_cell
def test_a_value_for_all_steps_is_that_value_at_each_step(cell):
    call = call_of(cell)
    for target in overridden_cell(call.cell).targets:
        constant, mask = normal(H, seed=9), normal(B, H, seed=10) > 0
        one = run_overridden(call, target, constant, mask, EAGER)
        other = run_overridden(call, target, constant.expand(T, B, H), mask, EAGER)
        assert_all_close(results(one), results(other), 1e-14)


def test_masks_differ_from_row_to_row():
    """A row that holds nothing is as it was, one that holds everything as if all rows did."""
    call = call_of(hg.cells.get("lstm"))
    plain, all_held = run(call, EAGER), run_overridden(call, "f", normal(H), None, EAGER)
    held = torch.tensor([False, True, False, True])
    mixed = run_overridden(call, "f", normal(H), held[:, None].expand(B, H), EAGER)
    assert torch.equal(mixed.output, torch.where(held[:, None], all_held.output, plain.output))
    assert not torch.equal(plain.output[:, 1], all_held.output[:, 1])


# --- what follows from what -------------------------------------------------------------------------------------


def gate_values(cell, target, value):
    """Every gate of one step with a target held at a value, by name."""
    call = call_of(cell)
    asked = replace(override.overridden(call, target, torch.full((H,), value)), all_states=True)
    states = run(asked, EAGER).states
    free = replace(override.overridden(call, target, None, torch.zeros(H)), all_states=True)
    return states, run(free, EAGER).states


def test_a_coupled_gate_follows_and_can_be_parted():
    """f = 1 - i: with i held, f is what is left; with f held, i stays its own."""
    cell = hg.cells.get("cifg_lstm")
    states, _ = gate_values(cell, "i", 0.25)
    assert torch.equal(states["own_f"], torch.full_like(states["own_f"], 0.75))
    states, free = gate_values(cell, "f", 0.25)
    assert torch.equal(states["own_i"][0], free["own_i"][0])


def test_what_can_be_held_is_what_the_step_computes_one_a_unit():
    found = {name: list(overridden_cell(cell).targets) for name, cell in EVERY.items()}
    assert found["lstm"] == found["zoneout_lstm"] == found["layer_norm_lstm"] == [MEMORY, "i", "f", "g", "o"]
    assert found["gru"] == [MEMORY, "r", "z", "n"]
    assert found["rnn"] == [MEMORY]
    assert found["greff_nog"] == [MEMORY, "i", "f", "g"]


@dataclass(frozen=True)
class Odd(Cell):
    """A gate held at one, one that is a weight, one that nobody uses, one under two names; a projected memory."""

    gates = "a b"
    vectors = "v"
    produces_projection = True
    recurrent = (Matrix("hh", "a"), Matrix("hr", "r", rows="O", columns="H", bias=False))

    def step(self, x, U, s, p):
        a = tanh(x.a + U.a(s.h))
        return State(h=U.r(a * p.v * sigmoid(x.b))), Gates(one=1.0, a=a, again=a, v=p.v, idle=sigmoid(x.a))


def test_what_cannot_be_held():
    call = call_of(Odd())
    assert list(overridden_cell(call.cell).targets) == ["a"]
    with pytest.raises(ValueError, match=r"^overriding: Odd computes no memory, one value a unit; what can be is 'a'"):
        run_overridden(call, MEMORY, torch.zeros(H), None, EAGER)
    with pytest.raises(ValueError, match=r"computes no gate 'one', one value a unit"):
        run_overridden(call, "one", torch.zeros(H), None, EAGER)
    recorded = run_recording(call, EAGER)
    assert_equal(run_overridden(call, "a", recorded.values["a"], None, EAGER), recorded.result)
    assert recorded.keep is None


def test_the_memorys_own_factor_is_what_the_watch_says():
    for name, cell in EVERY.items():
        call = call_of(cell)
        keep = run_recording(call, EAGER).keep
        states = run(replace(call, all_states=True), EAGER).states
        whole = {"active": torch.ones(T, B, 1, dtype=torch.bool), "fresh": torch.zeros(T, B, 1, dtype=torch.bool)}
        initial = dict(zip(call.cell.state_names, call.initial, strict=True))
        expected = Adjoint(Run(call.cell, call.weights, call.input, initial, states, **whole, masks=cell.rates)).keep()
        if MEMORY not in overridden_cell(cell).targets:
            continue
        assert (keep is None) == (expected is None), name
        if keep is not None:
            assert_all_close({name: keep}, {name: expected}, 1e-12)
        else:
            assert name in ("rnn", "relu_rnn")


# --- from the bias alone ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["lstm", "peephole_lstm", "greff_fgr", "gru", "layer_norm_lstm", "cifg_lstm"])
def test_a_gate_from_its_bias_alone(name):
    call = call_of(EVERY[name])
    found, gates = from_bias(call, EAGER), call.cell.gate_names
    if name == "layer_norm_lstm":
        names = call.cell.vector_names
        bias = dict(zip(names, call.weights["weight_p"].chunk(len(names)), strict=True))
        a = {gate: bias[f"b_{gate}"] for gate in gates}
    else:
        a = dict(zip(gates, (call.weights["bias_ih"] + call.weights["bias_hh"]).chunk(len(gates)), strict=True))
    if name == "gru":
        own, fed = (call.weights[f"bias_{part}"].chunk(3)[2] for part in ("ih", "hh"))
        a["n"] = own + torch.sigmoid(a["r"]) * fed
    expected = {gate: torch.tanh(value) if gate in "gn" else torch.sigmoid(value) for gate, value in a.items()}
    if name == "cifg_lstm":
        expected["f"] = 1.0 - expected["i"]
    assert_all_close(found, expected, 1e-14)


# --- half precision ---------------------------------------------------------------------------------------------


def test_values_keep_their_digits_beside_half_precision():
    """0.999 is 1 in bfloat16, and a memory that keeps all is another than one that fades within a thousand steps."""
    call = call_of(hg.cells.get("lstm"), torch.bfloat16)
    asked = override.overridden(call, "f", torch.full((H,), 0.999))
    (weight,) = {w.dtype for w in asked.weights.values()}
    assert weight is torch.float32
    result = run_overridden(call, "f", torch.full((H,), 0.999), None, EAGER)
    assert {result.output.dtype, *(state.dtype for state in result.final)} == {torch.bfloat16}
    plain = run_recording(call, EAGER).result
    expected = run(call, EAGER)
    assert_all_close({"h": plain.output.float()}, {"h": expected.output.float()}, TOLERANCE[EAGER, torch.bfloat16])


# --- mutants ----------------------------------------------------------------------------------------------------


class WrongWayRound(override.Overridden):
    """A mutant: free where it should be held."""

    def step(self, x, U, s, p, m):
        return super().step(x, U, State({**s, override.MASK: 1.0 - s[override.MASK]}), p, m)


def test_a_mask_the_wrong_way_round_is_noticed(monkeypatch):
    call = call_of(hg.cells.get("gru"))
    plain = run(call, EAGER)
    monkeypatch.setattr(override, "overridden_cell", WrongWayRound)
    with pytest.raises(AssertionError, match="output: relative error"):
        assert_equal(run_overridden(call, "z", normal(H), torch.zeros(H), EAGER), plain)

"""What is told of gates against plain NumPy on the gates of the reference, and against answers known beforehand."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from comparing import assert_all_close
from inspection.runs import in_short_stretches, logit, lstm_case, lstm_of, run_of
from inspection.watching import CELLS, EXACT

import headgate as hg
from headgate.cells import Cell, Gates, State, relu, sigmoid, tanh
from headgate.cells.cell import Named
from headgate.graph import trace
from headgate.inspection import gate_kinds, gates, pieces, schema
from headgate.inspection.adjoint import Adjoint
from headgate.inspection.gates import measure_gates
from headgate.reference.case import random_case
from headgate.reference.unroll import Blocks, input_parts, step_masks, steps_in_order, unroll, vectors

T, B, H = 13, 4, 3
FORMS = {
    "whole": {},
    "ragged": {"lengths": True, "reset": True},
    "backwards": {"lengths": True, "reset": True, "reverse": True},
}
forms = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
BY_UNIT = ("saturated_low", "saturated_high", "gate_deviation", "gate_trainability", "variance_time", "variance_batch")


def measure(run, needs_lag=None, edges=None):
    return measure_gates(Adjoint(run), needs_lag, edges)


def shown(case):
    """Each gate's values by the reference's own step, [T, B, H] in the order of the run; NaN where no step is taken."""
    cell, done = case.cell, unroll(case)
    parts, U, p = input_parts(cell, case.weights, case.input), Blocks(cell, case.weights), vectors(cell, case.weights)
    state, found = State(case.initial), []
    for t, active, fresh in steps_in_order(case):
        before = State((n, np.where(fresh & active, case.initial[n], v)) for n, v in state.items())
        x = Named((gate, part[t]) for gate, part in parts.items())
        made = cell(x, U, before, p, step_masks(case, t))[1]
        found.append({name: np.where(active, value, np.nan) for name, value in made.items()})
        state = State((n, done[f"states_{n}"][t]) for n in cell.state_names)
    return {name: np.stack([each[name] for each in found]) for name in found[0]}


def unsquashed(kind, value):
    return {"gate": logit, "candidate": np.arctanh, "other": lambda v: v}[kind](value)


def counted(kind, value):
    """A gate's measures from its values [T, B, H], NaN where no step is taken."""
    a = unsquashed(kind, value)
    low, high = (0.1, 0.9) if kind == "gate" else (-0.97, 0.97)
    steps = (~np.isnan(value)).sum((0, 1))
    rows = [row for row in a.transpose(1, 0, 2) if not np.isnan(row).all()]
    taken = np.array([len(row[~np.isnan(row[:, 0])]) for row in rows])[:, None]
    means, within = np.array([np.nanmean(row, 0) for row in rows]), np.array([np.nanvar(row, 0) for row in rows])
    mean = (means * taken).sum(0) / taken.sum()
    return {
        "saturated_low": (value < low).sum((0, 1)) / steps,
        "saturated_high": (value > high).sum((0, 1)) / steps,
        "gate_deviation": np.nanstd(a, (0, 1)),
        "gate_trainability": np.nanmean(value * (1 - value) if kind == "gate" else 1 - value**2, (0, 1)),
        "variance_time": (within * taken).sum(0) / taken.sum(),
        "variance_batch": ((means - mean) ** 2 * taken).sum(0) / taken.sum(),
        "variance_unit": np.var(np.nanmean(a, (0, 1))),
    }


def told(found, k, names):
    return {name: getattr(found, name)[k] for name in names}


def compare(case, measured_by=measure):
    found, values = measured_by(run_of(case)), shown(case)
    assert found.names == tuple(values)
    for k, (name, value) in enumerate(values.items()):
        expected = counted(found.kinds[name], value)
        if found.kinds[name] == "other":
            blank = told(found, k, ("saturated_low", "saturated_high", "gate_trainability", "logit_histogram"))
            assert all(np.isnan(array).all() for array in blank.values()), name
            expected = {key: array for key, array in expected.items() if key not in blank}
        assert_all_close(told(found, k, expected), expected, 1e-9)
        there = ~np.isnan(value).all((1, 2))
        assert (np.isnan(found.gate_mean[k]) == ~there).all()
        assert_all_close({"mean": found.gate_mean[k, there]}, {"mean": np.nanmean(value[there], (1, 2))}, EXACT)
        first = value[:, 0]
        assert (np.isnan(found.gate_score[k]) == np.isnan(first.T)).all()
        np.testing.assert_allclose(found.gate_score[k], first.T, rtol=EXACT)


@forms
@pytest.mark.parametrize("name", [name for name in CELLS if trace(CELLS[name]).gates])
def test_every_cell(name, form, monkeypatch):
    in_short_stretches(monkeypatch)
    cell = CELLS[name]
    O = 2 if cell.produces_projection else None  # noqa: E741 - the field's letter
    compare(random_case(cell, T, B, H, O=O, seed=2, **form))


@pytest.mark.parametrize("options", [{"layer_norm": True}, {"zoneout": 0.3}], ids=["layer_norm", "zoneout"])
@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_wrapped_cells(name, options):
    case = random_case(wrapped(name, **options), T, B, H, seed=3, **FORMS["ragged"])
    compare(replace(case, mask_seed=7) if "zoneout" in options else case)


def wrapped(name, **options):
    return hg.Recurrent(name, 2, 3, **options).cell


@pytest.mark.parametrize("T", [1, 2])
def test_a_short_run(T):
    compare(random_case(hg.cells.get("lstm"), T, 1, H, seed=1))


def test_kinds():
    def kinds(name):
        return gate_kinds.kinds(trace(CELLS[name]))

    assert kinds("lstm") == {"i": "gate", "f": "gate", "g": "candidate", "o": "gate"}
    assert kinds("gru") == {"r": "gate", "z": "gate", "n": "candidate"}
    assert kinds("cifg_lstm")["f"] == "gate" and kinds("greff_niaf")["g"] == "other" and kinds("rnn") == {}


class Odd(Cell):
    """Gates of a user's own making."""

    gates = "a b c d"

    def step(self, x, U, s):
        keep, refine = sigmoid(x.a + U.a(s.h)), sigmoid(x.b + U.b(s.h))
        refined = refine * (1 - (1 - keep) ** 2) + (1 - refine) * keep**2  # Gu et al. 2020, equation 5
        flow, turned = relu(x.c + U.c(s.h)), -tanh(x.d + U.d(s.h))
        h = refined * s.h + (1 - refined) * turned + 0.01 * flow
        squashed = {"keep": keep, "shut": 1 - keep, "refined": refined, "turned": turned, "half": 0.5 * (1 + turned)}
        return State(h=h), Gates(squashed, flow=flow, one=1.0)


ODD = Odd()


def test_gates_of_a_users_own():
    found = gate_kinds.kinds(trace(ODD))
    open_or_shut = dict.fromkeys(("keep", "shut", "refined", "half", "one"), "gate")
    assert found == {**open_or_shut, "turned": "candidate", "flow": "other"}
    case = random_case(ODD, T, B, H, seed=4, **FORMS["ragged"])
    found, values = measure(run_of(case)), shown(case)
    for name in ("keep", "shut", "refined", "turned", "half"):
        expected = counted(found.kinds[name], values[name])
        assert_all_close(told(found, found.names.index(name), expected), expected, 1e-9)
    flow = found.names.index("flow")
    assert np.isnan(found.logit_histogram[flow]).all() and np.isnan(found.saturated_high[flow]).all()
    assert np.isfinite(found.gate_deviation[flow]).all() and np.nanmax(found.gate_mean[flow]) > 0
    one = found.names.index("one")
    assert (found.saturated_high[one] == 1).all() and (found.gate_deviation[one] == 0).all()


def test_what_is_relu_of_a_sum_is_known_by_the_sum():
    """Its zeros would hide how the pre-activation moves."""
    case = random_case(ODD, T, B, H, seed=4)
    done = unroll(case)["states_h"]
    before = np.concatenate([case.initial["h"][None], done[:-1]])
    a = input_parts(ODD, case.weights, case.input)["c"] + Blocks(ODD, case.weights).c(before)
    found = measure(run_of(case))
    deviation = found.gate_deviation[found.names.index("flow")]
    assert (a < 0).any()
    assert_all_close({"deviation": deviation}, {"deviation": a.std((0, 1))}, EXACT)


def test_a_saturated_gate_keeps_its_deviation():
    """Its values are all 1.0; its pre-activations are not."""
    a = 60 + np.random.default_rng(0).normal(size=(50, 3, 2))
    found = measure(lstm_of(2, f=a, i=-a - 700))
    f, i = found.names.index("f"), found.names.index("i")
    assert (found.gate_mean[f] == 1.0).all() and (found.saturated_high[f] == 1).all()
    for k in (f, i):
        assert_all_close({"deviation": found.gate_deviation[k]}, {"deviation": a.std((0, 1))}, EXACT)
    assert found.logit_histogram[f, -1] == 1.0 and found.logit_histogram[i, 0] == 1.0


def test_a_logit_told_from_the_value_ends_where_the_value_does():
    value = torch.tensor([0.0, 1e-300, 0.5, 1.0 - 2**-53, 1.0], dtype=torch.float64)
    np.testing.assert_allclose(gates._logit(value), [-36.7368, -36.7368, 0.0, 36.7368, 36.7368], atol=1e-4)


def test_a_constant_gate_has_no_deviation():
    """To the last bit, however far from 0 and however many steps: it is what a verdict rests on."""
    found = measure(lstm_of(2, f=np.full((999, 3, 2), math.pi * 7)))
    f = found.names.index("f")
    assert (found.gate_deviation[f] == 0).all() and (found.variance_batch[f] == 0).all()


def test_what_moves_a_gate():
    """By time alone, by row alone, by unit alone."""
    clock, rows, units = np.arange(8.0)[:, None, None], np.array([0.0, 1, 5])[:, None], np.array([-1.0, 1.0])
    nothing = np.zeros((8, 3, 2))
    found = measure(lstm_of(2, i=nothing + clock, f=nothing + rows, o=nothing + units))
    parts = {n: (found.variance_time[k], found.variance_batch[k], found.variance_unit[k]) for k, n in enumerate("ifgo")}
    expected = {"i": ([clock.var()] * 2, [0, 0], 0), "f": ([0, 0], [rows.var()] * 2, 0), "o": ([0, 0], [0, 0], 1)}
    for name, values in expected.items():
        for actual, value in zip(parts[name], values, strict=True):
            np.testing.assert_allclose(actual, value, atol=1e-14)


@forms
def test_the_three_variances_make_up_the_whole(form):
    case = random_case(hg.cells.get("lstm"), T, B, H, seed=6, **form)
    found, a = measure(run_of(case)), logit(shown(case)["f"])
    k = found.names.index("f")
    whole = found.variance_time[k].mean() + found.variance_batch[k].mean() + found.variance_unit[k]
    assert whole == pytest.approx(np.nanvar(a), rel=EXACT)


def test_the_bias_alone():
    case = random_case(hg.cells.get("peephole_lstm"), T, B, H, seed=7)
    both = (case.weights["bias_ih"] + case.weights["bias_hh"]).reshape(4, H)
    expected = 1 / (1 + np.exp(-both))
    expected[2] = np.tanh(both[2])
    assert_all_close({"alone": measure(run_of(case)).gate_bias_only}, {"alone": expected}, EXACT)


def test_the_bias_alone_of_a_gru():
    """The candidate's recurrent bias stands behind the reset gate."""
    case = random_case(hg.cells.get("gru"), T, B, H, seed=7)
    b, u = (case.weights[f"bias_{name}"].reshape(3, H) for name in ("ih", "hh"))
    r = 1 / (1 + np.exp(-b[0] - u[0]))
    found = measure(run_of(case)).gate_bias_only
    assert_all_close({"r": found[0], "n": found[2]}, {"r": r, "n": np.tanh(b[2] + r * u[2])}, EXACT)


def test_the_bias_alone_of_coupled_gates_and_of_none():
    case = random_case(hg.cells.get("cifg_lstm"), T, B, H, seed=7)
    found = measure(run_of(case)).gate_bias_only
    assert_all_close({"f": found[1]}, {"f": 1 - found[0]}, EXACT)
    bare = measure(run_of(random_case(hg.cells.get("lstm"), T, B, H, seed=7, bias=False))).gate_bias_only
    assert_all_close({"bare": bare}, {"bare": np.repeat([[0.5], [0.5], [0.0], [0.5]], H, 1)}, EXACT)


def test_the_bias_alone_of_a_normalised_cell():
    """There a per-unit parameter is the bias."""
    cell = wrapped("lstm", layer_norm=True)
    case = random_case(cell, T, B, H, seed=7)
    biases = vectors(cell, case.weights)
    expected = [1 / (1 + np.exp(-biases[f"b_{gate}"])) for gate in "ifo"]
    assert_all_close({"alone": measure(run_of(case)).gate_bias_only[[0, 1, 3]]}, {"alone": np.array(expected)}, EXACT)


def test_how_much_of_a_gate_is_its_bias():
    """A constant is all of it; noise as large as the bias leaves half."""
    noise = np.random.default_rng(1).choice([-2.0, 2.0], size=(4000, 1, 1))
    case = lstm_case(i=np.zeros((4000, 1, 1)), f=noise)
    case.weights["bias_ih"][:] = 2.0
    found = measure(run_of(case))
    i, f = (found.names.index(name) for name in "if")
    assert found.bias_share[i, 0] == pytest.approx(1.0) and found.bias_share[f, 0] == pytest.approx(0.5, abs=0.03)


def test_the_histogram():
    a = np.array([-100.0, -0.1, 0.1, 0.12, 3.0, 100.0])[:, None, None]
    found = measure(lstm_of(f=a))
    counts = found.logit_histogram[found.names.index("f")] * 6
    expected, _ = np.histogram(a.clip(-19.99, 19.99), found.logit_edges)
    np.testing.assert_allclose(counts, expected, atol=1e-12)
    assert np.isnan(found.logit_histogram[found.names.index("g")]).all()


@forms
def test_the_factor_and_how_often_it_is_open_enough(form, monkeypatch):
    in_short_stretches(monkeypatch)
    run = run_of(random_case(hg.cells.get("gru"), T, B, H, seed=8, **form))
    keep, active = Adjoint(run).keep().numpy(), run.active[..., 0].numpy()
    found = measure(run, needs_lag=2.5)
    there = active.any(1)
    means = [np.exp(np.log(keep[t, active[t]]).mean()) for t in np.flatnonzero(there)]
    assert_all_close({"mean": found.keep_mean[there]}, {"mean": np.array(means)}, EXACT)
    assert np.isnan(found.keep_mean[~there]).all()
    assert_all_close({"open": found.open_enough}, {"open": (keep[active] > 0.6).mean(0)}, EXACT)
    assert measure(run).open_enough is None


def test_open_enough_asks_for_a_lag():
    with pytest.raises(ValueError, match=r"^gates: needs_lag is 0\.5, but a lag is a number of steps, at least 1"):
        measure(lstm_of(f=np.zeros((3, 1, 1))), needs_lag=0.5)


@pytest.mark.parametrize("reverse", [False, True])
def test_scores_are_means_over_pieces_of_time(reverse):
    """In time the last piece is the shorter one, whichever way the run went."""
    case = random_case(hg.cells.get("lstm"), 10, 2, H, seed=9, reverse=reverse)
    edges = pieces.edges(10, 3, reverse)
    found, value = measure(run_of(case), edges=edges), shown(case)["f"][:, 0]
    memory = unroll(case)["states_c"][:, 0]
    if reverse:
        score, state, value = found.gate_score[1][:, ::-1], found.state_score[:, ::-1], value[::-1]
    else:
        score, state = found.gate_score[1], found.state_score
    for k, piece in enumerate((slice(0, 4), slice(4, 8), slice(8, 10))):
        assert_all_close(
            {"score": score[:, k], "state": state[:, k]},
            {"score": value[piece].mean(0), "state": memory[piece].mean(0)},
            EXACT,
        )


def test_pieces_of_time():
    assert pieces.edges(10, 3).tolist() == [0, 4, 8, 10] and pieces.edges(10, 3, True).tolist() == [0, 2, 6, 10]
    assert pieces.edges(5, 512).tolist() == [0, 1, 2, 3, 4, 5] and len(pieces.edges(1025, 512)) == 343
    assert pieces.piece_of(pieces.edges(10, 3), 2, 9).tolist() == [0, 0, 1, 1, 1, 1, 2]
    with pytest.raises(ValueError, match=r"^pieces of time: 0 were asked for, but at least 1 is needed"):
        pieces.edges(10, 0)


def test_a_cell_without_gates():
    found = measure(run_of(random_case(hg.cells.get("rnn"), T, B, H, seed=0)))
    assert found.names == () and found.keep_mean is None and found.open_enough is None
    assert found.gate_score.shape == (0, H, T) and found.state_score.shape == (H, T)


def test_no_row_takes_a_step():
    run = lstm_of(f=np.zeros((4, 2, 1)))
    run.active[:] = False
    found = measure(run, needs_lag=3)
    for name in (*BY_UNIT, "gate_mean", "keep_mean", "gate_score", "state_score", "open_enough"):
        assert np.isnan(getattr(found, name)).all(), name


@pytest.mark.parametrize("cell", ["lstm", "gru", "greff_niaf", "rnn"])
def test_a_record_can_hold_it(cell):
    found = measure(run_of(random_case(hg.cells.get(cell), T, B, H, seed=0)), needs_lag=4)
    names = [name for name in vars(found) if name in schema.ARRAYS and getattr(found, name) is not None]
    assert len(names) >= 10
    schema.check("run", {name: getattr(found, name) for name in names})


def padding_counted(self, value, active, right=gates._Spread.add):
    right(self, value, torch.ones_like(active))


def one_step_late(self, start, value, argument, right=gates._Tally.add):
    right(self, start, value.roll(1, 0), argument)


MUTANTS = {
    "padding counted": (gates._Spread, "add", padding_counted),
    "one step late": (gates._Tally, "add", one_step_late),
    "a tanh taken for a sigmoid": (gate_kinds, "kinds", lambda graph: dict.fromkeys(graph.gates, "gate")),
    "the value taken for the pre-activation": (gate_kinds, "argument", lambda node: node),
}


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=MUTANTS.keys())
def test_what_is_wrong_is_caught(mutant, monkeypatch):
    case = random_case(hg.cells.get("lstm"), T, B, H, seed=2, **FORMS["ragged"])
    compare(case)
    monkeypatch.setattr(*mutant)
    with pytest.raises((AssertionError, RuntimeWarning)):
        compare(case)

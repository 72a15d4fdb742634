"""The parameters' gradient by lag against autograd with weights of their own for every step and row."""

import numpy as np
import pytest
import torch
from comparing import assert_all_close
from inspection.runs import in_short_stretches, run_of, steps_of
from inspection.watching import CELLS
from inspection.witness import Products

import headgate as hg
from headgate.cells import State
from headgate.cells.cell import Named
from headgate.inspection import truncation
from headgate.inspection.adjoint import Adjoint
from headgate.inspection.flow import Loss
from headgate.inspection.truncation import measure_truncation, windows_of
from headgate.reference.case import random_case

T, B, H, O = 8, 3, 3, 2  # noqa: E741 - the field's letter
EXACT = 1e-9
FORMS = {
    "whole": {},
    "ragged": {"lengths": True, "reset": True},
    "backwards": {"lengths": True, "reset": True, "reverse": True},
    "without biases": {"bias": False},
}
forms = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
NAMES = ["lstm", "gru", "reset_before_gru", "rnn", "peephole_lstm", "cifg_lstm", "lstmp", "greff_fgr", "greff_nog"]


def case_of(name, form, seed=3, **options):
    cell = hg.Recurrent(name, 2, 3, **options).cell if options else CELLS[name]
    return random_case(cell, T, B, H, O=O if cell.produces_projection else None, seed=seed, **form)


def by_step(run, cotangent):
    """The gradient of every weight and bias that each step of each row brings, by (step, row): flat, by autograd."""
    found, cell = {}, run.cell
    shared = {name: run.weights[name] for name in run.weights if name == "weight_p"}
    names = [name for name in run.weights if name != "weight_p"]
    for row in range(run.input.shape[1]):
        state, own = State((n, v[row]) for n, v in run.initial.items()), {}
        loss = torch.zeros((), dtype=torch.float64)
        for t in steps_of(run, row):
            if run.fresh[t, row]:
                state = State((n, v[row]) for n, v in run.initial.items())
            own[t] = {name: run.weights[name].clone().requires_grad_() for name in names}
            x = own[t]["weight_ih"] @ run.input[t, row] + own[t].get("bias_ih", 0.0)
            vectors = cell.vector_names
            p = Named(zip(vectors, shared["weight_p"].chunk(len(vectors)), strict=True)) if vectors else Named()
            parts = Named(zip(cell.gate_names, x.chunk(len(cell.gate_names)), strict=True))
            state, _ = cell(parts, Products(cell, own[t]), state, p)
            loss = loss + (state[cell.state_names[0]] * cotangent[t, row]).sum()
        if own:
            loss.backward()
        for t, weights in own.items():
            grads = [w.grad if w.grad is not None else torch.zeros_like(w) for w in weights.values()]
            found[t, row] = torch.cat([g.flatten() for g in grads]).numpy()
    return found


def expected_of(run, cotangent):
    """Shares, cosines and distances from the whole at every lag, and where 99 % are reached."""
    each = by_step(run, cotangent)
    origin = {}
    for (t, row), _ in each.items():
        if cotangent[t, row].any():
            origin[row] = max(t, origin.get(row, -1))
    each = {place: g for place, g in each.items() if place[1] in origin and place[0] <= origin[place[1]]}
    lag = {place: origin[place[1]] - place[0] for place in each}
    whole = sum(each.values())
    norms = np.array([sum(np.linalg.norm(g) for place, g in each.items() if lag[place] == k) for k in range(T)])
    sums = [sum((g for place, g in each.items() if lag[place] <= k), np.zeros_like(whole)) for k in range(T)]
    share = np.cumsum(norms) / norms.sum()
    return {
        "share": share,
        "cosine": np.array([s @ whole / np.linalg.norm(s) / np.linalg.norm(whole) for s in sums]),
        "bias": np.array([np.linalg.norm(s - whole) / np.linalg.norm(whole) for s in sums]),
        "lag 99": int(np.argmax(share >= 0.99)),
    }


def told(found):
    return {
        "share": found.parameter_share,
        "cosine": found.truncation_cosine,
        "bias": found.relative_bias,
        "lag 99": found.lag_99,
    }


def compare(case, dense=False):
    run = run_of(case)
    name = run.cell.state_names[0]
    cotangent = torch.from_numpy(np.random.default_rng(9).normal(size=run.states[name].shape)) * run.active
    if not dense:  # each row's last step alone
        ends = run.active.flip(0).cumsum(0).flip(0) == 1
        cotangent = cotangent * ends
    found = measure_truncation(Adjoint(run), Loss({name: cotangent}))
    assert_all_close(told(found), expected_of(run, cotangent), EXACT)


@forms
@pytest.mark.parametrize("name", NAMES)
def test_against_autograd(name, form):
    compare(case_of(name, form))


@pytest.mark.parametrize("dense", [False, True], ids=["last", "dense"])
@pytest.mark.parametrize("name", ["lstm", "reset_before_gru", "lstmp"])
def test_in_many_stretches(name, dense, monkeypatch):
    in_short_stretches(monkeypatch)
    compare(case_of(name, FORMS["ragged"]), dense)


def test_an_output_of_one_unit():
    """It is one number a row, and no mean over units."""
    cell = CELLS["lstmp"]
    compare(random_case(cell, T, B, H, O=1, seed=3))


@pytest.mark.parametrize("options", [{"layer_norm": True}, {"zoneout": {"h": 0.2}}], ids=["layer_norm", "zoneout"])
def test_wrapped_cells(options):
    """Their masks at their rates."""
    compare(case_of("lstm", FORMS["ragged"], **options))


def of_last(cell, weights, T, x=1.0):
    """One unit, one input, a loss at the last step."""
    case = random_case(cell, T, 1, 1, I=1, seed=0)
    for name, value in case.weights.items():
        value[:] = weights.get(name, 0.0)
    case.input[:], case.initial["h"][:] = x, 0.0
    run = run_of(case)
    cotangent = torch.zeros_like(run.states["h"])
    cotangent[-1] = 1.0
    return run, Loss({"h": cotangent})


def test_a_gradient_that_fades_by_a_constant():
    """h_t = u h_{t-1} + x: with x = 1 only at h = 0, contributions to W and b fade as u^k."""
    u, T = 0.5, 40
    run, loss = of_last(CELLS["relu_rnn"], {"weight_ih": 1.0, "weight_hh": u}, T)
    found = measure_truncation(Adjoint(run), loss)
    k = np.arange(T)
    h = np.append([(1 - u**n) / (1 - u) for n in range(T - 1, 0, -1)], 0.0)  # before the step at lag k
    norms = u**k * np.sqrt(1 + 1 + h**2 + 1)
    assert_all_close({"share": found.parameter_share}, {"share": norms.cumsum() / norms.sum()}, EXACT)
    assert found.lag_99 == 6 and found.truncation_cosine[-1] == pytest.approx(1.0)


@pytest.mark.parametrize(("u", "x", "lag_99"), [(1e-60, 1.0, 0), (1e15, 1e-300, 39)], ids=["fading", "growing"])
def test_gradients_that_no_number_holds(u, x, lag_99):
    """Over 40 steps by 1e-2340 or 1e585: what is truncated still has a direction and a share."""
    run, loss = of_last(CELLS["relu_rnn"], {"weight_ih": 1.0, "weight_hh": u}, 40, x)
    found = measure_truncation(Adjoint(run), loss)
    assert found.lag_99 == lag_99
    there = found.truncation_cosine[~np.isnan(found.truncation_cosine)]
    assert len(there) >= 20 and (np.abs(there) <= 1 + 1e-12).all()
    assert np.isfinite(found.parameter_share).all() and found.parameter_share[-1] == pytest.approx(1.0)
    bias = found.relative_bias[~np.isnan(found.relative_bias)]
    assert bias[-1] == 0.0 and bias[0] == pytest.approx(0.0 if u < 1 else 1.0)


def test_a_source_that_no_row_has():
    run, loss = of_last(CELLS["relu_rnn"], {"weight_ih": 1.0}, 5)
    found = measure_truncation(Adjoint(run), Loss({"h": torch.zeros_like(loss.local["h"])}))
    assert found.lag_99 is None
    for value in (found.parameter_share, found.truncation_cosine, found.relative_bias):
        assert np.isnan(value).all()


def test_the_first_source_is_taken():
    run = run_of(case_of("lstm", {}))
    cotangent = torch.from_numpy(np.random.default_rng(1).normal(size=(T, B, H)))
    sources = torch.tensor([[T - 1] * B, [3] * B])
    found = measure_truncation(Adjoint(run), Loss({"h": cotangent}, sources=sources))
    alone = torch.zeros_like(cotangent)
    alone[-1] = cotangent[-1]
    assert_all_close(told(found), expected_of(run, alone), EXACT)


def test_windows():
    a, lags = Adjoint(run_of(case_of("lstm", {}))), np.arange(1000)
    found = windows_of(a, lags)
    assert len(found) == 24 and found[0] == 0 and found[-1] == 999 and (np.diff(found) > 0).all()
    assert windows_of(a, np.arange(5)).tolist() == [0, 1, 2, 3, 4]
    assert set(windows_of(a, lags, also=[50])) == {*found, 50}
    assert {530, 560} <= set(windows_of(a, np.array([0, 1, 530, 560, 999]), also=[550]))


def test_a_large_layer_has_fewer_windows(monkeypatch):
    monkeypatch.setattr(truncation, "ROOM", 1000)
    found = windows_of(Adjoint(run_of(case_of("lstm", {}))), np.arange(1000))
    assert len(found) == 1000 // (4 * H * (H + 2 + H + 1)) - 1 == 8 and found[-1] == 999


def test_windows_that_are_asked_for():
    run = run_of(case_of("lstm", {}))
    cotangent = torch.from_numpy(np.random.default_rng(1).normal(size=(T, B, H)))
    found = measure_truncation(Adjoint(run), Loss({"h": cotangent}), windows=[4, 2])
    expected = expected_of(run, cotangent)
    assert np.flatnonzero(~np.isnan(found.truncation_cosine)).tolist() == [2, 4]
    assert_all_close({"cosine": found.truncation_cosine[[2, 4]]}, {"cosine": expected["cosine"][[2, 4]]}, EXACT)
    assert_all_close({"bias": found.relative_bias[[2, 4]]}, {"bias": expected["bias"][[2, 4]]}, EXACT)


def test_a_window_that_is_no_lag():
    run, loss = of_last(CELLS["relu_rnn"], {"weight_ih": 1.0}, 5)
    with pytest.raises(ValueError, match=r"^truncation: a window of 7 steps was asked for, but it is none of the lags"):
        measure_truncation(Adjoint(run), loss, windows=[2, 7])


def input_parts_for_products(adjoint, stretch, right=truncation._contributions):
    """As if what comes to a product were what comes to the gate: not so behind a reset gate."""
    first, *others = right(adjoint, stretch)
    yield first
    parts = dict(zip(adjoint.run.cell.gate_names, stretch.inputs[0].split(adjoint.hidden_size, -1), strict=True))
    for group, (_, vector, biased) in zip(adjoint.route.groups, others, strict=True):
        yield torch.cat([parts[block] for block in group.blocks], -1), vector, biased


def one_lag_late(self, stretch, right=truncation.Collected.take):
    right(self, stretch)
    self._origin = self._origin + 1 if stretch.start == 0 else self._origin


def without_biases(parts, scale, right=truncation._joint_norm):
    return right([(gradient, vector, False) for gradient, vector, _ in parts], scale)


MUTANTS = {
    "gates for products": ("gru", truncation, "_contributions", input_parts_for_products),
    "biases forgotten": ("lstm", truncation, "_joint_norm", without_biases),
    "one lag late": ("lstm", truncation.Collected, "take", one_lag_late),
}


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=MUTANTS.keys())
def test_what_is_wrong_is_caught(mutant, monkeypatch):
    name, home, attribute, wrong = mutant
    compare(case_of(name, {}))
    monkeypatch.setattr(home, attribute, wrong)
    with pytest.raises(AssertionError, match=r"share|cosine"):
        compare(case_of(name, {}))


def test_the_reset_gate_is_what_tells_them_apart(monkeypatch):
    """In a cell of one product a gate, what comes to the product is what comes to the gate, and nothing is caught."""
    monkeypatch.setattr(truncation, "_contributions", input_parts_for_products)
    compare(case_of("lstm", {}))

"""What a memory is made of: the sum is the state, weights are products, and known memories are told as known."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from comparing import assert_all_close
from inspection.runs import in_short_stretches, logit, lstm_case, lstm_of, run_of, steps_of
from inspection.watching import CELLS

import headgate as hg
from headgate.cells import Cell, Gates, State, sigmoid, tanh
from headgate.graph import trace
from headgate.inspection import pieces, provenance
from headgate.inspection.adjoint import Adjoint
from headgate.inspection.provenance import carried, content, measure_provenance
from headgate.reference.case import random_case

T, B, H = 9, 3, 3
# The sum is the state to rounding.
EXACT = 1e-12
FORMS = {
    "whole": {},
    "ragged": {"lengths": True, "reset": True},
    "backwards": {"lengths": True, "reset": True, "reverse": True},
}
forms = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
CARRYING = [name for name in CELLS if carried(trace(CELLS[name])) is not None]
WRAPPED = {
    "zoneout lstm": ("lstm", {"zoneout": {"c": 0.3}}),
    "zoneout gru": ("gru", {"zoneout": 0.2}),
    "normalised peephole": ("peephole_lstm", {"layer_norm": True}),
    "normalised zoneout gru": ("gru", {"layer_norm": True, "zoneout": 0.2}),
}


def case_of(name, form, seed=2):
    wrapped = WRAPPED.get(name)
    cell = CELLS[name] if wrapped is None else hg.Recurrent(wrapped[0], 2, 3, **wrapped[1]).cell
    O = 2 if cell.produces_projection else None  # noqa: E741 - the field's letter
    case = random_case(cell, T, B, H, O=O, seed=seed, **form)
    return replace(case, mask_seed=5) if cell.mask_names else case


def assert_sums_to_the_state(run):
    memory, a = run.states[run.cell.memory].numpy(), Adjoint(run)
    for t, row in [(T - 1, row) for row in range(B)] + [(0, 0), (T // 2, 1)]:
        found, name = content(a, t, row), f"step {t}, row {row}"
        total = (found.weights * found.written).sum(0) + found.initial_weight * found.initial
        assert_all_close({name: total}, {name: memory[t, row]}, EXACT)
        assert np.nansum(10.0 ** np.append(found.shares, found.initial_share)) == pytest.approx(1.0, abs=EXACT)


@forms
@pytest.mark.parametrize("name", [*CARRYING, *WRAPPED])
def test_the_sum_is_the_state(name, form, monkeypatch):
    in_short_stretches(monkeypatch)
    monkeypatch.setattr(provenance, "STEPS", 5)
    assert_sums_to_the_state(run_of(case_of(name, form)))


def test_cells_that_carry():
    assert {"lstm", "gru", "reset_before_gru", "peephole_lstm", "cifg_lstm", "lstmp"} <= set(CARRYING)
    assert not {"rnn", "relu_rnn"} & set(CARRYING)
    run = run_of(random_case(CELLS["rnn"], T, B, H, seed=0))
    assert content(Adjoint(run), 3) is None and measure_provenance(Adjoint(run)) is None


@forms
@pytest.mark.parametrize("name", ["lstm", "peephole_lstm", "cifg_lstm", "gru"])
def test_what_is_written_and_what_is_left_of_it(name, form):
    """i g and products of f, with peepholes too; (1 - z) n and products of z."""
    run = run_of(case_of(name, form))
    a = Adjoint(run)
    gates = {gate: value.numpy() for gate, value in a.gates.items()}
    keeps = gates["z" if name == "gru" else "f"]
    writes = (1 - keeps) * gates["n"] if name == "gru" else gates["i"] * gates["g"]
    for row in range(B):
        steps, found = steps_of(run, row), content(a, T - 1, row)
        last = max((t for t in steps if run.fresh[t, row]), default=-1)  # before it the state was restored
        for t in steps:
            later = [m for m in steps if m > t]
            left = keeps[later, row].prod(0) if t >= last else np.zeros(H)
            names = {"written": found.written[t], "left": found.weights[t]}
            assert_all_close(names, {"written": writes[t, row], "left": left}, EXACT)
        first = keeps[[m for m in steps if m >= last], row].prod(0)
        assert_all_close({"initial": found.initial_weight}, {"initial": first}, EXACT)


def counted(run, edges):
    """Shares of every piece in every other's end, from the exact weights: row 0 is the initial state."""
    a, bins = Adjoint(run), len(edges) - 1
    found = np.full((1 + bins, bins), np.nan)
    for k in range(bins):
        rows = [row for row in range(run.input.shape[1]) if run.active[edges[k] : edges[k + 1], row].any()]
        shares = []
        for row in rows:
            c = content(a, int(edges[k + 1]) - 1, row)
            left = c.weights * c.written
            parts = [c.initial_weight * c.initial, *(left[b:e].sum(0) for b, e in pairwise(edges[: k + 2]))]
            sizes = np.abs(parts).sum(1)
            shares.append(sizes / sizes.sum())
        if shares:
            found[: k + 2, k] = np.mean(shares, 0)
    return found


def compare_pooled(run, at_most=4):
    edges = pieces.edges(len(run.input), at_most)
    expected, found = counted(run, edges), measure_provenance(Adjoint(run), edges)
    actual = 10.0 ** np.vstack([found.initial, found.provenance])
    expected[expected == 0] = np.nan
    assert (np.isnan(actual) == np.isnan(expected)).all(), "something is left where nothing is, or the other way round"
    there = ~np.isnan(expected)
    assert_all_close({"shares": actual[there]}, {"shares": expected[there]}, EXACT)
    assert_all_close({"bins": found.bins}, {"bins": edges[:-1]}, EXACT)


@forms
@pytest.mark.parametrize("at_most", [1, 4, 100])
@pytest.mark.parametrize("name", ["lstm", "gru", "zoneout lstm"])
def test_pieces_are_sums_of_steps(name, at_most, form, monkeypatch):
    in_short_stretches(monkeypatch)
    monkeypatch.setattr(provenance, "AT_ONCE", 40)
    compare_pooled(run_of(case_of(name, form)), at_most)


def latch(T, at, kept=1.0, width=1):
    """An LSTM that writes at one step and keeps what it has written; nothing at all is written elsewhere."""
    g = np.zeros((T, 2, 3))
    g[at : at + width] = np.random.default_rng(0).normal(size=(width, 2, 3))
    return lstm_of(3, f=np.full((T, 2, 3), 50.0 if kept == 1.0 else logit(kept)), g=g)


def test_a_copy_latch():
    """All that it ever holds is from the step at which it was written."""
    T, at = 400, 37
    found = measure_provenance(Adjoint(latch(T, at)))
    assert len(found.bins) == 100
    writing = at // 4
    expected = np.full((100, 100), np.nan)
    expected[writing, writing:] = 0.0
    np.testing.assert_allclose(found.provenance, expected, atol=1e-12)
    assert np.isnan(found.initial).all()
    one = content(Adjoint(latch(T, at)), T - 1)
    np.testing.assert_allclose(one.shares, np.where(np.arange(T) == at, 0.0, np.nan), atol=1e-12)
    np.testing.assert_allclose(one.weights, 1.0, atol=1e-12)


def test_what_is_left_of_a_first_word_is_told_at_any_lag():
    """2^-4000 is no number; its logarithm is."""
    T = 4000
    run = latch(T, 0, kept=0.5)
    run.states["c"][-1] += 1.0  # something else is written at the end
    found, one = measure_provenance(Adjoint(run)), content(Adjoint(run), T - 1)
    written = np.abs(run.states["c"][0].numpy()).sum(-1) / 3
    expected = {"one": np.log10(written[0]), "pooled": np.log10(written.mean())}
    actual = {"one": one.shares[0], "pooled": found.provenance[0, -1]}
    assert_all_close(actual, {name: value - (T - 1) * math.log10(2) for name, value in expected.items()}, EXACT)
    assert (one.weights[0] == 0).all() and one.shares[-1] == pytest.approx(0.0)


def test_the_initial_state_is_a_source_too():
    case = lstm_case(f=np.full((30, 1, 1), logit(0.9)), g=np.zeros((30, 1, 1)))
    case.initial["c"][:] = 2.0
    found = measure_provenance(Adjoint(run_of(case)))
    np.testing.assert_allclose(found.initial, 0.0, atol=1e-12)
    assert np.isnan(found.provenance).all()
    one = content(Adjoint(run_of(case)), 29)
    assert one.initial_share == pytest.approx(0.0) and one.initial_weight == pytest.approx(0.9**30)


def test_a_reset_of_the_sequence_leaves_nothing_of_what_was():
    case = replace(case_of("lstm", {}), reset=np.arange(T)[:, None] == np.array([6] * B))
    found = measure_provenance(Adjoint(run_of(case)))
    assert np.isnan(found.provenance[:6, 6:]).all() and np.isfinite(found.provenance[6, 6:]).all()
    assert np.isfinite(found.initial).all()


class Squashed(Cell):
    """Its old memory stands behind a function: no sum of what was written but to first order."""

    gates = "a"
    vectors = "u"

    def step(self, x, U, s, p):
        h = tanh(x.a + p.u * s.h + 0.1 * U.a(s.h))
        return State(h=h), Gates()


class Signed(Cell):
    """It turns its memory over at every step, and shuts it off at some."""

    gates = "a b"
    states = "h m"

    def step(self, x, U, s):
        m = tanh(x.a + U.a(s.h)) * s.m + sigmoid(x.b + U.b(s.h))
        return State(h=tanh(m), m=m), Gates()


SQUASHED, SIGNED = Squashed(), Signed()


@pytest.mark.parametrize("cell", [SQUASHED, SIGNED], ids=["squashed", "signed"])
def test_memories_of_a_users_own(cell):
    assert (carried(trace(cell)) is None) == (cell is SQUASHED)
    run = run_of(random_case(cell, T, B, H, seed=1, **FORMS["ragged"]))
    assert_sums_to_the_state(run)
    compare_pooled(run)


def test_a_factor_of_zero_cuts():
    case = random_case(SIGNED, T, B, H, seed=1)
    for value in case.weights.values():
        value[:H] = 0.0
    run = run_of(case)
    assert_sums_to_the_state(run)
    found = measure_provenance(Adjoint(run))
    np.testing.assert_allclose(found.provenance, np.where(np.eye(T) > 0, 0.0, np.nan), atol=1e-12)


@pytest.mark.parametrize(("step", "row"), [(-1, 0), (T, 0), (0, B), (0, -1)])
def test_no_such_step(step, row):
    run = run_of(case_of("lstm", {}))
    with pytest.raises(IndexError, match=rf"^content: no step {step} of row {row}; steps are 0\.\.{T - 1}"):
        content(Adjoint(run), step, row)


def one_factor_early(self, run, factor, rows, start, right=provenance._Writing.__init__):
    right(self, run, factor.roll(1, 0), rows, start)


def uncut(self, run, factor, rows, start, right=provenance._Writing.__init__):
    right(self, replace(run, fresh=torch.zeros_like(run.fresh)), factor, rows, start)


def with_its_own(self):
    from_it = self.passes.flip(0)
    return provenance._Left(from_it.abs().log().cumsum(0).flip(0), from_it.sign().cumprod(0).flip(0))


MUTANTS = {
    "another step's factor": ("__init__", one_factor_early, "pooled"),
    "restored states": ("__init__", uncut, "pooled"),
    "its own factor among the later ones": ("left", with_its_own, "sum"),
    "what is passed, forgotten": ("passed", lambda self: self.passes[:1].abs().log().sum(0), "pooled"),
}


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=MUTANTS.keys())
def test_what_is_wrong_is_caught(mutant, monkeypatch):
    name, wrong, check = mutant
    run = run_of(case_of("lstm", FORMS["ragged"]))
    edges = pieces.edges(T, 4)
    right = counted(run, edges)
    assert_sums_to_the_state(run)
    compare_pooled(run)
    monkeypatch.setattr(provenance._Writing, name, wrong)
    with pytest.raises(AssertionError):
        if check == "sum":
            assert_sums_to_the_state(run)
        else:
            monkeypatch.setitem(globals(), "counted", lambda *all: right)
            compare_pooled(run)

"""The checks of the watch can fail: each mistake that is made on purpose is caught, and named."""

import re
from dataclasses import replace

import pytest
import torch
from comparing import assert_all_close
from inspection.arrows import by_hand
from inspection.knock_out import told
from inspection.watching import CELLS, EXACT, B, I, T, assert_as_unrolled, layer_of, one_layer_run, unrolled, watched
from nn.layer_runs import normal

import headgate as hg
from headgate.graph import linearise
from headgate.inspection import adjoint, local, recompute, stepped, ways
from headgate.inspection.trace import Trace

LSTM = CELLS["lstm"]
# Mistakes of the compiled way stand in test_compiled.py.
pytestmark = pytest.mark.usefixtures("by_torch")


def short(node, graph):
    """A point of the step by a short name: "c", "U.f", "s.c", "x.i"."""
    names = {state: name for name, state in graph.states.items()}
    return names.get(node) or (f"U.{node.label}" if node.kind == "product" else ".".join(node.label))


def coefficients_of(cell):
    linear = linearise(cell)
    return {
        f"{short(point, linear.graph)} by {short(end, linear.graph)}": (point, end)
        for point, ends in linear.coefficient.items()
        for end in ends
        if point.kind not in ("leaf", "product")
    }


def with_coefficient(monkeypatch, which, change):
    """Let the watch, and nothing else, have another coefficient; `change` returns None to leave it out."""

    def wrong(cell):
        linear = linearise(cell)
        point, end = coefficients_of(cell)[which]
        ends = dict(linear.coefficient[point])
        ends[end] = change(ends[end])
        kept = {key: value for key, value in ends.items() if value is not None}
        return replace(linear, coefficient={**linear.coefficient, point: kept})

    monkeypatch.setattr(ways, "linearise", wrong)
    monkeypatch.setattr(adjoint, "route", ways.route.__wrapped__)  # not one that was made before


def refused(named, check):
    """The check fails, and what it names is there and, of the kinds that could be named, nothing unexpected."""
    with pytest.raises(AssertionError) as error:
        check()
    found = re.findall(r"^  (.+?): (?:relative|shape|missing|actual)", str(error.value), re.MULTILINE)
    assert found, str(error.value)
    assert set(named) <= set(found), f"{named} not among {found}"
    return found


def compare_totals(cell=LSTM, **options):
    layer, input = layer_of(cell, **options), normal(T, B, I)
    seen, cotangents = watched(layer, input)
    assert_as_unrolled(seen, unrolled(cell, layer, input, None, cotangents))


def compare_paths(name="lstm", direction="l0"):
    seen, cotangents, whole = one_layer_run(CELLS[name])
    assert_all_close(told(seen[direction]), by_hand(name, whole.parts[direction], cotangents), EXACT)


def compare_jacobian(cell=LSTM):
    layer, input = layer_of(cell, num_layers=1), normal(T, B, I)
    seen, cotangents = watched(layer, input)
    part = unrolled(cell, layer, input, None, cotangents).parts["l0"]
    assert_all_close({"J": seen["l0"].jacobian(2, 1)}, {"J": part.jacobian(2, 1)}, EXACT)


def test_nothing_is_caught_where_nothing_is_wrong():
    compare_totals()
    compare_paths()
    compare_jacobian()


CARRYING = [name for name in coefficients_of(LSTM) if " by x." not in name]
GATES = [name for name in CARRYING if " by U." in name]


def test_the_coefficients_of_an_lstm():
    assert set(CARRYING) == {"c by s.c", "h by c", "c by U.i", "c by U.f", "c by U.g", "h by U.o"}


@pytest.mark.parametrize("which", CARRYING)
def test_a_flipped_sign(which, monkeypatch):
    with_coefficient(monkeypatch, which, lambda value: -value)
    refused(["l1: grad c", "l1_reverse: grad c", "l0: grad c"], compare_totals)
    refused(["J"], compare_jacobian)


@pytest.mark.parametrize("which", [name for name in coefficients_of(LSTM) if " by x." in name])
def test_a_flipped_sign_on_the_way_to_the_layer_below(which, monkeypatch):
    """The layer it is in does not notice; the one below does."""
    with_coefficient(monkeypatch, which, lambda value: -value)
    found = refused(["l0: grad h", "l0: grad c", "l0_reverse: grad c"], compare_totals)
    assert not [name for name in found if name.startswith("l1")]


@pytest.mark.parametrize("which", GATES)
def test_a_flipped_sign_names_the_path(which, monkeypatch):
    with_coefficient(monkeypatch, which, lambda value: -value)
    refused([f"path {which[-1]}"], compare_paths)


@pytest.mark.parametrize("cell", ["lstm", "gru", "cifg_lstm"])
def test_a_highway_that_is_left_out(cell, monkeypatch):
    memory = CELLS[cell].memory
    with_coefficient(monkeypatch, f"{memory} by s.{memory}", lambda value: None)
    refused([f"l1: grad {memory}", f"l1_reverse: grad {memory}"], lambda: compare_totals(CELLS[cell]))
    refused(["path highway", "path highway alone"], lambda: compare_paths(cell))
    refused(["J"], lambda: compare_jacobian(CELLS[cell]))


def transposed(make):
    def wrong(self, run, way=None):
        make(self, run, way)
        self._matrices = [matrices.mT for matrices in self._matrices]

    return wrong


def test_recurrent_matrices_the_wrong_way_round(monkeypatch):
    monkeypatch.setattr(adjoint.Adjoint, "__init__", transposed(adjoint.Adjoint.__init__))
    refused(["l1: grad c", "l0: grad h"], compare_totals)
    refused([f"path {gate}" for gate in "ifgo"], compare_paths)
    refused(["J"], compare_jacobian)


def test_paths_under_each_others_names(monkeypatch):
    """The total does not notice: its parts are all there."""
    right = stepped._Arrivals.by_label

    def wrong(self):
        found = right(self)
        return found | {"i": found["f"], "f": found["i"]}

    monkeypatch.setattr(stepped._Arrivals, "by_label", wrong)
    compare_totals()
    assert sorted(refused(["path i", "path f"], compare_paths)) == ["path f", "path i"]


def test_a_highway_that_takes_the_gates_along(monkeypatch):
    """The highway alone, mistaken for the total."""
    right = adjoint.Adjoint.sweep
    monkeypatch.setattr(
        adjoint.Adjoint,
        "sweep",
        lambda self, seeds, value, full, cuts=(), **asked: right(self, seeds, value, full or 1, cuts, **asked),
    )
    compare_totals()
    assert refused(["path highway alone"], compare_paths) == ["path highway alone"]


def test_a_local_gradient_for_the_total(monkeypatch):
    """What hooks on a layer's output show: the loss's own term, and nothing from later steps."""
    right = stepped.Stepped._hand_on

    def wrong(self, swept, t):
        swept.passed = {name: torch.zeros_like(value) for name, value in swept.passed.items()}
        right(self, swept, t)

    monkeypatch.setattr(stepped.Stepped, "_hand_on", wrong)
    refused(["l1: grad h", "l1: grad c", "l1: grad_initial h"], compare_totals)


def test_a_reverse_direction_told_forwards(monkeypatch):
    monkeypatch.setattr(Trace, "_in_time", lambda self, value: value)
    found = refused(["l1_reverse: gate f", "l1_reverse: state c", "l1_reverse: grad c"], compare_totals)
    assert not [name for name in found if name.startswith("l1:")]


def test_a_reverse_direction_run_forwards(monkeypatch):
    """Found by the watch itself: it is not what the layer gave."""
    right = recompute._run
    monkeypatch.setattr(recompute, "_run", lambda call, opened: right(replace(call, reverse=False), opened))
    with pytest.raises(RuntimeError, match=r"^the model: run again from its weights and input it gives another output"):
        compare_totals()


def test_a_dropout_mask_forgotten(monkeypatch):
    monkeypatch.setattr(recompute, "_drawn_again", lambda *all: (None, []))
    with pytest.raises(RuntimeError, match=r"^the model: run again from its weights and input it gives another output"):
        compare_totals(dropout=0.5)


def test_a_source_at_every_step(monkeypatch):
    """A profile of a dense loss, without the rule of the last step, is flat, and another than that of its last term."""
    layer, input = hg.GRU(I, 3, dtype=torch.float64), normal(25, B, I)
    last = watched(layer, input, loss="last")[0]["l0"].lag_profile()
    monkeypatch.setattr(local, "choose_sources", lambda read, most: torch.full((1, B), -1))
    dense = watched(layer, input, loss="dense")[0]["l0"].lag_profile()
    refused(["profile"], lambda: assert_all_close({"profile": dense}, {"profile": last}, EXACT))
    assert dense[1, -1] > 10 * last[1, -1]

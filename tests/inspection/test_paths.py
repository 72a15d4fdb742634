"""The split of dL/d(memory) by path: it sums to the total, and each part is what autograd and the literature say."""

import pytest
import torch
from comparing import assert_all_close
from graph.one_step import STRANGE
from inspection.arrows import FORMS, by_hand
from inspection.knock_out import by_knock_out, told
from inspection.watching import (
    CELLS,
    EXACT,
    LENGTHS,
    B,
    I,
    T,
    assert_as_unrolled,
    layer_of,
    one_layer_run,
    resets,
    unrolled,
    watched,
)
from nn.layer_runs import normal, states_for

from headgate.cells import Cell, Gates, State, sigmoid, tanh

ALL = {**CELLS, "everything": STRANGE["everything"]}
pytestmark = pytest.mark.usefixtures("way")
every_cell = pytest.mark.parametrize("cell", ALL.values(), ids=ALL)
# The parts are added in another order than the total was: rounding alone.
SUM = 1e-12


@pytest.mark.parametrize("name", FORMS)
def test_each_path_against_the_closed_forms(name):
    seen, cotangents, whole = one_layer_run(CELLS[name])
    for direction, part in whole.parts.items():
        assert_all_close(told(seen[direction]), by_hand(name, part, cotangents), EXACT)


@every_cell
def test_each_path_against_autograd_with_the_products_cut(cell):
    """One layer, both directions, with lengths, resets and states given."""
    layer, input = layer_of(cell, num_layers=1), normal(T, B, I)
    states, reset = states_for(layer, B), resets()
    seen, cotangents = watched(layer, input, states, lengths=LENGTHS, reset=reset)
    whole = unrolled(cell, layer, input, states, cotangents, LENGTHS, reset)
    for name, part in whole.parts.items():
        assert_all_close(told(seen[name]), by_knock_out(part, cotangents, LENGTHS), EXACT)


class OutputRemembers(type(CELLS["lstm"])):
    """An LSTM whose output is followed instead of its cell state."""

    memory = "h"


def test_another_memory():
    layer, input = layer_of(OutputRemembers(), num_layers=1), normal(T, B, I)
    seen, cotangents = watched(layer, input)
    for name, part in unrolled(layer.cell, layer, input, None, cotangents).parts.items():
        assert_all_close(told(seen[name]), by_knock_out(part, cotangents, [T] * B), EXACT)
    assert seen["l0"].timescales() is None


@every_cell
def test_the_parts_sum_to_the_total(cell):
    layer, input = layer_of(cell), normal(T, B, I)
    seen, _ = watched(layer, input, states_for(layer, B), lengths=LENGTHS, reset=resets())
    for name in seen:
        parts, total = seen[name].paths, seen[name].grad[cell.memory]
        largest = max(part.abs().max() for part in parts.values())
        assert total.any()
        assert (sum(parts.values()) - total).abs().max() <= SUM * largest


def test_the_names_of_the_paths():
    layer = layer_of(CELLS["greff_fgrp"])
    seen, _ = watched(layer, normal(T, B, I))
    crossed = [f"{source}_{target}" for source in "ifo" for target in "ifo"]
    assert set(seen["l1"].paths) == {"readout", "highway", *"ifgo", *crossed, "r"}
    assert not seen["l1"].paths["r"].any(), "the projection stands within a step, not between two"


class Minimal(Cell):
    """A cell whose gates do not see the state (Heck & Salem 2017's minimal form): all there is, is highway."""

    gates = "z n"
    recurrent = ()

    def step(self, x, U, s):
        z = sigmoid(x.z)
        return State(h=z * s.h + (1.0 - z) * tanh(x.n)), Gates(z=z)


@pytest.mark.parametrize("loss", ["last", "dense"])
def test_gates_that_ignore_the_state_leave_nothing_but_the_highway(loss):
    layer, input = layer_of(Minimal(), bidirectional=loss == "dense"), normal(T, B, I)
    seen, cotangents = watched(layer, input, loss=loss)
    assert_as_unrolled(seen, unrolled(layer.cell, layer, input, None, cotangents))
    for name in seen:
        assert set(seen[name].paths) == {"readout", "highway"}
        assert torch.equal(seen[name].highway, seen[name].grad["h"])
        assert seen[name].highway_share().tolist() == [1.0] * T


def test_highway_share_is_the_projection_on_the_total():
    """<highway, total> / |total|^2 by lag, median over rows, from the closed form's vectors."""
    layer, input = layer_of(CELLS["lstm"], num_layers=1, bidirectional=False), normal(T, B, I)
    seen, _ = watched(layer, input, loss="last")
    alone, total = seen["l0"].highway.flip(0), seen["l0"].grad["c"].flip(0)
    expected = ((alone * total).sum(-1) / total.square().sum(-1)).quantile(0.5, dim=-1)
    assert_all_close({"share": seen["l0"].highway_share()}, {"share": expected}, EXACT)
    assert abs(expected[-1] - 1.0) > 0.01, "a share that is 1 anyway would show nothing"


def test_a_plain_network_has_no_highway():
    seen, _ = watched(layer_of(CELLS["rnn"]), normal(T, B, I), loss="last")
    assert seen["l1"].timescales() is None
    assert not seen["l1"].paths["highway"].any()
    assert seen["l1"].highway_share().tolist() == [1.0] + [0.0] * (T - 1)

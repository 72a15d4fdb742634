"""The traced gradient of cells beyond the catalogue, and every rule of differentiation with its sign flipped."""

import sys

import numpy as np
import pytest
from comparing import assert_all_close
from graph.one_step import STRANGE
from reference.cases import CELLS
from tolerances import TOLERANCE
from torch import float64

from headgate.cells import sigmoid, tanh
from headgate.graph import evaluate, gradient, trace
from headgate.graph import expression as ex
from headgate.graph.gradient import DERIVATIVES, reverse, seed
from headgate.reference import differences, random_case, traced_gradients

TRACED = TOLERANCE["traced", float64]
A, B, C = ex.leaf("x", "a"), ex.leaf("x", "b"), ex.leaf("s", "c")


@pytest.mark.parametrize("options", [{}, {"lengths": True, "reset": True, "reverse": True}], ids=["plain", "all"])
@pytest.mark.parametrize("name", STRANGE)
def test_strange_cells_are_differentiated_too(name, options):
    case = random_case(STRANGE[name], 4, 3, 2, O=1 if STRANGE[name].produces_projection else None, **options)
    assert_all_close(traced_gradients(case), differences(case), TRACED)


def test_the_strange_cells_use_every_operation():
    """So that no rule below is tested on nothing."""
    assert {node.kind for node in ex.in_order(trace(STRANGE["everything"]).states.values())} >= set(DERIVATIVES)


def flipped(rule):
    """The rule with its sign flipped; the derivative of a step, zero, becomes one."""
    return lambda node: ex.ONE if rule(node) is ex.ZERO else -rule(node)


@pytest.mark.parametrize(
    ("kind", "argument"), [(kind, k) for kind, rules in DERIVATIVES.items() for k in range(len(rules))]
)
def test_any_flipped_sign_in_a_rule_is_refused_and_named(kind, argument, monkeypatch, fresh_caches):
    case = random_case(STRANGE["everything"], 2, 2, 2)
    right = differences(case)
    assert_all_close(traced_gradients(case), right, TRACED)
    gradient.cache_clear()
    rules = list(DERIVATIVES[kind])
    rules[argument] = flipped(rules[argument])
    monkeypatch.setitem(DERIVATIVES, kind, tuple(rules))
    with pytest.raises(AssertionError, match=r"(input|weight_ih): relative error"):
        assert_all_close(traced_gradients(case), right, TRACED)


@pytest.mark.parametrize("name", CELLS)
def test_a_wrong_tanh_or_sigmoid_is_refused_in_every_cell_that_has_one(name, monkeypatch, fresh_caches):
    case = random_case(CELLS[name], 2, 2, 2, O=1 if CELLS[name].produces_projection else None)
    right = traced_gradients(case)
    used = {node.kind for node in ex.in_order(trace(case.cell).states.values())} & {"tanh", "sigmoid", "relu"}
    assert used
    for kind in used:
        with monkeypatch.context() as patch:
            patch.setitem(DERIVATIVES, kind, (flipped(DERIVATIVES[kind][0]),))
            gradient.cache_clear()
            with pytest.raises(AssertionError, match="weight_ih: relative error"):
                assert_all_close(traced_gradients(case), right, TRACED)


def test_a_node_reached_twice_gets_both_parts():
    adjoint = reverse({A * A + A: ex.ONE})
    assert evaluate([adjoint[A]], {A: 3.0}) == [7.0]


def test_seeds_add_to_what_comes_from_other_seeds():
    """c is an output, and h = tanh(c) another: its adjoint is the seed and what h passes on."""
    c = A * B
    adjoint = reverse({c: ex.constant(10.0), tanh(c): ex.ONE})
    expected = 10.0 + 1.0 - np.tanh(6.0) ** 2
    assert evaluate([adjoint[c], adjoint[A]], {A: 2.0, B: 3.0}) == pytest.approx([expected, 3 * expected])


def test_a_cut_node_gets_its_adjoint_and_passes_nothing_on():
    inner = A * B
    adjoint = reverse({tanh(inner) * C: ex.ONE}, cut=frozenset([inner]))
    assert inner in adjoint and C in adjoint and A not in adjoint


def test_a_product_passes_its_adjoint_through_the_transposed_matrix():
    adjoint = reverse({ex.product("i", A): B})
    assert adjoint[A] is ex.transposed("i", B)


def test_a_state_that_nothing_reads_has_no_gradient():
    backward = gradient(STRANGE["delay"])
    assert backward.states["e"] is ex.ZERO
    assert backward.states["h"] is seed("d")


def test_a_gradient_has_the_names_of_its_cell():
    cell = CELLS["greff_fgrp"]
    backward = gradient(cell)
    assert tuple(backward.states) == cell.state_names and tuple(backward.x) == cell.gate_names
    assert tuple(backward.vectors) == cell.vector_names
    assert set(backward.products) == {block for matrix in cell.recurrent for block in matrix.block_names}


def test_the_lstm_gradient_in_closed_form():
    """By the book: dL/d(a_i) = dc g i (1 - i), with dc = dL/dc + dL/dh o (1 - tanh(c)^2)."""
    graph = trace(CELLS["lstm"])
    numbers = {graph.x(k): 0.1 * n for n, k in enumerate("ifgo", 1)} | {graph.s("h"): 0.3, graph.s("c"): -0.7}
    numbers |= {node: 0.0 for node in graph.products.values()} | {seed("h"): 2.0, seed("c"): 5.0}
    i, f, g, o = sigmoid(0.1), sigmoid(0.2), tanh(0.1 * 3), sigmoid(0.4)
    c = f * -0.7 + i * g
    dc = 5.0 + 2.0 * o * (1 - tanh(c) ** 2)
    expected = {
        "i": dc * g * i * (1 - i),
        "f": dc * -0.7 * f * (1 - f),
        "g": dc * i * (1 - g**2),
        "o": 2.0 * tanh(c) * o * (1 - o),
    }
    found = evaluate([gradient(CELLS["lstm"]).x[gate] for gate in "ifgo"], numbers)
    assert_all_close(dict(zip("ifgo", found, strict=True)), expected, TOLERANCE["restated", float64])


def test_deep_steps_are_differentiated_without_a_deep_stack():
    node = A
    for _ in range(2 * sys.getrecursionlimit()):
        node = tanh(node)
    assert evaluate([reverse({node: ex.ONE})[A]], {A: 0.0}) == [1.0]

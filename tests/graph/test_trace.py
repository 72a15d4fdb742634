"""A step traced: what it must not do is refused by name, and its products fall into stages."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from reference.cases import CELLS

from headgate import cells
from headgate.cells import Cell, Gates, Matrix, State, sigmoid, tanh
from headgate.graph import trace


def cell_of(step_function, **names):
    """A cell with one step; gates "a b" and the state "h" unless said otherwise."""
    names = {"gates": "a b", "states": "h", **names}
    return type("Mine", (Cell,), {**names, "step": step_function})()


def both(x, U, s):
    return tanh(x.a + U.a(s.h) + x.b + U.b(s.h))


def test_the_cell_the_errors_are_made_from_is_traced():
    """The witness: what is refused below is refused for what was changed."""
    assert list(trace(cell_of(lambda self, x, U, s: State(h=both(x, U, s)))).products) == ["a", "b"]


def branching(self, x, U, s):
    h = both(x, U, s)
    return State(h=h if s.h else -h)


def comparing_values(self, x, U, s):
    h = both(x, U, s)
    return State(h=h if s.h > 0 else -h)


ERRORS = {
    "unused gate": (
        lambda self, x, U, s: State(h=tanh(x.a + U.a(s.h) + U.b(s.h))),
        {},
        ValueError,
        r"Mine\.step never uses x\.b, so its weights would do nothing; drop the name",
    ),
    "unused block": (
        lambda self, x, U, s: State(h=tanh(x.a + U.a(s.h) + x.b)),
        {},
        ValueError,
        r"Mine\.step.*U\.b.*its rows would do nothing",
    ),
    "block applied for nothing": (
        lambda self, x, U, s: (U.b(s.h), State(h=tanh(x.a + U.a(s.h) + x.b)))[1],
        {},
        ValueError,
        r"U\.b.*would do nothing",
    ),
    "block that is only shown": (
        lambda self, x, U, s: (State(h=tanh(x.a + U.a(s.h) + x.b)), Gates(b=U.b(s.h))),
        {},
        ValueError,
        r"U\.b.*would do nothing",
    ),
    "unused vector": (
        lambda self, x, U, s, p: State(h=both(x, U, s) * p.v),
        {"vectors": "v w"},
        ValueError,
        r"Mine\.step never uses p\.w, so its weights would do nothing",
    ),
    "block applied twice": (
        lambda self, x, U, s: State(h=both(x, U, s) + U.b(x.a * s.h)),
        {},
        ValueError,
        r"Mine\.step applies U\.b to two vectors; give the second product a block of its own in `recurrent`",
    ),
    "unknown gate": (
        lambda self, x, U, s: State(h=both(x, U, s) + x.c),
        {},
        AttributeError,
        r"has no 'c'; it has a, b",
    ),
    "unknown block": (
        lambda self, x, U, s: State(h=both(x, U, s) + U.c(s.h)),
        {},
        AttributeError,
        r"Mine: U has no block 'c'; it has a, b",
    ),
    "unknown state": (
        lambda self, x, U, s: State(h=both(x, U, s) + s.c),
        {},
        AttributeError,
        r"has no 'c'; it has h",
    ),
    "unknown vector": (
        lambda self, x, U, s, p: State(h=both(x, U, s) + p.v),
        {},
        AttributeError,
        r"has no 'v'; it has nothing",
    ),
    "branch on a value": (branching, {}, TypeError, "asked whether a traced value is true"),
    "comparison of a value": (comparing_values, {}, TypeError, "'>' not supported"),
    "state missing": (
        lambda self, x, U, s: State(h=both(x, U, s)),
        {"states": "h c"},
        ValueError,
        r"Mine\.step returned the states h, but the class says states = 'h c'; return State\(h=\.\.\., c=\.\.\.\)",
    ),
    "state too many": (
        lambda self, x, U, s: State(h=both(x, U, s), c=s.h),
        {},
        ValueError,
        r"returned the states h, c, but the class says states = 'h'",
    ),
    "NumPy array": (lambda self, x, U, s: State(h=both(x, U, s) * np.ones(3)), {}, TypeError, "with a ndarray"),
    "torch tensor": (lambda self, x, U, s: State(h=both(x, U, s) + torch.ones(3)), {}, TypeError, "with a Tensor"),
    "state of a foreign type": (
        lambda self, x, U, s: State(h=[both(x, U, s)]),
        {},
        TypeError,
        "mixed a traced value with a list",
    ),
    "broken power": (lambda self, x, U, s: State(h=both(x, U, s) ** 0.5), {}, TypeError, r"to the power 0\.5"),
    "block in two matrices": (
        lambda self, x, U, s: State(h=both(x, U, s)),
        {"recurrent": (Matrix("hh", "a b"), Matrix("gg", "b"))},
        ValueError,
        "'b'.*(twice|two)",
    ),
    "block twice in a matrix": (
        lambda self, x, U, s: State(h=both(x, U, s)),
        {"recurrent": (Matrix("hh", "a b b"),)},
        ValueError,
        "'b'.*(twice|two)|names something twice",
    ),
    "two matrices of one name": (
        lambda self, x, U, s: State(h=both(x, U, s)),
        {"recurrent": (Matrix("hh", "a"), Matrix("hh", "b"))},
        ValueError,
        "weight_hh",
    ),
    "matrix named as the input's": (
        lambda self, x, U, s: State(h=both(x, U, s)),
        {"recurrent": (Matrix("ih", "a b"),)},
        ValueError,
        "weight_ih",
    ),
    "matrix named as the vectors": (
        lambda self, x, U, s, p: State(h=both(x, U, s) * p.v),
        {"recurrent": (Matrix("p", "a b"),), "vectors": "v"},
        ValueError,
        "weight_p",
    ),
}


@pytest.mark.parametrize("mistake", ERRORS)
def test_a_mistake_in_a_step_is_refused_and_named(mistake):
    step, names, error, message = ERRORS[mistake]
    with pytest.raises(error, match=message):
        trace(cell_of(step, **names))


def test_a_cell_without_a_step_says_so():
    with pytest.raises(TypeError, match=r"is a Cell without a step; write step\(self, x, U, s\)"):
        trace(type("Empty", (Cell,), {"gates": "a"})())


@pytest.mark.parametrize("word", ["bias", "matrix", "applied", "graph", "values", "self"])
def test_a_gate_may_be_called_by_any_word_or_is_refused_by_name(word):
    """Whatever a name collides with inside, the user must hear of it, not get another object."""
    cell = type(
        "Mine",
        (Cell,),
        {"gates": word, "step": lambda self, x, U, s: State(h=tanh(getattr(x, word) + getattr(U, word)(s.h)))},
    )()
    try:
        graph = trace(cell)
    except ValueError as refused:
        assert repr(word) in str(refused) and "cannot be used as a name" in str(refused)
    else:
        assert list(graph.products) == [word]


# --- stages -----------------------------------------------------------------------------------------------------

STAGES = {
    "rnn": [["h"]],
    "lstm": [["i f g o"]],
    "cifg_lstm": [["i g o"]],
    "peephole_lstm": [["i f g o"]],
    "gru": [["r z n"]],
    "reset_before_gru": [["r z"], ["n"]],
    "greff_fgr": [["i f g o", "i_i i_f i_o", "f_i f_f f_o", "o_i o_f o_o"]],
    "lstmp": [["i f g o"], ["r"]],
    "greff_fgrp": [["i f g o", "i_i i_f i_o", "f_i f_f f_o", "o_i o_f o_o"], ["r"]],
}


@pytest.mark.parametrize("name", STAGES)
def test_products_fall_into_as_few_stages_as_they_can(name):
    stages = trace(CELLS[name]).stages
    assert [[" ".join(group.blocks) for group in stage] for stage in stages] == STAGES[name]


@pytest.mark.parametrize("name", CELLS)
def test_every_block_stands_in_one_group_at_its_place(name):
    graph = trace(CELLS[name])
    groups = [group for stage in graph.stages for group in stage]
    placed = [block for group in groups for block in group.blocks]
    assert sorted(placed) == sorted(block for matrix in CELLS[name].recurrent for block in matrix.block_names)
    for group in groups:
        assert group.matrix.block_names[group.first : group.first + len(group.blocks)] == group.blocks
        assert all(graph.products[block].arguments == (group.argument,) for block in group.blocks)


@pytest.mark.parametrize("name", CELLS)
def test_a_stage_needs_earlier_stages_alone(name):
    graph = trace(CELLS[name])
    done = set()
    for stage in graph.stages:
        for group in stage:
            assert {node for node in below(group.argument) if node.kind == "product"} <= done
        done |= {graph.products[block] for group in stage for block in group.blocks}


def below(node):
    return {node} | {deeper for argument in node.arguments for deeper in below(argument)}


def test_blocks_that_are_not_neighbours_are_two_groups_of_one_stage():
    def step(self, x, U, s):
        r = sigmoid(x.a + U.a(s.h))
        return State(h=tanh(x.b + U.b(r * s.h)) + sigmoid(x.c + U.c(s.h)))

    stages = trace(cell_of(step, gates="a b c")).stages
    assert [[(group.blocks, group.first) for group in stage] for stage in stages] == [
        [(("a",), 0), (("c",), 2)],
        [(("b",), 1)],
    ]


def test_equal_vectors_written_twice_are_one_product():
    """`r * s.h` is the same vector wherever it is written, so both blocks are one group."""

    def step(self, x, U, s):
        r = sigmoid(x.a + U.a(s.h))
        return State(h=tanh(x.b + U.b(r * s.h)) + sigmoid(x.c + U.c(r * s.h)))

    assert [len(stage) for stage in trace(cell_of(step, gates="a b c")).stages] == [1, 1]


# --- what a graph holds -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CELLS)
def test_a_graph_has_the_names_of_its_cell(name):
    cell, graph = CELLS[name], trace(CELLS[name])
    assert graph.cell == cell
    assert tuple(graph.states) == cell.state_names
    assert [node.label for node in graph.leaves()] == [
        *(("x", gate) for gate in cell.gate_names),
        *(("s", state) for state in cell.state_names),
        *(("p", vector) for vector in cell.vector_names),
        *(("m", state) for state in cell.mask_names),
    ]


def test_states_come_in_the_order_of_the_class_whatever_the_step_returns():
    def step(self, x, U, s):
        h = both(x, U, s)
        return State(c=s.c + h, h=h)

    graph = trace(cell_of(step, states="h c"))
    assert list(graph.states) == ["h", "c"] and graph.states["h"].kind == "tanh"


def test_equal_cells_share_one_trace():
    assert trace(cells.get("lstm")) is trace(cells.get("lstm", peephole=False))
    assert trace(cells.get("lstm")) is not trace(cells.get("peephole_lstm"))


def test_a_step_is_traced_once():
    steps = []

    @dataclass(frozen=True)
    class Counting(Cell):
        gates = "a"

        def step(self, x, U, s):
            steps.append(1)
            return State(h=tanh(x.a + U.a(s.h)))

    for _ in range(3):
        trace(Counting())
    assert len(steps) == 1

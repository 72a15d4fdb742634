"""Expressions: made once, simplified without changing their value, evaluated on anything that does arithmetic."""

import copy
import gc
import pickle
import threading

import numpy as np
import pytest
import torch
from comparing import assert_all_close
from graph.one_step import STRANGE, OneStep
from tolerances import TOLERANCE

import headgate.engines.eager  # noqa: F401 - gives the equations' functions their meaning on tensors
from headgate.cells import sigmoid, tanh
from headgate.cells.operations import FUNCTIONS
from headgate.graph import Node, evaluate
from headgate.graph import expression as ex

A, B, C = ex.leaf("x", "a"), ex.leaf("x", "b"), ex.leaf("s", "c")


def test_equal_expressions_are_one_object():
    assert ex.leaf("x", "a") is A and ex.leaf("s", "a") is not A
    assert A * B + C is A * B + C
    assert tanh(A) is tanh(A) and tanh(A) is not sigmoid(A)
    assert ex.constant(2) is ex.constant(2.0)
    assert ex.product("i", A) is ex.product("i", A) and ex.product("i", A) is not ex.product("f", A)


def test_order_is_kept_where_it_is_written():
    """a + b and b + a round alike, but an engine prints what the author wrote."""
    assert A + B is not B + A
    assert repr(B + A) == "(x.b + x.a)"


@pytest.mark.parametrize(
    ("found", "simple"),
    [
        (A + 0, A),
        (0 + A, A),
        (A - 0.0, A),
        (0 - A, -A),
        (1 * A, A),
        (A * 1.0, A),
        (0 * A, ex.ZERO),
        (A * 0, ex.ZERO),
        (-1 * A, -A),
        (A * -1, -A),
        (A / 1, A),
        (0 / A, ex.ZERO),
        (-ex.Node("neg", (A,)), A),
        (A + (-B), A - B),
        (-A * B, -(A * B)),
        (A * -B, -(A * B)),
        (-A * -B, A * B),
        (A**1, A),
        (A**3, A * A * A),
        (ex.constant(2) + 3, ex.constant(5)),
        (2 - ex.constant(3), ex.MINUS_ONE),
        (ex.constant(2) * 3, ex.constant(6)),
        (1 / ex.constant(4), ex.constant(0.25)),
        (-ex.constant(2), ex.constant(-2)),
        (ex.transposed("i", ex.ZERO), ex.ZERO),
    ],
    ids=lambda node: repr(node).replace(" ", ""),
)
def test_what_changes_nothing_is_left_out(found, simple):
    assert found is simple


def test_what_is_not_the_same_is_not_simplified():
    assert (A - A).kind == "sub" and (A / A).kind == "div" and (2 * A).kind == "mul"
    assert (A / 0).kind == "div"


@pytest.mark.parametrize(
    "again",
    [copy.copy, copy.deepcopy, lambda node: pickle.loads(pickle.dumps(node))],
    ids=["copy", "deepcopy", "pickle"],
)
def test_a_copy_is_the_same_object(again):
    node = tanh(A * B + 2.5) - ex.product("i", C)
    assert again(node) is node


def test_expressions_nobody_holds_are_forgotten():
    gc.collect()
    before = len(ex._interned)
    node = tanh(ex.leaf("x", "a name nobody else uses") * 3.25)
    assert len(ex._interned) > before
    del node
    gc.collect()
    assert len(ex._interned) <= before


def test_threads_make_the_same_objects():
    made = []

    def make():
        made.append([tanh(A * float(k) + B) for k in range(2, 300)])

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 8
    assert all(one is other for row in made for one, other in zip(row, made[0], strict=True))


def test_it_prints_as_it_is_read():
    assert repr(-tanh(A + ex.product("i", C)) / 2) == "(neg(tanh((x.a + U.i(s.c)))) / 2)"
    assert repr(ex.transposed("i", C)) == "Ut.i(s.c)"


@pytest.mark.parametrize("power", [0, -1, 0.5, A], ids=["zero", "negative", "half", "traced"])
def test_powers_other_than_whole_ones_are_refused(power):
    with pytest.raises(TypeError, match=r"raised to the power .*write whole powers"):
        A**power


def test_a_traced_value_is_neither_true_nor_false():
    with pytest.raises(TypeError, match=r"asked whether a traced value is true.*traced once for all values"):
        bool(A)
    with pytest.raises(TypeError):
        bool(A > B)


@pytest.mark.parametrize("foreign", [np.ones(3), torch.ones(3), "1", None, 1j], ids=lambda v: type(v).__name__)
def test_other_types_are_refused_by_name(foreign):
    with pytest.raises(TypeError, match=f"mixed a traced value with a {type(foreign).__name__}; use x, U, s, p"):
        A + foreign


def test_in_order_gives_every_node_once_and_after_its_arguments():
    root = tanh(A * B) + sigmoid(A * B) * (A * B - C)
    order = ex.in_order([root, A * B])
    assert len(order) == len(set(order)) and set(order) >= {A, B, C, A * B, root}
    assert all(order.index(argument) < order.index(node) for node in order for argument in node.arguments)


def test_in_order_does_not_look_behind_a_stop():
    assert ex.in_order([tanh(A * B) + C], frozenset([A * B])) == [A * B, tanh(A * B), C, tanh(A * B) + C]


def test_long_expressions_need_no_deep_stack():
    node = A
    for _ in range(20_000):
        node = node + B
    assert evaluate([node], {A: 1.0, B: 0.5}) == [10_001.0]


@pytest.mark.parametrize("kind", FUNCTIONS)
def test_every_function_is_traced_under_its_own_name(kind):
    node = FUNCTIONS[kind](A)
    assert (node.kind, node.arguments) == (kind, (A,))


@pytest.mark.parametrize("name", STRANGE)
def test_the_graph_evaluates_to_what_the_step_computes(name):
    step = OneStep(STRANGE[name])
    state, gates = step.run()
    found = evaluate([*step.graph.states.values(), *step.graph.gates.values()], step.values, step.multiply)
    names = [*state, *(f"gate {gate}" for gate in gates)]
    expected = dict(zip(names, [*state.values(), *gates.values()], strict=True))
    assert_all_close(dict(zip(names, found, strict=True)), expected, TOLERANCE["restated", torch.float64])


def test_numpy_torch_and_numbers_evaluate_alike():
    step = OneStep(STRANGE["everything"], H=1)

    def evaluated(convert):
        values = {node: convert(value) for node, value in step.values.items()}
        matrix = {block: convert(value) for block, value in step.matrix.items()}
        bias = {block: convert(value) for block, value in step.bias.items()}
        found = evaluate(step.graph.states.values(), values, lambda node, v: v * matrix[node.label] + bias[node.label])
        return {name: np.asarray(value).reshape(()) for name, value in zip(step.graph.states, found, strict=True)}

    on_numbers = evaluated(float_of)
    assert_all_close(evaluated(np.squeeze), on_numbers, TOLERANCE["restated", torch.float64])
    assert_all_close(evaluated(lambda v: torch.tensor(float_of(v), dtype=torch.float64)), on_numbers, 1e-12)


def float_of(value):
    return float(np.squeeze(value))


def test_values_may_be_given_for_any_node():
    assert evaluate([tanh(A * B) + C], {A * B: 0.0, C: 2.0}) == [2.0]
    assert evaluate([A * B], {A * B: 7.0}) == [7.0]
    assert evaluate([A * B, A, A * B], {A: 2.0, B: 3.0}) == [6.0, 2.0, 6.0]


def test_what_is_not_given_is_named():
    with pytest.raises(KeyError, match=r"no value was given for x\.b"):
        evaluate([A * B], {A: 1.0})
    with pytest.raises(KeyError, match=r"no value was given for U\.i\(x\.a\)"):
        evaluate([ex.product("i", A)], {A: 1.0})


def test_a_node_is_hashable_and_equal_to_itself_alone():
    assert len({A, ex.leaf("x", "a"), B}) == 2
    assert isinstance(A, Node) and A != B

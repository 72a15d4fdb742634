"""The traced gradient, which compiled engines run, against differences and against derivations by hand."""

import dataclasses

import pytest
from comparing import assert_all_close
from reference.cases import CELLS, OPTIONS, SMALL, case_of, traced, truth
from tolerances import TOLERANCE
from torch import float64

from headgate import cells
from headgate.graph import gradient
from headgate.graph.expression import ZERO
from headgate.reference import BY_HAND, differences, traced_gradients

TRACED = TOLERANCE["traced", float64]


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("name", CELLS)
def test_traced_gradient_agrees_with_differences(name, options):
    assert_all_close(traced(case_of(name, SMALL, options)), truth(name, SMALL, options), TRACED)


@pytest.mark.parametrize("name", CELLS)
def test_traced_gradient_of_one_step_and_one_row_agrees_with_differences(name):
    assert_all_close(traced(case_of(name, (1, 1, 3))), truth(name, (1, 1, 3)), TRACED)


def test_the_classical_three_are_derived_by_hand():
    assert set(BY_HAND) == {cells.get("rnn"), cells.get("lstm"), cells.get("gru")}


@pytest.mark.parametrize("shape", [SMALL, (1, 1, 3), (31, 3, 17)], ids="T{0[0]} B{0[1]} H{0[2]}".format)
@pytest.mark.parametrize("name", ["rnn", "lstm", "gru"])
def test_by_hand_agrees_with_traced(name, shape):
    case = case_of(name, shape)
    assert_all_close(traced_gradients(case), BY_HAND[case.cell](case), TOLERANCE["by hand", float64])


@pytest.mark.parametrize("name", ["rnn", "lstm", "gru"])
def test_by_hand_agrees_with_differences(name):
    case = case_of(name)
    assert_all_close(BY_HAND[case.cell](case), differences(case), TOLERANCE["by hand", float64])


def mutants(cell):
    """Every way to negate one node of a step's gradient: its kind, the gradient that must differ, the mutant."""
    right = gradient(cell)
    matrix_of = {block: matrix.name for matrix in cell.recurrent for block in matrix.block_names}
    for kind in ("states", "x", "products", "vectors"):
        for name, node in getattr(right, kind).items():
            if node is ZERO:
                continue
            differs = {
                "states": f"initial_{name}",
                "x": "weight_ih",
                "products": f"weight_{matrix_of.get(name)}",
                "vectors": "weight_p",
            }[kind]
            changed = {**getattr(right, kind), name: -node}
            yield kind, differs, dataclasses.replace(right, **{kind: changed})


@pytest.mark.parametrize("name", CELLS)
def test_any_flipped_sign_in_a_traced_gradient_is_refused_and_named(name):
    case = case_of(name)
    right = {key.removeprefix("d_"): value for key, value in truth(name).items() if key.startswith("d_")}
    kinds = set()
    for kind, differs, mutant in mutants(case.cell):
        kinds.add(kind)
        with pytest.raises(AssertionError, match=rf"\b{differs}: relative error"):
            assert_all_close(traced_gradients(case, mutant), right, TRACED)
    assert kinds == {"states", "x", "products"} | ({"vectors"} if case.cell.vector_names else set())

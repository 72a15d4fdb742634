"""A random case is a complete problem, and the same one every time."""

import numpy as np
import pytest
from reference.cases import CELLS, OPTIONS, SMALL, case_of

from headgate.reference import random_case


@pytest.mark.parametrize("name", CELLS)
def test_a_case_has_every_weight_and_state_of_its_cell(name):
    case, cell, (T, B, H) = case_of(name), CELLS[name], SMALL
    O = case.cotangents["output"].shape[2]  # noqa: E741 - the field's letter
    assert {n: w.shape for n, w in case.weights.items()} == cell.parameter_shapes(H + 1, H, O)
    assert {n: s.shape for n, s in case.initial.items()} == {n: (B, cell.state_size(n, H, O)) for n in cell.state_names}
    assert case.input.shape == (T, B, H + 1)
    assert set(case.cotangents) == {"output", *(f"final_{name}" for name in cell.state_names)}
    assert all(value.dtype == np.float64 for value in (*case.variables.values(), *case.cotangents.values()))


def test_the_same_seed_makes_the_same_case_and_another_seed_another():
    one, same, other = (random_case(CELLS["lstm"], 3, 2, 2, seed=seed) for seed in (5, 5, 6))
    for name, value in one.variables.items():
        np.testing.assert_array_equal(value, same.variables[name])
        assert not np.array_equal(value, other.variables[name])


def test_random_lengths_hold_a_full_row_and_an_empty_one():
    for seed in range(20):
        case = random_case(CELLS["rnn"], 5, 4, 2, seed=seed, lengths=True)
        assert case.lengths.max() == 5 and case.lengths.min() == 0


def test_resets_are_made_where_asked_for():
    case = random_case(CELLS["rnn"], 20, 4, 2, reset=True)
    assert case.reset.shape == (20, 4) and 0 < case.reset.mean() < 1
    assert random_case(CELLS["rnn"], 20, 4, 2).reset is None


def test_the_loss_is_the_sum_over_all_cotangents():
    case = random_case(CELLS["lstm"], 2, 1, 1)
    values = {name: np.full_like(weight, k + 1.0) for k, (name, weight) in enumerate(case.cotangents.items())}
    expected = sum((k + 1) * weight.sum() for k, weight in enumerate(case.cotangents.values()))
    assert case.loss(values) == pytest.approx(expected, rel=1e-14)


def test_variables_go_out_and_come_back():
    case = case_of("peephole_lstm")
    moved = {name: value + 1.0 for name, value in case.variables.items()}
    back = case.with_variables(moved)
    assert set(back.variables) == {"input", *case.weights, "initial_h", "initial_c"}
    for name, value in back.variables.items():
        np.testing.assert_array_equal(value, moved[name])
    assert back.cell is case.cell and back.cotangents is case.cotangents


@pytest.mark.parametrize("options", [name for name in OPTIONS if "lengths" in name or "reset" in name])
def test_the_cases_of_the_tests_ask_what_they_are_for(options):
    """Without a row that ends early, no test would see a reverse direction that starts in the padding."""
    case = case_of("gru", SMALL, options)
    lengths = np.full(3, 4) if case.lengths is None else case.lengths
    if case.lengths is not None:
        assert {0, 4} < set(lengths.tolist())
        assert list(lengths) != sorted(lengths) and list(lengths) != sorted(lengths, reverse=True)
    if case.reset is not None:
        valid = np.arange(4)[:, None] < lengths
        assert (case.reset & valid)[1:].any(), "no reset within a row"
        assert (case.reset & valid)[0].any(), "no reset at a row's beginning"
        assert case.lengths is None or (case.reset & ~valid).any(), "no reset in the padding"
        assert (~case.reset & valid).any()

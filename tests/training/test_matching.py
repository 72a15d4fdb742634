"""Cells are compared at the same number of parameters, counted."""

from __future__ import annotations

import pytest

from headgate import cells, tasks
from headgate.training.matching import count_parameters, matched_hidden_size
from headgate.training.network import Network
from headgate.training.recipe import RECIPES


@pytest.mark.parametrize("task", RECIPES)
@pytest.mark.parametrize("cell", cells.names())
def test_every_cell_comes_within_five_percent_of_the_budget(cell, task):
    budget, asked = RECIPES[task].budget, tasks.get(task)
    size = matched_hidden_size(cells.get(cell), asked.input_size, asked.output_size, budget)
    count = count_parameters(cells.get(cell), asked.input_size, size, asked.output_size)
    assert abs(count - budget) <= 0.05 * budget
    for neighbour in (size - 1, size + 1):
        other = count_parameters(cells.get(cell), asked.input_size, neighbour, asked.output_size)
        assert abs(other - budget) >= abs(count - budget)


@pytest.mark.parametrize("cell", cells.names())
def test_the_count_is_that_of_the_network(cell):
    network = Network(cells.get(cell), 3, 7, 5, 1)
    assert count_parameters(cells.get(cell), 3, 7, 5) == sum(p.numel() for p in network.parameters())


def test_the_classical_three_are_matched_to_each_other():
    for task, recipe in RECIPES.items():
        asked, counts = tasks.get(task), []
        for name in ("rnn", "gru", "lstm"):
            size = matched_hidden_size(cells.get(name), asked.input_size, asked.output_size, recipe.budget)
            counts.append(count_parameters(cells.get(name), asked.input_size, size, asked.output_size))
        assert max(counts) / min(counts) < 1.05


def test_a_budget_too_small_for_one_unit_is_refused():
    with pytest.raises(ValueError, match="LSTM has 22 parameters with a single unit, but the budget is 12"):
        matched_hidden_size(cells.get("lstm"), 2, 1, 12)

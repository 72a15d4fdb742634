"""One trial: repeatable, measured at three moments, and not disturbed by being measured."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from training.small import TINY, own_cell, trial, without_seconds

from headgate import cells, tasks
from headgate.training.experiment import Film, measure, run, starting_weights
from headgate.training.loop import train
from headgate.training.matching import matched_hidden_size
from headgate.training.network import seeded_network
from headgate.training.recipe import RECIPES


@pytest.fixture(scope="module")
def outcome():
    return run(trial())


def test_facts_are_json_and_complete(outcome):
    facts = json.loads(json.dumps(outcome.facts))
    assert facts["task"] == "digits" and facts["cell"] == "lstm" and facts["seed"] == 0
    assert (
        len(facts["loss"]) == TINY.steps and facts["film"]["steps"][0] == 0 and facts["film"]["steps"][-1] == TINY.steps
    )
    assert len(facts["film"]["steps"]) == len(facts["film"]["first_step"])
    assert facts["score"] == facts["measured"]["accuracy"] and facts["solved"] is False and facts["diverged"] is False
    assert json.loads(json.dumps(outcome.task))["baseline"]["accuracy"] == tasks.get("digits").baseline()["accuracy"]
    assert outcome.task["recipe"]["steps"] == TINY.steps and outcome.task["held_out"] == 360


def test_it_is_measured_at_three_moments(outcome):
    assert set(outcome.records) == {"default", "before", "after"}
    profiles = {moment: record.arrays["lag_profile"][1] for moment, record in outcome.records.items()}
    assert all(profile.shape == (64,) and profile[0] == 0.0 for profile in profiles.values())
    assert not np.array_equal(profiles["before"], profiles["after"])
    assert profiles["default"][-1] < -6 < profiles["before"][-1]
    assert outcome.records["after"].arrays["gate_values"].shape[0] == 4


def test_the_same_trial_gives_the_same_numbers_and_another_seed_others(outcome):
    torch.manual_seed(123)  # nothing outside a trial may matter
    again, other = run(trial()), run(trial(seed=1))
    assert without_seconds(again.facts) == without_seconds(outcome.facts)
    for moment, record in outcome.records.items():
        for name, value in record.arrays.items():
            np.testing.assert_array_equal(again.records[moment].arrays[name], value)
    assert other.facts["loss"] != outcome.facts["loss"]


def test_measuring_does_not_disturb_training(outcome):
    task, cell = tasks.get("digits"), cells.get("lstm")
    size = matched_hidden_size(cell, 1, 10, TINY.budget)
    network = seeded_network(0, cell, 1, size, 10, 1, **starting_weights(cell, TINY.longest))
    batches = task.batches(0, TINY.batch)
    losses = train(network, task, batches, steps=TINY.steps, rate=lambda k: TINY.rate_at(cell, k), clip=TINY.clip)
    assert losses == outcome.facts["loss"]


def test_a_probe_leaves_gradients_as_they_were():
    task = tasks.get("digits")
    network = seeded_network(0, cells.get("gru"), 1, 4, 10, 1)
    probe = next(task.batches(0, 4))
    network.head.bias.grad = torch.ones_like(network.head.bias)
    measure(network, task, probe)
    assert network.head.bias.grad.tolist() == [1.0] * 10 and network.head.weight.grad is None


def test_the_film_ends_where_the_record_does():
    task = tasks.get("digits")
    network = seeded_network(0, cells.get("rnn"), 1, 5, 10, 1, orthogonal=True)
    probe = next(task.batches(0, 8))
    film = Film(network, task, probe, 10)
    measured = measure(network, task, probe).arrays["lag_profile"][1, -1]
    assert film.facts()["first_step"] == [pytest.approx(10.0**measured, rel=1e-12)]
    for step in range(1, 11):
        film.after_step(step)
    steps = film.facts()["steps"]
    assert steps == sorted(set(steps)) and steps[-1] == 10


def test_every_cell_starts_alike_where_it_can():
    assert starting_weights(cells.get("rnn"), 50) == {"orthogonal": True, "chrono": None}
    assert starting_weights(cells.get("gru"), 50) == {"orthogonal": True, "chrono": 50}


def test_a_cell_of_ones_own_takes_part(tmp_path):
    result = run(trial(cell=own_cell(tmp_path)))
    assert result.facts["rate"] == TINY.gated_rate and result.records["after"].facts["gates"] == ["f", "n"]


def test_a_run_that_diverges_is_told_and_not_solved(tmp_path):
    relu = replace(TINY, steps=6, plain_rate=1e30, clip=1e30)
    result = run(trial(cell="relu_rnn", recipe=relu))
    assert result.facts["diverged"] and not result.facts["solved"] and len(result.facts["loss"]) < 6


def test_rates_fall_to_zero_over_the_second_half():
    recipe, cell = RECIPES["adding"], cells.get("lstm")
    rates = [recipe.rate_at(cell, step) for step in range(recipe.steps)]
    assert set(rates[: recipe.steps // 2]) == {recipe.gated_rate}
    assert rates[-1] == pytest.approx(2 * recipe.gated_rate / recipe.steps)
    assert recipe.rate(cells.get("rnn")) == recipe.plain_rate
